package job

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/apache/arrow/go/v17/arrow/memory"
	"github.com/parquet-go/parquet-go"
	"go.uber.org/goleak"

	"github.com/sluice-data/sluice/internal/fail"
	"github.com/sluice-data/sluice/internal/objstore"
	_ "github.com/sluice-data/sluice/sinks/parquet"
	_ "github.com/sluice-data/sluice/sources/csv"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fault is how a store call fails.
type fault int

const (
	refused fault = iota // the call does nothing
	lost                 // the call is carried out, its answer does not arrive
	dead                 // this call and all that follow do nothing: the process was killed, or the network is gone
)

func (f fault) String() string { return [...]string{"refused", "answer lost", "dead from then on"}[f] }

// What is dead is no Temporary error here: reads would be tried again for half a minute.
var (
	errFault = fail.Newf(fail.Temporary, "injected fault")
	errDead  = fail.Newf(fail.Permission, "injected end")
)

func (f fault) err() *fail.Error {
	if f == dead {
		return errDead
	}
	return errFault
}

// faultStore fails call number at of the calls made on the store, its bodies and its uploads.
type faultStore struct {
	objstore.Store
	mu    sync.Mutex
	calls []string
	at    int // negative: never
	kind  fault
	fail  func(call string) bool // fails calls by name instead of by number
	then  func()                 // is called before call at, which then does not fail
}

// enter counts a call, and says whether it is carried out and whether its answer arrives.
func (s *faultStore) enter(name string) (do, answer bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := len(s.calls)
	s.calls = append(s.calls, name)
	if s.then != nil {
		if n == s.at {
			s.then()
		}
		return true, true
	}
	switch {
	case s.fail != nil:
		do = !s.fail(name) || s.kind == lost
		return do, !s.fail(name)
	case s.at < 0 || n < s.at || n > s.at && s.kind != dead:
		return true, true
	}
	return s.kind == lost, false
}

// call carries out f as the fault allows.
func call[T any](s *faultStore, name string, f func() (T, error)) (T, error) {
	var none T
	do, answer := s.enter(name)
	if !do {
		return none, s.kind.err()
	}
	v, err := f()
	if !answer {
		return none, s.kind.err()
	}
	return v, err
}

func (s *faultStore) Stat(ctx context.Context, ref objstore.Ref, pin objstore.Pin) (objstore.Info, error) {
	return call(s, "stat "+ref.Key, func() (objstore.Info, error) { return s.Store.Stat(ctx, ref, pin) })
}

func (s *faultStore) ReadRange(ctx context.Context, info objstore.Info, off, n int64) (io.ReadCloser, error) {
	if do, answer := s.enter("open " + info.Key); !do || !answer {
		return nil, s.kind.err()
	}
	body, err := s.Store.ReadRange(ctx, info, off, n)
	if err != nil {
		return nil, err
	}
	return &faultBody{body, s, info.Key}, nil
}

type faultBody struct {
	io.ReadCloser
	s   *faultStore
	key string
}

func (b *faultBody) Read(p []byte) (int, error) {
	if do, answer := b.s.enter("read " + b.key); !do || !answer {
		return 0, b.s.kind.err()
	}
	return b.ReadCloser.Read(p)
}

func (s *faultStore) List(ctx context.Context, prefix objstore.Ref) iter.Seq2[objstore.Info, error] {
	return func(yield func(objstore.Info, error) bool) {
		if do, answer := s.enter("list " + prefix.Key); !do || !answer {
			yield(objstore.Info{}, s.kind.err())
			return
		}
		s.Store.List(ctx, prefix)(yield)
	}
}

func (s *faultStore) Put(ctx context.Context, ref objstore.Ref, body []byte, typ string, ifAbsent bool) (objstore.Info, error) {
	return call(s, "put "+ref.Key, func() (objstore.Info, error) { return s.Store.Put(ctx, ref, body, typ, ifAbsent) })
}

func (s *faultStore) Replace(ctx context.Context, was objstore.Info, body []byte, typ string) (objstore.Info, error) {
	return call(s, "replace "+was.Key, func() (objstore.Info, error) { return s.Store.Replace(ctx, was, body, typ) })
}

