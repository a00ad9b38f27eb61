package agg

import (
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/memory"
)

// TestUpdateWhere: the rows that count are those for which the condition is true, not false and not null, wherever its bits begin.
func TestUpdateWhere(t *testing.T) {
	mem := memory.NewCheckedAllocator(memory.NewGoAllocator())
	defer mem.AssertSize(t, 0)
	r := rand.New(rand.NewPCG(1, 2))
	for _, nulls := range []bool{false, true} {
		conds, nums := array.NewBooleanBuilder(mem), array.NewInt64Builder(mem)
		groups := make([]uint32, 1000)
		want := map[string][]int64{"count(*)": make([]int64, 7), "count": make([]int64, 7), "sum": make([]int64, 7)}
		for i := range groups {
			groups[i] = uint32(r.IntN(7))
			yes, null := r.IntN(2) == 0, nulls && r.IntN(4) == 0
			if nums.Append(int64(i)); null {
				conds.AppendNull()
			} else {
				conds.Append(yes)
			}
			if i >= 3 && yes && !null { // the first rows are cut off
				want["count(*)"][groups[i]]++
				want["count"][groups[i]]++
				want["sum"][groups[i]] += int64(i)
			}
		}
		cond, num := conds.NewArray(), nums.NewArray()
		part, args := array.NewSlice(cond, 3, 1000), []arrow.Array{array.NewSlice(num, 3, 1000)}
		for _, name := range []string{"count(*)", "count", "sum"} {
			fn, _ := Lookup(strings.TrimSuffix(name, "(*)"))
			call, in := Args(arrow.Field{Type: arrow.PrimitiveTypes.Int64}), args
			if name == "count(*)" {
				call, in = Call{Star: true}, nil
			}
			b, err := fn.Bind(call)
			if err != nil {
				t.Fatal(err)
			}
			acc := b.New(mem)
			if err := UpdateWhere(acc, part, groups[3:], 7, in); err != nil {
				t.Fatal(err)
			}
			got, err := acc.Result(mem)
			if err != nil {
				t.Fatal(err)
			}
			for g, v := range got.(*array.Int64).Int64Values() {
				if v != want[name][g] {
					t.Errorf("%s of group %d, nulls %v: %d, want %d", name, g, nulls, v, want[name][g])
				}
			}
			got.Release()
			acc.Release()
		}
		for _, a := range []arrow.Array{cond, num, part, args[0]} {
			a.Release()
		}
		conds.Release()
		nums.Release()
	}
}
