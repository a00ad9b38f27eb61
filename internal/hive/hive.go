// Package hive names the folders of a Hive-partitioned table: column=value for each partition column, in order, as Athena,
// Spark, Redshift Spectrum and DuckDB read them.
package hive

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"

	"github.com/sluice-data/sluice/internal/schema"
	"github.com/sluice-data/sluice/internal/textval"
)

// Null is the value that stands for null in a folder's name (hive.exec.default.partition.name).
const Null = "__HIVE_DEFAULT_PARTITION__"

// Value is a partition column's value as text, before it is escaped.
type Value struct {
	Text string
	Null bool
}

// MarshalJSON is the text, or null.
func (v Value) MarshalJSON() ([]byte, error) {
	if v.Null {
		return []byte("null"), nil
	}
	return json.Marshal(v.Text)
}

// UnmarshalJSON reads what MarshalJSON wrote.
func (v *Value) UnmarshalJSON(b []byte) error {
	*v = Value{Null: string(b) == "null"}
	return json.Unmarshal(b, &v.Text)
}

// CheckField says why f cannot be a partition column, or nil: its name must be one that all readers find, its type one whose
// values have one exact text that is read back as the same value.
func CheckField(f arrow.Field) error {
	switch {
	case f.Name == "":
		return errors.New("a column without a name cannot be a folder's")
	case strings.IndexFunc(f.Name, unicode.IsUpper) >= 0:
		return fmt.Errorf("the name of partition column %q has upper case letters: Athena and Glue pass over such folders; rename it to %q", f.Name, strings.ToLower(f.Name))
	case f.Name[0] == '_' || f.Name[0] == '.':
		return fmt.Errorf("folders of partition column %q would begin with %q, and readers hide those; rename it", f.Name, f.Name[:1])
	}
	if schema.IsJSON(f) {
		return fmt.Errorf("a json column cannot be partitioned by: %q", f.Name)
	}
	switch t := f.Type.(type) {
	case *arrow.BooleanType, *arrow.Int8Type, *arrow.Int16Type, *arrow.Int32Type, *arrow.Int64Type, *arrow.Uint8Type, *arrow.Uint16Type,
		*arrow.Uint32Type, *arrow.Uint64Type, *arrow.StringType, *arrow.Date32Type, *arrow.Decimal128Type:
		return nil
	case *arrow.TimestampType:
		if t.TimeZone == "" && t.Unit == arrow.Microsecond {
			return nil
		}
		return fmt.Errorf("%q is a %s, an instant, which has no text that all readers take for the same: partition by a date or timestamp derived from it", f.Name, schema.TypeName(f))
	case *arrow.Float32Type, *arrow.Float64Type:
		return fmt.Errorf("%q is a %s: a float cannot be partitioned by; cast it to a decimal, or round it to an integer", f.Name, schema.TypeName(f))
	}
	return fmt.Errorf("%q is of type %s, which cannot be partitioned by: use bool, an integer, decimal, string, date or timestamp", f.Name, schema.TypeName(f))
}

