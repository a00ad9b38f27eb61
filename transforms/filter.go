package transforms

import (
	"context"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/memory"

	"github.com/sluice-data/sluice/internal/expr"
	"github.com/sluice-data/sluice/internal/spec"
	"github.com/sluice-data/sluice/pipeline"
)

func init() {
	Register(Def{
		Name:    "filter",
		Doc:     "Keeps the rows for which a condition is true, and drops those for which it is false or null, as SQL's WHERE does.",
		Example: "- filter: fare > 0 AND distance > 0",
		Bind:    bindFilter,
	})
}

func bindFilter(env Env, n *spec.Node, in *arrow.Schema) (Bound, error) {
	p, err := compileBool(env, n, in)
	if err != nil {
		return Bound{}, err
	}
	return (&filter{name: "filter", cond: p, out: everything(in)}).bound(), nil
}

type filter struct {
	name string // filter, or having of an aggregate
	cond *expr.Program
	out  view
}

func (f *filter) bound() Bound {
	return Bound{Step: f, Needs: also(f.cond.Columns()), Explain: f.name + " " + f.cond.Source(), Narrow: func(keep map[string]bool) Bound {
		return (&filter{f.name, f.cond, f.out.narrow(keep)}).bound()
	}}
}

func (f *filter) Name() string          { return f.name }
func (f *filter) Schema() *arrow.Schema { return f.out.schema }
func (f *filter) Drops() pipeline.Cause { return pipeline.Filtered }
func (f *filter) NewStage(mem memory.Allocator) (pipeline.Stage, error) {
	return &filterStage{f: f, mem: mem}, nil
}

type filterStage struct {
	f   *filter
	mem memory.Allocator
	idx []int32
}

func (s *filterStage) Apply(_ context.Context, b pipeline.Batch, rej *pipeline.Rejects) (pipeline.Batch, error) {
	cond, errs, err := s.f.cond.Eval(b.Rec, s.mem)
	if err != nil {
		return pipeline.Batch{}, err
	}
	defer cond.Release()
	if len(errs) > 0 {
		var bad refusals
		bad.add("", errs)
		bad.reject(b, cond.Len(), rej) // the condition is null there: the rows go as if filtered
	}
	s.idx = trueRows(s.idx[:0], cond)
	rec := s.f.out.of(b.Rec)
	defer rec.Release()
	return keep(b, rec, s.idx, s.mem)
}

func (s *filterStage) Close() {}
