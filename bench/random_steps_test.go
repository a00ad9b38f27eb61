package bench

import (
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"testing"
)

// TestRandomSteps: pipelines of steps that SQL has other words for, made at random over the rows of the fixture, give the same rows as the DuckDB query beside them.
func TestRandomSteps(t *testing.T) {
	wanted, seed := draws(t, 273, 20261129)
	d := newDifferential(t)
	write(t, filepath.Join(d.dir, "refs.csv"), refs)
	execute(t, d.db, "CREATE VIEW input AS SELECT * FROM fixture")
	execute(t, d.db, "CREATE TABLE refs AS SELECT * FROM "+ReadCSV(filepath.Join(d.dir, "refs.csv"), [][2]string{{"id", "int32"}, {"name", "string"}, {"weight", "decimal(9,2)"}}, ""))
	g := &stepLists{statements{grammar{rand.New(rand.NewPCG(seed, 5))}}, Quote(filepath.Join(d.dir, "refs.csv"))}
	shapes := []func() (steps, sql string){g.unnest, g.unpivot, g.pivot, g.fill, g.tumbling, g.hopping, g.sessions, g.union, g.sample, g.dedupe, g.top, g.lookup, g.windows}
	seen := map[string]bool{}
	filled := 0
	for n := 0; len(seen) < wanted; n++ {
		steps, sql := shapes[n%len(shapes)]()
		if seen[sql] {
			continue
		}
		seen[sql] = true
		want, got := query(t, d.db, sql), d.steps(t, steps)
		sortRows(want)
		sortRows(got)
		if len(want.Rows) == 0 && len(got.Rows) == 0 {
			continue
		}
		filled++
		if diff := Diff(want, got, 0); diff != "" {
			t.Errorf("%s\n%s\n%s", steps, sql, diff)
		}
	}
	if filled < wanted/2 {
		t.Errorf("only %d of %d pipelines give any rows: little is compared", filled, wanted)
	}
}

// steps runs the worker with a list of them.
func (d *differential) steps(t *testing.T, steps string) *Table {
	t.Helper()
	d.runs++
	out := filepath.Join(d.dir, fmt.Sprint("out", d.runs))
	file := filepath.Join(d.dir, "p.yaml")
	write(t, file, fmt.Sprintf("version: 1\nname: steps-%d\nsource: {format: csv, csv: {null_values: ['\\N'], header: true, delimiter: ','}}\n%ssteps:\n%ssink: {uri: %s}\n",
		d.runs, schemaYAML(fixture), steps, Quote(out+"/")))
	runWorker(t, "run", "-p", file, "--input", d.csv)
	return query(t, d.db, "SELECT * FROM "+parts(out))
}

// stepLists makes a list of steps and a query that says the same.
type stepLists struct {
	statements
	refs string
}

// kept is a filter, or none, in both.
func (g *stepLists) kept() (step, where string) {
	if g.chance(2) {
		return "", ""
	}
	c := g.expr("bool", 2)
	return "  - filter: " + Quote(c) + "\n", " WHERE " + c
}

func derive(names []string, exprs ...string) string {
	s := "  - derive:\n"
	for i, n := range names {
		s += "      " + n + ": " + Quote(exprs[i]) + "\n"
	}
	return s
}

func (g *stepLists) unnest() (string, string) {
	kind := g.one("small", "text", "date", "bool")
	var elems []string
	for range 1 + g.r.IntN(4) {
		elems = append(elems, g.expr(kind, 1))
	}
	list := "ARRAY[" + strings.Join(elems, ", ") + "]"
	if g.chance(2) {
		list = "CASE WHEN " + g.expr("bool", 1) + " THEN " + list + " END"
	}
	step, where := g.kept()
	return step + derive([]string{"l"}, list) + "  - unnest: {column: l, as: e, with_ordinality: n}\n  - select: [k, e, n]\n",
		fmt.Sprintf("SELECT k, unnest(l) AS e, generate_subscripts(l, 1) AS n FROM (SELECT k, %s AS l FROM input%s)", list, where)
}

