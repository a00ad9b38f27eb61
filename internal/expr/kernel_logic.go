package expr

// logicNode is AND or OR. An error on one side does not count in the rows where the other side decides.
type logicNode struct {
	or   bool
	x, y node
}

func (l *logicNode) typ() typ       { return simple(kBool) }
func (l *logicNode) nullable() bool { return l.x.nullable() || l.y.nullable() }
func (l *logicNode) fallible() bool { return l.x.fallible() || l.y.fallible() }

func (l *logicNode) eval(r *run, sel []byte) *vector {
	m0 := len(r.errs)
	x := r.spread(l.x.eval(r, sel))
	m1 := len(r.errs)
	if r.err != nil {
		return nullOf(simple(kBool), r.n)
	}
	ysel := sel
	if l.y.fallible() {
		ysel = r.bitmap()
		decided := r.withoutErrors(r.decided(x, l.or), m0, m1)
		if sel == nil {
			bitNot(ysel, decided, r.n)
		} else {
			bitAndNot(ysel, sel, decided, r.n)
		}
		if countBits(ysel, r.n) == 0 { // nothing left to decide
			return x
		}
	}
	y := r.spread(l.y.eval(r, ysel))
	if r.err != nil {
		return nullOf(simple(kBool), r.n)
	}
	if m1 > m0 {
		r.dropErrors(m0, m1, r.decided(y, l.or))
	}
	return r.combine(x, y, l.or)
}

// withoutErrors is where without the rows of the errors m0 to m1: what stands in such a row settles nothing.
func (r *run) withoutErrors(where []byte, m0, m1 int) []byte {
	if m0 == m1 {
		return where
	}
	out := r.bitmap()
	copy(out, where)
	for _, e := range r.errs[m0:m1] {
		out[e.row>>3] &^= 1 << (e.row & 7)
	}
	return out
}

// decided is where v alone settles the result: false for AND, true for OR.
func (r *run) decided(v *vector, or bool) []byte {
	out := r.bitmap()
	switch {
	case or && v.valid == nil:
		return v.data
	case or:
		bitAnd(out, v.data, v.valid, r.n)
	case v.valid == nil:
		bitNot(out, v.data, r.n)
	default:
		bitAndNot(out, v.valid, v.data, r.n)
	}
	return out
}

// combine is x AND y or x OR y in three-valued logic.
func (r *run) combine(x, y *vector, or bool) *vector {
	out := r.fixed(simple(kBool))
	if x.valid == nil && y.valid == nil {
		if or {
			bitOr(out.data, x.data, y.data, r.n)
		} else {
			bitAnd(out.data, x.data, y.data, r.n)
		}
		return out
	}
	ones := r.oneBitmap()
	vx, vy := x.valid, y.valid
	if vx == nil {
		vx = ones
	}
	if vy == nil {
		vy = ones
	}
	out.valid, out.owned = r.bitmap(), true
	nb := (r.n + 7) / 8
	dx, dy, valid, data := x.data[:nb], y.data[:nb], out.valid[:nb], out.data[:nb]
	vx, vy = vx[:nb], vy[:nb]
	for i := range nb {
		tx, ty := dx[i]&vx[i], dy[i]&vy[i]
		fx, fy := vx[i]&^dx[i], vy[i]&^dy[i]
		if or {
			data[i] = tx | ty
			valid[i] = data[i] | fx&fy
		} else {
			data[i] = tx & ty
			valid[i] = data[i] | fx | fy
		}
	}
	return out
}

func notKernel(f *function, r *run, _ []byte, args []*vector) *vector {
	a := args[0]
	out := r.fixed(simple(kBool))
	out.valid = r.strictValid(a)
	bitNot(out.data, a.data, r.n)
	return out
}

// isNullKernel is IS [NOT] NULL.
func isNullKernel(negated bool) kernel {
	return func(f *function, r *run, _ []byte, args []*vector) *vector {
		a, out := args[0], r.fixed(simple(kBool))
		valid := a.valid
		if a.konst && a.null {
			valid = r.zeroBitmap()
		} else if a.konst || valid == nil {
			valid = r.oneBitmap()
		}
		if negated {
			copy(out.data, valid)
		} else {
			bitNot(out.data, valid, r.n)
		}
		return out
	}
}

