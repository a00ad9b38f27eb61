package objstore

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/sluice-data/sluice/internal/fail"
)

// cleanEnv leaves nothing of the machine's AWS configuration to a test.
func cleanEnv(t *testing.T, set ...string) {
	home := t.TempDir()
	env := map[string]string{
		"HOME": home, "AWS_CONFIG_FILE": home + "/config", "AWS_SHARED_CREDENTIALS_FILE": home + "/credentials", "AWS_EC2_METADATA_DISABLED": "true",
	}
	for _, name := range []string{
		"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3",
		"AWS_REQUEST_CHECKSUM_CALCULATION", "AWS_RESPONSE_CHECKSUM_VALIDATION", "AWS_CA_BUNDLE", "AWS_CONTAINER_CREDENTIALS_FULL_URI", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
	} {
		env[name] = ""
	}
	for i := 0; i < len(set); i += 2 {
		env[set[i]] = set[i+1]
	}
	for k, v := range env {
		t.Setenv(k, v)
	}
}

var testKeys = []string{"AWS_ACCESS_KEY_ID", "AKTEST", "AWS_SECRET_ACCESS_KEY", "secret"}

func TestNewS3(t *testing.T) {
	for _, test := range []struct {
		name      string
		env       []string
		opt       S3Options
		region    string
		endpoint  string
		path      bool
		checksums bool
	}{
		{"AWS", []string{"AWS_REGION", "eu-west-1"}, S3Options{}, "eu-west-1", "", false, true},
		{"the option beats the environment", []string{"AWS_REGION", "eu-west-1"}, S3Options{Region: "us-west-2", PathStyle: true}, "us-west-2", "", true, true},
		{"own endpoint", nil, S3Options{Endpoint: "http://127.0.0.1:9000"}, "us-east-1", "http://127.0.0.1:9000", true, false},
		{"compose host", nil, S3Options{Endpoint: "http://minio:9000"}, "us-east-1", "http://minio:9000", true, false},
		{"endpoint with a domain", nil, S3Options{Endpoint: "https://s3.example.com"}, "us-east-1", "https://s3.example.com", false, false},
		{"endpoint for all services", []string{"AWS_ENDPOINT_URL", "http://localhost:1"}, S3Options{}, "us-east-1", "http://localhost:1", true, false},
		{"endpoint for S3", []string{"AWS_ENDPOINT_URL", "http://localhost:1", "AWS_ENDPOINT_URL_S3", "http://localhost:2"}, S3Options{}, "us-east-1", "http://localhost:2", true, false},
		{"checksums on demand", []string{"AWS_REQUEST_CHECKSUM_CALCULATION", "when_supported"}, S3Options{Endpoint: "http://127.0.0.1:9000"}, "us-east-1", "http://127.0.0.1:9000", true, true},
		{"VPC endpoint", []string{"AWS_REGION", "eu-west-1"}, S3Options{Endpoint: "https://bucket.vpce-1.s3.eu-west-1.vpce.amazonaws.com"}, "eu-west-1", "https://bucket.vpce-1.s3.eu-west-1.vpce.amazonaws.com", false, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			cleanEnv(t, append(test.env, testKeys...)...)
			begin := time.Now()
			store, err := NewS3(t.Context(), test.opt)
			if err != nil {
				t.Fatal(err)
			}
			if d := time.Since(begin); d > time.Second {
				t.Errorf("it took %v: did it ask a metadata service?", d)
			}
			s := store.(*s3Store)
			o := s.client.Options()
			endpoint := ""
			if o.BaseEndpoint != nil {
				endpoint = *o.BaseEndpoint
			}
			if o.Region != test.region || endpoint != test.endpoint || o.UsePathStyle != test.path || s.checksums != test.checksums {
				t.Errorf("region %q, endpoint %q, path style %v, checksums %v, want %+v", o.Region, endpoint, o.UsePathStyle, s.checksums, test)
			}
			if o.Retryer.MaxAttempts() != 10 {
				t.Errorf("%d attempts", o.Retryer.MaxAttempts())
			}
		})
	}
	for _, opt := range []S3Options{{}, {Endpoint: "localhost:9000"}, {Endpoint: "ftp://x"}, {Endpoint: "http://"}} {
		cleanEnv(t, testKeys...)
		if _, err := NewS3(t.Context(), opt); fail.KindOf(err) != fail.Usage {
			t.Errorf("%+v gives %v, want a usage error", opt, err)
		}
	}
}

