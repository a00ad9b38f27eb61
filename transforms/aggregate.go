package transforms

import (
	"context"
	"slices"
	"strings"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/memory"

	"github.com/sluice-data/sluice/internal/expr"
	"github.com/sluice-data/sluice/internal/fail"
	"github.com/sluice-data/sluice/internal/spec"
	"github.com/sluice-data/sluice/pipeline"
	"github.com/sluice-data/sluice/transforms/agg"
	"github.com/sluice-data/sluice/transforms/internal/group"
)

func init() {
	Register(Def{
		Name: "aggregate",
		Doc: "Groups rows by columns (by: a list of names, or a mapping of names to SQL expressions) and computes measures over each group: name: function(expression). " +
			"Nulls are a group of their own, so are NaNs. Without by there is one group of all rows, which is there for no rows too. " +
			"Groups that do not fit the memory limit go to disk. Groups come in the order first seen while they are few, and in no particular order beyond that.",
		Example: "- aggregate: {by: [zone], measures: {trips: count(*), revenue: sum(fare + tip), riders: count(distinct trip_id)}}",
		Bind:    bindAggregate,
	})
}

func bindAggregate(env Env, n *spec.Node, in *arrow.Schema) (Bound, error) {
	if _, err := n.Map("by", "measures"); err != nil {
		return Bound{}, err
	}
	b := aggregateBinder{env: env, in: in, seen: names{}, a: &aggregate{}}
	b.cfg.Budget, b.cfg.TempDir = env.MemoryBudget, env.TempDir
	if err := b.by(n.Get("by")); err != nil {
		return Bound{}, err
	}
	if err := b.measures(n.Get("measures")); err != nil {
		return Bound{}, err
	}
	if len(b.cfg.Keys)+len(b.cfg.Measures) == 0 {
		return Bound{}, n.Errorf("aggregate needs by or measures: {by: [column], measures: {name: function(column)}}")
	}
	var err error
	if b.a.fold, err = group.New(b.cfg); err != nil {
		return Bound{}, n.Errorf("aggregate by: %w", err)
	}
	need := names{}
	for _, e := range slices.Concat(b.a.keys, b.a.args) {
		need.add(e.Columns()...)
	}
	explain := "aggregate"
	if len(b.keyed) > 0 {
		explain += " by " + strings.Join(b.keyed, ", ")
	}
	if len(b.measured) > 0 {
		explain += ": " + strings.Join(b.measured, ", ")
	}
	return Bound{Fold: b.a, Explain: explain, Needs: func(map[string]bool) map[string]bool { return need }}, nil
}

// aggregateBinder reads the arguments of an aggregate step.
type aggregateBinder struct {
	env             Env
	in              *arrow.Schema
	cfg             group.Config
	a               *aggregate
	seen            names
	keyed, measured []string // for explain
}

// name takes the name of a result column, which must be new.
func (b *aggregateBinder) name(at *spec.Node, name string) error {
	if b.seen[name] {
		return at.Errorf("aggregate gives two columns called %q", name)
	}
	b.seen.add(name)
	return nil
}

func (b *aggregateBinder) by(n *spec.Node) error {
	switch {
	case n == nil:
		return nil
	case n.IsMap():
		entries, err := n.Map()
		if err != nil {
			return err
		}
		for _, e := range entries {
			p, err := compile(b.env, e.Value, b.in)
			if err != nil {
				return err
			}
			if err := b.key(e.At, e.Key, p); err != nil {
				return err
			}
			if said := e.Key + " = " + p.Source(); e.Key != p.Source() {
				b.keyed = append(b.keyed, said)
			} else {
				b.keyed = append(b.keyed, e.Key)
			}
		}
		return nil
	}
	items, err := n.List()
	if err != nil {
		return n.Errorf("by wants a list of columns or a mapping (name: expression)")
	}
	for _, it := range items {
		name, err := it.Str()
		if err != nil {
			return err
		}
		if _, err := lookup(it, b.in, name); err != nil {
			return err
		}
		p, err := expr.Compile(quoteName(name), b.in, b.env.Expr)
		if err != nil {
			return it.Errorf("%w", err)
		}
		if err := b.key(it, name, p); err != nil {
			return err
		}
		b.keyed = append(b.keyed, name)
	}
	return nil
}

func (b *aggregateBinder) key(at *spec.Node, name string, p *expr.Program) error {
	if err := b.name(at, name); err != nil {
		return err
	}
	f := p.Field()
	f.Name = name
	if !group.Groupable(f.Type) {
		return at.Errorf("aggregate by %q: values of type %s cannot be grouped", name, f.Type)
	}
	b.cfg.Keys = append(b.cfg.Keys, f)
	b.a.keys = append(b.a.keys, p)
	return nil
}

