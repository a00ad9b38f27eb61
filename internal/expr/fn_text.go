package expr

import (
	"bytes"
	"strconv"
	"strings"
	"unicode/utf8"
)

func init() {
	strict(Function{Name: "ascii", Signature: "ascii(string) → int32", Doc: "The Unicode number of the first character; 0 for an empty string.", Example: "ascii('é')", Result: "233"}, false, simple(kInt32),
		mapBytes(func(s []byte) int32 {
			if len(s) == 0 {
				return 0
			}
			r, _ := utf8.DecodeRune(s)
			return r
		}), 0, aString)
	strict(Function{Name: "chr", Signature: "chr(int) → string", Doc: "The character of a Unicode number.", Example: "chr(233)", Result: "é"}, true, stringType, chrKernel, 0, anInt)
	strict(Function{Name: "repeat", Signature: "repeat(string, n int) → string", Doc: "The string n times, at most 1 MiB; nothing for n below 1.", Example: "repeat('ab', 3)", Result: "ababab"}, true, stringType, repeatKernel, 0, aString, anInt)
	strict(Function{Name: "translate", Signature: "translate(string, from string, to string) → string",
		Doc: "Each character that is in from replaced by the one at its place in to, and dropped if to is shorter.", Example: "translate('12345', '143', 'ax')", Result: "a2x5"},
		false, stringType, translateKernel, 0, aString, aString, aString)
	strict(Function{Name: "overlay", Signature: "overlay(string PLACING part string FROM position int [FOR length int]) → string",
		Doc: "The string with length characters (as many as part has, if not given) from a position on replaced by part.", Example: "overlay('Txxxxas' PLACING 'hom' FROM 2 FOR 4)", Result: "Thomas"},
		true, stringType, overlayKernel, 1, aString, aString, anInt, anInt)
	strict(Function{Name: "contains", Signature: "contains(string, part string) → bool", Doc: "Whether part occurs in the string.", Example: "contains('alphabet', 'hab')", Result: "true"},
		false, simple(kBool), affixKernel(bytes.Contains), 0, aString, aString)
	register(definition{Function{Name: "charindex", Signature: "charindex(part string, string) → int32", Doc: "The character at which part first occurs, counted from 1; 0 if it does not: strpos with its arguments swapped.",
		Example: "charindex('l', 'hello')", Result: "3"}, func(b *binder, c *call, args []node) (node, *Error) {
		if err := b.arguments(c, args, 0, aString, aString); err != nil {
			return nil, err
		}
		return b.call(simple(kInt32), strposKernel, false, c.span, args[1], args[0]), nil
	}})
	strict(Function{Name: "quote_literal", Signature: "quote_literal(string) → string", Doc: "The string in quotes, as a literal of SQL.", Example: "quote_literal('it''s')", Result: "'it''s'"},
		false, stringType, mapText(appendLiteral), 0, aString)
	strict(Function{Name: "quote_ident", Signature: "quote_ident(string) → string", Doc: "The string as a name in SQL, in double quotes unless it is of lower case letters, digits and _ and no keyword of this dialect.",
		Example: "quote_ident('Zone id')", Result: `"Zone id"`}, false, stringType, mapText(appendIdent), 0, aString)
	strict(Function{Name: "levenshtein", Signature: "levenshtein(string, string) → int32", Doc: "How many characters to insert, delete or replace to get from one string (of at most 4096 characters) to the other.",
		Example: "levenshtein('kitten', 'sitting')", Result: "3"}, true, simple(kInt32), levenshteinKernel, 0, aString, aString)
}

func chrKernel(f *function, r *run, sel []byte, args []*vector) *vector {
	a, valid := values[int64](args[0]), r.strictValid(args...)
	b := r.newText(f.t, r.n*4)
	var bad []int
	for i, n := range a {
		if valid == nil || bit(valid, i) {
			if n <= 0 || n > utf8.MaxRune || !utf8.ValidRune(rune(n)) {
				bad = append(bad, i)
			} else {
				b.buf = utf8.AppendRune(b.buf, rune(n))
			}
		}
		b.end(i)
	}
	out := b.finish(r, valid)
	for _, i := range bad {
		if active(sel, valid, i) {
			f.fail(r, out, i, strconv.FormatInt(a[i], 10), "not the number of a character")
		}
	}
	return out
}

