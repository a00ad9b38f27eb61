// Package cells prints the values of Arrow arrays one by one: as the text that the sources read as the same value, or as JSON.
package cells

import (
	"strconv"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"

	"github.com/sluice-data/sluice/internal/textval"
)

// Print appends value i, which is not null.
type Print func(dst []byte, i int) []byte

// Bytes returns the bytes of value i, which is not null. They are the array's.
type Bytes func(i int) []byte

// Texts gives the bytes of an array of strings or binary values, or of a dictionary of such; nil for others.
func Texts(a arrow.Array) Bytes {
	switch a := a.(type) {
	case *array.String:
		if a.Len() == 0 {
			return func(int) []byte { return nil }
		}
		offs, data, from := a.ValueOffsets(), a.ValueBytes(), int32(a.ValueOffset(0))
		return func(i int) []byte { return data[offs[i]-from : offs[i+1]-from] }
	case *array.Binary:
		return a.Value
	case *array.LargeString:
		return func(i int) []byte { return []byte(a.Value(i)) }
	case *array.LargeBinary:
		return a.Value
	case *array.FixedSizeBinary:
		return a.Value
	case *array.Dictionary:
		if of := Texts(a.Dictionary()); of != nil {
			return func(i int) []byte { return of(a.GetValueIndex(i)) }
		}
	}
	return nil
}

// Null reports whether value i is null, also where a dictionary holds the null.
func Null(a arrow.Array) func(i int) bool {
	if d, ok := a.(*array.Dictionary); ok {
		return func(i int) bool { return d.IsNull(i) || d.Dictionary().IsNull(d.GetValueIndex(i)) }
	}
	if a.NullN() == 0 {
		return func(int) bool { return false }
	}
	return a.IsNull
}

// Plain prints truth values, numbers, dates and times as PostgreSQL does: no character of theirs needs quoting anywhere. It is nil for
// arrays of other types.
func Plain(a arrow.Array) Print {
	switch a := a.(type) {
	case *array.Boolean:
		return func(dst []byte, i int) []byte { return strconv.AppendBool(dst, a.Value(i)) }
	case *array.Int8:
		return integers(a.Int8Values())
	case *array.Int16:
		return integers(a.Int16Values())
	case *array.Int32:
		return integers(a.Int32Values())
	case *array.Int64:
		return integers(a.Int64Values())
	case *array.Uint8:
		return integers(a.Uint8Values())
	case *array.Uint16:
		return integers(a.Uint16Values())
	case *array.Uint32:
		return integers(a.Uint32Values())
	case *array.Uint64:
		v := a.Uint64Values()
		return func(dst []byte, i int) []byte { return strconv.AppendUint(dst, v[i], 10) }
	case *array.Float16:
		return func(dst []byte, i int) []byte { return textval.AppendFloat32(dst, a.Value(i).Float32()) }
	case *array.Float32:
		v := a.Float32Values()
		return func(dst []byte, i int) []byte { return textval.AppendFloat32(dst, v[i]) }
	case *array.Float64:
		v := a.Float64Values()
		return func(dst []byte, i int) []byte { return textval.AppendFloat64(dst, v[i]) }
	case *array.Decimal128:
		scale := a.DataType().(*arrow.Decimal128Type).Scale
		return func(dst []byte, i int) []byte { return textval.AppendDecimal(dst, a.Value(i), scale) }
	case *array.Decimal256:
		scale := a.DataType().(*arrow.Decimal256Type).Scale
		return func(dst []byte, i int) []byte { return append(dst, a.Value(i).ToString(scale)...) }
	case *array.Date32:
		return func(dst []byte, i int) []byte { return textval.AppendDate(dst, int32(a.Value(i))) }
	case *array.Date64:
		return func(dst []byte, i int) []byte { return textval.AppendDate(dst, int32(int64(a.Value(i))/86_400_000)) }
	case *array.Time32:
		unit := a.DataType().(*arrow.Time32Type).Unit
		return func(dst []byte, i int) []byte { return clock(dst, int64(a.Value(i)), unit, textval.AppendTime) }
	case *array.Time64:
		unit := a.DataType().(*arrow.Time64Type).Unit
		return func(dst []byte, i int) []byte { return clock(dst, int64(a.Value(i)), unit, textval.AppendTime) }
	case *array.Timestamp:
		t := a.DataType().(*arrow.TimestampType)
		if t.TimeZone == "" {
			return func(dst []byte, i int) []byte { return clock(dst, int64(a.Value(i)), t.Unit, textval.AppendTimestamp) }
		}
		if t.Unit != arrow.Nanosecond {
			return func(dst []byte, i int) []byte { return clock(dst, int64(a.Value(i)), t.Unit, textval.AppendInstant) }
		}
		return func(dst []byte, i int) []byte { // an instant: its offset says so; nanoseconds do not reach to BC
			return append(clock(dst, int64(a.Value(i)), t.Unit, textval.AppendTimestamp), "+00"...)
		}
	case *array.Dictionary:
		if of := Plain(a.Dictionary()); of != nil {
			return func(dst []byte, i int) []byte { return of(dst, a.GetValueIndex(i)) }
		}
	}
	return nil
}

func integers[T ~int8 | ~int16 | ~int32 | ~int64 | ~uint8 | ~uint16 | ~uint32](v []T) Print {
	return func(dst []byte, i int) []byte { return strconv.AppendInt(dst, int64(v[i]), 10) }
}

// clock prints v units by what prints microseconds; nanoseconds have their own digits behind those.
func clock(dst []byte, v int64, unit arrow.TimeUnit, micros func(dst []byte, us int64) []byte) []byte {
	switch unit {
	case arrow.Second:
		return micros(dst, v*1_000_000)
	case arrow.Millisecond:
		return micros(dst, v*1000)
	case arrow.Microsecond:
		return micros(dst, v)
	}
	us, rest := v/1000, v%1000
	if rest < 0 {
		us, rest = us-1, rest+1000
	}
	if rest == 0 {
		return micros(dst, us)
	}
	at := len(dst)
	dst = micros(dst, us)
	point := len(dst)
	for i := at; i < len(dst); i++ {
		if dst[i] == '.' {
			point = i
		}
	}
	if point == len(dst) {
		dst = append(dst, '.')
	}
	for len(dst) < point+7 {
		dst = append(dst, '0')
	}
	return append(dst, byte('0'+rest/100), byte('0'+rest/10%10), byte('0'+rest%10))
}
