package parquet

import (
	"fmt"
	"math"
	"math/rand/v2"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/decimal128"
	"github.com/apache/arrow/go/v17/arrow/decimal256"
	"github.com/apache/arrow/go/v17/arrow/float16"
	"github.com/apache/arrow/go/v17/arrow/memory"
)

// leafTypes are all types of values the sink takes.
var leafTypes = []arrow.DataType{
	arrow.FixedWidthTypes.Boolean,
	arrow.PrimitiveTypes.Int8, arrow.PrimitiveTypes.Int16, arrow.PrimitiveTypes.Int32, arrow.PrimitiveTypes.Int64,
	arrow.PrimitiveTypes.Uint8, arrow.PrimitiveTypes.Uint16, arrow.PrimitiveTypes.Uint32, arrow.PrimitiveTypes.Uint64,
	arrow.FixedWidthTypes.Float16, arrow.PrimitiveTypes.Float32, arrow.PrimitiveTypes.Float64,
	&arrow.Decimal128Type{Precision: 1, Scale: 0}, &arrow.Decimal128Type{Precision: 9, Scale: 2},
	&arrow.Decimal128Type{Precision: 18, Scale: 18}, &arrow.Decimal128Type{Precision: 19, Scale: 4}, &arrow.Decimal128Type{Precision: 38, Scale: 10},
	&arrow.Decimal256Type{Precision: 5, Scale: 1}, &arrow.Decimal256Type{Precision: 76, Scale: 38},
	arrow.BinaryTypes.String, arrow.BinaryTypes.LargeString, arrow.BinaryTypes.Binary, arrow.BinaryTypes.LargeBinary,
	&arrow.FixedSizeBinaryType{ByteWidth: 1}, &arrow.FixedSizeBinaryType{ByteWidth: 16},
	arrow.FixedWidthTypes.Date32, arrow.FixedWidthTypes.Date64,
	arrow.FixedWidthTypes.Time32s, arrow.FixedWidthTypes.Time32ms, arrow.FixedWidthTypes.Time64us, arrow.FixedWidthTypes.Time64ns,
	arrow.FixedWidthTypes.Timestamp_s, arrow.FixedWidthTypes.Timestamp_ms, arrow.FixedWidthTypes.Timestamp_us, arrow.FixedWidthTypes.Timestamp_ns,
	&arrow.TimestampType{Unit: arrow.Microsecond}, &arrow.TimestampType{Unit: arrow.Nanosecond},
	&arrow.DictionaryType{IndexType: arrow.PrimitiveTypes.Int32, ValueType: arrow.BinaryTypes.String},
	&arrow.DictionaryType{IndexType: arrow.PrimitiveTypes.Uint8, ValueType: arrow.PrimitiveTypes.Int64},
}

// maker appends random values. Distinct bounds how many different values there are of a type (0 = no bound).
type maker struct {
	r        *rand.Rand
	nulls    float64
	distinct uint64
}

func (m *maker) bits() uint64 {
	if m.distinct > 0 {
		return m.r.Uint64N(m.distinct) * 0x9E3779B97F4A7C15
	}
	return m.r.Uint64()
}

func (m *maker) text() string {
	x := m.bits()
	switch x >> 61 {
	case 0:
		return ""
	case 1:
		return fmt.Sprintf("é東京%d", x%1000)
	case 2:
		return fmt.Sprintf("%0100d", x)
	}
	return fmt.Sprint("v", x>>40)
}

// array makes n values of type f, sliced out of the middle of a larger array so that offsets are not 0.
func (m *maker) array(mem memory.Allocator, f arrow.Field, n int) arrow.Array {
	b := array.NewBuilder(mem, f.Type)
	defer b.Release()
	const before, after = 3, 2
	for range before + n + after {
		m.append(b, f)
	}
	whole := b.NewArray()
	defer whole.Release()
	return array.NewSlice(whole, before, int64(before+n))
}

func (m *maker) record(mem memory.Allocator, s *arrow.Schema, n int) arrow.Record {
	cols := make([]arrow.Array, s.NumFields())
	for i, f := range s.Fields() {
		cols[i] = m.array(mem, f, n)
		defer cols[i].Release()
	}
	return array.NewRecord(s, cols, int64(n))
}

