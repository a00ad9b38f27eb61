// Package suite measures workloads by the worker and by DuckDB in turn, holds their results to each other, and keeps the numbers.
package suite

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/sluice-data/sluice/bench"
	"github.com/sluice-data/sluice/bench/data"
	"github.com/sluice-data/sluice/bench/workload"
)

// Options say what is measured and where.
type Options struct {
	Root    string // the checkout
	Worker  string // the binary; "" is one that is built from Root
	Data    string // folder for inputs, kept for the next time, and for what the runs write, removed
	Size    data.Size
	Runs    int
	Threads int
	Budget  time.Duration // no further run of a workload is begun after that long
	Discard int64         // inputs larger than that, in bytes, are removed after their last workload; 0 is none
	Allocs  bool          // run each workload that is not too long once more, to count allocations
	Log     io.Writer     // progress
}

// Result is what is known of one workload.
type Result struct {
	Workload string  `json:"workload"`
	Title    string  `json:"title"`
	Set      string  `json:"set"`
	Rows     int64   `json:"rows"`
	Text     int64   `json:"text_bytes"`
	Worker   Side    `json:"worker"`
	DuckDB   Side    `json:"duckdb"`
	Allocs   *Allocs `json:"allocs,omitempty"`
	Stages   *Stages `json:"stages,omitempty"` // of the last run
	Values   string  `json:"values,omitempty"` // how the results compare
	Beside   string  `json:"beside,omitempty"` // the workload whose time this one's is set against
	Failed   string  `json:"failed,omitempty"` // why this is no result
	Of       string  `json:"of,omitempty"`     // date and machine, where they are not the record's
}

// Side is one engine's runs, in their order.
type Side struct {
	Wall   []float64 `json:"wall_s"`
	CPU    []float64 `json:"cpu_s"`
	Peak   []int64   `json:"peak_bytes"`
	Out    int64     `json:"out_bytes"`
	Files  int       `json:"out_files,omitempty"`
	Failed string    `json:"failed,omitempty"` // DuckDB alone: the worker's failure is the workload's
}

func (s *Side) add(r result) {
	s.Wall = append(s.Wall, round(r.usage.Wall.Seconds()))
	s.CPU = append(s.CPU, round(r.usage.CPU().Seconds()))
	s.Peak = append(s.Peak, r.usage.Peak)
	s.Out, s.Files = r.bytes, r.parts
}

// round is to the millisecond: what is below is noise.
func round(s float64) float64 {
	f, err := strconv.ParseFloat(strconv.FormatFloat(s, 'f', 3, 64), 64)
	if err != nil {
		return s
	}
	return f
}

// Stages is where the time of a run of the worker went, as its receipt has it.
type Stages struct {
	BoundBy string               `json:"bound_by,omitempty"`
	Times   map[string]StageTime `json:"times"`
}

// StageTime is the seconds of one stage, over all lanes.
type StageTime struct {
	Busy float64 `json:"busy_s"`
	Wait float64 `json:"wait_s"`
}

// readStages reads the receipt's stages; nil where it has none.
func readStages(text json.RawMessage) *Stages {
	var fields map[string]json.RawMessage
	if len(text) == 0 || json.Unmarshal(text, &fields) != nil {
		return nil
	}
	s := &Stages{Times: map[string]StageTime{}}
	for name, value := range fields {
		var t StageTime
		if json.Unmarshal(value, &t) == nil {
			s.Times[name] = StageTime{round(t.Busy), round(t.Wait)}
		} else {
			s.BoundBy = strings.Trim(string(value), `"`)
		}
	}
	return s
}

// maxAllocs is how long a run may take to be worth another one for its allocations.
const maxAllocs = 30 * time.Second

// session is a folder to work in, the engines and the inputs.
type session struct {
	Options
	*engines
	store *data.Store
	close func() error
}

// open makes a session. The caller closes it.
func open(ctx context.Context, o Options) (*session, error) {
	dir, err := filepath.Abs(o.Data)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	work, err := os.MkdirTemp(dir, "work-")
	if err != nil {
		return nil, err
	}
	e, err := newEngines(ctx, o, work)
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(work))
	}
	duck := func(ctx context.Context, sql string) error { _, err := e.statement(ctx, "", sql); return err }
	return &session{Options: o, engines: e, close: func() error { return os.RemoveAll(work) },
		store: &data.Store{Dir: dir, Root: o.Root, Size: o.Size, DuckDB: duck, Log: o.Log}}, nil
}

