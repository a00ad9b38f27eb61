package parquet

import (
	"math/big"
	"slices"
	"strings"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/parquet-go/parquet-go/deprecated"
	"github.com/parquet-go/parquet-go/encoding/thrift"
	"github.com/parquet-go/parquet-go/format"

	"github.com/sluice-data/sluice/internal/fail"
	"github.com/sluice-data/sluice/internal/schema"
)

// stepOp is one move on the way from a column of a record down to a leaf.
type stepOp uint8

const (
	opNull       stepOp = iota // nulls of an optional node end here, live slots get one definition level more
	opNotNull                  // a required node: a null is an error
	opList                     // one slot a list becomes one slot an element
	opField                    // down to field n of a struct
	opDictionary               // indices become places in the dictionary
)

type step struct {
	op   stepOp
	n    int   // opField: which; opList: repetition level of the elements
	null bool  // opDictionary: the node is optional, so its dictionary may hold nulls
	def  uint8 // opDictionary: definition level of a null
}

// leaf is a leaf column of the Parquet schema and the way to its values.
type leaf struct {
	name   string   // dotted, for messages
	path   []string // in the Parquet schema
	top    int      // column of the record
	steps  []step
	typ    arrow.DataType // of the values at the end of the steps
	kind   kind
	order  order
	phys   format.Type
	width  int // bytes of a fixed-length value
	maxDef uint8
	maxRep uint8
	flat   bool // a top-level column: its definition levels are its validity
	filter bool // chunks have a bloom filter
}

// kind is how the values of a leaf are held between Arrow and the page.
type kind uint8

const (
	kindBool  kind = iota // a byte each
	kind32                // 32-bit words
	kind64                // 64-bit words
	kindBytes             // offsets and bytes, also for fixed-length values
)

// buildSchema gives the Parquet schema of an Arrow schema, depth first, and its leaves in that order. The annotations
// follow LogicalTypes.md of the Parquet format: the logical type and, wherever there is one, the legacy converted type,
// which Athena, Spark and Redshift go by; also for local timestamps and times, as that document demands.
func buildSchema(s *arrow.Schema) ([]format.SchemaElement, []leaf, error) {
	b := schemaBuilder{}
	if s.NumFields() == 0 {
		return nil, nil, fail.Newf(fail.Usage, "a parquet file needs at least one column")
	}
	b.elements = append(b.elements, format.SchemaElement{Name: "schema", NumChildren: thrift.New(int32(s.NumFields()))})
	if err := distinct(s.Fields(), "column"); err != nil {
		return nil, nil, err
	}
	for i, f := range s.Fields() {
		if err := b.add(f, f.Name, place{top: i}); err != nil {
			return nil, nil, err
		}
	}
	return b.elements, b.leaves, nil
}

func distinct(fields []arrow.Field, what string) error {
	seen := make(map[string]bool, len(fields))
	for _, f := range fields {
		if seen[f.Name] {
			return fail.Newf(fail.Usage, "two %ss are named %q", what, f.Name).Of(f.Name, "")
		}
		seen[f.Name] = true
	}
	return nil
}

type schemaBuilder struct {
	elements []format.SchemaElement
	leaves   []leaf
}

// place is where in the schema a node hangs.
type place struct {
	path     []string
	steps    []step
	top      int
	def, rep int
}

func (p place) down(name string, steps ...step) place {
	p.path = append(slices.Clip(p.path), name)
	p.steps = append(slices.Clip(p.steps), steps...)
	return p
}

