package csv

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"strconv"
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

// benchmarkDecode decodes the first chunk of text, some MiB, again and again.
func benchmarkDecode(b *testing.B, text []byte, req sources.Request) {
	b.Helper()
	req.ChunkBytes, req.MaxRecord, req.Inputs = 2<<20, 2<<20, []sources.Input{textInput("f", string(text))}
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
	chunk, err := src.Next(context.Background())
	if err != nil {
		b.Fatal(err)
	}
	rows := 0
	b.SetBytes(int64(len(chunk.Data)))
	b.ReportAllocs()
	for b.Loop() {
		err := dec.Decode(context.Background(), chunk, &pipeline.Rejects{}, func(b pipeline.Batch) error {
			rows += int(b.Rec.NumRows())
			return nil
		})
		if err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(rows)/b.Elapsed().Seconds()/1e6, "Mrows/s")
}

func set(names ...string) map[string]bool {
	m := map[string]bool{}
	for _, n := range names {
		m[n] = true
	}
	return m
}

// BenchmarkCSV decodes the trips: all columns, those of the aggregation, and those of one kind each, for what a kind costs.
func BenchmarkCSV(b *testing.B) {
	text, cols := trips(20_000)
	for _, c := range []struct {
		name string
		need map[string]bool
	}{
		{"all", nil},
		{"7columns", set("pickup_at", "pu_location", "do_location", "trip_distance", "fare", "tip", "total")},
		{"none", set("order")},
		{"floats", set("trip_distance", "fare", "extra", "mta_tax", "tip", "tolls", "total")},
		{"ints", set("vendor_id", "passenger_count", "ratecode", "pu_location", "do_location", "payment_type")},
		{"strings", set("order_id", "store_and_fwd", "note")},
		{"timestamps", set("pickup_at", "dropoff_at")},
	} {
		b.Run(c.name, func(b *testing.B) {
			benchmarkDecode(b, text, sources.Request{Need: c.need, Schema: sources.SchemaSpec{Mode: sources.Strict, Columns: cols}})
		})
	}
	b.Run("inferred", func(b *testing.B) { benchmarkDecode(b, text, sources.Request{}) })
	for name, spoil := range map[string]func(row []byte) []byte{
		"1%bad":    func(row []byte) []byte { row[13] = 'x'; return row }, // the vendor
		"1%ragged": func(row []byte) []byte { return append(row[:len(row)-1], ",more\n"...) },
	} {
		b.Run(name, func(b *testing.B) {
			var bad []byte
			for i, row := range bytes.SplitAfter(text, []byte("\n")) {
				if i%100 == 50 {
					row = spoil(bytes.Clone(row))
				}
				bad = append(bad, row...)
			}
			benchmarkDecode(b, bad, sources.Request{Schema: sources.SchemaSpec{Mode: sources.Strict, Columns: cols}})
		})
	}
}

// mixed makes cells of three columns in turn: an integer, a number of two decimals, a short text or none.
func mixed(numbers uint64) func(b []byte, r uint64, c int) []byte {
	return func(b []byte, r uint64, c int) []byte {
		switch c % 3 {
		case 0:
			return strconv.AppendUint(b, r%numbers, 10)
		case 1:
			return strconv.AppendFloat(b, float64(r%numbers)/100, 'f', 2, 64)
		}
		return append(b, []string{"alpha", "", "rain", "N"}[r%4]...)
	}
}

