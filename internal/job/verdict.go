package job

import (
	"fmt"
	"log/slog"
	"strings"

	"github.com/sluice-data/sluice/internal/fail"
	"github.com/sluice-data/sluice/transforms"
)

// verdict asks the steps what they found. What is broken and has the severity fail is the error, all of it at once; the rest is warned of.
func verdict(p *plan, log *slog.Logger) ([]transforms.Finding, error) {
	var all []transforms.Finding
	var failed []string
	var first *transforms.Finding
	for _, v := range p.verify {
		all = append(all, v()...)
	}
	for i, f := range all {
		switch {
		case f.Passed:
		case f.Severity == "fail":
			failed = append(failed, f.Check+": "+broken(f))
			if first == nil {
				first = &all[i]
			}
		default:
			log.Warn("assert "+f.Check+": "+broken(f), "severity", f.Severity)
		}
	}
	if first == nil {
		return all, nil
	}
	return all, fail.Newf(fail.Data, "assert failed, nothing is committed: %s", strings.Join(failed, "; ")).In(first.Input).At(first.Line, -1)
}

// broken is what was found of an expectation, in words.
func broken(f transforms.Finding) string {
	if f.Rows == 0 {
		return f.Detail
	}
	s := fmt.Sprintf("%d rows break it", f.Rows)
	if f.Rows == 1 {
		s = "1 row breaks it"
	}
	if f.Value != "" {
		s += fmt.Sprintf(", the first has %q", fail.Shorten(f.Value))
	}
	if f.Input != "" {
		s += fmt.Sprintf(" (%s:%d)", f.Input, f.Line)
	}
	return s
}
