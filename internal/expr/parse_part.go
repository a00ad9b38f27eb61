package expr

import "strings"

type (
	// subscript is x[index], or x[lo:hi] where either bound may be missing.
	subscript struct {
		span
		x, index, hi syntax // index is the lower bound of a slice
		slice        bool
	}
	// fieldOf is (x).field; a field of a column is part of its name.
	fieldOf struct {
		span
		x     syntax
		field namePart
	}
	// arrayOf is ARRAY[a, b].
	arrayOf struct {
		span
		list []syntax
	}
)

func (n *subscript) print(b *strings.Builder) {
	operand(b, n.x)
	b.WriteByte('[')
	if n.index != nil {
		n.index.print(b)
	}
	if n.slice {
		b.WriteString(" : ")
	}
	if n.hi != nil {
		n.hi.print(b)
	}
	b.WriteByte(']')
}

func (n *fieldOf) print(b *strings.Builder) {
	b.WriteByte('(')
	n.x.print(b)
	b.WriteString(").")
	if n.field.quoted {
		quoteName(b, n.field.text)
	} else {
		b.WriteString(n.field.text)
	}
}

func (n *arrayOf) print(b *strings.Builder) {
	b.WriteString("ARRAY[")
	printList(b, n.list)
	b.WriteByte(']')
}

// part parses what follows the [ or . behind x.
func (p *parser) part(x syntax, t token, to func() span) (syntax, *Error) {
	if t.text == "." {
		f := p.take()
		if f.kind != tokIdent && f.kind != tokQuoted {
			return nil, errAt(f.span, `expected a field name after ".", not %s`, f.describe())
		}
		return &fieldOf{to(), x, namePart{f.span, f.text, f.kind == tokQuoted}}, nil
	}
	n := &subscript{x: x}
	var err *Error
	if !p.isOp(":") {
		if n.index, err = p.expr(0); err != nil {
			return nil, err
		}
	}
	if n.slice = p.takeOp(":"); n.slice && !p.isOp("]") {
		if n.hi, err = p.expr(0); err != nil {
			return nil, err
		}
	}
	if err := p.wantOp("]", "to close the subscript"); err != nil {
		return nil, err
	}
	n.span = to()
	return n, nil
}

// array parses the elements of ARRAY[…]; the opening bracket is taken.
func (p *parser) array(t token) (syntax, *Error) {
	n := &arrayOf{}
	for !p.takeOp("]") {
		if len(n.list) > 0 && !p.takeOp(",") {
			return nil, errAt(p.peek().span, `expected "," or "]" in ARRAY[…], not %s`, p.peek().describe())
		}
		x, err := p.expr(0)
		if err != nil {
			return nil, err
		}
		n.list = append(n.list, x)
	}
	n.span = span{t.pos, p.last().end}
	return n, nil
}

// overlay parses overlay(s PLACING part FROM a [FOR n]) as well as overlay(s, part, a, n).
func (p *parser) overlay(n *call) *Error {
	if err := p.arg(n); err != nil {
		return err
	}
	if !p.takeWord("placing") {
		for p.takeOp(",") {
			if err := p.arg(n); err != nil {
				return err
			}
		}
		return nil
	}
	if err := p.arg(n); err != nil {
		return err
	}
	if err := p.wantWord("from", "in overlay(string PLACING part FROM position)"); err != nil {
		return err
	}
	if err := p.arg(n); err != nil {
		return err
	}
	if p.takeWord("for") {
		return p.arg(n)
	}
	return nil
}
