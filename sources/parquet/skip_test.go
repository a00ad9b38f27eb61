package parquet

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/memory"
	pq "github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/encoding/thrift"
	"github.com/parquet-go/parquet-go/format"

	"github.com/sluice-data/sluice/pipeline"
	"github.com/sluice-data/sluice/sources"
)

// refoot gives a file another footer.
func refoot(t testing.TB, data []byte, change func(*format.FileMetaData)) []byte {
	t.Helper()
	f, err := pq.OpenFile(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	md := f.Metadata()
	change(md)
	footer, err := thrift.Marshal(new(thrift.CompactProtocol), md)
	if err != nil {
		t.Fatal(err)
	}
	old := int(binary.LittleEndian.Uint32(data[len(data)-8:]))
	out := append(bytes.Clone(data[:len(data)-8-old]), footer...)
	out = binary.LittleEndian.AppendUint32(out, uint32(len(footer)))
	return append(out, magic...)
}

// columnStats calls f with the statistics of each chunk of a column.
func columnStats(md *format.FileMetaData, column int, f func(*format.Statistics)) {
	for i := range md.RowGroups {
		f(&md.RowGroups[i].Columns[column].MetaData.Statistics)
	}
}

// atLeast is the filter column >= v, which is true of NaN.
func atLeast(column string, v float64) sources.Filter {
	return sources.Filter{Excludes: func(of func(string) (sources.Bounds, bool)) bool {
		b, ok := of(column)
		if !ok || b.AllNulls {
			return ok
		}
		if b.Extremes == nil {
			return false
		}
		for i := range b.Extremes.Len() {
			var x float64
			if _, err := fmt.Sscan(b.Extremes.ValueStr(i), &x); err != nil || !(x < v) {
				return false
			}
		}
		return true
	}}
}

// readSkipping reads with filters and gives the rows that were decoded, the number of those that were skipped, and the bytes
// that were asked for.
func readSkipping(t testing.TB, req sources.Request, filters ...sources.Filter) (rows []string, skipped, asked int64) {
	t.Helper()
	mem := memory.NewCheckedAllocator(memory.NewGoAllocator())
	defer mem.AssertSize(t, 0)
	var consumed, size, records int64
	req.Consumed = func(n int64) { consumed += n }
	var all []*[]span
	for i := range req.Inputs {
		all = append(all, ranges(&req.Inputs[i]))
		size += req.Inputs[i].Info.Size
	}
	src, err := open(t.Context(), req)
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	src.(*source).splitRows, src.(*source).patience = 700, time.Hour
	src.(*source).Skip(filters)
	dec, err := src.NewDecoder(mem)
	if err != nil {
		t.Fatal(err)
	}
	defer dec.Close()
	for {
		c, err := src.Next(t.Context())
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		var rej pipeline.Rejects
		got := int64(0)
		err = dec.Decode(context.Background(), c, &rej, func(b pipeline.Batch) error {
			got += b.Rec.NumRows()
			for i := range int(b.Rec.NumRows()) {
				rows = append(rows, string(b.Rows.Origin(i).Raw))
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if got += int64(rej.Len()); got+c.Known.Skipped != c.Known.Records {
			t.Errorf("chunk at row %d: %d decoded and %d skipped of %d", c.Row, got, c.Known.Skipped, c.Known.Records)
		}
		skipped += c.Known.Skipped
		records += c.Known.Records
		c.Release()
	}
	if consumed != size {
		t.Errorf("consumed %d of %d bytes", consumed, size)
	}
	for _, list := range all {
		for _, s := range *list {
			asked += s.end - s.off
		}
	}
	if records != int64(len(rows))+skipped {
		t.Errorf("%d records, %d rows and %d skipped", records, len(rows), skipped)
	}
	return rows, skipped, asked
}

type measured struct {
	ID int64
	U  uint32
	X  float64
	F  float32
	O  *int32    `parquet:",optional"`
	D  int32     `parquet:",date"`
	T  time.Time `parquet:",timestamp(millisecond)"`
	P  int64     `parquet:",decimal(2:18)"`
}

// measuredFile has 10 row groups of 100 rows, every column growing from 0.
func measuredFile(t testing.TB, opts ...pq.WriterOption) []byte {
	t.Helper()
	rows := make([]measured, 1000)
	for i := range rows {
		rows[i] = measured{ID: int64(i), U: uint32(i), X: float64(i), F: float32(i), D: int32(i), T: time.UnixMilli(int64(i)).UTC(), P: int64(i) * 100}
		if i%100 >= 10 && i < 900 {
			rows[i].O = ptr(int32(i))
		}
	}
	return write(t, rows, append(opts, pq.MaxRowsPerRowGroup(100))...)
}

// Row groups whose statistics exclude the filter are neither read nor decoded.
func TestSkipsRowGroups(t *testing.T) {
	data := measuredFile(t)
	_, _, full := readSkipping(t, request(data))
	rows, skipped, asked := readSkipping(t, request(data), atLeast("ID", 750))
	if skipped != 700 || len(rows) != 300 || rows[0][:10] != `{"ID":700,` {
		t.Errorf("skipped %d, %d rows from %s on", skipped, len(rows), rows[0])
	}
	if asked-tailBytes > (full-tailBytes)/2 {
		t.Errorf("asked for %d bytes of %d", asked, full)
	}
	for _, tc := range []struct {
		column string
		v      float64
		want   int64
	}{
		{"U", 750, 700}, {"O", 750, 800}, {"P", 750, 700},
		{"X", 750, 0}, {"F", 750, 0}, // there may be a NaN, which is above all
		{"ID", 5000, 1000}, {"ID", -1, 0},
	} {
		if _, skipped, _ := readSkipping(t, request(data), atLeast(tc.column, tc.v)); skipped != tc.want {
			t.Errorf("%s >= %v: skipped %d, want %d", tc.column, tc.v, skipped, tc.want)
		}
	}
}

// A file that lacks the column has nulls there.
func TestSkipsFilesWithoutTheColumn(t *testing.T) {
	type other struct{ Z int64 }
	rows, skipped, _ := readSkipping(t, request(measuredFile(t), write(t, []other{{1}, {2}})), atLeast("ID", 0))
	if skipped != 2 || len(rows) != 1000 {
		t.Errorf("skipped %d, %d rows", skipped, len(rows))
	}
}

// Statistics that are absent, or whose meaning is not defined, exclude nothing.
func TestSkipsNothingOnDoubt(t *testing.T) {
	data := measuredFile(t)
	const id, u, x = 0, 1, 2
	for _, tc := range []struct {
		name   string
		column string
		change func(*format.FileMetaData)
		want   int64
	}{
		{"as written", "ID", func(*format.FileMetaData) {}, 700},
		{"no statistics", "ID", func(md *format.FileMetaData) {
			columnStats(md, id, func(s *format.Statistics) { *s = format.Statistics{} })
		}, 0},
		{"no maximum", "ID", func(md *format.FileMetaData) {
			columnStats(md, id, func(s *format.Statistics) { s.MaxValue, s.Max = nil, nil })
		}, 0},
		{"no column orders", "ID", func(md *format.FileMetaData) {
			md.ColumnOrders = nil
			columnStats(md, id, func(s *format.Statistics) { s.Min, s.Max = nil, nil })
		}, 0},
		{"deprecated fields of a signed type", "ID", func(md *format.FileMetaData) {
			md.ColumnOrders = nil
			columnStats(md, id, func(s *format.Statistics) {
				s.Min, s.Max, s.MinValue, s.MaxValue = s.MinValue, s.MaxValue, nil, nil
			})
		}, 700},
		{"deprecated fields of an unsigned type", "U", func(md *format.FileMetaData) {
			columnStats(md, u, func(s *format.Statistics) {
				s.Min, s.Max, s.MinValue, s.MaxValue = s.MinValue, s.MaxValue, nil, nil
			})
		}, 0},
		{"of another width", "ID", func(md *format.FileMetaData) {
			columnStats(md, id, func(s *format.Statistics) {
				s.MinValue, s.MaxValue, s.Min, s.Max = s.MinValue[:3], s.MaxValue[:3], nil, nil
			})
		}, 0},
		{"smallest above the largest", "ID", func(md *format.FileMetaData) {
			columnStats(md, id, func(s *format.Statistics) { s.MinValue = binary.LittleEndian.AppendUint64(nil, 1<<40) })
		}, 0},
		{"NaN", "X", func(md *format.FileMetaData) {
			columnStats(md, x, func(s *format.Statistics) {
				s.MaxValue = binary.LittleEndian.AppendUint64(nil, math.Float64bits(math.NaN()))
			})
		}, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			req := request(refoot(t, data, func(md *format.FileMetaData) {
				tc.change(md)
				for _, g := range md.RowGroups {
					for i := range g.Columns {
						g.Columns[i].ColumnIndexLength = 0
					}
				}
			}))
			req.Need = map[string]bool{tc.column: true}
			if _, skipped, _ := readSkipping(t, req, atLeast(tc.column, 750)); skipped != tc.want {
				t.Errorf("skipped %d, want %d", skipped, tc.want)
			}
		})
	}
}

// Bounds are by the order of the type, and nulls are counted only as far as the file says so.
func TestBounds(t *testing.T) {
	data := measuredFile(t)
	of := func(data []byte, column string) sources.Bounds {
		t.Helper()
		var b sources.Bounds
		first := true
		readSkipping(t, request(data), sources.Filter{Excludes: func(of func(string) (sources.Bounds, bool)) bool {
			if first {
				b, _ = of(column)
				if b.Extremes != nil {
					b.Extremes.Retain()
				}
			}
			first = false
			return false
		}})
		return b
	}
	for column, want := range map[string]string{"ID": `[0 99]`, "U": `[0 99]`, "X": `[0 99 NaN]`, "F": `[0 99 NaN]`, "O": `[10 99]`,
		"D": `[0 99]`, "T": `[0 99000]`, "P": `[{0 0} {9900 0}]`} {
		b := of(data, column)
		if got := fmt.Sprint(b.Extremes); got != want {
			t.Errorf("%s: %s, want %s", column, got, want)
		}
		if b.NoNulls != (column != "O") || b.AllNulls {
			t.Errorf("%s: no nulls %v, all nulls %v", column, b.NoNulls, b.AllNulls)
		}
	}
	lying := refoot(t, data, func(md *format.FileMetaData) { columnStats(md, 4, func(s *format.Statistics) { s.NullCount = 101 }) })
	if b := of(lying, "O"); b.NoNulls || b.AllNulls {
		t.Errorf("101 nulls of 100: %+v", b)
	}
}

// A maximum of nothing but 0xFF may have been cut short without being counted up, as parquet-go does in its page indexes.
func TestTextLimitsThatAreCutShort(t *testing.T) {
	for _, tc := range []struct {
		min, max string
		known    bool
	}{{"a", "b", true}, {"a", "\xff\xffz", true}, {"a", "\xff", false}, {"", strings.Repeat("\xff", 16), false}, {"a", "", false}, {"b", "a", false}} {
		b := array.NewBinaryBuilder(memory.DefaultAllocator, arrow.BinaryTypes.Binary)
		got := twoTexts(b, limits{min: []byte(tc.min), max: []byte(tc.max), known: true}, b.Append)
		if (got != nil) != tc.known {
			t.Errorf("limits %q to %q: known %v, want %v", tc.min, tc.max, got != nil, tc.known)
		}
		b.Release()
	}
}

// A file in which a good value may have to be rejected is read whole, so that its rows are rejected with and without a filter.
func TestSkipsNothingThatMayBeRejected(t *testing.T) {
	type nanos struct {
		ID int64
		T  time.Time `parquet:",timestamp(nanosecond)"`
	}
	rows := make([]nanos, 300)
	for i := range rows {
		rows[i] = nanos{int64(i), time.Unix(0, int64(i)*1000).UTC()}
	}
	data := write(t, rows, pq.MaxRowsPerRowGroup(100))
	if _, skipped, _ := readSkipping(t, request(data), atLeast("ID", 150)); skipped != 0 {
		t.Errorf("skipped %d", skipped)
	}
	req := request(data)
	req.Need = map[string]bool{"ID": true}
	if _, skipped, _ := readSkipping(t, req, atLeast("ID", 150)); skipped != 100 {
		t.Errorf("skipped %d where the timestamps are not read, want 100", skipped)
	}
}
