package agg

import (
	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/memory"

	"github.com/sluice-data/sluice/transforms/internal/col"
	"github.com/sluice-data/sluice/transforms/internal/take"
)

// UpdateWhere folds the rows for which cond, a bool column, is true: FILTER (WHERE …).
func UpdateWhere(acc Accumulator, cond arrow.Array, groups []uint32, n int, args []arrow.Array) error {
	bits, off := col.Bits(cond)
	valid, vo := col.Valid(cond)
	if c, ok := acc.(*counter); ok && len(args) == 0 {
		c.n = col.Grow(c.n, n)
		for i, g := range groups {
			c.n[g] += int64(is(bits, off+i) & is(valid, vo+i))
		}
		return nil
	}
	rows, kept := make([]int32, len(groups)), 0
	for i := range groups { // no branch: what is kept comes in no order
		rows[kept] = int32(i)
		kept += int(is(bits, off+i) & is(valid, vo+i))
	}
	rows = rows[:kept]
	if len(rows) == len(groups) {
		return acc.Update(groups, n, args)
	}
	some := make([]uint32, len(rows))
	pickRows(some, groups, rows)
	left := make([]arrow.Array, 0, len(args))
	defer func() { releaseAll(left) }()
	for _, a := range args {
		t, err := take.Array(a, rows, memory.DefaultAllocator)
		if err != nil {
			return err
		}
		left = append(left, t)
	}
	return acc.Update(some, n, left)
}

// is is bit i; without bits it is 1.
func is(bits []byte, i int) byte {
	if bits == nil {
		return 1
	}
	return bits[i>>3] >> uint(i&7) & 1
}
