package parquet

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/memory"

	"github.com/sluice-data/sluice/internal/fail"
	"github.com/sluice-data/sluice/internal/objstore"
	"github.com/sluice-data/sluice/pipeline"
	"github.com/sluice-data/sluice/sinks"
)

const runID = "0123456789abcdef"

var dir = objstore.Ref{Bucket: "b", Key: "out/"}

// attempt runs one attempt the way the engine does: exactly one of Commit and Abort ends it.
func attempt(ctx context.Context, store objstore.Store, recs []arrow.Record, target int64) (*Sink, *pipeline.Ledger, error) {
	l := &pipeline.Ledger{}
	s, err := New(sinks.Request{Schema: recs[0].Schema(), Store: store, Dir: dir, RunID: runID, TargetFileSize: target,
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

func tripRecords(mem memory.Allocator, n, rows int) ([]arrow.Record, func()) {
	var recs []arrow.Record
	for i := range n {
		recs = append(recs, trips(mem, uint64(i), rows))
	}
	return recs, func() {
		for _, r := range recs {
			r.Release()
		}
	}
}

// Row groups go in order into files of about the target size, and the ledger has the rows of all of them.
func TestFilesOfTargetSize(t *testing.T) {
	mem := memory.NewCheckedAllocator(memory.DefaultAllocator)
	defer mem.AssertSize(t, 0)
	recs, release := tripRecords(mem, 8, 1000)
	defer release()
	for _, c := range []struct {
		target int64
		files  int
	}{{0, 1}, {1, 8}, {110_000, 3}, {60_000, 4}, {1 << 30, 1}} {
		store := newMemStore()
		s, l, err := attempt(t.Context(), store, recs, c.target)
		if err != nil {
			t.Fatal(err)
		}
		if l.Written != 8000 || len(s.Files()) != c.files {
			t.Errorf("target %d: %d rows in %d files, want 8000 in %d", c.target, l.Written, len(s.Files()), c.files)
		}
		at := 0
		for i, f := range s.Files() {
			if want := fmt.Sprintf("s3://b/out/part-%s-%05d.parquet", runID, i); f.URI != want {
				t.Errorf("file %d is %s, want %s", i, f.URI, want)
			}
			data := store.objects[f.Ref.Key]
			n := int(f.Rows / 1000)
			checkFile(t, data, recs[at:at+n])
			at += n
			if f.Size != int64(len(data)) || f.ETag == "" {
				t.Errorf("file %d: size %d of %d, ETag %q", i, f.Size, len(data), f.ETag)
			}
		}
	}
}

// A run without rows leaves one valid file with the schema and no rows.
func TestNoRows(t *testing.T) {
	mem := memory.NewCheckedAllocator(memory.DefaultAllocator)
	defer mem.AssertSize(t, 0)
	rec := trips(mem, 0, 0)
	defer rec.Release()
	for _, recs := range [][]arrow.Record{{rec}, {rec, rec}} {
		store := newMemStore()
		s, l, err := attempt(t.Context(), store, recs, 0)
		if err != nil {
			t.Fatal(err)
		}
		if l.Written != 0 || len(s.Files()) != 1 {
			t.Fatalf("%d rows in %d files", l.Written, len(s.Files()))
		}
		f := checkFile(t, store.objects[s.Files()[0].Ref.Key], recs)
		if n := len(f.Schema().Columns()); n != 18 {
			t.Errorf("%d columns", n)
		}
	}
}

// The footer says who wrote the file and what the job had to say.
func TestFooterMetadata(t *testing.T) {
	mem := memory.NewCheckedAllocator(memory.DefaultAllocator)
	defer mem.AssertSize(t, 0)
	recs, release := tripRecords(mem, 1, 10)
	defer release()
	store := newMemStore()
	s, _, err := attempt(t.Context(), store, recs, 0)
	if err != nil {
		t.Fatal(err)
	}
	f := open(t, store.objects[s.Files()[0].Ref.Key])
	if v, _ := f.Lookup("sluice.run"); v != runID || f.Metadata().CreatedBy != "sluice version test" {
		t.Errorf("run %q, created by %q", v, f.Metadata().CreatedBy)
	}
}

// Each call of the store fails once, the 0th, 1st, 2nd … until the run passes. Every failure comes out as it went in,
// leaves no upload open, and no object that Leftovers would not clear; before the first Complete none at all.
func TestFailureAtEveryCall(t *testing.T) {
	mem := memory.NewCheckedAllocator(memory.DefaultAllocator)
	defer mem.AssertSize(t, 0)
	recs, release := tripRecords(mem, 3, 200)
	defer release()
	lost := fail.Newf(fail.Temporary, "part 1: %w", objstore.ErrLost)
	for n := 0; ; n++ {
		store := newMemStore()
		store.failAt, store.err = n, lost
		s, l, err := attempt(t.Context(), store, recs, 1)
		if err == nil {
			if len(store.calls) > n {
				t.Fatalf("call %d (%s) failed and nobody noticed", n, store.calls[n])
			}
			if n < 15 || l.Written != 600 || len(s.Files()) != 3 {
				t.Fatalf("passed after %d calls with %d rows in %d files", n, l.Written, len(s.Files()))
			}
			return
		}
		where := fmt.Sprintf("call %d (%s)", n, store.calls[n])
		if !errors.Is(err, objstore.ErrLost) || fail.KindOf(err) != fail.Temporary {
			t.Errorf("%s: error became %v", where, err)
		}
		if len(store.open) != 0 {
			t.Errorf("%s: %d uploads left open", where, len(store.open))
		}
		if s.Files() != nil || l.Written != 0 {
			t.Errorf("%s: %d files, %d rows are said to be written", where, len(s.Files()), l.Written)
		}
		completed := slices.ContainsFunc(store.calls[:n], func(c string) bool { return strings.HasPrefix(c, "complete") })
		if len(store.objects) > 0 && !completed {
			t.Errorf("%s: %d objects are visible", where, len(store.objects))
		}
		if slices.ContainsFunc(store.calls, func(c string) bool { return strings.HasPrefix(c, "delete") }) {
			t.Errorf("%s: deleted an object that another attempt may own", where)
		}
		store.failAt = -1
		if err := leftovers(t, store, nil); err != nil {
			t.Errorf("%s: leftovers: %v", where, err)
		}
		if len(store.objects) > 0 {
			t.Errorf("%s: %d objects survive the clearing", where, len(store.objects))
		}
	}
}

// A cancelled run aborts its uploads under a context of its own.
func TestCancelled(t *testing.T) {
	mem := memory.NewCheckedAllocator(memory.DefaultAllocator)
	defer mem.AssertSize(t, 0)
	recs, release := tripRecords(mem, 2, 100)
	defer release()
	store := newMemStore()
	ctx, cancel := context.WithCancel(t.Context())
	s, err := New(sinks.Request{Schema: recs[0].Schema(), Store: store, Dir: dir, RunID: runID, TargetFileSize: 1})
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
	if len(store.open) != 0 || len(store.objects) != 0 {
		t.Errorf("%d uploads open, %d objects", len(store.open), len(store.objects))
	}
}

// A run with many open uploads gives them up in the seconds between SIGTERM and SIGKILL, and stops when those are over.
func TestAbortOfManyInTime(t *testing.T) {
	store := newMemStore()
	store.slow = 50 * time.Millisecond
	begin := func(n int) *Sink {
		s, err := New(sinks.Request{Schema: arrow.NewSchema([]arrow.Field{{Name: "n", Type: arrow.PrimitiveTypes.Int64}}, nil), Store: store, Dir: dir, RunID: runID})
		if err != nil {
			t.Fatal(err)
		}
		for range n {
			if err := s.open(t.Context(), s.next(&partitionBlock{})); err != nil {
				t.Fatal(err)
			}
		}
		return s
	}
	started := time.Now()
	if err := begin(64).Abort(t.Context()); err != nil || len(store.open) != 0 {
		t.Errorf("%d uploads left open: %v", len(store.open), err)
	}
	if took := time.Since(started); took > time.Second {
		t.Errorf("64 aborts of %v took %v", store.slow, took)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if err := begin(64).Abort(ctx); fail.KindOf(err) != fail.Temporary || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("abort without time: %v", err)
	}
	if n := len(store.open); n < 32 {
		t.Errorf("only %d of 64 uploads are left: the abort went on after its time", n)
	}
}

// Abort goes on after an upload that cannot be aborted.
func TestAbortTriesAll(t *testing.T) {
	mem := memory.NewCheckedAllocator(memory.DefaultAllocator)
	defer mem.AssertSize(t, 0)
	recs, release := tripRecords(mem, 3, 100)
	defer release()
	store := newMemStore()
	s, err := New(sinks.Request{Schema: recs[0].Schema(), Store: store, Dir: dir, RunID: runID, TargetFileSize: 1})
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
	store.failAt, store.err = len(store.calls), fail.Newf(fail.Permission, "no")
	if err := s.Abort(t.Context()); fail.KindOf(err) != fail.Permission {
		t.Errorf("abort: %v", err)
	}
	if len(store.open) != 1 {
		t.Errorf("%d uploads left open, want the one that failed", len(store.open))
	}
	if err := s.Write(t.Context(), &block{pool: &s.pool, body: &blockBody{}}); fail.KindOf(err) != fail.Internal {
		t.Errorf("write after the end: %v", err)
	}
	if err := s.Commit(t.Context(), &pipeline.Ledger{}); fail.KindOf(err) != fail.Internal {
		t.Errorf("commit after the end: %v", err)
	}
}

// What the store gives back is not what was written: the commit fails with a Data error, and never panics.
func TestReadBackFindsDamage(t *testing.T) {
	mem := memory.NewCheckedAllocator(memory.DefaultAllocator)
	defer mem.AssertSize(t, 0)
	recs, release := tripRecords(mem, 2, 50)
	defer release()
	clean := newMemStore()
	s, _, err := attempt(t.Context(), clean, recs, 0)
	if err != nil {
		t.Fatal(err)
	}
	good := clean.objects[s.Files()[0].Ref.Key]
	other := newMemStore()
	o, _, err := attempt(t.Context(), other, recs[:1], 0)
	if err != nil {
		t.Fatal(err)
	}
	damage := map[string][]byte{
		"empty":        {},
		"short":        good[:len(good)-1],
		"long":         append(slices.Clone(good), 0),
		"other":        other.objects[o.Files()[0].Ref.Key],
		"no magic":     append([]byte("XXXX"), good[4:]...),
		"zero footer":  append(slices.Clone(good[:len(good)-8]), 0, 0, 0, 0, 'P', 'A', 'R', '1'),
		"large footer": append(slices.Clone(good[:len(good)-8]), 255, 255, 255, 127, 'P', 'A', 'R', '1'),
	}
	for name, data := range damage {
		store := &damagedStore{memStore: newMemStore(), damage: func([]byte) []byte { return data }}
		if _, l, err := attempt(t.Context(), store, recs, 0); fail.KindOf(err) != fail.Data || l.Written != 0 {
			t.Errorf("%s: %v, %d rows written", name, err, l.Written)
		}
	}
	// Any single byte of index and footer: found, or one that changes no row count and no place.
	f, found := s.files[0], 0
	for i := int(f.tail); i < len(good); i += 7 {
		for _, flip := range []byte{0x01, 0xFF} {
			changed := slices.Clone(good)
			changed[i] ^= flip
			clean.objects[f.ref.Key] = changed
			f.info = clean.info(f.ref)
			rows, err := f.verify(t.Context(), clean, s.elements)
			switch {
			case err == nil && rows != 100:
				t.Fatalf("byte %d: %d rows", i, rows)
			case err != nil && fail.KindOf(err) != fail.Data:
				t.Fatalf("byte %d: %v", i, err)
			case err != nil:
				found++
			}
		}
	}
	if n := 2 * (len(good) - int(f.tail)) / 7; found < n/3 {
		t.Errorf("only %d of %d changed bytes were found", found, n)
	}
}

// damagedStore completes uploads with other bytes.
type damagedStore struct {
	*memStore
	damage func([]byte) []byte
}

func (d *damagedStore) Upload(ctx context.Context, ref objstore.Ref, contentType string) (objstore.Upload, error) {
	u, err := d.memStore.Upload(ctx, ref, contentType)
	if err != nil {
		return nil, err
	}
	return &damagedUpload{u.(*memUpload), d.damage}, nil
}

type damagedUpload struct {
	*memUpload
	damage func([]byte) []byte
}

func (u *damagedUpload) Complete(ctx context.Context) (objstore.Info, error) {
	u.buf = u.damage(u.buf)
	return u.memUpload.Complete(ctx)
}

// leftovers clears the way after a commit that published keep.
func leftovers(t *testing.T, store objstore.Store, keep []sinks.File, by ...string) error {
	t.Helper()
	s, err := New(sinks.Request{Schema: byZone, PartitionBy: by, Store: store, Dir: dir, RunID: runID})
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
	return errors.Join(aborted, tidy(t.Context(), s.req.Store, s.req.Dir, s.req.RunID, s.places(folders), keep))
}

// byZone is a table that can be partitioned.
var byZone = arrow.NewSchema([]arrow.Field{{Name: "zone", Type: arrow.BinaryTypes.String, Nullable: true}, {Name: "n", Type: arrow.PrimitiveTypes.Int64}}, nil)

// AbortOthers and tidy clear what dead attempts of this run left, and nothing else.
func TestLeftovers(t *testing.T) {
	key := func(run string, n int) string { return fmt.Sprintf("out/part-%s-%05d.parquet", run, n) }
	store := newMemStore()
	keep := []sinks.File{{Ref: objstore.Ref{Bucket: "b", Key: key(runID, 0)}}}
	others := []string{key("ffffffffffffffff", 0), "out/part-" + runID + "-x.parquet", "out/part-" + runID + "-00001.parquet.bak", "elsewhere/part-" + runID + "-00001.parquet"}
	for _, k := range append(others, key(runID, 0), key(runID, 1), key(runID, 4)) {
		store.objects[k] = []byte("x")
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
	if len(store.objects) != len(others)+1 || store.objects[key(runID, 0)] == nil {
		t.Errorf("objects left: %v", store.objects)
	}
	if len(store.open) != 1 {
		t.Errorf("%d uploads left, want that of the other run", len(store.open))
	}
	// Every call fails once: the error is told and the rest is still done.
	for n := range len(store.calls) {
		store := newMemStore()
		store.objects[key(runID, 0)], store.objects[key(runID, 1)] = []byte("x"), []byte("x")
		store.failAt, store.err = n, fail.Newf(fail.Permission, "no")
		err := leftovers(t, store, nil)
		if len(store.calls) <= n {
			break
		}
		if fail.KindOf(err) != fail.Permission {
			t.Errorf("call %d (%s): %v", n, store.calls[n], err)
		}
		if strings.HasPrefix(store.calls[n], "delete") && len(store.objects) != 1 {
			t.Errorf("call %d: %d objects left, want the one", n, len(store.objects))
		}
	}
}

// The same through the real directory store.
func TestDirectory(t *testing.T) {
	mem := memory.NewCheckedAllocator(memory.DefaultAllocator)
	defer mem.AssertSize(t, 0)
	recs, release := tripRecords(mem, 3, 500)
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

// Several lanes encode at once, as the engine has them; each has buffers of its own.
func TestLanes(t *testing.T) {
	mem := memory.NewCheckedAllocator(memory.DefaultAllocator)
	defer mem.AssertSize(t, 0)
	recs, release := tripRecords(mem, 4, 400)
	defer release()
	store := newMemStore()
	s, err := New(sinks.Request{Schema: recs[0].Schema(), Store: store, Dir: dir, RunID: runID})
	if err != nil {
		t.Fatal(err)
	}
	type result struct {
		b   pipeline.Block
		err error
	}
	lanes := make([]chan result, len(recs))
	for i, rec := range recs {
		lanes[i] = make(chan result, 1)
		enc, err := s.NewEncoder(nil)
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			defer enc.Close()
			b, err := enc.Encode(context.Background(), []arrow.Record{rec})
			lanes[i] <- result{b, err}
		}()
	}
	for _, lane := range lanes {
		r := <-lane
		if r.err != nil {
			t.Fatal(r.err)
		}
		if err := s.Write(t.Context(), r.b); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Commit(t.Context(), &pipeline.Ledger{}); err != nil {
		t.Fatal(err)
	}
	checkFile(t, store.objects[s.Files()[0].Ref.Key], recs)
}
