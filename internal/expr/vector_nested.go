package expr

import (
	"math"
	"unsafe"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/memory"

	"github.com/sluice-data/sluice/internal/recycle"
	"github.com/sluice-data/sluice/internal/schema"
)

// canonical reports whether the evaluator holds values of field f of a list or struct just as Arrow does: of others, such as
// times in milliseconds, the whole column is opaque.
func canonical(f arrow.Field) bool {
	t := typeOf(f)
	return t.kind == kList || t.kind == kStruct || t.kind.printable() && arrow.TypeEqual(t.arrowType(), f.Type)
}

func (t typ) elem() typ       { return typeOf(t.arrow.(*arrow.ListType).ElemField()) }
func (t typ) fieldCount() int { return t.arrow.(*arrow.StructType).NumFields() }
func (t typ) field(i int) typ { return typeOf(t.arrow.(*arrow.StructType).Field(i)) }

// fieldNamed is the nullable field that holds values of type t; a bare NULL's is a string.
func fieldNamed(name string, t typ) arrow.Field {
	if t.json {
		return schema.JSONField(name)
	}
	return arrow.Field{Name: name, Type: t.arrowType(), Nullable: true}
}

func listOf(elem typ) typ {
	return typ{kind: kList, arrow: arrow.ListOfField(fieldNamed("element", elem))}
}

// nullFields are the fields of the constant NULL of struct type t.
func nullFields(t typ, n int) []*vector {
	out := make([]*vector, t.fieldCount())
	for i := range out {
		out[i] = nullOf(t.field(i), n)
	}
	return out
}

// rows runs do with n rows in place of the batch's.
func (r *run) rows(n int, do func()) {
	old, into := r.n, r.into
	r.n, r.into = n, nil
	do()
	r.n, r.into = old, into
}

// loadNested points v, of a list or struct type, into arr.
func (r *run) loadNested(v *vector, arr arrow.Array) {
	switch a := arr.(type) {
	case *array.List:
		if v.n > 0 {
			b := a.Data().Buffers()[1].Bytes()
			off := unsafe.Slice((*int32)(unsafe.Pointer(&b[0])), len(b)/4)[a.Data().Offset() : a.Data().Offset()+v.n+1]
			v.beg, v.end = off[:v.n], off[1:]
		}
		v.elem = r.loadPlain(a.ListValues(), v.typ.elem())
	case *array.Struct:
		for i := range a.NumField() {
			v.fields = append(v.fields, r.loadPlain(a.Field(i), v.typ.field(i)))
		}
	}
}

// loadPlain makes a vector over an array whose layout is that of type t.
func (r *run) loadPlain(arr arrow.Array, t typ) *vector {
	v := &vector{typ: t, n: arr.Len(), valid: r.validity(arr)}
	d := arr.Data()
	switch {
	case t.kind == kList || t.kind == kStruct:
		r.loadNested(v, arr)
	case t.kind.bytes():
		loadStrings(v, d)
	case t.kind == kBool:
		if v.n > 0 {
			v.data = r.alignBitmap(d.Buffers()[1].Bytes(), d.Offset(), v.n)
		}
	default:
		v.data = fixedBytes(d, t.kind.width(), v.n)
	}
	return v
}

