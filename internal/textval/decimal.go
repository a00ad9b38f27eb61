package textval

import (
	"math/bits"

	"github.com/apache/arrow/go/v17/arrow/decimal128"
)

var pow10u64 = [...]uint64{1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19}

// Decimal reads a decimal number (exponents too) as an integer scaled by 10^scale. ok is false if it does not fit precision digits
// or has non-zero digits beyond scale: nothing is rounded.
func Decimal(b []byte, precision, scale int32) (v decimal128.Num, ok bool) {
	n, ok := scan(b)
	if !ok {
		return v, false
	}
	if shift := n.exp + int(scale); n.exact && shift >= 0 && shift <= maxFast && precision <= 38 {
		// the common case: up to 18 digits, none to drop
		hi, lo := bits.Mul64(n.mant, pow10u64[shift])
		if fits(hi, lo, precision) {
			return signed(n.neg, hi, lo), true
		}
		return v, false
	}
	return longDecimal(b, n, precision, scale)
}

// longDecimal takes numbers with many digits, or with zeros to drop, digit by digit. b is known to be well formed.
func longDecimal(b []byte, n number, precision, scale int32) (v decimal128.Num, ok bool) {
	if n.zero {
		return v, true
	}
	digs := make([]byte, 0, 40)
	zeros := 0 // zeros seen since the last other digit
	for _, c := range b {
		switch {
		case c == '0':
			if len(digs) > 0 {
				zeros++
			}
		case c > '0' && c <= '9':
			if len(digs)+zeros >= 39 {
				return v, false // more significant digits than any precision
			}
			for ; zeros > 0; zeros-- {
				digs = append(digs, 0)
			}
			digs = append(digs, c-'0')
		}
		if c|0x20 == 'e' {
			break
		}
	}
	shift := n.exp + zeros + int(scale)
	if shift < 0 || len(digs)+shift > int(precision) || len(digs)+shift > 38 {
		return v, false
	}
	var hi, lo uint64
	for _, d := range digs {
		hi, lo = mul10add(hi, lo, uint64(d))
	}
	for range shift {
		hi, lo = mul10add(hi, lo, 0)
	}
	return signed(n.neg, hi, lo), true
}

func mul10add(hi, lo, d uint64) (uint64, uint64) {
	h, l := bits.Mul64(lo, 10)
	l, c := bits.Add64(l, d, 0)
	return hi*10 + h + c, l
}

// fits reports whether hi:lo has at most precision decimal digits.
func fits(hi, lo uint64, precision int32) bool {
	if precision <= 19 {
		return hi == 0 && lo < pow10u64[precision]
	}
	mh, ml := bits.Mul64(pow10u64[19], pow10u64[precision-19])
	return hi < mh || hi == mh && lo < ml
}

func signed(neg bool, hi, lo uint64) decimal128.Num {
	if neg {
		var c uint64
		lo, c = bits.Add64(^lo, 1, 0)
		hi = ^hi + c
	}
	return decimal128.New(int64(hi), lo)
}
