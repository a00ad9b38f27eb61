package expr

import (
	"slices"
	"strconv"

	"github.com/apache/arrow/go/v17/arrow"
)

func init() {
	register(definition{Function{Name: "array_length", Aliases: []string{"get_array_length", "list_length"}, Signature: "array_length(list [, dimension int]) → int32",
		Doc: "How many elements a list has; with the dimension (1) null for an empty one, as in PostgreSQL.", Example: "array_length(ARRAY[7, 8, 9])", Result: "3"}, bindListLength})
	register(definition{Function{Name: "cardinality", Signature: "cardinality(list) → int32", Doc: "How many elements a list has.", Example: "cardinality(ARRAY['a', NULL])", Result: "2"}, bindListLength})
	register(definition{Function{Name: "array_contains", Aliases: []string{"list_contains", "list_has", "array_has"}, Signature: "array_contains(list, any) → bool", Doc: "Whether a list has an element equal to a value.",
		Example: "array_contains(ARRAY[7, 8, 9], 8)", Result: "true"}, bindListFind})
	register(definition{Function{Name: "array_position", Aliases: []string{"list_position", "list_indexof"}, Signature: "array_position(list, any) → int32", Doc: "The place of the first element that is the value (null is one), counted from 1; null if there is none.",
		Example: "array_position(ARRAY['a', 'b'], 'b')", Result: "2"}, bindListFind})
	register(definition{Function{Name: "array_append", Aliases: []string{"list_append"}, Signature: "array_append(list, any) → list", Doc: "A list with one element more at its end.", Example: "array_to_string(array_append(ARRAY[1, 2], 3), ',')", Result: "1,2,3"}, bindListJoin})
	register(definition{Function{Name: "array_prepend", Signature: "array_prepend(any, list) → list", Doc: "A list with one element more before the others.", Example: "array_to_string(array_prepend(0, ARRAY[1, 2]), ',')", Result: "0,1,2"}, bindListJoin})
	register(definition{Function{Name: "array_cat", Aliases: []string{"list_concat", "array_concat", "list_cat"}, Signature: "array_cat(list, list) → list", Doc: "Two lists end to end, a null one being empty; the same as list || list.",
		Example: "array_to_string(array_cat(ARRAY[1], ARRAY[2, 3]), ',')", Result: "1,2,3"}, bindListJoin})
	register(definition{Function{Name: "struct_extract", Signature: "struct_extract(struct, name string) → any", Doc: "A field of a struct, the same as (x).name.", Example: "struct_extract(named_struct('a', 1, 'b', 2), 'b')", Result: "2"},
		func(b *binder, c *call, args []node) (node, *Error) {
			if err := b.arguments(c, args, 0, anything, aString); err != nil {
				return nil, err
			}
			name, ok := constString(args[1])
			if !ok {
				return nil, errAt(c.args[1].place(), "the second argument of struct_extract must be the name of a field as a literal")
			}
			return b.extractField(args[0], namePart{c.args[1].place(), name, true}, c.args[0].place(), c.span)
		}})
	register(definition{Function{Name: "named_struct", Aliases: []string{"struct_pack"}, Signature: "named_struct(name string, any, …) → struct", Doc: "A struct of fields, each a literal name and a value.",
		Example: "to_json(named_struct('a', 1, 'b', 'x'))", Result: `{"a":1,"b":"x"}`}, bindNamedStruct})
}

// list checks that argument i is a list.
func (b *binder) list(c *call, args []node, i int) *Error {
	if t := args[i].typ(); t.kind != kList && t.kind != kNull {
		return errAt(c.args[i].place(), "%s works on a list, not %s", c.name, t)
	}
	return nil
}

