package textval

import (
	"sync/atomic"
	"time"
)

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
	start, stop := t.ZoneBounds()
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
