package expr

import "strings"

func (b *binder) unary(n *unary) (node, *Error) {
	if lit, ok := n.x.(*literal); ok && n.op == "-" && lit.kind == litNumber {
		return b.number(lit, true)
	}
	x, err := b.bind(n.x)
	if err != nil {
		return nil, err
	}
	if n.op == "NOT" {
		if x, err = b.boolean(x, n.x.place(), "NOT"); err != nil {
			return nil, err
		}
		return b.call(simple(kBool), notKernel, false, n.span, x), nil
	}
	if n.op == "~" {
		return b.bitNot(n, x)
	}
	if x, err = b.untypedTo(x, simple(kFloat64), n.x.place()); err != nil {
		return nil, err
	}
	t := x.typ()
	switch {
	case t.kind == kNull:
		return nullNode(simple(kInt32)), nil
	case t.kind == kInterval && n.op == "-":
		return b.call(t, negateInterval, true, n.span, x), nil
	case !t.kind.numeric():
		return nil, errAt(n.span, "operator %s needs a number, not %s", n.op, t)
	case n.op == "+":
		return x, nil
	case t.kind.unsigned(): // the signed type twice as wide
		t = widest(t, simple(kInt8), false)
		if x, err = b.cast(x, t, n.span); err != nil {
			return nil, err
		}
	}
	return b.call(t, negate(t.kind), t.kind.integer(), n.span, x), nil
}

// untypedTo reads a string literal as t.
func (b *binder) untypedTo(x node, t typ, at span) (node, *Error) {
	if c, ok := x.(*constNode); ok && c.untyped {
		return b.cast(x, t, at)
	}
	return x, nil
}

func isUntyped(x node) bool {
	c, ok := x.(*constNode)
	return ok && (c.untyped || c.v.kind == kNull)
}

func (b *binder) binary(n *binaryOp) (node, *Error) {
	x, err := b.bind(n.x)
	if err != nil {
		return nil, err
	}
	y, err := b.bind(n.y)
	if err != nil {
		return nil, err
	}
	switch n.op {
	case "AND", "OR":
		if x, err = b.boolean(x, n.x.place(), n.op); err != nil {
			return nil, err
		}
		if y, err = b.boolean(y, n.y.place(), n.op); err != nil {
			return nil, err
		}
		return logic(n.op == "OR", x, y), nil
	case "||":
		return b.concat(n, x, y)
	case "->", "->>", "#>", "#>>":
		return b.jsonOperator(n, x, y)
	case "~", "~*", "!~", "!~*":
		return b.regexpOperator(n, x, y)
	case "&", "|", "#", "<<", ">>":
		return b.bitwise(n.op, x, y, n.x.place(), n.y.place(), n.span)
	case "+", "-", "*", "/", "%", "^":
		return b.arithmetic(n.op, x, y, n.x.place(), n.y.place(), n.span)
	}
	return b.compare(n.op, x, y, n.x.place(), n.y.place(), n.span)
}

// logic makes AND or OR, simplified where one side is constant.
func logic(or bool, x, y node) node {
	for i, side := range []node{x, y} {
		c, ok := side.(*constNode)
		if !ok || c.v.null {
			continue
		}
		if v := c.v.data[0]&1 != 0; v == or {
			return boolNode(or)
		}
		if i == 0 {
			return y
		}
		return x
	}
	return &logicNode{or: or, x: x, y: y}
}

