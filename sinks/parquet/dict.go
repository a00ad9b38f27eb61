package parquet

import (
	"encoding/binary"
	"math/bits"
	"slices"
)

const (
	maxDictEntries = 1 << 15 // indices then take two bytes at most
	maxDictBytes   = 1 << 20 // readers hold the whole dictionary
	// A column with so many different values of which more than half are new is given up at once.
	dictSample = 8192
)

// dictionary numbers the distinct values of a chunk in the order of their first appearance. A lane reuses one.
type dictionary struct {
	table []uint32 // open addressing; entry number + 1, 0 = free
	idx   []uint32 // entry of each value
	w32   []uint32
	w64   []uint64
	off   []int32
	data  []byte
	seen  []bool // entries on a page
	most  int    // entries (of byte strings: their bytes) beyond which none are worth it, once they are half of the values
}

func (d *dictionary) memory() int64 {
	return int64(4*cap(d.table) + 4*cap(d.idx) + 4*cap(d.w32) + 8*cap(d.w64) + 4*cap(d.off) + cap(d.data))
}

// build tries a dictionary for the values of c. It returns the number of entries, 0 if PLAIN pages are smaller. The
// entries are then in the slices of the column's kind, and d.idx has the number of each value.
func (d *dictionary) build(c *column) int {
	n := c.count()
	if n < 2 {
		return 0
	}
	d.idx = slices.Grow(d.idx[:0], n)[:n]
	switch c.leaf.kind {
	case kind32:
		if d.table == nil {
			d.table = make([]uint32, 2*maxDictEntries)
		}
		if k, ok := d.direct(c.w32[:n]); ok {
			return d.worth(k, 4*k, 4*n, n)
		}
		d.most = max(n/2, mostBytes(4*n, n)/4)
		d.w32 = buildWords(d, d.w32[:0], c.w32[:n])
		return d.worth(len(d.w32), 4*len(d.w32), 4*n, n)
	case kind64:
		d.most = max(n/2, mostBytes(8*n, n)/8)
		d.w64 = buildWords(d, d.w64[:0], c.w64[:n])
		return d.worth(len(d.w64), 8*len(d.w64), 8*n, n)
	case kindBytes:
		plain := int(c.off[n] - c.off[0])
		entry := 0
		if c.leaf.width == 0 {
			plain, entry = plain+4*n, 4
		}
		d.most = mostBytes(plain, n)
		d.buildBytes(c, n, entry)
		k := max(0, len(d.off)-1)
		return d.worth(k, len(d.data)+entry*k, plain, n)
	}
	return 0
}

// worth is k if the dictionary and the indices are clearly smaller than the plain values, else 0.
func (d *dictionary) worth(k, dict, plain, n int) int {
	if k == 0 || dict > maxDictBytes || dict+n*bitWidth(k-1)/8 > saved(plain) {
		return 0
	}
	return k
}

// mostBytes is how many bytes of entries are worth it where half of the n values, or more, are entries.
func mostBytes(plain, n int) int { return saved(plain) - n*bitWidth(n/2)/8 }

// saved is the most that is clearly smaller than plain.
func saved(plain int) int { return plain - plain/8 }

// direct numbers values that lie close together by a table over their range. !ok if they do not.
func (d *dictionary) direct(v []uint32) (int, bool) {
	lo, hi := extremes(signed32(v))
	span := int64(hi) - int64(lo) + 1
	if span > int64(len(d.table)) || span > int64(4*len(v)) {
		return 0, false
	}
	table := d.table[:span]
	clear(table)
	entries := d.w32[:0]
	idx := d.idx[:len(v)]
	for i, x := range v {
		p := &table[x-uint32(lo)]
		if *p == 0 {
			entries = append(entries, x)
			*p = uint32(len(entries))
		}
		idx[i] = *p - 1
	}
	d.w32 = entries
	if len(entries) > maxDictEntries {
		return 0, true
	}
	return len(entries), true
}

// buildWords numbers the words v; no entries when there are too many.
func buildWords[W uint32 | uint64](d *dictionary, entries, v []W) []W {
	table, shift := d.clean(firstLog(len(v)))
	mask := uint32(len(table) - 1)
	idx := d.idx[:len(v)]
	for i, x := range v {
		h := hashWord(x, shift) & mask
		t := table[h]
		for t != 0 && entries[t-1] != x {
			h = (h + 1) & mask
			t = table[h]
		}
		if t != 0 {
			idx[i] = t - 1
			continue
		}
		entries = append(entries, x)
		table[h] = uint32(len(entries))
		idx[i] = uint32(len(entries) - 1)
		if k := len(entries); k%128 == 0 && (k > d.most || k%512 == 0 && d.hopeless(i, k)) {
			return entries[:0]
		}
		if !d.full(len(entries), len(table)) {
			continue
		}
		table, shift = grow(d, len(table), entries)
		mask = uint32(len(table) - 1)
	}
	if d.hopeless(len(v), len(entries)) {
		return entries[:0]
	}
	return entries
}

// firstLog is how large a table begins for n values: small, for most columns that are worth it have few entries; to grow it would
// cost few values more than it saves.
func firstLog(n int) int {
	if n <= dictSample {
		return 12
	}
	return 10
}

// full says whether a table with k entries should grow: one that is a quarter full has few of them out of place. There are
// never so many that the largest is more than half full.
func (d *dictionary) full(k, size int) bool { return k > size/4 && size < len(d.table) }

