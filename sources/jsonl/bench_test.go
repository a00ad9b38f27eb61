package jsonl

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/apache/arrow/go/v17/arrow/memory"

	"github.com/sluice-data/sluice/internal/schema"
	"github.com/sluice-data/sluice/pipeline"
	"github.com/sluice-data/sluice/sources"
)

const tripTypes = "order_id string, vendor_id int32, pickup_at timestamp, dropoff_at timestamp, passenger_count int32, trip_distance float64, " +
	"ratecode int32, store_and_fwd string, pu_location int32, do_location int32, payment_type int32, fare float64, extra float64, " +
	"mta_tax float64, tip float64, tolls float64, total float64, note string"

// trips are n lines like the taxi trips that the engines are compared on: 18 fields, about 335 bytes.
func trips(n int) []byte {
	r := rand.New(rand.NewPCG(1, 2))
	notes := []string{"null", "null", `"airport hotel"`, `"late, north"`, `"said \"ok\" at bridge"`, `"café – naïve 東京 queue"`}
	cents := func(most int) string { v := r.IntN(most); return fmt.Sprintf("%d.%02d", v/100, v%100) }
	var b bytes.Buffer
	for i := range n {
		passengers := "null"
		if r.IntN(25) > 0 {
			passengers = fmt.Sprint(1 + r.IntN(6))
		}
		fmt.Fprintf(&b, `{"order_id":"%012d","vendor_id":%d,"pickup_at":"2023-%02d-%02d %02d:%02d:%02d","dropoff_at":"2023-%02d-%02d %02d:%02d:%02d",`+
			`"passenger_count":%s,"trip_distance":%s,"ratecode":%d,"store_and_fwd":"N","pu_location":%d,"do_location":%d,"payment_type":%d,`+
			`"fare":%s,"extra":%s,"mta_tax":0.50,"tip":%s,"tolls":%s,"total":%s,"note":%s}`+"\n",
			i*2654435761%10000000000, 1+r.IntN(2), 1+r.IntN(12), 1+r.IntN(28), r.IntN(24), r.IntN(60), r.IntN(60),
			1+r.IntN(12), 1+r.IntN(28), r.IntN(24), r.IntN(60), r.IntN(60),
			passengers, cents(2000), 1+r.IntN(6), 1+r.IntN(265), 1+r.IntN(265), 1+r.IntN(5),
			cents(8000), cents(250), cents(1200), cents(700), cents(10000), notes[r.IntN(len(notes))])
	}
	return b.Bytes()
}

func benchmark(b *testing.B, data []byte, types string, need map[string]bool) {
	b.Helper()
	cols, err := columns(types)
	if err != nil {
		b.Fatal(err)
	}
	if need == nil {
		need = map[string]bool{}
		for _, c := range cols {
			need[c.Field.Name] = true
		}
	}
	src, err := open(context.Background(), sources.Request{Schema: sources.SchemaSpec{Mode: sources.Strict, Columns: cols}, Need: need, ChunkBytes: len(data), ChunkRows: 1 << 16})
	if err != nil {
		b.Fatal(err)
	}
	dec, err := src.NewDecoder(memory.DefaultAllocator)
	if err != nil {
		b.Fatal(err)
	}
	defer dec.Close()
	lines := int64(bytes.Count(data, []byte{'\n'}))
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	for b.Loop() {
		var rej pipeline.Rejects
		rows := int64(0)
		err := dec.Decode(context.Background(), &pipeline.Chunk{Data: data}, &rej, func(bt pipeline.Batch) error {
			rows += bt.Rec.NumRows()
			return nil
		})
		if err != nil || rows != lines {
			b.Fatal(rows, rej.Rows(), err)
		}
	}
}

// logs are n lines of a service's log: half of the keys are there in some lines only.
func logs(n int) []byte {
	r := rand.New(rand.NewPCG(1, 2))
	var b bytes.Buffer
	for i := range n {
		fmt.Fprintf(&b, `{"ts":"2026-01-%02dT%02d:%02d:%02d.%03dZ","level":"%s","msg":"request %d done","status":%d`,
			1+r.IntN(28), r.IntN(24), r.IntN(60), r.IntN(60), r.IntN(1000), []string{"info", "warn", "error"}[r.IntN(3)], i, 200+r.IntN(300))
		for _, c := range []struct {
			one  int // in so many lines
			text string
		}{
			{2, fmt.Sprintf(`,"user_id":%d`, r.IntN(100_000))}, {3, fmt.Sprintf(`,"path":"/api/v1/items/%d"`, r.IntN(1000))}, {2, fmt.Sprintf(`,"duration_ms":%.2f`, r.Float64()*100)},
			{5, `,"error":"timeout \"upstream\""`}, {4, fmt.Sprintf(`,"bytes":%d`, r.IntN(1_000_000))},
		} {
			if r.IntN(c.one) == 0 {
				b.WriteString(c.text)
			}
		}
		b.WriteString("}\n")
	}
	return b.Bytes()
}

func BenchmarkJSONL(b *testing.B) {
	data := trips(6000)
	spaced := bytes.ReplaceAll(bytes.ReplaceAll(data, []byte(`":`), []byte(`": `)), []byte(`,"`), []byte(`, "`))
	nested := `{"id":123456,"user":{"name":"someone","tags":["a","bc","def"],"geo":{"lat":52.5,"lon":13.25}},"items":[{"sku":"x-1","n":2},{"sku":"y-22","n":1}]}` + "\n"
	const (
		nestedTypes = "id int64, user struct<name: string, tags: list<string>, geo: struct<lat: float64, lon: float64>>, items list<struct<sku: string, n: int32>>"
		logTypes    = "ts string, level string, msg string, status int64, user_id int64, path string, duration_ms float64, error string, bytes int64"
	)
	for _, c := range []struct {
		name  string
		data  []byte
		types string
		need  map[string]bool
	}{
		{"all", data, tripTypes, nil},
		{"3columns", data, tripTypes, map[string]bool{"pickup_at": true, "fare": true, "pu_location": true}},
		{"spaced", spaced, tripTypes, nil},
		{"nested", bytes.Repeat([]byte(nested), 6000), nestedTypes, nil},
		{"logs", logs(12_000), logTypes, nil},
		{"instants", logs(12_000), strings.Replace(logTypes, "ts string", "ts timestamptz", 1), nil},
	} {
		b.Run(c.name, func(b *testing.B) { benchmark(b, c.data, c.types, c.need) })
	}
}

func BenchmarkInfer(b *testing.B) {
	data := logs(12_000)
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	for b.Loop() {
		in := newInference()
		for rest := data; len(rest) > 0; {
			n := lineLen(rest)
			if err := in.record(rest[:n], "f", 0, 0); err != nil {
				b.Fatal(err)
			}
			rest = rest[n+1:]
		}
	}
}

// columns reads declarations like "a int64, b list<string>".
func columns(types string) ([]sources.Column, error) {
	var out []sources.Column
	depth, from := 0, 0
	for i := 0; i <= len(types); i++ {
		switch {
		case i == len(types) || types[i] == ',' && depth == 0:
			var name, typ string
			decl := bytes.TrimSpace([]byte(types[from:i]))
			from = i + 1
			n := bytes.IndexByte(decl, ' ')
			if n < 0 {
				continue
			}
			name, typ = string(decl[:n]), string(decl[n+1:])
			f, err := schema.ParseField(name, typ)
			if err != nil {
				return nil, err
			}
			out = append(out, sources.Column{Field: f})
		case types[i] == '<' || types[i] == '(':
			depth++
		case types[i] == '>' || types[i] == ')':
			depth--
		}
	}
	return out, nil
}
