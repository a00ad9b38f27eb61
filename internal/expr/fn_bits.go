package expr

import (
	"math/bits"
	"strconv"
)

func init() {
	register(definition{Function{Name: "xor", Signature: "xor(integer, integer) → integer", Doc: "The bits set in one of the two integers alone; the same as #.", Example: "xor(5, 3)", Result: "6"},
		func(b *binder, c *call, args []node) (node, *Error) {
			if err := b.arguments(c, args, 0, anything, anything); err != nil {
				return nil, err
			}
			return b.bitwise("#", args[0], args[1], c.args[0].place(), c.args[1].place(), c.span)
		}})
	register(definition{Function{Name: "bit_count", Signature: "bit_count(integer) → int32", Doc: "How many bits of an integer are set, of a negative one in two's complement of its width.", Example: "bit_count(255)", Result: "8"}, bindBitCount})
}

// bitwise binds & | # << >>. The first three work on integers of one type; a shift keeps the type of its left side.
func (b *binder) bitwise(op string, x, y node, atX, atY, at span) (node, *Error) {
	var err *Error
	switch {
	case isUntyped(x) && isUntyped(y):
		x, err = b.cast(x, simple(kInt32), atX)
		if err == nil {
			y, err = b.cast(y, simple(kInt32), atY)
		}
	case isUntyped(x):
		x, err = b.cast(x, y.typ(), atX)
	case isUntyped(y):
		y, err = b.cast(y, x.typ(), atY)
	}
	if err != nil {
		return nil, err
	}
	if !x.typ().kind.integer() || !y.typ().kind.integer() {
		return nil, errAt(at, "operator %s works on integers, not %s and %s", op, x.typ(), y.typ())
	}
	t := x.typ()
	if op == "<<" || op == ">>" {
		if y, err = b.cast(y, simple(kInt64), atY); err != nil {
			return nil, err
		}
		return b.call(t, shiftKernel(op, t.kind), true, at, x, y), nil
	}
	t = b.numericPair(x, y)
	if x, err = b.cast(x, t, atX); err == nil {
		y, err = b.cast(y, t, atY)
	}
	if err != nil {
		return nil, err
	}
	return b.call(t, bitKernel(op, t.kind.width()), false, at, x, y), nil
}

func (b *binder) bitNot(n *unary, x node) (node, *Error) {
	if isUntyped(x) {
		var err *Error
		if x, err = b.cast(x, simple(kInt32), n.x.place()); err != nil {
			return nil, err
		}
	}
	t := x.typ()
	if !t.kind.integer() {
		return nil, errAt(n.span, "operator ~ works on an integer, not %s; the match of a pattern is written text ~ pattern", t)
	}
	var k kernel
	switch t.kind.width() {
	case 1:
		k = mapFixed(func(x uint8) uint8 { return ^x })
	case 2:
		k = mapFixed(func(x uint16) uint16 { return ^x })
	case 4:
		k = mapFixed(func(x uint32) uint32 { return ^x })
	default:
		k = mapFixed(func(x uint64) uint64 { return ^x })
	}
	return b.call(t, k, false, n.span, x), nil
}

// bitKernel does not look at the sign, so one kernel does for both types of a width.
func bitKernel(op string, width int) kernel {
	switch width {
	case 1:
		return bitLoop[uint8](op)
	case 2:
		return bitLoop[uint16](op)
	case 4:
		return bitLoop[uint32](op)
	}
	return bitLoop[uint64](op)
}

func bitLoop[T unsigned](op string) kernel {
	return func(f *function, r *run, _ []byte, args []*vector) *vector {
		x, y, mx, my := operands[T](args)
		out := r.fixed(f.t)
		out.valid = r.strictValid(args...)
		dst := values[T](out)
		switch op {
		case "&":
			for i := range dst {
				dst[i] = x[i&mx] & y[i&my]
			}
		case "|":
			for i := range dst {
				dst[i] = x[i&mx] | y[i&my]
			}
		default:
			for i := range dst {
				dst[i] = x[i&mx] ^ y[i&my]
			}
		}
		return out
	}
}

func shiftKernel(op string, k kind) kernel {
	switch k {
	case kInt8:
		return shiftLoop[int8](op)
	case kInt16:
		return shiftLoop[int16](op)
	case kInt32:
		return shiftLoop[int32](op)
	case kInt64:
		return shiftLoop[int64](op)
	case kUint8:
		return shiftLoop[uint8](op)
	case kUint16:
		return shiftLoop[uint16](op)
	case kUint32:
		return shiftLoop[uint32](op)
	}
	return shiftLoop[uint64](op)
}

// shiftLoop shifts; >> keeps the sign. A distance that the type does not have is an error: PostgreSQL takes it modulo the width.
func shiftLoop[T integer](op string) kernel {
	left := op == "<<"
	return func(f *function, r *run, sel []byte, args []*vector) *vector {
		x, mx := values[T](args[0]), args[0].mask()
		y, my := values[int64](args[1]), args[1].mask()
		out := r.fixed(f.t)
		out.valid = r.strictValid(args...)
		dst := values[T](out)
		width := int64(8 * f.t.kind.width())
		bad := false
		for i := range dst {
			n := y[i&my]
			bad = bad || n < 0 || n >= width
			if left {
				dst[i] = x[i&mx] << (uint64(n) & 63)
			} else {
				dst[i] = x[i&mx] >> (uint64(n) & 63)
			}
		}
		if bad {
			f.recheck(r, out, sel, func(i int) (string, string) {
				if n := y[i&my]; n < 0 || n >= width {
					return strconv.FormatInt(n, 10), "a shift of " + f.t.String() + " goes from 0 to " + strconv.FormatInt(width-1, 10)
				}
				return "", ""
			})
		}
		return out
	}
}

func bindBitCount(b *binder, c *call, args []node) (node, *Error) {
	if err := b.arguments(c, args, 0, anything); err != nil {
		return nil, err
	}
	x := args[0]
	if isUntyped(x) {
		var err *Error
		if x, err = b.cast(x, simple(kInt64), c.args[0].place()); err != nil {
			return nil, err
		}
	}
	if !x.typ().kind.integer() {
		return nil, errAt(c.args[0].place(), "bit_count works on an integer, not %s", x.typ())
	}
	var k kernel
	switch x.typ().kind.width() {
	case 1:
		k = mapFixed(func(x uint8) int32 { return int32(bits.OnesCount8(x)) })
	case 2:
		k = mapFixed(func(x uint16) int32 { return int32(bits.OnesCount16(x)) })
	case 4:
		k = mapFixed(func(x uint32) int32 { return int32(bits.OnesCount32(x)) })
	default:
		k = mapFixed(func(x uint64) int32 { return int32(bits.OnesCount64(x)) })
	}
	return b.call(simple(kInt32), k, false, c.span, x), nil
}
