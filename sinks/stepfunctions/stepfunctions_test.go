package stepfunctions

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"reflect"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/sluice-data/sluice/internal/awstest"
	"github.com/sluice-data/sluice/internal/fail"
	"github.com/sluice-data/sluice/internal/objstore"
	"github.com/sluice-data/sluice/internal/spec"
	"github.com/sluice-data/sluice/sinks"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const token = awstest.Token

func start(t *testing.T) *awstest.Machine {
	t.Helper()
	m := awstest.NewMachine(t)
	m.Setenv(t)
	return m
}

// request is one whose environment has the token in TASK_TOKEN; log gets what is logged.
func request(t *testing.T, block, token string, log *bytes.Buffer) sinks.TargetRequest {
	t.Helper()
	root, err := spec.Parse("p.yaml", []byte("step_functions: "+block+"\n"))
	if err != nil {
		t.Fatal(err)
	}
	return sinks.TargetRequest{At: root.Get("step_functions"), RunID: "00000000000000a1", Pipeline: "trips", Mode: "append", Format: "parquet", Log: slog.New(slog.NewTextHandler(log, nil)),
		Getenv: func(name string) string { return map[string]string{"TASK_TOKEN": token, "OTHER": "x" + token}[name] }}
}

func bound(t *testing.T, block, token string, log *bytes.Buffer) sinks.Delivery {
	t.Helper()
	d, err := open(request(t, block, token, log))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Close(); _ = d.Close() })
	return d
}

var commit = sinks.Commit{RunID: "00000000000000a1", At: time.Date(2026, 11, 28, 1, 2, 3, 4000, time.UTC), Rows: 7, Manifest: objstore.Ref{Bucket: "b", Key: "t/_runs/00000000000000a1/manifest.json"},
	Files: []sinks.File{{Size: 10}, {Size: 32}}}

// TestSuccess: the task ends once, with what was committed; an attempt after that finds it closed, and is content.
func TestSuccess(t *testing.T) {
	m := start(t)
	var log bytes.Buffer
	d := bound(t, "{}", token, &log)
	if c, err := d.Preflight(t.Context()); err != nil || c != nil {
		t.Fatal(c, err)
	}
	if x := d.Explain(); len(x) != 1 || strings.Contains(x[0], token) || !strings.Contains(x[0], "TASK_TOKEN") {
		t.Errorf("%q", x)
	}
	if detail, err := d.Deliver(t.Context(), commit); err != nil || detail != "ended the task with success" {
		t.Fatal(detail, err)
	}
	output, _ := strings.CutPrefix(m.Ended[0], "SendTaskSuccess ")
	var got map[string]any
	if err := json.Unmarshal([]byte(output), &got); err != nil {
		t.Fatal(err)
	}
	want := map[string]any{"run_id": "00000000000000a1", "dataset": "trips", "status": "committed", "manifest": "s3://b/t/_runs/00000000000000a1/manifest.json", "rows": 7.0, "files": 2.0, "bytes": 42.0,
		"committed_at": "2026-11-28T01:02:03.000004Z"}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("\n got %v\nwant %v", got, want)
	}
	again := commit
	again.Again = true
	if detail, err := d.Deliver(t.Context(), again); err != nil || !strings.Contains(detail, "closed already") || log.Len() != 0 {
		t.Error(detail, err, log.String())
	}
	if detail, err := d.Deliver(t.Context(), commit); err != nil || !strings.Contains(detail, "closed already") || !strings.Contains(log.String(), "closed already") {
		t.Error(detail, err, log.String())
	}
	m.Open = true // another execution, whose event is a run that is committed
	again.ReplacedBy = []sinks.Replacement{{RunID: "00000000000000b2", Mode: "replace", Files: 2, Rows: 7}}
	if _, err := d.Deliver(t.Context(), again); err != nil || !strings.Contains(m.Ended[1], `"status":"already_committed"`) || !strings.Contains(m.Ended[1], `"replaced_by":[{"run_id":"00000000000000b2","mode":"replace","files":2,"rows":7}]`) {
		t.Error(m.Ended, err)
	}
	if len(m.Ended) != 2 {
		t.Error(m.Ended)
	}
}

