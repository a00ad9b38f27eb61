package jsonl

import (
	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/bitutil"
	"github.com/apache/arrow/go/v17/arrow/decimal128"
	"github.com/apache/arrow/go/v17/arrow/memory"

	"github.com/sluice-data/sluice/internal/fail"
	"github.com/sluice-data/sluice/internal/schema"
	"github.com/sluice-data/sluice/internal/textval"
)

// kind says how a column reads a JSON value.
type kind uint8

const (
	kInt kind = iota // every integer type but uint64
	kFloat64
	kFloat32
	kUint64
	kDecimal
	kBool
	kString
	kBinary
	kJSON
	kDate
	kTime
	kTimestamp
	kTimestamptz
	kStruct
	kList
)

// column is a typed builder over the buffers of the array to come. The row to write is an argument everywhere, and a variable-length
// column ends its row by writing the next offset: so a row given up half-way is simply written over, but for its nulls (see rollback).
type column struct {
	kind     kind
	width    int // bytes of a value, or of an offset
	fixed    int // rowBytes, computed once
	inferred bool
	mem      memory.Allocator
	dt       arrow.DataType
	typeName string

	lo, hi           int64 // kInt: the type's range
	precision, scale int32 // kDecimal
	exact            bool  // kFloat64: inferred, so only numbers that float64 shows as written
	layout           *textval.Layout
	format           string // of layout, for messages
	fixed19, fixedT  bool   // texts of 19 bytes are what textval.Fixed takes; with a T in the middle too

	cap  int            // rows that vals has room for
	vals *memory.Buffer // values, bits or offsets
	data *memory.Buffer // bytes of string, binary and json
	// views of vals and data
	bits  []byte
	i8    []int8
	i16   []int16
	i32   []int32 // also dates and all offsets
	i64   []int64 // also times and timestamps
	u64   []uint64
	f32   []float32
	f64   []float64
	dec   []decimal128.Num
	bytes []byte

	nulls    []int32 // rows that are null, ascending
	obj      *object // kStruct
	child    *column // kList
	lastData int     // bytes of data per 1024 rows in the batch before: the first guess for the next one
}

// maxNesting is how deep declared types may be nested.
const maxNesting = 100

// newColumn makes the builder for f, whose dates and times are written as col.Format says in zone col.TZ.
func newColumn(mem memory.Allocator, f arrow.Field, format, tz string, inferred bool, depth int) (*column, error) {
	c := &column{mem: mem, dt: f.Type, typeName: schema.TypeName(f), inferred: inferred, format: format, lastData: 16 << 10}
	if depth > maxNesting {
		return nil, fail.Newf(fail.Usage, "type is nested deeper than %d levels", maxNesting)
	}
	var err error
	layout := func(k kind, width int) {
		c.kind, c.width = k, width
		if c.layout, err = textval.NewLayout(format, tz); err == nil {
			c.fixed19, c.fixedT = c.layout.Fixed(k == kTimestamptz)
		}
	}
	signed := func(width int) {
		c.kind, c.width = kInt, width
		c.lo, c.hi = -1<<(8*width-1), 1<<(8*width-1)-1
	}
	unsigned := func(width int) { c.kind, c.width, c.hi = kInt, width, 1<<(8*width)-1 }
	switch t := f.Type.(type) {
	case *arrow.BooleanType:
		c.kind = kBool
	case *arrow.Int8Type:
		signed(1)
	case *arrow.Int16Type:
		signed(2)
	case *arrow.Int32Type:
		signed(4)
	case *arrow.Int64Type:
		signed(8)
	case *arrow.Uint8Type:
		unsigned(1)
	case *arrow.Uint16Type:
		unsigned(2)
	case *arrow.Uint32Type:
		unsigned(4)
	case *arrow.Uint64Type:
		c.kind, c.width = kUint64, 8
	case *arrow.Float32Type:
		c.kind, c.width = kFloat32, 4
	case *arrow.Float64Type:
		c.kind, c.width, c.exact = kFloat64, 8, inferred
	case *arrow.Decimal128Type:
		c.kind, c.width, c.precision, c.scale = kDecimal, 16, t.Precision, t.Scale
	case *arrow.StringType:
		c.kind, c.width = kString, 4
		if schema.IsJSON(f) {
			c.kind = kJSON
		}
	case *arrow.BinaryType:
		c.kind, c.width = kBinary, 4
	case *arrow.Date32Type:
		layout(kDate, 4)
	case *arrow.Time64Type:
		layout(kTime, 8)
	case *arrow.TimestampType:
		if t.TimeZone != "" {
			layout(kTimestamptz, 8)
		} else {
			layout(kTimestamp, 8)
		}
	case *arrow.StructType:
		c.kind = kStruct
		c.obj = newObject(unknownReject)
		if inferred {
			c.obj.unknown = unknownMisfit
		}
		for _, sub := range t.Fields() {
			child, err := newColumn(mem, sub, format, tz, inferred, depth+1)
			if err != nil {
				return nil, err
			}
			c.obj.add(sub.Name, child)
		}
	case *arrow.ListType:
		c.kind, c.width = kList, 4
		c.child, err = newColumn(mem, t.ElemField(), format, tz, inferred, depth+1)
	default:
		return nil, fail.Newf(fail.Usage, "type %s cannot be read from JSON", c.typeName)
	}
	if err != nil {
		return nil, err
	}
	c.fixed = c.rowBytes()
	return c, nil
}

