package jsonl

import (
	"encoding/binary"
	"math/bits"

	"github.com/sluice-data/sluice/internal/textval"
)

// The readers here take the values that nearly all values are: a number of up to seven digits with its point, a string of up
// to 15 plain ASCII bytes. They need shortReach bytes from i on, and return the index behind the value, or -1 having written
// nothing that counts: then it is value's to read.

const shortReach = 24

func word(b []byte, i int) uint64 { return binary.LittleEndian.Uint64(b[i:]) }

// shortInt reads an integer of up to seven digits into row.
func (c *column) shortInt(b []byte, row, i int) int {
	x := word(b, i)
	neg := byte(x) == '-'
	if neg {
		i++
		x = word(b, i)
	}
	t := x ^ ones*'0'
	nd := nonDigits(x)
	n := bits.TrailingZeros64(nd) &^ 7 // bits of digits
	if uint(n-1) > 55 || byte(t) == 0 && n > 8 {
		return -1
	}
	if stop := byte(x >> (n & 63)); stop == '.' || stop|0x20 == 'e' {
		return -1
	}
	v := int64(parse8(t << ((64 - n) & 63)))
	if neg {
		v = -v
	}
	if v < c.lo || v > c.hi {
		return -1
	}
	if c.width == 4 {
		c.i32[row] = int32(v)
	} else {
		c.putInt(row, v)
	}
	return i + n>>3
}

// shortFloat reads a number of up to seven digits without exponent into row. The digits and the power of ten are exact, so their
// quotient is the float64 nearest to the number, and shows as it was written.
func (c *column) shortFloat(b []byte, row, i int) int {
	x := word(b, i)
	neg := byte(x) == '-'
	if neg {
		i++
		x = word(b, i)
	}
	t := x ^ ones*'0'
	nd := nonDigits(x)
	n := bits.TrailingZeros64(nd) &^ 7
	if uint(n-1) > 55 || byte(t) == 0 && n > 8 {
		return -1
	}
	stop := byte(x >> (n & 63))
	end := i + n>>3
	div := 1.0
	if stop == '.' {
		nd &= nd - 1
		n2 := bits.TrailingZeros64(nd) &^ 7
		frac := n2 - n - 8
		if n2 > 56 || frac == 0 {
			return -1
		}
		low := uint64(1)<<(n&63) - 1
		t = t&low | t>>8&^low
		n = n2 - 8
		div = pow10f64[frac>>3&7]
		stop = byte(x >> (n2 & 63))
		end = i + n2>>3
	}
	if stop|0x20 == 'e' {
		return -1
	}
	v := float64(int64(parse8(t<<((64-n)&63)))) / div
	if neg {
		v = -v
	}
	c.f64[row] = v
	return end
}

// shortString reads a string of ASCII bytes without escapes into row, copying as it looks, where there is room for it.
func (c *column) shortString(b []byte, row, i int) int {
	if b[i] != '"' {
		return -1
	}
	off := int(c.i32[row])
	i++
	src, dst := b[i:], c.bytes[min(off, len(c.bytes)):]
	for n := 0; n+8 <= len(src) && n+8 <= len(dst); n += 8 {
		x := binary.LittleEndian.Uint64(src[n:])
		binary.LittleEndian.PutUint64(dst[n:], x) // the bytes behind the string are written over by the next one
		m := stops(x) | x&highs
		if m == 0 {
			continue
		}
		n += bits.TrailingZeros64(m) >> 3
		if src[n] != '"' {
			return -1
		}
		c.i32[row+1] = int32(off + n)
		return i + n + 1
	}
	return -1
}

// shortClock reads a timestamp of 19 bytes into row. Its text has nothing in it that a JSON string would have to escape, so the string
// need not be scanned for that.
func (c *column) shortClock(b []byte, row, i int) int {
	if b[i] != '"' || b[i+20] != '"' || !c.fixed19 || !c.fixedT && b[i+11] != ' ' {
		return -1
	}
	us, ok := textval.Fixed(b[i+1 : i+20])
	if !ok {
		return -1
	}
	c.i64[row] = us
	return i + 21
}
