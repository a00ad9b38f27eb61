package redshift

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/sluice-data/sluice/internal/fail"
	"github.com/sluice-data/sluice/sinks"
)

// tableColumn is a column as the catalog has it.
type tableColumn struct {
	name, typ string // typ by format_type: "character varying(20)"
	notNull   bool
	byDefault bool
	identity  bool
	always    bool // an identity column that takes values with EXPLICIT_IDS only
}

// Preflight holds the table against the rows.
func (d *delivery) Preflight(ctx context.Context) ([]sinks.Constraint, error) {
	if d.cfg.mode == modeStage && d.cfg.workgroup+d.cfg.cluster+d.cfg.dsn == "" {
		return d.constraints(nil), nil
	}
	var have []tableColumn
	err := d.retry(ctx, "preflight", func() (err error) {
		if err = d.connect(ctx); err == nil {
			have, err = d.look(ctx)
		}
		return err
	})
	if err != nil {
		return nil, d.told(ctx, err, load{}, sinks.Commit{})
	}
	if have != nil {
		if err := d.compare(have); err != nil {
			return nil, err
		}
	}
	return d.constraints(have), nil
}

// look reads the table's columns and what the user may do; no columns of a table that is to be made.
func (d *delivery) look(ctx context.Context) ([]tableColumn, error) {
	c := &d.cfg
	there, err := d.relations(ctx)
	if err != nil {
		return nil, err
	}
	var need []string // expressions that must be true, each with what is wanting
	var wants []string
	may := func(sql, what string) { need, wants = append(need, sql), append(wants, what) }
	create := func(n name) {
		may(fmt.Sprintf("has_schema_privilege(%s, 'create')", literal(n.schema)), "CREATE on schema "+n.schema+", to make "+n.String())
	}
	for _, n := range []name{c.table, c.ledger} {
		if _, ok := there[name{schema: n.schema}]; !ok {
			return nil, fail.Newf(fail.Usage, "schema %q does not exist in database %s: CREATE SCHEMA %s", n.schema, d.databaseName(), quote(n.schema))
		}
	}
	var have []tableColumn
	switch kind := there[c.table]; kind {
	case "r", "p":
		if have, err = d.columns(ctx); err != nil {
			return nil, err
		}
		for _, p := range c.privileges() {
			may(fmt.Sprintf("has_table_privilege(%s, %s)", literal(c.table.quoted()), literal(strings.ToLower(p))), p+" on "+c.table.String())
		}
	case "":
		if !c.create {
			return nil, fail.Newf(fail.Usage, "table %s does not exist in database %s: set ensure: create, or make it by %s", c.table, d.databaseName(), d.tableDDL())
		}
		create(c.table)
	default:
		return nil, fail.Newf(fail.Usage, "%s is no table but of kind %q (v is a view): COPY wants a table", c.table, kind)
	}
	switch there[c.ledger] {
	case "":
		create(c.ledger)
	default:
		for _, p := range []string{"SELECT", "INSERT", "DELETE"} {
			may(fmt.Sprintf("has_table_privilege(%s, %s)", literal(c.ledger.quoted()), literal(strings.ToLower(p))), p+" on "+c.ledger.String())
		}
	}
	if c.copiesAside() {
		may("has_database_privilege(current_database(), 'temp')", "TEMP on database "+d.databaseName()+", for the table that rows wait in")
	}
	for i, n := range need {
		need[i] = "CASE WHEN " + n + " THEN 'y' ELSE 'n' END"
	}
	rows, err := d.db.query(ctx, "SELECT "+strings.Join(need, ", "))
	if err != nil {
		return nil, err
	}
	var wanting []string
	for i, w := range wants {
		if len(rows) == 1 && text(rows[0], i) == "n" {
			wanting = append(wanting, w)
		}
	}
	if len(wanting) > 0 {
		return nil, fail.Newf(fail.Permission, "the database user may not do what the load needs: it has no %s", strings.Join(wanting, ", no "))
	}
	if there[c.ledger] != "" && c.mode == modeAppend && !c.repeats() && d.req.Forced { // one that is not forced may be loaded just now by another attempt
		rows, err := d.db.query(ctx, fmt.Sprintf("SELECT row_count FROM %s WHERE run_id = %s", c.ledger.quoted(), literal(d.req.RunID)))
		if err != nil || len(rows) == 0 {
			return have, err
		}
		return nil, d.appended(d.req.RunID, text(rows[0], 0))
	}
	return have, nil
}

// privileges are what the load does to the table.
func (c *config) privileges() []string {
	switch {
	case len(c.keys) > 0 && c.mergeBy == "merge":
		return []string{"SELECT", "INSERT", "UPDATE", "DELETE"}
	case c.copiesAside():
		return []string{"SELECT", "INSERT", "DELETE"}
	case c.mode == modeReplace:
		return []string{"INSERT", "DELETE"}
	}
	return []string{"INSERT"}
}

func (d *delivery) databaseName() string {
	if d.cfg.database == "" {
		return "of the connection"
	}
	return d.cfg.database
}

