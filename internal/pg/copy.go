package pg

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/memory"

	"github.com/sluice-data/sluice/internal/expr"
	"github.com/sluice-data/sluice/internal/schema"
)

// Type is PostgreSQL's type for values of one of ours.
type Type struct {
	Name string // as DDL has it: "numeric(18,2)", "bigint[]"
	OID  uint32
	// JSON says that the values are written out as JSON: json columns, structs and lists of such.
	JSON bool
}

// OIDs of the types that are written (src/include/catalog/pg_type.dat).
const (
	oidBool, oidBytea, oidInt8, oidInt2, oidInt4, oidText             = 16, 17, 20, 21, 23, 25
	oidFloat4, oidFloat8, oidDate, oidTime                            = 700, 701, 1082, 1083
	oidTimestamp, oidTimestamptz, oidNumeric, oidJSON, oidJSONB       = 1114, 1184, 1700, 114, 3802
	oidBoolA, oidByteaA, oidInt2A, oidInt4A, oidTextA                 = 1000, 1001, 1005, 1007, 1009
	oidInt8A, oidFloat4A, oidFloat8A, oidTimestampA                   = 1016, 1021, 1022, 1115
	oidDateA, oidTimeA, oidTimestamptzA, oidNumericA                  = 1182, 1183, 1185, 1231
	epochDays, epochMicros                                      int64 = 10957, 946_684_800_000_000 // 2000-01-01, from which PostgreSQL counts
)

var arrayOf = map[uint32]uint32{oidBool: oidBoolA, oidBytea: oidByteaA, oidInt2: oidInt2A, oidInt4: oidInt4A, oidInt8: oidInt8A, oidText: oidTextA, oidFloat4: oidFloat4A,
	oidFloat8: oidFloat8A, oidDate: oidDateA, oidTime: oidTimeA, oidTimestamp: oidTimestampA, oidTimestamptz: oidTimestamptzA, oidNumeric: oidNumericA}

// TypeOf is the type that holds every value of f, but for those that PostgreSQL has not: see Refuses.
func TypeOf(f arrow.Field) (Type, error) {
	if schema.IsJSON(f) {
		return JSON, nil
	}
	switch t := f.Type.(type) {
	case *arrow.BooleanType:
		return Type{"boolean", oidBool, false}, nil
	case *arrow.Int8Type, *arrow.Int16Type, *arrow.Uint8Type:
		return Type{"smallint", oidInt2, false}, nil
	case *arrow.Int32Type, *arrow.Uint16Type:
		return Type{"integer", oidInt4, false}, nil
	case *arrow.Int64Type, *arrow.Uint32Type:
		return Type{"bigint", oidInt8, false}, nil
	case *arrow.Uint64Type:
		return Type{"numeric(20,0)", oidNumeric, false}, nil
	case *arrow.Float32Type:
		return Type{"real", oidFloat4, false}, nil
	case *arrow.Float64Type:
		return Type{"double precision", oidFloat8, false}, nil
	case *arrow.Decimal128Type:
		return Type{fmt.Sprintf("numeric(%d,%d)", t.Precision, t.Scale), oidNumeric, false}, nil
	case *arrow.StringType:
		return Type{"text", oidText, false}, nil
	case *arrow.BinaryType:
		return Type{"bytea", oidBytea, false}, nil
	case *arrow.Date32Type:
		return Type{"date", oidDate, false}, nil
	case *arrow.Time64Type:
		if t.Unit == arrow.Microsecond {
			return Type{"time", oidTime, false}, nil
		}
	case *arrow.TimestampType:
		switch {
		case t.Unit == arrow.Microsecond && t.TimeZone == "":
			return Type{"timestamp", oidTimestamp, false}, nil
		case t.Unit == arrow.Microsecond:
			return Type{"timestamptz", oidTimestamptz, false}, nil
		}
	case *arrow.ListType:
		e, err := TypeOf(t.ElemField())
		if err != nil {
			return e, err
		}
		if oid, ok := arrayOf[e.OID]; ok {
			return Type{e.Name + "[]", oid, false}, nil
		}
		if e.JSON {
			return e, nil
		}
		return JSONB, nil // of lists: PostgreSQL's arrays of several dimensions have no rows of their own length
	case *arrow.StructType:
		for _, m := range t.Fields() { // its texts stay as they are; all else that to_json writes is jsonb's way to write it
			if holdsJSON(m) {
				return JSON, nil
			}
		}
		return JSONB, nil
	}
	return Type{}, fmt.Errorf("column %q is %s, which PostgreSQL has no type for", f.Name, schema.TypeName(f))
}

