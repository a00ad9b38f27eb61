package postgres

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/memory"
	"go.uber.org/goleak"

	"github.com/sluice-data/sluice/internal/fail"
	"github.com/sluice-data/sluice/internal/pgtest"
	"github.com/sluice-data/sluice/internal/schema"
	"github.com/sluice-data/sluice/internal/spec"
	"github.com/sluice-data/sluice/sinks"
	"github.com/sluice-data/sluice/sinks/targettest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(pgtest.Tests{M: m}) }

// schemaOf is a schema written as "id int64, name string".
func schemaOf(t *testing.T, text string) *arrow.Schema {
	t.Helper()
	st, err := schema.ParseField("x", "struct<"+strings.ReplaceAll(strings.ReplaceAll(text, " ", ":"), ",:", ", ")+">")
	if err != nil {
		t.Fatal(err)
	}
	return arrow.NewSchema(st.Type.(*arrow.StructType).Fields(), nil)
}

// block is a block of the pipeline file at a URL.
func block(t *testing.T, db, text string) *spec.Node {
	t.Helper()
	n, err := spec.Parse("p.yaml", []byte("uri: \""+db+"\"\n"+text))
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func openAt(t *testing.T, db, text, columns string) (sinks.Delivery, error) {
	t.Helper()
	return open(sinks.TargetRequest{At: block(t, db, text), Schema: schemaOf(t, columns), Format: "parquet", RunID: "0123456789abcdef", Pipeline: "p", Log: slog.New(slog.DiscardHandler)})
}

func mustOpen(t *testing.T, db, text, columns string) sinks.Delivery {
	t.Helper()
	d, err := openAt(t, db, text, columns)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return d
}

// commitOf is a commit of rows, as JSON, in records of two rows.
func commitOf(t *testing.T, columns string, rows ...string) sinks.Commit {
	t.Helper()
	s := schemaOf(t, columns)
	return sinks.Commit{RunID: "0123456789abcdef", At: time.Date(2026, 1, 2, 3, 4, 5, 678901000, time.UTC), Rows: int64(len(rows)),
		Read: func(ctx context.Context, emit func(arrow.Record) error) error {
			for rows := rows; len(rows) > 0; {
				n := min(2, len(rows))
				rec, _, err := array.RecordFromJSON(memory.DefaultAllocator, s, strings.NewReader("["+strings.Join(rows[:n], ",")+"]"), array.WithUseNumber())
				if err != nil {
					return err
				}
				err = emit(rec)
				rec.Release()
				if err != nil {
					return err
				}
				rows = rows[n:]
			}
			return ctx.Err()
		}}
}

const people = "id int64, name string"

func rowsOf(n int) (rows []string) {
	for i := range n {
		rows = append(rows, fmt.Sprintf(`{"id": %d, "name": "n%d"}`, i, i))
	}
	return rows
}

// TestSuite runs what every target passes, of each mode, with the connection cut at every message.
func TestSuite(t *testing.T) {
	srv := pgtest.Start(t)
	for _, c := range []struct{ mode, text string }{
		{"append", "table: public.people\n"},
		{"append through a stage", "table: people\nrun_id_column: run\n"},
		{"replace", "table: people\nmode: replace\n"},
		{"merge", "table: people\nmode: merge\nkeys: [id]\n"},
		{"a new table", "table: people\nensure: create\nmode: merge\nkeys: [id]\n"},
	} {
		t.Run(c.mode, func(t *testing.T) {
			db := srv.Database(t)
			rows := rowsOf(5)
			targettest.Run(t, targettest.Rig{
				Open: func(t *testing.T) sinks.Delivery { return mustOpen(t, db, c.text, people) },
				Faulty: func(t *testing.T, at int, lost bool) (sinks.Delivery, func() bool) {
					p := pgtest.NewProxy(t, srv.Addr, at, lost)
					return mustOpen(t, pgtest.With(t, db, map[string]string{"host": p.Addr}), c.text, people), p.Cut
				},
				Commit: commitOf(t, people, rows...),
				Reset: func(t *testing.T) {
					pgtest.Exec(t, db, "DROP TABLE IF EXISTS people, sluice_loads")
					if c.mode != "a new table" {
						pgtest.Exec(t, db, "CREATE TABLE people (id bigint, name text, run text, at timestamptz DEFAULT now()); CREATE UNIQUE INDEX ON people (id, run); INSERT INTO people VALUES (-1, 'old')")
					}
					if c.mode == "merge" {
						pgtest.Exec(t, db, "CREATE UNIQUE INDEX ON people (id); INSERT INTO people VALUES (3, 'three'), (4, 'four')")
					}
				},
				Times: func(t *testing.T) (int, error) {
					if pgtest.Exec(t, db, "SELECT to_regclass('people') IS NULL")[0][0] == "t" {
						return 0, nil
					}
					got := pgtest.Exec(t, db, "SELECT count(*), count(DISTINCT id) FILTER (WHERE name = 'n' || id), count(*) FILTER (WHERE name = 'old') FROM people WHERE name NOT IN ('three', 'four')")[0]
					old := map[string]string{"replace": "0", "a new table": "0"}[c.mode]
					if old == "" {
						old = "1"
					}
					switch {
					case got[1] == "0":
						return 0, nil
					case got[1] == "5" && got[2] == old && got[0] == map[string]string{"0": "5", "1": "6"}[old]:
						return 1, nil
					case got[1] == "5" && c.mode != "merge":
						return 2, nil
					}
					return 0, fmt.Errorf("rows, of the commit, old: %v", got)
				},
			})
		})
	}
}

// TestDifferences: what does not fit is said at once, with what to do, and its exit code.
func TestDifferences(t *testing.T) {
	srv := pgtest.Start(t)
	db := srv.Database(t)
	pgtest.Exec(t, db, `CREATE SCHEMA s; CREATE TABLE s.t (id int PRIMARY KEY, name varchar(5) NOT NULL, amount numeric(6,2), at timestamp, g int GENERATED ALWAYS AS (id + 1) STORED,
		i int GENERATED ALWAYS AS IDENTITY, must text NOT NULL, opt text NOT NULL DEFAULT 'x', short varchar(10)); CREATE VIEW s.v AS SELECT 1 AS id;
		CREATE SCHEMA l; CREATE TABLE l.t (id int); CREATE SCHEMA m; CREATE TABLE m.t (id int); CREATE TABLE m.sluice_loads (target text); GRANT USAGE ON SCHEMA l, m TO guarded;
		GRANT INSERT ON l.t, m.t TO guarded; GRANT SELECT, INSERT ON m.sluice_loads TO guarded; GRANT USAGE ON SCHEMA s TO guarded; GRANT SELECT ON s.t TO guarded`)
	guarded := pgtest.With(t, db, map[string]string{"user": "guarded"})
	for _, c := range []struct {
		db, text, columns string
		kind              fail.Kind
		says              []string
	}{
		{db, "table: s.t\n", "id int64, nam string, amount decimal(9,3), at timestamptz, g int32, i int32", fail.Usage, []string{
			`p.yaml:2:8: `, `it has no column "nam" (text), but "name"`, `column "amount" is decimal(9,3) in the rows, which does not go into numeric(6,2) unchanged: cast it`,
			`column "at" is timestamptz`, `column "g" is generated`, `column "i" is GENERATED ALWAYS AS IDENTITY`, `its column "must" (text) is NOT NULL without a default`}},
		{db, "table: s.t\nmode: merge\nkeys: [name]\n", "name string, must string, id int32", fail.Usage, []string{`CREATE UNIQUE INDEX ON "s"."t" ("name")`}},
		{db, "table: s.t\nrun_id_column: run\n", "name string, must string, id int32", fail.Usage, []string{`ADD COLUMN "run" text`}},
		{db, "table: s.t\nrun_id_column: short\n", "name string, must string, id int32", fail.Usage, []string{`run_id_column "short" is character varying(10), and a run's id has 16 characters: ALTER TABLE "s"."t" ALTER COLUMN "short" TYPE text`}},
		{db, "table: s.v\n", "id int32", fail.Usage, []string{"s.v is no table"}},
		{db, "table: nowhere.t\n", "id int32", fail.Usage, []string{`has no table nowhere.t: set ensure: create, or run CREATE TABLE`, `"id" integer`}},
		{db, "table: nowhere.t\nensure: create\n", "id int32", fail.Usage, []string{`CREATE SCHEMA "nowhere"`}},
		{guarded, "table: s.t\npassword_env: PW\n", "id int32, name string, must string", fail.Permission, []string{`user guarded lacks INSERT on it: GRANT INSERT ON "s"."t" TO "guarded"`}},
		{guarded, "table: l.t\npassword_env: PW\n", "id int32", fail.Permission, []string{"ledger l.sluice_loads: it is not there, and CREATE on schema l, to make it, is missing"}},
		{guarded, "table: m.t\npassword_env: PW\n", "id int32", fail.Permission, []string{`ledger m.sluice_loads: user guarded lacks UPDATE on it: GRANT SELECT, INSERT, UPDATE ON "m"."sluice_loads" TO "guarded"`}},
		{guarded, "table: s.new\nensure: create\npassword_env: PW\n", "id int32", fail.Permission, []string{"CREATE on schema s is missing"}},
		{guarded, "table: s.t\npassword_env: WRONG\n", "id int32", fail.Permission, []string{"password authentication failed", "28P01"}},
		{guarded, "table: s.t\npassword_env: NOT_SET\n", "id int32", fail.Usage, []string{"environment variable NOT_SET is not set"}},
		{strings.Replace(db, "?", "_none?", 1), "table: s.t\n", "id int32", fail.Usage, []string{"does not exist", "3D000"}},
		{pgtest.With(t, db, map[string]string{"host": "no..such:1"}), "table: s.t\n", "id int32", fail.Temporary, []string{"host no..such is unknown"}},
		{pgtest.With(t, db, map[string]string{"host": "127.0.0.1:1"}), "table: s.t\n", "id int32", fail.Temporary, []string{"connection refused"}},
		{pgtest.With(t, db, map[string]string{"sslmode": "verify-full", "host": strings.Replace(srv.Addr, "127.0.0.1", "localhost", 1)}), "table: s.t\n", "id int32", fail.Permission, []string{"certificate"}},
	} {
		d, err := open(sinks.TargetRequest{At: block(t, c.db, c.text), Schema: schemaOf(t, c.columns), Format: "parquet", RunID: "0123456789abcdef", Log: slog.New(slog.DiscardHandler),
			Getenv: func(name string) string {
				return map[string]string{"PW": pgtest.Password, "WRONG": "wrong password"}[name]
			}})
		if err != nil {
			t.Fatal(err)
		}
		_, err = d.Preflight(t.Context())
		if fail.KindOf(err) != c.kind {
			t.Errorf("%s%v: %v, want %v", c.text, fail.KindOf(err), err, c.kind)
		}
		for _, want := range c.says {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s%v\ndoes not say %q", c.text, err, want)
			}
		}
		if err != nil && strings.Contains(err.Error(), "wrong password") {
			t.Errorf("a password in %v", err)
		}
		d.Close()
	}
}