// gather makes a vector of the rows idx of v, which is no constant; -1 is null.
func (r *run) gather(v *vector, idx []int32) *vector {
	n := len(idx)
	out := &vector{typ: v.typ, n: n, data: v.data, elem: v.elem, ascii: v.ascii}
	nulls := v.valid != nil
	for _, i := range idx {
		nulls = nulls || i < 0
	}
	if nulls {
		out.valid, out.owned = r.bytes(bitmapLen(n)), true
		pickBits(out.valid, v.valid, idx)
	}
	switch {
	case v.kind.bytes() || v.kind == kList:
		out.beg, out.end = r.int32s(n), r.int32s(n)
		for k, i := range idx {
			out.beg[k], out.end[k] = 0, 0
			if i >= 0 {
				out.beg[k], out.end[k] = v.beg[i], v.end[i]
			}
		}
	case v.kind == kStruct:
		for _, f := range v.fields {
			out.fields = append(out.fields, r.gather(f, idx))
		}
	case v.kind == kBool:
		out.data = r.bytes(bitmapLen(n))
		pickBits(out.data, v.data, idx)
	default:
		out.data = r.bytes(n * v.kind.width())
		switch v.kind.width() {
		case 1:
			pick[uint8](out, v, idx)
		case 2:
			pick[uint16](out, v, idx)
		case 4:
			pick[uint32](out, v, idx)
		case 8:
			pick[uint64](out, v, idx)
		default:
			pick[dec](out, v, idx)
		}
	}
	return out
}

// pickBits sets bit k of dst to bit idx[k] of src, which is all ones if nil, and to 0 for -1.
func pickBits(dst, src []byte, idx []int32) {
	clear(dst)
	for at := 0; at < len(idx); at += 8 {
		var b byte
		for j, i := range idx[at:min(at+8, len(idx))] {
			switch {
			case i < 0:
			case src == nil:
				b |= 1 << j
			default:
				b |= src[i>>3] >> (i & 7) & 1 << j
			}
		}
		dst[at>>3] = b
	}
}

func pick[T any](out, v *vector, idx []int32) {
	var zero T
	dst, src := values[T](out), values[T](v)
	for k, i := range idx {
		dst[k] = zero
		if i >= 0 {
			dst[k] = src[i]
		}
	}
}

// concat makes one vector of type t of the rows of parts, none of them a constant, one behind the other.
func (r *run) concat(t typ, parts []*vector) *vector {
	if len(parts) == 1 {
		return parts[0]
	}
	out := &vector{typ: t}
	nulls, bytes := false, 0
	for _, p := range parts {
		out.n += p.n
		bytes += len(p.data)
		nulls = nulls || p.valid != nil
	}
	bits := func(of func(p *vector) []byte) []byte {
		b := r.bytes(bitmapLen(out.n))
		clear(b)
		at := 0
		for _, p := range parts {
			if src := of(p); src == nil {
				for i := range p.n {
					setBit(b, at+i)
				}
			} else {
				eachBit(src, p.n, func(i int) { setBit(b, at+i) })
			}
			at += p.n
		}
		return b
	}
	if nulls {
		out.valid, out.owned = bits(func(p *vector) []byte { return p.valid }), true
	}
	switch {
	case t.kind == kStruct:
		for i := range t.fieldCount() {
			fields := make([]*vector, len(parts))
			for k, p := range parts {
				fields[k] = p.fields[i]
			}
			out.fields = append(out.fields, r.concat(t.field(i), fields))
		}
	case t.kind.bytes() || t.kind == kList:
		if bytes > math.MaxInt32 {
			r.tooLarge()
			return out
		}
		out.beg, out.end = r.int32s(out.n), r.int32s(out.n)
		at, base := 0, int32(0)
		var elems []*vector
		if t.kind != kList {
			out.data = r.bytes(bytes)[:0]
		}
		for _, p := range parts {
			for i := range p.n {
				out.beg[at], out.end[at] = p.beg[i]+base, p.end[i]+base
				at++
			}
			if t.kind == kList {
				elems = append(elems, p.elem)
				base += int32(p.elem.n)
			} else {
				out.data = append(out.data, p.data...)
				base += int32(len(p.data))
			}
		}
		if t.kind == kList {
			out.elem = r.concat(t.elem(), elems)
		}
	case t.kind == kBool:
		out.data = bits(func(p *vector) []byte { return p.data })
	default:
		out.data = r.bytes(bytes)[:0]
		for _, p := range parts {
			out.data = append(out.data, p.data[:p.n*t.kind.width()]...)
		}
	}
	return out
}

