package job

import (
	"context"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sluice-data/sluice/internal/fail"
	"github.com/sluice-data/sluice/internal/objstore"
)

// tables is a directory in which runs of several inputs write to one table.
type tables struct{ dir string }

// newTables has three inputs: a has rows of zones 1 and 2, b of 2 and 3, c of 2 and 3.
func newTables(t *testing.T) *tables {
	t.Helper()
	s := &tables{dir: t.TempDir()}
	s.input(t, "a", 10, 1, 2)
	s.input(t, "b", 20, 2, 3)
	s.input(t, "c", 30, 2, 3)
	return s
}

// input writes in/<name>.csv with a row for each zone: id is from plus the zone.
func (s *tables) input(t *testing.T, name string, from int, zones ...int) {
	t.Helper()
	text := "id,zone\n"
	for _, z := range zones {
		text += fmt.Sprintf("%d,%d\n", from+z, z)
	}
	s.write(t, "in/"+name+".csv", text)
}

func (s *tables) write(t *testing.T, name, text string) string {
	t.Helper()
	return (&rig{dir: s.dir}).write(t, name, text)
}

// copy is the same tables somewhere else.
func (s *tables) copy(t *testing.T) *tables {
	t.Helper()
	to := &tables{dir: t.TempDir()}
	if err := os.CopyFS(to.dir, os.DirFS(s.dir)); err != nil {
		t.Fatal(err)
	}
	return to
}

// tableRun is a run of an input in a mode.
type tableRun struct {
	input, sink string // the latter is what the sink: block has besides
	force       bool
	wrap        func(objstore.Store) objstore.Store
	patience    time.Duration
	waiting     func()
	log         *slog.Logger
}

func (s *tables) run(t *testing.T, r tableRun) (*Receipt, error) {
	t.Helper()
	p := s.write(t, "p-"+strings.NewReplacer(" ", "", ":", "-", ",", "-", "[", "", "]", "").Replace(r.sink)+".yaml", `version: 1
name: tables
source: {format: csv}
schema: {columns: {id: int64, zone: string}}
sink: {uri: "s3://out/data/", `+r.sink+`}
`)
	if r.log == nil {
		r.log = slog.New(slog.DiscardHandler)
	}
	rec, err := Run(context.WithoutCancel(t.Context()), Options{Pipeline: p, Inputs: []string{"s3://in/" + r.input + ".csv"}, LocalRoot: s.dir, Lanes: 1, MemoryLimit: "1GiB", Version: "test", Force: r.force,
		Getenv: func(string) string { return "" }, Stdin: strings.NewReader(""), Log: r.log,
		test: hooks{store: r.wrap, patience: max(time.Nanosecond, r.patience), waiting: r.waiting}})
	if (err != nil) != (rec.Status == Failed) {
		t.Fatalf("error %v beside receipt %s", err, rec.JSON())
	}
	return rec, err
}

// commit is a run that has to commit.
func (s *tables) commit(t *testing.T, r tableRun) *Receipt {
	t.Helper()
	rec, err := s.run(t, r)
	if err != nil || rec.Status != Committed {
		t.Fatalf("%+v: %s, %v", r, rec.Status, err)
	}
	return rec
}

