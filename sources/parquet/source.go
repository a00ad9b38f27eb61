package parquet

import (
	"context"
	"io"
	"slices"
	"sync"
	"sync/atomic"
	"time"

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
	fewGroups bool // too few row groups for the lanes: they are split
	queue     []*pipeline.Chunk
	splitRows int64
	slow      bool // the store takes its time for small ranges
	patience  time.Duration
	filters   []sources.Filter
	ahead     *ahead // of a store that is far away
	bounds    bounds
	room      *pageRoom
	parts     int64 // that were queued to be decoded
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
	file, group int
	number      int64         // among the parts that are decoded
	from, to    int64         // rows of the row group
	skip        bool          // all of them
	pages       []*pages      // of the file's leaves, where not all rows of the row group are read
	open        *atomic.Int32 // parts of the row group that are not done
	ahead       []*segment    // that are fetched for it
	blocks      int64         // bytes of those that are blocks of larger chunks
}

// open reads the footers of all inputs, settles the schema and binds each file to it.
func open(ctx context.Context, req sources.Request) (pipeline.Source, error) {
	s := &source{consumed: req.Consumed, batchRows: batchRows, patience: scanPatience, splitRows: splitRows, bounds: usual(), room: newPageRoom(req.Lanes)}
	if req.ChunkRows > 0 {
		s.batchRows = min(s.batchRows, req.ChunkRows)
	}
	var err error
	if s.files, err = openFiles(ctx, req.Inputs); err != nil {
		return nil, err
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
	groups := 0
	for _, f := range s.files {
		groups += len(f.groups)
	}
	s.fewGroups = req.Lanes > 1 && groups < 4*req.Lanes
	// many columns make smaller batches: a lane's batch stays at some tens of MiB of fixed-width values
	if n := len(fields); n > 0 {
		s.batchRows = min(s.batchRows, max(1024, groupBudget/(8*n)))
	}
	return s, nil
}

// Schema is that of the batches.
func (s *source) Schema() *arrow.Schema { return s.schema }

// Next returns the next row group that has rows, or a part of it.
func (s *source) Next(ctx context.Context) (*pipeline.Chunk, error) {
	if s.refused != nil {
		return nil, s.refused
	}
	if err := ctx.Err(); err != nil {
		return nil, fail.Wrap(fail.Temporary, err)
	}
	if s.ahead == nil && s.file == 0 && s.group == 0 && s.far() {
		s.ahead = newAhead(ctx)
	}
	for (len(s.queue) == 0 || s.ahead != nil && len(s.queue) < aheadChunks && s.ahead.wants()) && s.file < len(s.files) {
		f := s.files[s.file]
		if s.group == 0 {
			s.account(s.file, f.footer, 0)
		}
		if s.group == len(f.groups) {
			f.offsets, f.indexes = segment{}, segment{}
			s.file++
			s.group = 0
			continue
		}
		if err := s.cut(ctx, f, s.group); err != nil {
			return nil, err
		}
		s.group++
	}
	if len(s.queue) == 0 {
		return nil, io.EOF
	}
	c := s.queue[0]
	s.queue = s.queue[1:]
	return c, nil
}

// cut queues the parts of a row group.
func (s *source) cut(ctx context.Context, f *file, group int) error {
	g := &f.groups[group]
	if g.rows == 0 {
		s.account(s.file, g.bytes, 1)
		return nil
	}
	pieces, at, err := s.pieces(ctx, f, g)
	if err != nil {
		return err
	}
	open := new(atomic.Int32)
	open.Store(int32(len(pieces)))
	for _, p := range pieces {
		c := &pipeline.Chunk{Input: f.in.URI, Row: g.first + p.from, Known: pipeline.Known{Records: p.to - p.from}}
		part := part{file: s.file, group: group, from: p.from, to: p.to, skip: p.step >= 0, open: open}
		if !part.skip {
			part.number = s.parts
			s.parts++
		}
		if part.skip {
			c.Known.Skipped, c.Known.SkippedBy = p.to-p.from, p.step
		} else if len(pieces) > 1 {
			part.pages = at
		}
		if s.ahead != nil && !part.skip {
			s.plan(f, &part)
		}
		c.Part = part
		s.queue = append(s.queue, c)
	}
	return nil
}

// far tells whether the store took its time for each footer.
func (s *source) far() bool {
	return len(s.files) > 0 && !slices.ContainsFunc(s.files, func(f *file) bool { return f.took < farAway || f.in.ReadAhead == nil })
}

// done reports a part's share of its row group as consumed, and with the last one all of it.
func (s *source) done(p part) {
	g := &s.files[p.file].groups[p.group]
	groups := 0
	if p.open.Add(-1) == 0 {
		groups = 1
	}
	s.account(p.file, int64(float64(g.bytes)*(float64(p.to-p.from)/float64(g.rows))), groups)
}

// account reports n bytes of a file as consumed, and with its last row group all that is left of it, so that the sum is
// the object's size whatever lies between the row groups.
func (s *source) account(file int, n int64, groups int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := &s.accounts[file]
	a.groups -= groups
	if n = max(min(n, a.bytes), 0); a.groups == 0 { // sizes of chunks without rows may add up to anything
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
	return &decoder{src: s, mem: mem, open: -1, lease: lease{room: s.room}}, nil
}

// Close stops what is being fetched ahead. Decoders own what else is open.
func (s *source) Close() error {
	if s.ahead != nil {
		s.ahead.stop()
	}
	return nil
}
