package s3test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sluice-data/sluice/internal/objstore"
)

func TestServer(t *testing.T) {
	s := Start(t)
	if Start(t) != s {
		t.Error("a process has two servers")
	}
	bucket := s.Bucket(t)
	for _, key := range []string{"b", "a+b c%20", "é/x"} {
		if info := s.Put(t, bucket, key, []byte(key)); info.ETag == "" || info.VersionID != "" {
			t.Errorf("put gives %+v", info)
		}
		if got := s.Get(t, bucket, key); string(got) != key {
			t.Errorf("get %q gives %q", key, got)
		}
	}
	if got := s.Get(t, bucket, "none"); got != nil {
		t.Errorf("get of nothing gives %q", got)
	}
	if got := s.Keys(t, bucket); !slices.Equal(got, []string{"a+b c%20", "b", "é/x"}) {
		t.Errorf("keys are %q", got)
	}
	if info := s.Put(t, s.VersionedBucket(t), "key", []byte("x")); info.VersionID == "" {
		t.Error("a versioned bucket gives no version")
	}
	store := s.Store(t)
	ref := s.Put(t, bucket, "part", nil).Ref
	u, err := store.Upload(t.Context(), ref, "")
	if err != nil {
		t.Fatal(err)
	}
	for _, keys := range [][]string{{"part"}, {"part", "other"}, nil} {
		if n := s.OpenUploads(t, bucket, keys...); n != 1 {
			t.Errorf("%d open uploads to %q, want 1", n, keys)
		}
	}
	if n := s.OpenUploads(t, bucket, "par"); n != 0 {
		t.Errorf("%d open uploads to another key", n)
	}
	if err := u.Abort(t.Context()); err != nil {
		t.Error(err)
	}
	if n := s.OpenUploads(t, bucket); n != 0 {
		t.Errorf("%d open uploads after abort", n)
	}
}

// TestServerEndsWithItsProcess kills a process that has a server, in the way that leaves it no last word.
func TestServerEndsWithItsProcess(t *testing.T) {
	if os.Getenv("S3TEST_CHILD") != "" {
		s := Start(t)
		fmt.Printf("\nserver %s %s\n", s.Endpoint, s.dir)
		select {}
	}
	child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestServerEndsWithItsProcess$")
	child.Env = append(os.Environ(), "S3TEST_CHILD=1")
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	var endpoint, dir string
	for lines := bufio.NewScanner(out); endpoint == "" && lines.Scan(); {
		if line, ok := strings.CutPrefix(lines.Text(), "server "); ok {
			endpoint, dir, _ = strings.Cut(line, " ")
		}
	}
	if endpoint == "" {
		t.Fatal("the child starts no server")
	}
	answers := func() bool {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, endpoint, nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := oneShotClient().Do(req)
		if err == nil {
			resp.Body.Close()
		}
		return err == nil
	}
	if !answers() {
		t.Error("the server does not answer while its process lives")
	}
	if err := child.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = child.Wait()
	for begin := time.Now(); answers() || exists(dir); time.Sleep(20 * time.Millisecond) {
		if time.Since(begin) > 10*time.Second {
			t.Fatalf("10 s after its process the server answers: %v, its directory is there: %v", answers(), exists(dir))
		}
	}
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// TestLink: requests cross the link whole, are counted, and take at least the round trip each.
func TestLink(t *testing.T) {
	s := Start(t)
	const trip = 20 * time.Millisecond
	p := s.Link(t, Link{RTT: trip, PerConn: 50e6, Total: 80e6})
	body := bytes.Repeat([]byte("0123456789abcdef"), 1<<16)
	info := s.Put(t, s.Bucket(t), "object", body)
	store := s.Store(t, func(o *objstore.S3Options) { o.Endpoint = p.Endpoint })
	begin := time.Now()
	for i := range 3 {
		r, err := store.ReadRange(t.Context(), info, 0, info.Size)
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(r)
		r.Close()
		if err != nil || !bytes.Equal(got, body) {
			t.Fatalf("%d bytes of %d, %v", len(got), len(body), err)
		}
		if p.Requests() != i+1 || p.Conns() != 1 || p.PeakInFlight() != 1 {
			t.Errorf("%d requests on %d connections, at most %d at the same time", p.Requests(), p.Conns(), p.PeakInFlight())
		}
	}
	// 3 MiB at 50 MB/s and three round trips: no machine is faster than its line
	if least := 3*trip + 3<<20*time.Second/50e6 - 3*2*burst; time.Since(begin) < least {
		t.Errorf("it took %v, the link gives it in %v", time.Since(begin), least)
	}
}
