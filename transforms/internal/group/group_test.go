package group

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/memory"
	"pgregory.net/rapid"

	"github.com/sluice-data/sluice/internal/codes/codestest"
	"github.com/sluice-data/sluice/internal/fail"
	"github.com/sluice-data/sluice/transforms/agg"
	"github.com/sluice-data/sluice/transforms/internal/col"
)

// row is one input row: a key of one or two columns, an integer and a text argument; negative indices are null.
type row struct {
	key  int
	num  int
	text int
}

// shape is how keys are made of numbers.
type shape struct {
	name  string
	types []arrow.DataType
	add   func(bs []array.Builder, k int)
}

func text(k int) string { return strings.Repeat("k", k%3) + fmt.Sprint(k) }

var shapes = []shape{
	{"int64", []arrow.DataType{arrow.PrimitiveTypes.Int64}, func(bs []array.Builder, k int) {
		bs[0].(*array.Int64Builder).Append(int64(k) * 7919)
	}},
	{"text", []arrow.DataType{arrow.BinaryTypes.String}, func(bs []array.Builder, k int) { bs[0].(*array.StringBuilder).Append(text(k)) }},
	{"long text among short", []arrow.DataType{arrow.BinaryTypes.String}, func(bs []array.Builder, k int) {
		s := text(k)
		if k%7 == 3 {
			s = strings.Repeat("long ", 8) + s
		}
		bs[0].(*array.StringBuilder).Append(s)
	}},
	{"date, int32", []arrow.DataType{arrow.FixedWidthTypes.Date32, arrow.PrimitiveTypes.Int32}, func(bs []array.Builder, k int) {
		bs[0].(*array.Date32Builder).Append(arrow.Date32(k % 10))
		bs[1].(*array.Int32Builder).Append(int32(k / 10))
	}},
	{"text, int64", []arrow.DataType{arrow.BinaryTypes.String, arrow.PrimitiveTypes.Int64}, func(bs []array.Builder, k int) {
		bs[0].(*array.StringBuilder).Append(text(k % 13))
		bs[1].(*array.Int64Builder).Append(int64(k / 13))
	}},
}

var noKeys = shape{name: "no keys", add: func([]array.Builder, int) {}}

func makeColumns(mem memory.Allocator, s shape, rows []row) columns {
	var kb []array.Builder
	for _, t := range s.types {
		kb = append(kb, array.NewBuilder(mem, t))
	}
	nb, tb := array.NewInt64Builder(mem), array.NewStringBuilder(mem)
	for _, r := range rows {
		if r.key < 0 {
			for _, b := range kb {
				b.AppendNull()
			}
		} else {
			s.add(kb, r.key)
		}
		if r.num < 0 {
			nb.AppendNull()
		} else {
			nb.Append(int64(r.num))
		}
		if r.text < 0 {
			tb.AppendNull()
		} else {
			tb.Append(fmt.Sprintf("%d-%s", r.text, strings.Repeat("t", r.text%20)))
		}
	}
	var c columns
	for _, b := range kb {
		c.keys = append(c.keys, b.NewArray())
		b.Release()
	}
	c.args = []arrow.Array{nb.NewArray(), tb.NewArray()}
	nb.Release()
	tb.Release()
	return c
}

// config has functions with every kind of state: fixed, text, and lists.
func config(s shape, budget int64, dir string) Config {
	i64, str := arrow.PrimitiveTypes.Int64, arrow.BinaryTypes.String
	var fields []arrow.Field
	for i, t := range s.types {
		fields = append(fields, arrow.Field{Name: fmt.Sprint("k", i), Type: t, Nullable: true})
	}
	count, _ := agg.Lookup("count")
	distinct, _ := count.Bind(agg.Call{Args: []agg.Arg{{Field: arrow.Field{Type: i64}}}, Distinct: true})
	return Config{Keys: fields, Args: []arrow.DataType{i64, str}, Budget: budget, TempDir: dir, Measures: []Measure{
		measure("count", "*", nil, 0), measure("sum", "num", i64, 0), measure("min", "text", str, 1), measure("count", "text", str, 1),
		{Field: arrow.Field{Name: "different", Type: i64}, Text: "count(distinct num)", Bound: distinct, Args: []int{0}},
	}}
}

