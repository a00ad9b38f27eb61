package objstore

import (
	"context"
	"io"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// line is a link to a store that has one object of zero bytes: so far away, so much for each connection and for all
// together. It counts the requests under way.
type line struct {
	Store
	rtt            time.Duration
	perConn, total float64 // bytes a second

	mu        sync.Mutex
	next      time.Time // that the link is free
	now, most int       // requests under way
	second    int64     // bytes that had passed when there were two
	passed    int64
}

func (l *line) distance() time.Duration { return l.rtt }

func (l *line) ReadRange(_ context.Context, _ Info, _, n int64) (io.ReadCloser, error) {
	l.mu.Lock()
	if l.now++; l.now == 2 && l.second < 0 {
		l.second = l.passed
	}
	l.most = max(l.most, l.now)
	l.mu.Unlock()
	time.Sleep(l.rtt)
	return &lineBody{line: l, left: n}, nil
}

type lineBody struct {
	*line
	left int64
	done bool
}

func (b *lineBody) Read(p []byte) (int, error) {
	if b.left == 0 {
		return 0, io.EOF
	}
	n := int(min(b.left, int64(len(p)), 64<<10))
	seconds := func(rate float64) time.Duration { return time.Duration(float64(n) / rate * float64(time.Second)) }
	b.mu.Lock()
	if now := time.Now(); b.next.Before(now) {
		b.next = now
	}
	b.next = b.next.Add(seconds(b.total))
	wait := max(time.Until(b.next), seconds(b.perConn))
	b.passed += int64(n)
	b.mu.Unlock()
	time.Sleep(wait)
	b.left -= int64(n)
	return n, nil
}

func (b *lineBody) Close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.done {
		b.done = true
		b.now--
	}
	return nil
}

// TestAdapts reads one object as fast as the link lets it, by the link's own clock: within a tenth of what the link gives,
// all that it takes to find out included.
func TestAdapts(t *testing.T) {
	const size = 512 << 20
	for _, test := range []struct {
		name           string
		rtt            time.Duration
		perConn, total float64
		most           [2]int // requests under way, at least and at most
		second         int64  // bytes that pass before there is a second request, at most
	}{
		{"beside the store: one is enough", time.Millisecond, 1e9, 1e9, [2]int{1, 1}, -1},
		{"beside the store, each connection capped", time.Millisecond, 100e6, 1.2e9, [2]int{12, 32}, 5 << 20},
		{"beside the store, each connection narrow", time.Millisecond, 30e6, 450e6, [2]int{15, 32}, 2 << 20},
		{"not far, each connection capped", 5 * time.Millisecond, 100e6, 700e6, [2]int{8, 32}, 0},
		{"far away, each connection capped", 50 * time.Millisecond, 100e6, 600e6, [2]int{12, 64}, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := &line{second: -1, rtt: test.rtt, perConn: test.perConn, total: test.total}
				begin := time.Now()
				r := NewReader(t.Context(), l, Info{Ref: Ref{"b", "o"}, Size: size, ETag: "e"}, ReaderOptions{})
				n, err := io.CopyBuffer(struct{ io.Writer }{io.Discard}, r, make([]byte, 1<<20))
				took := time.Since(begin)
				if cerr := r.Close(); n != size || err != nil || cerr != nil {
					t.Fatalf("%d bytes, %v, %v", n, err, cerr)
				}
				if l.most < test.most[0] || l.most > test.most[1] || l.second > test.second {
					t.Errorf("at most %d requests under way, want %v; a second one after %d bytes, want %d at most", l.most, test.most, l.second, test.second)
				}
				gives := float64(size) / test.total
				if got := gives / took.Seconds(); got < 0.9 {
					t.Errorf("it took %v: %.2f of what the link gives", took, got)
				} else {
					t.Logf("%.2f of what the link gives, %d requests under way, a second one after %d bytes", got, l.most, l.second)
				}
			})
		})
	}
}
