package parquet

import (
	"encoding/binary"
	"math"
	"slices"
	"strconv"
	"unsafe"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/decimal128"
	"github.com/apache/arrow/go/v17/arrow/decimal256"

	"github.com/sluice-data/sluice/internal/fail"
)

// take appends the picked values of arr in their physical type. A value that the type cannot hold exactly is an error.
func (c *column) take(arr arrow.Array, p picked) error {
	switch t := c.leaf.typ.(type) {
	case *arrow.BooleanType:
		c.takeBools(arr, p)
	case *arrow.Int8Type:
		take32[int8](c, arr, p)
	case *arrow.Int16Type:
		take32[int16](c, arr, p)
	case *arrow.Uint8Type:
		take32[uint8](c, arr, p)
	case *arrow.Uint16Type:
		take32[uint16](c, arr, p)
	case *arrow.Int32Type, *arrow.Uint32Type, *arrow.Float32Type, *arrow.Date32Type:
		take32[uint32](c, arr, p)
	case *arrow.Int64Type, *arrow.Uint64Type, *arrow.Float64Type, *arrow.Time64Type:
		c.take64(arr, p)
	case *arrow.Time32Type:
		if t.Unit == arrow.Second {
			return c.takeSeconds32(arr, p)
		}
		take32[uint32](c, arr, p)
	case *arrow.TimestampType:
		if t.Unit == arrow.Second {
			return c.takeSeconds64(arr, p)
		}
		c.take64(arr, p)
	case *arrow.Date64Type:
		return c.takeDate64(arr, p)
	case *arrow.Decimal128Type:
		return c.takeDecimal128(arr, p, t.Precision, t.Scale)
	case *arrow.Decimal256Type:
		return c.takeDecimal256(arr, p, t.Precision, t.Scale)
	case *arrow.Float16Type:
		return c.takeFixed(arr, p, 2)
	case *arrow.FixedSizeBinaryType:
		return c.takeFixed(arr, p, t.ByteWidth)
	case *arrow.StringType, *arrow.BinaryType:
		return takeBytes[int32](c, arr, p)
	case *arrow.LargeStringType, *arrow.LargeBinaryType:
		return takeBytes[int64](c, arr, p)
	default:
		return fail.Newf(fail.Internal, "encode parquet: no way to take values of type %s", t).Of(c.leaf.name, "")
	}
	return nil
}

// view is buffer k of arr as a slice of n T from the array's offset on.
func view[T any](arr arrow.Array, k, n int) []T {
	d := arr.Data()
	b := d.Buffers()[k]
	if b == nil || n == 0 {
		return nil
	}
	var t T
	raw := b.Bytes()
	all := unsafe.Slice((*T)(unsafe.Pointer(unsafe.SliceData(raw))), len(raw)/int(unsafe.Sizeof(t)))
	return all[d.Offset() : d.Offset()+n]
}

// raw is s as bytes in memory order, which is little-endian on every machine Arrow runs on here.
func raw[T uint32 | uint64](s []T) []byte {
	var t T
	return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(s))), len(s)*int(unsafe.Sizeof(t)))
}

// extend grows s by n and returns it with the new part.
func extend[T any](s []T, n int) (all, added []T) {
	at := len(s)
	s = slices.Grow(s, n)[:at+n]
	return s, s[at:]
}

func (c *column) takeBools(arr arrow.Array, p picked) {
	bits, off := arr.Data().Buffers()[1].Bytes(), arr.Data().Offset()
	var out []uint8
	c.own.bools, out = extend(c.own.bools, p.n)
	for i := range out {
		j := off + p.at(i)
		out[i] = bits[j/8] >> (j % 8) & 1
	}
	c.bools = c.own.bools
}

// take32 widens to 32 bits, keeping the sign of signed types.
func take32[S int8 | int16 | uint8 | uint16 | uint32](c *column, arr arrow.Array, p picked) {
	src := view[S](arr, 1, arr.Len())
	if same, ok := any(src).([]uint32); ok && p.only && p.sel == nil {
		c.w32 = same
		return
	}
	var out []uint32
	c.own.w32, out = extend(c.own.w32, p.n)
	if p.sel == nil {
		for i, v := range src {
			out[i] = uint32(v)
		}
	} else {
		for i, j := range p.sel {
			out[i] = uint32(src[j])
		}
	}
	c.w32 = c.own.w32
}

