package agg

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/memory"
	"pgregory.net/rapid"

	"github.com/sluice-data/sluice/transforms/internal/col"
	"github.com/sluice-data/sluice/transforms/internal/hll"
)

func approxOf(t arrow.DataType) Bound {
	f, _ := Lookup("approx_count_distinct")
	b, err := f.Bind(Args(arrow.Field{Type: t, Nullable: true}))
	if err != nil {
		panic(err)
	}
	return b
}

func update(t testing.TB, acc Accumulator, groups []uint32, n int, a arrow.Array) {
	t.Helper()
	if err := acc.Update(groups, n, []arrow.Array{a}); err != nil {
		t.Fatal(err)
	}
}

// mergeAll merges states into a fresh accumulator of n groups.
func mergeAll(t testing.TB, b Bound, n int, parts ...Accumulator) Accumulator {
	t.Helper()
	out, ids := b.New(memory.DefaultAllocator), make([]uint32, n)
	for i := range ids {
		ids[i] = uint32(i)
	}
	for _, p := range parts {
		state, err := p.State()
		if err != nil {
			t.Fatal(err)
		}
		if err := out.Merge(ids, n, state); err != nil {
			t.Fatal(err)
		}
	}
	return out
}

func counts(t testing.TB, acc Accumulator) []int64 {
	t.Helper()
	r, err := acc.Result(memory.DefaultAllocator)
	if err != nil {
		t.Fatal(err)
	}
	return r.(*array.Int64).Int64Values()
}

// Exact up to 512 values and within 5 standard errors beyond, in one piece or merged.
func TestApproxCountDistinct(t *testing.T) {
	for _, step := range []int64{1, 12345} { // of a small range, and not
		b := approxOf(arrow.PrimitiveTypes.Int64)
		for _, n := range []int{0, 1, 100, 511, 512, 513, 1000, 5000, 50_000, 500_000} {
			lanes := [2]Accumulator{b.New(memory.DefaultAllocator), b.New(memory.DefaultAllocator)}
			whole := b.New(memory.DefaultAllocator)
			v := make([]int64, n)
			for i := range v {
				v[i] = int64(n-i)*step - 7
			}
			a := col.New(int64s, v, nil)
			groups := make([]uint32, n)
			for l, acc := range lanes {
				update(t, acc, groups[l*n/3:], 1, array.NewSlice(a, int64(l*n/3), int64(n))) // they overlap
			}
			update(t, whole, groups, 1, a)
			got, again := counts(t, whole)[0], counts(t, mergeAll(t, b, 1, lanes[1], lanes[0]))[0]
			if got != again {
				t.Errorf("%d values: %d at once, %d merged", n, got, again)
			}
			if off := math.Abs(float64(got - int64(n))); off > 5*0.01625*float64(n) || n <= 512 && off != 0 {
				t.Errorf("%d values are estimated as %d", n, got)
			}
		}
	}
}

// The error over many groups is what the documentation says: a root mean square of 1.6 %, and a mean that is not off.
func TestApproxStandardError(t *testing.T) {
	const groups = 200
	for _, each := range []int{600, 3000, 20_000} {
		b := approxOf(arrow.PrimitiveTypes.Int64)
		acc := b.New(memory.DefaultAllocator)
		ids, v := make([]uint32, groups*each), make([]int64, groups*each)
		for i := range ids {
			ids[i], v[i] = uint32(i%groups), int64(i)*31
		}
		update(t, acc, ids, groups, col.New(int64s, v, nil))
		var mean, square float64
		for _, n := range counts(t, acc) {
			e := float64(n)/float64(each) - 1
			mean, square = mean+e/groups, square+e*e/groups
		}
		if rms := math.Sqrt(square); rms > 0.0165*1.2 || math.Abs(mean) > 0.005 {
			t.Errorf("%d values: the error's mean is %.2f %%, its root mean square %.2f %%", each, mean*100, rms*100)
		}
	}
}

