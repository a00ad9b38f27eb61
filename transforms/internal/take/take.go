// Package take gathers rows of Arrow arrays and records by index, for every Arrow type that Sluice's columns have.
package take

import (
	"fmt"
	"math"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/bitutil"
	"github.com/apache/arrow/go/v17/arrow/memory"

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
	runs := runsOf(idx)
	for _, c := range rec.Columns() {
		a, err := rows(c, idx, runs, mem)
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
	return rows(a, idx, nil, mem)
}

// span is n rows from one on.
type span struct{ from, n int32 }

// leastRun is how many rows the runs of an index must have on average to be copied as such.
const leastRun = 16

// runsOf cuts idx into runs of consecutive rows; nil where they are too short to gain by it.
func runsOf(idx []int32) []span {
	most := len(idx) / leastRun
	runs := make([]span, 0, min(most, 1024))
	for i := 0; i < len(idx); {
		first := i
		less := idx[first] - int32(first)
		for i++; i+8 <= len(idx) && ascends(idx[i:i+8], int32(i)+less); i += 8 {
		}
		for ; i < len(idx) && idx[i] == int32(i)+less; i++ {
		}
		if len(runs) == most {
			return nil
		}
		runs = append(runs, span{idx[first], int32(i - first)})
	}
	return runs
}

// ascends reports whether x is eight rows from first on.
func ascends(x []int32, first int32) bool {
	x = x[:8]
	return (x[0]-first)|(x[1]-first-1)|(x[2]-first-2)|(x[3]-first-3)|(x[4]-first-4)|(x[5]-first-5)|(x[6]-first-6)|(x[7]-first-7) == 0
}

// rows is Array; runs are those of idx, or nil.
func rows(a arrow.Array, idx []int32, runs []span, mem memory.Allocator) (arrow.Array, error) {
	switch a := a.(type) {
	case *array.Null:
		return array.NewNull(len(idx)), nil
	case *array.Dictionary:
		ind, err := rows(a.Indices(), idx, runs, mem)
		if err != nil {
			return nil, err
		}
		defer ind.Release()
		d := array.NewDataWithDictionary(a.DataType(), len(idx), ind.Data().Buffers(), ind.NullN(), 0, a.Dictionary().Data().(*array.Data))
		defer d.Release()
		return array.MakeFromData(d), nil
	case array.ExtensionArray:
		s, err := rows(a.Storage(), idx, runs, mem)
		if err != nil {
			return nil, err
		}
		defer s.Release()
		return array.NewExtensionArrayWithStorage(a.DataType().(arrow.ExtensionType), s), nil
	}
	g := gather{mem: mem, idx: idx, runs: runs}
	defer g.release()
	g.validity(a)
	if err := g.values(a); err != nil {
		return nil, err
	}
	d := array.NewData(a.DataType(), len(idx), g.bufs, g.children, g.nulls, 0)
	defer d.Release()
	return array.MakeFromData(d), nil
}

// gather is one array being built.
type gather struct {
	mem      memory.Allocator
	idx      []int32
	runs     []span // of idx, or nil
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
	g.nulls = len(g.idx) - g.gatherBits(valid, off)
}

// gatherBits appends a bitmap buffer and counts its ones.
func (g *gather) gatherBits(src []byte, off int) (ones int) {
	dst := g.alloc((len(g.idx) + 7) / 8)
	clear(dst)
	for i, x := range g.idx {
		if bitutil.BitIsSet(src, off+int(x)) {
			bitutil.SetBit(dst, i)
			ones++
		}
	}
	return ones
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
			if err := g.child(s.Field(i), g.idx); err != nil {
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
	dst := g.alloc(len(g.idx) * w)
	switch w {
	case 1:
		pick(dst, col.Fixed[uint8](a), g.idx, g.runs)
	case 2:
		pick(arrow.GetData[uint16](dst), col.Fixed[uint16](a), g.idx, g.runs)
	case 4:
		pick(arrow.GetData[uint32](dst), col.Fixed[uint32](a), g.idx, g.runs)
	case 8:
		pick(arrow.GetData[uint64](dst), col.Fixed[uint64](a), g.idx, g.runs)
	default:
		clear(dst)
		b := a.Data().Buffers()[1]
		if b == nil || b.Len() == 0 {
			return
		}
		src := b.Bytes()[a.Data().Offset()*w:]
		for i, x := range g.idx {
			copy(dst[i*w:i*w+w], src[int(x)*w:])
		}
	}
}

func pick[T any](dst, src []T, idx []int32, runs []span) {
	if runs != nil {
		for _, r := range runs {
			dst = dst[copy(dst, src[r.from:r.from+r.n]):]
		}
		return
	}
	for len(idx) >= 4 {
		x, d := idx[:4:4], dst[:4:4]
		d[0], d[1], d[2], d[3] = src[x[0]], src[x[1]], src[x[2]], src[x[3]]
		idx, dst = idx[4:], dst[4:]
	}
	for i, x := range idx {
		dst[i] = src[x]
	}
}

var errHuge = fmt.Errorf("take rows: more than 2 GiB in one column of a batch")

// text gathers strings. Bytes under a null are left behind.
func (g *gather) text(a arrow.Array) error {
	off, data, ok := col.Var(a)
	if !ok {
		return errHuge
	}
	total := 0
	for _, x := range g.idx {
		total += int(off[x+1] - off[x])
	}
	if total > math.MaxInt32 {
		return errHuge
	}
	id := a.DataType().ID()
	if wide := id == arrow.LARGE_STRING || id == arrow.LARGE_BINARY; wide {
		copyText[int64](g, off, data, total, 8)
	} else {
		copyText[int32](g, off, data, total, 4)
	}
	return nil
}

func copyText[O int32 | int64](g *gather, off []int32, data []byte, total, width int) {
	dstOff := arrow.GetData[O](g.alloc((len(g.idx) + 1) * width))
	dst := g.alloc(total)
	at := 0
	dstOff[0] = 0
	for i := 0; i < len(g.idx); { // runs of rows that follow each other at once
		first := g.idx[i]
		last := first
		from := at - int(off[first])
		for {
			i++
			dstOff[i] = O(from + int(off[last+1]))
			if i == len(g.idx) || g.idx[i] != last+1 {
				break
			}
			last++
		}
		at += copy(dst[at:], data[off[first]:off[last+1]])
	}
}

func (g *gather) child(a arrow.Array, idx []int32) error {
	c, err := Array(a, idx, g.mem)
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
	return lists(g, off, values, arrow.GetData[int32](g.alloc((len(g.idx)+1)*4)))
}

func (g *gather) largeList(a arrow.Array) error {
	off := []int64{0}
	if a.Len() > 0 {
		off = arrow.GetOffsets[int64](a.Data(), 1)
	}
	return lists(g, off, a.(array.ListLike).ListValues(), arrow.GetData[int64](g.alloc((len(g.idx)+1)*8)))
}

func lists[O int32 | int64](g *gather, off []O, values arrow.Array, dst []O) error {
	var sub []int32
	dst[0] = 0
	for i, x := range g.idx {
		for j := off[x]; j < off[x+1]; j++ {
			sub = append(sub, int32(j))
		}
		if len(sub) > math.MaxInt32 {
			return errHuge
		}
		dst[i+1] = O(len(sub))
	}
	return g.child(values, sub)
}

func (g *gather) fixedList(a *array.FixedSizeList, n int32) error {
	sub := make([]int32, 0, len(g.idx)*int(n))
	base := int32(a.Data().Offset())
	for _, x := range g.idx {
		for j := range n {
			sub = append(sub, (base+x)*n+j)
		}
	}
	return g.child(a.ListValues(), sub)
}
