package expr

import (
	"fmt"
	"strconv"
	"strings"
)

// numberTemplate is PostgreSQL's pattern for to_char and to_number of numbers.
type numberTemplate struct {
	items           []numberPart
	pre, post       int // digits before and behind the point
	shift           int // digits behind V
	zeroFrom        int // the first digit before the point from which zeros are written; pre without
	zeroTo          int // digits behind the point that FM keeps
	digits          int // patterns 9, 0 and the point together
	point, fill     bool
	bracket         bool // PR
	sign            signPlace
	marked          bool // MI, PL or SG is there
	plus            bool // PL alone: the minus sign is written as without
	roman, exponent bool
}

type signPlace uint8

const (
	signFloats signPlace = iota // right before the first digit, a space for +
	signBefore                  // S in front: so, but + is written
	signBehind                  // S behind
)

// numberPart is a pattern of a number's template: 9 0 . , S M(I) P(L) G(SG) R(PR) T(H) t(h) L V N(RN) n(rn) E(EEEE), or text.
type numberPart struct {
	kind byte
	text string
}

// numberPatterns are the patterns as written, longest first where one begins with another. D and G are the point and the comma of the C locale.
var numberPatterns = []struct {
	text string
	kind byte
}{{"EEEE", 'E'}, {"FM", 'F'}, {"MI", 'M'}, {"PL", 'P'}, {"PR", 'R'}, {"RN", 'N'}, {"SG", 'G'}, {"TH", 'T'}, {"SP", 0}, {",", ','}, {".", '.'}, {"0", '0'}, {"9", '9'},
	{"B", 'B'}, {"C", 0}, {"D", '.'}, {"G", ','}, {"L", 'L'}, {"S", 'S'}, {"V", 'V'}}

func numberPattern(s string) (text string, kind byte) {
	for _, p := range numberPatterns {
		switch {
		case strings.HasPrefix(s, p.text):
			return p.text, p.kind
		case strings.HasPrefix(s, strings.ToLower(p.text)):
			if k := p.kind; k == 'N' || k == 'T' {
				return p.text, k | 0x20
			}
			return p.text, p.kind
		}
	}
	return "", 'x'
}

func parseNumberTemplate(s string) (*numberTemplate, error) {
	t := &numberTemplate{}
	zero, signs := false, 0
	for len(s) > 0 {
		if s[0] == '"' || strings.HasPrefix(s, `\"`) {
			s = t.quoted(s)
			continue
		}
		text, kind := numberPattern(s)
		if kind == 'x' {
			n := runeLen(s)
			t.items, s = append(t.items, numberPart{0, s[:n]}), s[n:]
			continue
		}
		if kind == 0 || kind == 'B' {
			return nil, fmt.Errorf("the pattern %s is not supported", text)
		}
		s = s[len(text):]
		switch {
		case t.exponent:
			return nil, fmt.Errorf("EEEE must be the last pattern")
		case (kind == '9' || kind == '0') && t.bracket:
			return nil, fmt.Errorf("digits must be ahead of PR")
		}
		switch kind {
		case '9', '0':
			t.digits++
			switch {
			case t.shift > 0 || t.hasShift():
				t.shift++
			case t.point:
				t.post++
				if kind == '0' {
					t.zeroTo = t.post
				}
			default:
				if kind == '0' && !zero {
					zero, t.zeroFrom = true, t.pre
				}
				t.pre++
			}
		case '.':
			if t.point || t.hasShift() {
				return nil, fmt.Errorf("a template has one point, and none with V")
			}
			t.point = true
			t.digits++
		case 'F':
			t.fill = true
			continue
		case 'S', 'M', 'P', 'G', 'R':
			if signs++; signs > 1 {
				return nil, fmt.Errorf("only one of S, MI, PL, SG and PR may be in a template")
			}
			t.bracket = kind == 'R'
			t.marked = kind == 'M' || kind == 'P' || kind == 'G'
			t.plus = kind == 'P'
			if kind == 'S' {
				t.sign = signBehind
				if !t.point && t.more(s) {
					t.sign = signBefore
				}
				continue
			}
		case 'V':
			if t.point {
				return nil, fmt.Errorf("a V and a point exclude each other")
			}
		case 'E':
			t.exponent = true
		case 'N', 'n':
			t.roman = true
		}
		t.items = append(t.items, numberPart{kind, text})
	}
	if !zero {
		t.zeroFrom = t.pre + t.shift
	}
	if t.roman && t.digits > 0 || t.exponent && (zero || signs > 0 || t.fill) {
		return nil, fmt.Errorf("RN stands alone, and EEEE without FM, zeros and signs")
	}
	if t.pre+t.shift > 200 || t.post > 200 {
		return nil, fmt.Errorf("the template is too long")
	}
	return t, nil
}

