package transforms

import (
	"context"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/memory"

	"github.com/sluice-data/sluice/internal/expr"
	"github.com/sluice-data/sluice/internal/fail"
	"github.com/sluice-data/sluice/pipeline"
	"github.com/sluice-data/sluice/transforms/internal/col"
	"github.com/sluice-data/sluice/transforms/internal/group"
	"github.com/sluice-data/sluice/transforms/internal/orderkey"
)

// aggregate is the fold: expressions that make the columns which group.Fold takes. With several sets of keys, or windows that overlap, it
// gives each row to as many groups.
type aggregate struct {
	fold     *group.Fold
	out      *arrow.Schema
	progs    []*expr.Program
	together *expr.Group // of progs
	keys     []int       // of progs: the keys of by
	types    []arrow.DataType
	args     []argument
	sets     [][]bool // which of keys are in each set; nil for all in one
	window   *timeWindow
	copies   int // groups that a row is in
}

func (a *aggregate) Name() string          { return "aggregate" }
func (a *aggregate) Schema() *arrow.Schema { return a.out }
func (a *aggregate) TakesTurns()           {}

func (a *aggregate) NewPartial(mem memory.Allocator) (pipeline.Partial, error) {
	return a.newPartial(mem), nil
}

func (a *aggregate) newPartial(mem memory.Allocator) *aggregatePartial {
	return &aggregatePartial{a: a, mem: mem, lane: a.fold.NewLane(mem)}
}

func (a *aggregate) Drain(ctx context.Context, mem memory.Allocator, parts []pipeline.Partial) (pipeline.Drain, error) {
	mine := make([]*aggregatePartial, 0, len(parts))
	for _, p := range parts {
		m, ok := p.(*aggregatePartial)
		if !ok {
			for _, p := range parts {
				p.Close()
			}
			return nil, fail.Newf(fail.Internal, "aggregate: a partial of another step: %T", p)
		}
		mine = append(mine, m)
	}
	if len(mine) == 0 {
		mine = append(mine, a.newPartial(mem))
	}
	rows := int64(0)
	lanes := make([]*group.Lane, 0, len(mine))
	for _, p := range mine {
		rows += p.Rows()
		lanes = append(lanes, p.lane)
	}
	if rows == 0 {
		if err := a.seed(lanes[0]); err != nil {
			for _, l := range lanes {
				l.Close()
			}
			return nil, err
		}
	}
	d, err := a.fold.Drain(ctx, mem, lanes)
	if err != nil {
		return nil, err
	}
	if a.window != nil && a.window.gap > 0 {
		return &sessionDrain{Drain: d, a: a, mem: mem}, nil
	}
	if a.copies > 1 {
		return &copiesDrain{d, int64(a.copies)}, nil
	}
	return d, nil
}

// numbered is 1 where the last key is the number of a set.
func (a *aggregate) numbered() int {
	if a.sets == nil {
		return 0
	}
	return 1
}

// seed makes the groups that are there for no rows: those of sets without keys.
func (a *aggregate) seed(l *group.Lane) error {
	if a.window != nil {
		return nil
	}
	for i, set := range a.sets {
		empty := true
		for _, in := range set {
			empty = empty && !in
		}
		if !empty {
			continue
		}
		var cols []arrow.Array
		for _, t := range a.types[:len(a.types)-1] {
			cols = append(cols, array.MakeArrayOfNull(memory.DefaultAllocator, t, 1))
		}
		if err := l.Seed(append(cols, group.SetNumbers(a.types[len(a.types)-1], i, 1)), 1); err != nil {
			return err
		}
	}
	return nil
}

// copiesDrain counts each row once, however many groups it is in.
type copiesDrain struct {
	*group.Drain
	copies int64
}

func (d *copiesDrain) Rows() int64 { return each(d.Drain.Rows(), d.copies) }

// each is n, a sum of counts in which each row counts so often; -1, which no ledger takes, if that cannot be.
func each(n, copies int64) int64 {
	if n%copies != 0 {
		return -1
	}
	return n / copies
}

// aggregatePartial is one lane of an aggregate.
type aggregatePartial struct {
	a      *aggregate
	mem    memory.Allocator
	lane   *group.Lane
	next   int64         // the number of the next row in the order of the input
	places orderkey.Keys // scratch
}

