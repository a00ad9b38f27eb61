package expr

import (
	"bytes"
	"cmp"
	"slices"
	"strings"
	"unicode/utf8"
)

func init() {
	register(definition{Function{Name: "array_to_string", Aliases: []string{"list_to_string"}, Signature: "array_to_string(list, separator string [, null string]) → string",
		Doc: "The elements as text, joined by a separator; nulls are skipped, or written as the last argument.", Example: "array_to_string(ARRAY[1, NULL, 3], ',', '*')", Result: "1,*,3"}, bindListText})
	for _, f := range []struct {
		name, doc, example, result string
		aliases                    []string
	}{
		{"string_to_array", "The parts of a string between separators; of an empty string none. A null separator parts every character, an empty one nothing. A part equal to the last argument is null.",
			"string_to_array('a,b,,c', ',', '')[3] IS NULL", "true", nil},
		{"string_split", "The parts of a string between separators; of an empty string one empty part. An empty separator parts every character.", "string_split('a,b,c', ',')[-1]", "c", []string{"split", "split_to_array", "str_split"}},
	} {
		register(definition{Function{Name: f.name, Aliases: f.aliases, Signature: f.name + "(string, separator string) → list<string>", Doc: f.doc, Example: f.example, Result: f.result}, bindSplit})
	}
	d := functions["string_to_array"]
	d.Signature = "string_to_array(string, separator string [, null string]) → list<string>"
	for _, f := range []struct {
		name, doc, result string
		aliases           []string
	}{
		{"list_sort", "A list in ascending order, nulls last.", "1,2,2,NULL", []string{"array_sort"}},
		{"list_reverse_sort", "A list in descending order, nulls last.", "2,2,1,NULL", []string{"array_reverse_sort"}},
		{"list_reverse", "A list from its end to its beginning.", "1,2,NULL,2", []string{"array_reverse"}},
		{"list_distinct", "A list without nulls and without what stands in it before.", "2,1", []string{"array_distinct"}},
	} {
		register(definition{Function{Name: f.name, Aliases: f.aliases, Signature: f.name + "(list) → list", Doc: f.doc, Example: "array_to_string(" + f.name + "(ARRAY[2, NULL, 2, 1]), ',', 'NULL')", Result: f.result}, bindListOrder})
	}
	register(definition{Function{Name: "array_remove", Signature: "array_remove(list, any) → list", Doc: "A list without the elements equal to a value, which may be null.", Example: "array_to_string(array_remove(ARRAY[1, 2, 1], 1), ',')", Result: "2"},
		bindListRemove})
	for _, f := range []struct{ name, doc, result string }{{"list_max", "The largest element of a list, nulls apart; null if there is none.", "9"}, {"list_min", "The smallest element of a list, nulls apart; null if there is none.", "7"}} {
		register(definition{Function{Name: f.name, Aliases: []string{strings.Replace(f.name, "list", "array", 1)}, Signature: f.name + "(list) → any", Doc: f.doc, Example: f.name + "(ARRAY[8, 9, NULL, 7])", Result: f.result}, bindListExtreme})
	}
}

func bindListText(b *binder, c *call, args []node) (node, *Error) {
	if err := b.arguments(c, args, 1, anything, aString, aString); err != nil {
		return nil, err
	}
	if err := b.list(c, args, 0); err != nil {
		return nil, err
	}
	if args[0].typ().kind == kList && !args[0].typ().elem().kind.printable() {
		return nil, errAt(c.args[0].place(), "%s cannot print %s: use to_json", c.name, args[0].typ().elem())
	}
	f := &function{t: stringType, args: args, lenient: true, maybe: args[0].nullable() || args[1].nullable(), src: b.text(c.span)}
	f.never = !f.maybe
	f.run = func(f *function, r *run, _ []byte, args []*vector) *vector {
		a, m, sep := args[0], args[0].mask(), args[1]
		if a.konst && a.null || sep.konst && sep.null {
			return nullOf(f.t, r.n)
		}
		put := appender(a.elem)
		out := r.newText(f.t, r.n*16)
		for i := range r.n {
			for first, k := true, a.beg[i&m]; k < a.end[i&m]; k++ {
				null := a.elem.isNull(int(k))
				if null && (len(args) < 3 || args[2].isNull(i)) {
					continue
				}
				if !first {
					out.buf = append(out.buf, sep.str(i&sep.mask())...)
				}
				first = false
				if null {
					out.buf = append(out.buf, args[2].str(i&args[2].mask())...)
				} else {
					out.buf = put(out.buf, int(k))
				}
			}
			out.end(i)
		}
		return out.finish(r, r.strictValid(a, sep))
	}
	return fold(f), nil
}

