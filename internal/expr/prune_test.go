package expr

import (
	"fmt"
	"math"
	"strconv"
	"testing"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/memory"
	"pgregory.net/rapid"
)

var pruneSchema = arrow.NewSchema([]arrow.Field{
	{Name: "n", Type: arrow.PrimitiveTypes.Int64, Nullable: true},
	{Name: "x", Type: arrow.PrimitiveTypes.Float64, Nullable: true},
	{Name: "s", Type: arrow.BinaryTypes.String, Nullable: true},
	{Name: "t", Type: &arrow.TimestampType{Unit: arrow.Microsecond}, Nullable: true},
}, nil)

func int64s(vs ...int64) arrow.Array {
	b := array.NewInt64Builder(memory.DefaultAllocator)
	defer b.Release()
	b.AppendValues(vs, nil)
	return b.NewArray()
}

func float64s(vs ...float64) arrow.Array {
	b := array.NewFloat64Builder(memory.DefaultAllocator)
	defer b.Release()
	b.AppendValues(vs, nil)
	return b.NewArray()
}

func strings2(vs ...string) arrow.Array {
	b := array.NewStringBuilder(memory.DefaultAllocator)
	defer b.Release()
	b.AppendValues(vs, nil)
	return b.NewArray()
}

// Rows in which n is 10 to 20 and has no null, x is 1 to 2 and may be NaN, s is "b" to "d" and has nulls, and t is nothing but
// null.
func TestPrunerExcludes(t *testing.T) {
	of := func(column string) (Bounds, bool) {
		switch column {
		case "n":
			return Bounds{Extremes: int64s(10, 20), NoNulls: true}, true
		case "x":
			return Bounds{Extremes: float64s(1, 2, math.NaN())}, true
		case "s":
			return Bounds{Extremes: strings2("b", "d")}, true
		}
		return Bounds{AllNulls: true}, true
	}
	nothing := func(string) (Bounds, bool) { return Bounds{}, false }
	for _, tc := range []struct {
		cond string
		want bool
	}{
		{"n > 20", true}, {"n >= 20", false}, {"n < 10", true}, {"n <= 10", false}, {"20 < n", true}, {"10 >= n", false},
		{"n = 9", true}, {"n = 15", false}, {"21 = n", true}, {"n <> 15", false}, {"n = NULL", true},
		{"N > 20", true}, {`"n" > 10 + 10`, true}, {"n > 19.5", false}, {"n > 20.5", true},
		{"n BETWEEN 1 AND 9", true}, {"n BETWEEN 1 AND 10", false}, {"n BETWEEN 21 AND 30", true}, {"n NOT BETWEEN 1 AND 30", false},
		{"n BETWEEN SYMMETRIC 20 AND 10", false}, {"n BETWEEN SYMMETRIC 30 AND 1", false}, {"n BETWEEN SYMMETRIC 12 AND 18", false},
		{"n BETWEEN SYMMETRIC 9 AND 1", true}, {"n BETWEEN SYMMETRIC 21 AND 30", true}, {"n NOT BETWEEN SYMMETRIC 30 AND 1", false},
		{"n BETWEEN SYMMETRIC 30 AND NULL", true}, {"n BETWEEN SYMMETRIC 30 AND n", false},
		{"n IN (1, 2, 30)", true}, {"n IN (1, 12)", false}, {"n NOT IN (1)", false}, {"n IN (1, NULL)", true},
		{"n IS NULL", true}, {"n IS NOT NULL", false}, {"s IS NULL", false},
		{"t IS NOT NULL", true}, {"t IS NULL", false}, {"t > timestamp '2024-01-01'", true}, {"t = '2024-01-01'", true},
		{"x < 1", true}, {"x <= 1", false}, {"x = 0.5", true}, {"x > 2", false}, {"x = 3", false}, // NaN is above all
		{"s < 'b'", true}, {"s > 'd'", true}, {"s > 'c'", false}, {"s = 'a'", true}, {"s IN ('a', 'e')", true}, {"s LIKE 'a%'", false},
		{"n > 20 AND s = 'c'", true}, {"n > 15 AND s = 'e'", true}, {"n > 20 OR s = 'c'", false}, {"n > 20 OR s = 'e'", true},
		{"n > 20 AND lower(s) = 'b'", true}, {"n + 1 > 100", false}, {"NOT n > 5", false}, {"n > 20 OR lower(s) = 'e'", false},
	} {
		p, err := NewPruner(tc.cond, pruneSchema, Env{})
		if err != nil {
			t.Fatalf("%s: %v", tc.cond, err)
		}
		if p == nil {
			if tc.want {
				t.Errorf("%s: no pruner", tc.cond)
			}
			continue
		}
		if got := p.Excludes(of); got != tc.want {
			t.Errorf("%s: excluded %v, want %v", tc.cond, got, tc.want)
		}
		if p.Excludes(nothing) {
			t.Errorf("%s: excluded though nothing is known", tc.cond)
		}
	}
}

