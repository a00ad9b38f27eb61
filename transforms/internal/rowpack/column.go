// Package rowpack keeps rows in few bytes while they wait, in memory or on disk, and gives them back bit for bit: values of columns
// gather in a Column, an Encoder makes pieces of them, a Decoder reads pieces into Columns, and a Builder makes Arrow arrays of those.
package rowpack

import (
	"errors"
	"math"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/bitutil"

	"github.com/sluice-data/sluice/transforms/internal/col"
)

type kind uint8

const (
	fixed  kind = iota // width bytes a value
	bools              // a byte a value here, a bit in a piece
	text               // string or binary
	nested             // lists and structs: each value as the bytes of node, kept like text
)

// Layout is how a column waits.
type Layout struct {
	typ   arrow.DataType
	kind  kind
	width int // of fixed
	float bool
}

// LayoutOf is how values of type t wait. The error says which type cannot be kept.
func LayoutOf(t arrow.DataType) (Layout, error) {
	l := Layout{typ: t, width: col.Width(t), float: t.ID() == arrow.FLOAT64 || t.ID() == arrow.FLOAT32}
	switch {
	case t.ID() == arrow.BOOL:
		l.kind, l.width = bools, 1
	case col.IsVar(t):
		l.kind = text
	case l.width > 0:
	default:
		if err := checkNested(t); err != nil {
			return l, err
		}
		l.kind = nested
	}
	return l, nil
}

// RowBytes is the bytes that each value takes, those of texts left out.
func (l *Layout) RowBytes() int {
	if l.IsText() {
		return 4
	}
	return l.width
}

// IsText reports whether values have lengths of their own.
func (l *Layout) IsText() bool { return l.kind == text || l.kind == nested }

// Column is values of one column: those of a window, or of a piece. It is used by one goroutine at a time. What stands in a null's place is zero or empty.
type Column struct {
	lay   *Layout
	n     int
	form  form // whole, but after Encoder.Order and of a Decoder that is Lazy
	data  []byte
	ends  []uint32 // of texts in data
	valid []uint8  // nil while no value is null
}

// NewColumns makes an empty column of each layout.
func NewColumns(lays []Layout) []Column {
	cols := make([]Column, len(lays))
	for i := range cols {
		cols[i].lay = &lays[i]
	}
	return cols
}

// Reset makes c empty; its memory stays for the next values.
func (c *Column) Reset() {
	c.n, c.form, c.data, c.ends, c.valid = 0, form{}, c.data[:0], c.ends[:0], c.valid[:0]
}

// Size is the bytes of the values.
func (c *Column) Size() int64 { return int64(len(c.data) + 4*len(c.ends) + len(c.valid)) }

// hasNulls reports whether validity is kept.
func (c *Column) hasNulls() bool { return len(c.valid) > 0 }

// marks begins to keep validity, if it is not kept yet: all values so far are there.
func (c *Column) marks() {
	if len(c.valid) == 0 && c.n > 0 {
		c.valid = ones(c.valid, c.n)
	}
}

func ones(dst []uint8, n int) []uint8 {
	for range n {
		dst = append(dst, 1)
	}
	return dst
}

// Add appends the values of a.
func (c *Column) Add(a arrow.Array) error {
	n := a.Len()
	bits, off := col.Valid(a)
	if bits != nil || c.hasNulls() {
		c.marks()
		if bits == nil {
			c.valid = ones(c.valid, n)
		} else {
			for i := range n {
				v := uint8(0)
				if bitutil.BitIsSet(bits, off+i) {
					v = 1
				}
				c.valid = append(c.valid, v)
			}
		}
	}
	var err error
	switch c.lay.kind {
	case fixed:
		c.addFixed(a, bits != nil)
	case bools:
		v, at := col.Bits(a)
		for i := range n {
			b := uint8(0)
			if bitutil.BitIsSet(v, at+i) {
				b = 1
			}
			c.data = append(c.data, b)
		}
	case text:
		err = c.addText(a, bits != nil)
	case nested:
		for i := range n {
			if a.IsValid(i) {
				c.data = appendValue(c.data, a, i)
			}
			c.ends = append(c.ends, uint32(len(c.data)))
		}
	}
	c.n += n
	if err == nil && len(c.data) > math.MaxInt32 {
		err = ErrHuge
	}
	return err
}

func (c *Column) addFixed(a arrow.Array, nulls bool) {
	d, w := a.Data(), c.lay.width
	n := a.Len()
	at := len(c.data)
	if b := d.Buffers()[1]; b != nil && b.Len() > 0 {
		c.data = append(c.data, b.Bytes()[d.Offset()*w:(d.Offset()+n)*w]...)
	} else {
		c.data = append(c.data, make([]byte, n*w)...)
	}
	if nulls {
		for i, v := range c.valid[len(c.valid)-n:] {
			if v == 0 {
				clear(c.data[at+i*w : at+(i+1)*w])
			}
		}
	}
}

