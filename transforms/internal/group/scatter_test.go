package group

import (
	"bufio"
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/memory"

	"github.com/sluice-data/sluice/transforms/agg"
	"github.com/sluice-data/sluice/transforms/internal/col"
)

// argTypes are texts of every type that an argument may have, least first.
var argTypes = []struct {
	typ  arrow.DataType
	text []string
}{
	{arrow.FixedWidthTypes.Boolean, []string{"false", "true"}},
	{arrow.PrimitiveTypes.Int8, []string{"-1", "5", "7"}},
	{arrow.PrimitiveTypes.Uint16, []string{"0", "5", "65535"}},
	{arrow.PrimitiveTypes.Float32, []string{"-1.5", "0", "2.25"}},
	{arrow.FixedWidthTypes.Date32, []string{"1969-12-31", "2026-11-22"}},
	{arrow.PrimitiveTypes.Int64, []string{"-9000000000", "1", "2"}},
	{&arrow.Decimal128Type{Precision: 38, Scale: 2}, []string{"-99999999999999999999.99", "0.01", "7.00"}},
	{arrow.BinaryTypes.String, []string{"", "a", strings.Repeat("long ", 2000)}},
	{arrow.BinaryTypes.LargeString, []string{"x", "y"}},
	{arrow.BinaryTypes.Binary, []string{"AA==", "AQ=="}},
}

// Rows of every type go through scatter buffers, stashes and the disk to the results that one table gives, nulls among them.
func TestScatterEveryType(t *testing.T) {
	const rows, groups, batch = 24_000, 900, 3000
	for _, in := range argTypes {
		t.Run(in.typ.String(), func(t *testing.T) {
			var want []string
			for _, how := range []struct {
				partitionAt int
				budget      int64
				stash       bool
			}{{1 << 20, 0, false}, {50, 0, false}, {50, 0, true}, {50, 3 << 20, true}, {50, 3 << 20, false}} {
				mem := memory.NewCheckedAllocator(memory.DefaultAllocator)
				f, err := New(everyConfig(t, in.typ, how.budget))
				if err != nil {
					t.Fatal(err)
				}
				f.partitionAt, f.stash = how.partitionAt, how.stash
				l := f.NewLane(mem)
				for lo := 0; lo < rows; lo += batch {
					addTyped(t, mem, l, in.typ, in.text, groups, lo, batch, lo >= batch) // the first batch has no nulls
				}
				d, err := f.Drain(context.Background(), mem, []*Lane{l})
				if err != nil {
					t.Fatal(err)
				}
				got := drain(t, f, d)
				slices.Sort(got)
				if want == nil {
					want = got
				}
				if len(got) < groups || !slices.Equal(got, want) {
					t.Errorf("partitioned at %d, budget %d, stash %v: %d groups differ from those of one table", how.partitionAt, how.budget, how.stash, len(got))
				}
				if used := f.used.Load(); used != 0 {
					t.Errorf("%d bytes of the budget are not given back", used)
				}
				mem.AssertSize(t, 0)
			}
		})
	}
}

func everyConfig(t *testing.T, typ arrow.DataType, budget int64) Config {
	count, _ := agg.Lookup("count")
	distinct, err := count.Bind(agg.Call{Args: []agg.Arg{{Field: arrow.Field{Type: typ}}}, Distinct: true})
	if err != nil {
		t.Fatal(err)
	}
	return Config{Keys: []arrow.Field{{Name: "k", Type: arrow.PrimitiveTypes.Int64, Nullable: true}}, Args: []arrow.DataType{typ}, Budget: budget, TempDir: t.TempDir(),
		Measures: []Measure{measure("min", "x", typ, 0), measure("max", "x", typ, 0), measure("count", "x", typ, 0),
			{Field: arrow.Field{Name: "d", Type: arrow.PrimitiveTypes.Int64}, Text: "count(distinct x)", Bound: distinct, Args: []int{0}}}}
}

