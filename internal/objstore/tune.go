package objstore

import "time"

const (
	// leastPart is what a request begins with, where the budget has room for firstConns of them.
	leastPart  = 1 << 20
	firstConns = 4
	// farAway is a time to the first byte that no server on the same machine or in the same rack takes. S3 takes 10 to 100 ms.
	farAway = 10 * time.Millisecond
	// farConns is how many connections share the budget when the store is far away or its connections are narrow: S3 gives
	// one 80 to 100 MB/s.
	farConns = 16
	// farAhead is what a reader may hold of a store that is far away, in bytes, or a 32nd of the memory limit if that is
	// less: over 50 ms, 100 MB/s a connection and 16 of them, 32 MiB bring half of what they can.
	farAhead = 64 << 20
	// maxConns is the most requests in flight: 96 small objects each 50 ms are more than two cores decode, and every
	// connection has buffers of its own.
	maxConns = 96
	// nearConns is enough for small objects where a round trip costs nothing, and what a store begins with that is neither
	// beside the worker nor far away.
	nearConns = 8
	// leastWindow is the shortest time that says anything about a rate.
	leastWindow = 100 * time.Millisecond
	// gain is what twice the connections have to bring to be kept.
	gain = 1.08
	// leastHold and mostHold are for how many windows nothing is tried after a try that brought nothing.
	leastHold, mostHold = 8, 64
	// calmWindows without waiting make requests larger again.
	calmWindows = 8
)

// tuner divides the budget of a reader among connections: many small requests hide a long way to the store, few large
// ones cost less. The time to the first byte decides where it begins. From there, while the consumer waits, it doubles the
// connections and halves the requests, as long as that makes the rate grow; a step that does not is taken back. Requests
// for objects smaller than that take what memory they need, so that there may be more of them.
type tuner struct {
	budget      int64 // bytes under way and not consumed yet
	far         int64 // what budget may become where the store is far away
	least, most int64 // bytes of a request
	now         func() time.Time
	narrow      bool // one connection was too little for a store nearby

	conns int   // requests in flight
	part  int64 // bytes of each

	asked  int           // requests answered
	rtt    time.Duration // the shortest time to a first byte so far
	unit   int64         // bytes of a request, on average
	took   time.Duration // by a request, on average
	warm   time.Time     // until then, requests of the last setting are still under way
	begin  time.Time     // of the window: the end of a request, since its bytes came before; zero if there is none yet
	bytes  int64         // fetched in it
	waited time.Duration // by the consumer in it

	top    int64   // larger requests than that left the consumer waiting
	before int64   // part before the step that the window is to judge, 0 if there is none
	wanted float64 // the rate that it has to bring
	calm   int     // windows in a row without waiting
	hold   int     // windows to wait before the next try
	next   int     // how many it will be after the next vain one
}

func newTuner(budget, most int64, now func() time.Time) *tuner {
	t := &tuner{budget: budget, most: most, top: most, now: now, next: leastHold}
	t.least = min(most, leastPart, max(budget/32, 128<<10))
	t.part = t.least
	t.conns = int(max(1, min(firstConns, budget/t.part)))
	return t
}

// answered takes note of the time that a request's first byte took.
func (t *tuner) answered(first time.Duration) {
	if t.asked++; t.asked == 1 || first < t.rtt {
		t.rtt = first
	}
	switch {
	case t.asked > firstConns:
	case t.rtt >= farAway:
		t.budget = max(t.budget, t.far)
		t.set(t.budget / farConns)
	case t.narrow:
		t.set(t.budget / farConns)
	case t.rtt >= nearby:
		t.set(t.budget / nearConns)
	default:
		t.set(t.most)
	}
}

// set makes requests of n bytes, or the nearest that is allowed, and as many as the budget has room for.
func (t *tuner) set(n int64) {
	n = min(max(n, t.least), t.most)
	if n != t.part && t.unit > t.part/2 {
		t.unit = 0 // it was what was asked for: it will be again
	}
	t.part = n
	unit := t.part
	if t.unit > 0 {
		unit = min(unit, t.unit)
	}
	most := int64(maxConns)
	if t.rtt < farAway && unit <= t.part/2 {
		most = nearConns
	}
	t.conns = int(max(1, min(t.budget/unit, most)))
	t.warm, t.begin = t.now().Add(t.took), time.Time{}
}

// waits takes note of the time that the consumer waited for a byte.
func (t *tuner) waits(d time.Duration) { t.waited += d }

// fetched takes note of a request of n bytes, made when part was as given, that took so long, and judges the window if that
// ends it.
func (t *tuner) fetched(n, part int64, took time.Duration) {
	if part == t.part {
		if t.unit == 0 {
			t.unit, t.took = n, took
		}
		t.unit, t.took = t.unit+(n-t.unit)/8, t.took+(took-t.took)/8
	}
	now := t.now()
	if t.begin.IsZero() {
		if !now.Before(t.warm) {
			t.begin, t.bytes, t.waited = now, 0, 0
		}
		return
	}
	t.bytes += n
	elapsed := now.Sub(t.begin)
	if elapsed < max(leastWindow, 2*t.took) {
		return
	}
	rate, starved := float64(t.bytes)/elapsed.Seconds(), t.waited > elapsed/8
	t.begin, t.bytes, t.waited = now, 0, 0
	t.decide(rate, starved)
}

func (t *tuner) decide(rate float64, starved bool) {
	before := t.before
	t.before = 0
	if before > 0 && starved && rate < t.wanted {
		t.set(before)
		t.hold, t.next = t.next, min(2*t.next, mostHold)
		return
	}
	if before > 0 {
		t.top = t.part
	}
	if t.unit <= t.part/2 { // small objects: there is only the number to settle, by what they turn out to take
		t.set(t.part)
		return
	}
	if !starved {
		if t.calm++; t.calm >= calmWindows && 2*t.part <= t.top {
			t.calm = 0
			t.set(2 * t.part)
		}
		return
	}
	t.calm = 0
	if t.hold > 0 {
		t.hold--
		return
	}
	if t.part/2 >= t.least && t.conns < maxConns {
		t.before, t.wanted = t.part, gain*rate
		next := t.part / 2
		if rate < narrow*float64(t.conns) {
			next = min(next, max(t.budget/farConns, t.least))
		}
		t.set(next)
	}
}
