// Package redshift loads a run's committed files into a table of Amazon Redshift: COPY from a manifest of the files, and what makes of it
// an append, a replacement or a merge, in one transaction with an entry in a ledger that says that the run is loaded.
package redshift

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/sluice-data/sluice/internal/fail"
	"github.com/sluice-data/sluice/internal/spec"
	"github.com/sluice-data/sluice/sinks"
)

func init() {
	sinks.RegisterTarget(sinks.Target{
		Name: "redshift",
		Doc: "Loads the files into a table of Amazon Redshift, through the Data API (`workgroup` or `cluster`) or a direct connection (`dsn`). `mode` is `append`, `replace` (DELETE and " +
			"COPY), `merge` (by `keys`) or `stage` (the files, a manifest and the SQL, for those who load themselves). A run is loaded once: its entry in the `ledger` table, by default " +
			"`<table>_sluice_loads`, is written in the transaction of the load. The table is held against the rows before the input is read, and lengths while it streams; " +
			"`ensure: create` makes it. Columns go by name. See docs/redshift.md.",
		Example: `sink:
  uri: s3://curated/trips/
  redshift: {workgroup: analytics, database: dev, table: stg.trips, mode: merge, keys: [day, zone], iam_role: default, ensure: create}
`,
		Rank: sinks.RankLoad,
		Open: open,
	})
}

// What a mode does with the rows that the table has.
const (
	modeAppend  = "append"
	modeReplace = "replace"
	modeMerge   = "merge"
	modeStage   = "stage"
)

// config is the redshift: block.
type config struct {
	workgroup, cluster, database, dbUser, secretARN string
	dsn                                             string

	table, ledger name
	mode          string
	keys          []string
	mergeBy       string // merge or delete_insert
	role          string // default or ARNs
	create        bool
	distKey       string
	sortKey       []string
	runIDColumn   string
	lengths       map[string]int // of varchar and varbyte columns that are made
	length        int            // of those that lengths does not name; 0 is the most there is
	explicitIDs   bool
	skipPartition bool
}

// name is a table's schema and own name, in the case that Redshift keeps them.
type name struct{ schema, table string }

func (n name) String() string { return n.schema + "." + n.table }

var keys = []string{"workgroup", "cluster", "database", "db_user", "secret_arn", "connection", "dsn", "table", "ledger", "mode", "keys", "merge_by", "iam_role", "ensure", "dist_key",
	"sort_key", "run_id_column", "lengths", "default_length", "explicit_ids", "partition_columns"}

// open reads the block and binds it to the rows' schema.
func open(req sinks.TargetRequest) (sinks.Delivery, error) {
	at := req.At
	if _, err := at.Map(keys...); err != nil {
		return nil, err
	}
	r := reader{at: at}
	c := config{workgroup: r.str("workgroup"), cluster: r.str("cluster"), database: r.str("database"), dbUser: r.str("db_user"), secretARN: r.str("secret_arn"), dsn: r.str("dsn"),
		mode:    r.choice("mode", modeAppend, modeAppend, modeReplace, modeMerge, modeStage),
		mergeBy: r.choice("merge_by", "merge", "merge", "delete_insert"),
		role:    cmp.Or(r.str("iam_role"), "default"),
		create:  r.choice("ensure", "none", "none", "create") == "create",
		keys:    r.columns("keys"), sortKey: r.columns("sort_key"), distKey: lower(r.str("dist_key")), runIDColumn: lower(r.str("run_id_column")),
		explicitIDs: r.bool("explicit_ids"), skipPartition: r.choice("partition_columns", "refuse", "refuse", "skip") == "skip"}
	c.table = r.name("table", name{})
	c.ledger = r.name("ledger", name{c.table.schema, c.table.table + "_sluice_loads"})
	r.lengths(&c)
	r.connection(&c)
	if r.err == nil {
		r.err = c.check(at, req)
	}
	if r.err != nil {
		return nil, r.err
	}
	d := &delivery{cfg: c, req: req, pause: backoff, poll: 50 * time.Millisecond}
	if err := d.bind(); err != nil {
		return nil, err
	}
	if c.dsn == "" && c.mode != modeStage { // as long as the SQL can get, so that it is not found after the commit
		l := load{runID: req.RunID, at: commitTime, rows: fmt.Sprint(int64(math.MaxInt64)), manifest: d.manifestRef().String(), commit: d.commitRef().String()}
		if err := fitsOneCall(d.transaction(l)); err != nil {
			return nil, at.Errorf("%w", err)
		}
	}
	return d, nil
}