// A condition that may raise an error has to see its rows, all of it.
func TestPrunerOfWhatMayFail(t *testing.T) {
	for _, cond := range []string{"n > 20 AND 10 / n > 1", "n > 20 AND s::int64 = 1"} {
		if p, err := NewPruner(cond, pruneSchema, Env{}); err != nil || p != nil {
			t.Errorf("%s: %v, %v; want no pruner", cond, p, err)
		}
	}
	if _, err := NewPruner("missing > 1", pruneSchema, Env{}); err == nil {
		t.Error("a condition that does not bind has no error")
	}
}

// Whatever the values and the condition: where the pruner excludes, no row is true.
func TestPrunerNeverLosesARow(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		small := rapid.Int64Range(-4, 4)
		var term func(depth int) string
		term = func(depth int) string {
			if depth > 0 && rapid.Bool().Draw(t, "nested") {
				return fmt.Sprintf("(%s) %s (%s)", term(depth-1), rapid.SampledFrom([]string{"AND", "OR"}).Draw(t, "op"), term(depth-1))
			}
			col := rapid.SampledFrom([]string{"n", "x"}).Draw(t, "column")
			a, b := small.Draw(t, "a"), small.Draw(t, "b")
			switch rapid.IntRange(0, 7).Draw(t, "form") {
			case 0:
				return fmt.Sprintf("%s %s %d AND %d", col, rapid.SampledFrom([]string{"BETWEEN", "BETWEEN SYMMETRIC", "NOT BETWEEN", "NOT BETWEEN SYMMETRIC"}).Draw(t, "range"), a, b)
			case 1:
				return fmt.Sprintf("%s %s (%d, %s)", col, rapid.SampledFrom([]string{"IN", "NOT IN"}).Draw(t, "in"), a, rapid.SampledFrom([]string{strconv.FormatInt(b, 10), "NULL", "n", "1.5"}).Draw(t, "item"))
			case 2:
				return col + rapid.SampledFrom([]string{" IS NULL", " IS NOT NULL"}).Draw(t, "test")
			case 4:
				return fmt.Sprintf("NOT %s %s %d", col, rapid.SampledFrom([]string{"=", "<", "IS DISTINCT FROM", "IS NOT DISTINCT FROM"}).Draw(t, "op"), a)
			case 5:
				return fmt.Sprintf("%s %s ARRAY[%d, %d])", col, rapid.SampledFrom([]string{"= ANY (", "< ALL (", ">= SOME (", "<> ALL ("}).Draw(t, "op"), a, b)
			case 3:
				return fmt.Sprintf("%d %s %s", a, rapid.SampledFrom([]string{"=", "<", ">="}).Draw(t, "op"), col)
			}
			return fmt.Sprintf("%s %s %d", col, rapid.SampledFrom([]string{"=", "<", "<=", ">", ">=", "<>"}).Draw(t, "op"), a)
		}
		cond := term(2)
		rows := rapid.IntRange(1, 5).Draw(t, "rows")
		nb, xb := array.NewInt64Builder(memory.DefaultAllocator), array.NewFloat64Builder(memory.DefaultAllocator)
		nulls := [2]int{}
		lo, hi := int64(math.MaxInt64), int64(math.MinInt64)
		flo, fhi := math.Inf(1), math.Inf(-1)
		for range rows {
			if rapid.IntRange(0, 3).Draw(t, "null") == 0 {
				nb.AppendNull()
				nulls[0]++
			} else {
				v := small.Draw(t, "n")
				nb.Append(v)
				lo, hi = min(lo, v), max(hi, v)
			}
			switch rapid.IntRange(0, 5).Draw(t, "kind") {
			case 0:
				xb.AppendNull()
				nulls[1]++
			case 1:
				xb.Append(math.NaN())
			default:
				v := float64(small.Draw(t, "x"))
				xb.Append(v)
				flo, fhi = min(flo, v), max(fhi, v)
			}
		}
		schema := arrow.NewSchema(pruneSchema.Fields()[:2], nil)
		cols := []arrow.Array{nb.NewArray(), xb.NewArray()}
		rec := array.NewRecord(schema, cols, int64(rows))
		p, err := NewPruner(cond, schema, Env{})
		if err != nil || p == nil {
			t.Fatalf("%s: %v", cond, err)
		}
		excluded := p.Excludes(func(column string) (Bounds, bool) {
			if column == "n" {
				b := Bounds{NoNulls: nulls[0] == 0, AllNulls: nulls[0] == rows}
				if lo <= hi {
					b.Extremes = int64s(lo, hi)
				}
				return b, true
			}
			b := Bounds{NoNulls: nulls[1] == 0, AllNulls: nulls[1] == rows}
			if flo <= fhi {
				b.Extremes = float64s(flo, fhi, math.NaN())
			}
			return b, true
		})
		prog, err := Compile(cond, schema, Env{})
		if err != nil {
			t.Fatal(err)
		}
		out, _, err := prog.Eval(rec, memory.DefaultAllocator)
		if err != nil {
			t.Fatal(err)
		}
		for i := range rows {
			if excluded && out.IsValid(i) && out.(*array.Boolean).Value(i) {
				t.Fatalf("%s is true in row %d of %v, which was excluded", cond, i, rec)
			}
		}
	})
}
