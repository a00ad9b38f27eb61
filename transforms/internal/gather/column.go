package gather

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

// layout is how a column waits.
type layout struct {
	typ   arrow.DataType
	kind  kind
	width int // of fixed
	float bool
}

func layoutOf(t arrow.DataType) (layout, error) {
	l := layout{typ: t, width: col.Width(t), float: t.ID() == arrow.FLOAT64 || t.ID() == arrow.FLOAT32}
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

func (l *layout) isText() bool { return l.kind == text || l.kind == nested }

// column is values of one column: those of a window, or of a piece. What stands in a null's place is zero or empty.
type column struct {
	lay   *layout
	n     int
	data  []byte
	ends  []uint32 // of texts in data
	valid []uint8  // nil while no value is null
}

func newColumns(lays []layout) []column {
	cols := make([]column, len(lays))
	for i := range cols {
		cols[i].lay = &lays[i]
	}
	return cols
}

func (c *column) reset() {
	c.n, c.data, c.ends, c.valid = 0, c.data[:0], c.ends[:0], c.valid[:0]
}

// size is the bytes of the values.
func (c *column) size() int64 { return int64(len(c.data) + 4*len(c.ends) + len(c.valid)) }

// hasNulls reports whether validity is kept.
func (c *column) hasNulls() bool { return len(c.valid) > 0 }

// marks begins to keep validity, if it is not kept yet: all values so far are there.
func (c *column) marks() {
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

// add appends the values of a.
func (c *column) add(a arrow.Array) error {
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
		err = errHuge
	}
	return err
}

func (c *column) addFixed(a arrow.Array, nulls bool) {
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

func (c *column) addText(a arrow.Array, nulls bool) error {
	off, data, ok := col.Var(a)
	if !ok {
		return errHuge
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

var errHuge = errors.New("more than 2 GiB of one column in one batch")

// permute makes dst the values of c in the given order.
func (c *column) permute(dst *column, order []int32) {
	dst.reset()
	dst.lay, dst.n = c.lay, len(order)
	if c.hasNulls() {
		dst.valid = extend(dst.valid, len(order))
		pick(dst.valid, c.valid, order)
	}
	if c.lay.isText() {
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
	w := c.lay.width
	dst.data = extend(dst.data, len(c.data))
	switch w {
	case 1:
		pick(dst.data, c.data, order)
	case 2:
		pick(as[uint16](dst.data), as[uint16](c.data), order)
	case 4:
		pick(as[uint32](dst.data), as[uint32](c.data), order)
	case 8:
		pick(as[uint64](dst.data), as[uint64](c.data), order)
	default:
		for i, o := range order {
			copy(dst.data[i*w:(i+1)*w], c.data[int(o)*w:])
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

// textSize is the bytes of texts [lo, hi).
func (c *column) textSize(lo, hi int) int {
	if hi == 0 {
		return 0
	}
	from := uint32(0)
	if lo > 0 {
		from = c.ends[lo-1]
	}
	return int(c.ends[hi-1] - from)
}
