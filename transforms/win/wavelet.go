package win

import "math/bits"

// wavelet answers, of numbers in a row, which one stands k-th in the order of those between two places, and how many of those are less than a bound, in
// a step a bit: a wavelet matrix (Claude, Navarro, Ordóñez, "The wavelet matrix", Information Systems 47, 2015).
type wavelet []level

// level is a bit of each number, from the highest on: numbers are in order of the bits above it, read backwards.
type level struct {
	bits  []uint64
	ones  []int32 // before each word
	zeros int32   // of all
}

// newWavelet takes numbers from 0 to most. It changes them.
func newWavelet(v []int32, most int32) wavelet {
	w := make(wavelet, bits.Len32(uint32(most)))
	spare := make([]int32, len(v))
	for l := range w {
		shift := len(w) - 1 - l
		words := make([]uint64, len(v)/64+1)
		for i, x := range v {
			words[i>>6] |= uint64(x>>shift&1) << (i & 63)
		}
		ones := make([]int32, len(words))
		all := int32(0)
		for i, x := range words {
			ones[i] = all
			all += int32(bits.OnesCount64(x))
		}
		w[l] = level{words, ones, int32(len(v)) - all}
		zero, one := int32(0), w[l].zeros
		for _, x := range v { // no branch: bits come in no order
			b := x >> shift & 1
			spare[zero+(one-zero)*b] = x
			zero, one = zero+1-b, one+b
		}
		v, spare = spare, v
	}
	return w
}

// onesBefore counts the ones among the first i bits.
func (l *level) onesBefore(i int32) int32 {
	return l.ones[i>>6] + int32(bits.OnesCount64(l.bits[i>>6]&(1<<(i&63)-1)))
}

// kth is the number that has k less or equal ones before it, were those at lo … hi-1 sorted.
func (w wavelet) kth(lo, hi, k int32) int32 {
	v := int32(0)
	for i := range w {
		l := &w[i]
		a, b := l.onesBefore(lo), l.onesBefore(hi)
		if zeros := hi - lo - (b - a); k < zeros {
			lo, hi, v = lo-a, hi-b, v<<1
		} else {
			lo, hi, k, v = l.zeros+a, l.zeros+b, k-zeros, v<<1|1
		}
	}
	return v
}

// less counts the numbers at lo … hi-1 that are less than bound.
func (w wavelet) less(lo, hi, bound int32) int32 {
	if int(bound)>>len(w) > 0 {
		return hi - lo
	}
	n := int32(0)
	for i := range w {
		l := &w[i]
		a, b := l.onesBefore(lo), l.onesBefore(hi)
		if bound>>(len(w)-1-i)&1 == 0 {
			lo, hi = lo-a, hi-b
		} else {
			n += hi - lo - (b - a)
			lo, hi = l.zeros+a, l.zeros+b
		}
	}
	return n
}
