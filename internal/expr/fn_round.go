package expr

import (
	"math"
	"strconv"
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
		return b.call(simple(kFloat64), roundPlaces(c.name == "trunc"), false, c.span, x, places), nil
	case t.kind == kFloat32:
		compute := roundFloat[c.name]
		return b.call(t, mapFixed(func(x float32) float32 { return float32(compute(float64(x))) }), false, c.span, x), nil
	}
	return b.call(t, mapFixed(roundFloat[c.name]), false, c.span, x), nil
}

// roundPlaces rounds floats half away from zero at a decimal place. A float that has no digits there stays as it is.
func roundPlaces(cut bool) kernel {
	return func(f *function, r *run, _ []byte, args []*vector) *vector {
		x, mx := values[float64](args[0]), args[0].mask()
		p, mp := values[int64](args[1]), args[1].mask()
		out := r.fixed(f.t)
		out.valid = r.strictValid(args...)
		dst := values[float64](out)
		for i := range dst {
			dst[i] = roundAt(x[i&mx], p[i&mp], cut)
		}
		return out
	}
}

func roundAt(x float64, places int64, cut bool) float64 {
	if places > 340 || x != x || math.IsInf(x, 0) {
		return x
	}
	if places < -310 {
		return 0
	}
	round := math.Round
	if cut {
		round = math.Trunc
	}
	if places < 0 {
		s := math.Pow10(int(-places))
		return round(x/s) * s
	}
	s := math.Pow10(int(places))
	y := x * s
	if math.IsInf(y, 0) || math.Abs(y) >= 1<<53 {
		return x
	}
	return round(y) / s
}

// constInt is the value of a constant int64 argument.
func constInt(x node) (int64, bool) {
	c, ok := x.(*constNode)
	if !ok || c.v.null || c.v.kind != kInt64 {
		return 0, false
	}
	return values[int64](c.v)[0], true
}

// roundDecimal gives a decimal with as many places as asked for, which must be a literal because it decides the type.
func (b *binder) roundDecimal(c *call, x, places node) (node, *Error) {
	n, ok := constInt(places)
	if !ok {
		if k, isConst := places.(*constNode); isConst && k.v.null {
			return nullNode(x.typ()), nil
		}
		return nil, errAt(c.args[1].place(), "the places of %s must be a literal for a decimal: they decide its type", c.name)
	}
	t := x.typ()
	if n >= int64(t.scale) {
		return x, nil
	}
	n = max(n, -38)
	scale := int32(max(n, 0))
	out := decimalOf(max(t.prec-t.scale+scale+1, 1), scale)
	mode := c.name
	return b.call(out, func(f *function, r *run, sel []byte, args []*vector) *vector {
		v := r.fixed(f.t)
		v.valid = r.strictValid(args...)
		valid, dst, from := v.valid, values[dec](v), args[0].scale
		for i, d := range values[dec](args[0]) {
			m, neg := magnitude(d)
			cut := min(from-int32(n), 38)
			q, rem := m.divMod(powers[cut])
			up := false
			switch mode {
			case "round":
				up = !rem.less(powers[cut].sub(rem))
			case "floor":
				up = neg && rem != u128{}
			case "ceil", "ceiling":
				up = !neg && rem != u128{}
			}
			if up {
				q, _ = q.add(u128{0, 1})
			}
			ok := true
			if n < 0 {
				q, ok = q.mul(powers[-n])
			}
			var fits bool
			if dst[i], fits = signedDec(q, neg, f.t.prec); !(ok && fits) && active(sel, valid, i) {
				f.fail(r, v, i, formatDec(d, from), "decimal overflow: more than "+strconv.Itoa(int(f.t.prec))+" digits")
			}
		}
		return v
	}, true, c.span, x), nil
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
