// Package storetest is the conformance suite of objstore.Store: what every implementation must do alike.
package storetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/sluice-data/sluice/internal/fail"
	"github.com/sluice-data/sluice/internal/objstore"
)

// Subject is a store under test with an empty bucket of its own.
type Subject struct {
	objstore.Store
	Bucket string
	// Overwrite replaces an object past the store.
	Overwrite func(t *testing.T, key string, body []byte)
	// Open counts the open uploads to key past the store.
	Open func(t *testing.T, key string) int
	// Versioned says that the bucket keeps what is replaced or deleted, so that a pinned version stays readable.
	Versioned bool
	// SkipNames are odd keys that the server behind the store cannot keep, with the reason.
	SkipNames map[string]string
}

// Ref is a key in the subject's bucket.
func (s Subject) Ref(key string) objstore.Ref { return objstore.Ref{Bucket: s.Bucket, Key: key} }

// Run runs the suite; open gives a new Subject to each test.
func Run(t *testing.T, open func(t *testing.T) Subject) {
	for _, test := range []struct {
		name string
		run  func(t *testing.T, s Subject)
	}{
		{"keys are raw", testKeys},
		{"ranges", testRanges},
		{"missing objects", testMissing},
		{"pins", testPins},
		{"object replaced during a read", testReplaced},
		{"list order and paging", testList},
		{"conditional put", testPutIfAbsent},
		{"conditional put race", testPutRace},
		{"replace", testReplace},
		{"replace race", testReplaceRace},
		{"upload", testUpload},
		{"upload is invisible until Complete", testInvisible},
		{"upload of nothing", testEmptyUpload},
		{"aborted upload", testAbort},
		{"uploads of a dead attempt", testAbortUploads},
		{"failed upload stays failed", testSticky},
		{"cancel in mid-transfer", testCancel},
		{"put reader", testPutReader},
		{"delete", testDelete},
		{"glob", testGlob},
		{"reader at", testReaderAt},
		{"concurrent uploads to one key", testRivalUploads},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(t, open(t)) })
	}
}

// Bytes are n bytes that are the same for the same seed.
func Bytes(seed uint64, n int) []byte {
	b := make([]byte, n)
	r := rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8)})
	_, _ = r.Read(b) // it never fails
	return b
}

func put(t *testing.T, s Subject, key string, body []byte) objstore.Info {
	t.Helper()
	if _, err := s.Put(t.Context(), s.Ref(key), body, "application/octet-stream", false); err != nil {
		t.Fatalf("put %q: %v", key, err)
	}
	return stat(t, s, key)
}

func stat(t *testing.T, s Subject, key string) objstore.Info {
	t.Helper()
	info, err := s.Stat(t.Context(), s.Ref(key), objstore.Pin{})
	if err != nil {
		t.Fatalf("stat %q: %v", key, err)
	}
	return info
}

func read(t *testing.T, s objstore.Store, info objstore.Info, off, n int64) []byte {
	t.Helper()
	body, err := s.ReadRange(t.Context(), info, off, n)
	if err != nil {
		t.Fatalf("read %q: %v", info.Key, err)
	}
	defer body.Close()
	got, err := io.ReadAll(body)
	if err != nil {
		t.Fatalf("read %q: %v", info.Key, err)
	}
	return got
}

// same compares without printing megabytes.
func same(t *testing.T, what string, got, want []byte) {
	t.Helper()
	if !bytes.Equal(got, want) {
		t.Errorf("%s: got %d bytes, want %d, or other ones", what, len(got), len(want))
	}
}

// isKind checks what an error is, that it says where, and what it wraps (if wraps is not nil).
func isKind(t *testing.T, what string, err error, kind fail.Kind, wraps error) {
	t.Helper()
	var e *fail.Error
	switch {
	case err == nil:
		t.Errorf("%s: no error, want %v", what, kind)
	case fail.KindOf(err) != kind:
		t.Errorf("%s: error is %v, want %v: %v", what, fail.KindOf(err), kind, err)
	case wraps != nil && !errors.Is(err, wraps):
		t.Errorf("%s: error does not wrap %q: %v", what, wraps, err)
	case !errors.As(err, &e) || e.File == "":
		t.Errorf("%s: error does not name the object: %v", what, err)
	}
}