// ValueAt is row i of a, of a type that CheckField takes, in memory of its own. The error is for a value that would be read back as another: the
// text says why, as the reason of a rejected row.
func ValueAt(a arrow.Array, i int) (Value, error) {
	if a.IsNull(i) {
		return Value{Null: true}, nil
	}
	var b []byte
	switch a := a.(type) {
	case *array.Boolean:
		b = strconv.AppendBool(b, a.Value(i))
	case *array.Int8:
		b = strconv.AppendInt(b, int64(a.Value(i)), 10)
	case *array.Int16:
		b = strconv.AppendInt(b, int64(a.Value(i)), 10)
	case *array.Int32:
		b = strconv.AppendInt(b, int64(a.Value(i)), 10)
	case *array.Int64:
		b = strconv.AppendInt(b, a.Value(i), 10)
	case *array.Uint8:
		b = strconv.AppendUint(b, uint64(a.Value(i)), 10)
	case *array.Uint16:
		b = strconv.AppendUint(b, uint64(a.Value(i)), 10)
	case *array.Uint32:
		b = strconv.AppendUint(b, uint64(a.Value(i)), 10)
	case *array.Uint64:
		b = strconv.AppendUint(b, a.Value(i), 10)
	case *array.Date32:
		b = textval.AppendDate(b, int32(a.Value(i)))
	case *array.Timestamp:
		b = textval.AppendTimestamp(b, int64(a.Value(i)))
	case *array.Decimal128:
		b = textval.AppendDecimal(b, a.Value(i), a.DataType().(*arrow.Decimal128Type).Scale)
	case *array.String:
		s := a.Value(i)
		switch {
		case s == "":
			return Value{}, errors.New("an empty text names no partition: it would be read back as null")
		case s == Null:
			return Value{Text: strings.Clone(s)}, errors.New("this text is the name of the null partition: it would be read back as null")
		}
		return Value{Text: strings.Clone(s)}, nil // a is released long before the value is written
	default:
		return Value{}, fmt.Errorf("values of type %s cannot be partitioned by", a.DataType())
	}
	if id := a.DataType().ID(); (id == arrow.DATE32 || id == arrow.TIMESTAMP) && (b[4] != '-' || b[len(b)-1] == 'C') {
		return Value{Text: string(b)}, errors.New("a year outside of 1 to 9999 cannot be a partition's: readers do not take it")
	}
	return Value{Text: string(b)}, nil
}

// Folder is the path of the partition below the table, with a slash at its end: day=2024-01-01/zone=7/.
func Folder(names []string, values []Value) string {
	var b strings.Builder
	for i, name := range names {
		escape(&b, name)
		b.WriteByte('=')
		if values[i].Null {
			b.WriteString(Null)
		} else {
			escapeValue(&b, values[i].Text)
		}
		b.WriteByte('/')
	}
	return b.String()
}

// Limits are how many bytes names may have where the folders are to be; 0 is no limit.
type Limits struct {
	Name int // of one folder: 255 in a directory
	Path int // of a Folder as a whole: what an object's key, of 1,024 bytes in S3, has room for
}

// Check says why the folder, made by Folder, is too long, and by which of its columns; nil if it is not.
func (l Limits) Check(folder string) (of int, err error) {
	longest := 0
	for i, name := range strings.Split(strings.TrimSuffix(folder, "/"), "/") {
		if l.Name > 0 && len(name) > l.Name {
			return i, fmt.Errorf("its folder's name would have %d bytes, and may have %d", len(name), l.Name)
		}
		if len(name) > longest {
			of, longest = i, len(name)
		}
	}
	if l.Path > 0 && len(folder) > l.Path {
		return of, fmt.Errorf("the partition's path would have %d bytes, and below the table's URI there is room for %d", len(folder), l.Path)
	}
	return 0, nil
}

// escaped is what Hive percent-encodes in a folder's name (org.apache.hadoop.hive.common.FileUtils.escapePathName; Spark's
// ExternalCatalogUtils has the same). Everything else stands as it is: readers decode %XX to a character each, so text
// beyond ASCII must not be encoded by its bytes.
const escaped = "\"#%'*/:=?\\\x7f{[]^"

// EscapeValue is a value's text as Folder writes it.
func EscapeValue(text string) string {
	var b strings.Builder
	escapeValue(&b, text)
	return b.String()
}

func escapeValue(b *strings.Builder, text string) {
	if strings.EqualFold(text, "null") { // DuckDB takes the bare word for null; all readers decode %XX of any character
		encode(b, text[0])
		text = text[1:]
	}
	escape(b, text)
}

// Escape is s as it stands in a folder's name.
func Escape(s string) string {
	var b strings.Builder
	escape(&b, s)
	return b.String()
}

func escape(b *strings.Builder, s string) {
	for i := range len(s) {
		if c := s[i]; c < ' ' || strings.IndexByte(escaped, c) >= 0 {
			encode(b, c)
		} else {
			b.WriteByte(c)
		}
	}
}

func encode(b *strings.Builder, c byte) {
	const hex = "0123456789ABCDEF"
	b.WriteByte('%')
	b.WriteByte(hex[c>>4])
	b.WriteByte(hex[c&15])
}
