package objstore

import (
	"bytes"
	"context"
	"io"
	"testing"
	"testing/synctest"
	"time"
)

// slowReader gives so many bytes a second.
type slowReader struct {
	io.Reader
	rate int64
}

func (r *slowReader) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p[:min(len(p), 64<<10)])
	time.Sleep(time.Duration(int64(n) * int64(time.Second) / r.rate))
	return n, err
}

// TestDirect: an object of a store nearby is read in one request, unless its connections are narrow: then by several, from
// where the first one was, and the next objects by several from the start.
func TestDirect(t *testing.T) {
	const size = 64 << 20
	body := numbered(size)
	for _, test := range []struct {
		name     string
		distance time.Duration
		rate     int64
		size     int
		requests [2]int // at least and at most, for two objects
		most     [2]int // under way
	}{
		{"nearby", time.Millisecond, 500e6, size, [2]int{2, 2}, [2]int{1, 1}},
		{"nearby and narrow", time.Millisecond, 50e6, size, [2]int{20, 200}, [2]int{8, 32}},
		{"nearby and small: ahead, as everywhere", time.Millisecond, 500e6, 1 << 20, [2]int{2, 2}, [2]int{2, 2}},
		{"far away", 20 * time.Millisecond, 500e6, size, [2]int{20, 200}, [2]int{8, 64}},
		{"not known how far", 0, 500e6, size, [2]int{14, 200}, [2]int{4, 64}},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &shelf{away: test.distance, rtt: test.distance, rate: test.rate, bodies: [][]byte{body[:test.size], body[:test.size]}}
				rs := NewReaders(s, s.infos(), ReaderOptions{})
				defer rs.Close()
				for i := range s.bodies {
					r := rs.Open(t.Context(), i)
					got, err := io.ReadAll(r)
					if err != nil || !bytes.Equal(got, s.bodies[i]) {
						t.Errorf("object %d: %d bytes, %v", i, len(got), err)
					}
					if err := r.Close(); err != nil {
						t.Error(err)
					}
				}
				if n := len(s.requests); n < test.requests[0] || n > test.requests[1] {
					t.Errorf("%d requests, want %v", n, test.requests)
				}
				if s.most < test.most[0] || s.most > test.most[1] {
					t.Errorf("%d requests at the same time, want %v", s.most, test.most)
				}
			})
		})
	}
}

// TestDirectEnds: a reader that is open when its context or its Readers end has an error, and so has one that is closed.
func TestDirectEnds(t *testing.T) {
	for _, test := range []struct {
		name string
		end  func(cancel context.CancelFunc, rs *Readers, r io.Closer)
	}{
		{"context", func(cancel context.CancelFunc, _ *Readers, _ io.Closer) { cancel() }},
		{"readers", func(_ context.CancelFunc, rs *Readers, _ io.Closer) { rs.Close() }},
		{"reader", func(_ context.CancelFunc, _ *Readers, r io.Closer) { r.Close() }},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := &shelf{away: time.Millisecond, bodies: [][]byte{numbered(32 << 20)}}
			rs := NewReaders(s, s.infos(), ReaderOptions{})
			defer rs.Close()
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			r := rs.Open(ctx, 0)
			defer r.Close()
			test.end(cancel, rs, r)
			if _, err := r.Read(make([]byte, 10)); err == nil || err == io.EOF {
				t.Errorf("read says %v", err)
			}
		})
	}
}

// A reader that would go on with a train when its Readers have been closed makes none: nobody would stop it.
func TestDirectDoesNotGoOnAfterClose(t *testing.T) {
	s := &shelf{away: time.Millisecond, bodies: [][]byte{numbered(32 << 20)}}
	rs := NewReaders(s, s.infos(), ReaderOptions{})
	r := rs.Open(t.Context(), 0).(*directReader)
	defer r.Close()
	rs.Close()
	if _, err := rs.goOn(r.ctx, r.i, 0); err == nil || rs.train != nil {
		t.Errorf("error %v, a train: %t", err, rs.train != nil)
	}
}
