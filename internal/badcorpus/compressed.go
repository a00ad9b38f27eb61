package badcorpus

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"encoding/binary"
	"hash/crc32"
	"io"

	"github.com/klauspost/compress/s2"
	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"
	"github.com/ulikunitz/xz"
)

// pack compresses data by a writer that newWriter makes.
func pack(data []byte, newWriter func(io.Writer) (io.WriteCloser, error)) []byte {
	var b bytes.Buffer
	w, err := newWriter(&b)
	if err == nil {
		if _, err = w.Write(data); err == nil {
			err = w.Close()
		}
	}
	if err != nil {
		panic("badcorpus: compress: " + err.Error()) // to memory, with options of this package
	}
	return b.Bytes()
}

func gz(data []byte) []byte {
	return pack(data, func(w io.Writer) (io.WriteCloser, error) { return gzip.NewWriterLevel(w, flate.BestCompression) })
}

func zst(data []byte) []byte {
	return pack(data, func(w io.Writer) (io.WriteCloser, error) { return zstd.NewWriter(w, zstd.WithEncoderConcurrency(1)) })
}

func lz(data []byte) []byte {
	return pack(data, func(w io.Writer) (io.WriteCloser, error) {
		z := lz4.NewWriter(w)
		return z, z.Apply(lz4.ConcurrencyOption(1))
	})
}

func snappy(data []byte) []byte {
	return pack(data, func(w io.Writer) (io.WriteCloser, error) {
		return s2.NewWriter(w, s2.WriterSnappyCompat(), s2.WriterConcurrency(1)), nil
	})
}

func xzip(data []byte) []byte {
	return pack(data, func(w io.Writer) (io.WriteCloser, error) { return xz.WriterConfig{DictCap: 1 << 16}.NewWriter(w) })
}

// flip inverts bits of the byte at i, from the end if negative.
func flip(b []byte, i int) []byte {
	b = bytes.Clone(b)
	if i < 0 {
		i += len(b)
	}
	b[i] ^= 0x24
	return b
}

func compressedCases() []Case {
	bad := func(name string, exit int, wrong, words string, content []byte) Case {
		return text(name, "csv.yaml", exit, wrong, words, string(content))
	}
	g, z, l, s, x, bz := gz(goodCSV), zst(goodCSV), lz(goodCSV), snappy(goodCSV), xzip(goodCSV), goodBzip2
	var out []Case
	for _, c := range []struct {
		ext, codec string
		data       []byte
		sum        int // a byte of the checksum, or of what it covers
	}{{"gz", "gzip", g, -7}, {"zst", "zstd", z, -1}, {"bz2", "bzip2", bz, 12}, {"lz4", "lz4", l, -1}, {"sz", "snappy", s, 15}, {"xz", "xz", x, -32}} {
		out = append(out,
			bad("truncated.csv."+c.ext, exitData, c.codec+" stream cut in the middle", c.codec+" stream ends in the middle|upload it again", c.data[:len(c.data)/2]),
			bad("cut-last-byte.csv."+c.ext, exitData, c.codec+" stream without its last byte", c.codec+" stream ends in the middle", c.data[:len(c.data)-1]),
			bad("checksum.csv."+c.ext, exitData, c.codec+" stream that does not match its checksum", c.codec+"|checksum does not match", flip(c.data, c.sum)))
	}
	bigDict := bytes.Clone(x) // block header at 12: size, flags, then the LZMA2 filter (id, size of properties, dictionary)
	bigDict[12+4] = 40
	n := 12 + (int(bigDict[12])+1)*4
	binary.LittleEndian.PutUint32(bigDict[n-4:], crc32.ChecksumIEEE(bigDict[12:n-4]))
	return append(out,
		bad("trailing-garbage.csv.gz", exitData, "text after the last gzip member", "gzip|not part of it", append(bytes.Clone(g), "appended by hand\n"...)),
		bad("second-member-header.csv.gz", exitData, "the second gzip member's header is broken", "header of member 2", append(bytes.Clone(g), flip(g, 2)...)),
		bad("second-member-cut.csv.gz", exitData, "the second gzip member is cut", "gzip stream ends in the middle", append(bytes.Clone(g), g[:len(g)/2]...)),
		bad("second-member-checksum.csv.gz", exitData, "the second gzip member does not match its checksum", "member 2|checksum does not match", append(bytes.Clone(g), flip(g, -6)...)),
		bad("header-only.csv.gz", exitData, "a gzip header and nothing else", "gzip stream ends in the middle", g[:10]),
		bad("magic-only.csv.gz", exitData, "the two magic bytes of gzip and nothing else", "gzip stream ends in the middle", g[:2]),
		bad("reserved-flags.csv.gz", exitData, "reserved bits set in the gzip header", "gzip|header of member 1", append([]byte{0x1f, 0x8b, 8, 0xe0}, g[4:]...)),
		bad("broken-block.csv.gz", exitData, "a deflate block of a type that there is not", "gzip stream is damaged", append(append(bytes.Clone(g[:10]), 0x07), g[11:]...)),
		bad("wrong-length.csv.gz", exitData, "the length in the gzip trailer is wrong", "gzip|checksum does not match", flip(g, -2)),
		bad("gzip-in-gzip.csv.gz", exitInput, "compressed twice", "gzip", gz(g)),
		bad("broken-block.csv.zst", exitData, "a zstd block of the reserved type", "zstd stream is damaged", []byte("\x28\xb5\x2f\xfd\x00\x58\x07\x00\x00aaaa")),
		bad("window-2tib.csv.zst", exitData, "a zstd frame that wants a window of 2 TiB", "zstd stream needs a window|MiB", []byte("\x28\xb5\x2f\xfd\x00\xf8\x01\x00\x00")),
		bad("dictionary-4gib.csv.xz", exitData, "an xz block that wants a dictionary of 4 GiB", "xz stream needs a window|MiB", bigDict),
		bad("trailing-garbage.csv.zst", exitData, "text after the last zstd frame", "zstd|not part of it", append(bytes.Clone(z), "appended\n"...)),
		bad("trailing-garbage.csv.xz", exitData, "text after the last xz stream", "xz|not part of it", append(bytes.Clone(x), "appended\n"...)),
		bad("trailing-garbage.csv.bz2", exitData, "text after the last bzip2 stream", "bzip2|not part of it", append(bytes.Clone(bz), "appended\n"...)),
		bad("trailing-garbage.csv.lz4", exitData, "text after the last lz4 frame", "lz4|not part of it", append(bytes.Clone(l), "appended\n"...)),
		bad("zlib.csv", exitInput, "a zlib stream, which is not a file format", "binary|", pack(bytes.Repeat(goodCSV, 4), func(w io.Writer) (io.WriteCloser, error) { return zlib.NewWriter(w), nil })),
		text("plain-as-gzip.csv", "gzip.yaml", exitInput, "declared as gzip, but plain text", "declared as gzip", string(goodCSV)),
		text("zstd-as-gzip.csv", "gzip.yaml", exitInput, "declared as gzip, but zstd", "declared as gzip|zstd", string(z)),
		text("empty-as-gzip.csv", "gzip.yaml", exitInput, "declared as gzip, but empty", "declared as gzip|empty", ""),
	)
}

