package expr

import (
	"math"
	"strconv"

	"github.com/apache/arrow/go/v17/arrow/decimal128"
)

// roundFloat is each rounding function on floats.
var roundFloat = map[string]func(float64) float64{"round": math.RoundToEven, "trunc": math.Trunc, "floor": math.Floor, "ceil": math.Ceil, "ceiling": math.Ceil}

// bindRound binds round, trunc, floor and ceil. Integers stay as they are; a decimal loses its places; a float stays a float.
func bindRound(b *binder, c *call, args []node) (node, *Error) {
	optional, params := 0, []parameter{aNumber}
	if c.name == "round" || c.name == "trunc" {
		optional, params = 1, []parameter{aNumber, anInt}
	}
	if err := b.arguments(c, args, optional, params...); err != nil {
		return nil, err
	}
	x, t := args[0], args[0].typ()
	if t.kind == kNull {
		return nullNode(simple(kFloat64)), nil
	}
	var places node = intNode(kInt64, 0)
	if len(args) == 2 {
		places = args[1]
	}
	switch {
	case t.kind == kDecimal:
		return b.roundDecimal(c, x, places)
	case t.kind.integer() && len(args) == 1:
		return x, nil
	case t.kind.integer():
		return b.roundInteger(c, x, places)
	case len(args) == 2:
		if t.kind == kFloat32 {
			var err *Error
			if x, err = b.cast(x, simple(kFloat64), c.span); err != nil {
				return nil, err
			}
		}
		n, known := constInt(places)
		mayFail := c.name == "round" && (!known || n < firstOverflow)
		return b.call(simple(kFloat64), roundPlaces(c.name == "trunc"), mayFail, c.span, x, places), nil
	case t.kind == kFloat32:
		compute := roundFloat[c.name]
		return b.call(t, mapFixed(func(x float32) float32 { return float32(compute(float64(x))) }), false, c.span, x), nil
	}
	return b.call(t, mapFixed(roundFloat[c.name]), false, c.span, x), nil
}

// roundPlaces rounds floats half away from zero at a decimal place, or cuts them there. A float that has no digits there stays as it is.
func roundPlaces(cut bool) kernel {
	return func(f *function, r *run, sel []byte, args []*vector) *vector {
		x, mx := values[float64](args[0]), args[0].mask()
		p, mp := values[int64](args[1]), args[1].mask()
		out := r.fixed(f.t)
		out.valid = r.strictValid(args...)
		dst := values[float64](out)
		for i := range dst {
			dst[i] = roundAt(x[i&mx], p[i&mp], cut)
		}
		if f.mayFail && anyNotFinite(dst) {
			f.recheck(r, out, sel, func(i int) (string, string) {
				if isInf(dst[i]) && !isInf(x[i&mx]) {
					return formatFloat(x[i&mx]), "float overflow"
				}
				return "", ""
			})
		}
		return out
	}
}

// firstOverflow is the least place from the left at which rounding may give more than a float holds: nearer to the point, the
// largest floats have no digits.
const firstOverflow = -292

// roundAt is infinite if the result is too large for a float.
func roundAt(x float64, places int64, cut bool) float64 {
	switch {
	case places > 340 || x != x || math.IsInf(x, 0):
		return x
	case places < -308:
		return 0
	}
	n := int(places)
	y := x * math.Pow10(n)
	if n < 0 {
		y = x / math.Pow10(-n)
	}
	if math.IsInf(y, 0) || math.Abs(y) >= 1<<53 {
		return x
	}
	one := math.Copysign(1, y)
	if !cut {
		k := math.Round(y)
		v := unitsAt(k, n)
		if math.Abs(y) < 1<<48 {
			return v
		}
		for _, k := range []float64{k - one, k + one} { // with 15 digits and more it counts that y was rounded
			if w := unitsAt(k, n); math.Abs(w-x) < math.Abs(v-x) {
				v = w
			}
		}
		return v
	}
	// the whole number below a rounded y may be one too few (4.35 * 100 is 434.99999999999994), or too many
	k := math.Trunc(y)
	for _, k := range []float64{k + one, k} {
		if v := unitsAt(k, n); math.Abs(v) <= math.Abs(x) {
			return v
		}
	}
	return unitsAt(k-one, n)
}

// unitsAt is the float nearest to k units of the n-th decimal place, for whole k below 2^53.
func unitsAt(k float64, n int) float64 {
	switch {
	case n < -22 || n > 22: // powers of ten are not exact beyond
		v, _ := strconv.ParseFloat(strconv.FormatFloat(k, 'f', 0, 64)+"e"+strconv.Itoa(-n), 64)
		return v
	case n < 0:
		return k * math.Pow10(-n)
	}
	return k / math.Pow10(n)
}

