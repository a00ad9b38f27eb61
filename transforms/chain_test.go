package transforms

import (
	"context"
	"fmt"
	"testing"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/memory"
	"pgregory.net/rapid"

	"github.com/sluice-data/sluice/pipeline"
)

// Through any chain of steps, a rejected row is traced to the input row it came from, the rows that are left are the right ones, and
// none is lost: rows in = rows out + filtered + rejected.
func TestRowsKeepTheirPlace(t *testing.T) {
	steps := []string{
		"- filter: id % 3 <> 0", "- filter: id >= 0", "- filter: id > 5 AND id < 30",
		"- derive: {x: 100 / (id - 7)}", "- derive: {y: id * 2}", "- check: {id: \"id <> 11\"}", "- cast: {id: int32}", "- select: {id: id, z: 1 / (id - 13)}",
		"- check: {id: \"id % 5 <> 1\"}",
	}
	rapid.Check(t, func(t *rapid.T) {
		mem := memory.NewCheckedAllocator(memory.DefaultAllocator)
		defer mem.AssertSize(t, 0)
		n := rapid.IntRange(0, 70).Draw(t, "rows")
		bld := array.NewInt64Builder(mem)
		for i := range n {
			bld.Append(int64(i))
		}
		ids := bld.NewArray()
		bld.Release()
		rec := array.NewRecord(arrow.NewSchema([]arrow.Field{{Name: "id", Type: arrow.PrimitiveTypes.Int64, Nullable: true}}, nil), []arrow.Array{ids}, int64(n))
		ids.Release()
		b := pipeline.Batch{Rec: rec, Rows: lineNumbers{-1}} // line i is the row whose id is i
		var rej pipeline.Rejects
		filtered := 0
		gone := map[int64]bool{}
		for range rapid.IntRange(0, 6).Draw(t, "steps") {
			step := rapid.SampledFrom(steps).Draw(t, "step")
			bd, err := bindStep(Env{}, step, b.Rec.Schema())
			if err != nil {
				t.Fatal(err)
			}
			if bd.Narrow != nil && rapid.Bool().Draw(t, "id alone is used") {
				bd = bd.Narrow(map[string]bool{"id": true})
			}
			st, err := bd.Step.NewStage(mem)
			if err != nil {
				t.Fatal(err)
			}
			before := rej.Len()
			next, err := st.Apply(context.Background(), b, &rej)
			if err != nil {
				t.Fatal(err)
			}
			if _, ok := bd.Step.(pipeline.Dropper); ok {
				filtered += int(b.Rec.NumRows()-next.Rec.NumRows()) - (rej.Len() - before)
			}
			b.Release()
			b = next
			st.Close()
		}
		for _, r := range rej.Rows() {
			if gone[r.Line] {
				t.Fatalf("row %d is rejected twice", r.Line)
			}
			gone[r.Line] = true
			if !mayReject[r.Line] && r.Line%5 != 1 {
				t.Fatalf("row %d is rejected: %s", r.Line, r.Reason)
			}
		}
		if int(b.Rec.NumRows())+filtered+rej.Len() != n {
			t.Fatalf("of %d rows %d are left, %d filtered, %d rejected", n, b.Rec.NumRows(), filtered, rej.Len())
		}
		idx := b.Rec.Schema().FieldIndices("id")[0]
		for i := range int(b.Rec.NumRows()) {
			id := b.Rec.Column(idx).ValueStr(i)
			at := i
			if b.Sel != nil {
				at = int(b.Sel[i])
			}
			if line := b.Rows.Origin(at).Line; fmt.Sprint(line) != id || gone[line] {
				t.Fatalf("row %d has id %s and is traced to row %d (rejected: %v)", i, id, line, gone[line])
			}
		}
		b.Release()
	})
}

var mayReject = map[int64]bool{7: true, 11: true, 13: true}

// trueRows agrees with a plain loop at every offset and length.
func TestTrueRows(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(0, 60).Draw(t, "rows")
		bld := array.NewBooleanBuilder(memory.DefaultAllocator)
		nulls := rapid.Bool().Draw(t, "nulls")
		for range n {
			switch v := rapid.IntRange(0, 2).Draw(t, "value"); {
			case v == 2 && nulls:
				bld.AppendNull()
			default:
				bld.Append(v == 1)
			}
		}
		lo := rapid.IntRange(0, n).Draw(t, "from")
		a := array.NewSlice(bld.NewArray(), int64(lo), int64(n))
		var want []int32
		for i := range a.Len() {
			if a.IsValid(i) && a.(*array.Boolean).Value(i) {
				want = append(want, int32(i))
			}
		}
		if got := trueRows(nil, a); fmt.Sprint(got) != fmt.Sprint(want) {
			t.Fatalf("true in rows %v, want %v", got, want)
		}
	})
}

func TestRegisterTwice(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("a name registered twice does not panic")
		}
	}()
	Register(Def{Name: "filter"})
}
