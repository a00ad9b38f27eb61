package gather

import (
	"cmp"
	"context"
	"io"
	"slices"
	"sync/atomic"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/memory"

	"github.com/sluice-data/sluice/internal/fail"
	"github.com/sluice-data/sluice/pipeline"
	"github.com/sluice-data/sluice/transforms/internal/rowpack"
	"github.com/sluice-data/sluice/transforms/internal/take"
)

// drain hands out the partitions in the order of their folders; the lanes of the next segment read them.
type drain struct {
	f     *Fold
	mem   memory.Allocator
	lanes []*lane
	todo  []partition
	next  int
	rows  atomic.Int64 // given out
	own   pipeline.Decoder
	out   []arrow.Record // of own, not yet taken
}

var _ pipeline.LaneDrain = (*drain)(nil)

// partition is where each lane has the rows of one: the partition's number there, or -1.
type partition struct {
	path string
	ids  []int32
	rows int64
}

// plan finds the partitions.
func (d *drain) plan(ctx context.Context) error {
	at := map[string]int{}
	for k, l := range d.lanes {
		if err := ctx.Err(); err != nil {
			return context.Cause(ctx)
		}
		if l.err != nil {
			return l.err
		}
		if err := l.pack(); err != nil {
			return err
		}
		l.window, l.spare, l.free, l.order = window{}, rowpack.Column{}, nil, nil
		for id := range l.parts {
			p := &l.parts[id]
			if _, bad := l.bad[uint32(id)]; bad {
				continue
			}
			i, ok := at[p.path]
			if !ok {
				i = len(d.todo)
				at[p.path] = i
				ids := make([]int32, len(d.lanes))
				for j := range ids {
					ids[j] = -1
				}
				d.todo = append(d.todo, partition{path: p.path, ids: ids})
			}
			d.todo[i].ids[k] = int32(id)
			d.todo[i].rows += p.rows
		}
	}
	if len(d.todo) > MostPartitions {
		return d.f.tooMany()
	}
	slices.SortFunc(d.todo, func(a, b partition) int { return cmp.Compare(a.path, b.path) })
	if d.f.cfg.Found == nil {
		return nil
	}
	paths := make([]string, len(d.todo))
	for i := range d.todo {
		paths[i] = d.todo[i].path
	}
	return d.f.cfg.Found(ctx, paths)
}

// Rows is the rows that the records given out have.
func (d *drain) Rows() int64 { return d.rows.Load() }

func (d *drain) Close() {
	for _, r := range d.out {
		r.Release()
	}
	d.out = nil
	if d.own != nil {
		d.own.Close()
	}
	for _, l := range d.lanes {
		l.Close()
	}
}

// NextChunk is the next partition.
func (d *drain) NextChunk(ctx context.Context) (*pipeline.Chunk, error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	if d.next == len(d.todo) {
		return nil, io.EOF
	}
	d.next++
	return &pipeline.Chunk{Part: &d.todo[d.next-1], Offset: -1}, nil
}

// Next is for who has no lanes: the next record.
func (d *drain) Next(ctx context.Context) (arrow.Record, error) {
	for len(d.out) == 0 {
		c, err := d.NextChunk(ctx)
		if err != nil {
			return nil, err
		}
		if d.own == nil {
			if d.own, err = d.NewDecoder(d.mem); err != nil {
				return nil, err
			}
		}
		if err := d.own.Decode(ctx, c, nil, func(b pipeline.Batch) error {
			b.Rec.Retain()
			d.out = append(d.out, b.Rec)
			return nil
		}); err != nil {
			return nil, err
		}
	}
	rec := d.out[0]
	d.out = d.out[1:]
	return rec, nil
}

// NewDecoder makes the reader of one lane.
func (d *drain) NewDecoder(mem memory.Allocator) (pipeline.Decoder, error) {
	r := &reader{d: d, mem: mem, cols: make([]rowpack.Builder, len(d.f.lays)), cursors: make([]cursor, len(d.lanes))}
	for i := range r.cursors {
		r.cursors[i].Cols, r.cursors[i].Lazy = rowpack.NewColumns(d.f.lays), true
	}
	for i := range d.f.lays {
		r.cols[i] = rowpack.NewBuilder(&d.f.lays[i], mem)
		r.fixed += int64(d.f.lays[i].RowBytes())
	}
	return r, nil
}

// reader puts the rows of a partition back into the order of the input.
type reader struct {
	d       *drain
	mem     memory.Allocator
	cursors []cursor
	open    []*cursor
	cols    []rowpack.Builder // the record in the making
	rows    int
	text    int64 // bytes of its texts
	fixed   int64 // bytes of a row's other columns
	left    int64 // rows of the partition that are still to come
	spans   []span
}

// span is rows [lo, hi) of a cursor's piece.
type span struct {
	c      *cursor
	lo, hi int
}

// Close gives up what was not emitted.
func (r *reader) Close() {
	for i := range r.cols {
		r.cols[i].Drop()
	}
}

