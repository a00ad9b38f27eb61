package expr

import (
	"math"
	"math/big"
	"testing"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/decimal128"
	"github.com/apache/arrow/go/v17/arrow/memory"
	"pgregory.net/rapid"
)

// checkDecimal computes a random a op b with the kernels and with math/big.
func checkDecimal(t *rapid.T, word *rapid.Generator[uint64], ops *rapid.Generator[string]) {
	draw := func(name string) (*big.Int, dec) {
		digits := rapid.IntRange(1, 38).Draw(t, name+" digits")
		limit := powers[digits].big()
		v := u128{word.Draw(t, name+" hi"), word.Draw(t, name+" lo")}.big()
		v.Rem(v, limit)
		if rapid.Bool().Draw(t, name+" negative") {
			v.Neg(v)
		}
		return v, decimal128.FromBigInt(v)
	}
	a, da := draw("a")
	b, db := draw("b")
	sa, sb := rapid.Int32Range(0, 19).Draw(t, "scale a"), rapid.Int32Range(0, 19).Draw(t, "scale b")
	op := ops.Draw(t, "op")
	ta, tb := typ{kind: kDecimal, prec: 38, scale: sa}, typ{kind: kDecimal, prec: 38, scale: sb}
	rt, _ := decimalResult(op, ta, tb)

	ra, rb := new(big.Rat).SetFrac(a, powers[sa].big()), new(big.Rat).SetFrac(b, powers[sb].big())
	if c := compareDec(da, sa, db, sb); c != ra.Cmp(rb) {
		t.Fatalf("compare %v/%d with %v/%d gives %d", a, sa, b, sb, c)
	}
	var got dec
	var ok bool
	want := new(big.Rat)
	switch op {
	case "+":
		got, ok = addDec(rt.prec, rt.scale, da, sa, db, sb)
		want.Add(ra, rb)
	case "-":
		got, ok = subDec(rt.prec, rt.scale, da, sa, db, sb)
		want.Sub(ra, rb)
	case "*":
		got, ok = mulDec(rt.prec, rt.scale, da, sa, db, sb)
		want.Mul(ra, rb)
	default:
		if b.Sign() == 0 {
			return
		}
		if op == "/" {
			got, ok = divDec(rt.prec, rt.scale, da, sa, db, sb)
			want.Quo(ra, rb)
			break
		}
		got, ok = modDec(rt.prec, rt.scale, da, sa, db, sb)
		q := new(big.Rat).Quo(ra, rb)
		whole := new(big.Rat).SetInt(new(big.Int).Quo(q.Num(), q.Denom()))
		want.Sub(ra, whole.Mul(whole, rb))
	}
	// to the result's scale, half away from zero
	scaled := new(big.Rat).Mul(want, new(big.Rat).SetInt(powers[rt.scale].big()))
	num, den := new(big.Int).Abs(scaled.Num()), scaled.Denom()
	num.Lsh(num, 1).Add(num, den)
	whole := num.Quo(num, new(big.Int).Lsh(den, 1))
	fits := whole.Cmp(powers[rt.prec].big()) < 0
	if scaled.Sign() < 0 {
		whole.Neg(whole)
	}
	if ok != fits || ok && got.BigInt().Cmp(whole) != 0 {
		t.Fatalf("%v/%d %s %v/%d as %v gives %v, %v; want %v, %v", a, sa, op, b, sb, rt, got.BigInt(), ok, whole, fits)
	}
	if f := decToFloat(da, sa); true {
		if exact, _ := ra.Float64(); f != exact {
			t.Fatalf("%v/%d as a float is %v, not %v", a, sa, f, exact)
		}
	}
}

// TestCivil compares the fast calendar with the general one and with its inverse.
func TestCivil(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		day := rapid.Int64Range(-19999999, 19999999).Draw(t, "day")
		y, m, d := civil(day)
		if dayOf(y, m, d) != day || m < 1 || m > 12 || d < 1 || d > daysInMonth(y, m) {
			t.Fatalf("day %d is %d-%d-%d, which is day %d", day, y, m, d, dayOf(y, m, d))
		}
		if y2, m2, d2 := civil(day + 146097*1000000); y2 != y+400000000 || m2 != m || d2 != d {
			t.Fatalf("day %d and its twin 400,000,000 years later differ: %d-%d-%d, %d-%d-%d", day, y, m, d, y2, m2, d2)
		}
	})
}

