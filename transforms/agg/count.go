package agg

import (
	"fmt"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/bitutil"
	"github.com/apache/arrow/go/v17/arrow/memory"

	"github.com/sluice-data/sluice/transforms/internal/col"
)

func init() {
	Register(Func{
		Name:    "count",
		Doc:     "count(*) counts rows, count(x) those where x is not null, count(distinct x) the different values of x, exactly; as int64, 0 for none.",
		Example: "count(*)",
		State:   "int64: the count; of count(distinct x) a list of the different values",
		Star:    true,
		bind:    bindCount,
	})
}

func bindCount(c Call) (Bound, error) {
	b := Bound{Result: arrow.Field{Type: int64s}, State: []arrow.Field{{Type: int64s}}}
	switch {
	case c.Distinct && len(c.Args) == 0:
		return b, fmt.Errorf("count(distinct) needs a column: count(distinct x)")
	case len(c.Args) > 1 || len(c.Args) == 0 && !c.Star:
		return b, fmt.Errorf("count takes one argument, not %d", len(c.Args))
	case c.Distinct:
		return bindDistinct(c.Args[0].Field)
	case len(c.Args) == 1:
		b.Inputs = []Input{{Nulls: true}}
	}
	b.New = func(memory.Allocator) Accumulator { return &counter{} }
	return b, nil
}

// counter counts rows, or non-null values when it is given an argument.
type counter struct{ n []int64 }

func (c *counter) Update(groups []uint32, n int, args []arrow.Array) error {
	c.n = col.Grow(c.n, n)
	cnt := c.n
	if len(args) == 1 {
		if valid, off := col.Valid(args[0]); valid != nil {
			for i, g := range groups {
				if bitutil.BitIsSet(valid, off+i) {
					cnt[g]++
				}
			}
			return nil
		}
	}
	if n == 1 {
		cnt[0] += int64(len(groups))
		return nil
	}
	if n <= few && len(groups) >= few {
		var some copies
		some.count(groups)
		for g := range n {
			cnt[g] += some.total(g)
		}
		return nil
	}
	for _, g := range groups {
		cnt[g]++
	}
	return nil
}

func (c *counter) Merge(groups []uint32, n int, state []arrow.Array) error {
	c.n = col.Grow(c.n, n)
	v := col.Fixed[int64](state[0])[:len(groups)]
	for i, g := range groups {
		c.n[g] += v[i]
	}
	return nil
}

// Total is the sum of all groups' counts.
func (c *counter) Total() int64 {
	var sum int64
	for _, n := range c.n {
		sum += n
	}
	return sum
}

func (c *counter) Result(mem memory.Allocator) (arrow.Array, error) {
	return col.Copy(mem, int64s, c.n, nil), nil
}

func (c *counter) State() ([]arrow.Array, error) {
	return []arrow.Array{col.New(int64s, c.n, nil)}, nil
}

func (c *counter) Size() int64 { return int64(cap(c.n)) * 8 }
func (c *counter) Release()    { c.n = nil }
func (c *counter) Reset()      { c.n = reset(c.n) }

// Reserve makes room for n groups.
func (c *counter) Reserve(n int) { c.n = col.Reserve(c.n, n) }
