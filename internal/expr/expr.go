// Package expr is SQL expressions in PostgreSQL's dialect: parse, type-check against an Arrow schema, evaluate a column
// at a time over Arrow record batches.
package expr

import (
	"time"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/memory"
)

// Env is what an expression may see beside its columns.
type Env struct {
	// Now is what now() and current_timestamp give: the time of the event, so that a retry computes the same.
	Now time.Time
}

// Error is a fault in an expression's text. Pos and Len are byte offsets into the source.
type Error struct {
	Pos, Len int
	Msg      string // lower case; names the nearest column or function where one is unknown
}

func (e *Error) Error() string { return e.Msg }

// RowError is a fault of one row at run time: overflow, a bad cast, division by zero.
type RowError struct {
	Row    int
	Value  string // the offending value as text
	Reason string // "integer overflow in a + b"
}

// Program is a compiled expression: immutable, safe for concurrent use.
type Program struct{}

// Compile parses src and binds it to schema. The error is an *Error.
func Compile(src string, schema *arrow.Schema, env Env) (*Program, error) { panic("to be written") }

// Source is the expression's text.
func (p *Program) Source() string { panic("to be written") }

// Field is the result's type and nullability (and json mark); its name is "".
func (p *Program) Field() arrow.Field { panic("to be written") }

// Columns are the names of the input columns that the expression uses, in order of first use.
func (p *Program) Columns() []string { panic("to be written") }

// Eval computes the expression for every row of rec. The caller owns the returned array, whose length is rec.NumRows().
// Rows in the RowError list (ascending, at most one a row) have no value: the array is null there. error is for what no
// single row is to blame for.
func (p *Program) Eval(rec arrow.Record, mem memory.Allocator) (arrow.Array, []RowError, error) {
	panic("to be written")
}

// Call is a function call taken apart, for aggregate measures such as sum(a + b), count(*) or count(distinct x).
type Call struct {
	Name     string // lower case
	Pos      int    // of the name
	Star     bool   // f(*)
	Distinct bool
	Args     []Arg
}

// Arg is an argument of a Call as text, with its place in the source.
type Arg struct {
	Source string
	Pos    int
}

// ParseCall parses src as exactly one function call, without binding it. The error is an *Error.
func ParseCall(src string) (*Call, error) { panic("to be written") }
