package parquet

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/memory"

	"github.com/sluice-data/sluice/internal/objstore/storetest"
)

// Whatever the data, every file but the last one is within a quarter of the target size, and the last is not above it. Blocks are as the
// engine makes them: 122,880 rows or 16 MiB of records.
func TestTargetSize(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 9))
	long := func(v *array.BinaryBuilder) {
		x := make([]byte, 1000)
		for i := range x {
			x[i] = byte(r.Uint32())
		}
		v.Append(x)
	}
	wide := make([]arrow.Field, 300)
	for i := range wide {
		wide[i] = arrow.Field{Name: fmt.Sprintf("column_%03d", i), Type: arrow.PrimitiveTypes.Int64}
	}
	for _, c := range []struct {
		name    string
		fields  []arrow.Field
		rows    int // of a block
		blocks  int
		targets []int64
		fill    func(b *array.RecordBuilder, row int)
	}{
		{"incompressible", []arrow.Field{{Name: "x", Type: arrow.BinaryTypes.Binary}}, 16_000, 2, []int64{500_000, 2_000_000, 7_000_000},
			func(b *array.RecordBuilder, _ int) { long(b.Field(0).(*array.BinaryBuilder)) }},
		{"compressible", []arrow.Field{{Name: "x", Type: arrow.PrimitiveTypes.Int64}, {Name: "y", Type: arrow.BinaryTypes.String}}, 122_880, 12, []int64{200_000, 500_000},
			func(b *array.RecordBuilder, row int) {
				b.Field(0).(*array.Int64Builder).Append(int64(row))
				b.Field(1).(*array.StringBuilder).Append([]string{"yes", "no"}[r.IntN(2)])
			}},
		{"wide", wide, 6_900, 2, []int64{2_000_000, 6_000_000},
			func(b *array.RecordBuilder, row int) {
				for i := range wide {
					b.Field(i).(*array.Int64Builder).Append(int64(r.Uint64() >> (20 + i%40)))
				}
			}},
	} {
		b := array.NewRecordBuilder(memory.DefaultAllocator, arrow.NewSchema(c.fields, nil))
		defer b.Release()
		var recs []arrow.Record
		for range c.blocks {
			for row := range c.rows {
				c.fill(b, row)
			}
			recs = append(recs, b.NewRecord())
		}
		for _, target := range c.targets {
			s, l, err := attempt(t.Context(), storetest.NewMemory(), recs, target)
			if err != nil || l.Written != int64(c.rows*c.blocks) {
				t.Fatalf("%s: %d rows: %v", c.name, l.Written, err)
			}
			got := s.Files()
			if len(got) < 3 {
				t.Errorf("%s in files of %d: only %d files, which shows nothing", c.name, target, len(got))
			}
			for i, f := range got {
				last := i == len(got)-1
				if f.Size > target*5/4 || f.Size < target*3/4 && !last {
					t.Errorf("%s in files of %d bytes: file %d of %d has %d", c.name, target, i, len(got), f.Size)
				}
			}
		}
		for _, rec := range recs {
			rec.Release()
		}
	}
}
