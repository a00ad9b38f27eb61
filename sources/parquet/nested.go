package parquet

import (
	"bytes"
	"context"
	"fmt"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/memory"

	"github.com/sluice-data/sluice/internal/recycle"
	"github.com/sluice-data/sluice/sources/parquet/internal/encoding"
)

// column makes batches of one column of the result from one file's row groups. It belongs to one lane.
type column struct {
	mem     memory.Allocator
	plan    *plan
	readers []*columnReader // in the order of plan.leaves
	byLeaf  map[*leaf]*columnReader
	step    int // rows that read takes at a time

	// what was decoded and not yet handed on: rows [off, cur.Len())
	cur arrow.Array
	off int
	bad []badValue // of cur; at is the row
}

func newColumn(mem memory.Allocator, p *plan, d *decompressor, l *lease, texts int) (*column, error) {
	c := &column{mem: mem, plan: p, byLeaf: map[*leaf]*columnReader{}}
	if err := c.addReaders(p, d, l); err != nil {
		return nil, err
	}
	for _, r := range c.readers {
		if t, ok := r.sink.(*text); ok {
			t.soft = texts
		}
	}
	if l := p.leaf; l != nil && l.maxRep == 0 && l.maxDef <= 1 {
		c.readers[0].flats = true
		if t, ok := c.readers[0].sink.(*text); ok {
			t.coded = true
		}
	}
	return c, nil
}

// discard passes over the rows of a part's first pages that are not its own.
func (c *column) discard(ctx context.Context) error {
	for _, r := range c.readers {
		if err := r.discard(ctx); err != nil {
			return err
		}
	}
	return nil
}

func (c *column) addReaders(p *plan, d *decompressor, l *lease) error {
	if p.leaf != nil {
		s, err := newSink(c.mem, p.leaf, p.field)
		if err != nil {
			return err
		}
		r := &columnReader{leaf: p.leaf, sink: s, d: d, lease: l}
		c.readers = append(c.readers, r)
		c.byLeaf[p.leaf] = r
		return nil
	}
	if p.elem != nil {
		return c.addReaders(p.elem, d, l)
	}
	for _, child := range p.children {
		if child.node != nil {
			if err := c.addReaders(child, d, l); err != nil {
				return err
			}
		}
	}
	return nil
}

// drop gives up what was decoded.
func (c *column) drop() {
	if c.cur != nil {
		c.cur.Release()
		c.cur = nil
	}
	c.off, c.bad = 0, nil
	for _, r := range c.readers {
		r.sink.abandon()
	}
}

// fill decodes up to n of the row group's left rows into cur, at least one; what was there is used up.
func (c *column) fill(ctx context.Context, n int, left int64) error {
	c.drop()
	r := c.readers[0]
	if r.flats {
		return c.fillFlat(ctx, r, n)
	}
	for _, r := range c.readers {
		most, err := r.rowsWithin(ctx, left)
		if err != nil {
			return errorAt{r.leaf.path, err}
		}
		n = min(n, most)
	}
	for _, r := range c.readers {
		r.sink.begin(min(n, batchRows))
		r.startNested()
	}
	rows, err := c.read(ctx, n)
	if err != nil {
		return err
	}
	if rows == 0 {
		return errorAt{r.leaf.path, fmt.Errorf("column chunk has fewer rows than its row group")}
	}
	for _, r := range c.readers {
		c.bad = append(c.bad, r.badRows()...)
	}
	d, err := c.build(c.plan, 0, 0, rows)
	if err != nil {
		return err
	}
	defer d.Release()
	c.cur = array.MakeFromData(d)
	return nil
}

// followRows is how many rows are read at a time where more than one column has texts: only the first of them can stop when it has enough.
const followRows = 1024

