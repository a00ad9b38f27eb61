package postgres

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/sluice-data/sluice/internal/fail"
	"github.com/sluice-data/sluice/internal/pg"
	"github.com/sluice-data/sluice/internal/spec"
	"github.com/sluice-data/sluice/sinks"
)

// column is one of the table's.
type column struct {
	name      string
	oid       uint32 // of its type, of a domain's base type
	mod       int32  // typmod; -1 for none
	typ       string // as format_type prints it
	notNull   bool
	hasValue  bool // a default or an identity stands in
	identity  bool // GENERATED ALWAYS AS IDENTITY: takes no values
	generated bool // computed from others
}

var errReplica = errors.New("it is a replica")

// fit is how the rows go into the table.
type fit struct {
	stage       []pg.Type // of each of the rows' columns, what COPY is given it as
	casts       []string  // and what makes it the table's type, behind its name: "", or "::uuid"
	direct      bool      // COPY goes straight into the table: all types are those of the rows
	constraints []sinks.Constraint
}

// assume is the fit of a table that has the types of the rows.
func (t *target) assume() *fit {
	return &fit{stage: slices.Clone(t.natural), casts: make([]string, len(t.natural)), direct: t.mode != "merge" && t.runColumn == ""}
}

// Preflight holds the table against the rows' columns.
func (t *target) Preflight(ctx context.Context) ([]sinks.Constraint, error) {
	if err := t.connect(ctx); err != nil {
		return nil, err
	}
	f, err := t.inspect(ctx)
	if err != nil {
		return nil, err
	}
	return f.constraints, t.askLedger(ctx)
}

// askLedger finds before the run what its entry in the ledger would fail by after the commit.
func (t *target) askLedger(ctx context.Context) error {
	verb := "look at the ledger " + t.schema + ".sluice_loads"
	rows, err := t.conn.Query(ctx, verb, `SELECT has_schema_privilege(n.oid, 'CREATE'), c.oid IS NOT NULL, has_table_privilege(c.oid, 'SELECT'), has_table_privilege(c.oid, 'INSERT'), has_table_privilege(c.oid, 'UPDATE'), current_user
FROM pg_namespace n LEFT JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = 'sluice_loads' WHERE n.nspname = $1`, t.schema)
	if err != nil || len(rows) == 0 {
		return err
	}
	user := pg.Ident(string(rows[0][5]))
	if string(rows[0][1]) != "t" {
		if string(rows[0][0]) != "t" {
			return fail.Newf(fail.Permission, "%s: it is not there, and CREATE on schema %s, to make it, is missing: GRANT CREATE ON SCHEMA %s TO %s, or make it: %s", verb, t.schema, pg.Ident(t.schema), user, t.ledgerSQL())
		}
		return nil
	}
	for i, right := range []string{"SELECT", "INSERT", "UPDATE"} {
		if string(rows[0][2+i]) != "t" {
			return fail.Newf(fail.Permission, "%s: user %s lacks %s on it: GRANT SELECT, INSERT, UPDATE ON %s TO %s", verb, rows[0][5], right, t.ledger(), user)
		}
	}
	if t.mode != "append" || t.runColumn != "" || !t.req.Forced {
		return nil // one that is not forced may be loaded just now by another attempt
	}
	rows, err = t.conn.Query(ctx, verb, fmt.Sprintf(`SELECT "rows" FROM %s WHERE "target" = $1 AND "run_id" = $2`, t.ledger()), t.name, t.req.RunID)
	if err != nil || len(rows) == 0 {
		return err
	}
	return t.appended(string(rows[0][0]), "load into "+t.title())
}

// appended is the error of a run that is committed anew, and whose earlier rows cannot be told from others.
func (t *target) appended(rows, verb string) error {
	return fail.Newf(fail.Data, `%s: %s rows of an earlier commit of run %s are in the table, and cannot be told from others: delete them and DELETE FROM %s WHERE "target" = %s AND "run_id" = %s, `+
		"or let run_id_column name a column for the run's id", verb, rows, t.req.RunID, t.ledger(), pg.Literal(t.name), pg.Literal(t.req.RunID))
}

const columnsSQL = `SELECT a.attname, CASE t.typtype WHEN 'd' THEN t.typbasetype ELSE a.atttypid END::bigint, CASE t.typtype WHEN 'd' THEN t.typtypmod ELSE a.atttypmod END,
  format_type(a.atttypid, a.atttypmod), a.attnotnull OR t.typnotnull, a.atthasdef OR a.attidentity <> '' OR t.typdefault IS NOT NULL, a.attidentity = 'a', a.attgenerated <> ''
FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid WHERE a.attrelid = $1::bigint::oid AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum`

