package objstore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"testing"
	"testing/iotest"

	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"github.com/sluice-data/sluice/internal/fail"
)

// memStore serves one object from memory; open, if set, stands in for its ReadRange.
type memStore struct {
	Store
	body []byte
	open func(off, n int64) (io.ReadCloser, error)
	mu   sync.Mutex
	most int64 // of all ranges, the bytes asked for and not yet closed, at their highest
	now  int64
}

func (m *memStore) ReadRange(_ context.Context, _ Info, off, n int64) (io.ReadCloser, error) {
	m.mu.Lock()
	m.now += n
	m.most = max(m.most, m.now)
	m.mu.Unlock()
	if m.open != nil {
		return m.open(off, n)
	}
	return m.rangeOf(off, n), nil
}

func (m *memStore) rangeOf(off, n int64) io.ReadCloser {
	return &memBody{Reader: bytes.NewReader(m.body[off : off+n]), close: func() {
		m.mu.Lock()
		m.now -= n
		m.mu.Unlock()
	}}
}

type memBody struct {
	io.Reader
	close func()
}

func (b *memBody) Close() error {
	b.close()
	return nil
}

func numbered(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i*7 + i>>8)
	}
	return b
}

func (m *memStore) info() Info {
	return Info{Ref: Ref{"b", "object"}, Size: int64(len(m.body)), ETag: "e"}
}

