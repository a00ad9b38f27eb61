package expr

import "strings"

// Binding powers, PostgreSQL's table of operator precedence (manual section 4.1.6), low to high.
const (
	bpOr      = 10
	bpAnd     = 20
	bpNot     = 30
	bpIs      = 40
	bpCompare = 50 // does not chain
	bpMember  = 60 // BETWEEN IN LIKE ILIKE SIMILAR; does not chain
	bpOther   = 70 // || -> ->> #> #>> ~ ~* !~ !~* & | # << >> and the prefix ~
	bpAdd     = 80
	bpMul     = 90
	bpPower   = 100
	bpAt      = 105 // AT TIME ZONE
	bpSign    = 110
	bpCast    = 120
	bpPart    = 130 // [ ] and .
)

var binaryPower = map[string]int{"=": bpCompare, "<>": bpCompare, "!=": bpCompare, "<": bpCompare, "<=": bpCompare, ">": bpCompare, ">=": bpCompare,
	"||": bpOther, "->": bpOther, "->>": bpOther, "#>": bpOther, "#>>": bpOther, "~": bpOther, "~*": bpOther, "!~": bpOther, "!~*": bpOther,
	"&": bpOther, "|": bpOther, "#": bpOther, "<<": bpOther, ">>": bpOther, "[": bpPart, ".": bpPart, "+": bpAdd, "-": bpAdd, "*": bpMul, "/": bpMul, "%": bpMul, "^": bpPower}

// reserved words cannot be column names without quotes.
var reserved = map[string]bool{"and": true, "or": true, "not": true, "is": true, "in": true, "between": true, "like": true, "ilike": true, "escape": true,
	"isnull": true, "notnull": true, "case": true, "when": true, "then": true, "else": true, "end": true, "cast": true, "as": true, "null": true, "true": true,
	"false": true, "distinct": true, "from": true}

// Bounds that keep the recursion over a hostile expression small.
const (
	maxDepth = 250
	maxNodes = 20000
	maxBytes = 1 << 20
)

type parser struct {
	src   string
	toks  []token
	at    int
	depth int
	nodes int
	// statement: the expression stands in a SELECT, where a call may have OVER (…) behind it
	statement bool
	names     []*name // that were parsed so far
	// Of a measure: which functions are aggregates, their calls so far, and the one whose arguments are being parsed.
	isAggregate func(name string) bool
	aggregates  []*aggregated
	inside      *aggregated
}

func newParser(src string) (*parser, *Error) {
	if len(src) > maxBytes {
		return nil, &Error{Msg: "expression is longer than 1 MiB"}
	}
	toks, err := lex(src)
	if err != nil {
		return nil, err
	}
	return &parser{src: src, toks: toks}, nil
}

// parse parses src as one expression.
func parse(src string) (syntax, *Error) {
	p, err := newParser(src)
	if err != nil {
		return nil, err
	}
	return p.whole()
}

// whole parses all there is as one expression.
func (p *parser) whole() (syntax, *Error) {
	if p.peek().kind == tokEOF {
		return nil, errAt(p.peek().span, "expression is empty")
	}
	n, err := p.expr(0)
	if err != nil {
		return nil, err
	}
	if t := p.peek(); t.kind != tokEOF {
		return nil, p.unexpected(t)
	}
	return n, nil
}

func (p *parser) unexpected(t token) *Error {
	if t.kind == tokOp && t.text == ")" {
		return errAt(t.span, `")" closes nothing`)
	}
	return errAt(t.span, "unexpected %s: expected an operator or the end of the expression", t.describe())
}

func (p *parser) peek() token { return p.toks[p.at] }
func (p *parser) peekAt(n int) token {
	if p.at+n >= len(p.toks) {
		return p.toks[len(p.toks)-1]
	}
	return p.toks[p.at+n]
}

func (p *parser) take() token {
	t := p.toks[p.at]
	if t.kind != tokEOF {
		p.at++
	}
	return t
}

// last is the token before the current one.
func (p *parser) last() token { return p.toks[p.at-1] }

func (p *parser) isOp(op string) bool { return p.peek().kind == tokOp && p.peek().text == op }
func (p *parser) isWord(w string) bool {
	return p.peek().kind == tokIdent && p.peek().low == w
}