// rowBytes is the fixed-width memory of one row: what a row costs at least, however short its text is.
func (c *column) rowBytes() int {
	n := max(c.width, 1)
	if c.obj != nil {
		for _, f := range c.obj.columns() {
			n += f.col.rowBytes()
		}
	}
	return n
}

// reserve makes room for n rows in all.
func (c *column) reserve(n int) {
	if n <= c.cap {
		return
	}
	if c.cap > 0 {
		n = max(n, 2*c.cap)
	}
	first := c.cap == 0
	c.cap = n
	if c.kind == kStruct {
		for _, f := range c.obj.columns() {
			f.col.reserve(n)
		}
		return
	}
	if c.vals == nil {
		c.vals = memory.NewResizableBuffer(c.mem)
	}
	size := n * c.width
	switch c.kind {
	case kBool:
		size = int(bitutil.BytesForBits(int64(n)))
	case kString, kBinary, kJSON, kList:
		size += c.width
	}
	c.vals.Resize(size)
	v := c.vals.Bytes()
	switch c.kind {
	case kBool:
		c.bits = v
	case kInt:
		c.i8, c.i16, c.i32, c.i64 = nil, nil, nil, nil
		switch c.width {
		case 1:
			c.i8 = arrow.Int8Traits.CastFromBytes(v)
		case 2:
			c.i16 = arrow.Int16Traits.CastFromBytes(v)
		case 4:
			c.i32 = arrow.Int32Traits.CastFromBytes(v)
		default:
			c.i64 = arrow.Int64Traits.CastFromBytes(v)
		}
	case kUint64:
		c.u64 = arrow.Uint64Traits.CastFromBytes(v)
	case kFloat32:
		c.f32 = arrow.Float32Traits.CastFromBytes(v)
	case kFloat64:
		c.f64 = arrow.Float64Traits.CastFromBytes(v)
	case kDecimal:
		c.dec = arrow.Decimal128Traits.CastFromBytes(v)
	case kTime, kTimestamp, kTimestamptz:
		c.i64 = arrow.Int64Traits.CastFromBytes(v)
	case kDate:
		c.i32 = arrow.Int32Traits.CastFromBytes(v)
	default:
		c.i32 = arrow.Int32Traits.CastFromBytes(v)
		if first {
			c.i32[0] = 0
		}
	}
}

// room makes the data of a variable-length column at least n bytes long.
func (c *column) room(n int) {
	if n <= len(c.bytes) {
		return
	}
	if c.data == nil {
		c.data = memory.NewResizableBuffer(c.mem)
		n = max(n, c.lastData*c.cap>>10)
	} else {
		n = max(n, 2*len(c.bytes))
	}
	c.data.Resize(n)
	c.bytes = c.data.Bytes()
}

// setNull writes a null to row, with zeros below it.
func (c *column) setNull(row int) {
	c.nulls = append(c.nulls, int32(row))
	c.zero(row)
}

