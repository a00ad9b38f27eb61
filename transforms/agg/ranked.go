package agg

import (
	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/memory"
)

// Ranked says which values, by their place in order, a function makes its result of: who can tell those of a frame of rows without a look at each
// of the rows need not hand the rows over. Nulls have no place.
type Ranked struct {
	// At is the place of the value that is wanted among n ≥ 1, and whether the one behind it is, too; nil where none is.
	At func(n int) (i int, next bool)
	// Of gives for each group g its result in memory of mem, owned by the caller: at[g] are the rows of values that At asked for, -1 where there are none, of
	// n[g] values that the group has.
	Of func(mem memory.Allocator, values arrow.Array, n []int, at [][2]int32) (arrow.Array, error)
}

// ranked is what p does with values of type t.
func (p *picker) ranked(t arrow.DataType) *Ranked {
	return &Ranked{At: p.at, Of: func(mem memory.Allocator, values arrow.Array, n []int, at [][2]int32) (arrow.Array, error) {
		c := &chosen{h: newHeld(t), n: n, at: at}
		if err := c.h.add(values, every(nil, values.Len())); err != nil {
			return nil, err
		}
		return p.of(mem, c)
	}}
}
