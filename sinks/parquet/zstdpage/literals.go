package zstdpage

import "math"

// worthCoding says whether Huffman codes make the literals at least a 32nd shorter, by their entropy.
func (e *Encoder) worthCoding() bool {
	n := len(e.lits)
	c := &e.counts
	clear(c[0][:])
	clear(c[1][:])
	clear(c[2][:])
	clear(c[3][:])
	b := e.lits
	for ; len(b) >= 4; b = b[4:] {
		c[0][b[0]]++
		c[1][b[1]]++
		c[2][b[2]]++
		c[3][b[3]]++
	}
	for _, x := range b {
		c[0][x]++
	}
	total := float64(n) * math.Log2(float64(n))
	for i := range c[0] {
		if k := float64(c[0][i] + c[1][i] + c[2][i] + c[3][i]); k > 1 {
			total -= k * math.Log2(k)
		}
	}
	return total/8 < float64(n-n/32)
}
