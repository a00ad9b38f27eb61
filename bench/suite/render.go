package suite

import (
	_ "embed"
	"fmt"
	"os"
	"slices"
	"strings"
)

//go:embed results.md.tmpl
var resultsTemplate string

// block is a part of a document that is written from the records, by its name.
type block struct {
	name  string
	write func(*Records, *strings.Builder)
}

const notMeasured = "Not measured yet.\n"

// blocks are all there are. A document has <!-- bench NAME --> and <!-- end --> around each that it wants.
var blocks = []block{
	{"laptop", func(r *Records, b *strings.Builder) { whole(r.Laptop, b) }},
	{"large", func(r *Records, b *strings.Builder) { whole(r.Large, b) }},
	{"large-table", func(r *Records, b *strings.Builder) {
		of(r.Large, b, func(l *Record) { l.Table(b); fmt.Fprintf(b, "\n%s, %s\n", l.Date, l.Machine) })
	}},
	{"large-losses", func(r *Records, b *strings.Builder) { of(r.Large, b, func(l *Record) { l.losses(b) }) }},
	{"large-stages", func(r *Records, b *strings.Builder) { of(r.Large, b, func(l *Record) { l.stages(b) }) }},
	{"scaling", func(r *Records, b *strings.Builder) {
		if r.Scaling == nil {
			b.WriteString(notMeasured)
			return
		}
		r.Scaling.Markdown(b)
	}},
	{"s3", func(r *Records, b *strings.Builder) { ofRemote(r.S3, b) }},
	{"s3-apart", func(r *Records, b *strings.Builder) { ofRemote(r.S3Apart, b) }},
	{"peers", func(r *Records, b *strings.Builder) {
		if r.Peers == nil {
			b.WriteString(notMeasured)
			return
		}
		r.Peers.Markdown(b)
	}},
}

func ofRemote(r *Remote, b *strings.Builder) {
	if r == nil {
		b.WriteString(notMeasured)
		return
	}
	r.Markdown(b)
}

func of(r *Record, b *strings.Builder, write func(*Record)) {
	if r == nil {
		b.WriteString(notMeasured)
		return
	}
	write(r)
}

// whole is all that a record has.
func whole(r *Record, b *strings.Builder) {
	of(r, b, func(r *Record) {
		fmt.Fprintf(b, "```\n%s\n```\n\n%s: %d rows of trips, %d threads, medians.\n%s\n\n", r.Command, r.Date, r.Size.Trips, r.Threads, r.Machine)
		r.Table(b)
		b.WriteString("\nEvery run, in seconds:\n\n")
		r.runs(b)
		b.WriteString("\nWhere the worker's time went, in seconds busy over all lanes (its receipt):\n\n")
		r.stages(b)
	})
}

// Fill writes the blocks of a document anew.
func (r *Records) Fill(doc string) (string, error) {
	var out strings.Builder
	for {
		before, rest, ok := strings.Cut(doc, "<!-- bench ")
		out.WriteString(before)
		if !ok {
			return out.String(), nil
		}
		name, rest, ok := strings.Cut(rest, " -->\n")
		if !ok {
			return "", fmt.Errorf("a block's name has no end: %.40q", rest)
		}
		i := slices.IndexFunc(blocks, func(b block) bool { return b.name == name })
		if i < 0 {
			return "", fmt.Errorf("no block %q", name)
		}
		_, rest, ok = strings.Cut(rest, "<!-- end -->")
		if !ok {
			return "", fmt.Errorf("block %s has no end", name)
		}
		var text strings.Builder
		blocks[i].write(r, &text)
		fmt.Fprintf(&out, "<!-- bench %s -->\n\n%s\n<!-- end -->", name, text.String())
		doc = rest
	}
}

// Results is RESULTS.md.
func (r *Records) Results() (string, error) { return r.Fill(resultsTemplate) }

// Write writes RESULTS.md, and fills the blocks of the other documents in their places.
func (r *Records) Write(results string, docs ...string) error {
	text, err := r.Results()
	if err != nil {
		return err
	}
	if err := os.WriteFile(results, []byte(text), 0o644); err != nil {
		return err
	}
	for _, name := range docs {
		old, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		text, err := r.Fill(string(old))
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// Markdown writes what was measured.
func (s *Scaling) Markdown(b *strings.Builder) {
	fmt.Fprintf(b, "```\n%s\n```\n\n%s. %s\n\n", s.Command, s.Date, s.Machine)
	fmt.Fprintf(b, "Lanes, over %d rows, GOMAXPROCS left alone; the last column compares with the best that no more lanes than processors do:\n\n", s.LaneRows)
	t := table{left: 1, head: []string{"workload", "lanes", "seconds", "CPU s", "peak MiB", "seconds ÷ best"}}
	for _, l := range s.Lanes {
		best := 0.0
		for _, o := range s.Lanes {
			if m := median(o.Wall); o.Workload == l.Workload && o.Lanes <= s.Machine.CPUs && (best == 0 || m < best) {
				best = m
			}
		}
		t.add(l.Workload, fmt.Sprint(l.Lanes), fmt.Sprintf("%.2f", median(l.Wall)), fmt.Sprintf("%.2f", median(l.CPU)), mib(median(l.Peak)), ratio(median(l.Wall), best))
	}
	t.markdown(b)
	b.WriteString("\nRows:\n\n")
	t = table{left: 1, head: []string{"workload", "rows", "seconds", "ns a row", "CPU ns a row", "peak MiB"}}
	for _, r := range s.Rows {
		t.add(r.Workload, fmt.Sprint(r.Rows), fmt.Sprintf("%.2f", median(r.Wall)), fmt.Sprintf("%.0f", median(r.Wall)/float64(r.Rows)*1e9),
			fmt.Sprintf("%.0f", median(r.CPU)/float64(r.Rows)*1e9), mib(median(r.Peak)))
	}
	t.markdown(b)
	if s.Start != nil {
		first := fmt.Sprintf("%.1f ms", s.Start.FirstRead)
		if s.Start.FirstRead == 0 {
			first = "not seen"
		}
		fmt.Fprintf(b, "\nFrom exec, medians of %d runs: `worker version` %.1f ms to its end; first byte of the input read after %s; 1 KB of CSV to committed Parquet %.1f ms to its end.\n",
			s.Start.Runs, s.Start.Version, first, s.Start.Tiny)
	}
}

// Markdown writes the medians, a line a workload and engine.
func (p *Peers) Markdown(b *strings.Builder) {
	fmt.Fprintf(b, "Recorded %s. %s, %d CPUs, %.1f GiB; worker of commit %s\n\n", p.Date, p.Machine.CPU, p.Machine.CPUs, p.Machine.Memory, p.Machine.Release)
	t := table{left: 2, head: []string{"workload", "engine", "runs", "seconds", "CPU s", "peak MiB", "best peer ÷ worker"}}
	for _, w := range p.Workloads {
		peer, best := p.best(w)
		for _, e := range p.Engines {
			runs := p.Runs[w+" "+e]
			if len(runs) == 0 {
				continue
			}
			m, ok := p.medians(w, e)
			if !ok {
				t.add(w, e, fmt.Sprint(len(runs)), "failed", none, none, none)
				continue
			}
			won := ""
			if e == "worker" && peer != "" {
				won = fmt.Sprintf("%.2f (%s)", best/m.Wall, peer)
			}
			t.add(w, e, fmt.Sprint(len(runs)), fmt.Sprintf("%.2f", m.Wall), fmt.Sprintf("%.2f", m.CPU), fmt.Sprintf("%.0f", m.PeakMiB), won)
		}
	}
	t.markdown(b)
}
