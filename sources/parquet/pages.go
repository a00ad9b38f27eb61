package parquet

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/parquet-go/parquet-go/format"

	"github.com/sluice-data/sluice/internal/fail"
	"github.com/sluice-data/sluice/sources/parquet/internal/meta"
)

const (
	// splitRows is how many rows a part of a row group has when the row groups are too few for the lanes.
	splitRows = 128 << 10
	// indexAhead is how much of a far store's page indexes is read at once: those of the row groups to come lie behind.
	indexAhead = 1 << 20
	// maxIndexes bounds the page indexes of a row group that are read at once.
	maxIndexes = 16 << 20
	// scanPatience is how long reading the first page header may take if others are to follow one by one.
	scanPatience = 3 * time.Millisecond
)

// pages are the data pages of a column chunk without repetition.
type pages struct {
	dict span // of the dictionary page; empty if there is none
	locs []meta.PageLocation
	rows int64 // of all
}

// first is the number of page i's first row; of the page behind the last one that of the rows.
func (p *pages) first(i int) int64 {
	if i == len(p.locs) {
		return p.rows
	}
	return p.locs[i].First
}

// overlapping are the pages [i, j) that have rows of [from, to).
func (p *pages) overlapping(from, to int64) (i, j int) {
	i, _ = slices.BinarySearchFunc(p.locs, from+1, func(l meta.PageLocation, row int64) int { return int(min(max(l.First-row, -1), 1)) })
	j, _ = slices.BinarySearchFunc(p.locs, to, func(l meta.PageLocation, row int64) int { return int(min(max(l.First-row, -1), 1)) })
	return i - 1, j
}

// newPages checks page locations against their column chunk; nil if they cannot be true.
func newPages(c *meta.Column, locs []meta.PageLocation, rows int64) *pages {
	s := chunkSpan(c)
	if len(locs) == 0 || locs[0].First != 0 || locs[0].Off < s.off {
		return nil
	}
	at, row := s.off, int64(-1)
	for _, l := range locs {
		if l.Off < at || l.Size <= 0 || int64(l.Size) > s.end-l.Off || l.First <= row || l.First >= rows {
			return nil
		}
		at, row = l.Off+int64(l.Size), l.First
	}
	return &pages{dict: span{s.off, locs[0].Off}, locs: locs, rows: rows}
}

// pagesOf finds the pages of all column chunks that are read of a row group, by their offset indexes or by their headers. It
// is nil where they cannot be told, or not cheaply: a column has repetition, the store is slow to answer.
func (s *source) pagesOf(ctx context.Context, f *file, g *group) ([]*pages, error) {
	for _, l := range f.leaves {
		if l.maxRep > 0 {
			return nil, nil
		}
	}
	out := make([]*pages, len(f.leaves))
	indexes, err := s.readIndexes(ctx, f, g, &f.offsets, func(c *meta.Column) meta.Range { return c.Offsets })
	if err != nil {
		return nil, err
	}
	for i := range f.leaves {
		c := &g.chunks[i]
		var locs []meta.PageLocation
		if indexes[i] != nil {
			if locs = meta.ParseOffsetIndex(indexes[i]); locs == nil {
				return nil, nil
			}
		} else if locs, err = s.scan(ctx, f, c); err != nil || locs == nil {
			return nil, err
		}
		if out[i] = newPages(c, locs, g.rows); out[i] == nil {
			return nil, nil
		}
	}
	return out, nil
}

// readIndexes reads the indexes of one kind of the row group's chunks, all at once since they lie together; nil for a chunk
// that has none, or if they are too large. What is read with them of a far store is kept in read.
func (s *source) readIndexes(ctx context.Context, f *file, g *group, read *segment, of func(*meta.Column) meta.Range) ([][]byte, error) {
	out := make([][]byte, len(g.chunks))
	var all span
	for i := range g.chunks {
		r := of(&g.chunks[i])
		if r.N <= 0 || r.Off < 0 || r.Off > f.in.Info.Size-int64(r.N) {
			continue
		}
		if all.end == 0 {
			all.off = r.Off
		}
		all.off, all.end = min(all.off, r.Off), max(all.end, r.Off+int64(r.N))
	}
	if all.end == 0 || all.end-all.off > maxIndexes {
		return out, nil
	}
	if all.off < read.off || all.end > read.end {
		if s.ahead == nil {
			read = &segment{} // for now
		}
		read.span = all
		if s.ahead != nil {
			read.end = max(all.end, min(all.off+indexAhead, f.in.Info.Size))
		}
		read.data = make([]byte, read.size())
		if err := readFull(ctx, f.in, read.off, read.data); err != nil {
			return nil, err
		}
	}
	buf := read.data[all.off-read.off:]
	for i := range g.chunks {
		if r := of(&g.chunks[i]); r.N > 0 && r.Off >= all.off && r.Off <= all.end-int64(r.N) {
			out[i] = buf[r.Off-all.off:][:r.N]
		}
	}
	return out, nil
}

// scan goes from page header to page header of a chunk without an index.
func (s *source) scan(ctx context.Context, f *file, c *meta.Column) ([]meta.PageLocation, error) {
	if s.slow {
		return nil, nil
	}
	var locs []meta.PageLocation
	at, row := chunkSpan(c), int64(0)
	for row < c.NumValues && at.off < at.end {
		start := time.Now()
		h, n, err := s.headerAt(ctx, f, at)
		if err != nil || h.Type == format.IndexPage {
			return nil, err
		}
		if time.Since(start) > s.patience {
			s.slow = true
			return nil, nil
		}
		size := int64(n) + int64(h.Compressed)
		if h.Type != format.DictionaryPage && h.NumValues > 0 {
			if size > maxPage {
				return nil, nil
			}
			locs = append(locs, meta.PageLocation{Off: at.off, Size: int32(size), First: row})
			row += int64(h.NumValues)
		}
		at.off += size
	}
	if row != c.NumValues {
		return nil, nil // the decoder says what is wrong
	}
	return locs, nil
}

