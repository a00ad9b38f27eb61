package files

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/memory"

	"github.com/sluice-data/sluice/internal/fail"
	"github.com/sluice-data/sluice/internal/objstore"
	"github.com/sluice-data/sluice/internal/objstore/storetest"
	"github.com/sluice-data/sluice/pipeline"
	"github.com/sluice-data/sluice/sinks"
)

const runID = "0123456789abcdef"

var dir = objstore.Ref{Bucket: "b", Key: "out/"}

// attempt runs one attempt the way the engine does: exactly one of Commit and Abort ends it.
func attempt(ctx context.Context, store objstore.Store, recs []arrow.Record, target int64) (*Sink, *pipeline.Ledger, error) {
	l := &pipeline.Ledger{}
	s, err := New(lines, sinks.Request{Schema: recs[0].Schema(), Store: store, Dir: dir, RunID: runID, TargetFileSize: target,
		KeyValue: map[string]string{"sluice.run": runID, "a": "b"}, CreatedBy: "sluice version test"})
	if err != nil {
		return nil, nil, err
	}
	return s, l, publish(ctx, s, l, recs)
}

// publish encodes and writes each record as a block and commits, or aborts at the first error.
func publish(ctx context.Context, s *Sink, l *pipeline.Ledger, recs []arrow.Record) error {
	enc, err := s.NewEncoder(nil)
	if err != nil {
		return err
	}
	defer enc.Close()
	for _, rec := range recs {
		b, err := enc.Encode(ctx, []arrow.Record{rec})
		if err == nil {
			err = s.Write(ctx, b)
		}
		if err != nil {
			return errors.Join(err, s.Abort(context.WithoutCancel(ctx)))
		}
	}
	return s.Commit(ctx, l)
}

// numbers are n records of so many rows.
func numbers(mem memory.Allocator, n, rows int) ([]arrow.Record, func()) {
	b := array.NewRecordBuilder(mem, arrow.NewSchema([]arrow.Field{{Name: "n", Type: arrow.PrimitiveTypes.Int64}}, nil))
	defer b.Release()
	var recs []arrow.Record
	for range n {
		for i := range rows {
			b.Field(0).(*array.Int64Builder).Append(int64(i))
		}
		recs = append(recs, b.NewRecord())
	}
	return recs, func() {
		for _, r := range recs {
			r.Release()
		}
	}
}

// Each call of the store fails once, the 0th, 1st, 2nd … until the run passes. Every failure comes out as it went in,
// leaves no upload open, and no object that Leftovers would not clear; before the first Complete none at all.
func TestFailureAtEveryCall(t *testing.T) {
	mem := memory.NewCheckedAllocator(memory.DefaultAllocator)
	defer mem.AssertSize(t, 0)
	recs, release := numbers(mem, 3, 200)
	defer release()
	lost := fail.Newf(fail.Temporary, "part 1: %w", objstore.ErrLost)
	for n := 0; ; n++ {
		store := storetest.NewMemory()
		store.FailAt, store.Err = n, lost
		s, l, err := attempt(t.Context(), store, recs, 1)
		if err == nil {
			if len(store.Calls) > n {
				t.Fatalf("call %d (%s) failed and nobody noticed", n, store.Calls[n])
			}
			if n < 15 || l.Written != 600 || len(s.Files()) != 3 {
				t.Fatalf("passed after %d calls with %d rows in %d files", n, l.Written, len(s.Files()))
			}
			return
		}
		where := fmt.Sprintf("call %d (%s)", n, store.Calls[n])
		if !errors.Is(err, objstore.ErrLost) || fail.KindOf(err) != fail.Temporary {
			t.Errorf("%s: error became %v", where, err)
		}
		if len(store.Open) != 0 {
			t.Errorf("%s: %d uploads left open", where, len(store.Open))
		}
		if s.Files() != nil || l.Written != 0 {
			t.Errorf("%s: %d files, %d rows are said to be written", where, len(s.Files()), l.Written)
		}
		completed := slices.ContainsFunc(store.Calls[:n], func(c string) bool { return strings.HasPrefix(c, "complete") })
		if len(store.Objects) > 0 && !completed {
			t.Errorf("%s: %d objects are visible", where, len(store.Objects))
		}
		if slices.ContainsFunc(store.Calls, func(c string) bool { return strings.HasPrefix(c, "delete") }) {
			t.Errorf("%s: deleted an object that another attempt may own", where)
		}
		store.FailAt = -1
		if err := leftovers(t, store, nil); err != nil {
			t.Errorf("%s: leftovers: %v", where, err)
		}
		if len(store.Objects) > 0 {
			t.Errorf("%s: %d objects survive the clearing", where, len(store.Objects))
		}
	}
}