// grow returns a table four times as large, with the entries in it, and its shift.
func grow[W uint32 | uint64](d *dictionary, size int, entries []W) (table []uint32, shift int) {
	table, shift = d.clean(bits.Len(uint(size)) + 1)
	mask := uint32(len(table) - 1)
	for j, y := range entries {
		g := hashWord(y, shift) & mask
		for table[g] != 0 {
			g = (g + 1) & mask
		}
		table[g] = uint32(j + 1)
	}
	return table, shift
}

// hopeless says whether k distinct values among the first i are too many.
func (d *dictionary) hopeless(i, k int) bool {
	return k > maxDictEntries || k > dictSample && i < 2*k
}

// clean returns an empty table of 2^log entries (or the largest there is) and the shift that gives hashes for it.
func (d *dictionary) clean(log int) (table []uint32, shift int) {
	if d.table == nil {
		d.table = make([]uint32, 2*maxDictEntries)
	}
	size := min(1<<log, len(d.table))
	table = d.table[:size]
	clear(table)
	return table, 65 - bits.Len(uint(size))
}

// hashWord multiplies by 2^64 over the golden ratio and keeps the top bits.
func hashWord[W uint32 | uint64](x W, shift int) uint32 {
	return uint32((uint64(x) * 0x9E3779B97F4A7C15) >> (shift & 63))
}

// buildBytes numbers the byte strings of c in d.off and d.data, each with so many bytes besides; no entries when there are too many. d.w64 has a key of
// each: what a string shorter than eight bytes is, or a hash of a longer one.
func (d *dictionary) buildBytes(c *column, n, entry int) {
	d.off, d.data, d.w64 = append(d.off[:0], 0), d.data[:0], d.w64[:0]
	if d.data == nil {
		d.data = []byte{} // an empty entry is not nil
	}
	table, shift := d.clean(firstLog(n))
	mask := uint32(len(table) - 1)
	idx := d.idx[:n]
	off := c.off[:n+1]
	data := c.data
	for i := range idx {
		lo, hi := off[i], off[i+1]
		var key uint64
		if n := uint(hi - lo); n < 8 && int(lo)+8 <= len(data) {
			key = binary.LittleEndian.Uint64(data[lo:])&(1<<(8*n)-1) | uint64(n)<<56
		} else {
			key = keyOf(data[lo:hi])
		}
		h := hashWord(key, shift) & mask
		t := table[h]
		for t != 0 && (d.w64[t-1] != key || hi-lo >= 8 && string(d.data[d.off[t-1]:d.off[t]]) != string(data[lo:hi])) {
			h = (h + 1) & mask
			t = table[h]
		}
		if t != 0 {
			idx[i] = t - 1
			continue
		}
		d.data = append(d.data, data[lo:hi]...)
		d.off = append(d.off, int32(len(d.data)))
		d.w64 = append(d.w64, key)
		k := len(d.w64)
		table[h] = uint32(k)
		idx[i] = uint32(k - 1)
		if len(d.data) > maxDictBytes {
			d.off = d.off[:1]
			return
		}
		if k%128 == 0 && (2*k > n && len(d.data)+entry*k > d.most || k%512 == 0 && d.hopeless(i, k)) {
			d.off = d.off[:1]
			return
		}
		if !d.full(k, len(table)) {
			continue
		}
		table, shift = grow(d, len(table), d.w64)
		mask = uint32(len(table) - 1)
	}
	if d.hopeless(n, len(d.off)-1) {
		d.off = d.off[:1]
	}
}

// keyOf is a key of b. That of a string shorter than eight bytes has its length on top and no other string has it; that of
// a longer one is a hash with the top bit set.
func keyOf(b []byte) uint64 {
	if len(b) >= 8 {
		return hashBytes(b) | 1<<63
	}
	x := uint64(len(b)) << 56
	for i, c := range b {
		x |= uint64(c) << (8 * i)
	}
	return x
}

// hashBytes is a multiply-and-fold hash of eight bytes or more; it only spreads, every hit is compared.
func hashBytes(b []byte) uint64 {
	h := uint64(len(b)) * 0x9E3779B97F4A7C15
	last := binary.LittleEndian.Uint64(b[len(b)-8:]) // these may overlap those before
	for len(b) > 8 {
		hi, lo := bits.Mul64(h^binary.LittleEndian.Uint64(b), 0xD6E8FEB86659FD93)
		h, b = hi^lo, b[8:]
	}
	hi, lo := bits.Mul64(h^last, 0xA0761D6478BD642F)
	return hi ^ lo
}

// page appends the dictionary page's body: the k entries in PLAIN encoding.
func (d *dictionary) page(dst []byte, l *leaf, k int) []byte {
	switch l.kind {
	case kind32:
		return append(dst, raw(d.w32[:k])...)
	case kind64:
		return append(dst, raw(d.w64[:k])...)
	}
	return appendByteArrays(dst, l, d.off[:k+1], d.data)
}

// stride is how many bytes each entry has on the dictionary page; 0 if they differ.
func (d *dictionary) stride(l *leaf) int {
	switch l.kind {
	case kind32:
		return 4
	case kind64:
		return 8
	}
	return l.width
}

// entry is entry i in PLAIN encoding without length.
func (d *dictionary) entry(i int) []byte { return d.data[d.off[i]:d.off[i+1]:d.off[i+1]] }

// bounds gives the bounds of the entries that idx names: far fewer values to compare than the page has.
func (d *dictionary) bounds(l *leaf, idx []uint32, k int) bounds {
	d.seen = slices.Grow(d.seen[:0], k)[:k]
	clear(d.seen)
	for _, i := range idx {
		d.seen[i] = true
	}
	var b bounds
	for i, on := range d.seen {
		if on {
			b.widen(bounds{d.entry(i), d.entry(i)}, l.order)
		}
	}
	return b
}
