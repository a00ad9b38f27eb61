package keys

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/decimal128"
	"github.com/apache/arrow/go/v17/arrow/memory"
	"pgregory.net/rapid"
)

// cell draws an index into a small domain of values of each type; the values that are equal as keys have equal names.
type domain struct {
	typ   arrow.DataType
	names []string
	add   func(b array.Builder, i int)
}

var dec = &arrow.Decimal128Type{Precision: 38, Scale: 2}

func nums[T any, B interface{ Append(T) }](typ arrow.DataType, vals []T, names ...string) domain {
	if names == nil {
		for _, v := range vals {
			names = append(names, fmt.Sprint(v))
		}
	}
	return domain{typ, names, func(b array.Builder, i int) { b.(B).Append(vals[i]) }}
}

var texts = []string{"", "a", "b", "a\x00", "1234567", "12345678", "123456789012345", "1234567890123456", strings.Repeat("x", 100), "\xff\xff\xff\xff\xff\xff\xff"}

var domains = []domain{
	nums[bool, *array.BooleanBuilder](arrow.FixedWidthTypes.Boolean, []bool{true, false}),
	nums[int8, *array.Int8Builder](arrow.PrimitiveTypes.Int8, []int8{0, 1, -1}),
	nums[uint16, *array.Uint16Builder](arrow.PrimitiveTypes.Uint16, []uint16{0, 1, 65535}),
	nums[arrow.Date32, *array.Date32Builder](arrow.FixedWidthTypes.Date32, []arrow.Date32{0, 1, -1, 20000}),
	nums[int64, *array.Int64Builder](arrow.PrimitiveTypes.Int64, []int64{0, 1, -1, math.MaxInt64, math.MinInt64}),
	nums[float32, *array.Float32Builder](arrow.PrimitiveTypes.Float32, []float32{0, float32(math.Copysign(0, -1)), 1, float32(math.NaN())}, "0", "0", "1", "NaN"),
	nums[float64, *array.Float64Builder](arrow.PrimitiveTypes.Float64, []float64{0, math.Copysign(0, -1), 1, math.NaN(), math.Float64frombits(0x7FF8000000000123)}, "0", "0", "1", "NaN", "NaN"),
	nums[decimal128.Num, *array.Decimal128Builder](dec, []decimal128.Num{{}, decimal128.New(1, 0), decimal128.FromI64(-5)}),
	nums[string, *array.StringBuilder](arrow.BinaryTypes.String, texts),
	nums[string, *array.LargeStringBuilder](arrow.BinaryTypes.LargeString, texts),
	nums[string, *array.StringBuilder](arrow.BinaryTypes.String, texts[:5]), // all fit a word
}

// Tuples drawn at random get the numbers that a map over their text gives them, and come back out as the columns they were,
// however they are cut into batches, and although the encoding changes on the way.
func TestInternAgainstMap(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		mem := memory.NewCheckedAllocator(memory.DefaultAllocator)
		defer mem.AssertSize(t, 0)
		ncol := rapid.IntRange(0, 4).Draw(t, "columns")
		var ds []domain
		var types []arrow.DataType
		for range ncol {
			d := rapid.SampledFrom(domains).Draw(t, "type")
			ds, types = append(ds, d), append(types, d.typ)
		}
		plan, err := NewPlan(types)
		if err != nil {
			t.Fatal(err)
		}
		enc, tab, ref := plan.NewEncoder(), plan.NewTable(), map[string]uint32{}
		var order []string
		limit := rapid.IntRange(1, 20).Draw(t, "values used") // few at first, so that long strings come late
		for range rapid.IntRange(1, 6).Draw(t, "batches") {
			cols, names := drawRows(t, mem, ds, limit)
			rows, err := enc.Encode(cols, len(names))
			for _, c := range cols {
				c.Release()
			}
			if err != nil {
				t.Fatal(err)
			}
			ids := make([]uint32, len(names))
			tab.Intern(rows, ids)
			for i, name := range names {
				want, ok := ref[name]
				if !ok {
					want = uint32(len(order))
					ref[name] = want
					order = append(order, name)
				}
				if ids[i] != want {
					t.Fatalf("row %d %s: number %d, want %d", i, name, ids[i], want)
				}
			}
			limit += 4
		}
		if tab.Len() != len(order) {
			t.Fatalf("%d tuples, want %d", tab.Len(), len(order))
		}
		checkColumns(t, ds, tab, order)
		checkView(t, plan, tab)
	})
}

// drawRows draws rows of the first limit values of each domain, and their names.
func drawRows(t *rapid.T, mem memory.Allocator, ds []domain, limit int) (cols []arrow.Array, names []string) {
	n := rapid.IntRange(0, 40).Draw(t, "rows")
	names = make([]string, n)
	cols = make([]arrow.Array, len(ds))
	for c, d := range ds {
		b := array.NewBuilder(mem, d.typ)
		for i := range n {
			v := rapid.IntRange(-1, min(limit, len(d.names))-1).Draw(t, "value")
			if v < 0 {
				b.AppendNull()
				names[i] += "|null"
			} else {
				d.add(b, v)
				names[i] += fmt.Sprintf("|%q", d.names[v])
			}
		}
		whole := b.NewArray()
		b.Release()
		cut := int64(rapid.IntRange(0, n).Draw(t, "slice"))
		cols[c] = array.NewSlice(whole, 0, int64(n))
		if c == 0 && len(ds) == 1 {
			cols[c].Release()
			cols[c] = array.NewSlice(whole, cut, int64(n))
			names = names[cut:]
		}
		whole.Release()
	}
	return cols, names
}

