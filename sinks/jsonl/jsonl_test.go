package jsonl

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/float16"
	"github.com/apache/arrow/go/v17/arrow/memory"
	"go.uber.org/goleak"

	"github.com/sluice-data/sluice/internal/fail"
	"github.com/sluice-data/sluice/internal/schema"
	"github.com/sluice-data/sluice/sinks"
	"github.com/sluice-data/sluice/sinks/files"
	"github.com/sluice-data/sluice/sinks/files/filestest"
	"github.com/sluice-data/sluice/sinks/files/lines"
	"github.com/sluice-data/sluice/sources"
	_ "github.com/sluice-data/sluice/sources/jsonl"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const rows = `[
{"id": 1, "zone": "a", "s": "", "b": true, "i8": -128, "u64": 18446744073709551615, "f32": 1.5, "f64": 0.1, "d": "-0.01", "day": "0001-01-01", "t": "23:59:59.999999", "ts": "1969-12-31 23:59:59.999999", "tz": "2024-02-29 12:00:00", "bin": "/w==", "j": "{\"a\": [1, \"x\"]}", "l": [1, null], "st": {"x": 1, "y": ["a", null]}},
{"id": 2, "zone": "b\"c\\", "s": "line\r\nend\u0001\t", "b": false, "i8": 127, "u64": 0, "f32": -3.4028235e38, "f64": 1.7976931348623157e308, "d": "9999999999999999.99", "day": "9999-12-31", "t": "00:00:00", "ts": "9999-12-31 23:59:59", "tz": "1970-01-01 00:00:00", "bin": "", "j": "[]", "l": [], "st": {"x": null, "y": []}},
{"id": 3, "zone": "größe 東京", "s": null, "b": null, "i8": null, "u64": null, "f32": null, "f64": null, "d": null, "day": null, "t": null, "ts": null, "tz": null, "bin": null, "j": null, "l": null, "st": null},
{"id": 4, "zone": "z", "s": "x", "b": true, "i8": 1, "u64": 1, "f32": 1e-45, "f64": 5e-324, "d": "1.00", "day": "2024-02-29", "t": "12:30:00", "ts": "2024-02-29 00:00:00.5", "tz": "2024-07-01 00:00:00.000001", "bin": "AAEC", "j": "1", "l": [9007199254740993], "st": {"x": -1, "y": null}}
]`

func everyType(t *testing.T) *arrow.Schema {
	return filestest.Schema(t, "zone", "string", "s", "string", "b", "bool", "i8", "int8", "u64", "uint64", "f32", "float32", "f64", "float64", "d", "decimal(18,2)",
		"day", "date", "t", "time", "ts", "timestamp", "tz", "timestamptz", "bin", "binary", "j", "json", "l", "list<int64>", "st", "struct<x: int32, y: list<string>>")
}

