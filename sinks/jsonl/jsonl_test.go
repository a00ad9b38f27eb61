package jsonl

import (
	"bytes"
	"context"
	"io"
	"math"
	"strings"
	"testing"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/memory"
	"go.uber.org/goleak"

	"github.com/sluice-data/sluice/internal/compress"
	"github.com/sluice-data/sluice/internal/fail"
	"github.com/sluice-data/sluice/internal/schema"
	"github.com/sluice-data/sluice/pipeline"
	"github.com/sluice-data/sluice/sinks"
	"github.com/sluice-data/sluice/sinks/files"
	"github.com/sluice-data/sluice/sinks/files/filestest"
	"github.com/sluice-data/sluice/sinks/files/lines"
	"github.com/sluice-data/sluice/sources"
	_ "github.com/sluice-data/sluice/sources/jsonl"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// read is what our own source makes of a file.
func read(codec string) func(t *testing.T, data []byte, s *arrow.Schema) []arrow.Record {
	return func(t *testing.T, data []byte, s *arrow.Schema) (out []arrow.Record) {
		t.Helper()
		f, _ := sources.Lookup("jsonl")
		req := sources.Request{Schema: sources.SchemaSpec{Mode: sources.Strict}, ChunkBytes: 1 << 20, ChunkRows: 1 << 20, MaxRecord: 1 << 20, Lanes: 1,
			Inputs: []sources.Input{{URI: "x", Stream: func(context.Context) (io.ReadCloser, error) {
				if codec == "none" {
					return io.NopCloser(bytes.NewReader(data)), nil
				}
				return compress.NewReader(codec, bytes.NewReader(data), compress.Options{})
			}}}}
		for _, f := range s.Fields() {
			req.Schema.Columns = append(req.Schema.Columns, sources.Column{Field: f})
		}
		src, err := f.Open(t.Context(), req)
		if err != nil {
			t.Fatal(err)
		}
		defer src.Close()
		dec, err := src.NewDecoder(memory.DefaultAllocator)
		if err != nil {
			t.Fatal(err)
		}
		defer dec.Close()
		for {
			c, err := src.Next(t.Context())
			if err == io.EOF {
				return out
			}
			if err != nil {
				t.Fatal(err)
			}
			var rej pipeline.Rejects
			if err := dec.Decode(t.Context(), c, &rej, func(b pipeline.Batch) error {
				b.Rec.Retain()
				out = append(out, b.Rec)
				return nil
			}); err != nil {
				t.Fatal(err)
			}
			c.Release()
			for _, r := range rej.Rows() {
				t.Fatalf("rejected: %+v", r)
			}
		}
	}
}

const rows = `[
{"id": 1, "zone": "a", "s": "", "b": true, "i8": -128, "u64": 18446744073709551615, "f32": 1.5, "f64": 0.1, "d": "-0.01", "day": "0001-01-01", "t": "23:59:59.999999", "ts": "1969-12-31 23:59:59.999999", "tz": "2024-02-29 12:00:00", "bin": "/w==", "j": "{\"a\": [1, \"x\"]}", "l": [1, null], "st": {"x": 1, "y": ["a", null]}},
{"id": 2, "zone": "b\"c\\", "s": "line\r\nend\u0001\t", "b": false, "i8": 127, "u64": 0, "f32": -3.4028235e38, "f64": 1.7976931348623157e308, "d": "9999999999999999.99", "day": "9999-12-31", "t": "00:00:00", "ts": "9999-12-31 23:59:59", "tz": "1970-01-01 00:00:00", "bin": "", "j": "[]", "l": [], "st": {"x": null, "y": []}},
{"id": 3, "zone": "größe 東京", "s": null, "b": null, "i8": null, "u64": null, "f32": null, "f64": null, "d": null, "day": null, "t": null, "ts": null, "tz": null, "bin": null, "j": null, "l": null, "st": null},
{"id": 4, "zone": "z", "s": "x", "b": true, "i8": 1, "u64": 1, "f32": 1e-45, "f64": 5e-324, "d": "1.00", "day": "2024-02-29", "t": "12:30:00", "ts": "2024-02-29 00:00:00.5", "tz": "2024-07-01 00:00:00.000001", "bin": "AAEC", "j": "1", "l": [9007199254740993], "st": {"x": -1, "y": null}}
]`

func everyType(t *testing.T) *arrow.Schema {
	t.Helper()
	fields := []arrow.Field{{Name: "id", Type: arrow.PrimitiveTypes.Int64}}
	for _, f := range [][2]string{{"zone", "string"}, {"s", "string"}, {"b", "bool"}, {"i8", "int8"}, {"u64", "uint64"}, {"f32", "float32"}, {"f64", "float64"},
		{"d", "decimal(18,2)"}, {"day", "date"}, {"t", "time"}, {"ts", "timestamp"}, {"tz", "timestamptz"}, {"bin", "binary"}, {"j", "json"}, {"l", "list<int64>"},
		{"st", "struct<x: int32, y: list<string>>"}} {
		g, err := schema.ParseField(f[0], f[1])
		if err != nil {
			t.Fatal(err)
		}
		g.Nullable = true
		fields = append(fields, g)
	}
	return arrow.NewSchema(fields, nil)
}

func TestConformance(t *testing.T) {
	for name, extension := range map[string]string{"gzip": ".jsonl.gz", "zstd": ".jsonl.zst", "none": ".jsonl"} {
		t.Run(name, func(t *testing.T) {
			filestest.Run(t, filestest.Subject{Format: Format, Options: Options{lines.Compression{Name: name}}, Extension: extension, Schema: everyType(t), Rows: rows, Read: read(name)})
		})
	}
}

// JSON that is not on one line is brought to one, and a map is a list.
func TestText(t *testing.T) {
	j, err := schema.ParseField("j", "json")
	if err != nil {
		t.Fatal(err)
	}
	s := arrow.NewSchema([]arrow.Field{j, {Name: "m", Type: arrow.MapOf(arrow.BinaryTypes.String, arrow.PrimitiveTypes.Int64), Nullable: true}}, nil)
	b := array.NewRecordBuilder(memory.DefaultAllocator, s)
	defer b.Release()
	b.Field(0).(*array.StringBuilder).Append("{\"a\":\n  1}")
	m := b.Field(1).(*array.MapBuilder)
	m.Append(true)
	m.KeyBuilder().(*array.StringBuilder).Append("k")
	m.ItemBuilder().(*array.Int64Builder).Append(2)
	rec := b.NewRecord()
	defer rec.Release()
	got, err := newAppender(s).Append(nil, rec)
	if want := "{\"j\":{\"a\":   1},\"m\":[{\"key\":\"k\",\"value\":2}]}\n"; err != nil || string(got) != want {
		t.Errorf("%v\n%s\nwant\n%s", err, got, want)
	}
}

// What JSON has no place for is refused, with its column.
func TestRefused(t *testing.T) {
	_, err := files.New(Format, sinks.Request{Schema: arrow.NewSchema([]arrow.Field{{Name: "x", Type: arrow.FixedWidthTypes.Duration_s}}, nil)})
	if fail.KindOf(err) != fail.Usage || !strings.Contains(err.Error(), `column "x": values of type duration[s] have no JSON`) {
		t.Error(err)
	}
	s := arrow.NewSchema([]arrow.Field{{Name: "x", Type: arrow.PrimitiveTypes.Float64}}, nil)
	for _, v := range []float64{math.NaN(), math.Inf(1), math.Inf(-1)} {
		b := array.NewFloat64Builder(memory.DefaultAllocator)
		b.Append(v)
		rec := array.NewRecord(s, []arrow.Array{b.NewArray()}, 1)
		if _, err := newAppender(s).Append(nil, rec); fail.KindOf(err) != fail.Data || !strings.Contains(err.Error(), `column "x": JSON has no such number`) {
			t.Error(err)
		}
		rec.Release()
	}
}
