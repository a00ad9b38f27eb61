package extsort

import (
	"context"
	"math"
	"slices"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/memory"

	"github.com/sluice-data/sluice/internal/fail"
	"github.com/sluice-data/sluice/transforms/internal/orderkey"
	"github.com/sluice-data/sluice/transforms/internal/rowpack"
	"github.com/sluice-data/sluice/transforms/internal/slab"
)

// Lane is one lane's share of a sort. It is used by one goroutine at a time.
type Lane struct {
	s   *Sorter
	mem memory.Allocator
	enc []*orderkey.Encoder

	// The window: rows that are not in a run yet.
	keys   []orderkey.Keys
	cols   []rowpack.Column
	beside []rowpack.Column
	chunk  []uint32 // of each row, in chunks
	size   []uint32 // of each row's texts
	chunks []int64
	sort   window
	perm   []int32
	spare  rowpack.Column
	words  []uint64
	longs  []uint32
	ends   []uint32
	bytes  []byte
	keyEnc *rowpack.Encoder
	rowEnc *rowpack.Encoder
	out    []byte

	now   int64 // the chunk that rows come from
	rows  int64
	runs  []*run
	held  int64 // bytes of runs in memory
	disk  *spill
	fault error // the first; the lane is no use then
}

// Begin takes note of where in the input the next rows are from; numbers grow from call to call.
func (l *Lane) Begin(number int64) { l.now = number }

// Rows is the rows added.
func (l *Lane) Rows() int64 { return l.rows }

// Close frees what the lane holds. It may be called again.
func (l *Lane) Close() {
	for _, r := range l.runs {
		r.drop()
	}
	l.runs, l.disk = nil, nil
	l.forget()
}

// forget frees the window.
func (l *Lane) forget() {
	l.beside = nil
	l.keys, l.cols, l.chunk, l.size, l.sort, l.perm, l.out = nil, nil, nil, nil, window{}, nil, nil
	l.spare, l.words, l.longs, l.ends, l.bytes = rowpack.Column{}, nil, nil, nil, nil
}

// Add takes n rows: cols are those of the schema, by the columns of each part of the key. Both are borrowed.
func (l *Lane) Add(ctx context.Context, by [][]arrow.Array, cols []arrow.Array, n int) error {
	return l.AddBeside(ctx, by, nil, cols, n)
}

// AddBeside is Add with the columns that are kept with the keys.
func (l *Lane) AddBeside(ctx context.Context, by [][]arrow.Array, beside, cols []arrow.Array, n int) error {
	if l.fault == nil {
		l.fault = l.add(ctx, by, beside, cols, n)
	}
	return l.fault
}

func (l *Lane) add(ctx context.Context, by [][]arrow.Array, beside, cols []arrow.Array, n int) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if n == 0 {
		return nil
	}
	for i, e := range l.enc {
		if e == nil {
			continue
		}
		if err := e.Encode(by[i], n, &l.keys[i]); err != nil {
			return fail.Newf(fail.Data, "%s: %w", l.s.cfg.Step, err)
		}
	}
	for i := range l.cols {
		if err := l.cols[i].Add(cols[i]); err != nil {
			return fail.Newf(fail.Data, "%s: %w", l.s.cfg.Step, err).Of(l.s.cfg.Schema.Field(i).Name, "")
		}
	}
	for i := range l.beside {
		if err := l.beside[i].Add(beside[i]); err != nil {
			return fail.Newf(fail.Data, "%s: %w", l.s.cfg.Step, err)
		}
	}
	if k := len(l.chunks); k == 0 || l.chunks[k-1] != l.now {
		l.chunks = append(l.chunks, l.now)
	}
	from := len(l.chunk)
	l.chunk = slices.Grow(l.chunk, n)[:from+n]
	for i := range l.chunk[from:] {
		l.chunk[from+i] = uint32(len(l.chunks) - 1)
	}
	if l.s.sized {
		l.size = append(l.size, make([]uint32, n)...)
		for i := range l.cols {
			l.cols[i].AddSizes(l.size[from:], from)
		}
	}
	l.rows += int64(n)
	if l.windowSize() >= l.s.window() {
		return l.seal()
	}
	return nil
}

func (l *Lane) windowSize() int64 {
	n := int64(len(l.chunk)) * (8 + 32) // and the entries that they are ordered by
	for i := range l.cols {
		n += l.cols[i].Size()
	}
	for i := range l.beside {
		n += l.beside[i].Size()
	}
	for i := range l.keys {
		n += l.keys[i].Size()
	}
	return n
}

