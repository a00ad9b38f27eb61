package jsonl

import (
	"encoding/binary"
	"fmt"
	"math/bits"
	"unicode/utf8"
)

// maxDepth is how deep objects and arrays may be nested in a record, the record itself being 1.
const maxDepth = 1000

const (
	ones  = 0x0101010101010101
	highs = 0x8080808080808080
)

// scanner walks JSON text, strictly by RFC 8259, eight bytes at a time where it can. Its methods take the index of a token
// and return the index behind it, or -1 after noting in pos and why where and why the text is not JSON. None of them takes
// a line feed for white space, so none leaves the line it is on.
type scanner struct {
	b   []byte
	pos int
	why string
}

func (s *scanner) fail(pos int, why string) int {
	s.pos, s.why = pos, why
	return -1
}

// at is b[i], or 0, which no JSON token holds, behind the end.
func at(b []byte, i int) byte {
	if uint(i) < uint(len(b)) {
		return b[i]
	}
	return 0
}

// load8 is the eight bytes at i, the first one lowest, zeros behind the end.
func load8(b []byte, i int) uint64 {
	if i+8 <= len(b) {
		return binary.LittleEndian.Uint64(b[i:])
	}
	return loadTail(b, i)
}

func loadTail(b []byte, i int) uint64 {
	var w [8]byte
	if i < len(b) {
		copy(w[:], b[i:])
	}
	return binary.LittleEndian.Uint64(w[:])
}

// stops marks bytes that end a run of plain string bytes: quote, backslash, control characters. Only the lowest mark is exact
// (a borrow can spill into the bytes above it).
func stops(x uint64) uint64 {
	q := x ^ ones*'"'
	e := x ^ ones*'\\'
	return ((q-ones)&^q | (e-ones)&^e | (x-ones*0x20)&^x) & highs
}

// space skips blanks, tabs and carriage returns.
func space(b []byte, i int) int {
	for i < len(b) && (b[i] == ' ' || b[i] == '\t' || b[i] == '\r') {
		i++
	}
	return i
}

// str scans the string whose first byte behind the opening quote is at i. It returns the index of the closing quote and whether
// there are escapes in between.
func (s *scanner) str(i int) (end int, esc bool) {
	b, from := s.b, i
	var high uint64
	for {
		x := load8(b, i)
		m := stops(x)
		if m == 0 {
			high |= x
			i += 8
			continue
		}
		n := bits.TrailingZeros64(m) &^ 7
		high |= x & (1<<n - 1)
		i += n >> 3
		switch at(b, i) {
		case '"':
			if high&highs != 0 && !utf8.Valid(b[from:i]) {
				return s.badUTF8(from), esc
			}
			return i, esc
		case '\\':
			if i = s.escape(i); i < 0 {
				return -1, esc
			}
			esc = true
		default:
			return s.badByte(i), esc
		}
	}
}

func (s *scanner) badByte(i int) int {
	if s.ended(i) {
		return s.fail(i, "line ends inside a string")
	}
	return s.fail(i, fmt.Sprintf("control character 0x%02x in a string", s.b[i]))
}

func (s *scanner) badUTF8(i int) int {
	for i < len(s.b) {
		r, n := utf8.DecodeRune(s.b[i:])
		if r == utf8.RuneError && n == 1 {
			break
		}
		i += n
	}
	return s.fail(i, "invalid UTF-8 in a string")
}

func (s *scanner) ended(i int) bool { return i >= len(s.b) || s.b[i] == '\n' }

// escape checks the escape at i (RFC 8259 section 7); a lone half of a surrogate pair stands for no character and is refused.
func (s *scanner) escape(i int) int {
	switch at(s.b, i+1) {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return i + 2
	case 'u':
		r, ok := hex4(s.b, i+2)
		switch {
		case !ok:
			return s.fail(i, `\u without four hex digits`)
		case r < 0xd800 || r > 0xdfff:
			return i + 6
		case r < 0xdc00 && at(s.b, i+6) == '\\' && at(s.b, i+7) == 'u':
			if lo, ok := hex4(s.b, i+8); ok && lo >= 0xdc00 && lo <= 0xdfff {
				return i + 12
			}
		}
		return s.fail(i, "lone surrogate in a string")
	}
	if s.ended(i + 1) {
		return s.fail(i+1, "line ends inside a string")
	}
	return s.fail(i, "unknown escape in a string")
}

func hex4(b []byte, i int) (r rune, ok bool) {
	if i+4 > len(b) {
		return 0, false
	}
	for _, c := range b[i : i+4] {
		switch {
		case c >= '0' && c <= '9':
			c -= '0'
		case c|0x20 >= 'a' && c|0x20 <= 'f':
			c = c | 0x20 - 'a' + 10
		default:
			return 0, false
		}
		r = r<<4 | rune(c)
	}
	return r, true
}

// unescape appends the characters that the scanned string text raw stands for. It never appends more bytes than raw has.
func unescape(dst, raw []byte) []byte {
	for i := 0; i < len(raw); {
		c := raw[i]
		if c != '\\' {
			dst = append(dst, c)
			i++
			continue
		}
		c = raw[i+1]
		i += 2
		switch c {
		case 'b':
			c = '\b'
		case 'f':
			c = '\f'
		case 'n':
			c = '\n'
		case 'r':
			c = '\r'
		case 't':
			c = '\t'
		case 'u':
			r, _ := hex4(raw, i)
			i += 4
			if r >= 0xd800 && r <= 0xdbff {
				lo, _ := hex4(raw, i+2)
				i += 6
				r = 0x10000 + (r-0xd800)<<10 + (lo - 0xdc00)
			}
			dst = utf8.AppendRune(dst, r)
			continue
		}
		dst = append(dst, c)
	}
	return dst
}

