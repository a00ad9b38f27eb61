package objstore_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sluice-data/sluice/internal/fail"
	"github.com/sluice-data/sluice/internal/objstore"
	"github.com/sluice-data/sluice/internal/objstore/storetest"
	"github.com/sluice-data/sluice/internal/s3test"
)

// proxy stands between a store and the real server and breaks what it is told to.
type proxy struct {
	*httptest.Server
	forward *httputil.ReverseProxy
	mu      sync.Mutex
	fault   func(w http.ResponseWriter, r *http.Request) bool // true: it has answered
	seen    []string                                          // method and path of each request
}

func startProxy(t *testing.T, srv *s3test.Server) *proxy {
	target, err := url.Parse(srv.Endpoint)
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{forward: &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(target)
			r.Out.Host = r.In.Host // it is signed
		},
		Transport: &http.Transport{DisableKeepAlives: true},
		ErrorHandler: func(http.ResponseWriter, *http.Request, error) {
			panic(http.ErrAbortHandler)
		},
		FlushInterval: -1,
	}}
	p.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.mu.Lock()
		fault := p.fault
		p.seen = append(p.seen, r.Method+" "+r.URL.Path)
		p.mu.Unlock()
		if fault == nil || !fault(w, r) {
			p.forward.ServeHTTP(w, r)
		}
	}))
	t.Cleanup(p.Close)
	return p
}

// set sets the fault and forgets the requests so far.
func (p *proxy) set(fault func(w http.ResponseWriter, r *http.Request) bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.fault, p.seen = fault, nil
}

func (p *proxy) requests() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.seen)
}

// cutWriter passes n bytes of a body on and then does what end says.
type cutWriter struct {
	http.ResponseWriter
	left int
	end  func()
}

func (c *cutWriter) Write(b []byte) (int, error) {
	n := min(len(b), c.left)
	if _, err := c.ResponseWriter.Write(b[:n]); err != nil {
		return 0, err
	}
	if c.left -= n; n < len(b) {
		_ = http.NewResponseController(c.ResponseWriter).Flush()
		c.end()
	}
	return len(b), nil
}

func (c *cutWriter) Unwrap() http.ResponseWriter { return c.ResponseWriter }

func hangUp() { panic(http.ErrAbortHandler) }

// quick are options under which the worst case takes a moment.
func quick(endpoint string) func(*objstore.S3Options) {
	return func(o *objstore.S3Options) {
		o.Endpoint, o.MaxAttempts, o.MaxBackoff, o.StallTimeout = endpoint, 5, 5*time.Millisecond, 5*time.Second
	}
}

func readAll(t *testing.T, ctx context.Context, store objstore.Store, info objstore.Info, opt objstore.ReaderOptions) ([]byte, error) {
	t.Helper()
	r := objstore.NewReader(ctx, store, info, opt)
	defer r.Close()
	return io.ReadAll(r)
}

func TestConnectionDroppedAtByteN(t *testing.T) {
	checkLeaks(t)
	srv := s3test.Start(t)
	p := startProxy(t, srv)
	store := srv.Store(t, quick(p.URL))
	body := storetest.Bytes(1, 150_000)
	info := srv.Put(t, srv.Bucket(t), "object", body)
	for _, n := range []int{0, 1, 2, 1000, 4095, 4096, 16_384, 32_767, 32_768, 49_999, 50_000} {
		// Every other body breaks at its byte n, so each part of 50,000 bytes takes several.
		var gets atomic.Int32
		p.set(func(w http.ResponseWriter, r *http.Request) bool {
			if r.Method != http.MethodGet || gets.Add(1)%2 == 0 {
				return false
			}
			p.forward.ServeHTTP(&cutWriter{w, n, hangUp}, r)
			return true
		})
		got, err := readAll(t, t.Context(), store, info, objstore.ReaderOptions{PartSize: 50_000, Parts: 2})
		if err != nil || !bytes.Equal(got, body) {
			t.Errorf("cut at byte %d: ring gives %d bytes, %v", n, len(got), err)
		}
		part := make([]byte, 50_000)
		if _, err := objstore.NewReaderAt(t.Context(), store, info).ReadAt(part, 70_000); err != nil || !bytes.Equal(part, body[70_000:120_000]) {
			t.Errorf("cut at byte %d: reader at: %v", n, err)
		}
	}
}

