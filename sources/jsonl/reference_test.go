package jsonl

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"math/big"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"

	"github.com/sluice-data/sluice/sources"
)

// The reference reads lines with encoding/json, which differs from us in documented ways: it takes invalid UTF-8, lone surrogates,
// 10,000 levels and keys that occur twice.

const referenceTypes = "a int64, b string, c list<struct<x: float64>>, d json, e decimal(9,2), f bool"

var (
	pairs = regexp.MustCompile(`\\u[dD][89abAB]..\\u[dD][c-fC-F]..`)
	zero  = regexp.MustCompile(`^-?0(\.0+)?([eE].*)?$`)
	lone  = regexp.MustCompile(`\\u[dD][89a-fA-F]`)
)

// wellFormed reports whether encoding/json and the differences say that line is one object.
func wellFormed(line []byte) bool {
	trimmed := bytes.TrimLeft(line, " \t\r")
	if !json.Valid(line) || trimmed[0] != '{' || !utf8.Valid(line) {
		return false
	}
	rest := bytes.ReplaceAll(line, []byte(`\\`), nil)
	if lone.Match(pairs.ReplaceAll(rest, nil)) {
		return false
	}
	depth, dec := 0, json.NewDecoder(bytes.NewReader(line))
	for {
		tok, err := dec.Token()
		if err != nil {
			return true
		}
		switch tok {
		case json.Delim('{'), json.Delim('['):
			if depth++; depth > maxDepth {
				return false
			}
		case json.Delim('}'), json.Delim(']'):
			depth--
		}
	}
}

// members reads an object; ok is false if a key occurs twice or is not among names.
func members(text []byte, names string) (m map[string]json.RawMessage, ok bool) {
	m = map[string]json.RawMessage{}
	dec := json.NewDecoder(bytes.NewReader(text))
	if tok, err := dec.Token(); err != nil || tok != json.Delim('{') {
		return nil, false
	}
	for dec.More() {
		tok, _ := dec.Token()
		key := tok.(string)
		var raw json.RawMessage
		if err := dec.Decode(&raw); err != nil {
			return nil, false
		}
		if _, twice := m[key]; twice || len(key) != 1 || !strings.Contains(names, key) {
			return nil, false
		}
		m[key] = raw
	}
	return m, true
}

// rational is the exact value of a JSON number, if its exponent is small enough to write the number out.
func rational(raw json.RawMessage) (r *big.Rat, ok bool) {
	if zero.Match(raw) {
		return new(big.Rat), true
	}
	if _, exp, has := strings.Cut(strings.ToLower(string(raw)), "e"); has && len(strings.TrimLeft(strings.Trim(exp, "+-"), "0")) > 4 {
		return nil, false
	}
	if raw[0] != '-' && !isDigit(raw[0]) {
		return nil, false
	}
	return new(big.Rat).SetString(string(raw))
}

// reference is the row of a well-formed line as ValueStr prints it, if it is one.
func reference(line []byte) (row string, ok bool) {
	m, ok := members(line, "abcdef")
	if !ok {
		return "", false
	}
	vals := []string{"(null)", "(null)", "(null)", "(null)", "(null)", "(null)"}
	for key, raw := range m {
		if string(raw) == "null" {
			continue
		}
		v, ok := referenceValue(key, raw)
		if !ok {
			return "", false
		}
		vals[key[0]-'a'] = v
	}
	return strings.Join(vals, " | "), true
}

func referenceValue(key string, raw json.RawMessage) (string, bool) {
	switch key {
	case "a":
		r, ok := rational(raw)
		if !ok || !r.IsInt() || !r.Num().IsInt64() {
			return "", false
		}
		return r.Num().String(), true
	case "b":
		var s string
		if raw[0] != '"' {
			return string(raw), raw[0] != '{' && raw[0] != '['
		}
		err := json.Unmarshal(raw, &s)
		return s, err == nil
	case "c":
		var elems []json.RawMessage
		if json.Unmarshal(raw, &elems) != nil {
			return "", false
		}
		out := make([]string, len(elems))
		for i, e := range elems {
			out[i] = "null"
			if string(e) == "null" {
				continue
			}
			m, ok := members(e, "x")
			if !ok {
				return "", false
			}
			out[i] = `{"x":null}`
			if x, has := m["x"]; has && string(x) != "null" {
				v, err := strconv.ParseFloat(string(x), 64)
				if err != nil || x[0] != '-' && !isDigit(x[0]) || v == 0 && !zero.Match(x) { // nor does a number vanish
					return "", false
				}
				form := byte('f')
				if a := math.Abs(v); a != 0 && (a < 1e-6 || a >= 1e21) {
					form = 'e'
				}
				out[i] = `{"x":` + strconv.FormatFloat(v, form, -1, 64) + `}`
			}
		}
		return "[" + strings.Join(out, ",") + "]", true
	case "d":
		return string(raw), true
	case "e":
		r, ok := rational(raw)
		if !ok {
			return "", false
		}
		cents := r.Mul(r, big.NewRat(100, 1))
		if !cents.IsInt() || cents.Num().CmpAbs(big.NewInt(1e9)) >= 0 {
			return "", false
		}
		s := r.Quo(cents, big.NewRat(100, 1)).FloatString(2)
		return strings.TrimSuffix(strings.TrimSuffix(strings.TrimSuffix(s, "0"), "0"), "."), true
	}
	return string(raw), raw[0] == 't' || raw[0] == 'f'
}

