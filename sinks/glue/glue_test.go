package glue

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/memory"

	"github.com/sluice-data/sluice/internal/awstest"
	"github.com/sluice-data/sluice/internal/fail"
	"github.com/sluice-data/sluice/internal/hive"
	"github.com/sluice-data/sluice/internal/objstore"
	"github.com/sluice-data/sluice/sinks"
	"github.com/sluice-data/sluice/sinks/targettest"
)

const made = "{database: curated, table: trips, ensure: create}"

// commit has a file in each folder, whose values are separated by commas; "-" is null.
func commit(by []string, folders ...string) sinks.Commit {
	c := sinks.Commit{RunID: run, Manifest: objstore.Ref{Bucket: "b", Key: "trips/_runs/" + run + "/manifest.json"}}
	for i, f := range folders {
		p := map[string]hive.Value{}
		var values []hive.Value
		for k, v := range strings.Split(f, ",") {
			value := hive.Value{Text: v}
			if v == "-" {
				value = hive.Value{Null: true}
			}
			p[by[k]] = value
			values = append(values, value)
		}
		ref := objstore.Ref{Bucket: "b", Key: fmt.Sprintf("trips/%spart-%s-%05d.parquet", hive.Folder(by, values), run, i)}
		c.Files = append(c.Files, sinks.File{Ref: ref, URI: ref.String(), Rows: 1, Partition: p})
		c.Rows++
	}
	return c
}

// TestSuite: whatever request fares badly, the table and all partitions are there in the end.
func TestSuite(t *testing.T) {
	c := start(t)
	by := []string{"day"}
	var days []string
	for i := range 250 {
		days = append(days, fmt.Sprint(i))
	}
	open := func(t *testing.T) sinks.Delivery { return bound(t, made, "id int64; day int32", by...) }
	targettest.Run(t, targettest.Rig{
		Open: open,
		Faulty: func(t *testing.T, at int, lost bool) (sinks.Delivery, func() bool) {
			c.Lock()
			defer c.Unlock()
			c.Fault, c.Lost = at, lost
			return open(t), func() bool {
				c.Lock()
				defer c.Unlock()
				reached := len(c.Requests) > at
				c.Fault = -1
				return reached
			}
		},
		Commit: commit(by, days...),
		Reset:  func(*testing.T) { c.Reset() },
		Times: func(*testing.T) (int, error) {
			c.Lock()
			defer c.Unlock()
			if len(c.Tables) == 0 || len(c.Partitions) < len(days) {
				return 0, nil // partitions that are there before the rest hurt nobody: their files are committed
			}
			for _, d := range days {
				if p, ok := c.Partitions[d]; !ok || p.StorageDescriptor.Location != "s3://b/trips/day="+d+"/" {
					return 0, fmt.Errorf("partition %s: %+v", d, p)
				}
			}
			return len(c.Tables), nil
		},
	})
}

