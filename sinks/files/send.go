package files

import (
	"context"
	"sync"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sync/semaphore"

	"github.com/sluice-data/sluice/internal/fail"
)

const (
	// filesAtOnce is how many files of a partitioned run are under way to or from the store: there may be thousands, and
	// each is a few requests that take their time.
	filesAtOnce = 16
	// wholeFile is up to where a file waits for its end before it is sent, so that nothing waits for the store.
	wholeFile = 4 << 20
	// waitingBytes bounds what waits so.
	waitingBytes = 32 << 20
)

// sender writes finished files in the background, as long as the run's sink is open.
type sender struct {
	ctx  context.Context // ends when the sink gives up
	stop context.CancelFunc
	g    errgroup.Group
	room *semaphore.Weighted

	mu  sync.Mutex
	err error // the first
}

func newSender(ctx context.Context) *sender {
	s := &sender{room: semaphore.NewWeighted(waitingBytes)}
	s.ctx, s.stop = context.WithCancel(ctx)
	s.g.SetLimit(filesAtOnce)
	return s
}

func (s *sender) failure() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

// send runs f when it is its turn and there is room for n bytes more. An error is one of an earlier file; f is not run then.
func (s *sender) send(n int64, f func(ctx context.Context) error) error {
	n = min(n, waitingBytes)
	if err := s.failure(); err != nil {
		return err
	}
	if err := s.room.Acquire(s.ctx, n); err != nil {
		return fail.Newf(fail.Temporary, "write files: %w", context.Cause(s.ctx))
	}
	s.g.Go(func() error {
		defer s.room.Release(n)
		err := s.failure()
		if err == nil {
			err = fail.Guard("send file", func() error { return f(s.ctx) })
		}
		if err != nil {
			s.mu.Lock()
			defer s.mu.Unlock()
			if s.err == nil {
				s.err = err
			}
		}
		return nil
	})
	return nil
}

// wait is until all is sent; the error is the first of any file.
func (s *sender) wait() error {
	_ = s.g.Wait() // errors are in s.err
	return s.failure()
}

// each calls f for the indices below n, so many at once, and returns the first error, after which it begins no more.
func each(n, atOnce int, f func(i int) error) error {
	var g errgroup.Group
	g.SetLimit(atOnce)
	var mu sync.Mutex
	var first error
	failed := func() bool {
		mu.Lock()
		defer mu.Unlock()
		return first != nil
	}
	for i := range n {
		if failed() {
			break
		}
		g.Go(func() error {
			if failed() { // while this one waited for its turn
				return nil
			}
			if err := fail.Guard("store", func() error { return f(i) }); err != nil {
				mu.Lock()
				defer mu.Unlock()
				if first == nil {
					first = err
				}
			}
			return nil
		})
	}
	_ = g.Wait() // errors are in first
	return first
}