func (c *column) zero(row int) {
	switch c.kind {
	case kBool:
		bitutil.ClearBit(c.bits, row)
	case kInt:
		c.putInt(row, 0)
	case kUint64:
		c.u64[row] = 0
	case kFloat32:
		c.f32[row] = 0
	case kFloat64:
		c.f64[row] = 0
	case kDecimal:
		c.dec[row] = decimal128.Num{}
	case kDate:
		c.i32[row] = 0
	case kTime, kTimestamp, kTimestamptz:
		c.i64[row] = 0
	case kStruct:
		for _, f := range c.obj.columns() {
			f.col.setNull(row)
		}
	default:
		c.i32[row+1] = c.i32[row]
	}
}

func (c *column) putInt(row int, v int64) {
	switch c.width {
	case 4:
		c.i32[row] = int32(v)
	case 8:
		c.i64[row] = v
	case 2:
		c.i16[row] = int16(v)
	default:
		c.i8[row] = int8(v)
	}
}

// rollback takes back the nulls of rows from row on.
func (c *column) rollback(row int) {
	for n := len(c.nulls); n > 0 && int(c.nulls[n-1]) >= row; n-- {
		c.nulls = c.nulls[:n-1]
	}
	switch c.kind {
	case kStruct:
		for _, f := range c.obj.columns() {
			f.col.rollback(row)
		}
	case kList:
		if c.cap > 0 && row <= c.cap {
			c.child.rollback(int(c.i32[row]))
		}
	}
}

// finish makes the array of the first n rows, owned by the caller, and leaves the column empty.
func (c *column) finish(n int) *array.Data {
	c.reserve(max(n, 1))
	var buffers []*memory.Buffer
	var children []arrow.ArrayData
	switch c.kind {
	case kStruct:
		buffers = []*memory.Buffer{nil}
		for _, f := range c.obj.columns() {
			children = append(children, f.col.finish(n))
		}
	case kBool:
		c.vals.ResizeNoShrink(int(bitutil.BytesForBits(int64(n))))
		buffers = []*memory.Buffer{nil, c.vals}
	case kString, kBinary, kJSON:
		used := int(c.i32[n])
		if c.data == nil { // the array wants a buffer even when all values are empty
			c.data = memory.NewResizableBuffer(c.mem)
		}
		c.data.ResizeNoShrink(used)
		c.vals.ResizeNoShrink((n + 1) * c.width)
		buffers = []*memory.Buffer{nil, c.vals, c.data}
		if n > 0 {
			c.lastData = (used+used>>4)<<10/n + 1<<10
		}
	case kList:
		children = append(children, c.child.finish(int(c.i32[n])))
		c.vals.ResizeNoShrink((n + 1) * c.width)
		buffers = []*memory.Buffer{nil, c.vals}
	default:
		c.vals.ResizeNoShrink(n * c.width)
		buffers = []*memory.Buffer{nil, c.vals}
	}
	buffers[0] = c.validity(n)
	d := array.NewData(c.dt, n, buffers, children, len(c.nulls), 0)
	for _, child := range children {
		child.Release()
	}
	if buffers[0] != nil {
		buffers[0].Release()
	}
	c.free()
	return d
}

// validity is the bitmap of the first n rows, or nil when none is null.
func (c *column) validity(n int) *memory.Buffer {
	if len(c.nulls) == 0 {
		return nil
	}
	buf := memory.NewResizableBuffer(c.mem)
	buf.Resize(int(bitutil.BytesForBits(int64(n))))
	b := buf.Bytes()
	memory.Set(b, 0xff)
	if n&7 != 0 {
		b[len(b)-1] = 1<<(n&7) - 1
	}
	for _, row := range c.nulls {
		bitutil.ClearBit(b, int(row))
	}
	return buf
}

// free gives the buffers up; the column can be filled anew afterwards.
func (c *column) free() {
	if c.vals != nil {
		c.vals.Release()
	}
	if c.data != nil {
		c.data.Release()
	}
	c.vals, c.data, c.cap, c.nulls = nil, nil, 0, c.nulls[:0]
	c.bits, c.i8, c.i16, c.i32, c.i64, c.u64, c.f32, c.f64, c.dec, c.bytes = nil, nil, nil, nil, nil, nil, nil, nil, nil, nil
	if c.obj != nil {
		for _, f := range c.obj.columns() {
			f.col.free()
		}
	}
	if c.child != nil {
		c.child.free()
	}
}
