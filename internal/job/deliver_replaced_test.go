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
	"github.com/sluice-data/sluice/sinks"
)

// fakeTable is a place for one target, by name in the sink: block.
func fakeTable(t *testing.T) (*fakePlace, string) {
	t.Helper()
	return fakeTargets(t, "fake_table")
}

// fakeTargets is a place for targets, by name in the sink: block.
func fakeTargets(t *testing.T, names ...string) (*fakePlace, string) {
	t.Helper()
	p := &fakePlace{}
	p.clear()
	fakes.Store(t.Name(), p)
	t.Cleanup(func() { fakes.Delete(t.Name()) })
	block := ""
	for _, name := range names {
		block += `, ` + name + `: {place: "` + t.Name() + `"}`
	}
	return p, block
}

// TestDeliveryOfAReplacedRun: a run whose files another has replaced before a target had them brings it those that stand, and none if none does.
func TestDeliveryOfAReplacedRun(t *testing.T) {
	for _, c := range []struct {
		name, sink string
		status     string
		ids        []int64 // that the target gets of the first run
		detail     string
	}{
		{"in part", "partition_by: [zone], mode: replace_partitions", Delivered, []int64{11}, "1 rows"},
		{"whole", "mode: replace", Skipped, nil, "has replaced all files of this one"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newTables(t)
			p, block := fakeTable(t)
			p.enter = func(call string) (bool, bool) { return call != "fake_table put", call != "fake_table put" }
			first, err := s.run(t, tableRun{input: "a", sink: c.sink + block})
			if err == nil || statuses(first) != "fake_table failed" {
				t.Fatalf("%v, %s", err, first.JSON())
			}
			p.enter = func(string) (bool, bool) { return true, true }
			second, err := s.run(t, tableRun{input: "b", sink: c.sink + block})
			if err != nil || !slices.Equal(p.held[second.RunID].ids, []int64{22, 23}) {
				t.Fatalf("%v, %s, held %v", err, second.JSON(), p.held)
			}
			again, err := s.run(t, tableRun{input: "a", sink: c.sink + block})
			if err != nil || len(again.Deliveries) != 1 || again.Deliveries[0].Status != c.status || !strings.Contains(again.Deliveries[0].Detail, c.detail) || !slices.Equal(p.held[first.RunID].ids, c.ids) {
				t.Errorf("%v, %s, held %v", err, again.JSON(), p.held)
			}
		})
	}
}

// TestDeliveryBehindALaterTurn: a run may find right after its commit that one of a later turn has committed before it, and gives its files up: it delivers what stands of them.
func TestDeliveryBehindALaterTurn(t *testing.T) {
	for sink, want := range map[string]struct {
		statuses string
		ids      []int64
	}{
		"mode: replace_partitions, partition_by: [zone], on_conflict: last_wins": {"fake_table delivered, fake_notice delivered", []int64{11}},
		"mode: replace, on_conflict: last_wins":                                  {"fake_table skipped, fake_notice delivered", nil},
	} {
		t.Run(sink, func(t *testing.T) {
			s := newTables(t)
			p, block := fakeTargets(t, "fake_table", "fake_notice")
			var second *Receipt
			first, err := s.run(t, tableRun{input: "a", sink: sink + block, patience: time.Hour, wrap: sealing(func() {
				second = s.commit(t, tableRun{input: "b", sink: sink + block, patience: time.Hour})
			})})
			if err != nil || first.Status != Committed || statuses(first) != want.statuses || len(first.ReplacedBy) != 1 || first.ReplacedBy[0].RunID != second.RunID ||
				!slices.Equal(p.held[first.RunID].ids, want.ids) || len(p.failures) != 0 || !strings.HasPrefix(p.last, "2 rows, ") {
				t.Errorf("%v, %s, held %v, told of %s", err, first.JSON(), p.held, p.last)
			}
		})
	}
}