func repeatKernel(f *function, r *run, sel []byte, args []*vector) *vector {
	a, ma, valid := args[0], args[0].mask(), r.strictValid(args...)
	count, mc := values[int64](args[1]), args[1].mask()
	b := r.newText(f.t, r.n*16)
	var bad []int
	for i := range r.n {
		if valid == nil || bit(valid, i) {
			s, n := a.str(i&ma), count[i&mc]
			switch {
			case n <= 0 || len(s) == 0:
			case n > maxPad/int64(len(s)):
				bad = append(bad, i)
			default:
				for range n {
					b.buf = append(b.buf, s...)
				}
			}
		}
		b.end(i)
	}
	out := b.finish(r, valid)
	for _, i := range bad {
		if active(sel, valid, i) {
			f.fail(r, out, i, strconv.FormatInt(count[i&mc], 10), "result longer than "+strconv.Itoa(maxPad)+" bytes")
		}
	}
	return out
}

// translation says what becomes of a character: itself, another or, for -1, nothing.
type translation struct {
	ascii [utf8.RuneSelf]rune
	other map[rune]rune
}

func newTranslation(from, to []byte) *translation {
	t := &translation{}
	for i := range t.ascii {
		t.ascii[i] = rune(i)
	}
	seen := map[rune]bool{}
	for len(from) > 0 {
		r, n := utf8.DecodeRune(from)
		from = from[n:]
		by := rune(-1)
		if len(to) > 0 {
			var m int
			by, m = utf8.DecodeRune(to)
			to = to[m:]
		}
		if seen[r] {
			continue
		}
		seen[r] = true
		if r < utf8.RuneSelf {
			t.ascii[r] = by
			continue
		}
		if t.other == nil {
			t.other = map[rune]rune{}
		}
		t.other[r] = by
	}
	return t
}

func (t *translation) append(dst, s []byte) []byte {
	for i := 0; i < len(s); {
		if s[i] < utf8.RuneSelf {
			if by := t.ascii[s[i]]; by >= 0 {
				dst = utf8.AppendRune(dst, by)
			}
			i++
			continue
		}
		r, n := utf8.DecodeRune(s[i:])
		if by, ok := t.other[r]; !ok {
			dst = append(dst, s[i:i+n]...)
		} else if by >= 0 {
			dst = utf8.AppendRune(dst, by)
		}
		i += n
	}
	return dst
}

func translateKernel(f *function, r *run, _ []byte, args []*vector) *vector {
	a, from, to, valid := args[0], args[1], args[2], r.strictValid(args...)
	b := r.newText(f.t, min(len(a.data), 1<<24))
	var t *translation
	if from.konst && to.konst {
		t = newTranslation(from.str(0), to.str(0))
	}
	for i := range r.n {
		if valid == nil || bit(valid, i) {
			row := t
			if row == nil {
				row = newTranslation(from.str(i&from.mask()), to.str(i&to.mask()))
			}
			b.buf = row.append(b.buf, a.str(i&a.mask()))
		}
		b.end(i)
	}
	return b.finish(r, valid)
}

func overlayKernel(f *function, r *run, sel []byte, args []*vector) *vector {
	a, part, valid := args[0], args[1], r.strictValid(args...)
	from, mf := values[int64](args[2]), args[2].mask()
	var length []int64
	ml := 0
	if len(args) == 4 {
		length, ml = values[int64](args[3]), args[3].mask()
	}
	b := r.newText(f.t, min(len(a.data), 1<<24))
	var bad []int
	for i := range r.n {
		if valid == nil || bit(valid, i) {
			s, p, at := a.str(i&a.mask()), part.str(i&part.mask()), from[i&mf]
			n := int64(0)
			if length != nil {
				n = length[i&ml]
			} else {
				n = int64(utf8.RuneCount(p))
			}
			if at < 1 || at > maxPad || n > maxPad || n < -maxPad {
				bad = append(bad, i)
			} else {
				b.buf = append(append(b.buf, s[:runeOffset(s, int(at-1))]...), p...)
				b.buf = append(b.buf, s[runeOffset(s, int(max(at-1+n, 0))):]...)
			}
		}
		b.end(i)
	}
	out := b.finish(r, valid)
	for _, i := range bad {
		if active(sel, valid, i) {
			f.fail(r, out, i, strconv.FormatInt(from[i&mf], 10), "position or length out of range: positions are counted from 1")
		}
	}
	return out
}

