package transforms

import (
	"context"
	"slices"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/memory"

	"github.com/sluice-data/sluice/internal/fail"
	"github.com/sluice-data/sluice/pipeline"
	"github.com/sluice-data/sluice/transforms/internal/extsort"
	"github.com/sluice-data/sluice/transforms/internal/orderkey"
	"github.com/sluice-data/sluice/transforms/internal/take"
	"github.com/sluice-data/sluice/transforms/win"
)

// window is the fold: rows are sorted by partition and order, what the functions read waits with the keys. The drain goes through the
// keys, computes the functions for whole partitions, and hands out slices of rows with the results; lanes bring the rows together.
type window struct {
	parts  []*keyPart // partition, order, arguments
	calls  []windowCall
	out    view
	schema *arrow.Schema
	s      *extsort.Sorter
	budget int64
}

var _ pipeline.Rearranger = (*window)(nil)

func newWindow(env Env, parts []*keyPart, calls []windowCall, out view) (*window, error) {
	f := &window{parts: parts, calls: calls, out: out, budget: env.MemoryBudget}
	cfg := extsort.Config{Step: "window", Schema: out.schema, Budget: env.MemoryBudget / 2, TempDir: env.TempDir}
	for _, k := range parts[:2] {
		p, err := orderkey.New(k.cols)
		if err != nil {
			return nil, err
		}
		cfg.Keys = append(cfg.Keys, p)
	}
	for _, p := range parts[2].progs {
		cfg.Beside = append(cfg.Beside, p.Field().Type)
	}
	fields := append([]arrow.Field(nil), out.schema.Fields()...)
	for _, c := range calls {
		fields = append(fields, c.field)
	}
	md := out.schema.Metadata()
	f.schema = arrow.NewSchema(fields, &md)
	var err error
	f.s, err = extsort.New(cfg)
	return f, err
}

func (f *window) Name() string          { return "window" }
func (f *window) Schema() *arrow.Schema { return f.schema }
func (f *window) GivesAllRows()         {}

func (f *window) NewPartial(mem memory.Allocator) (pipeline.Partial, error) {
	return &windowPartial{f: f, mem: mem, lane: f.s.NewLane(mem)}, nil
}

// windowPartial is one lane of a window.
type windowPartial struct {
	f    *window
	mem  memory.Allocator
	lane *extsort.Lane
}

func (p *windowPartial) Begin(number int64) { p.lane.Begin(number) }
func (p *windowPartial) Rows() int64        { return p.lane.Rows() }
func (p *windowPartial) Close()             { p.lane.Close() }

func (p *windowPartial) Add(ctx context.Context, b pipeline.Batch, rej *pipeline.Rejects) error {
	k, err := evalKeys(p.f.parts, p.f.out, b, p.mem, rej)
	if err != nil {
		return err
	}
	defer k.release()
	return p.lane.AddBeside(ctx, k.by[:2], k.by[2], k.rec.Columns(), k.n)
}

func (f *window) Drain(ctx context.Context, mem memory.Allocator, parts []pipeline.Partial) (pipeline.Drain, error) {
	lanes, err := lanesOf("window", parts, func(p *windowPartial) *extsort.Lane { return p.lane })
	if err != nil {
		return nil, err
	}
	d, err := f.s.Drain(ctx, mem, lanes, extsort.EveryRow)
	if err != nil {
		return nil, err
	}
	return &windowDrain{Drain: d, f: f, mem: mem, r: d.Groups(len(f.parts[0].progs) > 0), streams: f.streams()}, nil
}

// streams are what computes the functions for pieces of partitions; nil if some needs whole ones.
func (f *window) streams() []win.Streamer {
	var out []win.Streamer
	for _, c := range f.calls {
		var s win.Streamer
		if c.stream != nil && c.by == nil {
			s = c.stream(c.frame)
		}
		if s == nil {
			return nil
		}
		out = append(out, s)
	}
	return out
}

