package rowpack

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"math"
)

// A piece is rows that wait together: its length and CRC-32C, the number of rows, where in the order of the
// input they come from (runs of rows of one chunk; none where that is not kept), then each column.

// Bounds of a piece, and the bytes of its head.
const (
	PieceRows  = 4096
	PieceBytes = 1 << 20 // of text; a single row may have more
	PieceHead  = 8
)

// How a column is kept; nulls is added where some are null: a bitmap comes first, and values only for the others.
const (
	rawValues  byte = iota // as they are
	packed                 // integers, see Encoder.pack
	decimals               // float64 that are integers / 10^k: k, then the integers packed
	lowWords               // 16-byte integers whose upper words only carry the sign: the lower ones packed
	bitValues              // bools
	texts                  // lengths packed, then the bytes
	digitTexts             // texts of one length that are digits only: the length, then the numbers packed
	nulls      byte = 0x80
)

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
	words []uint64
	ints  []int64
	vals  Column  // values without the nulls
	exp   []uint8 // of each column: the power of ten its floats were integers of last
	rest  []uint8 // pieces for which a column's floats are not tried again
}

// NewEncoder makes pieces of so many columns.
func NewEncoder(columns int) *Encoder {
	return &Encoder{exp: make([]uint8, columns), rest: make([]uint8, columns)}
}

// Piece appends rows [lo, hi) of cols.
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
		dst = e.column(dst, &cols[i], i, lo, hi)
	}
	body := dst[at+PieceHead:]
	binary.LittleEndian.PutUint32(dst[at:], uint32(len(body)))
	binary.LittleEndian.PutUint32(dst[at+4:], crc32.Checksum(body, castoli))
	return dst
}

func (e *Encoder) column(dst []byte, c *Column, i, lo, hi int) []byte {
	flag := byte(0)
	if c.hasNulls() {
		valid := c.valid[lo:hi]
		present := 0
		for _, v := range valid {
			present += int(v)
		}
		if present < hi-lo {
			flag = nulls
			e.without(c, lo, hi)
			c, lo, hi = &e.vals, 0, present
			dst = append(dst, flag|kindOf(c.lay))
			dst = packBytes(dst, valid)
			if present == 0 {
				return append(dst, rawValues)
			}
		}
	}
	if flag == 0 {
		dst = append(dst, kindOf(c.lay))
	}
	switch {
	case c.lay.kind == bools:
		return packBytes(append(dst, bitValues), c.data[lo:hi])
	case c.lay.IsText():
		return e.text(dst, c, lo, hi)
	}
	w := c.lay.width
	data := c.data[lo*w : hi*w]
	switch {
	case w == 1:
		return e.integers(dst, widened(e, as[int8](data)))
	case w == 2:
		return e.integers(dst, widened(e, as[int16](data)))
	case w == 4 && !c.lay.float:
		return e.integers(dst, widened(e, as[int32](data)))
	case w == 8 && c.lay.float:
		return e.floats(dst, as[float64](data), data, i)
	case w == 8:
		return e.integers(dst, as[int64](data))
	case w == 16:
		return e.wide(dst, as[int64](data), data)
	}
	return append(append(dst, rawValues), data...)
}

// kindOf is the first byte of a column, beside the mark of nulls: it only guards against reading one as another.
func kindOf(l *Layout) byte { return byte(l.kind)<<5&0x60 | byte(min(l.width, 31)) }

// without makes e.vals the values of c in [lo, hi) that are not null.
func (e *Encoder) without(c *Column, lo, hi int) {
	v := &e.vals
	v.Reset()
	v.lay = c.lay
	for i := lo; i < hi; i++ {
		if c.valid[i] == 0 {
			continue
		}
		v.n++
		if c.lay.IsText() {
			from := uint32(0)
			if i > 0 {
				from = c.ends[i-1]
			}
			v.data = append(v.data, c.data[from:c.ends[i]]...)
			v.ends = append(v.ends, uint32(len(v.data)))
		} else {
			w := c.lay.width
			v.data = append(v.data, c.data[i*w:(i+1)*w]...)
		}
	}
}

func (e *Encoder) integers(dst []byte, v []int64) []byte { return e.pack(append(dst, packed), v) }

func widened[T int8 | int16 | int32](e *Encoder, v []T) []int64 {
	out := grown(&e.ints, len(v))
	for i, x := range v {
		out[i] = int64(x)
	}
	return out
}

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

const mostExp = 9

var powers = [mostExp + 1]float64{1, 10, 100, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9}

// floats tries whether all values are integers over one power of ten, as amounts of money are. The quotient of two exact
// numbers is rounded as their text was, so the bits come back, and each value is tried.
func (e *Encoder) floats(dst []byte, v []float64, data []byte, i int) []byte {
	if e.rest[i] > 0 {
		e.rest[i]--
		return append(append(dst, rawValues), data...)
	}
	ints := grown(&e.ints, len(v))
	for exp := int(e.exp[i]); exp <= mostExp; exp++ {
		if asDecimals(ints, v, powers[exp]) {
			e.exp[i] = uint8(exp)
			return e.pack(append(dst, decimals, byte(exp)), ints)
		}
	}
	e.exp[i], e.rest[i] = 0, 31
	return append(append(dst, rawValues), data...)
}

func asDecimals(out []int64, v []float64, p float64) bool {
	for i, x := range v {
		n := int64(x*p + math.Copysign(0.5, x))
		if math.Float64bits(float64(n)/p) != math.Float64bits(x) {
			return false
		}
		out[i] = n
	}
	return true
}

// wide keeps 16-byte integers, low word first.
func (e *Encoder) wide(dst []byte, v []int64, data []byte) []byte {
	low := grown(&e.ints, len(v)/2)
	for i := range low {
		if low[i] = v[2*i]; v[2*i+1] != low[i]>>63 {
			return append(append(dst, rawValues), data...)
		}
	}
	return e.pack(append(dst, lowWords), low)
}

const mostDigits = 18 // 10^18 < 2^63

func (e *Encoder) text(dst []byte, c *Column, lo, hi int) []byte {
	from := uint32(0)
	if lo > 0 {
		from = c.ends[lo-1]
	}
	data := c.data[from:c.ends[hi-1]]
	lens := grown(&e.ints, hi-lo)
	same := true
	for i, end := range c.ends[lo:hi] {
		lens[i] = int64(end - from)
		same = same && lens[i] == lens[0]
		from = end
	}
	if n := int(lens[0]); same && n > 0 && n <= mostDigits && c.lay.kind == text && digits(lens, data, n) {
		return e.pack(append(dst, digitTexts, byte(n)), lens)
	}
	dst = e.pack(append(dst, texts), lens)
	return append(dst, data...)
}

// digits sets out to the numbers that the texts of n bytes each are, as long as all are digits. Else out has the length again.
func digits(out []int64, data []byte, n int) bool {
	for i := range out {
		v := int64(0)
		for _, c := range data[i*n : (i+1)*n] {
			if c -= '0'; c > 9 {
				for k := range i {
					out[k] = int64(n)
				}
				return false
			}
			v = 10*v + int64(c)
		}
		out[i] = v
	}
	return true
}
