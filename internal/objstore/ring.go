package objstore

import (
	"context"
	"fmt"
	"io"
	"sync"

	"github.com/sluice-data/sluice/internal/fail"
)

const (
	defaultReadPart  = 8 << 20
	defaultReadParts = 4
)

// ReaderOptions say how far NewReader reads ahead; its buffers take at most Parts × PartSize bytes.
type ReaderOptions struct {
	PartSize int64       // bytes a request; default 8 MiB
	Parts    int         // requests in flight; default 4
	OnRead   func(n int) // called with each number of bytes that Read hands out; may be nil
}

func (o ReaderOptions) withDefaults() ReaderOptions {
	if o.PartSize <= 0 {
		o.PartSize = defaultReadPart
	}
	if o.Parts <= 0 {
		o.Parts = defaultReadParts
	}
	if o.OnRead == nil {
		o.OnRead = func(int) {}
	}
	return o
}

// NewReader reads the object of info from its first byte to its last, pinned to that version: io.EOF comes after exactly
// info.Size bytes and never before. Parts are fetched ahead and handed out in order; one that breaks is resumed. A local
// file is read in one stream, since the kernel reads ahead itself.
//
// The reader ends when ctx does. Close stops all requests and returns when no goroutine is left; it must not run at the
// same time as Read (to wake up a waiting Read, cancel ctx).
func NewReader(ctx context.Context, store Store, info Info, opt ReaderOptions) io.ReadCloser {
	opt = opt.withDefaults()
	if local(store, info.Ref) {
		return &streamReader{ctx: ctx, store: store, info: info, onRead: opt.OnRead}
	}
	return newRing(ctx, store, info, opt)
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

// ring is one worker for each buffer: worker w fetches parts w, w+W, w+2W …, so taking turns keeps the parts in order and
// a worker is never more than one part ahead of the consumer.
type ring struct {
	ctx     context.Context
	cancel  context.CancelFunc
	store   Store
	info    Info
	opt     ReaderOptions
	workers []ringWorker // empty until the first Read
	wait    sync.WaitGroup
	part    int64  // the part that rest belongs to, or that comes next
	whole   []byte // the current part, nil if there is none
	rest    []byte // of whole, not handed out yet
	read    int64
	closed  bool
	err     error
}

type ringWorker struct {
	full  chan partResult
	empty chan []byte
}

type partResult struct {
	data []byte
	err  error
}

func newRing(ctx context.Context, store Store, info Info, opt ReaderOptions) *ring {
	r := &ring{store: store, info: info, opt: opt}
	r.ctx, r.cancel = context.WithCancel(ctx)
	if info.Size < 0 {
		r.err = failf(fail.Internal, info.Ref, "read object: negative size %d", info.Size)
	}
	return r
}

func (r *ring) parts() int64 { return (r.info.Size + r.opt.PartSize - 1) / r.opt.PartSize }

func (r *ring) start() {
	r.workers = make([]ringWorker, min(int64(r.opt.Parts), r.parts()))
	for w := range r.workers {
		worker := &r.workers[w]
		// Room for one on both sides: neither ever waits to hand over, only to receive.
		worker.full, worker.empty = make(chan partResult, 1), make(chan []byte, 1)
		worker.empty <- nil
		r.wait.Go(func() { r.fetchAll(int64(w), worker) })
	}
}

// fetchAll is worker w's goroutine. It owns the buffer that it took from empty until it sends it to full.
func (r *ring) fetchAll(w int64, worker *ringWorker) {
	var buf []byte
	defer func() { readBuffers.put(buf) }()
	for part := w; part < r.parts(); part += int64(len(r.workers)) {
		select {
		case buf = <-worker.empty:
		case <-r.ctx.Done():
			return
		}
		off := part * r.opt.PartSize
		n := min(r.opt.PartSize, r.info.Size-off)
		if buf == nil {
			buf = readBuffers.get(min(r.opt.PartSize, r.info.Size))
		}
		err := r.fetch(buf[:n], off)
		worker.full <- partResult{buf[:n], err}
		if buf = nil; err != nil {
			return
		}
	}
}

func (r *ring) fetch(buf []byte, off int64) error {
	return fail.Guard("read object "+r.info.Ref.String(), func() error { return readFull(r.ctx, r.store, r.info, buf, off) })
}

// readFull fills buf from off, resuming broken bodies, and asks for the end of the body too: only there a store says
// that the object changed while it was read.
func readFull(ctx context.Context, store Store, info Info, buf []byte, off int64) error {
	open := func(ctx context.Context, off, n int64) (io.ReadCloser, error) {
		return store.ReadRange(ctx, info, off, n)
	}
	body, err := newResuming(ctx, info.Ref, open, off, int64(len(buf)), defaultMaxBackoff)
	if err != nil {
		return err
	}
	defer body.Close()
	if _, err := io.ReadFull(body, buf); err != nil {
		return err
	}
	if n, err := body.Read(make([]byte, 1)); err != io.EOF {
		return fail.Wrap(fail.Internal, fmt.Errorf("read object %s: no end behind %d bytes at %d (%d more): %w", info.Ref, len(buf), off, n, err))
	}
	return nil
}

func (r *ring) Read(p []byte) (int, error) {
	if len(p) == 0 && r.err == nil {
		return 0, nil
	}
	for len(r.rest) == 0 {
		if r.err == nil {
			r.err = r.next()
		}
		if r.err != nil {
			return 0, r.err
		}
	}
	n := copy(p, r.rest)
	r.rest = r.rest[n:]
	r.read += int64(n)
	r.opt.OnRead(n)
	return n, nil
}

// next gives the spent buffer back to its worker and takes the next part.
func (r *ring) next() error {
	if r.workers == nil && r.info.Size > 0 {
		r.start()
	}
	if r.whole != nil {
		// Its worker is waiting for the buffer, or has ended and left room for it.
		r.workers[r.part%int64(len(r.workers))].empty <- r.whole
		r.whole = nil
		r.part++
	}
	if r.part == r.parts() {
		if r.read != r.info.Size {
			return failf(fail.Internal, r.info.Ref, "read object: %d bytes read of %d", r.read, r.info.Size)
		}
		return io.EOF
	}
	worker := &r.workers[r.part%int64(len(r.workers))]
	select {
	case got := <-worker.full:
		if got.err != nil {
			r.cancel()
			readBuffers.put(got.data)
			return got.err
		}
		r.whole, r.rest = got.data[:cap(got.data)], got.data
		return nil
	case <-r.ctx.Done():
		return cancelled(r.ctx, r.info.Ref, "read object")
	}
}

// Close stops the requests under way and waits for their goroutines.
func (r *ring) Close() error {
	r.cancel()
	r.wait.Wait()
	if !r.closed {
		r.closed = true
		r.recycle()
	}
	if r.err == nil || r.err == io.EOF {
		r.err = errClosed(r.info.Ref)
	}
	return nil
}

// recycle returns to the pool what no worker holds.
func (r *ring) recycle() {
	readBuffers.put(r.whole)
	r.whole, r.rest = nil, nil
	for _, worker := range r.workers {
		select {
		case got := <-worker.full:
			readBuffers.put(got.data)
		default:
		}
		select {
		case buf := <-worker.empty:
			readBuffers.put(buf)
		default:
		}
	}
}

// readBuffers hands part buffers from one object's reader to the next one's.
var readBuffers bufferPool

// bufferPool keeps byte slices; the garbage collector may empty it.
type bufferPool struct{ pool sync.Pool }

// get is a slice of length n with unspecified content.
func (b *bufferPool) get(n int64) []byte {
	if p, ok := b.pool.Get().(*[]byte); ok && int64(cap(*p)) >= n {
		return (*p)[:n]
	}
	return make([]byte, n)
}

func (b *bufferPool) put(buf []byte) {
	if cap(buf) > 0 {
		buf = buf[:cap(buf)]
		b.pool.Put(&buf)
	}
}
