package expr

import (
	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/memory"
)

// Bounds is what is known of a column in some rows without looking at them.
type Bounds struct {
	// Extremes holds values of the column's type that no value but null lies beyond, the smallest and the largest; with NaN
	// among them if there may be one. nil if they are not known, or if there is no value.
	Extremes arrow.Array
	NoNulls  bool // there is no null
	AllNulls bool // there is nothing else
}

// maxPruned is how many items of an IN list are looked at one by one.
const maxPruned = 256

// Pruner tells of a condition whether rows can be passed over: it is immutable and may be used from any goroutine.
type Pruner struct{ root verdict }

// verdict is a part of a condition; excludes reports that it is true in no row.
type verdict interface {
	excludes(of func(column string) (Bounds, bool)) bool
}

// NewPruner makes the pruner of a condition over schema's columns from the comparisons of single columns with constants, IN,
// BETWEEN and IS [NOT] NULL in it. It is nil if the condition may raise errors: a row that raises one is rejected and must
// be seen. The error is an *Error.
func NewPruner(src string, schema *arrow.Schema, env Env) (*Pruner, error) {
	p, err := Compile(src, schema, env)
	if err != nil || p.root.fallible() || p.root.typ().kind != kBool {
		return nil, err
	}
	tree, bad := parse(src)
	if bad != nil {
		return nil, bad
	}
	b := &pruneBinder{schema: schema, env: env}
	v := b.verdict(tree)
	if v == nil {
		v = allOf{}
	}
	return &Pruner{v}, nil
}

// Excludes reports that the condition is true in no row of which the columns' bounds are as given; of gives false for a
// column of which nothing is known.
func (p *Pruner) Excludes(of func(column string) (Bounds, bool)) bool { return p.root.excludes(of) }

type allOf []verdict // AND

func (v allOf) excludes(of func(string) (Bounds, bool)) bool {
	for _, part := range v {
		if part.excludes(of) {
			return true
		}
	}
	return false
}

type anyOf []verdict // OR

func (v anyOf) excludes(of func(string) (Bounds, bool)) bool {
	for _, part := range v {
		if !part.excludes(of) {
			return false
		}
	}
	return true
}

// nullTest is column IS [NOT] NULL.
type nullTest struct {
	column string
	not    bool
}

func (t nullTest) excludes(of func(string) (Bounds, bool)) bool {
	b, ok := of(t.column)
	return ok && (t.not && b.AllNulls || !t.not && b.NoNulls)
}

// compared is a comparison by order of a column with a constant: if it is true of any value, then of one of the extremes.
type compared struct {
	column string
	probe  *Program
	schema *arrow.Schema // the column alone
}

func (c *compared) excludes(of func(string) (Bounds, bool)) bool {
	b, ok := of(c.column)
	if !ok || b.AllNulls {
		return ok
	}
	if b.Extremes == nil || !arrow.TypeEqual(b.Extremes.DataType(), c.schema.Field(0).Type) {
		return false
	}
	rec := array.NewRecord(c.schema, []arrow.Array{b.Extremes}, int64(b.Extremes.Len()))
	defer rec.Release()
	out, errs, err := c.probe.Eval(rec, memory.DefaultAllocator)
	if err != nil {
		return false
	}
	defer out.Release()
	if len(errs) > 0 {
		return false
	}
	hold := out.(*array.Boolean)
	for i := range hold.Len() {
		if hold.IsValid(i) && hold.Value(i) {
			return false
		}
	}
	return true
}

type pruneBinder struct {
	schema *arrow.Schema
	env    Env
}

// verdict is nil for what nothing can be told of.
func (b *pruneBinder) verdict(n syntax) verdict {
	switch n := n.(type) {
	case *binaryOp:
		return b.binary(n)
	case *isTest:
		if col, ok := b.column(n.x); ok && n.what == "NULL" {
			return nullTest{col, n.not}
		}
	case *between:
		if n.not {
			return nil
		}
		if n.symmetric {
			return or(b.within(n.x, n.lo, n.hi), b.within(n.x, n.hi, n.lo))
		}
		return b.within(n.x, n.lo, n.hi)
	case *inList:
		if n.not || len(n.list) > maxPruned {
			return nil
		}
		var out anyOf
		for _, item := range n.list {
			eq := b.equal(n.x, item)
			if eq == nil {
				return nil
			}
			out = append(out, eq)
		}
		return out
	}
	return nil
}

func (b *pruneBinder) binary(n *binaryOp) verdict {
	switch n.op {
	case "AND":
		return b.and(b.verdict(n.x), b.verdict(n.y))
	case "OR":
		return or(b.verdict(n.x), b.verdict(n.y))
	case "=":
		return b.equal(n.x, n.y)
	case "<", "<=", ">", ">=":
		return b.compare(n.op, n.x, n.y)
	}
	return nil
}

func or(x, y verdict) verdict {
	if x == nil || y == nil {
		return nil
	}
	return anyOf{x, y}
}

// and leaves out what nothing can be told of.
func (*pruneBinder) and(parts ...verdict) verdict {
	var out allOf
	for _, p := range parts {
		if p != nil {
			out = append(out, p)
		}
	}
	if len(out) == 0 {
		return nil
	}
	return out
}

func (b *pruneBinder) within(x, lo, hi syntax) verdict {
	return b.and(b.compare(">=", x, lo), b.compare("<=", x, hi))
}

func (b *pruneBinder) equal(x, y syntax) verdict {
	return b.and(b.compare("<=", x, y), b.compare(">=", x, y))
}

// compare is x op y where one is a column and the other has none.
func (b *pruneBinder) compare(op string, x, y syntax) verdict {
	col, ok := b.column(x)
	if !ok || hasName(y) {
		if col, ok = b.column(y); !ok || hasName(x) {
			return nil
		}
	}
	i := b.schema.FieldIndices(col)
	if len(i) != 1 {
		return nil
	}
	one := arrow.NewSchema([]arrow.Field{b.schema.Field(i[0])}, nil)
	p, err := Compile(printSyntax(&binaryOp{op: op, x: x, y: y}), one, b.env)
	if err != nil || p.root.fallible() {
		return nil
	}
	return &compared{col, p, one}
}

// column is the name of the schema's column that n is.
func (b *pruneBinder) column(n syntax) (string, bool) {
	nm, ok := n.(*name)
	if !ok || len(nm.parts) != 1 {
		return "", false
	}
	i, err := find(nm.parts[0], b.schema.Fields(), "column")
	if err != nil {
		return "", false
	}
	return b.schema.Field(i).Name, true
}

// hasName reports whether n has a column in it, or may have.
func hasName(n syntax) bool {
	switch n := n.(type) {
	case *literal:
		return false
	case *unary:
		return hasName(n.x)
	case *binaryOp:
		return hasName(n.x) || hasName(n.y)
	case *castTo:
		return hasName(n.x)
	case *call:
		for _, a := range n.args {
			if hasName(a) {
				return true
			}
		}
		return false
	}
	return true
}
