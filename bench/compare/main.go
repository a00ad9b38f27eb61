// Command compare runs the demo pipeline by the worker of this checkout and the same query by DuckDB, in turn, over one large
// CSV.gz, and prints what both took. It fails if their results differ.
//
//	go run ./compare -mb 1000
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"time"

	"github.com/sluice-data/sluice/bench"
)

type options struct {
	mb, runs, threads int
	cache, root       string
}

func main() {
	if len(os.Args) > 1 && os.Args[1] == peerCommand {
		exit(peer(context.Background(), os.Args[2:]))
	}
	var o options
	flag.IntVar(&o.mb, "mb", 1000, "megabytes (10^6 bytes) of CSV before compression, at least")
	flag.IntVar(&o.runs, "runs", 3, "runs of each engine")
	flag.IntVar(&o.threads, "threads", bench.Threads, "threads of DuckDB, lanes of the worker")
	flag.StringVar(&o.cache, "cache", filepath.Join(os.TempDir(), "sluice-bench"), "folder to keep the input in")
	flag.StringVar(&o.root, "root", "..", "the checkout")
	flag.Parse()
	exit(compare(context.Background(), os.Stdout, o))
}

func exit(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "compare:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

// peerCommand as the first argument makes this program run DuckDB alone: its memory is then its own.
const peerCommand = "duckdb"

func peer(ctx context.Context, args []string) error {
	if len(args) != 3 {
		return errors.New("want input, output, threads")
	}
	threads, err := strconv.Atoi(args[2])
	if err != nil {
		return err
	}
	db, err := bench.OpenDuckDB(threads)
	if err != nil {
		return err
	}
	defer db.Close()
	_, err = db.ExecContext(ctx, "COPY ("+bench.DemoSQL(args[0])+") TO "+bench.Quote(args[1])+" (FORMAT parquet, COMPRESSION zstd)")
	return err
}

// engine is one of the two and what its runs took.
type engine struct {
	name string
	args func(run int) (command []string, result string) // result is a glob of Parquet files
	took []bench.Usage
}

func compare(ctx context.Context, w io.Writer, o options) error {
	dir, err := os.MkdirTemp("", "sluice-compare-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	worker := filepath.Join(dir, "worker")
	if err := bench.BuildWorker(ctx, o.root, worker); err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	in, err := bench.MakeInput(o.root, o.cache, int64(o.mb)*1e6)
	if err != nil {
		return fmt.Errorf("make input: %w", err)
	}
	engines := []*engine{
		{name: "Sluice", args: func(run int) ([]string, string) {
			out := filepath.Join(dir, fmt.Sprint("out", run))
			return []string{worker, "run", "-p", filepath.Join(o.root, "testdata", "demo", "strikes.yaml"), "--input", in.Path, "--local-root", dir,
				"--output", out + "/", "--lanes", strconv.Itoa(o.threads), "--progress", "off"}, filepath.Join(out, "part-*.parquet")
		}},
		{name: "DuckDB", args: func(run int) ([]string, string) {
			out := filepath.Join(dir, fmt.Sprintf("duckdb%d.parquet", run))
			return []string{self, peerCommand, in.Path, out, strconv.Itoa(o.threads)}, out
		}},
	}
	results := map[string]string{}
	for run := range o.runs {
		order := slices.Clone(engines)
		if run%2 == 1 {
			slices.Reverse(order) // whoever goes second finds the machine warmer
		}
		for _, e := range order {
			command, result := e.args(run)
			u, err := bench.Measure(ctx, command)
			if err != nil {
				return fmt.Errorf("%s: %w", e.name, err)
			}
			e.took = append(e.took, u)
			results[e.name] = result
		}
	}
	groups, err := sameResult(ctx, results["DuckDB"], results["Sluice"])
	if err != nil {
		return err
	}
	return report(w, o, in, engines, groups)
}

// sameResult compares two results of the demo and counts their rows.
func sameResult(ctx context.Context, want, got string) (int, error) {
	db, err := bench.OpenDuckDB(1)
	if err != nil {
		return 0, err
	}
	defer db.Close()
	var tables []*bench.Table
	for _, files := range []string{want, got} {
		t, err := bench.Query(ctx, db, "SELECT * FROM read_parquet("+bench.Quote(files)+") ORDER BY state, year")
		if err != nil {
			return 0, err
		}
		tables = append(tables, t)
	}
	if diff := bench.Diff(tables[0], tables[1], bench.FloatSums); diff != "" {
		return 0, fmt.Errorf("the results differ: %s", diff)
	}
	return len(tables[0].Rows), nil
}

func report(w io.Writer, o options, in bench.Input, engines []*engine, groups int) error {
	fmt.Fprintf(w, "demo pipeline over %d rows, %.0f MB of CSV (%.0f MB gzip), %d threads, %d runs in turn, medians; %d groups, equal in value\n\n",
		in.Rows, float64(in.Bytes)/1e6, float64(in.Compressed)/1e6, o.threads, o.runs, groups)
	fmt.Fprint(w, "| engine          | seconds | CPU seconds | million rows/s | MB/s of CSV | peak RSS MiB |\n|-----------------|--------:|------------:|---------------:|------------:|-------------:|\n")
	row := func(name, numbers string, values ...any) {
		fmt.Fprintf(w, "| %-15s | "+numbers+" |\n", append([]any{name}, values...)...)
	}
	var medians []bench.Usage
	for _, e := range engines {
		m := bench.Median(e.took)
		medians = append(medians, m)
		s := m.Wall.Seconds()
		row(e.name, "%7.2f | %11.2f | %14.2f | %11.0f | %12.0f", s, m.CPU.Seconds(), float64(in.Rows)/s/1e6, float64(in.Bytes)/s/1e6, float64(m.Peak)/(1<<20))
	}
	ours, theirs := medians[0], medians[1]
	row("DuckDB / Sluice", "%7.2f | %11.2f | %14.2f | %11.2f | %12.2f", theirs.Wall.Seconds()/ours.Wall.Seconds(), theirs.CPU.Seconds()/ours.CPU.Seconds(),
		ours.Wall.Seconds()/theirs.Wall.Seconds(), ours.Wall.Seconds()/theirs.Wall.Seconds(), float64(theirs.Peak)/float64(ours.Peak))
	fmt.Fprintln(w)
	for _, e := range engines {
		fmt.Fprintf(w, "- %s, run by run:", e.name)
		for _, u := range e.took {
			fmt.Fprintf(w, " %.2f s", u.Wall.Seconds())
		}
		fmt.Fprintln(w)
	}
	fmt.Fprintf(w, "\n%s, %s\n", time.Now().Format(time.DateOnly), bench.Machine())
	if runtime.GOOS != "linux" {
		fmt.Fprintln(w, "peak RSS is only measured on Linux")
	}
	return nil
}
