package files

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/memory"

	"github.com/sluice-data/sluice/internal/fail"
	"github.com/sluice-data/sluice/internal/objstore/storetest"
	"github.com/sluice-data/sluice/pipeline"
	"github.com/sluice-data/sluice/sinks"
)

// zoneRecord is n rows of a zone, "" for null.
func zoneRecord(mem memory.Allocator, zone string, n int) arrow.Record {
	b := array.NewRecordBuilder(mem, byZone)
	defer b.Release()
	for i := range n {
		if zone == "" {
			b.Field(0).AppendNull()
		} else {
			b.Field(0).(*array.StringBuilder).Append(zone)
		}
		b.Field(1).(*array.Int64Builder).Append(int64(i))
	}
	return b.NewRecord()
}

// partitioned runs one attempt over records of a partition each.
func partitioned(t *testing.T, store *storetest.Memory, recs []arrow.Record, target int64, by ...string) (*Sink, *pipeline.Ledger, error) {
	t.Helper()
	ctx, l := t.Context(), &pipeline.Ledger{}
	s, err := New(lines, sinks.Request{Schema: recs[0].Schema(), PartitionBy: by, Store: store, Dir: dir, RunID: runID, TargetFileSize: target})
	if err != nil {
		t.Fatal(err)
	}
	return s, l, publish(ctx, s, l, recs)
}

// Each partition's rows are in files of its own folder, without the partition columns, numbered from 0.
func TestPartitions(t *testing.T) {
	mem := memory.NewCheckedAllocator(memory.DefaultAllocator)
	defer mem.AssertSize(t, 0)
	var recs []arrow.Record
	for _, zone := range []string{"a b", "a b", "c/d", ""} {
		recs = append(recs, zoneRecord(mem, zone, 500))
		defer recs[len(recs)-1].Release()
	}
	for _, c := range []struct {
		target int64
		want   []string
	}{
		{0, []string{"zone=a b/ 0 1000", "zone=c%2Fd/ 0 500", "zone=__HIVE_DEFAULT_PARTITION__/ 0 500"}},
		{1, []string{"zone=a b/ 0 500", "zone=a b/ 1 500", "zone=c%2Fd/ 0 500", "zone=__HIVE_DEFAULT_PARTITION__/ 0 500"}},
	} {
		store := storetest.NewMemory()
		s, l, err := partitioned(t, store, recs, c.target, "zone")
		if err != nil || l.Written != 2000 {
			t.Fatalf("%d rows: %v", l.Written, err)
		}
		var got []string
		for _, f := range s.Files() {
			folder := f.Ref.Key[len("out/") : strings.LastIndexByte(f.Ref.Key, '/')+1]
			var n int
			if _, err := fmt.Sscanf(f.Ref.Key[len("out/")+len(folder):], "part-"+runID+"-%05d.lines", &n); err != nil {
				t.Fatal(f.Ref.Key, err)
			}
			got = append(got, fmt.Sprintf("%s %d %d", folder, n, f.Rows))
			if head, _, _ := strings.Cut(string(store.Objects[f.Ref.Key]), "\n"); head != "n" {
				t.Errorf("%s has columns %v", f.Ref.Key, head)
			}
			zone := f.Partition["zone"]
			if want := map[string]string{"zone=a b/": "a b", "zone=c%2Fd/": "c/d"}[folder]; zone.Text != want || zone.Null != (want == "") {
				t.Errorf("%s is of partition %v", f.Ref.Key, zone)
			}
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("target %d: %q, want %q", c.target, got, c.want)
		}
		if folders := s.folders; !slices.Equal(folders, []string{"zone=a b/", "zone=c%2Fd/", "zone=__HIVE_DEFAULT_PARTITION__/"}) {
			t.Errorf("folders %q", folders)
		}
		if n := s.writer.(*lineWriter).made.Load(); n > 0 {
			t.Errorf("%d blocks are not released", n)
		}
	}
}

// A run without rows has no partition, so no file.
func TestPartitionsOfNothing(t *testing.T) {
	rec := zoneRecord(memory.DefaultAllocator, "a", 0)
	defer rec.Release()
	store := storetest.NewMemory()
	if s, l, err := partitioned(t, store, []arrow.Record{rec}, 0, "zone"); err != nil || l.Written != 0 || len(s.Files()) != 0 || len(store.Objects) != 0 {
		t.Fatalf("%v, %d objects", err, len(store.Objects))
	}
}

// A file that is large is not held back until its end.
func TestLargePartition(t *testing.T) {
	rec := zoneRecord(memory.DefaultAllocator, "a", 700_000)
	defer rec.Release()
	store := storetest.NewMemory()
	s, l, err := partitioned(t, store, []arrow.Record{rec, rec, rec}, 0, "zone")
	if err != nil || l.Written != 2_100_000 || len(s.Files()) != 1 {
		t.Fatalf("%d rows in %d files: %v", l.Written, len(s.Files()), err)
	}
	if first, last := slices.Index(store.Calls, "write part-"+runID+"-00000.lines"), len(store.Calls); first < 0 || first > last/2 {
		t.Errorf("the first byte was sent at call %d of %d", first, last)
	}
}

