package suite

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"
)

// table is lines of cells under a head. Cells of the first left columns stand to the left.
type table struct {
	head  []string
	lines [][]string
	left  int
}

func (t *table) add(cells ...string) { t.lines = append(t.lines, cells) }

// markdown writes the table as Markdown that can be read as it stands.
func (t *table) markdown(w io.Writer) {
	widths := make([]int, len(t.head))
	for i, h := range t.head {
		widths[i] = max(3, utf8.RuneCountInString(h))
		for _, l := range t.lines {
			widths[i] = max(widths[i], utf8.RuneCountInString(l[i]))
		}
	}
	rule := make([]string, len(t.head))
	for i := range rule {
		rule[i] = strings.Repeat("-", widths[i]-1) + ":"
		if i < t.left {
			rule[i] = strings.Repeat("-", widths[i])
		}
	}
	for _, l := range append([][]string{t.head, rule}, t.lines...) {
		for i, c := range l {
			pad := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(c))
			if i < t.left {
				c += pad
			} else {
				c = pad + c
			}
			fmt.Fprintf(w, "| %s ", c)
		}
		fmt.Fprintln(w, "|")
	}
}

// ratio is DuckDB's median wall time over the worker's; 0 where either is missing.
func (r Result) ratio() float64 {
	ours, theirs := median(r.Worker.Wall), median(r.DuckDB.Wall)
	if r.Failed != "" || ours == 0 {
		return 0
	}
	return theirs / ours
}

const none = "–"

func mib(n int64) string {
	if n == 0 {
		return none
	}
	return fmt.Sprintf("%.0f", float64(n)/(1<<20))
}

func ratio(a, b float64) string {
	if a == 0 || b == 0 {
		return none
	}
	return fmt.Sprintf("%.2f", a/b)
}

// Table writes what was measured, a line a workload, and below it what the lines have no room for.
func (r Record) Table(w io.Writer) {
	t := table{left: 2, head: []string{"workload", "what", "DuckDB ÷ worker", "worker s", "DuckDB s", "worker CPU s", "DuckDB CPU s", "worker peak MiB", "DuckDB peak MiB",
		"MB/s", "million rows/s", "allocs", "MB alloc.", "size ÷ DuckDB's", "values"}}
	var notes, others []string
	older := map[string][]string{} // workloads by when and where they were run, if not when and where the record says
	for _, res := range r.Results {
		if res.Of != "" {
			if older[res.Of] == nil {
				others = append(others, res.Of)
			}
			older[res.Of] = append(older[res.Of], res.Workload)
		}
		if res.Failed != "" {
			t.add(append([]string{res.Workload, res.Title}, append(slices.Repeat([]string{none}, len(t.head)-3), "FAILED")...)...)
			notes = append(notes, fmt.Sprintf("%s failed: %s", res.Workload, res.Failed))
			continue
		}
		o, d := res.Worker, res.DuckDB
		wall := median(o.Wall)
		theirs, theirCPU := fmt.Sprintf("%.2f", median(d.Wall)), fmt.Sprintf("%.2f", median(d.CPU))
		if d.Failed != "" {
			theirs, theirCPU = d.Failed, none
		}
		objects, bytes := none, none
		if a := res.Allocs; a != nil {
			objects, bytes = fmt.Sprint(a.Objects), fmt.Sprintf("%.0f", float64(a.Bytes)/1e6)
		}
		t.add(res.Workload, res.Title, ratio(median(d.Wall), wall), fmt.Sprintf("%.2f", wall), theirs, fmt.Sprintf("%.2f", median(o.CPU)), theirCPU,
			mib(median(o.Peak)), mib(median(d.Peak)), fmt.Sprintf("%.0f", float64(res.Text)/wall/1e6), fmt.Sprintf("%.2f", float64(res.Rows)/wall/1e6),
			objects, bytes, ratio(float64(o.Out), float64(d.Out)), "equal")
		if o.Files > 1 || d.Files > 1 {
			notes = append(notes, fmt.Sprintf("%s: %s by the worker, %s by DuckDB", res.Workload, o.files(), d.files()))
		}
		if res.Values != "equal" {
			notes = append(notes, res.Workload+": "+res.Values)
		}
	}
	notes = append(notes, r.beside()...)
	for _, of := range others {
		notes = append(notes, fmt.Sprintf("%s: measured %s", strings.Join(older[of], ", "), of))
	}
	t.markdown(w)
	if len(notes) > 0 {
		fmt.Fprintln(w)
	}
	for _, n := range notes {
		fmt.Fprintf(w, "- %s\n", n)
	}
}

