package agg

import (
	"bytes"
	"fmt"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/memory"

	"github.com/sluice-data/sluice/transforms/internal/col"
	"github.com/sluice-data/sluice/transforms/internal/orderkey"
)

func init() {
	const state = "the value, null for none, and its place, null for no row"
	Register(Func{
		Name: "first",
		Doc: "first(x) is x of the first row in the order of the input, first(x ORDER BY y) of the first in that order and of several in the order of the input; null if x is null there, or for no rows. " +
			"first(x) FILTER (WHERE x IS NOT NULL) passes over nulls.",
		Example: "first(total)",
		State:   state,
		Ordered: true,
		bind: func(c Call) (Bound, error) {
			return bindBest("first", c, c.Order, false, nil)
		},
	})
	Register(Func{
		Name:    "last",
		Doc:     "last(x) is x of the last row in the order of the input, last(x ORDER BY y) of the last in that order; null if x is null there, or for no rows.",
		Example: "last(total)",
		State:   state,
		Ordered: true,
		bind: func(c Call) (Bound, error) {
			return bindBest("last", c, c.Order, true, nil)
		},
	})
	Register(Func{
		Name:    "any_value",
		Doc:     "any_value(x) is the first value in the order of the input that is not null; null if there are none.",
		Example: "any_value(total)",
		State:   state,
		bind:    func(c Call) (Bound, error) { return bindBest("any_value", c, nil, false, []int{0}) },
	})
	Register(Func{
		Name:    "arg_min",
		Aliases: []string{"min_by"},
		Doc:     "arg_min(x, y) is x of the row with the least y, of several the first in the order of the input, among those where neither is null; null if there are none.",
		Example: "arg_min(user_id, total)",
		State:   state,
		bind:    func(c Call) (Bound, error) { return bindArgBest("arg_min", c, false) },
	})
	Register(Func{
		Name:    "arg_max",
		Aliases: []string{"max_by"},
		Doc:     "arg_max(x, y) is x of the row with the greatest y, of several the first in the order of the input, among those where neither is null; null if there are none.",
		Example: "arg_max(user_id, total)",
		State:   state,
		bind:    func(c Call) (Bound, error) { return bindArgBest("arg_max", c, true) },
	})
}

func bindArgBest(name string, c Call, desc bool) (Bound, error) {
	if len(c.Args) != 2 {
		return Bound{}, fmt.Errorf("%s takes a value and what to order by, as in %s(x, y), not %d arguments", name, name, len(c.Args))
	}
	by := c.Args[1].Field
	if !orderkey.Orderable(by.Type) {
		return Bound{}, unfit(name, by, "a second argument of values that have an order")
	}
	b, err := bindBest(name, Call{Args: c.Args[:1]}, nil, false, []int{0, 2})
	b.State[1].Type = arrow.BinaryTypes.Binary
	if wordPlace(by.Type) {
		b.Inputs = []Input{{Arg: 0}, {Arg: 1}, {Place: true}}
		b.New = newBestWord(c.Args[0].Type, by.Type, desc, true, []int{0, 1})
		return b, err
	}
	b.Inputs = []Input{{Arg: 0}, {Place: true, By: []SortKey{{Arg: 1, Desc: desc}}}, {Arg: 1, Nulls: true}}
	b.New = newBest(c.Args[0].Type, arrow.BinaryTypes.Binary, false, []int{0, 2})
	return b, err
}

// bindBest is the value of the row with the first place by keys, or with the last; of rows in which none of the columns skip is null.
func bindBest(name string, c Call, keys []Key, last bool, skip []int) (Bound, error) {
	arg, err := one(name, c)
	if err != nil {
		return Bound{}, err
	}
	if !holds(arg.Type) {
		return Bound{}, unfit(name, arg, "values that are no lists or structs")
	}
	place, err := placeOf(name, c, keys)
	if err != nil {
		return Bound{}, err
	}
	t := place.Type(c)
	b := Bound{Result: like(arg), State: []arrow.Field{column(arg.Type), column(t)}, Inputs: []Input{{Arg: 0}, place}, New: newBest(arg.Type, t, last, skip)}
	if t == int64s {
		b.New = newBestWord(arg.Type, t, last, false, skip)
	}
	return b, nil
}

