package expr

// Order is one item of an ORDER BY: an expression as text, with its place in the source, and the direction.
type Order struct {
	Source     string
	Pos        int
	Desc       bool
	NullsFirst bool
}

// ParseOrder parses src as the items of an ORDER BY, without binding them: expressions, each with ASC or DESC and NULLS FIRST or
// NULLS LAST behind it or not. Nulls come last, and first under DESC, as in PostgreSQL. The error is an *Error.
func ParseOrder(src string) ([]Order, error) {
	p, err := newParser(src)
	if err != nil {
		return nil, err
	}
	var out []Order
	for {
		from := p.peek()
		if from.kind == tokEOF {
			return nil, errAt(from.span, "expected a column or an expression to order by, not %s", from.describe())
		}
		o, err := p.orderItem()
		if err != nil {
			return nil, err
		}
		out = append(out, o)
		if p.takeOp(",") {
			continue
		}
		if t := p.peek(); t.kind != tokEOF {
			return nil, errAt(t.span, "unexpected %s: an order is asc or desc, then nulls first or nulls last", t.describe())
		}
		return out, nil
	}
}

// orderItem parses an expression with its direction and where its nulls go.
func (p *parser) orderItem() (Order, *Error) {
	from := p.peek().pos
	if _, err := p.expr(0); err != nil {
		return Order{}, err
	}
	o := Order{Source: p.src[from:p.last().end], Pos: from}
	if o.Desc = p.takeWord("desc"); !o.Desc {
		p.takeWord("asc")
	}
	o.NullsFirst = o.Desc
	if p.takeWord("nulls") {
		if o.NullsFirst = p.takeWord("first"); !o.NullsFirst {
			return o, p.wantWord("last", "or FIRST after NULLS")
		}
	}
	return o, nil
}
