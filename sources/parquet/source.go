package parquet

import (
	"context"
	"io"
	"sync"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/memory"

	"github.com/sluice-data/sluice/internal/fail"
	"github.com/sluice-data/sluice/pipeline"
	"github.com/sluice-data/sluice/sources"
)

// source hands out row groups. Everything that could be wrong with the schemas was found when it was made.
type source struct {
	schema    *arrow.Schema
	files     []*file
	file      int // of the next row group
	group     int
	batchRows int
	filters   []sources.Filter
	refused   error // a column of an unsupported type is among those to read

	mu       sync.Mutex // lanes report what they consumed
	consumed func(int64)
	accounts []account
}

// account is how much of a file is still to be reported as consumed.
type account struct {
	bytes  int64
	groups int // row groups not yet done
}

// part is what a decoder needs of a row group.
type part struct {
	file  int
	group int
	skip  bool // all of it
}

// open reads the footers of all inputs, settles the schema and binds each file to it.
func open(ctx context.Context, req sources.Request) (pipeline.Source, error) {
	s := &source{consumed: req.Consumed, batchRows: batchRows}
	if req.ChunkRows > 0 {
		s.batchRows = min(s.batchRows, req.ChunkRows)
	}
	for i := range req.Inputs {
		f, err := openFile(ctx, &req.Inputs[i])
		if err != nil {
			return nil, err
		}
		s.files = append(s.files, f)
	}
	fields, err := settleSchema(req.Schema, s.files)
	if err != nil {
		return nil, err
	}
	fields = project(fields, req.Need)
	s.schema = arrow.NewSchema(fields, nil)
	for _, f := range s.files {
		var refused error
		if f.plans, refused, err = bindFile(f, fields, req.Schema); err != nil {
			return nil, err
		}
		if s.refused == nil {
			s.refused = refused
		}
		var keep []*leaf
		for _, p := range f.plans {
			if p != nil {
				keep = append(keep, p.leaves...)
			}
		}
		f.only(keep)
		f.cols = nil
		s.accounts = append(s.accounts, account{f.in.Info.Size, len(f.groups)})
	}
	if s.refused != nil && req.Need != nil {
		return nil, s.refused
	}
	// many columns make smaller batches: a lane's batch stays at some tens of MiB of fixed-width values
	if n := len(fields); n > 0 {
		s.batchRows = min(s.batchRows, max(1024, groupBudget/(8*n)))
	}
	return s, nil
}

// Schema is that of the batches.
func (s *source) Schema() *arrow.Schema { return s.schema }

// Next returns the next row group that has rows.
func (s *source) Next(ctx context.Context) (*pipeline.Chunk, error) {
	if s.refused != nil {
		return nil, s.refused
	}
	if err := ctx.Err(); err != nil {
		return nil, fail.Wrap(fail.Temporary, err)
	}
	for s.file < len(s.files) {
		f := s.files[s.file]
		if s.group == 0 {
			s.account(s.file, f.footer, 0)
		}
		for s.group < len(f.groups) {
			i := s.group
			s.group++
			g := &f.groups[i]
			if g.rows == 0 {
				s.account(s.file, g.bytes, 1)
				continue
			}
			c := &pipeline.Chunk{Input: f.in.URI, Row: g.first, Known: pipeline.Known{Records: g.rows}}
			step := s.groupExcluded(f, g)
			if step >= 0 {
				c.Known.Skipped, c.Known.SkippedBy = g.rows, step
			}
			c.Part = part{file: s.file, group: i, skip: step >= 0}
			return c, nil
		}
		s.file++
		s.group = 0
	}
	return nil, io.EOF
}

// account reports n bytes of a file as consumed, and with its last row group all that is left of it, so that the sum is
// the object's size whatever lies between the row groups.
func (s *source) account(file int, n int64, groups int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := &s.accounts[file]
	a.groups -= groups
	if n = min(n, a.bytes); a.groups == 0 {
		n = a.bytes
	}
	a.bytes -= n
	if s.consumed != nil && n > 0 {
		s.consumed(n)
	}
}

// Refused names the column of a type that is not supported if the source was opened for all columns and there is one. It
// stands in the schema as a string, so that a pipeline can be bound which does not use it.
func (s *source) Refused() error { return s.refused }

// NewDecoder makes a lane's decoder.
func (s *source) NewDecoder(mem memory.Allocator) (pipeline.Decoder, error) {
	if s.refused != nil {
		return nil, s.refused
	}
	return &decoder{src: s, mem: mem, pool: &recycler{mem: mem}, open: -1}, nil
}

// Close has nothing to free: decoders own what is open.
func (s *source) Close() error { return nil }
