// Package filestest is the conformance suite of files.Format: what every kind of file must do alike.
package filestest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/memory"

	"github.com/sluice-data/sluice/internal/compress"
	"github.com/sluice-data/sluice/internal/fail"
	"github.com/sluice-data/sluice/internal/objstore"
	"github.com/sluice-data/sluice/internal/objstore/storetest"
	"github.com/sluice-data/sluice/internal/schema"
	"github.com/sluice-data/sluice/pipeline"
	"github.com/sluice-data/sluice/sinks"
	"github.com/sluice-data/sluice/sinks/files"
	"github.com/sluice-data/sluice/sources"
)

// Subject is a format under test.
type Subject struct {
	Format    files.Format
	Options   sinks.Options
	Extension string
	// Schema's first column is an int64, "id", without nulls, its second a string, "zone", that rows can be partitioned by.
	Schema *arrow.Schema
	Rows   string // JSON: a list of objects
	// Read reads a file as rows of that schema, one after the other. The caller releases them.
	Read func(t *testing.T, data []byte, s *arrow.Schema) []arrow.Record
}

// ReadBy is a Subject's Read by our own source of that name, which reads req's options; the files are compressed by codec or "none".
func ReadBy(source, codec string, options sources.Options) func(t *testing.T, data []byte, s *arrow.Schema) []arrow.Record {
	return func(t *testing.T, data []byte, s *arrow.Schema) (out []arrow.Record) {
		t.Helper()
		f, ok := sources.Lookup(source)
		if !ok {
			t.Fatalf("no source %s", source)
		}
		req := sources.Request{Options: options, Schema: sources.SchemaSpec{Mode: sources.Strict}, ChunkBytes: 1 << 20, ChunkRows: 1 << 20, MaxRecord: 1 << 20, Lanes: 1,
			Inputs: []sources.Input{{URI: "x", Stream: func(context.Context) (io.ReadCloser, error) {
				if codec == "none" {
					return io.NopCloser(bytes.NewReader(data)), nil
				}
				return compress.NewReader(codec, bytes.NewReader(data), compress.Options{})
			}}}}
		for _, f := range s.Fields() {
			req.Schema.Columns = append(req.Schema.Columns, sources.Column{Field: f})
		}
		src, err := f.Open(t.Context(), req)
		if err != nil {
			t.Fatal(err)
		}
		defer src.Close()
		dec, err := src.NewDecoder(memory.DefaultAllocator)
		if err != nil {
			t.Fatal(err)
		}
		defer dec.Close()
		for {
			c, err := src.Next(t.Context())
			if err == io.EOF {
				return out
			}
			if err != nil {
				t.Fatal(err)
			}
			var rej pipeline.Rejects
			if err := dec.Decode(t.Context(), c, &rej, func(b pipeline.Batch) error {
				b.Rec.Retain()
				out = append(out, b.Rec)
				return nil
			}); err != nil {
				t.Fatal(err)
			}
			c.Release()
			for _, r := range rej.Rows() {
				t.Fatalf("rejected: %+v", r)
			}
		}
	}
}

// Schema is "id", an int64 without nulls, then the columns given as name and type in turns, each with nulls.
func Schema(t *testing.T, columns ...string) *arrow.Schema {
	t.Helper()
	fields := []arrow.Field{{Name: "id", Type: arrow.PrimitiveTypes.Int64}}
	for i := 0; i < len(columns); i += 2 {
		f, err := schema.ParseField(columns[i], columns[i+1])
		if err != nil {
			t.Fatal(err)
		}
		f.Nullable = true
		fields = append(fields, f)
	}
	return arrow.NewSchema(fields, nil)
}

// Refusals are the rows of a that the format's constraints on field f refuse, with why: "1: a reason".
func Refusals(f files.Format, field arrow.Field, a arrow.Array) (out []string) {
	if f.Constraints == nil {
		return nil
	}
	for _, c := range f.Constraints(field) {
		c.Check(a, func(row int, reason string) { out = append(out, fmt.Sprintf("%d: %s", row, reason)) })
	}
	return out
}