func (b *binder) concat(n *binaryOp, x, y node) (node, *Error) {
	tx, ty := x.typ(), y.typ()
	if tx.kind == kList || ty.kind == kList {
		return b.joinLists(x, y, n.x.place(), n.y.place(), n.span)
	}
	if tx.kind == kBinary || ty.kind == kBinary {
		var err *Error
		if x, err = b.untypedTo(x, simple(kBinary), n.x.place()); err == nil {
			y, err = b.untypedTo(y, simple(kBinary), n.y.place())
		}
		if err != nil {
			return nil, err
		}
		if !okOrNull(x, kBinary) || !okOrNull(y, kBinary) {
			return nil, errAt(n.span, "operator || cannot join %s and %s: cast one side", tx, ty)
		}
		return b.call(simple(kBinary), concatKernel, false, n.span, x, y), nil
	}
	// as in PostgreSQL one side must be a string; the other is printed
	if tx.kind != kString && ty.kind != kString && tx.kind != kNull && ty.kind != kNull {
		return nil, errAt(n.span, "operator || joins strings, not %s and %s: cast one side to string", tx, ty)
	}
	args := []node{x, y}
	for i, at := range []span{n.x.place(), n.y.place()} {
		var err *Error
		if args[i], err = b.cast(args[i], simple(kString), at); err != nil {
			return nil, err
		}
	}
	return b.call(simple(kString), concatKernel, false, n.span, args...), nil
}

func okOrNull(x node, k kind) bool { return x.typ().kind == k || x.typ().kind == kNull }

func (b *binder) arithmetic(op string, x, y node, atX, atY, at span) (node, *Error) {
	tx, ty := x.typ(), y.typ()
	if tx.kind.temporal() || ty.kind.temporal() || tx.kind == kInterval || ty.kind == kInterval {
		return b.temporal(op, x, y, atX, atY, at)
	}
	var err *Error
	switch { // a string literal takes the type of the other side
	case isUntyped(x) && isUntyped(y):
		x, err = b.cast(x, simple(kInt32), atX)
		if err == nil {
			y, err = b.cast(y, simple(kInt32), atY)
		}
	case isUntyped(x) && ty.kind.numeric():
		x, err = b.literalAs(x, ty, atX)
	case isUntyped(y) && tx.kind.numeric():
		y, err = b.literalAs(y, tx, atY)
	}
	if err != nil {
		return nil, err
	}
	tx, ty = x.typ(), y.typ()
	if !tx.kind.numeric() || !ty.kind.numeric() {
		hint := ""
		if op == "+" && (tx.kind == kString || ty.kind == kString) {
			hint = ": join strings with ||, or cast the string to a number"
		}
		return nil, errAt(at, "operator %s does not work on %s and %s%s", op, tx, ty, hint)
	}
	if op == "^" {
		return b.power(x, y, atX, atY, at)
	}
	t := b.numericPair(x, y)
	if t.kind == kDecimal {
		// each side keeps its own scale: the kernel aligns them
		if x, err = b.cast(x, tx.asDecimalIf(), atX); err == nil {
			y, err = b.cast(y, ty.asDecimalIf(), atY)
		}
		if err != nil {
			return nil, err
		}
		result, reason := decimalResult(op, x.typ(), y.typ())
		if reason != "" {
			return nil, errAt(at, "%s", reason)
		}
		return b.call(result, arithmetic(op, kDecimal), true, at, x, y), nil
	}
	if x, err = b.cast(x, t, atX); err == nil {
		y, err = b.cast(y, t, atY)
	}
	if err != nil {
		return nil, err
	}
	return b.call(t, arithmetic(op, t.kind), true, at, x, y), nil
}

// literalAs reads a string literal (or NULL) beside a value of type t: as that very type, like PostgreSQL, except that beside a
// decimal it keeps its own digits.
func (b *binder) literalAs(x node, t typ, at span) (node, *Error) {
	if s, ok := constString(x); ok && t.kind == kDecimal {
		text := string(trimSpace([]byte(s)))
		negative := strings.HasPrefix(text, "-")
		if toks, err := lex(strings.TrimPrefix(text, "-")); err == nil && len(toks) == 2 && toks[0].kind == tokNumber {
			if n, err := b.number(&literal{at, litNumber, toks[0].text}, negative); err == nil && n.typ().kind != kFloat64 {
				return n, nil
			}
		}
	}
	return b.cast(x, t, at)
}

func (t typ) asDecimalIf() typ {
	if t.kind == kNull {
		return decimalOf(1, 0)
	}
	return t.asDecimal()
}

