package job

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sluice-data/sluice/internal/fail"
	"github.com/sluice-data/sluice/internal/objstore"
)

// sealing is a wrap that calls f before the run commits in its log.
func sealing(f func()) func(objstore.Store) objstore.Store {
	once := sync.OnceFunc(f)
	return func(under objstore.Store) objstore.Store {
		return &seenStore{under, func(call string) error {
			if puts(call, "claim-00002.json") {
				once()
			}
			return nil
		}}
	}
}

// Two runs are about to replace the same partitions, and one of them stands right before its commit.
func TestOnConflict(t *testing.T) {
	const sink = "mode: replace_partitions, partition_by: [zone], on_conflict: "
	t.Run("wait", func(t *testing.T) {
		s := newTables(t)
		waiting, ended := make(chan struct{}), make(chan struct{})
		tell := sync.OnceFunc(func() { close(waiting) })
		var second *Receipt
		first, err := s.run(t, tableRun{input: "b", sink: sink + "wait", patience: time.Hour, wrap: sealing(func() {
			go func() {
				defer close(ended)
				second, _ = s.run(t, tableRun{input: "c", sink: sink + "wait", patience: time.Hour, waiting: tell})
			}()
			<-waiting
		})})
		<-ended
		if err != nil || first.Status != Committed || second.Status != Committed {
			t.Fatalf("%s, %v; %s", first.Status, err, second.JSON())
		}
		s.want(t, 32, 33)
		if again, err := s.run(t, tableRun{input: "b", sink: sink + "wait"}); err != nil || len(again.ReplacedBy) != 1 || again.ReplacedBy[0].RunID != second.RunID {
			t.Errorf("the first again: %s, %v", again.JSON(), err)
		}
	})
	t.Run("fail", func(t *testing.T) {
		s := newTables(t)
		s.input(t, "e", 50, 4, 5)
		s.commit(t, tableRun{input: "b", sink: sink + "fail", patience: time.Hour, wrap: sealing(func() {
			rec, err := s.run(t, tableRun{input: "c", sink: sink + "fail", patience: time.Hour})
			if fail.KindOf(err) != fail.Temporary || !strings.Contains(err.Error(), "is about to replace files of the same partitions") {
				t.Errorf("%s, %v", rec.Status, err)
			}
			s.commit(t, tableRun{input: "e", sink: sink + "fail", patience: time.Hour}) // other partitions
		})})
		s.want(t, 22, 23, 54, 55)
	})
	t.Run("last_wins", func(t *testing.T) {
		s := newTables(t)
		var second *Receipt
		first := s.commit(t, tableRun{input: "b", sink: sink + "last_wins", patience: time.Hour, wrap: sealing(func() {
			second = s.commit(t, tableRun{input: "c", sink: sink + "last_wins", patience: time.Hour})
		})})
		s.want(t, 32, 33)
		if again, err := s.run(t, tableRun{input: "b", sink: sink + "last_wins"}); err != nil || again.RunID != first.RunID || len(again.ReplacedBy) != 1 || again.ReplacedBy[0].RunID != second.RunID {
			t.Errorf("the first again: %s, %v", again.JSON(), err)
		}
		s.want(t, 32, 33)
	})
}

// A run that replaces comes and goes whole before each store call of another that does, which stands still for longer than its lease. Of partitions that both have, one
// of the two stands, and it is the same that both say.
func TestTwoReplacements(t *testing.T) {
	const sink = "mode: replace_partitions, partition_by: [zone]"
	base := newTables(t)
	base.input(t, "d", 40, 1, 2)
	base.commit(t, tableRun{input: "a", sink: byZone})
	count := &faultStore{at: -1}
	base.copy(t).commit(t, tableRun{input: "c", sink: sink, wrap: func(under objstore.Store) objstore.Store { count.Store = under; return count }})
	from := slices.IndexFunc(count.calls, func(call string) bool { return strings.HasPrefix(call, "list data/_runs/_table/") })
	won, dead := map[bool]int{}, 0
	for at := from; at < len(count.calls); at++ {
		s := base.copy(t)
		where := fmt.Sprintf("call %d, %q", at, count.calls[at])
		other := ""
		rec, err := s.run(t, tableRun{input: "c", sink: sink, wrap: func(under objstore.Store) objstore.Store {
			return &faultStore{Store: under, at: at, then: func() { other = s.commit(t, tableRun{input: "d", sink: sink}).RunID }}
		}})
		if err != nil { // it had completed files, and was taken for dead: its next attempt commits, as the later
			if fail.KindOf(err) != fail.Temporary {
				t.Fatalf("%s: %s, %v", where, rec.JSON(), err)
			}
			dead++
			s.commit(t, tableRun{input: "c", sink: sink})
		}
		if other == "" {
			continue // fewer calls this time
		}
		got := s.ids(t)
		first, second := slices.Equal(got, []int64{32, 33, 41}), slices.Equal(got, []int64{33, 41, 42})
		if first == second {
			t.Errorf("%s: the table has %v", where, got)
		}
		c, cerr := s.run(t, tableRun{input: "c", sink: sink})
		d, derr := s.run(t, tableRun{input: "d", sink: sink})
		if cerr != nil || derr != nil || len(c.ReplacedBy) == 1 != second || len(d.ReplacedBy) == 1 != first {
			t.Errorf("%s: %s, %v\n%s, %v", where, c.JSON(), cerr, d.JSON(), derr)
		}
		s.want(t, got...)
		if n := s.turnsLeft(t); n > 2 {
			t.Errorf("%s: the table's log has %d entries", where, n)
		}
		if t.Failed() {
			t.FailNow()
		}
		won[first]++
	}
	if won[true] == 0 || won[false] == 0 || dead == 0 {
		t.Errorf("who won: %v, and %d were taken for dead", won, dead)
	}
}

// An attempt that takes long over its commit is not taken over while it is alive.
func TestSlowCommitRenewsItsClaim(t *testing.T) {
	const lease = 3 * time.Second
	r := newRig(t, "")
	defer r.mem.AssertSize(t, 0)
	ended := make(chan struct{})
	var second *Receipt
	var serr error
	h := hooks{blockRows: rigRow, mem: r.mem, patience: lease, renew: 20 * time.Millisecond}
	other := func() {
		defer close(ended)
		second, serr = r.attempt(t, context.WithoutCancel(t.Context()), h, slog.New(slog.DiscardHandler))
	}
	begun := false
	slow := h
	slow.store = func(under objstore.Store) objstore.Store {
		return &seenStore{under, func(call string) error {
			if strings.HasPrefix(call, "complete "+dataFile) && !begun {
				begun = true
				go other()
				time.Sleep(2 * lease)
			}
			return nil
		}}
	}
	first, err := r.attempt(t, t.Context(), slow, slog.New(slog.DiscardHandler))
	<-ended
	if err != nil || first.Status != Committed {
		t.Errorf("the slow attempt: %s, %v", first.Status, err)
	}
	if serr != nil || second.Status != AlreadyCommitted {
		t.Errorf("the one that waits: %s, %v", second.Status, serr)
	}
	r.checkCommitted(t, first)
	r.checkNoNotes(t)
}
