package parquet

import (
	"math/bits"
	"slices"

	"github.com/apache/arrow/go/v17/arrow/bitutil"
)

// bitmap is a growing row of bits, least significant first, as Arrow keeps validity.
type bitmap struct {
	bits []byte
	n    int
}

func (b *bitmap) reset() { b.bits, b.n = b.bits[:0], 0 }

// grow makes room for n more bits, which hold anything.
func (b *bitmap) grow(n int) {
	need := (b.n + n + 7) / 8
	b.bits = slices.Grow(b.bits, need-len(b.bits))[:need]
	b.n += n
}

// add appends bits [off, off+n) of src, or n ones when src is nil.
func (b *bitmap) add(src []byte, off, n int) {
	at := b.n
	b.grow(n)
	if src == nil {
		bitutil.SetBitsTo(b.bits, int64(at), int64(n), true)
		return
	}
	bitutil.CopyBitmap(src, off, n, b.bits, at)
}

// count is the number of ones in [from, to).
func (b *bitmap) count(from, to int) int { return bitutil.CountSetBits(b.bits, from, to-from) }

// appendTo appends bits [from, from+n) to dst, the last byte filled up with zeros.
func (b *bitmap) appendTo(dst []byte, from, n int) []byte {
	at := len(dst)
	dst = slices.Grow(dst, (n+7)/8)[:at+(n+7)/8]
	out := dst[at:]
	out[len(out)-1] = 0
	bitutil.CopyBitmap(b.bits, from, n, out, 0)
	if n%8 != 0 {
		out[len(out)-1] &= 1<<(n%8) - 1
	}
	return dst
}

// selectOnes appends the numbers of the ones among bits [off, off+n) of src, counted from 0, to dst.
func selectOnes(dst []int32, src []byte, off, n int) []int32 {
	at := len(dst)
	dst = slices.Grow(dst, n)[:at+n]
	out := dst[at:]
	k, i := 0, 0
	for ; i < n && (off+i)%8 != 0; i++ {
		out[k] = int32(i)
		k += int(src[(off+i)/8] >> ((off + i) % 8) & 1)
	}
	for ; i+8 <= n; i += 8 {
		b := src[(off+i)/8]
		if b == 0xFF {
			o := out[k : k+8]
			for j := range o {
				o[j] = int32(i + j)
			}
			k += 8
			continue
		}
		for ; b != 0; b &= b - 1 {
			out[k] = int32(i + bits.TrailingZeros8(b))
			k++
		}
	}
	for ; i < n; i++ {
		if src[(off+i)/8]>>((off+i)%8)&1 != 0 {
			out[k] = int32(i)
			k++
		}
	}
	return dst[:at+k]
}
