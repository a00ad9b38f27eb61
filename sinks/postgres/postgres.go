// Package postgres loads a run's committed files into a table of PostgreSQL (Aurora, RDS, any from version 12 on), exactly once.
package postgres

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/apache/arrow/go/v17/arrow"

	"github.com/sluice-data/sluice/internal/pg"
	"github.com/sluice-data/sluice/internal/spec"
	"github.com/sluice-data/sluice/sinks"
)

func init() {
	sinks.RegisterTarget(sinks.Target{
		Name: "postgres",
		Doc: `Loads the rows into a table of PostgreSQL 12 and later (Aurora, RDS) when the files are committed: COPY in binary form, in one transaction with a row of
sluice_loads, a table beside the target, that says the run is in. So each row is there once, wherever a worker was killed.

mode is append (the default), replace (all rows of the table go in the same transaction) or merge (a row with the same keys is replaced; a unique index has to cover the keys).
Columns go by their names; the table may have more that are nullable or have a default. Before rows are read the table is held against them: types, lengths, precision, NOT NULL, keys,
rights. A value that the table would not take is a bad row. ensure: create makes the table if it is not there. run_id_column names a text column that gets the run's id: with it --force can
take back what an earlier commit of the run had appended.

Where the database is: uri (or dsn, which is the same), a URL without a password; or dsn_env, the name of a variable that holds a whole URL; or host, port, database, user; what is left open comes from PGHOST, PGUSER,
PGPASSWORD, PGSSLMODE and the like (PGTARGETSESSIONATTRS=read-write, or target_session_attrs=read-write in the URL, where a name may lead to a replica). password_env names a variable, password_file a file with the password. sslmode: verify-full checks the server's certificate.

Lists of plain values become arrays, json becomes json, which stays as it was written, structs and other lists jsonb, or json where they hold json. A table may have jsonb for any of
these: PostgreSQL then rewrites the values, so that of a key given twice the last stands, and 1E2 is 100.`,
		Example: `sink:
  uri: s3://curated/trips/
  postgres: {host: db.internal, database: dwh, user: loader, sslmode: verify-full, table: stg.trips, mode: merge, keys: [trip_id], ensure: create}`,
		Rank: sinks.RankLoad,
		Open: open,
	})
}

// The modes and what may be done about a table that is not there; the first of each is the default.
var (
	modes   = []string{"append", "replace", "merge"}
	ensures = []string{"none", "create"}
)

// target is a delivery to one table.
type target struct {
	req          sinks.TargetRequest
	at           *spec.Node
	settings     pg.Settings
	schema, name string // of the table
	mode         string
	keys         []string
	create       bool
	runColumn    string
	natural      []pg.Type // of the rows' columns
	conn         *pg.Conn  // kept from preflight to delivery; nil if there is none
	pause        func(try int) time.Duration
}

func open(req sinks.TargetRequest) (sinks.Delivery, error) {
	t := &target{req: req, at: req.At, mode: modes[0], pause: pause}
	if _, err := req.At.Map(append([]string{"table", "mode", "keys", "ensure", "run_id_column"}, pg.Keys...)...); err != nil {
		return nil, err
	}
	if req.Format != "parquet" {
		return nil, req.At.Errorf("postgres is loaded from Parquet files, and sink.format is %s", req.Format)
	}
	var err error
	if t.settings, err = pg.ReadSettings(req.At, req.Getenv); err != nil {
		return nil, err
	}
	if err := t.readTable(); err != nil {
		return nil, err
	}
	ensure := ensures[0]
	for _, k := range []struct {
		key   string
		dst   *string
		known []string
	}{{"mode", &t.mode, modes}, {"ensure", &ensure, ensures}, {"run_id_column", &t.runColumn, nil}} {
		n := req.At.Get(k.key)
		if n == nil {
			continue
		}
		if *k.dst, err = n.Str(); err != nil {
			return nil, err
		}
		if k.known != nil && !slices.Contains(k.known, *k.dst) {
			return nil, n.Errorf("unknown %s %q: use one of %s", k.key, *k.dst, strings.Join(k.known, ", "))
		}
	}
	t.create = ensure == "create"
	if n := req.At.Get("mode"); n == nil && req.Mode != "" && req.Mode != modes[0] {
		return nil, req.At.Errorf("sink.mode: %s is about files: say what postgres does with the rows that %s has (mode: append, replace or merge)", req.Mode, t.title())
	}
	if err := t.readKeys(); err != nil {
		return nil, err
	}
	if n := req.At.Get("run_id_column"); n != nil && req.Schema.HasField(t.runColumn) {
		return nil, n.Errorf("the rows have a column %q already", t.runColumn)
	}
	if err := t.checkNames(); err != nil {
		return nil, err
	}
	for _, f := range req.Schema.Fields() {
		typ, err := pg.TypeOf(f)
		if err != nil {
			return nil, req.At.Errorf("%w: leave it out with a drop step, or cast it", err)
		}
		t.natural = append(t.natural, typ)
	}
	return t, nil
}

