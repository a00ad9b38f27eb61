package pg

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"math/bits"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/memory"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/sluice-data/sluice/internal/fail"
)

// Query is a statement that the server has checked, in a read-only transaction that sees one state of the database. It ends with its connection.
type Query struct {
	conn   *Conn
	gets   []getter
	schema *arrow.Schema
	about  []byte // its columns' names and types, as a part of Fetched.Hash
}

// Fetched is what a query gave.
type Fetched struct {
	Rows, Bytes int64
	// Hash is a SHA-256 of columns and rows, the same in whatever order the rows came. 64 hex digits.
	Hash string
}

const (
	queryVerb  = "query"
	batchRows  = 8192
	batchBytes = 1 << 20
)

// Prepare has the server check a query, with nothing of it run. Its columns all have types of ours, or the error says which cast to write. Position places an error in sql.
func (c *Conn) Prepare(ctx context.Context, sql string) (*Query, error) {
	if _, err := c.Exec(ctx, queryVerb, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"); err != nil {
		return nil, err
	}
	desc, err := c.pg.Prepare(ctx, "", sql, nil)
	if err != nil {
		return nil, queryError(ctx, err)
	}
	if len(desc.ParamOIDs) > 0 {
		return nil, fail.Newf(fail.Usage, "query: $1 has no value here: write the value, or ${name} and --set name=value")
	}
	if len(desc.Fields) == 0 {
		return nil, fail.Newf(fail.Usage, "query: it gives no columns: want SELECT …")
	}
	q := &Query{conn: c}
	fields := make([]arrow.Field, len(desc.Fields))
	seen := map[string]bool{}
	for i, f := range desc.Fields {
		if seen[f.Name] {
			return nil, fail.Newf(fail.Usage, "query: it has two columns named %q: name one of them with AS", f.Name)
		}
		seen[f.Name] = true
		g, field, err := getterOf(f.Name, f.DataTypeOID, f.TypeModifier)
		if err != nil {
			if errors.Is(err, errForeign) {
				err = c.foreign(ctx, f)
			}
			return nil, fail.Newf(fail.Usage, "query: column %q %w", f.Name, err)
		}
		q.gets, fields[i] = append(q.gets, g), field
		q.about = fmt.Appendf(q.about, "%q %d %d\n", f.Name, f.DataTypeOID, f.TypeModifier)
	}
	q.schema = arrow.NewSchema(fields, nil)
	return q, nil
}

// foreign says of what type a column is that has none of ours.
func (c *Conn) foreign(ctx context.Context, f pgconn.FieldDescription) error {
	rows, err := c.Query(ctx, queryVerb, "SELECT format_type($1::oid, $2::int4), typtype = 'e' FROM pg_type WHERE oid = $1::oid", fmt.Sprint(f.DataTypeOID), fmt.Sprint(f.TypeModifier))
	if err != nil {
		return err
	}
	name, cast := fmt.Sprint("number ", f.DataTypeOID), Ident(f.Name)+"::text"
	if len(rows) == 1 {
		name = string(rows[0][0])
	}
	switch {
	case strings.HasSuffix(name, "[]"):
		cast = "to_json(" + Ident(f.Name) + ")"
	case name == "oid":
		cast = Ident(f.Name) + "::bigint"
	case name == "money":
		cast = Ident(f.Name) + "::numeric(18,2)"
	case strings.HasPrefix(name, "time") && strings.HasSuffix(name, " with time zone"):
		cast = Ident(f.Name) + "::time"
	}
	return fmt.Errorf("is of type %s, which there is none for: write %s AS %s", name, cast, Ident(f.Name))
}

// queryError is an error of the server about a query.
func queryError(ctx context.Context, err error) error {
	var long *pgproto3.ExceededMaxBodyLenErr
	if errors.As(err, &long) {
		return fail.Newf(fail.Usage, "query: a row has %d bytes, more than there are for the table in memory: raise --memory-limit, or name fewer columns", long.ActualBodyLen)
	}
	var pe *pgconn.PgError
	if !errors.As(err, &pe) || ctx.Err() != nil {
		return Error(ctx, queryVerb, err)
	}
	kind, _ := meaning(pe)
	switch {
	case pe.Code == "25006":
		return fail.Newf(fail.Usage, "query: %s (SQLSTATE %s): it may only read%w", pe.Message, pe.Code, hidden{err})
	case pe.Code == "21000": // here it is a query in an expression
		kind = fail.Data
	}
	text := pe.Message
	for _, more := range []string{pe.Detail, pe.Hint} {
		if more != "" {
			text += ": " + strings.TrimSuffix(more, ".")
		}
	}
	return fail.Newf(kind, "query: %s (SQLSTATE %s)%w", text, pe.Code, hidden{err})
}

