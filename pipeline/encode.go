package pipeline

import (
	"context"
	"math"
	"time"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/memory"
	"golang.org/x/sync/semaphore"

	"github.com/sluice-data/sluice/internal/fail"
)

// gatherer cuts the ordered stream of records into blocks of exactly BlockRows rows (the last one less, and less where
// BlockBytes and ColumnBytes say so), so that row groups do not depend on the number of lanes.
type gatherer struct {
	*run
	enc   *encodePool
	recs  []arrow.Record
	rows  int64
	bytes int64
	cols  []int64 // bytes of each column
	sizes []int64 // of a record being added
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
	for rec.NumRows() > 0 {
		n := g.fits(rec)
		head := rec
		if n < rec.NumRows() {
			head = rec.NewSlice(0, n)
			tail := rec.NewSlice(n, rec.NumRows())
			rec.Release()
			rec = tail
		} else {
			rec = nil
		}
		g.push(head)
		if g.full() {
			if err := g.flush(ctx); err != nil {
				return err
			}
		}
		if rec == nil {
			return nil
		}
	}
	return nil
}

// fits is how many of rec's rows the block has room for, one at least; whether their bytes fit is a guess from the mean.
func (g *gatherer) fits(rec arrow.Record) int64 {
	rows := rec.NumRows()
	n := min(rows, g.BlockRows-g.rows)
	g.measure(rec)
	total := int64(0)
	for i, size := range g.sizes {
		total += size
		if g.ColumnBytes > 0 && size > 0 {
			n = min(n, max(g.ColumnBytes-g.cols[i], 0)*rows/size+1)
		}
	}
	if total > 0 {
		n = min(n, max(g.BlockBytes-g.bytes, 0)*rows/total+1)
	}
	return max(n, 1)
}

func (g *gatherer) full() bool {
	if g.rows >= g.BlockRows || g.bytes >= g.BlockBytes {
		return true
	}
	for _, n := range g.cols {
		if g.ColumnBytes > 0 && n >= g.ColumnBytes {
			return true
		}
	}
	return false
}

// measure sets g.sizes to the bytes of rec's columns.
func (g *gatherer) measure(rec arrow.Record) {
	g.sizes = g.sizes[:0]
	for _, col := range rec.Columns() {
		g.sizes = append(g.sizes, ColumnBytes(col.Data()))
	}
	if len(g.cols) < len(g.sizes) {
		g.cols = make([]int64, len(g.sizes))
	}
}

// push takes rec over.
func (g *gatherer) push(rec arrow.Record) {
	g.measure(rec)
	g.recs = append(g.recs, rec)
	g.rows += rec.NumRows()
	for i, n := range g.sizes {
		g.cols[i] += n
		g.bytes += n
	}
}

// flush hands what is gathered to the next encoder in turn.
func (g *gatherer) flush(ctx context.Context) error {
	if g.rows == 0 {
		return nil
	}
	recs, bytes := g.recs, g.bytes
	g.recs, g.rows, g.bytes = nil, 0, 0
	clear(g.cols)
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

// RecordBytes is the bytes of the record's values: of a slice, those of its rows alone.
func RecordBytes(rec arrow.Record) int64 {
	var n int64
	for _, col := range rec.Columns() {
		n += ColumnBytes(col.Data())
	}
	return n
}

// ColumnBytes is what d's values take in its buffers, of which they may be a slice.
func ColumnBytes(d arrow.ArrayData) int64 {
	rows, from := int64(d.Len()), d.Offset()
	if rows == 0 {
		return 0
	}
	bufs := d.Buffers()
	n := int64(0)
	if len(bufs) > 0 && bufs[0] != nil {
		n = (rows + 7) / 8
	}
	switch t := d.DataType().(type) {
	case *arrow.StringType, *arrow.BinaryType:
		lo, hi := span[int32](bufs[1], from, d.Len())
		return n + 4*rows + hi - lo
	case *arrow.LargeStringType, *arrow.LargeBinaryType:
		lo, hi := span[int64](bufs[1], from, d.Len())
		return n + 8*rows + hi - lo
	case *arrow.ListType, *arrow.MapType:
		lo, hi := span[int32](bufs[1], from, d.Len())
		return n + 4*rows + share(d.Children()[0], hi-lo)
	case *arrow.LargeListType:
		lo, hi := span[int64](bufs[1], from, d.Len())
		return n + 8*rows + share(d.Children()[0], hi-lo)
	case *arrow.FixedSizeListType:
		return n + share(d.Children()[0], rows*int64(t.Len()))
	case *arrow.StructType:
		for _, c := range d.Children() {
			n += share(c, rows)
		}
		return n
	case arrow.FixedWidthDataType:
		return n + (rows*int64(t.BitWidth())+7)/8
	}
	return n
}

// share is the part of d's bytes that so many of its rows take, on the mean.
func share(d arrow.ArrayData, rows int64) int64 {
	if all := int64(d.Len()); all > 0 && rows < all {
		return ColumnBytes(d) * rows / all
	}
	return ColumnBytes(d)
}

// span is the first and the last of n values' offsets, from the given one on.
func span[O int32 | int64](b *memory.Buffer, from, n int) (lo, hi int64) {
	if b == nil || b.Len() == 0 {
		return 0, 0
	}
	off := arrow.GetData[O](b.Bytes())
	return int64(off[from]), int64(off[from+n])
}

// encodePool encodes block k on encoder lane k mod n, of as many as can work at a time, and writes the blocks in order.
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
	n := r.atOnce()
	p := &encodePool{run: r, in: make([]chan toEncode, n), out: make([]chan encoded, n), most: r.EncodeBytes}
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
