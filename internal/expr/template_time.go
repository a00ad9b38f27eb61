package expr

import (
	"fmt"
	"strconv"
	"strings"
)

// A template is PostgreSQL's pattern for to_char, to_date and to_timestamp.

// timePatterns are the patterns by first letter in the order in which they are looked for; each is there in lower case, too, meaning the same
// but for letters that it prints.
var timePatterns = []string{"A.D.", "A.M.", "AD", "AM", "B.C.", "BC", "CC", "DAY", "DDD", "DD", "DY", "Day", "Dy", "D", "FF1", "FF2", "FF3", "FF4", "FF5", "FF6", "FX",
	"HH24", "HH12", "HH", "IDDD", "ID", "IW", "IYYY", "IYY", "IY", "I", "J", "MI", "MM", "MONTH", "MON", "MS", "Month", "Mon", "OF", "P.M.", "PM", "Q", "RM",
	"SSSSS", "SSSS", "SS", "TZH", "TZM", "TZ", "US", "WW", "W", "Y,YYY", "YYYY", "YYY", "YY", "Y"}

// textPatterns are those that print (and read) no digits, apart from TZ's.
var textPatterns = map[string]bool{"A.D.": true, "A.M.": true, "AD": true, "AM": true, "B.C.": true, "BC": true, "DAY": true, "DY": true, "MONTH": true, "MON": true,
	"P.M.": true, "PM": true, "RM": true, "OF": true, "TZ": true, "FX": true}

// templatePart is a pattern of a template, or a character of text.
type templatePart struct {
	name   string // upper case; "" for text
	text   string // one character of text, or the pattern as written
	quote  bool   // text in quotes: never a separator
	fill   bool   // FM: no padding
	locale bool   // TM
	th     string // TH or th behind it
	field  timeField
	width  int // in digits, of a number that is read
}

// parseTimeTemplate takes a template apart. Text stands in double quotes, or for itself where it is no pattern.
func parseTimeTemplate(s string) []templatePart {
	var out []templatePart
	for len(s) > 0 {
		if s[0] == '"' {
			s = s[1:]
			for len(s) > 0 && s[0] != '"' {
				if s[0] == '\\' && len(s) > 1 {
					s = s[1:]
				}
				n := runeLen(s)
				out = append(out, templatePart{text: s[:n], quote: true})
				s = s[n:]
			}
			s = strings.TrimPrefix(s, `"`)
			continue
		}
		p := templatePart{}
		if len(s) >= 2 {
			switch s[:2] {
			case "FM", "fm":
				p.fill, s = true, s[2:]
			case "TM", "tm": // names in the locale's language, unpadded
				p.locale, s = true, s[2:]
			}
		}
		if name, ok := timePattern(s); ok {
			p.name, p.text, s = strings.ToUpper(name), name, s[len(name):]
			if len(s) >= 2 && (s[:2] == "TH" || s[:2] == "th") {
				if !textPatterns[p.name] && p.name[0] != 'T' {
					p.th = s[:2]
				}
				s = s[2:]
			}
			out = append(out, p)
			continue
		}
		if strings.HasPrefix(s, `\"`) {
			s = s[1:]
		}
		if s != "" {
			n := runeLen(s)
			out = append(out, templatePart{text: s[:n]})
			s = s[n:]
		}
	}
	return out
}

func runeLen(s string) int {
	for i := range s {
		if i > 0 {
			return i
		}
	}
	return len(s)
}

// timePattern is the pattern that s begins with.
func timePattern(s string) (string, bool) {
	for _, n := range timePatterns {
		if strings.HasPrefix(s, n) {
			return n, true
		}
	}
	for _, n := range timePatterns {
		if low := strings.ToLower(n); strings.HasPrefix(s, low) {
			return low, true
		}
	}
	return "", false
}

// templateTime is a date and time, or an interval, in the fields that patterns print.
type templateTime struct {
	year, month, day     int64 // astronomical year; of an interval years, months, days
	hour, minute, second int64
	micros               int64
	days                 int64 // since 1970-01-01
	interval, zoned      bool
}

func timeOf(us int64, zoned bool) templateTime {
	d, rest := floorDiv(us, microsPerDay), floorMod(us, microsPerDay)
	y, m, day := civil(d)
	return templateTime{y, m, day, rest / microsPerHour, rest % microsPerHour / microsPerMinute, rest % microsPerMinute / microsPerSecond, rest % microsPerSecond, d, false, zoned}
}

func timeOfInterval(v interval) templateTime {
	return templateTime{year: int64(v.months / 12), month: int64(v.months % 12), day: int64(v.days), hour: v.micros / microsPerHour,
		minute: v.micros % microsPerHour / microsPerMinute, second: v.micros % microsPerMinute / microsPerSecond, micros: v.micros % microsPerSecond, interval: true}
}

// noInterval are the patterns that an interval has nothing for.
var noInterval = map[string]bool{"A.D.": true, "B.C.": true, "AD": true, "BC": true, "DAY": true, "DY": true, "MONTH": true, "MON": true, "D": true, "ID": true, "TZ": true, "TZH": true, "TZM": true, "OF": true,
	"IW": true, "IDDD": true, "IYYY": true, "IYY": true, "IY": true, "I": true, "WW": true, "W": true, "J": true}

