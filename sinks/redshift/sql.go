package redshift

import (
	"fmt"
	"strings"
)

// step says what a statement of a load is for, to tell what it means that it failed.
type step uint8

const (
	stepOther      step = iota
	stepFresh           // fails if the run is loaded, or what a later commit has brought would be lost
	stepCopy            // reads the files
	stepCount           // fails if COPY did not load all rows
	stepUniqueKeys      // fails if two rows of the run have one key
)

type statement struct {
	step step
	sql  string
}

// load is one delivery: what the SQL says of the run.
type load struct {
	runID    string
	at       string // when it was committed: --force commits a run anew
	rows     string // their number
	empty    bool   // there are no files
	manifest string // URI of the manifest for COPY
	commit   string // URI of the run's own
}

// quote is an identifier.
func quote(s string) string { return `"` + strings.ReplaceAll(s, `"`, `""`) + `"` }

// literal is a text; backslashes do not get here (see check), for Redshift takes them for escapes.
func literal(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }

func (n name) quoted() string { return quote(n.schema) + "." + quote(n.table) }

func quoteAll(names []string, before string) string {
	out := make([]string, len(names))
	for i, n := range names {
		out[i] = before + quote(n)
	}
	return strings.Join(out, ", ")
}

// orFail is an SQL expression that fails (a division by zero) unless the condition, which must not be a constant, holds.
func orFail(condition string) string { return "1 / CASE WHEN " + condition + " THEN 1 ELSE 0 END" }

// transaction is the load as statements of one transaction.
//
// Redshift enforces no keys, so two attempts at a run could both find the ledger without it: the lock comes first, before anything that makes
// the transaction's snapshot, and the second attempt waits there and then sees the entry of the first. The lock is on the ledger, which nobody
// else reads: LOCK shuts out readers, too. A statement list has no IF: what must hold is an expression that fails.
func (d *delivery) transaction(l load) []statement {
	c := &d.cfg
	table := c.table.quoted()
	out := d.begin(l)
	add := func(s step, format string, args ...any) {
		out = append(out, statement{s, fmt.Sprintf(format, args...)})
	}
	columns := d.columnNames()
	stage := "sluice_stage_" + l.runID
	if c.mode == modeReplace {
		add(stepOther, "DELETE FROM %s", table)
	}
	if c.copiesAside() && !l.empty {
		// Without the columns that are not loaded: an identity column could not be copied into, and COPY goes by position.
		add(stepOther, "CREATE TEMP TABLE %s AS SELECT %s FROM %s WHERE 1 = 0", quote(stage), quoteAll(columns, ""), table)
		out = append(out, d.copyInto(quote(stage), l)...)
	}
	switch {
	case c.copiesAside() && len(c.keys) > 0:
		if !l.empty {
			add(stepUniqueKeys, "SELECT %s AS keys_are_unique FROM (SELECT %s FROM %s GROUP BY %s HAVING count(*) > 1) AS twice",
				orFail("count(*) = 0"), quoteAll(c.keys, ""), quote(stage), quoteAll(c.keys, ""))
			d.merge(add, stage, columns)
		}
	case c.copiesAside():
		add(stepOther, "DELETE FROM %s WHERE %s = %s", table, quote(c.runIDColumn), literal(l.runID))
		if !l.empty {
			names := quoteAll(columns, "")
			add(stepOther, "INSERT INTO %s (%s, %s) SELECT %s, %s FROM %s", table, names, quote(c.runIDColumn), names, literal(l.runID), quote(stage))
		}
	case !l.empty:
		out = append(out, d.copyInto(table, l)...)
	}
	if c.copiesAside() && !l.empty {
		add(stepOther, "DROP TABLE %s", quote(stage))
	}
	return append(out, d.enter(l)...)
}

