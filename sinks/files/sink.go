package files

import (
	"context"
	"fmt"
	"sync/atomic"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/memory"
	"golang.org/x/sync/errgroup"

	"github.com/sluice-data/sluice/internal/fail"
	"github.com/sluice-data/sluice/internal/objstore"
	"github.com/sluice-data/sluice/pipeline"
	"github.com/sluice-data/sluice/sinks"
)

const defaultFileSize = 256 << 20

// abortsAtOnce is how many uploads are given up at the same time: a run may have thousands open, and seconds to go.
const abortsAtOnce = 16

// Sink writes blocks to files in row order. Its uploads stay open until Commit.
type Sink struct {
	format Format
	req    sinks.Request
	size   int64         // that a file should have
	schema *arrow.Schema // of the files
	writer Writer
	parts  *partitioning // nil: all rows go to one folder

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

// New checks the schema and the options. Errors are of kind Usage. Nothing is written yet.
func New(f Format, req sinks.Request) (*Sink, error) {
	switch {
	case req.TargetFileSize < 0:
		return nil, fail.Newf(fail.Usage, "target file size is negative: %d", req.TargetFileSize)
	case req.TargetFileSize == 0:
		req.TargetFileSize = defaultFileSize
	}
	parts, err := newPartitioning(req)
	if err != nil {
		return nil, err
	}
	s := &Sink{format: f, req: req, size: req.TargetFileSize, schema: req.Schema, parts: parts, numbers: map[string]int{}}
	if parts != nil {
		s.schema = parts.files
	}
	if s.writer, err = f.Open(Request{Schema: s.schema, SortedBy: inFiles(req), Options: req.Options, KeyValue: req.KeyValue, CreatedBy: req.CreatedBy}); err != nil {
		return nil, err
	}
	return s, nil
}

// NewEncoder makes the encoder of one lane.
func (s *Sink) NewEncoder(mem memory.Allocator) (pipeline.Encoder, error) {
	e, err := s.writer.NewEncoder(mem)
	if err != nil {
		return nil, err
	}
	return &encoder{format: s.format.Name, schema: s.req.Schema, parts: s.parts, target: s.size, least: s.writer.Least(), to: e}, nil
}

// Write appends b to the current file, or to a new one where that brings the file nearer to its target size, or
// where another partition begins. It releases b. A block without rows leaves no trace.
func (s *Sink) Write(ctx context.Context, b pipeline.Block) error {
	defer b.Release()
	at, ok := b.(*block)
	switch {
	case !ok:
		return fail.Newf(fail.Internal, "write %s: block is a %T", s.format.Name, b)
	case s.ended, s.flushed:
		return fail.Newf(fail.Internal, "write %s: the sink has ended", s.format.Name)
	}
	for len(at.pieces) > 0 {
		piece := at.pieces[0]
		at.pieces = at.pieces[1:]
		if err := s.write(ctx, at, piece); err != nil {
			return err
		}
	}
	return nil
}

// write takes over a piece of b, which has its place.
func (s *Sink) write(ctx context.Context, b *block, piece Block) error {
	kept := false
	defer func() {
		if !kept {
			piece.Release()
		}
	}()
	if piece.Rows() == 0 {
		return nil
	}
	if err := ctx.Err(); err != nil {
		return fail.Newf(fail.Temporary, "write %s: %w", s.format.Name, err)
	}
	f := s.current()
	if f != nil && (f.folder != b.folder || f.has() && s.full(f, piece.Size())) {
		if err := s.finish(ctx, f); err != nil {
			return err
		}
		f = nil
	}
	if f == nil {
		f = s.next(b)
		if s.parts == nil {
			if err := s.open(ctx, f); err != nil {
				return err
			}
		}
	}
	if s.parts == nil {
		return s.append(f, piece)
	}
	f.waiting = append(f.waiting, piece)
	f.held += piece.Size()
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

func (s *Sink) append(f *file, b Block) error {
	before := f.content.Memory()
	err := f.content.Append(f, b)
	s.metadata.Add(f.content.Memory() - before)
	if err == nil {
		f.rows += b.Rows()
	}
	return err
}

// full says whether f has all the blocks it may have, or is nearer to the target size without n bytes more.
func (s *Sink) full(f *file, n int64) bool {
	size := f.off + f.held + f.content.Tail()
	return !f.content.Room(len(f.waiting)+1) || size+n-s.size > s.size-size
}

// current is the file being written, or nil.
func (s *Sink) current() *file {
	if n := len(s.files); n > 0 && !s.files[n-1].ended {
		return s.files[n-1]
	}
	return nil
}

// next begins a file in b's folder.
func (s *Sink) next(b *block) *file {
	f := &file{folder: b.folder, ref: s.part(b.folder, s.numbers[b.folder]), content: s.writer.NewFile()}
	if s.parts != nil {
		f.values = b.values
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
	up, err := s.req.Store.Upload(ctx, f.ref, s.writer.ContentType())
	if err != nil {
		return err
	}
	f.upload = up
	return nil
}

// part is the object of this attempt's nth file in a folder.
func (s *Sink) part(folder string, n int) objstore.Ref {
	return partRef(s.req.Dir, folder, s.req.RunID, s.req.Generation*sinks.GenerationSize+n, s.writer.Extension())
}

func partRef(dir objstore.Ref, folder, runID string, n int, ext string) objstore.Ref {
	return dir.Join(fmt.Sprintf("%s%s%05d%s", folder, prefixOf(runID), n, ext))
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

// close writes what f ends with and waits until the store has all of it.
func (s *Sink) close(ctx context.Context, f *file) error {
	held := f.content.Memory()
	err := f.content.Finish(f)
	s.metadata.Add(f.content.Memory() - held)
	if err != nil {
		return fail.Wrap(fail.Internal, err)
	}
	return fail.Wrap(fail.Temporary, f.upload.Flush(ctx))
}

// Commit completes all uploads, reads every file back from the store and sets l.Written to the rows found there. A run
// without rows leaves one file with none. On error the uploads that are still open are aborted; files that were completed
// already are not deleted, because another attempt of the run has files of the same names: what commits clears them.
func (s *Sink) Commit(ctx context.Context, l *pipeline.Ledger) error {
	if s.ended {
		return fail.Newf(fail.Internal, "commit %s: the sink has ended", s.format.Name)
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
		if err := s.open(ctx, s.next(&block{})); err != nil {
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
			return fail.Newf(fail.Temporary, "commit %s: %w", s.format.Name, err).In(f.ref.String())
		}
		info, err := f.upload.Complete(ctx)
		if err != nil {
			return err
		}
		f.info, f.completed, f.upload = info, true, nil
		return nil
	}); err != nil {
		return nil, err
	}
	out := make([]sinks.File, len(s.files))
	err := each(len(s.files), atOnce, func(i int) error {
		f := s.files[i]
		rows, err := f.verify(ctx, s.req.Store)
		out[i] = sinks.File{URI: f.ref.String(), Ref: f.ref, Size: f.info.Size, Rows: rows, ETag: f.info.ETag, Partition: s.parts.named(f.values)}
		f.content = nil
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
func (s *Sink) Memory() int64 { return s.writer.Memory() + s.metadata.Load() }
