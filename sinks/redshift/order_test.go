package redshift

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sluice-data/sluice/internal/fail"
	"github.com/sluice-data/sluice/internal/redshifttest"
	"github.com/sluice-data/sluice/sinks"
)

// minute is a commit of rows at a minute after three.
func (r *rig) minute(t *testing.T, run string, minute int, ids ...int) sinks.Commit {
	t.Helper()
	var rows []string
	for _, id := range ids {
		rows = append(rows, fmt.Sprintf(`{"id":%d,"v":"%s"}`, id, run))
	}
	c := r.commit(t, run, columns(t, "id int64; v string"), "["+strings.Join(rows, ",")+"]")
	c.At = time.Date(2026, 1, 2, 3, minute, 0, 120_000_000, time.UTC)
	return c
}

func (r *rig) deliverCommit(t *testing.T, block string, c sinks.Commit) (string, error) {
	t.Helper()
	return r.open(t, c.RunID, block, columns(t, "id int64; v string")).Deliver(t.Context(), c)
}

func superseded(err error) string {
	if s := (sinks.Superseded{}); errors.As(err, &s) {
		return s.Why
	}
	return ""
}

// A run that gets to its load after a later commit was loaded does not take its place.
func TestOlderRun(t *testing.T) {
	const later, older, ledger = "00000000000000b1", "00000000000000b2", "SELECT table_name, run_id, mode FROM stg.loads ORDER BY 1, 2"
	r := newRig(t)
	r.Exec(t, "CREATE SCHEMA stg")
	for way, to := range ways {
		for _, c := range []struct{ name, first, again, rows, says string }{
			{"replaced", "mode: replace", "mode: replace", "[1|b1 2|b1]", "run " + later + ", committed at 2026-01-02T03:09:00Z, has replaced the rows of stg.o since: those of this run, committed at 2026-01-02T03:05:00Z, are not loaded"},
			{"appended", "mode: append", "mode: replace", "[1|b1 2|b1]", "run " + later + " (append), committed at 2026-01-02T03:09:00Z, after this one, is in stg.o: mode: replace would delete its rows; --force commits this run anew"},
			{"append replaced", "mode: replace", "mode: append", "[1|b1 2|b1]", "run " + later + ", committed at 2026-01-02T03:09:00Z, has replaced the rows of stg.o since"},
			{"merge replaced", "mode: replace", "mode: merge, keys: [id]", "[1|b1 2|b1]", "run " + later + ", committed at 2026-01-02T03:09:00Z, has replaced the rows of stg.o since"},
			{"append beside append", "mode: append", "mode: append", "[1|b1 2|b1 2|b2 3|b2]", "loaded 2 rows into stg.o (append)"},
			{"merged", "mode: merge, keys: [id]", "mode: merge, keys: [id]", "[1|b1 2|b2 3|b2]", "loaded 2 rows into stg.o (merge); run " + later + ", committed after this one, was loaded before it (merge): where both have a key this run's row stands"},
		} {
			t.Run(way+"/"+c.name, func(t *testing.T) {
				r.Query(t, "DROP TABLE IF EXISTS stg.o, stg.loads, stg.other")
				block := func(mode string) string {
					return "{" + to + ", table: stg.o, ledger: stg.loads, ensure: create, " + mode + "}"
				}
				if _, err := r.deliverCommit(t, block(c.first), r.minute(t, later, 9, 1, 2)); err != nil {
					t.Fatal(err)
				}
				// What the ledger has of other tables is of no matter.
				if _, err := r.deliverCommit(t, strings.Replace(block("mode: replace"), "stg.o,", "stg.other,", 1), r.minute(t, "00000000000000b3", 4, 7)); err != nil {
					t.Fatal(err)
				}
				detail, err := r.deliverCommit(t, block(c.again), r.minute(t, older, 5, 2, 3))
				switch {
				case superseded(err) != "":
					detail = superseded(err)
				case err != nil && c.name != "appended":
					t.Fatal(err)
				case err != nil:
					detail = err.Error()
					wants(t, err, fail.Data)
				}
				if !strings.Contains(detail, c.says) {
					t.Errorf("%q, want %q", detail, c.says)
				}
				equal(t, "rows", r.Query(t, "SELECT id, right(v, 2) FROM stg.o ORDER BY 1, 2"), c.rows)
				want := fmt.Sprintf("[stg.o|%s|%s]", later, strings.Fields(strings.TrimSuffix(c.first, ", keys: [id]"))[1])
				if strings.HasPrefix(c.says, "loaded") {
					want = strings.TrimSuffix(want, "]") + fmt.Sprintf(" stg.o|%s|%s]", older, strings.Fields(strings.TrimSuffix(c.again, ", keys: [id]"))[1])
				}
				equal(t, "ledger", r.Query(t, strings.Replace(ledger, "ORDER", "WHERE table_name = 'stg.o' ORDER", 1)), want)
			})
		}
		t.Run(way+"/another commit of the run itself", func(t *testing.T) {
			r.Query(t, "DROP TABLE IF EXISTS stg.o, stg.loads")
			block := "{" + to + ", table: stg.o, ledger: stg.loads, ensure: create, mode: replace}"
			if _, err := r.deliverCommit(t, block, r.minute(t, older, 9, 1, 2)); err != nil {
				t.Fatal(err)
			}
			if _, err := r.deliverCommit(t, block, r.minute(t, older, 5, 3)); !strings.Contains(superseded(err), "was committed anew at 2026-01-02T03:09:00Z (--force), and that is loaded into stg.o") {
				t.Error(err)
			}
			equal(t, "rows", r.Query(t, "SELECT id FROM stg.o ORDER BY 1"), "[1 2]")
		})
	}
}

