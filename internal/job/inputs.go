package job

import (
	"context"
	"io"
	"os"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/sluice-data/sluice/internal/event"
	"github.com/sluice-data/sluice/internal/fail"
	"github.com/sluice-data/sluice/internal/objstore"
	"github.com/sluice-data/sluice/internal/spec"
)

// request is what the command line, the environment and the event say about the input, before the pipeline file.
type request struct {
	ev   event.Event
	vars map[string]string // for the pipeline file
	uris []string          // --input
	head *head             // filled by resolve
}

// head is the first bytes of the first input, where describing it brought them along.
type head struct{ bytes []byte }

// headBytes is what the formats look at before they read on.
const headBytes = 256 << 10

// readRequest takes the first of --input, --event or WORKER_EVENT, and INPUT_* that is set.
func readRequest(ctx context.Context, o *Options) (request, error) {
	r := request{head: &head{}}
	var err error
	for _, u := range o.Inputs {
		if !event.Unset(u) {
			r.uris = append(r.uris, u)
		}
	}
	if text, from, rerr := eventText(ctx, o); rerr != nil {
		return r, rerr
	} else if text != nil {
		if r.ev, err = event.Parse(text); err != nil && len(r.uris) > 0 {
			o.Log.Warn("the event is passed over: --input says what to read", "event", from, "error", err.Error())
			r.ev = event.Event{}
		} else if err != nil {
			return r, fail.Newf(fail.Usage, "read event %s: %w", from, err)
		}
	} else if len(r.uris) == 0 {
		if r.ev, err = event.FromEnv(o.Getenv); err != nil {
			return r, err
		}
	}
	r.vars = r.ev.Vars()
	// EVENT_ID and the like, where the event itself does not say. The object in INPUT_* is no matter here, nor what is wrong with it.
	env, err := event.FromEnv(func(name string) string {
		if strings.HasPrefix(name, "INPUT_") {
			return ""
		}
		return o.Getenv(name)
	})
	if err != nil {
		return r, err
	}
	for k, v := range env.Vars() {
		if r.vars[k] == "" {
			r.vars[k] = v
		}
	}
	if len(r.uris) > 0 {
		r.ev.Objects = nil
		delete(r.vars, "BUCKET")
		delete(r.vars, "KEY")
		if len(r.uris) == 1 && !objstore.HasGlob(r.uris[0]) {
			if ref, err := objstore.ParseRef(r.uris[0]); err == nil {
				r.vars["BUCKET"], r.vars["KEY"] = ref.Bucket, ref.Key
			}
		}
	}
	for k, v := range o.Set {
		r.vars[k] = v
	}
	return r, nil
}

// eventText is the event's JSON and where it came from, or nil if none is given.
func eventText(ctx context.Context, o *Options) ([]byte, string, error) {
	v := strings.TrimSpace(o.Event)
	switch {
	case event.Unset(v):
		return nil, "", nil
	case v == "-":
		return readStdin(ctx, o.Stdin)
	case v[0] == '{' || v[0] == '[' || v[0] == '"':
		return []byte(v), "from --event", nil
	}
	b, err := os.ReadFile(v)
	if err != nil {
		return nil, "", fail.Newf(fail.Usage, "read event file: %w", err)
	}
	return b, v, nil
}

// readStdin reads the event that somebody may never send: ctx ends the wait, not the read, which the process' end does.
func readStdin(ctx context.Context, stdin io.Reader) ([]byte, string, error) {
	type answer struct {
		text []byte
		err  error
	}
	got := make(chan answer, 1)
	go func() {
		b, err := io.ReadAll(io.LimitReader(stdin, maxEvent))
		got <- answer{b, err}
	}()
	select {
	case a := <-got:
		if a.err != nil {
			return nil, "", fail.Newf(fail.Usage, "read event from standard input: %w", a.err)
		}
		return a.text, "from standard input", nil
	case <-ctx.Done():
		return nil, "", context.Cause(ctx)
	}
}

// maxEvent is far above what EventBridge delivers (256 KiB, 1 MiB lately).
const maxEvent = 64 << 20

