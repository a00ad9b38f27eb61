package expr

import (
	"errors"
	"regexp"
	resyntax "regexp/syntax"
	"strings"
	"unicode/utf8"

	"github.com/sluice-data/sluice/internal/fail"
)

// compileRegexp reads a pattern in RE2's syntax with PostgreSQL's flags and meaning of newlines: unless flag n is given . and [^…] take
// them and ^ and $ are the ends of the text. g (all matches) is the caller's.
func compileRegexp(pattern, flags string) (re *regexp.Regexp, global bool, reason string) {
	fold, mode := false, "s"
	for _, f := range flags {
		switch f {
		case 'g':
			global = true
		case 'i':
			fold = true
		case 'c':
			fold = false
		case 'n', 'm':
			mode = "m"
		case 'p':
			mode = ""
		case 'w':
			mode = "sm"
		case 's':
			mode = "s"
		case 'q':
			pattern = regexp.QuoteMeta(pattern)
		default:
			return nil, false, "unknown flag " + string(f) + " of a pattern: there are g, i, c, n, p, w, s and q"
		}
	}
	if fold {
		mode += "i"
	}
	pattern, marks := postgresEscapes(pattern)
	if mode != "" {
		pattern = "(?" + mode + ")" + pattern
	}
	if strings.Contains(mode, "s") && marks == 0 {
		re, reason = parseRegexp(pattern)
		return re, global, reason
	}
	syntax := resyntax.Perl
	if !strings.Contains(mode, "s") {
		syntax &^= resyntax.ClassNL // nor do [^…] take newlines where . does not
	}
	tree, err := resyntax.Parse(pattern, syntax)
	if err != nil {
		return nil, false, patternFault(pattern, err)
	}
	if !placeWordEnds(tree, false, false) {
		return nil, false, `there is \m only before a character of a word (\mfoo, \m\w+), and \M only behind one: there is no look-around`
	}
	re, reason = parseRegexp(tree.String())
	return re, global, reason
}

func parseRegexp(pattern string) (*regexp.Regexp, string) {
	re, err := regexp.Compile(pattern)
	if err != nil {
		return nil, patternFault(pattern, err)
	}
	return re, ""
}

// patternFault gives a reason that names the part at fault, but not a whole pattern, to which flags were added here.
func patternFault(pattern string, err error) string {
	var bad *resyntax.Error
	switch {
	case errors.As(err, &bad) && bad.Expr == pattern:
		return bad.Code.String()
	case errors.As(err, &bad):
		return bad.Code.String() + " " + bad.Expr
	}
	return err.Error()
}

// similarPattern writes a pattern of SIMILAR TO as a regular expression for the whole text.
func similarPattern(p []byte, escape rune) (string, bool) {
	var b strings.Builder
	b.WriteString("(?s)^(?:")
	bracket := false
	for i := 0; i < len(p); {
		r, n := utf8.DecodeRune(p[i:])
		i += n
		switch {
		case r == escape:
			if i == len(p) {
				return "", false
			}
			r, n = utf8.DecodeRune(p[i:])
			i += n
			b.WriteString(regexp.QuoteMeta(string(r)))
		case bracket:
			if r == '\\' {
				b.WriteByte('\\')
			}
			if r == '[' {
				if name := className(p[i-1:]); name > 0 {
					b.Write(p[i-1 : i-1+name])
					i += name - 1
					continue
				}
			}
			bracket = r != ']'
			b.WriteRune(r)
		case r == '[':
			bracket = true
			b.WriteRune(r)
			if i < len(p) && p[i] == '^' {
				b.WriteByte('^')
				i++
			}
			if i < len(p) && p[i] == ']' {
				b.WriteString(`\]`)
				i++
			}
		case r == '%':
			b.WriteString(".*")
		case r == '_':
			b.WriteByte('.')
		case strings.ContainsRune("|*+?{}()", r):
			b.WriteRune(r)
		default:
			b.WriteString(regexp.QuoteMeta(string(r)))
		}
	}
	b.WriteString(")$")
	return b.String(), true
}

// regexps gives the pattern of each row: compiled once if it is constant, else once for each different text of the batch.
type regexps struct {
	text    *vector
	konst   *regex
	compile func(pattern []byte) (*regexp.Regexp, string)
	seen    map[string]compiled
}

type compiled struct {
	re     *regex
	reason string
}

// maxRegexps bounds what a batch with a pattern for each row keeps.
const maxRegexps = 256

func (p *regexps) row(i int) (*regex, string) {
	if p.konst != nil {
		return p.konst, ""
	}
	s := p.text.str(i & p.text.mask())
	c, ok := p.seen[string(s)]
	if !ok {
		if p.seen == nil || len(p.seen) == maxRegexps {
			p.seen = map[string]compiled{}
		}
		re, reason := p.compile(s)
		c = compiled{&regex{Regexp: re}, reason}
		p.seen[string(s)] = c
	}
	return c.re, c.reason
}

