package agg

import (
	"math/bits"
	"slices"
)

// nth puts v into such an order that v[k] is what it would be were v sorted, with nothing greater before it and nothing less behind it. This
// is Hoare's selection by the median of three; where that goes badly for long (inputs made so, many equal values do not) the rest is sorted.
func nth[T any](v []T, k int, less func(a, b T) bool) {
	for bad := 2 * bits.Len(uint(len(v))); len(v) > 24; bad-- {
		if bad == 0 {
			break
		}
		a, b, c := v[0], v[len(v)/2], v[len(v)-1]
		if less(b, a) {
			a, b = b, a
		}
		if less(c, b) {
			if b = c; less(c, a) {
				b = a
			}
		}
		// Values that are equal to the pivot go to both sides, so that many of them halve what is left.
		i, j := 0, len(v)-1
		for i <= j {
			for less(v[i], b) {
				i++
			}
			for less(b, v[j]) {
				j--
			}
			if i <= j {
				v[i], v[j] = v[j], v[i]
				i++
				j--
			}
		}
		switch {
		case k <= j:
			v = v[:j+1]
		case k >= i:
			v, k = v[i:], k-i
		default: // between them all are equal to the pivot
			return
		}
	}
	slices.SortFunc(v, func(a, b T) int {
		switch {
		case less(a, b):
			return -1
		case less(b, a):
			return 1
		}
		return 0
	})
}

// least is the least of v, which is not empty.
func least[T any](v []T, less func(a, b T) bool) T {
	m := v[0]
	for _, x := range v[1:] {
		if less(x, m) {
			m = x
		}
	}
	return m
}