func (b *aggregateBinder) measures(n *spec.Node) error {
	if n == nil {
		return nil
	}
	entries, err := n.Map()
	if err != nil {
		return err
	}
	for _, e := range entries {
		if err := b.name(e.At, e.Key); err != nil {
			return err
		}
		m, err := b.measure(e.Value)
		if err != nil {
			return err
		}
		m.Field = m.Bound.Result
		m.Field.Name = e.Key
		b.cfg.Measures = append(b.cfg.Measures, m)
		b.measured = append(b.measured, e.Key+" = "+m.Text)
	}
	return nil
}

func (b *aggregateBinder) measure(n *spec.Node) (m group.Measure, err error) {
	if m.Text, err = n.Str(); err != nil {
		return m, err
	}
	call, err := expr.ParseCall(m.Text)
	if err != nil {
		return m, placed(n, 0, err)
	}
	fn, ok := agg.Lookup(call.Name)
	if !ok {
		known := agg.Names()
		tip := hint(call.Name, known)
		if tip == "" {
			tip = ": use one of " + strings.Join(known, ", ")
		}
		return m, n.ErrorAt(call.Pos, "unknown aggregate function %q%s", call.Name, tip)
	}
	if call.Star && call.Name != "count" {
		return m, n.ErrorAt(call.Pos, "%s(*) has no meaning: name a column", call.Name)
	}
	var fields []arrow.Field
	for _, a := range call.Args {
		p, err := expr.Compile(a.Source, b.in, b.env.Expr)
		if err != nil {
			return m, placed(n, a.Pos, err)
		}
		f := p.Field()
		fields = append(fields, f)
		// count(x) looks at nulls only: that is less to carry around, and there for types that cannot be.
		nulls := call.Name == "count" && !call.Distinct
		m.Args = append(m.Args, b.arg(p, nulls))
	}
	if m.Bound, err = fn.Bind(fields, call.Distinct); err != nil {
		return m, n.ErrorAt(call.Pos, "%w", err)
	}
	m.CountAll = call.Name == "count" && call.Star
	return m, nil
}

// arg is the number of the argument column that p computes, of which only the nulls are used if nulls is set.
func (b *aggregateBinder) arg(p *expr.Program, nulls bool) int {
	for i, q := range b.a.args {
		if q.Source() == p.Source() && b.a.nulls[i] == nulls {
			return i
		}
	}
	t := p.Field().Type
	if nulls {
		t = arrow.FixedWidthTypes.Boolean
	}
	b.a.args, b.a.nulls = append(b.a.args, p), append(b.a.nulls, nulls)
	b.cfg.Args = append(b.cfg.Args, t)
	return len(b.a.args) - 1
}

// aggregate is the fold: expressions that make the columns which group.Fold takes.
type aggregate struct {
	fold  *group.Fold
	keys  []*expr.Program
	args  []*expr.Program
	nulls []bool // of args: only whether it is null counts
}

func (a *aggregate) Name() string          { return "aggregate" }
func (a *aggregate) Schema() *arrow.Schema { return a.fold.Schema() }

func (a *aggregate) NewPartial(mem memory.Allocator) (pipeline.Partial, error) {
	return &aggregatePartial{a: a, mem: mem, lane: a.fold.NewLane(mem)}, nil
}

func (a *aggregate) Drain(_ context.Context, mem memory.Allocator, parts []pipeline.Partial) (pipeline.Drain, error) {
	lanes := make([]*group.Lane, 0, len(parts))
	for _, p := range parts {
		mine, ok := p.(*aggregatePartial)
		if !ok {
			for _, p := range parts {
				p.Close()
			}
			return nil, fail.Newf(fail.Internal, "aggregate: a partial of another step: %T", p)
		}
		lanes = append(lanes, mine.lane)
	}
	d, err := a.fold.Drain(mem, lanes)
	if err != nil {
		return nil, err
	}
	return d, nil
}

// aggregatePartial is one lane of an aggregate.
type aggregatePartial struct {
	a    *aggregate
	mem  memory.Allocator
	lane *group.Lane
}

func (p *aggregatePartial) Rows() int64 { return p.lane.Rows() }
func (p *aggregatePartial) Close()      { p.lane.Close() }

func (p *aggregatePartial) Add(ctx context.Context, b pipeline.Batch, rej *pipeline.Rejects) error {
	n := int(b.Rec.NumRows())
	var bad refusals
	var cols []arrow.Array
	defer func() {
		for _, c := range cols {
			c.Release()
		}
	}()
	for i, q := range slices.Concat(p.a.keys, p.a.args) {
		c, errs, err := q.Eval(b.Rec, p.mem)
		if err != nil {
			return err
		}
		column := ""
		if i < len(p.a.keys) {
			column = p.a.Schema().Field(i).Name
		}
		bad.add(column, errs)
		cols = append(cols, c)
	}
	if left := bad.reject(b, n, rej); left != nil {
		n = len(left)
		if err := takeAll(cols, left, p.mem); err != nil {
			return err
		}
	}
	k := len(p.a.keys)
	args := slices.Clone(cols[k:])
	for i, nulls := range p.a.nulls {
		if nulls {
			args[i] = presence(args[i])
			defer args[i].Release()
		}
	}
	return p.lane.Add(ctx, cols[:k], args, n)
}
