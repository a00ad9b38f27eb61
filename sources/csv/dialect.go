package csv

import (
	"bytes"
	"strings"

	"github.com/sluice-data/sluice/internal/fail"
	"github.com/sluice-data/sluice/sources"
)

// dialect is the grammar of one input. The cutter, the index and everything else read by the same rules:
//
//   - A record ends at term. Before a line feed, a run of carriage returns belongs to the line end ("\r\n", and the "\r\r\n"
//     that careless copying makes); after a carriage return as term, so does one line feed.
//   - A quote counts at the start of a field only. Inside quotes a doubled quote is a quote, and all else is text. A quote
//     inside an unquoted field is text (RFC 4180 has no rule for it). Text after a closing quote makes the record bad; it
//     goes on as an unquoted field.
//   - The other line end, alone in an unquoted field, makes the record bad: taken as text it would glue two records together.
//   - A line that starts with comment is none at all; its quotes mean nothing.
type dialect struct {
	delim   byte
	quote   byte // 0 = quotes are text
	term    byte // '\n' or '\r'
	comment []byte
}

// newDialect checks the options; delim is 0 when it is to be detected, term is always.
func newDialect(o sources.Options, tab bool) (d dialect, err error) {
	usage := func(format string, args ...any) (dialect, error) { return d, fail.Newf(fail.Usage, format, args...) }
	switch {
	case o.Delimiter == "" && tab, o.Delimiter == `\t`:
		d.delim = '\t'
	case len(o.Delimiter) == 1 && o.Delimiter[0] < 0x80:
		d.delim = o.Delimiter[0]
	case o.Delimiter != "":
		return usage("delimiter %q: want one ASCII character", o.Delimiter)
	}
	switch {
	case o.Quote == "":
		d.quote = '"'
	case o.Quote == "none":
	case len(o.Quote) == 1 && o.Quote[0] < 0x80 && o.Quote[0] > 0:
		d.quote = o.Quote[0]
	default:
		return usage("quote %q: want one ASCII character, or none", o.Quote)
	}
	for name, c := range map[string]byte{"delimiter": d.delim, "quote": d.quote} {
		if c == '\n' || c == '\r' || c == 0 && name == "delimiter" && o.Delimiter != "" {
			return usage("%s %q cannot be told from the data", name, string(c))
		}
	}
	if d.delim != 0 && d.delim == d.quote {
		return usage("delimiter and quote are both %q", string(d.quote))
	}
	if strings.ContainsAny(o.Comment, "\r\n") {
		return usage("comment %q: want the characters that a comment line starts with", o.Comment)
	}
	if o.SkipRows < 0 {
		return usage("skip_rows %d: want 0 or more", o.SkipRows)
	}
	if o.Comment != "" {
		d.comment = []byte(o.Comment)
	}
	d.term = '\n'
	return d, nil
}

// fault is what makes a record bad before its values are looked at.
type fault uint8

const (
	sound fault = iota
	afterQuote
	unclosed
	strayCR
	strayLF
	hasNUL
)

// reason is the fault as a reject gives it.
func (f fault) reason() string {
	return [...]string{
		afterQuote: "text after the closing quote of a field",
		unclosed:   "quoted field is never closed",
		strayCR:    "a lone carriage return inside an unquoted field, where lines end in a line feed",
		strayLF:    "a lone line feed inside an unquoted field, where lines end in a carriage return",
		hasNUL:     "NUL byte: text cannot hold it",
	}[f]
}

// span is one record as scanned.
type span struct {
	end   int   // of its content
	next  int   // after its line end
	fault fault // the first one
	field int   // 0-based field of the fault
	whole bool  // its line end was seen
}

