package jsonl

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/sluice-data/sluice/internal/fail"
	"github.com/sluice-data/sluice/sources"
)

// Each case is the values of one key v over the lines, and the type that holds all of them exactly.
func TestInferredTypes(t *testing.T) {
	for _, c := range []struct{ values, typ string }{
		{`1 -2 null`, "int64"},
		{`9223372036854775807 -9223372036854775808`, "int64"},
		{`9223372036854775808 1`, "uint64"},
		{`18446744073709551615`, "uint64"},
		{`9223372036854775808 -1`, "decimal(38,0)"},
		{`18446744073709551616`, "decimal(38,0)"},
		{`-9223372036854775809`, "decimal(38,0)"},
		{`99999999999999999999999999999999999999`, "decimal(38,0)"},
		{`100000000000000000000000000000000000000`, "json"}, // 39 digits: kept as they are written
		{`1.5 2`, "float64"},
		{`1e3 -0.0 0.1 1e300 9007199254740992`, "float64"},
		{`0.30000000000000004`, "float64"},        // 17 digits, but these are those of a float64
		{`0.5 9007199254740993`, "decimal(17,1)"}, // 2^53+1 is no float64
		{`0.123456789012345678901234567890`, "decimal(29,29)"},
		{`3.14159265358979323846 1000`, "decimal(24,20)"},
		{`1e400`, "json"},
		{`1e-400`, "json"},
		{`5e-324`, "float64"}, // the smallest one
		{`1.00000000000000000000`, "float64"},
		{`true false null`, "bool"},
		{`"a" "1" null`, "string"},
		{`"2026-11-22"`, "string"}, // strings stay strings
		{`null null`, "string"},
		{`1 "a"`, "json"},
		{`1 true`, "json"},
		{`{"x":1} 2`, "json"},
		{`{"x":1} [1]`, "json"},
		{`{}`, "json"},
		{`{} null`, "json"},
		{`{} {"x":1}`, "struct<x: int64>"},
		{`{"x":1} {"y":"b","x":2.5} null`, "struct<x: float64, y: string>"},
		{`{"x":{"y":{"z":[1,2]}}} {"x":{"y":{"z":[0.5],"w":true}}}`, "struct<x: struct<y: struct<z: list<float64>, w: bool>>>"},
		{`[]`, "list<string>"},
		{`[] [null]`, "list<string>"},
		{`[] [1]`, "list<int64>"},
		{`[1] ["a"]`, "list<json>"},
		{`[{"a":1},{"b":null}] [{"a":18446744073709551615}]`, "list<struct<a: uint64, b: string>>"},
		{`[[1],[]] [[2.5]]`, "list<list<float64>>"},
		{`{"\u0061":1} {"a":2.5}`, "struct<a: float64>"},
	} {
		values := strings.Split(c.values, " ")
		var text strings.Builder
		for _, v := range values {
			fmt.Fprintf(&text, "{\"v\":%s}\n", v)
		}
		for _, full := range []bool{false, true} {
			req := request(t, sources.Infer, "", text.String())
			req.FullScan = full
			res := read(t, req)
			if res.types != "v "+c.typ {
				t.Errorf("%s: %s, want %s", c.values, res.types, c.typ)
			}
			if len(res.rows) != len(values) {
				t.Errorf("%s: %d of %d rows: %v", c.values, len(res.rows), len(values), res.rejects)
			}
		}
	}
}

func manyKeys(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `,"k%d":1`, i)
	}
	return "{" + b.String()[1:] + "}"
}

// Objects used as maps, and nesting without end, do not become types without end.
func TestInferenceIsBounded(t *testing.T) {
	keys := manyKeys
	deep := strings.Repeat(`{"d":`, 40) + "1" + strings.Repeat("}", 40)
	res := read(t, request(t, sources.Infer, "", `{"map":`+keys(1001)+`,"no":`+keys(1000)+`,"deep":`+deep+"}"))
	if !strings.HasPrefix(res.types, "map json, no struct<k0: int64, k1:") || !strings.HasSuffix(res.types, "deep "+strings.Repeat("struct<d: ", 32)+"json"+strings.Repeat(">", 32)) {
		t.Errorf("types: %.60s … %s", res.types, res.types[len(res.types)-400:])
	}

	var many strings.Builder // 40 objects of 600 keys are together too many types
	for i := range 40 {
		fmt.Fprintf(&many, `,"o%d":%s`, i, keys(600))
	}
	req := request(t, sources.Infer, "", "{"+many.String()[1:]+"}")
	if res = read(t, req); !strings.Contains(res.types, "o39 json") || len(res.rows) != 1 {
		t.Errorf("types: … %s", res.types[len(res.types)-100:])
	}

	_, err := run(t, request(t, sources.Infer, "", keys(10_001)))
	if err == nil || !strings.Contains(err.Error(), "more than 10000 distinct keys: declare the columns") || fail.KindOf(err) != fail.Data {
		t.Errorf("10001 columns: %v", err)
	}
}