// reference groups rows with a Go map and gives a line per group.
func reference(mem memory.Allocator, s shape, rows []row) map[string]bool {
	type state struct {
		n, sum, texts int
		has           bool
		least         string
		seen          map[int]bool
	}
	groups := map[int]*state{}
	for _, r := range rows {
		g := groups[max(r.key, -1)]
		if g == nil {
			g = &state{seen: map[int]bool{}}
			groups[max(r.key, -1)] = g
		}
		g.n++
		if r.num >= 0 {
			g.sum += r.num
			g.has = true
			g.seen[r.num] = true
		}
		if r.text >= 0 {
			t := fmt.Sprintf("%d-%s", r.text, strings.Repeat("t", r.text%20))
			if g.texts == 0 || t < g.least {
				g.least = t
			}
			g.texts++
		}
	}
	out := map[string]bool{}
	for k, g := range groups {
		c := makeColumns(mem, s, []row{{key: k}})
		var line []string
		for _, a := range c.keys {
			line = append(line, a.ValueStr(0))
		}
		release(c.keys)
		release(c.args)
		sum, least := "(null)", "(null)"
		if g.has {
			sum = fmt.Sprint(g.sum)
		}
		if g.texts > 0 {
			least = g.least
		}
		out[strings.Join(append(line, fmt.Sprint(g.n), sum, least, fmt.Sprint(g.texts), fmt.Sprint(len(g.seen))), "|")] = true
	}
	return out
}

// fold deals batches to lanes in turn and returns a line per group.
func fold(t require, mem memory.Allocator, f *Fold, s shape, lanes, batch int, rows []row) []string {
	var ls []*Lane
	for range lanes {
		ls = append(ls, f.NewLane(mem))
	}
	for i := 0; len(rows) > 0; i++ {
		n := min(batch, len(rows))
		c := makeColumns(mem, s, rows[:n])
		if i%3 != 1 { // from a dictionary
			for k, a := range c.keys {
				c.keys[k] = codestest.With(a, i%2)
				a.Release()
			}
		}
		ls[i%lanes].Begin(int64(i))
		if err := ls[i%lanes].Add(context.Background(), c.keys, c.args, n); err != nil {
			t.Fatal(err)
		}
		release(c.keys)
		release(c.args)
		rows = rows[n:]
	}
	d, err := f.Drain(context.Background(), mem, ls)
	if err != nil {
		t.Fatal(err)
	}
	return drain(t, f, d)
}

// drain gives a line per group.
func drain(t require, f *Fold, d *Drain) []string {
	defer d.Close()
	var out []string
	for {
		rec, err := d.Next(context.Background())
		if err == io.EOF {
			return out
		} else if err != nil {
			t.Fatal(err)
		}
		if rec.NumRows() == 0 || rec.NumRows() > batchMost || !rec.Schema().Equal(f.Schema()) {
			t.Fatalf("a batch of %d rows of %s", rec.NumRows(), rec.Schema())
		}
		for i := range int(rec.NumRows()) {
			var line []string
			for _, c := range rec.Columns() {
				line = append(line, c.ValueStr(i))
			}
			out = append(out, strings.Join(line, "|"))
		}
		rec.Release()
	}
}

type require interface {
	Fatal(args ...any)
	Fatalf(format string, args ...any)
}

func compare(t require, got []string, want map[string]bool) {
	if len(got) != len(want) {
		t.Fatalf("%d groups, want %d", len(got), len(want))
	}
	seen := map[string]bool{}
	for _, g := range got {
		if !want[g] {
			t.Fatalf("group %s is wrong or not there in the reference", g)
		}
		if seen[g] {
			t.Fatalf("group %s came twice", g)
		}
		seen[g] = true
	}
}

// However rows are batched and dealt to lanes, in one table, in partitions or through the disk, the groups are those of a Go map;
// the budget is given back in full and no file stays behind.
func TestFoldAgainstMap(t *testing.T) {
	dir := t.TempDir()
	rapid.Check(t, func(t *rapid.T) {
		mem := memory.NewCheckedAllocator(memory.DefaultAllocator)
		defer mem.AssertSize(t, 0)
		s := shapes[rapid.IntRange(0, len(shapes)-1).Draw(t, "shape")]
		rnd := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 1))
		groups := rapid.SampledFrom([]int{1, 10, 300, 3000}).Draw(t, "groups")
		rows := make([]row, rapid.SampledFrom([]int{0, 1, 100, 6000}).Draw(t, "rows"))
		for i := range rows {
			rows[i] = row{rnd.IntN(groups+1) - 1, rnd.IntN(50) - 1, rnd.IntN(100) - 1}
		}
		f, err := New(config(s, rapid.SampledFrom([]int64{0, 1 << 16, 1 << 20, 8 << 20}).Draw(t, "budget"), dir))
		if err != nil {
			t.Fatal(err)
		}
		f.frontMost = rapid.SampledFrom([]int{5, frontMost}).Draw(t, "front")
		f.partitionAt = rapid.SampledFrom([]int{20, 1000, partitionAt}).Draw(t, "partition at")
		f.stash = rapid.Bool().Draw(t, "stash")
		f.floor = rapid.SampledFrom([]int64{4 << 10, 1 << 20}).Draw(t, "floor")
		if f.limit < 1<<20 {
			f.floor = 1 << 20 // less than empty tables take cannot be met by splitting
		}
		got := fold(t, mem, f, s, rapid.IntRange(1, 3).Draw(t, "lanes"), rapid.SampledFrom([]int{13, 97, 5000, 20000}).Draw(t, "batch"), rows)
		compare(t, got, reference(mem, s, rows))
		if used := f.used.Load(); used != 0 {
			t.Fatalf("%d bytes of the budget are not given back", used)
		}
	})
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("files left behind: %v (%v)", left, err)
	}
}

