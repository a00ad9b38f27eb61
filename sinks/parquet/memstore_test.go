package parquet

import (
	"bytes"
	"cmp"
	"context"
	"crypto/md5"
	"fmt"
	"io"
	"iter"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/sluice-data/sluice/internal/fail"
	"github.com/sluice-data/sluice/internal/objstore"
)

// memStore keeps objects in memory, records every call and fails at the one it is told to.
type memStore struct {
	mu      sync.Mutex
	objects map[string][]byte
	open    map[*memUpload]bool
	calls   []string
	failAt  int // number of the call that fails; -1 = none
	err     error
	slow    time.Duration // what an abort takes
}

func newMemStore() *memStore {
	return &memStore{objects: map[string][]byte{}, open: map[*memUpload]bool{}, failAt: -1}
}

func (m *memStore) call(name string, ref objstore.Ref) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.calls = append(m.calls, name+" "+ref.Key[strings.LastIndexByte(ref.Key, '/')+1:])
	if len(m.calls)-1 == m.failAt {
		return m.err
	}
	return nil
}

func (m *memStore) info(ref objstore.Ref) objstore.Info {
	b := m.objects[ref.Key]
	return objstore.Info{Ref: ref, Size: int64(len(b)), ETag: fmt.Sprintf("%x", md5.Sum(b))}
}

func (m *memStore) Stat(_ context.Context, ref objstore.Ref, _ objstore.Pin) (objstore.Info, error) {
	return m.info(ref), m.call("stat", ref)
}

func (m *memStore) ReadRange(_ context.Context, info objstore.Info, off, n int64) (io.ReadCloser, error) {
	if err := m.call("read", info.Ref); err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	b := m.objects[info.Key]
	return io.NopCloser(bytes.NewReader(b[min(off, int64(len(b))):min(off+n, int64(len(b)))])), nil
}

func (m *memStore) List(_ context.Context, prefix objstore.Ref) iter.Seq2[objstore.Info, error] {
	return func(yield func(objstore.Info, error) bool) {
		if err := m.call("list", prefix); err != nil {
			yield(objstore.Info{}, err)
			return
		}
		var found []objstore.Info
		m.mu.Lock()
		for k := range m.objects {
			if strings.HasPrefix(k, prefix.Key) {
				found = append(found, m.info(objstore.Ref{Bucket: prefix.Bucket, Key: k}))
			}
		}
		m.mu.Unlock()
		slices.SortFunc(found, func(a, b objstore.Info) int { return cmp.Compare(a.Key, b.Key) })
		for _, info := range found {
			if !yield(info, nil) {
				return
			}
		}
	}
}

func (m *memStore) Put(_ context.Context, ref objstore.Ref, body []byte, _ string, _ bool) (objstore.Info, error) {
	m.objects[ref.Key] = body
	return m.info(ref), m.call("put", ref)
}

func (m *memStore) Replace(ctx context.Context, was objstore.Info, body []byte, typ string) (objstore.Info, error) {
	return m.Put(ctx, was.Ref, body, typ, false)
}

func (m *memStore) Upload(_ context.Context, ref objstore.Ref, _ string) (objstore.Upload, error) {
	if err := m.call("upload", ref); err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	u := &memUpload{store: m, ref: ref}
	m.open[u] = true
	return u, nil
}

func (m *memStore) AbortUploads(_ context.Context, ref objstore.Ref) (int, error) {
	if err := m.call("abort-uploads", ref); err != nil {
		return 0, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	n := 0
	for u := range m.open {
		if u.ref == ref {
			delete(m.open, u)
			n++
		}
	}
	return n, nil
}

func (m *memStore) Delete(_ context.Context, ref objstore.Ref) error {
	if err := m.call("delete", ref); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.objects, ref.Key)
	return nil
}

type memUpload struct {
	store   *memStore
	ref     objstore.Ref
	buf     []byte
	flushed bool
}

func (u *memUpload) Write(b []byte) (int, error) {
	if u.flushed {
		return 0, fail.Newf(fail.Internal, "write after flush")
	}
	if err := u.store.call("write", u.ref); err != nil {
		return 0, err
	}
	u.buf = append(u.buf, b...)
	return len(b), nil
}

func (u *memUpload) Flush(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return fail.Newf(fail.Temporary, "flush: %w", err)
	}
	u.flushed = true
	return u.store.call("flush", u.ref)
}

func (u *memUpload) Complete(ctx context.Context) (objstore.Info, error) {
	if err := ctx.Err(); err != nil {
		return objstore.Info{}, fail.Newf(fail.Temporary, "complete: %w", err)
	}
	if err := u.store.call("complete", u.ref); err != nil {
		return objstore.Info{}, err
	}
	u.store.mu.Lock()
	defer u.store.mu.Unlock()
	if !u.store.open[u] {
		return objstore.Info{}, fail.Newf(fail.Temporary, "complete: %w", objstore.ErrLost)
	}
	delete(u.store.open, u)
	u.store.objects[u.ref.Key] = u.buf
	return u.store.info(u.ref), nil
}

func (u *memUpload) Abort(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return fail.Newf(fail.Temporary, "abort under a cancelled context: %w", err)
	}
	if err := u.store.call("abort", u.ref); err != nil {
		return err
	}
	time.Sleep(u.store.slow)
	u.store.mu.Lock()
	defer u.store.mu.Unlock()
	delete(u.store.open, u)
	return nil
}
