package csv

import (
	"bytes"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/sluice-data/sluice/internal/fail"
)

// layout is how one input is read: its dialect, its columns, and where the columns that are wanted stand in it.
type layout struct {
	dialect
	fields int      // of every record
	names  []string // of the fields; column1, column2 … without a header
	header bool
	field  []int // for each column of the source its field, -1 if the input lacks it
}

// nameOf is the name of field i, "" beyond the last.
func (l *layout) nameOf(i int) string {
	if i < len(l.names) {
		return l.names[i]
	}
	return ""
}

func raggedReason(have, want int) string {
	word := "few"
	if have > want {
		word = "many"
	}
	return fmt.Sprintf("too %s fields: %d, want %d", word, have, want)
}

// headed is an input's head, read as far as its layout.
type headed struct {
	layout
	begin int   // bytes before the first record of data
	lines int64 // and their line ends
	empty bool  // there is no record at all
}

const byteOrderMark = "\xEF\xBB\xBF"

// readHead settles the layout of the input that starts with head; eof says that head is all of it. known are the column names expected, if
// any. more is true if the head does not reach far enough.
func (s *settings) readHead(uri string, head []byte, eof bool, known []string) (h headed, more bool, err error) {
	if err := refuseBinary(uri, head); err != nil {
		return h, false, err
	}
	pos := 0
	if bytes.HasPrefix(head, []byte(byteOrderMark)) {
		pos = len(byteOrderMark)
	}
	h.dialect = s.dialect
	h.term = lineEnd(sample(head[pos:]), &h.dialect)
	for range s.skipRows {
		i := bytes.IndexByte(head[pos:], h.term)
		if i < 0 {
			if !eof {
				return h, true, nil
			}
			pos = len(head)
			break
		}
		pos += i + 1
	}
	if h.delim == 0 {
		h.delim = h.detectDelimiter(sample(head[pos:]), known)
	}
	at := h.skip(head, pos, false)
	if at == len(head) {
		h.begin, h.empty = at, eof
		return h, !eof, nil
	}
	ends, sp := h.record(head, at, nil)
	if !sp.whole && !eof {
		return h, true, nil
	}
	h.fields = len(ends)
	cells := h.cells(head, at, ends)
	if s.header != nil {
		h.header = *s.header
	} else {
		h.header = h.looksLikeHeader(cells, sample(head[min(sp.next, len(head)):]), known)
	}
	h.begin = pos
	if !h.header {
		for i := range cells {
			h.names = append(h.names, fmt.Sprintf("column%d", i+1))
		}
		h.lines = h.countLines(head[:pos])
		return h, false, nil
	}
	h.begin = sp.next
	h.lines = h.countLines(head[:h.begin])
	line, offset := 1+h.countLines(head[:at]), int64(at)
	if sp.fault != sound {
		return h, false, fail.Newf(fail.Data, "header: field %d: %s", sp.field+1, sp.fault.reason()).In(uri).At(line, offset)
	}
	h.names = cells
	if err := checkNames(cells); err != nil {
		return h, false, fail.Newf(fail.Data, "header: %w", err).In(uri).At(line, offset)
	}
	return h, false, nil
}

func (d *dialect) countLines(b []byte) int64 { return int64(bytes.Count(b, []byte{d.term})) }

// cells are the values of the record at b[pos:] whose fields end at ends.
func (d *dialect) cells(b []byte, pos int, ends []uint32) []string {
	out := make([]string, len(ends))
	for i, e := range ends {
		raw := b[pos:e]
		v, _, _ := d.text(raw, nil)
		out[i] = string(v)
		pos = int(e) + 1
	}
	return out
}

func checkNames(names []string) error {
	seen := make(map[string]int, len(names))
	for i, n := range names {
		switch first, dup := seen[n]; {
		case n == "":
			return fmt.Errorf("column %d has no name: name it in the file, or set header: false with skip_rows: 1 and declare the columns in order", i+1)
		case !utf8.ValidString(n):
			return fmt.Errorf("the name of column %d, %q, is not valid UTF-8: set encoding", i+1, n)
		case dup:
			return fmt.Errorf("columns %d and %d are both named %q: rename one in the file, or set header: false with skip_rows: 1 and declare the columns in order", first, i+1, n)
		}
		seen[n] = i + 1
	}
	return nil
}

// checkDrift compares an input's columns with the declared ones, under schema mode strict.
func (h *headed) checkDrift(uri string, declared []string) error {
	if !h.header {
		if h.fields != len(declared) {
			return fail.Newf(fail.Data, "its records have %d fields, the schema declares %d columns", h.fields, len(declared)).In(uri).At(h.lines+1, int64(h.begin))
		}
		return nil
	}
	missing, extra := without(declared, h.names), without(h.names, declared)
	if len(missing)+len(extra) == 0 {
		return nil
	}
	var parts []string
	if len(missing) > 0 {
		parts = append(parts, "missing "+quoteAll(missing))
	}
	if len(extra) > 0 {
		parts = append(parts, "not declared "+quoteAll(extra))
	}
	return fail.Newf(fail.Data, "the header differs from the declared schema: %s; correct schema.columns, or set schema.mode: evolve to read missing columns as null and add new ones, or source.csv.header: false if the first line is data",
		strings.Join(parts, "; ")).In(uri).At(max(h.lines, 1), -1)
}

// without is a without the names in b.
func without(a, b []string) []string {
	in := make(map[string]bool, len(b))
	for _, n := range b {
		in[n] = true
	}
	var out []string
	for _, n := range a {
		if !in[n] {
			out = append(out, n)
		}
	}
	return out
}

func quoteAll(names []string) string {
	const most = 10
	var b strings.Builder
	for i, n := range names {
		if i == most {
			fmt.Fprintf(&b, " and %d more", len(names)-most)
			break
		}
		if i > 0 {
			b.WriteString(", ")
		}
		fmt.Fprintf(&b, "%q", n)
	}
	return b.String()
}
