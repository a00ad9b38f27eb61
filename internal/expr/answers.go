package expr

import (
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"unsafe"

	"github.com/sluice-data/sluice/internal/codes"
)

// Bounds of what is kept: more is computed for each batch anew.
const (
	answersBytes = 2 * codes.MaxBytes // by one part of an expression, of one dictionary
	answersMost  = 4 << 20            // by all that are bound together, dictionaries aside
	lanesBeyond  = 16                 // lanes that there may be beyond the processors
)

// answers are the values of a part of an expression for the entries of a dictionary, and for NULL behind them. Batches of one row group share
// its dictionary.
type answers struct {
	of     *codes.Entries
	rows   int     // that were met before the values were computed
	values *vector // of Len()+1 rows, in memory of its own; nil as long as it does not pay, and where it is too large
	dense  bool    // only that of NULL is null
	failed map[int32]rowError
	large  bool // or what is kept is as much as there may be
	size   int
}

// recentAnswers holds the answers of the dictionaries met last: more than there are lanes. It is safe for concurrent use.
type recentAnswers struct {
	mu   sync.Mutex
	last []*answers
	next int
	held *atomic.Int64 // bytes of answers, of all parts that are bound together
}

// of gives what is known of e to one who has met it in n more rows; it is not written any more once it has values. compute is whether it is worth it
// to compute them now: then the caller does, and keeps them.
func (m *recentAnswers) of(e *codes.Entries, n int) (a *answers, compute bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	i := slices.IndexFunc(m.last, func(a *answers) bool { return a.of.Same(e) })
	if i < 0 {
		a = &answers{of: e}
		if len(m.last) < 2*runtime.GOMAXPROCS(0)+lanesBeyond {
			m.last = append(m.last, a)
		} else {
			m.held.Add(-int64(m.last[m.next].size))
			m.last[m.next] = a
			m.next = (m.next + 1) % len(m.last)
		}
	} else {
		a = m.last[i]
	}
	if a.values != nil || a.large {
		return a, false
	}
	a.rows += n
	return a, a.rows >= 2*e.Len()
}

// keep puts done in the place of what was known of its dictionary, if there is room.
func (m *recentAnswers) keep(done *answers) {
	m.mu.Lock()
	defer m.mu.Unlock()
	i := slices.IndexFunc(m.last, func(a *answers) bool { return a.of.Same(done.of) })
	if i < 0 {
		return
	}
	m.held.Add(-int64(m.last[i].size)) // another lane may have been faster
	if m.held.Add(int64(done.size)) > answersMost {
		m.held.Add(-int64(done.size))
		done = &answers{of: done.of, large: true}
	}
	m.last[i] = done
}

// answer computes d for all entries of e.
func (d *dictNode) answer(r *run, e *codes.Entries) *answers {
	if r.err != nil { // of another part of the expression: it stands
		return &answers{of: e, large: true}
	}
	n := e.Len()
	off, data := e.Text()
	block, used, stored, mark := r.block, r.used, r.stored, len(r.errs)
	entries := &vector{typ: d.col.t, n: n + 1, data: data, beg: off, end: append(slices.Clone(off[1:]), off[n]), valid: r.bytes(bitmapLen(n + 1))}
	for i := range entries.valid {
		entries.valid[i] = 0xff
	}
	entries.valid[n>>3] &^= 1 << (n & 7)
	v := d.over(r, entries, make([]*keptVector, len(r.kept)))
	a := &answers{of: e, large: true}
	if r.err == nil {
		failed := firstErrors(r.errs[mark:])
		room := answersBytes
		for _, e := range failed {
			room -= 64 + len(e.value) + len(e.reason)
		}
		if own, size := v.own(room); size <= room {
			a.large, a.values, a.failed, a.size = false, own, failed, answersBytes-room+size
			a.dense = own.valid == nil || countBits(own.valid, n) == n
		}
	}
	r.errs, r.err = r.errs[:mark], nil // of entries that no row need have: the rows tell
	r.block, r.used, r.stored = block, used, stored
	return a
}

// perRow gives each row the value of its entry, of being their numbers, and that of NULL where valid says so; and to the selected ones their errors.
func (a *answers) perRow(r *run, of []uint32, valid, sel []byte) *vector {
	rows := unsafe.Slice((*int32)(unsafe.Pointer(unsafe.SliceData(of))), len(of))
	values := a.values
	switch {
	case valid != nil: // no branch: nulls come in no order
		null := uint32(a.of.Len())
		rows = r.int32s(r.n)
		for i, c := range of {
			there := uint32(valid[i>>3] >> (i & 7) & 1)
			rows[i] = int32(c*there + null*(1-there))
		}
	case a.dense:
		v := *values
		v.valid = nil
		values = &v
	}
	out := r.gather(values, rows)
	if len(a.failed) > 0 {
		for i, k := range rows {
			if e, ok := a.failed[k]; ok && (sel == nil || bit(sel, i)) {
				r.fail(out, i, e.value, e.reason)
			}
		}
	}
	return out
}

// own copies v, which is no constant, to memory that is its own, as long as that is no more than limit bytes; size is what it takes.
func (v *vector) own(limit int) (c *vector, size int) {
	if v.opaque != nil {
		return nil, limit + 1
	}
	o := *v
	o.array, o.owned = nil, false
	size = len(v.data) + len(v.valid) + 4*len(v.beg) + 4*len(v.end)
	if size > limit {
		return nil, size
	}
	o.data, o.valid = slices.Clone(v.data), slices.Clone(v.valid)
	o.beg, o.end = slices.Clone(v.beg), slices.Clone(v.end)
	inner := append([]*vector(nil), v.fields...)
	if v.elem != nil {
		inner = append(inner, v.elem)
	}
	for i, x := range inner {
		y, more := x.own(limit - size)
		if size += more; size > limit {
			return nil, size
		}
		inner[i] = y
	}
	if v.elem != nil {
		o.elem = inner[len(inner)-1]
	}
	o.fields = inner[:len(v.fields):len(v.fields)]
	if o.kind.bytes() {
		o.isASCII() // not written again: lanes share it
	}
	return &o, size
}
