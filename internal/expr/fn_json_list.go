package expr

func init() {
	for _, f := range []struct {
		name, doc, example, result string
		aliases                    []string
		text                       bool
		want                       byte
	}{
		{"json_object_keys", "The keys of a JSON object as a list, in their order; what is no object rejects the row.", `array_to_string(json_object_keys('{"a": 1, "b": 2}'), ',')`, "a,b", []string{"json_keys"}, true, '{'},
		{"json_array_elements", "The elements of a JSON array as a list of json; what is no array rejects the row.", `json_array_elements('[1, {"a": 2}]')[2]`, `{"a": 2}`, nil, false, '['},
		{"json_array_elements_text", "The elements of a JSON array as a list of texts, JSON nulls as nulls; what is no array rejects the row.", `array_to_string(json_array_elements_text('["x", 1]'), ',')`, "x,1", nil, true, '['},
	} {
		t := listOf(jsonType)
		if f.text {
			t = listOf(stringType)
		}
		register(definition{Function{Name: f.name, Aliases: f.aliases, Signature: f.name + "(json) → " + t.String(), Doc: f.doc, Example: f.example, Result: f.result},
			func(b *binder, c *call, args []node) (node, *Error) {
				x, err := b.oneJSON(c, args)
				if err != nil {
					return nil, err
				}
				kind := "not a JSON array"
				if f.want == '{' {
					kind = "not a JSON object"
				}
				return b.jsonList(c.span, x, f.text, kind, func(s []byte, each func(val, end int)) {
					from := jsonSpace(s, 0)
					switch {
					case at(s, from) != f.want:
						each(-1, -1)
					case f.want == '{':
						jsonMembers(s, from, func(key, keyEnd, _, _ int) { each(key, keyEnd) })
					default:
						jsonElements(s, from, func(val, end int) bool { each(val, end); return true })
					}
				}), nil
			}})
	}
}

// jsonList makes a list of the values of each row's text that find gives, as json or as text; find gives -1 for a text that it
// does not take, for which reason says why.
func (b *binder) jsonList(place span, x node, text bool, reason string, find func(s []byte, each func(val, end int))) node {
	elem := jsonType
	if text {
		elem = stringType
	}
	return b.call(listOf(elem), func(f *function, r *run, sel []byte, args []*vector) *vector {
		a, m := args[0], args[0].mask()
		out := r.strings(f.t, nil)
		out.valid = r.strictValid(args...)
		valid := out.valid
		e := &vector{typ: elem, data: a.data}
		var buf []byte
		var null []int32
		var bad []rowError
		for i := range r.n {
			out.beg[i] = int32(len(e.beg))
			if active(sel, valid, i) {
				s, from := a.str(i&m), a.beg[i&m]
				find(s, func(val, end int) {
					switch {
					case val < 0:
						bad = append(bad, rowError{i, string(s), reason})
					case !text:
						e.beg, e.end = append(e.beg, from+int32(val)), append(e.end, from+int32(end))
					default:
						n := len(buf)
						var found, ok bool
						if buf, found, ok = appendJSONText(buf, s[val:end]); !ok {
							bad = append(bad, rowError{i, string(s), noText})
						}
						if !found {
							buf = buf[:n]
							null = append(null, int32(len(e.beg)))
						}
						e.beg, e.end = append(e.beg, int32(n)), append(e.end, int32(len(buf)))
					}
				})
			}
			out.end[i] = int32(len(e.beg))
		}
		e.n = len(e.beg)
		if text {
			e.data = buf
		}
		if len(buf) > 1<<31-1 {
			r.tooLarge()
		}
		r.rows(e.n, func() {
			for _, i := range null {
				r.setNull(e, int(i))
			}
		})
		out.elem = e
		f.failAll(r, out, bad)
		return out
	}, true, place, x)
}
