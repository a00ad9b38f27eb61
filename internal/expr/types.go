package expr

import (
	"fmt"

	"github.com/apache/arrow/go/v17/arrow"

	"github.com/sluice-data/sluice/internal/schema"
)

type kind uint8

const (
	kNull kind = iota // the type of a bare NULL: adapts to anything
	kBool
	kInt8
	kInt16
	kInt32
	kInt64
	kUint8
	kUint16
	kUint32
	kUint64
	kFloat32
	kFloat64
	kDecimal
	kString
	kBinary
	kDate
	kTime
	kTimestamp
	kTimestamptz
	kInterval // within expressions only: no column holds one
	kList
	kStruct
	kOpaque // passed through and tested for NULL
)

// typ is the type of an expression as the evaluator sees it.
type typ struct {
	kind        kind
	prec, scale int32          // of a decimal
	json        bool           // a string that is JSON text
	arrow       arrow.DataType // of a list, struct or opaque column
}

var kindTypes = map[kind]arrow.DataType{kNull: arrow.BinaryTypes.String, kBool: arrow.FixedWidthTypes.Boolean,
	kInt8: arrow.PrimitiveTypes.Int8, kInt16: arrow.PrimitiveTypes.Int16, kInt32: arrow.PrimitiveTypes.Int32, kInt64: arrow.PrimitiveTypes.Int64,
	kUint8: arrow.PrimitiveTypes.Uint8, kUint16: arrow.PrimitiveTypes.Uint16, kUint32: arrow.PrimitiveTypes.Uint32, kUint64: arrow.PrimitiveTypes.Uint64,
	kFloat32: arrow.PrimitiveTypes.Float32, kFloat64: arrow.PrimitiveTypes.Float64, kString: arrow.BinaryTypes.String, kBinary: arrow.BinaryTypes.Binary,
	kDate: schema.Date, kTime: schema.Time, kTimestamp: schema.Timestamp, kTimestamptz: schema.Timestamptz}

// arrowType is the Arrow type of a result of type t. A bare NULL has no type of its own: it becomes a string.
func (t typ) arrowType() arrow.DataType {
	switch t.kind {
	case kDecimal:
		return &arrow.Decimal128Type{Precision: t.prec, Scale: t.scale}
	case kOpaque, kList, kStruct:
		return t.arrow
	}
	return kindTypes[t.kind]
}

func (t typ) String() string {
	switch {
	case t.kind == kNull:
		return "null"
	case t.kind == kInterval:
		return "interval"
	case t.json:
		return "json"
	}
	return schema.DataTypeName(t.arrowType())
}

// same reports whether values of t and o are represented alike.
func (t typ) same(o typ) bool {
	if t.kind != o.kind {
		return false
	}
	switch t.kind {
	case kDecimal:
		return t.scale == o.scale && t.prec == o.prec
	case kOpaque:
		return arrow.TypeEqual(t.arrow, o.arrow)
	case kList, kStruct:
		return arrow.TypeEqual(t.arrow, o.arrow, arrow.CheckMetadata())
	}
	return true
}

func simple(k kind) typ { return typ{kind: k} }

func decimalOf(prec, scale int32) typ { return typ{kind: kDecimal, prec: min(prec, 38), scale: scale} }

// typeOf is how the evaluator reads a column of field f. Units other than µs, dates in ms and dictionaries of strings are
// converted while reading.
func typeOf(f arrow.Field) typ {
	t := typ{kind: kOpaque, arrow: f.Type}
	switch dt := f.Type.(type) {
	case *arrow.Decimal128Type:
		return typ{kind: kDecimal, prec: dt.Precision, scale: dt.Scale}
	case *arrow.TimestampType:
		t = simple(kTimestamp)
		if dt.TimeZone != "" {
			t = simple(kTimestamptz)
		}
	case *arrow.DictionaryType:
		switch dt.ValueType.ID() {
		case arrow.STRING, arrow.LARGE_STRING:
			if !dt.Ordered {
				t = simple(kString)
			}
		}
	case *arrow.ListType:
		if canonical(dt.ElemField()) {
			t.kind = kList
		}
	case *arrow.StructType:
		t.kind = kStruct
		for _, sub := range dt.Fields() {
			if !canonical(sub) {
				t.kind = kOpaque
			}
		}
	default:
		if k, ok := columnKinds[f.Type.ID()]; ok {
			t = simple(k)
		}
	}
	t.json = t.kind == kString && schema.IsJSON(f)
	return t
}

var columnKinds = map[arrow.Type]kind{arrow.BOOL: kBool, arrow.INT8: kInt8, arrow.INT16: kInt16, arrow.INT32: kInt32, arrow.INT64: kInt64,
	arrow.UINT8: kUint8, arrow.UINT16: kUint16, arrow.UINT32: kUint32, arrow.UINT64: kUint64, arrow.FLOAT16: kFloat32, arrow.FLOAT32: kFloat32,
	arrow.FLOAT64: kFloat64, arrow.STRING: kString, arrow.LARGE_STRING: kString, arrow.BINARY: kBinary, arrow.LARGE_BINARY: kBinary,
	arrow.FIXED_SIZE_BINARY: kBinary, arrow.DATE32: kDate, arrow.DATE64: kDate, arrow.TIME32: kTime, arrow.TIME64: kTime}

