package group

import (
	"cmp"
	"math"
	"slices"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/memory"

	"github.com/sluice-data/sluice/transforms/internal/take"
)

// births are where the groups of a table were first seen, so that those of several lanes come out in one order. A chunk of the input is one lane's, whose
// numbers of groups ascend: chunk and number tell who came first.
type births struct {
	runs  []birth
	upTo  int     // groups before it are in runs
	place []int64 // of each group, chunk<<32 | number in its lane, once lanes are put together; else nil
}

// birth says that groups from first on, up to the next birth's, were first seen in a chunk.
type birth struct {
	first int
	chunk int64
}

// note says that groups from had on are of chunk.
func (b *births) note(had, now int, chunk int64) {
	if now == had || had != b.upTo { // groups that came another way have no place
		return
	}
	b.upTo = now
	if n := len(b.runs); n == 0 || b.runs[n-1].chunk != chunk {
		b.runs = append(b.runs, birth{had, chunk})
	}
}

// places is the place of each of n groups; false if one has none.
func (b *births) places(n int) ([]int64, bool) {
	if b.place != nil || n == 0 {
		return b.place, len(b.place) == n
	}
	if b.upTo != n {
		return nil, false
	}
	out := make([]int64, n)
	for i, r := range b.runs {
		end := n
		if i+1 < len(b.runs) {
			end = b.runs[i+1].first
		}
		for g := r.first; g < end; g++ {
			out[g] = r.chunk<<32 | int64(g)
		}
	}
	return out, true
}

// join puts the places of next's groups, which are ids among the n there are now, to those of the had groups before.
func (b *births) join(had, n int, next *births, ids []uint32) {
	mine, ok := b.places(had)
	theirs, known := next.places(len(ids))
	*b = births{}
	if !ok || !known {
		return
	}
	for len(mine) < n {
		mine = append(mine, math.MaxInt64)
	}
	for g, id := range ids {
		mine[id] = min(mine[id], theirs[g])
	}
	b.place = mine
}

// ordered puts columns of n groups in the order in which these were first seen, as far as that is known. It takes cols over.
func (b *births) ordered(cols []arrow.Array, n int, mem memory.Allocator) ([]arrow.Array, error) {
	if len(b.place) != n || slices.IsSorted(b.place) {
		return cols, nil
	}
	order := make([]int32, n)
	for i := range order {
		order[i] = int32(i)
	}
	slices.SortFunc(order, func(x, y int32) int { return cmp.Compare(b.place[x], b.place[y]) })
	for i, c := range cols { // one after the other: there is no more than one twice
		a, err := take.Array(c, order, mem)
		if err != nil {
			release(cols)
			return nil, err
		}
		c.Release()
		cols[i] = a
	}
	return cols, nil
}
