package redshift

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"strings"
	"time"

	"github.com/sluice-data/sluice/internal/fail"
	"github.com/sluice-data/sluice/sinks"
)

// database is a way to Redshift. Its errors are *sqlError where the database refused a statement, else *fail.Error: of kind Temporary where
// the outcome is not known or trying again may help.
type database interface {
	// query runs one statement and returns its rows as text; nil is NULL.
	query(ctx context.Context, sql string) ([][]*string, error)
	// transact runs the statements in one transaction.
	transact(ctx context.Context, statements []statement) error
	// anew forgets what earlier attempts handed in for the statements, so that transact runs them.
	anew(ctx context.Context, statements []statement) error
	// peek runs the statements, and returns the rows of the query after them. Temporary tables of theirs are gone afterwards.
	peek(ctx context.Context, before []statement, query string) ([][]*string, error)
	close(ctx context.Context) error
}

// delivery is the target bound to one run.
type delivery struct {
	cfg   config
	req   sinks.TargetRequest
	cols  []column
	db    database
	pause func(try int) time.Duration
	poll  time.Duration // how soon the Data API is asked again
}

// tries is how often a conflict, a throttled request or a lost connection is tried again: about two minutes.
const tries = 10

// backoff doubles from a quarter of a second to half a minute, of which at least half is waited.
func backoff(try int) time.Duration {
	d := min(250*time.Millisecond<<min(try, 10), 30*time.Second)
	return d/2 + rand.N(d/2)
}

// Deliver loads the files.
func (d *delivery) Deliver(ctx context.Context, c sinks.Commit) (string, error) {
	l := load{runID: d.req.RunID, at: c.At.UTC().Format(commitTime), rows: fmt.Sprint(c.Rows), empty: len(c.Files) == 0, manifest: d.manifestRef().String(), commit: c.Manifest.String()}
	if err := d.stage(ctx, l, c); err != nil {
		return "", err
	}
	if d.cfg.mode == modeStage {
		return fmt.Sprintf("staged %d rows for %s: redshift.manifest and redshift.sql lie in %s", c.Rows, d.cfg.table, d.runRef("")), nil
	}
	var before found
	err := d.retry(ctx, "load", func() (err error) {
		before, err = d.once(ctx, l)
		return err
	})
	if err != nil {
		return "", d.told(ctx, err, l, c)
	}
	if before.loaded {
		return fmt.Sprintf("%s has the %d rows already", d.cfg.table, c.Rows), nil
	}
	return fmt.Sprintf("loaded %d rows into %s (%s)%s", c.Rows, d.cfg.table, d.cfg.mode, before.remark), nil
}

// found is what the ledger says before a load.
type found struct {
	loaded bool   // the run is in
	remark string // about a later run, whose rows this one's do not take the place of as a whole
}

// once tries to load the run, and returns what it found before.
func (d *delivery) once(ctx context.Context, l load) (before found, err error) {
	if err := d.connect(ctx); err != nil {
		return before, err
	}
	if err := d.ensure(ctx); err != nil {
		return before, err
	}
	if before, err = d.ledgered(ctx, l); before.loaded || err != nil {
		return before, err
	}
	statements := d.transaction(l)
	if err = d.db.transact(ctx, statements); err == nil {
		now, lerr := d.ledgered(ctx, l)
		if now.loaded || lerr != nil {
			return before, lerr
		}
		// A statement of an earlier attempt that had ended well, and whose rows were taken away since: by hand, or with a snapshot that was restored.
		if err = d.db.anew(ctx, statements); err == nil {
			err = d.db.transact(ctx, statements)
		}
	}
	var refused *sqlError
	if err != nil && ctx.Err() == nil && errors.As(err, &refused) && !refused.temporary() {
		// Another attempt may have been first, or a later run: that is what the statement which fails then is for, but the ledger is surer than any message.
		now, lerr := d.ledgered(ctx, l)
		var superseded sinks.Superseded
		if lerr == nil && now.loaded || errors.As(lerr, &superseded) || refused.at.step == stepFresh && lerr != nil {
			return now, lerr
		}
	}
	return before, err
}

