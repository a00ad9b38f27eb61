package keys

import (
	"math"

	"github.com/sluice-data/sluice/transforms/internal/col"
)

// Table numbers distinct tuples 0, 1, 2 … in order of first appearance. Open addressing with linear probing over 8-byte slots that hold 32
// bits of the hash and the number; a hit compares the whole key. The low bits of the hash choose the slot, so that the high
// ones are free for partitioning.
type Table struct {
	plan  *Plan
	slots []uint64 // hash<<32 | number+1; 0 is free
	n     int
	limit int
	bytes bool     // keys are byte rows
	w0    []uint64 // longer than n: room for more
	w1    []uint64 // likewise; nil while every second word is zero
	off   []int
	arena []byte
	spare []uint64 // of w1 before Reset

	settled int    // tuples that slots have: all, without dense
	dense   *dense // nil while keys are byte rows, few, or far apart
	denseAt int    // n from which they are looked at (again)
	looked  int    // tuples that ranges, one a column, are of
	ranges  []valueRange
}

// NewTable makes an empty table.
func (p *Plan) NewTable() *Table {
	t := &Table{plan: p, bytes: !p.words, denseAt: denseFrom}
	t.rehash(64)
	return t
}

// Len is the number of distinct tuples.
func (t *Table) Len() int { return t.n }

// Size is the bytes held.
func (t *Table) Size() int64 {
	size := int64(cap(t.slots)+cap(t.w0)+cap(t.w1)+cap(t.spare)+cap(t.off))*8 + int64(cap(t.arena))
	if t.dense != nil {
		size += int64(cap(t.dense.cells)) * 4
	}
	return size
}

func (t *Table) rehash(size int) {
	slots := make([]uint64, size)
	mask := uint64(size - 1)
	for _, s := range t.slots {
		if s == 0 {
			continue
		}
		at := s >> 32 & mask
		for slots[at] != 0 {
			at = (at + 1) & mask
		}
		slots[at] = s
	}
	t.slots, t.limit = slots, size/8*5
}

// Intern gives the number of each tuple of r in ids[:r.N], adding those it has not seen.
func (t *Table) Intern(r *Rows, ids []uint32) {
	ids = ids[:r.N]
	if !r.Packed && !t.bytes {
		t.toBytes()
	}
	switch {
	case t.bytes && r.Packed:
		t.plan.widen(r)
		t.internBytes(r, ids)
	case t.bytes:
		t.internBytes(r, ids)
	default:
		t.internWords(r, ids)
	}
}

// ahead is the rows whose first slots are loaded together: independent loads that the processor overlaps.
const ahead = 256

// candidates loads the first slot of each row.
func (t *Table) candidates(cand *[ahead]uint64, hash []uint64) {
	slots := t.slots
	mask := uint64(len(slots) - 1)
	for i, h := range hash[:min(len(hash), ahead)] {
		cand[i] = slots[h&mask]
	}
}

func (t *Table) internWords(r *Rows, ids []uint32) {
	if r.W1 != nil && t.w1 == nil {
		t.w1, t.spare = t.spare, nil
		clear(t.w1)
		t.w1 = col.Grow(t.w1, max(len(t.w0), 16))
	}
	if t.dense != nil {
		t.internDense(r.W0, r.W1, ids)
		return
	}
	hash := r.Hashes()
	for lo := 0; lo < len(ids); lo += ahead {
		hi := min(lo+ahead, len(ids))
		switch {
		case t.w1 == nil:
			t.internOne(r.W0[lo:hi], hash[lo:hi], ids[lo:hi])
		case r.W1 == nil:
			t.internTwo(r.W0[lo:hi], zeros[:hi-lo], hash[lo:hi], ids[lo:hi])
		default:
			t.internTwo(r.W0[lo:hi], r.W1[lo:hi], hash[lo:hi], ids[lo:hi])
		}
	}
	if t.n >= t.denseAt {
		t.survey()
	}
}

var zeros [ahead]uint64

func (t *Table) internOne(w0, hash []uint64, ids []uint32) {
	var cand [ahead]uint64
	t.candidates(&cand, hash)
	w0, hash = w0[:len(ids)], hash[:len(ids)]
	keys := t.w0
	for i := range ids {
		c, h := cand[i&(ahead-1)], hash[i]
		if id := uint32(c) - 1; c>>32 == h&math.MaxUint32 && c != 0 && keys[id] == w0[i] {
			ids[i] = id
			continue
		}
		ids[i] = t.findWord(w0[i], h)
		keys = t.w0
	}
}

func (t *Table) internTwo(w0, w1, hash []uint64, ids []uint32) {
	var cand [ahead]uint64
	t.candidates(&cand, hash)
	w0, w1, hash = w0[:len(ids)], w1[:len(ids)], hash[:len(ids)]
	keys0, keys1 := t.w0, t.w1
	for i := range ids {
		c, h := cand[i&(ahead-1)], hash[i]
		if id := uint32(c) - 1; c>>32 == h&math.MaxUint32 && c != 0 && keys0[id] == w0[i] && keys1[id] == w1[i] {
			ids[i] = id
			continue
		}
		ids[i] = t.findWords(w0[i], w1[i], h)
		keys0, keys1 = t.w0, t.w1
	}
}

