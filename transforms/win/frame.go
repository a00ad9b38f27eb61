package win

import (
	"fmt"
	"math"
	"slices"

	"github.com/apache/arrow/go/v17/arrow"

	"github.com/sluice-data/sluice/transforms/internal/orderkey"
)

// Frame is which rows of its partition a function sees from a row.
type Frame struct {
	Rows   bool // bounds count rows; else one at the current row is at its peers
	Groups bool // bounds count sets of peers
	Lo, Hi int64
	// Distance, where there is one, takes the place of the bounds that it has: they are by values of the order.
	Distance *Distance
}

// Distance is a frame's bounds by values: of each row the value that it is ordered by, and the least and greatest in its frame, in that order.
type Distance struct {
	Column orderkey.Column // how they are ordered
	Key    arrow.Array
	Lo, Hi arrow.Array // nil where the bound is none by value
}

// Unbounded as a Frame's bound is the partition's end on that side.
const Unbounded = math.MaxInt64

// Whole reports whether the frame is all of the partition.
func (f Frame) Whole() bool { return f.Lo == -Unbounded && f.Hi == Unbounded }

// bounds are the first row of each row's frame, and the one behind its last: both never decrease within a partition. An empty frame has both equal.
func (p *Part) bounds() (lo, hi []int32, err error) {
	lo, hi = make([]int32, p.N), make([]int32, p.N)
	f := p.Frame
	var groups []int32 // where the partition's sets of peers begin, up to the one of the current row and on
	number, of := 0, -1
	p.eachPeers(func(first, end, from, to int) {
		if of != first {
			of, number = first, 0
			if f.Groups {
				groups = p.peersOf(groups[:0], first, end)
			}
		}
		for i := from; i < to; i++ {
			a, b := int64(i)+f.Lo, int64(i)+f.Hi+1
			switch {
			case f.Groups:
				a, b = border(groups, int64(number)+f.Lo), border(groups, int64(number)+f.Hi+1)
			case !f.Rows:
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
		number++
	})
	if f.Distance != nil {
		err = p.byDistance(lo, hi)
	}
	return lo, hi, err
}

// peersOf appends where the sets of peers of a partition begin, and its end.
func (p *Part) peersOf(dst []int32, first, end int) []int32 {
	from, _ := slices.BinarySearch(p.Peers, int32(first))
	to, _ := slices.BinarySearch(p.Peers, int32(end))
	return append(append(dst, p.Peers[from:to]...), int32(end))
}

// border is where set n of peers begins, or the end of the partition that is nearest.
func border(groups []int32, n int64) int64 {
	return int64(groups[min(max(n, 0), int64(len(groups)-1))])
}

// byDistance settles the bounds that are by values.
func (p *Part) byDistance(lo, hi []int32) error {
	d := p.Frame.Distance
	plan, err := orderkey.New([]orderkey.Column{d.Column})
	if err != nil {
		return fmt.Errorf("frame: %w", err)
	}
	var keys orderkey.Keys
	enc := plan.NewEncoder()
	at := map[arrow.Array]int{}
	for _, a := range []arrow.Array{d.Key, d.Lo, d.Hi} {
		if a == nil {
			continue
		}
		at[a] = len(at) * p.N
		if err := enc.Encode([]arrow.Array{a}, p.N, &keys); err != nil {
			return fmt.Errorf("frame: %w", err)
		}
	}
	p.each(func(first, end int) {
		from, to := first, first
		for i := first; i < end; i++ {
			if d.Lo != nil {
				for bound := at[d.Lo] + i; from < end && keys.Less(plan, from, bound); {
					from++
				}
				lo[i] = int32(from)
			}
			if d.Hi != nil {
				for bound := at[d.Hi] + i; to < end && !keys.Less(plan, bound, to); {
					to++
				}
				hi[i] = int32(to)
			}
			hi[i] = max(hi[i], lo[i])
		}
	})
	return nil
}