// TestTooManyKeysHaveAPlace: the record that is one too many is named: object, line (where it is known) and offset.
func TestTooManyKeysHaveAPlace(t *testing.T) {
	for _, full := range []bool{false, true} {
		req := request(t, sources.Infer, "", "{\"a\":1}\n", "{\"b\":2}\n\n"+manyKeys(10_000)+"\n{\"c\":3}\n")
		req.FullScan = full
		_, err := run(t, req)
		if err == nil || !strings.HasPrefix(err.Error(), "in-1.jsonl:3: offset 9: infer schema: with this record") {
			t.Errorf("full scan %v: %v", full, err)
		}
	}
	const pad = 1000
	line := `{"a":1,"pad":"` + strings.Repeat("x", pad) + `"}` + "\n"
	text := strings.Repeat(line, 66_000) + manyKeys(10_000) + "\n{}\n"
	_, err := open(t.Context(), largeRequest(text, text))
	if want := fmt.Sprintf("f: offset %d: infer schema: with this record", 66_000*len(line)); err == nil || !strings.HasPrefix(err.Error(), want) {
		t.Errorf("at the end of a large input: %v, want %s", err, want)
	}
}

func TestSchemaModes(t *testing.T) {
	text := `{"new":1,"a":1,"deep":{"x":1}}
{"a":2,"b":"y"}
{"a":
{"a":"3"}
`
	for _, c := range []struct {
		mode          sources.Mode
		columns       string
		need          map[string]bool
		types         string
		rows, rejects []string
	}{
		{
			sources.Evolve, "a int64, gone date", nil, "a int64, gone date, new int64, deep struct<x: int64>, b string",
			[]string{`1 | (null) | 1 | {"x":1} | (null)`, `2 | (null) | (null) | (null) | y`},
			[]string{`: not JSON at byte 6 of the line: line ends where a value should be: the record is cut short, or goes on in the next line []`, `a: want int64, have a string: strings are not converted ["3"]`},
		},
		{
			sources.Evolve, "a string", map[string]bool{"a": true, "b": true}, "a string, b string",
			[]string{"1 | (null)", "2 | y", "3 | (null)"},
			[]string{`: not JSON at byte 6 of the line: line ends where a value should be: the record is cut short, or goes on in the next line []`},
		},
		{
			sources.Strict, "a string, b string", nil, "a string, b string",
			[]string{"2 | y", "3 | (null)"},
			[]string{`new: unknown key "new": declare it or use mode: evolve [1]`, `: not JSON at byte 6 of the line: line ends where a value should be: the record is cut short, or goes on in the next line []`},
		},
		{
			sources.Infer, "", map[string]bool{"b": true, "a": true}, "a json, b string",
			[]string{"1 | (null)", "2 | y", `"3" | (null)`},
			[]string{`: not JSON at byte 6 of the line: line ends where a value should be: the record is cut short, or goes on in the next line []`},
		},
	} {
		req := request(t, c.mode, c.columns, text)
		req.Need = c.need
		res := read(t, req)
		if res.types != c.types {
			t.Errorf("%s: types %s, want %s", c.mode, res.types, c.types)
		}
		same(t, string(c.mode), res.values(), c.rows)
		same(t, string(c.mode)+": rejects", res.reasons(), c.rejects)
	}
}

// A declared struct has exactly its fields in every mode: only columns evolve.
func TestDeclaredStructsDoNotEvolve(t *testing.T) {
	res := read(t, request(t, sources.Evolve, "s struct<x: int64>", `{"s":{"x":1,"y":2}}`))
	same(t, "rejects", res.reasons(), []string{`s.y: unknown key "y": declare it or use mode: evolve [2]`})
}

