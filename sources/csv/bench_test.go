package csv

import (
	"context"
	"io"
	"testing"

	"github.com/apache/arrow/go/v17/arrow/memory"

	"github.com/sluice-data/sluice/pipeline"
	"github.com/sluice-data/sluice/sources"
)

// trips makes rows of the shape of the benchmark's data set: 18 columns, some 118 bytes a row, every sixth note quoted.
func trips(rows int) (text []byte, cols []sources.Column) {
	for _, c := range [][2]string{{"order_id", "string"}, {"vendor_id", "int32"}, {"pickup_at", "timestamp"}, {"dropoff_at", "timestamp"}, {"passenger_count", "int32"}, {"trip_distance", "float64"},
		{"ratecode", "int32"}, {"store_and_fwd", "string"}, {"pu_location", "int32"}, {"do_location", "int32"}, {"payment_type", "int32"}, {"fare", "float64"}, {"extra", "float64"}, {"mta_tax", "float64"},
		{"tip", "float64"}, {"tolls", "float64"}, {"total", "float64"}, {"note", "string"}} {
		if len(cols) > 0 {
			text = append(text, ',')
		}
		text = append(text, c[0]...)
		cols = append(cols, sources.Column{Field: mustField(c[0], c[1])})
		if c[1] == "timestamp" {
			cols[len(cols)-1].Format = "%Y-%m-%d %H:%M:%S"
		}
	}
	text = append(text, '\n')
	notes := []string{"", "", "late airport", "Brooklyn rain", "", `"hotel, queue"`, "gate 4 snow", "", `"said ""ok"" at bridge"`, "café – naïve 東京 rain", "cash only waiting"}
	seed := uint64(42)
	next := func(n uint64) uint64 {
		seed = seed*6364136223846793005 + 1442695040888963407
		return seed >> 33 % n
	}
	num := func(v uint64, digits int) {
		var b [12]byte
		for i := digits - 1; i >= 0; i-- {
			b[i] = byte('0' + v%10)
			v /= 10
		}
		text = append(text, b[:digits]...)
	}
	small := func(v uint64) {
		switch {
		case v < 10:
			num(v, 1)
		case v < 100:
			num(v, 2)
		default:
			num(v, 3)
		}
		text = append(text, ',')
	}
	cents := func(v uint64) {
		switch v /= 1; {
		case v < 1000:
			num(v/100, 1)
		case v < 10000:
			num(v/100, 2)
		default:
			num(v/100, 3)
		}
		text = append(text, '.')
		num(v%100, 2)
		text = append(text, ',')
	}
	stamp := func() {
		text = append(text, "2023-"...)
		num(1+next(12), 2)
		text = append(text, '-')
		num(1+next(28), 2)
		for i, sep := range " ::" {
			text = append(text, byte(sep))
			num(next([]uint64{24, 60, 60}[i]), 2)
		}
		text = append(text, ',')
	}
	for range rows {
		num(next(10000000000), 12)
		text = append(text, ',')
		small(1 + next(2))
		stamp()
		stamp()
		if next(25) > 0 {
			small(1 + next(6))
		} else {
			text = append(text, ',')
		}
		cents(next(2000))
		small(1 + next(6))
		text = append(text, "NY"[next(2)], ',')
		small(1 + next(265))
		small(1 + next(265))
		small(1 + next(5))
		cents(250 + next(6000))
		cents([]uint64{0, 50, 100, 250}[next(4)])
		cents(50)
		cents(next(1500))
		cents(next(16) / 15 * 655)
		cents(300 + next(12000))
		text = append(text, notes[next(uint64(len(notes)))]...)
		text = append(text, '\n')
	}
	return text, cols
}

// reuse is an allocator that hands freed memory out again, as the engine's does, so that the numbers are not those of fresh memory.
type reuse struct{ free map[int][][]byte }

func (r *reuse) Allocate(n int) []byte {
	if l := r.free[n]; len(l) > 0 {
		b := l[len(l)-1]
		r.free[n] = l[:len(l)-1]
		return b
	}
	return memory.DefaultAllocator.Allocate(n)
}

func (r *reuse) Reallocate(n int, b []byte) []byte {
	if n <= cap(b) {
		return b[:n]
	}
	c := r.Allocate(n)
	copy(c, b)
	r.Free(b)
	return c
}

func (r *reuse) Free(b []byte) { r.free[cap(b)] = append(r.free[cap(b)], b[:cap(b)]) }

func benchmarkDecode(b *testing.B, need map[string]bool) {
	text, cols := trips(20_000)
	req := sources.Request{ChunkBytes: 1 << 20, MaxRecord: 1 << 20, Need: need, Schema: sources.SchemaSpec{Mode: sources.Strict, Columns: cols},
		Inputs: []sources.Input{textInput("f", string(text))}}
	src, err := open(context.Background(), req, false)
	if err != nil {
		b.Fatal(err)
	}
	defer src.Close()
	dec, err := src.NewDecoder(&reuse{free: map[int][][]byte{}})
	if err != nil {
		b.Fatal(err)
	}
	defer dec.Close()
	var chunks []*pipeline.Chunk
	for range 2 {
		c, err := src.Next(context.Background())
		if err == io.EOF {
			break
		}
		chunks = append(chunks, c)
	}
	rows := 0
	b.SetBytes(int64(len(chunks[0].Data)))
	b.ReportAllocs()
	for b.Loop() {
		err := dec.Decode(context.Background(), chunks[0], &pipeline.Rejects{}, func(b pipeline.Batch) error {
			rows += int(b.Rec.NumRows())
			return nil
		})
		if err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(rows)/b.Elapsed().Seconds(), "rows/s")
}

func BenchmarkDecodeAll(b *testing.B) { benchmarkDecode(b, nil) }

func BenchmarkDecode7(b *testing.B) {
	benchmarkDecode(b, map[string]bool{"pickup_at": true, "pu_location": true, "fare": true, "tip": true, "total": true, "passenger_count": true, "trip_distance": true})
}

func BenchmarkIndex(b *testing.B) {
	text, _ := trips(2_000)
	lay := &layout{dialect: dialect{delim: ',', quote: '"', term: '\n'}, fields: 18}
	var x index
	text = text[:128<<10]
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		x.build(text, 0, len(text), false, lay)
	}
}

func BenchmarkSlowIndex(b *testing.B) {
	text, _ := trips(2_000)
	lay := &layout{dialect: dialect{delim: ',', quote: '"', term: '\n', comment: []byte("#")}, fields: 18}
	var x index
	text = text[:128<<10]
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		x.build(text, 0, len(text), false, lay)
	}
}

func BenchmarkCut(b *testing.B) {
	text, _ := trips(8_000)
	d := dialect{delim: ',', quote: '"', term: '\n'}
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		d.cut(text)
	}
}
