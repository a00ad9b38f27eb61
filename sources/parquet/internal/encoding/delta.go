package encoding

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// Delta decodes DELTA_BINARY_PACKED, a miniblock at a time.
type Delta struct {
	b         []byte
	pos       int // of the next miniblock's bits, or the next block's header
	mini      int // values in a miniblock
	minis     int // miniblocks in a block
	total     int // values not yet decoded
	first     bool
	last      uint64
	minDelta  uint64
	widths    int // offset of the block's bit widths
	next      int // next miniblock of the block
	width     uint
	bit       int // of the next value in the current miniblock
	left      int // values left in the current miniblock
	valueBits uint
}

// maxDeltaBlock bounds the values in a block. Writers use 128 and 256.
const maxDeltaBlock = 1 << 16

// Reset starts on b; its values are bits (32 or 64) wide.
func (d *Delta) Reset(b []byte, valueBits uint) error {
	*d = Delta{b: b, first: true, valueBits: valueBits}
	block, ok1 := d.uvarint()
	minis, ok2 := d.uvarint()
	total, ok3 := d.uvarint()
	first, ok4 := d.uvarint()
	switch {
	case !ok1 || !ok2 || !ok3 || !ok4:
		return ErrShort
	case block == 0 || block%128 != 0 || block > maxDeltaBlock:
		return fmt.Errorf("delta block of %d values is not a multiple of 128 up to %d", block, maxDeltaBlock)
	case minis == 0 || minis > block/32 || block%minis != 0 || (block/minis)%32 != 0:
		return fmt.Errorf("delta block of %d values in %d miniblocks", block, minis)
	case total > 1<<31-1:
		return fmt.Errorf("delta page of %d values", total)
	}
	d.mini, d.minis, d.total, d.last = int(block/minis), int(minis), int(total), unzigzag(first)
	d.next = d.minis
	return nil
}

// Total is the number of values not yet decoded.
func (d *Delta) Total() int { return d.total }

func (d *Delta) uvarint() (uint64, bool) {
	v, n := binary.Uvarint(d.b[d.pos:])
	if n <= 0 {
		return 0, false
	}
	d.pos += n
	return v, true
}

func unzigzag(u uint64) uint64 { return u>>1 ^ -(u & 1) }

// advance goes to the next miniblock.
func (d *Delta) advance() error {
	if d.next == d.minis {
		m, ok := d.uvarint()
		if !ok || len(d.b)-d.pos < d.minis {
			return ErrShort
		}
		d.minDelta, d.widths, d.next = unzigzag(m), d.pos, 0
		d.pos += d.minis
	}
	d.width = uint(d.b[d.widths+d.next])
	d.next++
	if d.width > d.valueBits {
		return fmt.Errorf("delta of %d bits in a column of %d", d.width, d.valueBits)
	}
	size := d.mini * int(d.width) / 8
	d.bit, d.left = d.pos*8, d.mini
	if size > len(d.b)-d.pos {
		// a writer may leave out the padding of the last miniblock
		size = len(d.b) - d.pos
		if size*8 < min(d.total, d.mini)*int(d.width) {
			return ErrShort
		}
	}
	d.pos += size
	return nil
}

// Int64s fills dst.
func (d *Delta) Int64s(dst []uint64) error {
	if len(dst) > d.total {
		return ErrShort
	}
	for len(dst) > 0 {
		if d.first {
			d.first = false
			dst[0] = d.last
			d.total--
			dst = dst[1:]
			continue
		}
		if d.left == 0 {
			if err := d.advance(); err != nil {
				return err
			}
		}
		n := min(d.left, len(dst))
		d.fill(dst[:n])
		d.left -= n
		d.total -= n
		dst = dst[n:]
	}
	return nil
}

func (d *Delta) fill(dst []uint64) {
	last, bit, w, b := d.last, d.bit, d.width, d.b
	switch {
	case w == 0:
		for i := range dst {
			last += d.minDelta
			dst[i] = last
		}
	case w <= 56:
		mask := uint64(1)<<w - 1
		for i := range dst {
			at := bit >> 3
			var x uint64
			if at+8 <= len(b) {
				x = binary.LittleEndian.Uint64(b[at:])
			} else {
				x = tail64(b, at)
			}
			last += d.minDelta + x>>(bit&7)&mask
			dst[i] = last
			bit += int(w)
		}
	default:
		mask := ^uint64(0) >> (64 - w)
		for i := range dst {
			at, s := bit>>3, uint(bit&7)
			x := tail64(b, at) >> s
			if s > 0 {
				x |= tail64(b, at+8) << (64 - s)
			}
			last += d.minDelta + x&mask
			dst[i] = last
			bit += int(w)
		}
	}
	d.last, d.bit = last, bit
}

// Int32s fills dst; values wrap at 32 bits, as the specification has it.
func (d *Delta) Int32s(dst []uint32) error {
	var tmp [256]uint64
	for len(dst) > 0 {
		n := min(len(dst), len(tmp))
		if err := d.Int64s(tmp[:n]); err != nil {
			return err
		}
		for i, v := range tmp[:n] {
			dst[i] = uint32(v)
		}
		dst = dst[n:]
	}
	return nil
}

// End walks over all values without decoding them and returns the offset behind the last one. d is used up.
func (d *Delta) End() (int, error) {
	if d.first && d.total > 0 {
		d.first = false
		d.total--
	}
	for d.total > 0 {
		if err := d.advance(); err != nil {
			return 0, err
		}
		d.total -= min(d.total, d.mini)
	}
	return d.pos, nil
}

// Lengths decodes the lengths of DELTA_LENGTH_BYTE_ARRAY and the like from a Delta, refusing negative ones.
func (d *Delta) Lengths(dst []uint32) error {
	if err := d.Int32s(dst); err != nil {
		return err
	}
	for _, v := range dst {
		if int32(v) < 0 {
			return errNegative
		}
	}
	return nil
}

var errNegative = errors.New("a length is negative")
