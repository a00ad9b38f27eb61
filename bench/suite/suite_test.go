package suite

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/sluice-data/sluice/bench"
	"github.com/sluice-data/sluice/bench/data"
	"github.com/sluice-data/sluice/bench/workload"
)

func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == PeerCommand {
		if err := Peer(context.Background(), os.Args[2:]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(testMain(m))
}

// worker is the binary under test, built once, or the one that SLUICE_WORKER names.
var worker = os.Getenv("SLUICE_WORKER")

func testMain(m *testing.M) int {
	if worker == "" {
		dir, err := os.MkdirTemp("", "sluice-suite-")
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer os.RemoveAll(dir)
		worker = filepath.Join(dir, "worker")
		if err := bench.BuildWorker(context.Background(), "../..", worker); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
	}
	return m.Run()
}

func options(t *testing.T, rows int) Options {
	return Options{Root: "../..", Worker: worker, Data: t.TempDir(), Size: data.Size{Trips: rows}, Runs: 1, Threads: 2, Log: t.Output()}
}

// Every workload runs in both engines and gives equal values. Inside a limit of memory DuckDB may have none left, which is a result.
func TestWorkloads(t *testing.T) {
	ws, err := workload.Pick("")
	if err != nil {
		t.Fatal(err)
	}
	results, err := Run(t.Context(), options(t, 4000), ws)
	if err != nil {
		t.Fatal(err)
	}
	if len(results) != len(ws) {
		t.Fatalf("%d results of %d workloads", len(results), len(ws))
	}
	for i, r := range results {
		if r.Failed != "" {
			t.Errorf("%s: %s", r.Workload, r.Failed)
			continue
		}
		peer := r.ratio() > 0 && r.DuckDB.Out > 0
		if r.DuckDB.Failed != "" {
			peer = r.DuckDB.Failed == "out of memory" && ws[i].Memory != ""
		}
		if !strings.HasPrefix(r.Values, "equal") || !peer || r.Worker.Out == 0 || r.Rows == 0 || r.Text == 0 || r.Worker.CPU[0] <= 0 {
			t.Errorf("%s: %+v", r.Workload, r)
		}
	}
}

// What the two say differently fails the workload, and the table says so.
func TestMismatchFails(t *testing.T) {
	wrong := workload.Workload{Name: "wrong", Title: "a value lost", Set: "trips.csv", Format: "csv", Columns: nil,
		Steps: "  - select: [vendor_id]", SQL: "SELECT CASE WHEN row_number() OVER () = 100 THEN 7 ELSE vendor_id END AS vendor_id FROM {in}"}
	right := wrong
	right.Name, right.SQL = "right", "SELECT vendor_id FROM {in}"
	results, err := Run(t.Context(), options(t, 200), []workload.Workload{wrong, right})
	if err != nil {
		t.Fatal(err)
	}
	rec := Record{Results: results}
	if err := rec.Failed(); err == nil || !strings.Contains(err.Error(), "wrong: the results differ: the values of column vendor_id differ") {
		t.Errorf("%v", err)
	}
	var text strings.Builder
	rec.Table(&text)
	for _, want := range []string{"| wrong ", "FAILED", "- wrong failed: the results differ", "| right "} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("no %q in\n%s", want, text.String())
		}
	}
	if results[1].Failed != "" {
		t.Errorf("the next one: %s", results[1].Failed)
	}
}

// A failing worker is a result with the worker's own reason, and inputs above the limit go with their last workload.
func TestFailureAndDiscard(t *testing.T) {
	o := options(t, 200)
	o.Discard = 1
	o.Allocs = true
	bad := workload.Workload{Name: "bad", Set: "trips.csv", Format: "csv", Steps: "  - filter: nonesuch > 1", SQL: "SELECT * FROM {in}"}
	ws, err := workload.Pick("W1,W1gz")
	if err != nil {
		t.Fatal(err)
	}
	results, err := Run(t.Context(), o, append([]workload.Workload{bad}, ws...))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(results[0].Failed, "worker: usage:") || !strings.Contains(results[0].Failed, "nonesuch") {
		t.Errorf("failed: %q", results[0].Failed)
	}
	for _, r := range results[1:] {
		if r.Failed != "" || r.Allocs == nil || r.Allocs.Objects < 100 || r.Allocs.Bytes < 1<<20 {
			t.Errorf("%+v", r)
		}
	}
	// The gzip is of the CSV, which is kept for it and not looked at again.
	left, err := os.ReadDir(o.Data)
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range left {
		if !strings.HasPrefix(l.Name(), "trips-200.csv") || strings.Contains(l.Name(), ".gz") {
			t.Errorf("left: %s", l.Name())
		}
	}
}

// Scaling has a number for each number of lanes and rows, and for the start.
func TestScale(t *testing.T) {
	o := options(t, 2000)
	o.Discard = 200_000 // of the numbers of rows, 2000 is more
	s, err := Scale(t.Context(), o, ScalingOptions{Lanes: []int{1, 3}, Rows: []int{500, 2000}, StartRuns: 2, LargeRuns: 1, LargeRows: 600})
	if err != nil {
		t.Fatal(err)
	}
	if len(s.Lanes) != 4 || len(s.Rows) != 4 || s.Start.Version <= 0 || s.Start.Tiny <= 0 || (s.Start.FirstRead > 0) != (runtime.GOOS == "linux") {
		t.Errorf("%+v", s)
	}
	if left, err := filepath.Glob(filepath.Join(o.Data, "*")); err != nil || len(left) != 2 || filepath.Base(left[0]) != "trips-500.csv" {
		t.Errorf("left: %v, %v", left, err)
	}
	var text strings.Builder
	s.Markdown(&text)
	for _, want := range []string{"| W1 ", "| W2p ", "ns a row", "`worker version`"} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("no %q in\n%s", want, text.String())
		}
	}
}
