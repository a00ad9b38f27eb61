package glue

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/glue"
	"github.com/aws/aws-sdk-go-v2/service/glue/types"
	smithy "github.com/aws/smithy-go"

	"github.com/sluice-data/sluice/internal/awsconf"
	"github.com/sluice-data/sluice/internal/fail"
	"github.com/sluice-data/sluice/internal/hive"
	"github.com/sluice-data/sluice/sinks"
)

// tries is how often what another one changed meanwhile, or the service refused for now, is tried.
const tries = 6

// mostPartitions is how many one request adds (BatchCreatePartition).
const mostPartitions = 100

// What reads Parquet in Hive's terms.
const (
	inputFormat  = "org.apache.hadoop.hive.ql.io.parquet.MapredParquetInputFormat"
	outputFormat = "org.apache.hadoop.hive.ql.io.parquet.MapredParquetOutputFormat"
	serde        = "org.apache.hadoop.hive.ql.io.parquet.serde.ParquetHiveSerDe"
)

// look is the table, nil if it is to be made.
func (d *delivery) look(ctx context.Context) (*types.Table, error) {
	if err := d.connect(ctx); err != nil {
		return nil, err
	}
	out, err := d.client.GetTable(ctx, &glue.GetTableInput{DatabaseName: &d.database, Name: &d.table})
	if awsconf.CodeOf(err) == "EntityNotFoundException" {
		if strings.HasPrefix(awsconf.Shorten(err).Error(), "400 EntityNotFoundException: Database") {
			return nil, fail.Newf(fail.Usage, "database %q is not in the Glue catalog: CREATE DATABASE `%s` in Athena: %w", d.database, d.database, awsconf.Shorten(err))
		}
		if !d.create {
			return nil, fail.Newf(fail.Usage, "table %s is not in the Glue catalog: set ensure: create, or make it in Athena by %s", d, d.ddl())
		}
		return nil, nil
	}
	if err != nil {
		return nil, d.call("GetTable").Error(ctx, err)
	}
	if out.Table == nil || out.Table.StorageDescriptor == nil {
		return nil, fail.Newf(fail.Usage, "%s in the Glue catalog is no table of files", d)
	}
	return out.Table, nil
}

// change is what ensure: create does to a table that is there.
type change struct {
	columns    []types.Column
	properties []string // that have another value
}

func (c change) none() bool { return len(c.columns) == 0 && len(c.properties) == 0 }

// compare holds the table against the rows and says what has to be changed, or every reason why it does not fit.
func (d *delivery) compare(t *types.Table) (change, error) {
	var c change
	if kind := t.Parameters["table_type"]; aws.ToString(t.TableType) == "VIRTUAL_VIEW" || kind != "" {
		return c, fail.Newf(fail.Usage, "%s in the Glue catalog is not a table of plain files but a %s", d, strings.ToLower(strings.TrimSpace(aws.ToString(t.TableType)+" "+kind)))
	}
	var diff []string
	sd := t.StorageDescriptor
	if at := strings.TrimRight(aws.ToString(sd.Location), "/"); strings.Replace(strings.Replace(at, "s3a://", "s3://", 1), "s3n://", "s3://", 1) != strings.TrimRight(d.location, "/") {
		diff = append(diff, fmt.Sprintf("its files are in %s, those of the sink in %s", at, d.location))
	}
	if s := sd.SerdeInfo; s == nil || !strings.Contains(strings.ToLower(aws.ToString(s.SerializationLibrary)), "parquet") {
		diff = append(diff, "it is no table of Parquet files")
	}
	columns := map[string]string{}
	for _, col := range sd.Columns {
		columns[aws.ToString(col.Name)] = aws.ToString(col.Type)
	}
	for _, col := range d.cols {
		have, ok := columns[col.name]
		switch {
		case !ok && d.create:
			c.columns = append(c.columns, types.Column{Name: aws.String(col.name), Type: aws.String(col.typ)})
		case !ok:
			diff = append(diff, fmt.Sprintf("it has no column %s: ALTER TABLE `%s`.`%s` ADD COLUMNS (`%s` %s), or ensure: create", col.name, d.database, d.table, col.name, col.typ))
		case !reads(have, col.typ):
			diff = append(diff, fmt.Sprintf("its column %s is %s, that of the rows %s", col.name, have, col.typ))
		}
	}
	diff = append(diff, d.compareKeys(t.PartitionKeys, columns)...)
	if len(diff) > 0 {
		return c, fail.Newf(fail.Usage, "table %s of the Glue catalog does not fit the rows: %s", d, strings.Join(diff, "; "))
	}
	if d.projected() {
		for k, v := range d.properties {
			if (strings.HasPrefix(k, "projection.") || k == "storage.location.template") && t.Parameters[k] != v {
				c.properties = append(c.properties, k)
			}
		}
	}
	return c, nil
}

