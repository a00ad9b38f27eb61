// Package s3 starts MinIO for the benchmark, and puts and gets objects without the SDK that the worker uses.
package s3

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Server is a store on which there is one bucket for the benchmark.
type Server struct {
	Endpoint string // http://host:port
	Region   string
	Key      string
	Secret   string
	Bucket   string

	pid  int // of the process that was started; 0 is one that was there
	stop func() error
	http *http.Client
}

// Connect is a server that runs already, with the credentials of the AWS_… environment and a bucket that is there.
func Connect(endpoint, bucket string) (*Server, error) {
	s := &Server{Endpoint: strings.TrimSuffix(endpoint, "/"), Bucket: bucket, Region: os.Getenv("AWS_REGION"),
		Key: os.Getenv("AWS_ACCESS_KEY_ID"), Secret: os.Getenv("AWS_SECRET_ACCESS_KEY"), http: client()}
	if s.Region == "" {
		s.Region = "us-east-1"
	}
	if s.Key == "" || s.Secret == "" || bucket == "" {
		return nil, errors.New("a server that runs already needs a bucket, AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY")
	}
	return s, nil
}

// client keeps as many connections as Read may ask for.
func client() *http.Client {
	return &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64, ReadBufferSize: 64 << 10, WriteBufferSize: 64 << 10, DisableCompression: true}}
}

// Env is the environment by which the worker finds the server.
func (s *Server) Env() []string {
	return []string{"AWS_ACCESS_KEY_ID=" + s.Key, "AWS_SECRET_ACCESS_KEY=" + s.Secret, "AWS_SESSION_TOKEN=", "AWS_REGION=" + s.Region,
		"AWS_ENDPOINT_URL_S3=" + s.Endpoint, "AWS_EC2_METADATA_DISABLED=true"}
}

// URI is the object's, or the prefix's.
func (s *Server) URI(key string) string { return "s3://" + s.Bucket + "/" + key }

// Close ends a server that was started.
func (s *Server) Close() error {
	s.http.CloseIdleConnections()
	if s.stop == nil {
		return nil
	}
	return s.stop()
}

// Put writes a file as one object.
func (s *Server) Put(ctx context.Context, key, path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return err
	}
	resp, err := s.do(ctx, http.MethodPut, key, io.NopCloser(f), st.Size(), "")
	if err != nil {
		return err
	}
	return resp.Body.Close()
}

// Get writes the object that has the URI to a file.
func (s *Server) Get(ctx context.Context, uri, path string) (err error) {
	key, ok := strings.CutPrefix(uri, s.URI(""))
	if !ok {
		return fmt.Errorf("get %s: it is not in bucket %s", uri, s.Bucket)
	}
	resp, err := s.do(ctx, http.MethodGet, key, nil, 0, "")
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	_, err = io.Copy(f, resp.Body) // too short a body is an error
	return err
}

// Read gets the object of that size in ranges over several connections, and throws its bytes away. It says how long that took.
func (s *Server) Read(ctx context.Context, key string, size int64, conns int) (time.Duration, error) {
	const part = 8 << 20
	var next atomic.Int64
	var wait sync.WaitGroup
	errs := make([]error, conns)
	begin := time.Now()
	for i := range conns {
		wait.Go(func() {
			buf := make([]byte, 1<<20)
			for errs[i] == nil {
				off := next.Add(part) - part
				if off >= size {
					return
				}
				errs[i] = s.readRange(ctx, key, off, min(part, size-off), buf)
			}
		})
	}
	wait.Wait()
	return time.Since(begin), errors.Join(errs...)
}

func (s *Server) readRange(ctx context.Context, key string, off, n int64, buf []byte) error {
	resp, err := s.do(ctx, http.MethodGet, key, nil, 0, fmt.Sprintf("bytes=%d-%d", off, off+n-1))
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	got, err := io.CopyBuffer(struct{ io.Writer }{io.Discard}, resp.Body, buf)
	if err == nil && got != n {
		err = fmt.Errorf("get %s: %d bytes of %d", key, got, n)
	}
	return err
}

// do sends a request, signed (Signature Version 4, S3 API reference, "Authenticating Requests"), for an object, or for the bucket where
// key is empty. An answer that is no success is an error.
func (s *Server) do(ctx context.Context, method, key string, body io.ReadCloser, size int64, ranges string) (*http.Response, error) {
	u, err := url.Parse(s.Endpoint + "/" + s.Bucket)
	if err != nil {
		return nil, err
	}
	if key != "" {
		u = u.JoinPath(key)
	}
	req, err := http.NewRequestWithContext(ctx, method, u.String(), body)
	if err != nil {
		return nil, err
	}
	req.ContentLength = size
	if ranges != "" {
		req.Header.Set("Range", ranges)
	}
	s.sign(req, time.Now().UTC())
	resp, err := s.http.Do(req)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode/100 != 2 {
		defer resp.Body.Close()
		said, err := io.ReadAll(io.LimitReader(resp.Body, 1000))
		return nil, errors.Join(fmt.Errorf("%s %s: %s: %s", method, u.Path, resp.Status, said), err)
	}
	return resp, nil
}

func (s *Server) sign(req *http.Request, now time.Time) {
	const unsigned = "UNSIGNED-PAYLOAD"
	stamp, day := now.Format("20060102T150405Z"), now.Format("20060102")
	req.Header.Set("X-Amz-Date", stamp)
	req.Header.Set("X-Amz-Content-Sha256", unsigned)
	const names = "host;x-amz-content-sha256;x-amz-date"
	canonical := strings.Join([]string{req.Method, req.URL.EscapedPath(), "", "host:" + req.URL.Host, "x-amz-content-sha256:" + unsigned, "x-amz-date:" + stamp, "", names, unsigned}, "\n")
	digest := sha256.Sum256([]byte(canonical))
	scope := day + "/" + s.Region + "/s3/aws4_request"
	text := strings.Join([]string{"AWS4-HMAC-SHA256", stamp, scope, hex.EncodeToString(digest[:])}, "\n")
	key := []byte("AWS4" + s.Secret)
	for _, part := range []string{day, s.Region, "s3", "aws4_request", text} {
		h := hmac.New(sha256.New, key)
		h.Write([]byte(part))
		key = h.Sum(nil)
	}
	req.Header.Set("Authorization", fmt.Sprintf("AWS4-HMAC-SHA256 Credential=%s/%s, SignedHeaders=%s, Signature=%s", s.Key, scope, names, hex.EncodeToString(key)))
}

// secret is a new password.
func secret() string { return rand.Text() }
