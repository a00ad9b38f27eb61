package csv

import (
	"bytes"
	stdcsv "encoding/csv"
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/sluice-data/sluice/sources"
)

// mess draws texts in which everything that matters to the grammar comes up often.
func mess(t *rapid.T, pieces ...string) string {
	if len(pieces) == 0 {
		pieces = []string{"a", "bc", "1", ",", ",", "\n", "\n", `"`, `""`, `,"`, `",`, "\"\n", "\r\n", "\r", "#", "\x00", "é", "\xff", "long text to cross words, "}
	}
	return strings.Join(rapid.SliceOfN(rapid.SampledFrom(pieces), 0, 60).Draw(t, "text"), "")
}

func someDialect(t *rapid.T) dialect {
	d := dialect{delim: ',', quote: '"', term: rapid.SampledFrom([]byte("\n\n\n\r")).Draw(t, "term")}
	switch rapid.IntRange(0, 5).Draw(t, "kind") {
	case 0:
		d.quote = 0
	case 1:
		d.comment = []byte("#")
	}
	return d
}

// TestCutIsWhereRecordsEnd compares the cutter's jumps with a walk record by record.
func TestCutIsWhereRecordsEnd(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := someDialect(t)
		text := []byte(mess(t))
		want := 0
		for pos := 0; pos < len(text); {
			if n := d.noRecord(text, pos, false); n > 0 {
				pos += n
			} else {
				_, s := d.record(text, pos, nil)
				if !s.whole {
					break
				}
				pos = s.next
			}
			if text[pos-1] == d.term {
				want = pos
			}
		}
		if got := d.cut(text); got != want {
			t.Fatalf("cut(%q) = %d, records end at %d (%+v)", text, got, want, d)
		}
	})
}

// TestFastIndexIsTheSlowOne holds for every text that the fast index takes.
func TestFastIndexIsTheSlowOne(t *testing.T) {
	taken := 0
	rapid.Check(t, func(t *rapid.T) {
		lay := &layout{dialect: someDialect(t), fields: rapid.IntRange(1, 4).Draw(t, "fields")}
		row := strings.Repeat(",", lay.fields-1)
		text := []byte(mess(t, "a", "bc\n", row+"\n", row+"\n", `"x"`, `"",""`, "\n", ",", "\r", row+"\r\n", `"a`+"\n"+`b"`, "some long text without any of it", string(rune(lay.term))))
		pos := rapid.IntRange(0, len(text)).Draw(t, "pos")
		limit := rapid.IntRange(pos, len(text)).Draw(t, "limit")
		if limit == pos {
			return
		}
		var f, s index
		f.ends = make([]uint32, limit-pos+spare)
		if !f.fast(text, pos, limit, limit == len(text), lay) {
			return
		}
		taken++
		s.slow(text, pos, limit, limit == len(text), lay)
		n := f.rows * lay.fields
		blank := strings.Trim(string(text[min(f.next, s.next):max(f.next, s.next)]), "\r\n") == "" // lines of nothing may be passed over sooner or later
		if f.rows != s.rows || !blank || !slices.Equal(f.bad, s.bad) || !slices.Equal(f.ends[:n], s.ends) || !slices.Equal(f.starts, s.starts) {
			t.Fatalf("%q [%d:%d] %+v:\nfast %d rows to %d, ends %v starts %v, bad %v\nslow %d rows to %d, ends %v starts %v, bad %v", text, pos, limit, lay, f.rows, f.next, f.ends[:n], f.starts, f.bad, s.rows, s.next, s.ends, s.starts, s.bad)
		}
	})
	if taken == 0 {
		t.Error("the fast index took none of the texts")
	}
}

// TestRegularTextIsFast: the fast index is not to be lost on what most files look like.
func TestRegularTextIsFast(t *testing.T) {
	text, _ := trips(500)
	for name, form := range map[string]func(string) string{
		"LF":               func(s string) string { return s },
		"CRLF":             func(s string) string { return strings.ReplaceAll(s, "\n", "\r\n") },
		"no final newline": func(s string) string { return strings.TrimSuffix(s, "\n") },
		"literal quotes":   func(s string) string { return strings.ReplaceAll(s, "airport", `5" pipe`) },
		"all quoted": func(s string) string {
			return strings.NewReplacer(`"`, "", ",", `","`, "\n", "\"\n\"").Replace(`"`+s[:len(s)-1]) + `"`
		},
	} {
		b := []byte(form(string(text)))
		lay := &layout{dialect: dialect{delim: ',', quote: '"', term: '\n'}, fields: 18}
		if name == "all quoted" {
			lay.fields = len(lay.cells(b, 0, func() []uint32 { e, _ := lay.record(b, 0, nil); return e }()))
			b = bytes.Repeat(b[:bytes.IndexByte(b, '\n')+1], 300)
		}
		var x index
		x.ends = make([]uint32, len(b)+spare)
		if !x.fast(b, 0, len(b), true, lay) {
			t.Errorf("%s: left to the slow index", name)
		}
	}
}

