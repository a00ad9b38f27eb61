// Package col reads Arrow arrays as typed slices and makes arrays of typed slices, without a builder call per value.
package col

import (
	"bytes"
	"encoding/binary"
	"math"
	"unsafe"

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
	packBits(bits, b)
	return bits, len(b) - bitutil.CountSetBits(bits, 0, len(b))
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

// Pairs is s as pairs: what lies in one place is then found by one index, not two.
func Pairs[T any](s []T) [][2]T {
	return unsafe.Slice((*[2]T)(unsafe.Pointer(unsafe.SliceData(s))), len(s)/2)
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

// Make is a zeroed buffer of mem with n values of T, which the caller owns. The values stay where they are until the buffer is released.
func Make[T arrow.FixedWidthType](mem memory.Allocator, n int) (*memory.Buffer, []T) {
	var t T
	b := memory.NewResizableBuffer(mem)
	b.Resize(n * int(unsafe.Sizeof(t)))
	return b, arrow.GetData[T](b.Bytes())
}

// Of makes an array of n values of a fixed-width type from a buffer, which it takes over; its validity is a buffer of mem. valid[i] = 0
// makes row i null, nil means none is.
func Of(mem memory.Allocator, dt arrow.DataType, n int, values *memory.Buffer, valid []uint8) arrow.Array {
	return assemble(mem, dt, n, valid, values)
}

// Copy makes an array of a fixed-width type in buffers of mem.
func Copy[T arrow.FixedWidthType](mem memory.Allocator, dt arrow.DataType, v []T, valid []uint8) arrow.Array {
	b, dst := Make[T](mem, len(v))
	copy(dst, v)
	return Of(mem, dt, len(v), b, valid)
}

// CopySized is Copy for values given as bytes, n of them.
func CopySized(mem memory.Allocator, dt arrow.DataType, n int, v []byte, valid []uint8) arrow.Array {
	b, dst := Make[uint8](mem, len(v))
	copy(dst, v)
	return Of(mem, dt, n, b, valid)
}

// CopyBool makes a bool array of bytes (0 or not) in buffers of mem.
func CopyBool(mem memory.Allocator, v, valid []uint8) arrow.Array {
	b, dst := Make[uint8](mem, (len(v)+7)/8)
	packBits(dst, v)
	return Of(mem, arrow.FixedWidthTypes.Boolean, len(v), b, valid)
}

// OfVar makes a string or binary array (32 or 64-bit offsets as dt says) from offsets and bytes in buffers of mem, which it takes over.
func OfVar(mem memory.Allocator, dt arrow.DataType, n int, off, data *memory.Buffer, valid []uint8) arrow.Array {
	if id := dt.ID(); id == arrow.LARGE_STRING || id == arrow.LARGE_BINARY {
		wide, dst := Make[int64](mem, n+1)
		for i, o := range arrow.GetData[int32](off.Bytes()) {
			dst[i] = int64(o)
		}
		off.Release()
		off = wide
	}
	return assemble(mem, dt, n, valid, off, data)
}

func assemble(mem memory.Allocator, dt arrow.DataType, n int, valid []uint8, values ...*memory.Buffer) arrow.Array {
	bufs, nulls := append(make([]*memory.Buffer, 1, 3), values...), 0
	if valid != nil {
		if nulls = n - bytes.Count(valid[:n], one); nulls > 0 {
			b, dst := Make[uint8](mem, (n+7)/8)
			packBits(dst, valid)
			bufs[0] = b
		}
	}
	a := build(dt, n, nulls, bufs...)
	for _, b := range bufs {
		if b != nil {
			b.Release()
		}
	}
	return a
}

var one = []byte{1}

// packBits sets the bits of bytes that are not zero in a bitmap of zeros.
func packBits(dst, b []uint8) {
	for ; len(b) >= 8; b, dst = b[8:], dst[1:] {
		w := binary.LittleEndian.Uint64(b)
		w |= w >> 4
		w |= w >> 2
		w |= w >> 1
		dst[0] = uint8(w & 0x0101010101010101 * 0x0102040810204080 >> 56)
	}
	for i, v := range b {
		if v != 0 {
			dst[0] |= 1 << i
		}
	}
}