func addTyped(t *testing.T, mem memory.Allocator, l *Lane, typ arrow.DataType, text []string, groups, from, n int, nulls bool) {
	kb, xb := array.NewInt64Builder(mem), array.NewBuilder(mem, typ)
	defer kb.Release()
	defer xb.Release()
	for i := from; i < from+n; i++ {
		k := int(mixed(i)>>8) % groups
		if k == 0 && nulls {
			kb.AppendNull()
		} else {
			kb.Append(int64(k))
		}
		if v := int(mixed(i) % uint64(len(text)+1)); v < len(text) {
			if err := xb.AppendValueFromString(text[v]); err != nil {
				t.Fatal(err)
			}
		} else if nulls {
			xb.AppendNull()
		} else if err := xb.AppendValueFromString(text[0]); err != nil {
			t.Fatal(err)
		}
	}
	k, x := kb.NewArray(), xb.NewArray()
	defer k.Release()
	defer x.Release()
	if err := l.Add(context.Background(), []arrow.Array{k}, []arrow.Array{x}, n); err != nil {
		t.Fatal(err)
	}
}

// When the budget shrinks to a fraction between filling and draining, the drain spills partitions whose turn has not come and splits those
// that do not fit, and the groups are the same.
func TestDrainUnderLessMemory(t *testing.T) {
	s := shapes[0]
	rows := make([]row, 60_000)
	for i := range rows {
		rows[i] = row{i % 45_000, i % 40, i % 30}
	}
	want := reference(memory.DefaultAllocator, s, rows)
	for i, share := range []int64{2, 8, 12, 2, 8, 12} {
		t.Run(fmt.Sprint("1/", share), func(t *testing.T) {
			f, err := New(config(s, 8<<20, t.TempDir()))
			if err != nil {
				t.Fatal(err)
			}
			f.partitionAt, f.floor = 1000, 4<<10
			var ls []*Lane
			for i := range 2 {
				ls = append(ls, f.NewLane(memory.DefaultAllocator))
				for lo := 0; lo < len(rows)/2; lo += 10_000 {
					part := rows[i*len(rows)/2+lo:][:10_000]
					c := makeColumns(memory.DefaultAllocator, s, part)
					if err := ls[i].Add(context.Background(), c.keys, c.args, len(part)); err != nil {
						t.Fatal(err)
					}
				}
				for p := 0; p < fanout; p += 2 { // some of each lane on disk, as if it had been short of memory
					if ls[i].parts != nil {
						if err := ls[i].spillPart(p); err != nil {
							t.Fatal(err)
						}
					}
				}
			}
			if i < 3 {
				f.limit /= share
			}
			d, err := f.Drain(context.Background(), memory.DefaultAllocator, ls)
			if err != nil {
				t.Fatal(err)
			}
			if i >= 3 {
				f.limit /= share
			}
			compare(t, drain(t, f, d), want)
			if d.Rows() != int64(len(rows)) {
				t.Errorf("the groups account for %d rows, want %d", d.Rows(), len(rows))
			}
			if used := f.used.Load(); used != 0 {
				t.Errorf("%d bytes of the budget are not given back", used)
			}
		})
	}
}

// A disk that is full is the operator's to mend; any other fault of it is worth another attempt.
func TestDiskErrors(t *testing.T) {
	f, err := New(config(shapes[0], 0, t.TempDir()))
	if err != nil {
		t.Fatal(err)
	}
	l := f.NewLane(memory.DefaultAllocator)
	defer l.Close()
	c := makeColumns(memory.DefaultAllocator, shapes[0], []row{{1, 1, 1}, {2, 2, 2}})
	if err := l.Add(context.Background(), c.keys, c.args, 2); err != nil {
		t.Fatal(err)
	}
	if err := l.partition(); err != nil {
		t.Fatal(err)
	}
	if l.disk, err = newSpillFile(t.TempDir()); err != nil {
		t.Fatal(err)
	}
	l.disk.file.Close()
	for p := range l.parts {
		if l.parts[p].tab.Len() > 0 {
			if err := l.spillPart(p); err == nil || !strings.Contains(err.Error(), "write groups to disk") {
				t.Errorf("spill to a closed file: %v", err)
			}
			if err := (run{file: l.disk.file, to: 100}).read(bufio.NewReader(nil), memory.DefaultAllocator, nil); err == nil || !strings.Contains(err.Error(), "read groups from disk") {
				t.Errorf("read from a closed file: %v", err)
			}
			return
		}
	}
}