// What a table has is found under its number, whatever the encoding of either side, and nothing else is.
func TestFindAgainstMap(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		mem := memory.NewCheckedAllocator(memory.DefaultAllocator)
		defer mem.AssertSize(t, 0)
		var ds []domain
		var types []arrow.DataType
		for range rapid.IntRange(0, 4).Draw(t, "columns") {
			d := rapid.SampledFrom(domains).Draw(t, "type")
			ds, types = append(ds, d), append(types, d.typ)
		}
		plan, err := NewPlan(types)
		if err != nil {
			t.Fatal(err)
		}
		tab, ref := plan.NewTable(), map[string]int32{}
		encode := func(enc *Encoder, limit int) (*Rows, []string) {
			cols, names := drawRows(t, mem, ds, limit)
			rows, err := enc.Encode(cols, len(names))
			for _, c := range cols {
				c.Release()
			}
			if err != nil {
				t.Fatal(err)
			}
			return rows, names
		}
		rows, names := encode(plan.NewEncoder(), rapid.IntRange(1, 20).Draw(t, "values in the table"))
		ids := make([]uint32, len(names))
		tab.Intern(rows, ids)
		for i, name := range names {
			ref[name] = int32(ids[i])
		}
		tab.Settle()
		find := tab.NewFinder()
		for range 3 {
			rows, names := encode(find, rapid.IntRange(1, 20).Draw(t, "values looked for"))
			got := make([]int32, len(names))
			tab.Find(rows, got)
			for i, name := range names {
				want, ok := ref[name]
				if !ok {
					want = -1
				}
				if got[i] != want {
					t.Fatalf("row %d %s: number %d, want %d", i, name, got[i], want)
				}
			}
		}
		if tab.Len() != len(ref) {
			t.Fatalf("looking changed the table: %d tuples, want %d", tab.Len(), len(ref))
		}
	})
}

func checkColumns(t *rapid.T, ds []domain, tab *Table, order []string) {
	lo := min(1, tab.Len())
	cols, err := tab.Columns(memory.DefaultAllocator, lo, tab.Len())
	if err != nil {
		t.Fatal(err)
	}
	for i := lo; i < tab.Len(); i++ {
		got := ""
		for c, a := range cols {
			got += "|" + name(a, i-lo, ds[c])
		}
		if got != order[i] {
			t.Fatalf("tuple %d reads %s, want %s", i, got, order[i])
		}
	}
	for _, a := range cols {
		a.Release()
	}
}

func name(a arrow.Array, i int, d domain) string {
	if a.IsNull(i) {
		return "null"
	}
	for v, s := range d.names {
		b := array.NewBuilder(memory.DefaultAllocator, d.typ)
		d.add(b, v)
		want := b.NewArray()
		same := a.ValueStr(i) == want.ValueStr(0)
		want.Release()
		b.Release()
		if same && a.DataType().ID() == d.typ.ID() {
			return fmt.Sprintf("%q", s)
		}
	}
	return "unknown value " + a.ValueStr(i)
}

// A table that takes another one's view numbers its tuples alike: the hashes agree whatever form the keys have.
func checkView(t *rapid.T, plan *Plan, tab *Table) {
	var packed, wide Rows
	tab.View(&packed, 0, tab.Len())
	hashes := append([]uint64(nil), packed.Hashes()...)
	other := plan.NewTable()
	ids := make([]uint32, tab.Len())
	other.Intern(&packed, ids)
	for i, id := range ids {
		if int(id) != i {
			t.Fatalf("tuple %d is %d in the copy", i, id)
		}
	}
	if !other.bytes {
		other.toBytes()
	}
	other.View(&wide, 0, other.Len())
	for i, h := range wide.Hashes() {
		if h != hashes[i] {
			t.Fatalf("tuple %d hashes differently as a byte row", i)
		}
	}
}

func TestTypesThatCannotBeKeys(t *testing.T) {
	for _, typ := range []arrow.DataType{arrow.ListOf(arrow.PrimitiveTypes.Int8), arrow.StructOf(), arrow.FixedWidthTypes.Float16} {
		if _, err := NewPlan([]arrow.DataType{typ}); err == nil {
			t.Errorf("%s is taken as a key", typ)
		}
	}
}

// The hash spreads keys that differ in few bits, over the bits that choose partitions (high) and slots (low).
func TestHashSpread(t *testing.T) {
	for _, step := range []uint64{1, 7919, 1 << 20, 1 << 32, 1 << 48} {
		var hi, lo [256]int
		const n = 1 << 16
		for i := range uint64(n) {
			h := hashWord(i * step)
			hi[h>>56]++
			lo[h&255]++
		}
		for i := range hi {
			if hi[i] < n/256/2 || hi[i] > n/256*2 || lo[i] < n/256/2 || lo[i] > n/256*2 {
				t.Fatalf("step %d: bucket %d has %d (high bits) and %d (low bits) of %d keys", step, i, hi[i], lo[i], n)
			}
		}
	}
}
