package expr

import "strings"

// call parses the arguments of function t; the special forms of the standard become plain calls.
func (p *parser) call(t token) (syntax, *Error) {
	if p.isAggregate != nil && p.isAggregate(t.low) {
		return p.aggregate(t)
	}
	if p.statement { // which function is an aggregate is not known here
		a := &aggregated{}
		if err := p.clauses(t, a); err != nil {
			return nil, err
		}
		if err := p.window(); err != nil {
			return nil, err
		}
		a.call.end = p.last().end
		return a.call, nil
	}
	return p.plainCall(t, nil)
}

// plainCall parses a call; of is the aggregate that it is of, which may have ORDER BY behind its arguments, or nil.
func (p *parser) plainCall(t token, of *aggregated) (*call, *Error) {
	p.take() // (
	n := &call{name: t.low, at: t.span}
	var err *Error
	switch {
	case t.low == "extract" && (p.peek().kind == tokIdent || p.peek().kind == tokString) && p.peekAt(1).low == "from":
		field := p.take()
		p.take() // FROM
		n.name = "date_part"
		n.add(&literal{field.span, litString, strings.ToLower(field.text)}, field.span)
		err = p.arg(n)
	case t.low == "trim":
		err = p.trim(n)
	case t.low == "position":
		err = p.position(n)
	case t.low == "overlay":
		err = p.overlay(n)
	case p.isOp("*") && p.peekAt(1).kind == tokOp && p.peekAt(1).text == ")":
		p.take()
		n.star = true
	default:
		if p.takeWord("distinct") {
			n.distinct = true
		}
		if !p.isOp(")") || n.distinct {
			err = p.args(n)
		}
	}
	if err != nil {
		return nil, err
	}
	if of != nil && p.isWord("order") {
		if of.order, err = p.ordering(); err != nil {
			return nil, err
		}
	}
	if err := p.wantOp(")", "to close the arguments of "+t.low); err != nil {
		return nil, err
	}
	n.span = span{t.pos, p.last().end}
	p.bareUnit(n)
	return n, nil
}

func (n *call) add(x syntax, at span) {
	n.args = append(n.args, x)
	n.argAt = append(n.argAt, at)
}

func (p *parser) arg(n *call) *Error {
	from := p.peek().pos
	x, err := p.expr(0)
	if err == nil {
		n.add(x, span{from, p.last().end})
	}
	return err
}

// args parses a, b, c and substring's FROM … FOR ….
func (p *parser) args(n *call) *Error {
	if err := p.arg(n); err != nil {
		return err
	}
	if n.name == "substring" && (p.isWord("from") || p.isWord("for")) {
		if p.takeWord("from") {
			if err := p.arg(n); err != nil {
				return err
			}
		} else {
			n.add(&literal{p.peek().span, litNumber, "1"}, p.peek().span)
		}
		if p.takeWord("for") {
			return p.arg(n)
		}
		return nil
	}
	for p.takeOp(",") {
		if err := p.arg(n); err != nil {
			return err
		}
	}
	return nil
}

// trim parses trim([LEADING | TRAILING | BOTH] [characters] FROM string) as well as trim(string, characters).
func (p *parser) trim(n *call) *Error {
	n.name = "btrim"
	words := map[string]string{"leading": "ltrim", "trailing": "rtrim", "both": "btrim"}
	if f, ok := words[p.peek().low]; ok && p.peek().kind == tokIdent {
		next := p.peekAt(1)
		if !(next.kind == tokOp && (next.text == ")" || next.text == ",")) { // a column may be called both
			n.name = f
			p.take()
			if p.takeWord("from") {
				return p.arg(n)
			}
		}
	}
	if p.takeWord("from") {
		return p.arg(n)
	}
	if err := p.arg(n); err != nil {
		return err
	}
	if p.takeWord("from") {
		chars, at := n.args[0], n.argAt[0]
		n.args, n.argAt = nil, nil
		if err := p.arg(n); err != nil {
			return err
		}
		n.add(chars, at)
		return nil
	}
	for p.takeOp(",") {
		if err := p.arg(n); err != nil {
			return err
		}
	}
	return nil
}

// position parses position(part IN string), which is strpos(string, part).
func (p *parser) position(n *call) *Error {
	from := p.peek().pos
	part, err := p.expr(bpMember + 1)
	if err != nil {
		return err
	}
	at := span{from, p.last().end}
	n.name = "strpos"
	if err := p.wantWord("in", "in position(part IN string)"); err != nil {
		return err
	}
	if err := p.arg(n); err != nil {
		return err
	}
	n.add(part, at)
	return nil
}

// soleCall parses the call that src begins with.
func (p *parser) soleCall(src string) (*Call, *Error) {
	t := p.peek()
	if t.kind != tokIdent || reserved[t.low] || p.peekAt(1).kind != tokOp || p.peekAt(1).text != "(" {
		return nil, errAt(t.span, "expected a function call such as sum(x), not %s", t.describe())
	}
	p.take()
	x, err := p.call(t)
	if err != nil {
		return nil, err
	}
	n := x.(*call)
	out := &Call{Name: t.low, Pos: n.at.pos, Star: n.star, Distinct: n.distinct}
	for _, a := range n.argAt {
		out.Args = append(out.Args, Arg{Source: src[a.pos:a.end], Pos: a.pos})
	}
	return out, nil
}
