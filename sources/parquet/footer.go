package parquet

import (
	"context"
	"encoding/binary"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/sluice-data/sluice/internal/fail"
	"github.com/sluice-data/sluice/sources"
	"github.com/sluice-data/sluice/sources/parquet/internal/meta"
)

const (
	// tailBytes is how much of the end is read in the hope that the footer is in it.
	tailBytes = 64 << 10
	// maxFooter bounds a footer.
	maxFooter = 256 << 20
	magic     = "PAR1"
	encrypted = "PARE"
)

// file is an input with its footer read.
type file struct {
	in     *sources.Input
	cols   []*node
	leaves []*leaf
	groups []group
	footer int64         // bytes of footer, its length and the last magic
	took   time.Duration // reading the tail

	offsets, indexes segment // of the page indexes, what was read last
	plans            []*plan
}

// group is a row group: what is needed of it.
type group struct {
	rows   int64
	first  int64         // number of its first row in the file
	bytes  int64         // of all its column chunks
	chunks []meta.Column // of all leaves, later only of those that are read
}

// footersAtOnce is how many footers are read at the same time.
const footersAtOnce = 16

// openFiles reads all inputs' footers; the error is that of the first one that has one.
func openFiles(ctx context.Context, inputs []sources.Input) ([]*file, error) {
	files, errs := make([]*file, len(inputs)), make([]error, len(inputs))
	var g errgroup.Group
	g.SetLimit(footersAtOnce)
	var failed atomic.Bool
	for i := range inputs {
		if failed.Load() {
			break // those before it are under way
		}
		g.Go(func() error {
			errs[i] = fail.Guard("read parquet footer", func() (err error) {
				files[i], err = openFile(ctx, &inputs[i])
				return err
			})
			if errs[i] != nil {
				failed.Store(true)
			}
			return nil
		})
	}
	_ = g.Wait() // the errors are in errs
	for _, err := range errs {
		if err != nil {
			return nil, err
		}
	}
	return files, nil
}

// openFile reads an input's footer and checks that what it says can be true.
func openFile(ctx context.Context, in *sources.Input) (*file, error) {
	size := in.Info.Size
	notParquet := func(format string, args ...any) error {
		return fail.Newf(fail.Input, "read parquet file: "+format, args...).In(in.URI)
	}
	const least = int64(len(magic) + 4 + len(magic))
	if size < least {
		return nil, notParquet("%d bytes are too few for one", size)
	}
	tail := make([]byte, min(size, tailBytes))
	begin := time.Now()
	if err := readFull(ctx, in, size-int64(len(tail)), tail); err != nil {
		return nil, err
	}
	took := time.Since(begin)
	switch end := string(tail[len(tail)-len(magic):]); end {
	case magic:
	case encrypted:
		return nil, notParquet("footer is encrypted, which is not supported: decrypt the file first")
	default:
		return nil, fail.Newf(fail.Input, "read parquet file: it ends in %q instead of %q: not a Parquet file, or cut off", end, magic).In(in.URI).At(0, size-int64(len(magic)))
	}
	n := int64(binary.LittleEndian.Uint32(tail[len(tail)-8:]))
	switch {
	case n > size-least:
		return nil, fail.Newf(fail.Data, "read parquet file: footer of %d bytes in a file of %d", n, size).In(in.URI).At(0, size-8)
	case n > maxFooter:
		return nil, fail.Newf(fail.Data, "read parquet file: footer of %d bytes is over the limit of %d", n, maxFooter).In(in.URI).At(0, size-8)
	}
	at := size - 8 - n
	buf := tail
	if need := int(n) + 8; need > len(tail) {
		buf = make([]byte, need)
		k := copy(buf[need-len(tail):], tail)
		if err := readFull(ctx, in, at, buf[:need-k]); err != nil {
			return nil, err
		}
	}
	buf = buf[len(buf)-8-int(n):]
	bad := func(err error) error {
		return fail.Newf(fail.Data, "read parquet footer: %w", err).In(in.URI).At(0, at)
	}
	md, err := meta.ParseFooter(buf[:n])
	if err != nil {
		return nil, bad(err)
	}
	f := &file{in: in, footer: n + 8, took: took}
	if f.cols, f.leaves, err = parseSchema(md.Schema); err != nil {
		return nil, bad(err)
	}
	for i, l := range f.leaves {
		l.typeOrder = i < len(md.TypeOrder) && md.TypeOrder[i]
	}
	var rows int64
	for i := range md.RowGroups {
		g := &md.RowGroups[i]
		if err := checkGroup(g, f.leaves, at); err != nil {
			return nil, bad(fmt.Errorf("row group %d: %w", i, err))
		}
		out := group{rows: g.NumRows, first: rows, chunks: g.Columns}
		for _, c := range g.Columns {
			out.bytes += c.Compressed
		}
		if g.NumRows > 0 && forgetsHeaders(md.CreatedBy) {
			for k := range g.Columns {
				c := &g.Columns[k]
				c.Compressed += max(min(headerBytes, at-chunkSpan(c).end), 0)
			}
		}
		rows += g.NumRows
		if rows < 0 {
			return nil, bad(fmt.Errorf("row groups have more rows than can be counted"))
		}
		f.groups = append(f.groups, out)
	}
	if rows != md.NumRows {
		return nil, bad(fmt.Errorf("row groups have %d rows, the file says %d", rows, md.NumRows))
	}
	return f, nil
}

