package objstore

import (
	"context"
	"errors"
	"io"
	"time"

	"github.com/sluice-data/sluice/internal/awsconf"
	"github.com/sluice-data/sluice/internal/fail"
)

const (
	// resumeFailures is how many broken bodies one range may have; each resumeEarn bytes read earn one back, so a long
	// range over a bad line ends too, but only if it is getting nowhere.
	resumeFailures = 10
	resumeEarn     = 1 << 20
)

// openRange opens bytes [off, off+n) of an object.
type openRange func(ctx context.Context, off, n int64) (io.ReadCloser, error)

// resumingBody reads a range and opens it again, from where it broke, when the body ends in a Temporary error or short.
type resumingBody struct {
	ctx         context.Context
	ref         Ref
	open        openRange
	body        io.ReadCloser // nil between a failure and the next open
	off, left   int64
	failures    int
	earned      int64
	mostBackoff time.Duration
	err         error // sticky
}

// newResuming opens the range at once, so that a missing or changed object is the caller's error and not the first Read's.
func newResuming(ctx context.Context, ref Ref, open openRange, off, n int64, mostBackoff time.Duration) (*resumingBody, error) {
	b := &resumingBody{ctx: ctx, ref: ref, open: open, off: off, left: n, mostBackoff: mostBackoff}
	for b.body == nil {
		var err error
		if b.body, err = open(ctx, off, n); err != nil {
			if err = b.broken(err); err != nil {
				return nil, err
			}
		}
	}
	return b, nil
}

// defaultMaxBackoff bounds the pause between two tries.
const defaultMaxBackoff = 20 * time.Second

// broken takes note of a failure: nil after a pause if the range is worth another try, else the error to end with.
func (b *resumingBody) broken(err error) error {
	if stop := cancelled(b.ctx, b.ref, "read object"); stop != nil {
		return stop
	}
	var spent gaveUp
	if fail.KindOf(err) != fail.Temporary || errors.As(err, &spent) {
		return err
	}
	if b.failures++; b.failures >= resumeFailures {
		return failf(fail.Temporary, b.ref, "read object: gave up at byte %d after %d broken bodies: %w", b.off, b.failures, gaveUp{err})
	}
	if !sleep(b.ctx, min(awsconf.Backoff(b.failures), b.mostBackoff)) {
		return cancelled(b.ctx, b.ref, "read object")
	}
	return nil
}

// sleep waits and reports whether ctx is still alive.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return ctx.Err() == nil
	case <-ctx.Done():
		return false
	}
}

func (b *resumingBody) Read(p []byte) (int, error) {
	for b.err == nil {
		if b.body == nil {
			body, err := b.open(b.ctx, b.off, b.left)
			if err != nil {
				b.err = b.broken(err)
				continue
			}
			b.body = body
		}
		if int64(len(p)) > b.left && b.left > 0 {
			p = p[:b.left]
		}
		n, err := b.body.Read(p)
		b.off, b.left = b.off+int64(n), b.left-int64(n)
		if b.earned += int64(n); b.earned >= resumeEarn {
			b.earned, b.failures = 0, max(0, b.failures-1)
		}
		switch {
		case b.left < 0:
			b.err, n = failf(fail.Internal, b.ref, "read object: the body is longer than the range asked for"), 0
		case err == io.EOF && b.left == 0:
			b.err = io.EOF
		case err == io.EOF:
			err = failf(fail.Temporary, b.ref, "read object: body ended at byte %d, %d bytes early: %w", b.off, b.left, io.ErrUnexpectedEOF)
			fallthrough
		case err != nil:
			b.body.Close()
			b.body = nil
			b.err = b.broken(fail.Wrap(fail.Temporary, err))
			if b.left == 0 && b.err == nil {
				// All bytes are here, only the clean end is missing: asking for an empty range proves nothing.
				b.err = io.EOF
			}
		}
		if n > 0 {
			return n, nil
		}
		if err == nil && len(p) == 0 {
			return 0, nil
		}
	}
	return 0, b.err
}

func (b *resumingBody) Close() error {
	if b.err == nil {
		b.err = fail.Newf(fail.Internal, "read object: body is closed").In(b.ref.String())
	}
	if b.body == nil {
		return nil
	}
	err := b.body.Close()
	b.body = nil
	return err
}
