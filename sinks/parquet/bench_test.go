package parquet

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"syscall"
	"testing"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/memory"

	"github.com/sluice-data/sluice/internal/schema"
	"github.com/sluice-data/sluice/sinks/files"
)

var tripNotes = []string{"airport", "hotel", "late", "north", "bridge", "queue", "cash only", "left lane", "baby seat", "rain",
	"snow", "driver", "toll paid", "luggage", "Times Square", "Brooklyn", "shared", "waiting", "gate 4", "receipt"}

// tripsSchema is that of the peers' data set: 18 columns of taxi trips.
func tripsSchema() *arrow.Schema {
	var fields []arrow.Field
	for _, c := range []struct {
		names []string
		typ   arrow.DataType
	}{
		{[]string{"order_id"}, arrow.BinaryTypes.String}, {[]string{"vendor_id"}, arrow.PrimitiveTypes.Int32},
		{[]string{"pickup_at", "dropoff_at"}, schema.Timestamp}, {[]string{"passenger_count"}, arrow.PrimitiveTypes.Int32},
		{[]string{"trip_distance"}, arrow.PrimitiveTypes.Float64}, {[]string{"ratecode"}, arrow.PrimitiveTypes.Int32},
		{[]string{"store_and_fwd"}, arrow.BinaryTypes.String}, {[]string{"pu_location", "do_location", "payment_type"}, arrow.PrimitiveTypes.Int32},
		{[]string{"fare", "extra", "mta_tax", "tip", "tolls", "total"}, arrow.PrimitiveTypes.Float64}, {[]string{"note"}, arrow.BinaryTypes.String},
	} {
		for _, n := range c.names {
			fields = append(fields, arrow.Field{Name: n, Type: c.typ, Nullable: true})
		}
	}
	return arrow.NewSchema(fields, nil)
}

// trips makes rows of the distributions that the peers' data set has.
func trips(mem memory.Allocator, seed uint64, rows int) arrow.Record {
	r := rand.New(rand.NewPCG(seed, 42))
	b := array.NewRecordBuilder(mem, tripsSchema())
	defer b.Release()
	i32 := func(c int, v int) { b.Field(c).(*array.Int32Builder).Append(int32(v)) }
	f64 := func(c int, cents int) { b.Field(c).(*array.Float64Builder).Append(float64(cents) / 100) }
	str := func(c int, v string) { b.Field(c).(*array.StringBuilder).Append(v) }
	ts := func(c int, s int64) { b.Field(c).(*array.TimestampBuilder).Append(arrow.Timestamp(s * 1_000_000)) }
	exp := func(m float64) float64 { return -m * math.Log(1-r.Float64()) }
	const total = 10_000_000
	for i := range rows {
		row := uint64(i) + seed*uint64(rows)
		at := 1672531200 + int64(row*365*86400/total) + int64(r.IntN(6*86400)) - 3*86400
		str(0, fmt.Sprintf("%012d", (row*2654435761+12345)%10000000000))
		i32(1, 1+r.IntN(2))
		ts(2, at)
		ts(3, at+int64(60+exp(840)))
		switch {
		case r.IntN(100) < 4:
			b.Field(4).AppendNull()
		case r.IntN(3) > 0:
			i32(4, 1)
		default:
			i32(4, 1+r.IntN(6))
		}
		dist := int(exp(330))
		f64(5, dist)
		i32(6, 1+r.IntN(20)/19*(1+r.IntN(5)))
		str(7, []string{"N", "Y"}[(1+r.IntN(60))/60])
		i32(8, min(265, 1+int(math.Sqrt(r.Float64())*265)))
		i32(9, 1+r.IntN(265))
		pay := 1
		if r.IntN(3) == 0 {
			pay = 1 + r.IntN(5)
		}
		i32(10, pay)
		fare := 250 + dist*3 + r.IntN(40)*10
		if r.IntN(150) == 0 {
			fare = -fare
		}
		extra, tip, tolls := []int{0, 50, 100, 250}[r.IntN(4)], 0, (1+r.IntN(15))/15*655
		if pay == 1 {
			tip = max(0, int(float64(fare)*(0.1+0.2*r.Float64())))
		}
		f64(11, fare)
		f64(12, extra)
		f64(13, 50)
		f64(14, tip)
		f64(15, tolls)
		f64(16, fare+extra+50+tip+tolls)
		word := tripNotes[r.IntN(len(tripNotes))]
		switch k := r.IntN(20); {
		case k < 8:
			b.Field(17).AppendNull()
		case k < 16:
			str(17, word+" "+tripNotes[r.IntN(len(tripNotes))])
		case k < 18:
			str(17, word+", "+tripNotes[r.IntN(len(tripNotes))])
		case k == 18:
			str(17, `said "ok" at `+word)
		default:
			str(17, "café – naïve 東京 "+word)
		}
	}
	return b.NewRecord()
}