// seal makes a run of the window.
func (l *Lane) seal() error {
	n := len(l.chunk)
	if n == 0 {
		return nil
	}
	order := l.sort.order(l.s.cfg.Keys, l.keys, n, l.perm)
	if order != nil {
		l.perm = order
	}
	r := &run{rows: int64(n), first: l.rows - int64(n), chunks: slices.Clone(l.chunks)}
	size := int64(0)
	for i := range l.cols {
		size += l.cols[i].Size()
		if order != nil {
			l.cols[i].Permute(&l.spare, order)
			l.cols[i], l.spare = l.spare, l.cols[i]
		}
	}
	l.out = l.out[:0]
	r.data.per = rowsOf(l.s.piece(), size, n)
	for lo := 0; lo < n; lo += r.data.per {
		r.data.add(len(l.out))
		l.out = l.rowEnc.Piece(l.out, l.cols, lo, min(lo+r.data.per, n), nil)
		r.data.end(len(l.out))
	}
	keys, keyBytes := l.keyColumns(order)
	r.keys.per = rowsOf(l.s.piece(), keyBytes, n)
	for lo := 0; lo < n; lo += r.keys.per {
		r.keys.add(len(l.out))
		l.out = l.keyEnc.Piece(l.out, keys, lo, min(lo+r.keys.per, n), nil)
		r.keys.end(len(l.out))
	}
	var err error
	if r.mem, err = slab.Map(len(l.out)); err != nil {
		return fail.Newf(fail.Temporary, "%s: get memory: %w", l.s.cfg.Step, err)
	}
	copy(r.mem, l.out)
	l.runs = append(l.runs, r)
	l.held += int64(len(r.mem))
	for i := range l.cols {
		l.cols[i].Reset()
	}
	for i := range l.keys {
		l.keys[i].Reset()
	}
	for i := range l.beside {
		l.beside[i].Reset()
	}
	l.chunk, l.size, l.chunks = l.chunk[:0], l.size[:0], l.chunks[:0]
	if l.held+3*l.s.window() > l.s.share() || l.inMemory() >= 2*l.s.runs() {
		return l.spill()
	}
	return nil
}

func (p *pieces) add(at int) { p.at = append(p.at, int64(at)) }
func (p *pieces) end(at int) {
	p.size = append(p.size, uint32(int64(at)-p.at[len(p.at)-1]))
}

// rowsOf is how many of n rows of so many bytes in all have about want.
func rowsOf(want, bytes int64, n int) int {
	each := max(1, bytes/int64(n))
	return int(max(1, min(rowpack.PieceRows, want/each)))
}

func (l *Lane) inMemory() int {
	n := 0
	for i := len(l.runs) - 1; i >= 0 && l.runs[i].file == nil; i-- {
		n++
	}
	return n
}

// keyColumns is the window's keys in the given order, as columns to be packed, and their bytes.
func (l *Lane) keyColumns(order []int32) ([]rowpack.Column, int64) {
	n := len(l.chunk)
	cols := rowpack.NewColumns(l.s.keys)
	total := int64(0)
	set := func(i int, data []byte, ends []uint32) {
		cols[i].Borrow(n, data, ends)
		total += int64(len(data) + 4*len(ends))
	}
	words := func(i int, v []uint64) {
		if order != nil {
			v = permuted(v, order)
		}
		set(i, arrow.GetBytes(v), nil)
	}
	ints := func(i int, v []uint32) {
		if order != nil {
			v = permuted(v, order)
		}
		set(i, arrow.GetBytes(v), nil)
	}
	ints(chunkColumn, l.chunk)
	size := l.size
	if !l.s.sized {
		size = make([]uint32, n)
	}
	ints(sizeColumn, size)
	if l.s.cfg.Numbered {
		first := uint64(l.rows - int64(n))
		v := make([]uint64, n)
		for i := range v {
			v[i] = first + uint64(i)
		}
		words(numberColumn, v)
	}
	for i := range l.beside {
		c := &cols[l.s.beside+i]
		if order == nil {
			*c = l.beside[i].Alias()
		} else {
			l.beside[i].Permute(c, order)
		}
		total += c.Size()
	}
	at := 0
	for i := range l.keys {
		if l.enc[i] == nil {
			continue
		}
		p, k := l.s.parts[at], &l.keys[i]
		at++
		words(p.w0, k.W0)
		if p.w1 >= 0 {
			words(p.w1, k.W1)
		}
		if p.tail < 0 {
			continue
		}
		if order == nil {
			set(p.tail, k.Bytes, k.Ends)
			continue
		}
		data, ends := make([]byte, 0, len(k.Bytes)), make([]uint32, n)
		for j, o := range order {
			data = append(data, k.Tail(int(o))...)
			ends[j] = uint32(len(data))
		}
		set(p.tail, data, ends)
	}
	return cols, total
}

func permuted[T any](v []T, order []int32) []T {
	out := make([]T, len(order))
	for i, o := range order {
		out[i] = v[o]
	}
	return out
}

// spill writes the runs in memory to disk.
func (l *Lane) spill() error {
	for _, r := range l.runs {
		if r.file != nil {
			continue
		}
		if l.disk == nil {
			f, err := l.s.create(l.s.cfg.TempDir)
			if err != nil {
				return l.s.diskError("make room for rows", err)
			}
			l.disk = &spill{file: f}
		}
		if _, err := l.disk.WriteAt(r.mem, l.disk.end); err != nil {
			if l.disk.runs == 0 {
				l.disk.Close()
				l.disk = nil
			}
			return l.s.diskError("write rows to disk", err)
		}
		r.moved(l.disk, l.disk.end)
		l.disk.end += int64(len(r.mem))
		slab.Unmap(r.mem)
		r.mem = nil
	}
	l.held = 0
	l.s.spilled.Store(true)
	return l.compact()
}

// moved says that the run is in the file now, by from where it was.
func (r *run) moved(f *spill, by int64) {
	for _, p := range []*pieces{&r.keys, &r.data} {
		for i := range p.at {
			p.at[i] += by
		}
	}
	r.file = f
	f.runs++
}

// finish makes a run of the last window and frees what only Add needs.
func (l *Lane) finish() error {
	if l.fault == nil {
		l.fault = l.seal()
	}
	l.forget()
	return l.fault
}

// mostRuns is what a slice can tell apart.
const mostRuns = math.MaxInt16
