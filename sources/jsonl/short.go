package jsonl

import (
	"encoding/binary"
	"math/bits"
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

// shortString reads a string of up to 15 ASCII bytes without escapes into row.
func (c *column) shortString(b []byte, row, i int) int {
	x := word(b, i+1)
	y := uint64(0)
	n := 0
	m := stops(x) | x&highs
	if m == 0 {
		y = word(b, i+9)
		m = stops(y) | y&highs
		n = 8
		if m == 0 {
			return -1
		}
	}
	n += bits.TrailingZeros64(m) >> 3
	end := i + 1 + n
	off := int(c.i32[row])
	if b[i] != '"' || b[end] != '"' || off+16 > len(c.bytes) {
		return -1
	}
	dst := (*[16]byte)(c.bytes[off:])
	binary.LittleEndian.PutUint64(dst[:], x) // the bytes behind the string are written over by the next one
	binary.LittleEndian.PutUint64(dst[8:], y)
	c.i32[row+1] = int32(off + n)
	return end + 1
}

// shortClock reads a timestamp of 19 bytes into row. What a plain format takes has nothing in it that a JSON string would have
// to escape, so the string need not be scanned for that.
func (c *column) shortClock(b []byte, row, i int) int {
	if b[i] != '"' || b[i+20] != '"' || !c.plain {
		return -1
	}
	var ok bool
	if c.kind == kTimestamp {
		c.i64[row], ok = c.layout.Micros(b[i+1 : i+20])
	} else {
		c.i64[row], ok = c.layout.Instant(b[i+1 : i+20])
	}
	if !ok {
		return -1
	}
	return i + 21
}

// isPlain reports whether the text that a time format takes is ASCII that stands in a JSON string as it is.
func isPlain(format string) bool {
	for i := range len(format) {
		if c := format[i]; c < 0x20 || c >= 0x80 || c == '"' || c == '\\' {
			return false
		}
	}
	return true
}