// quoted takes text in quotes, or an escaped quote.
func (t *numberTemplate) quoted(s string) string {
	if s[0] == '\\' {
		t.items = append(t.items, numberPart{0, `"`})
		return s[2:]
	}
	for s = s[1:]; len(s) > 0 && s[0] != '"'; {
		if s[0] == '\\' && len(s) > 1 {
			s = s[1:]
		}
		n := runeLen(s)
		t.items, s = append(t.items, numberPart{0, s[:n]}), s[n:]
	}
	return strings.TrimPrefix(s, `"`)
}

func (t *numberTemplate) hasShift() bool {
	for _, p := range t.items {
		if p.kind == 'V' {
			return true
		}
	}
	return false
}

// more reports whether digits before the point follow.
func (t *numberTemplate) more(s string) bool {
	for len(s) > 0 {
		if s[0] == '"' {
			s = (&numberTemplate{}).quoted(s)
			continue
		}
		text, kind := numberPattern(s)
		switch kind {
		case '9', '0':
			return true
		case '.', 'V':
			return false
		case 'x':
			s = s[runeLen(s):]
			continue
		}
		s = s[len(text):]
	}
	return false
}

// written is a number in decimal digits: an integer part without zeros in front (but 0), as many digits behind the point as there are.
type written struct {
	whole, frac []byte
	negative    bool
}

// appendNumber prints n, which the caller has rounded to t.post digits (and multiplied by V's power of ten).
func (t *numberTemplate) appendNumber(dst []byte, n written) []byte {
	pre := t.pre + t.shift
	lead := pre - len(n.whole)
	if lead < 0 { // too large
		n.whole, n.frac = []byte(strings.Repeat("#", pre)), []byte(strings.Repeat("#", len(n.frac)))
		lead = 0
	}
	w := numberWriter{t: t, n: n, lead: lead, kept: len(n.frac)}
	w.zero = t.zeroFrom >= pre && t.post > 0 && len(n.whole) == 1 && n.whole[0] == '0'
	if t.fill && t.point {
		for w.kept > 0 && n.frac[w.kept-1] == '0' {
			w.kept--
		}
		w.kept = max(w.kept, min(t.zeroTo, len(n.frac)))
	}
	w.signed = t.marked && !(t.plus && n.negative) || !t.marked && t.fill && !n.negative && t.sign == signFloats
	w.signed = w.signed || t.sign == signBehind
	if t.marked && t.plus && !n.negative {
		w.signed = false
	}
	for _, p := range t.items {
		dst = w.item(dst, p)
	}
	return dst
}

// numberWriter is what was printed of a number.
type numberWriter struct {
	t       *numberTemplate
	n       written
	lead    int  // digit patterns in front of the number
	at      int  // digits and point so far
	kept    int  // digits behind the point that FM keeps
	whole   int  // digits before the point so far, of the template
	frac    int  // and behind it
	behind  bool // the point
	zero    bool // the integer part is a 0 that is not written
	signed  bool // the sign is written, or needs not be
	inside  bool // the digit before was written: a comma counts
	pending bool
}

func (w *numberWriter) putSign(dst []byte) []byte {
	if w.signed {
		return dst
	}
	w.signed = true
	t := w.t
	switch {
	case t.sign == signBefore && w.n.negative:
		return append(dst, '-')
	case t.sign == signBefore:
		return append(dst, '+')
	case t.bracket && w.n.negative:
		return append(dst, '<')
	case t.bracket:
		if t.fill {
			return dst
		}
		return append(dst, ' ')
	case w.n.negative:
		return append(dst, '-')
	case !t.fill:
		return append(dst, ' ')
	}
	return dst
}

