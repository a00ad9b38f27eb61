package agg

import (
	"math/bits"

	"github.com/apache/arrow/go/v17/arrow"

	"github.com/sluice-data/sluice/transforms/internal/col"
	"github.com/sluice-data/sluice/transforms/internal/hll"
	"github.com/sluice-data/sluice/transforms/internal/keys"
)

// smallWords is the words of a group's bitmap at most: as many values as a sketch keeps one by one, so that a bitmap never counts what
// registers would have estimated.
const smallWords = hll.MaxSparse / 64

// smallInts are bitmaps of integers of a small range: for groups 0, 1, 2 … words each.
type smallInts struct {
	order intOrder
	base  uint64 // of the first bit, a multiple of 64 in order
	words int    // 0 before the first value
	bits  []uint64
	n     int // groups
}

// intOrder says how integers of a type become words that compare as they do: by flip.
type intOrder struct {
	flip uint64 // the sign bit of signed types
	mask uint64 // the bits of the type
}

// entry is what a sketch is given for the integer x.
func (o intOrder) entry(x uint64) uint32 { return hll.Entry(keys.HashWord((x ^ o.flip) & o.mask)) }

// foldInts folds an array of integers; false if a value is out of range, when some rows may be folded already.
type foldInts func(s *smallInts, groups []uint32, a arrow.Array) bool

// smallFold is nil for types that are not integers underneath.
func smallFold(t arrow.DataType) (intOrder, foldInts) {
	signed := func(width int) intOrder { return intOrder{1 << 63, 1<<width - 1} }
	switch t.ID() {
	case arrow.INT8:
		return signed(8), foldSmall[int8]
	case arrow.INT16:
		return signed(16), foldSmall[int16]
	case arrow.INT32, arrow.DATE32, arrow.TIME32:
		return signed(32), foldSmall[int32]
	case arrow.INT64, arrow.DATE64, arrow.TIME64, arrow.TIMESTAMP, arrow.DURATION:
		return signed(64), foldSmall[int64]
	case arrow.UINT8:
		return intOrder{0, 1<<8 - 1}, foldSmall[uint8]
	case arrow.UINT16:
		return intOrder{0, 1<<16 - 1}, foldSmall[uint16]
	case arrow.UINT32:
		return intOrder{0, 1<<32 - 1}, foldSmall[uint32]
	case arrow.UINT64:
		return intOrder{0, 1<<64 - 1}, foldSmall[uint64]
	}
	return intOrder{}, nil
}

func foldSmall[T arrow.IntType | arrow.UintType](s *smallInts, groups []uint32, a arrow.Array) bool {
	v := col.Fixed[T](a)[:len(groups)]
	valid, off := col.Valid(a)
	if valid != nil {
		for i := range groups {
			if valid[(off+i)>>3]>>uint((off+i)&7)&1 != 0 && !foldRun(s, groups[i:i+1], v[i:i+1]) {
				return false
			}
		}
		return true
	}
	return foldRun(s, groups, v)
}

func foldRun[T arrow.IntType | arrow.UintType](s *smallInts, groups []uint32, v []T) bool {
	for {
		i := setBits(s.bits, s.words, s.base^s.order.flip, groups, v)
		if i == len(v) {
			return true
		}
		groups, v = groups[i:], v[i:]
		lo, hi := v[0], v[0]
		for _, x := range v {
			lo, hi = min(lo, x), max(hi, x)
		}
		if !s.cover(uint64(int64(lo))^s.order.flip, uint64(int64(hi))^s.order.flip) {
			return false
		}
	}
}

// setBits folds values up to the first one that is out of range, whose index it gives.
func setBits[T arrow.IntType | arrow.UintType](bits []uint64, words int, base uint64, groups []uint32, v []T) int {
	v = v[:len(groups)]
	span := uint64(words) * 64
	for i, g := range groups {
		d := uint64(int64(v[i])) - base
		if d >= span {
			return i
		}
		bits[int(g)*words+int(d>>6)] |= 1 << (d & 63)
	}
	return len(v)
}

// cover makes the bitmaps hold the integers lo to hi; false if they are too far from each other.
func (s *smallInts) cover(lo, hi uint64) bool {
	base, last := lo&^63, hi|63
	if s.words > 0 {
		base, last = min(base, s.base), max(last, s.base+uint64(s.words)*64-1)
	}
	span := (last-base)/64 + 1
	if span > smallWords {
		return false
	}
	words, at := int(span), int(s.base-base)/64
	next := make([]uint64, s.n*words, max(s.n, cap(s.bits)/max(s.words, 1))*words)
	if s.words > 0 {
		for g := range s.n {
			copy(next[g*words+at:], s.bits[g*s.words:(g+1)*s.words])
		}
	}
	s.bits, s.base, s.words = next, base, words
	return true
}

// merge adds the integers whose bits are set in words, from base on, to group g; false if they are too far from the others.
func (s *smallInts) merge(g uint32, base uint64, words []uint64) bool {
	for len(words) > 0 && words[0] == 0 {
		words, base = words[1:], base+64
	}
	for len(words) > 0 && words[len(words)-1] == 0 {
		words = words[:len(words)-1]
	}
	if len(words) == 0 {
		return true
	}
	last := base + uint64(len(words))*64 - 1
	if s.words == 0 || base < s.base || last > s.base+uint64(s.words)*64-1 {
		if !s.cover(base, last) {
			return false
		}
	}
	dst := s.bits[int(g)*s.words+int(base-s.base)/64:]
	for i, w := range words {
		dst[i] |= w
	}
	return true
}

func (s *smallInts) grow(n int) {
	s.n = max(s.n, n)
	s.bits = col.Grow(s.bits, s.n*s.words)
}

func (s *smallInts) size() int64 { return int64(cap(s.bits)) * 8 }

// count counts the integers of each group as sketches would: those whose entries are the same count once.
func (s *smallInts) count(out []int64) {
	if s.words == 0 {
		return
	}
	same := s.alike()
	var w [smallWords]uint64
	for g := range out {
		copy(w[:], s.bits[g*s.words:(g+1)*s.words])
		for _, p := range same {
			if b := &w[p[1]/64]; *b>>(p[1]%64)&1 != 0 {
				*b &^= 1 << (p[1] % 64)
				w[p[0]/64] |= 1 << (p[0] % 64)
			}
		}
		n := 0
		for _, x := range w[:s.words] {
			n += bits.OnesCount64(x)
		}
		out[g] = int64(n)
	}
}

// alike are pairs of bits whose integers have the same entry, the first bit that has it first.
func (s *smallInts) alike() (pairs [][2]int) {
	const size = 2 * smallWords * 64
	var entries [size]uint32
	var bit [size]int
	for d := range s.words * 64 {
		e := s.order.entry(s.base + uint64(d))
		at := e % size
		for entries[at] != 0 && entries[at] != e {
			at = (at + 1) % size
		}
		if entries[at] == e {
			pairs = append(pairs, [2]int{bit[at], d})
			continue
		}
		entries[at], bit[at] = e, d
	}
	return pairs
}
