package group

import (
	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/memory"

	"github.com/sluice-data/sluice/transforms/internal/col"
	"github.com/sluice-data/sluice/transforms/internal/keys"
	"github.com/sluice-data/sluice/transforms/internal/take"
)

// front finds the groups of rows whose texts come with the codes of dictionaries: texts are told by numbers, which are looked up once for a dictionary, and
// only tuples of numbers that are new are encoded and looked up as what they are.
type front struct {
	texts []*keys.Texts // of each key; nil of those that are no texts
	enc   *keys.Encoder
	tab   *keys.Table
	group []uint32 // of each tuple of numbers
	// Scratch: the numbers of each text key, and the rows in which new tuples come first.
	numbers [][]uint32
	first   []int32
}

// frontMost is the tuples from which a front is given up: it is for keys that recur.
const frontMost = 1 << 14

// fronts is how fronts are made; nil where no key is a text.
type fronts struct {
	texts []*keys.TextPlan
	plan  *keys.Plan
}

func newFronts(types []arrow.DataType) *fronts {
	f := &fronts{texts: make([]*keys.TextPlan, len(types))}
	any, numbers := false, make([]arrow.DataType, len(types))
	for i, t := range types {
		if numbers[i] = t; col.IsVar(t) {
			if f.texts[i] = keys.NewTextPlan(t); f.texts[i] == nil {
				return nil
			}
			any, numbers[i] = true, arrow.PrimitiveTypes.Uint32
		}
	}
	var err error
	if f.plan, err = keys.NewPlan(numbers); err != nil || !any {
		return nil
	}
	return f
}

// worth reports whether all texts of keyCols have codes.
func (f *fronts) worth(keyCols []arrow.Array) bool {
	if f == nil {
		return false
	}
	for i, p := range f.texts {
		if p != nil && !p.Worth(keyCols[i]) {
			return false
		}
	}
	return true
}

func (f *fronts) open() *front {
	x := &front{texts: make([]*keys.Texts, len(f.texts)), numbers: make([][]uint32, len(f.texts)), enc: f.plan.NewEncoder(), tab: f.plan.NewTable()}
	for i, p := range f.texts {
		if p != nil {
			x.texts[i] = p.New()
		}
	}
	return x
}

// find puts the groups of n rows in ids, adding those that are new to p.
func (x *front) find(p *part, enc *keys.Encoder, keyCols []arrow.Array, n int, ids []uint32) error {
	cols := make([]arrow.Array, 0, len(keyCols))
	defer func() { release(cols) }()
	for i, c := range keyCols {
		if x.texts[i] == nil {
			c.Retain()
			cols = append(cols, c)
			continue
		}
		x.numbers[i] = col.Grow(x.numbers[i][:0], n)
		if err := x.texts[i].Intern(c, 0, n, x.numbers[i]); err != nil {
			return err
		}
		cols = append(cols, col.New(arrow.PrimitiveTypes.Uint32, x.numbers[i], nil))
	}
	rows, err := x.enc.Encode(cols, n)
	if err != nil {
		return err
	}
	x.tab.Intern(rows, ids)
	if err := x.meet(p, enc, keyCols, ids); err != nil {
		return err
	}
	for i, k := range ids {
		ids[i] = x.group[k]
	}
	return nil
}

// meet looks up the groups of tuples that are among ids for the first time.
func (x *front) meet(p *part, enc *keys.Encoder, keyCols []arrow.Array, ids []uint32) error {
	next := uint32(len(x.group))
	if x.tab.Len() == len(x.group) {
		return nil
	}
	x.first = x.first[:0]
	for i, k := range ids {
		if k == next { // new ones are numbered in order of appearance
			x.first = append(x.first, int32(i))
			next++
		}
	}
	some := make([]arrow.Array, 0, len(keyCols))
	defer func() { release(some) }()
	for _, c := range keyCols {
		a, err := take.Array(c, x.first, memory.DefaultAllocator)
		if err != nil {
			return err
		}
		some = append(some, a)
	}
	rows, err := enc.Encode(some, len(x.first))
	if err != nil {
		return err
	}
	at := len(x.group)
	x.group = col.Grow(x.group, at+len(x.first))
	p.tab.Intern(rows, x.group[at:])
	return nil
}

func (x *front) size() int64 {
	if x == nil {
		return 0
	}
	size := x.tab.Size() + 4*int64(cap(x.group)+cap(x.first))
	for i, t := range x.texts {
		if t != nil {
			size += t.Size() + 4*int64(cap(x.numbers[i]))
		}
	}
	return size
}
