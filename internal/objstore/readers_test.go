package objstore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"github.com/sluice-data/sluice/internal/fail"
)

// shelf is a store of many objects in memory. Each request takes rtt.
type shelf struct {
	Store
	bodies [][]byte
	rtt    time.Duration
	rate   int64         // bytes a second of a connection; 0 is no bound
	away   time.Duration // what distance says
	fail   func(obj int) error

	mu        sync.Mutex
	requests  []string // "object from-to"
	now, most int      // requests under way
}

func (s *shelf) infos() []Info {
	var out []Info
	for i, b := range s.bodies {
		out = append(out, Info{Ref: Ref{"b", fmt.Sprint(i)}, Size: int64(len(b)), ETag: "e"})
	}
	return out
}

func (s *shelf) ReadRange(ctx context.Context, info Info, off, n int64) (io.ReadCloser, error) {
	var obj int
	fmt.Sscan(info.Key, &obj)
	s.mu.Lock()
	s.requests = append(s.requests, fmt.Sprintf("%d %d-%d", obj, off, off+n))
	s.now++
	s.most = max(s.most, s.now)
	s.mu.Unlock()
	done := func() {
		s.mu.Lock()
		s.now--
		s.mu.Unlock()
	}
	if !sleep(ctx, s.rtt) {
		done()
		return nil, ctx.Err()
	}
	if s.fail != nil {
		if err := s.fail(obj); err != nil {
			done()
			return nil, err
		}
	}
	var body io.Reader = bytes.NewReader(s.bodies[obj][off : off+n])
	if s.rate > 0 {
		body = &slowReader{body, s.rate}
	}
	return &memBody{Reader: body, close: sync.OnceFunc(done)}, nil
}

func (s *shelf) distance() time.Duration { return s.away }

// TestReadersAreTheObjects: whatever the sizes, the known heads, and where a reader is closed or opened again, each gives
// its object's bytes, and all that is held stays within the budget.
func TestReadersAreTheObjects(t *testing.T) {
	defer goleak.VerifyNone(t)
	rapid.Check(t, func(t *rapid.T) {
		s := &shelf{away: rapid.SampledFrom([]time.Duration{0, time.Millisecond, time.Second}).Draw(t, "distance")}
		for _, n := range rapid.SliceOfN(rapid.IntRange(0, 3000), 1, 12).Draw(t, "sizes") {
			s.bodies = append(s.bodies, numbered(n))
		}
		opt := ReaderOptions{PartSize: rapid.Int64Range(1, 2000).Draw(t, "part size"), Parts: rapid.IntRange(1, 8).Draw(t, "parts")}
		rs := NewReaders(s, s.infos(), opt)
		defer rs.Close()
		if rapid.Bool().Draw(t, "head") {
			i := rapid.IntRange(0, len(s.bodies)-1).Draw(t, "head of")
			rs.SetHead(i, s.bodies[i][:rapid.IntRange(0, len(s.bodies[i])).Draw(t, "head bytes")])
		}
		for i := 0; i < len(s.bodies); i++ {
			r := rs.Open(t.Context(), i)
			want := s.bodies[i]
			if cut := rapid.IntRange(-1, len(want)).Draw(t, "read until"); cut >= 0 {
				got := make([]byte, cut)
				if _, err := io.ReadFull(r, got); err != nil || !bytes.Equal(got, want[:cut]) {
					t.Fatalf("object %d: its first %d bytes: %v", i, cut, err)
				}
			} else if got, err := io.ReadAll(r); err != nil || !bytes.Equal(got, want) {
				t.Fatalf("object %d: %d bytes of %d, %v", i, len(got), len(want), err)
			}
			if err := r.Close(); err != nil {
				t.Fatal(err)
			}
			if held := rs.held(); held > opt.PartSize*int64(opt.Parts) {
				t.Fatalf("%d bytes are held, %d × %d is the bound", held, opt.Parts, opt.PartSize)
			}
			if i > 0 && rapid.IntRange(0, 9).Draw(t, "again") == 0 {
				i-- // as a second pass over the inputs does
			}
		}
	})
}

// held is what the buffers of the train take.
func (r *Readers) held() int64 {
	if r.train == nil {
		return 0
	}
	r.train.mu.Lock()
	defer r.train.mu.Unlock()
	return r.train.mem.held
}

