// Package events is the target that tells an event bus of Amazon EventBridge that a data set is committed.
package events

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	smithy "github.com/aws/smithy-go"

	"github.com/sluice-data/sluice/internal/awsconf"
	"github.com/sluice-data/sluice/internal/fail"
	"github.com/sluice-data/sluice/sinks"
)

func init() {
	sinks.RegisterTarget(sinks.Target{
		Name: "events",
		Doc: "Puts an event `" + detailType + "` on a bus of Amazon EventBridge once the run is committed and the other targets have it. `bus` is a name or an ARN (by default `default`), `source` " +
			"the event's (by default `worker`), and `detail` has texts to add to its own: `run_id`, `dataset` (the pipeline's name), `status` (`committed` or `already_committed`), `manifest`, `rows`, " +
			"`files`, `bytes`, `mode` and `committed_at`, and `replaced_by` where other runs have taken the place of files of it since. A run that is found committed tells it once more, so the event comes once at least: `run_id` tells which are the same.",
		Example: "sink:\n  uri: s3://curated/trips/\n  events: {bus: data, source: worker, detail: {team: mobility}}\n",
		Rank:    sinks.RankNotice,
		Always:  true,
		Open:    open,
	})
}

const detailType = "Dataset Committed"

// mostBytes is what all of an entry may have ("Calculating Amazon EventBridge PutEvents event entry size").
const mostBytes = 256 << 10

// tries is how often an entry is sent that the service took the request of, and not the entry.
const tries = 8

type delivery struct {
	bus, region, source string
	extra               map[string]string
	req                 sinks.TargetRequest
	client              *eventbridge.Client
	idle                func()
	pause               func(try int) time.Duration
}

// own are the keys of an event's detail that extra ones may not take.
var own = []string{"run_id", "dataset", "status", "manifest", "rows", "files", "bytes", "mode", "committed_at", "replaced_by"}

func open(req sinks.TargetRequest) (sinks.Delivery, error) {
	if _, err := req.At.Map("bus", "source", "detail"); err != nil {
		return nil, err
	}
	d := &delivery{bus: "default", source: "worker", extra: map[string]string{}, req: req, pause: awsconf.Backoff}
	for key, to := range map[string]*string{"bus": &d.bus, "source": &d.source} {
		n := req.At.Get(key)
		if n == nil {
			continue
		}
		s, err := n.Str()
		if err != nil {
			return nil, err
		}
		if s == "" || len(s) > 256 {
			return nil, n.Errorf("%s must have 1 to 256 characters", key)
		}
		*to = s
	}
	if strings.HasPrefix(d.source, "aws.") {
		return nil, req.At.Get("source").Errorf("source %q: those that begin with aws. are Amazon's own", d.source)
	}
	if strings.HasPrefix(d.bus, "arn:") {
		parts := strings.Split(d.bus, ":")
		if len(parts) != 6 || parts[2] != "events" || !strings.HasPrefix(parts[5], "event-bus/") {
			return nil, req.At.Get("bus").Errorf("bus %q is not the ARN of an event bus: want arn:aws:events:<region>:<account>:event-bus/<name>", fail.Shorten(d.bus))
		}
		d.region = parts[3]
	}
	if n := req.At.Get("detail"); n != nil {
		entries, err := n.Map()
		if err != nil {
			return nil, err
		}
		for _, e := range entries {
			for _, key := range own {
				if e.Key == key {
					return nil, e.At.Errorf("detail has %s from the run: choose another key", key)
				}
			}
			if d.extra[e.Key], err = e.Value.Str(); err != nil {
				return nil, err
			}
		}
		if b, _ := json.Marshal(d.extra); len(b) > mostBytes-(8<<10) { // texts: cannot fail
			return nil, n.Errorf("detail has %d bytes, and all of an event has %d at most", len(b), mostBytes)
		}
	}
	return d, nil
}

