package gather

import (
	"fmt"
	"io"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/memory"

	"github.com/sluice-data/sluice/internal/recycle"
	"github.com/sluice-data/sluice/pipeline"
)

// BenchmarkTrips gathers rows of a taxi's columns by 365 days that come in any order: nanoseconds a row of folding them, and of getting
// them back.
func BenchmarkTrips(b *testing.B) {
	const batch = 16 << 10
	mem := recycle.New(64 << 20)
	recs := trips(16, batch)
	f, err := New(Config{Schema: recs[0].Schema(), By: []int{0}, TempDir: b.TempDir(), Folder: func(by []arrow.Array, i int) (string, int, string, error) {
		return fmt.Sprintf("day=%d/", by[0].(*array.Date32).Value(i)), 0, "", nil
	}})
	if err != nil {
		b.Fatal(err)
	}
	var folding, draining time.Duration
	var disk, rows int64
	for b.Loop() {
		p, _ := f.NewPartial(mem)
		l := p.(*lane)
		begun := time.Now()
		for k := range 64 {
			l.Begin(int64(k))
			if err := l.Add(b.Context(), pipeline.Batch{Rec: recs[k%len(recs)]}, nil); err != nil {
				b.Fatal(err)
			}
		}
		folding += time.Since(begun)
		begun = time.Now()
		d, err := f.Drain(b.Context(), mem, []pipeline.Partial{p})
		if err != nil {
			b.Fatal(err)
		}
		if l.disk != nil {
			disk += l.disk.end
		}
		disk += l.held
		for {
			rec, err := d.Next(b.Context())
			if err == io.EOF {
				break
			}
			if err != nil {
				b.Fatal(err)
			}
			rows += rec.NumRows()
			rec.Release()
		}
		d.Close()
		draining += time.Since(begun)
		f.lanes.Add(-1)
	}
	b.ReportMetric(float64(folding.Nanoseconds())/float64(rows), "ns/row-in")
	b.ReportMetric(float64(draining.Nanoseconds())/float64(rows), "ns/row-out")
	b.ReportMetric(float64(disk)/float64(rows), "B/row")
}

// trips is n records of so many rows.
func trips(n, rows int) []arrow.Record {
	fields := []arrow.Field{{Name: "day", Type: arrow.FixedWidthTypes.Date32}, {Name: "order_id", Type: arrow.BinaryTypes.String},
		{Name: "pickup_at", Type: &arrow.TimestampType{Unit: arrow.Microsecond}}, {Name: "dropoff_at", Type: &arrow.TimestampType{Unit: arrow.Microsecond}},
		{Name: "flag", Type: arrow.BinaryTypes.String}, {Name: "note", Type: arrow.BinaryTypes.String, Nullable: true}}
	for _, name := range []string{"vendor", "passengers", "rate", "from", "to", "payment"} {
		fields = append(fields, arrow.Field{Name: name, Type: arrow.PrimitiveTypes.Int32, Nullable: name == "passengers"})
	}
	for _, name := range []string{"distance", "fare", "extra", "tax", "tip", "tolls", "total"} {
		fields = append(fields, arrow.Field{Name: name, Type: arrow.PrimitiveTypes.Float64})
	}
	rng := rand.New(rand.NewPCG(1, 2))
	recs := make([]arrow.Record, n)
	for k := range recs {
		b := array.NewRecordBuilder(memory.DefaultAllocator, arrow.NewSchema(fields, nil))
		for range rows {
			day := rng.IntN(365)
			at := int64(day)*86400 + rng.Int64N(86400)
			b.Field(0).(*array.Date32Builder).Append(arrow.Date32(day))
			b.Field(1).(*array.StringBuilder).Append(fmt.Sprintf("%012d", rng.Int64N(1e11)))
			b.Field(2).(*array.TimestampBuilder).Append(arrow.Timestamp(at * 1e6))
			b.Field(3).(*array.TimestampBuilder).Append(arrow.Timestamp((at + rng.Int64N(3600)) * 1e6))
			b.Field(4).(*array.StringBuilder).Append([]string{"N", "Y"}[rng.IntN(50)/49])
			if rng.IntN(10) > 0 {
				b.Field(5).AppendNull()
			} else {
				b.Field(5).(*array.StringBuilder).Append("gate 4 north")
			}
			for i, most := range []int32{2, 6, 6, 263, 263, 4} {
				if i == 1 && rng.IntN(20) == 0 {
					b.Field(6 + i).AppendNull()
					continue
				}
				b.Field(6 + i).(*array.Int32Builder).Append(rng.Int32N(most))
			}
			for i, most := range []int{3000, 6000, 3, 2, 1000, 700, 9000} {
				b.Field(12 + i).(*array.Float64Builder).Append(float64(rng.IntN(most)) / 100)
			}
		}
		recs[k] = b.NewRecord()
		b.Release()
	}
	return recs
}
