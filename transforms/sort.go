package transforms

import (
	"strings"

	"github.com/apache/arrow/go/v17/arrow"

	"github.com/sluice-data/sluice/internal/spec"
)

func init() {
	Register(Def{
		Name: "sort",
		Doc: "Orders all rows, by what an SQL ORDER BY may have: a list of columns, {column: desc}, or expressions as text with asc or desc and nulls first or nulls last. " +
			"Nulls come last, and first under desc. Text is ordered byte by byte (collation \"C\"), NaN is above all numbers, -0 equals 0. Rows that are equal keep the order of the input, " +
			"whatever the lanes. Rows that do not fit the memory limit go to disk. A row for which an expression fails is rejected.",
		Example: "- sort: [zone, {fare: desc}, \"distance + 1 desc nulls last\"]",
		Bind:    bindSort,
	})
}

func bindSort(env Env, n *spec.Node, in *arrow.Schema) (Bound, error) {
	k, err := bindOrder(env, n, in)
	if err != nil {
		return Bound{}, err
	}
	return boundSort(env, n, k, everything(in))
}

func boundSort(env Env, n *spec.Node, k *keyPart, out view) (Bound, error) {
	f, err := newSorted(env, "sort", []*keyPart{k}, out)
	if err != nil {
		return Bound{}, n.Errorf("sort: %w", err)
	}
	return Bound{Fold: sortRows{f}, Explain: "sort " + strings.Join(k.says, ", "), Needs: also(columnsOf(f.parts)),
		Narrow: func(keep map[string]bool) Bound {
			// With fewer columns there is nothing that can go wrong.
			b, err := boundSort(env, n, k, out.narrow(keep))
			if err != nil {
				panic(err)
			}
			return b
		}}, nil
}

// sortRows is a sorted that gives back every row.
type sortRows struct{ *sorted }

func (sortRows) GivesAllRows() {}
