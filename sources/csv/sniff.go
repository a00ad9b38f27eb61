package csv

import (
	"bytes"
	"encoding/binary"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/sluice-data/sluice/internal/fail"
	"github.com/sluice-data/sluice/sources"
)

// sampleBytes of an input's head are what detection looks at, always the same however much of the head is there.
const sampleBytes = 64 << 10

func sample(head []byte) []byte { return head[:min(len(head), sampleBytes)] }

// magics are the first bytes of files that are sometimes named .csv.
var magics = []struct{ magic, what string }{
	{"PK\x03\x04", "a zip archive or an Excel workbook (.xlsx): extract it, or export it as CSV"},
	{"PK\x05\x06", "an empty zip archive"},
	{"\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1", "an old Excel workbook (.xls): export it as CSV"},
	{"PAR1", "a Parquet file: set source.format: parquet"},
	{"\x1F\x8B", "gzip data: set source.compression: gzip"},
	{"\x28\xB5\x2F\xFD", "zstd data: set source.compression: zstd"},
	{"BZh", "bzip2 data: set source.compression: bzip2"},
	{"\xFD7zXZ\x00", "xz data: set source.compression: xz"},
	{"\x04\x22\x4D\x18", "lz4 data: set source.compression: lz4"},
	{"7z\xBC\xAF\x27\x1C", "a 7-Zip archive: extract it"},
	{"%PDF-", "a PDF document"},
	{"SQLite format 3\x00", "an SQLite database"},
	{"ARROW1\x00\x00", "an Arrow IPC file"},
	{"Obj\x01", "an Avro file"},
	{"ORC", "an ORC file"},
	{"\x89PNG\r\n", "a PNG image"},
	{"\xFF\xD8\xFF", "a JPEG image"},
	{"\x7FELF", "a program (ELF)"},
	{"\x89HDF\r\n", "an HDF5 file"},
}

// refuseBinary is an Input error if head is no text, saying what it looks like. A stray NUL here and there is left to the records.
func refuseBinary(uri string, head []byte) error {
	refuse := func(what string) error {
		return fail.Newf(fail.Input, "is not CSV: it looks like %s", what).In(uri)
	}
	nul := bytes.Count(sample(head), []byte{0})
	for _, m := range magics {
		// a text may well begin with ORC or BZh: the short ones count with a NUL or another control character only
		if bytes.HasPrefix(head, []byte(m.magic)) && (nul > 0 || controls(head) > 0 || len(m.magic) > 4) {
			return refuse(m.what)
		}
	}
	if n := len(sample(head)); nul*4 > n && n >= 8 {
		even := 0
		for i := 0; i < n; i += 2 {
			if head[i] == 0 {
				even++
			}
		}
		switch {
		case even*10 > nul*9:
			return refuse("UTF-16 without a byte order mark: set source.csv.encoding: utf-16be")
		case even*10 < nul:
			return refuse("UTF-16 without a byte order mark: set source.csv.encoding: utf-16le")
		}
		return refuse("binary data")
	}
	if n := len(sample(head)); n > 64 && controls(head)*20 > n {
		return refuse("binary data")
	}
	return nil
}

// controls counts the bytes of the sample that no text has.
func controls(head []byte) int {
	n := 0
	b := sample(head)
	for ; len(b) >= 32; b = b[32:] {
		w := [4]uint64{binary.LittleEndian.Uint64(b), binary.LittleEndian.Uint64(b[8:]), binary.LittleEndian.Uint64(b[16:]), binary.LittleEndian.Uint64(b[24:])}
		if low(w[0])|low(w[1])|low(w[2])|low(w[3]) == 0 {
			continue
		}
		for i := range w {
			if low(w[i]) != 0 {
				n += countControls(b[8*i : 8*i+8])
			}
		}
	}
	return n + countControls(b)
}

// low is not 0 if one of w's bytes is below 0x20.
func low(w uint64) uint64 {
	const ones = 0x0101010101010101
	return (w - 0x20*ones) &^ w & (0x80 * ones)
}

func countControls(b []byte) int {
	n := 0
	for _, c := range b {
		if c < 0x20 && c != '\t' && c != '\n' && c != '\r' && c != '\f' && c != 0x1A {
			n++
		}
	}
	return n
}

// lineEnd is the byte that ends lines in the sample: a carriage return if most line ends outside quotes are one alone.
func lineEnd(b []byte, d *dialect) byte {
	if !loneReturn(b) {
		return '\n'
	}
	feeds, returns := 0, 0
	start := true // of a field
	for i := 0; i < len(b); i++ {
		c := b[i]
		switch {
		case d.quote != 0 && c == d.quote && start:
			if i = d.closing(b, i+1); i < 0 {
				i = len(b)
			}
			start = false
			continue
		case c == '\n':
			feeds++
		case c == '\r' && (i+1 == len(b) || b[i+1] != '\n' && b[i+1] != '\r'):
			returns++
		}
		start = c == '\n' || c == '\r' || c == d.delim || d.delim == 0 && isDelimiter(c)
	}
	if returns > feeds {
		return '\r'
	}
	return '\n'
}

// loneReturn reports whether b has a carriage return that begins no "\r\n" and no "\r\r".
func loneReturn(b []byte) bool {
	for {
		i := bytes.IndexByte(b, '\r')
		if i < 0 {
			return false
		}
		if b = b[i+1:]; len(b) == 0 || b[0] != '\n' && b[0] != '\r' {
			return true
		}
	}
}

