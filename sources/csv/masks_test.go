package csv

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// TestMasksAreThoseOfPlainGo holds the assembly, where there is any, to masksGo.
func TestMasksAreThoseOfPlainGo(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, d := range []dialect{{delim: ',', quote: '"', term: '\n'}, {delim: '\t', term: '\n'}, {delim: ';', quote: '\'', term: '\r'}} {
		for blocks := 1; blocks <= 5; blocks++ {
			for _, chars := range []string{",\"\n'\r;\t \x80\xff", "a,\n", "abc\x00", "abc\r\n", "x"} {
				p := make([]byte, 64*blocks)
				for i := range p {
					p[i] = chars[r.IntN(len(chars))]
				}
				got, want := make([]mask, blocks), make([]mask, blocks)
				nul, other := masks(p, &d, got)
				wantNUL, wantOther := masksGo(p, &d, want)
				if !slices.Equal(got, want) || nul != wantNUL || other != wantOther {
					t.Errorf("%q of %+v:\n got  %x %v %v\n want %x %v %v", p, d, got, nul, other, want, wantNUL, wantOther)
				}
			}
		}
	}
}

// TestSeparatorsOfAnyText compares with a walk record by record, over borders of blocks and strides.
func TestSeparatorsOfAnyText(t *testing.T) {
	taken := 0
	rapid.Check(t, func(t *rapid.T) {
		d := dialect{delim: ',', quote: '"', term: '\n'}
		text := []byte(strings.Repeat("x", rapid.SampledFrom([]int{0, 0, 50, stride - 70}).Draw(t, "before")) +
			mess(t, "a", ",", ",", "\n", `,"q"`, `"",`, `,"a""b"`, ",\"a\n,b\"", `5" pipe`, `a"b"`, "\r\n", `,"c"`+"\r\n", "some text to cross words with it, "))
		s := separators{d: &d, ends: make([]uint32, len(text)+spare)}
		if !s.find(text, 0) {
			return
		}
		taken++
		var want []uint32
		var ends []uint32
		lines := 0
		for pos := 0; pos < len(text); {
			var sp span
			ends, sp = d.record(text, pos, ends[:0])
			if sp.fault == unclosed {
				want = append(want, ends[:len(ends)-1]...)
				break
			}
			if !sp.whole {
				ends = ends[:len(ends)-1]
			} else {
				lines++
				ends[len(ends)-1] = uint32(sp.next - 1)
			}
			want = append(want, ends...)
			pos = sp.next
		}
		if !slices.Equal(s.ends[:s.k], want) || s.lines != lines || s.other != (bytes.IndexByte(text, '\r') >= 0) {
			t.Fatalf("%q: %d lines %v, want %d lines %v", text, s.lines, s.ends[:s.k], lines, want)
		}
	})
	if taken == 0 {
		t.Error("none of the texts was taken")
	}
}
