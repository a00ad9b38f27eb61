package win

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/memory"

	"github.com/sluice-data/sluice/internal/fail"
	"github.com/sluice-data/sluice/transforms/agg"
	"github.com/sluice-data/sluice/transforms/internal/col"
)

// States of blocks give the values that the rows of each frame do, whatever the function and the frame, also where it is empty.
func TestTreeGivesWhatRowsDo(t *testing.T) {
	const n = 257
	rng := rand.New(rand.NewPCG(7, 11))
	mem := memory.NewCheckedAllocator(memory.DefaultAllocator)
	defer mem.AssertSize(t, 0)
	ints, floats, bools := array.NewInt64Builder(mem), array.NewFloat64Builder(mem), array.NewBooleanBuilder(mem)
	whole := Part{N: n}
	for i := range n {
		start := i == 0 || i == 3 || i == 250
		if start {
			whole.Starts = append(whole.Starts, int32(i))
		}
		if start || rng.IntN(3) > 0 {
			whole.Peers = append(whole.Peers, int32(i))
		}
		if rng.IntN(5) == 0 {
			ints.AppendNull()
			floats.AppendNull()
			bools.AppendNull()
			continue
		}
		ints.Append(rng.Int64N(3))
		floats.Append(rng.NormFloat64() * 100)
		bools.Append(rng.IntN(4) > 0)
	}
	cols := map[string]arrow.Array{"int": ints.NewArray(), "float": floats.NewArray(), "bool": bools.NewArray()}
	defer func() {
		for _, b := range []array.Builder{ints, floats, bools} {
			b.Release()
		}
		for _, a := range cols {
			a.Release()
		}
	}()
	used := map[string]bool{}
	for _, fn := range agg.Names() {
		f, _ := agg.Lookup(fn)
		for _, of := range [][]string{{"int"}, {"float"}, {"bool"}, {"float", "int"}} {
			var call agg.Call
			var args []arrow.Array
			for _, name := range of {
				call.Args = append(call.Args, agg.Arg{Field: arrow.Field{Type: cols[name].DataType(), Nullable: true}})
				args = append(args, cols[name])
			}
			b, err := f.Bind(call)
			if err != nil || fn == "product" || !(aggregate{Bound: b}).flat() {
				continue
			}
			used[fn] = true
			for _, frame := range []Frame{
				{Rows: true, Lo: -Unbounded}, {Lo: -Unbounded}, {Rows: true, Lo: -40, Hi: 3}, {Rows: true, Lo: 2, Hi: Unbounded}, {Rows: true, Lo: 5, Hi: 9}, {Groups: true, Lo: -30, Hi: 1},
			} {
				p := whole
				p.Frame = frame
				a := aggregate{Bound: b}
				in, drop := a.inputs(&p, args)
				lo, hi, err := p.bounds()
				if err != nil {
					t.Fatal(err)
				}
				want, err := a.byRows(&p, lo, hi, 0, in, mem)
				if err != nil {
					t.Fatal(fn, of, err)
				}
				got, err := a.tree(lo, hi, in, mem)
				if err != nil {
					t.Fatal(fn, of, err)
				}
				for i := range n {
					if !near(want, got, i) {
						t.Errorf("%s of %s over %+v, row %d: %s of states, %s of rows", fn, of, frame, i, got.ValueStr(i), want.ValueStr(i))
						break
					}
				}
				want.Release()
				got.Release()
				drop()
			}
		}
	}
	for _, fn := range []string{"stddev_samp", "var_pop", "corr", "regr_slope", "bool_and", "bool_or", "first", "last", "count_if"} {
		if !used[fn] {
			t.Errorf("%s was not tried", fn)
		}
	}
}

