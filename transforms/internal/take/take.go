// Package take gathers rows of Arrow arrays and records by index, for every Arrow type that Sluice's columns have.
package take

import (
	"encoding/binary"
	"fmt"
	"math"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/memory"

	"github.com/sluice-data/sluice/internal/codes"
	"github.com/sluice-data/sluice/internal/recycle"
	"github.com/sluice-data/sluice/transforms/internal/col"
)

// Record is rec's rows idx, in that order, owned by the caller. Indices must lie in [0, rec.NumRows()). No copy is made where idx is
// a run of consecutive rows.
func Record(rec arrow.Record, idx []int32, mem memory.Allocator) (arrow.Record, error) {
	if run(idx) {
		if len(idx) == 0 {
			return rec.NewSlice(0, 0), nil
		}
		return rec.NewSlice(int64(idx[0]), int64(idx[len(idx)-1])+1), nil
	}
	cols := make([]arrow.Array, 0, rec.NumCols())
	defer func() {
		for _, c := range cols {
			c.Release()
		}
	}()
	sel := selectionOf(idx)
	for _, c := range rec.Columns() {
		a, err := rows(c, sel, mem)
		if err != nil {
			return nil, err
		}
		cols = append(cols, a)
	}
	return array.NewRecord(rec.Schema(), cols, int64(len(idx))), nil
}

// run reports whether idx is i, i+1, i+2 … (ascending indices: the ends decide).
func run(idx []int32) bool {
	for i := 1; i < len(idx); i++ {
		if idx[i] != idx[0]+int32(i) {
			return false
		}
	}
	return true
}

// Array is a's rows idx, in that order, owned by the caller. Indices must lie in [0, a.Len()).
func Array(a arrow.Array, idx []int32, mem memory.Allocator) (arrow.Array, error) {
	return rows(a, &selection{n: len(idx), idx: idx}, mem)
}

// Plain is Array where a may be texts in a dictionary that has codes: the result is plain texts with their codes.
func Plain(a arrow.Array, idx []int32, mem memory.Allocator) (arrow.Array, error) {
	d, ok := a.(*array.Dictionary)
	if !ok {
		return Array(a, idx, mem)
	}
	return texts(d, idx, mem)
}

// rows is Array for a selection.
func rows(a arrow.Array, sel *selection, mem memory.Allocator) (arrow.Array, error) {
	switch a := a.(type) {
	case *array.Null:
		return array.NewNull(sel.n), nil
	case *array.Dictionary:
		ind, err := rows(a.Indices(), sel, mem)
		if err != nil {
			return nil, err
		}
		defer ind.Release()
		d := array.NewDataWithDictionary(a.DataType(), sel.n, ind.Data().Buffers(), ind.NullN(), 0, a.Dictionary().Data().(*array.Data))
		defer d.Release()
		return array.MakeFromData(d), nil
	case array.ExtensionArray:
		s, err := rows(a.Storage(), sel, mem)
		if err != nil {
			return nil, err
		}
		defer s.Release()
		return array.NewExtensionArrayWithStorage(a.DataType().(arrow.ExtensionType), s), nil
	}
	g := gather{mem: mem, sel: sel}
	defer g.release()
	g.validity(a)
	if err := g.values(a); err != nil {
		return nil, err
	}
	d := g.data(a)
	defer d.Release()
	return array.MakeFromData(d), nil
}

// data is what was gathered of a, with the codes of its texts if it has them. The caller owns it.
func (g *gather) data(a arrow.Array) arrow.ArrayData {
	of, entries := codes.Of(a)
	if entries == nil {
		return array.NewData(a.DataType(), g.sel.n, g.bufs, g.children, g.nulls, 0)
	}
	buf := recycle.Undefined(g.mem, 4*g.sel.n)
	defer buf.Release()
	pick(arrow.GetData[uint32](buf.Bytes()), of, g.sel)
	return codes.Attach(a.DataType(), g.sel.n, g.bufs, g.nulls, buf, entries)
}

// gather is one array being built.
type gather struct {
	mem      memory.Allocator
	sel      *selection
	bufs     []*memory.Buffer
	children []arrow.ArrayData
	nulls    int
}

