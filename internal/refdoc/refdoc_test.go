// Package refdoc writes docs/reference.md from what the parts say of themselves when they register, and holds
// docs/pipeline.md to the names that the code knows.
package refdoc

import (
	"flag"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/sluice-data/sluice/internal/compress"
	"github.com/sluice-data/sluice/internal/expr"
	"github.com/sluice-data/sluice/internal/fail"
	"github.com/sluice-data/sluice/internal/schema"
	"github.com/sluice-data/sluice/internal/spec"
	"github.com/sluice-data/sluice/sinks"
	_ "github.com/sluice-data/sluice/sinks/csv"
	_ "github.com/sluice-data/sluice/sinks/events"
	_ "github.com/sluice-data/sluice/sinks/glue"
	_ "github.com/sluice-data/sluice/sinks/jsonl"
	_ "github.com/sluice-data/sluice/sinks/parquet"
	_ "github.com/sluice-data/sluice/sinks/postgres"
	_ "github.com/sluice-data/sluice/sinks/quicksight"
	_ "github.com/sluice-data/sluice/sinks/redshift"
	_ "github.com/sluice-data/sluice/sinks/stepfunctions"
	"github.com/sluice-data/sluice/sources"
	_ "github.com/sluice-data/sluice/sources/csv"
	_ "github.com/sluice-data/sluice/sources/jsonl"
	_ "github.com/sluice-data/sluice/sources/parquet"
	"github.com/sluice-data/sluice/transforms"
	"github.com/sluice-data/sluice/transforms/agg"
)

const (
	reference = "../../docs/reference.md"
	states    = "../../docs/states.md"
	guide     = "../../docs/pipeline.md"
)

var update = flag.Bool("update", false, "rewrite docs/reference.md and docs/states.md")

