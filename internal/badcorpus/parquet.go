package badcorpus

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/encoding/thrift"
	"github.com/parquet-go/parquet-go/format"
)

// parquetRow is a row of the sound file that the broken ones are made of.
type parquetRow struct {
	ID     int64   `parquet:"id,snappy"`
	Name   string  `parquet:"name,snappy,dict"`
	Amount float64 `parquet:"amount,optional,snappy"`
}

// goodParquet has two row groups of 50 rows, three columns, snappy and a dictionary.
func goodParquet() []byte {
	var b bytes.Buffer
	w := parquet.NewGenericWriter[parquetRow](&b, parquet.Compression(&parquet.Snappy), parquet.MaxRowsPerRowGroup(50), parquet.CreatedBy("badcorpus", "1", "0"))
	rows := make([]parquetRow, 100)
	for i := range rows {
		rows[i] = parquetRow{ID: int64(i) * 7919 % 1000, Name: fmt.Sprintf("name-%d", i%7), Amount: float64(i) / 4}
	}
	_, err := w.Write(rows)
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		panic("badcorpus: parquet: " + err.Error()) // to memory
	}
	return b.Bytes()
}

// footer is where the footer begins in a file, and what it says.
func footer(file []byte) (int, format.FileMetaData) {
	n := int(binary.LittleEndian.Uint32(file[len(file)-8:]))
	at := len(file) - 8 - n
	var md format.FileMetaData
	if err := thrift.Unmarshal(new(thrift.CompactProtocol), file[at:len(file)-8], &md); err != nil {
		panic("badcorpus: parquet footer: " + err.Error()) // it was just written
	}
	return at, md
}

// refoot is the file with a footer that says something else.
func refoot(file []byte, change func(md *format.FileMetaData)) []byte {
	at, md := footer(file)
	change(&md)
	foot, err := thrift.Marshal(new(thrift.CompactProtocol), &md)
	if err != nil {
		panic("badcorpus: parquet footer: " + err.Error()) // a struct of the library's own
	}
	out := append(bytes.Clone(file[:at]), foot...)
	out = binary.LittleEndian.AppendUint32(out, uint32(len(foot)))
	return append(out, "PAR1"...)
}

