package parquet

import (
	"bytes"
	"encoding/binary"
	"io"
	"sort"

	"github.com/parquet-go/parquet-go/encoding/thrift"
	"github.com/parquet-go/parquet-go/format"

	"github.com/sluice-data/sluice/internal/fail"
	"github.com/sluice-data/sluice/sinks/files"
)

const magic = "PAR1"

// file is a Parquet file in the making.
type file struct {
	w      *writer
	off    int64 // bytes written
	rows   int64
	groups []format.RowGroup
	// the page index of the groups' chunks, which goes behind the data
	columnIndex []byte
	indexEnds   []int // of each chunk's column index in columnIndex
	pages       [][]pageAt
	indexed     bool // a chunk has more pages than one, or bounds that its statistics lack
	memory      int64
	ends        int64 // bytes of page index and footer, about

	// what the finished file must read back as
	groupRows []int64
	tail      int64 // where page index and footer begin
}

// Room says whether the file may have n row groups more.
func (f *file) Room(n int) bool {
	return len(f.groups)+n <= maxRowGroups && (len(f.groups)+n)*len(f.w.leaves) <= maxChunks
}

func (f *file) Memory() int64 { return f.memory }

// Tail is about how many bytes page index and footer will take.
func (f *file) Tail() int64 { return f.ends }

func (f *file) write(to io.Writer, b []byte) error {
	n, err := to.Write(b)
	f.off += int64(n)
	return err
}

// Append writes a row group.
func (f *file) Append(to io.Writer, row files.Block) error {
	b, leaves := row.(*block), f.w.leaves
	if f.off == 0 {
		if err := f.write(to, []byte(magic)); err != nil {
			return err
		}
	}
	base := f.off
	filter := base + int64(len(b.body.buf))
	for i := range b.body.chunks {
		filter -= int64(b.body.chunks[i].filter)
	}
	g := format.RowGroup{SortingColumns: f.w.sorted, NumRows: b.rows, FileOffset: base, Ordinal: int16(len(f.groups)), Columns: make([]format.ColumnChunk, len(leaves))}
	for i := range b.body.chunks {
		ch, l := &b.body.chunks[i], &leaves[i]
		m := format.ColumnMetaData{
			Type: l.phys, PathInSchema: l.path, Codec: ch.codec, NumValues: ch.slots,
			TotalUncompressedSize: ch.uncompressed, TotalCompressedSize: int64(ch.end - ch.start),
			DataPageOffset: base + int64(ch.dictEnd),
			Statistics:     format.Statistics{NullCount: ch.nulls, MinValue: ch.bounds.min, MaxValue: ch.bounds.max},
			Encoding:       []format.Encoding{format.Plain, format.RLE},
			EncodingStats:  []format.PageEncodingStats{{PageType: format.DataPage, Encoding: ch.encoding, Count: int32(len(ch.pages))}},
		}
		if ch.dictEnd > ch.start {
			m.DictionaryPageOffset = base + int64(ch.start)
			m.Encoding = []format.Encoding{format.Plain, format.RLE, format.RLEDictionary}
			m.EncodingStats = append([]format.PageEncodingStats{{PageType: format.DictionaryPage, Encoding: format.Plain, Count: 1}}, m.EncodingStats...)
		}
		if ch.filter > 0 {
			m.BloomFilterOffset, m.BloomFilterLength = filter, int32(ch.filter)
			filter += int64(ch.filter)
		}
		// FileOffset would point to a copy of the metadata beside the chunk, which nobody writes any more: 0 says so.
		g.Columns[i] = format.ColumnChunk{MetaData: m}
		g.TotalByteSize += ch.uncompressed
		g.TotalCompressedSize += int64(ch.end - ch.start)
		f.indexEnds = append(f.indexEnds, len(f.columnIndex)+ch.indexEnd)
		f.pages = append(f.pages, ch.pages)
		f.indexed = f.indexed || len(ch.pages) > 1 || ch.cut
		for k := range ch.pages {
			ch.pages[k].start += int(base)
		}
		f.memory += int64(len(ch.pages))*24 + 512
	}
	f.columnIndex = append(f.columnIndex, b.body.index...)
	f.memory += int64(len(b.body.index))
	f.groups = append(f.groups, g)
	f.groupRows = append(f.groupRows, b.rows)
	f.rows += b.rows
	f.ends += b.tail()
	return f.write(to, b.body.buf)
}

