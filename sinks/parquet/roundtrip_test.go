package parquet

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/memory"
	"pgregory.net/rapid"

	"github.com/sluice-data/sluice/sinks"
)

// Every type comes back as it was, with no, some and only nulls, few and many different values, over page borders.
func TestEveryTypeComesBack(t *testing.T) {
	for _, dt := range leafTypes {
		for _, nullable := range []bool{true, false} {
			t.Run(fmt.Sprintf("%v/nullable=%v", dt, nullable), func(t *testing.T) {
				s := arrow.NewSchema([]arrow.Field{{Name: "v", Type: dt, Nullable: nullable}}, nil)
				for i, c := range []struct {
					rows     int
					nulls    float64
					distinct uint64
				}{{1, 0, 0}, {7, 0.5, 3}, {1000, 0.1, 0}, {1000, 1, 0}, {5000, 0, 5}, {5000, 0.3, 400}, {2000, 0, 1}} {
					mem := memory.NewCheckedAllocator(memory.DefaultAllocator)
					m := maker{r: rand.New(rand.NewPCG(1, uint64(i))), nulls: c.nulls, distinct: c.distinct}
					rec := m.record(mem, s, c.rows)
					checkFile(t, writeFile(t, sinks.Request{Schema: s}, []arrow.Record{rec}), []arrow.Record{rec})
					rec.Release()
					mem.AssertSize(t, 0)
				}
			})
		}
	}
}

// Random nested schemas and data, in several records a row group and several row groups.
func TestRandomNestedData(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		mem := memory.NewCheckedAllocator(memory.DefaultAllocator)
		m := maker{r: rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0)),
			nulls:    rapid.SampledFrom([]float64{0, 0.1, 0.5, 1}).Draw(t, "nulls"),
			distinct: rapid.SampledFrom([]uint64{0, 1, 20, 3000}).Draw(t, "distinct")}
		s := m.schema(rapid.IntRange(1, 4).Draw(t, "columns"), rapid.IntRange(0, 3).Draw(t, "depth"))
		var groups [][]arrow.Record
		var all []arrow.Record
		for range rapid.IntRange(0, 3).Draw(t, "row groups") {
			var g []arrow.Record
			for range rapid.IntRange(1, 3).Draw(t, "records") {
				g = append(g, m.record(mem, s, rapid.SampledFrom([]int{0, 1, 2, 8, 63, 200}).Draw(t, "rows")))
			}
			groups, all = append(groups, g), append(all, g...)
		}
		checkFile(t, writeFile(t, sinks.Request{Schema: s}, groups...), all)
		for _, r := range all {
			r.Release()
		}
		if n := mem.CurrentAlloc(); n != 0 {
			t.Fatalf("%d bytes not released", n)
		}
	})
}
