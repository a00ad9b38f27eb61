// Package query makes the steps of a pipeline of one SQL statement: SELECT … FROM input …. It knows clauses and names; what an expression means, and
// which columns there are, is found where the steps are bound, with the places of the statement.
package query

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/sluice-data/sluice/internal/expr"
	"github.com/sluice-data/sluice/internal/spec"
)

// Input is the name of the run's rows in FROM.
const Input = "input"

// Functions tells the functions that are no plain ones.
type Functions struct {
	Aggregate func(name string) bool // sum, count …
	Tables    []string               // the names under lookups:
	// Columns are those of the run's rows; nil while nobody knows them. GROUP BY of a name that is one of theirs means it, not a column of the result.
	Columns []string
}

// Steps are the steps that the statement, which is n's text, comes to. Errors are *fail.Error of kind Usage with the place in the pipeline file.
func Steps(n *spec.Node, fns Functions) ([]spec.Step, error) {
	text, err := n.Str()
	if err != nil {
		return nil, err
	}
	sel, err := expr.ParseSelect(text)
	if err != nil {
		return nil, placed(n, err)
	}
	l := &lowering{at: n, fns: fns, columns: fns.Columns}
	if err := l.query(sel, nil); err != nil {
		return nil, placed(n, err)
	}
	return l.steps, nil
}

// placed gives an error of the statement its place in the file.
func placed(n *spec.Node, err error) error {
	var e *expr.Error
	if errors.As(err, &e) {
		return n.ErrorOver(e.Pos, e.Len, "sql: %s", e.Msg)
	}
	return err
}

// wrong is a fault of the statement at a place.
func wrong(at expr.Place, msg string) error {
	return &expr.Error{Pos: at.Pos, Len: at.End - at.Pos, Msg: msg}
}

// lowering gathers the steps.
type lowering struct {
	at    *spec.Node
	fns   Functions
	steps []spec.Step
	made  int // names of columns that only the steps see
	// branch says that the steps are for the rows of a table of lookups:, of which table is the name, on their way into a union.
	branch bool
	table  string
	// columns are those that the steps so far give; nil if nobody knows.
	columns []string
}

// add appends a step that stands for what begins at byte at of the statement.
func (l *lowering) add(name string, at int, node *spec.Node) {
	l.steps = append(l.steps, spec.Step{Name: name, Node: node, At: l.at.Word(name, at)})
}

// hidden is a name for a column that is not in the result.
func (l *lowering) hidden(prefix string) string {
	l.made++
	return fmt.Sprintf("_%s%02d", prefix, l.made)
}

func (l *lowering) scalar(f expr.Fragment) *spec.Node { return l.at.Scalar(f.Text(), f.Places()) }

func (l *lowering) entry(key string, at int, v *spec.Node) spec.Entry {
	return spec.Entry{Key: key, At: l.at.Word(key, at), Value: v}
}

// block is one SELECT on its way to steps: its expressions over the columns that are there at the time.
type block struct {
	*lowering
	sel   *expr.Select
	items []item
	having, qualify,
	where *expr.Fragment
	order  []order
	hides  []string // columns that are there and not part of *
	groups bool
	first  int // the first of the steps that is this block's
}

// item is one column of the result.
type item struct {
	at      expr.Place
	star    bool
	exclude []string
	expr    expr.Fragment
	label   string
}

// order is one item of ORDER BY: a column of the result by its number, or an expression over what is there before the result is cut out.
type order struct {
	column int // -1 for an expression
	expr   expr.Fragment
	rest   string
}

// query makes the steps of one SELECT; tables are the queries that WITH named.
func (l *lowering) query(sel *expr.Select, tables map[string]*expr.Select) error {
	known, err := with(sel, tables)
	if err != nil {
		return err
	}
	if len(sel.Unions) > 0 {
		return l.union(sel, known)
	}
	b := &block{lowering: l, sel: sel}
	names, err := b.from(known)
	if err != nil {
		return err
	}
	if err := b.read(names); err != nil {
		return err
	}
	b.first = len(b.steps)
	if err := b.joins(names); err != nil {
		return err
	}
	if b.where != nil {
		if call, ok := b.aggregateIn(*b.where); ok {
			return wrong(call, "an aggregate function cannot stand in WHERE: use HAVING")
		}
		b.filter(*b.where)
	}
	for _, part := range []func() error{b.aggregate, b.windows} {
		if err := part(); err != nil {
			return err
		}
	}
	if b.qualify != nil {
		b.filter(*b.qualify)
	}
	before := b.columns
	b.columns = nil
	for _, it := range b.items {
		switch {
		case !it.star:
			b.columns = append(b.columns, it.label)
		case before == nil:
			b.columns = nil
			return b.result()
		default:
			for _, c := range before {
				if !slices.Contains(it.exclude, c) {
					b.columns = append(b.columns, c)
				}
			}
		}
	}
	return b.result()
}

// with are the queries that WITH names, beside those of the queries around.
func with(sel *expr.Select, tables map[string]*expr.Select) (map[string]*expr.Select, error) {
	known := maps.Clone(tables)
	if known == nil {
		known = map[string]*expr.Select{}
	}
	for _, w := range sel.With {
		name := strings.ToLower(w.Name)
		if known[name] != nil {
			return nil, wrong(w.At, "WITH names "+w.Name+" twice")
		}
		known[name] = w.Query
	}
	return known, nil
}

// has reports whether the rows are known to have the column.
func (l *lowering) has(name string) bool {
	return slices.ContainsFunc(l.columns, func(c string) bool { return strings.EqualFold(c, name) })
}

