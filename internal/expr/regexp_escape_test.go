package expr

import (
	"regexp"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// marked writes, where characters of s meet, several marks of what is there: the start of a word, its end, or neither.
func marked(s string) string {
	word := func(i int) bool { return i >= 0 && i < len(s) && isWordByte(s[i]) }
	var b strings.Builder
	for i := range len(s) + 1 {
		mark := "="
		switch {
		case word(i) && !word(i-1):
			mark = "<"
		case word(i-1) && !word(i):
			mark = ">"
		}
		b.WriteString(strings.Repeat(mark, 8))
		if i < len(s) {
			b.WriteByte(s[i])
		}
	}
	return b.String()
}

func isWordByte(c byte) bool { return c == '_' || isDigit(c) || c|0x20 >= 'a' && c|0x20 <= 'z' }

// TestWordEnds: a pattern with \m and \M that is taken matches what the same pattern does that looks for marks in a text with marks.
func TestWordEnds(t *testing.T) {
	atoms := map[string]string{`\m`: `<`, `\M`: `>`, `a`: `[<>=]*a`, `b`: `[<>=]*b`, `-`: `[<>=]*-`, ` `: `[<>=]* `, `\w`: `[<>=]*\w`, `[ab]`: `[<>=]*[ab]`, `[a-]`: `[<>=]*[a-]`, `.`: `[<>=]*[^<>=]`}
	var names []string
	for k := range atoms {
		names = append(names, k)
	}
	names = append(names, `\m`, `\M`)
	taken := 0
	rapid.Check(t, func(t *rapid.T) {
		var sequence func(depth int) (pattern, oracle string)
		sequence = func(depth int) (pattern, oracle string) {
			for range rapid.IntRange(1, 4).Draw(t, "atoms") {
				p := rapid.SampledFrom(names).Draw(t, "atom")
				o := atoms[p]
				if depth > 0 && rapid.IntRange(0, 3).Draw(t, "group") == 0 {
					p1, o1 := sequence(depth - 1)
					p2, o2 := sequence(depth - 1)
					p, o = "("+p1+"|"+p2+")", "("+o1+"|"+o2+")"
				}
				q := ""
				if p != `\m` && p != `\M` {
					q = rapid.SampledFrom([]string{"", "", "", "+", "*", "?", "{2}"}).Draw(t, "quantifier")
				}
				pattern, oracle = pattern+p+q, oracle+"(?:"+o+")"+q
			}
			return pattern, oracle
		}
		pattern, oracle := sequence(2)
		re, _, reason := compileRegexp(pattern, "")
		if reason != "" {
			if !strings.Contains(pattern, `\m`) && !strings.Contains(pattern, `\M`) {
				t.Fatalf("%s: %s", pattern, reason)
			}
			return
		}
		taken++
		want := regexp.MustCompile(oracle)
		for range 20 {
			s := rapid.StringOfN(rapid.SampledFrom([]rune("ab- ")), 0, 8, -1).Draw(t, "text")
			if got := re.MatchString(s); got != want.MatchString(marked(s)) {
				t.Fatalf("%q ~ %s (as %s) is %v", s, pattern, re, got)
			}
			if got := constRegex(re).matches([]byte(s)); got != want.MatchString(marked(s)) {
				t.Fatalf("%q ~ %s (as %s) is %v by its states", s, pattern, re, got)
			}
		}
	})
	if taken < 10 && !testing.Short() { // which draws few
		t.Errorf("%d patterns were taken", taken)
	}
}