// begin locks the ledger and fails if the run is in it, or one that was committed later and has replaced the table's rows; of a load that replaces them, any that was committed later.
func (d *delivery) begin(l load) []statement {
	ledger := d.cfg.ledger.quoted()
	which := "run_id = " + literal(l.runID)
	if d.cfg.repeats() { // a run that was committed anew (--force) is loaded again
		which += " AND committed_at >= " + literal(l.at)
	}
	out := []statement{
		{stepOther, "LOCK " + ledger},
		{stepFresh, fmt.Sprintf("SELECT %s AS not_loaded_yet FROM %s WHERE %s", orFail("count(*) = 0"), ledger, which)},
	}
	later := d.later(l)
	if d.cfg.mode != modeReplace { // rows that others have added stay beside this run's, whichever was committed first
		later += " AND mode = " + literal(modeReplace)
	}
	return append(out, statement{stepFresh, fmt.Sprintf("SELECT %s AS none_is_later FROM %s WHERE %s", orFail("count(*) = 0"), ledger, later)})
}

// later finds runs of the table that were committed after this one. Times of the ledger are of one length, so that they compare as texts.
func (d *delivery) later(l load) string {
	return "table_name = " + literal(d.cfg.table.String()) + " AND run_id <> " + literal(l.runID) + " AND committed_at > " + literal(l.at)
}

// commitTime is a time in the ledger.
const commitTime = "2006-01-02T15:04:05.000000000Z"

// enter puts the run into the ledger.
func (d *delivery) enter(l load) []statement {
	ledger := d.cfg.ledger.quoted()
	var out []statement
	if d.cfg.repeats() {
		out = append(out, statement{stepOther, fmt.Sprintf("DELETE FROM %s WHERE run_id = %s", ledger, literal(l.runID))})
	}
	return append(out, statement{stepOther, fmt.Sprintf("INSERT INTO %s (run_id, table_name, mode, committed_at, row_count, manifest, loaded_at) VALUES (%s, %s, %s, %s, %s, %s, getdate())",
		ledger, literal(l.runID), literal(d.cfg.table.String()), literal(d.cfg.mode), literal(l.at), l.rows, literal(l.commit))})
}

// repeats says that rows of an earlier load of the same run are replaced by a later one.
func (c *config) repeats() bool {
	return c.mode == modeReplace || c.copiesAside()
}

// copyInto loads the files and fails unless all their rows came.
func (d *delivery) copyInto(table string, l load) []statement {
	role := "default"
	if d.cfg.role != role {
		role = literal(d.cfg.role)
	}
	options := ""
	for _, c := range d.cols {
		if c.kind == kindNested {
			options = " SERIALIZETOJSON"
		}
	}
	if d.cfg.explicitIDs {
		options += " EXPLICIT_IDS"
	}
	return []statement{
		{stepCopy, fmt.Sprintf("COPY %s (%s) FROM %s IAM_ROLE %s FORMAT AS PARQUET MANIFEST%s", table, quoteAll(d.columnNames(), ""), literal(l.manifest), role, options)},
		{stepCount, fmt.Sprintf("SELECT %s AS all_rows_loaded", orFail("pg_last_copy_count() = "+l.rows))},
	}
}

func (d *delivery) merge(add func(step, string, ...any), stage string, columns []string) {
	c := &d.cfg
	table, own, from := c.table.quoted(), quote(c.table.table), quote("sluice_new")
	if own == from {
		from = quote("sluice_rows")
	}
	on := make([]string, len(c.keys))
	for i, k := range c.keys {
		on[i] = own + "." + quote(k) + " = " + from + "." + quote(k)
	}
	same := strings.Join(on, " AND ")
	if c.mergeBy != "merge" {
		add(stepOther, "DELETE FROM %s USING %s AS %s WHERE %s", table, quote(stage), from, same)
		add(stepOther, "INSERT INTO %s (%s) SELECT %s FROM %s", table, quoteAll(columns, ""), quoteAll(columns, ""), quote(stage))
		return
	}
	set := make([]string, len(columns))
	for i, n := range columns { // keys, too: Redshift has a faster way where all columns are set ("MERGE")
		set[i] = quote(n) + " = " + from + "." + quote(n)
	}
	add(stepOther, "MERGE INTO %s USING %s AS %s ON %s WHEN MATCHED THEN UPDATE SET %s WHEN NOT MATCHED THEN INSERT (%s) VALUES (%s)",
		table, quote(stage), from, same, strings.Join(set, ", "), quoteAll(columns, ""), quoteAll(columns, from+"."))
}

