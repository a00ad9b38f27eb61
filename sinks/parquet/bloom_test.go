package parquet

import (
	"fmt"
	"strings"
	"testing"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/decimal128"
	"github.com/apache/arrow/go/v17/arrow/memory"
	pq "github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/format"

	"github.com/sluice-data/sluice/internal/fail"
	"github.com/sluice-data/sluice/sinks"
)

// Every value is found in its row group's filter, with a dictionary and without, and nearly nothing else is.
func TestBloomFilters(t *testing.T) {
	s := arrow.NewSchema([]arrow.Field{
		{Name: "i", Type: arrow.PrimitiveTypes.Int64, Nullable: true}, {Name: "n", Type: arrow.PrimitiveTypes.Int32}, {Name: "s", Type: arrow.BinaryTypes.String},
		{Name: "few", Type: arrow.BinaryTypes.String}, {Name: "d", Type: &arrow.Decimal128Type{Precision: 30}}, {Name: "none", Type: arrow.PrimitiveTypes.Int64}}, nil)
	const rows = 5000
	b := array.NewRecordBuilder(memory.DefaultAllocator, s)
	defer b.Release()
	var groups [][]arrow.Record
	for g := range 2 {
		for i := g * rows; i < (g+1)*rows; i++ {
			if i%10 == 9 {
				b.Field(0).AppendNull()
			} else {
				b.Field(0).(*array.Int64Builder).Append(int64(i) * 1_000_003)
			}
			b.Field(1).(*array.Int32Builder).Append(int32(i * 7))
			b.Field(2).(*array.StringBuilder).Append(fmt.Sprint("text ", i))
			b.Field(3).(*array.StringBuilder).Append(fmt.Sprint("group ", g, " ", i%10))
			b.Field(4).(*array.Decimal128Builder).Append(decimal128.FromI64(int64(-i)))
			b.Field(5).(*array.Int64Builder).Append(int64(i))
		}
		rec := b.NewRecord()
		defer rec.Release()
		groups = append(groups, []arrow.Record{rec})
	}
	data := writeFile(t, sinks.Request{Schema: s, Options: Options{BloomFilter: []string{"i", "n", "s", "few", "d"}}}, groups...)
	checkFile(t, data, []arrow.Record{groups[0][0], groups[1][0]})
	f := open(t, data)
	for g, rg := range f.RowGroups() {
		for c, chunk := range rg.ColumnChunks() {
			filter := chunk.BloomFilter()
			if (filter == nil) != (c == 5) {
				t.Fatalf("column %d: filter is there: %t", c, filter != nil)
			}
			if filter == nil {
				continue
			}
			wrong := 0
			for i := range 2 * rows {
				mine := i/rows == g
				var v pq.Value
				switch c {
				case 0:
					v, mine = pq.ValueOf(int64(i)*1_000_003), mine && i%10 != 9
				case 1:
					v = pq.ValueOf(int32(i * 7))
				case 2:
					v = pq.ValueOf(fmt.Sprint("text ", i))
				case 3:
					v = pq.ValueOf(fmt.Sprint("group ", i/rows, " ", i%10))
				default:
					rec := groups[i/rows][0]
					l := leaf{width: decimalWidth(30)}
					v = pq.FixedLenByteArrayValue(bigEndian(rec.Column(4).(*array.Decimal128).Value(i%rows), l.width))
				}
				ok, err := filter.Check(v)
				switch {
				case err != nil:
					t.Fatal(err)
				case mine && !ok:
					t.Fatalf("row group %d, column %d: %v is not found", g, c, v)
				case !mine && ok:
					wrong++
				}
			}
			if wrong > rows/20 {
				t.Errorf("row group %d, column %d: %d of %d that are not there are found", g, c, wrong, rows)
			}
		}
	}
	for name, want := range map[string]string{"nowhere": "is no column of the files", "f": "a float has no bloom filter", "b": "of two values says nothing", "l": "or one of lists"} {
		_, err := newSink(sinks.Request{Options: Options{BloomFilter: []string{name}}, Schema: arrow.NewSchema([]arrow.Field{{Name: "f", Type: arrow.PrimitiveTypes.Float64},
			{Name: "b", Type: arrow.FixedWidthTypes.Boolean}, {Name: "l", Type: arrow.ListOf(arrow.PrimitiveTypes.Int8)}}, nil)})
		if fail.KindOf(err) != fail.Usage || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func bigEndian(v decimal128.Num, width int) []byte {
	out := make([]byte, width)
	hi, lo := v.HighBits(), v.LowBits()
	for i := range width {
		k := width - 1 - i
		if i < 8 {
			out[k] = byte(lo >> (8 * i))
		} else {
			out[k] = byte(hi >> (8 * (i - 8)))
		}
	}
	return out
}

// Row groups say by which columns their rows are sorted, but for those that are the same in all of them.
func TestSortingColumns(t *testing.T) {
	rec := zones(t)
	defer rec.Release()
	data := writeFile(t, sinks.Request{Schema: rec.Schema(), SortedBy: []sinks.Order{{Column: "n", Desc: true, NullsFirst: true}, {Column: "zone"}, {Column: "expression"}}}, []arrow.Record{rec})
	got := open(t, data).Metadata().RowGroups[0].SortingColumns
	want := []format.SortingColumn{{ColumnIdx: 1, Descending: true, NullsFirst: true}, {ColumnIdx: 0}}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%v, want %v", got, want)
	}
}

func zones(t *testing.T) arrow.Record {
	t.Helper()
	s := arrow.NewSchema([]arrow.Field{{Name: "zone", Type: arrow.BinaryTypes.String, Nullable: true}, {Name: "n", Type: arrow.PrimitiveTypes.Int64}}, nil)
	rec, _, err := array.RecordFromJSON(memory.DefaultAllocator, s, strings.NewReader(`[{"zone": "b", "n": 2}, {"zone": null, "n": 1}]`))
	if err != nil {
		t.Fatal(err)
	}
	return rec
}
