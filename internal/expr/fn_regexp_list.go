package expr

func init() {
	register(definition{Function{Name: "regexp_match", Signature: "regexp_match(string, pattern string [, flags string]) → list<string>",
		Doc: "The groups of the first match, or the match itself if the pattern has none; null if there is no match.", Example: "regexp_match('foobarbeque', '(bar)(beque)')[2]", Result: "beque"}, bindRegexpList})
	register(definition{Function{Name: "regexp_extract_all", Signature: "regexp_extract_all(string, pattern string [, group int [, flags string]]) → list<string>", Doc: "All matches, or a group of each.",
		Example: "array_to_string(regexp_extract_all('a1b22', '\\d+'), ',')", Result: "1,22"}, bindRegexpList})
	register(definition{Function{Name: "regexp_split_to_array", Aliases: []string{"string_split_regex"}, Signature: "regexp_split_to_array(string, pattern string [, flags string]) → list<string>", Doc: "The parts of a string between the matches.",
		Example: "regexp_split_to_array('a1b22c', '\\d+')[3]", Result: "c"}, bindRegexpList})
}

// bindRegexpList binds the functions that give a list of pieces of a text.
func bindRegexpList(b *binder, c *call, args []node) (node, *Error) {
	name := functions[c.name].Name
	params, flags := []parameter{aString, aString, aString}, 2
	if name == "regexp_extract_all" {
		params, flags = []parameter{aString, aString, anInt, aString}, 3
	}
	re, err := b.regexpCall(c, args, len(params)-2, flags, params...)
	if err != nil {
		return nil, err
	}
	f := &function{t: listOf(stringType), args: args[:2], src: b.text(c.span), mayFail: re.mayFail, maybe: args[0].nullable() || args[1].nullable()}
	switch name {
	case "regexp_match":
		f.maybe = true
		f.run = re.listKernel(func(re *regex, s []byte, put func(lo, hi int)) bool {
			m := re.FindSubmatchIndex(s)
			if m == nil {
				return false
			}
			if len(m) > 2 {
				m = m[2:]
			}
			for ; len(m) > 0; m = m[2:] {
				put(m[0], m[1])
			}
			return true
		})
	case "regexp_extract_all":
		group, err := b.literalInt(c, args, 2, 0, 0, "group")
		if err == nil {
			err = re.checkGroup(group, c.span)
		}
		if err != nil {
			return nil, err
		}
		f.run = re.listKernel(func(re *regex, s []byte, put func(lo, hi int)) bool {
			for _, m := range re.FindAllSubmatchIndex(s, -1) {
				if 2*group+1 < len(m) {
					put(m[2*group], m[2*group+1])
				}
			}
			return true
		})
	default:
		f.run = re.listKernel(func(re *regex, s []byte, put func(lo, hi int)) bool {
			from := 0
			for _, m := range re.FindAllIndex(s, -1) {
				if m[1] == 0 || m[0] == len(s) && m[1] == m[0] { // an empty match at an end parts nothing
					continue
				}
				put(from, m[0])
				from = m[1]
			}
			put(from, len(s))
			return true
		})
	}
	return costly(fold(f)), nil
}

// listKernel makes lists of pieces, which stay in the text: find puts where they begin and end, -1 for a null, or says that the
// row is null.
func (c *regexpCall) listKernel(find func(re *regex, s []byte, put func(lo, hi int)) bool) kernel {
	return func(f *function, r *run, sel []byte, args []*vector) *vector {
		a, m := args[0], args[0].mask()
		out := r.strings(f.t, nil)
		out.valid = r.strictValid(args...)
		e := &vector{typ: stringType, data: a.data}
		var none, null []int
		end := func(i int) { // rows come in order, each once
			out.beg[i], out.end[i] = int32(len(e.beg)), int32(len(e.beg))
		}
		bad := c.each(f, r, sel, args, out.valid, func(i int, re *regex, s []byte) {
			end(i)
			from := a.beg[i&m]
			if !find(re, s, func(lo, hi int) {
				if lo < 0 {
					null = append(null, len(e.beg))
					lo, hi = 0, 0
				}
				e.beg, e.end = append(e.beg, from+int32(lo)), append(e.end, from+int32(hi))
			}) {
				none = append(none, i)
			}
			out.end[i] = int32(len(e.beg))
		}, end)
		e.n = len(e.beg)
		r.rows(e.n, func() {
			for _, i := range null {
				r.setNull(e, i)
			}
		})
		out.elem = e
		for _, i := range none {
			r.setNull(out, i)
		}
		f.failAll(r, out, bad)
		return out
	}
}
