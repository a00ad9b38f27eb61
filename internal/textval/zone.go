package textval

import (
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Zone turns instants into the local times of a time zone and back. It is safe for concurrent use.
type Zone struct {
	zone zone
	at   atomic.Pointer[stretch] // of instants, as zone.last is of local times
}

// zones are the named zones in use: there are some 600 names.
var zones sync.Map

// abbreviations are those of PostgreSQL's default set that mean one offset, in hours. Some are IANA names, too, of zones that have had
// other offsets.
var abbreviations = map[string]int{"UTC": 0, "UCT": 0, "UT": 0, "GMT": 0, "ZULU": 0, "Z": 0, "EST": -5, "EDT": -4, "CST": -6, "CDT": -5, "MST": -7, "MDT": -6, "PST": -8, "PDT": -7,
	"AKST": -9, "AKDT": -8, "HST": -10, "BST": 1, "WET": 0, "WEST": 1, "CET": 1, "CEST": 2, "MET": 1, "MEST": 2, "EET": 2, "EEST": 3, "MSK": 3, "JST": 9, "KST": 9, "AEST": 10, "AEDT": 11,
	"NZST": 12, "NZDT": 13}

// Abbreviation is the offset that an abbreviation such as CET or pst stands for all year, in seconds to the east.
func Abbreviation(name string) (seconds int, ok bool) {
	h, ok := abbreviations[strings.ToUpper(name)]
	return h * 3600, ok
}

// NewZone finds a zone by an abbreviation such as PST or CEST, its IANA name, or an offset as AT TIME ZONE takes it: [name]±hh[:mm],
// where + is west of Greenwich (POSIX, and PostgreSQL's rule).
func NewZone(name string) (*Zone, error) {
	if z, ok := zones.Load(name); ok {
		return z.(*Zone), nil
	}
	if seconds, ok := Abbreviation(name); ok { // before IANA's names, as in PostgreSQL: CET has no summer time
		return FixedZone(seconds), nil
	}
	if loc, err := time.LoadLocation(name); err == nil && name != "" && name != "Local" {
		z, _ := zones.LoadOrStore(name, &Zone{zone: zone{loc: loc}})
		return z.(*Zone), nil
	}
	if i := strings.IndexAny(name, "+-"); i >= 0 && strings.Trim(strings.ToUpper(name[:i]), "ABCDEFGHIJKLMNOPQRSTUVWXYZ") == "" {
		offset := name[i:]
		if len(offset) == 2 || len(offset) > 2 && offset[2] == ':' {
			offset = offset[:1] + "0" + offset[1:] // one digit will do for the hours
		}
		if n, seconds := scanOffset([]byte(offset)); n == len(offset) {
			return FixedZone(-seconds), nil
		}
	}
	return nil, fmt.Errorf("unknown time zone %q: use an IANA name such as Europe/Berlin", name)
}

// FixedZone is a zone that is always so many seconds east of UTC.
func FixedZone(seconds int) *Zone {
	return &Zone{zone: zone{loc: time.FixedZone("", seconds)}}
}

// Local is the zone's local time at an instant, false outside int64.
func (z *Zone) Local(us int64) (int64, bool) {
	offset := z.Offset(us) * usPerSecond
	local := us + offset
	return local, (us^local)&(offset^local) >= 0
}

// Offset is the zone's distance from UTC at an instant, in seconds to the east.
func (z *Zone) Offset(us int64) int64 {
	sec := us / usPerSecond
	if us%usPerSecond < 0 {
		sec--
	}
	s := z.at.Load()
	if s == nil || sec < s.from || sec >= s.to {
		s = z.period(sec)
		z.at.Store(s)
	}
	return s.offset
}

func (z *Zone) period(sec int64) *stretch {
	t := time.Unix(sec, 0).In(z.zone.loc)
	_, o := t.Zone()
	s := &stretch{from: farPast, to: farFuture, offset: int64(o)}
	start, stop := bounds(t)
	if !start.IsZero() {
		s.from = start.Unix()
	}
	if !stop.IsZero() {
		s.to = stop.Unix()
	}
	return s
}

// Instant is when the zone's clocks show us, false outside int64. As in PostgreSQL, a time that they skip is read with the offset before the
// change (so it comes out later by what was skipped), and one that they show twice is the second.
func (z *Zone) Instant(us int64) (int64, bool) {
	out, ok := z.zone.instant(us)
	if !ok {
		sec := us / usPerSecond
		if us%usPerSecond < 0 {
			sec--
		}
		out = us - z.zone.resolve(sec)*usPerSecond
	}
	return out, us < 1<<62 && us > -1<<62 || (us < 0) == (out < 0)
}

// resolve is the offset that a local time is taken to have.
func (z *zone) resolve(sec int64) int64 {
	t := time.Unix(sec-86_400, 0).In(z.loc)
	for {
		_, before := t.Zone()
		_, stop := bounds(t)
		if stop.IsZero() {
			return int64(before)
		}
		_, after := stop.Zone()
		a, b, change := int64(before), int64(after), stop.Unix()
		switch {
		case sec < change+min(a, b):
			return a
		case sec < change+max(a, b) && a < b: // skipped
			return a
		case sec < change+max(a, b):
			return b
		}
		t = stop
	}
}

// zone turns local times into instants. It remembers the last stretch without a change of offset: most data stays in one.
type zone struct {
	loc  *time.Location // nil = UTC
	last atomic.Pointer[stretch]
}

// stretch is a run of local seconds [from, to) that are each exactly one instant, all at one offset.
type stretch struct{ from, to, offset int64 }

// instant is the only instant whose local time is us, false if there is none or two.
func (z *zone) instant(us int64) (int64, bool) {
	if z.loc == nil {
		return us, true
	}
	sec, frac := us/usPerSecond, us%usPerSecond
	if frac < 0 {
		sec, frac = sec-1, frac+usPerSecond
	}
	s := z.last.Load()
	if s == nil || sec < s.from || sec >= s.to {
		var ok bool
		if s, ok = z.find(sec); !ok {
			return 0, false
		}
		z.last.Store(s)
	}
	return (sec-s.offset)*usPerSecond + frac, true
}

// farPast and farFuture stand for a zone's missing first start and last end; any µs timestamp in seconds lies between.
const (
	farPast   = -1 << 60
	farFuture = 1 << 60
)

// find looks through the offsets in force around sec for the stretch it is in.
func (z *zone) find(sec int64) (*stretch, bool) {
	// offsets are less than a day, so the instant lies within a day of the same number read as UTC
	t := time.Unix(sec-86_400, 0).In(z.loc)
	var in *stretch
	for {
		s, end := z.around(t)
		if sec >= s.from && sec < s.to {
			in = s
		}
		if end >= sec+86_400 {
			return in, in != nil
		}
		t = time.Unix(end, 0).In(z.loc)
	}
}

// around is the safe stretch of the zone period that t is in, and the instant in seconds at which that period ends.
func (z *zone) around(t time.Time) (*stretch, int64) {
	_, o := t.Zone()
	off := int64(o)
	s := &stretch{from: farPast, to: farFuture, offset: off}
	end := int64(farFuture)
	start, stop := bounds(t)
	if !start.IsZero() {
		_, before := start.Add(-time.Second).Zone()
		s.from = start.Unix() + max(off, int64(before))
	}
	if !stop.IsZero() {
		_, after := stop.Zone()
		end = stop.Unix()
		s.to = end + min(off, int64(after))
	}
	return s, end
}

// bounds is t.ZoneBounds, whose end on the last day of leap years behind the zone's table (2040-12-31) is not after t (Go 1.26): there
// the next day will do, as it is of the same period or the start of the next.
func bounds(t time.Time) (start, stop time.Time) {
	start, stop = t.ZoneBounds()
	if !stop.IsZero() && !stop.After(t) {
		stop = t.Add(24 * time.Hour)
	}
	return start, stop
}
