package agg

import (
	"bytes"
	"container/heap"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/memory"

	"github.com/sluice-data/sluice/transforms/internal/col"
)

// counted is a tally whose result is made of the values that are not null and their counts. Its state is a list a group, of structs of a
// value and its count.
type counted struct {
	tally
	list   *arrow.ListType
	value  func(a arrow.Array) arrow.Array // what is counted, owned by the caller; nil for the argument as it is
	needs  frequent
	finish func(v *values, mem memory.Allocator) (arrow.Array, error)
}

// frequent is which of a group's values a result is made of: the n that come most often, of equally frequent ones the first in order, or
// the last. All with n 0.
type frequent struct {
	n    int
	last bool
}

// bindCounted binds a function of the counts of values of type t, which value makes of the argument.
func bindCounted(name string, arg arrow.Field, t arrow.DataType, result arrow.Field, inputs []Input, value func(arrow.Array) arrow.Array, needs frequent,
	finish func(v *values, mem memory.Allocator) (arrow.Array, error)) (Bound, error) {
	plan, err := newPairPlan(t)
	if err != nil {
		return Bound{}, unfit(name, arg, "values that can be compared for equality")
	}
	list := listType(t, int64s)
	return Bound{Result: result, State: []arrow.Field{{Type: list}}, Inputs: inputs, New: func(memory.Allocator) Accumulator {
		return &counted{tally: newTally(plan, t), list: list, value: value, needs: needs, finish: finish}
	}}, nil
}

func (c *counted) Update(groups []uint32, n int, args []arrow.Array) error {
	a := args[0]
	if c.value != nil {
		a = c.value(a)
		defer a.Release()
	}
	if a.DataType().ID() == arrow.NULL || a.NullN() == a.Len() {
		groups = nil
	}
	return c.add(groups, n, a, nil)
}

func (c *counted) Merge(groups []uint32, n int, state []arrow.Array) error {
	of, elems := listed(state[0], groups, 2)
	defer releaseAll(elems)
	if len(of) == 0 {
		return c.add(nil, n, nil, nil)
	}
	return c.add(of, n, elems[0], col.Fixed[int64](elems[1]))
}

func (c *counted) State() ([]arrow.Array, error) {
	v, err := c.values(false)
	if err != nil {
		return nil, err
	}
	a, err := v.held.take(memory.DefaultAllocator, v.rows)
	if err != nil {
		return nil, err
	}
	return []arrow.Array{listOf(c.list, v.off, nil, a, v.counts(v.rows))}, nil
}

// counts are those of rows, in that order.
func (v *values) counts(rows []int32) arrow.Array {
	n := make([]int64, len(rows))
	pickRows(n, v.count, rows)
	return col.New(int64s, n, nil)
}

func (c *counted) Result(mem memory.Allocator) (arrow.Array, error) {
	get := func() (*values, error) { return c.values(false) }
	if c.disk.file != nil {
		get = c.most
	}
	v, err := get()
	if err != nil {
		return nil, err
	}
	return c.finish(v, mem)
}

// Spills implements Spiller.
func (c *counted) Spills() bool { return c.needs.n > 0 && sorts(c.typ) }

// most is values of those that the result is made of, where they are on disk.
func (c *counted) most() (*values, error) {
	v := &values{held: newHeld(c.typ), off: make([]int32, c.n+1)}
	best := ranking{last: c.needs.last}
	group := uint32(0)
	settle := func() {
		for _, r := range best.of {
			v.held.addKey(r.key)
			v.count = append(v.count, r.times)
		}
		v.off[group+1] = int32(len(best.of))
		best.of = best.of[:0]
	}
	seq := 0
	if err := c.Spill(""); err != nil { // the rest: the file is there
		return nil, err
	}
	err := c.disk.merge(c.disk.runs, func(g uint32, key []byte, times int64) {
		if g != group {
			settle()
			group = g
		}
		seq++
		best.offer(c.needs.n, key, times, seq)
	})
	if err != nil {
		return nil, err
	}
	if c.n > 0 {
		settle()
	}
	for g := range c.n {
		v.off[g+1] += v.off[g]
	}
	v.rows = every(nil, v.held.n)
	return v, nil
}

// ranking is the best of a group's values so far, the worst of them first: a heap.
type ranking struct {
	of   []ranked
	last bool // of equally frequent ones the last is better
}

type ranked struct {
	key   []byte
	times int64
	seq   int
}

func (r *ranking) Len() int      { return len(r.of) }
func (r *ranking) Swap(i, j int) { r.of[i], r.of[j] = r.of[j], r.of[i] }
func (r *ranking) Less(i, j int) bool {
	a, b := r.of[i], r.of[j]
	if a.times != b.times {
		return a.times < b.times
	}
	return (a.seq > b.seq) != r.last
}
func (r *ranking) Push(x any) { r.of = append(r.of, x.(ranked)) }
func (r *ranking) Pop() any   { panic("values are replaced, not removed") }

// offer takes a value whose bytes are lent, if it is among the best n.
func (r *ranking) offer(n int, key []byte, times int64, seq int) {
	if len(r.of) < n {
		heap.Push(r, ranked{bytes.Clone(key), times, seq})
		return
	}
	if worst := r.of[0]; times > worst.times || times == worst.times && r.last {
		r.of[0] = ranked{append(worst.key[:0], key...), times, seq}
		heap.Fix(r, 0)
	}
}
