package transforms

import (
	"github.com/apache/arrow/go/v17/arrow"

	"github.com/sluice-data/sluice/internal/expr"
	"github.com/sluice-data/sluice/internal/spec"
)

// operands compiles what stands in a call of an aggregate function, in n, over the rows of in.
type operands struct {
	env  Env
	n    *spec.Node
	in   *arrow.Schema
	cond *expr.Program // of FILTER; nil without
}

func operandsOf(env Env, n *spec.Node, in *arrow.Schema, call *expr.Call) (o operands, err error) {
	o = operands{env: env, n: n, in: in}
	if call.Filter == nil {
		return o, nil
	}
	if o.cond, err = expr.Compile(call.Filter.Source, in, env.Expr); err != nil {
		return o, placed(n, call.Filter.Pos, err)
	}
	if t := o.cond.Field(); t.Type.ID() != arrow.BOOL {
		return o, n.ErrorAt(call.Filter.Pos, "FILTER wants a condition (true or false), %s is of type %s", o.cond.Source(), typeNameOf(t))
	}
	return o, nil
}

// compile compiles an argument or a key of ORDER BY. One that can fail is null in the rows that FILTER leaves out, for which SQL does not compute it.
func (o operands) compile(a expr.Arg) (*expr.Program, error) {
	p, err := expr.Compile(a.Source, o.in, o.env.Expr)
	if err != nil {
		return nil, placed(o.n, a.Pos, err)
	}
	if o.cond == nil || !p.Fallible() || len(p.Columns()) == 0 {
		return p, nil
	}
	return o.guarded(p, a.Pos)
}

// guarded is p where FILTER is true, and null elsewhere.
func (o operands) guarded(p *expr.Program, pos int) (*expr.Program, error) {
	g, err := expr.Compile("CASE WHEN ("+o.cond.Source()+") THEN ("+p.Source()+") END", o.in, o.env.Expr)
	if err != nil {
		return nil, o.n.ErrorAt(pos, "%w", err)
	}
	return g, nil
}
