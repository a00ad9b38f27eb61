package expr

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/memory"

	"github.com/sluice-data/sluice/internal/codes/codestest"
)

// coded is rec with the codes of a dictionary beside each column of texts; unused entries of it are in no row.
func coded(rec arrow.Record, unused int) arrow.Record {
	cols := make([]arrow.Array, rec.NumCols())
	for c := range cols {
		cols[c] = codestest.With(rec.Column(c), unused)
	}
	out := array.NewRecord(rec.Schema(), cols, rec.NumRows())
	for _, c := range cols {
		c.Release()
	}
	return out
}

// TestOverDictionary: every expression gives the same values, and the same errors of the same rows, whether its texts come with codes or without.
func TestOverDictionary(t *testing.T) {
	mem := memory.NewCheckedAllocator(memory.NewGoAllocator())
	defer mem.AssertSize(t, 0)
	table := differentialTable(t)
	few := table.rows
	table.rows = nil
	for k := range 3 * fewRows { // many of the same, and nulls among them
		row := slices.Clone(few[k*7%len(few)])
		if k%11 == 3 {
			row[5] = "NULL" // s
		}
		table.rows = append(table.rows, row)
	}
	plain := table.record(t, mem, fixtureRows(len(table.rows)).all())
	defer plain.Release()
	with, large := coded(plain, 1), coded(plain, fewRows) // after one batch the large one pays
	defer with.Release()
	defer large.Release()
	part := with.NewSlice(5, 5+fewRows)
	defer part.Release()
	list := append(lines(t, "testdata/differential.txt"), "s::int", "s::int + length(s)", "CASE WHEN i > 0 THEN s::int ELSE 0 END", "CASE WHEN s = 'hello' THEN s ELSE upper(t) END", "s ~ t", "s ~ '('||'a)'",
		"coalesce(s, 'none')", "s IS NULL", "coalesce(length(s), 0) + coalesce(length(s), 0)", "s IN ('hello', 'x') OR t LIKE '%l%'", "s::date", "'(' || s ~ s", "s", "string_to_array(s, 'l')", "md5(s) || md5(s)",
		"to_json(s)", "s::json", "length(s) / (length(s) - 5)", "try_cast(s AS int)")
	over := 0
	for _, src := range list {
		p, err := Compile(src, table.schema, testEnv)
		if err != nil {
			continue // the list has been held to compile, the others may be refused
		}
		if d, ok := p.root.(*dictNode); ok && direct(d, with) == node(d) {
			over++
		}
		want := evalText(t, mem, p, plain)
		for round, rec := range []arrow.Record{with, part, with, large, large, part} {
			got, want := evalText(t, mem, p, rec), want
			if rec == part {
				want = want[5 : 5+fewRows]
			}
			for i := range want {
				if got[i] != want[i] {
					t.Errorf("%s: round %d: row %d is %s, without codes %s", src, round, i, got[i], want[i])
					break
				}
			}
		}
	}
	if over < 100 {
		t.Errorf("only %d expressions are computed over a dictionary", over)
	}
}

// TestAnswersAreKept: what was computed of a dictionary once is not computed again for the next batch of it, unless it is too large to keep.
func TestAnswersAreKept(t *testing.T) {
	mem := memory.NewCheckedAllocator(memory.NewGoAllocator())
	defer mem.AssertSize(t, 0)
	table := differentialTable(t)
	for len(table.rows) < 2*fewRows {
		table.rows = append(table.rows, table.rows...)
	}
	plain := table.record(t, mem, fixtureRows(len(table.rows)).all())
	defer plain.Release()
	rec := coded(plain, 1)
	defer rec.Release()
	for src, kept := range map[string]bool{"upper(s) || '!'": true, "string_to_array(s, 'l')": true, "s::int": true, "repeat(s, 20000)": false} {
		p, err := Compile(src, table.schema, testEnv)
		if err != nil {
			t.Fatal(err)
		}
		d := p.root.(*dictNode)
		want := evalText(t, mem, p, plain)
		var before *answers
		for range 3 {
			if got := evalText(t, mem, p, rec); !slices.Equal(got, want) {
				t.Errorf("%s: %s\nwant %s", src, got, want)
			}
			if len(d.recent.last) != 1 || (d.recent.last[0].values != nil) != kept || before != nil && d.recent.last[0] != before {
				t.Fatalf("%s: %d dictionaries known, or not as before", src, len(d.recent.last))
			}
			before = d.recent.last[0]
		}
	}
}

// TestShortFloats: a float that is nearest to a short decimal is cast to it without its text, and gives what its text gives.
func TestShortFloats(t *testing.T) {
	mem := memory.NewGoAllocator()
	r := rand.New(rand.NewPCG(1, 2))
	for _, typ := range []struct{ prec, scale int }{{18, 2}, {4, 1}, {38, 10}, {15, 0}, {38, 22}, {38, 30}} {
		b := array.NewFloat64Builder(mem)
		for range 20000 {
			f := float64(r.Int64N(2e15)-1e15) / math.Pow10(r.IntN(typ.scale+3)) * math.Pow10(r.IntN(3)-2)
			if r.IntN(4) == 0 {
				f = math.Nextafter(f, math.Inf(r.IntN(2)*2-1))
			}
			if r.IntN(8) == 0 {
				f = math.Round(f) + 0.5
			}
			b.Append(f)
		}
		b.AppendValues([]float64{0, math.Copysign(0, -1), math.NaN(), math.Inf(1), 5e-324, math.MaxFloat64, 999.95, 99.95, 0.05, 1e15, 1e15 - 1}, nil)
		a := b.NewFloat64Array()
		s := arrow.NewSchema([]arrow.Field{{Name: "f", Type: a.DataType()}}, nil)
		p, err := Compile(fmt.Sprintf("f::decimal(%d,%d)", typ.prec, typ.scale), s, testEnv)
		if err != nil {
			t.Fatal(err)
		}
		rec := array.NewRecord(s, []arrow.Array{a}, int64(a.Len()))
		out, _, err := p.Eval(rec, mem)
		if err != nil {
			t.Fatal(err)
		}
		got := out.(*array.Decimal128)
		for i, f := range a.Float64Values() {
			want, ok := roundText(strconv.AppendFloat(nil, f, 'e', -1, 64), typOf(t, out.DataType()), false)
			if ok == got.IsNull(i) || ok && got.Value(i) != want {
				t.Fatalf("%v as decimal(%d,%d): %v (null %v), want %v (%v)", f, typ.prec, typ.scale, got.Value(i), got.IsNull(i), want, ok)
			}
		}
		rec.Release()
		out.Release()
	}
}

func typOf(t *testing.T, dt arrow.DataType) typ {
	d, ok := dt.(*arrow.Decimal128Type)
	if !ok {
		t.Fatalf("a decimal was cast to %s", dt)
	}
	return typ{kind: kDecimal, prec: d.Precision, scale: d.Scale}
}
