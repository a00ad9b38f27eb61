package redshift

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sluice-data/sluice/internal/fail"
)

var update = flag.Bool("update", false, "write the golden files")

// golden holds got against testdata/name.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Fatalf("%s differs (go test -update writes it):\n%s", path, got)
	}
}

// The SQL of each mode, as worker explain prints it.
func TestExplain(t *testing.T) {
	s := columns(t, "id int64 not null; City string; fare decimal(8,2); at timestamptz; day date; ok bool; n int16; f float64; photo binary; tags list<string>")
	var b strings.Builder
	for _, block := range []string{
		"{workgroup: w, database: dev, table: stg.Trips}",
		"{workgroup: w, database: dev, table: trips, mode: append, run_id_column: run_id, iam_role: 'arn:aws:iam::123456789012:role/copy', ensure: create, lengths: {city: 64}, default_length: 1000, dist_key: id, sort_key: [day, id]}",
		"{cluster: c, database: dev, db_user: loader, table: stg.trips, mode: replace, ledger: ops.loads, explicit_ids: true}",
		"{workgroup: w, database: dev, table: stg.trips, mode: merge, keys: [id, day], ensure: create}",
		"{dsn: 'postgres://u@h/dev', table: stg.trips, mode: merge, keys: [id], merge_by: delete_insert}",
		"{table: stg.trips, mode: stage}",
		"{table: stg.trips, mode: stage, keys: id}",
	} {
		d, err := open(request(t, nil, "b", run1, block, s))
		if err != nil {
			t.Fatal(block, err)
		}
		fmt.Fprintf(&b, "# %s\n%s;\n\n", block, strings.Join(d.Explain(), ";\n"))
		if err := d.Close(); err != nil {
			t.Fatal(err)
		}
	}
	golden(t, "explain.sql", b.String())
}

// What a block may not say, with the message and its place.
func TestRefused(t *testing.T) {
	s := columns(t, "id int64; city string; tags list<string>; day date")
	unsigned := columns(t, "id uint32; big uint64; City string; city string")
	var b strings.Builder
	for _, block := range []string{
		"{workgrup: w, database: dev, table: t}",
		"{workgroup: w, table: t}",
		"{workgroup: w, database: dev}",
		"{database: dev, table: t}",
		"{workgroup: w, cluster: c, database: dev, table: t}",
		"{workgroup: w, database: dev, table: t, db_user: u}",
		"{cluster: c, database: dev, table: t, db_user: u, secret_arn: a}",
		"{connection: direct, workgroup: w, database: dev, table: t}",
		"{connection: data_api, dsn: 'postgres://u@h/d', table: t}",
		"{connection: odbc, dsn: 'postgres://u@h/d', table: t}",
		"{dsn: 'postgres://u:secret@h/d', table: t}",
		"{dsn: 'host=h password=secret', table: t}",
		"{dsn: 'postgres://u@h:x/d', table: t}",
		"{dsn: 'postgres://u@h/d', database: dev, table: t}",
		"{workgroup: w, database: dev, table: a.b.c}",
		"{workgroup: w, database: dev, table: 'a.\"b\"'}",
		"{workgroup: w, database: dev, table: t, mode: upsert}",
		"{workgroup: w, database: dev, table: t, mode: apend}",
		"{workgroup: w, database: dev, table: t, mode: merge}",
		"{workgroup: w, database: dev, table: t, mode: merge, keys: [ID, citi]}",
		"{workgroup: w, database: dev, table: t, mode: merge, keys: [id, id]}",
		"{workgroup: w, database: dev, table: t, mode: merge, keys: [tags]}",
		"{workgroup: w, database: dev, table: t, keys: [id]}",
		"{workgroup: w, database: dev, table: t, mode: replace, merge_by: merge}",
		"{workgroup: w, database: dev, table: t, mode: merge, keys: [id], run_id_column: run}",
		"{workgroup: w, database: dev, table: t, mode: merge, keys: [id], explicit_ids: true}",
		"{workgroup: w, database: dev, table: t, run_id_column: City}",
		"{workgroup: w, database: dev, table: t, iam_role: copy}",
		"{workgroup: w, database: dev, table: t, iam_role: \"arn:'\"}",
		"{workgroup: w, database: dev, table: t, ensure: creat}",
		"{workgroup: w, database: dev, table: t, dist_key: id}",
		"{workgroup: w, database: dev, table: t, ensure: create, dist_key: idd}",
		"{workgroup: w, database: dev, table: t, ensure: create, sort_key: [nothing]}",
		"{workgroup: w, database: dev, table: t, ensure: create, sort_key: [id, tags]}",
		"{workgroup: w, database: dev, table: t, ensure: create, dist_key: tags}",
		"{workgroup: w, database: dev, table: t, ensure: create, lengths: {city: 0}}",
		"{workgroup: w, database: dev, table: t, ensure: create, lengths: {city: 65536}}",
		"{workgroup: w, database: dev, table: t, ensure: create, lengths: {day: 10}}",
		"{workgroup: w, database: dev, table: t, ensure: create, default_length: -1}",
		"{workgroup: w, database: dev, table: t, explicit_ids: maybe}",
		"{workgroup: '', database: dev, table: t}",
	} {
		_, err := open(request(t, nil, "b", run1, block, s))
		fmt.Fprintf(&b, "%s\n    %v\n", block, err)
		if fail.KindOf(err) != fail.Usage || err == nil {
			t.Errorf("%s: %v", block, err)
		}
	}
	plain := "{workgroup: w, database: dev, table: t}"
	for what, change := range map[string]func() error{
		"1 partition_by": func() error {
			r := request(t, nil, "b", run1, plain, s)
			r.PartitionBy = []string{"day"}
			_, err := open(r)
			return err
		},
		"2 partition_by of all": func() error {
			r := request(t, nil, "b", run1, "{workgroup: w, database: dev, table: t, partition_columns: skip}", columns(t, "day date"))
			r.PartitionBy = []string{"day"}
			_, err := open(r)
			return err
		},
		"3 a plain path": func() error {
			r := request(t, nil, "", run1, plain, s)
			_, err := open(r)
			return err
		},
		"3 another format": func() error {
			r := request(t, nil, "b", run1, plain, s)
			r.Format = "csv"
			_, err := open(r)
			return err
		},
		"3 a quote": func() error {
			r := request(t, nil, "b", run1, plain, s)
			r.Dir.Key = "it's/"
			_, err := open(r)
			return err
		},
		"4 sink.mode": func() error {
			r := request(t, nil, "b", run1, plain, s)
			r.Mode = "replace"
			_, err := open(r)
			return err
		},
		"5 unsigned": func() error { _, err := open(request(t, nil, "b", run1, plain, unsigned)); return err },
	} {
		if err := change(); fail.KindOf(err) != fail.Usage || err == nil {
			t.Errorf("%s: %v", what, err)
		}
	}
	r := request(t, nil, "b", run1, plain, s)
	r.PartitionBy = []string{"day"}
	_, err := open(r)
	fmt.Fprintf(&b, "sink.partition_by: [day]\n    %v\n", err)
	for _, typ := range []string{"uint8", "uint16", "uint32", "uint64"} {
		_, err := open(request(t, nil, "b", run1, plain, columns(t, "n "+typ)))
		fmt.Fprintf(&b, "%s\n    %v\n", typ, err)
	}
	_, err = open(request(t, nil, "b", run1, plain, columns(t, "City string; city string")))
	fmt.Fprintf(&b, "City, city\n    %v\n", err)
	golden(t, "refused.txt", b.String())
}
