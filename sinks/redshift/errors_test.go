package redshift

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/memory"

	"github.com/sluice-data/sluice/internal/fail"
	"github.com/sluice-data/sluice/internal/redshifttest"
)

const api = "workgroup: analytics, database: dev, "

// wants checks a failure's kind, and that its message has all the parts.
func wants(t *testing.T, err error, kind fail.Kind, parts ...string) {
	t.Helper()
	if err == nil || fail.KindOf(err) != kind {
		t.Fatalf("kind %v, want %v: %v", fail.KindOf(err), kind, err)
	}
	for _, p := range parts {
		if !strings.Contains(err.Error(), p) {
			t.Errorf("the message has no %q: %v", p, err)
		}
	}
}

// What does not fit between rows and table is shown as a table: column, what the rows have, what the table has, what to do.
func TestDiff(t *testing.T) {
	r := newRig(t)
	r.Exec(t, "CREATE SCHEMA stg")
	r.Exec(t, `CREATE TABLE stg.t (id bigint IDENTITY(1,1), zone integer, fare numeric(10,2), city varchar(20), photo varchar(10), tags varchar(65535), doc super, at timestamptz ENCODE az64,
		day date NOT NULL, made timestamp NOT NULL DEFAULT getdate(), note text) DISTKEY(zone) SORTKEY(day, zone)`)
	s := columns(t, "id int64; Zone int64; fare decimal(8,2); city string; photo binary; tags list<string>; doc json; at timestamp; extra float64; note string")
	_, err := r.open(t, run1, "{"+api+"table: stg.t, run_id_column: run}", s).Preflight(t.Context())
	wants(t, err, fail.Data, "table stg.t does not take the rows: see id, zone, fare, photo, tags, doc, at, extra, day, run")
	golden(t, "diff.txt", fail.ExcerptOf(err)+"\n")
}

// With enable_case_sensitive_identifier a table may have columns in upper case, which the load does not name: they are said before rows are read.
func TestCaseSensitiveColumns(t *testing.T) {
	r := newRig(t)
	r.Exec(t, "CREATE SCHEMA stg")
	r.Query(t, `CREATE TABLE stg.t (id bigint, "City" varchar(20) NOT NULL, "Note" varchar(20), note varchar(10), "Day" date NOT NULL, "Run" varchar(64))`)
	s := columns(t, "id int64; City string; note string")
	_, err := r.open(t, run1, "{"+api+"table: stg.t, run_id_column: run}", s).Preflight(t.Context())
	wants(t, err, fail.Data, "table stg.t does not take the rows: see city, Day, run")
	golden(t, "case.txt", fail.ExcerptOf(err)+"\n")
	r.Query(t, `ALTER TABLE stg.t RENAME "City" TO city; ALTER TABLE stg.t RENAME "Run" TO run; ALTER TABLE stg.t DROP "Day"`)
	if _, err := r.deliver(t, run1, "{"+api+"table: stg.t, run_id_column: run}", s, `[{"id":1,"City":"Bonn","note":"n"}]`); err != nil {
		t.Fatal(err)
	}
	equal(t, "rows", r.Query(t, "SELECT * FROM stg.t"), "[1|Bonn|NULL|n|"+run1+"]")
}

