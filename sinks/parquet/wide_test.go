package parquet

import (
	"bytes"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/memory"
	"github.com/parquet-go/parquet-go/format"

	"github.com/sluice-data/sluice/internal/objstore/storetest"
	"github.com/sluice-data/sluice/sinks"
)

// A file of many columns ends before its footer does not fit memory, however small it is; every row is in one of the files.
func TestFooterIsBounded(t *testing.T) {
	mem := memory.NewCheckedAllocator(memory.DefaultAllocator)
	defer mem.AssertSize(t, 0)
	const columns, groups = maxChunks/3 + 1, 5 // two row groups fit a file
	fields := make([]arrow.Field, columns)
	for i := range fields {
		fields[i] = arrow.Field{Name: fmt.Sprint(i), Type: arrow.FixedWidthTypes.Boolean}
	}
	b := array.NewRecordBuilder(mem, arrow.NewSchema(fields, nil))
	defer b.Release()
	for i := range fields {
		b.Field(i).(*array.BooleanBuilder).Append(i%2 == 0)
	}
	rec := b.NewRecord()
	defer rec.Release()
	recs := make([]arrow.Record, groups)
	for i := range recs {
		recs[i] = rec
	}
	s, l, err := attempt(t.Context(), storetest.NewMemory(), recs, 1<<40)
	if err != nil {
		t.Fatal(err)
	}
	if n := len(s.Files()); n != 3 || l.Written != groups {
		t.Errorf("%d files of %d rows in all, want 3 of %d", n, l.Written, groups)
	}
	for _, f := range s.Files() {
		if f.Rows > 2 {
			t.Errorf("%s has %d row groups", f.URI, f.Rows)
		}
	}
}

// A small chunk is weighed, so that it takes little more than the best of the efforts that cost little.
func TestSmallChunks(t *testing.T) {
	c, err := newCompressor(format.Zstd, 3)
	if err != nil {
		t.Fatal(err)
	}
	defer c.close()
	r := rand.New(rand.NewPCG(3, 3))
	words := func(v func() uint64) []byte {
		var out []uint64
		for range 2000 {
			out = append(out, v())
		}
		return raw(out)
	}
	packed := func(n uint32, w int) []byte {
		var out []uint32
		for range 2000 {
			out = append(out, r.Uint32N(n))
		}
		return appendHybrid(nil, out, w)
	}
	noise := func(n int) (out []byte) {
		for range n {
			out = append(out, byte(r.Uint32()))
		}
		return out
	}
	block := noise(300)
	for name, p := range map[string]struct {
		page []byte
		layout
	}{
		"money":                {words(func() uint64 { return uint64(int64(r.IntN(100_000) - 20_000)) }), layout{stride: 8}},
		"cents as floats":      {words(func() uint64 { return math.Float64bits(float64(r.IntN(1_000_000)) / 100) }), layout{stride: 8}},
		"days":                 {words(func() uint64 { return uint64(19_000+r.IntN(365)) * 86_400_000_000 }), layout{stride: 8}},
		"noise":                {words(r.Uint64), layout{stride: 8}},
		"few numbers":          {words(func() uint64 { return uint64(r.IntN(300)+1) * 0x9E3779B97F4A7C15 }), layout{stride: 8}},
		"short words":          {words(r.Uint64)[:4000], layout{stride: 4}},
		"indices":              {packed(512, 9), layout{indices: true}},
		"indices of few":       {packed(5, 3), layout{indices: true}},
		"indices in a row":     {bytes.Repeat(packed(16, 4)[:200], 5), layout{indices: true}},
		"flags":                {noise(270), layout{}},
		"short page":           {noise(100), layout{}},
		"blocks":               {bytes.Repeat(block, 10), layout{}},
		"long values":          {bytes.Repeat(append(noise(600), block...), 5), layout{stride: 900}},
		"values of great size": {noise(30_000), layout{stride: 10_000}},
		"one value":            {noise(5_000), layout{stride: 5_000}},
		"levels, then noise":   {noise(9000), layout{head: 1000, stride: 8}},
	} {
		sizes := map[effort]int{}
		for e := effortStored; e <= effortQuick; e++ {
			sizes[e] = len(c.frame(p.page, p.layout, e))
		}
		how := c.choose(p.page, 0, len(p.page), p.layout)
		got := len(c.frame(p.page, p.layout, how)) // kept, if it was tried
		if got != sizes[how] {
			t.Errorf("%s: %d bytes after it was weighed, %d without", name, got, sizes[how])
		}
		for e, n := range sizes {
			if got > n+n/20+16 {
				t.Errorf("%s: %d bytes with effort %d, %d with effort %d", name, got, how, n, e)
			}
		}
		c.forget()
	}
}

// The frame of a page that was weighed is not taken for that of another one in the same place.
func TestKeptFrames(t *testing.T) {
	c, err := newCompressor(format.Zstd, 3)
	if err != nil {
		t.Fatal(err)
	}
	defer c.close()
	page := bytes.Repeat([]byte("0123456789abcdefghijklmnopqrstuv"), 64)
	if how := c.choose(page, 0, len(page), layout{}); how != effortQuick {
		t.Fatalf("effort %d, want %d", how, effortQuick)
	}
	before := bytes.Clone(c.frame(page, layout{}, effortQuick))
	copy(page, "another beginning")
	c.forget()
	if bytes.Equal(before, c.frame(page, layout{}, effortQuick)) {
		t.Error("the page has changed, its frame has not")
	}
}

// A page index that tells nothing is left out where it would weigh: of many chunks, each of one page whose bounds the footer has.
func TestPageIndexIsForSomething(t *testing.T) {
	for _, c := range []struct {
		name    string
		columns int
		first   string // its text in row 0
		rows    int
		want    bool
	}{
		{"few chunks", fewChunks, "a", 2, true},
		{"many chunks", fewChunks + 1, "a", 2, false},
		{"a text too long for the footer", fewChunks + 1, strings.Repeat("a", chunkBytes+1), 2, true},
		{"a chunk of two pages", fewChunks + 1, "a", maxPageRows + 1, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			mem := memory.NewCheckedAllocator(memory.DefaultAllocator)
			defer mem.AssertSize(t, 0)
			text := array.NewStringBuilder(mem)
			defer text.Release()
			text.Append(c.first)
			for range c.rows - 1 {
				text.Append("b")
			}
			col := text.NewArray()
			defer col.Release()
			fields, cols := make([]arrow.Field, c.columns), make([]arrow.Array, c.columns)
			for i := range fields {
				fields[i], cols[i] = arrow.Field{Name: fmt.Sprint(i), Type: arrow.BinaryTypes.String}, col
			}
			rec := array.NewRecord(arrow.NewSchema(fields, nil), cols, int64(c.rows))
			defer rec.Release()
			data := writeFile(t, sinks.Request{Schema: rec.Schema()}, []arrow.Record{rec})
			f := open(t, data)
			if c.rows < 10 {
				f = checkFile(t, data, []arrow.Record{rec})
			}
			for i, chunk := range f.Metadata().RowGroups[0].Columns {
				if got := chunk.ColumnIndexOffset > 0; got != c.want || got != (chunk.OffsetIndexOffset > 0) {
					t.Fatalf("column %d has a page index at %d and %d, wanted: %v", i, chunk.ColumnIndexOffset, chunk.OffsetIndexOffset, c.want)
				}
			}
		})
	}
}
