package expr

import (
	"bytes"
	"strings"
)

var jsonType = typ{kind: kString, json: true}

func init() {
	for _, f := range []struct {
		name, doc, example, result string
		aliases                    []string
		text                       bool
	}{
		{"json_extract_path", "The value at a path of keys and indexes (counted from 0) as json; null if there is none. The same as json #> path.",
			`json_extract_path('{"a": [1, 2]}', 'a', '1')`, "2", nil, false},
		{"json_extract_path_text", "The value at a path of keys and indexes (counted from 0) as text, a JSON null as null. The same as json #>> path.",
			`json_extract_path_text('{"a": {"b": "x"}}', 'a', 'b')`, "x", nil, true},
	} {
		t := jsonType
		if f.text {
			t = stringType
		}
		register(definition{Function{Name: f.name, Signature: f.name + "(json, key string, …) → " + t.String(), Doc: f.doc, Example: f.example, Result: f.result},
			func(b *binder, c *call, args []node) (node, *Error) {
				if len(args) < 2 {
					return nil, errAt(c.span, "%s takes more arguments: %s", c.name, signature(c.name))
				}
				x, err := b.jsonValue(args[0], c.args[0].place(), c.name)
				if err != nil {
					return nil, err
				}
				for i := range args[1:] {
					if args[i+1], err = b.argument(c, i+1, args[i+1], aString); err != nil {
						return nil, err
					}
				}
				return b.jsonFind(x, args[1:], textStep, f.text, c.span), nil
			}})
		name := strings.Replace(f.name, "_path", "", 1)
		alias, doc, example, result := []string{"json_path"}, "as json", `json_extract('{"a": [{"b": 1.50}]}', '$.a[0].b')`, "1.50"
		if f.text {
			name, alias, doc, example, result = "json_extract_string", []string{"json_value"}, "as text, a JSON null as null", `json_extract_string('{"a": ["x", "y"]}', '$.a[last]')`, "y"
		}
		register(definition{Function{Name: name, Aliases: alias, Signature: name + "(json, path string) → " + t.String(),
			Doc:     "The value at a JSON path, a literal such as '$.a[0].\"b c\"', " + doc + "; null if there is none. [-1] and [last] are the last element; with [*] or .* it is a list of all that are found.",
			Example: example, Result: result}, func(b *binder, c *call, args []node) (node, *Error) { return b.jsonPath(c, args, f.text) }})
	}
	register(definition{Function{Name: "json_extract_array_element_text", Signature: "json_extract_array_element_text(json, index int) → string", Doc: "An element of a JSON array, counted from 0, as text; null if there is none.",
		Example: "json_extract_array_element_text('[7, 8]', 1)", Result: "8"}, func(b *binder, c *call, args []node) (node, *Error) {
		if err := b.arguments(c, args, 0, anything, anInt); err != nil {
			return nil, err
		}
		return b.jsonGet(args[0], args[1], c.args[0].place(), c.args[1].place(), c.span, true)
	}})
	register(definition{Function{Name: "json_array_length", Signature: "json_array_length(json) → int32", Doc: "How many elements a JSON array has; what is none rejects the row.", Example: "json_array_length('[1, [2, 3]]')", Result: "2"},
		func(b *binder, c *call, args []node) (node, *Error) {
			x, err := b.oneJSON(c, args)
			if err != nil {
				return nil, err
			}
			return b.call(simple(kInt32), jsonLength, true, c.span, x), nil
		}})
	register(definition{Function{Name: "json_typeof", Signature: "json_typeof(json) → string", Doc: "object, array, string, number, boolean or null.", Example: "json_typeof('[1]')", Result: "array"},
		func(b *binder, c *call, args []node) (node, *Error) {
			x, err := b.oneJSON(c, args)
			if err != nil {
				return nil, err
			}
			return b.call(stringType, mapText(func(dst, s []byte) []byte { return append(dst, jsonKind(at(s, jsonSpace(s, 0)))...) }), false, c.span, x), nil
		}})
	register(definition{Function{Name: "json_valid", Aliases: []string{"is_valid_json", "can_json_parse"}, Signature: "json_valid(string) → bool", Doc: "Whether a text is JSON.", Example: "json_valid('{\"a\": 1}')", Result: "true"},
		bindJSONValid})
	register(definition{Function{Name: "is_valid_json_array", Signature: "is_valid_json_array(string) → bool", Doc: "Whether a text is a JSON array.", Example: "is_valid_json_array('{}')", Result: "false"}, bindJSONValid})
	register(definition{Function{Name: "json_parse", Signature: "json_parse(string) → json", Doc: "A text as json; what is none rejects the row. The same as text::json.", Example: "json_parse('[1, 2]')", Result: "[1, 2]"},
		func(b *binder, c *call, args []node) (node, *Error) { return b.oneJSON(c, args) }})
	register(definition{Function{Name: "json_serialize", Signature: "json_serialize(json) → string", Doc: "The text of a json value, as it is. The same as json::text.", Example: "json_serialize('[1, 2]'::json)", Result: "[1, 2]"},
		func(b *binder, c *call, args []node) (node, *Error) {
			x, err := b.oneJSON(c, args)
			if err != nil {
				return nil, err
			}
			return b.cast(x, stringType, c.span)
		}})
}