// Begin is called before the rows of a chunk.
func (p *aggregatePartial) Begin(number int64) {
	p.next = number << 32
	p.lane.Begin(number)
}

func (p *aggregatePartial) Rows() int64 { return each(p.lane.Rows(), int64(p.a.copies)) }

func (p *aggregatePartial) Close() { p.lane.Close() }

func (p *aggregatePartial) Add(ctx context.Context, b pipeline.Batch, rej *pipeline.Rejects) error {
	n := int(b.Rec.NumRows())
	cols, errs, err := p.a.together.Eval(b.Rec, p.mem)
	if err != nil {
		return err
	}
	defer func() {
		for _, c := range cols {
			c.Release()
		}
	}()
	var bad refusals
	for i := range cols {
		column := ""
		for k, at := range p.a.keys {
			if at == i {
				column = p.a.fold.Schema().Field(k).Name
				break
			}
		}
		bad.add(column, errs[i])
	}
	if w := p.a.window; w != nil {
		bad = w.refuse(cols[w.on], bad)
	}
	if left := bad.reject(b, n, rej); left != nil {
		n = len(left)
		if err := takeAll(cols, left, p.mem); err != nil {
			return err
		}
	}
	args, err := p.arguments(cols, n)
	defer func() {
		for _, a := range args {
			a.Release()
		}
	}()
	if err != nil {
		return err
	}
	return p.groups(ctx, cols, args, n)
}

// refuse adds the rows that are in no window.
func (w *timeWindow) refuse(on arrow.Array, bad refusals) refusals {
	t := col.Fixed[int64](on)
	for i, v := range t {
		switch {
		case on.IsNull(i):
			bad = append(bad, refusal{row: i, reason: "no time: the row is in no window"})
		case v < -farthest || v > farthest:
			bad = append(bad, refusal{row: i, value: cell(on, i), reason: "time out of range of windows"})
		}
	}
	return bad
}

// arguments are the argument columns of n rows, owned by the caller, also on error.
func (p *aggregatePartial) arguments(cols []arrow.Array, n int) (args []arrow.Array, err error) {
	var rows []int64
	number := func() []int64 {
		if rows == nil {
			rows = make([]int64, n)
		}
		for i := range rows {
			rows[i] = p.next + int64(i)
		}
		return rows
	}
	for _, a := range p.a.args {
		var c arrow.Array
		switch {
		case a.place && len(a.by) == 0:
			c = col.New(arrow.PrimitiveTypes.Int64, number(), nil)
		case a.place:
			by := make([]arrow.Array, len(a.by))
			for i, k := range a.by {
				by[i] = cols[k]
			}
			p.places.Reset()
			if err = a.order.NewEncoder().Encode(by, n, &p.places); err != nil {
				return args, err
			}
			if c, err = p.places.Binary(number()); err != nil {
				return args, err
			}
		case a.nulls:
			c = presence(cols[a.prog])
		default:
			c = cols[a.prog]
			c.Retain()
		}
		args = append(args, c)
	}
	p.next += int64(n)
	return args, nil
}

// groups gives n rows to each of their groups.
func (p *aggregatePartial) groups(ctx context.Context, cols, args []arrow.Array, n int) error {
	keys := make([]arrow.Array, len(p.a.types)-p.a.numbered())
	for i, k := range p.a.keys {
		keys[i] = cols[k]
	}
	hops, at := 1, len(p.a.keys)
	var start []int64
	w := p.a.window
	if w != nil && w.gap == 0 {
		hops = int(w.size / w.every)
		start = make([]int64, n)
		for i, t := range col.Fixed[int64](cols[w.on]) {
			start[i] = w.start(t)
		}
	}
	for hop := range hops {
		if start != nil {
			if hop > 0 {
				for i := range start {
					start[i] -= w.every
				}
			}
			c := col.New(p.a.types[at], start, nil) // lent: Add keeps nothing
			keys[at] = c
			defer c.Release()
		}
		if err := p.lane.Add(ctx, keys, args, n); err != nil {
			return err
		}
	}
	return nil
}
