package win

import (
	"slices"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/memory"

	"github.com/sluice-data/sluice/transforms/agg"
	"github.com/sluice-data/sluice/transforms/internal/col"
	"github.com/sluice-data/sluice/transforms/internal/take"
)

// wideFrames is the rows of a frame, on average, from which frames are put together of states: their number grows with the logarithm of the rows.
const wideFrames = 32

// flat reports whether partial states are of a fixed size: those of many rows take no more than those of one.
func (a aggregate) flat() bool {
	return !slices.ContainsFunc(a.State, func(f arrow.Field) bool { return arrow.IsNested(f.Type.ID()) || col.IsVar(f.Type) })
}

// treeBytes is about what tree takes for each row: states in accumulators and in columns, of blocks of all sizes and of frames, and where blocks are.
func (a aggregate) treeBytes() int64 {
	n := int64(24)
	for _, f := range a.State {
		n += 6 * int64(max(col.Width(f.Type), 1))
	}
	return n
}

// tree gives each frame, rows lo[i] … hi[i]-1, its value, of the states of blocks of 1, 2, 4 … rows. A frame is at most two blocks of each size: those on the
// left grow, those on the right shrink again (a segment tree, from the leaves up). Values that are the same for several rows are computed for each.
func (a aggregate) tree(lo, hi []int32, args []arrow.Array, mem memory.Allocator) (arrow.Array, error) {
	n := len(lo)
	level := a.New(mem)
	defer func() { level.Release() }()
	if err := level.Update(each(n), n, args); err != nil {
		return nil, err
	}
	all := a.New(mem)
	defer all.Release()
	l, r := slices.Clone(lo), slices.Clone(hi)
	var of []uint32
	var blocks []int32
	for blocksLeft := n; ; blocksLeft = (blocksLeft + 1) / 2 {
		state, err := level.State()
		if err != nil {
			return nil, err
		}
		of, blocks = of[:0], blocks[:0]
		more := false
		for i := range l {
			if l[i] < r[i] && l[i]&1 != 0 {
				of, blocks = append(of, uint32(i)), append(blocks, l[i])
				l[i]++
			}
			if l[i] < r[i] && r[i]&1 != 0 {
				r[i]--
				of, blocks = append(of, uint32(i)), append(blocks, r[i])
			}
			l[i], r[i] = l[i]/2, r[i]/2
			more = more || l[i] < r[i]
		}
		next, err := a.grown(all, state, of, blocks, n, blocksLeft, more, mem)
		for _, s := range state {
			s.Release()
		}
		if err != nil {
			return nil, err
		}
		if next == nil {
			return result(all, mem)
		}
		level.Release()
		level = next
	}
}

// grown merges the blocks of states into all, and gives the states of blocks of twice the size if there are to be more.
func (a aggregate) grown(all agg.Accumulator, state []arrow.Array, of []uint32, blocks []int32, n, now int, more bool, mem memory.Allocator) (agg.Accumulator, error) {
	taken := make([]arrow.Array, 0, len(state))
	defer func() {
		for _, s := range taken {
			s.Release()
		}
	}()
	for _, s := range state {
		t, err := take.Array(s, blocks, mem)
		if err != nil {
			return nil, err
		}
		taken = append(taken, t)
	}
	if err := all.Merge(of, n, taken); err != nil || !more {
		return nil, err
	}
	pairs := each(now)
	for i := range pairs {
		pairs[i] /= 2
	}
	next := a.New(mem)
	if err := next.Merge(pairs, (now+1)/2, state); err != nil {
		next.Release()
		return nil, err
	}
	return next, nil
}

// each is 0 … n-1.
func each(n int) []uint32 { return upTo[uint32](n) }

func every(n int) []int32 { return upTo[int32](n) }

func upTo[T int32 | uint32](n int) []T {
	out := make([]T, n)
	for i := range out {
		out[i] = T(i)
	}
	return out
}