// checkText compares what becomes of the lines of text with the reference.
func checkText(t rapid.TB, text string) {
	t.Helper()
	if whole([]byte(text), true) != nil || strings.HasPrefix(text, string(bom)) {
		return
	}
	var want, rejected []string
	offset := 0
	for n, line := range strings.SplitAfter(text, "\n") {
		body := strings.TrimSuffix(line, "\n")
		if strings.Trim(body, " \t\r") != "" {
			place := fmt.Sprintf("%d %d: ", n+1, offset)
			row, ok := "", wellFormed([]byte(body))
			malformed := !ok
			if ok {
				row, ok = reference([]byte(body))
			}
			if ok {
				want = append(want, place+row)
			} else {
				rejected = append(rejected, fmt.Sprint(place, malformed))
			}
		}
		offset += len(line)
	}
	res := read(t, request(t, sources.Strict, referenceTypes, text))
	same(t, fmt.Sprintf("rows of %q", text), res.rows, want)
	var got []string
	for _, r := range res.rejects {
		place, reason, _ := strings.Cut(r, ": ")
		got = append(got, fmt.Sprint(place, ": ", strings.HasPrefix(reason, ": not JSON at byte ")))
	}
	same(t, fmt.Sprintf("rejects of %q (%q)", text, res.rejects), got, rejected)
}

// A line is accepted exactly when the reference accepts it, and its values are the reference's.
func FuzzScanner(f *testing.F) {
	for _, seed := range seeds {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if len(text) < 1<<16 {
			checkText(t, text)
		}
	})
}

var seeds = []string{
	`{"a":1,"b":"x","c":[{"x":1.5},null,{}],"d":{"k":[1,2]},"e":12.34,"f":true}`,
	"{\"f\":false,\"e\":null}\r\n\n {\"d\" : [ 1 , \"\\u00e9\" ] }\t\n{\"a\":1,\"a\":2}\n",
	`{"\u0061":-9223372036854775808,"b":"\ud83d\ude00\n"}`,
	`{"a":1e3,"b":1e400,"e":1e-2,"c":[{"x":1e-400}]}`,
	`{"a":1.0,"b":"` + "\xff" + `"}`, `{"b":"\ud800"}`, `{"z":1}`, `{"c":[{"x":1,"x":2}]}`, `{"d":{"x":1,"x":2}}`,
	`{"a":12345678,"e":1234567.89}` + "\n" + `{"a":123456789012345678,"e":0.010}`,
	`{"a":01}` + "\n" + `{"a":-}` + "\n" + `{"a":1.}` + "\n" + `[1]` + "\n" + `{"a":1}x`,
	`{"b":"` + strings.Repeat("é", 20) + `","c":[]}`,
}

// aValue is any JSON value, mostly one that fits.
func aValue(depth int) *rapid.Generator[string] {
	return rapid.Custom(func(t *rapid.T) string {
		number := func() string {
			s := rapid.SampledFrom([]string{"", "", "-"}).Draw(t, "sign") + rapid.StringMatching(`0|[1-9][0-9]{0,4}|[1-9][0-9]{5,22}`).Draw(t, "int")
			s += rapid.SampledFrom([]string{"", "", ".", ".0", ".00", ".5", ".25", ".000000001"}).Draw(t, "frac")
			if strings.HasSuffix(s, ".") {
				s += rapid.StringMatching(`[0-9]{1,20}`).Draw(t, "digits")
			}
			return s + rapid.SampledFrom([]string{"", "", "", "e0", "E+2", "e-2", "e10", "e-10", "e300"}).Draw(t, "exp")
		}
		str := func() string {
			part := rapid.SampledFrom([]string{"a", "plain text", "é", "東京", "😀", `\n`, `\"`, `\\`, `\/`, `\u0041`, `\ud83d\ude00`, `\u0000`, " ", "{", ",", "12"})
			return `"` + strings.Join(rapid.SliceOfN(part, 0, 6).Draw(t, "parts"), "") + `"`
		}
		switch k := rapid.IntRange(0, 9).Draw(t, "kind"); {
		case k < 3:
			return number()
		case k < 5:
			return str()
		case k == 5:
			return rapid.SampledFrom([]string{"true", "false", "null"}).Draw(t, "literal")
		case k < 8 && depth > 0:
			n := rapid.IntRange(0, 3).Draw(t, "n")
			out := make([]string, n)
			for i := range out {
				if out[i] = aValue(depth-1).Draw(t, "elem"); rapid.Bool().Draw(t, "x") {
					out[i] = `{"x":` + number() + `}`
				}
			}
			return "[" + strings.Join(out, ",") + "]"
		case depth > 0:
			return anObject("xyz", depth-1).Draw(t, "object")
		}
		return number()
	})
}

