package expr

import "bytes"

// read reads s: digits as many as the template has at most before and behind the point, commas between them where it has any, a sign in front
// or behind (<…> for PR), the template's text, white space around. Unlike in PostgreSQL all of s must be used. digits is scratch memory.
func (t *numberTemplate) read(digits, s []byte) (dec, []byte, bool) {
	s = trimSpace(s)
	negative, comma := false, false
	for _, p := range t.items {
		comma = comma || p.kind == ','
	}
	if n := len(s); t.bracket && n > 1 && s[0] == '<' && s[n-1] == '>' {
		negative, s = true, s[1:n-1]
	} else if s, negative = cutSign(s); t.marked || t.sign == signBehind {
		if n := len(s); n > 0 && !negative && (s[n-1] == '-' || s[n-1] == '+') {
			negative, s = s[n-1] == '-', s[:n-1]
		}
	}
	whole, frac, point := 0, 0, false
	for _, p := range t.items {
		switch p.kind {
		case 0: // text
			if len(p.text) == 1 && p.text[0] == ' ' {
				s = bytes.TrimLeft(s, " ")
			} else if rest, ok := bytes.CutPrefix(s, []byte(p.text)); ok {
				s = rest
			} else {
				return dec{}, digits, false
			}
		case 'L':
			for _, sign := range []string{"$", "€", "£", "¥"} {
				s = bytes.TrimPrefix(s, []byte(sign))
			}
			s = bytes.TrimLeft(s, " ")
		case 'T', 't':
			if len(s) >= 2 && len(digits) > 0 && string(bytes.ToLower(s[:2])) == ordinal(digits, "th") {
				s = s[2:]
			}
		case '9', '0', '.', ',':
			for len(s) > 0 && (isDigit(s[0]) || comma && s[0] == ',' && !point && len(digits) > 0 || s[0] == '.' && t.point && !point) {
				switch c := s[0]; {
				case c == '.':
					point = true
				case c == ',':
				case point:
					frac++
					digits = append(digits, c)
				default:
					whole++
					digits = append(digits, c)
				}
				s = s[1:]
			}
		}
	}
	if t.marked || t.sign == signBehind {
		if s = bytes.TrimSpace(s); len(s) == 1 && (s[0] == '-' || s[0] == '+') && !negative {
			negative, s = s[0] == '-', nil
		}
	}
	some := whole+frac > 0
	for ; frac < t.post; frac++ {
		digits = append(digits, '0')
	}
	digits = trimZeros(digits)
	if len(bytes.TrimSpace(s)) > 0 || !some || frac > t.post || len(digits) > t.pre+t.post+t.shift {
		return dec{}, digits, false
	}
	var m u128
	for _, c := range digits {
		m, _ = m.mul64(10)
		m, _ = m.add(u128{0, uint64(c - '0')})
	}
	d, ok := signedDec(m, negative, int32(t.pre+t.post+t.shift))
	return d, digits, ok
}

func cutSign(s []byte) ([]byte, bool) {
	if len(s) > 0 && (s[0] == '-' || s[0] == '+') {
		return trimSpace(s[1:]), s[0] == '-'
	}
	return s, false
}