// TestRingIsTheObject: any size, part size, number of parts and way of reading give the object's bytes once and in order.
func TestRingIsTheObject(t *testing.T) {
	defer goleak.VerifyNone(t)
	rapid.Check(t, func(t *rapid.T) {
		m := &memStore{body: numbered(rapid.IntRange(0, 5000).Draw(t, "size"))}
		count := 0
		opt := ReaderOptions{
			PartSize: rapid.Int64Range(1, 6000).Draw(t, "part size"), Parts: rapid.IntRange(1, 6).Draw(t, "parts"), OnRead: func(n int) { count += n },
		}
		r := NewReader(t.Context(), m, m.info(), opt)
		defer r.Close()
		step := rapid.IntRange(1, 7000).Draw(t, "step")
		var got []byte
		for {
			p := make([]byte, step)
			n, err := r.Read(p)
			got = append(got, p[:n]...)
			if err == io.EOF {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		if !bytes.Equal(got, m.body) || count != len(m.body) {
			t.Fatalf("got %d bytes and counted %d of %d", len(got), count, len(m.body))
		}
		if n, err := r.Read(make([]byte, 1)); n != 0 || err != io.EOF {
			t.Fatalf("behind the end: %d, %v", n, err)
		}
		if m.most > opt.PartSize*int64(opt.Parts) {
			t.Fatalf("%d bytes were under way, %d × %d is the bound", m.most, opt.Parts, opt.PartSize)
		}
	})
}

// TestRingFaults puts each fault at each part: the bytes before it come out right, then the error, and it stays.
func TestRingFaults(t *testing.T) {
	defer goleak.VerifyNone(t)
	cause := errors.New("cause")
	const part, parts = 100, 7
	for name, fault := range map[string]struct {
		body func(good io.Reader) (io.Reader, error)
		kind fail.Kind
		is   error
	}{
		"open fails":     {func(io.Reader) (io.Reader, error) { return nil, fail.Newf(fail.Permission, "no: %w", cause) }, fail.Permission, cause},
		"object changed": {func(io.Reader) (io.Reader, error) { return nil, fail.Newf(fail.Input, "no: %w", ErrChanged) }, fail.Input, ErrChanged},
		"changed at the end": {func(good io.Reader) (io.Reader, error) {
			return io.MultiReader(good, iotest.ErrReader(fail.Newf(fail.Input, "no: %w", ErrChanged))), nil
		}, fail.Input, ErrChanged},
		"too long": {func(good io.Reader) (io.Reader, error) {
			return io.MultiReader(good, bytes.NewReader([]byte("x"))), nil
		}, fail.Internal, nil},
		"retries spent": {func(io.Reader) (io.Reader, error) { return nil, fail.Newf(fail.Temporary, "no: %w", gaveUp{cause}) }, fail.Temporary, cause},
		"panic":         {func(io.Reader) (io.Reader, error) { panic("boom") }, fail.Internal, nil},
	} {
		for broken := range int64(parts) {
			m := &memStore{body: numbered(part*parts - 50)}
			m.open = func(off, n int64) (io.ReadCloser, error) {
				good := m.rangeOf(off, n)
				if off != broken*part {
					return good, nil
				}
				body, err := fault.body(good)
				if err != nil {
					return nil, err
				}
				return io.NopCloser(body), nil
			}
			r := NewReader(t.Context(), m, m.info(), ReaderOptions{PartSize: part, Parts: 3})
			got, err := io.ReadAll(r)
			if !bytes.Equal(got, m.body[:broken*part]) {
				t.Errorf("%s in part %d: got %d bytes", name, broken, len(got))
			}
			if fail.KindOf(err) != fault.kind || fault.is != nil && !errors.Is(err, fault.is) {
				t.Errorf("%s in part %d: %v", name, broken, err)
			}
			if _, again := r.Read(make([]byte, 1)); again != err {
				t.Errorf("%s in part %d: the error does not stay: %v", name, broken, again)
			}
			if err := errors.Join(r.Close(), r.Close()); err != nil {
				t.Error(err)
			}
		}
	}
}

// TestRingResumes has every body break after a few bytes: short, with an error, or with data and an error at once.
func TestRingResumes(t *testing.T) {
	defer goleak.VerifyNone(t)
	for name, end := range map[string]func(r io.Reader) io.Reader{
		"short":          func(r io.Reader) io.Reader { return r },
		"error":          func(r io.Reader) io.Reader { return io.MultiReader(r, iotest.ErrReader(errors.New("reset"))) },
		"unexpected EOF": func(r io.Reader) io.Reader { return io.MultiReader(r, iotest.ErrReader(io.ErrUnexpectedEOF)) },
		"data with the error": func(r io.Reader) io.Reader {
			return iotest.DataErrReader(io.MultiReader(r, iotest.ErrReader(errors.New("reset"))))
		},
	} {
		m := &memStore{body: numbered(3000)}
		var opens atomic.Int32
		m.open = func(off, n int64) (io.ReadCloser, error) {
			good := m.rangeOf(off, n)
			if opens.Add(1)%3 == 0 {
				return good, nil
			}
			return io.NopCloser(end(io.LimitReader(good, n/2))), nil
		}
		r := NewReader(t.Context(), m, m.info(), ReaderOptions{PartSize: 1000, Parts: 3})
		got, err := io.ReadAll(r)
		r.Close()
		if err != nil || !bytes.Equal(got, m.body) {
			t.Errorf("%s: %d bytes, %v", name, len(got), err)
		}
	}
}

// TestRingCancelAndClose stops a ring whose bodies hang, at each part.
func TestRingCancelAndClose(t *testing.T) {
	defer goleak.VerifyNone(t)
	for hang := range int64(5) {
		for _, stop := range []string{"cancel", "close"} {
			m := &memStore{body: numbered(500)}
			ctx, cancel := context.WithCancel(t.Context())
			ringCtx := make(chan context.Context, 1)
			store := ctxStore{m, func(ctx context.Context, off, n int64) (io.ReadCloser, error) {
				if off == hang*100 {
					ringCtx <- ctx
					<-ctx.Done()
					return nil, ctx.Err()
				}
				return m.rangeOf(off, n), nil
			}}
			r := NewReader(ctx, store, m.info(), ReaderOptions{PartSize: 100, Parts: 2})
			if hang > 0 {
				if _, err := io.ReadFull(r, make([]byte, hang*100)); err != nil {
					t.Fatal(err)
				}
			}
			switch stop {
			case "cancel":
				go func() { <-ringCtx; cancel() }()
				if _, err := r.Read(make([]byte, 1)); !errors.Is(err, context.Canceled) || fail.KindOf(err) != fail.Temporary {
					t.Errorf("hanging in part %d: %v", hang, err)
				}
			case "close":
				if hang > 0 {
					<-ringCtx
				}
			}
			if err := r.Close(); err != nil {
				t.Error(err)
			}
			if _, err := r.Read(make([]byte, 1)); err == nil || err == io.EOF {
				t.Errorf("read after close: %v", err)
			}
			cancel()
		}
	}
}

type ctxStore struct {
	Store
	open func(ctx context.Context, off, n int64) (io.ReadCloser, error)
}

func (s ctxStore) ReadRange(ctx context.Context, _ Info, off, n int64) (io.ReadCloser, error) {
	return s.open(ctx, off, n)
}

func TestRouter(t *testing.T) {
	t.Chdir(t.TempDir())
	ctx := t.Context()
	made := 0
	router := NewRouter(NewDir(""), func() (Store, error) {
		made++
		return NewDir("store"), nil
	})
	if _, err := router.Put(ctx, Ref{"", "plain"}, []byte("path"), "", false); err != nil || made != 0 {
		t.Fatalf("put of a path: %v, S3 made %d times", err, made)
	}
	for _, ref := range []Ref{{"", "plain"}, {"b", "key"}} {
		if _, err := PutReader(ctx, router, ref, bytes.NewReader([]byte("body")), ""); err != nil {
			t.Fatal(err)
		}
		info, err := router.Stat(ctx, ref, Pin{})
		if err != nil {
			t.Fatal(err)
		}
		r := NewReader(ctx, router, info, ReaderOptions{})
		got, err := io.ReadAll(r)
		r.Close()
		at := NewReaderAt(ctx, router, info)
		p := make([]byte, 2)
		_, aerr := at.ReadAt(p, 2)
		at.Close()
		if string(got) != "body" || string(p) != "dy" || err != nil || aerr != nil {
			t.Errorf("%v: read %q, %v and %q, %v", ref, got, err, p, aerr)
		}
		if n, err := router.AbortUploads(ctx, ref); n != 0 || err != nil {
			t.Error(n, err)
		}
		if err := router.Delete(ctx, ref); err != nil {
			t.Error(err)
		}
	}
	if made != 1 {
		t.Errorf("S3 made %d times", made)
	}

	cause := errors.New("no credentials")
	broken := NewRouter(NewDir(""), func() (Store, error) { return nil, cause })
	ref := Ref{"b", "k"}
	_, stat := broken.Stat(ctx, ref, Pin{})
	_, read := broken.ReadRange(ctx, Info{Ref: ref}, 0, 0)
	_, put := broken.Put(ctx, ref, nil, "", false)
	_, upload := broken.Upload(ctx, ref, "")
	_, abort := broken.AbortUploads(ctx, ref)
	_, reader := PutReader(ctx, broken, ref, bytes.NewReader(nil), "")
	errs := []error{stat, read, put, upload, abort, reader, broken.Delete(ctx, ref)}
	for _, err := range broken.List(ctx, ref) {
		errs = append(errs, err)
	}
	for i, err := range errs {
		if !errors.Is(err, cause) {
			t.Errorf("operation %d: %v", i, err)
		}
	}
	if len(errs) != 8 {
		t.Error(fmt.Sprint("a listing without a store yields ", len(errs)-7))
	}
}
