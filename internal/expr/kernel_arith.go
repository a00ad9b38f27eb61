package expr

import (
	"math"
	"math/bits"
	"strconv"
)

type signed interface {
	~int8 | ~int16 | ~int32 | ~int64
}
type unsigned interface {
	~uint8 | ~uint16 | ~uint32 | ~uint64
}
type integer interface{ signed | unsigned }
type float interface{ ~float32 | ~float64 }

// arithmetic is the kernel of op for operands of type t.
func arithmetic(op string, k kind) kernel {
	switch k {
	case kInt8:
		return signedKernel[int8](op)
	case kInt16:
		return signedKernel[int16](op)
	case kInt32:
		return signedKernel[int32](op)
	case kInt64:
		return signedKernel[int64](op)
	case kUint8:
		return unsignedKernel[uint8](op)
	case kUint16:
		return unsignedKernel[uint16](op)
	case kUint32:
		return unsignedKernel[uint32](op)
	case kUint64:
		return unsignedKernel[uint64](op)
	case kFloat32:
		return floatKernel[float32](op)
	case kFloat64:
		return floatKernel[float64](op)
	}
	return decimalKernel(op)
}

// operands are the values of two arguments and the masks to index them with.
func operands[T any](args []*vector) (x, y []T, mx, my int) {
	return values[T](args[0]), values[T](args[1]), args[0].mask(), args[1].mask()
}

func signedKernel[T signed](op string) kernel {
	loop := map[string]func(dst, x, y []T, mx, my int) bool{"+": addSigned[T], "-": subSigned[T], "*": mulSigned[T], "/": divInt[T], "%": modInt[T]}[op]
	return intKernel(op, loop)
}

func unsignedKernel[T unsigned](op string) kernel {
	loop := map[string]func(dst, x, y []T, mx, my int) bool{"+": addUnsigned[T], "-": subUnsigned[T], "*": mulUnsigned[T], "/": divInt[T], "%": modInt[T]}[op]
	return intKernel(op, loop)
}

// intKernel runs loop over all rows and, only if it says that some row is at fault, looks for the rows that count.
func intKernel[T integer](op string, loop func(dst, x, y []T, mx, my int) bool) kernel {
	return func(f *function, r *run, sel []byte, args []*vector) *vector {
		x, y, mx, my := operands[T](args)
		out := r.fixed(f.t)
		out.valid = r.strictValid(args...)
		if loop(values[T](out), x, y, mx, my) {
			one := make([]T, 3)
			f.recheck(r, out, sel, func(i int) (string, string) {
				a, b := x[i&mx], y[i&my]
				one[1], one[2] = a, b
				if !loop(one[:1], one[1:2], one[2:], 0, 0) {
					return "", ""
				}
				reason := "integer overflow"
				if b == 0 && (op == "/" || op == "%") {
					reason = "division by zero"
				}
				return formatInt(a) + " " + op + " " + formatInt(b), reason
			})
		}
		return out
	}
}

func formatInt[T integer](v T) string {
	if v < 0 {
		return strconv.FormatInt(int64(v), 10)
	}
	return strconv.FormatUint(uint64(v), 10)
}

func addSigned[T signed](dst, x, y []T, mx, my int) bool {
	var over T
	for i := range dst {
		a, b := x[i&mx], y[i&my]
		c := a + b
		dst[i] = c
		over |= (a ^ c) & (b ^ c)
	}
	return over < 0
}

func subSigned[T signed](dst, x, y []T, mx, my int) bool {
	var over T
	for i := range dst {
		a, b := x[i&mx], y[i&my]
		c := a - b
		dst[i] = c
		over |= (a ^ b) & (a ^ c)
	}
	return over < 0
}

func mulSigned[T signed](dst, x, y []T, mx, my int) bool {
	var bad uint64
	for i := range dst {
		a, b := int64(x[i&mx]), int64(y[i&my])
		hi, lo := bits.Mul64(uint64(a), uint64(b))
		hi -= uint64(a>>63)&uint64(b) + uint64(b>>63)&uint64(a)
		c := T(lo)
		dst[i] = c
		bad |= (hi ^ uint64(int64(lo)>>63)) | (uint64(int64(c)) ^ lo)
	}
	return bad != 0
}

func addUnsigned[T unsigned](dst, x, y []T, mx, my int) bool {
	var bad byte
	for i := range dst {
		a := x[i&mx]
		c := a + y[i&my]
		dst[i] = c
		bad |= b2u(c < a)
	}
	return bad != 0
}

func subUnsigned[T unsigned](dst, x, y []T, mx, my int) bool {
	var bad byte
	for i := range dst {
		a, b := x[i&mx], y[i&my]
		dst[i] = a - b
		bad |= b2u(a < b)
	}
	return bad != 0
}

func mulUnsigned[T unsigned](dst, x, y []T, mx, my int) bool {
	var bad uint64
	for i := range dst {
		hi, lo := bits.Mul64(uint64(x[i&mx]), uint64(y[i&my]))
		c := T(lo)
		dst[i] = c
		bad |= hi | (uint64(c) ^ lo)
	}
	return bad != 0
}

// divInt truncates towards zero. The smallest signed value over -1 overflows.
func divInt[T integer](dst, x, y []T, mx, my int) bool {
	bad := false
	for i := range dst {
		a, b := x[i&mx], y[i&my]
		if b == 0 {
			bad, dst[i] = true, 0
			continue
		}
		c := a / b
		dst[i] = c
		bad = bad || (a < 0 && b < 0 && c < 0)
	}
	return bad
}

