package expr

import (
	"bytes"

	"github.com/apache/arrow/go/v17/arrow"

	"github.com/sluice-data/sluice/internal/textval"
)

func init() {
	register(definition{Function{Name: "to_json", Aliases: []string{"row_to_json", "array_to_json"}, Signature: "to_json(any) → json",
		Doc:     "A value as json: numbers with all their digits, times in ISO 8601, lists as arrays, structs as objects, json as it is.",
		Example: "to_json(ARRAY[1.50, NULL])", Result: "[1.50,null]"}, func(b *binder, c *call, args []node) (node, *Error) {
		if err := b.arguments(c, args, 0, anything); err != nil {
			return nil, err
		}
		x, err := b.toJSON(c, args, 0)
		if err != nil {
			return nil, err
		}
		if x.typ().json {
			return x, nil
		}
		return b.call(jsonType, func(f *function, r *run, _ []byte, args []*vector) *vector {
			t, put := r.newText(f.t, r.n*16), jsonAppender(args[0])
			for i := range r.n {
				t.buf = put(t.buf, i)
				t.end(i)
			}
			return t.finish(r, r.strictValid(args...))
		}, false, c.span, x), nil
	}})
	register(definition{Function{Name: "json_build_object", Aliases: []string{"json_object", "object"}, Signature: "json_build_object(key, any, …) → json", Doc: "A JSON object of pairs of a key and a value as to_json writes it. A null key rejects the row.",
		Example: "json_build_object('a', 1, 'b', NULL)", Result: `{"a":1,"b":null}`}, bindJSONBuild})
	register(definition{Function{Name: "json_build_array", Aliases: []string{"json_array"}, Signature: "json_build_array(any, …) → json", Doc: "A JSON array of the arguments as to_json writes them.", Example: "json_build_array(1, 'x', TRUE)", Result: `[1,"x",true]`}, bindJSONBuild})
}

// toJSON checks that argument i can be written as JSON.
func (b *binder) toJSON(c *call, args []node, i int) (node, *Error) {
	x := args[i]
	if k, ok := x.(*constNode); ok && k.untyped {
		return b.cast(x, stringType, c.args[i].place())
	}
	if t := x.typ(); t.kind == kOpaque || t.kind == kInterval {
		return nil, errAt(c.args[i].place(), "%s cannot write %s", c.name, t)
	}
	return x, nil
}

func bindJSONBuild(b *binder, c *call, args []node) (node, *Error) {
	object := functions[c.name].Name == "json_build_object"
	if object && len(args)%2 != 0 {
		return nil, errAt(c.span, "%s takes pairs of a key and a value: %s", c.name, signature(c.name))
	}
	for i := range args {
		var err *Error
		if args[i], err = b.toJSON(c, args, i); err != nil {
			return nil, err
		}
		if object && i%2 == 0 {
			if !args[i].typ().kind.printable() {
				return nil, errAt(c.args[i].place(), "a key is a text, not %s", args[i].typ())
			}
			if args[i], err = b.cast(args[i], stringType, c.args[i].place()); err != nil {
				return nil, err
			}
		}
	}
	return fold(&function{t: jsonType, args: args, lenient: true, never: true, mayFail: object, src: b.text(c.span), run: func(f *function, r *run, sel []byte, args []*vector) *vector {
		t := r.newText(f.t, r.n*16*len(args))
		put := make([]func([]byte, int) []byte, len(args))
		for k, a := range args {
			put[k] = jsonAppender(a)
		}
		var bad []int
		for i := range r.n {
			if object {
				t.buf = append(t.buf, '{')
			} else {
				t.buf = append(t.buf, '[')
			}
			for k, a := range args {
				key := object && k%2 == 0
				switch {
				case k > 0 && (key || !object):
					t.buf = append(t.buf, ',')
				case k > 0:
					t.buf = append(t.buf, ':')
				}
				t.buf = put[k](t.buf, i)
				if key && a.isNull(i) {
					bad = append(bad, i)
				}
			}
			if object {
				t.buf = append(t.buf, '}')
			} else {
				t.buf = append(t.buf, ']')
			}
			t.end(i)
		}
		out := t.finish(r, nil)
		for _, i := range bad {
			if active(sel, nil, i) {
				f.fail(r, out, i, "NULL", "a key of an object is null")
			}
		}
		return out
	}}), nil
}

// jsonAppender appends row i of v as JSON, as PostgreSQL's to_json writes each type.
func jsonAppender(v *vector) func(dst []byte, i int) []byte {
	put := jsonValueAppender(v)
	return func(dst []byte, i int) []byte {
		if v.isNull(i) {
			return append(dst, "null"...)
		}
		return put(dst, i)
	}
}

func jsonValueAppender(v *vector) func(dst []byte, i int) []byte {
	m := v.mask()
	switch {
	case v.json:
		return func(dst []byte, i int) []byte { return append(dst, bytes.TrimSpace(v.str(i&m))...) }
	case v.kind == kString:
		return func(dst []byte, i int) []byte { return textval.AppendJSONString(dst, v.str(i&m)) }
	case v.kind == kList:
		put := jsonAppender(v.elem)
		return func(dst []byte, i int) []byte {
			dst = append(dst, '[')
			for k := v.beg[i&m]; k < v.end[i&m]; k++ {
				if k > v.beg[i&m] {
					dst = append(dst, ',')
				}
				dst = put(dst, int(k))
			}
			return append(dst, ']')
		}
	case v.kind == kStruct:
		names := make([][]byte, len(v.fields))
		puts := make([]func([]byte, int) []byte, len(v.fields))
		for k, f := range v.fields {
			names[k] = append(textval.AppendJSONString(nil, []byte(v.arrow.(*arrow.StructType).Field(k).Name)), ':')
			puts[k] = jsonAppender(f)
		}
		return func(dst []byte, i int) []byte {
			dst = append(dst, '{')
			for k, put := range puts {
				if k > 0 {
					dst = append(dst, ',')
				}
				dst = put(append(dst, names[k]...), i)
			}
			return append(dst, '}')
		}
	}
	put := appender(v)
	switch v.kind {
	case kFloat32, kFloat64: // JSON has no NaN and infinities: they become texts
		return func(dst []byte, i int) []byte {
			n := len(dst)
			dst = put(dst, i)
			if c := dst[len(dst)-1]; !isDigit(c) {
				dst = textval.AppendJSONString(dst[:n], bytes.Clone(dst[n:]))
			}
			return dst
		}
	case kDate, kTime, kTimestamp, kTimestamptz, kBinary:
		return func(dst []byte, i int) []byte {
			n := len(dst) + 1
			dst = put(append(dst, '"'), i)
			switch v.kind {
			case kTimestamp, kTimestamptz:
				if at := bytes.IndexByte(dst[n:], ' '); at >= 0 {
					dst[n+at] = 'T'
				}
				if v.kind == kTimestamptz { // +00 in PostgreSQL's text
					dst = append(dst, ":00"...)
				}
			case kBinary: // \x…
				dst = append(dst[:n], append([]byte{'\\'}, dst[n:]...)...)
			}
			return append(dst, '"')
		}
	}
	return put
}
