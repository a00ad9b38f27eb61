package expr

import "math"

func init() {
	floatFunction("cbrt", "The cube root.", "cbrt(-27)", "-3", func(x float64) (float64, string) { return math.Cbrt(x), "" })
	floatFunction("log2", "The logarithm to base 2.", "log2(1024)", "10", logarithm(math.Log2))
	for _, f := range []struct {
		name, doc, example, result string
		compute                    func(float64) float64
	}{
		{"sin", "The sine of an angle in radians.", "sin(0)", "0", math.Sin},
		{"cos", "The cosine of an angle in radians.", "cos(0)", "1", math.Cos},
		{"tan", "The tangent of an angle in radians.", "tan(0)", "0", math.Tan},
		{"cot", "The cotangent of an angle in radians.", "round(cot(1), 12)", "0.642092615934", func(x float64) float64 { return 1 / math.Tan(x) }},
		{"asin", "The angle in radians whose sine is the argument, which is from -1 to 1.", "asin(0)", "0", math.Asin},
		{"acos", "The angle in radians whose cosine is the argument, which is from -1 to 1.", "acos(1)", "0", math.Acos},
		{"atan", "The angle in radians whose tangent is the argument.", "atan(0)", "0", math.Atan},
		{"sinh", "The hyperbolic sine.", "sinh(0)", "0", math.Sinh},
		{"cosh", "The hyperbolic cosine.", "cosh(0)", "1", math.Cosh},
		{"tanh", "The hyperbolic tangent.", "tanh(0)", "0", math.Tanh},
		{"asinh", "The inverse hyperbolic sine.", "asinh(0)", "0", math.Asinh},
		{"acosh", "The inverse hyperbolic cosine of a number from 1 on.", "acosh(1)", "0", math.Acosh},
		{"atanh", "The inverse hyperbolic tangent of a number between -1 and 1.", "atanh(0)", "0", math.Atanh},
		{"degrees", "An angle in radians as degrees.", "degrees(pi())", "180", func(x float64) float64 { return x / (math.Pi / 180) }},
		{"radians", "An angle in degrees as radians.", "radians(0)", "0", func(x float64) float64 { return x * (math.Pi / 180) }},
	} {
		floatFunction(f.name, f.doc, f.example, f.result, inDomain(f.compute))
	}
	strict(Function{Name: "pi", Signature: "pi() → float64", Doc: "The number π.", Example: "pi()", Result: "3.141592653589793"}, false, simple(kFloat64),
		func(f *function, r *run, _ []byte, _ []*vector) *vector {
			out := r.fixed(f.t)
			for i := range values[float64](out) {
				values[float64](out)[i] = math.Pi
			}
			return out
		}, 0)
	strict(Function{Name: "atan2", Signature: "atan2(y number, x number) → float64", Doc: "The angle in radians of the point x, y, from -π to π.", Example: "atan2(0, 1)", Result: "0"}, false, simple(kFloat64),
		mapPair(math.Atan2), 0, aFloat, aFloat)
	register(definition{Function{Name: "log", Aliases: []string{"log10"}, Signature: "log([base number,] number) → float64", Doc: "The logarithm to base 10, or to the base given first.", Example: "log(1000)", Result: "3"}, bindLog})
	for _, f := range []struct {
		name, doc, example string
		test               func(float64) bool
	}{
		{"isnan", "Whether a float is not a number.", "isnan('NaN'::float8)", func(x float64) bool { return x != x }},
		{"isinf", "Whether a float is infinity or -infinity.", "isinf('-Infinity'::float8)", func(x float64) bool { return math.IsInf(x, 0) }},
	} {
		strict(Function{Name: f.name, Signature: f.name + "(number) → bool", Doc: f.doc, Example: f.example, Result: "true"}, false, simple(kBool),
			func(fn *function, r *run, _ []byte, args []*vector) *vector {
				out := &vector{typ: fn.t, n: r.n, valid: r.strictValid(args...), data: r.zeroBitmap()}
				for i, x := range values[float64](args[0]) {
					out.data[i>>3] |= b2u(f.test(x)) << (i & 7)
				}
				return out
			}, 0, aFloat)
	}
}

// inDomain makes an error of a number that the function has no value for, and of a result beyond the floats.
func inDomain(compute func(float64) float64) func(float64) (float64, string) {
	return func(x float64) (float64, string) {
		y := compute(x)
		switch {
		case y != y && x == x:
			return 0, "input is out of range"
		case math.IsInf(y, 0) && !math.IsInf(x, 0):
			return 0, "float overflow"
		}
		return y, ""
	}
}

// mapPair is the kernel of a function of two values that cannot fail.
func mapPair[S, D any](compute func(a, b S) D) kernel {
	return func(f *function, r *run, _ []byte, args []*vector) *vector {
		x, y, mx, my := operands[S](args)
		out := r.fixed(f.t)
		out.valid = r.strictValid(args...)
		dst := values[D](out)
		for i := range dst {
			dst[i] = compute(x[i&mx], y[i&my])
		}
		return out
	}
}

func bindLog(b *binder, c *call, args []node) (node, *Error) {
	if len(args) != 2 {
		if err := b.arguments(c, args, 0, aFloat); err != nil {
			return nil, err
		}
		compute := logarithm(log10)
		return b.call(simple(kFloat64), floatKernelOf(compute), true, c.span, args...), nil
	}
	if err := b.arguments(c, args, 0, aFloat, aFloat); err != nil {
		return nil, err
	}
	return b.call(simple(kFloat64), func(f *function, r *run, sel []byte, args []*vector) *vector {
		base, x, mb, mx := operands[float64](args)
		out := r.fixed(f.t)
		out.valid = r.strictValid(args...)
		valid, dst := out.valid, values[float64](out)
		for i := range dst {
			a, v := base[i&mb], x[i&mx]
			dst[i] = log10(v) / log10(a)
			if !active(sel, valid, i) {
				continue
			}
			switch {
			case a <= 0 || v <= 0:
				f.fail(r, out, i, formatFloat(a)+", "+formatFloat(v), "logarithm of a number that is not positive")
			case a == 1:
				f.fail(r, out, i, formatFloat(a), "logarithm to base 1")
			}
		}
		return out
	}, true, c.span, args...), nil
}
