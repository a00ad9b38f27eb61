package transforms

import (
	"errors"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/memory"

	"github.com/sluice-data/sluice/internal/expr"
	"github.com/sluice-data/sluice/internal/fail"
	"github.com/sluice-data/sluice/internal/schema"
	"github.com/sluice-data/sluice/transforms/internal/keys"
)

// lookupPair is an expression over the rows and a column of the table, made comparable.
type lookupPair struct {
	text   string // of the expression, as it is written
	prog   *expr.Program
	column string
	cast   *expr.Program // of the column; nil as it is
}

var errNoCommonType = errors.New("cast one side")

// pair makes values of p and of the column f comparable: where their types differ both become the type that holds either's.
func pair(env Env, in *arrow.Schema, p *expr.Program, f arrow.Field) (lookupPair, error) {
	k := lookupPair{prog: p, column: f.Name}
	g := p.Field()
	if schema.IsJSON(f) || schema.IsJSON(g) {
		return k, errors.New("json has no equality")
	}
	if !arrow.TypeEqual(g.Type, f.Type) {
		two := arrow.NewSchema([]arrow.Field{{Name: "a", Type: g.Type, Nullable: true}, {Name: "b", Type: f.Type, Nullable: true}}, nil)
		both, err := expr.Compile("coalesce(a, b)", two, env.Expr)
		if err != nil {
			return k, errNoCommonType
		}
		want := both.Field()
		to := schema.TypeName(want)
		if !arrow.TypeEqual(g.Type, want.Type) {
			if k.prog, err = expr.Compile("("+p.Source()+")::"+to, in, env.Expr); err != nil {
				return k, errNoCommonType
			}
		}
		if !arrow.TypeEqual(f.Type, want.Type) {
			if k.cast, err = expr.Compile(expr.QuoteName(f.Name)+"::"+to, arrow.NewSchema([]arrow.Field{f}, nil), env.Expr); err != nil {
				return k, errNoCommonType
			}
		}
	}
	_, err := keys.NewPlan([]arrow.DataType{k.prog.Field().Type})
	return k, err
}

// keyPieces are the columns of keys as they are compared, row after row in pieces, owned by the caller.
func keyPieces(keys []lookupPair, rel Relation, mem memory.Allocator) (out [][]arrow.Array, err error) {
	defer func() {
		if err != nil {
			releasePieces(out)
		}
	}()
	names := make([]string, len(keys))
	for i, k := range keys {
		names[i] = k.column
	}
	row := 0
	for _, lent := range rel.Pieces(names...) {
		piece := make([]arrow.Array, 0, len(keys))
		n := 0
		for i, k := range keys {
			n = lent[i].Len()
			a, err := k.compared(lent[i], row, rel, mem)
			if err != nil {
				return append(out, piece), err
			}
			piece = append(piece, a)
		}
		out = append(out, piece)
		row += n
	}
	return out, nil
}

func releasePieces(pieces [][]arrow.Array) {
	for _, p := range pieces {
		for _, a := range p {
			a.Release()
		}
	}
}

// keyTypes are those of the columns of keys as they are compared.
func keyTypes(keys []lookupPair) []arrow.DataType {
	out := make([]arrow.DataType, len(keys))
	for i, k := range keys {
		out[i] = k.prog.Field().Type
	}
	return out
}

// compared is rows of the column from one on, as it is compared, owned by the caller.
func (k lookupPair) compared(c arrow.Array, row int, rel Relation, mem memory.Allocator) (arrow.Array, error) {
	if k.cast == nil {
		c.Retain()
		return c, nil
	}
	f := rel.Schema().Field(rel.Schema().FieldIndices(k.column)[0])
	rec := array.NewRecord(arrow.NewSchema([]arrow.Field{f}, nil), []arrow.Array{c}, int64(c.Len()))
	defer rec.Release()
	a, bad, err := k.cast.Eval(rec, mem)
	if err != nil {
		return nil, err
	}
	if len(bad) > 0 {
		a.Release()
		return nil, fail.Newf(fail.Data, "lookup %s: %s, in %s: %s", rel.Name(), k.column, rel.Place(row+bad[0].Row), bad[0].Reason)
	}
	return a, nil
}

// whole is the column as it is compared, in one array that the caller owns.
func (k lookupPair) whole(rel Relation, mem memory.Allocator) (arrow.Array, error) {
	pieces, err := keyPieces([]lookupPair{k}, rel, mem)
	if err != nil {
		return nil, err
	}
	defer releasePieces(pieces)
	if len(pieces) == 0 {
		return array.MakeArrayOfNull(mem, k.prog.Field().Type, 0), nil
	}
	all := make([]arrow.Array, len(pieces))
	for i, p := range pieces {
		all[i] = p[0]
	}
	a, err := array.Concatenate(all, mem)
	if err != nil {
		return nil, fail.Newf(fail.Usage, "lookup %s: column %q: %w", rel.Name(), k.column, err)
	}
	return a, nil
}
