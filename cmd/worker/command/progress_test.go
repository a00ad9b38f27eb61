package command

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/sluice-data/sluice/internal/job"
)

func halfway(elapsed time.Duration) job.Snapshot {
	return job.Snapshot{Elapsed: elapsed, BytesRead: 720e6, BytesAll: 1180e6, RowsRead: 6_000_000, Rejected: 3, BytesPerSec: 310e6, RowsSec: 2.61e6,
		Memory: 96e6, ETA: 1900 * time.Millisecond}
}

// Off a terminal a run says every few seconds how far it is, in the log.
func TestProgressIsLogged(t *testing.T) {
	var log bytes.Buffer
	p := newProgress(&world{stderr: &log}, slog.New(slog.NewJSONHandler(&log, nil)), "auto")
	for at := time.Duration(0); at <= 12*time.Second; at += 250 * time.Millisecond {
		p.update(halfway(at))
	}
	p.end()
	lines := strings.Split(strings.TrimSpace(log.String()), "\n")
	if len(lines) != 2 {
		t.Fatalf("12 seconds gave %d lines, want one every %v:\n%s", len(lines), logEvery, &log)
	}
	var e struct {
		Msg       string
		BytesRead int64 `json:"bytes_read"`
		Total     int64 `json:"bytes_total"`
		Rejected  int64
		Memory    int64 `json:"memory_bytes"`
	}
	if err := json.Unmarshal([]byte(lines[0]), &e); err != nil || e.Msg != "progress" || e.BytesRead != 720e6 || e.Total != 1180e6 || e.Rejected != 3 || e.Memory != 96e6 {
		t.Errorf("%v %+v", err, e)
	}
}

// On a terminal it is one line that is drawn over, and gone at the end.
func TestProgressIsDrawn(t *testing.T) {
	var screen bytes.Buffer
	p := newProgress(&world{stderr: &screen, terminal: true}, slog.New(slog.DiscardHandler), "auto")
	p.update(halfway(time.Second))
	for _, want := range []string{"61%", "720 MB of 1.18 GB", "2.61M rows/s", "310 MB/s", "3 rejected", "96 MB", "2s left"} {
		if !strings.Contains(screen.String(), want) {
			t.Errorf("%q does not say %q", screen.String(), want)
		}
	}
	p.end()
	if strings.Contains(screen.String(), "\n") || !strings.HasSuffix(screen.String(), "\r") {
		t.Errorf("the line is not cleared: %q", screen.String())
	}
}

// --progress off says nothing anywhere.
func TestProgressOff(t *testing.T) {
	var out bytes.Buffer
	p := newProgress(&world{stderr: &out, terminal: true}, slog.New(slog.NewJSONHandler(&out, nil)), "off")
	p.update(halfway(time.Minute))
	p.end()
	if out.Len() != 0 {
		t.Errorf("said %q", &out)
	}
}