// A partition that does not fit is dealt into smaller ones on disk, those again into smaller ones, and no group is lost or doubled.
func TestDivide(t *testing.T) {
	s := shapes[2]
	rows := make([]row, 30_000)
	for i := range rows {
		rows[i] = row{i%9000 - 1, i % 40, i%30 - 1}
	}
	f, err := New(config(s, 0, t.TempDir()))
	if err != nil {
		t.Fatal(err)
	}
	f.partitionAt = 1000
	l := f.NewLane(memory.DefaultAllocator)
	c := makeColumns(memory.DefaultAllocator, s, rows)
	if err := l.Add(context.Background(), c.keys, c.args, len(rows)/2); err != nil {
		t.Fatal(err)
	}
	for p := range fanout {
		if err := l.spillPart(p); err != nil {
			t.Fatal(err)
		}
	}
	rest := cut(c.keys, len(rows)/2, len(rows))
	if err := l.Add(context.Background(), rest, cut(c.args, len(rows)/2, len(rows)), len(rows)/2); err != nil {
		t.Fatal(err)
	}
	d, err := f.Drain(context.Background(), memory.DefaultAllocator, []*Lane{l})
	if err != nil {
		t.Fatal(err)
	}
	pop := func() source {
		s := d.todo[len(d.todo)-1]
		d.todo = d.todo[:len(d.todo)-1]
		return s
	}
	for range 5 { // five partitions: what is in memory and what is on disk
		s := pop()
		p := l.own(s.lane)
		if err := l.stash.fold(s.lane, p); err != nil {
			t.Fatal(err)
		}
		if err := d.divide(p, s.runs, s.level); err != nil {
			t.Fatal(err)
		}
		f.drop(p)
		sub := pop() // and one of the parts again
		if sub.level != 1 || sub.lane >= 0 || len(sub.runs) == 0 {
			t.Fatalf("a partition was divided into %+v", sub)
		}
		if err := d.divide(f.newPart(memory.DefaultAllocator), sub.runs, sub.level); err != nil {
			t.Fatal(err)
		}
		parked := d.todo // the parts come last: before the next partition of the lane is on top again
		for len(d.todo) > 0 && d.todo[len(d.todo)-1].lane < 0 {
			pop()
		}
		whole := len(d.todo)
		parts := slices.Clone(parked[whole:])
		d.todo = append(parts, slices.Clone(parked[:whole])...)
	}
	compare(t, drain(t, f, d), reference(memory.DefaultAllocator, s, rows))
	if used := f.used.Load(); used != 0 {
		t.Errorf("%d bytes of the budget are not given back", used)
	}
}

// A drain under a small budget begins with half of it free, for those who take its results; a large budget is not worth the disk.
func TestDrainLeavesRoom(t *testing.T) {
	s := shapes[0]
	rows := make([]row, 60_000)
	for i := range rows {
		rows[i] = row{i, 1, 1}
	}
	c := makeColumns(memory.DefaultAllocator, s, rows)
	for _, budget := range []int64{8 << 20, 16 << 20, shedBelow} {
		f, err := New(config(s, budget, t.TempDir()))
		if err != nil {
			t.Fatal(err)
		}
		f.partitionAt = 1000
		l := f.NewLane(memory.DefaultAllocator)
		if err := l.Add(context.Background(), c.keys, c.args, len(rows)); err != nil {
			t.Fatal(err)
		}
		d, err := f.Drain(context.Background(), memory.DefaultAllocator, []*Lane{l})
		if err != nil {
			t.Fatal(err)
		}
		if used := f.used.Load(); budget < shedBelow && used > budget/2 {
			t.Errorf("of a budget of %d bytes a drain begins with %d", budget, used)
		}
		if budget == shedBelow && l.disk != nil {
			t.Errorf("what fits a budget of %d bytes went to disk", budget)
		}
		compare(t, drain(t, f, d), reference(memory.DefaultAllocator, s, rows))
	}
}

