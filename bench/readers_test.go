package bench

import (
	"fmt"
	"math/big"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/apache/arrow-go/v18/parquet/file"
	"github.com/apache/arrow-go/v18/parquet/pqarrow"
)

// A file of every type, as two readers that are none of ours see it: Arrow's own (another implementation of Parquet) and DuckDB. Each has the type that was meant, every
// value exactly, and the null below it.
func TestEveryTypeToOtherReaders(t *testing.T) {
	columns := []struct{ name, typ, cell, arrow, value, duckType, duck string }{
		{"b", "bool", `true`, "bool", "true", "BOOLEAN", "true"},
		{"i8", "int8", `-128`, "int8", "-128", "TINYINT", "-128"},
		{"i16", "int16", `-32768`, "int16", "-32768", "SMALLINT", "-32768"},
		{"i32", "int32", `-2147483648`, "int32", "-2147483648", "INTEGER", "-2147483648"},
		{"i64", "int64", `-9223372036854775808`, "int64", "-9223372036854775808", "BIGINT", "-9223372036854775808"},
		{"u8", "uint8", `255`, "uint8", "255", "UTINYINT", "255"},
		{"u16", "uint16", `65535`, "uint16", "65535", "USMALLINT", "65535"},
		{"u32", "uint32", `4294967295`, "uint32", "4294967295", "UINTEGER", "4294967295"},
		{"u64", "uint64", `18446744073709551615`, "uint64", "18446744073709551615", "UBIGINT", "18446744073709551615"},
		{"f32", "float32", `1.5`, "float32", "1.5", "FLOAT", "1.5"},
		{"f64", "float64", `5e-324`, "float64", "5e-324", "DOUBLE", "5e-324"},
		{"d9", "decimal(9,2)", `-1234567.89`, "decimal(9, 2)", "-1234567.89", "DECIMAL(9,2)", "-1234567.89"},
		{"d18", "decimal(18,4)", `12345678901234.5678`, "decimal(18, 4)", "12345678901234.5678", "DECIMAL(18,4)", "12345678901234.5678"},
		{"d38", "decimal(38,10)", `-1234567890123456789012345678.0123456789`, "decimal(38, 10)", "-1234567890123456789012345678.0123456789", "DECIMAL(38,10)", "-1234567890123456789012345678.0123456789"},
		{"d380", "decimal(38,0)", `99999999999999999999999999999999999999`, "decimal(38, 0)", "99999999999999999999999999999999999999", "DECIMAL(38,0)", "99999999999999999999999999999999999999"},
		{"s", "string", `"größe \"東京\""`, "utf8", `größe "東京"`, "VARCHAR", `größe "東京"`},
		{"bin", "binary", `"AP8="`, "binary", "AP8=", "BLOB", `\x00\xFF`},
		{"day", "date", `"0001-01-01"`, "date32", "0001-01-01", "DATE", "0001-01-01"},
		{"t", "time", `"23:59:59.999999"`, "time64[us]", "23:59:59.999999", "TIME", "23:59:59.999999"},
		{"ts", "timestamp", `"1969-12-31 23:59:59.999999"`, "timestamp[us]", "1969-12-31T23:59:59.999999Z", "TIMESTAMP", "1969-12-31 23:59:59.999999"},
		{"tz", "timestamptz", `"2024-02-29T12:00:00.5+02:00"`, "timestamp[us, tz=UTC]", "2024-02-29T10:00:00.5Z", "TIMESTAMP WITH TIME ZONE", "2024-02-29 10:00:00.5+00"},
		{"l", "list<int64>", `[1, null]`, "list<element: int64, nullable>", "[1,null]", "BIGINT[]", "[1, NULL]"},
		{"ll", "list<list<string>>", `[["a", null], [], null]`, "list<element: list<element: utf8, nullable>, nullable>", `[["a",null],[],null]`, "VARCHAR[][]", "[[a, NULL], [], NULL]"},
		{"ls", "list<struct<x: int64>>", `[{"x": 1}, null, {"x": null}]`, "list<element: struct<x: int64>, nullable>", `[{"x":1},null,{"x":null}]`, "STRUCT(x BIGINT)[]", "[{'x': 1}, NULL, {'x': NULL}]"},
		{"st", "struct<x: int32, y: string>", `{"x": 1, "y": "z"}`, "struct<x: int32, y: utf8>", `{"x":1,"y":"z"}`, "STRUCT(x INTEGER, y VARCHAR)", "{'x': 1, 'y': z}"},
		{"j", "json", `{"a": [1]}`, "binary", "eyJhIjogWzFdfQ==", "JSON", `{"a": [1]}`},
	}
	db, dir := openDuckDB(t), t.TempDir()
	execute(t, db, "SET TimeZone = 'UTC'")
	in, p := filepath.Join(dir, "in.jsonl"), filepath.Join(dir, "p.yaml")
	var row, declared []string
	for _, c := range columns {
		row, declared = append(row, fmt.Sprintf("%q: %s", c.name, c.cell)), append(declared, fmt.Sprintf("%s: %q", c.name, c.typ))
	}
	write(t, in, "{"+strings.Join(row, ", ")+"}\n{}\n")
	for _, codec := range []string{"zstd", "snappy", "gzip", "lz4", "none"} {
		write(t, p, "version: 1\nname: types\nschema: {columns: {"+strings.Join(declared, ", ")+"}}\nsink: {uri: out/, parquet: {compression: "+codec+"}}\n")
		out := t.TempDir()
		runWorker(t, "run", "-p", p, "--input", in, "--output", out)
		names, err := filepath.Glob(filepath.Join(out, "part-*.parquet"))
		if err != nil || len(names) != 1 {
			t.Fatal(names, err)
		}
		table := readByArrow(t, names[0])
		if table.NumRows() != 2 || int(table.NumCols()) != len(columns) {
			t.Fatalf("%s: %d rows of %d columns", codec, table.NumRows(), table.NumCols())
		}
		for i, c := range columns {
			col := table.Column(i)
			a := col.Data().Chunk(0)
			if got := fmt.Sprint(col.DataType()); col.Name() != c.name || got != c.arrow || a.ValueStr(0) != c.value || !a.IsNull(1) {
				t.Errorf("%s, arrow: column %s is %s %s with %q, then null: %t; want %s with %q", codec, c.name, col.Name(), got, a.ValueStr(0), a.IsNull(1), c.arrow, c.value)
			}
			got := query(t, db, fmt.Sprintf("SELECT typeof(%[1]s), %[1]s::VARCHAR, (SELECT count(*) FROM %[2]s WHERE %[1]s IS NULL) FROM %[2]s LIMIT 1", c.name, Quote(names[0])))
			if s := fmt.Sprint(got.Rows); s != fmt.Sprint([][]any{{c.duckType, c.duck, 1}}) {
				t.Errorf("%s, DuckDB: column %s: %s, want %s with %q", codec, c.name, s, c.duckType, c.duck)
			}
		}
		table.Release()
	}
}

