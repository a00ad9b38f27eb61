package gather

import (
	"bufio"
	"cmp"
	"fmt"
	"io"
	"os"
	"slices"

	"github.com/sluice-data/sluice/internal/fail"
	"github.com/sluice-data/sluice/transforms/internal/rowpack"
	"github.com/sluice-data/sluice/transforms/internal/spillfile"
)

// spill is a lane's pieces on disk.
type spill struct {
	file *os.File
	end  int64
	runs []extents
}

// extents is where the pieces of one trip to the disk are, by partition: a trip is what memory held, far less than 4 GiB.
type extents struct {
	start int64
	from  []uint32 // from start
	n     []uint32
}

func newSpill(dir string) (*spill, error) {
	f, err := spillfile.New(dir)
	if err != nil {
		return nil, diskError(err)
	}
	return &spill{file: f}, nil
}

func (s *spill) close() { s.file.Close() }

func diskError(err error) error {
	return spillfile.Error("partition", err, "give it a --tmp-dir with more room")
}

// spill writes all that is kept in memory, in the order in which it will be read.
func (l *lane) spill() error {
	if l.disk == nil {
		var err error
		if l.disk, err = newSpill(l.f.cfg.TempDir); err != nil {
			return err
		}
	}
	order := make([]int32, len(l.parts))
	for i := range order {
		order[i] = int32(i)
	}
	slices.SortFunc(order, func(a, b int32) int { return cmp.Compare(l.parts[a].path, l.parts[b].path) })
	d := l.disk
	x := extents{d.end, make([]uint32, len(l.parts)), make([]uint32, len(l.parts))}
	w := bufio.NewWriterSize(io.NewOffsetWriter(d.file, d.end), 256<<10)
	for _, id := range order {
		x.from[id] = uint32(d.end - x.start)
		for i := range l.kept {
			n, err := w.Write(l.kept[i].of(int(id)))
			d.end += int64(n)
			x.n[id] += uint32(n)
			if err != nil {
				return diskError(fmt.Errorf("write rows to disk: %w", err))
			}
		}
	}
	if err := w.Flush(); err != nil {
		return diskError(fmt.Errorf("write rows to disk: %w", err))
	}
	d.runs = append(d.runs, x)
	l.f.spilled.Store(true)
	for i := range l.kept {
		l.free = append(l.free, l.kept[i].data)
	}
	l.kept, l.held = l.kept[:0], 0
	return nil
}

// cursor goes through the pieces of one partition in one lane.
type cursor struct {
	rowpack.Decoder
	lane *lane
	id   int
	disk int // trips to the disk that are behind it
	kept int // slabs that are
	mem  []byte
	file *bufio.Reader // of what is left of the current extent
	left int64
	buf  []byte

	run int // of runs
	off int // rows of it that are behind
	row int // of the piece
	end bool
}

func (c *cursor) open(l *lane, id int) {
	c.lane, c.id, c.disk, c.kept, c.mem, c.left, c.end = l, id, 0, 0, nil, 0, false
	c.run, c.off, c.row, c.N, c.Runs = 0, 0, 0, 0, c.Runs[:0]
}

// chunk is that of the next row.
func (c *cursor) chunk() int64 { return c.Runs[c.run].Chunk }

// load reads the next piece; c.end is set when there is none.
func (c *cursor) load() error {
	src, err := c.next()
	if err != nil || src == nil {
		c.end = err == nil
		return err
	}
	c.run, c.off, c.row = 0, 0, 0
	if err := c.Piece(src); err != nil {
		return fail.Newf(fail.Temporary, "partition: read rows back: %w", err)
	}
	return nil
}

func (c *cursor) next() ([]byte, error) {
	for {
		switch {
		case c.left > 0:
			return c.read()
		case len(c.mem) > 0:
			n := rowpack.PieceLen(c.mem)
			src := c.mem[:n]
			c.mem = c.mem[n:]
			return src, nil
		case c.lane.disk != nil && c.disk < len(c.lane.disk.runs):
			x := &c.lane.disk.runs[c.disk]
			c.disk++
			if c.id >= len(x.n) || x.n[c.id] == 0 {
				continue
			}
			c.left = int64(x.n[c.id])
			section := io.NewSectionReader(c.lane.disk.file, x.start+int64(x.from[c.id]), c.left)
			if c.file == nil {
				c.file = bufio.NewReaderSize(section, 64<<10)
			} else {
				c.file.Reset(section)
			}
		case c.kept < len(c.lane.kept):
			c.mem = c.lane.kept[c.kept].of(c.id)
			c.kept++
		default:
			return nil, nil
		}
	}
}

func (c *cursor) read() ([]byte, error) {
	head, err := c.file.Peek(rowpack.PieceHead)
	if err == nil {
		n := rowpack.PieceLen(head)
		if int64(n) > c.left {
			return nil, fail.Newf(fail.Temporary, "partition: read rows back: %w", rowpack.ErrShort)
		}
		c.left -= int64(n)
		c.buf = slices.Grow(c.buf[:0], n)[:n]
		_, err = io.ReadFull(c.file, c.buf)
	}
	if err != nil {
		return nil, diskError(fmt.Errorf("read rows from disk: %w", err))
	}
	return c.buf, nil
}
