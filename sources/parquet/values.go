package parquet

import (
	"encoding/binary"
	"fmt"
	"unsafe"

	"github.com/parquet-go/parquet-go/format"

	"github.com/sluice-data/sluice/sources/parquet/internal/encoding"
)

// pageValues decodes the values of one page (data or dictionary) in their physical type, some at a time.
type pageValues struct {
	phys  format.Type
	width int // bytes of a fixed-width value
	enc   format.Encoding
	b     []byte
	pos   int // PLAIN: offset of the next value (bit, for booleans); BYTE_STREAM_SPLIT: its number
	count int // BYTE_STREAM_SPLIT: values in the page
	rle   encoding.RLE
	delta encoding.Delta // values, or lengths of values (suffixes)
	pre   encoding.Delta // lengths of prefixes
	last  []byte         // DELTA_BYTE_ARRAY: the value before
}

// dict tells whether the page holds indexes into a dictionary.
func (p *pageValues) dict() bool {
	return p.enc == format.RLEDictionary || p.enc == format.PlainDictionary
}

// reset starts on the values of a page in b.
func (p *pageValues) reset(enc format.Encoding, b []byte) error {
	p.enc, p.b, p.pos, p.last = enc, b, 0, p.last[:0]
	bad := false
	switch enc {
	case format.Plain:
	case format.RLEDictionary, format.PlainDictionary:
		if p.phys == format.Boolean {
			bad = true
			break
		}
		if len(b) == 0 {
			return p.rle.Reset(nil, 0)
		}
		return p.rle.Reset(b[1:], uint(b[0]))
	case format.RLE:
		if p.phys != format.Boolean {
			bad = true
			break
		}
		if len(b) < 4 {
			return p.rle.Reset(nil, 1)
		}
		n := binary.LittleEndian.Uint32(b)
		if uint64(n) > uint64(len(b)-4) {
			return fmt.Errorf("booleans take %d bytes of a page of %d", n, len(b))
		}
		return p.rle.Reset(b[4:4+n], 1)
	case format.DeltaBinaryPacked:
		switch p.phys {
		case format.Int32:
			return p.resetDelta(&p.delta, b, 32)
		case format.Int64:
			return p.resetDelta(&p.delta, b, 64)
		}
		bad = true
	case format.DeltaLengthByteArray:
		if p.phys != format.ByteArray {
			bad = true
			break
		}
		return p.lengths(&p.delta, b)
	case format.DeltaByteArray:
		if p.phys != format.ByteArray && p.phys != format.FixedLenByteArray {
			bad = true
			break
		}
		if err := p.lengths(&p.pre, b); err != nil {
			return err
		}
		return p.lengths(&p.delta, p.b)
	case format.ByteStreamSplit:
		if p.width == 0 || p.phys == format.Boolean {
			bad = true
			break
		}
		if len(b)%p.width != 0 {
			return fmt.Errorf("page of %d bytes holds no whole number of values of %d", len(b), p.width)
		}
		p.count = len(b) / p.width
	default:
		return fmt.Errorf("encoding %d is not supported", enc)
	}
	if bad {
		return fmt.Errorf("encoding %s is not one for %s", enc, p.phys)
	}
	return nil
}

func (p *pageValues) resetDelta(d *encoding.Delta, b []byte, bits uint) error {
	if len(b) == 0 { // a page of nulls alone
		*d = encoding.Delta{}
		return nil
	}
	return d.Reset(b, bits)
}

// lengths starts d on the lengths at the start of b and sets p.b to what follows them.
func (p *pageValues) lengths(d *encoding.Delta, b []byte) error {
	p.b = nil
	if err := p.resetDelta(d, b, 32); err != nil || len(b) == 0 {
		return err
	}
	walk := *d
	end, err := walk.End()
	if err != nil {
		return err
	}
	p.b = b[end:]
	return nil
}

// words32 decodes INT32 and FLOAT.
func (p *pageValues) words32(dst []uint32) error {
	switch p.enc {
	case format.Plain:
		src, err := p.plain(4 * len(dst))
		if err == nil {
			copy(bytesOf(dst), src) // little endian, as is every machine that Go vector code runs on
		}
		return err
	case format.DeltaBinaryPacked:
		return p.delta.Int32s(dst)
	}
	return p.split(bytesOf(dst), len(dst))
}

