package extsort

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/memory"
	"go.uber.org/goleak"

	"github.com/sluice-data/sluice/internal/fail"
	"github.com/sluice-data/sluice/transforms/internal/orderkey"
	"github.com/sluice-data/sluice/transforms/internal/spillfile"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var schema = arrow.NewSchema([]arrow.Field{
	{Name: "seq", Type: arrow.PrimitiveTypes.Int64},
	{Name: "zone", Type: arrow.PrimitiveTypes.Int32, Nullable: true},
	{Name: "fare", Type: arrow.PrimitiveTypes.Float64, Nullable: true},
	{Name: "name", Type: arrow.BinaryTypes.String, Nullable: true},
	{Name: "flag", Type: arrow.FixedWidthTypes.Boolean, Nullable: true},
	{Name: "tags", Type: arrow.ListOf(arrow.BinaryTypes.String), Nullable: true},
}, nil)

const (
	zoneColumn = 1
	fareColumn = 2
	nameColumn = 3
)

// row is a row of the schema's columns that are sorted by, for the plain sort that ours is held to.
type row struct {
	zone, fare, name any // nil is null
	text             string
}

// table is records of n rows each, and their rows.
func table(t *testing.T, rng *rand.Rand, records, n, zones int) (recs []arrow.Record, rows []row) {
	t.Helper()
	for k := range records {
		b := array.NewRecordBuilder(memory.DefaultAllocator, schema)
		for i := range n {
			var r row
			b.Field(0).(*array.Int64Builder).Append(int64(k*n + i))
			if rng.IntN(10) == 0 {
				b.Field(zoneColumn).AppendNull()
			} else {
				v := int32(rng.IntN(zones) - zones/2)
				r.zone = v
				b.Field(zoneColumn).(*array.Int32Builder).Append(v)
			}
			if rng.IntN(10) == 0 {
				b.Field(fareColumn).AppendNull()
			} else {
				v := []float64{rng.NormFloat64(), float64(rng.IntN(5)), math.NaN(), math.Inf(-1)}[rng.IntN(4)]
				r.fare = v
				b.Field(fareColumn).(*array.Float64Builder).Append(v)
			}
			if rng.IntN(10) == 0 {
				b.Field(nameColumn).AppendNull()
			} else {
				v := strings.Repeat("a long beginning ", rng.IntN(3)) + fmt.Sprint(rng.IntN(50))
				r.name = v
				b.Field(nameColumn).(*array.StringBuilder).Append(v)
			}
			b.Field(4).(*array.BooleanBuilder).Append(i%3 == 0)
			l := b.Field(5).(*array.ListBuilder)
			l.Append(i%4 != 0)
			if i%4 != 0 {
				l.ValueBuilder().(*array.StringBuilder).Append(fmt.Sprint(i))
			}
			rows = append(rows, r)
		}
		rec := b.NewRecord()
		b.Release()
		t.Cleanup(rec.Release)
		recs = append(recs, rec)
		for i, text := range printed(rec) {
			rows[k*n+i].text = text
		}
	}
	return recs, rows
}

func printed(rec arrow.Record) []string {
	out := make([]string, rec.NumRows())
	for i := range out {
		var b strings.Builder
		for _, c := range rec.Columns() {
			b.WriteString(c.ValueStr(i) + "|")
		}
		out[i] = b.String()
	}
	return out
}

// nullsLast compares values where nil is above all.
func nullsLast[T any](a, b any, compare func(a, b T) int) int {
	switch {
	case a == nil && b == nil:
		return 0
	case a == nil:
		return 1
	case b == nil:
		return -1
	}
	return compare(a.(T), b.(T))
}

// floats has NaN above all numbers.
func floats(a, b float64) int {
	if a != a || b != b {
		return -cmp.Compare(b2i(b != b), b2i(a != a))
	}
	return cmp.Compare(a, b)
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}

// order is a way to sort the table, and the comparison that says what it should be.
type order struct {
	name  string
	parts [][]int // columns of each part of the key
	desc  bool
	less  func(a, b row) int
}

var orders = []order{
	{"one word", [][]int{{zoneColumn}}, false, func(a, b row) int { return nullsLast(a.zone, b.zone, cmp.Compare[int32]) }},
	{"two words", [][]int{{fareColumn}}, false, func(a, b row) int { return nullsLast(a.fare, b.fare, floats) }},
	{"descending", [][]int{{fareColumn}}, true, func(a, b row) int { return -nullsLast(a.fare, b.fare, floats) }},
	{"text", [][]int{{nameColumn}}, false, func(a, b row) int { return nullsLast(a.name, b.name, cmp.Compare[string]) }},
	{"two parts", [][]int{{zoneColumn}, {nameColumn, fareColumn}}, false, func(a, b row) int {
		return cmp.Or(nullsLast(a.zone, b.zone, cmp.Compare[int32]), nullsLast(a.name, b.name, cmp.Compare[string]), nullsLast(a.fare, b.fare, floats))
	}},
	{"the order of the input", nil, false, func(a, b row) int { return 0 }},
}