func (c *Column) addText(a arrow.Array, nulls bool) error {
	off, data, ok := col.Var(a)
	if !ok {
		return ErrHuge
	}
	n := a.Len()
	if !nulls {
		shift := uint32(len(c.data)) - uint32(off[0])
		c.data = append(c.data, data[off[0]:off[n]]...)
		for _, end := range off[1 : n+1] {
			c.ends = append(c.ends, uint32(end)+shift)
		}
		return nil
	}
	valid := c.valid[len(c.valid)-n:]
	for i := range n {
		if valid[i] != 0 {
			c.data = append(c.data, data[off[i]:off[i+1]]...)
		}
		c.ends = append(c.ends, uint32(len(c.data)))
	}
	return nil
}

// ErrHuge is of values that no array can hold.
var ErrHuge = errors.New("more than 2 GiB of one column in one batch")

// Borrow makes c n values given as their bytes, and the ends of texts in them: it holds on to both until it is given others.
func (c *Column) Borrow(n int, data []byte, ends []uint32) {
	c.n, c.form, c.data, c.ends, c.valid = n, form{}, data, ends, nil
}

// Alias is c's values, shared with c until either is changed.
func (c *Column) Alias() Column { return *c }

// Uint64s is the values of a column of 8-byte integers.
func (c *Column) Uint64s() []uint64 { return as[uint64](c.data) }

// Uint32s is the values of a column of 4-byte integers.
func (c *Column) Uint32s() []uint32 { return as[uint32](c.data) }

// Texts is the values of a text column, one after the other, and where each ends.
func (c *Column) Texts() (data []byte, ends []uint32) { return c.data, c.ends }

// Permute makes dst the values of c in the given order.
func (c *Column) Permute(dst *Column, order []int32) {
	dst.Reset()
	dst.lay, dst.n = c.lay, len(order)
	if c.hasNulls() {
		dst.valid = extend(dst.valid, len(order))
		pick(dst.valid, c.valid, order)
	}
	if c.lay.IsText() {
		dst.data = extend(dst.data, len(c.data))[:0]
		dst.ends = extend(dst.ends, len(order))
		for i, o := range order {
			from := uint32(0)
			if o > 0 {
				from = c.ends[o-1]
			}
			dst.data = append(dst.data, c.data[from:c.ends[o]]...)
			dst.ends[i] = uint32(len(dst.data))
		}
		return
	}
	dst.data = extend(dst.data, len(order)*c.lay.width)
	pickSized(dst.data, c.data, c.lay.width, order)
}

// pickSized sets dst to the values of w bytes each of src in the given order.
func pickSized(dst, src []byte, w int, order []int32) {
	switch w {
	case 1:
		pick(dst, src, order)
	case 2:
		pick(as[uint16](dst), as[uint16](src), order)
	case 4:
		pick(as[uint32](dst), as[uint32](src), order)
	case 8:
		pick(as[uint64](dst), as[uint64](src), order)
	default:
		for i, o := range order {
			copy(dst[i*w:(i+1)*w], src[int(o)*w:])
		}
	}
}

func pick[T any](dst, src []T, order []int32) {
	dst = dst[:len(order)]
	for i, o := range order {
		dst[i] = src[o]
	}
}

// extend is s with n items, whose content does not matter; what s had is lost.
func extend[T any](s []T, n int) []T {
	if cap(s) < n {
		return make([]T, n, n+n/8)
	}
	return s[:n]
}

// AddSpan appends values [lo, hi) of src, a column of the same layout.
func (c *Column) AddSpan(src *Column, lo, hi int) error {
	if src.hasNulls() || c.hasNulls() {
		c.marks()
		if src.hasNulls() {
			c.valid = append(c.valid, src.valid[lo:hi]...)
		} else {
			c.valid = ones(c.valid, hi-lo)
		}
	}
	c.n += hi - lo
	if !c.lay.IsText() {
		w := c.lay.width
		c.data = append(c.data, src.data[lo*w:hi*w]...)
		return nil
	}
	if hi == lo {
		return nil
	}
	from := uint32(0)
	if lo > 0 {
		from = src.ends[lo-1]
	}
	shift := uint32(len(c.data)) - from
	c.data = append(c.data, src.data[from:src.ends[hi-1]]...)
	for _, end := range src.ends[lo:hi] {
		c.ends = append(c.ends, end+shift)
	}
	if len(c.data) > math.MaxInt32 {
		return ErrHuge
	}
	return nil
}

// TextSize is the bytes of texts [lo, hi); 0 where values have a fixed width.
func (c *Column) TextSize(lo, hi int) int {
	if hi == 0 || !c.lay.IsText() {
		return 0
	}
	if c.form.way == digitTexts { // those of nulls would be less
		return (hi - lo) * int(c.form.arg)
	}
	from := uint32(0)
	if lo > 0 {
		from = c.ends[lo-1]
	}
	return int(c.ends[hi-1] - from)
}

// AddSizes adds the bytes of the texts from row from on to dst, which has an item for each; nothing where values have a fixed width.
func (c *Column) AddSizes(dst []uint32, from int) {
	if !c.lay.IsText() {
		return
	}
	last := uint32(0)
	if from > 0 {
		last = c.ends[from-1]
	}
	for i, end := range c.ends[from : from+len(dst)] {
		dst[i] += end - last
		last = end
	}
}
