package job

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sluice-data/sluice/internal/fail"
	"github.com/sluice-data/sluice/internal/objstore"
)

const dataFile = "data/part-"

// An attempt that has claimed the run and then been given up for dead finds that another has claimed it: it leaves that one's
// uploads alone, and so one of the two commits.
func TestShutOutAttemptAbortsNothing(t *testing.T) {
	r := newRig(t, "")
	defer r.mem.AssertSize(t, 0)
	claimed, resume, ended := make(chan struct{}), make(chan struct{}), make(chan struct{})
	var second *Receipt
	var serr error
	other := func() {
		defer close(ended)
		begun := false
		second, serr = r.attempt(t, context.WithoutCancel(t.Context()), hooks{blockRows: rigRow, mem: r.mem, store: func(under objstore.Store) objstore.Store {
			return &faultStore{Store: under, fail: func(call string) bool {
				if strings.HasPrefix(call, "complete "+dataFile) && !begun {
					begun = true
					close(claimed)
					<-resume
				}
				return false
			}}
		}}, slog.New(slog.DiscardHandler))
	}
	begun := false
	first, err := r.attempt(t, t.Context(), hooks{blockRows: rigRow, mem: r.mem, store: func(under objstore.Store) objstore.Store {
		return &faultStore{Store: under, fail: func(call string) bool {
			switch {
			case strings.HasPrefix(call, "complete "+dataFile) && !begun:
				begun = true
				go other()
				<-claimed
			case strings.HasPrefix(call, "abort uploads "):
				t.Errorf("the attempt that is shut out: %s", call)
			}
			return false
		}}
	}}, slog.New(slog.DiscardHandler))
	close(resume)
	<-ended
	if fail.KindOf(err) != fail.Temporary || first.Status != Failed {
		t.Errorf("the first attempt: %s, %v", first.Status, err)
	}
	if serr != nil || second.Status != Committed {
		t.Fatalf("the second attempt: %s, %v", second.Status, serr)
	}
	r.checkCommitted(t, second)
}

// What an attempt that was killed after its claim costs the next one is at most the rest of its lease.
func TestClaimOfADeadAttempt(t *testing.T) {
	for _, c := range []struct {
		name  string
		age   time.Duration
		lease time.Duration
		waits bool
	}{
		{"claimed just now", 0, 4 * time.Second, true}, // the next attempt comes to its own claim within that, on a busy machine too
		{"claimed by a clock that is ahead", -time.Hour, 50 * time.Millisecond, true},
		{"claimed long ago", 48 * time.Hour, 24 * time.Hour, false}, // a wait would not end
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t, "")
			defer r.mem.AssertSize(t, 0)
			gone := false
			if _, err := r.run(t, t.Context(), func(under objstore.Store) objstore.Store {
				return &faultStore{Store: under, kind: dead, fail: func(call string) bool {
					gone = gone || strings.HasPrefix(call, "complete ")
					return gone
				}}
			}); err == nil {
				t.Fatal("the first attempt was not killed")
			}
			claims, err := filepath.Glob(filepath.Join(r.dir, "out/data/_runs/*/claim-00001.json"))
			if err != nil || len(claims) != 1 {
				t.Fatalf("claims %v, %v", claims, err)
			}
			at := time.Now().Add(-c.age)
			if err := os.Chtimes(claims[0], at, at); err != nil {
				t.Fatal(err)
			}
			waited := false
			rec, err := r.attempt(t, t.Context(), hooks{blockRows: rigRow, mem: r.mem, patience: c.lease, waiting: func() { waited = true }}, slog.New(slog.DiscardHandler))
			if err != nil || rec.Status != Committed || waited != c.waits {
				t.Fatalf("the next attempt waited: %v; %s, %v", waited, rec.Status, err)
			}
			r.checkCommitted(t, rec)
		})
	}
}
