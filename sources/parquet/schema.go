package parquet

import (
	"errors"
	"fmt"
	"math/bits"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/parquet-go/parquet-go/format"

	"github.com/sluice-data/sluice/internal/schema"
	"github.com/sluice-data/sluice/sources/parquet/internal/meta"
)

const (
	// maxNesting bounds the depth of the schema tree.
	maxNesting = 32
	// maxPaths bounds the bytes of all columns' paths: each row group's description has them all, here and in what is written.
	maxPaths = 16 << 20
)

// shape is what a node of the schema tree becomes.
type shape int

const (
	leafShape shape = iota
	structShape
	listShape
)

// node is a column of a file, or a part of one, as Arrow sees it: lists and maps are one node each, whatever groups the
// file writes them with.
type node struct {
	shape shape
	field arrow.Field // its own type; Null stands for a column that the file types as null
	path  *path       // for messages
	def   uint8       // definition level from which on it is not null
	// lists
	elem    *node
	elemDef uint8 // definition level from which on there is an element
	// structs
	children []*node
	leaf     *leaf
	// err is why the column cannot be read; it counts only if the column is needed
	err error
}

// leaf is a column chunk's column.
type leaf struct {
	index  int // among the column chunks of a row group
	path   *path
	phys   format.Type
	width  int // bytes of a fixed-width value; 0 for BYTE_ARRAY and BOOLEAN
	maxDef uint8
	maxRep uint8
	kind   kind
	// typeOrder: min_value and max_value are by the order of its type
	typeOrder bool
}

// path is where a column is in the schema. Its text is made when a message needs it: as text, the paths of all columns of a group would hold the
// group's name as often.
type path struct {
	up   *path // nil at the top
	name string
	size int // bytes of the text
}

func below(up *path, name string) *path {
	if up == nil {
		return &path{name: name, size: len(name)}
	}
	return &path{up, name, up.size + 1 + len(name)}
}

// String is the dotted path, as the file spells it.
func (p *path) String() string {
	if p == nil {
		return ""
	}
	if p.up == nil {
		return p.name
	}
	return p.up.String() + "." + p.name
}

// later is an error whose text is made when it is asked for: for most columns that cannot be read it never is.
type later func() string

func (l later) Error() string { return l() }

func unreadable(at *path, why error) error {
	return later(func() string { return fmt.Sprintf("column %q: %v", at, why) })
}

// tree builds nodes from the footer's flat schema.
type tree struct {
	elems  []meta.Element
	next   int
	leaves []*leaf
	paths  int // bytes of the leaves' paths
}

// parseSchema gives the top-level columns and all leaves of a file.
func parseSchema(elems []meta.Element) ([]*node, []*leaf, error) {
	t := &tree{elems: elems, next: 1}
	root := elems[0]
	if root.Type != meta.None && root.NumChildren == 0 {
		return nil, nil, errors.New("schema has no root group")
	}
	var cols []*node
	seen := map[string]bool{}
	for range root.NumChildren {
		n, err := t.read(nil, 0, 0, 1)
		if err != nil {
			return nil, nil, err
		}
		if seen[n.field.Name] {
			return nil, nil, fmt.Errorf("column %q is there twice", n.field.Name)
		}
		seen[n.field.Name] = true
		cols = append(cols, n)
	}
	if t.next != len(elems) {
		return nil, nil, fmt.Errorf("schema has %d nodes that belong to no column", len(elems)-t.next)
	}
	return cols, t.leaves, nil
}

// read takes the next element and its subtree. def and rep are the levels of what encloses it.
func (t *tree) read(parent *path, def, rep uint8, depth int) (*node, error) {
	if t.next >= len(t.elems) {
		return nil, errors.New("schema ends within a group")
	}
	if depth > maxNesting {
		return nil, fmt.Errorf("column %q is nested more than %d deep", parent, maxNesting)
	}
	e := &t.elems[t.next]
	at := below(parent, e.Name)
	switch e.Repetition {
	case format.Required:
		return t.value(e, at, def, rep, depth)
	case format.Optional:
		return t.value(e, at, def+1, rep, depth)
	case format.Repeated: // not in a LIST or MAP: a required list of required elements
		elem, err := t.value(e, at, def+1, rep+1, depth)
		if err != nil {
			return nil, err
		}
		return listOf(e.Name, at, def, def+1, elem), nil
	}
	return nil, fmt.Errorf("column %q is neither required nor optional nor repeated", at)
}

