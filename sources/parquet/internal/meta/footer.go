// Package meta reads a Parquet file's own description: the footer and the page headers.
//
// It is written for files that lie. parquet-go's format package decodes the same structures, but makes a slice of any
// length that the file names before it looks for the elements; here nothing is allocated that the bytes at hand cannot
// fill. Source: https://github.com/apache/parquet-format/blob/master/src/main/thrift/parquet.thrift
package meta

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/parquet-go/parquet-go/format"
)

// None stands for an absent enumeration value.
const None = -1

// File is what a reader of rows needs of the footer.
type File struct {
	Schema    []Element // the tree, depth first, root first
	NumRows   int64
	RowGroups []RowGroup
	CreatedBy string
	// TypeOrder says of each leaf column whether its statistics are by the order of its type, the only one defined; without it
	// their order is not known.
	TypeOrder []bool
}

// Element is a node of the schema tree.
type Element struct {
	Name        string
	Type        format.Type // None for a group
	TypeLength  int32
	Repetition  format.FieldRepetitionType // None if absent (the root)
	NumChildren int32
	Converted   int32 // ConvertedType, or None
	Scale       int32
	Precision   int32
	Logical     Logical
}

// LogicalKind is the number of the member of parquet.thrift's LogicalType union; 0 if there is none.
type LogicalKind int16

// The kinds of logical type.
const (
	NoLogical LogicalKind = 0
	String    LogicalKind = 1
	Map       LogicalKind = 2
	List      LogicalKind = 3
	Enum      LogicalKind = 4
	Decimal   LogicalKind = 5
	Date      LogicalKind = 6
	Time      LogicalKind = 7
	Timestamp LogicalKind = 8
	Integer   LogicalKind = 10
	Null      LogicalKind = 11
	JSON      LogicalKind = 12
	BSON      LogicalKind = 13
	UUID      LogicalKind = 14
	Float16   LogicalKind = 15
	Variant   LogicalKind = 16
	Geometry  LogicalKind = 17
	Geography LogicalKind = 18
	// Interval has no member in the union; it is the legacy converted type.
	Interval LogicalKind = -2
)

// Unit is the number of the member of parquet.thrift's TimeUnit union.
type Unit int16

// The time units.
const (
	Millis Unit = 1
	Micros Unit = 2
	Nanos  Unit = 3
)

// Logical is a logical type with its parameters.
type Logical struct {
	Kind      LogicalKind
	Scale     int32
	Precision int32
	UTC       bool // isAdjustedToUTC
	Unit      Unit
	BitWidth  int8
	Signed    bool
}

// RowGroup is a horizontal part of the file.
type RowGroup struct {
	Columns []Column
	NumRows int64
}

// Column is one column chunk of a row group.
type Column struct {
	Type         format.Type
	Codec        format.CompressionCodec
	NumValues    int64 // levels, that is with nulls
	Compressed   int64 // bytes in the file, headers included
	Uncompressed int64
	DataOffset   int64 // of the first data page
	DictOffset   int64 // of the dictionary page, 0 if absent
	Elsewhere    bool  // the chunk is in another file
	Encrypted    bool
	Stats        *Statistics // nil if absent
	Offsets      Range       // of the offset index; N is 0 if there is none
	Index        Range       // of the column index
}

// Range is where something is in the file.
type Range struct {
	Off int64
	N   int32 // bytes
}

// Statistics are what a column chunk says of its values. Min and Max are in PLAIN encoding (of BYTE_ARRAY without the length);
// they bound the values, and need not be among them. What is absent is nil.
type Statistics struct {
	Min, Max       []byte // min_value, max_value: by the column's order
	OldMin, OldMax []byte // min, max: deprecated, compared as signed whatever the type
	Nulls          int64  // None if absent
}

// maxBound is how long a bound may be to be kept.
const maxBound = 256

// Clone makes statistics that do not hold on to the footer's bytes. Long bounds are left out.
func (s *Statistics) Clone() *Statistics {
	if s == nil {
		return nil
	}
	c := &Statistics{Nulls: s.Nulls}
	if len(s.Min) <= maxBound && len(s.Max) <= maxBound {
		c.Min, c.Max = bytes.Clone(s.Min), bytes.Clone(s.Max)
	}
	if len(s.OldMin) <= maxBound && len(s.OldMax) <= maxBound {
		c.OldMin, c.OldMax = bytes.Clone(s.OldMin), bytes.Clone(s.OldMax)
	}
	return c
}

// ParseFooter decodes a footer (without its length and magic).
func ParseFooter(b []byte) (*File, error) {
	c := &cursor{b: b}
	f := &File{NumRows: None}
	c.each(func(id int16, typ byte) bool {
		switch {
		case id == 2 && typ == tList:
			n, elem := c.list()
			if elem != tStruct {
				c.fail(errors.New("schema is not a list of structs"))
			}
			for ; n > 0 && c.err == nil; n-- {
				f.Schema = append(f.Schema, c.element())
			}
		case id == 3 && typ == tI64:
			f.NumRows = c.i64()
		case id == 4 && typ == tList:
			n, elem := c.list()
			if elem != tStruct && n > 0 {
				c.fail(errors.New("row groups are not a list of structs"))
			}
			for ; n > 0 && c.err == nil; n-- {
				f.RowGroups = append(f.RowGroups, c.rowGroup())
			}
		case id == 6 && typ == tBinary:
			f.CreatedBy = string(c.binary())
		case id == 7 && typ == tList:
			n, elem := c.list()
			if elem != tStruct && n > 0 {
				c.fail(errors.New("column orders are not a list of structs"))
			}
			for ; n > 0 && c.err == nil; n-- {
				known := false
				c.each(func(id int16, _ byte) bool { known = id == 1; return false })
				f.TypeOrder = append(f.TypeOrder, known)
			}
		case id == 8:
			c.fail(errors.New("columns are encrypted, which is not supported: decrypt the file first"))
		default:
			return false
		}
		return true
	})
	switch {
	case c.err != nil:
		return nil, c.err
	case len(f.Schema) == 0:
		return nil, errors.New("it has no schema")
	case f.NumRows < 0:
		return nil, errors.New("it has no number of rows")
	}
	return f, nil
}