// BenchmarkEncode encodes a row group of 18 columns. It reports millions of rows a second of CPU time, which other
// work on the machine does not change, and bytes a row.
func BenchmarkEncode(b *testing.B) {
	const rows = 122_880
	rec := trips(memory.DefaultAllocator, 3, rows)
	defer rec.Release()
	for _, c := range []Options{{Compression: "zstd", Level: 3}, {Compression: "zstd", Level: 1}, {Compression: "snappy"}, {Compression: "lz4"}, {Compression: "none"}} {
		b.Run(fmt.Sprintf("%s-%d", c.Compression, c.Level), func(b *testing.B) {
			s, err := newWriter(files.Request{Schema: rec.Schema(), Options: c})
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
				blk, err := enc.Encode(context.Background(), []arrow.Record{rec})
				if err != nil {
					b.Fatal(err)
				}
				size = len(blk.(*block).body.buf)
				blk.Release()
			}
			b.ReportMetric(float64(b.N)*rows/(cpuSeconds()-cpu)/1e6, "Mrow/cpu-s")
			b.ReportMetric(float64(size)/rows, "B/row")
		})
	}
}

// BenchmarkEncodeColumn encodes a row group of one column, of each type and distribution that trips have.
func BenchmarkEncodeColumn(b *testing.B) {
	const rows = 122_880
	rec := trips(memory.DefaultAllocator, 3, rows)
	defer rec.Release()
	for _, codec := range []string{"zstd", "none"} {
		for i, f := range rec.Schema().Fields() {
			b.Run(codec+"/"+f.Name, func(b *testing.B) {
				schema := arrow.NewSchema([]arrow.Field{f}, nil)
				one := array.NewRecord(schema, []arrow.Array{rec.Column(i)}, rows)
				defer one.Release()
				s, err := newWriter(files.Request{Schema: schema, Options: Options{Compression: codec}})
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
				for b.Loop() {
					blk, err := enc.Encode(context.Background(), []arrow.Record{one})
					if err != nil {
						b.Fatal(err)
					}
					size = len(blk.(*block).body.buf)
					blk.Release()
				}
				b.ReportMetric(float64(b.N)*rows/b.Elapsed().Seconds()/1e6, "Mrow/s")
				b.ReportMetric(float64(size)/rows, "B/row")
			})
		}
	}
}

// BenchmarkEncodeNested encodes lists of structs.
func BenchmarkEncodeNested(b *testing.B) {
	m := maker{r: rand.New(rand.NewPCG(1, 1)), nulls: 0.1, distinct: 1000}
	item := arrow.StructOf(arrow.Field{Name: "sku", Type: arrow.BinaryTypes.String, Nullable: true}, arrow.Field{Name: "qty", Type: arrow.PrimitiveTypes.Int32, Nullable: true})
	s := arrow.NewSchema([]arrow.Field{{Name: "items", Type: arrow.ListOf(item), Nullable: true}}, nil)
	rec := m.record(memory.DefaultAllocator, s, 50_000)
	defer rec.Release()
	sink, err := newWriter(files.Request{Schema: s, Options: Options{Compression: "none"}})
	if err != nil {
		b.Fatal(err)
	}
	enc, err := sink.NewEncoder(nil)
	if err != nil {
		b.Fatal(err)
	}
	defer enc.Close()
	cpu := cpuSeconds()
	for b.Loop() {
		blk, err := enc.Encode(context.Background(), []arrow.Record{rec})
		if err != nil {
			b.Fatal(err)
		}
		blk.Release()
	}
	b.ReportMetric(float64(b.N)*50_000/(cpuSeconds()-cpu)/1e6, "Mrow/cpu-s")
}

// cpuSeconds is the CPU time of the process so far.
func cpuSeconds() float64 {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return float64(u.Utime.Nano()+u.Stime.Nano()) / 1e9
}