func (c *column) take64(arr arrow.Array, p picked) {
	src := view[uint64](arr, 1, arr.Len())
	if p.only && p.sel == nil {
		c.w64 = src
		return
	}
	var out []uint64
	c.own.w64, out = extend(c.own.w64, p.n)
	if p.sel == nil {
		copy(out, src)
	} else {
		for i, j := range p.sel {
			out[i] = src[j]
		}
	}
	c.w64 = c.own.w64
}

func (c *column) refuse(value, why string) error {
	return fail.Newf(fail.Data, "%s", why).Of(c.leaf.name, value)
}

func (c *column) takeSeconds32(arr arrow.Array, p picked) error {
	src := view[int32](arr, 1, arr.Len())
	var out []uint32
	c.own.w32, out = extend(c.own.w32, p.n)
	for i := range out {
		v := src[p.at(i)]
		if v > math.MaxInt32/1000 || v < math.MinInt32/1000 {
			return c.refuse(strconv.Itoa(int(v)), "time in seconds is out of the range of parquet's milliseconds")
		}
		out[i] = uint32(v * 1000)
	}
	c.w32 = c.own.w32
	return nil
}

func (c *column) takeSeconds64(arr arrow.Array, p picked) error {
	src := view[int64](arr, 1, arr.Len())
	var out []uint64
	c.own.w64, out = extend(c.own.w64, p.n)
	for i := range out {
		v := src[p.at(i)]
		if v > math.MaxInt64/1000 || v < math.MinInt64/1000 {
			return c.refuse(strconv.FormatInt(v, 10), "timestamp in seconds is out of the range of parquet's milliseconds")
		}
		out[i] = uint64(v * 1000)
	}
	c.w64 = c.own.w64
	return nil
}

func (c *column) takeDate64(arr arrow.Array, p picked) error {
	const day = 86_400_000
	src := view[int64](arr, 1, arr.Len())
	var out []uint32
	c.own.w32, out = extend(c.own.w32, p.n)
	for i := range out {
		v := src[p.at(i)]
		d := v / day
		if d*day != v || d > math.MaxInt32 || d < math.MinInt32 {
			return c.refuse(strconv.FormatInt(v, 10), "date64 in milliseconds is not a whole day of parquet's date")
		}
		out[i] = uint32(int32(d))
	}
	c.w32 = c.own.w32
	return nil
}

func (c *column) takeDecimal128(arr arrow.Array, p picked, precision, scale int32) error {
	src := view[decimal128.Num](arr, 1, arr.Len())
	var w32 []uint32
	var w64 []uint64
	var fixed []byte
	var err error
	switch c.leaf.kind {
	case kind32:
		c.own.w32, w32 = extend(c.own.w32, p.n)
		c.w32 = c.own.w32
	case kind64:
		c.own.w64, w64 = extend(c.own.w64, p.n)
		c.w64 = c.own.w64
	default:
		if fixed, err = c.extendFixed(p.n); err != nil {
			return err
		}
	}
	w := c.leaf.width
	for i := range p.n {
		v := src[p.at(i)]
		if !v.FitsInPrecision(precision) || v.Abs().Sign() < 0 { // the lowest number has no absolute value
			return c.refuse(v.ToString(scale), "decimal has more than its "+strconv.Itoa(int(precision))+" digits")
		}
		switch c.leaf.kind {
		case kind32:
			w32[i] = uint32(v.LowBits())
		case kind64:
			w64[i] = v.LowBits()
		default:
			var b [16]byte
			binary.BigEndian.PutUint64(b[:], uint64(v.HighBits()))
			binary.BigEndian.PutUint64(b[8:], v.LowBits())
			copy(fixed[i*w:], b[16-w:])
		}
	}
	return nil
}

