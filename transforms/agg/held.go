package agg

import (
	"bytes"
	"cmp"
	"fmt"
	"math"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/bitutil"
	"github.com/apache/arrow/go/v17/arrow/memory"

	"github.com/sluice-data/sluice/internal/fail"
	"github.com/sluice-data/sluice/transforms/internal/col"
)

// held is values of one column that grow at the end: copies, in memory of our own. A bool takes a byte.
type held struct {
	typ   arrow.DataType
	width int    // bytes of a value; 0 for text and for the null type
	n     int    // values
	data  []byte // values, or the bytes of texts
	end   []int  // of texts in data
	has   []uint8
	kept  int // bytes of texts when only some were kept last
}

// stale reports whether so many values, or bytes of texts, have been bettered by others, of which there is one a group, that it is worth it to keep these alone.
func (h *held) stale(groups int) bool {
	return h.n > 2*groups+1024 || h.n > groups && h.text() && len(h.data) > 2*h.kept+64<<10
}

// holds reports whether columns of type t can be held: all but lists and structs.
func holds(t arrow.DataType) bool {
	return t.ID() == arrow.BOOL || t.ID() == arrow.NULL || col.IsVar(t) || col.Width(t) > 0 && t.ID() != arrow.EXTENSION
}

func newHeld(t arrow.DataType) held {
	h := held{typ: t, width: col.Width(t)}
	if t.ID() == arrow.BOOL {
		h.width = 1
	}
	return h
}

func (h *held) text() bool { return col.IsVar(h.typ) }

// add appends the rows of a for which rows has an index.
func (h *held) add(a arrow.Array, rows []int32) error {
	n := len(rows)
	valid, vo := col.Valid(a)
	at := h.n
	h.n += n
	h.has = col.Grow(h.has, h.n)
	for i, r := range rows {
		h.has[at+i] = 1
		if valid != nil && bitutil.BitIsNotSet(valid, vo+int(r)) || h.typ.ID() == arrow.NULL {
			h.has[at+i] = 0
		}
	}
	switch {
	case h.typ.ID() == arrow.NULL:
	case h.text():
		off, data, ok := col.Var(a)
		if !ok {
			return errHuge
		}
		h.end = col.Grow(h.end, h.n)
		for i, r := range rows {
			if h.has[at+i] != 0 {
				h.data = appendGrown(h.data, data[off[r]:off[r+1]])
			}
			h.end[at+i] = len(h.data)
		}
	case h.typ.ID() == arrow.BOOL:
		bits, bo := col.Bits(a)
		h.data = col.Grow(h.data, h.n)
		for i, r := range rows {
			h.data[at+i] = bits[(bo+int(r))>>3] >> uint((bo+int(r))&7) & 1
		}
	default:
		h.addFixed(a, rows, at)
	}
	return nil
}

// addNull appends a null.
func (h *held) addNull() {
	h.n++
	h.has = append(h.has, 0)
	if h.text() {
		h.end = append(h.end, len(h.data))
		return
	}
	h.data = append(h.data, make([]byte, h.width)...)
}

// append appends the values of o.
func (h *held) append(o *held) {
	at := len(h.end)
	h.end = col.Grow(h.end, at+len(o.end))
	for i, e := range o.end {
		h.end[at+i] = len(h.data) + e
	}
	h.n += o.n
	h.data, h.has = appendGrown(h.data, o.data), appendGrown(h.has, o.has)
}

func appendGrown(dst, b []byte) []byte {
	n := len(dst)
	dst = col.Grow(dst, n+len(b))
	copy(dst[n:], b)
	return dst
}

func (h *held) addFixed(a arrow.Array, rows []int32, at int) {
	h.data = col.Grow(h.data, h.n*h.width)
	dst := h.data[at*h.width:]
	switch h.width {
	case 4:
		pickRows(arrow.GetData[uint32](dst), col.Fixed[uint32](a), rows)
	case 8:
		pickRows(arrow.GetData[uint64](dst), col.Fixed[uint64](a), rows)
	default:
		b := a.Data().Buffers()[1]
		if b == nil || b.Len() == 0 {
			clear(dst)
			return
		}
		src := b.Bytes()[a.Data().Offset()*h.width:]
		for i, r := range rows {
			copy(dst[i*h.width:(i+1)*h.width], src[int(r)*h.width:])
		}
	}
}

func pickRows[T any](dst, src []T, rows []int32) {
	dst = dst[:len(rows)]
	for i, r := range rows {
		dst[i] = src[r]
	}
}

