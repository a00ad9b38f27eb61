package spec

import (
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"
)

// TestErrorAt: the place of each marked spot of a scalar's text (¦ before it in the file) is found, whatever the scalar's style.
func TestErrorAt(t *testing.T) {
	for name, file := range map[string]string{
		"plain":                    "k: fare > ¦nope\n",
		"plain after wide runes":   "é: ü > ¦nope\n",
		"plain on two lines":       "k: fare > 0\n    AND ¦nope\n",
		"plain with a comment":     "k: a ¦nope # why\nj: 1\n",
		"list item":                "- - a\n  - b ¦nope\n",
		"single-quoted":            "k: 'it''s ''x'' ¦nope'\n",
		"double-quoted":            `k: "a\tb \u00e9é \x41 \U0001F600 \\ \" ¦nope"` + "\n",
		"double-quoted two lines":  "k: \"a\n   b ¦nope\"\n",
		"double-quoted joined":     "k: \"a\\\n   b¦nope\"\n",
		"flow mapping":             "k: {a: \"x\", b: \"é\\n\", c: 1 ¦nope}\n",
		"literal block":            "k: |\n  select a,\n    b from\n  ¦nope\nj: 1\n",
		"literal block, CRLF":      "k: |\r\n  select a,\r\n    b\r\n  ¦nope\r\nj: 1\r\n",
		"literal block, comment":   "k: |- # sql\n  a\n  ¦nope\n",
		"literal block, no end":    "k: |\n  a\n  ¦nope",
		"folded block":             "k: >\n  a\n  b\n\n  c ¦nope\n",
		"folded block, stripped":   "k:\n  j: >-\n    a\n    b ¦nope\n  l: 1\n",
		"after blocks and quotes":  "a: |\n  x\n\n  y\nb: \"p\n  q\"\nc: >\n  x\n  y\nk: z ¦nope\n",
		"first in the file":        "¦nope\n",
		"number":                   "k: [1, ¦007]\n",
		"block with leading blank": "k: |\n\n  a ¦nope\n",
	} {
		t.Run(name, func(t *testing.T) {
			at := strings.Index(file, "¦")
			src := strings.Replace(file, "¦", "", 1)
			line := strings.Count(src[:at], "\n") + 1
			col := utf8.RuneCountInString(src[strings.LastIndex(src[:at], "\n")+1:at]) + 1
			root, err := Parse("p.yaml", []byte(src))
			if err != nil {
				t.Fatal(err)
			}
			found := false
			walk(root, func(n *Node) {
				for _, word := range []string{"nope", "007"} {
					if i := strings.Index(n.text, word); i >= 0 {
						found = true
						if e := n.ErrorAt(i, "x"); e.Line != int64(line) || e.Column != int64(col) {
							t.Errorf("ErrorAt is %d:%d, want %d:%d", e.Line, e.Column, line, col)
						}
					}
				}
			})
			if !found {
				t.Fatal("the spot is in no scalar")
			}
		})
	}
}

func walk(n *Node, f func(*Node)) {
	f(n)
	for _, e := range n.entries {
		walk(e.Value, f)
	}
	for _, it := range n.items {
		walk(it, f)
	}
}

// TestErrorAtVariable: text from a variable is at the variable; text after it is where it stands.
func TestErrorAtVariable(t *testing.T) {
	root, err := Parse("p.yaml", []byte("k: \"a = ${V} + nope\"\n"))
	if err != nil {
		t.Fatal(err)
	}
	if err := expand(root, map[string]string{"V": "a long value"}); err != nil {
		t.Fatal(err)
	}
	n := root.Get("k")
	for word, col := range map[string]int64{"a =": 5, "long": 9, "value": 9, "nope": 16} {
		if e := n.ErrorAt(strings.Index(n.text, word), "x"); e.Column != col {
			t.Errorf("%s is at column %d, want %d", word, e.Column, col)
		}
	}
	if e := n.ErrorAt(len(n.text), "x"); e.Column != 20 {
		t.Errorf("the end is at column %d, want 20", e.Column)
	}
}

// TestScalars: text exactly as written, and the strict readings of it.
func TestScalars(t *testing.T) {
	root, err := Parse("p.yaml", []byte("a: 007\nb: 1_000\nc: 0x1F\nd: yes\ne: 2026-11-22\nf: .5\ng: null\nh:\ni: true\nj: 12\nk: -3.5e2\nl: ~\nm: .inf\nn: count(*)\n"))
	if err != nil {
		t.Fatal(err)
	}
	entries, _ := root.Map()
	var got []string
	for _, e := range entries {
		s, err := e.Value.Str()
		if err != nil {
			s = "error"
		}
		_, ierr := e.Value.Int()
		_, ferr := e.Value.Float()
		_, berr := e.Value.Bool()
		got = append(got, fmt.Sprintf("%s=%s int:%t float:%t bool:%t", e.Key, s, ierr == nil, ferr == nil, berr == nil))
	}
	want := `a=007 int:true float:true bool:false
b=1_000 int:false float:false bool:false
c=0x1F int:false float:false bool:false
d=yes int:false float:false bool:false
e=2026-11-22 int:false float:false bool:false
f=.5 int:false float:true bool:false
g=null int:false float:false bool:false
h=error int:false float:false bool:false
i=true int:false float:false bool:true
j=12 int:true float:true bool:false
k=-3.5e2 int:false float:true bool:false
l=~ int:false float:false bool:false
m=.inf int:false float:false bool:false
n=count(*) int:false float:false bool:false`
	if g := strings.Join(got, "\n"); g != want {
		t.Errorf("got\n%s\nwant\n%s", g, want)
	}
	if root.Get("g") != nil || root.Get("h") != nil || root.Get("zz") != nil {
		t.Error("Get of a null or absent key is not nil")
	}
}