// inspect looks at the table and finds how the rows fit. What does not is one error of kind Usage that lists everything.
func (t *target) inspect(ctx context.Context) (*fit, error) {
	verb := "look at table " + t.title()
	found, err := t.conn.Query(ctx, verb, `SELECT c.oid::bigint, c.relkind, pg_is_in_recovery() OR current_setting('transaction_read_only')::boolean, has_schema_privilege(n.oid, 'USAGE'),
  has_database_privilege(current_database(), 'TEMP') FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = $1 AND c.relname = $2`, t.schema, t.name)
	if err != nil {
		return nil, err
	}
	if len(found) == 0 {
		return t.absent(ctx, verb)
	}
	oid := string(found[0][0])
	isTrue := func(b []byte) bool { return string(b) == "t" }
	if k := string(found[0][1]); k != "r" && k != "p" {
		return nil, t.at.Get("table").Errorf("%s is no table (relkind %s)", t.title(), k)
	}
	if isTrue(found[0][2]) {
		return nil, fail.Newf(fail.Usage, "%s: %s takes no writes: %w; %s", verb, t.conn.Where(), errReplica, pg.Primary)
	}
	if !isTrue(found[0][3]) {
		return nil, fail.Newf(fail.Permission, "%s: USAGE on schema %s is missing: GRANT USAGE ON SCHEMA %s", verb, t.schema, pg.Ident(t.schema))
	}
	if err := t.rights(ctx, verb, oid); err != nil {
		return nil, err
	}
	rows, err := t.conn.Query(ctx, verb, columnsSQL, oid)
	if err != nil {
		return nil, err
	}
	var cols []column
	for _, r := range rows {
		id, err1 := strconv.ParseUint(string(r[1]), 10, 32)
		mod, err2 := strconv.ParseInt(string(r[2]), 10, 32)
		if err1 != nil || err2 != nil {
			return nil, fail.Newf(fail.Internal, "%s: type %s, %s", verb, r[1], r[2])
		}
		cols = append(cols, column{string(r[0]), uint32(id), int32(mod), string(r[3]), isTrue(r[4]), isTrue(r[5]), isTrue(r[6]), isTrue(r[7])})
	}
	f, wrong := t.match(cols)
	if t.mode == "merge" {
		if covered, err := t.unique(ctx, verb, oid); err != nil {
			return nil, err
		} else if !covered {
			wrong = append(wrong, fmt.Sprintf("merge needs a unique index of exactly the keys: CREATE UNIQUE INDEX ON %s (%s)", t.table(), quoted(t.keys)))
		}
	}
	if !f.direct && !isTrue(found[0][4]) {
		return nil, fail.Newf(fail.Permission, "%s: TEMP on the database is missing, for the table that rows wait in", verb)
	}
	if len(wrong) > 0 {
		return nil, t.at.Get("table").Errorf("the rows do not fit table %s of %s: %s", t.title(), t.conn.Where(), strings.Join(wrong, "; "))
	}
	return f, nil
}

// absent is for a table that is not there: an error, unless it is going to be made.
func (t *target) absent(ctx context.Context, verb string) (*fit, error) {
	if !t.create {
		return nil, t.at.Get("table").Errorf("%s has no table %s: set ensure: create, or run %s", t.conn.Where(), t.title(), t.createSQL())
	}
	rows, err := t.conn.Query(ctx, verb, "SELECT has_schema_privilege(oid, 'CREATE') FROM pg_namespace WHERE nspname = $1", t.schema)
	if err != nil {
		return nil, err
	}
	if len(rows) == 0 {
		return nil, t.at.Get("table").Errorf("%s has no schema %s: CREATE SCHEMA %s", t.conn.Where(), t.schema, pg.Ident(t.schema))
	}
	if string(rows[0][0]) != "t" {
		return nil, fail.Newf(fail.Permission, "create table %s: CREATE on schema %s is missing", t.title(), t.schema)
	}
	cols := make([]column, len(t.natural))
	for i, name := range t.columns() {
		if t.natural[i] == pg.JSON && slices.Contains(t.keys, name) {
			return nil, t.at.Get("keys").Errorf("column %q is json, which PostgreSQL cannot compare, so that it is no key of a table that ensure: create makes: cast it to string, or make the table with a jsonb column", name)
		}
		cols[i] = column{name: name, oid: t.natural[i].OID, mod: modOf(t.natural[i]), typ: t.natural[i].Name, notNull: slices.Contains(t.keys, name)}
	}
	if t.runColumn != "" {
		cols = append(cols, column{name: t.runColumn, oid: 25, mod: -1, typ: "text"})
	}
	f, _ := t.match(cols)
	return f, nil
}