// bytesOf is the text i.
func (h *held) bytesOf(i int) []byte {
	from := 0
	if i > 0 {
		from = h.end[i-1]
	}
	return h.data[from:h.end[i]]
}

// take is the values at, in that order, -1 a null, as an array in memory of mem, owned by the caller.
func (h *held) take(mem memory.Allocator, at []int32) (arrow.Array, error) {
	n := len(at)
	if h.typ.ID() == arrow.NULL {
		return array.NewNull(n), nil
	}
	has := make([]uint8, n)
	takeRows(has, h.has, at)
	if !h.text() {
		if h.typ.ID() == arrow.BOOL {
			v := make([]uint8, n)
			takeRows(v, h.data, at)
			return col.CopyBool(mem, v, has), nil
		}
		buf, dst := col.Make[uint8](mem, n*h.width)
		switch h.width {
		case 4:
			takeRows(arrow.GetData[uint32](dst), arrow.GetData[uint32](h.data), at)
		case 8:
			takeRows(arrow.GetData[uint64](dst), arrow.GetData[uint64](h.data), at)
		default:
			for i, r := range at {
				if r >= 0 {
					copy(dst[i*h.width:(i+1)*h.width], h.data[int(r)*h.width:])
				}
			}
		}
		return col.Of(mem, h.typ, n, buf, has), nil
	}
	total := 0
	for _, r := range at {
		if r >= 0 {
			if total += len(h.bytesOf(int(r))); total > math.MaxInt32 {
				return nil, errHugeGroups
			}
		}
	}
	ob, off := col.Make[int32](mem, n+1)
	db, data := col.Make[uint8](mem, total)
	end := 0
	for i, r := range at {
		if r >= 0 {
			end += copy(data[end:], h.bytesOf(int(r)))
		}
		off[i+1] = int32(end)
	}
	return col.OfVar(mem, h.typ, n, ob, db, has), nil
}

// takeRows is pickRows where -1 leaves a zero.
func takeRows[T any](dst, src []T, at []int32) {
	dst = dst[:len(at)]
	for i, r := range at {
		if r >= 0 {
			dst[i] = src[r]
		}
	}
}

var errHugeGroups = fail.Newf(fail.Usage, "more than 2 GiB of values in the groups that are put out together: with a smaller --memory-limit there are fewer of them")

// keep makes h the values at, in that order.
func (h *held) keep(at []int32) {
	old := *h
	*h = newHeld(old.typ)
	h.n = len(at)
	h.has = make([]uint8, h.n, h.n+h.n/2)
	pickRows(h.has, old.has, at)
	if h.text() {
		h.end = make([]int, h.n, h.n+h.n/2)
		total := 0
		for _, r := range at {
			total += len(old.bytesOf(int(r)))
		}
		h.data, h.kept = make([]byte, 0, total+total/2), total
		for i, r := range at {
			h.data = append(h.data, old.bytesOf(int(r))...)
			h.end[i] = len(h.data)
		}
		return
	}
	w := h.width
	h.data = make([]byte, h.n*w, (h.n+h.n/2)*w)
	for i, r := range at {
		copy(h.data[i*w:(i+1)*w], old.data[int(r)*w:])
	}
}

// order compares values by their indices: numbers by size with NaN last, texts by bytes, places (see Input.Type) as they come. None may
// be null.
func (h *held) order() func(i, j int32) int {
	switch id := h.typ.ID(); {
	case h.text():
		return func(i, j int32) int { return bytes.Compare(h.bytesOf(int(i)), h.bytesOf(int(j))) }
	case id == arrow.DECIMAL128:
		v := arrow.GetData[uint64](h.data)
		return func(i, j int32) int {
			if c := cmp.Compare(int64(v[2*i+1]), int64(v[2*j+1])); c != 0 {
				return c
			}
			return cmp.Compare(v[2*i], v[2*j])
		}
	case id == arrow.FLOAT64:
		return compareFloats(arrow.GetData[float64](h.data))
	case id == arrow.FLOAT32:
		return compareFloats(arrow.GetData[float32](h.data))
	case id == arrow.INT8:
		return compareInts(arrow.GetData[int8](h.data))
	case id == arrow.INT16:
		return compareInts(arrow.GetData[int16](h.data))
	case id == arrow.UINT16:
		return compareInts(arrow.GetData[uint16](h.data))
	case id == arrow.UINT32:
		return compareInts(arrow.GetData[uint32](h.data))
	case id == arrow.UINT64:
		return compareInts(arrow.GetData[uint64](h.data))
	case h.width == 4:
		return compareInts(arrow.GetData[int32](h.data))
	case h.width == 8:
		return compareInts(arrow.GetData[int64](h.data))
	}
	return compareInts(h.data) // uint8, bool
}