func bindSplit(b *binder, c *call, args []node) (node, *Error) {
	postgres := c.name == "string_to_array"
	params, optional := []parameter{aString, aString}, 0
	switch {
	case postgres:
		params, optional = []parameter{aString, aString, aString}, 1
	case c.name == "split_to_array" && len(args) == 1:
		args = append(args, stringNode(",", false))
		c.args = append(c.args, c.args[0])
	}
	if err := b.arguments(c, args, optional, params...); err != nil {
		return nil, err
	}
	return fold(&function{t: listOf(stringType), args: args, lenient: true, maybe: args[0].nullable() || !postgres && args[1].nullable(), src: b.text(c.span), run: splitAllKernel(postgres)}), nil
}

// splitAllKernel makes lists whose elements point into the strings.
func splitAllKernel(postgres bool) kernel {
	return func(f *function, r *run, _ []byte, args []*vector) *vector {
		a, m, sep := args[0], args[0].mask(), args[1]
		if a.konst && a.null || !postgres && sep.konst && sep.null {
			return nullOf(f.t, r.n)
		}
		out := r.strings(f.t, nil)
		if out.valid = r.strictValid(a); !postgres {
			out.valid = r.strictValid(a, sep)
		}
		guess := 4 * r.n // of the elements
		if sep.konst && len(sep.str(0)) > 0 {
			guess = r.n + min(bytes.Count(a.data, sep.str(0)), 32*r.n)
		}
		e := &vector{typ: stringType, data: a.data, beg: r.int32s(guess)[:0], end: r.int32s(guess)[:0]}
		var null []int32
		for i := range r.n {
			out.beg[i] = int32(len(e.beg))
			if out.valid == nil || bit(out.valid, i) {
				s, from := a.str(i&m), a.beg[i&m]
				put := func(lo, hi int) {
					if len(args) == 3 && !args[2].isNull(i) && string(s[lo:hi]) == string(args[2].str(i&args[2].mask())) {
						null = append(null, int32(len(e.beg)))
					}
					e.beg, e.end = append(e.beg, from+int32(lo)), append(e.end, from+int32(hi))
				}
				by := []byte(nil)
				chars := sep.isNull(i)
				if !chars {
					by = sep.str(i & sep.mask())
					chars = !postgres && len(by) == 0
				}
				switch {
				case len(s) == 0 && postgres:
				case chars && len(s) > 0:
					for lo := 0; lo < len(s); {
						_, n := utf8.DecodeRune(s[lo:])
						put(lo, lo+n)
						lo += n
					}
				case len(by) == 0:
					put(0, len(s))
				default:
					lo := 0
					for {
						at := bytes.Index(s[lo:], by)
						if at < 0 {
							break
						}
						put(lo, lo+at)
						lo += at + len(by)
					}
					put(lo, len(s))
				}
			}
			out.end[i] = int32(len(e.beg))
		}
		e.n = len(e.beg)
		r.rows(e.n, func() {
			for _, i := range null {
				r.setNull(e, int(i))
			}
		})
		out.elem = e
		return out
	}
}

// order compares two elements of v that are not null: NaN is greater than all else.
func order(v *vector) func(i, j int32) int {
	switch v.kind {
	case kBool:
		return func(i, j int32) int { return cmp.Compare(b2u(bit(v.data, int(i))), b2u(bit(v.data, int(j)))) }
	case kInt8:
		return orderOf[int8](v)
	case kInt16:
		return orderOf[int16](v)
	case kInt32, kDate:
		return orderOf[int32](v)
	case kUint8:
		return orderOf[uint8](v)
	case kUint16:
		return orderOf[uint16](v)
	case kUint32:
		return orderOf[uint32](v)
	case kUint64:
		return orderOf[uint64](v)
	case kFloat32:
		return orderOf[float32](v)
	case kFloat64:
		return orderOf[float64](v)
	case kDecimal:
		d := values[dec](v)
		return func(i, j int32) int { return d[i].Cmp(d[j]) }
	case kString, kBinary:
		return func(i, j int32) int { return bytes.Compare(v.str(int(i)), v.str(int(j))) }
	}
	return orderOf[int64](v)
}

func orderOf[T number](v *vector) func(i, j int32) int {
	s := values[T](v)
	return func(i, j int32) int {
		a, b := s[i], s[j]
		switch {
		case a < b || a == a && b != b:
			return -1
		case a > b || a != a && b == b:
			return 1
		}
		return 0
	}
}

// ordered checks that the elements of the only argument, a list, have an order.
func (b *binder) ordered(c *call, args []node) (typ, *Error) {
	if err := b.arguments(c, args, 0, anything); err != nil {
		return typ{}, err
	}
	if err := b.list(c, args, 0); err != nil {
		return typ{}, err
	}
	t := args[0].typ()
	if t.kind == kNull {
		return listOf(stringType), nil
	}
	if e := t.elem(); !e.kind.printable() || e.json {
		return t, errAt(c.args[0].place(), "%s has no order to put %s in", c.name, e)
	}
	return t, nil
}

