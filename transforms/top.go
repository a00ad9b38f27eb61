package transforms

import (
	"fmt"
	"strings"

	"github.com/apache/arrow/go/v17/arrow"

	"github.com/sluice-data/sluice/internal/spec"
	"github.com/sluice-data/sluice/pipeline"
	"github.com/sluice-data/sluice/transforms/internal/extsort"
	"github.com/sluice-data/sluice/transforms/internal/keys"
	"github.com/sluice-data/sluice/transforms/internal/orderkey"
)

func init() {
	Register(Def{
		Name: "top",
		Doc: "Keeps the first n rows of each group in an order: {n: 3, by: [zone], order_by: \"fare desc\"}. Without by there is one group of all rows. by is a list of columns or expressions, " +
			"order_by what sort takes; of equal rows those that came first are kept. Groups come in the order of by, nulls last, and the rows of each in theirs. All others count as filtered. " +
			"Rows that do not fit the memory limit go to disk.",
		Example: "- top: {n: 1, by: [zone], order_by: fare desc}",
		Bind:    bindTop,
	})
}

func bindTop(env Env, n *spec.Node, in *arrow.Schema) (Bound, error) {
	if _, err := n.Map("n", "by", "order_by"); err != nil {
		return Bound{}, err
	}
	if n.Get("n") == nil || n.Get("order_by") == nil {
		return Bound{}, n.Errorf("top needs n and order_by: {n: 3, by: [zone], order_by: \"fare desc\"}")
	}
	most, err := atLeast(n.Get("n"), "n", 1)
	if err != nil {
		return Bound{}, err
	}
	group := &keyPart{}
	if by := n.Get("by"); by != nil {
		if group, err = bindKeys(env, by, in); err != nil {
			return Bound{}, err
		}
	}
	order, err := bindOrder(env, n.Get("order_by"), in)
	if err != nil {
		return Bound{}, err
	}
	explain := fmt.Sprintf("top %d", most)
	if len(group.progs) > 0 {
		explain += " of each " + strings.Join(group.says, ", ")
	}
	explain += " by " + strings.Join(order.says, ", ")
	parts := []*keyPart{group, order}
	return narrowed(everything(in), func(out view) (Bound, error) {
		own := env
		own.MemoryBudget = env.MemoryBudget / 4 * 3 // the lanes' leaders take the rest
		s, err := newSorted(own, "top", parts, out)
		if err != nil {
			return Bound{}, n.Errorf("top: %w", err)
		}
		f := &sifted{sorted: s, cause: pipeline.Filtered, keep: func() extsort.Keep { return firstOf(most, len(group.progs) > 0) },
			early: func() func(k *keyed) ([]int32, error) {
				b, err := newLeaders(group, order, most, (env.MemoryBudget-own.MemoryBudget)/16)
				if err != nil {
					return func(*keyed) ([]int32, error) { return nil, err }
				}
				return b.sift
			}}
		return Bound{Fold: f, Explain: explain, Needs: also(columnsOf(parts))}, nil
	})
}

// firstOf keeps the first most rows of each group, or of all.
func firstOf(most int64, grouped bool) extsort.Keep {
	n, begun := int64(0), false
	return func(shared, _ int, _ int64) bool {
		if shared == 0 && (grouped || !begun) {
			n, begun = 0, true
		}
		n++
		return n <= most
	}
}

// leaders are the rows that are first of their groups as far as one lane knows: a row that is behind all of them is dropped at once.
type leaders struct {
	most   int
	room   int64 // bytes for it; with more groups than that rows are no longer sifted
	groups *keys.Encoder
	table  *keys.Table
	order  *orderkey.Encoder
	whole  bool // the word is all of the key
	keys   orderkey.Keys
	ids    []uint32
	heaps  [][]uint64 // of each group: the first words of its first rows, the last one on top
	held   int64
}

func newLeaders(group, order *keyPart, most, room int64) (*leaders, error) {
	p, err := orderkey.New(order.cols)
	if err != nil {
		return nil, err
	}
	b := &leaders{most: int(min(most, 1<<30)), room: room, order: p.NewEncoder(), whole: p.Words() == 1 && !p.Tail()}
	if len(group.progs) == 0 {
		b.heaps = make([][]uint64, 1)
		return b, nil
	}
	types := make([]arrow.DataType, len(group.cols))
	for i, c := range group.cols {
		types[i] = c.Type
	}
	plan, err := keys.NewPlan(types)
	if err != nil {
		return nil, err
	}
	b.groups, b.table = plan.NewEncoder(), plan.NewTable()
	return b, nil
}

// sift gives the rows that may be among the first of their groups.
func (b *leaders) sift(k *keyed) ([]int32, error) {
	if b.order == nil || k.n == 0 {
		return nil, nil
	}
	b.keys.Reset()
	if err := b.order.Encode(k.by[1], k.n, &b.keys); err != nil {
		return nil, err
	}
	if cap(b.ids) < k.n {
		b.ids = make([]uint32, k.n)
	}
	ids := b.ids[:k.n]
	if b.table != nil {
		rows, err := b.groups.Encode(k.by[0], k.n)
		if err != nil {
			return nil, err
		}
		b.table.Intern(rows, ids)
		for len(b.heaps) < b.table.Len() {
			b.heaps = append(b.heaps, nil)
			b.held += 32
		}
	}
	idx := make([]int32, 0, k.n)
	for i, id := range ids {
		if b.push(id, b.keys.W0[i]) {
			idx = append(idx, int32(i))
		}
	}
	held := b.held
	if b.table != nil {
		held += b.table.Size()
	}
	if b.room > 0 && held > b.room {
		b.order, b.table, b.heaps, b.ids = nil, nil, nil, nil
	}
	if len(idx) == k.n {
		return nil, nil
	}
	return idx, nil
}

// push says whether a row with that first word may be among the first of its group, and counts it if it is.
func (b *leaders) push(id uint32, w uint64) bool {
	h := b.heaps[id]
	if len(h) < b.most {
		h = append(h, w)
		b.held += 8
		for i := len(h) - 1; i > 0 && h[(i-1)/2] < h[i]; i = (i - 1) / 2 {
			h[i], h[(i-1)/2] = h[(i-1)/2], h[i]
		}
		b.heaps[id] = h
		return true
	}
	switch top := h[0]; {
	case w > top, w == top && b.whole: // an equal row that came before goes first
		return false
	case w == top:
		return true
	}
	h[0] = w
	for i := 0; ; {
		c := 2*i + 1
		if c+1 < len(h) && h[c+1] > h[c] {
			c++
		}
		if c >= len(h) || h[c] <= h[i] {
			return true
		}
		h[i], h[c] = h[c], h[i]
		i = c
	}
}