// modInt has the sign of the dividend.
func modInt[T integer](dst, x, y []T, mx, my int) bool {
	bad := false
	for i := range dst {
		b := y[i&my]
		if b == 0 {
			bad, dst[i] = true, 0
			continue
		}
		dst[i] = x[i&mx] % b
	}
	return bad
}

func floatKernel[T float](op string) kernel {
	return func(f *function, r *run, sel []byte, args []*vector) *vector {
		x, y, mx, my := operands[T](args)
		out := r.fixed(f.t)
		out.valid = r.strictValid(args...)
		dst := values[T](out)
		if floatLoop(op, dst, x, y, mx, my) {
			valid := out.valid
			for i, v := range dst {
				if finite(v) || !active(sel, valid, i) {
					continue
				}
				a, b := x[i&mx], y[i&my]
				reason := ""
				switch {
				case b == 0 && (op == "/" || op == "%") && a == a:
					reason = "division by zero"
				case isInf(v) && !isInf(a) && !isInf(b):
					reason = "float overflow"
				default:
					continue
				}
				f.fail(r, out, i, formatFloat(a)+" "+op+" "+formatFloat(b), reason)
			}
		}
		return out
	}
}

func finite[T float](v T) bool { return v-v == 0 }

func isInf[T float](v T) bool { return math.IsInf(float64(v), 0) }

func formatFloat[T float](v T) string {
	if _, ok := any(v).(float32); ok {
		return strconv.FormatFloat(float64(v), 'g', -1, 32)
	}
	return strconv.FormatFloat(float64(v), 'g', -1, 64)
}

// floatLoop computes dst and reports whether any result is an infinity or NaN: only then can a row be at fault.
func floatLoop[T float](op string, dst, x, y []T, mx, my int) bool {
	both := len(x) == len(dst) && len(y) == len(dst)
	by := len(x) == len(dst) && my == 0 // y is a constant
	if op == "*" && mx == 0 && len(y) == len(dst) && !both {
		x, y, mx, my, by = y, x, -1, 0, true
	}
	switch op {
	case "+":
		if both {
			x, y := x[:len(dst)], y[:len(dst)]
			for i := range dst {
				dst[i] = x[i] + y[i]
			}
			break
		}
		for i := range dst {
			dst[i] = x[i&mx] + y[i&my]
		}
	case "-":
		if both {
			x, y := x[:len(dst)], y[:len(dst)]
			for i := range dst {
				dst[i] = x[i] - y[i]
			}
			break
		}
		for i := range dst {
			dst[i] = x[i&mx] - y[i&my]
		}
	case "*":
		if by && len(dst) > 0 {
			x, c := x[:len(dst)], y[0]
			for i := range dst {
				dst[i] = x[i] * c
			}
			break
		}
		for i := range dst {
			dst[i] = x[i&mx] * y[i&my]
		}
	case "/":
		if both {
			x, y := x[:len(dst)], y[:len(dst)]
			for i := range dst {
				dst[i] = x[i] / y[i]
			}
			break
		}
		for i := range dst {
			dst[i] = x[i&mx] / y[i&my]
		}
	case "%":
		for i := range dst {
			dst[i] = T(math.Mod(float64(x[i&mx]), float64(y[i&my])))
		}
	}
	return anyNotFinite(dst)
}

func anyNotFinite[T float](v []T) bool {
	var a, b, c, d T // v - v is NaN for infinities and NaN, else zero; NaN sticks
	for len(v) >= 4 {
		a += v[0] - v[0]
		b += v[1] - v[1]
		c += v[2] - v[2]
		d += v[3] - v[3]
		v = v[4:]
	}
	for _, x := range v {
		a += x - x
	}
	s := a + b + c + d
	return s != s
}

// negate is unary minus.
func negate(k kind) kernel {
	return func(f *function, r *run, sel []byte, args []*vector) *vector {
		out := r.fixed(f.t)
		out.valid = r.strictValid(args...)
		switch k {
		case kInt8:
			negateInt[int8](f, r, sel, out, args[0])
		case kInt16:
			negateInt[int16](f, r, sel, out, args[0])
		case kInt32:
			negateInt[int32](f, r, sel, out, args[0])
		case kInt64:
			negateInt[int64](f, r, sel, out, args[0])
		case kFloat32:
			for i, x := range values[float32](args[0]) {
				values[float32](out)[i] = -x
			}
		case kFloat64:
			dst := values[float64](out)
			for i, x := range values[float64](args[0]) {
				dst[i] = -x
			}
		case kDecimal:
			dst := values[dec](out)
			for i, x := range values[dec](args[0]) {
				dst[i] = x.Negate()
			}
		}
		return out
	}
}

func negateInt[T signed](f *function, r *run, sel []byte, out, arg *vector) {
	dst, bad := values[T](out), false
	src := values[T](arg)
	for i, x := range src {
		dst[i] = -x
		bad = bad || x < 0 && -x == x
	}
	if bad {
		f.recheck(r, out, sel, func(i int) (string, string) {
			if x := src[i]; x < 0 && -x == x {
				return formatInt(x), "integer overflow"
			}
			return "", ""
		})
	}
}
