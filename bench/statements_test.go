package bench

import "testing"

// statementsAlike are SQL statements that mean the same to DuckDB, where they go as they are. Their rows come in any order, and each gives at least one.
var statementsAlike = []string{
	// FILTER over a window leaves out rows for which an argument would fail, and nulls are no such rows to functions that pass over them.
	"SELECT k, regr_count(g, 7 % i) FILTER (WHERE i <> 0) OVER (ORDER BY k) AS c, arg_min(t, i) FILTER (WHERE i > 0) OVER (ORDER BY k) AS a, max_by(dt, k) FILTER (WHERE b) OVER () AS m FROM input",
	// Elements of the name of a column of the rows are another column; a star of the rows has no elements.
	"SELECT input.k AS a, t.k AS b FROM input, UNNEST(ARRAY[i, i % 7]) AS t(k)",
	"SELECT input.*, t.s AS e FROM input CROSS JOIN UNNEST(string_to_array(s, 'l')) AS t(s) WHERE input.k > 1 AND t.s <> ''",
	"SELECT input.* FROM input, UNNEST(ARRAY[1, 2]) AS t(e)",
	"SELECT t.k, max(input.k) AS m, count(*) AS n FROM input, UNNEST(ARRAY[i % 3, i % 2]) AS t(k) GROUP BY t.k",
	"SELECT input.k AS a, p.k AS b, row_number() OVER (PARTITION BY input.k ORDER BY o.k, p.k DESC NULLS LAST) AS n FROM input, UNNEST(ARRAY[1, 2]) AS o(k), UNNEST(ARRAY[o.k, o.k * 2, 7]) AS p(k)",
	"SELECT * FROM (SELECT k, e FROM input, UNNEST(ARRAY[i, 1]) AS t(e)) q, UNNEST(ARRAY[q.e, 3]) AS u(f) WHERE e = 1",
	"SELECT k AS id, s AS name FROM input UNION ALL SELECT refs.id, t.name FROM refs, UNNEST(string_to_array(refs.name, 'e')) AS t(name) WHERE t.name <> 'n'",
	"SELECT k AS id, s AS name FROM input UNION ALL SELECT id, piece FROM refs, UNNEST(string_to_array(name, 'e')) AS t(piece) WHERE piece <> refs.name",
	// A join by a column that another one brings.
	"SELECT k, b.name AS next FROM input LEFT JOIN refs AS a ON a.id = i % 7 JOIN refs AS b ON b.id = a.id + 1",
	// A window's column may be called as one of the rows.
	"SELECT k, lag(i) OVER (ORDER BY k) AS i, sum(k) OVER (PARTITION BY b) AS s FROM input WHERE input.i IS NOT NULL",
	"SELECT k % 3 AS k, rank() OVER (ORDER BY count(*), k % 3) AS i FROM input GROUP BY k % 3",
	// QUALIFY takes columns of the result, after those of the rows.
	"SELECT k, k + 1 AS y, sum(k) OVER (PARTITION BY b ORDER BY k) / 2.0 AS half FROM input QUALIFY half > 3 AND -y < -4 AND row_number() OVER (PARTITION BY y % 3 ORDER BY k) < 3",
	"SELECT k, lag(k) OVER (ORDER BY k) AS i FROM input QUALIFY i > 5",
	"SELECT b, max(k) AS m, upper(b::text) AS z, rank() OVER (ORDER BY max(k)) + 1 AS r FROM input GROUP BY b QUALIFY r > 1 AND m > 2 AND z <> 'X'",
	"SELECT k, lag(k) OVER (ORDER BY k) AS v, lag(k) OVER (ORDER BY k) AS w FROM input QUALIFY w > 2",
	// HAVING makes one group where nothing else does.
	"SELECT 1 AS one FROM input HAVING true",
	"SELECT 'x' AS one, row_number() OVER () AS n FROM input WHERE k > 1000 HAVING 1 < 2",
}

// TestStatements holds the worker's rows of each statement against DuckDB's.
func TestStatements(t *testing.T) {
	d := newStatements(t)
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