func bindListLength(b *binder, c *call, args []node) (node, *Error) {
	params, optional := []parameter{anything}, 0
	if c.name == "array_length" {
		params, optional = []parameter{anything, anInt}, 1
	}
	if err := b.arguments(c, args, optional, params...); err != nil {
		return nil, err
	}
	if err := b.list(c, args, 0); err != nil {
		return nil, err
	}
	if len(args) == 2 {
		if n, ok := constInt(args[1]); !ok || n != 1 {
			return nil, errAt(c.args[1].place(), "the dimension of array_length must be 1: lists of lists have no second one")
		}
	}
	f := &function{t: simple(kInt32), args: args[:1], src: b.text(c.span), maybe: args[0].nullable() || len(args) == 2, run: byteLength(1)}
	if len(args) == 2 {
		f.run = func(f *function, r *run, sel []byte, args []*vector) *vector {
			out := byteLength(1)(f, r, sel, args)
			for i, n := range values[int32](out) {
				if n == 0 {
					r.setNull(out, i)
				}
			}
			return out
		}
	}
	return fold(f), nil
}

// alikeElement brings a list and a value to one element type.
func (b *binder) alikeElement(c *call, list, x node, atList, atX span) (node, node, typ, *Error) {
	if k := x.typ().kind; k == kInterval || k == kOpaque {
		return nil, nil, typ{}, errAt(atX, "no list holds %s", x.typ())
	}
	if list.typ().kind == kNull {
		list = nullNode(listOf(x.typ()))
	}
	e := list.typ().elem()
	if isUntyped(x) {
		out, err := b.cast(x, e, atX)
		return list, out, e, err
	}
	t, ok := unify(e, x.typ())
	if k, isConst := x.(*constNode); isConst && k.number && e.kind.integer() { // a literal that the elements can hold
		if y, err := b.cast(x, e, atX); err == nil {
			if _, held := y.(*constNode); held {
				return list, y, e, nil
			}
		}
	}
	if !ok {
		return nil, nil, t, errAt(c.span, "%s cannot join %s and %s: cast one", c.name, list.typ(), x.typ())
	}
	out, err := b.cast(list, listOf(t), atList)
	if err != nil {
		return nil, nil, t, err
	}
	x, err = b.cast(x, t, atX)
	return out, x, t, err
}

// bindListFind binds array_contains and array_position.
func bindListFind(b *binder, c *call, args []node) (node, *Error) {
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
	position := functions[c.name].Name == "array_position"
	f := &function{t: simple(kBool), args: []node{list, x}, src: b.text(c.span), run: containsKernel(t.kind)}
	if position {
		f.t, f.run, f.lenient, f.maybe = simple(kInt32), positionKernel(t.kind), true, true
	}
	return fold(f), nil
}

// equalElements compares the elements of lists with the values of their rows.
func (r *run) equalElements(k kind, list, x *vector, valid []byte) (elems, rows []int32, equal []byte) {
	elems, rows = r.flat(list, valid)
	left, right := r.gather(list.elem, elems), r.gather(x, rows)
	r.rows(len(elems), func() { equal = r.compare(compareOps["="], k, left, right) })
	return elems, rows, equal
}

func containsKernel(k kind) kernel {
	return func(f *function, r *run, _ []byte, args []*vector) *vector {
		list, x := r.spread(args[0]), r.spread(args[1])
		out := &vector{typ: f.t, n: r.n, valid: r.strictValid(list, x), data: r.zeroBitmap()}
		elems, rows, equal := r.equalElements(k, list, x, out.valid)
		for j, row := range rows {
			if bit(equal, j) && !list.elem.isNull(int(elems[j])) {
				setBit(out.data, int(row))
			}
		}
		return out
	}
}

func positionKernel(k kind) kernel {
	return func(f *function, r *run, _ []byte, args []*vector) *vector {
		list, x := r.spread(args[0]), r.spread(args[1])
		out := r.fixed(f.t)
		dst := values[int32](out)
		clear(dst)
		elems, rows, equal := r.equalElements(k, list, x, list.valid)
		for j, row := range rows {
			null, want := list.elem.isNull(int(elems[j])), x.isNull(int(row))
			if dst[row] == 0 && (null && want || !null && !want && bit(equal, j)) {
				dst[row] = elems[j] - list.beg[row] + 1
			}
		}
		for i, n := range dst {
			if n == 0 {
				r.setNull(out, i)
			}
		}
		return out
	}
}