// TestRoundedSmall: decimals that fit into 64 bits are rounded as those that do not.
func TestRoundedSmall(t *testing.T) {
	mem := memory.NewCheckedAllocator(memory.NewGoAllocator())
	defer mem.AssertSize(t, 0)
	table := parseFixture(t, "table: x decimal(22,3)")
	for _, v := range []string{"0", "0.004", "0.005", "-0.005", "-0.004", "0.015", "1.995", "-1.995", "9223372036854775.807", "-9223372036854775.808", "9223372036854775.808", "-9223372036854775.809", "NULL"} {
		table.rows = append(table.rows, []string{v})
	}
	rec := table.record(t, mem, fixtureRows(len(table.rows)).all())
	defer rec.Release()
	for places, want := range map[string][]string{
		"2": {"0.00", "0.00", "0.01", "-0.01", "0.00", "0.02", "2.00", "-2.00", "9223372036854775.81", "-9223372036854775.81", "9223372036854775.81", "-9223372036854775.81", "NULL"},
		"0": {"0", "0", "0", "0", "0", "0", "2", "-2", "9223372036854776", "-9223372036854776", "9223372036854776", "-9223372036854776", "NULL"},
	} {
		p, err := Compile("round(x, "+places+")", table.schema, testEnv)
		if err != nil {
			t.Fatal(err)
		}
		for i, got := range evalText(t, mem, p, rec) {
			if got != want[i] {
				t.Errorf("%s to %s places: %s, want %s", table.rows[i][0], places, got, want[i])
			}
		}
	}
}

// TestSmallDecimals: sums, differences, products and rounded values of few digits are those that all decimals have, and what is beyond the result's precision, of a
// column that holds more digits than it says, is an overflow.
func TestSmallDecimals(t *testing.T) {
	mem := memory.NewCheckedAllocator(memory.NewGoAllocator())
	defer mem.AssertSize(t, 0)
	typ := &arrow.Decimal128Type{Precision: 4, Scale: 2}
	b := array.NewDecimal128Builder(mem, typ)
	defer b.Release()
	values := []int64{0, 1, -1, 9999, -9999, 50_000, -50_000, 99_999_999, math.MaxInt64, math.MinInt64}
	var x, y []int64
	for _, v := range values {
		for _, w := range values {
			x, y = append(x, v), append(y, w)
		}
	}
	column := func(v []int64) arrow.Array {
		for _, v := range v {
			b.Append(decimal128.FromI64(v))
		}
		return b.NewArray()
	}
	cols := []arrow.Array{column(x), column(y)}
	schema := arrow.NewSchema([]arrow.Field{{Name: "x", Type: typ}, {Name: "y", Type: typ}}, nil)
	rec := array.NewRecord(schema, cols, int64(len(x)))
	defer rec.Release()
	cols[0].Release()
	cols[1].Release()
	for source, most := range map[string]int64{"x + y": 99_999, "x - y": 99_999, "x * y": 99_999_999, "round(x, 1)": 9999} {
		p, err := Compile(source, schema, testEnv)
		if err != nil {
			t.Fatal(err)
		}
		out, errs, err := p.Eval(rec, mem)
		if err != nil {
			t.Fatal(err)
		}
		bad := map[int]bool{}
		for _, e := range errs {
			bad[e.Row] = true
		}
		for i := range x {
			v, w, want := big.NewInt(x[i]), big.NewInt(y[i]), new(big.Int)
			switch source {
			case "x + y":
				want.Add(v, w)
			case "x - y":
				want.Sub(v, w)
			case "x * y":
				want.Mul(v, w)
			default:
				want.Abs(v).Add(want, big.NewInt(5)).Quo(want, big.NewInt(10)).Mul(want, big.NewInt(int64(v.Sign())))
			}
			over := new(big.Int).Abs(want).Cmp(big.NewInt(most)) > 0
			if got := out.(*array.Decimal128).Value(i).BigInt(); over != bad[i] || !over && got.Cmp(want) != 0 {
				t.Errorf("%s of %v and %v: %v (overflow: %v), want %v (%v)", source, v, w, got, bad[i], want, over)
			}
		}
		out.Release()
	}
}
