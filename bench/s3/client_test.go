package s3

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// An object that is put is read in ranges that cover it once, each request signed for its time.
func TestPutAndRead(t *testing.T) {
	var mu sync.Mutex
	objects, read := map[string][]byte{}, int64(0)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		if a := r.Header.Get("Authorization"); !strings.HasPrefix(a, "AWS4-HMAC-SHA256 Credential=key/") || len(a[strings.LastIndex(a, "=")+1:]) != 64 {
			http.Error(w, "not signed: "+a, http.StatusForbidden)
			return
		}
		if r.Method == http.MethodPut {
			var b bytes.Buffer
			if n, err := b.ReadFrom(r.Body); err != nil || n != r.ContentLength {
				t.Errorf("put: %d bytes of %d, %v", n, r.ContentLength, err)
			}
			objects[r.URL.Path] = b.Bytes()
			return
		}
		body, ok := objects[r.URL.Path]
		if !ok {
			http.Error(w, "no such key", http.StatusNotFound)
			return
		}
		var from, to int64
		if r.Header.Get("Range") == "" {
			w.Write(body)
			return
		}
		if _, err := fmt.Sscanf(r.Header.Get("Range"), "bytes=%d-%d", &from, &to); err != nil {
			t.Error(err)
		}
		read += to + 1 - from
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(body))
	}))
	defer srv.Close()
	t.Setenv("AWS_ACCESS_KEY_ID", "key")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "secret")
	s, err := Connect(srv.URL, "bucket")
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	path := filepath.Join(t.TempDir(), "file")
	const size = 20<<20 + 7
	if err := os.WriteFile(path, make([]byte, size), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := s.Put(t.Context(), "in/file", path); err != nil {
		t.Fatal(err)
	}
	if took, err := s.Read(t.Context(), "in/file", size, 4); err != nil || took <= 0 || read != size {
		t.Errorf("%d bytes of %d in %v: %v", read, size, took, err)
	}
	if _, err := s.Read(t.Context(), "in/none", 10, 2); err == nil || !strings.Contains(err.Error(), "no such key") {
		t.Errorf("an object that is not there: %v", err)
	}
	got := filepath.Join(t.TempDir(), "got")
	if err := s.Get(t.Context(), "s3://bucket/in/file", got); err != nil {
		t.Fatal(err)
	}
	if b, err := os.ReadFile(got); err != nil || !bytes.Equal(b, objects["/bucket/in/file"]) {
		t.Errorf("%d bytes came back of %d, %v", len(b), size, err)
	}
	if err := s.Get(t.Context(), "s3://another/in/file", got); err == nil {
		t.Error("an object of another bucket is no error")
	}
	if err := s.Get(t.Context(), "s3://bucket/in/none", got); err == nil {
		t.Error("an object that is not there is no error")
	}
	if s.CPU() != 0 {
		t.Error("processor time of a server that was not started")
	}
}

// The signature is what another implementation of Signature Version 4 gives for the same request.
func TestSign(t *testing.T) {
	s := &Server{Endpoint: "http://127.0.0.1:9000", Region: "us-east-1", Key: "AKIDEXAMPLE", Secret: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", Bucket: "b"}
	req, err := http.NewRequestWithContext(context.Background(), http.MethodGet, s.Endpoint+"/b/in/file.csv", nil)
	if err != nil {
		t.Fatal(err)
	}
	s.sign(req, time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC))
	const want = "ee83dc360a0ab33eb9c79c63f6a1b6905f2715c12de547e111269c26d93e0484"
	if got := req.Header.Get("Authorization"); !strings.HasSuffix(got, "Signature="+want) {
		t.Errorf("%s\nwant %s", got, want)
	}
}

// A server that is not started needs credentials and a bucket.
func TestConnectNeeds(t *testing.T) {
	t.Setenv("AWS_ACCESS_KEY_ID", "")
	if _, err := Connect("http://127.0.0.1:9000", "bucket"); err == nil {
		t.Error("no error without credentials")
	}
}
