package suite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/big"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/sluice-data/sluice/bench"
	"github.com/sluice-data/sluice/bench/workload"
)

// column is one of a relation's.
type column struct{ name, typ string }

// relation is a table expression of DuckDB's SQL with its columns.
type relation struct {
	from    string
	columns []column
}

func describe(ctx context.Context, db *sql.DB, from string) (relation, error) {
	t, err := bench.Query(ctx, db, "DESCRIBE SELECT * FROM "+from)
	if err != nil {
		return relation{}, err
	}
	r := relation{from: from}
	for _, row := range t.Rows {
		r.columns = append(r.columns, column{fmt.Sprint(row[0]), fmt.Sprint(row[1])})
	}
	return r, nil
}

var decimal = regexp.MustCompile(`^DECIMAL\((\d+),(\d+)\)$`)

// common is the type in which values of two types are compared, which holds both exactly; not ok if they are of different kinds.
func common(a, b string) (typ string, ok bool) {
	if a == b {
		return a, true
	}
	if x, y := decimal.FindStringSubmatch(a), decimal.FindStringSubmatch(b); x != nil && y != nil {
		scaleA, errA := strconv.Atoi(x[2])
		scaleB, errB := strconv.Atoi(y[2])
		return fmt.Sprintf("DECIMAL(38,%d)", max(scaleA, scaleB)), errA == nil && errB == nil
	}
	return "HUGEINT", strings.HasSuffix(a, "INT") && strings.HasSuffix(b, "INT") || strings.HasSuffix(a, "INTEGER") && strings.HasSuffix(b, "INT") ||
		strings.HasSuffix(a, "INT") && strings.HasSuffix(b, "INTEGER")
}

// pair is the columns that two relations have, in the same order and of the same kinds.
func pair(want, got relation) ([]column, error) {
	names := func(r relation) (out []string) {
		for _, c := range r.columns {
			out = append(out, c.name)
		}
		return out
	}
	if w, g := names(want), names(got); !slices.Equal(w, g) {
		return nil, fmt.Errorf("columns %v, want %v", g, w)
	}
	out := slices.Clone(want.columns)
	for i, c := range want.columns {
		typ, ok := common(c.typ, got.columns[i].typ)
		if !ok {
			return nil, fmt.Errorf("column %s is %s, want %s", c.name, got.columns[i].typ, c.typ)
		}
		out[i].typ = typ
	}
	return out, nil
}

// quote is a name as SQL has it.
func quote(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }

// sameRows holds two bags of rows to each other, in any order, by their number and the sum of a 64-bit hash of each.
func sameRows(ctx context.Context, db *sql.DB, want, got relation) (rows int64, err error) {
	columns, err := pair(want, got)
	if err != nil {
		return 0, err
	}
	casts := make([]string, len(columns))
	for i, c := range columns {
		casts[i] = fmt.Sprintf("%s::%s", quote(c.name), c.typ)
	}
	w, g, err := both(ctx, db, want, got, "count(*), coalesce(sum(hash(hash("+strings.Join(casts, ", ")+"))), 0)")
	if err != nil {
		return 0, err
	}
	rows, _ = w[0].(int64)
	switch {
	case rows == 0:
		return 0, errors.New("no rows to compare")
	case !bench.Same(w[0], g[0], 0):
		return rows, fmt.Errorf("%v rows, want %v", g[0], w[0])
	case w[1].(*big.Int).Cmp(g[1].(*big.Int)) != 0:
		return rows, difference(ctx, db, want, got, columns, casts)
	}
	return rows, nil
}

// both evaluates aggregates over two relations.
func both(ctx context.Context, db *sql.DB, want, got relation, exprs string) (w, g []any, err error) {
	var out [2][]any
	for i, r := range []relation{want, got} {
		t, err := bench.Query(ctx, db, "SELECT "+exprs+" FROM "+r.from)
		if err != nil {
			return nil, nil, err
		}
		out[i] = t.Rows[0]
	}
	return out[0], out[1], nil
}

// difference says in which column two bags of rows differ that are known to.
func difference(ctx context.Context, db *sql.DB, want, got relation, columns []column, casts []string) error {
	exprs := make([]string, 0, 2*len(columns))
	for i, c := range columns {
		exprs = append(exprs, "count("+quote(c.name)+")", "coalesce(sum(hash("+casts[i]+")), 0)")
	}
	w, g, err := both(ctx, db, want, got, strings.Join(exprs, ", "))
	if err != nil {
		return err
	}
	for i, c := range columns {
		if !bench.Same(w[2*i], g[2*i], 0) {
			return fmt.Errorf("column %s has %v values that are not null, want %v", c.name, g[2*i], w[2*i])
		}
		if !bench.Same(w[2*i+1], g[2*i+1], 0) {
			return fmt.Errorf("the values of column %s differ%s", c.name, example(ctx, db, want, got, casts[i]))
		}
	}
	return errors.New("each column has the right values, but not in the same rows")
}

// example is a value that one of two relations has and the other has not, for a message.
func example(ctx context.Context, db *sql.DB, want, got relation, expr string) string {
	t, err := bench.Query(ctx, db, fmt.Sprintf("SELECT * FROM (SELECT %[1]s FROM %[2]s EXCEPT SELECT %[1]s FROM %[3]s) LIMIT 1", expr, got.from, want.from))
	if err != nil || len(t.Rows) == 0 {
		return ""
	}
	return ": " + bench.Show(t.Rows[0][0]) + " should not be there"
}

