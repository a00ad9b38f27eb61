package expr

import (
	"encoding/csv"
	"os"
	"strings"
	"testing"

	"github.com/apache/arrow/go/v17/arrow/memory"
)

// TestDifferentialList: every expression of the list for the comparison with DuckDB compiles and has a value, not an error, in
// every row, and every one left out compiles too.
func TestDifferentialList(t *testing.T) {
	mem := memory.NewCheckedAllocator(memory.NewGoAllocator())
	defer mem.AssertSize(t, 0)
	table := differentialTable(t)
	rec := table.record(t, mem, fixtureRows(len(table.rows)).all())
	defer rec.Release()

	seen := map[string]bool{}
	for _, src := range lines(t, "testdata/differential.txt") {
		if seen[src] {
			t.Errorf("%s is in the list twice", src)
		}
		seen[src] = true
		p, err := Compile(src, table.schema, testEnv)
		if err != nil {
			t.Errorf("%s: %v", src, err)
			continue
		}
		for i, v := range evalText(t, mem, p, rec) {
			if strings.HasPrefix(v, "error: ") {
				t.Errorf("%s: row %d: %s", src, i, v)
			}
		}
	}
	if len(seen) < 540 {
		t.Errorf("the list has %d expressions, at least 540 are wanted", len(seen))
	}
	for _, line := range lines(t, "testdata/differential_excluded.txt") {
		src, why, _ := strings.Cut(line, "\t")
		if _, err := Compile(src, table.schema, testEnv); err != nil && !strings.Contains(why, "refused") || why == "" {
			t.Errorf("%s (%s): %v", src, why, err)
		}
		if seen[src] {
			t.Errorf("%s is both compared and left out", src)
		}
	}
}

// differentialTable is the table of the comparison with DuckDB, as a fixture.
func differentialTable(t *testing.T) *fixture {
	t.Helper()
	file, err := os.Open("testdata/differential.csv")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	rows, err := csv.NewReader(file).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	table := parseFixture(t, "table: i int32, j int64, f float64, g float64, d decimal(18,2), s string, t string, b bool, dt date, ts timestamp")
	for _, row := range rows[1:] {
		for c, cell := range row {
			switch {
			case cell == `\N`:
				row[c] = "NULL"
			case rows[0][c] == "ts":
				row[c] = strings.Replace(cell, " ", "T", 1)
			}
		}
		table.rows = append(table.rows, row)
	}
	return table
}

// lines are a file's lines but for comments.
func lines(t *testing.T, name string) []string {
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, l := range strings.Split(strings.TrimSpace(string(data)), "\n") {
		if !strings.HasPrefix(l, "#") {
			out = append(out, l)
		}
	}
	return out
}
