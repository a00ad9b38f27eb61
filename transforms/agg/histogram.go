package agg

import (
	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/memory"
)

func init() {
	Register(Func{
		Name:    "histogram",
		Doc:     "histogram(x) is a list of the different values, nulls aside, with how often each comes, in ascending order: list<struct<value, count>>; null if there are none.",
		Example: "histogram(user_id)",
		State:   "list of struct: v0 a different value, v1 (int64) how often it came",
		bind:    bindHistogram,
	})
}

func bindHistogram(c Call) (Bound, error) {
	arg, err := one("histogram", c)
	if err != nil {
		return Bound{}, err
	}
	value := like(arg)
	value.Name = "value"
	list := arrow.ListOfField(arrow.Field{Name: "element", Type: arrow.StructOf(value, arrow.Field{Name: "count", Type: int64s, Nullable: true}), Nullable: true})
	return bindCounted("histogram", arg, arg.Type, column(list), nil, nil, frequent{}, func(v *values, mem memory.Allocator) (arrow.Array, error) {
		sortGroups(v.off, v.rows, v.held.order())
		a, err := v.held.take(mem, v.rows)
		if err != nil {
			return nil, err
		}
		return listOf(list, v.off, filled(v.off), a, v.counts(v.rows)), nil
	})
}
