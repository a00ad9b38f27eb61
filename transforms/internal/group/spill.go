package group

import (
	"bufio"
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/ipc"
	"github.com/apache/arrow/go/v17/arrow/memory"

	"github.com/sluice-data/sluice/transforms/internal/keys"
	"github.com/sluice-data/sluice/transforms/internal/pack"
	"github.com/sluice-data/sluice/transforms/internal/spillfile"
)

// runBlock and runBytes bound the groups per record of a run: what reading one back takes stays small.
const (
	runBlock = 8192
	runBytes = 512 << 10
)

// spillFile holds runs: groups as an Arrow IPC stream of the spill schema, or rows as they are kept in memory. It has no name: a crash
// leaves nothing behind.
type spillFile struct {
	file *os.File
	end  int64
	rows int64         // rows written, and the sum of the counts of all groups written
	runs map[int][]run // by partition
	n    int64         // runs ever written
	buf  *bufio.Writer
}

type run struct {
	file     *os.File
	from, to int64
	chunks   []rawChunk // of rows; none is a stream of groups
	one      bool       // it is of one group alone, which has this hash
	hash     uint64
}

// rawChunk is a chunk of rows on disk: the rows, then their arenas.
type rawChunk struct {
	lay    *layout
	n      int
	packed bool
	size   int   // bytes of the rows
	texts  []int // bytes of each arena
}

func newSpillFile(dir string) (*spillFile, error) {
	f, err := spillfile.New(dir)
	if err != nil {
		return nil, diskError(err)
	}
	return &spillFile{file: f, runs: map[int][]run{}}, nil
}

// writer writes behind all runs.
func (s *spillFile) writer() *bufio.Writer {
	to := io.NewOffsetWriter(s.file, s.end)
	if s.buf == nil {
		s.buf = bufio.NewWriterSize(to, 64<<10)
	}
	s.buf.Reset(to)
	return s.buf
}

func (s *spillFile) close() { s.file.Close() }

func diskError(err error) error {
	return spillfile.Error("aggregate", err, "give it a --tmp-dir with more room, or raise --memory-limit")
}

// write appends a run of groups to partition i; cols are the columns of the spill schema.
func (s *spillFile) write(f *Fold, i int, hashes []uint64, cols []arrow.Array, n int, mem memory.Allocator) (err error) {
	w := s.writer()
	counted := &countWriter{w: w}
	rec := array.NewRecord(f.spill, cols, int64(n))
	defer rec.Release()
	out := ipc.NewWriter(counted, ipc.WithSchema(f.spill), ipc.WithAllocator(mem))
	size := uint64(0)
	for _, c := range cols {
		size += c.Data().SizeInBytes()
	}
	block := max(1, int(min(runBlock, runBytes*uint64(n)/max(1, size))))
	for lo := 0; lo < n && err == nil; lo += block {
		piece := rec.NewSlice(int64(lo), int64(min(lo+block, n)))
		err = out.Write(piece)
		piece.Release()
	}
	if err = errors.Join(err, out.Close(), w.Flush()); err != nil {
		return diskError(fmt.Errorf("write groups to disk: %w", err))
	}
	s.runs[i] = append(s.runs[i], run{file: s.file, from: s.end, to: s.end + counted.n, one: n == 1, hash: hashes[0]})
	s.end += counted.n
	s.n++
	counts := cols[f.funcs[0].state].(*array.Int64)
	for _, c := range counts.Int64Values() {
		s.rows += c
	}
	return nil
}

// Chunks of rows with texts, of some rows each, are one on disk up to these: what is known of each stays in memory.
const (
	togetherRows  = 1024
	togetherBytes = 256 << 10
)

// together is how many of the chunks, one at least, are one on disk.
func together(chunks []chunk) int {
	first := &chunks[0]
	if first.packed || first.lay.arenas == 0 {
		return 1
	}
	rows, size := 0, 0
	for i := range chunks {
		c := &chunks[i]
		rows, size = rows+c.n, size+len(c.rows)
		for _, a := range c.arenas {
			size += len(a)
		}
		if i > 0 && (c.lay != first.lay || c.packed || rows > togetherRows || size > togetherBytes) {
			return i
		}
	}
	return len(chunks)
}

// behind makes the chunk's rows point into arenas in which so many bytes stand before its texts.
func (c *chunk) behind(texts []int) {
	shift := func(at, by int) {
		if by == 0 {
			return
		}
		w := arrow.GetData[uint32](c.rows)
		for i := range c.n {
			w[(i*c.lay.stride+at)/4] += uint32(by)
		}
	}
	if c.packed || c.lay.arenas == 0 {
		return
	}
	if c.lay.bytes {
		shift(c.lay.end, texts[0])
	}
	for i, arena := range c.lay.text {
		if arena >= 0 {
			shift(c.lay.at[i], texts[arena])
		}
	}
}

// writeRows appends a run of rows to partition i; the chunks are of no use then.
func (s *spillFile) writeRows(i int, chunks []chunk) error {
	w := s.writer()
	r := run{file: s.file, from: s.end, to: s.end}
	put := func(b []byte) {
		_, _ = w.Write(b) // an error sticks until Flush
		r.to += int64(len(b))
	}
	for len(chunks) > 0 {
		n := together(chunks)
		c := &chunks[0]
		raw := rawChunk{lay: c.lay, packed: c.packed, texts: make([]int, len(c.arenas))}
		for j := range chunks[:n] {
			c := &chunks[j]
			c.behind(raw.texts)
			put(c.rows)
			raw.n, raw.size = raw.n+c.n, raw.size+len(c.rows)
			for k, a := range c.arenas {
				raw.texts[k] += len(a)
			}
		}
		for k := range raw.texts {
			for _, c := range chunks[:n] {
				put(c.arenas[k])
			}
		}
		r.chunks = append(r.chunks, raw)
		s.rows += int64(raw.n)
		chunks = chunks[n:]
	}
	if err := w.Flush(); err != nil {
		return diskError(fmt.Errorf("write rows to disk: %w", err))
	}
	s.runs[i] = append(s.runs[i], r)
	s.end = r.to
	s.n++
	return nil
}