// add appends the node of field f, under the given name, and all below it.
func (b *schemaBuilder) add(f arrow.Field, name string, p place) error {
	e := format.SchemaElement{Name: name, RepetitionType: thrift.New(format.Required)}
	s := step{op: opNotNull}
	if f.Nullable {
		e.RepetitionType = thrift.New(format.Optional)
		s.op = opNull
		p.def++
	}
	p = p.down(name, s)
	if p.def > 250 {
		return fail.Newf(fail.Usage, "nested too deep for parquet").Of(p.path[0], "")
	}
	switch t := f.Type.(type) {
	case *arrow.StructType:
		if t.NumFields() == 0 {
			return fail.Newf(fail.Usage, "parquet has no struct without fields").Of(strings.Join(p.path, "."), "")
		}
		if err := distinct(t.Fields(), "struct field"); err != nil {
			return err
		}
		b.group(e, t.NumFields())
		for i, c := range t.Fields() {
			if err := b.add(c, c.Name, place{path: p.path, steps: append(slices.Clip(p.steps), step{op: opField, n: i}), top: p.top, def: p.def, rep: p.rep}); err != nil {
				return err
			}
		}
		return nil
	case *arrow.MapType:
		e.ConvertedType, e.LogicalType.Value = thrift.New(deprecated.Map), &format.MapType{}
		b.group(e, 1)
		q := b.repeated(p, "key_value", 2)
		for i, c := range []arrow.Field{t.KeyField(), t.ItemField()} {
			c.Nullable = c.Nullable && i == 1 // a key is never null
			at := q
			// the entries are a struct of their own in Arrow, which is never null
			at.steps = append(slices.Clip(q.steps), step{op: opNotNull}, step{op: opField, n: i})
			if err := b.add(c, [...]string{"key", "value"}[i], at); err != nil {
				return err
			}
		}
		return nil
	case *arrow.ListType, *arrow.LargeListType, *arrow.FixedSizeListType:
		e.ConvertedType, e.LogicalType.Value = thrift.New(deprecated.List), &format.ListType{}
		b.group(e, 1)
		return b.add(t.(arrow.ListLikeType).ElemField(), "element", b.repeated(p, "list", 1))
	}
	return b.leaf(e, f, p)
}

func (b *schemaBuilder) group(e format.SchemaElement, children int) {
	e.NumChildren = thrift.New(int32(children))
	b.elements = append(b.elements, e)
}

// repeated appends the repeated middle level of a list or map.
func (b *schemaBuilder) repeated(p place, name string, children int) place {
	b.group(format.SchemaElement{Name: name, RepetitionType: thrift.New(format.Repeated)}, children)
	p.def++
	p.rep++
	return p.down(name, step{op: opList, n: p.rep})
}

func (b *schemaBuilder) leaf(e format.SchemaElement, f arrow.Field, p place) error {
	l := leaf{name: strings.Join(p.path, "."), path: p.path, top: p.top, steps: p.steps, typ: f.Type,
		maxDef: uint8(p.def), maxRep: uint8(p.rep), flat: len(p.steps) == 1}
	if d, ok := f.Type.(*arrow.DictionaryType); ok {
		l.typ, l.flat = d.ValueType, false
		l.steps = append(slices.Clip(l.steps), step{op: opDictionary, null: f.Nullable, def: uint8(max(0, p.def-1))})
	}
	if err := l.annotate(&e, schema.IsJSON(f)); err != nil {
		return err
	}
	e.Type = thrift.New(l.phys)
	if l.phys == format.FixedLenByteArray {
		e.TypeLength = thrift.New(int32(l.width))
	}
	b.elements = append(b.elements, e)
	b.leaves = append(b.leaves, l)
	return nil
}