// read reads up to n rows of all leaves: fewer, but one, when one of them has enough for a batch.
func (c *column) read(ctx context.Context, n int) (rows int, err error) {
	first, texts := 0, 0
	for i, r := range c.readers {
		if _, ok := r.sink.(*text); ok {
			if texts++; texts == 1 || r.perEntry > c.readers[first].perEntry {
				first = i
			}
		}
	}
	step := n
	if texts > 1 {
		if c.step == 0 {
			c.step = followRows
		}
		step = c.step
	}
	for {
		want := min(step, n-rows)
		got, err := c.readers[first].nested(ctx, want, true)
		if err != nil {
			return 0, errorAt{c.readers[first].leaf.path, err}
		}
		most, enough := 0, got < want
		for i, r := range c.readers {
			t, isText := r.sink.(*text)
			before := 0
			if isText {
				before = t.bytes()
			}
			if i != first {
				same, err := r.nested(ctx, got, false)
				if err == nil && same != got {
					err = fmt.Errorf("column chunk has fewer rows than its row group")
				}
				if err != nil {
					return 0, errorAt{r.leaf.path, err}
				}
			}
			if isText {
				most = max(most, t.bytes()-before)
				enough = enough || t.bytes() >= t.soft
			}
		}
		if rows += got; texts > 1 { // the next rows are likely to be like these
			c.step = followRows
			if most > stepBytes {
				c.step = max(1, int(int64(got)*stepBytes/int64(most)))
			}
			step = c.step
		}
		if enough || rows == n {
			return rows, nil
		}
	}
}

// stepBytes is how many bytes of texts read takes at a time, going by the rows before.
const stepBytes = 1 << 20

// rowsWithin is how many of the left rows of a nested column make a batch of a bearable size, going by their average.
func (c *columnReader) rowsWithin(ctx context.Context, left int64) (int, error) {
	if c.page == 0 && c.left > 0 && c.taken == len(c.defs) { // know the dictionary first
		if err := c.nextPage(ctx); err != nil {
			return 0, err
		}
	}
	entries := c.left + int64(c.page) + int64(len(c.defs)-c.taken)
	perRow := float64(entries) / float64(max(left, 1))
	rows := 4 * batchRows / max(perRow, 1)
	size := c.perEntry
	soft := softBytes
	if t, ok := c.sink.(*text); ok {
		size = max(size, float64(t.dictMax))
		soft = t.soft
	}
	if size > 0 && perRow > 0 {
		rows = min(rows, float64(soft)/(perRow*size))
	}
	return max(1, int(rows)), nil
}

// errorAt is an error with the path of the leaf it happened in.
type errorAt struct {
	path *path
	err  error
}

func (e errorAt) Error() string { return e.err.Error() }
func (e errorAt) Unwrap() error { return e.err }

func (c *column) fillFlat(ctx context.Context, r *columnReader, n int) error {
	v := validity{mem: c.mem, rows: n}
	r.sink.begin(n)
	rows, nulls, err := r.flat(ctx, n, &v)
	valid, bits := v.buf, v.bits
	if err != nil {
		if valid != nil {
			valid.Release()
		}
		return errorAt{r.leaf.path, err}
	}
	c.bad = append(c.bad, r.sink.refused()...)
	if nulls > 0 && len(c.bad) > 0 {
		dense, next := 0, 0
		for i := 0; i < rows && next < len(c.bad); i++ {
			if bits[i>>3]>>(i&7)&1 == 0 {
				continue
			}
			for ; next < len(c.bad) && c.bad[next].at == dense; next++ {
				c.bad[next].at = i
			}
			dense++
		}
	}
	d, err := r.sink.finish(rows, valid, nulls)
	if err != nil {
		return errorAt{r.leaf.path, err}
	}
	defer d.Release()
	c.cur = array.MakeFromData(d)
	return nil
}

// badRows are the refused values of a nested column by row.
func (c *columnReader) badRows() []badValue {
	refused := c.sink.refused()
	if len(refused) == 0 {
		return nil
	}
	out := make([]badValue, 0, len(refused))
	row, dense, next := -1, 0, 0
	for i := 0; i < c.taken && next < len(refused); i++ {
		if c.reps[i] == 0 {
			row++
		}
		if c.defs[i] != c.leaf.maxDef {
			continue
		}
		for next < len(refused) && refused[next].at == dense {
			b := refused[next]
			b.at = row
			out = append(out, b)
			next++
		}
		dense++
	}
	return out
}

