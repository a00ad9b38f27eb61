package group

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"testing"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/memory"
	"pgregory.net/rapid"

	"github.com/sluice-data/sluice/transforms/internal/col"
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

// cube is the fold of all sets of n columns, and batches of rows, each twice, that are groups of their own in most of the sets.
func cube(t *testing.T, n, rows int, budget int64) (*Fold, []columns) {
	i32, i64, f64 := arrow.PrimitiveTypes.Int32, arrow.PrimitiveTypes.Int64, arrow.PrimitiveTypes.Float64
	c := Config{Args: []arrow.DataType{i64, f64}, Budget: budget, TempDir: t.TempDir(), Measures: []Measure{measure("count", "*", nil, 0),
		measure("sum", "x", i64, 0), measure("min", "x", i64, 0), measure("max", "y", f64, 1), measure("avg", "x", i64, 0)}}
	for k := range n {
		c.Keys = append(c.Keys, arrow.Field{Name: fmt.Sprint("k", k), Type: i32, Nullable: true})
	}
	for set := range 1 << n {
		in := make([]bool, n)
		for k := range in {
			in[k] = set>>k&1 == 0
		}
		c.Sets = append(c.Sets, in)
	}
	c.Keys = append(c.Keys, arrow.Field{Name: "set", Type: SetType(len(c.Sets))})
	f, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	var out []columns
	const batch = 250
	for lo := 0; lo < 2*rows; lo += batch {
		b := columns{}
		for k := range n {
			v := make([]int32, batch)
			for i := range v {
				v[i] = int32(mixed((lo+i)%rows*n+k) >> 40)
			}
			b.keys = append(b.keys, col.New(i32, v, nil))
		}
		x, y, valid := make([]int64, batch), make([]float64, batch), make([]uint8, batch)
		for i := range x {
			x[i], y[i], valid[i] = int64(lo+i), float64(lo-i), uint8(mixed(lo+i)>>20&1)
		}
		b.args = []arrow.Array{col.New(i64, x, valid), col.New(f64, y, nil)}
		out = append(out, b)
	}
	return f, out
}

// The groups of a cube are many times its rows: those that the budget has no room for go to disk while they are made, be it of one lane's or of many's.
func TestCubeHoldsTheBudget(t *testing.T) {
	for _, columns := range []int{6, 7} { // made of the finest set's groups, and of rows
		want := map[string]bool{}
		for _, c := range []struct {
			lanes  int
			budget int64
		}{{1, 0}, {1, 2 << 20}, {4, 6 << 20}} {
			mem := memory.NewCheckedAllocator(memory.DefaultAllocator)
			f, batches := cube(t, columns, 96_000>>columns, c.budget)
			if late := f.fine >= 0; late != (columns == 6) {
				t.Fatalf("%d sets, made of the finest: %v", len(f.cfg.Sets), late)
			}
			var lanes []*Lane
			for range c.lanes {
				lanes = append(lanes, f.NewLane(mem))
			}
			for i, b := range batches {
				if err := lanes[i%c.lanes].Add(context.Background(), b.keys, b.args, b.keys[0].Len()); err != nil {
					t.Fatal(err)
				}
			}
			d, err := f.Drain(context.Background(), mem, lanes)
			if err != nil {
				t.Fatal(err)
			}
			got := drain(t, f, d)
			if c.budget == 0 {
				for _, g := range got {
					want[g] = true
				}
			}
			compare(t, got, want)
			if peak := f.peak.Load(); c.budget > 0 && peak > c.budget*3/2 {
				t.Errorf("%d columns, %d lanes: held %d KiB under a budget of %d KiB", columns, c.lanes, peak>>10, c.budget>>10)
			} else {
				t.Logf("%d columns, %d lanes, %d groups: held %d KiB under a budget of %d KiB", columns, c.lanes, len(got), peak>>10, c.budget>>10)
			}
			if used := f.used.Load(); used != 0 {
				t.Errorf("%d bytes of the budget are not given back", used)
			}
			mem.AssertSize(t, 0)
		}
	}
}

// A run that is told to end does not make the groups of all sets first.
func TestCubeIsInterrupted(t *testing.T) {
	f, batches := cube(t, 6, 1000, 0)
	l := f.NewLane(memory.DefaultAllocator)
	if err := l.Add(context.Background(), batches[0].keys, batches[0].args, batches[0].keys[0].Len()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := f.Drain(ctx, memory.DefaultAllocator, []*Lane{l}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want an interruption", err)
	}
	if used := f.used.Load(); used != 0 {
		t.Errorf("%d bytes of the budget are not given back", used)
	}
}