// TestCreate: the table as Athena reads it, its partitions in batches, with values in the order of its keys.
func TestCreate(t *testing.T) {
	c := start(t)
	by := []string{"day", "zone"}
	d := bound(t, made, "Id int64; b bool; i8 int8; i16 int16; i32 int32; u8 uint8; u16 uint16; f float32; g float64; n decimal(8,2); s string; j json; x binary; d date; at timestamp; tz timestamptz; "+
		"l list<int32>; st struct<A: string, b: list<date>>; day date; zone string", by...)
	if _, err := d.Preflight(t.Context()); err != nil {
		t.Fatal(err)
	}
	equal(t, "preflight changes nothing", len(c.Tables), 0)
	folders := []string{"2024-01-01,a:b", "2024-01-01,-"}
	for i := range 120 {
		folders = append(folders, fmt.Sprintf("2024-01-02,z%03d", i), fmt.Sprintf("2024-01-02,z%03d", i))
	}
	detail, err := d.Deliver(t.Context(), commit(by, folders...))
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "detail", detail, "made table curated.trips, 122 of 122 partitions added")
	equal(t, "batches", c.Batches, "[100 22]")
	got := c.Tables["trips"]
	equal(t, "columns", got.StorageDescriptor.Columns, "[{id bigint} {b boolean} {i8 tinyint} {i16 smallint} {i32 int} {u8 smallint} {u16 int} {f float} {g double} {n decimal(8,2)} {s string} {j string} {x binary} "+
		"{d date} {at timestamp} {tz timestamp} {l array<int>} {st struct<a:string,b:array<date>>}]")
	equal(t, "keys", got.PartitionKeys, "[{day date} {zone string}]")
	equal(t, "descriptor", []any{got.TableType, got.Parameters, got.StorageDescriptor.Location, got.StorageDescriptor.InputFormat, got.StorageDescriptor.OutputFormat, got.StorageDescriptor.SerdeInfo},
		"[EXTERNAL_TABLE map[EXTERNAL:TRUE classification:parquet] s3://b/trips/ org.apache.hadoop.hive.ql.io.parquet.MapredParquetInputFormat org.apache.hadoop.hive.ql.io.parquet.MapredParquetOutputFormat "+
			"{org.apache.hadoop.hive.ql.io.parquet.serde.ParquetHiveSerDe map[serialization.format:1]}]")
	p := c.Partitions["2024-01-01/a:b"]
	equal(t, "partition's columns", p.StorageDescriptor.Columns, got.StorageDescriptor.Columns)
	equal(t, "partitions", sorted(c)[:2], "[2024-01-01|__HIVE_DEFAULT_PARTITION__ s3://b/trips/day=2024-01-01/zone=__HIVE_DEFAULT_PARTITION__/ 2024-01-01|a:b s3://b/trips/day=2024-01-01/zone=a%3Ab/]")
	if detail, err = d.Deliver(t.Context(), commit(by, "2024-01-01,-", "2024-01-03,q")); err != nil {
		t.Fatal(err)
	}
	equal(t, "again", detail, "table curated.trips, 1 of 2 partitions added")
}

// TestKeyOrder: values go in the order of the table's keys, locations in that of the folders.
func TestKeyOrder(t *testing.T) {
	c := start(t)
	if _, _, err := bound(t, made, "id int64; zone string; day date", "zone", "day").ensure(t.Context()); err != nil {
		t.Fatal(err)
	}
	by := []string{"day", "zone"}
	if _, err := bound(t, "{database: curated, table: trips}", "id int64; zone string; day date", by...).Deliver(t.Context(), commit(by, "2024-01-01,a")); err != nil {
		t.Fatal(err)
	}
	equal(t, "partitions", sorted(c), "[a|2024-01-01 s3://b/trips/day=2024-01-01/zone=a/]")
}

// TestAppendColumns: columns that the table has not are appended to it, with all else of it kept, also if another changes it at that time.
func TestAppendColumns(t *testing.T) {
	c := start(t)
	if _, err := bound(t, made, "id int64; fare float64").Deliver(t.Context(), commit(nil)); err != nil {
		t.Fatal(err)
	}
	c.Tables["trips"].Owner, c.Tables["trips"].Parameters["team"] = "me", "mobility"
	d := bound(t, made, "tip float64; id int64; city string")
	c.Between = func() { // after the first look of Deliver
		c.Tables["trips"].VersionId = "7"
		c.Tables["trips"].StorageDescriptor.Columns = append(c.Tables["trips"].StorageDescriptor.Columns, awstest.Col{Name: "tip", Type: "double"})
	}
	detail, err := d.Deliver(t.Context(), commit(nil))
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "detail", detail, "changed table curated.trips (1 columns added)")
	got := c.Tables["trips"]
	equal(t, "columns", got.StorageDescriptor.Columns, "[{id bigint} {fare double} {tip double} {city string}]")
	equal(t, "kept", []any{got.Owner, got.Parameters["team"], got.VersionId}, "[me mobility 8]")
	if !slices.Contains(c.Requests, "UpdateTable") {
		t.Error(c.Requests)
	}
}

// TestSlashes: a partition is where its files are, also where a part of the key is empty.
func TestSlashes(t *testing.T) {
	c := start(t)
	for _, dir := range []string{"a//curated/", "/curated/", "a/../curated//"} {
		c.Reset()
		d := bound(t, made, "id int64; day date", "day")
		d.location = "s3://b/" + dir
		rows := commit([]string{"day"}, "2024-01-01")
		rows.Files[0].Ref.Key = dir + strings.TrimPrefix(rows.Files[0].Ref.Key, "trips/")
		if _, err := d.Deliver(t.Context(), rows); err != nil {
			t.Fatal(err)
		}
		equal(t, dir, append(sorted(c), c.Tables["trips"].StorageDescriptor.Location), "[2024-01-01 s3://b/"+dir+"day=2024-01-01/ s3://b/"+dir+"]")
	}
}

