package expr

import (
	"encoding/binary"
	"math/bits"
)

// jsonDepth is how deep values may be nested, as in encoding/json.
const jsonDepth = 10000

const (
	lowBits  = 0x0101010101010101
	highBits = 0x8080808080808080
)

// jsonStop is the first byte from i on that is a quote, a backslash or a control character, or the end.
func jsonStop(b []byte, i int) int {
	for ; i+8 <= len(b); i += 8 {
		w := binary.LittleEndian.Uint64(b[i:])
		quote, back := w^'"'*lowBits, w^'\\'*lowBits
		// the lowest of the marks is exact: a borrow can set only higher ones
		if m := ((quote-lowBits)&^quote | (back-lowBits)&^back | (w-' '*lowBits)&^w) & highBits; m != 0 {
			return i + bits.TrailingZeros64(m)>>3
		}
	}
	for i < len(b) && b[i] != '"' && b[i] != '\\' && b[i] >= ' ' {
		i++
	}
	return i
}

// jsonValid reports whether s is one JSON value (RFC 8259) with nothing but space around it.
func jsonValid(s []byte) bool {
	end := jsonCheck(s, jsonSpace(s, 0), 0)
	return end >= 0 && jsonSpace(s, end) == len(s)
}

// jsonCheck is the end of the value at i, -1 if it is none.
func jsonCheck(b []byte, i, depth int) int {
	if i >= len(b) {
		return -1
	}
	switch c := b[i]; c {
	case '"':
		return jsonCheckString(b, i)
	case '{', '[':
		if depth >= jsonDepth {
			return -1
		}
		closing := c + 2 // ASCII has them so
		if i = jsonSpace(b, i+1); at(b, i) == closing {
			return i + 1
		}
		for {
			if c == '{' {
				if at(b, i) != '"' {
					return -1
				}
				if i = jsonCheckString(b, i); i < 0 {
					return -1
				}
				if i = jsonSpace(b, i); at(b, i) != ':' {
					return -1
				}
				i = jsonSpace(b, i+1)
			}
			if i = jsonCheck(b, i, depth+1); i < 0 {
				return -1
			}
			i = jsonSpace(b, i)
			switch at(b, i) {
			case closing:
				return i + 1
			case ',':
				i = jsonSpace(b, i+1)
			default:
				return -1
			}
		}
	case 't':
		return jsonCheckWord(b, i, "true")
	case 'f':
		return jsonCheckWord(b, i, "false")
	case 'n':
		return jsonCheckWord(b, i, "null")
	}
	return jsonCheckNumber(b, i)
}

func jsonCheckWord(b []byte, i int, word string) int {
	if len(b)-i < len(word) || string(b[i:i+len(word)]) != word {
		return -1
	}
	return i + len(word)
}

func jsonCheckString(b []byte, i int) int {
	for i++; ; {
		i = jsonStop(b, i)
		switch at(b, i) {
		case '"':
			return i + 1
		case '\\':
		default:
			return -1
		}
		switch at(b, i+1) {
		case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
			i += 2
		case 'u':
			if _, ok := hexRune(b[i+2:]); !ok {
				return -1
			}
			i += 6
		default:
			return -1
		}
	}
}

func jsonCheckNumber(b []byte, i int) int {
	digits := func() bool {
		from := i
		for i < len(b) && isDigit(b[i]) {
			i++
		}
		return i > from
	}
	if b[i] == '-' {
		i++
	}
	if at(b, i) == '0' {
		i++
	} else if !digits() {
		return -1
	}
	if at(b, i) == '.' {
		if i++; !digits() {
			return -1
		}
	}
	if c := at(b, i); c == 'e' || c == 'E' {
		if i++; at(b, i) == '+' || at(b, i) == '-' {
			i++
		}
		if !digits() {
			return -1
		}
	}
	return i
}
