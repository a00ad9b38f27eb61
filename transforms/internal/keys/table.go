package keys

import (
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
}

// NewTable makes an empty table.
func (p *Plan) NewTable() *Table {
	t := &Table{plan: p, bytes: !p.words}
	t.rehash(64)
	return t
}

// Len is the number of distinct tuples.
func (t *Table) Len() int { return t.n }

// Size is the bytes held.
func (t *Table) Size() int64 {
	return int64(cap(t.slots)+cap(t.w0)+cap(t.w1)+cap(t.off))*8 + int64(cap(t.arena))
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

// candidates loads the first slot of each row: independent loads that the processor overlaps.
func (t *Table) candidates(r *Rows) []uint64 {
	r.cand = resize(r.cand, r.N)
	slots, cand := t.slots, r.cand
	mask := uint64(len(slots) - 1)
	for i, h := range r.Hash[:len(cand)] {
		cand[i] = slots[h&mask]
	}
	return cand
}

func (t *Table) internWords(r *Rows, ids []uint32) {
	if r.W1 != nil && t.w1 == nil {
		t.w1 = make([]uint64, max(len(t.w0), 16))
	}
	cand := t.candidates(r)
	hash, w0 := r.Hash[:len(ids)], r.W0[:len(ids)]
	if t.w1 == nil {
		keys := t.w0
		for i := range ids {
			c, h := cand[i], hash[i]
			if c != 0 && uint32(c>>32) == uint32(h) && keys[uint32(c)-1] == w0[i] {
				ids[i] = uint32(c) - 1
				continue
			}
			ids[i] = t.findWord(w0[i], h)
			keys = t.w0
		}
		return
	}
	for i := range ids {
		c, h := cand[i], hash[i]
		var b uint64
		if r.W1 != nil {
			b = r.W1[i]
		}
		if c != 0 && uint32(c>>32) == uint32(h) && t.w0[uint32(c)-1] == w0[i] && t.w1[uint32(c)-1] == b {
			ids[i] = uint32(c) - 1
			continue
		}
		ids[i] = t.findWords(w0[i], b, h)
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
	cand := t.candidates(r)
	for i := range ids {
		c, h := cand[i], r.Hash[i]
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

// View sets r to tuples lo … hi-1 with their hashes; r's words alias the table.
func (t *Table) View(r *Rows, lo, hi int) {
	r.N, r.Hash = hi-lo, resize(r.Hash, hi-lo)
	r.Packed = !t.bytes
	if r.Packed {
		r.W0, r.W1 = t.w0[lo:hi], nil
		if t.w1 != nil {
			r.W1 = t.w1[lo:hi]
		}
		hashAll(r.Hash, r.W0, r.W1)
		return
	}
	r.W0, r.W1 = nil, nil
	r.Off, r.Bytes = resize(r.Off, hi-lo+1), t.arena
	if t.n == 0 {
		r.Off[0] = 0
		return
	}
	copy(r.Off, t.off[lo:hi+1])
	t.plan.hashByteRows(r)
}

// toBytes turns the keys into byte rows; numbers and slots stay.
func (t *Table) toBytes() {
	var r Rows
	t.View(&r, 0, t.n)
	t.plan.widen(&r)
	t.bytes, t.w0, t.w1 = true, nil, nil
	t.off, t.arena = r.Off, r.Bytes
}

// Reserve makes room for n tuples in all.
func (t *Table) Reserve(n int) {
	size := len(t.slots)
	for size/8*5 < n {
		size *= 2
	}
	if size > len(t.slots) {
		t.rehash(size)
	}
	if !t.bytes && n > len(t.w0) {
		t.w0 = col.Grow(t.w0, n)
	}
}
