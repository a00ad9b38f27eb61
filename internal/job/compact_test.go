package job

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sluice-data/sluice/internal/fail"
	"github.com/sluice-data/sluice/internal/objstore"
)

// compact merges what is small; wrap may be nil.
func (s *tables) compact(t *testing.T, wrap func(objstore.Store) objstore.Store) (*Compacted, error) {
	t.Helper()
	return s.compactAfter(t, time.Nanosecond, wrap)
}

// compactAfter is compact that takes nobody for dead who has been heard of within patience.
func (s *tables) compactAfter(t *testing.T, patience time.Duration, wrap func(objstore.Store) objstore.Store) (*Compacted, error) {
	t.Helper()
	res, err := Compact(context.WithoutCancel(t.Context()), Options{LocalRoot: s.dir, Lanes: 1, MemoryLimit: "1GiB", Version: "test", Log: slog.New(slog.DiscardHandler),
		test: hooks{store: wrap, patience: patience}}, Compaction{URI: "s3://out/data", TargetFileSize: 1 << 20})
	if (err != nil) != (res.Status == Failed) {
		t.Fatalf("error %v beside %s", err, res.JSON())
	}
	return res, err
}

// merged checks that a compaction came to its end.
func (s *tables) merged(t *testing.T, status Status, before, after int) *Compacted {
	t.Helper()
	res, err := s.compact(t, nil)
	if err != nil || res.Status != status || res.Files.Before != before || res.Files.After != after {
		t.Errorf("want %s, %d files to %d: %s, %v", status, before, after, res.JSON(), err)
	}
	return res
}

func TestCompact(t *testing.T) {
	s := newTables(t)
	ids := []int64{11, 12, 22, 23, 32, 33}
	for _, in := range []string{"a", "b", "c"} {
		s.commit(t, tableRun{input: in, sink: byZone})
	}
	res := s.merged(t, CompactedFiles, 5, 2) // zone 1 has one file, 2 has three, 3 has two
	if res.Rows != 5 || len(res.Partitions) != 2 || res.Partitions[0].Folder != "zone=2/" || len(res.Partitions[0].Merged) != 3 {
		t.Errorf("%s", res.JSON())
	}
	if got := (&rig{dir: s.dir}).ids(t, res.Partitions[0].Files[0]); !slices.Equal(got, []int64{12, 22, 32}) { // as the runs committed
		t.Errorf("zone 2 has %v", got)
	}
	s.want(t, ids...)
	s.merged(t, NothingToDo, 0, 0)
	for _, in := range []string{"a", "b", "c"} {
		rec, err := s.run(t, tableRun{input: in, sink: byZone})
		if err != nil || rec.Status != AlreadyCommitted || len(rec.ReplacedBy) == 0 || rec.ReplacedBy[0].Mode != compactMode {
			t.Errorf("%s again: %s, %v", in, rec.JSON(), err)
		}
		if _, err := s.run(t, tableRun{input: in, sink: byZone, force: true}); fail.KindOf(err) != fail.Usage || !strings.Contains(err.Error(), "merged") {
			t.Errorf("%s by force: %v", in, err)
		}
	}
	s.want(t, ids...)
	s.input(t, "d", 40, 2, 3)
	s.commit(t, tableRun{input: "d", sink: byZone}) // one more small file each: they are merged with the merged
	s.merged(t, CompactedFiles, 4, 2)
	s.want(t, append(ids, 42, 43)...)
	s.commit(t, tableRun{input: "c", sink: "mode: replace_partitions, " + byZone})
	s.want(t, 11, 32, 33)
	s.merged(t, NothingToDo, 0, 0)
	if _, err := s.run(t, tableRun{input: "b", sink: byZone, force: true}); err != nil { // its rows are in no file any more
		t.Errorf("b by force: %v", err)
	}
	s.want(t, 11, 22, 23, 32, 33)
	if n := s.turnsLeft(t); n > 1 {
		t.Errorf("the table's log has %d entries", n)
	}
}

// Files that are what they were, of commits that are not, are merged anew: what an earlier compaction made of them is gone.
func TestCompactTheSameBytesAgain(t *testing.T) {
	s := newTables(t)
	s.commit(t, tableRun{input: "b", sink: byZone})
	s.commit(t, tableRun{input: "c", sink: byZone})
	s.merged(t, CompactedFiles, 4, 2)
	s.input(t, "d", 40, 4)
	s.commit(t, tableRun{input: "d", sink: "mode: replace, " + byZone})
	s.want(t, 44)
	s.commit(t, tableRun{input: "b", sink: byZone, force: true})
	s.commit(t, tableRun{input: "c", sink: byZone, force: true})
	s.want(t, 22, 23, 32, 33, 44)
	s.merged(t, CompactedFiles, 4, 2)
	s.want(t, 22, 23, 32, 33, 44)
	s.merged(t, NothingToDo, 0, 0)
}

