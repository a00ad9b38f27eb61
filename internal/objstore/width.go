package objstore

import (
	"math"
	"runtime/debug"
	"sync"
	"time"
)

const (
	// partsInFlight is what every upload may have under way.
	partsInFlight = 2
	// nearParts is what it begins with beside the store.
	nearParts = 8
	// mostInFlight is what one may have if the link rewards it, while all uploads of a store together hold no more than
	// extraBytes beyond partsInFlight each, or a 32nd of the memory limit.
	mostInFlight = 16
	extraBytes   = (mostInFlight - partsInFlight) * 8 << 20
)

// width finds how many parts of an upload should be under way. Far away it is as many as memory has room for, at once: an
// upload is over before it has learned, and a writer that the link keeps up with has few under way in any case. Beside the
// store it is twice as many, as long as the writer has to wait for them and the rate grows by it. What it learns from one
// upload of a store holds for the next.
type width struct {
	now      func() time.Time
	distance func() time.Duration // to the first byte of an answer; 0 while that is not known

	mu      sync.Mutex
	settled bool  // whether the store is far away
	limit   int   // parts of one upload under way
	extra   int64 // bytes under way beyond partsInFlight of each upload
	most    int64 // of extra
	warm    int   // parts that were begun under the last limit
	begin   time.Time
	parts   int
	bytes   int64
	blocked time.Duration // of the writer in the window
	before  int           // limit before the step that the window is to judge, 0 if there is none
	wanted  float64       // the rate that it has to bring
	hold    int
	next    int
}

func newWidth(now func() time.Time, distance func() time.Duration) *width {
	most := int64(extraBytes)
	if limit := debug.SetMemoryLimit(-1); limit < math.MaxInt64 {
		most = min(most, limit/32)
	}
	return &width{now: now, distance: distance, limit: nearParts, most: most, next: leastHold}
}

// admit says whether an upload that has so many parts under way may begin one of n bytes. One that is beyond
// partsInFlight has to be given back by leave.
func (w *width) admit(under int, n int64) (ok, extra bool) {
	if under < partsInFlight {
		return true, false
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if d := w.distance(); !w.settled && d > 0 {
		if w.settled = true; d >= farAway {
			w.limit = mostInFlight
		}
	}
	if under >= w.limit || w.extra+n > w.most {
		return false, false
	}
	w.extra += n
	return true, true
}

// leave ends an extra part of n bytes.
func (w *width) leave(n int64) {
	w.mu.Lock()
	w.extra -= n
	w.mu.Unlock()
}

// waits takes note of the time that a writer waited to begin a part.
func (w *width) waits(d time.Duration) {
	w.mu.Lock()
	w.blocked += d
	w.mu.Unlock()
}

// sent takes note of a part that arrived, and judges the window if that ends it.
func (w *width) sent(n int64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := w.now()
	if w.begin.IsZero() {
		if w.warm--; w.warm <= 0 {
			w.begin, w.parts, w.bytes, w.blocked = now, 0, 0, 0
		}
		return
	}
	w.parts, w.bytes = w.parts+1, w.bytes+n
	elapsed := now.Sub(w.begin)
	if w.parts < 2*w.limit || elapsed < leastWindow {
		return
	}
	rate, starved := float64(w.bytes)/elapsed.Seconds(), w.blocked > elapsed/8
	w.begin, w.parts, w.bytes, w.blocked = now, 0, 0, 0
	before := w.before
	w.before = 0
	switch {
	case before > 0 && starved && rate < w.wanted:
		w.set(before)
		w.hold, w.next = w.next, min(2*w.next, mostHold)
	case !starved:
	case w.hold > 0:
		w.hold--
	case 2*w.limit <= mostInFlight:
		w.before, w.wanted = w.limit, gain*rate
		w.set(2 * w.limit)
	}
}

func (w *width) set(limit int) {
	w.warm, w.begin = w.limit, time.Time{}
	w.limit = limit
}
