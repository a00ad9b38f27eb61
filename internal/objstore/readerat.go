package objstore

import (
	"context"
	"io"
	"sync"

	"github.com/sluice-data/sluice/internal/fail"
)

// ReadAtCloser reads an object at any offset. Close frees what it holds open; no ReadAt may be running.
type ReadAtCloser interface {
	io.ReaderAt
	io.Closer
}

// NewReaderAt reads ranges of the object of info, pinned to that version, as io.ReaderAt says (fewer bytes than asked for
// only with an error, io.EOF at the object's end). Each ReadAt is one ranged request, resumed if it breaks, or one pread
// of a file that stays open. It is safe for concurrent use and ends when ctx does.
func NewReaderAt(ctx context.Context, store Store, info Info) ReadAtCloser {
	return &readerAt{ctx: ctx, store: store, info: info}
}

type readerAt struct {
	ctx   context.Context
	store Store
	info  Info

	mu   sync.Mutex
	file *dirBody // the open file, for a local object
}

func (r *readerAt) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 {
		return 0, failf(fail.Internal, r.info.Ref, "read object: negative offset %d", off)
	}
	if err := cancelled(r.ctx, r.info.Ref, "read object"); err != nil {
		return 0, err
	}
	var end error
	if left := r.info.Size - off; int64(len(p)) > left {
		p, end = p[:max(0, left)], io.EOF
	}
	if len(p) == 0 {
		return 0, end
	}
	var err error
	if local(r.store, r.info.Ref) {
		err = r.pread(p, off)
	} else {
		err = readFull(r.ctx, r.store, r.info, p, off)
	}
	if err != nil {
		return 0, err
	}
	return len(p), end
}

func (r *readerAt) pread(p []byte, off int64) error {
	file, err := r.open()
	if err != nil {
		return err
	}
	return file.readAt(p, off)
}

func (r *readerAt) open() (*dirBody, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.file == nil {
		body, err := r.store.ReadRange(r.ctx, r.info, 0, r.info.Size)
		if err != nil {
			return nil, err
		}
		file, ok := body.(*dirBody)
		if !ok {
			body.Close()
			return nil, failf(fail.Internal, r.info.Ref, "read object: a directory's body is a %T", body)
		}
		r.file = file
	}
	return r.file, nil
}

func (r *readerAt) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.file == nil {
		return nil
	}
	file := r.file
	r.file = nil
	return file.Close()
}