func (s *faultStore) AbortUploads(ctx context.Context, ref objstore.Ref) (int, error) {
	return call(s, "abort uploads "+ref.Key, func() (int, error) { return s.Store.AbortUploads(ctx, ref) })
}

func (s *faultStore) Delete(ctx context.Context, ref objstore.Ref) error {
	_, err := call(s, "delete "+ref.Key, func() (int, error) { return 0, s.Store.Delete(ctx, ref) })
	return err
}

func (s *faultStore) Upload(ctx context.Context, ref objstore.Ref, typ string) (objstore.Upload, error) {
	return call(s, "upload "+ref.Key, func() (objstore.Upload, error) {
		up, err := s.Store.Upload(ctx, ref, typ)
		return &faultUpload{up, s, ref.Key}, err
	})
}

type faultUpload struct {
	up  objstore.Upload
	s   *faultStore
	key string
}

func (u *faultUpload) Write(b []byte) (int, error) {
	return call(u.s, "write "+u.key, func() (int, error) { return u.up.Write(b) })
}

func (u *faultUpload) Flush(ctx context.Context) error {
	_, err := call(u.s, "flush "+u.key, func() (int, error) { return 0, u.up.Flush(ctx) })
	return err
}

func (u *faultUpload) Complete(ctx context.Context) (objstore.Info, error) {
	return call(u.s, "complete "+u.key, func() (objstore.Info, error) { return u.up.Complete(ctx) })
}

func (u *faultUpload) Abort(ctx context.Context) error {
	_, err := call(u.s, "abort "+u.key, func() (int, error) { return 0, u.up.Abort(ctx) })
	return err
}

// rig is a directory with two inputs, a pipeline and what runs leave there.
type rig struct {
	dir, pipeline string
	mem           *memory.CheckedAllocator
	log           bytes.Buffer
	want          []int64 // the ids that a commit has, in order
	rejected      int64
	days          atomic.Int32 // attempts so far: each is of another day
	force         bool
}

const (
	rigRows = 600 // of each input
	rigRow  = 250 // rows of a row group, and so of a file: target_file_size is small
)

// newRig has rows of which every tenth is bad and every third is filtered.
func newRig(t *testing.T, steps string) *rig {
	t.Helper()
	r := &rig{dir: t.TempDir(), mem: memory.NewCheckedAllocator(memory.NewGoAllocator())}
	id := int64(0)
	for _, name := range []string{"a.csv", "b.csv"} {
		var b bytes.Buffer
		b.WriteString("id,zone,fare\n")
		for range rigRows {
			id++
			fare := fmt.Sprint(id % 3)
			if id%10 == 0 {
				fare = "bad"
				r.rejected++
			} else if id%3 != 0 {
				r.want = append(r.want, id)
			}
			fmt.Fprintf(&b, "%d,zone-%d,%s\n", id, id%7, fare)
		}
		r.write(t, "in/"+name, b.String())
	}
	r.pipeline = r.write(t, "p.yaml", `version: 1
name: faults
source: {uri: "s3://in/*.csv", format: csv}
schema: {columns: {id: int64, zone: string, fare: int32}}
errors: {quarantine: "s3://bad/"}
steps:
  - filter: fare > 0
`+steps+`
sink: {uri: "s3://out/data/", target_file_size: 1B}
`)
	return r
}

// partition makes the rig's a pipeline that writes a folder for each zone, or for each zone of the day: then no two attempts
// have a folder in common.
func (r *rig) partition(t *testing.T, by string) {
	t.Helper()
	text, err := os.ReadFile(r.pipeline)
	if err != nil {
		t.Fatal(err)
	}
	r.write(t, "p.yaml", strings.Replace(string(text), "target_file_size: 1B", "target_file_size: 1B, partition_by: ["+by+"]", 1))
	slices.SortStableFunc(r.want, func(a, b int64) int { return int(a%7 - b%7) })
}

