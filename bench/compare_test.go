package bench

import (
	"math"
	"math/big"
	"testing"
	"time"

	"github.com/duckdb/duckdb-go/v2"
)

func decimal(unscaled int64, scale uint8) duckdb.Decimal {
	return duckdb.Decimal{Width: 18, Scale: scale, Value: big.NewInt(unscaled)}
}

// The comparison sees what it is there to see.
func TestSame(t *testing.T) {
	day := time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC)
	huge, _ := new(big.Int).SetString("99999999999999999999999999999999999999", 10)
	for _, c := range []struct {
		a, b any
		tol  float64
		want bool
	}{
		{nil, nil, 0, true},
		{nil, int32(0), 0, false},
		{nil, "", 0, false},
		{int32(1), int64(1), 0, true},
		{uint64(math.MaxUint64), int64(-1), 0, false},
		{int64(math.MaxInt64), int64(math.MaxInt64 - 1), 1, false},
		{decimal(110, 2), decimal(11, 1), 0, true},
		{decimal(110, 2), decimal(111, 2), 1, false},
		{decimal(200, 2), int8(2), 0, true},
		{huge, new(big.Int).Add(huge, big.NewInt(-1)), 1, false},
		{1.5, decimal(15, 1), 0, true},
		{1.0, 1.0 + 1e-15, 0, false},
		{1.0, 1.0 + 1e-15, FloatSums, true},
		{1.0, 1.0 + 1e-11, FloatSums, false},
		{math.NaN(), math.NaN(), 0, true},
		{math.NaN(), 1.0, 1, false},
		{math.Inf(1), math.MaxFloat64, FloatSums, false},
		{math.Inf(1), math.Inf(-1), FloatSums, false},
		{math.Inf(1), math.Inf(1), 0, true},
		{"1", int32(1), 0, false},
		{"true", true, 0, false},
		{"a", "a ", 0, false},
		{true, false, 0, false},
		{day, day.Add(time.Microsecond), 1, false},
		{day, day.In(time.FixedZone("", 3600)), 0, true},
		{[]any{int32(1)}, []any{int32(2)}, 0, false},
	} {
		if Same(c.a, c.b, c.tol) != c.want || Same(c.b, c.a, c.tol) != c.want {
			t.Errorf("%s and %s within %g: want %v", Show(c.a), Show(c.b), c.tol, c.want)
		}
	}
}

// Names, classes, order and number of rows count too.
func TestDiff(t *testing.T) {
	table := func(name string, class Class, values ...any) *Table {
		out := &Table{Names: []string{name}, Types: []string{string(class)}, Classes: []Class{class}}
		for _, v := range values {
			out.Rows = append(out.Rows, []any{v})
		}
		return out
	}
	want := table("a", Number, int32(1), int32(2))
	if d := Diff(want, table("a", Number, int64(1), int64(2)), 0); d != "" {
		t.Errorf("the same: %s", d)
	}
	for what, got := range map[string]*Table{
		"name":  table("b", Number, int32(1), int32(2)),
		"class": table("a", Date, int32(1), int32(2)),
		"order": table("a", Number, int32(2), int32(1)),
		"fewer": table("a", Number, int32(1)),
		"more":  table("a", Number, int32(1), int32(2), int32(2)),
		"value": table("a", Number, int32(1), nil),
	} {
		if Diff(want, got, 0) == "" {
			t.Errorf("%s: no difference seen", what)
		}
	}
	if Diff(table("a", Number), table("a", Number), 0) == "" {
		t.Error("nothing compared, and no word of it")
	}
}
