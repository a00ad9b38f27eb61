package rowpack

import (
	"math"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/memory"

	"github.com/sluice-data/sluice/internal/recycle"
	"github.com/sluice-data/sluice/transforms/internal/col"
)

// Builder is a column of a record in the making, in memory of the lane's allocator.
type Builder struct {
	lay   *Layout
	mem   memory.Allocator
	n     int
	data  *memory.Buffer // values, or the bytes of texts, and room for more; nil when none is in the making
	used  int            // bytes of data
	off   *memory.Buffer // of texts: where value i begins, as int32
	valid []uint8        // nil while no value is null; reused
}

// NewBuilder makes a builder of arrays in memory of mem.
func NewBuilder(lay *Layout, mem memory.Allocator) Builder { return Builder{lay: lay, mem: mem} }

// Start makes room for n values.
func (b *Builder) Start(n int) {
	b.n, b.used, b.valid = 0, 0, b.valid[:0]
	if b.lay.IsText() {
		b.off = recycle.Undefined(b.mem, 4*(n+1))
		as[int32](b.off.Bytes())[0] = 0
		b.data = recycle.Undefined(b.mem, 8*n)
	} else {
		b.data = recycle.Undefined(b.mem, n*b.lay.width)
	}
}

// Drop gives the memory back.
func (b *Builder) Drop() {
	if b.data != nil {
		b.data.Release()
	}
	if b.off != nil {
		b.off.Release()
	}
	b.data, b.off = nil, nil
}

// AddSpan appends values [lo, hi) of src, a column of the same layout. There is room for them, but for the bytes of texts.
func (b *Builder) AddSpan(src *Column, lo, hi int) error {
	if src.hasNulls() || len(b.valid) > 0 {
		b.valid = ones(b.valid, b.n-len(b.valid))
		if src.hasNulls() {
			b.valid = append(b.valid, src.valid[lo:hi]...)
		} else {
			b.valid = ones(b.valid, hi-lo)
		}
	}
	at := b.n
	b.n += hi - lo
	if !b.lay.IsText() {
		w := b.lay.width
		b.used = b.n * w
		src.restore(b.data.Bytes()[at*w:b.used], lo, hi)
		return nil
	}
	from := uint32(0)
	if lo > 0 {
		from = src.ends[lo-1]
	}
	size := b.used
	b.used += int(src.ends[hi-1] - from)
	if b.used > math.MaxInt32 {
		return ErrHuge
	}
	if b.used > b.data.Len() {
		more := recycle.Undefined(b.mem, b.used+b.used/2)
		copy(more.Bytes(), b.data.Bytes()[:size])
		b.data.Release()
		b.data = more
	}
	copy(b.data.Bytes()[size:b.used], src.data[from:])
	off := as[int32](b.off.Bytes())[at+1 : b.n+1]
	shift := int32(size) - int32(from)
	for i, end := range src.ends[lo:hi] {
		off[i] = int32(end) + shift
	}
	return nil
}

// Pick makes the builder's values those of src in the given order; it stands in for Start and AddSpan.
func (b *Builder) Pick(src *Column, order []int32) error {
	b.Drop()
	n := len(order)
	b.n, b.used, b.valid = n, 0, b.valid[:0]
	if src.hasNulls() {
		b.valid = extend(b.valid, n)
		pick(b.valid, src.valid, order)
	}
	if !b.lay.IsText() {
		w := b.lay.width
		b.used = n * w
		b.data = recycle.Undefined(b.mem, b.used)
		pickSized(b.data.Bytes(), src.data, w, order)
		return nil
	}
	for _, o := range order {
		from := uint32(0)
		if o > 0 {
			from = src.ends[o-1]
		}
		b.used += int(src.ends[o] - from)
	}
	if b.used > math.MaxInt32 {
		return ErrHuge
	}
	b.off, b.data = recycle.Undefined(b.mem, 4*(n+1)), recycle.Undefined(b.mem, b.used)
	off, data, at := as[int32](b.off.Bytes()), b.data.Bytes(), 0
	off[0] = 0
	for i, o := range order {
		from := uint32(0)
		if o > 0 {
			from = src.ends[o-1]
		}
		at += copy(data[at:], src.data[from:src.ends[o]])
		off[i+1] = int32(at)
	}
	return nil
}

// Array is the values as an Arrow array, which takes the memory over.
func (b *Builder) Array() (arrow.Array, error) {
	var valid *memory.Buffer
	missing := 0
	if len(b.valid) > 0 {
		var bits []byte
		bits, missing = col.Bitmap(b.valid)
		valid = memory.NewBufferBytes(bits)
	}
	switch b.lay.kind {
	case bools:
		defer b.Drop()
		values := b.data.Bytes()[:b.used] // bytes of 0 or 1: not kept
		if missing == 0 {
			return col.NewBool(values, nil), nil
		}
		return col.NewBool(values, b.valid), nil
	case nested:
		defer b.Drop()
		return b.nested()
	}
	bufs := []*memory.Buffer{valid}
	if b.lay.kind == text {
		if id := b.lay.typ.ID(); id == arrow.LARGE_STRING || id == arrow.LARGE_BINARY {
			wide := make([]int64, b.n+1)
			for i, o := range as[int32](b.off.Bytes())[:b.n+1] {
				wide[i] = int64(o)
			}
			b.off.Release()
			bufs = append(bufs, memory.NewBufferBytes(arrow.GetBytes(wide)))
		} else {
			bufs = append(bufs, cut(b.off, 4*(b.n+1)))
		}
	}
	bufs = append(bufs, cut(b.data, b.used))
	b.data, b.off = nil, nil
	d := array.NewData(b.lay.typ, b.n, bufs, nil, missing, 0)
	for _, buf := range bufs {
		if buf != nil {
			buf.Release()
		}
	}
	defer d.Release()
	return array.MakeFromData(d), nil
}

// cut is the first n bytes of b, which it takes over. Its length is what is in it: blocks are cut by that.
func cut(b *memory.Buffer, n int) *memory.Buffer {
	if n == 0 {
		b.Release()
		return memory.NewBufferBytes(nil)
	}
	b.ResizeNoShrink(n)
	return b
}

func (b *Builder) nested() (arrow.Array, error) {
	node := newNode(b.lay.typ)
	off, data := as[int32](b.off.Bytes()), b.data.Bytes()
	for i := range b.n {
		if len(b.valid) > 0 && b.valid[i] == 0 {
			node.null()
		} else if rest, err := node.read(data[off[i]:off[i+1]]); err != nil {
			return nil, err
		} else if len(rest) != 0 {
			return nil, ErrShort
		}
	}
	return node.array(), nil
}
