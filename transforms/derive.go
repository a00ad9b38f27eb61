package transforms

import (
	"context"
	"strings"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/memory"

	"github.com/sluice-data/sluice/internal/expr"
	"github.com/sluice-data/sluice/internal/spec"
	"github.com/sluice-data/sluice/pipeline"
)

func init() {
	Register(Def{
		Name: "derive",
		Doc: "Computes columns by SQL expressions, in the order written: a later one may use an earlier one. A new name is added at the end, an existing " +
			"column is replaced in its place. A row for which an expression fails (overflow, division by zero, a cast that would lose something) is rejected.",
		Example: "- derive: {total: fare + tip, tip_pct: \"tip / nullif(fare, 0)\"}",
		Bind:    bindDerive,
	})
}

func bindDerive(env Env, n *spec.Node, in *arrow.Schema) (Bound, error) {
	entries, err := n.Map()
	if err != nil {
		return Bound{}, err
	}
	if len(entries) == 0 {
		return Bound{}, n.Errorf("derive needs at least one column: {name: expression}")
	}
	d := &derive{name: "derive"}
	var says []string
	s := in
	for _, e := range entries {
		p, err := compile(env, e.Value, s)
		if err != nil {
			return Bound{}, err
		}
		f := p.Field()
		f.Name = e.Key
		s = d.add(s, f, evaluate(p), p.Columns())
		says = append(says, e.Key+" = "+p.Source())
	}
	return d.bound("derive " + strings.Join(says, ", ")), nil
}

// compute makes a column of a record; the caller owns it.
type compute func(rec arrow.Record, mem memory.Allocator) (arrow.Array, []expr.RowError, error)

func evaluate(p *expr.Program) compute { return p.Eval }

// derive computes columns one after the other; cast is another case of it.
type derive struct {
	name   string
	steps  []derived
	schema *arrow.Schema // with all columns
	out    view          // of that
}

// derived is one computed column.
type derived struct {
	name   string
	at     int  // of the column in schema
	fresh  bool // not in the place of another, which must be there for the order of the columns
	from   compute
	uses   []string
	schema *arrow.Schema // with the column
}

// add appends a computed column to the plan and gives the schema with it.
func (d *derive) add(s *arrow.Schema, f arrow.Field, from compute, uses []string) *arrow.Schema {
	fields := append([]arrow.Field(nil), s.Fields()...)
	at := len(fields)
	if idx := s.FieldIndices(f.Name); len(idx) > 0 {
		at = idx[0]
		fields[at] = f
	} else {
		fields = append(fields, f)
	}
	md := s.Metadata()
	d.schema = arrow.NewSchema(fields, &md)
	d.steps = append(d.steps, derived{f.Name, at, at == s.NumFields(), from, uses, d.schema})
	return d.schema
}

func (d *derive) bound(explain string) Bound {
	d.out = everything(d.schema)
	return d.narrowed(explain)
}

func (d *derive) narrowed(explain string) Bound {
	narrow := func(keep map[string]bool) Bound {
		n := *d
		n.out = d.out.narrow(keep)
		return n.narrowed(explain)
	}
	return Bound{Step: d, Explain: explain, Narrow: narrow, Needs: func(out map[string]bool) map[string]bool {
		if out == nil {
			out = setOf(d.schema)
		}
		need := make(names, len(out))
		for n := range out {
			need.add(n)
		}
		// Every expression runs, needed or not: it may reject rows.
		for i := len(d.steps) - 1; i >= 0; i-- {
			if d.steps[i].fresh {
				delete(need, d.steps[i].name)
			}
			need.add(d.steps[i].uses...)
		}
		return need
	}}
}

func (d *derive) Name() string          { return d.name }
func (d *derive) Schema() *arrow.Schema { return d.out.schema }
func (d *derive) NewStage(mem memory.Allocator) (pipeline.Stage, error) {
	return &deriveStage{d, mem}, nil
}

type deriveStage struct {
	d   *derive
	mem memory.Allocator
}

func (s *deriveStage) Apply(_ context.Context, b pipeline.Batch, rej *pipeline.Rejects) (pipeline.Batch, error) {
	rec := b.Rec
	rec.Retain()
	defer func() { rec.Release() }()
	var bad refusals
	for _, st := range s.d.steps {
		a, errs, err := st.from(rec, s.mem)
		if err != nil {
			return pipeline.Batch{}, err
		}
		bad.add(st.name, errs)
		cols := make([]arrow.Array, st.schema.NumFields())
		copy(cols, rec.Columns())
		cols[st.at] = a
		next := array.NewRecord(st.schema, cols, rec.NumRows())
		a.Release()
		rec.Release()
		rec = next
	}
	out := s.d.out.of(rec)
	rec.Release()
	rec = out
	if left := bad.reject(b, int(rec.NumRows()), rej); left != nil {
		return keep(b, rec, left, s.mem)
	}
	rec.Retain()
	return with(b, rec), nil
}

func (s *deriveStage) Close() {}
