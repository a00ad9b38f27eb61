package expr

import (
	"slices"
	"strings"
)

// Fragment is the text of an expression of a statement, of which each byte knows its place there, also after parts of it were replaced.
type Fragment struct {
	text   string
	places []int // of each byte of text and of its end
	toks   []token
}

// Text is the expression as text.
func (f Fragment) Text() string { return f.text }

// Place is where byte pos of the text stands in the statement.
func (f Fragment) Place(pos int) int { return f.places[min(max(pos, 0), len(f.places)-1)] }

// Places are the places of each byte of the text and of its end. The caller must not write to it.
func (f Fragment) Places() []int { return f.places }

// Edit replaces the bytes from Pos to before End.
type Edit struct {
	Pos, End int
	Text     string
}

// With is the fragment with the edits made, which are in ascending order and do not overlap. What is new stands where the replaced text began.
func (f Fragment) With(edits []Edit) (Fragment, error) {
	if len(edits) == 0 {
		return f, nil
	}
	var b strings.Builder
	var places []int
	at := 0
	for _, e := range edits {
		b.WriteString(f.text[at:e.Pos])
		places = append(places, f.places[at:e.Pos]...)
		b.WriteString(e.Text)
		for range len(e.Text) {
			places = append(places, f.places[e.Pos])
		}
		at = e.End
	}
	b.WriteString(f.text[at:])
	places = append(places, f.places[at:]...)
	out := Fragment{text: b.String(), places: places}
	toks, err := lex(out.text)
	if err != nil {
		return out, err
	}
	out.toks = toks[:len(toks)-1]
	return out, nil
}

// NewFragment is text with the places of its bytes and its end in the statement. The error is an *Error, placed there.
func NewFragment(text string, places []int) (Fragment, error) {
	toks, err := lex(text)
	if err != nil {
		err.Pos = places[min(err.Pos, len(places)-1)]
		return Fragment{}, err
	}
	return Fragment{text: text, places: places, toks: toks[:len(toks)-1]}, nil
}

// slice is the part of the fragment from byte a to before b, which are borders of tokens.
func (f Fragment) slice(a, b int) Fragment {
	out := Fragment{text: f.text[a:b], places: f.places[a : b+1]}
	for _, t := range f.toks {
		if t.pos >= a && t.end <= b {
			t.pos, t.end = t.pos-a, t.end-a
			out.toks = append(out.toks, t)
		}
	}
	return out
}

// CallIn is a function call within a fragment. Byte positions are those of the fragment's text.
type CallIn struct {
	Name     string // lower case
	Pos, End int    // of all of it, OVER (…) included
	Function Fragment
	Over     *Over // nil without OVER
}

// Over is the window behind OVER.
type Over struct {
	Partition []Fragment
	Order     []OrderItem
	Frame     string // ROWS …, RANGE …; "" without
}

// Calls are the function calls of the fragment in the order in which they begin: an outer one stands before those within it. The error, of an
// OVER clause that is wrong, is an *Error with the place in the statement.
func (f Fragment) Calls() ([]CallIn, error) {
	var out []CallIn
	for i := 0; i+1 < len(f.toks); i++ {
		t := f.toks[i]
		if t.kind != tokIdent || reserved[t.low] || !f.op(i+1, "(") || i > 0 && f.op(i-1, ".") || callClauses[t.low] {
			continue
		}
		last := f.closing(i + 1)
		for more := true; more; { // WITHIN GROUP (…), FILTER (…)
			switch {
			case f.word(last+1, "filter") && f.op(last+2, "("):
				last = f.closing(last + 2)
			case f.word(last+1, "within") && f.word(last+2, "group") && f.op(last+3, "("):
				last = f.closing(last + 3)
			default:
				more = false
			}
		}
		c := CallIn{Name: t.low, Pos: t.pos, End: f.toks[last].end, Function: f.slice(t.pos, f.toks[last].end)}
		if f.word(last+1, "over") {
			if !f.op(last+2, "(") {
				name := f.toks[min(last+2, len(f.toks)-1)]
				return nil, &Error{Pos: f.Place(name.pos), Len: name.end - name.pos, Msg: "there is no window " + name.text + ": name it in WINDOW " + name.text + " AS (…)"}
			}
			end := f.closing(last + 2)
			inside := f.slice(f.toks[last+2].end, f.toks[end].pos)
			c.End = f.toks[end].end
			over, _, err := inside.over()
			if err != nil {
				err.Pos = inside.Place(err.Pos)
				return nil, err
			}
			c.Over = over
		}
		out = append(out, c)
	}
	return out, nil
}

