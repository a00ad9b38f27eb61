package postgres

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/memory"

	"github.com/sluice-data/sluice/internal/fail"
	"github.com/sluice-data/sluice/internal/pg"
	"github.com/sluice-data/sluice/sinks"
)

// tries is how often a load is begun anew that the server or the network cut off.
const tries = 5

func pause(try int) time.Duration { return 100 * time.Millisecond << (2 * (try - 1)) }

// limits keep a transaction whose client is gone without a word from holding its locks for hours, and this one from waiting for it as long.
const limits = "SET LOCAL tcp_keepalives_idle = 30; SET LOCAL tcp_keepalives_interval = 10; SET LOCAL tcp_keepalives_count = 3; SET LOCAL lock_timeout = '10min'"

// Deliver loads the commit in one transaction with its row of the ledger.
func (t *target) Deliver(ctx context.Context, c sinks.Commit) (detail string, err error) {
	for try := 1; ; try++ {
		detail, err = t.load(ctx, c)
		if err == nil {
			return detail, nil
		}
		if cerr := t.Close(); cerr != nil { // whatever state it is in
			t.req.Log.Debug("close connection", "error", cerr.Error())
		}
		demoted := pg.ReadOnly(err) || errors.Is(err, errReplica)
		if demoted { // preflight found it writable: the name of the database still leads to what a failover has made a replica
			err = fail.Newf(fail.Temporary, "the server takes no writes, as after a failover, or it is a replica: %w", err)
		}
		if try == tries || !demoted && !pg.Transient(err) || ctx.Err() != nil {
			return "", err
		}
		t.req.Log.Warn("the load is begun anew", "table", t.title(), "try", try, "error", err.Error())
		select {
		case <-ctx.Done():
			return "", fail.Newf(fail.Temporary, "load into %s: %w", t.title(), context.Cause(ctx))
		case <-time.After(t.pause(try)):
		}
	}
}

// connect is the connection, made if there is none.
func (t *target) connect(ctx context.Context) (err error) {
	if t.conn != nil && !t.conn.Raw().IsClosed() {
		return nil
	}
	t.conn, err = t.settings.Connect(ctx)
	return err
}

func (t *target) load(ctx context.Context, c sinks.Commit) (string, error) {
	if err := t.connect(ctx); err != nil {
		return "", err
	}
	verb := "load into " + t.title()
	if t.create {
		if err := t.ensure(ctx, "create table "+t.title(), t.createSQL(), t.schema, t.name); err != nil {
			return "", err
		}
	}
	if err := t.ensure(ctx, "create table "+t.schema+".sluice_loads", t.ledgerSQL(), t.schema, "sluice_loads"); err != nil {
		return "", err
	}
	if _, err := t.conn.Exec(ctx, verb, "BEGIN ISOLATION LEVEL READ COMMITTED; "+limits); err != nil {
		return "", err
	}
	at := pg.Literal(stamp(c.At))
	fresh, err := t.conn.Exec(ctx, verb, t.claimSQL(at+"::timestamptz"))
	if err != nil {
		return "", err
	}
	f, err := t.inspect(ctx)
	if err != nil {
		return "", err
	}
	if fresh == 0 {
		there, err := t.earlier(ctx, verb, at)
		if err != nil {
			return "", err
		}
		if there {
			_, err := t.conn.Exec(ctx, verb, "ROLLBACK")
			return fmt.Sprintf("%d rows are in %s since an earlier attempt", c.Rows, t.title()), err
		}
	}
	if _, err := t.later(ctx, verb, c); err != nil { // before the rows are sent for nothing
		return "", err
	}
	if f.direct {
		if err := t.clear(ctx, verb, c); err != nil {
			return "", err
		}
	}
	into := t.table()
	if !f.direct {
		into = stage
		if _, err := t.conn.Exec(ctx, verb, t.stageSQL(f)); err != nil {
			return "", err
		}
	}
	n, err := t.copy(ctx, verb, "COPY "+into+" ("+t.names()+") FROM STDIN (FORMAT binary)", f, c)
	if err != nil {
		return "", err
	}
	if n != c.Rows {
		return "", fail.Newf(fail.Data, "%s: %d rows were copied, the run has %d", verb, n, c.Rows)
	}
	if !f.direct {
		if err := t.clear(ctx, verb, c); err != nil {
			return "", err
		}
		if _, err := t.conn.Exec(ctx, verb, t.moveSQL(f)); err != nil {
			return "", err
		}
	}
	// What has taken rows into the table holds its lock, which a replacement waits for: one that is not in the ledger now comes after these rows.
	aside, err := t.later(ctx, verb, c)
	if err != nil {
		return "", err
	}
	if _, err := t.conn.Exec(ctx, verb, fmt.Sprintf(`UPDATE %s SET "rows" = %d, "committed_at" = %s::timestamptz, "loaded_at" = now() WHERE "target" = %s AND "run_id" = %s; COMMIT`,
		t.ledger(), n, at, pg.Literal(t.name), pg.Literal(c.RunID))); err != nil {
		return "", err
	}
	if aside != "" {
		t.req.Log.Warn("a run that was committed later was loaded before", "table", t.title(), "detail", aside)
		aside = "; " + aside
	}
	return fmt.Sprintf("%d rows into %s of %s, %s%s", n, t.title(), t.conn.Where(), t.mode, aside), nil
}