// Each call of the store fails once: the error comes out, no upload stays open, all blocks are released, and what was
// completed is cleared by the next attempt.
func TestPartitionFailureAtEveryCall(t *testing.T) {
	mem := memory.NewCheckedAllocator(memory.DefaultAllocator)
	defer mem.AssertSize(t, 0)
	var recs []arrow.Record
	for i := range 5 {
		recs = append(recs, zoneRecord(mem, fmt.Sprintf("zone %d", i/2), 50))
		defer recs[i].Release()
	}
	lost := errors.New("lost")
	for n := 0; ; n++ {
		store := storetest.NewMemory()
		store.FailAt, store.Err = n, lost
		s, l, err := partitioned(t, store, recs, 1, "zone")
		if err == nil {
			if len(store.Calls) > n {
				t.Fatalf("call %d (%s) failed and nobody noticed", n, store.Calls[n])
			}
			if n < 25 || l.Written != 250 || len(s.Files()) != 5 {
				t.Fatalf("passed after %d calls with %d rows in %d files", n, l.Written, len(s.Files()))
			}
			return
		}
		where := fmt.Sprintf("call %d (%s)", n, store.Calls[n])
		if !errors.Is(err, lost) {
			t.Errorf("%s: error became %v", where, err)
		}
		if len(store.Open) != 0 {
			t.Errorf("%s: %d uploads left open", where, len(store.Open))
		}
		if s.Files() != nil || l.Written != 0 {
			t.Errorf("%s: %d files, %d rows are said to be written", where, len(s.Files()), l.Written)
		}
		for _, f := range s.files {
			if len(f.waiting) > 0 {
				t.Errorf("%s: %s holds %d blocks", where, f.ref, len(f.waiting))
			}
		}
		// The next attempt has one file less in each folder, and knows of one that it has nothing for.
		store.FailAt = -1
		next, _, err := partitioned(t, store, recs[:1], 0, "zone")
		if err != nil {
			t.Fatal(err)
		}
		gone := []string{"zone=zone 1/", "zone=zone 2/"}
		if err := clearAfter(t, next, gone); err != nil {
			t.Errorf("%s: clearing: %v", where, err)
		}
		if len(store.Objects) != 1 || len(store.Open) != 0 {
			t.Errorf("%s: %d objects and %d uploads survive the clearing", where, len(store.Objects), len(store.Open))
		}
	}
}

// Records and blocks of two partitions cannot be written: they are a fault of the plan, not of the data.
func TestMixedPartitions(t *testing.T) {
	a, b := zoneRecord(memory.DefaultAllocator, "a", 2), zoneRecord(memory.DefaultAllocator, "b", 2)
	defer a.Release()
	defer b.Release()
	s, err := New(lines, sinks.Request{Schema: byZone, PartitionBy: []string{"zone"}, Store: storetest.NewMemory(), Dir: dir, RunID: runID})
	if err != nil {
		t.Fatal(err)
	}
	if !s.Apart(a, b) || s.Apart(a, a) {
		t.Error("the sink does not see its partitions")
	}
	enc, err := s.NewEncoder(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer enc.Close()
	if _, err := enc.Encode(t.Context(), []arrow.Record{a, b}); fail.KindOf(err) != fail.Internal {
		t.Errorf("a block of two partitions: %v", err)
	}
	mixed := array.NewRecord(byZone, []arrow.Array{concat(t, a.Column(0), b.Column(0)), concat(t, a.Column(1), b.Column(1))}, 4)
	defer mixed.Release()
	if _, err := enc.Encode(t.Context(), []arrow.Record{mixed}); fail.KindOf(err) != fail.Internal {
		t.Errorf("a record of two partitions: %v", err)
	}
	if err := s.Abort(t.Context()); err != nil {
		t.Error(err)
	}
}

func concat(t *testing.T, as ...arrow.Array) arrow.Array {
	t.Helper()
	a, err := array.Concatenate(as, memory.DefaultAllocator)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func TestPartitionColumnsAreChecked(t *testing.T) {
	for want, by := range map[string][]string{"want one column": {"nowhere"}, "named once": {"zone", "zone"}, "every column": {"n", "zone"}} {
		_, err := New(lines, sinks.Request{Schema: byZone, PartitionBy: by, Store: storetest.NewMemory(), Dir: dir, RunID: runID})
		if fail.KindOf(err) != fail.Usage || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: %v, want one about %q", by, err, want)
		}
	}
}
