package query

import (
	"slices"
	"strconv"
	"strings"

	"github.com/sluice-data/sluice/internal/expr"
	"github.com/sluice-data/sluice/internal/spec"
)

// aggregates are the calls of aggregate functions in f that no other one holds; a call with OVER is a window's, what stands within it may be one.
func (b *block) aggregates(f expr.Fragment) ([]expr.CallIn, error) {
	calls, err := f.Calls()
	if err != nil {
		return nil, err
	}
	var out []expr.CallIn
	end := 0
	for _, c := range calls {
		if c.Pos >= end && c.Over == nil && b.fns.Aggregate(c.Name) {
			out = append(out, c)
			end = c.End
		}
	}
	return out, nil
}

// aggregateIn is the place of the first aggregate function in f.
func (b *block) aggregateIn(f expr.Fragment) (expr.Place, bool) {
	calls, err := b.aggregates(f)
	if err != nil || len(calls) == 0 {
		return expr.Place{}, false
	}
	return expr.Place{Pos: f.Place(calls[0].Pos), End: f.Place(calls[0].End)}, true
}

// named is an expression with the name of the column that holds it.
type named struct {
	name string
	expr expr.Fragment
}

// grouping is GROUP BY and the aggregate functions on their way to a step.
type grouping struct {
	keys, measures []named
}

// aggregate makes the aggregate step, if the statement groups, and has the rest of it speak of its columns.
func (b *block) aggregate() error {
	g := &grouping{}
	found := false
	err := b.each(func(f *expr.Fragment) error {
		calls, err := b.aggregates(*f)
		found = found || len(calls) > 0
		return err
	})
	if err != nil {
		return err
	}
	if b.groups = found || len(b.sel.Group) > 0 || b.sel.GroupAll || b.having != nil; !b.groups {
		return nil
	}
	for _, it := range b.items {
		if it.star {
			return wrong(it.at, "* cannot stand beside GROUP BY or an aggregate function: name the columns")
		}
	}
	if b.sel.GroupAll {
		if err := b.groupAll(); err != nil {
			return err
		}
	}
	entries, at, err := b.groupBy(g)
	if err != nil {
		return err
	}
	if err := b.each(func(f *expr.Fragment) error { return b.grouped(*f, g) }); err != nil {
		return err
	}
	if err := b.measures(g); err != nil {
		return err
	}
	err = b.each(func(f *expr.Fragment) (err error) {
		*f, err = b.after(*f, g)
		return err
	})
	if err != nil {
		return err
	}
	if len(g.measures) > 0 {
		var list []spec.Entry
		for _, m := range g.measures {
			list = append(list, b.entry(m.name, m.expr.Place(0), b.scalar(m.expr)))
		}
		entries = append(entries, b.entry("measures", at, b.at.Mapping(at, list...)))
	}
	if len(entries) == 0 { // HAVING alone: all rows are one group, also when there are none
		count := b.entry(b.hidden("m"), at, b.at.Word("count(*)", at))
		entries = append(entries, b.entry("measures", at, b.at.Mapping(at, count)))
	}
	b.add("aggregate", at, b.at.Mapping(at, entries...))
	b.columns = []string{}
	for _, c := range slices.Concat(g.keys, g.measures) {
		b.columns = append(b.columns, c.name)
	}
	if b.having != nil {
		b.filter(*b.having)
	}
	return nil
}

// groupAll makes GROUP BY of the items that hold no aggregate function and no window.
func (b *block) groupAll() error {
	for _, it := range b.items {
		calls, err := it.expr.Calls()
		if err != nil {
			return err
		}
		if !slices.ContainsFunc(calls, func(c expr.CallIn) bool { return c.Over != nil || b.fns.Aggregate(c.Name) }) {
			b.sel.Group = append(b.sel.Group, expr.Grouping{At: it.at, Sets: [][]expr.Fragment{{it.expr}}})
		}
	}
	return nil
}

// groupBy gives the keys their names, and the entries of the step that say which they are.
func (b *block) groupBy(g *grouping) (entries []spec.Entry, at int, err error) {
	var lists []spec.Entry // rollup:, cube:, grouping_sets:
	if len(b.items) > 0 {
		at = b.items[0].at.Pos
	}
	for i, part := range b.sel.Group {
		if i == 0 {
			at = part.At.Pos
		}
		var sets []*spec.Node
		for _, set := range part.Sets {
			var members []*spec.Node
			for _, f := range set {
				k, err := b.key(f)
				if err != nil {
					return nil, 0, err
				}
				if !slices.ContainsFunc(g.keys, func(o named) bool { return o.name == k.name }) {
					g.keys = append(g.keys, k)
				}
				members = append(members, b.at.Word(k.name, f.Place(0)))
			}
			if part.Kind != "sets" && len(members) == 1 {
				sets = append(sets, members[0])
			} else {
				sets = append(sets, b.at.Sequence(part.At.Pos, members...))
			}
		}
		if part.Kind == "" {
			continue
		}
		key := part.Kind
		if key == "sets" {
			key = "grouping_sets"
		}
		if slices.ContainsFunc(lists, func(e spec.Entry) bool { return e.Key == key }) {
			return nil, 0, wrong(part.At, "GROUP BY may hold one "+strings.ToUpper(part.Kind)+": write its sets out in GROUPING SETS")
		}
		lists = append(lists, b.entry(key, part.At.Pos, b.at.Sequence(part.At.Pos, sets...)))
	}
	if len(g.keys) > 0 {
		var list []spec.Entry
		for _, k := range g.keys {
			list = append(list, b.entry(k.name, k.expr.Place(0), b.scalar(k.expr)))
		}
		entries = append(entries, b.entry("by", at, b.at.Mapping(at, list...)))
	}
	return append(entries, lists...), at, nil
}

