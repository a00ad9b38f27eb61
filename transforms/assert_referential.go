package transforms

import (
	"context"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/memory"

	"github.com/sluice-data/sluice/internal/expr"
	"github.com/sluice-data/sluice/internal/fail"
	"github.com/sluice-data/sluice/internal/spec"
	"github.com/sluice-data/sluice/pipeline"
	"github.com/sluice-data/sluice/transforms/internal/join"
)

// reference is a column of a table whose values are the ones that may be.
type reference struct {
	rel   Relation
	key   lookupPair
	index *join.Index // once it is loaded
}

var referenceKeys = append([]string{"table", "column"}, spec.ReferenceKeys...)

// assertTables are the tables that referential expectations name.
func assertTables(args *spec.Node) []*spec.Node {
	var out []*spec.Node
	items, _ := args.List() // binding says what is wrong
	for _, it := range items {
		if !it.IsMap() {
			continue
		}
		if n := it.Get("referential"); n != nil && n.IsMap() {
			entries, _ := n.Map()
			for _, e := range entries {
				out = append(out, e.Value)
			}
		}
	}
	return out
}

// referential binds column i to the column of the table that e names.
func (b *assertBinder) referential(x expectation, e spec.Entry, i int) error {
	if _, err := e.Value.Map(referenceKeys...); err != nil {
		return err
	}
	rel, err := b.env.Relation(e.Value)
	if err != nil {
		return err
	}
	column, at := e.Key, e.At
	if n := e.Value.Get("column"); n != nil {
		if column, err = n.Str(); err != nil {
			return err
		}
		at = n
	}
	k, err := tableColumn(at, rel, column)
	if err != nil {
		return err
	}
	rel.Use(column)
	p, err := expr.Compile(expr.QuoteName(b.in.Field(i).Name), b.in, b.env.Expr)
	if err != nil {
		return placed(e.At, 0, err)
	}
	x.ref = &reference{rel: rel}
	if x.ref.key, err = pair(b.env, b.in, p, rel.Schema().Field(k)); err != nil {
		return e.At.Errorf("referential: %q is of type %s and %s of table %s of type %s: %w", e.Key, typeNameOf(p.Field()), column, rel.Name(), typeNameOf(rel.Schema().Field(k)), err)
	}
	x.column, x.text = i, "referential "+e.Key+" in "+rel.Name()+"."+column
	b.a.add(x)
	return nil
}

// Load indexes the tables of the referential expectations.
func (a *assert) Load(context.Context) error {
	for _, x := range a.all {
		if x.ref == nil {
			continue
		}
		keys := []lookupPair{x.ref.key}
		pieces, err := keyPieces(keys, x.ref.rel, memory.DefaultAllocator)
		if err != nil {
			return err
		}
		x.ref.index, err = join.NewIndex(keyTypes(keys), pieces, x.ref.rel.Rows())
		releasePieces(pieces)
		if err != nil {
			return fail.Newf(fail.Data, "%s: %w", x.text, err)
		}
	}
	return nil
}

// absent are the rows whose value the table does not have; null is none.
func (s *assertStage) absent(x expectation, probe *join.Probe, b pipeline.Batch) (refusals, error) {
	c, errs, err := x.ref.key.prog.Eval(b.Rec, s.mem)
	if err != nil {
		return nil, err
	}
	defer c.Release()
	name, title := s.a.in.Field(x.column).Name, x.title()
	var bad refusals
	for _, e := range errs {
		bad = append(bad, refusal{e.Row, name, e.Value, "check " + title + ": " + e.Reason})
	}
	s.ids = resized(s.ids, int(b.Rec.NumRows()))
	if err := probe.Find([]arrow.Array{c}, s.ids); err != nil {
		return nil, err
	}
	shown := b.Rec.Column(x.column)
	for i, id := range s.ids {
		if id < 0 && c.IsValid(i) {
			bad = append(bad, refusal{i, name, cell(shown, i), "check failed: " + title})
		}
	}
	return bad, nil
}
