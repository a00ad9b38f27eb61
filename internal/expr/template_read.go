package expr

import (
	"bytes"
	"fmt"
	"math"
	"strings"

	"github.com/sluice-data/sluice/internal/textval"
)

// timeReader reads texts of a template: to_date and to_timestamp.
type timeReader struct {
	items  []templatePart
	strict bool // FX: characters count
}

// timeField is what a pattern's number is one of.
type timeField uint8

const (
	noField timeField = iota
	fYear
	fWeekYear
	fCentury
	fMonth
	fDay
	fYearDay
	fWeekYearDay
	fWeekday
	fISOWeekday
	fYearWeek
	fMonthWeek
	fISOWeek
	fJulian
	fHour
	fMinute
	fSecond
	fMicros
	fDaySeconds
	fZoneHour
	fZoneMinute
	timeFields
)

// numbersRead are the patterns that read numbers, with the most digits that they have.
var numbersRead = map[string]struct {
	field timeField
	width int
}{"HH": {fHour, 2}, "HH12": {fHour, 2}, "HH24": {fHour, 2}, "MI": {fMinute, 2}, "SS": {fSecond, 2}, "MS": {fMicros, 3}, "US": {fMicros, 6}, "FF1": {fMicros, 1}, "FF2": {fMicros, 2},
	"FF3": {fMicros, 3}, "FF4": {fMicros, 4}, "FF5": {fMicros, 5}, "FF6": {fMicros, 6}, "SSSS": {fDaySeconds, 4}, "SSSSS": {fDaySeconds, 5}, "MM": {fMonth, 2}, "DD": {fDay, 2},
	"DDD": {fYearDay, 3}, "IDDD": {fWeekYearDay, 3}, "D": {fWeekday, 1}, "ID": {fISOWeekday, 1}, "WW": {fYearWeek, 2}, "W": {fMonthWeek, 1}, "IW": {fISOWeek, 2}, "J": {fJulian, 1},
	"CC": {fCentury, 2}, "YYYY": {fYear, 4}, "YYY": {fYear, 3}, "YY": {fYear, 2}, "Y": {fYear, 1}, "IYYY": {fWeekYear, 4}, "IYY": {fWeekYear, 3}, "IY": {fWeekYear, 2}, "I": {fWeekYear, 1},
	"TZH": {fZoneHour, 2}, "TZM": {fZoneMinute, 2}}

var (
	weekPatterns = map[string]bool{"IYYY": true, "IYY": true, "IY": true, "I": true, "IW": true, "ID": true, "IDDD": true}
	datePatterns = map[string]bool{"YYYY": true, "YYY": true, "YY": true, "Y": true, "Y,YYY": true, "MM": true, "MON": true, "MONTH": true, "RM": true, "DD": true, "DDD": true, "D": true,
		"DAY": true, "DY": true, "WW": true, "W": true, "CC": true}
)

// newTimeReader makes the reader of a template, which must name a year (or J), and not mix the years of ISO 8601's weeks with others.
func newTimeReader(template string) (*timeReader, error) {
	t := &timeReader{items: parseTimeTemplate(template)}
	year, iso, gregorian := false, false, false
	for i, p := range t.items {
		t.items[i].field, t.items[i].width = numbersRead[p.name].field, numbersRead[p.name].width
		switch {
		case p.name == "FX":
			t.strict = true
		case p.name == "Q":
			return nil, fmt.Errorf("the pattern Q is not read: a quarter is no date")
		}
		f := t.items[i].field
		year = year || f == fYear || f == fWeekYear || f == fCentury || f == fJulian || p.name == "Y,YYY"
		iso = iso || weekPatterns[p.name]
		gregorian = gregorian || datePatterns[p.name]
	}
	switch {
	case iso && gregorian:
		return nil, fmt.Errorf("the template mixes a year of ISO 8601's weeks (IYYY, IW, ID, IDDD) with months and days")
	case !year:
		return nil, fmt.Errorf("the template has no year: times of day are read by a cast, as in '10:30'::time")
	}
	return t, nil
}

