package transforms

import (
	"github.com/apache/arrow/go/v17/arrow"

	"github.com/sluice-data/sluice/internal/spec"
)

func init() {
	Register(Def{
		Name:    "rename",
		Doc:     "Gives columns new names, old: new, all at once (two may swap), and keeps their order.",
		Example: "- rename: {trip_id: id, fare: amount}",
		Bind:    bindRename,
	})
}

func bindRename(_ Env, n *spec.Node, in *arrow.Schema) (Bound, error) {
	entries, err := n.Map()
	if err != nil {
		return Bound{}, err
	}
	if len(entries) == 0 {
		return Bound{}, n.Errorf("rename needs at least one column: {old: new}")
	}
	var says []string
	to := make([]string, in.NumFields())
	for i, f := range in.Fields() {
		to[i] = f.Name
	}
	for _, e := range entries {
		i, err := lookup(e.At, in, e.Key)
		if err != nil {
			return Bound{}, err
		}
		if to[i], err = e.Value.Str(); err != nil {
			return Bound{}, err
		}
		says = append(says, e.Key+" to "+to[i])
		if to[i] == "" {
			return Bound{}, e.Value.Errorf("column %q needs a new name", e.Key)
		}
	}
	p := &projection{name: "rename"}
	for _, e := range entries {
		p.names = append(p.names, e.Key)
	}
	seen := map[string]string{}
	for i, name := range to {
		if other, dup := seen[name]; dup {
			return Bound{}, n.Errorf("columns %q and %q would both be called %q", other, in.Field(i).Name, name)
		}
		seen[name] = in.Field(i).Name
		p.copy(in, i, name)
	}
	return p.bound(in, says), nil
}