func checkIntervalTemplate(tmpl []templatePart) error {
	for _, p := range tmpl {
		if noInterval[p.name] {
			return fmt.Errorf("an interval has nothing for the pattern %s", p.text)
		}
	}
	return nil
}

// printStep is what a template prints one after the other: text, a number of two or four digits, or what a pattern says.
type printStep struct {
	op   printOp
	text string
	part *templatePart
}

type printOp int8

const (
	printText printOp = iota
	printPart
	printYear
	printMonth
	printDay
	printHour
	printMinute
	printSecond
)

var printOps = map[string]printOp{"YYYY": printYear, "MM": printMonth, "DD": printDay, "HH24": printHour, "MI": printMinute, "SS": printSecond}

// printed is how a template is printed: texts in one, the patterns that most templates have by steps of their own.
func printed(tmpl []templatePart) []printStep {
	var out []printStep
	for i := range tmpl {
		p := &tmpl[i]
		if p.name == "" {
			if n := len(out); n > 0 && out[n-1].op == printText {
				out[n-1].text += p.text
			} else {
				out = append(out, printStep{text: p.text})
			}
			continue
		}
		s := printStep{op: printPart, part: p}
		if op, ok := printOps[p.name]; ok && !p.fill && p.th == "" {
			s.op = op
		}
		out = append(out, s)
	}
	return out
}

// appendTemplate prints t.
func appendTemplate(dst []byte, steps []printStep, t *templateTime) []byte {
	for i := range steps {
		s := &steps[i]
		v := int64(-1)
		switch s.op {
		case printText:
			dst = append(dst, s.text...)
			continue
		case printYear:
			if y := t.year; y >= 1000 && y <= 9999 {
				dst = append(dst, byte('0'+y/1000), byte('0'+y/100%10), byte('0'+y/10%10), byte('0'+y%10))
				continue
			}
		case printMonth:
			v = t.month
		case printDay:
			v = t.day
		case printHour:
			v = t.hour
		case printMinute:
			v = t.minute
		case printSecond:
			v = t.second
		}
		if uint64(v) < 100 {
			dst = append(dst, byte('0'+v/10), byte('0'+v%10))
			continue
		}
		dst = s.part.append(dst, t)
	}
	return dst
}

// append prints what the pattern says.
func (p *templatePart) append(dst []byte, t *templateTime) []byte {
	from := len(dst)
	if textPatterns[p.name] {
		dst = p.appendText(dst, t)
	} else {
		dst = p.appendNumber(dst, t)
	}
	if p.th != "" && len(dst) > from {
		dst = append(dst, ordinal(dst[from:], p.th)...)
	}
	return dst
}

// ordinal is what makes an ordinal number of digits: st, nd, rd, th in the letter case of th.
func ordinal(digits []byte, th string) string {
	last, teen := digits[len(digits)-1], len(digits) > 1 && digits[len(digits)-2] == '1'
	out := "th"
	switch {
	case teen:
	case last == '1':
		out = "st"
	case last == '2':
		out = "nd"
	case last == '3':
		out = "rd"
	}
	if th == "TH" {
		return strings.ToUpper(out)
	}
	return out
}

// appendPadded prints v with zeros in front, to width characters.
func appendPadded(dst []byte, v int64, width int) []byte {
	if v < 0 {
		dst = append(dst, '-')
		v, width = -v, width-1
	}
	for p := int64(10); width > 1; width, p = width-1, p*10 {
		if v < p {
			dst = append(dst, '0')
		}
	}
	return strconv.AppendInt(dst, v, 10)
}

// number prints v to width digits, a minus sign aside, unless FM says not to.
func (p *templatePart) number(dst []byte, v int64, width int) []byte {
	switch {
	case p.fill:
		width = 0
	case v < 0:
		width++
	}
	return appendPadded(dst, v, width)
}

// yearShown is PostgreSQL's year: 1 BC prints as 1.
func (t *templateTime) yearShown(y int64) int64 {
	if t.interval || y > 0 {
		return y
	}
	return 1 - y
}

