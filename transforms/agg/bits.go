package agg

import (
	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/memory"
)

func init() {
	for _, f := range []struct {
		name, doc string
		set       bool
	}{
		{"bit_and", "the bits that all values have", true},
		{"bit_or", "the bits that any value has", true},
		{"bit_xor", "the bits that an odd number of values have", false},
	} {
		Register(Func{
			Name:    f.name,
			Doc:     f.name + "(x) is " + f.doc + ", nulls aside, of the integer type of x; null if there are none.",
			Example: f.name + "(user_id)",
			State:   "the bits so far, of the argument's type, null for no value",
			Set:     f.set,
			bind:    func(c Call) (Bound, error) { return bindBits(f.name, c) },
		})
	}
}

func bindBits(name string, c Call) (Bound, error) {
	arg, err := one(name, c)
	if err != nil {
		return Bound{}, err
	}
	t := arg.Type
	b := Bound{Result: column(t), State: []arrow.Field{column(t)}}
	switch t.ID() {
	case arrow.INT8, arrow.UINT8:
		b.New = newBits[uint8](name, t)
	case arrow.INT16, arrow.UINT16:
		b.New = newBits[uint16](name, t)
	case arrow.INT32, arrow.UINT32:
		b.New = newBits[uint32](name, t)
	case arrow.INT64, arrow.UINT64:
		b.New = newBits[uint64](name, t)
	default:
		return Bound{}, unfit(name, arg, "integers")
	}
	return b, nil
}

func newBits[T uint8 | uint16 | uint32 | uint64](name string, t arrow.DataType) func(memory.Allocator) Accumulator {
	start := T(0)
	fold := func(v []T, groups []uint32, x []T) {
		for i, g := range groups {
			v[g] |= x[i]
		}
	}
	switch name {
	case "bit_and":
		start = ^T(0)
		fold = func(v []T, groups []uint32, x []T) {
			for i, g := range groups {
				v[g] &= x[i]
			}
		}
	case "bit_xor":
		fold = func(v []T, groups []uint32, x []T) {
			for i, g := range groups {
				v[g] ^= x[i]
			}
		}
	}
	return func(memory.Allocator) Accumulator { return &extreme[T]{typ: t, start: start, fold: fold} }
}
