package agg

import (
	"errors"
	"unsafe"

	"github.com/sluice-data/sluice/transforms/internal/col"
)

// bag holds values by group, in the order in which they came, in pieces of pages: no value is moved when there are more of them, or when the
// bags of two lanes become one.
type bag[T any] struct {
	pages  [][]T // of at most pageMost values
	page   int   // the page that pieces are cut from
	used   int   // values of it that are in pieces
	room   int   // values that the pages have room for
	pieces []piece
	ends   []bagEnd // by group
	n      int      // values
}

// piece is a run of values of one group. A place in a bag is the number of a page and, in the low bits, the index in it.
type piece struct{ at, n, before uint32 } // before is 1 + the piece before it, 0 for none

// bagEnd is where a group's next value goes.
type bagEnd struct {
	at, left, last uint32 // last is 1 + the group's last piece
	n              uint32 // values
}

const (
	pageBits   = 16
	pageMost   = 1 << pageBits
	pageLeast  = 64
	pieceMost  = 2048
	pieceLeast = 2
)

var errBagFull = errors.New("more than 4 billion values in groups that are held together: use approx_quantile")

func (b *bag[T]) grow(n int) { b.ends = col.Grow(b.ends, n) }

// open gives the group e a new piece, of half as many values as it has: what is unused is at most a third.
func (b *bag[T]) open(e *bagEnd) error {
	for b.page < len(b.pages) && b.used == len(b.pages[b.page]) {
		b.page, b.used = b.page+1, 0
	}
	if b.page == len(b.pages) {
		if len(b.pages) == 1<<(32-pageBits) {
			return errBagFull
		}
		p := make([]T, min(max(b.room, pageLeast), pageMost))
		b.pages, b.room = append(b.pages, p), b.room+len(p)
	}
	n := min(max(int(e.n)/2, pieceLeast), pieceMost, len(b.pages[b.page])-b.used)
	b.pieces = append(b.pieces, piece{uint32(b.page<<pageBits | b.used), uint32(n), e.last})
	e.at, e.left, e.last = uint32(b.page<<pageBits|b.used), uint32(n), uint32(len(b.pieces))
	b.used += n
	return nil
}

// add puts each of v into its group.
func (b *bag[T]) add(groups []uint32, v []T) error {
	v = v[:len(groups)]
	for i, g := range groups {
		e := &b.ends[g]
		if e.left == 0 {
			if err := b.open(e); err != nil {
				return err
			}
		}
		b.pages[e.at>>pageBits][e.at&(pageMost-1)] = v[i]
		e.at++
		e.left--
		e.n++
	}
	b.n += len(groups)
	return nil
}

// addRows is add for those rows only.
func (b *bag[T]) addRows(groups []uint32, v []T, rows []int32) error {
	for _, r := range rows {
		e := &b.ends[groups[r]]
		if e.left == 0 {
			if err := b.open(e); err != nil {
				return err
			}
		}
		b.pages[e.at>>pageBits][e.at&(pageMost-1)] = v[r]
		e.at++
		e.left--
		e.n++
	}
	b.n += len(rows)
	return nil
}

// count is the values of group g.
func (b *bag[T]) count(g int) int { return int(b.ends[g].n) }

// each calls to with the values of group g, a piece at a time, the last first; they are lent.
func (b *bag[T]) each(g int, to func(v []T)) {
	unused := b.ends[g].left
	for k := b.ends[g].last; k > 0; {
		p := b.pieces[k-1]
		page, at := b.pages[p.at>>pageBits], p.at&(pageMost-1)
		to(page[at : at+p.n-unused])
		unused, k = 0, p.before
	}
}

// copyTo puts the values of group g into dst, which has as many, in their order.
func (b *bag[T]) copyTo(dst []T, g int) {
	b.each(g, func(v []T) {
		copy(dst[len(dst)-len(v):], v)
		dst = dst[:len(dst)-len(v)]
	})
}

// take takes the values of o over, whose group g is ids[g] here, and leaves o empty. False if there are too many.
func (b *bag[T]) take(o *bag[T], ids []uint32) bool {
	pages := min(b.page+1, len(b.pages)) // those behind are unused and would not be found again
	if pages+len(o.pages) > 1<<(32-pageBits) || len(b.pieces)+len(o.pieces) > 1<<32-1 {
		return false
	}
	b.pages = b.pages[:pages]
	first, at := uint32(len(b.pieces)), uint32(pages)<<pageBits
	for _, p := range o.pieces {
		if p.at += at; p.before > 0 {
			p.before += first
		}
		b.pieces = append(b.pieces, p)
	}
	for g, from := range o.ends {
		if from.last == 0 {
			continue
		}
		to := &b.ends[ids[g]]
		if to.last > 0 {
			b.pieces[to.last-1].n -= to.left
			k := from.last + first
			for b.pieces[k-1].before > 0 {
				k = b.pieces[k-1].before
			}
			b.pieces[k-1].before = to.last
		}
		*to = bagEnd{from.at + at, from.left, from.last + first, from.n + to.n}
	}
	b.page, b.used = len(b.pages)+o.page, o.used
	b.pages = append(b.pages, o.pages...)
	b.n += o.n
	*o = bag[T]{}
	b.room = 0
	for _, p := range b.pages {
		b.room += len(p)
	}
	return true
}

func (b *bag[T]) size() int64 {
	var v T
	return int64(b.room)*int64(unsafe.Sizeof(v)) + 12*int64(cap(b.pieces)) + 16*int64(cap(b.ends)) + 24*int64(cap(b.pages))
}

// reset forgets the values and keeps the memory.
func (b *bag[T]) reset() {
	b.page, b.used, b.n, b.pieces, b.ends = 0, 0, 0, b.pieces[:0], reset(b.ends)
}