// An older run that waits for the ledger while a later one replaces the table finds it there when its turn comes.
func TestOlderRunWaits(t *testing.T) {
	const later = "00000000000000b1"
	waits := func(to, mode string) func(t *testing.T) {
		return func(t *testing.T) {
			r := newRig(t)
			r.Exec(t, "CREATE SCHEMA stg")
			block := "{" + to + ", table: stg.o, ensure: create, mode: replace}"
			older := strings.Replace(block, "mode: replace", "mode: "+mode, 1)
			if _, err := r.deliverCommit(t, block, r.minute(t, "00000000000000b0", 1, 9)); err != nil {
				t.Fatal(err)
			}
			first, second := r.minute(t, later, 9, 1, 2), r.minute(t, "00000000000000b2", 5, 2, 3)
			done := make(chan error, 1)
			var once sync.Once
			r.SetFault(func(event string) redshifttest.Fault {
				if strings.HasPrefix(event, "sql: COPY") {
					once.Do(func() {
						go func() { _, err := r.deliverCommit(t, older, second); done <- err }()
						for len(done) == 0 && fmt.Sprint(r.Query(t, "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()")) == "[0]" {
							time.Sleep(5 * time.Millisecond)
						}
					})
				}
				return redshifttest.None
			})
			if _, err := r.deliverCommit(t, block, first); err != nil {
				t.Fatal(err)
			}
			if err := <-done; !strings.Contains(superseded(err), "run "+later) {
				t.Error(err)
			}
			equal(t, "rows", r.Query(t, "SELECT id FROM stg.o ORDER BY 1"), "[1 2]")
		}
	}
	for way, to := range ways {
		for _, mode := range []string{"replace", "append", "merge, keys: [id]"} {
			t.Run(way+"/"+mode, waits(to, mode))
		}
	}
}

// --force on a plain append is refused before the run, not after its commit; another attempt at a run that is not forced may find it loaded.
func TestForcedAppendIsRefusedFirst(t *testing.T) {
	r := newRig(t)
	s := columns(t, "id int64; v string")
	for way, to := range ways {
		block := "{" + to + ", table: public." + strings.ReplaceAll(way, " ", "") + ", ensure: create}"
		if _, err := r.deliver(t, run1, block, s, `[{"id":1}]`); err != nil {
			t.Fatal(err)
		}
		forced := r.open(t, run1, block, s)
		forced.req.Forced = true
		_, err := forced.Preflight(t.Context())
		wants(t, err, fail.Data, "1 rows of an earlier commit", "set run_id_column")
		if _, err := r.open(t, run1, block, s).Preflight(t.Context()); err != nil {
			t.Error(err)
		}
	}
}

// A statement of the Data API that ended well is not taken for the load when rows and ledger are gone since: it is handed in anew.
func TestRowsTakenAway(t *testing.T) {
	r := newRig(t)
	r.Exec(t, "CREATE SCHEMA stg")
	block := "{" + ways["data api"] + ", table: stg.o, ensure: create}"
	c := r.minute(t, run1, 5, 1, 2)
	for range 3 {
		if _, err := r.deliverCommit(t, block, c); err != nil {
			t.Fatal(err)
		}
		equal(t, "rows", r.Query(t, "SELECT id FROM stg.o ORDER BY 1"), "[1 2]")
		r.Exec(t, "DELETE FROM stg.o")
		r.Exec(t, "DELETE FROM stg.o_sluice_loads")
	}
}