// isBoolKernel is IS [NOT] TRUE and IS [NOT] FALSE.
func isBoolKernel(want, negated bool) kernel {
	return func(f *function, r *run, _ []byte, args []*vector) *vector {
		a, out := r.spread(args[0]), r.fixed(simple(kBool))
		copy(out.data, r.decided(a, want))
		if negated {
			bitNot(out.data, out.data, r.n)
		}
		return out
	}
}

// blender puts together the rows of several vectors of one type.
type blender struct {
	out    *vector
	text   []byte
	lists  []*vector  // the elements of the lists taken so far, and
	listed int32      // how many they are together
	fields []*blender // of a struct
}

func (r *run) newBlender(t typ) *blender {
	b := &blender{out: r.fixed(t)}
	switch {
	case t.kind.bytes() || t.kind == kList:
		b.out = r.strings(t, nil)
		clear(b.out.beg)
		clear(b.out.end)
	case t.kind == kStruct:
		for i := range t.fieldCount() {
			b.fields = append(b.fields, r.newBlender(t.field(i)))
		}
	default:
		clear(b.out.data)
	}
	b.out.valid, b.out.owned = r.zeroBitmap(), true
	return b
}

// take sets the rows in where, which nobody set before or which are to be replaced, from v.
func (b *blender) take(r *run, v *vector, where []byte) {
	switch {
	case v.konst && v.null:
		bitAndNot(b.out.valid, b.out.valid, where, r.n)
		return
	case v.konst || v.valid == nil:
		bitOr(b.out.valid, b.out.valid, where, r.n)
	default:
		for i := range (r.n + 7) / 8 {
			b.out.valid[i] = b.out.valid[i]&^where[i] | v.valid[i]&where[i]
		}
	}
	switch b.out.kind.width() {
	case 1:
		blend[uint8](b.out, v, where)
	case 2:
		blend[uint16](b.out, v, where)
	case 4:
		blend[uint32](b.out, v, where)
	case 8:
		blend[uint64](b.out, v, where)
	case 16:
		blend[dec](b.out, v, where)
	default:
		if b.out.kind == kBool {
			s := r.spread(v)
			for i := range (r.n + 7) / 8 {
				b.out.data[i] = b.out.data[i]&^where[i] | s.data[i]&where[i]
			}
			return
		}
		if b.out.kind.bytes() {
			b.takeStrings(r, v, where)
			return
		}
		b.takeNested(r, v, where)
	}
}

// finish gives the rows that were taken.
func (b *blender) finish(r *run) *vector {
	switch b.out.kind {
	case kList:
		b.out.elem = r.concat(b.out.typ.elem(), b.lists)
	case kStruct:
		b.out.fields = nil
		for _, f := range b.fields {
			b.out.fields = append(b.out.fields, f.finish(r))
		}
	}
	return b.out
}

func blend[T any](out, v *vector, where []byte) {
	dst, src, m := values[T](out), values[T](v), v.mask()
	n := len(dst)
	for at := 0; at < n; at += 8 {
		w := where[at>>3]
		switch {
		case w == 0:
		case w == 0xff && at+8 <= n && m != 0:
			copy(dst[at:at+8], src[at:at+8])
		case w == 0xff && at+8 <= n:
			x := src[0]
			for i := range dst[at : at+8] {
				dst[at+i] = x
			}
		default:
			for i := at; i < min(at+8, n); i++ {
				if w>>(i&7)&1 != 0 {
					dst[i] = src[i&m]
				}
			}
		}
	}
}

func (b *blender) takeStrings(r *run, v *vector, where []byte) {
	if v.konst {
		from := int32(len(b.text))
		b.text = append(b.text, v.str(0)...)
		eachBit(where, r.n, func(i int) { b.out.beg[i], b.out.end[i] = from, int32(len(b.text)) })
	} else {
		eachBit(where, r.n, func(i int) {
			b.out.beg[i] = int32(len(b.text))
			b.text = append(b.text, v.str(i)...)
			b.out.end[i] = int32(len(b.text))
		})
	}
	if len(b.text) > 1<<31-1 {
		r.tooLarge()
	}
	b.out.data = b.text
}

