package expr

import (
	"math"
	"math/big"
	"math/bits"
	"strconv"

	"github.com/apache/arrow/go/v17/arrow/decimal128"
)

func init() {
	integerPair("gcd", "The greatest common divisor, of the integers' type.", "gcd(12, 18)", "6", func(a, b int64) (int64, bool) {
		g := gcd(magnitude64(a), magnitude64(b))
		return int64(g), g <= math.MaxInt64
	})
	integerPair("lcm", "The least common multiple, of the integers' type.", "lcm(4, 6)", "12", func(a, b int64) (int64, bool) {
		if a == 0 || b == 0 {
			return 0, true
		}
		x, y := magnitude64(a), magnitude64(b)
		hi, lo := bits.Mul64(x/gcd(x, y), y)
		return int64(lo), hi == 0 && lo <= math.MaxInt64
	})
	strict(Function{Name: "factorial", Signature: "factorial(int) → decimal(38,0)", Doc: "The product of the whole numbers up to the argument, which is at most 33.", Example: "factorial(20)", Result: "2432902008176640000"},
		true, decimalOf(38, 0), factorialKernel, 0, anInt)
	register(definition{Function{Name: "div", Signature: "div(number, number) → number", Doc: "The quotient without its fraction, exact; of decimals a decimal without places.", Example: "div(-7.5, 2)", Result: "-3"}, bindDiv})
	register(definition{Function{Name: "width_bucket", Signature: "width_bucket(number, low number, high number, count int) → int32",
		Doc:     "The bucket of count equal ones from low (inclusive) to high (exclusive) that the number falls in: 0 below the first, count + 1 above the last.",
		Example: "width_bucket(5.35, 0.024, 10.06, 5)", Result: "3"}, bindWidthBucket})
	register(definition{Function{Name: "scale", Signature: "scale(decimal) → int32", Doc: "The number of decimal places of the argument's type.", Example: "scale(8.410)", Result: "3"}, bindScale})
}

func magnitude64(v int64) uint64 {
	if v < 0 {
		return -uint64(v)
	}
	return uint64(v)
}

func gcd(a, b uint64) uint64 {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}

// integerPair registers a function of two integers whose result is of their common type.
func integerPair(name, doc, example, result string, compute func(a, b int64) (int64, bool)) {
	k := func(f *function, r *run, sel []byte, args []*vector) *vector {
		x, y, mx, my := operands[int64](args)
		out := r.fixed(f.t)
		out.valid = r.strictValid(args...)
		valid, dst := out.valid, values[int64](out)
		for i := range dst {
			a, b := x[i&mx], y[i&my]
			var ok bool
			if dst[i], ok = compute(a, b); !ok && active(sel, valid, i) {
				f.fail(r, out, i, formatInt(a)+", "+formatInt(b), "integer overflow")
			}
		}
		return out
	}
	register(definition{Function{Name: name, Signature: name + "(integer, integer) → integer", Doc: doc, Example: example, Result: result},
		func(b *binder, c *call, args []node) (node, *Error) {
			x, y := node(nil), node(nil)
			if len(args) == 2 {
				x, y = args[0], args[1]
			}
			if err := b.arguments(c, args, 0, anInt, anInt); err != nil {
				return nil, err
			}
			t := simple(kInt32)
			if x.typ().kind.integer() && y.typ().kind.integer() {
				t = b.numericPair(x, y)
			}
			return b.cast(b.call(simple(kInt64), k, true, c.span, args...), t, c.span)
		}})
}

// factorials are 0! to 33!, as many as 38 digits hold.
var factorials = func() (out [34]dec) {
	v := big.NewInt(1)
	for i := range out {
		if i > 0 {
			v.Mul(v, big.NewInt(int64(i)))
		}
		out[i] = decimal128.FromBigInt(v)
	}
	return out
}()

func factorialKernel(f *function, r *run, sel []byte, args []*vector) *vector {
	out := r.fixed(f.t)
	out.valid = r.strictValid(args...)
	valid, dst := out.valid, values[dec](out)
	for i, n := range values[int64](args[0]) {
		if n >= 0 && n < int64(len(factorials)) {
			dst[i] = factorials[n]
			continue
		}
		dst[i] = dec{}
		reason := "decimal overflow: more than 38 digits"
		if n < 0 {
			reason = "factorial of a negative number"
		}
		if active(sel, valid, i) {
			f.fail(r, out, i, strconv.FormatInt(n, 10), reason)
		}
	}
	return out
}

