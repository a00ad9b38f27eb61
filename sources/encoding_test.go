package sources

import (
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"unicode/utf16"

	"pgregory.net/rapid"

	"github.com/sluice-data/sluice/internal/fail"
)

func TestTranscode(t *testing.T) {
	for _, c := range []struct{ enc, in, want string }{
		{"", "plain é\n", "plain é\n"},
		{"", "", ""},
		{"", "x", "x"},
		{"", "\xEF\xBB\xBFa", "\xEF\xBB\xBFa"}, // the format takes the mark off and counts it in its offsets
		{"utf-8", "bad \xFF", "bad \xFF"},
		{"", "\xFF\xFEa\x00\xE9\x00", "aé"},
		{"UTF-16", "\xFE\xFF\x00a\x00\xE9", "aé"},
		{"utf-16", "a\x00b\x00", "ab"},
		{"utf-16be", "\x00a\xD8\x3D\xDE\x00", "a😀"},
		{"utf-16le", "a\x00\x3D\xD8b\x00", "a\xED\xA0\xBDb"}, // a lone surrogate stays visible as invalid text
		{"utf-16le", "\x3D\xD8", "\xED\xA0\xBD"},
		{"latin-1", "caf\xE9 \x80", "café \u0080"},
		{"cp1252", "\x80 \x93q\x94 \xFF", "€ “q” ÿ"},
		{"windows-1252", "a\x81", "a\x81"},
	} {
		for name, wrap := range map[string]func(io.Reader) io.Reader{"at once": func(r io.Reader) io.Reader { return r }, "byte by byte": iotest.OneByteReader, "data with EOF": iotest.DataErrReader} {
			r, err := Transcode(c.enc, "f", wrap(strings.NewReader(c.in)))
			if err != nil {
				t.Fatal(err)
			}
			got, err := io.ReadAll(r)
			if err != nil || string(got) != c.want {
				t.Errorf("%s %q %s = %q, %v, want %q", c.enc, c.in, name, got, err, c.want)
			}
		}
	}
}

func TestTranscodeFaults(t *testing.T) {
	for _, c := range []struct {
		enc, in, want string
		kind          fail.Kind
	}{
		{"ebcdic", "", `unknown encoding "ebcdic"`, fail.Usage},
		{"utf-8", "\xFF\xFEa\x00", "set encoding: utf-16", fail.Data},
		{"utf-16be", "\xFF\xFEa\x00", "contradicts", fail.Data},
		{"utf-16le", "a\x00b", "f: offset 2: UTF-16 text ends in the middle", fail.Data},
	} {
		r, err := Transcode(c.enc, "f", strings.NewReader(c.in))
		if err == nil {
			_, err = io.ReadAll(r)
		}
		if err == nil || fail.KindOf(err) != c.kind || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s %q: %v, want %s error with %q", c.enc, c.in, err, c.kind, c.want)
		}
	}
	broken := errors.New("broken")
	r, err := Transcode("utf-16le", "f", io.MultiReader(strings.NewReader("a\x00b\x00"), iotest.ErrReader(broken)))
	if err == nil {
		_, err = io.ReadAll(r)
	}
	if !errors.Is(err, broken) {
		t.Errorf("a stream's error becomes %v", err)
	}
}

func TestUTF16RoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.String().Draw(t, "text")
		var in []byte
		for _, u := range utf16.Encode([]rune(text)) {
			in = append(in, byte(u>>8), byte(u))
		}
		r, err := Transcode("utf-16be", "f", strings.NewReader("\xFE\xFF"+string(in)))
		if err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(r); err != nil || string(got) != text {
			t.Fatalf("got %q, %v, want %q", got, err, text)
		}
	})
}