// TestBodiesThatNeverWork ends in bounded time and bounded requests, with the place in the message.
func TestBodiesThatNeverWork(t *testing.T) {
	checkLeaks(t)
	srv := s3test.Start(t)
	p := startProxy(t, srv)
	store := srv.Store(t, quick(p.URL))
	info := srv.Put(t, srv.Bucket(t), "object", storetest.Bytes(1, 150_000))
	p.set(func(w http.ResponseWriter, r *http.Request) bool {
		p.forward.ServeHTTP(&cutWriter{w, 0, hangUp}, r)
		return true
	})
	got, err := readAll(t, t.Context(), store, info, objstore.ReaderOptions{})
	if fail.KindOf(err) != fail.Temporary || !strings.Contains(err.Error(), info.String()) || len(got) != 0 {
		t.Errorf("%d bytes and error %v", len(got), err)
	}
	if n := p.requests(); n > 60 {
		t.Errorf("%d requests were sent: layers multiply their retries", n)
	}
	p.set(slowDown(1 << 30))
	_, err = readAll(t, t.Context(), store, info, objstore.ReaderOptions{})
	if fail.KindOf(err) != fail.Temporary || !strings.Contains(err.Error(), "SlowDown") {
		t.Errorf("error is %v", err)
	}
	if n := p.requests(); n != 5 {
		t.Errorf("%d requests were sent, want the 5 attempts", n)
	}
}

// slowDown refuses the first n requests as S3 does while it scales.
func slowDown(n int32) func(w http.ResponseWriter, r *http.Request) bool {
	var count atomic.Int32
	return func(w http.ResponseWriter, r *http.Request) bool {
		if count.Add(1) > n {
			return false
		}
		w.WriteHeader(http.StatusServiceUnavailable)
		fmt.Fprint(w, `<?xml version="1.0"?><Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>`)
		return true
	}
}

// bursts refuses two requests of every three.
func bursts() func(w http.ResponseWriter, r *http.Request) bool {
	var count atomic.Int32
	return func(w http.ResponseWriter, r *http.Request) bool {
		return count.Add(1)%3 != 0 && slowDown(1)(w, r)
	}
}

func TestSlowDownBursts(t *testing.T) {
	checkLeaks(t)
	srv := s3test.Start(t)
	p := startProxy(t, srv)
	store := srv.Store(t, quick(p.URL), func(o *objstore.S3Options) { o.MaxAttempts = 60 }) // requests beside each other share the bursts out by chance
	bucket := srv.Bucket(t)
	p.set(bursts())
	ctx := t.Context()
	ref := objstore.Ref{Bucket: bucket, Key: "out/part"}
	if _, err := store.Put(ctx, objstore.Ref{Bucket: bucket, Key: "manifest"}, []byte("m"), "", true); err != nil {
		t.Errorf("put: %v", err)
	}
	u, err := store.Upload(ctx, ref, "")
	if err != nil {
		t.Fatalf("upload: %v", err)
	}
	body := storetest.Bytes(2, 20<<20)
	if _, err := u.Write(body); err != nil {
		t.Fatalf("write: %v", err)
	}
	info, err := u.Complete(ctx)
	if err != nil {
		t.Fatalf("complete: %v", err)
	}
	if info, err = store.Stat(ctx, ref, objstore.Pin{ETag: info.ETag}); err != nil {
		t.Fatalf("stat: %v", err)
	}
	if got, err := readAll(t, ctx, store, info, objstore.ReaderOptions{PartSize: 1 << 20}); err != nil || !bytes.Equal(got, body) {
		t.Errorf("read: %d bytes, %v", len(got), err)
	}
	for _, err := range store.List(ctx, objstore.Ref{Bucket: bucket}) {
		if err != nil {
			t.Errorf("list: %v", err)
		}
	}
	if err := store.Delete(ctx, ref); err != nil {
		t.Errorf("delete: %v", err)
	}
}

