package extsort

import (
	"bufio"
	"context"
	"io"
	"slices"

	"github.com/sluice-data/sluice/transforms/internal/rowpack"
)

// compact merges the newest runs on disk into one where there are too many of them: those of equal level, so that a row is
// written again once for each power of the number.
func (l *Lane) compact() error {
	for {
		k := len(l.runs)
		for k > 0 && l.runs[k-1].level == l.runs[len(l.runs)-1].level {
			k--
		}
		many := l.runs[k:]
		widest := int64(0)
		for _, r := range many {
			widest = max(widest, r.widest())
		}
		if len(many) < l.s.runsAtOnce(widest) {
			return nil
		}
		r, err := l.merge(many)
		if err != nil {
			return err
		}
		for _, old := range many {
			old.drop()
		}
		if r.level == 1 {
			l.disk = nil // its runs are gone, and so is the file
		}
		l.runs = append(l.runs[:k], r)
		l.s.merged.Store(true)
	}
}

// merge writes the rows of runs, in order, as one run to a file of its own.
func (l *Lane) merge(runs []*run) (_ *run, err error) {
	s := l.s
	f, err := s.create(s.cfg.TempDir)
	if err != nil {
		return nil, s.diskError("make room for rows", err)
	}
	out := &run{level: runs[0].level + 1, first: runs[0].first, file: &spill{file: f, runs: 1}}
	defer func() {
		if err != nil {
			out.drop()
		}
	}()
	out.keys.per, out.data.per = rowpack.PieceRows, rowpack.PieceRows
	shift := make([]uint32, len(runs)) // from a run's number of a chunk to that in out
	for i, r := range runs {
		out.rows += r.rows
		out.keys.per, out.data.per = min(out.keys.per, r.keys.per), min(out.data.per, r.data.per)
		chunks := r.chunks
		if k := len(out.chunks); k > 0 && len(chunks) > 0 && out.chunks[k-1] == chunks[0] {
			shift[i], chunks = uint32(k-1), chunks[1:]
		} else {
			shift[i] = uint32(k)
		}
		out.chunks = append(out.chunks, chunks...)
	}
	m, err := newMerge(s, runs, false)
	if err != nil {
		return nil, err
	}
	w := &pieceWriter{s: s, w: bufio.NewWriterSize(io.NewOffsetWriter(f, 0), 256<<10)}
	keys := w.of(newGatherer(s, runs, s.keys, keyPieces), &out.keys)
	keys.shift = shift
	data := w.of(newGatherer(s, runs, s.lays, rowsPieces), &out.data)
	var sl slice
	for {
		sl.reset(len(runs))
		for bytes := int64(0); len(sl.seq) < rowpack.PieceRows && bytes < s.sliceBytes; {
			top := m.top()
			if top < 0 {
				break
			}
			bytes += s.fixed + m.textBytes(top)
			if err := m.take(&sl, top, true); err != nil {
				return nil, err
			}
		}
		last := m.top() < 0
		for _, t := range []*track{keys, data} {
			if err := t.add(&sl, last); err != nil {
				return nil, err
			}
		}
		if last {
			break
		}
	}
	if err := w.w.Flush(); err != nil {
		return nil, s.diskError("write rows to disk", err)
	}
	out.file.end = w.at
	return out, nil
}

// pieceWriter writes pieces of both kinds one after the other.
type pieceWriter struct {
	s  *Sorter
	w  *bufio.Writer
	at int64
}

// track is the pieces of one kind: what is left of the last slice waits for the next one, since all pieces of a run have as many rows.
type track struct {
	w     *pieceWriter
	g     *gatherer
	to    *pieces
	enc   *rowpack.Encoder
	shift []uint32 // of the keys' numbers of chunks, by run
	wait  []rowpack.Column
	n     int
	spare rowpack.Column
	order []int32
	buf   []byte
}

func (w *pieceWriter) of(g *gatherer, to *pieces) *track {
	return &track{w: w, g: g, to: to, enc: rowpack.NewEncoder(len(g.lays)), wait: rowpack.NewColumns(g.lays)}
}

// add writes the rows of sl as far as they fill pieces, and all of them if they are the last.
func (t *track) add(sl *slice, last bool) error {
	if err := t.g.read(context.Background(), sl); err != nil {
		return err
	}
	if t.shift != nil {
		at, chunk := 0, t.g.cols[chunkColumn].Uint32s()
		for i, n := range sl.n {
			for k := range chunk[at : at+int(n)] {
				chunk[at+k] += t.shift[i]
			}
			at += int(n)
		}
	}
	t.order = sl.order(t.order)
	for i := range t.wait {
		t.g.cols[i].Permute(&t.spare, t.order)
		if err := t.wait[i].AddSpan(&t.spare, 0, len(t.order)); err != nil {
			return err
		}
	}
	t.n += len(t.order)
	lo := 0
	for ; t.n-lo >= t.to.per || last && lo < t.n; lo += t.to.per {
		t.buf = t.enc.Piece(t.buf[:0], t.wait, lo, min(lo+t.to.per, t.n), nil)
		t.to.at = append(t.to.at, t.w.at)
		t.to.size = append(t.to.size, uint32(len(t.buf)))
		t.w.at += int64(len(t.buf))
		if _, err := t.w.w.Write(t.buf); err != nil {
			return t.w.s.diskError("write rows to disk", err)
		}
	}
	if lo = min(lo, t.n); lo == 0 {
		return nil
	}
	rest := slices.Clone(t.wait)
	for i := range t.wait {
		t.wait[i] = rowpack.NewColumns(t.g.lays[i : i+1])[0]
		if lo < t.n {
			if err := t.wait[i].AddSpan(&rest[i], lo, t.n); err != nil {
				return err
			}
		}
	}
	t.n -= lo
	return nil
}
