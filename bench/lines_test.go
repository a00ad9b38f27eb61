package bench

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
)

// What the sinks csv and jsonl wrote is what DuckDB reads: every row once, every value exactly, null and the empty text apart.
func TestLinesReadBack(t *testing.T) {
	db, dir := openDuckDB(t), t.TempDir()
	columns := [][2]string{{"id", "int64"}, {"s", "string"}, {"d", "decimal(18,4)"}, {"f", "float64"}, {"b", "bool"}, {"day", "date"}, {"ts", "timestamp"}, {"u", "uint64"}}
	texts := []string{"plain", `"a,b"`, `"say ""hi"""`, "\"two\nlines\"", `""`, `\N`, "größe 東京", `" ends "`, "#", "NULL", `back\slash`, "tab\there"}
	var b strings.Builder
	b.WriteString("id,s,d,f,b,day,ts,u\n")
	for i := range 5000 {
		day := fmt.Sprintf("%04d-%02d-%02d", 1+i%9999, i*7%12+1, i%28+1)
		if i%11 == 0 {
			day = `\N`
		}
		fmt.Fprintf(&b, "%d,%s,%d.%04d,%v,%v,%s,2024-01-01 %02d:30:00.%06d,%d\n", i, texts[i%len(texts)], i*977-99999, i%10_000, float64(i)/7, i%2 == 0, day, i%24, i, uint64(1<<63)+uint64(i))
	}
	in := filepath.Join(dir, "in.csv")
	write(t, in, b.String())
	p := filepath.Join(dir, "p.yaml")
	pipeline := func(sink string) {
		write(t, p, fmt.Sprintf("version: 1\nname: lines\nsource: {format: csv, csv: {null_values: ['\\N'], header: true, delimiter: ','}}\n%ssink: {uri: out/, %s}\n", schemaYAML(columns), sink))
	}
	pipeline("format: parquet")
	fixture := t.TempDir()
	runWorker(t, "run", "-p", p, "--input", in, "--output", fixture)
	execute(t, db, "CREATE TABLE fixture AS FROM read_parquet("+Quote(filepath.Join(fixture, "part-*.parquet"))+")")
	types := make([]string, len(columns))
	for i, c := range columns {
		types[i] = c[0] + ": " + Quote(DuckType(c[1]))
	}
	for sink, read := range map[string]string{
		"format: csv": "read_csv({glob}, header = true, delim = ',', quote = '\"', escape = '\"', nullstr = '', allow_quoted_nulls = false, columns = {types})",
		"format: csv, csv: {delimiter: '|', null_value: NULL, compression: zstd}": "read_csv({glob}, header = true, delim = '|', quote = '\"', escape = '\"', nullstr = 'NULL', allow_quoted_nulls = false, columns = {types})",
		"format: jsonl": "read_json({glob}, format = 'newline_delimited', columns = {types})",
		"format: jsonl, jsonl: {compression: none}": "read_json({glob}, format = 'newline_delimited', columns = {types})",
	} {
		t.Run(sink, func(t *testing.T) {
			pipeline(sink)
			out := t.TempDir()
			if r := runWorker(t, "run", "-p", p, "--input", in, "--output", out); r.Rows.Written != 5000 {
				t.Fatalf("%d rows", r.Rows.Written)
			}
			from := strings.NewReplacer("{glob}", Quote(filepath.Join(out, "part-*")), "{types}", "{"+strings.Join(types, ", ")+"}").Replace(read)
			execute(t, db, "CREATE OR REPLACE TABLE got AS FROM "+from)
			for _, q := range []string{"FROM fixture EXCEPT ALL FROM got", "FROM got EXCEPT ALL FROM fixture"} {
				if rows := query(t, db, q+" LIMIT 3"); len(rows.Rows) > 0 {
					t.Errorf("%s: %v", q, rows.Rows)
				}
			}
		})
	}
}

// A look by = at a column with bloom filters finds every row that is there.
func TestBloomFiltersRead(t *testing.T) {
	db, dir := openDuckDB(t), t.TempDir()
	var b strings.Builder
	b.WriteString("id,s\n")
	for i := range 3000 {
		fmt.Fprintf(&b, "%d,text %d\n", i*3, i)
	}
	in, p := filepath.Join(dir, "in.csv"), filepath.Join(dir, "p.yaml")
	write(t, in, b.String())
	write(t, p, "version: 1\nname: bloom\nsink: {uri: out/, parquet: {bloom_filter: [id, s]}}\n")
	out := t.TempDir()
	runWorker(t, "run", "-p", p, "--input", in, "--output", out)
	file := Quote(filepath.Join(out, "part-*.parquet"))
	got := query(t, db, "SELECT (SELECT count(*) FROM read_parquet("+file+") WHERE id = 2997), (SELECT count(*) FROM read_parquet("+file+") WHERE s = 'text 17'), "+
		"(SELECT count(*) FROM read_parquet("+file+") WHERE s = 'text 5000'), (SELECT count(*) FROM parquet_metadata("+file+") WHERE bloom_filter_offset > 0), "+
		"(SELECT count(*) FROM parquet_bloom_probe("+file+", 'id', 2997) WHERE NOT bloom_filter_excludes), (SELECT count(*) FROM parquet_bloom_probe("+file+", 's', 'text 5000') WHERE bloom_filter_excludes)")
	if s := fmt.Sprint(got.Rows); s != "[[1 1 0 2 1 1]]" {
		t.Errorf("got %s", s)
	}
}