// constInt is the value of a constant int64 argument.
func constInt(x node) (int64, bool) {
	c, ok := x.(*constNode)
	if !ok || c.v.null || c.v.kind != kInt64 {
		return 0, false
	}
	return values[int64](c.v)[0], true
}

// roundDecimal gives a decimal with as many places as asked for; where a column says how many, with those of the argument.
func (b *binder) roundDecimal(c *call, x, places node) (node, *Error) {
	t, mode := x.typ(), c.name
	n, ok := constInt(places)
	if !ok {
		if k, isConst := places.(*constNode); isConst && k.v.null {
			return nullNode(t), nil
		}
		return b.call(decimalOf(t.prec+1, t.scale), func(f *function, r *run, sel []byte, args []*vector) *vector {
			d, p, md, mp := values[dec](args[0]), values[int64](args[1]), args[0].mask(), args[1].mask()
			return f.eachDecimal(r, sel, args, func(i int) (dec, bool) {
				at := int32(max(min(p[i&mp], int64(t.scale)), -39))
				q, neg := cutDecimal(mode, d[i&md], t.scale, at)
				fits := q == u128{}
				if !fits {
					q, fits = q.mul(powers[t.scale-at])
				}
				out, ok := signedDec(q, neg, f.t.prec)
				return out, ok && fits
			}, func(i int) string { return formatDec(d[i&md], t.scale) })
		}, true, c.span, x, places), nil
	}
	if n >= int64(t.scale) {
		return x, nil
	}
	at := int32(max(n, -39))
	scale := max(at, 0)
	return b.call(decimalOf(max(t.prec-t.scale+scale+1, 1), scale), func(f *function, r *run, sel []byte, args []*vector) *vector {
		d := values[dec](args[0])
		whole := mode == "round" && at >= 0 && t.scale-at <= 18 // of units of 64 bits
		unit, most := uint64(1), mostSmall(f.t.prec)
		if whole {
			unit = powers[t.scale-at].lo
		}
		return f.eachDecimal(r, sel, args, func(i int) (dec, bool) {
			if x := d[i]; whole && isSmall(x) {
				m := magnitude64(int64(x.LowBits()))
				q := m / unit
				if rem := m - q*unit; rem >= unit-rem {
					q++
				}
				sign := x.HighBits() // 0 or -1
				return decimal128.FromI64(int64(q) ^ sign - sign), q < most
			}
			q, neg := cutDecimal(mode, d[i], t.scale, at)
			fits := true
			if at < 0 && q != (u128{}) {
				q, fits = q.mul(powers[-at])
			}
			out, ok := signedDec(q, neg, f.t.prec)
			return out, ok && fits
		}, func(i int) string { return formatDec(d[i], t.scale) })
	}, true, c.span, x), nil
}

// cutDecimal is the magnitude of d, of scale from, in units of its at-th decimal place (negative: tens, hundreds …).
func cutDecimal(mode string, d dec, from, at int32) (q u128, negative bool) {
	m, neg := magnitude(d)
	if from-at > 38 { // less than half of such a unit
		return u128{}, neg
	}
	unit := powers[from-at]
	q, rem := m.divMod(unit)
	up := false
	switch mode {
	case "round":
		up = !rem.less(unit.sub(rem))
	case "floor":
		up = neg && rem != u128{}
	case "ceil", "ceiling":
		up = !neg && rem != u128{}
	}
	if up {
		q, _ = q.add(u128{0, 1})
	}
	return q, neg
}

// eachDecimal computes each row; one whose result does not fit is an error with the row's text.
func (f *function) eachDecimal(r *run, sel []byte, args []*vector, compute func(i int) (dec, bool), text func(i int) string) *vector {
	v := r.fixed(f.t)
	v.valid = r.strictValid(args...)
	valid, dst := v.valid, values[dec](v)
	for i := range dst {
		var ok bool
		if dst[i], ok = compute(i); !ok && active(sel, valid, i) {
			f.fail(r, v, i, text(i), "decimal overflow: more than "+strconv.Itoa(int(f.t.prec))+" digits")
		}
	}
	return v
}

// roundInteger rounds to tens, hundreds …; with places from 0 on it is the argument itself.
func (b *binder) roundInteger(c *call, x, places node) (node, *Error) {
	n, ok := constInt(places)
	if !ok {
		return nil, errAt(c.args[1].place(), "the places of %s must be a literal for an integer", c.name)
	}
	if n >= 0 {
		return x, nil
	}
	t := x.typ()
	d, err := b.cast(x, t.asDecimal(), c.span)
	if err != nil {
		return nil, err
	}
	if d, err = b.roundDecimal(c, d, places); err != nil {
		return nil, err
	}
	return b.cast(d, t, c.span)
}
