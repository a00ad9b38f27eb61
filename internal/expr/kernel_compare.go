package expr

import (
	"bytes"
	"cmp"
)

type number interface {
	~int8 | ~int16 | ~int32 | ~int64 | ~uint8 | ~uint16 | ~uint32 | ~uint64 | ~float32 | ~float64
}

// compareOp is what a comparison is made of: equality or less-than, operands swapped, result negated.
type compareOp struct{ less, swap, negate bool }

var compareOps = map[string]compareOp{
	"=": {}, "<>": {negate: true},
	"<": {less: true}, ">=": {less: true, negate: true},
	">": {less: true, swap: true}, "<=": {less: true, swap: true, negate: true},
}

// compareKernel compares two arguments of one kind (or, for decimals, of any two scales).
func compareKernel(op compareOp, k kind) kernel {
	return func(f *function, r *run, _ []byte, args []*vector) *vector {
		a, b := args[0], args[1]
		out := &vector{typ: simple(kBool), n: r.n, valid: r.strictValid(a, b)}
		out.data = r.compare(op, k, a, b)
		return out
	}
}

// compare gives the bitmap of a op b, ignoring validity.
func (r *run) compare(op compareOp, k kind, a, b *vector) []byte {
	if op.swap {
		a, b = b, a
	}
	if a.konst && b.konst && r.n != 1 {
		a = r.spread(a)
	}
	dst := r.bitmap()
	switch k {
	case kInt8:
		compareNumbers[int8](r, dst, op, a, b)
	case kInt16:
		compareNumbers[int16](r, dst, op, a, b)
	case kInt32, kDate:
		compareNumbers[int32](r, dst, op, a, b)
	case kInt64, kTime, kTimestamp, kTimestamptz:
		compareNumbers[int64](r, dst, op, a, b)
	case kUint8:
		compareNumbers[uint8](r, dst, op, a, b)
	case kUint16:
		compareNumbers[uint16](r, dst, op, a, b)
	case kUint32:
		compareNumbers[uint32](r, dst, op, a, b)
	case kUint64:
		compareNumbers[uint64](r, dst, op, a, b)
	case kFloat32:
		compareNumbers[float32](r, dst, op, a, b)
	case kFloat64:
		compareNumbers[float64](r, dst, op, a, b)
	case kDecimal:
		r.compareDecimals(dst, op, a, b)
	case kList, kStruct:
		compareNested(dst, a, b, r.n)
	case kInterval:
		r.compareIntervals(dst, op, a, b)
	case kBool:
		a, b = r.spread(a), r.spread(b)
		if op.less {
			bitAndNot(dst, b.data, a.data, r.n) // false < true
		} else {
			for i := range (r.n + 7) / 8 {
				dst[i] = ^(a.data[i] ^ b.data[i])
			}
		}
	default:
		compareStrings(dst, op, a, b, r.n)
	}
	if op.negate {
		bitNot(dst, dst, r.n)
	}
	return dst
}

// compareNumbers fills dst with a = b or a < b. NaN equals NaN and is greater than all else, as in PostgreSQL.
func compareNumbers[T number](r *run, dst []byte, op compareOp, a, b *vector) {
	x, y := values[T](a), values[T](b)
	isNaN := func(v *vector, x []T) bool { return v.konst && x[0] != x[0] }
	if r.n == 0 {
		return
	}
	if isNaN(a, x) {
		a = r.spread(a)
		x = values[T](a)
	}
	if isNaN(b, y) {
		b = r.spread(b)
		y = values[T](b)
	}
	switch {
	case op.less && b.konst && !a.konst:
		lessThan(dst, x, y[0])
	case op.less && a.konst && !b.konst: // a < b is NOT b <= a
		atMost(dst, y, x[0])
		bitNot(dst, dst, r.n)
	case op.less:
		lessPairs(dst, x, y)
	case b.konst && !a.konst:
		equalTo(dst, x, y[0])
	case a.konst && !b.konst:
		equalTo(dst, y, x[0])
	default:
		equalPairs(dst, x, y)
	}
}

func lessThan[T number](dst []byte, a []T, y T) {
	i := 0
	for ; i+8 <= len(a); i += 8 {
		s := a[i : i+8 : i+8]
		dst[i>>3] = b2u(s[0] < y) | b2u(s[1] < y)<<1 | b2u(s[2] < y)<<2 | b2u(s[3] < y)<<3 |
			b2u(s[4] < y)<<4 | b2u(s[5] < y)<<5 | b2u(s[6] < y)<<6 | b2u(s[7] < y)<<7
	}
	var last byte
	for j, x := range a[i:] {
		last |= b2u(x < y) << j
	}
	if i < len(a) {
		dst[i>>3] = last
	}
}

func atMost[T number](dst []byte, a []T, y T) {
	i := 0
	for ; i+8 <= len(a); i += 8 {
		s := a[i : i+8 : i+8]
		dst[i>>3] = b2u(s[0] <= y) | b2u(s[1] <= y)<<1 | b2u(s[2] <= y)<<2 | b2u(s[3] <= y)<<3 |
			b2u(s[4] <= y)<<4 | b2u(s[5] <= y)<<5 | b2u(s[6] <= y)<<6 | b2u(s[7] <= y)<<7
	}
	var last byte
	for j, x := range a[i:] {
		last |= b2u(x <= y) << j
	}
	if i < len(a) {
		dst[i>>3] = last
	}
}

