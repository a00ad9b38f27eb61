package jsonl

import (
	"math"
	"math/bits"
	"strconv"
)

// nonDigits marks the bytes of x that are no decimal digits.
func nonDigits(x uint64) uint64 {
	t := x ^ ones*'0'
	return ((t & (ones * 0x7f)) + ones*0x76 | t) & highs
}

// parse8 is the value of eight digits 0–9 (not '0'–'9'), the first one in the lowest byte.
func parse8(t uint64) uint64 {
	t = t*10 + t>>8
	return ((t&0x000000ff000000ff)*0x000f424000000064 + (t>>16&0x000000ff000000ff)*0x0000271000000001) >> 32
}

var pow10 = [...]uint64{1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19}

// pow10f64 are the powers of ten that float64 holds exactly.
var pow10f64 = [...]float64{1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22}

// digitsAt reads the run of digits at i: its value and length. n is over 19 if the run is (v means nothing then).
func digitsAt(b []byte, i int) (v uint64, n int) {
	x := load8(b, i)
	if m := nonDigits(x); m != 0 {
		n = bits.TrailingZeros64(m) &^ 7
		return parse8((x ^ ones*'0') << (64 - n)), n >> 3
	}
	v = parse8(x ^ ones*'0')
	x = load8(b, i+8)
	if m := nonDigits(x); m != 0 {
		n = bits.TrailingZeros64(m) &^ 7
		return v*pow10[n>>3] + parse8((x^ones*'0')<<(64-n)), 8 + n>>3
	}
	v = v*1e8 + parse8(x^ones*'0')
	for n = 16; isDigit(at(b, i+n)); n++ {
		if n == 19 {
			return 0, 20
		}
		v = v*10 + uint64(b[i+n]-'0')
	}
	return v, n
}

// plain reads a number without exponent and of at most 19 digits at i: its digits without the point as m, how many of them
// are behind the point, and the index behind it. end is -1 on anything else, well-formed or not.
func plain(b []byte, i int) (m uint64, frac, end int) {
	first := at(b, i)
	x := load8(b, i)
	if nd := nonDigits(x); nd != 0 {
		n1 := bits.TrailingZeros64(nd) &^ 7
		if byte(x>>n1) != '.' {
			if n1 == 0 || first == '0' && n1 > 8 || byte(x>>n1)|0x20 == 'e' {
				return 0, 0, -1
			}
			return parse8((x ^ ones*'0') << (64 - n1)), 0, i + n1>>3
		}
		if nd &= nd - 1; nd != 0 {
			n2 := bits.TrailingZeros64(nd) &^ 7
			if n1 == 0 || first == '0' && n1 > 8 || n2 == n1+8 || byte(x>>n2)|0x20 == 'e' || byte(x>>n2) == '.' {
				return 0, 0, -1
			}
			t, low := x^ones*'0', uint64(1)<<n1-1
			t = t&low | t>>8&^low
			return parse8(t << (72 - n2)), (n2 - n1 - 8) >> 3, i + n2>>3
		}
	}
	m, n := digitsAt(b, i)
	if n == 0 || n > 19 || first == '0' && n > 1 {
		return 0, 0, -1
	}
	end = i + n
	if at(b, end) == '.' {
		f, nf := digitsAt(b, end+1)
		if nf == 0 || n+nf > 19 {
			return 0, 0, -1
		}
		m, frac, end = m*pow10[nf]+f, nf, end+1+nf
	}
	if c := at(b, end); c|0x20 == 'e' || c == '.' {
		return 0, 0, -1
	}
	return m, frac, end
}

// normal is a number as sign, digits and power of ten: ±d × 10^exp, d without leading and trailing zeros; no digits for zero.
type normal struct {
	neg    bool
	digits []byte
	exp    int64
}

// normalize takes a well-formed JSON number apart. The digits are appended to scratch.
func normalize(text, scratch []byte) normal {
	n := normal{digits: scratch[:0]}
	i := 0
	if text[0] == '-' {
		n.neg, i = true, 1
	}
	point := false
	for ; i < len(text) && text[i]|0x20 != 'e'; i++ {
		if text[i] == '.' {
			point = true
			continue
		}
		if point {
			n.exp--
		}
		if text[i] != '0' || len(n.digits) > 0 {
			n.digits = append(n.digits, text[i])
		}
	}
	if i < len(text) {
		n.exp += exponent(text[i+1:])
	}
	for len(n.digits) > 0 && n.digits[len(n.digits)-1] == '0' {
		n.digits = n.digits[:len(n.digits)-1]
		n.exp++
	}
	if len(n.digits) == 0 {
		n.exp = 0
	}
	return n
}

// exponent is clamped far outside of what any type holds, and far inside of int64.
func exponent(b []byte) int64 {
	neg := b[0] == '-'
	if neg || b[0] == '+' {
		b = b[1:]
	}
	var v int64
	for _, c := range b {
		if v = v*10 + int64(c-'0'); v > 1<<40 {
			v = 1 << 40
		}
	}
	if neg {
		return -v
	}
	return v
}

// whole is the number's absolute value if it is an integer of at most 64 bits.
func (n normal) whole() (v uint64, integral, fits bool) {
	if n.exp < 0 {
		return 0, false, false
	}
	if int64(len(n.digits))+n.exp > 20 {
		return 0, true, false
	}
	for i := int64(0); i < int64(len(n.digits))+n.exp; i++ {
		var d uint64
		if i < int64(len(n.digits)) {
			d = uint64(n.digits[i] - '0')
		}
		hi, lo := bits.Mul64(v, 10)
		lo, carry := bits.Add64(lo, d, 0)
		if hi != 0 || carry != 0 {
			return 0, true, false
		}
		v = lo
	}
	return v, true, true
}

// isFloat64 reports whether the shortest decimal that reads back as v has exactly the digits of n: then a float64 column shows the
// number that was written.
func (n normal) isFloat64(v float64) bool {
	if math.IsInf(v, 0) {
		return false
	}
	if len(n.digits) == 0 || v == 0 {
		return len(n.digits) == 0 && v == 0
	}
	var buf, scratch [32]byte
	short := normalize(strconv.AppendFloat(buf[:0], v, 'e', -1, 64), scratch[:0])
	return short.neg == n.neg && short.exp == n.exp && string(short.digits) == string(n.digits)
}
