package transforms

import (
	"context"
	"strings"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/bitutil"
	"github.com/apache/arrow/go/v17/arrow/memory"

	"github.com/sluice-data/sluice/internal/expr"
	"github.com/sluice-data/sluice/internal/spec"
	"github.com/sluice-data/sluice/pipeline"
	"github.com/sluice-data/sluice/transforms/internal/col"
)

func init() {
	Register(Def{
		Name: "check",
		Doc: "Rejects the rows that break a rule: for each column a list of not_null and of SQL conditions. A condition that is null holds, as in SQL's CHECK. " +
			"The checks of the schema block are this step, run first.",
		Example: "- check: {trip_id: [not_null], fare: [\"fare >= 0\", \"fare < 1000\"]}",
		Bind:    bindCheck,
	})
}

func bindCheck(env Env, n *spec.Node, in *arrow.Schema) (Bound, error) {
	entries, err := n.Map()
	if err != nil {
		return Bound{}, err
	}
	var checks []ColumnCheck
	for _, e := range entries {
		items := []*spec.Node{e.Value}
		if e.Value.IsList() {
			if items, err = e.Value.List(); err != nil {
				return Bound{}, err
			}
		}
		for _, it := range items {
			s, err := it.Str()
			if err != nil {
				return Bound{}, err
			}
			checks = append(checks, ColumnCheck{Column: e.Key, At: e.At, NotNull: s == "not_null", Expr: it})
		}
	}
	b, err := BindChecks(env, checks, in)
	if err == nil && b.Step == nil {
		err = n.Errorf("check needs at least one check: {column: [not_null, \"condition\"]}")
	}
	return b, err
}

// ColumnCheck is one check of a column.
type ColumnCheck struct {
	Column  string
	At      *spec.Node // where the column is named
	NotNull bool
	Expr    *spec.Node // the condition, unless NotNull
}

// BindChecks makes the step that holds rows against checks, in their order; its Step is nil if there are none. Errors are *fail.Error of
// kind Usage with the check's place.
func BindChecks(env Env, checks []ColumnCheck, in *arrow.Schema) (Bound, error) {
	c := &check{schema: in}
	var used, says []string
	for _, k := range checks {
		i, err := lookup(k.At, in, k.Column)
		if err != nil {
			return Bound{}, err
		}
		used = append(used, k.Column)
		r := rule{column: k.Column, index: i, text: "not_null"}
		if !k.NotNull {
			if r.cond, err = compileBool(env, k.Expr, in); err != nil {
				return Bound{}, err
			}
			r.text = r.cond.Source()
			used = append(used, r.cond.Columns()...)
		}
		c.rules = append(c.rules, r)
		says = append(says, k.Column+" "+r.text)
	}
	if len(c.rules) == 0 {
		return Bound{}, nil
	}
	return Bound{Step: c, Needs: also(used), Explain: "check " + strings.Join(says, ", ")}, nil
}

// rule is one check of a column.
type rule struct {
	column string
	index  int
	text   string
	cond   *expr.Program // nil is not_null
}

type check struct {
	schema *arrow.Schema
	rules  []rule
}

func (c *check) Name() string          { return "check" }
func (c *check) Schema() *arrow.Schema { return c.schema }
func (c *check) NewStage(mem memory.Allocator) (pipeline.Stage, error) {
	return &checkStage{c, mem}, nil
}

type checkStage struct {
	c   *check
	mem memory.Allocator
}

func (s *checkStage) Apply(_ context.Context, b pipeline.Batch, rej *pipeline.Rejects) (pipeline.Batch, error) {
	var bad refusals
	for _, r := range s.c.rules {
		a := b.Rec.Column(r.index)
		if r.cond == nil {
			bad.nulls(r, a)
			continue
		}
		ok, errs, err := r.cond.Eval(b.Rec, s.mem)
		if err != nil {
			return pipeline.Batch{}, err
		}
		for _, e := range errs {
			bad = append(bad, refusal{e.Row, r.column, e.Value, "check " + r.text + ": " + e.Reason})
		}
		bad.falses(r, a, ok)
		ok.Release()
	}
	if left := bad.reject(b, int(b.Rec.NumRows()), rej); left != nil {
		return keep(b, b.Rec, left, s.mem)
	}
	return pass(b), nil
}

// nulls refuses the rows in which a is null.
func (r *refusals) nulls(rule rule, a arrow.Array) {
	valid, off := col.Valid(a)
	if valid == nil {
		return
	}
	for i := range a.Len() {
		if bitutil.BitIsNotSet(valid, off+i) {
			*r = append(*r, refusal{i, rule.column, "", "check failed: " + rule.text})
		}
	}
}

// falses refuses the rows in which ok is false.
func (r *refusals) falses(rule rule, a, ok arrow.Array) {
	bits, off := col.Bits(ok)
	if bitutil.CountSetBits(bits, off, ok.Len()) == ok.Len() {
		return
	}
	valid, vo := col.Valid(ok)
	for i := range ok.Len() {
		if bitutil.BitIsNotSet(bits, off+i) && (valid == nil || bitutil.BitIsSet(valid, vo+i)) {
			*r = append(*r, refusal{i, rule.column, cell(a, i), "check failed: " + rule.text})
		}
	}
}

func (s *checkStage) Close() {}
