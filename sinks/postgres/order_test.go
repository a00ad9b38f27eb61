package postgres

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/apache/arrow/go/v17/arrow"

	"github.com/sluice-data/sluice/internal/fail"
	"github.com/sluice-data/sluice/internal/pgtest"
	"github.com/sluice-data/sluice/sinks"
)

// numbered is a commit of n rows by a run, minute after minute.
func numbered(t *testing.T, run string, minute, n int) sinks.Commit {
	t.Helper()
	c := commitOf(t, people, rowsOf(n)...)
	c.RunID, c.At = run, time.Date(2026, 1, 2, 3, minute, 0, 0, time.UTC)
	return c
}

// deliverAs delivers the commit as the run that it is of.
func deliverAs(t *testing.T, db, text string, c sinks.Commit) (string, error) {
	t.Helper()
	d, err := open(sinks.TargetRequest{At: block(t, db, text), Schema: schemaOf(t, people), Format: "parquet", RunID: c.RunID, Pipeline: "p", Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	return d.Deliver(t.Context(), c)
}

func state(t *testing.T, db string) string {
	t.Helper()
	return fmt.Sprint(pgtest.Exec(t, db, `SELECT count(*), (SELECT string_agg("run_id", ' ' ORDER BY "run_id") FROM sluice_loads WHERE "rows" > 0) FROM o`)[0])
}

// TestOlderRun: a run that gets to its load after a later commit was loaded does not take its place.
func TestOlderRun(t *testing.T) {
	db := pgtest.Start(t).Database(t)
	const replace, merge, byRun, plain = "table: o\nmode: replace\n", "table: o\nmode: merge\nkeys: [id]\n", "table: o\nmode: replace\nrun_id_column: run\n", "table: o\n"
	superseded := func(err error) string {
		if s := (sinks.Superseded{}); errors.As(err, &s) {
			return s.Why
		}
		return ""
	}
	for _, c := range []struct {
		name         string
		first, again string // blocks of the later run and of the older one
		end, says    string
		kind         fail.Kind
	}{
		{"replaced", replace, replace, "[2 later]", "run later, committed at 2026-01-02T03:09:00Z, has replaced the rows of public.o since: those of this run, committed at 2026-01-02T03:05:00Z, are not loaded", 0},
		{"replaced, by a stage", byRun, byRun, "[2 later]", "run later, committed at 2026-01-02T03:09:00Z, has replaced", 0},
		{"appended", plain, replace, "[2 later]", "run later (append), committed at 2026-01-02T03:09:00Z, after this one, is in public.o: mode: replace would delete its rows; --force commits this run anew", fail.Data},
		{"append replaced", replace, plain, "[2 later]", "run later, committed at 2026-01-02T03:09:00Z, has replaced the rows of public.o since", 0},
		{"append replaced, by a stage", replace, "table: o\nrun_id_column: run\n", "[2 later]", "run later, committed at 2026-01-02T03:09:00Z, has replaced", 0},
		{"merge replaced", replace, merge, "[2 later]", "run later, committed at 2026-01-02T03:09:00Z, has replaced", 0},
		{"append beside append", plain, plain, "[5 later older]", "3 rows into public.o", 0},
		{"merged", merge, merge, "[3 later older]", "3 rows into public.o of 127.0.0.1", 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			pgtest.Exec(t, db, "DROP TABLE IF EXISTS o, sluice_loads; CREATE TABLE o (id bigint, name text, run text)")
			if strings.HasPrefix(c.name, "merge") {
				pgtest.Exec(t, db, "CREATE UNIQUE INDEX ON o (id)")
			}
			if _, err := deliverAs(t, db, c.first, numbered(t, "later", 9, 2)); err != nil {
				t.Fatal(err)
			}
			detail, err := deliverAs(t, db, c.again, numbered(t, "older", 5, 3))
			says := detail + superseded(err)
			if c.kind != 0 && err != nil {
				says += err.Error()
			}
			if !strings.Contains(says, c.says) || c.kind != 0 && fail.KindOf(err) != c.kind || c.kind == 0 && err != nil && superseded(err) == "" {
				t.Errorf("%q, %v, want %q", detail, err, c.says)
			}
			if c.name == "merged" && !strings.Contains(detail, "run later, committed after this one, was loaded before it (merge): where both have a key this run's row stands") {
				t.Errorf("%q does not tell of the later run", detail)
			}
			if got := state(t, db); got != c.end {
				t.Errorf("%s, want %s", got, c.end)
			}
		})
	}
	t.Run("another commit of the run itself", func(t *testing.T) {
		pgtest.Exec(t, db, "DROP TABLE IF EXISTS o, sluice_loads; CREATE TABLE o (id bigint, name text, run text)")
		if _, err := deliverAs(t, db, replace, numbered(t, "same", 9, 2)); err != nil {
			t.Fatal(err)
		}
		if _, err := deliverAs(t, db, replace, numbered(t, "same", 5, 3)); !strings.Contains(superseded(err), "was committed anew at 2026-01-02T03:09:00Z (--force), and that is loaded") {
			t.Error(err)
		}
		if got := state(t, db); got != "[2 same]" {
			t.Error(got)
		}
	})
}

// TestAppendBehindReplacement: an append or a merge that waits for the table while a later run replaces it finds that run in the ledger once it has the table.
func TestAppendBehindReplacement(t *testing.T) {
	db := pgtest.Start(t).Database(t)
	for _, text := range []string{"table: o\n", "table: o\nrun_id_column: run\n", "table: o\nmode: merge\nkeys: [id]\n"} {
		pgtest.Exec(t, db, "DROP TABLE IF EXISTS o, sluice_loads; CREATE TABLE o (id bigint, name text, run text)")
		if strings.Contains(text, "merge") {
			pgtest.Exec(t, db, "CREATE UNIQUE INDEX ON o (id)")
		}
		older, later := numbered(t, "older", 5, 3), numbered(t, "later", 9, 2)
		done, read := make(chan error, 1), later.Read
		later.Read = func(ctx context.Context, emit func(arrow.Record) error) error { // the table is locked and empty
			go func() { _, err := deliverAs(t, db, text, older); done <- err }()
			for len(done) == 0 && pgtest.Exec(t, db, "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()")[0][0] == "0" && ctx.Err() == nil {
				time.Sleep(5 * time.Millisecond)
			}
			return read(ctx, emit)
		}
		if _, err := deliverAs(t, db, "table: o\nmode: replace\n", later); err != nil {
			t.Fatal(err)
		}
		if s, err := (sinks.Superseded{}), <-done; !errors.As(err, &s) {
			t.Errorf("%q: %v", text, err)
		}
		if got := state(t, db); got != "[2 later]" {
			t.Errorf("%q: %s", text, got)
		}
	}
}

// TestReplacesAtOnce: of two runs that replace at once the later commit's rows stand alone, whoever comes first.
func TestReplacesAtOnce(t *testing.T) {
	db := pgtest.Start(t).Database(t)
	for _, first := range []string{"older", "later"} {
		for _, text := range []string{"table: o\nmode: replace\n", "table: o\nmode: replace\nrun_id_column: run\n"} {
			pgtest.Exec(t, db, "DROP TABLE IF EXISTS o, sluice_loads; CREATE TABLE o (id bigint, name text, run text)")
			commits := map[string]sinks.Commit{"older": numbered(t, "older", 5, 3), "later": numbered(t, "later", 9, 2)}
			second := map[string]string{"older": "later", "later": "older"}[first]
			a, b := commits[first], commits[second]
			done := make(chan error, 1)
			read := a.Read
			a.Read = func(ctx context.Context, emit func(arrow.Record) error) error {
				if err := read(ctx, emit); err != nil || len(done) > 0 {
					return err
				}
				go func() { _, err := deliverAs(t, db, text, b); done <- err }()
				for len(done) == 0 && pgtest.Exec(t, db, "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()")[0][0] == "0" && ctx.Err() == nil {
					if strings.Contains(text, "run_id_column") && pgtest.Exec(t, db, "SELECT count(*) FROM pg_locks l JOIN pg_class c ON c.oid = l.relation WHERE c.relname = 'o' AND l.mode = 'ShareRowExclusiveLock'")[0][0] == "1" {
						break // through a stage the rows wait before the lock is taken
					}
					time.Sleep(5 * time.Millisecond)
				}
				return nil
			}
			_, errA := deliverAs(t, db, text, a)
			errB := <-done
			for _, err := range []error{errA, errB} {
				if s := (sinks.Superseded{}); err != nil && !errors.As(err, &s) {
					t.Errorf("%s first, %q: %v", first, text, err)
				}
			}
			if got := state(t, db); got != "[2 later]" && got != "[2 later older]" { // the older one may have been in for a while
				t.Errorf("%s first, %q: %s", first, text, got)
			}
		}
	}
}
