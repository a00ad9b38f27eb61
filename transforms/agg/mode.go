package agg

import (
	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/memory"
)

func init() {
	Register(Func{
		Name:    "mode",
		Doc:     "mode(x), or mode() WITHIN GROUP (ORDER BY x), is the value that comes most often, nulls aside; of several the first in order; null if there are none.",
		Example: "mode(total)",
		State:   "list of struct: v0 a different value, v1 (int64) how often it came",
		Ordered: true,
		bind:    bindMode,
	})
}

func bindMode(c Call) (Bound, error) {
	arg, desc, err := orderedArg("mode", c, 0)
	if err != nil {
		return Bound{}, err
	}
	return bindCounted("mode", c.Field(arg), c.Field(arg).Type, like(c.Field(arg)), []Input{{Arg: arg}}, nil, frequent{1, desc}, func(v *values, mem memory.Allocator) (arrow.Array, error) {
		order := v.held.order()
		most := make([]int32, len(v.off)-1)
		for g := range most {
			best := int32(-1)
			for _, r := range v.rows[v.off[g]:v.off[g+1]] {
				switch {
				case best < 0 || v.count[r] > v.count[best]:
					best = r
				case v.count[r] == v.count[best] && (order(r, best) < 0) != desc:
					best = r
				}
			}
			most[g] = best
		}
		return v.held.take(mem, most)
	})
}

// orderedArg is the one column of a function that may be called as f(…, x) or as f(…) WITHIN GROUP (ORDER BY x), by its number for
// Call.Field; before is how many constants stand before it.
func orderedArg(name string, c Call, before int) (arg int, desc bool, err error) {
	switch {
	case c.Within && len(c.Order) == 1 && len(c.Args) == before:
		return before, c.Order[0].Desc, nil
	case !c.Within && len(c.Args) == before+1:
		return before, false, nil
	}
	return 0, false, usage(name, before)
}
