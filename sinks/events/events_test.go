package events

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
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

func start(t *testing.T) *awstest.Bus {
	t.Helper()
	b := awstest.NewBus(t)
	b.Setenv(t)
	return b
}

func bind(t *testing.T, block string) (*delivery, error) {
	t.Helper()
	root, err := spec.Parse("p.yaml", []byte("events: "+block+"\n"))
	if err != nil {
		t.Fatal(err)
	}
	d, err := open(sinks.TargetRequest{At: root.Get("events"), RunID: "00000000000000a1", Pipeline: "trips", Mode: "append", Format: "parquet", Log: slog.New(slog.NewTextHandler(io.Discard, nil))})
	if err != nil {
		return nil, err
	}
	out := d.(*delivery)
	out.pause = func(int) time.Duration { return time.Millisecond }
	t.Cleanup(func() { _ = d.Close(); _ = d.Close() })
	return out, nil
}

func bound(t *testing.T, block string) *delivery {
	t.Helper()
	d, err := bind(t, block)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

var commit = sinks.Commit{RunID: "00000000000000a1", At: time.Date(2026, 11, 28, 1, 2, 3, 4000, time.UTC), Rows: 120345,
	Manifest: objstore.Ref{Bucket: "b", Key: "t/_runs/00000000000000a1/manifest.json"}, Files: []sinks.File{{Size: 10}, {Size: 32}}}

// TestEvent: the event says what was committed, and says it again of a run that is found committed.
func TestEvent(t *testing.T) {
	b := start(t)
	d := bound(t, "{bus: data, source: my.worker, detail: {team: mobility, 'a \"b\"': ü}}")
	if x := strings.Join(d.Explain(), "\n"); !strings.Contains(x, `bus data: source my.worker, detail-type Dataset Committed`) || !strings.Contains(x, `"team":"mobility"`) {
		t.Error(x)
	}
	if c, err := d.Preflight(t.Context()); err != nil || c != nil {
		t.Errorf("%v %v", c, err)
	}
	if detail, err := d.Deliver(t.Context(), commit); err != nil || detail != "event e1 on bus data" {
		t.Fatal(detail, err)
	}
	again := commit
	again.Again, again.ReplacedBy = true, []sinks.Replacement{{RunID: "00000000000000b2", Mode: "compact", Files: 2, Rows: 120345}}
	if detail, err := d.Deliver(t.Context(), again); err != nil || detail != "event e2 on bus data" {
		t.Fatal(detail, err)
	}
	if len(b.Got) != 2 {
		t.Fatal(b.Got)
	}
	for i, status := range []string{"committed", "already_committed"} {
		e := b.Got[i]
		if e.EventBusName != "data" || e.Source != "my.worker" || e.DetailType != "Dataset Committed" {
			t.Errorf("%+v", e)
		}
		var detail map[string]any
		if err := json.Unmarshal([]byte(e.Detail), &detail); err != nil {
			t.Fatal(err)
		}
		want := map[string]any{"run_id": "00000000000000a1", "dataset": "trips", "status": status, "manifest": "s3://b/t/_runs/00000000000000a1/manifest.json", "rows": 120345.0, "files": 2.0,
			"bytes": 42.0, "mode": "append", "committed_at": "2026-11-28T01:02:03.000004Z", "team": "mobility", `a "b"`: "ü"}
		if status == "already_committed" {
			want["replaced_by"] = []any{map[string]any{"run_id": "00000000000000b2", "mode": "compact", "files": 2.0, "rows": 120345.0}}
		}
		if !reflect.DeepEqual(detail, want) {
			t.Errorf("\n got %v\nwant %v", detail, want)
		}
	}
	if b.Regions[0] != "eu-central-1" {
		t.Errorf("signed for %s", b.Regions)
	}
}

// TestRegion: a bus by its ARN is asked in its own region.
func TestRegion(t *testing.T) {
	b := start(t)
	d := bound(t, "{bus: 'arn:aws:events:us-west-2:123456789012:event-bus/data'}")
	if _, err := d.Deliver(t.Context(), commit); err != nil {
		t.Fatal(err)
	}
	if e := b.Got[0]; e.EventBusName != "arn:aws:events:us-west-2:123456789012:event-bus/data" || e.Source != "worker" || b.Regions[0] != "us-west-2" {
		t.Errorf("%+v %s", e, b.Regions)
	}
}

const failedEntry = `200 {"FailedEntryCount":1,"Entries":[{"ErrorCode":"%s","ErrorMessage":"said so"}]}`

// TestFailures: what may pass is sent again, and the rest says what to do. An answer of 200 may hold an event that failed.
func TestFailures(t *testing.T) {
	for _, c := range []struct {
		name    string
		answers []string
		kind    fail.Kind // of an error that says
		says    string
	}{
		{"throttled, then taken", []string{fmt.Sprintf(failedEntry, "ThrottlingException"), fmt.Sprintf(failedEntry, "InternalFailure"), "500 {}"}, 0, ""},
		{"throttled for good", strings.Split(strings.Repeat(fmt.Sprintf(failedEntry, "ThrottlingException")+"\n", tries), "\n")[:tries], fail.Temporary, "said so"},
		{"entry not allowed", []string{fmt.Sprintf(failedEntry, "AccessDeniedException")}, fail.Permission, "events:PutEvents on event bus default: access denied: allow events:PutEvents"},
		{"request not allowed", []string{`400 {"__type":"AccessDeniedException","message":"User x is not authorized"}`}, fail.Permission, "User x is not authorized"},
		{"entry refused", []string{fmt.Sprintf(failedEntry, "MalformedDetail")}, fail.Usage, "MalformedDetail: said so"},
		{"source not allowed", []string{fmt.Sprintf(failedEntry, "NotAuthorizedForSourceException")}, fail.Permission, "access denied: allow events:PutEvents on it: api error NotAuthorizedForSourceException: said so"},
		{"no answer about it", []string{`200 {"FailedEntryCount":0,"Entries":[]}`}, fail.Temporary, "about 0 events"},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := start(t)
			b.Answers = c.answers
			_, err := bound(t, "{}").Deliver(t.Context(), commit)
			if c.says == "" {
				if err != nil || len(b.Got) != 1 {
					t.Fatalf("%v, %d events", err, len(b.Got))
				}
				return
			}
			if err == nil || fail.KindOf(err) != c.kind || !strings.Contains(err.Error(), c.says) || len(b.Got) != 0 || len(b.Answers) != 0 {
				t.Fatalf("%v %v, %d events", fail.KindOf(err), err, len(b.Got))
			}
		})
	}
	t.Run("cancelled", func(t *testing.T) {
		start(t)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := bound(t, "{}").Deliver(ctx, commit); fail.KindOf(err) != fail.Temporary {
			t.Fatal(err)
		}
	})
	t.Run("cancelled between two tries", func(t *testing.T) {
		b := start(t)
		b.Answers = []string{fmt.Sprintf(failedEntry, "ThrottlingException")}
		ctx, cancel := context.WithCancel(t.Context())
		d := bound(t, "{}")
		d.pause = func(int) time.Duration { cancel(); return time.Hour }
		if _, err := d.Deliver(ctx, commit); fail.KindOf(err) != fail.Temporary {
			t.Fatal(err)
		}
	})
}

