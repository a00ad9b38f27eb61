package agg

import (
	"fmt"
	"math"
	"math/big"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/memory"

	"github.com/sluice-data/sluice/transforms/internal/col"
)

// Whatever the values, their order and how many a group has, a percentile is what a sort gives: also where a sample tells where to look, where
// it tells wrongly, and after lanes have become one.
func TestPercentilesOfLargeGroups(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	const n = 60000
	shapes := map[string]func(i int) float64{
		"random":     func(int) float64 { return r.NormFloat64() * 1000 },
		"ascending":  func(i int) float64 { return float64(i) },
		"descending": func(i int) float64 { return -float64(i) },
		"few":        func(int) float64 { return float64(r.IntN(3)) },
		"one":        func(int) float64 { return 7 },
		"unlike":     func(i int) float64 { return float64(i % (n / 937)) }, // what a step takes is not like the rest
		"wild":       func(int) float64 { return math.Float64frombits(r.Uint64()) },
	}
	half := big.NewRat(1, 2)
	for name, of := range shapes {
		for _, q := range []*big.Rat{new(big.Rat), half, big.NewRat(9, 10), big.NewRat(999999, 1000000), big.NewRat(1, 1), new(big.Rat).SetFloat64(0.1)} {
			b, err := bindPercentile("percentile_cont", Args(arrow.Field{Type: float64s}), 0, false, q, false)
			if err != nil {
				t.Fatal(err)
			}
			accs := []Accumulator{b.New(memory.DefaultAllocator), b.New(memory.DefaultAllocator), b.New(memory.DefaultAllocator)}
			want := make([][]float64, 5) // of very different sizes
			for lo := 0; lo < n; lo += 4096 {
				k := min(n-lo, 4096)
				groups, v := make([]uint32, k), make([]float64, k)
				for i := range v {
					groups[i] = uint32(max(0, 4-r.IntN(1<<(2*r.IntN(6)))))
					v[i] = of(lo + i)
					want[groups[i]] = append(want[groups[i]], v[i])
				}
				if err := accs[lo/4096%3].Update(groups, 5, []arrow.Array{col.New(float64s, v, nil)}); err != nil {
					t.Fatal(err)
				}
			}
			ids := []uint32{0, 1, 2, 3, 4}
			for _, a := range accs[1:] {
				if !accs[0].(Absorber).Absorb(ids, 5, a) {
					t.Fatal("not absorbed")
				}
				a.Release()
			}
			got, err := accs[0].Result(memory.DefaultAllocator)
			if err != nil {
				t.Fatal(err)
			}
			for g, v := range want {
				slices.SortFunc(v, func(x, y float64) int { return compareFloats([]float64{x, y})(0, 1) })
				i, part := position(len(v), q)
				f, _ := part.Float64()
				sure := v[i]
				if f != 0 && sure == sure {
					sure = proportion(v[i], v[i+1], f)
				}
				if x := got.(*array.Float64).Value(g); x != sure && (x == x || sure == sure) {
					t.Errorf("%s, %s of %d values: %v, want %v", name, q.RatString(), len(v), x, sure)
				}
			}
			got.Release()
			accs[0].Release()
		}
	}
}

// Values come out of a bag as they went in, by group and in order, from lanes with other numbers of the groups, and from memory that is used again.
func TestBag(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	var bags [2]bag[uint32]
	for round := range 6 {
		groups := 1 + r.IntN(3000)
		want := make([][]uint32, groups)
		var ids [2][]uint32
		for k := range bags {
			b := &bags[k]
			b.reset()
			b.grow(groups)
			mine := make([][]uint32, groups) // by the bag's own number
			ids[k] = make([]uint32, groups)
			for i, p := range r.Perm(groups) {
				if ids[k][i] = uint32(p); k == 0 {
					ids[k][i] = uint32(i)
				}
			}
			for range r.IntN(40) {
				g, v := make([]uint32, 4096), make([]uint32, 4096)
				for i := range g {
					g[i], v[i] = uint32(r.IntN(1+r.IntN(groups))), r.Uint32()
					mine[g[i]] = append(mine[g[i]], v[i])
				}
				if err := b.add(g, v); err != nil {
					t.Fatal(err)
				}
			}
			for g, v := range mine {
				want[ids[k][g]] = append(want[ids[k][g]], v...)
			}
		}
		if round%2 == 1 { // and what is left of the room after one is taken is not used twice
			if err := bags[0].addRows([]uint32{0}, []uint32{5}, []int32{0}); err != nil {
				t.Fatal(err)
			}
			want[0] = slices.Insert(want[0], bags[0].count(0)-1, 5)
		}
		if !bags[0].take(&bags[1], ids[1]) {
			t.Fatal("no room")
		}
		if err := bags[0].add([]uint32{0, 0}, []uint32{1, 2}); err != nil {
			t.Fatal(err)
		}
		want[0] = append(want[0], 1, 2)
		n := 0
		for g := range want {
			got := make([]uint32, bags[0].count(g))
			bags[0].copyTo(got, g)
			if n += len(got); !slices.Equal(got, want[g]) {
				t.Fatalf("round %d: group %d: %d values, want %d", round, g, len(got), len(want[g]))
			}
		}
		if n != bags[0].n || bags[1].n != 0 {
			t.Errorf("%d values of %d, %d left", n, bags[0].n, bags[1].n)
		}
	}
}

func TestNthKey(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	for n := 1; n < 3000; n += 1 + n/3 {
		for _, most := range []uint64{1, 2, 10, 1 << 20, math.MaxUint64} {
			v := make([]uint64, n)
			for i := range v {
				if v[i] = r.Uint64N(most); r.IntN(3) == 0 {
					v[i] = math.MaxUint64 - v[i]
				}
			}
			sorted := slices.Clone(v)
			slices.Sort(sorted)
			for range 5 {
				k := r.IntN(n)
				w := slices.Clone(v)
				nthKey(w, k)
				if w[k] != sorted[k] || k > 0 && slices.Max(w[:k]) > w[k] || slices.Min(w[k:]) < w[k] {
					t.Fatalf("%d of %d up to %d: %d, want %d", k, n, most, w[k], sorted[k])
				}
			}
		}
	}
}

// Shares that 64 bits hold lie where big numbers say.
func TestShare(t *testing.T) {
	for _, q := range []string{"0", "1", "1/2", "9/10", "1/3", "123456789/1000000000", "3602879701896397/36028797018963968", "99999999999999999999/100000000000000000000"} {
		r, _ := new(big.Rat).SetString(q)
		s, big1 := newShare(r), share{q: r}
		for _, n := range []int{1, 2, 3, 10, 11, 1000, 1 << 40} {
			i, next := s.between(n)
			j, also := big1.between(n)
			if i != j || next != also || s.part(n) != big1.part(n) || s.upTo(n) != big1.upTo(n) {
				t.Error(fmt.Sprint(q, " of ", n, ": ", i, next, s.part(n), s.upTo(n), ", want ", j, also, big1.part(n), big1.upTo(n)))
			}
		}
	}
}
