package csv

import "bytes"

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
	if need := limit - pos + spare; cap(x.ends) < need {
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
	if lay.comment != nil {
		return false
	}
	s := separators{d: &lay.dialect, ends: x.ends[:cap(x.ends)]}
	if !s.find(p, uint32(pos)) || s.other && lay.term == '\r' || s.inside != 0 && last {
		return false
	}
	x.ends = s.ends
	k, lines := s.k, s.lines
	if last && len(p) > 0 && p[len(p)-1] != lay.term {
		x.ends[k] = uint32(limit) // the last record lacks its line end
		k++
		lines++
	}
	rows := k / lay.fields
	if rows != lines {
		return false
	}
	return x.settle(b, pos, rows, s.other, lay)
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