// TestReplacedWhileItIsDelivered: a run that waited for this one's turn replaces its files while a target reads them. What stands is delivered then, and where nothing does the target is skipped.
func TestReplacedWhileItIsDelivered(t *testing.T) {
	for sink, want := range map[string]struct {
		statuses string
		ids      []int64
	}{
		"mode: replace_partitions, partition_by: [zone]": {"fake_table delivered, fake_notice delivered", []int64{11}},
		"mode: replace": {"fake_table skipped, fake_notice delivered", nil},
		"mode: append":  {"fake_table skipped, fake_notice delivered", nil},
	} {
		t.Run(sink, func(t *testing.T) {
			s := newTables(t)
			p, block := fakeTargets(t, "fake_table", "fake_notice")
			other := sink
			if sink == "mode: append" {
				other = "mode: replace"
			}
			committed, came := false, false
			first, err := s.run(t, tableRun{input: "a", sink: sink + block, wrap: func(under objstore.Store) objstore.Store {
				return &faultStore{Store: under, kind: refused, fail: func(call string) bool {
					committed = committed || puts(call, "manifest.json")
					if committed && !came && strings.HasPrefix(call, "open data/") && strings.HasSuffix(call, ".parquet") {
						came = true
						s.commit(t, tableRun{input: "b", sink: other + block})
					}
					return false
				}}
			}})
			if err != nil || !came || first.Status != Committed || statuses(first) != want.statuses || len(first.ReplacedBy) != 1 || !slices.Equal(p.held[first.RunID].ids, want.ids) || len(p.failures) != 0 {
				t.Errorf("%v, %s, held %v, told of failures %v", err, first.JSON(), p.held, p.failures)
			}
		})
	}
}

// TestNoticeOfAReplacedRun: who waits to hear of a run hears of it also where another run has replaced its files before: a task that is never ended waits for good.
func TestNoticeOfAReplacedRun(t *testing.T) {
	s := newTables(t)
	p, block := fakeTargets(t, "fake_table", "fake_notice")
	p.enter = func(call string) (bool, bool) { return call != "fake_table put", call != "fake_table put" }
	first, err := s.run(t, tableRun{input: "a", sink: "mode: replace" + block})
	if err == nil || statuses(first) != "fake_table failed" || p.told != 0 {
		t.Fatalf("%v, %s", err, first.JSON())
	}
	p.enter = func(string) (bool, bool) { return true, true }
	if _, err := s.run(t, tableRun{input: "b", sink: "mode: replace" + block}); err != nil || p.told != 1 {
		t.Fatalf("%v, told %d times", err, p.told)
	}
	for i, want := range []string{"fake_table skipped, fake_notice delivered", "fake_table skipped, fake_notice already_delivered"} {
		again, err := s.run(t, tableRun{input: "a", sink: "mode: replace" + block})
		if err != nil || statuses(again) != want || p.told != 2+i {
			t.Errorf("%v, %s, told %d times", err, again.JSON(), p.told)
		}
		if want := fmt.Sprintf("2 rows, 1 files, %d bytes, replaced by [{%s replace 1 2}]", again.Bytes.Written, again.ReplacedBy[0].RunID); p.last != want { // what was committed, and what became of it
			t.Errorf("told of %s, want %s", p.last, want)
		}
	}
}

// TestNoticeOfAMergedRun: a notice that is repeated after a compaction says what was committed, as the first one did.
func TestNoticeOfAMergedRun(t *testing.T) {
	s := newTables(t)
	p, block := fakeTargets(t, "fake_notice")
	s.commit(t, tableRun{input: "a", sink: "mode: append" + block})
	want := p.last
	s.commit(t, tableRun{input: "b", sink: "mode: append" + block})
	k := s.merged(t, CompactedFiles, 2, 1)
	rec, err := s.run(t, tableRun{input: "a", sink: "mode: append" + block})
	if err != nil || rec.Status != AlreadyCommitted || p.again != 1 || p.last != strings.Replace(want, "[]", fmt.Sprintf("[{%s compact 1 2}]", strings.Split(k.Partitions[0].Manifest, "/")[5]), 1) {
		t.Errorf("%v, %s, told of %s, want %s", err, rec.JSON(), p.last, want)
	}
}

