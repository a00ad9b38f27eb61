package parquet

import (
	"math"
	"strings"
	"testing"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/decimal128"
	"github.com/apache/arrow/go/v17/arrow/decimal256"
	"github.com/apache/arrow/go/v17/arrow/memory"

	"github.com/sluice-data/sluice/internal/fail"
	"github.com/sluice-data/sluice/sinks"
)

// What Parquet has no place for is refused before a row is read.
func TestNewRefuses(t *testing.T) {
	ok := []arrow.Field{{Name: "a", Type: arrow.PrimitiveTypes.Int64}}
	of := func(dt arrow.DataType) []arrow.Field { return []arrow.Field{{Name: "a", Type: dt, Nullable: true}} }
	for _, c := range []struct {
		fields []arrow.Field
		opt    Options
		size   int64
		want   string
	}{
		{nil, Options{}, 0, "at least one column"},
		{of(arrow.Null), Options{}, 0, `column "a": the column holds nothing but nulls and has no type`},
		{of(arrow.ListOf(arrow.Null)), Options{}, 0, `column "a.list.element": the column holds nothing but nulls`},
		{of(arrow.FixedWidthTypes.Duration_s), Options{}, 0, "cannot hold values of type duration"},
		{of(arrow.StructOf()), Options{}, 0, "no struct without fields"},
		{of(arrow.StructOf(arrow.Field{Name: "x", Type: arrow.PrimitiveTypes.Int8}, arrow.Field{Name: "x", Type: arrow.PrimitiveTypes.Int8})), Options{}, 0, `two struct fields are named "x"`},
		{append(ok, ok...), Options{}, 0, `two columns are named "a"`},
		{of(&arrow.FixedSizeBinaryType{}), Options{}, 0, "no binary of width 0"},
		{of(&arrow.Decimal128Type{Precision: 5, Scale: -2}), Options{}, 0, "scale must be 0 to the precision"},
		{of(&arrow.DictionaryType{IndexType: arrow.PrimitiveTypes.Int8, ValueType: arrow.ListOf(arrow.PrimitiveTypes.Int8)}), Options{}, 0, "cannot hold values of type list"},
		{ok, Options{Compression: "zip"}, 0, `unknown parquet compression "zip": use zstd, snappy, gzip, lz4 or none`},
		{ok, Options{Compression: "snappy", Level: 3}, 0, "snappy has no level"},
		{ok, Options{Level: 23}, 0, "level 23 of parquet compression zstd is not in 1 to 22"},
		{ok, Options{Compression: "gzip", Level: -1}, 0, "level -1 of parquet compression gzip is not in 1 to 9"},
		{ok, Options{}, -1, "target file size is negative"},
	} {
		_, err := newSink(sinks.Request{Schema: arrow.NewSchema(c.fields, nil), Options: c.opt, TargetFileSize: c.size})
		if err == nil || !strings.Contains(err.Error(), c.want) || fail.KindOf(err) != fail.Usage {
			t.Errorf("want %q (usage), got %v", c.want, err)
		}
	}
}