const runID = "0123456789abcdef"

var dir = objstore.Ref{Bucket: "b", Key: "out/"}

func (s *Subject) record(t *testing.T, mem memory.Allocator) arrow.Record {
	t.Helper()
	rec, _, err := array.RecordFromJSON(mem, s.Schema, strings.NewReader(s.Rows))
	if err != nil {
		t.Fatal(err)
	}
	return rec
}

// attempt is one attempt the way the engine makes it; each record is a block.
func (s *Subject) attempt(ctx context.Context, store objstore.Store, recs []arrow.Record, target int64, by ...string) (*files.Sink, *pipeline.Ledger, error) {
	sink, err := files.New(s.Format, sinks.Request{Schema: s.Schema, PartitionBy: by, Store: store, Dir: dir, RunID: runID, TargetFileSize: target, Options: s.Options})
	if err != nil {
		return nil, nil, err
	}
	l := &pipeline.Ledger{}
	enc, err := sink.NewEncoder(memory.DefaultAllocator)
	if err != nil {
		return nil, nil, err
	}
	defer enc.Close()
	for _, rec := range recs {
		b, err := enc.Encode(ctx, []arrow.Record{rec})
		if err == nil {
			err = sink.Write(ctx, b)
		}
		if err != nil {
			return sink, l, errors.Join(err, sink.Abort(context.WithoutCancel(ctx)))
		}
	}
	return sink, l, sink.Commit(ctx, l)
}

// Run runs the suite.
func Run(t *testing.T, s Subject) {
	for name, f := range map[string]func(*testing.T, *Subject){
		"values": values, "no rows": noRows, "files": several, "partitions": partitions, "failures": failures, "damage": damage, "lanes": lanes,
	} {
		t.Run(name, func(t *testing.T) { f(t, &s) })
	}
}

// equal reads the file and compares its rows with those of want.
func (s *Subject) equal(t *testing.T, data []byte, schema *arrow.Schema, want ...arrow.Record) {
	t.Helper()
	got := s.Read(t, data, schema)
	defer func() {
		for _, r := range got {
			r.Release()
		}
	}()
	a, b := array.NewTableFromRecords(schema, got), array.NewTableFromRecords(schema, want)
	defer a.Release()
	defer b.Release()
	if a.NumRows() != b.NumRows() {
		t.Fatalf("%d rows came back, want %d", a.NumRows(), b.NumRows())
	}
	for i, f := range schema.Fields() {
		x, y := whole(t, a.Column(i)), whole(t, b.Column(i))
		for k := range x.Len() {
			if x.IsNull(k) != y.IsNull(k) || !x.IsNull(k) && x.ValueStr(k) != y.ValueStr(k) {
				t.Fatalf("column %q, row %d: %s came back (null: %t), want %s (null: %t)", f.Name, k, x.ValueStr(k), x.IsNull(k), y.ValueStr(k), y.IsNull(k))
			}
		}
		x.Release()
		y.Release()
	}
}