func newSorter(t *testing.T, o order, budget int64, dir string) *Sorter {
	t.Helper()
	cfg := Config{Step: "sort", Schema: schema, Budget: budget, TempDir: dir}
	for _, part := range o.parts {
		var cols []orderkey.Column
		for _, c := range part {
			cols = append(cols, orderkey.Column{Type: schema.Field(c).Type, Nullable: true, Desc: o.desc, NullsFirst: o.desc})
		}
		p, err := orderkey.New(cols)
		if err != nil {
			t.Fatal(err)
		}
		cfg.Keys = append(cfg.Keys, p)
	}
	s, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// sorted runs the records through so many lanes, one chunk each two records, and gives the rows that come out and where records end.
func sorted(s *Sorter, mem memory.Allocator, o order, recs []arrow.Record, lanes int, keep Keep) (rows []string, cuts []int, err error) {
	ls := make([]*Lane, lanes)
	for i := range ls {
		ls[i] = s.NewLane(mem)
	}
	total := int64(0)
	for k, rec := range recs {
		l := ls[k/2%lanes]
		l.Begin(int64(k / 2))
		var by [][]arrow.Array
		for _, part := range o.parts {
			var cols []arrow.Array
			for _, c := range part {
				cols = append(cols, rec.Column(c))
			}
			by = append(by, cols)
		}
		if err := l.Add(context.Background(), by, rec.Columns(), int(rec.NumRows())); err != nil {
			for _, l := range ls {
				l.Close()
			}
			return nil, nil, err
		}
		total += rec.NumRows()
	}
	d, err := s.Drain(context.Background(), mem, ls, keep)
	if err != nil {
		return nil, nil, err
	}
	defer d.Close()
	for {
		rec, err := d.Next(context.Background())
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, nil, err
		}
		rows = append(rows, printed(rec)...)
		cuts = append(cuts, len(rows))
		rec.Release()
	}
	if d.Rows() != total || d.Rows()-d.Dropped() != int64(len(rows)) {
		return nil, nil, fmt.Errorf("%d rows went in, %d came out, %d are accounted for of which %d are dropped", total, len(rows), d.Rows(), d.Dropped())
	}
	return rows, cuts, nil
}

// Rows come out as a stable sort of all of them would have them, every value as it was, whatever the lanes and the memory; and records
// end at the same rows.
func TestSort(t *testing.T) {
	for _, size := range []struct {
		name             string
		records, n       int
		zones            int
		budget, window   int64
		runs             int
		spilled, compact bool
	}{
		{"nothing", 0, 0, 1, 0, 0, 0, false, false},
		{"one row", 1, 1, 1, 0, 0, 0, false, false},
		{"few rows", 3, 5, 4, 0, 0, 0, false, false},
		{"one run", 8, 100, 50, 0, 0, 0, false, false},
		{"runs", 16, 100, 1000, 0, 20 << 10, 100, false, false},
		{"on disk", 16, 100, 30, 1, 20 << 10, 100, true, false},
		{"merged on disk", 24, 120, 30, 1, 10 << 10, 2, true, true},
	} {
		rng := rand.New(rand.NewPCG(11, uint64(size.n)))
		recs, rows := table(t, rng, size.records, size.n, size.zones)
		for _, o := range orders {
			t.Run(size.name+"/"+o.name, func(t *testing.T) {
				want := slices.Clone(rows)
				slices.SortStableFunc(want, o.less)
				var first []int
				for _, lanes := range []int{1, 2, 3} {
					mem := memory.NewCheckedAllocator(memory.DefaultAllocator)
					dir := t.TempDir()
					s := newSorter(t, o, size.budget, dir)
					s.sliceRows, s.sliceBytes, s.mostRuns = 77, 5_000, size.runs
					s.windowSize = size.window
					got, cuts, err := sorted(s, mem, o, recs, lanes, nil)
					if err != nil {
						t.Fatal(err)
					}
					mem.AssertSize(t, 0)
					for i := range want {
						if got[i] != want[i].text {
							t.Fatalf("%d lanes: row %d is\n%s\nwant\n%s", lanes, i, got[i], want[i].text)
						}
					}
					if first == nil {
						first = cuts
					}
					if !slices.Equal(first, cuts) {
						t.Fatalf("%d lanes cut records at %v, one lane at %v", lanes, cuts, first)
					}
					if s.spilled.Load() != size.spilled || s.merged.Load() && !size.compact || size.compact && lanes == 1 && !s.merged.Load() {
						t.Errorf("%d lanes: on disk %v, merged there %v", lanes, s.spilled.Load(), s.merged.Load())
					}
					if left, _ := os.ReadDir(dir); len(left) != 0 {
						t.Errorf("left on disk: %v", left)
					}
				}
			})
		}
	}
}