// TestSupersededDelivery: a target in which a later commit has taken the place of the run's is skipped, the run is no failure, and the target is asked again the next time.
func TestSupersededDelivery(t *testing.T) {
	s := newTables(t)
	p, block := fakeTable(t)
	p.err = sinks.Superseded{Why: "run later has replaced the rows"}
	p.enter = func(call string) (bool, bool) { return call != "fake_table put", call != "fake_table put" }
	for range 2 {
		rec, err := s.run(t, tableRun{input: "a", sink: "mode: append" + block})
		if err != nil || statuses(rec) != "fake_table skipped" || rec.Deliveries[0].Detail != "run later has replaced the rows" || len(rec.Files) == 0 {
			t.Errorf("%v, %s", err, rec.JSON())
		}
	}
	p.enter = func(string) (bool, bool) { return true, true }
	rec, err := s.run(t, tableRun{input: "a", sink: "mode: append" + block})
	if err != nil || statuses(rec) != "fake_table delivered" || len(p.held) != 1 {
		t.Errorf("%v, %s", err, rec.JSON())
	}
}

// TestSupersededFilesAreMerged: no attempt will bring the files of a superseded run to its target any more, so that compaction need not wait for one.
func TestSupersededFilesAreMerged(t *testing.T) {
	s := newTables(t)
	p, block := fakeTable(t)
	p.err = sinks.Superseded{Why: "run later has replaced the rows"}
	p.enter = func(call string) (bool, bool) { return call != "fake_table put", call != "fake_table put" }
	if rec, err := s.run(t, tableRun{input: "a", sink: "mode: append" + block}); err != nil || statuses(rec) != "fake_table skipped" {
		t.Fatalf("%v, %s", err, rec.JSON())
	}
	p.enter = func(string) (bool, bool) { return true, true }
	if rec, err := s.run(t, tableRun{input: "b", sink: "mode: append" + block}); err != nil || statuses(rec) != "fake_table delivered" {
		t.Fatalf("%v, %s", err, rec.JSON())
	}
	s.merged(t, CompactedFiles, 2, 1)
	p.enter = func(call string) (bool, bool) { return call != "fake_table put", call != "fake_table put" }
	if rec, err := s.run(t, tableRun{input: "a", sink: "mode: append" + block}); err != nil || statuses(rec) != "fake_table skipped" || rec.Deliveries[0].Detail != "run later has replaced the rows" {
		t.Errorf("again: %v, %s", err, rec.JSON())
	}
}

