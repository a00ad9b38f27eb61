package objstore_test

import (
	"context"
	"io"
	"testing"
	"time"

	"github.com/sluice-data/sluice/internal/objstore"
	"github.com/sluice-data/sluice/internal/objstore/storetest"
	"github.com/sluice-data/sluice/internal/s3test"
)

// TestFarAway: over a link with a long way and narrow connections, many are used from the start: for the first object
// that is written, and for the first one that is read.
func TestFarAway(t *testing.T) {
	srv := s3test.Start(t)
	link := s3test.Link{RTT: 50 * time.Millisecond, PerConn: 3e6} // so slow that parts are made faster than sent, also under the race detector
	bucket, body := srv.Bucket(t), storetest.Bytes(5, 96<<20)

	p := srv.Link(t, link)
	store := srv.Store(t, func(o *objstore.S3Options) { o.Endpoint = p.Endpoint })
	u, err := store.Upload(t.Context(), objstore.Ref{Bucket: bucket, Key: "written"}, "")
	if err != nil {
		t.Fatal(err)
	}
	_, err = u.Write(body)
	if err == nil {
		err = u.Flush(t.Context())
	}
	if err != nil {
		t.Error(err)
	}
	if err := u.Abort(context.WithoutCancel(t.Context())); err != nil {
		t.Error(err)
	}
	if n := p.PeakInFlight(); n < 6 {
		t.Errorf("12 parts: at most %d under way at the same time", n)
	}

	p = srv.Link(t, link)
	store = srv.Store(t, func(o *objstore.S3Options) { o.Endpoint = p.Endpoint })
	r := objstore.NewReader(t.Context(), store, srv.Put(t, bucket, "read", body), objstore.ReaderOptions{})
	if n, err := io.Copy(io.Discard, r); n != int64(len(body)) || err != nil {
		t.Errorf("%d bytes, %v", n, err)
	}
	r.Close()
	if n := p.Conns(); n < 12 {
		t.Errorf("read over %d connections", n)
	}
}

// TestNarrow: over connections that are capped and no long way, one turns out to be too little, and there are many.
func TestNarrow(t *testing.T) {
	srv := s3test.Start(t)
	p := srv.Link(t, s3test.Link{PerConn: 20e6})
	store := srv.Store(t, func(o *objstore.S3Options) { o.Endpoint = p.Endpoint })
	body := storetest.Bytes(6, 64<<20)
	info := srv.Put(t, srv.Bucket(t), "read", body)
	if _, err := store.Stat(t.Context(), info.Ref, objstore.Pin{}); err != nil { // so that it is known how near it is
		t.Fatal(err)
	}
	r := objstore.NewReader(t.Context(), store, info, objstore.ReaderOptions{})
	if n, err := io.Copy(io.Discard, r); n != int64(len(body)) || err != nil {
		t.Errorf("%d bytes, %v", n, err)
	}
	r.Close()
	if n := p.Conns(); n < 8 {
		t.Errorf("read over %d connections", n)
	}
}
