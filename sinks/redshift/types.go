package redshift

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/apache/arrow/go/v17/arrow"

	"github.com/sluice-data/sluice/internal/schema"
)

// The most bytes of Redshift's character and binary types in a table that is made ("Character types", "VARBYTE type"). Texts of 16,000,000 bytes (enable_large_strings_opt_in) are for SUPER and
// expressions, not for VARCHAR columns; newer releases have longer VARBYTE. A column that stands is held to its own length, whatever that is.
const (
	maxVarchar = 65_535
	maxVarbyte = 1_024_000
)

// kind groups types by what COPY asks of them.
type kind uint8

const (
	kindPlain  kind = iota // one type of Redshift's and no other
	kindText               // varchar or char of some length
	kindBinary             // varbyte of some length
	kindNested             // super, by SERIALIZETOJSON
)

// column is a column of the files and what it is in Redshift.
type column struct {
	field    string // its name in the rows
	name     string // in the table
	typ      string // by the pipeline file's names
	kind     kind
	sql      string // the type in the table; without a length for text and binary
	nullable bool
	why      error // it cannot be loaded
}

func (c column) refused() error { return c.why }

// columnOf is what COPY from Parquet makes of a field as sinks/parquet writes it. AWS has no table of that; this one is AWS SDK for pandas'
// (awswrangler/_data_types.py) without unsigned integers: their Parquet types are those of signed ones, and a value above half their range
// would be read as negative. COPY widens nothing: the file's physical type must be the column's ("incompatible Parquet schema").
func columnOf(f arrow.Field) column {
	c := column{field: f.Name, name: lower(f.Name), typ: schema.TypeName(f), nullable: f.Nullable}
	dt := f.Type
	if d, ok := dt.(*arrow.DictionaryType); ok {
		dt = d.ValueType
		c.typ = schema.DataTypeName(dt)
	}
	switch t := dt.(type) {
	case *arrow.BooleanType:
		c.sql = "boolean"
	case *arrow.Int8Type, *arrow.Int16Type:
		c.sql = "smallint"
	case *arrow.Int32Type:
		c.sql = "integer"
	case *arrow.Int64Type:
		c.sql = "bigint"
	case *arrow.Uint8Type, *arrow.Uint16Type, *arrow.Uint32Type:
		to := map[arrow.Type]string{arrow.UINT8: "int16", arrow.UINT16: "int32", arrow.UINT32: "int64"}[t.ID()]
		c.why = fmt.Errorf("it has no unsigned integers, and %s needs a wider signed one: cast: {%s: %s}", c.typ, f.Name, to)
	case *arrow.Uint64Type:
		c.why = fmt.Errorf(`it has no unsigned integers: cast: {%s: "decimal(20,0)"}`, f.Name)
	case *arrow.Float32Type:
		c.sql = "real"
	case *arrow.Float64Type:
		c.sql = "double precision"
	case arrow.DecimalType:
		c.sql = fmt.Sprintf("numeric(%d,%d)", t.GetPrecision(), t.GetScale())
		if t.GetPrecision() > 38 {
			c.why = errors.New("its numbers have 38 digits at most")
		}
	case *arrow.StringType, *arrow.LargeStringType:
		c.kind, c.sql = kindText, "character varying"
	case *arrow.BinaryType, *arrow.LargeBinaryType:
		c.kind, c.sql = kindBinary, "binary varying"
	case *arrow.Date32Type, *arrow.Date64Type:
		c.sql = "date"
	case *arrow.Time32Type:
		c.sql = "time without time zone"
	case *arrow.Time64Type:
		c.sql = "time without time zone"
		if t.Unit == arrow.Nanosecond {
			c.why = fmt.Errorf("its times have microseconds, these have nanoseconds: cast: {%s: time}", f.Name)
		}
	case *arrow.TimestampType:
		to := "timestamp"
		c.sql = "timestamp without time zone"
		if t.TimeZone != "" {
			to = "timestamptz"
			c.sql = "timestamp with time zone"
		}
		if t.Unit == arrow.Nanosecond {
			c.why = fmt.Errorf("its timestamps have microseconds, these have nanoseconds: cast: {%s: %s}", f.Name, to)
		}
	case *arrow.ListType, *arrow.LargeListType, *arrow.FixedSizeListType, *arrow.StructType, *arrow.MapType:
		c.kind, c.sql = kindNested, "super"
	default:
		c.why = fmt.Errorf("it has no type for %s", c.typ)
	}
	return c
}

// declared is the type in the DDL, with a length where it has one.
func (c column) declared(length int) string {
	switch c.kind {
	case kindText:
		return fmt.Sprintf("varchar(%d)", length)
	case kindBinary:
		return fmt.Sprintf("varbyte(%d)", length)
	}
	return c.sql
}

// fits says whether COPY takes the column into one of the type have, as format_type gives it, and how many bytes a value may have then; 0 is any.
func (c column) fits(have string) (length int, ok bool) {
	base, n := splitType(have)
	switch c.kind {
	case kindText:
		switch base {
		case "character varying", "character", "bpchar", "varchar", "char":
			return n, n > 0
		case "text":
			return 256, true // a column of type text is varchar(256)
		}
		return 0, false
	case kindBinary:
		return n, n > 0 && (base == "binary varying" || base == "varbyte" || base == "varbinary")
	}
	return 0, have == c.sql
}

// splitType parts "character varying(20)" into the type and its length; 0 without one.
func splitType(t string) (base string, length int) {
	base, rest, ok := strings.Cut(t, "(")
	if !ok {
		return t, 0
	}
	n, err := strconv.Atoi(strings.TrimSuffix(rest, ")"))
	if err != nil {
		return t, 0
	}
	return base, n
}

// castTo is the pipeline file's type whose column COPY takes into a table's column of type have; "" if there is none or it is not for sure.
func castTo(have string) string {
	switch have {
	case "boolean":
		return "bool"
	case "smallint":
		return "int16"
	case "integer":
		return "int32"
	case "bigint":
		return "int64"
	case "real":
		return "float32"
	case "double precision":
		return "float64"
	case "date":
		return "date"
	case "time without time zone":
		return "time"
	case "timestamp without time zone":
		return "timestamp"
	case "timestamp with time zone":
		return "timestamptz"
	}
	switch base, _ := splitType(have); base {
	case "character varying", "character", "text":
		return "string"
	case "binary varying":
		return "binary"
	}
	if rest, ok := strings.CutPrefix(have, "numeric("); ok {
		return `"decimal(` + rest + `"`
	}
	return ""
}
