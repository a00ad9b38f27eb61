package agg

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/memory"
)

// TestFewGroups: counts and sums of few groups, which are taken in copies, are those of each row, with and without nulls, also where the first batch
// has values of some groups only.
func TestFewGroups(t *testing.T) {
	mem := memory.NewCheckedAllocator(memory.NewGoAllocator())
	defer mem.AssertSize(t, 0)
	r := rand.New(rand.NewPCG(3, 4))
	for _, n := range []int{1, 2, 63, 64, 65} {
		for _, nulls := range []bool{false, true} {
			fn, _ := Lookup("sum")
			count, _ := Lookup("count")
			signed, err := fn.Bind(Args(arrow.Field{Type: arrow.PrimitiveTypes.Int32}))
			if err != nil {
				t.Fatal(err)
			}
			unsigned, err := fn.Bind(Args(arrow.Field{Type: arrow.PrimitiveTypes.Uint32}))
			if err != nil {
				t.Fatal(err)
			}
			star, err := count.Bind(Call{Star: true})
			if err != nil {
				t.Fatal(err)
			}
			accs := []Accumulator{signed.New(mem), unsigned.New(mem), star.New(mem)}
			want, rows, has := make([]int64, n), make([]int64, n), make([]bool, n)
			big := make([]uint64, n)
			for batch, size := range []int{64, 200, 1, 3, 4097} {
				ints, words := array.NewInt32Builder(mem), array.NewUint32Builder(mem)
				groups := make([]uint32, size)
				for i := range groups {
					g := r.IntN(n)
					if batch == 0 {
						g = r.IntN((n + 1) / 2)
					}
					groups[i] = uint32(g)
					rows[g]++
					if nulls && r.IntN(3) == 0 {
						ints.AppendNull()
						words.AppendNull()
						continue
					}
					v := []int32{math.MinInt32, math.MaxInt32, -1, int32(r.Uint32())}[r.IntN(4)]
					ints.Append(v)
					words.Append(uint32(v))
					want[g], big[g], has[g] = want[g]+int64(v), big[g]+uint64(uint32(v)), true
				}
				a, b := ints.NewArray(), words.NewArray()
				for k, args := range [][]arrow.Array{{a}, {b}, nil} {
					if err := accs[k].Update(groups, n, args); err != nil {
						t.Fatal(err)
					}
				}
				a.Release()
				b.Release()
				ints.Release()
				words.Release()
			}
			var got []arrow.Array
			for _, acc := range accs {
				a, err := acc.Result(mem)
				if err != nil {
					t.Fatal(err)
				}
				got = append(got, a)
			}
			for g := range n {
				if got[0].IsValid(g) != has[g] || has[g] && (got[0].(*array.Int64).Value(g) != want[g] || got[1].(*array.Uint64).Value(g) != big[g]) {
					t.Errorf("%d groups, nulls %v: group %d has %s and %s, want %d and %d", n, nulls, g, got[0].ValueStr(g), got[1].ValueStr(g), want[g], big[g])
				}
				if c := got[2].(*array.Int64).Value(g); c != rows[g] {
					t.Errorf("%d groups: group %d has %d rows, want %d", n, g, c, rows[g])
				}
			}
			releaseAll(got)
			for _, acc := range accs {
				acc.Release()
			}
		}
	}
}