// ids are those in the data files that stand, and open is what else stands that is no file of a table: uploads that were not completed.
func (s *tables) ids(t *testing.T) (ids []int64) {
	t.Helper()
	err := filepath.WalkDir(filepath.Join(s.dir, "out/data"), func(path string, e fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case e.IsDir() && strings.HasPrefix(e.Name(), "_"):
			return fs.SkipDir
		case strings.HasPrefix(e.Name(), "part-"):
			rel, _ := filepath.Rel(s.dir, path)
			ids = append(ids, (&rig{dir: s.dir}).ids(t, "s3://"+rel)...)
		case !e.IsDir():
			t.Errorf("%s is left", path)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(ids)
	return ids
}

func (s *tables) want(t *testing.T, ids ...int64) {
	t.Helper()
	if got := s.ids(t); !slices.Equal(got, ids) {
		t.Errorf("the table has %v, want %v", got, ids)
	}
}

// turnsLeft is how many entries the table's log has.
func (s *tables) turnsLeft(t *testing.T) int {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(s.dir, "out/data/_runs/_table/turn-*"))
	if err != nil {
		t.Fatal(err)
	}
	return len(names)
}

const byZone = "partition_by: [zone]"

func TestModes(t *testing.T) {
	for _, c := range []struct {
		name, sink string
		want       []int64
		replaced   map[string]int // files of a, b
	}{
		{"append", byZone, []int64{11, 12, 22, 23, 32, 33}, nil},
		{"replace", "mode: replace, " + byZone, []int64{32, 33}, map[string]int{"a": 2, "b": 2}},
		{"replace partitions", "mode: replace_partitions, " + byZone, []int64{11, 32, 33}, map[string]int{"a": 1, "b": 2}},
		{"replace, not partitioned", "mode: replace", []int64{32, 33}, map[string]int{"a": 2, "b": 2}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newTables(t)
			s.commit(t, tableRun{input: "a", sink: byZone})
			s.commit(t, tableRun{input: "b", sink: byZone})
			rec := s.commit(t, tableRun{input: "c", sink: c.sink})
			s.want(t, c.want...)
			for _, old := range []string{"a", "b"} { // a redelivered event of what is replaced: nothing is written, and it says so
				again, err := s.run(t, tableRun{input: old, sink: byZone})
				var want []ReplacedBy
				if n := c.replaced[old]; n > 0 {
					want = []ReplacedBy{{RunID: rec.RunID, Mode: map[bool]string{true: "replace_partitions", false: "replace"}[strings.Contains(c.sink, "partitions,")], Files: n, Rows: int64(n)}}
				}
				if err != nil || again.Status != AlreadyCommitted || !slices.Equal(again.ReplacedBy, want) || len(again.Files) != 2-c.replaced[old] {
					t.Errorf("%s again: %s, %v", old, again.JSON(), err)
				}
			}
			if again, err := s.run(t, tableRun{input: "c", sink: c.sink}); err != nil || again.Status != AlreadyCommitted || again.ReplacedBy != nil {
				t.Errorf("c again: %s, %v", again.JSON(), err)
			}
			s.want(t, c.want...)
			for range 3 { // one after the other replaces the one before
				s.commit(t, tableRun{input: "a", sink: c.sink, force: true})
				s.commit(t, tableRun{input: "c", sink: c.sink, force: true})
			}
			if n := s.turnsLeft(t); n > 1 {
				t.Errorf("the table's log has %d entries", n)
			}
		})
	}
}

// A run that is written anew by force after another had replaced it is replaced no more.
func TestForceAfterReplaced(t *testing.T) {
	s := newTables(t)
	s.commit(t, tableRun{input: "a", sink: byZone})
	s.commit(t, tableRun{input: "c", sink: "mode: replace, " + byZone})
	s.commit(t, tableRun{input: "a", sink: byZone, force: true})
	s.want(t, 11, 12, 32, 33)
	if rec, err := s.run(t, tableRun{input: "a", sink: byZone}); err != nil || rec.Status != AlreadyCommitted || rec.ReplacedBy != nil || len(rec.Files) != 2 {
		t.Errorf("%s, %v", rec.JSON(), err)
	}
	if rec, err := s.run(t, tableRun{input: "c", sink: "mode: replace, " + byZone}); err != nil || rec.Status != AlreadyCommitted {
		t.Errorf("%s, %v", rec.JSON(), err)
	}
	s.want(t, 11, 12, 32, 33)
}

// A file that no run wrote is nobody's to delete, and would stay among the new ones: it is an error before the input is read, and nothing is written.
func TestForeignFiles(t *testing.T) {
	for _, mode := range []string{"replace", "replace_partitions"} {
		s := newTables(t)
		s.commit(t, tableRun{input: "a", sink: byZone})
		s.write(t, "out/data/zone=2/export.parquet", "whose?")
		_, err := s.run(t, tableRun{input: "c", sink: "mode: " + mode + ", " + byZone})
		if fail.KindOf(err) != fail.Data || !strings.Contains(err.Error(), "s3://out/data/zone=2/export.parquet") || !strings.Contains(err.Error(), "not written by Sluice") {
			t.Errorf("%s: %v", mode, err)
		}
		if err := os.Remove(filepath.Join(s.dir, "out/data/zone=2/export.parquet")); err != nil {
			t.Fatal(err)
		}
		s.want(t, 11, 12)
		s.write(t, "out/data/zone=1/export.csv", "in no partition of the run")
		rec, err := s.run(t, tableRun{input: "c", sink: "mode: " + mode + ", " + byZone})
		if (err == nil) != (mode == "replace_partitions") {
			t.Errorf("%s beside a file elsewhere: %s, %v", mode, rec.Status, err)
		}
	}
}

