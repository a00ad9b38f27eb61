package expr

import (
	"math"
	"math/big"
	"math/bits"
	"strconv"

	"github.com/apache/arrow/go/v17/arrow/decimal128"

	"github.com/sluice-data/sluice/internal/textval"
)

// u128 is a magnitude.
type u128 struct{ hi, lo uint64 }

// powers are 10^0 … 10^38.
var powers = func() (p [39]u128) {
	p[0] = u128{0, 1}
	for i := 1; i < len(p); i++ {
		p[i], _ = p[i-1].mul64(10)
	}
	return p
}()

func (a u128) less(b u128) bool { return a.hi < b.hi || a.hi == b.hi && a.lo < b.lo }

func (a u128) mul64(m uint64) (u128, bool) {
	h1, lo := bits.Mul64(a.lo, m)
	h2, mid := bits.Mul64(a.hi, m)
	hi, c := bits.Add64(mid, h1, 0)
	return u128{hi, lo}, h2 == 0 && c == 0
}

func (a u128) mul(b u128) (u128, bool) {
	if a.hi != 0 {
		a, b = b, a
	}
	if a.hi != 0 {
		return u128{}, false
	}
	return b.mul64(a.lo)
}

func (a u128) add(b u128) (u128, bool) {
	lo, c := bits.Add64(a.lo, b.lo, 0)
	hi, c := bits.Add64(a.hi, b.hi, c)
	return u128{hi, lo}, c == 0
}

func (a u128) sub(b u128) u128 {
	lo, c := bits.Sub64(a.lo, b.lo, 0)
	hi, _ := bits.Sub64(a.hi, b.hi, c)
	return u128{hi, lo}
}

// divMod divides; b is not zero.
func (a u128) divMod(b u128) (q, rem u128) {
	if b.hi == 0 {
		q.hi = a.hi / b.lo
		q.lo, rem.lo = bits.Div64(a.hi%b.lo, a.lo, b.lo)
		return q, rem
	}
	// b has more than 64 bits, so the quotient fits 64: estimate with the divisor's top 64 bits, correct by at most one.
	n := bits.LeadingZeros64(b.hi)
	top := b.hi<<n | b.lo>>(64-n)
	est, _ := bits.Div64(a.hi>>1, a.hi<<63|a.lo>>1, top)
	est >>= 63 - n
	if est != 0 {
		est--
	}
	p, _ := b.mul64(est)
	rem = a.sub(p)
	for !rem.less(b) {
		rem = rem.sub(b)
		est++
	}
	return u128{0, est}, rem
}

func (a u128) big() *big.Int {
	b := new(big.Int).SetUint64(a.hi)
	return b.Lsh(b, 64).Or(b, new(big.Int).SetUint64(a.lo))
}

func fromBig(b *big.Int) (u128, bool) {
	if b.BitLen() > 128 {
		return u128{}, false
	}
	lo := new(big.Int).And(b, new(big.Int).SetUint64(math.MaxUint64))
	return u128{new(big.Int).Rsh(b, 64).Uint64(), lo.Uint64()}, true
}

func magnitude(d dec) (m u128, negative bool) {
	hi, lo := d.HighBits(), d.LowBits()
	if hi >= 0 {
		return u128{uint64(hi), lo}, false
	}
	return u128{}.sub(u128{uint64(hi), lo}), true
}

// signedDec gives ±m; ok is false if m has more than prec digits.
func signedDec(m u128, negative bool, prec int32) (d dec, ok bool) {
	ok = m.less(powers[prec])
	if negative {
		m = u128{}.sub(m)
	}
	return decimal128.New(int64(m.hi), m.lo), ok
}

// rescale brings d from scale to another within prec digits, rounding half away from zero where digits are dropped.
func rescale(d dec, from, to, prec int32) (dec, bool) {
	m, neg := magnitude(d)
	if to >= from {
		var ok bool
		if to-from > 38 {
			return d, m == u128{}
		}
		if m, ok = m.mul(powers[to-from]); !ok {
			return dec{}, false
		}
	} else {
		m = m.roundDiv(powers[from-to])
	}
	return signedDec(m, neg, prec)
}

// roundDiv is a/b rounded half up (the magnitude: half away from zero).
func (a u128) roundDiv(b u128) u128 {
	q, rem := a.divMod(b)
	if !rem.less(b.sub(rem)) {
		q, _ = q.add(u128{0, 1})
	}
	return q
}

// compareDec compares exactly, whatever the scales.
func compareDec(a dec, sa int32, b dec, sb int32) int {
	if sa == sb {
		return a.Cmp(b)
	}
	ma, na := magnitude(a)
	mb, nb := magnitude(b)
	if na != nb {
		if na {
			return -1
		}
		return 1
	}
	c, ok := 0, false
	if sa < sb {
		if ma, ok = ma.mul(powers[sb-sa]); !ok {
			c = 1 // too large to even write at b's scale
		}
	} else if mb, ok = mb.mul(powers[sa-sb]); !ok {
		c = -1
	}
	switch {
	case c != 0:
	case ma.less(mb):
		c = -1
	case mb.less(ma):
		c = 1
	}
	if na {
		c = -c
	}
	return c
}

