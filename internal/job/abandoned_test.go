package job

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sluice-data/sluice/internal/fail"
	"github.com/sluice-data/sluice/internal/objstore"
)

// deadAttempt is tables where an attempt at the run of a was killed when it had completed one of its two files.
func deadAttempt(t *testing.T, sink string) *tables {
	t.Helper()
	s := newTables(t)
	s.input(t, "a", 10, 1, 2)
	completed := 0
	_, err := s.run(t, tableRun{input: "a", sink: sink, wrap: func(under objstore.Store) objstore.Store {
		return &faultStore{Store: under, kind: refused, fail: func(call string) bool {
			if strings.HasPrefix(call, "complete ") {
				completed++
			}
			return completed > 1 // and nothing works from then on: it is dead
		}}
	}})
	if err == nil || len(s.visible(t)) != 1 {
		t.Fatalf("%v: %v", err, s.visible(t))
	}
	return s
}

// stride leaves out calls: all of them take a minute.
var stride = map[bool]int{true: 4, false: 1}[os.Getenv("SLUICE_EVERY") == ""]

const replaceZones = "mode: replace, " + byZone

// What a dead attempt at another run completed and never committed goes with what is replaced; that run's next attempt writes its rows again, to other names.
func TestAbandonedFiles(t *testing.T) {
	s := deadAttempt(t, byZone)
	var log strings.Builder
	s.commit(t, tableRun{input: "c", sink: replaceZones, log: slog.New(slog.NewTextHandler(&log, nil))})
	s.want(t, 32, 33)
	if !strings.Contains(log.String(), "left and did not commit are deleted") {
		t.Error(log.String())
	}
	rec := s.commit(t, tableRun{input: "a", sink: byZone})
	s.want(t, 11, 12, 32, 33)
	for _, f := range rec.Files {
		if !strings.HasSuffix(f.URI, "-1000000.parquet") {
			t.Errorf("%s may be deleted for the attempt before", f.URI)
		}
	}
	if again, err := s.run(t, tableRun{input: "a", sink: byZone}); err != nil || again.Status != AlreadyCommitted {
		t.Errorf("%s, %v", again.JSON(), err)
	}
	s.commit(t, tableRun{input: "b", sink: replaceZones})
	s.commit(t, tableRun{input: "a", sink: byZone, force: true})
	s.want(t, 11, 12, 22, 23)
}

// One that may be alive keeps its files, with a warning.
func TestFilesOfOneThatIsAliveStay(t *testing.T) {
	s := deadAttempt(t, byZone)
	var log strings.Builder
	s.commit(t, tableRun{input: "c", sink: replaceZones, patience: commitLease * 100, log: slog.New(slog.NewTextHandler(&log, nil))})
	if !strings.Contains(log.String(), "have not committed") && !strings.Contains(log.String(), "has not committed them stay") || len(s.visible(t)) != 3 {
		t.Errorf("%v: %s", s.visible(t), log.String())
	}
}

// Without a test's patience a run is not taken for dead before it has been silent for a day, however short the lease.
func TestDeadAfterADay(t *testing.T) {
	if deadAfter < 24*time.Hour || deadAfter < 1000*commitLease {
		t.Error(deadAfter)
	}
}

// Files that have a run's name and no notes of it in this table are another table's, below this one, or were brought here: nobody said that they may go.
func TestFilesWithoutNotesStay(t *testing.T) {
	s := newTables(t)
	rec := s.commit(t, tableRun{input: "a", sink: byZone})
	if err := os.RemoveAll(filepath.Join(s.dir, "out/data/_runs", rec.RunID)); err != nil {
		t.Fatal(err)
	}
	var log strings.Builder
	s.commit(t, tableRun{input: "c", sink: replaceZones, log: slog.New(slog.NewTextHandler(&log, nil))})
	if got := s.visible(t); len(got) != 4 || !got[11] || !got[12] || !strings.Contains(log.String(), "has not committed them stay") {
		t.Errorf("%v: %s", got, log.String())
	}
}

// The run that replaces is stopped at each of its calls, in three ways; then it and the other run are tried again.
func TestAbandonedFaultAtEveryCall(t *testing.T) {
	base := deadAttempt(t, byZone)
	for _, sink := range []string{replaceZones, "mode: replace_partitions, partition_by: [zone]"} {
		count := &faultStore{at: -1}
		base.copy(t).commit(t, tableRun{input: "c", sink: sink, wrap: func(under objstore.Store) objstore.Store { count.Store = under; return count }})
		from := slices.IndexFunc(count.calls, func(call string) bool { return strings.HasPrefix(call, "list data/_runs/_table/") })
		left, err := filepath.Glob(filepath.Join(base.dir, "out/data/*/part-*"))
		if err != nil || len(left) != 1 {
			t.Fatal(left, err)
		}
		other := strings.Split(filepath.Base(left[0]), "-")[1]
		for at := from; at < len(count.calls); at++ {
			switch ofOther := strings.Contains(count.calls[at], other); {
			case ofOther && !testing.Short():
				for kind := refused; kind <= dead; kind++ {
					faulted(t, base, sink, count.calls, at, kind)
				}
			case ofOther || at%stride == 0:
				faulted(t, base, sink, count.calls, at, fault(at%3))
			}
		}
	}
}