func whole(t *testing.T, c *arrow.Column) arrow.Array {
	t.Helper()
	if len(c.Data().Chunks()) == 0 {
		return array.MakeArrayOfNull(memory.DefaultAllocator, c.DataType(), 0)
	}
	a, err := array.Concatenate(c.Data().Chunks(), memory.DefaultAllocator)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// Every value comes back, from blocks of several records, with and without a part of the rows in each.
func values(t *testing.T, s *Subject) {
	mem := memory.NewCheckedAllocator(memory.DefaultAllocator)
	defer mem.AssertSize(t, 0)
	rec := s.record(t, mem)
	defer rec.Release()
	part := rec.NewSlice(1, rec.NumRows()-1) // offsets that are not 0
	defer part.Release()
	store := storetest.NewMemory()
	sink, l, err := s.attempt(t.Context(), store, []arrow.Record{rec, part, rec}, 0)
	if err != nil {
		t.Fatal(err)
	}
	if want := 3*rec.NumRows() - 2; l.Written != want || len(sink.Files()) != 1 {
		t.Fatalf("%d rows in %d files, want %d in 1", l.Written, len(sink.Files()), want)
	}
	f := sink.Files()[0]
	if want := "s3://b/out/part-" + runID + "-00000" + s.Extension; f.URI != want {
		t.Errorf("the file is %s, want %s", f.URI, want)
	}
	s.equal(t, store.Objects[f.Ref.Key], s.Schema, rec, part, rec)
	if sink.Memory() < 0 {
		t.Errorf("memory: %d", sink.Memory())
	}
}

// A run without rows leaves one valid file.
func noRows(t *testing.T, s *Subject) {
	store := storetest.NewMemory()
	sink, l, err := s.attempt(t.Context(), store, nil, 0)
	if err != nil || l.Written != 0 || len(sink.Files()) != 1 {
		t.Fatalf("%d files: %v", len(sink.Files()), err)
	}
	s.equal(t, store.Objects[sink.Files()[0].Ref.Key], s.Schema)
}

// Each of several files is whole.
func several(t *testing.T, s *Subject) {
	rec := s.record(t, memory.DefaultAllocator)
	defer rec.Release()
	store := storetest.NewMemory()
	sink, l, err := s.attempt(t.Context(), store, []arrow.Record{rec, rec, rec}, int64(2*len(s.Rows)))
	if err != nil || l.Written != 3*rec.NumRows() {
		t.Fatalf("%d rows: %v", l.Written, err)
	}
	for i, f := range sink.Files() {
		if want := fmt.Sprintf("s3://b/out/part-%s-%05d%s", runID, i, s.Extension); f.URI != want {
			t.Errorf("file %d is %s, want %s", i, f.URI, want)
		}
		got := s.Read(t, store.Objects[f.Ref.Key], s.Schema)
		n := int64(0)
		for _, r := range got {
			n += r.NumRows()
			r.Release()
		}
		if n != f.Rows {
			t.Errorf("file %d has %d rows, it says %d", i, n, f.Rows)
		}
	}
}

// The partition columns are in the folders' names only.
func partitions(t *testing.T, s *Subject) {
	rec := s.record(t, memory.DefaultAllocator)
	defer rec.Release()
	var recs []arrow.Record
	for i := range 2 {
		one := rec.NewSlice(int64(i), int64(i+1))
		defer one.Release()
		recs = append(recs, one)
	}
	store := storetest.NewMemory()
	sink, l, err := s.attempt(t.Context(), store, recs, 0, "zone")
	if err != nil || l.Written != 2 {
		t.Fatalf("%d rows: %v", l.Written, err)
	}
	schema := arrow.NewSchema(slices.Delete(slices.Clone(s.Schema.Fields()), 1, 2), nil)
	for i, f := range sink.Files() {
		if f.Partition["zone"].Text != rec.Column(1).ValueStr(i) {
			t.Errorf("%s is of partition %v", f.URI, f.Partition)
		}
		want := array.NewRecord(schema, slices.Delete(slices.Clone(recs[i].Columns()), 1, 2), 1)
		s.equal(t, store.Objects[f.Ref.Key], schema, want)
		want.Release()
	}
}

// Each call of the store fails once: the error comes out as it went in, and no upload stays open.
func failures(t *testing.T, s *Subject) {
	rec := s.record(t, memory.DefaultAllocator)
	defer rec.Release()
	lost := fail.Newf(fail.Temporary, "part 1: %w", objstore.ErrLost)
	for n := 0; ; n++ {
		store := storetest.NewMemory()
		store.FailAt, store.Err = n, lost
		sink, l, err := s.attempt(t.Context(), store, []arrow.Record{rec, rec}, 1)
		if err == nil {
			if len(store.Calls) > n || n < 6 {
				t.Fatalf("call %d of %d failed and nobody noticed", n, len(store.Calls))
			}
			return
		}
		if !errors.Is(err, objstore.ErrLost) || fail.KindOf(err) != fail.Temporary {
			t.Errorf("call %d (%s): error became %v", n, store.Calls[n], err)
		}
		if len(store.Open) != 0 || l.Written != 0 || sink.Files() != nil {
			t.Errorf("call %d (%s): %d uploads left open, %d rows and %d files are said to be written", n, store.Calls[n], len(store.Open), l.Written, len(sink.Files()))
		}
	}
}

// What the store gives back is not what was written: the commit fails with a Data error, and never panics.
func damage(t *testing.T, s *Subject) {
	rec := s.record(t, memory.DefaultAllocator)
	defer rec.Release()
	clean := storetest.NewMemory()
	sink, _, err := s.attempt(t.Context(), clean, []arrow.Record{rec, rec}, 0)
	if err != nil {
		t.Fatal(err)
	}
	good := clean.Objects[sink.Files()[0].Ref.Key]
	cases := map[string][]byte{"empty": {}, "short": good[:len(good)-1], "long": append(slices.Clone(good), 0)}
	for i := 0; i < len(good); i += 1 + len(good)/12 {
		changed := slices.Clone(good)
		changed[i] ^= 0x10
		cases[fmt.Sprintf("byte %d", i)] = changed
	}
	found := 0
	for name, data := range cases {
		store := storetest.NewMemory()
		store.Damage = func([]byte) []byte { return data }
		_, l, err := s.attempt(t.Context(), store, []arrow.Record{rec, rec}, 0)
		switch {
		case err != nil && (fail.KindOf(err) != fail.Data || l.Written != 0):
			t.Errorf("%s: %v, %d rows written", name, err, l.Written)
		case err != nil:
			found++
		case !strings.HasPrefix(name, "byte"):
			t.Errorf("%s: nobody noticed", name)
		}
	}
	if found < len(cases)/2 {
		t.Errorf("%d of %d changes were found", found, len(cases))
	}
}

// Several lanes encode at once, and what they make does not depend on which of them does.
func lanes(t *testing.T, s *Subject) {
	rec := s.record(t, memory.DefaultAllocator)
	defer rec.Release()
	one := storetest.NewMemory()
	if _, _, err := s.attempt(t.Context(), one, []arrow.Record{rec, rec, rec, rec}, 0); err != nil {
		t.Fatal(err)
	}
	store := storetest.NewMemory()
	sink, err := files.New(s.Format, sinks.Request{Schema: s.Schema, Store: store, Dir: dir, RunID: runID, Options: s.Options})
	if err != nil {
		t.Fatal(err)
	}
	type result struct {
		b   pipeline.Block
		err error
	}
	var turns []chan result
	for range 4 {
		enc, err := sink.NewEncoder(memory.DefaultAllocator)
		if err != nil {
			t.Fatal(err)
		}
		turn := make(chan result, 1)
		turns = append(turns, turn)
		go func() {
			defer enc.Close()
			b, err := enc.Encode(context.Background(), []arrow.Record{rec})
			turn <- result{b, err}
		}()
	}
	for _, turn := range turns {
		r := <-turn
		if r.err != nil {
			t.Fatal(r.err)
		}
		if err := sink.Write(t.Context(), r.b); err != nil {
			t.Fatal(err)
		}
	}
	if err := sink.Commit(t.Context(), &pipeline.Ledger{}); err != nil {
		t.Fatal(err)
	}
	for key, data := range one.Objects {
		if !bytes.Equal(store.Objects[key], data) {
			t.Errorf("%s has other bytes", key)
		}
	}
}
