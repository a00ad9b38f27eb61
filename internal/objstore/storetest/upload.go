package storetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"testing"

	"github.com/sluice-data/sluice/internal/fail"
	"github.com/sluice-data/sluice/internal/objstore"
)

func begin(t *testing.T, s Subject, key string) objstore.Upload {
	t.Helper()
	u, err := s.Upload(t.Context(), s.Ref(key), "application/vnd.apache.parquet")
	if err != nil {
		t.Fatalf("begin upload %q: %v", key, err)
	}
	t.Cleanup(func() { _ = u.Abort(context.Background()) }) // for a test that failed half-way
	return u
}

// write gives the bytes in pieces that no part border falls on, and spoils each piece after it was taken.
func write(t *testing.T, u objstore.Upload, body []byte) {
	t.Helper()
	for piece := 1; len(body) > 0; piece = (piece*3 + 1) % 1_000_003 {
		p := bytes.Clone(body[:min(piece, len(body))])
		if n, err := u.Write(p); n != len(p) || err != nil {
			t.Fatalf("write %d bytes: %d, %v", len(p), n, err)
		}
		body = body[len(p):]
		for i := range p {
			p[i] = 0xee
		}
	}
}

func complete(t *testing.T, u objstore.Upload) objstore.Info {
	t.Helper()
	info, err := u.Complete(t.Context())
	if err != nil {
		t.Fatalf("complete: %v", err)
	}
	return info
}

func testUpload(t *testing.T, s Subject) {
	const part = 8 << 20
	for _, size := range []int{1, part - 1, part, part + 1, 2 * part, 20 << 20} {
		key := fmt.Sprintf("data/day=2024-01-01/part-%d.parquet", size)
		body := Bytes(uint64(size), size)
		u := begin(t, s, key)
		write(t, u, body)
		info := complete(t, u)
		now := stat(t, s, key)
		if info.Ref != s.Ref(key) || info.Size != int64(size) || info.ETag != now.ETag || now.Size != info.Size {
			t.Errorf("complete says %+v, stat says %+v", info, now)
		}
		r := objstore.NewReader(t.Context(), s, now, objstore.ReaderOptions{})
		got, err := io.ReadAll(r)
		r.Close()
		if err != nil {
			t.Errorf("read back: %v", err)
		}
		same(t, key, got, body)
		if err := u.Abort(t.Context()); err != nil {
			t.Errorf("abort after complete: %v", err)
		}
		if stat(t, s, key).ETag != info.ETag {
			t.Error("abort after complete harmed the object")
		}
		if _, err := u.Write([]byte("x")); err == nil {
			t.Error("write after complete works")
		}
		if n := s.Open(t, key); n != 0 {
			t.Errorf("%d uploads are open", n)
		}
	}
}

