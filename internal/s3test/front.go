package s3test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
)

// Front is AWS where the real server behind it is none: it gives chosen calls the errors that AWS gives, in AWS's words, and
// stands in for KMS and storage classes. Everything else is the server's.
type Front struct {
	Endpoint string // http://127.0.0.1:port
	// Deaf passes over the wish for encryption, as stores do that have none.
	Deaf atomic.Bool

	server *Server
	mu     sync.Mutex
	rule   func(Call) *Answer
	calls  []Call
	kept   map[string]http.Header // what objects were written with, by bucket and key
}

// Call is a request by the name that it has in S3's API.
type Call struct {
	Op, Bucket, Key string      // "UploadPart"; Key of a list is its prefix
	Part            int         // of UploadPart
	N               int         // calls of this Op that were answered by the rule's front before, from 0
	Header          http.Header // as it was sent
}

// Answer is an error of AWS.
type Answer struct {
	Status        int
	Code, Message string
}

// Denied is what IAM answers for a role that lacks the action.
func Denied(action, resource string) *Answer {
	return &Answer{http.StatusForbidden, "AccessDenied", fmt.Sprintf("User: arn:aws:sts::111122223333:assumed-role/worker/task is not authorized to perform: %s "+
		"on resource: %q because no identity-based policy allows the %s action", action, resource, action)}
}

// asked are the headers that only AWS understands; the front answers those of encryption.
var asked = []string{"X-Amz-Server-Side-Encryption", "X-Amz-Server-Side-Encryption-Aws-Kms-Key-Id", "X-Amz-Storage-Class"}

// Front starts one in front of the server; it ends with the test.
func (s *Server) Front(t testing.TB) *Front {
	t.Helper()
	target, err := url.Parse(s.Endpoint)
	if err != nil {
		t.Fatal(err)
	}
	f := &Front{server: s, kept: map[string]http.Header{}}
	forward := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(target)
			r.Out.Host = r.In.Host // it is signed
			if slices.ContainsFunc(asked, func(h string) bool { return r.In.Header.Get(h) != "" }) {
				f.plain(r.Out)
			}
		},
		ModifyResponse: func(resp *http.Response) error {
			if sent, ok := resp.Request.Context().Value(f).(http.Header); ok && !f.Deaf.Load() && resp.StatusCode < 300 {
				for h, v := range f.keep(callOf(resp.Request), sent) {
					resp.Header[h] = v
				}
			}
			return nil
		},
		Transport:    &http.Transport{DisableKeepAlives: true},
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusBadGateway) },
	}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if a := f.answer(r); a != nil {
			_, _ = io.Copy(io.Discard, r.Body)
			w.Header().Set("Content-Type", "application/xml")
			w.WriteHeader(a.Status)
			if r.Method != http.MethodHead {
				fmt.Fprintf(w, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>%s</Code><Message>%s</Message><RequestId>4442587FB7D0A2F9</RequestId></Error>",
					a.Code, strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&quot;").Replace(a.Message))
			}
			return
		}
		forward.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), f, r.Header.Clone())))
	}))
	t.Cleanup(srv.Close)
	f.Endpoint = srv.URL
	return f
}

// keep is what the answer to a call says of encryption and storage class: that of a write says what it was sent with, and that of a read what the object was written with.
func (f *Front) keep(c Call, sent http.Header) http.Header {
	f.mu.Lock()
	defer f.mu.Unlock()
	at := c.Bucket + "/" + c.Key
	says := http.Header{}
	switch c.Op {
	case "CreateMultipartUpload", "PutObject":
		f.kept[at] = http.Header{}
		for _, h := range asked {
			if v := sent.Get(h); v != "" {
				f.kept[at].Set(h, v)
			}
		}
		says = f.kept[at].Clone()
		says.Del("X-Amz-Storage-Class")
	case "HeadObject", "GetObject":
		says = f.kept[at].Clone()
	}
	return says
}

// Answer makes rule decide about calls from now on: nil is the server's own answer. What was called before is forgotten.
func (f *Front) Answer(rule func(Call) *Answer) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.rule, f.calls = rule, nil
}

// Calls are those since the last Answer.
func (f *Front) Calls() []Call {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.calls)
}

func (f *Front) answer(r *http.Request) *Answer {
	c := callOf(r)
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, before := range f.calls {
		if before.Op == c.Op {
			c.N++
		}
	}
	f.calls = append(f.calls, c)
	if f.rule == nil {
		return nil
	}
	return f.rule(c)
}

// plain takes what only AWS understands off a request and signs it again.
func (f *Front) plain(r *http.Request) {
	hash := r.Header.Get("X-Amz-Content-Sha256")
	for _, h := range append([]string{"Authorization"}, asked...) {
		r.Header.Del(h)
	}
	signer := v4.NewSigner(func(o *v4.SignerOptions) { o.DisableURIPathEscaping = true })
	keys := aws.Credentials{AccessKeyID: f.server.AccessKey, SecretAccessKey: f.server.SecretKey}
	if err := signer.SignHTTP(r.Context(), keys, r, hash, "s3", f.server.Region, time.Now()); err != nil {
		r.Header.Del("X-Amz-Date") // the server then refuses it
	}
}

// callOf names a request. S3 API reference, "Actions".
func callOf(r *http.Request) Call {
	q := r.URL.Query()
	bucket, key, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	c := Call{Op: r.Method, Bucket: bucket, Key: key, Header: r.Header.Clone()}
	part, _ := strconv.Atoi(q.Get("partNumber"))
	switch {
	case r.Method == http.MethodGet && q.Has("uploads"):
		c.Op, c.Key = "ListMultipartUploads", q.Get("prefix")
	case r.Method == http.MethodGet && key == "":
		c.Op, c.Key = "ListObjectsV2", q.Get("prefix")
	case r.Method == http.MethodGet:
		c.Op = "GetObject"
	case r.Method == http.MethodHead:
		c.Op = "HeadObject"
	case r.Method == http.MethodPut && part > 0:
		c.Op, c.Part = "UploadPart", part
	case r.Method == http.MethodPut:
		c.Op = "PutObject"
	case r.Method == http.MethodPost && q.Has("uploads"):
		c.Op = "CreateMultipartUpload"
	case r.Method == http.MethodPost && q.Has("uploadId"):
		c.Op = "CompleteMultipartUpload"
	case r.Method == http.MethodDelete && q.Has("uploadId"):
		c.Op = "AbortMultipartUpload"
	case r.Method == http.MethodDelete:
		c.Op = "DeleteObject"
	}
	return c
}