// TestDiffers: a table that does not fit is refused before rows are read, with all that is wrong.
func TestDiffers(t *testing.T) {
	c := start(t)
	if _, err := bound(t, made, "id int64; fare float64; zone string", "zone").Deliver(t.Context(), commit(nil)); err != nil {
		t.Fatal(err)
	}
	for _, x := range []struct {
		block, cols string
		by          []string
		change      func(*awstest.Table)
		says        []string
	}{
		{"{database: curated, table: trips}", "id int64; city string; zone string", []string{"zone"}, nil, []string{"it has no column city: ALTER TABLE `curated`.`trips` ADD COLUMNS (`city` string), or ensure: create"}},
		{made, "id string; fare float32; zone string", []string{"zone"}, nil, []string{"its column id is bigint, that of the rows string; its column fare is double, that of the rows float"}},
		{made, "id int64; fare float64; zone string", nil, nil, []string{"its partition key zone is not in sink.partition_by"}},
		{made, "zone string; fare int64; id int64", []string{"id"}, nil, []string{"has id as a column, and the sink partitions by it", "its partition key zone is not"}},
		{made, "id int64; zone string", []string{"zone"}, func(t *awstest.Table) { t.StorageDescriptor.Location = "s3://other/x" }, []string{"its files are in s3://other/x, those of the sink in s3://b/trips/"}},
		{made, "id int64; zone string", []string{"zone"}, func(t *awstest.Table) { t.StorageDescriptor.SerdeInfo.SerializationLibrary = "x.OpenCSVSerde" }, []string{"it is no table of Parquet files"}},
		{made, "id int64; zone string", []string{"zone"}, func(t *awstest.Table) { t.Parameters = map[string]string{"table_type": "ICEBERG"} }, []string{"not a table of plain files but a external_table iceberg"}},
		{made, "id int64; zone string", []string{"zone"}, func(t *awstest.Table) { t.TableType = "VIRTUAL_VIEW" }, []string{"but a virtual_view"}},
		{made, "id int64; zone date", []string{"zone"}, func(t *awstest.Table) { t.PartitionKeys[0].Type = "int" }, []string{"its partition key zone is int, that of the rows date"}},
	} {
		before := *c.Tables["trips"]
		before.PartitionKeys = slices.Clone(before.PartitionKeys)
		kept := before
		kept.PartitionKeys = slices.Clone(before.PartitionKeys)
		if x.change != nil {
			x.change(&before)
		}
		c.Tables["trips"] = &before
		d := bound(t, x.block, x.cols, x.by...)
		_, err := d.Preflight(t.Context())
		_, derr := d.Deliver(t.Context(), commit(nil))
		for _, says := range x.says {
			if fail.KindOf(err) != fail.Usage || !strings.Contains(err.Error(), says) || derr == nil {
				t.Errorf("%v, %v\nwant %s", err, derr, says)
			}
		}
		c.Tables["trips"] = &kept
	}
	if _, err := bound(t, "{database: curated, table: other}", "id int64").Preflight(t.Context()); fail.KindOf(err) != fail.Usage || !strings.Contains(err.Error(), "set ensure: create, or make it in Athena by CREATE EXTERNAL TABLE") {
		t.Error(err)
	}
	if _, err := bound(t, "{database: nowhere, table: other, ensure: create}", "id int64").Preflight(t.Context()); fail.KindOf(err) != fail.Usage || !strings.Contains(err.Error(), "CREATE DATABASE `nowhere`") {
		t.Error(err)
	}
	c.Deny = true
	if _, err := bound(t, made, "id int64").Preflight(t.Context()); fail.KindOf(err) != fail.Permission || !strings.Contains(err.Error(), "glue:GetTable on table curated.trips: access denied") {
		t.Error(err)
	}
}

