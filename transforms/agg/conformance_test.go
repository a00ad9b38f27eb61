package agg

import (
	"flag"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/memory"
	"pgregory.net/rapid"

	"github.com/sluice-data/sluice/internal/codes/codestest"
	"github.com/sluice-data/sluice/transforms/internal/col"
	"github.com/sluice-data/sluice/transforms/internal/orderkey"
)

// sampleTypes are texts of each type in ascending order; "null" is drawn beside them.
var sampleTypes = []struct {
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
	{arrow.PrimitiveTypes.Float64, []string{"-Inf", "-1e+300", "-0.1", "0", "1e-09", "1e+300", "+Inf", "NaN"}},
	{&arrow.Decimal128Type{Precision: 10, Scale: 2}, []string{"-99999999.99", "-0.01", "0.00", "0.01", "12.50"}},
	{&arrow.Decimal128Type{Precision: 38, Scale: 0}, []string{"-99999999999999999999999999999999999", "0", "18446744073709551616", "99999999999999999999999999999999999"}},
	{arrow.BinaryTypes.String, []string{"", "a", "a\x00", "a long string, longer than two words", "aa", "b", "é"}},
	{arrow.BinaryTypes.LargeString, []string{"", "x", "y"}},
	{arrow.FixedWidthTypes.Boolean, []string{"false", "true"}},
	{arrow.FixedWidthTypes.Date32, []string{"1969-12-31", "1970-01-01", "2026-11-22"}},
	{&arrow.TimestampType{Unit: arrow.Microsecond}, []string{"1969-12-31 23:59:59Z", "2026-11-22 01:02:03.000004Z"}},
	{arrow.FixedWidthTypes.Time64us, []string{"00:00:00.000000", "23:59:59.999999"}},
}

// Every registered function over every type that it takes: rows dealt to lanes, cut in batches, with partial states merged in any
// order, give what a plain computation over the rows gives.
func TestConformance(t *testing.T) {
	if f := flag.Lookup("rapid.checks"); f.Value.String() == f.DefValue {
		// There are some 500 pairs of a function and a type.
		if err := flag.Set("rapid.checks", "20"); err != nil {
			t.Fatal(err)
		}
		defer flag.Set("rapid.checks", f.DefValue)
	}
	tested := map[string]bool{}
	for _, v := range variants {
		tested[v.name] = true
		for _, in := range sampleTypes {
			if v.takes != nil && !v.takes(in.typ) {
				continue
			}
			if v.tame && arrow.IsFloating(in.typ.ID()) {
				in.text = []string{"-1.5", "0", "0.25", "3", "1e6"}
			}
			if v.mild {
				in.text = []string{"0", "1", "4", "100"}
			}
			t.Run(fmt.Sprintf("%s/%s", v.title(), in.typ), func(t *testing.T) {
				rapid.Check(t, func(t *rapid.T) { conform(t, v, in.typ, in.text) })
			})
		}
	}
	for _, n := range Names() {
		if !tested[n] {
			t.Errorf("function %s has no place in this suite", n)
		}
		f, _ := Lookup(n)
		if f.Doc == "" || f.State == "" || !strings.HasPrefix(f.Example, n+"(") {
			t.Errorf("function %s: doc %q, state %q, example %q", n, f.Doc, f.State, f.Example)
		}
	}
}

// sample is a row: its values as text, and its number in the order of the input.
type sample struct {
	x, y string
	at   int64
}

var ys = []string{"-3", "0", "5", "6"} // values of y, an int64, in ascending order

// columns are the inputs that a bound function asks for, of rows.
func columns(mem memory.Allocator, c Call, b Bound, typ arrow.DataType, rows []sample) []arrow.Array {
	xs, yt, at := make([]string, len(rows)), make([]string, len(rows)), make([]int64, len(rows))
	for i, r := range rows {
		xs[i], yt[i], at[i] = r.x, r.y, r.at
	}
	of := func(mem memory.Allocator, f arrow.Field) arrow.Array {
		if f.Name == "y" {
			return column1(mem, int64s, yt)
		}
		return column1(mem, typ, xs)
	}
	var out []arrow.Array
	for _, in := range b.Inputs {
		switch {
		case in.Place && len(in.By) == 0:
			out = append(out, col.New(int64s, at, nil))
		case in.Place:
			var cols []arrow.Array
			var keys []orderkey.Column
			for _, k := range in.By {
				cols = append(cols, of(memory.DefaultAllocator, c.Field(k.Arg)))
				keys = append(keys, orderkey.Column{Type: cols[len(cols)-1].DataType(), Nullable: true, Desc: k.Desc, NullsFirst: k.NullsFirst})
			}
			p, err := orderkey.New(keys)
			if err != nil {
				panic(err)
			}
			var made orderkey.Keys
			if err := p.NewEncoder().Encode(cols, len(rows), &made); err != nil {
				panic(err)
			}
			a, err := made.Binary(at)
			if err != nil {
				panic(err)
			}
			out = append(out, a)
		case in.Nulls:
			a := of(memory.DefaultAllocator, c.Field(in.Arg))
			valid := make([]uint8, a.Len())
			for i := range valid {
				if a.IsValid(i) {
					valid[i] = 1
				}
			}
			out = append(out, col.NewBool(make([]uint8, a.Len()), valid))
		default:
			out = append(out, of(mem, c.Field(in.Arg)))
		}
	}
	return out
}

