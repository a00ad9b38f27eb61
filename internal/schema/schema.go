// Package schema is Sluice's logical types: their names in the pipeline file, their Arrow types, and back.
package schema

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/apache/arrow/go/v17/arrow"
)

// Arrow types of the logical types that are not named alike in Arrow.
var (
	Timestamp   = &arrow.TimestampType{Unit: arrow.Microsecond}                  // local date and time, no zone
	Timestamptz = &arrow.TimestampType{Unit: arrow.Microsecond, TimeZone: "UTC"} // an instant
	Time        = arrow.FixedWidthTypes.Time64us
	Date        = arrow.FixedWidthTypes.Date32
)

// jsonKey marks a string field whose values are JSON texts.
const jsonKey = "sluice.type"

// JSONField is a nullable field of type json: JSON text kept exactly, in an Arrow string column marked by metadata.
func JSONField(name string) arrow.Field {
	return arrow.Field{Name: name, Type: arrow.BinaryTypes.String, Nullable: true,
		Metadata: arrow.NewMetadata([]string{jsonKey}, []string{"json"})}
}

// IsJSON reports whether f is of type json.
func IsJSON(f arrow.Field) bool {
	v, ok := f.Metadata.GetValue(jsonKey)
	return ok && v == "json"
}

var byName = map[string]arrow.DataType{
	"bool": arrow.FixedWidthTypes.Boolean, "boolean": arrow.FixedWidthTypes.Boolean,
	"int8": arrow.PrimitiveTypes.Int8, "int16": arrow.PrimitiveTypes.Int16, "int32": arrow.PrimitiveTypes.Int32, "int64": arrow.PrimitiveTypes.Int64,
	"uint8": arrow.PrimitiveTypes.Uint8, "uint16": arrow.PrimitiveTypes.Uint16, "uint32": arrow.PrimitiveTypes.Uint32, "uint64": arrow.PrimitiveTypes.Uint64,
	"float32": arrow.PrimitiveTypes.Float32, "float64": arrow.PrimitiveTypes.Float64,
	"string": arrow.BinaryTypes.String, "binary": arrow.BinaryTypes.Binary,
	"date": Date, "time": Time, "timestamp": Timestamp, "timestamptz": Timestamptz,
	// PostgreSQL's names, for CAST and ::
	"smallint": arrow.PrimitiveTypes.Int16, "int2": arrow.PrimitiveTypes.Int16, "int": arrow.PrimitiveTypes.Int32, "integer": arrow.PrimitiveTypes.Int32, "int4": arrow.PrimitiveTypes.Int32,
	"bigint": arrow.PrimitiveTypes.Int64, "real": arrow.PrimitiveTypes.Float32, "float4": arrow.PrimitiveTypes.Float32, "double": arrow.PrimitiveTypes.Float64,
	"float": arrow.PrimitiveTypes.Float64, "float8": arrow.PrimitiveTypes.Float64, "double precision": arrow.PrimitiveTypes.Float64, "text": arrow.BinaryTypes.String,
	"varchar": arrow.BinaryTypes.String, "character varying": arrow.BinaryTypes.String, "bytea": arrow.BinaryTypes.Binary, "varbyte": arrow.BinaryTypes.Binary,
	"timestamp without time zone": Timestamp, "timestamp with time zone": Timestamptz,
	"numeric": &arrow.Decimal128Type{Precision: 38, Scale: 9}, "decimal": &arrow.Decimal128Type{Precision: 38, Scale: 9},
}

// Names are the canonical type names of the pipeline file, for messages and the nearest-name search.
var Names = []string{"bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float32", "float64",
	"decimal(p,s)", "string", "binary", "date", "time", "timestamp", "timestamptz", "list<T>", "struct<name: T, …>", "json"}

