package parquet

import (
	"context"
	"encoding/binary"
	"fmt"
	"reflect"

	"github.com/parquet-go/parquet-go/encoding/thrift"
	"github.com/parquet-go/parquet-go/format"
	"golang.org/x/sync/errgroup"

	"github.com/sluice-data/sluice/internal/fail"
	"github.com/sluice-data/sluice/sinks/files"
)

// Verify reads the footer and page index back, in two ranged reads side by side, and compares them with what was written.
func (f *file) Verify(ctx context.Context, r files.Reader) (int64, error) {
	bad := fmt.Errorf
	parts := [...][2]int64{{0, int64(len(magic))}, {f.tail, f.off - f.tail}}
	src := make(sections, len(parts))
	var g errgroup.Group
	for i, p := range parts {
		g.Go(func() error {
			return fail.Guard("read back", func() error {
				b, err := r.ReadRange(ctx, p[0], p[1])
				src[i] = section{p[0], b}
				return err
			})
		})
	}
	if err := g.Wait(); err != nil {
		return 0, err
	}
	meta, err := src.footer(f.off)
	if err != nil {
		return 0, err
	}
	if meta.NumRows != f.rows {
		return 0, bad("the footer says %d rows, %d were written", meta.NumRows, f.rows)
	}
	if !reflect.DeepEqual([]format.SchemaElement(meta.Schema), f.w.elements) {
		return 0, bad("the schema is not the one that was written")
	}
	if len(meta.RowGroups) != len(f.groupRows) {
		return 0, bad("the footer says %d row groups, %d were written", len(meta.RowGroups), len(f.groupRows))
	}
	at, sum := int64(len(magic)), int64(0)
	for i := range meta.RowGroups {
		g := &meta.RowGroups[i]
		if g.NumRows != f.groupRows[i] {
			return 0, bad("row group %d has %d rows, %d were written", i, g.NumRows, f.groupRows[i])
		}
		sum += g.NumRows
		for k := range g.Columns {
			col := &g.Columns[k]
			index := format.OffsetIndex{PageLocations: onePage(&col.MetaData)}
			if f.indexed {
				if err := src.unmarshal(&index, col.OffsetIndexOffset, int64(col.OffsetIndexLength)); err != nil {
					return 0, bad("row group %d, column %d: offset index: %w", i, k, err)
				}
			} else if col.OffsetIndexOffset != 0 || col.ColumnIndexOffset != 0 {
				return 0, bad("row group %d, column %d has a page index, none was written", i, k)
			}
			if at, err = checkChunk(&col.MetaData, index.PageLocations, at, g.NumRows); err != nil {
				return 0, bad("row group %d, column %d: %w", i, k, err)
			}
		}
		for k := range g.Columns { // behind the chunks
			m := &g.Columns[k].MetaData
			if !f.w.leaves[k].filter {
				continue
			}
			if m.BloomFilterOffset != at || m.BloomFilterLength <= 0 {
				return 0, bad("row group %d, column %d: the bloom filter is at byte %d, not at %d", i, k, m.BloomFilterOffset, at)
			}
			at += int64(m.BloomFilterLength)
		}
	}
	if at != f.tail {
		return 0, bad("column chunks end at %d, %d were written", at, f.tail)
	}
	return sum, nil
}

// onePage is the offset index of a chunk that has none: it is one page.
func onePage(m *format.ColumnMetaData) []format.PageLocation {
	size := m.TotalCompressedSize
	if m.DictionaryPageOffset != 0 {
		size -= m.DataPageOffset - m.DictionaryPageOffset
	}
	return []format.PageLocation{{Offset: m.DataPageOffset, CompressedPageSize: int32(size)}}
}

// checkChunk checks that the chunk begins at byte at, where the one before ended, that its pages fill it, and that their
// rows are within the row group's. It returns where the chunk ends.
func checkChunk(m *format.ColumnMetaData, pages []format.PageLocation, at, rows int64) (int64, error) {
	start := m.DataPageOffset
	if m.DictionaryPageOffset != 0 {
		start = m.DictionaryPageOffset
	}
	if start != at || m.DataPageOffset < start {
		return 0, fmt.Errorf("chunk begins at byte %d, not at %d", start, at)
	}
	if len(pages) == 0 {
		return 0, fmt.Errorf("chunk has no pages")
	}
	end, row := m.DataPageOffset, int64(-1)
	for _, p := range pages {
		if p.Offset != end || p.FirstRowIndex <= row || p.FirstRowIndex >= rows {
			return 0, fmt.Errorf("page at byte %d (row %d of %d), want one at %d", p.Offset, p.FirstRowIndex, rows, end)
		}
		end, row = end+int64(p.CompressedPageSize), p.FirstRowIndex
	}
	if end != start+m.TotalCompressedSize {
		return 0, fmt.Errorf("pages end at byte %d, the chunk at %d", end, start+m.TotalCompressedSize)
	}
	return end, nil
}

// sections are the parts of a file that were read back.
type sections []section

type section struct {
	off  int64
	data []byte
}

// at is the n bytes at off.
func (s sections) at(off, n int64) ([]byte, error) {
	for _, part := range s {
		if i := off - part.off; i >= 0 && n >= 0 && i+n <= int64(len(part.data)) {
			return part.data[i : i+n], nil
		}
	}
	return nil, fmt.Errorf("%d bytes at %d are outside of page index and footer", n, off)
}

// unmarshal reads the thrift structure that the n bytes at off are.
func (s sections) unmarshal(v any, off, n int64) (err error) {
	b, err := s.at(off, n)
	if err != nil {
		return err
	}
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("decode thrift: panic: %v", p)
		}
	}()
	return thrift.Unmarshal(&thrift.CompactProtocol{}, b, v)
}

// footer is that of a file of size bytes: thrift, its length in four bytes, the magic number.
func (s sections) footer(size int64) (*format.FileMetaData, error) {
	if head, err := s.at(0, int64(len(magic))); err != nil || string(head) != magic {
		return nil, fmt.Errorf("the file does not begin with %s", magic)
	}
	tail, err := s.at(size-8, 8)
	if err != nil || string(tail[4:]) != magic {
		return nil, fmt.Errorf("the file does not end in %s", magic)
	}
	n := int64(binary.LittleEndian.Uint32(tail))
	meta := &format.FileMetaData{}
	if err := s.unmarshal(meta, size-8-n, n); err != nil {
		return nil, fmt.Errorf("footer: %w", err)
	}
	return meta, nil
}
