package agg

import (
	"fmt"
	"math"
	"math/big"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/memory"
	"pgregory.net/rapid"
)

// values are texts of each type in ascending order; "null" is drawn beside them.
var values = []struct {
	typ  arrow.DataType
	text []string
}{
	{arrow.PrimitiveTypes.Int8, []string{"-128", "-1", "0", "7", "127"}},
	{arrow.PrimitiveTypes.Int16, []string{"-32768", "0", "5", "32767"}},
	{arrow.PrimitiveTypes.Int32, []string{"-2147483648", "-3", "0", "2147483647"}},
	{arrow.PrimitiveTypes.Int64, []string{"-4000000000000000", "-1", "0", "1", "4000000000000000"}},
	{arrow.PrimitiveTypes.Uint8, []string{"0", "1", "255"}},
	{arrow.PrimitiveTypes.Uint16, []string{"0", "1", "65535"}},
	{arrow.PrimitiveTypes.Uint32, []string{"0", "1", "4294967295"}},
	{arrow.PrimitiveTypes.Uint64, []string{"0", "1", "9223372036854775", "18446744073709551"}},
	{arrow.PrimitiveTypes.Float32, []string{"-Inf", "-1.5", "0", "0.25", "3", "+Inf", "NaN"}},
	{arrow.PrimitiveTypes.Float64, []string{"-Inf", "-1e300", "-0.1", "0", "1e-9", "1e300", "+Inf", "NaN"}},
	{&arrow.Decimal128Type{Precision: 10, Scale: 2}, []string{"-99999999.99", "-0.01", "0.00", "0.01", "12.50"}},
	{&arrow.Decimal128Type{Precision: 38, Scale: 0}, []string{"-9999999999999999999999999999999999999", "0", "18446744073709551616", "9999999999999999999999999999999999999"}},
	{arrow.BinaryTypes.String, []string{"", "a", "a\x00", "a long string, longer than two words", "aa", "b", "é"}},
	{arrow.BinaryTypes.LargeString, []string{"", "x", "y"}},
	{arrow.FixedWidthTypes.Boolean, []string{"false", "true"}},
	{arrow.FixedWidthTypes.Date32, []string{"1969-12-31", "1970-01-01", "2026-11-22"}},
	{&arrow.TimestampType{Unit: arrow.Microsecond}, []string{"1969-12-31 23:59:59Z", "2026-11-22 01:02:03.000004Z"}},
	{arrow.FixedWidthTypes.Time64us, []string{"00:00:00.000000", "23:59:59.999999"}},
}

type variant struct {
	name     string
	distinct bool
	star     bool
}

var variants = []variant{{name: "count", star: true}, {name: "count"}, {name: "count", distinct: true}, {name: "sum"}, {name: "avg"}, {name: "min"}, {name: "max"}, {name: "approx_count_distinct"}}

// numeric says where sum and avg apply.
func numeric(t arrow.DataType) bool {
	return arrow.IsInteger(t.ID()) || arrow.IsFloating(t.ID()) || t.ID() == arrow.DECIMAL128
}

// Every registered function over every type that it takes: rows dealt to lanes, cut in batches, with partial states merged in any
// order, give what a plain loop over a Go map gives.
func TestConformance(t *testing.T) {
	tested := map[string]bool{}
	for _, v := range variants {
		tested[v.name] = true
		for _, in := range values {
			if (v.name == "sum" || v.name == "avg") && !numeric(in.typ) {
				continue
			}
			t.Run(fmt.Sprintf("%s/distinct=%v/star=%v/%s", v.name, v.distinct, v.star, in.typ), func(t *testing.T) {
				rapid.Check(t, func(t *rapid.T) { conform(t, v, in.typ, in.text) })
			})
		}
	}
	for _, n := range Names() {
		if !tested[n] {
			t.Errorf("function %s has no place in this suite", n)
		}
		f, _ := Lookup(n)
		if f.Doc == "" || !strings.HasPrefix(f.Example, n+"(") {
			t.Errorf("function %s: doc %q, example %q", n, f.Doc, f.Example)
		}
	}
}

