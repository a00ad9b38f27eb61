// Package pgtest is a real PostgreSQL for tests: one server for the test binary, a database for each test.
package pgtest

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// Password is that of the role guarded, which the server asks for it; the superuser postgres needs none.
const Password = "secret of the guarded"

// Server is a running PostgreSQL.
type Server struct {
	Addr string // host:port
	CA   string // file with the certificate that signed the server's, for localhost
	dir  string
	cmd  *exec.Cmd
	done chan struct{} // closed when the process has ended
	quit chan struct{} // closed to end the process's parent thread
	log  string
}

var (
	once      sync.Once
	shared    *Server
	startErr  error
	databases atomic.Int32
)

// Start is the test binary's server, which it starts when it is first asked for. Where there is no PostgreSQL the test is skipped, with SLUICE_E2E set it
// fails. A package that uses it has a TestMain that runs Tests.
func Start(t testing.TB) *Server {
	t.Helper()
	once.Do(func() { shared, startErr = start() })
	var none errNone
	switch {
	case errors.As(startErr, &none) && os.Getenv("SLUICE_E2E") == "":
		t.Skip(startErr)
	case startErr != nil:
		t.Fatal(startErr)
	}
	return shared
}

// Installed reports whether Start gives a server, or fails because SLUICE_E2E wants one.
func Installed() bool {
	_, err := binaries()
	return err == nil || os.Getenv("SLUICE_E2E") != ""
}

// Tests are the tests of a package that uses the server, which ends with them: goleak.VerifyTestMain(pgtest.Tests{m}).
type Tests struct{ *testing.M }

// Run runs them and ends the server, if they started it.
func (t Tests) Run() int {
	defer func() {
		if shared != nil {
			shared.stop()
		}
	}()
	return t.M.Run()
}

// Database makes an empty database and gives its URL; it is dropped when the test has ended.
func (s *Server) Database(t testing.TB) string {
	t.Helper()
	name := fmt.Sprintf("t%d", databases.Add(1))
	s.admin(t, "CREATE DATABASE "+name)
	t.Cleanup(func() { s.admin(t, "DROP DATABASE "+name+" WITH (FORCE)") })
	return s.url(name)
}

func (s *Server) url(database string) string {
	return "postgres://postgres@" + s.Addr + "/" + database + "?sslmode=disable"
}

func (s *Server) admin(t testing.TB, sql string) {
	t.Helper()
	Exec(t, s.url("postgres"), sql)
}

// Exec runs SQL at a URL and returns the rows of its last statement as text, NULL as \N.
func Exec(t testing.TB, url, sql string) [][]string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	conn, err := pgconn.Connect(ctx, url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(ctx)
	results, err := conn.Exec(ctx, sql).ReadAll()
	if err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	if len(results) == 0 {
		return nil
	}
	var out [][]string
	for _, row := range results[len(results)-1].Rows {
		line := make([]string, len(row))
		for i, v := range row {
			if line[i] = string(v); v == nil {
				line[i] = `\N`
			}
		}
		out = append(out, line)
	}
	return out
}

// With is a URL with other settings: parameters such as sslmode, and user, password and host.
func With(t testing.TB, raw string, settings map[string]string) string {
	t.Helper()
	u, err := url.Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	q := u.Query()
	if name, ok := settings["user"]; ok { // before the password, which it takes away
		u.User = url.User(name)
	}
	for k, v := range settings {
		switch k {
		case "user":
		case "password":
			u.User = url.UserPassword(u.User.Username(), v)
		case "host":
			u.Host = v
		default:
			q.Set(k, v)
		}
	}
	u.RawQuery = q.Encode()
	return u.String()
}

// errNone says that PostgreSQL is not installed.
type errNone struct{}

func (errNone) Error() string {
	return "PostgreSQL is not installed: neither initdb in PATH nor /usr/lib/postgresql/*/bin (apt install postgresql)"
}

// binaries is the folder of initdb and postgres, of the newest version.
func binaries() (string, error) {
	if p, err := exec.LookPath("initdb"); err == nil {
		if p, err = filepath.EvalSymlinks(p); err == nil {
			return filepath.Dir(p), nil
		}
	}
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if err != nil || len(found) == 0 {
		return "", errNone{}
	}
	version := func(p string) int {
		n, _ := strconv.Atoi(strings.Split(p, "/")[4])
		return n
	}
	return filepath.Dir(slices.MaxFunc(found, func(a, b string) int { return version(a) - version(b) })), nil
}

// identity is who runs the server, which refuses to be root's: nil is who runs the tests.
func identity() (*syscall.Credential, error) {
	if os.Geteuid() != 0 {
		return nil, nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, err1 := strconv.ParseUint(u.Uid, 10, 32)
		gid, err2 := strconv.ParseUint(u.Gid, 10, 32)
		if err := errors.Join(err1, err2); err != nil {
			return nil, err
		}
		return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil
	}
	return nil, errors.New("PostgreSQL does not run as root, and there is no user postgres or nobody")
}

func start() (*Server, error) {
	bin, err := binaries()
	if err != nil {
		return nil, err
	}
	who, err := identity()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("/tmp", "sluice-pg-") // not TMPDIR, which the server's user may not see into
	if err != nil {
		return nil, err
	}
	s := &Server{dir: dir, log: filepath.Join(dir, "log")}
	if err = s.prepare(bin, who); err == nil {
		for range 5 { // another process may take the port first
			if err = s.launch(bin, who); err == nil {
				return s, nil
			}
		}
	}
	log, _ := os.ReadFile(s.log)
	return nil, errors.Join(fmt.Errorf("start PostgreSQL: %w\n%s", err, log), os.RemoveAll(dir))
}

