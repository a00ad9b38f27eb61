package suite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sluice-data/sluice/bench"
	"github.com/sluice-data/sluice/bench/data"
	"github.com/sluice-data/sluice/bench/s3"
	"github.com/sluice-data/sluice/bench/workload"
)

// Remote is what workloads take from and to S3, beside the same from and to local files.
type Remote struct {
	Head
	Rows   int          `json:"rows"`   // of trips
	Server string       `json:"server"` // what it was
	Times  []RemoteTime `json:"times"`
	Tiny   float64      `json:"tiny_ms"` // a run over 1 KB of CSV into Parquet on S3, from exec to its end
}

// RemoteTime is a workload's.
type RemoteTime struct {
	Workload string    `json:"workload"`
	Title    string    `json:"title"`
	Local    Side      `json:"local"`
	S3       Side      `json:"s3"`
	Server   []float64 `json:"server_cpu_s"` // of the server in each of the runs on S3; 0 is not known
	Plain    []float64 `json:"plain_s"`      // getting the input over several connections and throwing it away, the worker idle
	PlainCPU []float64 `json:"plain_server_cpu_s"`
	Values   string    `json:"values"` // how what was committed on S3 compares with DuckDB's result
}

const (
	// remote are the workloads that are measured so.
	remote = "W1,W1gz,W2p,W4"
	// plainConns get an object the plain way.
	plainConns = 8
	tinyRuns   = 11
)

// RemoteOptions say against what.
type RemoteOptions struct {
	Only     string
	Endpoint string // of a server that runs; "" starts MinIO
	Bucket   string
	MinIO    string // its binary
	Dir      string // where it keeps its objects; "" is the suite's folder
	Apart    bool   // MinIO gets the last processor for itself, and the worker, also from local files, the others (Linux)
}

// OnS3 measures.
func OnS3(ctx context.Context, o Options, ro RemoteOptions) (out *Remote, err error) {
	s, err := open(ctx, o)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	if ro.Only == "" {
		ro.Only = remote
	}
	ws, err := workload.Pick(ro.Only)
	if err != nil {
		return nil, err
	}
	out = &Remote{Rows: o.Size.Trips, Server: "MinIO on the same machine"}
	command := []string{ro.MinIO}
	if ro.Apart {
		if command, s.Threads, err = apart(s.engines, command); err != nil {
			return nil, err
		}
		out.Server = fmt.Sprintf("MinIO on a processor of its own, the worker on %d other, also from local files", s.Threads)
	}
	var srv *s3.Server
	if ro.Endpoint != "" {
		out.Server = "a server that was there"
		srv, err = s3.Connect(ro.Endpoint, ro.Bucket)
	} else {
		dir := s.work
		if ro.Dir != "" {
			dir = ro.Dir
		}
		srv, err = s3.Start(ctx, dir, command...)
	}
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, srv.Close()) }()
	db, err := bench.OpenDuckDB(o.Threads)
	if err != nil {
		return nil, err
	}
	defer db.Close()
	for _, w := range ws {
		t, err := s.remote(ctx, srv, db, w)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", w.Name, err)
		}
		out.Times = append(out.Times, t)
	}
	out.Tiny, err = s.remoteTiny(ctx, srv)
	return out, err
}

// apart gives the server's command the last processor and the worker the others, and says how many these are.
func apart(e *engines, server []string) (command []string, threads int, err error) {
	last := runtime.NumCPU() - 1
	if last < 1 {
		return nil, 0, errors.New("a server of its own takes two processors")
	}
	if _, err := exec.LookPath("taskset"); err != nil {
		return nil, 0, fmt.Errorf("share the processors out: %w (util-linux has it)", err)
	}
	e.pin = []string{"taskset", "-c", fmt.Sprintf("0-%d", last-1)}
	e.threads = last
	return append([]string{"taskset", "-c", strconv.Itoa(last)}, server...), last, nil
}