// What comes after the head and does not fit the types inferred from it is a Misfit, not a bad row; reading everything then gives
// types that hold all values.
func TestMisfits(t *testing.T) {
	pad := `{"s":"` + strings.Repeat("x", headBytes*3/5) + `"}` + "\n"
	head := `{"n":1,"f":0.5,"s":"x","o":{"x":[1]},"u":null}` + "\n" + pad + pad // the head ends with the first pad
	for _, c := range []struct{ line, want, types string }{
		{`{"n":1.5}`, `column "n": "1.5" does not fit int64`, "n float64, f float64, s string, o struct<x: list<int64>>, u string"},
		{`{"f":0.123456789012345678}`, `column "f": "0.123456789012345678" does not fit float64`, "n int64, f decimal(19,18), s string, o struct<x: list<int64>>, u string"},
		{`{"s":5}`, `column "s": "5" does not fit string`, "n int64, f float64, s json, o struct<x: list<int64>>, u string"},
		{`{"s":true}`, `column "s": "true" does not fit string`, "n int64, f float64, s json, o struct<x: list<int64>>, u string"},
		{`{"o":{"x":[1,"a"]}}`, `column "o.x[1]": "\"a\"" does not fit int64`, "n int64, f float64, s string, o struct<x: list<json>>, u string"},
		{`{"o":{"y":1}}`, `column "o.y": "1" does not fit a schema without this key`, "n int64, f float64, s string, o struct<x: list<int64>, y: int64>, u string"},
		{`{"u":{"a":1}}`, `column "u": "{\"a\":1}" does not fit string`, "n int64, f float64, s string, o struct<x: list<int64>>, u struct<a: int64>"},
		{`{"new":[]}`, `column "new": "[]" does not fit a schema without this key`, "n int64, f float64, s string, o struct<x: list<int64>>, u string, new list<string>"},
	} {
		req := request(t, sources.Infer, "", head+c.line+"\n")
		_, err := run(t, req)
		var misfit *sources.Misfit
		if !errors.As(err, &misfit) || fail.KindOf(err) != fail.Data {
			t.Errorf("%s: %v, want a misfit", c.line, err)
			continue
		}
		if want := fmt.Sprintf("in-0.jsonl:4: %s, as inferred from the head of the input", c.want); err.Error() != want || misfit.Offset != int64(len(head)) {
			t.Errorf("%s:\n got  %v\n want %s", c.line, err, want)
		}
		req.FullScan = true
		if res := read(t, req); res.types != c.types || len(res.rows) != 4 {
			t.Errorf("%s: full scan: %d rows of %s, want %s", c.line, len(res.rows), res.types, c.types)
		}
	}

	// a line that is rejected anyway says nothing about the schema, and neither does a key that is not used
	req := request(t, sources.Infer, "", head+`{"n":1.5`+"\n"+`{"n":1.5,"n":2}`+"\n"+`{"new":1}`)
	req.Need = map[string]bool{"s": true}
	res := read(t, req)
	if len(res.rejects) != 2 || len(res.rows) != 4 {
		t.Errorf("%d rows, rejects %q", len(res.rows), res.rejects)
	}
	req = request(t, sources.Infer, "", head+`{"new":1,"new":2}`+"\n"+manyKeys(5000)+"\n"+`{"s":"y"}`)
	req.Need = map[string]bool{"s": true}
	res = read(t, req)
	same(t, "rejects of keys not used", res.reasons(), []string{`new: duplicate key "new" in one object [2]`})
	if len(res.rows) != 5 {
		t.Errorf("%d rows", len(res.rows))
	}
	req = request(t, sources.Infer, "", head+`{"new":1}`)
	req.Need = map[string]bool{"s": true, "new": true}
	if _, err := run(t, req); !errors.As(err, new(*sources.Misfit)) {
		t.Errorf("a key that is used: %v", err)
	}
	short := strings.Repeat("{\"n\":1}\n", headRows) // the head ends by rows too
	if _, err := run(t, request(t, sources.Infer, "", short+`{"n":true}`)); !errors.As(err, new(*sources.Misfit)) {
		t.Errorf("after %d rows: %v", headRows, err)
	}
}

// The head is all of its lines, not the first alone: keys and types that differ from line to line are no misfits.
func TestHeadIsManyLines(t *testing.T) {
	text := strings.Repeat(`{"a":1}`+"\n"+`{"b":"x","a":null}`+"\n"+`{"a":0.5,"c":true}`+"\n", headRows/4) + strings.Repeat(`{"a":2}`+"\n", 2*headRows)
	res := read(t, request(t, sources.Infer, "", text))
	if want := "a float64, b string, c bool"; res.types != want || len(res.rows) != strings.Count(text, "\n") {
		t.Errorf("%d rows of %s, want %s", len(res.rows), res.types, want)
	}
}

