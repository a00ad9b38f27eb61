package parquet

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/memory"
	pq "github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/encoding/thrift"
	"github.com/parquet-go/parquet-go/format"
	"github.com/pierrec/lz4/v4"
	"pgregory.net/rapid"

	"github.com/sluice-data/sluice/sinks"
	"github.com/sluice-data/sluice/sinks/files"
)

// Every type comes back as it was, with no, some and only nulls, few and many different values, over page borders.
func TestEveryTypeComesBack(t *testing.T) {
	for _, dt := range leafTypes {
		for _, nullable := range []bool{true, false} {
			t.Run(fmt.Sprintf("%v/nullable=%v", dt, nullable), func(t *testing.T) {
				s := arrow.NewSchema([]arrow.Field{{Name: "v", Type: dt, Nullable: nullable}}, nil)
				for i, c := range []struct {
					rows     int
					nulls    float64
					distinct uint64
				}{{1, 0, 0}, {7, 0.5, 3}, {1000, 0.1, 0}, {1000, 1, 0}, {5000, 0, 5}, {5000, 0.3, 400}, {2000, 0, 1}} {
					mem := memory.NewCheckedAllocator(memory.DefaultAllocator)
					m := maker{r: rand.New(rand.NewPCG(1, uint64(i))), nulls: c.nulls, distinct: c.distinct}
					rec := m.record(mem, s, c.rows)
					checkFile(t, writeFile(t, sinks.Request{Schema: s}, []arrow.Record{rec}), []arrow.Record{rec})
					rec.Release()
					mem.AssertSize(t, 0)
				}
			})
		}
	}
}

// Random nested schemas and data, in several records a row group and several row groups.
func TestRandomNestedData(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		mem := memory.NewCheckedAllocator(memory.DefaultAllocator)
		m := maker{r: rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0)),
			nulls:    rapid.SampledFrom([]float64{0, 0.1, 0.5, 1}).Draw(t, "nulls"),
			distinct: rapid.SampledFrom([]uint64{0, 1, 20, 3000}).Draw(t, "distinct")}
		s := m.schema(rapid.IntRange(1, 4).Draw(t, "columns"), rapid.IntRange(0, 3).Draw(t, "depth"))
		var groups [][]arrow.Record
		var all []arrow.Record
		for range rapid.IntRange(0, 3).Draw(t, "row groups") {
			var g []arrow.Record
			for range rapid.IntRange(1, 3).Draw(t, "records") {
				g = append(g, m.record(mem, s, rapid.SampledFrom([]int{0, 1, 2, 8, 63, 200}).Draw(t, "rows")))
			}
			groups, all = append(groups, g), append(all, g...)
		}
		checkFile(t, writeFile(t, sinks.Request{Schema: s}, groups...), all)
		for _, r := range all {
			r.Release()
		}
		if n := mem.CurrentAlloc(); n != 0 {
			t.Fatalf("%d bytes not released", n)
		}
	})
}

// Row counts around the page borders, in the codecs that parquet-go reads well (see TestLZ4).
func TestPageBorders(t *testing.T) {
	s := arrow.NewSchema([]arrow.Field{
		{Name: "id", Type: arrow.PrimitiveTypes.Int64, Nullable: true},
		{Name: "name", Type: arrow.BinaryTypes.String, Nullable: true},
		{Name: "kind", Type: arrow.PrimitiveTypes.Int32},
		{Name: "tags", Type: arrow.ListOf(arrow.BinaryTypes.String), Nullable: true},
	}, nil)
	for _, codec := range []string{"zstd", "snappy", "gzip", "none"} {
		for _, rows := range []int{maxPageRows - 1, maxPageRows, maxPageRows + 1} {
			t.Run(fmt.Sprintf("%s/%d", codec, rows), func(t *testing.T) {
				mem := memory.NewCheckedAllocator(memory.DefaultAllocator)
				defer mem.AssertSize(t, 0)
				m := maker{r: rand.New(rand.NewPCG(7, uint64(rows))), nulls: 0.2, distinct: 30_000}
				rec := m.record(mem, s, rows)
				defer rec.Release()
				f := checkFile(t, writeFile(t, sinks.Request{Schema: s, Options: Options{Compression: codec}}, []arrow.Record{rec}), []arrow.Record{rec})
				for i, x := range f.OffsetIndexes() {
					if want := (rows + maxPageRows - 1) / maxPageRows; len(x.PageLocations) != want {
						t.Errorf("column %d has %d pages, want %d", i, len(x.PageLocations), want)
					}
				}
			})
		}
	}
}