// Columns go by name, in any order; those of the table that the rows do not have get their defaults.
func TestDefaultsAndOrder(t *testing.T) {
	for way, to := range ways {
		t.Run(way, func(t *testing.T) {
			r := newRig(t)
			r.Exec(t, "CREATE SCHEMA stg")
			r.Exec(t, "CREATE TABLE stg.t (n bigint IDENTITY(10,5), b varchar(5), src varchar(10) DEFAULT 'sluice', a integer NOT NULL)")
			s := columns(t, "A int32; b string")
			for i, mode := range []string{"mode: append", "mode: append, explicit_ids: true", "mode: merge, keys: [a]"} {
				if _, err := r.deliver(t, fmt.Sprintf("%016x", i), "{"+to+", table: STG.T, "+mode+"}", s, fmt.Sprintf(`[{"A":%d,"b":"x"}]`, i)); err != nil {
					t.Fatal(err)
				}
			}
			equal(t, "rows", r.Query(t, "SELECT n, b, src, a FROM stg.t ORDER BY a"), "[10|x|sluice|0 15|x|sluice|1 20|x|sluice|2]")
			_, err := r.deliver(t, run1, "{"+to+", table: stg.t}", columns(t, "n int64; a int32"), `[{"n":1,"a":7}]`)
			wants(t, err, fail.Data, "see n")
			if _, err := r.deliver(t, run1, "{"+to+", table: stg.t, explicit_ids: true}", columns(t, "n int64; a int32"), `[{"n":1,"a":7}]`); err != nil {
				t.Fatal(err)
			}
			equal(t, "rows", r.Query(t, "SELECT n, b, src, a FROM stg.t WHERE a = 7"), "[1|NULL|sluice|7]")
		})
	}
}

// Every type that can be loaded comes through as it was, into the table that is made for it.
func TestTypes(t *testing.T) {
	r := newRig(t)
	s := columns(t, `b bool; i8 int8; i16 int16; i32 int32; i64 int64; f32 float32; f64 float64; d9 decimal(9,3); d18 decimal(18,0); d38 decimal(38,10); s string; bin binary; d date; t time; ts timestamp; tz timestamptz; j json; l list<int64>; st struct<a: int32, b: list<string>>`)
	block := "{" + api + "table: typed, ensure: create, iam_role: '" + redshifttest.Role + "'}"
	if _, err := r.deliver(t, run1, block, s,
		`[{"b":true,"i8":-128,"i16":32767,"i32":-2147483648,"i64":9223372036854775807,"f32":0.1,"f64":0.1,"d9":"-123456.789","d18":"999999999999999999","d38":"-1234567890123456789012345678.0123456789","s":"ä\n\\","bin":"AP8=","d":"1969-12-31","t":"23:59:59.999999","ts":"2026-01-02T03:04:05.000006","tz":"2026-01-02T03:04:05.5Z","j":"{\"x\": 1}","l":[1,null,3],"st":{"a":7,"b":["x"]}},
		  {"b":false,"i8":1,"i16":1,"i32":1,"i64":1,"f32":1,"f64":1,"d9":"0.001","d18":"0","d38":"0","s":"","bin":"","d":"2026-11-28","t":"00:00:00","ts":"2026-01-02T00:00:00","tz":"2026-01-02T00:00:00Z","j":"null","l":[],"st":{"a":null,"b":[]}}, {}]`); err != nil {
		t.Fatal(err)
	}
	equal(t, "types", strings.Join(r.Query(t, "SELECT attname || ' ' || format_type(atttypid, atttypmod) FROM pg_attribute WHERE attrelid = 'typed'::regclass AND attnum > 0 ORDER BY attnum"), "; "),
		`b boolean; i8 smallint; i16 smallint; i32 integer; i64 bigint; f32 real; f64 double precision; d9 numeric(9,3); d18 numeric(18,0); d38 numeric(38,10); s character varying(65535); bin double."binary varying(1024000)"; d date; t time without time zone; ts timestamp without time zone; tz timestamp with time zone; j character varying(65535); l double.super; st double.super`)
	equal(t, "rows", strings.Join(r.Query(t, "SET timezone = 'UTC'; SELECT * FROM typed ORDER BY i8 NULLS LAST"), "\n"), strings.Join([]string{
		"t|-128|32767|-2147483648|9223372036854775807|0.1|0.1|-123456.789|999999999999999999|-1234567890123456789012345678.0123456789|ä\n\\|\\x00ff|1969-12-31|23:59:59.999999|2026-01-02 03:04:05.000006|2026-01-02 03:04:05.5+00|{\"x\": 1}|[1, null, 3]|{\"a\": 7, \"b\": [\"x\"]}",
		"f|1|1|1|1|1|1|0.001|0|0.0000000000||\\x|2026-11-28|00:00:00|2026-01-02 00:00:00|2026-01-02 00:00:00+00|null|[]|{\"a\": null, \"b\": []}",
		strings.TrimSuffix(strings.Repeat("NULL|", 19), "|")}, "\n"))
	// what stands is compared with what the table has by the same types
	if _, err := r.deliver(t, run2, block, s, `[{"i8":5}]`); err != nil {
		t.Fatal(err)
	}
}

