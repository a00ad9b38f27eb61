// Package expr is SQL expressions in PostgreSQL's dialect: parse, type-check against an Arrow schema, evaluate a column
// at a time over Arrow record batches.
//
// Where PostgreSQL would round or guess and Sluice promises not to, a row error is raised instead; testdata/*.txt are the
// reference for every rule; testdata/deviations.txt tells where PostgreSQL's are not followed and why.
package expr

import (
	"sort"
	"sync/atomic"
	"time"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/memory"

	"github.com/sluice-data/sluice/internal/fail"
	"github.com/sluice-data/sluice/internal/recycle"
	"github.com/sluice-data/sluice/internal/schema"
)

// Env is what an expression may see beside its columns.
type Env struct {
	// Now is what now() and current_timestamp give: the time of the event, so that a retry computes the same.
	Now time.Time
	// Secret gives the value of an environment variable that holds a key; nil: there are none.
	Secret func(name string) (value string, ok bool)
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
type Program struct {
	src     string
	root    node
	columns []column
	slots   int
	of      *bindable
}

// bindable is what a program was made of, to bind it again beside others.
type bindable struct {
	tree   syntax
	schema *arrow.Schema
	env    Env
	calls  []string // of a measure
	input  *arrow.Schema
}

// column is an input column as the program knows it.
type column struct {
	name  string
	index int // in the schema the program was bound to
	typ   arrow.DataType
}

// Compile parses src and binds it to schema. The error is an *Error.
func Compile(src string, schema *arrow.Schema, env Env) (*Program, error) {
	tree, err := parse(src)
	if err != nil {
		return nil, err
	}
	b := &binder{common: findCommon(tree)}
	p, err := b.program(src, &bindable{tree: tree, schema: schema, env: env})
	if err != nil {
		return nil, err
	}
	p.slots = b.slots
	return p, nil
}

// program binds one expression. Its slots are numbered on from those of b's before it.
func (b *binder) program(src string, of *bindable) (*Program, *Error) {
	b.src, b.schema, b.env, b.calls, b.input, b.columns = src, of.schema, of.env, of.calls, of.input, nil
	root, err := b.root(of.tree)
	if err != nil {
		return nil, err
	}
	if b.held == nil {
		b.held = new(atomic.Int64)
	}
	return &Program{src: src, root: overDictionary(root, b.held), columns: b.columns, of: of}, nil
}

// Source is the expression's text.
func (p *Program) Source() string { return p.src }

// Field is the result's type and nullability (and json mark); its name is "". A bare NULL is a string. A field that is not
// nullable can still be null in rows that Eval reports an error for.
func (p *Program) Field() arrow.Field {
	t := p.root.typ()
	if c, ok := p.root.(*columnNode); ok && len(c.path) == 0 {
		return arrow.Field{Type: c.field.Type, Nullable: c.nullable(), Metadata: c.field.Metadata}
	}
	f := arrow.Field{Type: t.arrowType(), Nullable: p.root.nullable()}
	if t.json {
		f.Metadata = schema.JSONField("").Metadata
	}
	return f
}

// Columns are the names of the input columns that the expression uses, in order of first use.
func (p *Program) Columns() []string {
	out := make([]string, len(p.columns))
	for i, c := range p.columns {
		out[i] = c.name
	}
	return out
}

// Column is the index of the input column that the expression gives as it is; ok is false if it computes anything.
func (p *Program) Column() (index int, ok bool) {
	c, ok := p.root.(*columnNode)
	if !ok || len(c.path) > 0 {
		return 0, false
	}
	return c.index, true
}

// Fallible reports whether rows can have errors.
func (p *Program) Fallible() bool {
	if c, ok := p.root.(*columnNode); ok && len(c.path) == 0 { // which is given as it is
		return false
	}
	return p.root.fallible()
}

// Eval computes the expression for every row of rec. The caller owns the returned array, whose length is rec.NumRows().
// Rows in the RowError list (ascending, at most one a row) have no value: the array is null there. error is for what no
// single row is to blame for.
func (p *Program) Eval(rec arrow.Record, mem memory.Allocator) (arrow.Array, []RowError, error) {
	r := newRun(rec, p.slots)
	defer r.done()
	return p.eval(r, mem)
}

// newRun is the state of an evaluation over rec; the caller ends it with done.
func newRun(rec arrow.Record, slots int) *run {
	r := runs.Get().(*run)
	r.rec, r.n = rec, int(rec.NumRows())
	for range slots {
		r.slots = append(r.slots, nil)
		r.kept = append(r.kept, nil)
	}
	return r
}

func (r *run) done() {
	r.reset()
	runs.Put(r)
}

// eval is Eval in a run that may have evaluated other programs before.
func (p *Program) eval(r *run, mem memory.Allocator) (arrow.Array, []RowError, error) {
	rec := r.rec
	if err := p.checkRecord(rec); err != nil {
		return nil, nil, err
	}
	if c, ok := p.root.(*columnNode); ok && len(c.path) == 0 { // as it is, whatever its layout
		col := rec.Column(c.index)
		col.Retain()
		return col, nil, nil
	}
	root := direct(p.root, rec)
	if w := root.typ().kind.width(); w > 0 && r.n > 0 {
		if _, ok := root.(*function); ok {
			r.root, r.direct = root, recycle.Undefined(mem, r.n*w)
		}
	}
	v := root.eval(r, nil)
	if r.err != nil {
		return nil, nil, r.err
	}
	errs := r.sortedErrors()
	if v.array != nil && len(errs) == 0 {
		v.array.Retain()
		return v.array, nil, nil
	}
	out, err := r.output(v, errs, mem)
	if err != nil {
		return nil, nil, err
	}
	return out, errs, nil
}

// checkRecord makes sure the columns are where and what they were at Compile.
func (p *Program) checkRecord(rec arrow.Record) error {
	for _, c := range p.columns {
		if c.index >= int(rec.NumCols()) || rec.ColumnName(c.index) != c.name || !arrow.TypeEqual(rec.Column(c.index).DataType(), c.typ) {
			return fail.Newf(fail.Internal, "evaluate %s: column %d of the batch is not %s %s as when the expression was compiled", p.src, c.index, c.name, c.typ)
		}
	}
	return nil
}

// sortedErrors are the run's errors by row, the first one of each.
func (r *run) sortedErrors() []RowError {
	if len(r.errs) == 0 {
		return nil
	}
	sort.SliceStable(r.errs, func(i, j int) bool { return r.errs[i].row < r.errs[j].row })
	var out []RowError
	for _, e := range r.errs {
		if len(out) == 0 || out[len(out)-1].Row != e.row {
			out = append(out, RowError{Row: e.row, Value: e.value, Reason: e.reason})
		}
	}
	return out
}
