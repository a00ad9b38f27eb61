package bench

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/sluice-data/sluice/bench/trips"
)

// TestInferredTypes: without a schema the worker finds types that keep every value: numbers are numbers, times are times, and what has a leading zero
// stays text.
func TestInferredTypes(t *testing.T) {
	dir := t.TempDir()
	db := openDuckDB(t)
	execute(t, db, "SET TimeZone = 'UTC'")
	in, out := filepath.Join(dir, "in.csv"), filepath.Join(dir, "out")
	f, err := os.Create(in)
	if err != nil {
		t.Fatal(err)
	}
	if err := trips.WriteWide(f, 5000); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "p.yaml")
	write(t, file, "version: 1\nname: p\nsink: {uri: "+Quote(out+"/")+"}\n")
	runWorker(t, "run", "-p", file, "--input", in)
	columns := slices.Clone(trips.WideColumns)
	for i, c := range columns {
		switch c[0] {
		case "ratio": // -0.0 and 123456789.123456789 would not come back as they are written
			columns[i][1] = "string"
		case "single":
			columns[i][1] = "float64"
		}
	}
	want := query(t, db, "SELECT * FROM "+ReadCSV(in, columns, ""))
	got := query(t, db, "SELECT * FROM "+parts(out))
	if diff := Diff(want, got, 0); diff != "" {
		t.Error(diff)
	}
	for c, name := range want.Names {
		if want.Types[c] == "VARCHAR" && got.Types[c] != "VARCHAR" {
			t.Errorf("column %s: %s, want text", name, got.Types[c])
		}
	}
}

// TestNestedJSON: objects and lists of JSON Lines become structs and lists with the values that DuckDB reads.
func TestNestedJSON(t *testing.T) {
	dir := t.TempDir()
	db := openDuckDB(t)
	in, out := filepath.Join(dir, "in.jsonl"), filepath.Join(dir, "out")
	var b strings.Builder
	for i := range 3000 {
		switch i % 5 {
		case 0:
			fmt.Fprintf(&b, `{"id": %d, "who": {"name": "n%d \"q\" é\u00e9\ud83d\ude95", "tags": ["a", null, "t%d"]}, "pos": [%d, -1], "m": [[1.5], [], null]}`, i, i, i%7, int64(i)*4_000_000_000)
		case 1:
			fmt.Fprintf(&b, `{"m": null, "pos": [], "who": {"tags": [], "name": null}, "id": %d}`, i)
		case 2:
			fmt.Fprintf(&b, `{"id": %d, "who": null}`, i)
		case 3:
			fmt.Fprintf(&b, `  {"id":%d,"who":{"name":"line\nend\tand \u0001"},"pos":null,"m":[[%d.25,-2e3]]}  `, i, i)
		default:
			fmt.Fprintf(&b, `{"id": %d, "who": {}, "pos": [9223372036854775807], "m": []}`, i)
		}
		b.WriteByte('\n')
	}
	write(t, in, b.String())
	columns := [][2]string{{"id", "int64"}, {"who", "struct<name: string, tags: list<string>>"}, {"pos", "list<int64>"}, {"m", "list<list<float64>>"}}
	file := filepath.Join(dir, "p.yaml")
	write(t, file, "version: 1\nname: p\n"+schemaYAML(columns)+"steps:\n  - filter: id % 11 <> 3\nsink: {uri: "+Quote(out+"/")+"}\n")
	runWorker(t, "run", "-p", file, "--input", in)
	want := query(t, db, "SELECT * FROM read_json("+Quote(in)+`, format = 'newline_delimited', columns = {id: 'BIGINT', who: 'STRUCT(name VARCHAR, tags VARCHAR[])', pos: 'BIGINT[]', m: 'DOUBLE[][]'}) WHERE id % 11 <> 3`)
	if diff := Diff(want, query(t, db, "SELECT * FROM "+parts(out)), 0); diff != "" {
		t.Error(diff)
	}
	if len(want.Rows) < 2700 {
		t.Errorf("compared only %d rows", len(want.Rows))
	}
}