// TestLostAnswer: the request is sent again, and finds the task closed.
func TestLostAnswer(t *testing.T) {
	m := start(t)
	m.Lose = true
	var log bytes.Buffer
	if detail, err := bound(t, "{}", token, &log).Deliver(t.Context(), commit); err != nil || !strings.Contains(detail, "closed already") || len(m.Ended) != 1 {
		t.Error(detail, err, m.Ended)
	}
}

// TestFailed: a run that failed for good ends the task with its receipt; one that is tried again leaves it open.
func TestFailed(t *testing.T) {
	m := start(t)
	var log bytes.Buffer
	req := request(t, "{}", token, &log)
	receipt := []byte(`{"status":"failed","error":{"kind":"data"}}` + "\n")
	if err := failed(t.Context(), req, sinks.Failure{Err: fail.Newf(fail.Temporary, "SIGTERM"), Receipt: receipt}); err != nil || len(m.Ended) != 0 {
		t.Fatal(err, m.Ended)
	}
	if err := failed(t.Context(), req, sinks.Failure{Err: fail.Newf(fail.Data, "too many bad rows"), Receipt: receipt}); err != nil {
		t.Fatal(err)
	}
	if m.Ended[0] != `SendTaskFailure Sluice.data {"status":"failed","error":{"kind":"data"}}` {
		t.Error(m.Ended)
	}
	if err := failed(t.Context(), req, sinks.Failure{Err: errors.New("x"), Receipt: receipt}); err == nil || !strings.Contains(err.Error(), "closed already") {
		t.Error(err)
	}
	m.Open = true
	if err := failed(t.Context(), req, sinks.Failure{Err: fail.Newf(fail.Permission, "%s", strings.Repeat("ä", mostCause)), Receipt: bytes.Repeat([]byte("x"), mostCause+1)}); err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(m.Ended[1], "SendTaskFailure Sluice.permission ä") || !strings.HasSuffix(m.Ended[1], "ä") {
		t.Errorf("%.60s", m.Ended[1])
	}
	if err := failed(t.Context(), request(t, "{}", "", &log), sinks.Failure{Err: errors.New("x")}); fail.KindOf(err) != fail.Usage {
		t.Error(err)
	}
}

// TestWrongToken: what cannot be a token of the task is said before rows are read, or by the service.
func TestWrongToken(t *testing.T) {
	m := start(t)
	var log bytes.Buffer
	for _, c := range []struct{ token, says string }{{"", "environment variable TASK_TOKEN has no task token"}, {strings.Repeat("x", mostToken+1), "has 2049 bytes"}} {
		d := bound(t, "{}", c.token, &log)
		for _, do := range []func() error{
			func() error { _, err := d.Preflight(t.Context()); return err },
			func() error { _, err := d.Deliver(t.Context(), commit); return err },
		} {
			if err := do(); fail.KindOf(err) != fail.Usage || !strings.Contains(err.Error(), c.says) {
				t.Error(err)
			}
		}
	}
	_, err := bound(t, "{token_env: OTHER}", token, &log).Deliver(t.Context(), commit)
	if fail.KindOf(err) != fail.Usage || !strings.Contains(err.Error(), "what environment variable OTHER has is no task token") || strings.Contains(err.Error(), token) {
		t.Error(err)
	}
	m.Deny = true
	_, err = bound(t, "{}", token, &log).Deliver(t.Context(), commit)
	if fail.KindOf(err) != fail.Permission || !strings.Contains(err.Error(), "allow states:SendTaskSuccess") {
		t.Error(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := bound(t, "{}", token, &log).Deliver(ctx, commit); fail.KindOf(err) != fail.Temporary {
		t.Error(err)
	}
	if len(m.Ended) != 0 {
		t.Error(m.Ended)
	}
}

// TestRefused: what a block may not say.
func TestRefused(t *testing.T) {
	for block, says := range map[string]string{
		"{task_token: abc}":   "token_env: TASK_TOKEN",
		"{token_evn: T}":      `did you mean "token_env"?`,
		"{token_env: 'A=b'}":  "is no name of an environment variable",
		"{token_env: ''}":     "is no name of an environment variable",
		"{token_env: [A, B]}": "p.yaml:1:29",
	} {
		if _, err := open(request(t, block, token, &bytes.Buffer{})); fail.KindOf(err) != fail.Usage || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v, want %s", block, err, says)
		}
	}
}