// mayHave reports whether the rows have the column, for all that is known. Before anything is known of the run's rows, and the steps are made for its id alone, they have not.
func (l *lowering) mayHave(name string) bool {
	return l.has(name) || l.columns == nil && (l.branch || l.fns.Columns != nil)
}

func (b *block) filter(f expr.Fragment) { b.add("filter", f.Place(0), b.scalar(f)) }

// from makes the steps of what stands behind FROM.
func (b *block) from(known map[string]*expr.Select) (*scope, error) {
	t := b.sel.From
	s := &scope{}
	switch q := t.Query; {
	case t.Unnest != nil:
		return nil, wrong(t.At, "FROM UNNEST needs rows to take the list from: FROM input, UNNEST(…) AS name")
	case q != nil:
		if err := b.query(q, known); err != nil {
			return nil, err
		}
	case known[strings.ToLower(t.Name)] != nil:
		name := strings.ToLower(t.Name)
		q := known[name]
		rest := map[string]*expr.Select{} // a query sees those before it, and not itself
		for n, k := range known {
			if n != name {
				rest[n] = k
			}
		}
		if err := b.query(q, rest); err != nil {
			return nil, err
		}
	case !b.branch && strings.EqualFold(t.Name, Input):
	case b.branch && slices.Contains(b.fns.Tables, t.Name):
		b.table = t.Name
	case b.branch:
		return nil, wrong(t.At, b.noTable(t.Name))
	default:
		all := []string{Input}
		for n := range known {
			all = append(all, n)
		}
		slices.Sort(all)
		msg := "unknown table " + strconv.Quote(t.Name) + ": the rows of the run are called input"
		if slices.Contains(b.fns.Tables, t.Name) {
			msg = "a reference table cannot stand first: FROM input, and then JOIN " + t.Name + " ON … or UNION ALL SELECT … FROM " + t.Name
		} else if near := spec.Nearest(t.Name, all); near != "" {
			msg = "unknown table " + strconv.Quote(t.Name) + ": did you mean " + near + "?"
		}
		return nil, wrong(t.At, msg)
	}
	if t.Alias != "" {
		s.base = []string{t.Alias}
	} else if t.Name != "" {
		s.base = []string{t.Name}
	}
	s.rows = b.columns
	for _, j := range b.sel.Joins {
		if err := s.join(b.lowering, j); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// read takes the clauses over, with the names of tables before columns resolved.
func (b *block) read(s *scope) error {
	for _, it := range b.sel.Items {
		x := item{at: it.At, star: it.Star, exclude: it.Exclude, label: it.Alias}
		if it.Star {
			if it.Of != "" && !s.isBase(it.Of) {
				return wrong(it.At, "only the columns of "+s.name()+" can be taken by "+it.Of+".*: name those of a reference table one by one")
			}
			if it.Of == "" && slices.ContainsFunc(s.tables, (*joined).brings) {
				return wrong(it.At, "* beside a JOIN is ambiguous: write "+s.name()+".* and the columns of the joined table one by one")
			}
			if err := b.star(s, x, it.Of != ""); err != nil {
				return err
			}
			continue
		}
		if x.label == "" {
			x.label = it.Expr.Label()
		}
		if x.label == "" {
			return wrong(it.At, "the column needs a name: AS name")
		}
		var err error
		if x.expr, err = s.resolve(it.Expr); err != nil {
			return err
		}
		b.items = append(b.items, x)
	}
	for _, c := range []struct {
		from *expr.Fragment
		to   **expr.Fragment
	}{{b.sel.Where, &b.where}, {b.sel.Having, &b.having}, {b.sel.Qualify, &b.qualify}} {
		if c.from == nil {
			continue
		}
		f, err := s.resolve(*c.from)
		if err != nil {
			return err
		}
		*c.to = &f
	}
	for i, g := range b.sel.Group {
		for j, set := range g.Sets {
			for k, f := range set {
				r, err := s.resolve(f)
				if err != nil {
					return err
				}
				b.sel.Group[i].Sets[j][k] = r
			}
		}
	}
	return b.readOrder(s)
}

func (b *block) readOrder(s *scope) error {
	stars := slices.ContainsFunc(b.items, func(it item) bool { return it.star })
	for _, o := range b.sel.Order {
		x := order{column: -1, rest: o.Rest}
		if n, ok := o.Expr.Ordinal(); ok {
			if n < 1 || n > len(b.items) || stars {
				return wrong(expr.Place{Pos: o.Expr.Place(0), End: o.Expr.Place(1)}, "ORDER BY "+o.Expr.Text()+" is no column of the result")
			}
			x.column = n - 1
		} else if name, ok := o.Expr.Name(); ok {
			x.column = slices.IndexFunc(b.items, func(it item) bool { return !it.star && strings.EqualFold(it.label, name) })
		}
		if x.expr = o.Expr; x.column < 0 { // a name means a column of the result first
			var err error
			if x.expr, err = s.resolve(o.Expr); err != nil {
				return err
			}
		}
		b.order = append(b.order, x)
	}
	return nil
}

// each calls f for every expression that is computed after the rows are grouped.
func (b *block) each(f func(*expr.Fragment) error) error {
	for i := range b.items {
		if !b.items[i].star {
			if err := f(&b.items[i].expr); err != nil {
				return err
			}
		}
	}
	for _, c := range []*expr.Fragment{b.having, b.qualify} {
		if c != nil {
			if err := f(c); err != nil {
				return err
			}
		}
	}
	for i := range b.order {
		if b.order[i].column < 0 {
			if err := f(&b.order[i].expr); err != nil {
				return err
			}
		}
	}
	return nil
}