// readTime is what was read.
type readTime struct {
	v      [timeFields]int64
	has    [timeFields]bool
	bc, pm bool
	clock  bool  // twelve hours
	short  bool  // the year has two digits at most
	east   int64 // seconds
	minus  bool  // of TZH
	day    int   // of a weekday's name, Sunday 0; -1 without
}

// instant reads s as µs since 1970-01-01, in UTC unless it has an offset.
func (t *timeReader) instant(s []byte) (int64, bool) {
	r, ok := t.read(s)
	if !ok {
		return 0, false
	}
	days, us, ok := r.settle()
	const most = math.MaxInt64/microsPerDay - 1
	if !ok || days > most || days < -most {
		return 0, false
	}
	return days*microsPerDay + us - r.east*microsPerSecond, true
}

// date reads s as days since 1970-01-01.
func (t *timeReader) date(s []byte) (int32, bool) {
	r, ok := t.read(s)
	if !ok {
		return 0, false
	}
	days, _, ok := r.settle()
	return int32(days), ok && days == int64(int32(days))
}

// offsets are the patterns whose sign is no separator.
var offsets = map[string]bool{"TZH": true, "OF": true, "TZ": true}

func separator(c byte) bool {
	return c > ' ' && c < 0x7f && !isDigit(c) && (c|0x20 < 'a' || c|0x20 > 'z')
}

func blank(c byte) bool { return c == ' ' || c >= '\t' && c <= '\r' }

// read matches s with the template as PostgreSQL does: white space before and behind fields is skipped, a separator of the template stands for any
// one separator or space, or none. Unlike there all of s must be used, and all fields found, and other text be that of the template.
func (t *timeReader) read(s []byte) (readTime, bool) {
	r := readTime{day: -1}
	skipped := 0 // characters more than the template has had
	skip := func() {
		for !t.strict && len(s) > 0 && blank(s[0]) {
			s = s[1:]
			skipped++
		}
	}
	for i := range t.items {
		p := &t.items[i]
		if p.name != "" || i == 0 {
			skip()
		}
		switch {
		case p.name == "FX":
		case p.name != "":
			n, ok := r.field(p, s, t.digitsNext(i))
			if !ok {
				return r, false
			}
			s = s[n:]
			skipped = 0
			skip()
		case !p.quote && len(p.text) == 1 && (separator(p.text[0]) || blank(p.text[0])):
			sign := len(s) > 0 && (s[0] == '+' || s[0] == '-') && i+1 < len(t.items) && offsets[t.items[i+1].name]
			if skipped--; len(s) > 0 && (blank(s[0]) || separator(s[0])) && !sign {
				s = s[1:]
				skipped++
			} else if t.strict {
				return r, false
			}
		default:
			switch {
			case len(s) >= len(p.text) && string(s[:len(p.text)]) == p.text:
				s = s[len(p.text):]
			case p.text == " " && skipped > 0: // white space that was skipped already
				skipped--
			default:
				return r, false
			}
		}
	}
	skip()
	return r, len(s) == 0
}

// digitsNext reports whether digits follow field i at once, so that it must have its full width.
func (t *timeReader) digitsNext(i int) bool {
	if p := t.items[i]; p.fill || p.th != "" || i+1 == len(t.items) {
		return false
	}
	next := t.items[i+1]
	if next.name != "" {
		return !textPatterns[next.name]
	}
	return len(next.text) == 1 && isDigit(next.text[0])
}

// field reads p at the start of s and tells how long it was; exact says that digits follow it at once.
func (r *readTime) field(p *templatePart, s []byte, exact bool) (n int, ok bool) {
	switch p.name {
	case "AM", "PM", "A.M.", "P.M.", "AD", "BC", "A.D.", "B.C.":
		return r.half(p.name, s)
	case "MONTH", "MON", "DAY", "DY", "RM":
		return r.word(p.name, s)
	case "TZ", "OF":
		return r.zone(s)
	case "TZH":
		sign := 0
		if len(s) > 0 && (s[0] == '+' || s[0] == '-') {
			r.minus, sign = s[0] == '-', 1
		}
		n, ok = r.digits(p, s[sign:], exact)
		return n + sign, ok
	case "Y,YYY":
		comma := bytes.IndexByte(s, ',')
		if comma < 1 || len(s) < comma+4 {
			return 0, false
		}
		thousands, ok1 := textval.Uint(s[:comma])
		rest, ok2 := textval.Uint(s[comma+1 : comma+4])
		return comma + 4, ok1 && ok2 && thousands < 1e6 && r.set(fYear, int64(thousands*1000+rest))
	}
	if p.field == noField {
		return 0, false
	}
	return r.digits(p, s, exact)
}

