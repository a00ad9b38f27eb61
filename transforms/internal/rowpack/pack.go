// Package rowpack keeps rows in few bytes while they wait, in memory or on disk, and gives them back bit for bit: values of columns
// gather in a Column, an Encoder makes pieces of them, a Decoder reads pieces into Columns, and a Builder makes Arrow arrays of those.
package rowpack

import (
	"encoding/binary"
	"math/bits"
	"unsafe"
)

// Values on their way wait in pieces: up to PieceRows values of a column, as their differences from the least of them in as
// few bits as the largest needs. That is far smaller than the values and costs about a nanosecond each, there and back.

// most bits of a packed value: it is read with one load of 8 bytes wherever it begins.
const mostBits = 56

// packBits appends v, each in w bits (1 to 56).
func packBits(dst []byte, v []uint64, w uint) []byte {
	var acc uint64
	var n uint
	for _, x := range v {
		acc |= x << n
		if n += w; n >= 64 {
			dst = binary.LittleEndian.AppendUint64(dst, acc)
			n -= 64
			acc = x >> (w - n)
		}
	}
	for ; n > 8; n -= 8 {
		dst = append(dst, byte(acc))
		acc >>= 8
	}
	if n > 0 {
		dst = append(dst, byte(acc))
	}
	return dst
}

// bytesOf is how many bytes n values of w bits take.
func bytesOf(n int, w uint) int { return (n*int(w) + 7) / 8 }

type integer interface {
	~int8 | ~int16 | ~int32 | ~int64 | ~uint8 | ~uint16 | ~uint32 | ~uint64
}

// unpackBits sets out[i] to base + scale times the i-th of the values of w bits in src. Sums wrap, as the differences did.
func unpackBits[T integer](out []T, src []byte, w uint, base, scale int64) {
	if w == 0 {
		for i := range out {
			out[i] = T(base)
		}
		return
	}
	mask := uint64(1)<<w - 1
	at, i := uint(0), 0
	if len(src) >= 8 {
		last := uint(len(src)-8) * 8
		if scale == 1 {
			for ; i < len(out) && at <= last; i++ {
				x := binary.LittleEndian.Uint64(src[at>>3:]) >> (at & 7) & mask
				out[i] = T(base + int64(x))
				at += w
			}
		} else {
			for ; i < len(out) && at <= last; i++ {
				x := binary.LittleEndian.Uint64(src[at>>3:]) >> (at & 7) & mask
				out[i] = T(base + int64(x)*scale)
				at += w
			}
		}
	}
	for ; i < len(out); i++ {
		var x uint64
		for k, b := range src[at>>3:] {
			if k == 8 {
				break
			}
			x |= uint64(b) << (8 * k)
		}
		out[i] = T(base + int64(x>>(at&7)&mask)*scale)
		at += w
	}
}

// scales are the units that 64-bit values (timestamps, mostly) may be whole numbers of.
var scales = [...]int64{1, 1000, 1_000_000}

// pack appends v: one byte for bits and scale, the least value, the differences.
func (e *Encoder) pack(dst []byte, v []int64) []byte {
	lo, hi := v[0], v[0]
	for _, x := range v {
		lo, hi = min(lo, x), max(hi, x)
	}
	span := uint64(hi - lo)
	scale := 0
	if bits.Len64(span) > 24 {
		scale = wholeUnits(v, lo)
	}
	w := uint(bits.Len64(span / uint64(scales[scale])))
	if w > mostBits {
		dst = append(dst, 64)
		return append(dst, bytesAs(v)...)
	}
	dst = append(dst, byte(w)|byte(scale)<<6)
	dst = binary.AppendVarint(dst, lo)
	if w == 0 {
		return dst
	}
	d := grown(&e.words, len(v))
	switch scale {
	case 0:
		for i, x := range v {
			d[i] = uint64(x - lo)
		}
	case 1:
		for i, x := range v {
			d[i] = uint64(x-lo) / 1000
		}
	default:
		for i, x := range v {
			d[i] = uint64(x-lo) / 1_000_000
		}
	}
	return packBits(dst, d, w)
}

// wholeUnits is the index of the largest scale that divides all differences from lo.
func wholeUnits(v []int64, lo int64) int {
	whole := true
	for _, x := range v {
		if uint64(x-lo)%1_000_000 != 0 {
			whole = false
			break
		}
	}
	if whole {
		return 2
	}
	for _, x := range v {
		if uint64(x-lo)%1000 != 0 {
			return 0
		}
	}
	return 1
}

// unpack reads what pack wrote into out and returns what follows it.
func unpack[T integer](out []T, src []byte) ([]byte, error) {
	if len(src) == 0 {
		return nil, ErrShort
	}
	head := src[0]
	src = src[1:]
	if head == 64 { // raw: 0 bits at the scale of thousands is never written
		n := 8 * len(out)
		if len(src) < n {
			return nil, ErrShort
		}
		for i := range out {
			out[i] = T(binary.LittleEndian.Uint64(src[8*i:]))
		}
		return src[n:], nil
	}
	w, scale := uint(head&63), int(head>>6)
	base, k := binary.Varint(src)
	if k <= 0 || scale >= len(scales) || w > mostBits {
		return nil, ErrShort
	}
	src = src[k:]
	n := bytesOf(len(out), w)
	if len(src) < n {
		return nil, ErrShort
	}
	unpackBits(out, src[:n], w, base, scales[scale])
	return src[n:], nil
}

// grown is *s with n items whose content does not matter.
func grown[T any](s *[]T, n int) []T {
	if cap(*s) < n {
		*s = make([]T, n+n/4)
	}
	*s = (*s)[:cap(*s)]
	return (*s)[:n]
}

// bytesAs is the memory of v, little-endian as on every machine that Arrow runs on here.
func bytesAs[T integer | float64](v []T) []byte {
	if len(v) == 0 {
		return nil
	}
	return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(v))), len(v)*int(unsafe.Sizeof(v[0])))
}

// as is b as values of type T.
func as[T integer | float64](b []byte) []T {
	var t T
	if len(b) == 0 {
		return nil
	}
	return unsafe.Slice((*T)(unsafe.Pointer(unsafe.SliceData(b))), len(b)/int(unsafe.Sizeof(t)))
}
