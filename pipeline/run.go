package pipeline

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/memory"
	"golang.org/x/sync/errgroup"

	"github.com/sluice-data/sluice/internal/fail"
)

// Plan is a bound run: a source, a chain of segments, a sink.
type Plan struct {
	Source   Source
	Segments []Segment // at least one; every segment but the last ends in a Fold
	Sink     Sink
	// Rejects takes the refused rows of the whole run in order; nil means that the first one fails the run.
	Rejects RejectSink
	// Lanes is the number of lanes of each segment; at least 1.
	Lanes int
	// Processors is how many lanes work at a time; 0 is GOMAXPROCS. There are no more encoders, and partials of a Shared fold.
	Processors int
	// BlockRows and BlockBytes bound the rows that are encoded together (a row group).
	BlockRows  int64
	BlockBytes int64
	// ColumnBytes bounds the largest column of a block; 0 is no bound but BlockBytes.
	ColumnBytes int64
	// EncodeBytes bounds the bytes of the blocks that are being encoded or wait to be written, counted as records; one block
	// is always let through. 0 is no bound but the lanes.
	EncodeBytes int64
	Mem         memory.Allocator
	Progress    *Progress // may be nil
}

// Segment is a run of steps that lanes do on their own, and the fold that ends it (nil in the last segment).
type Segment struct {
	Steps []Step
	Fold  Fold
	// Branches are the ways of the other inputs of a union; only the first segment has any.
	Branches []Branch
}

// Progress counts while a run goes on; read it from any goroutine.
type Progress struct {
	RowsRead, RowsRejected, RowsEncoded atomic.Int64
	Bytes                               atomic.Int64 // object bytes consumed; the source's to count
	Stages                              Stages       // Read and Decompress are the source's to book, as is what Cut waits for them
}

// AbortTimeout bounds how long giving up may take: it must fit between SIGTERM and SIGKILL.
const AbortTimeout = 8 * time.Second

// Run moves all rows of the plan's source into its sink and commits. It ends in exactly one call of Sink.Commit and
// Sink.Abort, after every goroutine it started has ended and every batch is released. It closes the source. The ledger
// is returned also on error, as far as it got.
func Run(ctx context.Context, p Plan) (led *Ledger, err error) {
	led = &Ledger{Groups: map[int]int64{}}
	if p.Progress == nil {
		p.Progress = &Progress{}
	}
	// What the sink opens while rows are written has to live until the commit, longer than any group of goroutines; and
	// must not hold up the end of a run that has failed.
	rctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	run := &run{Plan: p, led: led, ctx: rctx, cancel: cancel}
	err = fail.Guard("run", func() error { return run.segments(ctx) })
	if cause := context.Cause(rctx); err != nil && cause != nil && errors.Is(err, context.Canceled) {
		err = cause // who was stopped by the failure may be heard before who failed
	}
	if err == nil {
		err = context.Cause(ctx)
	}
	if err == nil {
		p.Progress.Stages.Commit.Within(func() {
			err = fail.Guard("commit", func() error { return p.Sink.Commit(ctx, led) })
		})
		return led, err
	}
	actx, stop := context.WithTimeout(context.WithoutCancel(ctx), AbortTimeout)
	defer stop()
	if aerr := fail.Guard("abort", func() error { return p.Sink.Abort(actx) }); aerr != nil {
		// The first error is why the run failed; what giving up left behind must be known too.
		err = &abortError{err, aerr}
	}
	return led, err
}

// abortError is a failed run whose abort failed as well. It is of the first error's kind.
type abortError struct{ err, abort error }

func (e *abortError) Error() string {
	return fmt.Sprintf("%v; and giving up failed: %v", e.err, e.abort)
}
func (e *abortError) Unwrap() []error { return []error{e.err, e.abort} }

type run struct {
	Plan
	led    *Ledger
	ctx    context.Context // the sink's and the quarantine's
	cancel context.CancelCauseFunc
}

// start runs f guarded in the group; its error ends what the sink is doing as well.
func (r *run) start(g *errgroup.Group, what string, f func() error) {
	g.Go(func() error {
		err := fail.Guard(what, f)
		if err != nil {
			r.cancel(err)
		}
		return err
	})
}

