package pg

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sluice-data/sluice/internal/fail"
	"github.com/sluice-data/sluice/internal/spec"
)

func settings(t *testing.T, block string, env map[string]string) (Settings, error) {
	t.Helper()
	n, err := spec.Parse("p.yaml", []byte(block))
	if err != nil {
		t.Fatal(err)
	}
	return ReadSettings(n, func(name string) string { return env[name] })
}

// TestTLSOffThisMachine: a server elsewhere is never spoken to in clear unless that is asked for, since the password would go with it.
func TestTLSOffThisMachine(t *testing.T) {
	t.Setenv("PGSSLMODE", "")
	t.Setenv("PGHOST", "")
	for _, c := range []struct {
		block string
		clear bool // a connection in clear may be made
		tls   bool // one with TLS may be made
	}{
		{"{host: db.example.com}", false, true},
		{"{host: 10.1.2.3, user: u}", false, true},
		{"{dsn: 'postgres://u@db.example.com/d'}", false, true},
		{"{dsn_env: URL}", false, true},
		{"{host: db.example.com, sslmode: verify-full}", false, true},
		{"{host: db.example.com, sslmode: prefer}", true, true},
		{"{dsn: 'postgres://u@db.example.com/d?sslmode=disable'}", true, false},
		{"{host: localhost}", true, true},
		{"{host: 127.0.0.1}", true, true},
		{"{host: /var/run/postgresql}", true, false},
		{"{dsn: 'postgres://u@a.example.com,b.example.com/d'}", false, true},
	} {
		s, err := settings(t, c.block, map[string]string{"URL": "postgres://u:p@db.example.com/d"})
		if err != nil {
			t.Fatal(err)
		}
		cfg, err := s.config()
		if err != nil {
			t.Fatal(err)
		}
		clear, tls := cfg.TLSConfig == nil, cfg.TLSConfig != nil
		for _, f := range cfg.Fallbacks {
			clear, tls = clear || f.TLSConfig == nil, tls || f.TLSConfig != nil
		}
		if clear != c.clear || tls != c.tls {
			t.Errorf("%s: in clear %v, with TLS %v", c.block, clear, tls)
		}
	}
}

// TestURI: a database is named by uri, as a reference table is, or by dsn, which are one.
func TestURI(t *testing.T) {
	for _, key := range []string{"uri", "dsn"} {
		s, err := settings(t, "{"+key+": 'postgres://u@db.example.com:5433/d'}", nil)
		if err != nil {
			t.Fatal(err)
		}
		cfg, err := s.config()
		if err != nil || cfg.Host != "db.example.com" || cfg.Port != 5433 || cfg.User != "u" || cfg.Database != "d" {
			t.Errorf("%s: %+v, %v", key, cfg, err)
		}
	}
	for block, want := range map[string]string{
		"{uri: 'postgres://h/d', dsn: 'postgres://h/d'}": "1:30: uri and dsn are two ways to say the same: give one",
		"{uri: 'postgres://h/d', dsn_env: X}":            "1:34: uri and dsn_env are two ways to say the same: give one",
		"{uri: 'postgres://h/d', host: h}":               "host belongs into the URL",
		"{uri: 's3://h/d'}":                              "1:7: uri: want postgres://",
		"{uri: 'postgres://u:geheim@h/d'}":               "1:7: uri: a password does not belong into the pipeline file",
	} {
		if _, err := settings(t, block, nil); fail.KindOf(err) != fail.Usage || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "geheim") {
			t.Errorf("%s: %v, want %s", block, err, want)
		}
	}
}

// TestNoPasswordInMessages: whatever is wrong with how the database is named, the message does not show what may be a password.
func TestNoPasswordInMessages(t *testing.T) {
	file := filepath.Join(t.TempDir(), "pw")
	if err := os.WriteFile(file, []byte("geheim\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PGPASSWORD", "geheim")
	for _, c := range []struct{ block, url string }{
		{"{dsn: 'postgres://u:geheim@h/d'}", ""},
		{"{dsn: 'postgres://u@h/d?password=geheim'}", ""},
		{"{dsn: 'postgres://u:geheim%zz@h/d'}", ""},
		{"{dsn_env: URL}", "postgres://u:geheim%zz@h/d"},
		{"{dsn_env: URL}", "postgres://u:geheim@h:port/d"},
		{"{dsn_env: URL}", "postgres://u:ge heim/geheim@127.0.0.1:1/d"},
		{"{dsn_env: URL}", "host=127.0.0.1 port=x password=geheim"},
		{"{dsn_env: URL}", "postgres://u:geheim@127.0.0.1:1/d"},
		{"{dsn_env: URL, sslmode: nonsense}", "postgres://u:geheim@127.0.0.1:1/d"},
		{"{dsn_env: URL, sslmode: require}", "postgres://u:geheim%zz@127.0.0.1:1/d"},
		{"{host: 127.0.0.1, port: '1', password_env: URL}", "geheim"},
		{"{host: 127.0.0.1, port: '1', password_file: '" + file + "'}", ""},
		{"{host: 127.0.0.1, port: x}", ""},
	} {
		s, err := settings(t, c.block, map[string]string{"URL": c.url})
		if err == nil {
			var conn *Conn
			if conn, err = s.Connect(t.Context()); err == nil {
				conn.Close()
			}
		}
		if err == nil || strings.Contains(err.Error(), "heim") || fail.KindOf(err) != fail.Usage && fail.KindOf(err) != fail.Temporary {
			t.Errorf("%s, %s: %v %v", c.block, c.url, fail.KindOf(err), err)
		}
	}
}
