package parquet

import "encoding/binary"

// What recurs in values tells whether a search for matches is worth its time, at a fraction of that. A search takes six bytes
// that were there before for a match.

// seenLog is the size of the table of places, 2^seenLog.
const seenLog = 15

// table is an empty table of 2^log places.
func (c *compressor) table(log int) []uint32 {
	if c.seen == nil {
		c.seen = make([]uint32, 1<<seenLog)
	}
	t := c.seen[:1<<log]
	clear(t)
	return t
}

// six is a key of the six bytes at i, and their place in a table of 2^log.
func six(b []byte, i, log int) (x, h uint64) {
	x = binary.LittleEndian.Uint64(b[i:]) << 16
	return x, x * 0x9E3779B97F4A7C15 >> (64 - log)
}

// worthSearch says whether so much of the last quarter of b, values of stride bytes (0: of no common width), was there before that a
// search may find it. What is the same in the value before is found without.
func (c *compressor) worthSearch(b []byte, stride int) bool {
	const log = 12
	seen := c.table(log)
	last, end := len(b)-len(b)/4, len(b)-8
	if stride == 0 {
		found, i := 0, 0
		for ; i < last; i += 2 {
			_, h := six(b, i, log)
			seen[h] = uint32(i + 1)
		}
		for ; i <= end; i++ {
			x, h := six(b, i, log)
			if at := int(seen[h]) - 1; at >= 0 && binary.LittleEndian.Uint64(b[at:])<<16 == x {
				found += 6
				i += 5
			}
		}
		return found > len(b)/4/16
	}
	// the six bytes with which values begin, and those with which they end
	ends := stride - 6
	i := (6 + stride - 1) / stride * stride
	found, n := 0, 0
	for ; i < last; i += stride {
		_, h := six(b, i, log)
		seen[h] = uint32(i + 1)
		_, h = six(b, i+ends, log)
		seen[h] = uint32(i + ends + 1)
	}
	for ; i+max(ends, 0) <= end; i += stride {
		n++
		if c.before(b, i, stride, log) || c.before(b, i+ends, stride, log) {
			found++
		}
	}
	return found > n/32
}

// before says whether the six bytes at i are elsewhere before, but not one stride before.
func (c *compressor) before(b []byte, i, stride, log int) bool {
	x, h := six(b, i, log)
	at := int(c.seen[h]) - 1
	return at >= 0 && binary.LittleEndian.Uint64(b[at:])<<16 == x && (binary.LittleEndian.Uint64(b[i-stride:])<<16 != x)
}

// recurs says whether five eighths of the last n bytes, in pieces of eight, are further back, too: often, for it knows one place
// there in eight, or fewer where there are many. Half is too few: numbers behind a length of four bytes share that and their
// first digits.
func (c *compressor) recurs(b []byte, n int) bool {
	b = b[max(0, len(b)-longPageBytes):]
	sample := len(b) - n
	if sample < n {
		return false
	}
	seen := c.table(seenLog)
	step := max(8, sample/places)
	for i := 0; i+8 <= sample; i += step {
		x := binary.LittleEndian.Uint64(b[i:])
		seen[x*0x9E3779B97F4A7C15>>(64-seenLog)] = uint32(i + 1)
	}
	found := 0
	for i := sample; i+8 <= len(b); i++ {
		x := binary.LittleEndian.Uint64(b[i:])
		if at := seen[x*0x9E3779B97F4A7C15>>(64-seenLog)]; at > 0 && binary.LittleEndian.Uint64(b[at-1:]) == x {
			found += 8
			i += 7
		}
	}
	return found >= n*5/8
}
