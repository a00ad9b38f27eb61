package extsort

import (
	"slices"

	"github.com/sluice-data/sluice/internal/fail"
	"github.com/sluice-data/sluice/transforms/internal/rowpack"
	"github.com/sluice-data/sluice/transforms/internal/slab"
)

// run is rows in order: their keys, and they themselves. Those of one lane are numbered by age: of equal keys, those of an older run come first.
type run struct {
	lane   int // in the merge
	level  int // how often its rows were merged on disk
	rows   int64
	first  int64   // number of its first row in the lane, where the rows are in the order of the input
	chunks []int64 // of the input, ascending, that rows are from
	keys   pieces
	data   pieces
	mem    []byte // of slab.Map, while it is in memory
	file   *spill // where it is then
}

// pieces is rows in pieces, each with the same number of them but the last.
type pieces struct {
	per  int
	at   []int64 // where each begins, in memory or in the file
	size []uint32
}

// widest is the bytes of the run's largest piece of keys and of rows.
func (r *run) widest() int64 {
	n := int64(0)
	for _, p := range []*pieces{&r.keys, &r.data} {
		if len(p.size) > 0 {
			n += int64(slices.Max(p.size))
		}
	}
	return n
}

// spill is a file and how many runs it has.
type spill struct {
	file
	end  int64
	runs int
}

// done says that one run less is in the file, which goes with the last one.
func (f *spill) done() {
	if f.runs--; f.runs == 0 {
		f.Close()
	}
}

// drop gives up the run's memory or file.
func (r *run) drop() {
	slab.Unmap(r.mem)
	r.mem = nil
	if r.file != nil {
		r.file.done()
		r.file = nil
	}
}

// piece is piece i of p, one of r's; buf is used where it has to be read.
func (r *run) piece(s *Sorter, p *pieces, i int, buf *[]byte) ([]byte, error) {
	n := int(p.size[i])
	if r.file == nil {
		return r.mem[p.at[i] : p.at[i]+int64(n)], nil
	}
	if cap(*buf) < n {
		*buf = make([]byte, n+n/4)
	}
	b := (*buf)[:n]
	if _, err := r.file.ReadAt(b, p.at[i]); err != nil {
		return nil, s.diskError("read rows from disk", err)
	}
	return b, nil
}

// reader reads pieces of a run, one at a time.
type reader struct {
	rowpack.Decoder
	at  int // the piece that is decoded; -1 for none
	buf []byte
}

func (d *reader) load(s *Sorter, r *run, p *pieces, i int) error {
	if d.at == i {
		return nil
	}
	d.at = -1
	b, err := r.piece(s, p, i, &d.buf)
	if err != nil {
		return err
	}
	if err := d.Piece(b); err != nil {
		return fail.Newf(fail.Temporary, "%s: read rows back: %w", s.cfg.Step, err)
	}
	if want := min(int64(p.per), r.rows-int64(i)*int64(p.per)); int64(d.N) != want {
		return fail.Newf(fail.Temporary, "%s: read rows back: a piece of %d rows has %d", s.cfg.Step, want, d.N)
	}
	d.at = i
	return nil
}