// TestRefused: what a block may not say, with its place.
func TestRefused(t *testing.T) {
	for block, says := range map[string]string{
		"{buss: x}":               `p.yaml:1:10: unknown key "buss"`,
		"{bus: ''}":               "bus must have 1 to 256 characters",
		"{bus: 'arn:aws:s3:::b'}": "is not the ARN of an event bus",
		"{source: aws.worker}":    "p.yaml:1:18: source \"aws.worker\"",
		"{detail: [a]}":           "p.yaml:1:18",
		"{detail: {rows: '1'}}":   "detail has rows from the run",
		"{detail: {a: {b: c}}}":   "p.yaml:1:22",
		"{detail: {a: " + strings.Repeat("x", mostBytes) + "}}": "all of an event has 262144 at most",
	} {
		if _, err := bind(t, block); fail.KindOf(err) != fail.Usage || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v, want %s", fail.Shorten(block), err, says)
		}
	}
}

// TestTooLarge: an event that grows too large by the run's own facts is refused before it is sent.
func TestTooLarge(t *testing.T) {
	b := start(t)
	c := commit
	c.Manifest.Key = strings.Repeat("k", 9<<10)
	_, err := bound(t, "{detail: {a: "+strings.Repeat("x", mostBytes-(8<<10)-100)+"}}").Deliver(t.Context(), c)
	if fail.KindOf(err) != fail.Usage || !strings.Contains(err.Error(), "EventBridge takes 262144") || len(b.Regions) != 0 {
		t.Error(err)
	}
}
