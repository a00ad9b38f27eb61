package expr

import (
	"bytes"
	"math"
	"slices"
	"strconv"

	"github.com/sluice-data/sluice/internal/textval"
)

// interval is a value of kInterval: PostgreSQL's three counts, none of which is carried over into another.
type interval struct {
	months, days int32
	micros       int64
}

func (v interval) negate() (interval, bool) {
	return interval{-v.months, -v.days, -v.micros}, v.months != math.MinInt32 && v.days != math.MinInt32 && v.micros != math.MinInt64
}

// order is what intervals are compared by, as in PostgreSQL: a month has 30 days and a day 24 hours.
func (v interval) order() (days, micros int64) {
	return int64(v.months)*30 + int64(v.days) + floorDiv(v.micros, microsPerDay), floorMod(v.micros, microsPerDay)
}

func intervalNode(v interval) *constNode {
	c := &constNode{v: &vector{typ: simple(kInterval), n: 1, konst: true, data: make([]byte, 16)}}
	values[interval](c.v)[0] = v
	return c
}

// intervalFields are the fields of an interval that a text may have once each, as the interval of one of each.
var intervalFields = []interval{{micros: 1}, {micros: 1000}, {micros: microsPerSecond}, {micros: microsPerMinute}, {micros: microsPerHour}, {days: 1}, {days: 7},
	{months: 1}, {months: 3}, {months: 12}, {months: 120}, {months: 1200}, {months: 12000}}

// intervalUnits are PostgreSQL's names (and DuckDB's quarter): months, days or µs each.
var intervalUnits = func() map[string]interval {
	units := map[string]interval{}
	for _, u := range []struct {
		names []string
		value interval
	}{
		{[]string{"microsecond", "us", "usec"}, interval{micros: 1}}, {[]string{"millisecond", "ms", "msec"}, interval{micros: 1000}},
		{[]string{"second", "sec", "s"}, interval{micros: microsPerSecond}}, {[]string{"minute", "min", "m"}, interval{micros: microsPerMinute}},
		{[]string{"hour", "hr", "h"}, interval{micros: microsPerHour}}, {[]string{"day", "d"}, interval{days: 1}}, {[]string{"week", "w"}, interval{days: 7}},
		{[]string{"month", "mon"}, interval{months: 1}}, {[]string{"quarter", "qtr"}, interval{months: 3}}, {[]string{"year", "yr", "y"}, interval{months: 12}},
		{[]string{"decade", "dec"}, interval{months: 120}}, {[]string{"century", "cent", "c"}, interval{months: 1200}}, {[]string{"millennium", "mil"}, interval{months: 12000}},
	} {
		for _, n := range u.names {
			units[n] = u.value
			if len(n) > 1 {
				units[n+"s"] = u.value
			}
		}
	}
	units["centuries"], units["millennia"] = units["century"], units["millennium"]
	return units
}()

// intervalSum adds up an interval's parts.
type intervalSum struct{ months, days, micros int64 }

// add takes whole and millionths of a unit. What a fraction comes to goes down to days and µs, as in PostgreSQL; false if that is
// not exact, or too much.
func (s *intervalSum) add(whole, millionths int64, unit interval) bool {
	const million = 1e6
	ok := true
	plus := func(sum *int64, a, b int64) {
		p := a * b
		if a != 0 && (p/a != b || a == -1 && b == math.MinInt64) || (*sum > 0) == (p > 0) && (*sum+p > 0) != (p > 0) && p != 0 && *sum != 0 {
			ok = false
		}
		*sum += p
	}
	plus(&s.months, whole, int64(unit.months))
	plus(&s.days, whole, int64(unit.days))
	plus(&s.micros, whole, unit.micros)
	days := millionths * int64(unit.days) // millionths
	switch months := millionths * int64(unit.months); {
	case unit.months > 1: // years and more: whole months only
		ok = ok && months%million == 0
		s.months += months / million
	case unit.months == 1:
		days = millionths * 30
	}
	s.days += days / million
	plus(&s.micros, days%million, microsPerDay/million)
	if micros := millionths * unit.micros; unit.micros < 1<<42 {
		ok = ok && micros%million == 0
		plus(&s.micros, micros/million, 1)
	}
	return ok
}

