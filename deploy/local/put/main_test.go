package main

import (
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// A server that is not ready yet is asked again; one that refuses is not; and there is an end to waiting.
func TestPut(t *testing.T) {
	t.Setenv("AWS_ACCESS_KEY_ID", "a")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "b")
	file := filepath.Join(t.TempDir(), "f")
	if err := os.WriteFile(file, []byte("body"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name     string
		answers  []int // the last one is given again and again
		want     string
		requests int64
	}{
		{"ready", []int{200}, "", 1},
		{"starting", []int{503, 503, 200}, "", 3},
		{"denied", []int{403}, "access denied", 1},
		{"never ready", []int{503}, "gave up waiting", 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			var n atomic.Int64
			srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				i := int(n.Add(1)) - 1
				w.WriteHeader(c.answers[min(i, len(c.answers)-1)])
			}))
			defer srv.Close()
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
			defer cancel()
			err := put(ctx, srv.URL, file, "s3://bucket/key")
			if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("error %v, want %q", err, c.want)
			}
			if n.Load() < c.requests || c.want != "gave up waiting" && n.Load() != c.requests {
				t.Errorf("%d requests, want %d", n.Load(), c.requests)
			}
		})
	}
}

// The compose file's MinIO is that of the Makefile.
func TestPin(t *testing.T) {
	pins := map[string]string{}
	for file, pattern := range map[string]string{"../../../Makefile": `MINIO_VERSION := (\S+)`, "../minio.Dockerfile": `MINIO_VERSION=(\S+)`} {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		m := regexp.MustCompile(pattern).FindSubmatch(b)
		if m == nil {
			t.Fatalf("%s pins no version of MinIO", file)
		}
		pins[string(m[1])] = file
	}
	if len(pins) != 1 {
		t.Errorf("pins differ: %v", pins)
	}
}
