package csv

import "bytes"

// cut is the length of the longest prefix of b, which starts at a record, that is whole records by the rules of dialect.
func (d *dialect) cut(b []byte) int {
	if d.quote == 0 || bytes.IndexByte(b, d.quote) < 0 {
		return bytes.LastIndexByte(b, d.term) + 1
	}
	if d.comment != nil {
		return d.cutRecords(b)
	}
	return d.cutQuoted(b)
}

// cutRecords walks record by record: a comment's quotes do not count, and only a record's start tells a comment.
func (d *dialect) cutRecords(b []byte) int {
	var ends []uint32
	cut := 0
	for pos := 0; pos < len(b); {
		if n := d.noRecord(b, pos, false); n > 0 {
			pos += n
		} else {
			var s span
			if ends, s = d.record(b, pos, ends[:0]); !s.whole {
				break
			}
			pos = s.next
		}
		if b[pos-1] == d.term {
			cut = pos
		}
	}
	return cut
}

// cutQuoted jumps from quote to quote and then looks back for a line end in the stretches between quoted fields.
func (d *dialect) cutQuoted(b []byte) int {
	type stretch struct{ from, to int }
	var open [64]stretch // the latest ones outside quotes; best is the last line end before them
	n, best := 0, 0
	lookBack := func() {
		for k := n - 1; k >= 0; k-- {
			if i := bytes.LastIndexByte(b[open[k].from:open[k].to], d.term); i >= 0 {
				best = open[k].from + i + 1
				break
			}
		}
		n = 0
	}
	from := 0 // of the stretch
	for i := 0; ; {
		q := bytes.IndexByte(b[i:], d.quote)
		if q < 0 {
			open[n], n = stretch{from, len(b)}, n+1
			break
		}
		q += i
		i = q + 1
		if !d.startsField(b, q) {
			continue
		}
		open[n], n = stretch{from, q}, n+1
		if n == len(open) {
			lookBack()
		}
		if i = d.closing(b, i); i < 0 {
			break
		}
		i++
		from = i
	}
	lookBack()
	return best
}

// startsField reports whether b[i], outside quotes, is the first byte of a field.
func (d *dialect) startsField(b []byte, i int) bool {
	if i == 0 {
		return true
	}
	c := b[i-1]
	return c == d.delim || c == d.term || c == '\n' && d.term == '\r' && (i == 1 || b[i-2] == '\r')
}
