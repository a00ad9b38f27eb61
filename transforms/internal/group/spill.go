package group

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"sort"
	"syscall"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/ipc"
	"github.com/apache/arrow/go/v17/arrow/memory"

	"github.com/sluice-data/sluice/internal/fail"
	"github.com/sluice-data/sluice/transforms/internal/keys"
)

// block is the groups per record of a run: what reading one back takes stays small.
const block = 8192

// spillFile holds runs of groups, each an Arrow IPC stream of the spill schema. It has no name: a crash leaves nothing behind.
type spillFile struct {
	file *os.File
	end  int64
	rows int64         // sum of the counts of all groups written
	runs map[int][]run // by partition
	n    int64         // runs ever written
}

type run struct {
	file     *os.File
	from, to int64
}

func newSpillFile(dir string) (*spillFile, error) {
	f, err := os.CreateTemp(dir, "sluice-groups-*")
	if err != nil {
		return nil, diskError(fmt.Errorf("create spill file: %w", err))
	}
	if err := os.Remove(f.Name()); err != nil {
		f.Close()
		return nil, diskError(fmt.Errorf("unlink spill file: %w", err))
	}
	return &spillFile{file: f, runs: map[int][]run{}}, nil
}

func (s *spillFile) close() { s.file.Close() }

// diskError says whether another attempt can help: a full disk stays full.
func diskError(err error) error {
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return fail.Newf(fail.Usage, "aggregate: %w: give it a --tmp-dir with more room, or raise --memory-limit", err)
	}
	return fail.Newf(fail.Temporary, "aggregate: %w", err)
}

// write appends a run of groups to partition i; cols are the columns of the spill schema.
func (s *spillFile) write(f *Fold, i int, cols []arrow.Array, n int, mem memory.Allocator) (err error) {
	w := bufio.NewWriterSize(io.NewOffsetWriter(s.file, s.end), 256<<10)
	counted := &countWriter{w: w}
	rec := array.NewRecord(f.spill, cols, int64(n))
	defer rec.Release()
	out := ipc.NewWriter(counted, ipc.WithSchema(f.spill), ipc.WithAllocator(mem))
	for lo := 0; lo < n && err == nil; lo += block {
		piece := rec.NewSlice(int64(lo), int64(min(lo+block, n)))
		err = out.Write(piece)
		piece.Release()
	}
	if err = errors.Join(err, out.Close(), w.Flush()); err != nil {
		return diskError(fmt.Errorf("write groups to disk: %w", err))
	}
	s.runs[i] = append(s.runs[i], run{s.file, s.end, s.end + counted.n})
	s.end += counted.n
	s.n++
	counts := cols[f.funcs[0].state].(*array.Int64)
	for _, c := range counts.Int64Values() {
		s.rows += c
	}
	return nil
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

// read calls to for each record of the run; the record is lent.
func (r run) read(mem memory.Allocator, to func(arrow.Record) error) error {
	in, err := ipc.NewReader(bufio.NewReaderSize(io.NewSectionReader(r.file, r.from, r.to-r.from), 256<<10), ipc.WithAllocator(mem))
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
	cols, err := p.tab.Columns(0, p.tab.Len())
	if err != nil {
		return err
	}
	defer func() { release(cols) }()
	states, err := f.states(p)
	if err != nil {
		return err
	}
	cols = append(cols, states...)
	return s.write(f, i, cols, p.tab.Len(), mem)
}

// makeRoom spills the largest partitions of the lane, if it must, until need more bytes fit with a quarter of the budget to spare.
func (l *Lane) makeRoom(need int64) error {
	if l.f.room(need) {
		return nil
	}
	order := make([]int, 0, fanout)
	for i, p := range l.parts {
		if p.tab.Len() > 0 || l.stash.size[i] > 0 {
			order = append(order, i)
		}
	}
	held := func(i int) int64 { return l.parts[i].size + l.stash.size[i] }
	sort.Slice(order, func(a, b int) bool { return held(order[a]) > held(order[b]) })
	for _, i := range order {
		if l.f.room(need + l.f.limit/4) {
			break
		}
		if err := l.spillPart(i); err != nil {
			return err
		}
	}
	return nil
}

func (l *Lane) spillPart(i int) error {
	if l.disk == nil {
		var err error
		if l.disk, err = newSpillFile(l.f.cfg.TempDir); err != nil {
			return err
		}
	}
	p := l.parts[i]
	if err := l.stash.fold(i, p); err != nil {
		return err
	}
	l.parts[i] = l.f.newPart(l.mem)
	defer l.f.drop(p)
	defer l.f.account(l.parts[i])
	return l.f.spillPart(l.disk, i, p, l.mem)
}

// rowsOf encodes the key columns of a record of a run; states lends the rest.
func (f *Fold) rowsOf(enc *keys.Encoder, rec arrow.Record) (*keys.Rows, []arrow.Array, error) {
	k := len(f.cfg.Keys)
	r, err := enc.Encode(rec.Columns()[:k], int(rec.NumRows()))
	return r, rec.Columns()[k:], err
}
