package keys

import (
	"fmt"
	"math"
	"sync"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/memory"

	"github.com/sluice-data/sluice/internal/codes"
	"github.com/sluice-data/sluice/transforms/internal/col"
	"github.com/sluice-data/sluice/transforms/internal/take"
)

// TextPlan is how the texts of a column are numbered. It is safe for concurrent use.
type TextPlan struct {
	plan     *Plan
	encoders sync.Pool // for all tables: there may be thousands of these, and an encoder holds a batch
}

// NewTextPlan plans for values of type t; nil if they are no texts that come with the codes of a dictionary.
func NewTextPlan(t arrow.DataType) *TextPlan {
	if t.ID() != arrow.STRING && t.ID() != arrow.BINARY {
		return nil
	}
	plan, err := NewPlan([]arrow.DataType{t})
	if err != nil {
		panic("keys: texts cannot be compared: " + err.Error())
	}
	return &TextPlan{plan: plan, encoders: sync.Pool{New: func() any { return plan.NewEncoder() }}}
}

// Worth reports whether a has codes of a dictionary that its rows make worth looking up.
func (p *TextPlan) Worth(a arrow.Array) bool {
	if p == nil {
		return false
	}
	_, e := codes.Of(a)
	return e != nil && e.Len() <= a.Len()
}

// Texts gives each different text, and null, a number, 0, 1, 2 … in no order. The texts of a dictionary are looked up once for all rows that have its codes.
type Texts struct {
	plan *TextPlan
	tab  *Table
	of   *codes.Entries // whose numbers entries are
	// entries are the numbers of the dictionary's texts, and of null behind them.
	entries []uint32
}

// New makes an empty Texts.
func (p *TextPlan) New() *Texts { return &Texts{plan: p, tab: p.plan.NewTable()} }

// Intern puts the numbers of the texts a[lo:hi] in ids[:hi-lo].
func (t *Texts) Intern(a arrow.Array, lo, hi int, ids []uint32) error {
	of, e := codes.Of(a)
	known := e != nil && t.of != nil && t.of.Same(e)
	if e == nil || !known && e.Len() > a.Len() {
		part := array.NewSlice(a, int64(lo), int64(hi))
		defer part.Release()
		return t.add(part, ids)
	}
	if !known {
		if err := t.dictionary(e); err != nil {
			return err
		}
	}
	valid, off := col.Valid(a)
	if valid == nil {
		for i, c := range of[lo:hi] {
			ids[i] = t.entries[c]
		}
		return nil
	}
	null := uint32(e.Len())
	for i, c := range of[lo:hi] { // no branch: nulls come in no order
		at := off + lo + i
		there := uint32(valid[at>>3] >> (at & 7) & 1)
		ids[i] = t.entries[c*there+null*(1-there)]
	}
	return nil
}

// dictionary looks up the texts of e, and null.
func (t *Texts) dictionary(e *codes.Entries) error {
	texts := e.Values()
	defer texts.Release()
	null := array.MakeArrayOfNull(memory.DefaultAllocator, texts.DataType(), 1)
	defer null.Release()
	t.entries = col.Grow(t.entries[:0], e.Len()+1)
	t.of = nil
	if err := t.add(texts, t.entries[:e.Len()]); err != nil {
		return err
	}
	if err := t.add(null, t.entries[e.Len():]); err != nil {
		return err
	}
	t.of = e
	return nil
}

func (t *Texts) add(a arrow.Array, ids []uint32) error {
	enc := t.plan.encoders.Get().(*Encoder)
	defer t.plan.encoders.Put(enc)
	rows, err := enc.Encode([]arrow.Array{a}, a.Len())
	if err != nil {
		return err
	}
	t.tab.Intern(rows, ids)
	return nil
}

// Take gives the texts with the numbers ids, owned by the caller.
func (t *Texts) Take(ids []uint32, mem memory.Allocator) (arrow.Array, error) {
	if t.tab.Len() > math.MaxInt32 {
		return nil, fmt.Errorf("more than %d different texts", math.MaxInt32)
	}
	all, err := t.tab.Columns(mem, 0, t.tab.Len())
	if err != nil {
		return nil, err
	}
	defer all[0].Release()
	at := make([]int32, len(ids))
	for i, id := range ids {
		at[i] = int32(id)
	}
	return take.Array(all[0], at, mem)
}

// Size is the bytes held.
func (t *Texts) Size() int64 { return t.tab.Size() + int64(cap(t.entries))*4 }
