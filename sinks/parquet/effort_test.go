package parquet

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/memory"
	"github.com/klauspost/compress/zstd"
	"github.com/parquet-go/parquet-go/format"

	"github.com/sluice-data/sluice/sinks"
)

// pagesOf are pages of the kinds of columns there are, as appendPlain and appendHybrid leave them.
func pagesOf(r *rand.Rand) map[string]struct {
	page   []byte
	layout layout
} {
	type sample = struct {
		page   []byte
		layout layout
	}
	var times, noise, money, ids []byte
	var packed, flags []uint32
	for range 20_000 {
		times = binary.LittleEndian.AppendUint64(times, uint64(1_672_531_200+r.IntN(6*86_400))*1_000_000)
		noise = binary.LittleEndian.AppendUint64(noise, r.Uint64())
		money = binary.BigEndian.AppendUint64(append(money, make([]byte, 8)...), uint64(r.IntN(1_000_000)))
		ids = append(binary.LittleEndian.AppendUint32(ids, 12), fmt.Sprintf("%012d", r.Uint64N(10_000_000_000))...)
		packed = append(packed, r.Uint32N(250))
		flags = append(flags, r.Uint32N(4)*r.Uint32N(2))
	}
	var text []byte
	for len(text) < 200_000 {
		v := fmt.Sprintf("https://example.com/%s/%s?page=%d", tripNotes[r.IntN(20)], tripNotes[r.IntN(20)], r.IntN(1000))
		text = append(binary.LittleEndian.AppendUint32(text, uint32(len(v))), v...)
	}
	levels := []byte("levels")
	return map[string]sample{
		"times":     {append(levels, times...), layout{head: len(levels), stride: 8}},
		"noise":     {append(levels, noise...), layout{head: len(levels), stride: 8}},
		"decimals":  {money, layout{head: 0, stride: 16}},
		"ids":       {ids, layout{head: 0, stride: 16}},
		"indices":   {appendHybrid(nil, packed, 8), layout{}},
		"few flags": {appendPacked(nil, flags, 3), layout{}},
		"texts":     {text, layout{}},
	}
}

// Each kind of page gets the cheapest effort that the level's promise allows.
func TestEffort(t *testing.T) {
	c, err := newCompressor(format.Zstd, 3)
	if err != nil {
		t.Fatal(err)
	}
	defer c.close()
	want := map[string]effort{"times": effortMatched, "noise": effortStored, "decimals": effortMatched, "ids": effortCoded,
		"indices": effortStored, "few flags": effortCoded}
	pages := pagesOf(rand.New(rand.NewPCG(1, 2)))
	for name, e := range want {
		if got := c.choose(pages[name].page, 0, len(pages[name].page), pages[name].layout); got != e {
			t.Errorf("%s: effort %d, want %d", name, got, e)
		}
	}
	if got := c.choose(pages["texts"].page, 0, len(pages["texts"].page), pages["texts"].layout); got < effortQuick {
		t.Errorf("texts: effort %d, want a search for matches", got)
	}
	if got := c.choose([]byte("a short page"), 0, 12, layout{}); got != effortQuick {
		t.Errorf("a short page: effort %d, want %d", got, effortQuick)
	}
}