// TestLoadOfAMergedRun: once files of a run are merged with those of others its rows cannot be told from theirs. To load the rest alone would lose rows without a word, so a load that is wanted again is
// refused, while rows that have been replaced since are not missed. A catalog, which goes by folders, gets all of it.
func TestLoadOfAMergedRun(t *testing.T) {
	for _, c := range []struct {
		sink          string
		before, after int
		says          string
	}{
		{"partition_by: [zone]", 2, 1, "1 of its 2 files, with 1 of its 2 rows, were merged"}, // b has no row of zone 1
		{"target_file_size: 1MB", 2, 1, "1 of its 1 files, with 2 of its 2 rows, were merged"},
	} {
		t.Run(c.sink, func(t *testing.T) {
			s := newTables(t)
			p, block := fakeTargets(t, "fake_table", "fake_catalog")
			first := s.commit(t, tableRun{input: "a", sink: c.sink + block})
			whole := p.last
			s.commit(t, tableRun{input: "b", sink: c.sink + block})
			k := s.merged(t, CompactedFiles, c.before, c.after)
			again := func() (*Receipt, error) {
				t.Helper()
				for _, name := range []string{"fake_table", "fake_catalog"} {
					if err := os.Remove(filepath.Join(s.dir, "out/data/_runs", first.RunID, "delivered-"+name+".json")); err != nil && !errors.Is(err, os.ErrNotExist) {
						t.Fatal(err)
					}
				}
				delete(p.held, first.RunID)
				return s.run(t, tableRun{input: "a", sink: c.sink + block})
			}
			rec, err := again()
			if fail.KindOf(err) != fail.Data || statuses(rec) != "fake_table failed" || p.held[first.RunID].at != "" ||
				!strings.Contains(err.Error(), c.says) || !strings.Contains(err.Error(), "compaction "+strings.Split(k.Partitions[0].Manifest, "/")[5]) || !strings.Contains(err.Error(), "--output") {
				t.Errorf("%v, %s", err, rec.JSON())
			}
			p.last = ""
			if err := putJSON(t.Context(), objstore.NewDir(s.dir), noteRef(objstore.Ref{Bucket: "out", Key: "data/"}, first.RunID, "fake_table"),
				delivered{Target: "fake_table", RunID: first.RunID, CommittedAt: readCommit(t, s, first).CommittedAt}, false); err != nil {
				t.Fatal(err)
			}
			if rec, err := s.run(t, tableRun{input: "a", sink: c.sink + block}); err != nil || statuses(rec) != "fake_table already_delivered, fake_catalog delivered" || strings.Split(p.last, ", repl")[0] != strings.Split(whole, ", repl")[0] {
				t.Errorf("%v, %s, told of %s, want %s", err, rec.JSON(), p.last, whole)
			}
			s.commit(t, tableRun{input: "c", sink: "mode: replace_partitions, " + byZone}) // of what was merged no row stands now
			if c.sink != byZone {
				s.commit(t, tableRun{input: "c", sink: "mode: replace"})
			}
			want, status := []int64{11}, "fake_table delivered, fake_catalog delivered"
			if c.sink != byZone {
				want, status = nil, "fake_table skipped, fake_catalog delivered"
			}
			if rec, err := again(); err != nil || statuses(rec) != status || !slices.Equal(p.held[first.RunID].ids, want) {
				t.Errorf("%v, %s, held %v", err, rec.JSON(), p.held)
			}
		})
	}
}

// readCommit is the manifest of a run.
func readCommit(t *testing.T, s *tables, rec *Receipt) *Manifest {
	t.Helper()
	m, err := readManifest(t.Context(), objstore.NewDir(s.dir), manifestRef(objstore.Ref{Bucket: "out", Key: "data/"}, rec.RunID))
	if err != nil || m == nil {
		t.Fatal(m, err)
	}
	return m
}

// TestTurnsOfLiveRunsStay: while a run that took a turn is alive the entries before it stay, since it may have looked before they had committed and must find them; once
// it has ended all go but the last, so that no number comes again. One that nobody comes back to is in nobody's way.
func TestTurnsOfLiveRunsStay(t *testing.T) {
	dir := t.TempDir()
	o := &output{store: objstore.NewDir(dir), dir: objstore.Ref{Bucket: "b", Key: "t/"}, log: slog.New(slog.DiscardHandler)}
	ctx := t.Context()
	take := func(run string, done bool) int {
		t.Helper()
		n, _, err := o.takeTurn(ctx, turn{RunID: run, Attempt: run, scope: scope{All: true}, Done: done})
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	left := func() (names []string) {
		t.Helper()
		all, err := o.turns(ctx)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range all {
			names = append(names, e.RunID)
		}
		return names
	}
	want := func(what string, runs ...string) {
		t.Helper()
		if got := left(); !slices.Equal(got, runs) {
			t.Errorf("%s: %v are left, want %v", what, got, runs)
		}
	}
	take("ended", true)
	alive := take("alive", false)
	mine := take("mine", false)
	o.endTurn(ctx, mine, "mine")
	want("one is alive", "ended", "alive", "mine")
	o.endTurn(ctx, alive, "alive")
	want("none is alive", "mine")

	behind := take("behind", false) // alive, and later than who ends
	take("mine", false)
	o.endTurn(ctx, behind, "")
	want("a later one is alive", "mine", "behind", "mine")

	old := time.Now().Add(-oldTurn - time.Hour)
	if err := os.Chtimes(filepath.Join(dir, "b", filepath.FromSlash(o.turnRef(3+2).Key)), old, old); err != nil {
		t.Fatal(err)
	}
	o.endTurn(ctx, take("last", false), "last")
	want("one is old", "last")
}
