package agg

import (
	"encoding/binary"
	"math"
	"slices"
	"unsafe"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/memory"

	"github.com/sluice-data/sluice/transforms/internal/col"
)

// standing keeps the values of each group that are not null, and finds the one at a place in their order: percentiles of numbers. Its state is a
// list a group.
type standing[T any] struct {
	bag     bag[T]
	typ     arrow.DataType
	list    *arrow.ListType
	read    func(arrow.Array) []T
	kind    keyKind
	pick    *picker
	disk    runs
	spilled []int // values of each group on disk
	rank    ranker
}

// rankedBound is the bound function whose values are ranked; false if those of type t are none that standing holds.
func rankedBound(result arrow.Field, t arrow.DataType, arg int, pick *picker) (Bound, bool) {
	list := listType(t)
	b := Bound{Result: result, State: []arrow.Field{{Type: list}}, Inputs: []Input{{Arg: arg}}, Ranked: pick.ranked(t)}
	kind := keyKindOf(t)
	switch w := col.Width(t); {
	case t.ID() == arrow.BOOL || col.IsVar(t):
	case t.ID() == arrow.DECIMAL128:
		b.New = newRanked(t, list, kind, pick, func(a arrow.Array) [][2]uint64 { return col.Pairs(col.Words16(a)) })
	case w == 1:
		b.New = newRanked(t, list, kind, pick, col.Fixed[uint8])
	case w == 2:
		b.New = newRanked(t, list, kind, pick, col.Fixed[uint16])
	case w == 4:
		b.New = newRanked(t, list, kind, pick, col.Fixed[uint32])
	case w == 8:
		b.New = newRanked(t, list, kind, pick, col.Fixed[uint64])
	}
	return b, b.New != nil
}

func newRanked[T any](t arrow.DataType, list *arrow.ListType, kind keyKind, pick *picker, read func(arrow.Array) []T) func(memory.Allocator) Accumulator {
	return func(memory.Allocator) Accumulator {
		return &standing[T]{typ: t, list: list, read: read, kind: kind, pick: pick}
	}
}

func (r *standing[T]) Update(groups []uint32, n int, args []arrow.Array) error {
	r.bag.grow(n)
	if valid, _ := col.Valid(args[0]); valid == nil && args[0].DataType().ID() != arrow.NULL {
		return r.bag.add(groups, r.read(args[0]))
	}
	buf := rowNumbers.Get().(*[]int32)
	defer rowNumbers.Put(buf)
	*buf = every(*buf, len(groups))
	rows := present(*buf, args[0])
	if len(rows) == 0 {
		return nil
	}
	return r.bag.addRows(groups, r.read(args[0]), rows)
}

func (r *standing[T]) Merge(groups []uint32, n int, state []arrow.Array) error {
	of, elems := listed(state[0], groups, 1)
	defer releaseAll(elems)
	if len(of) == 0 {
		r.bag.grow(n)
		return nil
	}
	return r.Update(of, n, elems)
}

// Absorb implements Absorber.
func (r *standing[T]) Absorb(groups []uint32, n int, from Accumulator) bool {
	o, ok := from.(*standing[T])
	if !ok || o.disk.file != nil {
		return false
	}
	r.bag.grow(n)
	return r.bag.take(&o.bag, groups)
}

func (r *standing[T]) State() ([]arrow.Array, error) {
	if r.bag.n > math.MaxInt32 {
		return nil, errHugeGroups
	}
	var v T
	off := make([]int32, len(r.bag.ends)+1)
	data := make([]byte, r.bag.n*int(unsafe.Sizeof(v)))
	all := unsafe.Slice((*T)(unsafe.Pointer(unsafe.SliceData(data))), r.bag.n)
	for g := range r.bag.ends {
		off[g+1] = off[g] + int32(r.bag.count(g))
		r.bag.copyTo(all[off[g]:off[g+1]], g)
	}
	return []arrow.Array{listOf(r.list, off, nil, col.NewSized(r.typ, r.bag.n, data, nil))}, nil
}

// Spills implements Spiller.
func (r *standing[T]) Spills() bool { return true }

