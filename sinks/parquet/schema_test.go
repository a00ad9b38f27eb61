package parquet

import (
	"fmt"
	"strings"
	"testing"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/parquet-go/parquet-go/format"

	"github.com/sluice-data/sluice/internal/schema"
)

// text prints elements a line each, indented by depth: repetition, type, name, logical type, converted type number.
func text(elements []format.SchemaElement) string {
	var b strings.Builder
	open := []int32{1}
	for _, e := range elements {
		for open[len(open)-1] == 0 {
			open = open[:len(open)-1]
		}
		open[len(open)-1]--
		b.WriteString(strings.Repeat(" ", len(open)-1))
		if e.RepetitionType.Valid {
			fmt.Fprintf(&b, "%s ", strings.ToLower(e.RepetitionType.V.String()))
		}
		if e.Type.Valid {
			fmt.Fprintf(&b, "%s", e.Type.V)
			if e.TypeLength.Valid {
				fmt.Fprintf(&b, "(%d)", e.TypeLength.V)
			}
			b.WriteByte(' ')
		}
		b.WriteString(e.Name)
		if e.LogicalType.Value != nil {
			fmt.Fprintf(&b, " %s", &e.LogicalType)
		}
		if e.ConvertedType.Valid {
			fmt.Fprintf(&b, " =%d", e.ConvertedType.V)
		}
		if e.Precision.Valid {
			fmt.Fprintf(&b, " precision %d scale %d", e.Precision.V, e.Scale.V)
		}
		b.WriteByte('\n')
		if e.NumChildren.Valid {
			open = append(open, e.NumChildren.V)
		}
	}
	return b.String()
}

// Leaves have the logical types of LogicalTypes.md and the converted types older readers go by (deprecated.ConvertedType).
func TestAnnotations(t *testing.T) {
	for _, c := range []struct {
		field arrow.Field
		want  string
	}{
		{arrow.Field{Type: arrow.FixedWidthTypes.Boolean}, "required BOOLEAN v"},
		{arrow.Field{Type: arrow.PrimitiveTypes.Int8}, "required INT32 v INT(8,true) =15"},
		{arrow.Field{Type: arrow.PrimitiveTypes.Int16}, "required INT32 v INT(16,true) =16"},
		{arrow.Field{Type: arrow.PrimitiveTypes.Int32}, "required INT32 v"},
		{arrow.Field{Type: arrow.PrimitiveTypes.Int64, Nullable: true}, "optional INT64 v"},
		{arrow.Field{Type: arrow.PrimitiveTypes.Uint8}, "required INT32 v INT(8,false) =11"},
		{arrow.Field{Type: arrow.PrimitiveTypes.Uint16}, "required INT32 v INT(16,false) =12"},
		{arrow.Field{Type: arrow.PrimitiveTypes.Uint32}, "required INT32 v INT(32,false) =13"},
		{arrow.Field{Type: arrow.PrimitiveTypes.Uint64}, "required INT64 v INT(64,false) =14"},
		{arrow.Field{Type: arrow.FixedWidthTypes.Float16}, "required FIXED_LEN_BYTE_ARRAY(2) v FLOAT16"},
		{arrow.Field{Type: arrow.PrimitiveTypes.Float32}, "required FLOAT v"},
		{arrow.Field{Type: arrow.PrimitiveTypes.Float64}, "required DOUBLE v"},
		{arrow.Field{Type: &arrow.Decimal128Type{Precision: 9, Scale: 2}}, "required INT32 v DECIMAL(9,2) =5 precision 9 scale 2"},
		{arrow.Field{Type: &arrow.Decimal128Type{Precision: 18, Scale: 0}}, "required INT64 v DECIMAL(18,0) =5 precision 18 scale 0"},
		{arrow.Field{Type: &arrow.Decimal128Type{Precision: 19, Scale: 0}}, "required FIXED_LEN_BYTE_ARRAY(9) v DECIMAL(19,0) =5 precision 19 scale 0"},
		{arrow.Field{Type: &arrow.Decimal128Type{Precision: 38, Scale: 9}}, "required FIXED_LEN_BYTE_ARRAY(16) v DECIMAL(38,9) =5 precision 38 scale 9"},
		{arrow.Field{Type: &arrow.Decimal256Type{Precision: 76, Scale: 9}}, "required FIXED_LEN_BYTE_ARRAY(32) v DECIMAL(76,9) =5 precision 76 scale 9"},
		{arrow.Field{Type: arrow.BinaryTypes.String}, "required BYTE_ARRAY v STRING =0"},
		{schema.JSONField("v"), "optional BYTE_ARRAY v JSON =19"},
		{arrow.Field{Type: arrow.BinaryTypes.Binary}, "required BYTE_ARRAY v"},
		{arrow.Field{Type: &arrow.FixedSizeBinaryType{ByteWidth: 16}}, "required FIXED_LEN_BYTE_ARRAY(16) v"},
		{arrow.Field{Type: arrow.FixedWidthTypes.Date32}, "required INT32 v DATE =6"},
		{arrow.Field{Type: arrow.FixedWidthTypes.Date64}, "required INT32 v DATE =6"},
		{arrow.Field{Type: arrow.FixedWidthTypes.Time32s}, "required INT32 v TIME(isAdjustedToUTC=false,unit=MILLIS) =7"},
		{arrow.Field{Type: schema.Time}, "required INT64 v TIME(isAdjustedToUTC=false,unit=MICROS) =8"},
		{arrow.Field{Type: arrow.FixedWidthTypes.Time64ns}, "required INT64 v TIME(isAdjustedToUTC=false,unit=NANOS)"},
		{arrow.Field{Type: arrow.FixedWidthTypes.Timestamp_s}, "required INT64 v TIMESTAMP(isAdjustedToUTC=true,unit=MILLIS) =9"},
		{arrow.Field{Type: schema.Timestamptz}, "required INT64 v TIMESTAMP(isAdjustedToUTC=true,unit=MICROS) =10"},
		{arrow.Field{Type: schema.Timestamp}, "required INT64 v TIMESTAMP(isAdjustedToUTC=false,unit=MICROS) =10"},
		{arrow.Field{Type: &arrow.TimestampType{Unit: arrow.Nanosecond}}, "required INT64 v TIMESTAMP(isAdjustedToUTC=false,unit=NANOS)"},
		{arrow.Field{Type: &arrow.DictionaryType{IndexType: arrow.PrimitiveTypes.Int8, ValueType: arrow.BinaryTypes.String}}, "required BYTE_ARRAY v STRING =0"},
	} {
		c.field.Name = "v"
		elements, _, err := buildSchema(arrow.NewSchema([]arrow.Field{c.field}, nil))
		if err != nil {
			t.Fatal(err)
		}
		if got := text(elements[1:]); got != c.want+"\n" {
			t.Errorf("%v: %s; want %s", c.field.Type, got, c.want)
		}
	}
}

