package extsort

import (
	"context"
	"io"
	"sync"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/memory"

	"github.com/sluice-data/sluice/internal/fail"
	"github.com/sluice-data/sluice/pipeline"
	"github.com/sluice-data/sluice/transforms/internal/rowpack"
)

// Keep says whether the next row of the result is in it. It is called for each row in turn: shared is how many parts of the key the row has in
// common with the one before, lane and number tell which row of which lane it is, where rows are numbered or have no keys.
type Keep func(shared, lane int, number int64) bool

// Drain is the rows of all lanes, in order. Its lanes' records are the same whatever the number of lanes.
type Drain struct {
	s     *Sorter
	mem   memory.Allocator
	lanes []*Lane
	runs  []*run
	m     *Merge
	keep  Keep
	pool  sync.Pool // of slices

	rows, dropped int64
	own           pipeline.Decoder // of Next
	out           []arrow.Record
}

var _ pipeline.LaneDrain = (*Drain)(nil)

// Drain brings the lanes' rows in order; keep nil keeps all of them. It takes the lanes over and closes them, also on error.
func (s *Sorter) Drain(ctx context.Context, mem memory.Allocator, lanes []*Lane, keep Keep) (d *Drain, err error) {
	d = &Drain{s: s, mem: mem, lanes: lanes, keep: keep}
	defer func() {
		if err != nil {
			d.Close()
		}
	}()
	for i, l := range lanes {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		if err := l.finish(); err != nil {
			return nil, err
		}
		for _, r := range l.runs {
			r.lane = i
			d.runs = append(d.runs, r)
		}
	}
	d.m, err = newMerge(s, d.runs, keep != nil)
	return d, err
}

// Each calls f for each row, in order, as a Keep is called. It takes the lanes over and closes them, also on error.
func (s *Sorter) Each(ctx context.Context, lanes []*Lane, f func(shared, lane int, number int64)) error {
	d, err := s.Drain(ctx, memory.DefaultAllocator, lanes, func(int, int, int64) bool { return true })
	if err != nil {
		return err
	}
	defer d.Close()
	for n := 0; ; n++ {
		if n%(1<<14) == 0 && ctx.Err() != nil {
			return context.Cause(ctx)
		}
		w := d.m.top()
		if w < 0 {
			return nil
		}
		f(d.m.head(w), d.runs[w].lane, d.m.number(w))
		if err := d.m.pop(w); err != nil {
			return err
		}
	}
}

// Rows is the rows of the lanes that were given out or dropped.
func (d *Drain) Rows() int64 { return d.rows }

// Dropped is the rows that were not kept.
func (d *Drain) Dropped() int64 { return d.dropped }

// Close frees what the lanes hold.
func (d *Drain) Close() {
	for _, r := range d.out {
		r.Release()
	}
	d.out = nil
	if d.own != nil {
		d.own.Close()
		d.own = nil
	}
	for _, l := range d.lanes {
		l.Close()
	}
}

// NextChunk is the next slice of the result.
func (d *Drain) NextChunk(ctx context.Context) (*pipeline.Chunk, error) {
	sl, _ := d.pool.Get().(*slice)
	if sl == nil {
		sl = &slice{}
	}
	for {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		sl.reset(len(d.runs))
		if err := d.fill(sl); err != nil {
			return nil, err
		}
		if len(sl.seq) == 0 {
			return nil, io.EOF
		}
		if sl.kept > 0 {
			break
		}
	}
	c := &pipeline.Chunk{Part: sl, Offset: -1}
	c.OnRelease(func() { d.pool.Put(sl) })
	return c, nil
}

// fill takes rows of the merge until the slice is full.
func (d *Drain) fill(sl *slice) error {
	m, passed := d.m, int64(0)
	for sl.kept < d.s.sliceRows && passed < d.s.sliceBytes && len(sl.seq) < 4*d.s.sliceRows {
		w := m.top()
		if w < 0 {
			break
		}
		keep := true
		if d.keep != nil {
			keep = d.keep(m.head(w), d.runs[w].lane, m.number(w))
		}
		passed += d.s.fixed + int64(m.cur[w].size[m.cur[w].off])
		if err := m.take(sl, w, keep); err != nil {
			return err
		}
	}
	d.rows += int64(len(sl.seq))
	d.dropped += int64(len(sl.seq) - sl.kept)
	return nil
}

// Next is for who has no lanes: the next record.
func (d *Drain) Next(ctx context.Context) (arrow.Record, error) {
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
		err = d.own.Decode(ctx, c, nil, func(b pipeline.Batch) error {
			b.Rec.Retain()
			d.out = append(d.out, b.Rec)
			return nil
		})
		c.Release()
		if err != nil {
			return nil, err
		}
	}
	rec := d.out[0]
	d.out = d.out[1:]
	return rec, nil
}

// NewDecoder makes what brings the rows of slices together in one lane.
func (d *Drain) NewDecoder(mem memory.Allocator) (pipeline.Decoder, error) {
	dec := &decoder{d: d, g: newGatherer(d.s, d.runs, d.s.lays, rowsPieces)}
	for i := range d.s.lays {
		dec.build = append(dec.build, rowpack.NewBuilder(&d.s.lays[i], mem))
	}
	return dec, nil
}

type decoder struct {
	d     *Drain
	g     *gatherer
	build []rowpack.Builder
	order []int32
}

func (d *decoder) Close() {
	for i := range d.build {
		d.build[i].Drop()
	}
}

// Decode emits the record of one slice.
func (d *decoder) Decode(ctx context.Context, c *pipeline.Chunk, _ *pipeline.Rejects, emit func(pipeline.Batch) error) error {
	sl, ok := c.Part.(*slice)
	if !ok {
		return fail.Newf(fail.Internal, "%s: the chunk holds a %T", d.d.s.cfg.Step, c.Part)
	}
	if err := d.g.read(ctx, sl); err != nil {
		return err
	}
	d.order = sl.order(d.order)
	cols := make([]arrow.Array, 0, len(d.build))
	defer func() {
		for _, a := range cols {
			a.Release()
		}
	}()
	for i := range d.build {
		if err := d.build[i].Pick(&d.g.cols[i], d.order); err != nil {
			return fail.Newf(fail.Data, "%s: %w", d.d.s.cfg.Step, err)
		}
		a, err := d.build[i].Array()
		if err != nil {
			return fail.Newf(fail.Internal, "%s: %w", d.d.s.cfg.Step, err)
		}
		cols = append(cols, a)
	}
	rec := array.NewRecord(d.d.s.cfg.Schema, cols, int64(len(d.order)))
	defer rec.Release()
	return emit(pipeline.Batch{Rec: rec})
}