// TestReads: a table may have wider integers than the files, of one physical type.
func TestReads(t *testing.T) {
	for _, x := range []struct {
		have, typ string
		want      bool
	}{{"BIGINT", "bigint", true}, {"int", "smallint", true}, {"integer", "int", true}, {"bigint", "int", false}, {"smallint", "int", false}, {"varchar(20)", "string", true}, {"decimal(8, 2)", "decimal(8,2)", true},
		{"decimal(9,2)", "decimal(8,2)", false}, {"double", "float", false}, {"string", "bigint", false}} {
		if got := reads(x.have, x.typ); got != x.want {
			t.Errorf("%s reads %s: %v", x.have, x.typ, got)
		}
	}
}

// TestPartitionErrors: those that may pass are sent again, alone; others say which partition.
func TestPartitionErrors(t *testing.T) {
	c := start(t)
	by := []string{"day"}
	c.Say["b"] = []string{"InternalServiceException", "ThrottlingException"}
	d := bound(t, made, "id int64; day string", by...)
	detail, err := d.Deliver(t.Context(), commit(by, "a", "b", "c"))
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "detail", detail, "made table curated.trips, 3 of 3 partitions added")
	equal(t, "batches", c.Batches, "[3 1 1]")
	c.Say["d"] = []string{"AccessDeniedException"}
	if _, err := d.Deliver(t.Context(), commit(by, "d", "e")); fail.KindOf(err) != fail.Permission || !strings.Contains(err.Error(), "partition (d) of curated.trips") {
		t.Error(err)
	}
	c.Say["f"] = slices.Repeat([]string{"ThrottlingException"}, tries)
	if _, err := d.Deliver(t.Context(), commit(by, "f")); fail.KindOf(err) != fail.Temporary {
		t.Error(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := d.Deliver(ctx, commit(by, "g")); fail.KindOf(err) != fail.Temporary {
		t.Error(err)
	}
}

const projected = `{database: curated, table: trips, ensure: create, projection: {day: {type: date, range: "2024-01-01,NOW"}, zone: {type: enum, values: [a, b]}, n: {type: integer, range: "0,31"}, who: {type: injected}}}`

// TestProjection: the table's properties say where partitions are, and none is added. Values that would not be found are refused.
func TestProjection(t *testing.T) {
	c := start(t)
	by := []string{"day", "zone", "n", "who"}
	cols := "id int64; day date; zone string; n int32; who string"
	d := bound(t, projected, cols, by...)
	demands, err := d.Preflight(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	detail, err := d.Deliver(t.Context(), commit(by, "2024-01-01,a,7,me"))
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "detail", detail, "made table curated.trips, whose partitions are projected")
	equal(t, "partitions", len(c.Partitions), 0)
	equal(t, "properties", c.Tables["trips"].Parameters, "map[EXTERNAL:TRUE classification:parquet projection.day.format:yyyy-MM-dd projection.day.range:2024-01-01,NOW projection.day.type:date projection.enabled:true "+
		"projection.n.range:0,31 projection.n.type:integer projection.who.type:injected projection.zone.type:enum projection.zone.values:a,b "+
		"storage.location.template:s3://b/trips/day=${day}/zone=${zone}/n=${n}/who=${who}/]")
	b := array.NewStringBuilder(memory.DefaultAllocator)
	defer b.Release()
	b.AppendValues([]string{"a", "x", "b"}, nil)
	b.AppendNull()
	zones := b.NewArray()
	defer zones.Release()
	var refused []string
	for _, demand := range demands {
		if demand.Column == "zone" {
			demand.Check(zones, func(row int, reason string) { refused = append(refused, fmt.Sprint(row, " ", reason)) })
		}
	}
	slices.Sort(refused)
	equal(t, "refused", refused, "[1 the value is not among those 3 null is refused]")

	// A range that the block has anew is written; what is not projected stays.
	c.Tables["trips"].Parameters["team"] = "mobility"
	d = bound(t, strings.Replace(projected, "0,31", "0,99", 1), cols, by...)
	if _, err := d.Deliver(t.Context(), commit(by, "2024-01-01,a,7,me")); err != nil {
		t.Fatal(err)
	}
	equal(t, "changed", []string{c.Tables["trips"].Parameters["projection.n.range"], c.Tables["trips"].Parameters["team"]}, "[0,99 mobility]")
	// A table that has it from elsewhere gets no partitions either.
	if detail, err = bound(t, "{database: curated, table: trips}", cols, by...).Deliver(t.Context(), commit(by, "2024-01-01,a,7,me")); err != nil || !strings.Contains(detail, "projected") || len(c.Partitions) != 0 {
		t.Error(detail, err)
	}
}

// TestProjectedTexts: a text whose folder has another name than what Athena makes up for it, or which it never makes up, is a bad row.
func TestProjectedTexts(t *testing.T) {
	for _, c := range []struct{ projection, values, refused string }{
		{"{type: injected}", `["a:b", "ä b+c", "null", "NULL", "nulls", "50%", null]`, "0 its folder is named a%3Ab; 2 its folder is named %6Eull; 3 its folder is named %4EULL; 5 its folder is named 50%25; 6 null is refused"},
		{"{type: enum, values: [a, b]}", `["a", "a:b"]`, "1 the value is not among those"},
		{`{type: integer, range: "0,99"}`, `["7", "-7", "07", "x", "7.0", " 7", "+7", "-0", "9223372036854775808"]`,
			"2 it would be written 7; 3 it is no integer; 4 it is no integer; 5 it is no integer; 6 it would be written 7; 7 it would be written 0; 8 it is no integer"},
		{`{type: integer, range: "0,99", digits: 2}`, `["07", "7", "123", "007", "-7"]`, "1 it would be written 07; 3 it would be written 07; 4 a negative number has no fixed number of digits"},
		{`{type: date, range: "2024-01-01,NOW", format: yyyy-MM-dd}`, `["2024-02-29", "2024-2-29", "2024-02-30", "2024-02-29 ", "29.02.2024"]`,
			"1 it is no such date; 2 it is no such date; 3 it is no such date; 4 it is no such date"},
		{`{type: date, range: "2024010100,NOW", format: yyyyMMddHH}`, `["2024022923", "2024022924", "20240229"]`, "1 it is no such date; 2 it is no such date"},
		{`{type: date, range: "2024-01-01T00,NOW", format: "yyyy-MM-dd'T'HH"}`, `["2024-02-29T23", "2024-02-29 23"]`, "1 it is no such date"},
		{`{type: date, range: "Jan 2024,NOW", format: "MMM yyyy"}`, `["Feb 2024", "Feb/2024"]`, "1 its folder is named Feb%2F2024"}, // not held against names of months
	} {
		demands, err := func() ([]sinks.Constraint, error) {
			start(t)
			return bound(t, "{database: curated, table: trips, ensure: create, projection: {s: "+c.projection+"}}", "id int64; s string", "s").Preflight(t.Context())
		}()
		if err != nil {
			t.Fatal(err)
		}
		a, _, err := array.FromJSON(memory.DefaultAllocator, arrow.BinaryTypes.String, strings.NewReader(c.values))
		if err != nil {
			t.Fatal(err)
		}
		var refused []string
		for _, demand := range demands {
			demand.Check(a, func(row int, reason string) { refused = append(refused, fmt.Sprint(row, " ", reason)) })
		}
		slices.Sort(refused)
		equal(t, c.projection, strings.Join(refused, "; "), c.refused)
		a.Release()
	}
	for _, c := range []struct{ projection, says string }{
		{`{type: date, range: "a,b", format: "yyyy-MM-dd HH:mm"}`, `p.yaml:1:108: format "yyyy-MM-dd HH:mm" of s puts : into dates, which folders' names have as %3A: no row would be found`},
		{`{type: date, range: "a,b", format: "yyyy''MM"}`, "puts '' into dates"},
		{`{type: integer, range: "0,9", digits: two}`, `digits "two" of s: want a number from 1 to 100`},
	} {
		if _, err := bind(t, "{database: curated, table: trips, ensure: create, projection: {s: "+c.projection+"}}", "id int64; s string", "s"); fail.KindOf(err) != fail.Usage || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%v\nwant %s", err, c.says)
		}
	}
}