func (s intervalSum) interval() (interval, bool) {
	v := interval{int32(s.months), int32(s.days), s.micros}
	return v, int64(v.months) == s.months && int64(v.days) == s.days
}

// parseInterval reads PostgreSQL's forms: '1 year 2 mons -3 days 04:05:06.7', '1-2' (years and months), '3 04:05' (days and time), '90' (seconds),
// '@ 1 day ago', and ISO 8601's P1Y2M3DT4H5M6S. What would have to be rounded is refused.
func parseInterval(b []byte) (interval, bool) {
	b = trimSpace(b)
	if len(b) > 0 && (b[0] == 'P' || b[0] == 'p') {
		return parseISOInterval(b[1:])
	}
	p := intervalText{b: b}
	var sum intervalSum
	ago, parts := false, 0
	for p.space(); len(p.b) > 0; p.space() {
		if p.b[0] == '@' && parts == 0 {
			p.b = p.b[1:]
			continue
		}
		if parts > 0 && bytes.EqualFold(p.b, []byte("ago")) { // b has no spaces at its end
			ago = true
			break
		}
		if !p.part(&sum) {
			return interval{}, false
		}
		parts++
	}
	v, ok := sum.interval()
	if ago && ok {
		v, ok = v.negate()
	}
	return v, ok && parts > 0
}

// intervalText is what is left of an interval's text.
type intervalText struct {
	b    []byte
	seen uint // the fields so far, a bit each
}

// field takes whole and millionths of a unit, and false where the text has had that field: as in PostgreSQL 1 day 1 day is a mistake.
// A fraction of a second is in milliseconds and µs, too.
func (p *intervalText) field(sum *intervalSum, whole, millionths int64, unit interval) bool {
	fields := uint(1) << slices.Index(intervalFields, unit)
	if unit.micros == microsPerSecond && millionths != 0 {
		fields |= fractionsOfSeconds
	}
	return p.first(fields) && sum.add(whole, millionths, unit)
}

func (p *intervalText) first(fields uint) bool {
	ok := p.seen&fields == 0
	p.seen |= fields
	return ok
}

// Fields of intervalFields that a part may have beside its own.
const (
	fractionsOfSeconds = 1<<0 | 1<<1
	fieldsOfClock      = 1<<5 - 1
	fieldOfMonths      = 1 << 7
)

func (p *intervalText) space() {
	for len(p.b) > 0 && (p.b[0] == ' ' || p.b[0] >= '\t' && p.b[0] <= '\r') {
		p.b = p.b[1:]
	}
}

func (p *intervalText) word() string {
	n := 0
	for n < len(p.b) && (p.b[n]|0x20 >= 'a' && p.b[n]|0x20 <= 'z') {
		n++
	}
	w := lowerASCII(p.b[:n])
	p.b = p.b[n:]
	return w
}

func lowerASCII(b []byte) string {
	out := make([]byte, len(b))
	for i, c := range b {
		if c >= 'A' && c <= 'Z' {
			c |= 0x20
		}
		out[i] = c
	}
	return string(out)
}

// number takes [+-]digits[.digits], at most 12 before the point; the places behind the sixth must be zero.
func (p *intervalText) number() (whole, millionths int64, negative, ok bool) {
	n := 0
	if n < len(p.b) && (p.b[n] == '-' || p.b[n] == '+') {
		negative = p.b[n] == '-'
		n++
	}
	from := n
	for n < len(p.b) && isDigit(p.b[n]) || n < len(p.b) && p.b[n] == '.' {
		n++
	}
	v, exact := textval.Decimal(p.b[from:n], 18, 6)
	if !exact || n == from {
		return 0, 0, false, false
	}
	p.b = p.b[n:]
	whole, millionths = int64(v.LowBits())/1e6, int64(v.LowBits())%1e6
	if negative {
		whole, millionths = -whole, -millionths
	}
	return whole, millionths, negative, true
}

