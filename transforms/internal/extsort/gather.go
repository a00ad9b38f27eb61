package extsort

import (
	"context"

	"github.com/sluice-data/sluice/transforms/internal/rowpack"
)

func newReader(lays []rowpack.Layout) reader {
	return reader{Decoder: rowpack.Decoder{Cols: rowpack.NewColumns(lays)}, at: -1}
}

// gatherer reads the rows of slices. Slices of one merge follow each other, so it keeps the last piece of each run.
type gatherer struct {
	s       *Sorter
	runs    []*run
	lays    []rowpack.Layout
	of      func(*run) *pieces
	readers []*reader
	cols    []rowpack.Column // those of one run behind those of the one before
}

func newGatherer(s *Sorter, runs []*run, lays []rowpack.Layout, of func(*run) *pieces) *gatherer {
	return &gatherer{s: s, runs: runs, lays: lays, of: of, readers: make([]*reader, len(runs)), cols: rowpack.NewColumns(lays)}
}

func rowsPieces(r *run) *pieces { return &r.data }
func keyPieces(r *run) *pieces  { return &r.keys }

// read makes g.cols the rows of sl, those of one run behind those of the one before.
func (g *gatherer) read(ctx context.Context, sl *slice) error {
	for i := range g.cols {
		g.cols[i].Reset()
	}
	for k, n := range sl.n {
		if n == 0 {
			continue
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		r := g.runs[k]
		p := g.of(r)
		if g.readers[k] == nil {
			d := newReader(g.lays)
			g.readers[k] = &d
		}
		d := g.readers[k]
		for row, left := sl.lo[k], int64(n); left > 0; {
			i := row / int64(p.per)
			if err := d.load(g.s, r, p, int(i)); err != nil {
				return err
			}
			lo := row - i*int64(p.per)
			m := min(left, int64(d.N)-lo)
			for c := range g.cols {
				if err := g.cols[c].AddSpan(&d.Cols[c], int(lo), int(lo+m)); err != nil {
					return err
				}
			}
			row, left = row+m, left-m
		}
		if sl.lo[k]+int64(n) == r.rows {
			g.readers[k] = nil // this run is at its end
		}
	}
	return nil
}
