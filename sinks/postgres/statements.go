package postgres

import (
	"fmt"
	"slices"
	"strings"

	"github.com/sluice-data/sluice/internal/pg"
)

// stage is where rows wait that do not go straight into the table.
const stage = `"sluice_stage"`

// names are the rows' columns, quoted.
func (t *target) names() string {
	quoted := make([]string, 0, t.req.Schema.NumFields())
	for _, name := range t.columns() {
		quoted = append(quoted, pg.Ident(name))
	}
	return strings.Join(quoted, ", ")
}

func quoted(names []string) string {
	out := make([]string, len(names))
	for i, n := range names {
		out[i] = pg.Ident(n)
	}
	return strings.Join(out, ", ")
}

// createSQL is the table with a type for each of the rows' columns.
func (t *target) createSQL() string {
	var cols []string
	for i, name := range t.columns() {
		line := pg.Ident(name) + " " + t.natural[i].Name
		if slices.Contains(t.keys, name) || !t.field(i).Nullable {
			line += " NOT NULL"
		}
		cols = append(cols, line)
	}
	if t.runColumn != "" {
		cols = append(cols, pg.Ident(t.runColumn)+" text")
	}
	if len(t.keys) > 0 {
		cols = append(cols, "PRIMARY KEY ("+quoted(t.keys)+")")
	}
	return "CREATE TABLE IF NOT EXISTS " + t.table() + " (\n  " + strings.Join(cols, ",\n  ") + "\n)"
}

// ledgerSQL is the table that says which runs are in. Its row is written in the transaction of the load.
func (t *target) ledgerSQL() string {
	return "CREATE TABLE IF NOT EXISTS " + t.ledger() + ` (
  "target" text, "run_id" text, "pipeline" text NOT NULL, "mode" text NOT NULL, "committed_at" timestamptz NOT NULL, "loaded_at" timestamptz NOT NULL DEFAULT now(), "rows" bigint NOT NULL,
  PRIMARY KEY ("target", "run_id")
)`
}

// claimSQL enters the run, if it is not there. Another attempt at it waits here until this transaction has ended.
func (t *target) claimSQL(at string) string {
	return fmt.Sprintf(`INSERT INTO %s ("target", "run_id", "pipeline", "mode", "committed_at", "rows") VALUES (%s, %s, %s, %s, %s, 0) ON CONFLICT DO NOTHING`,
		t.ledger(), pg.Literal(t.name), pg.Literal(t.req.RunID), pg.Literal(t.req.Pipeline), pg.Literal(t.mode), at)
}

func (t *target) stageSQL(f *fit) string {
	cols := make([]string, len(f.stage))
	for i, name := range t.columns() {
		cols[i] = pg.Ident(name) + " " + f.stage[i].Name
	}
	return "CREATE TEMP TABLE " + stage + " (" + strings.Join(cols, ", ") + ") ON COMMIT DROP"
}

// lockSQL keeps other writers out, so that a DELETE after it sees all rows that are going to stand, and the ledger all runs they are of; who only reads does not wait.
func (t *target) lockSQL() string { return "LOCK TABLE " + t.table() + " IN SHARE ROW EXCLUSIVE MODE" }

func (t *target) deleteSQL() string { return "DELETE FROM " + t.table() }

// utc is a time as messages have it.
func utc(column string) string {
	return "to_char(" + pg.Ident(column) + ` AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"')`
}

// laterSQL finds a run that was committed after the time at, one that replaced the table before all others. Its parameters are the table, the run and the time.
func (t *target) laterSQL(at string) string {
	return fmt.Sprintf(`SELECT "run_id", "mode", `+utc("committed_at")+` FROM %s WHERE "target" = $1 AND "run_id" <> $2 AND "committed_at" > %s::timestamptz
ORDER BY "mode" = 'replace' DESC, "committed_at" DESC LIMIT 1`, t.ledger(), at)
}

// moveSQL brings what was copied to the table, where it did not go straight there.
func (t *target) moveSQL(p *fit) string {
	into, from := t.names(), make([]string, len(t.natural))
	for i, name := range t.columns() {
		from[i] = pg.Ident(name) + p.casts[i]
	}
	if t.runColumn != "" {
		into += ", " + pg.Ident(t.runColumn)
		from = append(from, pg.Literal(t.req.RunID))
	}
	insert := fmt.Sprintf("INSERT INTO %s (%s) SELECT %s FROM %s", t.table(), into, strings.Join(from, ", "), stage)
	if t.mode == "merge" {
		insert += " ON CONFLICT (" + quoted(t.keys) + ") DO "
		var set []string
		for _, name := range t.columns() {
			if !slices.Contains(t.keys, name) {
				set = append(set, pg.Ident(name)+" = EXCLUDED."+pg.Ident(name))
			}
		}
		if t.runColumn != "" {
			set = append(set, pg.Ident(t.runColumn)+" = EXCLUDED."+pg.Ident(t.runColumn))
		}
		if len(set) == 0 {
			insert += "NOTHING"
		} else {
			insert += "UPDATE SET " + strings.Join(set, ", ")
		}
	}
	return insert
}