func (t *target) readTable() error {
	n := t.at.Get("table")
	if n == nil {
		return t.at.Errorf("postgres needs table: schema.table")
	}
	text, err := n.Str()
	if err != nil {
		return err
	}
	t.schema, t.name, _ = strings.Cut(text, ".")
	if !strings.Contains(text, ".") {
		t.schema, t.name = "public", text
	}
	if t.schema == "" || t.name == "" || strings.Contains(t.name, ".") || strings.ContainsAny(text, "\"\x00") {
		return n.Errorf("table %q: want table, or schema.table, without quotes", text)
	}
	return nil
}

func (t *target) readKeys() error {
	n := t.at.Get("keys")
	switch {
	case n == nil && t.mode == "merge":
		return t.at.Errorf("mode: merge needs keys: [column, …], by which a row is found again")
	case n == nil:
		return nil
	case t.mode != "merge":
		return n.Errorf("keys are for mode: merge")
	}
	items, err := n.List()
	if err != nil {
		return err
	}
	for _, it := range items {
		k, err := it.Str()
		if err != nil {
			return err
		}
		if !t.req.Schema.HasField(k) {
			if near := spec.Nearest(k, t.columns()); near != "" {
				return it.Errorf("the rows have no column %q: did you mean %q?", k, near)
			}
			return it.Errorf("the rows have no column %q: they have %s", k, strings.Join(t.columns(), ", "))
		}
		if slices.Contains(t.keys, k) {
			return it.Errorf("keys names %q twice", k)
		}
		t.keys = append(t.keys, k)
	}
	if len(t.keys) == 0 {
		return n.Errorf("keys is empty")
	}
	return nil
}

// mostName is how many bytes of a name PostgreSQL keeps ("Identifiers and Key Words"): it cuts longer ones without a word.
const mostName = 63

func (t *target) checkNames() error {
	long := func(at *spec.Node, what, name string) error {
		if len(name) <= mostName {
			return nil
		}
		return at.Errorf("%s %q has %d bytes, and PostgreSQL cuts names at %d", what, name, len(name), mostName)
	}
	errs := []error{long(t.at.Get("table"), "schema", t.schema), long(t.at.Get("table"), "table", t.name), long(t.at.Get("run_id_column"), "run_id_column", t.runColumn)}
	for _, name := range t.columns() {
		errs = append(errs, long(t.at, "column", name))
	}
	return errors.Join(errs...)
}

// columns are the names of the rows' columns.
func (t *target) columns() []string {
	out := make([]string, t.req.Schema.NumFields())
	for i, f := range t.req.Schema.Fields() {
		out[i] = f.Name
	}
	return out
}

func (t *target) field(i int) arrow.Field { return t.req.Schema.Field(i) }

// title is the table in messages.
func (t *target) title() string { return t.schema + "." + t.name }

func (t *target) table() string  { return pg.Ident(t.schema) + "." + pg.Ident(t.name) }
func (t *target) ledger() string { return pg.Ident(t.schema) + `."sluice_loads"` }

// Close gives up the connection.
func (t *target) Close() error {
	if t.conn == nil {
		return nil
	}
	c := t.conn
	t.conn = nil
	return c.Close()
}

// Explain is the transaction, with the table as it is wanted: nobody is asked what it is.
func (t *target) Explain() []string {
	var out []string
	if t.create {
		out = append(out, t.createSQL()+";")
	}
	out = append(out, t.ledgerSQL()+";", "BEGIN ISOLATION LEVEL READ COMMITTED;", t.claimSQL("now()")+";  -- nothing to do if the run is there")
	into := t.table()
	p := t.assume()
	if !p.direct {
		out = append(out, t.stageSQL(p)+";")
		into = stage
	}
	rows := []string{fmt.Sprintf("COPY %s (%s) FROM STDIN (FORMAT binary);  -- rows of the committed files", into, t.names())}
	later := t.laterSQL("now()")
	if t.mode == "replace" {
		clear := []string{t.lockSQL() + ";", later + ";  -- no load if there is one: it was committed after this run", t.deleteSQL() + ";"}
		if p.direct {
			rows = append(clear, rows...)
		} else {
			rows = append(rows, clear...)
		}
	}
	if !p.direct {
		rows = append(rows, t.moveSQL(p)+";")
	}
	if t.mode != "replace" {
		rows = append(rows, later+";  -- no load if there is one of mode replace: it was committed after this run, and has taken its place")
	}
	return append(append(out, rows...), "COMMIT;")
}
