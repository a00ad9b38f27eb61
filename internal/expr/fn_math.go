package expr

import (
	"math"
)

func init() {
	register(definition{Function{Name: "abs", Signature: "abs(number) → number", Doc: "The absolute value, of the argument's type.", Example: "abs(-7)", Result: "7"}, bindAbs})
	register(definition{Function{Name: "sign", Signature: "sign(number) → number", Doc: "-1, 0 or 1.", Example: "sign(-2.5)", Result: "-1"}, bindSign})
	register(definition{Function{Name: "round", Signature: "round(number [, places int]) → number",
		Doc:     "Rounds to a whole number, or to so many decimal places (negative: tens, hundreds …). Decimals, and floats with places, round half away from zero; round(float) rounds half to even.",
		Example: "round(2.567, 2)", Result: "2.57"}, bindRound})
	register(definition{Function{Name: "trunc", Signature: "trunc(number [, places int]) → number", Doc: "Drops the digits behind the point, or behind so many decimal places.",
		Example: "trunc(-2.567, 1)", Result: "-2.5"}, bindRound})
	register(definition{Function{Name: "floor", Signature: "floor(number) → number", Doc: "The largest whole number that is not above the argument.", Example: "floor(-1.5)", Result: "-2"}, bindRound})
	register(definition{Function{Name: "ceil", Aliases: []string{"ceiling"}, Signature: "ceil(number) → number", Doc: "The smallest whole number that is not below the argument.",
		Example: "ceil(-1.5)", Result: "-1"}, bindRound})
	register(definition{Function{Name: "mod", Signature: "mod(number, number) → number", Doc: "The remainder, with the sign of the dividend; the same as %.", Example: "mod(-7, 3)", Result: "-1"},
		func(b *binder, c *call, args []node) (node, *Error) {
			if err := b.arguments(c, args, 0, anything, anything); err != nil {
				return nil, err
			}
			return b.arithmetic("%", args[0], args[1], c.args[0].place(), c.args[1].place(), c.span)
		}})
	register(definition{Function{Name: "power", Aliases: []string{"pow"}, Signature: "power(number, number) → float64", Doc: "The first argument raised to the second; the same as ^.", Example: "power(2, 10)", Result: "1024"},
		func(b *binder, c *call, args []node) (node, *Error) {
			if err := b.arguments(c, args, 0, aFloat, aFloat); err != nil {
				return nil, err
			}
			return b.call(simple(kFloat64), powerKernel, true, c.span, args...), nil
		}})
	floatFunction("sqrt", "The square root.", "sqrt(2.25)", "1.5", func(x float64) (float64, string) {
		if x < 0 {
			return 0, "square root of a negative number"
		}
		return math.Sqrt(x), ""
	})
	floatFunction("exp", "e raised to the argument.", "exp(0)", "1", func(x float64) (float64, string) {
		y := math.Exp(x)
		if math.IsInf(y, 0) && !math.IsInf(x, 0) {
			return 0, "float overflow"
		}
		return y, ""
	})
	floatFunction("ln", "The natural logarithm.", "ln(1)", "0", logarithm(math.Log))
}

func logarithm(f func(float64) float64) func(float64) (float64, string) {
	return func(x float64) (float64, string) {
		if x <= 0 {
			return 0, "logarithm of a number that is not positive"
		}
		return f(x), ""
	}
}

// floatFunction registers a function of one float64 with a domain; a reason makes the row an error.
func floatFunction(name, doc, example, result string, compute func(float64) (float64, string)) {
	strict(Function{Name: name, Signature: name + "(number) → float64", Doc: doc, Example: example, Result: result}, true, simple(kFloat64), floatKernelOf(compute), 0, aFloat)
}

func floatKernelOf(compute func(float64) (float64, string)) kernel {
	return func(f *function, r *run, sel []byte, args []*vector) *vector {
		out := r.fixed(f.t)
		out.valid = r.strictValid(args...)
		valid, dst := out.valid, values[float64](out)
		for i, x := range values[float64](args[0]) {
			var reason string
			if dst[i], reason = compute(x); reason != "" && active(sel, valid, i) {
				f.fail(r, out, i, formatFloat(x), reason)
			}
		}
		return out
	}
}

func (b *binder) power(x, y node, atX, atY, at span) (node, *Error) {
	args := []node{x, y}
	for i, p := range []span{atX, atY} {
		var err *Error
		if args[i], err = b.cast(args[i], simple(kFloat64), p); err != nil {
			return nil, err
		}
	}
	return b.call(simple(kFloat64), powerKernel, true, at, args...), nil
}

