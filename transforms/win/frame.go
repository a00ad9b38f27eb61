package win

import "math"

// Frame is which rows of its partition a function sees from a row.
type Frame struct {
	Rows   bool // bounds count rows; else one at the current row is at its peers
	Lo, Hi int64
}

// Unbounded as a Frame's bound is the partition's end on that side.
const Unbounded = math.MaxInt64

// Whole reports whether the frame is all of the partition.
func (f Frame) Whole() bool { return f.Lo == -Unbounded && f.Hi == Unbounded }

// bounds are the first row of each row's frame, and the one behind its last: both never decrease within a partition. An empty frame has both equal.
func (p *Part) bounds() (lo, hi []int32) {
	lo, hi = make([]int32, p.N), make([]int32, p.N)
	f := p.Frame
	p.eachPeers(func(first, end, from, to int) {
		for i := from; i < to; i++ {
			a, b := int64(i)+f.Lo, int64(i)+f.Hi+1
			if !f.Rows {
				a, b = int64(from), int64(to)
			}
			if f.Lo == -Unbounded {
				a = int64(first)
			}
			if f.Hi == Unbounded {
				b = int64(end)
			}
			a = min(max(a, int64(first)), int64(end))
			b = min(max(b, a), int64(end))
			lo[i], hi[i] = int32(a), int32(b)
		}
	})
	return lo, hi
}
