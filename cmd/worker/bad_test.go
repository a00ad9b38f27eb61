package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sluice-data/sluice/internal/badcorpus"
	"github.com/sluice-data/sluice/internal/job"
)

const (
	badMemory  = 256 << 20
	badTime    = 20 * time.Second
	badAtOnce  = 3 // runs at a time: each may use badMemory
	badDirPath = "../../testdata/bad"
)

// badCase is a line of testdata/bad/cases.txt.
type badCase struct {
	input, pipeline string
	exit            int
	words           []string
}

func badCases(t *testing.T) (out []badCase) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(badDirPath, "cases.txt"))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		f := strings.Split(strings.TrimSpace(line), " | ")
		if len(f) != 4 {
			t.Fatalf("cases.txt: %q has %d fields, want 4", line, len(f))
		}
		code, err := strconv.Atoi(f[2])
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, badCase{f[0], f[1], code, strings.Split(f[3], "; ")})
	}
	if len(out) < 60 {
		t.Fatalf("cases.txt has only %d cases", len(out))
	}
	return out
}

// Every bad input ends in one line that says what is wrong and where, the documented exit code, no commit, no panic, the
// memory limit kept, in seconds.
func TestBadInputs(t *testing.T) {
	made := t.TempDir()
	if err := badcorpus.WriteLarge(made); err != nil {
		t.Fatal(err)
	}
	slots := make(chan struct{}, badAtOnce)
	for _, c := range badCases(t) {
		name := c.input
		if c.exit == 2 {
			name = c.pipeline
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			input := filepath.Join(badDirPath, c.input)
			if _, err := os.Stat(input); err != nil {
				input = filepath.Join(made, c.input)
			}
			slots <- struct{}{}
			defer func() { <-slots }()
			c.run(t, input)
		})
	}
}

func (c badCase) run(t *testing.T, input string) {
	dir := t.TempDir()
	ctx, cancel := context.WithTimeout(t.Context(), badTime)
	defer cancel()
	cmd := exec.CommandContext(ctx, "worker", "run", "-p", filepath.Join(badDirPath, c.pipeline), "--input", input,
		"--output", filepath.Join(dir, "out")+"/", "--memory-limit", "256MiB", "--tmp-dir", dir, "--log-format", "json")
	var out, log bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &log
	started := time.Now()
	if err := cmd.Run(); cmd.ProcessState == nil {
		t.Fatal(err)
	}
	if ctx.Err() != nil {
		t.Fatalf("still running after %v\n%s", time.Since(started), &log)
	}
	if code := cmd.ProcessState.ExitCode(); code != c.exit {
		t.Errorf("exit code %d, want %d", code, c.exit)
	}
	if n := strings.Count(out.String(), "\n"); n != 1 {
		t.Errorf("stdout has %d lines, want the receipt alone:\n%s", n, &out)
	}
	rec := parseReceipt(t, out.Bytes(), log.String())
	if rec.Status != job.Failed || rec.Error == nil {
		t.Fatalf("receipt: %s", &out)
	}
	if want := map[int]string{2: "usage", 65: "data", 66: "input"}[c.exit]; rec.Error.Kind != want {
		t.Errorf("kind %q, want %q", rec.Error.Kind, want)
	}
	if rec.PeakMemory <= 0 || rec.PeakMemory > badMemory && !raceDetector {
		t.Errorf("peak memory is %d MiB, the limit %d", rec.PeakMemory>>20, badMemory>>20)
	}
	if len(rec.Files) != 0 || rec.Manifest != "" {
		t.Errorf("a failed run names files %v, manifest %q", rec.Files, rec.Manifest)
	}
	said := errorLine(t, log.String())
	for _, text := range []string{rec.Error.Message, said} {
		for _, w := range c.words {
			if !strings.Contains(strings.ToLower(text), strings.ToLower(w)) {
				t.Errorf("%q does not say %q", text, w)
			}
		}
		if strings.Contains(text, "\n") || len(text) > 600 {
			t.Errorf("the message is not one line a person can read: %.700q", text)
		}
	}
	if all := out.String() + log.String(); strings.Contains(all, "panic") || strings.Contains(all, "goroutine ") {
		t.Errorf("a panic shows:\n%s", all)
	}
	if left := filesBelow(t, dir); len(left) != 0 {
		t.Errorf("a failed run left %v", left)
	}
}

