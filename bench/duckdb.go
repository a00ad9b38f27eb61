// Package bench measures the worker against other engines on the same data, and compares values with DuckDB. It is a
// module of its own because it links the peers it measures against.
package bench

import (
	"context"
	"database/sql"
	"fmt"
	"strings"

	_ "github.com/duckdb/duckdb-go/v2" // the engine "duckdb" of database/sql
)

// Threads is what DuckDB gets.
const Threads = 2

// OpenDuckDB opens an in-memory database with that many threads. The caller closes it.
func OpenDuckDB(threads int) (*sql.DB, error) {
	return sql.Open("duckdb", fmt.Sprintf("?threads=%d", threads))
}

// Class is what a type is for: values of different classes are never the same.
type Class string

// Classes of types.
const (
	Number      Class = "number"
	Text        Class = "text"
	Bool        Class = "bool"
	Date        Class = "date"
	Timestamp   Class = "timestamp"
	Timestamptz Class = "timestamptz"
	Nested      Class = "nested"
)

// Table is a query's result.
type Table struct {
	Names   []string
	Types   []string // DuckDB's names
	Classes []Class
	Rows    [][]any
}

// Query runs a query and fetches all of its rows.
func Query(ctx context.Context, db *sql.DB, query string) (*Table, error) {
	rows, err := db.QueryContext(ctx, query)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	cols, err := rows.ColumnTypes()
	if err != nil {
		return nil, err
	}
	t := &Table{}
	for _, c := range cols {
		t.Names = append(t.Names, c.Name())
		t.Types = append(t.Types, c.DatabaseTypeName())
		t.Classes = append(t.Classes, classOf(c.DatabaseTypeName()))
	}
	for rows.Next() {
		row, ptr := make([]any, len(cols)), make([]any, len(cols))
		for i := range row {
			ptr[i] = &row[i]
		}
		if err := rows.Scan(ptr...); err != nil {
			return nil, err
		}
		t.Rows = append(t.Rows, row)
	}
	return t, rows.Err()
}

func classOf(typ string) Class {
	switch typ {
	case "TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT", "UHUGEINT", "FLOAT", "DOUBLE":
		return Number
	case "VARCHAR":
		return Text
	case "BOOLEAN":
		return Bool
	case "DATE":
		return Date
	case "TIMESTAMP", "TIMESTAMP_S", "TIMESTAMP_MS", "TIMESTAMP_NS":
		return Timestamp
	case "TIMESTAMPTZ", "TIMESTAMP WITH TIME ZONE":
		return Timestamptz
	}
	switch {
	case strings.HasPrefix(typ, "DECIMAL"):
		return Number
	case strings.HasSuffix(typ, "[]"), strings.HasPrefix(typ, "STRUCT"):
		return Nested
	}
	return Class(typ)
}

// duckTypes are DuckDB's names of the pipeline file's types, where they differ.
var duckTypes = map[string]string{
	"string": "VARCHAR", "bool": "BOOLEAN", "int8": "TINYINT", "int16": "SMALLINT", "int32": "INTEGER", "int64": "BIGINT", "uint64": "UBIGINT",
	"float32": "FLOAT", "float64": "DOUBLE",
}

// DuckType is DuckDB's name of a type of the pipeline file.
func DuckType(typ string) string {
	if t, ok := duckTypes[typ]; ok {
		return t
	}
	return strings.ToUpper(typ)
}

// ReadCSV is DuckDB's read_csv of a file with declared columns (name, type of the pipeline file) and nothing left to guess. An unquoted
// null is null; quoted, it is text.
func ReadCSV(file string, columns [][2]string, null string) string {
	types := make([]string, len(columns))
	for i, c := range columns {
		types[i] = Quote(c[0]) + ": " + Quote(DuckType(c[1]))
	}
	return fmt.Sprintf(`read_csv(%s, auto_detect = false, header = true, delim = ',', quote = '"', escape = '"', nullstr = %s, allow_quoted_nulls = false, columns = {%s})`,
		Quote(file), Quote(null), strings.Join(types, ", "))
}

// Quote is s as a string literal of SQL, and of YAML too.
func Quote(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }
