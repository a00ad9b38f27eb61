package csv

import "bytes"

// index is where the fields of a run of records are: what the typed column loops read by.
type index struct {
	ends   []uint32 // rows × fields: the end of each field's content
	starts []uint32 // rows: the start of each record
	rows   int
	next   int // where the records after these start
	bad    []badRow
	one    []uint32 // scratch: the ends of one record
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

// fast takes records of quotes at field borders only; those that are not all of the same number of fields take a little longer. It gives up on
// anything else, and slow then says what is wrong.
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
	carriage := s.other && lay.term == '\n'
	return k/lay.fields == lines && x.settle(b, pos, lines, carriage, lay) || x.uneven(b, pos, limit, k, carriage, lay)
}

// settle checks that every record ends with a line end, and only there, and notes the records' starts.
func (x *index) settle(b []byte, pos, rows int, carriage bool, lay *layout) bool {
	if cap(x.starts) < rows {
		x.starts = make([]uint32, rows+rows/2)
	}
	x.starts = x.starts[:rows]
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

// uneven is settle where some of the records, between the k separators found, do not have as many fields as they should, or have a
// carriage return that is not of a line end: each of those is looked at by itself.
func (x *index) uneven(b []byte, pos, limit, k int, carriage bool, lay *layout) bool {
	ends, n := x.ends[:k], 0
	x.starts = x.starts[:0]
	start := pos
	for i, j := 0, 0; i < k; i = j + 1 {
		for j = i; j < k && !lay.endsAt(b, int(ends[j])); j++ {
		}
		if j == k {
			break // the record ends behind limit
		}
		stop := int(ends[j])
		next := stop
		for next < len(b) && b[next] != lay.term {
			next++ // settle was here
		}
		good := j-i+1 == lay.fields
		if carriage {
			from := start
			if j > i {
				from = int(ends[j-1]) + 1
			}
			for stop > from && b[stop-1] == '\r' {
				stop--
			}
			good = good && bytes.IndexByte(b[start:stop], '\r') < 0
		}
		next = min(next+1, len(b))
		if good {
			copy(ends[n:], ends[i:j])
			ends[n+lay.fields-1] = uint32(stop)
		} else if lay.noRecord(b, start, lay.fields == 1) == 0 {
			var s span
			if x.one, s = lay.record(b[:limit], start, x.one[:0]); s.next != next || len(x.one) != j-i+1 {
				x.bad = x.bad[:0]
				return false
			}
			if good = x.keep(b, start, x.one, s, lay); good {
				copy(ends[n:], x.one)
			}
		}
		if good {
			x.starts = append(x.starts, uint32(start))
			n += lay.fields
		}
		start = next
	}
	x.rows, x.next = len(x.starts), start
	return true
}

// endsAt reports whether the separator at b[e], or at b's end, ends a record; settle may have moved it before the line end.
func (d *dialect) endsAt(b []byte, e int) bool {
	return e >= len(b) || b[e] == d.term || d.term == '\n' && b[e] == '\r' && d.delim != '\r'
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
		s = lay.reined(b, pos, x.ends[had:], s)
		if x.keep(b, pos, x.ends[had:], s, lay) {
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

// keep reports whether the record at b[pos:], its fields ending at ends, is a row; if not, it is noted as bad.
func (x *index) keep(b []byte, pos int, ends []uint32, s span, lay *layout) bool {
	switch {
	case s.fault != sound:
		from := pos
		if s.field > 0 {
			from = int(ends[s.field-1]) + 1
		}
		x.bad = append(x.bad, badRow{pos, lay.nameOf(s.field), string(b[from:min(int(ends[s.field]), s.end)]), s.fault.reason()})
	case len(ends) != lay.fields:
		x.bad = append(x.bad, badRow{pos, "", "", raggedReason(len(ends), lay.fields)})
	default:
		return true
	}
	return false
}