// Long values cut pages by bytes, not by rows; a single value may be longer than a page.
func TestLongValuesMakeShortPages(t *testing.T) {
	mem := memory.NewCheckedAllocator(memory.DefaultAllocator)
	defer mem.AssertSize(t, 0)
	s := arrow.NewSchema([]arrow.Field{
		{Name: "doc", Type: arrow.BinaryTypes.String, Nullable: true},
		{Name: "docs", Type: arrow.ListOf(arrow.BinaryTypes.String), Nullable: true},
	}, nil)
	b := array.NewRecordBuilder(mem, s)
	defer b.Release()
	list := b.Field(1).(*array.ListBuilder)
	for i := range 400 {
		size := 20_000 + i
		if i == 200 {
			size = 3 << 20
		}
		doc := strings.Repeat(fmt.Sprintf("%07d ", i), size/8)
		b.Field(0).(*array.StringBuilder).Append(doc)
		list.Append(true)
		for range i % 3 {
			list.ValueBuilder().(*array.StringBuilder).Append(doc)
		}
	}
	rec := b.NewRecord()
	defer rec.Release()
	f := checkFile(t, writeFile(t, sinks.Request{Schema: s}, []arrow.Record{rec}), []arrow.Record{rec})
	for i, x := range f.OffsetIndexes() {
		if n := len(x.PageLocations); n < 8 || n > 40 {
			t.Errorf("column %d of about 11 MB has %d pages", i, n)
		}
	}
}

// The bytes of a row group depend on its records alone: not on the lane, nor on what the lane encoded before.
func TestSameInputSameBytes(t *testing.T) {
	mem := memory.NewCheckedAllocator(memory.DefaultAllocator)
	defer mem.AssertSize(t, 0)
	m := maker{r: rand.New(rand.NewPCG(3, 3)), nulls: 0.1, distinct: 500}
	a := trips(mem, 1, 3000)
	defer a.Release()
	other := trips(mem, 2, 9000)
	defer other.Release()
	nested := m.schema(3, 3)
	n := m.record(mem, nested, 500)
	defer n.Release()
	for _, rec := range []arrow.Record{a, n} {
		before := [][]arrow.Record{{rec}}
		if rec == a {
			before = [][]arrow.Record{{other}, {rec}, {other}, {rec}}
		}
		s, err := newWriter(files.Request{Schema: rec.Schema()})
		if err != nil {
			t.Fatal(err)
		}
		var want []byte
		for range 2 {
			enc, err := s.NewEncoder(nil)
			if err != nil {
				t.Fatal(err)
			}
			for _, g := range before {
				b, err := enc.Encode(t.Context(), g)
				if err != nil {
					t.Fatal(err)
				}
				body := b.(*block).body
				got := append(append([]byte{}, body.buf...), body.index...)
				b.Release()
				if g[0] != rec {
					continue
				}
				if want == nil {
					want = got
				}
				if !bytes.Equal(got, want) {
					t.Fatal("the same record gave different bytes")
				}
			}
			enc.Close()
		}
	}
}

// parquet-go v0.32.0 reads LZ4_RAW pages wrongly (when the decoder needs a larger buffer than it was lent, what it decoded
// is thrown away), so these pages are decoded here and compared with those of a file without compression.
func TestLZ4(t *testing.T) {
	mem := memory.NewCheckedAllocator(memory.DefaultAllocator)
	defer mem.AssertSize(t, 0)
	rec := trips(mem, 1, 30_000)
	defer rec.Release()
	pages := func(codec string) (bodies, stored [][]byte) {
		data := writeFile(t, sinks.Request{Schema: rec.Schema(), Options: Options{Compression: codec}}, []arrow.Record{rec})
		f, err := pq.OpenFile(bytes.NewReader(data), int64(len(data)))
		if err != nil {
			t.Fatal(err)
		}
		for _, x := range f.OffsetIndexes() {
			for _, p := range x.PageLocations {
				proto := thrift.CompactProtocol{}
				r := proto.NewReaderFromBytes(data[p.Offset:])
				var h format.PageHeader
				if err := thrift.NewDecoder(r).Decode(&h); err != nil {
					t.Fatal(err)
				}
				body := data[p.Offset+int64(r.BytesRead()):][:h.CompressedPageSize]
				out := make([]byte, h.UncompressedPageSize)
				if codec == "none" {
					copy(out, body)
				} else if n, err := lz4.UncompressBlock(body, out); err != nil || n != len(out) {
					t.Fatalf("page at %d: decoded %d bytes of %d: %v", p.Offset, n, len(out), err)
				}
				bodies, stored = append(bodies, out), append(stored, body)
			}
		}
		return bodies, stored
	}
	want, _ := pages("none")
	got, stored := pages("lz4")
	if len(got) != len(want) {
		t.Fatalf("%d pages, want %d", len(got), len(want))
	}
	smaller := 0
	for i := range want {
		if !bytes.Equal(got[i], want[i]) {
			t.Fatalf("page %d is not what was compressed", i)
		}
		if len(stored[i]) < len(want[i]) {
			smaller++
		}
	}
	if smaller == 0 {
		t.Fatal("no page got smaller")
	}
}
