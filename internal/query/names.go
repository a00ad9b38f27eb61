package query

import (
	"slices"
	"strconv"
	"strings"

	"github.com/sluice-data/sluice/internal/expr"
)

// scope is what the names before a dot mean.
type scope struct {
	base   []string // of the rows that the query reads; none if they have no name
	rows   []string // their columns; nil if nobody knows
	tables []*joined
}

// joined is a table of a JOIN.
type joined struct {
	join    expr.Join
	name    string            // before the dot
	columns map[string]string // that are used, and what they are called in the rows
	order   []string          // of UNNEST: the column of the elements, and that of their numbers if there is one
}

// brings reports whether the join adds columns of a table.
func (t *joined) brings() bool {
	return t.join.Table.Unnest == nil && (t.join.Kind == "inner" || t.join.Kind == "left")
}

func (s *scope) isBase(name string) bool {
	return len(s.base) > 0 && strings.EqualFold(s.base[0], name)
}

// name is what the rows are called.
func (s *scope) name() string {
	if len(s.base) > 0 {
		return s.base[0]
	}
	return Input
}

func (s *scope) join(l *lowering, j expr.Join) error {
	t := &joined{join: j, name: j.Table.Alias, columns: map[string]string{}}
	switch {
	case j.Table.Query != nil:
		return wrong(j.Table.At, "a query cannot be joined: name a reference table under lookups")
	case j.Table.Unnest != nil:
		if t.name == "" {
			return wrong(j.Table.At, "UNNEST needs a name for the column of its elements: UNNEST(…) AS name")
		}
	case t.name == "":
		t.name = j.Table.Name
	}
	for _, o := range s.tables {
		if strings.EqualFold(o.name, t.name) {
			return wrong(j.Table.At, "table "+t.name+" is joined twice: give one of them another name with AS")
		}
	}
	if s.isBase(t.name) {
		return wrong(j.Table.At, "table "+t.name+" has the name of the rows it is joined to: give it another with AS")
	}
	if j.Table.Unnest != nil {
		s.elements(l, t)
	}
	s.tables = append(s.tables, t)
	return nil
}

func (s *scope) find(name string) *joined {
	for _, t := range s.tables {
		if strings.EqualFold(t.name, name) {
			return t
		}
	}
	return nil
}

// column is what column name of the table is called in the rows; asking for it makes the join bring it.
func (t *joined) column(name string) string {
	if t.columns[name] == "" {
		t.columns[name] = t.name + "." + name
		t.order = append(t.order, name)
	}
	return t.columns[name]
}

// before is the scope of what stands before the table.
func (s *scope) before(t *joined) *scope {
	out := *s
	out.tables = s.tables[:slices.Index(s.tables, t)]
	return &out
}

// resolve takes the names of tables off: input.fare becomes fare, and zones.name the column that the join brings. Columns of UNNEST get the names that they have in
// the rows.
func (s *scope) resolve(f expr.Fragment) (expr.Fragment, error) {
	names := f.Dotted()
	for _, n := range f.Names() {
		if len(n.Parts) == 1 {
			names = append(names, n)
		}
	}
	slices.SortFunc(names, func(a, b expr.NameIn) int { return a.Pos - b.Pos })
	var edits []expr.Edit
	for _, n := range names {
		e, msg := s.edit(n)
		if msg != "" {
			return f, wrong(expr.Place{Pos: f.Place(n.Pos), End: f.Place(n.End)}, msg)
		}
		if e != nil {
			edits = append(edits, *e)
		}
	}
	return f.With(edits)
}

// edit makes of a name the column of the rows that it means; msg says what is wrong with it.
func (s *scope) edit(n expr.NameIn) (e *expr.Edit, msg string) {
	if len(n.Parts) == 1 {
		return s.unqualified(n)
	}
	switch t := s.find(n.Parts[0]); {
	case s.isBase(n.Parts[0]):
		if s.rows != nil && !s.has(n.Parts[1]) && len(s.giving(n.Parts[1])) > 0 {
			return nil, s.name() + " has no column " + strconv.Quote(n.Parts[1]) + ": that is UNNEST's"
		}
		return &expr.Edit{Pos: n.Pos, End: n.Rest}, ""
	case t == nil: // a field of a struct
		return s.unqualified(n)
	case t.join.Table.Unnest != nil:
		return t.ofElements(n), ""
	case !t.brings():
		return nil, "a " + strings.ToUpper(t.join.Kind) + " JOIN brings no columns"
	case len(n.Parts) > 2:
		return nil, "a field of a struct of a joined table: put the column in parentheses, (table.column).field"
	default:
		return &expr.Edit{Pos: n.Pos, End: n.End, Text: expr.QuoteName(t.column(n.Parts[1]))}, ""
	}
}
