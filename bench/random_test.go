package bench

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"testing"
)

// draws is how many of a kind are made and from which seed: what CI takes, or SLUICE_DRAWS and SLUICE_SEED.
func draws(t *testing.T, n int, seed uint64) (int, uint64) {
	t.Helper()
	var err error
	if s := os.Getenv("SLUICE_DRAWS"); s != "" {
		if n, err = strconv.Atoi(s); err != nil {
			t.Fatal(err)
		}
	}
	if s := os.Getenv("SLUICE_SEED"); s != "" {
		if seed, err = strconv.ParseUint(s, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	return n, seed
}

// TestRandomExpressions: expressions made at random, of the parts of the language that Sluice and DuckDB share, have the same values and
// fail for the same rows.
func TestRandomExpressions(t *testing.T) {
	wanted, seed := draws(t, 5000, 20261122)
	d := newDifferential(t)
	g := &grammar{rand.New(rand.NewPCG(seed, 2))}
	seen := map[string]bool{}
	failing, failed := 0, 0
	fewBesideNull := wanted / 100
	var sure []string
	for len(seen) < wanted {
		kind := kinds[len(seen)%len(kinds)]
		e := g.expr(kind, 3)
		if seen[e] {
			continue
		}
		seen[e] = true
		if !canFail[kind] {
			sure = append(sure, e)
			continue
		}
		failing++
		ours, class := d.ours(t, e)
		if d.compare(t, e, ours, class) {
			failed++
		}
	}
	batched(sure, 40, func(exprs []string) {
		got, rejected := d.work(t, exprs)
		if len(rejected) > 0 {
			t.Fatalf("rejected rows: %v, in one of\n%s", rejected, strings.Join(exprs, "\n"))
		}
		for n, e := range exprs {
			ours := map[int]outcome{}
			for k, r := range got.Rows {
				ours[k+1] = outcome{value: r[n+1]}
			}
			d.compare(t, e, ours, got.Classes[n+1])
		}
	})
	if d.besideNull > fewBesideNull {
		t.Errorf("%d expressions fail beside a null that DuckDB knew before: more than the %d that docs/dialect.md explains", d.besideNull, fewBesideNull)
	}
	if failed < failing/4 {
		t.Errorf("only %d of %d expressions fail in some row: errors are hardly compared", failed, failing)
	}
}

// compare holds what the worker made of an expression against what DuckDB makes of it; it reports whether some row failed.
func (d *differential) compare(t *testing.T, e string, ours map[int]outcome, class Class) (failed bool) {
	t.Helper()
	theirs, theirClass := d.theirs(t, e)
	if theirClass != "" && class != theirClass {
		t.Errorf("%s: type class %s, want %s", e, class, theirClass)
	}
	for k := 1; k <= d.rows; k++ {
		failed = failed || ours[k].err != ""
		if ours[k].err != "" && theirs[k].err == "" && theirs[k].value == nil { // docs/dialect.md: DuckDB may skip what a NULL beside it makes irrelevant
			d.besideNull++
			break
		}
		if !ours[k].same(theirs[k]) {
			t.Errorf("%s: row %d: got %s, want %s", e, k, ours[k], theirs[k])
			break
		}
	}
	return failed
}

// grammar makes expressions of a kind. An alternative is a template: {kind} is an expression of that kind, one level down. What is in
// docs/dialect.md is left out. Kinds whose expressions can fail (int, big, cut) are not used where it is open whether they are evaluated:
// in branches and conditions; small stands for them there. Constants that DuckDB would fold or reorder so that a failure goes away or
// comes up hide behind nullif. Results that are wider in DuckDB are cast.
type grammar struct{ r *rand.Rand }

var kinds = []string{"int", "big", "cut", "dec", "float", "text", "bool", "date", "ts"}

var canFail = map[string]bool{"int": true, "big": true, "cut": true}

var leaves = map[string][]string{
	"int":   {"i", "i", "i % 7", "1", "-1", "7", "nullif(100, j)", "nullif(2147483647, j)", "nullif(-2147483647, j)", "nullif(46341, i)", "length(s)::int"},
	"big":   {"j", "j", "i::bigint", "nullif(4294967296, i)", "nullif(9223372036854775807, i)", "nullif(-9223372036854775807, i)", "nullif(3037000500, i)", "nullif(-3037000500, i)", "7::bigint"},
	"small": {"i % 7", "i % 100", "(j % 100)::int", "0", "1", "-1", "42", "length(s)::int", "sign(g)::int", "nullif(i, i)"},
	"cut":   {"d", "0.5", "99999999.99", "i::decimal(12,2)"},
	"dec":   {"d", "d", "0.5", "1.10", "-3.25", "99999999.99", "i::decimal(12,2)", "nullif(d, d)"},
	"float": {"g", "g", "f", "0.5::float8", "-2.0::float8", "1e100::float8", "'nan'::float8", "i::float8", "j::float8", "nullif(g, g)"},
	"text":  {"s", "s", "t", "nullif('', s)", "'a'", "'日本'", "'o'", "i::text", "dt::text", "nullif(t, t)"},
	"bool":  {"b", "b", "TRUE", "FALSE", "nullif(b, b)", "i > 0", "s IS NULL", "i = j", "f > g"},
	"date":  {"dt", "dt", "DATE '2024-02-29'", "DATE '1900-01-01'", "ts::date", "nullif(dt, dt)"},
	"ad":    {"ts", "dt::timestamp"},
	"ts":    {"ts", "ts", "TIMESTAMP '2024-02-29 23:59:59.999999'", "dt::timestamp", "nullif(ts, ts)"},
}

var nodes = map[string][]string{
	"int": {"{int} + {int}", "{int} - {int}", "{int} * {int}", "-{int}", "abs{int}", "{int} * {small}", "{big}::int", "{cut}::int", "{int} % 1000 - {int}", "{int}::smallint + {small}"},
	"big": {"{big} + {big}", "{big} - {int}", "{big} * {int}", "{big} * {big}", "{big} * {big}", "{int}::bigint * {big}", "-{big}", "abs{big}", "{cut}::bigint", "{int} % 1000 + {big} % 10", "{big} - {big}"},
	"small": {"{small} + {small}", "{small} - {small}", "{small} * {small}", "-{small}", "abs{small}", "CASE WHEN {bool} THEN {small} ELSE {small} END", "coalesce({small}, {small})", "nullif({small}, {small})",
		"length{text}::int", "strpos({text}, {text})::int", "({date} - {date})::int % 100", "{bool}::int", "extract(year FROM {date})::int", "extract(doy FROM {ts})::int", "extract(isodow FROM {date})::int",
		"extract(week FROM {ts})::int", "CASE {small} WHEN {small} THEN 1 WHEN 2 THEN {small} END", "greatest({small}, 0)"},
	"cut": {"{dec}::decimal(18,1)", "{cut}::decimal(9,2)", "{int}::decimal(10,3)", "{cut}::decimal(5,1)", "{dec} * {small}", "{cut} - {dec}"},
	"dec": {"{dec} + {dec}", "{dec} - {dec}", "{dec} + {small}", "{dec} * 2", "{dec} * 0.5", "-{dec}", "abs{dec}", "round({dec}, 1)", "floor{dec}", "ceil{dec}", "trunc{dec}", "{dec} % 7",
		"CASE WHEN {bool} THEN {dec} ELSE {dec} END", "coalesce({dec}, {small})", "nullif({dec}, {dec})", "CASE WHEN {bool} THEN {small} ELSE {dec} END"},
	"float": {"-{float}", "abs{float}", "floor{float}", "ceil{float}", "{float} + {small}", "{float} - {dec}", "{float} / 4", "{dec}::float8", "{small}::float8", "{float} * 0.5",
		"CASE WHEN {bool} THEN {float} ELSE {small} END", "coalesce({float}, {dec})", "sqrt(abs{float})", "nullif({float}, {float})", "trunc{float}", "greatest({float}, 0)"},
	"text": {"{text} || {text}", "upper{text}", "lower{text}", "trim{text}", "ltrim({text}, {text})", "rtrim({text}, 'ol')", "replace({text}, {text}, {text})", "left({text}, 3)",
		"right({text}, -1)", "left({text}, -2)", "substring({text}, 2, 3)", "substring({text}, 1, 2)", "split_part({text}, 'l', 2)", "CASE WHEN {bool} THEN {text} ELSE {text} END", "coalesce({text}, {text})",
		"nullif({text}, {text})", "concat({text}, {text}, {small})", "concat_ws('-', {text}, {text})", "lpad({text}, 5, '*')", "rpad({text}, 7, 'ab')", "md5{text}", "{small}::text", "{dec}::text", "{ts}::text",
		"reverse(left({text}, 1))", "{bool}::text", "left({text}, {small})", "strftime({ad}, '%Y-%m-%d %H:%M:%S.%f')", "strftime({ad}, '%a, %d %b %y %I %p')", "strftime({ad}::date, '%j of %B')", "to_char({ad}, 'FMDay FMMonth FMDD.FMMM')",
		"to_char({ad}, 'IYYY-IW-ID')", "to_char({ad}, 'Dy, DD Mon YYYY')", "CASE {text} WHEN {text} THEN 'same' ELSE {text} END"},
	"bool": {"{bool} AND {bool}", "{bool} OR {bool}", "NOT {bool}", "{bool} IS NULL", "{bool} IS NOT TRUE", "{small} = {small}", "{small} < {dec}", "{dec} >= {dec}", "{float} > {float}", "{float} <= {small}",
		"{text} < {text}", "{text} = {text}", "{date} <= {date}", "{ts} > {date}", "{text} LIKE 'h%'", "{text} LIKE '%' || replace(replace({text}, '%', ''), '_', '') || '_'", "{text} ILIKE '%L%'",
		"{small} IN (1, {small}, 42)", "{text} NOT IN ('a', {text})", "{small} BETWEEN {small} AND {small}", "{dec} NOT BETWEEN -1 AND {dec}", "{small} IS DISTINCT FROM {small}",
		"{float} IS NOT DISTINCT FROM {float}", "starts_with({text}, {text})", "CASE WHEN {bool} THEN {bool} ELSE {bool} END", "{dec} < {float}", "{bool} = {bool}", "{date} IN ({date}, dt)", "{ts} BETWEEN {ts} AND {ts}"},
	"date": {"{date} + {small}", "{date} - 30", "{ts}::date", "CASE WHEN {bool} THEN {date} ELSE {date} END", "coalesce({date}, {date})", "date_trunc('month', {ts})::date", "({date}::text)::date",
		"nullif({date}, {date})", "least({date}, DATE '2000-01-01')"},
	"ts": {"{date}::timestamp", "{ts} + INTERVAL '1 month'", "{ts} - INTERVAL '25 hours'", "date_trunc('hour', {ts})", "date_trunc('week', {ts})", "date_trunc('quarter', {ts})", "CASE WHEN {bool} THEN {ts} ELSE {date} END",
		"coalesce({ts}, {ts})", "nullif({ts}, {date})", "({ts}::text)::timestamp", "{ts} + INTERVAL '90 seconds'", "{ts} - INTERVAL '3 months'", "strptime(strftime({ad}, '%d/%m/%Y %H:%M:%S.%f'), '%d/%m/%Y %H:%M:%S.%f')", "strptime(strftime({ad}, '%b %d %Y'), '%b %d %Y')"},
	"ad": {"least(greatest({ts}, TIMESTAMP '1000-01-01'), TIMESTAMP '9999-12-31')"}, // years of four digits
}

func (g *grammar) expr(kind string, depth int) string {
	if depth == 0 || g.r.IntN(8) == 0 {
		return leaves[kind][g.r.IntN(len(leaves[kind]))]
	}
	parts := strings.Split(nodes[kind][g.r.IntN(len(nodes[kind]))], "{")
	var b strings.Builder
	b.WriteString(parts[0])
	for _, p := range parts[1:] {
		sub, rest, _ := strings.Cut(p, "}")
		fmt.Fprintf(&b, "(%s)%s", g.expr(sub, depth-1), rest)
	}
	return b.String()
}