func (r *rig) write(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(r.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// run carries out one run over the store that wrap makes.
func (r *rig) run(t *testing.T, ctx context.Context, wrap func(objstore.Store) objstore.Store) (*Receipt, error) {
	t.Helper()
	r.log.Reset()
	return r.attempt(t, ctx, hooks{store: wrap, blockRows: rigRow, mem: r.mem}, slog.New(slog.NewTextHandler(&r.log, nil)))
}

func (r *rig) attempt(t *testing.T, ctx context.Context, h hooks, log *slog.Logger) (*Receipt, error) {
	t.Helper()
	h.patience = cmp.Or(h.patience, time.Nanosecond) // others are dead, or stand still
	rec, err := Run(ctx, Options{Pipeline: r.pipeline, LocalRoot: r.dir, Lanes: 2, MemoryLimit: "1GiB", Version: "test",
		Getenv: r.env(), Stdin: strings.NewReader(""), Log: log, Force: r.force, test: h})
	if (err != nil) != (rec.Status == Failed) || (err != nil) != (rec.Error != nil) {
		t.Fatalf("error %v beside receipt %s", err, rec.JSON())
	}
	return rec, err
}

// env is an attempt's environment, which says what day it is.
func (r *rig) env() func(string) string {
	now := time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC).AddDate(0, 0, int(r.days.Add(1))).Format(time.RFC3339)
	return func(name string) string {
		if name == "SCHEDULED_TIME" {
			return now
		}
		return ""
	}
}

// clear removes what runs have left.
func (r *rig) clear(t *testing.T) {
	t.Helper()
	for _, d := range []string{"out", "bad"} {
		if err := os.RemoveAll(filepath.Join(r.dir, d)); err != nil {
			t.Fatal(err)
		}
	}
}

// files are the names below the output and the quarantine, hidden ones too.
func (r *rig) files(t *testing.T) (names []string) {
	t.Helper()
	for _, d := range []string{"out", "bad"} {
		err := filepath.WalkDir(filepath.Join(r.dir, d), func(path string, e fs.DirEntry, err error) error {
			if err == nil && !e.IsDir() {
				rel, _ := filepath.Rel(r.dir, path)
				names = append(names, "s3://"+rel)
			}
			return err
		})
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Fatal(err)
		}
	}
	return names
}

func (r *rig) manifests(t *testing.T) (n int) {
	for _, f := range r.files(t) {
		if strings.HasSuffix(f, "/manifest.json") {
			n++
		}
	}
	return n
}

// sealed reports whether an attempt has come as far as the entry of the log that commits.
func (r *rig) sealed(t *testing.T) bool {
	return slices.ContainsFunc(r.files(t), func(f string) bool {
		b, err := os.ReadFile(filepath.Join(r.dir, strings.TrimPrefix(f, "s3://")))
		return err == nil && strings.Contains(f, "/claim-") && bytes.Contains(b, []byte(`"manifest"`))
	})
}

// checkCommitted checks that the directory holds exactly what the receipt names, so that who lists the folders sees what who
// reads the manifest does, that no upload is open (it would be a hidden file), and that the rows are all there, once.
func (r *rig) checkCommitted(t *testing.T, rec *Receipt) {
	t.Helper()
	named := []string{rec.Manifest, strings.TrimSuffix(rec.Manifest, "manifest.json") + "report.html"}
	var ids []int64
	for _, f := range rec.Files {
		named = append(named, f.URI)
		ids = append(ids, r.ids(t, f.URI)...)
	}
	for _, f := range rec.Quarantine {
		named = append(named, f.URI)
	}
	slices.Sort(named)
	found := slices.DeleteFunc(r.files(t), func(f string) bool { // what attempts write for each other may stay
		return strings.Contains(f, "/claim-0") || strings.Contains(f, "/attempt-") && strings.HasSuffix(f, ".json")
	})
	slices.Sort(found)
	if !slices.Equal(named, found) {
		t.Errorf("the store has\n  %s\nthe receipt names\n  %s", strings.Join(found, "\n  "), strings.Join(named, "\n  "))
	}
	if !slices.Equal(ids, r.want) {
		t.Errorf("%d rows are there, want %d in the order of the input", len(ids), len(r.want))
	}
	if rec.Rows.Read != 2*rigRows || rec.Rows.Written != int64(len(r.want)) || rec.Rows.Rejected != r.rejected {
		t.Errorf("rows %+v", rec.Rows)
	}
}

