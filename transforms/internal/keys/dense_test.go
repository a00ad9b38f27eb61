package keys

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/memory"
	"pgregory.net/rapid"
)

// series draws values that lie dense in places: base + k*step, with k in a window that moves, nulls and outliers among them.
type series struct {
	typ        arrow.DataType
	base, step int64
	window     int
	drift      int // of the window, each batch
	nulls, far int // one of so many rows, 0 for none
}

func (s series) column(rnd *rand.Rand, batch, n int) arrow.Array {
	b := array.NewBuilder(memory.DefaultAllocator, s.typ)
	defer b.Release()
	for range n {
		k := int64(rnd.IntN(s.window) + batch*s.drift)
		v := s.base + k*s.step
		if s.far > 0 && rnd.IntN(s.far) == 0 {
			v = int64(rnd.Uint64()) >> rnd.IntN(64)
		}
		if s.nulls > 0 && rnd.IntN(s.nulls) == 0 {
			b.AppendNull()
			continue
		}
		switch b := b.(type) {
		case *array.Int8Builder:
			b.Append(int8(v))
		case *array.Uint16Builder:
			b.Append(uint16(v))
		case *array.Int32Builder:
			b.Append(int32(v))
		case *array.Uint64Builder:
			b.Append(uint64(v))
		case *array.TimestampBuilder:
			b.Append(arrow.Timestamp(v))
		case *array.Float64Builder:
			b.Append(float64(v))
		case *array.BooleanBuilder:
			b.Append(v&1 != 0)
		case *array.StringBuilder:
			b.Append(string(rune('A' + v&15)))
		}
	}
	return b.NewArray()
}

// ways counts what the array did.
type ways struct{ used, moved, late int }

// failer is what a testing.T and a rapid.T have in common.
type failer interface {
	Fatal(args ...any)
	Fatalf(format string, args ...any)
}

// compare holds the numbers given through the array against those of the hash table alone, over two rounds of batches with a Reset between
// them. rows gives the next batch's.
func (w *ways) compare(t failer, columns []series, rnd *rand.Rand, batches func() int, rows func() int, byteRows func() bool) {
	var typs []arrow.DataType
	for _, s := range columns {
		typs = append(typs, s.typ)
	}
	plan, err := NewPlan(typs)
	if err != nil {
		t.Fatal(err)
	}
	enc, tab, plain := plan.NewEncoder(), plan.NewTable(), plan.NewTable()
	plain.denseAt = math.MaxInt
	for round := range 2 { // once more after Reset
		var last *dense
		for batch := range batches() {
			n := rows()
			cols := make([]arrow.Array, len(columns))
			for i, s := range columns {
				cols[i] = s.column(rnd, batch, n)
			}
			encoded, err := enc.Encode(cols, n)
			if err != nil {
				t.Fatal(err)
			}
			got, want := make([]uint32, n), make([]uint32, n)
			tab.Intern(encoded, got)
			plain.Intern(encoded, want)
			for i := range want {
				if got[i] != want[i] {
					t.Fatalf("round %d, batch %d, row %d: number %d, want %d", round, batch, i, got[i], want[i])
				}
			}
			for _, c := range cols {
				c.Release()
			}
			if tab.dense != nil {
				w.used++
				if last != nil && last != tab.dense {
					w.moved++
				}
			}
			last = tab.dense
		}
		// The hash table knows all of them once it is asked, also as byte rows.
		if tab.settled < tab.n {
			w.late++
		}
		var all Rows
		ids, same := make([]uint32, tab.n), make([]uint32, tab.n)
		for i := range same {
			same[i] = uint32(i)
		}
		tab.View(&all, 0, tab.n)
		if byteRows() && !tab.bytes {
			tab.toBytes()
		} else {
			tab.Settle()
			tab.dense = nil
		}
		tab.Intern(&all, ids)
		if !slices.Equal(ids, same) {
			t.Fatalf("tuples 0, 1 … are numbered %v", ids)
		}
		tab.Reset()
		plain.Reset()
	}
}

