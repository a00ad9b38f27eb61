package transforms

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/memory"

	"github.com/sluice-data/sluice/pipeline"
)

// A step that is told which of its columns are used gives those and no others; its rows and rejects are the same.
func TestNarrow(t *testing.T) {
	for _, c := range []struct {
		step, keep, want string
		rejects          int
	}{
		{"- filter: fare > 0", "id fare tip", `[{"fare":5,"id":1,"tip":1},{"fare":7,"id":3,"tip":0}]`, 0},
		{"- filter: fare > 0", "tip id", `[{"id":1,"tip":1},{"id":3,"tip":0}]`, 0},
		{"- filter: fare > 0", "", `[{},{}]`, 0},
		{"- filter: fare > -1", "id", `[{"id":1},{"id":2},{"id":3}]`, 0},
		{"- filter: 1 / fare > 0", "id", `[]`, 1},
		{"- derive: {half: fare / 2, id: id + 1, bad: fare / tip}", "bad id", `[{"bad":5,"id":2}]`, 2},
		{"- derive: {bad: fare / tip}", "id", `[{"id":1}]`, 2},
		{"- derive: {half: id * 2, more: half + 1}", "more fare", `[{"fare":5,"more":3},{"fare":0,"more":5},{"fare":7,"more":7}]`, 0},
		{"- cast: {id: int32}", "tip id", `[{"id":1,"tip":1},{"id":2,"tip":0},{"id":3,"tip":0}]`, 0},
	} {
		t.Run(c.step+" for "+c.keep, func(t *testing.T) {
			mem := memory.NewCheckedAllocator(memory.DefaultAllocator)
			defer mem.AssertSize(t, 0)
			i64 := arrow.PrimitiveTypes.Int64
			in := arrow.NewSchema([]arrow.Field{{Name: "id", Type: i64}, {Name: "fare", Type: i64}, {Name: "tip", Type: i64}}, nil)
			rec, _, err := array.RecordFromJSON(mem, in, strings.NewReader(`[{"id": 1, "fare": 5, "tip": 1}, {"id": 2, "fare": 0, "tip": 0}, {"id": 3, "fare": 7, "tip": 0}]`))
			if err != nil {
				t.Fatal(err)
			}
			defer rec.Release()
			whole, err := bindStep(Env{}, c.step, in)
			if err != nil {
				t.Fatal(err)
			}
			keep := names{}
			keep.add(strings.Fields(c.keep)...)
			bd := whole.Narrow(keep)
			if bd.Explain != whole.Explain || fmt.Sprint(bd.Needs(nil)) != fmt.Sprint(whole.Needs(nil)) {
				t.Errorf("narrowed it is %s and needs %v, else %s and %v", bd.Explain, bd.Needs(nil), whole.Explain, whole.Needs(nil))
			}
			if whole.Step.Schema().NumFields() < in.NumFields() {
				t.Errorf("the step that was narrowed is changed itself: %s", whole.Step.Schema())
			}
			st, err := bd.Step.NewStage(mem)
			if err != nil {
				t.Fatal(err)
			}
			defer st.Close()
			var rej pipeline.Rejects
			out, err := st.Apply(context.Background(), pipeline.Batch{Rec: rec, Rows: lineNumbers{}}, &rej)
			if err != nil {
				t.Fatal(err)
			}
			defer out.Release()
			if !out.Rec.Schema().Equal(bd.Step.Schema()) || out.Rec.Schema().NumFields() != len(keep) {
				t.Errorf("batch of %s, the step says %s", out.Rec.Schema(), bd.Step.Schema())
			}
			rows := array.RecordToStructArray(out.Rec)
			defer rows.Release()
			lines, err := rows.MarshalJSON()
			if err != nil {
				t.Fatal(err)
			}
			text := strings.ReplaceAll(string(lines), "\n", "")
			if text != c.want || rej.Len() != c.rejects {
				t.Errorf("%d rejects and %s, want %d and %s", rej.Len(), text, c.rejects, c.want)
			}
		})
	}
}