// number scans -?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?
func (s *scanner) number(i int) int {
	b := s.b
	if at(b, i) == '-' {
		i++
	}
	if _, _, end := plain(b, i); end >= 0 {
		return end
	}
	if at(b, i) == '0' {
		i++
		if isDigit(at(b, i)) {
			return s.fail(i-1, "number with a leading zero")
		}
	} else {
		from := i
		if i = digits(b, i); i == from {
			return s.badNumber(i)
		}
	}
	if at(b, i) == '.' {
		from := i + 1
		if i = digits(b, from); i == from {
			return s.badNumber(i)
		}
	}
	if at(b, i)|0x20 == 'e' {
		i++
		if c := at(b, i); c == '+' || c == '-' {
			i++
		}
		from := i
		if i = digits(b, i); i == from {
			return s.badNumber(i)
		}
	}
	return i
}

func (s *scanner) badNumber(i int) int {
	if s.ended(i) {
		return s.fail(i, "line ends inside a number")
	}
	return s.fail(i, "number without the digits it needs")
}

func isDigit(c byte) bool { return c-'0' <= 9 }

func digits(b []byte, i int) int {
	for i < len(b) && isDigit(b[i]) {
		i++
	}
	return i
}

// skip scans the value at i, whose objects and arrays may nest to maxDepth; depth is that of the container around it.
func (s *scanner) skip(i, depth int) int {
	switch c := at(s.b, i); c {
	case '"':
		end, _ := s.str(i + 1)
		if end < 0 {
			return -1
		}
		return end + 1
	case '{':
		return s.skipObject(i, depth+1)
	case '[':
		return s.skipArray(i, depth+1)
	case 't':
		return s.literal(i, "true")
	case 'f':
		return s.literal(i, "false")
	case 'n':
		return s.literal(i, "null")
	default:
		if c == '-' || isDigit(c) {
			return s.number(i)
		}
		return s.unexpected(i, "a value")
	}
}

func (s *scanner) literal(i int, lit string) int {
	if end := i + len(lit); end <= len(s.b) && string(s.b[i:end]) == lit {
		return end
	}
	return s.unexpected(i, "a value")
}

func (s *scanner) skipObject(i, depth int) int {
	if depth > maxDepth {
		return s.fail(i, tooDeep)
	}
	b := s.b
	i = space(b, i+1)
	if at(b, i) == '}' {
		return i + 1
	}
	for {
		if i = s.skipKey(i); i < 0 {
			return -1
		}
		if i = s.skip(i, depth); i < 0 {
			return -1
		}
		i = space(b, i)
		switch at(b, i) {
		case ',':
			i = space(b, i+1)
			if at(b, i) == '}' {
				return s.fail(i, "trailing comma")
			}
		case '}':
			return i + 1
		default:
			return s.unexpected(i, "',' or '}'")
		}
	}
}

// skipKey scans the key at i and the colon, up to the value.
func (s *scanner) skipKey(i int) int {
	if at(s.b, i) != '"' {
		return s.unexpected(i, "a key in quotes")
	}
	end, _ := s.str(i + 1)
	if end < 0 {
		return -1
	}
	return s.colon(end + 1)
}

func (s *scanner) colon(i int) int {
	i = space(s.b, i)
	if at(s.b, i) != ':' {
		return s.unexpected(i, "':'")
	}
	return space(s.b, i+1)
}

func (s *scanner) skipArray(i, depth int) int {
	if depth > maxDepth {
		return s.fail(i, tooDeep)
	}
	b := s.b
	i = space(b, i+1)
	if at(b, i) == ']' {
		return i + 1
	}
	for {
		if i = s.skip(i, depth); i < 0 {
			return -1
		}
		i = space(b, i)
		switch at(b, i) {
		case ',':
			i = space(b, i+1)
			if at(b, i) == ']' {
				return s.fail(i, "trailing comma")
			}
		case ']':
			return i + 1
		default:
			return s.unexpected(i, "',' or ']'")
		}
	}
}

var tooDeep = fmt.Sprintf("nested deeper than %d levels", maxDepth)

// unexpected says what stands at i instead of want.
func (s *scanner) unexpected(i int, want string) int {
	if s.ended(i) {
		return s.fail(i, "line ends where "+want+" should be: the record is cut short, or goes on in the next line")
	}
	rest := s.b[i:min(len(s.b), i+9)]
	for _, word := range []string{"NaN", "Infinity", "-Infinity"} {
		if len(rest) >= len(word) && string(rest[:len(word)]) == word {
			return s.fail(i, word+" is not JSON: write null")
		}
	}
	if rest[0] == '\'' {
		return s.fail(i, "single quotes are not JSON: want "+want)
	}
	r, _ := utf8.DecodeRune(rest)
	if r == utf8.RuneError {
		return s.fail(i, fmt.Sprintf("byte 0x%02x where %s should be", rest[0], want))
	}
	return s.fail(i, fmt.Sprintf("%q where %s should be", r, want))
}

// record checks that b is one line holding one JSON object and nothing else, and reports the place in b and the reason if not.
func (s *scanner) record(b []byte) bool {
	s.b = b
	i := space(b, 0)
	isObject := at(b, i) == '{'
	end := s.skip(i, 0)
	if end < 0 {
		return false
	}
	if end = space(b, end); end < len(b) {
		s.fail(end, "text behind the value: want one object on each line")
		return false
	}
	if !isObject {
		s.fail(i, "not a JSON object: want one object on each line")
	}
	return isObject
}
