package rowpack

import (
	"encoding/binary"
	"hash/crc32"
	"math"
)

// Decoder reads pieces back into columns that it reuses.
type Decoder struct {
	Cols []Column
	Runs []Run
	N    int // rows
	// Lazy leaves values as the piece has them, in its memory: for a Builder's AddSpan alone, and as long as the piece is there.
	Lazy bool

	own, values [][]byte // memory of columns whose data is not the piece's; of values that are whole
	nums        []uint64
}

// PieceLen is the length of the piece that begins with head, with its head.
func PieceLen(head []byte) int { return PieceHead + int(binary.LittleEndian.Uint32(head)) }

// Piece reads the piece that src is.
func (d *Decoder) Piece(src []byte) error {
	if len(src) < PieceHead || len(src) != PieceLen(src) {
		return ErrShort
	}
	body := src[PieceHead:]
	if crc32.Checksum(body, castoli) != binary.LittleEndian.Uint32(src[4:]) {
		return ErrShort
	}
	next := func() int64 {
		v, k := binary.Uvarint(body)
		if k <= 0 {
			body = nil
			return 0
		}
		body = body[k:]
		return int64(v)
	}
	n, runs := next(), next()
	if n > PieceRows || runs > n {
		return ErrShort
	}
	d.N, d.Runs = int(n), d.Runs[:0]
	chunk, sum := int64(0), int64(0)
	for range runs {
		chunk += next()
		r := Run{chunk, int(next())}
		sum += int64(r.N)
		d.Runs = append(d.Runs, r)
	}
	if runs > 0 && sum != n {
		return ErrShort
	}
	if d.own == nil {
		d.own, d.values = make([][]byte, len(d.Cols)), make([][]byte, len(d.Cols))
	}
	for i := range d.Cols {
		var err error
		if body, err = d.column(&d.Cols[i], &d.own[i], body); err != nil {
			return err
		}
		if !d.Lazy {
			d.Cols[i].restoreAll(&d.values[i])
		}
	}
	if len(body) != 0 {
		return ErrShort
	}
	return nil
}

func (d *Decoder) column(c *Column, own *[]byte, src []byte) ([]byte, error) {
	if len(src) < 2 || src[0]&^nulls != kindOf(c.lay) {
		return nil, ErrShort
	}
	c.n, c.form, c.data, c.ends, c.valid = d.N, form{}, nil, c.ends[:0], c.valid[:0]
	flag := src[0] & nulls
	src = src[1:]
	there := d.N
	if flag != 0 {
		if len(src) <= (d.N+7)/8 {
			return nil, ErrShort
		}
		c.valid = extend(c.valid, d.N)
		src = unpackBytes(c.valid, src)
		there = 0
		for _, v := range c.valid {
			there += int(v)
		}
	}
	f, w := &c.form, c.lay.width
	f.way = src[0]
	src = src[1:]
	switch isText := c.lay.IsText(); {
	case f.way == texts && isText:
		return c.readTexts(src, there)
	case f.way == bitValues && c.lay.kind == bools:
		if len(src) < (there+7)/8 {
			return nil, ErrShort
		}
		f.width, f.unit = 1, 1
		*own = extend(*own, d.N)
		c.data = (*own)[:there]
		src = unpackBytes(c.data, src)
		c.spread(own)
		return src, nil
	case f.way == rawValues && !isText:
		f.width = w
	case f.way == numbers && (w == 2 || w == 4 || w == 8), f.way == decimals && w == 8 && c.lay.float, f.way == lowWords && w == 16, f.way == digitTexts && c.lay.kind == text:
		if len(src) < 2 {
			return nil, ErrShort
		}
		f.arg, f.width, f.unit = src[0], int(src[1]), 1
		var k int
		if f.base, k = binary.Varint(src[2:]); k <= 0 || f.arg >= mostArg[f.way] || f.width > 8 || f.width&(f.width-1) != 0 {
			return nil, ErrShort
		}
		if f.way == numbers {
			f.unit = units[f.arg]
		}
		src = src[2+k:]
	default:
		return nil, ErrShort
	}
	size := there * f.width
	if len(src) < size {
		return nil, ErrShort
	}
	c.data, src = src[:size], src[size:]
	if f.way == digitTexts {
		d.print(c, own, there)
	} else {
		c.spread(own)
	}
	return src, nil
}

// restoreAll makes the values whole, in memory of their own.
func (c *Column) restoreAll(own *[]byte) {
	if c.lay.IsText() {
		*own = append((*own)[:0], c.data...)
	} else {
		*own = extend(*own, c.n*c.lay.width)
		c.restore(*own, 0, c.n)
	}
	c.data, c.form = *own, form{}
}

// mostArg is above what a form's arg may be.
var mostArg = [...]uint8{numbers: uint8(len(units)), decimals: mostExp + 1, lowWords: 1, digitTexts: mostDigits + 1}

// spread moves the values, of which c.data has those that are not null, to where they belong. What is in a null's place does not matter.
func (c *Column) spread(own *[]byte) {
	w, k := c.form.width, len(c.data)
	if k == c.n*w {
		return
	}
	*own = extend(*own, c.n*w)
	out := *own
	for i := c.n - 1; i >= 0; i-- { // from the end: c.data may be the beginning of out
		if c.valid[i] != 0 {
			k -= w
			copy(out[i*w:(i+1)*w], c.data[k:k+w])
		}
	}
	c.data = out
}

// unpackBytes sets out to the first bits of src, as bytes of 0 or 1, and returns the rest.
func unpackBytes(out []uint8, src []byte) []byte {
	for i := range out {
		out[i] = src[i>>3] >> (i & 7) & 1
	}
	return src[(len(out)+7)/8:]
}

// readTexts reads texts, of which so many are there, and returns what follows them.
func (c *Column) readTexts(src []byte, there int) ([]byte, error) {
	if len(src) == 0 {
		return nil, ErrShort
	}
	w := int(src[0])
	least, k := binary.Uvarint(src[1:])
	if k <= 0 || least > math.MaxInt32 || w > 4 || w&(w-1) != 0 || len(src) < 1+k+there*w {
		return nil, ErrShort
	}
	lens := src[1+k : 1+k+there*w]
	src = src[1+k+there*w:]
	c.ends = extend(c.ends, c.n)
	end, k := uint64(0), 0
	for i := range c.ends {
		if !c.hasNulls() || c.valid[i] != 0 {
			switch end += least; w {
			case 1:
				end += uint64(lens[k])
			case 2:
				end += uint64(binary.LittleEndian.Uint16(lens[k:]))
			case 4:
				end += uint64(binary.LittleEndian.Uint32(lens[k:]))
			}
			k += w
		}
		c.ends[i] = uint32(end)
	}
	if end > uint64(len(src)) {
		return nil, ErrShort
	}
	c.data = src[:end]
	return src[end:], nil
}

// print makes texts of numbers, of which so many are there.
func (d *Decoder) print(c *Column, own *[]byte, there int) {
	n := int(c.form.arg)
	v := grown(&d.nums, there)
	sums(v, &c.form, c.data)
	out := extend(*own, there*n)
	*own = out
	for i, x := range v {
		putNumber(out[i*n:(i+1)*n], x)
	}
	c.form = form{way: texts}
	c.data = out
	c.ends = extend(c.ends, c.n)
	end := uint32(0)
	for i := range c.ends {
		if !c.hasNulls() || c.valid[i] != 0 {
			end += uint32(n)
		}
		c.ends[i] = end
	}
}
