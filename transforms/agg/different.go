package agg

import (
	"fmt"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/memory"

	"github.com/sluice-data/sluice/transforms/internal/col"
	"github.com/sluice-data/sluice/transforms/internal/take"
)

// bindDifferent is f(DISTINCT x): the different values of the arguments that are no constants, of each group once, go to f at the end, in
// ascending order of the first, or in that of an ORDER BY.
func bindDifferent(f Func, c Call) (Bound, error) {
	var args []int
	for i, a := range c.Args {
		if a.Const == nil {
			args = append(args, i)
		}
	}
	if len(args) != 1 {
		return Bound{}, fmt.Errorf("%s(DISTINCT …) takes one column, not %d", f.Name, len(args))
	}
	arg := c.Args[args[0]]
	var desc, nullsFirst bool
	switch {
	case c.Within || len(c.Order) > 1:
		return Bound{}, fmt.Errorf("%s(DISTINCT …) takes no order but that of its argument", f.Name)
	case len(c.Order) == 1 && c.Order[0].Arg != args[0]:
		return Bound{}, fmt.Errorf("%s(DISTINCT x ORDER BY y): y must be x, since a value that comes again has several y", f.Name)
	case len(c.Order) == 1:
		desc, nullsFirst = c.Order[0].Desc, c.Order[0].NullsFirst
	}
	inner := c
	inner.Distinct, inner.Order = false, nil
	in, err := f.Bind(inner)
	if err != nil {
		return Bound{}, err
	}
	consts := make([]arrow.Array, len(c.Args))
	for i, a := range c.Args {
		consts[i] = a.Const
	}
	plan, err := newPairPlan(arg.Type)
	if err != nil {
		return Bound{}, unfit(f.Name+"(DISTINCT)", arg.Field, "values that can be compared for equality")
	}
	list := listType(arg.Type)
	return Bound{Result: in.Result, State: []arrow.Field{{Type: list}}, Inputs: []Input{{Arg: args[0]}}, New: func(mem memory.Allocator) Accumulator {
		return &different{in: in, arg: args[0], consts: consts, list: list, desc: desc, nullsFirst: nullsFirst, tally: newTally(plan, arg.Type), spills: sorts(arg.Type) && foldable(in)}
	}}, nil
}

// foldable reports whether an accumulator of in takes any number of values in whatever order within bounded memory, or can have them on disk.
func foldable(in Bound) bool {
	for _, i := range in.Inputs {
		if i.Place {
			return false
		}
	}
	acc := in.New(memory.DefaultAllocator)
	defer acc.Release()
	if s, ok := acc.(Spiller); ok {
		return s.Spills()
	}
	for _, s := range in.State {
		if arrow.IsNested(s.Type.ID()) {
			return false
		}
	}
	return true
}

// different is the different values of each group, and what to do with them.
type different struct {
	tally
	in               Bound
	arg              int
	consts           []arrow.Array // the arguments that are constants, a row each
	list             *arrow.ListType
	desc, nullsFirst bool
	spills           bool
	dir              string // where values are on disk
	null             []bool // groups that had a null among values that are on disk
}

func (d *different) Update(groups []uint32, n int, args []arrow.Array) error {
	return d.add(groups, n, args[0], nil)
}

func (d *different) Merge(groups []uint32, n int, state []arrow.Array) error {
	of, elems := listed(state[0], groups, 1)
	defer releaseAll(elems)
	if len(of) == 0 {
		return d.add(nil, n, nil, nil)
	}
	return d.add(of, n, elems[0], nil)
}

func (d *different) State() ([]arrow.Array, error) {
	v, err := d.values(true)
	if err != nil {
		return nil, err
	}
	values, err := v.held.take(memory.DefaultAllocator, v.rows)
	if err != nil {
		return nil, err
	}
	return []arrow.Array{listOf(d.list, v.off, nil, values)}, nil
}

