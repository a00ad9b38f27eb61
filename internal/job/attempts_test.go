package job

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sluice-data/sluice/internal/fail"
	"github.com/sluice-data/sluice/internal/objstore"
)

// calls are the store calls of a run that nothing disturbs.
func (r *rig) calls(t *testing.T) []string {
	t.Helper()
	s := &faultStore{at: -1}
	if _, err := r.run(t, t.Context(), func(under objstore.Store) objstore.Store { s.Store = under; return s }); err != nil {
		t.Fatal(err)
	}
	return s.calls
}

// rigs are a run whose attempts write the same files, and one whose attempts write to other folders each.
func rigs(t *testing.T, test func(t *testing.T, r *rig)) {
	for _, name := range []string{"same files", "other folders"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			steps := ""
			if name == "other folders" {
				steps = "  - derive: {day: current_date}"
			}
			r := newRig(t, steps)
			if steps != "" {
				r.partition(t, "day, zone")
			}
			defer r.mem.AssertSize(t, 0)
			test(t, r)
		})
	}
}

// TestTwoAttempts has a second attempt at the run come and go whole between any two store calls of the first: both
// succeed, one of them committed, and nothing that is committed is taken away again.
func TestTwoAttempts(t *testing.T) {
	rigs(t, func(t *testing.T, r *rig) {
		calls, missed := r.calls(t), 0
		for at, name := range calls {
			r.clear(t)
			var other *Receipt
			first, err := r.run(t, t.Context(), func(under objstore.Store) objstore.Store {
				return &faultStore{Store: under, at: at, then: func() {
					var err error
					other, err = r.attempt(t, t.Context(), hooks{blockRows: rigRow, mem: r.mem}, slog.New(slog.DiscardHandler))
					if err != nil {
						t.Errorf("before call %d, %q: the second attempt: %v", at, name, err)
					}
				}}
			})
			if err != nil {
				t.Fatalf("before call %d, %q: the first attempt: %v", at, name, err)
			}
			if other == nil { // reading ahead took fewer requests this time
				missed++
				continue
			}
			if (first.Status == Committed) == (other.Status == Committed) {
				t.Errorf("before call %d, %q: the first says %s, the second %s", at, name, first.Status, other.Status)
			}
			r.checkCommitted(t, first)
			r.checkCommitted(t, other)
			if t.Failed() {
				t.Fatalf("before call %d, %q: the first says %s, the second %s", at, name, first.Status, other.Status)
			}
		}
		if missed > len(calls)/4 {
			t.Errorf("%d of %d calls did not come", missed, len(calls))
		}
	})
}

// second is how the second attempt of two that interleave fares.
type second int

const (
	healthy second = iota // both go on in time, each as soon as the other waits for it
	killed                // it is killed
	stalled               // each stands still for so long that the other gives it up
)

func (s second) String() string { return [...]string{"healthy", "killed", "stalled"}[s] }

// TestInterleavedAttempts stops the first attempt before a call, has a second go on up to one of its own, lets the first end and
// then the second, or kills it there. At most one commits, and after the next run every row is there once. Of two that are healthy
// one does commit, and the other finds that.
func TestInterleavedAttempts(t *testing.T) {
	rigs(t, func(t *testing.T, r *rig) {
		calls := r.calls(t)
		from := slices.IndexFunc(calls, func(c string) bool { return strings.HasPrefix(c, "upload ") })
		both, last := 0, len(calls)+12 // the second may have more to do than one that is alone
		for at := from; at < len(calls); at++ {
			for _, fate := range []second{healthy, killed, stalled} {
				until := from + ((at-from)*5+int(fate)*(last-from)/3)%(last-from)
				r.clear(t)
				if r.interleave(t, at, until, fate) {
					both++
				}
				if t.Failed() {
					t.Fatalf("first before call %d, %q; second, %s, up to %d", at, calls[at], fate, until)
				}
			}
		}
		if both < (len(calls)-from)*3/2 {
			t.Errorf("the attempts met only %d times", both)
		}
	})
}

