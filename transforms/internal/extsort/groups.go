package extsort

import (
	"context"
	"io"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/memory"

	"github.com/sluice-data/sluice/internal/fail"
	"github.com/sluice-data/sluice/pipeline"
	"github.com/sluice-data/sluice/transforms/internal/rowpack"
)

// Groups is rows of the result that have whole groups: rows with the first part of the key in common, or all rows.
type Groups struct {
	N      int
	Starts []int32       // the first row of each group
	Peers  []int32       // the first row of each set of rows with the whole key in common
	Beside []arrow.Array // of the rows
	slices []*slice
	drain  *Drain
}

// Slices calls f with each piece of work that brings rows [lo, hi) together, for a decoder of the drain.
func (g *Groups) Slices(f func(c *pipeline.Chunk, lo, hi int)) {
	lo := 0
	for _, sl := range g.slices {
		c := &pipeline.Chunk{Part: sl, Offset: -1}
		c.OnRelease(func() { g.drain.pool.Put(sl) })
		f(c, lo, lo+sl.kept)
		lo += sl.kept
	}
}

// Release gives up the rows' columns.
func (g *Groups) Release() {
	for _, a := range g.Beside {
		a.Release()
	}
	g.Beside = nil
}

// GroupReader gives the result in whole groups.
type GroupReader struct {
	d       *Drain
	grouped bool // the first part of the key tells groups
	g       *gatherer
	order   []int32
}

// Groups reads the drain's rows in whole groups of those that have the first part of the key in common, or as one group. It stands
// in for Next and NextChunk. The drain was made with EveryRow.
func (d *Drain) Groups(grouped bool) *GroupReader {
	return &GroupReader{d: d, grouped: grouped, g: newGatherer(d.s, d.runs, d.s.keys, keyPieces)}
}

// EveryRow is a Keep that drops none.
func EveryRow(int, int, int64) bool { return true }

// Next is the next groups, at least as many rows as a slice has, or io.EOF. room is asked whether so many rows, whose columns beside the
// keys have so many bytes, may be held: its error ends it.
func (r *GroupReader) Next(ctx context.Context, mem memory.Allocator, room func(rows int, bytes int64) error) (_ *Groups, err error) {
	d, m := r.d, r.d.m
	out := &Groups{drain: d}
	defer func() {
		if err != nil {
			out.Release()
		}
	}()
	var parts [][]arrow.Array
	held := int64(0)
	defer func() {
		for _, cols := range parts {
			for _, a := range cols {
				a.Release()
			}
		}
	}()
	for {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		sl, _ := d.pool.Get().(*slice)
		if sl == nil {
			sl = &slice{}
		}
		sl.reset(len(d.runs))
		whole, bytes := false, int64(0)
		for sl.kept < d.s.sliceRows && bytes < d.s.sliceBytes {
			w := m.top()
			if w < 0 {
				whole = true
				break
			}
			head := m.head(w)
			starts := head == 0 && (r.grouped || !m.begun)
			if starts && (out.N+sl.kept > 0) && (len(out.slices) > 0 || 2*sl.kept > d.s.sliceRows || 2*bytes > d.s.sliceBytes) {
				whole = true
				break
			}
			row := int32(out.N + sl.kept)
			if starts {
				out.Starts = append(out.Starts, row)
			}
			if head < len(d.s.parts) || !m.begun {
				out.Peers = append(out.Peers, row)
			}
			bytes += d.s.fixed + int64(m.cur[w].size[m.cur[w].off])
			if err := m.take(sl, w, true); err != nil {
				return nil, err
			}
		}
		if sl.kept > 0 {
			d.rows += int64(sl.kept)
			out.slices = append(out.slices, sl)
			out.N += sl.kept
			cols, err := r.beside(ctx, mem, sl)
			parts = append(parts, cols)
			if err != nil {
				return nil, err
			}
			for _, a := range cols {
				held += int64(a.Data().SizeInBytes())
			}
			if err := room(out.N, held); err != nil {
				return nil, err
			}
		}
		if whole {
			break
		}
	}
	if out.N == 0 {
		return nil, io.EOF
	}
	return out, out.join(mem, parts)
}

// Piece is the next rows, about as many as a slice has, whatever the groups, or io.EOF. The first row of one that goes on with a group is not among Starts, nor
// among Peers if it goes on with a set of those. With peers it parts none; tooMany is its error where one has more than four slices.
func (r *GroupReader) Piece(ctx context.Context, mem memory.Allocator, peers bool, tooMany func() error) (_ *Groups, err error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	d, m := r.d, r.d.m
	out, sl := &Groups{drain: d}, &slice{}
	sl.reset(len(d.runs))
	for bytes := int64(0); ; {
		w := m.top()
		if w < 0 {
			break
		}
		head := m.head(w)
		apart := head < len(d.s.parts) || !m.begun
		if sl.kept >= d.s.sliceRows || bytes >= d.s.sliceBytes {
			if apart || !peers {
				break
			}
			if sl.kept >= 4*d.s.sliceRows || bytes >= 4*d.s.sliceBytes {
				return nil, tooMany()
			}
		}
		if head == 0 && (r.grouped || !m.begun) {
			out.Starts = append(out.Starts, int32(sl.kept))
		}
		if apart {
			out.Peers = append(out.Peers, int32(sl.kept))
		}
		bytes += d.s.fixed + int64(m.cur[w].size[m.cur[w].off])
		if err := m.take(sl, w, true); err != nil {
			return nil, err
		}
	}
	if sl.kept == 0 {
		return nil, io.EOF
	}
	d.rows += int64(sl.kept)
	out.slices, out.N = []*slice{sl}, sl.kept
	out.Beside, err = r.beside(ctx, mem, sl)
	if err != nil {
		out.Release()
		return nil, err
	}
	return out, nil
}

// beside is the columns kept with the keys of the slice's rows.
func (r *GroupReader) beside(ctx context.Context, mem memory.Allocator, sl *slice) (cols []arrow.Array, err error) {
	s := r.d.s
	if len(s.cfg.Beside) == 0 {
		return nil, nil
	}
	if err := r.g.read(ctx, sl); err != nil {
		return nil, err
	}
	r.order = sl.order(r.order)
	for i := range s.cfg.Beside {
		b := rowpack.NewBuilder(&s.keys[s.beside+i], mem)
		if err := b.Pick(&r.g.cols[s.beside+i], r.order); err != nil {
			return cols, fail.Newf(fail.Data, "%s: %w", s.cfg.Step, err)
		}
		a, err := b.Array()
		if err != nil {
			return cols, fail.Newf(fail.Internal, "%s: %w", s.cfg.Step, err)
		}
		cols = append(cols, a)
	}
	return cols, nil
}

// join makes the groups' columns of those of their slices.
func (g *Groups) join(mem memory.Allocator, parts [][]arrow.Array) error {
	if len(parts) == 0 {
		return nil
	}
	for i := range parts[0] {
		if len(parts) == 1 {
			parts[0][i].Retain()
			g.Beside = append(g.Beside, parts[0][i])
			continue
		}
		of := make([]arrow.Array, len(parts))
		for k := range parts {
			of[k] = parts[k][i]
		}
		a, err := array.Concatenate(of, mem)
		if err != nil {
			return fail.Newf(fail.Data, "%s: %w", g.drain.s.cfg.Step, err)
		}
		g.Beside = append(g.Beside, a)
	}
	return nil
}
