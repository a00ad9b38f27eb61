package keys

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/memory"

	"github.com/sluice-data/sluice/transforms/internal/col"
)

// Columns is tuples lo … hi-1 as columns of the plan's types in memory of mem, owned by the caller.
func (t *Table) Columns(mem memory.Allocator, lo, hi int) ([]arrow.Array, error) {
	out := make([]arrow.Array, 0, len(t.plan.cols))
	var at []int // next var-length value of each byte row
	if t.bytes && t.plan.nvar > 0 {
		at = make([]int, hi-lo)
		for i := range at {
			at[i] = t.plan.fixed
		}
	}
	for ci := range t.plan.cols {
		a, err := t.column(mem, ci, lo, hi, at)
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

func (t *Table) column(mem memory.Allocator, ci, lo, hi int, at []int) (arrow.Array, error) {
	c, n := &t.plan.cols[ci], hi-lo
	switch c.kind {
	case null0:
		return array.NewNull(n), nil
	case varlen:
		return t.textColumn(mem, ci, lo, hi, at)
	}
	valid, nulls := t.valid(ci, lo, hi)
	if nulls == 0 {
		valid = nil
	}
	switch c.bytes {
	case 1:
		if c.kind == bool1 {
			v := make([]uint8, n)
			values(t, c, v, lo)
			return col.CopyBool(mem, v, valid), nil
		}
		return column1[uint8](t, mem, c, lo, n, valid), nil
	case 2:
		return column1[uint16](t, mem, c, lo, n, valid), nil
	case 4:
		return column1[uint32](t, mem, c, lo, n, valid), nil
	case 8:
		return column1[uint64](t, mem, c, lo, n, valid), nil
	}
	buf, v := col.Make[uint64](mem, 2*n) // 16-byte values are never packed
	for i := range n {
		w := getWord(t.row(lo + i)[c.at:][:16])
		v[2*i], v[2*i+1] = w[0], w[1]
	}
	return col.Of(mem, c.typ, n, buf, valid), nil
}

func column1[T uint8 | uint16 | uint32 | uint64](t *Table, mem memory.Allocator, c *column, lo, n int, valid []uint8) arrow.Array {
	buf, v := col.Make[T](mem, n)
	values(t, c, v, lo)
	return col.Of(mem, c.typ, n, buf, valid)
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

func (t *Table) textColumn(mem memory.Allocator, ci, lo, hi int, at []int) (arrow.Array, error) {
	c, n := &t.plan.cols[ci], hi-lo
	if !t.bytes {
		return t.shortColumn(mem, c, lo, n), nil
	}
	ob, off := col.Make[int32](mem, n+1)
	var valid []uint8
	total := 0
	for i := range n {
		row := t.row(lo + i)
		if row[ci/8]>>(ci%8)&1 != 0 {
			valid = exclude(valid, n, i)
		}
		if total += int(binary.LittleEndian.Uint32(row[at[i]:])); total > math.MaxInt32 {
			ob.Release()
			return nil, errHugeColumn
		}
		off[i+1] = int32(total)
	}
	db, data := col.Make[uint8](mem, total)
	for i := range n {
		at[i] += 4 + copy(data[off[i]:off[i+1]], t.row(lo + i)[at[i]+4:])
	}
	return col.OfVar(mem, c.typ, n, ob, db, valid), nil
}

// exclude marks row i of n as null.
func exclude(valid []uint8, n, i int) []uint8 {
	if valid == nil {
		valid = bytes.Repeat([]byte{1}, n)
	}
	valid[i] = 0
	return valid
}

// shortColumn is a string column of packed tuples.
func (t *Table) shortColumn(mem memory.Allocator, c *column, lo, n int) arrow.Array {
	first, second := t.w0[lo:lo+n], []uint64(nil)
	if c.word == 1 {
		first = t.w1[lo : lo+n]
	} else if t.plan.lone && t.w1 != nil {
		second = t.w1[lo : lo+n]
	}
	ob, off := col.Make[int32](mem, n+1)
	var valid []uint8
	at := 0
	for i, w := range first { // at most 15 bytes each: 2 GiB are out of reach for a table of 2^32 tuples' partition
		if second != nil && second[i] != 0 {
			w = second[i]
		}
		size := int(w >> 56)
		if size == nullLen {
			size, valid = 0, exclude(valid, n, i)
		}
		at += size
		off[i+1] = int32(at)
	}
	db, data := col.Make[uint8](mem, at)
	whole := n // strings that have 16 bytes of room: what is too much the next ones overwrite
	for whole > 0 && int(off[whole-1])+16 > at {
		whole--
	}
	if second == nil {
		for i, w := range first[:whole] {
			binary.LittleEndian.PutUint64(data[off[i]:], w)
		}
	} else {
		for i, w := range first[:whole] {
			b := data[off[i]:]
			binary.LittleEndian.PutUint64(b[8:], second[i])
			binary.LittleEndian.PutUint64(b, w)
		}
	}
	for i := whole; i < n; i++ {
		var b [16]byte
		binary.LittleEndian.PutUint64(b[:], first[i])
		if second != nil {
			binary.LittleEndian.PutUint64(b[8:], second[i])
		}
		copy(data[off[i]:off[i+1]], b[:])
	}
	return col.OfVar(mem, c.typ, n, ob, db, valid)
}
