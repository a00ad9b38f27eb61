package badcorpus

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"encoding/binary"
	"io"
	"strings"

	"github.com/klauspost/compress/zstd"
	"github.com/parquet-go/parquet-go/encoding/thrift"
	"github.com/parquet-go/parquet-go/format"
)

// largeCases are inputs that are wrong by their size.
func largeCases() []Case {
	large := func(name, pipeline string, exit int, wrong, words string, write func(io.Writer) error) Case {
		return Case{Name: name, Pipeline: pipeline, Exit: exit, Wrong: wrong, Words: split(words), Large: true, write: write}
	}
	return []Case{
		large("line-100mb.csv", "csv.yaml", exitData, "a field of 100 MB", "record", func(w io.Writer) error {
			return parts(w, "id,name\n1,Ada\n2,", fill("x", 100_000_000), "\n3,Grace\n")
		}),
		large("line-100mb.jsonl", "jsonl.yaml", exitData, "an object of 100 MB", "record", func(w io.Writer) error {
			return parts(w, goodJSONL, `{"id":3,"name":"`, fill("x", 100_000_000), "\"}\n")
		}),
		large("unclosed-quote-200mb.csv", "csv.yaml", exitData, "a quote that nothing closes, 200 MB before the end", "quote|:3", func(w io.Writer) error {
			return parts(w, "id,name\n1,Ada\n2,\"Grace\n", fill("3,Edsger Wybe Dijkstra\n", 200_000_000))
		}),
		large("deep-3mb.jsonl", "jsonl.yaml", exitData, "a list three million levels deep", "deep|:3", func(w io.Writer) error {
			return parts(w, goodJSONL, `{"id":3,"tags":`, fill("[", 3_000_000), "\n")
		}),
		large("keys-100000.jsonl", "jsonl.yaml", exitData, "100,000 keys, each in one object only", "keys", func(w io.Writer) error {
			var line []byte
			for i := range 100_000 {
				line = append(append(append(line[:0], `{"k`...), digits(i)...), "\":1}\n"...)
				if _, err := w.Write(line); err != nil {
					return err
				}
			}
			return nil
		}),
		large("bomb-zeros.csv.gz", "csv.yaml", exitInput, "1 MB of gzip that unpacks to 1 GiB of zero bytes", "binary", func(w io.Writer) error {
			return bomb(w, fill("\x00", 1<<30))
		}),
		large("bomb-line.csv.gz", "csv.yaml", exitData, "1 MB of gzip that unpacks to a line of 1 GiB", "record", func(w io.Writer) error {
			return bomb(w, "id,name\n1,", fill("x", 1<<30))
		}),
		large("members-100000.csv.gz", "csv.yaml", exitData, "100,000 empty gzip members, and a broken one", "header of member 100002", func(w io.Writer) error {
			none := gz(nil)
			for _, b := range [][]byte{gz(goodCSV), bytes.Repeat(none, 100_000), flip(none, 2)} {
				if _, err := w.Write(b); err != nil {
					return err
				}
			}
			return nil
		}),
		large("names-100gb.parquet", "parquet.yaml", exitData, "a group with a name of 1 MB, and 100,000 columns in it", "names of the columns", func(w io.Writer) error {
			return longNames(w, 1_000_000, 100_000)
		}),
		large("pages-512mb.parquet", "parquet.yaml", exitUsage, "20 columns, each of one page of 16 KB that unpacks to 512 MiB", "column|raise --memory-limit", func(w io.Writer) error {
			return zeroPages(w, 20, 64<<20)
		}),
		large("pages-32mb.parquet", "parquet.yaml", exitUsage, "20 columns, each of one page that unpacks to 32 MiB: a few fit into the memory there is", "column|raise --memory-limit", func(w io.Writer) error {
			return zeroPages(w, 20, 4<<20)
		}),
	}
}

