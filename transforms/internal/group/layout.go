package group

import (
	"math"

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
	stride int // bytes of a row, whole words
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
}

// unpack gives n rows of layout lay in b, whose texts lie in arenas, as tuples and argument columns; release gives the columns up.
func (u *unpacker) unpack(lay *layout, b []byte, n int, arenas [][]byte) error {
	w, step := arrow.GetData[uint64](b), lay.stride/8
	u.w0 = resize(u.w0, n)
	pull(u.w0, w, 0, step)
	if lay.bytes {
		u.ends = resize(u.ends, n)
		end, k := arrow.GetData[uint32](b), lay.end/4
		for i := range u.ends {
			u.ends[i] = int(end[2*step*i+k])
		}
		u.rows.SetBytes(arenas[0], u.ends, u.w0)
	} else {
		var w1 []uint64
		if lay.w1 {
			u.w1 = resize(u.w1, n)
			pull(u.w1, w, 1, step)
			w1 = u.w1
		}
		u.rows.SetWords(u.w0, w1)
	}
	if u.data == nil {
		u.data, u.valid = make([][]uint64, len(lay.types)), make([][]uint8, len(lay.types))
	}
	u.arrays = u.arrays[:0]
	for i := range lay.types {
		a, err := u.column(lay, i, b, n, arenas)
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

func (u *unpacker) column(lay *layout, i int, b []byte, n int, arenas [][]byte) (arrow.Array, error) {
	t, width := lay.types[i], lay.width[i]
	if width == 0 {
		return array.NewNull(n), nil
	}
	var valid []uint8
	if lay.nulls {
		u.valid[i] = resize(u.valid[i], n)
		valid = u.valid[i]
		pull(valid, b, lay.null+i, lay.stride)
	}
	u.data[i] = resize(u.data[i], (n+1)*width/8+2)
	data := arrow.GetBytes(u.data[i])
	at, stride := lay.at[i]/width, lay.stride/width
	switch width {
	case 1:
		pull(data[:n], b, at, stride)
	case 2:
		pull(arrow.GetData[uint16](data)[:n], arrow.GetData[uint16](b), at, stride)
	case 4:
		if lay.text[i] >= 0 {
			return textOf(t, arrow.GetData[int32](data)[:n+1], arrow.GetData[int32](b), at, stride, arenas[lay.text[i]], valid)
		}
		pull(arrow.GetData[uint32](data)[:n], arrow.GetData[uint32](b), at, stride)
	case 8:
		pull(u.data[i][:n], arrow.GetData[uint64](b), at, stride)
	case 16:
		dst, src, k, step := u.data[i], arrow.GetData[uint64](b), lay.at[i]/8, lay.stride/8
		for r := range n {
			dst[2*r], dst[2*r+1] = src[r*step+k], src[r*step+k+1]
		}
	}
	if t.ID() == arrow.BOOL {
		return col.NewBool(data[:n], valid), nil
	}
	return col.NewSized(t, n, data[:n*width], valid), nil
}

func textOf(t arrow.DataType, off, ends []int32, k, step int, text []byte, valid []uint8) (arrow.Array, error) {
	if len(text) > math.MaxInt32 {
		return nil, errHuge
	}
	off[0] = 0
	pull(off[1:], ends, k, step)
	return col.NewVar(t, off, text, valid), nil
}

func resize[T any](s []T, n int) []T {
	if cap(s) < n {
		return make([]T, n, n+n/4)
	}
	return s[:n]
}