// reader reads keys of the block; its first error stays.
type reader struct {
	at  *spec.Node
	err error
}

func (r *reader) fail(err error) {
	if r.err == nil {
		r.err = err
	}
}

func (r *reader) str(key string) string {
	n := r.at.Get(key)
	if n == nil {
		return ""
	}
	s, err := n.Str()
	if err != nil {
		r.fail(err)
	} else if s == "" {
		r.fail(n.Errorf("%s is empty", key))
	}
	return s
}

func (r *reader) bool(key string) bool {
	n := r.at.Get(key)
	if n == nil {
		return false
	}
	b, err := n.Bool()
	if err != nil {
		r.fail(err)
	}
	return b
}

func (r *reader) choice(key, absent string, among ...string) string {
	s := r.str(key)
	if s == "" || slices.Contains(among, s) {
		return cmp.Or(s, absent)
	}
	near := spec.Nearest(s, among)
	if near == "" {
		r.fail(r.at.Get(key).Errorf("unknown %s %q: use one of %s", key, fail.Shorten(s), strings.Join(among, ", ")))
	} else {
		r.fail(r.at.Get(key).Errorf("unknown %s %q: did you mean %q?", key, fail.Shorten(s), near))
	}
	return absent
}

// columns is a list of column names, or one.
func (r *reader) columns(key string) []string {
	n := r.at.Get(key)
	if n == nil {
		return nil
	}
	var names []string
	var err error
	if n.IsScalar() {
		names = []string{r.str(key)}
	} else if names, err = n.Strs(); err != nil {
		r.fail(err)
	}
	seen := map[string]bool{}
	for i, s := range names {
		names[i] = lower(s)
		if seen[names[i]] {
			r.fail(n.Errorf("%s names column %q twice", key, s))
		}
		seen[names[i]] = true
	}
	return names
}

func (r *reader) name(key string, absent name) name {
	s := lower(r.str(key))
	if s == "" {
		if absent == (name{}) {
			r.fail(r.at.Errorf("sink.redshift needs table: schema.table"))
		}
		return absent
	}
	parts := strings.Split(s, ".")
	at := r.at.Get(key)
	for _, p := range parts {
		if p == "" || len(p) > 127 || strings.ContainsAny(p, "\"'\\\x00") { // 127 bytes: Redshift's "Names and identifiers"
			r.fail(at.Errorf("%s %q is no name of a table: want schema.table, without quotes", key, fail.Shorten(s)))
			return absent
		}
	}
	switch len(parts) {
	case 1:
		return name{"public", parts[0]}
	case 2:
		return name{parts[0], parts[1]}
	}
	r.fail(at.Errorf("%s %q has %d parts: want schema.table; the database has a key of its own", key, fail.Shorten(s), len(parts)))
	return absent
}

func (r *reader) lengths(c *config) {
	length := func(n *spec.Node, what string) int {
		v, err := n.Int()
		if err == nil && (v < 1 || v > maxVarbyte) {
			err = n.Errorf("%s must be 1 to %d bytes", what, maxVarbyte)
		}
		if err != nil {
			r.fail(err)
		}
		return int(v)
	}
	if n := r.at.Get("default_length"); n != nil {
		c.length = length(n, "default_length")
	}
	n := r.at.Get("lengths")
	if n == nil {
		return
	}
	entries, err := n.Map()
	if err != nil {
		r.fail(err)
		return
	}
	c.lengths = map[string]int{}
	for _, e := range entries {
		c.lengths[lower(e.Key)] = length(e.Value, "a length")
	}
}