func (p *parser) takeOp(op string) bool {
	ok := p.isOp(op)
	if ok {
		p.at++
	}
	return ok
}

func (p *parser) takeWord(w string) bool {
	ok := p.isWord(w)
	if ok {
		p.at++
	}
	return ok
}

func (p *parser) wantOp(op, where string) *Error {
	if p.takeOp(op) {
		return nil
	}
	return errAt(p.peek().span, "expected %q %s, not %s", op, where, p.peek().describe())
}

func (p *parser) wantWord(w, where string) *Error {
	if p.takeWord(w) {
		return nil
	}
	return errAt(p.peek().span, "expected %s %s, not %s", strings.ToUpper(w), where, p.peek().describe())
}

// expr parses an expression of operators that bind tighter than power or as tight.
func (p *parser) expr(power int) (syntax, *Error) {
	p.depth++
	defer func() { p.depth-- }()
	if p.depth > maxDepth {
		return nil, errAt(p.peek().span, "expression is nested deeper than %d", maxDepth)
	}
	from := p.peek().pos
	x, err := p.prefix(power)
	if err != nil {
		return nil, err
	}
	chained := 0 // the non-associative level that was just parsed
	for {
		if p.nodes++; p.nodes > maxNodes {
			return nil, errAt(p.peek().span, "expression has more than %d parts", maxNodes)
		}
		bp := p.infixPower()
		if bp < power || bp == 0 {
			return x, nil
		}
		if bp == chained && (bp == bpCompare || bp == bpMember) {
			return nil, errAt(p.peek().span, "%s does not chain: use AND, or parentheses", strings.ToUpper(p.peek().text))
		}
		chained = bp
		if x, err = p.infix(x, bp, from); err != nil {
			return nil, err
		}
	}
}

// infixPower is the binding power of the operator at hand, 0 if there is none.
func (p *parser) infixPower() int {
	t := p.peek()
	if t.kind == tokOp {
		if t.text == "::" {
			return bpCast
		}
		return binaryPower[t.text]
	}
	if t.kind != tokIdent {
		return 0
	}
	switch t.low {
	case "or":
		return bpOr
	case "and":
		return bpAnd
	case "is", "isnull", "notnull":
		return bpIs
	case "in", "between", "like", "ilike":
		return bpMember
	case "similar":
		if p.peekAt(1).low == "to" {
			return bpMember
		}
	case "at":
		if p.peekAt(1).low == "time" && p.peekAt(2).low == "zone" {
			return bpAt
		}
	case "not":
		switch p.peekAt(1).low {
		case "in", "between", "like", "ilike", "similar":
			return bpMember
		}
	}
	return 0
}

// infix parses what follows x; from is where x begins, parentheses included.
func (p *parser) infix(x syntax, bp, from int) (syntax, *Error) {
	t := p.take()
	to := func() span { return span{from, p.last().end} }
	if t.kind == tokOp {
		if t.text == "::" {
			typ, at, err := p.typeName()
			if err != nil {
				return nil, err
			}
			return &castTo{to(), x, typ, at, false}, nil
		}
		if bp == bpPart {
			return p.part(x, t, to)
		}
		op := t.text
		if op == "!=" {
			op = "<>"
		}
		if bp == bpCompare && p.isQuantifier() {
			return p.quantified(x, op, to)
		}
		y, err := p.expr(bp + 1)
		if err != nil {
			return nil, err
		}
		return &binaryOp{to(), op, t.span, x, y}, nil
	}
	switch t.low {
	case "or", "and":
		y, err := p.expr(bp + 1)
		if err != nil {
			return nil, err
		}
		return &binaryOp{to(), strings.ToUpper(t.low), t.span, x, y}, nil
	case "isnull", "notnull":
		return &isTest{to(), x, t.low == "notnull", "NULL"}, nil
	case "is":
		return p.isPredicate(x, t, to)
	case "at":
		return p.atTimeZone(x, bp, from)
	}
	negated := t.low == "not"
	if negated {
		t = p.take()
	}
	switch t.low {
	case "in":
		if err := p.wantOp("(", "after IN"); err != nil {
			return nil, err
		}
		list, err := p.list("IN list")
		if err != nil {
			return nil, err
		}
		return &inList{to(), x, negated, list}, nil
	case "between":
		symmetric := p.takeWord("symmetric")
		lo, err := p.expr(bpMember + 1)
		if err != nil {
			return nil, err
		}
		if err := p.wantWord("and", "after the lower bound of BETWEEN"); err != nil {
			return nil, err
		}
		hi, err := p.expr(bpMember + 1)
		if err != nil {
			return nil, err
		}
		return &between{to(), x, lo, hi, negated, symmetric}, nil
	}
	if t.low == "similar" {
		p.take() // TO
	}
	pattern, err := p.expr(bpMember + 1)
	if err != nil {
		return nil, err
	}
	n := &like{x: x, pattern: pattern, not: negated, fold: t.low == "ilike", similar: t.low == "similar"}
	if p.takeWord("escape") {
		if n.escape, err = p.expr(bpMember + 1); err != nil {
			return nil, err
		}
	}
	n.span = to()
	return n, nil
}

