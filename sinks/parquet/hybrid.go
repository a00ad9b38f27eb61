package parquet

import (
	"encoding/binary"
	"math/bits"
	"slices"
)

// appendHybrid appends v in the RLE/bit-packing hybrid of the Parquet encodings specification, each value in w bits (1 to
// 32): runs of equal values as a count and the value, all else in groups of eight packed from the least significant bit.
// Runs begin at every eighth value only.
func appendHybrid[T uint8 | uint32](dst []byte, v []T, w int) []byte {
	// Shorter runs do not pay for breaking a packed run in two: a run of so many groups takes 64 bits packed.
	least := max(2, (64/w+7)/8)
	groups := len(v) / 8
	from := 0
	for g := 0; g < groups; {
		n := min(64, groups-g)
		same := sameGroups(v[8*g:], n)
		starts := same
		for k := 1; k < least; k++ {
			starts &= same >> k
		}
		next := g + n
		for starts != 0 {
			at := g + bits.TrailingZeros64(starts)
			end := runEnd(v, at)
			if end-8*at < 8*least {
				starts &= starts - 1 // its neighbours are of other values
				continue
			}
			dst = appendPacked(dst, v[from:8*at], w)
			dst = appendRun(dst, uint32(v[8*at]), end-8*at, w)
			from = end
			if end/8 >= next {
				next = (end + 7) / 8
				break
			}
			starts &^= 1<<(end/8-g) - 1
		}
		g = next
	}
	return appendPacked(dst, v[from:], w)
}

// sameGroups has bit i set where the eight values of group i (up to 64 groups) are the same. It does not branch on them.
func sameGroups[T uint8 | uint32](v []T, groups int) uint64 {
	var same uint64
	for i := range groups {
		g := v[8*i : 8*i+8 : 8*i+8]
		x := g[0]
		d := (x ^ g[1]) | (x ^ g[2]) | (x ^ g[3]) | (x ^ g[4]) | (x ^ g[5]) | (x ^ g[6]) | (x ^ g[7])
		same |= (uint64(d) - 1) >> 63 << (i & 63)
	}
	return same
}

// runEnd is where the run ends that begins with group at: after a whole group, or at the end of v.
func runEnd[T uint8 | uint32](v []T, at int) int {
	x := v[8*at]
	i := 8*at + 8
	for ; i+8 <= len(v) && v[i] == x && sameGroups(v[i:], 1) != 0; i += 8 {
	}
	if i+8 > len(v) {
		for i < len(v) && v[i] == x {
			i++
		}
	}
	return i
}

// appendRun appends a run of n times x.
func appendRun(dst []byte, x uint32, n, w int) []byte {
	dst = binary.AppendUvarint(dst, uint64(n)<<1)
	for ; w > 0; w -= 8 {
		dst = append(dst, byte(x))
		x >>= 8
	}
	return dst
}

// appendPacked appends v bit-packed; only the last run of a stream may have a length that is no multiple of eight.
func appendPacked[T uint8 | uint32](dst []byte, v []T, w int) []byte {
	if len(v) == 0 {
		return dst
	}
	groups := (len(v) + 7) / 8
	dst = binary.AppendUvarint(dst, uint64(groups)<<1|1)
	at, n := len(dst), groups*w
	dst = slices.Grow(dst, n+16) // whole words are stored, also the last
	out := dst[at : at+n+16]
	k := 0
	if w <= 16 {
		// Four values fit a word: a group of eight is two of them.
		for ; len(v) >= 8; v = v[8:] {
			g := v[:8:8]
			lo := uint64(g[0]) | uint64(g[1])<<w | uint64(g[2])<<(2*w) | uint64(g[3])<<(3*w)
			hi := uint64(g[4]) | uint64(g[5])<<w | uint64(g[6])<<(2*w) | uint64(g[7])<<(3*w)
			binary.LittleEndian.PutUint64(out[k:], lo|hi<<(4*w))
			binary.LittleEndian.PutUint64(out[k+8:], hi>>(64-4*w))
			k += w
		}
	}
	var acc uint64
	held := 0
	for _, x := range v {
		acc |= uint64(x) << held
		held += w
		if held >= 32 {
			binary.LittleEndian.PutUint32(out[k:], uint32(acc))
			k += 4
			acc >>= 32
			held -= 32
		}
	}
	for ; k < n; k += 4 {
		binary.LittleEndian.PutUint32(out[k:], uint32(acc))
		acc = 0
	}
	return dst[:at+n]
}

// bitWidth is the number of bits that hold 0 to most; at least one, which every reader understands.
func bitWidth(most int) int { return max(1, bits.Len(uint(most))) }

// appendLevels appends the levels of a data page v1: their byte length, then the hybrid.
func appendLevels(dst []byte, levels []uint8, most uint8) []byte {
	at := len(dst)
	dst = append(dst, 0, 0, 0, 0)
	dst = appendHybrid(dst, levels, bitWidth(int(most)))
	binary.LittleEndian.PutUint32(dst[at:], uint32(len(dst)-at-4))
	return dst
}

// appendValidity appends the definition levels 0 and 1 of rows [from, to) of which some are null, straight from the
// validity bitmap: its bits are a bit-packed run as they are.
func appendValidity(dst []byte, valid bitmap, from, to, nulls int) []byte {
	at := len(dst)
	dst = append(dst, 0, 0, 0, 0)
	n := to - from
	switch nulls {
	case 0:
		dst = appendRun(dst, 1, n, 1)
	case n:
		dst = appendRun(dst, 0, n, 1)
	default:
		dst = binary.AppendUvarint(dst, uint64((n+7)/8)<<1|1)
		dst = valid.appendTo(dst, from, n)
	}
	binary.LittleEndian.PutUint32(dst[at:], uint32(len(dst)-at-4))
	return dst
}