// Many groups under a budget that holds a tenth of them: partitions spill, runs are read back, and partitions that do not
// fit are split, to the same result as without a budget.
func TestSpillEqualsNoSpill(t *testing.T) {
	s := shapes[1]
	const n = 60_000
	rows := make([]row, 0, n+n/4)
	for i := range n {
		rows = append(rows, row{i, i % 90, -1})
		if i%4 == 0 {
			rows = append(rows, row{i / 2, 1, i % 100})
		}
	}
	want := map[string]bool{}
	for i, budget := range []int64{0, 4 << 20, 2 << 20, 2 << 20} {
		f, err := New(config(s, budget, t.TempDir()))
		if err != nil {
			t.Fatal(err)
		}
		f.floor, f.stash = 16<<10, i != 2
		got := fold(t, memory.DefaultAllocator, f, s, 2, 50_000, rows)
		if budget > 0 {
			compare(t, got, want)
			continue
		}
		for _, g := range got {
			want[g] = true
		}
		if len(want) != n {
			t.Fatalf("%d groups, want %d", len(want), n)
		}
	}
}

// A million groups through partitions of two lanes, with and without the disk: each key has its own count and sum.
func TestMillionGroups(t *testing.T) {
	const groups, rows = 1_000_000, 2_500_000
	i64 := arrow.PrimitiveTypes.Int64
	for _, budget := range []int64{0, 32 << 20} {
		f, err := New(Config{Keys: []arrow.Field{{Name: "k", Type: i64, Nullable: true}}, Args: []arrow.DataType{i64}, Budget: budget, TempDir: t.TempDir(),
			Measures: []Measure{measure("count", "*", nil, 0), measure("sum", "x", i64, 0)}})
		if err != nil {
			t.Fatal(err)
		}
		lanes := []*Lane{f.NewLane(memory.DefaultAllocator), f.NewLane(memory.DefaultAllocator)}
		for lo := 0; lo < rows; lo += 10_000 {
			k := make([]int64, 10_000)
			for i := range k {
				k[i] = int64(lo+i) % groups
			}
			a := []arrow.Array{col.New(i64, k, nil)} // the key is its own argument
			if err := lanes[lo/10_000%2].Add(context.Background(), a, a, len(k)); err != nil {
				t.Fatal(err)
			}
		}
		d, err := f.Drain(context.Background(), memory.DefaultAllocator, lanes)
		if err != nil {
			t.Fatal(err)
		}
		seen := make([]bool, groups)
		for {
			rec, err := d.Next(context.Background())
			if err == io.EOF {
				break
			} else if err != nil {
				t.Fatal(err)
			}
			k, n, sum := col.Fixed[int64](rec.Column(0)), col.Fixed[int64](rec.Column(1)), col.Fixed[int64](rec.Column(2))
			for i := range k {
				want := int64(2)
				if k[i] < rows-2*groups {
					want = 3
				}
				if seen[k[i]] || n[i] != want || sum[i] != want*k[i] {
					t.Fatalf("key %d: seen %v, count %d, want %d, sum %d", k[i], seen[k[i]], n[i], want, sum[i])
				}
				seen[k[i]] = true
			}
			rec.Release()
		}
		d.Close()
		for k, s := range seen {
			if !s {
				t.Fatalf("key %d is missing", k)
			}
		}
	}
}

