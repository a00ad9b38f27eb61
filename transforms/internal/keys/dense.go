package keys

import (
	"math/bits"
	"slices"
)

const (
	// denseFrom is the tuples from which a table is looked at for a dense domain.
	denseFrom = 32
	// denseFew is the cells that any table may have, about what a processor's first cache holds.
	denseFew = 1 << 13
)

// dense is an array of numbers in front of a hash table, for tuples whose columns each have values of a small range, such as a day and
// a zone: the place of a tuple is computed, not searched, nothing need be compared, and tuples that are near each other are so in memory,
// too. It knows all tuples of the table that lie inside: one that it does not know is new, and the hash table hears of it only once it is
// asked for one outside.
type dense struct {
	dims    []dim
	rest    [2]uint64 // the bits of the words that are of no dim (null marks): with any of them a tuple is outside
	cells   []uint32  // number+1, 0 where there is no tuple
	rows    int       // looked up since it was made
	outside int       // of them, those found outside though a larger array would have them
	bears   int       // outside at which to look for a larger one
	tight   bool      // made without slack
}

// dim is one column: the values base, base+step … span of them. A coordinate of span is outside.
type dim struct {
	word       int
	shift      uint
	mask       uint64
	base, step uint64
	inverse    uint64 // of step's odd factor, modulo 2^64
	twos       int    // step's other factor is 1<<twos
	span       uint64
	radix      uint32 // cells from one value to the next
}

// coordinate is the number of the column's value in the words, from 0 on; what is no value of the dim gives span or more: times the
// inverse, rotated, multiples of step are divided by it, and only they give numbers as small (Granlund and Montgomery, 1994).
func (d *dim) coordinate(word uint64) uint64 {
	return bits.RotateLeft64((word>>(d.shift&63)-d.base)&d.mask*d.inverse, -d.twos)
}

// place adds the dim's share of the tuples' places.
func (d *dim) place(at *[ahead]uint32, w []uint64) {
	c, span, radix := *d, d.span, d.radix
	for i, x := range w[:min(len(w), ahead)] {
		at[i] += uint32(min(c.coordinate(x), span)) * radix
	}
}

// internDense is internWords by way of the array; w1 may be nil, which is all zero.
func (t *Table) internDense(w0, w1 []uint64, ids []uint32) {
	for lo := 0; lo < len(ids); lo += ahead {
		hi := min(lo+ahead, len(ids))
		second := zeros[:hi-lo]
		if w1 != nil {
			second = w1[lo:hi]
		}
		t.internCells(w0[lo:hi], second, ids[lo:hi])
	}
	d := t.dense
	if d.rows += len(ids); d.outside > d.bears {
		t.survey()
	}
}

func (t *Table) internCells(w0, w1 []uint64, ids []uint32) {
	for len(ids) > 0 {
		n := t.internKnown(w0, w1, ids)
		w0, w1, ids = w0[n:], w1[n:], ids[n:]
	}
}

// internKnown numbers tuples up to the first one for which the array was made larger, and gives how many those are.
func (t *Table) internKnown(w0, w1 []uint64, ids []uint32) int {
	var at [ahead]uint32
	d := t.dense
	d.places(&at, w0, w1)
	cells := d.cells
	for i := range ids {
		x := at[i&(ahead-1)]
		if c := cells[x]; c != 0 {
			ids[i] = c - 1
			continue
		}
		if d.inside(x) {
			ids[i] = t.append(w0[i], w1[i])
			cells[x] = uint32(t.n)
			continue
		}
		if t.enlarge(w0[i], w1[i]) {
			return i
		}
		ids[i] = t.findOutside(w0[i], w1[i])
	}
	return len(ids)
}

// places are the tuples' cells.
func (d *dense) places(at *[ahead]uint32, w0, w1 []uint64) {
	words := [2][]uint64{w0, w1}
	for i := range d.dims {
		d.dims[i].place(at, words[d.dims[i].word])
	}
	for w, rest := range d.rest {
		var any uint64
		for _, x := range words[w] {
			any |= x
		}
		if any&rest == 0 {
			continue
		}
		for i, x := range words[w] {
			if x&rest != 0 {
				at[i] = uint32(len(d.cells) - 1) // outside in every dim
			}
		}
	}
}

