package transforms

import (
	"errors"
	"fmt"
	"strings"

	"github.com/apache/arrow/go/v17/arrow"

	"github.com/sluice-data/sluice/internal/expr"
	"github.com/sluice-data/sluice/internal/schema"
	"github.com/sluice-data/sluice/internal/spec"
)

// compile binds the expression that n holds to in. Errors have the place within the expression.
func compile(env Env, n *spec.Node, in *arrow.Schema) (*expr.Program, error) {
	src, err := n.Str()
	if err != nil {
		return nil, err
	}
	p, err := expr.Compile(src, in, env.Expr)
	if err != nil {
		return nil, placed(n, 0, err)
	}
	return p, nil
}

// compileBool is compile for a condition.
func compileBool(env Env, n *spec.Node, in *arrow.Schema) (*expr.Program, error) {
	p, err := compile(env, n, in)
	if err != nil {
		return nil, err
	}
	if f := p.Field(); f.Type.ID() != arrow.BOOL {
		return nil, n.Errorf("want a condition (true or false), %s is of type %s", p.Source(), schema.TypeName(f))
	}
	return p, nil
}

// placed gives an expression's error its place in the pipeline file; base is where the expression starts in n's text.
func placed(n *spec.Node, base int, err error) error {
	var e *expr.Error
	if errors.As(err, &e) {
		return n.ErrorOver(base+e.Pos, e.Len, "%s", e.Msg)
	}
	return n.Errorf("%w", err)
}

// lookup is the index of the column called name, with an error at n's place that names the nearest.
func lookup(n *spec.Node, in *arrow.Schema, name string) (int, error) {
	if idx := in.FieldIndices(name); len(idx) > 0 {
		return idx[0], nil
	}
	names := make([]string, in.NumFields())
	for i, f := range in.Fields() {
		names[i] = f.Name
	}
	return 0, n.Errorf("unknown column %q%s", name, hint(name, names))
}

// hint names the nearest of known, or all of a few.
func hint(name string, known []string) string {
	if near := spec.Nearest(name, known); near != "" {
		return fmt.Sprintf(": did you mean %q?", near)
	}
	if len(known) > 0 && len(known) <= 12 {
		return ": there are " + strings.Join(known, ", ")
	}
	return ""
}

// names is a set of column names.
type names map[string]bool

func setOf(s *arrow.Schema) names {
	out := make(names, s.NumFields())
	for _, f := range s.Fields() {
		out[f.Name] = true
	}
	return out
}

func (n names) add(more ...string) {
	for _, m := range more {
		n[m] = true
	}
}

// also gives the needs of a step that passes columns through and uses more itself: nil (all) stays nil.
func also(used []string) func(out map[string]bool) map[string]bool {
	return func(out map[string]bool) map[string]bool {
		if out == nil {
			return nil
		}
		in := make(names, len(out)+len(used))
		for n := range out {
			in.add(n)
		}
		in.add(used...)
		return in
	}
}

// bindNamed binds a step by its name.
func bindNamed(env Env, s spec.Step, in *arrow.Schema) (Bound, error) {
	def, err := Find(s)
	if err != nil {
		return Bound{}, err
	}
	return def.Bind(env, s.Node, in)
}

// Find is the step that s names; the error is of kind Usage, with its place and the nearest name.
func Find(s spec.Step) (Def, error) {
	def, ok := Lookup(s.Name)
	if ok {
		return def, nil
	}
	if near := spec.Nearest(s.Name, Names()); near != "" {
		return def, s.At.Errorf("unknown step %q: did you mean %q?", s.Name, near)
	}
	return def, s.At.Errorf("unknown step %q: this version has %s", s.Name, strings.Join(Names(), ", "))
}

// typeNameOf is a type as the pipeline file writes it.
func typeNameOf(f arrow.Field) string { return schema.TypeName(f) }
