package parquet

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"testing"
	"time"

	"github.com/apache/arrow/go/v17/arrow/memory"
	pq "github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/compress"

	"github.com/sluice-data/sluice/pipeline"
	"github.com/sluice-data/sluice/sources"
)

// trip has the 18 columns of the benchmark file.
type trip struct {
	Vendor     int32     `parquet:",dict"`
	Pickup     time.Time `parquet:",timestamp(microsecond:local)"`
	Dropoff    time.Time `parquet:",timestamp(microsecond:local)"`
	Passengers int32     `parquet:",dict"`
	Distance   float64
	Rate       int32   `parquet:",dict"`
	Flag       string  `parquet:",dict"`
	PU         int32   `parquet:",dict"`
	DO         int32   `parquet:",dict"`
	Payment    int32   `parquet:",dict"`
	Fare       float64 `parquet:",dict"`
	Extra      float64 `parquet:",dict"`
	MTA        float64 `parquet:",dict"`
	Tip        float64 `parquet:",dict"`
	Tolls      float64 `parquet:",dict"`
	Surcharge  float64 `parquet:",dict"`
	Total      float64
	Congestion *float64 `parquet:",dict"`
}

func trips(b *testing.B, n int) []byte {
	b.Helper()
	var buf bytes.Buffer
	w := pq.NewGenericWriter[trip](&buf, pq.Compression(&pq.Zstd), pq.MaxRowsPerRowGroup(122880), pq.PageBufferSize(1<<20))
	x := uint64(1)
	next := func(m int) int {
		x ^= x << 13
		x ^= x >> 7
		x ^= x << 17
		return int(x % uint64(m))
	}
	at := time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC)
	rows := make([]trip, 8192)
	for done := 0; done < n; done += len(rows) {
		rows = rows[:min(len(rows), n-done)]
		for i := range rows {
			at = at.Add(time.Duration(next(5)) * time.Second)
			rows[i] = trip{int32(next(2)), at, at.Add(time.Duration(next(3600)) * time.Second), int32(next(6)), float64(next(10000)) / 100, int32(next(5)), []string{"N", "N", "N", "Y"}[next(4)],
				int32(next(265)), int32(next(265)), int32(next(4)), float64(next(8000)) / 100, float64(next(10)) / 2, 0.5, float64(next(2000)) / 100, float64(next(700)) / 100, 0.3, float64(next(1<<30)) / 100, nil}
			if next(20) > 0 {
				rows[i].Congestion = ptr(2.5)
			}
		}
		if _, err := w.Write(rows); err != nil {
			b.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		b.Fatal(err)
	}
	return buf.Bytes()
}

// BenchmarkDecode reads a zstd file in one lane: all 18 columns, and 7 of them.
func BenchmarkDecode(b *testing.B) {
	data := trips(b, 1_000_000)
	need := map[string]bool{"Passengers": true, "Rate": true, "DO": true, "Payment": true, "Extra": true, "Tolls": true, "Total": true}
	for _, n := range []map[string]bool{nil, need} {
		name := "all"
		if n != nil {
			name = fmt.Sprint(len(n), " columns")
		}
		b.Run(name, func(b *testing.B) { benchmarkRead(b, input("bench", data), n) })
	}
}

// BenchmarkNested reads lists and structs in one lane.
func BenchmarkNested(b *testing.B) {
	type point struct {
		X, Y int64
		Name *string `parquet:",optional,dict"`
	}
	type row struct {
		ID     int64
		Ints   []int64  `parquet:",list"`
		Texts  []string `parquet:",list,dict"`
		At     point
		Points []point `parquet:",list"`
	}
	for name, column := range map[string]string{"list of int64": "Ints", "list of string": "Texts", "struct": "At", "list of struct": "Points", "all": ""} {
		b.Run(name, func(b *testing.B) {
			const n = 200_000
			rows := make([]row, n)
			names := []string{"north", "east", "south", "west"}
			for i := range rows {
				r := row{ID: int64(i), At: point{int64(i), int64(-i), &names[i%4]}}
				for k := range i * 7 % 6 {
					r.Ints = append(r.Ints, int64(i*k))
					r.Texts = append(r.Texts, names[k%4])
					if k < 3 {
						r.Points = append(r.Points, point{int64(k), int64(i), nil})
					}
				}
				rows[i] = r
			}
			var need map[string]bool
			if column != "" {
				need = map[string]bool{column: true}
			}
			benchmarkRead(b, input("bench", write(b, rows, pq.Compression(&pq.Snappy), pq.MaxRowsPerRowGroup(122880))), need)
		})
	}
}

// BenchmarkEncoding reads a column of each encoding, uncompressed; and of each codec.
func BenchmarkEncoding(b *testing.B) {
	type row struct {
		Plain     int64
		Dict      int64   `parquet:",dict"`
		Delta     int64   `parquet:",delta"`
		Split     float64 `parquet:",split"`
		Optional  *int64  `parquet:",optional,dict"`
		Text      string
		DictText  string `parquet:",dict"`
		DeltaText string `parquet:",delta"`
		Bool      bool
	}
	const n = 500_000
	rows := make([]row, n)
	for i := range rows {
		text := fmt.Sprintf("text %06d", i*7919%n)
		rows[i] = row{int64(i) * 7919, int64(i*7919%5000) * 1e9, int64(i) * 1000, float64(i) / 3, nil, text, text[:8], text, i%3 == 0}
		if i%10 > 0 {
			rows[i].Optional = ptr(int64(i % 300))
		}
	}
	data := write(b, rows, pq.Compression(&pq.Uncompressed), pq.MaxRowsPerRowGroup(122880), pq.PageBufferSize(1<<20))
	for _, c := range []string{"Plain", "Dict", "Delta", "Split", "Optional", "Text", "DictText", "DeltaText", "Bool"} {
		b.Run(c, func(b *testing.B) { benchmarkRead(b, input("bench", data), map[string]bool{c: true}) })
	}
	for name, codec := range map[string]compress.Codec{"snappy": &pq.Snappy, "zstd": &pq.Zstd, "gzip": &pq.Gzip, "lz4_raw": &pq.Lz4Raw, "brotli": &pq.Brotli} {
		data := write(b, rows, pq.Compression(codec), pq.MaxRowsPerRowGroup(122880), pq.PageBufferSize(1<<20))
		b.Run(name, func(b *testing.B) { benchmarkRead(b, input("bench", data), nil) })
	}
}

func benchmarkRead(b *testing.B, in sources.Input, need map[string]bool) {
	b.Helper()
	b.ReportAllocs()
	rows := int64(0)
	for b.Loop() {
		rows += decodeAll(b, in, need)
	}
	b.ReportMetric(float64(rows)/b.Elapsed().Seconds()/1e6, "Mrow/s")
}

func decodeAll(b *testing.B, in sources.Input, need map[string]bool) (rows int64) {
	b.Helper()
	ctx := context.Background()
	src, err := open(ctx, sources.Request{Inputs: []sources.Input{in}, Need: need})
	if err != nil {
		b.Fatal(err)
	}
	dec, err := src.NewDecoder(memory.NewGoAllocator())
	if err != nil {
		b.Fatal(err)
	}
	defer dec.Close()
	for {
		c, err := src.Next(ctx)
		if err == io.EOF {
			return rows
		}
		if err == nil {
			err = dec.Decode(ctx, c, &pipeline.Rejects{}, func(x pipeline.Batch) error { rows += x.Rec.NumRows(); return nil })
		}
		if err != nil {
			b.Fatal(err)
		}
	}
}
