package expr

import (
	"testing"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/memory"

	"github.com/sluice-data/sluice/internal/schema"
)

// fromPostgreSQL is what PostgreSQL 15 makes of (a, b) OVERLAPS (c, d) where each is null or one of three days, d changing first: SELECT string_agg(coalesce(left(((a, b)
// OVERLAPS (c, d))::text, 1), '-'), ” ORDER BY a NULLS FIRST, b NULLS FIRST, c NULLS FIRST, d NULLS FIRST) over the product of VALUES (NULL::date), ('2026-01-01'), ….
const fromPostgreSQL = "---------------------------------------t-----t---------------------------------------ttt-tff-tff-----ttt-tff-tff--t--ttttttt-ttf-------t-----t-------ttt-tff-tff-----fft-ftt-ttf-----fft-ftt-ttf------------------t--ttttttt-ttf-----fft-ftt-ttf-----fff-fff-fft"

// TestOverlaps: nulls, points, ends in either order, as PostgreSQL has them.
func TestOverlaps(t *testing.T) {
	mem := memory.NewCheckedAllocator(memory.NewGoAllocator())
	defer mem.AssertSize(t, 0)
	var fields []arrow.Field
	for _, name := range []string{"a", "b", "c", "d"} {
		fields = append(fields, arrow.Field{Name: name, Type: schema.Date, Nullable: true})
	}
	s := arrow.NewSchema(fields, nil)
	b := array.NewRecordBuilder(mem, s)
	defer b.Release()
	for i := range 256 {
		for c := range 4 {
			if v := i >> (6 - 2*c) & 3; v == 0 {
				b.Field(c).AppendNull()
			} else {
				b.Field(c).(*array.Date32Builder).Append(arrow.Date32(20453 + v))
			}
		}
	}
	rec := b.NewRecord()
	defer rec.Release()
	for _, src := range []string{"(a, b) OVERLAPS (c, d)", "overlaps(a, b::timestamp, c, d::timestamptz)"} {
		p, err := Compile(src, s, testEnv)
		if err != nil {
			t.Fatal(err)
		}
		out, bad, err := p.Eval(rec, mem)
		if err != nil || len(bad) > 0 {
			t.Fatal(err, bad)
		}
		got := []byte{}
		for i := range out.Len() {
			v := byte('-')
			if out.IsValid(i) {
				if v = 'f'; out.(*array.Boolean).Value(i) {
					v = 't'
				}
			}
			got = append(got, v)
		}
		out.Release()
		if string(got) != fromPostgreSQL {
			t.Errorf("%s:\n%s, want\n%s", src, got, fromPostgreSQL)
		}
	}
}
