// Package workload says what the benchmark runs: each workload as a pipeline file for the worker, and as SQL for DuckDB.
package workload

import (
	"fmt"
	"strings"

	"github.com/sluice-data/sluice/bench"
)

// Workload is one job for both engines.
type Workload struct {
	Name, Title string
	Set         string      // the input, a set of package data
	Format      string      // of the input: csv, jsonl or parquet; set by All
	Columns     [][2]string // the schema that both are given; nil is none: inferred, or the file's own
	File        string      // a pipeline file of the checkout, instead of Columns and Steps
	Steps       string      // of the pipeline file, as YAML with two spaces before each
	SQL         string      // the same over {in}
	Ref         string      // a set to join with, {ref} in Steps and SQL
	RefPath     string      // where it is; set by who runs the workload
	Again       int         // how often the rows of the set are read beside the first time, as Ref
	Partition   string      // column of the Hive partitions to write
	Memory      string      // limit given to both, such as 256MiB
	Beside      string      // a workload before it, whose time this one's is set against

	// How the two results are compared. Without Keys they are bags of rows, equal to the bit. With Keys they are joined on them, and floats may
	// differ by Tolerance.
	Keys []string
	// Approx are columns of approximations; they are held to Exact, the SQL over {in} of what they approximate, within Bound of it.
	Approx []string
	Exact  string
	// Want is SQL over {in} that has the right values where DuckDB's own output may not be taken for it, with WantColumns as its schema.
	Want        string
	WantColumns [][2]string
	WantWhy     string
}

// Bound is how far an approximation may be from the exact number: five standard errors of 1.6 %.
const Bound = 0.08

// Pipeline is the workload's pipeline file, which writes to out.
func (w Workload) Pipeline(out string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "version: 1\nname: %s\n", strings.ToLower(strings.ReplaceAll(w.Name, "-", "_")))
	if w.Columns != nil {
		b.WriteString("schema:\n  columns:\n")
		for _, c := range w.Columns {
			typ := bench.Quote(c[1])
			if c[1] == "timestamp" {
				typ = `{type: timestamp, format: "%Y-%m-%d %H:%M:%S"}`
			}
			fmt.Fprintf(&b, "    %s: %s\n", bench.Quote(c[0]), typ)
		}
	}
	if w.Steps != "" {
		b.WriteString("steps:\n" + strings.ReplaceAll(strings.TrimPrefix(w.Steps, "\n"), "{ref}", w.RefPath) + "\n")
	}
	fmt.Fprintf(&b, "sink:\n  uri: %s\n", bench.Quote(out))
	if w.Partition != "" {
		fmt.Fprintf(&b, "  partition_by: [%s]\n", w.Partition)
	}
	b.WriteString("  parquet: {compression: zstd, level: 3}\n")
	return b.String()
}

// Query is the workload's SQL over the input at path, a file or a glob.
func (w Workload) Query(path string) string {
	return strings.ReplaceAll(over(w.SQL, w.from(path, w.Columns)), "{ref}", bench.Quote(w.RefPath))
}

// WantQuery is SQL of the right values where those of DuckDB's output are not, or "".
func (w Workload) WantQuery(path string) string {
	return over(w.Want, w.from(path, w.WantColumns))
}

// ExactQuery is SQL of what Approx approximates, or "".
func (w Workload) ExactQuery(path string) string { return over(w.Exact, w.from(path, w.Columns)) }

func over(sql, from string) string { return strings.ReplaceAll(sql, "{in}", from) }

// Copy is DuckDB's statement that does the workload, to the file out, or the folder out where it has partitions.
func (w Workload) Copy(path, out string) string {
	options := "FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL 3"
	if w.Partition != "" {
		options += ", PARTITION_BY (" + w.Partition + ")"
	}
	return "COPY (" + w.Query(path) + ") TO " + bench.Quote(out) + " (" + options + ")"
}

// from is DuckDB's table function over the input, with the columns if there are any.
func (w Workload) from(path string, columns [][2]string) string {
	switch {
	case w.Format == "parquet":
		return "read_parquet(" + bench.Quote(path) + ")"
	case w.Format == "jsonl":
		types := make([]string, len(columns))
		for i, c := range columns {
			types[i] = bench.Quote(c[0]) + ": " + bench.Quote(bench.DuckType(c[1]))
		}
		return fmt.Sprintf("read_json(%s, format = 'newline_delimited', columns = {%s})", bench.Quote(path), strings.Join(types, ", "))
	case columns == nil:
		return "read_csv(" + bench.Quote(path) + ")"
	}
	return bench.ReadCSV(path, columns, "")
}

// Output is SQL that reads what one of the two has written to out.
func (w Workload) Output(glob string) string {
	if w.Partition != "" {
		return "read_parquet(" + bench.Quote(glob) + ", hive_partitioning = true)"
	}
	return "read_parquet(" + bench.Quote(glob) + ")"
}
