package agg

import (
	"bytes"
	"cmp"
	"math"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/bitutil"
	"github.com/apache/arrow/go/v17/arrow/memory"

	"github.com/sluice-data/sluice/internal/fail"
	"github.com/sluice-data/sluice/transforms/internal/col"
)

// extremeBool is min or max of bool: false < true.
type extremeBool struct {
	want    int
	v, seen []uint8
}

func (e *extremeBool) Update(groups []uint32, n int, args []arrow.Array) error {
	e.v, e.seen = col.Grow(e.v, n), col.Grow(e.seen, n)
	bits, bo := col.Bits(args[0])
	valid, vo := col.Valid(args[0])
	for i, g := range groups {
		if valid != nil && bitutil.BitIsNotSet(valid, vo+i) {
			continue
		}
		x := bits[(bo+i)>>3] >> uint((bo+i)&7) & 1
		if e.seen[g] == 0 || cmp.Compare(x, e.v[g]) == e.want {
			e.v[g], e.seen[g] = x, 1
		}
	}
	return nil
}

func (e *extremeBool) Merge(groups []uint32, n int, state []arrow.Array) error {
	return e.Update(groups, n, state)
}

func (e *extremeBool) Result(mem memory.Allocator) (arrow.Array, error) {
	return col.CopyBool(mem, e.v, e.seen), nil
}

func (e *extremeBool) State() ([]arrow.Array, error) {
	return []arrow.Array{col.NewBool(e.v, e.seen)}, nil
}
func (e *extremeBool) Size() int64 { return int64(cap(e.v) + cap(e.seen)) }
func (e *extremeBool) Release()    { e.v, e.seen = nil, nil }
func (e *extremeBool) Reset()      { e.v, e.seen = reset(e.v), reset(e.seen) }

// extremeDecimal is min or max of decimal128 values, two words a group.
type extremeDecimal struct {
	typ  arrow.DataType
	want int
	w    []uint64
	seen []uint8
}

func (e *extremeDecimal) Update(groups []uint32, n int, args []arrow.Array) error {
	e.w, e.seen = col.Grow(e.w, 2*n), col.Grow(e.seen, n)
	v := col.Words16(args[0])
	valid, off := col.Valid(args[0])
	for i, g := range groups {
		if valid != nil && bitutil.BitIsNotSet(valid, off+i) {
			continue
		}
		lo, hi, p := v[2*i], v[2*i+1], e.w[2*g:2*g+2]
		c := cmp.Compare(int64(hi), int64(p[1]))
		if c == 0 {
			c = cmp.Compare(lo, p[0])
		}
		if c == e.want || e.seen[g] == 0 {
			p[0], p[1], e.seen[g] = lo, hi, 1
		}
	}
	return nil
}

func (e *extremeDecimal) Merge(groups []uint32, n int, state []arrow.Array) error {
	return e.Update(groups, n, state)
}

func (e *extremeDecimal) Result(mem memory.Allocator) (arrow.Array, error) {
	return col.CopySized(mem, e.typ, len(e.seen), arrow.GetBytes(e.w[:2*len(e.seen)]), e.seen), nil
}

func (e *extremeDecimal) State() ([]arrow.Array, error) {
	return []arrow.Array{col.NewSized(e.typ, len(e.seen), arrow.GetBytes(e.w[:2*len(e.seen)]), e.seen)}, nil
}
func (e *extremeDecimal) Size() int64 { return int64(cap(e.w))*8 + int64(cap(e.seen)) }
func (e *extremeDecimal) Release()    { e.w, e.seen = nil, nil }
func (e *extremeDecimal) Reset()      { e.w, e.seen = reset(e.w), reset(e.seen) }

// extremeText is min or max of strings or binary, compared by bytes. Values lie in one arena; a better one overwrites the old in place
// where it fits, and the arena is packed anew when half of it is dead.
type extremeText struct {
	typ   arrow.DataType
	want  int
	at    []int    // of the group's value in the arena
	n     []uint32 // its length
	room  []uint32 // bytes it may use there
	seen  []uint8
	arena []byte
	live  int // sum of room
}

func (e *extremeText) Update(groups []uint32, n int, args []arrow.Array) error {
	e.at, e.n, e.room, e.seen = col.Grow(e.at, n), col.Grow(e.n, n), col.Grow(e.room, n), col.Grow(e.seen, n)
	off, data, ok := col.Var(args[0])
	if !ok {
		return errHuge
	}
	valid, vo := col.Valid(args[0])
	for i, g := range groups {
		if valid != nil && bitutil.BitIsNotSet(valid, vo+i) {
			continue
		}
		x := data[off[i]:off[i+1]]
		if e.seen[g] == 0 || bytes.Compare(x, e.value(g)) == e.want {
			e.set(g, x)
		}
	}
	if len(e.arena) > 1<<16 && len(e.arena) > 2*e.live {
		e.pack()
	}
	return nil
}

func (e *extremeText) value(g uint32) []byte { return e.arena[e.at[g] : e.at[g]+int(e.n[g])] }

func (e *extremeText) set(g uint32, x []byte) {
	e.seen[g], e.n[g] = 1, uint32(len(x))
	if len(x) <= int(e.room[g]) {
		copy(e.arena[e.at[g]:], x)
		return
	}
	e.live += len(x) - int(e.room[g])
	e.at[g], e.room[g] = len(e.arena), uint32(len(x))
	e.arena = append(e.arena, x...)
}

func (e *extremeText) pack() {
	arena := make([]byte, 0, e.live+e.live/4)
	for g := range e.at {
		v := e.value(uint32(g))
		e.at[g], e.room[g] = len(arena), e.n[g]
		arena = append(arena, v...)
	}
	e.arena, e.live = arena, len(arena)
}

func (e *extremeText) Merge(groups []uint32, n int, state []arrow.Array) error {
	return e.Update(groups, n, state)
}

var errHuge = fail.Newf(fail.Usage, "aggregate: more than 2 GiB of text in one column of a batch: with a smaller --memory-limit batches are smaller")

func (e *extremeText) Result(mem memory.Allocator) (arrow.Array, error) {
	total := 0
	for _, n := range e.n {
		if total += int(n); total > math.MaxInt32 {
			return nil, errHuge
		}
	}
	ob, off := col.Make[int32](mem, len(e.at)+1)
	db, data := col.Make[uint8](mem, total)
	at := 0
	for g := range e.at {
		at += copy(data[at:], e.value(uint32(g)))
		off[g+1] = int32(at)
	}
	return col.OfVar(mem, e.typ, len(e.at), ob, db, e.seen), nil
}

func (e *extremeText) State() ([]arrow.Array, error) {
	a, err := e.Result(memory.DefaultAllocator)
	if err != nil {
		return nil, err
	}
	return []arrow.Array{a}, nil
}

func (e *extremeText) Size() int64 {
	return int64(cap(e.at))*8 + int64(cap(e.n)+cap(e.room))*4 + int64(cap(e.seen)+cap(e.arena))
}
func (e *extremeText) Release() { *e = extremeText{typ: e.typ, want: e.want} }

func (e *extremeText) Reset() {
	e.at, e.n, e.room, e.seen = reset(e.at), reset(e.n), reset(e.room), reset(e.seen)
	e.arena, e.live = e.arena[:0], 0
}
