package parquet

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/decimal128"
	"github.com/apache/arrow/go/v17/arrow/memory"

	"github.com/sluice-data/sluice/internal/schema"
	"github.com/sluice-data/sluice/sinks/files"
)

// manyRows are the rows of a row group of a thousand columns.
const manyRows = 2400

// many has a column of each kind that the benchmark suite's table of a thousand columns has.
func many(mem memory.Allocator) arrow.Record {
	var fields []arrow.Field
	for _, f := range []struct {
		name string
		typ  arrow.DataType
	}{{"int", arrow.PrimitiveTypes.Int32}, {"cents", arrow.PrimitiveTypes.Float64}, {"word", arrow.BinaryTypes.String}, {"day", arrow.FixedWidthTypes.Date32},
		{"long", arrow.PrimitiveTypes.Int64}, {"money", &arrow.Decimal128Type{Precision: 18, Scale: 2}}, {"code", arrow.PrimitiveTypes.Int32},
		{"key", arrow.BinaryTypes.String}, {"time", schema.Timestamp}, {"flag", arrow.FixedWidthTypes.Boolean}} {
		fields = append(fields, arrow.Field{Name: f.name, Type: f.typ, Nullable: true})
	}
	b := array.NewRecordBuilder(mem, arrow.NewSchema(fields, nil))
	defer b.Release()
	r := rand.New(rand.NewPCG(5, 8))
	for range manyRows {
		u, day := r.Uint64(), 19358+r.IntN(365)
		b.Field(0).(*array.Int32Builder).Append(int32(u) >> 8)
		b.Field(1).(*array.Float64Builder).Append(float64(u>>20%1_000_000) / 100)
		b.Field(2).(*array.StringBuilder).Append(tripNotes[u>>8%16])
		b.Field(3).(*array.Date32Builder).Append(arrow.Date32(day))
		b.Field(4).(*array.Int64Builder).Append(int64(u >> 28))
		b.Field(5).(*array.Decimal128Builder).Append(decimal128.FromI64(int64(u>>40%100_000) - 20_000))
		if u>>12%10 > 0 {
			b.Field(6).(*array.Int32Builder).Append(int32(u >> 12 % 100))
		} else {
			b.Field(6).AppendNull()
		}
		b.Field(7).(*array.StringBuilder).Append(fmt.Sprint("k", u>>32%5000))
		seconds := int64(u>>50%2*10+u>>51%10)*3600 + int64(u>>55%6)*600 + int64(u>>58%6)*10 + 5
		b.Field(8).(*array.TimestampBuilder).Append(arrow.Timestamp((int64(day)*86_400 + seconds) * 1e6))
		b.Field(9).(*array.BooleanBuilder).Append(u>>63 > 0)
	}
	return b.NewRecord()
}

// BenchmarkEncodeFew encodes row groups of few rows, as tables of a thousand columns have, a column of each kind and all of them.
func BenchmarkEncodeFew(b *testing.B) {
	rec := many(memory.DefaultAllocator)
	defer rec.Release()
	for i := range int(rec.NumCols()) + 1 {
		name, one := "all", rec
		if i < int(rec.NumCols()) {
			f := rec.Schema().Field(i)
			name, one = f.Name, array.NewRecord(arrow.NewSchema([]arrow.Field{f}, nil), []arrow.Array{rec.Column(i)}, manyRows)
		}
		b.Run(name, func(b *testing.B) {
			s, err := newWriter(files.Request{Schema: one.Schema()})
			if err != nil {
				b.Fatal(err)
			}
			enc, err := s.NewEncoder(nil)
			if err != nil {
				b.Fatal(err)
			}
			defer enc.Close()
			size := 0
			b.ReportAllocs()
			cpu := cpuSeconds()
			for b.Loop() {
				blk, err := enc.Encode(context.Background(), []arrow.Record{one})
				if err != nil {
					b.Fatal(err)
				}
				size = len(blk.(*block).body.buf)
				blk.Release()
			}
			values := float64(b.N) * manyRows * float64(one.NumCols())
			b.ReportMetric((cpuSeconds()-cpu)*1e9/values, "cpu-ns/value")
			b.ReportMetric(float64(size)/manyRows/float64(one.NumCols()), "B/value")
		})
	}
}