// entry is the event of a commit.
func (d *delivery) entry(c sinks.Commit, status string) (types.PutEventsRequestEntry, error) {
	detail := map[string]any{"run_id": c.RunID, "dataset": d.req.Pipeline, "status": status, "manifest": c.Manifest.String(), "rows": c.Rows, "files": len(c.Files),
		"mode": d.req.Mode, "committed_at": c.At.UTC().Format(time.RFC3339Nano)}
	var bytes int64
	for _, f := range c.Files {
		bytes += f.Size
	}
	detail["bytes"] = bytes
	if len(c.ReplacedBy) > 0 {
		detail["replaced_by"] = c.ReplacedBy
	}
	for k, v := range d.extra {
		detail[k] = v
	}
	b, err := json.Marshal(detail)
	if err != nil {
		return types.PutEventsRequestEntry{}, fail.Wrap(fail.Internal, err)
	}
	if n := len(b) + len(d.source) + len(detailType); n >= mostBytes {
		return types.PutEventsRequestEntry{}, fail.Newf(fail.Usage, "the event has %d bytes, and EventBridge takes %d: make detail of sink.events shorter", n, mostBytes)
	}
	return types.PutEventsRequestEntry{EventBusName: &d.bus, Source: &d.source, DetailType: aws.String(detailType), Detail: aws.String(string(b))}, nil
}

func (d *delivery) Explain() []string {
	extra := ""
	if len(d.extra) > 0 {
		b, _ := json.Marshal(d.extra) // texts: cannot fail
		extra = " and " + string(b)
	}
	return []string{fmt.Sprintf("events:PutEvents on bus %s: source %s, detail-type %s, detail with run_id %s, dataset %s, manifest, rows, files%s", d.bus, d.source, detailType, d.req.RunID, d.req.Pipeline, extra)}
}

func (d *delivery) Preflight(context.Context) ([]sinks.Constraint, error) { return nil, nil }

// Deliver sends the event. One that the service may have got is sent again: its receivers tell by run_id.
func (d *delivery) Deliver(ctx context.Context, c sinks.Commit) (string, error) {
	status := "committed"
	if c.Again {
		status = "already_committed"
	}
	e, err := d.entry(c, status)
	if err != nil {
		return "", err
	}
	if d.client == nil {
		conf, idle, err := awsconf.Service(ctx, "EVENTBRIDGE", d.region)
		if err != nil {
			return "", err
		}
		d.client, d.idle = eventbridge.NewFromConfig(conf), idle
	}
	call := awsconf.Call{Action: "events:PutEvents", On: "event bus " + d.bus}
	for try := 1; ; try++ {
		out, err := d.client.PutEvents(ctx, &eventbridge.PutEventsInput{Entries: []types.PutEventsRequestEntry{e}})
		if err != nil {
			return "", call.Error(ctx, err)
		}
		if len(out.Entries) != 1 {
			return "", fail.Newf(fail.Temporary, "%s on %s: the answer is about %d events, and one was sent", call.Action, call.On, len(out.Entries))
		}
		answer := out.Entries[0]
		if out.FailedEntryCount == 0 && aws.ToString(answer.ErrorCode) == "" {
			return fmt.Sprintf("event %s on bus %s", aws.ToString(answer.EventId), d.bus), nil
		}
		// The request succeeded, and the event did not: the SDK tries only requests again.
		err = call.Error(ctx, &smithy.GenericAPIError{Code: aws.ToString(answer.ErrorCode), Message: aws.ToString(answer.ErrorMessage)})
		if fail.KindOf(err) != fail.Temporary || try == tries {
			return "", err
		}
		timer := time.NewTimer(d.pause(try))
		select {
		case <-ctx.Done():
			timer.Stop()
			return "", call.Error(ctx, err)
		case <-timer.C:
		}
	}
}

func (d *delivery) Close() error {
	if d.idle != nil {
		d.idle()
	}
	return nil
}