// checkGroup checks a row group's description against the schema and the bytes before the footer at end.
func checkGroup(g *meta.RowGroup, leaves []*leaf, end int64) error {
	if len(g.Columns) != len(leaves) {
		return fmt.Errorf("%d column chunks for %d columns", len(g.Columns), len(leaves))
	}
	for i := range g.Columns {
		c, l := &g.Columns[i], leaves[i]
		err := func() error {
			switch {
			case c.Encrypted:
				return fmt.Errorf("it is encrypted, which is not supported: decrypt the file first")
			case c.Elsewhere:
				return fmt.Errorf("it is in another file, which is not supported")
			case c.Type != l.phys:
				return fmt.Errorf("column chunk is %s, the schema says %s", c.Type, l.phys)
			case c.NumValues < 0 || c.Compressed < 0 || c.Uncompressed < 0:
				return fmt.Errorf("negative count or size")
			case l.maxRep == 0 && c.NumValues != g.NumRows, c.NumValues < g.NumRows:
				return fmt.Errorf("column chunk has %d values, the row group %d rows", c.NumValues, g.NumRows)
			}
			s := chunkSpan(c)
			if g.NumRows > 0 && (s.off < int64(len(magic)) || s.end > end || s.end < s.off) {
				return fmt.Errorf("column chunk is at %d to %d, outside the data that end at %d", s.off, s.end, end)
			}
			return nil
		}()
		if err != nil {
			return fmt.Errorf("column %q: %w", l.path, err)
		}
	}
	return nil
}

// headerBytes is more than the header of a dictionary page takes.
const headerBytes = 100

// forgetsHeaders tells whether the writer may have left the dictionary page's header out of the size of a column chunk: parquet-mr did before
// 1.2.9. Source: https://issues.apache.org/jira/browse/PARQUET-816, and what Arrow makes of it.
func forgetsHeaders(createdBy string) bool {
	rest, ok := strings.CutPrefix(createdBy, "parquet-mr")
	if !ok {
		return false
	}
	rest = strings.TrimSpace(rest)
	if rest == "" {
		return true // the first ones did not say which they were
	}
	var major, minor, patch int
	if n, _ := fmt.Sscanf(rest, "version %d.%d.%d", &major, &minor, &patch); n < 3 {
		return false
	}
	return major < 1 || major == 1 && (minor < 2 || minor == 2 && patch < 9)
}

// chunkSpan is where a column chunk's pages are.
func chunkSpan(c *meta.Column) span {
	off := c.DataOffset
	if c.DictOffset > 0 && c.DictOffset < off {
		off = c.DictOffset
	}
	return span{off, off + c.Compressed}
}

// only reduces the row groups' descriptions to the leaves that are read.
func (f *file) only(keep []*leaf) {
	for i := range f.groups {
		g := &f.groups[i]
		chunks := make([]meta.Column, len(keep))
		for j, l := range keep {
			chunks[j] = g.chunks[l.index]
			chunks[j].Stats = chunks[j].Stats.Clone()
		}
		g.chunks = chunks
	}
	for i, l := range keep {
		l.index = i
	}
	f.leaves = keep
}
