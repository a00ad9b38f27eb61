package parquet

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/memory"

	"github.com/sluice-data/sluice/internal/fail"
	"github.com/sluice-data/sluice/internal/objstore"
	"github.com/sluice-data/sluice/internal/objstore/storetest"
	"github.com/sluice-data/sluice/pipeline"
	"github.com/sluice-data/sluice/sinks"
	"github.com/sluice-data/sluice/sinks/files"
)

const runID = "0123456789abcdef"

var dir = objstore.Ref{Bucket: "b", Key: "out/"}

func newSink(req sinks.Request) (*files.Sink, error) { return files.New(Format, req) }

// attempt runs one attempt the way the engine does: exactly one of Commit and Abort ends it.
func attempt(ctx context.Context, store objstore.Store, recs []arrow.Record, target int64) (*files.Sink, *pipeline.Ledger, error) {
	l := &pipeline.Ledger{}
	s, err := newSink(sinks.Request{Schema: recs[0].Schema(), Store: store, Dir: dir, RunID: runID, TargetFileSize: target,
		KeyValue: map[string]string{"sluice.run": runID, "a": "b"}, CreatedBy: "sluice version test"})
	if err != nil {
		return nil, nil, err
	}
	return s, l, publish(ctx, s, l, recs)
}

// publish encodes and writes each record as a block and commits, or aborts at the first error.
func publish(ctx context.Context, s *files.Sink, l *pipeline.Ledger, recs []arrow.Record) error {
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
		store := storetest.NewMemory()
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
			data := store.Objects[f.Ref.Key]
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
		store := storetest.NewMemory()
		s, l, err := attempt(t.Context(), store, recs, 0)
		if err != nil {
			t.Fatal(err)
		}
		if l.Written != 0 || len(s.Files()) != 1 {
			t.Fatalf("%d rows in %d files", l.Written, len(s.Files()))
		}
		f := checkFile(t, store.Objects[s.Files()[0].Ref.Key], recs)
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
	store := storetest.NewMemory()
	s, _, err := attempt(t.Context(), store, recs, 0)
	if err != nil {
		t.Fatal(err)
	}
	f := open(t, store.Objects[s.Files()[0].Ref.Key])
	if v, _ := f.Lookup("sluice.run"); v != runID || f.Metadata().CreatedBy != "sluice version test" {
		t.Errorf("run %q, created by %q", v, f.Metadata().CreatedBy)
	}
}

// What the store gives back is not what was written: the commit fails with a Data error, and never panics.
func TestReadBackFindsDamage(t *testing.T) {
	mem := memory.NewCheckedAllocator(memory.DefaultAllocator)
	defer mem.AssertSize(t, 0)
	recs, release := tripRecords(mem, 2, 50)
	defer release()
	clean := storetest.NewMemory()
	s, _, err := attempt(t.Context(), clean, recs, 0)
	if err != nil {
		t.Fatal(err)
	}
	good := clean.Objects[s.Files()[0].Ref.Key]
	other := storetest.NewMemory()
	o, _, err := attempt(t.Context(), other, recs[:1], 0)
	if err != nil {
		t.Fatal(err)
	}
	damage := map[string][]byte{
		"empty":        {},
		"short":        good[:len(good)-1],
		"long":         append(slices.Clone(good), 0),
		"other":        other.Objects[o.Files()[0].Ref.Key],
		"no magic":     append([]byte("XXXX"), good[4:]...),
		"zero footer":  append(slices.Clone(good[:len(good)-8]), 0, 0, 0, 0, 'P', 'A', 'R', '1'),
		"large footer": append(slices.Clone(good[:len(good)-8]), 255, 255, 255, 127, 'P', 'A', 'R', '1'),
	}
	for name, data := range damage {
		store := storetest.NewMemory()
		store.Damage = func([]byte) []byte { return data }
		if _, l, err := attempt(t.Context(), store, recs, 0); fail.KindOf(err) != fail.Data || l.Written != 0 {
			t.Errorf("%s: %v, %d rows written", name, err, l.Written)
		}
	}
	// Any single byte of index and footer: found, or one that changes no row count and no place.
	w, err := newWriter(files.Request{Schema: recs[0].Schema(), KeyValue: map[string]string{"sluice.run": runID, "a": "b"}, CreatedBy: "sluice version test"})
	if err != nil {
		t.Fatal(err)
	}
	enc, err := w.NewEncoder(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer enc.Close()
	var out bytes.Buffer
	f, found := w.NewFile().(*file), 0
	for _, rec := range recs {
		b, err := enc.Encode(t.Context(), []arrow.Record{rec})
		if err != nil {
			t.Fatal(err)
		}
		if err := f.Append(&out, b); err != nil {
			t.Fatal(err)
		}
		b.Release()
	}
	if err := f.Finish(&out); err != nil || !bytes.Equal(out.Bytes(), good) {
		t.Fatalf("the file is another one: %v", err)
	}
	for i := int(f.tail); i < len(good); i += 7 {
		for _, flip := range []byte{0x01, 0xFF} {
			changed := slices.Clone(good)
			changed[i] ^= flip
			rows, err := f.Verify(t.Context(), readBytes(changed))
			switch {
			case err == nil && rows != 100:
				t.Fatalf("byte %d: %d rows", i, rows)
			case err != nil:
				found++
			}
		}
	}
	if n := 2 * (len(good) - int(f.tail)) / 7; found < n/3 {
		t.Errorf("only %d of %d changed bytes were found", found, n)
	}
}

type readBytes []byte

func (b readBytes) Size() int64 { return int64(len(b)) }

func (b readBytes) ReadRange(_ context.Context, off, n int64) ([]byte, error) {
	return b[off : off+n], nil
}

// Several lanes encode at once, as the engine has them; each has buffers of its own.
func TestLanes(t *testing.T) {
	mem := memory.NewCheckedAllocator(memory.DefaultAllocator)
	defer mem.AssertSize(t, 0)
	recs, release := tripRecords(mem, 4, 400)
	defer release()
	store := storetest.NewMemory()
	s, err := newSink(sinks.Request{Schema: recs[0].Schema(), Store: store, Dir: dir, RunID: runID})
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
	checkFile(t, store.Objects[s.Files()[0].Ref.Key], recs)
}
