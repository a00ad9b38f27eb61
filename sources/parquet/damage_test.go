package parquet

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"

	pq "github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/compress"
	"github.com/parquet-go/parquet-go/format"

	"github.com/apache/arrow/go/v17/arrow/memory"

	"github.com/sluice-data/sluice/internal/fail"
	"github.com/sluice-data/sluice/sources/parquet/internal/meta"
)

// small has something of everything that is decoded differently.
type small struct {
	I   int32
	O   *int64  `parquet:",optional"`
	D   string  `parquet:",dict"`
	DL  int64   `parquet:",delta"`
	DS  string  `parquet:",delta"`
	SP  float64 `parquet:",split"`
	B   bool
	L   []int32  `parquet:",list"`
	M   []nested // repeated group
	Fix [5]byte
}

type nested struct {
	X int64   `parquet:",dict"`
	S *string `parquet:",optional"`
}

func smallRows(n int) []small {
	rows := make([]small, n)
	for i := range rows {
		rows[i] = small{I: int32(i), D: fmt.Sprint("d", i%3), DL: int64(i * i), DS: fmt.Sprintf("key%03d", i), SP: float64(i) / 2, B: i%2 == 0, Fix: [5]byte{1, 2, 3, 4, byte(i)}}
		if i%3 > 0 {
			rows[i].O = ptr(int64(i) << 33)
			rows[i].L = []int32{int32(i), -1}
		}
		for k := range i % 4 {
			rows[i].M = append(rows[i].M, nested{int64(k), nil})
			if k > 0 {
				rows[i].M[k].S = ptr("s")
			}
		}
	}
	return rows
}

func smallFile(t testing.TB, codec compress.Codec, version int) []byte {
	t.Helper()
	return write(t, smallRows(14), pq.Compression(codec), pq.DataPageVersion(version), pq.MaxRowsPerRowGroup(9), pq.PageBufferSize(100))
}

// bodies are the ranges of a file that page checksums cover.
func bodies(t testing.TB, data []byte) (out []span) {
	t.Helper()
	in := input("x", data)
	f, err := openFile(t.Context(), &in)
	if err != nil {
		t.Fatal(err)
	}
	for _, g := range f.groups {
		for i := range g.chunks {
			s := chunkSpan(&g.chunks[i])
			for at := s.off; at < s.end; {
				h, n, err := meta.ParsePage(data[at:s.end])
				if err != nil {
					t.Fatal(err)
				}
				if !h.HasCRC {
					t.Fatal("page without checksum")
				}
				at += int64(n)
				out = append(out, span{at, at + int64(h.Compressed)})
				at += int64(h.Compressed)
			}
		}
	}
	return out
}

// allocated runs f and returns the bytes it allocated.
func allocated(f func()) uint64 {
	var a, b runtime.MemStats
	runtime.ReadMemStats(&a)
	f()
	runtime.ReadMemStats(&b)
	return b.TotalAlloc - a.TotalAlloc
}

const allocLimit = 64 << 20

// Whatever byte is damaged: no panic, no hang, no large allocation, all memory back, and an error of the right kind or
// rows. Under a checksum the rows are the right ones.
func TestFlippedBytes(t *testing.T) {
	for _, tc := range []struct {
		name    string
		codec   compress.Codec
		version int
		every   int
	}{{"none v1", &pq.Uncompressed, 1, 1}, {"snappy v2", &pq.Snappy, 2, 2}, {"zstd v1", &pq.Zstd, 1, 7}, {"gzip v1", &pq.Gzip, 1, 7}, {"lz4_raw v2", &pq.Lz4Raw, 2, 7}, {"brotli v1", &pq.Brotli, 1, 11}} {
		t.Run(tc.name, func(t *testing.T) {
			data := smallFile(t, tc.codec, tc.version)
			want := mustRead(t, data).rows
			sums := bodies(t, data)
			failed := 0
			for i := range data {
				covered := slices.ContainsFunc(sums, func(s span) bool { return int64(i) >= s.off && int64(i) < s.end })
				flips := []byte{0x01, 0xff}
				if tc.every > 1 { // decoders are slow to make
					flips = flips[i%2:][:1]
				}
				if i%tc.every != 0 {
					continue
				}
				for _, flip := range flips {
					bad := bytes.Clone(data)
					bad[i] ^= flip
					rows, err := survive(t, fmt.Sprintf("byte %d xor %#x", i, flip), bad)
					if err != nil {
						failed++
					}
					if covered && err == nil && !slices.Equal(rows, want) {
						t.Fatalf("byte %d xor %#x: wrong rows and no error", i, flip)
					}
				}
			}
			if failed < len(data)/tc.every/3 {
				t.Errorf("only %d flips in %d bytes were noticed", failed, len(data))
			}
		})
	}
}

// A file cut off anywhere is an error.
func TestTruncated(t *testing.T) {
	data := smallFile(t, &pq.Snappy, 1)
	for n := range data {
		_, err := survive(t, fmt.Sprintf("%d bytes", n), data[:n])
		if err == nil {
			t.Fatalf("%d of %d bytes: no error", n, len(data))
		}
	}
}

