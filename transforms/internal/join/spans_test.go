package join

import (
	"math"
	"testing"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/memory"
	"pgregory.net/rapid"
)

func drawInts(t *rapid.T, what string, n, most int) (arrow.Array, []int64) {
	b := array.NewInt64Builder(memory.DefaultAllocator)
	v := make([]int64, n)
	for i := range v {
		if v[i] = int64(rapid.IntRange(-1, most).Draw(t, what)); v[i] < 0 {
			b.AppendNull()
		} else {
			b.Append(v[i])
		}
	}
	return b.NewArray(), v
}

// A value is in the first row of the table whose key is its own and whose span it lies in, as a search through all rows finds it.
func TestSpansAgainstSearch(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n, open := rapid.IntRange(0, 25).Draw(t, "rows"), rapid.Bool().Draw(t, "as of")
		key, keys := drawInts(t, "key", n, rapid.IntRange(0, 4).Draw(t, "keys"))
		from, begins := drawInts(t, "from", n, 20)
		to, ends := drawInts(t, "to", n, 20)
		ix, err := NewIndex([]arrow.DataType{key.DataType()}, [][]arrow.Array{{key}}, n)
		if err != nil {
			t.Fatal(err)
		}
		var s *Spans
		if open {
			s, err = NewSpans(ix, from, nil)
		} else {
			s, err = NewSpans(ix, from, to)
		}
		if err != nil {
			t.Fatal(err)
		}
		in := func(row int, v int64) bool {
			return (begins[row] < 0 || begins[row] <= v) && (open || ends[row] < 0 || v < ends[row])
		}
		twice := false
		m := rapid.IntRange(0, 20).Draw(t, "values")
		pkey, pkeys := drawInts(t, "key", m, 5)
		at, values := drawInts(t, "value", m, 21)
		ids := make([]int32, m)
		if err := ix.NewProbe().Find([]arrow.Array{pkey}, ids); err != nil {
			t.Fatal(err)
		}
		ordinals, err := Ordinals(at, nil)
		if err != nil {
			t.Fatal(err)
		}
		s.Match(ids, ordinals, at)
		for i := range m {
			want := -1
			for row := range n {
				if pkeys[i] < 0 || values[i] < 0 || keys[row] != pkeys[i] || !in(row, values[i]) {
					continue
				}
				if want < 0 || open && begins[row] > begins[want] {
					want = row
				}
			}
			if int(ids[i]) != want {
				t.Fatalf("key %d at %d: row %d, want %d", pkeys[i], values[i], ids[i], want)
			}
		}
		for v := int64(-1); v <= 21; v++ { // -1 is before all that begins
			for a := range n {
				for b := range a {
					same := keys[a] >= 0 && keys[a] == keys[b]
					twice = twice || same && (!open && in(a, v) && in(b, v) || open && begins[a] == begins[b])
				}
			}
		}
		if _, _, ok := s.Twice(); ok != twice {
			t.Fatalf("twice: %v, want %v", ok, twice)
		}
	})
}

// Ordinals are ordered as the values, for every type that has them.
func TestOrdinals(t *testing.T) {
	floats := array.NewFloat64Builder(memory.DefaultAllocator)
	floats.AppendValues([]float64{math.Inf(-1), -1e300, -1, -1e-300, 0, 1e-300, 1, 1e300, math.Inf(1), math.NaN()}, nil)
	small := array.NewFloat32Builder(memory.DefaultAllocator)
	small.AppendValues([]float32{-2, -1, 0, 0.5, 3}, nil)
	wide := array.NewUint64Builder(memory.DefaultAllocator)
	wide.AppendValues([]uint64{0, 1, 1 << 63, math.MaxUint64}, nil)
	tiny := array.NewInt8Builder(memory.DefaultAllocator)
	tiny.AppendValues([]int8{-128, -1, 0, 127}, nil)
	for _, a := range []arrow.Array{floats.NewArray(), small.NewArray(), wide.NewArray(), tiny.NewArray()} {
		got, err := Ordinals(a, nil)
		if err != nil {
			t.Fatal(err)
		}
		for i := 1; i < len(got); i++ {
			if got[i-1] >= got[i] {
				t.Errorf("%s: %v is not before %v", a.DataType(), a.ValueStr(i-1), a.ValueStr(i))
			}
		}
	}
	minus := array.NewFloat64Builder(memory.DefaultAllocator)
	minus.AppendValues([]float64{0, math.Copysign(0, -1)}, nil)
	if got, _ := Ordinals(minus.NewArray(), nil); got[0] != got[1] {
		t.Error("-0 is not 0")
	}
}
