// Command run is the benchmark suite.
//
//	go run ./run table                 measure the workloads by the worker and DuckDB, compare their values, print the table
//	go run ./run scaling               measure the worker over lanes and rows, and its start
//	go run ./run s3                    measure the worker from and to S3 beside local files
//	go run ./run peers FILE            record the medians of other engines from a CSV
//	go run ./run render                write RESULTS.md and the tables of docs/performance.md from what is recorded
//
// It is run from the folder bench. Each command lists its flags with -h.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/sluice-data/sluice/bench"
	"github.com/sluice-data/sluice/bench/suite"
	"github.com/sluice-data/sluice/bench/workload"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:])
	stop()
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	if len(args) == 0 {
		return errors.New("which command: table, scaling, s3, peers or render?")
	}
	switch name, args := args[0], args[1:]; name {
	case suite.PeerCommand:
		return suite.Peer(ctx, args)
	case "table":
		return table(ctx, args)
	case "scaling":
		return scaling(ctx, args)
	case "s3":
		return remote(ctx, args)
	case "peers":
		return peers(ctx, args)
	case "render":
		return render(root)
	default:
		return fmt.Errorf("no command %q: table, scaling, s3, peers or render", name)
	}
}

const root = ".." // the checkout, seen from the folder bench

// flags are those that commands share.
type flags struct {
	*flag.FlagSet
	o      suite.Options
	record string
	gb     float64
}

func newFlags(name string, rows int) *flags {
	f := &flags{FlagSet: flag.NewFlagSet(name, flag.ContinueOnError)}
	f.o = suite.Options{Root: root, Log: os.Stderr}
	f.StringVar(&f.o.Data, "data", filepath.Join(root, ".cache", "bench"), "folder for inputs, which are kept, and outputs, which are not")
	f.StringVar(&f.o.Worker, "worker", "", "the worker's binary (default: built from this checkout)")
	f.IntVar(&f.o.Size.Trips, "rows", rows, "rows of trips; the other inputs follow")
	f.IntVar(&f.o.Runs, "runs", 3, "runs of each engine")
	f.IntVar(&f.o.Threads, "threads", bench.Threads, "threads of DuckDB; lanes and GOMAXPROCS of the worker")
	f.Float64Var(&f.gb, "discard-over", 4, "remove inputs of more than that many GB when they are done with; 0 keeps all")
	f.StringVar(&f.record, "record", "", "keep the numbers under that name and write RESULTS.md anew")
	return f
}

// parse reads the flags and whether there is work to do with them.
func (f *flags) parse(args []string) error {
	if err := f.Parse(args); err != nil {
		return err
	}
	if f.NArg() > 0 {
		return fmt.Errorf("%s: what is %q?", f.Name(), f.Arg(0))
	}
	if f.o.Size.Trips < 1 || f.o.Runs < 1 || f.o.Threads < 1 {
		return fmt.Errorf("%s: rows, runs and threads are at least 1", f.Name())
	}
	f.o.Discard = int64(f.gb * 1e9)
	if f.record != "" && f.o.Worker != "" {
		return fmt.Errorf("%s: what is recorded is of this checkout: leave -worker out", f.Name())
	}
	return nil
}

// command is how the numbers were made, without what differs from one machine to another.
func (f *flags) command() string {
	parts := []string{"cd bench && go run ./run " + f.Name()}
	f.Visit(func(fl *flag.Flag) {
		if fl.Name != "data" && fl.Name != "record" && fl.Name != "worker" && fl.Name != "minio" && fl.Name != "minio-dir" && fl.Name != "endpoint" && fl.Name != "bucket" {
			between := " "
			if b, ok := fl.Value.(interface{ IsBoolFlag() bool }); ok && b.IsBoolFlag() {
				between = "=" // package flag takes no other way
			}
			parts = append(parts, "-"+fl.Name+between+fl.Value.String())
		}
	})
	return strings.Join(parts, " ")
}

func table(ctx context.Context, args []string) error {
	f := newFlags("table", 1_000_000)
	f.IntVar(&f.o.Size.Wide, "wide-rows", 0, "rows of the input of 1,000 columns (default one for 50 of trips)")
	f.DurationVar(&f.o.Budget, "budget", time.Minute, "begin no further run of a workload after that long")
	f.BoolVar(&f.o.Allocs, "allocs", true, "run each workload of less than 30 s once more with --profile, to count allocations")
	only := f.String("only", "", "these workloads, comma between them")
	if err := f.parse(args); err != nil {
		return err
	}
	if f.record != "" && f.record != "laptop" && f.record != "large" {
		return fmt.Errorf("table: -record is laptop or large, not %q", f.record)
	}
	ws, err := workload.Pick(*only)
	if err != nil {
		return err
	}
	var kept *suite.Record // whose other results stay as they are
	if f.record != "" && *only != "" {
		old, err := suite.Load(records(root))
		if err != nil {
			return err
		}
		if kept = map[string]*suite.Record{"laptop": old.Laptop, "large": old.Large}[f.record]; kept != nil && kept.Size != f.o.Size {
			return fmt.Errorf("table: %s is recorded over %d rows: some of its workloads cannot be recorded over %d", f.record, kept.Size.Trips, f.o.Size.Trips)
		}
	}
	rec := suite.Record{Head: suite.NewHead(f.command(), bench.ThisMachine(ctx, root)), Size: f.o.Size, Threads: f.o.Threads}
	if rec.Results, err = suite.Run(ctx, f.o, ws); err != nil {
		return err
	}
	fmt.Println()
	rec.Table(os.Stdout)
	fmt.Printf("\n%s: %d rows of trips, %d threads, medians. MB/s are of the text before compression, or of the Parquet file.\n%s\n", rec.Date, rec.Size.Trips, rec.Threads, rec.Machine)
	if f.record == "" {
		return rec.Failed()
	}
	return errors.Join(rec.Failed(), save(f.record, rec.Merge(kept)))
}