// relations are which of the table and the ledger exist, with their kind, and which of the schemas, as names without a table.
func (d *delivery) relations(ctx context.Context) (map[name]string, error) {
	t, l := d.cfg.table, d.cfg.ledger
	rows, err := d.db.query(ctx, fmt.Sprintf("SELECT n.nspname, c.relname, CAST(c.relkind AS varchar(1)) FROM pg_catalog.pg_namespace n LEFT JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid AND c.relname IN (%s, %s) WHERE n.nspname IN (%s, %s)",
		literal(t.table), literal(l.table), literal(t.schema), literal(l.schema)))
	if err != nil {
		return nil, err
	}
	out := map[name]string{}
	for _, r := range rows {
		out[name{schema: text(r, 0)}] = ""
		if text(r, 1) != "" {
			out[name{text(r, 0), text(r, 1)}] = text(r, 2)
		}
	}
	return out, nil
}

// columns reads the catalog of PostgreSQL, which Redshift has kept, as its drivers do; svv_columns gives no exact types.
func (d *delivery) columns(ctx context.Context) ([]tableColumn, error) {
	rows, err := d.db.query(ctx, fmt.Sprintf("SELECT a.attname, pg_catalog.format_type(a.atttypid, a.atttypmod), CASE WHEN a.attnotnull THEN 'y' ELSE 'n' END, pg_catalog.pg_get_expr(d.adbin, d.adrelid) "+
		"FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_class c ON c.oid = a.attrelid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace "+
		"LEFT JOIN pg_catalog.pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum "+
		"WHERE n.nspname = %s AND c.relname = %s AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum", literal(d.cfg.table.schema), literal(d.cfg.table.table)))
	if err != nil {
		return nil, err
	}
	out := make([]tableColumn, 0, len(rows))
	for _, r := range rows {
		c := tableColumn{name: text(r, 0), typ: text(r, 1), notNull: text(r, 2) == "y"}
		byDefault := text(r, 3)
		c.byDefault = byDefault != ""
		// An identity column's default is a call of "identity" or, GENERATED BY DEFAULT, of default_identity (amazon-redshift-utils, v_generate_tbl_ddl).
		c.always = strings.Contains(byDefault, `"identity"(`)
		c.identity = c.always || strings.Contains(byDefault, "default_identity(")
		out = append(out, c)
	}
	return out, nil
}

// find is the column of that name. Where there is none other is one whose name differs in case, which a table has if it was made with enable_case_sensitive_identifier: the load's SQL does not name it.
func find(have []tableColumn, name string) (at int, other string) {
	if at = slices.IndexFunc(have, func(t tableColumn) bool { return t.name == name }); at < 0 {
		if i := slices.IndexFunc(have, func(t tableColumn) bool { return lower(t.name) == name }); i >= 0 {
			other = have[i].name
		}
	}
	return at, other
}

// rename is what to do about a column whose name differs in case.
func (d *delivery) rename(from, to string) string {
	return fmt.Sprintf("ALTER TABLE %s RENAME COLUMN %s TO %s, with enable_case_sensitive_identifier on", d.cfg.table.quoted(), quote(from), quote(to))
}

// misfit is a line of the diff.
type misfit struct{ column, rows, table, todo string }

// compare is an error that shows what of the table does not fit the rows.
func (d *delivery) compare(have []tableColumn) error {
	c := &d.cfg
	var diff []misfit
	for _, col := range d.cols {
		i, other := find(have, col.name)
		switch {
		case other != "":
			diff = append(diff, misfit{col.name, col.typ, quote(other), d.rename(other, col.name)})
			continue
		case i < 0:
			diff = append(diff, misfit{col.name, col.typ, "–", fmt.Sprintf("ALTER TABLE %s ADD COLUMN %s %s; or drop: [%s]", c.table.quoted(), quote(col.name), shortType(col.declared(c.lengthOf(col))), col.field)})
			continue
		}
		t := have[i]
		if t.always && !c.explicitIDs {
			diff = append(diff, misfit{col.name, col.typ, t.typ + " identity", fmt.Sprintf("drop: [%s]; or explicit_ids: true, to load its values", col.field)})
			continue
		}
		if _, ok := col.fits(t.typ); !ok {
			diff = append(diff, misfit{col.name, col.typ, shortType(t.typ), todo(col, t)})
		}
	}
	told := func(t tableColumn, name string) bool { // it is the column of that name, or was said not to be
		_, other := find(have, name)
		return t.name == name || t.name == other
	}
	for _, t := range have {
		if slices.ContainsFunc(d.cols, func(col column) bool { return told(t, col.name) }) || told(t, c.runIDColumn) {
			continue
		}
		if t.notNull && !t.byDefault && !t.identity {
			diff = append(diff, misfit{t.name, "–", shortType(t.typ) + " not null", fmt.Sprintf("derive: {%s: …}; or give the column a default", t.name)})
		}
	}
	if c.runIDColumn != "" {
		i, other := find(have, c.runIDColumn)
		add := fmt.Sprintf("%s varchar(%d)", quote(c.runIDColumn), len(d.req.RunID))
		if other != "" {
			diff = append(diff, misfit{c.runIDColumn, "the run's id", quote(other), d.rename(other, c.runIDColumn)})
		} else if i < 0 {
			diff = append(diff, misfit{c.runIDColumn, "the run's id", "–", "ALTER TABLE " + c.table.quoted() + " ADD COLUMN " + add})
		} else if n, ok := (column{kind: kindText}).fits(have[i].typ); !ok || n < len(d.req.RunID) {
			diff = append(diff, misfit{c.runIDColumn, "the run's id", shortType(have[i].typ), "make it " + add})
		}
	}
	if len(diff) == 0 {
		return nil
	}
	names := make([]string, len(diff))
	for i, m := range diff {
		names[i] = m.column
	}
	e := fail.Newf(fail.Data, "table %s does not take the rows: see %s", c.table, strings.Join(names, ", "))
	e.Excerpt = layout(diff)
	return e
}

