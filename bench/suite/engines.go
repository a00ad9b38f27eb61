package suite

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sluice-data/sluice/bench"
	"github.com/sluice-data/sluice/bench/data"
	"github.com/sluice-data/sluice/bench/workload"
)

// PeerCommand as the first argument makes the program run DuckDB alone, in a process whose memory is its own.
const PeerCommand = "duckdb"

// Peer executes a statement: threads, memory limit or "", folder for what does not fit, and the SQL.
func Peer(ctx context.Context, args []string) error {
	if len(args) != 4 {
		return errors.New("want threads, memory limit, folder, SQL")
	}
	threads, err := strconv.Atoi(args[0])
	if err != nil {
		return err
	}
	db, err := bench.OpenDuckDB(threads)
	if err != nil {
		return err
	}
	defer db.Close()
	if args[1] != "" {
		if _, err := db.ExecContext(ctx, "SET memory_limit = "+bench.Quote(args[1])); err != nil {
			return err
		}
	}
	if _, err := db.ExecContext(ctx, "SET temp_directory = "+bench.Quote(args[2])); err != nil {
		return err
	}
	_, err = db.ExecContext(ctx, args[3])
	return err
}

// maxRun is when a run is given up.
const maxRun = 15 * time.Minute

// engines are the two programs and what they are given.
type engines struct {
	worker, self string
	work         string   // folder for what they write
	pin          []string // what runs the worker on processors of its own; nil for all of them
	root         string   // the checkout
	threads      int
}

// newEngines has the worker built into the folder work, if none is given.
func newEngines(ctx context.Context, o Options, work string) (*engines, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	e := &engines{worker: o.Worker, self: self, work: work, root: o.Root, threads: o.Threads}
	if e.worker != "" {
		return e, nil
	}
	e.worker = filepath.Join(work, "worker")
	fmt.Fprintln(o.Log, "building the worker")
	return e, bench.BuildWorker(ctx, o.Root, e.worker)
}

// result is what a run took and left.
type result struct {
	usage bench.Usage
	out   string   // the folder it wrote to
	files []string // URIs of what was committed
	bytes int64    // of its Parquet files
	parts int      // how many those are
	stage json.RawMessage
}

// procs is the environment that holds a Go program to the threads that both get.
func (e *engines) procs() string { return "GOMAXPROCS=" + strconv.Itoa(e.threads) }

// sluice runs the workload by the worker. more are further flags, env further variables.
func (e *engines) sluice(ctx context.Context, w workload.Workload, in data.File, more []string, env ...string) (result, error) {
	r := result{out: filepath.Join(e.work, "sluice")}
	if err := os.RemoveAll(r.out); err != nil {
		return r, err
	}
	file, err := e.pipelineFile(w, r.out+"/")
	if err != nil {
		return r, err
	}
	args := []string{e.worker, "run", "-p", file, "--input", in.Path, "--output", r.out + "/", "--local-root", e.work, "--tmp-dir", e.work, "--progress", "off"}
	if w.Memory != "" {
		args = append(args, "--memory-limit", w.Memory)
	}
	in.Rows *= int64(1 + w.Again)
	out := r.out
	if r, err = e.measureRun(ctx, append(args, more...), in, env...); err != nil {
		return r, err
	}
	r.out = out
	r.bytes, r.parts, err = parquetFiles(r.out)
	return r, err
}

// pipelineFile is the workload's, or one that is made of it and writes to out.
func (e *engines) pipelineFile(w workload.Workload, out string) (string, error) {
	if w.File != "" {
		return filepath.Join(e.root, w.File), nil
	}
	file := filepath.Join(e.work, "pipeline.yaml")
	return file, os.WriteFile(file, []byte(w.Pipeline(out)), 0o644)
}

