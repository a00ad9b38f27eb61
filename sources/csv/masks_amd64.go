package csv

import "golang.org/x/sys/cpu"

// masksAVX2 is masksGo for processors with AVX2; blocks is at least 1.
//
//go:noescape
func masksAVX2(p *byte, blocks int, delim, term, quote, other byte, out *mask) (nuls, others uint64)

var hasAVX2 = cpu.X86.HasAVX2

// masks fills out, which has a place for each 64 bytes of p, and reports whether p has a NUL, and a line end that is not d's.
func masks(p []byte, d *dialect, out []mask) (nul, other bool) {
	if !hasAVX2 {
		return masksGo(p, d, out)
	}
	n := len(p) / 64
	_ = out[n-1]
	nuls, others := masksAVX2(&p[0], n, d.delim, d.term, d.quote, d.otherEnd(), &out[0])
	return nuls != 0, others != 0
}