func parquetCases() []Case {
	good := goodParquet()
	at, md := footer(good)
	bad := func(name string, exit int, wrong, words string, content []byte) Case {
		return text(name, "parquet.yaml", exit, wrong, words, string(content))
	}
	chunk := func(md *format.FileMetaData, group, col int) *format.ColumnMetaData {
		return &md.RowGroups[group].Columns[col].MetaData
	}
	page := int(chunk(&md, 0, 0).DataPageOffset) // of the first column, which has no dictionary
	body := page + int(chunk(&md, 0, 0).TotalCompressedSize)
	overwrite := func(from int, with string) []byte {
		out := bytes.Clone(good)
		copy(out[from:], with)
		return out
	}
	length := func(n uint32) []byte {
		out := bytes.Clone(good)
		binary.LittleEndian.PutUint32(out[len(out)-8:], n)
		return out
	}
	lies := func(name, wrong, words string, change func(md *format.FileMetaData)) Case {
		return bad(name, exitData, wrong, words, refoot(good, change))
	}
	return []Case{
		bad("empty.parquet", exitInput, "no byte at all", "parquet", nil),
		bad("magic-only.parquet", exitInput, "the magic bytes and nothing else", "parquet", []byte("PAR1")),
		bad("two-magics.parquet", exitInput, "the magic bytes twice and nothing between them", "parquet", []byte("PAR1PAR1")),
		bad("cut-half.parquet", exitInput, "cut in the middle: the footer is gone", "parquet", good[:len(good)/2]),
		bad("cut-last-byte.parquet", exitInput, "without its last byte", "parquet", good[:len(good)-1]),
		bad("magic-missing.parquet", exitInput, "other bytes in place of the last magic", "parquet", append(bytes.Clone(good[:len(good)-4]), "XXXX"...)),
		bad("trailing-newline.parquet", exitInput, "a line feed after the file, as a text transfer leaves it", "parquet", append(bytes.Clone(good), '\n')),
		bad("footer-encrypted.parquet", exitInput, "an encrypted footer", "encrypted", append(bytes.Clone(good[:len(good)-4]), "PARE"...)),
		bad("footer-length-huge.parquet", exitData, "a footer longer than the file", "footer", length(1<<31-1)),
		bad("footer-length-negative.parquet", exitData, "a footer of 4 GiB", "footer", length(1<<32-1)),
		bad("footer-length-zero.parquet", exitData, "a footer of no bytes", "footer", length(0)),
		bad("footer-length-short.parquet", exitData, "a footer whose length leaves out its beginning", "footer", length(uint32(len(good)-8-at-40))),
		bad("footer-garbage.parquet", exitData, "other bytes in place of the footer", "footer", overwrite(at, string(bytes.Repeat([]byte{0xff}, len(good)-8-at)))),
		bad("footer-zeros.parquet", exitData, "zero bytes in place of the footer", "parquet", overwrite(at, string(make([]byte, len(good)-8-at)))),
		bad("page-header.parquet", exitData, "a page header that is no page header", `column|page`, overwrite(page, "\xff\xff\xff\xff\xff\xff\xff\xff")),
		bad("page-zeros.parquet", exitData, "zero bytes in place of a column chunk", `column`, overwrite(page, string(make([]byte, body-page)))),
		bad("page-bits.parquet", exitData, "a bit of a compressed page inverted", `column`, flip(good, body-5)),
		lies("rows-file.parquet", "the file counts more rows than its row groups have", "rows", func(md *format.FileMetaData) { md.NumRows = 1_000_000 }),
		lies("rows-negative.parquet", "a negative number of rows", "-100 rows", func(md *format.FileMetaData) { md.NumRows, md.RowGroups[0].NumRows = -50, -100 }),
		lies("rows-group.parquet", "a row group counts more rows than its columns hold", "column|10 values short", func(md *format.FileMetaData) {
			md.RowGroups[0].NumRows, md.NumRows = 60, 110
			for c := range md.RowGroups[0].Columns {
				chunk(md, 0, c).NumValues = 60
			}
		}),
		lies("rows-column.parquet", "one column of a row group counts fewer values than the others", "column|40 values", func(md *format.FileMetaData) { chunk(md, 0, 0).NumValues = 40 }),
		lies("offset-outside.parquet", "a column chunk beyond the end of the file", `column`, func(md *format.FileMetaData) { chunk(md, 0, 0).DataPageOffset = 1 << 40 }),
		lies("offset-negative.parquet", "a column chunk before the beginning of the file", `column`, func(md *format.FileMetaData) { chunk(md, 0, 0).DataPageOffset = -8 }),
		lies("offset-swapped.parquet", "a column's chunk is where another's is", "column", func(md *format.FileMetaData) {
			a, b := chunk(md, 0, 0), chunk(md, 0, 1)
			a.DataPageOffset, a.TotalCompressedSize = b.DataPageOffset, b.TotalCompressedSize
		}),
		lies("size-huge.parquet", "a column chunk larger than the file", `column`, func(md *format.FileMetaData) { chunk(md, 0, 0).TotalCompressedSize = 1 << 40 }),
		lies("codec-unknown.parquet", "a codec that there is not", "codec", func(md *format.FileMetaData) { chunk(md, 0, 0).Codec = 42 }),
		lies("codec-wrong.parquet", "pages said to be zstd that are snappy", "zstd", func(md *format.FileMetaData) { chunk(md, 0, 0).Codec = format.Zstd }),
		lies("type-wrong.parquet", "a column chunk of another type than its column", "column|DOUBLE", func(md *format.FileMetaData) { chunk(md, 0, 0).Type = format.Double }),
		lies("columns-missing.parquet", "a row group with fewer columns than the schema", "column", func(md *format.FileMetaData) { md.RowGroups[1].Columns = md.RowGroups[1].Columns[:2] }),
		lies("schema-empty.parquet", "a schema without columns", "no schema", func(md *format.FileMetaData) { md.Schema = md.Schema[:0] }),
		lies("schema-children.parquet", "a schema whose root has more children than there are", "schema", func(md *format.FileMetaData) {
			n := int32(1 << 30)
			md.Schema[0].NumChildren.V = n
		}),
		lies("schema-same-name.parquet", "two columns of one name", "twice", func(md *format.FileMetaData) { md.Schema[2].Name = md.Schema[1].Name }),
	}
}
