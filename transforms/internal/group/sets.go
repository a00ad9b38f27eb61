package group

import (
	"context"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"

	"github.com/sluice-data/sluice/transforms/internal/col"
)

// SetType is the type of the key that numbers n sets: a narrow one, so that the key stays in words.
func SetType(n int) arrow.DataType {
	if n <= 1<<8 {
		return arrow.PrimitiveTypes.Uint8
	}
	return arrow.PrimitiveTypes.Int32
}

// SetNumbers is a column of n times the number of a set, of type t.
func SetNumbers(t arrow.DataType, set, n int) arrow.Array {
	if t.ID() == arrow.UINT8 {
		return col.New(t, repeat(uint8(set), n), nil)
	}
	return col.New(t, repeat(int32(set), n), nil)
}

func repeat[T any](v T, n int) []T {
	out := make([]T, n)
	for i := range out {
		out[i] = v
	}
	return out
}

// mostLate is the sets up to which their groups are made of those of the finest, which takes as many times their memory at once.
const mostLate = 64

// finest is the set of keys that has those of all others, whose groups can be made of its; -1 where there is none, or it does not pay: a state
// that is a list of values takes as long to merge as the values took to fold, and is held once more for each set.
func (f *Fold) finest() int {
	if len(f.cfg.Sets) > mostLate {
		return -1
	}
	for _, fn := range f.funcs {
		for _, s := range fn.bound.State {
			if s.Type.ID() != arrow.BOOL && col.Width(s.Type) == 0 {
				return -1
			}
		}
	}
	for i, set := range f.cfg.Sets {
		all := true
		for _, other := range f.cfg.Sets {
			for k, in := range other {
				all = all && (set[k] || !in)
			}
		}
		if all {
			return i
		}
	}
	return -1
}

// addSets folds rows into their groups of every set: those of the finest alone, as long as the others can be made of its groups. That the rows may be
// new groups in each set is not asked for: expand finds room for them.
func (l *Lane) addSets(ctx context.Context, keyCols, args []arrow.Array, n int) error {
	if sets := int64(len(l.f.cfg.Sets)); l.late && !l.f.room((1+sets)*l.single.size+int64(n)*l.f.rowBytes()) {
		if err := l.expand(ctx); err != nil {
			return err
		}
	}
	if l.late {
		if err := l.addSet(l.f.fine, keyCols, args, n); err != nil || l.single.tab.Len() <= l.f.partitionAt {
			return err
		}
		return l.expand(ctx)
	}
	for set := range l.f.cfg.Sets {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := l.addSet(set, keyCols, args, n); err != nil {
			return err
		}
	}
	return nil
}

func (l *Lane) addSet(set int, keyCols, args []arrow.Array, n int) error {
	k := l.inSet(set, keyCols, n)
	defer release(k)
	return l.addKeys(k, args, n)
}

// inSet are the keys of n rows by which a set groups them, owned by the caller: null where a key is not in it, and the set's number.
func (l *Lane) inSet(set int, keyCols []arrow.Array, n int) []arrow.Array {
	if l.blank == nil {
		l.blank = make([]arrow.Array, len(keyCols))
	}
	out := make([]arrow.Array, 0, len(keyCols)+1)
	for k, c := range keyCols {
		if in := l.f.cfg.Sets[set]; k >= len(in) || in[k] {
			c.Retain()
			out = append(out, c)
			continue
		}
		if have := l.blank[k]; have == nil || have.Len() < n {
			if have != nil {
				have.Release()
			}
			l.blank[k] = array.MakeArrayOfNull(l.mem, c.DataType(), max(n, window))
		}
		out = append(out, array.NewSlice(l.blank[k], 0, int64(n)))
	}
	return append(out, SetNumbers(l.f.cfg.Keys[len(keyCols)].Type, set, n))
}

// expand makes the groups of all sets of those of the finest. From then on rows are folded into each. It asks the budget for each piece of them:
// where one table has no room they go to partitions, and those to disk.
func (l *Lane) expand(ctx context.Context) error {
	l.late = false
	p := l.single
	n := p.tab.Len()
	if n == 0 {
		return nil
	}
	l.single = l.f.newPart(l.mem)
	defer l.f.drop(p)
	cols, err := p.tab.Columns(l.mem, 0, n)
	if err != nil {
		return err
	}
	defer release(cols)
	held := int64(0)
	for _, c := range cols {
		held += int64(c.Data().SizeInBytes())
	}
	l.f.hold(held)
	defer l.f.hold(-held)
	states, err := l.f.states(p)
	if err != nil {
		return err
	}
	defer release(states)
	for set := range l.f.cfg.Sets {
		for lo, hi := 0, 0; lo < n; lo = hi {
			hi = min(lo+l.piece(), n)
			if err := ctx.Err(); err != nil {
				return err
			}
			if err := l.mergeSet(set, cols[:len(cols)-1], states, lo, hi); err != nil {
				return err
			}
		}
	}
	return nil
}

// piece is how many groups are merged at a time: those that one table must have room for, or many, so that each partition has some of them.
func (l *Lane) piece() int {
	each := 16 * l.f.rowBytes()
	if l.parts != nil {
		each = 1 << 10
	}
	return int(min(max(l.f.limit/each, fanout), 1<<16))
}

// mergeSet merges the states of groups lo … hi-1 into their groups of a set.
func (l *Lane) mergeSet(set int, keyCols, states []arrow.Array, lo, hi int) error {
	k, s := cut(keyCols, lo, hi), cut(states, lo, hi)
	defer release(k)
	defer release(s)
	in := l.inSet(set, k, hi-lo)
	defer release(in)
	rows, err := l.enc.Encode(in, hi-lo)
	if err != nil {
		return err
	}
	return l.addStates(rows, s)
}

// gather puts the lanes' groups of the finest set together, as far as there is room: the groups of the other sets are then made of them once.
func (d *Drain) gather() error {
	var to *Lane
	for _, l := range d.lanes {
		switch {
		case l.err != nil || !l.late || l.single.tab.Len() == 0:
		case to == nil:
			to = l
		case d.f.room(to.single.size + l.single.size):
			p := l.single
			l.single, l.late = d.f.newPart(l.mem), false
			if err := d.mergePart(to.single, p); err != nil {
				return err
			}
		}
	}
	return nil
}
