package group

import (
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

// finest is the set of keys that has those of all others, whose groups can be made of its; -1 where there is none, or it does not pay: a state
// that is a list of values takes as long to merge as the values took to fold, and is held once more for each set.
func (f *Fold) finest() int {
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

// addSets folds rows into their groups of every set: those of the finest alone, as long as the others can be made of its groups.
func (l *Lane) addSets(keyCols, args []arrow.Array, n int) error {
	if sets := int64(len(l.f.cfg.Sets)); l.late && !l.f.room((1+sets)*l.single.size+int64(n)*l.f.rowBytes()) {
		if err := l.expand(); err != nil {
			return err
		}
	}
	if l.late {
		return l.addSet(l.f.fine, keyCols, args, n)
	}
	for set := range l.f.cfg.Sets {
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

// expand makes the groups of all sets of those of the finest. From then on rows are folded into each.
func (l *Lane) expand() error {
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
	states, err := l.f.states(p)
	if err != nil {
		return err
	}
	defer release(states)
	for set := range l.f.cfg.Sets {
		if err := l.mergeSet(set, cols[:len(cols)-1], states, n); err != nil {
			return err
		}
	}
	return nil
}

// mergeSet merges the states of n groups into their groups of a set.
func (l *Lane) mergeSet(set int, keyCols, states []arrow.Array, n int) error {
	k := l.inSet(set, keyCols, n)
	defer release(k)
	rows, err := l.enc.Encode(k, n)
	if err != nil {
		return err
	}
	if err := l.f.merge(l.single, rows, states); err != nil {
		return err
	}
	l.f.account(l.single)
	return nil
}
