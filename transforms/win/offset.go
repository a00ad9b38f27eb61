package win

import (
	"fmt"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/memory"

	"github.com/sluice-data/sluice/transforms/internal/take"
)

func init() {
	Register(Func{Name: "lag", Doc: "x of the row so many (1) before in the partition, else the default (null)", Example: "lag(fare, 1, 0)", Arity: [2]int{1, 3}, Bind: offset("lag", -1)})
	Register(Func{Name: "lead", Doc: "x of the row so many (1) behind in the partition, else the default (null)", Example: "lead(fare)", Arity: [2]int{1, 3}, Bind: offset("lead", 1)})
}

// offset is lag, by -1, or lead, by 1.
func offset(name string, sign int64) func(args []Arg) (Bound, error) {
	return func(args []Arg) (Bound, error) {
		by := int64(1)
		if len(args) > 1 {
			if args[1].Const == nil || *args[1].Const < 0 {
				return Bound{}, fmt.Errorf("%s wants a whole number of rows from 0 on: %s(x, 1)", name, name)
			}
			by = *args[1].Const
		}
		result := args[0].Field
		result.Nullable = true
		if len(args) == 3 {
			if !arrow.TypeEqual(args[0].Type, args[2].Type) {
				return Bound{}, fmt.Errorf("%s of %s has a default of type %s: cast it to the same", name, args[0].Type, args[2].Type)
			}
			result.Nullable = args[0].Nullable || args[2].Nullable
		}
		var stream func(Frame) Streamer
		if sign < 0 && by <= mostLag {
			n := int(by)
			stream = func(Frame) Streamer { return &lag{by: n} }
		}
		by *= sign
		return Bound{Result: result, Stream: stream, Compute: func(p *Part, args []arrow.Array, mem memory.Allocator) (arrow.Array, error) {
			idx := make([]int32, p.N)
			p.each(func(lo, hi int) {
				for i := lo; i < hi; i++ {
					idx[i] = -1
					if at := int64(i) + by; at >= int64(lo) && at < int64(hi) {
						idx[i] = int32(at)
					} else if len(args) == 3 {
						idx[i] = int32(p.N + i) // in the defaults behind the values
					}
				}
			})
			if len(args) < 3 {
				return pick(args[0], idx, mem)
			}
			both, err := array.Concatenate([]arrow.Array{args[0], args[2]}, mem)
			if err != nil {
				return nil, fmt.Errorf("bring values together: %w", err)
			}
			defer both.Release()
			return take.Array(both, idx, mem)
		}}, nil
	}
}