func conform(t *rapid.T, v variant, typ arrow.DataType, text []string) {
	mem := memory.NewCheckedAllocator(memory.DefaultAllocator)
	defer mem.AssertSize(t, 0)
	f, _ := Lookup(v.name)
	args := []arrow.Field{{Name: "x", Type: typ, Nullable: true}}
	if v.star {
		args = nil
	}
	b, err := f.Bind(args, v.distinct)
	if err != nil {
		t.Fatal(err)
	}
	ngroups := rapid.IntRange(1, 5).Draw(t, "groups")
	lanes := rapid.IntRange(1, 3).Draw(t, "lanes")
	nulls := rapid.Bool().Draw(t, "with nulls")
	rows := map[int][]string{}
	var parts []Accumulator
	for range lanes {
		acc := b.New(mem)
		for range rapid.IntRange(0, 3).Draw(t, "batches") {
			n := rapid.IntRange(0, 12).Draw(t, "rows")
			skip := rapid.IntRange(0, n).Draw(t, "slice")
			groups, vals := make([]uint32, n), make([]string, n)
			for i := range n {
				groups[i] = uint32(rapid.IntRange(0, ngroups-1).Draw(t, "group"))
				if vals[i] = "null"; !nulls || rapid.IntRange(0, 3).Draw(t, "null") > 0 {
					vals[i] = rapid.SampledFrom(text).Draw(t, "value")
				}
				if i >= skip {
					rows[int(groups[i])] = append(rows[int(groups[i])], vals[i])
				}
			}
			whole := column1(mem, typ, vals)
			a := array.NewSlice(whole, int64(skip), int64(n))
			in := []arrow.Array{a}
			if v.star {
				in = nil
			}
			if err := acc.Update(groups[skip:], ngroups, in); err != nil {
				t.Fatal(err)
			}
			a.Release()
			whole.Release()
		}
		// A lane that saw no row still has its groups.
		if err := acc.Update(nil, ngroups, emptyArgs(mem, t, typ, v.star)); err != nil {
			t.Fatal(err)
		}
		parts = append(parts, acc)
	}
	merged := mergeShuffled(t, mem, b, parts, ngroups)
	if merged.Size() <= 0 {
		t.Fatalf("size of %d groups is %d", ngroups, merged.Size())
	}
	res, err := merged.Result(mem)
	if err != nil {
		t.Fatal(err)
	}
	if !arrow.TypeEqual(res.DataType(), b.Result.Type) || res.Len() != ngroups {
		t.Fatalf("%d of %s, want %d of %s", res.Len(), res.DataType(), ngroups, b.Result.Type)
	}
	for g := range ngroups {
		got, want := cell(res, g), reference(v, typ, text, rows[g])
		if !same(got, want) {
			t.Fatalf("group %d of %q is %s, want %s", g, rows[g], got, want)
		} else if res.DataType().ID() != arrow.FLOAT64 && got != want {
			t.Fatalf("group %d of %q is %s, want exactly %s", g, rows[g], got, want)
		}
	}
	res.Release()
	merged.Release()
}

func emptyArgs(mem memory.Allocator, t *rapid.T, typ arrow.DataType, star bool) []arrow.Array {
	if star {
		return nil
	}
	a := column1(memory.DefaultAllocator, typ, nil)
	return []arrow.Array{a}
}

// mergeShuffled merges the states of parts in a random order into a fresh accumulator, whose groups come in another order.
func mergeShuffled(t *rapid.T, mem memory.Allocator, b Bound, parts []Accumulator, n int) Accumulator {
	if len(parts) == 1 && rapid.Bool().Draw(t, "unmerged") {
		return parts[0]
	}
	out := b.New(mem)
	ids := make([]uint32, n)
	for i := range ids {
		ids[i] = uint32(i)
	}
	for _, i := range rapid.Permutation(indices(len(parts))).Draw(t, "order of lanes") {
		state, err := parts[i].State()
		if err != nil {
			t.Fatal(err)
		}
		if len(state) != len(b.State) {
			t.Fatalf("%d state columns, want %d", len(state), len(b.State))
		}
		cut := rapid.IntRange(0, n).Draw(t, "cut of the state")
		for _, r := range [][2]int{{cut, n}, {0, cut}} {
			var piece []arrow.Array
			for c, s := range state {
				if !arrow.TypeEqual(s.DataType(), b.State[c].Type) || s.Len() != n {
					t.Fatalf("state column %d is %d of %s, want %d of %s", c, s.Len(), s.DataType(), n, b.State[c].Type)
				}
				piece = append(piece, array.NewSlice(s, int64(r[0]), int64(r[1])))
			}
			if err := out.Merge(ids[r[0]:r[1]], n, piece); err != nil {
				t.Fatal(err)
			}
			for _, p := range piece {
				p.Release()
			}
		}
		for _, s := range state {
			s.Release()
		}
		parts[i].Release()
	}
	return out
}