// words64 decodes INT64 and DOUBLE.
func (p *pageValues) words64(dst []uint64) error {
	switch p.enc {
	case format.Plain:
		src, err := p.plain(8 * len(dst))
		if err == nil {
			copy(bytesOf(dst), src)
		}
		return err
	case format.DeltaBinaryPacked:
		return p.delta.Int64s(dst)
	}
	return p.split(bytesOf(dst), len(dst))
}

// fixed decodes n values of FIXED_LEN_BYTE_ARRAY and INT96 into dst.
func (p *pageValues) fixed(dst []byte, n int) error {
	switch p.enc {
	case format.Plain:
		src, err := p.plain(p.width * n)
		if err == nil {
			copy(dst, src)
		}
		return err
	case format.DeltaByteArray:
		for i := range n {
			v, err := p.prefixed()
			if err != nil {
				return err
			}
			if len(v) != p.width {
				return fmt.Errorf("value of %d bytes in a column of %d", len(v), p.width)
			}
			copy(dst[i*p.width:], v)
		}
		return nil
	}
	return p.split(dst, n)
}

// fixedBlock is how many bytes of fixed-width values are decoded at a time, if there is room for one: a page may promise many wide ones.
const fixedBlock = 1 << 20

// eachFixed calls f with each of the next n values of FIXED_LEN_BYTE_ARRAY or INT96, and returns buf, which they are decoded into.
func (p *pageValues) eachFixed(n int, buf []byte, f func(i int, v []byte)) ([]byte, error) {
	for done := 0; done < n; {
		k := min(n-done, max(fixedBlock/p.width, 1))
		buf = resize(buf, k*p.width)
		if err := p.fixed(buf, k); err != nil {
			return buf, err
		}
		for i := range k {
			f(done+i, buf[i*p.width:][:p.width])
		}
		done += k
	}
	return buf, nil
}

// bools decodes booleans to 0 and 1.
func (p *pageValues) bools(dst []uint8) error {
	if p.enc == format.RLE {
		return p.rle.Levels(dst, 1)
	}
	if len(dst) > len(p.b)*8-p.pos {
		return encoding.ErrShort
	}
	for i := range dst {
		dst[i] = p.b[p.pos>>3] >> (p.pos & 7) & 1
		p.pos++
	}
	return nil
}

func (p *pageValues) plain(n int) ([]byte, error) {
	if n > len(p.b)-p.pos {
		return nil, encoding.ErrShort
	}
	v := p.b[p.pos : p.pos+n]
	p.pos += n
	return v, nil
}

// split gathers n values of BYTE_STREAM_SPLIT.
func (p *pageValues) split(dst []byte, n int) error {
	if n > p.count-p.pos {
		return encoding.ErrShort
	}
	w := p.width
	for k := range w {
		stream := p.b[k*p.count+p.pos:][:n]
		for i, v := range stream {
			dst[i*w+k] = v
		}
	}
	p.pos += n
	return nil
}

// prefixed decodes the next value of DELTA_BYTE_ARRAY, valid until the next call.
func (p *pageValues) prefixed() ([]byte, error) {
	var n [2]uint32
	if err := p.pre.Lengths(n[:1]); err != nil {
		return nil, err
	}
	if err := p.delta.Lengths(n[1:]); err != nil {
		return nil, err
	}
	if int(n[0]) > len(p.last) {
		return nil, fmt.Errorf("value shares %d bytes with one of %d", n[0], len(p.last))
	}
	if int(n[1]) > len(p.b)-p.pos {
		return nil, encoding.ErrShort
	}
	p.last = append(p.last[:n[0]], p.b[p.pos:p.pos+int(n[1])]...)
	p.pos += int(n[1])
	return p.last, nil
}

// bytesOf is the memory of a slice of fixed-width values.
func bytesOf[T any](s []T) []byte {
	if len(s) == 0 {
		return nil
	}
	return unsafe.Slice((*byte)(unsafe.Pointer(&s[0])), len(s)*int(unsafe.Sizeof(s[0])))
}

// sliceOf is a buffer's memory as fixed-width values.
func sliceOf[T any](b []byte) []T {
	var t T
	n := len(b) / int(unsafe.Sizeof(t))
	if n == 0 {
		return nil
	}
	return unsafe.Slice((*T)(unsafe.Pointer(&b[0])), n)
}

// bitCast reads offsets, which are not negative, as unsigned.
func bitCast(s []int32) []uint32 { return sliceOf[uint32](bytesOf(s)) }