// OddKeys are names that get lost when somebody decodes, encodes or cleans them.
var OddKeys = []string{
	"plain.csv", "with space.csv", "plus+sign.csv", "per%20cent.csv", "100%.csv", "quote\"s'.csv", "ünï/çødé 日本.csv", "emoji 🦆.csv",
	"hash#tag.csv", "ques?tion.csv", "amp&ersand=x.csv", "semi;colon,comma.csv", "colon:at@.csv", "star*.csv", "brack[et]s{}.csv",
	"back\\slash.csv", "tilde~caret^.csv", "dollar$(x)`.csv", "less<more>.csv", "pipe|.csv", "day=2024-01-01/part.csv", "a/b/c/d/e/f.csv",
	"trailing space ", "..dots..", "e\u0301 combining.csv", "tab\tnewline\n.csv", "control\x01.csv",
}

func testKeys(t *testing.T, s Subject) {
	want := []string{}
	for i, key := range OddKeys {
		if why := s.SkipNames[key]; why != "" {
			t.Logf("not tried: %q: %s", key, why)
			continue
		}
		body := fmt.Appendf(nil, "%d %s", i, key)
		info := put(t, s, key, body)
		if info.Key != key || info.Size != int64(len(body)) || info.ETag == "" {
			t.Errorf("stat %q is %+v", key, info)
		}
		same(t, key, read(t, s, info, 0, info.Size), body)
		want = append(want, key)
	}
	slices.Sort(want)
	if got := keys(t, s, ""); !slices.Equal(got, want) {
		t.Errorf("list gives\n%q, want\n%q", got, want)
	}
	for _, key := range want {
		if got := keys(t, s, key); !slices.Contains(got, key) {
			t.Errorf("list of prefix %q gives %q", key, got)
		}
		if err := s.Delete(t.Context(), s.Ref(key)); err != nil {
			t.Errorf("delete %q: %v", key, err)
		}
	}
	if got := keys(t, s, ""); len(got) != 0 {
		t.Errorf("left after delete: %q", got)
	}
}

func keys(t *testing.T, s Subject, prefix string) []string {
	t.Helper()
	got := []string{}
	for info, err := range s.List(t.Context(), s.Ref(prefix)) {
		if err != nil {
			t.Fatalf("list %q: %v", prefix, err)
		}
		if info.Bucket != s.Bucket || info.ETag == "" || info.ModTime.IsZero() {
			t.Errorf("list gives %+v", info)
		}
		got = append(got, info.Key)
	}
	return got
}

func testRanges(t *testing.T, s Subject) {
	body := Bytes(1, 1000)
	info := put(t, s, "object", body)
	for _, r := range [][2]int64{{0, 1000}, {0, 1}, {999, 1}, {500, 500}, {1, 998}, {0, 0}, {1000, 0}, {500, 0}} {
		same(t, fmt.Sprint(r), read(t, s, info, r[0], r[1]), body[r[0]:r[0]+r[1]])
	}
	for _, r := range [][2]int64{{0, 1001}, {1000, 1}, {-1, 2}, {0, -1}, {1001, 0}} {
		_, err := s.ReadRange(t.Context(), info, r[0], r[1])
		isKind(t, fmt.Sprint("range ", r), err, fail.Internal, nil)
	}
	empty := put(t, s, "empty", nil)
	if got := read(t, s, empty, 0, 0); len(got) != 0 || empty.Size != 0 {
		t.Errorf("empty object has %d bytes, size %d", len(got), empty.Size)
	}
}

func testMissing(t *testing.T, s Subject) {
	_, err := s.Stat(t.Context(), s.Ref("none"), objstore.Pin{})
	isKind(t, "stat", err, fail.Input, objstore.ErrNotExist)
	_, err = s.Stat(t.Context(), objstore.Ref{Bucket: "no-such-bucket-here", Key: "none"}, objstore.Pin{})
	isKind(t, "stat in a missing bucket", err, fail.Input, objstore.ErrNotExist)
	for _, err = range s.List(t.Context(), objstore.Ref{Bucket: "no-such-bucket-here"}) {
		break
	}
	isKind(t, "list of a missing bucket", err, fail.Input, objstore.ErrNotExist)
	if got := keys(t, s, "none/"); len(got) != 0 {
		t.Errorf("a prefix that does not exist lists %q", got)
	}
	for _, pinned := range []string{"", "d41d8cd98f00b204e9800998ecf8427e"} {
		body, err := s.ReadRange(t.Context(), objstore.Info{Ref: s.Ref("none"), Size: 5, ETag: pinned}, 0, 5)
		if err == nil {
			_, err = io.ReadAll(body)
			body.Close()
		}
		isKind(t, "read", err, fail.Input, nil)
	}
}

