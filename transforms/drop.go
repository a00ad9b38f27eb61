package transforms

import (
	"github.com/apache/arrow/go/v17/arrow"

	"github.com/sluice-data/sluice/internal/spec"
)

func init() {
	Register(Def{
		Name:    "drop",
		Doc:     "Leaves the columns named out and keeps all others.",
		Example: "- drop: [tip]",
		Bind:    bindDrop,
	})
}

func bindDrop(_ Env, n *spec.Node, in *arrow.Schema) (Bound, error) {
	items, err := n.List()
	if err != nil {
		return Bound{}, n.Errorf("drop wants a list of columns: drop: [a, b]")
	}
	p, gone := &projection{name: "drop"}, names{}
	for _, it := range items {
		name, err := it.Str()
		if err != nil {
			return Bound{}, err
		}
		if _, err := lookup(it, in, name); err != nil {
			return Bound{}, err
		}
		if gone[name] {
			return Bound{}, it.Errorf("column %q is dropped twice", name)
		}
		gone.add(name)
		p.names = append(p.names, name)
	}
	for i, f := range in.Fields() {
		if !gone[f.Name] {
			p.copy(in, i, f.Name)
		}
	}
	if len(p.cols) == 0 {
		return Bound{}, n.Errorf("drop leaves no column")
	}
	if len(gone) == 0 {
		return Bound{}, n.Errorf("drop needs at least one column")
	}
	return p.bound(in, p.names), nil
}
