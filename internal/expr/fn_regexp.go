package expr

import (
	"regexp"
	"strings"
	"unicode/utf8"
)

func init() {
	register(definition{Function{Name: "regexp_like", Aliases: []string{"regexp_matches"}, Signature: "regexp_like(string, pattern string [, flags string]) → bool",
		Doc:     "Whether a regular expression (RE2's syntax: no look-around, no back references) matches anywhere in the string; the same as string ~ pattern. Flags: i for any letter case, n to have . and [^…] stop at line ends and ^ and $ match there.",
		Example: "regexp_like('Route 66', 'route \\d+', 'i')", Result: "true"}, bindRegexpLike})
	register(definition{Function{Name: "regexp_full_match", Signature: "regexp_full_match(string, pattern string [, flags string]) → bool", Doc: "Whether a regular expression matches the whole string.",
		Example: "regexp_full_match('a12', '[a-z]\\d')", Result: "false"}, bindRegexpLike})
	register(definition{Function{Name: "regexp_replace", Signature: "regexp_replace(string, pattern string, replacement string [, flags string]) → string",
		Doc: "The first match, with flag g each, replaced; \\1 to \\9 in the replacement are the groups, \\& and \\0 the match.", Example: "regexp_replace('2026-11-22', '(\\d+)-(\\d+)', '\\2/\\1')", Result: "11/2026-22"}, bindRegexpReplace})
	register(definition{Function{Name: "regexp_substr", Signature: "regexp_substr(string, pattern string [, start int [, n int [, flags string [, group int]]]]) → string",
		Doc: "The n-th match from a character on, or a group of it; null if there is none.", Example: "regexp_substr('tel 030/123', '\\d+', 1, 2)", Result: "123"}, bindRegexpSubstr})
	register(definition{Function{Name: "regexp_extract", Signature: "regexp_extract(string, pattern string [, group int [, flags string]]) → string",
		Doc: "The first match, or a group of it; the empty string if there is none, as in DuckDB.", Example: "regexp_extract('zone=7;x', 'zone=(\\d+)', 1)", Result: "7"}, bindRegexpExtract})
	register(definition{Function{Name: "regexp_count", Signature: "regexp_count(string, pattern string [, start int [, flags string]]) → int32", Doc: "How many matches there are from a character on.", Example: "regexp_count('banana', 'an')", Result: "2"},
		bindRegexpCount})
	register(definition{Function{Name: "regexp_instr", Signature: "regexp_instr(string, pattern string [, start int [, n int [, end int [, flags string [, group int]]]]]) → int32",
		Doc:     "The character at which the n-th match (from a character on), or a group of it, begins, or with 1 for end the one behind it; 0 if there is none.",
		Example: "regexp_instr('abc123', '\\d')", Result: "4"}, bindRegexpInstr})
}

// flagsArgument is the constant text of the flags argument i, "" if it is missing.
func (b *binder) flagsArgument(c *call, args []node, i int) (string, span, *Error) {
	if i >= len(args) {
		return "", c.span, nil
	}
	s, ok := constString(args[i])
	if !ok {
		return "", c.span, errAt(c.args[i].place(), "the flags of %s must be a literal", c.name)
	}
	return s, c.args[i].place(), nil
}

// regexpCall checks the arguments of a call, whose flags are argument i.
func (b *binder) regexpCall(c *call, args []node, optional, i int, params ...parameter) (*regexpCall, *Error) {
	if err := b.arguments(c, args, optional, params...); err != nil {
		return nil, err
	}
	flags, at, err := b.flagsArgument(c, args, i)
	if err != nil {
		return nil, err
	}
	return b.regexpOf(args[1], c.args[1].place(), flags, at)
}

func bindRegexpLike(b *binder, c *call, args []node) (node, *Error) {
	re, err := b.regexpCall(c, args, 1, 2, aString, aString, aString)
	if err != nil {
		return nil, err
	}
	if c.name == "regexp_full_match" {
		whole := func(re *regexp.Regexp) *regexp.Regexp { // what compiles alone compiles in a group
			return regexp.MustCompile(`\A(?:` + re.String() + `)\z`)
		}
		if re.konst != nil {
			re.konst = constRegex(whole(re.konst.Regexp))
		}
		part := re.compile
		re.compile = func(p []byte) (*regexp.Regexp, string) {
			out, reason := part(p)
			if reason == "" {
				out = whole(out)
			}
			return out, reason
		}
	}
	return costly(b.call(simple(kBool), re.matchKernel(false), re.mayFail, c.span, args[:2]...)), nil
}

