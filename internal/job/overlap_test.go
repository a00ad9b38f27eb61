package job

import (
	"context"
	"fmt"
	"io"
	"iter"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sluice-data/sluice/internal/fail"
	"github.com/sluice-data/sluice/internal/objstore"
)

// seenStore tells of each call before it is made; an error of before is the call's.
type seenStore struct {
	objstore.Store
	before func(call string) error
}

func (s *seenStore) Stat(ctx context.Context, ref objstore.Ref, pin objstore.Pin) (objstore.Info, error) {
	if err := s.before("stat " + ref.Key); err != nil {
		return objstore.Info{}, err
	}
	return s.Store.Stat(ctx, ref, pin)
}

func (s *seenStore) List(ctx context.Context, prefix objstore.Ref) iter.Seq2[objstore.Info, error] {
	if err := s.before("list " + prefix.Key); err != nil {
		return func(yield func(objstore.Info, error) bool) { yield(objstore.Info{}, err) }
	}
	return s.Store.List(ctx, prefix)
}

func (s *seenStore) Put(ctx context.Context, ref objstore.Ref, body []byte, typ string, ifAbsent bool) (objstore.Info, error) {
	if err := s.before("put " + ref.Key); err != nil {
		return objstore.Info{}, err
	}
	return s.Store.Put(ctx, ref, body, typ, ifAbsent)
}

func (s *seenStore) Replace(ctx context.Context, was objstore.Info, body []byte, typ string) (objstore.Info, error) {
	if err := s.before("replace " + was.Key); err != nil {
		return objstore.Info{}, err
	}
	return s.Store.Replace(ctx, was, body, typ)
}

func (s *seenStore) Upload(ctx context.Context, ref objstore.Ref, typ string) (objstore.Upload, error) {
	if err := s.before("upload " + ref.Key); err != nil {
		return nil, err
	}
	up, err := s.Store.Upload(ctx, ref, typ)
	return &seenUpload{up, s, ref.Key}, err
}

type seenUpload struct {
	objstore.Upload
	s   *seenStore
	key string
}

func (u *seenUpload) Complete(ctx context.Context) (objstore.Info, error) {
	if err := u.s.before("complete " + u.key); err != nil {
		return objstore.Info{}, err
	}
	return u.Upload.Complete(ctx)
}

// overlap is a pipeline that two attempts carry out at the same time. Its groups come in an order that depends on the
// lanes, and each file holds a third of them: a file of one attempt beside those of the other would lose groups.
type overlap struct{ dir, pipeline string }

const overlapRows = 100 // of each input, and of each file