// TestSettings: what is wrong in the block is said with its place, and no password.
func TestSettings(t *testing.T) {
	for text, want := range map[string]string{
		"table: t\ndsn: postgres://u:hidden@h/d":    "2:6: dsn: a password does not belong into the pipeline file",
		"table: t\ndsn: mysql://h/d":                "2:6: dsn: want postgres://",
		"table: t\ndsn: postgres://h/d\nhost: h":    "3:7: host belongs into the URL",
		"table: t\ndsn: postgres://h/d\ndsn_env: X": "3:10: dsn and dsn_env",
		"host: h":                                                    "postgres needs table",
		"table: a.b.c":                                               `1:8: table "a.b.c"`,
		"table: t\nmode: upsert":                                     `2:7: unknown mode "upsert": use one of append, replace, merge`,
		"table: t\nmode: merge":                                      "mode: merge needs keys",
		"table: t\nkeys: [id]":                                       "2:7: keys are for mode: merge",
		"table: t\nmode: merge\nkeys: [idd]":                         `3:8: the rows have no column "idd": did you mean "id"?`,
		"table: t\nrun_id_column: id":                                `2:16: the rows have a column "id" already`,
		"table: t\nensure: yes":                                      `2:9: unknown ensure "yes"`,
		"table: " + strings.Repeat("t", 64):                          "PostgreSQL cuts names at 63",
		"table: t\nrun_id_column: " + strings.Repeat("r", 64):        "has 64 bytes",
		"table: t\nurl: postgres://h/d":                              `2:1: unknown key "url": did you mean "uri" (or "dsn", which is the same)?`,
		"table: t\ndns: postgres://h/d":                              `2:1: unknown key "dns": did you mean "uri" (or "dsn", which is the same)?`,
		"table: t\nuri: postgres://u:hidden@h/d":                     "2:6: uri: a password does not belong into the pipeline file",
		"tabel: t":                                                   `1:1: unknown key "tabel": did you mean "table"?`,
		"table: t\npassword_file: /nowhere/pw\npassword_env: SECRET": "password_env and password_file",
	} {
		n, err := spec.Parse("p.yaml", []byte(text+"\n"))
		if err != nil {
			t.Fatal(err)
		}
		_, err = open(sinks.TargetRequest{At: n, Schema: schemaOf(t, people), Format: "parquet"})
		if err == nil || fail.KindOf(err) != fail.Usage || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "hidden") {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}

// TestModeIsAsked: what sink.mode says is of files, and a column that PostgreSQL would cut the name of is refused.
func TestModeIsAsked(t *testing.T) {
	req := sinks.TargetRequest{At: block(t, "postgres://h/d", "table: t\n"), Schema: schemaOf(t, people), Format: "parquet", Mode: "replace"}
	if _, err := open(req); fail.KindOf(err) != fail.Usage || !strings.Contains(err.Error(), "sink.mode: replace is about files: say what postgres does with the rows that public.t has (mode: append, replace or merge)") {
		t.Error(err)
	}
	req.Mode = "append"
	if _, err := open(req); err != nil {
		t.Error(err)
	}
	req.Mode, req.At = "replace_partitions", block(t, "postgres://h/d", "table: t\nmode: append\n")
	if _, err := open(req); err != nil {
		t.Error(err)
	}
	req.Schema = schemaOf(t, "id int64, "+strings.Repeat("ä", 32)+" string")
	if _, err := open(req); fail.KindOf(err) != fail.Usage || !strings.Contains(err.Error(), "has 64 bytes, and PostgreSQL cuts names at 63") {
		t.Error(err)
	}
}

// TestConstraintsHold: a value that a constraint lets pass arrives as it is, one that it refuses would have been changed or have failed the load.
func TestConstraintsHold(t *testing.T) {
	db := pgtest.Start(t).Database(t)
	for _, c := range []struct{ ours, theirs, values, refused, arrived string }{
		{"string", "varchar(3)", `"äöü","abcd","ab  ",null,"a\u0000"`, "1 2 4", `äöü \N`},
		{"string", "char(3)", `"ab","ab ","abcd"`, "1 2", `ab `},
		{"string", "uuid", `"123e4567-e89b-12d3-a456-426614174000","x"`, "1", `123e4567-e89b-12d3-a456-426614174000`},
		{"string", "text NOT NULL", `"a",null`, "1", `a`},
		{"int64", "smallint", `32767,32768,-32769`, "1 2", `32767`},
		{"uint64", "bigint", `1,18446744073709551615`, "1", `1`},
		{"int32", "numeric(4,1)", `999,-1000`, "1", `999.0`},
		{"decimal(10,2)", "numeric(6,3)", `"999.99","1000.00","-1000.00"`, "1 2", `999.990`},
		{"decimal(10,2)", "numeric", `"12345678.90"`, "", `12345678.90`},
		{"decimal(20,0)", "integer", `"7","2147483648"`, "1", `7`},
		{"float32", "double precision", `0.5`, "", `0.5`},
		{"time", "time(3)", `"00:00:00.001","00:00:00.0011"`, "1", `00:00:00.001`},
		{"json", "jsonb", `"{\"a\": \"\\u0000\"}","\"\\ud83d\\ude00\"","\"\\ud83d\"","\"\\\\\\\\u0000\""`, "0 2", `"😀" "\\\\u0000"`},
		{"json", "json", `"{\"a\":  1}"`, "", `{"a":  1}`},
		{"json", "text", `"[1]"`, "", `[1]`},
		{"json", "json", `"{\"a\": 1E2, \"a\": 1.0}","\"\\u0000\""`, "", `{"a": 1E2, "a": 1.0} "\u0000"`},
		{"json", "jsonb", `"{\"a\": 1E2, \"a\": 1.0}"`, "", `{"a": 1.0}`},
		{"list<struct<a: int32>>", "text", `[{"a":1}],[]`, "", `[{"a":1}] []`},
		{"list<struct<a: int32>>", "json", `[{"a":1}],[]`, "", `[{"a":1}] []`},
		{"list<timestamp>", "timestamp[]", `["1970-01-01T00:00:00"],[-210866803200000001]`, "1", `{"1970-01-01 00:00:00"}`},
		{"struct<a: string>", "jsonb", `{"a":"x"},{"a":"\u0000"}`, "1", `{"a": "x"}`},
		{"list<string>", "text[]", `["a",null],["\u0000"]`, "1", `{a,NULL}`},
	} {
		pgtest.Exec(t, db, "DROP TABLE IF EXISTS c, sluice_loads; CREATE TABLE c (x "+c.theirs+")")
		columns := "x " + c.ours
		f, err := schema.ParseField("x", c.ours)
		if err != nil {
			t.Fatal(err)
		}
		s := arrow.NewSchema([]arrow.Field{f}, nil)
		d, err := open(sinks.TargetRequest{At: block(t, db, "table: c\n"), Schema: s, Format: "parquet", RunID: "0123456789abcdef", Pipeline: "p", Log: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		demands, err := d.Preflight(t.Context())
		if err != nil {
			t.Fatalf("%s into %s: %v", c.ours, c.theirs, err)
		}
		all, _, err := array.FromJSON(memory.DefaultAllocator, f.Type, strings.NewReader("["+c.values+"]"), array.WithUseNumber())
		if err != nil {
			t.Fatalf("%s: %v", columns, err)
		}
		bad := map[int]bool{}
		for _, k := range demands {
			k.Check(all, func(row int, reason string) { bad[row] = true })
		}
		var refused []string
		var good []arrow.Array
		for i := range all.Len() {
			if bad[i] {
				refused = append(refused, fmt.Sprint(i))
			} else {
				good = append(good, array.NewSlice(all, int64(i), int64(i+1)))
			}
		}
		if got := strings.Join(refused, " "); got != c.refused {
			t.Errorf("%s into %s: refused %q, want %q", c.ours, c.theirs, got, c.refused)
		}
		commit := sinks.Commit{RunID: "0123456789abcdef", At: time.Unix(1, 0), Rows: int64(len(good)), Read: func(_ context.Context, emit func(arrow.Record) error) error {
			for _, a := range good {
				if err := emit(array.NewRecord(s, []arrow.Array{a}, 1)); err != nil {
					return err
				}
			}
			return nil
		}}
		if _, err := d.Deliver(t.Context(), commit); err != nil {
			t.Errorf("%s into %s: %v", c.ours, c.theirs, err)
		}
		var out []string
		for _, r := range pgtest.Exec(t, db, "SELECT x FROM c") {
			out = append(out, r[0])
		}
		if got := strings.Join(out, " "); got != c.arrived {
			t.Errorf("%s into %s: %q, want %q", c.ours, c.theirs, got, c.arrived)
		}
		d.Close()
	}
}

// TestJSONStaysAsWritten: a table that ensure: create makes has json for json, also within structs and lists, and jsonb for the rest.
func TestJSONStaysAsWritten(t *testing.T) {
	db := pgtest.Start(t).Database(t)
	const columns = "j json, s struct<j json>, l list<json>, p struct<n int32>, i int64"
	one := commitOf(t, columns, `{"j": "{\"a\": 1E2, \"a\": 1.0}", "s": {"j": "1E2"}, "l": ["1E2", null], "p": {"n": 7}, "i": 1}`)
	for _, mode := range []string{"", "mode: merge\nkeys: [i]\n"} {
		pgtest.Exec(t, db, "DROP TABLE IF EXISTS j, sluice_loads")
		d := mustOpen(t, db, "table: j\nensure: create\n"+mode, columns)
		if _, err := d.Preflight(t.Context()); err != nil {
			t.Fatal(err)
		}
		if _, err := d.Deliver(t.Context(), one); err != nil {
			t.Fatal(err)
		}
		if got, want := fmt.Sprint(pgtest.Exec(t, db, "SELECT j, s, l, p, i, pg_typeof(j), pg_typeof(s), pg_typeof(l), pg_typeof(p) FROM j")[0]), `[{"a": 1E2, "a": 1.0} {"j":1E2} [1E2,null] {"n": 7} 1 json json json jsonb]`; got != want {
			t.Errorf("%q: %s, want %s", mode, got, want)
		}
	}
	pgtest.Exec(t, db, "DROP TABLE j")
	if _, err := mustOpen(t, db, "table: j\nensure: create\nmode: merge\nkeys: [i, j]\n", columns).Preflight(t.Context()); fail.KindOf(err) != fail.Usage || !strings.Contains(err.Error(), `column "j" is json, which PostgreSQL cannot compare`) {
		t.Error(err)
	}
}

// TestLoadErrors: what only shows during the load is a data error that says what it is about, and nothing of the run is there.
func TestLoadErrors(t *testing.T) {
	db := pgtest.Start(t).Database(t)
	pgtest.Exec(t, db, "CREATE TABLE u (id bigint PRIMARY KEY, name text CHECK (name <> 'bad')); INSERT INTO u VALUES (2, 'there')")
	for _, c := range []struct {
		text, says string
		rows       []string
	}{
		{"table: u\n", "Key (id)=(2) already exists", rowsOf(3)},
		{"table: u\n", "u_name_check", []string{`{"id": 7, "name": "bad"}`}},
		{"table: u\nmode: merge\nkeys: [id]\n", "add a dedupe step", []string{`{"id": 7, "name": "a"}`, `{"id": 7, "name": "b"}`}},
	} {
		_, err := mustOpen(t, db, c.text, people).Deliver(t.Context(), commitOf(t, people, c.rows...))
		if fail.KindOf(err) != fail.Data || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%v, want %q", err, c.says)
		}
		if got := pgtest.Exec(t, db, "SELECT count(*), (SELECT count(*) FROM sluice_loads) FROM u")[0]; got[0] != "1" || got[1] != "0" {
			t.Errorf("%q left %v", c.text, got)
		}
	}
	broken := commitOf(t, people, rowsOf(3)...)
	broken.Read = func(context.Context, func(arrow.Record) error) error {
		return fail.Newf(fail.Data, "a file is damaged")
	}
	if _, err := mustOpen(t, db, "table: u\n", people).Deliver(t.Context(), broken); fail.KindOf(err) != fail.Data || !strings.Contains(err.Error(), "damaged") {
		t.Error(err)
	}
	short := commitOf(t, people, rowsOf(1)...)
	short.Rows = 3
	if _, err := mustOpen(t, db, "table: u\n", people).Deliver(t.Context(), short); fail.KindOf(err) != fail.Data || !strings.Contains(err.Error(), "1 rows were copied, the run has 3") {
		t.Error(err)
	}
}

// TestFailover: a server that takes no writes any more during a load is asked again, over a new connection, and then by another attempt; before the run it is the wrong server.
func TestFailover(t *testing.T) {
	srv := pgtest.Start(t)
	for what, demote := range map[string]string{
		"read only": "SET default_transaction_read_only = on",
		"a replica": "SET search_path = demoted, pg_catalog, public", // where pg_is_in_recovery says so
	} {
		t.Run(what, func(t *testing.T) {
			db := srv.Database(t)
			u, err := url.Parse(db)
			if err != nil {
				t.Fatal(err)
			}
			alter := func(sql string) {
				pgtest.Exec(t, strings.Replace(db, u.Path, "/postgres", 1), "ALTER DATABASE "+strings.TrimPrefix(u.Path, "/")+" "+sql)
			}
			again := 0
			deliver := func(until int) (string, error) {
				again = 0
				log := slog.New(hook{slog.DiscardHandler, func(slog.Record) {
					if again++; again == until {
						alter("RESET ALL")
					}
				}})
				d, err := open(sinks.TargetRequest{At: block(t, db, "table: public.people\n"), Schema: schemaOf(t, people), Format: "parquet", RunID: "0123456789abcdef", Pipeline: "p", Log: log})
				if err != nil {
					t.Fatal(err)
				}
				defer d.Close()
				d.(*target).pause = func(int) time.Duration { return 0 }
				return d.Deliver(t.Context(), commitOf(t, people, rowsOf(3)...))
			}
			pgtest.Exec(t, db, "CREATE TABLE people (id bigint, name text); CREATE SCHEMA demoted; CREATE FUNCTION demoted.pg_is_in_recovery() RETURNS bool LANGUAGE sql AS 'SELECT true'")
			alter(demote)
			if what == "a replica" {
				_, err := mustOpen(t, db, "table: public.people\n", people).Preflight(t.Context())
				if fail.KindOf(err) != fail.Usage || !strings.Contains(err.Error(), "takes no writes: it is a replica; name the primary") || !strings.Contains(err.Error(), "target_session_attrs=read-write") {
					t.Error(err)
				}
			}
			if _, err := deliver(0); fail.KindOf(err) != fail.Temporary || !strings.Contains(err.Error(), "failover") || again != tries-1 {
				t.Errorf("%v: %v after %d more", fail.KindOf(err), err, again)
			}
			if detail, err := deliver(2); err != nil || !strings.HasPrefix(detail, "3 rows into public.people") || again != 2 {
				t.Errorf("%q, %v after %d more", detail, err, again)
			}
		})
	}
}

// hook is told of what is logged.
type hook struct {
	slog.Handler
	of func(slog.Record)
}

func (hook) Enabled(_ context.Context, l slog.Level) bool    { return l >= slog.LevelWarn }
func (h hook) Handle(_ context.Context, r slog.Record) error { h.of(r); return nil }

// TestForced: another commit of the same run takes the place of the first, or is refused where the first cannot be told apart.
func TestForced(t *testing.T) {
	db := pgtest.Start(t).Database(t)
	pgtest.Exec(t, db, "CREATE TABLE f (id bigint, name text, run text)")
	for _, c := range []struct {
		text, want string
	}{
		{"table: f\nrun_id_column: run\n", "2"},
		{"table: f\nmode: replace\n", "2"},
		{"table: f\n", ""},
	} {
		pgtest.Exec(t, db, "DROP TABLE IF EXISTS sluice_loads; TRUNCATE f")
		first, second := commitOf(t, people, rowsOf(3)...), commitOf(t, people, rowsOf(2)...)
		second.At = first.At.Add(time.Microsecond)
		if _, err := mustOpen(t, db, c.text, people).Deliver(t.Context(), first); err != nil {
			t.Fatal(err)
		}
		_, err := mustOpen(t, db, c.text, people).Deliver(t.Context(), second)
		if c.want == "" {
			if fail.KindOf(err) != fail.Data || !strings.Contains(err.Error(), "run_id_column") {
				t.Errorf("%q: %v", c.text, err)
			}
			if _, err := mustOpen(t, db, c.text, people).Preflight(t.Context()); err != nil { // another attempt may be the one that has loaded it
				t.Errorf("%q: before a run that is not forced: %v", c.text, err)
			}
			d, err := open(sinks.TargetRequest{At: block(t, db, c.text), Schema: schemaOf(t, people), Format: "parquet", RunID: first.RunID, Forced: true, Log: slog.New(slog.DiscardHandler)})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := d.Preflight(t.Context()); fail.KindOf(err) != fail.Data || !strings.Contains(err.Error(), "run_id_column") {
				t.Errorf("%q: before the run: %v", c.text, err)
			}
			d.Close()
			continue
		}
		if got := pgtest.Exec(t, db, "SELECT count(*) FROM f")[0][0]; err != nil || got != c.want {
			t.Errorf("%q: %s rows, want %s, %v", c.text, got, c.want, err)
		}
	}
}

// TestInterrupted: a cancel in the middle of the rows reaches the server, and leaves nothing there.
func TestInterrupted(t *testing.T) {
	db := pgtest.Start(t).Database(t)
	pgtest.Exec(t, db, "CREATE TABLE people (id bigint, name text)")
	ctx, cancel := context.WithCancel(t.Context())
	c := commitOf(t, people, rowsOf(4)...)
	read := c.Read
	c.Read = func(ctx context.Context, emit func(arrow.Record) error) error {
		err := read(ctx, emit)
		cancel()
		<-ctx.Done()
		return errors.Join(err, ctx.Err())
	}
	if _, err := mustOpen(t, db, "table: people\n", people).Deliver(ctx, c); fail.KindOf(err) != fail.Temporary {
		t.Error(err)
	}
	if got := pgtest.Exec(t, db, "SELECT count(*) FROM people")[0][0]; got != "0" {
		t.Errorf("%s rows", got)
	}
	if u, err := url.Parse(db); err != nil || u.Scheme != "postgres" {
		t.Error(err)
	}
}
