package agg

import (
	"sync"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/memory"

	"github.com/sluice-data/sluice/transforms/internal/col"
	"github.com/sluice-data/sluice/transforms/internal/keys"
)

// tally counts how often each value comes in each group: one table of (group, value) pairs for all groups.
type tally struct {
	plan  *pairPlan
	typ   arrow.DataType
	tab   *keys.Table
	count []int64 // of each pair
	n     int     // groups
	disk  runs    // pairs without nulls
}

func newTally(plan *pairPlan, t arrow.DataType) tally {
	return tally{plan: plan, typ: t, tab: plan.NewTable(), disk: runs{tally: true}}
}

// pairPlan is how pairs of a group and a value are encoded. Encoders are for all accumulators: there may be thousands of these, and an encoder
// holds a batch.
type pairPlan struct {
	*keys.Plan
	encoders sync.Pool
}

func newPairPlan(t arrow.DataType) (*pairPlan, error) {
	p, err := keys.NewPlan([]arrow.DataType{groupType, t})
	if err != nil {
		return nil, err
	}
	return &pairPlan{Plan: p, encoders: sync.Pool{New: func() any { return p.NewEncoder() }}}, nil
}

// intern numbers the pairs of rows lo … hi-1 of a with their groups in ids.
func (p *pairPlan) intern(tab *keys.Table, groups []uint32, a arrow.Array, lo, hi int, ids []uint32) error {
	g := col.New(groupType, groups, nil)
	defer g.Release()
	part := array.NewSlice(a, int64(lo), int64(hi))
	defer part.Release()
	enc := p.encoders.Get().(*keys.Encoder)
	defer p.encoders.Put(enc)
	rows, err := enc.Encode([]arrow.Array{g, part}, hi-lo)
	if err != nil {
		return err
	}
	tab.Intern(rows, ids)
	return nil
}

// scratch is memory for the numbers of a batch's rows, for all accumulators.
var scratch = sync.Pool{New: func() any { return new([]uint32) }}

// add counts the values of a, each once or as often as times says.
func (t *tally) add(groups []uint32, n int, a arrow.Array, times []int64) error {
	t.n = max(t.n, n)
	for lo := 0; lo < len(groups); lo += window {
		hi := min(lo+window, len(groups))
		if err := t.window(groups[lo:hi], a, times, lo, hi); err != nil {
			return err
		}
	}
	return nil
}

func (t *tally) window(groups []uint32, a arrow.Array, times []int64, lo, hi int) error {
	buf := scratch.Get().(*[]uint32)
	defer scratch.Put(buf)
	*buf = col.Grow((*buf)[:0], hi-lo)
	ids := *buf
	if err := t.plan.intern(t.tab, groups, a, lo, hi, ids); err != nil {
		return err
	}
	t.count = col.Grow(t.count, t.tab.Len())
	if times == nil {
		for _, id := range ids {
			t.count[id]++
		}
		return nil
	}
	for i, id := range ids {
		t.count[id] += times[lo+i]
	}
	return nil
}

// values are the different values of a tally: rows[off[g]:off[g+1]] are those of group g, as indices of held and count.
type values struct {
	held      held
	count     []int64
	off, rows []int32
}

func (t *tally) values(nulls bool) (*values, error) {
	v := &values{held: newHeld(t.typ), count: t.count}
	cols, err := t.tab.Columns(memory.DefaultAllocator, 0, t.tab.Len())
	if err != nil {
		return nil, err
	}
	defer releaseAll(cols)
	if err := v.held.add(cols[1], every(nil, cols[1].Len())); err != nil {
		return nil, err
	}
	groups := append([]uint32(nil), col.Fixed[uint32](cols[0])...)
	v.off, v.rows = arrange(groups, t.n)
	if nulls {
		return v, nil
	}
	k, from := int32(0), int32(0)
	for g := range t.n {
		end := v.off[g+1]
		for _, r := range v.rows[from:end] {
			if v.held.has[r] != 0 {
				v.rows[k] = r
				k++
			}
		}
		v.off[g+1], from = k, end
	}
	v.rows = v.rows[:k]
	return v, nil
}

// Spill implements Spiller; nulls are forgotten.
func (t *tally) Spill(dir string) error {
	v, err := t.values(false)
	if err != nil {
		return err
	}
	sortGroups(v.off, v.rows, v.held.order())
	t.tab, t.count = t.plan.NewTable(), nil
	return t.disk.write(dir, &v.held, v.count, v.off, v.rows)
}

func (t *tally) Size() int64 {
	return t.tab.Size() + int64(cap(t.count))*8 + 64 + 4*int64(t.n)
}

func (t *tally) Reset() {
	t.disk.close()
	t.tab.Reset()
	t.count, t.n = reset(t.count), 0
}

func (t *tally) Release() {
	t.disk.close()
	t.tab, t.count, t.n = t.plan.NewTable(), nil, 0
}