func newOverlap(t *testing.T) *overlap {
	o := &overlap{dir: t.TempDir()}
	write := func(name, text string) string {
		path := filepath.Join(o.dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	for i, name := range []string{"a", "b", "c"} {
		var b strings.Builder
		b.WriteString("id\n")
		for k := range overlapRows {
			fmt.Fprintln(&b, i*overlapRows+k)
		}
		write("in/"+name+".csv", b.String())
	}
	o.pipeline = write("p.yaml", `version: 1
name: overlap
source: {uri: "s3://in/*.csv", format: csv}
schema: {columns: {id: int64}}
steps: [{aggregate: {by: [id], measures: {n: count(*)}}}]
sink: {uri: "s3://out/data/", target_file_size: 1B}
`)
	return o
}

// run is one attempt; before is told of its calls and may be nil.
func (o *overlap) run(ctx context.Context, lanes int, before func(call string) error) (*Receipt, error) {
	return o.attempt(ctx, lanes, false, before)
}

// force is one attempt at writing the run anew.
func (o *overlap) force(ctx context.Context, lanes int, before func(call string) error) (*Receipt, error) {
	return o.attempt(ctx, lanes, true, before)
}

func (o *overlap) attempt(ctx context.Context, lanes int, force bool, before func(call string) error) (*Receipt, error) {
	if before == nil {
		before = func(string) error { return nil }
	}
	return Run(ctx, Options{Pipeline: o.pipeline, LocalRoot: o.dir, Lanes: lanes, MemoryLimit: "1GiB", Version: "test", Force: force,
		Getenv: func(string) string { return "" }, Stdin: strings.NewReader(""), Log: slog.New(slog.NewTextHandler(io.Discard, nil)),
		test: hooks{store: func(s objstore.Store) objstore.Store { return &seenStore{s, before} }, blockRows: overlapRows, patience: 200 * time.Millisecond}})
}

// check holds the store against the manifest that the next run finds: its files are as committed, and every group is in
// them once.
func (o *overlap) check(t *testing.T) {
	t.Helper()
	rec, err := o.run(t.Context(), 2, nil)
	if err != nil {
		t.Fatalf("the run after the two: %v", err)
	}
	var got []int64
	for _, f := range rec.Files {
		got = append(got, (&rig{dir: o.dir}).ids(t, f.URI)...)
	}
	slices.Sort(got)
	var want []int64
	for id := range int64(3 * overlapRows) {
		want = append(want, id)
	}
	if !slices.Equal(got, want) {
		t.Errorf("%s run %s: the files have %d groups, want each of %d once", rec.Status, rec.RunID, len(got), len(want))
	}
}

const dataKey = " data/part-"

// An attempt whose data is complete finds the run committed: it completes none of its files, which would for a while
// stand between those of the commit, and for good if it were killed then.
func TestLateAttemptCompletesNothing(t *testing.T) {
	o := newOverlap(t)
	completed, first := 0, true
	rec, err := o.run(t.Context(), 2, func(call string) error {
		if strings.HasPrefix(call, "upload"+dataKey) && first {
			first = false
			if rec, err := o.run(t.Context(), 1, nil); err != nil || rec.Status != Committed {
				t.Errorf("the other attempt: %s, %v", rec.Status, err)
			}
		}
		if strings.HasPrefix(call, "complete"+dataKey) {
			completed++
		}
		return nil
	})
	if err != nil || rec.Status != AlreadyCommitted || completed != 0 {
		t.Errorf("the late attempt completed %d files and says %s, %v", completed, rec.Status, err)
	}
	o.check(t)
}

// While one attempt is about to commit, another completes some of its files over the first one's and then comes to
// nothing, because it is killed or because its uploads were aborted. Whatever the two say, no commit names files that
// are not there.
func TestAttemptsThatMixTheirFiles(t *testing.T) {
	for _, killed := range []bool{false, true} {
		t.Run(fmt.Sprintf("killed=%v", killed), func(t *testing.T) {
			o := newOverlap(t)
			overwritten, resume, ended := make(chan struct{}), make(chan struct{}), make(chan struct{})
			var other atomic.Int32
			second := func(call string) error {
				if strings.HasPrefix(call, "complete"+dataKey) && other.Add(1) == 3 {
					close(overwritten)
					<-resume
				}
				if killed && other.Load() == 3 {
					return errKilled
				}
				return nil
			}
			begun := false
			rec, err := o.run(t.Context(), 1, func(call string) error {
				if strings.HasPrefix(call, "list"+dataKey) && !begun { // all its files are complete and verified
					begun = true
					go func() {
						defer close(ended)
						if rec, err := o.run(context.Background(), 2, second); err == nil && rec.Status == Committed {
							t.Errorf("the second attempt committed with a file of its own missing")
						}
					}()
					<-overwritten
				}
				return nil
			})
			close(resume)
			<-ended
			if err != nil && fail.KindOf(err) != fail.Temporary {
				t.Errorf("the first attempt: %v", err)
			}
			t.Logf("the first attempt: %s, %v", rec.Status, err)
			o.check(t)
		})
	}
}

var errKilled = fail.Newf(fail.Temporary, "killed")

// An attempt that another has overtaken right before its commit, and that cannot find out whether that one's is whole, leaves it as
// it is.
func TestLoserLeavesACommitItCannotCheck(t *testing.T) {
	o := newOverlap(t)
	lost := false
	_, err := o.run(t.Context(), 2, func(call string) error {
		switch {
		case strings.HasPrefix(call, "put ") && strings.HasSuffix(call, "/claim-00002.json") && !lost:
			lost = true
			if rec, err := o.run(t.Context(), 2, nil); err != nil || rec.Status != Committed {
				t.Errorf("the other attempt: %s, %v", rec.Status, err)
			}
		case lost && strings.HasPrefix(call, "put "):
			t.Errorf("the loser writes: %s", call)
		case lost && strings.HasPrefix(call, "stat"+dataKey):
			return errKilled
		}
		return nil
	})
	if fail.KindOf(err) != fail.Temporary {
		t.Errorf("the loser: %v", err)
	}
	o.check(t)
}
