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
	rows := make([]int32, 0, len(groups))
	for i := range groups {
		if bits[(off+i)>>3]>>uint((off+i)&7)&1 != 0 && (valid == nil || valid[(vo+i)>>3]>>uint((vo+i)&7)&1 != 0) {
			rows = append(rows, int32(i))
		}
	}
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
