package zstdpage

import (
	"encoding/binary"
	"math/bits"
	"slices"
)

// sequence is lit literals and then match bytes that are those stride bytes before.
type sequence struct{ lit, match uint32 }

const minMatch = 3

// match fills e.lits and e.seqs with src[from:end): wherever three bytes or more equal those stride bytes before, they are
// a match.
func (e *Encoder) match(src []byte, from, end, stride int) {
	lits := slices.Grow(e.lits[:0], end-from+16) // short literals are copied in whole words
	lits = lits[:cap(lits)]
	seqs := slices.Grow(e.seqs[:0], (end-from)/(minMatch+1)+1)
	seqs = seqs[:cap(seqs)]
	k, n := 0, 0
	// A block begins with a literal: after none of them the codes of repeated offsets mean others.
	i := max(from+1, stride)
	start := from // of the literals
	for i+8 <= end {
		x := differ(src, i, stride)
		j := i + 8
		if x != 0 {
			z := zeroBytes(x)
			runs := z & (z >> 8) & (z >> 16)
			if runs == 0 {
				// A run may begin in the last two bytes.
				i += 6
				continue
			}
			p := bits.TrailingZeros64(runs) >> 3
			i += p
			// The run ends at the first byte that differs after its start, if that is among the eight.
			if x >>= p << 3; x != 0 {
				j = i + bits.TrailingZeros64(x)>>3
			} else {
				j = matchEnd(src, j, end, stride)
			}
		} else {
			j = matchEnd(src, j, end, stride)
		}
		if lit := i - start; lit <= 16 && start+16 <= len(src) {
			copy(lits[k:k+16:len(lits)], src[start:start+16])
			k += lit
		} else {
			k += copy(lits[k:], src[start:i])
		}
		seqs[n] = sequence{uint32(i - start), uint32(j - i)}
		n++
		i, start = j, j
	}
	k += copy(lits[k:], src[start:end])
	e.lits, e.seqs = lits[:k], seqs[:n]
}

// matchEnd is the place from j on where src is no longer as stride bytes before.
func matchEnd(src []byte, j, end, stride int) int {
	for j+8 <= end {
		if x := differ(src, j, stride); x != 0 {
			return j + bits.TrailingZeros64(x)>>3
		}
		j += 8
	}
	for j < end && src[j] == src[j-stride] {
		j++
	}
	return j
}

// differ has zeros where the eight bytes at i equal those stride bytes before.
func differ(src []byte, i, stride int) uint64 {
	return binary.LittleEndian.Uint64(src[i:]) ^ binary.LittleEndian.Uint64(src[i-stride:])
}

// zeroBytes has the top bit of each byte of x that is zero, and nothing else.
func zeroBytes(x uint64) uint64 {
	const low7 = 0x7F7F7F7F7F7F7F7F
	return ^(((x & low7) + low7) | x | low7)
}
