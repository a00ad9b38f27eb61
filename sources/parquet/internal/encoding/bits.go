package encoding

import (
	"encoding/binary"
	"math/bits"
)

// SetBits sets the bits [off, off+n) of dst.
func SetBits(dst []byte, off, n int) {
	for ; n > 0 && off&7 != 0; n-- {
		dst[off>>3] |= 1 << (off & 7)
		off++
	}
	at := off >> 3
	for ; n >= 64; n -= 64 {
		binary.LittleEndian.PutUint64(dst[at:], ^uint64(0))
		at += 8
	}
	for ; n >= 8; n -= 8 {
		dst[at] = 0xff
		at++
	}
	if n > 0 {
		dst[at] |= 1<<n - 1
	}
}

// CopyBits ors the bits [from, from+n) of src into dst at off, whose bits from off on are zero, and returns how many are
// one.
func CopyBits(dst []byte, off int, src []byte, from, n int) (ones int) {
	for n > 0 {
		// up to 56 bits at a time: a word read at a byte border, less its first bits
		k := min(n, 56)
		at := from >> 3
		var w uint64
		if at+8 <= len(src) {
			w = binary.LittleEndian.Uint64(src[at:])
		} else {
			w = tail64(src, at)
		}
		w = w >> (from & 7) & (1<<k - 1)
		ones += bits.OnesCount64(w)
		to := off >> 3
		w <<= off & 7 // k + 7 <= 63
		if to+8 <= len(dst) {
			binary.LittleEndian.PutUint64(dst[to:], binary.LittleEndian.Uint64(dst[to:])|w)
		} else {
			for i := to; w != 0 && i < len(dst); i++ {
				dst[i] |= byte(w)
				w >>= 8
			}
		}
		off += k
		from += k
		n -= k
	}
	return ones
}

// BitPackedLevels decodes levels in the deprecated BIT_PACKED encoding (most significant bit first) to the hybrid's
// form, one bit-packed run per call.
type BitPackedLevels struct {
	b     []byte
	bit   int
	width uint
}

// Reset starts on b, whose levels are width bits wide (0 to 8).
func (l *BitPackedLevels) Reset(b []byte, width uint) { *l = BitPackedLevels{b: b, width: width} }

// Levels fills dst; a level above limit is an error.
func (l *BitPackedLevels) Levels(dst []uint8, limit uint8) error {
	for i := range dst {
		var v uint8
		for range l.width {
			if l.bit>>3 >= len(l.b) {
				return ErrShort
			}
			v = v<<1 | l.b[l.bit>>3]>>(7-l.bit&7)&1
			l.bit++
		}
		if v > limit {
			return ErrShort
		}
		dst[i] = v
	}
	return nil
}