// Decode emits the records of a partition. They are cut at the same rows whatever the lanes.
func (r *reader) Decode(ctx context.Context, c *pipeline.Chunk, _ *pipeline.Rejects, emit func(pipeline.Batch) error) error {
	p, ok := c.Part.(*partition)
	if !ok {
		return fail.Newf(fail.Internal, "partition: the chunk holds a %T", c.Part)
	}
	r.open, r.spans, r.left = r.open[:0], r.spans[:0], p.rows
	r.start()
	by, err := r.by(p)
	if err != nil {
		return err
	}
	defer release(by)
	for k, id := range p.ids {
		if id < 0 {
			continue
		}
		cur := &r.cursors[k]
		cur.open(r.d.lanes[k], int(id))
		if err := cur.load(); err != nil {
			return err
		}
		if !cur.end {
			r.open = append(r.open, cur)
		}
	}
	for len(r.open) > 0 {
		if err := ctx.Err(); err != nil {
			return context.Cause(ctx)
		}
		full, done := r.take()
		if full || done != nil {
			if err := r.copy(); err != nil {
				return err
			}
		}
		if done != nil {
			if err := done.load(); err != nil {
				return err
			}
			if done.end {
				r.open = slices.DeleteFunc(r.open, func(c *cursor) bool { return c == done })
			}
		}
		if full {
			if err := r.emit(by, emit); err != nil {
				return err
			}
		}
	}
	if r.rows > 0 {
		if err := r.emit(by, emit); err != nil {
			return err
		}
	}
	if r.left != 0 {
		return fail.Newf(fail.Internal, "partition %s: %d rows of %d are missing", p.path, r.left, p.rows)
	}
	return nil
}

// start makes room for a record.
func (r *reader) start() {
	r.rows, r.text = 0, 0
	fixed := max(1, r.fixed)
	n := int(min(r.left, int64(r.d.f.recordRows), (r.d.f.recordBytes+fixed-1)/fixed)) // the row that reaches the bound is in, see fit
	for i := range r.cols {
		r.cols[i].Drop()
		r.cols[i].Start(n)
	}
}

// take notes rows in the order of the input, until the record is full or a cursor is at its piece's end.
func (r *reader) take() (full bool, done *cursor) {
	for {
		c := r.open[0]
		for _, o := range r.open[1:] {
			if o.chunk() < c.chunk() {
				c = o
			}
		}
		n := c.Runs[c.run].N - c.off
		n, full = r.fit(c, n)
		if k := len(r.spans) - 1; k >= 0 && r.spans[k].c == c && r.spans[k].hi == c.row {
			r.spans[k].hi += n
		} else {
			r.spans = append(r.spans, span{c, c.row, c.row + n})
		}
		r.rows += n
		c.row += n
		if c.off += n; c.off == c.Runs[c.run].N {
			c.run, c.off = c.run+1, 0
		}
		if c.row == c.N {
			done = c
		}
		if full || done != nil {
			return full, done
		}
	}
}

// fit says how many of the next n rows of c the record takes, and whether it is full then.
func (r *reader) fit(c *cursor, n int) (int, bool) {
	f := r.d.f
	n = min(n, f.recordRows-r.rows)
	size := r.text + int64(c.texts(c.row, c.row+n))
	if size+r.fixed*int64(r.rows+n) < f.recordBytes {
		r.text = size
		return n, r.rows+n == f.recordRows
	}
	for i := range n {
		r.text += int64(c.texts(c.row+i, c.row+i+1))
		if r.text+r.fixed*int64(r.rows+i+1) >= f.recordBytes {
			return i + 1, true
		}
	}
	return n, false
}

func (c *cursor) texts(lo, hi int) int {
	n := 0
	for i := range c.Cols {
		n += c.Cols[i].TextSize(lo, hi)
	}
	return n
}

// copy appends what was noted to the record.
func (r *reader) copy() error {
	for i := range r.cols {
		dst := &r.cols[i]
		for _, s := range r.spans {
			if err := dst.AddSpan(&s.c.Cols[i], s.lo, s.hi); err != nil {
				return fail.Newf(fail.Internal, "partition: %w", err)
			}
		}
	}
	r.spans = r.spans[:0]
	return nil
}

// emit lends the record to the engine and starts the next.
func (r *reader) emit(by []arrow.Array, emit func(pipeline.Batch) error) error {
	s := r.d.f.cfg.Schema
	cols := make([]arrow.Array, s.NumFields())
	defer release(cols)
	for i, at := range r.d.f.at {
		var err error
		if cols[at], err = r.cols[i].Array(); err != nil {
			return fail.Newf(fail.Internal, "partition: %w", err)
		}
	}
	same := make([]int32, r.rows)
	for i, at := range r.d.f.cfg.By {
		var err error
		if cols[at], err = take.Array(by[i], same, r.mem); err != nil {
			return err
		}
	}
	rec := array.NewRecord(s, cols, int64(r.rows))
	defer rec.Release()
	r.d.rows.Add(int64(r.rows))
	r.left -= int64(r.rows)
	r.rows, r.text = 0, 0
	if r.left > 0 {
		r.start()
	}
	return emit(pipeline.Batch{Rec: rec})
}

// by is the values of the partition columns, one of each.
func (r *reader) by(p *partition) ([]arrow.Array, error) {
	for k, id := range p.ids {
		if id < 0 {
			continue
		}
		l := r.d.lanes[k]
		at := &l.parts[id]
		out := make([]arrow.Array, len(l.by[at.at]))
		for i, a := range l.by[at.at] {
			out[i] = array.NewSlice(a, int64(at.row), int64(at.row+1))
		}
		return out, nil
	}
	return nil, fail.Newf(fail.Internal, "partition %s: no lane has it", p.path)
}

func release(as []arrow.Array) {
	for _, a := range as {
		if a != nil {
			a.Release()
		}
	}
}
