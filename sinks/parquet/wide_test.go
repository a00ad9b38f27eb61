package parquet

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/memory"
	"github.com/parquet-go/parquet-go/format"
)

// A file of many columns ends before its footer does not fit memory, however small it is; every row is in one of the files.
func TestFooterIsBounded(t *testing.T) {
	mem := memory.NewCheckedAllocator(memory.DefaultAllocator)
	defer mem.AssertSize(t, 0)
	const columns, groups = maxChunks/3 + 1, 5 // two row groups fit a file
	fields := make([]arrow.Field, columns)
	for i := range fields {
		fields[i] = arrow.Field{Name: fmt.Sprint(i), Type: arrow.FixedWidthTypes.Boolean}
	}
	b := array.NewRecordBuilder(mem, arrow.NewSchema(fields, nil))
	defer b.Release()
	for i := range fields {
		b.Field(i).(*array.BooleanBuilder).Append(i%2 == 0)
	}
	rec := b.NewRecord()
	defer rec.Release()
	recs := make([]arrow.Record, groups)
	for i := range recs {
		recs[i] = rec
	}
	s, l, err := attempt(t.Context(), newMemStore(), recs, 1<<40)
	if err != nil {
		t.Fatal(err)
	}
	if n := len(s.Files()); n != 3 || l.Written != groups {
		t.Errorf("%d files of %d rows in all, want 3 of %d", n, l.Written, groups)
	}
	for _, f := range s.Files() {
		if f.Rows > 2 {
			t.Errorf("%s has %d row groups", f.URI, f.Rows)
		}
	}
}

// All of a small chunk is weighed, so that it takes no more than the best of the efforts that cost little.
func TestSmallChunks(t *testing.T) {
	c, err := newCompressor(format.Zstd, 3)
	if err != nil {
		t.Fatal(err)
	}
	defer c.close()
	r := rand.New(rand.NewPCG(3, 3))
	for name, values := range map[string][]uint64{"money": nil, "days": nil, "noise": nil} {
		for range 2000 {
			switch name {
			case "money":
				values = append(values, uint64(int64(r.IntN(100_000)-20_000)))
			case "days":
				values = append(values, uint64(19_000+r.IntN(365))*86_400_000_000)
			default:
				values = append(values, r.Uint64())
			}
		}
		page := raw(values)
		l := layout{stride: 8}
		sizes := map[effort]int{}
		for e := effortStored; e <= effortQuick; e++ {
			sizes[e] = len(c.frame(page, l, e))
		}
		got := sizes[c.choose(page, 0, len(page), l)]
		for e, n := range sizes {
			if got > n+n/32 {
				t.Errorf("%s: %d bytes, %d with effort %d", name, got, n, e)
			}
		}
	}
}
