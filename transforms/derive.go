package transforms

import (
	"context"
	"slices"
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
		s = d.add(s, f, p)
		says = append(says, e.Key+" = "+p.Source())
	}
	return d.bound("derive " + strings.Join(says, ", ")), nil
}

// compute makes a column of a record; the caller owns it.
type compute func(rec arrow.Record, mem memory.Allocator) (arrow.Array, []expr.RowError, error)

// derive computes columns one after the other; cast is another case of it.
type derive struct {
	name   string
	steps  []derived
	rounds []round
	schema *arrow.Schema // with all columns
	out    view          // of that
}

// derived is one computed column.
type derived struct {
	name   string
	at     int  // of the column in schema
	fresh  bool // not in the place of another, which must be there for the order of the columns
	from   compute
	prog   *expr.Program // instead of from
	uses   []string
	schema *arrow.Schema // with the column
}

// round is steps that use nothing of each other.
type round struct {
	steps    []derived
	together *expr.Group // of their programs; nil for one that has none
}

// add appends a column that is computed by an expression to the plan and gives the schema with it.
func (d *derive) add(s *arrow.Schema, f arrow.Field, p *expr.Program) *arrow.Schema {
	out := d.addFrom(s, f, nil, p.Columns())
	d.steps[len(d.steps)-1].prog = p
	return out
}

// addFrom is add for what no expression computes.
func (d *derive) addFrom(s *arrow.Schema, f arrow.Field, from compute, uses []string) *arrow.Schema {
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
	d.steps = append(d.steps, derived{name: f.Name, at: at, fresh: at == s.NumFields(), from: from, uses: uses, schema: d.schema})
	return d.schema
}

func (d *derive) bound(explain string) Bound {
	d.out = everything(d.schema)
	d.plan()
	return d.narrowed(explain)
}

// plan makes rounds of the steps: expressions behind each other are evaluated together until one uses a column that another computes.
func (d *derive) plan() {
	var made names
	for _, st := range d.steps {
		last := len(d.rounds) - 1
		if st.prog == nil || last < 0 || d.rounds[last].steps[0].prog == nil || slices.ContainsFunc(st.uses, func(n string) bool { return made[n] }) || made[st.name] {
			d.rounds = append(d.rounds, round{})
			last, made = last+1, names{}
		}
		d.rounds[last].steps = append(d.rounds[last].steps, st)
		made.add(st.name)
	}
	for i := range d.rounds {
		r := &d.rounds[i]
		if r.steps[0].prog == nil {
			continue
		}
		var progs []*expr.Program
		for _, st := range r.steps {
			progs = append(progs, st.prog)
		}
		r.together = expr.Together(progs...)
	}
}

// of computes the round's columns of rec; the caller owns them.
func (r round) of(rec arrow.Record, mem memory.Allocator) ([]arrow.Array, [][]expr.RowError, error) {
	if r.together != nil {
		return r.together.Eval(rec, mem)
	}
	a, errs, err := r.steps[0].from(rec, mem)
	if err != nil {
		return nil, nil, err
	}
	return []arrow.Array{a}, [][]expr.RowError{errs}, nil
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
	for _, r := range s.d.rounds {
		made, errs, err := r.of(rec, s.mem)
		if err != nil {
			return pipeline.Batch{}, err
		}
		schema := r.steps[len(r.steps)-1].schema
		cols := make([]arrow.Array, schema.NumFields())
		copy(cols, rec.Columns())
		for i, st := range r.steps {
			bad.add(st.name, errs[i])
			cols[st.at] = made[i]
		}
		next := array.NewRecord(schema, cols, rec.NumRows())
		for _, a := range made {
			a.Release()
		}
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