// appendLiteral quotes s as PostgreSQL's quote_literal does: with backslashes as E'…'.
func appendLiteral(dst, s []byte) []byte {
	if bytes.IndexByte(s, '\\') >= 0 {
		dst = append(dst, 'E')
	}
	dst = append(dst, '\'')
	for _, c := range s {
		if c == '\'' || c == '\\' {
			dst = append(dst, c)
		}
		dst = append(dst, c)
	}
	return append(dst, '\'')
}

func appendIdent(dst, s []byte) []byte {
	plain := len(s) > 0 && !isDigit(s[0]) && !reserved[string(s)]
	for _, c := range s {
		plain = plain && (c == '_' || isDigit(c) || c >= 'a' && c <= 'z')
	}
	if plain {
		return append(dst, s...)
	}
	dst = append(dst, '"')
	for _, c := range s {
		if c == '"' {
			dst = append(dst, c)
		}
		dst = append(dst, c)
	}
	return append(dst, '"')
}

// maxDistance bounds the work of one row, which grows with the square of the characters.
const maxDistance = 4096

func levenshteinKernel(f *function, r *run, sel []byte, args []*vector) *vector {
	a, b, out := args[0], args[1], r.fixed(f.t)
	out.valid = r.strictValid(args...)
	valid, dst := out.valid, values[int32](out)
	var x, y []rune
	var row []int32
	for i := range dst {
		dst[i] = 0
		if !active(sel, valid, i) {
			continue
		}
		x, y = appendRunes(x[:0], a.str(i&a.mask())), appendRunes(y[:0], b.str(i&b.mask()))
		if len(x) > maxDistance || len(y) > maxDistance {
			f.fail(r, out, i, strconv.Itoa(max(len(x), len(y))), "more than "+strconv.Itoa(maxDistance)+" characters")
			continue
		}
		dst[i], row = levenshtein(x, y, row)
	}
	return out
}

func appendRunes(dst []rune, s []byte) []rune {
	for len(s) > 0 {
		r, n := utf8.DecodeRune(s)
		dst = append(dst, r)
		s = s[n:]
	}
	return dst
}

// levenshtein fills one row of the table after the other; row is scratch.
func levenshtein(x, y []rune, row []int32) (int32, []int32) {
	row = row[:0]
	for j := range len(y) + 1 {
		row = append(row, int32(j))
	}
	for i, c := range x {
		above := row[0] // of the column before, in the row above
		row[0] = int32(i) + 1
		for j, d := range y {
			cost := above + 1
			if c == d {
				cost = above
			}
			above = row[j+1]
			row[j+1] = min(cost, above+1, row[j]+1)
		}
	}
	return row[len(y)], row
}

func init() {
	register(definition{Function{Name: "format", Signature: "format(template string, any, …) → string",
		Doc:     "The template, a literal, with %s replaced by the next argument as text, %I by it as a name, %L as a literal of SQL and %% by %. %2$s names an argument by its number; %10s and %-10s fill up with spaces.",
		Example: "format('Hello %s, %1$s', 'World')", Result: "Hello World, World"}, bindFormat})
}

// formatPart is a piece of text and the argument behind it, -1 for none.
type formatPart struct {
	text  string
	arg   int
	verb  byte // s, I, L
	width int
	left  bool
}