// Each partition goes its own way: what is beside it changes no digit. Rows that see the same are one frame, however many they are.
func TestPartitionsGoTheirOwnWay(t *testing.T) {
	const n = 3000
	v := array.NewFloat64Builder(memory.DefaultAllocator)
	rng := rand.New(rand.NewPCG(1, 2))
	for range n {
		v.Append(rng.NormFloat64() * 1e6)
	}
	all := v.NewArray()
	field := arrow.Field{Type: all.DataType()}
	f, _ := agg.Lookup("stddev_samp")
	b, err := Aggregate(f, agg.Args(field))
	if err != nil {
		t.Fatal(err)
	}
	running := Frame{Rows: true, Lo: -Unbounded}
	whole, err := b.Compute(&Part{N: n, Starts: []int32{0, 10, 20, 1500}, Frame: running}, []arrow.Array{all}, memory.DefaultAllocator)
	if err != nil {
		t.Fatal(err)
	}
	for _, of := range [][2]int64{{0, 10}, {10, 20}, {20, 1500}, {1500, n}} {
		part := array.NewSlice(all, of[0], of[1])
		got, err := b.Compute(&Part{N: part.Len(), Starts: []int32{0}, Frame: running}, []arrow.Array{part}, memory.DefaultAllocator)
		if err != nil {
			t.Fatal(err)
		}
		if !array.Equal(got, array.NewSlice(whole, of[0], of[1])) {
			t.Errorf("rows %d to %d depend on those beside them", of[0], of[1])
		}
	}
	med, _ := agg.Lookup("median")
	if b, err = Aggregate(med, agg.Args(field)); err != nil {
		t.Fatal(err)
	}
	one := make([]float64, 100_000)
	few := col.New(arrow.PrimitiveTypes.Float64, one, nil)
	if _, err := b.Compute(&Part{N: len(one), Starts: []int32{0}, Peers: []int32{0, 50_000}, Frame: Frame{Lo: -Unbounded}}, []arrow.Array{few}, memory.DefaultAllocator); err != nil {
		t.Errorf("two frames: %v", err)
	}
}

// near compares two values; floats may differ by what the order of additions makes.
func near(a, b arrow.Array, i int) bool {
	x, ok := a.(*array.Float64)
	if !ok || x.IsNull(i) || b.IsNull(i) {
		return a.ValueStr(i) == b.ValueStr(i)
	}
	v, w := x.Value(i), b.(*array.Float64).Value(i)
	return v == w || v != v && w != w || math.Abs(v-w) <= 1e-9*max(1, math.Abs(v))
}

// A running function over a large partition takes no time that grows with its square.
func BenchmarkRunning(b *testing.B) {
	for _, n := range []int{10_000, 100_000} {
		v := array.NewFloat64Builder(memory.DefaultAllocator)
		for i := range n {
			v.Append(float64(i % 97))
		}
		a := v.NewArray()
		f, _ := agg.Lookup("stddev_samp")
		bound, err := Aggregate(f, agg.Args(arrow.Field{Type: a.DataType()}))
		if err != nil {
			b.Fatal(err)
		}
		p := Part{N: n, Starts: []int32{0}, Peers: []int32{0}, Frame: Frame{Rows: true, Lo: -Unbounded}}
		perRow(b, fmt.Sprint(n), bound, &p, a)
	}
}

// perRow measures a function over a's rows.
func perRow(b *testing.B, name string, bound Bound, p *Part, a arrow.Array) {
	b.Run(name, func(b *testing.B) {
		for b.Loop() {
			out, err := bound.Compute(p, []arrow.Array{a}, memory.DefaultAllocator)
			if err != nil {
				b.Fatal(err)
			}
			out.Release()
		}
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(p.N), "ns/row")
	})
}

// Lists that are repeated for each row of a partition are counted before they are made.
func TestSpreadIsBounded(t *testing.T) {
	const n = 10_000
	ones := col.New(arrow.PrimitiveTypes.Int64, make([]int64, n), nil)
	f, _ := agg.Lookup("array_agg")
	b, err := Aggregate(f, agg.Args(arrow.Field{Type: ones.DataType()}))
	if err != nil {
		t.Fatal(err)
	}
	for _, frame := range []Frame{{Lo: -Unbounded, Hi: Unbounded}, {Rows: true, Lo: -Unbounded}} {
		_, err := b.Compute(&Part{N: n, Starts: []int32{0}, Peers: []int32{0}, Frame: frame, Most: 64 << 20}, []arrow.Array{ones}, memory.DefaultAllocator)
		if fail.KindOf(err) != fail.Usage {
			t.Errorf("%+v: %v", frame, err)
		}
		few := array.NewSlice(ones, 0, 100)
		out, err := b.Compute(&Part{N: 100, Starts: []int32{0}, Peers: []int32{0}, Frame: frame, Most: 64 << 20}, []arrow.Array{few}, memory.DefaultAllocator)
		if err != nil {
			t.Fatal(err)
		}
		out.Release()
	}
}
