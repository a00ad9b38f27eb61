package cells

import (
	"errors"
	"slices"
	"unicode/utf8"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/float16"

	"github.com/sluice-data/sluice/internal/fail"
	"github.com/sluice-data/sluice/internal/schema"
	"github.com/sluice-data/sluice/sinks"
)

// InJSON demands that the values of f, a field that CheckJSON takes, have JSON: numbers are finite and texts UTF-8, in lists and structs,
// too. It is nil for types all of whose values have.
func InJSON(f arrow.Field) []sinks.Constraint {
	if !mayHaveNoJSON(f) {
		return nil
	}
	return []sinks.Constraint{{Column: f.Name, Because: "JSON has finite numbers and UTF-8 only", Check: func(a arrow.Array, refuse func(int, string)) {
		if allHaveJSON(f, a) {
			return
		}
		value := Values(f, a)
		var text []byte
		for i := range a.Len() {
			var err error
			if text, err = value(text[:0], i); err != nil {
				refuse(i, reason(err))
			}
		}
	}}}
}

// reason is the cause without the value, which stands beside it.
func reason(err error) string {
	if e := (*fail.Error)(nil); errors.As(err, &e) {
		return e.Err.Error()
	}
	return err.Error()
}

func mayHaveNoJSON(f arrow.Field) bool {
	switch t := f.Type.(type) {
	case *arrow.StringType, *arrow.LargeStringType:
		return !schema.IsJSON(f)
	case *arrow.Float16Type, *arrow.Float32Type, *arrow.Float64Type:
		return true
	case *arrow.StructType:
		return slices.ContainsFunc(t.Fields(), mayHaveNoJSON)
	case *arrow.MapType:
		return mayHaveNoJSON(t.KeyField()) || mayHaveNoJSON(t.ItemField())
	case arrow.ListLikeType:
		return mayHaveNoJSON(t.ElemField())
	case *arrow.DictionaryType:
		return mayHaveNoJSON(arrow.Field{Type: t.ValueType, Metadata: f.Metadata})
	}
	return false
}

// allHaveJSON is true where no value of a, used or not, is without JSON: a look at whole buffers, which is nearly always enough.
func allHaveJSON(f arrow.Field, a arrow.Array) bool {
	switch a := a.(type) {
	case *array.String, *array.LargeString:
		return schema.IsJSON(f) || allUTF8(a)
	case *array.Float16:
		return !slices.ContainsFunc(a.Values(), func(v float16.Num) bool { return v.IsNaN() || v.IsInf() })
	case *array.Float32:
		return allFinite(a.Float32Values())
	case *array.Float64:
		return allFinite(a.Float64Values())
	case *array.Struct:
		for i, c := range a.DataType().(*arrow.StructType).Fields() {
			if !allHaveJSON(c, a.Field(i)) {
				return false
			}
		}
	case *array.Map:
		t := a.DataType().(*arrow.MapType)
		return allHaveJSON(t.KeyField(), a.Keys()) && allHaveJSON(t.ItemField(), a.Items())
	case array.ListLike:
		return allHaveJSON(a.DataType().(arrow.ListLikeType).ElemField(), a.ListValues())
	case *array.Dictionary:
		return allHaveJSON(arrow.Field{Type: a.Dictionary().DataType(), Metadata: f.Metadata}, a.Dictionary())
	}
	return true
}

func allFinite[T float32 | float64](v []T) bool {
	for _, x := range v {
		if x-x != 0 { // NaN and infinities
			return false
		}
	}
	return true
}

func allUTF8(a arrow.Array) bool {
	of := Texts(a)
	for i := range a.Len() {
		if a.IsValid(i) && !utf8.Valid(of(i)) {
			return false
		}
	}
	return true
}
