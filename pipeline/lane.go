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

// resultBytes is the most that a lane gathers of one chunk before it hands it on: a chunk may be a whole row group of an input.
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
	in, added, out, rejected, dropped int64
	cause                             Cause
}

func (r *result) release() {
	for i, rec := range r.recs {
		if rec != nil {
			rec.Release()
			r.recs[i] = nil
		}
	}
}

// lane owns a decoder and one stage of each step. Of what it works with only the partial of a segment that folds may be
// shared, and that in turns.
type lane struct {
	in     chan work
	out    chan *result
	dec    Decoder
	stages []Stage
	way
	turns *turns // in a segment that folds
	most  int64  // bytes of a result

	meters *Stages

	// Of the current chunk.
	res     *result       // or the part of it that is filled
	rej     Rejects       // since res began
	inSteps int           // of rej, those by steps
	read    int64         // records of the chunk in its parts that are done
	sending time.Duration // and waiting for its turn to fold
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
	if l.turns != nil {
		l.turns.begin(c.number)
	}
	l.res, l.rej, l.inSteps, l.read, l.sending = l.newResult(), Rejects{}, 0, 0, 0
	start, inside := time.Now(), time.Duration(0) // emit
	err := fail.Guard("decode", func() error {
		if c.Branch < 0 || c.Branch >= len(l.enter) {
			return fail.Newf(fail.Internal, "a chunk of branch %d, of which there are %d", c.Branch, len(l.enter)).In(c.Input)
		}
		if err := l.skip(c, l.res); err != nil {
			return err
		}
		return l.dec.Decode(ctx, c, &l.rej, func(b Batch) error {
			begun := time.Now()
			defer func() { inside += time.Since(begun) }()
			if err := ctx.Err(); err != nil {
				return context.Cause(ctx)
			}
			if err := l.room(ctx); err != nil {
				return err
			}
			l.res.decoded += b.Rec.NumRows()
			return l.batch(ctx, l.enter[c.Branch], b)
		})
	})
	l.meters.Decode.Busy(time.Since(start) - inside)
	l.meters.Steps.Busy(inside - l.sending)
	if l.turns != nil && err == nil {
		err = l.turns.pass(ctx)
	}
	res := l.finish()
	if err == nil {
		err = checkRecords(c, l.read)
	}
	res.err = err
	return res
}

func (l *lane) newResult() *result {
	n := len(l.stages)
	if l.turns != nil {
		n++
	}
	return &result{steps: make([]stepDelta, n)}
}

// finish ends the part of the chunk's result that is filled, and accounts for it.
func (l *lane) finish() *result {
	res := l.res
	res.read = res.decoded + int64(l.rej.Len()-l.inSteps)
	l.read += res.read
	res.rej, l.rej, l.inSteps, l.res = l.rej, Rejects{}, 0, nil
	return res
}

// room sends what there is of the chunk's result if that is as much as a result should hold.
func (l *lane) room(ctx context.Context) error {
	if l.res.bytes+l.rej.size < l.most {
		return nil
	}
	full := l.finish()
	full.more, l.res = true, l.newResult()
	return l.send(ctx, full)
}

// batch takes one batch, which it borrows, through the stages from number i on into the partial or the result.
func (l *lane) batch(ctx context.Context, i int, b Batch) error {
	b.Rec.Retain()
	cur := b
	defer func() { cur.Release() }()
	for ; i < len(l.stages); i = l.next[i] {
		if e, ok := l.stages[i].(Expander); ok {
			return l.expand(ctx, i, e, cur)
		}
		in, rejects := cur.Rec.NumRows(), l.rej.Len()
		next, err := l.stages[i].Apply(ctx, cur, &l.rej)
		if err != nil {
			return err
		}
		cur.Release()
		cur = next
		rejected := l.rej.Len() - rejects
		l.inSteps += rejected
		if err := l.count(i, stepDelta{in: in, out: cur.Rec.NumRows(), rejected: int64(rejected)}); err != nil {
			return err
		}
		if cur.Rec.NumRows() == 0 {
			return nil
		}
	}
	return l.end(ctx, cur)
}

// count books what stage i made of some rows: in + added = out + rejected + dropped.
func (l *lane) count(i int, c stepDelta) error {
	d := &l.res.steps[i]
	if gone := c.in + c.added - c.out - c.rejected; gone != 0 {
		dropper, ok := l.steps[i].(Dropper)
		if !ok || gone < 0 {
			return fail.Newf(fail.Internal, "step %s took %d rows and added %d, gave %d and rejected %d", l.steps[i].Name(), c.in, c.added, c.out, c.rejected)
		}
		d.cause = dropper.Drops()
		d.dropped += gone
	}
	d.in += c.in
	d.added += c.added
	d.out += c.out
	d.rejected += c.rejected
	return nil
}

// end takes what the last stage gave.
func (l *lane) end(ctx context.Context, b Batch) error {
	rows := b.Rec.NumRows()
	if l.turns != nil {
		part, waited, err := l.turns.take(ctx)
		if err != nil {
			return err
		}
		l.sending += waited
		l.meters.Steps.Wait(waited)
		d := &l.res.steps[len(l.stages)]
		rejects := l.rej.Len()
		if err := part.Add(ctx, b, &l.rej); err != nil {
			return err
		}
		rejected := l.rej.Len() - rejects
		l.inSteps += rejected
		d.in += rows
		d.rejected += int64(rejected)
		if !l.turns.gives {
			d.cause = Folded
			d.dropped += rows - int64(rejected)
		}
		return nil
	}
	if rows > 0 {
		if err := l.room(ctx); err != nil {
			return err
		}
		b.Rec.Retain()
		l.res.recs = append(l.res.recs, b.Rec)
		l.res.bytes += RecordBytes(b.Rec)
	}
	return nil
}
