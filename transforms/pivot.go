package transforms

import (
	"strings"

	"github.com/apache/arrow/go/v17/arrow"

	"github.com/sluice-data/sluice/internal/expr"
	"github.com/sluice-data/sluice/internal/spec"
	"github.com/sluice-data/sluice/transforms/agg"
)

func init() {
	Register(Def{
		Name: "pivot",
		Doc: "Makes columns of values: groups rows by the columns of by, as aggregate does, and gives for each value that values lists the aggregate function using over the rows in which on has that value. " +
			"on is a column or SQL expression; values is a list, or a mapping of column names to values: they are written out, so that the columns are known. using is one call, whose columns are called as " +
			"the values are, or a mapping of names to calls, whose columns are called value_name. A row in which on has none of the values counts for its group's being there.",
		Example: "- pivot: {on: zone, values: [Soho, Astoria], using: sum(fare), by: [trip_id]}",
		Bind:    bindPivot,
	})
}

// bindPivot binds an aggregate with a measure for each value: using FILTER (WHERE on = value).
func bindPivot(env Env, n *spec.Node, in *arrow.Schema) (Bound, error) {
	if _, err := n.Map("on", "values", "using", "by"); err != nil {
		return Bound{}, err
	}
	for _, key := range []string{"on", "values", "using"} {
		if n.Get(key) == nil {
			return Bound{}, n.Errorf("pivot needs %s: {on: column, values: [a, b], using: sum(x), by: [key]}", key)
		}
	}
	cond, err := compile(env, n.Get("on"), in)
	if err != nil {
		return Bound{}, err
	}
	values, err := named(n.Get("values"))
	if err != nil {
		return Bound{}, err
	}
	using := []spec.Entry{{At: n.Get("using"), Value: n.Get("using")}}
	if n.Get("using").IsMap() {
		if using, err = n.Get("using").Map(); err != nil {
			return Bound{}, err
		}
	}
	var measures []spec.Entry
	for _, v := range values {
		if !v.Value.IsScalar() {
			return Bound{}, v.Value.Errorf("pivot: null is no value to look for: give it a name before, coalesce(%s, 'none')", cond.Source())
		}
		value, err := v.Value.Str()
		if err != nil {
			return Bound{}, err
		}
		has := "(" + cond.Source() + ") = " + quoted(value)
		if _, err := expr.Compile(has, in, env.Expr); err != nil {
			return Bound{}, v.Value.Errorf("pivot: %s has no value %q: %w", cond.Source(), value, err)
		}
		for _, u := range using {
			name := v.Key
			if u.Key != "" {
				name += "_" + u.Key
			}
			call, err := lone(u.Value)
			if err != nil {
				return Bound{}, err
			}
			measures = append(measures, spec.Entry{Key: name, At: v.At, Value: u.Value.Scalar(call+" FILTER (WHERE "+has+")", places(len(call)+len(has)+32))})
		}
	}
	entries := []spec.Entry{{Key: "measures", At: n, Value: n.Mapping(0, measures...)}}
	if by := n.Get("by"); by != nil {
		entries = append(entries, spec.Entry{Key: "by", At: by, Value: by})
	}
	b, err := bindAggregate(env, n.Mapping(0, entries...), in)
	if err == nil {
		b.Explain = "pivot on " + cond.Source() + ", " + b.Explain
	}
	return b, err
}

// lone is the text of n, which has to be one call of an aggregate function that can have a FILTER put behind it.
func lone(n *spec.Node) (string, error) {
	text, err := n.Str()
	if err != nil {
		return "", err
	}
	m, err := expr.ParseMeasure(text, IsAggregate)
	if err != nil {
		return "", placed(n, 0, err)
	}
	if !m.Lone() || m.Calls[0].Filter != nil {
		name, _, _ := strings.Cut(text, "(")
		return "", n.Errorf("using wants one aggregate function without FILTER, such as sum(x)%s", hint(strings.TrimSpace(name), agg.Names()))
	}
	return text, nil
}

// places are those of a text that stands in the file, and goes on where it does not.
func places(n int) []int {
	out := make([]int, n)
	for i := range out {
		out[i] = i
	}
	return out
}

// named are a mapping's entries, or a list's items under their own names.
func named(n *spec.Node) ([]spec.Entry, error) {
	if n.IsMap() {
		return n.Map()
	}
	items, err := n.List()
	var out []spec.Entry
	for _, it := range items {
		name, err := it.Str()
		if err != nil {
			return nil, err
		}
		out = append(out, spec.Entry{Key: name, At: it, Value: it})
	}
	if err == nil && len(out) == 0 {
		err = n.Errorf("pivot needs at least one value")
	}
	return out, err
}
