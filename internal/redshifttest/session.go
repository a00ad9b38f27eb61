package redshifttest

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// session is a database session: one of PostgreSQL's, at Redshift's isolation level.
type session struct {
	server *Server
	pg     *pgconn.PgConn
}

func (s *Server) session(ctx context.Context) (*session, error) {
	conf, err := pgconn.ParseConfig(s.dsn)
	if err != nil {
		return nil, err
	}
	conf.RuntimeParams["default_transaction_isolation"] = "serializable"
	if s.Snapshot {
		conf.RuntimeParams["default_transaction_isolation"] = "repeatable read"
	}
	conf.RuntimeParams["search_path"] = "public, double"
	conf.RuntimeParams["application_name"] = "double"
	conf.RuntimeParams["client_min_messages"] = "error"
	pg, err := pgconn.ConnectConfig(ctx, conf)
	if err != nil {
		return nil, err
	}
	return &session{server: s, pg: pg}, nil
}

// lend is a session, of those that were given back if there is one: a backend's start costs more than most statements.
func (s *Server) lend(ctx context.Context) (*session, error) {
	s.mu.Lock()
	var c *session
	if n := len(s.idle); n > 0 {
		c = s.idle[n-1]
		s.idle = s.idle[:n-1]
	}
	role := s.role
	s.mu.Unlock()
	if c == nil {
		var err error
		if c, err = s.session(ctx); err != nil {
			return nil, err
		}
	}
	if role != "" {
		if _, err := c.raw(ctx, "SET ROLE "+role); err != nil {
			c.close()
			return nil, err
		}
	}
	return c, nil
}

// As makes a database user of that name, which may do nothing yet, and statements run as it from now on.
func (s *Server) As(t testing.TB, user string) {
	t.Helper()
	name := user + strings.ToLower(rand.Text()[:8]) // roles are of all databases
	s.Query(t, "CREATE ROLE "+name+"; GRANT USAGE ON SCHEMA double, public TO "+name+"; GRANT ALL ON ALL TABLES IN SCHEMA double TO "+name)
	t.Cleanup(func() { s.Query(t, "DROP OWNED BY "+name+"; DROP ROLE "+name) })
	s.mu.Lock()
	defer s.mu.Unlock()
	s.role = name
}

// Grant gives the user of As a privilege: "INSERT ON stg.trips".
func (s *Server) Grant(t testing.TB, privilege string) {
	t.Helper()
	s.Query(t, "GRANT "+privilege+" TO "+s.role)
}

// giveBack keeps the session as good as new, or ends it.
func (s *Server) giveBack(c *session) {
	if c.pg.TxStatus() == 'I' {
		if _, err := c.raw(context.Background(), "DISCARD ALL"); err == nil && s.life.Err() == nil {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.idle = append(s.idle, c)
			return
		}
	}
	c.close()
}

func (c *session) close() {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	_ = c.pg.Close(ctx)
}

// result is what a statement gave: columns, rows and the command's tag.
type result struct {
	columns []pgconn.FieldDescription
	rows    [][][]byte
	tag     string
}

// failure is an error as Redshift reports it.
type failure struct{ code, message, detail string }

func (f *failure) Error() string {
	if f.detail == "" {
		return "ERROR: " + f.message
	}
	return "ERROR: " + f.message + "\n  Detail: " + f.detail
}

func failf(code, format string, args ...any) *failure {
	return &failure{code: code, message: fmt.Sprintf(format, args...)}
}

// foreign is what PostgreSQL takes and Redshift does not.
var foreign = []struct {
	what string
	re   *regexp.Regexp
}{
	{"ON CONFLICT", regexp.MustCompile(`(?i)\bON\s+CONFLICT\b`)},
	{"RETURNING", regexp.MustCompile(`(?i)\bRETURNING\b`)},
	{"CREATE INDEX", regexp.MustCompile(`(?i)^\s*CREATE\s+(UNIQUE\s+)?INDEX\b`)},
	{"a target alias in MERGE", regexp.MustCompile(`(?i)^\s*MERGE\s+INTO\s+("[^"]*"|\w)+(\.("[^"]*"|\w)+)?\s+(AS\s+)?("[^"]*"|\w+)\s+USING\b`)},
	{"a subquery in MERGE", regexp.MustCompile(`(?i)^\s*MERGE\s.*\bUSING\s*\(`)},
	{"DO blocks", regexp.MustCompile(`(?i)^\s*DO\b`)},
	{"generate_series over tables", regexp.MustCompile(`(?i)\bgenerate_series\b`)},
	{"text arrays", regexp.MustCompile(`(?i)::\s*\w+\[\]`)},
}

// exec runs one statement.
func (c *session) exec(ctx context.Context, sql string) (*result, error) {
	sql = strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(sql), ";"))
	if c.server.event("sql: "+sql) == Conflict {
		c.abort(ctx)
		return nil, conflict("injected")
	}
	if strings.Contains(sql, "stl_load_errors") && !c.server.Provisioned {
		c.abort(ctx)
		return nil, failf("42P01", `relation "stl_load_errors" does not exist`) // serverless has the SYS views only
	}
	for _, f := range foreign {
		if f.re.MatchString(sql) {
			c.abort(ctx)
			return nil, failf("42601", "syntax error: Redshift has no %s", f.what)
		}
	}
	switch word := strings.ToUpper(firstWord(sql)); {
	case word == "COPY":
		r, err := c.copy(ctx, sql)
		if err != nil && c.pg.TxStatus() == 'T' {
			c.abort(ctx)
		}
		return r, err
	case word == "TRUNCATE" || word == "VACUUM": // commits what is open, as Redshift's do
		if _, err := c.raw(ctx, "COMMIT"); err != nil {
			return nil, err
		}
	case word == "CREATE" && regexp.MustCompile(`(?i)^CREATE\s+(TEMP\s+|TEMPORARY\s+)?TABLE\b`).MatchString(sql):
		var err error
		if sql, err = c.createTable(ctx, sql); err != nil {
			c.abort(ctx)
			return nil, err
		}
	}
	r, err := c.raw(ctx, sql)
	if err != nil {
		return nil, err
	}
	for _, row := range r.rows { // names that PostgreSQL writes in another way
		for i, v := range row {
			switch s := string(v); {
			case strings.HasPrefix(s, `"binary varying(`):
				row[i] = []byte(strings.Trim(s, `"`))
			case strings.HasPrefix(s, "identity("):
				row[i] = []byte(`"identity"` + strings.TrimPrefix(s, "identity"))
			}
		}
	}
	return r, nil
}

