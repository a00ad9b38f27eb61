package expr

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

type tokenKind uint8

const (
	tokEOF    tokenKind = iota
	tokIdent            // unquoted name or keyword; text as written
	tokQuoted           // "name"; text is the name
	tokNumber           // text as written
	tokString           // '…', E'…' or $tag$…$tag$; text is the value
	tokOp               // operator or punctuation
)

// span is a range of bytes of the source.
type span struct{ pos, end int }

type token struct {
	span
	kind tokenKind
	text string
	low  string // lower case of an identifier: keywords are compared with this
}

// describe names the token in a message.
func (t token) describe() string {
	switch t.kind {
	case tokEOF:
		return "the end of the expression"
	case tokString:
		return "a string"
	}
	return fmt.Sprintf("%q", t.text)
}

func errAt(s span, format string, args ...any) *Error {
	return &Error{Pos: s.pos, Len: s.end - s.pos, Msg: fmt.Sprintf(format, args...)}
}

// lex cuts src into tokens; the last one is tokEOF.
func lex(src string) ([]token, *Error) {
	l := &lexer{src: src}
	for {
		if err := l.skipSpace(); err != nil {
			return nil, err
		}
		t, err := l.next()
		if err != nil {
			return nil, err
		}
		l.toks = append(l.toks, t)
		if t.kind == tokEOF {
			return l.toks, nil
		}
	}
}

type lexer struct {
	src  string
	at   int
	toks []token
}

