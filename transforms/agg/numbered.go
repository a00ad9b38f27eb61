package agg

import (
	"math"
	"sync"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/memory"

	"github.com/sluice-data/sluice/internal/codes"
	"github.com/sluice-data/sluice/transforms/internal/col"
	"github.com/sluice-data/sluice/transforms/internal/keys"
	"github.com/sluice-data/sluice/transforms/internal/take"
)

// numberPlan is how the values of a column are numbered, and pairs of a group and such a number are.
type numberPlan struct {
	values   *keys.Plan
	encoders sync.Pool
	pairs    *pairPlan
}

// newNumberPlan plans for texts; nil for other values, which come with no codes.
func newNumberPlan(t arrow.DataType) (*numberPlan, error) {
	if t.ID() != arrow.STRING && t.ID() != arrow.BINARY {
		return nil, nil
	}
	values, err := keys.NewPlan([]arrow.DataType{t})
	if err != nil {
		return nil, err
	}
	pairs, err := newPairPlan(groupType)
	if err != nil {
		return nil, err
	}
	return &numberPlan{values: values, encoders: sync.Pool{New: func() any { return values.NewEncoder() }}, pairs: pairs}, nil
}

// numbered gives each different text a number. Those of a dictionary are looked up once for all rows that have its codes.
type numbered struct {
	plan *numberPlan
	tab  *keys.Table
	of   *codes.Entries // whose numbers entries are
	// entries are the numbers of the dictionary's texts, and of null behind them.
	entries []uint32
}

// worth reports whether a has codes of a dictionary that n rows make worth looking up.
func (p *numberPlan) worth(a arrow.Array, n int) bool {
	if p == nil {
		return false
	}
	_, e := codes.Of(a)
	return e != nil && e.Len() <= n
}

// intern numbers the texts a[lo:hi].
func (v *numbered) intern(a arrow.Array, lo, hi int, ids []uint32) error {
	of, e := codes.Of(a)
	if e == nil || e.Len() > a.Len() && (v.of == nil || !v.of.Same(e)) {
		part := array.NewSlice(a, int64(lo), int64(hi))
		defer part.Release()
		return v.add(part, ids)
	}
	if v.of == nil || !v.of.Same(e) {
		if err := v.dictionary(e); err != nil {
			return err
		}
	}
	valid, off := col.Valid(a)
	if valid == nil {
		for i, c := range of[lo:hi] {
			ids[i] = v.entries[c]
		}
		return nil
	}
	null := uint32(e.Len())
	for i, c := range of[lo:hi] { // no branch: nulls come in no order
		at := off + lo + i
		there := uint32(valid[at>>3] >> (at & 7) & 1)
		ids[i] = v.entries[c*there+null*(1-there)]
	}
	return nil
}

// dictionary looks up the texts of e, and null.
func (v *numbered) dictionary(e *codes.Entries) error {
	texts := e.Values()
	defer texts.Release()
	null := array.MakeArrayOfNull(memory.DefaultAllocator, texts.DataType(), 1)
	defer null.Release()
	v.entries = col.Grow(v.entries[:0], e.Len()+1)
	v.of = nil
	if err := v.add(texts, v.entries[:e.Len()]); err != nil {
		return err
	}
	if err := v.add(null, v.entries[e.Len():]); err != nil {
		return err
	}
	v.of = e
	return nil
}

func (v *numbered) add(a arrow.Array, ids []uint32) error {
	enc := v.plan.encoders.Get().(*keys.Encoder)
	defer v.plan.encoders.Put(enc)
	rows, err := enc.Encode([]arrow.Array{a}, a.Len())
	if err != nil {
		return err
	}
	v.tab.Intern(rows, ids)
	return nil
}

// take gives the texts with the numbers ids.
func (v *numbered) take(ids []uint32, mem memory.Allocator) (arrow.Array, error) {
	all, err := v.tab.Columns(mem, 0, v.tab.Len())
	if err != nil {
		return nil, err
	}
	defer releaseAll(all)
	if v.tab.Len() > math.MaxInt32 {
		return nil, errHugeGroups
	}
	at := make([]int32, len(ids))
	for i, id := range ids {
		at[i] = int32(id)
	}
	return take.Array(all[0], at, mem)
}

func (v *numbered) size() int64 { return v.tab.Size() + int64(cap(v.entries))*4 }