// regexpOperator binds ~ ~* !~ !~*.
func (b *binder) regexpOperator(n *binaryOp, x, y node) (node, *Error) {
	args := []node{x, y}
	for i, at := range []span{n.x.place(), n.y.place()} {
		if !okOrNull(args[i], kString) {
			return nil, errAt(at, "operator %s works on strings, not %s: cast it to string", n.op, args[i].typ())
		}
		var err *Error
		if args[i], err = b.cast(args[i], stringType, at); err != nil {
			return nil, err
		}
	}
	flags := ""
	if strings.HasSuffix(n.op, "*") {
		flags = "i"
	}
	re, err := b.regexpOf(args[1], n.y.place(), flags, n.at)
	if err != nil {
		return nil, err
	}
	return costly(b.call(simple(kBool), re.matchKernel(n.op[0] == '!'), re.mayFail, n.span, args...)), nil
}

// similar binds SIMILAR TO.
func (b *binder) similar(n *like, args []node, escape rune) (node, *Error) {
	re := &regexpCall{mayFail: true, compile: func(p []byte) (*regexp.Regexp, string) {
		s, ok := similarPattern(p, escape)
		if !ok {
			return nil, "it ends in the escape character"
		}
		return parseRegexp(s)
	}}
	if s, ok := constString(args[1]); ok {
		konst, reason := re.compile([]byte(s))
		if reason != "" {
			return nil, errAt(n.pattern.place(), "pattern of SIMILAR TO: %s", reason)
		}
		re.konst, re.mayFail = constRegex(konst), false
	}
	return costly(b.call(simple(kBool), re.matchKernel(n.not), re.mayFail, n.span, args...)), nil
}

func bindRegexpReplace(b *binder, c *call, args []node) (node, *Error) {
	re, err := b.regexpCall(c, args, 1, 3, aString, aString, aString, aString)
	if err != nil {
		return nil, err
	}
	var konst replacement
	if s, ok := constString(args[2]); ok {
		konst = parseReplacement([]byte(s))
	}
	return costly(b.call(stringType, func(f *function, r *run, sel []byte, args []*vector) *vector {
		by, to := konst, args[2]
		return re.textKernel(func(dst []byte, i int, p *regex, s []byte) ([]byte, bool) {
			if konst == nil {
				by = parseReplacement(to.str(i & to.mask()))
			}
			return appendReplaced(dst, s, p, by, re.global), true
		})(f, r, sel, args)
	}, re.mayFail, c.span, args[:3]...)), nil
}

// literalInt is the value of argument i, a literal, or otherwise if it is missing.
func (b *binder) literalInt(c *call, args []node, i int, otherwise, low int64, what string) (int, *Error) {
	if i >= len(args) {
		return int(otherwise), nil
	}
	v, ok := constInt(args[i])
	if !ok || v < low || v > 1<<30 {
		return 0, errAt(c.args[i].place(), "the %s of %s must be a literal integer from %d on", what, c.name, low)
	}
	return int(v), nil
}

// matchAt is which match a function looks at, and what of it.
type matchAt struct{ start, n, end, group int }

// find gives the bytes of the match; ok is false if there is none.
func (p matchAt) find(re *regex, s []byte) (from, to int, ok bool) {
	skip := 0
	if p.start > 1 {
		if skip = runeOffset(s, p.start-1); skip == len(s) && utf8.RuneCount(s) < p.start-1 {
			return 0, 0, false
		}
		s = s[skip:]
	}
	if re.misses(s) {
		return 0, 0, false
	}
	var m []int
	switch {
	case p.n == 1 && p.group == 0:
		m = re.FindIndex(s)
	case p.n == 1:
		m = re.FindSubmatchIndex(s)
	default:
		if all := re.FindAllSubmatchIndex(s, p.n); len(all) == p.n {
			m = all[p.n-1]
		}
	}
	if 2*p.group+1 >= len(m) || m[2*p.group] < 0 {
		return 0, 0, false
	}
	return skip + m[2*p.group], skip + m[2*p.group+1], true
}

// checkGroup refuses a group that a constant pattern does not have.
func (re *regexpCall) checkGroup(group int, at span) *Error {
	if re.konst != nil && group > re.konst.NumSubexp() {
		return errAt(at, "the pattern has %d groups, not %d", re.konst.NumSubexp(), group)
	}
	return nil
}

