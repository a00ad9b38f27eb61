package job

import (
	"github.com/sluice-data/sluice/internal/expr"
	"github.com/sluice-data/sluice/internal/fail"
	"github.com/sluice-data/sluice/pipeline"
	"github.com/sluice-data/sluice/sources"
)

// settle ends the binding of a plan whose source reads just what the plan needs.
func (b *binder) settle(p *plan) error {
	if r, ok := p.source.(sources.Refuser); ok {
		if err := r.Refused(); err != nil {
			return err
		}
	}
	return b.skip(p)
}

// skip tells the source which rows the filters at the head of the pipeline drop, as far as it can know without reading them.
// Checks come before filters and reject rows, and so does a filter that raises errors: what is behind them is not looked at.
func (b *binder) skip(p *plan) error {
	src, ok := p.source.(sources.Skipper)
	if !ok {
		return nil
	}
	for _, c := range b.pipe.Schema.Columns {
		if len(c.Checks) > 0 {
			return nil
		}
	}
	var filters []sources.Filter
	steps := p.segments[0].Steps
	for i, s := range b.pipe.Steps {
		if s.Name != "filter" || i >= len(steps) {
			break
		}
		if d, ok := steps[i].(pipeline.Dropper); !ok || d.Drops() != pipeline.Filtered {
			break
		}
		cond, err := s.Node.Str()
		if err != nil {
			return err
		}
		pruner, err := expr.NewPruner(cond, p.source.Schema(), b.env.Expr)
		if err != nil {
			return fail.Newf(fail.Internal, "filter %s: %w", cond, err)
		}
		if pruner == nil {
			break
		}
		filters = append(filters, sources.Filter{Step: i, Excludes: func(of func(string) (sources.Bounds, bool)) bool {
			return pruner.Excludes(func(column string) (expr.Bounds, bool) {
				known, ok := of(column)
				return expr.Bounds(known), ok
			})
		}})
	}
	src.Skip(filters)
	return nil
}