func (c *column) takeDecimal256(arr arrow.Array, p picked, precision, scale int32) error {
	src := view[decimal256.Num](arr, 1, arr.Len())
	fixed, err := c.extendFixed(p.n)
	if err != nil {
		return err
	}
	w := c.leaf.width
	for i := range p.n {
		v := src[p.at(i)]
		if !v.FitsInPrecision(precision) || v.Abs().Sign() < 0 { // the lowest number has no absolute value
			return c.refuse(v.ToString(scale), "decimal has more than its "+strconv.Itoa(int(precision))+" digits")
		}
		var b [32]byte
		for k, x := range v.Array() { // least significant word first
			binary.BigEndian.PutUint64(b[24-8*k:], x)
		}
		copy(fixed[i*w:], b[32-w:])
	}
	return nil
}

// extendFixed makes room for n values of the leaf's width and sets their offsets.
func (c *column) extendFixed(n int) ([]byte, error) {
	w := c.leaf.width
	if len(c.own.data)+n*w > math.MaxInt32 {
		return nil, errTooLarge(c.leaf)
	}
	at := len(c.own.data)
	var off []int32
	c.own.off, off = extend(c.own.off, n)
	for i := range off {
		at += w
		off[i] = int32(at)
	}
	var out []byte
	c.own.data, out = extend(c.own.data, n*w)
	c.off, c.data = c.own.off, c.own.data
	return out, nil
}

func (c *column) takeFixed(arr arrow.Array, p picked, width int) error {
	out, err := c.extendFixed(p.n)
	if err != nil {
		return err
	}
	src := arr.Data().Buffers()[1].Bytes()[arr.Data().Offset()*width:]
	if p.sel == nil {
		copy(out, src)
		return nil
	}
	for i, j := range p.sel {
		copy(out[i*width:(i+1)*width], src[int(j)*width:])
	}
	return nil
}

func takeBytes[O int32 | int64](c *column, arr arrow.Array, p picked) error {
	off := view[O](arr, 1, arr.Len()+1)
	var data []byte
	if b := arr.Data().Buffers()[2]; b != nil {
		data = b.Bytes()
	}
	size := int(off[len(off)-1] - off[0])
	if p.sel != nil {
		size = 0
		for _, j := range p.sel {
			size += int(off[j+1] - off[j])
		}
	}
	if len(c.own.data)+size > math.MaxInt32 {
		return errTooLarge(c.leaf)
	}
	switch whole := size == int(off[len(off)-1]-off[0]) && (p.sel == nil || p.ascending); {
	case whole && p.only && int64(len(data)) <= math.MaxInt32:
		c.aliasBytes(data, p, off)
		return nil
	case whole:
		// What is not picked is empty, so the bytes go over in one piece and each value starts where the one before ended.
		shift := int64(len(c.own.data)) - int64(off[0])
		var ends []int32
		c.own.off, ends = extend(c.own.off, p.n)
		for i := range ends {
			ends[i] = int32(int64(off[p.at(i)+1]) + shift)
		}
		c.own.data = append(c.own.data, data[off[0]:off[len(off)-1]]...)
	default:
		var ends []int32
		c.own.off, ends = extend(c.own.off, p.n)
		for i, j := range p.sel {
			c.own.data = append(c.own.data, data[off[j]:off[j+1]]...)
			ends[i] = int32(len(c.own.data))
		}
	}
	c.off, c.data = c.own.off, c.own.data
	return nil
}

// aliasBytes takes the bytes as they are; the offsets too, if they are Arrow's 32-bit ones and none is left out.
func (c *column) aliasBytes(data []byte, p picked, offsets any) {
	c.data = data
	switch off := offsets.(type) {
	case []int32:
		if p.sel == nil {
			c.off = off
			return
		}
		aliasOffsets(c, p, off)
	case []int64:
		aliasOffsets(c, p, off)
	}
}

func aliasOffsets[O int32 | int64](c *column, p picked, off []O) {
	c.own.off[0] = int32(off[0])
	var ends []int32
	c.own.off, ends = extend(c.own.off, p.n)
	for i := range ends {
		ends[i] = int32(off[p.at(i)+1])
	}
	c.off = c.own.off
}
