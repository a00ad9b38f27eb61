package job

import (
	"context"
	"errors"
	"sync/atomic"

	"github.com/apache/arrow/go/v17/arrow"

	"github.com/sluice-data/sluice/internal/fail"
	"github.com/sluice-data/sluice/internal/objstore"
	"github.com/sluice-data/sluice/internal/spec"
	"github.com/sluice-data/sluice/pipeline"
	"github.com/sluice-data/sluice/sources"
)

// objects are a reference that is files, pinned when they are found.
type objects struct {
	job    *job
	spec   *spec.Reference
	infos  []objstore.Info
	format sources.Format
}

func (o *objects) late() bool { return false }

func (o *objects) find(ctx context.Context) (err error) {
	o.infos, err = expand(ctx, o.job.store, []string{o.spec.URI}, &head{})
	return err
}

func (o *objects) describe(ctx context.Context, fullScan bool) (*arrow.Schema, error) {
	in := o.job.intakeOf(o.infos, o.spec.Compression, &pipeline.Progress{})
	defer in.close()
	var err error
	if o.format, err = in.format(ctx, o.spec.Format); err != nil {
		return nil, err
	}
	src, err := o.format.Open(ctx, o.request(in, nil, fullScan))
	if err != nil {
		return nil, err
	}
	return src.Schema(), src.Close()
}

func (o *objects) request(in *intake, need map[string]bool, fullScan bool) sources.Request {
	req := requestOf(in, &o.spec.Source, &o.spec.Schema, o.format, o.job.sizes)
	req.Need, req.FullScan = need, fullScan
	return req
}

func (o *objects) versions(t *table) []LookupRef {
	var out []LookupRef
	for _, in := range inputRefs(o.infos) {
		l := LookupRef{InputRef: in}
		if t != nil {
			l.Rows = t.of[in.URI]
		}
		out = append(out, l)
	}
	return out
}

// read reads the columns that are used, on all lanes.
func (o *objects) read(ctx context.Context, r *reference, limit int64) (t *table, err error) {
	mem := o.job.tableMemory()
	in := o.job.intakeOf(o.infos, o.spec.Compression, &pipeline.Progress{})
	defer in.close()
	src, err := o.format.Open(ctx, o.request(in, r.used, true))
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, src.Close()) }()
	if err := unchanged(r.schema, src.Schema()); err != nil {
		return nil, err
	}
	var held atomic.Int64
	parts, err := readParts(ctx, src, mem, o.job.sizes.lanes, func(p *tablePart, rec arrow.Record) error {
		if held.Add(heldBy(rec)) > limit {
			return tooLarge(limit)
		}
		p.add(rec, r.onlyAdded, mem)
		return nil
	})
	defer releaseParts(parts)
	if err != nil {
		return nil, err
	}
	if got, want := in.consumed(), in.size(); !o.format.Seekable && got != want {
		return nil, fail.Newf(fail.Data, "%d of %d bytes were read", got, want)
	}
	return assemble(mem, src.Schema(), parts, held.Load())
}

// unchanged holds the columns against those that the steps were bound to.
func unchanged(bound, s *arrow.Schema) error {
	for _, f := range s.Fields() {
		if at := bound.FieldIndices(f.Name); len(at) == 0 || !arrow.TypeEqual(bound.Field(at[0]).Type, f.Type) {
			return fail.Newf(fail.Internal, "column %q was of another type when it was bound", f.Name)
		}
	}
	return nil
}
