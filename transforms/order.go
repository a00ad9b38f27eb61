package transforms

import (
	"github.com/apache/arrow/go/v17/arrow"

	"github.com/sluice-data/sluice/internal/expr"
	"github.com/sluice-data/sluice/internal/schema"
	"github.com/sluice-data/sluice/internal/spec"
	"github.com/sluice-data/sluice/transforms/internal/orderkey"
)

// keyPart is expressions that rows are ordered or told apart by, one part of a key.
type keyPart struct {
	progs []*expr.Program
	cols  []orderkey.Column
	says  []string
}

// bindOrder binds what an ORDER BY has: one text, or a list of texts and of mappings {column: direction}.
func bindOrder(env Env, n *spec.Node, in *arrow.Schema) (*keyPart, error) {
	k := &keyPart{}
	items := []*spec.Node{n}
	if !n.IsScalar() {
		var err error
		if items, err = n.List(); err != nil {
			return nil, n.Errorf("an order is a list of columns: [a, {b: desc}, \"expression desc nulls first\"]")
		}
		if len(items) == 0 {
			return nil, n.Errorf("an order needs at least one column")
		}
	}
	for _, it := range items {
		if it.IsMap() {
			entries, err := it.Map()
			if err != nil {
				return nil, err
			}
			for _, e := range entries {
				if _, err := lookup(e.At, in, e.Key); err != nil {
					return nil, err
				}
				dir, err := e.Value.Str()
				if err != nil {
					return nil, err
				}
				name := expr.QuoteName(e.Key)
				if err := k.order(env, e.Value, in, name+" "+dir, len(name)+1); err != nil {
					return nil, err
				}
			}
			continue
		}
		text, err := it.Str()
		if err != nil {
			return nil, err
		}
		if len(in.FieldIndices(text)) > 0 {
			text = expr.QuoteName(text)
		}
		if err := k.order(env, it, in, text, 0); err != nil {
			return nil, err
		}
	}
	return k, nil
}

// order adds the items of src, of which the first skip bytes are not in n.
func (k *keyPart) order(env Env, n *spec.Node, in *arrow.Schema, src string, skip int) error {
	items, err := expr.ParseOrder(src)
	if err != nil {
		return placed(n, -skip, err)
	}
	for _, o := range items {
		p, err := expr.Compile(o.Source, in, env.Expr)
		if err != nil {
			return placed(n, o.Pos-skip, err)
		}
		if err := k.add(p, o.Desc, o.NullsFirst); err != nil {
			return n.ErrorAt(max(0, o.Pos-skip), "%w", err)
		}
		says := o.Source
		if c := p.Columns(); len(c) == 1 && says == expr.QuoteName(c[0]) {
			says = c[0]
		}
		if o.Desc {
			says += " desc"
		}
		if o.NullsFirst != o.Desc {
			says += map[bool]string{true: " nulls first", false: " nulls last"}[o.NullsFirst]
		}
		k.says = append(k.says, says)
	}
	return nil
}

func (k *keyPart) add(p *expr.Program, desc, nullsFirst bool) error {
	f := p.Field()
	if !orderkey.Orderable(f.Type) {
		return errNoOrder{p.Source(), schema.TypeName(f)}
	}
	k.progs = append(k.progs, p)
	k.cols = append(k.cols, orderkey.Column{Type: f.Type, Nullable: true, Desc: desc, NullsFirst: nullsFirst})
	if !f.Nullable {
		k.cols[len(k.cols)-1].Nullable = false
	}
	return nil
}

type errNoOrder struct{ source, typ string }

func (e errNoOrder) Error() string {
	return e.source + " is of type " + e.typ + ": its values have no order"
}

// bindKeys binds a list of columns, or of expressions, by whose values rows are told apart.
func bindKeys(env Env, n *spec.Node, in *arrow.Schema) (*keyPart, error) {
	items := []*spec.Node{n}
	if !n.IsScalar() {
		var err error
		if items, err = n.List(); err != nil {
			return nil, n.Errorf("want a list of columns: [a, b]")
		}
		if len(items) == 0 {
			return nil, n.Errorf("want at least one column: [a, b]")
		}
	}
	k := &keyPart{}
	for _, it := range items {
		text, err := it.Str()
		if err != nil {
			return nil, err
		}
		src := text
		if len(in.FieldIndices(text)) > 0 {
			src = expr.QuoteName(text)
		}
		p, err := expr.Compile(src, in, env.Expr)
		if err != nil {
			return nil, placed(it, 0, err)
		}
		if err := k.add(p, false, false); err != nil {
			return nil, it.Errorf("%w", err)
		}
		k.says = append(k.says, text)
	}
	return k, nil
}

// compileName compiles a column's name, whatever is in it.
func compileName(env Env, name string, in *arrow.Schema) (*expr.Program, error) {
	return expr.Compile(expr.QuoteName(name), in, env.Expr)
}

// columns are the input columns that the parts use.
func columnsOf(parts []*keyPart) []string {
	var out []string
	for _, k := range parts {
		for _, p := range k.progs {
			out = append(out, p.Columns()...)
		}
	}
	return out
}
