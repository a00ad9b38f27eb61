package transforms

import (
	"fmt"
	"slices"
	"strings"

	"github.com/apache/arrow/go/v17/arrow"

	"github.com/sluice-data/sluice/internal/expr"
	"github.com/sluice-data/sluice/internal/spec"
)

const (
	// setColumn is the key that keeps the groups of several sets of keys apart: the number of the set.
	setColumn = "_set"
	// mostSets is how many sets of keys one step may group by, as in PostgreSQL.
	mostSets = 4096
)

// sets takes rollup, cube and grouping_sets: as in SQL's GROUP BY, with several of them every set of one goes with every set of the others.
func (b *aggregateBinder) sets(n *spec.Node) error {
	var all [][]int // the keys of each set
	var named []int // keys that belong to some
	for _, kind := range []string{"rollup", "cube", "grouping_sets"} {
		at := n.Get(kind)
		if at == nil {
			continue
		}
		items, err := at.List()
		if err != nil {
			return err
		}
		var parts [][]int
		for _, it := range items {
			part, err := b.part(it)
			if err != nil {
				return err
			}
			parts, named = append(parts, part), append(named, part...)
		}
		if len(parts) == 0 || kind == "cube" && len(parts) > 12 {
			return at.Errorf("%s wants 1 to 12 keys", kind)
		}
		mine := map[string]func([][]int) [][]int{"rollup": rollup, "cube": cube, "grouping_sets": func(p [][]int) [][]int { return p }}[kind](parts)
		if all == nil {
			all = mine
			continue
		}
		var both [][]int
		for _, x := range all {
			for _, y := range mine {
				both = append(both, append(slices.Clone(x), y...))
			}
		}
		if all = both; len(all) > mostSets {
			return at.Errorf("aggregate by more than %d sets of keys", mostSets)
		}
	}
	if all == nil {
		return nil
	}
	if b.seen[setColumn] {
		return n.Errorf("no key may be called %s beside rollup, cube and grouping_sets", setColumn)
	}
	for _, set := range all {
		in := make([]bool, len(b.cfg.Keys))
		for k := range in {
			in[k] = slices.Contains(set, k) || !slices.Contains(named, k)
			b.cfg.Keys[k].Nullable = true
		}
		b.a.sets = append(b.a.sets, in)
	}
	b.seen.add(setColumn)
	b.keyed = append(b.keyed, fmt.Sprintf("in %d sets", len(all)))
	return nil
}

// part is a key, or a list of keys that go together. A key that by has not is a column of the rows.
func (b *aggregateBinder) part(it *spec.Node) ([]int, error) {
	items := []*spec.Node{it}
	if it.IsList() {
		items, _ = it.List()
	}
	out := []int{}
	for _, it := range items {
		name, err := it.Str()
		if err != nil {
			return nil, err
		}
		at := slices.IndexFunc(b.cfg.Keys, func(f arrow.Field) bool { return f.Name == name })
		if at < 0 {
			if err := b.column(it); err != nil {
				return nil, err
			}
			at = len(b.cfg.Keys) - 1
		}
		out = append(out, at)
	}
	return out, nil
}

func rollup(parts [][]int) (out [][]int) {
	for i := len(parts); i >= 0; i-- {
		out = append(out, slices.Concat(parts[:i]...))
	}
	return out
}

func cube(parts [][]int) (out [][]int) {
	for mask := 1<<len(parts) - 1; mask >= 0; mask-- {
		var set []int
		for i, p := range parts {
			if mask>>(len(parts)-1-i)&1 != 0 {
				set = append(set, p...)
			}
		}
		out = append(out, set)
	}
	return out
}

// groupingBits is grouping(a, b, …): which of these keys are not in the set.
type groupingBits struct {
	column string
	keys   []int
}

func (b *aggregateBinder) grouping(n *spec.Node, c *expr.Call, column string) error {
	g := groupingBits{column: column}
	if len(c.Args) == 0 || len(c.Args) > 31 || c.Distinct || c.Filter != nil || len(c.Order) > 0 {
		return n.ErrorOver(c.Pos, len(c.Source), "grouping takes 1 to 31 keys and nothing else")
	}
	for _, a := range c.Args {
		name := strings.TrimSpace(a.Source)
		if strings.HasPrefix(name, `"`) {
			name = strings.ReplaceAll(strings.Trim(name, `"`), `""`, `"`)
		}
		at := slices.IndexFunc(b.cfg.Keys, func(f arrow.Field) bool { return f.Name == name })
		if at < 0 {
			var keys []string
			for _, k := range b.cfg.Keys {
				keys = append(keys, k.Name)
			}
			return n.ErrorOver(a.Pos, len(a.Source), "grouping takes keys of the groups, not %s%s", name, hint(name, keys))
		}
		g.keys = append(g.keys, at)
	}
	b.bits = append(b.bits, g)
	return nil
}

// source is the expression over setColumn.
func (g groupingBits) source(sets [][]bool) string {
	if len(sets) == 0 {
		return "0"
	}
	var w strings.Builder
	w.WriteString("CASE " + setColumn)
	for i, set := range sets {
		v := 0
		for _, k := range g.keys {
			v <<= 1
			if k < len(set) && !set[k] {
				v++
			}
		}
		fmt.Fprintf(&w, " WHEN %d THEN %d", i, v)
	}
	return w.String() + " ELSE 0 END"
}