func TestConformance(t *testing.T) {
	for name, extension := range map[string]string{"gzip": ".jsonl.gz", "zstd": ".jsonl.zst", "none": ".jsonl"} {
		t.Run(name, func(t *testing.T) {
			filestest.Run(t, filestest.Subject{Format: Format, Options: Options{lines.Compression{Name: name}}, Extension: extension, Schema: everyType(t), Rows: rows, Read: filestest.ReadBy("jsonl", name, sources.Options{})})
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
}

// The rows that the constraints refuse are those that the appender stumbles over, wherever in the value NaN, an infinity or a text that is no UTF-8 is; a null hides
// what is below it.
func TestConstraints(t *testing.T) {
	nan, bad := math.NaN(), "a\xff"
	mem := memory.NewCheckedAllocator(memory.DefaultAllocator)
	defer mem.AssertSize(t, 0)
	f64 := arrow.PrimitiveTypes.Float64
	for name, c := range map[string]struct {
		typ  arrow.DataType
		add  func(b array.Builder, dirty bool)
		want string
	}{
		"float64": {f64, func(b array.Builder, dirty bool) { b.(*array.Float64Builder).Append(pick(dirty, nan, 1)) }, "JSON has no such number"},
		"float32": {arrow.PrimitiveTypes.Float32, func(b array.Builder, dirty bool) {
			b.(*array.Float32Builder).Append(float32(pick(dirty, math.Inf(-1), 1)))
		}, "JSON has no such number"},
		"float16": {arrow.FixedWidthTypes.Float16, func(b array.Builder, dirty bool) {
			b.(*array.Float16Builder).Append(float16.New(float32(pick(dirty, math.Inf(1), 1))))
		}, "JSON has no such number"},
		"string":       {arrow.BinaryTypes.String, func(b array.Builder, dirty bool) { b.(*array.StringBuilder).Append(pick(dirty, bad, "\x00é")) }, "the text is no UTF-8"},
		"large_string": {arrow.BinaryTypes.LargeString, func(b array.Builder, dirty bool) { b.(*array.LargeStringBuilder).Append(pick(dirty, bad, "é")) }, "the text is no UTF-8"},
		"list": {arrow.ListOf(f64), func(b array.Builder, dirty bool) {
			l := b.(*array.ListBuilder)
			l.Append(true)
			l.ValueBuilder().(*array.Float64Builder).AppendValues([]float64{1, pick(dirty, nan, 2)}, nil)
		}, "JSON has no such number"},
		"struct": {arrow.StructOf(arrow.Field{Name: "x", Type: arrow.BinaryTypes.String, Nullable: true}), func(b array.Builder, dirty bool) {
			b.(*array.StructBuilder).Append(true)
			b.(*array.StructBuilder).FieldBuilder(0).(*array.StringBuilder).Append(pick(dirty, bad, "x"))
		}, "the text is no UTF-8"},
		"map": {arrow.MapOf(arrow.BinaryTypes.String, f64), func(b array.Builder, dirty bool) {
			m := b.(*array.MapBuilder)
			m.Append(true)
			m.KeyBuilder().(*array.StringBuilder).Append("k")
			m.ItemBuilder().(*array.Float64Builder).Append(pick(dirty, nan, 1))
		}, "JSON has no such number"},
		"dictionary": {&arrow.DictionaryType{IndexType: arrow.PrimitiveTypes.Int8, ValueType: arrow.BinaryTypes.String}, func(b array.Builder, dirty bool) {
			if err := b.(*array.BinaryDictionaryBuilder).AppendString(pick(dirty, bad, "x")); err != nil {
				t.Error(err)
			}
		}, "the text is no UTF-8"},
		"int64": {arrow.PrimitiveTypes.Int64, func(b array.Builder, _ bool) { b.(*array.Int64Builder).Append(1) }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			f := arrow.Field{Name: "x", Type: c.typ, Nullable: true}
			s := arrow.NewSchema([]arrow.Field{f}, nil)
			b := array.NewBuilder(mem, c.typ)
			defer b.Release()
			for _, dirty := range []bool{true, false, true} {
				b.AppendNull()
				c.add(b, dirty)
			}
			all := b.NewArray()
			defer all.Release()
			a := array.NewSlice(all, 1, 6) // dirty, null, clean, null, dirty
			defer a.Release()
			var want []string
			for i := range a.Len() {
				one := array.NewSlice(a, int64(i), int64(i+1))
				rec := array.NewRecord(s, []arrow.Array{one}, 1)
				_, err := newAppender(s).Append(nil, rec)
				if err != nil {
					want = append(want, fmt.Sprintf("%d: %s", i, errors.Unwrap(err)))
				}
				if err != nil && (fail.KindOf(err) != fail.Data || !strings.Contains(err.Error(), c.want)) {
					t.Error(err)
				}
				rec.Release()
				one.Release()
			}
			if n := len(want); n != 2 && c.want != "" {
				t.Errorf("%d rows have no JSON: %q", n, want)
			}
			if got := filestest.Refusals(Format, f, a); !slices.Equal(got, want) {
				t.Errorf("refused %q, want %q", got, want)
			}
		})
	}
}

func pick[T any](dirty bool, a, b T) T {
	if dirty {
		return a
	}
	return b
}