// inputs are the columns that the function's accumulator takes, of values, owned by the caller: these, their places, and constants as often as there are values.
func (d *different) inputs(values arrow.Array) (args []arrow.Array, err error) {
	n := values.Len()
	for _, in := range d.in.Inputs {
		a := values
		switch {
		case in.Place:
			at := make([]int64, n)
			for i := range at {
				at[i] = int64(i)
			}
			a = col.New(int64s, at, nil)
		case in.Arg != d.arg:
			if a, err = take.Array(d.consts[in.Arg], make([]int32, n), memory.DefaultAllocator); err != nil {
				return args, err
			}
		default:
			a.Retain()
		}
		args = append(args, a)
	}
	return args, nil
}

// Spills implements Spiller.
func (d *different) Spills() bool { return d.spills }

// Spill implements Spiller.
func (d *different) Spill(dir string) error {
	v, err := d.values(true)
	if err != nil {
		return err
	}
	d.dir, d.null = dir, col.Grow(d.null, d.n)
	for g := range d.n {
		for _, r := range v.rows[v.off[g]:v.off[g+1]] {
			if v.held.has[r] == 0 {
				d.null[g] = true
			}
		}
	}
	return d.tally.Spill(dir)
}

// batchBytes is the bytes of texts from which no more are handed on together.
const batchBytes = 1 << 20

// innerLimit is the bytes from which the values of an accumulator of different values go to disk again.
const innerLimit = 4 << 20

// folded is Result where values are on disk.
func (d *different) folded(mem memory.Allocator) (arrow.Array, error) {
	acc := d.in.New(mem)
	defer acc.Release()
	batch := newHeld(d.typ)
	var of []uint32
	flush := func() error {
		values, err := batch.take(memory.DefaultAllocator, every(nil, batch.n))
		if err != nil {
			return err
		}
		defer values.Release()
		args, err := d.inputs(values)
		defer releaseAll(args)
		if err != nil {
			return err
		}
		if err := acc.Update(of, d.n, args); err != nil {
			return err
		}
		batch.reset()
		of = of[:0]
		if s, ok := acc.(Spiller); ok && acc.Size() > innerLimit {
			return s.Spill(d.dir)
		}
		return nil
	}
	dir := d.dir
	if err := d.Spill(dir); err != nil {
		return nil, err
	}
	var failed error
	err := d.disk.merge(d.disk.runs, func(g uint32, key []byte, _ int64) {
		if failed != nil {
			return
		}
		batch.addKey(key)
		if of = append(of, g); len(of) == window || len(batch.data) > batchBytes {
			failed = flush()
		}
	})
	if err == nil {
		err = failed
	}
	if err == nil {
		for g, null := range d.null {
			if null {
				batch.addNull()
				of = append(of, uint32(g))
			}
		}
		err = flush()
	}
	if err != nil {
		return nil, err
	}
	return acc.Result(mem)
}

func (d *different) Result(mem memory.Allocator) (arrow.Array, error) {
	if d.disk.file != nil {
		return d.folded(mem)
	}
	v, err := d.values(true)
	if err != nil {
		return nil, err
	}
	order := v.held.order()
	if order != nil {
		sortGroups(v.off, v.rows, func(i, j int32) int {
			c := int(v.held.has[j]) - int(v.held.has[i]) // nulls last
			if c != 0 && d.nullsFirst {
				return -c
			}
			if c == 0 && v.held.has[i] != 0 {
				if c = order(i, j); d.desc {
					return -c
				}
			}
			return c
		})
	}
	values, err := v.held.take(memory.DefaultAllocator, v.rows)
	if err != nil {
		return nil, err
	}
	defer values.Release()
	groups := make([]uint32, 0, len(v.rows))
	for g := range d.n {
		for range v.off[g+1] - v.off[g] {
			groups = append(groups, uint32(g))
		}
	}
	acc := d.in.New(mem)
	defer acc.Release()
	args, err := d.inputs(values)
	defer releaseAll(args)
	if err != nil {
		return nil, err
	}
	if err := acc.Update(groups, d.n, args); err != nil {
		return nil, err
	}
	return acc.Result(mem)
}

func (d *different) Size() int64 { return d.tally.Size() + int64(cap(d.null)) }

func (d *different) Reset() {
	d.tally.Reset()
	d.null = reset(d.null)
}

func (d *different) Release() {
	d.tally.Release()
	d.null = nil
}
