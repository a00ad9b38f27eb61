package textval

import (
	"fmt"
	"math"
	"time"
)

// Layout reads dates, times and timestamps. It is safe for concurrent use.
type Layout struct {
	prog []directive // nil = ISO
	fast bool        // the 19 bytes YYYY-MM-DD HH:MM:SS mean the same in prog
	zone zone
}

// NewLayout compiles a strftime format ("" = ISO 8601 / PostgreSQL forms: 2026-11-22, 2026-11-22 13:04:05.123456, T for the space,
// optional offset Z, UTC, +02, +02:00, +0200) with the IANA zone that timestamps without offset are in ("" = UTC). Directives: %Y %y %m %d %e %j %b %B %a %A
// %H %I %p %M %S %f (1–9 digits) %z %Z(UTC, GMT, Z) %s %T %F %D %R %% and literals. A format without a day (%Y-%m) means the first one.
func NewLayout(strftime, tz string) (*Layout, error) {
	l := &Layout{}
	if tz != "" && tz != "UTC" {
		loc, err := time.LoadLocation(tz)
		if err != nil || tz == "Local" {
			return nil, fmt.Errorf("unknown time zone %q: use an IANA name such as Europe/Berlin", tz)
		}
		l.zone.loc = loc
	}
	if strftime != "" {
		prog, err := compile(strftime)
		if err != nil {
			return nil, fmt.Errorf("format %q: %w", strftime, err)
		}
		l.prog = prog
		l.fast = strftime == "%Y-%m-%d %H:%M:%S" || strftime == "%F %T"
	}
	return l, nil
}

func (l *Layout) scan(b []byte) (clock, bool) {
	if l.prog == nil {
		return scanISO(b)
	}
	return match(l.prog, b)
}

// Fixed reports whether every text of 19 bytes that the function Fixed takes means the same here, those with a T in the middle only if t: as a
// local time, and as an instant if the layout's zone is UTC.
func (l *Layout) Fixed(instant bool) (ok, t bool) {
	return (l.prog == nil || l.fast) && !(instant && l.zone.loc != nil), l.prog == nil
}

// isFast reports whether b may be taken by Fixed.
func (l *Layout) isFast(b []byte) bool {
	return len(b) == 19 && (l.prog == nil || l.fast && b[10] == ' ')
}

// Date reads days since 1970-01-01. A time part is refused unless it is midnight.
func (l *Layout) Date(b []byte) (days int32, ok bool) {
	if l.prog == nil && len(b) == 10 {
		if d, ok := fastDate(b); ok {
			return int32(d), true
		}
	}
	c, ok := l.scan(b)
	if !ok || !c.hasDate || c.us != 0 || c.offset != 0 {
		return 0, false
	}
	d := c.days()
	if d > math.MaxInt32 || d < math.MinInt32 {
		return 0, false
	}
	return int32(d), true
}

// Micros reads a local timestamp as µs since 1970-01-01 00:00:00 of its own clock. An offset in the text is refused (ok false)
// unless it is UTC: dropping it would change the value. More than 6 fraction digits are refused unless zero.
func (l *Layout) Micros(b []byte) (us int64, ok bool) {
	if l.isFast(b) {
		if us, ok := Fixed(b); ok {
			return us, true
		}
	}
	c, ok := l.scan(b)
	if !ok || !c.hasDate || c.offset != 0 {
		return 0, false
	}
	return c.micros()
}

// Instant reads a timestamptz as µs since the epoch: the offset in the text, else the layout's zone. A local time that the zone skips
// or has twice is refused.
func (l *Layout) Instant(b []byte) (us int64, ok bool) {
	if l.zone.loc == nil && l.isFast(b) {
		if us, ok := Fixed(b); ok {
			return us, true
		}
	}
	c, ok := l.scan(b)
	if !ok || !c.hasDate {
		return 0, false
	}
	us, ok = c.micros()
	if !ok {
		return 0, false
	}
	if c.hasOffset {
		return us - int64(c.offset)*usPerSecond, true
	}
	return l.zone.instant(us)
}

// HasOffset reports whether b is a timestamp that states its own offset from UTC: what tells timestamptz from timestamp.
func (l *Layout) HasOffset(b []byte) bool {
	c, ok := l.scan(b)
	return ok && c.hasOffset
}

// TimeOfDay reads µs since midnight. Text with a date is refused: dropping it would change the value.
func (l *Layout) TimeOfDay(b []byte) (us int64, ok bool) {
	if l.prog == nil {
		var c clock
		rest, ok := scanTime(b, &c)
		return c.us, ok && len(rest) == 0
	}
	c, ok := match(l.prog, b)
	if !ok || !c.hasTime || c.hasDate || c.hasOffset {
		return 0, false
	}
	return c.us, true
}