func testPins(t *testing.T, s Subject) {
	old := put(t, s, "object", []byte("old"))
	for _, etag := range []string{old.ETag, `"` + old.ETag + `"`} {
		if info, err := s.Stat(t.Context(), s.Ref("object"), objstore.Pin{ETag: etag}); err != nil || info.ETag != old.ETag {
			t.Errorf("stat with the right pin %s: %+v, %v", etag, info, err)
		}
	}
	s.Overwrite(t, "object", []byte("new one"))
	_, err := s.Stat(t.Context(), s.Ref("object"), objstore.Pin{ETag: old.ETag})
	isKind(t, "stat with the old pin", err, fail.Input, objstore.ErrChanged)
	now := stat(t, s, "object")
	for _, part := range []string{old.ETag, now.ETag} {
		if err == nil || !bytes.Contains([]byte(err.Error()), []byte(part)) {
			t.Errorf("message does not name %s: %v", part, err)
		}
	}
	_, err = s.Stat(t.Context(), s.Ref("gone"), objstore.Pin{ETag: old.ETag})
	isKind(t, "stat of a missing object with a pin", err, fail.Input, objstore.ErrNotExist)
	if err := s.Delete(t.Context(), s.Ref("object")); err != nil {
		t.Fatal(err)
	}
	body, err := s.ReadRange(t.Context(), now, 0, now.Size)
	if err == nil {
		_, err = io.ReadAll(body)
		body.Close()
	}
	if s.Versioned {
		if err != nil {
			t.Errorf("read of a version that is kept: %v", err)
		}
		return
	}
	isKind(t, "read of a deleted object", err, fail.Input, nil)
}

// testReplaced overwrites an object with as many other bytes while a reader is in the middle of it.
func testReplaced(t *testing.T, s Subject) {
	body, part := Bytes(2, 3<<20), int64(256<<10)
	info := put(t, s, "object", body)
	r := objstore.NewReader(t.Context(), s, info, objstore.ReaderOptions{PartSize: part, Parts: 2})
	defer r.Close()
	head := make([]byte, part/2)
	if _, err := io.ReadFull(r, head); err != nil {
		t.Fatal(err)
	}
	s.Overwrite(t, "object", Bytes(3, len(body)))
	rest, err := io.ReadAll(r)
	got := append(head, rest...)
	if s.Versioned {
		if err != nil {
			t.Errorf("read of a version that is kept: %v", err)
		}
		same(t, "pinned version", got, body)
		return
	}
	isKind(t, "read on", err, fail.Input, objstore.ErrChanged)
	if len(got) > len(body) || !bytes.Equal(got, body[:len(got)]) {
		t.Errorf("the reader mixed two versions of the object in %d bytes", len(got))
	}
	if _, again := r.Read(head); !errors.Is(again, objstore.ErrChanged) {
		t.Errorf("the error does not stay: %v", again)
	}
}

