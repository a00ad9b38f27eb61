package job

import (
	"fmt"
	"html"
	"strings"
	"time"

	"github.com/sluice-data/sluice/internal/objstore"
)

// reportRef is report.html beside the manifest.
func reportRef(manifest objstore.Ref) objstore.Ref {
	manifest.Key = strings.TrimSuffix(manifest.Key, "manifest.json") + "report.html"
	return manifest
}

// report is the manifest for people: one page of HTML that needs nothing else. It is put together by hand because a
// template's reflection would keep every method of the S3 SDK in the binary.
func (m *Manifest) report() []byte {
	var b strings.Builder
	b.WriteString("<!doctype html>\n<html lang=en><meta charset=utf-8><title>" + html.EscapeString(m.Name+" "+m.RunID) + "</title>\n" +
		"<style>body{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#222}" +
		"table{border-collapse:collapse;margin:.5rem 0 1.5rem}td,th{padding:.2rem .8rem .2rem 0;text-align:left;vertical-align:top;border-bottom:1px solid #ddd}" +
		"td.n{text-align:right;font-variant-numeric:tabular-nums}code{word-break:break-all}</style>\n")
	fmt.Fprintf(&b, "<h1>%s</h1>\n<p>Run <code>%s</code>, committed %s by sluice %s on %d lanes in %.2f s, %s of memory at most.</p>\n",
		html.EscapeString(m.Name), m.RunID, m.CommittedAt.Format(time.RFC3339), html.EscapeString(m.Engine), m.Lanes, m.Seconds, grouped(m.PeakMemory)+" bytes")

	rows := [][]string{{"read", grouped(m.Rows.Read)}}
	if m.Rows.Added > 0 {
		rows = append(rows, []string{"added", grouped(m.Rows.Added)})
	}
	tabulate(&b, "Rows", []string{"", "rows"}, append(rows, [][]string{{"filtered", grouped(m.Rows.Filtered)}, {"rejected", grouped(m.Rows.Rejected)},
		{"deduplicated", grouped(m.Rows.Deduplicated)}, {"folded into groups", grouped(m.Rows.Folded)}, {"written", grouped(m.Rows.Written)}}...))
	var steps [][]string
	for _, s := range m.Ledger {
		var gone []string
		if s.Added > 0 {
			gone = append(gone, grouped(s.Added)+" added")
		}
		for _, c := range []string{"filtered", "rejected", "deduplicated", "folded"} {
			for cause, n := range s.Dropped {
				if string(cause) == c {
					gone = append(gone, grouped(n)+" "+c)
				}
			}
		}
		steps = append(steps, []string{s.Step, grouped(s.In), grouped(s.Out), strings.Join(gone, ", ")})
	}
	tabulate(&b, "Steps", []string{"step", "rows in", "rows out", "of which"}, steps)
	var checks [][]string
	for _, f := range m.Checks {
		said := "passed"
		if !f.Passed {
			said = f.Severity
		}
		checks = append(checks, []string{f.Check, said, broken(f)})
	}
	tabulate(&b, "Checks", []string{"check", "", "found"}, checks)
	var stages [][]string
	for _, st := range m.Stages.rows() {
		stages = append(stages, []string{st.name, fmt.Sprintf("%.2f", st.Busy), fmt.Sprintf("%.2f", st.Wait)})
	}
	tabulate(&b, "Time", []string{"stage", "seconds busy", "seconds waiting"}, stages)
	var in [][]string
	for _, f := range m.Input {
		in = append(in, []string{f.URI, grouped(f.Size), f.ETag, f.VersionID})
	}
	tabulate(&b, "Input", []string{"object", "bytes", "ETag", "version"}, in)
	var joined [][]string
	for _, l := range m.Lookups {
		joined = append(joined, []string{l.URI, grouped(l.Rows), l.ETag, l.VersionID})
	}
	tabulate(&b, "Tables joined with", []string{"object", "rows", "ETag", "version"}, joined)
	tabulate(&b, "Files", []string{"object", "bytes", "rows"}, fileRows(m.Files))
	tabulate(&b, "Quarantine", []string{"object", "bytes", "rows"}, fileRows(m.Quarantine))
	var cols [][]string
	for _, c := range m.Schema {
		cols = append(cols, []string{c.Name, c.Type})
	}
	tabulate(&b, "Columns", []string{"name", "type"}, cols)
	return []byte(b.String())
}

func fileRows(files []FileRef) [][]string {
	var out [][]string
	for _, f := range files {
		out = append(out, []string{f.URI, grouped(f.Size), grouped(f.Rows)})
	}
	return out
}

// tabulate writes a heading and a table; nothing if there are no rows. Numbers stand to the right. What cells say may be of anybody: it is data.
func tabulate(b *strings.Builder, title string, heads []string, rows [][]string) {
	if len(rows) == 0 {
		return
	}
	fmt.Fprintf(b, "<h2>%s</h2>\n<table><tr>", title)
	for _, h := range heads {
		fmt.Fprintf(b, "<th>%s", h)
	}
	for _, r := range rows {
		b.WriteString("\n<tr>")
		for i, c := range r {
			class := ""
			if i > 0 && c != "" && strings.Trim(c, "0123456789,.") == "" {
				class = " class=n"
			}
			fmt.Fprintf(b, "<td%s>%s", class, html.EscapeString(c))
		}
	}
	b.WriteString("\n</table>\n")
}

// grouped prints n with its thousands apart: 1,234,567.
func grouped(n int64) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