func TestNearest(t *testing.T) {
	known := []string{"filter", "derive", "select", "rename", "aggregate", "uri", "lz4"}
	for in, want := range map[string]string{"fliter": "filter", "Filter": "filter", "agregate": "aggregate", "slect": "select", "url": "uri", "lz": "lz4",
		"frobnicate": "", "": "", "x": "", strings.Repeat("a", 1000): ""} {
		if got := Nearest(in, known); got != want {
			t.Errorf("Nearest(%.20q) = %q, want %q", in, got, want)
		}
	}
}

// TestHostile: files made to hurt end in a plain error.
func TestHostile(t *testing.T) {
	bomb := "a: &a [x, x, x, x, x, x, x, x]\n"
	for c := 'b'; c < 'k'; c++ {
		bomb += fmt.Sprintf("%c: &%c [*%c, *%c, *%c, *%c, *%c, *%c, *%c]\n", c, c, c-1, c-1, c-1, c-1, c-1, c-1, c-1)
	}
	for _, c := range []struct{ name, text, want string }{
		{"alias bomb", bomb, "p.yaml:1:4: YAML anchors are not supported"},
		{"open brackets", strings.Repeat("[", 500_000), "nested more than 64 levels deep"},
		{"brackets", strings.Repeat("[", 500) + strings.Repeat("]", 500), "nested more than 64 levels deep"},
		{"dashes", strings.Repeat("- ", 400_000), "nested more than 64 levels deep"},
		{"indented", func() string {
			var b strings.Builder
			for i := range 100 {
				b.WriteString(strings.Repeat(" ", i) + "a:\n")
			}
			return b.String()
		}(), "nested more than 64 levels deep"},
		{"huge", "a: " + strings.Repeat("x", 2<<20), "the file is too large"},
		{"many lines", strings.Repeat("\n", 30_000), "the file is too large"},
		{"latin-1", "version: 1\nname: caf\xe9\n", "p.yaml:2:10: the file is not UTF-8: byte 0xe9"},
		{"a nul", "version: 1\nname: a\x00b\n", "p.yaml:2:8: control character U+0000"},
		{"UTF-16", "v\x00e\x00r\x00", "p.yaml:1:2: control character U+0000"},
		{"old Mac line ends", "version: 1\rname: t\r", "p.yaml:1:11: a carriage return"},
		{"gzip", "\x1f\x8b\x08\x00", "p.yaml:1:1: control character U+001F"},
	} {
		if _, err := Load("p.yaml", []byte(c.text), nil); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error is %v, want %q", c.name, err, c.want)
		}
	}
}

// FuzzLoad: no text panics, every error is one line and has a place in the file, and a text that loads has one canonical form.
func FuzzLoad(f *testing.F) {
	f.Add(full)
	f.Add("version: 1\nname: t\nsteps:\n  - filter: |\n      a > ${X:-0}\n")
	f.Add("a: \"\\u00e9\\\n x\"\nb: >+\n  c\n\n")
	f.Add("? a\n: - b\n")
	f.Fuzz(func(t *testing.T, text string) {
		if len(text) > 4096 {
			return
		}
		if root, err := Parse("p.yaml", []byte(text)); err == nil {
			walk(root, func(n *Node) {
				line, col := n.Lines()
				if line < 1 || col < 1 || line > strings.Count(text, "\n")+1 {
					t.Fatalf("node at %d:%d", line, col)
				}
				if n.places != nil && len(n.places) != len(n.text)+1 {
					t.Fatalf("%d places for %d bytes", len(n.places), len(n.text))
				}
				_ = n.ErrorAt(len(n.text), "x").Error()
			})
		}
		p, err := Load("p.yaml", []byte(text), testVars)
		if err != nil {
			if s := err.Error(); strings.Contains(s, "\n") || !strings.HasPrefix(s, "p.yaml:") {
				t.Fatalf("error %q", s)
			}
			return
		}
		q, err := Load("p.yaml", []byte(text), testVars)
		if err != nil || string(p.Canonical()) != string(q.Canonical()) {
			t.Fatalf("a second load differs: %v", err)
		}
	})
}

// A database's URL is uri; sink.postgres has dsn for it, too, and who writes one where the other is known is told.
func TestSuggestURI(t *testing.T) {
	for _, c := range []struct{ name, known, want string }{
		{"dsn", "uri format query dsn_env", `did you mean "uri"?`},
		{"url", "uri format query dsn_env", `did you mean "uri"?`},
		{"url", "table uri dsn dsn_env", `did you mean "uri" (or "dsn", which is the same)?`},
		{"DNS", "table uri dsn dsn_env", `did you mean "uri" (or "dsn", which is the same)?`},
		{"dns", "table dsn", `did you mean "dsn"?`},
		{"tabel", "table uri dsn", `did you mean "table"?`},
		{"else", "uri dsn", "use one of uri, dsn"},
	} {
		if got := suggest(c.name, strings.Fields(c.known)); got != c.want {
			t.Errorf("%s of %s: %s, want %s", c.name, c.known, got, c.want)
		}
	}
}
