package parquet

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"testing"

	"github.com/parquet-go/parquet-go/encoding/thrift"
	"github.com/parquet-go/parquet-go/format"

	"github.com/sluice-data/sluice/internal/fail"
)

// rawPage is a page as no writer makes it: its header says whatever it is to say.
type rawPage struct {
	dict   bool
	values int
	enc    format.Encoding
	size   int // decompressed; 0: as body
	body   []byte
}

// rawColumn is a required column of one row group.
type rawColumn struct {
	typ     format.Type
	width   int32
	logical format.LogicalType
	codec   format.CompressionCodec
	values  int64
	pages   []rawPage
}

// rawFile makes a file of the columns "v0", "v1" …, of one row group.
func rawFile(t testing.TB, columns ...rawColumn) []byte {
	t.Helper()
	bytesOf := func(v any) []byte {
		b, err := thrift.Marshal(new(thrift.CompactProtocol), v)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	var out bytes.Buffer
	out.WriteString(magic)
	md := format.FileMetaData{Version: 1, NumRows: columns[0].values, Schema: []format.SchemaElement{{Name: "root", NumChildren: thrift.New(int32(len(columns)))}},
		RowGroups: []format.RowGroup{{NumRows: columns[0].values}}}
	for i, c := range columns {
		e := format.SchemaElement{Name: fmt.Sprint("v", i), Type: thrift.New(c.typ), RepetitionType: thrift.New(format.Required), LogicalType: c.logical}
		if c.width > 0 {
			e.TypeLength = thrift.New(c.width)
		}
		md.Schema = append(md.Schema, e)
		chunk := format.ColumnMetaData{Type: c.typ, PathInSchema: []string{e.Name}, Codec: c.codec, NumValues: c.values, DataPageOffset: int64(out.Len())}
		for _, p := range c.pages {
			h := format.PageHeader{Type: format.DataPage, UncompressedPageSize: int32(max(p.size, 0)), CompressedPageSize: int32(len(p.body))}
			if p.size == 0 {
				h.UncompressedPageSize = h.CompressedPageSize
			}
			if p.dict {
				h.Type = format.DictionaryPage
				h.DictionaryPageHeader = thrift.New(format.DictionaryPageHeader{NumValues: int32(p.values), Encoding: p.enc})
			} else {
				h.DataPageHeader = thrift.New(format.DataPageHeader{NumValues: int32(p.values), Encoding: p.enc, DefinitionLevelEncoding: format.RLE, RepetitionLevelEncoding: format.RLE})
			}
			head := bytesOf(&h)
			out.Write(head)
			out.Write(p.body)
			chunk.TotalUncompressedSize += int64(len(head)) + int64(h.UncompressedPageSize)
		}
		chunk.TotalCompressedSize = int64(out.Len()) - chunk.DataPageOffset
		md.RowGroups[0].Columns = append(md.RowGroups[0].Columns, format.ColumnChunk{MetaData: chunk})
	}
	foot := bytesOf(&md)
	out.Write(foot)
	out.Write(binary.LittleEndian.AppendUint32(nil, uint32(len(foot))))
	out.WriteString(magic)
	return out.Bytes()
}

// Pages that promise more values of a fixed width than they have bytes for do not get room for them.
func TestPromisedWidths(t *testing.T) {
	decimal := format.LogicalType{Value: &format.DecimalType{Scale: 0, Precision: 38}}
	for _, tc := range []struct {
		name string
		col  rawColumn
		want string
	}{
		{"dictionary", rawColumn{width: 4096, pages: []rawPage{{dict: true, values: 64 << 10, body: make([]byte, 64<<10)}}}, "dictionary of 65536 values"},
		{"dictionary of a terabyte", rawColumn{width: 1 << 20, pages: []rawPage{{dict: true, values: 1 << 20, body: make([]byte, 1<<20)}}}, "dictionary of 1048576 values"},
		{"dictionary of decimals", rawColumn{width: 4096, logical: decimal, pages: []rawPage{{dict: true, values: 64 << 10, body: make([]byte, 64<<10)}}}, "dictionary of 65536 values"},
		{"plain", rawColumn{width: 1 << 20, pages: []rawPage{{values: 1024, body: make([]byte, 1<<20)}}}, "page ends before its last value"},
		{"plain decimals", rawColumn{width: 1 << 20, logical: decimal, pages: []rawPage{{values: 1024, body: make([]byte, 1<<20)}}}, "page ends before its last value"},
		{"prefixed", rawColumn{width: 1 << 20, pages: []rawPage{{values: 1024, enc: format.DeltaByteArray, body: make([]byte, 1<<10)}}}, ""},
		{"split", rawColumn{width: 1 << 20, logical: decimal, pages: []rawPage{{values: 1024, enc: format.ByteStreamSplit, body: make([]byte, 1<<20)}}}, "page ends before its last value"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			tc.col.typ, tc.col.values = format.FixedLenByteArray, 1024
			_, err := survive(t, tc.name, rawFile(t, tc.col))
			wantError(t, err, fail.Data, "v0", tc.want)
		})
	}
}

// Wide values are taken a few at a time, and are what they were.
func TestWideValues(t *testing.T) {
	const width, n = 100_000, 50
	body := make([]byte, 0, n*width)
	for i := range n {
		body = append(body, bytes.Repeat([]byte{byte('a' + i%26)}, width)...)
	}
	indexes := append([]byte{8, n/8*2 + 3}, make([]byte, n+8)...) // bit-packed, of a byte each
	for i := range n {
		indexes[2+i] = byte(n - 1 - i)
	}
	for name, pages := range map[string][]rawPage{"plain": {{values: n, body: body}}, "dictionary": {{dict: true, values: n, body: body}, {values: n, enc: format.RLEDictionary, body: indexes}}} {
		t.Run(name, func(t *testing.T) {
			rows := mustRead(t, rawFile(t, rawColumn{typ: format.FixedLenByteArray, width: width, values: n, pages: pages})).rows
			for i, r := range rows {
				at := i
				if pages[0].dict {
					at = n - 1 - i
				}
				want := base64.StdEncoding.EncodeToString(body[at*width : (at+1)*width])
				if r != `{"v0":"`+want+`"}` {
					t.Fatalf("row %d is %.50s, want %.50s", i, r, want)
				}
			}
			if len(rows) != n {
				t.Fatalf("%d rows", len(rows))
			}
		})
	}
}