const delimiters = ",;\t|:"

func isDelimiter(c byte) bool { return strings.IndexByte(delimiters, c) >= 0 }

// detectDelimiter is the candidate that makes the first record consist of known names, at least half of it; else the one that gives the
// most records the same number of fields, more than one, as the first record has; the comma if none does. Of equals it is the first.
func (d dialect) detectDelimiter(b []byte, known []string) byte {
	if len(known) > 0 {
		for _, c := range []byte(delimiters) {
			if d.delim = c; c == d.quote {
				continue
			}
			if first := d.first(b); len(first) > 1 && 2*len(without(first, known)) <= len(first) {
				return c
			}
		}
	}
	best, bestShare := byte(','), 0.89
	for _, c := range []byte(delimiters) {
		if d.delim = c; c == d.quote {
			continue
		}
		if share := d.regular(b); share > bestShare {
			best, bestShare = c, share
		}
		if bestShare == 1 {
			break // no other can be better: the records need not be read by each
		}
	}
	return best
}

// first are the values of b's first record.
func (d *dialect) first(b []byte) (cells []string) {
	d.each(b, 1, func(pos int, ends []uint32, _ span) { cells = d.cells(b, pos, ends) })
	return cells
}

// regular is the share of the sample's records that have as many fields as the first, 0 if that has only one.
func (d *dialect) regular(b []byte) float64 {
	want := 0
	d.each(b, 1, func(_ int, ends []uint32, _ span) { want = len(ends) })
	if want < 2 {
		return 0
	}
	same, all := 0, 0
	d.each(b, 1000, func(_ int, ends []uint32, s span) {
		all++
		if len(ends) == want && s.fault == sound {
			same++
		}
	})
	return float64(same) / float64(all)
}

// each calls f for the first most records of b; the last one, which b may cut short, only if it is the first too.
func (d *dialect) each(b []byte, most int, f func(pos int, ends []uint32, s span)) {
	var ends []uint32
	for n, pos := 0, d.skip(b, 0, false); pos < len(b) && n < most; n++ {
		var s span
		ends, s = d.record(b, pos, ends[:0])
		if !s.whole && n > 0 {
			return
		}
		f(pos, ends, s)
		pos = d.skip(b, s.next, false)
	}
}

// looksLikeHeader reports whether cells, the first record, are names; rest is what follows it. With known names: whether half of them
// are among those. Else they are names if none of them is a number, date or truth value, if a column has text in the first record only, or if years are counted
// up over columns of other numbers.
func (d *dialect) looksLikeHeader(cells []string, rest []byte, known []string) bool {
	if len(known) > 0 && 2*len(without(cells, known)) <= len(cells) {
		return true
	}
	text := make([]bool, len(cells))
	all, any := true, false
	for i, c := range cells {
		text[i] = c != "" && classify([]byte(c)).kind == kindText
		all = all && (text[i] || c == "")
		any = any || text[i]
	}
	if all || !any {
		return all && any
	}
	years, other, numbers := counted(cells), false, true // other: something else than years below them; numbers: nothing but numbers
	values := make([]int, len(cells))                    // that are not text
	d.each(rest, 100, func(pos int, ends []uint32, s span) {
		for i, c := range d.cells(rest, pos, ends) {
			if i < len(text) && c != "" {
				values[i]++
				text[i] = text[i] && classify([]byte(c)).kind != kindText
				if years[i] && year(c) == 0 { // below a year of a header stands what is counted in it
					other, numbers = true, numbers && slices.Contains(numberKinds, classify([]byte(c)).kind)
				}
			}
		}
	})
	for i := range text {
		if text[i] && values[i] > 0 {
			return true
		}
	}
	return other && numbers
}

var numberKinds = []kind{kindInt, kindUint, kindBigInt, kindFloat, kindDecimal}

// counted says which cells are years, where these are two or more that follow each other, up or down; none where they are not.
func counted(cells []string) []bool {
	is := make([]bool, len(cells))
	n, last, step := 0, 0, 0
	for i, c := range cells {
		y := year(c)
		if y == 0 {
			continue
		}
		if n > 0 {
			d := y - last
			if d != 1 && d != -1 || n > 1 && d != step {
				return make([]bool, len(cells))
			}
			step = d
		}
		n, last, is[i] = n+1, y, true
	}
	if n < 2 {
		return make([]bool, len(cells))
	}
	return is
}

// year is the year from 1900 to 2100 that c is, else 0.
func year(c string) int {
	if y, err := strconv.Atoi(c); err == nil && len(c) == 4 && y >= 1900 && y <= 2100 {
		return y
	}
	return 0
}

// detect scores how much head looks like separated values; tab says which of the two formats asks.
func detect(head []byte, tab bool) int {
	r, err := sources.Transcode("", "", bytes.NewReader(head))
	if err != nil {
		return 0
	}
	// a character cut in two at the end of the head is no fault
	text, _ := io.ReadAll(r)
	text = bytes.TrimPrefix(text, []byte(byteOrderMark))
	if len(text) == 0 || refuseBinary("", text) != nil {
		return 0
	}
	d := dialect{quote: '"', term: '\n'}
	text = sample(text)
	d.term = lineEnd(text, &d)
	d.delim = d.detectDelimiter(text, nil)
	share := d.regular(text)
	switch first := text[0]; {
	case tab != (d.delim == '\t'), first == '{', first == '[':
		if tab {
			return 0
		}
		return 1
	case share > 0:
		return 2
	}
	return 1
}
