package group

import (
	"context"
	"errors"
	"io"
	"runtime"
	"slices"
	"testing"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/memory"

	"github.com/sluice-data/sluice/internal/recycle"
)

// Under a small budget rows go to their groups a few at a time, and partitions come from disk one after the other. A heap with a few MB to spare is
// collected each time that garbage fills them, so there must be little for each row (it was 719 and 223 bytes).
func TestSmallBudgetMakesLittleGarbage(t *testing.T) {
	for _, c := range []struct {
		name         string
		rows, groups int
		most         uint64 // bytes of garbage a row
	}{
		{"many rows a group", 1 << 20, 50_000, 500},
		{"a group a row", 1 << 20, 1 << 40, 120},
	} {
		batches := data(c.rows, intKeys(uint64(c.groups)))
		var measures []Measure
		var args []arrow.DataType
		for i, fn := range []string{"sum", "avg", "min", "max", "sum", "avg", "min", "max"} {
			measures = append(measures, measure(fn, "v", arrow.PrimitiveTypes.Float64, i))
			args = append(args, arrow.PrimitiveTypes.Float64)
		}
		f, err := New(Config{Keys: []arrow.Field{{Name: "k", Type: arrow.PrimitiveTypes.Int64}}, Args: args,
			Measures: measures, Budget: 8 << 20, TempDir: t.TempDir()})
		if err != nil {
			t.Fatal(err)
		}
		mem := memory.NewCheckedAllocator(recycle.New(4 << 20))
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		l := f.NewLane(mem)
		for _, b := range batches {
			if err := l.Add(context.Background(), b.keys, slices.Repeat(b.args, len(args)), b.keys[0].Len()); err != nil {
				t.Fatal(err)
			}
		}
		if l.disk == nil {
			t.Errorf("%s: nothing was spilled", c.name)
		}
		d, err := f.Drain(context.Background(), mem, []*Lane{l})
		if err != nil {
			t.Fatal(err)
		}
		for {
			r, err := d.Next(context.Background())
			if errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				t.Fatal(err)
			}
			r.Release()
		}
		d.Close()
		runtime.ReadMemStats(&after)
		mem.AssertSize(t, 0)
		if each := (after.TotalAlloc - before.TotalAlloc) / uint64(c.rows); each > c.most {
			t.Errorf("%s: %d bytes of garbage a row, %d at most", c.name, each, c.most)
		} else {
			t.Logf("%s: %d bytes of garbage a row", c.name, each)
		}
	}
}