// digits reads a number: exactly the pattern's width, or as many digits as there are.
func (r *readTime) digits(p *templatePart, s []byte, exact bool) (n int, ok bool) {
	width, sign, field := p.width, 0, p.field
	year := field == fYear || field == fWeekYear
	if (year || field == fJulian) && len(s) > 0 && s[0] == '-' {
		sign = 1
	}
	for n = sign; n < len(s) && isDigit(s[n]) && n < 18 && !(exact && n == width); n++ {
	}
	v, valid := textval.Uint(s[sign:n])
	if !valid || v > math.MaxInt32 || exact && n != width || n < len(s) && isDigit(s[n]) && !exact {
		return 0, false
	}
	value, length := int64(v), n-sign
	switch {
	case field == fMicros: // digits behind a point
		if length > 6 {
			return 0, false
		}
		for ; length < 6; length++ {
			value *= 10
		}
	case year && width < 4:
		if sign == 0 && length < 4 {
			value = near2020(value)
		}
		r.short = width <= 2
	case field == fHour:
		r.clock = r.clock || p.name != "HH24"
	}
	if sign == 1 {
		value = -value
	}
	if p.th != "" {
		if len(s) < n+2 || !strings.EqualFold(string(s[n:n+2]), ordinal(s[sign:n], "th")) {
			return 0, false
		}
		n += 2
	}
	return n, r.set(field, value)
}

// near2020 completes a year of fewer than four digits to the one nearest 2020.
func near2020(y int64) int64 {
	switch {
	case y < 70:
		return y + 2000
	case y < 100:
		return y + 1900
	case y < 520:
		return y + 2000
	case y < 1000:
		return y + 1000
	}
	return y
}

// set reports whether the field is not there with another value.
func (r *readTime) set(f timeField, v int64) bool {
	ok := !r.has[f] || r.v[f] == v
	r.v[f], r.has[f] = v, true
	return ok
}

// half reads AM or PM, AD or BC, with or without points as the pattern has them.
func (r *readTime) half(name string, s []byte) (int, bool) {
	n := len(name)
	if len(s) < n {
		return 0, false
	}
	is := func(word string) bool { return strings.EqualFold(string(s[:n]), dotted(word, name)) }
	if strings.ContainsAny(name, "BD") {
		r.bc = is("BC")
		return n, r.bc || is("AD")
	}
	r.clock, r.pm = true, is("PM")
	return n, r.pm || is("AM")
}

func (r *readTime) word(name string, s []byte) (int, bool) {
	list := monthNames
	switch name {
	case "DAY", "DY":
		list = dayNames
	case "RM":
		list = romanMonths
	}
	best, at := 0, -1
	for i, w := range list {
		if name == "MON" || name == "DY" {
			w = w[:3]
		}
		if len(s) >= len(w) && strings.EqualFold(string(s[:len(w)]), w) && len(w) > best {
			best, at = len(w), i
		}
	}
	switch {
	case at < 0:
		return 0, false
	case name == "DAY" || name == "DY":
		r.day = at
		return best, true
	}
	return best, r.set(fMonth, int64(at+1))
}

// zone reads UTC, another abbreviation, or an offset. A zone's name is none: its offset depends on the time.
func (r *readTime) zone(s []byte) (int, bool) {
	n := 0
	for n < len(s) && !blank(s[n]) {
		n++
	}
	name := string(s[:n])
	if seconds, ok := textval.Abbreviation(name); ok {
		r.east = int64(seconds)
		return n, true
	}
	z, err := textval.NewZone(name)
	if err != nil || strings.Contains(name, "/") || !strings.ContainsAny(name, "+-") {
		return 0, false
	}
	r.east = z.Offset(0)
	if s[0] == '+' || s[0] == '-' { // ISO's sign
		r.east = -r.east
	}
	return n, true
}

