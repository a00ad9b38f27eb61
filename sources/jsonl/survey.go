package jsonl

import (
	"context"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/memory"

	"github.com/sluice-data/sluice/internal/fail"
	"github.com/sluice-data/sluice/sources"
)

// survey infers all columns of the inputs, and reads the wanted ones as the run would, to see whether they take the values: a date is a string to inference.
func survey(ctx context.Context, req sources.Request) (sources.Survey, error) {
	in := newInference()
	in.wanted = map[string]*wanted{}
	for _, c := range req.Schema.Columns {
		col, err := newColumn(memory.DefaultAllocator, c.Field, c.Format, c.TZ, false, 1)
		if err != nil {
			return sources.Survey{}, fail.Wrap(fail.Usage, err)
		}
		in.wanted[c.Field.Name] = &wanted{col: col}
	}
	if _, _, err := in.read(ctx, req); err != nil {
		return sources.Survey{}, err
	}
	out := sources.Survey{Nothing: in.records == 0}
	for _, f := range in.root.fields() {
		w := in.wanted[f.Name]
		out.Columns = append(out.Columns, sources.Seen{Field: f, Fits: w != nil && !w.misfit, Decimal: in.root.sub[f.Name].decimal()})
	}
	return out, nil
}

// decimal is the least decimal type that holds every value, nil if there is none.
func (sh *shape) decimal() arrow.DataType {
	if sh.saw != sawNumber || sh.text || sh.ints+sh.frac > 38 {
		return nil
	}
	return &arrow.Decimal128Type{Precision: int32(max(sh.ints+sh.frac, 1)), Scale: int32(sh.frac)}
}

// wanted is a column that reads values only to see whether it takes them.
type wanted struct {
	col    *column
	d      decoder
	misfit bool // it did not take one
}

// hold reads the value at i of a sound line into the column's first row, again and again.
func (w *wanted) hold(line []byte, i int) {
	if w.misfit {
		return
	}
	w.d.s.b = line
	w.col.reserve(1)
	w.misfit = w.d.value(w.col, 0, i, 1) < 0
	w.col.rollback(0)
	if w.misfit {
		w.col.free()
	}
}