// TestExplain: the DDL of Athena that does the same.
func TestExplain(t *testing.T) {
	equal(t, "none", bound(t, "{database: curated, table: trips}", "id int64; day date", "day").Explain(),
		"[ALTER TABLE `curated`.`trips` ADD IF NOT EXISTS PARTITION (`day` = '<day>') LOCATION 's3://b/trips/day=<day>/']")
	equal(t, "create", strings.Join(bound(t, made, "id int64; day date", "day").Explain(), "\n"),
		"CREATE EXTERNAL TABLE IF NOT EXISTS `curated`.`trips` (`id` bigint) PARTITIONED BY (`day` date) STORED AS PARQUET LOCATION 's3://b/trips/' TBLPROPERTIES ('classification' = 'parquet')\n"+
			"ALTER TABLE `curated`.`trips` ADD IF NOT EXISTS PARTITION (`day` = '<day>') LOCATION 's3://b/trips/day=<day>/'")
	equal(t, "projected", bound(t, `{database: curated, table: trips, ensure: create, projection: {day: {type: date, range: "2024-01-01,NOW"}}}`, "id int64; day date", "day").Explain(),
		"[CREATE EXTERNAL TABLE IF NOT EXISTS `curated`.`trips` (`id` bigint) PARTITIONED BY (`day` date) STORED AS PARQUET LOCATION 's3://b/trips/' TBLPROPERTIES ('classification' = 'parquet', "+
			"'projection.day.format' = 'yyyy-MM-dd', 'projection.day.range' = '2024-01-01,NOW', 'projection.day.type' = 'date', 'projection.enabled' = 'true', 'storage.location.template' = 's3://b/trips/day=${day}/')]")
}

