// Package pg connects to PostgreSQL: where it is and who asks, what its errors mean, Arrow records in the binary form of COPY, and what a query gives as Arrow records.
package pg

import (
	"context"
	"net"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgconn/ctxwatch"

	"github.com/sluice-data/sluice/internal/fail"
	"github.com/sluice-data/sluice/internal/spec"
)

// Keys are the settings of a connection in a block of the pipeline file. What they leave open comes from libpq's environment: PGHOST, PGPORT, PGDATABASE, PGUSER, PGPASSWORD,
// PGPASSFILE, PGSSLMODE, PGSSLROOTCERT and so on. uri, as reference tables have it, and dsn are one. No key holds a password: the block is part of the run's id, and files are shown around.
var Keys = []string{"uri", "dsn", "dsn_env", "host", "port", "database", "user", "sslmode", "sslrootcert", "password_env", "password_file"}

// Settings say where a PostgreSQL is.
type Settings struct {
	at     *spec.Node
	set    map[string]string
	getenv func(string) string
}

// ReadSettings reads the Keys of a mapping, which may have others. Nothing is looked up before Connect. Errors are of kind Usage, with their place.
func ReadSettings(n *spec.Node, getenv func(string) string) (Settings, error) {
	return readSettings(n, Keys, getenv)
}

// ReadURI is ReadSettings for a reference table, which has no keys for the parts of the URL.
func ReadURI(n *spec.Node, getenv func(string) string) (Settings, error) {
	return readSettings(n, []string{"uri", "dsn_env", "password_env", "password_file"}, getenv)
}

func readSettings(n *spec.Node, keys []string, getenv func(string) string) (Settings, error) {
	s := Settings{at: n, set: map[string]string{}, getenv: getenv}
	if s.getenv == nil {
		s.getenv = os.Getenv
	}
	dsn := "" // which of its names it has
	for _, key := range keys {
		name := key
		v := n.Get(name)
		if v == nil {
			continue
		}
		text, err := v.Str()
		if err != nil {
			return s, err
		}
		if key == "uri" {
			key = "dsn"
		}
		s.set[key] = text
		switch key {
		case "dsn":
			if dsn != "" {
				return s, v.Errorf("%s and %s are two ways to say the same: give one", dsn, name)
			}
			dsn = name
			if err := CheckURL(text); err != nil {
				e := v.Errorf("%s: %w", name, err)
				e.Excerpt = "" // there may be a password in the line
				return s, e
			}
		case "dsn_env", "host", "port", "database", "user":
			if key != "dsn_env" && s.set["dsn"]+s.set["dsn_env"] != "" {
				return s, v.Errorf("%s belongs into the URL, since there is one", key)
			}
			if key == "dsn_env" && s.set["dsn"] != "" {
				return s, v.Errorf("%s and dsn_env are two ways to say the same: give one", dsn)
			}
		case "password_file":
			if s.set["password_env"] != "" {
				return s, v.Errorf("password_env and password_file are two ways to say the same: give one")
			}
		}
	}
	return s, nil
}

// CheckURL says what is wrong with a URL that stands in a pipeline file, without showing it.
func CheckURL(text string) error {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "postgres" && u.Scheme != "postgresql" {
		return fail.Newf(fail.Usage, "want postgres://user@host:port/database?sslmode=…")
	}
	_, has := u.User.Password()
	if has || u.Query().Has("password") {
		return fail.Newf(fail.Usage, "a password does not belong into the pipeline file: use PGPASSWORD, password_env, password_file, or dsn_env with the name of a variable that holds the whole URL")
	}
	return nil
}

// nearby says that a host is this machine.
func nearby(host string) bool {
	ip := net.ParseIP(host)
	return strings.HasPrefix(host, "/") || host == "localhost" || ip != nil && ip.IsLoopback()
}