// bindListJoin binds array_append, array_prepend and array_cat.
func bindListJoin(b *binder, c *call, args []node) (node, *Error) {
	if err := b.arguments(c, args, 0, anything, anything); err != nil {
		return nil, err
	}
	atX, atY := c.args[0].place(), c.args[1].place()
	switch functions[c.name].Name {
	case "array_append":
		if err := b.list(c, args, 0); err != nil {
			return nil, err
		}
		return b.joinElement(c, args[0], args[1], atX, atY, false)
	case "array_prepend":
		if err := b.list(c, args, 1); err != nil {
			return nil, err
		}
		return b.joinElement(c, args[1], args[0], atY, atX, true)
	}
	for i := range args {
		if err := b.list(c, args, i); err != nil {
			return nil, err
		}
	}
	return b.joinLists(args[0], args[1], atX, atY, c.span)
}

func (b *binder) joinElement(c *call, list, x node, atList, atX span, before bool) (node, *Error) {
	list, x, t, err := b.alikeElement(c, list, x, atList, atX)
	if err != nil {
		return nil, err
	}
	one := fold(&function{t: listOf(t), args: []node{x}, run: arrayKernel, lenient: true, never: true, src: b.text(c.span)})
	if before {
		return b.joinLists(one, list, atX, atList, c.span)
	}
	return b.joinLists(list, one, atList, atX, c.span)
}

// joinLists binds || of lists, and of a list and an element.
func (b *binder) joinLists(x, y node, atX, atY, at span) (node, *Error) {
	c := &call{span: at, name: "||", at: at}
	switch {
	case y.typ().kind != kList && y.typ().kind != kNull:
		return b.joinElement(c, x, y, atX, atY, false)
	case x.typ().kind != kList && x.typ().kind != kNull:
		return b.joinElement(c, y, x, atY, atX, true)
	}
	t, ok := unify(x.typ(), y.typ())
	if !ok || t.kind != kList {
		return nil, errAt(at, "operator || cannot join %s and %s: cast one side", x.typ(), y.typ())
	}
	args := []node{x, y}
	for i, p := range []span{atX, atY} {
		var err *Error
		if args[i], err = b.cast(args[i], t, p); err != nil {
			return nil, err
		}
	}
	return fold(&function{t: t, args: args, run: joinKernel, lenient: true, maybe: x.nullable() && y.nullable(), never: !x.nullable() || !y.nullable(), src: b.text(at)}), nil
}

// joinKernel puts the lists of each row end to end. A null one does not count; null beside null is null.
func joinKernel(f *function, r *run, _ []byte, args []*vector) *vector {
	x, y := r.spread(args[0]), r.spread(args[1])
	out := r.strings(f.t, nil)
	base := int32(x.elem.n)
	total := 0
	for i := range r.n {
		total += int(x.end[i]-x.beg[i]) + int(y.end[i]-y.beg[i])
	}
	idx := r.int32s(total)[:0]
	for i := range r.n {
		out.beg[i] = int32(len(idx))
		if !x.isNull(i) {
			for k := x.beg[i]; k < x.end[i]; k++ {
				idx = append(idx, k)
			}
		}
		if !y.isNull(i) {
			for k := y.beg[i]; k < y.end[i]; k++ {
				idx = append(idx, base+k)
			}
		}
		out.end[i] = int32(len(idx))
	}
	out.elem = r.gather(r.concat(f.t.elem(), []*vector{x.elem, y.elem}), idx)
	if x.valid != nil && y.valid != nil {
		out.valid, out.owned = r.bitmap(), true
		bitOr(out.valid, x.valid, y.valid, r.n)
	}
	return out
}