func (g *stepLists) unpivot() (string, string) {
	kind := g.one("small", "text", "date", "dec", "float")
	exprs := []string{g.expr(kind, 1), g.expr(kind, 1), g.expr(kind, 1)}
	typ := map[string]string{"small": "bigint", "text": "text", "date": "date", "dec": "decimal(30,6)", "float": "float8"}[kind]
	for i, e := range exprs {
		exprs[i] = "(" + e + ")::" + typ
	}
	step, where := g.kept()
	nulls, include := "", "INCLUDE NULLS "
	if g.chance(2) {
		nulls, include = ", nulls: drop", ""
	}
	return step + derive([]string{"x", "y", "z"}, exprs...) + "  - select: [k, x, y, z]\n  - unpivot: {columns: [x, z, y], name: which, value: v" + nulls + "}\n",
		fmt.Sprintf("FROM (SELECT k, %s AS x, %s AS y, %s AS z FROM input%s) UNPIVOT %s(v FOR which IN (x, z, y))", exprs[0], exprs[1], exprs[2], where, include)
}

func (g *stepLists) pivot() (string, string) {
	on := fmt.Sprintf("CASE WHEN %s THEN 'x' WHEN %s THEN 'y' WHEN %s THEN 'other' END", g.expr("bool", 1), g.expr("bool", 1), g.expr("bool", 1))
	key, m := g.key(), g.measure()
	for strings.Contains(m, "FILTER") || strings.HasPrefix(m, "count(*)") {
		m = g.measure()
	}
	step, where := g.kept()
	filtered := func(v string) string { return fmt.Sprintf("%s FILTER (WHERE o = '%s')", m, v) }
	return step + derive([]string{"o", "key"}, on, key) + fmt.Sprintf("  - pivot: {on: o, values: [x, y], using: %s, by: [key]}\n", Quote(m)),
		fmt.Sprintf("SELECT key, %s AS x, %s AS y FROM (SELECT *, %s AS o, %s AS key FROM input%s) GROUP BY key", filtered("x"), filtered("y"), on, key, where)
}

func (g *stepLists) fill() (string, string) {
	v, key := "CASE WHEN "+g.expr("bool", 1)+" THEN "+g.expr(g.one("small", "text", "date"), 1)+" END", g.key()
	step, where := g.kept()
	order := g.one("k", "k DESC")
	return step + derive([]string{"v", "key"}, v, key) + "  - fill: {forward: [v], by: [key], order_by: " + strings.ToLower(order) + "}\n  - select: [k, key, v]\n",
		fmt.Sprintf("SELECT k, key, last_value(v IGNORE NULLS) OVER (PARTITION BY key ORDER BY %s ROWS UNBOUNDED PRECEDING) AS v FROM (SELECT k, %s AS v, %s AS key FROM input%s)", order, v, key, where)
}

// at is a time of the row, in both engines of a range that has windows.
func (g *stepLists) at() string {
	return fmt.Sprintf("coalesce(CASE WHEN ts > TIMESTAMP '1900-01-01' AND ts < TIMESTAMP '2200-01-01' THEN ts END, TIMESTAMP '2024-02-%02d %02d:00:00') + INTERVAL '1 hour' * coalesce(%s, 0)",
		1+g.r.IntN(29), g.r.IntN(24), g.expr("small", 1))
}

func (g *stepLists) tumbling() (string, string) {
	at, key, m := g.at(), g.key(), g.measure()
	size := g.one("1h", "6h", "1d", "2w")
	step, where := g.kept()
	return step + derive([]string{"tm", "key"}, at, key) + fmt.Sprintf("  - aggregate: {by: [key], window: {tumbling: %s, on: tm}, measures: {n: count(*), m: %s}}\n", size, Quote(m)),
		fmt.Sprintf("SELECT key, w AS window_start, w + %s AS window_end, count(*) AS n, %s AS m FROM (SELECT *, time_bucket(%s, tm, TIMESTAMP '2000-01-03') AS w FROM (SELECT *, %s AS tm, %s AS key FROM input%s)) GROUP BY key, w",
			span(size), m, span(size), at, key, where)
}

