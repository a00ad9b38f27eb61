package transforms

import (
	"strings"
	"testing"

	"github.com/sluice-data/sluice/transforms/agg"
)

// The example of every aggregate function in the reference gives what it says it does.
func TestAggregateExamples(t *testing.T) {
	const sales = `| total decimal(18,2) | user_id int64 | zone string |
| 2.50 | 7 | b |
| null | 7 | c |
| 4.00 | 8 | a |
`
	want := map[string]string{"approx_count_distinct": "2", "avg": "3.250000", "count": "3", "max": "4.00", "min": "2.50", "sum": "6.50",
		"any_value": "2.50", "approx_quantile": "4", "arg_max": "8", "arg_min": "7", "array_agg": `[null,"4","2.5"]`, "bit_and": "0", "bit_or": "15", "bit_xor": "8",
		"bool_and": "true", "bool_or": "true", "corr": "1", "count_if": "2", "covar_pop": "0.375", "covar_samp": "0.75", "first": "2.50", "last": "4.00",
		"histogram": `[{"count":2,"value":7},{"count":1,"value":8}]`, "median": "3.250000", "mode": "2.50", "percentile_cont": "3.250000", "percentile_disc": "2.50", "product": "10",
		"regr_avgx": "7.5", "regr_avgy": "3.25", "regr_count": "2", "regr_intercept": "-8", "regr_r2": "1", "regr_slope": "1.5", "regr_sxx": "0.5", "regr_sxy": "0.75", "regr_syy": "1.125",
		"stddev_pop": "0.75", "stddev_samp": "1.0606601717798212", "string_agg": "b/a/c", "top_k": "[7]", "var_pop": "0.5625", "var_samp": "1.125"}
	for _, name := range agg.Names() {
		f, _ := agg.Lookup(name)
		got := runCase(t, sales, "- aggregate: {measures: {m: \""+f.Example+"\"}}\n")
		row := strings.Split(got, "\n")
		if len(row) < 3 || !strings.HasPrefix(got, "gives:\n| m ") || row[2] != "| "+want[name]+" |" {
			t.Errorf("%s gives, in place of %s:\n%s", f.Example, want[name], got)
		}
	}
}
