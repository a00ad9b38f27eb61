package agg

import (
	"slices"
	"sync"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/bitutil"
	"github.com/apache/arrow/go/v17/arrow/memory"

	"github.com/sluice-data/sluice/transforms/internal/col"
)

// collect keeps the rows of all groups, one behind the other, and makes the result of them at the end: for functions that need every value
// in order. Its state is a list a group, of the values, or of structs if there are several columns.
type collect struct {
	cols   []held
	list   *arrow.ListType
	place  int   // the column that rows are ordered by within their group, -1 for none
	skip   []int // columns without which a row does not count
	finish func(c *collect, mem memory.Allocator, off, rows []int32) (arrow.Array, error)
	groups []uint32 // of each row
	n      int      // groups
	pick   *picker  // how the result is found of values on disk, nil if it is not
	disk   runs
	count  []int // values of each group on disk
}

// picker finds the result of values in order, of which it needs one, or it and the next.
type picker struct {
	// at is the index of the value of n in order that is wanted, and whether the next is too. It is nil where every result is null.
	at func(n int) (i int, next bool)
	// of makes the result of those that were found.
	of func(mem memory.Allocator, c *chosen) (arrow.Array, error)
}

// collected is the bound function that collects its inputs; place and skip are among them.
func collected(c Call, result arrow.Field, inputs []Input, place int, skip []int, finish func(c *collect, mem memory.Allocator, off, rows []int32) (arrow.Array, error)) Bound {
	return collectedOr(c, result, inputs, place, skip, finish, nil)
}

// collectedOr is collected for a function that finds its result also in values on disk.
func collectedOr(c Call, result arrow.Field, inputs []Input, place int, skip []int, finish func(c *collect, mem memory.Allocator, off, rows []int32) (arrow.Array, error), pick *picker) Bound {
	types := make([]arrow.DataType, len(inputs))
	for i, in := range inputs {
		types[i] = in.Type(c)
	}
	list := listType(types...)
	return Bound{Result: result, State: []arrow.Field{{Type: list}}, Inputs: inputs, New: func(memory.Allocator) Accumulator {
		a := &collect{list: list, place: place, skip: skip, finish: finish, pick: pick}
		for _, t := range types {
			a.cols = append(a.cols, newHeld(t))
		}
		return a
	}}
}

func (c *collect) Update(groups []uint32, n int, args []arrow.Array) error {
	c.n = max(c.n, n)
	buf := rowNumbers.Get().(*[]int32)
	defer rowNumbers.Put(buf)
	*buf = every(*buf, len(groups))
	rows := *buf
	for _, s := range c.skip {
		rows = present(rows, args[s])
	}
	if len(rows) == 0 {
		return nil
	}
	for i := range c.cols {
		if err := c.cols[i].add(args[i], rows); err != nil {
			return err
		}
	}
	at := len(c.groups)
	c.groups = col.Grow(c.groups, at+len(rows))
	pickRows(c.groups[at:], groups, rows)
	return nil
}

// rowNumbers is memory for the rows of a batch, for all accumulators.
var rowNumbers = sync.Pool{New: func() any { return new([]int32) }}

// present is those of rows, in their place, in which a is not null.
func present(rows []int32, a arrow.Array) []int32 {
	if a.DataType().ID() == arrow.NULL {
		return rows[:0]
	}
	valid, off := col.Valid(a)
	if valid == nil {
		return rows
	}
	k := 0
	for _, r := range rows {
		if bitutil.BitIsSet(valid, off+int(r)) {
			rows[k] = r
			k++
		}
	}
	return rows[:k]
}

func (c *collect) Merge(groups []uint32, n int, state []arrow.Array) error {
	c.n = max(c.n, n)
	of, elems := listed(state[0], groups, len(c.cols))
	defer releaseAll(elems)
	if len(of) == 0 {
		return nil
	}
	return c.Update(of, n, elems)
}