// headerAt reads the page header at the start of at. One that is not to be understood ends the search for pages, like an
// index page: the decoder says what is wrong with it.
func (s *source) headerAt(ctx context.Context, f *file, at span) (meta.Page, int, error) {
	for size := int64(512); ; size *= 8 {
		b := make([]byte, min(size, at.end-at.off))
		if err := readFull(ctx, f.in, at.off, b); err != nil {
			return meta.Page{}, 0, err
		}
		h, n, err := meta.ParsePage(b)
		if err == nil {
			return h, n, nil
		}
		if !errors.Is(err, meta.ErrShort) || int64(len(b)) == at.end-at.off || size > maxHeader {
			return meta.Page{Type: format.IndexPage}, 0, nil
		}
	}
}

// pageLimits are what is known of the values of each page of each chunk; nil for a chunk without a usable column index.
func (s *source) pageLimits(ctx context.Context, f *file, g *group, at []*pages) ([][]limits, error) {
	indexes, err := s.readIndexes(ctx, f, g, &f.indexes, func(c *meta.Column) meta.Range { return c.Index })
	if err != nil {
		return nil, err
	}
	out := make([][]limits, len(f.leaves))
	for i, l := range f.leaves {
		if indexes[i] == nil || !l.typeOrder || !chunkLimits(l, &g.chunks[i]).known {
			continue // a writer without bounds for the chunk may have left those of its pages zero
		}
		x, err := meta.ParseColumnIndex(indexes[i])
		n := len(at[i].locs)
		if err != nil || len(x.NullPages) != n || len(x.Min) != n || len(x.Max) != n || x.Nulls != nil && len(x.Nulls) != n {
			continue
		}
		out[i] = make([]limits, n)
		for k := range n {
			lim := limits{nulls: meta.None, rows: at[i].first(k+1) - at[i].first(k)}
			if x.Nulls != nil {
				lim.nulls = x.Nulls[k]
			}
			if !x.NullPages[k] { // else some writers just have no bounds: the nulls are what they are counted
				lim.min, lim.max, lim.known = x.Min[k], x.Max[k], true
			}
			out[i][k] = lim
		}
	}
	return out, nil
}

// piece is a run of rows of a row group: skipped for a filter's step, or to be decoded.
type piece struct {
	from, to int64
	step     int // -1: to be decoded
}

// pieces cuts a row group where pages are excluded, and where parts for several lanes end. A panic is taken for damage that no check foresaw.
func (s *source) pieces(ctx context.Context, f *file, g *group) (cut []piece, at []*pages, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fail.Newf(fail.Data, "look for the pages of the row group at row %d: panicked: %v", g.first, r).In(f.in.URI)
		}
	}()
	whole := []piece{{0, g.rows, s.groupExcluded(f, g)}}
	byPage := whole[0].step < 0 && len(s.filters) > 0 && f.skips(g) && g.indexed()
	split := whole[0].step < 0 && s.fewGroups && g.rows >= 2*s.splitRows
	if !byPage && !split {
		return whole, nil, nil
	}
	if at, err = s.pagesOf(ctx, f, g); err != nil || at == nil {
		return whole, nil, err
	}
	if byPage {
		if whole, err = s.pagesExcluded(ctx, f, g, at); err != nil {
			return nil, nil, err
		}
	}
	if !split {
		return whole, at, nil
	}
	var out []piece
	for _, p := range whole {
		for p.step < 0 && p.to-p.from >= 2*s.splitRows {
			out = append(out, piece{p.from, p.from + s.splitRows, -1})
			p.from += s.splitRows
		}
		out = append(out, p)
	}
	return out, at, nil
}

// indexed tells whether a chunk of the group has a column index.
func (g *group) indexed() bool {
	return slices.ContainsFunc(g.chunks, func(c meta.Column) bool { return c.Index.N > 0 && c.Offsets.N > 0 })
}

// pagesExcluded cuts a row group at the borders of pages into runs that are excluded and runs that are not.
func (s *source) pagesExcluded(ctx context.Context, f *file, g *group, at []*pages) ([]piece, error) {
	limitsOf, err := s.pageLimits(ctx, f, g, at)
	if err != nil {
		return nil, err
	}
	var borders []int64
	for i, lims := range limitsOf {
		if lims != nil {
			for _, l := range at[i].locs {
				borders = append(borders, l.First)
			}
		}
	}
	slices.Sort(borders)
	borders = append(slices.Compact(borders), g.rows)
	if borders[0] != 0 {
		return []piece{{0, g.rows, -1}}, nil
	}
	var out []piece
	for k := range len(borders) - 1 {
		from, to := borders[k], borders[k+1]
		step := s.excluded(f, func(p *plan) (limits, bool) {
			i := p.leaf.index
			if limitsOf[i] == nil {
				return chunkLimits(p.leaf, &g.chunks[i]), true
			}
			page, _ := at[i].overlapping(from, to)
			return limitsOf[i][page], true
		})
		if n := len(out); n > 0 && out[n-1].step == step {
			out[n-1].to = to
			continue
		}
		out = append(out, piece{from, to, step})
	}
	return out, nil
}
