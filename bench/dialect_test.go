package bench

import (
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/duckdb/duckdb-go/v2"
)

const dialectDoc = "../docs/dialect.md"

// difference is a row of a table of docs/dialect.md: an expression and the fixture's row (by a condition), or a text and the type of
// a CSV column; and the answers.
type difference struct {
	line                        int
	expr, at, as                string
	sluice, duck, postgres, why string
}

// differences are the rows of the document's tables.
func differences(t *testing.T) (all []difference) {
	t.Helper()
	for n, l := range strings.Split(read(t, dialectDoc), "\n") {
		if !strings.HasPrefix(l, "| `") {
			continue
		}
		cells := strings.Split(strings.ReplaceAll(strings.Trim(l, "| "), `\|`, "\x00"), " | ")
		for i := range cells {
			cells[i] = strings.ReplaceAll(cells[i], "\x00", "|")
		}
		if len(cells) != 5 {
			t.Fatalf("%s:%d: %d cells, want expression, Sluice, DuckDB, PostgreSQL, why", dialectDoc, n+1, len(cells))
		}
		e, at, _ := strings.Cut(cells[0], "` at `")
		e, as, _ := strings.Cut(e, "` as `")
		all = append(all, difference{line: n + 1, expr: strings.Trim(e, "`"), at: strings.Trim(at, "`"), as: strings.Trim(as, "`"),
			sluice: cells[1], duck: cells[2], postgres: cells[3], why: cells[4]})
	}
	return all
}

// TestDialect: what docs/dialect.md says of Sluice and of DuckDB is so, and every expression that differential_excluded.txt leaves out
// is in it.
func TestDialect(t *testing.T) {
	d := newDifferential(t)
	execute(t, d.db, "DROP MACRO to_char") // DuckDB itself has none
	seen := map[string]bool{}
	for _, x := range differences(t) {
		if x.as != "" {
			continue
		}
		seen[x.expr] = true
		at := fmt.Sprintf("%s:%d: %s", dialectDoc, x.line, x.expr)
		if got := d.sluiceCell(t, x.expr, x.at); !sameCell(got, x.sluice) {
			t.Errorf("%s: Sluice gives %s, not %s", at, got, x.sluice)
		}
		if got := d.duckCell(t, x.expr, x.at); !sameCell(got, x.duck) {
			t.Errorf("%s: DuckDB gives %s, not %s", at, got, x.duck)
		}
		if x.postgres == "" || x.why == "" {
			t.Errorf("%s: PostgreSQL's answer or the reason is missing", at)
		}
	}
	for _, l := range lines(t, lists+"differential_excluded.txt") {
		if e, _, _ := strings.Cut(l, "\t"); !seen[e] {
			t.Errorf("%s does not explain why %q is left out", dialectDoc, e)
		}
	}
	if len(seen) < 60 {
		t.Errorf("%s has only %d expressions", dialectDoc, len(seen))
	}
}

// sluiceCell is what the worker makes of an expression in one row: a value, "error" if it rejects the row, "refused" if it does not
// take the pipeline file.
func (d *differential) sluiceCell(t *testing.T, e, at string) string {
	t.Helper()
	k := 1
	if at != "" {
		k = int(query(t, d.db, "SELECT k FROM fixture WHERE "+at).Rows[0][0].(int32))
	}
	file, out := d.pipeline(t, []string{e})
	rec, err := RunWorker(t.Context(), worker, "run", "-p", file, "--input", d.csv)
	if err != nil {
		if !strings.Contains(err.Error(), `"kind":"usage"`) {
			t.Fatal(err)
		}
		return "refused"
	}
	bad, err := ReadQuarantine(out+"-bad", rec.RunID)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range bad {
		if strings.HasPrefix(r.Raw, strconv.Itoa(k)+",") {
			return "error"
		}
	}
	res := query(t, d.db, fmt.Sprintf("SELECT e0 FROM %s WHERE k = %d", parts(out), k))
	return cell(res.Rows[0][0], res.Classes[0])
}

func (d *differential) duckCell(t *testing.T, e, at string) string {
	t.Helper()
	if at == "" {
		at = "k = 1"
	}
	res, err := Query(t.Context(), d.db, fmt.Sprintf("SELECT (%s) FROM fixture WHERE %s", e, at))
	if err != nil {
		return "error"
	}
	return cell(res.Rows[0][0], res.Classes[0])
}

// cell is a single value as the document writes it.
func cell(value any, class Class) string {
	switch v := value.(type) {
	case nil:
		return "null"
	case string:
		return Quote(v)
	case float64:
		return strings.TrimPrefix(strconv.FormatFloat(v, 'g', -1, 64), "+")
	case float32:
		return strings.TrimPrefix(strconv.FormatFloat(float64(v), 'g', -1, 32), "+")
	case duckdb.Decimal:
		return v.String()
	case time.Time:
		if class == Date {
			return v.Format(time.DateOnly)
		}
		return v.UTC().Format("2006-01-02 15:04:05.999999")
	case duckdb.Interval:
		return "interval"
	default:
		return fmt.Sprint(v)
	}
}

// sameCell: the same text, or, of a number that the document gives as "about", the same to 12 digits.
func sameCell(got, want string) bool {
	about, ok := strings.CutPrefix(want, "about ")
	if !ok {
		return got == want
	}
	x, err1 := strconv.ParseFloat(got, 64)
	y, err2 := strconv.ParseFloat(about, 64)
	return err1 == nil && err2 == nil && Same(x, y, 1e-12)
}

// TestRejectedRows: what the worker rejects is an error in DuckDB too, row by row, and every other row has the same value.
func TestRejectedRows(t *testing.T) {
	d := newDifferential(t)
	list := lines(t, filepath.Join("testdata", "rejected.txt"))
	for _, e := range list {
		file, _ := d.pipeline(t, []string{e})
		if _, err := Command(t.Context(), worker, "validate", "-p", file, "--input", d.csv); err != nil {
			if !strings.Contains(err.Error(), "exit status 2") {
				t.Fatal(err)
			}
			if theirs, class := d.theirs(t, e); class != "" {
				t.Errorf("%s: refused, DuckDB gives %s", e, theirs[1])
			}
			continue
		}
		ours, class := d.ours(t, e)
		if !d.compare(t, e, ours, class) {
			t.Errorf("%s: no row is rejected", e)
		}
	}
	if len(list) < 60 {
		t.Errorf("compared %d expressions, at least 60 are wanted", len(list))
	}
}