// append adds a new tuple without telling the hash table.
func (t *Table) append(a, b uint64) uint32 {
	if t.n == len(t.w0) {
		t.w0 = extend(t.w0)
	}
	t.w0[t.n] = a
	if t.w1 != nil {
		if t.n == len(t.w1) {
			t.w1 = extend(t.w1)
		}
		t.w1[t.n] = b
	}
	t.n++
	return uint32(t.n - 1)
}

// enlarge makes an array that has room for a tuple outside, and to spare; false if that cannot be.
func (t *Table) enlarge(a, b uint64) bool {
	d, w := t.dense, [2]uint64{a, b}
	if d.tight || a&d.rest[0]|b&d.rest[1] != 0 {
		return false
	}
	next := t.newDense(d, &w)
	if next == nil {
		d.tight = true // not asked for each such row: survey looks again
		return false
	}
	t.dense = next
	return true
}

// findOutside finds or adds a tuple outside.
func (t *Table) findOutside(a, b uint64) uint32 {
	t.Settle()
	if d := t.dense; a&d.rest[0]|b&d.rest[1] == 0 {
		d.outside++
	}
	if t.w1 == nil {
		return t.findWord(a, hashWord(a))
	}
	return t.findWords(a, b, hashWords(a, b))
}

// Settle tells the hash table of the tuples that only the array knows: Find looks there, and changes nothing.
func (t *Table) Settle() {
	if t.settled == t.n {
		return
	}
	size := len(t.slots)
	for size/8*5 < t.n {
		size *= 2
	}
	if size > len(t.slots) {
		t.rehash(size)
	}
	mask := uint64(len(t.slots) - 1)
	for ; t.settled < t.n; t.settled++ {
		w := t.words(t.settled)
		h := hashWords(w[0], w[1])
		at := h & mask
		for t.slots[at] != 0 {
			at = (at + 1) & mask
		}
		t.slots[at] = h<<32 | uint64(t.settled+1)
	}
}

func (d *dense) inside(at uint32) bool {
	for i := range d.dims {
		c := &d.dims[i]
		if uint64(at/c.radix)%(c.span+1) == c.span {
			return false
		}
	}
	return true
}

// survey makes the array for the tuples so far. If they lie too far apart it keeps what there is as long as that has most rows, else it
// goes without until there are twice as many tuples.
func (t *Table) survey() {
	old := t.dense
	t.denseAt = max(2*t.n, denseFrom)
	if t.dense = t.newDense(old, nil); t.dense == nil && old != nil && old.outside < old.rows/8 {
		t.dense, old.bears = old, 2*old.bears+old.outside
	}
	if t.dense == nil {
		t.Settle()
	}
}

// newDense makes the array for the tuples so far and one more, if that is not nil; before is the one there was or nil. It is nil if
// they lie too far apart.
func (t *Table) newDense(before *dense, more *[2]uint64) *dense {
	d := &dense{rest: [2]uint64{^uint64(0), ^uint64(0)}}
	for i := range t.plan.cols {
		c := &t.plan.cols[i]
		if c.bits == 0 {
			continue
		}
		m := dim{word: int(c.word), shift: c.shift, mask: ^uint64(0) >> (64 - c.bits)}
		d.dims = append(d.dims, m)
		d.rest[m.word] &^= m.mask << m.shift
	}
	if len(d.dims) == 0 || !t.look(d) {
		return nil
	}
	ranges := t.ranges
	if more != nil {
		ranges = slices.Clone(ranges)
		for i := range ranges {
			ranges[i].widen(&d.dims[i], *more)
		}
	}
	for _, r := range ranges {
		if r.values() > uint64(denseFew+8*t.n) {
			return nil
		}
	}
	for _, slack := range []bool{true, false} {
		for i := range d.dims {
			var old *dim
			if before != nil {
				old = &before.dims[i]
			}
			d.dims[i].cover(ranges[i], old, slack)
		}
		most := denseFew + 4*t.n
		if slack {
			most *= 2
		}
		if d.layOut(uint64(most)) {
			d.bears, d.tight = (len(d.cells)+8*t.n)/16, !slack
			t.enter(d)
			return d
		}
	}
	return nil
}

