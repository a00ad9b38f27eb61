package expr

import (
	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/memory"
)

// Group is programs that are evaluated over the same records: a part that several of them have is computed once. It is immutable, safe for
// concurrent use.
type Group struct {
	progs []*Program
	slots int
	// The last program that uses each slot, or a dictionary of each column of texts.
	lastSlot, lastColumn []int
}

// Together makes a group of programs, which stay what they are. They may be bound to different schemas, as long as the columns that they use
// are at the same place and of the same type in each. An error of a shared part says it as the first program writes it.
func Together(progs ...*Program) *Group {
	trees := make([]syntax, len(progs))
	for i, p := range progs {
		trees[i] = p.of.tree
	}
	b := &binder{common: findCommon(trees...)}
	g := &Group{}
	for _, p := range progs {
		q, err := b.program(p.src, p.of)
		if err != nil {
			panic("expr: " + p.src + " was compiled and cannot be bound again: " + err.Msg)
		}
		g.progs = append(g.progs, q)
	}
	g.slots = b.slots
	g.lastSlot = make([]int, g.slots)
	for i, p := range g.progs {
		g.mark(p.root, i)
	}
	return g
}

// mark notes that program i uses what n does.
func (g *Group) mark(n node, i int) {
	each := func(list ...node) {
		for _, x := range list {
			if x != nil {
				g.mark(x, i)
			}
		}
	}
	switch n := n.(type) {
	case *onceNode:
		g.lastSlot[n.slot] = i
		each(n.x)
	case *dictNode:
		for len(g.lastColumn) <= n.col.index {
			g.lastColumn = append(g.lastColumn, 0)
		}
		g.lastColumn[n.col.index] = i
		each(n.x)
	case *function:
		each(n.args...)
	case *logicNode:
		each(n.x, n.y)
	case *caseNode:
		each(n.conds...)
		each(n.thens...)
		each(n.other)
	case *coalesceNode:
		each(n.args...)
	case *letNode:
		each(n.value, n.body)
	}
}

// Eval computes each program for every row of rec, as Program.Eval does: the values and row errors of program i are columns[i] and errs[i]. The
// caller owns the columns; there are none if err is not nil.
func (g *Group) Eval(rec arrow.Record, mem memory.Allocator) (columns []arrow.Array, errs [][]RowError, err error) {
	r := newRun(rec, g.slots)
	defer r.done()
	for i, p := range g.progs {
		block, used := r.block, r.used
		a, bad, err := p.eval(r, mem)
		if err != nil {
			for _, c := range columns {
				c.Release()
			}
			return nil, nil, err
		}
		columns, errs = append(columns, a), append(errs, bad)
		switch alive, stored := g.forget(r, i), r.stored; {
		case !alive:
			r.block, r.used = 0, 0
		case !stored:
			r.block, r.used = block, used
		}
		r.between()
	}
	return columns, errs, nil
}

// forget drops what no program behind i uses, and reports whether anything is left: memory of the others is used again.
func (g *Group) forget(r *run, i int) (alive bool) {
	for k := range r.kept {
		if g.lastSlot[k] <= i {
			r.kept[k] = nil
		}
		alive = alive || r.kept[k] != nil
	}
	for k := range r.dicts {
		if g.lastColumn[k] <= i {
			r.dicts[k] = nil
		}
		alive = alive || r.dicts[k] != nil
	}
	return alive
}