// Whatever the effort, a page is one zstd frame that another decoder reads, no larger than a tenth over what the level
// makes of it.
func TestLevelIsAPromise(t *testing.T) {
	d, err := zstd.NewReader(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	for _, level := range []int{3, 9, 19} {
		c, err := newCompressor(format.Zstd, level)
		if err != nil {
			t.Fatal(err)
		}
		defer c.close()
		for name, p := range pagesOf(rand.New(rand.NewPCG(3, 4))) {
			most := len(c.asked.EncodeAll(p.page, nil))
			for e := effortStored; e <= effortAsked; e++ {
				got, err := c.compress(p.page, p.layout, e)
				if err != nil {
					t.Fatal(err)
				}
				back, err := d.DecodeAll(got, nil)
				if err != nil || !bytes.Equal(back, p.page) {
					t.Fatalf("%s with effort %d: came back otherwise (%v)", name, e, err)
				}
			}
			e := c.choose(p.page, 0, len(p.page), p.layout)
			got, err := c.compress(p.page, p.layout, e)
			if err != nil {
				t.Fatal(err)
			}
			if len(got) > most+most/10 {
				t.Errorf("level %d, %s: %d bytes with effort %d, %d at the level", level, name, len(got), e, most)
			}
		}
	}
}

// Short strings are told apart by their bytes and length, not by a hash of either.
func TestDictionaryOfStrings(t *testing.T) {
	var texts []string
	for n := range 20 {
		texts = append(texts, strings.Repeat("\x00", n), strings.Repeat("a", n), strings.Repeat("\xff", n), strings.Repeat("a", n)+"\x00")
	}
	c := column{leaf: &leaf{kind: kindBytes}, values: values{off: []int32{0}}}
	want := map[string]uint32{}
	var order []string
	for i := range 4000 {
		v := texts[i*i%len(texts)]
		if _, ok := want[v]; !ok {
			want[v] = uint32(len(order))
			order = append(order, v)
		}
		c.data = append(c.data, v...)
		c.off = append(c.off, int32(len(c.data)))
		c.slots++
	}
	var d dictionary
	if k := d.build(&c); k != len(order) {
		t.Fatalf("%d entries, want %d", k, len(order))
	}
	for i, v := range order {
		if string(d.entry(i)) != v {
			t.Fatalf("entry %d is %q, want %q", i, d.entry(i), v)
		}
	}
	for i := range 4000 {
		if v := texts[i*i%len(texts)]; d.idx[i] != want[v] {
			t.Fatalf("value %d, %q, has index %d, want %d", i, v, d.idx[i], want[v])
		}
	}
}

// pagesIn encodes one column and says how many pages it has, and how many bytes.
func pagesIn(t *testing.T, typ arrow.DataType, rows int, value func(b array.Builder, i int)) (pages, size int) {
	t.Helper()
	mem := memory.NewCheckedAllocator(memory.DefaultAllocator)
	defer mem.AssertSize(t, 0)
	schema := arrow.NewSchema([]arrow.Field{{Name: "c", Type: typ}}, nil)
	b := array.NewRecordBuilder(mem, schema)
	defer b.Release()
	for i := range rows {
		value(b.Field(0), i)
	}
	rec := b.NewRecord()
	defer rec.Release()
	f := checkFile(t, writeFile(t, sinks.Request{Schema: schema}, []arrow.Record{rec}), []arrow.Record{rec})
	return len(f.OffsetIndexes()[0].PageLocations), int(f.Metadata().RowGroups[0].TotalCompressedSize)
}

// What recurs further away than a sample is long, and further than a page, is found; a page index that tells rows apart stays.
func TestFarMatches(t *testing.T) {
	const rows = 100_000
	text := func(v func(i int) int) func(array.Builder, int) {
		return func(b array.Builder, i int) { b.(*array.StringBuilder).Append(fmt.Sprintf("%05d", v(i))) }
	}
	for _, c := range []struct {
		name        string
		typ         arrow.DataType
		value       func(array.Builder, int)
		pages, most int // pages; bytes
	}{
		{"texts whose ends recur after 9,000 bytes, and wholly after 900,000", arrow.BinaryTypes.String, text(func(i int) int { return i * 35761 % 100_000 }), 1, rows},
		{"sorted texts", arrow.BinaryTypes.String, text(func(i int) int { return i }), 5, 4 * rows},
		{"lists that recur after a page", arrow.ListOf(arrow.PrimitiveTypes.Int64), func(b array.Builder, i int) {
			l := b.(*array.ListBuilder)
			l.Append(true)
			r := rand.New(rand.NewPCG(uint64(i%25_000), 5))
			for range 1 + i%2 {
				l.ValueBuilder().(*array.Int64Builder).Append(int64(r.Uint64()))
			}
		}, 1, 6 * rows},
		{"noise", arrow.PrimitiveTypes.Int64, func(b array.Builder, i int) {
			b.(*array.Int64Builder).Append(int64(uint64(i+1) * 0x9E3779B97F4A7C15))
		}, 5, 8*rows + 1000},
	} {
		if pages, size := pagesIn(t, c.typ, rows, c.value); pages != c.pages || size > c.most {
			t.Errorf("%s: %d pages of %d bytes, want %d of %d at most", c.name, pages, size, c.pages, c.most)
		}
	}
}
