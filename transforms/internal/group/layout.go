package group

import (
	"bytes"
	"math"
	"unsafe"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"

	"github.com/sluice-data/sluice/transforms/internal/col"
	"github.com/sluice-data/sluice/transforms/internal/keys"
)

// layout is how a buffered row lies in memory: all of it together, so that rows dealt to many partitions touch one cache line each. The
// key's words come first (or the hash of a byte row), then the arguments, then a byte per argument that is 1 where it is not null.
type layout struct {
	types  []arrow.DataType
	w1     bool // keys have a second word
	bytes  bool // keys are byte rows
	nulls  bool // there are marks
	end    int  // of the byte row in its arena
	at     []int
	width  []int // of an argument; 0 for the null type, 4 for the end of a string in its arena
	text   []int // the arena of an argument, -1 for those of fixed width
	null   int   // of the marks
	arenas int
	stride int    // bytes of a row, whole words
	floats []bool // the words that are a float64 argument each
}

func newLayout(types []arrow.DataType, w1, bytes, nulls bool) *layout {
	l := &layout{types: types, w1: w1, bytes: bytes, nulls: nulls, at: make([]int, len(types)), width: make([]int, len(types)), text: make([]int, len(types))}
	size := 8
	if w1 && !bytes {
		size = 16
	}
	if bytes {
		l.arenas = 1
	}
	for i, t := range types {
		l.text[i], l.width[i] = -1, col.Width(t)
		switch {
		case t.ID() == arrow.BOOL:
			l.width[i] = 1
		case t.ID() == arrow.NULL:
			l.width[i] = 0
		case col.IsVar(t):
			l.width[i], l.text[i] = 4, l.arenas
			l.arenas++
		}
	}
	for _, w := range []int{16, 8, 4, 2, 1} { // wide ones first: each lies at a multiple of its width
		if w == 4 && bytes {
			l.end = size
			size += 4
		}
		for i := range types {
			if l.width[i] == w {
				l.at[i] = size
				size += w
			}
		}
	}
	if l.null = size; nulls {
		size += len(types)
	}
	l.stride = (size + 7) &^ 7
	l.floats = make([]bool, l.stride/8)
	for i, t := range types {
		if t.ID() == arrow.FLOAT64 {
			l.floats[l.at[i]/8] = true
		}
	}
	return l
}

// unpacker takes buffered rows apart again, into columns of its own that live until it is used again.
type unpacker struct {
	rows   keys.Rows
	w0, w1 []uint64
	ends   []int
	data   [][]uint64 // of each argument: words hold values of any width
	valid  [][]uint8
	arrays []arrow.Array
	last   []arrow.Array // made of each argument before, without nulls
}

// words is where the words of rows lie: row after row or, unpacked, column after column.
type words struct {
	rows   []byte
	stride int // bytes of a row
	cols   [][]uint64
}

// from is the bytes of the rows from byte at of the first one on, and the bytes from one row to the next.
func (w words) from(at int) ([]byte, int) {
	if w.cols == nil {
		return w.rows[at:], w.stride
	}
	return arrow.GetBytes(w.cols[at/8])[at%8:], 8
}

// column is word k of each of n rows; into is memory to put them where they do not lie together.
func (w words) column(k, n int, into *[]uint64) []uint64 {
	if w.cols != nil {
		return w.cols[k]
	}
	*into = resize(*into, n)
	pull(*into, arrow.GetData[uint64](w.rows), k, w.stride/8)
	return *into
}