// BenchmarkCSVShapes are tables of other shapes, declared.
func BenchmarkCSVShapes(b *testing.B) {
	b.Run("wide", func(b *testing.B) {
		text, cols := table(1000, 1000, mixed(100_000), "int64", "float64", "string")
		benchmarkDecode(b, text, sources.Request{Schema: sources.SchemaSpec{Mode: sources.Strict, Columns: cols}})
	})
	b.Run("narrow", func(b *testing.B) {
		text, cols := table(150_000, 3, mixed(1_000_000), "int64", "float64", "string")
		benchmarkDecode(b, text, sources.Request{Schema: sources.SchemaSpec{Mode: sources.Strict, Columns: cols}})
	})
	b.Run("quoted", func(b *testing.B) {
		text, cols := table(20_000, 10, func(b []byte, r uint64, _ int) []byte {
			return append(append(append(b, '"'), []string{"plain text", "one, two", `a ""word""`, "two\nlines"}[r%4]...), '"')
		}, "string")
		benchmarkDecode(b, text, sources.Request{Schema: sources.SchemaSpec{Mode: sources.Strict, Columns: cols}})
	})
	b.Run("long numbers", func(b *testing.B) {
		text, cols := table(20_000, 8, func(b []byte, r uint64, c int) []byte {
			if c%2 == 0 {
				return strconv.AppendInt(b, int64(r)>>8, 10)
			}
			return strconv.AppendFloat(b, -float64(r%1_000_000_000_000_000)/1e9, 'f', 9, 64)
		}, "int64", "float64")
		benchmarkDecode(b, text, sources.Request{Schema: sources.SchemaSpec{Mode: sources.Strict, Columns: cols}})
	})
}

// table makes rows of cols columns, of types in turn, whose cells cell appends from a random number.
func table(rows, cols int, cell func(b []byte, r uint64, c int) []byte, types ...string) (text []byte, columns []sources.Column) {
	for c := range cols {
		name := fmt.Sprintf("c%d", c)
		columns = append(columns, sources.Column{Field: mustField(name, types[c%len(types)])})
		text = append(append(text, name...), ',')
	}
	text[len(text)-1] = '\n'
	seed := uint64(42)
	for range rows {
		for c := range cols {
			seed = seed*6364136223846793005 + 1442695040888963407
			text = append(cell(text, seed>>13, c), ',')
		}
		text[len(text)-1] = '\n'
	}
	return text, columns
}

// BenchmarkInfer looks at every value for its type.
func BenchmarkInfer(b *testing.B) {
	text, _ := trips(20_000)
	req := sources.Request{ChunkBytes: 1 << 20, MaxRecord: 1 << 20, FullScan: true, Inputs: []sources.Input{textInput("f", string(text))}}
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	for b.Loop() {
		src, err := open(context.Background(), req, false)
		if err != nil {
			b.Fatal(err)
		}
		src.Close()
	}
}

func BenchmarkIndex(b *testing.B) {
	text, _ := trips(2_000)
	text = text[:128<<10]
	for name, d := range map[string]dialect{"fast": {delim: ',', quote: '"', term: '\n'}, "slow": {delim: ',', quote: '"', term: '\n', comment: []byte("#")}} {
		b.Run(name, func(b *testing.B) {
			lay := &layout{dialect: d, fields: 18}
			var x index
			b.SetBytes(int64(len(text)))
			for b.Loop() {
				x.build(text, 0, len(text), false, lay)
			}
		})
	}
}

// BenchmarkSmallInputs binds and cuts inputs of 100 KB with a header each: what an object costs beside its rows.
func BenchmarkSmallInputs(b *testing.B) {
	text, cols := trips(850)
	req := sources.Request{Schema: sources.SchemaSpec{Columns: cols}, ChunkBytes: 1 << 20, MaxRecord: 1 << 20, Lanes: 2}
	for i := range 100 {
		req.Inputs = append(req.Inputs, textInput(strconv.Itoa(i), string(text)))
	}
	b.SetBytes(int64(len(req.Inputs) * len(text)))
	b.ReportAllocs()
	for b.Loop() {
		src, err := open(b.Context(), req, false)
		if err != nil {
			b.Fatal(err)
		}
		for err == nil {
			var c *pipeline.Chunk
			if c, err = src.Next(b.Context()); err == nil {
				c.Release()
			}
		}
		if err != io.EOF {
			b.Fatal(err)
		}
		src.Close()
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