// part takes one number with its unit, a time of day, or years-months.
func (p *intervalText) part(sum *intervalSum) bool {
	whole, frac, negative, ok := p.number()
	if !ok {
		return false
	}
	switch {
	case len(p.b) > 0 && p.b[0] == ':' && frac == 0:
		return p.clock(sum, whole, negative)
	case len(p.b) > 1 && p.b[0] == '-' && isDigit(p.b[1]) && frac == 0:
		p.b = p.b[1:]
		months, frac, _, ok := p.number()
		if negative {
			months = -months
		}
		return ok && frac == 0 && months > -12 && months < 12 && p.first(fieldOfMonths) && sum.add(whole, 0, interval{months: 12}) && sum.add(months, 0, interval{months: 1})
	}
	p.space()
	if len(p.b) == 0 {
		return p.field(sum, whole, frac, interval{micros: microsPerSecond})
	}
	if c := p.b[0]; isDigit(c) || c == '-' || c == '+' { // days before a time of day
		q := *p
		if _, _, _, ok := q.number(); ok && len(q.b) > 0 && q.b[0] == ':' {
			return p.field(sum, whole, frac, interval{days: 1})
		}
		return false
	}
	unit, ok := intervalUnits[p.word()]
	return ok && p.field(sum, whole, frac, unit)
}

// clock takes :mm[:ss[.ffffff]] behind the hours.
func (p *intervalText) clock(sum *intervalSum, hours int64, negative bool) bool {
	if !p.first(fieldsOfClock) {
		return false
	}
	us, sign := int64(0), int64(1)
	if negative {
		sign = -1
	}
	for _, unit := range []int64{microsPerMinute, microsPerSecond} {
		if len(p.b) == 0 || p.b[0] != ':' {
			break
		}
		p.b = p.b[1:]
		if len(p.b) == 0 || !isDigit(p.b[0]) {
			return false
		}
		v, frac, _, ok := p.number()
		if !ok || v >= 60 || frac != 0 && unit != microsPerSecond {
			return false
		}
		us += v*unit + frac
	}
	return sum.add(hours, 0, interval{micros: microsPerHour}) && sum.add(sign*us, 0, interval{micros: 1})
}

func parseISOInterval(b []byte) (interval, bool) {
	p := intervalText{b: b}
	var sum intervalSum
	clock, parts := false, 0
	for len(p.b) > 0 {
		if !clock && (p.b[0] == 'T' || p.b[0] == 't') {
			clock, p.b = true, p.b[1:]
			continue
		}
		whole, frac, _, ok := p.number()
		if !ok || len(p.b) == 0 {
			return interval{}, false
		}
		unit := interval{}
		switch c := p.b[0] &^ 0x20; {
		case c == 'Y' && !clock:
			unit.months = 12
		case c == 'M' && !clock:
			unit.months = 1
		case c == 'W' && !clock:
			unit.days = 7
		case c == 'D' && !clock:
			unit.days = 1
		case c == 'H' && clock:
			unit.micros = microsPerHour
		case c == 'M' && clock:
			unit.micros = microsPerMinute
		case c == 'S' && clock:
			unit.micros = microsPerSecond
		default:
			return interval{}, false
		}
		p.b = p.b[1:]
		if !sum.add(whole, frac, unit) {
			return interval{}, false
		}
		parts++
	}
	v, ok := sum.interval()
	return v, ok && parts > 0
}

// appendInterval prints v as PostgreSQL does: 1 year 2 mons -3 days +04:05:06.7.
func appendInterval(dst []byte, v interval) []byte {
	start, before := len(dst), false
	for _, p := range []struct {
		n    int32
		unit string
	}{{v.months / 12, " year"}, {v.months % 12, " mon"}, {v.days, " day"}} {
		if p.n == 0 {
			continue
		}
		if len(dst) > start {
			dst = append(dst, ' ')
		}
		if before && p.n > 0 {
			dst = append(dst, '+')
		}
		before = p.n < 0
		dst = append(strconv.AppendInt(dst, int64(p.n), 10), p.unit...)
		if p.n != 1 {
			dst = append(dst, 's')
		}
	}
	if v.micros == 0 && len(dst) > start {
		return dst
	}
	if len(dst) > start {
		dst = append(dst, ' ')
	}
	us := uint64(v.micros)
	switch {
	case v.micros < 0:
		dst, us = append(dst, '-'), -us
	case before:
		dst = append(dst, '+')
	}
	hours, rest := us/microsPerHour, int64(us%microsPerHour)
	if hours < 10 {
		dst = append(dst, '0')
	}
	dst = strconv.AppendUint(dst, hours, 10)
	at := len(dst)
	dst = textval.AppendTime(dst, rest) // 00:mm:ss.ffffff, of which the hours go
	return append(dst[:at], dst[at+2:]...)
}
