package keys

import (
	"cmp"
	"math/bits"
	"slices"

	"github.com/sluice-data/sluice/internal/memlimit"
)

// Directory finds the first row of each tuple of a table that no longer changes. Its entries lie by the high bits of their hash in buckets of about two, with the
// words beside the row: a search reads the border of its bucket and one or two cache lines behind it, and neither waits for the other rows' searches.
type Directory struct {
	plan    *Plan
	shift   uint // of the hash, to its bucket
	local   uint // bits of a bucket's number within its part
	borders []uint32
	entries []entry
}

// entry is a tuple and its row in 20 bytes.
type entry struct {
	a, aHigh, b, bHigh uint32
	row                uint32
}

func (e *entry) w0() uint64 { return uint64(e.a) | uint64(e.aHigh)<<32 }
func (e *entry) w1() uint64 { return uint64(e.b) | uint64(e.bHigh)<<32 }

// Again is a row whose tuple an earlier row has, the first of them.
type Again struct{ Row, First int32 }

const (
	// PieceRows is how many rows a directory takes at a time, at most.
	PieceRows = 1 << 15
	// partRows is about how many rows a part has that is ordered at a time: what a processor's second cache holds.
	partRows = 1 << 15
	mostPart = 1 << 10
	// fewEntries are compared each with each.
	fewEntries = 16
)

// DirectoryBuild makes a directory in three passes over the rows, each of which several goroutines may make together: Count takes all pieces,
// then Lay all of them again, each to places of its own, then Order orders the parts.
type DirectoryBuild struct {
	d      *Directory
	parts  int
	counts [][]uint32 // of each piece, the rows of each part; then where they go
	from   []uint32   // of each part, its first entry, and the end
	again  [][]Again  // of each part
}

// NewDirectory begins a directory of n rows in so many pieces. It is nil for tuples that never fit two words, and for those without texts: integers may do
// without hashes, which a table that grows finds out.
func (p *Plan) NewDirectory(n, pieces int) *DirectoryBuild {
	if !p.words || p.nvar == 0 {
		return nil
	}
	parts := 1
	for parts < mostPart && parts*partRows < n {
		parts *= 2
	}
	local := 1
	for parts<<local < n/2 {
		local++
	}
	d := &Directory{plan: p, shift: uint(64 - local - bits.TrailingZeros(uint(parts))), local: uint(local)}
	b := &DirectoryBuild{d: d, parts: parts, counts: make([][]uint32, pieces), from: make([]uint32, parts+1), again: make([][]Again, parts)}
	all := make([]uint32, pieces*parts)
	for k := range b.counts {
		b.counts[k] = all[k*parts : (k+1)*parts]
	}
	return b
}

// Parts is how many parts Order is to be called for.
func (b *DirectoryBuild) Parts() int { return b.parts }

// part is a hash's.
func (b *DirectoryBuild) part(h uint64) uint64 {
	return h >> (b.d.shift + b.d.local) & uint64(b.parts-1)
}

// Count takes piece k, but for the rows that skip marks; nil is none. It is false if one of the rows does not fit words, and there can be no directory.
func (b *DirectoryBuild) Count(k int, r *Rows, skip []bool) bool {
	if !r.Packed {
		return false
	}
	count := b.counts[k]
	for i, h := range r.Hashes() {
		if skip == nil || !skip[i] {
			count[b.part(h)]++
		}
	}
	return true
}

// Counted ends the first pass.
func (b *DirectoryBuild) Counted() {
	at := uint32(0)
	for part := range b.parts {
		b.from[part] = at
		for _, count := range b.counts {
			n := count[part]
			count[part] = at
			at += n
		}
	}
	b.from[b.parts] = at
	b.d.entries = memlimit.Huge[entry](int(at))
	b.d.borders = memlimit.Huge[uint32](b.parts * (1<<b.d.local + 1))
}

// Lay takes piece k again, which begins with the table's given row.
func (b *DirectoryBuild) Lay(k, row int, r *Rows, skip []bool) {
	places, w1 := b.counts[k], r.W1
	for i, h := range r.Hashes() {
		if skip != nil && skip[i] {
			continue
		}
		var second uint64
		if w1 != nil {
			second = w1[i]
		}
		first, part := r.W0[i], b.part(h)
		b.d.entries[places[part]] = entry{uint32(first), uint32(first >> 32), uint32(second), uint32(second >> 32), uint32(row + i)}
		places[part]++
	}
}