// unpack gives n rows of layout lay, whose texts lie in arenas, as tuples and argument columns; release gives the columns up.
func (u *unpacker) unpack(lay *layout, w words, n int, arenas [][]byte) error {
	w0 := w.column(0, n, &u.w0)
	switch {
	case lay.bytes:
		u.ends = resize(u.ends, n)
		b, stride := w.from(lay.end)
		end := arrow.GetData[uint32](b)
		for i := range u.ends {
			u.ends[i] = int(end[stride/4*i])
		}
		u.rows.SetBytes(arenas[0], u.ends, w0)
	case lay.w1:
		u.rows.SetWords(w0, w.column(1, n, &u.w1))
	default:
		u.rows.SetWords(w0, nil)
	}
	if u.data == nil {
		u.data, u.valid, u.last = make([][]uint64, len(lay.types)), make([][]uint8, len(lay.types)), make([]arrow.Array, len(lay.types))
	}
	u.arrays = u.arrays[:0]
	for i := range lay.types {
		a, err := u.column(lay, i, w, n, arenas)
		if err != nil {
			u.release()
			return err
		}
		u.arrays = append(u.arrays, a)
	}
	return nil
}

func (u *unpacker) release() {
	release(u.arrays)
	u.arrays = u.arrays[:0]
}

// pull copies word k of each row of step words.
func pull[T any](dst, src []T, k, step int) {
	if len(dst) == 0 {
		return
	}
	src = src[k:]
	for i := range dst {
		dst[i] = src[i*step]
	}
}

func (u *unpacker) column(lay *layout, i int, w words, n int, arenas [][]byte) (arrow.Array, error) {
	t, width := lay.types[i], lay.width[i]
	if width == 0 {
		return array.NewNull(n), nil
	}
	var valid []uint8
	if lay.nulls {
		u.valid[i] = resize(u.valid[i], n)
		valid = u.valid[i]
		marks, stride := w.from(lay.null + i)
		pull(valid, marks, 0, stride)
	}
	if width == 8 {
		data := w.column(lay.at[i]/8, n, &u.data[i])
		return u.fixed(i, t, n, arrow.GetBytes(data), valid), nil
	}
	u.data[i] = resize(u.data[i], (n+1)*width/8+2)
	data := arrow.GetBytes(u.data[i])
	b, stride := w.from(lay.at[i])
	switch width {
	case 1:
		pull(data[:n], b, 0, stride)
	case 2:
		pull(arrow.GetData[uint16](data)[:n], arrow.GetData[uint16](b), 0, stride/2)
	case 4:
		if lay.text[i] >= 0 {
			return textOf(t, arrow.GetData[int32](data)[:n+1], arrow.GetData[int32](b), stride/4, arenas[lay.text[i]], valid)
		}
		pull(arrow.GetData[uint32](data)[:n], arrow.GetData[uint32](b), 0, stride/4)
	case 16:
		for half := range 2 {
			b, stride := w.from(lay.at[i] + 8*half)
			src := arrow.GetData[uint64](b)
			for r := range n {
				u.data[i][2*r+half] = src[r*stride/8]
			}
		}
	}
	if t.ID() == arrow.BOOL {
		return col.NewBool(data[:n], valid), nil
	}
	return u.fixed(i, t, n, data[:n*width], valid), nil
}

// fixed is an array of the bytes. One made before of as many in the same place is given again: buffers of a few rows are unpacked a million times
// where memory is short, and their arrays would be garbage of many times the rows' size.
func (u *unpacker) fixed(i int, t arrow.DataType, n int, data []byte, valid []uint8) arrow.Array {
	if bytes.IndexByte(valid, 0) >= 0 || n == 0 {
		return col.NewSized(t, n, data, valid)
	}
	if a := u.last[i]; a != nil && a.Len() == n && unsafe.SliceData(a.Data().Buffers()[1].Bytes()) == unsafe.SliceData(data) {
		a.Retain()
		return a
	}
	if u.last[i] != nil {
		u.last[i].Release()
	}
	u.last[i] = col.NewSized(t, n, data, nil)
	u.last[i].Retain()
	return u.last[i]
}

func textOf(t arrow.DataType, off, ends []int32, step int, text []byte, valid []uint8) (arrow.Array, error) {
	if len(text) > math.MaxInt32 {
		return nil, errHuge
	}
	off[0] = 0
	pull(off[1:], ends, 0, step)
	return col.NewVar(t, off, text, valid), nil
}

func resize[T any](s []T, n int) []T {
	if cap(s) < n {
		return make([]T, n, n+n/4)
	}
	return s[:n]
}