// interleave says whether the second attempt came to the call it was to stop at.
func (r *rig) interleave(t *testing.T, at, until int, fate second) (met bool) {
	paused, waits, resume, ended := make(chan struct{}), make(chan struct{}, 1), make(chan struct{}), make(chan struct{})
	goOn := sync.OnceFunc(func() { close(resume) })
	var patience time.Duration
	var firstWaits, secondWaits func()
	if fate == healthy {
		patience, firstWaits = time.Minute, goOn
		secondWaits = func() {
			select {
			case waits <- struct{}{}:
			default:
			}
		}
	}
	kill := fate == killed
	var second *Receipt
	var serr error
	other := func() {
		defer close(ended)
		second, serr = r.attempt(t, context.WithoutCancel(t.Context()), hooks{blockRows: rigRow, mem: r.mem, patience: patience, waiting: secondWaits, store: func(under objstore.Store) objstore.Store {
			if kill {
				return &faultStore{Store: under, at: until, kind: dead}
			}
			return &faultStore{Store: under, at: until, then: func() { close(paused); <-resume }}
		}}, slog.New(slog.DiscardHandler))
	}
	begun := false
	first, err := r.attempt(t, t.Context(), hooks{blockRows: rigRow, mem: r.mem, patience: patience, waiting: firstWaits, store: func(under objstore.Store) objstore.Store {
		return &faultStore{Store: under, at: at, then: func() {
			begun = true
			go other()
			select {
			case <-paused:
				met = true
			case <-waits:
				met = true
			case <-ended:
			}
		}}
	}}, slog.New(slog.DiscardHandler))
	goOn()
	if !begun {
		return false
	}
	<-ended
	for _, err := range []error{err, serr} {
		if err != nil && fail.KindOf(err) != fail.Temporary && !errors.Is(err, errDead) {
			t.Errorf("an attempt: %v", err)
		}
	}
	if first.Status == Committed && second.Status == Committed {
		t.Error("both attempts say that they committed")
	}
	if fate == healthy && (err != nil || serr != nil || first.Status != Committed && second.Status != Committed) {
		t.Errorf("two healthy attempts: %s, %v; %s, %v", first.Status, err, second.Status, serr)
	}
	next, err := r.run(t, t.Context(), nil)
	if err != nil {
		t.Fatalf("the next run: %v (the first: %s, %v; the second: %s, %v)", err, first.Status, first.Error, second.Status, serr)
	}
	if (first.Status == Committed || second.Status == Committed) && next.Status != AlreadyCommitted {
		t.Errorf("the next run says %s", next.Status)
	}
	if kill && next.Status == AlreadyCommitted { // the second may have opened uploads after the first had looked for any
		r.dropUploads(t)
	}
	r.checkCommitted(t, next)
	if t.Failed() {
		t.Logf("the first: %s, %v; the second: %s, %v; the next: %s", first.Status, err, second.Status, serr, next.Status)
	}
	return met || kill
}

// dropUploads is the lifecycle rule that aborts incomplete uploads.
func (r *rig) dropUploads(t *testing.T) {
	t.Helper()
	for _, f := range r.files(t) {
		if strings.Contains(f, "/.sluice-") {
			if err := os.Remove(filepath.Join(r.dir, strings.TrimPrefix(f, "s3://"))); err != nil {
				t.Error(err)
			}
		}
	}
}

// TestCancelAtEveryCall has SIGTERM come at any store call: the run gives up as Temporary and leaves no manifest and no
// open upload, or it was through.
func TestCancelAtEveryCall(t *testing.T) {
	r := newRig(t, "")
	defer r.mem.AssertSize(t, 0)
	signal := fail.Newf(fail.Temporary, "interrupted by SIGTERM")
	for at, name := range r.calls(t) {
		r.clear(t)
		ctx, cancel := context.WithCancelCause(t.Context())
		rec, err := r.run(t, ctx, func(under objstore.Store) objstore.Store {
			return &faultStore{Store: under, at: at, then: func() { cancel(signal) }}
		})
		cancel(nil)
		where := fmt.Sprintf("call %d, %q", at, name)
		switch {
		case err == nil:
			r.checkCommitted(t, rec)
		case fail.KindOf(err) != fail.Temporary || !strings.Contains(err.Error(), "SIGTERM"):
			t.Errorf("%s: %v", where, err)
		default:
			for _, f := range r.files(t) {
				if strings.HasSuffix(f, "/manifest.json") || strings.Contains(f, "/.sluice-") {
					t.Errorf("%s: an interrupted run left %s", where, f)
				}
			}
		}
		again, err := r.run(t, t.Context(), nil)
		if err != nil {
			t.Fatalf("%s: the next run: %v", where, err)
		}
		r.checkCommitted(t, again)
		if t.Failed() {
			t.FailNow()
		}
	}
}

