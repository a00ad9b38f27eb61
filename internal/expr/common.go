package expr

import (
	"strconv"
	"strings"
)

// common finds the parts that an expression, or several that are evaluated together, have more than once: they are evaluated once.
type common struct {
	ids   map[string]int // of parts that are alike, by what they are made of
	of    map[syntax]int
	count map[int]int
	slots map[int]int // of those that are shared
}

func findCommon(roots ...syntax) *common {
	c := &common{ids: map[string]int{}, of: map[syntax]int{}, count: map[int]int{}, slots: map[int]int{}}
	for _, n := range roots {
		c.number(n)
		c.tally(n)
	}
	return c
}

// parts are what n is made of.
func parts(n syntax) (list []syntax) {
	switch n := n.(type) {
	case *unary:
		return []syntax{n.x}
	case *binaryOp:
		return []syntax{n.x, n.y}
	case *castTo:
		return []syntax{n.x}
	case *call:
		return n.args
	case *isTest:
		return []syntax{n.x}
	case *inList:
		return append([]syntax{n.x}, n.list...)
	case *between:
		return []syntax{n.x, n.lo, n.hi}
	case *like:
		return []syntax{n.x, n.pattern}
	case *fieldOf:
		return []syntax{n.x}
	case *arrayOf:
		return n.list
	case *subscript:
		list = []syntax{n.x}
		for _, bound := range []syntax{n.index, n.hi} {
			if bound != nil {
				list = append(list, bound)
			}
		}
	case *caseOf:
		for _, w := range n.whens {
			list = append(list, w.cond, w.then)
		}
		if n.operand != nil {
			list = append(list, n.operand)
		}
		if n.other != nil {
			list = append(list, n.other)
		}
	}
	return list
}

// number gives n and its parts numbers, the same to what is the same but for spaces; 0 to what is never shared.
func (c *common) number(n syntax) int {
	key := ""
	switch n := n.(type) {
	case *literal:
		key = "'" + strconv.Itoa(int(n.kind)) + n.text
	case *name:
		key = printSyntax(n)
	case *unary:
		key = n.op
	case *binaryOp:
		key = n.op
	case *castTo:
		key = "::" + n.typ + strconv.FormatBool(n.try)
	case *call:
		if !n.star && !n.distinct {
			key = n.name + "("
		}
	case *isTest:
		key = "IS " + n.what + strconv.FormatBool(n.not)
	case *fieldOf:
		key = "." + strconv.FormatBool(n.field.quoted) + n.field.text
	case *arrayOf:
		key = "ARRAY["
	case *subscript:
		key = "[" + strconv.FormatBool(n.index == nil) + strconv.FormatBool(n.hi == nil) + strconv.FormatBool(n.slice)
	}
	list := parts(n)
	known := key != ""
	var b strings.Builder
	b.WriteString(key)
	for _, p := range list {
		id := c.number(p)
		known = known && id > 0
		b.WriteByte(' ')
		b.WriteString(strconv.Itoa(id))
	}
	if !known {
		return 0
	}
	id, ok := c.ids[b.String()]
	if !ok {
		id = len(c.ids) + 1
		c.ids[b.String()] = id
	}
	c.of[n] = id
	return id
}

// tally counts parts; those of a part that was there before do not count again.
func (c *common) tally(n syntax) {
	if id := c.of[n]; id > 0 {
		if c.count[id]++; c.count[id] > 1 {
			return
		}
	}
	for _, p := range parts(n) {
		c.tally(p)
	}
}

// once makes x, which n was bound to, one that is evaluated once if the expression has the same part elsewhere, too.
func (b *binder) once(n syntax, x node) node {
	id := b.common.of[n]
	if id == 0 || b.common.count[id] < 2 {
		return x
	}
	if _, ok := x.(*function); !ok {
		return x // columns and constants cost nothing
	}
	slot, ok := b.common.slots[id]
	if !ok {
		slot = b.slots
		b.slots++
		b.common.slots[id] = slot
	}
	return &onceNode{slot: slot, x: x}
}

// onceNode is an expression that stands in several places. Each of them sees its errors.
type onceNode struct {
	slot int
	x    node
}

func (o *onceNode) typ() typ       { return o.x.typ() }
func (o *onceNode) nullable() bool { return o.x.nullable() }
func (o *onceNode) fallible() bool { return o.x.fallible() }

func (o *onceNode) eval(r *run, sel []byte) *vector {
	if !o.x.fallible() {
		sel = nil // for the rows that are looked at elsewhere
	}
	if kept := r.kept[o.slot]; kept != nil && kept.covers(sel, r.n) {
		for _, e := range kept.errs {
			if sel == nil || bit(sel, e.row) {
				r.errs = append(r.errs, e)
			}
		}
		return kept.v
	}
	mark := len(r.errs)
	v := o.x.eval(r, sel)
	if r.err == nil {
		kept := &keptVector{v: v, errs: append([]rowError(nil), r.errs[mark:]...)}
		if sel != nil { // which CASE goes on to change
			kept.sel = r.bitmap()
			copy(kept.sel, sel)
		}
		r.kept[o.slot], r.stored = kept, true
	}
	return v
}

// keptVector is the value of a onceNode for the rows of sel.
type keptVector struct {
	v    *vector
	sel  []byte
	errs []rowError
}

func (k *keptVector) covers(sel []byte, n int) bool {
	if k.sel == nil {
		return true
	}
	if sel == nil {
		return false
	}
	for i := range (n + 7) / 8 {
		if sel[i]&^k.sel[i]&lastBits(i, n) != 0 {
			return false
		}
	}
	return true
}

// lastBits are the bits of byte i of a bitmap of n.
func lastBits(i, n int) byte {
	if n-i*8 >= 8 {
		return 0xff
	}
	return 1<<(n-i*8) - 1
}