func indices(n int) []int {
	out := make([]int, n)
	for i := range out {
		out[i] = i
	}
	return out
}

func column1(mem memory.Allocator, typ arrow.DataType, vals []string) arrow.Array {
	b := array.NewBuilder(mem, typ)
	defer b.Release()
	for _, v := range vals {
		if v == "null" {
			b.AppendNull()
		} else if err := b.AppendValueFromString(v); err != nil {
			panic(err)
		}
	}
	return b.NewArray()
}

func cell(a arrow.Array, i int) string {
	if a.IsNull(i) {
		return "null"
	}
	if d, ok := a.(*array.Decimal128); ok {
		return d.Value(i).ToString(d.DataType().(*arrow.Decimal128Type).Scale)
	}
	return a.ValueStr(i)
}

// reference computes the result from texts, with big numbers.
func reference(v variant, typ arrow.DataType, order, rows []string) string {
	if v.star {
		return strconv.Itoa(len(rows))
	}
	var vals []string
	for _, r := range rows {
		if r != "null" {
			vals = append(vals, r)
		}
	}
	switch v.name {
	case "count", "approx_count_distinct":
		if v.distinct || v.name != "count" {
			slices.Sort(vals)
			vals = slices.Compact(vals)
		}
		return strconv.Itoa(len(vals))
	}
	if len(vals) == 0 {
		return "null"
	}
	rank := func(a, b string) int { return slices.Index(order, a) - slices.Index(order, b) }
	switch v.name {
	case "min":
		return slices.MinFunc(vals, rank)
	case "max":
		return slices.MaxFunc(vals, rank)
	}
	return referenceSum(v, typ, vals)
}

func referenceSum(v variant, typ arrow.DataType, vals []string) string {
	total, special := new(big.Rat), 0.0
	for _, s := range vals {
		if r, ok := new(big.Rat).SetString(s); ok {
			if typ.ID() == arrow.FLOAT64 || typ.ID() == arrow.FLOAT32 {
				f, _ := strconv.ParseFloat(s, 64)
				r.SetFloat64(f)
			}
			total.Add(total, r)
		} else {
			f, _ := strconv.ParseFloat(s, 64)
			special += f
		}
	}
	if special != 0 || math.IsNaN(special) {
		return fmt.Sprint(special)
	}
	if v.name == "avg" {
		total.Quo(total, big.NewRat(int64(len(vals)), 1))
		if d, ok := typ.(*arrow.Decimal128Type); ok {
			return total.FloatString(int(max(d.Scale, min(d.Scale+4, 38-(d.Precision-d.Scale)))))
		}
	}
	if arrow.IsFloating(typ.ID()) || v.name == "avg" && typ.ID() != arrow.DECIMAL128 {
		f, _ := total.Float64()
		return fmt.Sprint(f)
	}
	d, ok := typ.(*arrow.Decimal128Type)
	if !ok {
		return total.Num().String()
	}
	return total.FloatString(int(d.Scale))
}

// same compares texts; floats may differ in the last places.
func same(got, want string) bool {
	if got == want {
		return true
	}
	a, err1 := strconv.ParseFloat(got, 64)
	b, err2 := strconv.ParseFloat(want, 64)
	if err1 != nil || err2 != nil || !strings.ContainsAny(got+want, "eN.I") {
		return false
	}
	if math.IsNaN(a) || math.IsNaN(b) || math.IsInf(a, 0) {
		return math.IsNaN(a) && math.IsNaN(b) || a == b
	}
	return math.Abs(a-b) <= 1e-12*math.Max(math.Abs(a), math.Abs(b))
}
