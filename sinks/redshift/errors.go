package redshift

import (
	"context"
	"errors"
	"fmt"
	"path"
	"regexp"
	"strings"
	"sync"

	"github.com/sluice-data/sluice/internal/fail"
	"github.com/sluice-data/sluice/sinks"
)

// sqlError is a statement that the database refused: the transaction it was in is rolled back.
type sqlError struct {
	at    statement // the statement, where that is known
	state string    // SQLSTATE; "" through the Data API
	text  string    // message and detail
}

func (e *sqlError) Error() string { return strings.Join(strings.Fields(e.text), " ") }

func (e *sqlError) has(parts ...string) bool {
	low := strings.ToLower(e.text)
	for _, p := range parts {
		if strings.Contains(low, p) {
			return true
		}
	}
	return false
}

// kind sorts what Redshift says. The Data API passes on no SQLSTATE, so texts have to do.
func (e *sqlError) kind() fail.Kind {
	class := ""
	if len(e.state) == 5 {
		class = e.state[:2]
	}
	switch {
	case e.conflict():
		return fail.Temporary
	case class == "08", class == "53", class == "57", // connections, resources, an operator or a cancel
		e.has("disk full", "query cancelled", "canceling statement", "cannot connect now", "terminating connection", "connection timed out", "out of memory", "slow down"):
		return fail.Temporary
	case e.state == "42501", class == "28", e.has("permission denied", "access denied", "accessdenied", "not authorized", "must be owner"):
		return fail.Permission
	case e.state == "3D000", e.state == "3F000":
		return fail.Usage
	}
	return fail.Data
}

// conflict says that another transaction was in the way ("Serializable isolation": ERROR:1023).
func (e *sqlError) conflict() bool {
	return e.state == "40001" || e.state == "40P01" || e.has("serializable isolation violation", "conflict with concurrent transaction", "could not serialize", "deadlock detected")
}

func (e *sqlError) temporary() bool { return e.kind() == fail.Temporary }

// What Spectrum, which reads Parquet for COPY, says of a file. They are compiled when they are wanted: here they would be at every start.
var (
	tooLong  = pattern(`The length of the data column (\S+) is longer than the length defined in the table\.\s+Table:\s*(\d+), Data:\s*(\d+)`)
	badCount = pattern(`Unmatched number of columns between table and file\.\s+Table columns:\s*(\d+), Data columns:\s*(\d+)`)
	badType  = pattern(`has an incompatible Parquet schema for column '([^']*)'\.\s+Column type:\s*([^,]+), Parquet schema:\s*([^\n\[]*)`)
	badWidth = pattern(`column '([^']*)' has an invalid type length\. Expecting: (\d+) len in file: (\d+)`)
	aPart    = pattern(`part-[0-9a-f]+-\d+\.parquet`)
	aValue   = pattern(`Value '([^']*)'`)
)

func pattern(text string) func() *regexp.Regexp {
	return sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(text) })
}

// told is the failure as a person needs it: which object, column and value, and what to do.
func (d *delivery) told(ctx context.Context, err error, l load, c sinks.Commit) error {
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	var e *sqlError
	if !errors.As(err, &e) {
		return err
	}
	kind := e.kind()
	if kind == fail.Permission && e.has("assume role", "not authorized", "s3serviceexception", "accessdenied", "access denied") {
		return fail.Newf(kind, "redshift may not read the staged files: the role of COPY (iam_role: %s) needs s3:ListBucket on %s, s3:GetObject on %s*, and kms:Decrypt where they are encrypted by a key: %w",
			d.cfg.role, d.req.Dir.Bucket, d.req.Dir, e)
	}
	if e.conflict() {
		return fail.Newf(kind, "load into %s: other transactions were in the way %d times: %w", d.cfg.table, tries+1, e)
	}
	if kind != fail.Data {
		return fail.Newf(kind, "redshift: %w", e)
	}
	switch e.at.step {
	case stepUniqueKeys:
		return d.keysTwice(ctx, l)
	case stepCopy:
		return d.copyFailed(ctx, e, c)
	case stepCount:
		return fail.Newf(fail.Data, "COPY did not load the %s rows that the files have: nothing is loaded: %w", l.rows, e)
	}
	if e.at.sql != "" {
		return fail.Newf(fail.Data, "redshift refused %s: %w", fail.Shorten(e.at.sql), e)
	}
	return fail.Newf(fail.Data, "redshift: %w", e)
}