func (b *binder) arrayOf(n *arrayOf) (node, *Error) {
	args, err := b.bindAll(n.list)
	if err != nil {
		return nil, err
	}
	t := stringType
	if len(args) > 0 {
		places := make([]span, len(args))
		for i, x := range n.list {
			places[i] = x.place()
		}
		if args, t, err = b.unifyAll(args, places, "ARRAY"); err != nil {
			return nil, err
		}
		if t.kind == kInterval {
			return nil, errAt(n.span, "no list holds %s", t)
		}
	}
	return fold(&function{t: listOf(t), args: args, run: arrayKernel, lenient: true, never: true, src: b.text(n.span)}), nil
}

// arrayKernel makes a list of its arguments in each row.
func arrayKernel(f *function, r *run, _ []byte, args []*vector) *vector {
	out := r.strings(f.t, nil)
	parts := make([]*vector, len(args))
	for i, a := range args {
		parts[i] = r.spread(a)
	}
	idx := r.int32s(r.n * len(args))[:0]
	for i := range r.n {
		out.beg[i] = int32(len(idx))
		for k := range args {
			idx = append(idx, int32(k*r.n+i))
		}
		out.end[i] = int32(len(idx))
	}
	out.elem = r.gather(r.concat(f.t.elem(), parts), idx)
	return out
}

func (b *binder) subscript(n *subscript) (node, *Error) {
	x, err := b.bind(n.x)
	if err != nil {
		return nil, err
	}
	var bounds []node
	var places []span
	for _, s := range []syntax{n.index, n.hi} {
		if s == nil {
			bounds, places = append(bounds, nil), append(places, n.span)
			continue
		}
		y, err := b.bind(s)
		if err != nil {
			return nil, err
		}
		bounds, places = append(bounds, y), append(places, s.place())
	}
	t := x.typ()
	if t.json && !n.slice {
		return b.jsonGet(x, bounds[0], n.x.place(), places[0], n.span, false)
	}
	if t.kind != kList {
		return nil, errAt(n.span, "[ ] works on a list or json, not %s", t)
	}
	for i, y := range bounds {
		if y == nil {
			continue
		}
		if !isUntyped(y) && !y.typ().kind.integer() {
			return nil, errAt(places[i], "a subscript is an integer, not %s", y.typ())
		}
		if bounds[i], err = b.cast(y, simple(kInt64), places[i]); err != nil {
			return nil, err
		}
	}
	if !n.slice {
		return fold(&function{t: t.elem(), args: []node{x, bounds[0]}, run: elementKernel, maybe: true, src: b.text(n.span)}), nil
	}
	if bounds[0] == nil {
		bounds[0] = intNode(kInt64, 1)
	}
	if bounds[1] == nil {
		bounds[1] = intNode(kInt64, 1<<40)
	}
	return b.call(t, sliceKernel, false, n.span, x, bounds[0], bounds[1]), nil
}

// elementKernel gives the element at a place, counted from 1, or from the end for a negative one; null outside the list.
func elementKernel(f *function, r *run, _ []byte, args []*vector) *vector {
	a, ma := args[0], args[0].mask()
	at, mt := values[int64](args[1]), args[1].mask()
	valid := r.strictValid(args...)
	idx := r.int32s(r.n)
	for i := range idx {
		idx[i] = -1
		b, e, k := a.beg[i&ma], a.end[i&ma], at[i&mt]
		if k < 0 {
			k += int64(e-b) + 1
		}
		if k >= 1 && k <= int64(e-b) && (valid == nil || bit(valid, i)) {
			idx[i] = b + int32(k) - 1
		}
	}
	return r.gather(a.elem, idx)
}

