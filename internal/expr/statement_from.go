package expr

// Table is what FROM or JOIN name: a table, a query in parentheses, or UNNEST(expression).
type Table struct {
	At     Place
	Name   string // "" of a query or UNNEST
	Alias  string // "" without one
	Query  *Select
	Unnest *Fragment
	// Columns are the names of UNNEST's columns, of t(a, n): the element and, WITH ORDINALITY, its number.
	Columns    []string
	Ordinality bool
}

// Join is one JOIN with its condition. Kind is inner, left, semi, anti or cross.
type Join struct {
	At    Place
	Kind  string
	Table Table
	On    []Condition // joined by AND; empty of a cross join
	Using []string
}

// Condition is a comparison of a join's ON, taken apart; Op is "" for what is no comparison, and Left all of it.
type Condition struct {
	At          Place
	Left, Right Fragment
	Op          string
}

func (p *parser) from(s *Select) *Error {
	if err := p.wantWord("from", "after the columns: FROM input"); err != nil {
		return err
	}
	var err *Error
	if s.From, err = p.table(); err != nil {
		return err
	}
	for {
		t := p.peek()
		j := Join{At: placeOf(t.span)}
		if p.takeOp(",") {
			if !p.isWord("unnest") {
				return errAt(t.span, "a second table in FROM needs a JOIN … ON")
			}
			j.Kind = "cross"
			if j.Table, err = p.table(); err != nil {
				return err
			}
			s.Joins = append(s.Joins, j)
			continue
		}
		if j.Kind, err = p.joinKind(); err != nil {
			return err
		}
		if j.Kind == "" {
			return nil
		}
		if j.Table, err = p.table(); err != nil {
			return err
		}
		if err := p.condition(&j); err != nil {
			return err
		}
		j.At.End = p.last().end
		s.Joins = append(s.Joins, j)
	}
}

// joinKind parses the words up to JOIN, "" if no join follows.
func (p *parser) joinKind() (string, *Error) {
	t := p.peek()
	kind := "inner"
	switch {
	case p.isWord("join"):
	case p.takeWord("inner"):
	case p.takeWord("cross"):
		kind = "cross"
	case p.takeWord("left"):
		kind = "left"
		if p.takeWord("semi") {
			kind = "semi"
		} else if p.takeWord("anti") {
			kind = "anti"
		} else {
			p.takeWord("outer")
		}
	case p.takeWord("semi"):
		kind = "semi"
	case p.takeWord("anti"):
		kind = "anti"
	case p.isWord("right") || p.isWord("full") || p.isWord("natural"):
		return "", errAt(t.span, "%s JOIN is not supported: the rows are those of the input; use JOIN, LEFT JOIN, SEMI JOIN or ANTI JOIN with a reference table", t.describe())
	default:
		return "", nil
	}
	return kind, p.wantWord("join", "in a join")
}

func (p *parser) table() (Table, *Error) {
	t := p.peek()
	out := Table{At: placeOf(t.span)}
	var err *Error
	switch {
	case p.isOp("("):
		if out.Query, err = p.parenQuery(); err != nil {
			return out, err
		}
	case t.low == "unnest" && p.peekAt(1).text == "(":
		p.at += 2
		f, _, err := p.fragment()
		if err != nil {
			return out, err
		}
		if err := p.wantOp(")", "to close UNNEST"); err != nil {
			return out, err
		}
		out.Unnest = &f
		if p.isWord("with") && p.peekAt(1).low == "ordinality" {
			p.at += 2
			out.Ordinality = true
		}
	case isName(t):
		p.take()
		out.Name = folded(t)
		if p.isOp(".") {
			return out, errAt(p.peek().span, "tables have no schema here: FROM input, and the names under lookups")
		}
	default:
		return out, errAt(t.span, "expected a table, not %s: the rows of the run are called input", t.describe())
	}
	out.At.End = p.last().end
	if out.Alias, err = p.alias(); err != nil || out.Unnest == nil || out.Alias == "" || !p.takeOp("(") {
		return out, err
	}
	for {
		t := p.take()
		if !isName(t) {
			return out, errAt(t.span, "expected the name of a column, not %s", t.describe())
		}
		out.Columns = append(out.Columns, folded(t))
		if !p.takeOp(",") {
			break
		}
	}
	if most := 1 + map[bool]int{true: 1}[out.Ordinality]; len(out.Columns) > most {
		return out, errAt(p.last().span, "UNNEST gives %d columns, there are %d names", most, len(out.Columns))
	}
	return out, p.wantOp(")", "to close the names of the columns")
}

func (p *parser) condition(j *Join) *Error {
	switch {
	case j.Kind == "cross":
		if j.Table.Unnest == nil {
			return errAt(span{j.At.Pos, j.At.End}, "CROSS JOIN is for UNNEST only: a join with a reference table needs ON")
		}
		return nil
	case p.takeWord("using"):
		if err := p.wantOp("(", "after USING"); err != nil {
			return err
		}
		for {
			t := p.take()
			if !isName(t) {
				return errAt(t.span, "expected a column in USING, not %s", t.describe())
			}
			j.Using = append(j.Using, folded(t))
			if !p.takeOp(",") {
				break
			}
		}
		return p.wantOp(")", "to close USING")
	}
	if err := p.wantWord("on", "after the joined table"); err != nil {
		return err
	}
	_, x, err := p.fragment()
	if err != nil {
		return err
	}
	p.conjuncts(x, j)
	return nil
}

// conjuncts takes an ON apart at its ANDs.
func (p *parser) conjuncts(x syntax, j *Join) {
	b, ok := x.(*binaryOp)
	if ok && b.op == "AND" {
		p.conjuncts(b.x, j)
		p.conjuncts(b.y, j)
		return
	}
	c := Condition{At: placeOf(x.place())}
	if ok && binaryPower[b.op] == bpCompare {
		c.Op, c.Left, c.Right = b.op, p.ofSpan(b.x.place()), p.ofSpan(b.y.place())
	} else {
		c.Left = p.ofSpan(x.place())
	}
	j.On = append(j.On, c)
}
