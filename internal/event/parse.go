package event

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/url"
	"sort"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/sluice-data/sluice/internal/fail"
)

const (
	maxBytes = 8 << 20
	maxWraps = 4 // an event in a message in a record
)

const looked = "looked for an EventBridge S3 event (detail.bucket, detail.object), a scheduled event, S3 notification Records[], " +
	"a list of objects or s3:// URIs (objects, inputs, or the event itself), and bucket with key"

// Parse reads an event as JSON. A shape that names neither an object nor a time is a Usage error that says what was looked for.
func Parse(text []byte) (Event, error) {
	e, err := parse(text, 0)
	if err != nil {
		return Event{}, err
	}
	e.Objects = unique(e.Objects)
	return e, nil
}

func parse(text []byte, wraps int) (Event, error) {
	text = bytes.TrimSpace(bytes.TrimPrefix(text, []byte("\uFEFF")))
	switch {
	case len(text) == 0:
		return Event{}, fail.Newf(fail.Usage, "event is empty: %s", looked)
	case len(text) > maxBytes:
		return Event{}, fail.Newf(fail.Usage, "event is too large: %d bytes, at most %d; name the objects in an object of their own", len(text), maxBytes)
	case !utf8.Valid(text):
		return Event{}, fail.Newf(fail.Usage, "event is not UTF-8")
	case wraps > maxWraps:
		return Event{}, fail.Newf(fail.Usage, "event is wrapped in more than %d messages", maxWraps)
	}
	var v any
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.UseNumber()
	err := dec.Decode(&v)
	if err == nil {
		if _, more := dec.Token(); more != io.EOF {
			err = errors.New("more text follows the JSON value")
		}
	}
	if err != nil {
		at := dec.InputOffset()
		var se *json.SyntaxError
		if errors.As(err, &se) {
			at = se.Offset
		} else if errors.Is(err, io.ErrUnexpectedEOF) {
			at = int64(len(text))
		}
		return Event{}, fail.Newf(fail.Usage, "event is not JSON: %w at byte %d (a key with quotes or backslashes, put together by an input transformer, breaks it)", err, at)
	}
	return value(v, wraps)
}

// value reads an event of any shape.
func value(v any, wraps int) (Event, error) {
	switch v := v.(type) {
	case string:
		if strings.HasPrefix(v, "s3://") {
			o, err := uri(v)
			return Event{Kind: List, Objects: []Object{o}}, err
		}
		return parse([]byte(v), wraps+1)
	case []any:
		return list(v, wraps)
	case map[string]any:
		return object(fields(lower(v)), wraps)
	}
	return Event{}, fail.Newf(fail.Usage, "event is %s: %s", describe(v), looked)
}

// list reads a bare list: of objects and URIs, or of whole events as EventBridge Pipes and SQS deliver them.
func list(items []any, wraps int) (Event, error) {
	if wraps > maxWraps {
		return Event{}, fail.Newf(fail.Usage, "event is wrapped in more than %d messages", maxWraps)
	}
	out := Event{Kind: List}
	for i, it := range items {
		var e Event
		var err error
		if s, ok := it.(string); ok && !strings.HasPrefix(strings.TrimSpace(s), "{") {
			var o Object
			o, err = uri(s)
			e = Event{Kind: List, Objects: []Object{o}}
		} else {
			e, err = value(it, wraps+1)
		}
		if err == nil && len(e.Objects) == 0 {
			err = fail.Newf(fail.Usage, "event names no object: %s", looked)
		}
		if err != nil {
			return Event{}, fail.Newf(fail.Usage, "item %d of the event: %w", i+1, err)
		}
		if len(items) == 1 {
			return e, nil
		}
		out.Objects = append(out.Objects, e.Objects...)
	}
	if len(out.Objects) == 0 {
		return Event{}, fail.Newf(fail.Usage, "event is an empty list of objects")
	}
	return out, nil
}