// Lanes ask for room before they grow, so what they hold stays near the budget, and the disk takes the rest.
func TestBudgetIsHeld(t *testing.T) {
	s := shapes[0]
	const budget = 16 << 20
	f, err := New(config(s, budget, t.TempDir()))
	if err != nil {
		t.Fatal(err)
	}
	l := f.NewLane(memory.DefaultAllocator)
	defer l.Close()
	var most int64
	rows := make([]row, 10_000)
	for i := range 60 {
		for j := range rows {
			rows[j] = row{i*len(rows) + j, 1, 1}
		}
		c := makeColumns(memory.DefaultAllocator, s, rows)
		if err := l.Add(context.Background(), c.keys, c.args, len(rows)); err != nil {
			t.Fatal(err)
		}
		most = max(most, f.used.Load())
	}
	if most > budget*5/4 {
		t.Errorf("held %d MiB under a budget of %d MiB", most>>20, budget>>20)
	}
	if l.disk == nil || l.disk.n == 0 {
		t.Error("nothing was spilled")
	}
	if got := l.Rows(); got != 600_000 {
		t.Errorf("accounts for %d rows, want 600000", got)
	}
}

// Lanes fill at the same time and share the budget: what one takes the others must do without, and the groups are right.
func TestLanesTogether(t *testing.T) {
	s := shapes[3]
	const lanes, batches, per = 4, 6, 5000
	f, err := New(config(s, 6<<20, t.TempDir()))
	if err != nil {
		t.Fatal(err)
	}
	f.partitionAt, f.floor = 1000, 64<<10
	var all []row
	var ls []*Lane
	var wg sync.WaitGroup
	for i := range lanes {
		l := f.NewLane(memory.DefaultAllocator)
		ls = append(ls, l)
		rows := make([]row, batches*per)
		for j := range rows {
			rows[j] = row{(i*7919 + j*31) % 20_000, j % 50, j % 7}
		}
		all = append(all, rows...)
		wg.Go(func() {
			for lo := 0; lo < len(rows); lo += per {
				c := makeColumns(memory.DefaultAllocator, s, rows[lo:lo+per])
				if err := l.Add(context.Background(), c.keys, c.args, per); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	d, err := f.Drain(context.Background(), memory.DefaultAllocator, ls)
	if err != nil {
		t.Fatal(err)
	}
	compare(t, drain(t, f, d), reference(memory.DefaultAllocator, s, all))
	if used := f.used.Load(); used != 0 {
		t.Errorf("%d bytes of the budget are not given back", used)
	}
}

// A group whose values outgrow the budget has them on disk where its function can do that, with the values of much memory. Where it cannot, it is an
// error that says what to do, not a process that grows.
func TestOneGroupOverTheBudget(t *testing.T) {
	array, _ := agg.Lookup("array_agg")
	list, err := array.Bind(agg.Args(arrow.Field{Type: arrow.PrimitiveTypes.Int64}))
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []shape{shapes[0], noKeys} {
		for _, lists := range []bool{false, true} {
			t.Run(fmt.Sprint(s.name, ", array_agg ", lists), func(t *testing.T) {
				cfg := config(s, 2<<20, t.TempDir())
				if lists {
					cfg.Measures = append(cfg.Measures, Measure{Field: list.Result, Text: "array_agg(num)", Bound: list, Args: []int{0, 0}})
				}
				f, err := New(cfg)
				if err != nil {
					t.Fatal(err)
				}
				mem := memory.NewCheckedAllocator(memory.DefaultAllocator)
				lanes := []*Lane{f.NewLane(mem), f.NewLane(mem)}
				var all []row
				for i := 0; i < 40 && err == nil; i++ {
					rows := make([]row, 10_000)
					for j := range rows {
						if rows[j] = (row{0, i*len(rows)/2 + j, -1}); j%50 == 49 && len(s.types) > 0 {
							rows[j].key = 1 + j/50%3
						}
					}
					all = append(all, rows...)
					c := makeColumns(memory.DefaultAllocator, s, rows)
					err = lanes[i%2].Add(context.Background(), c.keys, c.args, len(rows))
				}
				var got []string
				if err == nil {
					var d *Drain
					if d, err = f.Drain(context.Background(), mem, lanes); err == nil {
						if lists {
							_, err = d.Next(context.Background())
							d.Close()
						} else {
							got = drain(t, f, d)
						}
					}
				} else {
					lanes[0].Close()
					lanes[1].Close()
				}
				switch {
				case lists && (fail.KindOf(err) != fail.Usage || !strings.Contains(fmt.Sprint(err), "raise --memory-limit")):
					t.Errorf("got %v, want an error that says to raise --memory-limit", err)
				case !lists && err != nil:
					t.Error(err)
				case !lists:
					compare(t, got, reference(mem, s, all))
				}
				mem.AssertSize(t, 0)
				if used := f.used.Load(); used != 0 {
					t.Errorf("%d bytes of the budget are not given back", used)
				}
			})
		}
	}
}

// In one table, groups come out in the order in which they were first seen.
func TestFirstSeenOrder(t *testing.T) {
	mem := memory.NewCheckedAllocator(memory.DefaultAllocator)
	defer mem.AssertSize(t, 0)
	for _, s := range shapes[:2] {
		for _, lanes := range []int{1, 2, 3, 8} {
			f, err := New(config(s, 0, ""))
			if err != nil {
				t.Fatal(err)
			}
			got := fold(t, mem, f, s, lanes, 2, []row{{5, 1, 1}, {3, 1, 1}, {9, 1, 1}, {3, 1, 1}, {-1, 1, 1}, {0, 1, 1}, {9, 1, 1}, {7, 1, 1}, {5, 1, 1}, {8, 1, 1}})
			var keys []string
			for _, g := range got {
				k, _, _ := strings.Cut(g, "|")
				keys = append(keys, k)
			}
			want := map[string]string{"int64": "39595 23757 71271 (null) 0 55433 63352", "text": "kk5 3 9 (null) 0 k7 kk8"}[s.name]
			if strings.Join(keys, " ") != want {
				t.Errorf("%s, %d lanes: groups come as %v, want %s", s.name, lanes, keys, want)
			}
		}
	}
}

// Without keys there is one group, also for no rows.
func TestNoKeys(t *testing.T) {
	for _, c := range []struct {
		rows  []row
		lanes int
		want  string
	}{
		{nil, 2, "0|(null)|(null)|0|0"},
		{[]row{{0, 5, 1}, {0, 5, -1}, {0, -1, 2}}, 3, "3|10|1-t|2|1"},
	} {
		f, err := New(config(noKeys, 0, ""))
		if err != nil {
			t.Fatal(err)
		}
		got := fold(t, memory.DefaultAllocator, f, noKeys, c.lanes, 1, c.rows)
		if len(got) != 1 || got[0] != c.want {
			t.Errorf("%v give %v, want %s", c.rows, got, c.want)
		}
	}
}

func TestOverflowNamesTheGroup(t *testing.T) {
	i64 := arrow.PrimitiveTypes.Int64
	f, err := New(Config{Keys: []arrow.Field{{Name: "day", Type: i64}, {Name: "zone", Type: arrow.BinaryTypes.String}}, Args: []arrow.DataType{i64}, Measures: []Measure{measure("sum", "x", i64, 0)}})
	if err != nil {
		t.Fatal(err)
	}
	s := shape{types: []arrow.DataType{i64, arrow.BinaryTypes.String}, add: func(bs []array.Builder, k int) {
		bs[0].(*array.Int64Builder).Append(int64(k))
		bs[1].(*array.StringBuilder).AppendNull()
	}}
	l := f.NewLane(memory.DefaultAllocator)
	c := makeColumns(memory.DefaultAllocator, s, []row{{1, 1, 0}, {2, 1 << 62, 0}, {2, 1 << 62, 0}})
	if err := l.Add(context.Background(), c.keys, c.args[:1], 3); err != nil {
		t.Fatal(err)
	}
	d, err := f.Drain(context.Background(), memory.DefaultAllocator, []*Lane{l})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	_, err = d.Next(context.Background())
	if want := "sum(x) of the group day = 2, zone = null: int64 out of range"; err == nil || err.Error() != want || fail.KindOf(err) != fail.Data {
		t.Errorf("got %v, want %s", err, want)
	}
}

func TestCancel(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	f, _ := New(config(shapes[0], 0, ""))
	l := f.NewLane(memory.DefaultAllocator)
	c := makeColumns(memory.DefaultAllocator, shapes[0], []row{{1, 1, 1}})
	if err := l.Add(ctx, c.keys, c.args, 1); !errors.Is(err, context.Canceled) {
		t.Errorf("Add under a cancelled context: %v", err)
	}
	l.Close()
}

func TestNoTempDir(t *testing.T) {
	f, _ := New(config(shapes[0], 1<<16, t.TempDir()+"/missing"))
	l := f.NewLane(memory.DefaultAllocator)
	defer l.Close()
	rows := make([]row, 50_000)
	for i := range rows {
		rows[i].key = i
	}
	c := makeColumns(memory.DefaultAllocator, shapes[0], rows)
	err := l.Add(context.Background(), c.keys, c.args, len(rows))
	if !errors.Is(err, os.ErrNotExist) || !strings.Contains(err.Error(), "create spill file") {
		t.Errorf("got %v, want the missing directory", err)
	}
}
