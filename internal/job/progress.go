package job

import (
	"runtime/metrics"
	"time"
)

// Snapshot is how far a run is.
type Snapshot struct {
	Elapsed              time.Duration
	BytesRead, BytesAll  int64 // object bytes
	RowsRead, Rejected   int64
	RowsWritten          int64
	BytesPerSec, RowsSec float64 // over the last moments
	Memory               int64   // bytes the Go runtime holds
	ETA                  time.Duration
}

// tick is how often a snapshot is taken.
const tick = 250 * time.Millisecond

// watch calls Options.Progress until stop, which waits for it to end.
func (j *job) watch(in intakes) (stop func()) {
	if j.opt.Progress == nil {
		return func() {}
	}
	quit, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		t := time.NewTicker(tick)
		defer t.Stop()
		last, lastAt := Snapshot{}, time.Now()
		for {
			select {
			case <-quit:
				return
			case now := <-t.C:
				s := j.snapshot(in)
				// Rates are smoothed: chunks arrive in bursts.
				dt := now.Sub(lastAt).Seconds()
				s.BytesPerSec = 0.7*last.BytesPerSec + 0.3*float64(s.BytesRead-last.BytesRead)/dt
				s.RowsSec = 0.7*last.RowsSec + 0.3*float64(s.RowsRead-last.RowsRead)/dt
				if mean := float64(s.BytesRead) / s.Elapsed.Seconds(); mean > 0 {
					s.ETA = time.Duration(float64(s.BytesAll-s.BytesRead) / mean * float64(time.Second))
				}
				last, lastAt = s, now
				j.opt.Progress(s)
			}
		}
	}()
	return func() { close(quit); <-ended }
}

func (j *job) snapshot(in intakes) Snapshot {
	held := []metrics.Sample{{Name: "/memory/classes/total:bytes"}, {Name: "/memory/classes/heap/released:bytes"}}
	metrics.Read(held)
	return Snapshot{Elapsed: time.Since(j.started), BytesRead: j.progress.Bytes.Load(), BytesAll: in.size(),
		RowsRead: j.progress.RowsRead.Load(), Rejected: j.progress.RowsRejected.Load(), RowsWritten: j.progress.RowsEncoded.Load(),
		Memory: int64(held[0].Value.Uint64() - held[1].Value.Uint64())}
}
