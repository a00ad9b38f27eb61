package redshifttest

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/big"
	"strconv"
	"strings"
	"time"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/format"
)

// readParquet appends the rows of a file to lines, in PostgreSQL's text format, and says how many there are. Columns go by position; names mean
// nothing.
func readParquet(lines *bytes.Buffer, o object, targets []target, options map[string]bool) (int, error) {
	f, err := parquet.OpenFile(bytes.NewReader(o.body), int64(len(o.body)))
	if err != nil {
		return 0, &badFile{file: o, what: fmt.Sprintf("File '%s' has an invalid footer: %v", o.web(), err), brief: "Invalid Parquet file"}
	}
	fields := f.Schema().Fields()
	if len(fields) != len(targets) && !(options["FILLRECORD"] && len(fields) < len(targets)) {
		what := fmt.Sprintf("Unmatched number of columns between table and file. Table columns: %d, Data columns: %d, File name: %s", len(targets), len(fields), o.web())
		return 0, &badFile{file: o, what: what, brief: what}
	}
	first := make([]int, len(fields)+1) // the first leaf of each field
	for i, field := range fields {
		first[i+1] = first[i] + leaves(field)
		if !compatible(targets[i], field, options) {
			what := fmt.Sprintf("File '%s' has an incompatible Parquet schema for column '%s.%s'. Column type: %s, Parquet schema:\n%s", o.web(), o.url, field.Name(), strings.ToUpper(targets[i].typ), describe(field))
			return 0, &badFile{file: o, column: targets[i].name, typ: targets[i].typ, what: what, brief: "incompatible Parquet schema"}
		}
		if err := width(o, targets[i], field); err != nil {
			return 0, err
		}
	}
	rows := 0
	for _, g := range f.RowGroups() {
		if err := func() error {
			r := g.Rows()
			defer r.Close()
			batch := make([]parquet.Row, 64)
			for {
				n, err := r.ReadRows(batch)
				for _, row := range batch[:n] {
					if err := writeRow(lines, o, targets, fields, first, row); err != nil {
						return err
					}
					rows++
				}
				if errors.Is(err, io.EOF) {
					return nil
				}
				if err != nil {
					return err
				}
			}
		}(); err != nil {
			return 0, err
		}
	}
	return rows, nil
}

func leaves(n parquet.Node) int {
	if n.Leaf() {
		return 1
	}
	count := 0
	for _, f := range n.Fields() {
		count += leaves(f)
	}
	return count
}

func describe(f parquet.Field) string {
	if !f.Leaf() {
		return "group " + f.Name()
	}
	how := "required"
	if f.Optional() {
		how = "optional"
	}
	kind := map[parquet.Kind]string{parquet.ByteArray: "byte_array", parquet.FixedLenByteArray: "fixed_len_byte_array"}[f.Type().Kind()]
	if kind == "" {
		kind = strings.ToLower(f.Type().Kind().String())
	}
	return fmt.Sprintf("%s %s %s [i:0 d:1 r:0]\n", how, kind, f.Name())
}

// compatible says whether COPY takes the field into the column: the physical type must be the column's own, and what the file says it means
// must not be something else.
func compatible(t target, f parquet.Field, options map[string]bool) bool {
	if !f.Leaf() {
		return t.typ == "super" && options["SERIALIZETOJSON"]
	}
	kind := f.Type().Kind()
	var logical format.LogicalTypeValue
	if l := f.Type().LogicalType(); l != nil {
		logical = l.Value
	}
	integer := func(want parquet.Kind, bits ...int8) bool {
		if kind != want {
			return false
		}
		switch l := logical.(type) {
		case nil:
			return bits[len(bits)-1] >= 32
		case *format.IntType:
			for _, b := range bits {
				if l.BitWidth == b && l.IsSigned {
					return true
				}
			}
		}
		return false
	}
	switch base, _, _ := strings.Cut(t.typ, "("); base {
	case "boolean":
		return kind == parquet.Boolean
	case "smallint":
		return integer(parquet.Int32, 8, 16)
	case "integer":
		return integer(parquet.Int32, 32)
	case "bigint":
		return integer(parquet.Int64, 64)
	case "real":
		return kind == parquet.Float
	case "double precision":
		return kind == parquet.Double
	case "numeric":
		d, ok := logical.(*format.DecimalType)
		return ok && t.typ == fmt.Sprintf("numeric(%d,%d)", d.Precision, d.Scale)
	case "character varying", "character":
		if kind != parquet.ByteArray {
			return false
		}
		switch logical.(type) {
		case nil, *format.StringType, *format.JsonType:
			return true
		}
		return false
	case "binary varying":
		return kind == parquet.ByteArray && logical == nil
	case "date":
		_, ok := logical.(*format.DateType)
		return ok && kind == parquet.Int32
	case "timestamp without time zone", "timestamp with time zone":
		l, ok := logical.(*format.TimestampType)
		_, nanos := unitOf(logical).(*format.NanoSeconds)
		return ok && !nanos && l.IsAdjustedToUTC == (base == "timestamp with time zone")
	case "time without time zone":
		_, ok := logical.(*format.TimeType)
		_, nanos := unitOf(logical).(*format.NanoSeconds)
		return ok && !nanos
	}
	return false
}

