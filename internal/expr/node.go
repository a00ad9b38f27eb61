package expr

import "github.com/apache/arrow/go/v17/arrow"

// node is a bound expression. eval computes it for all rows of the run; errors are recorded only for rows set in sel (nil:
// all), which is how a branch that is not taken raises none.
type node interface {
	typ() typ
	nullable() bool
	// fallible reports whether eval may record row errors: only then is a selection worth computing.
	fallible() bool
	eval(r *run, sel []byte) *vector
}

// constNode is a constant.
type constNode struct {
	v *vector // konst
	// untyped: a string literal, which takes the type of what it meets, as in PostgreSQL
	untyped bool
	number  bool // an integer literal: fits beside uint64
}

func (c *constNode) typ() typ       { return c.v.typ }
func (c *constNode) nullable() bool { return c.v.null }
func (c *constNode) fallible() bool { return false }
func (c *constNode) eval(r *run, _ []byte) *vector {
	if c.v.kind == kStruct {
		return c.v.stand(r.n)
	}
	v := *c.v
	v.n = r.n
	return &v
}

func nullNode(t typ) *constNode { return &constNode{v: nullOf(t, 1)} }

// columnNode is a column, or a field of a struct column.
type columnNode struct {
	t       typ
	index   int
	path    []int
	field   arrow.Field
	null    bool
	convert bool // reading it may fail: a finer time unit
}

func (c *columnNode) typ() typ       { return c.t }
func (c *columnNode) nullable() bool { return c.null }
func (c *columnNode) fallible() bool { return c.convert }
func (c *columnNode) eval(r *run, sel []byte) *vector {
	return r.load(c, sel)
}

// kernel computes a function of already evaluated arguments. Unless the function is lenient, no argument is a constant NULL
// and the caller has handled rows where all are constant: then r.n is 1.
type kernel func(f *function, r *run, sel []byte, args []*vector) *vector

// function is a call of a kernel.
type function struct {
	t       typ
	args    []node
	run     kernel
	src     string // for messages
	mayFail bool
	// lenient kernels take NULL arguments and may give a value for them; others give NULL for any NULL.
	lenient bool
	maybe   bool // the result can be null though no argument is
	never   bool // the result is never null
	costly  bool // worth a look for values that recur
}

func (f *function) typ() typ { return f.t }
func (f *function) nullable() bool {
	if f.never || f.maybe {
		return f.maybe
	}
	for _, a := range f.args {
		if a.nullable() {
			return true
		}
	}
	return false
}

func (f *function) fallible() bool {
	if f.mayFail {
		return true
	}
	for _, a := range f.args {
		if a.fallible() {
			return true
		}
	}
	return false
}

func (f *function) eval(r *run, sel []byte) *vector {
	args := make([]*vector, len(f.args))
	konst := true
	for i, a := range f.args {
		args[i] = a.eval(r, sel)
		if r.err != nil {
			return nullOf(f.t, r.n)
		}
		konst = konst && args[i].konst
		if args[i].konst && args[i].null && !f.lenient {
			return nullOf(f.t, r.n)
		}
	}
	if !konst {
		if f.costly {
			if v := f.overDistinct(r, sel, args); v != nil {
				return v
			}
		}
		if r.root == node(f) {
			r.into = r.direct.Bytes()
		}
		v := f.run(f, r, sel, args)
		r.into = nil
		return v
	}
	return f.evalConst(r, sel, args)
}

// evalConst computes one row and lets it stand for all; an error is one of every selected row.
func (f *function) evalConst(r *run, sel []byte, args []*vector) *vector {
	n, mark := r.n, len(r.errs)
	r.n = 1
	v := f.run(f, r, nil, args)
	r.n = n
	out := *v.stand(n)
	if len(r.errs) > mark {
		e := r.errs[mark]
		r.errs = r.errs[:mark]
		for i := range n {
			if sel == nil || bit(sel, i) {
				r.errs = append(r.errs, rowError{i, e.value, e.reason})
			}
		}
	}
	return &out
}

// stand makes a constant of n rows of the only row of v.
func (v *vector) stand(n int) *vector {
	out := *v
	out.n, out.konst, out.array = n, true, nil
	out.null = v.konst && v.null || !v.konst && v.valid != nil && !bit(v.valid, 0)
	out.valid, out.fields = nil, nil
	for _, f := range v.fields {
		out.fields = append(out.fields, f.stand(n))
	}
	return &out
}

// fail records an error of row i, naming the part of the expression that raised it.
func (f *function) fail(r *run, out *vector, i int, value, reason string) {
	if f.src != "" {
		reason += " in " + f.src
	}
	r.fail(out, i, value, reason)
}

// recheck looks for the rows that made a loop's error flag go up: check returns a reason for those at fault.
func (f *function) recheck(r *run, out *vector, sel []byte, check func(i int) (value, reason string)) {
	for i := range r.n {
		if !active(sel, out.valid, i) {
			continue
		}
		if value, reason := check(i); reason != "" {
			f.fail(r, out, i, value, reason)
		}
	}
}

// letNode evaluates value once for several uses of it in body.
type letNode struct {
	slot        int
	value, body node
}

func (l *letNode) typ() typ       { return l.body.typ() }
func (l *letNode) nullable() bool { return l.body.nullable() }
func (l *letNode) fallible() bool { return l.body.fallible() || l.value.fallible() }
func (l *letNode) eval(r *run, sel []byte) *vector {
	r.slots[l.slot] = l.value.eval(r, sel)
	return l.body.eval(r, sel)
}

// slotNode is a use of a letNode's value. Its errors are recorded where the value is computed.
type slotNode struct {
	slot int
	t    typ
	null bool
}

func (s *slotNode) typ() typ                      { return s.t }
func (s *slotNode) nullable() bool                { return s.null }
func (s *slotNode) fallible() bool                { return false }
func (s *slotNode) eval(r *run, _ []byte) *vector { return r.slots[s.slot] }

// fold replaces f by its value if all arguments are constants and it raises no error.
func fold(f *function) node {
	for _, a := range f.args {
		if _, ok := a.(*constNode); !ok {
			return f
		}
	}
	r := &run{n: 1}
	v := f.eval(r, nil)
	if len(r.errs) > 0 || r.err != nil || !v.konst {
		return f
	}
	return &constNode{v: v.detach()}
}

// detach gives a constant memory of its own.
func (v *vector) detach() *vector {
	c := *v
	c.n, c.array, c.valid, c.owned = 1, nil, nil, false
	c.data = make([]byte, 16)
	switch {
	case v.null:
		return nullOf(v.typ, 1)
	case v.kind == kList || v.kind == kStruct: // a run that folds keeps its memory
		c.beg, c.end = v.beg, v.end
		c.data = nil
	case v.kind.bytes():
		c.data = append([]byte(nil), v.str(0)...)
		c.beg, c.end, c.ascii = []int32{0}, []int32{int32(len(c.data))}, 0
	case v.kind == kBool:
		c.data[0] = v.data[0]
	default:
		copy(c.data, v.data)
		c.data = c.data[:v.kind.width()]
	}
	return &c
}
