package jsonl

import (
	"strings"
	"testing"

	"github.com/sluice-data/sluice/sources"
)

// What is not strict JSON (RFC 8259), or not one object on the line, rejects that line and no other. The columns do not matter: with
// "other" the bad value is in a key that is not read.
func TestMalformedLines(t *testing.T) {
	deep := func(n int) string { return `{"v":` + strings.Repeat("[", n-1) + strings.Repeat("]", n-1) + `}` }
	for _, c := range [][2]string{
		{`{"v":1,}`, `not JSON at byte 8 of the line: trailing comma [}]`},
		{`{"v":[1,]}`, `not JSON at byte 9 of the line: trailing comma []}]`},
		{`{"v":NaN}`, `not JSON at byte 6 of the line: NaN is not JSON: write null [NaN}]`},
		{`{"v":-Infinity}`, `not JSON at byte 7 of the line: number without the digits it needs [Infinity}]`},
		{`{"v":Infinity}`, `not JSON at byte 6 of the line: Infinity is not JSON: write null [Infinity}]`},
		{`{"v":01}`, `not JSON at byte 6 of the line: number with a leading zero [01}]`},
		{`{"v":-01.5}`, `not JSON at byte 7 of the line: number with a leading zero [01.5}]`},
		{`{"v":+1}`, `not JSON at byte 6 of the line: '+' where a value should be [+1}]`},
		{`{"v":.5}`, `not JSON at byte 6 of the line: '.' where a value should be [.5}]`},
		{`{"v":1.}`, `not JSON at byte 8 of the line: number without the digits it needs [}]`},
		{`{"v":1.e5}`, `not JSON at byte 8 of the line: number without the digits it needs [e5}]`},
		{`{"v":1e}`, `not JSON at byte 8 of the line: number without the digits it needs [}]`},
		{`{"v":-}`, `not JSON at byte 7 of the line: number without the digits it needs [}]`},
		{`{"v":1.5.5}`, `not JSON at byte 9 of the line: '.' where ',' or '}' should be [.5}]`},
		{`{"v":0x10}`, `not JSON at byte 7 of the line: 'x' where ',' or '}' should be [x10}]`},
		{`{"v":1_000}`, `not JSON at byte 7 of the line: '_' where ',' or '}' should be [_000}]`},
		{`{"v":nul}`, `not JSON at byte 6 of the line: 'n' where a value should be [nul}]`},
		{`{"v":True}`, `not JSON at byte 6 of the line: 'T' where a value should be [True}]`},
		{`{"v":truer}`, `not JSON at byte 10 of the line: 'r' where ',' or '}' should be [r}]`},
		{`{"v":}`, `not JSON at byte 6 of the line: '}' where a value should be [}]`},
		{`{"v"}`, `not JSON at byte 5 of the line: '}' where ':' should be [}]`},
		{`{v:1}`, `not JSON at byte 2 of the line: 'v' where a key in quotes should be [v:1}]`},
		{`{'v':1}`, `not JSON at byte 2 of the line: single quotes are not JSON: want a key in quotes ['v':1}]`},
		{`{"v":1 "w":2}`, `not JSON at byte 8 of the line: '"' where ',' or '}' should be ["w":2}]`},
		{`{"v":[1 2]}`, `not JSON at byte 9 of the line: '2' where ',' or ']' should be [2]}]`},
		{`{"v":1}}`, `not JSON at byte 8 of the line: text behind the value: want one object on each line [}]`},
		{`{"v":1} {"v":2}`, `not JSON at byte 9 of the line: text behind the value: want one object on each line [{"v":2}]`},
		{`{"v":1} // one`, `not JSON at byte 9 of the line: text behind the value: want one object on each line [// one]`},
		{`[{"v":1}]`, `not JSON at byte 1 of the line: not a JSON object: want one object on each line [[{"v":1}]]`},
		{`"v"`, `not JSON at byte 1 of the line: not a JSON object: want one object on each line ["v"]`},
		{`null`, `not JSON at byte 1 of the line: not a JSON object: want one object on each line [null]`},
		{`v`, `not JSON at byte 1 of the line: 'v' where a value should be [v]`},
		{`{"v":"abc`, `not JSON at byte 10 of the line: line ends inside a string []`},
		{`{"v":"abc\`, `not JSON at byte 11 of the line: line ends inside a string []`},
		{`{"v":1`, `not JSON at byte 7 of the line: line ends where ',' or '}' should be: the record is cut short, or goes on in the next line []`},
		{`{"v":-`, `not JSON at byte 7 of the line: line ends inside a number []`},
		{`{`, `not JSON at byte 2 of the line: line ends where a key in quotes should be: the record is cut short, or goes on in the next line []`},
		{"{\"v\":\"a\tb\"}", "not JSON at byte 8 of the line: control character 0x09 in a string [\tb\"}]"},
		{"{\"v\":\"a\x00b\"}", "not JSON at byte 8 of the line: control character 0x00 in a string [\x00b\"}]"},
		{"{\"v\":\x001}", "not JSON at byte 6 of the line: '\\x00' where a value should be [\x001}]"},
		{`{"v":"\x41"}`, `not JSON at byte 7 of the line: unknown escape in a string [\x41"}]`},
		{`{"v":"\u12G4"}`, `not JSON at byte 7 of the line: \u without four hex digits [\u12G4"}]`},
		{`{"v":"\ud83d"}`, `not JSON at byte 7 of the line: lone surrogate in a string [\ud83d"}]`},
		{`{"v":"\ude00\ud83d"}`, `not JSON at byte 7 of the line: lone surrogate in a string [\ude00\ud83d"}]`},
		{`{"v":"\ud83d\u0041"}`, `not JSON at byte 7 of the line: lone surrogate in a string [\ud83d\u0041"}]`},
		{"{\"v\":\"ab\xffcd\"}", "not JSON at byte 9 of the line: invalid UTF-8 in a string [\xffcd\"}]"},
		{"{\"v\":\"\xc0\xaf\"}", "not JSON at byte 7 of the line: invalid UTF-8 in a string [\xc0\xaf\"}]"},         // overlong
		{"{\"v\":\"\xed\xa0\x80\"}", "not JSON at byte 7 of the line: invalid UTF-8 in a string [\xed\xa0\x80\"}]"}, // a surrogate
		{"{\"\xff\":1}", "not JSON at byte 3 of the line: invalid UTF-8 in a string [\xff\":1}]"},
		{deep(1001), `not JSON at byte 1005 of the line: nested deeper than 1000 levels [` + strings.Repeat("[", 1) + strings.Repeat("]", 79) + `…]`},
		{`{"v":` + strings.Repeat(`{"v":`, 1000) + strings.Repeat("}", 1001), `not JSON at byte 5001 of the line: nested deeper than 1000 levels [{"v":` + strings.Repeat("}", 75) + "…]"},
		{"\ufeff{\"v\":1}", "not JSON at byte 1 of the line: '\\ufeff' where a value should be [\ufeff{\"v\":1}]"}, // a byte order mark between files joined
	} {
		for _, types := range []string{"v json", "other int64, v string", "v list<json>", "v struct<x: int64>", "v float64", "v int64", "v decimal(9,2)", "v timestamp"} {
			want := strings.ToValidUTF8(": "+c[1], "?")
			res := read(t, request(t, sources.Strict, types, "{\"v\":null}\n"+c[0]+"\n{\"v\":null}"))
			if len(res.rejects) != 1 || len(res.rows) != 2 || strings.ToValidUTF8(res.reasons()[0], "?") != want {
				t.Errorf("%s into %s:\n rows %q\n got  %q\n want %q", c[0], types, res.rows, res.rejects, want)
			}
		}
	}
	if res := read(t, request(t, sources.Strict, "v json", deep(1000))); len(res.rows) != 1 {
		t.Errorf("1000 levels: %v", res.rejects)
	}
}

// Places: line and byte offset of the record, the path of the value in it.
func TestPlaces(t *testing.T) {
	res := read(t, request(t, sources.Strict, "a struct<b: list<struct<c: int32>>>, k int64",
		"\xef\xbb\xbf{\"a\":{\"b\":[{\"c\":1}]}}\r\n"+ // a byte order mark is skipped, and counts as bytes
			"\r\n"+
			"  \t\n"+
			`{"a":{"b":[{"c":1},null,{"c":"x"}]}}`+"\n"+
			`{"k":1,"a":{"b":[{"d":[1, 2]}]}}`+"\n"+
			`{"k":2}`+"\n"+
			` {"k":3} `+"\r\n"+
			`{"k":4,"x":{"y":1}}`))
	same(t, "rows", res.rows, []string{
		`1 3: {"b":[{"c":1}]} | (null)`,
		`6 102: (null) | 2`,
		`7 110: (null) | 3`,
	})
	same(t, "rejects", res.rejects, []string{
		`4 32: a.b[2].c: want int32, have a string: strings are not converted ["x"]`,
		`5 69: a.b[0].d: unknown key "d": declare it or use mode: evolve [[1, 2]]`,
		`8 121: x: unknown key "x": declare it or use mode: evolve [{"y":1}]`,
	})
}

func TestKeys(t *testing.T) {
	for _, c := range []struct {
		name, types, text string
		rows, rejects     []string
	}{
		{
			"any order, keys that come and go", "a int64, b int64, c int64",
			`{"a":1,"b":2,"c":3} {"c":6,"b":5,"a":4} {"c":7} {"b":8} {} {"a":9,"c":10} {"a":1,"b":2,"c":3}`,
			[]string{"1 | 2 | 3", "4 | 5 | 6", "(null) | (null) | 7", "(null) | 8 | (null)", "(null) | (null) | (null)", "9 | (null) | 10", "1 | 2 | 3"}, nil,
		},
		{
			"white space", "a int64, b int64",
			"{\"a\":1,\"b\":2} \t{\t\"a\"\t:\t1\t,\r\"b\"\r:\r2\r}",
			[]string{"1 | 2", "1 | 2"}, nil,
		},
		{
			"keys compare unescaped", "a int64, a/b int64, é int64",
			`{"\u0061":1,"a\/b":2,"\u00e9":3} {"a":4,"a/b":5,"é":6} {"a":1,"\u0061":2}`,
			[]string{"1 | 2 | 3", "4 | 5 | 6"},
			[]string{`a: duplicate key "a" in one object [2]`},
		},
		{
			"duplicates, also nested, not in json", "a int64, s struct<x: int64>, j json",
			`{"a":1,"a":1} {"s":{"x":1,"x":2}} {"j":{"x":1,"x":2}} {"a":null,"j":1,"a":null}`,
			[]string{`(null) | (null) | {"x":1,"x":2}`},
			[]string{`a: duplicate key "a" in one object [1]`, `s.x: duplicate key "x" in one object [2]`, `a: duplicate key "a" in one object [null]`},
		},
		{
			"the empty key, and names that begin alike", "ab int64, a int64, abc int64",
			`{"a":1,"ab":2,"abc":3} {"abc":1,"a":2,"ab":3} {"":1}`,
			[]string{"2 | 1 | 3", "3 | 2 | 1"},
			[]string{`: unknown key "": declare it or use mode: evolve [1]`},
		},
	} {
		text := strings.ReplaceAll(c.text, "} {", "}\n{")
		text = strings.ReplaceAll(text, "} \t{", "}\n{")
		res := read(t, request(t, sources.Strict, c.types, text))
		same(t, c.name, res.values(), c.rows)
		same(t, c.name+": rejects", res.reasons(), c.rejects)
	}
}

// Columns that the pipeline does not use are not made, but a malformed line is not accepted for that, nor is a key twice.
func TestPruning(t *testing.T) {
	text := `{"a":1,"b":"x","c":[1,{"d":2}]}
{"c":"not a list","b":5,"a":2}
{"a":3,"c":[1,}
{"a":4,"b":"\ud800"}
{"a":5,"b":1,"b":2}
{"a":6,"u":1}
`
	req := request(t, sources.Strict, "a int64, b string, c list<json>", text)
	req.Need = map[string]bool{"a": true, "elsewhere": true}
	res := read(t, req)
	if res.types != "a int64" {
		t.Errorf("schema: %s", res.types)
	}
	same(t, "rows", res.values(), []string{"1", "2"})
	same(t, "rejects", res.reasons(), []string{
		`: not JSON at byte 15 of the line: '}' where a value should be [}]`,
		`: not JSON at byte 13 of the line: lone surrogate in a string [\ud800"}]`,
		`b: duplicate key "b" in one object [2]`,
		`u: unknown key "u": declare it or use mode: evolve [1]`,
	})

	req.Need = map[string]bool{} // count(*) needs no column at all
	if res = read(t, req); len(res.rows) != 2 || res.types != "" {
		t.Errorf("no columns: %d rows of %q", len(res.rows), res.types)
	}
}

func TestLineEnds(t *testing.T) {
	for _, text := range []string{"", "\n", "\r\n \n\t\n", "\xef\xbb\xbf", "\xef\xbb\xbf\n"} {
		if res := read(t, request(t, sources.Strict, "v int64", text)); res.records != 0 {
			t.Errorf("%q: %d records", text, res.records)
		}
	}
	for _, text := range []string{"{\"v\":1}\n{\"v\":2}\n", "{\"v\":1}\n{\"v\":2}", "{\"v\":1}\r\n{\"v\":2}\r\n", "\n{\"v\":1}\n\n{\"v\":2}\n\n", "{\"v\":1}\r\n{\"v\":2}\r"} {
		same(t, text, read(t, request(t, sources.Strict, "v int64", text)).values(), []string{"1", "2"})
	}
	res := read(t, request(t, sources.Strict, "v int64", "{\"v\":1}", "", "{\"v\":2}")) // inputs are not glued together
	same(t, "inputs", res.rows, []string{"1 0: 1", "1 0: 2"})
}

// A name that looks like JSON itself must not match the text that looks like it.
func TestNamesThatNeedEscapes(t *testing.T) {
	req := request(t, sources.Strict, "a int64, b int64", `{"x":1,"y":2}
{"x\":1,\"y":3,"q\\":4}
{"q\u005c":5}`)
	req.Schema.Columns[0].Field.Name, req.Schema.Columns[1].Field.Name = `x":1,"y`, `q\`
	res := read(t, req)
	same(t, "rows", res.values(), []string{"3 | 4", "(null) | 5"})
	same(t, "rejects", res.reasons(), []string{`x: unknown key "x": declare it or use mode: evolve [1]`})
}