// decToFloat is the float64 nearest to d.
func decToFloat(d dec, scale int32) float64 {
	m, neg := magnitude(d)
	if m.hi == 0 && m.lo < 1<<53 && scale <= 22 { // both operands exact: one rounding
		v := float64(m.lo) / math.Pow10(int(scale))
		if neg {
			v = -v
		}
		return v
	}
	v, _ := strconv.ParseFloat(formatDec(d, scale), 64)
	return v
}

func formatDec(d dec, scale int32) string { return string(textval.AppendDecimal(nil, d, scale)) }

func subDec(prec, scale int32, a dec, sa int32, b dec, sb int32) (dec, bool) {
	return addDec(prec, scale, a, sa, b.Negate(), sb)
}

func addDec(prec, scale int32, a dec, sa int32, b dec, sb int32) (dec, bool) {
	if sa != scale {
		var ok bool
		if a, ok = rescale(a, sa, scale, 38); !ok {
			return a, false
		}
	}
	if sb != scale {
		var ok bool
		if b, ok = rescale(b, sb, scale, 38); !ok {
			return b, false
		}
	}
	// both are below 10^38, so the sum is below 2^128/1.7 and its sign bit can be wrong only by wrapping
	ma, na := magnitude(a)
	mb, nb := magnitude(b)
	switch {
	case na == nb:
		m, _ := ma.add(mb)
		return signedDec(m, na, prec)
	case ma.less(mb):
		return signedDec(mb.sub(ma), nb, prec)
	}
	return signedDec(ma.sub(mb), na, prec)
}

func mulDec(prec, _ int32, a dec, _ int32, b dec, _ int32) (dec, bool) {
	ma, na := magnitude(a)
	mb, nb := magnitude(b)
	m, ok := ma.mul(mb)
	if !ok {
		return dec{}, false
	}
	return signedDec(m, na != nb, prec)
}

func divDec(prec, scale int32, a dec, sa int32, b dec, sb int32) (dec, bool) {
	ma, na := magnitude(a)
	mb, nb := magnitude(b)
	shift := scale + sb - sa // a / b at the result's scale is a·10^shift / b
	if shift < 0 {
		den, ok := mb.mul(powers[-shift])
		if !ok {
			return dec{}, true // smaller than half a unit
		}
		return signedDec(ma.roundDiv(den), na != nb, prec)
	}
	if shift <= 38 {
		if num, ok := ma.mul(powers[shift]); ok {
			return signedDec(num.roundDiv(mb), na != nb, prec)
		}
	}
	num := new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(shift)), nil)
	num.Mul(num, ma.big())
	q, rem := num.QuoRem(num, mb.big(), new(big.Int))
	if rem.Lsh(rem, 1).Cmp(mb.big()) >= 0 {
		q.Add(q, big.NewInt(1))
	}
	m, ok := fromBig(q)
	if !ok {
		return dec{}, false
	}
	return signedDec(m, na != nb, prec)
}

func modDec(prec, scale int32, a dec, sa int32, b dec, sb int32) (dec, bool) {
	ma, na := magnitude(a)
	mb, _ := magnitude(b)
	x, ok1 := ma.mul(powers[scale-sa])
	y, ok2 := mb.mul(powers[scale-sb])
	if ok1 && ok2 {
		_, rem := x.divMod(y)
		return signedDec(rem, na, prec)
	}
	bx := new(big.Int).Mul(ma.big(), powers[scale-sa].big())
	by := new(big.Int).Mul(mb.big(), powers[scale-sb].big())
	m, ok := fromBig(bx.Rem(bx, by))
	if !ok {
		return dec{}, false
	}
	return signedDec(m, na, prec)
}

// decimalResult is the type of a op b.
func decimalResult(op string, a, b typ) (typ, string) {
	intDigits := max(a.prec-a.scale, b.prec-b.scale)
	scale := max(a.scale, b.scale)
	switch op {
	case "+", "-":
		return decimalOf(intDigits+scale+1, scale), ""
	case "*":
		if a.scale+b.scale > 38 {
			return typ{}, "the product has " + strconv.Itoa(int(a.scale+b.scale)) + " decimal places, more than 38: cast one side to a smaller scale"
		}
		return decimalOf(a.prec+b.prec, a.scale+b.scale), ""
	case "/":
		whole := a.prec - a.scale + b.scale
		s := max(6, scale, min(16, 38-whole))
		return decimalOf(whole+s, s), ""
	}
	return decimalOf(intDigits+scale, scale), ""
}
