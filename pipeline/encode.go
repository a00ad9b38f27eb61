package pipeline

import (
	"context"
	"math"
	"time"

	"github.com/apache/arrow/go/v17/arrow"
	"golang.org/x/sync/semaphore"

	"github.com/sluice-data/sluice/internal/fail"
)

// gatherer cuts the ordered stream of records into blocks of exactly BlockRows rows (the last one less, and less where
// BlockBytes says so), so that row groups do not depend on the number of lanes.
type gatherer struct {
	*run
	enc   *encodePool
	recs  []arrow.Record
	rows  int64
	bytes int64
}

// add takes rec over.
func (g *gatherer) add(ctx context.Context, rec arrow.Record) error {
	defer func() {
		if rec != nil {
			rec.Release()
		}
	}()
	if d, ok := g.Sink.(Divider); ok && g.rows > 0 && d.Apart(g.recs[len(g.recs)-1], rec) {
		if err := g.flush(ctx); err != nil {
			return err
		}
	}
	for g.rows+rec.NumRows() > g.BlockRows {
		n := g.BlockRows - g.rows
		size := RecordBytes(rec) * n / rec.NumRows()
		head, tail := rec.NewSlice(0, n), rec.NewSlice(n, rec.NumRows())
		rec.Release()
		rec = tail
		g.push(head, size)
		if err := g.flush(ctx); err != nil {
			return err
		}
	}
	if rec.NumRows() == 0 {
		return nil
	}
	g.push(rec, RecordBytes(rec))
	rec = nil
	if g.rows >= g.BlockRows || g.bytes >= g.BlockBytes {
		return g.flush(ctx)
	}
	return nil
}

func (g *gatherer) push(rec arrow.Record, size int64) {
	g.recs = append(g.recs, rec)
	g.rows += rec.NumRows()
	g.bytes += size
}

// flush hands what is gathered to the next encoder in turn.
func (g *gatherer) flush(ctx context.Context) error {
	if g.rows == 0 {
		return nil
	}
	recs, bytes := g.recs, g.bytes
	g.recs, g.rows, g.bytes = nil, 0, 0
	return g.enc.put(ctx, recs, bytes)
}

func (g *gatherer) release() {
	releaseAll(g.recs)
	g.recs = nil
}

func releaseAll(recs []arrow.Record) {
	for _, rec := range recs {
		rec.Release()
	}
}

// RecordBytes is the size of the record's buffers; for a slice that of what it shares.
func RecordBytes(rec arrow.Record) int64 {
	var n int64
	var walk func(arrow.ArrayData)
	walk = func(d arrow.ArrayData) {
		for _, b := range d.Buffers() {
			if b != nil {
				n += int64(b.Len())
			}
		}
		for _, c := range d.Children() {
			walk(c)
		}
	}
	for _, col := range rec.Columns() {
		walk(col.Data())
	}
	return n
}

// encodePool encodes block k on encoder lane k mod L and writes the blocks in order.
type encodePool struct {
	*run
	in   []chan toEncode
	out  []chan encoded
	k    int
	room *semaphore.Weighted
	most int64 // of room
}

// toEncode is a block's records and the room that they take until the block is written.
type toEncode struct {
	recs []arrow.Record
	room int64
}

type encoded struct {
	block Block
	room  int64
	err   error
}

func newEncodePool(r *run) *encodePool {
	p := &encodePool{run: r, in: make([]chan toEncode, r.Lanes), out: make([]chan encoded, r.Lanes), most: r.EncodeBytes}
	if p.most <= 0 {
		p.most = math.MaxInt64
	}
	p.room = semaphore.NewWeighted(p.most)
	for i := range p.in {
		p.in[i] = make(chan toEncode) // unbuffered: at most one block waits, in the gatherer's hand
		p.out[i] = make(chan encoded, 1)
	}
	return p
}

// put hands a block's records of so many bytes over, in turn, when there is room for them.
func (p *encodePool) put(ctx context.Context, recs []arrow.Record, bytes int64) error {
	k, room := p.k, min(bytes, p.most)
	p.k++
	if p.room.Acquire(ctx, room) != nil {
		releaseAll(recs)
		return context.Cause(ctx)
	}
	select {
	case p.in[k%len(p.in)] <- toEncode{recs, room}:
		return nil
	case <-ctx.Done():
		releaseAll(recs)
		return context.Cause(ctx)
	}
}

func (p *encodePool) closeInputs() {
	for _, c := range p.in {
		close(c)
	}
}

// lane encodes the blocks of encoder lane i until its input ends.
func (p *encodePool) lane(ctx context.Context, i int) error {
	defer close(p.out[i])
	enc, err := p.Sink.NewEncoder(p.Mem)
	if err != nil {
		return err
	}
	defer enc.Close()
	meter := &p.Progress.Stages.Encode
	for {
		var work toEncode
		var ok bool
		start := time.Now()
		select {
		case work, ok = <-p.in[i]:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		if !ok {
			return nil
		}
		begun := time.Now()
		meter.Wait(begun.Sub(start))
		e := encoded{room: work.room}
		e.err = fail.Guard("encode", func() (err error) {
			defer releaseAll(work.recs)
			e.block, err = enc.Encode(ctx, work.recs)
			return err
		})
		ended := time.Now()
		meter.Busy(ended.Sub(begun))
		select {
		case p.out[i] <- e:
			meter.Wait(time.Since(ended))
		case <-ctx.Done():
			if e.block != nil {
				e.block.Release()
			}
			return context.Cause(ctx)
		}
		if e.err != nil {
			return nil // the writer ends the run when it comes to it
		}
	}
}

// write gives the blocks to the sink in order.
func (p *encodePool) write(ctx context.Context) error {
	meter := &p.Progress.Stages.Upload
	for k := 0; ; k++ {
		var e encoded
		var ok bool
		start := time.Now()
		select {
		case e, ok = <-p.out[k%len(p.out)]:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		if !ok {
			return nil
		}
		if e.err != nil {
			return e.err
		}
		begun := time.Now()
		meter.Wait(begun.Sub(start))
		n := e.block.Rows()
		if err := p.Sink.Write(p.ctx, e.block); err != nil {
			return err
		}
		meter.Busy(time.Since(begun))
		p.room.Release(e.room)
		p.led.Encoded += n
		p.Progress.RowsEncoded.Add(n)
	}
}

// drain releases blocks that nobody will write. All goroutines have ended.
func (p *encodePool) drain() {
	for _, c := range p.out {
		select {
		case e := <-c:
			if e.block != nil {
				e.block.Release()
			}
		default:
		}
	}
}
