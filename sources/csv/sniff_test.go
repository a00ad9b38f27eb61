package csv

import (
	"bytes"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// TestShortCutsOfDetectionFindWhatAllRecordsSay: detection looks no further than it must; what it finds is what looking at
// everything finds.
func TestShortCutsOfDetectionFindWhatAllRecordsSay(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.OneOf(
			rapid.StringOfN(rapid.RuneFrom([]rune("ab,;|:\t\"\r\n\n")), 0, 80, -1),
			rapid.Custom(regularText),
		).Draw(t, "text")
		known := rapid.SliceOfDistinct(rapid.SampledFrom([]string{"a", "b", "a:b", "id", "name", "x"}), rapid.ID).Draw(t, "known")
		b := []byte(text)
		d := dialect{quote: '"', term: '\n'}
		if got, want := lineEnd(b, &d), lineEndByAll(b, &d); got != want {
			t.Fatalf("%q: line end %q, want %q", text, got, want)
		}
		d.term = lineEnd(b, &d)
		if got, want := d.detectDelimiter(b, known), d.delimiterByAll(b, known); got != want {
			t.Fatalf("%q, known %q: delimiter %q, want %q", text, known, got, want)
		}
	})
}

// regularText is a text that is mostly regular.
func regularText(t *rapid.T) string {
	var b strings.Builder
	delim := rapid.SampledFrom([]string{",", ";", "\t", "|", ":"}).Draw(t, "delimiter")
	end := rapid.SampledFrom([]string{"\n", "\r\n", "\r", "\r\r\n"}).Draw(t, "line end")
	cell := rapid.SampledFrom([]string{"a", "b", "id", "name", "x", "1", "a:b", "a,b", `"a;b"`, `"a` + "\n" + `b"`, ""})
	width := rapid.IntRange(1, 4).Draw(t, "fields")
	for range rapid.IntRange(0, 12).Draw(t, "records") {
		n := width
		if rapid.IntRange(0, 15).Draw(t, "ragged") == 0 {
			n++
		}
		for i := range n {
			if i > 0 {
				b.WriteString(delim)
			}
			b.WriteString(cell.Draw(t, "cell"))
		}
		b.WriteString(end)
	}
	return b.String()
}

func (d dialect) delimiterByAll(b []byte, known []string) byte {
	best, bestShare := byte(','), 0.89
	for _, c := range []byte(delimiters) {
		d.delim = c
		var first []string
		same, all := 0, 0
		d.each(b, 1000, func(pos int, ends []uint32, s span) {
			if all == 0 {
				first = d.cells(b, pos, ends)
			}
			all++
			if len(ends) == len(first) && s.fault == sound {
				same++
			}
		})
		if len(first) > 1 && len(known) > 0 && 2*len(without(first, known)) <= len(first) {
			return c
		}
		if share := float64(same) / float64(all); len(first) > 1 && share > bestShare {
			best, bestShare = c, share
		}
	}
	return best
}

func lineEndByAll(b []byte, d *dialect) byte {
	feeds, returns := 0, 0
	start := true
	for i := 0; i < len(b); i++ {
		c := b[i]
		if c == d.quote && start {
			if i = d.closing(b, i+1); i < 0 {
				break
			}
			start = false
			continue
		}
		if c == '\n' {
			feeds++
		}
		if c == '\r' && !bytes.ContainsAny(b[i+1:min(i+2, len(b))], "\r\n") {
			returns++
		}
		start = c == '\n' || c == '\r' || isDelimiter(c)
	}
	if returns > feeds {
		return '\r'
	}
	return '\n'
}

func TestControlsAreCountedInWords(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := rapid.SliceOf(rapid.OneOf(rapid.Byte(), rapid.ByteRange(0, 0x21), rapid.SampledFrom([]byte{0x7F, 0x80, 0x9F, 0xA0, 0xFF}))).Draw(t, "text")
		want := 0
		for _, c := range b {
			if c < 0x20 && !bytes.Contains([]byte("\t\n\r\f\x1A"), []byte{c}) {
				want++
			}
		}
		if got := controls(b); got != want {
			t.Fatalf("%q: %d controls, want %d", b, got, want)
		}
	})
}
