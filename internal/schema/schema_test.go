package schema

import (
	"strings"
	"testing"

	"github.com/apache/arrow/go/v17/arrow"
)

// Every name is read as its type, and the type's own name reads back as the same.
func TestNamesAndTypes(t *testing.T) {
	for _, c := range []struct{ name, canonical string }{
		{"bool", "bool"}, {"Boolean", "bool"}, {"int8", "int8"}, {"uint64", "uint64"}, {"float32", "float32"},
		{"decimal(18,2)", "decimal(18,2)"}, {"NUMERIC( 5 )", "decimal(5,0)"}, {"string", "string"}, {"text", "string"}, {"varchar", "string"},
		{"binary", "binary"}, {"date", "date"}, {"time", "time"}, {"timestamp", "timestamp"}, {"timestamptz", "timestamptz"},
		{"timestamp with  time zone", "timestamptz"}, {"double precision", "float64"}, {"bigint", "int64"}, {"json", "json"},
		{"list<int32>", "list<int32>"}, {"decimal(9,2)[]", "list<decimal(9,2)>"}, {"list<json>", "list<json>"},
		{"struct<a: int32, b: list<struct<c: decimal(4,1), d: string>>>", "struct<a: int32, b: list<struct<c: decimal(4,1), d: string>>>"},
	} {
		f, err := ParseField("x", c.name)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if got := TypeName(f); got != c.canonical || f.Name != "x" || !f.Nullable {
			t.Errorf("%s: got %s", c.name, got)
		}
		again, err := ParseField("x", TypeName(f))
		if err != nil || !arrow.TypeEqual(again.Type, f.Type) || IsJSON(again) != IsJSON(f) {
			t.Errorf("%s: reads back as %v, %v", c.name, again.Type, err)
		}
	}
}

func TestTypesThatAreRefused(t *testing.T) {
	for name, why := range map[string]string{
		"strnig": "unknown type", "": "unknown type", "decimal(39,2)": "precision must be 1 to 38", "decimal(5,6)": "scale 0 to precision",
		"decimal(a,b)": "want decimal(precision,scale)", "decimal(9,2": "want decimal(precision,scale)", "varchar(20)": "cutting a value would change it",
		"list<nope>": "unknown type", "struct<a>": "want name: type", "struct<a: nope>": "unknown type",
	} {
		if _, err := ParseField("x", name); err == nil || !strings.Contains(err.Error(), why) {
			t.Errorf("%q: %v, want %q", name, err, why)
		}
	}
}
