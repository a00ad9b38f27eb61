package bench

import (
	"fmt"
	"math"
	"math/big"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/duckdb/duckdb-go/v2"
)

// FloatSums is the tolerance for sums and means of floats, which depend on the order of their terms.
const FloatSums = 1e-12

// Diff says where the first difference between two results is, row by row and column by column, or "". tolerance is the
// relative difference that floats may have; 0 wants the same float.
func Diff(want, got *Table, tolerance float64) string {
	if !slices.Equal(want.Names, got.Names) {
		return fmt.Sprintf("columns: got %v, want %v", got.Names, want.Names)
	}
	for c, name := range want.Names {
		if want.Classes[c] != got.Classes[c] {
			return fmt.Sprintf("column %s: got %s, want %s", name, got.Types[c], want.Types[c])
		}
	}
	if len(want.Rows) == 0 {
		return "no rows to compare"
	}
	for i := range min(len(want.Rows), len(got.Rows)) {
		for c, name := range want.Names {
			if g, w := got.Rows[i][c], want.Rows[i][c]; !Same(g, w, tolerance) {
				return fmt.Sprintf("row %d, %s: got %s, want %s; row %v", i, name, Show(g), Show(w), want.Rows[i])
			}
		}
	}
	if len(want.Rows) != len(got.Rows) {
		return fmt.Sprintf("got %d rows, want %d", len(got.Rows), len(want.Rows))
	}
	return ""
}

// Same compares two values of one class as DuckDB's driver gives them: numbers by value, whatever their width, everything else exactly.
// Numbers of which one is a float are compared as floats, within tolerance.
func Same(a, b any, tolerance float64) bool {
	if a == nil || b == nil {
		return a == nil && b == nil
	}
	x, xfloat, xok := float(a)
	y, yfloat, yok := float(b)
	if xok != yok {
		return false
	}
	if xok && (xfloat || yfloat) {
		switch {
		case math.IsNaN(x) || math.IsNaN(y):
			return math.IsNaN(x) && math.IsNaN(y)
		case math.IsInf(x, 0) || math.IsInf(y, 0):
			return x == y
		}
		return x == y || math.Abs(x-y) <= tolerance*math.Max(math.Abs(x), math.Abs(y))
	}
	if xok {
		return exact(a).Cmp(exact(b)) == 0
	}
	if s, ok := a.(time.Time); ok {
		u, ok := b.(time.Time)
		return ok && s.Equal(u)
	}
	return reflect.DeepEqual(a, b)
}

// float is a number as the nearest float, and whether it is one to begin with.
func float(v any) (f float64, isFloat, ok bool) {
	switch n := v.(type) {
	case float64:
		return n, true, true
	case float32:
		return float64(n), true, true
	case int8, int16, int32, int64, uint8, uint16, uint32, uint64, *big.Int, duckdb.Decimal:
		f, _ := exact(n).Float64()
		return f, false, true
	}
	return 0, false, false
}

// exact is an exact number as a fraction.
func exact(v any) *big.Rat {
	switch n := v.(type) {
	case *big.Int:
		return new(big.Rat).SetInt(n)
	case duckdb.Decimal:
		return new(big.Rat).SetFrac(n.Value, new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(n.Scale)), nil))
	}
	r := reflect.ValueOf(v)
	if r.CanUint() {
		return new(big.Rat).SetUint64(r.Uint())
	}
	return new(big.Rat).SetInt64(r.Int())
}

// Show is a value for a message, with its Go type, so that 1 and 1.0 and "1" look different.
func Show(v any) string {
	switch t := v.(type) {
	case nil:
		return "null"
	case string:
		return fmt.Sprintf("%q", t)
	case float64, float32:
		return fmt.Sprintf("%v (%T)", t, t)
	case duckdb.Decimal:
		return fmt.Sprintf("%s (decimal(%d,%d))", t.String(), t.Width, t.Scale)
	case time.Time:
		return t.UTC().Format("2006-01-02 15:04:05.999999")
	}
	return strings.TrimSpace(fmt.Sprintf("%v (%T)", v, v))
}
