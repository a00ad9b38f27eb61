package agg

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// Rows are sorted by time and stay in place where their times are equal, whatever the runs that they come in.
func TestByTime(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	var b byTime
	for range 300 {
		n := r.IntN(200)
		times, rows := make([]int64, n), r.Perm(n)
		step := 1 + r.IntN(n+1)
		for i := range times {
			times[i] = int64(i % step / (1 + r.IntN(3)))
		}
		got := make([]int32, n)
		for i, row := range rows {
			if got[i] = int32(row); step%2 == 0 {
				got[i] = int32(i)
			}
		}
		want := slices.Clone(got)
		slices.SortStableFunc(want, func(x, y int32) int { return int(times[x] - times[y]) })
		if b.sort(got, times); !slices.Equal(got, want) {
			t.Fatalf("%v of times %v, want %v", got, times, want)
		}
	}
}
