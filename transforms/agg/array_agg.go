package agg

import (
	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/memory"
)

func init() {
	Register(Func{
		Name: "array_agg",
		Doc: "array_agg(x ORDER BY y) is the list of the values of x, nulls too, in order: of the input where none is given; null for no rows. " +
			"array_agg(DISTINCT x) has each value once, in ascending order.",
		Example: "array_agg(total ORDER BY total DESC)",
		State:   "list of struct: v0 the value, v1 its place",
		Ordered: true,
		bind:    bindArrayAgg,
	})
}

func bindArrayAgg(c Call) (Bound, error) {
	arg, err := one("array_agg", c)
	if err != nil {
		return Bound{}, err
	}
	if !holds(arg.Type) {
		return Bound{}, unfit("array_agg", arg, "values that are no lists or structs")
	}
	list := arrow.ListOfField(arrow.Field{Name: "element", Type: arg.Type, Nullable: true, Metadata: arg.Metadata})
	place, err := placeOf("array_agg", c, c.Order)
	if err != nil {
		return Bound{}, err
	}
	return collected(c, column(list), []Input{{Arg: 0}, place}, 1, nil, func(c *collect, mem memory.Allocator, off, rows []int32) (arrow.Array, error) {
		values, err := c.cols[0].take(mem, rows)
		if err != nil {
			return nil, err
		}
		return listOf(list, off, filled(off), values), nil
	}), nil
}