func compareInts[T cmp.Ordered](v []T) func(i, j int32) int {
	return func(i, j int32) int { return cmp.Compare(v[i], v[j]) }
}

func compareFloats[T float32 | float64](v []T) func(i, j int32) int {
	return func(i, j int32) int {
		x, y := v[i], v[j]
		switch {
		case x != x && y != y:
			return 0
		case x != x:
			return 1
		case y != y:
			return -1
		}
		return cmp.Compare(x, y)
	}
}

func (h *held) size() int64 { return int64(cap(h.data) + cap(h.has) + 8*cap(h.end)) }

func (h *held) reset() {
	h.n, h.data, h.has, h.end = 0, h.data[:0], h.has[:0], h.end[:0]
}

// drop forgets the values and their memory.
func (h *held) drop() { *h = newHeld(h.typ) }

// every is the indices 0 … n-1, in buf if they fit.
func every(buf []int32, n int) []int32 {
	buf = col.Grow(buf[:min(n, len(buf))], n)
	for i := range buf {
		buf[i] = int32(i)
	}
	return buf
}

// listOf is a list array with the given offsets, whose elements are children[0], or structs of children; it takes them over. Where valid
// is not nil, the lists with a 0 there are null.
func listOf(t *arrow.ListType, off []int32, valid []uint8, children ...arrow.Array) arrow.Array {
	defer releaseAll(children)
	values := children[0].Data()
	if st, ok := t.Elem().(*arrow.StructType); ok && !arrow.TypeEqual(st, children[0].DataType()) {
		kids := make([]arrow.ArrayData, len(children))
		for i, c := range children {
			kids[i] = c.Data()
		}
		whole := array.NewData(st, children[0].Len(), []*memory.Buffer{nil}, kids, 0, 0)
		defer whole.Release()
		values = whole
	}
	var bits *memory.Buffer
	nulls := 0
	if valid != nil {
		var b []byte
		if b, nulls = col.Bitmap(valid); nulls > 0 {
			bits = memory.NewBufferBytes(b)
		}
	}
	d := array.NewData(t, len(off)-1, []*memory.Buffer{bits, memory.NewBufferBytes(arrow.GetBytes(off))}, []arrow.ArrayData{values}, nulls, 0)
	defer d.Release()
	return array.MakeFromData(d)
}

// filled marks the groups that have rows.
func filled(off []int32) []uint8 {
	out := make([]uint8, len(off)-1)
	for g := range out {
		if off[g+1] > off[g] {
			out[g] = 1
		}
	}
	return out
}

// listType is list<element: t>, or of a struct of fields v0, v1 … where there are several types.
func listType(types ...arrow.DataType) *arrow.ListType {
	if len(types) == 1 {
		return arrow.ListOfField(arrow.Field{Name: "element", Type: types[0], Nullable: true})
	}
	fields := make([]arrow.Field, len(types))
	for i, t := range types {
		fields[i] = arrow.Field{Name: fmt.Sprint("v", i), Type: t, Nullable: true}
	}
	return arrow.ListOfField(arrow.Field{Name: "element", Type: arrow.StructOf(fields...), Nullable: true})
}

// listed takes the first n lists of a apart: the group of each element, and the elements' columns, owned by the caller.
func listed(a arrow.Array, groups []uint32, columns int) (of []uint32, elems []arrow.Array) {
	if len(groups) == 0 {
		return nil, nil
	}
	l := a.(*array.List)
	off := arrow.GetOffsets[int32](l.Data(), 1)
	of = make([]uint32, 0, off[len(groups)]-off[0])
	for i, g := range groups {
		for range off[i+1] - off[i] {
			of = append(of, g)
		}
	}
	cut := func(v arrow.Array) {
		elems = append(elems, array.NewSlice(v, int64(off[0]), int64(off[len(groups)])))
	}
	if columns == 1 {
		cut(l.ListValues())
		return of, elems
	}
	st := l.ListValues().(*array.Struct)
	for i := range columns {
		cut(st.Field(i)) // cut to the struct's offset already
	}
	return of, elems
}