func TestConstraints(t *testing.T) {
	r := newRig(t)
	r.Exec(t, "CREATE SCHEMA stg")
	r.Exec(t, "CREATE TABLE stg.t (id bigint, city varchar(20) NOT NULL, note text, c char(3), photo varbyte(7), day date)")
	s := columns(t, "id int64; city string; note string; c string; photo binary; day date")
	got, err := r.open(t, run1, "{"+api+"table: stg.t, mode: merge, keys: [id]}", s).Preflight(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, c := range got {
		all = append(all, c.Column+": "+c.Because)
	}
	equal(t, "constraints", strings.Join(all, "\n"), `id: column id is a key of the merge into stg.t, and null equals nothing
city: column city of stg.t is varchar(20)
city: column city of stg.t is varchar(20)
city: column city of stg.t is not null
note: column note of stg.t is text
note: column note of stg.t is text
c: column c of stg.t is character(3)
c: column c of stg.t is character(3)
c: column c of stg.t is character(3)
c: column c of stg.t is character(3)
photo: column photo of stg.t is varbyte(7)
day: column day of stg.t is date`)
	days, _, err := array.FromJSON(memory.DefaultAllocator, arrow.FixedWidthTypes.Date32, strings.NewReader(`[-2440588, -2440589, 106762939, 106762940]`))
	if err != nil {
		t.Fatal(err)
	}
	var refused []int
	got[len(got)-1].Check(days, func(row int, reason string) { refused = append(refused, row) })
	equal(t, "days that Redshift does not have", refused, "[1 3]")
	got, err = r.open(t, run1, "{table: stg.u, mode: stage, ensure: create, lengths: {city: 4}}", s).Preflight(t.Context())
	if err != nil || got[0].Because != "column city of stg.u is varchar(4)" {
		t.Fatal(got, err)
	}
}

// Redshift keeps no spaces at the end of a char(n), and compares no text with them: keys that differ by these would be one.
func TestSpacesAtTheEnd(t *testing.T) {
	r := newRig(t)
	r.Exec(t, "CREATE SCHEMA stg")
	r.Exec(t, "CREATE TABLE stg.t (k varchar(20), c char(3), kc char(3), v varchar(20), n bigint)")
	s := columns(t, "k string; c string; kc string; v string; n int64")
	texts, _, err := array.FromJSON(memory.DefaultAllocator, arrow.BinaryTypes.String, strings.NewReader(`["ab", "ab ", null, " ab", " ", "ab\t"]`))
	if err != nil {
		t.Fatal(err)
	}
	for _, block := range []string{"{" + api + "table: stg.t, mode: merge, keys: [k, kc, n]}", "{table: stg.t, mode: stage, ensure: create, keys: [k, kc, n]}", "{" + api + "table: stg.t}"} {
		got, err := r.open(t, run1, block, s).Preflight(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		var refused []string
		for _, c := range got {
			c.Check(texts, func(row int, reason string) {
				if strings.Contains(reason, "spaces") {
					refused = append(refused, fmt.Sprintf("%s %d %s: %s", c.Column, row, reason, c.Because))
				}
			})
		}
		key := func(name string) string {
			var out []string
			for _, row := range []string{"1", "4"} {
				out = append(out, name+" "+row+" spaces at its end do not tell keys apart: column "+name+" is a key of the merge into stg.t")
			}
			return strings.Join(out, "\n")
		}
		char := func(name string) string {
			return fmt.Sprintf("%s 1 spaces at its end would be lost: column %[1]s of stg.t is character(3)\n%[1]s 4 spaces at its end would be lost: column %[1]s of stg.t is character(3)", name)
		}
		want := []string{char("c"), char("kc")}
		switch {
		case strings.Contains(block, "stage"):
			want = []string{key("k"), key("kc")}
		case strings.Contains(block, "merge"):
			want = []string{key("k"), char("c"), char("kc")}
		}
		equal(t, block, strings.Join(refused, "\n"), strings.Join(want, "\n"))
	}
}

// What is wrong with the place, the user or the names comes out before a byte is staged, each with its kind.
func TestPreflightRefuses(t *testing.T) {
	r := newRig(t)
	r.Exec(t, "CREATE SCHEMA stg")
	r.Exec(t, "CREATE TABLE stg.t (id bigint)")
	r.Exec(t, "CREATE VIEW stg.v AS SELECT 1 AS id")
	s := columns(t, "id int64")
	try := func(block string) error {
		_, err := r.open(t, run1, block, s).Preflight(t.Context())
		return err
	}
	wants(t, try("{"+api+"table: stg.none}"), fail.Usage, `table stg.none does not exist in database dev: set ensure: create, or make it by CREATE TABLE IF NOT EXISTS "stg"."none" ("id" bigint)`)
	wants(t, try("{"+api+"table: nix.t}"), fail.Usage, `schema "nix" does not exist`)
	wants(t, try("{"+api+"table: stg.t, ledger: ops.loads}"), fail.Usage, `schema "ops" does not exist`)
	wants(t, try("{"+api+"table: stg.v}"), fail.Usage, "stg.v is no table")
	wants(t, try("{workgroup: other, database: dev, table: stg.t}"), fail.Usage, "workgroup other", "doesn't exist in this region")
	wants(t, try("{cluster: other, database: dev, table: stg.t}"), fail.Usage, "Cluster doesn't exist")
	wants(t, try("{workgroup: analytics, database: prod, table: stg.t}"), fail.Usage, "prod")
	wants(t, try(`{dsn: "`+strings.Replace(r.DSN, "/dev?", "/prod?", 1)+`", table: stg.t}`), fail.Usage, `database "prod" does not exist`)
	wants(t, try(`{dsn: "`+strings.Replace(r.DSN, redshifttest.User+"@", "mallory@", 1)+`", table: stg.t}`), fail.Permission, "mallory", "password authentication failed")
	wants(t, try("{cluster: cluster-1, database: dev, db_user: u, table: stg.none}"), fail.Usage, "stg.none")
	r.As(t, "weak")
	r.Grant(t, "USAGE ON SCHEMA stg")
	wants(t, try("{"+api+"table: stg.t}"), fail.Permission, "no INSERT on stg.t", "no CREATE on schema stg, to make stg.t_sluice_loads")
	r.Grant(t, "INSERT ON stg.t")
	wants(t, try("{"+api+"table: stg.t, mode: replace, ledger: public.loads}"), fail.Permission, "no DELETE on stg.t")
	r.Grant(t, "CREATE ON SCHEMA stg")
	if err := try("{" + api + "table: stg.t}"); err != nil {
		t.Fatal(err)
	}
	if err := try(`{dsn: "` + r.DSN + `", table: stg.t}`); err != nil {
		t.Fatal(err)
	}
	r.Query(t, "DO $$ BEGIN EXECUTE 'REVOKE TEMP ON DATABASE ' || quote_ident(current_database()) || ' FROM PUBLIC'; END $$")
	wants(t, try("{"+api+"table: stg.t, run_id_column: run}"), fail.Permission, "no TEMP on database dev, for the table that rows wait in")
	r.Exec(t, "CREATE TABLE stg.ro (id bigint)")
	wants(t, try("{"+api+"table: stg.t, ledger: stg.ro}"), fail.Permission, "no SELECT on stg.ro", "no DELETE on stg.ro")
	r.Exec(t, "DROP TABLE stg.ro")
	wants(t, try(`{dsn: "postgres://u@no..such/dev", table: stg.t}`), fail.Temporary, "host no..such is unknown") // no name of a host: nobody needs to be asked
	t.Setenv("AWS_ACCESS_KEY_ID", "nobody")
	wants(t, try("{"+api+"table: stg.t}"), fail.Permission, "redshift-data:ExecuteStatement")
	t.Setenv("PGPASSWORD", "wrong")
	wants(t, try(`{dsn: "`+r.DSN+`", table: stg.t}`), fail.Permission, "password authentication failed")
	if got := r.Query(t, "SELECT relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE nspname = 'stg' ORDER BY 1"); fmt.Sprint(got) != "[t v]" {
		t.Fatal("preflight changed something:", got)
	}
}

// What COPY does not take comes back as ours, with file, column and value, and leaves nothing behind.
func TestLoadErrors(t *testing.T) {
	r := newRig(t)
	r.Exec(t, "CREATE SCHEMA stg")
	r.Exec(t, "CREATE TABLE stg.t (id bigint, city varchar(5))")
	s := columns(t, "id int64; city string")
	files := []string{`[{"id":1,"city":"Köln"}]`, `[{"id":2,"city":"Zürich"}]`}
	load := func(block string) error {
		d := r.open(t, run1, block, s)
		_, err := d.Deliver(t.Context(), r.commit(t, run1, s, files...)) // without the constraints of the preflight
		return err
	}
	for way, to := range ways {
		err := load("{" + to + ", table: stg.t}")
		wants(t, err, fail.Data, "part-"+run1+"-00001.parquet", `column "city"`, "7 bytes", "stg.t takes 5")
		r.Server.Terse = true
		err = load("{" + to + ", table: stg.t}")
		wants(t, err, fail.Data, "s3://", "part-"+run1+"-00001.parquet", `column "city"`, "String length exceeds DDL length", "Zürich")
		r.Server.Provisioned = true
		err = load("{" + to + ", table: stg.t}")
		wants(t, err, fail.Data, "part-"+run1+"-00001.parquet", `column "city"`, "String length exceeds DDL length", "Zürich")
		r.Server.Provisioned, r.Server.Terse = false, false
		wants(t, load("{"+to+", table: stg.t, iam_role: '"+redshifttest.Denied+"'}"), fail.Permission, redshifttest.Denied, "s3:GetObject on s3://"+r.bucket+"/stage/")
		wants(t, load("{"+to+", table: stg.t, iam_role: 'arn:aws:iam::1:role/nobody'}"), fail.Permission, "not authorized to assume IAM Role")
		equal(t, way, r.Query(t, "SELECT count(*) FROM stg.t"), "[0]")
	}
	r.Exec(t, "CREATE TABLE stg.wide (id bigint, city varchar(50), more integer)")
	r.Exec(t, "CREATE TABLE stg.other (id integer, city varchar(50))")
	wants(t, load("{"+api+"table: stg.other}"), fail.Data, `column "id"`, "INTEGER", "int64")

	d := r.open(t, run1, "{"+api+"table: stg.wide}", s)
	c := r.commit(t, run1, s, files...)
	if err := r.store.Delete(t.Context(), c.Files[1].Ref); err != nil {
		t.Fatal(err)
	}
	_, err := d.Deliver(t.Context(), c)
	wants(t, err, fail.Data, "mandatory")
	c = r.commit(t, run1, s, files...)
	c.Files[0].Size++
	_, err = d.Deliver(t.Context(), c)
	wants(t, err, fail.Data, "content_length")
	c = r.commit(t, run1, s, files...)
	c.Rows++
	_, err = d.Deliver(t.Context(), c)
	wants(t, err, fail.Data, "COPY did not load the 3 rows")
	equal(t, "rows", r.Query(t, "SELECT count(*) FROM stg.wide"), "[0]")
}

// Two rows of one key would leave to chance which one stays: the load is refused, and says which key.
func TestKeysTwice(t *testing.T) {
	for way, to := range ways {
		t.Run(way, func(t *testing.T) {
			r := newRig(t)
			s := columns(t, "id int64; day date; v string")
			_, err := r.deliver(t, run1, "{"+to+", table: t, ensure: create, mode: merge, keys: [id, day]}", s, `[{"id":1,"day":"2026-11-01","v":"a"},{"id":2,"day":"2026-11-01","v":"b"}]`, `[{"id":1,"day":"2026-11-01","v":"c"}]`)
			wants(t, err, fail.Data, "id = 1, day = 2026-11-01 (2 rows)", "dedupe: {keys: [id, day]}")
			equal(t, "rows", r.Query(t, "SELECT count(*) FROM t"), "[0]")
		})
	}
}

// A run that was forced anew has other files: they take the place of the first ones where that is possible, and are refused where it is not.
func TestForcedAnew(t *testing.T) {
	r := newRig(t)
	s := columns(t, "id int64; v string")
	for i, c := range []struct{ mode, want string }{
		{"mode: replace", "[1|new]"}, {"mode: merge, keys: [id]", "[1|new]"}, {"mode: append, run_id_column: run", "[1|new|" + run1 + "]"}, {"mode: append", ""},
	} {
		block := fmt.Sprintf("{%stable: t%d, ensure: create, %s}", api, i, c.mode)
		if _, err := r.deliver(t, run1, block, s, `[{"id":1,"v":"old"}]`); err != nil {
			t.Fatal(err)
		}
		again := r.commit(t, run1, s, `[{"id":1,"v":"new"}]`)
		again.At = again.At.Add(time.Second)
		_, err := r.open(t, run1, block, s).Deliver(t.Context(), again)
		if c.want == "" {
			wants(t, err, fail.Data, "--force", "set run_id_column")
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		equal(t, c.mode, r.Query(t, fmt.Sprintf("SELECT * FROM t%d", i)), c.want)
		equal(t, "ledger", r.Query(t, fmt.Sprintf("SELECT count(*) FROM t%d_sluice_loads", i)), "[1]")
	}
}

// Several jobs at one table, each redelivered and by several attempts at once: every run is loaded once, at either isolation level.
func TestAtOnce(t *testing.T) {
	for way, to := range ways {
		for n, mode := range []string{"mode: append", "mode: append ", "mode: merge, keys: [id]"} {
			t.Run(way+"/"+mode, func(t *testing.T) {
				r := newRig(t)
				r.Snapshot = n > 0
				s := columns(t, "id int64; v string")
				block := "{" + to + ", table: t, ensure: create, " + mode + "}"
				const runs, attempts = 4, 3
				var all sync.WaitGroup
				errs := make(chan error, runs*attempts)
				for n := range runs {
					runID := fmt.Sprintf("%016x", n)
					c := r.commit(t, runID, s, fmt.Sprintf(`[{"id":%d,"v":"a"},{"id":%d,"v":"b"}]`, 2*n, 2*n+1))
					for range attempts {
						d := r.open(t, runID, block, s)
						all.Go(func() { _, err := d.Deliver(context.Background(), c); errs <- err })
					}
				}
				all.Wait()
				close(errs)
				for err := range errs {
					if err != nil {
						t.Error(err)
					}
				}
				equal(t, "rows", r.Query(t, "SELECT count(*), count(DISTINCT id) FROM t"), fmt.Sprintf("[%d|%d]", 2*runs, 2*runs))
				equal(t, "ledger", r.Query(t, "SELECT count(*) FROM t_sluice_loads"), fmt.Sprintf("[%d]", runs))
			})
		}
	}
}

// Loads of different tables do not wait for each other: while one stands in the middle of its transaction, another goes through.
func TestTablesApart(t *testing.T) {
	r := newRig(t)
	s := columns(t, "id int64")
	if _, err := r.deliver(t, run1, "{"+api+"table: a, ensure: create}", s, `[{"id":1}]`); err != nil {
		t.Fatal(err)
	}
	held, release := make(chan struct{}), make(chan struct{})
	var once sync.Once
	r.SetFault(func(event string) redshifttest.Fault {
		if strings.HasPrefix(event, `sql: COPY "public"."a"`) {
			once.Do(func() { close(held); <-release })
		}
		return redshifttest.None
	})
	slow := r.open(t, run2, "{"+api+"table: a, mode: append}", s)
	c := r.commit(t, run2, s, `[{"id":2}]`)
	done := make(chan error)
	go func() { _, err := slow.Deliver(context.Background(), c); done <- err }()
	<-held
	_, err := r.deliver(t, run1, "{"+api+"table: b, ensure: create}", s, `[{"id":1}]`)
	close(release)
	if err := <-done; err != nil {
		t.Error(err)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// An attempt that was killed while its statement ran leaves the statement's id, and the next goes on with that: nothing is handed in twice.
func TestResumes(t *testing.T) {
	r := newRig(t)
	s := columns(t, "id int64")
	block := "{" + api + "table: t, ensure: create}"
	c := r.commit(t, run1, s, `[{"id":1}]`)
	if _, err := r.open(t, run1, block, s).Preflight(t.Context()); err != nil {
		t.Fatal(err)
	}
	inCopy, release := make(chan struct{}), make(chan struct{})
	var copying atomic.Bool
	var once sync.Once
	r.SetFault(func(event string) redshifttest.Fault {
		switch {
		case strings.HasPrefix(event, "sql: COPY"):
			copying.Store(true)
			<-release
		case copying.Load() && !strings.HasPrefix(event, "sql:"): // it asks how far its statement is, which it has noted before
			once.Do(func() { close(inCopy) })
			return redshifttest.Drop // nothing of the killed worker gets through any more
		}
		return redshifttest.None
	})
	ctx, kill := context.WithCancel(t.Context())
	first := r.open(t, run1, block, s)
	done := make(chan error)
	go func() { _, err := first.Deliver(ctx, c); done <- err }()
	<-inCopy
	kill()
	wants(t, <-done, fail.Temporary)
	r.SetFault(nil)
	before := len(r.Events())
	time.AfterFunc(50*time.Millisecond, func() { close(release) })
	if _, err := r.open(t, run1, block, s).Deliver(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	if after := r.Events()[before:]; slices.Contains(after, "BatchExecuteStatement") {
		t.Fatal("handed in once more:", after)
	}
	equal(t, "rows", r.Query(t, "SELECT count(*) FROM t"), "[1]")

	// A statement that the Data API has forgotten meanwhile is handed in anew, and finds what came of it.
	r.Forget()
	if msg, err := r.open(t, run1, block, s).Deliver(t.Context(), c); err != nil || !strings.Contains(msg, "already") {
		t.Fatal(msg, err)
	}
	r.Exec(t, "DELETE FROM t_sluice_loads")
	r.Exec(t, "DELETE FROM t")
	if msg, err := r.open(t, run1, block, s).Deliver(t.Context(), c); err != nil || strings.Contains(msg, "already") {
		t.Fatal(msg, err)
	}
	equal(t, "rows", r.Query(t, "SELECT count(*) FROM t"), "[1]")
}

// SIGTERM while the load runs: the statement is cancelled, and nothing of it stays.
func TestCancelled(t *testing.T) {
	for way, to := range ways {
		t.Run(way, func(t *testing.T) {
			r := newRig(t)
			s := columns(t, "id int64")
			r.Exec(t, "CREATE TABLE t (id bigint)")
			r.Exec(t, "CREATE TABLE t_sluice_loads (run_id varchar(64), table_name varchar(256), mode varchar(16), committed_at varchar(64), row_count bigint, manifest varchar(2048), loaded_at timestamp)")
			block := "{" + to + ", table: t}"
			d := r.open(t, run1, block, s)
			c := r.commit(t, run1, s, `[{"id":1}]`)
			ctx, term := context.WithCancelCause(t.Context())
			r.SetFault(func(event string) redshifttest.Fault {
				if strings.HasPrefix(event, "sql: LOCK") { // which waits for the lock below
					time.AfterFunc(20*time.Millisecond, func() { term(fail.Newf(fail.Temporary, "SIGTERM")) })
				}
				return redshifttest.None
			})
			unlock := r.Hold(t, "LOCK TABLE t_sluice_loads IN ROW EXCLUSIVE MODE")
			_, err := d.Deliver(ctx, c)
			wants(t, err, fail.Temporary, "SIGTERM")
			r.Idle(t) // though the lock is still held, which LOCK waited for
			unlock()
			r.SetFault(nil)
			equal(t, way, r.Query(t, "SELECT count(*) FROM t"), "[0]")
			if way == "data api" && !slices.Contains(r.Events(), "CancelStatement") {
				t.Fatal(r.Events())
			}
			if _, err := r.open(t, run1, block, s).Deliver(t.Context(), c); err != nil {
				t.Fatal(err)
			}
			equal(t, way, r.Query(t, "SELECT count(*) FROM t"), "[1]")
		})
	}
}

// A conflict that does not go away ends in exit 75, not in silence.
func TestConflictsForGood(t *testing.T) {
	r := newRig(t)
	s := columns(t, "id int64")
	block := "{" + api + "table: t, ensure: create}"
	r.SetFault(func(event string) redshifttest.Fault {
		if event == "sql: COMMIT" {
			return redshifttest.Conflict
		}
		return redshifttest.None
	})
	_, err := r.deliver(t, run1, block, s, `[{"id":1}]`)
	wants(t, err, fail.Temporary, "other transactions were in the way 11 times", "Serializable isolation violation")
}

// Stage leaves the files, the manifest and the SQL, and that does what the modes do.
func TestStage(t *testing.T) {
	r := newRig(t)
	s := columns(t, "id int64; v string")
	r.Exec(t, "CREATE SCHEMA stg")
	for i, keys := range []string{"", ", keys: [id]"} {
		block := fmt.Sprintf("{table: stg.t%d, mode: stage, ensure: create%s}", i, keys)
		if _, err := r.deliver(t, run1, block, s, `[{"id":1,"v":"a"},{"id":2,"v":"b"}]`); err != nil {
			t.Fatal(err)
		}
		sql := string(r.s3.Get(t, r.bucket, "stage/_runs/"+run1+"/redshift.sql"))
		r.Script(t, sql)
		equal(t, block, r.Query(t, fmt.Sprintf("SELECT * FROM stg.t%d ORDER BY id", i)), "[1|a 2|b]")
		equal(t, block, r.Query(t, fmt.Sprintf("SELECT run_id, row_count FROM stg.t%d_sluice_loads", i)), "["+run1+"|2]")
	}
	manifest := string(r.s3.Get(t, r.bucket, "stage/_runs/"+run1+"/redshift.manifest"))
	for _, part := range []string{`"url": "s3://` + r.bucket + "/stage/part-" + run1 + `-00000.parquet"`, `"mandatory": true`, `"content_length": `} {
		if !strings.Contains(manifest, part) {
			t.Errorf("no %s in %s", part, manifest)
		}
	}
}

// A run without rows replaces a table by nothing, and adds nothing to one.
func TestNoRows(t *testing.T) {
	r := newRig(t)
	s := columns(t, "id int64")
	for _, mode := range []string{"append", "replace", "merge, keys: [id]", "append, run_id_column: run"} {
		r.Exec(t, "DROP TABLE IF EXISTS t")
		r.Exec(t, "DROP TABLE IF EXISTS t_sluice_loads")
		block := "{" + api + "table: t, ensure: create, mode: " + mode + "}"
		if _, err := r.deliver(t, run1, block, s, `[{"id":1}]`); err != nil {
			t.Fatal(err)
		}
		if _, err := r.deliver(t, run2, block, s, `[]`); err != nil {
			t.Fatal(err)
		}
		c := r.commit(t, "00000000000000a3", s, `[]`)
		c.Files = nil
		if _, err := r.open(t, "00000000000000a3", block, s).Deliver(t.Context(), c); err != nil {
			t.Fatal(err)
		}
		want := "[1]"
		if mode == "replace" {
			want = "[0]"
		}
		equal(t, mode, r.Query(t, "SELECT count(*) FROM t"), want)
		equal(t, mode, r.Query(t, "SELECT count(*) FROM t_sluice_loads"), "[3]")
	}
}
