package transforms

import (
	"slices"

	"github.com/apache/arrow/go/v17/arrow"

	"github.com/sluice-data/sluice/internal/expr"
	"github.com/sluice-data/sluice/internal/spec"
	"github.com/sluice-data/sluice/transforms/agg"
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
	p, err := o.plain(a)
	if err != nil || o.cond == nil || !p.Fallible() || len(p.Columns()) == 0 {
		return p, err
	}
	return o.guarded(p, a.Pos)
}

func (o operands) plain(a expr.Arg) (*expr.Program, error) {
	p, err := expr.Compile(a.Source, o.in, o.env.Expr)
	if err != nil {
		return nil, placed(o.n, a.Pos, err)
	}
	return p, nil
}

// guarded is p where FILTER is true, and null elsewhere.
func (o operands) guarded(p *expr.Program, pos int) (*expr.Program, error) {
	g, err := expr.Compile("CASE WHEN ("+o.cond.Source()+") THEN ("+p.Source()+") END", o.in, o.env.Expr)
	if err != nil {
		return nil, o.n.ErrorAt(pos, "%w", err)
	}
	return g, nil
}

// keepsNulls are the aggregate functions that take account of nulls: a row that FILTER leaves out cannot be one to them.
var keepsNulls = []string{"array_agg", "first", "last"}

// overFrames compiles the arguments of fn over frames, whose rows are all there whatever FILTER says: those that it leaves out have null where others have a value,
// which functions pass over. Constants stay, since a share or what goes between texts has to be one.
func (o operands) overFrames(fn agg.Func, call *expr.Call) ([]*expr.Program, error) {
	if o.cond != nil && slices.Contains(keepsNulls, fn.Name) {
		return nil, o.n.ErrorAt(call.Pos, "%s with FILTER over a window: it takes account of nulls, which is what a row that is left out would be", call.Name)
	}
	if o.cond != nil && call.Star {
		call.Star, call.Args = false, []expr.Arg{{Source: "1", Pos: call.Pos}}
	}
	var progs []*expr.Program
	for _, a := range call.Args {
		p, err := o.compile(a)
		if err != nil {
			return nil, err
		}
		progs = append(progs, p)
	}
	if o.cond == nil || len(progs) == 0 {
		return progs, nil
	}
	at := max(0, slices.IndexFunc(progs, func(p *expr.Program) bool { return len(p.Columns()) > 0 }))
	p, err := o.plain(call.Args[at])
	if err == nil {
		progs[at], err = o.guarded(p, call.Args[at].Pos)
	}
	return progs, err
}