// connection checks that one way to the database is named, and all that it needs.
func (r *reader) connection(c *config) {
	if r.err != nil {
		return
	}
	named := 0
	for _, s := range []string{c.workgroup, c.cluster, c.dsn} {
		if s != "" {
			named++
		}
	}
	want := r.choice("connection", "", "data_api", "direct")
	switch {
	case named == 0 && c.mode == modeStage && want == "":
	case named != 1:
		r.fail(r.at.Errorf("sink.redshift needs one of workgroup (serverless), cluster (provisioned) and dsn (a direct connection), found %d of them", named))
	case want == "direct" && c.dsn == "":
		r.fail(r.at.Get("connection").Errorf("a direct connection needs dsn: postgres://user@host:5439/database; its password is read from PGPASSWORD"))
	case want == "data_api" && c.dsn != "":
		r.fail(r.at.Get("connection").Errorf("the Data API takes workgroup or cluster, not dsn"))
	case c.dsn != "":
		r.dsn(c)
	case c.database == "":
		r.fail(r.at.Errorf("sink.redshift needs database"))
	case c.workgroup != "" && c.dbUser != "":
		r.fail(r.at.Get("db_user").Errorf("a serverless workgroup takes no db_user: the job's role is the user; give secret_arn for another"))
	case c.dbUser != "" && c.secretARN != "":
		r.fail(r.at.Get("db_user").Errorf("give either db_user or secret_arn"))
	}
}

func (r *reader) dsn(c *config) {
	at := r.at.Get("dsn")
	for _, key := range []string{"database", "db_user", "secret_arn"} {
		if n := r.at.Get(key); n != nil {
			r.fail(n.Errorf("%s belongs into dsn where there is one", key))
		}
	}
	if strings.Contains(c.dsn, "password") || passwordInURL(c.dsn) {
		e := at.Errorf("a password does not belong into the pipeline file: set PGPASSWORD, for example from the secrets of the job definition")
		e.Excerpt = "" // it is in the line
		r.fail(e)
		return
	}
	if _, err := pgconn.ParseConfig(c.dsn); err != nil {
		why := errors.Unwrap(err)
		if why == nil {
			why = errors.New("it is no URL")
		}
		r.fail(at.Errorf("dsn cannot be read: want postgres://user@host:5439/database?sslmode=verify-full: %w", why))
	}
}

func passwordInURL(dsn string) bool {
	_, rest, ok := strings.Cut(dsn, "://")
	if !ok {
		return false
	}
	user, _, ok := strings.Cut(rest, "@")
	return ok && strings.Contains(user, ":")
}

// check holds keys against each other and against the run.
func (c *config) check(at *spec.Node, req sinks.TargetRequest) error {
	switch {
	case req.Format != "parquet":
		return at.Errorf("redshift is loaded from Parquet files, and these are %s: set sink.format: parquet", req.Format)
	case strings.ContainsAny(req.Dir.Key, "'\\"):
		return at.Errorf("sink.uri has a quote or a backslash, which COPY cannot name: %s", req.Dir)
	case req.Dir.Bucket == "":
		return at.Errorf("redshift reads the files from S3: sink.uri must be s3://bucket/prefix, found %s", req.Dir)
	case len(req.PartitionBy) > 0 && !c.skipPartition:
		return at.Errorf("redshift loads files by position, and those of sink.partition_by do not have the columns %s: drop partition_by, or partition by copies of the columns and set partition_columns: skip (docs/redshift.md)",
			strings.Join(req.PartitionBy, ", "))
	case req.Mode != "" && req.Mode != modeAppend && at.Get("mode") == nil:
		return at.Errorf("sink.mode: %s is about files: say what redshift does with the rows that %s has (mode: append, replace or merge)", req.Mode, c.table)
	case c.mode == modeMerge && len(c.keys) == 0:
		return at.Errorf("mode: merge needs keys: the columns that tell which row of %s a row takes the place of", c.table)
	case len(c.keys) > 0 && (c.mode == modeAppend || c.mode == modeReplace):
		return at.Get("keys").Errorf("keys are for mode: merge; mode is %s", c.mode)
	case at.Get("merge_by") != nil && len(c.keys) == 0:
		return at.Get("merge_by").Errorf("merge_by is for mode: merge")
	case c.runIDColumn != "" && len(c.keys) > 0:
		return at.Get("run_id_column").Errorf("run_id_column is for mode: append: a merge is by its keys")
	case c.explicitIDs && c.copiesAside():
		return at.Get("explicit_ids").Errorf("explicit_ids is an option of COPY into the table itself: not with keys or run_id_column")
	case !strings.HasPrefix(c.role, "arn:") && c.role != "default":
		return at.Get("iam_role").Errorf("iam_role %q is neither default nor the ARN of a role", fail.Shorten(c.role))
	case strings.ContainsAny(c.role, "'\\"):
		return at.Get("iam_role").Errorf("iam_role %q is no ARN", fail.Shorten(c.role))
	}
	for _, key := range []string{"dist_key", "sort_key", "lengths", "default_length"} {
		if n := at.Get(key); n != nil && !c.create {
			return n.Errorf("%s is for the table that ensure: create makes", key)
		}
	}
	return nil
}

