package expr

import "strings"

// quantified is x op ANY (list) or x op ALL (list).
type quantified struct {
	span
	op      string
	all     bool
	x, list syntax
}

func (n *quantified) print(b *strings.Builder) {
	operand(b, n.x)
	b.WriteString(" " + n.op)
	if n.all {
		b.WriteString(" ALL (")
	} else {
		b.WriteString(" ANY (")
	}
	n.list.print(b)
	b.WriteByte(')')
}

// isQuantifier reports whether ANY (, SOME ( or ALL ( comes next.
func (p *parser) isQuantifier() bool {
	next := p.peekAt(1)
	return (p.isWord("any") || p.isWord("some") || p.isWord("all")) && next.kind == tokOp && next.text == "("
}

func (p *parser) quantified(x syntax, op string, to func() span) (syntax, *Error) {
	n := &quantified{op: op, x: x, all: p.take().low == "all"}
	p.take() // (
	var err *Error
	if n.list, err = p.expr(0); err != nil {
		return nil, err
	}
	if err := p.wantOp(")", "to close the list"); err != nil {
		return nil, err
	}
	n.span = to()
	return n, nil
}

// quantified binds x op ANY or ALL of a list. ALL is true where no element makes the opposite true.
func (b *binder) quantified(n *quantified) (node, *Error) {
	args, err := b.bindAll([]syntax{n.x, n.list})
	if err != nil {
		return nil, err
	}
	c := &call{span: n.span, name: "ANY", at: n.span, args: []syntax{n.list, n.x}}
	x, list := args[0], args[1]
	if t := list.typ(); t.kind != kList && t.kind != kNull {
		return nil, errAt(n.list.place(), "ANY and ALL take a list, not %s: use IN for values written out", t)
	}
	list, x, t, err := b.alikeElement(c, list, x, n.list.place(), n.x.place())
	if err != nil {
		return nil, err
	}
	if !t.kind.printable() || t.json {
		return nil, errAt(n.span, "there is nothing to compare %s by", t)
	}
	op := compareOps[n.op]
	if n.all {
		op.negate = !op.negate
	}
	out := fold(&function{t: simple(kBool), args: []node{list, x}, src: b.text(n.span), maybe: true, run: anyKernel(t.kind, op)})
	return b.negated(n.all, out, n.span), nil
}

// anyKernel is true where x op an element is, and null where none is but one is null.
func anyKernel(k kind, op compareOp) kernel {
	return func(f *function, r *run, _ []byte, args []*vector) *vector {
		list, x := r.spread(args[0]), r.spread(args[1])
		out := &vector{typ: f.t, n: r.n, data: r.zeroBitmap(), valid: list.valid}
		elems, rows := r.flat(list, list.valid)
		elem := r.gather(list.elem, elems)
		var hit []byte
		right := r.gather(x, rows)
		r.rows(len(elems), func() { hit = r.compare(op, k, right, elem) })
		var open []int32
		for j, row := range rows {
			switch {
			case elem.isNull(j) || right.isNull(j):
				open = append(open, row)
			case bit(hit, j):
				setBit(out.data, int(row))
			}
		}
		for _, row := range open {
			if !bit(out.data, int(row)) {
				r.setNull(out, int(row))
			}
		}
		return out
	}
}
