package parquet

import (
	"encoding/binary"
	"math/bits"
	"slices"
)

// appendHybrid appends v in the RLE/bit-packing hybrid of the Parquet encodings specification, each value in w bits (1 to
// 32): runs of equal values as a count and the value, all else in groups of eight packed from the least significant bit.
func appendHybrid[T uint8 | uint32](dst []byte, v []T, w int) []byte {
	// Shorter runs do not pay for breaking a packed run in two.
	least := max(16, (64/w+7)&^7)
	from, i := 0, 0
	for i+least <= len(v) {
		x := v[i]
		if v[i+7] != x || v[i+least-1] != x {
			i += 8
			continue
		}
		end := i + 1
		for end < len(v) && v[end] == x {
			end++
		}
		if end-i < least {
			i += 8
			continue
		}
		dst = appendPacked(dst, v[from:i], w)
		dst = appendRun(dst, uint32(x), end-i, w)
		from, i = end, end
	}
	return appendPacked(dst, v[from:], w)
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
