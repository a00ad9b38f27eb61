package files

import (
	"context"
	"errors"
	"io"

	"github.com/sluice-data/sluice/internal/fail"
	"github.com/sluice-data/sluice/internal/hive"
	"github.com/sluice-data/sluice/internal/objstore"
)

// file is a file that is being uploaded. Until its upload is completed nobody sees it. There may be a hundred thousand: see TestManyFilesAreSmall.
type file struct {
	ref       objstore.Ref
	folder    string          // of its partition
	values    []hive.Value    // its
	content   File            // nil once it is read back
	ended     bool            // no block goes to it any more
	waiting   []Block         // not yet written
	held      int64           // bytes of those
	upload    objstore.Upload // nil until it is begun, and once it is completed
	off       int64           // bytes written
	rows      int64
	info      objstore.Info
	completed bool
}

// has reports whether any rows went to the file.
func (f *file) has() bool { return f.rows > 0 || len(f.waiting) > 0 }

// release gives up the blocks that wait.
func (f *file) release() {
	for _, b := range f.waiting {
		b.Release()
	}
	f.waiting, f.held = nil, 0
}

// Write sends b to the upload, all of it.
func (f *file) Write(b []byte) (int, error) {
	n, err := f.upload.Write(b)
	f.off += int64(n)
	if err != nil {
		return n, fail.Wrap(fail.Temporary, err)
	}
	if n != len(b) {
		return n, fail.Newf(fail.Internal, "write %d bytes to the upload: it took %d", len(b), n).In(f.ref.String())
	}
	return n, nil
}

// verify holds the completed file against what was written and returns its rows as the store gives them back; any difference is a
// Data error.
func (f *file) verify(ctx context.Context, store objstore.Store) (int64, error) {
	bad := func(msg string, args ...any) error {
		return fail.Newf(fail.Data, "read back what was written: "+msg, args...).In(f.ref.String())
	}
	if f.info.Size != f.off {
		return 0, bad("the object has %d bytes, %d were written", f.info.Size, f.off)
	}
	rows, err := f.content.Verify(ctx, &reader{store: store, info: f.info})
	var known *fail.Error
	switch {
	case errors.As(err, &known):
		return 0, err
	case err != nil:
		return 0, bad("%w", err)
	case rows != f.rows:
		return 0, bad("the file has %d rows, %d were written", rows, f.rows)
	}
	return rows, nil
}

// reader is the completed object.
type reader struct {
	store objstore.Store
	info  objstore.Info
}

func (r *reader) Size() int64 { return r.info.Size }

func (r *reader) ReadRange(ctx context.Context, off, n int64) (b []byte, err error) {
	body, err := r.store.ReadRange(ctx, r.info, off, n)
	if err != nil {
		return nil, err
	}
	defer func() {
		if cerr := body.Close(); err == nil && cerr != nil {
			err = fail.Wrap(fail.Temporary, cerr)
		}
	}()
	b = make([]byte, n)
	if _, err := io.ReadFull(body, b); err != nil {
		return nil, fail.Wrap(fail.Temporary, err)
	}
	return b, nil
}
