package orderkey

import (
	"bytes"
	"cmp"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/decimal128"
	"github.com/apache/arrow/go/v17/arrow/memory"
)

var types = []arrow.DataType{arrow.FixedWidthTypes.Boolean, arrow.PrimitiveTypes.Int8, arrow.PrimitiveTypes.Int16, arrow.PrimitiveTypes.Int32, arrow.PrimitiveTypes.Int64,
	arrow.PrimitiveTypes.Uint8, arrow.PrimitiveTypes.Uint64, arrow.PrimitiveTypes.Float32, arrow.PrimitiveTypes.Float64, arrow.BinaryTypes.String, arrow.BinaryTypes.Binary,
	arrow.FixedWidthTypes.Date32, &arrow.TimestampType{Unit: arrow.Microsecond}, &arrow.Decimal128Type{Precision: 18, Scale: 2}, &arrow.Decimal128Type{Precision: 38, Scale: 2},
	arrow.BinaryTypes.LargeString, arrow.Null}

// random is n values of type t, many of them equal or next to each other, a fifth of them null where that may be.
func random(rng *rand.Rand, t arrow.DataType, n int, nullable bool) arrow.Array {
	b := array.NewBuilder(memory.DefaultAllocator, t)
	defer b.Release()
	for range n {
		if nullable && rng.IntN(5) == 0 {
			b.AppendNull()
			continue
		}
		i := []int64{0, 1, -1, 2, 255, math.MaxInt64, math.MinInt64, rng.Int64N(5), rng.Int64()}[rng.IntN(9)]
		f := []float64{0, math.Copysign(0, -1), 1, -1, math.NaN(), math.Float64frombits(1<<63 | 0x7ff8<<48), math.Inf(1), math.Inf(-1), rng.NormFloat64()}[rng.IntN(9)]
		s := []string{"", "\x00", "\x00\x00", "a", "a\x00", "a\x00b", "ab", "\xff", "ä", "abcdefgh", "abcdefgh\x00", "abcdefghijklmnop", "abcdefghijklmnoq"}[rng.IntN(13)]
		switch b := b.(type) {
		case *array.BooleanBuilder:
			b.Append(i&1 != 0)
		case *array.Int8Builder:
			b.Append(int8(i))
		case *array.Int16Builder:
			b.Append(int16(i))
		case *array.Int32Builder:
			b.Append(int32(i))
		case *array.Int64Builder:
			b.Append(i)
		case *array.Uint8Builder:
			b.Append(uint8(i))
		case *array.Uint64Builder:
			b.Append(uint64(i))
		case *array.Float32Builder:
			b.Append(float32(f))
		case *array.Float64Builder:
			b.Append(f)
		case *array.StringBuilder:
			b.Append(s)
		case *array.LargeStringBuilder:
			b.Append(s)
		case *array.BinaryBuilder:
			b.Append([]byte(s))
		case *array.Date32Builder:
			b.Append(arrow.Date32(i))
		case *array.TimestampBuilder:
			b.Append(arrow.Timestamp(i))
		case *array.Decimal128Builder:
			if b.Type().(*arrow.Decimal128Type).Precision == 18 {
				b.Append(decimal128.FromI64(i % 1e18))
			} else {
				b.Append(decimal128.New(rng.Int64N(5)-2, uint64(i)))
			}
		case *array.NullBuilder:
			b.AppendNull()
		default:
			panic(t)
		}
	}
	return b.NewArray()
}

