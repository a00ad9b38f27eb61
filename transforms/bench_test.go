package transforms

import (
	"context"
	"syscall"
	"testing"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/memory"

	"github.com/sluice-data/sluice/internal/recycle"
	"github.com/sluice-data/sluice/pipeline"
	"github.com/sluice-data/sluice/transforms/internal/col"
	"github.com/sluice-data/sluice/transforms/internal/take"
)

// trips is a batch such as the readers make: 8192 rows, one fare of fifty not positive.
func trips() arrow.Record {
	const n = 8192
	at, zone, fare, tip := make([]int64, n), make([]int32, n), make([]float64, n), make([]float64, n)
	off, text := []int32{0}, []byte{}
	for i := range n {
		z := uint64(i+1) * 0x9e3779b97f4a7c15
		z ^= z >> 29
		at[i], zone[i] = 1_700_000_000_000_000+int64(z%31_536_000)*1_000_000, int32(z>>20%265)
		fare[i], tip[i] = float64(z>>30%5000)/100+1, float64(z>>40%900)/100
		if i%50 == 0 {
			fare[i] = 0
		}
		text = append(text, "order-0123456789"[:10+z%6]...)
		off = append(off, int32(len(text)))
	}
	ts := &arrow.TimestampType{Unit: arrow.Microsecond}
	fields := []arrow.Field{{Name: "at", Type: ts}, {Name: "zone", Type: arrow.PrimitiveTypes.Int32}, {Name: "fare", Type: arrow.PrimitiveTypes.Float64},
		{Name: "tip", Type: arrow.PrimitiveTypes.Float64}, {Name: "order_id", Type: arrow.BinaryTypes.String}}
	cols := []arrow.Array{col.New(ts, at, nil), col.New(arrow.PrimitiveTypes.Int32, zone, nil), col.New(arrow.PrimitiveTypes.Float64, fare, nil),
		col.New(arrow.PrimitiveTypes.Float64, tip, nil), col.NewVar(arrow.BinaryTypes.String, off, text, nil)}
	return array.NewRecord(arrow.NewSchema(fields, nil), cols, n)
}

// cpu is the seconds of processor time that the process has used: on a shared machine wall time says little.
func cpu() float64 {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return float64(u.Utime.Nano()+u.Stime.Nano()) / 1e9
}

func BenchmarkStep(b *testing.B) {
	rec := trips()
	for _, c := range []struct{ name, step string }{
		{"filter", "- filter: fare > 0 AND tip >= 0"},
		{"filter/all pass", "- filter: fare >= 0"},
		{"derive/date_trunc", "- derive: {day: \"date_trunc('day', at)\"}"},
		{"derive/arithmetic", "- derive: {rate: \"tip / (fare + 1) * 100\"}"},
		{"derive/substring", "- derive: {k: \"substring(order_id, 1, 9)\"}"},
		{"select", "- select: {zone: zone, total: fare + tip}"},
		{"cast", "- cast: {zone: int64}"},
	} {
		b.Run(c.name, func(b *testing.B) {
			bd, err := bindStep(Env{}, c.step, rec.Schema())
			if err != nil {
				b.Fatal(err)
			}
			st, err := bd.Step.NewStage(recycle.New(64 << 20))
			if err != nil {
				b.Fatal(err)
			}
			defer st.Close()
			var rej pipeline.Rejects
			b.ReportAllocs()
			start := cpu()
			for b.Loop() {
				out, err := st.Apply(context.Background(), pipeline.Batch{Rec: rec}, &rej)
				if err != nil {
					b.Fatal(err)
				}
				out.Release()
			}
			b.ReportMetric((cpu()-start)*1e9/float64(b.N)/float64(rec.NumRows()), "cpu-ns/row")
		})
	}
}

func BenchmarkTake(b *testing.B) {
	rec := trips()
	idx := make([]int32, 0, rec.NumRows())
	for i := range int32(rec.NumRows()) {
		if i%50 != 0 {
			idx = append(idx, i)
		}
	}
	mem := recycle.New(64 << 20)
	for i, c := range rec.Columns() {
		b.Run(rec.ColumnName(i), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				a, err := take.Array(c, idx, mem)
				if err != nil {
					b.Fatal(err)
				}
				a.Release()
			}
		})
	}
}

func BenchmarkAggregate(b *testing.B) {
	rec := trips()
	for _, c := range []struct{ name, step string }{
		{"by day and zone", "- aggregate: {by: {day: \"date_trunc('day', at)\", zone: zone}, measures: {n: count(*), revenue: sum(fare), pct: avg(tip), zones: approx_count_distinct(zone), lo: min(fare), hi: max(fare)}}"},
		{"by nothing", "- aggregate: {measures: {n: count(*), revenue: sum(fare), pct: avg(tip), zones: approx_count_distinct(zone), lo: min(fare), hi: max(fare)}}"},
	} {
		b.Run(c.name, func(b *testing.B) {
			bd, err := bindStep(Env{}, c.step, rec.Schema())
			if err != nil {
				b.Fatal(err)
			}
			p, err := bd.Fold.NewPartial(memory.DefaultAllocator)
			if err != nil {
				b.Fatal(err)
			}
			defer p.Close()
			var rej pipeline.Rejects
			b.ReportAllocs()
			start := cpu()
			for b.Loop() {
				if err := p.Add(context.Background(), pipeline.Batch{Rec: rec}, &rej); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric((cpu()-start)*1e9/float64(b.N)/float64(rec.NumRows()), "cpu-ns/row")
		})
	}
}