// abort makes an open transaction a failed one.
func (c *session) abort(ctx context.Context) {
	if c.pg.TxStatus() == 'T' {
		_, _ = c.raw(ctx, "SELECT * FROM double.aborts_the_transaction")
	}
}

// raw runs a statement on PostgreSQL.
func (c *session) raw(ctx context.Context, sql string) (*result, error) {
	results, err := c.pg.Exec(ctx, sql).ReadAll()
	if err != nil {
		return nil, translate(err)
	}
	out := &result{}
	for _, r := range results {
		out.columns, out.rows, out.tag = r.FieldDescriptions, r.Rows, r.CommandTag.String()
	}
	return out, nil
}

func conflict(detail string) *failure {
	return &failure{"XX000", "1023", "Serializable isolation violation on table - 1023, transactions forming the cycle are: 17, 18 (" + detail + ")"}
}

// translate is an error of PostgreSQL's as Redshift's.
func translate(err error) error {
	var e *pgconn.PgError
	if !errors.As(err, &e) {
		return err
	}
	switch e.Code {
	case "40001":
		return conflict(e.Message)
	case "57014":
		return &failure{"57014", "Query (4711) cancelled on user's request", ""}
	}
	return &failure{e.Code, e.Message, e.Detail}
}

func firstWord(sql string) string {
	if f := strings.Fields(sql); len(f) > 0 {
		return f[0]
	}
	return ""
}

var (
	distKey  = regexp.MustCompile(`(?i)\s+DISTKEY\s*\(([^)]*)\)`)
	sortKey  = regexp.MustCompile(`(?i)\s+(COMPOUND\s+|INTERLEAVED\s+)?SORTKEY\s*\(([^)]*)\)`)
	distAll  = regexp.MustCompile(`(?i)\s+DISTSTYLE\s+(KEY|ALL|EVEN|AUTO)\b`)
	attrKey  = regexp.MustCompile(`(?i)\s+(DISTKEY|SORTKEY)\b`)
	encode   = regexp.MustCompile(`(?i)\s+ENCODE\s+\w+`)
	primary  = regexp.MustCompile(`(?i),?\s*(PRIMARY\s+KEY|UNIQUE)\s*(\([^)]*\))?`)
	varbyte  = regexp.MustCompile(`(?i)\b(VARBYTE|VARBINARY|BINARY VARYING)\s*\((\d+)\)`)
	varchar  = regexp.MustCompile(`(?i)\b(VARCHAR|CHARACTER VARYING)\s*\((\d+)\)`)
	identity = regexp.MustCompile(`(?i)\s+IDENTITY\s*\((\d+),\s*(\d+)\)`)
)

// createTable is Redshift's CREATE TABLE as PostgreSQL's.
func (c *session) createTable(ctx context.Context, sql string) (string, error) {
	for _, k := range append(distKey.FindAllStringSubmatch(sql, -1), sortKey.FindAllStringSubmatch(sql, -1)...) {
		for _, col := range strings.Split(k[len(k)-1], ",") {
			col = strings.Trim(strings.TrimSpace(col), `"`)
			if !regexp.MustCompile(`(?i)[(,]\s*"?` + regexp.QuoteMeta(col) + `"?\s`).MatchString(sql) {
				return "", failf("42703", `column "%s" named in the distribution or sort key does not exist`, col)
			}
		}
	}
	for _, m := range varchar.FindAllStringSubmatch(sql, -1) {
		if len(m[2]) > 5 || len(m[2]) == 5 && m[2] > "65535" {
			return "", failf("22023", "length for type character varying cannot exceed 65535")
		}
	}
	for _, re := range []*regexp.Regexp{distKey, sortKey, attrKey, distAll, encode, primary} { // keys are informational in Redshift
		sql = re.ReplaceAllString(sql, "")
	}
	for _, m := range varbyte.FindAllStringSubmatch(sql, -1) {
		domain := fmt.Sprintf(`"binary varying(%s)"`, m[2])
		if _, err := c.raw(ctx, fmt.Sprintf(`DO $$ BEGIN CREATE DOMAIN double.%s AS bytea CHECK (octet_length(VALUE) <= %s); EXCEPTION WHEN duplicate_object THEN END $$`, domain, m[2])); err != nil {
			return "", err
		}
		sql = strings.ReplaceAll(sql, m[0], "double."+domain)
	}
	for _, m := range identity.FindAllStringSubmatch(sql, -1) {
		n := c.server.number()
		if _, err := c.raw(ctx, fmt.Sprintf("CREATE SEQUENCE double.identity_%d START %s INCREMENT %s", n, m[1], m[2])); err != nil {
			return "", err
		}
		sql = strings.Replace(sql, m[0], fmt.Sprintf(` DEFAULT double.identity(%d, 0, '%s,%s'::text)`, n, m[1], m[2]), 1)
	}
	return sql, nil
}

func (s *Server) number() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.numbers++
	return s.numbers
}
