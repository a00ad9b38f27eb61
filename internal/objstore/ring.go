package objstore

import (
	"context"
	"io"
	"math"
	"runtime/debug"
	"time"

	"github.com/sluice-data/sluice/internal/fail"
)

const (
	defaultReadPart  = 8 << 20
	defaultReadParts = 4
)

// ReaderOptions bound what a reader holds; within that it adapts itself to the link.
type ReaderOptions struct {
	PartSize int64       // most bytes a request; default 8 MiB
	Parts    int         // PartSize × Parts is the most that is fetched ahead and held, in bytes; default 4, and twice that far away if memory allows
	OnRead   func(n int) // called with each number of bytes that Read hands out; may be nil

	now func() time.Time // for tests
	far int64            // what may be held where the store is far away
}

func (o ReaderOptions) withDefaults() ReaderOptions {
	if o.PartSize <= 0 {
		o.PartSize = defaultReadPart
	}
	if o.Parts <= 0 {
		o.Parts, o.far = defaultReadParts, farAhead
		if limit := debug.SetMemoryLimit(-1); limit < math.MaxInt64 {
			o.far = min(farAhead, limit/32)
		}
	}
	if o.OnRead == nil {
		o.OnRead = func(int) {}
	}
	if o.now == nil {
		o.now = time.Now
	}
	return o
}

// NewReader reads the object of info from its first byte to its last, pinned to that version: io.EOF comes after exactly
// info.Size bytes and never before. Parts are fetched ahead, as many and as large as the link rewards, and handed out in
// order; one that breaks is resumed. A local file is read in one stream, since the kernel reads ahead itself.
//
// The reader ends when ctx does. Close stops all requests and returns when no goroutine is left; it must not run at the
// same time as Read (to wake up a waiting Read, cancel ctx).
func NewReader(ctx context.Context, store Store, info Info, opt ReaderOptions) io.ReadCloser {
	return &soleReader{readers: NewReaders(store, []Info{info}, opt), ctx: ctx}
}

// soleReader is the reader of a sequence of one, which ends with it.
type soleReader struct {
	readers *Readers
	ctx     context.Context
	r       io.ReadCloser
}

func (s *soleReader) Read(p []byte) (int, error) {
	if s.r == nil {
		s.r = s.readers.Open(s.ctx, 0)
	}
	return s.r.Read(p)
}

func (s *soleReader) Close() error {
	if s.r == nil {
		s.r = s.readers.Open(s.ctx, 0)
	}
	err := s.r.Close()
	s.readers.Close()
	return err
}

// local reports whether objects of ref are files, behind whatever router the store is.
func local(store Store, ref Ref) bool {
	if r, ok := store.(*router); ok {
		s, err := r.pick(ref)
		return err == nil && local(s, ref)
	}
	_, ok := store.(*dirStore)
	return ok
}

// streamReader reads one body straight into the caller's buffer.
type streamReader struct {
	ctx    context.Context
	store  Store
	info   Info
	onRead func(int)
	body   io.ReadCloser
	err    error
}

func (r *streamReader) Read(p []byte) (int, error) {
	if r.err == nil && r.body == nil {
		r.body, r.err = r.store.ReadRange(r.ctx, r.info, 0, r.info.Size)
	}
	if r.err != nil {
		return 0, r.err
	}
	n, err := r.body.Read(p)
	r.onRead(n)
	r.err = err
	return n, err
}

func (r *streamReader) Close() error {
	if r.err == nil {
		r.err = errClosed(r.info.Ref)
	}
	if r.body == nil {
		return nil
	}
	body := r.body
	r.body = nil
	return body.Close()
}

func errClosed(ref Ref) error { return failf(fail.Internal, ref, "read object: reader is closed") }