// Rows that are not kept are dropped and counted: the first of each zone stays here.
func TestKeep(t *testing.T) {
	recs, rows := table(t, rand.New(rand.NewPCG(1, 2)), 10, 100, 40)
	o := orders[4]
	want := slices.Clone(rows)
	slices.SortStableFunc(want, o.less)
	want = slices.CompactFunc(want, func(a, b row) bool { return a.zone == b.zone })
	for _, budget := range []int64{0, 1} {
		for _, lanes := range []int{1, 3} {
			s := newSorter(t, o, budget, t.TempDir())
			s.sliceRows, s.windowSize = 11, 10<<10
			got, _, err := sorted(s, memory.DefaultAllocator, o, recs, lanes, func(shared, _ int, _ int64) bool { return shared == 0 })
			if err != nil {
				t.Fatal(err)
			}
			if len(got) != len(want) {
				t.Fatalf("%d rows, want %d", len(got), len(want))
			}
			for i := range want {
				if got[i] != want[i].text {
					t.Fatalf("row %d is\n%s\nwant\n%s", i, got[i], want[i].text)
				}
			}
		}
	}
}

// In the order of the input a row is known by its lane and its number there, from disk and from runs merged there, too.
func TestNumbers(t *testing.T) {
	recs, rows := table(t, rand.New(rand.NewPCG(1, 2)), 24, 100, 40)
	const lanes = 2
	s := newSorter(t, orders[5], 1, t.TempDir())
	s.mostRuns, s.windowSize = 2, 10<<10
	var next [lanes]int64
	bad := 0
	got, _, err := sorted(s, memory.DefaultAllocator, orders[5], recs, lanes, func(_, lane int, number int64) bool {
		if number != next[lane] {
			bad++
		}
		next[lane]++
		return number%2 == 0
	})
	if err != nil || bad > 0 || len(got) != len(rows)/2 || !s.merged.Load() {
		t.Fatalf("%d numbers are wrong, %d rows: %v", bad, len(got), err)
	}
}

// faulty is a disk whose call number at fails.
type faulty struct {
	file
	calls *int
	at    int
	err   error
}

func (f faulty) hit() error {
	*f.calls++
	if *f.calls-1 == f.at {
		return f.err
	}
	return nil
}

func (f faulty) ReadAt(p []byte, off int64) (int, error) {
	if err := f.hit(); err != nil {
		return 0, err
	}
	return f.file.ReadAt(p, off)
}

func (f faulty) WriteAt(p []byte, off int64) (int, error) {
	if err := f.hit(); err != nil {
		return 0, err
	}
	return f.file.WriteAt(p, off)
}

// Each call of the disk fails once: the sort ends with that, and holds nothing.
func TestDiskFaultAtEveryCall(t *testing.T) {
	recs, rows := table(t, rand.New(rand.NewPCG(1, 2)), 12, 120, 40)
	want := errors.New("injected")
	o := orders[0]
	for at := 0; ; at++ {
		mem := memory.NewCheckedAllocator(memory.DefaultAllocator)
		s := newSorter(t, o, 1, t.TempDir())
		s.mostRuns, s.windowSize = 3, 10<<10
		calls, open := 0, 0
		s.create = func(dir string) (file, error) {
			calls++
			if calls-1 == at {
				return nil, want
			}
			f, err := spillfile.New(dir)
			if err != nil {
				return nil, err
			}
			open++
			return faulty{counted{f, &open}, &calls, at, want}, nil
		}
		got, _, err := sorted(s, mem, o, recs, 1, nil)
		mem.AssertSize(t, 0)
		if open != 0 {
			t.Fatalf("call %d fails: %d files are open", at, open)
		}
		if calls <= at {
			if err != nil || len(got) != len(rows) || at < 20 {
				t.Fatalf("after %d calls: %d rows, %v", calls, len(got), err)
			}
			break
		}
		if !errors.Is(err, want) || fail.KindOf(err) != fail.Temporary {
			t.Fatalf("call %d fails: %v", at, err)
		}
	}
}

type counted struct {
	file
	open *int
}

func (c counted) Close() error { *c.open--; return c.file.Close() }

// A byte that the disk gives back wrong is an error, never another row.
func TestDamagedDisk(t *testing.T) {
	recs, _ := table(t, rand.New(rand.NewPCG(1, 2)), 4, 120, 40)
	s := newSorter(t, orders[0], 1, t.TempDir())
	s.windowSize = 10 << 10
	s.create = func(dir string) (file, error) {
		f, err := spillfile.New(dir)
		return damaged{f}, err
	}
	if _, _, err := sorted(s, memory.DefaultAllocator, orders[0], recs, 1, nil); fail.KindOf(err) != fail.Temporary {
		t.Fatal(err)
	}
}

type damaged struct{ file }

func (d damaged) ReadAt(p []byte, off int64) (int, error) {
	n, err := d.file.ReadAt(p, off)
	p[len(p)/2] ^= 4
	return n, err
}