// value reads the element and its subtree, present from level def on; its own repetition is accounted for.
func (t *tree) value(e *meta.Element, at *path, def, rep uint8, depth int) (*node, error) {
	t.next++
	if e.Type != meta.None {
		if e.NumChildren > 0 {
			return nil, fmt.Errorf("column %q has both a type and children", at)
		}
		return t.leafOf(e, at, def, rep)
	}
	if e.NumChildren <= 0 {
		return nil, fmt.Errorf("column %q is a group of no columns", at)
	}
	n := &node{shape: structShape, path: at, def: def}
	log := logicalOf(e)
	switch log.Kind {
	case meta.List, meta.Map:
		if e.NumChildren == 1 && t.next < len(t.elems) && t.elems[t.next].Repetition == format.Repeated {
			return t.list(e, log.Kind == meta.Map, at, def, rep, depth)
		}
		n.err = later(func() string {
			return fmt.Sprintf("column %q says it is a %s but is not built like one", at, kindName(log.Kind))
		})
	case meta.NoLogical:
	default:
		n.err = later(func() string {
			return fmt.Sprintf("column %q has logical type %s, which is not supported: select the other columns", at, kindName(log.Kind))
		})
	}
	seen := map[string]bool{}
	var fields []arrow.Field
	for range e.NumChildren {
		c, err := t.read(at, def, rep, depth+1)
		if err != nil {
			return nil, err
		}
		if seen[c.field.Name] {
			return nil, fmt.Errorf("column %q is there twice", c.path)
		}
		seen[c.field.Name] = true
		n.children = append(n.children, c)
		fields = append(fields, c.field)
		if n.err == nil { // one is enough for a message
			n.err = c.err
		}
	}
	n.field = arrow.Field{Name: e.Name, Type: arrow.StructOf(fields...), Nullable: true}
	return n, nil
}

// list reads the repeated child of a LIST or MAP group, by the rules for old writers too.
// Source: https://github.com/apache/parquet-format/blob/master/LogicalTypes.md#lists
func (t *tree) list(outer *meta.Element, isMap bool, at *path, def, rep uint8, depth int) (*node, error) {
	r := &t.elems[t.next]
	inner := below(at, r.Name)
	itself := r.Type != meta.None || r.NumChildren != 1 || r.Name == "array" || r.Name == outer.Name+"_tuple" ||
		t.next+1 < len(t.elems) && t.elems[t.next+1].Repetition == format.Repeated
	if isMap {
		itself = true
	}
	var elem *node
	var err error
	if itself {
		e := *r
		if isMap { // old writers annotate the inner group as MAP_KEY_VALUE
			e.Logical, e.Converted = meta.Logical{}, meta.None
		}
		elem, err = t.value(&e, inner, def+1, rep+1, depth+1)
	} else {
		t.next++
		elem, err = t.read(inner, def+1, rep+1, depth+1)
	}
	if err != nil {
		return nil, err
	}
	if isMap && elem.shape == structShape && elem.err == nil {
		names := [2]string{"key", "value"}
		if len(elem.children) > 2 {
			n := len(elem.children)
			elem.err = later(func() string { return fmt.Sprintf("column %q is a map with %d columns", at, n) })
		} else {
			fields := make([]arrow.Field, len(elem.children))
			for i, c := range elem.children {
				c.field.Name = names[i]
				fields[i] = c.field
			}
			elem.field.Type = arrow.StructOf(fields...)
		}
	}
	return listOf(outer.Name, at, def, def+1, elem), nil
}

func listOf(name string, at *path, def, elemDef uint8, elem *node) *node {
	elem.field.Name = "element"
	elem.field.Nullable = true
	return &node{shape: listShape, path: at, def: def, elemDef: elemDef, elem: elem, err: elem.err,
		field: arrow.Field{Name: name, Type: arrow.ListOfField(elem.field), Nullable: true}}
}

func (t *tree) leafOf(e *meta.Element, at *path, def, rep uint8) (*node, error) {
	l := &leaf{index: len(t.leaves), path: at, phys: e.Type, maxDef: def, maxRep: rep}
	t.leaves = append(t.leaves, l)
	if t.paths += at.size; t.paths > maxPaths {
		return nil, fmt.Errorf("names of the columns, with those of the groups they are in, have more than %d bytes", maxPaths)
	}
	switch e.Type {
	case format.Boolean, format.ByteArray:
	case format.Int32, format.Float:
		l.width = 4
	case format.Int64, format.Double:
		l.width = 8
	case format.Int96:
		l.width = 12
	case format.FixedLenByteArray:
		if e.TypeLength <= 0 || e.TypeLength > 1<<20 {
			return nil, fmt.Errorf("column %q has values of %d bytes", at, e.TypeLength)
		}
		l.width = int(e.TypeLength)
	default:
		return nil, fmt.Errorf("column %q has unknown physical type %d", at, e.Type)
	}
	n := &node{shape: leafShape, path: at, def: def, leaf: l, field: arrow.Field{Name: e.Name, Nullable: true}}
	var err error
	if l.kind, err = kindOf(e); err != nil {
		n.err = unreadable(at, err)
		n.field.Type = arrow.Null
		return n, nil
	}
	n.field = l.kind.field(e.Name)
	return n, nil
}