// settle makes one day and time of day of what was read.
func (r *readTime) settle() (days, us int64, ok bool) {
	if r.has[fZoneHour] || r.has[fZoneMinute] {
		if r.east = r.v[fZoneHour]*3600 + r.v[fZoneMinute]*60; r.minus {
			r.east = -r.east
		}
		if r.v[fZoneHour] > 15 || r.v[fZoneMinute] > 59 {
			return 0, 0, false
		}
	}
	if us, ok = r.time(); !ok {
		return 0, 0, false
	}
	if days, ok = r.date(); !ok {
		return 0, 0, false
	}
	if r.has[fWeekday] && r.v[fWeekday] != isoDow(days)%7+1 || r.day >= 0 && int64(r.day) != isoDow(days)%7 {
		return 0, 0, false // another weekday than the date's
	}
	return days, us, true
}

func (r *readTime) time() (int64, bool) {
	v := &r.v
	if r.has[fDaySeconds] {
		return v[fDaySeconds]*microsPerSecond + v[fMicros], v[fDaySeconds] < 86400 && !r.has[fHour] && !r.has[fMinute] && !r.has[fSecond]
	}
	h := v[fHour]
	if r.clock {
		if r.has[fHour] && (h < 1 || h > 12) {
			return 0, false
		}
		if h %= 12; r.pm {
			h += 12
		}
	}
	return h*microsPerHour + v[fMinute]*microsPerMinute + v[fSecond]*microsPerSecond + v[fMicros], h < 24 && v[fMinute] < 60 && v[fSecond] < 60
}

func (r *readTime) date() (int64, bool) {
	v := &r.v
	switch {
	case r.has[fJulian]:
		return v[fJulian] - 2440588, true
	case r.has[fWeekYear]:
		return r.weekDate()
	}
	y, cc := v[fYear], v[fCentury]
	switch {
	case cc == 0 && r.has[fCentury] && (!r.has[fYear] || r.short):
		return 0, false
	case r.has[fCentury] && !r.has[fYear] && r.bc: // years before Christ count down: 100 to 1
		y = cc * 100
	case r.has[fCentury] && !r.has[fYear]:
		y = (cc-1)*100 + 1
	case r.has[fCentury] && r.short:
		if y %= 100; y != 0 {
			cc--
		}
		y += cc * 100
	}
	if r.bc {
		y = -y
	}
	if y == 0 {
		return 0, false
	}
	if y < 0 {
		y++
	}
	switch n := v[fYearDay]; {
	case r.has[fYearDay]:
		return dayOf(y, 1, 1) + n - 1, n >= 1 && n <= dayOf(y+1, 1, 1)-dayOf(y, 1, 1)
	case r.has[fYearWeek]:
		return dayOf(y, 1, 1) + (v[fYearWeek]-1)*7, v[fYearWeek] >= 1 && v[fYearWeek] <= 53
	}
	m, d := r.orOne(fMonth), r.orOne(fDay)
	if r.has[fMonthWeek] {
		d = (v[fMonthWeek]-1)*7 + 1
	}
	if m < 1 || m > 12 || d < 1 || d > daysInMonth(y, m) {
		return 0, false
	}
	return dayOf(y, m, d), true
}

func (r *readTime) orOne(f timeField) int64 {
	if r.has[f] {
		return r.v[f]
	}
	return 1
}

// weekDate is the day of a year of ISO 8601's weeks.
func (r *readTime) weekDate() (int64, bool) {
	y := r.v[fWeekYear]
	jan4 := dayOf(y, 1, 4)
	monday := jan4 - isoDow(jan4) + 1
	if n := r.v[fWeekYearDay]; r.has[fWeekYearDay] {
		return monday + n - 1, n >= 1 && n <= 371
	}
	week, dow := r.orOne(fISOWeek), r.orOne(fISOWeekday)
	day := monday + (week-1)*7 + dow - 1
	back, _, _ := civil(day - isoDow(day) + 4)
	return day, week >= 1 && dow >= 1 && dow <= 7 && back == y
}
