package objstore

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// stallClient breaks a request that makes no progress for a while: no byte of the body sent, no answer, or no byte of the
// answer's body while somebody waits for it. The SDK has no read timeout of its own, and a deadline for a whole request
// would have to guess how slow a line may be. A slow reader is not held against the request.
type stallClient struct {
	inner aws.HTTPClient
	limit time.Duration
	way   *way
}

// way is how far the store is: the shortest time that an answer took to begin, in nanoseconds; 0 before the first one.
type way struct{ shortest atomic.Int64 }

func (w *way) took(d time.Duration) {
	for old := w.shortest.Load(); (old == 0 || int64(d) < old) && !w.shortest.CompareAndSwap(old, int64(max(d, 1))); old = w.shortest.Load() {
	}
}

func (w *way) distance() time.Duration { return time.Duration(w.shortest.Load()) }

// stalledError is what a broken request ends in. The SDK retries it, as it says that it is a timeout.
type stalledError struct{ limit time.Duration }

func (e stalledError) Error() string   { return fmt.Sprintf("no progress for %v", e.limit) }
func (e stalledError) Timeout() bool   { return true }
func (e stalledError) Temporary() bool { return true }

// attemptsKey is a context's *atomic.Int32 that counts the requests sent for one operation.
type attemptsKey struct{}

// countAttempts is ctx with a counter of the requests that the SDK sends under it.
func countAttempts(ctx context.Context) (context.Context, *atomic.Int32) {
	n := new(atomic.Int32)
	return context.WithValue(ctx, attemptsKey{}, n), n
}

func (c *stallClient) Do(req *http.Request) (*http.Response, error) {
	if n, ok := req.Context().Value(attemptsKey{}).(*atomic.Int32); ok {
		n.Add(1)
	}
	ctx, cancel := context.WithCancelCause(req.Context())
	w := &watchdog{ctx: ctx, cancel: cancel, limit: c.limit}
	w.timer = time.AfterFunc(c.limit, func() { cancel(stalledError{c.limit}) })
	req = req.WithContext(ctx)
	begin := time.Now()
	sends := req.Body != nil && req.Body != http.NoBody
	if sends {
		req.Body = &watchedBody{ReadCloser: req.Body, dog: w, sending: true}
	}
	resp, err := c.inner.Do(req)
	if err != nil {
		w.stop()
		return nil, w.cause(err)
	}
	if !sends {
		c.way.took(time.Since(begin))
	}
	w.timer.Stop() // from here on only a waiting reader counts
	resp.Body = &watchedBody{ReadCloser: resp.Body, dog: w}
	return resp, nil
}

type watchdog struct {
	ctx    context.Context
	cancel context.CancelCauseFunc
	timer  *time.Timer
	limit  time.Duration
}

func (w *watchdog) stop() {
	w.timer.Stop()
	w.cancel(nil)
}

// cause replaces the "context canceled" of a request that we broke ourselves.
func (w *watchdog) cause(err error) error {
	var stalled stalledError
	if errors.As(context.Cause(w.ctx), &stalled) {
		return stalled
	}
	return err
}

// watchedBody tells the watchdog of progress. While a request is being sent, the time between two reads counts (the
// network takes the bytes too slowly); in a response, the time inside one does.
type watchedBody struct {
	io.ReadCloser
	dog     *watchdog
	sending bool
}

func (b *watchedBody) Read(p []byte) (int, error) {
	b.dog.timer.Reset(b.dog.limit)
	n, err := b.ReadCloser.Read(p)
	if !b.sending {
		b.dog.timer.Stop()
		if err != nil && err != io.EOF {
			err = b.dog.cause(err)
		}
	}
	return n, err
}

func (b *watchedBody) Close() error {
	err := b.ReadCloser.Close()
	if !b.sending {
		b.dog.stop()
	}
	return err
}
