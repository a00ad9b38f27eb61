// Package col reads Arrow arrays as typed slices and makes arrays of typed slices, without a builder call per value.
package col

import (
	"math"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/bitutil"
	"github.com/apache/arrow/go/v17/arrow/memory"
)

// Fixed is the values of a as a slice of its length; the slice aliases a's memory. T's size must be that of a's values. An array
// without a value buffer (all null) gives zeros.
func Fixed[T arrow.FixedWidthType](a arrow.Array) []T {
	if v := arrow.GetValues[T](a.Data(), 1); v != nil {
		return v
	}
	return make([]T, a.Len())
}

// Width is the bytes of one value of a fixed-width type, 0 for other types and for bool.
func Width(dt arrow.DataType) int {
	if f, ok := dt.(arrow.FixedWidthDataType); ok && f.BitWidth()%8 == 0 {
		if dt.ID() == arrow.DICTIONARY {
			return 0
		}
		return f.BitWidth() / 8
	}
	return 0
}

// IsVar reports whether dt is a string or binary type that Var reads.
func IsVar(dt arrow.DataType) bool {
	switch dt.ID() {
	case arrow.STRING, arrow.BINARY, arrow.LARGE_STRING, arrow.LARGE_BINARY:
		return true
	}
	return false
}

var noOffsets = []int32{0}

// Var is the offsets (len+1) and bytes of a string or binary array: value i is data[off[i]:off[i+1]]. ok is false when more than 2 GiB
// of a large string array are to be read at once.
func Var(a arrow.Array) (off []int32, data []byte, ok bool) {
	d := a.Data()
	if b := d.Buffers()[2]; b != nil {
		data = b.Bytes()
	}
	n := a.Len()
	if n == 0 || d.Buffers()[1] == nil || d.Buffers()[1].Len() == 0 {
		if n == 0 {
			return noOffsets, nil, true
		}
		return make([]int32, n+1), nil, true
	}
	if id := a.DataType().ID(); id != arrow.LARGE_STRING && id != arrow.LARGE_BINARY {
		return arrow.GetOffsets[int32](d, 1), data, true
	}
	wide := arrow.GetOffsets[int64](d, 1)
	first, last := wide[0], wide[n]
	if last-first > math.MaxInt32 {
		return nil, nil, false
	}
	off = make([]int32, n+1)
	for i, o := range wide {
		off[i] = int32(o - first)
	}
	return off, data[first:last], true
}

// Valid is the validity bitmap of a and the bit of its first row; bits is nil when no row is null.
func Valid(a arrow.Array) (bits []byte, off int) {
	if a.NullN() == 0 {
		return nil, 0
	}
	d := a.Data()
	if b := d.Buffers()[0]; b != nil && b.Len() > 0 {
		return b.Bytes(), d.Offset()
	}
	return make([]byte, (a.Len()+7)/8), 0 // the null type has no bitmap
}

// Bits is the values of a bool array as a bitmap and the bit of its first row.
func Bits(a arrow.Array) (bits []byte, off int) {
	d := a.Data()
	if b := d.Buffers()[1]; b != nil && b.Len() > 0 {
		return b.Bytes(), d.Offset()
	}
	return make([]byte, (a.Len()+7)/8), 0
}

// Bitmap packs bytes (0 or not) into a bitmap and counts the zeros.
func Bitmap(b []uint8) (bits []byte, zeros int) {
	bits = make([]byte, (len(b)+7)/8)
	for i, v := range b {
		if v != 0 {
			bitutil.SetBit(bits, i)
		} else {
			zeros++
		}
	}
	return bits, zeros
}

// validity is the bitmap buffer for valid (nil = all valid).
func validity(valid []uint8) (*memory.Buffer, int) {
	if valid == nil {
		return nil, 0
	}
	bits, nulls := Bitmap(valid)
	if nulls == 0 {
		return nil, 0
	}
	return memory.NewBufferBytes(bits), nulls
}

// New makes an array of a fixed-width type that takes v over; valid[i] = 0 makes row i null, nil means none is.
func New[T arrow.FixedWidthType](dt arrow.DataType, v []T, valid []uint8) arrow.Array {
	vb, nulls := validity(valid)
	return build(dt, len(v), nulls, vb, memory.NewBufferBytes(arrow.GetBytes(v)))
}

// NewBool makes a bool array of bytes (0 or not).
func NewBool(v, valid []uint8) arrow.Array {
	vb, nulls := validity(valid)
	bits, _ := Bitmap(v)
	return build(arrow.FixedWidthTypes.Boolean, len(v), nulls, vb, memory.NewBufferBytes(bits))
}

// NewVar makes a string or binary array (32 or 64-bit offsets as dt says) that takes off (len+1) and data over.
func NewVar(dt arrow.DataType, off []int32, data []byte, valid []uint8) arrow.Array {
	n := len(off) - 1
	vb, nulls := validity(valid)
	ob := memory.NewBufferBytes(arrow.GetBytes(off))
	if id := dt.ID(); id == arrow.LARGE_STRING || id == arrow.LARGE_BINARY {
		wide := make([]int64, len(off))
		for i, o := range off {
			wide[i] = int64(o)
		}
		ob = memory.NewBufferBytes(arrow.GetBytes(wide))
	}
	return build(dt, n, nulls, vb, ob, memory.NewBufferBytes(data))
}

func build(dt arrow.DataType, n, nulls int, bufs ...*memory.Buffer) arrow.Array {
	d := array.NewData(dt, n, bufs, nil, nulls, 0)
	defer d.Release()
	return array.MakeFromData(d)
}

// Grow lengthens s to n zero-filled items, with room for more: doubling while small, by half once copying costs.
func Grow[T any](s []T, n int) []T {
	if n <= len(s) {
		return s
	}
	if n <= cap(s) {
		return s[:n]
	}
	c := cap(s) * 2
	if c > 1<<14 {
		c = cap(s) + cap(s)/2
	}
	t := make([]T, n, max(c, n, 16))
	copy(t, s)
	return t
}

// Reserve makes room for n items without changing s.
func Reserve[T any](s []T, n int) []T {
	if n <= cap(s) {
		return s
	}
	t := make([]T, len(s), n)
	copy(t, s)
	return t
}

// NewSized makes an array of n values of a fixed-width type from their bytes, which it takes over.
func NewSized(dt arrow.DataType, n int, values []byte, valid []uint8) arrow.Array {
	vb, nulls := validity(valid)
	return build(dt, n, nulls, vb, memory.NewBufferBytes(values))
}

// Words16 is the values of an array of 16-byte values as pairs of words, the low one first.
func Words16(a arrow.Array) []uint64 {
	d := a.Data()
	if b := d.Buffers()[1]; b != nil && b.Len() > 0 {
		return arrow.GetData[uint64](b.Bytes())[2*d.Offset() : 2*(d.Offset()+d.Len())]
	}
	return make([]uint64, 2*a.Len())
}
