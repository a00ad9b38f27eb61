package join

import (
	"fmt"
	"slices"
	"testing"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/memory"
	"pgregory.net/rapid"
)

// values are texts that a builder of the type takes; the first few of some lie close together, all of them do not.
var values = []struct {
	typ   arrow.DataType
	texts []string
}{
	{arrow.PrimitiveTypes.Int8, []string{"0", "1", "-128", "127"}},
	{arrow.PrimitiveTypes.Int16, []string{"5", "-32768", "32767", "6"}},
	{arrow.PrimitiveTypes.Int32, adjacent(90)},
	{arrow.PrimitiveTypes.Int64, adjacent(60)},
	{arrow.PrimitiveTypes.Int32, []string{"7", "8", "9", "4104", "-2147483648", "2147483647"}},
	{arrow.PrimitiveTypes.Int64, []string{"-1", "0", "1", "9223372036854775807", "-9223372036854775808"}},
	{arrow.PrimitiveTypes.Uint8, []string{"0", "255"}},
	{arrow.PrimitiveTypes.Uint16, []string{"0", "4095", "4096", "65535"}},
	{arrow.PrimitiveTypes.Uint32, []string{"0", "4294967295", "4294967290"}},
	{arrow.PrimitiveTypes.Uint64, []string{"18446744073709551615", "18446744073709551600", "0"}},
	{arrow.FixedWidthTypes.Date32, []string{"2026-11-22", "2026-11-23", "0001-01-01"}},
	{&arrow.TimestampType{Unit: arrow.Microsecond}, []string{"2026-11-22 00:00:00", "2026-11-22 00:00:00.000001", "1900-01-01 00:00:00"}},
	{arrow.FixedWidthTypes.Boolean, []string{"true", "false"}},
	{arrow.PrimitiveTypes.Float64, []string{"0", "1.5", "-2"}},
	{arrow.BinaryTypes.String, []string{"", "a", "long enough not to fit two words", "b"}},
	{&arrow.Decimal128Type{Precision: 38, Scale: 2}, []string{"1.25", "99999999999999999999.00", "-3.00"}},
}

// adjacent are numbers that lie close together: the table computes their places.
func adjacent(n int) []string {
	out := make([]string, n)
	for i := range out {
		out[i] = fmt.Sprint(100 + 3*i)
	}
	return out
}

// drawColumn draws n values and null, and appends their texts to the rows' names; "" in one is null.
func drawColumn(t *rapid.T, mem memory.Allocator, of int, n int, names []string, null []bool) arrow.Array {
	b := array.NewBuilder(mem, values[of].typ)
	defer b.Release()
	texts := values[of].texts[:rapid.IntRange(1, len(values[of].texts)).Draw(t, "values")]
	for i := range n {
		v := rapid.IntRange(-1, len(texts)-1).Draw(t, "value")
		if v < 0 {
			b.AppendNull()
			null[i] = true
			continue
		}
		if err := b.AppendValueFromString(texts[v]); err != nil {
			t.Fatal(err)
		}
		names[i] += fmt.Sprintf("|%q", texts[v])
	}
	return b.NewArray()
}

func draw(t *rapid.T, mem memory.Allocator, types []int) (cols []arrow.Array, names []string, null []bool) {
	n := rapid.IntRange(0, 150).Draw(t, "rows")
	names, null = make([]string, n), make([]bool, n)
	for _, of := range types {
		cols = append(cols, drawColumn(t, mem, of, n, names, null))
	}
	return cols, names, null
}

func typesOf(cols []arrow.Array) (out []arrow.DataType) {
	for _, c := range cols {
		out = append(out, c.DataType())
	}
	return out
}

// cutAt is the n rows of cols in pieces that end at the places given.
func cutAt(cols []arrow.Array, places []int, n int) (pieces [][]arrow.Array) {
	from := 0
	places = append(slices.Clone(places), n)
	slices.Sort(places)
	for _, end := range places {
		piece := []arrow.Array{}
		for _, c := range cols {
			piece = append(piece, array.NewSlice(c, int64(from), int64(end)))
		}
		pieces, from = append(pieces, piece), end
	}
	return pieces
}

func release(cols []arrow.Array) {
	for _, c := range cols {
		c.Release()
	}
}