func (m *maker) append(b array.Builder, f arrow.Field) {
	if f.Nullable && m.r.Float64() < m.nulls {
		b.AppendNull()
		return
	}
	x := m.bits()
	switch b := b.(type) {
	case *array.BooleanBuilder:
		b.Append(x>>63 == 1)
	case *array.Int8Builder:
		b.Append(int8(x >> 56))
	case *array.Int16Builder:
		b.Append(int16(x >> 48))
	case *array.Int32Builder:
		b.Append(int32(x >> 32))
	case *array.Int64Builder:
		b.Append(int64(x))
	case *array.Uint8Builder:
		b.Append(uint8(x >> 56))
	case *array.Uint16Builder:
		b.Append(uint16(x >> 48))
	case *array.Uint32Builder:
		b.Append(uint32(x >> 32))
	case *array.Uint64Builder:
		b.Append(x)
	case *array.Float16Builder:
		b.Append(float16.New(float32(int16(x>>48)) / 64))
	case *array.Float32Builder:
		b.Append(math.Float32frombits(uint32(x >> 32)))
	case *array.Float64Builder:
		b.Append(math.Float64frombits(x))
	case *array.Decimal128Builder:
		b.Append(m.decimal(x, f.Type.(*arrow.Decimal128Type).Precision))
	case *array.Decimal256Builder:
		v := decimal256.FromBigInt(m.decimal(x, min(38, f.Type.(*arrow.Decimal256Type).Precision)).BigInt())
		if f.Type.(*arrow.Decimal256Type).Precision > 38 {
			v = v.Mul(decimal256.FromU64(x >> 8))
		}
		b.Append(v)
	case *array.StringBuilder:
		b.Append(m.text())
	case *array.LargeStringBuilder:
		b.Append(m.text())
	case *array.BinaryBuilder:
		b.Append([]byte(m.text()))
	case *array.FixedSizeBinaryBuilder:
		v := make([]byte, f.Type.(*arrow.FixedSizeBinaryType).ByteWidth)
		for i := range v {
			v[i] = byte(x >> (8 * (7 - i%8)))
		}
		b.Append(v)
	case *array.Date32Builder:
		b.Append(arrow.Date32(int32(x >> 32)))
	case *array.Date64Builder:
		b.Append(arrow.Date64(int64(int32(x>>32)) * 86_400_000))
	case *array.Time32Builder:
		b.Append(arrow.Time32(x >> 32 % 86_400))
	case *array.Time64Builder:
		b.Append(arrow.Time64(x >> 1 % 86_400_000_000))
	case *array.TimestampBuilder:
		b.Append(arrow.Timestamp(int64(x) / 2_000_000))
	case *array.BinaryDictionaryBuilder:
		if err := b.AppendString(fmt.Sprint("d", x%50)); err != nil {
			panic(err)
		}
	case *array.Int64DictionaryBuilder:
		if err := b.Append(int64(x % 50)); err != nil {
			panic(err)
		}
	case *array.StructBuilder:
		b.Append(true)
		for i, c := range f.Type.(*arrow.StructType).Fields() {
			m.append(b.FieldBuilder(i), c)
		}
	case *array.MapBuilder:
		b.Append(true)
		t := f.Type.(*arrow.MapType)
		for range m.length() {
			m.append(b.KeyBuilder(), t.KeyField())
			m.append(b.ItemBuilder(), t.ItemField())
		}
	case *array.FixedSizeListBuilder:
		b.Append(true)
		for range f.Type.(*arrow.FixedSizeListType).Len() {
			m.append(b.ValueBuilder(), f.Type.(*arrow.FixedSizeListType).ElemField())
		}
	case array.ListLikeBuilder:
		b.(interface{ Append(bool) }).Append(true)
		for range m.length() {
			m.append(b.ValueBuilder(), f.Type.(arrow.ListLikeType).ElemField())
		}
	default:
		panic(fmt.Sprintf("no random values for %T", b))
	}
}

func (m *maker) length() int {
	if m.r.IntN(3) == 0 {
		return 0
	}
	return m.r.IntN(5)
}

func (m *maker) decimal(x uint64, precision int32) decimal128.Num {
	limit := decimal128.GetScaleMultiplier(int(precision))
	_, rem := decimal128.New(int64(x>>2), x*3).Div(limit)
	if x&1 == 0 {
		return rem.Negate()
	}
	return rem
}

// schema makes a random schema of nested columns.
func (m *maker) schema(columns, depth int) *arrow.Schema {
	var fields []arrow.Field
	for i := range columns {
		fields = append(fields, m.field(fmt.Sprintf("c%d", i), depth))
	}
	return arrow.NewSchema(fields, nil)
}

func (m *maker) field(name string, depth int) arrow.Field {
	f := arrow.Field{Name: name, Nullable: m.r.IntN(4) > 0, Type: leafTypes[m.r.IntN(len(leafTypes))]}
	if depth == 0 {
		return f
	}
	switch m.r.IntN(8) {
	case 0, 1:
		f.Type = arrow.ListOfField(m.field("item", depth-1))
	case 2:
		f.Type = arrow.LargeListOfField(m.field("item", depth-1))
	case 3:
		f.Type = arrow.FixedSizeListOfField(int32(1+m.r.IntN(3)), m.field("item", depth-1))
	case 4, 5:
		var fields []arrow.Field
		for i := range 1 + m.r.IntN(3) {
			fields = append(fields, m.field(fmt.Sprintf("f%d", i), depth-1))
		}
		f.Type = arrow.StructOf(fields...)
	case 6:
		t := arrow.MapOf(arrow.BinaryTypes.String, m.field("", depth-1).Type)
		t.SetItemNullable(m.r.IntN(2) == 0)
		f.Type = t
	}
	return f
}
