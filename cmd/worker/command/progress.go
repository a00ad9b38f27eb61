package command

import (
	"fmt"
	"log/slog"
	"os"
	"strings"
	"time"

	"golang.org/x/term"

	"github.com/sluice-data/sluice/internal/job"
)

func isTerminal(f *os.File) bool { return term.IsTerminal(int(f.Fd())) }

// logEvery is how often a run off a terminal says how far it is.
const logEvery = 5 * time.Second

// progress shows how far a run is: one line that is drawn over on a terminal, a log line now and then elsewhere.
type progress struct {
	w      *world
	log    *slog.Logger
	line   bool // draw
	silent bool
	drawn  int
	logged time.Duration
}

func newProgress(w *world, log *slog.Logger, mode string) *progress {
	return &progress{w: w, log: log, line: mode == "on" || mode == "auto" && w.terminal, silent: mode == "off"}
}

func (p *progress) update(s job.Snapshot) {
	switch {
	case p.silent:
	case p.line:
		p.draw(line(s))
	case s.Elapsed-p.logged >= logEvery:
		p.logged = s.Elapsed
		p.log.Info("progress", "bytes_read", s.BytesRead, "bytes_total", s.BytesAll, "rows_read", s.RowsRead, "rows_per_s", int64(s.RowsSec),
			"mb_per_s", int64(s.BytesPerSec/1e6), "rejected", s.Rejected, "rows_encoded", s.RowsWritten, "memory_bytes", s.Memory, "eta_s", int64(s.ETA.Seconds()))
	}
}

// line is the progress line: 61% 0.72 of 1.18 GB · 2.61M rows/s · 310 MB/s · 0 rejected · 96 MB · 2s left.
func line(s job.Snapshot) string {
	pct := 100.0
	if s.BytesAll > 0 {
		pct = 100 * float64(s.BytesRead) / float64(s.BytesAll)
	}
	return fmt.Sprintf("%3.0f%%  %s of %s · %s rows/s · %s/s · %d rejected · %s memory · %s left", pct, size(float64(s.BytesRead)), size(float64(s.BytesAll)),
		count(s.RowsSec), size(s.BytesPerSec), s.Rejected, size(float64(s.Memory)), s.ETA.Round(time.Second))
}

func size(n float64) string {
	for _, u := range []string{"B", "kB", "MB", "GB"} {
		if n < 999.5 {
			return fmt.Sprintf("%.3g %s", n, u)
		}
		n /= 1000
	}
	return fmt.Sprintf("%.3g TB", n)
}

func count(n float64) string {
	for _, u := range []string{"", "k", "M"} {
		if n < 999.5 {
			return fmt.Sprintf("%.3g%s", n, u)
		}
		n /= 1000
	}
	return fmt.Sprintf("%.3gG", n)
}

func (p *progress) draw(s string) {
	if f, ok := p.w.stderr.(*os.File); ok {
		if width, _, err := term.GetSize(int(f.Fd())); err == nil && width > 1 {
			r := []rune(s)
			s = string(r[:min(len(r), width-1)]) // a line that wraps cannot be drawn over
		}
	}
	pad := max(0, p.drawn-len([]rune(s)))
	fmt.Fprintf(p.w.stderr, "\r%s%s", s, strings.Repeat(" ", pad))
	p.drawn = len([]rune(s))
}

// end clears the line.
func (p *progress) end() {
	if p.drawn > 0 {
		fmt.Fprintf(p.w.stderr, "\r%s\r", strings.Repeat(" ", p.drawn))
		p.drawn = 0
	}
}
