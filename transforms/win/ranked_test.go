package win

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/decimal128"
	"github.com/apache/arrow/go/v17/arrow/memory"

	"github.com/sluice-data/sluice/transforms/agg"
	"github.com/sluice-data/sluice/transforms/internal/col"
)

func TestWavelet(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 5))
	for range 300 {
		most := rng.Int32N(300)
		v := make([]int32, rng.IntN(200))
		for i := range v {
			v[i] = rng.Int32N(most + 1)
		}
		w := newWavelet(slices.Clone(v), most)
		for range 20 {
			lo := rng.IntN(len(v) + 1)
			hi := lo + rng.IntN(len(v)-lo+1)
			some := slices.Sorted(slices.Values(v[lo:hi]))
			bound := rng.Int32N(most + 3)
			want, _ := slices.BinarySearch(some, bound)
			if got := w.less(int32(lo), int32(hi), bound); int(got) != want {
				t.Fatalf("%d of %v[%d:%d] are less than %d, want %d", got, v, lo, hi, bound, want)
			}
			if lo == hi {
				continue
			}
			k := rng.IntN(len(some))
			if got := w.kth(int32(lo), int32(hi), int32(k)); got != some[k] {
				t.Fatalf("number %d of %v[%d:%d] is %d, want %d", k, v, lo, hi, got, some[k])
			}
		}
	}
}

// Values at a place in order, and different ones, are those that the rows of each frame give, whatever the type and the frame.
func TestRanksGiveWhatRowsDo(t *testing.T) {
	const n = 401
	rng := rand.New(rand.NewPCG(7, 11))
	mem := memory.NewCheckedAllocator(memory.DefaultAllocator)
	defer mem.AssertSize(t, 0)
	whole := Part{N: n}
	ints, floats, texts, decs := array.NewInt32Builder(mem), array.NewFloat64Builder(mem), array.NewStringBuilder(mem), array.NewDecimal128Builder(mem, &arrow.Decimal128Type{Precision: 20, Scale: 2})
	all := []array.Builder{ints, floats, texts, decs}
	for i := range n {
		start := i == 0 || i == 3 || i == 390
		if start {
			whole.Starts = append(whole.Starts, int32(i))
		}
		if start || rng.IntN(3) > 0 {
			whole.Peers = append(whole.Peers, int32(i))
		}
		if rng.IntN(5) == 0 || i > 385 {
			for _, b := range all {
				b.AppendNull()
			}
			continue
		}
		ints.Append(rng.Int32N(20) - 10)
		floats.Append([]float64{rng.NormFloat64(), math.NaN(), math.Inf(-1), 0, 1.5}[min(rng.IntN(12), 4)])
		texts.Append(fmt.Sprintf("a common beginning %d", rng.IntN(30)))
		decs.Append(decimal128.FromI64(rng.Int64N(50) - 25).Mul(decimal128.FromI64(1 << 40)))
	}
	share := func(q float64, null bool) agg.Arg {
		there := []uint8{1}
		if null {
			there[0] = 0
		}
		return agg.Arg{Field: arrow.Field{Type: float64s}, Const: col.New(float64s, []float64{q}, there)}
	}
	type use struct {
		fn   string
		args []agg.Arg
		distinct,
		texts bool
	}
	for _, b := range all {
		c := b.NewArray()
		b.Release()
		arg := agg.Arg{Field: arrow.Field{Type: c.DataType(), Nullable: true}}
		_, isText := c.(*array.String)
		for _, u := range []use{
			{"median", []agg.Arg{arg}, false, false}, {"percentile_cont", []agg.Arg{share(0.9, false), arg}, false, false}, {"percentile_cont", []agg.Arg{share(0, true), arg}, false, false},
			{"percentile_disc", []agg.Arg{share(0.3, false), arg}, false, true}, {"percentile_disc", []agg.Arg{share(1, false), arg}, false, true}, {"percentile_disc", []agg.Arg{share(0, true), arg}, false, true},
			{"count", []agg.Arg{arg}, true, true},
		} {
			if isText && !u.texts {
				continue
			}
			f, _ := agg.Lookup(u.fn)
			call := agg.Call{Args: u.args, Distinct: u.distinct}
			bound, err := f.Bind(call)
			if err != nil {
				t.Fatal(u.fn, err)
			}
			a := aggregate{Bound: bound}
			wide := a.ranks
			if u.distinct {
				wide = a.different
			}
			for _, frame := range []Frame{
				{Rows: true, Lo: -Unbounded}, {Lo: -Unbounded}, {Rows: true, Lo: -40, Hi: 3}, {Rows: true, Lo: 2, Hi: Unbounded}, {Rows: true, Lo: 5, Hi: 9}, {Groups: true, Lo: -30, Hi: 1},
			} {
				p := whole
				p.Frame = frame
				lo, hi, err := p.bounds()
				if err != nil {
					t.Fatal(err)
				}
				want, err := a.byRows(&p, lo, hi, 0, []arrow.Array{c}, mem)
				if err != nil {
					t.Fatal(u.fn, err)
				}
				got, err := wide(lo, hi, []arrow.Array{c}, mem)
				if err != nil {
					t.Fatal(u.fn, err)
				}
				if err := got.DataType().Fingerprint() != want.DataType().Fingerprint() || got.Len() != n; err {
					t.Fatalf("%s: %d rows of %s", u.fn, got.Len(), got.DataType())
				}
				for i := range n {
					if got.ValueStr(i) != want.ValueStr(i) {
						t.Errorf("%s of %s over %+v, row %d: %s by ranks, %s of rows", u.fn, c.DataType(), frame, i, got.ValueStr(i), want.ValueStr(i))
						break
					}
				}
				want.Release()
				got.Release()
			}
		}
		c.Release()
	}
}

// A median of all rows so far, and the number of different values, take no time that grows with the square of the rows, and are not refused.
func BenchmarkRunningRanks(b *testing.B) {
	for _, n := range []int{10_000, 1_000_000} {
		rng := rand.New(rand.NewPCG(1, 2))
		v := make([]float64, n)
		for i := range v {
			v[i] = float64(rng.IntN(5000)) / 100
		}
		a := col.New(float64s, v, nil)
		for _, name := range []string{"median", "count"} {
			f, _ := agg.Lookup(name)
			call := agg.Args(arrow.Field{Type: a.DataType()})
			call.Distinct = name == "count"
			bound, err := Aggregate(f, call)
			if err != nil {
				b.Fatal(err)
			}
			p := Part{N: n, Starts: []int32{0}, Peers: every(n), Frame: Frame{Rows: true, Lo: -Unbounded}}
			perRow(b, fmt.Sprint(name, "/", n), bound, &p, a)
		}
	}
}