func scaling(ctx context.Context, args []string) error {
	f := newFlags("scaling", 10_000_000)
	so := suite.ScalingOptions{LargeRuns: 2, LargeRows: 20_000_000}
	lanes := f.String("lanes", "1,2,4,8", "numbers of lanes")
	rows := f.String("over", "1000000,10000000,100000000", "numbers of rows; of 100 million, the input is 12 GB")
	f.IntVar(&so.StartRuns, "start-runs", 20, "runs of the shortest")
	if err := f.parse(args); err != nil {
		return err
	}
	var err error
	if so.Lanes, err = numbers(*lanes); err != nil {
		return err
	}
	if so.Rows, err = numbers(*rows); err != nil {
		return err
	}
	head := suite.NewHead(f.command(), bench.ThisMachine(ctx, root))
	s, err := suite.Scale(ctx, f.o, so)
	if err != nil {
		return err
	}
	s.Head = head
	var text strings.Builder
	s.Markdown(&text)
	fmt.Println(text.String())
	if f.record == "" {
		return nil
	}
	return save("scaling", s)
}

func remote(ctx context.Context, args []string) error {
	f := newFlags("s3", 10_000_000)
	var ro suite.RemoteOptions
	f.StringVar(&ro.Only, "only", "", "these workloads, comma between them")
	f.StringVar(&ro.Endpoint, "endpoint", "", "URL of a server that runs, with the AWS_… environment's credentials (default: MinIO is started)")
	f.StringVar(&ro.Bucket, "bucket", "", "the bucket on it, which is there; what is put into it stays")
	f.StringVar(&ro.MinIO, "minio", filepath.Join(root, ".bin", "minio"), "MinIO's binary")
	f.StringVar(&ro.Dir, "minio-dir", "", "folder for MinIO's objects (default: in that of the data); one in memory takes the disk out of the comparison")
	f.BoolVar(&ro.Apart, "apart", false, "MinIO gets a processor of its own, and the worker, also from local files, the others")
	if err := f.parse(args); err != nil {
		return err
	}
	name := "s3"
	if ro.Apart {
		name = "s3-apart"
	}
	switch {
	case f.record != "" && f.record != name:
		return fmt.Errorf("s3: this is recorded as %s", name)
	case ro.Apart && ro.Endpoint != "":
		return errors.New("s3: -apart is for a server that is started, not with -endpoint")
	}
	head := suite.NewHead(f.command(), bench.ThisMachine(ctx, root))
	r, err := suite.OnS3(ctx, f.o, ro)
	if err != nil {
		return err
	}
	r.Head = head
	var text strings.Builder
	r.Markdown(&text)
	fmt.Println(text.String())
	if f.record == "" {
		return nil
	}
	return save(name, r)
}

func numbers(list string) (out []int, err error) {
	for _, s := range strings.Split(list, ",") {
		n, err := strconv.Atoi(s)
		if err != nil || n < 1 {
			return nil, fmt.Errorf("%q is no list of numbers from 1 on", list)
		}
		out = append(out, n)
	}
	return out, nil
}

func peers(ctx context.Context, args []string) error {
	if len(args) != 1 {
		return errors.New("peers: which CSV file?")
	}
	in, err := os.Open(args[0])
	if err != nil {
		return err
	}
	defer in.Close()
	p, err := suite.ReadPeers(in, suite.NewHead("", bench.ThisMachine(ctx, root)))
	if err != nil {
		return err
	}
	return save("peers", p)
}

func records(root string) string { return filepath.Join(root, "bench", "record") }

func save(name string, record any) error {
	if err := suite.Save(records(root), name, record); err != nil {
		return err
	}
	return render(root)
}

// render writes the documents of the checkout at root.
func render(root string) error {
	r, err := suite.Load(records(root))
	if err != nil {
		return err
	}
	return r.Write(filepath.Join(root, "bench", "RESULTS.md"), filepath.Join(root, "docs", "performance.md"))
}