// readRows calls to for each chunk of a run of rows; the chunk is lent, its memory is buf's, which is given back to be used again.
func (r run) readRows(buf []uint64, to func(*chunk) error) ([]uint64, error) {
	at := r.from
	for _, raw := range r.chunks {
		total := raw.size
		for _, n := range raw.texts {
			total += n
		}
		buf = resize(buf, (total+pack.Slack+7)/8)
		b := arrow.GetBytes(buf)[:total]
		if _, err := r.file.ReadAt(b, at); err != nil {
			return buf, diskError(fmt.Errorf("read rows from disk: %w", err))
		}
		at += int64(total)
		c := chunk{lay: raw.lay, n: raw.n, packed: raw.packed, rows: b[:raw.size]}
		for from, i := raw.size, 0; i < len(raw.texts); i++ {
			c.arenas = append(c.arenas, b[from:from+raw.texts[i]])
			from += raw.texts[i]
		}
		if err := to(&c); err != nil {
			return buf, err
		}
	}
	return buf, nil
}

type countWriter struct {
	w io.Writer
	n int64
}

func (c *countWriter) Write(b []byte) (int, error) {
	n, err := c.w.Write(b)
	c.n += int64(n)
	return n, err
}

// read calls to for each record of the run, read through buf; the record is lent.
func (r run) read(buf *bufio.Reader, mem memory.Allocator, to func(arrow.Record) error) error {
	buf.Reset(io.NewSectionReader(r.file, r.from, r.to-r.from))
	in, err := ipc.NewReader(buf, ipc.WithAllocator(mem))
	if err != nil {
		return diskError(fmt.Errorf("read groups from disk: %w", err))
	}
	defer in.Release()
	for in.Next() {
		if err := to(in.Record()); err != nil {
			return err
		}
	}
	if err := in.Err(); err != nil && !errors.Is(err, io.EOF) {
		return diskError(fmt.Errorf("read groups from disk: %w", err))
	}
	return nil
}

// spillPart writes the groups of p as a run of partition i; p is done for then.
func (f *Fold) spillPart(s *spillFile, i int, p *part, mem memory.Allocator) error {
	cols, err := p.tab.Columns(mem, 0, p.tab.Len())
	if err != nil {
		return err
	}
	defer func() { release(cols) }()
	states, err := f.states(p)
	if err != nil {
		return err
	}
	cols = append(cols, states...)
	var r keys.Rows
	p.tab.View(&r, 0, p.tab.Len())
	return s.write(f, i, r.Hashes(), cols, p.tab.Len(), mem)
}

// makeRoom spills the largest partitions of the lane, and of its peers, if it must, until need more bytes fit with a quarter of the budget to spare. A
// lane that holds next to nothing keeps it: the others have the memory, and runs of a few groups each give none.
func (l *Lane) makeRoom(need int64) error {
	if l.f.room(need) {
		return nil
	}
	type place struct {
		l    *Lane
		i    int
		size int64
	}
	order, held := make([]place, 0, fanout), int64(0)
	for _, m := range l.peers {
		for i, p := range m.parts {
			if p.tab.Len() > 0 || m.stash.size[i] > 0 {
				order = append(order, place{m, i, p.size + m.stash.size[i]})
				held += p.size + m.stash.size[i]
			}
		}
	}
	if held < l.f.share(16) {
		return nil
	}
	slices.SortFunc(order, func(a, b place) int { return cmp.Compare(b.size, a.size) })
	for _, at := range order {
		if l.f.room(need + l.f.limit/4) {
			break
		}
		if err := at.l.spillPart(at.i); err != nil {
			return err
		}
	}
	return nil
}

// toDisk writes the groups of p, which is done for then, as a run of partition i.
func (l *Lane) toDisk(i int, p *part) error {
	if err := l.needDisk(); err != nil {
		return err
	}
	return l.f.spillPart(l.disk, i, p, l.mem)
}

func (l *Lane) needDisk() (err error) {
	if l.disk == nil {
		l.disk, err = newSpillFile(l.f.cfg.TempDir)
	}
	return err
}

func (l *Lane) spillPart(i int) error {
	if err := l.needDisk(); err != nil {
		return err
	}
	if l.stash.count[i] > 0 {
		if err := l.disk.writeRows(i, l.stash.chunks[i]); err != nil {
			return err
		}
		l.stash.drop(i)
	}
	p := l.parts[i]
	if p.tab.Len() == 0 {
		return nil
	}
	l.parts[i] = l.f.newPart(l.mem)
	defer l.f.drop(p)
	defer l.f.account(l.parts[i])
	return l.f.spillPart(l.disk, i, p, l.mem)
}

// rowsOf encodes the key columns of a record of a run; states lends the rest.
func (f *Fold) rowsOf(enc *keys.Encoder, rec arrow.Record) (*keys.Rows, []arrow.Array, error) {
	k := len(f.cfg.Keys)
	if k == 0 {
		return oneGroup(), rec.Columns(), nil
	}
	r, err := enc.Encode(rec.Columns()[:k], int(rec.NumRows()))
	return r, rec.Columns()[k:], err
}
