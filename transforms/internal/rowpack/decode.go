package rowpack

import (
	"encoding/binary"
	"hash/crc32"
)

// Decoder reads pieces back into columns that it reuses.
type Decoder struct {
	Cols []Column
	Runs []Run
	N    int // rows
	ints []int64
	lens []uint32
	vals Column // values without the nulls
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
	for i := range d.Cols {
		var err error
		if body, err = d.column(&d.Cols[i], body); err != nil {
			return err
		}
	}
	if len(body) != 0 {
		return ErrShort
	}
	return nil
}

func (d *Decoder) column(c *Column, src []byte) ([]byte, error) {
	if len(src) < 2 || src[0]&^nulls != kindOf(c.lay) {
		return nil, ErrShort
	}
	c.Reset()
	c.n = d.N
	flag := src[0] & nulls
	src = src[1:]
	if flag == 0 {
		return d.values(c, src, d.N)
	}
	if len(src) < (d.N+7)/8 {
		return nil, ErrShort
	}
	c.valid = extend(c.valid, d.N)
	src = unpackBytes(c.valid, src)
	present := 0
	for _, v := range c.valid {
		present += int(v)
	}
	d.vals.Reset()
	d.vals.lay = c.lay
	src, err := d.values(&d.vals, src, present)
	if err != nil {
		return nil, err
	}
	spread(c, &d.vals)
	return src, nil
}

// spread puts the values of v where c has any.
func spread(c, v *Column) {
	k := 0
	if c.lay.IsText() {
		c.data = append(c.data, v.data...)
		end := uint32(0)
		for _, there := range c.valid {
			if there != 0 {
				end = v.ends[k]
				k++
			}
			c.ends = append(c.ends, end)
		}
		return
	}
	w := c.lay.width
	c.data = extend(c.data, len(c.valid)*w)
	clear(c.data)
	for i, there := range c.valid {
		if there != 0 {
			copy(c.data[i*w:(i+1)*w], v.data[k*w:])
			k++
		}
	}
}

// values reads n values into c, which is empty.
func (d *Decoder) values(c *Column, src []byte, n int) ([]byte, error) {
	if len(src) == 0 {
		return nil, ErrShort
	}
	how := src[0]
	src = src[1:]
	w := c.lay.width
	if !c.lay.IsText() {
		c.data = extend(c.data, n*w)
	}
	switch {
	case how == rawValues && (!c.lay.IsText() || n == 0):
		if len(src) < n*w && n > 0 {
			return nil, ErrShort
		}
		copy(c.data, src[:len(c.data)])
		return src[len(c.data):], nil
	case how == packed && w == 1:
		return unpack(as[int8](c.data), src)
	case how == packed && w == 2:
		return unpack(as[int16](c.data), src)
	case how == packed && w == 4:
		return unpack(as[int32](c.data), src)
	case how == packed && w == 8:
		return unpack(as[int64](c.data), src)
	case how == decimals && w == 8:
		return d.decimals(as[float64](c.data), src)
	case how == lowWords && w == 16:
		low := grown(&d.ints, n)
		src, err := unpack(low, src)
		out := as[int64](c.data)
		for i, v := range low {
			out[2*i], out[2*i+1] = v, v>>63
		}
		return src, err
	case how == bitValues && len(src) >= (n+7)/8:
		return unpackBytes(c.data, src), nil
	case how == texts:
		return d.texts(c, src, n)
	case how == digitTexts:
		return d.digits(c, src, n)
	}
	return nil, ErrShort
}

// unpackBytes sets out to the first bits of src, as bytes of 0 or 1, and returns the rest.
func unpackBytes(out []uint8, src []byte) []byte {
	for i := range out {
		out[i] = src[i>>3] >> (i & 7) & 1
	}
	return src[(len(out)+7)/8:]
}

func (d *Decoder) decimals(out []float64, src []byte) ([]byte, error) {
	if len(src) == 0 || src[0] > mostExp {
		return nil, ErrShort
	}
	p := powers[src[0]]
	ints := grown(&d.ints, len(out))
	src, err := unpack(ints, src[1:])
	for i, v := range ints {
		out[i] = float64(v) / p
	}
	return src, err
}

func (d *Decoder) texts(c *Column, src []byte, n int) ([]byte, error) {
	lens := grown(&d.lens, n)
	src, err := unpack(lens, src)
	if err != nil {
		return nil, err
	}
	c.ends = extend(c.ends, n)
	end := uint32(0)
	for i, l := range lens {
		if end += l; uint64(end) > uint64(len(src)) {
			return nil, ErrShort
		}
		c.ends[i] = end
	}
	c.data = append(c.data[:0], src[:end]...)
	return src[end:], nil
}

func (d *Decoder) digits(c *Column, src []byte, n int) ([]byte, error) {
	if len(src) == 0 || src[0] > mostDigits {
		return nil, ErrShort
	}
	width := int(src[0])
	ints := grown(&d.ints, n)
	src, err := unpack(ints, src[1:])
	if err != nil {
		return nil, err
	}
	c.ends = extend(c.ends, n)
	c.data = extend(c.data, n*width)
	for i, v := range ints {
		c.ends[i] = uint32((i + 1) * width)
		out := c.data[i*width : (i+1)*width]
		u := uint64(v)
		for k := width - 1; k >= 0; k-- {
			q := u / 10
			out[k] = '0' + byte(u-10*q)
			u = q
		}
	}
	return src, nil
}