// Lists have the three levels, maps the key_value group, that the format demands.
func TestNestedSchema(t *testing.T) {
	json := schema.JSONField("doc")
	s := arrow.NewSchema([]arrow.Field{
		{Name: "tags", Nullable: true, Type: arrow.ListOfNonNullable(arrow.BinaryTypes.String)},
		{Name: "who", Type: arrow.StructOf(json, arrow.Field{Name: "ids", Nullable: true, Type: arrow.FixedSizeListOf(2, arrow.PrimitiveTypes.Int64)})},
		{Name: "attrs", Nullable: true, Type: arrow.MapOf(arrow.BinaryTypes.String, arrow.PrimitiveTypes.Int64)},
	}, nil)
	elements, leaves, err := buildSchema(s)
	if err != nil {
		t.Fatal(err)
	}
	want := `schema
 optional tags LIST =3
  repeated list
   required BYTE_ARRAY element STRING =0
 required who
  optional BYTE_ARRAY doc JSON =19
  optional ids LIST =3
   repeated list
    optional INT64 element
 optional attrs MAP =1
  repeated key_value
   required BYTE_ARRAY key STRING =0
   optional INT64 value
`
	if got := text(elements); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
	var levels []string
	for _, l := range leaves {
		levels = append(levels, fmt.Sprintf("%s r%d d%d", l.name, l.maxRep, l.maxDef))
	}
	if got := strings.Join(levels, ", "); got != "tags.list.element r1 d2, who.doc r0 d1, who.ids.list.element r1 d3, attrs.key_value.key r1 d2, attrs.key_value.value r1 d3" {
		t.Errorf("levels: %s", got)
	}
}