// base is what kind of value a leaf holds.
type base int

const (
	nullBase base = iota
	boolBase
	intBase
	floatBase
	decimalBase
	dateBase
	timeBase
	timestampBase
	int96Base
	stringBase
	jsonBase
	binaryBase
	uuidBase
)

// kind is the type of a leaf's values, whatever way the file says it.
type kind struct {
	base   base
	bits   int // int, float
	signed bool
	prec   int32 // decimal
	scale  int32
	unit   meta.Unit
	utc    bool
}

// field is the column of Sluice's types that holds every value of the kind exactly, or lets single rows be refused.
func (k kind) field(name string) arrow.Field {
	f := arrow.Field{Name: name, Nullable: true}
	switch k.base {
	case nullBase:
		f.Type = arrow.Null
	case boolBase:
		f.Type = arrow.FixedWidthTypes.Boolean
	case intBase:
		f.Type = intTypes[intIndex(k.bits, k.signed)]
	case floatBase:
		f.Type = arrow.PrimitiveTypes.Float32
		if k.bits == 64 {
			f.Type = arrow.PrimitiveTypes.Float64
		}
	case decimalBase:
		f.Type = decimalType(k.prec, k.scale)
	case dateBase:
		f.Type = schema.Date
	case timeBase:
		f.Type = schema.Time
	case timestampBase:
		f.Type = schema.Timestamp
		if k.utc {
			f.Type = schema.Timestamptz
		}
	case int96Base:
		f.Type = schema.Timestamp
	case stringBase, uuidBase:
		f.Type = arrow.BinaryTypes.String
	case jsonBase:
		return schema.JSONField(name)
	case binaryBase:
		f.Type = arrow.BinaryTypes.Binary
	}
	return f
}

var intTypes = [8]arrow.DataType{arrow.PrimitiveTypes.Int8, arrow.PrimitiveTypes.Int16, arrow.PrimitiveTypes.Int32, arrow.PrimitiveTypes.Int64,
	arrow.PrimitiveTypes.Uint8, arrow.PrimitiveTypes.Uint16, arrow.PrimitiveTypes.Uint32, arrow.PrimitiveTypes.Uint64}

func intIndex(width int, signed bool) int {
	i := bits.TrailingZeros(uint(width)) - 3
	if !signed {
		i += 4
	}
	return i
}

// decimalType is decimal128 up to 38 digits and decimal256 above.
func decimalType(prec, scale int32) arrow.DataType {
	if prec > 38 {
		return &arrow.Decimal256Type{Precision: prec, Scale: scale}
	}
	return &arrow.Decimal128Type{Precision: prec, Scale: scale}
}