func (t *Table) findWord(a, h uint64) uint32 {
	mask := uint64(len(t.slots) - 1)
	at := h & mask
	for {
		s := t.slots[at]
		if s == 0 {
			if t.n == len(t.w0) {
				t.w0 = extend(t.w0)
			}
			t.w0[t.n] = a
			return t.insert(at, h)
		}
		if uint32(s>>32) == uint32(h) && t.w0[uint32(s)-1] == a {
			return uint32(s) - 1
		}
		at = (at + 1) & mask
	}
}

func (t *Table) findWords(a, b, h uint64) uint32 {
	mask := uint64(len(t.slots) - 1)
	at := h & mask
	for {
		s := t.slots[at]
		if s == 0 {
			if t.n == len(t.w0) {
				t.w0 = extend(t.w0)
			}
			if t.n == len(t.w1) {
				t.w1 = extend(t.w1)
			}
			t.w0[t.n], t.w1[t.n] = a, b
			return t.insert(at, h)
		}
		if id := uint32(s) - 1; uint32(s>>32) == uint32(h) && t.w0[id] == a && t.w1[id] == b {
			return id
		}
		at = (at + 1) & mask
	}
}

// extend gives s more room, all of it in its length.
func extend(s []uint64) []uint64 {
	s = col.Grow(s, len(s)+1)
	return s[:cap(s)]
}

// insert takes the free slot at for a key just appended and gives its number.
func (t *Table) insert(at, h uint64) uint32 {
	id := uint32(t.n)
	t.n++
	t.settled = t.n
	t.slots[at] = h<<32 | uint64(t.n)
	if t.n > t.limit {
		more := 2
		if len(t.slots) < 1<<12 {
			more = 4
		}
		t.rehash(len(t.slots) * more)
	}
	return id
}

func (t *Table) internBytes(r *Rows, ids []uint32) {
	var cand [ahead]uint64
	hash := r.Hashes()
	for i := range ids {
		if i%ahead == 0 {
			t.candidates(&cand, hash[i:r.N])
		}
		c, h := cand[i%ahead], hash[i]
		key := r.Bytes[r.Off[i]:r.Off[i+1]]
		if c != 0 && uint32(c>>32) == uint32(h) {
			if id := uint32(c) - 1; string(t.arena[t.off[id]:t.off[id+1]]) == string(key) {
				ids[i] = id
				continue
			}
		}
		ids[i] = t.findBytes(key, h)
	}
}

func (t *Table) findBytes(key []byte, h uint64) uint32 {
	mask := uint64(len(t.slots) - 1)
	at := h & mask
	for {
		s := t.slots[at]
		if s == 0 {
			if len(t.off) == 0 {
				t.off = append(t.off, 0)
			}
			t.arena = appendBytes(t.arena, key)
			t.off = append(col.Grow(t.off[:t.n+1], t.n+2)[:t.n+1], len(t.arena))
			return t.insert(at, h)
		}
		if id := uint32(s) - 1; uint32(s>>32) == uint32(h) && string(t.arena[t.off[id]:t.off[id+1]]) == string(key) {
			return id
		}
		at = (at + 1) & mask
	}
}

// appendBytes is append that doubles up to 16 KiB and grows by half beyond, as col.Grow does.
func appendBytes(dst, b []byte) []byte {
	n := len(dst)
	if n+len(b) > cap(dst) {
		dst = col.Grow(dst, n+len(b))[:n]
	}
	return append(dst, b...)
}

// View sets r to tuples lo … hi-1; r's words alias the table.
func (t *Table) View(r *Rows, lo, hi int) {
	r.N, r.Packed, r.hashed = hi-lo, !t.bytes, false
	if r.Packed {
		r.W0, r.W1 = t.w0[lo:hi], nil
		if t.w1 != nil {
			r.W1 = t.w1[lo:hi]
		}
		return
	}
	r.W0, r.W1 = nil, nil
	r.Off, r.Bytes = resize(r.Off, hi-lo+1), t.arena
	if t.n == 0 {
		r.Off[0] = 0
		r.room(0)
		return
	}
	copy(r.Off, t.off[lo:hi+1])
	t.plan.hashByteRows(r)
}

// toBytes turns the keys into byte rows; numbers and slots stay.
func (t *Table) toBytes() {
	t.Settle()
	var r Rows
	t.View(&r, 0, t.n)
	t.plan.widen(&r)
	t.bytes, t.w0, t.w1, t.dense = true, nil, nil, nil
	t.off, t.arena = r.Off, r.Bytes
}

// Reset forgets all tuples and keeps the memory.
func (t *Table) Reset() {
	clear(t.slots)
	t.n, t.bytes, t.dense, t.denseAt = 0, !t.plan.words, nil, denseFrom
	t.settled, t.looked, t.ranges = 0, 0, nil
	if t.w1 != nil {
		t.spare, t.w1 = t.w1, nil
	}
	t.off, t.arena = t.off[:0], t.arena[:0]
}

// Sparse reports whether the table has far more room than tuples.
func (t *Table) Sparse() bool { return len(t.slots) > 1<<12 && t.n < len(t.slots)/32 }

// Reserve makes room for n tuples in all.
func (t *Table) Reserve(n int) {
	size := len(t.slots)
	for size/8*5 < n {
		size *= 2
	}
	if size > len(t.slots) && t.dense == nil {
		t.rehash(size)
	}
	if !t.bytes && n > len(t.w0) {
		t.w0 = col.Grow(t.w0, n)
	}
}
