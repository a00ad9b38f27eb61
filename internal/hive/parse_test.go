package hive

import (
	"testing"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/memory"

	"github.com/sluice-data/sluice/internal/schema"
)

// TestColumn: every value comes back from its text as it was.
func TestColumn(t *testing.T) {
	mem := memory.NewCheckedAllocator(memory.NewGoAllocator())
	defer mem.AssertSize(t, 0)
	for typ, texts := range map[string][]string{
		"bool": {"true", "false"}, "int8": {"-128", "127"}, "int16": {"-32768"}, "int32": {"2147483647"}, "int64": {"-9223372036854775808"},
		"uint8": {"255"}, "uint16": {"65535"}, "uint32": {"4294967295"}, "uint64": {"18446744073709551615"}, "string": {"a/b=c %41 ü", " "},
		"date": {"0001-01-01", "2024-02-29"}, "timestamp": {"2024-02-29 23:59:59.999999", "1969-12-31 00:00:00"}, "decimal(38,3)": {"-0.001", "12.340"},
	} {
		f, err := schema.ParseField("x", typ)
		if err != nil {
			t.Fatal(err)
		}
		for _, v := range append([]Value{{Null: true}}, values(texts)...) {
			a, err := Column(mem, f.Type, v, 3)
			if err != nil {
				t.Fatalf("%s %q: %v", typ, v.Text, err)
			}
			for i := range 3 {
				if got, err := ValueAt(a, i); err != nil || got != v {
					t.Errorf("%s: %+v comes back as %+v, %v", typ, v, got, err)
				}
			}
			if a.Len() != 3 || !arrow.TypeEqual(a.DataType(), f.Type) {
				t.Errorf("%s: %d rows of %s", typ, a.Len(), a.DataType())
			}
			a.Release()
		}
	}
	for typ, text := range map[arrow.DataType]string{arrow.PrimitiveTypes.Int8: "128", arrow.PrimitiveTypes.Uint8: "-1", schema.Date: "2024-02-30", arrow.PrimitiveTypes.Float64: "1"} {
		if _, err := Column(mem, typ, Value{Text: text}, 1); err == nil {
			t.Errorf("%q is taken for a %s", text, typ)
		}
	}
}

func values(texts []string) (out []Value) {
	for _, s := range texts {
		out = append(out, Value{Text: s})
	}
	return out
}
