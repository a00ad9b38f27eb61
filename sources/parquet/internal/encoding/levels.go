package encoding

import (
	"encoding/binary"
	"math/bits"
)

// Levels are a byte each and below 128, so that eight of them are compared as one word.
const (
	ones  = 0x0101010101010101
	highs = 0x80 * ones
	// MaxLevel is the highest level that the functions of this file take: a schema is nested far less deep.
	MaxLevel = 127
)

// atLeast has the high bit set of each byte of w that is t or more.
func atLeast(w uint64, t uint8) uint64 { return (w + (0x80-uint64(t))*ones) & highs }

// gatherHighs are the high bits of h's bytes; its other bits are zero.
func gatherHighs(h uint64) uint64 { return h >> 7 * 0x0102040810204080 >> 56 }

func load(b []uint8, i int) uint64 { return binary.LittleEndian.Uint64(b[i : i+8]) }

func bit(b bool) uint64 {
	if b {
		return 1
	}
	return 0
}

// CountLevels counts the repetition levels that are 0, which are rows, and the definition levels that are max, which are values.
// Both slices are of one length, no level is above max, which is at most MaxLevel.
func CountLevels(defs, reps []uint8, max uint8) (rows, values int) {
	i := 0
	for ; i+8 <= len(defs); i += 8 {
		rows += 8 - bits.OnesCount64(atLeast(load(reps, i), 1))
		values += bits.OnesCount64(atLeast(load(defs, i), max))
	}
	for ; i < len(defs); i++ {
		rows += int(bit(reps[i] == 0))
		values += int(bit(defs[i] == max))
	}
	return rows, values
}

// squeezed[k][v] are the bits of v that are set in k, moved together.
var squeezed = func() (t [16][16]uint8) {
	for k := range t {
		for v := range t[k] {
			n := 0
			for i := range 4 {
				if k>>i&1 == 1 {
					t[k][v] |= uint8(v>>i&1) << n
					n++
				}
			}
		}
	}
	return t
}()

// Slots appends to the zeroed bitmap valid, one bit for each entry whose repetition level is at most rep and whose definition level is
// at least def, whether its definition level is at least notNull. It returns the bits and how many are zero. Levels are at most
// MaxLevel, and valid has a bit for each entry.
func Slots(valid []byte, defs, reps []uint8, notNull, def, rep uint8) (n, nulls int) {
	i, acc, fill, at, set := 0, uint64(0), 0, 0, 0
	for ; i+8 <= len(defs); i += 8 {
		d := load(defs, i)
		keep := gatherHighs(atLeast(d, def) &^ atLeast(load(reps, i), rep+1))
		v := gatherHighs(atLeast(d, notNull))
		k := 8
		if keep != 0xff {
			low := bits.OnesCount64(keep & 15)
			k = low + bits.OnesCount64(keep>>4)
			v = uint64(squeezed[keep&15][v&15]) | uint64(squeezed[keep>>4][v>>4])<<low
		}
		acc |= v << fill
		set += bits.OnesCount64(v)
		n += k
		if fill += k; fill >= 32 {
			binary.LittleEndian.PutUint32(valid[at:], uint32(acc))
			acc >>= 32
			fill -= 32
			at += 4
		}
	}
	for ; fill > 0; fill -= 8 {
		valid[at] = byte(acc)
		acc >>= 8
		at++
	}
	nulls = n - set
	for ; i < len(defs); i++ {
		if reps[i] > rep || defs[i] < def {
			continue
		}
		if defs[i] >= notNull {
			valid[n>>3] |= 1 << (n & 7)
		} else {
			nulls++
		}
		n++
	}
	return n, nulls
}

// Offsets fills off with how many elements there are before each slot, and behind the last: slots begin at the entries whose
// repetition level is at most rep and whose definition level is at least def, elements where they are at most rep+1 and at least
// elem. Levels are at most MaxLevel, off is one longer than the slots. It returns the elements.
func Offsets(off []int32, defs, reps []uint8, elem, def, rep uint8) int {
	i, slot, count := 0, 0, int32(0)
	for ; i+8 <= len(defs) && slot+8 <= len(off); i += 8 {
		d, r := load(defs, i), load(reps, i)
		begins := atLeast(d, def) &^ atLeast(r, rep+1)
		elems := atLeast(d, elem) &^ atLeast(r, rep+2)
		o := off[slot : slot+8 : slot+8]
		slot += bits.OnesCount64(begins)
		// each time the lowest begin: the elements below it are before the slot
		for k := 0; k < 8; k += 4 {
			for j := range 4 {
				o[k+j] = count + int32(bits.OnesCount64(elems&((begins&-begins)-1)))
				begins &= begins - 1
			}
			if begins == 0 {
				break
			}
		}
		count += int32(bits.OnesCount64(elems))
	}
	for ; i < len(defs); i++ {
		off[slot] = count // of the slot to come: it stays when that begins
		slot += int(bit(reps[i] <= rep) & bit(defs[i] >= def))
		count += int32(bit(reps[i] <= rep+1) & bit(defs[i] >= elem))
	}
	for ; slot < len(off); slot++ {
		off[slot] = count
	}
	return int(count)
}

// unpackLevels reads len(dst) levels of width bits (at most 8) from bit on, as unpack does. It returns the largest if that is above
// limit, else any that is not.
func unpackLevels(dst []uint8, b []byte, bit int, width uint, limit uint8) (top uint8) {
	if width == 0 {
		clear(dst)
		return 0
	}
	i, w, mask := 0, int(width), uint32(1)<<width-1
	one := func() {
		at := bit >> 3
		v := uint32(b[at])
		if at+1 < len(b) {
			v |= uint32(b[at+1]) << 8
		}
		dst[i] = uint8(v >> (bit & 7) & mask)
		top = max(top, dst[i])
		bit += w
		i++
	}
	for i < len(dst) && bit&7 != 0 {
		one()
	}
	if limit <= MaxLevel && width < 8 {
		// eight fields part in halves three times, until each has a byte of its own
		m4, m2, m1 := uint64(1)<<(4*width)-1, (uint64(1)<<(2*width)-1)*(1<<32+1), (uint64(1)<<width-1)*(1<<48+1<<32+1<<16+1)
		s4, s2, s1 := (32-4*width)&63, (16-2*width)&63, (8-width)&63
		above, over := (0x7f-uint64(limit))*ones, uint64(0)
		at, from := bit>>3, i
		for ; i+8 <= len(dst) && at+8 <= len(b); i += 8 {
			x := binary.LittleEndian.Uint64(b[at:])
			x = x&m4 | x<<s4&(m4<<32)
			x = x&m2 | x<<s2&(m2<<16)
			x = x&m1 | x<<s1&(m1<<8)
			over |= x + above
			binary.LittleEndian.PutUint64(dst[i:], x)
			at += w
		}
		bit = at << 3
		if over&highs != 0 {
			for _, v := range dst[from:i] {
				top = max(top, v)
			}
		}
	}
	for i < len(dst) {
		one()
	}
	return top
}
