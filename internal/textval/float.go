package textval

import (
	"math"
	"strconv"
)

// Powers of ten that a float holds exactly: with an exact mantissa one multiplication or division is then correctly
// rounded (W. Clinger, How to read floating point numbers accurately, 1990).
var (
	pow10f64 = [...]float64{1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22}
	pow10f32 = [...]float32{1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10}
)

// number is a decimal number taken apart: ±mant × 10^exp if exact, else only its shape is known to be right.
type number struct {
	mant  uint64
	exp   int
	neg   bool
	exact bool // mant and exp are the whole value
	zero  bool // no digit but 0
}

// scan reads [+-]?([0-9]+[.]?[0-9]*|[.][0-9]+)([eE][+-]?[0-9]+)?.
func scan(b []byte) (n number, ok bool) {
	i := 0
	if i < len(b) && (b[i] == '-' || b[i] == '+') {
		n.neg = b[i] == '-'
		i++
	}
	start := i
	var m uint64
	for ; i < len(b) && b[i]-'0' <= 9; i++ {
		m = m*10 + uint64(b[i]-'0')
	}
	nd := i - start
	if i < len(b) && b[i] == '.' {
		i++
		f := i
		for ; i < len(b) && b[i]-'0' <= 9; i++ {
			m = m*10 + uint64(b[i]-'0')
		}
		n.exp = f - i
		nd += i - f
	}
	if nd == 0 {
		return n, false
	}
	n.mant, n.exact = m, nd <= maxFast
	n.zero = n.exact && m == 0
	if !n.exact {
		n.zero = true
		for _, c := range b[start:i] {
			if c != '0' && c != '.' {
				n.zero = false
				break
			}
		}
	}
	if i == len(b) {
		return n, true
	}
	if b[i]|0x20 != 'e' {
		return n, false
	}
	e, ok := exponent(b[i+1:])
	n.exp += e
	return n, ok
}

// exponent reads [+-]?[0-9]+, held to ±2^30: beyond any type's range, and safe to add to a count of digits.
func exponent(b []byte) (e int, ok bool) {
	neg := false
	if len(b) > 0 && (b[0] == '-' || b[0] == '+') {
		neg = b[0] == '-'
		b = b[1:]
	}
	if len(b) == 0 {
		return 0, false
	}
	for _, c := range b {
		if c-'0' > 9 {
			return 0, false
		}
		e = min(e*10+int(c-'0'), 1<<30)
	}
	if neg {
		e = -e
	}
	return e, true
}

// Float64 reads a decimal floating-point number (also inf, infinity, nan in any case), correctly rounded to nearest even;
// ok is false on overflow to infinity and on underflow of a non-zero number to zero, as in PostgreSQL.
func Float64(b []byte) (v float64, ok bool) {
	n, ok := scan(b)
	if !ok {
		return notFinite(b)
	}
	if n.exact && n.mant <= 1<<53 {
		f := float64(n.mant)
		switch {
		case n.exp == 0:
		case n.exp < 0 && n.exp >= -22:
			f /= pow10f64[-n.exp]
		case n.exp > 0 && n.exp <= 22:
			f *= pow10f64[n.exp]
		default:
			return parseFloat(b, n, 64)
		}
		if n.neg {
			f = -f
		}
		return f, true
	}
	return parseFloat(b, n, 64)
}

// Float32 is Float64 for single precision: rounded once, from the text.
func Float32(b []byte) (v float32, ok bool) {
	n, ok := scan(b)
	if !ok {
		f, ok := notFinite(b)
		return float32(f), ok
	}
	if n.exact && n.mant <= 1<<24 {
		f := float32(n.mant)
		switch {
		case n.exp == 0:
		case n.exp < 0 && n.exp >= -10:
			f /= pow10f32[-n.exp]
		case n.exp > 0 && n.exp <= 10:
			f *= pow10f32[n.exp]
		default:
			d, ok := parseFloat(b, n, 32)
			return float32(d), ok
		}
		if n.neg {
			f = -f
		}
		return f, true
	}
	d, ok := parseFloat(b, n, 32)
	return float32(d), ok
}

func parseFloat(b []byte, n number, bits int) (float64, bool) {
	f, err := strconv.ParseFloat(string(b), bits)
	if err != nil || f == 0 && !n.zero {
		return 0, false
	}
	return f, true
}

func notFinite(b []byte) (float64, bool) {
	sign := 1
	if len(b) > 0 && (b[0] == '-' || b[0] == '+') {
		if b[0] == '-' {
			sign = -1
		}
		b = b[1:]
	} else if foldEqual(b, "nan") {
		return math.NaN(), true
	}
	if foldEqual(b, "inf") || foldEqual(b, "infinity") {
		return math.Inf(sign), true
	}
	return 0, false
}

// IsNumber reports whether b has the form of a decimal number, of whatever size.
func IsNumber(b []byte) bool {
	_, ok := scan(b)
	return ok
}