// zeroPages is a Parquet file of INT64 columns with n zeros, each in one page.
func zeroPages(w io.Writer, columns, n int) error {
	var body bytes.Buffer
	z, err := zstd.NewWriter(&body, zstd.WithEncoderConcurrency(1))
	if err == nil {
		err = parts(z, fill("\x00", int64(8*n)))
	}
	if err == nil {
		err = z.Close()
	}
	if err != nil {
		return err
	}
	head, err := thrift.Marshal(new(thrift.CompactProtocol), &format.PageHeader{Type: format.DataPage, UncompressedPageSize: int32(8 * n), CompressedPageSize: int32(body.Len()),
		DataPageHeader: thrift.New(format.DataPageHeader{NumValues: int32(n), DefinitionLevelEncoding: format.RLE, RepetitionLevelEncoding: format.RLE})})
	if err != nil {
		return err
	}
	page := append(head, body.Bytes()...)
	md := format.FileMetaData{Version: 1, NumRows: int64(n), Schema: []format.SchemaElement{{Name: "root", NumChildren: thrift.New(int32(columns))}},
		RowGroups: []format.RowGroup{{NumRows: int64(n)}}}
	out := []byte("PAR1")
	for i := range columns {
		name := "c" + digits(i)
		md.Schema = append(md.Schema, format.SchemaElement{Name: name, Type: thrift.New(format.Int64), RepetitionType: thrift.New(format.Required)})
		md.RowGroups[0].Columns = append(md.RowGroups[0].Columns, format.ColumnChunk{MetaData: format.ColumnMetaData{Type: format.Int64, PathInSchema: []string{name},
			Codec: format.Zstd, NumValues: int64(n), DataPageOffset: int64(len(out)), TotalCompressedSize: int64(len(page)), TotalUncompressedSize: int64(len(head) + 8*n)}})
		out = append(out, page...)
	}
	return endParquet(w, out, &md)
}

// longNames is a Parquet file without rows, of a group of columns.
func longNames(w io.Writer, name, columns int) error {
	md := format.FileMetaData{Version: 1, Schema: []format.SchemaElement{{Name: "root", NumChildren: thrift.New(int32(1))},
		{Name: strings.Repeat("n", name), RepetitionType: thrift.New(format.Required), NumChildren: thrift.New(int32(columns))}}}
	for i := range columns {
		md.Schema = append(md.Schema, format.SchemaElement{Name: "c" + digits(i), Type: thrift.New(format.Int64), RepetitionType: thrift.New(format.Required)})
	}
	return endParquet(w, []byte("PAR1"), &md)
}

// endParquet writes the file that begins with out.
func endParquet(w io.Writer, out []byte, md *format.FileMetaData) error {
	foot, err := thrift.Marshal(new(thrift.CompactProtocol), md)
	if err != nil {
		return err
	}
	out = binary.LittleEndian.AppendUint32(append(out, foot...), uint32(len(foot)))
	_, err = w.Write(append(out, "PAR1"...))
	return err
}

// fill is s again and again, size bytes in all.
func fill(s string, size int64) io.Reader {
	return io.LimitReader(&repeat{text: []byte(strings.Repeat(s, 1+(64<<10)/len(s)))}, size)
}

type repeat struct {
	text []byte
	at   int
}

func (r *repeat) Read(p []byte) (int, error) {
	n := copy(p, r.text[r.at:])
	r.at = (r.at + n) % len(r.text)
	return n, nil
}

// parts writes strings and readers one after the other.
func parts(w io.Writer, items ...any) error {
	for _, it := range items {
		r, ok := it.(io.Reader)
		if s, isText := it.(string); isText {
			r, ok = strings.NewReader(s), true
		}
		if !ok {
			continue
		}
		if _, err := io.Copy(w, r); err != nil {
			return err
		}
	}
	return nil
}

func bomb(w io.Writer, items ...any) error {
	z, err := gzip.NewWriterLevel(w, flate.BestSpeed)
	if err != nil {
		return err
	}
	if err := parts(z, items...); err != nil {
		return err
	}
	return z.Close()
}

// digits is i in five digits or more.
func digits(i int) string {
	s := "00000"
	var b []byte
	for ; i > 0; i /= 10 {
		b = append([]byte{byte('0' + i%10)}, b...)
	}
	if len(b) < len(s) {
		return s[len(b):] + string(b)
	}
	return string(b)
}