// Run measures the workloads one after the other. One that fails has its reason in its result, and the others are measured all the same; the error is of
// what makes further measuring senseless.
func Run(ctx context.Context, o Options, ws []workload.Workload) (out []Result, err error) {
	s, err := open(ctx, o)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	db, err := bench.OpenDuckDB(o.Threads)
	if err != nil {
		return nil, err
	}
	defer db.Close()
	if _, err := db.ExecContext(ctx, "SET temp_directory = "+bench.Quote(filepath.Join(s.work, "compare-spill"))+"; SET preserve_insertion_order = false"); err != nil {
		return nil, err
	}
	for i, w := range ws {
		r := Result{Workload: w.Name, Title: w.Title, Set: w.Set, Beside: w.Beside}
		if err := s.measure(ctx, db, w, &r); err != nil {
			if ctx.Err() != nil {
				return out, ctx.Err()
			}
			r.Failed = firstLines(strings.ReplaceAll(err.Error(), s.store.Dir+"/", ""))
			fmt.Fprintf(o.Log, "%s: FAILED: %v\n", w.Name, err)
		}
		out = append(out, r)
		if err := s.discard(ws[i+1:], w.Set); err != nil {
			return out, err
		}
	}
	return out, nil
}

// measure fills r.
func (s *session) measure(ctx context.Context, db *sql.DB, w workload.Workload, r *Result) error {
	in, err := s.store.Get(ctx, w.Set)
	if err != nil {
		return err
	}
	if w.Ref != "" {
		ref, err := s.store.Get(ctx, w.Ref)
		if err != nil {
			return err
		}
		w.RefPath = ref.Path
	}
	r.Rows, r.Text = in.Rows, in.Text
	if err := warm(in.Path); err != nil {
		return err
	}
	var ours, theirs result
	begin := time.Now()
	for run := 0; run < s.Runs && (run == 0 || time.Since(begin) < s.Budget); run++ {
		turns := []func() error{
			func() (err error) {
				if ours, err = s.sluice(ctx, w, in, []string{"--lanes", strconv.Itoa(s.Threads)}, s.procs()); err == nil {
					r.Worker.add(ours)
				}
				return err
			},
			func() error { return s.peerTurn(ctx, w, in, r, &theirs) },
		}
		if run%2 == 1 { // whoever goes second finds the machine warmer
			turns[0], turns[1] = turns[1], turns[0]
		}
		for _, turn := range turns {
			if err := turn(); err != nil {
				return err
			}
		}
		fmt.Fprintf(s.Log, "%-8s run %d of %d: worker %6.2f s, DuckDB %s\n", w.Name, run+1, s.Runs, r.Worker.Wall[run], r.DuckDB.last())
	}
	r.Stages = readStages(ours.stage)
	source := ""
	if r.DuckDB.Failed == "" {
		source = theirs.output(w)
	}
	begin = time.Now()
	if r.Values, err = verdict(ctx, db, w, in.Path, source, ours.output(w)); err != nil {
		return fmt.Errorf("the results differ: %w", err)
	}
	fmt.Fprintf(s.Log, "%-8s values: %s (%.1f s)\n", w.Name, r.Values, time.Since(begin).Seconds())
	if s.Allocs && ours.usage.Wall < maxAllocs {
		a, err := s.allocations(ctx, w, in)
		if err != nil {
			return err
		}
		r.Allocs = &a
	}
	return errors.Join(os.RemoveAll(ours.out), os.RemoveAll(theirs.out))
}

// peerTurn is a run of DuckDB. That it cannot do a workload inside a limit is a result, too; without a limit it is a fault of ours.
func (s *session) peerTurn(ctx context.Context, w workload.Workload, in data.File, r *Result, theirs *result) error {
	if r.DuckDB.Failed != "" {
		return nil
	}
	got, err := s.duckdb(ctx, w, in)
	switch {
	case err == nil:
		*theirs = got
		r.DuckDB.add(got)
	case w.Memory != "" && ctx.Err() == nil && strings.Contains(err.Error(), "Out of Memory"):
		r.DuckDB = Side{Failed: "out of memory"}
	default:
		return fmt.Errorf("DuckDB: %w", err)
	}
	return nil
}

func (s Side) last() string {
	if s.Failed != "" {
		return s.Failed
	}
	return fmt.Sprintf("%6.2f s", s.Wall[len(s.Wall)-1])
}

// discard removes an input that is larger than the options allow, if none of the workloads to come reads it or what is made of it.
func (s *session) discard(rest []workload.Workload, name string) error {
	if s.Discard == 0 {
		return nil
	}
	for _, w := range rest {
		for n := w.Set; n != ""; {
			if n == name {
				return nil
			}
			set, err := data.Find(n)
			if err != nil {
				return err
			}
			n = set.From
		}
	}
	if f, ok := s.store.Has(name); ok && f.Bytes > s.Discard {
		fmt.Fprintf(s.Log, "removing %s (%d MB)\n", name, f.Bytes/1e6)
		return s.store.Discard(name)
	}
	return nil
}

// warm reads the files once, so that both engines find them in the page cache.
func warm(glob string) error {
	files, err := filepath.Glob(glob)
	if err != nil {
		return err
	}
	for _, name := range files {
		f, err := os.Open(name)
		if err != nil {
			return err
		}
		_, err = io.Copy(io.Discard, f)
		f.Close()
		if err != nil {
			return err
		}
	}
	return nil
}

// firstLines is the beginning of a message, on one line.
func firstLines(s string) string {
	s = strings.Join(strings.Fields(s), " ")
	if len(s) > 400 {
		s = strings.ToValidUTF8(s[:400], "") + " …"
	}
	return s
}
