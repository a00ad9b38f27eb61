// Package encoding decodes the value and level encodings of Parquet from memory, a bounded number of values at a time:
// a page may hold billions of values in a few bytes, so nothing here is sized by a count from the file.
// Source: https://github.com/apache/parquet-format/blob/master/Encodings.md
package encoding

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// ErrShort is the error for a page that ends before its last value.
var ErrShort = errors.New("page ends before its last value")

// RLE decodes the run length and bit packing hybrid (levels, dictionary indexes, booleans). Its state is a plain value:
// a copy of it is a place to come back to.
type RLE struct {
	b     []byte
	pos   int
	width uint
	// the current run: left values, either all equal to value, or packed from bit on
	left   int
	packed bool
	value  uint32
	bit    int
}

// Reset starts on b, whose values are width bits wide (0 to 32).
func (r *RLE) Reset(b []byte, width uint) error {
	if width > 32 {
		return fmt.Errorf("bit width %d is more than 32", width)
	}
	*r = RLE{b: b, width: width}
	return nil
}

// run reads the next run's header.
func (r *RLE) run() error {
	h, n := binary.Uvarint(r.b[r.pos:])
	if n <= 0 {
		return ErrShort
	}
	if h > 1<<32 {
		return fmt.Errorf("run header %d is out of range", h)
	}
	r.pos += n
	if h&1 == 1 {
		// a writer may leave out the padding of the last group
		values, avail := int(h>>1)*8, len(r.b)-r.pos
		r.packed, r.bit, r.left = true, r.pos*8, values
		size := (values*int(r.width) + 7) / 8
		if size > avail {
			size = avail
			r.left = avail * 8 / int(r.width)
			if r.left == 0 {
				return ErrShort
			}
		}
		r.pos += size
		return nil
	}
	size := int(r.width+7) / 8
	if len(r.b)-r.pos < size {
		return ErrShort
	}
	r.packed, r.left, r.value = false, int(h>>1), 0
	for i := range size {
		r.value |= uint32(r.b[r.pos+i]) << (8 * i)
	}
	r.pos += size
	if r.width < 32 && r.value>>r.width != 0 {
		return fmt.Errorf("run of value %d, which is wider than %d bits", r.value, r.width)
	}
	return nil
}

// Uint32s fills dst.
func (r *RLE) Uint32s(dst []uint32) error {
	for len(dst) > 0 {
		if r.left == 0 {
			if err := r.run(); err != nil {
				return err
			}
			continue
		}
		n := min(r.left, len(dst))
		if r.packed {
			unpack(dst[:n], r.b, r.bit, r.width)
			r.bit += n * int(r.width)
		} else {
			for i := range dst[:n] {
				dst[i] = r.value
			}
		}
		r.left -= n
		dst = dst[n:]
	}
	return nil
}

// Levels fills dst; a level above limit is an error.
func (r *RLE) Levels(dst []uint8, limit uint8) error {
	for len(dst) > 0 {
		if r.left == 0 {
			if err := r.run(); err != nil {
				return err
			}
			continue
		}
		n := min(r.left, len(dst))
		if r.packed {
			if top := unpackLevels(dst[:n], r.b, r.bit, r.width, limit); top > limit {
				return fmt.Errorf("level %d is above the column's %d", top, limit)
			}
			r.bit += n * int(r.width)
		} else {
			if r.value > uint32(limit) {
				return fmt.Errorf("level %d is above the column's %d", r.value, limit)
			}
			fill(dst[:n], uint8(r.value))
		}
		r.left -= n
		dst = dst[n:]
	}
	return nil
}

// Bits sets the bits [off, off+n) of dst to the next n values, which are one bit wide, and returns how many are one.
// Bits of dst from off on must be zero.
func (r *RLE) Bits(dst []byte, off, n int) (ones int, err error) {
	for n > 0 {
		if r.left == 0 {
			if err := r.run(); err != nil {
				return ones, err
			}
			continue
		}
		k := min(r.left, n)
		if r.packed {
			ones += CopyBits(dst, off, r.b, r.bit, k)
			r.bit += k
		} else if r.value != 0 {
			SetBits(dst, off, k)
			ones += k
		}
		r.left -= k
		off += k
		n -= k
	}
	return ones, nil
}

// Ones passes over up to n values as long as they are ones that a run repeats, and returns how many.
func (r *RLE) Ones(n int) (int, error) {
	done := 0
	for done < n {
		if r.left == 0 {
			if err := r.run(); err != nil {
				return done, err
			}
			continue
		}
		if r.packed || r.value != 1 {
			break
		}
		k := min(r.left, n-done)
		r.left -= k
		done += k
	}
	return done, nil
}

// tail64 is the little-endian word at b[at:], filled up with zeros.
func tail64(b []byte, at int) uint64 {
	var t [8]byte
	if at < len(b) {
		copy(t[:], b[at:])
	}
	return binary.LittleEndian.Uint64(t[:])
}
