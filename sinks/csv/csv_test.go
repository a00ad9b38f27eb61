package csv

import (
	"math"
	"strings"
	"testing"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/memory"
	"go.uber.org/goleak"

	"github.com/sluice-data/sluice/internal/fail"
	"github.com/sluice-data/sluice/internal/spec"
	"github.com/sluice-data/sluice/sinks"
	"github.com/sluice-data/sluice/sinks/files"
	"github.com/sluice-data/sluice/sinks/files/filestest"
	"github.com/sluice-data/sluice/sinks/files/lines"
	"github.com/sluice-data/sluice/sources"
	_ "github.com/sluice-data/sluice/sources/csv"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// read is what our own source makes of a file.
func read(o Options, codec string) func(t *testing.T, data []byte, s *arrow.Schema) []arrow.Record {
	header := !o.NoHeader
	return filestest.ReadBy("csv", codec, sources.Options{Delimiter: string(o.withDefaults().Delimiter), Header: &header, NullValues: []string{o.NullValue}})
}

// rows have the edges of every type; in each column there is a null.
const rows = `[
{"id": 1, "zone": "a", "s": "", "b": true, "i8": -128, "u64": 18446744073709551615, "f32": 1.5, "f64": 0.1, "d": "-0.01", "day": "0001-01-01", "t": "23:59:59.999999", "ts": "1969-12-31 23:59:59.999999", "tz": "2024-02-29 12:00:00", "j": "{\"a\": [1, \"x\"]}"},
{"id": 2, "zone": "b,\"c\"", "s": "line\r\nend, \"quoted\"", "b": false, "i8": 127, "u64": 0, "f32": -3.4028235e38, "f64": 1.7976931348623157e308, "d": "9999999999999999.99", "day": "9999-12-31", "t": "00:00:00", "ts": "9999-12-31 23:59:59", "tz": "1970-01-01 00:00:00", "j": "[]"},
{"id": 3, "zone": "größe 東京", "s": " spaces ", "b": null, "i8": 0, "u64": 7, "f32": 1e-45, "f64": 5e-324, "d": "0.00", "day": "2024-02-29", "t": "12:30:00", "ts": "2024-02-29 00:00:00.5", "tz": "2024-07-01 00:00:00.000001", "j": "\"text\""},
{"id": 4, "zone": "NA", "s": "NA", "b": true, "i8": null, "u64": null, "f32": null, "f64": null, "d": null, "day": null, "t": null, "ts": null, "tz": null, "j": null},
{"id": 5, "zone": "#c", "s": null, "b": true, "i8": 1, "u64": 1, "f32": 1, "f64": 1e22, "d": "1.00", "day": "1970-01-01", "t": "00:00:00.1", "ts": "1970-01-01 00:00:00", "tz": "1970-01-01 00:00:00", "j": "1"}
]`

func everyType(t *testing.T) *arrow.Schema {
	return filestest.Schema(t, "zone", "string", "s", "string", "b", "bool", "i8", "int8", "u64", "uint64", "f32", "float32", "f64", "float64", "d", "decimal(18,2)",
		"day", "date", "t", "time", "ts", "timestamp", "tz", "timestamptz", "j", "json")
}

func TestConformance(t *testing.T) {
	for name, c := range map[string]struct {
		options   Options
		extension string
	}{
		"gzip": {Options{}, ".csv.gz"},
		"zstd": {Options{NullValue: "NA", Delimiter: ';', Compression: lines.Compression{Name: "zstd", Level: 3}}, ".csv.zst"},
		"none": {Options{NullValue: "1", Delimiter: '\t', NoHeader: true, Compression: lines.Compression{Name: "none"}}, ".csv"},
	} {
		t.Run(name, func(t *testing.T) {
			filestest.Run(t, filestest.Subject{Format: Format, Options: c.options, Extension: c.extension, Schema: everyType(t), Rows: rows, Read: read(c.options, name)})
		})
	}
}

// What is in the file, byte for byte.
func TestText(t *testing.T) {
	s := arrow.NewSchema(filestest.Schema(t, "a,b", "string", "n", "int64", "l", "list<int64>").Fields()[1:], nil)
	rec, _, err := array.RecordFromJSON(memory.DefaultAllocator, s, strings.NewReader(`[
		{"a,b": "x", "n": 1, "l": [1, null]}, {"a,b": null, "n": null, "l": null}, {"a,b": "", "n": -5, "l": []}, {"a,b": "say \"hi\"", "n": 0, "l": [2]},
		{"a,b": "two\nlines", "n": 0, "l": [2]}, {"a,b": " x", "n": 0, "l": [2]}, {"a,b": "#x", "n": 0, "l": [2]}]`))
	if err != nil {
		t.Fatal(err)
	}
	defer rec.Release()
	a := &appender{schema: s, q: newQuoting(Options{Delimiter: ','})}
	got, err := a.Append(nil, rec)
	if want := "x,1,\"[1,null]\"\n,,\n\"\",-5,[]\n\"say \"\"hi\"\"\",0,[2]\n\"two\nlines\",0,[2]\n\" x\",0,[2]\n\"#x\",0,[2]\n"; err != nil || string(got) != want {
		t.Errorf("%v\n%s\nwant\n%s", err, got, want)
	}
}

// What no CSV file can hold is refused: a type before the first row, a value with its column.
func TestRefused(t *testing.T) {
	for typ, want := range map[string]string{"binary": "encode(column, 'base64')", "null": "nothing but nulls"} {
		f := arrow.Field{Name: "x", Type: arrow.BinaryTypes.Binary}
		if typ == "null" {
			f.Type = arrow.Null
		}
		_, err := files.New(Format, sinks.Request{Schema: arrow.NewSchema([]arrow.Field{f}, nil)})
		if fail.KindOf(err) != fail.Usage || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", typ, err)
		}
	}
	for text, want := range map[string]string{"a\x00b": `column "s": the text has a NUL byte`, "a\xff": `column "s": the text is no UTF-8`} {
		b := array.NewStringBuilder(memory.DefaultAllocator)
		b.Append(text)
		s := arrow.NewSchema([]arrow.Field{{Name: "s", Type: arrow.BinaryTypes.String}}, nil)
		rec := array.NewRecord(s, []arrow.Array{b.NewArray()}, 1)
		_, err := (&appender{schema: s, q: newQuoting(Options{}.withDefaults())}).Append(nil, rec)
		if fail.KindOf(err) != fail.Data || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", text, err)
		}
		if got := filestest.Refusals(Format, s.Field(0), rec.Column(0)); len(got) != 1 || !strings.HasPrefix("column \"s\": "+got[0][3:], want) {
			t.Errorf("%q: %q", text, got)
		}
		rec.Release()
	}
	// NaN is a word in a cell, and nothing in JSON.
	s := filestest.Schema(t, "f", "float64", "l", "list<float64>")
	b := array.NewRecordBuilder(memory.DefaultAllocator, arrow.NewSchema(s.Fields()[1:], nil))
	defer b.Release()
	l := b.Field(1).(*array.ListBuilder)
	for _, v := range []float64{1, math.NaN()} {
		b.Field(0).(*array.Float64Builder).Append(v)
		l.Append(true)
		l.ValueBuilder().(*array.Float64Builder).Append(v)
	}
	rec := b.NewRecord()
	defer rec.Release()
	if got := filestest.Refusals(Format, s.Field(1), rec.Column(0)); got != nil {
		t.Error(got)
	}
	if got := filestest.Refusals(Format, s.Field(2), rec.Column(1)); len(got) != 1 || !strings.HasPrefix(got[0], "1: JSON has no such number") {
		t.Error(got)
	}
}

func TestOptions(t *testing.T) {
	for text, want := range map[string]string{
		"{}":                               "gzip",
		"{delimiter: tab, null_value: NA}": `gzip, delimiter "\t", null as "NA"`,
		"{header: false, compression: zstd, level: 3}": "zstd level 3, no header",
		"{null_value: NULL}":                           `gzip, null as "NULL"`,
		"{delimiter: a}":                               `delimiter "a" is of what values are made of`,
		"{null_value: 'a,b'}":                          "has a quote, the delimiter or a line end in it",
		"{compression: none, level: 1}":                "compression none has no levels",
		"{level: 10}":                                  "level of gzip must be 1 to 9",
		"{headr: false}":                               `unknown key "headr": did you mean "header"?`,
	} {
		n, err := spec.Parse("p.yaml", []byte(text))
		if err != nil {
			t.Fatal(err)
		}
		o, err := readOptions(n)
		if err != nil && (fail.KindOf(err) != fail.Usage || !strings.Contains(err.Error(), want)) || err == nil && o.String() != want {
			t.Errorf("%s: %v, %v, want %s", text, o, err, want)
		}
	}
}
