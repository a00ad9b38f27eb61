package awstest

import (
	"fmt"
	"strings"
	"testing"
)

// Event is an entry of PutEvents.
type Event struct{ EventBusName, Source, DetailType, Detail string }

// Bus is a double of EventBridge, which takes one event a request.
type Bus struct {
	Double
	Got     []Event
	Answers []string // what it says to the next requests, "STATUS body", in place of taking the event
}

// NewBus starts one.
func NewBus(t testing.TB) *Bus {
	t.Helper()
	b := &Bus{}
	b.serve(t, "AWS_ENDPOINT_URL_EVENTBRIDGE", "events", "AWSEvents.", b.carryOut, nil)
	return b
}

func (b *Bus) carryOut(action string, body []byte) answer {
	if action != "PutEvents" {
		b.t.Errorf("action %q", action)
	}
	if len(b.Answers) > 0 {
		status, raw, _ := strings.Cut(b.Answers[0], " ")
		b.Answers = b.Answers[1:]
		a := answer{status: 200, raw: raw}
		_, _ = fmt.Sscan(status, &a.status)
		return a
	}
	var in struct{ Entries []Event }
	b.decode(action, body, &in)
	if len(in.Entries) != 1 {
		b.t.Errorf("%d entries", len(in.Entries))
	}
	b.Got = append(b.Got, in.Entries...)
	return answer{out: map[string]any{"FailedEntryCount": 0, "Entries": []any{map[string]string{"EventId": fmt.Sprintf("e%d", len(b.Got))}}}}
}

// Told is what the bus has, an event a line.
func (b *Bus) Told() string {
	b.Lock()
	defer b.Unlock()
	var out strings.Builder
	for _, e := range b.Got {
		fmt.Fprintf(&out, "%s %s %q %s\n", e.EventBusName, e.Source, e.DetailType, e.Detail)
	}
	return out.String()
}
