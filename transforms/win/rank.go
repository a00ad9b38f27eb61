package win

import (
	"errors"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/memory"

	"github.com/sluice-data/sluice/transforms/internal/col"
)

func init() {
	number := func(name, doc string, of func(n *numbers) int64) {
		Register(Func{Name: name, Doc: doc, Example: name + "()", Bind: func([]Arg) (Bound, error) {
			return Bound{Result: arrow.Field{Type: int64s}, Stream: numbered(of), Compute: func(p *Part, _ []arrow.Array, mem memory.Allocator) (arrow.Array, error) {
				return (&numbers{of: of}).Next(p, nil, mem)
			}}, nil
		}})
	}
	share := func(name, doc string, f func(p *Part, out []float64)) {
		Register(Func{Name: name, Doc: doc, Example: name + "()", Bind: func([]Arg) (Bound, error) {
			return Bound{Result: arrow.Field{Type: float64s}, Compute: func(p *Part, _ []arrow.Array, mem memory.Allocator) (arrow.Array, error) {
				buf, out := col.Make[float64](mem, p.N)
				f(p, out)
				return col.Of(mem, float64s, p.N, buf, nil), nil
			}}, nil
		}})
	}
	number("row_number", "the row's number in its partition, from 1", func(n *numbers) int64 { return n.row })
	number("rank", "the number of the first of the rows that are equal in the order", func(n *numbers) int64 { return n.before + 1 })
	number("dense_rank", "how many different values of the order there are up to the row", func(n *numbers) int64 { return n.peers })
	share("percent_rank", "(rank - 1) / (rows - 1), 0 for a single row", func(p *Part, out []float64) {
		p.eachPeers(func(lo, hi, from, to int) {
			for i := from; i < to && hi-lo > 1; i++ {
				out[i] = float64(from-lo) / float64(hi-lo-1)
			}
		})
	})
	share("cume_dist", "the share of the partition's rows that are before the row or equal to it", func(p *Part, out []float64) {
		p.eachPeers(func(lo, hi, from, to int) {
			for i := from; i < to; i++ {
				out[i] = float64(to-lo) / float64(hi-lo)
			}
		})
	})
	Register(Func{Name: "ntile", Doc: "which of n parts of the partition, as equal as can be, the row is in, from 1", Example: "ntile(4)", Arity: [2]int{1, 1}, Bind: func(args []Arg) (Bound, error) {
		if args[0].Const == nil || *args[0].Const < 1 {
			return Bound{}, errors.New("ntile wants a whole number from 1 on: ntile(4)")
		}
		n := *args[0].Const
		return Bound{Result: arrow.Field{Type: int64s}, Compute: func(p *Part, _ []arrow.Array, mem memory.Allocator) (arrow.Array, error) {
			buf, out := col.Make[int64](mem, p.N)
			p.each(func(lo, hi int) {
				rows := int64(hi - lo)
				small, large := rows/n, rows%n // the first parts have one more
				for i := range rows {
					if split := large * (small + 1); i < split {
						out[lo+int(i)] = i/(small+1) + 1
					} else {
						out[lo+int(i)] = large + (i-split)/small + 1
					}
				}
			})
			return col.Of(mem, int64s, p.N, buf, nil), nil
		}}, nil
	}})
}
