package expr

import (
	resyntax "regexp/syntax"
	"strconv"
	"strings"
	"unicode/utf8"
)

var escapeNames = map[byte]string{'y': `\b`, 'Y': `\B`, 'Z': `\z`}

// Groups that stand for \m and \M until the pattern is parsed.
const (
	wordStart = "__m"
	wordEnd   = "__M"
)

// postgresEscapes writes PostgreSQL's \y \Y \Z as RE2 has them, and \m and \M, of which marks tells the number, as named groups.
func postgresEscapes(p string) (out string, marks int) {
	if !strings.ContainsAny(p, "yYmMZ") || !strings.Contains(p, `\`) {
		return p, 0
	}
	var b strings.Builder
	for i := 0; i < len(p); i++ {
		switch {
		case p[i] == '[':
			n := bracketLength(p[i:])
			b.WriteString(p[i : i+n])
			i += n - 1
			continue
		case p[i] != '\\' || i+1 == len(p):
			b.WriteByte(p[i])
			continue
		}
		i++
		switch c := p[i]; c {
		case 'y', 'Y', 'Z':
			b.WriteString(escapeNames[c])
		case 'm', 'M':
			marks++
			b.WriteString("(?P<__" + string(c) + strconv.Itoa(marks) + ">)")
		case 'Q': // RE2's own quotes
			n := len(p)
			if end := strings.Index(p[i:], `\E`); end >= 0 {
				n = i + end
			}
			b.WriteString(p[i-1 : n])
			i = n - 1
		default:
			b.WriteString(p[i-1 : i+1])
		}
	}
	return b.String(), marks
}

// bracketLength is the length of the bracket expression at the start of p, all of p if it is not closed.
func bracketLength(p string) int {
	i := 1
	if i < len(p) && p[i] == '^' {
		i++
	}
	if i < len(p) && p[i] == ']' {
		i++
	}
	for ; i < len(p); i++ {
		switch {
		case p[i] == ']':
			return i + 1
		case p[i] == '\\':
			i++
		default:
			i += max(0, className(p[i:])-1)
		}
	}
	return len(p)
}

// className is the length of [:name:] at the start of p, 0 if it is none.
func className[T string | []byte](p T) int {
	if len(p) < 2 || p[0] != '[' || p[1] != ':' {
		return 0
	}
	n := 2
	for n < len(p) && (p[n] == '^' || p[n]|0x20 >= 'a' && p[n]|0x20 <= 'z') {
		n++
	}
	if n+1 < len(p) && p[n] == ':' && p[n+1] == ']' {
		return n + 2
	}
	return 0
}

// placeWordEnds puts word boundaries in the place of the groups for \m and \M. Where a word's character follows (of \M: comes before),
// they are the same; elsewhere RE2 has nothing for them, and ok is false. before and after tell what is around re.
func placeWordEnds(re *resyntax.Regexp, before, after bool) (ok bool) {
	switch re.Op {
	case resyntax.OpCapture:
		start, end := strings.HasPrefix(re.Name, wordStart), strings.HasPrefix(re.Name, wordEnd)
		if start || end {
			*re = resyntax.Regexp{Op: resyntax.OpWordBoundary}
			return start && after || end && before
		}
	case resyntax.OpConcat:
		for i, sub := range re.Sub {
			left, empty := wordEdge(re.Sub[:i], true)
			if empty {
				left = left && before
			}
			right, empty := wordEdge(re.Sub[i+1:], false)
			if empty {
				right = right && after
			}
			if !placeWordEnds(sub, left, right) {
				return false
			}
		}
		return true
	case resyntax.OpStar, resyntax.OpPlus, resyntax.OpRepeat: // each may have another beside it
		starts, _ := wordEdge(re.Sub, false)
		ends, _ := wordEdge(re.Sub, true)
		before, after = before && ends, after && starts
	}
	for _, sub := range re.Sub {
		if !placeWordEnds(sub, before, after) {
			return false
		}
	}
	return true
}

// wordEdge reports whether whatever a sequence matches begins (or ends: last) with a character of a word unless it is empty, and whether it may be empty.
func wordEdge(list []*resyntax.Regexp, last bool) (word, empty bool) {
	for i := range list {
		re := list[i]
		if last {
			re = list[len(list)-1-i]
		}
		w, e := edgeOf(re, last)
		if !w || !e {
			return w, e
		}
	}
	return true, true
}

func edgeOf(re *resyntax.Regexp, last bool) (word, empty bool) {
	switch re.Op {
	case resyntax.OpLiteral:
		r := re.Rune[0]
		if last {
			r = re.Rune[len(re.Rune)-1]
		}
		return isWordRune(r), false
	case resyntax.OpCharClass:
		for i := 0; i < len(re.Rune); i += 2 {
			for r := re.Rune[i]; r <= re.Rune[i+1]; r++ {
				if !isWordRune(r) {
					return false, false
				}
			}
		}
		return true, false
	case resyntax.OpAnyChar, resyntax.OpAnyCharNotNL:
		return false, false
	case resyntax.OpConcat, resyntax.OpCapture, resyntax.OpPlus:
		return wordEdge(re.Sub, last)
	case resyntax.OpStar, resyntax.OpQuest:
		word, _ = wordEdge(re.Sub, last)
		return word, true
	case resyntax.OpRepeat:
		word, empty = wordEdge(re.Sub, last)
		return word, empty || re.Min == 0
	case resyntax.OpAlternate:
		word = true
		for _, sub := range re.Sub {
			w, e := edgeOf(sub, last)
			word, empty = word && w, empty || e
		}
		return word, empty
	case resyntax.OpNoMatch:
		return true, false
	}
	return true, true // what matches at a place
}

// isWordRune: also ſ and the sign for kelvin, which are s and k in any letter case.
func isWordRune(r rune) bool {
	return r == '_' || r < utf8.RuneSelf && isDigit(byte(r)) || r|0x20 >= 'a' && r|0x20 <= 'z' || r == 'ſ' || r == '\u212A'
}