func bindListOrder(b *binder, c *call, args []node) (node, *Error) {
	name := functions[c.name].Name
	t, err := typ{}, (*Error)(nil)
	if name != "list_reverse" {
		t, err = b.ordered(c, args)
	} else if err = b.arguments(c, args, 0, anything); err == nil {
		t, err = args[0].typ(), b.list(c, args, 0)
	}
	if err != nil {
		return nil, err
	}
	if t.kind == kNull {
		t = listOf(stringType)
	}
	return b.call(t, rearrange(func(v *vector, list []int32) []int32 {
		if name == "list_reverse" {
			slices.Reverse(list)
			return list
		}
		less := order(v)
		sign := 1
		if name == "list_reverse_sort" {
			sign = -1
		}
		slices.SortStableFunc(list, func(i, j int32) int {
			if v.isNull(int(i)) || v.isNull(int(j)) {
				return cmp.Compare(b2u(v.isNull(int(i))), b2u(v.isNull(int(j))))
			}
			return sign * less(i, j)
		})
		if name == "list_distinct" { // the first of equal ones is kept, in the old order
			kept := list[:0]
			for _, i := range list {
				if !v.isNull(int(i)) && (len(kept) == 0 || less(kept[len(kept)-1], i) != 0) {
					kept = append(kept, i)
				}
			}
			slices.Sort(kept)
			return kept
		}
		return list
	}), false, c.span, args...), nil
}

// rearrange is the kernel of a function that gives the elements of each row's list, or some of them, in another order.
func rearrange(do func(elem *vector, list []int32) []int32) kernel {
	return func(f *function, r *run, _ []byte, args []*vector) *vector {
		a := args[0]
		out := r.strings(f.t, nil)
		out.valid = r.strictValid(args...)
		elems, _ := r.flat(a, out.valid)
		to := 0
		at := 0
		for i := range out.beg {
			n := 0
			if out.valid == nil || bit(out.valid, i) {
				n = int(a.end[i] - a.beg[i])
			}
			kept := do(a.elem, elems[at:at+n])
			out.beg[i] = int32(to)
			to += copy(elems[to:], kept)
			out.end[i] = int32(to)
			at += n
		}
		out.elem = r.gather(a.elem, elems[:to])
		return out
	}
}

func bindListRemove(b *binder, c *call, args []node) (node, *Error) {
	if err := b.arguments(c, args, 0, anything, anything); err != nil {
		return nil, err
	}
	if err := b.list(c, args, 0); err != nil {
		return nil, err
	}
	list, x, t, err := b.alikeElement(c, args[0], args[1], c.args[0].place(), c.args[1].place())
	if err != nil {
		return nil, err
	}
	if !t.kind.printable() || t.json {
		return nil, errAt(c.span, "%s has nothing to compare %s by", c.name, t)
	}
	return fold(&function{t: list.typ(), args: []node{list, x}, lenient: true, maybe: list.nullable(), never: !list.nullable(), src: b.text(c.span), run: func(f *function, r *run, _ []byte, args []*vector) *vector {
		a, x := r.spread(args[0]), r.spread(args[1])
		out := r.strings(f.t, nil)
		out.valid = a.valid
		elems, rows, equal := r.equalElements(t.kind, a, x, a.valid)
		clear(out.beg)
		clear(out.end)
		kept := elems[:0]
		row := int32(0)
		for j, k := range elems {
			for ; row < rows[j]; row++ {
				out.end[row] = int32(len(kept))
				out.beg[row+1] = int32(len(kept))
			}
			null, want := a.elem.isNull(int(k)), x.isNull(int(rows[j]))
			if !(null && want || !null && !want && bit(equal, j)) {
				kept = append(kept, k)
			}
		}
		for ; int(row) < r.n; row++ {
			out.end[row] = int32(len(kept))
			if int(row)+1 < r.n {
				out.beg[row+1] = int32(len(kept))
			}
		}
		out.elem = r.gather(a.elem, kept)
		return out
	}}), nil
}

func bindListExtreme(b *binder, c *call, args []node) (node, *Error) {
	t, err := b.ordered(c, args)
	if err != nil {
		return nil, err
	}
	sign := 1
	if strings.HasSuffix(c.name, "min") {
		sign = -1
	}
	return fold(&function{t: t.elem(), args: args, maybe: true, src: b.text(c.span), run: func(f *function, r *run, _ []byte, args []*vector) *vector {
		a, valid := args[0], r.strictValid(args...)
		less := order(a.elem)
		idx := r.int32s(r.n)
		for i := range idx {
			idx[i] = -1
			if valid != nil && !bit(valid, i) {
				continue
			}
			for k := a.beg[i]; k < a.end[i]; k++ {
				if !a.elem.isNull(int(k)) && (idx[i] < 0 || sign*less(k, idx[i]) > 0) {
					idx[i] = k
				}
			}
		}
		return r.gather(a.elem, idx)
	}}), nil
}
