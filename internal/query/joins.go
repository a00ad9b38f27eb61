package query

import (
	"slices"
	"strings"

	"github.com/sluice-data/sluice/internal/expr"
	"github.com/sluice-data/sluice/internal/spec"
)

// joins makes the steps of the JOINs in their order.
func (b *block) joins(s *scope) error {
	for _, t := range s.tables { // which columns they use of each other, before the first one says what it brings
		var used []expr.Fragment
		if t.join.Table.Unnest != nil {
			used = append(used, *t.join.Table.Unnest)
		}
		for _, c := range t.join.On {
			used = append(used, c.Left, c.Right)
		}
		for _, f := range used {
			_, _ = s.before(t).resolve(f) // what is wrong is said below
		}
	}
	for _, t := range s.tables {
		if t.join.Table.Unnest != nil {
			if err := b.unnest(s, t); err != nil {
				return err
			}
			continue
		}
		if err := b.lookup(s, t); err != nil {
			return err
		}
	}
	return nil
}

// lookup makes the step of a JOIN with a reference table. As in SQL a row comes once for each match.
func (b *block) lookup(s *scope, t *joined) error {
	j := t.join
	if !slices.Contains(b.fns.Tables, j.Table.Name) {
		msg := "unknown table " + j.Table.Name + ": a JOIN is with a table that stands under lookups:"
		if near := spec.Nearest(j.Table.Name, b.fns.Tables); near != "" {
			msg = "unknown table " + j.Table.Name + ": did you mean " + near + "?"
		}
		return wrong(j.Table.At, msg)
	}
	var on []spec.Entry
	first := ""
	conditions, span, err := b.span(s, t)
	if err != nil {
		return err
	}
	for _, c := range conditions {
		rows, column, err := b.equality(s, t, c)
		if err != nil {
			return err
		}
		if first == "" {
			first = column
		}
		on = append(on, spec.Entry{Key: rows.Text(), At: b.scalar(rows), Value: b.at.Word(column, c.At.Pos)})
	}
	for _, name := range j.Using {
		if first == "" {
			first = name
		}
		called := expr.QuoteName(name)
		e, msg := s.before(t).unqualified(expr.NameIn{Parts: []string{name}, Ends: []int{0}})
		if msg != "" {
			return wrong(j.At, msg)
		}
		if e != nil {
			called = e.Text
		}
		on = append(on, b.entry(called, j.At.Pos, b.at.Word(name, j.At.Pos)))
	}
	at := j.At.Pos
	entries := []spec.Entry{b.entry("table", j.Table.At.Pos, b.at.Word(j.Table.Name, j.Table.At.Pos))}
	if len(on) > 0 {
		entries = append(entries, b.entry("on", at, b.at.Mapping(at, on...)))
	}
	doubles := "all"
	if span != nil {
		entries, doubles = append(entries, *span), "fail"
		if first == "" {
			list, _ := span.Value.Map()
			names, _ := list[0].Value.Strs()
			first = names[0]
		}
	}
	if j.Kind == "inner" || j.Kind == "left" {
		if len(t.order) == 0 { // the rows may still be more or fewer
			t.column(first)
		}
		var add []spec.Entry
		for _, name := range t.order {
			add = append(add, b.entry(t.columns[name], at, b.at.Word(name, at)))
			b.hides = append(b.hides, t.columns[name])
		}
		entries = append(entries, b.entry("add", at, b.at.Mapping(at, add...)), b.entry("duplicates", at, b.at.Word(doubles, at)))
	}
	entries = append(entries, b.entry("join", at, b.at.Word(j.Kind, at)))
	b.add("lookup", at, b.at.Mapping(at, entries...))
	return nil
}

// equality takes rows = table.column apart, whichever side the table stands on.
func (b *block) equality(s *scope, t *joined, c expr.Condition) (rows expr.Fragment, column string, err error) {
	want := "ON joins equalities by AND, each of a column of " + t.name + " and an expression of the rows: " + s.name() + ".x = " + t.name + ".y"
	if c.Op != "=" {
		return rows, "", wrong(c.At, want)
	}
	for _, side := range [][2]expr.Fragment{{c.Left, c.Right}, {c.Right, c.Left}} {
		column, ok := t.own(side[1])
		if !ok {
			continue
		}
		for _, n := range side[0].Dotted() {
			if strings.EqualFold(n.Parts[0], t.name) {
				return rows, "", wrong(c.At, want)
			}
		}
		rows, err = s.before(t).resolve(side[0])
		return rows, column, err
	}
	return rows, "", wrong(c.At, want)
}

// span takes t.valid_from <= rows AND rows < t.valid_to out of the conditions of ON: between of the step. It is nil if there is none.
func (b *block) span(s *scope, t *joined) (rest []expr.Condition, between *spec.Entry, err error) {
	type half struct {
		rows   expr.Fragment
		column string
	}
	var from, to *half
	for _, c := range t.join.On {
		op, sides := c.Op, [2]expr.Fragment{c.Left, c.Right} // rows op column
		if _, ok := t.own(c.Left); ok {
			op, sides = map[string]string{"<=": ">=", ">": "<"}[c.Op], [2]expr.Fragment{c.Right, c.Left}
		}
		column, ok := t.own(sides[1])
		switch {
		case ok && op == ">=" && from == nil:
			from = &half{sides[0], column}
		case ok && op == "<" && to == nil:
			to = &half{sides[0], column}
		default:
			rest = append(rest, c)
		}
	}
	if from == nil && to == nil {
		return rest, nil, nil
	}
	if from == nil || to == nil || !from.rows.Same(to.rows) {
		return nil, nil, wrong(t.join.At, "a range in ON needs both ends for one expression of the rows: x >= "+t.name+".begins AND x < "+t.name+".ends")
	}
	rows, err := s.before(t).resolve(from.rows)
	if err != nil {
		return nil, nil, err
	}
	at := t.join.At.Pos
	ends := b.at.Sequence(at, b.at.Word(from.column, at), b.at.Word(to.column, at))
	e := b.entry("between", at, b.at.Mapping(at, spec.Entry{Key: rows.Text(), At: b.scalar(rows), Value: ends}))
	return rest, &e, nil
}

// own is the column of the table that f is, if it is just that.
func (t *joined) own(f expr.Fragment) (column string, ok bool) {
	names := f.Dotted()
	if len(names) != 1 || len(names[0].Parts) != 2 || names[0].Pos != 0 || names[0].End != len(f.Text()) || !strings.EqualFold(names[0].Parts[0], t.name) {
		return "", false
	}
	return names[0].Parts[1], true
}