// span is a window's size as DuckDB's interval.
func span(size string) string {
	unit := map[byte]string{'h': "HOUR", 'd': "DAY", 'w': "WEEK"}[size[len(size)-1]]
	return "INTERVAL " + size[:len(size)-1] + " " + unit
}

func (g *stepLists) hopping() (string, string) {
	at, m := g.at(), g.measure()
	step, where := g.kept()
	return step + derive([]string{"tm"}, at) + fmt.Sprintf("  - aggregate: {window: {hopping: {size: 3d, every: 1d}, on: tm}, measures: {n: count(*), m: %s}}\n", Quote(m)),
		fmt.Sprintf("SELECT w AS window_start, w + INTERVAL 3 DAY AS window_end, count(*) AS n, %s AS m FROM (SELECT *, time_bucket(INTERVAL 1 DAY, tm, TIMESTAMP '2000-01-03') - INTERVAL 1 DAY * unnest([0, 1, 2]) AS w FROM (SELECT *, %s AS tm FROM input%s)) GROUP BY w",
			m, at, where)
}

func (g *stepLists) sessions() (string, string) {
	at, key, m := g.at(), g.key(), g.measure()
	gap := g.one("1h", "2d", "4w")
	step, where := g.kept()
	return step + derive([]string{"tm", "key"}, at, key) + fmt.Sprintf("  - aggregate: {by: [key], window: {session: %s, on: tm}, measures: {n: count(*), m: %s}}\n", gap, Quote(m)),
		fmt.Sprintf(`SELECT key, min(tm) AS window_start, max(tm) + %s AS window_end, count(*) AS n, %s AS m FROM (
			SELECT *, sum(starts) OVER (PARTITION BY key ORDER BY tm) AS session FROM (
				SELECT *, CASE WHEN lag(tm) OVER (PARTITION BY key ORDER BY tm) + %s > tm THEN 0 ELSE 1 END AS starts FROM (SELECT *, %s AS tm, %s AS key FROM input%s)))
			GROUP BY key, session`, span(gap), m, span(gap), at, key, where)
}

func (g *stepLists) union() (string, string) {
	step, where := g.kept()
	a, name := g.expr("small", 1), g.expr("text", 1)
	ours, theirs := "", "SELECT id AS a, name, weight FROM refs"
	if g.chance(2) {
		ours, theirs = "{filter: id > 1}, ", theirs+" WHERE id > 1"
	}
	s := step + derive([]string{"a", "name"}, "("+a+")::bigint", name) + "  - select: [k, a, name]\n" +
		fmt.Sprintf("  - union: {uri: %s, csv: {null_values: ['']}, schema: {columns: {id: int32, name: string, weight: 'decimal(9,2)'}}, steps: [%s{rename: {id: a}}]}\n", g.refs, ours)
	sql := fmt.Sprintf("SELECT k, (%s)::bigint AS a, %s AS name FROM input%s UNION ALL BY NAME %s", a, name, where, theirs)
	if g.chance(2) {
		return s + "  - aggregate: {by: [a], measures: {n: count(*), w: sum(weight), m: max(name)}}\n", "SELECT a, count(*) AS n, sum(weight) AS w, max(name) AS m FROM (" + sql + ") GROUP BY a"
	}
	return s, sql
}

// sample compares how many rows stay, and that they are the input's: which ones is each engine's own affair.
func (g *stepLists) sample() (string, string) {
	n := g.r.IntN(20)
	step, where := g.kept()
	return step + fmt.Sprintf("  - sample: {rows: %d, seed: %d}\n  - aggregate: {measures: {n: count(*), d: count(distinct k)}}\n", n, g.r.IntN(100)),
		fmt.Sprintf("SELECT least(%d, count(*)) AS n, least(%d, count(*)) AS d FROM input%s", n, n, where)
}

// ordered derives a key, an order and a value, of which k settles what is equal.
func (g *stepLists) ordered() (step, rows, order string) {
	key, o, v := g.key(), g.expr(g.one("small", "text", "date", "dec"), 1), g.expr(g.one(sureKinds...), 1)
	step, where := g.kept()
	return step + derive([]string{"key", "o", "v"}, key, o, v), fmt.Sprintf("(SELECT k, %s AS key, %s AS o, %s AS v FROM input%s)", key, o, v, where), "o" + g.direction()
}