// TestBadInputsQuarantined runs the same inputs with a quarantine: what is wrong with a row is put aside and accounted for,
// what is wrong with a file still fails the run.
func TestBadInputsQuarantined(t *testing.T) {
	made := t.TempDir()
	if err := badcorpus.WriteLarge(made); err != nil {
		t.Fatal(err)
	}
	slots := make(chan struct{}, badAtOnce)
	var committed atomic.Int32
	t.Run("cases", func(t *testing.T) {
		for _, c := range badCases(t) {
			if c.exit == 2 {
				continue
			}
			t.Run(c.input, func(t *testing.T) {
				t.Parallel()
				input := filepath.Join(badDirPath, c.input)
				if _, err := os.Stat(input); err != nil {
					input = filepath.Join(made, c.input)
				}
				slots <- struct{}{}
				defer func() { <-slots }()
				if c.quarantined(t, input) {
					committed.Add(1)
				}
			})
		}
	})
	if n := committed.Load(); n < 40 {
		t.Errorf("only %d inputs had their bad rows put aside", n)
	}
}

// quarantined runs the case with a quarantine, and says whether the run committed.
func (c badCase) quarantined(t *testing.T, input string) bool {
	dir := t.TempDir()
	text, err := os.ReadFile(filepath.Join(badDirPath, c.pipeline))
	if err != nil {
		t.Fatal(err)
	}
	pipeline := filepath.Join(dir, "p.yaml")
	if err := os.WriteFile(pipeline, append(text, "\nerrors: {quarantine: "+filepath.Join(dir, "bad")+"/}\n"...), 0o644); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), badTime)
	defer cancel()
	cmd := exec.CommandContext(ctx, "worker", "run", "-p", pipeline, "--input", input, "--output", filepath.Join(dir, "out")+"/",
		"--memory-limit", "256MiB", "--tmp-dir", dir, "--log-format", "json")
	code, rec := finish(t, cmd)
	if ctx.Err() != nil {
		t.Fatalf("still running after %v", badTime)
	}
	if rec.PeakMemory <= 0 || rec.PeakMemory > badMemory && !raceDetector {
		t.Errorf("peak memory is %d MiB, the limit %d", rec.PeakMemory>>20, badMemory>>20)
	}
	if code != 0 {
		if code != c.exit || rec.Status != job.Failed {
			t.Errorf("exit code %d, want %d or 0: %s", code, c.exit, rec.JSON())
		}
		if left := filesBelow(t, dir); len(left) != 1 {
			t.Errorf("a failed run left %v", left)
		}
		return false
	}
	if rec.Rows.Rejected == 0 || rec.Rows.Read != rec.Rows.Written+rec.Rows.Rejected {
		t.Errorf("committed with rows %+v", rec.Rows)
	}
	return true
}

// errorLine is the one error in a log, all of whose lines are JSON objects.
func errorLine(t *testing.T, log string) (msg string) {
	t.Helper()
	count := 0
	for line := range strings.Lines(log) {
		var entry struct{ Level, Msg string }
		if err := json.Unmarshal([]byte(line), &entry); err != nil {
			t.Errorf("a line of stderr is no JSON object: %q", line)
			continue
		}
		if entry.Level == "ERROR" {
			msg = entry.Msg
			count++
		}
	}
	if count != 1 {
		t.Errorf("stderr has %d errors, want 1:\n%s", count, log)
	}
	return msg
}

func filesBelow(t *testing.T, dir string) (files []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			files = append(files, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}
