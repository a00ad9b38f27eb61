package csv

import (
	"bytes"
	"encoding/binary"
	"math/bits"
)

// index is where the fields of a run of records are: what the typed column loops read by.
type index struct {
	ends   []uint32 // rows × fields: the end of each field's content
	starts []uint32 // rows: the start of each record
	rows   int
	next   int // where the records after these start
	bad    []badRow
}

// badRow is a record refused for its form or for a value.
type badRow struct {
	start  int
	column string
	value  string
	reason string
}

const (
	ones  = 0x0101010101010101
	low7  = 0x7F7F7F7F7F7F7F7F
	highs = 0x8080808080808080
)

// equal has the high bit of each byte of x that is that of pat, exactly.
func equal(x, pat uint64) uint64 {
	y := x ^ pat
	return ^((y&low7 + low7) | y) & highs
}

// build indexes the records in b[pos:limit], those that end there; last says that limit is the end of the data. If no record
// ends there, rows is 0 and next is pos.
func (x *index) build(b []byte, pos, limit int, last bool, lay *layout) {
	x.bad = x.bad[:0]
	if need := limit - pos + 16; cap(x.ends) < need {
		x.ends = make([]uint32, need)
	}
	if !x.fast(b, pos, limit, last, lay) {
		x.slow(b, pos, limit, last, lay)
	}
}

// fast takes regular records: the same number of fields each, quotes at field borders only. It gives up on anything else, and
// slow then says what is wrong.
func (x *index) fast(b []byte, pos, limit int, last bool, lay *layout) bool {
	p := b[pos:limit]
	if lay.comment != nil || bytes.IndexByte(p, 0) >= 0 || lay.term == '\r' && bytes.IndexByte(p, '\n') >= 0 {
		return false
	}
	x.ends = x.ends[:cap(x.ends)]
	var k, lines int
	if lay.quote == 0 || bytes.IndexByte(p, lay.quote) < 0 {
		k, lines = indexPlain(p, uint32(pos), lay.delim, lay.term, x.ends)
	} else {
		var odd, open bool
		k, lines, odd, open = indexQuoted(p, uint32(pos), lay.delim, lay.term, lay.quote, x.ends)
		if odd || last && open {
			return false
		}
	}
	if last && len(p) > 0 && p[len(p)-1] != lay.term {
		x.ends[k] = uint32(limit) // the last record lacks its line end
		k++
		lines++
	}
	rows := k / lay.fields
	if rows != lines {
		return false
	}
	return x.settle(b, pos, rows, bytes.IndexByte(p, '\r') >= 0, lay)
}

// settle checks that every record ends with a line end, and only there, and notes the records' starts.
func (x *index) settle(b []byte, pos, rows int, carriage bool, lay *layout) bool {
	if cap(x.starts) < rows {
		x.starts = make([]uint32, rows+rows/2)
	}
	x.starts = x.starts[:rows]
	carriage = carriage && lay.term == '\n'
	n := lay.fields
	start, trimmed := pos, 0
	for r := range x.starts {
		x.starts[r] = uint32(start)
		e := int(x.ends[r*n+n-1])
		if e < len(b) && b[e] != lay.term {
			return false
		}
		start = min(e+1, len(b))
		if carriage {
			from := int(x.starts[r])
			if n > 1 {
				from = int(x.ends[r*n+n-2]) + 1
			}
			stop := e
			for stop > from && b[stop-1] == '\r' {
				stop--
			}
			trimmed += e - stop
			x.ends[r*n+n-1] = uint32(stop)
		}
	}
	if carriage && bytes.Count(b[pos:start], []byte{'\r'}) != trimmed {
		return false
	}
	x.rows, x.next = rows, start
	return true
}

// slow takes any records, by the rules of dialect one by one.
func (x *index) slow(b []byte, pos, limit int, last bool, lay *layout) {
	p := b[:limit]
	x.ends, x.starts, x.rows, x.next = x.ends[:0], x.starts[:0], 0, pos
	for {
		pos = lay.skip(p, pos, lay.fields == 1)
		if pos == limit {
			if last || lay.endsLine(p) {
				x.next = limit
			}
			return
		}
		had := len(x.ends)
		var s span
		x.ends, s = lay.record(p, pos, x.ends)
		if !s.whole && !last {
			x.ends = x.ends[:had]
			return
		}
		if x.keep(b, pos, had, s, lay) {
			x.starts = append(x.starts, uint32(pos))
			x.rows++
		} else {
			x.ends = x.ends[:had]
		}
		pos = s.next
		x.next = pos
	}
}

