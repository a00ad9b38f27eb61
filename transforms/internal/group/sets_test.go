package group

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"testing"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/memory"
	"pgregory.net/rapid"
)

// bySets is the reference: a line for each group of each set, by a Go map.
func bySets(mem memory.Allocator, s shape, sets [][]bool, rows []row) map[string]bool {
	type state struct {
		n, sum int
		has    bool
	}
	groups := map[string]*state{}
	texts := map[int][]string{}
	for _, r := range rows {
		if texts[r.key] == nil {
			c := makeColumns(mem, s, []row{r})
			for _, a := range c.keys {
				texts[r.key] = append(texts[r.key], a.ValueStr(0))
			}
			release(c.keys)
			release(c.args)
		}
		for i, set := range sets {
			line := make([]string, len(set))
			for k, in := range set {
				if line[k] = "(null)"; in {
					line[k] = texts[r.key][k]
				}
			}
			at := strings.Join(append(line, fmt.Sprint(i)), "|")
			g := groups[at]
			if g == nil {
				g = &state{}
				groups[at] = g
			}
			g.n++
			if r.num >= 0 {
				g.sum, g.has = g.sum+r.num, true
			}
		}
	}
	out := map[string]bool{}
	for at, g := range groups {
		sum := "(null)"
		if g.has {
			sum = fmt.Sprint(g.sum)
		}
		out[fmt.Sprintf("%s|%d|%s", at, g.n, sum)] = true
	}
	return out
}

// However many groups there are and little memory, the groups of several sets of keys are those of a Go map, whether they are made of those of the
// finest set or of each row.
func TestSetsAgainstMap(t *testing.T) {
	s := shapes[3] // date, int32
	dir := t.TempDir()
	yes, no := true, false
	rapid.Check(t, func(t *rapid.T) {
		mem := memory.NewCheckedAllocator(memory.DefaultAllocator)
		defer mem.AssertSize(t, 0)
		rnd := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 1))
		groups := rapid.SampledFrom([]int{1, 10, 300, 3000}).Draw(t, "groups")
		rows := make([]row, rapid.SampledFrom([]int{0, 1, 100, 6000}).Draw(t, "rows"))
		for i := range rows {
			rows[i] = row{rnd.IntN(groups+1) - 1, rnd.IntN(50) - 1, -1}
		}
		sets := rapid.SampledFrom([][][]bool{
			{{yes, yes}, {yes, no}, {no, no}},
			{{no, no}, {no, yes}, {yes, yes}, {yes, yes}},
			{{yes, no}, {no, yes}}, // none has the keys of both
			{{no, no}},
		}).Draw(t, "sets")
		c := config(s, rapid.SampledFrom([]int64{0, 1 << 16, 1 << 20, 8 << 20}).Draw(t, "budget"), dir)
		c.Measures = c.Measures[:2]
		c.Sets = sets
		c.Keys = append(c.Keys, arrow.Field{Name: "set", Type: SetType(len(sets))})
		f, err := New(c)
		if err != nil {
			t.Fatal(err)
		}
		f.partitionAt = rapid.SampledFrom([]int{20, 1000, partitionAt}).Draw(t, "partition at")
		f.floor = 1 << 20
		if f.fine < 0 != (len(sets) == 2) {
			t.Fatalf("the finest of %v is %d", sets, f.fine)
		}
		got := fold(t, mem, f, s, rapid.IntRange(1, 3).Draw(t, "lanes"), rapid.SampledFrom([]int{97, 5000, 20000}).Draw(t, "batch"), rows)
		compare(t, got, bySets(mem, s, sets, rows))
		if used := f.used.Load(); used != 0 {
			t.Fatalf("%d bytes of the budget are not given back", used)
		}
	})
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("files left behind: %v (%v)", left, err)
	}
}

// TestListsAreFoldedRowByRow: states of no fixed size would be held once more for each set.
func TestListsAreFoldedRowByRow(t *testing.T) {
	c := config(shapes[3], 0, "")
	c.Sets = [][]bool{{true, true}, {true, false}}
	c.Keys = append(c.Keys, arrow.Field{Name: "set", Type: SetType(2)})
	for n, want := range map[int]int{2: 0, 3: -1, 5: -1} { // with min of texts, and with count(distinct)
		c.Measures = c.Measures[:n]
		f, err := New(c)
		if err != nil {
			t.Fatal(err)
		}
		if f.fine != want {
			t.Errorf("with %s: %d, want %d", f.funcs[len(f.funcs)-1].text, f.fine, want)
		}
		c.Measures = config(shapes[3], 0, "").Measures
	}
}
