package transforms

import (
	"strings"
	"testing"

	"github.com/sluice-data/sluice/transforms/agg"
)

// The example of every aggregate function in the reference gives what it says it does.
func TestAggregateExamples(t *testing.T) {
	const sales = `| total decimal(18,2) | user_id int64 |
| 2.50 | 7 |
| null | 7 |
| 4.00 | 8 |
`
	want := map[string]string{"approx_count_distinct": "2", "avg": "3.250000", "count": "3", "max": "4.00", "min": "2.50", "sum": "6.50"}
	for _, name := range agg.Names() {
		f, _ := agg.Lookup(name)
		got := runCase(t, sales, "- aggregate: {measures: {m: \""+f.Example+"\"}}\n")
		row := strings.Split(got, "\n")
		if len(row) < 3 || !strings.HasPrefix(got, "gives:\n| m ") || row[2] != "| "+want[name]+" |" {
			t.Errorf("%s gives, in place of %s:\n%s", f.Example, want[name], got)
		}
	}
}