func testInvisible(t *testing.T, s Subject) {
	u := begin(t, s, "out/part.parquet")
	body := Bytes(7, 9<<20)
	write(t, u, body)
	for _, state := range []string{"written", "flushed"} {
		if state == "flushed" {
			if err := u.Flush(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		_, err := s.Stat(t.Context(), s.Ref("out/part.parquet"), objstore.Pin{})
		isKind(t, state, err, fail.Input, objstore.ErrNotExist)
		if got := keys(t, s, ""); len(got) != 0 {
			t.Errorf("%s: bucket lists %q", state, got)
		}
		if n := s.Open(t, "out/part.parquet"); n != 1 {
			t.Errorf("%s: %d uploads are open", state, n)
		}
	}
	if _, err := u.Write([]byte("more")); err == nil {
		t.Error("write after flush works")
	}
}

// testEmptyUpload also flushes by hand, which Complete would do.
func testEmptyUpload(t *testing.T, s Subject) {
	for _, flush := range []bool{false, true} {
		key := fmt.Sprint("empty-", flush)
		u := begin(t, s, key)
		if flush {
			if err := u.Flush(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if info := complete(t, u); info.Size != 0 {
			t.Errorf("complete says %+v", info)
		}
		if info := stat(t, s, key); info.Size != 0 {
			t.Errorf("stat says %+v", info)
		}
	}
}

func testAbort(t *testing.T, s Subject) {
	put(t, s, "keep", []byte("before"))
	for _, size := range []int{0, 100, 9 << 20, 25 << 20} {
		for _, flush := range []bool{false, true} {
			for _, key := range []string{"keep", "new/part"} {
				u := begin(t, s, key)
				write(t, u, Bytes(8, size))
				if flush {
					if err := u.Flush(t.Context()); err != nil {
						t.Fatal(err)
					}
				}
				for range 2 { // idempotent
					if err := u.Abort(t.Context()); err != nil {
						t.Errorf("abort: %v", err)
					}
				}
				if n := s.Open(t, key); n != 0 {
					t.Errorf("%d uploads are open after %d bytes", n, size)
				}
				if _, err := u.Write([]byte("x")); err == nil {
					t.Error("write after abort works")
				}
				if _, err := u.Complete(t.Context()); err == nil {
					t.Error("complete after abort works")
				}
			}
		}
	}
	if got := keys(t, s, ""); len(got) != 1 {
		t.Errorf("left: %q", got)
	}
	info := stat(t, s, "keep")
	same(t, "object", read(t, s, info, 0, info.Size), []byte("before"))
}

func testAbortUploads(t *testing.T, s Subject) {
	dead := []objstore.Upload{begin(t, s, "out/part-0"), begin(t, s, "out/part-0"), begin(t, s, "out/part-0")}
	other := begin(t, s, "out/part-00")
	for _, u := range append(dead[:2:2], other) {
		write(t, u, Bytes(9, 9<<20))
	}
	if err := dead[1].Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	n, err := s.AbortUploads(t.Context(), s.Ref("out/part-0"))
	if n != 3 || err != nil {
		t.Errorf("abort uploads: %d, %v, want 3", n, err)
	}
	if n, err := s.AbortUploads(t.Context(), s.Ref("out/part-0")); n != 0 || err != nil {
		t.Errorf("abort uploads again: %d, %v", n, err)
	}
	if n, err := s.AbortUploads(t.Context(), s.Ref("never/was")); n != 0 || err != nil {
		t.Errorf("abort uploads to nothing: %d, %v", n, err)
	}
	for i, u := range dead {
		_, err := u.Complete(t.Context())
		isKind(t, fmt.Sprint("complete of lost upload ", i), err, fail.Temporary, objstore.ErrLost)
		if err := u.Abort(t.Context()); err != nil {
			t.Errorf("abort of lost upload: %v", err)
		}
	}
	complete(t, other)
	if got := keys(t, s, ""); len(got) != 1 || got[0] != "out/part-00" {
		t.Errorf("bucket holds %q", got)
	}
}

func testSticky(t *testing.T, s Subject) {
	ctx, cancel := context.WithCancel(t.Context())
	u, err := s.Upload(ctx, s.Ref("part"), "")
	if err != nil {
		t.Fatal(err)
	}
	write(t, u, Bytes(10, 9<<20))
	cancel()
	first := u.Flush(ctx)
	isKind(t, "flush", first, fail.Temporary, context.Canceled)
	_, werr := u.Write([]byte("x"))
	_, cerr := u.Complete(t.Context())
	for what, err := range map[string]error{"write": werr, "flush": u.Flush(t.Context()), "complete": cerr} {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("%s gives %v, want the first failure %v", what, err, first)
		}
	}
	// The context of the run must not be handed to Abort; if it is, the upload is cleaned up all the same.
	if err := u.Abort(ctx); err != nil {
		t.Error(err)
	}
	if n := s.Open(t, "part"); n != 0 {
		t.Errorf("%d uploads are open", n)
	}
	if _, err := s.Upload(ctx, s.Ref("part"), ""); !errors.Is(err, context.Canceled) {
		t.Errorf("upload under a dead context: %v", err)
	}
}

func testCancel(t *testing.T, s Subject) {
	info := put(t, s, "object", Bytes(11, 4<<20))
	ctx, cancel := context.WithCancel(t.Context())
	r := objstore.NewReader(ctx, s, info, objstore.ReaderOptions{PartSize: 256 << 10, Parts: 3})
	defer r.Close()
	if _, err := io.ReadFull(r, make([]byte, 300<<10)); err != nil {
		t.Fatal(err)
	}
	cancel()
	n, err := io.Copy(io.Discard, r)
	isKind(t, "read", err, fail.Temporary, context.Canceled)
	if n > 2<<20 {
		t.Errorf("%d bytes came after the cancel", n)
	}
	_, err = s.Stat(ctx, info.Ref, objstore.Pin{})
	isKind(t, "stat", err, fail.Temporary, context.Canceled)
	_, err = s.ReadRange(ctx, info, 0, 1)
	isKind(t, "read range", err, fail.Temporary, context.Canceled)
	_, err = s.Put(ctx, s.Ref("x"), []byte("x"), "", true)
	isKind(t, "put", err, fail.Temporary, context.Canceled)
	_, err = s.AbortUploads(ctx, s.Ref("x"))
	isKind(t, "abort uploads", err, fail.Temporary, context.Canceled)
	isKind(t, "delete", s.Delete(ctx, s.Ref("x")), fail.Temporary, context.Canceled)
}

// testRivalUploads has two attempts write the same key: each Complete publishes its own bytes, whole.
func testRivalUploads(t *testing.T, s Subject) {
	bodies := [][]byte{Bytes(12, 9<<20), Bytes(13, 17<<20)}
	var wait sync.WaitGroup
	for _, body := range bodies {
		u := begin(t, s, "part")
		wait.Go(func() {
			if _, err := u.Write(body); err != nil {
				t.Error(err)
			}
			if _, err := u.Complete(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	wait.Wait()
	info := stat(t, s, "part")
	got := read(t, s, info, 0, info.Size)
	if !bytes.Equal(got, bodies[0]) && !bytes.Equal(got, bodies[1]) {
		t.Error("the object is neither of the two")
	}
}
