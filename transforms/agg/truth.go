package agg

import (
	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/bitutil"
	"github.com/apache/arrow/go/v17/arrow/memory"

	"github.com/sluice-data/sluice/transforms/internal/col"
)

func init() {
	Register(Func{
		Name:    "bool_and",
		Aliases: []string{"every"},
		Doc:     "bool_and(x) is true if all values that are not null are; null if there are none.",
		Example: "bool_and(total > 2)",
		State:   "bool: so far, null for no value",
		Set:     true,
		bind:    func(c Call) (Bound, error) { return bindTruth("bool_and", c, -1) },
	})
	Register(Func{
		Name:    "bool_or",
		Doc:     "bool_or(x) is true if any value is; null if there is none that is not null.",
		Example: "bool_or(total > 2)",
		State:   "bool: so far, null for no value",
		Set:     true,
		bind:    func(c Call) (Bound, error) { return bindTruth("bool_or", c, 1) },
	})
	Register(Func{
		Name:    "count_if",
		Doc:     "count_if(x) is the number of rows for which x is true; as int64, 0 for none.",
		Example: "count_if(total > 2)",
		State:   "int64: the count",
		bind:    bindCountIf,
	})
}

func condition(name string, c Call) error {
	arg, err := one(name, c)
	if err == nil && arg.Type.ID() != arrow.BOOL {
		err = unfit(name, arg, "a condition")
	}
	return err
}

// bindTruth is the least truth value (all are true) or the greatest (any is).
func bindTruth(name string, c Call, want int) (Bound, error) {
	if err := condition(name, c); err != nil {
		return Bound{}, err
	}
	f := column(arrow.FixedWidthTypes.Boolean)
	return Bound{Result: f, State: []arrow.Field{f}, New: func(memory.Allocator) Accumulator { return &extremeBool{want: want} }}, nil
}

func bindCountIf(c Call) (Bound, error) {
	if err := condition("count_if", c); err != nil {
		return Bound{}, err
	}
	f := arrow.Field{Type: int64s}
	return Bound{Result: f, State: []arrow.Field{f}, New: func(memory.Allocator) Accumulator { return &countIf{} }}, nil
}

type countIf struct{ counter }

func (c *countIf) Update(groups []uint32, n int, args []arrow.Array) error {
	c.n = col.Grow(c.n, n)
	bits, off := col.Bits(args[0])
	valid, vo := col.Valid(args[0])
	for i, g := range groups {
		if valid == nil || bitutil.BitIsSet(valid, vo+i) {
			c.n[g] += int64(bits[(off+i)>>3] >> uint((off+i)&7) & 1)
		}
	}
	return nil
}
