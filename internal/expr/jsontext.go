package expr

import (
	"bytes"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// The functions of this file walk JSON text that is known to be valid; on any other they stop somewhere inside it.

// jsonPlain are the bytes outside of strings that neither begin nor end a string, object or array; jsonEnds those that end a
// number or word.
var jsonPlain, jsonEnds = func() (plain, ends [256]bool) {
	for i := range plain {
		plain[i] = true
	}
	for _, c := range `"{[]}` {
		plain[c] = false
	}
	for _, c := range " \n\t\r,:]}" {
		ends[c] = true
	}
	return plain, ends
}()

func jsonSpace(b []byte, i int) int {
	for i < len(b) && b[i] <= ' ' && (b[i] == ' ' || b[i] == '\n' || b[i] == '\t' || b[i] == '\r') {
		i++
	}
	return i
}

// jsonString is the end of the string whose opening quote is at i, behind its closing quote.
func jsonString(b []byte, i int) int {
	for i++; ; {
		if i = jsonStop(b, i); i >= len(b) {
			return len(b)
		}
		switch b[i] {
		case '"':
			return i + 1
		case '\\':
			i += 2
		default:
			i++
		}
	}
}

// jsonSkip is the end of the value at i.
func jsonSkip(b []byte, i int) int {
	if i >= len(b) {
		return len(b)
	}
	switch b[i] {
	case '"':
		return jsonString(b, i)
	case '{', '[':
	default: // a number, true, false or null
		for i < len(b) && !jsonEnds[b[i]] {
			i++
		}
		return i
	}
	depth := 0
	for i < len(b) {
		c := b[i]
		if jsonPlain[c] {
			i++
			continue
		}
		switch c {
		case '"':
			i = jsonString(b, i)
			continue
		case '{', '[':
			depth++
		default:
			depth--
		}
		if i++; depth == 0 {
			return i
		}
	}
	return len(b)
}

// jsonMembers calls each for every member of the object at i: where its key (with quotes) and its value begin and end.
func jsonMembers(b []byte, i int, each func(key, keyEnd, val, valEnd int)) {
	i = jsonSpace(b, i+1)
	for i < len(b) && b[i] == '"' {
		keyEnd := jsonString(b, i)
		val := jsonSpace(b, keyEnd)
		if val >= len(b) {
			return
		}
		val = jsonSpace(b, val+1) // the colon
		valEnd := jsonSkip(b, val)
		each(i, keyEnd, val, valEnd)
		if i = jsonSpace(b, valEnd); i < len(b) && b[i] == ',' {
			i = jsonSpace(b, i+1)
		}
	}
}

// jsonElements calls each for every element of the array at i, until it returns false.
func jsonElements(b []byte, i int, each func(val, valEnd int) bool) {
	i = jsonSpace(b, i+1)
	for i < len(b) && b[i] != ']' {
		end := jsonSkip(b, i)
		if !each(i, end) || end == i {
			return
		}
		if i = jsonSpace(b, end); i < len(b) && b[i] == ',' {
			i = jsonSpace(b, i+1)
		}
	}
}

// jsonField is the value of a key in the object at i; of a key that is there twice the last one, as in PostgreSQL.
func jsonField(b []byte, i int, key []byte) (val, end int, ok bool) {
	at := jsonSpace(b, i+1)
	for at < len(b) && b[at] == '"' {
		keyEnd := jsonString(b, at)
		name := b[at+1 : max(at+1, keyEnd-1)]
		var hit bool
		if bytes.IndexByte(name, '\\') < 0 {
			hit = string(name) == string(key)
		} else {
			text, valid := appendUnescapedJSON(nil, name)
			hit = valid && string(text) == string(key)
		}
		v := jsonSpace(b, keyEnd)
		if v >= len(b) {
			break
		}
		v = jsonSpace(b, v+1)
		e := jsonSkip(b, v)
		if hit {
			val, end, ok = v, e, true
		}
		if at = jsonSpace(b, e); at < len(b) && b[at] == ',' {
			at = jsonSpace(b, at+1)
		}
	}
	return val, end, ok
}

// jsonElement is element n of the array at i, counted from 0, or from the end for a negative n.
func jsonElement(b []byte, i int, n int64) (val, end int, ok bool) {
	if n < 0 {
		jsonElements(b, i, func(int, int) bool { n++; return true })
		if n < 0 { // it was less than minus the length
			return 0, 0, false
		}
	}
	jsonElements(b, i, func(v, e int) bool {
		if n == 0 {
			val, end, ok = v, e, true
			return false
		}
		n--
		return true
	})
	return val, end, ok
}

// jsonStep is one step into a value: a key of an object, an index of an array, or a text that is either.
type jsonStep struct {
	key   []byte
	index int64
	isKey bool
	isInt bool
}

// textStep is a step of PostgreSQL's paths: a text that writes an integer is an index where there is an array.
func textStep(s []byte) jsonStep {
	n, err := strconv.ParseInt(string(s), 10, 64)
	return jsonStep{key: s, index: n, isKey: true, isInt: err == nil}
}

// jsonFind takes steps into the value of b.
func jsonFind(b []byte, steps []jsonStep) (val, end int, ok bool) {
	val = jsonSpace(b, 0)
	if len(steps) == 0 {
		return val, jsonSkip(b, val), val < len(b)
	}
	for _, s := range steps {
		switch {
		case val < len(b) && b[val] == '{' && s.isKey:
			val, end, ok = jsonField(b, val, s.key)
		case val < len(b) && b[val] == '[' && s.isInt:
			val, end, ok = jsonElement(b, val, s.index)
		default:
			return 0, 0, false
		}
		if !ok {
			return 0, 0, false
		}
	}
	return val, end, true
}

// appendUnescapedJSON appends the text of what stands between a string's quotes. false: it has no text in UTF-8 (half a
// surrogate pair, a zero byte).
func appendUnescapedJSON(dst, s []byte) ([]byte, bool) {
	for {
		at := bytes.IndexByte(s, '\\')
		if at < 0 || at+1 >= len(s) {
			return append(dst, s...), true
		}
		dst = append(dst, s[:at]...)
		c := s[at+1]
		s = s[at+2:]
		switch c {
		case 'b':
			dst = append(dst, '\b')
		case 'f':
			dst = append(dst, '\f')
		case 'n':
			dst = append(dst, '\n')
		case 'r':
			dst = append(dst, '\r')
		case 't':
			dst = append(dst, '\t')
		case 'u':
			r, ok := hexRune(s)
			if !ok {
				return dst, false
			}
			s = s[4:]
			if utf16.IsSurrogate(r) {
				if len(s) < 6 || s[0] != '\\' || s[1] != 'u' {
					return dst, false
				}
				low, ok := hexRune(s[2:])
				if r = utf16.DecodeRune(r, low); !ok || r == utf8.RuneError {
					return dst, false
				}
				s = s[6:]
			}
			if r == 0 {
				return dst, false
			}
			dst = utf8.AppendRune(dst, r)
		default:
			dst = append(dst, c)
		}
	}
}

func hexRune(s []byte) (rune, bool) {
	if len(s) < 4 {
		return 0, false
	}
	v, err := strconv.ParseUint(string(s[:4]), 16, 16)
	return rune(v), err == nil
}

// jsonKind is PostgreSQL's name of the type of the value that begins with c.
func jsonKind(c byte) string {
	switch c {
	case '{':
		return "object"
	case '[':
		return "array"
	case '"':
		return "string"
	case 't', 'f':
		return "boolean"
	case 'n':
		return "null"
	}
	return "number"
}

// parseJSONPath reads the subset of SQL/JSON paths that name one value: $.a, $."a b", $['a'], $[0], $[-1], $[last], and with
// [*] or .* those that name several.
func parseJSONPath(path string) (steps []jsonStep, many bool, reason string) {
	p := strings.TrimSpace(path)
	if p == "" || p[0] != '$' {
		return nil, false, "a path begins with $, as in '$.a[0].b'"
	}
	for p = p[1:]; p != ""; {
		switch {
		case strings.HasPrefix(p, ".*"), strings.HasPrefix(p, "[*]"):
			star := jsonStep{isKey: p[0] == '.', isInt: p[0] == '[', index: everyElement}
			p = p[strings.IndexByte(p, '*')+1:]
			p = strings.TrimPrefix(p, "]")
			steps, many = append(steps, star), true
		case p[0] == '.':
			p = p[1:]
			var name string
			var ok bool
			switch {
			case strings.HasPrefix(p, `"`):
				if name, p, ok = pathString(p, '"'); !ok {
					return nil, false, "a quoted key is not closed"
				}
			default:
				n := strings.IndexAny(p, `.[ "'*]`)
				if n < 0 {
					n = len(p)
				}
				name, p = p[:n], p[n:]
			}
			if name == "" {
				return nil, false, "a key is missing behind the point"
			}
			steps = append(steps, jsonStep{key: []byte(name), isKey: true})
		case p[0] == '[':
			p = p[1:]
			if p != "" && (p[0] == '\'' || p[0] == '"') {
				name, rest, ok := pathString(p, p[0])
				if !ok || !strings.HasPrefix(rest, "]") {
					return nil, false, "a quoted key is not closed by its quote and ]"
				}
				steps, p = append(steps, jsonStep{key: []byte(name), isKey: true}), rest[1:]
				continue
			}
			text, rest, ok := strings.Cut(p, "]")
			text = strings.TrimSpace(text)
			if after, last := strings.CutPrefix(text, "last"); last { // last is -1, last-1 is -2
				text = "-1"
				if after = strings.ReplaceAll(after, " ", ""); after != "" {
					n, err := strconv.ParseUint(strings.TrimPrefix(after, "-"), 10, 31)
					if err != nil || after[0] != '-' {
						return nil, false, "an index is a whole number, last or last-1"
					}
					text = strconv.FormatInt(-1-int64(n), 10)
				}
			}
			n, err := strconv.ParseInt(text, 10, 32)
			if !ok || err != nil {
				return nil, false, "an index is a whole number in [ ]"
			}
			steps, p = append(steps, jsonStep{index: n, isInt: true}), rest
		default:
			return nil, false, "expected . or [ at " + strconv.Quote(p)
		}
	}
	return steps, many, ""
}

// everyElement is the index of * and stands with no key.
const everyElement = 1 << 40

func (s jsonStep) every() bool { return s.key == nil && s.index == everyElement }

// pathString takes a quoted key off p; a backslash takes the next character as it is.
func pathString(p string, quote byte) (s, rest string, ok bool) {
	var b strings.Builder
	for i := 1; i < len(p); i++ {
		switch {
		case p[i] == '\\' && i+1 < len(p):
			i++
			b.WriteByte(p[i])
		case p[i] == quote:
			return b.String(), p[i+1:], true
		default:
			b.WriteByte(p[i])
		}
	}
	return "", "", false
}
