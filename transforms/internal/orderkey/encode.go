package orderkey

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math"
	"slices"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/bitutil"

	"github.com/sluice-data/sluice/transforms/internal/col"
	"github.com/sluice-data/sluice/transforms/internal/keys"
)

var errHuge = errors.New("more than 4 GiB of keys at once")

// Encoder makes keys. It is used by one goroutine at a time.
type Encoder struct {
	p    *Plan
	vals []uint64 // of one column
	long []source
	buf  []byte
}

// NewEncoder makes an encoder of the plan's keys.
func (p *Plan) NewEncoder() *Encoder { return &Encoder{p: p} }

// Encode appends the keys of n rows of the plan's columns to dst.
func (e *Encoder) Encode(cols []arrow.Array, n int, dst *Keys) error {
	if len(e.p.cols) == 0 || n == 0 {
		dst.N += n
		return nil
	}
	if e.p.tail {
		return e.bytes(cols, n, dst)
	}
	from := dst.N
	dst.W0 = slices.Grow(dst.W0, n)[:from+n]
	w := dst.W0[from:]
	if e.p.bits <= 64 {
		clear(w)
		for i := range e.p.cols {
			e.short(&e.p.cols[i], cols[i], w)
		}
	} else {
		dst.W1 = slices.Grow(dst.W1, n)[:from+n]
		e.double(cols, w, dst.W1[from:])
	}
	dst.N += n
	return nil
}

// short shifts the column's bits into the words.
func (e *Encoder) short(c *column, a arrow.Array, w []uint64) {
	v := e.values(c, a)
	valid, off := col.Valid(a)
	if !c.Nullable {
		for i, x := range v {
			w[i] = w[i]<<c.bits | x
		}
		return
	}
	there, gone := uint64(0), uint64(1)
	if c.NullsFirst {
		there, gone = 1, 0
	}
	there <<= c.bits
	gone <<= c.bits
	for i, x := range v {
		if valid == nil || bitutil.BitIsSet(valid, off+i) {
			w[i] = w[i]<<(c.bits+1) | there | x
		} else {
			w[i] = w[i]<<(c.bits+1) | gone
		}
	}
}

// double makes keys of two words: the first 64 bits, and the others at the low end of the second.
func (e *Encoder) double(cols []arrow.Array, w0, w1 []uint64) {
	clear(w0)
	clear(w1)
	push := func(i int, v uint64, bits uint) {
		w0[i] = w0[i]<<bits | w1[i]>>(64-bits)
		w1[i] = w1[i]<<bits | v
	}
	for k := range e.p.cols {
		c := &e.p.cols[k]
		v := e.values(c, cols[k])
		valid, off := col.Valid(cols[k])
		there, gone := uint64(0), uint64(1)
		if c.NullsFirst {
			there, gone = 1, 0
		}
		for i, x := range v {
			switch {
			case !c.Nullable:
			case valid == nil || bitutil.BitIsSet(valid, off+i):
				push(i, there, 1)
			default:
				push(i, gone, 1)
				x = 0
			}
			push(i, x, c.bits)
		}
	}
	rest := e.p.bits - 64
	for i := range w0 {
		hi, lo := w0[i], w1[i]
		w0[i] = hi<<(64-rest) | lo>>rest
		w1[i] = lo & (1<<rest - 1)
	}
}

// values are the sortable bits of a column, inverted where it descends; those of nulls mean nothing.
func (e *Encoder) values(c *column, a arrow.Array) []uint64 {
	n := a.Len()
	e.vals = slices.Grow(e.vals[:0], n)[:n]
	v := e.vals
	switch c.kind {
	case null:
		clear(v)
	case boolean:
		bits, off := col.Bits(a)
		for i := range v {
			v[i] = 0
			if bitutil.BitIsSet(bits, off+i) {
				v[i] = 1
			}
		}
	case float:
		if c.bytes == 4 {
			for i, x := range col.Fixed[float32](a) {
				v[i] = uint64(float32Bits(x))
			}
		} else {
			for i, x := range col.Fixed[float64](a) {
				v[i] = float64Bits(x)
			}
		}
	case decimal:
		w := col.Words16(a)
		for i := range v {
			v[i] = w[2*i] ^ 1<<63
		}
	default:
		flip := uint64(0)
		if c.kind == signed {
			flip = 1 << (c.bits - 1)
		}
		switch c.bytes {
		case 1:
			for i, x := range col.Fixed[uint8](a) {
				v[i] = uint64(x) ^ flip
			}
		case 2:
			for i, x := range col.Fixed[uint16](a) {
				v[i] = uint64(x) ^ flip
			}
		case 4:
			for i, x := range col.Fixed[uint32](a) {
				v[i] = uint64(x) ^ flip
			}
		case 8:
			for i, x := range col.Fixed[uint64](a) {
				v[i] = x ^ flip
			}
		}
	}
	if c.Desc {
		mask := ^uint64(0) >> (64 - c.bits)
		for i := range v {
			v[i] ^= mask
		}
	}
	return v
}

