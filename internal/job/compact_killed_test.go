package job

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sluice-data/sluice/internal/fail"
	"github.com/sluice-data/sluice/internal/objstore"
)

// A compaction is stopped at each of its store calls, in three ways, and a run appends to its folder before the next: that one merges other files, so it is another run, and nobody tries
// the first one again. After it each row is there once.
func TestCompactKilledThenAppend(t *testing.T) {
	for name, sink := range map[string]string{"partitioned": byZone, "one folder": "target_file_size: 1MB"} {
		t.Run(name, func(t *testing.T) {
			base := newTables(t)
			ids := []int64{22, 32, 33, 42}
			base.input(t, "b", 20, 2)
			base.input(t, "d", 40, 2)
			base.commit(t, tableRun{input: "b", sink: sink})
			base.commit(t, tableRun{input: "c", sink: sink})
			count := &faultStore{at: -1}
			if _, err := base.copy(t).compact(t, func(under objstore.Store) objstore.Store { count.Store = under; return count }); err != nil {
				t.Fatal(err)
			}
			twice, failed := 0, 0
			from := slices.IndexFunc(count.calls, func(call string) bool { return strings.HasPrefix(call, "upload ") })
			for at := from; at < len(count.calls); at += stride {
				kind := dead // one of the ways for each table
				if sink != byZone {
					kind = fault(at % 2)
				}
				s := base.copy(t)
				_, err := s.compact(t, func(under objstore.Store) objstore.Store { return &faultStore{Store: under, at: at, kind: kind} })
				where := fmt.Sprintf("call %d, %q, %s: %v", at, count.calls[at], kind, err)
				if err != nil {
					failed++
				}
				s.commit(t, tableRun{input: "d", sink: sink})
				if stands := s.visible(t); len(stands) != len(ids) {
					t.Errorf("%s: a row is lost: %v", where, stands)
				}
				if err != nil && !slices.Equal(s.visibleIDs(t), ids) {
					twice++
				}
				if res, err := s.compact(t, nil); err != nil || res.Status != CompactedFiles {
					t.Errorf("%s: the next: %s, %v", where, res.JSON(), err)
				}
				if got := s.visibleIDs(t); !slices.Equal(got, ids) { // an upload that was open before it had a turn is a lifecycle rule's to abort
					t.Errorf("%s: the table has %v, want %v", where, got, ids)
				}
				if res, err := s.compact(t, nil); err != nil || res.Status != NothingToDo {
					t.Errorf("%s: the one after it: %s, %v", where, res.JSON(), err)
				}
				if t.Failed() {
					t.FailNow()
				}
			}
			if twice == 0 || failed < (len(count.calls)-from)/4/stride {
				t.Errorf("%d failed, %d left rows that stand twice", failed, twice)
			}
		})
	}
}

// What a killed compaction left is taken away also where there is nothing to merge any more, once it has been silent for a lease; by then what it merged may have been replaced.
func TestCompactKilledThenReplaced(t *testing.T) {
	s := newTables(t)
	s.commit(t, tableRun{input: "b", sink: byZone})
	s.commit(t, tableRun{input: "c", sink: byZone})
	_, err := s.compact(t, func(under objstore.Store) objstore.Store {
		return &faultStore{Store: under, kind: dead, fail: func(call string) bool { return puts(call, "claim-00002.json") }}
	})
	if err == nil {
		t.Fatal("it is not killed")
	}
	s.commit(t, tableRun{input: "a", sink: "mode: replace, on_conflict: last_wins, " + byZone, patience: time.Hour})
	for patience, want := range map[time.Duration][]int64{time.Hour: {11, 12, 22, 32}, time.Nanosecond: {11, 12}} {
		to := s.copy(t)
		if res, err := to.compactAfter(t, patience, nil); err != nil || res.Status != NothingToDo {
			t.Errorf("%s, %v", res.JSON(), err)
		}
		if got := to.visibleIDs(t); !slices.Equal(got, want) {
			t.Errorf("after %s: %v, want %v", patience, got, want)
		}
	}
	// A run that replaces does not wait for a day to take it away, either.
	if s.commit(t, tableRun{input: "a", sink: "mode: replace", patience: time.Nanosecond}); !slices.Equal(s.visibleIDs(t), []int64{11, 12}) {
		t.Errorf("replaced: %v", s.visibleIDs(t))
	}
	if rec, err := s.run(t, tableRun{input: "b", sink: byZone}); err != nil || fail.KindOf(err) == fail.Data || len(rec.ReplacedBy) != 1 {
		t.Errorf("%s, %v", rec.JSON(), err)
	}
}

// A compaction that ended a moment ago, with files completed and not committed, may be alive for all that the next one knows. That one then merges nothing, and is to be tried again.
func TestCompactBehindOneJustEnded(t *testing.T) {
	s := newTables(t)
	s.commit(t, tableRun{input: "b", sink: byZone})
	s.commit(t, tableRun{input: "c", sink: byZone})
	last := ""
	_, err := s.compact(t, func(under objstore.Store) objstore.Store {
		return &faultStore{Store: under, kind: refused, fail: func(call string) bool {
			before := last
			last = call
			return strings.HasPrefix(before, "complete ") // it is not read back, and all else works: the end of its turn is noted
		}}
	})
	if err == nil || !slices.Equal(s.visibleIDs(t), []int64{22, 22, 23, 32, 32, 33}) {
		t.Fatalf("%v: %v", err, s.visibleIDs(t))
	}
	s.commit(t, tableRun{input: "a", sink: byZone})
	res, err := s.compactAfter(t, time.Hour, nil)
	if fail.KindOf(err) != fail.Temporary || !strings.Contains(err.Error(), "zone=2/ is not merged") || res.Partitions[1].Error != "" {
		t.Errorf("%s, %v", res.JSON(), err)
	}
	if _, err := s.compact(t, nil); err != nil {
		t.Error(err)
	}
	if got := s.visibleIDs(t); !slices.Equal(got, []int64{11, 12, 22, 23, 32, 33}) {
		t.Errorf("%v", got)
	}
}