// TestCutLooksBackPastManyQuotedFields: the last line end may be far behind a record of many quoted fields that is cut short.
func TestCutLooksBackPastManyQuotedFields(t *testing.T) {
	d := dialect{delim: ',', quote: '"', term: '\n'}
	for _, fields := range []int{1, 63, 64, 65, 200} {
		whole := "a,b\n" + strings.Repeat(`"x`+"\n"+`",`, 70) + "y\n"
		part := strings.Repeat(`"x`+"\n"+`",`, fields)
		if got := d.cut([]byte(whole + part)); got != len(whole) {
			t.Errorf("%d quoted fields: cut at %d, want %d", fields, got, len(whole))
		}
	}
}

func messyRequest(text string, t *rapid.T) sources.Request {
	req := sources.Request{MaxRecord: 1 << 20, ChunkBytes: 1 << 20, Schema: sources.SchemaSpec{Mode: sources.Strict}}
	for _, c := range []string{"a", "bc", "d"}[:rapid.IntRange(1, 3).Draw(t, "columns")] {
		req.Schema.Columns = append(req.Schema.Columns, sources.Column{Field: mustField(c, rapid.SampledFrom([]string{"string", "int32", "float64", "decimal(9,2)"}).Draw(t, "type"))})
	}
	h := false
	req.Options = sources.Options{Header: &h, Delimiter: ","}
	if rapid.Bool().Draw(t, "comment") {
		req.Options.Comment = "#"
	}
	req.Inputs = []sources.Input{textInput("f", text)}
	return req
}

// TestAnyChunkingGivesTheSameRows is the promise that lanes rest on: rows, rejects, lines and offsets do not depend on how an
// input was cut.
func TestAnyChunkingGivesTheSameRows(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := mess(t)
		req := messyRequest(text, t)
		fields := len(req.Schema.Columns)
		if fields != firstFields(text, req) {
			text = strings.Repeat("1,", fields-1) + "1\n" + text
		}
		req.Inputs = []sources.Input{textInput("f", text)}
		want := read(t, req, false, 0)
		req.ChunkBytes = rapid.IntRange(1, len(text)+1).Draw(t, "chunk")
		got := read(t, req, false, rapid.IntRange(1, len(text)+1).Draw(t, "piece"))
		if fmt.Sprint(got.rows, got.err) != fmt.Sprint(want.rows, want.err) || fmt.Sprint(got.rejects) != fmt.Sprint(want.rejects) {
			t.Fatalf("%q in chunks of %d:\n%s\nat once:\n%s", text, req.ChunkBytes, strings.Join(append(got.rows, got.rejects...), "\n"), strings.Join(append(want.rows, want.rejects...), "\n"))
		}
		checkNothingLost(t, text, got, req)
	})
}

func firstFields(text string, req sources.Request) int {
	set, err := newSettings(req.Options, false)
	if err != nil {
		return 0
	}
	h, _, err := set.readHead("f", []byte(text), true, nil)
	if err != nil {
		return 0
	}
	return h.fields
}

// checkNothingLost puts the records' bytes together: between them are line ends, blank lines and comments only.
func checkNothingLost(t *rapid.T, text string, r result, req sources.Request) {
	if r.err != nil {
		return
	}
	at := 0
	slices.SortFunc(r.raws, func(a, b originOf) int { return int(a.Offset - b.Offset) })
	term := lineEnd([]byte(text), &dialect{delim: ',', quote: '"'})
	gap := func(s string) {
		for _, line := range strings.Split(s, string(rune(term))) {
			if strings.Trim(line, "\r\n") != "" && (req.Options.Comment == "" || !strings.HasPrefix(strings.TrimPrefix(line, "\n"), "#")) {
				t.Fatalf("%q is in no record of %q", s, text)
			}
		}
	}
	for _, o := range r.raws {
		gap(text[at:o.Offset])
		if string(o.Raw) != text[o.Offset:int(o.Offset)+len(o.Raw)] {
			t.Fatalf("raw %q at %d of %q", o.Raw, o.Offset, text)
		}
		at = int(o.Offset) + len(o.Raw)
	}
	gap(text[at:])
}

// checkAgainstStandard compares with encoding/csv on a text that both read alike.
func checkAgainstStandard(t fataler, text string) {
	if strings.ContainsAny(text, "\r\x00") || !strings.HasSuffix(text, "\n") || strings.Contains(text, "\xEF\xBB\xBF") {
		return // line ends in quotes are normalised there, and NUL is text
	}
	want := stdcsv.NewReader(strings.NewReader(text))
	want.FieldsPerRecord = -1
	records, err := want.ReadAll()
	if err != nil || len(records) == 0 || len(records[0]) < 2 {
		return
	}
	d := dialect{delim: ',', quote: '"', term: '\n'}
	var got [][]string
	var ends []uint32
	b := []byte(text)
	for pos := d.skip(b, 0, false); pos < len(b); {
		var s span
		if ends, s = d.record(b, pos, ends[:0]); s.fault != sound {
			t.Fatalf("record at %d of %q: %s", pos, text, s.fault.reason())
		}
		got = append(got, d.cells(b, pos, ends))
		pos = d.skip(b, s.next, false)
	}
	if fmt.Sprintf("%q", got) != fmt.Sprintf("%q", records) {
		t.Fatalf("%q:\n%q, encoding/csv\n%q", text, got, records)
	}
	checkDecoded(t, text, records)
}

