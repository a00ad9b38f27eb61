package objstore_test

import (
	"context"
	"fmt"
	"io"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/sluice-data/sluice/internal/objstore"
	"github.com/sluice-data/sluice/internal/objstore/storetest"
	"github.com/sluice-data/sluice/internal/s3test"
)

// links are what S3 may be reached over: not at all, as from EC2, and a narrow one, of which two cores can take all.
var links = []struct {
	name string
	s3test.Link
}{
	{"loopback", s3test.Link{}},
	{"conn=100MBps", s3test.Link{PerConn: 100e6}},
	{"rtt=50ms", s3test.Link{RTT: 50 * time.Millisecond}},
	{"rtt=50ms,conn=100MBps", s3test.Link{RTT: 50 * time.Millisecond, PerConn: 100e6}},
	{"rtt=50ms,conn=20MBps,link=200MBps", s3test.Link{RTT: 50 * time.Millisecond, PerConn: 20e6, Total: 200e6}},
}

// over is a store behind the link.
func over(b *testing.B, srv *s3test.Server, link s3test.Link) objstore.Store {
	return srv.Store(b, func(o *objstore.S3Options) {
		if link != (s3test.Link{}) {
			o.Endpoint = srv.Link(b, link).Endpoint
		}
	})
}

// BenchmarkRing reads one large object: "plain" by 48 connections that each ask for 4 MiB and throw it away, which is what
// the link gives; "reader" as a run does, in order and within 32 MiB.
func BenchmarkRing(b *testing.B) {
	srv := s3test.Start(b)
	const size = 512 << 20
	info := srv.Put(b, srv.Bucket(b), "object", storetest.Bytes(1, size))
	for _, link := range links {
		store := over(b, srv, link.Link)
		b.Run(link.name+"/plain", func(b *testing.B) {
			b.SetBytes(size)
			defer cpu(b)()
			for b.Loop() {
				plainRead(b, store, info, 48, 4<<20)
			}
		})
		b.Run(link.name+"/reader", func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(size)
			defer cpu(b)()
			for b.Loop() {
				r := objstore.NewReader(b.Context(), store, info, objstore.ReaderOptions{})
				if n, err := io.CopyBuffer(struct{ io.Writer }{io.Discard}, r, make([]byte, 1<<20)); n != size || err != nil {
					b.Fatal(n, err)
				}
				r.Close()
			}
		})
	}
}

// cpu reports the processor time of this process for each iteration: on a busy machine it says more than the clock.
func cpu(b *testing.B) func() {
	used := func() time.Duration {
		var u syscall.Rusage
		if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
			b.Fatal(err)
		}
		return time.Duration(u.Utime.Nano() + u.Stime.Nano())
	}
	begin := used()
	return func() { b.ReportMetric(float64((used()-begin).Milliseconds())/float64(b.N), "cpu-ms/op") }
}

func plainRead(b *testing.B, store objstore.Store, info objstore.Info, conns int, part int64) {
	var next atomic.Int64
	var wait sync.WaitGroup
	for range conns {
		wait.Go(func() {
			buf := make([]byte, 256<<10)
			for {
				off := next.Add(part) - part
				if off >= info.Size {
					return
				}
				body, err := store.ReadRange(b.Context(), info, off, min(part, info.Size-off))
				if err == nil {
					_, err = io.CopyBuffer(struct{ io.Writer }{io.Discard}, body, buf)
					body.Close()
				}
				if err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wait.Wait()
}

// BenchmarkManyObjects reads small objects one after the other, with the next ones on their way.
func BenchmarkManyObjects(b *testing.B) {
	srv := s3test.Start(b)
	const count, size = 500, 100_000
	bucket, body := srv.Bucket(b), storetest.Bytes(2, size)
	var infos []objstore.Info
	for i := range count {
		infos = append(infos, srv.Put(b, bucket, fmt.Sprintf("o/%04d", i), body))
	}
	for _, link := range []int{0, 3} {
		link := links[link]
		store := over(b, srv, link.Link)
		b.Run(link.name, func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(count * size)
			defer cpu(b)()
			buf := make([]byte, 1<<20)
			for b.Loop() {
				rs := objstore.NewReaders(store, infos, objstore.ReaderOptions{})
				for i := range infos {
					r := rs.Open(b.Context(), i)
					if n, err := io.CopyBuffer(struct{ io.Writer }{io.Discard}, r, buf); n != size || err != nil {
						b.Fatal(n, err)
					}
					r.Close()
				}
				rs.Close()
			}
		})
	}
}

// BenchmarkUpload writes one large object: "plain" as objects of 8 MiB by 48 connections, which is what the link takes;
// "upload" as a sink does, which is then given up.
func BenchmarkUpload(b *testing.B) {
	srv := s3test.Start(b)
	const size, part = 256 << 20, 8 << 20
	bucket, body := srv.Bucket(b), storetest.Bytes(3, size)
	for _, link := range links {
		store := over(b, srv, link.Link)
		b.Run(link.name+"/plain", func(b *testing.B) {
			b.SetBytes(size)
			defer cpu(b)()
			for b.Loop() {
				plainWrite(b, store, bucket, body, 48, part)
			}
		})
		b.Run(link.name+"/upload", func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(size)
			defer cpu(b)()
			for b.Loop() {
				u, err := store.Upload(b.Context(), objstore.Ref{Bucket: bucket, Key: "object"}, "")
				if err != nil {
					b.Fatal(err)
				}
				for rest := body; len(rest) > 0; rest = rest[1<<20:] {
					if _, err := u.Write(rest[:1<<20]); err != nil {
						b.Fatal(err)
					}
				}
				if err := u.Flush(b.Context()); err != nil {
					b.Fatal(err)
				}
				b.StopTimer()
				if err := u.Abort(context.WithoutCancel(b.Context())); err != nil {
					b.Fatal(err)
				}
				b.StartTimer()
			}
		})
	}
}

func plainWrite(b *testing.B, store objstore.Store, bucket string, body []byte, conns, part int) {
	var next atomic.Int64
	var wait sync.WaitGroup
	for range conns {
		wait.Go(func() {
			for {
				off := int(next.Add(int64(part))) - part
				if off >= len(body) {
					return
				}
				ref := objstore.Ref{Bucket: bucket, Key: fmt.Sprintf("plain/%d", off)}
				if _, err := store.Put(b.Context(), ref, body[off:min(off+part, len(body))], "", false); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wait.Wait()
}

// BenchmarkListDir lists a directory of small files.
func BenchmarkListDir(b *testing.B) {
	root := b.TempDir()
	body := storetest.Bytes(4, 100_000)
	for i := range 1000 {
		if err := os.WriteFile(fmt.Sprintf("%s/%04d.csv", root, i), body, 0o644); err != nil {
			b.Fatal(err)
		}
	}
	store := objstore.NewDir("")
	b.ReportAllocs()
	for b.Loop() {
		n := 0
		for _, err := range store.List(b.Context(), objstore.Ref{Key: root + "/"}) {
			if err != nil {
				b.Fatal(err)
			}
			n++
		}
		if n != 1000 {
			b.Fatal(n)
		}
	}
}