// JSON that is not JSON Lines ends the run with advice instead of rejecting every line.
func TestNotLines(t *testing.T) {
	const array, spread = "one JSON array, not JSON Lines", "JSON spread over several lines, not JSON Lines"
	long := strings.Repeat(`{"a":1},`+"\n", 100_000)
	for _, c := range []struct{ text, want string }{
		{`[{"a":1},{"a":2}]`, array},
		{"[\n{\"a\":1},\n{\"a\":2}\n]\n", array},
		{"\xef\xbb\xbf [\r\n  {\"a\":1}\r\n]", array},
		{"[" + long, array},
		{"[" + strings.ReplaceAll(long, "\n", ""), array},
		{"{\n  \"a\": 1\n}\n", spread},
		{"{\"a\": 1,\n \"b\": 2}\n{\"a\": 1,\n \"b\": 2}\n", spread},
		{"{\"a\":[\n" + long, spread},
		{"\xff\xfe{\x00}\x00", "UTF-16"},
		{"\xfe\xff\x00{\x00}", "UTF-16"},
		// but these are lines, some of them bad
		{"[1,2]\n{\"a\":1}\n", ""},
		{"[1,2\n{\"a\":1}\n", ""},
		{"{\"a\":1,\n{\"a\":1}\n", ""},
		{"{\"a\":\n{\"a\":1}\n{\"a\":2}\n", ""},
		{"{\"a\":\"x\ny\"}\n{\"a\":1}\n", ""},
		{`{"a":`, ""},
		{"{\"a\":{\n", ""},
		{"hello\n", ""},
	} {
		_, err := run(t, request(t, sources.Strict, "a json", c.text))
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want) || fail.KindOf(err) != fail.Data) {
			t.Errorf("%.30q: %v, want %q", c.text, err, c.want)
		}
	}
}

func TestDetect(t *testing.T) {
	for _, c := range []struct {
		head string
		eof  bool
		want int
	}{
		{`{"a":1}` + "\n" + `{"a":2}`, false, 3},
		{"\xef\xbb\xbf\n {}\r\n", true, 3},
		{`{"a":"a record longer than the head `, false, 2},
		{"{\n \"a\": 1\n}\n", true, 2},
		{`[{"a":1},`, false, 2},
		{`{"a":oops}` + "\n", true, 1},
		{"{a,b}\n1,2\n", true, 1},
		{"a,b\n1,2\n", true, 0},
		{"[a],b\n1,2\n", true, 0},
		{"", true, 0},
		{"PAR1", false, 0},
	} {
		if got := detect([]byte(c.head), c.eof); got != c.want {
			t.Errorf("detect %q: %d, want %d", c.head, got, c.want)
		}
	}
	f, ok := sources.Lookup("jsonl")
	if !ok || f.Seekable || f.Doc == "" || f.Example == "" {
		t.Errorf("registered as %+v", f)
	}
}

// Without a key anywhere there are no columns: what is wrong with the input is said, with the place of its first bad line.
func TestNoColumns(t *testing.T) {
	for _, c := range []struct {
		text, want string
		line       int64
	}{
		{"", "is empty", 0},
		{"\n \r\n", "no keys", 0},
		{"{}\n{}\n", "no keys", 0},
		{"\n{\"a\":NaN}\n{\"a\":01}\n", "not JSON at byte 6 of the line", 2},
		{"{}\n{\"a\":1} {\"a\":2}\n", "text behind the value", 2},
		{"{\"a\":\"\\ud800\"}\n", "not JSON at byte 7", 1},
	} {
		_, err := open(context.Background(), request(t, sources.Infer, "", c.text))
		var e *fail.Error
		if !errors.As(err, &e) || e.Kind != fail.Data || !strings.Contains(err.Error(), c.want) || e.Line != c.line || e.File == "" {
			t.Errorf("%q: %v, want %q in line %d", c.text, err, c.want, c.line)
		}
	}
	// A key that comes after the head is a column all the same.
	s, err := open(context.Background(), request(t, sources.Infer, "", strings.Repeat("{}\n", headRows+1)+"{\"late\":1}\n"))
	if err != nil || s.Schema().NumFields() != 1 {
		t.Fatalf("late key: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

func TestOpenErrors(t *testing.T) {
	if _, err := open(context.Background(), request(t, sources.Strict, "a int64, a string", "")); fail.KindOf(err) != fail.Usage {
		t.Errorf("column declared twice: %v", err)
	}
	req := request(t, sources.Strict, "a date", "{}")
	req.Schema.Columns[0].Format = "%Q"
	if _, err := run(t, req); fail.KindOf(err) != fail.Usage {
		t.Errorf("bad format: %v", err)
	}
	req = request(t, sources.Strict, "a string", `{"a":"`+strings.Repeat("x", 1<<17)+`"}`)
	req.MaxRecord = 1 << 16
	if _, err := run(t, req); fail.KindOf(err) != fail.Data || !strings.Contains(err.Error(), "does not end within") {
		t.Errorf("long record: %v", err)
	}
}
