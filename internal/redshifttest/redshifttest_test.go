package redshifttest

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/parquet-go/parquet-go"
	"go.uber.org/goleak"

	"github.com/sluice-data/sluice/internal/pgtest"
	"github.com/sluice-data/sluice/internal/s3test"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(pgtest.Tests{M: m}) }

// trip is a file's row by another writer than the worker's.
type trip struct {
	ID   int64   `parquet:"id"`
	City *string `parquet:"city,optional"`
	N    int32   `parquet:"n"`
}

func file(t *testing.T, rows ...trip) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := parquet.Write(&b, rows); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// What COPY takes and what it refuses, in Redshift's words.
func TestCopy(t *testing.T) {
	pg, srv := pgtest.Start(t).Database(t), s3test.Start(t)
	s := Start(t, pg, srv)
	bucket := srv.Bucket(t)
	city := "Köln"
	body := file(t, trip{1, &city, 7}, trip{2, nil, 8})
	srv.Put(t, bucket, "a.parquet", body)
	s.Exec(t, "CREATE TABLE t (id bigint ENCODE az64 DISTKEY, city varchar(5), n integer, PRIMARY KEY (id)) SORTKEY(id)")
	s.Exec(t, "CREATE TABLE short (id bigint, city varchar(4), n integer)")
	s.Exec(t, "CREATE TABLE wide (id bigint, city varchar(5), n integer, more integer)")
	s.Exec(t, "CREATE TABLE other (id integer, city varchar(5), n integer)")
	entry := func(key, mandatory, meta string) string {
		return fmt.Sprintf(`{"entries":[{"url":"s3://%s/%s"%s%s}]}`, bucket, key, mandatory, meta)
	}
	length := fmt.Sprintf(`,"meta":{"content_length":%d}`, len(body))
	good := entry("a.parquet", `,"mandatory":true`, length)
	run := func(manifest, into, options string) error {
		srv.Put(t, bucket, "m", []byte(manifest))
		c, err := s.session(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer c.close()
		_, err = c.exec(t.Context(), fmt.Sprintf("COPY %s FROM 's3://%s/m' %s", into, bucket, options))
		return err
	}
	const usual = "IAM_ROLE default FORMAT AS PARQUET MANIFEST"
	for _, c := range []struct{ what, manifest, into, options, err string }{
		{"a file", good, "t", usual, ""},
		{"a column list, by position", good, "t (id, city, n)", usual, ""},
		{"the role by its ARN", good, "t", "IAM_ROLE '" + Role + "' PARQUET MANIFEST", ""},
		{"a role whose keys S3 refuses", good, "t", "IAM_ROLE '" + Denied + "' PARQUET MANIFEST", "Access Denied"},
		{"a role of somebody else", good, "t", "IAM_ROLE 'arn:aws:iam::1:role/x' PARQUET MANIFEST", "not authorized to assume IAM Role"},
		{"no role", good, "t", "PARQUET MANIFEST", "IAM_ROLE"},
		{"an option that columnar files do not have", good, "t", usual + " REGION 'eu-west-1'", "REGION argument is not supported"},
		{"no content_length", entry("a.parquet", `,"mandatory":true`, ""), "t", usual, "content_length"},
		{"a wrong content_length", entry("a.parquet", `,"mandatory":true`, `,"meta":{"content_length":1}`), "t", usual, "content_length 1"},
		{"a missing file that is mandatory", entry("b.parquet", `,"mandatory":true`, length), "t", usual, "mandatory"},
		{"a missing file that is not: passed over", entry("b.parquet", "", length), "t", usual, ""},
		{"a value that is too long in bytes", good, "short", usual, "The length of the data column city is longer than the length defined in the table. Table: 4, Data: 5"},
		{"too few columns", good, "wide", usual, "Unmatched number of columns between table and file. Table columns: 4, Data columns: 3"},
		{"too few columns with FILLRECORD", good, "wide", usual + " FILLRECORD", ""},
		{"columns by position, not by name", good, "t (n, city, id)", usual, "incompatible Parquet schema for column 's3://" + bucket + "/a.parquet.id'. Column type: INTEGER"},
		{"another type", good, "other", usual, "incompatible Parquet schema"},
	} {
		err := run(c.manifest, c.into, c.options)
		if c.err == "" && err != nil || c.err != "" && (err == nil || !strings.Contains(err.Error(), c.err)) {
			t.Errorf("%s: %v, want %q", c.what, err, c.err)
		}
	}
	// three loads of two rows: keys are not enforced
	if got := fmt.Sprint(s.Query(t, "SELECT id, city, n, count(*) FROM t GROUP BY 1, 2, 3 ORDER BY 1")); got != "[1|Köln|7|3 2|NULL|8|3]" {
		t.Error(got)
	}
	if got := fmt.Sprint(s.Query(t, "SELECT count(*) FROM double.sys_load_error_detail WHERE column_name = 'city'")); got != "[1]" {
		t.Error(got)
	}
}

// What PostgreSQL takes and Redshift does not is refused; the protocol is that of simple queries, over TLS.
func TestDialect(t *testing.T) {
	s := Start(t, pgtest.Start(t).Database(t), s3test.Start(t))
	t.Setenv("PGPASSWORD", Password)
	ctx := context.Background()
	c, err := pgconn.Connect(ctx, s.DSN)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close(ctx)
	if v := c.ParameterStatus("server_version"); v != "8.0.2" {
		t.Error(v)
	}
	do := func(sql string) error { _, err := c.Exec(ctx, sql).ReadAll(); return err }
	for _, sql := range []string{"CREATE TABLE t (id bigint, PRIMARY KEY (id))", "INSERT INTO t VALUES (1)", "INSERT INTO t VALUES (1)"} {
		if err := do(sql); err != nil {
			t.Fatal(sql, err)
		}
	}
	for _, sql := range []string{"INSERT INTO t VALUES (2) ON CONFLICT DO NOTHING", "INSERT INTO t VALUES (2) RETURNING id", "CREATE INDEX i ON t (id)", "SELECT * FROM stl_load_errors",
		"MERGE INTO t AS x USING t AS y ON x.id = y.id WHEN MATCHED THEN DELETE", "CREATE TABLE u (v varchar(65536))", "CREATE TABLE u (v varchar(5)) DISTKEY(w)"} {
		if do(sql) == nil {
			t.Errorf("taken: %s", sql)
		}
	}
	if r := c.ExecParams(ctx, "SELECT 1", nil, nil, nil, nil).Read(); r.Err == nil {
		t.Error("the extended protocol is taken")
	}
	if err := do("BEGIN"); err != nil {
		t.Fatal(err)
	}
	if err := do("TRUNCATE t"); err != nil { // commits, whatever comes after it
		t.Fatal(err)
	}
	_ = do("ROLLBACK")
	if got := fmt.Sprint(s.Query(t, "SELECT count(*) FROM t")); got != "[0]" {
		t.Error("TRUNCATE was rolled back:", got)
	}
	if _, err := pgconn.Connect(ctx, strings.Replace(s.DSN, "sslmode=verify-full", "sslmode=disable", 1)); err == nil {
		t.Error("a connection without TLS is taken")
	}
}
