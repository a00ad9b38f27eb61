package rowpack

import (
	"encoding/binary"
	"fmt"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/memory"

	"github.com/sluice-data/sluice/transforms/internal/col"
)

// checkNested says which type a nested value cannot be kept of.
func checkNested(t arrow.DataType) error {
	switch t := t.(type) {
	case *arrow.ListType:
		return checkNested(t.Elem())
	case *arrow.StructType:
		for _, f := range t.Fields() {
			if err := checkNested(f.Type); err != nil {
				return err
			}
		}
		return nil
	case *arrow.NullType:
		return nil
	}
	if t.ID() != arrow.BOOL && !col.IsVar(t) && col.Width(t) == 0 {
		return fmt.Errorf("values of type %s cannot be gathered", t)
	}
	return nil
}

// appendValue appends value i of a, which is not null, as bytes: of a fixed width, else behind its length; each part of a
// struct or list behind a byte that says whether it is there.
func appendValue(dst []byte, a arrow.Array, i int) []byte {
	part := func(a arrow.Array, i int) {
		if a.IsNull(i) {
			dst = append(dst, 0)
			return
		}
		dst = appendValue(append(dst, 1), a, i)
	}
	switch a := a.(type) {
	case *array.Null:
	case *array.Boolean:
		v := byte(0)
		if a.Value(i) {
			v = 1
		}
		dst = append(dst, v)
	case *array.List:
		lo, hi := a.ValueOffsets(i)
		dst = binary.AppendUvarint(dst, uint64(hi-lo))
		for k := lo; k < hi; k++ {
			part(a.ListValues(), int(k))
		}
	case *array.Struct:
		for k := range a.NumField() {
			part(a.Field(k), i)
		}
	default:
		d := a.Data()
		if w := col.Width(a.DataType()); w > 0 {
			at := (d.Offset() + i) * w
			return append(dst, d.Buffers()[1].Bytes()[at:at+w]...)
		}
		var v []byte
		switch a := a.(type) {
		case *array.LargeString:
			v = []byte(a.Value(i))
		case *array.LargeBinary:
			v = a.Value(i)
		case *array.Binary:
			v = a.Value(i)
		case *array.String:
			v = []byte(a.Value(i))
		}
		dst = append(binary.AppendUvarint(dst, uint64(len(v))), v...)
	}
	return dst
}

// node is values of a type being put together from their bytes.
type node struct {
	typ      arrow.DataType
	width    int
	n        int
	valid    []uint8
	data     []byte
	off      []int32 // of text and lists
	children []*node
}

func newNode(t arrow.DataType) *node {
	b := &node{typ: t, width: col.Width(t), off: []int32{0}}
	switch t := t.(type) {
	case *arrow.ListType:
		b.children = []*node{newNode(t.Elem())}
	case *arrow.StructType:
		for _, f := range t.Fields() {
			b.children = append(b.children, newNode(f.Type))
		}
	}
	return b
}

// null appends a null.
func (b *node) null() {
	b.n++
	b.valid = append(b.valid, 0)
	switch b.typ.ID() {
	case arrow.STRUCT:
		for _, c := range b.children {
			c.null()
		}
	case arrow.BOOL:
		b.data = append(b.data, 0)
	default:
		if b.width > 0 {
			b.data = append(b.data, make([]byte, b.width)...)
		} else {
			b.off = append(b.off, b.off[len(b.off)-1])
		}
	}
}

// part reads a value behind the byte that says whether it is there.
func (b *node) part(src []byte) ([]byte, error) {
	if len(src) == 0 {
		return nil, ErrShort
	}
	if src[0] == 0 {
		b.null()
		return src[1:], nil
	}
	return b.read(src[1:])
}

// read appends the value at the start of src and returns the rest.
func (b *node) read(src []byte) (rest []byte, err error) {
	b.n++
	b.valid = append(b.valid, 1)
	take := func(n int) []byte {
		if n < 0 || n > len(src) {
			err = ErrShort
			return nil
		}
		v := src[:n]
		src = src[n:]
		return v
	}
	length := func() int {
		n, k := binary.Uvarint(src)
		if k <= 0 || n > uint64(len(src)) {
			err = ErrShort
			return 0
		}
		src = src[k:]
		return int(n)
	}
	switch id := b.typ.ID(); {
	case id == arrow.NULL:
	case id == arrow.BOOL:
		b.data = append(b.data, take(1)...)
	case id == arrow.STRUCT:
		for _, c := range b.children {
			if src, err = c.part(src); err != nil {
				return nil, err
			}
		}
	case id == arrow.LIST:
		for range length() {
			if src, err = b.children[0].part(src); err != nil {
				return nil, err
			}
		}
		b.off = append(b.off, int32(b.children[0].n))
	case b.width > 0:
		b.data = append(b.data, take(b.width)...)
	default:
		b.data = append(b.data, take(length())...)
		b.off = append(b.off, int32(len(b.data)))
	}
	return src, err
}

// Array is the values as an Arrow array, which takes them over.
func (b *node) array() arrow.Array {
	switch id := b.typ.ID(); {
	case id == arrow.NULL:
		return array.NewNull(b.n)
	case id == arrow.BOOL:
		return col.NewBool(b.data, b.valid)
	case id == arrow.LIST || id == arrow.STRUCT:
		bits, nulls := col.Bitmap(b.valid)
		bufs := []*memory.Buffer{memory.NewBufferBytes(bits)}
		if id == arrow.LIST {
			bufs = append(bufs, memory.NewBufferBytes(arrow.GetBytes(b.off)))
		}
		parts := make([]arrow.ArrayData, len(b.children))
		for i, c := range b.children {
			a := c.array()
			defer a.Release()
			parts[i] = a.Data()
		}
		d := array.NewData(b.typ, b.n, bufs, parts, nulls, 0)
		defer d.Release()
		return array.MakeFromData(d)
	case b.width > 0:
		return col.NewSized(b.typ, b.n, b.data, b.valid)
	}
	return col.NewVar(b.typ, b.off, b.data, b.valid)
}