// clear makes room for the rows under mode: replace. The later of two at once waits for the lock, and only then can see whether the other was committed after it.
func (t *target) clear(ctx context.Context, verb string, c sinks.Commit) error {
	if t.mode != "replace" {
		return nil
	}
	if _, err := t.conn.Exec(ctx, verb, t.lockSQL()); err != nil {
		return err
	}
	if _, err := t.later(ctx, verb, c); err != nil {
		return err
	}
	_, err := t.conn.Exec(ctx, verb, t.deleteSQL())
	return err
}

// later looks for a run in the ledger that was committed after c. One that has replaced the rows of the table has taken the place of all that c could bring: Superseded. One that has
// added to them is not replaced by c: an error. Of a merge it is a remark.
func (t *target) later(ctx context.Context, verb string, c sinks.Commit) (remark string, err error) {
	rows, err := t.conn.Query(ctx, verb, t.laterSQL("$3"), t.name, c.RunID, stamp(c.At))
	if err != nil || len(rows) == 0 {
		return "", err
	}
	run, mode, at := rows[0][0], string(rows[0][1]), rows[0][2]
	switch {
	case mode == "replace":
		return "", sinks.Superseded{Why: fmt.Sprintf("run %s, committed at %s, has replaced the rows of %s since: those of this run, committed at %s, are not loaded", run, at, t.title(), stamp(c.At))}
	case t.mode == "merge":
		return fmt.Sprintf("run %s, committed after this one, was loaded before it (%s): where both have a key this run's row stands", run, mode), nil
	case t.mode == "append":
		return "", nil
	}
	return "", fail.Newf(fail.Data, "%s: run %s (%s), committed at %s, after this one, is in %s: mode: replace would delete its rows; --force commits this run anew, as the latest", verb, run, mode, at, t.title())
}

// stamp is a time of a commit as the ledger has it: in microseconds, which PostgreSQL rounds to.
func stamp(at time.Time) string { return at.UTC().Round(time.Microsecond).Format(time.RFC3339Nano) }

// ensure makes a table outside of the load's transaction, unless it is there: who may not make it then needs no right to.
func (t *target) ensure(ctx context.Context, verb, sql, schema, name string) error {
	exists := func() (bool, error) {
		rows, err := t.conn.Query(ctx, verb, "SELECT 1 FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = $1 AND c.relname = $2", schema, name)
		return len(rows) > 0, err
	}
	there, err := exists()
	if there || err != nil {
		return err
	}
	if _, err := t.conn.Exec(ctx, verb, sql); err != nil {
		if there, lerr := exists(); lerr == nil && there { // another made it at the same time, and IF NOT EXISTS does not see that
			return nil
		}
		if fail.KindOf(err) == fail.Permission {
			return fmt.Errorf("%w; let someone who may do so run: %s", err, sql)
		}
		return err
	}
	return nil
}

// earlier reports whether the run's row of the ledger is that of this commit. Of another commit of the run, which --force made, it takes back what can be taken back.
func (t *target) earlier(ctx context.Context, verb, at string) (bool, error) {
	rows, err := t.conn.Query(ctx, verb, fmt.Sprintf(`SELECT "committed_at" = %s::timestamptz, "rows", "committed_at" > %s::timestamptz, `+utc("committed_at")+` FROM %s WHERE "target" = $1 AND "run_id" = $2 FOR UPDATE`, at, at, t.ledger()), t.name, t.req.RunID)
	if err != nil {
		return false, err
	}
	switch {
	case len(rows) == 0:
		return false, fail.Newf(fail.Temporary, "%s: the run's row of %s was taken away meanwhile", verb, t.ledger())
	case string(rows[0][0]) == "t":
		return true, nil
	case string(rows[0][2]) == "t":
		return false, sinks.Superseded{Why: fmt.Sprintf("the run was committed anew at %s (--force), and that is loaded into %s", rows[0][3], t.title())}
	case t.mode != "append":
		return false, nil
	case t.runColumn == "":
		return false, t.appended(string(rows[0][1]), verb)
	}
	_, err = t.conn.Exec(ctx, verb, fmt.Sprintf("DELETE FROM %s WHERE %s = %s", t.table(), pg.Ident(t.runColumn), pg.Literal(t.req.RunID)))
	return false, err
}

// copy sends the rows of the committed files, as they are read.
func (t *target) copy(ctx context.Context, verb, sql string, f *fit, c sinks.Commit) (int64, error) {
	enc, err := pg.NewEncoder(memory.DefaultAllocator, t.req.Schema, f.stage)
	if err != nil {
		return 0, fail.Wrap(fail.Internal, err)
	}
	r, w := io.Pipe()
	read := make(chan error, 1)
	reading, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		err := fail.Guard("read back", func() error { return send(reading, w, enc, c) })
		read <- err
		w.CloseWithError(err) // nil is the end
	}()
	tag, err := t.conn.Raw().CopyFrom(ctx, r, sql)
	r.CloseWithError(errStopped)
	if err != nil {
		cancel()
	}
	rerr := <-read
	switch {
	case rerr != nil && !errors.Is(rerr, errStopped) && !errors.Is(rerr, context.Canceled): // the cause of whatever the server says
		return 0, rerr
	case err != nil:
		return 0, pg.Error(ctx, verb, err)
	}
	return tag.RowsAffected(), nil
}

var errStopped = errors.New("the server takes no more")

func send(ctx context.Context, w io.Writer, enc *pg.Encoder, c sinks.Commit) error {
	flush := func(b []byte) ([]byte, error) { _, err := w.Write(b); return b[:0], err }
	buf := pg.Begin(nil)
	if err := c.Read(ctx, func(rec arrow.Record) (err error) {
		buf, err = enc.Append(buf, rec, flush)
		return err
	}); err != nil {
		return err
	}
	_, err := flush(pg.End(buf))
	return err
}