func (g *gather) release() {
	for _, b := range g.bufs {
		if b != nil {
			b.Release()
		}
	}
	for _, c := range g.children {
		c.Release()
	}
}

// alloc appends a buffer of n bytes, of which all are to be written.
func (g *gather) alloc(n int) []byte {
	b := recycle.Undefined(g.mem, n)
	g.bufs = append(g.bufs, b)
	return b.Bytes()
}

func (g *gather) validity(a arrow.Array) {
	valid, off := col.Valid(a)
	if valid == nil {
		g.bufs = append(g.bufs, nil)
		return
	}
	g.nulls = g.sel.n - g.gatherBits(valid, off)
}

// gatherBits appends a bitmap buffer and counts its ones.
func (g *gather) gatherBits(src []byte, off int) (ones int) {
	dst := g.alloc((g.sel.n + 7) / 8)
	clear(dst)
	return pickBits(dst, src, off, g.sel)
}

func (g *gather) values(a arrow.Array) error {
	switch dt := a.DataType().(type) {
	case *arrow.BooleanType:
		bits, off := col.Bits(a)
		g.gatherBits(bits, off)
		return nil
	case *arrow.StringType, *arrow.BinaryType, *arrow.LargeStringType, *arrow.LargeBinaryType:
		return g.text(a)
	case *arrow.ListType, *arrow.MapType:
		return g.list(a)
	case *arrow.LargeListType:
		return g.largeList(a)
	case *arrow.FixedSizeListType:
		return g.fixedList(a.(*array.FixedSizeList), dt.Len())
	case *arrow.StructType:
		s := a.(*array.Struct)
		for i := range s.NumField() {
			if err := g.child(s.Field(i), g.sel); err != nil {
				return err
			}
		}
		return nil
	}
	w := col.Width(a.DataType())
	if w == 0 {
		return fmt.Errorf("take rows: columns of type %s are not supported", a.DataType())
	}
	g.fixed(a, w)
	return nil
}

func (g *gather) fixed(a arrow.Array, w int) {
	dst := g.alloc(g.sel.n * w)
	switch w {
	case 1:
		pick(dst, col.Fixed[uint8](a), g.sel)
	case 2:
		pick(arrow.GetData[uint16](dst), col.Fixed[uint16](a), g.sel)
	case 4:
		pick(arrow.GetData[uint32](dst), col.Fixed[uint32](a), g.sel)
	case 8:
		pick(arrow.GetData[uint64](dst), col.Fixed[uint64](a), g.sel)
	default:
		b := a.Data().Buffers()[1]
		if b == nil || b.Len() == 0 {
			clear(dst)
			return
		}
		src := b.Bytes()[a.Data().Offset()*w:]
		for _, r := range g.sel.spans() {
			dst = dst[copy(dst, src[int(r.from)*w:int(r.from+r.n)*w]):]
		}
	}
}

var errHuge = fmt.Errorf("take rows: more than 2 GiB in one column of a batch")

// text gathers strings. Bytes under a null are left behind.
func (g *gather) text(a arrow.Array) error {
	off, data, ok := col.Var(a)
	if !ok {
		return errHuge
	}
	scattered := g.sel.idx != nil && g.sel.runs == nil
	total := 0
	if scattered {
		for _, r := range g.sel.idx {
			total += int(off[r+1] - off[r])
		}
	} else {
		for _, r := range g.sel.spans() {
			total += int(off[r.from+r.n] - off[r.from])
		}
	}
	if total > math.MaxInt32 {
		return errHuge
	}
	id := a.DataType().ID()
	switch wide := id == arrow.LARGE_STRING || id == arrow.LARGE_BINARY; {
	case scattered && wide:
		pickText[int64](g, off, data, total, 8)
	case scattered:
		pickText[int32](g, off, data, total, 4)
	case wide:
		copyText[int64](g, off, data, total, 8)
	default:
		copyText[int32](g, off, data, total, 4)
	}
	return nil
}

