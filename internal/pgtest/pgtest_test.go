package pgtest

import (
	"context"
	"net"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(Tests{m})
}

func TestDatabases(t *testing.T) {
	s := Start(t)
	a, b := s.Database(t), s.Database(t)
	Exec(t, a, "CREATE TABLE x (i int); INSERT INTO x VALUES (1), (NULL)")
	if rows := Exec(t, a, "SELECT i, 'ü' FROM x ORDER BY i"); len(rows) != 2 || rows[0][0] != "1" || rows[1][0] != `\N` || rows[0][1] != "ü" {
		t.Errorf("%q", rows)
	}
	if rows := Exec(t, b, "SELECT count(*) FROM pg_tables WHERE tablename = 'x'"); rows[0][0] != "0" {
		t.Error("databases are not apart")
	}
}

func TestPasswordAndTLS(t *testing.T) {
	s := Start(t)
	db := s.Database(t)
	_, port, _ := net.SplitHostPort(s.Addr)
	for _, c := range []struct {
		set map[string]string
		err string
	}{
		{map[string]string{"user": "guarded"}, "password"},
		{map[string]string{"user": "guarded", "password": "wrong"}, "28P01"},
		{map[string]string{"user": "guarded", "password": Password}, ""},
		{map[string]string{"user": "postgres", "sslmode": "require"}, ""},
		{map[string]string{"user": "postgres", "sslmode": "verify-full", "host": "localhost:" + port, "sslrootcert": s.CA}, ""},
		{map[string]string{"user": "postgres", "sslmode": "verify-full", "host": "localhost:" + port}, "certificate"},
	} {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		conn, err := pgconn.Connect(ctx, With(t, db, c.set))
		if err == nil {
			conn.Close(ctx)
		}
		if (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) {
			t.Errorf("%v: %v, want %q", c.set, err, c.err)
		}
		cancel()
	}
}

// TestProxy: the message that is cut at is carried out or not, as asked for, and the next connection is served.
func TestProxy(t *testing.T) {
	s := Start(t)
	for _, lost := range []bool{false, true} {
		db := s.Database(t)
		Exec(t, db, "CREATE TABLE x (i int)")
		p := NewProxy(t, s.Addr, 1, lost) // 0 is the startup
		through := With(t, db, map[string]string{"host": p.Addr})
		conn, err := pgconn.Connect(t.Context(), through)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := conn.Exec(t.Context(), "INSERT INTO x VALUES (1)").ReadAll(); err == nil || !p.Cut() {
			t.Errorf("not cut: %v, %v", p.Seen(), err)
		}
		conn.Close(t.Context())
		want := map[bool]string{false: "0", true: "1"}[lost]
		if rows := Exec(t, through, "SELECT count(*) FROM x"); rows[0][0] != want {
			t.Errorf("lost %v: %s rows, want %s", lost, rows[0][0], want)
		}
		if u, err := url.Parse(through); err != nil || u.Host != p.Addr {
			t.Error(through)
		}
	}
}
