package transforms

import (
	"context"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/memory"

	"github.com/sluice-data/sluice/internal/fail"
	"github.com/sluice-data/sluice/pipeline"
	"github.com/sluice-data/sluice/transforms/internal/extsort"
	"github.com/sluice-data/sluice/transforms/internal/orderkey"
	"github.com/sluice-data/sluice/transforms/internal/take"
)

// sorted is the fold of a step that brings rows in an order and gives them back.
type sorted struct {
	name  string
	parts []*keyPart
	out   view
	s     *extsort.Sorter
}

// newSorted plans the sort of out's columns by the parts of the key.
func newSorted(env Env, name string, parts []*keyPart, out view) (*sorted, error) {
	f := &sorted{name: name, parts: parts, out: out}
	cfg := extsort.Config{Step: name, Schema: out.schema, Budget: env.MemoryBudget, TempDir: env.TempDir}
	for _, k := range parts {
		p, err := orderkey.New(k.cols)
		if err != nil {
			return nil, err
		}
		cfg.Keys = append(cfg.Keys, p)
	}
	var err error
	f.s, err = extsort.New(cfg)
	return f, err
}

func (f *sorted) Name() string          { return f.name }
func (f *sorted) Schema() *arrow.Schema { return f.out.schema }

// NewPartial makes the state of one lane.
func (f *sorted) NewPartial(mem memory.Allocator) (pipeline.Partial, error) {
	return f.partial(mem), nil
}

func (f *sorted) partial(mem memory.Allocator) *sortedPartial {
	return &sortedPartial{f: f, mem: mem, lane: f.s.NewLane(mem)}
}

// Drain brings the lanes' rows in order.
func (f *sorted) Drain(ctx context.Context, mem memory.Allocator, parts []pipeline.Partial) (pipeline.Drain, error) {
	lanes, err := lanesOf(f.name, parts, func(p *sortedPartial) *extsort.Lane { return p.lane })
	if err != nil {
		return nil, err
	}
	d, err := f.s.Drain(ctx, mem, lanes, nil)
	if err != nil {
		return nil, err
	}
	return d, nil
}

// lanesOf takes what a step needs out of its partials, which are closed if one is not the step's.
func lanesOf[P pipeline.Partial, L any](name string, parts []pipeline.Partial, of func(P) L) ([]L, error) {
	out := make([]L, 0, len(parts))
	for _, p := range parts {
		mine, ok := p.(P)
		if !ok {
			for _, p := range parts {
				p.Close()
			}
			return nil, fail.Newf(fail.Internal, "%s: a partial of another step: %T", name, p)
		}
		out = append(out, of(mine))
	}
	return out, nil
}

// sortedPartial is one lane of a sorted.
type sortedPartial struct {
	f    *sorted
	mem  memory.Allocator
	lane *extsort.Lane
}

func (p *sortedPartial) Begin(number int64) { p.lane.Begin(number) }
func (p *sortedPartial) Rows() int64        { return p.lane.Rows() }
func (p *sortedPartial) Close()             { p.lane.Close() }

func (p *sortedPartial) Add(ctx context.Context, b pipeline.Batch, rej *pipeline.Rejects) error {
	rows, err := evalKeys(p.f.parts, p.f.out, b, p.mem, rej)
	if err != nil {
		return err
	}
	defer rows.release()
	return p.lane.Add(ctx, rows.by, rows.rec.Columns(), rows.n)
}

// keyed is the rows of a batch with the columns of their keys.
type keyed struct {
	by  [][]arrow.Array
	rec arrow.Record
	n   int
}

// evalKeys computes the parts of the rows' keys, rejects the rows for which that fails, and gives the others with out's columns. The caller
// releases the result.
func evalKeys(parts []*keyPart, out view, b pipeline.Batch, mem memory.Allocator, rej *pipeline.Rejects) (k *keyed, err error) {
	k = &keyed{n: int(b.Rec.NumRows()), rec: out.of(b.Rec)}
	defer func() {
		if err != nil {
			k.release()
		}
	}()
	var bad refusals
	for _, part := range parts {
		var cols []arrow.Array
		for _, p := range part.progs {
			c, errs, err := p.Eval(b.Rec, mem)
			if err != nil {
				k.by = append(k.by, cols)
				return k, err
			}
			bad.add("", errs)
			cols = append(cols, c)
		}
		k.by = append(k.by, cols)
	}
	if left := bad.reject(b, k.n, rej); left != nil {
		return k, k.only(left, mem)
	}
	return k, nil
}

// only leaves the rows idx.
func (k *keyed) only(idx []int32, mem memory.Allocator) error {
	if len(idx) == k.n {
		return nil
	}
	k.n = len(idx)
	for _, cols := range k.by {
		if err := takeAll(cols, idx, mem); err != nil {
			return err
		}
	}
	rec, err := take.Record(k.rec, idx, mem)
	if err != nil {
		return err
	}
	k.rec.Release()
	k.rec = rec
	return nil
}

func (k *keyed) release() {
	for _, cols := range k.by {
		for _, c := range cols {
			c.Release()
		}
	}
	k.rec.Release()
}
