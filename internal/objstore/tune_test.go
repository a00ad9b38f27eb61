package objstore

import (
	"testing"
	"testing/synctest"
	"time"
)

// simulated is a link by its formula: a request of n bytes over one of c connections takes the round trip and its bytes'
// time, or longer if all together would bring more than the link gives.
type simulated struct {
	rtt           time.Duration
	perConn, link float64 // bytes a second; link 0 is no bound
}

func (l simulated) took(n int64, conns int) time.Duration {
	took := l.rtt + time.Duration(float64(n)/l.perConn*float64(time.Second))
	if l.link > 0 {
		took = max(took, time.Duration(float64(n)*float64(conns)/l.link*float64(time.Second)))
	}
	return took
}

// TestTuner runs the tuner over simulated links with a clock of their own, for 20 s of their time.
func TestTuner(t *testing.T) {
	const mib = 1 << 20
	for _, test := range []struct {
		name         string
		link         simulated
		budget, most int64
		object       int64 // bytes of each; 0: larger than any request
		consumer     float64
		conns        [2]int // at the end, at least and at most
		part         [2]int64
		reached      float64 // of what the link gives, or the consumer takes
	}{
		{"beside the store: few large requests", simulated{time.Millisecond, 300e6, 600e6}, 32 * mib, 8 * mib, 0, 1e9,
			[2]int{4, 4}, [2]int64{8 * mib, 8 * mib}, 0.9},
		{"far away: as many as the consumer needs", simulated{50 * time.Millisecond, 100e6, 0}, 32 * mib, 8 * mib, 0, 300e6,
			[2]int{8, 16}, [2]int64{2 * mib, 4 * mib}, 1},
		{"far away and no end of bytes wanted: all the budget in small requests", simulated{50 * time.Millisecond, 100e6, 0}, 32 * mib, 8 * mib, 0, 1e10,
			[2]int{32, 32}, [2]int64{mib, mib}, 0},
		{"a narrow link: no more connections than fill it", simulated{50 * time.Millisecond, 20e6, 200e6}, 32 * mib, 8 * mib, 0, 1e9,
			[2]int{16, 16}, [2]int64{2 * mib, 2 * mib}, 0.9},
		{"thin connections: more of them", simulated{50 * time.Millisecond, 8e6, 200e6}, 32 * mib, 8 * mib, 0, 1e9,
			[2]int{32, 32}, [2]int64{mib, mib}, 0.9},
		{"small objects far away: as many as are allowed", simulated{50 * time.Millisecond, 100e6, 0}, 32 * mib, 8 * mib, 100_000, 1e9,
			[2]int{maxConns, maxConns}, [2]int64{0, 8 * mib}, 0},
		{"small objects beside the store: a few", simulated{time.Millisecond, 300e6, 600e6}, 32 * mib, 8 * mib, 100_000, 1e9,
			[2]int{nearConns, nearConns}, [2]int64{0, 8 * mib}, 0},
		{"little memory, far away", simulated{50 * time.Millisecond, 100e6, 0}, 4 * mib, 1 * mib, 0, 1e9,
			[2]int{16, 16}, [2]int64{256 << 10, 256 << 10}, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				tune := newTuner(test.budget, test.most, time.Now)
				var last float64
				for begin := time.Now(); time.Since(begin) < 20*time.Second; {
					conns, n, part := tune.conns, tune.part, tune.part
					if test.object > 0 {
						n = min(n, test.object)
					}
					if used := int64(conns) * n; used > test.budget && conns > 1 {
						t.Fatalf("%d requests of %d bytes are over the budget of %d", conns, n, test.budget)
					}
					took := test.link.took(n, conns)
					round := took
					if at := time.Duration(float64(n) * float64(conns) / test.consumer * float64(time.Second)); at > round {
						round = at // the consumer is slower, and the requests wait for memory
					}
					last = float64(n) * float64(conns) / round.Seconds()
					for range conns {
						time.Sleep(round / time.Duration(conns))
						tune.waits(max(0, took-time.Duration(float64(n)*float64(conns)/test.consumer*float64(time.Second))) / time.Duration(conns))
						tune.answered(test.link.rtt)
						tune.fetched(n, part, took)
					}
				}
				if tune.conns < test.conns[0] || tune.conns > test.conns[1] || tune.part < test.part[0] || tune.part > test.part[1] {
					t.Errorf("%d requests of %d KiB in the end, want %v of %v bytes", tune.conns, tune.part>>10, test.conns, test.part)
				}
				want := test.reached * test.consumer
				if test.link.link > 0 {
					want = min(want, test.reached*test.link.link)
				}
				if last < want {
					t.Errorf("%.0f MB/s, want %.0f", last/1e6, want/1e6)
				}
			})
		})
	}
}

// TestTunerTakesBack: on a link to which more connections bring nothing, each try is undone, and they become rare.
func TestTunerTakesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tune := newTuner(32<<20, 8<<20, time.Now)
		tries, before := 0, int64(8<<20)
		const requests = 2000
		for range requests {
			wait := time.Duration(float64(tune.part) / 100e6 * float64(time.Second))
			time.Sleep(wait)
			tune.waits(wait)
			tune.answered(time.Millisecond)
			tune.fetched(tune.part, tune.part, 20*time.Millisecond)
			switch {
			case tune.part == before:
			case before == 8<<20 && tune.part == 2<<20: // each gives less than one of S3
				tries++
			case tune.part != 8<<20:
				t.Fatalf("requests of %d bytes became %d", before, tune.part)
			}
			before = tune.part
		}
		if tries < 4 || tries > requests/100 {
			t.Errorf("%d tries in %d requests", tries, requests)
		}
	})
}
