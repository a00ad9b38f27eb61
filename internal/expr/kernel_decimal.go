package expr

import (
	"math/bits"
	"strconv"

	"github.com/apache/arrow/go/v17/arrow/decimal128"
)

// decimalKernel computes on decimals of any scales into f.t, whose precision and scale the binder chose:
//
//   - -  the larger scale, one digit more before the point
//   - the sum of the scales
//     /    16 digits after the point, fewer (down to 6 and the operands' scales) where 38 digits do not suffice; half away from zero
//     %    the larger scale; sign of the dividend
func decimalKernel(op string) kernel {
	compute := map[string]func(prec, scale int32, a dec, sa int32, b dec, sb int32) (dec, bool){"+": addDec, "-": subDec, "*": mulDec, "/": divDec, "%": modDec}[op]
	small := map[string]func(dst, x, y []dec, mx, my int, prec int32) bool{"+": addSmalls, "-": subSmalls, "*": mulSmalls}[op]
	divides := op == "/" || op == "%"
	return func(f *function, r *run, sel []byte, args []*vector) *vector {
		x, y, mx, my := operands[dec](args)
		sx, sy := args[0].scale, args[1].scale
		out := r.fixed(f.t)
		out.valid = r.strictValid(args...)
		dst := values[dec](out)
		valid := out.valid
		prec, scale := f.t.prec, f.t.scale
		row := func(i int) {
			a, b := x[i&mx], y[i&my]
			if divides && b == (dec{}) {
				dst[i] = dec{}
				if active(sel, valid, i) {
					f.fail(r, out, i, formatDec(a, sx)+" "+op+" 0", "division by zero")
				}
				return
			}
			var ok bool
			if dst[i], ok = compute(prec, scale, a, sx, b, sy); !ok && active(sel, valid, i) {
				f.fail(r, out, i, formatDec(a, sx)+" "+op+" "+formatDec(b, sy), "decimal overflow: more than "+strconv.Itoa(int(prec))+" digits")
			}
		}
		u, v := x, y // at one scale, if small is to be used
		fast := small != nil
		if fast && op != "*" {
			u, fast = atScale(x, mx, sx, scale)
			if fast {
				v, fast = atScale(y, my, sy, scale)
			}
		}
		for from := 0; from < len(dst); from += smallRows {
			to := min(from+smallRows, len(dst))
			if fast && small(dst[from:to], u[from&mx:], v[from&my:], mx, my, prec) {
				continue
			}
			for i := from; i < to; i++ {
				if !fast || !small(dst[i:i+1], u[i&mx:], v[i&my:], mx, my, prec) {
					row(i)
				}
			}
		}
		return out
	}
}

// smallRows is how many rows are computed as if all were small before one looks whether they were.
const smallRows = 256

// atScale is x, whose mask is m, at scale to; ok is false where that takes work for each row.
func atScale(x []dec, m int, from, to int32) (out []dec, ok bool) {
	if from == to || len(x) == 0 {
		return x, true
	}
	if m != 0 {
		return nil, false
	}
	d, ok := rescale(x[0], from, to, 38)
	return []dec{d}, ok
}

// isSmall reports whether d fits int64.
func isSmall(d dec) bool { return wide(d) == 0 }

// wide is 0 if d fits int64.
func wide(d dec) int64 { return d.HighBits() ^ int64(d.LowBits())>>63 }

// mostSmall is what magnitudes of decimals that fit int64 are below when they have prec digits.
func mostSmall(prec int32) uint64 {
	if prec <= 18 {
		return powers[prec].lo
	}
	return 1<<63 + 1
}

// addSmalls and its kin compute rows whose operands fit int64, which x and y have at one scale; they report whether all do, and the results fit
// prec digits. If not, dst is undefined.
func addSmalls(dst, x, y []dec, mx, my int, prec int32) bool {
	bad := int64(0)
	for i := range dst {
		a, b := x[i&mx], y[i&my]
		bad |= wide(a) | wide(b)
		v, w := int64(a.LowBits()), int64(b.LowBits())
		lo, c := bits.Add64(uint64(v), uint64(w), 0)
		dst[i] = decimal128.New(v>>63+w>>63+int64(c), lo)
	}
	return bad == 0 && (prec >= 20 || smallWithin(dst, prec)) // 2^64 has 20 digits
}

func subSmalls(dst, x, y []dec, mx, my int, prec int32) bool {
	bad := int64(0)
	for i := range dst {
		a, b := x[i&mx], y[i&my]
		bad |= wide(a) | wide(b)
		v, w := int64(a.LowBits()), int64(b.LowBits())
		lo, c := bits.Sub64(uint64(v), uint64(w), 0)
		dst[i] = decimal128.New(v>>63-w>>63-int64(c), lo)
	}
	return bad == 0 && (prec >= 20 || smallWithin(dst, prec))
}

func mulSmalls(dst, x, y []dec, mx, my int, prec int32) bool {
	bad := int64(0)
	for i := range dst {
		a, b := x[i&mx], y[i&my]
		bad |= wide(a) | wide(b)
		v, w := int64(a.LowBits()), int64(b.LowBits())
		hi, lo := bits.Mul64(uint64(v), uint64(w))
		dst[i] = decimal128.New(int64(hi)-v>>63&w-w>>63&v, lo)
	}
	return bad == 0 && (prec == 38 || smallWithin(dst, prec)) // 2^126 has 38 digits
}

// smallWithin reports whether all of list fit int64 and prec digits.
func smallWithin(list []dec, prec int32) bool {
	bad, most := int64(0), mostSmall(prec)
	for _, d := range list {
		_, less := bits.Sub64(magnitude64(int64(d.LowBits())), most, 0)
		bad |= wide(d) | int64(1-less)
	}
	return bad == 0
}