// pickText copies texts that lie anywhere. The places of some are looked up before their bytes are, so that the processor waits for
// many of them at a time; what follows a short text is copied with it, and written over by the next.
func pickText[O int32 | int64](g *gather, off []int32, data []byte, total, width int) {
	dstOff := arrow.GetData[O](g.alloc((g.sel.n + 1) * width))
	dst := g.alloc(total)
	var from [256]int32
	at := 0
	dstOff[0] = 0
	for lo := 0; lo < g.sel.n; lo += len(from) {
		idx := g.sel.idx[lo:min(lo+len(from), g.sel.n)]
		ends := dstOff[lo+1:][:len(idx)]
		end := at
		for i, r := range idx {
			from[i&255] = off[r]
			end += int(off[r+1] - off[r])
			ends[i] = O(end)
		}
		for i, e := range ends {
			f, n := int(from[i&255]), int(e)-at
			if n <= 16 && f+16 <= len(data) && at+16 <= len(dst) {
				s, d := data[f:f+16:f+16], dst[at:at+16:at+16]
				binary.LittleEndian.PutUint64(d, binary.LittleEndian.Uint64(s))
				binary.LittleEndian.PutUint64(d[8:], binary.LittleEndian.Uint64(s[8:]))
			} else {
				copy(dst[at:at+n], data[f:])
			}
			at = int(e)
		}
	}
}

func copyText[O int32 | int64](g *gather, off []int32, data []byte, total, width int) {
	dstOff := arrow.GetData[O](g.alloc((g.sel.n + 1) * width))
	dst := g.alloc(total)
	at, n := 0, 0
	dstOff[0] = 0
	for _, r := range g.sel.spans() {
		o := off[r.from : r.from+r.n+1]
		shift := at - int(o[0])
		out := dstOff[n+1:][:r.n]
		for i, end := range o[1:] {
			out[i] = O(shift + int(end))
		}
		at += copy(dst[at:], data[o[0]:o[r.n]])
		n += int(r.n)
	}
}

func (g *gather) child(a arrow.Array, sel *selection) error {
	c, err := rows(a, sel, g.mem)
	if err != nil {
		return err
	}
	c.Data().Retain()
	g.children = append(g.children, c.Data())
	c.Release()
	return nil
}

func (g *gather) list(a arrow.Array) error {
	values := a.(array.ListLike).ListValues()
	off := []int32{0}
	if a.Len() > 0 {
		off = arrow.GetOffsets[int32](a.Data(), 1)
	}
	return lists(g, off, values, arrow.GetData[int32](g.alloc((g.sel.n+1)*4)))
}

func (g *gather) largeList(a arrow.Array) error {
	off := []int64{0}
	if a.Len() > 0 {
		off = arrow.GetOffsets[int64](a.Data(), 1)
	}
	return lists(g, off, a.(array.ListLike).ListValues(), arrow.GetData[int64](g.alloc((g.sel.n+1)*8)))
}

func lists[O int32 | int64](g *gather, off []O, values arrow.Array, dst []O) error {
	runs := g.sel.spans()
	elems := &selection{runs: make([]span, 0, len(runs))}
	n, at := O(0), 0
	dst[0] = 0
	for _, r := range runs {
		o := off[r.from : r.from+r.n+1]
		first, last := o[0], o[r.n]
		if int64(last) > math.MaxInt32 || int64(n)+int64(last-first) > math.MaxInt32 {
			return errHuge
		}
		shift := n - first
		out := dst[at+1:][:r.n]
		for i, end := range o[1:] {
			out[i] = shift + end
		}
		elems.add(int32(first), int32(last-first))
		n += last - first
		at += int(r.n)
	}
	return g.child(values, elems)
}

func (g *gather) fixedList(a *array.FixedSizeList, n int32) error {
	runs := g.sel.spans()
	elems := &selection{runs: make([]span, 0, len(runs))}
	base := a.Data().Offset()
	if int64(base+a.Len())*int64(n) > math.MaxInt32 || int64(g.sel.n)*int64(n) > math.MaxInt32 {
		return errHuge
	}
	for _, r := range runs {
		elems.add((int32(base)+r.from)*n, r.n*n)
	}
	return g.child(a.ListValues(), elems)
}