func unitOf(l format.LogicalTypeValue) format.TimeUnitValue {
	switch l := l.(type) {
	case *format.TimestampType:
		return l.Unit.Value
	case *format.TimeType:
		return l.Unit.Value
	}
	return nil
}

// width holds the bytes of a decimal against those that its precision needs.
func width(o object, t target, f parquet.Field) error {
	if !f.Leaf() || f.Type().Kind() != parquet.FixedLenByteArray {
		return nil
	}
	d, ok := f.Type().LogicalType().Value.(*format.DecimalType)
	if !ok {
		return nil
	}
	most := new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(d.Precision)), nil)
	want := (most.Sub(most, big.NewInt(1)).BitLen() + 8) / 8
	if have := f.Type().Length(); have != want {
		what := fmt.Sprintf("File '%s' column '%s' has an invalid type length. Expecting: %d len in file: %d", o.web(), f.Name(), want, have)
		return &badFile{file: o, column: t.name, typ: t.typ, what: what, brief: what}
	}
	return nil
}

var escape = strings.NewReplacer(`\`, `\\`, "\t", `\t`, "\n", `\n`, "\r", `\r`)

func writeRow(lines *bytes.Buffer, o object, targets []target, fields []parquet.Field, first []int, row parquet.Row) error {
	byLeaf := make([][]parquet.Value, first[len(fields)])
	for _, v := range row {
		byLeaf[v.Column()] = append(byLeaf[v.Column()], v)
	}
	for i, t := range targets {
		if i > 0 {
			lines.WriteByte('\t')
		}
		if i >= len(fields) {
			lines.WriteString(`\N`)
			continue
		}
		a := assembler{leaves: byLeaf[first[i]:first[i+1]]}
		v := a.value(fields[i], 0, 0, 0)
		if v == nil {
			if t.notNull {
				return &badFile{file: o, column: t.name, typ: t.typ, brief: "Missing data for not-null field",
					what: fmt.Sprintf("Column '%s' is not null, but the file has null. File name: %s", t.name, o.web())}
			}
			lines.WriteString(`\N`)
			continue
		}
		text, ok := v.(string)
		if !ok || !fields[i].Leaf() {
			b, err := json.Marshal(v)
			if err != nil {
				return err
			}
			text = string(b)
		}
		if n := byteLength(t, text); t.length > 0 && n > t.length { // varchar counts bytes
			what := fmt.Sprintf("The length of the data column %s is longer than the length defined in the table. Table: %d, Data: %d, File name: %s", t.name, t.length, n, o.web())
			return &badFile{file: o, column: t.name, typ: t.typ, value: text, what: what, brief: fmt.Sprintf("String length exceeds DDL length, Value '%s'", text)}
		}
		lines.WriteString(escape.Replace(text))
	}
	lines.WriteByte('\n')
	return nil
}

func byteLength(t target, text string) int {
	if t.typ == "binary varying" {
		return (len(text) - 2) / 2
	}
	return len(text)
}

// assembler puts values together again from leaves and their levels.
type assembler struct{ leaves [][]parquet.Value }

func (a *assembler) pop(leaf int) parquet.Value {
	v := a.leaves[leaf][0]
	a.leaves[leaf] = a.leaves[leaf][1:]
	return v
}

func (a *assembler) skip(leaf int, n parquet.Node) {
	for i := range leaves(n) {
		a.pop(leaf + i)
	}
}

// value is the next of node n, whose first leaf is leaf: nil, a text, a map or a slice.
func (a *assembler) value(n parquet.Node, leaf, def, rep int) any {
	if n.Optional() {
		def++
		if a.leaves[leaf][0].DefinitionLevel() < def {
			a.skip(leaf, n)
			return nil
		}
	}
	if n.Leaf() {
		return textOf(n, a.pop(leaf))
	}
	if fields := n.Fields(); len(fields) == 1 && fields[0].Repeated() && len(fields[0].Fields()) == 1 { // a list
		out := []any{}
		if a.leaves[leaf][0].DefinitionLevel() < def+1 {
			a.skip(leaf, n)
			return out
		}
		for {
			out = append(out, a.scalar(fields[0].Fields()[0], leaf, def+1, rep+1))
			if next := a.leaves[leaf]; len(next) == 0 || next[0].RepetitionLevel() < rep+1 {
				return out
			}
		}
	}
	out := map[string]any{}
	for _, f := range n.Fields() {
		out[f.Name()] = a.scalar(f, leaf, def, rep)
		leaf += leaves(f)
	}
	return out
}

// scalar is value with numbers and truth as JSON has them.
func (a *assembler) scalar(n parquet.Node, leaf, def, rep int) any {
	v := a.value(n, leaf, def, rep)
	if s, ok := v.(string); ok && n.Leaf() {
		switch n.Type().Kind() {
		case parquet.Boolean:
			return s == "t"
		case parquet.Int32, parquet.Int64, parquet.Float, parquet.Double:
			if l := n.Type().LogicalType(); l == nil || strings.HasPrefix(l.String(), "INT") {
				return json.Number(s)
			}
		}
	}
	return v
}

// textOf is a value as PostgreSQL reads it.
func textOf(n parquet.Node, v parquet.Value) string {
	var logical format.LogicalTypeValue
	if l := n.Type().LogicalType(); l != nil {
		logical = l.Value
	}
	switch l := logical.(type) {
	case *format.DecimalType:
		return decimal(v, int(l.Scale))
	case *format.DateType:
		return time.Unix(int64(v.Int32())*86400, 0).UTC().Format("2006-01-02")
	case *format.TimestampType:
		text := micros(v, l.Unit.Value).Format("2006-01-02 15:04:05.999999")
		if l.IsAdjustedToUTC {
			text += "+00"
		}
		return text
	case *format.TimeType:
		return micros(v, l.Unit.Value).Format("15:04:05.999999")
	}
	switch v.Kind() {
	case parquet.Boolean:
		if v.Boolean() {
			return "t"
		}
		return "f"
	case parquet.Int32:
		return strconv.Itoa(int(v.Int32()))
	case parquet.Int64:
		return strconv.FormatInt(v.Int64(), 10)
	case parquet.Float:
		return strconv.FormatFloat(float64(v.Float()), 'g', -1, 32)
	case parquet.Double:
		return strconv.FormatFloat(v.Double(), 'g', -1, 64)
	}
	if logical == nil {
		return `\x` + hex.EncodeToString(v.ByteArray())
	}
	return string(v.ByteArray())
}

func micros(v parquet.Value, unit format.TimeUnitValue) time.Time {
	n := v.Int64()
	if v.Kind() == parquet.Int32 {
		n = int64(v.Int32())
	}
	if _, ok := unit.(*format.MilliSeconds); ok {
		n *= 1000
	}
	return time.UnixMicro(n).UTC()
}

func decimal(v parquet.Value, scale int) string {
	n := new(big.Int)
	switch v.Kind() {
	case parquet.Int32:
		n.SetInt64(int64(v.Int32()))
	case parquet.Int64:
		n.SetInt64(v.Int64())
	default:
		b := v.ByteArray()
		n.SetBytes(b)
		if len(b) > 0 && b[0] >= 0x80 {
			n.Sub(n, new(big.Int).Lsh(big.NewInt(1), uint(8*len(b))))
		}
	}
	digits := new(big.Int).Abs(n).String()
	if scale > 0 {
		digits = strings.Repeat("0", max(0, scale+1-len(digits))) + digits
		digits = digits[:len(digits)-scale] + "." + digits[len(digits)-scale:]
	}
	if n.Sign() < 0 {
		return "-" + digits
	}
	return digits
}
