package parquet

import (
	"bytes"
	"context"
	"encoding/binary"
	"sort"

	"github.com/parquet-go/parquet-go/encoding/thrift"
	"github.com/parquet-go/parquet-go/format"

	"github.com/sluice-data/sluice/internal/fail"
	"github.com/sluice-data/sluice/internal/hive"
	"github.com/sluice-data/sluice/internal/objstore"
)

const magic = "PAR1"

// file is a Parquet file that is being uploaded. Until its upload is completed nobody sees it.
type file struct {
	ref       objstore.Ref
	folder    string                // of its partition
	partition map[string]hive.Value // its values
	ended     bool                  // no block goes to it any more
	waiting   []*block              // not yet written
	held      int64                 // bytes of those
	upload    objstore.Upload       // nil until it is begun
	off       int64                 // bytes written
	rows      int64
	groups    []format.RowGroup
	// the page index of the groups' chunks, which goes behind the data
	columnIndex []byte
	indexEnds   []int // of each chunk's column index in columnIndex
	pages       [][]pageAt
	indexed     bool // a chunk has more pages than one, or bounds that its statistics lack
	memory      int64

	// what the finished file must read back as
	finished  bool
	groupRows []int64
	tail      int64 // where page index and footer begin
	info      objstore.Info
	completed bool
}

// has reports whether any rows went to the file.
func (f *file) has() bool { return f.rows > 0 || len(f.waiting) > 0 }

// release gives up the blocks that wait.
func (f *file) release() {
	for _, b := range f.waiting {
		b.Release()
	}
	f.waiting, f.held = nil, 0
}

func (f *file) write(b []byte) error {
	n, err := f.upload.Write(b)
	f.off += int64(n)
	if err != nil {
		return fail.Wrap(fail.Temporary, err)
	}
	if n != len(b) {
		return fail.Newf(fail.Internal, "write %d bytes to the upload: it took %d", len(b), n).In(f.ref.String())
	}
	return nil
}

// append writes a row group.
func (f *file) append(leaves []leaf, b *block) error {
	if f.off == 0 {
		if err := f.write([]byte(magic)); err != nil {
			return err
		}
	}
	base := f.off
	g := format.RowGroup{NumRows: b.rows, FileOffset: base, Ordinal: int16(len(f.groups)), Columns: make([]format.ColumnChunk, len(leaves))}
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
	return f.write(b.body.buf)
}

// finish writes page index and footer and sends all to the store. After it, completing the upload is all there is to do.
func (f *file) finish(ctx context.Context, elements []format.SchemaElement, leaves int, keyValue map[string]string, createdBy string) error {
	if f.off == 0 {
		if err := f.write([]byte(magic)); err != nil {
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
	meta := format.FileMetaData{Version: 2, Schema: elements, NumRows: f.rows, RowGroups: f.groups, CreatedBy: createdBy}
	for range leaves {
		meta.ColumnOrders = append(meta.ColumnOrders, format.ColumnOrder{Value: &format.TypeDefinedOrder{}})
	}
	for k, v := range keyValue {
		meta.KeyValueMetadata = append(meta.KeyValueMetadata, format.KeyValue{Key: k, Value: v})
	}
	sort.Slice(meta.KeyValueMetadata, func(i, j int) bool { return meta.KeyValueMetadata[i].Key < meta.KeyValueMetadata[j].Key })
	footer, err := thrift.Marshal(&thrift.CompactProtocol{}, &meta)
	if err != nil {
		return fail.Newf(fail.Internal, "encode footer: %w", err).In(f.ref.String())
	}
	out = append(out, footer...)
	out = binary.LittleEndian.AppendUint32(out, uint32(len(footer)))
	out = append(out, magic...)
	if err := f.write(out); err != nil {
		return err
	}
	if err := f.upload.Flush(ctx); err != nil {
		return fail.Wrap(fail.Temporary, err)
	}
	f.finished = true
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
				return nil, fail.Newf(fail.Internal, "encode offset index: %w", err).In(f.ref.String())
			}
			col := &f.groups[g].Columns[i]
			col.OffsetIndexOffset = f.tail + int64(len(out))
			col.OffsetIndexLength = int32(buf.Len())
			out = append(out, buf.Bytes()...)
		}
	}
	return out, nil
}
