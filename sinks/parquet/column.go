package parquet

import (
	"github.com/apache/arrow/go/v17/arrow"
)

// column is one leaf column of a row group between Arrow and the pages: levels for every slot, and the values that are
// there, without gaps, in their physical type. A lane reuses one for all its columns.
type column struct {
	leaf  *leaf
	rows  int
	slots int
	nulls int // slots without a value
	// Levels: a validity bitmap for flat columns, a byte a slot for nested ones.
	valid    bitmap
	def, rep []uint8
	// values as pages take them: views of own, or of Arrow memory where a lone record's column can be taken as it is
	values
	own values
	sel []int32
}

// values are those of one leaf, in the slices that leaf.kind says.
type values struct {
	bools []uint8
	w32   []uint32
	w64   []uint64
	off   []int32 // value i is data[off[i]:off[i+1]]
	data  []byte
}

// stride is how many bytes each value of a PLAIN page has, its length before it included; 0 if they differ.
func (c *column) stride(p *page) int {
	switch l := c.leaf; {
	case l.kind == kind32:
		return 4
	case l.kind == kind64:
		return 8
	case l.kind != kindBytes || p.values == 0:
		return 0
	case l.width > 0:
		return l.width
	}
	off := c.off[p.value : p.value+min(p.values, 256)+1]
	first := off[1] - off[0]
	for i, end := range off[1:] {
		if end-off[i] != first {
			return 0
		}
	}
	return 4 + int(first)
}

// count is the number of values present.
func (c *column) count() int { return c.slots - c.nulls }

// memory is the bytes of the buffers.
func (c *column) memory() int64 {
	return int64(cap(c.valid.bits) + cap(c.def) + cap(c.rep) + cap(c.own.bools) + 4*cap(c.own.w32) + 8*cap(c.own.w64) +
		4*cap(c.own.off) + cap(c.own.data) + 4*cap(c.sel))
}

// load fills c with leaf l of the records, which together are one row group. Until the next load c may alias them.
func (c *column) load(l *leaf, recs []arrow.Record, s *shredder) error {
	c.leaf, c.rows, c.slots, c.nulls = l, 0, 0, 0
	c.valid.reset()
	c.def, c.rep = c.def[:0], c.rep[:0]
	c.own = values{c.own.bools[:0], c.own.w32[:0], c.own.w64[:0], append(c.own.off[:0], 0), c.own.data[:0]}
	c.values = c.own
	for _, rec := range recs {
		arr := rec.Column(l.top)
		if arr.Len() == 0 {
			continue
		}
		if err := c.add(arr, len(recs) == 1, s); err != nil {
			return err
		}
	}
	if c.data == nil {
		c.data = []byte{} // an empty value is not nil
	}
	return nil
}

// add appends one record's column. Only says that no other record follows.
func (c *column) add(arr arrow.Array, only bool, s *shredder) error {
	l, n := c.leaf, arr.Len()
	c.rows += n
	if !l.flat {
		leafArr, sel, err := s.shred(l, arr)
		if err != nil {
			return err
		}
		c.slots += len(s.idx)
		c.nulls += len(s.idx) - len(sel)
		c.def = append(c.def, s.def...)
		c.rep = append(c.rep, s.rep...)
		if len(sel) == 0 {
			return nil
		}
		return c.take(leafArr, picked{sel: sel, n: len(sel)})
	}
	c.slots += n
	valid, off := validity(arr)
	if valid != nil && l.maxDef == 0 {
		return errNull(l)
	}
	if l.maxDef > 0 {
		c.valid.add(valid, off, n)
	}
	p := picked{n: n, only: only, ascending: true}
	if valid != nil {
		c.sel = selectOnes(c.sel[:0], valid, off, n)
		c.nulls += n - len(c.sel)
		if len(c.sel) == 0 {
			return nil
		}
		p.sel, p.n = c.sel, len(c.sel)
	}
	return c.take(arr, p)
}

// picked says which values of an array are taken: all n, or the n at sel.
type picked struct {
	sel       []int32
	n         int
	ascending bool // sel grows: no value is taken twice
	only      bool // nothing else is taken into the column
}

// at is the place of value i.
func (p picked) at(i int) int {
	if p.sel == nil {
		return i
	}
	return int(p.sel[i])
}
