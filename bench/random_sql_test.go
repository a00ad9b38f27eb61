package bench

import (
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// refs is a reference table: some keys are not in it, one is there twice.
const refs = "id,name,weight\n0,zero,0.5\n1,one,1.25\n2,zwei,-3\n2,two,4\n3,,0\n5,日本,99.75\n"

// TestRandomStatements: SQL statements made at random, over rows with nulls, extremes and Unicode, give the same rows in the worker, whose pipeline file holds
// them under sql:, as in DuckDB, to which they go as they are.
func TestRandomStatements(t *testing.T) {
	wanted, seed := draws(t, 1000, 20261128)
	d := newStatements(t)
	g := &statements{grammar{rand.New(rand.NewPCG(seed, 4))}}
	shapes := []func() statement{g.rows, g.groups, g.window, g.distinct, g.nested, g.join, g.groupedJoin, g.overGroups, g.union, g.elements}
	seen := map[string]bool{}
	filled := 0
	for n := 0; len(seen) < wanted; n++ {
		s := shapes[n%len(shapes)]()
		if seen[s.sql] {
			continue
		}
		seen[s.sql] = true
		want := query(t, d.db, s.sql)
		got := d.statement(t, s.sql)
		if !s.ordered {
			sortRows(want)
			sortRows(got)
		}
		if len(want.Rows) == 0 && len(got.Rows) == 0 { // there is no type to compare either
			continue
		}
		filled++
		if diff := Diff(want, got, 0); diff != "" {
			t.Errorf("%s\n%s", s.sql, diff)
		}
	}
	if filled < wanted/2 {
		t.Errorf("only %d of %d statements give any rows: little is compared", filled, wanted)
	}
}

// newStatements is the fixture as input, beside the reference table.
func newStatements(t *testing.T) *differential {
	t.Helper()
	d := newDifferential(t)
	write(t, filepath.Join(d.dir, "refs.csv"), refs)
	execute(t, d.db, "CREATE VIEW input AS SELECT * FROM fixture")
	execute(t, d.db, "CREATE TABLE refs AS SELECT * FROM "+ReadCSV(filepath.Join(d.dir, "refs.csv"), [][2]string{{"id", "int32"}, {"name", "string"}, {"weight", "decimal(9,2)"}}, ""))
	execute(t, d.db, "SET order_by_non_integer_literal = true") // a constant orders nothing
	return d
}

// statement runs the worker with one.
func (d *differential) statement(t *testing.T, sql string) *Table {
	t.Helper()
	d.runs++
	out := filepath.Join(d.dir, fmt.Sprint("out", d.runs))
	file := filepath.Join(d.dir, "p.yaml")
	write(t, file, fmt.Sprintf(`version: 1
name: statement-%d
source: {format: csv, csv: {null_values: ['\N'], header: true, delimiter: ','}}
%slookups: {refs: {uri: %s, csv: {null_values: [""]}, schema: {columns: {id: int32, name: string, weight: "decimal(9,2)"}}}}
sql: %s
sink: {uri: %s}
`, d.runs, schemaYAML(fixture), Quote(filepath.Join(d.dir, "refs.csv")), Quote(sql), Quote(out+"/")))
	runWorker(t, "run", "-p", file, "--input", d.csv)
	return query(t, d.db, "SELECT * FROM "+parts(out))
}

func sortRows(t *Table) {
	slices.SortStableFunc(t.Rows, func(a, b []any) int {
		for i := range a {
			if c := strings.Compare(Show(a[i]), Show(b[i])); c != 0 {
				return c
			}
		}
		return 0
	})
}

// statement is one, and whether its ORDER BY settles the order of all rows.
type statement struct {
	sql     string
	ordered bool
}

// statements makes statements of expressions that cannot fail, in the words that both engines share.
type statements struct{ grammar }

// sure are the kinds of expressions that do not fail; those of keys have values that are equal or not, whatever the engine.
var (
	sureKinds = []string{"small", "dec", "float", "text", "bool", "date", "ts"}
	keyKinds  = []string{"small", "text", "bool", "date"}
)

func (g *statements) one(of ...string) string { return of[g.r.IntN(len(of))] }
func (g *statements) any() string             { return g.expr(g.one(sureKinds...), 2) }
func (g *statements) chance(n int) bool       { return g.r.IntN(n) == 0 }

func (g *statements) where() string {
	if g.chance(3) {
		return ""
	}
	return " WHERE " + g.expr("bool", 2)
}

func (g *statements) direction() string {
	return g.one(" ASC", " DESC") + g.one(" NULLS FIRST", " NULLS LAST")
}

func (g *statements) limit() string {
	if g.chance(2) {
		return ""
	}
	s := fmt.Sprintf(" LIMIT %d", g.r.IntN(30))
	if g.chance(2) {
		s += fmt.Sprintf(" OFFSET %d", g.r.IntN(10))
	}
	return s
}

func (g *statements) rows() statement {
	sql := fmt.Sprintf("SELECT k, %s AS a, %s AS b, %s AS c FROM input%s", g.any(), g.any(), g.any(), g.where())
	if g.chance(3) {
		return statement{sql, false}
	}
	return statement{sql + " ORDER BY " + g.one("a", "b", "c", "2", g.any()) + g.direction() + ", k" + g.one("", " DESC") + g.limit(), true}
}

// measure is an aggregate function over expressions, with a result that does not depend on the order of the rows.
func (g *statements) measure() string {
	m := g.one("count(*)", "count({any})", "sum({small})", "sum({dec})", "min({any})", "max({any})", "count(DISTINCT {key})", "bool_and({bool})", "bool_or({bool})", "min({text})", "max({date})")
	for _, k := range []string{"any", "small", "dec", "bool", "text", "date", "key"} {
		if strings.Contains(m, "{"+k+"}") {
			kind := k
			switch k {
			case "any":
				kind = g.one("small", "dec", "text", "date", "ts")
			case "key":
				kind = g.one(keyKinds...)
			}
			m = strings.ReplaceAll(m, "{"+k+"}", g.expr(kind, 1))
		}
	}
	switch e := "nullif(" + g.expr("small", 1) + ", k + 1000)"; g.r.IntN(8) { // no constant, which fails for all
	case 0, 1:
		m += " FILTER (WHERE " + g.expr("bool", 1) + ")"
	case 2: // which stands before an argument that fails elsewhere
		m = g.one("sum", "min", "count") + fmt.Sprintf("(100 %% (%s)) FILTER (WHERE (%[1]s) <> 0 AND (%s))", e, g.expr("bool", 1))
	}
	return m
}

// key is an expression of GROUP BY. Its column of the result has a name that is no column of the rows.
func (g *statements) key() string { return g.expr(g.one(keyKinds...), 2) }

func (g *statements) groups() statement {
	keys := []string{g.key(), g.key()}
	sql := fmt.Sprintf("SELECT %s AS x, %s AS y, %s AS m, %s AS n FROM input%s", keys[0], keys[1], g.measure(), g.measure(), g.where())
	switch g.r.IntN(3) {
	case 0:
		sql += " GROUP BY 1, 2"
	case 1:
		sql += " GROUP BY x, y"
	default:
		sql = fmt.Sprintf("SELECT count(*) AS n, %s AS x, %s AS m FROM input%s GROUP BY x", keys[0], g.measure(), g.where())
	}
	if g.chance(2) {
		sql += g.one(" HAVING count(*) > 1", " HAVING count(*) < 3 OR min(k) > 10", " HAVING max(k) % 2 = 0")
	}
	return statement{sql, false}
}

func (g *statements) window() statement {
	over := func() string {
		s := "ORDER BY " + g.any() + g.direction() + ", k"
		if !g.chance(4) {
			s = "PARTITION BY " + g.key() + " " + s
		}
		return s
	}
	w := over()
	column := func() string {
		if g.chance(3) {
			w = over()
		}
		f := g.one("row_number()", "rank()", "dense_rank()", "lag({x})", "lead({x}, 2)", "first_value({x})", "last_value({x})", "sum({small}) {frame}", "count(*) {frame}", "count({x}) {frame}",
			"min({small}) {frame}", "max({dec}) {frame}", "sum({dec})", "ntile(3)")
		frame := g.one("ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW", "ROWS BETWEEN 2 PRECEDING AND 1 FOLLOWING", "ROWS BETWEEN 1 FOLLOWING AND 3 FOLLOWING", "ROWS 3 PRECEDING",
			"GROUPS BETWEEN 2 PRECEDING AND CURRENT ROW", "GROUPS BETWEEN 1 FOLLOWING AND 2 FOLLOWING", "")
		framed := strings.Contains(f, "{frame}")
		f = strings.TrimSpace(strings.ReplaceAll(f, "{frame}", ""))
		f = strings.ReplaceAll(strings.ReplaceAll(f, "{small}", g.expr("small", 1)), "{dec}", g.expr("dec", 1))
		f = strings.ReplaceAll(f, "{x}", g.expr(g.one("small", "text", "date"), 1))
		if !framed {
			frame = ""
		}
		if framed && g.chance(4) {
			f += " FILTER (WHERE " + g.expr("bool", 1) + ")"
		}
		if framed && g.chance(4) { // by values of one order
			return fmt.Sprintf("%s OVER (PARTITION BY %s ORDER BY %s RANGE BETWEEN %s)", f, g.key(), g.one("k", "k DESC", "i % 100", "(j % 100) DESC NULLS LAST", "(i % 7) NULLS FIRST"),
				g.one("2 PRECEDING AND CURRENT ROW", "1 PRECEDING AND 3 FOLLOWING", "UNBOUNDED PRECEDING AND 5 FOLLOWING", "2 FOLLOWING AND 4 FOLLOWING"))
		}
		return fmt.Sprintf("%s OVER (%s)", f, strings.TrimSpace(w+" "+frame))
	}
	sql := fmt.Sprintf("SELECT k, %s AS v, %s AS w, %s AS x FROM input%s", column(), column(), g.any(), g.where())
	if g.chance(3) {
		sql += fmt.Sprintf(" QUALIFY row_number() OVER (%s) <= 2", over()) + g.one("", " AND x IS NOT NULL", " OR w IS NULL AND k > 3")
	}
	return statement{sql, false}
}

func (g *statements) distinct() statement {
	return statement{fmt.Sprintf("SELECT DISTINCT %s AS x, %s AS y FROM input%s", g.key(), g.key(), g.where()), false}
}

func (g *statements) nested() statement {
	inner := fmt.Sprintf("SELECT *, %s AS p, %s AS q FROM input%s", g.expr("small", 2), g.expr("text", 2), g.where())
	if g.chance(2) {
		return statement{fmt.Sprintf("WITH a AS (%s) SELECT a.p, count(*) AS n, max(q) AS m FROM a WHERE q IS NOT NULL GROUP BY a.p ORDER BY p NULLS FIRST", inner), true}
	}
	return statement{fmt.Sprintf("SELECT k, p + 1 AS p1, q || '!' AS q1 FROM (%s) AS z WHERE z.p %s 3 ORDER BY k DESC%s", inner, g.one("<", ">", "<>"), g.limit()), true}
}

func (g *statements) join() statement {
	on := g.one("refs.id = i % 7", "i % 7 = refs.id", "("+g.expr("small", 1)+")::int = refs.id")
	if g.chance(4) {
		return statement{fmt.Sprintf("SELECT k, %s AS a FROM input %s JOIN refs ON %s%s", g.any(), g.one("SEMI", "ANTI"), on, g.where()), false}
	}
	return statement{fmt.Sprintf("SELECT k, refs.name AS name, refs.weight * 2 AS w, %s AS a FROM input %s JOIN refs ON %s%s", g.any(), g.one("LEFT", "INNER"), on, g.where()), false}
}

func (g *statements) groupedJoin() statement {
	return statement{fmt.Sprintf("SELECT r.name AS name, count(*) AS n, sum(r.weight) AS w, %s AS m FROM input LEFT JOIN refs AS r ON r.id = i %% 7%s GROUP BY r.name", g.measure(), g.where()), false}
}

// elements are of a list of each row, whose columns are called as others are.
func (g *statements) elements() statement {
	kind := g.one("small", "text", "date")
	list := fmt.Sprintf("ARRAY[%s, %s, %s]", g.expr(kind, 1), g.expr(kind, 1), g.expr(kind, 1))
	name := g.one("k", "i", "s", "e", "n")
	from := fmt.Sprintf("FROM input, UNNEST(%s) WITH ORDINALITY AS t(%s, place)%s", list, name, g.one("", " WHERE t."+name+" IS NOT NULL", " WHERE place < 3 AND input.k > 2"))
	switch g.r.IntN(3) {
	case 0:
		return statement{fmt.Sprintf("SELECT input.*, t.%s AS x, place %s", name, from), false}
	case 1:
		return statement{fmt.Sprintf("SELECT t.%s AS x, count(*) AS c, max(input.k) AS m %s GROUP BY t.%[1]s", name, from), false}
	}
	return statement{fmt.Sprintf("SELECT input.k AS a, t.%s AS x, row_number() OVER (PARTITION BY t.%[1]s ORDER BY input.k, place) AS %[1]s %s", name, from), false}
}

// union is of the rows and the reference table, by place or by name.
func (g *statements) union() statement {
	sql := fmt.Sprintf("SELECT (%s)::bigint AS id, %s AS name FROM input%s", g.expr("small", 1), g.expr("text", 1), g.where())
	if g.chance(2) {
		sql += " UNION ALL BY NAME SELECT name, id, weight FROM refs"
	} else {
		sql += g.one(" UNION ALL", " UNION") + " SELECT id * 2, coalesce(name, 'none') FROM refs" + g.one("", " WHERE id < 3")
	}
	if g.chance(2) {
		return statement{fmt.Sprintf("SELECT id, count(*) AS n, max(name) AS m FROM (%s) AS u GROUP BY id HAVING count(*) > %d", sql, g.r.IntN(2)), false}
	}
	return statement{sql, false}
}

func (g *statements) overGroups() statement {
	return statement{fmt.Sprintf("SELECT x, n, rank() OVER (ORDER BY n DESC) AS r FROM (SELECT %s AS x, count(*) AS n FROM input%s GROUP BY 1) AS q QUALIFY rank() OVER (ORDER BY n DESC) <= 3", g.key(), g.where()), false}
}