// Finish writes page index and footer.
func (f *file) Finish(to io.Writer) error {
	if f.off == 0 {
		if err := f.write(to, []byte(magic)); err != nil {
			return err
		}
	}
	f.tail = f.off
	var out []byte
	if f.indexed = f.indexed || len(f.pages) <= fewChunks; f.indexed {
		var err error
		if out, err = f.offsetIndexes(f.columnIndexes()); err != nil {
			return err
		}
	}
	meta := format.FileMetaData{Version: 2, Schema: f.w.elements, NumRows: f.rows, RowGroups: f.groups, CreatedBy: f.w.req.CreatedBy}
	for range f.w.leaves {
		meta.ColumnOrders = append(meta.ColumnOrders, format.ColumnOrder{Value: &format.TypeDefinedOrder{}})
	}
	for k, v := range f.w.req.KeyValue {
		meta.KeyValueMetadata = append(meta.KeyValueMetadata, format.KeyValue{Key: k, Value: v})
	}
	sort.Slice(meta.KeyValueMetadata, func(i, j int) bool { return meta.KeyValueMetadata[i].Key < meta.KeyValueMetadata[j].Key })
	footer, err := thrift.Marshal(&thrift.CompactProtocol{}, &meta)
	if err != nil {
		return fail.Newf(fail.Internal, "encode footer: %w", err)
	}
	out = append(out, footer...)
	out = binary.LittleEndian.AppendUint32(out, uint32(len(footer)))
	out = append(out, magic...)
	if err := f.write(to, out); err != nil {
		return err
	}
	f.groups, f.columnIndex, f.indexEnds, f.pages, f.memory = nil, nil, nil, nil, 0
	return nil
}

// columnIndexes is the column index of each chunk; it sets where they lie.
func (f *file) columnIndexes() []byte {
	start, leaf := 0, 0
	for g := range f.groups {
		for i := range f.groups[g].Columns {
			col := &f.groups[g].Columns[i]
			col.ColumnIndexOffset = f.tail + int64(start)
			col.ColumnIndexLength = int32(f.indexEnds[leaf] - start)
			start = f.indexEnds[leaf]
			leaf++
		}
	}
	return append([]byte(nil), f.columnIndex...)
}

// offsetIndexes appends the offset index of each chunk and sets where it lies.
func (f *file) offsetIndexes(out []byte) ([]byte, error) {
	var buf bytes.Buffer
	proto := thrift.CompactProtocol{}
	enc := thrift.NewEncoder(proto.NewWriter(&buf))
	var x format.OffsetIndex
	leaf := 0
	for g := range f.groups {
		for i := range f.groups[g].Columns {
			x.PageLocations = x.PageLocations[:0]
			for _, p := range f.pages[leaf] {
				x.PageLocations = append(x.PageLocations, format.PageLocation{Offset: int64(p.start), CompressedPageSize: p.size, FirstRowIndex: p.firstRow})
			}
			leaf++
			buf.Reset()
			if err := enc.Encode(&x); err != nil {
				return nil, fail.Newf(fail.Internal, "encode offset index: %w", err)
			}
			col := &f.groups[g].Columns[i]
			col.OffsetIndexOffset = f.tail + int64(len(out))
			col.OffsetIndexLength = int32(buf.Len())
			out = append(out, buf.Bytes()...)
		}
	}
	return out, nil
}