// TestReference compares docs/reference.md and docs/states.md with the registries.
func TestReference(t *testing.T) {
	for file, want := range map[string]string{reference: write(), states: writeStates()} {
		if *update {
			if err := os.WriteFile(file, []byte(want), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if got := read(t, file); got != want {
			t.Errorf("%s is stale at %q: run go test ./internal/refdoc -update", file, firstDifference(got, want))
		}
	}
}

// writeStates is the partial state of every aggregate function.
func writeStates() string {
	var w strings.Builder
	w.WriteString(`# Partial states

Written from the code by ` + "`go test ./internal/refdoc -update`" + `. What an aggregate knows of some of the rows is an Arrow record: a row for each group, with the columns of its key, then
an int64, the number of its rows, then the columns below for each function, in the order of the step. It is what lanes merge and what goes to disk, and what the shards of an array
job are to ship. States of the same group merge, in any order, to the state of all its rows: the result is the same, but for the last digits where a function says so.

A **place** is where a row stands in an order. Without ORDER BY it is an int64: the number of the row's chunk in the input, shifted left by 32, plus the number of the row in it. With
ORDER BY it is binary that compares by its bytes as the keys do: the bits of all keys one behind the other, if they are 128 at most in 8 or 16 bytes, and longer ones as bytes; for each
key first whether it is null and where nulls go; numbers with the sign flipped, floats ordered with NaN last and -0 as 0, text with zero bytes marked and an end; all bits of
a descending key's value inverted; and behind them the number of the row as above, big-endian with the sign flipped.

DISTINCT keeps a list of the different values, whatever the function, and computes it at the end; count(DISTINCT x) likewise. Rows that FILTER leaves out are in no state.
Sessions of a window keep all rows: a list of structs, v0 the time and then every argument column.

| function | columns |
|---|---|
`)
	for _, name := range agg.Names() {
		f, _ := agg.Lookup(name)
		row(&w, code(name), f.State)
	}
	return w.String()
}

func read(t *testing.T, file string) string {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// firstDifference is the first line of got that is not want's.
func firstDifference(got, want string) string {
	g, w := strings.Split(got, "\n"), strings.Split(want, "\n")
	for i := range g {
		if i >= len(w) || g[i] != w[i] {
			return g[i]
		}
	}
	return "its end"
}

// write is the whole reference.
func write() string {
	var w strings.Builder
	w.WriteString("# Reference\n\nWritten from the code by `go test ./internal/refdoc -update`; every example runs as a test. " +
		"How the parts go together is in [pipeline.md](pipeline.md).\n")
	w.WriteString("\n## Formats\n")
	for _, f := range sources.All() {
		section(&w, f.Name, f.Doc, "Names: "+code(f.Extensions...), f.Example)
	}
	w.WriteString("\n## Steps\n")
	for _, name := range transforms.Names() {
		d, _ := transforms.Lookup(name)
		section(&w, d.Name, d.Doc, "", d.Example)
	}
	w.WriteString("\n## Aggregate functions\n\n| example | what it gives |\n|---|---|\n")
	for _, name := range agg.Names() {
		f, _ := agg.Lookup(name)
		doc := f.Doc
		if len(f.Aliases) > 0 {
			doc += " Also " + code(f.Aliases...) + "."
		}
		row(&w, code(f.Example), doc)
	}
	w.WriteString("\n## SQL operators\n\nBy precedence, those that bind weakest first.\n\n| operator | what it gives | example | result |\n|---|---|---|---|\n")
	for _, o := range expr.Operators() {
		row(&w, code(o.Form), o.Doc, code(o.Example), code(o.Result))
	}
	w.WriteString("\n## SQL functions\n\n| function | what it gives | example | result |\n|---|---|---|---|\n")
	for _, f := range expr.Functions() {
		doc := f.Doc
		if len(f.Aliases) > 0 {
			doc += " Also " + code(f.Aliases...) + "."
		}
		row(&w, code(f.Signature), doc, code(f.Example), code(f.Result))
	}
	w.WriteString("\n## Destinations\n")
	for _, name := range sinks.Names() {
		d, _ := sinks.Lookup(name)
		section(&w, d.Name, d.Doc, "", d.Example)
	}
	w.WriteString("\n## Targets\n\nWhat gets the files once they are committed, in the order of their turns.\n")
	for _, t := range sinks.Targets() {
		section(&w, t.Name, t.Doc, "", t.Example)
	}
	return w.String()
}

// section is a part with a heading; note may be empty.
func section(w *strings.Builder, name, doc, note, example string) {
	fmt.Fprintf(w, "\n### %s\n\n%s\n", name, unwrap(doc))
	if note != "" {
		fmt.Fprintf(w, "\n%s\n", note)
	}
	fmt.Fprintf(w, "\n```yaml\n%s\n```\n", strings.TrimSpace(example))
}

var lineBreak = regexp.MustCompile(`([^\n])\n([^\n])`)

// unwrap takes single line breaks out and keeps paragraphs.
func unwrap(doc string) string { return lineBreak.ReplaceAllString(strings.TrimSpace(doc), "$1 $2") }

func row(w *strings.Builder, cells ...string) {
	for _, c := range cells {
		w.WriteString("| " + strings.ReplaceAll(unwrap(c), "|", `\|`) + " ")
	}
	w.WriteString("|\n")
}

func code(texts ...string) string { return "`" + strings.Join(texts, "`, `") + "`" }

// TestGuide looks for every name that a pipeline file may hold, and for every exit code, in docs/pipeline.md.
func TestGuide(t *testing.T) {
	text := read(t, guide)
	words := map[string][]string{
		"compression": spec.Compressions, "schema mode": spec.Modes, "encoding": spec.Encodings, "Parquet codec": spec.ParquetCodecs,
		"format": spec.Formats, "type": schema.Names, "event variable": spec.EventVars, "step": transforms.Names(), "decompressor": compress.Names(),
	}
	for what, names := range words {
		for _, n := range names {
			if !strings.Contains(text, "`"+n+"`") {
				t.Errorf("docs/pipeline.md does not name %s `%s`", what, n)
			}
		}
	}
	for k := fail.Internal; k <= fail.Permission; k++ {
		if want := fmt.Sprintf("| %d | `%s` |", k.ExitCode(), k); !strings.Contains(text, want) {
			t.Errorf("docs/pipeline.md does not have the row %q", want)
		}
	}
}

var (
	heading = regexp.MustCompile(`(?m)^#+ (.+)$`)
	link    = regexp.MustCompile(`\]\(([^)#]*)(#[^)]*)?\)`)
	noSlug  = regexp.MustCompile(`[^\pL\pN_ -]`)
)

// TestLinks checks that what docs/pipeline.md links to is there: files, and headings as GitHub names them.
func TestLinks(t *testing.T) {
	for _, m := range link.FindAllStringSubmatch(read(t, guide), -1) {
		file, anchor := "pipeline.md", m[2]
		if strings.Contains(m[1], "://") {
			continue
		} else if m[1] != "" {
			file = m[1]
		}
		found := anchor == ""
		for _, h := range heading.FindAllStringSubmatch(read(t, "../../docs/"+file), -1) {
			slug := strings.ReplaceAll(noSlug.ReplaceAllString(strings.ToLower(h[1]), ""), " ", "-")
			found = found || "#"+slug == anchor
		}
		if !found {
			t.Errorf("docs/pipeline.md links to %s%s: there is no such heading", file, anchor)
		}
	}
}