func (p *parser) isPredicate(x syntax, is token, to func() span) (syntax, *Error) {
	negated := p.takeWord("not")
	t := p.take()
	switch {
	case t.kind != tokIdent:
	case t.low == "null" || t.low == "true" || t.low == "false":
		return &isTest{to(), x, negated, strings.ToUpper(t.low)}, nil
	case t.low == "unknown":
		return &isTest{to(), x, negated, "NULL"}, nil
	case t.low == "distinct":
		if err := p.wantWord("from", "after IS DISTINCT"); err != nil {
			return nil, err
		}
		at := span{is.pos, p.last().end}
		y, err := p.expr(bpIs + 1)
		if err != nil {
			return nil, err
		}
		op := "IS DISTINCT FROM"
		if negated {
			op = "IS NOT DISTINCT FROM"
		}
		return &binaryOp{to(), op, at, x, y}, nil
	}
	return nil, errAt(t.span, "expected NULL, TRUE, FALSE or DISTINCT FROM after IS, not %s", t.describe())
}

// list parses expressions up to the closing parenthesis; the opening one is taken.
func (p *parser) list(where string) ([]syntax, *Error) {
	if p.isWord("select") {
		return nil, p.subquery()
	}
	if p.isOp(")") {
		return nil, errAt(p.peek().span, "%s is empty", where)
	}
	var out []syntax
	for {
		x, err := p.expr(0)
		if err != nil {
			return nil, err
		}
		out = append(out, x)
		if p.takeOp(",") {
			continue
		}
		if err := p.wantOp(")", "to close the "+where); err != nil {
			return nil, err
		}
		return out, nil
	}
}

func (p *parser) prefix(power int) (syntax, *Error) {
	t := p.take()
	switch t.kind {
	case tokNumber:
		return &literal{t.span, litNumber, t.text}, nil
	case tokString:
		return &literal{t.span, litString, t.text}, nil
	case tokQuoted:
		return p.name(t)
	case tokOp:
		switch t.text {
		case "-", "+":
			x, err := p.expr(bpSign)
			if err != nil {
				return nil, err
			}
			return &unary{span{t.pos, p.last().end}, t.text, x}, nil
		case "~":
			x, err := p.expr(bpOther + 1)
			if err != nil {
				return nil, err
			}
			return &unary{span{t.pos, p.last().end}, t.text, x}, nil
		case "(":
			if p.isWord("select") {
				return nil, p.subquery()
			}
			x, err := p.expr(0)
			if err != nil {
				return nil, err
			}
			if p.isOp(",") {
				return p.overlaps(x, t.pos)
			}
			return x, p.wantOp(")", "to close the parenthesis")
		}
	case tokIdent:
		return p.word(t, power)
	}
	return nil, errAt(t.span, "expected a value, not %s", t.describe())
}

