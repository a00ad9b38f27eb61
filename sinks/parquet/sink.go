// Package parquet is the destination that writes Parquet files: a column-chunk encoder of its own, straight from Arrow
// arrays, over parquet-go's format and thrift packages, and parquet-go's reader to verify what the store gives back.
package parquet

import (
	"context"
	"fmt"
	"sync/atomic"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/memory"
	"github.com/parquet-go/parquet-go/format"
	"golang.org/x/sync/errgroup"

	"github.com/sluice-data/sluice/internal/fail"
	"github.com/sluice-data/sluice/internal/hive"
	"github.com/sluice-data/sluice/internal/objstore"
	"github.com/sluice-data/sluice/pipeline"
	"github.com/sluice-data/sluice/sinks"
)

func init() {
	sinks.Register(sinks.Destination{
		Name: "parquet",
		Doc: "Parquet files part-<run id>-<nnnnn>.parquet below uri, in row order, each of about target_file_size. They are " +
			"uploaded while the run goes on and become visible together at its commit, after which each footer is read back. " +
			"With partition_by each partition's rows are in a folder of their own, day=2024-01-01/, and the partition columns are in the folders' names only.",
		Example: "sink:\n  uri: s3://curated/trips_daily/\n  target_file_size: 256MB\n  parquet: {compression: zstd, level: 3}\n",
		Open: func(_ context.Context, req sinks.Request) (sinks.Sink, error) {
			s, err := New(req)
			if err != nil {
				return nil, err
			}
			return s, nil
		},
		Tidy: tidy,
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
	schema   *arrow.Schema // of the files
	parts    *partitioning // nil: all rows go to one folder

	pool     blockPool
	encoders atomic.Int64 // bytes the encoders hold
	metadata atomic.Int64 // bytes of footers in the making

	files     []*file // the last one is being written unless finished
	folders   []string
	numbers   map[string]int // files by folder
	sender    *sender        // of a partitioned sink, from the first Write on
	flushed   bool           // Flush was called
	flushErr  error          // what came of it
	ended     bool           // Commit or Abort was called
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
	parts, err := newPartitioning(req)
	if err != nil {
		return nil, err
	}
	s := &Sink{req: req, set: set, schema: req.Schema, parts: parts, numbers: map[string]int{}}
	if parts != nil {
		s.schema = parts.files
	}
	if s.elements, s.leaves, err = buildSchema(s.schema); err != nil {
		return nil, err
	}
	return s, nil
}

// NewEncoder makes the encoder of one lane. It takes its memory from reused buffers of its own, not from mem.
func (s *Sink) NewEncoder(memory.Allocator) (pipeline.Encoder, error) {
	e, err := newEncoder(s.schema, s.leaves, s.set, &s.pool, &s.encoders)
	if err != nil || s.parts == nil {
		return e, err
	}
	return &partitionEncoder{e, s.parts}, nil
}

// Write appends b's row group to the current file, or to a new one where that brings the file nearer to its target size, or
// where another partition begins. It releases b. A block without rows leaves no trace.
func (s *Sink) Write(ctx context.Context, b pipeline.Block) error {
	kept := false
	defer func() {
		if !kept {
			b.Release()
		}
	}()
	at := &partitionBlock{}
	switch b := b.(type) {
	case *block:
		at.block = b
	case *partitionBlock:
		at = b
	}
	switch {
	case at.block == nil || (at.values != nil) != (s.parts != nil) && at.rows > 0:
		return fail.Newf(fail.Internal, "write parquet: block is a %T", b)
	case s.ended, s.flushed:
		return fail.Newf(fail.Internal, "write parquet: the sink has ended")
	case at.rows == 0:
		return nil
	}
	if err := ctx.Err(); err != nil {
		return fail.Newf(fail.Temporary, "write parquet: %w", err)
	}
	f := s.current()
	if f != nil && (f.folder != at.folder || f.has() && s.full(f, int64(len(at.body.buf)))) {
		if err := s.finish(ctx, f); err != nil {
			return err
		}
		f = nil
	}
	if f == nil {
		f = s.next(at)
		if s.parts == nil {
			if err := s.open(ctx, f); err != nil {
				return err
			}
		}
	}
	if s.parts == nil {
		return s.append(f, at.block)
	}
	f.waiting = append(f.waiting, at.block)
	f.held += int64(len(at.body.buf))
	kept = true
	if f.upload == nil && f.held < wholeFile {
		return nil
	}
	return s.flush(s.background(ctx).ctx, f)
}

// background is the sender, which lives as long as ctx: until the run has committed or failed.
func (s *Sink) background(ctx context.Context) *sender {
	if s.sender == nil {
		s.sender = newSender(ctx)
	}
	return s.sender
}

// flush writes the blocks that wait in f.
func (s *Sink) flush(ctx context.Context, f *file) error {
	defer f.release()
	if f.upload == nil {
		if err := s.open(ctx, f); err != nil {
			return err
		}
	}
	for _, b := range f.waiting {
		if err := s.append(f, b); err != nil {
			return err
		}
	}
	return nil
}

func (s *Sink) append(f *file, b *block) error {
	before := f.memory
	err := f.append(s.leaves, b)
	s.metadata.Add(f.memory - before)
	return err
}

// full says whether f has all the row groups it may have, or is nearer to the target size without n bytes more.
func (s *Sink) full(f *file, n int64) bool {
	size := f.off + f.held
	groups := len(f.groups) + len(f.waiting)
	return groups >= maxRowGroups || (groups+1)*len(s.leaves) > maxChunks || size+n-s.set.fileSize > s.set.fileSize-size
}

// current is the file being written, or nil.
func (s *Sink) current() *file {
	if n := len(s.files); n > 0 && !s.files[n-1].ended {
		return s.files[n-1]
	}
	return nil
}

// next begins a file in b's folder.
func (s *Sink) next(b *partitionBlock) *file {
	f := &file{folder: b.folder, ref: part(s.req.Dir, b.folder, s.req.RunID, s.numbers[b.folder])}
	if s.parts != nil {
		f.partition = make(map[string]hive.Value, len(b.values))
		for i, v := range b.values {
			f.partition[s.parts.names[i]] = v
		}
		if s.numbers[b.folder] == 0 {
			s.folders = append(s.folders, b.folder)
		}
	}
	s.numbers[b.folder]++
	s.files = append(s.files, f)
	return f
}

// open begins f's upload.
func (s *Sink) open(ctx context.Context, f *file) error {
	up, err := s.req.Store.Upload(ctx, f.ref, contentType)
	if err != nil {
		return err
	}
	f.upload = up
	return nil
}

// part is the object of the run's nth file in a folder.
func part(dir objstore.Ref, folder, runID string, n int) objstore.Ref {
	return dir.Join(fmt.Sprintf("%spart-%s-%05d.parquet", folder, runID, n))
}

// finish ends f: all of it goes to the store, in the background where there may be many.
func (s *Sink) finish(ctx context.Context, f *file) error {
	f.ended = true
	if s.parts == nil {
		return s.close(ctx, f)
	}
	err := s.background(ctx).send(f.held, func(ctx context.Context) error {
		if err := s.flush(ctx, f); err != nil {
			return err
		}
		return s.close(ctx, f)
	})
	return err
}

// close writes f's footer and waits until the store has all of it.
func (s *Sink) close(ctx context.Context, f *file) error {
	held := f.memory
	if err := f.finish(ctx, s.elements, len(s.leaves), s.req.KeyValue, s.req.CreatedBy); err != nil {
		return err
	}
	s.metadata.Add(-held)
	return nil
}

// Commit completes all uploads, reads every footer back from the store and sets l.Written to the rows found there. A run
// without rows leaves one file with none. On error the uploads that are still open are aborted; files that were completed
// already are not deleted, because another attempt of the run has files of the same names: what commits clears them.
func (s *Sink) Commit(ctx context.Context, l *pipeline.Ledger) error {
	if s.ended {
		return fail.Newf(fail.Internal, "commit parquet: the sink has ended")
	}
	var files []sinks.File
	err := s.Flush(ctx)
	s.ended = true
	if err == nil {
		files, err = s.publish(ctx)
	}
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

// Flush brings everything to the store: after it each file is an open upload that only has to be completed. Nothing is written
// after it.
func (s *Sink) Flush(ctx context.Context) error {
	if !s.flushed && !s.ended {
		s.flushed = true
		s.flushErr = s.flushAll(ctx)
	}
	return s.flushErr
}

func (s *Sink) flushAll(ctx context.Context) error {
	if len(s.files) == 0 && s.parts == nil {
		if err := s.open(ctx, s.next(&partitionBlock{})); err != nil {
			return err
		}
	}
	if f := s.current(); f != nil {
		if err := s.finish(ctx, f); err != nil {
			return err
		}
	}
	if s.sender != nil {
		return s.sender.wait()
	}
	return nil
}

func (s *Sink) publish(ctx context.Context) ([]sinks.File, error) {
	atOnce := 1 // in order: a file that stands says that those before it do
	if s.parts != nil {
		atOnce = filesAtOnce
	}
	if s.sender != nil {
		defer s.sender.stop()
	}
	if err := each(len(s.files), atOnce, func(i int) error {
		f := s.files[i]
		if err := ctx.Err(); err != nil {
			return fail.Newf(fail.Temporary, "commit parquet: %w", err).In(f.ref.String())
		}
		info, err := f.upload.Complete(ctx)
		if err != nil {
			return err
		}
		f.info, f.completed = info, true
		return nil
	}); err != nil {
		return nil, err
	}
	out := make([]sinks.File, len(s.files))
	err := each(len(s.files), atOnce, func(i int) error {
		f := s.files[i]
		rows, err := f.verify(ctx, s.req.Store, s.elements)
		out[i] = sinks.File{URI: f.ref.String(), Ref: f.ref, Size: f.info.Size, Rows: rows, ETag: f.info.ETag, Partition: f.partition}
		return err
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// Abort gives all open uploads up until ctx ends. It goes on after an error and returns the first. It deletes no object.
func (s *Sink) Abort(ctx context.Context) error {
	s.ended = true
	return s.abort(ctx)
}

func (s *Sink) abort(ctx context.Context) error {
	if s.sender != nil {
		s.sender.stop()
		_ = s.sender.wait() // why the run failed, or that it was stopped
	}
	var g errgroup.Group
	g.SetLimit(abortsAtOnce)
	for _, f := range s.files {
		f.release()
		if f.completed || f.upload == nil {
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