// ParseField gives the nullable Arrow field that the type name of the pipeline file (or of a CAST) stands for. Nested:
// list<T> (also T[]) and struct<a: T, b: T>.
func ParseField(name, typ string) (arrow.Field, error) {
	t := strings.TrimSpace(typ)
	low := strings.ToLower(t)
	if low == "json" {
		return JSONField(name), nil
	}
	f := arrow.Field{Name: name, Nullable: true}
	if dt, ok := byName[strings.Join(strings.Fields(low), " ")]; ok {
		f.Type = dt
		return f, nil
	}
	switch {
	case strings.HasSuffix(low, "[]"):
		return listField(f, t[:len(t)-2])
	case strings.HasPrefix(low, "list<") && strings.HasSuffix(low, ">"):
		return listField(f, t[5:len(t)-1])
	case strings.HasPrefix(low, "struct<") && strings.HasSuffix(low, ">"):
		return structField(f, t[7:len(t)-1])
	case strings.HasPrefix(low, "decimal(") || strings.HasPrefix(low, "numeric("):
		return decimalField(f, low)
	case (strings.HasPrefix(low, "varchar(") || strings.HasPrefix(low, "char(")) && strings.HasSuffix(low, ")"):
		return f, fmt.Errorf("type %q has a length limit: cutting a value would change it; use string", t)
	}
	return f, fmt.Errorf("unknown type %q: use one of %s", t, strings.Join(Names, ", "))
}

func listField(f arrow.Field, elem string) (arrow.Field, error) {
	e, err := ParseField("element", elem)
	if err != nil {
		return f, err
	}
	f.Type = arrow.ListOfField(e)
	return f, nil
}

func structField(f arrow.Field, body string) (arrow.Field, error) {
	var fields []arrow.Field
	for _, part := range splitTop(body) {
		name, typ, ok := strings.Cut(part, ":")
		if !ok {
			return f, fmt.Errorf("struct field %q: want name: type", strings.TrimSpace(part))
		}
		sub, err := ParseField(strings.TrimSpace(name), typ)
		if err != nil {
			return f, err
		}
		fields = append(fields, sub)
	}
	f.Type = arrow.StructOf(fields...)
	return f, nil
}

func decimalField(f arrow.Field, low string) (arrow.Field, error) {
	inner := strings.TrimSuffix(low[strings.IndexByte(low, '(')+1:], ")")
	ps, ss, _ := strings.Cut(inner, ",")
	p, err1 := strconv.Atoi(strings.TrimSpace(ps))
	s, err2 := 0, error(nil)
	if ss != "" {
		s, err2 = strconv.Atoi(strings.TrimSpace(ss))
	}
	if !strings.HasSuffix(low, ")") {
		return f, fmt.Errorf("type %q: want decimal(precision,scale), in quotes where it stands within braces", low)
	}
	if err1 != nil || err2 != nil {
		return f, fmt.Errorf("type %q: want decimal(precision,scale)", low)
	}
	if p < 1 || p > 38 || s < 0 || s > p {
		return f, fmt.Errorf("type %q: precision must be 1 to 38 and scale 0 to precision", low)
	}
	f.Type = &arrow.Decimal128Type{Precision: int32(p), Scale: int32(s)}
	return f, nil
}

// splitTop splits at commas outside brackets.
func splitTop(s string) []string {
	var out []string
	depth, from := 0, 0
	for i, c := range s {
		switch c {
		case '<', '(':
			depth++
		case '>', ')':
			depth--
		case ',':
			if depth == 0 {
				out = append(out, s[from:i])
				from = i + 1
			}
		}
	}
	return append(out, s[from:])
}

// TypeName is the pipeline file's name of field f's type; ParseField reads it back.
func TypeName(f arrow.Field) string {
	if IsJSON(f) {
		return "json"
	}
	return DataTypeName(f.Type)
}

// DataTypeName is the pipeline file's name of an Arrow type.
func DataTypeName(dt arrow.DataType) string {
	switch t := dt.(type) {
	case *arrow.BooleanType:
		return "bool"
	case *arrow.StringType, *arrow.LargeStringType:
		return "string"
	case *arrow.BinaryType, *arrow.LargeBinaryType, *arrow.FixedSizeBinaryType:
		return "binary"
	case *arrow.Date32Type, *arrow.Date64Type:
		return "date"
	case *arrow.Time32Type, *arrow.Time64Type:
		return "time"
	case *arrow.TimestampType:
		if t.TimeZone != "" {
			return "timestamptz"
		}
		return "timestamp"
	case arrow.DecimalType:
		return fmt.Sprintf("decimal(%d,%d)", t.GetPrecision(), t.GetScale())
	case *arrow.ListType:
		return "list<" + TypeName(t.ElemField()) + ">"
	case *arrow.StructType:
		parts := make([]string, t.NumFields())
		for i, f := range t.Fields() {
			parts[i] = f.Name + ": " + TypeName(f)
		}
		return "struct<" + strings.Join(parts, ", ") + ">"
	}
	return dt.String() // int8 … uint64, float32, float64 are named alike
}
