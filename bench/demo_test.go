package bench

import (
	"os"
	"path/filepath"
	"testing"
)

// TestDemoAgainstDuckDB runs the demo pipeline and holds every value of its result against DuckDB's on the same file.
func TestDemoAgainstDuckDB(t *testing.T) {
	dir := t.TempDir()
	in := filepath.Join(dir, "raw", "strikes", "birdstrikes.csv.gz")
	if err := os.MkdirAll(filepath.Dir(in), 0o755); err != nil {
		t.Fatal(err)
	}
	write(t, in, read(t, "../testdata/demo/birdstrikes.csv.gz"))
	rec := runWorker(t, "run", "-p", "../testdata/demo/strikes.yaml", "--event", "../testdata/demo/event.json", "--local-root", dir)
	if rec.Rows.Read != 10000 || rec.Rows.Rejected != 0 {
		t.Fatalf("receipt: %+v", rec)
	}
	db := openDuckDB(t)
	want := query(t, db, DemoSQL(ReadCSV(in, DemoColumns, ""))+" ORDER BY state, year")
	got := query(t, db, "SELECT * FROM "+parts(filepath.Join(dir, "curated", "strikes"))+" ORDER BY state, year")
	if diff := Diff(want, got, FloatSums); diff != "" {
		t.Fatal(diff)
	}
	if len(want.Rows) != 370 {
		t.Fatalf("compared %d groups, the file has 370", len(want.Rows))
	}
}