// config is what to connect with; text that may hold a password stays out of its errors.
func (s Settings) config() (*pgconn.Config, error) {
	dsn := s.set["dsn"]
	if name := s.set["dsn_env"]; name != "" {
		if dsn = s.getenv(name); dsn == "" {
			return nil, s.at.Get("dsn_env").Errorf("environment variable %s is not set: it is to hold postgres://user:password@host:port/database", name)
		}
	}
	if dsn == "" {
		var b strings.Builder
		for _, key := range []string{"host", "port", "database", "user"} {
			if v := s.set[key]; v != "" {
				b.WriteString(key + "='" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(v) + "' ")
			}
		}
		for _, key := range []string{"sslmode", "sslrootcert"} {
			if v := s.set[key]; v != "" {
				b.WriteString(key + "='" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(v) + "' ")
			}
		}
		dsn = b.String()
	} else if s.set["sslmode"] != "" || s.set["sslrootcert"] != "" {
		u, err := url.Parse(dsn)
		if err != nil {
			return nil, s.at.Errorf("the URL of the database cannot be read: want postgres://user@host:port/database?sslmode=…")
		}
		q := u.Query()
		for _, key := range []string{"sslmode", "sslrootcert"} {
			if v := s.set[key]; v != "" {
				q.Set(key, v)
			}
		}
		u.RawQuery = q.Encode()
		dsn = u.String()
	}
	cfg, err := pgconn.ParseConfig(dsn)
	if err != nil {
		if s.set["dsn_env"] != "" || s.set["dsn"] != "" { // the error has the text in it, and not every password is taken out
			return nil, s.at.Errorf("the URL of the database cannot be read: want postgres://user@host:port/database?sslmode=…, with special characters percent-encoded")
		}
		return nil, s.at.Errorf("where the database is cannot be read: %w", err)
	}
	if s.set["sslmode"] == "" && s.getenv("PGSSLMODE") == "" && !strings.Contains(dsn, "sslmode=") {
		// libpq's default falls back to a connection in clear, and would send the password over it.
		cfg.Fallbacks = slices.DeleteFunc(cfg.Fallbacks, func(f *pgconn.FallbackConfig) bool { return f.TLSConfig == nil && !nearby(f.Host) })
	}
	if name := s.set["password_env"]; name != "" {
		if cfg.Password = s.getenv(name); cfg.Password == "" {
			return nil, s.at.Get("password_env").Errorf("environment variable %s is not set: it is to hold the password", name)
		}
	}
	if file := s.set["password_file"]; file != "" {
		b, err := os.ReadFile(file)
		if err != nil {
			return nil, s.at.Get("password_file").Errorf("read password: %w", err)
		}
		cfg.Password = strings.TrimRight(string(b), "\r\n")
	}
	return cfg, nil
}

// Connect makes a connection, within half a minute. A query under a context that ends is cancelled at the server, too.
func (s Settings) Connect(ctx context.Context) (*Conn, error) {
	cfg, err := s.config()
	if err != nil {
		return nil, err
	}
	if cfg.ConnectTimeout == 0 {
		cfg.ConnectTimeout = 30 * time.Second
	}
	if cfg.RuntimeParams["application_name"] == "" {
		cfg.RuntimeParams["application_name"] = "sluice"
	}
	cfg.RuntimeParams["client_encoding"] = "UTF8" // else it is the database's
	cfg.BuildContextWatcherHandler = func(c *pgconn.PgConn) ctxwatch.Handler {
		return &pgconn.CancelRequestContextWatcherHandler{Conn: c, DeadlineDelay: 5 * time.Second}
	}
	where := cfg.Host + "/" + cfg.Database
	c, err := pgconn.ConnectConfig(ctx, cfg)
	if err != nil {
		return nil, Error(ctx, "connect to "+where, err)
	}
	return &Conn{c, where}, nil
}

// Conn is a connection.
type Conn struct {
	pg    *pgconn.PgConn
	where string
}

// Where is host and database, for messages.
func (c *Conn) Where() string { return c.where }

// Raw is the connection itself.
func (c *Conn) Raw() *pgconn.PgConn { return c.pg }

// Close gives up the connection, and with it a transaction that is open.
func (c *Conn) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	err := c.pg.Close(ctx)
	select { // what cleans up after a broken connection is not to outlive it
	case <-c.pg.CleanupDone():
	case <-ctx.Done():
	}
	return err
}

// Exec runs SQL without parameters, of one statement or several, and gives the number of rows that the last one is about. verb is for
// messages: "load into stg.trips".
func (c *Conn) Exec(ctx context.Context, verb, sql string) (int64, error) {
	results, err := c.pg.Exec(ctx, sql).ReadAll()
	if err != nil {
		return 0, Error(ctx, verb, err)
	}
	if len(results) == 0 {
		return 0, nil
	}
	return results[len(results)-1].CommandTag.RowsAffected(), nil
}

// Query runs one statement with parameters as text; the rows' values are text, nil is null.
func (c *Conn) Query(ctx context.Context, verb, sql string, args ...string) ([][][]byte, error) {
	params := make([][]byte, len(args))
	for i, a := range args {
		params[i] = []byte(a)
	}
	res := c.pg.ExecParams(ctx, sql, params, nil, nil, nil).Read()
	if res.Err != nil {
		return nil, Error(ctx, verb, res.Err)
	}
	return res.Rows, nil
}

// Ident quotes a name, Literal a text.
func Ident(name string) string   { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }
func Literal(text string) string { return `'` + strings.ReplaceAll(text, `'`, `''`) + `'` }
