package agg

import (
	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/bitutil"
	"github.com/apache/arrow/go/v17/arrow/memory"

	"github.com/sluice-data/sluice/transforms/internal/col"
	"github.com/sluice-data/sluice/transforms/internal/keys"
	"github.com/sluice-data/sluice/transforms/internal/take"
)

var groupType = arrow.PrimitiveTypes.Uint32

func bindDistinct(arg arrow.Field) (Bound, error) {
	plan, err := newPairPlan(arg.Type)
	if err != nil {
		return Bound{}, unfit("count(distinct)", arg, "values that can be compared for equality")
	}
	texts := keys.NewTextPlan(arg.Type)
	pairs, err := newPairPlan(groupType)
	if err != nil {
		return Bound{}, err
	}
	list := arrow.ListOfField(arrow.Field{Name: "element", Type: arg.Type, Nullable: true})
	return Bound{
		Result: arrow.Field{Type: int64s},
		State:  []arrow.Field{{Type: list}},
		New: func(mem memory.Allocator) Accumulator {
			return &distinct{plan: plan, textPlan: texts, pairPlan: pairs, list: list, mem: mem, tab: plan.NewTable(), arg: arg.Type, disk: runs{tally: true}}
		},
	}, nil
}

// distinct counts different values exactly: one table of (group, value) pairs for all groups. Texts whose first ones come with the codes of a dictionary
// are numbered, and the pairs are of a group and a number.
type distinct struct {
	plan     *pairPlan // of groups and values
	textPlan *keys.TextPlan
	pairPlan *pairPlan   // of groups and numbers
	texts    *keys.Texts // nil where pairs are of values
	list     *arrow.ListType
	mem      memory.Allocator
	tab      *keys.Table
	n        []int64
	arg      arrow.DataType
	disk     runs
}

func (d *distinct) Update(groups []uint32, n int, args []arrow.Array) error {
	d.n = col.Grow(d.n, n)
	if d.texts == nil && d.tab.Len() == 0 && d.textPlan.Worth(args[0]) {
		d.texts, d.tab = d.textPlan.New(), d.pairPlan.NewTable()
	}
	for lo := 0; lo < len(groups); lo += window {
		hi := min(lo+window, len(groups))
		if err := d.window(groups[lo:hi], args[0], lo, hi); err != nil {
			return err
		}
	}
	return nil
}

// window bounds the rows that are encoded at a time, to what the processor's cache holds.
const window = 8192

func (d *distinct) window(groups []uint32, arg arrow.Array, lo, hi int) error {
	buf := scratch.Get().(*[]uint32)
	defer scratch.Put(buf)
	*buf = col.Grow((*buf)[:0], len(groups))
	ids := *buf
	next := uint32(d.tab.Len())
	if err := d.intern(groups, arg, lo, hi, ids); err != nil {
		return err
	}
	isNull := arg.DataType().ID() == arrow.NULL
	valid, off := col.Valid(arg)
	for i, id := range ids {
		if id != next { // seen before: new pairs are numbered in order of appearance
			continue
		}
		next++
		if !isNull && (valid == nil || bitutil.BitIsSet(valid, off+lo+i)) {
			d.n[groups[i]]++
		}
	}
	return nil
}

// intern numbers the pairs of rows lo … hi-1 of arg with their groups in ids.
func (d *distinct) intern(groups []uint32, arg arrow.Array, lo, hi int, ids []uint32) error {
	if d.texts == nil {
		return d.plan.intern(d.tab, groups, arg, lo, hi, ids)
	}
	if err := d.texts.Intern(arg, lo, hi, ids); err != nil {
		return err
	}
	of := col.New(groupType, ids, nil)
	defer of.Release()
	return d.pairPlan.intern(d.tab, groups, of, 0, hi-lo, ids)
}

