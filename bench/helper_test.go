package bench

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// worker is the binary under test, built once.
var worker string

func TestMain(m *testing.M) { os.Exit(testMain(m)) }

func testMain(m *testing.M) int {
	dir, err := os.MkdirTemp("", "sluice-bench-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	worker = filepath.Join(dir, "worker")
	if err := BuildWorker(context.Background(), "..", worker); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

func openDuckDB(t *testing.T) *sql.DB {
	t.Helper()
	db, err := OpenDuckDB(Threads)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

func runWorker(t *testing.T, args ...string) Receipt {
	t.Helper()
	r, err := RunWorker(t.Context(), worker, args...)
	if err != nil {
		t.Fatal(err)
	}
	if r.Status != "committed" {
		t.Fatalf("receipt: %+v", r)
	}
	return r
}

func query(t *testing.T, db *sql.DB, q string) *Table {
	t.Helper()
	res, err := Query(t.Context(), db, q)
	if err != nil {
		t.Fatalf("%s: %v", q, err)
	}
	return res
}

func execute(t *testing.T, db *sql.DB, q string) {
	t.Helper()
	if _, err := db.ExecContext(t.Context(), q); err != nil {
		t.Fatalf("%s: %v", q, err)
	}
}

func write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// parts is DuckDB's read_parquet of what a run has written to dir, rows in their order.
func parts(dir string) string {
	return "read_parquet(" + Quote(filepath.Join(dir, "part-*.parquet")) + ")"
}

// schemaYAML is the columns as the pipeline file declares them.
func schemaYAML(columns [][2]string) string {
	var b strings.Builder
	b.WriteString("schema:\n  columns:\n")
	for _, c := range columns {
		fmt.Fprintf(&b, "    %s: %s\n", Quote(c[0]), Quote(c[1]))
	}
	return b.String()
}
