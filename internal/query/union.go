package query

import (
	"slices"
	"strconv"
	"strings"

	"github.com/sluice-data/sluice/internal/expr"
	"github.com/sluice-data/sluice/internal/spec"
)

// union makes the steps of SELECTs over input and over tables of lookups:, one behind the other: those of the first, and a union step for each of the others. Queries in
// known have names.
func (l *lowering) union(sel *expr.Select, known map[string]*expr.Select) error {
	first := *sel
	first.With, first.Order, first.Limit, first.Offset = nil, nil, nil, nil
	if len(sel.Order) > 0 || sel.Limit != nil || sel.Offset != nil { // they are of the whole
		outer := expr.Select{Items: []expr.SelectItem{{At: sel.Items[0].At, Star: true}}, From: expr.Table{At: sel.From.At, Query: &first}, Limit: sel.Limit, Offset: sel.Offset}
		for _, o := range sel.Order {
			var err error
			if o.Expr, err = resultColumn(o.Expr, sel.Items); err != nil {
				return err
			}
			outer.Order = append(outer.Order, o)
		}
		return l.query(&outer, known)
	}
	first.Unions = nil
	if err := l.query(&first, known); err != nil {
		return err
	}
	for _, u := range sel.Unions {
		if err := l.branchOf(u, known); err != nil {
			return err
		}
	}
	return nil
}

// resultColumn is the name of the column that a number in ORDER BY stands for; other expressions stay.
func resultColumn(f expr.Fragment, items []expr.SelectItem) (expr.Fragment, error) {
	n, ok := f.Ordinal()
	if !ok {
		return f, nil
	}
	if n < 1 || n > len(items) || slices.ContainsFunc(items[:min(n, len(items))], func(it expr.SelectItem) bool { return it.Star }) {
		return f, wrong(expr.Place{Pos: f.Place(0), End: f.Place(1)}, "ORDER BY "+f.Text()+" is no column of the result")
	}
	name := items[n-1].Alias
	if name == "" {
		name = items[n-1].Expr.Label()
	}
	return f.With([]expr.Edit{{End: len(f.Text()), Text: expr.QuoteName(name)}})
}

// branchOf makes the union step of u.
func (l *lowering) branchOf(u expr.Union, known map[string]*expr.Select) error {
	if l.branch {
		return wrong(u.At, "a union within a union: write the SELECTs one behind the other")
	}
	sub := &lowering{at: l.at, fns: l.fns, branch: true}
	sub.fns.Columns = nil
	q := *u.Query
	if !u.ByName {
		q.Items = sub.labelled(q.Items)
	}
	if err := sub.query(&q, known); err != nil {
		return err
	}
	at := u.At.Pos
	entries := []spec.Entry{l.entry("table", at, l.at.Word(sub.table, at))}
	if !u.ByName {
		entries = append(entries, l.entry("match", at, l.at.Word("position", at)))
	}
	if len(sub.steps) > 0 {
		var list []*spec.Node
		for _, s := range sub.steps {
			list = append(list, l.at.Mapping(at, spec.Entry{Key: s.Name, At: s.At, Value: s.Node}))
		}
		entries = append(entries, l.entry("steps", at, l.at.Sequence(at, list...)))
	}
	l.add("union", at, l.at.Mapping(at, entries...))
	if u.ByName {
		l.columns = joinedColumns(l.columns, sub.columns)
	}
	if !u.All {
		l.add("dedupe", at, l.at.Mapping(at))
	}
	return nil
}

// labelled gives a name to items without one, and to those whose name another has: where columns are matched by place, it is that of the first SELECT that counts.
func (l *lowering) labelled(items []expr.SelectItem) []expr.SelectItem {
	out := slices.Clone(items)
	taken := map[string]bool{}
	for i, it := range out {
		if it.Star {
			continue
		}
		label := it.Alias
		if label == "" {
			label = it.Expr.Label()
		}
		if label == "" || taken[label] {
			out[i].Alias = l.hidden("u")
		}
		taken[label] = true
	}
	return out
}

// joinedColumns are those of two lists by name; nil if one is not known.
func joinedColumns(a, b []string) []string {
	if a == nil || b == nil {
		return nil
	}
	out := slices.Clone(a)
	for _, c := range b {
		if !slices.Contains(out, c) {
			out = append(out, c)
		}
	}
	return out
}

// noTable says what is wrong with the name behind FROM of a union's further SELECT.
func (l *lowering) noTable(name string) string {
	if strings.EqualFold(name, Input) {
		return "input is read once, by the first SELECT of a union: the others read tables that stand under lookups:"
	}
	if near := spec.Nearest(name, l.fns.Tables); near != "" {
		return "unknown table " + strconv.Quote(name) + ": did you mean " + near + "?"
	}
	return "unknown table " + strconv.Quote(name) + ": what a union adds are tables that stand under lookups:"
}