// sliceKernel narrows the ranges of lists; bounds count as in elementKernel.
func sliceKernel(f *function, r *run, _ []byte, args []*vector) *vector {
	a, ma := args[0], args[0].mask()
	lo, ml := values[int64](args[1]), args[1].mask()
	hi, mh := values[int64](args[2]), args[2].mask()
	out := r.strings(f.t, nil)
	out.elem, out.valid = a.elem, r.strictValid(args...)
	for i := range out.beg {
		b, e := a.beg[i&ma], a.end[i&ma]
		n, from, to := int64(e-b), lo[i&ml], hi[i&mh]
		if from < 0 {
			from += n + 1
		}
		if to < 0 {
			to += n + 1
		}
		from, to = max(from, 1), min(to, n)
		if from > to {
			out.beg[i], out.end[i] = b, b
			continue
		}
		out.beg[i], out.end[i] = b+int32(from)-1, b+int32(to)
	}
	return out
}

func (b *binder) fieldOf(n *fieldOf) (node, *Error) {
	x, err := b.bind(n.x)
	if err != nil {
		return nil, err
	}
	return b.extractField(x, n.field, n.x.place(), n.span)
}

func (b *binder) extractField(x node, part namePart, atX, at span) (node, *Error) {
	t := x.typ()
	st, ok := t.arrow.(*arrow.StructType)
	if !ok {
		return nil, errAt(atX, "%s has no fields: only a struct does", t)
	}
	k, err := find(part, st.Fields(), "field")
	if err != nil {
		return nil, err
	}
	if c, ok := x.(*columnNode); ok { // as a name a.b
		f := *c
		f.path = append(slices.Clone(c.path), k)
		f.field = st.Field(k)
		f.t, f.convert, f.null = typeOf(f.field), converts(f.field.Type), c.null || f.field.Nullable
		return &f, nil
	}
	if t.kind != kStruct {
		return nil, errAt(atX, "fields of %s can be taken of a column only", t)
	}
	f := st.Field(k)
	return fold(&function{t: typeOf(f), args: []node{x}, maybe: x.nullable() || f.Nullable, src: b.text(at), run: func(f *function, r *run, _ []byte, args []*vector) *vector {
		a := args[0]
		out := *a.fields[k]
		out.array, out.owned = nil, false
		switch {
		case a.konst: // a batch of one row
			out.konst, out.null = true, out.null || !out.konst && out.valid != nil && !bit(out.valid, 0)
		case a.valid != nil:
			v := *r.spread(&out)
			v.valid, v.owned = r.strictValid(a, &v), false
			return &v
		}
		return &out
	}}), nil
}

func bindNamedStruct(b *binder, c *call, args []node) (node, *Error) {
	if len(args) == 0 || len(args)%2 != 0 {
		return nil, errAt(c.span, "%s takes pairs of a name and a value: %s", c.name, signature(c.name))
	}
	var fields []arrow.Field
	var values []node
	for i := 0; i < len(args); i += 2 {
		name, ok := constString(args[i])
		if !ok || name == "" {
			return nil, errAt(c.args[i].place(), "the name of a field must be a literal")
		}
		for _, f := range fields {
			if f.Name == name {
				return nil, errAt(c.args[i].place(), "field %s is there twice", strconv.Quote(name))
			}
		}
		x := args[i+1]
		if k, ok := x.(*constNode); ok && (k.untyped || k.v.kind == kNull) {
			x, _ = b.cast(x, stringType, c.args[i+1].place())
		}
		if t := x.typ(); t.kind == kInterval || t.kind == kOpaque {
			return nil, errAt(c.args[i+1].place(), "%s cannot hold %s", c.name, t)
		}
		fields, values = append(fields, fieldNamed(name, x.typ())), append(values, x)
	}
	t := typ{kind: kStruct, arrow: arrow.StructOf(fields...)}
	return fold(&function{t: t, args: values, lenient: true, never: true, src: b.text(c.span), run: func(f *function, r *run, _ []byte, args []*vector) *vector {
		out := &vector{typ: f.t, n: r.n}
		for _, a := range args {
			v := *r.spread(a)
			v.array = nil
			out.fields = append(out.fields, &v)
		}
		return out
	}}), nil
}