// compare is SQL's order of values i and j of a, by the arrays' own accessors.
func compare(a arrow.Array, i, j int) int {
	switch a := a.(type) {
	case *array.Boolean:
		return cmp.Compare(btoi(a.Value(i)), btoi(a.Value(j)))
	case *array.Int8:
		return cmp.Compare(a.Value(i), a.Value(j))
	case *array.Int16:
		return cmp.Compare(a.Value(i), a.Value(j))
	case *array.Int32:
		return cmp.Compare(a.Value(i), a.Value(j))
	case *array.Int64:
		return cmp.Compare(a.Value(i), a.Value(j))
	case *array.Uint8:
		return cmp.Compare(a.Value(i), a.Value(j))
	case *array.Uint64:
		return cmp.Compare(a.Value(i), a.Value(j))
	case *array.Float32:
		return floats(float64(a.Value(i)), float64(a.Value(j)))
	case *array.Float64:
		return floats(a.Value(i), a.Value(j))
	case *array.String:
		return cmp.Compare(a.Value(i), a.Value(j))
	case *array.LargeString:
		return cmp.Compare(a.Value(i), a.Value(j))
	case *array.Binary:
		return bytes.Compare(a.Value(i), a.Value(j))
	case *array.Date32:
		return cmp.Compare(a.Value(i), a.Value(j))
	case *array.Timestamp:
		return cmp.Compare(a.Value(i), a.Value(j))
	case *array.Decimal128:
		return a.Value(i).Cmp(a.Value(j))
	}
	return 0
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

func floats(a, b float64) int {
	switch {
	case a != a && b != b:
		return 0
	case a != a:
		return 1
	case b != b:
		return -1
	}
	return cmp.Compare(a, b)
}

func (k *Keys) compare(p *Plan, i, j int) int {
	if p.Words() == 0 {
		return 0
	}
	c := cmp.Compare(k.W0[i], k.W0[j])
	if c == 0 && p.Words() == 2 {
		c = cmp.Compare(k.W1[i], k.W1[j])
	}
	if c == 0 && p.Tail() {
		c = bytes.Compare(k.Tail(i), k.Tail(j))
	}
	return c
}

// Keys compare as the rows do, whatever the types, directions and places of nulls; keys of NewEqual are equal when the rows are.
func TestKeysCompareAsRowsDo(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 5))
	const n = 120
	words := map[string]int{}
	for round := range 600 {
		var cols []Column
		var arrs []arrow.Array
		for range 1 + rng.IntN(4) {
			c := Column{Type: types[rng.IntN(len(types))], Nullable: rng.IntN(3) > 0, Desc: rng.IntN(2) == 0, NullsFirst: rng.IntN(2) == 0}
			c.Nullable = c.Nullable || c.Type.ID() == arrow.NULL
			whole := random(rng, c.Type, n+3, c.Nullable)
			defer whole.Release()
			a := array.NewSlice(whole, 3, n+3)
			defer a.Release()
			cols, arrs = append(cols, c), append(arrs, a)
		}
		if round == 0 {
			cols, arrs = nil, nil
		}
		p, err := New(cols)
		if err != nil {
			t.Fatal(err)
		}
		equal, err := NewEqual(cols)
		if err != nil {
			t.Fatal(err)
		}
		words[fmt.Sprint(p.Words(), p.Tail())]++
		var keys, same Keys
		for lo := 0; lo < n; lo += 50 { // in batches
			var part []arrow.Array
			for _, a := range arrs {
				s := array.NewSlice(a, int64(lo), int64(min(lo+50, n)))
				defer s.Release()
				part = append(part, s)
			}
			m := min(50, n-lo)
			if err := p.NewEncoder().Encode(part, m, &keys); err != nil {
				t.Fatal(err)
			}
			if err := equal.NewEncoder().Encode(part, m, &same); err != nil {
				t.Fatal(err)
			}
		}
		for i := range n {
			for j := range n {
				want := 0
				for k, a := range arrs {
					ni, nj := a.IsNull(i), a.IsNull(j)
					switch {
					case ni && nj:
						continue
					case ni != nj:
						if want = 1; ni == cols[k].NullsFirst {
							want = -1
						}
					default:
						if want = compare(a, i, j); cols[k].Desc {
							want = -want
						}
					}
					if want != 0 {
						break
					}
				}
				if got := keys.compare(p, i, j); got != want {
					t.Fatalf("round %d, %+v: rows %d and %d compare as %d, want %d", round, cols, i, j, got, want)
				}
				if got := same.compare(equal, i, j); (got == 0) != (want == 0) {
					t.Fatalf("round %d, %+v: rows %d and %d compare as %d, their values as %d", round, cols, i, j, got, want)
				}
			}
		}
	}
	for _, kind := range []string{"0 false", "1 false", "2 false", "1 true"} {
		if words[kind] == 0 {
			t.Errorf("no keys of %s words: %v", kind, words)
		}
	}
}

func TestNoOrder(t *testing.T) {
	list := arrow.ListOf(arrow.PrimitiveTypes.Int64)
	if _, err := New([]Column{{Type: list}}); err == nil || Orderable(list) {
		t.Error("lists have an order")
	}
	if i := slices.IndexFunc(types, func(t arrow.DataType) bool { return !Orderable(t) }); i >= 0 {
		t.Errorf("%s has no order", types[i])
	}
}