func equalTo[T number](dst []byte, a []T, y T) {
	i := 0
	for ; i+8 <= len(a); i += 8 {
		s := a[i : i+8 : i+8]
		dst[i>>3] = b2u(s[0] == y) | b2u(s[1] == y)<<1 | b2u(s[2] == y)<<2 | b2u(s[3] == y)<<3 |
			b2u(s[4] == y)<<4 | b2u(s[5] == y)<<5 | b2u(s[6] == y)<<6 | b2u(s[7] == y)<<7
	}
	var last byte
	for j, x := range a[i:] {
		last |= b2u(x == y) << j
	}
	if i < len(a) {
		dst[i>>3] = last
	}
}

func lessPairs[T number](dst []byte, a, b []T) {
	b = b[:len(a)]
	for i := 0; i < len(a); i += 8 {
		var w byte
		for j, end := 0, min(8, len(a)-i); j < end; j++ {
			x, y := a[i+j], b[i+j]
			w |= (b2u(x < y) | b2u(y != y)&b2u(x == x)) << j
		}
		dst[i>>3] = w
	}
}

func equalPairs[T number](dst []byte, a, b []T) {
	b = b[:len(a)]
	for i := 0; i < len(a); i += 8 {
		var w byte
		for j, end := 0, min(8, len(a)-i); j < end; j++ {
			x, y := a[i+j], b[i+j]
			w |= (b2u(x == y) | b2u(y != y)&b2u(x != x)) << j
		}
		dst[i>>3] = w
	}
}

// compareStrings compares bytes: the C collation.
func compareStrings(dst []byte, op compareOp, a, b *vector, n int) {
	clear(dst[:(n+7)/8])
	ma, mb := a.mask(), b.mask()
	for i := range n {
		x, y := a.str(i&ma), b.str(i&mb)
		if op.less && bytes.Compare(x, y) < 0 || !op.less && string(x) == string(y) {
			setBit(dst, i)
		}
	}
}

func (r *run) compareDecimals(dst []byte, op compareOp, a, b *vector) {
	clear(dst[:(r.n+7)/8])
	x, y, ma, mb := values[dec](a), values[dec](b), a.mask(), b.mask()
	sa, sb := a.scale, b.scale
	// a constant is brought to the column's scale once, if it fits there exactly
	if b.konst && sb < sa && len(y) > 0 {
		if d, ok := rescale(y[0], sb, sa, 38); ok {
			y, sb = []dec{d}, sa
		}
	} else if a.konst && sa < sb && len(x) > 0 {
		if d, ok := rescale(x[0], sa, sb, 38); ok {
			x, sa = []dec{d}, sb
		}
	}
	if sa == sb {
		for i := range r.n {
			u, v := x[i&ma], y[i&mb]
			hit := u == v
			if op.less {
				hit = u.HighBits() < v.HighBits() || u.HighBits() == v.HighBits() && u.LowBits() < v.LowBits()
			}
			dst[i>>3] |= b2u(hit) << (i & 7)
		}
		return
	}
	for i := range r.n {
		c := compareDec(x[i&ma], sa, y[i&mb], sb)
		if op.less && c < 0 || !op.less && c == 0 {
			setBit(dst, i)
		}
	}
}

// compareMixed compares uint64 (first) with int64 exactly.
func compareMixed(op compareOp, swapped bool) kernel {
	return func(f *function, r *run, _ []byte, args []*vector) *vector {
		a, b := args[0], args[1]
		out := &vector{typ: simple(kBool), n: r.n, valid: r.strictValid(a, b), data: r.zeroBitmap()}
		u, s, mu, ms := values[uint64](a), values[int64](b), a.mask(), b.mask()
		for i := range r.n {
			x, y := u[i&mu], s[i&ms]
			c := 1
			if y >= 0 {
				c = cmp.Compare(x, uint64(y))
			}
			if swapped != op.swap {
				c = -c
			}
			if (op.less && c < 0 || !op.less && c == 0) != op.negate {
				setBit(out.data, i)
			}
		}
		return out
	}
}

// distinct is IS [NOT] DISTINCT FROM: NULL is a value like any other.
func distinct(same bool, k kind) kernel {
	return func(f *function, r *run, _ []byte, args []*vector) *vector {
		a, b := r.spread(args[0]), r.spread(args[1])
		out := r.fixed(simple(kBool))
		eq := r.compare(compareOps["="], k, a, b)
		va, vb := a.valid, b.valid
		if va == nil {
			va = r.oneBitmap()
		}
		if vb == nil {
			vb = r.oneBitmap()
		}
		for i := range (r.n + 7) / 8 {
			out.data[i] = eq[i]&va[i]&vb[i] | ^(va[i] | vb[i])
		}
		if !same {
			bitNot(out.data, out.data, r.n)
		}
		return out
	}
}