// TestS3Errors answers with what S3 answers with when something is wrong, and looks at kind and message.
func TestS3Errors(t *testing.T) {
	var status int
	var code string
	header := http.Header{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for k := range header {
			w.Header().Set(k, header.Get(k))
		}
		w.Header().Set("X-Amz-Request-Id", "REQ1")
		w.WriteHeader(status)
		if r.Method != http.MethodHead {
			fmt.Fprintf(w, `<?xml version="1.0"?><Error><Code>%s</Code><Message>words from S3</Message></Error>`, code)
		}
	}))
	defer server.Close()
	cleanEnv(t, testKeys...)
	store, err := NewS3(t.Context(), S3Options{Endpoint: server.URL, MaxAttempts: 2, MaxBackoff: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	ref, info := Ref{"bucket", "key"}, Info{Ref: Ref{"bucket", "key"}, Size: 10, ETag: "e"}
	get := func() error { _, err := store.ReadRange(t.Context(), info, 0, 10); return err }
	stat := func() error { _, err := store.Stat(t.Context(), ref, Pin{}); return err }
	put := func() error { _, err := store.Put(t.Context(), ref, []byte("x"), "", false); return err }
	putNew := func() error { _, err := store.Put(t.Context(), ref, []byte("x"), "", true); return err }
	upload := func() error { _, err := store.Upload(t.Context(), ref, ""); return err }
	for _, test := range []struct {
		status int
		code   string
		call   func() error
		kind   fail.Kind
		is     error
		says   string
	}{
		{404, "NoSuchKey", get, fail.Input, ErrNotExist, "does not exist"},
		{404, "", stat, fail.Input, ErrNotExist, "does not exist"},
		{404, "NoSuchBucket", get, fail.Input, ErrNotExist, "bucket"},
		{404, "NoSuchBucket", put, fail.Usage, ErrNotExist, "bucket"},
		{404, "NoSuchBucket", putNew, fail.Usage, ErrNotExist, "bucket"},
		{404, "NoSuchBucket", upload, fail.Usage, ErrNotExist, "bucket"},
		{403, "", stat, fail.Permission, nil, "s3:ListBucket"},
		{403, "AccessDenied", get, fail.Permission, nil, "s3:ListBucket"},
		{403, "AccessDenied", upload, fail.Permission, nil, "words from S3 (request id REQ1)"},
		{403, "InvalidAccessKeyId", get, fail.Permission, nil, "InvalidAccessKeyId"},
		{403, "SignatureDoesNotMatch", put, fail.Permission, nil, "SignatureDoesNotMatch"},
		{400, "ExpiredToken", get, fail.Permission, nil, "expired"},
		{403, "RequestTimeTooSkewed", get, fail.Permission, nil, "clock"},
		{403, "InvalidObjectState", get, fail.Input, nil, "archived"},
		{503, "SlowDown", get, fail.Temporary, nil, "SlowDown"},
		{503, "", stat, fail.Temporary, nil, "503"},
		{500, "InternalError", put, fail.Temporary, nil, "InternalError"},
		{502, "", upload, fail.Temporary, nil, "502"},
		{429, "TooManyRequests", get, fail.Temporary, nil, "429"},
		{409, "ConditionalRequestConflict", putNew, fail.Temporary, nil, "ConditionalRequestConflict"},
		{412, "PreconditionFailed", putNew, fail.Data, ErrExists, "exists"},
		{301, "PermanentRedirect", get, fail.Usage, nil, "AWS_REGION=eu-north-1"},
		{301, "", stat, fail.Usage, nil, "AWS_REGION=eu-north-1"},
		{400, "AuthorizationHeaderMalformed", put, fail.Usage, nil, "AWS_REGION=eu-north-1"},
		{501, "NotImplemented", upload, fail.Usage, nil, "NotImplemented"},
		{400, "MalformedXML", put, fail.Internal, nil, "MalformedXML"},
	} {
		status, code = test.status, test.code
		header.Set("X-Amz-Bucket-Region", "eu-north-1")
		err := test.call()
		if fail.KindOf(err) != test.kind || err == nil || !strings.Contains(err.Error(), test.says) || !strings.HasPrefix(err.Error(), "s3://bucket/key: ") {
			t.Errorf("%d %s: %v: %v, want %v and %q", test.status, test.code, fail.KindOf(err), err, test.kind, test.says)
		}
		if test.is != nil && !strings.Contains(err.Error(), test.is.Error()) {
			t.Errorf("%d %s: %v does not wrap %v", test.status, test.code, err, test.is)
		}
		if strings.Contains(fmt.Sprint(err), "operation error") || strings.Contains(fmt.Sprint(err), "\n") {
			t.Errorf("%d %s: not for a person: %v", test.status, test.code, err)
		}
	}

	server.Close()
	if err := get(); fail.KindOf(err) != fail.Temporary || !strings.Contains(err.Error(), "connection refused") {
		t.Errorf("no server: %v", err)
	}
	cleanEnv(t)
	bare, err := NewS3(t.Context(), S3Options{Endpoint: "http://127.0.0.1:1"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := bare.Stat(t.Context(), ref, Pin{}); fail.KindOf(err) != fail.Permission || !strings.Contains(err.Error(), "credentials") {
		t.Errorf("no credentials: %v", err)
	}
}

// TestCredentialsRefused: what STS and the container's agent say is not taken for an answer of S3.
func TestCredentialsRefused(t *testing.T) {
	token := t.TempDir() + "/token"
	if err := os.WriteFile(token, []byte("t"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name   string
		status int
		body   string
		agent  bool
		kind   fail.Kind
		says   string
	}{
		{"a role not to be assumed", 403, "<ErrorResponse><Error><Code>AccessDenied</Code><Message>not authorized to perform: sts:AssumeRoleWithWebIdentity</Message></Error></ErrorResponse>", false,
			fail.Permission, "no usable AWS credentials: 403 AccessDenied: not authorized to perform: sts:AssumeRoleWithWebIdentity"},
		{"an identity that is refused", 400, "<ErrorResponse><Error><Code>IDPRejectedClaim</Code><Message>no</Message></Error></ErrorResponse>", false, fail.Permission, "no usable AWS credentials: 400 IDPRejectedClaim: no"},
		{"STS out of order", 503, "", false, fail.Temporary, "AWS credentials could not be got now: 503"},
		{"an agent that is busy", 429, `{"code": "Busy", "message": "later"}`, true, fail.Temporary, "AWS credentials could not be got now: Busy: later"},
		{"an agent that knows no role", 404, `{"code": "NoRole", "message": "none"}`, true, fail.Permission, "no usable AWS credentials: NoRole: none"},
	} {
		t.Run(c.name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if c.agent {
					w.Header().Set("Content-Type", "application/json")
				}
				w.WriteHeader(c.status)
				_, _ = io.WriteString(w, c.body)
			}))
			defer server.Close()
			env := []string{"AWS_REGION", "us-east-1", "AWS_MAX_ATTEMPTS", "1", "AWS_ENDPOINT_URL_STS", server.URL, "AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/r", "AWS_WEB_IDENTITY_TOKEN_FILE", token}
			if c.agent {
				env = []string{"AWS_REGION", "us-east-1", "AWS_CONTAINER_CREDENTIALS_FULL_URI", server.URL}
			}
			cleanEnv(t, env...)
			store, err := NewS3(t.Context(), S3Options{Endpoint: "http://127.0.0.1:1", MaxAttempts: 1})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := store.Stat(t.Context(), Ref{"bucket", "key"}, Pin{}); fail.KindOf(err) != c.kind || !strings.HasPrefix(err.Error(), "s3://bucket/key: ") || !strings.Contains(err.Error(), c.says) {
				t.Errorf("%v: %v, want %v: %s", fail.KindOf(err), err, c.kind, c.says)
			}
		})
	}
}

