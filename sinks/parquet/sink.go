// Package parquet is the destination that writes Parquet files: a column-chunk encoder of its own, straight from Arrow
// arrays, over parquet-go's format and thrift packages, and parquet-go's reader to verify what the store gives back.
package parquet

import (
	"context"
	"fmt"
	"sync/atomic"

	"github.com/apache/arrow/go/v17/arrow/memory"
	"github.com/parquet-go/parquet-go/format"
	"golang.org/x/sync/errgroup"

	"github.com/sluice-data/sluice/internal/fail"
	"github.com/sluice-data/sluice/internal/objstore"
	"github.com/sluice-data/sluice/pipeline"
	"github.com/sluice-data/sluice/sinks"
)

func init() {
	sinks.Register(sinks.Destination{
		Name: "parquet",
		Doc: "Parquet files part-<run id>-<nnnnn>.parquet below uri, in row order, each of about target_file_size. They are " +
			"uploaded while the run goes on and become visible together at its commit, after which each footer is read back.",
		Example: "sink:\n  uri: s3://curated/trips_daily/\n  target_file_size: 256MB\n  parquet: {compression: zstd, level: 3}\n",
		Open: func(_ context.Context, req sinks.Request) (sinks.Sink, error) {
			s, err := New(req)
			if err != nil {
				return nil, err
			}
			return s, nil
		},
	})
}

const contentType = "application/vnd.apache.parquet"

// abortsAtOnce is how many uploads are given up at the same time: a run may have thousands open, and seconds to go.
const abortsAtOnce = 16

// Sink writes row groups to files in row order. Its uploads stay open until Commit.
type Sink struct {
	req      sinks.Request
	set      settings
	elements []format.SchemaElement
	leaves   []leaf

	pool     blockPool
	encoders atomic.Int64 // bytes the encoders hold
	metadata atomic.Int64 // bytes of footers in the making

	files     []*file // the last one is being written unless finished
	ended     bool    // Commit or Abort was called
	published []sinks.File
}

var _ sinks.Sink = (*Sink)(nil)

// New checks the schema and the options. Errors are of kind Usage: a type Parquet has no place for (null, duration, union
// …), names used twice, an unknown codec or level. Nothing is written yet.
func New(req sinks.Request) (*Sink, error) {
	set, err := settle(req)
	if err != nil {
		return nil, err
	}
	elements, leaves, err := buildSchema(req.Schema)
	if err != nil {
		return nil, err
	}
	return &Sink{req: req, set: set, elements: elements, leaves: leaves}, nil
}

// NewEncoder makes the encoder of one lane. It takes its memory from reused buffers of its own, not from mem.
func (s *Sink) NewEncoder(memory.Allocator) (pipeline.Encoder, error) {
	return newEncoder(s.req.Schema, s.leaves, s.set, &s.pool, &s.encoders)
}

// Write appends b's row group to the current file, or to a new one where that brings the file nearer to its target size.
// It releases b. A block without rows leaves no trace.
func (s *Sink) Write(ctx context.Context, b pipeline.Block) error {
	defer b.Release()
	blk, ok := b.(*block)
	switch {
	case !ok:
		return fail.Newf(fail.Internal, "write parquet: block is a %T", b)
	case s.ended:
		return fail.Newf(fail.Internal, "write parquet: the sink has ended")
	case blk.rows == 0:
		return nil
	}
	if err := ctx.Err(); err != nil {
		return fail.Newf(fail.Temporary, "write parquet: %w", err)
	}
	f := s.current()
	if f != nil && f.rows > 0 && s.full(f, int64(len(blk.body.buf))) {
		if err := s.finish(ctx, f); err != nil {
			return err
		}
		f = nil
	}
	if f == nil {
		var err error
		if f, err = s.open(ctx); err != nil {
			return err
		}
	}
	before := f.memory
	err := f.append(s.leaves, blk)
	s.metadata.Add(f.memory - before)
	return err
}

// full says whether f is nearer to the target size without n bytes more.
func (s *Sink) full(f *file, n int64) bool {
	return len(f.groups) >= maxRowGroups || f.off+n-s.set.fileSize > s.set.fileSize-f.off
}

