package take

import (
	"strings"
	"testing"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/memory"
	"pgregory.net/rapid"
)

// columns are JSON values of every type that a column of Sluice may have, nulls among them.
var columns = []struct {
	typ  arrow.DataType
	json string
}{
	{arrow.FixedWidthTypes.Boolean, `[true, false, null, true, true]`},
	{arrow.PrimitiveTypes.Int8, `[1, -2, null, 3, 4]`},
	{arrow.PrimitiveTypes.Uint16, `[1, 2, null, 3, 65535]`},
	{arrow.PrimitiveTypes.Int32, `[1, 2, 3, 4, 5]`},
	{arrow.PrimitiveTypes.Float64, `[1.5, null, 3, null, 5]`},
	{arrow.FixedWidthTypes.Date32, `["2026-11-22", null, "1969-12-31", "2000-02-29", "2000-01-01"]`},
	{&arrow.TimestampType{Unit: arrow.Microsecond}, `["2026-11-22 01:02:03", null, "1969-12-31 00:00:00", null, "2000-01-01 00:00:00"]`},
	{&arrow.Decimal128Type{Precision: 38, Scale: 2}, `["1.25", null, "-99999999999999999999.99", "0", "3"]`},
	{&arrow.FixedSizeBinaryType{ByteWidth: 3}, `["AAAA", null, "AQID", "AAAB", "AAAC"]`},
	{arrow.BinaryTypes.String, `["", "a", null, "héllo", "a long string that is not short"]`},
	{arrow.BinaryTypes.LargeString, `["", "a", null, "b", "c"]`},
	{arrow.BinaryTypes.Binary, `["AA==", null, "AQID", "", "AQ=="]`},
	{arrow.ListOf(arrow.PrimitiveTypes.Int64), `[[1, 2], [], null, [null, 3], [4]]`},
	{arrow.LargeListOf(arrow.BinaryTypes.String), `[["a"], [], null, [null, "b"], ["c", "d"]]`},
	{arrow.FixedSizeListOf(2, arrow.PrimitiveTypes.Int8), `[[1, 2], [3, 4], null, [5, 6], [7, null]]`},
	{arrow.StructOf(arrow.Field{Name: "a", Type: arrow.PrimitiveTypes.Int8, Nullable: true}, arrow.Field{Name: "b", Type: arrow.ListOf(arrow.BinaryTypes.String), Nullable: true}),
		`[{"a": 1, "b": ["x"]}, {"a": null, "b": null}, null, {"a": 2, "b": []}, {"a": 3, "b": ["y", null]}]`},
	{arrow.Null, `[null, null, null, null, null]`},
	{&arrow.DictionaryType{IndexType: arrow.PrimitiveTypes.Int8, ValueType: arrow.BinaryTypes.String}, `["a", "b", null, "a", "c"]`},
	{arrow.MapOf(arrow.BinaryTypes.String, arrow.PrimitiveTypes.Int64), `[[{"key": "k", "value": 1}], [], null, [], [{"key": "l", "value": null}]]`},
}

// Row i of the result is row idx[i] of the input, for every type, also of slices.
func TestArray(t *testing.T) {
	for _, c := range columns {
		t.Run(c.typ.String(), func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) {
				mem := memory.NewCheckedAllocator(memory.DefaultAllocator)
				defer mem.AssertSize(t, 0)
				whole, _, err := array.FromJSON(mem, c.typ, strings.NewReader(c.json))
				if err != nil {
					t.Fatal(err)
				}
				defer whole.Release()
				lo := rapid.IntRange(0, whole.Len()-1).Draw(t, "from")
				a := array.NewSlice(whole, int64(lo), int64(whole.Len()))
				defer a.Release()
				idx := rapid.SliceOfN(rapid.Int32Range(0, int32(a.Len()-1)), 0, 12).Draw(t, "index")
				for _, sel := range []*selection{{n: len(idx), idx: idx}, {n: len(idx), runs: runsOf(idx, len(idx))}} {
					compare(t, a, sel, idx, mem)
				}
			})
		})
	}
}

// compare takes the selection, which is the rows idx, of a, and looks at each row.
func compare(t *rapid.T, a arrow.Array, sel *selection, idx []int32, mem memory.Allocator) {
	got, err := rows(a, sel, mem)
	if err != nil {
		t.Fatal(err)
	}
	defer got.Release()
	if got.Len() != len(idx) || !arrow.TypeEqual(got.DataType(), a.DataType()) {
		t.Fatalf("%d rows of %s, want %d of %s", got.Len(), got.DataType(), len(idx), a.DataType())
	}
	nulls := 0
	for i, x := range idx {
		if got.ValueStr(i) != a.ValueStr(int(x)) || got.IsNull(i) != a.IsNull(int(x)) {
			t.Fatalf("row %d is %s, want row %d: %s", i, got.ValueStr(i), x, a.ValueStr(int(x)))
		}
		if got.IsNull(i) || a.DataType() == arrow.Null { // Arrow's null type has no bitmap for IsNull to look at
			nulls++
		}
	}
	if got.NullN() != nulls {
		t.Fatalf("NullN is %d, want %d", got.NullN(), nulls)
	}
}

func TestUnsupportedType(t *testing.T) {
	b := array.NewBuilder(memory.DefaultAllocator, arrow.RunEndEncodedOf(arrow.PrimitiveTypes.Int16, arrow.PrimitiveTypes.Int64))
	defer b.Release()
	b.AppendNull()
	a := b.NewArray()
	defer a.Release()
	if _, err := Array(a, []int32{0}, memory.DefaultAllocator); err == nil || !strings.Contains(err.Error(), "not supported") {
		t.Fatalf("got %v, want an error that says the type is not supported", err)
	}
}

