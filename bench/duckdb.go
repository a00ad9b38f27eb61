// Package bench measures the worker against other engines on the same data, and compares values with DuckDB. It is a
// module of its own because it links the peers it measures against.
package bench

import (
	"bytes"
	"database/sql"
	"encoding/json"
	"fmt"
	"math"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/duckdb/duckdb-go/v2"
)

// Receipt is what the worker's last line of output says.
type Receipt struct {
	Status string `json:"status"`
	Rows   struct {
		Read, Written, Rejected int64
	} `json:"rows"`
	Seconds    float64 `json:"seconds"`
	PeakMemory int64   `json:"peak_memory_bytes"`
}

// BuildWorker builds the worker of this checkout and returns its path.
func BuildWorker(t testing.TB) string {
	t.Helper()
	out := filepath.Join(t.TempDir(), "worker")
	cmd := exec.Command("go", "build", "-o", out, "./cmd/worker")
	cmd.Dir = ".."
	if b, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build worker: %v\n%s", err, b)
	}
	return out
}

// RunWorker runs the worker and returns its receipt; a failed run fails the test.
func RunWorker(t testing.TB, worker string, args ...string) Receipt {
	t.Helper()
	var out, log bytes.Buffer
	cmd := exec.Command(worker, args...)
	cmd.Stdout, cmd.Stderr = &out, &log
	if err := cmd.Run(); err != nil {
		t.Fatalf("worker %v: %v\n%s%s", args, err, out.String(), log.String())
	}
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	var r Receipt
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &r); err != nil {
		t.Fatalf("receipt: %v", err)
	}
	return r
}

// OpenDuckDB opens an in-memory database with two threads.
func OpenDuckDB(t testing.TB) *sql.DB {
	t.Helper()
	db, err := sql.Open("duckdb", "?threads=2")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

// CompareRows runs both queries ordered by order and says where the first difference is, or "".
func CompareRows(t testing.TB, db *sql.DB, want, got, order string) string {
	t.Helper()
	w, wc := fetch(t, db, want+" ORDER BY "+order)
	g, gc := fetch(t, db, got+" ORDER BY "+order)
	if strings.Join(wc, ",") != strings.Join(gc, ",") {
		return fmt.Sprintf("columns: got %v, want %v", gc, wc)
	}
	if len(w) == 0 {
		return "no rows to compare"
	}
	for i := range min(len(w), len(g)) {
		for c := range wc {
			if !Same(g[i][c], w[i][c]) {
				return fmt.Sprintf("row %d, %s: got %v (%T), want %v (%T); row %v", i, wc[c], g[i][c], g[i][c], w[i][c], w[i][c], w[i])
			}
		}
	}
	if len(w) != len(g) {
		return fmt.Sprintf("%d rows, want %d", len(g), len(w))
	}
	return ""
}

func fetch(t testing.TB, db *sql.DB, query string) ([][]any, []string) {
	t.Helper()
	rows, err := db.Query(query)
	if err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	defer rows.Close()
	cols, err := rows.Columns()
	if err != nil {
		t.Fatal(err)
	}
	var out [][]any
	for rows.Next() {
		row, ptr := make([]any, len(cols)), make([]any, len(cols))
		for i := range row {
			ptr[i] = &row[i]
		}
		if err := rows.Scan(ptr...); err != nil {
			t.Fatal(err)
		}
		out = append(out, row)
	}
	if err := rows.Err(); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return out, cols
}

// Same compares two values of DuckDB's driver: numbers by value, whatever their width; floats within 1e-12 relative,
// because a sum depends on the order of its terms; everything else exactly.
func Same(a, b any) bool {
	if a == nil || b == nil {
		return a == nil && b == nil
	}
	x, xf, xok := number(a)
	y, yf, yok := number(b)
	switch {
	case xok && yok && !xf && !yf:
		return x == y
	case xok && yok:
		p, q := parse(x), parse(y)
		return p == q || math.IsNaN(p) && math.IsNaN(q) || math.Abs(p-q) <= 1e-12*math.Max(math.Abs(p), math.Abs(q))
	}
	if s, ok := a.(time.Time); ok {
		u, ok := b.(time.Time)
		return ok && s.Equal(u)
	}
	return fmt.Sprint(a) == fmt.Sprint(b)
}

// number is the value as decimal text without trailing zeros, and whether it is binary floating point.
func number(v any) (text string, float, ok bool) {
	switch n := v.(type) {
	case int8, int16, int32, int64, uint8, uint16, uint32, uint64:
		return fmt.Sprint(n), false, true
	case float32, float64:
		return fmt.Sprintf("%.17g", n), true, true
	case duckdb.Decimal:
		s := n.String()
		if strings.Contains(s, ".") {
			s = strings.TrimRight(strings.TrimRight(s, "0"), ".")
		}
		if s == "-0" {
			s = "0"
		}
		return s, false, true
	case interface{ String() string }: // *big.Int
		if _, isTime := v.(time.Time); !isTime {
			return n.String(), false, true
		}
	}
	return "", false, false
}

func parse(s string) float64 {
	var f float64
	if _, err := fmt.Sscan(s, &f); err != nil {
		return math.NaN()
	}
	return f
}