// numericPair is the type of arithmetic on x and y: widest, except that an integer literal stays uint64 beside uint64.
func (b *binder) numericPair(x, y node) typ {
	if t, ok := besideUint64(x, y); ok {
		return t
	}
	if t, ok := besideUint64(y, x); ok {
		return t
	}
	return widest(x.typ(), y.typ(), false)
}

func besideUint64(x, y node) (typ, bool) {
	c, ok := y.(*constNode)
	return x.typ(), ok && x.typ().kind == kUint64 && c.number && fitsUint(c)
}

// compare binds =, <>, <, <=, >, >=, IS [NOT] DISTINCT FROM.
func (b *binder) compare(op string, x, y node, atX, atY, at span) (node, *Error) {
	var err *Error
	switch {
	case isUntyped(x) && !isUntyped(y):
		x, err = b.literalAs(x, y.typ(), atX)
	case isUntyped(y) && !isUntyped(x):
		y, err = b.literalAs(y, x.typ(), atY)
	case isUntyped(x):
		x, err = b.cast(x, simple(kString), atX)
		if err == nil {
			y, err = b.cast(y, simple(kString), atY)
		}
	}
	if err != nil {
		return nil, err
	}
	tx, ty := x.typ(), y.typ()
	if tx.json || ty.json {
		return nil, errAt(at, "json has no order or equality: cast it to string first")
	}
	t, ok := unify(tx, ty)
	if tx.kind >= kList || ty.kind >= kList {
		switch {
		case tx.kind == kOpaque || ty.kind == kOpaque || ok && !t.comparable():
			return nil, errAt(at, "operator %s does not work on %s and %s: only IS NULL does", op, tx, ty)
		case ok && compareOps[op].less:
			return nil, errAt(at, "operator %s does not work on %s: lists and structs have no order", op, t)
		}
	}
	if !ok {
		return nil, errAt(at, "cannot compare %s with %s: cast one side", tx, ty)
	}
	isDistinct := op == "IS DISTINCT FROM" || op == "IS NOT DISTINCT FROM"
	if tx.kind.numeric() && ty.kind.numeric() {
		t = b.comparePair(x, y, t)
		if tx.kind.integer() && ty.kind.integer() && t.kind == kDecimal && !isDistinct { // uint64 with a signed integer
			u, s, swapped, atS := x, y, false, atY
			if ty.kind == kUint64 {
				u, s, swapped, atS = y, x, true, atX
			}
			if s, err = b.cast(s, simple(kInt64), atS); err != nil {
				return nil, err
			}
			return b.call(simple(kBool), compareMixed(compareOps[op], swapped), false, at, u, s), nil
		}
	}
	if t.kind == kDecimal { // compared at their own scales, so nothing overflows
		if x, err = b.cast(x, tx.asDecimalIf(), atX); err == nil {
			y, err = b.cast(y, ty.asDecimalIf(), atY)
		}
	} else if x, err = b.cast(x, t, atX); err == nil {
		y, err = b.cast(y, t, atY)
	}
	if err != nil {
		return nil, err
	}
	if isDistinct {
		return fold(&function{t: simple(kBool), args: []node{x, y}, run: distinct(op == "IS NOT DISTINCT FROM", t.kind), lenient: true, never: true, src: b.text(at)}), nil
	}
	return b.call(simple(kBool), compareKernel(compareOps[op], t.kind), false, at, x, y), nil
}

// comparePair keeps the column's type beside an integer literal that it can hold, so that the column needs no widening.
func (b *binder) comparePair(x, y node, t typ) typ {
	for _, p := range [][2]node{{x, y}, {y, x}} {
		c, ok := p[1].(*constNode)
		k := p[0].typ().kind
		if !ok || !c.number || !k.integer() || c.v.kind == kDecimal && k != kUint64 {
			continue
		}
		if k == kUint64 && !fitsUint(c) {
			continue
		}
		kern, mayFail := castKernel(c.v.typ, simple(k))
		f := &function{t: simple(k), args: []node{c}, run: kern, mayFail: mayFail}
		if _, ok := fold(f).(*constNode); ok || c.v.kind == k {
			return simple(k)
		}
	}
	return t
}