// todo is what makes the column fit.
func todo(col column, t tableColumn) string {
	base, _ := splitType(t.typ)
	switch {
	case col.kind == kindNested && (base == "character varying" || base == "text"):
		return fmt.Sprintf("derive: {%s: to_json(%s)}; or make the column super", col.field, col.field)
	case base == "super":
		return fmt.Sprintf("make the column varchar(%d), and use json_parse on it", maxVarchar)
	case castTo(t.typ) != "":
		return fmt.Sprintf("cast: {%s: %s}; or make the column %s", col.field, castTo(t.typ), shortType(col.declared(maxOf(col))))
	}
	return "make the column " + shortType(col.declared(maxOf(col)))
}

func maxOf(c column) int { return new(config).lengthOf(c) }

// shortType is a type as people write it.
func shortType(t string) string {
	for _, r := range [][2]string{{"character varying", "varchar"}, {"binary varying", "varbyte"}, {" without time zone", ""}, {"timestamp with time zone", "timestamptz"}} {
		t = strings.Replace(t, r[0], r[1], 1)
	}
	return t
}

// layout is the diff as a table.
func layout(diff []misfit) string {
	rows := [][4]string{{"column", "rows have", "table has", "what to do"}}
	for _, m := range diff {
		rows = append(rows, [4]string{m.column, m.rows, m.table, m.todo})
	}
	var width [3]int
	for _, r := range rows {
		for i := range width {
			width[i] = max(width[i], utf8.RuneCountInString(r[i]))
		}
	}
	var b strings.Builder
	for _, r := range rows {
		for i, w := range width {
			b.WriteString(r[i] + strings.Repeat(" ", w-utf8.RuneCountInString(r[i])+2))
		}
		b.WriteString(r[3] + "\n")
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// The first and the last day of Redshift's dates and timestamps, 4713 BC to 294276 AD ("Datetime types"), from 1970-01-01.
const firstDay, lastDay = -2440588, 106762939

// constraints are what each value must keep to; have is nil for a table that is to be made.
func (d *delivery) constraints(have []tableColumn) []sinks.Constraint {
	var out []sinks.Constraint
	for _, col := range d.cols {
		declared := col.declared(d.cfg.lengthOf(col))
		length, notNull := 0, false
		if col.kind == kindText || col.kind == kindBinary {
			length = d.cfg.lengthOf(col)
		}
		if i, _ := find(have, col.name); i >= 0 {
			length, _ = col.fits(have[i].typ)
			declared, notNull = shortType(have[i].typ), have[i].notNull
		}
		of := fmt.Sprintf("column %s of %s is %s", col.name, d.cfg.table, declared)
		switch {
		case col.kind == kindText:
			out = append(out, sinks.NoNUL(col.field, of))
			if base, _ := splitType(declared); base == "character" || base == "bpchar" || base == "char" { // CHAR holds single-byte characters only, and pads them ("Character types")
				out = append(out, sinks.ASCII(col.field, of), sinks.NoTail(col.field, "would be lost", of))
			} else if d.cfg.isKey(col.name) { // to =, GROUP BY and MERGE a text with spaces at its end is the one without ("Significance of trailing blanks")
				out = append(out, sinks.NoTail(col.field, "do not tell keys apart", fmt.Sprintf("column %s is a key of the merge into %s", col.name, d.cfg.table)))
			}
		case col.sql == "date" || strings.HasPrefix(col.sql, "timestamp"):
			out = append(out, sinks.Days(col.field, firstDay, lastDay+1, of))
		}
		if length > 0 {
			out = append(out, sinks.MaxBytes(col.field, length, of))
		}
		switch {
		case notNull:
			out = append(out, sinks.NotNull(col.field, fmt.Sprintf("column %s of %s is not null", col.name, d.cfg.table)))
		case d.cfg.isKey(col.name):
			out = append(out, sinks.NotNull(col.field, fmt.Sprintf("column %s is a key of the merge into %s, and null equals nothing", col.name, d.cfg.table)))
		}
	}
	return out
}