// checkDecoded decodes text as string columns and compares the rows that have as many fields as the first.
func checkDecoded(t fataler, text string, records [][]string) {
	h := false
	req := sources.Request{ChunkBytes: 16, MaxRecord: 1 << 20, Inputs: []sources.Input{textInput("f", text)}, Options: sources.Options{Header: &h, Delimiter: ",", NullValues: []string{}}}
	for i := range records[0] {
		req.Schema.Columns = append(req.Schema.Columns, sources.Column{Field: mustField(fmt.Sprint("c", i), "binary")})
	}
	if refuseBinary("f", []byte(text)) != nil {
		return
	}
	var want []string
	for _, r := range records {
		if len(r) == len(records[0]) {
			want = append(want, strings.Join(r, "\x01"))
		}
	}
	var got []string
	r := readCells(t, req, func(cells [][]byte) { got = append(got, string(bytes.Join(cells, []byte{1}))) })
	if r != nil || !slices.Equal(got, want) {
		t.Fatalf("%q decoded as %q, %v, want %q", text, got, r, want)
	}
}

func TestAgainstStandardLibrary(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		checkAgainstStandard(t, "x,y\n"+mess(t, "a", "bc", ",", ",", "\n", "\n", `,"q"`, `"q",`, `,"a""b"`, ",\"a\nb\"", "é")+"\n")
	})
}

func FuzzAgainstStandardLibrary(f *testing.F) {
	f.Add("a,b\n\"x\"\"y\",2\n")
	f.Add("a,b\n1,\"\n\"\n\n")
	f.Fuzz(func(t *testing.T, text string) { checkAgainstStandard(t, text) })
}

// TestGuessesOfColumns: what a column's loop takes from its cells is what classify says of each.
func TestGuessesOfColumns(t *testing.T) {
	cell := rapid.OneOf(rapid.SampledFrom([]string{"", "0", "1", "-1", "00", "007", "0.5", "00.5", ".5", "5.", ".", "1.50", "-0", "-0.5", "12345678", "123456789", "1234567.", "1.2.3", "1e5", "true", "x",
		"2026-01-02", "2026-01-02 03:04:05", "2026-01-02T03:04:05", "2026-01-02 03:04:60", "2026-01-02 03:04:05Z", "03:04:05", "9223372036854775808", "9007199254740993", "0.12345678901234567890", `"1"`, `""`}),
		rapid.StringMatching(`[0-9.]{1,9}`), rapid.StringMatching(`[0-9]{4}-[01][0-9]-[0-3][0-9]( [0-2][0-9]:[0-6][0-9]:[0-6][0-9])?`))
	rapid.Check(t, func(t *rapid.T) {
		cells := rapid.SliceOfN(cell, 1, 6).Draw(t, "cells")
		s := &source{settings: &settings{nulls: newNullTexts(rapid.SampledFrom([][]string{nil, {}, {"", "0"}}).Draw(t, "nulls"))}}
		lay := layout{dialect: dialect{delim: ',', quote: '"', term: '\n'}, fields: 2, names: []string{"v", "w"}, header: true}
		f, want := newFinder(s), &guess{}
		h := &headed{layout: lay}
		f.add(h)
		var text strings.Builder
		for _, c := range cells {
			text.WriteString(c + ",long enough to have eight bytes before\n")
			f.value(want, h, []byte(c), nil)
		}
		f.observe(h, []byte(text.String()), true, len(cells))
		got := f.guesses["v"]
		if want.seen[kindText] {
			got.digits, got.scale, got.large, got.inexact, got.neg, got.seen = want.digits, want.scale, want.large, want.inexact, want.neg, want.seen
		}
		if *got != *want {
			t.Fatalf("%q: %+v, want %+v", cells, *got, *want)
		}
	})
}

// FuzzRead looks for a panic, a leak, a lost record or one read twice.
func FuzzRead(f *testing.F) {
	for _, s := range []string{"a,b\n1,2\n", "a\r1\r", "\xef\xbb\xbfa\n\"", "#\n\n,\n", "\xff\xfea\x00", "a,b\n\"x\"y,2\n1,2,3\n"} {
		f.Add([]byte(s), byte(3))
	}
	f.Fuzz(func(t *testing.T, text []byte, chunk byte) {
		req := sources.Request{ChunkBytes: 1 << 20, MaxRecord: 1 << 20, Inputs: []sources.Input{textInput("f", string(text))}}
		want := read(t, req, false, 0)
		req.ChunkBytes = 1 + int(chunk)
		got := read(t, req, false, 1+int(chunk)/2)
		if fmt.Sprint(got.schema, got.rows, got.rejects, got.err) != fmt.Sprint(want.schema, want.rows, want.rejects, want.err) {
			t.Fatalf("in chunks of %d: %v %v %v\nat once: %v %v %v", req.ChunkBytes, got.rows, got.rejects, got.err, want.rows, want.rejects, want.err)
		}
	})
}
