package hive

import (
	"encoding/json"
	"net/url"
	"strings"
	"testing"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/decimal128"
	"github.com/apache/arrow/go/v17/arrow/memory"

	"github.com/sluice-data/sluice/internal/schema"
)

// One folder for each value: as Hive writes it.
func TestFolder(t *testing.T) {
	for _, c := range []struct {
		value Value
		want  string
	}{
		{Value{Text: "2024-01-01"}, "k=2024-01-01/"},
		{Value{Null: true}, "k=__HIVE_DEFAULT_PARTITION__/"},
		{Value{Text: "a/b"}, "k=a%2Fb/"},
		{Value{Text: "50%"}, "k=50%25/"},
		{Value{Text: "10:30"}, "k=10%3A30/"},
		{Value{Text: "a=b"}, "k=a%3Db/"},
		{Value{Text: "a b+c"}, "k=a b+c/"},
		{Value{Text: "größe 東京"}, "k=größe 東京/"},
		{Value{Text: "\x00\t\n\x1f\x7f"}, "k=%00%09%0A%1F%7F/"},
		{Value{Text: `"#'*?\{[]^}`}, "k=%22%23%27%2A%3F%5C%7B%5B%5D%5E}/"},
		{Value{Text: ".."}, "k=../"},
		{Value{Text: "Null"}, "k=%4Eull/"},
		{Value{Text: "nullable"}, "k=nullable/"},
	} {
		if got := Folder([]string{"k"}, []Value{c.value}); got != c.want {
			t.Errorf("%+v: %s, want %s", c.value, got, c.want)
		}
	}
	if got := Folder([]string{"a b", "c=d"}, []Value{{Text: "1"}, {Null: true}}); got != "a b=1/c%3Dd=__HIVE_DEFAULT_PARTITION__/" {
		t.Error(got)
	}
}

// In JSON a value is its text, or null.
func TestValueJSON(t *testing.T) {
	for want, v := range map[string]Value{`"null"`: {Text: "null"}, "null": {Null: true}, `"a\"é"`: {Text: `a"é`}} {
		b, err := json.Marshal(v)
		var back Value
		if err != nil || string(b) != want || json.Unmarshal(b, &back) != nil || back != v {
			t.Errorf("%+v is %s and comes back as %+v: %v", v, b, back, err)
		}
	}
}

// Any text comes back when its folder's name is decoded, and two texts never share a folder.
func FuzzEscape(f *testing.F) {
	f.Add("a/b=c%2F", "")
	f.Add("\x00é", "%")
	f.Fuzz(func(t *testing.T, a, b string) {
		for _, s := range []string{a, b} {
			e := Escape(s)
			if back, err := url.PathUnescape(e); err != nil || back != s {
				t.Fatalf("%q is %q and comes back as %q: %v", s, e, back, err)
			}
			if strings.ContainsAny(e, "/=\\\x00") {
				t.Fatalf("%q is %q", s, e)
			}
		}
		if (a == b) != (Escape(a) == Escape(b)) {
			t.Fatalf("%q and %q", a, b)
		}
	})
}

func TestCheckField(t *testing.T) {
	field := func(name, typ string) arrow.Field {
		f, err := schema.ParseField(name, typ)
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	for _, typ := range []string{"bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "string", "date", "timestamp", "decimal(38,9)"} {
		if err := CheckField(field("k", typ)); err != nil {
			t.Errorf("%s: %v", typ, err)
		}
	}
	for typ, want := range map[string]string{"float32": "a float", "float64": "a float", "binary": "of type binary", "time": "of type time", "timestamptz": "an instant",
		"json": "json", "list<int32>": "of type list", "struct<a: int32>": "of type struct"} {
		if err := CheckField(field("k", typ)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want one about %q", typ, err, want)
		}
	}
	for name, want := range map[string]string{"": "without a name", "Day": `rename it to "day"`, "Ärger": `"ärger"`, "_day": "hide", ".day": "hide"} {
		if err := CheckField(field(name, "date")); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want one about %q", name, err, want)
		}
	}
}