// remote runs a workload from local files and from S3 in turn, and compares the values of the last run on S3.
func (s *session) remote(ctx context.Context, srv *s3.Server, db *sql.DB, w workload.Workload) (t RemoteTime, err error) {
	t.Workload, t.Title = w.Name, w.Title
	in, err := s.store.Get(ctx, w.Set)
	if err != nil {
		return t, err
	}
	if err := warm(in.Path); err != nil {
		return t, err
	}
	key := "in/" + filepath.Base(in.Path)
	if err := srv.Put(ctx, key, in.Path); err != nil {
		return t, err
	}
	lanes := []string{"--lanes", strconv.Itoa(s.Threads)}
	var last result
	for run := range s.Runs {
		before := srv.CPU()
		took, err := srv.Read(ctx, key, in.Bytes, plainConns)
		if err != nil {
			return t, err
		}
		t.Plain, t.PlainCPU = append(t.Plain, round(took.Seconds())), append(t.PlainCPU, round(srv.CPU()-before))
		turns := []func() error{
			func() error {
				r, err := s.sluice(ctx, w, in, lanes, s.procs())
				if err == nil {
					t.Local.add(r)
				}
				return err
			},
			func() error {
				before := srv.CPU()
				r, err := s.onS3(ctx, srv, w, key, in, lanes, s.procs())
				if err == nil {
					last = r
					t.S3.add(r)
					t.Server = append(t.Server, round(srv.CPU()-before))
				}
				return err
			},
		}
		if run%2 == 1 {
			slices.Reverse(turns)
		}
		for _, turn := range turns {
			if err := turn(); err != nil {
				return t, err
			}
		}
		fmt.Fprintf(s.Log, "%-4s run %d of %d: local %.2f s, S3 %.2f s, plain reading %.2f s\n", w.Name, run+1, s.Runs, t.Local.Wall[run], t.S3.Wall[run], t.Plain[run])
	}
	if t.Values, err = s.valuesOnS3(ctx, srv, db, w, in, last); err != nil {
		return t, fmt.Errorf("the result on S3 differs: %w", err)
	}
	fmt.Fprintf(s.Log, "%-4s values: %s\n", w.Name, t.Values)
	return t, nil
}

// valuesOnS3 gets what a run has committed there and holds it to DuckDB's result over the local input.
func (s *session) valuesOnS3(ctx context.Context, srv *s3.Server, db *sql.DB, w workload.Workload, in data.File, r result) (v string, err error) {
	dir := filepath.Join(s.work, "from-s3")
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	for _, uri := range r.files {
		name, ok := strings.CutPrefix(uri, r.out)
		if !ok {
			return "", fmt.Errorf("%s is not below %s", uri, r.out)
		}
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return "", err
		}
		if err := srv.Get(ctx, uri, path); err != nil {
			return "", err
		}
	}
	r.out = dir
	return verdict(ctx, db, w, in.Path, "("+w.Query(in.Path)+")", r.output(w))
}

// onS3 is sluice from the object key and to a prefix of its own.
func (s *session) onS3(ctx context.Context, srv *s3.Server, w workload.Workload, key string, in data.File, more []string, env ...string) (result, error) {
	out := srv.URI("out/" + w.Name + "-" + strconv.FormatInt(time.Now().UnixNano(), 36) + "/")
	file, err := s.pipelineFile(w, out)
	if err != nil {
		return result{}, err
	}
	args := []string{s.worker, "run", "-p", file, "--input", srv.URI(key), "--output", out, "--path-style", "--tmp-dir", s.work, "--progress", "off"}
	r, err := s.measureRun(ctx, append(args, more...), in, append(srv.Env(), env...)...)
	r.out = out
	return r, err
}

// remoteTiny is the median of short runs from and to S3.
func (s *session) remoteTiny(ctx context.Context, srv *s3.Server) (float64, error) {
	in, w, err := s.tiny()
	if err != nil {
		return 0, err
	}
	if err := srv.Put(ctx, "in/tiny.csv", in.Path); err != nil {
		return 0, err
	}
	var took []float64
	for range tinyRuns {
		r, err := s.onS3(ctx, srv, w, "in/tiny.csv", in, nil)
		if err != nil {
			return 0, err
		}
		took = append(took, milliseconds(r.usage.Wall))
	}
	return median(took), nil
}

// Markdown writes what was measured.
func (r *Remote) Markdown(b *strings.Builder) {
	fmt.Fprintf(b, "```\n%s\n```\n\n%s: %d rows of trips, %s. %s\n\n", r.Command, r.Date, r.Rows, r.Server, r.Machine)
	t := table{left: 2, head: []string{"workload", "", "local s", "S3 s", "S3 ÷ local", "local CPU s", "S3 CPU s", "S3 ÷ local", "server's CPU s", "plain GET s", "its server CPU s", "values"}}
	for _, w := range r.Times {
		t.add(w.Workload, w.Title, fmt.Sprintf("%.2f", median(w.Local.Wall)), fmt.Sprintf("%.2f", median(w.S3.Wall)), ratio(median(w.S3.Wall), median(w.Local.Wall)),
			fmt.Sprintf("%.2f", median(w.Local.CPU)), fmt.Sprintf("%.2f", median(w.S3.CPU)), ratio(median(w.S3.CPU), median(w.Local.CPU)),
			fmt.Sprintf("%.2f", median(w.Server)), fmt.Sprintf("%.2f", median(w.Plain)), fmt.Sprintf("%.2f", median(w.PlainCPU)), w.Values)
	}
	t.markdown(b)
	fmt.Fprintf(b, "\nCPU is the worker's own. A server on the same machine takes its own beside it. \"Plain GET\" reads the input over %d connections "+
		"and throws it away, with no worker beside. Values are those of the files on S3, held to DuckDB's result. 1 KB of CSV on S3 to committed Parquet there: %.1f ms from exec to the end (median of %d runs).\n", plainConns, r.Tiny, tinyRuns)
}