// readByArrow is the file as Arrow's own reader has it. The caller releases it.
func readByArrow(t *testing.T, name string) arrow.Table {
	t.Helper()
	r, err := file.OpenParquetFile(name, false)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	reader, err := pqarrow.NewFileReader(r, pqarrow.ArrowReadProperties{BatchSize: 1000}, memory.DefaultAllocator)
	if err != nil {
		t.Fatal(err)
	}
	table, err := reader.ReadTable(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return table
}

// Dictionaries, bloom filters, plain and delta pages, several row groups and nulls at every place: each value of each column, in order, as Arrow's reader has it.
func TestManyRowsToArrow(t *testing.T) {
	const rows = 5001
	columns := []struct {
		name, typ string
		cell      func(i int) (json, want string)
	}{
		{"n", "int64", func(i int) (string, string) { v := fmt.Sprint(i*i - 5000); return v, v }},
		{"few", "string", func(i int) (string, string) { v := "zone " + fmt.Sprint(i%11); return `"` + v + `"`, v }},
		{"many", "string", func(i int) (string, string) {
			v := strings.Repeat("é", i%5) + fmt.Sprint(i*7919)
			return `"` + v + `"`, v
		}},
		{"few_n", "int32", func(i int) (string, string) { v := fmt.Sprint(i / 3000 * -70000); return v, v }},
		{"f", "float64", func(i int) (string, string) { v := fmt.Sprint(float64(i) / 8); return v, v }},
		{"d9", "decimal(9,2)", func(i int) (string, string) { v := fmt.Sprintf("-%d.%02d", i, i%100); return v, v }},
		{"d18", "decimal(18,3)", func(i int) (string, string) { v := fmt.Sprintf("%d.%03d", i*1e9, i%1000); return v, v }},
		{"d38", "decimal(38,1)", func(i int) (string, string) { v := fmt.Sprintf("%d000000000000000000000.%d", i+1, i%10); return v, v }},
		{"ok", "bool", func(i int) (string, string) { v := fmt.Sprint(i%3 == 0); return v, v }},
		{"at", "timestamp", func(i int) (string, string) {
			v := time.Date(2024, 1, 1, 0, 0, i*61, i%10*1000, time.UTC)
			return v.Format(`"2006-01-02 15:04:05.000000"`), v.Format(time.RFC3339Nano)
		}},
		{"l", "list<int64>", func(i int) (string, string) {
			v := strings.ReplaceAll(strings.Trim(strings.Repeat(fmt.Sprint(i)+",null,", i%4), ","), ",,", ",")
			return "[" + v + "]", "[" + v + "]"
		}},
		{"st", "struct<x: int32, l: list<string>>", func(i int) (string, string) {
			v := fmt.Sprintf(`{"l":["%d","b"],"x":%d}`, i, i%9)
			return v, v
		}},
	}
	// null says where a column has none: in runs, here and there, and in one column nowhere.
	null := func(c, i int) bool { return c > 0 && (i%(c+5) == 0 || i/500%7 == c%7) }
	var in strings.Builder
	for i := range rows {
		for c, col := range columns {
			v, _ := col.cell(i)
			if null(c, i) {
				v = "null"
			}
			fmt.Fprintf(&in, "%s%q: %s", map[bool]string{true: "{", false: ", "}[c == 0], col.name, v)
		}
		in.WriteString("}\n")
	}
	dir := t.TempDir()
	write(t, filepath.Join(dir, "in.jsonl"), in.String())
	var declared []string
	for _, c := range columns {
		declared = append(declared, fmt.Sprintf("%s: %q", c.name, c.typ))
	}
	for _, codec := range []string{"zstd", "snappy", "gzip", "lz4", "none"} {
		p, out := filepath.Join(dir, codec+".yaml"), filepath.Join(dir, codec)
		write(t, p, "version: 1\nname: many\nschema: {columns: {"+strings.Join(declared, ", ")+"}}\nsink: {uri: out/, parquet: {compression: "+codec+", row_group_rows: 1500, bloom_filter: [n, few, many]}}\n")
		runWorker(t, "run", "-p", p, "--input", filepath.Join(dir, "in.jsonl"), "--output", out)
		names, err := filepath.Glob(filepath.Join(out, "part-*.parquet"))
		if err != nil || len(names) != 1 {
			t.Fatal(names, err)
		}
		table := readByArrow(t, names[0])
		if table.NumRows() != rows {
			t.Fatalf("%s: %d rows", codec, table.NumRows())
		}
		for c, col := range columns {
			i := 0
			for _, chunk := range table.Column(c).Data().Chunks() {
				for k := range chunk.Len() {
					got, want := "null", "null"
					if !null(c, i) {
						_, want = col.cell(i)
					}
					if !chunk.IsNull(k) {
						got = chunk.ValueStr(k)
					}
					if x, ok := new(big.Rat).SetString(got); ok && strings.HasPrefix(col.typ, "decimal") { // how many zeros it prints at the end is its own affair
						y, _ := new(big.Rat).SetString(want)
						got, want = x.RatString(), y.RatString()
					}
					if got != want {
						t.Fatalf("%s: row %d of %s is %s, want %s", codec, i, col.name, got, want)
					}
					i++
				}
			}
		}
		table.Release()
	}
}
