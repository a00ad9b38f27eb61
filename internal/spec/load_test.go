package spec

import (
	"cmp"
	"errors"
	"flag"
	"os"
	"strings"
	"testing"

	"github.com/sluice-data/sluice/internal/fail"
	"github.com/sluice-data/sluice/internal/schema"
)

var rewrite = flag.Bool("rewrite", false, "write the expected errors of testdata/bad.txt anew")

// testVars stand for --set values.
var testVars = map[string]string{"DAY": "monday", "OBJ": "in/dt=2026-11-22/region=eu/trips.csv.gz"}

// TestBadFiles: every bad pipeline file of testdata/bad.txt ends in its one line, which names line and column.
func TestBadFiles(t *testing.T) {
	const name = "testdata/bad.txt"
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	blocks := strings.Split(string(text), "\n=== ")
	var out strings.Builder
	out.WriteString(blocks[0])
	for _, b := range blocks[1:] {
		title, rest, _ := strings.Cut(b, "\n")
		yaml, want, ok := strings.Cut(rest, ">>>")
		if !ok {
			t.Fatalf("%s: no >>> line", title)
		}
		want = strings.TrimSpace(want)
		p, err := Load("p.yaml", []byte(yaml), testVars)
		if err == nil {
			err = cmp.Or(p.Source.URIErr, p.Sink.URIErr) // an error once the URI is used
		}
		got := "no error"
		if err != nil {
			got = err.Error()
		}
		out.WriteString("\n=== " + title + "\n" + yaml + ">>> " + got + "\n")
		if *rewrite {
			continue
		}
		t.Run(title, func(t *testing.T) {
			if got != want {
				t.Errorf("got  %s\nwant %s", got, want)
			}
			var e *fail.Error
			if !errors.As(err, &e) || e.Kind != fail.Usage || e.Line < 1 || e.Column < 1 || strings.Contains(got, "\n") {
				t.Errorf("not a one-line usage error with line and column: %#v", err)
			}
		})
	}
	if *rewrite {
		if err := os.WriteFile(name, []byte(out.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// full is the pipeline file of the design, with every key.
const full = `version: 1
name: trips_daily
source:
  uri: s3://raw/trips/*.csv.gz
  format: csv
  compression: auto
  csv: {delimiter: ",", quote: '"', header: true, null_values: ["", NA, null], encoding: utf-8, comment: "", skip_rows: 2}
schema:
  mode: strict
  columns:
    order_id:   {type: string, checks: [not_null]}
    pickup_at:  {type: timestamp, format: "%Y-%m-%d %H:%M:%S", tz: UTC}
    total:      {type: "decimal(18,2)", checks: ["total >= 0"]}
    note: string
errors:
  quarantine: s3://quarantine/trips/
  max_rate: 0.5%
  max_rows: 10
steps:
  - filter: fare > 0 AND distance > 0
  - derive: {day: "date_trunc('day', pickup_at)::date", tip_pct: "tip / nullif(fare, 0)"}
  - aggregate:
      by: [day, pu_location]
      measures: {trips: count(*), p95: "approx_quantile(total, 0.95)"}
sink:
  uri: s3://curated/trips_daily/
  partition_by: [day]
  target_file_size: 256MB
  parquet: {compression: zstd, level: 3}
  redshift: {workgroup: analytics}
  glue: {database: curated}
tests:
  - {name: basic, input: tests/trips.csv, expect: tests/out.jsonl, rejects: 1}
`

func TestLoadFull(t *testing.T) {
	p, err := Load("p.yaml", []byte(full), nil, "glue", "redshift", "other")
	if err != nil {
		t.Fatal(err)
	}
	if p.Name != "trips_daily" || p.Source.URI != "s3://raw/trips/*.csv.gz" || p.Source.Format != "csv" || p.Source.Compression != "auto" {
		t.Errorf("head and source: %+v", p)
	}
	c := p.Source.CSV
	if c.Delimiter != "," || c.Quote != `"` || c.Header == nil || !*c.Header || strings.Join(c.NullValues, "|") != "|NA|null" || c.Encoding != "utf-8" || c.SkipRows != 2 {
		t.Errorf("csv: %+v", c)
	}
	var cols []string
	for _, c := range p.Schema.Columns {
		cols = append(cols, c.Field.Name+" "+schema.TypeName(c.Field))
	}
	if got := strings.Join(cols, ", "); got != "order_id string, pickup_at timestamp, total decimal(18,2), note string" {
		t.Errorf("columns: %s", got)
	}
	if k := p.Schema.Columns[2].Checks; len(k) != 1 || k[0].Expr.text != "total >= 0" || !p.Schema.Columns[0].Checks[0].NotNull {
		t.Errorf("checks: %+v", k)
	}
	if p.Errors.MaxRate != 0.005 || p.Errors.MaxRows != 10 || p.Errors.Quarantine != "s3://quarantine/trips/" {
		t.Errorf("errors: %+v", p.Errors)
	}
	if len(p.Steps) != 3 || p.Steps[0].Name != "filter" || p.Steps[2].Node.Get("measures") == nil {
		t.Errorf("steps: %+v", p.Steps)
	}
	if s := p.Sink; s.TargetFileSize != 256_000_000 || s.Format != "parquet" || s.Block("parquet") == nil || s.Check("parquet", "redshift", "glue") != nil || s.Check("parquet") == nil ||
		len(s.Targets) != 2 || s.Targets[0].Key != "redshift" || s.Targets[1].Value.Get("database") == nil || s.PartitionBy[0] != "day" {
		t.Errorf("sink: %+v", s)
	}
	if p.Tests == nil {
		t.Error("tests are gone")
	}
}

func TestDefaults(t *testing.T) {
	p, err := Load("p.yaml", []byte("version: 1\nname: t\n"), nil)
	if err != nil {
		t.Fatal(err)
	}
	if p.Schema.Mode != "infer" || p.Source.Compression != "auto" || p.Errors.At != nil || p.Sink.TargetFileSize != 256_000_000 || p.Sink.Format != "parquet" || p.Sink.Block("parquet") != nil {
		t.Errorf("%+v", p)
	}
}

// TestCanonical: what cannot change the output does not change the canonical form; what can, does.
func TestCanonical(t *testing.T) {
	canon := func(text string) string {
		t.Helper()
		p, err := Load("p.yaml", []byte(text), testVars, "redshift", "glue")
		if err != nil {
			t.Fatal(err)
		}
		return string(p.Canonical())
	}
	base := canon(full)
	same := map[string]string{
		"a comment":         "# hello\n" + full,
		"CRLF":              strings.ReplaceAll(full, "\n", "\r\n"),
		"a mark":            "\uFEFF" + full,
		"quotes":            strings.Replace(full, "name: trips_daily", `name: "trips_daily"`, 1),
		"the short form":    strings.Replace(full, "note: string", "note: {type: text}", 1),
		"a rate as share":   strings.Replace(full, "0.5%", "0.005", 1),
		"a size in bytes":   strings.Replace(full, "256MB", "256000000", 1),
		"a default left":    strings.Replace(full, "  compression: auto\n", "", 1),
		"another order":     strings.Replace(strings.Replace(full, "  format: csv\n", "", 1), "source:\n", "source:\n  format: csv\n", 1),
		"no tests":          full[:strings.Index(full, "tests:")],
		"another input":     strings.Replace(full, "s3://raw/", "s3://elsewhere/", 1),
		"a quote left":      strings.Replace(full, `quote: '"', `, "", 1),
		"a value by a name": strings.Replace(full, "trips_daily\n", "trips_${X:-daily}\n", 1),
	}
	for what, text := range same {
		if text == full {
			t.Fatalf("%s: the text did not change", what)
		}
		if got := canon(text); got != base {
			t.Errorf("%s changes the canonical form:\n%s\n%s", what, got, base)
		}
	}
	other := map[string]string{
		"a filter":           strings.Replace(full, "fare > 0", "fare > 1", 1),
		"the column order":   strings.Replace(full, "    note: string\n", "", 1),
		"a check":            strings.Replace(full, "total >= 0", "total > 0", 1),
		"an order of derive": strings.Replace(full, "{trips: count(*), p95: \"approx_quantile(total, 0.95)\"}", "{p95: \"approx_quantile(total, 0.95)\", trips: count(*)}", 1),
		"null values":        strings.Replace(full, "NA, ", "", 1),
		"a target":           strings.Replace(full, "  glue: {database: curated}\n", "", 1),
		"a target's setting": strings.Replace(full, "database: curated", "database: other", 1),
	}
	for what, text := range other {
		if canon(text) == base {
			t.Errorf("%s does not change the canonical form", what)
		}
	}
}

// Defaults that are spelled out make no other run.
func TestCanonicalDefaults(t *testing.T) {
	const text = "version: 1\nname: n\nsource: {csv: {}}\nschema: {columns: {at: {type: timestamptz}, day: date}}\nsink: {uri: out/}\n"
	canon := func(text string) string {
		t.Helper()
		p, err := Load("p.yaml", []byte(text), nil)
		if err != nil {
			t.Fatal(err)
		}
		return string(p.Canonical())
	}
	base := canon(text)
	for _, c := range [][2]string{{"csv: {}", `csv: {null_values: [""]}`}, {"csv: {}", `csv: {quote: "\""}`}, {"type: timestamptz", "type: timestamptz, tz: UTC"}, {"{csv", "{uri: s3://in/x.csv, csv"}, {"source: {csv: {}}\n", ""}} {
		if other := strings.Replace(text, c[0], c[1], 1); canon(other) != base {
			t.Errorf("%q makes another run:\n%s\n%s", c[1], base, canon(other))
		}
	}
	if canon(strings.Replace(text, "type: timestamptz", "type: timestamptz, tz: Europe/Berlin", 1)) == base {
		t.Error("a zone makes no other run")
	}
}

func TestVariables(t *testing.T) {
	vars := map[string]string{"KEY": "in/dt=2026-11-22/region=eu/trips.csv.gz", "BUCKET": "raw", "EVENT_TIME": "2026-11-22T23:30:00-02:00",
		"SCHEDULED_TIME": "2026-03-01T00:00:00.000Z", "my.var": "dotted", "EMPTY": ""}
	for _, c := range [][2]string{
		{"s3://${BUCKET}/${KEY}", "s3://raw/in/dt=2026-11-22/region=eu/trips.csv.gz"},
		{"${EVENT_TIME:%Y/%m/%d}", "2026/11/23"}, // in UTC
		{"${SCHEDULED_TIME:%F %T %j %G-W%V %s%%}", "2026-03-01 00:00:00 060 2026-W09 1772323200%"},
		{"${KEY.dir}", "in/dt=2026-11-22/region=eu"},
		{"${KEY.base} ${KEY.stem} ${KEY.ext}", "trips.csv.gz trips csv.gz"},
		{"${KEY.dt}/${KEY.region}", "2026-11-22/eu"},
		{"${KEY.zone:-none}", "none"},
		{"${NOPE:-x y}", "x y"},
		{"${NOPE:-}a", "a"},
		{"${EMPTY:-x}b", "b"}, // set to nothing is set
		{"${my.var}", "dotted"},
		{"$${BUCKET} $5", "${BUCKET} $5"},
		{"a$$b", "a$$b"},
	} {
		n, err := Parse("p.yaml", []byte("k: '"+c[0]+"'\n"))
		if err != nil {
			t.Fatal(err)
		}
		if err := expand(n, vars); err != nil {
			t.Errorf("%s: %v", c[0], err)
			continue
		}
		if got, _ := n.Get("k").Str(); got != c[1] {
			t.Errorf("%s gives %q, want %q", c[0], got, c[1])
		}
	}
}

func TestParseSize(t *testing.T) {
	for in, want := range map[string]int64{"1": 1, "1048576": 1 << 20, "256MB": 256e6, "2GiB": 2 << 30, "512m": 512 << 20, "1.5 GiB": 3 << 29, "10kb": 10_000,
		"9223372036854775807": 1<<63 - 1, "64K": 64 << 10, "1b": 1} {
		if got, err := ParseSize(in); err != nil || got != want {
			t.Errorf("ParseSize(%q) = %d, %v; want %d", in, got, err, want)
		}
	}
	for _, in := range []string{"", "0", "-1", "MB", "1.5", "1e3", "2 GiBs", "9999999TiB", "9223372036854775808", "0.1b", "1..2k", "infinity"} {
		if got, err := ParseSize(in); err == nil {
			t.Errorf("ParseSize(%q) = %d, want an error", in, got)
		}
	}
}

// The line that an error shows goes to logs: what may be a password in it does not.
func TestExcerptHidesPasswords(t *testing.T) {
	for _, line := range []string{
		`  postgres: {uri: "postgres://loader:S3cret@db/dwh", tabel: x}`, `  postgres: {dsn: postgres://S3cret-user:S3cret@db/dwh, tabel: x}`, `  postgres: {dsn: "host=db password=S3cret user=x", tabel: x}`,
		`  postgres: {password: "S3cret S3cret, S3cret", tabel: x}`, `  postgres: {uri: postgres://u:S3cret'S3cret@h/db, tabel: x}`, `  postgres: {password: S3cret, tabel: x}`, `  postgres: {Password: "S3cret", tabel: x}`,
	} {
		d := &document{src: line + "\n", lines: []int32{0}}
		at := int32(strings.Index(line, "tabel"))
		x := d.excerpt(at, at+5)
		if strings.Contains(strings.ReplaceAll(x, "S3cret-user", ""), "S3cret") || !strings.HasSuffix(strings.TrimRight(x, " "), "^^^^^") || !strings.Contains(x, "tabel: x") {
			t.Errorf("%s\nshows %s", line, x)
		}
	}
	if text := `uri: https://host:8080/a, "s3://bucket/k@y:z"`; masked(text) != text {
		t.Errorf("%s\nis shown as %s", text, masked(text))
	}
}
