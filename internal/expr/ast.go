package expr

import "strings"

// syntax is a node of the parsed expression, before it is bound to a schema.
type syntax interface {
	place() span
	print(b *strings.Builder)
}

func (s span) place() span { return s }

type literalKind uint8

const (
	litNumber literalKind = iota
	litString
	litTrue
	litFalse
	litNull
	litDate
	litTime
	litTimestamp
	litTimestamptz
	litInterval
)

// literalWords are the words printed before a typed literal's string.
var literalWords = map[literalKind]string{litDate: "DATE ", litTime: "TIME ", litTimestamp: "TIMESTAMP ", litTimestamptz: "TIMESTAMPTZ ", litInterval: "INTERVAL "}

type (
	literal struct {
		span
		kind literalKind
		text string
	}
	// name is a column, or a field of a struct column: parts a, b for a.b.
	name struct {
		span
		parts []namePart
	}
	namePart struct {
		span
		text   string
		quoted bool
	}
	unary struct {
		span
		op string // "-", "+", "~", "NOT"
		x  syntax
	}
	binaryOp struct {
		span
		op   string // upper case; also "IS DISTINCT FROM", "IS NOT DISTINCT FROM"
		at   span   // the operator
		x, y syntax
	}
	isTest struct {
		span
		x    syntax
		not  bool
		what string // NULL, TRUE, FALSE
	}
	inList struct {
		span
		x    syntax
		not  bool
		list []syntax
	}
	between struct {
		span
		x, lo, hi      syntax
		not, symmetric bool // symmetric: the bounds in either order
	}
	like struct {
		span
		x, pattern, escape syntax // escape may be nil
		not, fold, similar bool   // fold: ILIKE; similar: SIMILAR TO
	}
	caseOf struct {
		span
		operand syntax // nil for CASE WHEN
		whens   []when
		other   syntax // nil without ELSE
	}
	when   struct{ cond, then syntax }
	castTo struct {
		span
		x      syntax
		typ    string
		typeAt span
		try    bool // TRY_CAST
	}
	call struct {
		span
		name           string // lower case
		at             span   // the name
		args           []syntax
		argAt          []span // with parentheses, as written
		star, distinct bool
	}
)

// Print gives the expression back as text that parses to the same tree: every operand that could bind otherwise is in
// parentheses.
func printSyntax(n syntax) string {
	var b strings.Builder
	n.print(&b)
	return b.String()
}

func quoteString(b *strings.Builder, s string) {
	b.WriteByte('\'')
	b.WriteString(strings.ReplaceAll(s, "'", "''"))
	b.WriteByte('\'')
}

func quoteName(b *strings.Builder, s string) {
	b.WriteByte('"')
	b.WriteString(strings.ReplaceAll(s, `"`, `""`))
	b.WriteByte('"')
}

func (n *literal) print(b *strings.Builder) {
	switch n.kind {
	case litNumber:
		b.WriteString(n.text)
	case litTrue:
		b.WriteString("TRUE")
	case litFalse:
		b.WriteString("FALSE")
	case litNull:
		b.WriteString("NULL")
	default:
		b.WriteString(literalWords[n.kind])
		quoteString(b, n.text)
	}
}

func (n *name) print(b *strings.Builder) {
	for i, p := range n.parts {
		if i > 0 {
			b.WriteByte('.')
		}
		if p.quoted {
			quoteName(b, p.text)
		} else {
			b.WriteString(p.text)
		}
	}
}

// operand prints n in parentheses unless it is a primary.
func operand(b *strings.Builder, n syntax) {
	switch n.(type) {
	case *literal, *name, *call, *caseOf, *subscript, *fieldOf, *arrayOf:
		n.print(b)
	default:
		b.WriteByte('(')
		n.print(b)
		b.WriteByte(')')
	}
}

func (n *unary) print(b *strings.Builder) {
	b.WriteString(n.op)
	if n.op == "NOT" {
		b.WriteByte(' ')
	}
	operand(b, n.x)
}

func (n *binaryOp) print(b *strings.Builder) {
	operand(b, n.x)
	b.WriteString(" " + n.op + " ")
	operand(b, n.y)
}

func not(b *strings.Builder, on bool) {
	if on {
		b.WriteString(" NOT")
	}
}

func (n *isTest) print(b *strings.Builder) {
	operand(b, n.x)
	b.WriteString(" IS")
	not(b, n.not)
	b.WriteString(" " + n.what)
}

func (n *inList) print(b *strings.Builder) {
	operand(b, n.x)
	not(b, n.not)
	b.WriteString(" IN (")
	printList(b, n.list)
	b.WriteByte(')')
}

func printList(b *strings.Builder, list []syntax) {
	for i, x := range list {
		if i > 0 {
			b.WriteString(", ")
		}
		x.print(b)
	}
}

func (n *between) print(b *strings.Builder) {
	operand(b, n.x)
	not(b, n.not)
	b.WriteString(" BETWEEN ")
	if n.symmetric {
		b.WriteString("SYMMETRIC ")
	}
	operand(b, n.lo)
	b.WriteString(" AND ")
	operand(b, n.hi)
}

func (n *like) print(b *strings.Builder) {
	operand(b, n.x)
	not(b, n.not)
	switch {
	case n.similar:
		b.WriteString(" SIMILAR TO ")
	case n.fold:
		b.WriteString(" ILIKE ")
	default:
		b.WriteString(" LIKE ")
	}
	operand(b, n.pattern)
	if n.escape != nil {
		b.WriteString(" ESCAPE ")
		operand(b, n.escape)
	}
}

func (n *caseOf) print(b *strings.Builder) {
	b.WriteString("CASE")
	if n.operand != nil {
		b.WriteByte(' ')
		operand(b, n.operand)
	}
	for _, w := range n.whens {
		b.WriteString(" WHEN ")
		w.cond.print(b)
		b.WriteString(" THEN ")
		w.then.print(b)
	}
	if n.other != nil {
		b.WriteString(" ELSE ")
		n.other.print(b)
	}
	b.WriteString(" END")
}

func (n *castTo) print(b *strings.Builder) {
	if n.try {
		b.WriteString("TRY_")
	}
	b.WriteString("CAST(")
	n.x.print(b)
	b.WriteString(" AS " + n.typ + ")")
}

func (n *call) print(b *strings.Builder) {
	b.WriteString(n.name + "(")
	if n.star {
		b.WriteByte('*')
	}
	if n.distinct {
		b.WriteString("DISTINCT ")
	}
	printList(b, n.args)
	b.WriteByte(')')
}