// TestStalls has the server fall silent: before it answers, and in the middle of a body.
func TestStalls(t *testing.T) {
	checkLeaks(t)
	srv := s3test.Start(t)
	p := startProxy(t, srv)
	const stall = 750 * time.Millisecond // what a busy machine does not take for an answer
	store := srv.Store(t, quick(p.URL), func(o *objstore.S3Options) { o.StallTimeout = stall })
	body := storetest.Bytes(3, 100_000)
	info := srv.Put(t, srv.Bucket(t), "object", body)
	for _, n := range []int{-1, 0, 1, 60_000} {
		var gets atomic.Int32
		p.set(func(w http.ResponseWriter, r *http.Request) bool {
			if gets.Add(1) > 1 {
				return false
			}
			silence := func() { <-r.Context().Done(); hangUp() }
			if n < 0 {
				silence()
			}
			p.forward.ServeHTTP(&cutWriter{w, n, silence}, r)
			return true
		})
		if got, err := readAll(t, t.Context(), store, info, objstore.ReaderOptions{}); err != nil || !bytes.Equal(got, body) {
			t.Errorf("silent at byte %d: %d bytes, %v", n, len(got), err)
		}
		if gets.Load() != 2 {
			t.Errorf("silent at byte %d: %d requests, want the broken one and another", n, gets.Load())
		}
	}
	// A body that dribbles is progress, however slow, and so is a reader who takes his time.
	p.set(func(w http.ResponseWriter, r *http.Request) bool {
		var dribble func()
		c := &cutWriter{ResponseWriter: w, left: 20_000}
		dribble = func() { time.Sleep(100 * time.Millisecond); c.left = 20_000 }
		c.end = dribble
		p.forward.ServeHTTP(dribbler{c}, r)
		return true
	})
	r := objstore.NewReader(t.Context(), store, info, objstore.ReaderOptions{})
	defer r.Close()
	time.Sleep(2 * stall)
	if got, err := io.ReadAll(r); err != nil || !bytes.Equal(got, body) || p.requests() != 1 {
		t.Errorf("slow body: %d bytes in %d requests, %v", len(got), p.requests(), err)
	}
}

// dribbler writes a cutWriter's bytes on after each pause, in pieces.
type dribbler struct{ *cutWriter }

func (d dribbler) Write(b []byte) (int, error) {
	for off := 0; off < len(b); {
		n := min(20_000, len(b)-off)
		if _, err := d.ResponseWriter.Write(b[off : off+n]); err != nil {
			return off, err
		}
		_ = http.NewResponseController(d.ResponseWriter).Flush()
		d.end()
		off += n
	}
	return len(b), nil
}

// TestLostAnswers lets requests through and drops the answers: what the retry then finds there is our own.
func TestLostAnswers(t *testing.T) {
	checkLeaks(t)
	srv := s3test.Start(t)
	p := startProxy(t, srv)
	store := srv.Store(t, quick(p.URL))
	bucket := srv.Bucket(t)
	ctx := t.Context()
	lose := func(match func(r *http.Request) bool) {
		var once atomic.Bool
		p.set(func(w http.ResponseWriter, r *http.Request) bool {
			if !match(r) || once.Swap(true) {
				return false
			}
			p.forward.ServeHTTP(httptest.NewRecorder(), r)
			hangUp()
			return true
		})
	}
	lose(func(r *http.Request) bool { return r.Method == http.MethodPut })
	ref := objstore.Ref{Bucket: bucket, Key: "manifest"}
	info, err := store.Put(ctx, ref, []byte("ours"), "", true)
	if err != nil || info.Size != 4 {
		t.Errorf("put whose answer was lost: %+v, %v", info, err)
	}
	// The same, but somebody else had been there before.
	lose(func(r *http.Request) bool { return r.Method == http.MethodPut })
	if _, err := store.Put(ctx, ref, []byte("ours"), "", true); !errors.Is(err, objstore.ErrExists) {
		t.Errorf("put over another's object: %v", err)
	}

	ref.Key = "part"
	u, err := store.Upload(ctx, ref, "")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := u.Write([]byte("data")); err != nil {
		t.Fatal(err)
	}
	lose(func(r *http.Request) bool { return r.Method == http.MethodPost && r.URL.Query().Has("uploadId") })
	if info, err := u.Complete(ctx); err != nil || info.Size != 4 || info.ETag == "" {
		t.Errorf("complete whose answer was lost: %+v, %v", info, err)
	}
	lose(func(r *http.Request) bool { return r.Method == http.MethodDelete })
	if err := store.Delete(ctx, ref); err != nil {
		t.Errorf("delete whose answer was lost: %v", err)
	}
}

