package redshift

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/sluice-data/sluice/internal/fail"
	"github.com/sluice-data/sluice/internal/objstore"
	"github.com/sluice-data/sluice/internal/redshifttest"
)

// faultyStore asks before each Put, too.
type faultyStore struct {
	objstore.Store
	event func(string) redshifttest.Fault
}

func (s faultyStore) Put(ctx context.Context, ref objstore.Ref, body []byte, contentType string, ifAbsent bool) (objstore.Info, error) {
	switch s.event("put") {
	case redshifttest.None, redshifttest.Conflict, redshifttest.Throttle:
		return s.Store.Put(ctx, ref, body, contentType, ifAbsent)
	case redshifttest.Lose:
		if _, err := s.Store.Put(ctx, ref, body, contentType, ifAbsent); err != nil {
			return objstore.Info{}, err
		}
	}
	return objstore.Info{}, fail.Newf(fail.Temporary, "injected: the store does not answer")
}

// disturb says what happens at the event with a number, and from then on.
type disturb struct {
	name string
	at   func(stop context.CancelFunc) redshifttest.Fault
	then redshifttest.Fault
	own  bool // the attempt itself gets over it
}

var disturbances = []disturb{
	{"stopped", func(stop context.CancelFunc) redshifttest.Fault { stop(); return redshifttest.None }, redshifttest.None, false},
	{"killed", func(stop context.CancelFunc) redshifttest.Fault { stop(); return redshifttest.Lose }, redshifttest.Drop, false},
	{"answer lost", func(context.CancelFunc) redshifttest.Fault { return redshifttest.Lose }, redshifttest.None, true},
	{"request lost", func(context.CancelFunc) redshifttest.Fault { return redshifttest.Drop }, redshifttest.None, true},
	{"conflict", func(context.CancelFunc) redshifttest.Fault { return redshifttest.Conflict }, redshifttest.None, true},
	{"throttled", func(context.CancelFunc) redshifttest.Fault { return redshifttest.Throttle }, redshifttest.None, true},
}

// sparse leaves out four of five events, and some pairs of mode and disturbance: all of them take many minutes. SLUICE_EVERY=1 takes them all.
var sparse = os.Getenv("SLUICE_EVERY") == ""

// Whatever happens at whichever HTTP call, wire message, statement or put: when the run has been started once more, the table has each row once.
func TestDisturbedAnywhere(t *testing.T) {
	for way, to := range ways {
		for _, mode := range []string{"mode: append", "mode: merge, keys: [id]"} {
			for _, d := range disturbances {
				if way == "direct" && d.name == "throttled" {
					continue // that is of HTTP
				}
				if merge := mode != "mode: append"; sparse && merge != (d.name == "stopped" || d.name == "conflict") {
					continue
				}
				t.Run(way+"/"+mode+"/"+d.name, func(t *testing.T) { disturbed(t, to, mode, d) })
			}
		}
	}
}

func disturbed(t *testing.T, to, mode string, d disturb) {
	r := newRig(t)
	s := columns(t, "id int64; v string")
	r.Exec(t, "CREATE SCHEMA stg")
	block := "{" + to + ", table: stg.t, ensure: create, " + mode + "}"
	if _, err := r.deliver(t, "00000000000000ff", block, s, `[{"id":0,"v":"zero"}]`); err != nil {
		t.Fatal(err)
	}
	rows := 1
	step := int64(1)
	if sparse {
		step = 5
	}
	for n := int64(0); ; n += step {
		runID := fmt.Sprintf("%016x", n+1)
		commit := r.commit(t, runID, s, fmt.Sprintf(`[{"id":%d,"v":"a"},{"id":%d,"v":"b"}]`, 10*n+1, 10*n+2), fmt.Sprintf(`[{"id":%d,"v":"c"}]`, 10*n+3))
		rows += 3
		ctx, stop := context.WithCancel(t.Context())
		var events, hit atomic.Int64
		event := func(string) redshifttest.Fault {
			switch e := events.Add(1) - 1; {
			case e == n:
				hit.Store(1)
				return d.at(stop)
			case e > n:
				return d.then
			}
			return redshifttest.None
		}
		first := r.open(t, runID, block, s)
		first.req.Store = faultyStore{r.store, event}
		r.SetFault(event)
		_, err := first.Deliver(ctx, commit)
		stop()
		r.SetFault(nil)
		reached := hit.Load() == 1
		switch {
		case reached && err == nil && !d.own, !reached && err == nil: // the last of its events may come too late to matter
		case reached && d.own && err != nil && !errorsAtPut(err):
			t.Fatalf("event %d: the attempt does not get over it: %v", n, err)
		case err != nil && fail.KindOf(err) != fail.Temporary && !errors.Is(err, context.Canceled):
			t.Fatalf("event %d: %v", n, err)
		case !reached && err != nil:
			t.Fatal(err)
		}
		if err := first.Close(); err != nil && d.name != "killed" {
			t.Fatal(err)
		}
		second := r.open(t, runID, block, s)
		if _, err := second.Deliver(t.Context(), commit); err != nil {
			t.Fatalf("event %d: once more: %v", n, err)
		}
		if wrong := r.Query(t, "SELECT id, count(*) FROM stg.t GROUP BY id HAVING count(*) <> 1"); len(wrong) > 0 {
			t.Fatalf("event %d: id|times %v", n, wrong)
		}
		equal(t, fmt.Sprintf("event %d: rows", n), r.Query(t, "SELECT count(*) FROM stg.t"), fmt.Sprintf("[%d]", rows))
		if !reached {
			if n < 10 {
				t.Fatalf("only %d events", n)
			}
			break
		}
	}
	r.Idle(t) // what went on after a kill must not change that
	equal(t, "rows in the end", r.Query(t, "SELECT count(*), count(DISTINCT id) FROM stg.t"), fmt.Sprintf("[%d|%d]", rows, rows))
}

// errorsAtPut: the store has retries of its own, which the double of a fault goes past.
func errorsAtPut(err error) bool { return strings.Contains(err.Error(), "injected: the store") }