// twice are statements that change nothing and whose query names keys which more than one row of the files has.
func (d *delivery) twice(l load) (before []statement, query string) {
	c := &d.cfg
	stage := quote("sluice_stage_" + l.runID)
	before = []statement{{stepOther, fmt.Sprintf("CREATE TEMP TABLE %s AS SELECT %s FROM %s WHERE 1 = 0", stage, quoteAll(d.columnNames(), ""), c.table.quoted())}}
	before = append(before, d.copyInto(stage, l)[0])
	texts := make([]string, len(c.keys))
	for i, k := range c.keys {
		texts[i] = "CAST(" + quote(k) + " AS varchar(256))"
	}
	return before, fmt.Sprintf("SELECT count(*), %s FROM %s GROUP BY %s HAVING count(*) > 1 ORDER BY 1 DESC LIMIT 3", strings.Join(texts, ", "), stage, quoteAll(c.keys, ""))
}

// ledgerDDL makes the ledger.
func (d *delivery) ledgerDDL() string {
	return fmt.Sprintf("CREATE TABLE IF NOT EXISTS %s (run_id varchar(64) NOT NULL, table_name varchar(256) NOT NULL, mode varchar(16) NOT NULL, committed_at varchar(64) NOT NULL, row_count bigint NOT NULL, manifest varchar(2048) NOT NULL, loaded_at timestamp NOT NULL)",
		d.cfg.ledger.quoted())
}

// tableDDL makes the table. Texts get the longest type unless the block says how long they are: a value that does not fit would be a bad row.
func (d *delivery) tableDDL() string {
	c := &d.cfg
	var b strings.Builder
	fmt.Fprintf(&b, "CREATE TABLE IF NOT EXISTS %s (", c.table.quoted())
	for i, col := range d.cols {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(quote(col.name) + " " + col.declared(c.lengthOf(col)))
		if !col.nullable || c.isKey(col.name) {
			b.WriteString(" NOT NULL")
		}
	}
	if c.runIDColumn != "" {
		fmt.Fprintf(&b, ", %s varchar(%d)", quote(c.runIDColumn), len(d.req.RunID))
	}
	b.WriteString(")")
	if c.distKey != "" {
		b.WriteString(" DISTKEY(" + quote(c.distKey) + ")")
	}
	if len(c.sortKey) > 0 {
		b.WriteString(" SORTKEY(" + quoteAll(c.sortKey, "") + ")")
	}
	return b.String()
}

// lengthOf is how many bytes a value of the column may have in a table that is made.
func (c *config) lengthOf(col column) int {
	n, ok := c.lengths[col.name]
	most := maxVarbyte
	if col.kind == kindText {
		most = maxVarchar
	}
	switch {
	case ok:
		return n
	case c.length > 0:
		return min(c.length, most)
	}
	return most
}

func (c *config) isKey(name string) bool {
	for _, k := range c.keys {
		if k == name {
			return true
		}
	}
	return false
}

func (d *delivery) columnNames() []string {
	out := make([]string, len(d.cols))
	for i, c := range d.cols {
		out[i] = c.name
	}
	return out
}

// Explain is the SQL of the load.
func (d *delivery) Explain() []string {
	l := load{runID: d.req.RunID, at: "<time of the commit>", rows: "<rows written>", manifest: d.manifestRef().String(), commit: d.commitRef().String()}
	return d.script(l)
}

// script is all that is sent, in order.
func (d *delivery) script(l load) []string {
	out := []string{d.ledgerDDL()}
	if d.cfg.create {
		out = append(out, d.tableDDL())
	}
	out = append(out, "BEGIN")
	for _, s := range d.transaction(l) {
		out = append(out, s.sql)
	}
	return append(out, "COMMIT")
}