// peers reports whether some function gives equal rows a value that the last of them makes: those with a frame that ends at the peers of the row.
func (f *window) peers() bool {
	return slices.ContainsFunc(f.calls, func(c windowCall) bool { return !c.frame.Rows && c.framed })
}

// windowDrain gives the rows with the functions' values.
type windowDrain struct {
	*extsort.Drain
	f   *window
	mem memory.Allocator
	r   *extsort.GroupReader
	// streams are the functions where they take pieces of partitions; nil where they need whole ones
	streams []win.Streamer
	ready   []*pipeline.Chunk
	besideRows
}

var _ pipeline.LaneDrain = (*windowDrain)(nil)

func (d *windowDrain) NextChunk(ctx context.Context) (*pipeline.Chunk, error) {
	if len(d.ready) == 0 {
		if err := d.compute(ctx); err != nil {
			return nil, err
		}
	}
	c := d.ready[0]
	d.ready = d.ready[1:]
	return c, nil
}

// compute makes the chunks of the next partitions.
func (d *windowDrain) compute(ctx context.Context) error {
	g, err := d.groups(ctx)
	if err != nil {
		return err
	}
	defer g.Release()
	cols := make([]arrow.Array, 0, len(d.f.calls))
	defer func() {
		for _, a := range cols {
			a.Release()
		}
	}()
	for i, c := range d.f.calls {
		args := make([]arrow.Array, 0, len(c.args)+1)
		for _, at := range c.args {
			args = append(args, g.Beside[at])
		}
		if c.apart {
			args = []arrow.Array{args[0], nil, args[1]}
		}
		p := &win.Part{N: g.N, Starts: g.Starts, Peers: g.Peers, Frame: c.over(g.Beside), Most: d.f.budget / 2}
		var a arrow.Array
		if d.streams != nil {
			a, err = d.streams[i].Next(p, args, d.mem)
		} else {
			a, err = c.compute(p, args, d.mem)
		}
		if err != nil {
			return err
		}
		cols = append(cols, a)
	}
	g.Slices(func(rows *pipeline.Chunk, lo, hi int) {
		s := &besideSlice{rows: rows}
		for _, a := range cols {
			if lo == 0 && hi == g.N {
				a.Retain()
			} else if err == nil { // a copy: records are counted by the buffers they share
				a, err = take.Array(a, upTo(lo, hi), d.mem)
			}
			if err == nil {
				s.cols = append(s.cols, a)
			}
		}
		d.ready = append(d.ready, s.chunk())
	})
	return err
}

// groups is the rows of the next partitions or, for functions that take them, the next rows.
func (d *windowDrain) groups(ctx context.Context) (*extsort.Groups, error) {
	const what = "give the run more memory, or partition by more columns"
	if d.streams != nil {
		return d.r.Piece(ctx, d.mem, d.f.peers(), func() error {
			return fail.Newf(fail.Usage, "window: too many rows are equal in the order for the step's %d bytes: %s, or write the frame with rows", d.f.budget, what)
		})
	}
	return d.r.Next(ctx, d.mem, func(rows int, bytes int64) error {
		if d.f.budget <= 0 || windowBytes(rows, bytes, d.f.calls) <= d.f.budget/2 {
			return nil
		}
		return fail.Newf(fail.Usage, "window: a partition has %d rows or more, and of one partition what the functions read and give has to fit into half of the step's %d bytes: %s",
			rows, d.f.budget, what)
	})
}

func (d *windowDrain) NewDecoder(mem memory.Allocator) (pipeline.Decoder, error) {
	inner, err := d.Drain.NewDecoder(mem)
	if err != nil {
		return nil, err
	}
	return &besideDecoder{inner, d.f.schema}, nil
}

// Next is for who has no lanes: the next record.
func (d *windowDrain) Next(ctx context.Context) (arrow.Record, error) { return d.next(ctx, d, d.mem) }

func (d *windowDrain) Close() {
	for _, c := range d.ready {
		c.Release()
	}
	d.ready = nil
	for _, s := range d.streams {
		s.Close()
	}
	d.besideRows.close()
	d.Drain.Close()
}