func powerKernel(f *function, r *run, sel []byte, args []*vector) *vector {
	x, y, mx, my := operands[float64](args)
	out := r.fixed(f.t)
	out.valid = r.strictValid(args...)
	valid, dst := out.valid, values[float64](out)
	for i := range dst {
		a, b := x[i&mx], y[i&my]
		dst[i] = math.Pow(a, b)
		if !math.IsInf(dst[i], 0) && dst[i] == dst[i] || !active(sel, valid, i) {
			continue
		}
		value := formatFloat(a) + " ^ " + formatFloat(b)
		switch {
		case a == 0 && b < 0:
			f.fail(r, out, i, value, "zero raised to a negative power")
		case dst[i] != dst[i] && a == a && b == b:
			f.fail(r, out, i, value, "negative number raised to a fraction")
		case math.IsInf(dst[i], 0) && !math.IsInf(a, 0) && !math.IsInf(b, 0):
			f.fail(r, out, i, value, "float overflow")
		}
	}
	return out
}

// oneNumber checks a function's only argument and passes NULL through as float64.
func (b *binder) oneNumber(c *call, args []node) (node, *Error) {
	if err := b.arguments(c, args, 0, aNumber); err != nil {
		return nil, err
	}
	return args[0], nil
}

func bindAbs(b *binder, c *call, args []node) (node, *Error) {
	x, err := b.oneNumber(c, args)
	if err != nil || x.typ().kind.unsigned() {
		return x, err
	}
	t := x.typ()
	return b.call(t, absKernel(t.kind), t.kind.integer(), c.span, x), nil
}

func absKernel(k kind) kernel {
	switch k {
	case kInt8:
		return absInt[int8]
	case kInt16:
		return absInt[int16]
	case kInt32:
		return absInt[int32]
	case kInt64:
		return absInt[int64]
	case kFloat32:
		return mapFixed(func(x float32) float32 { return float32(math.Abs(float64(x))) })
	case kDecimal:
		return mapFixed(func(x dec) dec {
			if x.Sign() < 0 {
				return x.Negate()
			}
			return x
		})
	}
	return mapFixed(math.Abs)
}

// mapFixed is the kernel of a function that cannot fail.
func mapFixed[S, D any](compute func(S) D) kernel {
	return func(f *function, r *run, _ []byte, args []*vector) *vector {
		out := r.fixed(f.t)
		out.valid = r.strictValid(args...)
		dst := values[D](out)
		for i, x := range values[S](args[0]) {
			dst[i] = compute(x)
		}
		return out
	}
}

func absInt[T signed](f *function, r *run, sel []byte, args []*vector) *vector {
	out := r.fixed(f.t)
	out.valid = r.strictValid(args...)
	src, dst, bad := values[T](args[0]), values[T](out), false
	for i, x := range src {
		if x < 0 {
			x = -x
			bad = bad || x < 0
		}
		dst[i] = x
	}
	if bad {
		f.recheck(r, out, sel, func(i int) (string, string) {
			if dst[i] < 0 {
				return formatInt(src[i]), "integer overflow"
			}
			return "", ""
		})
	}
	return out
}

func bindSign(b *binder, c *call, args []node) (node, *Error) {
	x, err := b.oneNumber(c, args)
	if err != nil {
		return nil, err
	}
	t := x.typ()
	switch {
	case t.kind == kDecimal:
		return b.call(decimalOf(1, 0), mapFixed(func(x dec) dec { return decOf(int64(x.Sign())) }), false, c.span, x), nil
	case t.kind.integer() || t.kind == kFloat32 || t.kind == kFloat64:
		if x, err = b.cast(x, simple(kFloat64), c.args[0].place()); err != nil {
			return nil, err
		}
		s := b.call(simple(kFloat64), mapFixed(func(x float64) float64 {
			switch {
			case x > 0:
				return 1
			case x < 0:
				return -1
			}
			return x
		}), false, c.span, x)
		return b.cast(s, t, c.span)
	}
	return nullNode(simple(kFloat64)), nil
}

func decOf(v int64) dec {
	d, _ := signedDec(u128{0, uint64(max(v, -v))}, v < 0, 38)
	return d
}

// log10 is exact at the powers of ten, where math.Log10 misses some in the last bit.
func log10(x float64) float64 {
	y := math.Log10(x)
	if r := math.Round(y); y != r && math.Abs(y-r) < 1e-9 && math.Pow10(int(r)) == x {
		return r
	}
	return y
}
