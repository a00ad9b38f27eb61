package meta

import (
	"errors"
	"fmt"
)

// Thrift compact protocol types. See https://github.com/apache/thrift/blob/master/doc/specs/thrift-compact-protocol.md
const (
	tTrue   = 1
	tFalse  = 2
	tByte   = 3
	tI16    = 4
	tI32    = 5
	tI64    = 6
	tDouble = 7
	tBinary = 8
	tList   = 9
	tSet    = 10
	tMap    = 11
	tStruct = 12
	tUUID   = 13
)

// maxDepth bounds the nesting of skipped structures, so that a hostile file cannot exhaust the stack.
const maxDepth = 32

// ErrShort is wrapped by the error for a structure that goes on beyond the bytes at hand.
var ErrShort = errors.New("structure is cut off")

// cursor reads the compact protocol from memory. The first error sticks and all later reads give zero values. No length
// from the input is trusted: lists and strings must fit into the bytes that are left.
type cursor struct {
	b   []byte
	pos int
	err error
}

func (c *cursor) fail(err error) {
	if c.err == nil {
		c.err = err
	}
	c.pos = len(c.b)
}

func (c *cursor) u8() byte {
	if c.pos >= len(c.b) {
		c.fail(ErrShort)
		return 0
	}
	v := c.b[c.pos]
	c.pos++
	return v
}

func (c *cursor) uvarint() uint64 {
	var v uint64
	for shift := uint(0); shift < 64; shift += 7 {
		b := c.u8()
		if c.err != nil {
			return 0
		}
		v |= uint64(b&0x7f) << shift
		if b < 0x80 {
			return v
		}
	}
	c.fail(errors.New("integer is longer than 64 bits"))
	return 0
}

func (c *cursor) i64() int64 {
	u := c.uvarint()
	return int64(u>>1) ^ -int64(u&1)
}

func (c *cursor) i32() int32 {
	v := c.i64()
	if int64(int32(v)) != v {
		c.fail(fmt.Errorf("integer %d does not fit 32 bits", v))
		return 0
	}
	return int32(v)
}

// binary returns the next string; it aliases the input.
func (c *cursor) binary() []byte {
	n := c.uvarint()
	if c.err != nil {
		return nil
	}
	if n > uint64(len(c.b)-c.pos) {
		c.fail(ErrShort)
		return nil
	}
	v := c.b[c.pos : c.pos+int(n)]
	c.pos += int(n)
	return v
}

// list returns the length and element type of a list; each element takes at least one byte.
func (c *cursor) list() (n int, elem byte) {
	h := c.u8()
	size := uint64(h >> 4)
	if size == 15 {
		size = c.uvarint()
	}
	if c.err == nil && size > uint64(len(c.b)-c.pos) {
		c.fail(ErrShort)
	}
	if c.err != nil {
		return 0, 0
	}
	return int(size), h & 15
}

// field reads the header of a struct's next field; ok is false at the end of the struct.
func (c *cursor) field(last *int16) (id int16, typ byte, ok bool) {
	h := c.u8()
	if c.err != nil || h == 0 {
		return 0, 0, false
	}
	if d := h >> 4; d != 0 {
		*last += int16(d)
	} else {
		*last = int16(c.i64())
	}
	return *last, h & 15, c.err == nil
}

// each calls f for each field of a struct. f returns false for a field that it did not read (which is then skipped).
func (c *cursor) each(f func(id int16, typ byte) bool) {
	var last int16
	for {
		id, typ, ok := c.field(&last)
		if !ok {
			return
		}
		if !f(id, typ) {
			c.skip(typ, 0)
		}
	}
}

func (c *cursor) skip(typ byte, depth int) {
	if depth > maxDepth {
		c.fail(errors.New("structure is nested too deeply"))
		return
	}
	switch typ {
	case tTrue, tFalse: // the value is in the type
	case tByte:
		c.u8()
	case tI16, tI32, tI64:
		c.uvarint()
	case tDouble:
		c.advance(8)
	case tUUID:
		c.advance(16)
	case tBinary:
		c.binary()
	case tList, tSet:
		n, elem := c.list()
		for ; n > 0 && c.err == nil; n-- {
			c.skipElem(elem, depth)
		}
	case tMap:
		n := c.uvarint()
		if n == 0 || c.err != nil {
			return
		}
		if n > uint64(len(c.b)-c.pos) {
			c.fail(ErrShort)
			return
		}
		kv := c.u8()
		for ; n > 0 && c.err == nil; n-- {
			c.skipElem(kv>>4, depth)
			c.skipElem(kv&15, depth)
		}
	case tStruct:
		var last int16
		for {
			_, t, ok := c.field(&last)
			if !ok {
				return
			}
			c.skip(t, depth+1)
		}
	default:
		c.fail(fmt.Errorf("unknown type %d", typ))
	}
}

// skipElem skips an element of a list, set or map, where booleans take a byte of their own.
func (c *cursor) skipElem(typ byte, depth int) {
	if typ == tTrue || typ == tFalse {
		c.u8()
		return
	}
	c.skip(typ, depth+1)
}

func (c *cursor) advance(n int) {
	if n > len(c.b)-c.pos {
		c.fail(ErrShort)
		return
	}
	c.pos += n
}