// pairs are the groups and values of the table.
func (d *distinct) pairs() (groups, values arrow.Array, err error) {
	cols, err := d.tab.Columns(d.mem, 0, d.tab.Len())
	if err != nil {
		return nil, nil, err
	}
	if d.texts == nil {
		return cols[0], cols[1], nil
	}
	defer cols[1].Release()
	if values, err = d.texts.Take(col.Fixed[uint32](cols[1]), d.mem); err != nil {
		cols[0].Release()
		return nil, nil, err
	}
	return cols[0], values, nil
}

// empty forgets the pairs, and the memory they took.
func (d *distinct) empty() { d.tab, d.texts = d.plan.NewTable(), nil }

func (d *distinct) Merge(groups []uint32, n int, state []arrow.Array) error {
	d.n = col.Grow(d.n, n)
	if len(groups) == 0 {
		return nil
	}
	l := state[0].(*array.List)
	off := arrow.GetOffsets[int32](l.Data(), 1)
	pair := make([]uint32, 0, off[len(groups)]-off[0])
	for i, g := range groups {
		for range off[i+1] - off[i] {
			pair = append(pair, g)
		}
	}
	values := array.NewSlice(l.ListValues(), int64(off[0]), int64(off[len(groups)]))
	defer values.Release()
	return d.Update(pair, n, []arrow.Array{values})
}

// Spills implements Spiller.
func (d *distinct) Spills() bool { return sorts(d.arg) }

// Spill implements Spiller.
func (d *distinct) Spill(dir string) error {
	state, err := d.State()
	if err != nil {
		return err
	}
	defer releaseAll(state)
	l := state[0].(*array.List)
	values := newHeld(d.arg)
	if err := values.add(l.ListValues(), every(nil, l.ListValues().Len())); err != nil {
		return err
	}
	off, rows := arrow.GetOffsets[int32](l.Data(), 1), every(nil, values.n)
	sortGroups(off, rows, values.order())
	d.empty()
	clear(d.n)
	return d.disk.write(dir, &values, nil, off, rows)
}

// merged counts the values on disk.
func (d *distinct) merged() error {
	if err := d.Spill(""); err != nil { // the rest: the file is there
		return err
	}
	return d.disk.merge(d.disk.runs, func(g uint32, _ []byte, _ int64) { d.n[g]++ })
}

func (d *distinct) Result(mem memory.Allocator) (arrow.Array, error) {
	if d.disk.file != nil {
		if err := d.merged(); err != nil {
			return nil, err
		}
	}
	return col.Copy(mem, int64s, d.n, nil), nil
}

// State lists the values of each group.
func (d *distinct) State() ([]arrow.Array, error) {
	groups, of, err := d.pairs()
	if err != nil {
		return nil, err
	}
	defer groups.Release()
	defer of.Release()
	off := make([]int32, len(d.n)+1)
	for g, n := range d.n {
		off[g+1] = off[g] + int32(n)
	}
	at := append([]int32(nil), off...)
	order := make([]int32, off[len(d.n)])
	isNull := of.DataType().ID() == arrow.NULL
	for i, g := range col.Fixed[uint32](groups) {
		if !isNull && of.IsValid(i) {
			order[at[g]] = int32(i)
			at[g]++
		}
	}
	values, err := take.Array(of, order, d.mem)
	if err != nil {
		return nil, err
	}
	defer values.Release()
	data := array.NewData(d.list, len(d.n), []*memory.Buffer{nil, memory.NewBufferBytes(arrow.GetBytes(off))}, []arrow.ArrayData{values.Data()}, 0, 0)
	defer data.Release()
	return []arrow.Array{array.MakeFromData(data)}, nil
}

func (d *distinct) Size() int64 {
	size := d.tab.Size() + int64(cap(d.n))*8
	if d.texts != nil {
		size += d.texts.Size()
	}
	return size
}

func (d *distinct) Release() {
	d.disk.close()
	d.empty()
	d.n = nil
}

func (d *distinct) Reset() {
	d.disk.close()
	if d.texts == nil {
		d.tab.Reset()
	} else {
		d.empty()
	}
	d.n = reset(d.n)
}
