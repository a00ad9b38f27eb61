package objstore

import (
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// TestWidth sends 8 MiB parts over a link for a minute of its time, as one upload that never has to wait for the encoder.
func TestWidth(t *testing.T) {
	for _, test := range []struct {
		name          string
		rtt           time.Duration
		perConn, link float64 // bytes a second
		memory        int64   // for parts beyond two; 0 is as it comes
		encoder       float64 // bytes a second that there are to send
		limit         int     // in the end
		under         int     // parts under way, at most
	}{
		{"beside the store, where two fill the link: no more in the end", time.Millisecond, 300e6, 400e6, 0, 1e9, nearParts, mostInFlight},
		{"far away: as many as there may be", 100 * time.Millisecond, 50e6, 1e9, 0, 1e9, mostInFlight, mostInFlight},
		{"beside the store, each connection narrow", time.Millisecond, 20e6, 400e6, 0, 1e9, mostInFlight, mostInFlight},
		{"far away, and the encoder is slower than two", 100 * time.Millisecond, 50e6, 1e9, 0, 20e6, nearParts, 2},
		{"far away with little memory", 100 * time.Millisecond, 50e6, 1e9, 9 << 20, 1e9, mostInFlight, 3},
		{"far away with none", 100 * time.Millisecond, 50e6, 1e9, 1, 1e9, mostInFlight, 2},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				const size = 8 << 20
				w := newWidth(time.Now, func() time.Duration { return test.rtt })
				w.most = extraBytes
				if test.memory > 0 {
					w.most = test.memory
				}
				var under atomic.Int64
				var most int64
				done := make(chan struct{}, mostInFlight)
				for begin := time.Now(); time.Since(begin) < time.Minute; {
					time.Sleep(time.Duration(size / test.encoder * float64(time.Second)))
					stopped := time.Now()
					ok, extra := w.admit(int(under.Load()), size)
					for ; !ok; ok, extra = w.admit(int(under.Load()), size) {
						<-done
					}
					w.waits(time.Since(stopped))
					n := under.Add(1)
					most = max(most, n)
					go func() {
						rate := min(test.perConn, test.link/float64(n))
						time.Sleep(test.rtt + time.Duration(size/rate*float64(time.Second)))
						if extra {
							w.leave(size)
						}
						under.Add(-1)
						w.sent(size)
						select {
						case done <- struct{}{}:
						default:
						}
					}()
				}
				time.Sleep(time.Minute)
				w.mu.Lock()
				defer w.mu.Unlock()
				if w.limit != test.limit && !(test.limit == mostInFlight && w.limit >= mostInFlight/2) || most > int64(test.under) {
					t.Errorf("limit %d, at most %d parts under way, want %d and %d", w.limit, most, test.limit, test.under)
				}
				if w.extra != 0 {
					t.Errorf("%d bytes of extra parts are left", w.extra)
				}
			})
		})
	}
}
