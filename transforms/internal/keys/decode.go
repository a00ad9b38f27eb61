package keys

import (
	"encoding/binary"
	"errors"
	"math"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"

	"github.com/sluice-data/sluice/transforms/internal/col"
)

// Columns is tuples lo … hi-1 as columns of the plan's types, owned by the caller.
func (t *Table) Columns(lo, hi int) ([]arrow.Array, error) {
	out := make([]arrow.Array, 0, len(t.plan.cols))
	at := make([]int, hi-lo) // next var-length value of each byte row
	for i := range at {
		at[i] = t.plan.fixed
	}
	for ci := range t.plan.cols {
		a, err := t.column(ci, lo, hi, at)
		if err != nil {
			for _, b := range out {
				b.Release()
			}
			return nil, err
		}
		out = append(out, a)
	}
	return out, nil
}

func (t *Table) row(i int) []byte { return t.arena[t.off[i]:t.off[i+1]] }

func (t *Table) column(ci, lo, hi int, at []int) (arrow.Array, error) {
	c, n := &t.plan.cols[ci], hi-lo
	switch c.kind {
	case null0:
		return array.NewNull(n), nil
	case varlen:
		return t.textColumn(ci, lo, hi, at)
	}
	valid, nulls := t.valid(ci, lo, hi)
	if nulls == 0 {
		valid = nil
	}
	switch c.bytes {
	case 1:
		v := make([]uint8, n)
		values(t, c, v, lo)
		if c.kind == bool1 {
			return col.NewBool(v, valid), nil
		}
		return col.New(c.typ, v, valid), nil
	case 2:
		v := make([]uint16, n)
		values(t, c, v, lo)
		return col.New(c.typ, v, valid), nil
	case 4:
		v := make([]uint32, n)
		values(t, c, v, lo)
		return col.New(c.typ, v, valid), nil
	case 8:
		v := make([]uint64, n)
		values(t, c, v, lo)
		return col.New(c.typ, v, valid), nil
	}
	v := make([]uint64, 2*n) // 16-byte values are never packed
	for i := range n {
		w := getWord(t.row(lo + i)[c.at:][:16])
		v[2*i], v[2*i+1] = w[0], w[1]
	}
	return col.NewSized(c.typ, n, arrow.GetBytes(v), valid), nil
}

func values[T uint8 | uint16 | uint32 | uint64](t *Table, c *column, dst []T, lo int) {
	if !t.bytes {
		src := t.w0
		if c.word == 1 {
			src = t.w1
		}
		src = src[lo : lo+len(dst)]
		mask := uint64(1)<<c.bits - 1
		if c.bits == 64 {
			mask = math.MaxUint64
		}
		for i, w := range src {
			dst[i] = T(w >> (c.shift & 63) & mask)
		}
		return
	}
	for i := range dst {
		dst[i] = T(getWord(t.row(lo + i)[c.at:][:c.bytes])[0])
	}
}

// valid is 1 for each tuple whose column ci is not null.
func (t *Table) valid(ci, lo, hi int) (valid []uint8, nulls int) {
	c := &t.plan.cols[ci]
	if !t.bytes && c.nullWord == 1 && t.w1 == nil {
		return nil, 0
	}
	valid = make([]uint8, hi-lo)
	for i := range valid {
		var null bool
		if t.bytes {
			null = t.row(lo + i)[ci/8]>>(ci%8)&1 != 0
		} else if w := t.w0[lo+i]; c.nullWord == 0 {
			null = w>>c.nullShift&1 != 0
		} else {
			null = t.w1[lo+i]>>c.nullShift&1 != 0
		}
		if null {
			nulls++
		} else {
			valid[i] = 1
		}
	}
	return valid, nulls
}

var errHugeColumn = errors.New("read group keys: more than 2 GiB of text in one batch")

func (t *Table) textColumn(ci, lo, hi int, at []int) (arrow.Array, error) {
	c, n := &t.plan.cols[ci], hi-lo
	off := make([]int32, n+1)
	valid := make([]uint8, n)
	total, nulls := 0, 0
	for i := range n {
		size, null := t.textLen(ci, lo+i, at[i])
		if null {
			nulls++
		} else {
			valid[i] = 1
		}
		if total += size; total > math.MaxInt32 {
			return nil, errHugeColumn
		}
		off[i+1] = int32(total)
	}
	data := make([]byte, total)
	for i := range n {
		dst := data[off[i]:off[i+1]]
		if t.bytes {
			copy(dst, t.row(lo + i)[at[i]+4:])
			at[i] += 4 + len(dst)
			continue
		}
		s, _ := t.plan.text(c, t.w0[lo+i], t.second(lo+i))
		copy(dst, s.b[:])
	}
	if nulls == 0 {
		valid = nil
	}
	return col.NewVar(c.typ, off, data, valid), nil
}

// second is the second word of tuple i.
func (t *Table) second(i int) uint64 {
	if t.w1 == nil {
		return 0
	}
	return t.w1[i]
}

// textLen is the length of the string in column ci of tuple i; in a byte row it starts at byte at.
func (t *Table) textLen(ci, i, at int) (n int, null bool) {
	if t.bytes {
		row := t.row(i)
		return int(binary.LittleEndian.Uint32(row[at:])), row[ci/8]>>(ci%8)&1 != 0
	}
	s, null := t.plan.text(&t.plan.cols[ci], t.w0[i], t.second(i))
	return s.n, null
}
