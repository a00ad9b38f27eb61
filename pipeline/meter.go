package pipeline

import (
	"sync/atomic"
	"time"
)

// Meter adds up the time of one stage of the flow, over all goroutines that do it: busy with its own work, or waiting for the
// stage before it or behind it. Its methods may be called from any goroutine.
type Meter struct{ busy, wait atomic.Int64 }

// Busy books time spent at work.
func (m *Meter) Busy(d time.Duration) { m.busy.Add(int64(d)) }

// Wait books time spent waiting.
func (m *Meter) Wait(d time.Duration) { m.wait.Add(int64(d)) }

// Times is what was booked so far.
func (m *Meter) Times() (busy, wait time.Duration) {
	return time.Duration(m.busy.Load()), time.Duration(m.wait.Load())
}

// Within books the time of f as busy, less what f itself booked as waited: on this meter, and from this goroutine alone.
func (m *Meter) Within(f func()) {
	start, waited := time.Now(), m.wait.Load()
	f()
	m.Busy(time.Since(start) - time.Duration(m.wait.Load()-waited))
}

// Stages are the meters of the flow, in its order. Of two folds in a plan, what they do is added up.
type Stages struct {
	Read       Meter // bytes of an object that were not there yet when they were asked for
	Decompress Meter
	Cut        Meter // into chunks at record ends
	Decode     Meter // on the lanes, as are the steps
	Steps      Meter // filter, derive …, and folding into groups
	Drain      Meter // lanes' groups into one, and out again
	Encode     Meter
	Upload     Meter // the sink taking encoded blocks, in order
	Commit     Meter
}
