// Package glue is the target that makes a run's committed files known as a table of the AWS Glue Data Catalog, which Athena, Redshift Spectrum, EMR and Glue read:
// the table, the columns it is wanting, and its partitions.
package glue

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/glue"

	"github.com/sluice-data/sluice/internal/awsconf"
	"github.com/sluice-data/sluice/internal/fail"
	"github.com/sluice-data/sluice/sinks"
)

func init() {
	sinks.RegisterTarget(sinks.Target{
		Name: "glue",
		Doc: "Makes the files known as a table of the AWS Glue Data Catalog, for Athena and others: adds the run's partitions, and with `ensure: create` makes the `table` of the `database`, and appends " +
			"columns to it that the rows have and it has not; with `none`, the default, a table that does not fit is an error that shows the difference. It changes and drops no column. `projection` has, for each " +
			"column of `sink.partition_by`, the `type` (`enum`, `integer`, `date`, `injected`) and settings of Athena's partition projection; no partitions are added then.",
		Example: `sink:
  uri: s3://curated/trips/
  partition_by: [day]
  glue: {database: curated, table: trips, ensure: create, projection: {day: {type: date, range: "2024-01-01,NOW"}}}
`,
		Rank: sinks.RankCatalog,
		Open: open,
	})
}

// delivery is a table that the run's rows are to be read as.
type delivery struct {
	database, table string
	create          bool
	location        string   // s3://bucket/prefix/
	cols, keys      []column // of the files, and of the folders' names
	properties      map[string]string
	constraints     []sinks.Constraint
	req             sinks.TargetRequest
	client          *glue.Client
	idle            func()
	pause           func(try int) time.Duration
}

func (d *delivery) String() string { return d.database + "." + d.table }

func open(req sinks.TargetRequest) (sinks.Delivery, error) {
	at := req.At
	if _, err := at.Map("database", "table", "ensure", "projection"); err != nil {
		return nil, err
	}
	d := &delivery{req: req, properties: map[string]string{"classification": "parquet", "EXTERNAL": "TRUE"}, pause: awsconf.Backoff}
	for key, to := range map[string]*string{"database": &d.database, "table": &d.table} {
		s, err := word(at, key)
		if err != nil {
			return nil, err
		}
		if s == "" {
			return nil, at.Errorf("sink.glue needs %s", key)
		}
		if err := nameFits(s); err != nil {
			return nil, at.Get(key).Errorf("%s %q: %w", key, fail.Shorten(s), err)
		}
		*to = strings.ToLower(s)
	}
	ensure, err := word(at, "ensure")
	switch {
	case err != nil:
		return nil, err
	case ensure != "" && ensure != "none" && ensure != "create":
		return nil, at.Get("ensure").Errorf("unknown ensure %q: use none or create", fail.Shorten(ensure))
	case req.Format != "parquet":
		return nil, at.Errorf("glue catalogs Parquet files, and these are %s: set sink.format: parquet", req.Format)
	case req.Dir.Bucket == "":
		return nil, at.Errorf("what reads the catalog reads S3: sink.uri must be s3://bucket/prefix, found %s", req.Dir)
	case req.Dir.Key == "":
		return nil, at.Errorf("a table is in a folder of its bucket: sink.uri must be s3://bucket/prefix, found %s", req.Dir)
	}
	d.create = ensure == "create"
	d.location = "s3://" + req.Dir.Bucket + "/" + req.Dir.Key
	seen := map[string]string{}
	for _, f := range req.Schema.Fields() {
		c, err := columnOf(f)
		if err != nil {
			return nil, at.Errorf("%w", err)
		}
		if other, dup := seen[c.name]; dup {
			return nil, at.Errorf("columns %q and %q are one to Athena, which knows no case: rename one", other, f.Name)
		}
		seen[c.name] = f.Name
		if !slices.Contains(req.PartitionBy, f.Name) {
			d.cols = append(d.cols, c)
		}
	}
	for _, name := range req.PartitionBy {
		f, ok := req.Schema.FieldsByName(name)
		if !ok {
			return nil, fail.Newf(fail.Internal, "partition column %q is not among the rows' columns", name)
		}
		c, _ := columnOf(f[0]) // checked above
		d.keys = append(d.keys, c)
	}
	if n := at.Get("projection"); n != nil {
		if !d.create {
			return nil, n.Errorf("projection is for the table that ensure: create makes")
		}
		if err := d.projection(n); err != nil {
			return nil, err
		}
	}
	return d, nil
}

