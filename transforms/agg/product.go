package agg

import (
	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/memory"

	"github.com/sluice-data/sluice/transforms/internal/col"
)

func init() {
	Register(Func{
		Name:    "product",
		Doc:     "product(x) multiplies the values that are not null, as float64; null if there are none. Its last digits depend on how the rows are dealt to lanes.",
		Example: "product(total)",
		State:   "float64: so far, null for no value",
		bind:    bindProduct,
	})
}

func bindProduct(c Call) (Bound, error) {
	arg, err := one("product", c)
	if err != nil {
		return Bound{}, err
	}
	toFloat := floatsOf(arg.Type)
	if toFloat == nil {
		return Bound{}, unfit("product", arg, "numbers")
	}
	f := column(float64s)
	return Bound{Result: f, State: []arrow.Field{f}, New: func(memory.Allocator) Accumulator {
		return &product{floats: toFloat, extreme: extreme[float64]{typ: float64s, start: 1, fold: func(v []float64, groups []uint32, x []float64) {
			for i, g := range groups {
				v[g] *= x[i]
			}
		}}}
	}}, nil
}

// product keeps its values as extreme does, and so merges.
type product struct {
	extreme[float64]
	floats func(arrow.Array) []float64
}

func (p *product) Update(groups []uint32, n int, args []arrow.Array) error {
	x := col.New(float64s, p.floats(args[0]), validOf(args[0]))
	defer x.Release()
	return p.extreme.Update(groups, n, []arrow.Array{x})
}
