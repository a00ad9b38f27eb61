package expr

import (
	"sync/atomic"

	"github.com/apache/arrow/go/v17/arrow"

	"github.com/sluice-data/sluice/internal/codes"
)

// dictNode is a part of an expression that depends on one column of texts and nothing else. Where the column carries the codes of a dictionary,
// it is computed once for each entry, of all batches that have the dictionary or, where they have fewer rows than it has entries, of those in use: the
// rows take what their codes say.
type dictNode struct {
	x      node
	col    *columnNode
	recent recentAnswers
}

func (d *dictNode) typ() typ       { return d.x.typ() }
func (d *dictNode) nullable() bool { return d.x.nullable() }
func (d *dictNode) fallible() bool { return d.x.fallible() }

// overDictionary makes dictNodes of the largest parts of n that can be ones. held counts what they keep.
func overDictionary(n node, held *atomic.Int64) node {
	if _, computes := n.(*columnNode); computes {
		return n
	}
	if col, ok := soleText(n, nil); ok && col != nil {
		return &dictNode{x: n, col: col, recent: recentAnswers{held: held}}
	}
	each := func(list []node) {
		for i, x := range list {
			if x != nil {
				list[i] = overDictionary(x, held)
			}
		}
	}
	switch n := n.(type) {
	case *function:
		each(n.args)
	case *logicNode:
		n.x, n.y = overDictionary(n.x, held), overDictionary(n.y, held)
	case *caseNode:
		each(n.conds)
		each(n.thens)
		if n.other != nil {
			n.other = overDictionary(n.other, held)
		}
	case *coalesceNode:
		each(n.args)
	case *onceNode:
		n.x = overDictionary(n.x, held)
	case *letNode:
		n.value, n.body = overDictionary(n.value, held), overDictionary(n.body, held)
	}
	return n
}

// soleText tells whether n depends on no other column than col, a text; col is nil as long as none was met. What depends on a value that is
// computed elsewhere does not.
func soleText(n node, col *columnNode) (*columnNode, bool) {
	var inner []node
	switch n := n.(type) {
	case *constNode:
		return col, true
	case *columnNode:
		id := n.field.Type.ID()
		if len(n.path) > 0 || id != arrow.STRING && id != arrow.BINARY || col != nil && col.index != n.index {
			return nil, false
		}
		return n, true
	case *function:
		inner = n.args
	case *logicNode:
		inner = []node{n.x, n.y}
	case *caseNode:
		inner = append(append(inner, n.conds...), n.thens...)
		if n.other != nil {
			inner = append(inner, n.other)
		}
	case *coalesceNode:
		inner = n.args
	case *onceNode:
		inner = []node{n.x}
	default:
		return nil, false
	}
	for _, x := range inner {
		sole, ok := soleText(x, col)
		if !ok {
			return nil, false
		}
		col = sole
	}
	return col, true
}

// direct is n, or what it would compute for each row of rec, where it is to be computed so.
func direct(n node, rec arrow.Record) node {
	if d, ok := n.(*dictNode); ok {
		if _, e := codes.Of(rec.Column(d.col.index)); e == nil {
			return d.x
		}
	}
	return n
}

func (d *dictNode) eval(r *run, sel []byte) *vector {
	if r.entries != nil || r.n < fewRows {
		return d.x.eval(r, sel)
	}
	arr := r.rec.Column(d.col.index)
	of, e := codes.Of(arr)
	if e == nil {
		return d.x.eval(r, sel)
	}
	valid := r.validity(arr)
	a, compute := d.recent.of(e, r.n)
	if compute {
		a = d.answer(r, e)
		d.recent.keep(a)
	}
	if a.values != nil {
		return a.perRow(r, of, valid, sel)
	}
	u := r.dictionary(d, of, e, valid, sel)
	if 2*u.values.n > r.n {
		return d.x.eval(r, sel)
	}
	values, mark := *u.values, len(r.errs)
	values.typ = d.col.t
	v := d.over(r, &values, u.kept)
	if r.err != nil {
		return nullOf(d.typ(), r.n)
	}
	return r.perRow(v, u.rows, mark)
}

