package compress

import (
	"archive/tar"
	"bytes"
	"compress/flate"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/s2"
	"go.uber.org/goleak"

	"github.com/sluice-data/sluice/internal/fail"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// sample is a compressed testdata/table.csv.
type sample struct {
	name  string
	codec string
	data  []byte
	cuts  int  // places where a cut leaves a whole stream
	sums  bool // every byte of content is under a checksum
}

func samples(t testing.TB) (table []byte, out []sample) {
	t.Helper()
	read := func(name string) []byte {
		b, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	table = read("table.csv")
	out = []sample{ // made by the formats' own command line tools
		{"cli.gz", "gzip", nil, 0, true},
		{"members.gz", "gzip", nil, 1, true}, // two members
		{"cli.bz2", "bzip2", nil, 0, true},
		{"streams.bz2", "bzip2", nil, 1, true},
		{"cli.zst", "zstd", nil, 0, true},
		{"frames.zst", "zstd", nil, 2, false}, // frame, skippable frame, frame without checksum
		{"cli.lz4", "lz4", nil, 0, true},
		{"legacy.lz4", "lz4", nil, 1, false}, // the magic alone is an empty legacy stream
		{"linked.lz4", "lz4", nil, 0, true},  // dependent blocks, block checksums, content size
		{"frames.lz4", "lz4", nil, 2, false}, // skippable frame, frame, frame without checksum
		{"cli.xz", "xz", nil, 0, true},
		{"blocks.xz", "xz", nil, 0, true},   // several blocks, SHA-256
		{"sized.xz", "xz", nil, 0, true},    // sizes in the block header
		{"streams.xz", "xz", nil, 3, false}, // CRC-32, eight bytes of padding, no check
	}
	for i := range out {
		out[i].data = read(out[i].name)
	}
	var b bytes.Buffer
	w := s2.NewWriter(&b, s2.WriterSnappyCompat(), s2.WriterConcurrency(1), s2.WriterBlockSize(64<<10))
	for _, part := range [][]byte{table[:300], table[300:]} {
		_, _ = w.Write(part)
		_ = w.Flush()
	}
	_ = w.Close()
	return table, append(out, sample{"framed.sz", "snappy", b.Bytes(), 2, true}) // after the header and after a chunk
}

func decode(codec string, data []byte) ([]byte, error) {
	r, _, err := Open(codec, "s3://b/k", bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	out, err := io.ReadAll(r)
	return out, errors.Join(err, r.Close())
}

// TestDecode: each sample gives back the table, told from its magic bytes, whatever the sizes of the reads on both sides.
func TestDecode(t *testing.T) {
	table, all := samples(t)
	for _, s := range all {
		t.Run(s.name, func(t *testing.T) {
			if got := Detect(s.data[:64]); got != s.codec {
				t.Fatalf("detected %q, want %q", got, s.codec)
			}
			for how, wrap := range map[string]func(io.Reader) io.Reader{
				"plain": func(r io.Reader) io.Reader { return r }, "one byte": iotest.OneByteReader, "halves": iotest.HalfReader,
				"end with data": iotest.DataErrReader} {
				r, name, err := Open("auto", "s3://b/k", wrap(bytes.NewReader(s.data)))
				if err != nil || name != s.codec {
					t.Fatalf("%s: opened as %q: %v", how, name, err)
				}
				got, err := io.ReadAll(r)
				if err != nil || !bytes.Equal(got, table) {
					t.Errorf("%s: %d bytes of %d, %v", how, len(got), len(table), err)
				}
				if n, err := r.Read(make([]byte, 1)); n != 0 || err != io.EOF {
					t.Errorf("%s: a read after the end gives %d, %v", how, n, err)
				}
				if err := r.Close(); err != nil {
					t.Error(err)
				}
			}
			r, err := NewReader(s.codec, bytes.NewReader(s.data), Options{})
			if err != nil {
				t.Fatal(err)
			}
			defer r.Close()
			got, err := io.ReadAll(iotest.OneByteReader(r))
			if err != nil || !bytes.Equal(got, table) {
				t.Errorf("read byte by byte: %d bytes of %d, %v", len(got), len(table), err)
			}
		})
	}
}

// TestEveryCut: a stream cut anywhere is an error that says so and never an end, except at the borders that the package comment names.
func TestEveryCut(t *testing.T) {
	table, all := samples(t)
	for _, s := range all {
		t.Run(s.name, func(t *testing.T) {
			whole := 0
			for cut := 1; cut < len(s.data); cut++ {
				r, err := NewReader(s.codec, bytes.NewReader(s.data[:cut]), Options{})
				var got []byte
				if err == nil {
					got, err = io.ReadAll(r)
					r.Close()
				}
				if err == nil {
					whole++
					if len(got) >= len(table) {
						t.Errorf("cut at %d: complete", cut)
					}
					continue
				}
				var e *fail.Error
				if !errors.As(err, &e) || e.Kind != fail.Data || !strings.Contains(err.Error(), s.codec+" stream ends in the middle") {
					t.Errorf("cut at %d: %v", cut, err)
				}
				if !bytes.HasPrefix(table, got) {
					t.Errorf("cut at %d: wrong bytes before the error", cut)
				}
			}
			if whole != s.cuts {
				t.Errorf("%d cuts leave a whole stream, want %d", whole, s.cuts)
			}
			if _, err := NewReader(s.codec, bytes.NewReader(nil), Options{}); err == nil {
				t.Error("nothing at all is a whole stream")
			}
		})
	}
}

// TestEveryFlip: a stream with one bit wrong gives an error or, where the bit means nothing (a time stamp), the right bytes.
func TestEveryFlip(t *testing.T) {
	table, all := samples(t)
	for _, s := range all {
		if !s.sums {
			continue
		}
		t.Run(s.name, func(t *testing.T) {
			data := bytes.Clone(s.data)
			for i := range data {
				bit := byte(1) << (i % 8)
				if s.codec == "snappy" {
					bit &= 0x7f // the highest bit of a chunk's type makes it one to skip
				}
				{
					data[i] ^= bit
					r, err := NewReader(s.codec, bytes.NewReader(data), Options{})
					if err == nil {
						var got []byte
						if got, err = io.ReadAll(r); err == nil && !bytes.Equal(got, table) {
							t.Errorf("byte %d, bit %d: wrong bytes and no error", i, bit)
						}
						r.Close()
					}
					if err != nil && fail.KindOf(err) != fail.Data {
						t.Errorf("byte %d, bit %d: %v", i, bit, err)
					}
					data[i] ^= bit
				}
			}
		})
	}
}

// TestTrailing: what follows the last stream is an error, but for zero bytes after gzip.
func TestTrailing(t *testing.T) {
	table, all := samples(t)
	for _, s := range all {
		for _, tail := range []string{"garbage after the end", "\x00", "\x00\x00\x00\x00\x00\x00x", "\n"} {
			_, err := decode(s.codec, append(bytes.Clone(s.data), tail...))
			if fail.KindOf(err) != fail.Data && !(s.codec == "gzip" && tail == "\x00") {
				t.Errorf("%s with %q after it: %v", s.name, tail, err)
			}
		}
	}
	for _, s := range all[:2] {
		if got, err := decode("auto", append(bytes.Clone(s.data), make([]byte, 1000)...)); err != nil || !bytes.Equal(got, table) {
			t.Errorf("%s with padding: %d bytes, %v", s.name, len(got), err)
		}
	}
}

// TestMessages: what a person reads.
func TestMessages(t *testing.T) {
	_, all := samples(t)
	by := map[string][]byte{}
	for _, s := range all {
		by[s.name] = s.data
	}
	flip := func(name string, at int) []byte {
		b := bytes.Clone(by[name])
		b[(at+len(b))%len(b)] ^= 0x10
		return b
	}
	bigDict := bytes.Clone(by["cli.xz"]) // the block header is at 12: size, flags, filter id, size of properties, dictionary, padding, CRC
	bigDict[16] = 40
	binary.LittleEndian.PutUint32(bigDict[20:], crc32.ChecksumIEEE(bigDict[12:20]))
	for _, c := range []struct {
		name, codec string
		data        []byte
		kind        fail.Kind
		want        string
	}{
		{"cut gzip", "auto", by["cli.gz"][:200], fail.Data, "s3://b/k: gzip stream ends in the middle, at compressed byte 200: the object is cut short; upload it again"},
		{"gzip checksum", "auto", flip("cli.gz", -6), fail.Data, "s3://b/k: gzip member 1: checksum does not match: the object is damaged; upload it again (at compressed byte 350)"},
		{"second member's checksum", "auto", flip("members.gz", -3), fail.Data, "gzip member 2: checksum does not match"},
		{"second member's header", "auto", join(by["cli.gz"], []byte("\x1f\x8b\x09aaaaaaaaaaaaaa")), fail.Data, "gzip stream is damaged before compressed byte 360: header of member 2 is not valid"},
		{"garbage after gzip", "auto", join(by["cli.gz"], []byte("oops")), fail.Data, "gzip stream is followed by bytes that are not part of it"},
		{"cut zstd", "auto", by["cli.zst"][:100], fail.Data, "zstd stream ends in the middle, at compressed byte 100"},
		{"zstd checksum", "auto", flip("cli.zst", -1), fail.Data, "zstd checksum does not match"},
		{"zstd window", "auto", []byte("\x28\xb5\x2f\xfd\x00\xa8\x01\x00\x00"), fail.Data, "zstd stream needs a window of more than 128 MiB of memory"},
		{"zstd block of the reserved type", "auto", []byte("\x28\xb5\x2f\xfd\x00\x58\x07\x00\x00aaaa"), fail.Data, "zstd stream is damaged before compressed byte 9: "},
		{"xz dictionary", "auto", bigDict, fail.Data, "xz stream needs a window of 4095 MiB of memory, at most 128 MiB are allowed"},
		{"xz checksum", "auto", flip("cli.xz", -30), fail.Data, "xz "},
		{"bzip2 checksum", "auto", flip("cli.bz2", 12), fail.Data, "bzip2 checksum does not match"},
		{"lz4 checksum", "auto", flip("cli.lz4", -1), fail.Data, "lz4 checksum does not match"},
		{"snappy checksum", "auto", flip("framed.sz", 15), fail.Data, "snappy checksum does not match"},
		{"declared gzip, is zstd", "gzip", by["cli.zst"], fail.Input, "s3://b/k: compression is declared as gzip, but the object is zstd: use compression: auto"},
		{"declared gzip, is text", "gzip", []byte("a,b\n1,2\n"), fail.Input, "compression is declared as gzip, but the object is not compressed that way"},
		{"declared gzip, is empty", "gzip", nil, fail.Input, "compression is declared as gzip, but the object is empty"},
		{"no such codec", "brotli", []byte("a"), fail.Usage, `unknown compression "brotli": use one of auto, none, bzip2, gzip, lz4, snappy, xz, zstd`},
		{"zip", "auto", []byte("PK\x03\x04\x14\x00"), fail.Input, "s3://b/k: the object is a zip archive (or an xlsx, docx or jar file), not a table"},
		{"pdf as none", "none", []byte("%PDF-1.7\n"), fail.Input, "the object is a PDF document"},
		{"web page", "auto", []byte("\n <!DOCTYPE HTML><html>"), fail.Input, "the object is an HTML page"},
		{"tar in gzip", "auto", gz(tarred()), fail.Input, "the object is a tar archive"},
		{"old compress", "auto", []byte("\x1f\x9d\x90"), fail.Input, "the object is compressed by the old compress program (.Z)"},
	} {
		_, err := decode(c.codec, c.data)
		if err == nil || fail.KindOf(err) != c.kind || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v (%v)\nwant %s (%v)", c.name, err, fail.KindOf(err), c.want, c.kind)
		}
	}
}

// TestForeignSmallReads: what the object is, is found before a byte is handed out, however few are asked for.
func TestForeignSmallReads(t *testing.T) {
	for _, text := range []string{"<?xml version='1.0'?>", "PK\x03\x04", string(tarred())} {
		for _, data := range []string{text, string(gz([]byte(text)))} {
			r, _, err := Open("auto", "u", iotest.OneByteReader(strings.NewReader(data)))
			if err != nil {
				t.Fatal(err)
			}
			if n, err := r.Read(make([]byte, 2)); n != 0 || fail.KindOf(err) != fail.Input {
				t.Errorf("%.10q: %d bytes, %v", text, n, err)
			}
			r.Close()
		}
	}
}

// TestMustard: a text may have what marks a tar archive at its place.
func TestMustard(t *testing.T) {
	text := "name,price\n" + strings.Repeat("salt,1\n", 34) + "smooth mustard,2\n" + strings.Repeat("salt,1\n", 60)
	text = text[strings.Index(text, "ustar")-257:]
	if got, err := decode("auto", []byte(text)); err != nil || string(got) != text {
		t.Errorf("%v", err)
	}
}

// TestEmptyXZBlocks: blocks without data are let through, but not without end.
func TestEmptyXZBlocks(t *testing.T) {
	for _, c := range []struct {
		blocks int
		ok     bool
	}{{0, true}, {mostIdle, true}, {mostIdle + 1, false}} {
		got, err := decode("xz", emptyBlocks(c.blocks))
		if (err == nil) != c.ok || len(got) > 0 {
			t.Errorf("%d empty blocks: %d bytes, %v", c.blocks, len(got), err)
		}
	}
}

// emptyBlocks is an xz stream of blocks without data and without checks (the .xz file format, 1.2.1, sections 2 to 4).
func emptyBlocks(n int) []byte {
	sum := func(b []byte) []byte { return binary.LittleEndian.AppendUint32(nil, crc32.ChecksumIEEE(b)) }
	flags := []byte{0, 0}
	out := join([]byte("\xfd7zXZ\x00"), flags, sum(flags))
	header := []byte{2, 0, 0x21, 1, 16, 0, 0, 0} // 12 bytes with its CRC; LZMA2 with a dictionary of 1 MiB
	index := []byte{0}
	index = binary.AppendUvarint(index, uint64(n))
	for range n {
		out = join(out, header, sum(header), []byte{0, 0, 0, 0}) // the end of LZMA2's chunks, and padding
		index = binary.AppendUvarint(index, 13)
		index = binary.AppendUvarint(index, 0)
	}
	for len(index)%4 != 0 {
		index = append(index, 0)
	}
	index = append(index, sum(index)...)
	size := binary.LittleEndian.AppendUint32(nil, uint32(len(index)/4-1))
	tail := join(size, flags)
	return join(out, index, sum(tail), tail, []byte("YZ"))
}

// tarred is an archive of one file.
func tarred() []byte {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	_ = w.WriteHeader(&tar.Header{Name: "table.csv", Size: 4, Mode: 0o644})
	_, _ = w.Write([]byte("a,b\n"))
	_ = w.Close()
	return b.Bytes()
}

func join(parts ...[]byte) []byte { return bytes.Join(parts, nil) }

func gz(data []byte) []byte {
	var b bytes.Buffer
	w, _ := gzip.NewWriterLevel(&b, flate.BestSpeed)
	_, _ = w.Write(data)
	_ = w.Close()
	return b.Bytes()
}

// TestPlain: without a magic number the bytes pass as they are, from nothing at all upwards.
func TestPlain(t *testing.T) {
	for _, text := range []string{"", "a", "a,b\n", "BZh", "BZh9,x\n", "\x1f", "PKS,x\n"} {
		r, name, err := Open("auto", "u", strings.NewReader(text))
		if err != nil || name != "none" {
			t.Fatalf("%q: %q, %v", text, name, err)
		}
		if got, err := io.ReadAll(r); err != nil || string(got) != text {
			t.Errorf("%q came back as %q, %v", text, got, err)
		}
	}
}

// TestSourceFault: an error of the object's own reader is neither a truncation nor damage.
func TestSourceFault(t *testing.T) {
	_, all := samples(t)
	broken := fail.Newf(fail.Temporary, "connection reset")
	for _, s := range all {
		for _, at := range []int{0, 3, 150, len(s.data)} {
			r, _, err := Open("auto", "u", io.MultiReader(bytes.NewReader(s.data[:at]), iotest.ErrReader(broken)))
			if err == nil {
				_, err = io.ReadAll(r)
				r.Close()
			}
			if err != error(broken) {
				t.Errorf("%s, at %d: %v", s.name, at, err)
			}
		}
	}
}

// TestBomb: a small object that unpacks to much costs no memory, because nothing is kept.
func TestBomb(t *testing.T) {
	zeros := gz(make([]byte, 64<<20))
	bomb := bytes.Repeat(zeros, 4)
	r, _, err := Open("auto", "u", bytes.NewReader(bomb))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	buf := make([]byte, 1<<20)
	var total int64
	for err == nil {
		var n int
		n, err = r.Read(buf)
		total += int64(n)
	}
	runtime.ReadMemStats(&after)
	if err != io.EOF || total != 256<<20 {
		t.Errorf("%d bytes, %v", total, err)
	}
	if grew := after.TotalAlloc - before.TotalAlloc; grew > 4<<20 {
		t.Errorf("unpacking 256 MiB allocated %d bytes", grew)
	}
}

func TestClosed(t *testing.T) {
	_, all := samples(t)
	for _, s := range all {
		r, _, err := Open("auto", "u", bytes.NewReader(s.data))
		if err != nil {
			t.Fatal(err)
		}
		_, _ = r.Read(make([]byte, 10))
		if err := errors.Join(r.Close(), r.Close()); err != nil {
			t.Errorf("%s: %v", s.name, err)
		}
		if _, err := r.Read(make([]byte, 10)); err == nil || err == io.EOF {
			t.Errorf("%s: reading a closed stream: %v", s.name, err)
		}
	}
}

// TestBuffersAreNotShared: what closed streams leave behind is used again, by one stream at a time, and nothing of what it held shows.
func TestBuffersAreNotShared(t *testing.T) {
	table, all := samples(t)
	bad := bytes.Clone(all[0].data)
	bad[len(bad)/2] ^= 0xFF
	rest := func(s sample, r io.ReadCloser, want []byte) {
		t.Helper()
		if got, err := io.ReadAll(r); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s: %d bytes of %d, %v", s.name, len(got), len(want), err)
		}
		if err := errors.Join(r.Close(), r.Close()); err != nil {
			t.Errorf("%s: %v", s.name, err)
		}
	}
	begin := func(s sample, data []byte, n int) io.ReadCloser {
		t.Helper()
		r, _, err := Open("auto", "u", bytes.NewReader(data))
		if err == nil {
			_, err = io.ReadFull(r, make([]byte, n))
		}
		if err != nil {
			t.Fatalf("%s: %v", s.name, err)
		}
		return r
	}
	for range 3 {
		for i, s := range all {
			half := begin(s, s.data, 100)
			given := begin(s, s.data, 1)
			if err := errors.Join(given.Close(), given.Close()); err != nil { // twice closed, once given back
				t.Error(err)
			}
			_, _ = decode("auto", bad)
			other, plain := all[(i+1)%len(all)], begin(s, table, 10)
			rest(other, begin(other, other.data, 50), table[50:])
			rest(s, half, table[100:])
			rest(s, plain, table[10:])
		}
	}
}

// FuzzOpen: no bytes panic, hang or end in an error without a kind.
func FuzzOpen(f *testing.F) {
	_, all := samples(f)
	for _, s := range all {
		f.Add(s.data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		r, _, err := OpenOptions("auto", "u", bytes.NewReader(data), Options{MaxWindow: 8 << 20})
		if err == nil {
			_, err = io.Copy(io.Discard, io.LimitReader(r, 16<<20))
			r.Close()
		}
		if k := fail.KindOf(err); err != nil && k != fail.Data && k != fail.Input || err != nil && strings.Contains(err.Error(), "\n") {
			t.Fatalf("%v: %v", k, err)
		}
	})
}
