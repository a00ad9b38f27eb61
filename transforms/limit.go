package transforms

import (
	"fmt"

	"github.com/apache/arrow/go/v17/arrow"

	"github.com/sluice-data/sluice/internal/spec"
	"github.com/sluice-data/sluice/pipeline"
	"github.com/sluice-data/sluice/transforms/internal/extsort"
)

func init() {
	Register(Def{
		Name: "limit",
		Doc: "Keeps the first rows, in the order of the input (or of a sort before it) whatever the lanes: limit: 100, or {rows: 100, offset: 10} for those from the eleventh on. " +
			"All others count as filtered: the input is read to its end, so that every row and byte is accounted for.",
		Example: "- limit: {rows: 2, offset: 1}",
		Bind:    bindLimit,
	})
}

func bindLimit(env Env, n *spec.Node, in *arrow.Schema) (Bound, error) {
	rows, offset := n, (*spec.Node)(nil)
	if !n.IsScalar() {
		if _, err := n.Map("rows", "offset"); err != nil {
			return Bound{}, err
		}
		if rows, offset = n.Get("rows"), n.Get("offset"); rows == nil {
			return Bound{}, n.Errorf("limit needs rows: {rows: 100, offset: 10}")
		}
	}
	count, err := atLeast(rows, "rows", 0)
	if err != nil {
		return Bound{}, err
	}
	from := int64(0)
	if offset != nil {
		if from, err = atLeast(offset, "offset", 0); err != nil {
			return Bound{}, err
		}
	}
	explain := fmt.Sprintf("limit %d", count)
	if from > 0 {
		explain += fmt.Sprintf(" offset %d", from)
	}
	most := count + from
	return narrowed(everything(in), func(out view) (Bound, error) {
		s, err := newSorted(env, "limit", nil, out)
		if err != nil {
			return Bound{}, n.Errorf("limit: %w", err)
		}
		f := &sifted{sorted: s, cause: pipeline.Filtered,
			early: func() func(k *keyed) ([]int32, error) {
				left := most // more than that of one lane's rows are not among the first
				return func(k *keyed) ([]int32, error) {
					take := min(left, int64(k.n))
					left -= take
					if take == int64(k.n) {
						return nil, nil
					}
					return upTo(0, int(take)), nil
				}
			},
			keep: func() extsort.Keep {
				row := int64(-1)
				return func(int, int, int64) bool {
					row++
					return row >= from && row < most
				}
			}}
		return Bound{Fold: f, Explain: explain, Needs: also(nil)}, nil
	})
}

// atLeast is the whole number that n holds.
func atLeast(n *spec.Node, what string, least int64) (int64, error) {
	v, err := n.Int()
	if err != nil {
		return 0, err
	}
	if v < least || v > 1<<50 {
		return 0, n.Errorf("%s is %d: want a number from %d on", what, v, least)
	}
	return v, nil
}
