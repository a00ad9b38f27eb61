package parquet

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
	"github.com/parquet-go/parquet-go/format"
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
		"times":     {append(levels, times...), layout{len(levels), 8}},
		"noise":     {append(levels, noise...), layout{len(levels), 8}},
		"decimals":  {money, layout{0, 16}},
		"ids":       {ids, layout{0, 16}},
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
	want := map[string]effort{"times": effortMatched, "noise": effortStored, "decimals": effortCoded, "ids": effortCoded,
		"indices": effortStored, "few flags": effortCoded}
	pages := pagesOf(rand.New(rand.NewPCG(1, 2)))
	for name, e := range want {
		if got := c.choose(pages[name].page, pages[name].layout, 1<<20); got != e {
			t.Errorf("%s: effort %d, want %d", name, got, e)
		}
	}
	if got := c.choose(pages["texts"].page, pages["texts"].layout, 1<<20); got < effortQuick {
		t.Errorf("texts: effort %d, want a search for matches", got)
	}
	if got := c.choose([]byte("a short page"), layout{}, 12); got != effortQuick {
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
			e := c.choose(p.page, p.layout, len(p.page))
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