// faulted lets the run that replaces fail at a call, in base, which is not changed.
func faulted(t *testing.T, base *tables, sink string, calls []string, at int, kind fault) {
	t.Helper()
	s := base.copy(t)
	var store *faultStore
	_, err := s.run(t, tableRun{input: "c", sink: sink, wrap: func(under objstore.Store) objstore.Store {
		store = &faultStore{Store: under, at: at, kind: kind}
		return store
	}})
	where := fmt.Sprintf("%s, call %d, %q, %s: %v", sink, at, calls[at], kind, err)
	if len(store.calls) <= at {
		t.Fatalf("%s: the run made %d calls: nothing failed", where, len(store.calls))
	}
	if again, err := s.run(t, tableRun{input: "c", sink: sink}); err != nil {
		t.Fatalf("%s: the next attempt: %s, %v", where, again.JSON(), err)
	}
	if rec, err := s.run(t, tableRun{input: "a", sink: byZone}); err != nil || rec.Status != Committed || rec.ReplacedBy != nil {
		t.Fatalf("%s: the other run: %s, %v", where, rec.JSON(), err)
	}
	if s.want(t, 11, 12, 32, 33); t.Failed() {
		t.Fatal(where)
	}
}

// Of the two runs one stops before each of its calls, as if it were dead, while the other comes and goes whole; then it wakes up. Nothing of a commit is taken away but by the
// commit that says so, and nothing stands that is not committed.
func TestAbandonedWakesUp(t *testing.T) {
	for name, c := range map[string]struct{ sleeper, sleeps, other, otherSink string }{
		"the attempt that is taken for dead": {"a", byZone, "c", replaceZones},
		"the run that replaces":              {"c", replaceZones, "a", byZone},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			base := deadAttempt(t, byZone)
			count := &faultStore{at: -1}
			base.copy(t).commit(t, tableRun{input: c.sleeper, sink: c.sleeps, wrap: func(under objstore.Store) objstore.Store { count.Store = under; return count }})
			beaten := 0
			from := slices.IndexFunc(count.calls, func(call string) bool { return strings.Contains(call, "data/_runs/") })
			for at := from; at < len(count.calls); at += stride {
				s := base.copy(t)
				var otherErr error
				_, err := s.run(t, tableRun{input: c.sleeper, sink: c.sleeps, wrap: func(under objstore.Store) objstore.Store {
					return &faultStore{Store: under, at: at, then: func() { _, otherErr = s.run(t, tableRun{input: c.other, sink: c.otherSink}) }}
				}})
				where := fmt.Sprintf("call %d, %q: %v, then %v", at, count.calls[at], otherErr, err)
				for _, err := range []error{err, otherErr} {
					if err != nil && fail.KindOf(err) != fail.Temporary {
						t.Errorf("%s: not one that a retry helps with", where)
					}
					if errors.Is(err, errFenced) || errors.Is(err, errSuperseded) || errors.Is(err, errOverwritten) {
						beaten++
					}
				}
				if rec, err := s.run(t, tableRun{input: "c", sink: replaceZones}); err != nil {
					t.Errorf("%s: c again: %s, %v", where, rec.JSON(), err)
				}
				rec, err := s.run(t, tableRun{input: "a", sink: byZone})
				if err != nil {
					t.Errorf("%s: a again: %s, %v", where, rec.JSON(), err)
				}
				want := []int64{32, 33}
				if len(rec.ReplacedBy) == 0 {
					want = []int64{11, 12, 32, 33}
				}
				s.want(t, want...)
				if t.Failed() {
					t.Fatalf("%s: %s", where, rec.JSON())
				}
			}
			if name == "the attempt that is taken for dead" && beaten == 0 {
				t.Error("no attempt was fenced off")
			}
		})
	}
}

// Two runs replace what one dead attempt left: one stops before each of its calls while the other comes and goes whole. One of them is the table then, whole, and the run of the
// dead attempt has its rows beside it.
func TestTwoReplaceOneDead(t *testing.T) {
	base := deadAttempt(t, byZone)
	count := &faultStore{at: -1}
	base.copy(t).commit(t, tableRun{input: "c", sink: replaceZones, wrap: func(under objstore.Store) objstore.Store { count.Store = under; return count }})
	from := slices.IndexFunc(count.calls, func(call string) bool { return strings.Contains(call, "data/_runs/") })
	won := map[int64]bool{}
	step := stride
	if testing.Short() {
		step *= 3
	}
	for at := from; at < len(count.calls); at += step {
		s := base.copy(t)
		var otherErr error
		_, err := s.run(t, tableRun{input: "c", sink: replaceZones, wrap: func(under objstore.Store) objstore.Store {
			return &faultStore{Store: under, at: at, then: func() { _, otherErr = s.run(t, tableRun{input: "b", sink: replaceZones}) }}
		}})
		where := fmt.Sprintf("call %d, %q: %v, then %v", at, count.calls[at], otherErr, err)
		for _, err := range []error{err, otherErr} {
			if err != nil && fail.KindOf(err) != fail.Temporary {
				t.Errorf("%s: not one that a retry helps with", where)
			}
		}
		for _, input := range []string{"c", "b"} {
			if rec, err := s.run(t, tableRun{input: input, sink: replaceZones}); err != nil {
				t.Errorf("%s: %s again: %s, %v", where, input, rec.JSON(), err)
			}
		}
		last := int64(32)
		if s.visible(t)[22] {
			last = 22
		}
		won[last] = true
		s.want(t, last, last+1)
		if rec, err := s.run(t, tableRun{input: "a", sink: byZone}); err != nil || len(rec.ReplacedBy) > 0 {
			t.Errorf("%s: a again: %s, %v", where, rec.JSON(), err)
		}
		s.want(t, 11, 12, last, last+1)
		if t.Failed() {
			t.Fatal(where)
		}
	}
	if len(won) != 2 {
		t.Errorf("the same run was the last one always: %v", won)
	}
}
