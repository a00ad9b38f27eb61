package csv

import (
	"context"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/memory"

	"github.com/sluice-data/sluice/sources"
)

// survey infers all columns of the inputs, and reads the wanted ones as the run would, to see whether they take the values: 007 is text to inference, and an integer to a column of
// integers.
func survey(ctx context.Context, req sources.Request, tab bool) (sources.Survey, error) {
	s, err := newSource(req, tab)
	if err != nil {
		return sources.Survey{}, err
	}
	s.mode, s.wanted = sources.Infer, map[string]column{}
	for _, c := range req.Schema.Columns {
		p := plan{name: c.Field.Name}
		if err := p.declare(c); err != nil {
			return sources.Survey{}, err
		}
		if s.wanted[p.name], err = newColumn(&p, &s.nulls); err != nil {
			return sources.Survey{}, err
		}
	}
	found, err := s.find(ctx)
	if err != nil {
		return sources.Survey{}, err
	}
	out := sources.Survey{Nothing: len(found.order) == 0}
	for _, name := range found.order {
		w := found.wanted[name]
		out.Columns = append(out.Columns, sources.Seen{
			Field: arrow.Field{Name: name, Type: found.guesses[name].dataType(), Nullable: true},
			Fits:  w != nil && !w.misfit, Decimal: found.guesses[name].decimal(),
		})
	}
	return out, nil
}

// decimal is the least decimal type that gives every value back, nil if there is none.
func (g *guess) decimal() arrow.DataType {
	if !g.any || g.inexact || g.digits+g.scale > 38 || !g.only(kindInt, kindUint, kindBigInt, kindFloat, kindDecimal) {
		return nil
	}
	return &arrow.Decimal128Type{Precision: int32(max(g.digits+g.scale, 1)), Scale: int32(g.scale)}
}

// wanted is a column that reads values only to see whether it takes them.
type wanted struct {
	column
	misfit bool // it did not take one
}

// holds are the wanted columns of a survey, for one goroutine.
func (s *source) holds() map[string]*wanted {
	all := make(map[string]*wanted, len(s.wanted))
	for name, c := range s.wanted {
		all[name] = &wanted{column: c}
	}
	return all
}

// hold reads r's cells. Text that is not UTF-8 fits no other type any better.
func (w *wanted) hold(r *run) {
	if w == nil || w.misfit || w.plan.field.Type.ID() == arrow.STRING && !w.plan.json {
		return
	}
	w.reserve(memory.DefaultAllocator, r.n, pieceBytes)
	w.read(&w.column, r)
	w.drop()
	w.misfit, r.bad = len(r.bad) > 0, nil
}