// skipSpace skips white space, -- comments and /* comments */, which nest as in PostgreSQL.
func (l *lexer) skipSpace() *Error {
	for l.at < len(l.src) {
		rest := l.src[l.at:]
		switch {
		case strings.ContainsRune(" \t\r\n\f\v", rune(rest[0])):
			l.at++
		case strings.HasPrefix(rest, "--"):
			n := strings.IndexByte(rest, '\n')
			if n < 0 {
				n = len(rest)
			}
			l.at += n
		case strings.HasPrefix(rest, "/*"):
			start, depth := l.at, 0
			for {
				rest = l.src[l.at:]
				if rest == "" {
					return errAt(span{start, start + 2}, "comment is not closed")
				}
				if strings.HasPrefix(rest, "/*") {
					depth++
					l.at += 2
				} else if strings.HasPrefix(rest, "*/") {
					depth--
					l.at += 2
					if depth == 0 {
						break
					}
				} else {
					l.at++
				}
			}
		default:
			return nil
		}
	}
	return nil
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

func isIdentStart(r rune) bool { return r == '_' || unicode.IsLetter(r) }
func isIdentPart(r rune) bool {
	return r == '_' || r == '$' || unicode.IsLetter(r) || unicode.IsDigit(r) || unicode.IsMark(r)
}

var operators = []string{"->>", "#>>", "!~*", "->", "#>", "!~", "~*", "<<", ">>", "::", "||", "<>", "!=", "<=", ">=", "<", ">", "=", "+", "-", "*", "/", "%", "^", "&", "|", "#", "~",
	"(", ")", ",", ".", "[", "]", ":"}

// foreign are operators of other languages and what to write instead.
var foreign = []struct{ op, use string }{{"==", "="}, {"&&", "AND"}, {"!", "NOT"}, {"`", `"`}}

func (l *lexer) next() (token, *Error) {
	start := l.at
	if start == len(l.src) {
		return token{span: span{start, start}}, nil
	}
	c := l.src[start]
	switch {
	case c == '\'':
		return l.str(start, false)
	case (c == 'E' || c == 'e') && strings.HasPrefix(l.src[start+1:], "'"):
		l.at++
		return l.str(start, true)
	case c == '$':
		return l.dollar(start)
	case c == '"':
		return l.quoted(start)
	case isDigit(c) || c == '.' && start+1 < len(l.src) && isDigit(l.src[start+1]):
		return l.number(start)
	}
	r, size := utf8.DecodeRuneInString(l.src[start:])
	if r == utf8.RuneError && size <= 1 {
		return token{}, errAt(span{start, start + 1}, "expression is not valid UTF-8")
	}
	if isIdentStart(r) {
		for l.at < len(l.src) {
			r, size := utf8.DecodeRuneInString(l.src[l.at:])
			if !isIdentPart(r) || r == utf8.RuneError {
				break
			}
			l.at += size
		}
		text := l.src[start:l.at]
		return token{span: span{start, l.at}, kind: tokIdent, text: text, low: strings.ToLower(text)}, nil
	}
	rest := l.src[start:]
	for _, f := range foreign {
		if strings.HasPrefix(rest, f.op) && !strings.HasPrefix(rest, "!=") && !strings.HasPrefix(rest, "!~") {
			return token{}, errAt(span{start, start + len(f.op)}, "operator %s is not SQL: use %s", f.op, f.use)
		}
	}
	for _, op := range operators {
		if strings.HasPrefix(rest, op) {
			l.at += len(op)
			return token{span: span{start, l.at}, kind: tokOp, text: op}, nil
		}
	}
	return token{}, errAt(span{start, start + size}, "unexpected character %q", r)
}

// number reads 12, 1.5, .5, 1., 1e-3.
func (l *lexer) number(start int) (token, *Error) {
	digits := func() {
		for l.at < len(l.src) && isDigit(l.src[l.at]) {
			l.at++
		}
	}
	digits()
	if l.at < len(l.src) && l.src[l.at] == '.' {
		l.at++
		digits()
	}
	if l.at < len(l.src) && (l.src[l.at] == 'e' || l.src[l.at] == 'E') {
		mark := l.at
		l.at++
		if l.at < len(l.src) && (l.src[l.at] == '+' || l.src[l.at] == '-') {
			l.at++
		}
		from := l.at
		digits()
		if l.at == from {
			l.at = mark
		}
	}
	if l.at < len(l.src) {
		if r, size := utf8.DecodeRuneInString(l.src[l.at:]); isIdentPart(r) && r != utf8.RuneError {
			return token{}, errAt(span{start, l.at + size}, "a number ends in %q: put a space or an operator between", r)
		}
	}
	return token{span: span{start, l.at}, kind: tokNumber, text: l.src[start:l.at]}, nil
}

// quoted reads a "quoted identifier"; "" inside stands for one quote.
func (l *lexer) quoted(start int) (token, *Error) {
	var b strings.Builder
	l.at++
	for {
		i := strings.IndexByte(l.src[l.at:], '"')
		if i < 0 {
			return token{}, errAt(span{start, len(l.src)}, "quoted name is not closed")
		}
		b.WriteString(l.src[l.at : l.at+i])
		l.at += i + 1
		if l.at >= len(l.src) || l.src[l.at] != '"' {
			break
		}
		b.WriteByte('"')
		l.at++
	}
	s := span{start, l.at}
	switch {
	case b.Len() == 0:
		return token{}, errAt(s, "quoted name is empty")
	case !utf8.ValidString(b.String()):
		return token{}, errAt(s, "expression is not valid UTF-8")
	}
	return token{span: s, kind: tokQuoted, text: b.String()}, nil
}

// dollar reads $$…$$ or $tag$…$tag$, a string in which nothing has a meaning, by the rules of PostgreSQL's manual section 4.1.2.4.
func (l *lexer) dollar(start int) (token, *Error) {
	tag, rest, ok := strings.Cut(l.src[start+1:], "$")
	for i, r := range tag {
		ok = ok && (isIdentStart(r) || i > 0 && isIdentPart(r)) && r != utf8.RuneError
	}
	if !ok {
		return token{}, errAt(span{start, start + 1}, "unexpected character '$': a string between dollars is written $$…$$ or $tag$…$tag$")
	}
	text, _, ok := strings.Cut(rest, "$"+tag+"$")
	if !ok {
		return token{}, errAt(span{start, start + len(tag) + 2}, "string is not closed: it ends with another $%s$", tag)
	}
	l.at = start + 2*(len(tag)+2) + len(text)
	s := span{start, l.at}
	return token{span: s, kind: tokString, text: text}, checkText(s, text)
}

// checkText refuses strings that no text column could hold.
func checkText(s span, text string) *Error {
	switch {
	case !utf8.ValidString(text):
		return errAt(s, "string is not valid UTF-8")
	case strings.IndexByte(text, 0) >= 0:
		return errAt(s, "string holds a zero byte")
	}
	return nil
}

// str reads a string; l.at is at its opening quote.
func (l *lexer) str(start int, escapes bool) (token, *Error) {
	var b strings.Builder
	l.at++
	for {
		if l.at >= len(l.src) {
			return token{}, errAt(span{start, len(l.src)}, "string is not closed")
		}
		c := l.src[l.at]
		switch {
		case c == '\'' && strings.HasPrefix(l.src[l.at+1:], "'"):
			b.WriteByte('\'')
			l.at += 2
		case c == '\'':
			l.at++
			s := span{start, l.at}
			return token{span: s, kind: tokString, text: b.String()}, checkText(s, b.String())
		case c == '\\' && escapes:
			if err := l.escape(&b); err != nil {
				return token{}, err
			}
		default:
			b.WriteByte(c)
			l.at++
		}
	}
}

var simpleEscapes = map[byte]byte{'n': '\n', 't': '\t', 'r': '\r', 'b': '\b', 'f': '\f'}

// escape reads one backslash escape of an E'…' string, by the rules of PostgreSQL's manual section 4.1.2.2.
func (l *lexer) escape(b *strings.Builder) *Error {
	start := l.at
	l.at++
	if l.at >= len(l.src) {
		return errAt(span{start, l.at}, "string is not closed")
	}
	c := l.src[l.at]
	l.at++
	digits := func(most, base int) (v, n int) {
		for n < most && l.at < len(l.src) {
			d := strings.IndexByte("0123456789abcdef", lowByte(l.src[l.at]))
			if d < 0 || d >= base {
				break
			}
			v = v*base + d
			n++
			l.at++
		}
		return v, n
	}
	switch {
	case simpleEscapes[c] != 0:
		b.WriteByte(simpleEscapes[c])
	case c >= '0' && c <= '7':
		l.at--
		v, _ := digits(3, 8)
		b.WriteByte(byte(v))
	case c == 'x':
		v, n := digits(2, 16)
		if n == 0 {
			b.WriteByte('x')
		} else {
			b.WriteByte(byte(v))
		}
	case c == 'u' || c == 'U':
		want := 4
		if c == 'U' {
			want = 8
		}
		v, n := digits(want, 16)
		if n != want || !utf8.ValidRune(rune(v)) {
			return errAt(span{start, l.at}, `escape \%c needs %d hexadecimal digits of a Unicode character`, c, want)
		}
		b.WriteRune(rune(v))
	default:
		b.WriteByte(c)
	}
	return nil
}

func lowByte(c byte) byte {
	if c >= 'A' && c <= 'Z' {
		return c + 32
	}
	return c
}
