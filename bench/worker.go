package bench

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Receipt is what the worker's last line of output says.
type Receipt struct {
	Status string `json:"status"`
	RunID  string `json:"run_id"`
	Rows   struct {
		Read, Filtered, Folded, Written, Rejected int64
	} `json:"rows"`
	Bytes struct {
		Read, Written int64
	} `json:"bytes"`
	Lanes      int     `json:"lanes"`
	Seconds    float64 `json:"seconds"`
	PeakMemory int64   `json:"peak_memory_bytes"`
	Files      []struct {
		URI string `json:"uri"`
	} `json:"files"`
	// Stages is where the time went, as the receipt has it; nil where it says nothing of it.
	Stages json.RawMessage `json:"stages"`
	Error  *struct {
		Kind, Message string
	} `json:"error"` // of a failed run
}

// BuildWorker builds the worker of the checkout at root, as its image does, and writes it to out.
func BuildWorker(ctx context.Context, root, out string) error {
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags", "-s -w", "-o", out, "./cmd/worker")
	cmd.Dir = root
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if b, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build worker: %w\n%s", err, b)
	}
	return nil
}

// RunWorker runs the worker and returns its receipt. The error of a failed run has what the worker said.
func RunWorker(ctx context.Context, worker string, args ...string) (Receipt, error) {
	out, err := Command(ctx, worker, args...)
	if err != nil {
		return Receipt{}, err
	}
	return ParseReceipt(out)
}

// Command runs one of the worker's commands and returns its standard output. The error of a failed one has what it said.
func Command(ctx context.Context, worker string, args ...string) ([]byte, error) {
	var out, log bytes.Buffer
	cmd := exec.CommandContext(ctx, worker, args...)
	cmd.Stdout, cmd.Stderr = &out, &log
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("worker %s: %w\n%s%s", strings.Join(args, " "), err, out.String(), log.String())
	}
	return out.Bytes(), nil
}

// ParseReceipt reads the receipt from the worker's standard output.
func ParseReceipt(out []byte) (r Receipt, err error) {
	lines := bytes.Split(bytes.TrimSpace(out), []byte("\n"))
	if err := json.Unmarshal(lines[len(lines)-1], &r); err != nil {
		return r, fmt.Errorf("read receipt: %w", err)
	}
	return r, nil
}

// Rejected is a quarantined row.
type Rejected struct {
	Line                       int64
	Column, Reason, Value, Raw string
}

// ReadQuarantine reads the rows that a run has put into the quarantine folder dir.
func ReadQuarantine(dir, runID string) ([]Rejected, error) {
	files, err := filepath.Glob(filepath.Join(dir, runID, "part-*.jsonl.gz"))
	if err != nil {
		return nil, err
	}
	var all []Rejected
	for _, name := range files {
		some, err := readQuarantined(name)
		if err != nil {
			return nil, fmt.Errorf("read quarantine %s: %w", name, err)
		}
		all = append(all, some...)
	}
	return all, nil
}

func readQuarantined(name string) (rows []Rejected, err error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		return nil, err
	}
	for dec := json.NewDecoder(z); dec.More(); {
		var r Rejected
		if err := dec.Decode(&r); err != nil {
			return nil, err
		}
		rows = append(rows, r)
	}
	return rows, nil
}