// record scans the record at b[pos:], which is not a line that skip passes over, and appends the end of each field to ends.
// Where b ends before the record does, the record is all of b's rest.
func (d *dialect) record(b []byte, pos int, ends []uint32) ([]uint32, span) {
	s := span{}
	first := len(ends)
	for i := pos; ; i++ { // a field a turn; i moves over its delimiter
		field := len(ends) - first
		bad := func(f fault) {
			if s.fault == sound {
				s.fault, s.field = f, field
			}
		}
		quoted := d.quote != 0 && i < len(b) && b[i] == d.quote
		if quoted {
			if i = d.closing(b, i+1); i < 0 {
				bad(unclosed)
				s.end, s.next = len(b), len(b)
				return d.checkNUL(b, pos, append(ends, uint32(len(b))), first, s)
			}
			i++
		}
		text := i
		other := false // saw a line end's character
		for i < len(b) && b[i] != d.delim && b[i] != d.term {
			other = other || b[i] == '\r' || b[i] == '\n'
			i++
		}
		last := i == len(b) || b[i] == d.term
		stop := i
		for last && other && d.term == '\n' && stop > text && b[stop-1] == '\r' {
			stop--
		}
		if quoted && stop > text {
			bad(afterQuote)
		}
		if other && d.term == '\r' {
			bad(strayLF)
		} else if other && bytes.IndexByte(b[text:stop], '\r') >= 0 {
			bad(strayCR)
		}
		ends = append(ends, uint32(stop))
		if last {
			s.end, s.next, s.whole = stop, i, i < len(b)
			if s.whole {
				s.next++
			}
			return d.checkNUL(b, pos, ends, first, s)
		}
	}
}

// closing is the place of the quote that closes the quoted text at b[i:], -1 if there is none.
func (d *dialect) closing(b []byte, i int) int {
	for {
		j := bytes.IndexByte(b[i:], d.quote)
		if j < 0 {
			return -1
		}
		i += j
		if i+1 >= len(b) || b[i+1] != d.quote {
			return i
		}
		i += 2
	}
}

func (d *dialect) checkNUL(b []byte, pos int, ends []uint32, first int, s span) ([]uint32, span) {
	if s.fault == sound {
		if z := bytes.IndexByte(b[pos:s.end], 0); z >= 0 {
			s.fault = hasNUL
			for s.field = 0; int(ends[first+s.field]) < pos+z; {
				s.field++
			}
		}
	}
	return ends, s
}

// skip is the place of the first record at or after pos: past comments, and past blank lines unless keepBlank. In a file of one
// column an empty line is a record, its value the empty text.
func (d *dialect) skip(b []byte, pos int, keepBlank bool) int {
	for pos < len(b) {
		n := d.noRecord(b, pos, keepBlank)
		if n == 0 {
			return pos
		}
		pos += n
	}
	return pos
}

// noRecord is the length of the line at b[pos:], line end included, if it is no record; else 0.
func (d *dialect) noRecord(b []byte, pos int, keepBlank bool) int {
	if d.term == '\r' && b[pos] == '\n' && (pos == 0 || b[pos-1] == '\r') {
		return 1 // the rest of the line end before
	}
	b = b[pos:]
	if d.comment != nil && bytes.HasPrefix(b, d.comment) {
		if i := bytes.IndexByte(b, d.term); i >= 0 {
			return i + 1
		}
		return len(b)
	}
	if keepBlank {
		return 0
	}
	i := 0
	for d.term == '\n' && i < len(b) && b[i] == '\r' {
		i++
	}
	if i == len(b) {
		return i
	}
	if b[i] == d.term {
		return i + 1
	}
	return 0
}

// text is the value of the field that is raw, and whether it was quoted. A raw field of a sound record that starts with a quote
// ends with one. scratch is used to take doubled quotes out; its new form is returned.
func (d *dialect) text(raw, scratch []byte) (value, _ []byte, quoted bool) {
	if d.quote == 0 || len(raw) < 2 || raw[0] != d.quote {
		return raw, scratch, false
	}
	raw = raw[1 : len(raw)-1]
	q := bytes.IndexByte(raw, d.quote)
	if q < 0 {
		return raw, scratch, true
	}
	scratch = d.appendUnquoted(scratch[:0], raw, q)
	return scratch, scratch, true
}

// appendUnquoted appends raw, the inside of a quoted field whose first doubled quote is at q (-1: none).
func (d *dialect) appendUnquoted(dst, raw []byte, q int) []byte {
	for q >= 0 {
		dst = append(dst, raw[:q+1]...)
		raw = raw[min(q+2, len(raw)):] // a record that is not sound may end in the quote
		q = bytes.IndexByte(raw, d.quote)
	}
	return append(dst, raw...)
}