func parseFormat(t string, args int) (parts []formatPart, reason string) {
	text, next := "", 0
	for {
		at := strings.IndexByte(t, '%')
		if at < 0 {
			return append(parts, formatPart{text: text + t, arg: -1}), ""
		}
		text += t[:at]
		t = t[at+1:]
		if strings.HasPrefix(t, "%") {
			text += "%"
			t = t[1:]
			continue
		}
		p := formatPart{text: text, arg: next}
		number := func() int {
			n := 0
			for n < len(t) && isDigit(t[n]) {
				n++
			}
			v, _ := strconv.Atoi(t[:n])
			t = t[n:]
			return v
		}
		if n := strings.IndexByte(t, '$'); n > 0 && strings.Trim(t[:n], "0123456789") == "" {
			p.arg = number() - 1
			t = t[1:]
			if p.arg < 0 {
				return nil, "arguments are counted from 1"
			}
		}
		if p.left = strings.HasPrefix(t, "-"); p.left {
			t = t[1:]
		}
		if p.width = number(); p.width > maxPad {
			return nil, "width is over " + strconv.Itoa(maxPad)
		}
		if t == "" || !strings.ContainsRune("sIL", rune(t[0])) {
			return nil, "% must be followed by s, I, L or %"
		}
		if p.arg >= args {
			return nil, "there are only " + strconv.Itoa(args) + " arguments behind the template"
		}
		p.verb, t = t[0], t[1:]
		next = p.arg + 1
		parts = append(parts, p)
		text = ""
	}
}

func bindFormat(b *binder, c *call, args []node) (node, *Error) {
	if len(args) == 0 {
		return nil, errAt(c.span, "format takes at least 1 argument: %s", signature(c.name))
	}
	at := c.args[0].place()
	t, ok := constString(args[0])
	if !ok {
		return nil, errAt(at, "the template of format must be a literal")
	}
	parts, reason := parseFormat(t, len(args)-1)
	if reason != "" {
		return nil, errAt(at, "template of format: %s", reason)
	}
	for i, x := range args {
		if k := x.typ().kind; !k.printable() {
			return nil, errAt(c.args[i].place(), "%s cannot print %s", c.name, x.typ())
		}
	}
	mayFail := false
	for _, p := range parts {
		mayFail = mayFail || p.verb == 'I' && p.arg >= 0 && args[1:][p.arg].nullable()
	}
	return fold(&function{t: stringType, args: args[1:], lenient: true, never: true, mayFail: mayFail, src: b.text(c.span), run: func(f *function, r *run, sel []byte, args []*vector) *vector {
		put := make([]func([]byte, int) []byte, len(args))
		for i, a := range args {
			put[i] = appender(a)
		}
		out := r.newText(f.t, r.n*16)
		var value []byte
		var nameless []int
		for i := range r.n {
			for _, p := range parts {
				out.buf = append(out.buf, p.text...)
				if p.arg < 0 {
					continue
				}
				value = value[:0]
				null := args[p.arg].isNull(i)
				if !null {
					value = put[p.arg](value, i)
				}
				from := len(out.buf)
				switch {
				case p.verb == 'L' && null:
					out.buf = append(out.buf, "NULL"...)
				case p.verb == 'L':
					out.buf = appendLiteral(out.buf, value)
				case p.verb == 'I' && null:
					if active(sel, nil, i) && (len(nameless) == 0 || nameless[len(nameless)-1] != i) {
						nameless = append(nameless, i)
					}
				case p.verb == 'I':
					out.buf = appendIdent(out.buf, value)
				default:
					out.buf = append(out.buf, value...)
				}
				out.buf = padFrom(out.buf, from, p.width, p.left)
			}
			out.end(i)
		}
		v := out.finish(r, nil)
		for _, i := range nameless {
			f.fail(r, v, i, "NULL", "%I of format takes no null")
		}
		return v
	}}), nil
}

// padFrom fills what was appended behind from up to width characters with spaces.
func padFrom(buf []byte, from, width int, left bool) []byte {
	fill := width - utf8.RuneCount(buf[from:])
	if fill <= 0 {
		return buf
	}
	n := len(buf)
	for range fill {
		buf = append(buf, ' ')
	}
	if !left {
		copy(buf[from+fill:], buf[from:n])
		for i := range fill {
			buf[from+i] = ' '
		}
	}
	return buf
}
