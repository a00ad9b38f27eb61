package query

import (
	"errors"
	"testing"

	"github.com/sluice-data/sluice/internal/fail"
	"github.com/sluice-data/sluice/internal/spec"
)

// FuzzStatement: whatever stands under sql:, the steps come or an error with its place; nothing panics.
func FuzzStatement(f *testing.F) {
	for _, s := range []string{"SELECT * FROM input", "SELECT a, sum(b) OVER (PARTITION BY c ORDER BY d ROWS 1 PRECEDING) AS s FROM input t JOIN zones z ON t.a = z.b QUALIFY s > 1",
		"WITH q AS (SELECT a AS b FROM input) SELECT b::int, count(*) FILTER (WHERE b > 1) AS n FROM q GROUP BY ROLLUP (b, (b)) HAVING n > 1 ORDER BY 2 DESC LIMIT 1 OFFSET 2;",
		"SELECT ((", "SELECT 'a' AS \"\" FROM input", "SELECT f(x) OVER (ORDER BY",
		"SELECT input.*, t.a AS e, rank() OVER (ORDER BY t.a, n) AS c FROM input, UNNEST(b) WITH ORDINALITY AS t(a, n) JOIN zones ON zones.id = t.a.x QUALIFY c / 2 > n", "SELECT i.* EXCLUDE (a), a FROM input i, UNNEST(i.b) AS a HAVING true"} {
		f.Add(s)
	}
	fns := Functions{Aggregate: func(n string) bool { return aggregates[n] }, Tables: []string{"zones"}}
	f.Fuzz(func(t *testing.T, statement string) {
		root, err := spec.Parse("p.yaml", []byte("sql: |2\n  "+statement+"\n"))
		if err != nil || root.Get("sql") == nil {
			return
		}
		for _, known := range [][]string{nil, {"a", "b", "n"}} {
			fns.Columns = known
			_, err = Steps(root.Get("sql"), fns)
			var e *fail.Error
			if err != nil && (!errors.As(err, &e) || e.Kind != fail.Usage || e.Line == 0) {
				t.Fatalf("%q: an error without kind or place: %v", statement, err)
			}
		}
	})
}