func (d *delivery) projected() bool { return d.properties["projection.enabled"] == "true" }

// Explain prints Athena's DDL for what is asked of Glue.
func (d *delivery) Explain() []string {
	if !d.create && len(d.keys) == 0 {
		return []string{"-- " + d.String() + " must be there, with these columns: nothing is changed\n-- " + d.ddl()}
	}
	var out []string
	if d.create {
		out = append(out, d.ddl())
	}
	if len(d.keys) > 0 && !d.projected() {
		var values, folders []string
		for _, k := range d.keys {
			values = append(values, fmt.Sprintf("`%s` = '<%s>'", k.name, k.name))
			folders = append(folders, k.of.Name+"=<"+k.name+">/")
		}
		out = append(out, fmt.Sprintf("ALTER TABLE `%s`.`%s` ADD IF NOT EXISTS PARTITION (%s) LOCATION '%s%s'", d.database, d.table, strings.Join(values, ", "), d.location, strings.Join(folders, "")))
	}
	return out
}

// ddl makes the table.
func (d *delivery) ddl() string {
	list := func(cols []column) string {
		var out []string
		for _, c := range cols {
			out = append(out, fmt.Sprintf("`%s` %s", c.name, c.typ))
		}
		return strings.Join(out, ", ")
	}
	partitioned := ""
	if len(d.keys) > 0 {
		partitioned = " PARTITIONED BY (" + list(d.keys) + ")"
	}
	var props []string
	for _, k := range slices.Sorted(maps.Keys(d.properties)) {
		if k != "EXTERNAL" {
			props = append(props, literal(k)+" = "+literal(d.properties[k]))
		}
	}
	return fmt.Sprintf("CREATE EXTERNAL TABLE IF NOT EXISTS `%s`.`%s` (%s)%s STORED AS PARQUET LOCATION %s TBLPROPERTIES (%s)", d.database, d.table, list(d.cols), partitioned, literal(d.location), strings.Join(props, ", "))
}

func literal(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }

// Preflight holds the table against the rows' columns.
func (d *delivery) Preflight(ctx context.Context) ([]sinks.Constraint, error) {
	have, err := d.look(ctx)
	if err != nil {
		return nil, err
	}
	if have != nil {
		if _, err := d.compare(have); err != nil {
			return nil, err
		}
	}
	return d.constraints, nil
}

// Deliver makes or changes the table if it has to, and adds the partitions. All of it may be done again.
func (d *delivery) Deliver(ctx context.Context, c sinks.Commit) (string, error) {
	have, did, err := d.ensure(ctx)
	if err != nil {
		return "", err
	}
	if have.Parameters["projection.enabled"] == "true" {
		return did + ", whose partitions are projected", nil
	}
	if len(d.keys) == 0 {
		return did, nil
	}
	added, all, err := d.addPartitions(ctx, have, c.Files)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("%s, %d of %d partitions added", did, added, all), nil
}

func (d *delivery) connect(ctx context.Context) error {
	if d.client != nil {
		return nil
	}
	conf, idle, err := awsconf.Service(ctx, "GLUE", "")
	if err != nil {
		return err
	}
	d.client, d.idle = glue.NewFromConfig(conf), idle
	return nil
}

// call names a request about the table for messages.
func (d *delivery) call(action string) awsconf.Call {
	return awsconf.Call{Action: "glue:" + action, On: "table " + d.String()}
}

// wait pauses before another try; the error is that ctx ended.
func (d *delivery) wait(ctx context.Context, try int) error {
	timer := time.NewTimer(d.pause(try))
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return fail.Newf(fail.Temporary, "glue: %w", context.Cause(ctx))
	case <-timer.C:
		return nil
	}
}

func (d *delivery) Close() error {
	if d.idle != nil {
		d.idle()
	}
	return nil
}
