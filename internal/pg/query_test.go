package pg

import (
	"context"
	"fmt"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/memory"
	"pgregory.net/rapid"

	"github.com/sluice-data/sluice/internal/fail"
	"github.com/sluice-data/sluice/internal/pgtest"
	"github.com/sluice-data/sluice/internal/schema"
	"github.com/sluice-data/sluice/internal/spec"
)

// dial connects to url.
func dial(t testing.TB, url string) *Conn {
	t.Helper()
	p, err := spec.Load("p.yaml", fmt.Appendf(nil, "version: 1\nname: x\nlookups: {a: {dsn_env: URL, query: SELECT 1}}\nsink: {uri: out/}\n"), nil)
	if err != nil {
		t.Fatal(err)
	}
	s, err := ReadURI(p.Lookups[0].At, func(name string) string { return map[string]string{"URL": url}[name] })
	if err != nil {
		t.Fatal(err)
	}
	c, err := s.Connect(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// ask runs sql: its columns, its rows with values as text, what Read says of them.
func ask(t testing.TB, url, sql string) (columns string, rows []string, f Fetched, err error) {
	t.Helper()
	mem := memory.NewCheckedAllocator(memory.NewGoAllocator())
	defer mem.AssertSize(t, 0)
	c := dial(t, url)
	defer c.Close()
	q, err := c.Prepare(t.Context(), sql)
	if err != nil {
		return "", nil, f, err
	}
	var names []string
	for _, field := range q.Schema().Fields() {
		names = append(names, field.Name+" "+schema.TypeName(field))
	}
	f, err = q.Read(t.Context(), mem, 1<<20, func(rec arrow.Record) error {
		for i := range int(rec.NumRows()) {
			row := make([]string, rec.NumCols())
			for c := range row {
				row[c] = text(rec.Column(c), i)
			}
			rows = append(rows, strings.Join(row, "|"))
		}
		return nil
	})
	return strings.Join(names, ", "), rows, f, err
}

// text is a value as PostgreSQL prints it, or nearly so.
func text(a arrow.Array, i int) string {
	if a.IsNull(i) {
		return `\N`
	}
	if d, ok := a.(*array.Decimal128); ok { // ValueStr rounds
		return decimalText(d.Value(i).BigInt(), int(d.DataType().(*arrow.Decimal128Type).Scale))
	}
	return a.ValueStr(i)
}

func decimalText(v *big.Int, scale int) string {
	text := new(big.Int).Abs(v).String()
	text = strings.Repeat("0", max(0, scale+1-len(text))) + text
	if scale > 0 {
		text = text[:len(text)-scale] + "." + text[len(text)-scale:]
	}
	if v.Sign() < 0 {
		text = "-" + text
	}
	return text
}

// TestQueryValues: values of each type become what PostgreSQL prints.
func TestQueryValues(t *testing.T) {
	db := pgtest.Start(t).Database(t)
	for _, c := range []struct{ typ, values, column, want string }{
		{"bool", "true,false,null", "bool", `true false \N`},
		{"smallint", "-32768,32767,null", "int16", `-32768 32767 \N`},
		{"int", "-2147483648,2147483647", "int32", "-2147483648 2147483647"},
		{"bigint", "-9223372036854775808,9223372036854775807", "int64", "-9223372036854775808 9223372036854775807"},
		{"real", "1.5,'-Infinity'", "float32", "1.5 -Inf"},
		{"float8", "1.5,'NaN',1e300", "float64", "1.5 NaN 1e+300"},
		{"numeric(18,2)", "0,-0.01,1234567890123456.78,10000,null", "decimal(18,2)", `0.00 -0.01 1234567890123456.78 10000.00 \N`},
		{"numeric(38)", "99999999999999999999999999999999999999", "decimal(38,0)", "99999999999999999999999999999999999999"},
		{"text", "'','ä🙂',null", "string", ` ä🙂 \N`},
		{"varchar(5)", "'ab '", "string", "ab "}, {"char(5)", "'ab'", "string", "ab"}, {"name", "'n'", "string", "n"},
		{"bytea", `'\x00ff',''`, "binary", "AP8= "},
		{"date", "'0001-01-01','2024-02-29',null", "date", `0001-01-01 2024-02-29 \N`},
		{"time", "'23:59:59.999999','00:00'", "time", "23:59:59.999999 00:00:00.000000"},
		{"timestamp", "'0001-01-01','2024-02-29 23:59:59.999999'", "timestamp", "0001-01-01 00:00:00Z 2024-02-29 23:59:59.999999Z"},
		{"timestamptz", "'2024-02-29 23:59:59+02'", "timestamptz", "2024-02-29 21:59:59Z"},
		{"uuid", "'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'", "string", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"},
		{"json", `'{"b": 1,  "a":2.0}'`, "json", `{"b": 1,  "a":2.0}`}, {"jsonb", `'{"b": 1,  "a":2.0}'`, "json", `{"a": 2.0, "b": 1}`},
	} {
		columns, rows, _, err := ask(t, db, "SELECT v::"+c.typ+" AS x FROM unnest(ARRAY["+c.values+"]::"+c.typ+"[]) WITH ORDINALITY u(v, n) ORDER BY n")
		if got := strings.Join(rows, " "); err != nil || columns != "x "+c.column || got != c.want {
			t.Errorf("%s: %s %q, want %s %q (%v)", c.typ, columns, got, c.column, c.want, err)
		}
	}
	// A domain is what it is made of.
	pgtest.Exec(t, db, "CREATE DOMAIN cents AS numeric(9,2) CHECK (VALUE >= 0)")
	if columns, rows, _, err := ask(t, db, "SELECT 1.5::cents AS x, NULL::cents AS y"); err != nil || columns != "x decimal(9,2), y decimal(9,2)" || rows[0] != `1.50|\N` {
		t.Errorf("domain: %s %v %v", columns, rows, err)
	}
}

// TestQueryNumeric: a numeric of any scale is the decimal of its digits.
func TestQueryNumeric(t *testing.T) {
	db := pgtest.Start(t).Database(t)
	rapid.Check(t, func(r *rapid.T) {
		scale := rapid.IntRange(0, 38).Draw(r, "scale")
		var values, want []string
		for range 200 {
			digits := rapid.StringMatching(`-?[0-9]{1,38}`).Draw(r, "digits")
			v, _ := new(big.Int).SetString(digits, 10)
			text := decimalText(v, scale)
			values, want = append(values, text), append(want, text)
		}
		_, rows, _, err := ask(t, db, fmt.Sprintf("SELECT v::numeric(38,%d) AS x FROM unnest(ARRAY[%s]::numeric[]) WITH ORDINALITY u(v, n) ORDER BY n", scale, strings.Join(values, ",")))
		if got := strings.Join(rows, " "); err != nil || got != strings.Join(want, " ") {
			r.Fatalf("%v\n%s\nwant\n%s", err, got, strings.Join(want, " "))
		}
	})
}

// TestQueryRefuses: what is wrong is said with what to write.
func TestQueryRefuses(t *testing.T) {
	db := pgtest.Start(t).Database(t)
	pgtest.Exec(t, db, "CREATE TYPE mood AS ENUM ('sad'); CREATE TABLE tab (a int); CREATE FUNCTION writes() RETURNS int LANGUAGE sql AS 'INSERT INTO tab VALUES (1) RETURNING a'")
	for _, c := range []struct {
		sql, want string
		kind      fail.Kind
	}{
		{"SELECT sum(x::numeric) AS s FROM (VALUES (1)) v(x)", `column "s" is numeric without a precision: write "s"::numeric(p,s) AS "s"`, fail.Usage},
		{"SELECT 1::numeric(60,2) AS s", `column "s" is numeric of more than 38 digits`, fail.Usage},
		{"SELECT 'sad'::mood AS m", `column "m" is of type mood, which there is none for: write "m"::text AS "m"`, fail.Usage},
		{"SELECT interval '1 day' AS i", `column "i" is of type interval, which there is none for: write "i"::text`, fail.Usage},
		{"SELECT ARRAY[1] AS l", `column "l" is of type integer[], which there is none for: write to_json("l") AS "l"`, fail.Usage},
		{"SELECT '12:00+02'::timetz AS t", `write "t"::time AS "t"`, fail.Usage},
		{"SELECT 1 AS a, 2 AS a", `two columns named "a"`, fail.Usage},
		{"SELECT $1::int AS a", `$1 has no value here`, fail.Usage},
		{"TRUNCATE tab", `it gives no columns`, fail.Usage},
		{"SELECT 1; SELECT 2", `cannot insert multiple commands`, fail.Usage},
		{"INSERT INTO tab VALUES (1) RETURNING a", `it may only read`, fail.Usage},
		{"SELECT writes() AS a", `it may only read`, fail.Usage},
		{"SELECT nme FROM (SELECT 1 AS name) x", `column "nme" does not exist`, fail.Usage},
		{"SELECT 1/(g-3) AS a FROM generate_series(1,3) g", `division by zero (SQLSTATE 22012)`, fail.Data},
		{"SELECT * FROM (VALUES (1, DATE '2024-01-01'), (2, 'infinity')) v(id, until)", `column "until": row 2 of the query: an infinite date has no value here: write nullif("until", 'infinity')`, fail.Data},
		{"SELECT 'infinity'::timestamptz AS t", `an infinite timestamptz`, fail.Data},
		{"SELECT '294276-12-31'::timestamp AS t", `behind the year 294246`, fail.Data},
		{"SELECT 'NaN'::numeric(5,2) AS t", `NaN and infinities are no decimals`, fail.Data},
		{"SELECT '24:00'::time AS t", `24:00:00 is no time of a day here`, fail.Data},
		{"SELECT repeat('x', 2000000) AS t", `more than there are for the table in memory`, fail.Usage},
	} {
		_, _, _, err := ask(t, db, c.sql)
		if err == nil || !strings.Contains(err.Error(), c.want) || fail.KindOf(err) != c.kind {
			t.Errorf("%s: %v (%v), want %s", c.sql, err, fail.KindOf(err), c.want)
		}
	}
	if rows := pgtest.Exec(t, db, "SELECT count(*) FROM tab"); rows[0][0] != "0" {
		t.Errorf("a query wrote %v rows", rows)
	}
}

// TestQueryHash: the hash is that of the rows and columns, not of their order.
func TestQueryHash(t *testing.T) {
	db := pgtest.Start(t).Database(t)
	hash := func(sql string) string {
		_, _, f, err := ask(t, db, sql)
		if err != nil {
			t.Fatal(err)
		}
		return f.Hash
	}
	const base = "SELECT g AS a, CASE WHEN g % 7 > 0 THEN 'x' || g END AS b FROM generate_series(1, 20000) g"
	want := hash(base)
	if got := hash(base + " ORDER BY md5(g::text)"); got != want {
		t.Error("it depends on the order of the rows")
	}
	seen := map[string]string{want: base}
	for _, sql := range []string{
		base + " UNION ALL SELECT 1, 'x1'", base + " WHERE g > 1",
		strings.Replace(base, "20000", "20001", 1), strings.Replace(base, "AS a", "AS c", 1), strings.Replace(base, "g AS a", "g::bigint AS a", 1),
		strings.Replace(base, "'x' ||", "'' ||", 1), strings.Replace(base, "END", "ELSE '' END", 1),
		"SELECT 1 AS a, 1 AS b", "SELECT 1 AS a, 1 AS b UNION ALL SELECT 1, 1", "SELECT 1 AS a, 1 AS b WHERE false",
	} {
		h := hash(sql)
		if other, ok := seen[h]; ok {
			t.Errorf("%s\nhas the hash of\n%s", sql, other)
		}
		seen[h] = sql
	}
}

// TestQueryEnds: a query ends with its context, and its connection with it.
func TestQueryEnds(t *testing.T) {
	db := pgtest.Start(t).Database(t)
	c := dial(t, db)
	defer c.Close()
	ctx, cancel := context.WithCancel(t.Context())
	q, err := c.Prepare(ctx, "SELECT g, pg_sleep(60)::text AS s FROM generate_series(1, 10) g")
	if err != nil {
		t.Fatal(err)
	}
	time.AfterFunc(50*time.Millisecond, cancel)
	if _, err := q.Read(ctx, memory.NewGoAllocator(), 1<<20, func(arrow.Record) error { return nil }); fail.KindOf(err) != fail.Temporary {
		t.Errorf("%v (%v)", err, fail.KindOf(err))
	}
	// Who takes no more rows does not wait for them.
	c2 := dial(t, db)
	defer c2.Close()
	if q, err = c2.Prepare(t.Context(), "SELECT g, CASE WHEN g > 100000 THEN pg_sleep(60)::text END AS s FROM generate_series(1, 200000) g"); err != nil {
		t.Fatal(err)
	}
	enough := fail.Newf(fail.Usage, "enough")
	if _, err := q.Read(t.Context(), memory.NewGoAllocator(), 1<<20, func(arrow.Record) error { return enough }); err != enough {
		t.Error(err)
	}
}

// TestPosition: the word that the server means, in bytes.
func TestPosition(t *testing.T) {
	db := pgtest.Start(t).Database(t)
	c := dial(t, db)
	defer c.Close()
	sql := "SELECT 'äö🙂' AS a, nme\nFROM (SELECT 1 AS name) x"
	_, err := c.Prepare(t.Context(), sql)
	from, n, ok := Position(err, sql)
	if !ok || sql[from:from+n] != "nme" {
		t.Errorf("%v: %d %d %v", err, from, n, ok)
	}
}