// prepare makes the cluster, with a certificate and a role that needs a password.
func (s *Server) prepare(bin string, who *syscall.Credential) error {
	if who != nil {
		if err := os.Chown(s.dir, int(who.Uid), int(who.Gid)); err != nil {
			return err
		}
	}
	data := filepath.Join(s.dir, "data")
	cmd := exec.CommandContext(context.Background(), filepath.Join(bin, "initdb"), "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync")
	cmd.Dir, cmd.SysProcAttr = s.dir, &syscall.SysProcAttr{Credential: who}
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("initdb: %w\n%s", err, out)
	}
	cert, key, err := certificate()
	if err != nil {
		return err
	}
	s.CA = filepath.Join(s.dir, "ca.pem")
	hba := "hostssl all guarded all scram-sha-256\nhostnossl all guarded all scram-sha-256\nhost all all 127.0.0.1/32 trust\n"
	for name, text := range map[string][]byte{"data/server.crt": cert, "data/server.key": key, "ca.pem": cert, "data/pg_hba.conf": []byte(hba)} {
		path := filepath.Join(s.dir, name)
		if err := os.WriteFile(path, text, 0o600); err != nil {
			return err
		}
		if who != nil {
			if err := os.Chown(path, int(who.Uid), int(who.Gid)); err != nil {
				return err
			}
		}
	}
	return nil
}

// certificate is one that signs itself, for localhost, and its key.
func certificate() (cert, key []byte, err error) {
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "sluice test"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().AddDate(1, 0, 0),
		DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}
	der, err := x509.CreateCertificate(rand.Reader, c, c, &k.PublicKey, k)
	if err != nil {
		return nil, nil, err
	}
	raw, err := x509.MarshalPKCS8PrivateKey(k)
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: raw}), err
}

// launch starts the server on a free port and waits until it answers.
func (s *Server) launch(bin string, who *syscall.Credential) error {
	l, err := new(net.ListenConfig).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	s.Addr = l.Addr().String()
	_, port, _ := net.SplitHostPort(s.Addr)
	l.Close()
	log, err := os.OpenFile(s.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	args := []string{"-D", filepath.Join(s.dir, "data"), "-p", port}
	for _, set := range []string{"listen_addresses=127.0.0.1", "unix_socket_directories=", "max_connections=100", "fsync=off", "synchronous_commit=off", "full_page_writes=off",
		"ssl=on", "shared_buffers=32MB", "max_wal_size=256MB", "autovacuum=off", "timezone=UTC", "password_encryption=scram-sha-256", "deadlock_timeout=100ms"} {
		args = append(args, "-c", set)
	}
	s.cmd = exec.CommandContext(context.Background(), filepath.Join(bin, "postgres"), args...)
	s.cmd.Dir, s.cmd.Stdout, s.cmd.Stderr = s.dir, log, log
	// When the tests are killed the server goes, too: the signal comes when the thread that started it ends, so that one must last.
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Credential: who, Pdeathsig: syscall.SIGQUIT}
	s.done, s.quit = make(chan struct{}), make(chan struct{})
	started := make(chan error)
	go func() {
		runtime.LockOSThread()
		err := s.cmd.Start()
		started <- err
		if err == nil {
			<-s.quit
		}
	}()
	if err := <-started; err != nil {
		return err
	}
	go func() { _ = s.cmd.Wait(); close(s.done) }()
	if err := s.await(); err != nil {
		s.end()
		return err
	}
	return nil
}

// await makes the role guarded as soon as the server answers.
func (s *Server) await() error {
	var last error
	for deadline := time.Now().Add(2 * time.Minute); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		select {
		case <-s.done:
			return errors.New("it ended at once")
		default:
		}
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		conn, err := pgconn.Connect(ctx, s.url("postgres"))
		if err == nil {
			if err = s.ours(ctx, conn); err == nil {
				_, err = conn.Exec(ctx, "DO $$ BEGIN IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'guarded') THEN CREATE ROLE guarded LOGIN PASSWORD '"+Password+"'; END IF; END $$").ReadAll()
			}
			err = errors.Join(err, conn.Close(ctx))
		}
		cancel()
		if err == nil {
			return nil
		}
		last = err
	}
	return fmt.Errorf("it does not answer: %w", last)
}

// ours is an error if it is another process's server that answers: this one is about to find that the port is taken.
func (s *Server) ours(ctx context.Context, conn *pgconn.PgConn) error {
	results, err := conn.Exec(ctx, "SHOW data_directory").ReadAll()
	if err != nil {
		return err
	}
	if at := string(results[0].Rows[0][0]); at != filepath.Join(s.dir, "data") {
		return fmt.Errorf("another server answers, of %s", at)
	}
	return nil
}

func (s *Server) end() {
	_ = s.cmd.Process.Signal(syscall.SIGQUIT) // at once: nothing of it is to stay
	<-s.done
	close(s.quit)
}

func (s *Server) stop() {
	s.end()
	_ = os.RemoveAll(s.dir)
}

// Log is what the server has said so far.
func (s *Server) Log(t testing.TB) string {
	t.Helper()
	b, err := os.ReadFile(s.log)
	if err != nil {
		t.Fatal(err)
	}
	return string(bytes.TrimSpace(b))
}