func holdsJSON(f arrow.Field) bool {
	switch t := f.Type.(type) {
	case *arrow.ListType:
		return holdsJSON(t.ElemField())
	case *arrow.StructType:
		return slices.ContainsFunc(t.Fields(), holdsJSON)
	}
	return schema.IsJSON(f)
}

// Encoder writes records as COPY … FROM STDIN (FORMAT binary) reads them (PostgreSQL manual, "COPY", Binary Format). It is one goroutine's.
type Encoder struct {
	mem    memory.Allocator
	puts   []putter
	toJSON []*expr.Program // nil where the column is written as it is
}

// putter makes what appends row i of a, its length first.
type putter func(a arrow.Array) func(dst []byte, i int) []byte

// Types of JSON. Text and JSON keep it as it was written; JSONB keeps one value of a key that is given twice, and writes numbers anew (1E2 is 100).
var (
	Text  = Type{"text", oidText, true}
	JSON  = Type{"json", oidJSON, true}
	JSONB = Type{"jsonb", oidJSONB, true}
)

// NewEncoder is for records of schema s into columns of the types that TypeOf gives, or of any type of JSON where that is one.
func NewEncoder(mem memory.Allocator, s *arrow.Schema, types []Type) (*Encoder, error) {
	e := &Encoder{mem: mem, puts: make([]putter, s.NumFields()), toJSON: make([]*expr.Program, s.NumFields())}
	for i, f := range s.Fields() {
		t, err := types[i], error(nil)
		if t.JSON && !schema.IsJSON(f) {
			if e.toJSON[i], err = expr.Compile("to_json("+Ident(f.Name)+")", s, expr.Env{}); err != nil {
				return nil, fmt.Errorf("column %q: %w", f.Name, err)
			}
		}
		e.puts[i] = putterOf(t, f.Type)
	}
	return e, nil
}

// Begin appends what the stream begins with, End what it ends with.
func Begin(dst []byte) []byte {
	return append(dst, "PGCOPY\n\xff\r\n\x00\x00\x00\x00\x00\x00\x00\x00\x00"...)
}

func End(dst []byte) []byte { return append(dst, 0xff, 0xff) }

// Append appends rec, and calls flush with what there is when that is a good deal; flush gives back the buffer to go on with.
func (e *Encoder) Append(dst []byte, rec arrow.Record, flush func([]byte) ([]byte, error)) ([]byte, error) {
	put := make([]func([]byte, int) []byte, len(e.puts))
	for c := range e.puts {
		a := rec.Column(c)
		if p := e.toJSON[c]; p != nil {
			j, errs, err := p.Eval(rec, e.mem)
			if err != nil {
				return dst, err
			}
			defer j.Release()
			if len(errs) > 0 {
				return dst, fmt.Errorf("column %q: %s", rec.ColumnName(c), errs[0].Reason)
			}
			a = j
		}
		put[c] = e.puts[c](a)
	}
	var err error
	for i := range int(rec.NumRows()) {
		dst = binary.BigEndian.AppendUint16(dst, uint16(len(put)))
		for _, p := range put {
			dst = p(dst, i)
		}
		if len(dst) >= flushBytes {
			if dst, err = flush(dst); err != nil {
				return dst, err
			}
		}
	}
	return dst, nil
}

const flushBytes = 60 << 10 // pgconn sends pieces of 64 KiB

func null(dst []byte) []byte { return append(dst, 0xff, 0xff, 0xff, 0xff) }

func size(dst []byte, n int) []byte { return binary.BigEndian.AppendUint32(dst, uint32(n)) }

// fixed appends values of 2, 4 or 8 bytes.
func fixed2(dst []byte, v int16) []byte {
	return binary.BigEndian.AppendUint16(size(dst, 2), uint16(v))
}
func fixed4(dst []byte, v uint32) []byte { return binary.BigEndian.AppendUint32(size(dst, 4), v) }
func fixed8(dst []byte, v uint64) []byte { return binary.BigEndian.AppendUint64(size(dst, 8), v) }

// maybe is put with nulls.
func maybe(a arrow.Array, put func(dst []byte, i int) []byte) func([]byte, int) []byte {
	if a.NullN() == 0 {
		return put
	}
	return func(dst []byte, i int) []byte {
		if a.IsNull(i) {
			return null(dst)
		}
		return put(dst, i)
	}
}