// endsLine reports whether b, which is not empty, ends with a whole line.
func (d *dialect) endsLine(b []byte) bool {
	n := len(b)
	return b[n-1] == d.term || d.term == '\r' && b[n-1] == '\n' && (n == 1 || b[n-2] == '\r')
}

// keep reports whether the record just scanned is a row; if not, it is noted as bad.
func (x *index) keep(b []byte, pos, had int, s span, lay *layout) bool {
	ends := x.ends[had:]
	switch {
	case s.fault != sound:
		from := pos
		if s.field > 0 {
			from = int(ends[s.field-1]) + 1
		}
		x.bad = append(x.bad, badRow{pos, lay.nameOf(s.field), string(b[from:ends[s.field]]), s.fault.reason()})
	case len(ends) != lay.fields:
		x.bad = append(x.bad, badRow{pos, "", "", raggedReason(len(ends), lay.fields)})
	default:
		return true
	}
	return false
}

// indexPlain writes the place of each delimiter and line end of p, which has no quotes, plus base, to ends. It returns how many
// there are, and how many of them are line ends. ends has at least len(p)+8 places.
func indexPlain(p []byte, base uint32, delim, term byte, ends []uint32) (k, lines int) {
	dp, tp := ones*uint64(delim), ones*uint64(term)
	i := 0
	for ; i+8 <= len(p); i += 8 {
		w := binary.LittleEndian.Uint64(p[i:])
		t := equal(w, tp)
		m := equal(w, dp) | t
		lines += bits.OnesCount64(t)
		k = emit(ends, k, base+uint32(i), m)
	}
	for ; i < len(p); i++ {
		if c := p[i]; c == delim || c == term {
			ends[k] = base + uint32(i)
			k++
			if c == term {
				lines++
			}
		}
	}
	return k, lines
}

// emit writes the places of m's bytes. Writing more than there are and moving on by the count spares branches that cannot be
// foreseen.
func emit(ends []uint32, k int, base uint32, m uint64) int {
	e := ends[k : k+8]
	n := bits.OnesCount64(m)
	e[0] = base + uint32(bits.TrailingZeros64(m)>>3)
	m &= m - 1
	e[1] = base + uint32(bits.TrailingZeros64(m)>>3)
	for j := 2; j < n; j++ {
		m &= m - 1
		e[j] = base + uint32(bits.TrailingZeros64(m)>>3)
	}
	return k + n
}

// indexQuoted is indexPlain for a p with quotes. Whether a byte is inside quotes is told from the number of quotes before it, which is
// right only if each quote that opens stands at the start of a field, or right behind one that closes (a doubled quote),
// and each that closes before a field's end, or right before one that opens: odd says that this does not hold. open says that p ends
// inside quotes.
func indexQuoted(p []byte, base uint32, delim, term, quote byte, ends []uint32) (k, lines int, odd, open bool) {
	dp, tp, qp := ones*uint64(delim), ones*uint64(term), ones*uint64(quote)
	var (
		inside uint64         // all ones after a byte inside quotes
		border = uint64(0x80) // in the lowest byte: the byte before may precede an opening quote
		closed uint64         // 0x80 if the byte before was a closing quote
		wrong  uint64
	)
	i := 0
	var tail [8]byte
	for i < len(p) {
		var w uint64
		if i+8 <= len(p) {
			w = binary.LittleEndian.Uint64(p[i:])
		} else {
			copy(tail[:], p[i:]) // the NULs behind are none of the three
			w = binary.LittleEndian.Uint64(tail[:])
		}
		t := equal(w, tp)
		d := equal(w, dp) | t
		q := equal(w, qp)
		if q|inside|closed != 0 {
			in := q // to the prefix XOR: high bit set from an opening quote up to before its closing one
			in ^= in << 8
			in ^= in << 16
			in ^= in << 32
			in ^= inside & highs
			free := d | q
			after := free
			if term == '\n' {
				after |= equal(w, ones*'\r') // settle counts those
			}
			if len(p)-i < 8 {
				after |= highs << (8 * uint(len(p)-i)) // the end
			}
			wrong |= q & in &^ (free<<8 | border)
			cl := q &^ in
			wrong |= (cl<<8 | closed) &^ after
			closed = cl >> 56
			d &^= in
			t &^= in
			inside = uint64(int64(in) >> 63)
			border = free >> 56
		} else {
			border = d >> 56
		}
		lines += bits.OnesCount64(t)
		k = emit(ends, k, base+uint32(i), d)
		i += 8
	}
	return k, lines, wrong != 0, inside != 0
}