// TestStoreThatLies gives bodies and headers that do not fit the request: none of it may pass for data.
func TestStoreThatLies(t *testing.T) {
	var answer func(w http.ResponseWriter)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("ETag", `"e"`)
		answer(w)
	}))
	defer server.Close()
	cleanEnv(t, testKeys...)
	store, err := NewS3(t.Context(), S3Options{Endpoint: server.URL, MaxAttempts: 2, MaxBackoff: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	info := Info{Ref: Ref{"bucket", "key"}, Size: 10, ETag: "e"}
	partial := func(contentRange, etag, body string) func(http.ResponseWriter) {
		return func(w http.ResponseWriter) {
			w.Header().Set("Content-Range", contentRange)
			w.Header().Set("ETag", etag)
			w.WriteHeader(http.StatusPartialContent)
			_, _ = io.WriteString(w, body)
		}
	}
	for name, test := range map[string]struct {
		answer func(http.ResponseWriter)
		kind   fail.Kind
	}{
		"the whole object":    {func(w http.ResponseWriter) { _, _ = io.WriteString(w, "0123456789") }, fail.Internal},
		"another range":       {partial("bytes 1-5/10", `"e"`, "12345"), fail.Internal},
		"another size":        {partial("bytes 0-4/11", `"e"`, "01234"), fail.Input},
		"another etag":        {partial("bytes 0-4/10", `"f"`, "01234"), fail.Input},
		"fewer bytes, always": {partial("bytes 0-4/10", `"e"`, "012"), fail.Internal}, // the rest is asked for, and is not bytes 3-4
		"more bytes":          {partial("bytes 0-4/10", `"e"`, "0123456"), fail.Internal},
	} {
		answer = test.answer
		body, err := store.ReadRange(t.Context(), info, 0, 5)
		if err == nil {
			_, err = io.ReadAll(body)
			body.Close()
		}
		if fail.KindOf(err) != test.kind || err == nil {
			t.Errorf("%s: %v, want %v", name, err, test.kind)
		}
	}
	answer = partial("bytes 0-4/10", `"e"`, "01234")
	body, err := store.ReadRange(t.Context(), info, 0, 5)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(body); string(got) != "01234" || err != nil {
		t.Errorf("the truth: %q, %v", got, err)
	}
	body.Close()
}

func TestPartSizes(t *testing.T) {
	total, last := int64(0), int64(0)
	for n := int32(1); n <= 10_000; n++ {
		size := partSize(n)
		if size < 5<<20 || size < last || size > 64<<20 {
			t.Fatalf("part %d has %d bytes", n, size)
		}
		total, last = total+size, size
	}
	if partSize(10_001) != 0 || total != 250<<30 {
		t.Errorf("10,000 parts hold %d GiB, and there is an 10,001st of %d bytes", total>>30, partSize(10_001))
	}
	if partSize(4000) != partSize(1) {
		t.Error("parts up to 31 GiB are not of one size")
	}
}

// TestUploadTooLarge stands an upload before its last byte.
func TestUploadTooLarge(t *testing.T) {
	u := &s3Upload{ref: Ref{"b", "k"}, run: context.Background(), part: 10_001}
	if _, err := u.Write([]byte("x")); fail.KindOf(err) != fail.Usage || !strings.Contains(err.Error(), "target_file_size") {
		t.Errorf("byte 250 GiB + 1: %v", err)
	}
}

func TestPartBody(t *testing.T) {
	body := numbered(3*chunkSize + 17)
	b := &partBody{size: int64(len(body))}
	for off := 0; off < len(body); off += chunkSize {
		b.chunks = append(b.chunks, body[off:min(off+chunkSize, len(body))])
	}
	for _, from := range []int64{0, 1, chunkSize - 1, chunkSize, b.size - 1, b.size} {
		if at, err := b.Seek(from, io.SeekStart); at != from || err != nil {
			t.Fatal(at, err)
		}
		got, err := io.ReadAll(b)
		if err != nil || string(got) != string(body[from:]) {
			t.Errorf("from %d: %d bytes, %v", from, len(got), err)
		}
	}
	if at, err := b.Seek(0, io.SeekEnd); at != b.size || err != nil {
		t.Error(at, err)
	}
	if at, err := b.Seek(-5, io.SeekCurrent); at != b.size-5 || err != nil {
		t.Error(at, err)
	}
	for _, off := range []int64{-1, b.size + 1} {
		if _, err := b.Seek(off, io.SeekStart); err == nil {
			t.Errorf("seek to %d works", off)
		}
	}
}