// build makes the array of p, which has n slots: the entries whose repetition level is at most rep (they begin a new
// element of the innermost list around p, or a row) and whose definition level is at least def (that element exists).
// The caller owns the result.
func (c *column) build(p *plan, def, rep uint8, n int) (arrow.ArrayData, error) {
	if p.node == nil {
		return nullData(c.mem, p.field.Type, n), nil
	}
	switch {
	case p.leaf != nil:
		return c.buildLeaf(p, def, n)
	case p.elem != nil:
		return c.buildList(p, def, rep, n)
	}
	r := c.byLeaf[p.leaves[0]]
	valid, nulls, slots := c.slots(r, p.node.def, def, rep)
	defer valid.Release()
	if slots != n {
		return nil, disagree(p.leaves[0].path, slots, n)
	}
	for _, l := range p.leaves[1:] {
		v, k, s := c.slots(c.byLeaf[l], p.node.def, def, rep)
		same := s == slots && k == nulls && sameBits(v, valid, n)
		v.Release()
		if !same {
			return nil, disagree(l.path, s, slots)
		}
	}
	children := make([]arrow.ArrayData, 0, len(p.children))
	defer func() {
		for _, d := range children {
			d.Release()
		}
	}()
	for _, child := range p.children {
		d, err := c.build(child, def, rep, n)
		if err != nil {
			return nil, err
		}
		children = append(children, d)
	}
	return array.NewData(p.field.Type, n, []*memory.Buffer{validOrNil(valid, nulls)}, children, nulls, 0), nil
}

// sameBits compares the first n bits; the others are zero.
func sameBits(a, b *memory.Buffer, n int) bool {
	k := (n + 7) / 8
	return bytes.Equal(a.Bytes()[:k], b.Bytes()[:k])
}

func disagree(at *path, got, want int) error {
	return errorAt{at, fmt.Errorf("levels give %d values where another column of the group gives %d, or the nulls differ", got, want)}
}

// slots are the validity, nulls and number of the slots that r's levels give to a node that is not null from level
// notNull on. The caller owns the bitmap.
func (c *column) slots(r *columnReader, notNull, def, rep uint8) (valid *memory.Buffer, nulls, n int) {
	defs := r.defs[:r.taken]
	valid = newBitmap(c.mem, len(defs))
	n, nulls = encoding.Slots(valid.Bytes(), defs, r.reps[:len(defs)], notNull, def, rep)
	return valid, nulls, n
}

func (c *column) buildLeaf(p *plan, def uint8, n int) (arrow.ArrayData, error) {
	r := c.byLeaf[p.leaf]
	valid, nulls, slots := c.slots(r, r.leaf.maxDef, def, r.leaf.maxRep)
	if slots != n {
		valid.Release()
		return nil, disagree(p.leaf.path, slots, n)
	}
	d, err := r.sink.finish(slots, valid, nulls)
	if err != nil {
		return nil, errorAt{p.leaf.path, err}
	}
	return d, nil
}

func (c *column) buildList(p *plan, def, rep uint8, n int) (arrow.ArrayData, error) {
	r := c.byLeaf[p.leaves[0]]
	valid, nulls, slots := c.slots(r, p.node.def, def, rep)
	defer valid.Release()
	if slots != n {
		return nil, disagree(p.leaves[0].path, slots, n)
	}
	offBuf, count := c.offsets(r, p.node.elemDef, def, rep, n)
	defer offBuf.Release()
	for _, l := range p.leaves[1:] { // each leaf has its own account of the same list
		v, k, s := c.slots(c.byLeaf[l], p.node.def, def, rep)
		same := s == slots && k == nulls && sameBits(v, valid, n)
		v.Release()
		if same {
			o, m := c.offsets(c.byLeaf[l], p.node.elemDef, def, rep, n)
			same = m == count && bytes.Equal(o.Bytes(), offBuf.Bytes())
			o.Release()
		}
		if !same {
			return nil, disagree(l.path, s, slots)
		}
	}
	elem, err := c.build(p.elem, p.node.elemDef, rep+1, count)
	if err != nil {
		return nil, err
	}
	defer elem.Release()
	return array.NewData(p.field.Type, n, []*memory.Buffer{validOrNil(valid, nulls), offBuf}, []arrow.ArrayData{elem}, nulls, 0), nil
}

// offsets are those of a list's slots, of which there are n, and the number of elements. The caller owns the buffer.
func (c *column) offsets(r *columnReader, elemDef, def, rep uint8, n int) (*memory.Buffer, int) {
	buf := recycle.Undefined(c.mem, 4*(n+1))
	return buf, encoding.Offsets(sliceOf[int32](buf.Bytes()), r.defs[:r.taken], r.reps[:r.taken], elemDef, def, rep)
}