// Up to 512 values the sets of 100 000 groups are told apart by 32 bits of hash: next to none is off.
func TestApproxSmallSetsAreExact(t *testing.T) {
	const groups, each = 20_000, 100
	acc := approxOf(arrow.BinaryTypes.String).New(memory.DefaultAllocator)
	ids, off, text := make([]uint32, 0, groups), []int32{0}, []byte{}
	for i := range each {
		ids, off, text = ids[:0], off[:1], text[:0]
		for g := range groups {
			ids, text = append(ids, uint32(g)), fmt.Appendf(text, "%d/%d", g, i)
			off = append(off, int32(len(text)))
		}
		update(t, acc, ids, groups, col.NewVar(arrow.BinaryTypes.String, off, text, nil))
	}
	wrong := 0
	for _, n := range counts(t, acc) {
		if n != each {
			wrong++
		}
	}
	if wrong > 2 { // 0.02 are to be expected
		t.Errorf("%d of %d groups of %d values are counted wrong", wrong, groups, each)
	}
	if most := int64(groups * (8 + 256*4) * 3 / 2); acc.Size() > most { // 100 entries want 256 places
		t.Errorf("%d groups of %d values hold %d bytes", groups, each, acc.Size())
	}
}

// Whatever the lanes, their ranges, the order and the batches: the count is that of the set of values. States of all three kinds meet:
// bitmaps of small ranges (also apart from each other), entries, registers.
func TestApproxDependsOnTheSetAlone(t *testing.T) {
	types := []arrow.DataType{arrow.PrimitiveTypes.Int64, arrow.PrimitiveTypes.Uint64, arrow.PrimitiveTypes.Int32, arrow.PrimitiveTypes.Uint16, arrow.FixedWidthTypes.Date32, arrow.FixedWidthTypes.Timestamp_us}
	rapid.Check(t, func(rt *rapid.T) {
		b := approxOf(rapid.SampledFrom(types).Draw(rt, "type"))
		typ := b.New(memory.DefaultAllocator).(*approx)
		groups := rapid.IntRange(1, 4).Draw(rt, "groups")
		var want hll.Sets
		want.Grow(groups)
		var lanes []Accumulator
		for range rapid.IntRange(1, 4).Draw(rt, "lanes") {
			acc := b.New(memory.DefaultAllocator)
			for range rapid.IntRange(1, 4).Draw(rt, "batches") {
				from := rapid.SampledFrom([]uint64{0, 100, 1000, 1 << 15, 1<<64 - 300}).Draw(rt, "from")
				span := rapid.SampledFrom([]uint64{1, 60, 300, 512, 3000}).Draw(rt, "span")
				n := rapid.SampledFrom([]int{0, 1, 50, 2000}).Draw(rt, "rows")
				nulls := rapid.Bool().Draw(rt, "nulls")
				rnd := rand.New(rand.NewPCG(rapid.Uint64().Draw(rt, "seed"), 0))
				ids, v, valid := make([]uint32, n), make([]uint64, n), make([]uint8, n)
				for i := range v {
					ids[i], v[i], valid[i] = uint32(rnd.IntN(groups)), from+rnd.Uint64N(span), 1
					if nulls && rnd.IntN(3) == 0 {
						valid[i] = 0
						continue
					}
					x := v[i] & typ.order.mask
					want.Add(ids[i], typ.order.entry(extend(x, typ.order)^typ.order.flip))
				}
				a := arrayOf(b, v, valid)
				update(t, acc, ids, groups, a)
				a.Release()
			}
			lanes = append(lanes, acc)
		}
		order := rapid.Permutation(lanes).Draw(rt, "order")
		got := counts(t, mergeAll(t, b, groups, order...))
		for g, n := range got {
			if n != want.Count(g) {
				rt.Fatalf("group %d counts %d, want %d", g, n, want.Count(g))
			}
		}
	})
}

// extend gives the integer of the type's width x its sign.
func extend(x uint64, o intOrder) uint64 {
	if o.flip != 0 && x&^(o.mask>>1) != 0 {
		return x | ^o.mask
	}
	return x
}

