package workload

import (
	"strings"
	"testing"

	"github.com/sluice-data/sluice/bench"
)

// Every workload is one for both: what decides how they are compared fits together.
func TestAll(t *testing.T) {
	ws, err := All()
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range ws {
		switch {
		case w.Title == "" || w.SQL == "" || !strings.Contains(w.SQL, "{in}"):
			t.Errorf("%s: no title or no input in its SQL", w.Name)
		case w.Approx != nil && (w.Keys == nil || w.Exact == ""):
			t.Errorf("%s: an approximation without what it is held to", w.Name)
		case (w.Want == "") != (w.WantWhy == ""):
			t.Errorf("%s: other values without a reason", w.Name)
		case w.Columns == nil && w.Format == "jsonl":
			t.Errorf("%s: DuckDB reads JSON with columns", w.Name)
		case strings.Contains(w.Query("x")+w.ExactQuery("x")+w.WantQuery("x"), "{in}"):
			t.Errorf("%s: SQL without its input", w.Name)
		}
	}
}

func TestPick(t *testing.T) {
	ws, err := Pick("W4,W1")
	if err != nil || len(ws) != 2 || ws[0].Name != "W1" || ws[1].Name != "W4" {
		t.Errorf("%v, %v", ws, err)
	}
	if _, err := Pick("W1,nonesuch"); err == nil || !strings.Contains(err.Error(), "nonesuch") {
		t.Errorf("%v", err)
	}
}

// Both are given the same columns, codec and level, partitions and input.
func TestBothSides(t *testing.T) {
	w := Workload{Name: "X-1", Format: "csv", Columns: [][2]string{{"at", "timestamp"}, {"n's", "int32"}}, Steps: "\n  - filter: n > 1",
		SQL: "SELECT * FROM {in}", Partition: "n"}
	const yaml = `version: 1
name: x_1
schema:
  columns:
    'at': {type: timestamp, format: "%Y-%m-%d %H:%M:%S"}
    'n''s': 'int32'
steps:
  - filter: n > 1
sink:
  uri: 'out/'
  partition_by: [n]
  parquet: {compression: zstd, level: 3}
`
	if got := w.Pipeline("out/"); got != yaml {
		t.Errorf("%s", got)
	}
	want := "COPY (SELECT * FROM " + bench.ReadCSV("in.csv", w.Columns, "") + ") TO 'out' (FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL 3, PARTITION_BY (n))"
	if got := w.Copy("in.csv", "out"); got != want {
		t.Errorf("%s", got)
	}
}