// Rows that went to disk as they are come back as the groups they belong to, also where a partition of them must be divided.
func TestDivideRows(t *testing.T) {
	s := shapes[1]
	rows := make([]row, 20_000)
	for i := range rows {
		rows[i] = row{i - i%20/19, i % 40, i%30 - 1} // few come twice
	}
	f, err := New(config(s, 0, t.TempDir()))
	if err != nil {
		t.Fatal(err)
	}
	f.partitionAt, f.floor = 1000, 4<<10
	l := f.NewLane(memory.DefaultAllocator)
	c := makeColumns(memory.DefaultAllocator, s, rows)
	if err := l.Add(context.Background(), c.keys, c.args, len(rows)); err != nil {
		t.Fatal(err)
	}
	if err := l.finish(context.Background()); err != nil {
		t.Fatal(err)
	}
	raw := 0
	for p := range fanout {
		if err := l.spillPart(p); err != nil {
			t.Fatal(err)
		}
		for _, r := range l.disk.runs[p] {
			raw += len(r.chunks)
		}
	}
	if raw == 0 {
		t.Fatal("no rows were spilled as they are")
	}
	d, err := f.Drain(context.Background(), memory.DefaultAllocator, []*Lane{l})
	if err != nil {
		t.Fatal(err)
	}
	f.limit = 1
	compare(t, drain(t, f, d), reference(memory.DefaultAllocator, s, rows))
	if d.disk != nil {
		t.Error("the drain holds on to its file")
	}
	if used := f.used.Load(); used != 0 {
		t.Errorf("%d bytes of the budget are not given back", used)
	}
}

// The buffers of all lanes are a sixth of the budget at most, and one lane's a twelfth.
func TestBuffersOfManyLanes(t *testing.T) {
	for _, c := range []struct{ lanes, per int }{{1, 256}, {2, 256}, {4, 128}, {16, 32}} {
		f, err := New(config(shapes[0], 64<<20, ""))
		if err != nil {
			t.Fatal(err)
		}
		var lanes []*Lane
		for range c.lanes {
			lanes = append(lanes, f.NewLane(memory.DefaultAllocator))
		}
		held := int64(0)
		for _, l := range lanes {
			s := newScatter(l)
			if err := s.alloc(newLayout([]arrow.DataType{f.cfg.Args[0], f.cfg.Args[0], f.cfg.Args[0], f.cfg.Args[0], f.cfg.Args[0], f.cfg.Args[0], f.cfg.Args[0]}, false, false, false)); err != nil {
				t.Fatal(err)
			}
			defer s.close()
			held += s.size
			if s.per != c.per {
				t.Errorf("%d lanes: %d rows a partition, want %d", c.lanes, s.per, c.per)
			}
		}
		if held > f.limit/6 {
			t.Errorf("%d lanes hold %d KiB of buffers under a budget of %d KiB", c.lanes, held>>10, f.limit>>10)
		}
	}
}

// After a batch nothing points at its arguments, whatever the function before the last took.
func TestArgumentsAreForgotten(t *testing.T) {
	i64, f64 := arrow.PrimitiveTypes.Int64, arrow.PrimitiveTypes.Float64
	fn, _ := agg.Lookup("covar_pop")
	two, err := fn.Bind(agg.Call{Args: []agg.Arg{{Field: arrow.Field{Type: f64}}, {Field: arrow.Field{Type: f64}}}})
	if err != nil {
		t.Fatal(err)
	}
	f, err := New(Config{Keys: []arrow.Field{{Name: "k", Type: i64}}, Args: []arrow.DataType{f64, f64}, Measures: []Measure{
		{Field: two.Result, Text: "covar_pop(y, x)", Bound: two, Args: []int{0, 1}}, measure("count", "x", f64, 1)}})
	if err != nil {
		t.Fatal(err)
	}
	l := f.NewLane(memory.DefaultAllocator)
	defer l.Close()
	v := col.New(f64, []float64{1, 2}, nil)
	if err := l.Add(context.Background(), []arrow.Array{col.New(i64, []int64{1, 1}, nil)}, []arrow.Array{v, v}, 2); err != nil {
		t.Fatal(err)
	}
	in := l.single.in[:cap(l.single.in)]
	for i, a := range in {
		if a != nil {
			t.Errorf("argument %d is still there", i)
		}
	}
	if len(in) < 2 {
		t.Errorf("room for %d arguments", len(in))
	}
}
