package expr

import (
	"fmt"
	"strings"
	"testing"

	"github.com/apache/arrow/go/v17/arrow/memory"
)

// TestFewDistinctValues: a function that is evaluated on the distinct values of a batch gives the same values and errors, row
// by row, as for each row alone, also where a branch selects rows; and so where values do not recur.
func TestFewDistinctValues(t *testing.T) {
	mem := memory.NewCheckedAllocator(memory.NewGoAllocator())
	defer mem.AssertSize(t, 0)
	for _, distinct := range []int{1, 7, 100, 600, 5000} {
		table := parseFixture(t, "table: k int32, s string, b binary")
		for i := range 3000 {
			v := (i * 7919) % distinct
			cell, bin := fmt.Sprintf("v%d-%%C3%%A9", v), "YQ=="
			if v%5 == 3 {
				cell, bin = "NULL", "NULL"
			} else if v%7 == 2 {
				cell = fmt.Sprintf("%d(", v)
			}
			table.rows = append(table.rows, []string{fmt.Sprint(i % 11), cell, bin})
		}
		rec := table.record(t, mem, fixtureRows(len(table.rows)).all())
		for _, src := range []string{
			"regexp_replace(s, '[0-9]', 'd', 'g')", "s ~ '1.*2'", "regexp_substr(s, '[3-5]+')", "regexp_match(s, '(v)(.)')", "md5(s)", "sha256(b)", "hmac_sha256(s, 'EXAMPLE_SECRET')",
			"'1' ~ s", "regexp_count(s, '[0-9]')", "CASE WHEN k > 5 THEN 'v12' ~ s WHEN k > 3 THEN s ~ '1' END", "regexp_replace(s, 'v', k::text)",
		} {
			p, err := Compile(src, table.schema, testEnv)
			if err != nil {
				t.Fatalf("%s: %v", src, err)
			}
			whole := evalText(t, mem, p, rec)
			var parts []string
			for lo := int64(0); lo < rec.NumRows(); lo += fewRows / 2 {
				part := rec.NewSlice(lo, min(lo+fewRows/2, rec.NumRows()))
				parts = append(parts, evalText(t, mem, p, part)...)
				part.Release()
			}
			if got, want := strings.Join(whole, "\n"), strings.Join(parts, "\n"); got != want {
				t.Errorf("%s over %d values differs from batch by batch", src, distinct)
			}
			if strings.Contains(src, "~ s") && distinct > 2 && !strings.Contains(strings.Join(whole, "\n"), "missing closing )") {
				t.Errorf("%s over %d values raised no error", src, distinct)
			}
		}
		rec.Release()
	}
}