// keysTwice names the keys that more than one row of the run has.
func (d *delivery) keysTwice(ctx context.Context, l load) error {
	keys := strings.Join(d.cfg.keys, ", ")
	e := fail.Newf(fail.Data, "mode: merge wants one row for each key (%s), and the run has keys with more: put dedupe: {keys: [%s]} before the sink", keys, keys)
	before, query := d.twice(l)
	rows, err := d.db.peek(ctx, before, query)
	if err != nil || len(rows) == 0 {
		return e
	}
	var found []string
	for _, r := range rows {
		values := make([]string, len(d.cfg.keys))
		for i, k := range d.cfg.keys {
			values[i] = k + " = " + text(r, i+1)
		}
		found = append(found, fmt.Sprintf("%s (%s rows)", strings.Join(values, ", "), text(r, 0)))
	}
	return fail.Newf(fail.Data, "mode: merge wants one row for each key, and the run has more for %s: put dedupe: {keys: [%s]} before the sink", strings.Join(found, "; "), keys).
		Of(d.cfg.keys[0], text(rows[0], 1))
}

// copyFailed says which file, column and value COPY did not take.
func (d *delivery) copyFailed(ctx context.Context, e *sqlError, c sinks.Commit) error {
	flat := e.Error()
	out := fail.Newf(fail.Data, "COPY into %s: %s", d.cfg.table, flat)
	if m := tooLong().FindStringSubmatch(flat); m != nil {
		out = fail.Newf(fail.Data, "a value has %s bytes, the column of %s takes %s: make it longer, or shorten the value", m[3], d.cfg.table, m[2]).Of(m[1], "")
	} else if m := badCount().FindStringSubmatch(flat); m != nil {
		out = fail.Newf(fail.Data, "the file has %s columns, COPY names %s of %s", m[2], m[1], d.cfg.table)
	} else if m := badType().FindStringSubmatch(flat); m != nil {
		out = fail.Newf(fail.Data, "the column of %s is %s, the file's is %s", d.cfg.table, strings.TrimSpace(m[2]), strings.TrimSpace(m[3])).Of(m[1][strings.LastIndexByte(m[1], '.')+1:], "")
	} else if m := badWidth().FindStringSubmatch(flat); m != nil {
		out = fail.Newf(fail.Data, "the column of %s wants values of %s bytes, the file has %s: is its precision the same?", d.cfg.table, m[2], m[3]).Of(m[1], "")
	} else if !e.has("load_error") {
		// the views may have what an earlier attempt failed by
	} else if file, column, value, reason := d.loadError(ctx); reason != "" {
		out = fail.Newf(fail.Data, "COPY into %s: %s", d.cfg.table, reason).Of(column, value)
		flat += " " + file
	}
	if part := aPart().FindString(flat); part != "" {
		for _, f := range c.Files {
			if path.Base(f.Ref.Key) == part {
				return out.In(f.URI)
			}
		}
	}
	return out.In(d.manifestRef().String())
}

// loadError asks the system views for what COPY did not take of this run's files: those of serverless first, then those of clusters.
func (d *delivery) loadError(ctx context.Context) (file, column, value, reason string) {
	where := " LIKE " + literal("%part-"+d.req.RunID+"-%")
	for _, q := range []string{
		"SELECT trim(file_name), trim(column_name), trim(error_message) FROM sys_load_error_detail WHERE file_name" + where + " AND start_time > getdate() - INTERVAL '1 hour' ORDER BY start_time DESC LIMIT 1",
		"SELECT trim(filename), trim(colname), trim(err_reason), trim(raw_field_value) FROM stl_load_errors WHERE filename" + where + " AND starttime > getdate() - INTERVAL '1 hour' ORDER BY starttime DESC LIMIT 1",
	} {
		rows, err := d.db.query(ctx, q)
		if err != nil || len(rows) == 0 {
			continue // what COPY itself said is still there
		}
		r := rows[0]
		value = text(r, 3)
		if m := aValue().FindStringSubmatch(text(r, 2)); m != nil && value == "" {
			value = m[1]
		}
		return text(r, 0), text(r, 1), value, text(r, 2)
	}
	return "", "", "", ""
}