func conform(t *rapid.T, v variant, typ arrow.DataType, text []string) {
	mem := memory.NewCheckedAllocator(memory.DefaultAllocator)
	defer mem.AssertSize(t, 0)
	f, _ := Lookup(v.name)
	c := v.call(typ)
	b, err := f.Bind(c)
	if err != nil {
		t.Fatal(err)
	}
	ngroups := rapid.IntRange(1, 5).Draw(t, "groups")
	lanes := rapid.IntRange(1, 3).Draw(t, "lanes")
	nulls := rapid.Bool().Draw(t, "with nulls")
	value := func(label string, from []string) string {
		if nulls && rapid.IntRange(0, 3).Draw(t, "null "+label) == 0 {
			return "null"
		}
		return rapid.SampledFrom(from).Draw(t, label)
	}
	rows := map[int][]sample{}
	var parts []Accumulator
	total := int64(0)
	for range lanes {
		acc := b.New(mem)
		for range rapid.IntRange(0, 3).Draw(t, "batches") {
			n := rapid.IntRange(0, 12).Draw(t, "rows")
			skip := rapid.IntRange(0, n).Draw(t, "slice")
			groups, batch := make([]uint32, n), make([]sample, n)
			for i := range n {
				groups[i] = uint32(rapid.IntRange(0, ngroups-1).Draw(t, "group"))
				total++
				batch[i] = sample{value("x", text), value("y", ys), total * 37 % 1009} // rows of a lane come in no order
				if i >= skip {
					rows[int(groups[i])] = append(rows[int(groups[i])], batch[i])
				}
			}
			whole := columns(mem, c, b, typ, batch)
			if rapid.Bool().Draw(t, "with codes") {
				for c, a := range whole {
					whole[c] = codestest.With(a, 0)
					a.Release()
				}
			}
			in := make([]arrow.Array, len(whole))
			for i, a := range whole {
				in[i] = array.NewSlice(a, int64(skip), int64(n))
			}
			if err := acc.Update(groups[skip:], ngroups, in); err != nil {
				t.Fatal(err)
			}
			releaseAll(in)
			releaseAll(whole)
		}
		// A lane that saw no row still has its groups.
		if err := acc.Update(nil, ngroups, columns(memory.DefaultAllocator, c, b, typ, nil)); err != nil {
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
		slices.SortFunc(rows[g], func(a, b sample) int { return int(a.at - b.at) })
		got, want := cell(res, g), v.want(typ, text, rows[g])
		if !same(got, want, v.off) {
			t.Fatalf("group %d of %v is %s, want %s", g, rows[g], got, want)
		} else if res.DataType().ID() != arrow.FLOAT64 && got != want {
			t.Fatalf("group %d of %v is %s, want exactly %s", g, rows[g], got, want)
		}
	}
	res.Release()
	// What was reset is as new.
	merged.Reset()
	if err := merged.Update(nil, 1, columns(memory.DefaultAllocator, c, b, typ, nil)); err != nil {
		t.Fatal(err)
	}
	again, err := merged.Result(mem)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := cell(again, 0), v.want(typ, text, nil); again.Len() != 1 || got != want {
		t.Fatalf("after Reset a group of no rows is %s, want %s", got, want)
	}
	again.Release()
	merged.Release()
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

// cell is a value as text; a list is [a b], a struct {a b}.
func cell(a arrow.Array, i int) string {
	if a.IsNull(i) {
		return "null"
	}
	switch a := a.(type) {
	case *array.Decimal128:
		return a.Value(i).ToString(a.DataType().(*arrow.Decimal128Type).Scale)
	case *array.List:
		from, to := a.ValueOffsets(i)
		var out []string
		for k := from; k < to; k++ {
			out = append(out, cell(a.ListValues(), int(k)))
		}
		return "[" + strings.Join(out, " ") + "]"
	case *array.Struct:
		var out []string
		for k := range a.NumField() {
			out = append(out, cell(a.Field(k), i))
		}
		return "{" + strings.Join(out, " ") + "}"
	}
	return a.ValueStr(i)
}

// same compares texts; floats may differ in the last places, or by the share off.
func same(got, want string, off float64) bool {
	if got == want {
		return true
	}
	a, err1 := strconv.ParseFloat(got, 64)
	b, err2 := strconv.ParseFloat(want, 64)
	if err1 != nil || err2 != nil || off == 0 && !strings.ContainsAny(got+want, "eN.I") {
		return false
	}
	if math.IsNaN(a) || math.IsNaN(b) || math.IsInf(a, 0) {
		return math.IsNaN(a) && math.IsNaN(b) || a == b
	}
	return math.Abs(a-b) <= max(off, 1e-12)*max(math.Abs(a), math.Abs(b)) || off == mildly && math.Abs(a-b) < off
}
