package bench

import (
	"database/sql"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

const lists = "../internal/expr/testdata/"

// fixture is differential.csv's columns behind k, the number of the row.
var fixture = [][2]string{{"k", "int32"}, {"i", "int32"}, {"j", "int64"}, {"f", "float64"}, {"g", "float64"}, {"d", "decimal(18,2)"},
	{"s", "string"}, {"t", "string"}, {"b", "bool"}, {"dt", "date"}, {"ts", "timestamp"}}

// differential is a folder with the fixture, and the database that reads it too.
type differential struct {
	dir, csv string
	rows     int
	db       *sql.DB
	runs     int
	// besideNull counts expressions for which ours fails and DuckDB gives null.
	besideNull int
}

// templates of to_char, and the formats of strftime, which DuckDB has in its place, that print the same.
var templates = [][2]string{{"YYYY-MM-DD HH24:MI:SS.US", "%Y-%m-%d %H:%M:%S.%f"}, {"DD/MM/YY", "%d/%m/%y"}, {"HH12:MI AM", "%I:%M %p"}, {"DDD", "%j"}, {"Dy, DD Mon YYYY", "%a, %d %b %Y"},
	{"FMDay FMMonth FMDD.FMMM", "%A %B %-d.%-m"}, {"IYYY-IW-ID", "%G-%V-%u"}, {"HH24MISSMS", "%H%M%S%g"}}

func newDifferential(t *testing.T) *differential {
	t.Helper()
	d := &differential{dir: t.TempDir(), db: openDuckDB(t)}
	d.csv = filepath.Join(d.dir, "in.csv")
	var b strings.Builder
	for n, line := range strings.Split(strings.TrimSpace(read(t, lists+"differential.csv")), "\n") {
		key := "k"
		if n > 0 {
			key = strconv.Itoa(n)
		}
		b.WriteString(key + "," + line + "\n")
		d.rows = n
	}
	write(t, d.csv, b.String())
	execute(t, d.db, "CREATE TABLE fixture AS SELECT * FROM "+ReadCSV(d.csv, fixture, `\N`))
	var cases strings.Builder
	for _, p := range templates {
		fmt.Fprintf(&cases, " WHEN '%s' THEN '%s'", p[0], p[1])
	}
	execute(t, d.db, "CREATE MACRO to_char(x, template) AS strftime(x, CASE template"+cases.String()+" END)")
	return d
}

// pipeline writes a pipeline file that derives the expressions as e0, e1 … beside k and gives its name and the folder it writes to; what it
// rejects goes to that folder's name with -bad behind it.
func (d *differential) pipeline(t *testing.T, exprs []string) (file, out string) {
	t.Helper()
	d.runs++
	out = filepath.Join(d.dir, fmt.Sprint("out", d.runs))
	var derive, names strings.Builder
	for n, e := range exprs {
		fmt.Fprintf(&derive, "      e%d: %s\n", n, Quote(e))
		fmt.Fprintf(&names, ", e%d", n)
	}
	file = filepath.Join(d.dir, "p.yaml")
	write(t, file, fmt.Sprintf(`version: 1
name: differential-%d
source: {format: csv, csv: {null_values: ['\N'], header: true, delimiter: ','}}
%serrors: {quarantine: %s, max_rate: 100%%}
steps:
  - derive:
%s  - select: [k%s]
sink: {uri: %s}
`, d.runs, schemaYAML(fixture), Quote(out+"-bad/"), derive.String(), names.String(), Quote(out+"/")))
	return file, out
}

// work is what the worker makes of the expressions, a column each behind k, rows in the order of the input, and why it rejected the
// rows that it rejected, by k.
func (d *differential) work(t *testing.T, exprs []string) (*Table, map[int]string) {
	t.Helper()
	file, out := d.pipeline(t, exprs)
	rec := runWorker(t, "run", "-p", file, "--input", d.csv)
	bad, err := ReadQuarantine(out+"-bad", rec.RunID)
	if err != nil {
		t.Fatal(err)
	}
	rejected := map[int]string{}
	for _, r := range bad {
		key, _, _ := strings.Cut(r.Raw, ",")
		k, err := strconv.Atoi(key)
		if err != nil {
			t.Fatalf("quarantined row: %+v", r)
		}
		rejected[k] = r.Reason
	}
	res := query(t, d.db, "SELECT * FROM "+parts(out))
	if len(res.Rows)+len(rejected) != d.rows || int(rec.Rows.Rejected) != len(rejected) {
		t.Fatalf("%d rows and %d rejected of %d; receipt %+v", len(res.Rows), len(rejected), d.rows, rec)
	}
	return res, rejected
}

// batched calls f with runs of at most n expressions.
func batched(exprs []string, n int, f func([]string)) {
	for ; len(exprs) > n; exprs = exprs[n:] {
		f(exprs[:n])
	}
	f(exprs)
}

// untyped are expressions that DuckDB folds to a NULL without a type, which its driver gives as an INTEGER.
var untyped = map[string]bool{"s || NULL": true}

// TestDifferentialExpressions: every expression of the lists has the same value and class of type in the worker as in DuckDB, in every
// row, and floats have the same bits.
func TestDifferentialExpressions(t *testing.T) {
	d := newDifferential(t)
	all := append(lines(t, lists+"differential.txt"), lines(t, "testdata/edges.txt")...)
	compared := 0
	batched(all, 40, func(exprs []string) {
		got, rejected := d.work(t, exprs)
		if len(rejected) > 0 {
			t.Fatalf("rejected rows: %v", rejected)
		}
		for n, e := range exprs {
			want := query(t, d.db, fmt.Sprintf("SELECT k, (%s) AS e%d FROM fixture ORDER BY k", e, n))
			if untyped[e] {
				want.Classes[1] = got.Classes[n+1]
			}
			if diff := Diff(want, got.pick(0, n+1), 0); diff != "" {
				t.Errorf("%s: %s", e, diff)
				continue
			}
			compared++
		}
	})
	if compared != len(all) || compared < 800 {
		t.Errorf("compared %d of %d expressions, at least 800 are wanted", compared, len(all))
	}
}

// pick is some columns of a result.
func (t *Table) pick(columns ...int) *Table {
	out := &Table{Rows: make([][]any, len(t.Rows))}
	for _, c := range columns {
		out.Names = append(out.Names, t.Names[c])
		out.Types = append(out.Types, t.Types[c])
		out.Classes = append(out.Classes, t.Classes[c])
		for i := range t.Rows {
			out.Rows[i] = append(out.Rows[i], t.Rows[i][c])
		}
	}
	return out
}

// lines are a file's lines but for comments and empty ones.
func lines(t *testing.T, name string) []string {
	t.Helper()
	var out []string
	for _, l := range strings.Split(read(t, name), "\n") {
		if l != "" && !strings.HasPrefix(l, "#") {
			out = append(out, l)
		}
	}
	return out
}

// outcome is what an expression gives for one row: a value or an error.
type outcome struct {
	value any
	err   string
}

func (o outcome) String() string {
	if o.err != "" {
		return "error: " + o.err
	}
	return Show(o.value)
}

// same: both are errors, or both are the same value.
func (o outcome) same(p outcome) bool {
	return (o.err != "") == (p.err != "") && (o.err != "" || Same(o.value, p.value, 0))
}

// ours is what the worker makes of one expression, by row, 1 to d.rows.
func (d *differential) ours(t *testing.T, e string) (map[int]outcome, Class) {
	t.Helper()
	res, rejected := d.work(t, []string{e})
	out := map[int]outcome{}
	for _, r := range res.Rows {
		out[int(r[0].(int32))] = outcome{value: r[1]}
	}
	for k, reason := range rejected {
		out[k] = outcome{err: reason}
	}
	return out, res.Classes[1]
}

// theirs is what DuckDB makes of it. The class is "" if it fails in every row.
func (d *differential) theirs(t *testing.T, e string) (out map[int]outcome, class Class) {
	t.Helper()
	out = map[int]outcome{}
	if all, err := Query(t.Context(), d.db, fmt.Sprintf("SELECT (%s) FROM fixture ORDER BY k", e)); err == nil {
		for n, r := range all.Rows {
			out[n+1] = outcome{value: r[0]}
		}
		return out, all.Classes[0]
	}
	for k := 1; k <= d.rows; k++ { // a row at fault fails the whole query
		one, err := Query(t.Context(), d.db, fmt.Sprintf("SELECT (%s) FROM fixture WHERE k = %d", e, k))
		if err != nil {
			out[k] = outcome{err: strings.SplitN(err.Error(), "\n", 2)[0]}
			continue
		}
		out[k] = outcome{value: one.Rows[0][0]}
		class = one.Classes[0]
	}
	return out, class
}