func (c *cursor) element() Element {
	e := Element{Type: None, Repetition: None, Converted: None}
	named := false
	c.each(func(id int16, typ byte) bool {
		switch {
		case id == 1 && typ == tI32:
			e.Type = format.Type(c.i32())
		case id == 2 && typ == tI32:
			e.TypeLength = c.i32()
		case id == 3 && typ == tI32:
			e.Repetition = format.FieldRepetitionType(c.i32())
		case id == 4 && typ == tBinary:
			e.Name, named = string(c.binary()), true
		case id == 5 && typ == tI32:
			e.NumChildren = c.i32()
		case id == 6 && typ == tI32:
			e.Converted = c.i32()
		case id == 7 && typ == tI32:
			e.Scale = c.i32()
		case id == 8 && typ == tI32:
			e.Precision = c.i32()
		case id == 10 && typ == tStruct:
			e.Logical = c.logical()
		default:
			return false
		}
		return true
	})
	if !named && c.err == nil {
		c.fail(errors.New("a column has no name"))
	}
	return e
}

func (c *cursor) logical() Logical {
	var l Logical
	c.each(func(id int16, typ byte) bool {
		if typ != tStruct {
			return false
		}
		l.Kind = LogicalKind(id)
		c.each(func(id int16, typ byte) bool {
			switch {
			case l.Kind == Decimal && id == 1 && typ == tI32:
				l.Scale = c.i32()
			case l.Kind == Decimal && id == 2 && typ == tI32:
				l.Precision = c.i32()
			case (l.Kind == Time || l.Kind == Timestamp) && id == 1 && typ <= tFalse:
				l.UTC = typ == tTrue
			case (l.Kind == Time || l.Kind == Timestamp) && id == 2 && typ == tStruct:
				c.each(func(id int16, _ byte) bool { l.Unit = Unit(id); return false })
			case l.Kind == Integer && id == 1 && typ == tByte:
				l.BitWidth = int8(c.u8())
			case l.Kind == Integer && id == 2 && typ <= tFalse:
				l.Signed = typ == tTrue
			default:
				return false
			}
			return true
		})
		return true
	})
	return l
}

func (c *cursor) rowGroup() RowGroup {
	g := RowGroup{NumRows: None}
	c.each(func(id int16, typ byte) bool {
		switch {
		case id == 1 && typ == tList:
			n, elem := c.list()
			if elem != tStruct && n > 0 {
				c.fail(errors.New("column chunks are not a list of structs"))
			}
			for ; n > 0 && c.err == nil; n-- {
				g.Columns = append(g.Columns, c.column())
			}
		case id == 3 && typ == tI64:
			g.NumRows = c.i64()
		default:
			return false
		}
		return true
	})
	if c.err == nil && g.NumRows < 0 {
		c.fail(fmt.Errorf("a row group says it has %d rows", g.NumRows))
	}
	return g
}

func (c *cursor) column() Column {
	var col Column
	described := false
	c.each(func(id int16, typ byte) bool {
		switch {
		case id == 1 && typ == tBinary:
			col.Elsewhere = len(c.binary()) > 0
		case id == 3 && typ == tStruct:
			described = true
			c.each(func(id int16, typ byte) bool {
				switch {
				case id == 1 && typ == tI32:
					col.Type = format.Type(c.i32())
				case id == 4 && typ == tI32:
					col.Codec = format.CompressionCodec(c.i32())
				case id == 5 && typ == tI64:
					col.NumValues = c.i64()
				case id == 6 && typ == tI64:
					col.Uncompressed = c.i64()
				case id == 7 && typ == tI64:
					col.Compressed = c.i64()
				case id == 9 && typ == tI64:
					col.DataOffset = c.i64()
				case id == 11 && typ == tI64:
					col.DictOffset = c.i64()
				case id == 12 && typ == tStruct:
					col.Stats = c.statistics()
				default:
					return false
				}
				return true
			})
		case id == 4 && typ == tI64:
			col.Offsets.Off = c.i64()
		case id == 5 && typ == tI32:
			col.Offsets.N = c.i32()
		case id == 6 && typ == tI64:
			col.Index.Off = c.i64()
		case id == 7 && typ == tI32:
			col.Index.N = c.i32()
		case id == 8 || id == 9:
			col.Encrypted = true
			return false
		default:
			return false
		}
		return true
	})
	if c.err == nil && !described && !col.Encrypted {
		c.fail(errors.New("a column chunk has no description"))
	}
	return col
}

func (c *cursor) statistics() *Statistics {
	s := &Statistics{Nulls: None}
	c.each(func(id int16, typ byte) bool {
		switch {
		case id == 1 && typ == tBinary:
			s.OldMax = c.binary()
		case id == 2 && typ == tBinary:
			s.OldMin = c.binary()
		case id == 3 && typ == tI64:
			s.Nulls = c.i64()
		case id == 5 && typ == tBinary:
			s.Max = c.binary()
		case id == 6 && typ == tBinary:
			s.Min = c.binary()
		default:
			return false
		}
		return true
	})
	return s
}
