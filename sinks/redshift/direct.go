package redshift

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgconn/ctxwatch"

	"github.com/sluice-data/sluice/internal/fail"
)

// direct is a connection by PostgreSQL's protocol. Redshift reports version 8.0.2 and has neither COPY's protocol nor the catalog columns that
// drivers look types up in, so all goes by the simple protocol, as text: pgconn does no more than that.
type direct struct {
	conf *pgconn.Config
	conn *pgconn.PgConn // nil until it is needed, and after it broke
}

// stopTime is what the server gets to stop a statement once the run was told to stop.
const stopTime = 5 * time.Second

func newDirect(dsn string) (*direct, error) {
	conf, err := pgconn.ParseConfig(dsn)
	if err != nil {
		return nil, fail.Newf(fail.Usage, "dsn cannot be read")
	}
	if !strings.Contains(dsn, "sslmode") && os.Getenv("PGSSLMODE") == "" { // pgconn's default falls back to no encryption without a word
		verified := &tls.Config{ServerName: conf.Host, MinVersion: tls.VersionTLS12}
		if given := conf.TLSConfig; given != nil { // sslrootcert, sslcert
			verified.RootCAs, verified.Certificates = given.RootCAs, given.Certificates
		}
		conf.TLSConfig, conf.Fallbacks = verified, nil
	}
	if conf.Port == 5432 && !strings.Contains(dsn, "5432") && os.Getenv("PGPORT") == "" {
		conf.Port = 5439 // Redshift's own
		for _, f := range conf.Fallbacks {
			f.Port = conf.Port
		}
	}
	conf.RuntimeParams["application_name"] = "sluice"
	if conf.ConnectTimeout == 0 {
		conf.ConnectTimeout = 30 * time.Second
	}
	conf.BuildContextWatcherHandler = func(c *pgconn.PgConn) ctxwatch.Handler {
		return &pgconn.CancelRequestContextWatcherHandler{Conn: c, DeadlineDelay: stopTime}
	}
	return &direct{conf: conf}, nil
}

func (d *direct) close(ctx context.Context) error {
	if d.conn == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, stopTime)
	defer cancel()
	err := d.conn.Close(ctx)
	d.conn = nil
	if err != nil {
		return fail.Newf(fail.Temporary, "close the connection to redshift: %w", err)
	}
	return nil
}

// open connects unless there is a connection.
func (d *direct) open(ctx context.Context) error {
	if d.conn != nil && !d.conn.IsClosed() {
		return nil
	}
	conn, err := pgconn.ConnectConfig(ctx, d.conf)
	if err == nil {
		d.conn = conn
		return nil
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	where := fmt.Sprintf("connect to redshift at %s:%d, database %s, user %s", d.conf.Host, d.conf.Port, d.conf.Database, d.conf.User)
	var refused *pgconn.PgError
	if errors.As(err, &refused) {
		e := &sqlError{state: refused.Code, text: refused.Message}
		return fail.Newf(e.kind(), "%s: %s", where, refused.Message)
	}
	var dns *net.DNSError
	if errors.As(err, &dns) && dns.IsNotFound {
		return fail.Newf(fail.Temporary, "%s: host %s is unknown: %w", where, dns.Name, dns)
	}
	kind := fail.Temporary
	var untrusted *tls.CertificateVerificationError
	if errors.As(err, &untrusted) {
		kind = fail.Permission
	}
	return fail.Newf(kind, "%s: %w", where, errors.Unwrap(err))
}

// run sends one statement.
func (d *direct) run(ctx context.Context, s statement) ([][]*string, error) {
	results, err := d.conn.Exec(ctx, s.sql).ReadAll()
	if err != nil {
		return nil, d.failed(ctx, s, err)
	}
	var rows [][]*string
	for _, r := range results {
		for _, values := range r.Rows {
			row := make([]*string, len(values))
			for i, v := range values {
				if v != nil {
					s := string(v)
					row[i] = &s
				}
			}
			rows = append(rows, row)
		}
	}
	return rows, nil
}

func (d *direct) failed(ctx context.Context, s statement, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	var refused *pgconn.PgError
	if errors.As(err, &refused) {
		return &sqlError{at: s, state: refused.Code, text: strings.TrimSpace(refused.Message + " " + refused.Detail)}
	}
	return fail.Newf(fail.Temporary, "lost the connection to redshift at %s:%d: %w", d.conf.Host, d.conf.Port, err)
}

func (d *direct) query(ctx context.Context, sql string) ([][]*string, error) {
	if err := d.open(ctx); err != nil {
		return nil, err
	}
	return d.run(ctx, statement{sql: sql})
}

func (d *direct) anew(context.Context, []statement) error { return nil } // nothing is kept

func (d *direct) transact(ctx context.Context, statements []statement) error {
	_, err := d.within(ctx, "COMMIT", statements)
	return err
}

func (d *direct) peek(ctx context.Context, before []statement, query string) ([][]*string, error) {
	return d.within(ctx, "ROLLBACK", append(append([]statement{}, before...), statement{sql: query}))
}

// within runs the statements in a transaction that ends by end, and returns the rows of the last. If one fails the connection goes, and with it
// the transaction and its temporary tables; what came of a COMMIT that was not answered, nobody knows.
func (d *direct) within(ctx context.Context, end string, statements []statement) (rows [][]*string, err error) {
	if err := d.open(ctx); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			_ = d.close(context.WithoutCancel(ctx)) // what is wrong with it is what it failed by
		}
	}()
	if _, err := d.run(ctx, statement{sql: "BEGIN"}); err != nil {
		return nil, err
	}
	for _, s := range statements {
		if rows, err = d.run(ctx, s); err != nil {
			return nil, err
		}
	}
	_, err = d.run(ctx, statement{sql: end})
	return rows, err
}
