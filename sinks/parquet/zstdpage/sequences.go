package zstdpage

import (
	"encoding/binary"
	"math/bits"
	"slices"
)

// How the codes of a block's lengths or offsets are stored (RFC 8878, section 3.1.1.3.2.1.2).
const (
	modeRLE        = 1
	modeCompressed = 2
)

// appendSequences appends the sequences section (RFC 8878, section 3.1.1.3.2) of e.seqs, whose offsets are all stride.
func (e *Encoder) appendSequences(dst []byte, stride int) []byte {
	n := len(e.seqs)
	dst = appendCount(dst, n)
	if n == 0 {
		return dst
	}
	e.ll.reset()
	e.of.reset()
	e.ml.reset()
	for _, s := range e.seqs {
		e.ll.counts[litCode(s.lit)]++
		e.ml.counts[matchCode(s.match)]++
	}
	// Offset 1 means the most recent one, those from 4 on mean 3 less.
	first := uint32(stride + 3)
	if e.repeats {
		first = 1
	}
	e.of.counts[0] = n - 1
	e.of.counts[bits.Len32(first)-1]++
	at := len(dst)
	dst = append(dst, 0)
	ll, dst := e.ll.prepare(dst, n)
	of, dst := e.of.prepare(dst, n)
	ml, dst := e.ml.prepare(dst, n)
	dst[at] = byte(ll<<6 | of<<4 | ml<<2)
	return e.appendBits(dst, first)
}

// appendCount appends the number of sequences.
func appendCount(dst []byte, n int) []byte {
	switch {
	case n < 128:
		return append(dst, byte(n))
	case n < 0x7F00:
		return append(dst, byte(n>>8)+128, byte(n))
	}
	return append(dst, 255, byte(n-0x7F00), byte((n-0x7F00)>>8))
}

// appendBits appends the bit stream, which is read from its end: the last sequence comes first.
func (e *Encoder) appendBits(dst []byte, first uint32) []byte {
	w := bitWriter{out: dst}
	w.room(len(e.seqs))
	last := len(e.seqs) - 1
	s := e.seqs[last]
	lc, mc, oc := litCode(s.lit), matchCode(s.match), uint8(0)
	firstCode := uint8(bits.Len32(first) - 1)
	if last == 0 {
		oc = firstCode
	}
	ll, of, ml := e.ll.start(lc), e.of.start(oc), e.ml.start(mc)
	for i := last; ; {
		w.add(s.lit-litBase[lc&63], litBits[lc&63])
		w.add(s.match-matchBase[mc&63], matchBits[mc&63])
		w.flush() // 7 bits that were held and twice 16
		if i == 0 {
			w.add(first-1<<firstCode, firstCode)
		}
		if i--; i < 0 {
			break
		}
		s = e.seqs[i]
		lc, mc, oc = litCode(s.lit), matchCode(s.match), 0
		if i == 0 {
			oc = firstCode
		}
		of = e.of.encode(&w, of, oc)
		ml = e.ml.encode(&w, ml, mc)
		ll = e.ll.encode(&w, ll, lc)
		// at most 7 bits and three times 8: the lengths have room, too, unless they are long
		if litBits[lc&63]+matchBits[mc&63] > 24 {
			w.flush()
		}
	}
	w.flush()
	w.add(ml&(1<<e.ml.log-1), e.ml.log)
	w.add(of&(1<<e.of.log-1), e.of.log)
	w.add(ll&(1<<e.ll.log-1), e.ll.log)
	w.flush()
	w.add(1, 1) // where the stream begins
	return w.close()
}

// bitWriter packs bits from the least significant one.
type bitWriter struct {
	out  []byte
	bits uint64
	n    uint8
}

// room makes sure that so many flushes, and a few more, need no new memory.
func (w *bitWriter) room(flushes int) { w.out = slices.Grow(w.out, 8*flushes+64) }

// add takes the low n bits of v, which has no others; flush makes room for 56.
func (w *bitWriter) add(v uint32, n uint8) {
	w.bits |= uint64(v) << (w.n & 63)
	w.n += n
}

func (w *bitWriter) flush() {
	at := len(w.out)
	if cap(w.out)-at < 8 {
		w.out = slices.Grow(w.out, 64)
	}
	binary.LittleEndian.PutUint64(w.out[at:at+8], w.bits)
	w.out = w.out[:at+int(w.n>>3)]
	w.bits >>= w.n &^ 7 & 63
	w.n &= 7
}

func (w *bitWriter) close() []byte {
	w.flush()
	if w.n > 0 {
		w.out = append(w.out, byte(w.bits))
	}
	return w.out
}

// Codes of lengths: the least length that has the code, and the bits that say how much longer it is (RFC 8878, sections
// 3.1.1.3.2.1.1).
var (
	litBase, matchBase [64]uint32
	litBits, matchBits [64]uint8
	litCodes           [64]uint8
	matchCodes         [128]uint8
)

func init() {
	fill := func(base []uint32, extra, codes []uint8, from uint32, widths []uint8) {
		at := from
		for c, w := range widths {
			base[c], extra[c] = at, w
			for k := at; k < at+1<<w && int(k-from) < len(codes); k++ {
				codes[k-from] = uint8(c)
			}
			at += 1 << w
		}
	}
	direct := make([]uint8, 32)
	fill(litBase[:], litBits[:], litCodes[:], 0, append(direct[:16:16], 1, 1, 1, 1, 2, 2, 3, 3, 4, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16))
	fill(matchBase[:], matchBits[:], matchCodes[:], minMatch, append(direct[:32:32], 1, 1, 1, 1, 2, 2, 3, 3, 4, 4, 5, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16))
}

func litCode(n uint32) uint8 {
	if n < uint32(len(litCodes)) {
		return litCodes[n]
	}
	return uint8(bits.Len32(n) - 1 + 19)
}

func matchCode(n uint32) uint8 {
	n -= minMatch
	if n < uint32(len(matchCodes)) {
		return matchCodes[n]
	}
	return uint8(bits.Len32(n) - 1 + 36)
}