// key is an expression of GROUP BY: a number or an alias stands for a column of the result. An alias whose expression uses a column of the same name is that
// column, and so is one that the rows are known to have.
func (b *block) key(f expr.Fragment) (named, error) {
	if n, ok := f.Ordinal(); ok {
		if n < 1 || n > len(b.items) {
			return named{}, wrong(expr.Place{Pos: f.Place(0), End: f.Place(1)}, "GROUP BY "+f.Text()+" is no column of the result")
		}
		it := b.items[n-1]
		return named{it.label, it.expr}, nil
	}
	if name, ok := f.Name(); ok && !b.has(name) { // a column of the rows comes first, as in PostgreSQL
		for _, it := range b.items {
			if strings.EqualFold(it.label, name) && !it.expr.Mentions(name) {
				return named{it.label, it.expr}, nil
			}
		}
	}
	for _, it := range b.items {
		if it.expr.Same(f) {
			return named{it.label, f}, nil
		}
	}
	if name := f.Label(); name != "" && !slices.ContainsFunc(b.items, func(it item) bool { return strings.EqualFold(it.label, name) }) {
		return named{name, f}, nil
	}
	return named{b.hidden("k"), f}, nil
}

// measures gathers the calls of aggregate functions, each once.
func (b *block) measures(g *grouping) error {
	taken := map[string]bool{}
	for _, k := range g.keys {
		taken[k.name] = true
	}
	for i := range b.items { // what is computed of aggregates and keys alone is a measure as it is
		it := &b.items[i]
		calls, err := b.aggregates(it.expr)
		if err != nil {
			return err
		}
		all, err := it.expr.Calls()
		if err != nil {
			return err
		}
		if len(calls) == 0 || taken[it.label] || slices.ContainsFunc(all, func(c expr.CallIn) bool { return c.Over != nil }) {
			continue
		}
		m, err := b.overKeys(it.expr, g, nil)
		if err != nil {
			return err
		}
		taken[it.label] = true
		g.measures = append(g.measures, named{it.label, m})
		if it.expr, err = it.expr.With([]expr.Edit{{End: len(it.expr.Text()), Text: expr.QuoteName(it.label)}}); err != nil {
			return err
		}
	}
	return b.each(func(f *expr.Fragment) error {
		calls, err := b.aggregates(*f)
		if err != nil {
			return err
		}
		for _, c := range calls {
			if !slices.ContainsFunc(g.measures, func(m named) bool { return m.expr.Same(c.Function) }) {
				g.measures = append(g.measures, named{b.hidden("m"), c.Function})
			}
		}
		return nil
	})
}

// grouped says which column of the rows, as far as they are known, f uses although only keys and aggregates are left of them.
func (b *block) grouped(f expr.Fragment, g *grouping) error {
	calls, err := b.aggregates(f)
	if err != nil {
		return err
	}
	covered := func(n expr.NameIn) bool {
		inside := slices.ContainsFunc(calls, func(c expr.CallIn) bool { return c.Pos <= n.Pos && n.End <= c.End })
		return inside || slices.ContainsFunc(g.keys, func(k named) bool {
			return strings.EqualFold(k.name, n.Parts[0]) ||
				slices.ContainsFunc(f.Occurrences(k.expr), func(p expr.Place) bool { return p.Pos <= n.Pos && n.Pos < p.End })
		})
	}
	for _, n := range f.Columns() {
		result := slices.ContainsFunc(b.items, func(it item) bool { return strings.EqualFold(it.label, n.Parts[0]) && !it.expr.Mentions(n.Parts[0]) })
		if b.has(n.Parts[0]) && !result && !covered(n) {
			return wrong(expr.Place{Pos: f.Place(n.Pos), End: f.Place(n.End)},
				"column "+strconv.Quote(n.Parts[0])+" must appear in the GROUP BY clause or be used in an aggregate function")
		}
	}
	return nil
}

// after is f over the columns of the aggregate step.
func (b *block) after(f expr.Fragment, g *grouping) (expr.Fragment, error) {
	calls, err := b.aggregates(f)
	if err != nil {
		return f, err
	}
	var edits []expr.Edit
	for _, c := range calls {
		i := slices.IndexFunc(g.measures, func(m named) bool { return m.expr.Same(c.Function) })
		edits = append(edits, expr.Edit{Pos: c.Pos, End: c.End, Text: expr.QuoteName(g.measures[i].name)})
	}
	return b.overKeys(f, g, edits)
}

// overKeys is f with the expressions of keys, where they stand outside of aggregates, replaced by their columns, and the edits made.
func (b *block) overKeys(f expr.Fragment, g *grouping, edits []expr.Edit) (expr.Fragment, error) {
	calls, err := b.aggregates(f)
	if err != nil {
		return f, err
	}
	keys := slices.Clone(g.keys) // a key may be a part of another, which is then to be taken as a whole
	slices.SortStableFunc(keys, func(x, y named) int { return len(y.expr.Text()) - len(x.expr.Text()) })
	for _, k := range keys {
		for _, p := range f.Occurrences(k.expr) {
			inside := slices.ContainsFunc(calls, func(c expr.CallIn) bool { return c.Name != "grouping" && p.Pos < c.End && c.Pos < p.End })
			taken := slices.ContainsFunc(edits, func(e expr.Edit) bool { return p.Pos < e.End && e.Pos < p.End })
			if name, ok := k.expr.Name(); !inside && !taken && !(ok && name == k.name) {
				edits = append(edits, expr.Edit{Pos: p.Pos, End: p.End, Text: expr.QuoteName(k.name)})
			}
		}
	}
	slices.SortFunc(edits, func(x, y expr.Edit) int { return x.Pos - y.Pos })
	return f.With(edits)
}