// segments drives the chain: each fold's drain is the next segment's source.
func (r *run) segments(ctx context.Context) (err error) {
	src := r.Source
	defer func() { err = errors.Join(err, fail.Guard("close source", src.Close)) }()
	base := 0 // index of the segment's first step in the ledger
	for i, seg := range r.Segments {
		way, err := seg.way()
		if err != nil {
			return err
		}
		for j, s := range way.steps {
			r.led.Steps = append(r.led.Steps, StepCount{Step: s.Name(), Branch: way.of[j], Dropped: map[Cause]int64{}})
		}
		if seg.Fold == nil {
			return r.stream(ctx, src, seg, base, i == 0)
		}
		at := len(r.led.Steps)
		// Folded is there from the start: a fold that took no rows is one too, and may give rows.
		count := StepCount{Step: seg.Fold.Name(), Dropped: map[Cause]int64{Folded: 0}}
		if givesRows(seg.Fold) {
			count.Dropped = map[Cause]int64{}
		}
		r.led.Steps = append(r.led.Steps, count)
		drain, err := r.fold(ctx, src, seg, base, i == 0)
		if err != nil {
			return err
		}
		next := &drainSource{drain: drain, schema: seg.Fold.Schema(), led: r.led, step: at}
		if s, ok := seg.Fold.(Sieve); ok {
			next.drops = s.Drops()
		}
		closed := src
		src = next
		if ld, ok := drain.(LaneDrain); ok {
			src = &laneDrainSource{next, ld}
		}
		if err := fail.Guard("close source", closed.Close); err != nil {
			return err
		}
		base = at + 1
	}
	return fail.Newf(fail.Internal, "plan: the last segment ends in a fold")
}

// fold runs the segment's lanes into partials and returns their drain.
func (r *run) fold(ctx context.Context, src Source, seg Segment, base int, first bool) (d Drain, err error) {
	parts := make([]Partial, 0, r.Lanes)
	n := r.Lanes
	if _, ok := seg.Fold.(Shared); ok {
		n = r.atOnce()
	}
	closeAll := func() {
		for _, p := range parts {
			p.Close()
		}
	}
	for range n {
		p, err := seg.Fold.NewPartial(r.Mem)
		if err != nil {
			closeAll()
			return nil, err
		}
		parts = append(parts, p)
	}
	if err := r.lanes(ctx, src, seg, base, first, parts, nil); err != nil {
		closeAll()
		return nil, err
	}
	r.Progress.Stages.Drain.Within(func() {
		err = fail.Guard("drain "+seg.Fold.Name(), func() (err error) {
			d, err = seg.Fold.Drain(ctx, r.Mem, parts)
			return err
		})
	})
	return d, err
}

// stream runs the last segment: lanes, then gather into blocks, encode on lanes of their own, write in order.
func (r *run) stream(ctx context.Context, src Source, seg Segment, base int, first bool) error {
	g, gctx := errgroup.WithContext(ctx)
	enc := newEncodePool(r)
	defer enc.drain()
	for i := range enc.in {
		r.start(g, "encode", func() error { return enc.lane(gctx, i) })
	}
	r.start(g, "write", func() error { return enc.write(gctx) })
	r.start(g, "gather", func() error {
		defer enc.closeInputs()
		ga := &gatherer{run: r, enc: enc}
		defer ga.release()
		if err := r.lanes(gctx, src, seg, base, first, nil, ga.add); err != nil {
			return err
		}
		return ga.flush(gctx)
	})
	return g.Wait()
}

// atOnce is how many lanes can work at a time.
func (p *Plan) atOnce() int { return min(p.Lanes, cmp.Or(p.Processors, runtime.GOMAXPROCS(0))) }

// lanes reads src into the lanes and collects their results in the order of the chunks. With parts, chunk k is folded into
// parts[k mod their number], which are no more than the lanes; else every record goes to out, in order (out takes ownership).
func (r *run) lanes(ctx context.Context, src Source, seg Segment, base int, first bool, parts []Partial, out func(context.Context, arrow.Record) error) error {
	way, err := seg.way()
	if err != nil {
		return err
	}
	lanes := make([]*lane, 0, r.Lanes)
	defer func() {
		for _, l := range lanes {
			l.close()
		}
	}()
	for range r.Lanes {
		l := &lane{in: make(chan work, 1), out: make(chan *result, 1), way: way, most: min(resultBytes, max(r.BlockBytes, 1)), meters: &r.Progress.Stages}
		lanes = append(lanes, l)
		if err := l.open(src, r.Mem); err != nil {
			return err
		}
	}
	if parts != nil {
		takeTurns(lanes, parts, givesRows(seg.Fold))
	}
	g, gctx := errgroup.WithContext(ctx)
	meter := &r.Progress.Stages.Cut
	if !first {
		meter = &r.Progress.Stages.Drain
	}
	r.start(g, "read", func() error { return feed(gctx, src, lanes, meter) })
	for _, l := range lanes {
		r.start(g, "lane", func() error { return l.run(gctx) })
	}
	r.start(g, "collect", func() error { return r.collect(gctx, lanes, base, first, out) })
	return g.Wait()
}