// Order orders the entries of a part by their buckets, and leaves the first of equal ones. scratch is the goroutine's own, and given back for its next part.
func (b *DirectoryBuild) Order(part int, scratch []uint64) []uint64 {
	d := b.d
	own := d.entries[b.from[part]:b.from[part+1]]
	borders := d.borders[part*(1<<d.local+1):][:1<<d.local+1]
	// The scratch is the entries as they are, as three words each.
	scratch = resize(scratch, 3*len(own))
	mask := uint64(1)<<d.local - 1
	for i := range own {
		e := &own[i]
		h := hashWords(e.w0(), e.w1()) >> d.shift & mask
		scratch[3*i], scratch[3*i+1], scratch[3*i+2] = e.w0(), e.w1(), h<<32|uint64(e.row)
		borders[h+1]++
	}
	for i := range mask + 1 {
		borders[i+1] += borders[i]
	}
	next := borders[:mask+1] // each bucket's begin, which becomes its end
	for i := range len(own) {
		first, second, at := scratch[3*i], scratch[3*i+1], scratch[3*i+2]
		own[next[at>>32]] = entry{uint32(first), uint32(first >> 32), uint32(second), uint32(second >> 32), uint32(at)}
		next[at>>32]++
	}
	kept, begin := 0, 0
	for i := range next {
		end := int(next[i])
		next[i] = b.from[part] + uint32(kept)
		kept += copy(own[kept:], b.distinct(part, own[begin:end]))
		begin = end
	}
	borders[mask+1] = b.from[part] + uint32(kept)
	return scratch
}

// distinct is the first of equal entries of a bucket, whose rows ascend; the others are noted.
func (b *DirectoryBuild) distinct(part int, bucket []entry) []entry {
	if len(bucket) > fewEntries {
		slices.SortStableFunc(bucket, func(x, y entry) int { return cmp.Or(cmp.Compare(x.w0(), y.w0()), cmp.Compare(x.w1(), y.w1())) })
	}
	n := 0
	for _, e := range bucket {
		from := 0
		if len(bucket) > fewEntries {
			from = max(n-1, 0)
		}
		at := slices.IndexFunc(bucket[from:n], func(x entry) bool { return x.a == e.a && x.aHigh == e.aHigh && x.b == e.b && x.bHigh == e.bHigh })
		if at >= 0 {
			b.again[part] = append(b.again[part], Again{int32(e.row), int32(bucket[from+at].row)})
			continue
		}
		bucket[n] = e
		n++
	}
	return bucket[:n]
}

// Directory ends the build, and gives the rows that are not the first ones of their tuples.
func (b *DirectoryBuild) Directory() (*Directory, []Again) { return b.d, slices.Concat(b.again...) }

// NewFinder makes an encoder of tuples that are to be found in d. One lane owns it.
func (d *Directory) NewFinder() *Encoder { return d.plan.NewEncoder() }

// Find gives the first row of each tuple of r, which a finder of d encoded, in ids[:r.N]; -1 where d does not have it. Any number of goroutines may look.
func (d *Directory) Find(r *Rows, ids []int32) {
	hash := r.Hashes()
	if len(d.entries) == 0 {
		for i := range hash {
			ids[i] = -1
		}
		return
	}
	var near [ahead]entry
	var from, end [ahead]uint32
	for lo := 0; lo < r.N; lo += ahead {
		hi := min(lo+ahead, r.N)
		for i, h := range hash[lo:hi] {
			at := h >> d.shift
			at += at >> d.local // a part has a border more than buckets
			from[i&(ahead-1)], end[i&(ahead-1)] = d.borders[at], d.borders[at+1]
		}
		// Loads that the processor overlaps; the entry behind the last stands for an empty bucket's.
		for i, at := range from[:hi-lo] {
			near[i] = d.entries[min(int(at), len(d.entries)-1)]
		}
		for i := range hi - lo {
			w0, w1, ok := d.tuple(r, lo+i)
			ids[lo+i] = -1
			if at := from[i]; ok && at < end[i] {
				if e := &near[i]; e.w0() == w0 && e.w1() == w1 {
					ids[lo+i] = int32(e.row)
				} else {
					ids[lo+i] = find(d.entries[at+1:end[i]], w0, w1)
				}
			}
		}
	}
}

// tuple is the words of row i; ok is false where it does not fit them, and so is not there.
func (d *Directory) tuple(r *Rows, i int) (w0, w1 uint64, ok bool) {
	if !r.Packed {
		return d.plan.packRow(r.Bytes[r.Off[i]:r.Off[i+1]])
	}
	if r.W1 != nil {
		w1 = r.W1[i]
	}
	return r.W0[i], w1, true
}

func find(entries []entry, w0, w1 uint64) int32 {
	for i := range entries {
		if e := &entries[i]; e.w0() == w0 && e.w1() == w1 {
			return int32(e.row)
		}
	}
	return -1
}