// Files that a target waits for are not merged: it would not find them.
func TestCompactLeavesWhatIsNotDelivered(t *testing.T) {
	s := newTables(t)
	rec := s.commit(t, tableRun{input: "b", sink: byZone})
	s.commit(t, tableRun{input: "c", sink: byZone})
	store, dir := objstore.NewDir(s.dir), objstore.Ref{Bucket: "out", Key: "data/"}
	m, err := readManifest(t.Context(), store, manifestRef(dir, rec.RunID))
	if err != nil {
		t.Fatal(err)
	}
	m.Targets = []string{"somewhere"}
	if err := putJSON(t.Context(), store, manifestRef(dir, rec.RunID), m, false); err != nil {
		t.Fatal(err)
	}
	s.merged(t, NothingToDo, 0, 0)
	if err := putJSON(t.Context(), store, noteRef(dir, rec.RunID, "somewhere"), delivered{Target: "somewhere", RunID: m.RunID, CommittedAt: m.CommittedAt}, false); err != nil {
		t.Fatal(err)
	}
	s.merged(t, CompactedFiles, 4, 2)
}

// Files of a table that is not partitioned, of runs whose columns differ: what a file lacks is null.
func TestCompactAddedColumn(t *testing.T) {
	s := newTables(t)
	s.commit(t, tableRun{input: "a", sink: "target_file_size: 1MB"})
	s.write(t, "in/e.csv", "id,zone\n51,1\n")
	p := s.write(t, "wide.yaml", "version: 1\nname: tables\nsource: {format: csv}\nschema: {columns: {id: int64, zone: string}}\nsteps: [{derive: {fare: 1.5}}]\nsink: {uri: \"s3://out/data/\"}\n")
	if _, err := Run(t.Context(), Options{Pipeline: p, Inputs: []string{"s3://in/e.csv"}, LocalRoot: s.dir, Lanes: 1, MemoryLimit: "1GiB", Version: "test",
		Getenv: func(string) string { return "" }, Stdin: strings.NewReader(""), Log: slog.New(slog.DiscardHandler)}); err != nil {
		t.Fatal(err)
	}
	s.write(t, "out/data/theirs.csv", "is left alone")
	res, err := s.compact(t, nil)
	if err != nil || res.Files.Before != 2 || res.Files.After != 1 || res.Partitions[0].Folder != "" {
		t.Fatalf("%s, %v", res.JSON(), err)
	}
	if got := (&rig{dir: s.dir}).ids(t, res.Partitions[0].Files[0]); !slices.Equal(got, []int64{11, 12, 51}) {
		t.Errorf("%v", got)
	}
	var m Manifest
	ref, err := objstore.ParseRef(res.Partitions[0].Manifest)
	if err != nil {
		t.Fatal(err)
	}
	if there, err := readJSON(t.Context(), objstore.NewDir(s.dir), ref, &m); !there || err != nil || len(m.Schema) != 3 || m.Schema[2].Name != "fare" {
		t.Errorf("%+v, %v", m.Schema, err)
	}
}

// A compaction is stopped at each of its store calls, in three ways. Every row stands at any time, and after the next compaction each once.
func TestCompactFaultAtEveryCall(t *testing.T) {
	base := newTables(t)
	ids := []int64{22, 32, 33}
	base.input(t, "b", 20, 2)
	base.commit(t, tableRun{input: "b", sink: byZone})
	base.commit(t, tableRun{input: "c", sink: byZone})
	count := &faultStore{at: -1}
	if _, err := base.copy(t).compact(t, func(under objstore.Store) objstore.Store { count.Store = under; return count }); err != nil {
		t.Fatal(err)
	}
	failed := 0
	from := slices.IndexFunc(count.calls, func(call string) bool { return strings.HasPrefix(call, "upload ") })
	for at := from; at < len(count.calls); at++ {
		for _, kind := range []fault{fault(at % 3), dead}[:1+at%2] {
			if testing.Short() && at%2 == 1 {
				continue
			}
			s := base.copy(t)
			_, err := s.compact(t, func(under objstore.Store) objstore.Store { return &faultStore{Store: under, at: at, kind: kind} })
			where := fmt.Sprintf("call %d, %q, %s: %v", at, count.calls[at], kind, err)
			if stands := s.visible(t); len(stands) != len(ids) {
				t.Errorf("%s: %v", where, slices.Sorted(maps.Keys(stands)))
			}
			if err != nil {
				failed++
			}
			// A merge that was killed before its commit is given up at once here: a lease is a nanosecond.
			if _, err := s.compact(t, nil); err != nil && fail.KindOf(err) != fail.Temporary {
				t.Errorf("%s: the next: %v", where, err)
			}
			if res, err := s.compact(t, nil); err != nil || res.Status != NothingToDo {
				t.Errorf("%s: the one after it: %s, %v", where, res.JSON(), err)
			}
			s.want(t, ids...)
			if rec, err := s.run(t, tableRun{input: "b", sink: byZone}); err != nil || rec.Status != AlreadyCommitted || len(rec.Files) != 0 {
				t.Errorf("%s: the merged run: %s, %v", where, rec.JSON(), err)
			}
			if t.Failed() {
				t.FailNow()
			}
		}
	}
	if failed < (len(count.calls)-from)/4 {
		t.Errorf("only %d runs failed", failed)
	}
}