// takeNested sets the rows in where of a list or struct from v.
func (b *blender) takeNested(r *run, v *vector, where []byte) {
	for i, f := range b.fields {
		f.take(r, v.fields[i], where)
	}
	if b.out.kind != kList {
		return
	}
	base, m := b.listed, v.mask()
	b.lists = append(b.lists, v.elem)
	b.listed += int32(v.elem.n)
	eachBit(where, r.n, func(i int) { b.out.beg[i], b.out.end[i] = v.beg[i&m]+base, v.end[i&m]+base })
}

// flat are the elements of the rows of list v that are not null, one row's behind the other's, and the row of each. Of a constant
// v they are those of one row.
func (r *run) flat(v *vector, valid []byte) (elems, rows []int32) {
	total := 0
	for i, b := range v.beg {
		total += int(v.end[i] - b)
	}
	elems, rows = r.int32s(total)[:0], r.int32s(total)[:0]
	for i, b := range v.beg {
		if valid != nil && !bit(valid, i) {
			continue
		}
		for k := b; k < v.end[i]; k++ {
			elems, rows = append(elems, k), append(rows, int32(i))
		}
	}
	return elems, rows
}

// outputNested copies the n rows of a list or struct: its buffers, the first of which is given, and children.
func (r *run) outputNested(v *vector, n int, valid *memory.Buffer, mem memory.Allocator) (bufs []*memory.Buffer, children []arrow.ArrayData, err error) {
	bufs = []*memory.Buffer{valid}
	defer func() {
		if err == nil {
			return
		}
		if valid != nil {
			valid.Release()
		}
		for _, c := range children {
			c.Release()
		}
	}()
	if v.kind == kStruct {
		for _, f := range v.fields {
			c, err := r.outputData(f, n, mem)
			if err != nil {
				return nil, children, err
			}
			children = append(children, c)
		}
		return bufs, children, nil
	}
	elems, _ := r.flat(v, v.valid)
	c, err := r.outputData(r.gather(v.elem, elems), len(elems), mem)
	if err != nil {
		return nil, nil, err
	}
	offsets := recycle.Undefined(mem, (n+1)*4)
	off := unsafe.Slice((*int32)(unsafe.Pointer(&offsets.Bytes()[0])), n+1)
	at := int32(0)
	for i := range n {
		off[i] = at
		if v.valid == nil || bit(v.valid, i) {
			at += v.end[i] - v.beg[i]
		}
	}
	off[n] = at
	return append(bufs, offsets), []arrow.ArrayData{c}, nil
}

// castList casts the elements. An element that the new type cannot hold is an error of every row whose list it is in.
func castList(from, to typ) (kernel, bool) {
	fe, te := from.elem(), to.elem()
	k, mayFail := kernel(relabel), false
	if !fe.same(te) && !(fe.kind == te.kind && fe.kind.printable() && fe.kind != kDecimal && fe.json == te.json) {
		k, mayFail = castKernel(fe, te)
	}
	return func(f *function, r *run, sel []byte, args []*vector) *vector {
		a := args[0]
		out := *a
		out.typ, out.array = f.t, nil
		elem := &function{t: te}
		mark := len(r.errs)
		r.rows(a.elem.n, func() { out.elem = k(elem, r, nil, []*vector{a.elem}) })
		if len(r.errs) == mark {
			return &out
		}
		failed := make(map[int32]rowError, len(r.errs)-mark)
		for _, e := range r.errs[mark:] {
			failed[int32(e.row)] = e
		}
		r.errs = r.errs[:mark]
		out.owned = false
		for i, b := range a.beg {
			if !active(sel, a.valid, i) {
				continue
			}
			for j := b; j < a.end[i]; j++ {
				if e, ok := failed[j]; ok {
					f.fail(r, &out, i, e.value, e.reason)
					break
				}
			}
		}
		return &out
	}, mayFail
}
