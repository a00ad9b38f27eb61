package job

import (
	"context"
	"errors"
	"io"
	"time"

	"github.com/sluice-data/sluice/internal/fail"
	"github.com/sluice-data/sluice/internal/objstore"
	"github.com/sluice-data/sluice/pipeline"
	"github.com/sluice-data/sluice/sources"
	"github.com/sluice-data/sluice/transforms"
)

// Validate checks the pipeline file; with an input given it binds every step to the input's real schema and holds the targets against the
// rows as a run does, else it binds to the declared columns and asks no target. It reads only heads, and says in one line what it checked.
func Validate(ctx context.Context, opt Options) (string, error) {
	j := &job{opt: &opt, started: time.Now(), progress: &pipeline.Progress{}}
	defer j.closeTargets()
	p, b, err := j.look(ctx)
	if err != nil {
		return "", err
	}
	switch {
	case p == nil:
		return j.pipe.File + ": valid as a file; give an input to bind its steps to a schema", b.known()
	case p.source == nil:
		return j.pipe.File + ": valid, bound to its declared columns", nil
	}
	if j.dir == (objstore.Ref{}) && len(j.pipe.Sink.Targets) > 0 {
		return j.pipe.File + ": valid, bound to " + j.infos[0].Ref.String() + "; its targets were not asked, since sink.uri is not known", p.close()
	}
	if err := j.preflight(ctx, b, p); err != nil {
		return "", errors.Join(err, p.close())
	}
	return j.pipe.File + ": valid, bound to " + j.infos[0].Ref.String(), p.close()
}

// Explain prints the plan, bound as Validate does it.
func Explain(ctx context.Context, opt Options) (string, error) {
	j := &job{opt: &opt, started: time.Now(), progress: &pipeline.Progress{}}
	defer j.closeTargets()
	p, b, err := j.look(ctx)
	if err != nil {
		return "", err
	}
	if p == nil {
		return "", fail.Newf(fail.Usage, "explain needs a schema to bind to: declare schema.columns or give an input").In(j.pipe.File)
	}
	return p.explain(b) + j.explainTargets(), p.close()
}

// look binds the plan to the input's schema, or to the declared one if no input is given (its source is then nil). The
// plan is nil where neither is known.
func (j *job) look(ctx context.Context) (*plan, *binder, error) {
	if err := j.prepare(ctx); err != nil {
		return nil, nil, err
	}
	if err := j.settleSink(); err != nil && !errors.Is(err, errNoSink) && !j.comesWithEvent(err) {
		return nil, nil, err
	}
	if err := j.findReferences(ctx); err != nil {
		return nil, nil, err
	}
	if err := j.findUnions(ctx); err != nil {
		return nil, nil, err
	}
	if err := j.describeReferences(ctx, false); err != nil {
		return nil, nil, err
	}
	if err := j.resolve(ctx); errors.Is(err, errNoInput) || j.comesWithEvent(err) {
		in := j.intakes()
		b := &binder{pipe: j.pipe, in: in[0], unions: j.unions, sizes: j.sizes, env: j.env}
		if j.pipe.Schema.Mode != string(sources.Strict) {
			return nil, b, nil
		}
		p := &plan{read: declared(j.pipe.Schema.Columns), unions: j.unions}
		if err := b.declared(ctx, p); err != nil {
			return nil, nil, errors.Join(err, p.close())
		}
		return p, b, j.checkSink(ctx, p, in)
	} else if err != nil {
		return nil, nil, err
	}
	in := j.intakes()
	b := &binder{pipe: j.pipe, in: in[0], unions: j.unions, sizes: j.sizes, env: j.env, relock: j.opt.UpdateLock}
	p, err := b.bind(ctx, false)
	if err != nil {
		return nil, nil, err
	}
	if j.opt.UpdateLock {
		if err := updateLock(ctx, j.store, j.pipe, p.read); err != nil {
			return nil, nil, errors.Join(err, p.close())
		}
	}
	if err := j.checkSink(ctx, p, in); err != nil {
		return nil, nil, errors.Join(err, p.close())
	}
	return p, b, nil
}

// comesWithEvent reports whether err is no more than a variable in source.uri or sink.uri that the event of a run sets, and there is none.
func (j *job) comesWithEvent(err error) bool {
	return err != nil && (errors.Is(err, j.pipe.Source.URIErr) || errors.Is(err, j.pipe.Sink.URIErr)) && len(j.req.uris) == 0 && len(j.req.ev.Objects) == 0
}

// checkSink holds the plan's schema against the destination, which writes nothing before its first row, and opens the targets.
func (j *job) checkSink(ctx context.Context, p *plan, in intakes) error {
	c, err := j.committer(ctx, p, in)
	if err != nil {
		return err
	}
	if err := c.Abort(ctx); err != nil || j.dir == (objstore.Ref{}) {
		return err
	}
	if j.runID = "RUN_ID"; len(j.infos) > 0 && j.refs.pinned() {
		j.nameRun()
	}
	return j.openTargets(columnsOf(p.out, j.pipe.Sink.PartitionBy))
}

// declared binds p to the declared columns of the input, of which there is none, and to the columns of its unions.
func (b *binder) declared(ctx context.Context, p *plan) error {
	for _, u := range p.unions {
		if err := u.describe(ctx, b, false); err != nil {
			return err
		}
	}
	return b.steps(p, p.read)
}

// known checks the names of the steps, which is all that can be checked without a schema.
func (b *binder) known() error {
	for _, s := range b.pipe.Steps {
		if _, err := transforms.Find(s); err != nil {
			return err
		}
	}
	return nil
}

func readObject(ctx context.Context, store objstore.Store, info objstore.Info) ([]byte, error) {
	rc, err := store.ReadRange(ctx, info, 0, info.Size)
	if err != nil {
		return nil, err
	}
	defer rc.Close()
	return io.ReadAll(rc)
}
