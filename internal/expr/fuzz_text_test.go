package expr

import (
	"encoding/json"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/sluice-data/sluice/internal/fail"
	"github.com/sluice-data/sluice/internal/textval"
)

// FuzzJSONText holds the walk through JSON text to encoding/json: every member and element is found, as it was written.
func FuzzJSONText(f *testing.F) {
	for _, s := range []string{`{"a": [1, 2.50, {"b": null}], "c\"\\": "x]\"}"}`, ` [ ] `, `{"a":1,"a":[2]}`, `"\u00e9\ud83d\ude00"`, `[[],{},"",-1e5,true]`, `{"": {"": 0}}`,
		`{"a" : nul}`, `[1,]`, `01`, `-`, `1.e5`, `"\x"`, "\"\x01\"", `"0123456789\u12G4"`, `{"a"}`, strings.Repeat("[", 10001) + strings.Repeat("]", 10001)} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		b := []byte(s)
		from := jsonSpace(b, 0)
		jsonSkip(b, from) // must end, whatever the text
		if jsonValid(b) != json.Valid(b) {
			t.Fatalf("%q is valid: %t, encoding/json thinks otherwise", fail.Shorten(s), jsonValid(b))
		}
		if !json.Valid(b) || !utf8.Valid(b) {
			jsonFind(b, []jsonStep{{key: []byte("a"), isKey: true}, {index: -1, isInt: true}})
			return
		}
		if end := jsonSkip(b, from); jsonSpace(b, end) != len(b) {
			t.Fatalf("%s: the value ends at %d of %d", s, end, len(b))
		}
		switch b[from] {
		case '{':
			var members map[string]json.RawMessage
			if err := json.Unmarshal(b, &members); err != nil {
				t.Fatal(err)
			}
			for k, want := range members {
				if strings.ContainsAny(k, "\uFFFD\x00") { // half a surrogate pair, which is no text here
					continue
				}
				val, end, ok := jsonField(b, from, []byte(k))
				if !ok || string(b[val:end]) != string(want) {
					t.Errorf("%s: member %q is %s, want %s", s, k, b[val:end], want)
				}
			}
		case '[':
			var elems []json.RawMessage
			if err := json.Unmarshal(b, &elems); err != nil {
				t.Fatal(err)
			}
			for i, want := range elems {
				for _, n := range []int{i, i - len(elems)} {
					if val, end, ok := jsonElement(b, from, int64(n)); !ok || string(b[val:end]) != string(want) {
						t.Errorf("%s: element %d is %s, want %s", s, n, b[val:end], want)
					}
				}
			}
			for _, n := range []int{len(elems), -len(elems) - 1} {
				if _, _, ok := jsonElement(b, from, int64(n)); ok {
					t.Errorf("%s has an element %d", s, n)
				}
			}
		case '"':
			var want string
			if err := json.Unmarshal(b, &want); err != nil {
				t.Fatal(err)
			}
			got, _, ok := appendJSONText(nil, b[from:jsonSkip(b, from)])
			if ok && string(got) != want || !ok && !strings.ContainsAny(want, "\uFFFD\x00") {
				t.Errorf("%s is %q (%t), want %q", s, got, ok, want)
			}
			var back string
			if quoted := textval.AppendJSONString(nil, []byte(want)); json.Unmarshal(quoted, &back) != nil || back != want {
				t.Errorf("%q is written as %s", want, quoted)
			}
		}
	})
}

// FuzzJSONPath: a path is read or refused; what is read finds what the same steps find one by one.
func FuzzJSONPath(f *testing.F) {
	for _, p := range []string{"$", "$.a[0].b", `$."a b"['c']["d"]`, "$[last-1]", "$.a[*].*", "$[", "$.a.", "$['x", "{a,0}", `{"a b", c}`} {
		f.Add(p)
	}
	doc := []byte(`{"a": [{"b": 1}, [2, 3]], "a b": {"c": {"d": 4}}}`)
	f.Fuzz(func(t *testing.T, path string) {
		constPath(stringNode(path, true))
		steps, many, reason := parseJSONPath(path)
		if reason != "" {
			return
		}
		var all []string
		jsonAll(doc, 0, steps, func(val, end int) { all = append(all, string(doc[val:end])) })
		if many {
			return
		}
		val, end, ok := jsonFind(doc, steps)
		if ok != (len(all) == 1) || ok && string(doc[val:end]) != all[0] {
			t.Errorf("%s finds %s (%t) and %q", path, doc[val:end], ok, all)
		}
	})
}

// FuzzPatterns: no pattern, replacement or template panics, and SIMILAR TO is LIKE where there are only LIKE's wildcards.
func FuzzPatterns(f *testing.F) {
	for _, p := range []string{"a%b_", "(a|b)+", "[^]a]", `\`, "[[:alpha:]]", "a{2,", `%2$s %-10L`, `\1\&\\`, `\mword\M`} {
		f.Add(p, "ab")
	}
	f.Fuzz(func(t *testing.T, p, s string) {
		if !utf8.ValidString(p) || !utf8.ValidString(s) || len(p) > 1000 {
			return
		}
		if re, _, reason := compileRegexp(p, "gi"); reason == "" {
			appendReplaced(nil, []byte(s), &regex{Regexp: re}, parseReplacement([]byte(p)), true)
		}
		parseFormat(p, 2)
		similar, ok := similarPattern([]byte(p), '\\')
		if !ok || strings.ContainsAny(p, `|*+?{}()[]\`) {
			if ok {
				parseRegexp(similar)
			}
			return
		}
		re, reason := parseRegexp(similar)
		like, fine := compilePattern([]byte(p), '\\', false)
		if reason != "" || !fine {
			t.Fatalf("%s: %s", strconv.Quote(p), reason)
		}
		if re.MatchString(s) != like.match([]byte(s)) {
			t.Errorf("%q SIMILAR TO %q is %t, LIKE is not", s, p, re.MatchString(s))
		}
	})
}