// A run of consecutive rows is a slice that shares memory; anything else is a copy; a record without columns keeps its count.
func TestRecord(t *testing.T) {
	mem := memory.NewCheckedAllocator(memory.DefaultAllocator)
	defer mem.AssertSize(t, 0)
	s := arrow.NewSchema([]arrow.Field{{Name: "a", Type: arrow.PrimitiveTypes.Int64}}, nil)
	rec, _, err := array.RecordFromJSON(mem, s, strings.NewReader(`[{"a": 1}, {"a": 2}, {"a": 3}]`))
	if err != nil {
		t.Fatal(err)
	}
	defer rec.Release()
	for _, c := range []struct {
		idx    []int32
		want   string
		shared bool
	}{
		{nil, "[]", false},
		{[]int32{0, 1, 2}, "[1 2 3]", true},
		{[]int32{1, 2}, "[2 3]", true},
		{[]int32{2, 0}, "[3 1]", false},
	} {
		got, err := Record(rec, c.idx, mem)
		if err != nil {
			t.Fatal(err)
		}
		if got.Column(0).String() != c.want || got.NumRows() != int64(len(c.idx)) {
			t.Errorf("rows %v: %s, want %s", c.idx, got.Column(0), c.want)
		}
		if shared := got.Column(0).Data().Buffers()[1] == rec.Column(0).Data().Buffers()[1]; c.idx != nil && shared != c.shared {
			t.Errorf("rows %v: shares memory %v, want %v", c.idx, shared, c.shared)
		}
		got.Release()
	}
	none := array.NewRecord(arrow.NewSchema(nil, nil), nil, 3)
	defer none.Release()
	got, err := Record(none, []int32{2, 0}, mem)
	if err != nil || got.NumRows() != 2 {
		t.Fatalf("%d rows of a record without columns, want 2 (%v)", got.NumRows(), err)
	}
	got.Release()
}

// Where nearly all rows stay they are copied run by run: the same rows as one by one.
func TestRuns(t *testing.T) {
	const n, before = 3000, 5 // the arrays are slices: their bits begin within a byte
	b := array.NewInt64Builder(memory.DefaultAllocator)
	defer b.Release()
	for i := range n + before {
		b.Append(int64(i - before))
	}
	a := array.NewSlice(b.NewArray(), before, n+before)
	defer a.Release()
	small := array.NewInt16Builder(memory.DefaultAllocator)
	defer small.Release()
	for i := range n + before {
		if (i-before)%3 == 0 {
			small.AppendNull()
		} else {
			small.Append(int16(i - before))
		}
	}
	s := array.NewSlice(small.NewArray(), before, n+before)
	defer s.Release()
	rec := array.NewRecord(arrow.NewSchema([]arrow.Field{{Name: "a", Type: a.DataType()}, {Name: "s", Type: s.DataType(), Nullable: true}}, nil), []arrow.Array{a, s}, n)
	defer rec.Release()
	inRuns := 0
	rapid.Check(t, func(t *rapid.T) {
		mem := memory.NewCheckedAllocator(memory.DefaultAllocator)
		defer mem.AssertSize(t, 0)
		var idx []int32
		longest := rapid.SampledFrom([]int{1, 10, 40, 700}).Draw(t, "longest run")
		for at := rapid.IntRange(0, 20).Draw(t, "from"); at < n; {
			for range rapid.IntRange(1, longest).Draw(t, "run") {
				if at < n {
					idx = append(idx, int32(at))
				}
				at++
			}
			if at += rapid.IntRange(-3, 9).Draw(t, "gap"); at < 0 {
				at = 0
			}
		}
		if selectionOf(idx).runs != nil {
			inRuns++
		}
		got, err := Record(rec, idx, mem)
		if err != nil {
			t.Fatal(err)
		}
		defer got.Release()
		x, y := got.Column(0).(*array.Int64), got.Column(1).(*array.Int16)
		for i, want := range idx {
			if x.Value(i) != int64(want) || y.IsNull(i) != (want%3 == 0) || y.IsValid(i) && y.Value(i) != int16(want) {
				t.Fatalf("row %d is %s and %s, want row %d", i, x.ValueStr(i), y.ValueStr(i), want)
			}
		}
	})
	if inRuns == 0 {
		t.Error("nothing was copied in runs")
	}
}

// Texts are copied with what follows them where there is room: none but their own bytes are left.
func TestScatteredTexts(t *testing.T) {
	mem := memory.NewCheckedAllocator(memory.DefaultAllocator)
	defer mem.AssertSize(t, 0)
	b := array.NewStringBuilder(mem)
	defer b.Release()
	var want []string
	for i := range 2000 {
		want = append(want, strings.Repeat(string(rune('a'+i%26)), i*7%41))
		b.Append(want[i])
	}
	a := b.NewStringArray()
	defer a.Release()
	for _, n := range []int{1, 2, 255, 256, 257, 1999} {
		var idx []int32
		for i := range n {
			idx = append(idx, int32(i*1237%2000))
		}
		got, err := Array(a, idx, mem)
		if err != nil {
			t.Fatal(err)
		}
		for i, r := range idx {
			if got.(*array.String).Value(i) != want[r] {
				t.Fatalf("row %d of %d is %q, want %q", i, n, got.(*array.String).Value(i), want[r])
			}
		}
		got.Release()
	}
}