// at is byte i of s, 0 behind its end.
func at(s []byte, i int) byte {
	if i < len(s) {
		return s[i]
	}
	return 0
}

// jsonValue takes json as it is and checks a text.
func (b *binder) jsonValue(x node, place span, what string) (node, *Error) {
	switch t := x.typ(); {
	case t.json:
		return x, nil
	case t.kind == kString || t.kind == kNull:
		return b.cast(x, jsonType, place)
	default:
		return nil, errAt(place, "%s works on json, not %s: use to_json(x)", what, t)
	}
}

func (b *binder) oneJSON(c *call, args []node) (node, *Error) {
	if err := b.arguments(c, args, 0, anything); err != nil {
		return nil, err
	}
	return b.jsonValue(args[0], c.args[0].place(), c.name)
}

// jsonFromText checks that texts are JSON and keeps them as they are.
func jsonFromText(f *function, r *run, sel []byte, args []*vector) *vector {
	out := *args[0]
	out.typ, out.array, out.owned = f.t, nil, false
	valid := out.valid
	for i := range r.n {
		if !active(sel, valid, i) {
			continue
		}
		if s := args[0].str(i & args[0].mask()); !jsonValid(s) {
			f.fail(r, &out, i, string(s), f.notA())
		}
	}
	return &out
}

// jsonOperator binds -> ->> #> #>>.
func (b *binder) jsonOperator(n *binaryOp, x, y node) (node, *Error) {
	text := strings.HasSuffix(n.op, ">>")
	if n.op[0] == '-' {
		return b.jsonGet(x, y, n.x.place(), n.y.place(), n.span, text)
	}
	x, err := b.jsonValue(x, n.x.place(), "operator "+n.op)
	if err != nil {
		return nil, err
	}
	path, ok := constPath(y)
	if !ok {
		return nil, errAt(n.y.place(), "the path of %s must be a literal such as '{a,0,b}' or ARRAY['a', '0', 'b']", n.op)
	}
	keys := make([]node, len(path))
	for i, s := range path {
		keys[i] = stringNode(s, false)
	}
	return b.jsonFind(x, keys, textStep, text, n.span), nil
}