// callClauses look like calls and are clauses of one.
var callClauses = map[string]bool{"filter": true, "over": true, "group": true}

func (f Fragment) op(i int, op string) bool {
	return i < len(f.toks) && f.toks[i].kind == tokOp && f.toks[i].text == op
}

func (f Fragment) word(i int, w string) bool {
	return i < len(f.toks) && f.toks[i].kind == tokIdent && f.toks[i].low == w
}

// closing is the token that closes the parenthesis at token i; the fragment was parsed, so there is one.
func (f Fragment) closing(i int) int {
	depth := 0
	for ; i < len(f.toks); i++ {
		if f.op(i, "(") {
			depth++
		} else if f.op(i, ")") {
			if depth--; depth == 0 {
				return i
			}
		}
	}
	return len(f.toks) - 1
}

// over takes what stands in the parentheses of OVER apart. Names are those in it.
func (f Fragment) over() (o *Over, names []*name, err *Error) {
	p := &parser{src: f.text, toks: append(append([]token(nil), f.toks...), token{span: span{len(f.text), len(f.text)}}), statement: true}
	at := func(g Fragment) Fragment { // cut counts from the start of the text it was given
		for i, pos := range g.places {
			g.places[i] = f.Place(pos)
		}
		return g
	}
	o = &Over{}
	if p.takeWord("partition") {
		if err := p.wantWord("by", "after PARTITION"); err != nil {
			return nil, nil, err
		}
		list, err := p.fragments("PARTITION BY")
		if err != nil {
			return nil, nil, err
		}
		for _, g := range list {
			o.Partition = append(o.Partition, at(g))
		}
	}
	var s Select
	if err := p.orderBy(&s); err != nil {
		return nil, nil, err
	}
	for _, it := range s.Order {
		it.Expr = at(it.Expr)
		o.Order = append(o.Order, it)
	}
	if t := p.peek(); t.low == "rows" || t.low == "range" || t.low == "groups" {
		o.Frame = f.text[t.pos:]
	} else if t.kind != tokEOF {
		return nil, nil, errAt(t.span, "unexpected %s in a window: PARTITION BY …, ORDER BY … and ROWS or RANGE may stand there", t.describe())
	}
	return o, p.names, nil
}

// window takes what follows a call in a statement: OVER (…). Its contents are parsed when the call is taken apart.
func (p *parser) window() *Error {
	if !p.statement || !p.isWord("over") {
		return nil
	}
	over := p.take()
	if t := p.peek(); isName(t) { // of a WINDOW clause
		p.take()
		return nil
	}
	if !p.isOp("(") {
		return errAt(over.span, "expected ( or the name of a window after OVER")
	}
	depth := 0
	for {
		t := p.take()
		switch {
		case t.kind == tokEOF:
			return errAt(over.span, "OVER ( is not closed")
		case t.kind == tokOp && t.text == "(":
			depth++
		case t.kind == tokOp && t.text == ")":
			if depth--; depth == 0 {
				return nil
			}
		}
	}
}

// named is f with the windows of a WINDOW clause in the places of their names: behind OVER, and first in its parentheses.
func (f Fragment) named(windows []window) (Fragment, error) {
	var edits []Edit
	for i := 0; i+1 < len(f.toks); i++ {
		if !f.word(i, "over") {
			continue
		}
		at, around := i+1, true
		if f.op(at, "(") {
			at, around = at+1, false
		}
		if at >= len(f.toks) || !nameToken(f.toks[at]) {
			continue
		}
		for _, w := range windows {
			if strings.EqualFold(w.name, f.toks[at].text) {
				text := w.text
				if around {
					text = "(" + text + ")"
				}
				edits = append(edits, Edit{Pos: f.toks[at].pos, End: f.toks[at].end, Text: text})
				break
			}
		}
	}
	return f.With(edits)
}

// NameIn is a chain of names with dots in a fragment: a.b.
type NameIn struct {
	Parts    []string
	Pos, End int   // of the fragment's text
	Rest     int   // where the part after the first dot begins; End without one
	Ends     []int // of each part
}

