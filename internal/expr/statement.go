package expr

import "strings"

// Select is one SELECT statement taken apart into its clauses. Its expressions are kept as text with places, not bound: whoever makes steps of
// the statement rewrites them (Fragment) and hands them on as text.
type Select struct {
	With     []Named // WITH name AS (…), in order
	Distinct bool
	Items    []SelectItem
	From     Table
	Joins    []Join
	Where    *Fragment // nil if absent, as the clauses below
	Group    []Grouping
	GroupAll bool // GROUP BY ALL: by all items that hold no aggregate function
	Having   *Fragment
	Qualify  *Fragment
	Unions   []Union // what stands behind it; ORDER BY and LIMIT are those of all of them together
	Order    []OrderItem
	Limit    *Fragment
	Offset   *Fragment
	windows  []window
}

// Union is UNION [ALL] [BY NAME] and the SELECT behind it.
type Union struct {
	At          Place
	All, ByName bool
	Query       *Select
}

// Named is a query with a name.
type Named struct {
	Name  string
	At    Place
	Query *Select
}

// Place is a range of bytes of the statement.
type Place struct{ Pos, End int }

func placeOf(s span) Place { return Place{s.pos, s.end} }

// SelectItem is one item of the list behind SELECT: a star, of one table or of all, or an expression.
type SelectItem struct {
	At      Place
	Star    bool
	Of      string   // the table in t.*; "" for *
	Exclude []string // of a star
	Expr    Fragment // without Star
	Alias   string   // "" without AS
}

// Grouping is one item of GROUP BY. Kind is "" for an expression (Sets[0][0]), else rollup, cube or sets.
type Grouping struct {
	At   Place
	Kind string
	Sets [][]Fragment // of rollup and cube, each element is a set of one or more expressions
}

// OrderItem is one item of ORDER BY; Rest is what follows the expression: DESC, NULLS FIRST.
type OrderItem struct {
	Expr Fragment
	Rest string
}

// clauseWords cannot be aliases without AS: they begin the next clause.
var clauseWords = map[string]bool{"from": true, "where": true, "group": true, "having": true, "qualify": true, "order": true, "limit": true, "offset": true,
	"join": true, "inner": true, "left": true, "right": true, "full": true, "cross": true, "semi": true, "anti": true, "natural": true, "on": true, "using": true,
	"union": true, "intersect": true, "except": true, "window": true, "fetch": true, "with": true, "select": true, "exclude": true, "asc": true, "desc": true, "nulls": true}

// ParseSelect parses src as one SELECT statement, with or without a semicolon at its end. The error is an *Error with the place in src.
func ParseSelect(src string) (*Select, error) {
	src = strings.TrimRight(src, " \t\r\n")
	src = strings.TrimSuffix(src, ";")
	p, err := newParser(src)
	if err != nil {
		return nil, err
	}
	p.statement = true
	s, err := p.query()
	if err != nil {
		return nil, err
	}
	if t := p.peek(); t.kind != tokEOF {
		if w := t.low; w == "intersect" || w == "except" {
			return nil, errAt(t.span, "%s is not supported: use SEMI JOIN or ANTI JOIN with a reference table", t.describe())
		}
		return nil, errAt(t.span, "unexpected %s: expected the next clause or the end of the statement", t.describe())
	}
	return s, nil
}

