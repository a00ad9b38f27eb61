package storetest

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

// Memory is a store for tests of those who write: it keeps objects in memory, records every call and fails at the one it is told to.
type Memory struct {
	mu      sync.Mutex
	Objects map[string][]byte      // by key
	Open    map[*MemoryUpload]bool // uploads
	Calls   []string
	FailAt  int // number of the call that fails; -1 = none
	Err     error
	Slow    time.Duration // what an abort takes
	// Damage, if it is not nil, makes another object of what was uploaded.
	Damage func(body []byte) []byte
}

// NewMemory is an empty one.
func NewMemory() *Memory {
	return &Memory{Objects: map[string][]byte{}, Open: map[*MemoryUpload]bool{}, FailAt: -1}
}

func (m *Memory) call(name string, ref objstore.Ref) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.Calls = append(m.Calls, name+" "+ref.Key[strings.LastIndexByte(ref.Key, '/')+1:])
	if len(m.Calls)-1 == m.FailAt {
		return m.Err
	}
	return nil
}

func (m *Memory) info(ref objstore.Ref) objstore.Info {
	b := m.Objects[ref.Key]
	return objstore.Info{Ref: ref, Size: int64(len(b)), ETag: fmt.Sprintf("%x", md5.Sum(b))}
}

func (m *Memory) Stat(_ context.Context, ref objstore.Ref, _ objstore.Pin) (objstore.Info, error) {
	return m.info(ref), m.call("stat", ref)
}

func (m *Memory) ReadRange(_ context.Context, info objstore.Info, off, n int64) (io.ReadCloser, error) {
	if err := m.call("read", info.Ref); err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	b := m.Objects[info.Key]
	return io.NopCloser(bytes.NewReader(b[min(off, int64(len(b))):min(off+n, int64(len(b)))])), nil
}

func (m *Memory) List(_ context.Context, prefix objstore.Ref) iter.Seq2[objstore.Info, error] {
	return func(yield func(objstore.Info, error) bool) {
		if err := m.call("list", prefix); err != nil {
			yield(objstore.Info{}, err)
			return
		}
		var found []objstore.Info
		m.mu.Lock()
		for k := range m.Objects {
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

func (m *Memory) Put(_ context.Context, ref objstore.Ref, body []byte, _ string, _ bool) (objstore.Info, error) {
	m.Objects[ref.Key] = body
	return m.info(ref), m.call("put", ref)
}

func (m *Memory) Replace(ctx context.Context, was objstore.Info, body []byte, typ string) (objstore.Info, error) {
	return m.Put(ctx, was.Ref, body, typ, false)
}

func (m *Memory) Upload(_ context.Context, ref objstore.Ref, _ string) (objstore.Upload, error) {
	if err := m.call("upload", ref); err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	u := &MemoryUpload{store: m, ref: ref}
	m.Open[u] = true
	return u, nil
}

func (m *Memory) AbortUploads(_ context.Context, ref objstore.Ref) (int, error) {
	if err := m.call("abort-uploads", ref); err != nil {
		return 0, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	n := 0
	for u := range m.Open {
		if u.ref == ref {
			delete(m.Open, u)
			n++
		}
	}
	return n, nil
}

func (m *Memory) Delete(_ context.Context, ref objstore.Ref) error {
	if err := m.call("delete", ref); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.Objects, ref.Key)
	return nil
}

// MemoryUpload is an upload to a Memory.
type MemoryUpload struct {
	store   *Memory
	ref     objstore.Ref
	Body    []byte
	flushed bool
}

func (u *MemoryUpload) Write(b []byte) (int, error) {
	if u.flushed {
		return 0, fail.Newf(fail.Internal, "write after flush")
	}
	if err := u.store.call("write", u.ref); err != nil {
		return 0, err
	}
	u.Body = append(u.Body, b...)
	return len(b), nil
}

func (u *MemoryUpload) Flush(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return fail.Newf(fail.Temporary, "flush: %w", err)
	}
	u.flushed = true
	return u.store.call("flush", u.ref)
}

func (u *MemoryUpload) Complete(ctx context.Context) (objstore.Info, error) {
	if err := ctx.Err(); err != nil {
		return objstore.Info{}, fail.Newf(fail.Temporary, "complete: %w", err)
	}
	if err := u.store.call("complete", u.ref); err != nil {
		return objstore.Info{}, err
	}
	u.store.mu.Lock()
	defer u.store.mu.Unlock()
	if !u.store.Open[u] {
		return objstore.Info{}, fail.Newf(fail.Temporary, "complete: %w", objstore.ErrLost)
	}
	delete(u.store.Open, u)
	if u.store.Damage != nil {
		u.Body = u.store.Damage(u.Body)
	}
	u.store.Objects[u.ref.Key] = u.Body
	return u.store.info(u.ref), nil
}

func (u *MemoryUpload) Abort(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return fail.Newf(fail.Temporary, "abort under a cancelled context: %w", err)
	}
	if err := u.store.call("abort", u.ref); err != nil {
		return err
	}
	time.Sleep(u.store.Slow)
	u.store.mu.Lock()
	defer u.store.mu.Unlock()
	delete(u.store.Open, u)
	return nil
}