// resolve finds the objects to read, each in the version that the event names, in a stable order.
func resolve(ctx context.Context, store objstore.Store, r request, p *spec.Pipeline) ([]objstore.Info, error) {
	switch {
	case len(r.uris) > 0:
		return expand(ctx, store, r.uris, r.head)
	case len(r.ev.Objects) > 0:
		refs, pins := make([]objstore.Ref, len(r.ev.Objects)), make([]objstore.Pin, len(r.ev.Objects))
		for i, obj := range r.ev.Objects {
			refs[i], pins[i] = objstore.Ref{Bucket: obj.Bucket, Key: obj.Key}, objstore.Pin{ETag: obj.ETag, VersionID: obj.VersionID}
		}
		return stat(ctx, store, refs, pins, r.head)
	case p.Source.URIErr != nil:
		return nil, p.Source.URIErr
	case p.Source.URI != "" && !event.Unset(p.Source.URI):
		return expand(ctx, store, []string{p.Source.URI}, r.head)
	}
	return nil, errNoInput
}

var errNoInput = fail.Newf(fail.Usage, "no input: give --input URI, --event, INPUT_BUCKET and INPUT_KEY, or source.uri in the pipeline file")

// statAtOnce is how many objects are described at the same time.
const statAtOnce = 32

// stat describes the objects at refs, in that order; the error is that of the first one that has one. The head of the very
// first comes along.
func stat(ctx context.Context, store objstore.Store, refs []objstore.Ref, pins []objstore.Pin, first *head) ([]objstore.Info, error) {
	infos, errs := make([]objstore.Info, len(refs)), make([]error, len(refs))
	var g errgroup.Group
	g.SetLimit(statAtOnce)
	for i, ref := range refs {
		g.Go(func() error {
			errs[i] = fail.Guard("stat object", func() (err error) {
				if i == 0 {
					infos[i], first.bytes, err = objstore.StatHead(ctx, store, ref, pins[i], headBytes)
				} else {
					infos[i], err = store.Stat(ctx, ref, pins[i])
				}
				return err
			})
			return nil
		})
	}
	_ = g.Wait() // the errors are in errs
	for _, err := range errs {
		if err != nil {
			return nil, err
		}
	}
	return infos, nil
}

// expand resolves URIs with globs and prefixes. One that matches nothing is an error: an empty result would look like
// success.
func expand(ctx context.Context, store objstore.Store, uris []string, first *head) ([]objstore.Info, error) {
	var out []objstore.Info
	before, listed := 0, false
	for i := 0; i < len(uris); i++ {
		ref, err := objstore.ParseRef(uris[i])
		if err != nil {
			return nil, err
		}
		if names(ref) {
			refs := []objstore.Ref{ref}
			for ; i+1 < len(uris); i++ { // a shell may have made thousands of them
				next, err := objstore.ParseRef(uris[i+1])
				if err != nil || !names(next) {
					break
				}
				refs = append(refs, next)
			}
			of := first
			if len(out) > 0 {
				of = &head{}
			}
			infos, err := stat(ctx, store, refs, make([]objstore.Pin, len(refs)), of)
			if err != nil {
				return nil, err
			}
			out = append(out, infos...)
			continue
		}
		before, listed = len(out), true
		for info, err := range objstore.Glob(ctx, store, ref) {
			if err != nil {
				return nil, err
			}
			out = append(out, info)
		}
		if len(out) == before {
			return nil, fail.Newf(fail.Input, "no object matches it").In(uris[i])
		}
	}
	if out = unique(out); len(out) == 1 && listed {
		// A listing says nothing of versions, an event does: one object makes the same run, however it was named.
		return stat(ctx, store, []objstore.Ref{out[0].Ref}, []objstore.Pin{{ETag: out[0].ETag}}, first)
	}
	return out, nil
}

// names says that ref is one object's name, no glob or prefix.
func names(ref objstore.Ref) bool {
	return !objstore.HasGlob(ref.Key) && !strings.HasSuffix(ref.Key, "/") && ref.Key != ""
}

// unique keeps the first of objects that several URIs name: a row is read once.
func unique(in []objstore.Info) []objstore.Info {
	seen := make(map[objstore.Ref]bool, len(in))
	out := in[:0]
	for _, i := range in {
		if !seen[i.Ref] {
			seen[i.Ref] = true
			out = append(out, i)
		}
	}
	return out
}

func inputRefs(infos []objstore.Info) []InputRef {
	out := make([]InputRef, len(infos))
	for i, f := range infos {
		out[i] = InputRef{URI: f.Ref.String(), Size: f.Size, ETag: f.ETag, VersionID: f.VersionID}
	}
	return out
}