func object(m fields, wraps int) (Event, error) {
	var e Event
	e.ID = m.str("id")
	t, err := parseTime("the event's time", m.str("time"))
	if err != nil {
		return Event{}, err
	}
	e.Time = t
	if typ := m.str("detail-type"); typ != "" {
		return bridge(e, typ, m)
	}
	if recs, ok := m["records"].([]any); ok {
		return records(recs, wraps)
	}
	if m.str("event") == "s3:TestEvent" {
		return Event{}, fail.Newf(fail.Usage, "event is the test message that S3 sends when notifications are set up: it names no object")
	}
	for _, key := range []string{"message", "body"} { // SNS, SQS
		if inner := m.str(key); strings.HasPrefix(strings.TrimSpace(inner), "{") || strings.HasPrefix(strings.TrimSpace(inner), "[") {
			return parse([]byte(inner), wraps+1)
		}
	}
	if s := m.str("scheduled-time"); s != "" && m["objects"] == nil {
		if e.Scheduled, err = parseTime("scheduled-time", s); err != nil {
			return Event{}, err
		}
		e.Kind = Schedule
		return e, nil
	}
	out, err := named(e, m)
	if detail, ok := m["detail"].(map[string]any); ok && err != nil { // an input transformer has left the rest out
		if of, derr := named(e, fields(lower(detail))); derr == nil {
			return of, nil
		}
	}
	return out, err
}

// bridge reads an EventBridge event.
func bridge(e Event, typ string, m fields) (Event, error) {
	detail, _ := m["detail"].(map[string]any)
	switch source := m.str("source"); {
	case typ == "Object Created":
		o, ok, err := one(fields(lower(detail)), "")
		if err != nil {
			return Event{}, err
		}
		if !ok {
			return Event{}, fail.Newf(fail.Usage, "event %q has no detail.bucket.name or detail.object.key", typ)
		}
		e.Kind, e.Objects = Created, []Object{o}
		return e, nil
	case typ == "Scheduled Event" || source == "aws.scheduler" || source == "aws.events" && len(detail) == 0:
		if e.Time.IsZero() {
			return Event{}, fail.Newf(fail.Usage, "scheduled event has no time")
		}
		e.Kind, e.Scheduled = Schedule, e.Time
		return e, nil
	case source == "aws.s3":
		return Event{}, fail.Newf(fail.Usage, "event %q of S3 brings no object to read: let the rule match \"Object Created\" alone", typ)
	}
	return named(e, fields(lower(detail)))
}

// records reads the Records[] of S3, SQS or SNS.
func records(recs []any, wraps int) (Event, error) {
	out := Event{Kind: Notification}
	for i, r := range recs {
		rec, _ := r.(map[string]any)
		m := fields(lower(rec))
		e, err := record(m, wraps)
		if err != nil {
			return Event{}, fail.Newf(fail.Usage, "record %d of the event: %w", i+1, err)
		}
		if i == 0 {
			out.ID, out.Time = e.ID, e.Time
		}
		if len(recs) == 1 {
			return e, nil
		}
		out.Objects = append(out.Objects, e.Objects...)
	}
	if len(out.Objects) == 0 {
		return Event{}, fail.Newf(fail.Usage, "event has no records: it names no object")
	}
	return out, nil
}