// A cancelled run aborts its uploads under a context of its own.
func TestCancelled(t *testing.T) {
	mem := memory.NewCheckedAllocator(memory.DefaultAllocator)
	defer mem.AssertSize(t, 0)
	recs, release := numbers(mem, 2, 100)
	defer release()
	store := storetest.NewMemory()
	ctx, cancel := context.WithCancel(t.Context())
	s, err := New(lines, sinks.Request{Schema: recs[0].Schema(), Store: store, Dir: dir, RunID: runID, TargetFileSize: 1})
	if err != nil {
		t.Fatal(err)
	}
	enc, err := s.NewEncoder(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer enc.Close()
	for _, rec := range recs {
		b, err := enc.Encode(ctx, []arrow.Record{rec})
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Write(ctx, b); err != nil {
			t.Fatal(err)
		}
	}
	cancel()
	if _, err := enc.Encode(ctx, recs); fail.KindOf(err) != fail.Temporary {
		t.Errorf("encode: %v", err)
	}
	if err := s.Commit(ctx, &pipeline.Ledger{}); fail.KindOf(err) != fail.Temporary || !errors.Is(err, context.Canceled) {
		t.Errorf("commit: %v", err)
	}
	if len(store.Open) != 0 || len(store.Objects) != 0 {
		t.Errorf("%d uploads open, %d objects", len(store.Open), len(store.Objects))
	}
}

// A run with many open uploads gives them up in the seconds between SIGTERM and SIGKILL, and stops when those are over.
func TestAbortOfManyInTime(t *testing.T) {
	store := storetest.NewMemory()
	store.Slow = 50 * time.Millisecond
	begin := func(n int) *Sink {
		s, err := New(lines, sinks.Request{Schema: arrow.NewSchema([]arrow.Field{{Name: "n", Type: arrow.PrimitiveTypes.Int64}}, nil), Store: store, Dir: dir, RunID: runID})
		if err != nil {
			t.Fatal(err)
		}
		for range n {
			if err := s.open(t.Context(), s.next(&block{})); err != nil {
				t.Fatal(err)
			}
		}
		return s
	}
	started := time.Now()
	if err := begin(64).Abort(t.Context()); err != nil || len(store.Open) != 0 {
		t.Errorf("%d uploads left open: %v", len(store.Open), err)
	}
	if took := time.Since(started); took > time.Second {
		t.Errorf("64 aborts of %v took %v", store.Slow, took)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if err := begin(64).Abort(ctx); fail.KindOf(err) != fail.Temporary || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("abort without time: %v", err)
	}
	if n := len(store.Open); n < 32 {
		t.Errorf("only %d of 64 uploads are left: the abort went on after its time", n)
	}
}

// Abort goes on after an upload that cannot be aborted.
func TestAbortTriesAll(t *testing.T) {
	mem := memory.NewCheckedAllocator(memory.DefaultAllocator)
	defer mem.AssertSize(t, 0)
	recs, release := numbers(mem, 3, 100)
	defer release()
	store := storetest.NewMemory()
	s, err := New(lines, sinks.Request{Schema: recs[0].Schema(), Store: store, Dir: dir, RunID: runID, TargetFileSize: 1})
	if err != nil {
		t.Fatal(err)
	}
	enc, err := s.NewEncoder(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer enc.Close()
	for _, rec := range recs {
		b, err := enc.Encode(t.Context(), []arrow.Record{rec})
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Write(t.Context(), b); err != nil {
			t.Fatal(err)
		}
		b.Release() // Write did already: a second time changes nothing
	}
	if s.Memory() <= 0 {
		t.Error("no memory is accounted for")
	}
	store.FailAt, store.Err = len(store.Calls), fail.Newf(fail.Permission, "no")
	if err := s.Abort(t.Context()); fail.KindOf(err) != fail.Permission {
		t.Errorf("abort: %v", err)
	}
	if len(store.Open) != 1 {
		t.Errorf("%d uploads left open, want the one that failed", len(store.Open))
	}
	if err := s.Write(t.Context(), &block{pieces: []Block{&lineBlock{text: []byte("1\n"), rows: 1}}, rows: 1}); fail.KindOf(err) != fail.Internal {
		t.Errorf("write after the end: %v", err)
	}
	if err := s.Commit(t.Context(), &pipeline.Ledger{}); fail.KindOf(err) != fail.Internal {
		t.Errorf("commit after the end: %v", err)
	}
}

// leftovers clears the way after a commit that published keep.
func leftovers(t *testing.T, store objstore.Store, keep []sinks.File, by ...string) error {
	t.Helper()
	s, err := New(lines, sinks.Request{Schema: byZone, PartitionBy: by, Store: store, Dir: dir, RunID: runID})
	if err != nil {
		t.Fatal(err)
	}
	s.published, s.numbers[""] = keep, len(keep)
	return clearAfter(t, s, nil)
}

// clearAfter is what a commit of s clears, in its own folders and those given.
func clearAfter(t *testing.T, s *Sink, folders []string) error {
	t.Helper()
	keep := map[string]bool{}
	for _, f := range s.published {
		keep[f.Ref.Key] = true
	}
	aborted := s.AbortOthers(t.Context(), folders)
	return errors.Join(aborted, lines.tidy(t.Context(), s.req.Store, s.req.Dir, s.req.RunID, s.places(folders), keep))
}

// byZone is a table that can be partitioned.
var byZone = arrow.NewSchema([]arrow.Field{{Name: "zone", Type: arrow.BinaryTypes.String, Nullable: true}, {Name: "n", Type: arrow.PrimitiveTypes.Int64}}, nil)

// AbortOthers and tidy clear what dead attempts of this run left, and nothing else.
func TestLeftovers(t *testing.T) {
	key := func(run string, n int) string { return fmt.Sprintf("out/part-%s-%05d.lines", run, n) }
	store := storetest.NewMemory()
	keep := []sinks.File{{Ref: objstore.Ref{Bucket: "b", Key: key(runID, 0)}}}
	others := []string{key("ffffffffffffffff", 0), "out/part-" + runID + "-x.lines", "out/part-" + runID + "-00001.lines.bak", "elsewhere/part-" + runID + "-00001.lines"}
	for _, k := range append(others, key(runID, 0), key(runID, 1), key(runID, 4)) {
		store.Objects[k] = []byte("x")
	}
	// An earlier attempt died while it completed its files: 5 and 6 are still open. Another run is at work.
	for _, k := range []string{key(runID, 0), key(runID, 5), key(runID, 6), key("ffffffffffffffff", 0)} {
		if _, err := store.Upload(t.Context(), objstore.Ref{Bucket: "b", Key: k}, ""); err != nil {
			t.Fatal(err)
		}
	}
	if err := leftovers(t, store, keep); err != nil {
		t.Fatal(err)
	}
	if len(store.Objects) != len(others)+1 || store.Objects[key(runID, 0)] == nil {
		t.Errorf("objects left: %v", store.Objects)
	}
	if len(store.Open) != 1 {
		t.Errorf("%d uploads left, want that of the other run", len(store.Open))
	}
	// Every call fails once: the error is told and the rest is still done.
	for n := range len(store.Calls) {
		store := storetest.NewMemory()
		store.Objects[key(runID, 0)], store.Objects[key(runID, 1)] = []byte("x"), []byte("x")
		store.FailAt, store.Err = n, fail.Newf(fail.Permission, "no")
		err := leftovers(t, store, nil)
		if len(store.Calls) <= n {
			break
		}
		if fail.KindOf(err) != fail.Permission {
			t.Errorf("call %d (%s): %v", n, store.Calls[n], err)
		}
		if strings.HasPrefix(store.Calls[n], "delete") && len(store.Objects) != 1 {
			t.Errorf("call %d: %d objects left, want the one", n, len(store.Objects))
		}
	}
}

// A run that another takes for dead loses the uploads of the generations that it may have begun, and keeps those of a later attempt, whose own look clears all of them.
func TestAbandon(t *testing.T) {
	const gen = sinks.GenerationSize
	key := func(folder string, n int) string { return fmt.Sprintf("out/%spart-%s-%05d.lines", folder, runID, n) }
	store, dir := storetest.NewMemory(), objstore.Ref{Bucket: "b", Key: "out/"}
	stand := []string{key("zone=1/", 0), key("zone=2/", 0), key("zone=2/", gen), key("zone=1/", 2*gen)}
	for _, k := range append(stand, "out/zone=1/part-"+runID+"-00001.csv", key("zone=3/", 0)) {
		store.Objects[k] = []byte("x")
	}
	open := func(keys ...string) {
		for _, k := range keys {
			if _, err := store.Upload(t.Context(), objstore.Ref{Bucket: "b", Key: k}, ""); err != nil {
				t.Fatal(err)
			}
		}
	}
	open(key("zone=1/", 0), key("zone=1/", 1), key("zone=1/", 2), key("zone=2/", gen), key("zone=2/", gen+1), key("zone=2/", 2*gen))
	refs, err := lines.abandon(t.Context(), store, dir, runID, []string{"zone=1/", "zone=2/"}, []string{stand[0]}, 2)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, r := range refs {
		got = append(got, r.Key)
	}
	slices.Sort(got)
	if want := stand[:3]; !slices.Equal(got, want) {
		t.Errorf("%v stand, want %v", got, want)
	}
	if len(store.Open) != 1 {
		t.Errorf("%d uploads are open, want that of the later attempt", len(store.Open))
	}
	if refs, err := lines.abandon(t.Context(), store, dir, runID, []string{"zone=1/"}, []string{"out/zone=1/part-" + runID + "-00001.csv"}, 2); len(refs) > 0 || err != nil {
		t.Errorf("files of another format: %v, %v", refs, err)
	}
	open(key("", 0), key("", gen), key("", 2*gen+1))
	s, err := New(lines, sinks.Request{Schema: byZone, Store: store, Dir: dir, RunID: runID, Generation: 2})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := s.part("", 1).Key, key("", 2*gen+1); got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if err := s.AbortOthers(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	if len(store.Open) != 2 { // 2·gen+1 lies behind a gap, as nobody leaves one
		t.Errorf("%d uploads are open", len(store.Open))
	}
}

// The same through the real directory store.
func TestDirectory(t *testing.T) {
	mem := memory.NewCheckedAllocator(memory.DefaultAllocator)
	defer mem.AssertSize(t, 0)
	recs, release := numbers(mem, 3, 500)
	defer release()
	store := objstore.NewDir(t.TempDir())
	if err := leftovers(t, store, nil); err != nil {
		t.Fatalf("nothing there yet: %v", err)
	}
	for range 2 { // a second attempt replaces the first one's files
		s, l, err := attempt(t.Context(), store, recs, 1)
		if err != nil {
			t.Fatal(err)
		}
		if l.Written != 1500 || len(s.Files()) != 3 {
			t.Fatalf("%d rows in %d files", l.Written, len(s.Files()))
		}
		if err := leftovers(t, store, s.Files()[:2]); err != nil {
			t.Fatal(err)
		}
		var left []string
		for info, err := range store.List(t.Context(), dir) {
			if err != nil {
				t.Fatal(err)
			}
			left = append(left, info.Key)
		}
		if len(left) != 2 {
			t.Fatalf("left: %v", left)
		}
	}
}