// kindOf settles a leaf's kind from its physical and logical type, and refuses the combinations that the specification
// does not have.
func kindOf(e *meta.Element) (kind, error) {
	l := logicalOf(e)
	wrong := fmt.Errorf("logical type %s on physical type %s is not supported: select the other columns", kindName(l.Kind), e.Type)
	is := func(ts ...format.Type) bool {
		for _, t := range ts {
			if e.Type == t {
				return true
			}
		}
		return false
	}
	k := kind{}
	switch l.Kind {
	case meta.NoLogical:
		switch e.Type {
		case format.Boolean:
			k.base = boolBase
		case format.Int32:
			k = kind{base: intBase, bits: 32, signed: true}
		case format.Int64:
			k = kind{base: intBase, bits: 64, signed: true}
		case format.Int96:
			k.base = int96Base
		case format.Float:
			k = kind{base: floatBase, bits: 32}
		case format.Double:
			k = kind{base: floatBase, bits: 64}
		default:
			k.base = binaryBase
		}
		return k, nil
	case meta.Null:
		return k, nil
	case meta.String, meta.Enum, meta.JSON:
		if !is(format.ByteArray, format.FixedLenByteArray) {
			return k, wrong
		}
		k.base = stringBase
		if l.Kind == meta.JSON {
			k.base = jsonBase
		}
	case meta.BSON:
		if !is(format.ByteArray) {
			return k, wrong
		}
		k.base = binaryBase
	case meta.UUID:
		if !is(format.FixedLenByteArray) || e.TypeLength != 16 {
			return k, wrong
		}
		k.base = uuidBase
	case meta.Float16:
		if !is(format.FixedLenByteArray) || e.TypeLength != 2 {
			return k, wrong
		}
		k = kind{base: floatBase, bits: 16}
	case meta.Date:
		if !is(format.Int32) {
			return k, wrong
		}
		k.base = dateBase
	case meta.Time:
		if !is(format.Int32) && l.Unit == meta.Millis || !is(format.Int64) && l.Unit != meta.Millis || l.Unit < meta.Millis || l.Unit > meta.Nanos {
			return k, wrong
		}
		k = kind{base: timeBase, unit: l.Unit}
	case meta.Timestamp:
		if !is(format.Int64) || l.Unit < meta.Millis || l.Unit > meta.Nanos {
			return k, wrong
		}
		k = kind{base: timestampBase, unit: l.Unit, utc: l.UTC}
	case meta.Integer:
		switch l.BitWidth {
		case 8, 16, 32:
			if !is(format.Int32) {
				return k, wrong
			}
		case 64:
			if !is(format.Int64) {
				return k, wrong
			}
		default:
			return k, fmt.Errorf("integer of %d bits is not supported", l.BitWidth)
		}
		k = kind{base: intBase, bits: int(l.BitWidth), signed: l.Signed}
	case meta.Decimal:
		if !is(format.Int32, format.Int64, format.ByteArray, format.FixedLenByteArray) {
			return k, wrong
		}
		if l.Precision < 1 || l.Precision > 76 || l.Scale < 0 || l.Scale > l.Precision {
			return k, fmt.Errorf("decimal(%d,%d) is not supported: the precision must be 1 to 76 and the scale 0 to the precision", l.Precision, l.Scale)
		}
		k = kind{base: decimalBase, prec: l.Precision, scale: l.Scale}
	default:
		return k, wrong
	}
	return k, nil
}

// logicalOf is the element's logical type, made from the legacy converted type where there is no other.
// Source: https://github.com/apache/parquet-format/blob/master/LogicalTypes.md
func logicalOf(e *meta.Element) meta.Logical {
	l := e.Logical
	if l.Kind != meta.NoLogical {
		return l
	}
	switch e.Converted {
	case 0:
		l.Kind = meta.String
	case 1, 2:
		l.Kind = meta.Map
	case 3:
		l.Kind = meta.List
	case 4:
		l.Kind = meta.Enum
	case 5:
		l = meta.Logical{Kind: meta.Decimal, Scale: e.Scale, Precision: e.Precision}
	case 6:
		l.Kind = meta.Date
	case 7, 8:
		l = meta.Logical{Kind: meta.Time, UTC: true, Unit: meta.Unit(e.Converted - 6)}
	case 9, 10:
		l = meta.Logical{Kind: meta.Timestamp, UTC: true, Unit: meta.Unit(e.Converted - 8)}
	case 11, 12, 13, 14:
		l = meta.Logical{Kind: meta.Integer, BitWidth: 8 << (e.Converted - 11)}
	case 15, 16, 17, 18:
		l = meta.Logical{Kind: meta.Integer, BitWidth: 8 << (e.Converted - 15), Signed: true}
	case 19:
		l.Kind = meta.JSON
	case 20:
		l.Kind = meta.BSON
	case 21:
		l.Kind = meta.Interval
	}
	return l
}

func kindName(k meta.LogicalKind) string {
	names := map[meta.LogicalKind]string{meta.String: "STRING", meta.Map: "MAP", meta.List: "LIST", meta.Enum: "ENUM", meta.Decimal: "DECIMAL",
		meta.Date: "DATE", meta.Time: "TIME", meta.Timestamp: "TIMESTAMP", meta.Integer: "INTEGER", meta.Null: "NULL", meta.JSON: "JSON",
		meta.BSON: "BSON", meta.UUID: "UUID", meta.Float16: "FLOAT16", meta.Variant: "VARIANT", meta.Geometry: "GEOMETRY",
		meta.Geography: "GEOGRAPHY", meta.Interval: "INTERVAL"}
	if n, ok := names[k]; ok {
		return n
	}
	return fmt.Sprintf("number %d", k)
}