// feed gives chunk k to lane k mod L. A read error travels to the collector in the chunk's turn, so that the error
// reported is the first in the order of the input, not in time. The meter is that of the source's work.
func feed(ctx context.Context, src Source, lanes []*lane, meter *Meter) error {
	defer func() {
		for _, l := range lanes {
			close(l.in)
		}
	}()
	for k := 0; ; k++ {
		l := lanes[k%len(lanes)]
		var c *Chunk
		var err error
		meter.Within(func() { c, err = src.Next(ctx) })
		if err == io.EOF {
			return nil
		}
		if c != nil {
			c.number = int64(k)
		}
		start := time.Now()
		select {
		case l.in <- work{c, err}:
			if err != nil {
				return nil
			}
			meter.Wait(time.Since(start))
		case <-ctx.Done():
			if c != nil {
				c.Release()
			}
			return context.Cause(ctx)
		}
	}
}

// collect takes the lanes' results in turn.
func (r *run) collect(ctx context.Context, lanes []*lane, base int, first bool, out func(context.Context, arrow.Record) error) error {
	for k := 0; ; {
		var res *result
		var ok bool
		select {
		case res, ok = <-lanes[k%len(lanes)].out:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		if !ok { // chunk k does not exist: the source had ended
			return nil
		}
		more := res.more
		if err := r.take(ctx, res, base, first, out); err != nil {
			return err
		}
		if !more {
			k++
		}
	}
}

// take books a result and passes its records on.
func (r *run) take(ctx context.Context, res *result, base int, first bool, out func(context.Context, arrow.Record) error) error {
	defer res.release()
	if first {
		r.led.Read += res.read
		r.led.Decoded += res.decoded
		r.Progress.RowsRead.Add(res.read)
	} else {
		r.led.Steps[base-1].Out += res.decoded
	}
	for i, s := range res.steps {
		at := &r.led.Steps[base+i]
		at.In += s.in
		at.Added += s.added
		at.Out += s.out
		if s.dropped > 0 {
			at.Dropped[s.cause] += s.dropped
		}
		if s.rejected > 0 {
			at.Dropped[Rejected] += s.rejected
		}
	}
	if rows := res.rej.Rows(); len(rows) > 0 {
		r.Progress.RowsRejected.Add(int64(len(rows)))
		if r.Rejects == nil {
			return rows[0].Err()
		}
		if err := r.Rejects.Write(r.ctx, rows); err != nil {
			return err
		}
	}
	if res.err != nil {
		return res.err
	}
	for i, rec := range res.recs {
		res.recs[i] = nil
		if err := out(ctx, rec); err != nil {
			return err
		}
	}
	return nil
}

// drainSource feeds what a fold gathered to the next segment: one record, one chunk.
type drainSource struct {
	drain  Drain
	schema *arrow.Schema
	led    *Ledger
	step   int   // of the fold in the ledger
	drops  Cause // of a Sieve
}

func (d *drainSource) Schema() *arrow.Schema { return d.schema }

func (d *drainSource) Next(ctx context.Context) (*Chunk, error) {
	rec, err := d.drain.Next(ctx)
	if err != nil {
		return nil, err
	}
	c := &Chunk{Part: rec, Offset: -1}
	c.OnRelease(rec.Release)
	return c, nil
}

func (d *drainSource) NewDecoder(memory.Allocator) (Decoder, error) { return recordDecoder{}, nil }

func (d *drainSource) Close() error {
	d.led.Groups[d.step] = d.drain.Rows()
	if s, ok := d.drain.(SieveDrain); ok {
		if n := s.Dropped(); n > 0 {
			d.led.Steps[d.step].Dropped[d.drops] += n
		}
	}
	d.drain.Close()
	return nil
}

// recordDecoder passes on the record that a drain made.
type recordDecoder struct{}

func (recordDecoder) Decode(_ context.Context, c *Chunk, _ *Rejects, emit func(Batch) error) error {
	return emit(Batch{Rec: c.Part.(arrow.Record)})
}

func (recordDecoder) Close() {}