// Every row finds the rows of the table that have its key, in their order, as a map over texts does; null finds none.
func TestIndexAgainstMap(t *testing.T) {
	for _, from := range []int{buildFrom, 0} {
		t.Run(fmt.Sprint(from), func(t *testing.T) {
			defer func(was int) { buildFrom = was }(buildFrom)
			buildFrom = from
			indexAgainstMap(t)
		})
	}
}

func indexAgainstMap(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		mem := memory.NewCheckedAllocator(memory.DefaultAllocator)
		defer mem.AssertSize(t, 0)
		types := rapid.SliceOfN(rapid.IntRange(0, len(values)-1), 0, 3).Draw(t, "types")
		cols, names, null := draw(t, mem, types)
		pieces := cutAt(cols, rapid.SliceOfN(rapid.IntRange(0, len(names)), 0, 3).Draw(t, "cuts"), len(names))
		ix, err := NewIndex(typesOf(cols), pieces, len(names))
		for _, p := range pieces {
			release(p)
		}
		release(cols)
		if err != nil {
			t.Fatal(err)
		}
		want, twice := map[string][]int32{}, false
		for i, name := range names {
			if !null[i] {
				want[name] = append(want[name], int32(i))
				twice = twice || len(want[name]) > 1
			}
		}
		a, b, ok := ix.Twice()
		if ok != twice || ok && (names[a] != names[b] || null[a] || null[b] || a >= b) {
			t.Fatalf("twice: %d, %d, %v, want %v", a, b, ok, twice)
		}
		probe := ix.NewProbe()
		for range 2 {
			cols, names, null := draw(t, mem, types)
			ids := make([]int32, len(names))
			err := probe.Find(cols, ids)
			release(cols)
			if err != nil {
				t.Fatal(err)
			}
			first := slices.Clone(ids)
			ix.First(first)
			for i, id := range ids {
				rows, one := want[names[i]], [1]int32{}
				if null[i] {
					rows = nil
				}
				if got := ix.Rows(id, &one); !slices.Equal(got, rows) || len(rows) == 0 && first[i] != -1 || len(rows) > 0 && first[i] != rows[0] {
					t.Fatalf("row %d %s finds %v, first %d, want %v", i, names[i], got, first[i], rows)
				}
			}
		}
	})
}

// A table of many texts is built on all processors: some short, some in two words, some that come again, some null, and in shares so full
// that rows overflow them.
func TestIndexOfManyTexts(t *testing.T) {
	const n = 200_000
	text := func(i int) string {
		switch {
		case i%3 == 0:
			return fmt.Sprint(i)
		case i%1000 == 1:
			return "same"
		}
		return fmt.Sprint("order-", i)
	}
	b := array.NewStringBuilder(memory.DefaultAllocator)
	defer b.Release()
	for i := range n {
		if i%5000 == 4999 {
			b.AppendNull()
			continue
		}
		b.Append(text(i))
	}
	a := b.NewArray()
	defer a.Release()
	ix, err := NewIndex([]arrow.DataType{a.DataType()}, [][]arrow.Array{{a}}, n)
	if err != nil {
		t.Fatal(err)
	}
	if x, y, ok := ix.Twice(); !ok || text(x) != "same" || text(y) != "same" || x >= y {
		t.Errorf("twice: %d, %d, %v", x, y, ok)
	}
	ids := make([]int32, n)
	if err := ix.NewProbe().Find([]arrow.Array{a}, ids); err != nil {
		t.Fatal(err)
	}
	same, want := 0, 0
	for i := range n {
		var one [1]int32
		got := ix.Rows(ids[i], &one)
		switch {
		case i%5000 == 4999:
			if len(got) != 0 {
				t.Fatalf("row %d, a null, finds %v", i, got)
			}
		case text(i) == "same":
			want++
			if same = len(got); got[0] != 1 || !slices.Contains(got, int32(i)) {
				t.Fatalf("row %d finds %d rows from %d on", i, len(got), got[0])
			}
		case len(got) != 1 || got[0] != int32(i):
			t.Fatalf("row %d finds %v", i, got)
		}
	}
	if same != want {
		t.Errorf("%d rows are the same, want %d", same, want)
	}
}

func TestTypesWithoutEquality(t *testing.T) {
	a := array.MakeArrayOfNull(memory.DefaultAllocator, arrow.ListOf(arrow.PrimitiveTypes.Int8), 1)
	defer a.Release()
	if _, err := NewIndex([]arrow.DataType{a.DataType()}, [][]arrow.Array{{a}}, 1); err == nil {
		t.Error("lists were indexed")
	}
}