func TestValueAt(t *testing.T) {
	for _, c := range []struct {
		typ   arrow.DataType
		add   func(b array.Builder)
		want  string
		wrong string // a part of the reason why there is none
	}{
		{arrow.FixedWidthTypes.Boolean, func(b array.Builder) { b.(*array.BooleanBuilder).Append(true) }, "true", ""},
		{arrow.PrimitiveTypes.Int8, func(b array.Builder) { b.(*array.Int8Builder).Append(-128) }, "-128", ""},
		{arrow.PrimitiveTypes.Uint64, func(b array.Builder) { b.(*array.Uint64Builder).Append(1<<64 - 1) }, "18446744073709551615", ""},
		{arrow.PrimitiveTypes.Int64, func(b array.Builder) { b.(*array.Int64Builder).Append(-1 << 63) }, "-9223372036854775808", ""},
		{schema.Date, func(b array.Builder) { b.(*array.Date32Builder).Append(19723) }, "2024-01-01", ""},
		{schema.Date, func(b array.Builder) { b.(*array.Date32Builder).Append(2932897) }, "", "a year outside"}, // 10000-01-01
		{schema.Date, func(b array.Builder) { b.(*array.Date32Builder).Append(-719529) }, "", "a year outside"}, // the last day BC
		{schema.Timestamp, func(b array.Builder) { b.(*array.TimestampBuilder).Append(1704067200000000) }, "2024-01-01 00:00:00", ""},
		{schema.Timestamp, func(b array.Builder) { b.(*array.TimestampBuilder).Append(1704067200000001) }, "2024-01-01 00:00:00.000001", ""},
		{&arrow.Decimal128Type{Precision: 10, Scale: 2}, func(b array.Builder) { b.(*array.Decimal128Builder).Append(decimal128.FromI64(-50)) }, "-0.50", ""},
		{arrow.BinaryTypes.String, func(b array.Builder) { b.(*array.StringBuilder).Append(" 007 ") }, " 007 ", ""},
		{arrow.BinaryTypes.String, func(b array.Builder) { b.(*array.StringBuilder).Append("") }, "", "as null"},
		{arrow.BinaryTypes.String, func(b array.Builder) { b.(*array.StringBuilder).Append(Null) }, "", "as null"},
	} {
		b := array.NewBuilder(memory.DefaultAllocator, c.typ)
		c.add(b)
		b.AppendNull()
		a := b.NewArray()
		v, err := ValueAt(a, 0)
		if c.wrong != "" {
			if err == nil || !strings.Contains(err.Error(), c.wrong) {
				t.Errorf("%s %s: %+v, %v, want an error about %q", c.typ, a.ValueStr(0), v, err, c.wrong)
			}
		} else if err != nil || v != (Value{Text: c.want}) {
			t.Errorf("%s: %+v, %v, want %q", c.typ, v, err, c.want)
		}
		if v, err := ValueAt(a, 1); err != nil || v != (Value{Null: true}) {
			t.Errorf("%s: null is %+v, %v", c.typ, v, err)
		}
	}
}

// A folder may be too long by one column's name, or as a whole: then the longest is to blame.
// A value outlives the column that it was in: files, manifests and catalogs have it when the column's memory is long used again.
func TestValueOutlivesItsColumn(t *testing.T) {
	b := array.NewStringBuilder(memory.NewGoAllocator())
	defer b.Release()
	b.AppendValues([]string{"north", Null}, nil)
	a := b.NewStringArray()
	defer a.Release()
	v, err := ValueAt(a, 0)
	if err != nil {
		t.Fatal(err)
	}
	refused, err := ValueAt(a, 1)
	if err == nil {
		t.Fatal("the name of the null partition is a value")
	}
	clear(a.Data().Buffers()[2].Bytes())
	if v.Text != "north" || refused.Text != Null {
		t.Errorf("%q and %q once their column's memory is overwritten", v.Text, refused.Text)
	}
}

func TestLimits(t *testing.T) {
	for _, c := range []struct {
		folder string
		limits Limits
		of     int
		reason string
	}{
		{"a=12345/", Limits{}, 0, ""},
		{"a=12345/", Limits{Name: 7, Path: 8}, 0, ""},
		{"a=1/b=123456/", Limits{Name: 7}, 1, "its folder's name would have 8 bytes, and may have 7"},
		{"a=é/", Limits{Name: 3}, 0, "its folder's name would have 4 bytes, and may have 3"},
		{"a=1/b=22/c=3/", Limits{Name: 7, Path: 12}, 1, "the partition's path would have 13 bytes, and below the table's URI there is room for 12"},
	} {
		of, err := c.limits.Check(c.folder)
		if of != c.of || (err == nil) != (c.reason == "") || err != nil && err.Error() != c.reason {
			t.Errorf("%s within %+v: column %d, %v", c.folder, c.limits, of, err)
		}
	}
}