// Through the array tuples get the numbers that the hash table alone gives them, whatever their ranges and however those move.
func TestDenseAgainstTable(t *testing.T) {
	types := []arrow.DataType{arrow.PrimitiveTypes.Int8, arrow.PrimitiveTypes.Uint16, arrow.PrimitiveTypes.Int32, arrow.PrimitiveTypes.Uint64,
		arrow.FixedWidthTypes.Timestamp_us, arrow.PrimitiveTypes.Float64, arrow.FixedWidthTypes.Boolean, arrow.BinaryTypes.String}
	rapid.Check(t, func(t *rapid.T) {
		rnd := rand.New(rand.NewPCG(1, rapid.Uint64().Draw(t, "seed")))
		var columns []series
		for range rapid.IntRange(1, 3).Draw(t, "columns") {
			columns = append(columns, series{
				typ:    rapid.SampledFrom(types).Draw(t, "type"),
				base:   rapid.SampledFrom([]int64{0, -3, 127, 1 << 31, math.MaxInt64 - 5, math.MinInt64}).Draw(t, "base"),
				step:   rapid.SampledFrom([]int64{1, 2, 3, -7, 86_400_000_000, 1 << 40, math.MinInt64}).Draw(t, "step"),
				window: rapid.SampledFrom([]int{1, 3, 40}).Draw(t, "window"),
				drift:  rapid.SampledFrom([]int{0, 1, -2}).Draw(t, "drift"),
				nulls:  rapid.SampledFrom([]int{0, 20}).Draw(t, "nulls"),
				far:    rapid.SampledFrom([]int{0, 0, 500}).Draw(t, "far"),
			})
		}
		new(ways).compare(t, columns, rnd,
			func() int { return rapid.IntRange(1, 12).Draw(t, "batches") },
			func() int { return rapid.IntRange(1, 1500).Draw(t, "rows") },
			func() bool { return rapid.Bool().Draw(t, "as byte rows") })
	})
}

// Series that lie dense, drift out of the array's range and have outliers take every way through it.
func TestDenseWays(t *testing.T) {
	day := series{typ: arrow.FixedWidthTypes.Timestamp_us, step: 86_400_000_000, window: 40, drift: 30}
	zone := series{typ: arrow.PrimitiveTypes.Int32, base: -3, step: 1, window: 40}
	outliers := zone
	outliers.far, outliers.nulls = 500, 20
	var w ways
	for _, columns := range [][]series{{day}, {zone}, {day, zone}, {outliers}, {day, outliers}} {
		byteRows := false
		w.compare(t, columns, rand.New(rand.NewPCG(1, 2)), func() int { return 12 }, func() int { return 1000 },
			func() bool { byteRows = !byteRows; return byteRows })
	}
	if w.used == 0 || w.moved == 0 || w.late == 0 {
		t.Errorf("%d batches went through an array, %d times it was made anew, %d times it knew more than the table: nothing was tested", w.used, w.moved, w.late)
	}
}

// What a group by day and zone has, in order of time, is found through the array, but for the first rows, and takes less memory than in a hash table.
func TestDaysAndZonesAreDense(t *testing.T) {
	plan, err := NewPlan([]arrow.DataType{arrow.FixedWidthTypes.Timestamp_us, arrow.PrimitiveTypes.Int32})
	if err != nil {
		t.Fatal(err)
	}
	const day, perDay, window = 86_400_000_000, 5000, 4096
	tab, rnd := plan.NewTable(), rand.New(rand.NewPCG(1, 2))
	w0, w1, ids := make([]uint64, window), make([]uint64, window), make([]uint32, window)
	var r Rows
	rows, searched := 0, 0
	for ; rows < 365*perDay; rows += window {
		for i := range w0 {
			w0[i], w1[i] = uint64((19000+(rows+i)/perDay+rnd.IntN(3))*day), uint64(1+rnd.IntN(265))
		}
		r.SetWords(w0, w1)
		tab.Intern(&r, ids)
		searched = max(searched, tab.settled)
	}
	if tab.dense == nil {
		t.Fatalf("%d groups are not dense", tab.Len())
	}
	if searched > window {
		t.Errorf("%d of %d groups were searched", searched, tab.Len())
	}
	if most := int64(tab.Len() * 32); tab.Size() > most {
		t.Errorf("%d groups take %d bytes, want less than %d", tab.Len(), tab.Size(), most)
	}
}

func BenchmarkInternDayZone(b *testing.B) {
	plan, err := NewPlan([]arrow.DataType{arrow.FixedWidthTypes.Timestamp_us, arrow.PrimitiveTypes.Int32})
	if err != nil {
		b.Fatal(err)
	}
	const rows = 1 << 20
	rnd := rand.New(rand.NewPCG(1, 2))
	w0, w1, ids := make([]uint64, rows), make([]uint64, rows), make([]uint32, rows)
	for i := range w0 {
		w0[i], w1[i] = uint64((19000+i*365/rows+rnd.IntN(3))*86_400_000_000), uint64(1+rnd.IntN(265))
	}
	for _, c := range []struct {
		name string
		at   int
	}{{"dense", denseFrom}, {"hashed", math.MaxInt}} {
		b.Run(c.name, func(b *testing.B) {
			for b.Loop() {
				tab := plan.NewTable()
				tab.denseAt = c.at
				var r Rows
				for lo := 0; lo < rows; lo += 4096 {
					r.SetWords(w0[lo:lo+4096], w1[lo:lo+4096])
					tab.Intern(&r, ids[lo:lo+4096])
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/rows, "ns/row")
		})
	}
}