// backwards is an order from its end.
var backwards = strings.NewReplacer("ASC", "DESC", "DESC", "ASC", "FIRST", "LAST", "LAST", "FIRST")

func (g *stepLists) dedupe() (string, string) {
	step, rows, order := g.ordered()
	keep, by, sql := g.one("first", "last"), "", "k"
	if g.chance(2) {
		by, sql = ", order_by: "+strings.ToLower(order), order+", k"
	}
	if keep == "last" {
		sql = backwards.Replace(strings.TrimSuffix(sql, "k")) + "k DESC"
	}
	return step + fmt.Sprintf("  - dedupe: {keys: [key], keep: %s%s}\n  - select: [k, key, o, v]\n", keep, by),
		fmt.Sprintf("SELECT k, key, o, v FROM %s QUALIFY row_number() OVER (PARTITION BY key ORDER BY %s) = 1", rows, sql)
}

func (g *stepLists) top() (string, string) {
	step, rows, order := g.ordered()
	n := 1 + g.r.IntN(4)
	by, partition := "by: [key], ", "PARTITION BY key "
	if g.chance(4) {
		by, partition = "", ""
	}
	return step + fmt.Sprintf("  - top: {n: %d, %sorder_by: %s}\n  - select: [k, key, o, v]\n", n, by, strings.ToLower(order)),
		fmt.Sprintf("SELECT k, key, o, v FROM %s QUALIFY row_number() OVER (%sORDER BY %s, k) <= %d", rows, partition, order, n)
}

func (g *stepLists) lookup() (string, string) {
	on := "(" + g.expr("small", 1) + ")::int"
	table := fmt.Sprintf("uri: %s, csv: {null_values: ['']}, schema: {columns: {id: int32, name: string, weight: 'decimal(9,2)'}}, on: {%s: id}", g.refs, Quote(on))
	step, where := g.kept()
	if g.chance(3) {
		join := g.one("semi", "anti")
		return step + fmt.Sprintf("  - lookup: {%s, join: %s}\n  - select: [k]\n", table, join),
			fmt.Sprintf("SELECT k FROM input %s JOIN refs ON %s = id%s", strings.ToUpper(join), on, where)
	}
	missing, join := `"null"`, "LEFT"
	if g.chance(2) {
		missing, join = "drop", "JOIN"
	}
	join = strings.TrimSuffix(join, "JOIN") + " JOIN"
	return step + fmt.Sprintf("  - lookup: {%s, add: {n: name, w: weight}, missing: %s, duplicates: all}\n  - select: [k, n, w]\n", table, missing),
		fmt.Sprintf("SELECT k, name AS n, weight AS w FROM input %s refs ON %s = id%s", join, on, where)
}

func (g *stepLists) windows() (string, string) {
	step, rows, order := g.ordered()
	var columns, sql []string
	for i := range 1 + g.r.IntN(3) {
		call := g.one("row_number()", "rank()", "dense_rank()", "ntile(3)", "lag(v)", "lead(o, 2)", "first_value(v)", "count(v)", "min(o)", "max(k)")
		frame := ""
		if strings.HasSuffix(call, "(v)") || strings.HasPrefix(call, "m") {
			frame = g.one("", " rows between 2 preceding and 1 following", " rows between unbounded preceding and current row", " rows between 1 following and 3 following")
		}
		if strings.HasPrefix(call, "lag") {
			frame = ""
		}
		columns = append(columns, fmt.Sprintf("c%d: %s", i, Quote(call+frame)))
		sql = append(sql, fmt.Sprintf("%s OVER (PARTITION BY key ORDER BY %s, k%s) AS c%d", call, order, frame, i))
	}
	return step + fmt.Sprintf("  - window: {partition_by: [key], order_by: [%s, k], columns: {%s}}\n  - drop: [i, j, f, g, d, s, t, b, dt, ts]\n", strings.ToLower(order), strings.Join(columns, ", ")),
		fmt.Sprintf("SELECT k, key, o, v, %s FROM %s", strings.Join(sql, ", "), rows)
}