// TestRefused: what a block may not say, and rows that Athena does not read.
func TestRefused(t *testing.T) {
	cols := "id int64; day date; n int32; s string"
	project := func(p string) string { return "{database: c, table: t, ensure: create, projection: " + p + "}" }
	for _, x := range []struct{ block, cols, says string }{
		{"{table: t}", cols, "sink.glue needs database"},
		{"{database: c}", cols, "sink.glue needs table"},
		{"{database: c, table: a.b}", cols, `table "a.b": names in Athena are`},
		{"{database: c, tabel: t}", cols, `did you mean "table"?`},
		{"{database: c, table: t, ensure: maybe}", cols, "use none or create"},
		{"{database: c, table: t}", "id uint32; day date; n int32; s string", `column "id" is uint32: cast it to int64`},
		{"{database: c, table: t}", "id uint64; day date; n int32; s string", "decimal(20,0)"},
		{"{database: c, table: t}", "at time; day date; n int32; s string", "cast it to string"},
		{"{database: c, table: t}", "a-b int64; day date; n int32; s string", `column "a-b": names in Athena are`},
		{"{database: c, table: t}", "id int64; ID int64; day date; n int32; s string", `columns "id" and "ID" are one to Athena`},
		{"{database: c, table: t, projection: {}}", cols, "projection is for the table that ensure: create makes"},
		{project("{day: {type: date}}"), cols, "projection must have each column of sink.partition_by (day, n, s)"},
		{project("{day: {type: data}, n: {type: integer}, s: {type: injected}}"), cols, "needs type: enum, integer, date or injected"},
		{project("{day: {type: date}, n: {type: integer}, s: {type: injected}}"), cols, `projection of day needs range: "from,to"`},
		{project(`{day: {type: date, range: "a,b"}, n: {type: integer, range: "a,b"}, s: {type: injected}}`), cols, `"a" is no integer`},
		{project(`{day: {type: date, range: "a,b"}, n: {type: integer, range: "1,2", digits: 2}, s: {type: injected}}`), cols, "integers are written as they are"},
		{project(`{day: {type: date, range: "a,b", format: yyyy}, n: {type: integer, range: "1,2"}, s: {type: injected}}`), cols, "the folders of a date are written yyyy-MM-dd"},
		{project(`{day: {type: injected}, n: {type: integer, range: "1,2"}, s: {type: injected}}`), cols, "does not go with column day of type date"},
		{project(`{day: {type: date, range: "a,b"}, n: {type: integer, range: "1,2"}, s: {type: enum, values: ["a:b"]}}`), cols, "its folder has another name"},
		{project(`{day: {type: date, range: "a,b"}, n: {type: integer, range: "1,2"}, s: {type: date, range: "a,b"}}`), cols, "projection of s needs format"},
	} {
		if _, err := bind(t, x.block, x.cols, "day", "n", "s"); fail.KindOf(err) != fail.Usage || !strings.Contains(err.Error(), x.says) {
			t.Errorf("%s: %v\nwant %s", x.block, err, x.says)
		}
	}
}
