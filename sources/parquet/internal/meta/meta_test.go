package meta

import (
	"bytes"
	"errors"
	"reflect"
	"runtime"
	"strings"
	"testing"

	pq "github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/encoding/thrift"
	"github.com/parquet-go/parquet-go/format"
)

// A footer by parquet-go's encoder is read as its own decoder reads it.
func TestFooter(t *testing.T) {
	type row struct {
		A int32    `parquet:",decimal(2:9)"`
		B string   `parquet:",enum"`
		C []uint16 `parquet:",list"`
		D int64    `parquet:",timestamp(nanosecond)"`
		E [16]byte `parquet:",uuid"`
	}
	var buf bytes.Buffer
	w := pq.NewGenericWriter[row](&buf, pq.MaxRowsPerRowGroup(2))
	if _, err := w.Write(make([]row, 5)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	f, err := pq.OpenFile(bytes.NewReader(buf.Bytes()), int64(buf.Len()))
	if err != nil {
		t.Fatal(err)
	}
	want := f.Metadata()
	b, err := thrift.Marshal(new(thrift.CompactProtocol), want)
	if err != nil {
		t.Fatal(err)
	}
	got, err := ParseFooter(b)
	if err != nil {
		t.Fatal(err)
	}
	if got.NumRows != 5 || len(got.RowGroups) != 3 || len(got.Schema) != len(want.Schema) || got.CreatedBy != want.CreatedBy {
		t.Fatalf("got %+v", got)
	}
	for i := range got.Schema {
		if g, w := got.Schema[i], want.Schema[i]; g.Name != w.Name {
			t.Errorf("element %d: %+v, want %+v", i, g, w)
		}
	}
	logical := map[string]Logical{}
	for _, e := range got.Schema {
		logical[e.Name] = e.Logical
	}
	for name, l := range map[string]Logical{"A": {Kind: Decimal, Scale: 2, Precision: 9}, "B": {Kind: Enum}, "C": {Kind: List},
		"element": {Kind: Integer, BitWidth: 16}, "D": {Kind: Timestamp, UTC: true, Unit: Nanos}, "E": {Kind: UUID}} {
		if logical[name] != l {
			t.Errorf("%s: %+v, want %+v", name, logical[name], l)
		}
	}
	for i, g := range got.RowGroups {
		for k, c := range g.Columns {
			o := want.RowGroups[i].Columns[k]
			m := o.MetaData
			w := Column{Type: m.Type, Codec: m.Codec, NumValues: m.NumValues, Compressed: m.TotalCompressedSize, Uncompressed: m.TotalUncompressedSize,
				DataOffset: m.DataPageOffset, DictOffset: m.DictionaryPageOffset,
				Stats:   &Statistics{Min: m.Statistics.MinValue, Max: m.Statistics.MaxValue, OldMin: m.Statistics.Min, OldMax: m.Statistics.Max, Nulls: m.Statistics.NullCount},
				Offsets: Range{o.OffsetIndexOffset, o.OffsetIndexLength}, Index: Range{o.ColumnIndexOffset, o.ColumnIndexLength}}
			if !got.TypeOrder[k] {
				t.Errorf("column %d has no order", k)
			}
			if !reflect.DeepEqual(c, w) {
				t.Errorf("row group %d column %d: %+v, want %+v", i, k, c, w)
			}
		}
	}
	for n := range b {
		if _, err := ParseFooter(b[:n]); err == nil {
			t.Fatalf("footer cut at %d: no error", n)
		}
	}
}

// A page header cut off says so, in order that more of it can be read; counts and sizes are checked.
func TestPage(t *testing.T) {
	marshal := func(h format.PageHeader) []byte {
		b, err := thrift.Marshal(new(thrift.CompactProtocol), &h)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	v2 := format.PageHeader{Type: format.DataPageV2, UncompressedPageSize: 90, CompressedPageSize: 80}
	v2.DataPageHeaderV2.Valid = true
	v2.DataPageHeaderV2.V = format.DataPageHeaderV2{NumValues: 10, NumNulls: 3, NumRows: 5, Encoding: format.Plain, DefinitionLevelsByteLength: 7, RepetitionLevelsByteLength: 8}
	b := marshal(v2)
	p, n, err := ParsePage(append(bytes.Clone(b), 1, 2, 3))
	if err != nil || n != len(b) || p.NumValues != 10 || p.NumNulls != 3 || p.NumRows != 5 || p.DefBytes != 7 || p.RepBytes != 8 || p.Compressed != 80 || p.Uncompressed != 90 {
		t.Errorf("%+v, %d of %d, %v", p, n, len(b), err)
	}
	for n := range b {
		if _, _, err := ParsePage(b[:n]); !errors.Is(err, ErrShort) {
			t.Errorf("cut at %d: %v", n, err)
		}
	}
	for _, tc := range []struct {
		change func(*format.PageHeader)
		want   string
	}{
		{func(h *format.PageHeader) { h.CompressedPageSize = -1 }, "sizes -1 and 90"},
		{func(h *format.PageHeader) { h.Type = 9 }, "unknown page type 9"},
		{func(h *format.PageHeader) { h.Type = format.DataPage }, "lacks the part"},
		{func(h *format.PageHeader) { h.DataPageHeaderV2.V.NumValues = -5 }, "-5 values"},
		{func(h *format.PageHeader) { h.DataPageHeaderV2.V.NumNulls = 11 }, "11 nulls"},
		{func(h *format.PageHeader) { h.DataPageHeaderV2.V.DefinitionLevelsByteLength = 73 }, "bytes of levels"},
	} {
		h := v2
		tc.change(&h)
		if _, _, err := ParsePage(marshal(h)); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("want %q, got %v", tc.want, err)
		}
	}
}

// Lists that claim more than is there, and structures without end, take no memory and no stack.
func TestHostile(t *testing.T) {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for name, b := range map[string][]byte{
		"two billion columns":    {0x29, 0xfc, 0xff, 0xff, 0xff, 0xff, 0x07},
		"two billion row groups": {0x49, 0xfc, 0xff, 0xff, 0xff, 0xff, 0x07},
		"endless structs":        bytes.Repeat([]byte{0x7c}, 1<<20),
		"endless lists":          bytes.Repeat([]byte{0x79, 0x19}, 1<<20),
		"name of 4 GiB":          {0x29, 0x1c, 0x48, 0xff, 0xff, 0xff, 0xff, 0x0f},
		"integer without end":    bytes.Repeat([]byte{0x15, 0xff, 0xff, 0xff}, 10),
	} {
		if _, err := ParseFooter(b); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	runtime.ReadMemStats(&after)
	if n := after.TotalAlloc - before.TotalAlloc; n > 8<<20 {
		t.Errorf("allocated %d bytes", n)
	}
}
