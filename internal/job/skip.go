package job

import (
	"github.com/sluice-data/sluice/internal/expr"
	"github.com/sluice-data/sluice/internal/fail"
	"github.com/sluice-data/sluice/internal/spec"
	"github.com/sluice-data/sluice/pipeline"
	"github.com/sluice-data/sluice/sources"
)

// settle ends the binding of a source that reads just what the plan needs; columns are those declared for it, steps its own as the file has them, and bound
// those of the segment or branch that takes its rows.
func (b *binder) settle(src pipeline.Source, columns []spec.Column, steps []spec.Step, bound []pipeline.Step) error {
	if r, ok := src.(sources.Refuser); ok {
		if err := r.Refused(); err != nil {
			return err
		}
	}
	return b.skip(src, columns, steps, bound)
}

// skip tells the source which rows the filters at the head of the pipeline drop, as far as it can know without reading them.
// Checks come before filters and reject rows, and so does a filter that raises errors: what is behind them is not looked at.
func (b *binder) skip(source pipeline.Source, columns []spec.Column, specs []spec.Step, steps []pipeline.Step) error {
	src, ok := source.(sources.Skipper)
	if !ok {
		return nil
	}
	for _, c := range columns {
		if len(c.Checks) > 0 {
			return nil
		}
	}
	var filters []sources.Filter
	for i, s := range specs {
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
		pruner, err := expr.NewPruner(cond, source.Schema(), b.env.Expr)
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