// Absorb implements Absorber: the columns of from are appended as they lie.
func (c *collect) Absorb(groups []uint32, n int, from Accumulator) bool {
	o, ok := from.(*collect)
	if !ok || o.disk.file != nil {
		return false
	}
	c.n = max(c.n, n)
	if len(c.groups) == 0 { // nothing to append to
		c.groups, o.groups = o.groups, nil
		c.cols, o.cols = o.cols, c.cols
		for i, g := range c.groups {
			c.groups[i] = groups[g]
		}
		return true
	}
	at := len(c.groups)
	c.groups = col.Grow(c.groups, at+len(o.groups))
	for i, g := range o.groups {
		c.groups[at+i] = groups[g]
	}
	o.groups = nil
	for i := range c.cols {
		c.cols[i].append(&o.cols[i])
		o.cols[i].drop()
	}
	return true
}

func releaseAll(as []arrow.Array) {
	for _, a := range as {
		a.Release()
	}
}

// byGroup is the rows, those of one group together and in the order in which they came, and where each group begins.
func (c *collect) byGroup() (off, rows []int32) {
	return arrange(c.groups, c.n)
}

// arrange is a counting sort of rows by group.
func arrange(groups []uint32, n int) (off, rows []int32) {
	off = make([]int32, n+1)
	for _, g := range groups {
		off[g+1]++
	}
	for g := range n {
		off[g+1] += off[g]
	}
	rows = make([]int32, len(groups))
	for i, g := range groups {
		rows[off[g]] = int32(i)
		off[g]++
	}
	copy(off[1:], off[:n]) // each has become the end of its group
	off[0] = 0
	return off, rows
}

func (c *collect) State() ([]arrow.Array, error) {
	off, rows := c.byGroup()
	out := make([]arrow.Array, 0, len(c.cols))
	for i := range c.cols {
		a, err := c.cols[i].take(memory.DefaultAllocator, rows)
		if err != nil {
			releaseAll(out)
			return nil, err
		}
		out = append(out, a)
	}
	return []arrow.Array{listOf(c.list, off, nil, out...)}, nil
}

// ordered is byGroup with the rows of each group by their places.
func (c *collect) ordered() (off, rows []int32) {
	off, rows = c.byGroup()
	if c.place >= 0 {
		sortGroups(off, rows, c.cols[c.place].order())
	}
	return off, rows
}

// sortGroups orders the rows of each group.
func sortGroups(off, rows []int32, order func(i, j int32) int) {
	for g := range len(off) - 1 {
		of := rows[off[g]:off[g+1]]
		if !slices.IsSortedFunc(of, order) {
			slices.SortStableFunc(of, order)
		}
	}
}

// Spills implements Spiller.
func (c *collect) Spills() bool { return c.pick != nil && sorts(c.cols[0].typ) }

// Spill implements Spiller.
func (c *collect) Spill(dir string) error {
	off, rows := c.byGroup()
	sortGroups(off, rows, c.cols[0].order())
	if err := c.disk.write(dir, &c.cols[0], nil, off, rows); err != nil {
		return err
	}
	c.count = col.Grow(c.count, c.n)
	for g := range c.n {
		c.count[g] += int(off[g+1] - off[g])
	}
	c.groups = nil
	c.cols[0].drop()
	return nil
}

// merged is Result where values are on disk.
func (c *collect) merged(mem memory.Allocator) (arrow.Array, error) {
	if err := c.Spill(""); err != nil { // the rest: the file is there
		return nil, err
	}
	got, err := c.pick.pickMerged(&c.disk, c.cols[0].typ, c.count)
	if err != nil {
		return nil, err
	}
	return c.pick.of(mem, got)
}

func (c *collect) Result(mem memory.Allocator) (arrow.Array, error) {
	if c.disk.file != nil {
		return c.merged(mem)
	}
	off, rows := c.ordered()
	return c.finish(c, mem, off, rows)
}

func (c *collect) Size() int64 {
	n := int64(cap(c.groups))*4 + 64 + 4*int64(c.n) + 8*int64(cap(c.count))
	for i := range c.cols {
		n += c.cols[i].size()
	}
	return n
}

func (c *collect) Reset() {
	c.disk.close()
	c.groups, c.n, c.count = c.groups[:0], 0, reset(c.count)
	for i := range c.cols {
		c.cols[i].reset()
	}
}

func (c *collect) Release() {
	c.disk.close()
	c.groups, c.n, c.count = nil, 0, nil
	for i := range c.cols {
		c.cols[i].drop()
	}
}