// anObject is an object with some of the one-letter keys, rarely one twice.
func anObject(keys string, depth int) *rapid.Generator[string] {
	return rapid.Custom(func(t *rapid.T) string {
		space := rapid.SampledFrom([]string{"", "", "", " ", "\t", "  \r"})
		names := rapid.Permutation(strings.Split(keys, "")).Draw(t, "keys")
		names = names[:rapid.IntRange(0, len(names)).Draw(t, "n")]
		if len(names) > 1 && rapid.IntRange(0, 20).Draw(t, "twice") == 0 {
			names[1] = names[0]
		}
		var b strings.Builder
		sp := func() { b.WriteString(space.Draw(t, "space")) }
		b.WriteString("{")
		sp()
		for i, name := range names {
			if i > 0 {
				b.WriteString(",")
				sp()
			}
			if rapid.IntRange(0, 10).Draw(t, "escape") == 0 {
				name = fmt.Sprintf(`\u%04x`, name[0])
			}
			v := aValue(depth).Draw(t, "value")
			switch { // mostly of the type that the reference's columns have
			case name == "f" && rapid.IntRange(0, 5).Draw(t, "fit") > 0:
				v = "true"
			case name == "c" && rapid.IntRange(0, 5).Draw(t, "fit") > 0:
				v = `[{"x":1.5},null]`
			case name == "e" && rapid.IntRange(0, 5).Draw(t, "fit") > 0:
				v = rapid.StringMatching(`-?(0|[1-9][0-9]{0,6})(\.[0-9]{1,2}0{0,3})?`).Draw(t, "e")
			case name == "a" && rapid.IntRange(0, 5).Draw(t, "fit") > 0:
				v = rapid.StringMatching(`-?(0|[1-9][0-9]{0,18})`).Draw(t, "a")
			}
			b.WriteString(`"` + name + `"`)
			sp()
			b.WriteString(":")
			sp()
			b.WriteString(v)
			sp()
		}
		b.WriteString("}")
		return b.String()
	})
}

// document is lines of records, some of them damaged.
var document = rapid.Custom(func(t *rapid.T) string {
	var b strings.Builder
	for range rapid.IntRange(0, 8).Draw(t, "lines") {
		line := []byte(anObject("abcdef", 2).Draw(t, "line"))
		switch rapid.IntRange(0, 8).Draw(t, "damage") {
		case 0:
			line[rapid.IntRange(0, len(line)-1).Draw(t, "at")] = rapid.SampledFrom([]byte("{}[]\",:\\ 0e.-\xff\x01")).Draw(t, "byte")
		case 1:
			line = line[:rapid.IntRange(0, len(line)-1).Draw(t, "cut")]
		}
		b.Write(line)
		b.WriteString(rapid.SampledFrom([]string{"\n", "\n", "\r\n", "\n\n", " \t\n"}).Draw(t, "end"))
	}
	return strings.TrimSuffix(b.String(), rapid.SampledFrom([]string{"", "\n"}).Draw(t, "last"))
})

func TestLinesAsEncodingJSON(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) { checkText(t, document.Draw(t, "document")) })
}

// Wherever the input is cut into chunks, and the chunks into batches, the rows, rejects and their places are the same.
func TestChunksDoNotShow(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		req := request(t, rapid.SampledFrom([]sources.Mode{sources.Strict, sources.Evolve}).Draw(t, "mode"), referenceTypes,
			document.Draw(t, "first"), document.Draw(t, "second"))
		req.FullScan = true
		want, wantErr := run(t, req)
		req.ChunkBytes = rapid.IntRange(1, 300).Draw(t, "chunk bytes")
		req.ChunkRows = rapid.IntRange(1, 5).Draw(t, "chunk rows")
		got, err := run(t, req)
		if fmt.Sprint(err) != fmt.Sprint(wantErr) || got.types != want.types {
			t.Fatalf("%v of %s, want %v of %s", err, got.types, wantErr, want.types)
		}
		if wantErr == nil {
			same(t, "rows", got.rows, want.rows)
			same(t, "rejects", got.rejects, want.rejects)
		}
	})
}

// With types inferred from everything no value is a misfit or a reject: only malformed lines and keys that occur twice are.
func TestInferredTypesHoldEveryValue(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := document.Draw(t, "document")
		req := request(t, sources.Infer, "", text)
		req.FullScan = true
		res, err := run(t, req)
		if err != nil && whole([]byte(text), true) == nil && !strings.Contains(err.Error(), "columns to infer") {
			t.Fatalf("run: %v", err)
		}
		for _, r := range res.rejects {
			if !strings.Contains(r, "not JSON at byte") && !strings.Contains(r, "duplicate key") {
				t.Fatalf("rejected as %s: %s", res.types, r)
			}
		}
	})
}
