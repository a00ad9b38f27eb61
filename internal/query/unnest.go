package query

import (
	"slices"
	"strconv"
	"strings"

	"github.com/sluice-data/sluice/internal/expr"
	"github.com/sluice-data/sluice/internal/spec"
)

// elements names the columns that UNNEST gives, and says what they are called in the rows: something else where these may have a column of that name.
func (s *scope) elements(l *lowering, t *joined) {
	names := []string{t.name}
	if len(t.join.Table.Columns) > 0 {
		names[0] = t.join.Table.Columns[0]
	}
	if t.join.Table.Ordinality {
		names = append(names, "ordinality")
		if len(t.join.Table.Columns) > 1 {
			names[1] = t.join.Table.Columns[1]
		}
	}
	for _, name := range names {
		called := name
		if l.mayHave(name) || len(s.giving(name)) > 0 {
			if called = t.name + "." + name; l.has(called) {
				called = l.hidden("u")
			}
		}
		t.columns[name] = called
		t.order = append(t.order, name)
	}
}

// has reports whether the rows are known to have the column before any UNNEST.
func (s *scope) has(name string) bool {
	return slices.ContainsFunc(s.rows, func(c string) bool { return strings.EqualFold(c, name) })
}

// giving are the UNNESTs with a column of that name.
func (s *scope) giving(name string) []*joined {
	var out []*joined
	for _, t := range s.tables {
		if _, ok := t.gives(name); ok {
			out = append(out, t)
		}
	}
	return out
}

// gives reports whether t is an UNNEST with the column name, and what the rows call that.
func (t *joined) gives(name string) (called string, ok bool) {
	if t.join.Table.Unnest == nil {
		return "", false
	}
	i := slices.IndexFunc(t.order, func(c string) bool { return strings.EqualFold(c, name) })
	if i < 0 {
		return "", false
	}
	return t.columns[t.order[i]], true
}

// unqualified is for a name, or a field of one, without a table before it. As in SQL it must not be one of two columns.
func (s *scope) unqualified(n expr.NameIn) (e *expr.Edit, msg string) {
	name := n.Parts[0]
	of := s.giving(name)
	switch {
	case len(of) == 0:
		return nil, ""
	case len(of) > 1:
		return nil, "column " + strconv.Quote(name) + " is of " + of[0].name + " and of " + of[1].name + ": write " + of[0].name + "." + name + " or " + of[1].name + "." + name
	case s.has(name):
		return nil, "column " + strconv.Quote(name) + " is of " + s.name() + " and of UNNEST: write " + s.name() + "." + name + " for the first, and give the second another name, UNNEST(…) AS t(element)"
	}
	called, _ := of[0].gives(name)
	if strings.EqualFold(called, name) {
		return nil, ""
	}
	return &expr.Edit{Pos: n.Pos, End: n.Ends[0], Text: expr.QuoteName(called)}, ""
}

// ofElements is for a name behind that of an UNNEST: a column that stands in parentheses there, the numbers, or a field of the elements.
func (t *joined) ofElements(n expr.NameIn) *expr.Edit {
	columns := t.join.Table.Columns
	called, ok := t.gives(n.Parts[1])
	if ok && (slices.ContainsFunc(columns, func(c string) bool { return strings.EqualFold(c, n.Parts[1]) }) || len(t.order) > 1 && t.columns[t.order[1]] == called) {
		return &expr.Edit{Pos: n.Pos, End: n.Ends[1], Text: expr.QuoteName(called)}
	}
	if called = t.columns[t.order[0]]; len(columns) > 0 || called == t.order[0] {
		return nil
	}
	return &expr.Edit{Pos: n.Pos, End: n.Ends[0], Text: expr.QuoteName(called)}
}

// star takes a star of the list: of is set for that of the rows alone, which leaves out what UNNEST gives.
func (b *block) star(s *scope, x item, of bool) error {
	b.items = append(b.items, x)
	at := len(b.items) - 1
	for _, t := range s.tables {
		for _, name := range t.order {
			called, ok := t.gives(name)
			excluded := slices.ContainsFunc(x.exclude, func(c string) bool { return strings.EqualFold(c, name) })
			switch {
			case !ok || excluded && (called == name || s.rows != nil):
			case of && called == name:
				b.items[at].exclude = append(slices.Clip(b.items[at].exclude), name)
			case of || called == name: // hidden, or a part of *
			case excluded: // the rows need not have one
				b.items[at].exclude = slices.DeleteFunc(slices.Clone(b.items[at].exclude), func(c string) bool { return strings.EqualFold(c, name) })
			case s.has(name):
				return wrong(x.at, "* has two columns "+strconv.Quote(name)+", of "+s.name()+" and of UNNEST: give the second another name, UNNEST(…) AS t(element)")
			default:
				text := expr.QuoteName(called)
				places := make([]int, len(text)+1)
				for i := range places {
					places[i] = x.at.Pos
				}
				f, err := expr.NewFragment(text, places)
				if err != nil {
					return err
				}
				b.items = append(b.items, item{at: x.at, expr: f, label: name})
			}
		}
	}
	return nil
}

// unnest makes the step of CROSS JOIN UNNEST(list) AS name, or AS t(name): a row for each element, which is column name.
func (b *block) unnest(s *scope, t *joined) error {
	f, err := s.before(t).resolve(*t.join.Table.Unnest)
	if err != nil {
		return err
	}
	at, element := t.join.At.Pos, t.columns[t.order[0]]
	if name, ok := f.Name(); !ok || name != element {
		b.add("derive", at, b.at.Mapping(at, spec.Entry{Key: element, At: b.at.Word(element, at), Value: b.scalar(f)}))
	}
	for _, name := range t.order {
		switch called := t.columns[name]; {
		case called != name:
			b.hides = append(b.hides, called)
		case b.columns != nil:
			b.columns = append(slices.Clip(b.columns), name)
		}
	}
	if len(t.order) == 1 {
		b.add("unnest", at, b.at.Word(element, at))
		return nil
	}
	b.add("unnest", at, b.at.Mapping(at, b.entry("column", at, b.at.Word(element, at)), b.entry("with_ordinality", at, b.at.Word(t.columns[t.order[1]], at))))
	return nil
}