func (p *templatePart) appendNumber(dst []byte, t *templateTime) []byte {
	switch p.name {
	case "HH", "HH12":
		h := t.hour % 12
		if h == 0 {
			h = 12
		}
		if t.hour < 0 && !p.fill {
			return appendPadded(dst, h, 3)
		}
		return p.number(dst, h, 2)
	case "HH24":
		return p.number(dst, t.hour, 2)
	case "MI":
		return p.number(dst, t.minute, 2)
	case "SS":
		return p.number(dst, t.second, 2)
	case "MS":
		return appendPadded(dst, t.micros/1000, 3)
	case "US":
		return appendPadded(dst, t.micros, 6)
	case "FF1", "FF2", "FF3", "FF4", "FF5", "FF6":
		n := int(p.name[2] - '0')
		v := t.micros
		for range 6 - n {
			v /= 10
		}
		return appendPadded(dst, v, n)
	case "SSSS", "SSSSS":
		return strconv.AppendInt(dst, t.hour*3600+t.minute*60+t.second, 10)
	case "TZH", "TZM":
		if p.name == "TZH" {
			return append(dst, "+00"...)
		}
		return append(dst, "00"...)
	case "MM":
		return p.number(dst, t.month, 2)
	case "Q":
		if t.month == 0 {
			return dst
		}
		return strconv.AppendInt(dst, (t.month-1)/3+1, 10)
	case "DD":
		return p.number(dst, t.day, 2-int(uint64(t.day)>>63)) // the sign counts
	case "DDD":
		if t.interval {
			days := (t.year*12+t.month)*30 + t.day
			return p.number(dst, days, 3-int(uint64(days)>>63))
		}
		return p.number(dst, t.days-dayOf(t.year, 1, 1)+1, 3)
	case "IDDD":
		return p.number(dst, (t.isoWeek()-1)*7+isoDow(t.days), 3)
	case "D":
		return strconv.AppendInt(dst, isoDow(t.days)%7+1, 10)
	case "ID":
		return strconv.AppendInt(dst, isoDow(t.days), 10)
	case "WW":
		return p.number(dst, (t.days-dayOf(t.year, 1, 1))/7+1, 2)
	case "W":
		return strconv.AppendInt(dst, (t.day-1)/7+1, 10)
	case "IW":
		return p.number(dst, t.isoWeek(), 2)
	case "J":
		return strconv.AppendInt(dst, t.days+2440588, 10)
	case "CC":
		return p.number(dst, t.century(), 2)
	}
	return p.appendYear(dst, t)
}

func (t *templateTime) isoWeek() int64 { return datePart("week")(t.days) }

func (t *templateTime) century() int64 {
	switch {
	case t.interval:
		return t.year / 100
	case t.year > 0:
		return (t.year-1)/100 + 1
	}
	return t.year/100 - 1
}

// appendYear prints Y,YYY, YYYY … Y and IYYY … I.
func (p *templatePart) appendYear(dst []byte, t *templateTime) []byte {
	y := t.yearShown(t.year)
	if p.name[0] == 'I' {
		thursday := t.days - isoDow(t.days) + 4
		iso, _, _ := civil(thursday)
		y = t.yearShown(iso)
	}
	if p.name == "Y,YYY" {
		dst = append(strconv.AppendInt(dst, y/1000, 10), ',')
		return appendPadded(dst, y%1000, 3)
	}
	n := len(p.name)
	if n < 4 {
		mod := int64(1)
		for range n {
			mod *= 10
		}
		y %= mod
	}
	return p.number(dst, y, n)
}

var romanMonths = []string{"I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX", "X", "XI", "XII"}

// cased prints s in the letter case in which the pattern is written.
func (p *templatePart) cased(s string) string {
	switch {
	case p.text == strings.ToLower(p.text):
		return strings.ToLower(s)
	case p.text == strings.ToUpper(p.text):
		return strings.ToUpper(s)
	}
	return s
}

func (p *templatePart) appendText(dst []byte, t *templateTime) []byte {
	from, width := len(dst), 0
	switch p.name {
	case "FX":
	case "AM", "PM", "A.M.", "P.M.":
		half := "AM"
		if t.hour%24 >= 12 {
			half = "PM"
		}
		dst = append(dst, p.cased(dotted(half, p.name))...)
	case "AD", "BC", "A.D.", "B.C.":
		era := "AD"
		if t.year <= 0 {
			era = "BC"
		}
		dst = append(dst, p.cased(dotted(era, p.name))...)
	case "MONTH", "MON":
		if t.month == 0 {
			return dst
		}
		n := monthNames[floorMod(t.month-1, 12)]
		if t.month < 0 {
			n = monthNames[floorMod(t.month, 12)]
		}
		if width = 9; p.name == "MON" {
			n, width = n[:3], 0
		}
		dst = append(dst, p.cased(n)...)
	case "DAY", "DY":
		n := dayNames[isoDow(t.days)%7]
		if width = 9; p.name == "DY" {
			n, width = n[:3], 0
		}
		dst = append(dst, p.cased(n)...)
	case "RM":
		m := t.month
		if m == 0 && t.year == 0 {
			return dst
		}
		switch {
		case m < 0:
			m += 13
		case m == 0 && t.year > 0:
			m = 12
		case m == 0:
			m = 1
		}
		width = 4
		dst = append(dst, p.cased(romanMonths[m-1])...)
	case "TZ":
		if t.zoned {
			dst = append(dst, p.cased("UTC")...)
		}
	case "OF":
		dst = append(dst, '+')
		return p.number(dst, 0, 2)
	}
	for !p.fill && !(p.locale && p.name != "RM") && len(dst) < from+width {
		dst = append(dst, ' ')
	}
	return dst
}

// dotted writes AM as A.M. if the pattern does.
func dotted(s, as string) string {
	if strings.Contains(as, ".") {
		return s[:1] + "." + s[1:] + "."
	}
	return s
}
