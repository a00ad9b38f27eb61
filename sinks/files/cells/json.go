package cells

import (
	"encoding/base64"
	"fmt"
	"math"
	"unicode/utf8"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"

	"github.com/sluice-data/sluice/internal/fail"
	"github.com/sluice-data/sluice/internal/schema"
	"github.com/sluice-data/sluice/internal/textval"
)

// JSON prints value i as JSON, null too.
type JSON func(dst []byte, i int) ([]byte, error)

// CheckJSON says why values of field f have no JSON, or nil.
func CheckJSON(f arrow.Field) error {
	switch t := f.Type.(type) {
	case *arrow.NullType:
		return fail.Newf(fail.Usage, "the column holds nothing but nulls and has no type: declare one in schema.columns, or drop it").Of(f.Name, "")
	case *arrow.StructType:
		for _, c := range t.Fields() {
			if err := CheckJSON(c); err != nil {
				return err
			}
		}
		return nil
	case *arrow.MapType:
		for _, c := range []arrow.Field{t.KeyField(), t.ItemField()} {
			if err := CheckJSON(c); err != nil {
				return err
			}
		}
		return nil
	case arrow.ListLikeType:
		return CheckJSON(t.ElemField())
	case *arrow.DictionaryType:
		return CheckJSON(arrow.Field{Name: f.Name, Type: t.ValueType})
	case *arrow.DurationType, *arrow.MonthIntervalType, *arrow.DayTimeIntervalType, *arrow.MonthDayNanoIntervalType:
	case arrow.FixedWidthDataType, arrow.BinaryDataType:
		return nil
	}
	return fail.Newf(fail.Usage, "values of type %s have no JSON", f.Type).Of(f.Name, "")
}

// Values makes the printer of a column, of a field that CheckJSON takes. Lists and structs become arrays and objects, a map a list of
// objects of key and value, as the sources have it; dates and times are strings, binary values base64 (RFC 4648, padded), and json stands
// as it is written, on one line. Errors are of kind Data: NaN and infinities have no JSON.
func Values(f arrow.Field, a arrow.Array) JSON {
	print := values(f, a)
	null := Null(a)
	return func(dst []byte, i int) ([]byte, error) {
		if null(i) {
			return append(dst, "null"...), nil
		}
		return print(dst, i)
	}
}

func values(f arrow.Field, a arrow.Array) JSON {
	if f.Type.ID() == arrow.STRING && schema.IsJSON(f) {
		of := Texts(a)
		return func(dst []byte, i int) ([]byte, error) { return appendOneLine(dst, of(i)), nil }
	}
	switch a := a.(type) {
	case *array.String, *array.LargeString:
		of := Texts(a)
		return func(dst []byte, i int) ([]byte, error) {
			s := of(i)
			if !utf8.Valid(s) {
				return dst, fail.Newf(fail.Data, "the text is no UTF-8, which JSON has to be").Of(f.Name, string(s))
			}
			return textval.AppendJSONString(dst, s), nil
		}
	case *array.Binary, *array.LargeBinary, *array.FixedSizeBinary:
		of := Texts(a)
		return func(dst []byte, i int) ([]byte, error) {
			return append(base64.StdEncoding.AppendEncode(append(dst, '"'), of(i)), '"'), nil
		}
	case *array.Float16:
		return finite(f, Plain(a), func(i int) float64 { return float64(a.Value(i).Float32()) })
	case *array.Float32:
		return finite(f, Plain(a), func(i int) float64 { return float64(a.Value(i)) })
	case *array.Float64:
		return finite(f, Plain(a), a.Value)
	case *array.Date32, *array.Date64, *array.Time32, *array.Time64, *array.Timestamp:
		plain := Plain(a)
		return func(dst []byte, i int) ([]byte, error) { return append(plain(append(dst, '"'), i), '"'), nil }
	case *array.Struct:
		return object(a)
	case *array.Map:
		return list(arrow.Field{Name: f.Name, Type: a.DataType().(*arrow.MapType).Elem()}, a.ListValues(), a.ValueOffsets)
	case array.ListLike:
		return list(a.DataType().(arrow.ListLikeType).ElemField(), a.ListValues(), a.ValueOffsets)
	case *array.Dictionary:
		of := Values(arrow.Field{Name: f.Name, Type: a.Dictionary().DataType(), Metadata: f.Metadata}, a.Dictionary())
		return func(dst []byte, i int) ([]byte, error) { return of(dst, a.GetValueIndex(i)) }
	}
	plain := Plain(a)
	return func(dst []byte, i int) ([]byte, error) { return plain(dst, i), nil }
}

func finite(f arrow.Field, plain Print, value func(i int) float64) JSON {
	return func(dst []byte, i int) ([]byte, error) {
		if v := value(i); math.IsNaN(v) || math.IsInf(v, 0) {
			return dst, fail.Newf(fail.Data, "JSON has no such number: cast the column to string, or replace it by null").Of(f.Name, fmt.Sprint(v))
		}
		return plain(dst, i), nil
	}
}

func list(elem arrow.Field, values arrow.Array, bounds func(i int) (from, to int64)) JSON {
	of := Values(elem, values)
	return func(dst []byte, i int) ([]byte, error) {
		dst = append(dst, '[')
		from, to := bounds(i)
		for k := from; k < to; k++ {
			if k > from {
				dst = append(dst, ',')
			}
			var err error
			if dst, err = of(dst, int(k)); err != nil {
				return dst, err
			}
		}
		return append(dst, ']'), nil
	}
}

func object(a *array.Struct) JSON {
	fields := a.DataType().(*arrow.StructType).Fields()
	keys, of := make([][]byte, len(fields)), make([]JSON, len(fields))
	for k, f := range fields {
		keys[k] = Key(f.Name, k == 0)
		of[k] = Values(f, a.Field(k))
	}
	return func(dst []byte, i int) ([]byte, error) {
		dst = append(dst, '{')
		for k := range of {
			dst = append(dst, keys[k]...)
			var err error
			if dst, err = of[k](dst, i); err != nil {
				return dst, err
			}
		}
		return append(dst, '}'), nil
	}
}

// Key is what stands before the value of a member of that name: a comma where it is not the first, the name and a colon.
func Key(name string, first bool) []byte {
	var b []byte
	if !first {
		b = append(b, ',')
	}
	return append(textval.AppendJSONString(b, []byte(name)), ':')
}

// appendOneLine appends JSON with its line ends, which stand between tokens only, as spaces.
func appendOneLine(dst, s []byte) []byte {
	at := len(dst)
	dst = append(dst, s...)
	for i := at; i < len(dst); i++ {
		if c := dst[i]; c == '\n' || c == '\r' {
			dst[i] = ' '
		}
	}
	return dst
}