// bindDiv divides without rounding: x - x % y is a multiple of y.
func bindDiv(b *binder, c *call, args []node) (node, *Error) {
	if err := b.arguments(c, args, 0, anything, anything); err != nil {
		return nil, err
	}
	atX, atY := c.args[0].place(), c.args[1].place()
	for i, x := range args {
		if !x.typ().kind.numeric() && !isUntyped(x) {
			return nil, errAt(c.args[i].place(), "div works on numbers, not %s: cast it", x.typ())
		}
	}
	if args[0].typ().kind != kDecimal && args[1].typ().kind != kDecimal {
		q, err := b.arithmetic("/", args[0], args[1], atX, atY, c.span)
		if err != nil || !q.typ().kind.float() {
			return q, err
		}
		q, err = b.cast(q, simple(kFloat64), c.span)
		return b.call(simple(kFloat64), mapFixed(math.Trunc), false, c.span, q), err
	}
	x, letX := b.share(args[0])
	y, letY := b.share(args[1])
	rest, err := b.arithmetic("%", x, y, atX, atY, c.span)
	if err != nil {
		return nil, err
	}
	whole, err := b.arithmetic("-", x, rest, atX, atY, c.span)
	if err != nil {
		return nil, err
	}
	q, err := b.arithmetic("/", whole, y, atX, atY, c.span)
	if err != nil {
		return nil, err
	}
	if t := q.typ(); t.kind == kDecimal {
		if q, err = b.cast(q, decimalOf(max(1, t.prec-t.scale), 0), c.span); err != nil {
			return nil, err
		}
	} else {
		q = b.call(t, mapFixed(math.Trunc), false, c.span, q)
	}
	return wrap(letX, wrap(letY, q)), nil
}

func bindScale(b *binder, c *call, args []node) (node, *Error) {
	if err := b.arguments(c, args, 0, aNumber); err != nil {
		return nil, err
	}
	t := args[0].typ()
	if t.kind.float() {
		return nil, errAt(c.args[0].place(), "scale works on decimals, not %s", t)
	}
	n := intNode(kInt32, int64(t.scale))
	return fold(&function{t: simple(kInt32), args: []node{args[0], n}, src: b.text(c.span), run: func(f *function, r *run, _ []byte, args []*vector) *vector {
		out := *r.spread(args[1])
		out.valid = r.strictValid(args[0])
		return &out
	}}), nil
}

// bindWidthBucket computes on floats if one is among the numbers, else on exact decimals of one scale.
func bindWidthBucket(b *binder, c *call, args []node) (node, *Error) {
	if err := b.arguments(c, args, 0, anything, anything, anything, anInt); err != nil {
		return nil, err
	}
	t := typ{}
	for i, x := range args[:3] {
		switch {
		case isUntyped(x):
		case !x.typ().kind.numeric():
			return nil, errAt(c.args[i].place(), "width_bucket works on numbers, not %s: cast it", x.typ())
		case t.kind == kNull:
			t = x.typ()
		default:
			t = widest(t, x.typ(), true)
		}
	}
	if t.kind.integer() {
		t = t.asDecimal()
	} else if t.kind != kDecimal {
		t = simple(kFloat64)
	}
	for i := range args[:3] {
		var err *Error
		if args[i], err = b.cast(args[i], t, c.args[i].place()); err != nil {
			return nil, err
		}
	}
	if t.kind == kDecimal {
		return b.call(simple(kInt32), bucketKernel(dec.Cmp, func(dec) bool { return true }, decBucket, func(d dec) string { return formatDec(d, t.scale) }), true, c.span, args...), nil
	}
	return b.call(simple(kInt32), bucketKernel(compareFloat, finite[float64], floatBucket, formatFloat[float64]), true, c.span, args...), nil
}

func compareFloat(a, b float64) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// floatBucket is how many widths of high-low over n fit between low and x, which is in between.
func floatBucket(x, low, high float64, n int64) int64 {
	return min(int64((x/2-low/2)/(high/2-low/2)*float64(n)), n-1)
}

func decBucket(x, low, high dec, n int64) int64 {
	a, _ := magnitude(x.Sub(low))
	w, _ := magnitude(high.Sub(low))
	if m, ok := a.mul64(uint64(n)); ok {
		q, _ := m.divMod(w)
		return int64(q.lo)
	}
	m := a.big()
	return m.Mul(m, big.NewInt(n)).Div(m, w.big()).Int64()
}

// bucketKernel: known reports whether a bound is finite.
func bucketKernel[T comparable](cmp func(a, b T) int, known func(T) bool, bucket func(x, low, high T, n int64) int64, text func(T) string) kernel {
	return func(f *function, r *run, sel []byte, args []*vector) *vector {
		x, low, mx, ml := operands[T](args)
		high, mh := values[T](args[2]), args[2].mask()
		count, mc := values[int64](args[3]), args[3].mask()
		out := r.fixed(f.t)
		out.valid = r.strictValid(args...)
		valid, dst := out.valid, values[int32](out)
		for i := range dst {
			dst[i] = 0
			if !active(sel, valid, i) {
				continue
			}
			v, lo, hi, n := x[i&mx], low[i&ml], high[i&mh], count[i&mc]
			up := cmp(lo, hi)
			switch {
			case n <= 0 || n >= math.MaxInt32:
				f.fail(r, out, i, strconv.FormatInt(n, 10), "count must be from 1 to 2147483646")
			case up == 0 || !known(lo) || !known(hi) || v != v:
				f.fail(r, out, i, text(v)+", "+text(lo)+", "+text(hi), "the bounds must be finite and differ, and the number not be NaN")
			case cmp(v, lo)*up > 0: // before low, in the direction from low to high
			case cmp(v, hi)*up <= 0:
				dst[i] = int32(n) + 1
			default:
				dst[i] = int32(bucket(v, lo, hi, n)) + 1
			}
		}
		return out
	}
}
