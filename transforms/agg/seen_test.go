package agg

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// Groups that come in batches with and without nulls, late or never, are marked as if each were looked at.
func TestSeen(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 3))
	for range 200 {
		var s seen
		var want []uint8
		for range 30 {
			n := len(want) + rng.IntN(40)
			s.grow(n)
			want = append(want, make([]uint8, n-len(want))...)
			var groups []uint32
			for range rng.IntN(60) {
				if n > 0 {
					groups = append(groups, uint32(rng.IntN(n)))
				}
			}
			if rng.IntN(3) == 0 { // with nulls: one by one
				for _, g := range groups {
					s.one(g)
				}
			} else {
				if rng.IntN(2) == 0 { // every group so far, as after a batch of new ones
					for g := range n {
						groups = append(groups, uint32(g))
					}
				}
				s.all(groups)
			}
			for _, g := range groups {
				want[g] = 1
			}
			empty := 0
			for _, w := range want {
				empty += int(1 - w)
			}
			if !slices.Equal(s.has, want) || s.empty != empty {
				t.Fatalf("marks %v with %d empty, want %v", s.has, s.empty, want)
			}
			if rng.IntN(20) == 0 {
				s.reset()
				want = nil
			}
		}
	}
}
