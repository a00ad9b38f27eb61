package bench

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
)

// What partition_by wrote is what DuckDB reads from the folders: every row once, every partition value exactly.
func TestPartitionsReadBack(t *testing.T) {
	db, dir := openDuckDB(t), t.TempDir()
	columns := [][2]string{{"id", "int64"}, {"zone", "string"}, {"day", "date"}, {"ts", "timestamp"}, {"amount", "decimal(9,2)"}, {"flag", "bool"}, {"n", "int32"}, {"note", "string"}}
	zones := []string{"plain", "a b", "a/b", "50%", "%41", "x=y", "1+1", "größe", "東京", `q'q`, "[x]{y}", "a:b?c*d", "..", "007", "tail ", " head", `back\slash`, "#", "a&b;c", "null", `\N`}
	var b strings.Builder
	b.WriteString("id,zone,day,ts,amount,flag,n,note\n")
	for i := range 20_000 {
		day := fmt.Sprintf("2024-%02d-%02d", i*7%3+1, i%5+1)
		if i%11 == 0 {
			day = `\N`
		}
		fmt.Fprintf(&b, "%d,%s,%s,2024-01-01 %02d:30:00,%d.%02d,%v,%d,%s\n", i, zones[i%len(zones)], day, i%4, i%3-1, i%2*50, i%2 == 0, i%6-3, strings.Repeat("x", i%9))
	}
	in := filepath.Join(dir, "in.csv")
	write(t, in, b.String())
	execute(t, db, "CREATE TABLE fixture AS SELECT * FROM "+ReadCSV(in, columns, `\N`))

	for _, by := range [][]string{{"zone"}, {"day"}, {"zone", "day"}, {"ts", "amount"}, {"flag", "n"}} {
		for _, limit := range []string{"64MiB", "4GiB"} {
			t.Run(strings.Join(by, ",")+" in "+limit, func(t *testing.T) {
				p, out := filepath.Join(dir, "p.yaml"), t.TempDir()
				write(t, p, fmt.Sprintf(`version: 1
name: partitions
source: {format: csv, csv: {null_values: ['\N'], header: true, delimiter: ','}}
%ssink: {uri: out/, partition_by: [%s]}
`, schemaYAML(columns), strings.Join(by, ", ")))
				r := runWorker(t, "run", "-p", p, "--input", in, "--output", out, "--memory-limit", limit)
				if r.Rows.Written != 20_000 {
					t.Fatalf("%d rows", r.Rows.Written)
				}
				types := make([]string, len(by))
				for i, name := range by {
					for _, c := range columns {
						if c[0] == name {
							types[i] = name + ": " + Quote(DuckType(c[1]))
						}
					}
				}
				// The files are found by their folders; hive_partitioning takes the columns from the names.
				glob := filepath.Join(append(append([]string{out}, stars(by)...), "part-*.parquet")...)
				execute(t, db, "CREATE OR REPLACE TABLE got AS SELECT id, zone, day, ts, amount, flag, n, note FROM read_parquet("+Quote(glob)+
					", hive_partitioning=true, hive_types={"+strings.Join(types, ", ")+"})")
				for _, q := range []string{"FROM fixture EXCEPT ALL FROM got", "FROM got EXCEPT ALL FROM fixture"} {
					if rows := query(t, db, q+" LIMIT 3"); len(rows.Rows) > 0 {
						t.Errorf("%s: %v", q, rows.Rows)
					}
				}
				// The partition columns are in the folders' names only.
				inFiles := query(t, db, "SELECT name FROM parquet_schema("+Quote(glob)+") WHERE name IN ('"+strings.Join(by, "', '")+"')")
				if len(inFiles.Rows) > 0 {
					t.Errorf("partition columns in the files: %v", inFiles.Rows)
				}
			})
		}
	}
}

func stars(by []string) []string {
	out := make([]string, len(by))
	for i, name := range by {
		out[i] = name + "=*"
	}
	return out
}
