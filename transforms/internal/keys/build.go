package keys

import (
	"math"
	"slices"

	"github.com/apache/arrow/go/v17/arrow"
)

// Build makes a table of many tuples at a time: first pieces of the rows are encoded, then shares of the slots are filled, and both may be
// done by several goroutines beside each other. Row i is number i, unless the tuple was there before: then it has that row's number.
type Build struct {
	t    *Table
	n    int
	used []bool // whether a piece has second words
}

// BuildPiece is how many rows are encoded at a time.
const BuildPiece = 1 << 15

// NewBuild begins a table of n rows. It is nil for tuples that never fit two words, and for those without texts: integers may do without
// hashes, which a table that grows finds out.
func (p *Plan) NewBuild(n int) *Build {
	if !p.words || p.nvar == 0 {
		return nil
	}
	t := &Table{plan: p}
	size := 64
	for size/8*5 < n {
		size *= 2
	}
	t.slots, t.limit, t.w0, t.w1 = make([]uint64, size), size/8*5, make([]uint64, n), make([]uint64, n)
	return &Build{t: t, n: n, used: make([]bool, (n+BuildPiece-1)/BuildPiece)}
}

// Pieces is how many pieces there are.
func (b *Build) Pieces() int { return len(b.used) }

// Encode takes piece k, which cols are the rows of; false if one of them does not fit words, and the table cannot be built so.
func (b *Build) Encode(enc *Encoder, k int, cols []arrow.Array, n int) (bool, error) {
	r, err := enc.Encode(cols, n)
	if err != nil || !r.Packed {
		return false, err
	}
	lo := k * BuildPiece
	copy(b.t.w0[lo:], r.W0)
	if r.W1 != nil {
		copy(b.t.w1[lo:], r.W1)
		b.used[k] = true
	}
	return true, nil
}

// Fill fills share k of so many shares of the slots, when all pieces are encoded: it sets the numbers of their rows in ids, and gives the rows
// that found no place before the share's end.
func (b *Build) Fill(k, shares int, ids []int32) (over []int32) {
	t := b.t
	mask := uint64(len(t.slots) - 1)
	from, to := uint64(len(t.slots)*k/shares), uint64(len(t.slots)*(k+1)/shares)
	var rows [ahead]int32
	var hashes, cand [ahead]uint64
	for lo := 0; lo < b.n; lo += ahead {
		hi := min(lo+ahead, b.n)
		w0, w1 := t.w0[lo:hi], t.w1[lo:hi]
		n := 0
		for i, a := range w0 {
			h := hashWords(a, w1[i])
			rows[n&(ahead-1)], hashes[n&(ahead-1)] = int32(lo+i), h
			if at := h & mask; at-from < to-from {
				n++
			}
		}
		t.candidates(&cand, hashes[:n])
		for i, row := range rows[:n] {
			h := hashes[i]
			if c := cand[i]; c != 0 && t.holds(c, row, h) {
				ids[row] = int32(uint32(c) - 1)
				continue
			}
			id := t.claim(row, h, h&mask, to)
			if ids[row] = id; id < 0 {
				over = append(over, row)
			}
		}
	}
	return over
}

// holds reports whether the slot s has the tuple of a row.
func (t *Table) holds(s uint64, row int32, h uint64) bool {
	id := uint32(s) - 1
	return s>>32 == h&math.MaxUint32 && t.w0[id] == t.w0[row] && t.w1[id] == t.w1[row]
}

// claim finds the tuple of a row, or takes the first free slot for it, from the slot at on and before the end, and gives its number; -1 if
// there is none.
func (t *Table) claim(row int32, h, at, end uint64) int32 {
	for ; at < end; at++ {
		s := t.slots[at]
		if s == 0 {
			t.slots[at] = h<<32 | uint64(row+1)
			return row
		}
		if t.holds(s, row, h) {
			return int32(uint32(s) - 1)
		}
	}
	return -1
}

// Table ends the build: over are the rows that Fill gave, those of each share in their order.
func (b *Build) Table(over [][]int32, ids []int32) *Table {
	t := b.t
	size := uint64(len(t.slots))
	for _, rows := range over {
		for _, row := range rows {
			h := hashWords(t.w0[row], t.w1[row])
			id := t.claim(row, h, h&(size-1), size)
			if id < 0 {
				id = t.claim(row, h, 0, size) // a search goes round
			}
			ids[row] = id
		}
	}
	if !slices.Contains(b.used, true) {
		t.w1 = nil
	}
	t.n, t.settled = b.n, b.n
	return t
}
