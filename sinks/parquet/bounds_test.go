package parquet

import (
	"bytes"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/decimal128"
	"github.com/apache/arrow/go/v17/arrow/float16"
	"github.com/apache/arrow/go/v17/arrow/memory"
	pq "github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/format"
	"pgregory.net/rapid"

	"github.com/sluice-data/sluice/sinks"
)

// oneColumn makes a record of one nullable column; fill appends its values.
func oneColumn(mem memory.Allocator, dt arrow.DataType, fill func(array.Builder)) arrow.Record {
	b := array.NewBuilder(mem, dt)
	defer b.Release()
	fill(b)
	arr := b.NewArray()
	defer arr.Release()
	s := arrow.NewSchema([]arrow.Field{{Name: "v", Type: dt, Nullable: true}}, nil)
	return array.NewRecord(s, []arrow.Array{arr}, int64(arr.Len()))
}

func open(t *testing.T, data []byte) *pq.File {
	t.Helper()
	f, err := pq.OpenFile(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// Statistics of the chunk and of its only page follow the column's order.
func TestStatistics(t *testing.T) {
	nan, inf, negZero := math.NaN(), math.Inf(1), math.Copysign(0, -1)
	f64 := func(v ...float64) func(array.Builder) {
		return func(b array.Builder) { b.(*array.Float64Builder).AppendValues(v, nil) }
	}
	text := func(v ...string) func(array.Builder) {
		return func(b array.Builder) { b.(*array.StringBuilder).AppendValues(v, nil) }
	}
	long := strings.Repeat("é", 200)
	for _, c := range []struct {
		name     string
		typ      arrow.DataType
		fill     func(array.Builder)
		min, max string // of the chunk, hex; "" = left out
		nulls    int64
		pmin     string // of the page, where it differs
		pmax     string
	}{
		{name: "signed", typ: arrow.PrimitiveTypes.Int32, fill: func(b array.Builder) {
			b.(*array.Int32Builder).AppendValues([]int32{-1, 5, 0}, []bool{true, true, false})
		}, min: "ffffffff", max: "05000000", nulls: 1},
		{name: "small signed", typ: arrow.PrimitiveTypes.Int8, fill: func(b array.Builder) { b.(*array.Int8Builder).AppendValues([]int8{-128, 127}, nil) }, min: "80ffffff", max: "7f000000"},
		{name: "unsigned", typ: arrow.PrimitiveTypes.Uint32, fill: func(b array.Builder) { b.(*array.Uint32Builder).AppendValues([]uint32{1 << 31, 7}, nil) }, min: "07000000", max: "00000080"},
		{name: "unsigned long", typ: arrow.PrimitiveTypes.Uint64, fill: func(b array.Builder) { b.(*array.Uint64Builder).AppendValues([]uint64{1 << 63, 7}, nil) }, min: "0700000000000000", max: "0000000000000080"},
		{name: "bool", typ: arrow.FixedWidthTypes.Boolean, fill: func(b array.Builder) { b.(*array.BooleanBuilder).AppendValues([]bool{true, false}, nil) }, min: "00", max: "01"},
		{name: "NaN", typ: arrow.PrimitiveTypes.Float64, fill: f64(nan, 1, nan, 2), pmin: "000000000000f0ff", pmax: "000000000000f07f"},
		{name: "infinities", typ: arrow.PrimitiveTypes.Float64, fill: f64(inf, 1, -inf, 2), min: "000000000000f0ff", max: "000000000000f07f"},
		{name: "only NaN", typ: arrow.PrimitiveTypes.Float64, fill: f64(nan, nan), pmin: "000000000000f0ff", pmax: "000000000000f07f"},
		{name: "infinity", typ: arrow.PrimitiveTypes.Float64, fill: f64(inf, inf), min: "000000000000f07f", max: "000000000000f07f"},
		{name: "zeros cover both signs", typ: arrow.PrimitiveTypes.Float64, fill: f64(0, 0), min: "0000000000000080", max: "0000000000000000"},
		{name: "negative zero", typ: arrow.PrimitiveTypes.Float64, fill: f64(negZero, 3), min: "0000000000000080", max: "0000000000000840"},
		{name: "half", typ: arrow.FixedWidthTypes.Float16, fill: func(b array.Builder) {
			b.(*array.Float16Builder).AppendValues([]float16.Num{float16.New(-2), float16.New(1.5)}, nil)
		}, min: "00c0", max: "003e"},
		{name: "small decimal", typ: &arrow.Decimal128Type{Precision: 5}, fill: func(b array.Builder) {
			b.(*array.Decimal128Builder).AppendValues([]decimal128.Num{decimal128.FromI64(-300), decimal128.FromI64(2)}, nil)
		}, min: "d4feffff", max: "02000000"},
		{name: "large decimal is signed", typ: &arrow.Decimal128Type{Precision: 20}, fill: func(b array.Builder) {
			b.(*array.Decimal128Builder).AppendValues([]decimal128.Num{decimal128.FromI64(-1), decimal128.FromI64(2), decimal128.FromI64(-300)}, nil)
		}, min: "fffffffffffffffed4", max: "000000000000000002"},
		{name: "text by its bytes", typ: arrow.BinaryTypes.String, fill: text("b", "", "é", "zz"), min: "", max: "c3a9", pmin: "", pmax: "c3a9"},
		{name: "long text is cut in the index only", typ: arrow.BinaryTypes.String, fill: text("a", long), pmin: "61", pmax: strings.Repeat("c3a9", 31) + "c3aa"},
		{name: "only nulls", typ: arrow.BinaryTypes.String, fill: func(b array.Builder) { b.AppendNulls(3) }, nulls: 3},
	} {
		t.Run(c.name, func(t *testing.T) {
			mem := memory.NewCheckedAllocator(memory.DefaultAllocator)
			defer mem.AssertSize(t, 0)
			rec := oneColumn(mem, c.typ, c.fill)
			defer rec.Release()
			f := open(t, writeFile(t, sinks.Request{Schema: rec.Schema()}, []arrow.Record{rec}))
			st := f.Metadata().RowGroups[0].Columns[0].MetaData.Statistics
			if got := fmt.Sprintf("%x %x %d", st.MinValue, st.MaxValue, st.NullCount); got != fmt.Sprintf("%s %s %d", c.min, c.max, c.nulls) {
				t.Errorf("chunk statistics %s, want %s %s %d", got, c.min, c.max, c.nulls)
			}
			x := f.ColumnIndexes()[0]
			pmin, pmax := c.pmin, c.pmax
			if pmin == "" && pmax == "" {
				pmin, pmax = c.min, c.max
			}
			empty := c.nulls == rec.NumRows()
			if got := fmt.Sprintf("%x %x %d %v", x.MinValues[0], x.MaxValues[0], x.NullCounts[0], x.NullPages[0]); got != fmt.Sprintf("%s %s %d %v", pmin, pmax, c.nulls, empty) {
				t.Errorf("page index %s, want %s %s %d %v", got, pmin, pmax, c.nulls, empty)
			}
			if len(f.Metadata().ColumnOrders) != 1 || f.Metadata().ColumnOrders[0].Value == nil {
				t.Error("no column order: the bounds would mean nothing")
			}
		})
	}
}

// The empty string is a bound, not a missing one.
func TestEmptyStringIsABound(t *testing.T) {
	mem := memory.NewCheckedAllocator(memory.DefaultAllocator)
	defer mem.AssertSize(t, 0)
	rec := oneColumn(mem, arrow.BinaryTypes.String, func(b array.Builder) { b.(*array.StringBuilder).Append("") })
	defer rec.Release()
	st := open(t, writeFile(t, sinks.Request{Schema: rec.Schema()}, []arrow.Record{rec})).Metadata().RowGroups[0].Columns[0].MetaData.Statistics
	if st.MinValue == nil || st.MaxValue == nil {
		t.Errorf("bounds of one empty string are %v and %v", st.MinValue, st.MaxValue)
	}
}

// The page index says truly whether the pages' bounds are sorted.
func TestBoundaryOrder(t *testing.T) {
	const pages = 3
	for _, c := range []struct {
		name string
		at   func(i int) (int64, bool)
		want format.BoundaryOrder
	}{
		{"ascending", func(i int) (int64, bool) { return int64(i), true }, format.Ascending},
		{"descending", func(i int) (int64, bool) { return -int64(i), true }, format.Descending},
		{"unordered", func(i int) (int64, bool) { return []int64{5, 1, 9}[i/maxPageRows], true }, format.Unordered},
		{"null pages do not count", func(i int) (int64, bool) { return int64(i), i/maxPageRows != 1 }, format.Ascending},
	} {
		t.Run(c.name, func(t *testing.T) {
			mem := memory.NewCheckedAllocator(memory.DefaultAllocator)
			defer mem.AssertSize(t, 0)
			rec := oneColumn(mem, arrow.PrimitiveTypes.Int64, func(b array.Builder) {
				for i := range pages * maxPageRows {
					if v, ok := c.at(i); ok {
						b.(*array.Int64Builder).Append(v)
					} else {
						b.AppendNull()
					}
				}
			})
			defer rec.Release()
			x := open(t, writeFile(t, sinks.Request{Schema: rec.Schema()}, []arrow.Record{rec})).ColumnIndexes()[0]
			if len(x.MinValues) != pages || x.BoundaryOrder != c.want {
				t.Errorf("%d pages, %v; want %d, %v", len(x.MinValues), x.BoundaryOrder, pages, c.want)
			}
		})
	}
}

// Every value lies within the bounds of its page and chunk, by parquet-go's own comparison.
func TestBoundsHold(t *testing.T) {
	for _, dt := range leafTypes {
		if d, ok := dt.(arrow.DecimalType); ok && d.GetPrecision() > 18 || dt.ID() == arrow.FLOAT16 || dt.ID() == arrow.DECIMAL256 {
			continue // parquet-go compares these as plain bytes; TestStatistics has them
		}
		for _, distinct := range []uint64{0, 40} {
			t.Run(fmt.Sprintf("%v/%d", dt, distinct), func(t *testing.T) {
				mem := memory.NewCheckedAllocator(memory.DefaultAllocator)
				defer mem.AssertSize(t, 0)
				m := maker{r: rand.New(rand.NewPCG(11, distinct)), nulls: 0.1, distinct: distinct}
				s := arrow.NewSchema([]arrow.Field{{Name: "v", Type: dt, Nullable: true}}, nil)
				rec := m.record(mem, s, maxPageRows+500)
				defer rec.Release()
				f := open(t, writeFile(t, sinks.Request{Schema: s}, []arrow.Record{rec}))
				chunk := f.RowGroups()[0].ColumnChunks()[0]
				index, err := chunk.ColumnIndex()
				if err != nil {
					t.Fatal(err)
				}
				pages := chunk.Pages()
				defer pages.Close()
				checked := 0
				for p := range index.NumPages() {
					page, err := pages.ReadPage()
					if err != nil {
						t.Fatal(err)
					}
					values := make([]pq.Value, page.NumValues())
					if n, _ := page.Values().ReadValues(values); n != len(values) {
						t.Fatalf("read %d values of %d", n, len(values))
					}
					for _, v := range values {
						if v.IsNull() || v.Kind() == pq.Double && math.IsNaN(v.Double()) || v.Kind() == pq.Float && v.Float() != v.Float() {
							continue
						}
						checked++
						if chunk.Type().Compare(index.MinValue(p), v) > 0 || chunk.Type().Compare(v, index.MaxValue(p)) > 0 {
							t.Fatalf("page %d: %v is not within %v and %v", p, v, index.MinValue(p), index.MaxValue(p))
						}
					}
					pq.Release(page)
				}
				if checked < maxPageRows/2 {
					t.Fatalf("only %d values were compared", checked)
				}
			})
		}
	}
}

// Cut bounds are short, still bounds, and text stays text.
func TestCutBounds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.Bool().Draw(t, "text")
		var v []byte
		if text {
			v = []byte(rapid.StringOfN(rapid.SampledFrom([]rune{'a', 'é', '東', '\uD7FF', utf8.MaxRune}), 0, 120, -1).Draw(t, "v"))
		} else {
			v = rapid.SliceOfN(rapid.SampledFrom([]byte{0, 'a', 0xFE, 0xFF}), 0, 120).Draw(t, "v")
		}
		lo, hi := cutMin(v, text), cutMax(v, text)
		if bytes.Compare(lo, v) > 0 || bytes.Compare(hi, v) < 0 {
			t.Fatalf("%x is not within %x and %x", v, lo, hi)
		}
		if len(lo) > indexBytes || len(v) <= indexBytes && (len(lo) != len(v) || len(hi) != len(v)) {
			t.Fatalf("bounds of %d bytes have %d and %d", len(v), len(lo), len(hi))
		}
		if text && (!utf8.Valid(lo) || !utf8.Valid(hi)) {
			t.Fatalf("bounds %x and %x are not text", lo, hi)
		}
	})
}
