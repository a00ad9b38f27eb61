package event

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sluice-data/sluice/internal/fail"
)

var rewrite = flag.Bool("rewrite", false, "write the expectations of testdata/events.txt anew")

// print shows an event in a few lines.
func print(e Event) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s", e.Kind)
	if e.ID != "" {
		fmt.Fprintf(&b, " id=%s", e.ID)
	}
	if !e.Time.IsZero() {
		fmt.Fprintf(&b, " time=%s", e.Time.Format(time.RFC3339Nano))
	}
	if !e.Scheduled.IsZero() {
		fmt.Fprintf(&b, " scheduled=%s", e.Scheduled.Format(time.RFC3339Nano))
	}
	for _, o := range e.Objects {
		fmt.Fprintf(&b, "\n  %s %s", o.Bucket, o.Key)
		for _, f := range [][2]string{{"etag", o.ETag}, {"version", o.VersionID}, {"sequencer", o.Sequencer}} {
			if f[1] != "" {
				fmt.Fprintf(&b, " %s=%s", f[0], f[1])
			}
		}
		if o.Size >= 0 {
			fmt.Fprintf(&b, " size=%d", o.Size)
		}
	}
	return b.String()
}

// TestEvents: each event of testdata/events.txt gives the objects and times, or the error, beneath it.
func TestEvents(t *testing.T) {
	const name = "testdata/events.txt"
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	blocks := strings.Split(string(text), "\n=== ")
	var out strings.Builder
	out.WriteString(blocks[0])
	for _, b := range blocks[1:] {
		title, rest, _ := strings.Cut(b, "\n")
		in, want, ok := strings.Cut(rest, ">>>")
		if !ok {
			t.Fatalf("%s: no >>> line", title)
		}
		e, err := Parse([]byte(in))
		got := print(e)
		if err != nil {
			got = "error: " + err.Error()
		}
		out.WriteString("\n=== " + title + "\n" + in + ">>> " + got + "\n")
		if *rewrite {
			continue
		}
		t.Run(title, func(t *testing.T) {
			if want := strings.TrimSpace(want); got != want {
				t.Errorf("got\n%s\nwant\n%s", got, want)
			}
			if err != nil && (fail.KindOf(err) != fail.Usage || strings.Contains(got, "\n")) {
				t.Errorf("not a one-line usage error: %v", err)
			}
		})
	}
	if *rewrite {
		if err := os.WriteFile(name, []byte(out.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func TestFromEnv(t *testing.T) {
	for _, c := range []struct {
		name string
		env  map[string]string
		want string
	}{
		{"nothing", nil, ""},
		{"bucket and key", map[string]string{"INPUT_BUCKET": "raw", "INPUT_KEY": "a b+%20.csv"}, "environment\n  raw a b+%20.csv"},
		{"everything", map[string]string{"INPUT_BUCKET": "raw", "INPUT_KEY": "k", "INPUT_VERSION_ID": "v", "INPUT_ETAG": `"e"`, "INPUT_SIZE": "12", "INPUT_SEQUENCER": "0A",
			"EVENT_ID": "i", "EVENT_TIME": "2026-11-22T10:00:00+02:00", "SCHEDULED_TIME": "2026-11-22T09:00:00Z"},
			"environment id=i time=2026-11-22T08:00:00Z scheduled=2026-11-22T09:00:00Z\n  raw k etag=e version=v sequencer=0A size=12"},
		{"left-over placeholders", map[string]string{"INPUT_BUCKET": "Ref::bucket", "INPUT_KEY": "Ref::key", "INPUT_SIZE": "Ref::size", "EVENT_TIME": "Ref::time"}, ""},
		{"a hole for the version", map[string]string{"INPUT_BUCKET": "raw", "INPUT_KEY": "k", "INPUT_VERSION_ID": "Ref::version"}, "environment\n  raw k"},
		{"a schedule", map[string]string{"SCHEDULED_TIME": "2026-11-22T09:00:00Z"}, " scheduled=2026-11-22T09:00:00Z"},
		{"key alone", map[string]string{"INPUT_KEY": "k"}, "error: INPUT_KEY is set but INPUT_BUCKET is not: an object needs both"},
		{"bucket alone", map[string]string{"INPUT_BUCKET": "b", "INPUT_KEY": "Ref::k"}, "error: INPUT_BUCKET is set but INPUT_KEY is not: an object needs both"},
		{"size", map[string]string{"INPUT_BUCKET": "b", "INPUT_KEY": "k", "INPUT_SIZE": "big"}, `error: INPUT_SIZE is not a number of bytes: "big"`},
		{"time", map[string]string{"EVENT_TIME": "noon"}, `error: EVENT_TIME is not a time such as 2026-11-22T10:00:00Z: "noon"`},
	} {
		e, err := FromEnv(func(k string) string { return c.env[k] })
		got := print(e)
		if err != nil {
			got = "error: " + err.Error()
		}
		if got != c.want {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
	}
}

func TestVars(t *testing.T) {
	at := time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		e    Event
		want string
	}{
		{Event{}, ""},
		{Event{ID: "i", Time: at, Objects: []Object{{Bucket: "b", Key: "k"}}}, "BUCKET=b EVENT_ID=i EVENT_TIME=2026-11-22T10:00:00Z KEY=k"},
		{Event{Scheduled: at}, "SCHEDULED_TIME=2026-11-22T10:00:00Z"},
		{Event{Objects: []Object{{Bucket: "b", Key: "k"}, {Bucket: "b", Key: "l"}}}, "BUCKET=b"},
		{Event{Objects: []Object{{Bucket: "b", Key: "k"}, {Bucket: "c", Key: "l"}, {Bucket: "b", Key: "m"}}}, ""},
	} {
		vars := c.e.Vars()
		var got []string
		for _, k := range slices.Sorted(maps.Keys(vars)) {
			got = append(got, k+"="+vars[k])
		}
		if g := strings.Join(got, " "); g != c.want {
			t.Errorf("%v gives %q, want %q", c.e, g, c.want)
		}
	}
}

func TestUnset(t *testing.T) {
	for v, want := range map[string]bool{"": true, "Ref::key": true, "key": false, "a/Ref::b": false, "ref::x": false} {
		if Unset(v) != want {
			t.Errorf("Unset(%q) is %t", v, !want)
		}
	}
}

// FuzzParse: no text panics; what is read names bucket and key of every object, and each object once.
func FuzzParse(f *testing.F) {
	text, err := os.ReadFile("testdata/events.txt")
	if err != nil {
		f.Fatal(err)
	}
	for _, b := range strings.Split(string(text), "\n=== ")[1:] {
		_, rest, _ := strings.Cut(b, "\n")
		in, _, _ := strings.Cut(rest, ">>>")
		f.Add(in)
	}
	f.Fuzz(func(t *testing.T, text string) {
		e, err := Parse([]byte(text))
		if err != nil {
			if fail.KindOf(err) != fail.Usage || strings.Contains(err.Error(), "\n") {
				t.Fatalf("error %q", err)
			}
			return
		}
		seen := map[Object]bool{}
		for _, o := range e.Objects {
			if o.Bucket == "" || o.Key == "" || seen[o] {
				t.Fatalf("object %+v", o)
			}
			seen[o] = true
		}
		if len(e.Objects) == 0 && e.Scheduled.IsZero() {
			t.Fatalf("nothing in %+v", e)
		}
		e.Vars()
	})
}