// floats may differ by FloatSums of the greater one, or by a hundred-millionth of a cent: sums depend on the order of their terms.
const near = `isfinite(w.%[1]s) AND isfinite(g.%[1]s) AND abs(w.%[1]s - g.%[1]s) <= %[2]g * greatest(abs(w.%[1]s), abs(g.%[1]s)) + 1e-10`

// sameGroups holds two results to each other, group by group. skip are columns that are not compared.
func sameGroups(ctx context.Context, db *sql.DB, want, got relation, keys, skip []string) (groups int64, err error) {
	columns, err := pair(want, got)
	if err != nil {
		return 0, err
	}
	exprs := []string{"count(*)", "count(w.there)", "count(g.there)", "(SELECT count(*) FROM " + want.from + ")", "(SELECT count(*) FROM " + got.from + ")"}
	first := len(exprs)
	var names []string
	for _, c := range columns {
		if slices.Contains(keys, c.name) || slices.Contains(skip, c.name) {
			continue
		}
		q := quote(c.name)
		differ := fmt.Sprintf("w.%[1]s::%[2]s IS DISTINCT FROM g.%[1]s::%[2]s", q, c.typ)
		if c.typ == "DOUBLE" || c.typ == "FLOAT" {
			differ += " AND NOT coalesce(" + fmt.Sprintf(near, q, bench.FloatSums) + ", false)"
		}
		exprs, names = append(exprs, "count(*) FILTER (WHERE "+differ+")"), append(names, c.name)
	}
	t, err := bench.Query(ctx, db, "SELECT "+strings.Join(exprs, ", ")+joined(want, got, "FULL JOIN", keys))
	if err != nil {
		return 0, err
	}
	n := make([]int64, len(exprs))
	for i, v := range t.Rows[0] {
		n[i] = v.(int64)
	}
	switch {
	case n[0] == 0:
		return 0, errors.New("no groups to compare")
	case n[1] != n[0] || n[2] != n[0]:
		return n[0], fmt.Errorf("%d groups, want %d; %d of either have no counterpart", n[4], n[3], 2*n[0]-n[1]-n[2])
	case n[3] != n[0] || n[4] != n[0]:
		return n[0], fmt.Errorf("%d groups, want %d; some come more than once", n[4], n[3])
	}
	for i, name := range names {
		if differing := n[first+i]; differing > 0 {
			return n[0], fmt.Errorf("column %s differs in %d of %d groups", name, differing, n[0])
		}
	}
	return n[0], nil
}

// joined is the FROM clause that joins two results, w and g, on their keys, of which nulls are equal.
func joined(want, got relation, join string, keys []string) string {
	on := make([]string, len(keys))
	for i, k := range keys {
		on[i] = fmt.Sprintf("w.%[1]s IS NOT DISTINCT FROM g.%[1]s", quote(k))
	}
	return fmt.Sprintf(" FROM (SELECT *, true AS there FROM %s) w %s (SELECT *, true AS there FROM %s) g ON %s", want.from, join, got.from, strings.Join(on, " AND "))
}

// farthest is the greatest relative distance of an approximation from the exact number.
func farthest(ctx context.Context, db *sql.DB, exact, got relation, keys []string, name string) (float64, error) {
	t, err := bench.Query(ctx, db, fmt.Sprintf("SELECT max(abs(g.%[1]s - w.%[1]s) / greatest(w.%[1]s, 1))::DOUBLE", quote(name))+joined(exact, got, "JOIN", keys))
	if err != nil {
		return 0, err
	}
	far, ok := t.Rows[0][0].(float64)
	if !ok {
		return 0, fmt.Errorf("column %s: nothing to compare", name)
	}
	return far, nil
}

// verdict holds the worker's result to DuckDB's, or to the right values where those are others. theirs is a table expression, "" if there is no such
// result; path is the input. The verdict is for the table's reader, what is wrong is the error.
func verdict(ctx context.Context, db *sql.DB, w workload.Workload, path, theirs, ours string) (string, error) {
	source, notes := theirs, []string(nil)
	if source == "" {
		source = "(" + w.Query(path) + ")"
		notes = append(notes, "held to DuckDB without the limit")
	}
	if w.Want != "" {
		source, notes = "("+w.WantQuery(path)+")", append(notes, w.WantWhy)
	}
	want, err := describe(ctx, db, source)
	if err != nil {
		return "", err
	}
	got, err := describe(ctx, db, ours)
	if err != nil {
		return "", err
	}
	if w.Keys == nil {
		_, err = sameRows(ctx, db, want, got)
	} else {
		_, err = sameGroups(ctx, db, want, got, w.Keys, w.Approx)
	}
	if err != nil {
		return "", err
	}
	for _, name := range w.Approx {
		note, err := approximation(ctx, db, w, path, want, got, name)
		if err != nil {
			return "", err
		}
		notes = append(notes, note)
	}
	return strings.Join(append([]string{"equal"}, notes...), "; "), nil
}

// approximation says how far an approximate column is from the exact one; too far is an error.
func approximation(ctx context.Context, db *sql.DB, w workload.Workload, path string, theirs, ours relation, name string) (string, error) {
	exact := relation{from: "(" + w.ExactQuery(path) + ")"}
	far, err := farthest(ctx, db, exact, ours, w.Keys, name)
	if err != nil {
		return "", err
	}
	if far > workload.Bound {
		return "", fmt.Errorf("column %s is up to %.1f %% from the exact number, more than %.0f %%", name, 100*far, 100*workload.Bound)
	}
	peer, err := farthest(ctx, db, exact, theirs, w.Keys, name)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("%s up to %.1f %% from the exact number (DuckDB's %.1f %%)", name, 100*far, 100*peer), nil
}
