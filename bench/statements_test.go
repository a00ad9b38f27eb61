package bench

import "testing"

// statementsAlike are SQL statements that mean the same to DuckDB, where they go as they are. Their rows come in any order, and each gives at least one.
var statementsAlike = []string{
	// FILTER over a window leaves out rows for which an argument would fail, and nulls are no such rows to functions that pass over them.
	"SELECT k, regr_count(g, 7 % i) FILTER (WHERE i <> 0) OVER (ORDER BY k) AS c, arg_min(t, i) FILTER (WHERE i > 0) OVER (ORDER BY k) AS a, max_by(dt, k) FILTER (WHERE b) OVER () AS m FROM input",
}

// TestStatements holds the worker's rows of each statement against DuckDB's.
func TestStatements(t *testing.T) {
	d := newDifferential(t)
	write(t, d.dir+"/refs.csv", refs)
	execute(t, d.db, "CREATE VIEW input AS SELECT * FROM fixture")
	for _, sql := range statementsAlike {
		want, got := query(t, d.db, sql), d.statement(t, sql)
		sortRows(want)
		sortRows(got)
		if len(want.Rows) == 0 {
			t.Errorf("%s\ngives no row", sql)
		}
		if diff := Diff(want, got, 0); diff != "" {
			t.Errorf("%s\n%s", sql, diff)
		}
	}
}
