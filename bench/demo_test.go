package bench

import (
	"os"
	"path/filepath"
	"testing"
)

// TestDemoAgainstDuckDB runs the demo pipeline and holds every value of its result against DuckDB's on the same file.
func TestDemoAgainstDuckDB(t *testing.T) {
	dir := t.TempDir()
	store := filepath.Join(dir, "raw", "strikes")
	if err := os.MkdirAll(store, 0o755); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile("../testdata/demo/birdstrikes.csv.gz")
	if err != nil {
		t.Fatal(err)
	}
	in := filepath.Join(store, "birdstrikes.csv.gz")
	if err := os.WriteFile(in, data, 0o644); err != nil {
		t.Fatal(err)
	}
	worker := BuildWorker(t)
	rec := RunWorker(t, worker, "run", "-p", "../testdata/demo/strikes.yaml", "--event", "../testdata/demo/event.json", "--local-root", dir)
	if rec.Status != "committed" || rec.Rows.Read != 10000 {
		t.Fatalf("receipt: %+v", rec)
	}
	db := OpenDuckDB(t)
	diff := CompareRows(t, db, DemoSQL(in), "SELECT * FROM read_parquet('"+filepath.Join(dir, "curated", "strikes", "part-*.parquet")+"')", "state, year")
	if diff != "" {
		t.Fatal(diff)
	}
}