// TestReadersFetchAhead: small objects cost no round trip each, in order and once each; the budget bounds how many are held.
func TestReadersFetchAhead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &shelf{rtt: 50 * time.Millisecond}
		for range 1000 {
			s.bodies = append(s.bodies, numbered(1000))
		}
		rs := NewReaders(s, s.infos(), ReaderOptions{})
		begin := time.Now()
		for i := range s.bodies {
			r := rs.Open(t.Context(), i)
			if got, err := io.ReadAll(r); err != nil || len(got) != 1000 {
				t.Fatal(len(got), err)
			}
			r.Close()
		}
		rs.Close()
		if trips := time.Since(begin) / s.rtt; trips > 30 {
			t.Errorf("1000 objects took %d round trips", trips)
		}
		if s.most < firstConns || s.most > maxConns || len(s.requests) != 1000 {
			t.Errorf("%d requests, at most %d at the same time", len(s.requests), s.most)
		}
	})
}

// TestReadersRequests: an object that fits is one request, what is known is not asked for, and a reader that looks at heads
// does not fetch the rest of large objects.
func TestReadersRequests(t *testing.T) {
	const mib = 1 << 20
	s := &shelf{bodies: [][]byte{numbered(100), numbered(3 * mib), numbered(0), numbered(10)}}
	read := func(rs *Readers, i int) {
		r := rs.Open(t.Context(), i)
		defer r.Close()
		if got, err := io.ReadAll(r); err != nil || !bytes.Equal(got, s.bodies[i]) {
			t.Errorf("object %d: %d bytes, %v", i, len(got), err)
		}
	}
	rs := NewReaders(s, s.infos(), ReaderOptions{PartSize: mib, Parts: 32})
	rs.SetHead(0, s.bodies[0])
	rs.SetHead(1, s.bodies[1][:mib])
	for i := range s.bodies {
		read(rs, i)
	}
	rs.Close()
	got := map[string]bool{}
	for _, r := range s.requests {
		got[r] = true
	}
	for _, want := range []string{fmt.Sprintf("1 %d-%d", mib, 2*mib), fmt.Sprintf("1 %d-%d", 2*mib, 3*mib), "3 0-10"} {
		if !got[want] {
			t.Errorf("no request %s", want)
		}
	}
	if len(s.requests) != 3 {
		t.Errorf("requests %q", s.requests)
	}
}

// TestReadersFail: an object that cannot be read fails its own reader, not the one before, though it was fetched ahead.
func TestReadersFail(t *testing.T) {
	defer goleak.VerifyNone(t)
	cause := errors.New("cause")
	s := &shelf{bodies: [][]byte{numbered(100), numbered(100), numbered(100), numbered(100)}}
	s.fail = func(obj int) error {
		if obj == 2 {
			return fail.Newf(fail.Permission, "no: %w", cause)
		}
		return nil
	}
	rs := NewReaders(s, s.infos(), ReaderOptions{})
	defer rs.Close()
	for i := range s.bodies {
		r := rs.Open(t.Context(), i)
		got, err := io.ReadAll(r)
		if i == 2 {
			if len(got) > 0 || !errors.Is(err, cause) || fail.KindOf(err) != fail.Permission {
				t.Errorf("object 2: %d bytes, %v", len(got), err)
			}
		} else if err != nil || !bytes.Equal(got, s.bodies[i]) {
			t.Errorf("object %d: %d bytes, %v", i, len(got), err)
		}
		r.Close()
	}
	// two at once: the second one has its own requests
	a, b := rs.Open(t.Context(), 0), rs.Open(t.Context(), 1)
	for i, r := range []io.ReadCloser{a, b} {
		if got, err := io.ReadAll(r); err != nil || !bytes.Equal(got, s.bodies[i]) {
			t.Errorf("object %d beside another: %d bytes, %v", i, len(got), err)
		}
	}
	a.Close()
	b.Close()
	// a cancelled context ends its reader, and the next pass begins anew, also right behind it
	for range 500 {
		ctx, cancel := context.WithCancel(t.Context())
		r := rs.Open(ctx, 0)
		cancel()
		if _, err := io.ReadAll(r); !errors.Is(err, context.Canceled) || fail.KindOf(err) != fail.Temporary {
			t.Fatalf("cancelled: %v", err)
		}
		r.Close()
		r = rs.Open(t.Context(), 1)
		if got, err := io.ReadAll(r); err != nil || !bytes.Equal(got, s.bodies[1]) {
			t.Fatalf("after a cancelled one: %d bytes, %v", len(got), err)
		}
		r.Close()
	}
}
