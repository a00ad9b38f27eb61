package glue

import (
	"errors"
	"fmt"
	"strings"
	"unicode"

	"github.com/apache/arrow/go/v17/arrow"

	"github.com/sluice-data/sluice/internal/schema"
)

// column is a column of the rows and what it is in the catalog.
type column struct {
	name string // in lower case, as the catalog keeps it; Athena finds the file's column whatever its case
	typ  string // Athena's
	of   arrow.Field
}

// columnOf is what Athena reads of a field as sinks/parquet writes it ("Data types in Amazon Athena"; AWS SDK for pandas' _data_types.py has the same). An instant
// is a timestamp in UTC, since tables of files have no zones.
func columnOf(f arrow.Field) (column, error) {
	c := column{name: strings.ToLower(f.Name), of: f}
	if err := nameFits(c.name); err != nil {
		return c, fmt.Errorf("column %q: %w: rename it", f.Name, err)
	}
	typ, err := typeOf(f.Type)
	if err != nil {
		return c, fmt.Errorf("column %q is %s: %w", f.Name, schema.TypeName(f), err)
	}
	c.typ = typ
	return c, nil
}

// nameFits holds a name against what Athena takes ("Name databases, tables, and columns").
func nameFits(s string) error {
	if s == "" || len(s) > 255 || strings.ContainsFunc(s, func(r rune) bool { return r != '_' && !unicode.IsLetter(r) && !unicode.IsDigit(r) }) {
		return errors.New("names in Athena are 1 to 255 letters, digits and underscores")
	}
	return nil
}

func typeOf(dt arrow.DataType) (string, error) {
	switch t := dt.(type) {
	case *arrow.DictionaryType:
		return typeOf(t.ValueType)
	case *arrow.BooleanType:
		return "boolean", nil
	case *arrow.Int8Type:
		return "tinyint", nil
	case *arrow.Int16Type, *arrow.Uint8Type:
		return "smallint", nil
	case *arrow.Int32Type, *arrow.Uint16Type:
		return "int", nil
	case *arrow.Int64Type:
		return "bigint", nil
	case *arrow.Uint32Type: // a signed reader takes the upper half of its values for negative ones
		return "", errors.New("cast it to int64: Athena has no unsigned integers")
	case *arrow.Uint64Type:
		return "", errors.New(`cast it to "decimal(20,0)": Athena has no unsigned integers`)
	case *arrow.Float32Type:
		return "float", nil
	case *arrow.Float64Type:
		return "double", nil
	case arrow.DecimalType:
		if t.GetPrecision() > 38 {
			return "", errors.New("decimals of Athena have 38 digits at most")
		}
		return fmt.Sprintf("decimal(%d,%d)", t.GetPrecision(), t.GetScale()), nil
	case *arrow.StringType, *arrow.LargeStringType:
		return "string", nil
	case *arrow.BinaryType, *arrow.LargeBinaryType, *arrow.FixedSizeBinaryType:
		return "binary", nil
	case *arrow.Date32Type, *arrow.Date64Type:
		return "date", nil
	case *arrow.TimestampType:
		if t.Unit == arrow.Nanosecond {
			return "", errors.New("cast it to timestamp: Athena does not read nanoseconds")
		}
		return "timestamp", nil
	case *arrow.Time32Type, *arrow.Time64Type:
		return "", errors.New("cast it to string: Athena has no times in tables of files")
	case *arrow.MapType: // before lists: it is one
		key, err := typeOf(t.KeyType())
		if err != nil {
			return "", err
		}
		item, err := typeOf(t.ItemType())
		return "map<" + key + "," + item + ">", err
	case arrow.ListLikeType:
		elem, err := typeOf(t.Elem())
		return "array<" + elem + ">", err
	case *arrow.StructType:
		parts := make([]string, t.NumFields())
		for i, f := range t.Fields() {
			if err := nameFits(f.Name); err != nil {
				return "", fmt.Errorf("field %q: %w", f.Name, err)
			}
			typ, err := typeOf(f.Type)
			if err != nil {
				return "", fmt.Errorf("field %q: %w", f.Name, err)
			}
			parts[i] = strings.ToLower(f.Name) + ":" + typ
		}
		return "struct<" + strings.Join(parts, ",") + ">", nil
	}
	return "", errors.New("cast it, or drop the column: Athena has no type for it")
}

// reads says whether a column that the catalog has as have reads a file's column of type typ as it is: the same type, an integer that a wider one of the
// same physical type holds, or a text.
func reads(have, typ string) bool {
	have = strings.ToLower(strings.ReplaceAll(have, " ", ""))
	if have == "integer" {
		have = "int"
	}
	switch {
	case have == typ:
		return true
	case typ == "tinyint":
		return have == "smallint" || have == "int"
	case typ == "smallint":
		return have == "int"
	case typ == "string":
		return strings.HasPrefix(have, "varchar(")
	}
	return false
}
