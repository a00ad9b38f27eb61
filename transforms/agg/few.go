package agg

import (
	"unsafe"

	"github.com/apache/arrow/go/v17/arrow"
)

// few is how many groups take copies of their counts and sums: among few, the next row is often of the same group and would wait for the sum that
// the one before it has just stored.
const few = 64

// copies are counts or sums, each row's in one of four.
type copies [4][few]int64

// total is the sum of the copies of group g.
func (c *copies) total(g int) int64 { return c[0][g] + c[1][g] + c[2][g] + c[3][g] }

// count counts the rows of each group.
func (c *copies) count(groups []uint32) {
	for ; len(groups) >= 4; groups = groups[4:] {
		c[0][groups[0]&(few-1)]++
		c[1][groups[1]&(few-1)]++
		c[2][groups[2]&(few-1)]++
		c[3][groups[3]&(few-1)]++
	}
	for _, g := range groups {
		c[0][g&(few-1)]++
	}
}

// halfWord reports whether 2^30 values of T have a sum in 64 bits.
func halfWord[T any]() bool {
	var v T
	return unsafe.Sizeof(v) <= 4
}

// mostNarrow is the rows that may be added in 64 bits.
const mostNarrow = 1 << 30

// addNarrow adds the values of each group; there are as many as groups.
func addNarrow[T arrow.IntType | arrow.UintType](c *copies, groups []uint32, v []T) {
	v = v[:len(groups)]
	for ; len(groups) >= 4 && len(v) >= 4; groups, v = groups[4:], v[4:] {
		c[0][groups[0]&(few-1)] += int64(v[0])
		c[1][groups[1]&(few-1)] += int64(v[1])
		c[2][groups[2]&(few-1)] += int64(v[2])
		c[3][groups[3]&(few-1)] += int64(v[3])
	}
	for i, g := range groups {
		c[0][g&(few-1)] += int64(v[i])
	}
}

// addNarrowValid adds those that are not null, by bits from off on.
func addNarrowValid[T arrow.IntType | arrow.UintType](c *copies, groups []uint32, v []T, valid []byte, off int) {
	v = v[:len(groups)]
	for i, g := range groups {
		there := -int64(valid[(off+i)>>3] >> uint((off+i)&7) & 1)
		c[i&3][g&(few-1)] += int64(v[i]) & there
	}
}