// word parses what starts with an unquoted word.
func (p *parser) word(t token, power int) (syntax, *Error) {
	switch t.low {
	case "null":
		return &literal{t.span, litNull, ""}, nil
	case "true":
		return &literal{t.span, litTrue, ""}, nil
	case "false":
		return &literal{t.span, litFalse, ""}, nil
	case "not":
		if power > bpNot {
			return nil, errAt(t.span, "NOT binds weaker than the operator before it: put NOT … in parentheses")
		}
		x, err := p.expr(bpNot)
		if err != nil {
			return nil, err
		}
		return &unary{span{t.pos, p.last().end}, "NOT", x}, nil
	case "case":
		return p.caseExpr(t)
	case "array":
		if p.isOp("[") {
			p.take()
			return p.array(t)
		}
	case "cast", "try_cast":
		if t.low == "cast" || p.isOp("(") {
			return p.cast(t)
		}
	case "current_date", "current_timestamp", "localtime", "localtimestamp":
		if !p.isOp("(") {
			return &call{span: t.span, name: t.low, at: t.span}, nil
		}
	}
	if reserved[t.low] {
		return nil, errAt(t.span, `expected a value, not the keyword %s (a column of this name needs quotes: "%s")`, strings.ToUpper(t.low), t.text)
	}
	if n, ok, err := p.typedLiteral(t); ok || err != nil {
		return n, err
	}
	if p.isOp("(") {
		return p.call(t)
	}
	return p.name(t)
}

// typedLiteral parses DATE '…' and its kin.
func (p *parser) typedLiteral(t token) (syntax, bool, *Error) {
	kind, skip := literalKind(0), 0
	switch t.low {
	case "date":
		kind = litDate
	case "time":
		kind = litTime
	case "timestamp":
		kind = litTimestamp
		if w := p.peek().low; (w == "with" || w == "without") && p.peekAt(1).low == "time" && p.peekAt(2).low == "zone" {
			skip = 3
			if w == "with" {
				kind = litTimestamptz
			}
		}
	case "timestamptz":
		kind = litTimestamptz
	case "interval":
		kind = litInterval
	default:
		return nil, false, nil
	}
	s := p.peekAt(skip)
	if s.kind != tokString {
		return p.countedInterval(t)
	}
	p.at += skip + 1
	n := &literal{span{t.pos, s.end}, kind, s.text}
	if kind == litInterval {
		return n, true, p.intervalFields(n)
	}
	return n, true, nil
}

func (p *parser) name(t token) (syntax, *Error) {
	part := func(t token) namePart { return namePart{t.span, t.text, t.kind == tokQuoted} }
	n := &name{span: t.span, parts: []namePart{part(t)}}
	for p.isOp(".") {
		p.at++
		t := p.take()
		if t.kind != tokIdent && t.kind != tokQuoted {
			return nil, errAt(t.span, `expected a field name after ".", not %s`, t.describe())
		}
		n.parts = append(n.parts, part(t))
		n.end = t.end
	}
	p.names = append(p.names, n)
	return n, nil
}

func (p *parser) caseExpr(t token) (syntax, *Error) {
	n := &caseOf{}
	var err *Error
	if !p.isWord("when") {
		if n.operand, err = p.expr(0); err != nil {
			return nil, err
		}
	}
	for p.takeWord("when") {
		var w when
		if w.cond, err = p.expr(0); err != nil {
			return nil, err
		}
		if err = p.wantWord("then", "after the condition of WHEN"); err != nil {
			return nil, err
		}
		if w.then, err = p.expr(0); err != nil {
			return nil, err
		}
		n.whens = append(n.whens, w)
	}
	if len(n.whens) == 0 {
		return nil, errAt(p.peek().span, "expected WHEN in CASE, not %s", p.peek().describe())
	}
	if p.takeWord("else") {
		if n.other, err = p.expr(0); err != nil {
			return nil, err
		}
	}
	if err = p.wantWord("end", "to close CASE"); err != nil {
		return nil, err
	}
	n.span = span{t.pos, p.last().end}
	return n, nil
}

func (p *parser) cast(t token) (syntax, *Error) {
	if err := p.wantOp("(", "after "+strings.ToUpper(t.low)); err != nil {
		return nil, err
	}
	x, err := p.expr(0)
	if err != nil {
		return nil, err
	}
	if err := p.wantWord("as", "in "+strings.ToUpper(t.low)); err != nil {
		return nil, err
	}
	typ, at, err := p.typeName()
	if err != nil {
		return nil, err
	}
	if err := p.wantOp(")", "to close "+strings.ToUpper(t.low)); err != nil {
		return nil, err
	}
	return &castTo{span{t.pos, p.last().end}, x, typ, at, t.low == "try_cast"}, nil
}