// files is how many a side wrote, and how large they are.
func (s Side) files() string {
	if s.Files == 0 {
		return "no file"
	}
	return fmt.Sprintf("%d files of %.0f KB on average", s.Files, float64(s.Out)/float64(s.Files)/1e3)
}

// beside sets the worker's times of workloads against those of others.
func (r Record) beside() (notes []string) {
	for _, res := range r.Results {
		for _, other := range r.Results {
			if res.Beside == other.Workload && res.Of == other.Of && res.Failed == "" && other.Failed == "" {
				notes = append(notes, fmt.Sprintf("%s: the worker takes %s times as long as for %s", res.Workload, ratio(median(res.Worker.Wall), median(other.Worker.Wall)), other.Workload))
			}
		}
	}
	return notes
}

// runs writes every run's wall time.
func (r Record) runs(w io.Writer) {
	t := table{left: 4, head: []string{"workload", "rows", "worker, run by run", "DuckDB, run by run"}}
	for _, res := range r.Results {
		if res.Failed == "" {
			t.add(res.Workload, fmt.Sprint(res.Rows), list(res.Worker.Wall), list(res.DuckDB.Wall))
		}
	}
	t.markdown(w)
}

func list(v []float64) string {
	if len(v) == 0 {
		return none
	}
	s := make([]string, len(v))
	for i, f := range v {
		s[i] = fmt.Sprintf("%.2f", f)
	}
	return strings.Join(s, " ")
}

// stageNames are the receipt's stages in the order of the flow.
var stageNames = []string{"read", "decompress", "cut", "decode", "steps", "drain", "encode", "upload", "commit"}

// stages writes where the worker's time went: seconds busy, over all lanes.
func (r Record) stages(w io.Writer) {
	t := table{left: 1, head: append(append([]string{"workload"}, stageNames...), "bound by")}
	for _, res := range r.Results {
		if res.Stages == nil || res.Failed != "" {
			continue
		}
		line := []string{res.Workload}
		for _, n := range stageNames {
			cell := none
			if s, ok := res.Stages.Times[n]; ok {
				cell = fmt.Sprintf("%.2f", s.Busy)
			}
			line = append(line, cell)
		}
		bound := res.Stages.BoundBy
		if bound == "" {
			bound = "nothing alone"
		}
		t.add(append(line, bound)...)
	}
	if len(t.lines) == 0 {
		fmt.Fprintln(w, "The receipts of this record have no stages.")
		return
	}
	t.markdown(w)
}

// losses writes where DuckDB was better: faster, on less processor time, in less memory, or with smaller files.
func (r Record) losses(w io.Writer) {
	n := 0
	for _, res := range r.Results {
		o, d := res.Worker, res.DuckDB
		if res.Failed != "" || d.Failed != "" {
			continue
		}
		var lost []string
		for _, c := range []struct {
			what         string
			ours, theirs float64
		}{
			{"wall time", median(o.Wall), median(d.Wall)}, {"CPU time", median(o.CPU), median(d.CPU)},
			{"peak memory", float64(median(o.Peak)), float64(median(d.Peak))}, {"size of the files", float64(o.Out), float64(d.Out)},
		} {
			if c.theirs > 0 && c.ours > c.theirs {
				lost = append(lost, fmt.Sprintf("%s %.2f times DuckDB's", c.what, c.ours/c.theirs))
			}
		}
		if len(lost) > 0 {
			fmt.Fprintf(w, "- %s (%s): %s\n", res.Workload, res.Title, strings.Join(lost, ", "))
			n++
		}
	}
	if n == 0 {
		fmt.Fprintln(w, "None in this record.")
	}
}
