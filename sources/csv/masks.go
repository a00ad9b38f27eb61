package csv

import (
	"bytes"
	"encoding/binary"
	"math/bits"
)

// mask has a bit for each of 64 bytes, the first in the lowest place.
type mask struct {
	sep   uint64 // delimiters and line ends
	term  uint64 // line ends
	quote uint64
}

const (
	// stride is how much text is turned into masks at a time: they stay in the first-level cache.
	stride = 4 << 10
	// spare is how many places of ends take may write behind the last one.
	spare = 64 + 16
)

// otherEnd is the character of line ends that ends no line.
func (d *dialect) otherEnd() byte { return d.term ^ '\n' ^ '\r' }

// masksGo is masks in plain Go.
func masksGo(p []byte, d *dialect, out []mask) (nul, other bool) {
	dp, tp, qp := ones*uint64(d.delim), ones*uint64(d.term), ones*uint64(d.quote)
	for i := 0; i+64 <= len(p); i += 64 {
		block := (*[64]byte)(p[i:])
		var m mask
		for j := 0; j < 64; j += 8 {
			w := binary.LittleEndian.Uint64(block[j:])
			t := equal(w, tp)
			m.term |= gather(t) << j
			m.sep |= gather(equal(w, dp)|t) << j
			m.quote |= gather(equal(w, qp)) << j
		}
		out[i/64] = m
	}
	return bytes.IndexByte(p, 0) >= 0, bytes.IndexByte(p, d.otherEnd()) >= 0
}

// gather makes the high bits of eight bytes one byte.
func gather(m uint64) uint64 { return m >> 7 * 0x0102040810204080 >> 56 }

// separators finds the delimiters and line ends outside quotes in a text that starts at a record.
type separators struct {
	d      *dialect
	ends   []uint32 // their places plus base
	k      int      // how many there are
	lines  int      // how many of them are line ends
	other  bool     // the text has a line end that is not d's
	inside uint64   // all ones: the text so far ends inside quotes
	starts uint64   // 1: it ends with a separator, so that a field starts next
	closed uint64   // 1: it ends with a closing quote
}

// find takes all of p. It gives up at what a regular text has not: a NUL, text after a closing quote.
func (s *separators) find(p []byte, base uint32) bool {
	var ms [stride / 64]mask
	var tail [64]byte
	s.starts = 1
	for i := 0; i < len(p); {
		q := p[i:min(i+stride, len(p))]
		if len(q) >= 64 {
			q = q[:len(q)&^63]
		} else {
			for n := copy(tail[:], q); n < len(tail); n++ {
				tail[n] = 0x80 // means nothing in any dialect
			}
			q = tail[:]
		}
		nul, other := masks(q, s.d, ms[:len(q)/64])
		if nul {
			return false
		}
		s.other = s.other || other
		for _, m := range ms[:len(q)/64] {
			if m.quote|s.inside|s.closed != 0 && !s.unquote(&m, p, i) {
				return false
			}
			s.starts = m.sep >> 63
			s.lines += bits.OnesCount64(m.term)
			s.take(m.sep, base+uint32(i))
			i += 64
		}
	}
	return true
}

// unquote takes the separators inside quotes out of m, the mask of p[at:]. A quote that is doubled counts as one that closes and one
// that opens.
func (s *separators) unquote(m *mask, p []byte, at int) bool {
	for {
		in := m.quote
		in ^= in << 1
		in ^= in << 2
		in ^= in << 4
		in ^= in << 8
		in ^= in << 16
		in ^= in << 32
		in ^= s.inside
		closing := m.quote &^ in
		after := closing<<1 | s.closed
		sep := m.sep &^ in
		if m.quote&in&^(sep<<1|s.starts|after) != 0 {
			m.quote = s.real(m) // a quote inside an unquoted field
			continue
		}
		for odd := after &^ (sep | m.quote); odd != 0; odd &= odd - 1 {
			// what stands there besides is seen by settle
			if j := at + bits.TrailingZeros64(odd); j < len(p) && (p[j] != '\r' || s.d.term == '\r') {
				return false
			}
		}
		m.sep, m.term = sep, m.term&^in
		s.inside, s.closed = uint64(int64(in)>>63), closing>>63
		return true
	}
}

// real is m's quotes without those that are text: outside quotes and not at the start of a field.
func (s *separators) real(m *mask) uint64 {
	q := m.quote
	inside, may := s.inside != 0, m.sep<<1|s.starts|s.closed
	for rest := q; rest != 0; rest &= rest - 1 {
		bit := rest & -rest
		switch {
		case inside:
			inside = false
			may |= bit << 1
		case may&bit != 0:
			inside = true
		default:
			q &^= bit
		}
	}
	return q
}

// take notes the places of m's bits, at being that of the first one: four at a time, too many or not, spare branches that cannot
// be foreseen.
func (s *separators) take(m uint64, at uint32) {
	n := bits.OnesCount64(m)
	e := s.ends[s.k : s.k+spare]
	s.k += n
	for j := 0; j < n; j += 4 {
		four := (*[4]uint32)(e[j:])
		four[0] = at + uint32(bits.TrailingZeros64(m))
		m &= m - 1
		four[1] = at + uint32(bits.TrailingZeros64(m))
		m &= m - 1
		four[2] = at + uint32(bits.TrailingZeros64(m))
		m &= m - 1
		four[3] = at + uint32(bits.TrailingZeros64(m))
		m &= m - 1
	}
}