// constPath reads the text of an array of PostgreSQL, {a,"b c",0}, or a constant list of texts.
func constPath(y node) ([]string, bool) {
	if c, ok := y.(*constNode); ok && c.v.kind == kList && !c.v.null && c.v.elem.kind == kString && c.v.elem.valid == nil {
		var out []string
		for k := c.v.beg[0]; k < c.v.end[0]; k++ {
			out = append(out, string(c.v.elem.str(int(k))))
		}
		return out, true
	}
	s, ok := constString(y)
	s = strings.TrimSpace(s)
	if !ok || len(s) < 2 || s[0] != '{' || s[len(s)-1] != '}' {
		return nil, false
	}
	s = strings.TrimSpace(s[1 : len(s)-1])
	var out []string
	for s != "" {
		var item string
		if s[0] == '"' {
			if item, s, ok = pathString(s, '"'); !ok {
				return nil, false
			}
			s = strings.TrimSpace(s)
		} else {
			n := strings.IndexByte(s, ',')
			if n < 0 {
				n = len(s)
			}
			item, s = strings.TrimSpace(s[:n]), s[n:]
			if item == "" || strings.ContainsAny(item, `{}"\`) {
				return nil, false
			}
		}
		out = append(out, item)
		if s != "" {
			if s[0] != ',' || strings.TrimSpace(s[1:]) == "" {
				return nil, false
			}
			s = strings.TrimSpace(s[1:])
		}
	}
	return out, true
}

// jsonGet binds json -> key and json -> index: a key is for objects only, an index for arrays only.
func (b *binder) jsonGet(x, y node, atX, atY, place span, text bool) (node, *Error) {
	x, err := b.jsonValue(x, atX, "operator ->")
	if err != nil {
		return nil, err
	}
	switch t := y.typ(); {
	case t.kind.integer():
		y, err = b.cast(y, simple(kInt64), atY)
	case t.kind == kString && !t.json, t.kind == kNull:
		y, err = b.cast(y, stringType, atY)
	default:
		return nil, errAt(atY, "what is taken of json is named by a text or counted by an integer, not %s", t)
	}
	if err != nil {
		return nil, err
	}
	return b.jsonFind(x, []node{y}, func(s []byte) jsonStep { return jsonStep{key: s, isKey: true} }, text, place), nil
}

// jsonFind takes steps, one for each of keys: integers are indexes, texts are read by step.
func (b *binder) jsonFind(x node, keys []node, step func([]byte) jsonStep, text bool, place span) node {
	f := &function{t: jsonType, args: append([]node{x}, keys...), maybe: true, src: b.text(place)}
	var konst []jsonStep
	for _, k := range keys {
		c, ok := k.(*constNode)
		switch {
		case !ok || c.v.null:
			konst = nil
		case c.v.kind == kInt64:
			konst = append(konst, jsonStep{index: values[int64](c.v)[0], isInt: true})
		default:
			konst = append(konst, step(bytes.Clone(c.v.str(0))))
		}
		if konst == nil {
			break
		}
	}
	fixed := len(konst) == len(keys)
	steps := func(args []*vector) func(i int) []jsonStep {
		if fixed {
			return func(int) []jsonStep { return konst }
		}
		row := make([]jsonStep, len(args)-1)
		return func(i int) []jsonStep {
			for k, a := range args[1:] {
				if a.kind == kInt64 {
					row[k] = jsonStep{index: values[int64](a)[i&a.mask()], isInt: true}
				} else {
					row[k] = step(a.str(i & a.mask()))
				}
			}
			return row
		}
	}
	if text {
		f.t, f.mayFail = stringType, true
		f.run = jsonTexts(steps)
	} else {
		f.run = jsonPieces(steps)
	}
	return fold(f)
}

// jsonPieces finds values, which stay where they are in the text.
func jsonPieces(steps func([]*vector) func(i int) []jsonStep) kernel {
	return func(f *function, r *run, _ []byte, args []*vector) *vector {
		a, m := args[0], args[0].mask()
		out := r.strings(f.t, a.data)
		valid := r.strictValid(args...)
		out.valid, out.owned = r.zeroBitmap(), true
		path := steps(args)
		for i := range out.beg {
			out.beg[i], out.end[i] = 0, 0
			if valid != nil && !bit(valid, i) {
				continue
			}
			if val, end, ok := jsonFind(a.str(i&m), path(i)); ok {
				from := a.beg[i&m]
				out.beg[i], out.end[i] = from+int32(val), from+int32(end)
				setBit(out.valid, i)
			}
		}
		return out
	}
}

const noText = "JSON string holds \\u0000 or half of a surrogate pair, which no text can"

// appendJSONText appends a JSON value as text, strings without quotes and escapes; null is false.
func appendJSONText(dst, val []byte) (out []byte, found, ok bool) {
	switch at(val, 0) {
	case '"':
		out, ok = appendUnescapedJSON(dst, val[1:len(val)-1])
		return out, ok, ok
	case 'n', 0:
		return dst, false, true
	}
	return append(dst, val...), true, true
}

func jsonTexts(steps func([]*vector) func(i int) []jsonStep) kernel {
	return func(f *function, r *run, sel []byte, args []*vector) *vector {
		a, m := args[0], args[0].mask()
		valid := r.strictValid(args...)
		found := r.zeroBitmap()
		b := r.newText(f.t, r.n*16)
		path := steps(args)
		var bad []int
		for i := range r.n {
			if valid == nil || bit(valid, i) {
				s := a.str(i & m)
				if val, end, ok := jsonFind(s, path(i)); ok {
					n := len(b.buf)
					var is, text bool
					if b.buf, is, text = appendJSONText(b.buf, s[val:end]); is {
						setBit(found, i)
					} else {
						b.buf = b.buf[:n]
					}
					if !text {
						bad = append(bad, i)
					}
				}
			}
			b.end(i)
		}
		out := b.finish(r, found)
		for _, i := range bad {
			if active(sel, valid, i) {
				f.fail(r, out, i, string(a.str(i&m)), noText)
			}
		}
		return out
	}
}

// jsonPath binds json_extract and json_extract_string.
func (b *binder) jsonPath(c *call, args []node, text bool) (node, *Error) {
	if err := b.arguments(c, args, 0, anything, aString); err != nil {
		return nil, err
	}
	x, err := b.jsonValue(args[0], c.args[0].place(), c.name)
	if err != nil {
		return nil, err
	}
	path, ok := constString(args[1])
	if !ok {
		return nil, errAt(c.args[1].place(), "the path of %s must be a literal such as '$.a[0].b': use json_extract_path for keys that a column holds", c.name)
	}
	steps, many, reason := parseJSONPath(path)
	if reason != "" {
		return nil, errAt(c.args[1].place(), "JSON path %q: %s", path, reason)
	}
	if many {
		return b.jsonList(c.span, x, text, "", func(s []byte, each func(val, end int)) { jsonAll(s, jsonSpace(s, 0), steps, each) }), nil
	}
	f := &function{t: jsonType, args: []node{x}, maybe: true, src: b.text(c.span)}
	given := func([]*vector) func(int) []jsonStep { return func(int) []jsonStep { return steps } }
	if f.run = jsonPieces(given); text {
		f.t, f.mayFail, f.run = stringType, true, jsonTexts(given)
	}
	return fold(f), nil
}

// jsonAll calls each for all values that a path with * finds below the value at val.
func jsonAll(b []byte, val int, steps []jsonStep, each func(val, end int)) {
	if len(steps) == 0 {
		each(val, jsonSkip(b, val))
		return
	}
	s := steps[0]
	switch c := at(b, val); {
	case s.every() && c == '[' && s.isInt:
		jsonElements(b, val, func(v, _ int) bool { jsonAll(b, v, steps[1:], each); return true })
	case s.every() && c == '{' && s.isKey:
		jsonMembers(b, val, func(_, _, v, _ int) { jsonAll(b, v, steps[1:], each) })
	case s.every():
	case c == '{' && s.isKey:
		if v, _, ok := jsonField(b, val, s.key); ok {
			jsonAll(b, v, steps[1:], each)
		}
	case c == '[' && s.isInt:
		if v, _, ok := jsonElement(b, val, s.index); ok {
			jsonAll(b, v, steps[1:], each)
		}
	}
}

func jsonLength(f *function, r *run, sel []byte, args []*vector) *vector {
	a, m, out := args[0], args[0].mask(), r.fixed(f.t)
	out.valid = r.strictValid(args...)
	valid, dst := out.valid, values[int32](out)
	for i := range dst {
		dst[i] = 0
		if !active(sel, valid, i) {
			continue
		}
		s := a.str(i & m)
		from := jsonSpace(s, 0)
		if at(s, from) != '[' {
			f.fail(r, out, i, string(s), "not a JSON array")
			continue
		}
		jsonElements(s, from, func(int, int) bool { dst[i]++; return true })
	}
	return out
}

func bindJSONValid(b *binder, c *call, args []node) (node, *Error) {
	if err := b.arguments(c, args, 0, aString); err != nil {
		return nil, err
	}
	array := c.name == "is_valid_json_array"
	return b.call(simple(kBool), func(f *function, r *run, _ []byte, args []*vector) *vector {
		a := args[0]
		out := &vector{typ: f.t, n: r.n, valid: r.strictValid(args...), data: r.zeroBitmap()}
		for i := range r.n {
			if s := a.str(i); jsonValid(s) && (!array || at(s, jsonSpace(s, 0)) == '[') {
				setBit(out.data, i)
			}
		}
		return out
	}, false, c.span, args...), nil
}
