package agg

import (
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// The k-th value is that of the sorted slice, what is before it is not greater, what is behind it not less; also for few different values, those
// in order already, and those that make the median of three go badly.
func TestNth(t *testing.T) {
	check := func(t interface{ Fatalf(string, ...any) }, v []int, k int) {
		want := slices.Clone(v)
		slices.Sort(want)
		got := slices.Clone(v)
		nth(got, k, func(a, b int) bool { return a < b })
		if got[k] != want[k] || k > 0 && slices.Max(got[:k]) > got[k] || slices.Min(got[k:]) < got[k] {
			t.Fatalf("item %d of %v: %v, want %d there", k, v, got, want[k])
		}
		slices.Sort(got)
		if !slices.Equal(got, want) {
			t.Fatalf("values of %v are not there any more: %v", v, got)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		most := rapid.SampledFrom([]int{1, 3, 1000}).Draw(t, "most")
		v := rapid.SliceOfN(rapid.IntRange(0, most), 1, 300).Draw(t, "values")
		check(t, v, rapid.IntRange(0, len(v)-1).Draw(t, "k"))
	})
	shapes := map[string]func(i, n int) int{
		"equal": func(int, int) int { return 7 }, "ascending": func(i, _ int) int { return i }, "descending": func(i, _ int) int { return -i },
		"two values": func(i, _ int) int { return i % 2 }, "organ pipe": func(i, n int) int { return min(i, n-i) }, "scattered": func(i, n int) int { return i * 7919 % n },
		"killer": func(i, n int) int { // of the median of three: its middle is always next to the least
			if i < n/2 && i%2 == 0 {
				return i + 1
			}
			if i < n/2 {
				return n/2 + i
			}
			return 2 * (i - n/2)
		},
	}
	for name, f := range shapes {
		t.Run(name, func(t *testing.T) {
			for _, n := range []int{1, 24, 25, 26, 1000} {
				v := make([]int, n)
				for i := range v {
					v[i] = f(i, n)
				}
				for _, k := range []int{0, n / 3, n / 2, n - 1} {
					check(t, v, k)
				}
			}
		})
	}
}

func BenchmarkNth(b *testing.B) {
	for _, n := range []int{1000, 1 << 20} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			v, w := make([]float64, n), make([]float64, n)
			x := uint64(1)
			for i := range v {
				x = x*6364136223846793005 + 1442695040888963407
				v[i] = float64(x >> 40)
			}
			b.SetBytes(int64(8 * n))
			for b.Loop() {
				copy(w, v)
				nth(w, n/2, func(a, b float64) bool { return a < b })
			}
		})
	}
}