// over computes d with entries in the place of the column's rows; kept is of what was computed of the same entries before.
func (d *dictNode) over(r *run, entries *vector, kept []*keptVector) (v *vector) {
	rows, root := r.kept, r.root
	r.kept, r.root, r.entries = kept, nil, entries
	r.rows(entries.n, func() { v = r.spread(d.x.eval(r, nil)) })
	r.kept, r.root, r.entries = rows, root, nil
	return v
}

// dictionary is the entries of a column of texts that rows use, and what has been computed of them.
type dictionary struct {
	rows   []int32 // for each the number of its entry, -1 for one that is not selected
	values *vector
	kept   []*keptVector
}

// dictionary gives that of d's column. One for all rows is there for other expressions, too.
func (r *run) dictionary(d *dictNode, of []uint32, e *codes.Entries, valid, sel []byte) *dictionary {
	at := d.col.index
	for len(r.dicts) <= at {
		r.dicts = append(r.dicts, nil)
	}
	if u := r.dicts[at]; u != nil && (sel == nil || !d.x.fallible()) {
		return u
	}
	rows, values := r.inUse(of, e, valid, sel)
	u := &dictionary{rows, values, make([]*keptVector, len(r.kept))}
	if sel == nil {
		r.dicts[at], r.stored = u, true
	}
	return u
}

// inUse are the entries that selected rows have, the null among them if any is null, and for each row the number of its own: -1 where it is not
// selected.
func (r *run) inUse(of []uint32, e *codes.Entries, valid, sel []byte) (rows []int32, values *vector) {
	n := e.Len()
	off, data := e.Text()
	rows = r.int32s(r.n)
	numbers := r.int32s(n + 1) // n is the null's
	for i := range numbers {
		numbers[i] = -1
	}
	used := make([]int32, 0, n+1)
	for i, c := range of {
		if sel != nil && !bit(sel, i) {
			rows[i] = -1
			continue
		}
		if valid != nil { // no branch: nulls come in no order
			there := uint32(valid[i>>3] >> (i & 7) & 1)
			c = c*there + uint32(n)*(1-there)
		}
		k := numbers[c]
		if k < 0 {
			k = int32(len(used))
			numbers[c] = k
			used = append(used, int32(c))
		}
		rows[i] = k
	}
	values = &vector{n: len(used), data: data, beg: r.int32s(len(used)), end: r.int32s(len(used))}
	for k, c := range used {
		if int(c) == n {
			values.valid = r.bytes(bitmapLen(len(used)))
			for i := range values.valid {
				values.valid[i] = 0xff
			}
			values.valid[k>>3] &^= 1 << (k & 7)
			values.beg[k], values.end[k] = 0, 0
			continue
		}
		values.beg[k], values.end[k] = off[c], off[c+1]
	}
	return rows, values
}

// perRow gives each row the value of v that of says, null for -1, and the errors that v's values have had since mark.
func (r *run) perRow(v *vector, of []int32, mark int) *vector {
	out := r.gather(v, of)
	if len(r.errs) == mark {
		return out
	}
	failed := firstErrors(r.errs[mark:])
	r.errs = r.errs[:mark]
	for i, k := range of {
		if e, ok := failed[k]; ok && k >= 0 {
			r.fail(out, i, e.value, e.reason)
		}
	}
	return out
}

// firstErrors are those of errs that count: the first one of each row.
func firstErrors(errs []rowError) map[int32]rowError {
	first := make(map[int32]rowError, len(errs))
	for _, e := range errs {
		if _, ok := first[int32(e.row)]; !ok {
			first[int32(e.row)] = e
		}
	}
	return first
}