func newBest(value, place arrow.DataType, last bool, skip []int) func(memory.Allocator) Accumulator {
	return func(memory.Allocator) Accumulator {
		return &best{value: newHeld(value), place: newHeld(place), last: last, skip: skip}
	}
}

// best keeps one row of each group, by places that are bytes. One that is better goes behind those that are there; what is left of others is dropped when it is more
// than half.
type best struct {
	value, place held
	last         bool
	skip         []int
	at           []int32 // of a group's row in value and place, -1 for none
	win          []int32 // the batch's best row of each group that it betters
	mine         []int32 // by group: 1 + index in win, 0 while this batch has no better one
}

func (b *best) grow(n int) {
	old := len(b.at)
	b.at, b.mine = col.Grow(b.at, n), col.Grow(b.mine, n)
	for i := old; i < n; i++ {
		b.at[i] = -1
	}
}

func (b *best) Update(groups []uint32, n int, args []arrow.Array) error {
	b.grow(n)
	buf := rowNumbers.Get().(*[]int32)
	defer rowNumbers.Put(buf)
	*buf = every(*buf, len(groups))
	rows := *buf
	for _, s := range b.skip {
		rows = present(rows, args[s])
	}
	return b.offer(groups, rows, args[0], args[1])
}

// offer gives rows with their values and places.
func (b *best) offer(groups []uint32, rows []int32, value, place arrow.Array) error {
	if len(rows) == 0 {
		return nil
	}
	off, data, ok := col.Var(place)
	if !ok {
		return errHuge
	}
	of := func(i int32) []byte { return data[off[i]:off[i+1]] }
	better := func(i, j int32) bool { return bytes.Compare(of(i), of(j)) < 0 != b.last }                    // row i of the batch than row j
	beats := func(i, at int32) bool { return bytes.Compare(of(i), b.place.bytesOf(int(at))) < 0 != b.last } // than one that is held
	b.win = b.win[:0]
	for _, r := range rows {
		g := groups[r]
		switch k := b.mine[g]; {
		case k > 0:
			if better(r, b.win[k-1]) {
				b.win[k-1] = r
			}
		case b.at[g] < 0 || beats(r, b.at[g]):
			b.win = append(b.win, r)
			b.mine[g] = int32(len(b.win))
		}
	}
	at := b.value.n
	for i, r := range b.win {
		b.at[groups[r]], b.mine[groups[r]] = int32(at+i), 0
	}
	if err := b.value.add(value, b.win); err != nil {
		return err
	}
	if err := b.place.add(place, b.win); err != nil {
		return err
	}
	if b.value.stale(len(b.at)) {
		b.pack()
	}
	return nil
}

// pack drops the rows that others have bettered.
func (b *best) pack() {
	live := packed(b.at)
	b.value.keep(live)
	b.place.keep(live)
}

// packed is the indices in at that are none of -1, which become those in the result.
func packed(at []int32) []int32 {
	live := make([]int32, 0, len(at))
	for g, k := range at {
		if k >= 0 {
			at[g] = int32(len(live))
			live = append(live, k)
		}
	}
	return live
}

func (b *best) Merge(groups []uint32, n int, state []arrow.Array) error {
	b.grow(n)
	buf := rowNumbers.Get().(*[]int32)
	defer rowNumbers.Put(buf)
	*buf = every(*buf, len(groups))
	return b.offer(groups, present(*buf, state[1]), state[0], state[1])
}

func (b *best) State() ([]arrow.Array, error) {
	value, err := b.value.take(memory.DefaultAllocator, b.at)
	if err != nil {
		return nil, err
	}
	place, err := b.place.take(memory.DefaultAllocator, b.at)
	if err != nil {
		value.Release()
		return nil, err
	}
	return []arrow.Array{value, place}, nil
}

func (b *best) Result(mem memory.Allocator) (arrow.Array, error) { return b.value.take(mem, b.at) }

func (b *best) Size() int64 {
	return b.value.size() + b.place.size() + 4*int64(cap(b.at)+cap(b.mine)+cap(b.win)) + 64
}

func (b *best) Reset() {
	b.value.reset()
	b.place.reset()
	b.at, b.mine = b.at[:0], reset(b.mine)
}

func (b *best) Release() {
	b.value.drop()
	b.place.drop()
	b.at, b.mine, b.win = nil, nil, nil
}
