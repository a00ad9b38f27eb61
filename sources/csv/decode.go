package csv

import (
	"context"
	"slices"
	"strings"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/memory"

	"github.com/sluice-data/sluice/internal/fail"
	"github.com/sluice-data/sluice/pipeline"
	"github.com/sluice-data/sluice/sources"
)

const (
	// pieceBytes is how much is indexed at a time: text and index stay in the second-level cache while each column reads them.
	pieceBytes = 128 << 10
	// maxBatch is the most rows of a batch.
	maxBatch = 16 << 10
)

// decoder turns chunks into record batches, for one lane.
type decoder struct {
	src   *source
	mem   memory.Allocator
	piece int // bytes indexed at a time; tests make it small
	limit int // rows of a batch

	x    index
	cols []column
	rows int // in the batch being built

	starts []uint32 // of the batch's records; handed to its origins
	chunk  *pipeline.Chunk
	lay    *layout
	misfit *sources.Misfit
}

// NewDecoder makes the decoder of one lane.
func (s *source) NewDecoder(mem memory.Allocator) (pipeline.Decoder, error) {
	d := &decoder{src: s, mem: mem, piece: pieceBytes, limit: maxBatch}
	if s.req.ChunkRows > 0 {
		d.limit = min(d.limit, s.req.ChunkRows)
	}
	for i := range s.cols {
		c, err := newColumn(&s.cols[i], &s.nulls)
		if err != nil {
			return nil, err
		}
		d.cols = append(d.cols, c)
	}
	return d, nil
}

// Close frees what a decode that failed left behind.
func (d *decoder) Close() {
	for i := range d.cols {
		d.cols[i].drop()
	}
}

// Decode emits the chunk's rows in batches and refuses its bad records. A value that does not fit the type inferred for its column
// is a *sources.Misfit.
func (d *decoder) Decode(ctx context.Context, c *pipeline.Chunk, rej *pipeline.Rejects, emit func(pipeline.Batch) error) error {
	lay, ok := c.Part.(*layout)
	if !ok {
		return fail.Newf(fail.Internal, "csv: chunk of another format").In(c.Input)
	}
	d.Close()
	d.chunk, d.lay, d.misfit, d.rows, d.starts = c, lay, nil, 0, nil
	size := d.piece
	for pos := 0; pos < len(c.Data); {
		if err := ctx.Err(); err != nil {
			return err
		}
		limit := min(pos+size, len(c.Data))
		d.x.build(c.Data, pos, limit, limit == len(c.Data), lay)
		if d.x.next == pos {
			size *= 2 // a record longer than a piece
			continue
		}
		pos, size = d.x.next, d.piece
		if err := d.convert(emit, len(c.Data)-pos); err != nil {
			return err
		}
		d.refuse(rej)
	}
	return d.flush(emit)
}

// convert appends the indexed rows to the batch, emitting it whenever it is full. left is how many bytes follow them in the chunk.
func (d *decoder) convert(emit func(pipeline.Batch) error, left int) error {
	for from := 0; from < d.x.rows; {
		n := min(d.x.rows-from, d.limit-d.rows)
		if d.rows == 0 {
			d.reserve(n, left)
		}
		r := run{b: d.chunk.Data, x: &d.x, d: &d.lay.dialect, fields: d.lay.fields, from: from, n: n, at: d.rows}
		for i := range d.cols {
			c := &d.cols[i]
			c.grow(d.rows + n)
			if r.field = d.lay.field[i]; r.field < 0 {
				c.allNull(&r)
			} else {
				c.read(c, &r)
			}
		}
		d.starts = append(d.starts, d.x.starts[from:from+n]...)
		if len(r.bad) > 0 {
			n = d.dropBad(&r)
			if d.misfit != nil {
				return d.misfit
			}
		}
		d.rows += n
		from += r.n
		if d.rows == d.limit {
			if err := d.flush(emit); err != nil {
				return err
			}
		}
	}
	return nil
}

// reserve makes room for a batch: as many rows as the rest of the chunk holds if it is like the n rows of the first piece.
func (d *decoder) reserve(n, left int) {
	first := int(d.x.starts[0])
	bytes := max(d.x.next-first, 1)
	rows := min(n+(n*left)/bytes*17/16+64, d.limit)
	d.starts = make([]uint32, 0, rows) // not reused: the batch's origins keep it
	for i := range d.cols {
		d.cols[i].reserve(d.mem, rows, bytes+left)
	}
}

// dropBad takes the rows with bad values out of the run just converted and returns how many are left.
func (d *decoder) dropBad(r *run) int {
	slices.SortStableFunc(r.bad, func(a, b badCell) int { return a.row - b.row })
	drop := make([]int, 0, len(r.bad))
	for _, c := range r.bad {
		start := d.x.starts[r.from+c.row]
		if c.misfit {
			line := d.chunk.Line + d.lay.countLines(d.chunk.Data[:start])
			d.misfit = &sources.Misfit{Input: d.chunk.Input, Line: line, Offset: d.chunk.Offset + int64(start), Column: c.column, Value: c.value, Type: c.reason}
			return 0
		}
		if len(drop) > 0 && drop[len(drop)-1] == c.row {
			continue // the row's first bad value, in the order of the schema, speaks for it
		}
		drop = append(drop, c.row)
		d.x.bad = append(d.x.bad, badRow{int(start), c.column, c.value, c.reason})
	}
	for i := range d.cols {
		d.cols[i].remove(r.at, r.n, drop)
	}
	d.starts = compact(d.starts, r.at, r.n, drop)
	return r.n - len(drop)
}

// compact takes the rows drop, which ascend and count from at, out of the n values of s from at on; s ends behind them.
func compact[T any](s []T, at, n int, drop []int) []T {
	to := at + drop[0]
	for k, row := range drop {
		end := n
		if k+1 < len(drop) {
			end = drop[k+1]
		}
		to += copy(s[to:], s[at+row+1:at+end])
	}
	return s[:to]
}

// refuse hands the piece's bad records over, in their order.
func (d *decoder) refuse(rej *pipeline.Rejects) {
	if len(d.x.bad) == 0 {
		return
	}
	slices.SortStableFunc(d.x.bad, func(a, b badRow) int { return a.start - b.start })
	o := origins{chunk: d.chunk, lay: d.lay}
	for _, r := range d.x.bad {
		// the value may lie in the chunk's buffer
		rej.AddOrigin(o.at(r.start), r.column, strings.Clone(r.value), r.reason)
	}
	d.x.bad = d.x.bad[:0]
}

// flush emits the batch, if it has rows.
func (d *decoder) flush(emit func(pipeline.Batch) error) error {
	if d.rows == 0 {
		for i := range d.cols {
			d.cols[i].drop() // all of its rows were refused
		}
		return nil
	}
	arrs := make([]arrow.Array, len(d.cols))
	for i := range d.cols {
		arrs[i] = d.cols[i].finish(d.rows)
	}
	rec := array.NewRecord(d.src.schema, arrs, int64(d.rows))
	for _, a := range arrs {
		a.Release()
	}
	defer rec.Release()
	b := pipeline.Batch{Rec: rec, Rows: &origins{chunk: d.chunk, lay: d.lay, starts: d.starts}}
	d.rows, d.starts = 0, nil
	return emit(b)
}
