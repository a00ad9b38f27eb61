package transforms

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/memory"

	"github.com/sluice-data/sluice/internal/expr"
	"github.com/sluice-data/sluice/internal/schema"
	"github.com/sluice-data/sluice/internal/spec"
	"github.com/sluice-data/sluice/pipeline"
)

var rewrite = flag.Bool("rewrite", false, "write what the scripts give into testdata")

// TestScripts runs the cases of testdata/*.txt: a table of rows, a step as in the pipeline file, and what it gives: the rows, the
// rejects with the number of the input row, how it explains itself and which columns it needs; or the error of a step that
// cannot be bound. A case starts at a line "== title"; text before the first one is a comment.
func TestScripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scripts: %v", err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		parts := strings.Split(string(text), "\n== ")
		out := parts[0]
		table := ""
		for _, p := range parts[1:] {
			title, body, _ := strings.Cut(p, "\n")
			var step string
			ran := false
			ok := t.Run(filepath.Base(file)+"/"+title, func(t *testing.T) {
				ran = true
				table, step = sections(table, body)
				got := "\n== " + title + "\n"
				if strings.HasPrefix(body, "|") {
					got += table
				}
				got += step + runCase(t, table, step)
				if want := strings.TrimRight("\n== "+p, "\n"); strings.TrimRight(got, "\n") != want && !*rewrite {
					t.Errorf("got:\n%s\n\nwant:\n%s", got, want)
				}
				out += strings.TrimRight(got, "\n") + "\n"
			})
			if !ran { // -run leaves it out: it stays as it is
				out += strings.TrimRight("\n== "+p, "\n") + "\n"
			}
			if !ok && *rewrite {
				t.Fatalf("%s is not rewritten: a case failed", file)
			}
		}
		if *rewrite {
			if err := os.WriteFile(file, []byte(out), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// sections are the table (that of the case before, if there is none) and the step of a case.
func sections(last, body string) (table, step string) {
	table = last
	lines := strings.SplitAfter(body, "\n")
	if strings.HasPrefix(body, "|") {
		table = ""
		for len(lines) > 0 && strings.HasPrefix(lines[0], "|") {
			table += lines[0]
			lines = lines[1:]
		}
	}
	for len(lines) > 0 && (strings.HasPrefix(lines[0], "-") || strings.HasPrefix(lines[0], " ")) {
		step += lines[0]
		lines = lines[1:]
	}
	return table, step
}

func runCase(t *testing.T, table, step string) string {
	mem := memory.NewCheckedAllocator(memory.DefaultAllocator)
	defer mem.AssertSize(t, 0)
	rec := parseTable(t, mem, table)
	defer rec.Release()
	b, err := bindStep(Env{Expr: testEnv, TempDir: t.TempDir()}, step, rec.Schema())
	if err != nil {
		return "error: " + err.Error() + "\n"
	}
	if l, ok := b.Step.(Loader); ok {
		if err := l.Load(t.Context()); err != nil {
			return "error: " + err.Error() + "\n"
		}
	}
	whole := apply(t, mem, b, rec, int(rec.NumRows()), 1)
	// The same rows one at a time, and dealt to lanes.
	for _, how := range [][2]int{{1, 1}, {2, 1}, {1, 2}, {1, 3}} {
		if again := apply(t, mem, b, rec, how[0], how[1]); b.Fold == nil && again != whole || sequenced(t, mem, b) && again != whole || sortLines(again) != sortLines(whole) {
			t.Errorf("in batches of %d rows on %d lanes it gives:\n%s\nat once:\n%s", how[0], how[1], again, whole)
		}
	}
	checkNeeds(t, mem, b, rec, step)
	var all []string
	need := b.Needs(nil)
	for n := range need {
		all = append(all, n)
	}
	slices.Sort(all)
	needs := strings.Join(all, " ")
	if need == nil {
		needs = "all"
	}
	explain := b.Explain
	for _, more := range b.Then {
		explain += "\n  then: " + more.Explain
	}
	return whole + "explain: " + explain + "\nneeds: " + needs + "\n"
}

// checkNeeds binds the step again to the columns that it says it needs, for all of its result and for each column of it alone: that
// gives the same column and the same rejects.
func checkNeeds(t *testing.T, mem memory.Allocator, b Bound, rec arrow.Record, step string) {
	t.Helper()
	out := b.Schema()
	wants := []map[string]bool{nil, {}}
	for _, f := range out.Fields() {
		wants = append(wants, map[string]bool{f.Name: true})
	}
	for _, want := range wants {
		pruned := pick(rec, b.Needs(want))
		defer pruned.Release()
		again, err := bindStep(Env{Expr: testEnv}, step, pruned.Schema())
		if err != nil {
			t.Errorf("for %v it needs %v, and cannot be bound to that: %v", want, b.Needs(want), err)
			continue
		}
		if l, ok := again.Step.(Loader); ok {
			if err := l.Load(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		n := int(rec.NumRows())
		if got, all := apply1(t, mem, again, pruned, n, 1, want), apply1(t, mem, b, rec, n, 1, want); got != all {
			t.Errorf("for %v it needs %v, and gives from that:\n%s\nfrom all:\n%s", want, b.Needs(want), got, all)
		}
	}
}

// sequenced reports whether b is a fold that knows the order of its input, and so gives its rows in the same order whatever the lanes.
func sequenced(t *testing.T, mem memory.Allocator, b Bound) bool {
	t.Helper()
	if b.Fold == nil || b.Fold.Name() == "aggregate" { // which gives groups, in no order
		return false
	}
	p, err := b.Fold.NewPartial(mem)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	_, ok := p.(pipeline.Sequenced)
	return ok
}

// pick is rec with the columns needed only; nil is all.
func pick(rec arrow.Record, need map[string]bool) arrow.Record {
	var fields []arrow.Field
	var cols []arrow.Array
	for i, f := range rec.Schema().Fields() {
		if need == nil || need[f.Name] {
			fields, cols = append(fields, f), append(cols, rec.Column(i))
		}
	}
	return array.NewRecord(arrow.NewSchema(fields, nil), cols, rec.NumRows())
}

var testEnv = expr.Env{Now: time.Date(2026, 11, 22, 1, 2, 3, 0, time.UTC)}

// bindStep binds a step as the pipeline file has it: a list item.
func bindStep(env Env, step string, in *arrow.Schema) (Bound, error) {
	root, err := spec.Parse("pipeline.yaml", []byte(step))
	if err != nil {
		return Bound{}, err
	}
	items, err := root.List()
	if err != nil {
		return Bound{}, err
	}
	entries, err := items[0].Map()
	if err != nil {
		return Bound{}, err
	}
	d, ok := Lookup(entries[0].Key)
	if !ok {
		return Bound{}, fmt.Errorf("no step %s", entries[0].Key)
	}
	if env.Relation == nil {
		env.Relation, env.Input = testRelation, testInput
	}
	return d.Bind(env, entries[0].Value, in)
}

// lineNumbers is the provenance of a table: row i is line i+1.
type lineNumbers struct{ from int }

func (l lineNumbers) Origin(i int) pipeline.Origin {
	return pipeline.Origin{Input: "table", Line: int64(l.from + i + 1), Offset: -1}
}

// apply runs the rows of rec through the step in batches and prints what comes out.
func apply(t *testing.T, mem memory.Allocator, b Bound, rec arrow.Record, batch, lanes int) string {
	t.Helper()
	return apply1(t, mem, b, rec, batch, lanes, nil)
}

// apply1 is apply that prints only some columns of the result; nil is all.
func apply1(t *testing.T, mem memory.Allocator, b Bound, rec arrow.Record, batch, lanes int, only map[string]bool) string {
	var rejects []pipeline.Reject
	var out strings.Builder
	var lines []string
	take := func(r arrow.Record) {
		r = pick(r, only)
		defer r.Release()
		for i := range int(r.NumRows()) {
			lines = append(lines, printRow(r, i))
		}
	}
	var failed error
	if b.Fold != nil {
		var late []pipeline.Reject
		rejects = applyFold(t, mem, b.Fold, rec, batch, lanes, func(r arrow.Record) {
			late = append(late, applyThen(t, mem, b.Then, r, batch, take)...)
		})
		rejects = append(rejects, late...)
	} else {
		rejects, failed = applyStep(t, mem, b.Step, rec, batch, take)
	}
	var header []string
	for _, f := range b.Schema().Fields() {
		if only == nil || only[f.Name] {
			header = append(header, f.Name+" "+typeName(f))
		}
	}
	fmt.Fprintf(&out, "gives:\n| %s |\n", strings.Join(header, " | "))
	for _, l := range lines {
		out.WriteString(l + "\n")
	}
	if len(rejects) > 0 {
		out.WriteString("rejects:\n")
	}
	sort.SliceStable(rejects, func(i, j int) bool { return rejects[i].Line < rejects[j].Line })
	for _, r := range rejects {
		fmt.Fprintf(&out, "row %d", r.Line)
		if r.Column != "" {
			fmt.Fprintf(&out, " column %s", r.Column)
		}
		fmt.Fprintf(&out, ": %s", r.Reason)
		if r.Value != "" {
			fmt.Fprintf(&out, " (%s)", r.Value)
		}
		out.WriteString("\n")
	}
	if failed != nil {
		return "fails: " + failed.Error() + "\n"
	}
	return out.String()
}

// applyThen takes a record through the steps behind a fold, one after the other.
func applyThen(t *testing.T, mem memory.Allocator, then []Bound, rec arrow.Record, batch int, take func(arrow.Record)) []pipeline.Reject {
	if len(then) == 0 {
		take(rec)
		return nil
	}
	var later []pipeline.Reject
	rejects, err := applyStep(t, mem, then[0].Step, rec, max(batch, 1), func(r arrow.Record) {
		later = append(later, applyThen(t, mem, then[1:], r, batch, take)...)
	})
	if err != nil {
		t.Fatal(err)
	}
	return append(rejects, later...)
}

// applyStep gives the rejects, and the error that the first batch of which a row fails the run ends with.
func applyStep(t *testing.T, mem memory.Allocator, step pipeline.Step, rec arrow.Record, batch int, take func(arrow.Record)) ([]pipeline.Reject, error) {
	var rej pipeline.Rejects
	st, err := step.NewStage(mem)
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	for lo := 0; lo == 0 || lo < int(rec.NumRows()); lo += max(batch, 1) {
		piece := rec.NewSlice(int64(lo), min(int64(lo+batch), rec.NumRows()))
		before, out, added := rej.Len(), int64(0), int64(0)
		given := func(got pipeline.Batch) error {
			if !got.Rec.Schema().Equal(step.Schema()) {
				t.Fatalf("a batch of %s, the step says %s", got.Rec.Schema(), step.Schema())
			}
			if got.Sel != nil && len(got.Sel) != int(got.Rec.NumRows()) {
				t.Fatalf("%d rows with %d places", got.Rec.NumRows(), len(got.Sel))
			}
			out += got.Rec.NumRows()
			take(got.Rec)
			return nil
		}
		b := pipeline.Batch{Rec: piece, Rows: lineNumbers{lo}}
		if e, ok := st.(pipeline.Expander); ok {
			added, err = e.Expand(context.Background(), b, &rej, given)
		} else {
			var got pipeline.Batch
			if got, err = st.Apply(context.Background(), b, &rej); err == nil {
				_ = given(got)
				got.Release()
			}
		}
		if err != nil {
			piece.Release()
			return nil, err
		}
		_, drops := step.(pipeline.Dropper)
		if n, in := out+int64(rej.Len()-before), piece.NumRows()+added; n > in || !drops && n != in {
			t.Fatalf("of %d rows and %d added %d came out or were rejected", piece.NumRows(), added, n)
		}
		piece.Release()
	}
	return rej.Rows(), nil
}

func applyFold(t *testing.T, mem memory.Allocator, f pipeline.Fold, rec arrow.Record, batch, lanes int, take func(arrow.Record)) []pipeline.Reject {
	var rej pipeline.Rejects
	parts := make([]pipeline.Partial, lanes)
	for i := range parts {
		var err error
		if parts[i], err = f.NewPartial(mem); err != nil {
			t.Fatal(err)
		}
	}
	for lo := 0; lo < int(rec.NumRows()); lo += max(batch, 1) {
		piece := rec.NewSlice(int64(lo), min(int64(lo+batch), rec.NumRows()))
		part := parts[lo/max(batch, 1)%lanes]
		if s, ok := part.(pipeline.Sequenced); ok {
			s.Begin(int64(lo / max(batch, 1)))
		}
		if err := part.Add(context.Background(), pipeline.Batch{Rec: piece, Rows: lineNumbers{lo}}, &rej); err != nil {
			t.Fatal(err)
		}
		piece.Release()
	}
	var folded int64
	for _, p := range parts {
		folded += p.Rows()
	}
	if folded+int64(rej.Len()) != rec.NumRows() {
		t.Fatalf("of %d rows %d were folded and %d rejected", rec.NumRows(), folded, rej.Len())
	}
	d, err := f.Drain(context.Background(), mem, parts)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	for {
		r, err := d.Next(context.Background())
		if errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		take(r)
		r.Release()
	}
	if d.Rows() != folded {
		t.Fatalf("%d rows were folded, the groups count %d", folded, d.Rows())
	}
	return rej.Rows()
}

func typeName(f arrow.Field) string {
	name := schema.TypeName(f)
	if !f.Nullable {
		name += " not null"
	}
	return name
}

// parseTable reads | name type | … | and rows. null is null, "…" is text with Go's escapes.
func parseTable(t *testing.T, mem memory.Allocator, table string) arrow.Record {
	lines := strings.Split(strings.TrimSpace(table), "\n")
	var fields []arrow.Field
	for _, c := range cells(lines[0]) {
		name, typ, _ := strings.Cut(c, " ")
		f, err := schema.ParseField(name, typ)
		if err != nil {
			t.Fatal(err)
		}
		fields = append(fields, f)
	}
	b := array.NewRecordBuilder(mem, arrow.NewSchema(fields, nil))
	defer b.Release()
	for _, l := range lines[1:] {
		for i, c := range cells(l) {
			if c == "null" {
				b.Field(i).AppendNull()
				continue
			}
			if strings.HasPrefix(c, `"`) {
				s, err := strconv.Unquote(c)
				if err != nil {
					t.Fatalf("%s: %v", c, err)
				}
				c = s
			}
			if err := b.Field(i).AppendValueFromString(c); err != nil {
				t.Fatalf("%s: %v", c, err)
			}
		}
	}
	return b.NewRecord()
}

func cells(line string) []string {
	parts := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), " | ")
	for i := range parts {
		parts[i] = strings.TrimSpace(parts[i])
	}
	return parts
}

func printRow(r arrow.Record, i int) string {
	var out []string
	for _, c := range r.Columns() {
		s := cell(c, i)
		switch {
		case c.IsNull(i):
			s = "null"
		case s == "null" || s == "" || strings.ContainsAny(s, "|\"\n") && c.DataType().ID() == arrow.STRING || strings.TrimSpace(s) != s:
			s = strconv.Quote(s)
		}
		out = append(out, s)
	}
	return "| " + strings.Join(out, " | ") + " |"
}

func sortLines(s string) string {
	lines := strings.Split(s, "\n")
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

// The example of every step in the reference works on a table of trips.
func TestExamples(t *testing.T) {
	const trips = `| trip_id int64 | zone string | fare float64 | tip float64 | distance float64 | pickup string | tags list<string> |
| 1 | Soho | 12.5 | 2 | 3.1 | 22/11/2026 08:15 | ["late", "card"] |
| 2 | Soho | 7 | null | 1 | 22/11/2026 08:16 | [] |
| 3 | null | 0 | 1 | 0 | 22/11/2026 08:17 | null |
`
	for _, name := range Names() {
		d, _ := Lookup(name)
		if d.Doc == "" || !strings.HasPrefix(d.Example, "- "+name+": ") {
			t.Errorf("step %s: doc %q, example %q", name, d.Doc, d.Example)
		}
		if got := runCase(t, trips, d.Example+"\n"); !strings.HasPrefix(got, "gives:") || strings.Contains(got, "rejects:") {
			t.Errorf("%s\n%s", d.Example, got)
		}
	}
}
