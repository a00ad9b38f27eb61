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
		Name: "select",
		Doc: "Gives the columns named, in that order, and no others: a mapping of new names to SQL expressions over the incoming columns, or a list whose items are names, " +
			"such mappings, and \"*\" for all incoming columns, which {\"*\": {exclude: [a, b]}} gives without some.",
		Example: "- select: {id: trip_id, total: fare + tip}",
		Bind:    bindSelect,
	})
}

func bindSelect(env Env, n *spec.Node, in *arrow.Schema) (Bound, error) {
	s := selectBinder{env: env, in: in, p: &projection{name: "select"}, seen: names{}}
	if n.IsMap() {
		if err := s.mapping(n); err != nil {
			return Bound{}, err
		}
	} else {
		items, err := n.List()
		if err != nil {
			return Bound{}, n.Errorf("select wants a list of columns or a mapping (name: expression)")
		}
		for _, it := range items {
			if err := s.item(it); err != nil {
				return Bound{}, err
			}
		}
	}
	if len(s.p.cols) == 0 {
		return Bound{}, n.Errorf("select needs at least one column")
	}
	return s.p.bound(in, s.says), nil
}

// selectBinder reads the arguments of a select step.
type selectBinder struct {
	env  Env
	in   *arrow.Schema
	p    *projection
	seen names
	says []string // for explain
}

// name takes the name of a column of the result, which must be new.
func (s *selectBinder) name(at *spec.Node, name string) error {
	if s.seen[name] {
		return at.Errorf("column %q is selected twice", name)
	}
	s.seen.add(name)
	return nil
}

func (s *selectBinder) item(it *spec.Node) error {
	if it.IsMap() {
		return s.mapping(it)
	}
	name, err := it.Str()
	if err != nil {
		return err
	}
	if name == "*" && len(s.in.FieldIndices(name)) == 0 {
		return s.star(it, nil)
	}
	i, err := lookup(it, s.in, name)
	if err != nil {
		return err
	}
	if err := s.name(it, name); err != nil {
		return err
	}
	s.p.copy(s.in, i, name)
	s.p.names = append(s.p.names, name)
	s.says = append(s.says, name)
	return nil
}

func (s *selectBinder) mapping(n *spec.Node) error {
	entries, err := n.Map()
	if err != nil {
		return err
	}
	for _, e := range entries {
		if e.Key == "*" && e.Value.IsMap() {
			if _, err := e.Value.Map("exclude"); err != nil {
				return err
			}
			if err := s.star(e.At, e.Value.Get("exclude")); err != nil {
				return err
			}
			continue
		}
		prog, err := compile(s.env, e.Value, s.in)
		if err != nil {
			return err
		}
		if err := s.name(e.At, e.Key); err != nil {
			return err
		}
		if i, ok := prog.Column(); ok {
			s.p.copy(s.in, i, e.Key)
			s.p.names = append(s.p.names, s.in.Field(i).Name)
		} else {
			f := prog.Field()
			f.Name = e.Key
			s.p.cols = append(s.p.cols, projected{field: f, prog: prog, uses: prog.Columns()})
		}
		if e.Key == prog.Source() {
			s.says = append(s.says, e.Key)
		} else {
			s.says = append(s.says, e.Key+" = "+prog.Source())
		}
	}
	return nil
}

// star takes all columns but those that exclude, nil for none, lists.
func (s *selectBinder) star(at, exclude *spec.Node) error {
	out, say := names{}, "*"
	if exclude != nil {
		items, err := exclude.List()
		if err != nil {
			return err
		}
		var list []string
		for _, it := range items {
			name, err := it.Str()
			if err != nil {
				return err
			}
			i, err := lookup(it, s.in, name)
			if err != nil {
				return err
			}
			out.add(s.in.Field(i).Name)
			s.p.names = append(s.p.names, s.in.Field(i).Name)
			list = append(list, name)
		}
		say += " except " + strings.Join(list, ", ")
	}
	for i, f := range s.in.Fields() {
		if out[f.Name] {
			continue
		}
		if err := s.name(at, f.Name); err != nil {
			return err
		}
		s.p.copy(s.in, i, f.Name)
	}
	s.says = append(s.says, say)
	return nil
}

// projection gives columns of the incoming record, in another order or under other names, and computed ones. select, rename, drop and
// either side of a union are projections.
type projection struct {
	name   string
	cols   []projected
	names  []string // incoming columns that the step speaks of: they must be there when it is bound again to the columns needed
	schema *arrow.Schema
	// The expressions, and what evaluates them, in the order of cols.
	together *expr.Group
}

// projected is a column: what prog or from makes, or the incoming one at index.
type projected struct {
	field arrow.Field
	index int
	prog  *expr.Program
	from  compute
	uses  []string
}

func (c projected) computed() bool { return c.prog != nil || c.from != nil }

// copy adds column i of in under a name.
func (p *projection) copy(in *arrow.Schema, i int, name string) {
	f := in.Field(i)
	uses := []string{f.Name}
	f.Name = name
	p.cols = append(p.cols, projected{field: f, index: i, uses: uses})
}

func (p *projection) bound(in *arrow.Schema, says []string) Bound {
	return p.boundAs(in, p.name+" "+strings.Join(says, ", "))
}

func (p *projection) boundAs(in *arrow.Schema, explain string) Bound {
	fields := make([]arrow.Field, len(p.cols))
	var progs []*expr.Program
	for i, c := range p.cols {
		fields[i] = c.field
		if c.prog != nil {
			progs = append(progs, c.prog)
		}
	}
	p.together = expr.Together(progs...)
	md := in.Metadata()
	p.schema = arrow.NewSchema(fields, &md)
	return Bound{Step: p, Explain: explain, Needs: func(out map[string]bool) map[string]bool {
		need, kept := names{}, false
		need.add(p.names...)
		for _, c := range p.cols {
			if out == nil || out[c.field.Name] || c.computed() {
				need.add(c.uses...)
				kept = true
			}
		}
		for i := 0; i < len(p.cols) && !kept; i++ { // bound again, there must be a column to give
			need.add(p.cols[i].uses...)
			kept = len(p.cols[i].uses) > 0
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
	made, failed, err := s.p.together.Eval(b.Rec, s.mem)
	if err != nil {
		return pipeline.Batch{}, err
	}
	cols := make([]arrow.Array, 0, len(s.p.cols))
	defer func() {
		for _, c := range append(cols, made...) {
			c.Release()
		}
	}()
	var bad refusals
	for _, c := range s.p.cols {
		if !c.computed() {
			a := b.Rec.Column(c.index)
			a.Retain()
			cols = append(cols, a)
			continue
		}
		if c.prog != nil {
			bad.add(c.field.Name, failed[0])
			cols = append(cols, made[0])
			made, failed = made[1:], failed[1:]
			continue
		}
		a, errs, err := c.from(b.Rec, s.mem)
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