func float64Bits(v float64) uint64 {
	if v == 0 { // of either sign
		return 1 << 63
	}
	if v != v {
		return math.Float64bits(math.Inf(1)) | 1<<63 | 1<<51
	}
	b := math.Float64bits(v)
	if b>>63 != 0 {
		return ^b
	}
	return b | 1<<63
}

func float32Bits(v float32) uint32 {
	if v == 0 {
		return 1 << 31
	}
	if v != v {
		return 0x7F800000 | 1<<31 | 1<<22
	}
	b := math.Float32bits(v)
	if b>>31 != 0 {
		return ^b
	}
	return b | 1<<31
}

// source is a column that keys of bytes are made of.
type source struct {
	*column
	words []uint64 // of numbers
	wide  []uint64 // of 16-byte ones, pairs
	off   []int32
	data  []byte
	valid []byte
	at    int // of the first row in valid
}

// bytes makes keys of bytes, of which none is the beginning of another: the first eight are the word.
func (e *Encoder) bytes(cols []arrow.Array, n int, dst *Keys) error {
	e.long = e.long[:0]
	for k := range e.p.cols {
		s := source{column: &e.p.cols[k]}
		a := cols[k]
		s.valid, s.at = col.Valid(a)
		switch s.kind {
		case text:
			var ok bool
			if s.off, s.data, ok = col.Var(a); !ok {
				return errHuge
			}
		case wide:
			s.wide = col.Words16(a)
		default:
			s.words = slices.Clone(e.values(s.column, a))
		}
		e.long = append(e.long, s)
	}
	for i := range n {
		key := e.buf[:0]
		for k := range e.long {
			key = e.long[k].append(key, i)
		}
		e.buf = key
		switch {
		case e.p.hash:
			dst.W0 = append(dst.W0, keys.HashBytes(key))
		case len(key) >= 8:
			dst.W0 = append(dst.W0, binary.BigEndian.Uint64(key))
			key = key[8:]
		default:
			var t [8]byte
			copy(t[:], key)
			dst.W0 = append(dst.W0, binary.BigEndian.Uint64(t[:]))
			key = nil
		}
		dst.Bytes = append(dst.Bytes, key...)
		dst.Ends = append(dst.Ends, uint32(len(dst.Bytes)))
	}
	dst.N += n
	if uint64(len(dst.Bytes)) > math.MaxUint32 {
		return errHuge
	}
	return nil
}

// append appends the column's part of row i's key.
func (s *source) append(key []byte, i int) []byte {
	if s.Nullable {
		null := s.valid != nil && bitutil.BitIsNotSet(s.valid, s.at+i)
		if null == s.NullsFirst {
			key = append(key, 0)
		} else {
			key = append(key, 1)
		}
		if null {
			return key
		}
	}
	flip := uint64(0)
	if s.Desc {
		flip = math.MaxUint64
	}
	switch s.kind {
	case text:
		return appendText(key, s.data[s.off[i]:s.off[i+1]], byte(flip))
	case wide:
		key = binary.BigEndian.AppendUint64(key, s.wide[2*i+1]^1<<63^flip)
		return binary.BigEndian.AppendUint64(key, s.wide[2*i]^flip)
	}
	w := s.words[i]
	for b := int(s.bits+7) / 8; b > 0; b-- {
		key = append(key, byte(w>>(8*(b-1))))
	}
	return key
}

// appendText appends text so that it sorts before all that it is the beginning of: zeros are marked, and so is the end.
func appendText(key, s []byte, flip byte) []byte {
	at := len(key)
	for {
		z := bytes.IndexByte(s, 0)
		if z < 0 {
			break
		}
		key = append(append(key, s[:z]...), 0, 0xff)
		s = s[z+1:]
	}
	key = append(append(key, s...), 0, 1)
	if flip != 0 {
		for i := range key[at:] {
			key[at+i] ^= flip
		}
	}
	return key
}
