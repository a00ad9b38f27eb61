package rowpack

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"slices"
)

// A piece is rows that wait together: its length and CRC-32C, the number of rows, where in the order of the
// input they come from (runs of rows of one chunk; none where that is not kept), then each column in its form.

// Bounds of a piece, and the bytes of its head.
const (
	PieceRows  = 4096
	PieceBytes = 1 << 20 // of text; a single row may have more
	PieceHead  = 8
)

// nulls in a column's first byte: some are null. A bitmap comes next, and values only for the others.
const nulls byte = 0x80

// ErrShort is of a piece that was damaged.
var (
	ErrShort = errors.New("a piece of rows is not what was written")
	castoli  = crc32.MakeTable(crc32.Castagnoli)
)

// Run is rows of one chunk.
type Run struct {
	Chunk int64
	N     int
}

// Encoder makes pieces. A lane owns it.
type Encoder struct {
	former
	lens []uint32
	// of a column that is whole: the rows of the piece, and their form
	part, short Column
	same        []int32 // 0, 1, 2 …
}

// NewEncoder makes pieces of so many columns.
func NewEncoder(columns int) *Encoder {
	return &Encoder{former: former{exp: make([]uint8, columns), rest: make([]uint8, columns)}}
}

// Order makes dst the values of c, which is column i, in the given order and in the shortest form that holds all of them: for Piece alone. It
// needs c no more. The memory of dst would hold the values as they were, so that the two can change places.
func (e *Encoder) Order(dst, c *Column, i int, order []int32) { e.order(dst, c, i, order) }

// Piece appends rows [lo, hi) of cols. What Order has not made short is made so for these rows.
func (e *Encoder) Piece(dst []byte, cols []Column, lo, hi int, runs []Run) []byte {
	at := len(dst)
	dst = append(dst, make([]byte, PieceHead)...)
	dst = binary.AppendUvarint(dst, uint64(hi-lo))
	dst = binary.AppendUvarint(dst, uint64(len(runs)))
	last := int64(0)
	for _, r := range runs {
		dst = binary.AppendUvarint(dst, uint64(r.Chunk-last))
		dst = binary.AppendUvarint(dst, uint64(r.N))
		last = r.Chunk
	}
	for i := range cols {
		c, from, to := &cols[i], lo, hi
		if c.form.way == whole {
			e.shorten(c, i, lo, hi)
			c, from, to = &e.short, 0, hi-lo
		}
		dst = e.column(dst, c, from, to)
	}
	body := dst[at+PieceHead:]
	binary.LittleEndian.PutUint32(dst[at:], uint32(len(body)))
	binary.LittleEndian.PutUint32(dst[at+4:], crc32.Checksum(body, castoli))
	return dst
}

// shorten makes e.short rows [lo, hi) of c, which is column i.
func (e *Encoder) shorten(c *Column, i, lo, hi int) {
	for k := len(e.same); k < hi-lo; k++ {
		e.same = append(e.same, int32(k))
	}
	if c.hasNulls() || c.lay.IsText() {
		e.part.Reset()
		e.part.lay = c.lay
		_ = e.part.AddSpan(c, lo, hi) // they are fewer than c's
		e.order(&e.short, &e.part, i, e.same[:hi-lo])
		return
	}
	part, w := Column{lay: c.lay}, c.lay.width
	part.Borrow(hi-lo, c.data[lo*w:hi*w], nil)
	e.order(&e.short, &part, i, e.same[:hi-lo])
}

// column appends the form and values [lo, hi) of c.
func (e *Encoder) column(dst []byte, c *Column, lo, hi int) []byte {
	var valid []uint8 // nil if none is null
	if c.hasNulls() && bytes.IndexByte(c.valid[lo:hi], 0) >= 0 {
		valid = c.valid[lo:hi]
		dst = packBytes(append(dst, kindOf(c.lay)|nulls), valid)
	} else {
		dst = append(dst, kindOf(c.lay))
	}
	f := &c.form
	dst = append(dst, f.way)
	switch f.way {
	case texts:
		return e.appendTexts(dst, c, lo, hi, valid)
	case bitValues:
		at := len(dst)
		bools := present(dst, c.data[lo:hi], valid, 1)[at:]
		return packBytes(dst, bools) // a bit is written behind its byte
	case rawValues:
	default:
		dst = binary.AppendVarint(append(dst, f.arg, byte(f.width)), f.base)
	}
	return present(dst, c.data[lo*f.width:hi*f.width], valid, f.width)
}

// present appends the values of width bytes of src that are not null; valid may be nil.
func present(dst, src []byte, valid []uint8, width int) []byte {
	if valid == nil || width == 0 {
		return append(dst, src...)
	}
	at := len(dst)
	dst = append(dst, src...) // room for all
	out, k := dst[at:], 0
	for i, there := range valid {
		if there != 0 {
			copy(out[k:], src[i*width:(i+1)*width])
			k += width
		}
	}
	return dst[:at+k]
}

// kindOf is the first byte of a column, beside the mark of nulls: it only guards against reading one as another.
func kindOf(l *Layout) byte { return byte(l.kind)<<5&0x60 | byte(min(l.width, 31)) }

// packBytes appends bytes of 0 or 1 as bits.
func packBytes(dst []byte, v []uint8) []byte {
	for ; len(v) >= 8; v = v[8:] {
		b := v[:8]
		dst = append(dst, b[0]|b[1]<<1|b[2]<<2|b[3]<<3|b[4]<<4|b[5]<<5|b[6]<<6|b[7]<<7)
	}
	if len(v) > 0 {
		b := byte(0)
		for i, x := range v {
			b |= x << i
		}
		dst = append(dst, b)
	}
	return dst
}

// appendTexts appends how long texts are, as numbers, and their bytes.
func (e *Encoder) appendTexts(dst []byte, c *Column, lo, hi int, valid []uint8) []byte {
	from := uint32(0)
	if lo > 0 {
		from = c.ends[lo-1]
	}
	data := c.data[from:c.ends[hi-1]]
	lens, k := grown(&e.lens, hi-lo), 0
	for i, end := range c.ends[lo:hi] {
		lens[k] = end - from
		if from = end; valid == nil {
			k++
		} else {
			k += int(valid[i])
		}
	}
	lens = lens[:k]
	var least, most uint32
	if k > 0 {
		least, most = slices.Min(lens), slices.Max(lens)
	}
	w := widthOf(uint64(most - least))
	dst = binary.AppendUvarint(append(dst, byte(w)), uint64(least))
	for _, n := range lens {
		switch n -= least; w {
		case 1:
			dst = append(dst, byte(n))
		case 2:
			dst = binary.LittleEndian.AppendUint16(dst, uint16(n))
		case 4:
			dst = binary.LittleEndian.AppendUint32(dst, n)
		}
	}
	return append(dst, data...)
}