// A run that replaces, one that appends and another compaction come and go whole before each store call of a compaction: no row is lost, and none is there twice once
// all have ended.
func TestCompactBesideOthers(t *testing.T) {
	base := newTables(t)
	base.input(t, "b", 20, 2)
	base.input(t, "d", 40, 2)
	base.commit(t, tableRun{input: "b", sink: byZone})
	base.commit(t, tableRun{input: "c", sink: byZone})
	count := &faultStore{at: -1}
	if _, err := base.copy(t).compact(t, func(under objstore.Store) objstore.Store { count.Store = under; return count }); err != nil {
		t.Fatal(err)
	}
	for at := range count.calls {
		for i, other := range []struct {
			name string
			do   func(s *tables) error
			want []int64
		}{
			{"replace", func(s *tables) error {
				_, err := s.run(t, tableRun{input: "d", sink: "mode: replace, " + byZone})
				return err
			}, []int64{42}},
			{"replace partitions", func(s *tables) error {
				_, err := s.run(t, tableRun{input: "d", sink: "mode: replace_partitions, " + byZone})
				return err
			}, []int64{33, 42}},
			{"append", func(s *tables) error { _, err := s.run(t, tableRun{input: "d", sink: byZone}); return err }, []int64{22, 32, 33, 42}},
			{"compact", func(s *tables) error { _, err := s.compact(t, nil); return err }, []int64{22, 32, 33}},
		} {
			if i != at%4 && (i != (at+1)%4 || testing.Short()) { // one or two of the four before each call
				continue
			}
			s := base.copy(t)
			came := false
			_, err := s.compact(t, func(under objstore.Store) objstore.Store {
				return &faultStore{Store: under, at: at, then: func() {
					came = true
					if err := other.do(s); err != nil && fail.KindOf(err) != fail.Temporary {
						t.Errorf("%s: %v", other.name, err)
					} else if err != nil && other.name != "compact" {
						t.Errorf("%s is not in the way of a compaction: %v", other.name, err)
					}
				}}
			})
			if !came {
				continue
			}
			if err != nil && fail.KindOf(err) != fail.Temporary {
				t.Errorf("%v", err)
			}
			s.want(t, other.want...)
			if t.Failed() {
				t.Fatalf("%s before call %d, %q", other.name, at, count.calls[at])
			}
		}
	}
}

// Of files that are kept in different ways no row is encrypted by a weaker one than before.
func TestKeepAs(t *testing.T) {
	aes, none, old := objstore.Writes{SSE: "AES256"}, objstore.Writes{}, objstore.Writes{SSE: "aws:kms", KMSKeyID: "old"}
	lake, dual := objstore.Writes{SSE: "aws:kms", KMSKeyID: "lake", StorageClass: "STANDARD_IA"}, objstore.Writes{SSE: "aws:kms:dsse", KMSKeyID: "dual", StorageClass: "GLACIER_IR"}
	for _, c := range []struct {
		files  []objstore.Writes
		want   objstore.Writes
		differ bool
	}{
		{nil, none, false},
		{[]objstore.Writes{none, none}, none, false},
		{[]objstore.Writes{lake, lake, lake}, lake, false},
		{[]objstore.Writes{lake, aes}, objstore.Writes{SSE: "aws:kms", KMSKeyID: "lake"}, true},
		{[]objstore.Writes{aes, lake}, lake, true},
		{[]objstore.Writes{old, lake}, lake, true},
		{[]objstore.Writes{dual, lake, none}, objstore.Writes{SSE: "aws:kms:dsse", KMSKeyID: "dual"}, true},
		{[]objstore.Writes{aes, aes}, none, false}, // what S3 says of files of which nothing was asked
		{[]objstore.Writes{none, aes, none}, none, false},
	} {
		var infos []objstore.Info
		for _, w := range c.files {
			infos = append(infos, objstore.Info{Kept: w})
		}
		if got, differ := keepAs(infos); got != c.want || differ != c.differ {
			t.Errorf("%v: %v, %v; want %v, %v", c.files, got, differ, c.want, c.differ)
		}
	}
}
