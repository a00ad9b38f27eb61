package group

import (
	"context"
	"io"
	"testing"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/memory"

	"github.com/sluice-data/sluice/transforms/agg"
	"github.com/sluice-data/sluice/transforms/internal/col"
)

// The values of one group that memory has no room for go to disk however many lanes share it.
func TestOneGroupOfManyLanes(t *testing.T) {
	f64 := arrow.PrimitiveTypes.Float64
	median, _ := agg.Lookup("median")
	bound, err := median.Bind(agg.Args(arrow.Field{Type: f64}))
	if err != nil {
		t.Fatal(err)
	}
	for _, lanes := range []int{1, 2, 7, 8, 9, 12, 16, 40} {
		f, err := New(Config{Args: []arrow.DataType{f64}, Budget: 8 << 20, TempDir: t.TempDir(), Measures: []Measure{{Field: arrow.Field{Name: "m", Type: f64, Nullable: true}, Text: "median(x)", Bound: bound, Args: []int{0}}}})
		if err != nil {
			t.Fatal(err)
		}
		var ls []*Lane
		for range lanes {
			ls = append(ls, f.NewLane(memory.DefaultAllocator))
		}
		const n = 3_000_000 // 24 MB
		for lo := 0; lo < n; lo += 10_000 {
			v := make([]float64, 10_000)
			for i := range v {
				v[i] = float64((lo + i) * 7919 % n)
			}
			if err := ls[lo/10_000%lanes].Add(context.Background(), nil, []arrow.Array{col.New(f64, v, nil)}, len(v)); err != nil {
				t.Fatalf("%d lanes: %v", lanes, err)
			}
		}
		d, err := f.Drain(context.Background(), memory.DefaultAllocator, ls)
		if err != nil {
			t.Fatalf("%d lanes: %v", lanes, err)
		}
		rec, err := d.Next(context.Background())
		if err != nil {
			t.Fatalf("%d lanes: %v", lanes, err)
		}
		if got := rec.Column(0).(*array.Float64).Value(0); got != (n-1)/2.0 {
			t.Errorf("%d lanes: the median is %v", lanes, got)
		}
		rec.Release()
		if _, err := d.Next(context.Background()); err != io.EOF {
			t.Error(err)
		}
		d.Close()
		if peak := f.peak.Load(); peak > 12<<20 {
			t.Errorf("%d lanes: %d bytes were held of a budget of 8 MiB", lanes, peak)
		}
	}
}
