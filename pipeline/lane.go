package pipeline

import (
	"context"
	"time"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/memory"

	"github.com/sluice-data/sluice/internal/fail"
)

// work is a chunk on its way to a lane, or the error that came instead of it.
type work struct {
	chunk *Chunk
	err   error
}

// resultBytes is what a lane gathers of one chunk before it hands it on: a chunk may be a whole row group of an input.
const resultBytes = 8 << 20

// result is what a lane made of one chunk, or of a part of it. Its records are owned by whoever holds the result.
type result struct {
	recs          []arrow.Record
	bytes         int64 // of recs
	more          bool  // the chunk's next part follows
	rej           Rejects
	read, decoded int64
	steps         []stepDelta // the segment's steps, and its fold last
	err           error
}

type stepDelta struct {
	in, out, rejected, dropped int64
	cause                      Cause
}

func (r *result) release() {
	for i, rec := range r.recs {
		if rec != nil {
			rec.Release()
			r.recs[i] = nil
		}
	}
}

// lane owns a decoder, one stage of each step and, in a segment that folds, a partial. Nothing of it is shared.
type lane struct {
	in     chan work
	out    chan *result
	dec    Decoder
	stages []Stage
	steps  []Step
	part   Partial
	gives  bool // part gives every row back

	meters  *Stages
	sending time.Duration // of the current chunk's time
}

// open makes the lane's parts; what was made before an error is closed by close.
func (l *lane) open(src Source, mem memory.Allocator) error {
	dec, err := src.NewDecoder(mem)
	if err != nil {
		return err
	}
	l.dec = dec
	for _, s := range l.steps {
		st, err := s.NewStage(mem)
		if err != nil {
			return err
		}
		l.stages = append(l.stages, st)
	}
	return nil
}

// close frees what the lane owns and what is left in its channels. Its goroutine has ended.
func (l *lane) close() {
	for {
		select {
		case w, ok := <-l.in:
			if !ok {
				l.in = nil // a nil channel is never ready
				continue
			}
			if w.chunk != nil {
				w.chunk.Release()
			}
			continue
		case res, ok := <-l.out:
			if !ok {
				l.out = nil
				continue
			}
			res.release()
			continue
		default:
		}
		break
	}
	for _, s := range l.stages {
		s.Close()
	}
	if l.dec != nil {
		l.dec.Close()
	}
}

// run turns chunks into results until its input ends.
func (l *lane) run(ctx context.Context) error {
	defer close(l.out)
	for {
		var w work
		var ok bool
		start := time.Now()
		select {
		case w, ok = <-l.in:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		l.meters.Decode.Wait(time.Since(start))
		if !ok {
			return nil
		}
		res := &result{err: w.err}
		if w.err == nil {
			res = l.chunk(ctx, w.chunk)
		}
		failed := res.err != nil
		if err := l.send(ctx, res); err != nil {
			return err
		}
		if failed {
			return nil // the collector ends the run when it comes to it
		}
	}
}

// send hands res over to the collector.
func (l *lane) send(ctx context.Context, res *result) error {
	start := time.Now()
	select {
	case l.out <- res:
		d := time.Since(start)
		l.sending += d
		l.meters.Steps.Wait(d)
		return nil
	case <-ctx.Done():
		res.release()
		return context.Cause(ctx)
	}
}

// chunk decodes one chunk and takes its batches through the steps. It returns the result, or the last part of it when
// there is more than a result should hold: the parts before that are sent as they fill.
func (l *lane) chunk(ctx context.Context, c *Chunk) *result {
	defer c.Release()
	if p, ok := l.part.(Sequenced); ok {
		p.Begin(c.number)
	}
	res := l.newResult()
	var rej Rejects
	inSteps := 0  // of rej, those by steps
	var all int64 // read of the chunk
	account := func() {
		res.read = res.decoded + int64(rej.Len()-inSteps)
		all += res.read
		res.rej, rej, inSteps = rej, Rejects{}, 0
	}
	start, inside := time.Now(), time.Duration(0) // emit
	l.sending = 0
	err := fail.Guard("decode", func() error {
		if err := l.skip(c, res); err != nil {
			return err
		}
		return l.dec.Decode(ctx, c, &rej, func(b Batch) error {
			begun := time.Now()
			defer func() { inside += time.Since(begun) }()
			if err := ctx.Err(); err != nil {
				return context.Cause(ctx)
			}
			if res.bytes+rej.size >= resultBytes {
				account()
				full := res
				full.more, res = true, l.newResult()
				if err := l.send(ctx, full); err != nil {
					return err
				}
			}
			res.decoded += b.Rec.NumRows()
			before := rej.Len()
			err := l.batch(ctx, b, res, &rej)
			inSteps += rej.Len() - before
			return err
		})
	})
	l.meters.Decode.Busy(time.Since(start) - inside)
	l.meters.Steps.Busy(inside - l.sending)
	account()
	if err == nil {
		err = checkRecords(c, all)
	}
	res.err = err
	return res
}

func (l *lane) newResult() *result {
	n := len(l.stages)
	if l.part != nil {
		n++
	}
	return &result{steps: make([]stepDelta, n)}
}

// batch takes one batch, which it borrows, through the stages into the partial or the result.
func (l *lane) batch(ctx context.Context, b Batch, res *result, rej *Rejects) error {
	b.Rec.Retain()
	cur := b
	defer func() { cur.Release() }()
	for i, st := range l.stages {
		d := &res.steps[i]
		in, rejects := cur.Rec.NumRows(), rej.Len()
		next, err := st.Apply(ctx, cur, rej)
		if err != nil {
			return err
		}
		cur.Release()
		cur = next
		out, rejected := cur.Rec.NumRows(), int64(rej.Len()-rejects)
		d.in += in
		d.out += out
		d.rejected += rejected
		if gone := in - out - rejected; gone != 0 {
			dropper, ok := l.steps[i].(Dropper)
			if !ok || gone < 0 {
				return fail.Newf(fail.Internal, "step %s took %d rows, gave %d and rejected %d", l.steps[i].Name(), in, out, rejected)
			}
			d.cause = dropper.Drops()
			d.dropped += gone
		}
		if out == 0 {
			return nil
		}
	}
	if l.part != nil {
		d := &res.steps[len(l.stages)]
		rejects := rej.Len()
		if err := l.part.Add(ctx, cur, rej); err != nil {
			return err
		}
		rejected := int64(rej.Len() - rejects)
		d.in += cur.Rec.NumRows()
		d.rejected += rejected
		if !l.gives {
			d.cause = Folded
			d.dropped += cur.Rec.NumRows() - rejected
		}
		return nil
	}
	if cur.Rec.NumRows() > 0 {
		cur.Rec.Retain()
		res.recs = append(res.recs, cur.Rec)
		res.bytes += recordBytes(cur.Rec)
	}
	return nil
}