// foreignCases are files of other kinds under a table's name.
func foreignCases() []Case {
	bad := func(name, wrong, words string, content []byte) Case {
		return text(name, "csv.yaml", exitInput, wrong, words, string(content))
	}
	return []Case{
		bad("zip.csv", "a zip archive", "zip", zipped("table.csv", goodCSV)),
		bad("xlsx.csv", "an Excel workbook", "xlsx", zipped("xl/workbook.xml", []byte("<workbook/>"))),
		bad("zip.csv.gz", "a zip archive inside gzip", "zip", gz(zipped("table.csv", goodCSV))),
		bad("tar.csv", "a tar archive", "tar", tarred("table.csv", goodCSV)),
		bad("tar.csv.gz", "a tar archive inside gzip", "tar", gz(tarred("table.csv", goodCSV))),
		bad("pdf.csv", "a PDF document", "PDF", []byte("%PDF-1.7\n%\xe2\xe3\xcf\xd3\n1 0 obj\n<</Type/Catalog>>\nendobj\ntrailer\n<</Root 1 0 R>>\n%%EOF\n")),
		bad("html.csv", "the HTML page of a login that a download got instead", "HTML", []byte("<!DOCTYPE html>\n<html><head><title>Sign in</title></head><body>Please sign in, or ask your administrator</body></html>\n")),
		bad("xml.csv", "an XML document", "XML", []byte("<?xml version=\"1.0\"?>\n<rows><row id=\"1\"/></rows>\n")),
		bad("xls.csv", "an old Excel workbook", "xls", append([]byte("\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"), make([]byte, 504)...)),
		bad("sqlite.csv", "an SQLite database", "SQLite", append([]byte("SQLite format 3\x00\x10\x00\x01\x01\x00\x40\x20\x20"), make([]byte, 76)...)),
		bad("png.csv", "a PNG image", "PNG", []byte("\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x00\x01\x00\x00\x00\x01\x08\x06\x00\x00\x00")),
		bad("old-compress.csv.Z", "compressed by the compress program of old", ".Z", []byte("\x1f\x9d\x90\x69\xc8\xb0\xe0\xc6\x0d\x9b\x36\x61")),
		bad("parquet.csv", "a Parquet file named and declared as CSV", "Parquet", goodParquet()),
		text("csv.parquet", "parquet.yaml", exitInput, "a CSV file named and declared as Parquet", "Parquet", string(goodCSV)),
		text("gzip.parquet", "parquet.yaml", exitInput, "a Parquet file inside gzip", "Parquet", string(gz(goodParquet()))),
	}
}

func zipped(name string, data []byte) []byte {
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	f, err := w.CreateHeader(&zip.FileHeader{Name: name, Method: zip.Deflate})
	if err == nil {
		if _, err = f.Write(data); err == nil {
			err = w.Close()
		}
	}
	if err != nil {
		panic("badcorpus: zip: " + err.Error()) // to memory
	}
	return b.Bytes()
}

func tarred(name string, data []byte) []byte {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	err := w.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(len(data)), Format: tar.FormatUSTAR})
	if err == nil {
		if _, err = w.Write(data); err == nil {
			err = w.Close()
		}
	}
	if err != nil {
		panic("badcorpus: tar: " + err.Error()) // to memory
	}
	return b.Bytes()
}
