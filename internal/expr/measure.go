package expr

import (
	"strings"

	"github.com/apache/arrow/go/v17/arrow"
)

// Measure is an expression over aggregate functions, such as sum(a) / count(*) or percentile_cont(0.5) WITHIN GROUP (ORDER BY fare).
// What is outside of their arguments is computed once for each group, from their results and the group's keys.
type Measure struct {
	// Calls are the aggregates, in the order written.
	Calls []*Call
	src   string
	tree  syntax
}

// Call is the call of an aggregate function taken apart. Its arguments are text, to be compiled against the rows.
type Call struct {
	Name     string // lower case
	Source   string // all of it, as written
	Pos      int    // where it begins in the measure
	Star     bool   // f(*)
	Distinct bool   // f(DISTINCT …)
	Args     []Arg
	Order    []Order // of ORDER BY behind the arguments, or of WITHIN GROUP
	Within   bool    // Order is WITHIN GROUP's
	Filter   *Arg    // the condition of FILTER (WHERE …), or nil
}

// Arg is an argument of a Call as text, with its place in the source.
type Arg struct {
	Source string
	Pos    int
}

// ParseMeasure parses src; isAggregate tells the aggregate functions by their lower-case names. The error is an *Error.
func ParseMeasure(src string, isAggregate func(name string) bool) (*Measure, error) {
	p, err := newParser(src)
	if err != nil {
		return nil, err
	}
	p.isAggregate = isAggregate
	tree, err := p.whole()
	if err != nil {
		return nil, err
	}
	m := &Measure{src: src, tree: tree}
	for _, a := range p.aggregates {
		m.Calls = append(m.Calls, a.taken(src))
	}
	return m, nil
}

// Source is the measure as written.
func (m *Measure) Source() string { return m.src }

// Lone reports whether the measure is one aggregate and nothing else.
func (m *Measure) Lone() bool {
	_, ok := m.tree.(*aggregated)
	return ok
}

// Compile binds the measure to groups, whose columns are keys and results: columns[i] is the name of the one that has the results of
// Calls[i]. input is the schema of the rows, for messages. The error is an *Error.
func (m *Measure) Compile(columns []string, groups, input *arrow.Schema, env Env) (*Program, error) {
	b := &binder{}
	p, err := b.program(m.src, &bindable{tree: m.tree, schema: groups, env: env, calls: append([]string{}, columns...), input: input})
	if err != nil {
		return nil, err
	}
	p.slots = b.slots
	return p, nil
}

// aggregated is the call of an aggregate function in a measure.
type aggregated struct {
	span
	call   *call
	index  int // among the measure's
	order  []Order
	within bool
	filter *Arg
}

// taken is the call as others see it.
func (a *aggregated) taken(src string) *Call {
	arg := func(at span) Arg { return Arg{Source: src[at.pos:at.end], Pos: at.pos} }
	c := &Call{Name: a.call.name, Source: src[a.pos:a.end], Pos: a.pos, Star: a.call.star, Distinct: a.call.distinct, Order: a.order, Within: a.within, Filter: a.filter}
	for _, at := range a.call.argAt {
		c.Args = append(c.Args, arg(at))
	}
	return c
}

// aggregate parses the call of the aggregate function t and its clauses.
func (p *parser) aggregate(t token) (syntax, *Error) {
	if p.inside != nil {
		return nil, errAt(t.span, "%s is inside another aggregate function: aggregate the result of this step in a second one", t.low)
	}
	a := &aggregated{index: len(p.aggregates)}
	p.aggregates = append(p.aggregates, a)
	p.inside = a
	defer func() { p.inside = nil }()
	if err := p.clauses(t, a); err != nil {
		return nil, err
	}
	if p.isWord("over") && p.peekAt(1).text == "(" {
		return nil, errAt(p.peek().span, "window functions (OVER) do not go into a measure")
	}
	a.span = span{t.pos, p.last().end}
	return a, nil
}

// clauses parses the arguments of t and what may follow them: WITHIN GROUP and FILTER.
func (p *parser) clauses(t token, a *aggregated) (err *Error) {
	if a.call, err = p.plainCall(t, a); err != nil {
		return err
	}
	if p.isWord("within") && p.peekAt(1).low == "group" {
		at := p.take()
		p.take()
		if len(a.order) > 0 {
			return errAt(at.span, "%s has an ORDER BY already", t.low)
		}
		if err := p.wantOp("(", "after WITHIN GROUP"); err != nil {
			return err
		}
		if a.order, err = p.ordering(); err != nil {
			return err
		}
		if err := p.wantOp(")", "to close WITHIN GROUP"); err != nil {
			return err
		}
		a.within = true
	}
	a.filter, err = p.filter()
	return err
}

// filter parses FILTER (WHERE …), nil if there is none.
func (p *parser) filter() (*Arg, *Error) {
	if !p.isWord("filter") || p.peekAt(1).text != "(" {
		return nil, nil
	}
	p.at += 2
	if err := p.wantWord("where", "in FILTER (WHERE condition)"); err != nil {
		return nil, err
	}
	from := p.peek().pos
	if _, err := p.expr(0); err != nil {
		return nil, err
	}
	a := &Arg{Source: p.src[from:p.last().end], Pos: from}
	return a, p.wantOp(")", "to close FILTER")
}

// ordering parses ORDER BY and its items.
func (p *parser) ordering() ([]Order, *Error) {
	if err := p.wantWord("order", "BY"); err != nil {
		return nil, err
	}
	if err := p.wantWord("by", "after ORDER"); err != nil {
		return nil, err
	}
	var out []Order
	for {
		o, err := p.orderItem()
		if err != nil {
			return nil, err
		}
		out = append(out, o)
		if !p.takeOp(",") {
			return out, nil
		}
	}
}

func (a *aggregated) print(b *strings.Builder) {
	a.call.print(b)
	order := func() {
		b.WriteString("ORDER BY ")
		for i, k := range a.order {
			if i > 0 {
				b.WriteString(", ")
			}
			b.WriteString(k.Source)
			if k.Desc {
				b.WriteString(" DESC")
			}
			if k.NullsFirst {
				b.WriteString(" NULLS FIRST")
			} else {
				b.WriteString(" NULLS LAST")
			}
		}
	}
	if len(a.order) > 0 {
		b.WriteString(" WITHIN GROUP (")
		order()
		b.WriteByte(')')
	}
	if a.filter != nil {
		b.WriteString(" FILTER (WHERE " + a.filter.Source + ")")
	}
}
