package extsort

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"slices"

	"github.com/sluice-data/sluice/transforms/internal/orderkey"
)

// entry is a row of a window with one word of its key.
type entry struct {
	key uint64
	row int32
}

// window orders rows by keys, those of equal keys as they came: by one word of the key after the other, and by each of them only
// the rows that all words before leave equal.
type window struct {
	a, b  []entry
	words []word
	count [8][256]uint32
}

// word is where the words of a key come from: the first or second word of a part, or its tail.
type word struct {
	keys *orderkey.Keys
	from uint8 // 0, 1, or the tail
}

const tail = 2

// few rows are ordered by comparing whole keys.
const few = 48

// order gives the rows of keys in their order: the result is good until the next call; nil is the order in which they came.
func (w *window) order(plans []*orderkey.Plan, parts []orderkey.Keys, n int, dst []int32) []int32 {
	w.words = w.words[:0]
	for i, p := range plans {
		for k := range p.Words() {
			w.words = append(w.words, word{&parts[i], uint8(k)})
		}
		if p.Tail() {
			w.words = append(w.words, word{&parts[i], tail})
		}
	}
	if len(w.words) == 0 {
		return nil
	}
	w.a, w.b = slices.Grow(w.a[:0], n)[:n], slices.Grow(w.b[:0], n)[:n]
	for i := range w.a {
		w.a[i].row = int32(i)
	}
	w.refine(w.a, w.b, 0, 0)
	dst = slices.Grow(dst[:0], n)[:n]
	same := true
	for i, e := range w.a {
		dst[i] = e.row
		same = same && int(e.row) == i
	}
	if same {
		return nil
	}
	return dst
}

// refine orders a, rows that all words before number at leave equal, as they do the first depth words of that one, which is a tail then.
func (w *window) refine(a, b []entry, at, depth int) {
	for at < len(w.words) && len(a) > 1 {
		if len(a) <= few {
			slices.SortFunc(a, func(x, y entry) int { return w.compare(x.row, y.row, at, depth) })
			return
		}
		more := w.load(a, at, depth)
		w.radix(a, b)
		next, deep := at+1, 0
		if more {
			next, deep = at, depth+1
		}
		if a[0].key == a[len(a)-1].key { // the usual end of many equal keys: no call deeper for each word of a long text
			at, depth = next, deep
			continue
		}
		for lo := 0; lo < len(a); {
			hi := lo + 1
			for hi < len(a) && a[hi].key == a[lo].key {
				hi++
			}
			if hi-lo > 1 {
				w.refine(a[lo:hi], b[lo:hi], next, deep)
			}
			lo = hi
		}
		return
	}
}

// load reads word at of the keys; more is set when some tail goes on behind it.
func (w *window) load(a []entry, at, depth int) (more bool) {
	k := w.words[at].keys
	switch w.words[at].from {
	case 0:
		for i := range a {
			a[i].key = k.W0[a[i].row]
		}
		return false
	case 1:
		for i := range a {
			a[i].key = k.W1[a[i].row]
		}
		return false
	}
	for i := range a {
		t := k.Tail(int(a[i].row))
		t = t[min(8*depth, len(t)):]
		if len(t) >= 8 {
			a[i].key = binary.BigEndian.Uint64(t)
			more = more || len(t) > 8
			continue
		}
		var pad [8]byte // no key is the beginning of another, so that this makes none equal
		copy(pad[:], t)
		a[i].key = binary.BigEndian.Uint64(pad[:])
	}
	return more
}

// compare compares rows whole, from word at on; the one that came first is less where they are equal.
func (w *window) compare(x, y int32, at, depth int) int {
	for ; at < len(w.words); at++ {
		c, k := 0, w.words[at].keys
		switch w.words[at].from {
		case 0:
			c = cmp.Compare(k.W0[x], k.W0[y])
		case 1:
			c = cmp.Compare(k.W1[x], k.W1[y])
		default:
			a, b := k.Tail(int(x)), k.Tail(int(y))
			c = bytes.Compare(a[min(8*depth, len(a)):], b[min(8*depth, len(b)):])
		}
		if c != 0 {
			return c
		}
		depth = 0
	}
	return cmp.Compare(x, y)
}

// radix orders a by its words, equal ones as they are, with b of the same length to spare.
func (w *window) radix(a, b []entry) {
	sorted := true
	last := uint64(0)
	count := &w.count
	*count = [8][256]uint32{}
	for i := range a {
		k := a[i].key
		sorted = sorted && k >= last
		last = k
		for d := range count {
			count[d][byte(k>>(8*d))]++
		}
	}
	if sorted {
		return
	}
	src, dst := a, b
	for d := range count {
		c := &count[d]
		if int(c[byte(src[0].key>>(8*d))]) == len(a) {
			continue // all have the same
		}
		sum := uint32(0)
		for i, n := range c {
			c[i] = sum
			sum += n
		}
		for _, e := range src {
			x := byte(e.key >> (8 * d))
			dst[c[x]] = e
			c[x]++
		}
		src, dst = dst, src
	}
	if &src[0] != &a[0] {
		copy(a, src)
	}
}