func testList(t *testing.T, s Subject) {
	// "a-", "a/", "a0": a folder sorts by its slash.
	want := []string{"a-b", "a.b", "a/b", "a/b-c", "a/b0", "a0", "b/x", "é", "z"}
	for i := range 1100 {
		want = append(want, fmt.Sprintf("many/%04d", i))
	}
	slices.Sort(want)
	want = slices.Compact(want)
	var wait sync.WaitGroup
	next := make(chan string)
	for range 8 {
		wait.Go(func() {
			for key := range next {
				if _, err := s.Put(t.Context(), s.Ref(key), []byte(key), "", false); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for _, key := range want {
		next <- key
	}
	close(next)
	wait.Wait()
	if got := keys(t, s, ""); !slices.Equal(got, want) {
		t.Errorf("list gives %d keys, want %d: %.200q", len(got), len(want), got)
	}
	for prefix, n := range map[string]int{"many/": 1100, "many/00": 100, "many": 1100, "a/": 3, "a": 6, "a/b": 3, "none": 0} {
		if got := keys(t, s, prefix); len(got) != n {
			t.Errorf("list of %q gives %d keys, want %d: %.200q", prefix, len(got), n, got)
		}
	}
	count := 0
	for range s.List(t.Context(), s.Ref("many/")) {
		if count++; count == 5 {
			break
		}
	}
	if count != 5 {
		t.Errorf("a listing that is broken off gave %d", count)
	}
}

func testPutIfAbsent(t *testing.T, s Subject) {
	info, err := s.Put(t.Context(), s.Ref("dir/manifest.json"), []byte("first"), "application/json", true)
	if err != nil || info.ETag == "" || info.Size != 5 || info.Ref != s.Ref("dir/manifest.json") {
		t.Fatalf("first put: %+v, %v", info, err)
	}
	_, err = s.Put(t.Context(), s.Ref("dir/manifest.json"), []byte("second"), "application/json", true)
	isKind(t, "second put", err, fail.Data, objstore.ErrExists)
	now := stat(t, s, "dir/manifest.json")
	if now.ETag != info.ETag {
		t.Errorf("etag is %s, the put said %s", now.ETag, info.ETag)
	}
	same(t, "object", read(t, s, now, 0, now.Size), []byte("first"))
	if got := keys(t, s, ""); !slices.Equal(got, []string{"dir/manifest.json"}) {
		t.Errorf("bucket holds %q", got)
	}
}

func testPutRace(t *testing.T, s Subject) {
	for round := range 3 {
		key := fmt.Sprintf("manifest-%d", round)
		var won, lost atomic.Int32
		var winner atomic.Int64
		var wait sync.WaitGroup
		begin := make(chan struct{})
		for i := range 20 {
			wait.Go(func() {
				<-begin
				_, err := s.Put(t.Context(), s.Ref(key), fmt.Appendf(nil, "%d", i), "", true)
				switch {
				case err == nil:
					won.Add(1)
					winner.Store(int64(i))
				case errors.Is(err, objstore.ErrExists):
					lost.Add(1)
				default:
					t.Errorf("put: %v", err)
				}
			})
		}
		close(begin)
		wait.Wait()
		if won.Load() != 1 || lost.Load() != 19 {
			t.Errorf("%d won and %d lost", won.Load(), lost.Load())
		}
		info := stat(t, s, key)
		same(t, "object", read(t, s, info, 0, info.Size), fmt.Appendf(nil, "%d", winner.Load()))
	}
}

func testReplace(t *testing.T, s Subject) {
	ref := s.Ref("dir/manifest.json")
	first, err := s.Put(t.Context(), ref, []byte("first"), "application/json", true)
	if err != nil {
		t.Fatal(err)
	}
	second, err := s.Replace(t.Context(), first, []byte("second!"), "application/json")
	if err != nil || second.ETag == "" || second.ETag == first.ETag || second.Size != 7 || second.Ref != ref {
		t.Fatalf("replace: %+v, %v", second, err)
	}
	_, err = s.Replace(t.Context(), first, []byte("third"), "application/json")
	isKind(t, "replace of what is not there any more", err, fail.Input, objstore.ErrChanged)
	now := stat(t, s, "dir/manifest.json")
	if now.ETag != second.ETag {
		t.Errorf("etag is %s, the replacement said %s", now.ETag, second.ETag)
	}
	same(t, "object", read(t, s, now, 0, now.Size), []byte("second!"))
	if s.Versioned {
		return // versitygw 1.8 takes the version under a delete marker for the object
	}
	if err := s.Delete(t.Context(), ref); err != nil {
		t.Fatal(err)
	}
	_, err = s.Replace(t.Context(), second, []byte("third"), "application/json")
	isKind(t, "replace of what is gone", err, fail.Input, objstore.ErrChanged)
	if got := keys(t, s, ""); len(got) != 0 {
		t.Errorf("bucket holds %q", got)
	}
}

func testReplaceRace(t *testing.T, s Subject) {
	for round := range 3 {
		key := fmt.Sprintf("manifest-%d", round)
		first, err := s.Put(t.Context(), s.Ref(key), []byte("first"), "", true)
		if err != nil {
			t.Fatal(err)
		}
		var won, lost atomic.Int32
		var winner atomic.Int64
		var wait sync.WaitGroup
		begin := make(chan struct{})
		for i := range 20 {
			wait.Go(func() {
				<-begin
				_, err := s.Replace(t.Context(), first, fmt.Appendf(nil, "%d", i), "")
				switch {
				case err == nil:
					won.Add(1)
					winner.Store(int64(i))
				case errors.Is(err, objstore.ErrChanged):
					lost.Add(1)
				default:
					t.Errorf("replace: %v", err)
				}
			})
		}
		close(begin)
		wait.Wait()
		if won.Load() != 1 || lost.Load() != 19 {
			t.Errorf("%d won and %d lost", won.Load(), lost.Load())
		}
		info := stat(t, s, key)
		same(t, "object", read(t, s, info, 0, info.Size), fmt.Appendf(nil, "%d", winner.Load()))
	}
}

func testGlob(t *testing.T, s Subject) {
	for _, key := range []string{"in/a.csv", "in/b.csv", "in/x[1].csv", "in/x1.csv", "in/sub/c.csv", "in/_runs/m.csv", "in/.h.csv", "in/sub/_SUCCESS", "inn.csv"} {
		put(t, s, key, []byte(key))
	}
	for pattern, want := range map[string][]string{
		"in/*.csv":    {"in/a.csv", "in/b.csv", "in/x1.csv", "in/x[1].csv"},
		"in/**.csv":   {"in/a.csv", "in/b.csv", "in/sub/c.csv", "in/x1.csv", "in/x[1].csv"},
		"in/":         {"in/a.csv", "in/b.csv", "in/sub/c.csv", "in/x1.csv", "in/x[1].csv"},
		"in/_runs/":   {"in/_runs/m.csv"},
		"in/x[1].csv": {"in/x[1].csv"},
		"in/[ab].csv": {"in/a.csv", "in/b.csv"},
		"in*":         {"inn.csv"},
		"none*":       {},
		"none/":       {},
		"in/a.csv":    {"in/a.csv"},
	} {
		got := []string{}
		for info, err := range objstore.Glob(t.Context(), s, s.Ref(pattern)) {
			if err != nil {
				t.Fatalf("%s: %v", pattern, err)
			}
			got = append(got, info.Key)
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s gives %q, want %q", pattern, got, want)
		}
	}
	for _, err := range objstore.Glob(t.Context(), s, s.Ref("in/none.csv")) {
		isKind(t, "a name that is no glob", err, fail.Input, objstore.ErrNotExist)
	}
}

func testReaderAt(t *testing.T, s Subject) {
	body := Bytes(4, 100_000)
	info := put(t, s, "object", body)
	r := objstore.NewReaderAt(t.Context(), s, info)
	defer r.Close()
	var wait sync.WaitGroup
	for i := range 8 {
		wait.Go(func() {
			p := make([]byte, 1000)
			for off := i * 1000; off < len(body); off += 17_000 {
				if n, err := r.ReadAt(p, int64(off)); n != 1000 || err != nil {
					t.Errorf("read at %d: %d, %v", off, n, err)
				}
				same(t, fmt.Sprint("at ", off), p, body[off:off+1000])
			}
		})
	}
	wait.Wait()
	p := make([]byte, 10)
	for off, want := range map[int64]int{99_995: 5, 100_000: 0, 200_000: 0} {
		if n, err := r.ReadAt(p, off); n != want || err != io.EOF {
			t.Errorf("read at %d: %d, %v, want %d and io.EOF", off, n, err, want)
		}
	}
	if n, err := r.ReadAt(p, 99_990); n != 10 || err != nil && err != io.EOF {
		t.Errorf("read up to the end: %d, %v", n, err)
	}
}

func testDelete(t *testing.T, s Subject) {
	put(t, s, "a/b", []byte("x"))
	put(t, s, "a/c", []byte("y"))
	for range 2 { // a missing object is no error
		if err := s.Delete(t.Context(), s.Ref("a/b")); err != nil {
			t.Error(err)
		}
	}
	if err := s.Delete(t.Context(), s.Ref("never/was")); err != nil {
		t.Error(err)
	}
	if got := keys(t, s, ""); !slices.Equal(got, []string{"a/c"}) {
		t.Errorf("left: %q", got)
	}
}

func testPutReader(t *testing.T, s Subject) {
	for _, size := range []int{0, 10, 9 << 20} {
		body := Bytes(5, size)
		for what, r := range map[string]io.Reader{"a stream": io.MultiReader(bytes.NewReader(body)), "a buffer": bytes.NewReader(body)} {
			info, err := objstore.PutReader(t.Context(), s, s.Ref("object"), r, "application/gzip")
			if err != nil || info.Size != int64(size) {
				t.Fatalf("%s of %d bytes: %+v, %v", what, size, info, err)
			}
			same(t, what, read(t, s, stat(t, s, "object"), 0, int64(size)), body)
		}
	}
	before := stat(t, s, "object")
	broken := errors.New("broken source")
	_, err := objstore.PutReader(t.Context(), s, s.Ref("object"), io.MultiReader(bytes.NewReader(Bytes(6, 20<<20)), errReader{broken}), "")
	if !errors.Is(err, broken) {
		t.Errorf("a failing source gives %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	_, err = objstore.PutReader(ctx, s, s.Ref("object"), io.MultiReader(bytes.NewReader(Bytes(6, 20<<20)), cancelReader{cancel}), "")
	isKind(t, "cancelled put", err, fail.Temporary, context.Canceled)
	if after := stat(t, s, "object"); after.ETag != before.ETag {
		t.Errorf("a failed put changed the object: %+v", after)
	}
	if n := s.Open(t, "object"); n != 0 {
		t.Errorf("%d uploads are open", n)
	}
}

type errReader struct{ err error }

func (r errReader) Read([]byte) (int, error) { return 0, r.err }

// cancelReader ends a context and then the stream.
type cancelReader struct{ cancel func() }

func (r cancelReader) Read([]byte) (int, error) {
	r.cancel()
	return 0, io.EOF
}
