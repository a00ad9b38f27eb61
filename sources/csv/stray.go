package csv

import "bytes"

// A quote that stands at the start of a field by accident takes the lines behind it for its text, up to the next quote or to the end of the input. They are
// rows of their own if they look like it: of a quote that another one follows, if that one opens a field, too, and these are some lines, and nearly all are rows;
// of one that none follows, if all are rows, and the last has its line end, so that it is not a text that was cut off.
const (
	strayLines = 3
	strayShare = 0.9
)

// reined is s, the record at b[pos:] with fields ending at ends, or the part of it that ends with the line in which a stray quote stands. b is all of the chunk, so that
// every caller finds the same.
func (l *layout) reined(b []byte, pos int, ends []uint32, s span) span {
	if s.fault != unclosed && s.fault != afterQuote || l.fields < 2 {
		return s
	}
	from := pos
	if s.field > 0 {
		from = int(ends[s.field-1]) + 1
	}
	text := s.end // where the text ends that the quote takes in
	if s.fault == afterQuote {
		if text = l.closing(b, from+1); text < 0 || !l.startsField(b, text) {
			return s
		}
	}
	i := bytes.IndexByte(b[from:text], l.term)
	if i < 0 {
		return s
	}
	line := from + i
	rows, all := l.rowsIn(b, line+1, s.next)
	switch enough := all >= strayLines && float64(rows) >= strayShare*float64(all); {
	case enough:
	case s.fault == unclosed && all > 0 && rows == all && l.endsLine(b):
	default:
		return s
	}
	s.end, s.next, s.whole = line, line+1, true
	for l.term == '\n' && s.end > from && b[s.end-1] == '\r' {
		s.end--
	}
	return s
}

// rowsIn counts the lines of b[pos:to] that begin a record, and those records that are sound and have as many fields as they should.
func (l *layout) rowsIn(b []byte, pos, to int) (rows, all int) {
	var ends []uint32
	for pos = l.skip(b, pos, false); pos < to; pos = l.skip(b, pos, false) {
		all++
		var s span
		if ends, s = l.record(b, pos, ends[:0]); s.fault == sound && len(ends) == l.fields {
			rows++
			pos = s.next
			continue
		}
		i := bytes.IndexByte(b[pos:], l.term)
		if i < 0 {
			break
		}
		pos += i + 1
	}
	return rows, all
}