// valueRange is where the values of a column lie: from lo to hi and apart by multiples of step, as differences from one of them.
type valueRange struct {
	from   uint64
	lo, hi int64
	step   uint64 // 0 while they are all one
}

// look widens t.ranges by the tuples that are new since and have nothing in d.rest; false if there are none.
func (t *Table) look(d *dense) bool {
	for ; t.looked < t.n; t.looked++ {
		w := t.words(t.looked)
		if w[0]&d.rest[0]|w[1]&d.rest[1] != 0 {
			continue
		}
		if t.ranges == nil {
			t.ranges = make([]valueRange, len(d.dims))
			for i := range d.dims {
				t.ranges[i].from = d.dims[i].value(w)
			}
		}
		for i := range d.dims {
			t.ranges[i].widen(&d.dims[i], w)
		}
	}
	return t.ranges != nil
}

// value is the column's in a tuple.
func (d *dim) value(w [2]uint64) uint64 { return w[d.word&1] >> d.shift & d.mask }

// widen widens the range of a column by a tuple.
func (r *valueRange) widen(d *dim, w [2]uint64) {
	up := bits.LeadingZeros64(d.mask) // to tell differences' signs
	diff := int64((d.value(w)-r.from)<<up) >> up
	r.lo, r.hi = min(r.lo, diff), max(r.hi, diff)
	if far := uint64(max(diff, -diff)); r.step != 1 && (r.step == 0 || far%r.step != 0) {
		r.step = gcd(far, r.step)
	}
}

// values is how many there are in the range, less one.
func (r valueRange) values() uint64 { return (uint64(r.hi) - uint64(r.lo)) / max(r.step, 1) }

// words are those of tuple j.
func (t *Table) words(j int) (w [2]uint64) {
	w[0] = t.w0[j]
	if t.w1 != nil {
		w[1] = t.w1[j]
	}
	return w
}

func gcd(a, b uint64) uint64 {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}

// cover makes the dim hold a range, with slack as much again on the side where one before it was too short, a quarter on both if there
// was none.
func (d *dim) cover(r valueRange, before *dim, slack bool) {
	d.step, d.base = max(r.step, 1), (r.from+uint64(r.lo))&d.mask
	d.span = r.values() + 1
	d.twos = bits.TrailingZeros64(d.step)
	odd := d.step >> d.twos
	d.inverse = odd // right in three bits; each round doubles that
	for range 5 {
		d.inverse *= 2 - odd*d.inverse
	}
	if !slack {
		return
	}
	below, above := d.span/4+1, d.span/4+1
	if before != nil {
		more := d.span + 1
		below, above = 0, 0
		if before.coordinate(d.base<<d.shift) >= before.span {
			below = more
		}
		if last := d.base + (d.span-1)*d.step; before.coordinate((last&d.mask)<<d.shift) >= before.span {
			above = more
		}
	}
	room := d.mask/d.step - (d.span - 1) // values of the type: beyond them differences come out wrong
	below = min(below, room)
	above = min(above, room-below)
	d.base = (d.base - below*d.step) & d.mask
	d.span += below + above
}

// layOut sets the dims' places; false if there are more than most cells.
func (d *dense) layOut(most uint64) bool {
	cells := uint64(1)
	for i := len(d.dims) - 1; i >= 0; i-- {
		d.dims[i].radix = uint32(cells)
		if cells *= d.dims[i].span + 1; cells > most || cells > 1<<30 {
			return false
		}
	}
	d.cells = make([]uint32, cells)
	return true
}

// enter tells d all tuples of the table.
func (t *Table) enter(d *dense) {
	for j := range t.n {
		w, at := t.words(j), uint32(0)
		if w[0]&d.rest[0]|w[1]&d.rest[1] != 0 {
			continue
		}
		for i := range d.dims {
			c := &d.dims[i]
			at += uint32(min(c.coordinate(w[c.word]), c.span)) * c.radix
		}
		d.cells[at] = uint32(j) + 1 // none is outside: d covers t.ranges
	}
}