// measureRun is a run of the worker that has to commit all rows of in.
func (e *engines) measureRun(ctx context.Context, command []string, in data.File, env ...string) (r result, err error) {
	ctx, cancel := context.WithTimeout(ctx, maxRun)
	defer cancel()
	var out []byte
	r.usage, out, err = bench.Measure(ctx, append(slices.Clone(e.pin), command...), env...)
	receipt, parseErr := bench.ParseReceipt(out)
	switch {
	case err != nil && parseErr == nil && receipt.Error != nil:
		return r, fmt.Errorf("worker: %s: %s", receipt.Error.Kind, receipt.Error.Message)
	case err != nil:
		return r, err
	case parseErr != nil:
		return r, parseErr
	}
	if receipt.Status != "committed" || receipt.Rows.Read != in.Rows {
		return r, fmt.Errorf("receipt: %s, %d rows read, want %d", receipt.Status, receipt.Rows.Read, in.Rows)
	}
	r.stage, r.bytes = receipt.Stages, receipt.Bytes.Written
	for _, f := range receipt.Files {
		r.files = append(r.files, f.URI)
	}
	return r, nil
}

// duckdb runs the workload by DuckDB.
func (e *engines) duckdb(ctx context.Context, w workload.Workload, in data.File) (result, error) {
	r := result{out: filepath.Join(e.work, "duckdb")}
	if err := os.RemoveAll(r.out); err != nil {
		return r, err
	}
	out := r.out
	if w.Partition == "" { // a file needs its folder, a partitioned write makes it
		if err := os.Mkdir(r.out, 0o755); err != nil {
			return r, err
		}
		out = filepath.Join(r.out, "part.parquet")
	}
	ctx, cancel := context.WithTimeout(ctx, maxRun)
	defer cancel()
	var err error
	if r.usage, err = e.statement(ctx, w.Memory, w.Copy(in.Path, out)); err != nil {
		return r, err
	}
	r.bytes, r.parts, err = parquetFiles(r.out)
	return r, err
}

// statement has DuckDB execute SQL in a process of its own.
func (e *engines) statement(ctx context.Context, memory, sql string) (bench.Usage, error) {
	spill := filepath.Join(e.work, "duckdb-spill")
	u, _, err := bench.Measure(ctx, []string{e.self, PeerCommand, strconv.Itoa(e.threads), memory, spill, sql}, e.procs())
	return u, errors.Join(err, os.RemoveAll(spill))
}

// output is the table expression over what a run wrote.
func (r result) output(w workload.Workload) string {
	if w.Partition != "" {
		return w.Output(filepath.Join(r.out, w.Partition+"=*", "*.parquet"))
	}
	return w.Output(filepath.Join(r.out, "*.parquet"))
}

// parquetFiles is the size and number of all Parquet files of a folder and its folders.
func parquetFiles(dir string) (n int64, files int, err error) {
	err = filepath.Walk(dir, func(path string, info os.FileInfo, err error) error {
		if err == nil && strings.HasSuffix(path, ".parquet") {
			n += info.Size()
			files++
		}
		return err
	})
	return n, files, err
}

// Allocs is what a run allocated on the Go heap, from the samples of its heap profile (one for each 512 KiB).
type Allocs struct {
	Objects, Bytes int64
}

// allocations runs the workload once more with --profile and reads what it allocated.
func (e *engines) allocations(ctx context.Context, w workload.Workload, in data.File) (a Allocs, err error) {
	dir := filepath.Join(e.work, "profile")
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	if _, err := e.sluice(ctx, w, in, []string{"--lanes", strconv.Itoa(e.threads), "--profile", dir}, e.procs()); err != nil {
		return a, err
	}
	for index, to := range map[string]*int64{"alloc_objects": &a.Objects, "alloc_space": &a.Bytes} {
		out, err := exec.CommandContext(ctx, "go", "tool", "pprof", "-sample_index="+index, "-unit=B", "-nodecount=1", "-top", filepath.Join(dir, "heap.pprof")).Output()
		if err != nil {
			return a, fmt.Errorf("read heap profile: %w", err)
		}
		if *to, err = profileTotal(string(out)); err != nil {
			return a, err
		}
	}
	return a, nil
}

// profileTotal is N of pprof's line "Showing nodes accounting for …, …% of N total".
func profileTotal(top string) (int64, error) {
	line, _, ok := strings.Cut(top, " total")
	if !ok {
		return 0, fmt.Errorf("read heap profile: no total in %q", top)
	}
	fields := strings.Fields(line)
	return strconv.ParseInt(strings.TrimSuffix(fields[len(fields)-1], "B"), 10, 64)
}