func record(m fields, wraps int) (Event, error) {
	if body := m.str("body"); body != "" { // SQS
		return parse([]byte(body), wraps+1)
	}
	if sns, ok := m["sns"].(map[string]any); ok {
		return parse([]byte(fields(lower(sns)).str("message")), wraps+1)
	}
	s3, ok := m["s3"].(map[string]any)
	if !ok {
		return Event{}, fail.Newf(fail.Usage, "no s3, body or Sns in it")
	}
	if name := m.str("eventname"); name != "" && !strings.Contains(name, "ObjectCreated:") {
		return Event{}, fail.Newf(fail.Usage, "%q brings no object to read: let the notification match s3:ObjectCreated:* alone", fail.Shorten(name))
	}
	o, ok, err := one(fields(lower(s3)), "")
	if err != nil {
		return Event{}, err
	}
	if !ok {
		return Event{}, fail.Newf(fail.Usage, "no s3.bucket.name or s3.object.key in it")
	}
	key, err := url.QueryUnescape(o.Key)
	if err != nil || !utf8.ValidString(key) {
		return Event{}, fail.Newf(fail.Usage, "key %q is not URL-encoded as S3 does it", fail.Shorten(o.Key))
	}
	o.Key = key
	e := Event{Kind: Notification, Objects: []Object{o}}
	e.Time, err = parseTime("eventTime", m.str("eventtime"))
	return e, err
}

// named reads an event of a shape of the user's own: an object, a list of them, or Batch's parameters and environment.
func named(e Event, m fields) (Event, error) {
	bucket := m.str("bucket")
	if b, ok := m["batchinput"].(map[string]any); ok && bucket == "" { // Step Functions distributed map
		bucket = fields(lower(b)).str("bucket")
	}
	for _, key := range []string{"objects", "inputs", "items", "uris"} {
		items, ok := m[key].([]any)
		if !ok {
			continue
		}
		for i, it := range items {
			o, ok, err := item(it, bucket)
			if err == nil && !ok {
				err = fail.Newf(fail.Usage, "want bucket and key, or an s3:// URI")
			}
			if err != nil {
				return Event{}, fail.Newf(fail.Usage, "%s[%d] of the event: %w", key, i, err)
			}
			e.Objects = append(e.Objects, o)
		}
		if len(e.Objects) == 0 {
			return Event{}, fail.Newf(fail.Usage, "event has an empty list %s: it names no object", key)
		}
		e.Kind = List
		return e, nil
	}
	o, ok, err := one(m, "")
	if err != nil {
		return Event{}, err
	}
	if ok {
		e.Kind, e.Objects = List, []Object{o}
		return e, nil
	}
	if env := m.batchEnv(); env != nil {
		b, err := FromEnv(func(name string) string { return env[name] })
		if err != nil {
			return Event{}, err
		}
		if len(b.Objects) > 0 || !b.Scheduled.IsZero() {
			if b.ID == "" {
				b.ID = e.ID
			}
			if b.Time.IsZero() {
				b.Time = e.Time
			}
			b.Kind = Batch
			return b, nil
		}
	}
	return Event{}, fail.Newf(fail.Usage, "event names no object: %s; found %s", looked, m.keys())
}

func item(v any, bucket string) (Object, bool, error) {
	switch v := v.(type) {
	case string:
		if !strings.HasPrefix(v, "s3://") && bucket != "" && !Unset(v) {
			return Object{Bucket: bucket, Key: v, Size: -1}, true, nil
		}
		o, err := uri(v)
		return o, true, err
	case map[string]any:
		return one(fields(lower(v)), bucket)
	}
	return Object{}, false, nil
}

// one reads an object's own fields: bucket (a name or {name}), key (or object: {key, …}, or object: "key"), or uri.
func one(m fields, bucket string) (Object, bool, error) {
	if b, ok := m["bucket"].(map[string]any); ok {
		bucket = fields(lower(b)).str("name")
	} else if b := m.str("bucket"); b != "" {
		bucket = b
	}
	if obj, ok := m["object"].(map[string]any); ok {
		m = fields(lower(obj))
	} else if s := m.str("object"); s != "" && m.str("key") == "" {
		m = fields{"key": s}
	}
	o := Object{Bucket: bucket, Key: m.str("key"), Size: -1}
	if u := m.str("uri"); u != "" && o.Key == "" {
		var err error
		if o, err = uri(u); err != nil {
			return o, false, err
		}
	}
	if Unset(o.Bucket) || Unset(o.Key) {
		return Object{}, false, nil
	}
	o.ETag, o.VersionID, o.Sequencer = unquote(m.str("etag")), versionID(m.str("version-id")), m.str("sequencer")
	if s := m.str("size"); s != "" {
		n, err := strconv.ParseInt(s, 10, 64)
		if err != nil || n < 0 {
			return o, false, fail.Newf(fail.Usage, "size of %q is not a number of bytes: %q", fail.Shorten(o.Key), fail.Shorten(s))
		}
		o.Size = n
	}
	return o, true, nil
}

