package take

import (
	"encoding/binary"
	"math/bits"
)

// span is n rows from one on.
type span struct{ from, n int32 }

// leastRun is how many rows the runs of an index must have on average to be copied as such.
const leastRun = 16

// selection is the rows that are taken of an array, in their order: by their numbers, by runs of consecutive ones, or both.
type selection struct {
	n    int
	idx  []int32 // nil for the elements of lists: they are known by runs alone
	runs []span  // nil if they are too short to gain by
	all  []span  // runs however short, once they have been asked for
}

func selectionOf(idx []int32) *selection {
	return &selection{n: len(idx), idx: idx, runs: runsOf(idx, len(idx)/leastRun)}
}

// spans are the runs of consecutive rows, however short.
func (s *selection) spans() []span {
	if s.runs != nil {
		return s.runs
	}
	if s.all == nil {
		s.all = runsOf(s.idx, len(s.idx))
	}
	return s.all
}

// add appends n rows from one on to a selection that is known by runs.
func (s *selection) add(from, n int32) {
	s.n += int(n)
	if last := len(s.runs) - 1; last >= 0 && s.runs[last].from+s.runs[last].n == from {
		s.runs[last].n += n
	} else if n > 0 {
		s.runs = append(s.runs, span{from, n})
	}
}

// runsOf cuts idx into runs of consecutive rows; nil if there are more than most.
func runsOf(idx []int32, most int) []span {
	runs := make([]span, 0, max(most/4, 16))
	for i := 0; i < len(idx); {
		first := i
		less := idx[first] - int32(first)
		for i++; i+8 <= len(idx) && ascends(idx[i:i+8], int32(i)+less); i += 8 {
		}
		for ; i < len(idx) && idx[i] == int32(i)+less; i++ {
		}
		if len(runs) == most {
			return nil
		}
		runs = append(runs, span{idx[first], int32(i - first)})
	}
	return runs
}

// ascends reports whether x is eight rows from first on.
func ascends(x []int32, first int32) bool {
	x = x[:8]
	return (x[0]-first)|(x[1]-first-1)|(x[2]-first-2)|(x[3]-first-3)|(x[4]-first-4)|(x[5]-first-5)|(x[6]-first-6)|(x[7]-first-7) == 0
}

// pick copies the selected values of src to dst.
func pick[T any](dst, src []T, s *selection) {
	if s.idx == nil || s.runs != nil {
		for _, r := range s.spans() {
			if r.n < 8 { // a call takes longer
				for i := int32(0); i < r.n; i++ {
					dst[i] = src[r.from+i]
				}
				dst = dst[r.n:]
				continue
			}
			dst = dst[copy(dst, src[r.from:r.from+r.n]):]
		}
		return
	}
	idx := s.idx
	for len(idx) >= 4 {
		x, d := idx[:4:4], dst[:4:4]
		d[0], d[1], d[2], d[3] = src[x[0]], src[x[1]], src[x[2]], src[x[3]]
		idx, dst = idx[4:], dst[4:]
	}
	for i, x := range idx {
		dst[i] = src[x]
	}
}

// pickBits copies the selected bits of src, whose row 0 is bit off, to the zeroed bitmap dst, and counts the ones.
func pickBits(dst, src []byte, off int, s *selection) (ones int) {
	if s.idx == nil || s.runs != nil {
		at := 0
		for _, r := range s.spans() {
			ones += copyBits(dst, at, src, off+int(r.from), int(r.n))
			at += int(r.n)
		}
		return ones
	}
	for i, x := range s.idx {
		at := off + int(x)
		b := src[at>>3] >> (at & 7) & 1
		dst[i>>3] |= b << (i & 7)
		ones += int(b)
	}
	return ones
}

// copyBits ors n bits of src from bit from on into dst at bit at, where it is zero, and counts the ones.
func copyBits(dst []byte, at int, src []byte, from, n int) (ones int) {
	for n > 0 {
		k := min(n, 56) // a word from a byte's border on has them, less the bits before
		w := word(src, from>>3) >> (from & 7) & (1<<k - 1)
		ones += bits.OnesCount64(w)
		to := at >> 3
		w <<= at & 7 // k+7 bits at most
		if to+8 <= len(dst) {
			binary.LittleEndian.PutUint64(dst[to:], binary.LittleEndian.Uint64(dst[to:])|w)
		} else {
			for ; w != 0; w >>= 8 {
				dst[to] |= byte(w)
				to++
			}
		}
		at, from, n = at+k, from+k, n-k
	}
	return ones
}

// word is the little-endian word at b[at:], filled up with zeros.
func word(b []byte, at int) uint64 {
	if at+8 <= len(b) {
		return binary.LittleEndian.Uint64(b[at:])
	}
	var t [8]byte
	copy(t[:], b[at:])
	return binary.LittleEndian.Uint64(t[:])
}
