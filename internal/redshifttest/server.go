// Package redshifttest stands in for Amazon Redshift in tests: a real PostgreSQL behind the two ways to Redshift, the Data API's HTTP protocol
// and PostgreSQL's own. Transactions, locks and conflicts are PostgreSQL's, at Redshift's isolation level; COPY … FORMAT PARQUET MANIFEST is
// done here, by Redshift's rules, from the files on the S3 server; what PostgreSQL takes and Redshift does not is refused.
//
// Where the rules come from: AWS-FACTS of this project, that is the Redshift developer guide and what people report of its errors. It is
// a double: what was never tried on the real thing is listed in docs/redshift.md.
package redshifttest

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/sluice-data/sluice/internal/s3test"
)

// What a client has to name.
const (
	Workgroup = "analytics"
	Cluster   = "cluster-1"
	Database  = "dev"
	User      = "loader"
	Password  = "s3cret-" + User
	// Role is one that COPY may assume, besides default; Denied one whose keys the S3 server refuses.
	Role   = "arn:aws:iam::123456789012:role/redshift-copy"
	Denied = "arn:aws:iam::123456789012:role/no-access"
)

// Server is the double.
type Server struct {
	Endpoint string // of the Data API
	DSN      string // of the wire protocol; the password goes by PGPASSWORD
	// Provisioned is a cluster: it has stl_load_errors, and no sys_load_error_detail.
	Provisioned bool
	// Snapshot is a database with ISOLATION LEVEL SNAPSHOT, the default of new ones: it lets transactions commit that no order could explain.
	Snapshot bool
	// Terse makes COPY say no more than where to look for what failed.
	Terse bool
	// Fault, if set, is asked at every event, in order: HTTP calls ("BatchExecuteStatement"), wire messages ("wire: COMMIT") and statements
	// ("sql: COPY …"). It is called on several goroutines.
	Fault func(event string) Fault

	s3   *s3test.Server
	dsn  string // of PostgreSQL
	life context.Context

	mu         sync.Mutex
	statements map[string]*job
	tokens     map[string]token
	numbers    int
	log        []string
	idle       []*session
	role       string
	listener   net.Listener
	running    sync.WaitGroup
}

// Fault is what goes wrong at an event.
type Fault int

// The faults. Those of connections make no sense for statements, of which only Conflict does.
const (
	None     Fault = iota
	Drop           // the connection breaks before the request is carried out
	Lose           // it is carried out, and the connection breaks before the answer
	Throttle       // HTTP: ThrottlingException
	Conflict       // a statement: ERROR 1023
)

// Start makes a double with a database of its own on the given PostgreSQL (a connection string for a superuser), which ends with the test.
func Start(t testing.TB, postgres string, s3 *s3test.Server) *Server {
	t.Helper()
	life, stop := context.WithCancel(context.Background())
	s := &Server{s3: s3, dsn: postgres, life: life, statements: map[string]*job{}, tokens: map[string]token{}}
	s.exec(t, prelude)
	web := httptest.NewServer(http.HandlerFunc(s.serveAPI))
	s.Endpoint = web.URL
	cert, ca := certificate(t)
	var err error
	if s.listener, err = new(net.ListenConfig).Listen(life, "tcp", "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	root := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(root, ca, 0o600); err != nil {
		t.Fatal(err)
	}
	s.DSN = fmt.Sprintf("postgres://%s@%s/%s?sslmode=verify-full&sslrootcert=%s", User, s.listener.Addr(), Database, root)
	s.running.Go(func() { s.serveWire(cert) })
	t.Cleanup(func() {
		stop()
		web.CloseClientConnections()
		web.Close()
		s.listener.Close()
		s.running.Wait()
		for _, c := range s.idle {
			c.close()
		}
	})
	return s
}

// Env is the environment by which a process finds the double.
func (s *Server) Env() []string {
	return []string{"AWS_ENDPOINT_URL_REDSHIFT_DATA=" + s.Endpoint, "PGPASSWORD=" + Password}
}

// Events are what was asked of Fault so far.
func (s *Server) Events() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string{}, s.log...)
}

func (s *Server) event(name string) Fault {
	s.mu.Lock()
	s.log = append(s.log, name)
	f := s.Fault
	s.mu.Unlock()
	if f == nil {
		return None
	}
	return f(name)
}

// SetFault changes Fault while the server runs.
func (s *Server) SetFault(f func(event string) Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.Fault = f
}

// Exec runs SQL of Redshift's.
func (s *Server) Exec(t testing.TB, sql string) {
	t.Helper()
	ctx := context.Background()
	c, err := s.session(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer c.close()
	if _, err := c.exec(ctx, sql); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}

// Query is the rows of an SQL query, each as one text with its values separated by "|".
func (s *Server) Query(t testing.TB, sql string) []string {
	t.Helper()
	ctx := context.Background()
	c, err := pgconn.Connect(ctx, s.dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close(ctx)
	results, err := c.Exec(ctx, sql).ReadAll()
	if err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	out := []string{}
	for _, r := range results {
		for _, row := range r.Rows {
			line := ""
			for i, v := range row {
				if i > 0 {
					line += "|"
				}
				if v == nil {
					line += "NULL"
				} else {
					line += string(v)
				}
			}
			out = append(out, line)
		}
	}
	return out
}

// exec runs SQL of PostgreSQL's.
func (s *Server) exec(t testing.TB, sql string) {
	t.Helper()
	s.Query(t, sql)
}

// Idle waits until no statement runs any more.
func (s *Server) Idle(t testing.TB) {
	t.Helper()
	for range 600 {
		if got := s.Query(t, "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() AND state <> 'idle' AND application_name <> 'held'"); got[0] == "0" {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Fatal("a statement goes on and on")
}

// prelude is what Redshift has and PostgreSQL has not.
const prelude = `
CREATE SCHEMA double;
CREATE DOMAIN double.super AS jsonb;
CREATE TABLE double.sys_load_error_detail (start_time timestamp, file_name text, column_name text, column_type text, error_message text);
CREATE TABLE double.stl_load_errors (starttime timestamp, filename text, colname text, err_reason text, raw_field_value text);
CREATE FUNCTION double.getdate() RETURNS timestamp LANGUAGE sql AS 'SELECT clock_timestamp()::timestamp';
CREATE FUNCTION double.pg_last_copy_count() RETURNS bigint LANGUAGE sql AS $$ SELECT coalesce(nullif(current_setting('double.last_copy', true), ''), '0')::bigint $$;
CREATE FUNCTION double.identity(n bigint, c int, seed text) RETURNS bigint LANGUAGE plpgsql AS $$ BEGIN RETURN nextval('double.identity_' || n); END $$;
`

// Hold runs SQL in a transaction that stays open until the function that it returns is called, or the test ends.
func (s *Server) Hold(t testing.TB, sql string) (release func()) {
	t.Helper()
	ctx := context.Background()
	c, err := s.session(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for _, q := range []string{"SET application_name = 'held'", "BEGIN", sql} {
		if _, err := c.raw(ctx, q); err != nil {
			t.Fatal(err)
		}
	}
	release = sync.OnceFunc(c.close)
	t.Cleanup(release)
	return release
}

// Script runs statements, each ended by a semicolon at the end of a line, in one session.
func (s *Server) Script(t testing.TB, text string) {
	t.Helper()
	ctx := context.Background()
	c, err := s.session(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer c.close()
	for _, sql := range strings.Split(text, ";\n") {
		if strings.TrimSpace(sql) == "" {
			continue
		}
		if _, err := c.exec(ctx, sql); err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
	}
}