func uri(s string) (Object, error) {
	rest, ok := strings.CutPrefix(s, "s3://")
	bucket, key, slash := strings.Cut(rest, "/")
	if !ok || !slash || bucket == "" || key == "" {
		return Object{}, fail.Newf(fail.Usage, "%q is not the URI of an object: want s3://bucket/key", fail.Shorten(s))
	}
	return Object{Bucket: bucket, Key: key, Size: -1}, nil
}

// fields are a JSON object's members; names in lower case, with version-id for all its spellings.
type fields map[string]any

func lower(m map[string]any) map[string]any {
	out := make(map[string]any, len(m))
	names := make([]string, 0, len(m))
	for k := range m {
		names = append(names, k)
	}
	sort.Strings(names) // of two spellings of one name the lower-case one stands
	for _, k := range names {
		name := strings.ToLower(k)
		switch name {
		case "versionid", "version_id":
			name = "version-id"
		case "detail_type", "detailtype":
			name = "detail-type"
		case "scheduledtime", "scheduled_time":
			name = "scheduled-time"
		case "s3uri", "s3_uri":
			name = "uri"
		}
		out[name] = m[k]
	}
	return out
}

// str is a member as text: a string or a number, unless it counts as unset.
func (m fields) str(name string) string {
	switch v := m[name].(type) {
	case string:
		if !Unset(v) {
			return v
		}
	case json.Number:
		return v.String()
	}
	return ""
}

// batchEnv collects what a Batch job event (detail.container.environment, detail.parameters) or a SubmitJob request (ContainerOverrides,
// Parameters) says of the worker's environment; nil if it is neither.
func (m fields) batchEnv() map[string]string {
	var env map[string]string
	put := func(k, v string) {
		if env == nil {
			env = map[string]string{}
		}
		env[k] = v
	}
	for _, key := range []string{"container", "containeroverrides"} {
		c, _ := m[key].(map[string]any)
		vars, _ := lower(c)["environment"].([]any)
		for _, v := range vars {
			pair, _ := v.(map[string]any)
			p := fields(lower(pair))
			put(p.str("name"), p.str("value"))
		}
	}
	params, _ := m["parameters"].(map[string]any)
	for k := range params {
		v := fields(params).str(k)
		switch name := strings.ToLower(strings.NewReplacer("_", "", "-", "").Replace(k)); name {
		case "bucket", "s3bucket", "inputbucket":
			put("INPUT_BUCKET", v)
		case "key", "s3key", "inputkey":
			put("INPUT_KEY", v)
		}
	}
	return env
}

// keys lists the names for a message.
func (m fields) keys() string {
	if len(m) == 0 {
		return "nothing"
	}
	names := make([]string, 0, len(m))
	for k := range m {
		names = append(names, fail.Shorten(k))
	}
	sort.Strings(names)
	if len(names) > 12 {
		names = append(names[:12], "…")
	}
	return strings.Join(names, ", ")
}

func describe(v any) string {
	switch v.(type) {
	case nil:
		return "null"
	case bool:
		return "true or false"
	}
	return "a number"
}

// unique drops objects named more than once: an event arrives at least once, and so do its records.
func unique(in []Object) []Object {
	type id struct{ bucket, key, version, etag string }
	seen := make(map[id]bool, len(in))
	out := in[:0]
	for _, o := range in {
		if k := (id{o.Bucket, o.Key, o.VersionID, o.ETag}); !seen[k] {
			seen[k] = true
			out = append(out, o)
		}
	}
	return out
}