// modOf is the typmod of a type that ensure makes.
func modOf(typ pg.Type) int32 {
	var p, s int32
	if n, _ := fmt.Sscanf(typ.Name, "numeric(%d,%d)", &p, &s); n == 2 && !strings.HasSuffix(typ.Name, "[]") {
		return p<<16 | s + 4
	}
	return -1
}

// rights names the right on the table that the mode needs and the user has not.
func (t *target) rights(ctx context.Context, verb, oid string) error {
	need := []string{"INSERT"}
	switch {
	case t.mode == "merge":
		need = []string{"INSERT", "SELECT", "UPDATE"}
	case t.mode == "replace", t.runColumn != "":
		need = []string{"INSERT", "SELECT", "DELETE"}
	}
	each := make([]string, len(need))
	for i, right := range need {
		each[i] = "has_table_privilege($1::bigint::oid, " + pg.Literal(right) + ")"
	}
	rows, err := t.conn.Query(ctx, verb, "SELECT "+strings.Join(each, ", ")+", current_user", oid)
	if err != nil {
		return err
	}
	user := string(rows[0][len(need)])
	for i, right := range need {
		if string(rows[0][i]) != "t" {
			return fail.Newf(fail.Permission, "%s: user %s lacks %s on it: GRANT %s ON %s TO %s", verb, user, right, strings.Join(need, ", "), t.table(), pg.Ident(user))
		}
	}
	return nil
}

// unique reports whether a unique index that has no condition covers exactly the keys.
func (t *target) unique(ctx context.Context, verb, oid string) (bool, error) {
	rows, err := t.conn.Query(ctx, verb, `SELECT string_agg(a.attname, chr(0 + 1) ORDER BY a.attname) FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey[0:i.indnkeyatts-1])
WHERE i.indrelid = $1::bigint::oid AND i.indisunique AND i.indisvalid AND i.indimmediate AND i.indpred IS NULL AND i.indexprs IS NULL GROUP BY i.indexrelid`, oid)
	keys := slices.Sorted(slices.Values(t.keys))
	for _, r := range rows {
		if string(r[0]) == strings.Join(keys, "\x01") {
			return true, nil
		}
	}
	return false, err
}

// match finds for each of the rows' columns its place in the table, and says of everything that is wrong.
func (t *target) match(cols []column) (*fit, []string) {
	f := t.assume()
	var wrong []string
	names := make([]string, len(cols))
	for i, c := range cols {
		names[i] = c.name
	}
	for i, name := range t.columns() {
		at := slices.Index(names, name)
		if at < 0 {
			msg := fmt.Sprintf("it has no column %q (%s)", name, t.natural[i].Name)
			if near := spec.Nearest(name, names); near != "" {
				msg += fmt.Sprintf(", but %q", near)
			}
			wrong = append(wrong, msg)
			continue
		}
		c := cols[at]
		switch {
		case c.generated:
			wrong = append(wrong, fmt.Sprintf("column %q is generated from others and takes no values: drop it", name))
			continue
		case c.identity:
			wrong = append(wrong, fmt.Sprintf("column %q is GENERATED ALWAYS AS IDENTITY and takes no values: drop it", name))
			continue
		}
		if msg := t.fitColumn(f, i, c); msg != "" {
			wrong = append(wrong, msg)
		}
	}
	for _, c := range cols {
		if c.name == t.runColumn {
			if c.oid != oidText && c.oid != oidVarchar {
				wrong = append(wrong, fmt.Sprintf("run_id_column %q is %s, not text", c.name, c.typ))
			} else if c.oid == oidVarchar && c.mod >= 4 && int(c.mod-4) < len(t.req.RunID) {
				wrong = append(wrong, fmt.Sprintf("run_id_column %q is %s, and a run's id has %d characters: ALTER TABLE %s ALTER COLUMN %s TYPE text", c.name, c.typ, len(t.req.RunID), t.table(), pg.Ident(c.name)))
			}
			continue
		}
		if c.notNull && !c.hasValue && !c.generated && !slices.Contains(t.columns(), c.name) {
			wrong = append(wrong, fmt.Sprintf("its column %q (%s) is NOT NULL without a default, and the rows do not have it", c.name, c.typ))
		}
	}
	if t.runColumn != "" && !slices.Contains(names, t.runColumn) {
		wrong = append(wrong, fmt.Sprintf("it has no column %q for the run's id: ALTER TABLE %s ADD COLUMN %s text", t.runColumn, t.table(), pg.Ident(t.runColumn)))
	}
	return f, wrong
}