// survive reads data, whatever it is.
func survive(t testing.TB, what string, data []byte) (rows []string, err error) {
	t.Helper()
	mem := &peakAllocator{Allocator: memory.NewGoAllocator()} // cheaper than a CheckedAllocator, and this runs often
	var res *result
	if n := allocated(func() { res, err = readWith(mem, request(data)) }); n > allocLimit {
		t.Fatalf("%s: allocated %d bytes", what, n)
	}
	if mem.now != 0 {
		t.Fatalf("%s: %d bytes are not released", what, mem.now)
	}
	var e *fail.Error
	if err != nil && (!errors.As(err, &e) || e.Kind != fail.Data && e.Kind != fail.Input || e.File == "" || strings.Contains(err.Error(), "\n")) {
		t.Fatalf("%s: bad error: %v", what, err)
	}
	if err != nil && strings.Contains(err.Error(), "panicked") {
		t.Fatalf("%s: %v", what, err)
	}
	return res.rows, err
}

// What is wrong with a file as a whole is said in one line, with the place.
func TestDamagedFiles(t *testing.T) {
	good := smallFile(t, &pq.Snappy, 1)
	size := int64(len(good))
	footer := func(n uint32) []byte {
		b := bytes.Clone(good)
		binary.LittleEndian.PutUint32(b[size-8:], n)
		return b
	}
	for _, tc := range []struct {
		name string
		data []byte
		kind fail.Kind
		want []string
	}{
		{"empty", nil, fail.Input, []string{"s3://b/a.parquet: read parquet file: 0 bytes are too few"}},
		{"text", []byte("id,name\n1,anna\n2,bob\n"), fail.Input, []string{"offset 17", `it ends in "bob\n" instead of "PAR1"`}},
		{"cut off", good[:size-1], fail.Input, []string{"cut off"}},
		{"encrypted footer", append(bytes.Clone(good[:size-4]), "PARE"...), fail.Input, []string{"footer is encrypted"}},
		{"footer too long", footer(uint32(size)), fail.Data, []string{fmt.Sprintf("offset %d: read parquet file: footer of %d bytes in a file of %d", size-8, size, size)}},
		{"footer of 4 GiB", footer(1<<32 - 1), fail.Data, []string{"footer of 4294967295 bytes"}},
		{"footer too short", footer(10), fail.Data, []string{"read parquet footer: "}},
		{"footer of nothing", footer(0), fail.Data, []string{"read parquet footer: "}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := read(t, request(tc.data))
			wantError(t, err, tc.kind, tc.want...)
		})
	}
}

// A page whose header promises gigabytes does not get them.
func TestBomb(t *testing.T) {
	for _, codec := range []compress.Codec{&pq.Snappy, &pq.Zstd, &pq.Gzip, &pq.Brotli, &pq.Lz4Raw} {
		t.Run(codec.String(), func(t *testing.T) {
			src, err := codec.Encode(nil, make([]byte, 1000))
			if err != nil {
				t.Fatal(err)
			}
			var d decompressor
			defer d.close()
			for _, claim := range []int{999, 1001, 10 << 20, 500 << 20, 1<<31 - 1} {
				n := allocated(func() { _, err = d.decompress(codec.CompressionCodec(), src, claim, nil) })
				if err == nil {
					t.Errorf("claim of %d bytes: no error", claim)
				}
				if n > allocLimit {
					t.Errorf("claim of %d bytes: allocated %d", claim, n)
				}
			}
			if out, err := d.decompress(codec.CompressionCodec(), src, 1000, nil); err != nil || len(out) != 1000 {
				t.Errorf("after the failures: %d bytes, %v", len(out), err)
			}
		})
	}
}

// FuzzOpen reads any bytes without panic, leak or large allocation.
func FuzzOpen(f *testing.F) {
	for _, v := range []int{1, 2} {
		f.Add(smallFile(f, &pq.Uncompressed, v))
		f.Add(smallFile(f, &pq.Snappy, v))
	}
	f.Add(load(f, "alltypes_plain.parquet"))
	f.Add(load(f, "nested_maps.snappy.parquet"))
	f.Fuzz(func(t *testing.T, data []byte) {
		mem := memory.NewCheckedAllocator(memory.NewGoAllocator())
		_, err := readWith(mem, request(data))
		if err != nil && strings.Contains(err.Error(), "panicked") {
			t.Fatal(err)
		}
		mem.AssertSize(t, 0)
	})
}

// Sizes of chunks without rows do not matter, whatever their sum: every byte is accounted for once.
func TestSizesOfNoRows(t *testing.T) {
	data := refoot(t, smallFile(t, &pq.Snappy, 1), func(md *format.FileMetaData) {
		g := md.RowGroups[0]
		g.NumRows, g.Columns = 0, slices.Clone(g.Columns)
		for i := range g.Columns {
			g.Columns[i].MetaData.TotalCompressedSize, g.Columns[i].MetaData.NumValues = 0, 0
			if i < 2 { // more than can be counted
				g.Columns[i].MetaData.TotalCompressedSize = 1 << 62
			}
		}
		md.RowGroups = append([]format.RowGroup{g}, md.RowGroups...)
	})
	mustRead(t, data)
}
