package schema

import (
	"fmt"

	"github.com/apache/arrow/go/v17/arrow"
)

// intKind is the width and sign of an integer type.
func intKind(dt arrow.DataType) (width int, signed, ok bool) {
	switch dt.ID() {
	case arrow.INT8, arrow.INT16, arrow.INT32, arrow.INT64:
		signed = true
	case arrow.UINT8, arrow.UINT16, arrow.UINT32, arrow.UINT64:
	default:
		return 0, false, false
	}
	return dt.(arrow.FixedWidthDataType).BitWidth(), signed, true
}

// Digits is how many decimal digits the values of an integer type have at most.
func Digits(width int, signed bool) int32 {
	switch width {
	case 8:
		return 3
	case 16:
		return 5
	case 32:
		return 10
	}
	if signed {
		return 19
	}
	return 20
}

// Widens tells whether every value of field from is a value of field to, exactly.
func Widens(from, to arrow.Field) bool {
	a, b := from.Type, to.Type
	if a.ID() == arrow.NULL {
		return true
	}
	if w, s, ok := intKind(a); ok {
		if w2, s2, ok := intKind(b); ok {
			return s == s2 && w2 >= w || !s && s2 && w2 > w
		}
		switch t := b.(type) {
		case *arrow.Float32Type:
			return w <= 16
		case *arrow.Float64Type:
			return w <= 32
		case arrow.DecimalType:
			return t.GetPrecision()-t.GetScale() >= Digits(w, s)
		}
		return false
	}
	switch t := a.(type) {
	case *arrow.BooleanType, *arrow.Date32Type, *arrow.Time64Type:
		return a.ID() == b.ID() || a.ID() == arrow.DATE32 && arrow.TypeEqual(b, Timestamp)
	case *arrow.Float32Type:
		return b.ID() == arrow.FLOAT32 || b.ID() == arrow.FLOAT64
	case *arrow.Float64Type:
		return b.ID() == arrow.FLOAT64
	case *arrow.TimestampType:
		return arrow.TypeEqual(a, b)
	case *arrow.StringType: // to json: each value is looked at
		return b.ID() == arrow.STRING || b.ID() == arrow.BINARY
	case *arrow.BinaryType: // to string: each value is looked at
		return b.ID() == arrow.BINARY || b.ID() == arrow.STRING && !IsJSON(to)
	case arrow.DecimalType:
		d, ok := b.(arrow.DecimalType)
		return ok && d.GetScale() >= t.GetScale() && d.GetPrecision()-d.GetScale() >= t.GetPrecision()-t.GetScale()
	}
	return false
}

// Union is the field that holds the values of both, for inputs without a declared type. It never turns text or json into
// something else or back.
func Union(a, b arrow.Field) (arrow.Field, error) {
	mismatch := fmt.Errorf("is %s here and %s in the inputs before", TypeName(b), TypeName(a))
	if a.Type.ID() == arrow.NULL {
		return b, nil
	}
	if b.Type.ID() == arrow.NULL {
		return a, nil
	}
	switch ta := a.Type.(type) {
	case *arrow.ListType:
		tb, ok := b.Type.(*arrow.ListType)
		if !ok {
			return a, mismatch
		}
		elem, err := Union(ta.ElemField(), tb.ElemField())
		a.Type = arrow.ListOfField(elem)
		return a, err
	case *arrow.StructType:
		tb, ok := b.Type.(*arrow.StructType)
		if !ok {
			return a, mismatch
		}
		fields, err := UnionFields(ta.Fields(), tb.Fields())
		a.Type = arrow.StructOf(fields...)
		return a, err
	}
	textual := func(f arrow.Field) bool { return f.Type.ID() == arrow.STRING || f.Type.ID() == arrow.BINARY }
	dated := func(f arrow.Field) bool { return f.Type.ID() == arrow.DATE32 }
	switch {
	case textual(a) && textual(b):
		if a.Type.ID() != b.Type.ID() || IsJSON(a) != IsJSON(b) { // the text "1" is not the number 1, which json would have it be
			return a, mismatch
		}
		return a, nil
	case dated(a) != dated(b):
		return a, mismatch
	case Widens(b, a):
		return a, nil
	case Widens(a, b):
		return b, nil
	}
	if f, ok := wider(a, b); ok {
		return f, nil
	}
	return a, mismatch
}

// wider finds a third numeric type for two that do not hold each other.
func wider(a, b arrow.Field) (arrow.Field, bool) {
	var candidates []arrow.DataType
	candidates = append(candidates, arrow.PrimitiveTypes.Int8, arrow.PrimitiveTypes.Int16, arrow.PrimitiveTypes.Int32, arrow.PrimitiveTypes.Int64, arrow.PrimitiveTypes.Float64)
	da, aok := a.Type.(arrow.DecimalType)
	db, bok := b.Type.(arrow.DecimalType)
	whole, scale := int32(0), int32(0)
	for _, d := range []arrow.DecimalType{da, db} {
		if d != nil {
			whole, scale = max(whole, d.GetPrecision()-d.GetScale()), max(scale, d.GetScale())
		}
	}
	if aok || bok {
		for _, f := range []arrow.Field{a, b} {
			if w, s, ok := intKind(f.Type); ok {
				whole = max(whole, Digits(w, s))
			}
		}
		if whole+scale <= 38 {
			candidates = append(candidates, &arrow.Decimal128Type{Precision: whole + scale, Scale: scale})
		}
	}
	for _, dt := range candidates {
		f := a
		f.Type = dt
		if Widens(a, f) && Widens(b, f) {
			return f, true
		}
	}
	return a, false
}

// UnionFields joins two lists of fields by name; new ones go to the end.
func UnionFields(a, b []arrow.Field) ([]arrow.Field, error) {
	out := append([]arrow.Field(nil), a...)
	at := map[string]int{}
	for i, f := range out {
		at[f.Name] = i
	}
	for _, f := range b {
		i, ok := at[f.Name]
		if !ok {
			at[f.Name] = len(out)
			out = append(out, f)
			continue
		}
		u, err := Union(out[i], f)
		if err != nil {
			return out, fmt.Errorf("%q %w", f.Name, err)
		}
		out[i] = u
	}
	return out, nil
}