// annotate settles the physical type and writes the logical and the converted type.
func (l *leaf) annotate(e *format.SchemaElement, json bool) error {
	set := func(k kind, o order, phys format.Type, logical format.LogicalTypeValue, converted ...deprecated.ConvertedType) {
		l.kind, l.order, l.phys = k, o, phys
		e.LogicalType.Value = logical
		if len(converted) > 0 {
			e.ConvertedType = thrift.New(converted[0])
		}
	}
	integer := func(bits int8, signed bool, converted deprecated.ConvertedType) {
		k, phys, o := kind32, format.Int32, orderInt32
		if bits == 64 {
			k, phys, o = kind64, format.Int64, orderInt64
		}
		if !signed {
			o += orderUint32 - orderInt32
		}
		set(k, o, phys, &format.IntType{BitWidth: bits, IsSigned: signed}, converted)
	}
	switch t := l.typ.(type) {
	case *arrow.BooleanType:
		set(kindBool, orderBool, format.Boolean, nil)
	case *arrow.Int8Type:
		integer(8, true, deprecated.Int8)
	case *arrow.Int16Type:
		integer(16, true, deprecated.Int16)
	case *arrow.Int32Type:
		set(kind32, orderInt32, format.Int32, nil)
	case *arrow.Int64Type:
		set(kind64, orderInt64, format.Int64, nil)
	case *arrow.Uint8Type:
		integer(8, false, deprecated.Uint8)
	case *arrow.Uint16Type:
		integer(16, false, deprecated.Uint16)
	case *arrow.Uint32Type:
		integer(32, false, deprecated.Uint32)
	case *arrow.Uint64Type:
		integer(64, false, deprecated.Uint64)
	case *arrow.Float16Type:
		set(kindBytes, orderFloat16, format.FixedLenByteArray, &format.Float16Type{})
		l.width = 2
	case *arrow.Float32Type:
		set(kind32, orderFloat32, format.Float, nil)
	case *arrow.Float64Type:
		set(kind64, orderFloat64, format.Double, nil)
	case *arrow.StringType, *arrow.LargeStringType:
		if json {
			set(kindBytes, orderText, format.ByteArray, &format.JsonType{}, deprecated.Json)
		} else {
			set(kindBytes, orderText, format.ByteArray, &format.StringType{}, deprecated.UTF8)
		}
	case *arrow.BinaryType, *arrow.LargeBinaryType:
		set(kindBytes, orderBytes, format.ByteArray, nil)
	case *arrow.FixedSizeBinaryType:
		if t.ByteWidth < 1 {
			return fail.Newf(fail.Usage, "parquet has no binary of width %d", t.ByteWidth).Of(l.name, "")
		}
		set(kindBytes, orderFixed, format.FixedLenByteArray, nil)
		l.width = t.ByteWidth
	case *arrow.Date32Type, *arrow.Date64Type:
		set(kind32, orderInt32, format.Int32, &format.DateType{}, deprecated.Date)
	case *arrow.Time32Type: // seconds are written as milliseconds
		set(kind32, orderInt32, format.Int32, &format.TimeType{Unit: format.TimeUnit{Value: &format.MilliSeconds{}}}, deprecated.TimeMillis)
	case *arrow.Time64Type:
		if t.Unit == arrow.Nanosecond {
			set(kind64, orderInt64, format.Int64, &format.TimeType{Unit: format.TimeUnit{Value: &format.NanoSeconds{}}})
		} else {
			set(kind64, orderInt64, format.Int64, &format.TimeType{Unit: format.TimeUnit{Value: &format.MicroSeconds{}}}, deprecated.TimeMicros)
		}
	case *arrow.TimestampType:
		l.timestamp(t, set)
	case *arrow.Decimal128Type:
		return l.decimal(e, t.Precision, t.Scale, t, set)
	case *arrow.Decimal256Type:
		return l.decimal(e, t.Precision, t.Scale, t, set)
	case *arrow.NullType:
		return fail.Newf(fail.Usage, "the column holds nothing but nulls and has no type: declare one in schema.columns, or drop it").Of(l.name, "")
	default:
		return fail.Newf(fail.Usage, "parquet cannot hold values of type %s", l.typ).Of(l.name, "")
	}
	return nil
}

type setter func(kind, order, format.Type, format.LogicalTypeValue, ...deprecated.ConvertedType)

func (l *leaf) timestamp(t *arrow.TimestampType, set setter) {
	ts := &format.TimestampType{IsAdjustedToUTC: t.TimeZone != ""}
	switch t.Unit {
	case arrow.Second, arrow.Millisecond: // seconds are written as milliseconds
		ts.Unit.Value = &format.MilliSeconds{}
		set(kind64, orderInt64, format.Int64, ts, deprecated.TimestampMillis)
	case arrow.Microsecond:
		ts.Unit.Value = &format.MicroSeconds{}
		set(kind64, orderInt64, format.Int64, ts, deprecated.TimestampMicros)
	default:
		ts.Unit.Value = &format.NanoSeconds{}
		set(kind64, orderInt64, format.Int64, ts)
	}
}

func (l *leaf) decimal(e *format.SchemaElement, precision, scale int32, t arrow.DataType, set setter) error {
	if precision < 1 || precision > 76 || scale < 0 || scale > precision {
		return fail.Newf(fail.Usage, "parquet cannot hold %s: the scale must be 0 to the precision", t).Of(l.name, "")
	}
	logical := &format.DecimalType{Precision: precision, Scale: scale}
	switch wide := t.ID() == arrow.DECIMAL256; {
	case precision <= 9 && !wide:
		set(kind32, orderInt32, format.Int32, logical, deprecated.Decimal)
	case precision <= 18 && !wide:
		set(kind64, orderInt64, format.Int64, logical, deprecated.Decimal)
	default:
		set(kindBytes, orderDecimal, format.FixedLenByteArray, logical, deprecated.Decimal)
		l.width = decimalWidth(precision)
	}
	e.Precision, e.Scale = thrift.New(precision), thrift.New(scale)
	return nil
}

// decimalWidth is the fewest bytes whose two's complement holds every number of that many digits.
func decimalWidth(precision int32) int {
	most := new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(precision)), nil)
	most.Sub(most, big.NewInt(1))
	return (most.BitLen() + 1 + 7) / 8
}
