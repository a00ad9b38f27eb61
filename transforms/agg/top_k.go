package agg

import (
	"cmp"
	"fmt"
	"math"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/memory"
)

func init() {
	Register(Func{
		Name:    "top_k",
		Doc:     "top_k(x, k) is the list of the k values that come most often, nulls aside, the most frequent first and of equally frequent ones the least; exactly; null if there are none.",
		Example: "top_k(user_id, 1)",
		State:   "list of struct: v0 a different value, v1 (int64) how often it came",
		bind:    bindTopK,
	})
}

func bindTopK(c Call) (Bound, error) {
	if len(c.Args) != 2 {
		return Bound{}, fmt.Errorf("top_k takes a column and how many values, as in top_k(x, 3), not %d arguments", len(c.Args))
	}
	k, null, err := constant("top_k", c, 1, "the number of values")
	if err != nil {
		return Bound{}, err
	}
	if null || k < 1 || k != math.Trunc(k) || k > 1e6 {
		return Bound{}, fmt.Errorf("top_k wants a whole number of values from 1 to 1000000")
	}
	arg := c.Args[0].Field
	list := arrow.ListOfField(arrow.Field{Name: "element", Type: arg.Type, Nullable: true, Metadata: arg.Metadata})
	return bindCounted("top_k", arg, arg.Type, column(list), []Input{{Arg: 0}}, nil, frequent{n: int(k)}, func(v *values, mem memory.Allocator) (arrow.Array, error) {
		order := v.held.order()
		sortGroups(v.off, v.rows, func(i, j int32) int {
			if c := cmp.Compare(v.count[j], v.count[i]); c != 0 {
				return c
			}
			return order(i, j)
		})
		off, rows := make([]int32, len(v.off)), v.rows[:0]
		for g := range len(off) - 1 {
			of := v.rows[v.off[g]:v.off[g+1]]
			rows = append(rows, of[:min(len(of), int(k))]...)
			off[g+1] = int32(len(rows))
		}
		a, err := v.held.take(mem, rows)
		if err != nil {
			return nil, err
		}
		return listOf(list, off, filled(off), a), nil
	})
}