// current is the file being written, or nil.
func (s *Sink) current() *file {
	if n := len(s.files); n > 0 && !s.files[n-1].finished {
		return s.files[n-1]
	}
	return nil
}

func (s *Sink) open(ctx context.Context) (*file, error) {
	ref := part(s.req.Dir, s.req.RunID, len(s.files))
	up, err := s.req.Store.Upload(ctx, ref, contentType)
	if err != nil {
		return nil, err
	}
	f := &file{ref: ref, upload: up}
	s.files = append(s.files, f)
	return f, nil
}

// part is the object of the run's nth file.
func part(dir objstore.Ref, runID string, n int) objstore.Ref {
	return dir.Join(fmt.Sprintf("part-%s-%05d.parquet", runID, n))
}

func (s *Sink) finish(ctx context.Context, f *file) error {
	held := f.memory
	if err := f.finish(ctx, s.elements, len(s.leaves), s.req.KeyValue, s.req.CreatedBy); err != nil {
		return err
	}
	s.metadata.Add(-held)
	return nil
}

// Commit completes all uploads, reads every footer back from the store and sets l.Written to the rows found there. A run
// without rows leaves one file with none. On error the uploads that are still open are aborted; files that were completed
// already are not deleted, because another attempt of the run has files of the same names: Leftovers clears them.
func (s *Sink) Commit(ctx context.Context, l *pipeline.Ledger) error {
	if s.ended {
		return fail.Newf(fail.Internal, "commit parquet: the sink has ended")
	}
	s.ended = true
	files, err := s.publish(ctx)
	if err != nil {
		actx, cancel := context.WithTimeout(context.WithoutCancel(ctx), pipeline.AbortTimeout)
		defer cancel()
		if aerr := s.abort(actx); aerr != nil {
			return fail.Newf(fail.KindOf(err), "%w (then abort uploads: %v)", err, aerr)
		}
		return err
	}
	l.Written = 0
	for _, f := range files {
		l.Written += f.Rows
	}
	s.published = files
	return nil
}

func (s *Sink) publish(ctx context.Context) ([]sinks.File, error) {
	if len(s.files) == 0 {
		if _, err := s.open(ctx); err != nil {
			return nil, err
		}
	}
	if f := s.current(); f != nil {
		if err := s.finish(ctx, f); err != nil {
			return nil, err
		}
	}
	for _, f := range s.files {
		if err := ctx.Err(); err != nil {
			return nil, fail.Newf(fail.Temporary, "commit parquet: %w", err).In(f.ref.String())
		}
		info, err := f.upload.Complete(ctx)
		if err != nil {
			return nil, err
		}
		f.info, f.completed = info, true
	}
	out := make([]sinks.File, len(s.files))
	for i, f := range s.files {
		rows, err := f.verify(ctx, s.req.Store, s.elements)
		if err != nil {
			return nil, err
		}
		out[i] = sinks.File{URI: f.ref.String(), Ref: f.ref, Size: f.info.Size, Rows: rows, ETag: f.info.ETag}
	}
	return out, nil
}

// Abort gives all open uploads up until ctx ends. It goes on after an error and returns the first. It deletes no object.
func (s *Sink) Abort(ctx context.Context) error {
	s.ended = true
	return s.abort(ctx)
}

func (s *Sink) abort(ctx context.Context) error {
	var g errgroup.Group
	g.SetLimit(abortsAtOnce)
	for _, f := range s.files {
		if f.completed {
			continue
		}
		g.Go(func() error {
			if err := ctx.Err(); err != nil {
				return fail.Newf(fail.Temporary, "abort upload: no time is left: %w", err).In(f.ref.String())
			}
			return fail.Guard("abort upload", func() error { return f.upload.Abort(ctx) })
		})
	}
	return g.Wait()
}

// Files are the objects Commit published, in row order; nil before it succeeded.
func (s *Sink) Files() []sinks.File { return s.published }

// Memory is about how many bytes encoders, blocks and footers in the making hold. The uploads' own part buffers come on
// top. It may be called at any time.
func (s *Sink) Memory() int64 { return s.encoders.Load() + s.pool.held.Load() + s.metadata.Load() }