// caseNode is CASE WHEN; conds and thens pair up, other may be nil.
type caseNode struct {
	t            typ
	conds, thens []node
	other        node
}

func (c *caseNode) typ() typ { return c.t }

func (c *caseNode) nullable() bool {
	if c.other == nil || c.other.nullable() {
		return true
	}
	for _, n := range c.thens {
		if n.nullable() {
			return true
		}
	}
	return false
}

func (c *caseNode) fallible() bool {
	for i := range c.conds {
		if c.conds[i].fallible() || c.thens[i].fallible() {
			return true
		}
	}
	return c.other != nil && c.other.fallible()
}

func (c *caseNode) eval(r *run, sel []byte) *vector {
	b := r.newBlender(c.t)
	left := r.oneBitmap() // rows that took no branch yet
	if sel != nil {
		copy(left, sel[:(r.n+7)/8])
	}
	for i, cond := range c.conds {
		mark := len(r.errs)
		v := r.spread(cond.eval(r, left))
		hit := r.bitmap()
		bitAnd(hit, r.decided(v, true), left, r.n)
		for _, e := range r.errs[mark:] { // a row whose condition failed takes no branch
			left[e.row>>3] &^= 1 << (e.row & 7)
		}
		if r.err != nil {
			return nullOf(c.t, r.n)
		}
		if countBits(hit, r.n) > 0 {
			b.take(r, c.thens[i].eval(r, hit), hit)
			bitAndNot(left, left, hit, r.n)
		}
	}
	if c.other != nil && countBits(left, r.n) > 0 {
		b.take(r, c.other.eval(r, left), left)
	}
	return b.finish(r)
}

// coalesceNode is coalesce: a later argument is looked at only where the earlier ones are null.
type coalesceNode struct {
	t    typ
	args []node
}

func (c *coalesceNode) typ() typ { return c.t }

func (c *coalesceNode) nullable() bool {
	for _, a := range c.args {
		if !a.nullable() {
			return false
		}
	}
	return true
}

func (c *coalesceNode) fallible() bool {
	for _, a := range c.args {
		if a.fallible() {
			return true
		}
	}
	return false
}

func (c *coalesceNode) eval(r *run, sel []byte) *vector {
	b := r.newBlender(c.t)
	left := r.oneBitmap()
	if sel != nil {
		copy(left, sel[:(r.n+7)/8])
	}
	for _, a := range c.args {
		mark := len(r.errs)
		v := a.eval(r, left)
		if r.err != nil {
			return nullOf(c.t, r.n)
		}
		hit := r.bitmap()
		switch {
		case v.konst && v.null:
			continue
		case v.konst || v.valid == nil:
			copy(hit, left)
		default:
			bitAnd(hit, left, v.valid, r.n)
		}
		b.take(r, v, hit)
		bitAndNot(left, left, hit, r.n)
		for _, e := range r.errs[mark:] {
			left[e.row>>3] &^= 1 << (e.row & 7)
		}
		if countBits(left, r.n) == 0 {
			break
		}
	}
	return b.finish(r)
}

// extreme is greatest and least: NULL arguments do not count.
func extreme(greatest bool) kernel {
	op := compareOps["<"]
	if greatest {
		op = compareOps[">"]
	}
	return func(f *function, r *run, _ []byte, args []*vector) *vector {
		b := r.newBlender(f.t)
		for _, a := range args {
			if a.konst && a.null {
				continue
			}
			// better: a is valid and b is null or a beats b
			better := r.compare(op, f.t.kind, a, b.out)
			for i := range (r.n + 7) / 8 {
				better[i] |= ^b.out.valid[i]
			}
			if !a.konst && a.valid != nil {
				bitAnd(better, better, a.valid, r.n)
			}
			b.take(r, a, better)
		}
		return b.out
	}
}

// nullifKernel gives its first argument, or NULL where the second, a boolean, is true.
func nullifKernel(f *function, r *run, _ []byte, args []*vector) *vector {
	a, eq := r.spread(args[0]), r.spread(args[1])
	out := *a
	out.array = nil
	valid := a.valid
	if valid == nil {
		valid = r.oneBitmap()
	}
	out.valid, out.owned = r.bitmap(), true
	bitAndNot(out.valid, valid, r.decided(eq, true), r.n)
	return &out
}
