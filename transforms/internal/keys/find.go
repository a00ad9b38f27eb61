package keys

import "math"

// NewFinder makes an encoder of tuples that are to be found in t. One lane owns it.
func (t *Table) NewFinder() *Encoder {
	e := t.plan.NewEncoder()
	e.wide = e.wide || t.bytes
	return e
}

// Find gives the number of each tuple of r, which a finder of t encoded, in ids[:r.N]; -1 where t does not have it. It changes nothing,
// so that any number of goroutines may look at a table that no longer grows and was settled.
func (t *Table) Find(r *Rows, ids []int32) {
	if t.settled < t.n {
		panic("keys: Find in a table that is not settled")
	}
	ids = ids[:r.N]
	if r.Packed && t.dense != nil {
		t.lookDense(r, ids)
		return
	}
	var cand [ahead]uint64
	hash := r.Hashes()
	for lo := 0; lo < len(ids); lo += ahead {
		hi := min(lo+ahead, len(ids))
		t.candidates(&cand, hash[lo:hi])
		switch {
		case !r.Packed:
			t.lookBytes(&cand, r, lo, ids[lo:hi])
		case t.w1 == nil && r.W1 == nil:
			t.lookOne(&cand, r.W0[lo:hi], hash[lo:hi], ids[lo:hi])
		default:
			t.lookTwo(&cand, r, lo, ids[lo:hi])
		}
	}
}

// lookDense finds packed tuples by way of the array; those that their cells do not know may lie outside of it.
func (t *Table) lookDense(r *Rows, ids []int32) {
	for lo := 0; lo < len(ids); lo += ahead {
		hi := min(lo+ahead, len(ids))
		var at [ahead]uint32
		w0, w1 := r.W0[lo:hi], zeros[:hi-lo]
		if r.W1 != nil {
			w1 = r.W1[lo:hi]
		}
		t.dense.places(&at, w0, w1)
		cells, out := t.dense.cells, ids[lo:hi]
		for i := range out {
			if c := cells[at[i&(ahead-1)]]; c != 0 {
				out[i] = int32(c - 1)
				continue
			}
			h := hashWords(w0[i], w1[i])
			out[i] = t.lookWords(t.slots[h&uint64(len(t.slots)-1)], w0[i], w1[i], h)
		}
	}
}

func (t *Table) lookOne(cand *[ahead]uint64, w0, hash []uint64, ids []int32) {
	w0, hash = w0[:len(ids)], hash[:len(ids)]
	keys, slots := t.w0, t.slots
	mask := uint64(len(slots) - 1)
	for i := range ids {
		c, h, w := cand[i&(ahead-1)], hash[i], w0[i]
		for at := h & mask; ; c = slots[at] {
			if c == 0 {
				ids[i] = -1
				break
			}
			if id := uint32(c) - 1; c>>32 == h&math.MaxUint32 && keys[id] == w {
				ids[i] = int32(id)
				break
			}
			at = (at + 1) & mask
		}
	}
}

func (t *Table) lookTwo(cand *[ahead]uint64, r *Rows, lo int, ids []int32) {
	hash := r.Hashes()
	for i := range ids {
		var w1 uint64
		if r.W1 != nil {
			w1 = r.W1[lo+i]
		}
		ids[i] = t.lookWords(cand[i], r.W0[lo+i], w1, hash[lo+i])
	}
}

// lookWords finds words from the slot c of their hash on.
func (t *Table) lookWords(c, a, b, h uint64) int32 {
	if b != 0 && t.w1 == nil {
		return -1
	}
	mask := uint64(len(t.slots) - 1)
	for at := h & mask; c != 0; c = t.slots[at] {
		if id := uint32(c) - 1; c>>32 == h&math.MaxUint32 && t.w0[id] == a && (t.w1 == nil || t.w1[id] == b) {
			return int32(id)
		}
		at = (at + 1) & mask
	}
	return -1
}

// lookBytes finds byte rows, which may be those of tuples that a table of words has.
func (t *Table) lookBytes(cand *[ahead]uint64, r *Rows, lo int, ids []int32) {
	mask, hash := uint64(len(t.slots)-1), r.Hashes()
	for i := range ids {
		key, h, c := r.Bytes[r.Off[lo+i]:r.Off[lo+i+1]], hash[lo+i], cand[i]
		ids[i] = -1
		if !t.bytes {
			if a, b, ok := t.plan.packRow(key); ok {
				ids[i] = t.lookWords(c, a, b, h)
			}
			continue
		}
		for at := h & mask; c != 0; c = t.slots[at] {
			if id := uint32(c) - 1; c>>32 == h&math.MaxUint32 && string(t.arena[t.off[id]:t.off[id+1]]) == string(key) {
				ids[i] = int32(id)
				break
			}
			at = (at + 1) & mask
		}
	}
}