func (w *numberWriter) item(dst []byte, p numberPart) []byte {
	t, space := w.t, !w.t.fill
	switch p.kind {
	case '9', '0', '.':
		dst = w.digit(dst, p.kind)
		if w.at++; w.at == t.digits {
			dst = w.end(dst)
		}
	case ',':
		switch {
		case w.inside:
			dst = append(dst, ',')
		case space:
			dst = append(dst, ' ')
		}
	case 'L':
		dst = append(dst, ' ')
	case 'M':
		switch {
		case w.n.negative:
			dst = append(dst, '-')
		case space:
			dst = append(dst, ' ')
		}
	case 'P':
		switch {
		case !w.n.negative:
			dst = append(dst, '+')
		case space:
			dst = append(dst, ' ')
		}
	case 'G':
		dst = append(dst, map[bool]byte{true: '-', false: '+'}[w.n.negative])
	case 'T', 't':
		if !w.n.negative && !t.point && len(w.n.whole) > 0 && w.n.whole[0] != '#' {
			dst = append(dst, ordinal(w.n.whole, map[byte]string{'T': "TH", 't': "th"}[p.kind])...)
		}
	case 'R', 'V':
	default:
		dst = append(dst, p.text...)
	}
	return dst
}

// digit prints a digit or the point.
func (w *numberWriter) digit(dst []byte, kind byte) []byte {
	t := w.t
	w.inside = false
	if kind == '.' {
		w.behind = true
		if w.zero && t.fill && w.kept == 0 && !w.pending {
			w.zero = false
		}
		if dst = w.putSign(dst); t.post == 0 {
			return dst
		}
		return append(dst, '.')
	}
	if w.behind {
		k := w.frac
		w.frac++
		if dst = w.putSign(dst); k >= len(w.n.frac) || k >= w.kept {
			return dst
		}
		w.inside = true
		return append(dst, w.n.frac[k])
	}
	k := w.whole
	w.whole++
	switch {
	case k < w.lead && k >= t.zeroFrom:
		w.inside = true
		return append(w.putSign(dst), '0')
	case k < w.lead:
		if !t.fill {
			dst = append(dst, ' ')
		}
		return dst
	case w.zero && t.fill && w.kept == 0:
		w.pending = true
		return append(w.putSign(dst), '0')
	case w.zero:
		if !t.fill {
			dst = append(dst, ' ')
		}
		return dst
	}
	w.inside = true
	return append(w.putSign(dst), w.n.whole[k-w.lead])
}

// end prints what follows the last digit.
func (w *numberWriter) end(dst []byte) []byte {
	switch t := w.t; {
	case t.bracket && w.n.negative:
		return append(dst, '>')
	case t.bracket && !t.fill:
		return append(dst, ' ')
	case t.sign == signBehind && w.n.negative:
		return append(dst, '-')
	case t.sign == signBehind:
		return append(dst, '+')
	}
	return dst
}

var romans = []struct {
	n    int64
	text string
}{{1000, "M"}, {900, "CM"}, {500, "D"}, {400, "CD"}, {100, "C"}, {90, "XC"}, {50, "L"}, {40, "XL"}, {10, "X"}, {9, "IX"}, {5, "V"}, {4, "IV"}, {1, "I"}}

// appendRoman prints RN: 15 characters wide, # for what is not in 1 to 3999.
func (t *numberTemplate) appendRoman(dst []byte, n written) []byte {
	v, err := strconv.ParseInt(string(n.whole), 10, 64)
	text := ""
	if err != nil || n.negative || v < 1 || v > 3999 {
		text, v = strings.Repeat("#", 15), 0
	}
	for _, r := range romans {
		for ; v >= r.n; v -= r.n {
			text += r.text
		}
	}
	for _, p := range t.items {
		switch p.kind {
		case 'N', 'n':
			if p.kind == 'n' {
				text = strings.ToLower(text)
			}
			for range 15 - len(text) {
				if !t.fill {
					dst = append(dst, ' ')
				}
			}
			dst = append(dst, text...)
		case 0:
			dst = append(dst, p.text...)
		}
	}
	return dst
}