// A value that its Parquet type cannot hold exactly fails the row group, named with its column.
func TestEncodeRefusesValues(t *testing.T) {
	for _, c := range []struct {
		field arrow.Field
		fill  func(b array.Builder)
		want  string
	}{
		{arrow.Field{Name: "n", Type: arrow.PrimitiveTypes.Int32}, func(b array.Builder) { b.AppendNull() }, `column "n": null in a column that is declared not null`},
		{arrow.Field{Name: "n", Type: arrow.ListOfNonNullable(arrow.PrimitiveTypes.Int32), Nullable: true}, func(b array.Builder) {
			b.(*array.ListBuilder).Append(true)
			b.(*array.ListBuilder).ValueBuilder().AppendNull()
		}, `column "n.list.element": null in a column that is declared not null`},
		{arrow.Field{Name: "d", Type: &arrow.Decimal128Type{Precision: 4, Scale: 2}}, func(b array.Builder) {
			b.(*array.Decimal128Builder).Append(decimal128.FromI64(10_000))
		}, `column "d": decimal has more than its 4 digits (value "100.00")`},
		{arrow.Field{Name: "d", Type: &arrow.Decimal128Type{Precision: 18}}, func(b array.Builder) {
			b.(*array.Decimal128Builder).Append(decimal128.New(1, 0))
		}, "decimal has more than its 18 digits"},
		{arrow.Field{Name: "d", Type: &arrow.Decimal128Type{Precision: 38}}, func(b array.Builder) {
			b.(*array.Decimal128Builder).Append(decimal128.New(math.MinInt64, 0))
		}, "decimal has more than its 38 digits"},
		{arrow.Field{Name: "d", Type: &arrow.Decimal256Type{Precision: 2}}, func(b array.Builder) {
			b.(*array.Decimal256Builder).Append(decimal256.FromI64(-100))
		}, "decimal has more than its 2 digits"},
		{arrow.Field{Name: "t", Type: arrow.FixedWidthTypes.Timestamp_s}, func(b array.Builder) {
			b.(*array.TimestampBuilder).Append(math.MaxInt64 / 999)
		}, "out of the range of parquet's milliseconds"},
		{arrow.Field{Name: "t", Type: arrow.FixedWidthTypes.Time32s}, func(b array.Builder) {
			b.(*array.Time32Builder).Append(math.MaxInt32)
		}, "out of the range of parquet's milliseconds"},
		{arrow.Field{Name: "t", Type: arrow.FixedWidthTypes.Date64}, func(b array.Builder) {
			b.(*array.Date64Builder).Append(86_400_001)
		}, `not a whole day of parquet's date (value "86400001")`},
	} {
		mem := memory.NewCheckedAllocator(memory.DefaultAllocator)
		b := array.NewBuilder(mem, c.field.Type)
		c.fill(b)
		arr := b.NewArray()
		b.Release()
		s := arrow.NewSchema([]arrow.Field{c.field}, nil)
		rec := array.NewRecord(s, []arrow.Array{arr}, 1)
		arr.Release()
		sink, err := newSink(sinks.Request{Schema: s})
		if err != nil {
			t.Fatal(err)
		}
		enc, err := sink.NewEncoder(nil)
		if err != nil {
			t.Fatal(err)
		}
		_, err = enc.Encode(t.Context(), []arrow.Record{rec})
		if err == nil || !strings.Contains(err.Error(), c.want) || fail.KindOf(err) != fail.Data {
			t.Errorf("want %q (data), got %v", c.want, err)
		}
		enc.Close()
		rec.Release()
		mem.AssertSize(t, 0)
	}
}

// A record of another schema is a bug of ours, never a file of mixed columns.
func TestEncodeRefusesOtherSchema(t *testing.T) {
	mem := memory.NewCheckedAllocator(memory.DefaultAllocator)
	defer mem.AssertSize(t, 0)
	sink, err := newSink(sinks.Request{Schema: arrow.NewSchema([]arrow.Field{{Name: "a", Type: arrow.PrimitiveTypes.Int64}}, nil)})
	if err != nil {
		t.Fatal(err)
	}
	enc, err := sink.NewEncoder(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer enc.Close()
	for _, f := range []arrow.Field{{Name: "a", Type: arrow.PrimitiveTypes.Int32}, {Name: "b", Type: arrow.PrimitiveTypes.Int64}} {
		rec := (&maker{}).emptyRecord(mem, f)
		if _, err := enc.Encode(t.Context(), []arrow.Record{rec}); fail.KindOf(err) != fail.Internal {
			t.Errorf("field %v: got %v, want an internal error", f, err)
		}
		rec.Release()
	}
}

func (*maker) emptyRecord(mem memory.Allocator, f arrow.Field) arrow.Record {
	b := array.NewRecordBuilder(mem, arrow.NewSchema([]arrow.Field{f}, nil))
	defer b.Release()
	return b.NewRecord()
}