// Dotted are the names of two or more parts.
func (f Fragment) Dotted() []NameIn {
	var out []NameIn
	for i := 0; i+2 < len(f.toks); i++ {
		if !nameToken(f.toks[i]) || !f.op(i+1, ".") || i > 0 && f.op(i-1, ".") {
			continue
		}
		n := NameIn{Parts: []string{f.toks[i].text}, Pos: f.toks[i].pos, Rest: f.toks[i+2].pos, Ends: []int{f.toks[i].end}}
		for ; f.op(i+1, ".") && i+2 < len(f.toks); i += 2 {
			n.Parts = append(n.Parts, f.toks[i+2].text)
			n.Ends = append(n.Ends, f.toks[i+2].end)
		}
		n.End = f.toks[i].end
		out = append(out, n)
	}
	return out
}

// Columns are the columns that the fragment names, outside of OVER; of a field of a struct the column's name comes first.
func (f Fragment) Columns() []NameIn {
	p, err := newParser(f.text)
	if err != nil {
		return nil // whoever binds the text says so
	}
	p.statement = true
	if _, err := p.expr(0); err != nil {
		return nil
	}
	return namesIn(p.names, 0)
}

// Names are Columns and those within OVER, in the order in which they stand.
func (f Fragment) Names() []NameIn {
	out := f.Columns()
	for i := range f.toks {
		if !f.word(i, "over") || !f.op(i+1, "(") {
			continue
		}
		from := f.toks[i+1].end
		if _, names, err := f.slice(from, f.toks[f.closing(i+1)].pos).over(); err == nil {
			out = append(out, namesIn(names, from)...)
		}
	}
	slices.SortFunc(out, func(a, b NameIn) int { return a.Pos - b.Pos })
	return out
}

// namesIn are names of a text that stands so many bytes behind the fragment's beginning.
func namesIn(names []*name, behind int) []NameIn {
	var out []NameIn
	for _, n := range names {
		c := NameIn{Pos: behind + n.pos, End: behind + n.end, Rest: behind + n.end}
		for i, part := range n.parts {
			c.Parts = append(c.Parts, part.text)
			c.Ends = append(c.Ends, behind+part.end)
			if i == 1 {
				c.Rest = behind + part.pos
			}
		}
		out = append(out, c)
	}
	return out
}

func nameToken(t token) bool { return t.kind == tokQuoted || t.kind == tokIdent && !reserved[t.low] }

// Name is the column that the fragment names, if it is just a name; ok is false for everything else.
func (f Fragment) Name() (name string, ok bool) {
	if len(f.toks) != 1 || !nameToken(f.toks[0]) {
		return "", false
	}
	return f.toks[0].text, true
}

// Ordinal is the number that the fragment is, as in ORDER BY 1.
func (f Fragment) Ordinal() (n int, ok bool) {
	if len(f.toks) != 1 || f.toks[0].kind != tokNumber {
		return 0, false
	}
	for _, c := range f.toks[0].text {
		if c < '0' || c > '9' || n > 1<<20 {
			return 0, false
		}
		n = n*10 + int(c-'0')
	}
	return n, true
}

// Mentions reports whether name occurs in the fragment as a name.
func (f Fragment) Mentions(name string) bool {
	for _, t := range f.toks {
		if nameToken(t) && strings.EqualFold(t.text, name) {
			return true
		}
	}
	return false
}

// Label is the name that a column computed by the fragment gets without AS, by PostgreSQL's rules: that of the column, of the outermost function, or of
// what is cast; "" where it would be ?column?.
func (f Fragment) Label() string {
	toks := f.toks
	for i, t := range toks { // x::type
		if t.kind == tokOp && t.text == "::" && (i == 1 || toks[i-1].text == ")" && f.closing(1) == i-1) {
			toks = toks[:i]
			break
		}
	}
	switch {
	case len(toks) == 0:
		return ""
	case nameToken(toks[0]) && len(toks)%2 == 1 && dottedOnly(toks):
		return toks[len(toks)-1].text
	case toks[0].kind == tokIdent && len(toks) > 2 && f.op(1, "(") && !reserved[toks[0].low]:
		calls, err := f.Calls()
		if err == nil && len(calls) > 0 && calls[0].Pos == 0 && calls[0].End == toks[len(toks)-1].end {
			return toks[0].low
		}
	}
	return ""
}

func dottedOnly(toks []token) bool {
	for i, t := range toks {
		if i%2 == 1 && !(t.kind == tokOp && t.text == ".") || i%2 == 0 && !nameToken(t) {
			return false
		}
	}
	return true
}

// Same reports whether two fragments are the same text but for spaces, comments and the case of words.
func (f Fragment) Same(g Fragment) bool {
	if len(f.toks) != len(g.toks) {
		return false
	}
	for i := range f.toks {
		if !sameToken(f.toks[i], g.toks[i]) {
			return false
		}
	}
	return true
}