func bindRegexpSubstr(b *binder, c *call, args []node) (node, *Error) {
	re, err := b.regexpCall(c, args, 4, 4, aString, aString, anInt, anInt, aString, anInt)
	if err != nil {
		return nil, err
	}
	var p matchAt
	if p.start, err = b.literalInt(c, args, 2, 1, 1, "start"); err != nil {
		return nil, err
	}
	if p.n, err = b.literalInt(c, args, 3, 1, 1, "number of the match"); err != nil {
		return nil, err
	}
	if p.group, err = b.literalInt(c, args, 5, 0, 0, "group"); err != nil {
		return nil, err
	}
	if err := re.checkGroup(p.group, c.span); err != nil {
		return nil, err
	}
	return b.regexpText(c, re, args, p, true), nil
}

func bindRegexpExtract(b *binder, c *call, args []node) (node, *Error) {
	re, err := b.regexpCall(c, args, 2, 3, aString, aString, anInt, aString)
	if err != nil {
		return nil, err
	}
	p := matchAt{start: 1, n: 1}
	if p.group, err = b.literalInt(c, args, 2, 0, 0, "group"); err != nil {
		return nil, err
	}
	if err := re.checkGroup(p.group, c.span); err != nil {
		return nil, err
	}
	return b.regexpText(c, re, args, p, false), nil
}

// regexpText gives what p finds; without a match null, or the empty text.
func (b *binder) regexpText(c *call, re *regexpCall, args []node, p matchAt, null bool) node {
	f := &function{t: stringType, args: args[:2], src: b.text(c.span), mayFail: re.mayFail, maybe: null || args[0].nullable() || args[1].nullable(),
		run: re.textKernel(func(dst []byte, _ int, p2 *regex, s []byte) ([]byte, bool) {
			from, to, ok := p.find(p2, s)
			if !ok {
				return dst, !null
			}
			return append(dst, s[from:to]...), true
		})}
	return costly(fold(f))
}

func bindRegexpCount(b *binder, c *call, args []node) (node, *Error) {
	re, err := b.regexpCall(c, args, 2, 3, aString, aString, anInt, aString)
	if err != nil {
		return nil, err
	}
	start, err := b.literalInt(c, args, 2, 1, 1, "start")
	if err != nil {
		return nil, err
	}
	return b.regexpInt(c, re, args, func(re *regex, s []byte) int32 {
		if s = s[runeOffset(s, start-1):]; re.misses(s) {
			return 0
		}
		return int32(len(re.FindAllIndex(s, -1)))
	}), nil
}

func bindRegexpInstr(b *binder, c *call, args []node) (node, *Error) {
	re, err := b.regexpCall(c, args, 5, 5, aString, aString, anInt, anInt, anInt, aString, anInt)
	if err != nil {
		return nil, err
	}
	var p matchAt
	for _, a := range []struct {
		to             *int
		at             int
		otherwise, low int64
		what           string
	}{{&p.start, 2, 1, 1, "start"}, {&p.n, 3, 1, 1, "number of the match"}, {&p.end, 4, 0, 0, "end"}, {&p.group, 6, 0, 0, "group"}} {
		if *a.to, err = b.literalInt(c, args, a.at, a.otherwise, a.low, a.what); err != nil {
			return nil, err
		}
	}
	if err := re.checkGroup(p.group, c.span); err != nil {
		return nil, err
	}
	return b.regexpInt(c, re, args, func(re *regex, s []byte) int32 {
		from, to, ok := p.find(re, s)
		if !ok {
			return 0
		}
		if p.end > 0 {
			from = to
		}
		return int32(utf8.RuneCount(s[:from])) + 1
	}), nil
}

func (b *binder) regexpInt(c *call, re *regexpCall, args []node, compute func(re *regex, s []byte) int32) node {
	return costly(b.call(simple(kInt32), func(f *function, r *run, sel []byte, args []*vector) *vector {
		out := r.fixed(f.t)
		out.valid = r.strictValid(args...)
		dst := values[int32](out)
		bad := re.each(f, r, sel, args, out.valid, func(i int, re *regex, s []byte) { dst[i] = compute(re, s) }, func(i int) { dst[i] = 0 })
		f.failAll(r, out, bad)
		return out
	}, re.mayFail, c.span, args[:2]...))
}
