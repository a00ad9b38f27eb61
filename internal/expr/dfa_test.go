package expr

import (
	"regexp"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// TestDFAIsTheEngine: a pattern's states say what package regexp says, of patterns and texts of few letters, so that many match.
func TestDFAIsTheEngine(t *testing.T) {
	atoms := []string{"a", "b", "ab", ".", "[ab]", "[^a]", "[0-9]", `\d`, `\s`, `\S`, "^", "$", `\A`, `\z`, "(a|b1)", "(?:ab|a)", "(|a)", "(^a|b$)", "é", "[à-ü]", `\n`, "(?i:K)", `\pL`, `\b`, "(?m:^)", "(?m:$)"}
	quantifiers := []string{"", "", "", "*", "+", "?", "*?", "{2}", "{1,3}", "{0,2}?"}
	states := 0
	rapid.Check(t, func(t *rapid.T) {
		var p strings.Builder
		p.WriteString(rapid.SampledFrom([]string{"", "(?s)", "(?i)", "(?is)"}).Draw(t, "flags"))
		for range rapid.IntRange(0, 6).Draw(t, "atoms") {
			p.WriteString(rapid.SampledFrom(atoms).Draw(t, "atom") + rapid.SampledFrom(quantifiers).Draw(t, "quantifier"))
			if rapid.IntRange(0, 5).Draw(t, "or") == 0 {
				p.WriteString("|")
			}
		}
		re, err := regexp.Compile(p.String())
		if err != nil {
			return
		}
		own := constRegex(re)
		if own.dfa != nil {
			states++
		}
		for range 30 {
			s := []byte(rapid.StringOfN(rapid.SampledFrom([]rune("aabbABkK019 \né\u212a")), 0, 8, -1).Draw(t, "text"))
			if rapid.IntRange(0, 9).Draw(t, "broken") == 0 {
				s = append(s, 0xc3)
			}
			if got, want := own.matches(s), re.Match(s); got != want {
				t.Fatalf("%q in %q: %v, want %v", p.String(), s, got, want)
			}
		}
	})
	if states == 0 {
		t.Error("no pattern had states")
	}
}

// TestDFAOf: which patterns have states of their own.
func TestDFAOf(t *testing.T) {
	for p, want := range map[string]bool{`7[0-9]*1$`: true, `^(a|b)+c?$`: true, `(?s).*x.*`: true, `^$`: true, `\bword`: false, `(?m)^a`: false, `(a|b)*a(a|b){12}`: false, `[a-z]{300}`: false} {
		if got := newDFA(regexp.MustCompile(p)) != nil; got != want {
			t.Errorf("%s: %v, want %v", p, got, want)
		}
	}
}
