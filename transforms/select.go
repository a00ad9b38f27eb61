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
		Name:    "select",
		Doc:     "Gives the columns named, in that order, and no others: a list of names, or a mapping of new names to SQL expressions over the incoming columns.",
		Example: "- select: {id: trip_id, total: fare + tip}",
		Bind:    bindSelect,
	})
}

func bindSelect(env Env, n *spec.Node, in *arrow.Schema) (Bound, error) {
	p := &projection{name: "select"}
	var says []string
	if n.IsMap() {
		entries, err := n.Map()
		if err != nil {
			return Bound{}, err
		}
		for _, e := range entries {
			prog, err := compile(env, e.Value, in)
			if err != nil {
				return Bound{}, err
			}
			f := prog.Field()
			f.Name = e.Key
			p.cols = append(p.cols, projected{field: f, prog: prog, uses: prog.Columns()})
			says = append(says, e.Key+" = "+prog.Source())
		}
	} else {
		items, err := n.List()
		if err != nil {
			return Bound{}, n.Errorf("select wants a list of columns or a mapping (name: expression)")
		}
		seen := names{}
		for _, it := range items {
			name, err := it.Str()
			if err != nil {
				return Bound{}, err
			}
			i, err := lookup(it, in, name)
			if err != nil {
				return Bound{}, err
			}
			if seen[name] {
				return Bound{}, it.Errorf("column %q is selected twice", name)
			}
			seen.add(name)
			p.copy(in, i, name)
			p.names = append(p.names, name)
		}
		says = p.names
	}
	if len(p.cols) == 0 {
		return Bound{}, n.Errorf("select needs at least one column")
	}
	return p.bound(in, says), nil
}

// projection gives columns of the incoming record, in another order or under other names, and computed ones. select, rename and
// drop are projections.
type projection struct {
	name   string
	cols   []projected
	names  []string // incoming columns that the step speaks of: they must be there when it is bound again to the columns needed
	schema *arrow.Schema
}

type projected struct {
	field arrow.Field
	index int           // of the incoming column, if prog is nil
	prog  *expr.Program // else what computes it
	uses  []string
}

// copy adds column i of in under a name.
func (p *projection) copy(in *arrow.Schema, i int, name string) {
	f := in.Field(i)
	uses := []string{f.Name}
	f.Name = name
	p.cols = append(p.cols, projected{field: f, index: i, uses: uses})
}

func (p *projection) bound(in *arrow.Schema, says []string) Bound {
	fields := make([]arrow.Field, len(p.cols))
	for i, c := range p.cols {
		fields[i] = c.field
	}
	md := in.Metadata()
	p.schema = arrow.NewSchema(fields, &md)
	return Bound{Step: p, Explain: p.name + " " + strings.Join(says, ", "), Needs: func(out map[string]bool) map[string]bool {
		need, kept := names{}, false
		need.add(p.names...)
		for _, c := range p.cols {
			if out == nil || out[c.field.Name] || c.prog != nil {
				need.add(c.uses...)
				kept = true
			}
		}
		if !kept { // bound again, there must be a column to give
			need.add(p.cols[0].uses...)
		}
		return need
	}}
}

func (p *projection) Name() string          { return p.name }
func (p *projection) Schema() *arrow.Schema { return p.schema }
func (p *projection) NewStage(mem memory.Allocator) (pipeline.Stage, error) {
	return &projectionStage{p, mem}, nil
}

type projectionStage struct {
	p   *projection
	mem memory.Allocator
}

func (s *projectionStage) Apply(_ context.Context, b pipeline.Batch, rej *pipeline.Rejects) (pipeline.Batch, error) {
	cols := make([]arrow.Array, 0, len(s.p.cols))
	defer func() {
		for _, c := range cols {
			c.Release()
		}
	}()
	var bad refusals
	for _, c := range s.p.cols {
		if c.prog == nil {
			a := b.Rec.Column(c.index)
			a.Retain()
			cols = append(cols, a)
			continue
		}
		a, errs, err := c.prog.Eval(b.Rec, s.mem)
		if err != nil {
			return pipeline.Batch{}, err
		}
		bad.add(c.field.Name, errs)
		cols = append(cols, a)
	}
	rec := array.NewRecord(s.p.schema, cols, b.Rec.NumRows())
	left := bad.reject(b, int(rec.NumRows()), rej)
	if left == nil {
		return with(b, rec), nil
	}
	defer rec.Release()
	return keep(b, rec, left, s.mem)
}

func (s *projectionStage) Close() {}