// TestCrashedAttemptHadMoreFiles: what a dead attempt left beyond the files of the next is cleared: complete objects, and
// uploads that nobody will ever complete.
func TestCrashedAttemptHadMoreFiles(t *testing.T) {
	for _, died := range []string{"put data/_runs/", "complete data/"} {
		r := newRig(t, "")
		small := hooks{blockRows: 50, mem: r.mem}
		small.store = func(under objstore.Store) objstore.Store {
			gone := false
			return &faultStore{Store: under, kind: dead, fail: func(call string) bool {
				gone = gone || strings.HasPrefix(call, died)
				return gone
			}}
		}
		if _, err := r.attempt(t, t.Context(), small, slog.New(slog.DiscardHandler)); err == nil {
			t.Fatalf("dead at %q: no error", died)
		}
		if n := len(r.files(t)); n < 10 {
			t.Fatalf("dead at %q: only %d files are left, so this test shows nothing", died, n)
		}
		rec, err := r.run(t, t.Context(), nil)
		if err != nil || rec.Status != Committed {
			t.Fatalf("dead at %q: the next run: %s, %v", died, rec.JSON(), err)
		}
		r.checkCommitted(t, rec)
		r.mem.AssertSize(t, 0)
	}
}

// TestAnswerOfTheManifestIsLost: the run does not know that it is committed and says so with exit 75; the retry finds out.
func TestAnswerOfTheManifestIsLost(t *testing.T) {
	r := newRig(t, "")
	defer r.mem.AssertSize(t, 0)
	rec, err := r.run(t, t.Context(), func(under objstore.Store) objstore.Store {
		return &faultStore{Store: under, kind: lost, fail: func(call string) bool {
			return strings.HasPrefix(call, "put ") && strings.HasSuffix(call, "/manifest.json")
		}}
	})
	if fail.KindOf(err) != fail.Temporary || !strings.Contains(rec.Error.Message, "write manifest") {
		t.Fatalf("%s", rec.JSON())
	}
	again, err := r.run(t, t.Context(), nil)
	if err != nil || again.Status != AlreadyCommitted {
		t.Fatalf("%s, %v", again.JSON(), err)
	}
	r.checkCommitted(t, again)
}

// TestUploadsOfOthersCannotBeAborted: the role may not list uploads, say. The run is committed nevertheless, and the log
// says what is left.
func TestUploadsOfOthersCannotBeAborted(t *testing.T) {
	r := newRig(t, "")
	defer r.mem.AssertSize(t, 0)
	rec, err := r.run(t, t.Context(), func(under objstore.Store) objstore.Store {
		return &faultStore{Store: under, fail: func(call string) bool { return strings.HasPrefix(call, "abort uploads ") }}
	})
	if err != nil || rec.Status != Committed {
		t.Fatalf("%s, %v", rec.JSON(), err)
	}
	r.checkCommitted(t, rec)
	if !strings.Contains(r.log.String(), "level=WARN") || !strings.Contains(r.log.String(), "lifecycle rule") {
		t.Errorf("the log says nothing of it: %s", &r.log)
	}
}

// TestCommittedFileIsGone: a run whose files were changed or removed after its commit is not quietly written again.
func TestCommittedFileIsGone(t *testing.T) {
	r := newRig(t, "")
	rec, err := r.run(t, t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	file := strings.TrimPrefix(rec.Files[1].URI, "s3://")
	r.write(t, file, "not what was committed")
	_, err = r.run(t, t.Context(), nil)
	if fail.KindOf(err) != fail.Data || !strings.Contains(err.Error(), file) || !strings.Contains(err.Error(), "--force") {
		t.Errorf("a changed file: %v", err)
	}
	r.mem.AssertSize(t, 0)
}