// regexpCall is a bound call of a function on a text and a pattern, its first two arguments.
type regexpCall struct {
	konst   *regex
	compile func(pattern []byte) (*regexp.Regexp, string)
	global  bool
	mayFail bool
}

// regexpOf checks flags and, if it is constant, the pattern.
func (b *binder) regexpOf(pattern node, at span, flags string, atFlags span) (*regexpCall, *Error) {
	out := &regexpCall{mayFail: true}
	_, global, reason := compileRegexp("", flags)
	if reason != "" {
		return nil, errAt(atFlags, "%s", reason)
	}
	out.global = global
	out.compile = func(p []byte) (*regexp.Regexp, string) {
		re, _, reason := compileRegexp(string(p), flags)
		return re, reason
	}
	if s, ok := constString(pattern); ok {
		re, _, reason := compileRegexp(s, flags)
		if reason != "" {
			return nil, errAt(at, "pattern is not a regular expression: %s", reason)
		}
		out.konst, out.mayFail = constRegex(re), false
	}
	return out, nil
}

// each calls do for every row that counts, with the row's pattern and text; a pattern that is none is an error of its row.
func (c *regexpCall) each(f *function, r *run, sel []byte, args []*vector, valid []byte, do func(i int, re *regex, s []byte), skip func(i int)) (bad []rowError) {
	p := regexps{text: args[1], konst: c.konst, compile: c.compile}
	a, m := args[0], args[0].mask()
	for i := range r.n {
		if !active(sel, valid, i) {
			skip(i)
			continue
		}
		re, reason := p.row(i)
		if reason != "" {
			bad = append(bad, rowError{i, fail.Shorten(string(p.text.str(i & p.text.mask()))), "pattern is not a regular expression: " + reason})
			skip(i)
			continue
		}
		do(i, re, a.str(i&m))
	}
	return bad
}

func (f *function) failAll(r *run, out *vector, bad []rowError) {
	for _, e := range bad {
		f.fail(r, out, e.row, e.value, e.reason)
	}
}

func noRow(int) {}

// matchKernel is whether the pattern matches.
func (c *regexpCall) matchKernel(negated bool) kernel {
	return func(f *function, r *run, sel []byte, args []*vector) *vector {
		out := &vector{typ: simple(kBool), n: r.n, valid: r.strictValid(args...), data: r.zeroBitmap()}
		bad := c.each(f, r, sel, args, out.valid, func(i int, re *regex, s []byte) {
			if re.matches(s) != negated {
				setBit(out.data, i)
			}
		}, noRow)
		f.failAll(r, out, bad)
		return out
	}
}

// textKernel appends a text for each row; found false is null.
func (c *regexpCall) textKernel(put func(dst []byte, i int, re *regex, s []byte) (out []byte, found bool)) kernel {
	return func(f *function, r *run, sel []byte, args []*vector) *vector {
		valid := r.strictValid(args...)
		b := r.newText(f.t, min(len(args[0].data), 1<<24))
		var null []int
		bad := c.each(f, r, sel, args, valid, func(i int, re *regex, s []byte) {
			var found bool
			if b.buf, found = put(b.buf, i, re, s); !found {
				null = append(null, i)
			}
			b.end(i)
		}, b.end)
		out := b.finish(r, valid)
		for _, i := range null {
			r.setNull(out, i)
		}
		f.failAll(r, out, bad)
		return out
	}
}

// replacement is the text that takes a match's place, cut at its references to groups.
type replacement []replacePart

type replacePart struct {
	text  []byte
	group int // -1 for none behind the text
}

// parseReplacement reads \1 to \9, \& for the whole match (\0 as well, as in DuckDB) and \\ for a backslash.
func parseReplacement(s []byte) replacement {
	var out replacement
	var text []byte
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+1 < len(s) {
			c := s[i+1]
			switch {
			case c >= '0' && c <= '9':
				out = append(out, replacePart{text, int(c - '0')})
				text = nil
				i++
				continue
			case c == '&':
				out = append(out, replacePart{text, 0})
				text = nil
				i++
				continue
			case c == '\\':
				i++
			}
		}
		text = append(text, s[i])
	}
	return append(out, replacePart{text, -1})
}

func (p replacement) append(dst, s []byte, match []int) []byte {
	for _, part := range p {
		dst = append(dst, part.text...)
		if g := part.group; g >= 0 && 2*g+1 < len(match) && match[2*g] >= 0 {
			dst = append(dst, s[match[2*g]:match[2*g+1]]...)
		}
	}
	return dst
}

func appendReplaced(dst, s []byte, re *regex, by replacement, global bool) []byte {
	if re.misses(s) {
		return append(dst, s...)
	}
	at := 0
	put := func(m []int) {
		dst = by.append(append(dst, s[at:m[0]]...), s, m)
		at = m[1]
	}
	if global {
		for _, m := range re.FindAllSubmatchIndex(s, -1) {
			put(m)
		}
	} else if m := re.FindSubmatchIndex(s); m != nil {
		put(m)
	}
	return append(dst, s[at:]...)
}
