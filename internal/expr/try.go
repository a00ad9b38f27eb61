package expr

// tryCast is TRY_CAST: null where the value is none of type t. Errors within x stay errors.
func (b *binder) tryCast(x node, t typ, at span) (node, *Error) {
	from := x.typ()
	c, isConst := x.(*constNode)
	if from.same(t) && from.json == t.json || from.kind == kNull || isConst && c.v.null || !castable(from, t) {
		return b.cast(x, t, at)
	}
	k, mayFail := castKernel(from, t)
	if !mayFail {
		return b.cast(x, t, at)
	}
	return b.try(t, k, at, x), nil
}

// try makes a function that is null in the rows where k records errors.
func (b *binder) try(t typ, k kernel, at span, x node) node {
	return fold(&function{t: t, args: []node{x}, src: b.text(at), maybe: true, run: func(f *function, r *run, sel []byte, args []*vector) *vector {
		mark := len(r.errs)
		out := k(f, r, sel, args) // which makes them null
		r.errs = r.errs[:mark]
		return out
	}})
}