// Position is where in sql the server found what is wrong, in bytes; ok is false if it does not say.
func Position(err error, sql string) (from, length int, ok bool) {
	var pe *pgconn.PgError
	if !errors.As(err, &pe) || pe.Position < 1 {
		return 0, 0, false
	}
	at := int(pe.Position) - 1 // in characters
	for i := range sql {
		if at == 0 {
			from, ok = i, true
			break
		}
		at--
	}
	if !ok {
		return len(sql), 0, true
	}
	rest := sql[from:]
	word := strings.IndexFunc(rest, func(r rune) bool {
		return !(r == '_' || r == '.' || r == '"' || r > 127 || r >= '0' && r <= '9' || r|32 >= 'a' && r|32 <= 'z')
	})
	if word < 0 {
		word = len(rest)
	}
	return from, max(word, 1), true
}

// Schema are the query's columns, all nullable.
func (q *Query) Schema() *arrow.Schema { return q.schema }

// Read runs the query, once, and gives its rows to yield, which has to retain what it keeps. No row may have more than maxRow bytes. A value that none of ours stands for is
// an error of kind Data with its column.
func (q *Query) Read(ctx context.Context, mem memory.Allocator, maxRow int, yield func(arrow.Record) error) (f Fetched, err error) {
	front := q.conn.pg.Frontend()
	front.SetMaxBodyLen(max(maxRow, 1<<16))
	defer front.SetMaxBodyLen(0)
	// On the way out of an error the rest of the rows is not waited for.
	within, stop := context.WithCancel(ctx)
	defer stop()
	rows := q.conn.pg.ExecPrepared(within, "", nil, nil, []int16{pgproto3.BinaryFormat})
	defer func() {
		if err != nil {
			stop()
		}
		if _, cerr := rows.Close(); err == nil && cerr != nil {
			err = queryError(ctx, cerr)
		}
	}()
	b := array.NewRecordBuilder(mem, q.schema)
	defer b.Release()
	sum := rowSum{}
	held, n := 0, 0
	flush := func() error {
		rec := b.NewRecord()
		defer rec.Release()
		held, n = 0, 0
		return yield(rec)
	}
	var row []byte
	for rows.NextRow() {
		row = row[:0]
		for i, v := range rows.Values() {
			if v == nil {
				row = null(row)
				b.Field(i).AppendNull()
				continue
			}
			row = append(size(row, len(v)), v...)
			if err := q.gets[i](b.Field(i), v); err != nil {
				return f, fail.Newf(fail.Data, "row %d of the query: %w", f.Rows+1, err).Of(q.schema.Field(i).Name, "")
			}
		}
		sum.add(sha256.Sum256(row))
		f.Rows++
		f.Bytes += int64(len(row))
		held += len(row)
		if n++; n == batchRows || held >= batchBytes {
			if err := flush(); err != nil {
				return f, err
			}
		}
	}
	if _, err := rows.Close(); err != nil {
		return f, queryError(ctx, err)
	}
	if n > 0 {
		if err := flush(); err != nil {
			return f, err
		}
	}
	f.Hash = sum.hash(q.about, f.Rows)
	return f, nil
}

// rowSum is the sum, modulo 2^256, of the hashes of rows: it does not depend on their order, and rows that are there twice count twice.
type rowSum [4]uint64

func (s *rowSum) add(h [sha256.Size]byte) {
	carry := uint64(0)
	for i := range s {
		s[i], carry = bits.Add64(s[i], binary.LittleEndian.Uint64(h[i*8:]), carry)
	}
}

func (s *rowSum) hash(about []byte, rows int64) string {
	b := fmt.Appendf(slices.Clip(about), "%d\n", rows)
	for _, w := range s {
		b = binary.LittleEndian.AppendUint64(b, w)
	}
	h := sha256.Sum256(b)
	return hex.EncodeToString(h[:])
}

// utf8Text holds a text to be one: a database of encoding SQL_ASCII gives whatever it was given.
func utf8Text(v []byte) (string, error) {
	if !utf8.Valid(v) {
		return "", fmt.Errorf("%q is no UTF-8: convert_from(…) in the query makes it so", fail.Shorten(string(v)))
	}
	return string(v), nil
}
