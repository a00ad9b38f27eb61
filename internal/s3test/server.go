// Package s3test gives tests a real S3 server: versitygw over a temporary directory, built once into .bin/ from the
// module tools/s3server, or with SLUICE_E2E=minio the MinIO binary that .bin/minio is.
//
// There is one server for each test process and one bucket for each test. It is test-only, and with objstore the only
// package that may import the S3 SDK: its helpers look at the server past the store under test.
package s3test

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// Server is a running S3 server on loopback. It wants path-style requests.
type Server struct {
	Endpoint  string // http://127.0.0.1:port
	AccessKey string
	SecretKey string
	Region    string
	MinIO     bool // else versitygw

	dir    string
	client *s3.Client
}

var start = sync.OnceValues(startServer)

// Start gives the process's server, starting (and, the first time on a machine, building) it if need be. The server ends
// with the process, however that ends.
func Start(t testing.TB) *Server {
	t.Helper()
	s, err := start()
	if err != nil {
		t.Fatalf("start S3 server: %v", err)
	}
	return s
}

// Env is the environment by which a process of its own finds the server: credentials, endpoint and region as the AWS SDKs
// read them.
func (s *Server) Env() []string {
	return []string{
		"AWS_ACCESS_KEY_ID=" + s.AccessKey, "AWS_SECRET_ACCESS_KEY=" + s.SecretKey, "AWS_SESSION_TOKEN=",
		"AWS_REGION=" + s.Region, "AWS_ENDPOINT_URL_S3=" + s.Endpoint, "AWS_EC2_METADATA_DISABLED=true",
	}
}

// Setenv sets Env for the rest of the test, for stores made in this process.
func (s *Server) Setenv(t testing.TB) {
	for _, kv := range s.Env() {
		k, v, _ := strings.Cut(kv, "=")
		t.Setenv(k, v)
	}
}

func startServer() (*Server, error) {
	root, err := moduleRoot()
	if err != nil {
		return nil, err
	}
	minio := os.Getenv("SLUICE_E2E") == "minio"
	var binary string
	if minio {
		binary, err = minioBinary(root)
	} else {
		binary, err = versityBinary(root)
	}
	if err != nil {
		return nil, err
	}
	// Another process may take the port between our choosing it and the server's listening.
	var failures []error
	for range 3 {
		s, err := launch(binary, minio)
		if err == nil {
			return s, nil
		}
		failures = append(failures, err)
	}
	return nil, errors.Join(failures...)
}

// guard runs the server as a child of a shell that waits for its input to end. The write end of that pipe is ours alone,
// so the server and its directory go when this process does, also by SIGKILL.
const guard = `dir=$1; shift; "$@" >"$dir/log" 2>&1 </dev/null & pid=$!; trap '' INT TERM HUP; cat >/dev/null; kill -9 $pid; wait $pid 2>/dev/null; rm -rf "$dir"`

// keepOpen holds the write end of the guard's pipe for as long as the process lives.
var keepOpen []*os.File

func launch(binary string, minio bool) (*Server, error) {
	dir, err := os.MkdirTemp("", "sluice-s3-")
	if err != nil {
		return nil, err
	}
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	address := fmt.Sprintf("127.0.0.1:%d", port)
	s := &Server{
		Endpoint: "http://" + address, AccessKey: "test" + rand.Text()[:12], SecretKey: rand.Text(), Region: "us-east-1",
		MinIO: minio, dir: filepath.Join(dir, "data"),
	}
	for _, d := range []string{"data", "versions", "meta", "home"} {
		if err := os.Mkdir(filepath.Join(dir, d), 0o755); err != nil {
			return nil, err
		}
	}
	args := []string{"-c", guard, "s3test", dir, binary}
	if minio {
		args = append(args, "server", "--quiet", "--address", address, s.dir)
	} else {
		// A sidecar keeps metadata in files, for file systems without extended attributes.
		args = append(args, "--quiet", "--keep-alive", "--port", address, "--region", s.Region,
			"posix", "--versioning-dir", filepath.Join(dir, "versions"), "--sidecar", filepath.Join(dir, "meta"), s.dir)
	}
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(context.Background(), "sh", args...)
	cmd.Stdin = r
	cmd.Env = append(os.Environ(), "HOME="+filepath.Join(dir, "home"),
		"ROOT_ACCESS_KEY="+s.AccessKey, "ROOT_SECRET_KEY="+s.SecretKey,
		"MINIO_ROOT_USER="+s.AccessKey, "MINIO_ROOT_PASSWORD="+s.SecretKey, "MINIO_BROWSER=off", "MINIO_UPDATE=off", "MINIO_CI_CD=on")
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", binary, err)
	}
	r.Close()
	s.client = s3.New(s3.Options{
		BaseEndpoint: &s.Endpoint, UsePathStyle: true, Region: s.Region, RetryMaxAttempts: 1,
		Credentials:                credentials.NewStaticCredentialsProvider(s.AccessKey, s.SecretKey, ""),
		RequestChecksumCalculation: aws.RequestChecksumCalculationWhenRequired,
		ResponseChecksumValidation: aws.ResponseChecksumValidationWhenRequired,
		HTTPClient:                 oneShotClient(),
	})
	// A signed request answered means that it is our server: nobody else has these keys.
	for wait := time.Now(); ; time.Sleep(20 * time.Millisecond) {
		if _, err = s.client.ListBuckets(context.Background(), &s3.ListBucketsInput{}); err == nil {
			keepOpen = append(keepOpen, w)
			return s, nil
		}
		if time.Since(wait) > 20*time.Second {
			log, _ := os.ReadFile(filepath.Join(dir, "log"))
			w.Close()
			_ = cmd.Wait()
			return nil, fmt.Errorf("%s does not answer at %s: %w\n%s", filepath.Base(binary), address, err, bytes.TrimSpace(log))
		}
	}
}

func freePort() (int, error) {
	l, err := new(net.ListenConfig).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}