// compareKeys holds the partition keys, in any order, against the folders' columns.
func (d *delivery) compareKeys(have []types.Column, columns map[string]string) (diff []string) {
	for _, k := range d.keys {
		i := slices.IndexFunc(have, func(c types.Column) bool { return aws.ToString(c.Name) == k.name })
		if i < 0 {
			what := "has no partition key " + k.name
			if _, ok := columns[k.name]; ok {
				what = "has " + k.name + " as a column, and the sink partitions by it"
			}
			diff = append(diff, "it "+what)
		} else if typ := strings.ToLower(aws.ToString(have[i].Type)); typ != "string" && typ != "bigint" && !reads(typ, k.typ) || typ == "bigint" && !strings.HasSuffix(k.typ, "int") {
			diff = append(diff, fmt.Sprintf("its partition key %s is %s, that of the rows %s", k.name, typ, k.typ))
		}
	}
	for _, c := range have {
		if !slices.ContainsFunc(d.keys, func(k column) bool { return k.name == aws.ToString(c.Name) }) {
			diff = append(diff, "its partition key "+aws.ToString(c.Name)+" is not in sink.partition_by")
		}
	}
	return diff
}

// ensure has the table as the rows need it, and says what it did. Of several at once each finds what the others did.
func (d *delivery) ensure(ctx context.Context) (*types.Table, string, error) {
	did := "table " + d.String()
	for try := 1; ; try++ {
		have, err := d.look(ctx)
		if err != nil {
			return nil, "", err
		}
		action, change := "CreateTable", "made table "+d.String()
		if have == nil {
			_, err = d.client.CreateTable(ctx, &glue.CreateTableInput{DatabaseName: &d.database, TableInput: d.input()})
		} else {
			c, cerr := d.compare(have)
			if cerr != nil || c.none() {
				return have, did, cerr
			}
			action = "UpdateTable"
			change = fmt.Sprintf("changed table %s (%d columns added)", d, len(c.columns))
			_, err = d.client.UpdateTable(ctx, &glue.UpdateTableInput{DatabaseName: &d.database, VersionId: have.VersionId, TableInput: d.changed(have, c)}, once)
		}
		if err == nil {
			did = change
		}
		if err == nil || awsconf.CodeOf(err) == "AlreadyExistsException" {
			if try >= tries {
				return nil, "", fail.Newf(fail.Temporary, "table %s was changed %d times, and is still not what the rows need: does another job change it, too?", d, try)
			}
			continue // read it as it stands now
		}
		err = d.call(action).Error(ctx, err)
		if fail.KindOf(err) != fail.Temporary || try >= tries {
			return nil, "", err
		}
		if err := d.wait(ctx, try); err != nil {
			return nil, "", err
		}
	}
}

// once keeps the SDK from sending a change again that another's change was in the way of: it has to be made anew.
func once(o *glue.Options) { o.Retryer = aws.NopRetryer{} }

// input is the table as it is made.
func (d *delivery) input() *types.TableInput {
	list := func(cols []column) []types.Column {
		out := []types.Column{}
		for _, c := range cols {
			out = append(out, types.Column{Name: aws.String(c.name), Type: aws.String(c.typ)})
		}
		return out
	}
	return &types.TableInput{Name: &d.table, TableType: aws.String("EXTERNAL_TABLE"), Parameters: d.properties, PartitionKeys: list(d.keys),
		StorageDescriptor: &types.StorageDescriptor{Columns: list(d.cols), Location: &d.location, InputFormat: aws.String(inputFormat), OutputFormat: aws.String(outputFormat),
			SerdeInfo: &types.SerDeInfo{SerializationLibrary: aws.String(serde), Parameters: map[string]string{"serialization.format": "1"}}}}
}