// ids is the first column of a Parquet file.
func (r *rig) ids(t *testing.T, uri string) (ids []int64) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(r.dir, strings.TrimPrefix(uri, "s3://")))
	if err != nil {
		t.Fatal(err)
	}
	f, err := parquet.OpenFile(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	rows := make([]parquet.Row, f.NumRows())
	for _, g := range f.RowGroups() {
		rd := g.Rows()
		n, _ := rd.ReadRows(rows)
		for _, row := range rows[:n] {
			ids = append(ids, row[0].Int64())
		}
		rd.Close()
	}
	return ids
}

// TestFaultAtEveryCall fails call 0, 1, 2 … of the store, each in three ways. A run ends in an error without a manifest,
// or is committed; the next one commits, whatever the first left behind; the third finds it done.
func TestFaultAtEveryCall(t *testing.T) {
	for name, steps := range map[string]string{
		"rows":       "",
		"groups":     "  - aggregate: {by: [id], measures: {n: count(*), total: sum(fare)}}",
		"partitions": "  - filter: id > 0",
		"days":       "  - derive: {day: current_date}",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, steps)
			switch name {
			case "partitions":
				r.partition(t, "zone")
			case "days":
				r.partition(t, "day, zone")
			}
			defer r.mem.AssertSize(t, 0)
			count := &faultStore{at: -1}
			wrap := func(s objstore.Store) objstore.Store { count.Store = s; return count }
			rec, err := r.run(t, t.Context(), wrap)
			if err != nil {
				t.Fatal(err)
			}
			if len(rec.Files) < 3 || len(rec.Quarantine) != 1 {
				t.Fatalf("want several files and a quarantine: %s", rec.JSON())
			}
			r.checkCommitted(t, rec)
			failed, runs := 0, 0
			for at := range len(count.calls) {
				kinds := []fault{refused, lost, dead}
				if name == "groups" || name == "partitions" {
					kinds = kinds[at%3:][:1] // the store calls are the same: one of the ways each
				}
				for _, kind := range kinds {
					runs++
					if r.faultAt(t, at, kind) {
						failed++
					}
					if t.Failed() {
						t.Fatalf("call %d of %d %s\n%s", at, len(count.calls), kind, &r.log)
					}
				}
			}
			if failed < runs*2/3 {
				t.Errorf("only %d of %d faulted runs failed: are the faults seen?", failed, runs)
			}
		})
	}
}

// faultAt is one faulted run and the two after it; it says whether the first one failed.
func (r *rig) faultAt(t *testing.T, at int, kind fault) bool {
	t.Helper()
	r.clear(t)
	var s *faultStore
	rec, err := r.run(t, t.Context(), func(under objstore.Store) objstore.Store {
		s = &faultStore{Store: under, at: at, kind: kind}
		return s
	})
	name := "none"
	if at < len(s.calls) {
		name = s.calls[at]
	}
	where := fmt.Sprintf("%q %s", name, kind)
	published := strings.HasPrefix(name, "put ") && strings.HasSuffix(name, "/manifest.json") && kind == lost
	if err != nil {
		if fail.KindOf(err) != kind.err().Kind || !strings.Contains(err.Error(), kind.err().Error()) {
			t.Errorf("%s: the error is of kind %v and hides the cause: %v", where, fail.KindOf(err), err)
		}
		if n := r.manifests(t); (n > 0) != published {
			t.Errorf("%s: a failed run left %d manifests", where, n)
		}
	} else {
		r.checkCommitted(t, rec)
	}
	published = published || r.sealed(t)
	again, aerr := r.run(t, t.Context(), nil)
	if aerr != nil {
		t.Fatalf("%s: the next run failed: %v", where, aerr)
	}
	if want := map[bool]Status{true: AlreadyCommitted, false: Committed}[err == nil || published]; again.Status != want {
		t.Errorf("%s: the next run says %s, want %s", where, again.Status, want)
	}
	r.checkCommitted(t, again)
	third, terr := r.run(t, t.Context(), nil)
	if terr != nil || third.Status != AlreadyCommitted || fmt.Sprint(third.Files) != fmt.Sprint(again.Files) {
		t.Errorf("%s: the third run says %s, %v", where, third.JSON(), terr)
	}
	if t.Failed() {
		t.Logf("%s: first run: %v", where, err)
	}
	return err != nil
}