// copiesAside says that rows go through a temporary table.
func (c *config) copiesAside() bool { return len(c.keys) > 0 || c.runIDColumn != "" }

// lower folds a name as Redshift does, which keeps identifiers in lower case, quoted or not, unless a session asks for case ("Names and
// identifiers"); only ASCII letters are folded.
func lower(s string) string {
	return strings.Map(func(r rune) rune {
		if 'A' <= r && r <= 'Z' {
			return r + 'a' - 'A'
		}
		return r
	}, s)
}

// bind holds what the block names against the columns of the files.
func (d *delivery) bind() error {
	c, at := &d.cfg, d.req.At
	seen := map[string]string{}
	for _, f := range d.req.Schema.Fields() {
		if slices.Contains(d.req.PartitionBy, f.Name) {
			continue
		}
		col := columnOf(f)
		if twin, dup := seen[col.name]; dup {
			return at.Errorf("columns %q and %q are one in Redshift, which keeps names in lower case: rename one", twin, f.Name)
		}
		seen[col.name] = f.Name
		if err := col.refused(); err != nil {
			return at.Errorf("redshift cannot load column %q: %w", f.Name, err)
		}
		d.cols = append(d.cols, col)
	}
	if len(d.cols) == 0 {
		return at.Errorf("all columns are in sink.partition_by: there is nothing to load")
	}
	if twin, dup := seen[c.runIDColumn]; dup {
		return at.Get("run_id_column").Errorf("run_id_column %q is a column of the rows, too", twin)
	}
	known := func(key string, names []string, more ...string) error {
		for _, n := range names {
			if _, ok := seen[n]; ok || slices.Contains(more, n) {
				continue
			}
			all := make([]string, len(d.cols))
			for i, col := range d.cols {
				all[i] = col.name
			}
			hint := "the rows have " + strings.Join(all, ", ")
			if near := spec.Nearest(n, all); near != "" {
				hint = fmt.Sprintf("did you mean %q?", near)
			}
			return at.Get(key).Errorf("%s names column %q, which the rows do not have: %s", key, n, hint)
		}
		return nil
	}
	if err := known("keys", c.keys); err != nil {
		return err
	}
	made := []string{c.runIDColumn}
	if err := known("sort_key", c.sortKey, made...); err != nil {
		return err
	}
	if c.distKey != "" {
		if err := known("dist_key", []string{c.distKey}, made...); err != nil {
			return err
		}
	}
	for key, names := range map[string][]string{"dist_key": {c.distKey}, "sort_key": c.sortKey} {
		for _, col := range d.cols {
			if col.kind == kindNested && slices.Contains(names, col.name) { // "Limitations" of the SUPER type
				return at.Get(key).Errorf("%s names column %q, which is %s: a SUPER column is no key", key, col.name, col.typ)
			}
		}
	}
	for n := range c.lengths {
		if err := known("lengths", []string{n}); err != nil {
			return err
		}
		i := slices.IndexFunc(d.cols, func(col column) bool { return col.name == n })
		if k := d.cols[i].kind; k != kindText && k != kindBinary {
			return at.Get("lengths").Errorf("column %q is %s: only string and binary columns have a length", n, d.cols[i].typ)
		}
		if d.cols[i].kind == kindText && c.lengths[n] > maxVarchar {
			return at.Get("lengths").Errorf("the length of column %q must be 1 to %d bytes", n, maxVarchar)
		}
	}
	for _, k := range c.keys {
		i := slices.IndexFunc(d.cols, func(col column) bool { return col.name == k })
		if kind := d.cols[i].kind; kind == kindNested || kind == kindBinary {
			return at.Get("keys").Errorf("keys names column %q, which is %s: a key needs a type that can be compared", k, d.cols[i].typ)
		}
	}
	return nil
}

// Close gives up the connection.
func (d *delivery) Close() error {
	if d.db == nil {
		return nil
	}
	return d.db.close(context.Background())
}
