package expr

import (
	"math"
	"math/rand/v2"
	"testing"
)

// TestDayMemo: a day that takes the place of another has its own value, and so has the first day of each place.
func TestDayMemo(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	part := datePart("doy")
	var memo dayMemo
	for i := range 200000 {
		day := rng.Int64N(4*memoDays) - 2*memoDays
		if i%100 == 0 {
			day = []int64{0, -1, math.MinInt32, math.MaxInt32, math.MinInt64 / microsPerDay, math.MaxInt64 / microsPerDay}[rng.IntN(6)]
		}
		if got, want := memo.of(day, part), part(day); got != want {
			t.Fatalf("day %d is the %d. of its year, want %d", day, got, want)
		}
	}
}
