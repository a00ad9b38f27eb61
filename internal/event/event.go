// Package event finds out from an event or the environment which objects a run is to read.
//
// An event arrives at least once, in any of the shapes in which AWS hands it on; the keys of EventBridge events are raw, those of
// S3 notification records are form-URL-encoded (S3 user guide, "Event message structure").
package event

import (
	"strconv"
	"strings"
	"time"

	"github.com/sluice-data/sluice/internal/fail"
)

// Kind is the shape an event came in.
type Kind string

const (
	None         Kind = ""             // nothing was given
	Created      Kind = "s3-object"    // EventBridge "Object Created"
	Schedule     Kind = "schedule"     // EventBridge rule or Scheduler: a time and no object
	Notification Kind = "notification" // S3 notification, Records[]
	Batch        Kind = "batch"        // AWS Batch job event or SubmitJob request with the objects in its environment or parameters
	List         Kind = "list"         // objects named by a custom event or a bare list
	Env          Kind = "environment"  // INPUT_BUCKET and INPUT_KEY
)

// Event is what a run was started by. Zero fields are unknown.
type Event struct {
	ID        string
	Time      time.Time // when it happened
	Scheduled time.Time // the time that a schedule stands for: the same in every retry
	Kind      Kind
	Objects   []Object // in the order they were named, each once
}

// Object is an object as the event names it. Size is -1 if unknown; ETag has no quotes.
type Object struct {
	Bucket, Key string
	Size        int64
	ETag        string
	VersionID   string
	Sequencer   string // orders the events of one key
}

// Unset reports a value that counts as not given: empty, or a Batch placeholder (Ref::name) that nothing was put in place of.
func Unset(v string) bool {
	return v == "" || strings.HasPrefix(v, "Ref::")
}

// Vars are the variables that the event gives to the pipeline file. BUCKET and KEY are there only if they mean one thing: BUCKET if all objects
// share it, KEY if there is one object.
func (e Event) Vars() map[string]string {
	vars := map[string]string{}
	put := func(name, value string) {
		if value != "" {
			vars[name] = value
		}
	}
	put("EVENT_ID", e.ID)
	put("EVENT_TIME", stamp(e.Time))
	put("SCHEDULED_TIME", stamp(e.Scheduled))
	for i, o := range e.Objects {
		if i == 0 {
			put("BUCKET", o.Bucket)
			put("KEY", o.Key)
			continue
		}
		delete(vars, "KEY")
		if o.Bucket != e.Objects[0].Bucket {
			delete(vars, "BUCKET")
		}
	}
	return vars
}

func stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339Nano)
}

// FromEnv reads INPUT_BUCKET, INPUT_KEY, INPUT_VERSION_ID, INPUT_ETAG, INPUT_SIZE, INPUT_SEQUENCER, EVENT_ID, EVENT_TIME and SCHEDULED_TIME. Without
// INPUT_BUCKET and INPUT_KEY the event has no object and kind None. Errors are Usage errors.
func FromEnv(getenv func(string) string) (Event, error) {
	get := func(name string) string {
		if v := getenv(name); !Unset(v) {
			return v
		}
		return ""
	}
	e := Event{ID: get("EVENT_ID")}
	var err error
	if e.Time, err = parseTime("EVENT_TIME", get("EVENT_TIME")); err != nil {
		return Event{}, err
	}
	if e.Scheduled, err = parseTime("SCHEDULED_TIME", get("SCHEDULED_TIME")); err != nil {
		return Event{}, err
	}
	o := Object{Bucket: get("INPUT_BUCKET"), Key: get("INPUT_KEY"), Size: -1, VersionID: versionID(get("INPUT_VERSION_ID")), ETag: unquote(get("INPUT_ETAG")), Sequencer: get("INPUT_SEQUENCER")}
	switch {
	case o.Bucket == "" && o.Key == "":
		return e, nil
	case o.Bucket == "":
		return Event{}, fail.Newf(fail.Usage, "INPUT_KEY is set but INPUT_BUCKET is not: an object needs both")
	case o.Key == "":
		return Event{}, fail.Newf(fail.Usage, "INPUT_BUCKET is set but INPUT_KEY is not: an object needs both")
	}
	if s := get("INPUT_SIZE"); s != "" {
		if o.Size, err = strconv.ParseInt(s, 10, 64); err != nil || o.Size < 0 {
			return Event{}, fail.Newf(fail.Usage, "INPUT_SIZE is not a number of bytes: %q", fail.Shorten(s))
		}
	}
	e.Kind, e.Objects = Env, []Object{o}
	return e, nil
}

func parseTime(what, s string) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		return t, fail.Newf(fail.Usage, "%s is not a time such as 2026-11-22T10:00:00Z: %q", what, fail.Shorten(s))
	}
	return t.UTC(), nil
}

func unquote(etag string) string { return strings.Trim(etag, `"`) }

// versionID drops the id that S3 gives to objects of buckets without versions.
func versionID(v string) string {
	if v == "null" {
		return ""
	}
	return v
}