// arrayOf is an array of the argument type of b, which its accumulators tell by the mask.
func arrayOf(b Bound, v []uint64, valid []uint8) arrow.Array {
	acc := b.New(memory.DefaultAllocator).(*approx)
	signed := acc.order.flip != 0
	switch {
	case acc.order.mask == 1<<16-1:
		return col.New(arrow.PrimitiveTypes.Uint16, narrow[uint16](v), valid)
	case acc.order.mask == 1<<32-1:
		return col.New(arrow.PrimitiveTypes.Int32, narrow[int32](v), valid)
	case signed:
		return col.New(arrow.PrimitiveTypes.Int64, narrow[int64](v), valid)
	}
	return col.New(arrow.PrimitiveTypes.Uint64, v, valid)
}

func narrow[T uint16 | int32 | int64](v []uint64) []T {
	out := make([]T, len(v))
	for i, x := range v {
		out[i] = T(x)
	}
	return out
}

// Two integers of a small range that sketches cannot tell apart count once in a bitmap too: else the count would depend on whether
// another row made the bitmap a sketch.
func TestApproxBitmapCountsAsSketches(t *testing.T) {
	b := approxOf(arrow.PrimitiveTypes.Int64)
	o := b.New(memory.DefaultAllocator).(*approx).order
	base, pair := uint64(0), [2]int{}
	for s := (smallInts{order: o, words: smallWords}); ; base += 512 { // some 30 000 ranges on
		s.base = base
		if p := s.alike(); len(p) > 0 {
			pair = p[0]
			break
		}
	}
	v := []int64{int64(base ^ o.flip), int64((base + uint64(pair[0])) ^ o.flip), int64((base + uint64(pair[1])) ^ o.flip), int64((base + 511) ^ o.flip)}
	few, far := b.New(memory.DefaultAllocator), b.New(memory.DefaultAllocator)
	a := col.New(int64s, v, nil)
	update(t, few, []uint32{0, 0, 0, 0}, 2, a)
	update(t, far, []uint32{0, 0, 0, 0, 1}, 2, col.New(int64s, append(v, 99), nil))
	if x, y := counts(t, few)[0], counts(t, far)[0]; x != y {
		t.Errorf("a bitmap counts %d, a sketch %d", x, y)
	}
}

func TestApproxStateErrors(t *testing.T) {
	for _, c := range []struct {
		state string
		want  string
	}{
		{"\x01abc", "a state of 3 bytes"},
		{"\x02abc", "a state of 4 bytes"},
		{"\x02" + strings.Repeat("x", 8+8*smallWords+8), "a state of 81 bytes"},
		{"\x03", "a state of 1 bytes"},
	} {
		acc := approxOf(arrow.BinaryTypes.String).New(memory.DefaultAllocator)
		state := col.NewVar(arrow.BinaryTypes.Binary, []int32{0, int32(len(c.state))}, []byte(c.state), nil)
		if err := acc.Merge([]uint32{0}, 1, []arrow.Array{state}); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q: got %v, want %s", c.state, err, c.want)
		}
	}
}

func BenchmarkApproxCountDistinct(b *testing.B) {
	const rows = 1 << 20
	for _, c := range []struct {
		name             string
		groups, distinct int
		far              int32
	}{{"375 groups of 265 small ints", 375, 265, 1}, {"375 groups of 265 ints", 375, 265, 1000}, {"1 group of 1M ints", 1, 1 << 20, 1000}} {
		b.Run(c.name, func(b *testing.B) {
			rnd := rand.New(rand.NewPCG(1, 1))
			ids, v := make([]uint32, rows), make([]int32, rows)
			for i := range ids {
				ids[i], v[i] = uint32(rnd.IntN(c.groups)), int32(rnd.IntN(c.distinct))*c.far
			}
			a := col.New(arrow.PrimitiveTypes.Int32, v, nil)
			fn := approxOf(a.DataType())
			b.ReportAllocs()
			for b.Loop() {
				acc := fn.New(memory.DefaultAllocator)
				for lo := 0; lo < rows; lo += 1024 {
					part := array.NewSlice(a, int64(lo), int64(lo+1024))
					update(b, acc, ids[lo:lo+1024], c.groups, part)
					part.Release()
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/rows, "ns/row")
		})
	}
}