func putterOf(t Type, dt arrow.DataType) putter {
	if t.OID == oidJSONB {
		return func(a arrow.Array) func([]byte, int) []byte {
			s := a.(*array.String)
			return maybe(a, func(dst []byte, i int) []byte {
				v := s.Value(i)
				return append(append(size(dst, len(v)+1), 1), v...) // 1 is the version of the format
			})
		}
	}
	if l, ok := dt.(*arrow.ListType); ok && !t.JSON {
		return listPutter(l)
	}
	return func(a arrow.Array) func([]byte, int) []byte { return maybe(a, valuePutter(a)) }
}

// valuePutter appends values of a that are not null.
func valuePutter(a arrow.Array) func(dst []byte, i int) []byte {
	switch a := a.(type) {
	case *array.Boolean:
		return func(dst []byte, i int) []byte {
			v := byte(0)
			if a.Value(i) {
				v = 1
			}
			return append(size(dst, 1), v)
		}
	case *array.Int8:
		return func(dst []byte, i int) []byte { return fixed2(dst, int16(a.Value(i))) }
	case *array.Int16:
		return func(dst []byte, i int) []byte { return fixed2(dst, a.Value(i)) }
	case *array.Uint8:
		return func(dst []byte, i int) []byte { return fixed2(dst, int16(a.Value(i))) }
	case *array.Int32:
		return func(dst []byte, i int) []byte { return fixed4(dst, uint32(a.Value(i))) }
	case *array.Uint16:
		return func(dst []byte, i int) []byte { return fixed4(dst, uint32(a.Value(i))) }
	case *array.Int64:
		return func(dst []byte, i int) []byte { return fixed8(dst, uint64(a.Value(i))) }
	case *array.Uint32:
		return func(dst []byte, i int) []byte { return fixed8(dst, uint64(a.Value(i))) }
	case *array.Uint64:
		return func(dst []byte, i int) []byte { return appendNumeric(dst, 0, a.Value(i), false, 0) }
	case *array.Float32:
		return func(dst []byte, i int) []byte { return fixed4(dst, math.Float32bits(a.Value(i))) }
	case *array.Float64:
		return func(dst []byte, i int) []byte { return fixed8(dst, math.Float64bits(a.Value(i))) }
	case *array.Decimal128:
		scale := a.DataType().(*arrow.Decimal128Type).Scale
		return func(dst []byte, i int) []byte {
			v := a.Value(i)
			neg := v.Sign() < 0
			if neg {
				v = v.Negate()
			}
			return appendNumeric(dst, uint64(v.HighBits()), v.LowBits(), neg, scale)
		}
	case *array.String:
		return func(dst []byte, i int) []byte { v := a.Value(i); return append(size(dst, len(v)), v...) }
	case *array.Binary:
		return func(dst []byte, i int) []byte { v := a.Value(i); return append(size(dst, len(v)), v...) }
	case *array.Date32:
		return func(dst []byte, i int) []byte { return fixed4(dst, uint32(int64(a.Value(i))-epochDays)) }
	case *array.Time64:
		return func(dst []byte, i int) []byte { return fixed8(dst, uint64(a.Value(i))) }
	case *array.Timestamp:
		return func(dst []byte, i int) []byte { return fixed8(dst, uint64(int64(a.Value(i))-epochMicros)) }
	}
	panic(fmt.Sprintf("pg: no binary form of %s", a.DataType())) // TypeOf has refused it
}

// listPutter appends arrays of one dimension.
func listPutter(l *arrow.ListType) putter {
	elem, _ := TypeOf(l.ElemField())
	return func(a arrow.Array) func([]byte, int) []byte {
		list := a.(*array.List)
		values := list.ListValues()
		put := maybe(values, valuePutter(values))
		return maybe(a, func(dst []byte, i int) []byte {
			from, to := list.ValueOffsets(i)
			at := len(dst)
			dst = size(dst, 0) // filled in below
			dims := uint32(1)
			if from == to {
				dims = 0
			}
			hasNull := uint32(0)
			if values.NullN() > 0 {
				hasNull = 1
			}
			dst = binary.BigEndian.AppendUint32(dst, dims)
			dst = binary.BigEndian.AppendUint32(dst, hasNull)
			dst = binary.BigEndian.AppendUint32(dst, elem.OID)
			if dims > 0 {
				dst = binary.BigEndian.AppendUint32(dst, uint32(to-from))
				dst = binary.BigEndian.AppendUint32(dst, 1)
				for k := from; k < to; k++ {
					dst = put(dst, int(k))
				}
			}
			binary.BigEndian.PutUint32(dst[at:], uint32(len(dst)-at-4))
			return dst
		})
	}
}