// TestPartFailures breaks parts: once, which a retry mends, and for good, which the upload reports ever after.
func TestPartFailures(t *testing.T) {
	checkLeaks(t)
	srv := s3test.Start(t)
	p := startProxy(t, srv)
	store := srv.Store(t, quick(p.URL))
	bucket := srv.Bucket(t)
	ctx := t.Context()
	body := storetest.Bytes(4, 30<<20)
	ref := objstore.Ref{Bucket: bucket, Key: "part"}

	var puts atomic.Int32
	p.set(func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method != http.MethodPut || puts.Add(1)%2 == 0 {
			return false
		}
		_, _ = io.CopyN(io.Discard, r.Body, 1<<20)
		hangUp()
		return true
	})
	u, err := store.Upload(ctx, ref, "")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := u.Write(body); err != nil {
		t.Fatal(err)
	}
	if _, err := u.Complete(ctx); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(srv.Get(t, bucket, "part"), body) {
		t.Error("the object is not what was written")
	}

	for n := range 4 { // part n and all that follow fail
		ref.Key = fmt.Sprint("broken-", n)
		p.set(func(w http.ResponseWriter, r *http.Request) bool {
			number := 0
			_, _ = fmt.Sscan(r.URL.Query().Get("partNumber"), &number)
			if r.Method != http.MethodPut || number <= n {
				return false
			}
			_, _ = io.Copy(io.Discard, r.Body)
			return slowDown(1)(w, r)
		})
		u, err := store.Upload(ctx, ref, "")
		if err != nil {
			t.Fatal(err)
		}
		_, werr := u.Write(body)
		_, cerr := u.Complete(ctx)
		if fail.KindOf(cerr) != fail.Temporary || !strings.Contains(fmt.Sprint(cerr), "SlowDown") {
			t.Errorf("complete gives %v", cerr)
		}
		if _, err := u.Write(body[:1]); err == nil || werr != nil && !errors.Is(cerr, werr) {
			t.Errorf("write gives %v and then %v, complete %v: the first failure has to stay", werr, err, cerr)
		}
		if err := u.Abort(ctx); err != nil {
			t.Error(err)
		}
		if n := srv.OpenUploads(t, bucket, ref.Key); n != 0 {
			t.Errorf("%d uploads are open", n)
		}
		if srv.Get(t, bucket, ref.Key) != nil {
			t.Error("a failed upload is visible")
		}
	}
}

// TestAbortIsRetried: the one request that must not get lost.
func TestAbortIsRetried(t *testing.T) {
	checkLeaks(t)
	srv := s3test.Start(t)
	p := startProxy(t, srv)
	store := srv.Store(t, quick(p.URL))
	bucket := srv.Bucket(t)
	u, err := store.Upload(t.Context(), objstore.Ref{Bucket: bucket, Key: "part"}, "")
	if err != nil {
		t.Fatal(err)
	}
	p.set(slowDown(4))
	if err := u.Abort(t.Context()); err != nil {
		t.Error(err)
	}
	if n := srv.OpenUploads(t, bucket, "part"); n != 0 {
		t.Errorf("%d uploads are open", n)
	}
}