func sameToken(a, b token) bool {
	if a.kind == tokIdent && b.kind == tokIdent {
		return a.low == b.low
	}
	return a.kind == b.kind && a.text == b.text
}

// Occurrences are the places in the text where part stands as an expression of its own: where the operators around it bind weaker than its own, or anywhere
// if it is a name or a call, with or without a cast.
func (f Fragment) Occurrences(part Fragment) []Place {
	n := len(part.toks)
	if n == 0 {
		return nil
	}
	primary, weakest := part.primary(), part.weakest()
	var out []Place
	for i := 0; i+n <= len(f.toks); i++ {
		same := true
		for k := range n {
			same = same && sameToken(f.toks[i+k], part.toks[k])
		}
		if !same || i > 0 && f.op(i-1, ".") || f.op(i+n, ".") || f.op(i+n, "(") {
			continue
		}
		if !primary && !(f.binds(i-1) < weakest && f.binds(i+n) <= weakest) {
			continue
		}
		out = append(out, Place{f.toks[i].pos, f.toks[i+n-1].end})
		i += n - 1
	}
	return out
}

// binds is how strongly token i binds to what stands beside it: 0 for what ends an expression.
func (f Fragment) binds(i int) int {
	if i < 0 || i >= len(f.toks) {
		return 0
	}
	switch t := f.toks[i]; {
	case t.kind == tokOp && (t.text == "(" || t.text == ")" || t.text == ","):
		return 0
	case t.kind == tokOp && t.text == "::":
		return bpCast
	case t.kind == tokOp && binaryPower[t.text] > 0:
		return binaryPower[t.text]
	case t.kind == tokIdent && (t.low == "or" || t.low == "and" || t.low == "not"):
		return bpAnd
	case t.kind == tokIdent && (t.low == "is" || t.low == "in" || t.low == "between" || t.low == "like" || t.low == "ilike"):
		return bpMember
	case t.kind == tokIdent && (clauseWords[t.low] || edgeWords[t.low]):
		return 0
	}
	return bpCast + 1 // anything else belongs to it
}

// edgeWords stand before or behind an expression and are no part of it.
var edgeWords = map[string]bool{"by": true, "case": true, "when": true, "then": true, "else": true, "end": true, "as": true, "rows": true, "range": true, "groups": true, "distinct": true}

// weakest is how strongly the weakest operator outside of parentheses binds.
func (f Fragment) weakest() int {
	least, depth := bpCast+1, 0
	for i, t := range f.toks {
		switch {
		case t.kind == tokOp && (t.text == "(" || t.text == "["):
			depth++
		case t.kind == tokOp && (t.text == ")" || t.text == "]"):
			depth--
		case depth > 0:
		case t.kind == tokIdent && (reserved[t.low] || edgeWords[t.low]) || i == 0 && t.kind == tokOp:
			return 1 // CASE, NOT, a sign: only between parentheses and commas
		default:
			if p := f.binds(i); p > 0 && t.kind == tokOp {
				least = min(least, p)
			}
		}
	}
	return max(least, 1)
}

// primary reports whether the fragment is a name, or a call, with or without a cast behind it.
func (f Fragment) primary() bool {
	toks := f.toks
	for i, t := range toks {
		if t.kind == tokOp && t.text == "::" {
			if len(toks) != i+2 {
				return false
			}
			toks = toks[:i]
			break
		}
	}
	if dottedOnly(toks) && len(toks)%2 == 1 {
		return true
	}
	return len(toks) > 2 && toks[0].kind == tokIdent && !reserved[toks[0].low] && f.op(1, "(") && f.closing(1) == len(toks)-1
}

// QuoteName writes a column's name as an expression that is that column.
func QuoteName(name string) string {
	plain := name != "" && !reserved[name] && !clauseWords[name] && !wordsOfTheirOwn[name]
	for i, c := range []byte(name) {
		plain = plain && (c >= 'a' && c <= 'z' || c == '_' || i > 0 && c >= '0' && c <= '9')
	}
	if plain {
		return name
	}
	var b strings.Builder
	quoteName(&b, name)
	return b.String()
}

// wordsOfTheirOwn are values, or begin one, where they stand without quotes.
var wordsOfTheirOwn = map[string]bool{"current_date": true, "current_time": true, "current_timestamp": true, "localtime": true, "localtimestamp": true, "date": true,
	"time": true, "timestamp": true, "timestamptz": true, "interval": true, "array": true, "row": true, "desc": true, "asc": true, "nulls": true, "rows": true, "range": true}