// A run is stopped at each of its store calls, in three ways, while it replaces a table. What stands afterwards has all of the old rows or all of the new
// ones, the next attempt finishes, and events of the runs that it replaced say so.
func TestReplaceFaultAtEveryCall(t *testing.T) {
	for name, c := range map[string]struct {
		sink string
		new  []int64
		left int64 // rows of a that are
	}{
		"replace":            {"mode: replace, " + byZone, []int64{32, 33}, 0},
		"replace partitions": {"mode: replace_partitions, " + byZone, []int64{11, 32, 33}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			base := newTables(t)
			base.commit(t, tableRun{input: "a", sink: byZone})
			base.commit(t, tableRun{input: "b", sink: byZone})
			count := &faultStore{at: -1}
			base.copy(t).commit(t, tableRun{input: "c", sink: c.sink, wrap: func(under objstore.Store) objstore.Store { count.Store = under; return count }})
			from := slices.IndexFunc(count.calls, func(call string) bool { return strings.HasPrefix(call, "list data/_runs/_table/") })
			failed := 0
			for at := from; at < len(count.calls); at++ {
				kind := fault(at % 3) // one of the ways for each mode
				if name == "replace" {
					kind = dead
				}
				s := base.copy(t)
				var f *faultStore
				rec, err := s.run(t, tableRun{input: "c", sink: c.sink, wrap: func(under objstore.Store) objstore.Store {
					f = &faultStore{Store: under, at: at, kind: kind}
					return f
				}})
				where := fmt.Sprintf("call %d, %q, %s", at, count.calls[at], kind)
				stands := s.visible(t)
				all := func(ids []int64) bool {
					return !slices.ContainsFunc(ids, func(id int64) bool { return !stands[id] })
				}
				if !all([]int64{11, 12, 22, 23}) && !all(c.new) {
					t.Errorf("%s: neither the old nor the new: %v", where, slices.Sorted(maps.Keys(stands)))
				}
				if err != nil {
					failed++
				} else if rec.Status != Committed {
					t.Errorf("%s: %s", where, rec.Status)
				}
				if again, err := s.run(t, tableRun{input: "c", sink: c.sink}); err != nil || again.ReplacedBy != nil {
					t.Errorf("%s: the next attempt: %s, %v", where, again.JSON(), err)
				}
				s.want(t, c.new...)
				if old, err := s.run(t, tableRun{input: "a", sink: byZone}); err != nil || old.Status != AlreadyCommitted || len(old.ReplacedBy) != 1 || int64(len(old.Files)) != c.left {
					t.Errorf("%s: the replaced run: %s, %v", where, old.JSON(), err)
				}
				s.want(t, c.new...)
				s.commit(t, tableRun{input: "b", sink: c.sink})
				if n := s.turnsLeft(t); n > 1 {
					t.Errorf("%s: the table's log has %d entries", where, n)
				}
				if t.Failed() {
					t.Fatalf("%s: %v", where, err)
				}
			}
			if failed < (len(count.calls)-from)/2 {
				t.Errorf("only %d of %d runs failed", failed, len(count.calls)-from)
			}
		})
	}
}

// visible are the ids in the data files that stand; what was being written need not be gone.
func (s *tables) visible(t *testing.T) map[int64]bool {
	t.Helper()
	ids := map[int64]bool{}
	for _, id := range s.visibleIDs(t) {
		ids[id] = true
	}
	return ids
}

// visibleIDs are those, sorted, each as often as it stands.
func (s *tables) visibleIDs(t *testing.T) (ids []int64) {
	t.Helper()
	err := filepath.WalkDir(filepath.Join(s.dir, "out/data"), func(path string, e fs.DirEntry, err error) error {
		if err == nil && strings.HasPrefix(e.Name(), "part-") {
			rel, _ := filepath.Rel(s.dir, path)
			ids = append(ids, (&rig{dir: s.dir}).ids(t, "s3://"+rel)...)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(ids)
	return ids
}
