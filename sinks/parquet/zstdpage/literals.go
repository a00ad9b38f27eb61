package zstdpage

import (
	"math"

	"github.com/klauspost/compress/huff0"
)

// Entropy is how many bytes Huffman codes make of b at best (Shannon's bound on codes for single bytes).
func Entropy(b []byte) int {
	var counts [2][256]uint32 // two, so that equal neighbours do not wait for each other
	n := len(b)
	for ; len(b) >= 2; b = b[2:] {
		counts[0][b[0]]++
		counts[1][b[1]]++
	}
	for _, x := range b {
		counts[0][x]++
	}
	bits := float64(n) * math.Log2(float64(max(n, 1)))
	for i, k := range counts[0] {
		if k += counts[1][i]; k > 1 {
			bits -= float64(k) * math.Log2(float64(k))
		}
	}
	return int(bits / 8)
}

// Sizes is how long the frame of src, values of stride bytes, is when it is Matched, and about how long when it is Coded.
func (e *Encoder) Sizes(src []byte, stride int) (matched, coded int) {
	e.weighs, e.saves = true, 0
	e.trial = e.Append(e.trial[:0], src, 0, stride, Matched)
	e.weighs = false
	return len(e.trial), len(e.trial) - e.saves
}

// leastCoded is the number of literals from which on codes are tried.
const leastCoded = 64

// huffman returns the literals Huffman coded, in a buffer that is good until the next call; nil if that does not make
// them a 32nd shorter at least.
func (e *Encoder) huffman() []byte {
	if len(e.lits) < leastCoded {
		return nil
	}
	code := huff0.Compress4X
	if len(e.lits) < oneStream {
		code = huff0.Compress1X
	}
	e.huff.Reuse, e.huff.WantLogLess = huff0.ReusePolicyNone, 5
	out, _, err := code(e.lits, &e.huff)
	if err != nil {
		return nil // not compressible, or a single value
	}
	return out
}
