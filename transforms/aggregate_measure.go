package transforms

import (
	"fmt"
	"slices"
	"strings"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/memory"

	"github.com/sluice-data/sluice/internal/expr"
	"github.com/sluice-data/sluice/internal/spec"
	"github.com/sluice-data/sluice/transforms/agg"
	"github.com/sluice-data/sluice/transforms/internal/group"
	"github.com/sluice-data/sluice/transforms/internal/orderkey"
)

// measure is an expression over aggregate functions.
type measure struct {
	name    string
	at      *spec.Node // its text
	expr    *expr.Measure
	columns []string // of the groups: what holds the results of its calls
}

// called is the call of an aggregate function, which a column of the groups holds the results of.
type called struct {
	column string
	source string
	group.Measure
}

// IsAggregate reports whether name, in lower case, is a function of a group: one that aggregate takes as a measure.
func IsAggregate(name string) bool {
	_, ok := agg.Lookup(name)
	return ok || name == "grouping"
}

func init() { expr.Aggregate("grouping") }

func (b *aggregateBinder) measures(n *spec.Node) error {
	entries, err := n.Map()
	if err != nil {
		return err
	}
	for _, e := range entries {
		if err := b.name(e.At, e.Key); err != nil {
			return err
		}
		m, err := parseMeasure(e.Key, e.Value)
		if err != nil {
			return err
		}
		b.measured = append(b.measured, m)
	}
	// A measure that is one function gives its column the name, so that the others find it there.
	for _, alone := range []bool{true, false} {
		for i := range b.measured {
			if m := &b.measured[i]; m.expr.Lone() == alone {
				if err := b.resolve(m); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

func parseMeasure(name string, n *spec.Node) (m measure, err error) {
	src, err := n.Str()
	if err != nil {
		return m, err
	}
	m = measure{name: name, at: n}
	if m.expr, err = expr.ParseMeasure(src, IsAggregate); err != nil {
		return m, placed(n, 0, err)
	}
	return m, nil
}

// condition takes having.
func (b *aggregateBinder) condition(n *spec.Node) error {
	m, err := parseMeasure("", n)
	if err != nil {
		return err
	}
	b.having = &m
	return b.resolve(b.having)
}

// resolve finds or makes the columns that hold the results of m's calls.
func (b *aggregateBinder) resolve(m *measure) error {
	for _, c := range m.expr.Calls {
		column, err := b.columnOf(m, c)
		if err != nil {
			return err
		}
		m.columns = append(m.columns, column)
	}
	return nil
}

func (b *aggregateBinder) columnOf(m *measure, c *expr.Call) (string, error) {
	source := c.Source // as written: spaces may stand inside a string
	own := m.expr.Lone() && m.name != ""
	column := m.name
	if !own {
		for _, have := range b.calls {
			if have.source == source {
				return have.column, nil
			}
		}
		for column = source; b.seen[column]; column += "'" {
		}
		b.seen.add(column)
	}
	if c.Name == "grouping" {
		return column, b.grouping(m.at, c, column)
	}
	gm, err := b.call(m.at, c)
	if err != nil {
		return "", err
	}
	gm.Field = gm.Bound.Result
	gm.Field.Name = column
	b.calls = append(b.calls, called{column, source, gm})
	return column, nil
}

// call binds the call c, which stands in n.
func (b *aggregateBinder) call(n *spec.Node, c *expr.Call) (m group.Measure, err error) {
	fn, _ := agg.Lookup(c.Name)
	m.Text = strings.Join(strings.Fields(c.Source), " ")
	bound := agg.Call{Within: c.Within, Distinct: c.Distinct, Star: c.Star}
	var progs []int
	ops, err := operandsOf(b.env, n, b.in, c)
	if err != nil {
		return m, err
	}
	for _, a := range c.Args {
		p, err := ops.compile(a)
		if err != nil {
			return m, err
		}
		arg := agg.Arg{Field: p.Field()}
		if arg.Const, err = constantOf(p); err != nil {
			return m, n.ErrorAt(a.Pos, "%w", err)
		}
		bound.Args = append(bound.Args, arg)
		progs = append(progs, b.program(p))
	}
	for _, o := range c.Order {
		p, err := ops.compile(expr.Arg{Source: o.Source, Pos: o.Pos})
		if err != nil {
			return m, err
		}
		same := slices.IndexFunc(c.Args, func(a expr.Arg) bool { return strings.TrimSpace(a.Source) == strings.TrimSpace(o.Source) })
		bound.Order = append(bound.Order, agg.Key{Field: p.Field(), Desc: o.Desc, NullsFirst: o.NullsFirst, Arg: same})
		progs = append(progs, b.program(p))
	}
	if m.Bound, err = fn.Bind(bound); err != nil {
		return m, n.ErrorOver(c.Pos, len(c.Source), "%w", err)
	}
	for _, in := range m.Bound.Inputs {
		a := argument{nulls: in.Nulls, place: in.Place}
		if !in.Place {
			a.prog = progs[in.Arg]
		}
		for _, k := range in.By {
			a.by = append(a.by, progs[k.Arg])
			a.keys = append(a.keys, orderkey.Column{Type: bound.Field(k.Arg).Type, Nullable: true, Desc: k.Desc, NullsFirst: k.NullsFirst})
		}
		if len(a.keys) > 0 {
			if a.order, err = orderkey.New(a.keys); err != nil {
				return m, n.ErrorOver(c.Pos, len(c.Source), "%s: %w", c.Name, err)
			}
		}
		m.Args = append(m.Args, b.arg(a, in.Type(bound)))
	}
	if ops.cond != nil {
		m.Filter = 1 + b.arg(argument{prog: b.program(ops.cond)}, arrow.FixedWidthTypes.Boolean)
	}
	m.CountAll = fn.Name == "count" && c.Star && c.Filter == nil
	return m, nil
}

// constantOf is the value of an expression that uses no column, as an array of one row; nil for others.
func constantOf(p *expr.Program) (arrow.Array, error) {
	if len(p.Columns()) > 0 {
		return nil, nil
	}
	one := array.NewRecord(arrow.NewSchema(nil, nil), nil, 1)
	a, bad, err := p.Eval(one, memory.DefaultAllocator)
	if err == nil && len(bad) > 0 {
		err = fmt.Errorf("%s: %s", p.Source(), bad[0].Reason)
	}
	return a, err
}

// argument is a column for the fold: an expression, whether it is null, or the place of the row by others.
type argument struct {
	prog         int // of aggregate.progs
	nulls, place bool
	by           []int
	keys         []orderkey.Column
	order        *orderkey.Plan // of keys
}

// arg is the number of the argument column a, of type t.
func (b *aggregateBinder) arg(a argument, t arrow.DataType) int {
	for i, o := range b.a.args {
		if o.prog == a.prog && o.nulls == a.nulls && o.place == a.place && slices.Equal(o.by, a.by) && slices.EqualFunc(o.keys, a.keys, sameOrder) {
			return i
		}
	}
	b.a.args = append(b.a.args, a)
	b.cfg.Args = append(b.cfg.Args, t)
	return len(b.a.args) - 1
}

func sameOrder(a, b orderkey.Column) bool { return a.Desc == b.Desc && a.NullsFirst == b.NullsFirst }

// bound makes the fold, and the steps behind it that turn groups into the result.
func (b *aggregateBinder) bound(n *spec.Node) (Bound, error) {
	if err := b.fold(n); err != nil {
		return Bound{}, err
	}
	need := names{}
	for _, p := range b.a.progs {
		need.add(p.Columns()...)
	}
	explain := "aggregate"
	if len(b.keyed) > 0 {
		explain += " by " + strings.Join(b.keyed, ", ")
	}
	var says []string
	for _, c := range b.calls {
		if c.column == c.source {
			says = append(says, c.source)
		} else {
			says = append(says, c.column+" = "+c.source)
		}
	}
	if len(says) > 0 {
		explain += ": " + strings.Join(says, ", ")
	}
	then, err := b.then(n)
	return Bound{Fold: b.a, Then: then, Explain: explain, Needs: func(map[string]bool) map[string]bool { return need }}, err
}

// then are the steps behind the fold: what is told from the set of keys or the start of a window, having, and what is computed from
// several functions. There are none where the groups are the result.
func (b *aggregateBinder) then(n *spec.Node) (out []Bound, err error) {
	s := b.a.Schema()
	d := &derive{name: "aggregate"}
	var says []string
	add := func(name string, p *expr.Program) {
		f := p.Field()
		f.Name = name
		s = d.add(s, f, p)
		says = append(says, name)
	}
	for _, g := range b.bits {
		p, err := expr.Compile(g.source(b.a.sets), s, b.env.Expr)
		if err != nil {
			return nil, n.Errorf("aggregate: %s: %w", g.column, err)
		}
		add(g.column, p)
	}
	if w := b.a.window; w != nil && w.gap == 0 {
		p, err := expr.Compile(fmt.Sprintf("%s + INTERVAL '%d days %d seconds %d microseconds'", windowStart, w.size/day, w.size%day/1e6, w.size%1e6), s, b.env.Expr)
		if err != nil {
			return nil, n.Errorf("aggregate: %s: %w", windowEnd, err)
		}
		add(windowEnd, p)
	}
	var keep *expr.Program
	late := false // having speaks of measures that are computed
	if b.having != nil {
		if keep, err = b.over(b.having, s); err != nil {
			late = slices.ContainsFunc(b.measured, func(m measure) bool { return !m.expr.Lone() })
			if !late {
				return nil, err
			}
		}
	}
	p := &projection{name: "aggregate"}
	if late {
		for i := range b.measured {
			if m := &b.measured[i]; !m.expr.Lone() {
				q, err := b.over(m, s)
				if err != nil {
					return nil, err
				}
				add(m.name, q)
			}
		}
		if keep, err = b.over(b.having, s); err != nil {
			return nil, err
		}
	}
	if len(d.steps) > 0 {
		out = append(out, d.bound("derive "+strings.Join(says, ", ")))
	}
	if keep != nil {
		if t := keep.Field(); t.Type.ID() != arrow.BOOL {
			return nil, b.having.at.Errorf("having wants a condition (true or false), %s is of type %s", keep.Source(), typeNameOf(t))
		}
		out = append(out, (&filter{name: "having", cond: keep, out: everything(s)}).bound())
	}
	result := b.result()
	same := len(result) == s.NumFields()
	var shown []string
	for i, name := range result {
		at := slices.IndexFunc(b.measured, func(m measure) bool { return m.name == name && !m.expr.Lone() && !late })
		if at < 0 {
			k := s.FieldIndices(name)[0]
			p.copy(s, k, name)
			same = same && k == i
			shown = append(shown, name)
			continue
		}
		q, err := b.over(&b.measured[at], s)
		if err != nil {
			return nil, err
		}
		f := q.Field()
		f.Name = name
		p.cols = append(p.cols, projected{field: f, prog: q, uses: q.Columns()})
		shown = append(shown, name+" = "+q.Source())
		same = false
	}
	if !same {
		out = append(out, p.boundAs(s, "select "+strings.Join(shown, ", ")))
	}
	for i := range out {
		out[i].Narrow = nil // each is bound to all that the one before it gives
	}
	return out, nil
}

// over compiles a measure over the groups.
func (b *aggregateBinder) over(m *measure, groups *arrow.Schema) (*expr.Program, error) {
	p, err := m.expr.Compile(m.columns, groups, b.in, b.env.Expr)
	if err != nil {
		return nil, placed(m.at, 0, err)
	}
	return p, nil
}

// result is the columns that the step gives, in order.
func (b *aggregateBinder) result() []string {
	var out []string
	for _, k := range b.cfg.Keys {
		if k.Name != windowStart && k.Name != setColumn {
			out = append(out, k.Name)
		}
	}
	if b.a.window != nil {
		out = append(out, windowStart, windowEnd)
	}
	for _, m := range b.measured {
		out = append(out, m.name)
	}
	return out
}