// ledgered asks the ledger for the run and for those of its table that were committed later. An error that ends the load is of kind Data or sinks.Superseded.
func (d *delivery) ledgered(ctx context.Context, l load) (f found, err error) {
	rows, err := d.db.query(ctx, fmt.Sprintf("SELECT run_id, committed_at, row_count, mode FROM %s WHERE run_id = %s OR (%s) ORDER BY CASE WHEN run_id = %s THEN 0 WHEN mode = 'replace' THEN 1 ELSE 2 END, committed_at DESC",
		d.cfg.ledger.quoted(), literal(l.runID), d.later(l), literal(l.runID)))
	if err != nil || len(rows) == 0 {
		return f, err
	}
	run, at, n, mode := text(rows[0], 0), text(rows[0], 1), text(rows[0], 2), text(rows[0], 3)
	if run == l.runID {
		switch {
		case at == l.at:
			return found{loaded: true}, nil
		case at > l.at:
			return f, sinks.Superseded{Why: fmt.Sprintf("the run was committed anew at %s (--force), and that is loaded into %s", seconds(at), d.cfg.table)}
		case !d.cfg.repeats():
			return f, d.appended(l.runID, n)
		case len(rows) == 1:
			return f, nil
		}
		run, at, mode = text(rows[1], 0), text(rows[1], 1), text(rows[1], 3)
	}
	switch {
	case mode == modeReplace:
		return f, sinks.Superseded{Why: fmt.Sprintf("run %s, committed at %s, has replaced the rows of %s since: those of this run, committed at %s, are not loaded", run, seconds(at), d.cfg.table, seconds(l.at))}
	case d.cfg.mode == modeReplace:
		return f, fail.Newf(fail.Data, "run %s (%s), committed at %s, after this one, is in %s: mode: replace would delete its rows; --force commits this run anew, as the latest", run, mode, seconds(at), d.cfg.table)
	case d.cfg.mode == modeMerge:
		d.req.Log.Warn("redshift: a run that was committed later was loaded before", "table", d.cfg.table.String(), "run_id", run)
		f.remark = fmt.Sprintf("; run %s, committed after this one, was loaded before it (%s): where both have a key this run's row stands", run, mode)
	}
	return f, nil
}

// seconds is a time of the ledger as messages have it.
func seconds(at string) string {
	whole, _, _ := strings.Cut(at, ".")
	return whole + "Z"
}

// appended is the error of a run that is committed anew, and whose earlier rows cannot be told from others.
func (d *delivery) appended(run, rows string) error {
	return fail.Newf(fail.Data, "run %s was loaded into %s before, %s rows of an earlier commit (--force writes it anew), and the table does not say which rows those are: set run_id_column, or delete them and the run's row in %s by hand",
		run, d.cfg.table, rows, d.cfg.ledger)
}

// ensure makes the ledger and, where the block says so, the table.
func (d *delivery) ensure(ctx context.Context) error {
	there, err := d.relations(ctx)
	if err != nil {
		return err
	}
	create := func(n name, ddl string) error {
		if there[n] != "" {
			return nil
		}
		_, err := d.db.query(ctx, ddl)
		if err != nil { // IF NOT EXISTS does not keep two apart that make it at one time
			if now, lerr := d.relations(ctx); lerr == nil && now[n] != "" {
				return nil
			}
			return err
		}
		d.req.Log.Info("redshift: made a table", "table", n.String(), "sql", ddl)
		return nil
	}
	if d.cfg.create {
		if err := create(d.cfg.table, d.tableDDL()); err != nil {
			return err
		}
	}
	return create(d.cfg.ledger, d.ledgerDDL())
}

// connect opens the way to the database that the block names.
func (d *delivery) connect(ctx context.Context) error {
	if d.db != nil {
		return nil
	}
	if d.cfg.dsn != "" {
		db, err := newDirect(d.cfg.dsn)
		if err != nil {
			return err
		}
		d.db = db
		return nil
	}
	db, err := newDataAPI(ctx, d)
	if err != nil {
		return err
	}
	d.db = db
	return nil
}

// retry calls f until its error is none that trying again helps with.
func (d *delivery) retry(ctx context.Context, what string, f func() error) error {
	for try := 0; ; try++ {
		err := f()
		if err == nil || ctx.Err() != nil || !temporary(err) || try == tries {
			return err
		}
		wait := d.pause(try)
		d.req.Log.Info("redshift: trying again", "what", what, "try", try+1, "wait", wait.String(), "error", err.Error())
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return context.Cause(ctx)
		case <-timer.C:
		}
	}
}

func temporary(err error) bool {
	var refused *sqlError
	if errors.As(err, &refused) {
		return refused.temporary()
	}
	var dns *net.DNSError
	return fail.KindOf(err) == fail.Temporary && !(errors.As(err, &dns) && dns.IsNotFound) // a host that is unknown is not known a second later
}

// text is a value of a row; "" for NULL.
func text(row []*string, i int) string {
	if i >= len(row) || row[i] == nil {
		return ""
	}
	return *row[i]
}