// width is the bytes of a value; 0 for bitmaps and strings.
func (k kind) width() int {
	switch k {
	case kInt8, kUint8:
		return 1
	case kInt16, kUint16:
		return 2
	case kInt32, kUint32, kFloat32, kDate:
		return 4
	case kInt64, kUint64, kFloat64, kTime, kTimestamp, kTimestamptz:
		return 8
	case kDecimal, kInterval:
		return 16
	}
	return 0
}

func (k kind) signed() bool    { return k >= kInt8 && k <= kInt64 }
func (k kind) unsigned() bool  { return k >= kUint8 && k <= kUint64 }
func (k kind) integer() bool   { return k >= kInt8 && k <= kUint64 }
func (k kind) float() bool     { return k == kFloat32 || k == kFloat64 }
func (k kind) numeric() bool   { return k >= kInt8 && k <= kDecimal }
func (k kind) temporal() bool  { return k >= kDate && k <= kTimestamptz }
func (k kind) printable() bool { return k < kInterval }
func (k kind) bytes() bool     { return k == kString || k == kBinary }

// integerDigits is how many decimal digits the widest value of an integer kind has.
var integerDigits = map[kind]int32{kInt8: 3, kInt16: 5, kInt32: 10, kInt64: 19, kUint8: 3, kUint16: 5, kUint32: 10, kUint64: 20}

// asDecimal is the decimal type that holds every value of numeric type t that is not a float.
func (t typ) asDecimal() typ {
	if t.kind == kDecimal {
		return t
	}
	return decimalOf(integerDigits[t.kind], 0)
}

// widest is the type that numeric operands a and b are brought to: PostgreSQL's rules (wider integer wins, a float with
// anything else is float64, an integer beside a decimal is a decimal), continued to unsigned integers: the signed type
// that holds both. exact says what becomes of uint64 beside a signed integer: decimal(20,0), or int64 with an error for
// the rows that do not fit.
func widest(a, b typ, exact bool) typ {
	switch {
	case a.kind == b.kind && a.kind != kDecimal:
		return a
	case a.kind.float() || b.kind.float():
		return simple(kFloat64)
	case a.kind == kDecimal || b.kind == kDecimal:
		x, y := a.asDecimal(), b.asDecimal()
		scale := max(x.scale, y.scale)
		return decimalOf(max(x.prec-x.scale, y.prec-y.scale)+scale, scale)
	case a.kind.signed() == b.kind.signed():
		return simple(max(a.kind, b.kind))
	}
	s, u := a.kind, b.kind
	if u.signed() {
		s, u = u, s
	}
	if u == kUint64 {
		if exact {
			return decimalOf(20, 0)
		}
		return simple(kInt64)
	}
	return simple(max(s, u-kUint8+kInt8+1)) // the signed type twice as wide as u
}

// unify is the type that both of a CASE's (coalesce's, greatest's …) branches a and b convert to without loss.
func unify(a, b typ) (typ, bool) {
	switch {
	case a.kind == kNull:
		return b, true
	case b.kind == kNull:
		return a, true
	case a.kind.numeric() && b.kind.numeric():
		return widest(a, b, true), true
	case a.kind == kString && b.kind == kString:
		a.json = a.json && b.json
		return a, true
	case a.same(b):
		return a, true
	case a.kind == kList && b.kind == kList:
		e, ok := unify(a.elem(), b.elem())
		return listOf(e), ok
	case a.kind == kDate && (b.kind == kTimestamp || b.kind == kTimestamptz):
		return b, true
	case b.kind == kDate && (a.kind == kTimestamp || a.kind == kTimestamptz):
		return a, true
	case a.kind == kTimestamp && b.kind == kTimestamptz, a.kind == kTimestamptz && b.kind == kTimestamp:
		return simple(kTimestamptz), true
	}
	return typ{}, false
}

// castable reports whether CAST from a to b exists.
func castable(a, b typ) bool {
	switch {
	case a.kind == kNull:
		return true
	case b.json:
		return a.kind == kString
	case a.same(b):
		return true
	case a.kind == kList && b.kind == kList:
		return castable(a.elem(), b.elem())
	case !a.kind.printable() && a.kind != kInterval || !b.kind.printable() && b.kind != kInterval:
		return false
	case a.kind == kString || b.kind == kString:
		return true
	case a.kind == kInterval || b.kind == kInterval:
		return a.kind == kTime || b.kind == kTime
	case a.kind.numeric() && b.kind.numeric():
		return true
	case a.kind == kBool:
		return b.kind.integer()
	case b.kind == kBool:
		return a.kind.integer()
	case a.kind == kTime || b.kind == kTime:
		return b.kind == kTime && (a.kind == kTimestamp || a.kind == kTimestamptz)
	case a.kind.temporal() && b.kind.temporal():
		return true
	}
	return false
}

func noCast(a, b typ) string {
	msg := fmt.Sprintf("cannot cast %s to %s", a, b)
	switch {
	case b.json:
		msg += ": use to_json(x)"
	case (a.kind == kList || a.kind == kStruct) && b.kind == kString:
		msg += ": use to_json(x), or array_to_string for a list"
	case a.kind.float() && b.kind == kBool, a.kind == kDecimal && b.kind == kBool:
		msg += ": write x <> 0"
	case a.kind.temporal() && b.kind.numeric():
		msg += ": use extract(epoch FROM x)"
	}
	return msg
}