func (b *binder) between(n *between) (node, *Error) {
	x, err := b.bind(n.x)
	if err != nil {
		return nil, err
	}
	x, let := b.share(x)
	lo, err := b.bind(n.lo)
	if err != nil {
		return nil, err
	}
	hi, err := b.bind(n.hi)
	if err != nil {
		return nil, err
	}
	within := func(lo, hi node, atLo, atHi span) (node, *Error) {
		ge, err := b.compare(">=", x, lo, n.x.place(), atLo, n.span)
		if err != nil {
			return nil, err
		}
		le, err := b.compare("<=", x, hi, n.x.place(), atHi, n.span)
		if err != nil {
			return nil, err
		}
		return logic(false, ge, le), nil
	}
	out, err := within(lo, hi, n.lo.place(), n.hi.place())
	if err != nil {
		return nil, err
	}
	if n.symmetric {
		swapped, err := within(hi, lo, n.hi.place(), n.lo.place())
		if err != nil {
			return nil, err
		}
		out = logic(true, out, swapped)
	}
	return b.negated(n.not, wrap(let, out), n.span), nil
}

func wrap(let *letNode, body node) node {
	if let == nil {
		return body
	}
	let.body = body
	return let
}

func (b *binder) negated(not bool, x node, at span) node {
	if !not {
		return x
	}
	return b.call(simple(kBool), notKernel, false, at, x)
}

// in binds x IN (list): a set for constants of x's type, and an OR of comparisons for the rest.
func (b *binder) in(n *inList) (node, *Error) {
	x, err := b.bind(n.x)
	if err != nil {
		return nil, err
	}
	x, let := b.share(x)
	set := newConstSet(x.typ())
	var out node
	for _, item := range n.list {
		y, err := b.bind(item)
		if err != nil {
			return nil, err
		}
		if set != nil && set.add(b, y, item.place()) {
			continue
		}
		eq, err := b.compare("=", x, y, n.x.place(), item.place(), item.place())
		if err != nil {
			return nil, err
		}
		if out == nil {
			out = eq
		} else {
			out = logic(true, out, eq)
		}
	}
	if set != nil && set.size() > 0 {
		in := b.call(simple(kBool), set.kernel(), false, n.span, x)
		if out == nil {
			out = in
		} else {
			out = logic(true, in, out)
		}
	}
	return b.negated(n.not, wrap(let, out), n.span), nil
}

func (b *binder) like(n *like) (node, *Error) {
	args, err := b.bindAll([]syntax{n.x, n.pattern})
	if err != nil {
		return nil, err
	}
	word := "LIKE"
	if n.similar {
		word = "SIMILAR TO"
	}
	for i, at := range []span{n.x.place(), n.pattern.place()} {
		if !okOrNull(args[i], kString) {
			return nil, errAt(at, "%s works on strings, not %s: cast it to string", word, args[i].typ())
		}
		if args[i], err = b.cast(args[i], simple(kString), at); err != nil {
			return nil, err
		}
	}
	escape := '\\'
	if n.escape != nil {
		e, err := b.bind(n.escape)
		if err != nil {
			return nil, err
		}
		s, ok := constString(e)
		r := []rune(s)
		if !ok || len(r) > 1 {
			return nil, errAt(n.escape.place(), "ESCAPE needs one character as a literal, or '' for none")
		}
		escape = noEscape
		if len(r) == 1 {
			escape = r[0]
		}
	}
	if n.similar {
		return b.similar(n, args, escape)
	}
	mayFail := true
	if p, ok := constString(args[1]); ok {
		if _, ok := compilePattern([]byte(p), escape, n.fold); !ok {
			return nil, errAt(n.pattern.place(), badPattern)
		}
		mayFail = false
	}
	return b.call(simple(kBool), likeKernel(escape, n.fold, n.not), mayFail, n.span, args...), nil
}