// Spill implements Spiller.
func (r *standing[T]) Spill(dir string) error {
	if err := r.disk.open(dir, false); err != nil {
		return err
	}
	r.spilled = col.Grow(r.spilled, len(r.bag.ends))
	err := r.disk.add(func(to put) error {
		var key []byte
		for g := range r.bag.ends {
			if r.spilled[g] += r.bag.count(g); r.bag.count(g) == 0 {
				continue
			}
			keys, narrow := keysOfGroup(&r.bag, g, r.kind, r.rank.all[:0])
			if r.rank.all = keys; narrow {
				slices.Sort(keys)
				for _, k := range keys {
					key = r.kind.bytes(key[:0], k)
					to(uint32(g), key, 1)
				}
				continue
			}
			words := wordsOf(&r.bag, g)
			slices.SortFunc(words, func(x, y [2]uint64) int { return btoi(wordsLess(y, x)) - btoi(wordsLess(x, y)) })
			for _, w := range words {
				key = wordKey(key[:0], w)
				to(uint32(g), key, 1)
			}
		}
		return nil
	})
	n := len(r.bag.ends)
	r.bag, r.rank = bag[T]{}, ranker{}
	r.bag.grow(n)
	return err
}

// chosen has the values that are wanted: group g's are at[g] of h, -1 for none.
type chosen struct {
	h  held
	n  []int // values of each group
	at [][2]int32
}

func (c *chosen) put(g, k int, key []byte) {
	c.at[g][k] = int32(c.h.n)
	c.h.addKey(key)
}

func newChosen(t arrow.DataType, n []int) *chosen {
	c := &chosen{h: newHeld(t), n: n, at: make([][2]int32, len(n))}
	for g := range c.at {
		c.at[g] = [2]int32{-1, -1}
	}
	return c
}

// pickMerged chooses of values on disk, of which group g has n[g].
func (p *picker) pickMerged(disk *runs, t arrow.DataType, n []int) (*chosen, error) {
	c := newChosen(t, n)
	if p.at == nil { // a share that is null chooses none
		return c, nil
	}
	ahead := make([]int, len(n)) // values before the one that is wanted
	for g := range n {
		if n[g] > 0 {
			ahead[g], _ = p.at(n[g])
		}
	}
	err := disk.merge(disk.runs, func(g uint32, key []byte, _ int64) {
		if k := -ahead[g]; k == 0 || k == 1 {
			c.put(int(g), k, key)
		}
		ahead[g]--
	})
	return c, err
}

func (r *standing[T]) Result(mem memory.Allocator) (arrow.Array, error) {
	if r.disk.file != nil {
		if err := r.Spill(""); err != nil { // the rest: the file is there
			return nil, err
		}
		c, err := r.pick.pickMerged(&r.disk, r.typ, r.spilled)
		if err != nil {
			return nil, err
		}
		return r.pick.of(mem, c)
	}
	n := make([]int, len(r.bag.ends))
	c := newChosen(r.typ, n)
	var key []byte
	for g := range n {
		if n[g] = r.bag.count(g); n[g] == 0 || r.pick.at == nil {
			continue
		}
		i, next := r.pick.at(n[g])
		if v, narrow := choose(&r.rank, &r.bag, r.kind, g, i, next); narrow {
			for k := range 1 + btoi(next) {
				key = r.kind.bytes(key[:0], v[k])
				c.put(g, k, key)
			}
			continue
		}
		w := wordsOf(&r.bag, g)
		nth(w, i, wordsLess)
		if c.put(g, 0, wordKey(key[:0], w[i])); next {
			c.put(g, 1, wordKey(key[:0], least(w[i+1:], wordsLess)))
		}
	}
	return r.pick.of(mem, c)
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

func (r *standing[T]) Size() int64 {
	return r.bag.size() + 8*int64(cap(r.spilled)) + r.rank.size() + 64
}

func (r *standing[T]) Reset() {
	r.disk.close()
	r.bag.reset()
	r.spilled = reset(r.spilled)
}

func (r *standing[T]) Release() {
	r.disk.close()
	r.bag, r.rank, r.spilled = bag[T]{}, ranker{}, nil
}

// wordsOf are the values of group g, decimals, as they came.
func wordsOf[T any](b *bag[T], g int) [][2]uint64 {
	out := make([][2]uint64, 0, b.count(g))
	b.each(g, func(v []T) { out = append(out, any(v).([][2]uint64)...) })
	return out
}

func wordsLess(x, y [2]uint64) bool {
	return int64(x[1]) < int64(y[1]) || x[1] == y[1] && x[0] < y[0]
}

// wordKey is held.key of a decimal.
func wordKey(dst []byte, w [2]uint64) []byte {
	dst = binary.BigEndian.AppendUint64(dst, w[1]^1<<63)
	return binary.BigEndian.AppendUint64(dst, w[0])
}
