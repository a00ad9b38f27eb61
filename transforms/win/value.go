package win

import (
	"errors"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/memory"
)

func init() {
	value := func(name, doc, example string, args int, of func(lo, hi, n int32) int32) {
		Register(Func{Name: name, Doc: doc, Example: example, Arity: [2]int{args, args}, Framed: true, Bind: func(args []Arg) (Bound, error) {
			n := int32(1)
			if len(args) == 2 {
				if c := args[1].Const; c == nil || *c < 1 || *c > 1<<30 {
					return Bound{}, errors.New("nth_value wants a whole number from 1 on: nth_value(x, 2)")
				}
				n = int32(*args[1].Const)
			}
			result := args[0].Field
			result.Nullable = true
			return Bound{Result: result, Compute: func(p *Part, args []arrow.Array, mem memory.Allocator) (arrow.Array, error) {
				lo, hi, err := p.bounds()
				if err != nil {
					return nil, err
				}
				for i := range lo {
					if at := of(lo[i], hi[i], n); at >= lo[i] && at < hi[i] {
						lo[i] = at
					} else {
						lo[i] = -1
					}
				}
				return pick(args[0], lo, mem)
			}}, nil
		}})
	}
	value("first_value", "x of the frame's first row", "first_value(fare)", 1, func(lo, _, _ int32) int32 { return lo })
	value("last_value", "x of the frame's last row", "last_value(fare) rows between current row and unbounded following", 1, func(_, hi, _ int32) int32 { return hi - 1 })
	value("nth_value", "x of the frame's row number n", "nth_value(fare, 2)", 2, func(lo, _, n int32) int32 { return lo + n - 1 })
}