// query parses [WITH …] SELECT ….
func (p *parser) query() (*Select, *Error) {
	p.depth++
	defer func() { p.depth-- }()
	if p.depth > maxDepth {
		return nil, errAt(p.peek().span, "statement is nested deeper than %d", maxDepth)
	}
	s := &Select{}
	if p.takeWord("with") {
		if p.isWord("recursive") {
			return nil, errAt(p.peek().span, "WITH RECURSIVE is not supported")
		}
		for {
			t := p.take()
			if !isName(t) {
				return nil, errAt(t.span, "expected a name after WITH, not %s", t.describe())
			}
			if err := p.wantWord("as", "after the name in WITH"); err != nil {
				return nil, err
			}
			q, err := p.parenQuery()
			if err != nil {
				return nil, err
			}
			s.With = append(s.With, Named{folded(t), placeOf(t.span), q})
			if !p.takeOp(",") {
				break
			}
		}
	}
	if err := p.core(s); err != nil {
		return nil, err
	}
	for p.isWord("union") {
		u := Union{At: placeOf(p.take().span), All: p.takeWord("all")}
		if !u.All {
			p.takeWord("distinct")
		}
		if p.takeWord("by") {
			if err := p.wantWord("name", "after UNION BY"); err != nil {
				return nil, err
			}
			u.ByName = true
		}
		var err *Error
		if p.isOp("(") {
			u.Query, err = p.parenQuery()
		} else {
			u.Query = &Select{}
			err = p.core(u.Query)
		}
		if err != nil {
			return nil, err
		}
		s.Unions = append(s.Unions, u)
	}
	for _, clause := range []func(*Select) *Error{p.orderBy, p.limit, (*Select).nameWindows} {
		if err := clause(s); err != nil {
			return nil, err
		}
	}
	for _, u := range s.Unions {
		if err := u.Query.nameWindows(); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// core parses a SELECT up to what a union of several has in common.
func (p *parser) core(s *Select) *Error {
	if err := p.wantWord("select", "to begin the statement"); err != nil {
		return err
	}
	if p.takeWord("distinct") {
		s.Distinct = true
		if p.isWord("on") {
			return errAt(p.peek().span, "DISTINCT ON is not supported: use QUALIFY row_number() OVER (PARTITION BY … ORDER BY …) = 1")
		}
	} else {
		p.takeWord("all")
	}
	for _, clause := range []func(*Select) *Error{p.selectItems, p.from, p.where, p.groupBy, p.filters} {
		if err := clause(s); err != nil {
			return err
		}
	}
	return nil
}

func (p *parser) parenQuery() (*Select, *Error) {
	if err := p.wantOp("(", "before the query"); err != nil {
		return nil, err
	}
	q, err := p.query()
	if err != nil {
		return nil, err
	}
	return q, p.wantOp(")", "to close the query")
}

func isName(t token) bool {
	return t.kind == tokQuoted || t.kind == tokIdent && !reserved[t.low] && !clauseWords[t.low]
}

// folded is the name that t stands for: unquoted ones are those of columns as written, since columns are found without regard to case.
func folded(t token) string { return t.text }

// fragment parses one expression and gives its text.
func (p *parser) fragment() (Fragment, syntax, *Error) {
	if t := p.peek(); t.kind == tokEOF || t.kind == tokIdent && clauseWords[t.low] && p.peekAt(1).text != "(" {
		return Fragment{}, nil, errAt(t.span, "expected an expression, not %s", t.describe())
	}
	from := p.at
	x, err := p.expr(0)
	if err != nil {
		return Fragment{}, nil, err
	}
	return p.cut(from, p.at), x, nil
}

// cut is the text of the tokens from to before to.
func (p *parser) cut(from, to int) Fragment {
	a, b := p.toks[from].pos, p.toks[to-1].end
	f := Fragment{text: p.src[a:b], toks: make([]token, to-from), places: make([]int, b-a+1)}
	for i := range f.places {
		f.places[i] = a + i
	}
	for i, t := range p.toks[from:to] {
		t.pos, t.end = t.pos-a, t.end-a
		f.toks[i] = t
	}
	return f
}

// ofSpan is the text of the tokens within s.
func (p *parser) ofSpan(s span) Fragment {
	from := 0
	for p.toks[from].pos < s.pos {
		from++
	}
	to := from
	for p.toks[to].kind != tokEOF && p.toks[to].end <= s.end {
		to++
	}
	return p.cut(from, to)
}

func (p *parser) fragments(where string) ([]Fragment, *Error) {
	var out []Fragment
	for {
		f, _, err := p.fragment()
		if err != nil {
			return nil, err
		}
		out = append(out, f)
		if !p.takeOp(",") {
			return out, nil
		}
		if p.isOp(")") {
			return nil, errAt(p.peek().span, "expected an expression in the %s", where)
		}
	}
}

func (p *parser) selectItems(s *Select) *Error {
	for {
		it, err := p.selectItem()
		if err != nil {
			return err
		}
		s.Items = append(s.Items, it)
		if !p.takeOp(",") {
			return nil
		}
	}
}

func (p *parser) selectItem() (SelectItem, *Error) {
	t := p.peek()
	it := SelectItem{At: placeOf(t.span)}
	switch {
	case p.takeOp("*"):
		it.Star = true
	case isName(t) && p.peekAt(1).text == "." && p.peekAt(2).kind == tokOp && p.peekAt(2).text == "*":
		p.at += 3
		it.Star, it.Of = true, folded(t)
	}
	if it.Star {
		if p.takeWord("exclude") || p.isWord("except") && p.peekAt(1).text == "(" && p.takeWord("except") {
			paren := p.takeOp("(")
			for {
				t := p.take()
				if !isName(t) {
					return it, errAt(t.span, "expected the name of a column to leave out, not %s", t.describe())
				}
				it.Exclude = append(it.Exclude, folded(t))
				if !paren || !p.takeOp(",") {
					break
				}
			}
			if paren {
				if err := p.wantOp(")", "to close EXCLUDE"); err != nil {
					return it, err
				}
			}
		}
		it.At.End = p.last().end
		return it, nil
	}
	f, _, err := p.fragment()
	if err != nil {
		return it, err
	}
	it.Expr = f
	if it.Alias, err = p.alias(); err != nil {
		return it, err
	}
	it.At.End = p.last().end
	return it, nil
}

// alias parses [AS] name, "" if there is none.
func (p *parser) alias() (string, *Error) {
	if p.takeWord("as") {
		t := p.take()
		if t.kind != tokQuoted && t.kind != tokIdent {
			return "", errAt(t.span, "expected a name after AS, not %s", t.describe())
		}
		return folded(t), nil
	}
	if t := p.peek(); isName(t) {
		p.take()
		return folded(t), nil
	}
	return "", nil
}

func (p *parser) where(s *Select) *Error { return p.optional("where", &s.Where) }

// filters parses HAVING and QUALIFY.
func (p *parser) filters(s *Select) *Error {
	if err := p.optional("having", &s.Having); err != nil {
		return err
	}
	var windows []window
	if p.takeWord("window") {
		for {
			w, err := p.namedWindow(windows)
			if err != nil {
				return err
			}
			windows = append(windows, w)
			if !p.takeOp(",") {
				break
			}
		}
	}
	if err := p.optional("qualify", &s.Qualify); err != nil {
		return err
	}
	s.windows = windows
	return nil
}

func (p *parser) optional(word string, to **Fragment) *Error {
	if !p.takeWord(word) {
		return nil
	}
	f, _, err := p.fragment()
	if err == nil {
		*to = &f
	}
	return err
}

func (p *parser) orderBy(s *Select) *Error {
	if !p.takeWord("order") {
		return nil
	}
	if err := p.wantWord("by", "after ORDER"); err != nil {
		return err
	}
	for {
		f, _, err := p.fragment()
		if err != nil {
			return err
		}
		o := OrderItem{Expr: f}
		if p.takeWord("asc") {
			o.Rest = " asc"
		} else if p.takeWord("desc") {
			o.Rest = " desc"
		}
		if p.takeWord("nulls") {
			switch {
			case p.takeWord("first"):
				o.Rest += " nulls first"
			case p.takeWord("last"):
				o.Rest += " nulls last"
			default:
				return errAt(p.peek().span, "expected FIRST or LAST after NULLS, not %s", p.peek().describe())
			}
		}
		s.Order = append(s.Order, o)
		if !p.takeOp(",") {
			return nil
		}
	}
}

func (p *parser) limit(s *Select) *Error {
	for range 2 { // in either order
		if p.isWord("limit") && s.Limit == nil {
			if err := p.optional("limit", &s.Limit); err != nil {
				return err
			}
		}
		if p.isWord("offset") && s.Offset == nil {
			if err := p.optional("offset", &s.Offset); err != nil {
				return err
			}
			if !p.takeWord("rows") {
				p.takeWord("row")
			}
		}
	}
	if p.isWord("fetch") {
		return errAt(p.peek().span, "FETCH is not supported: use LIMIT")
	}
	return nil
}