// changed is the table as it was, with the change. UpdateTable puts its input in the table's place, so all has to be in it.
func (d *delivery) changed(t *types.Table, c change) *types.TableInput {
	sd := *t.StorageDescriptor
	sd.Columns = append(slices.Clone(sd.Columns), c.columns...)
	params := map[string]string{}
	for k, v := range t.Parameters {
		if !d.projected() || !strings.HasPrefix(k, "projection.") {
			params[k] = v
		}
	}
	if d.projected() {
		for k, v := range d.properties {
			params[k] = v
		}
	}
	return &types.TableInput{Name: t.Name, Description: t.Description, LastAccessTime: t.LastAccessTime, LastAnalyzedTime: t.LastAnalyzedTime, Owner: t.Owner, Parameters: params, PartitionKeys: t.PartitionKeys,
		Retention: t.Retention, StorageDescriptor: &sd, TableType: t.TableType, TargetTable: t.TargetTable, ViewExpandedText: t.ViewExpandedText, ViewOriginalText: t.ViewOriginalText}
}

// addPartitions adds those of the files that are not there. Each has the table's own descriptor with its location.
func (d *delivery) addPartitions(ctx context.Context, t *types.Table, files []sinks.File) (added, all int, _ error) {
	var todo []types.PartitionInput
	seen := map[string]bool{}
	for _, f := range files {
		folder := "s3://" + f.Ref.Bucket + "/" + f.Ref.Key[:strings.LastIndexByte(f.Ref.Key, '/')+1] // path.Dir would make one of two slashes
		if seen[folder] {
			continue
		}
		seen[folder] = true
		var values []string
		for _, key := range t.PartitionKeys { // in the table's order, whatever the folders'
			i := slices.IndexFunc(d.keys, func(k column) bool { return k.name == aws.ToString(key.Name) })
			v, ok := f.Partition[d.keys[i].of.Name]
			if !ok {
				return 0, 0, fail.Newf(fail.Internal, "the manifest has no value of %s for %s", aws.ToString(key.Name), f.URI)
			}
			if v.Null {
				v.Text = hive.Null
			}
			values = append(values, v.Text)
		}
		sd := *t.StorageDescriptor
		sd.Location = &folder
		todo = append(todo, types.PartitionInput{Values: values, StorageDescriptor: &sd})
	}
	all = len(todo)
	for batch := range slices.Chunk(todo, mostPartitions) {
		n, err := d.addBatch(ctx, batch)
		if err != nil {
			return 0, 0, err
		}
		added += n
	}
	return added, all, nil
}

// addBatch adds one request's partitions. Glue answers for each that it did not add; those it may take later are sent again.
func (d *delivery) addBatch(ctx context.Context, batch []types.PartitionInput) (added int, _ error) {
	for try := 1; ; try++ {
		out, err := d.client.BatchCreatePartition(ctx, &glue.BatchCreatePartitionInput{DatabaseName: &d.database, TableName: &d.table, PartitionInputList: batch})
		if err != nil {
			return 0, d.call("BatchCreatePartition").Error(ctx, err)
		}
		added += len(batch) - len(out.Errors)
		var again []types.PartitionInput
		var last error
		for _, e := range out.Errors {
			if e.ErrorDetail == nil {
				e.ErrorDetail = &types.ErrorDetail{}
			}
			code := aws.ToString(e.ErrorDetail.ErrorCode)
			if code == "AlreadyExistsException" {
				continue
			}
			call := d.call("BatchCreatePartition")
			call.On = fmt.Sprintf("partition (%s) of %s", strings.Join(e.PartitionValues, ", "), d)
			last = call.Error(ctx, &smithy.GenericAPIError{Code: code, Message: aws.ToString(e.ErrorDetail.ErrorMessage)})
			i := slices.IndexFunc(batch, func(p types.PartitionInput) bool { return slices.Equal(p.Values, e.PartitionValues) })
			if fail.KindOf(last) != fail.Temporary || i < 0 {
				return 0, last
			}
			again = append(again, batch[i])
		}
		if len(again) == 0 {
			return added, nil
		}
		if try >= tries {
			return 0, last
		}
		batch = again
		if err := d.wait(ctx, try); err != nil {
			return 0, err
		}
	}
}
