package transforms

import (
	"context"
	"strings"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/memory"

	"github.com/sluice-data/sluice/internal/spec"
	"github.com/sluice-data/sluice/pipeline"
)

func init() {
	Register(Def{
		Name: "dedupe",
		Doc: "Keeps one row of those with equal keys: {keys: [order_id], keep: first} the first of the input, keep: last the last one; with order_by (what sort takes) the first or last in that order, " +
			"of equal ones the first or last of the input. Nulls are equal to each other, so are NaNs, and -0 is 0. Without keys all columns are the key. The others count as deduplicated. " +
			"Rows come out in the order of the input, whatever the lanes. Exact, and on disk where the memory limit has no room.",
		Example: "- dedupe: {keys: [zone], keep: last, order_by: fare}",
		Bind:    bindDedupe,
	})
}

func bindDedupe(env Env, n *spec.Node, in *arrow.Schema) (Bound, error) {
	if _, err := n.Map("keys", "keep", "order_by"); err != nil {
		return Bound{}, err
	}
	group, order := &keyPart{}, &keyPart{}
	var err error
	if at := n.Get("keys"); at != nil {
		group, err = bindKeys(env, at, in)
	} else {
		err = allColumns(env, n, in, group)
	}
	if err != nil {
		return Bound{}, err
	}
	explain := "dedupe " + strings.Join(group.says, ", ")
	last := false
	if at := n.Get("keep"); at != nil {
		switch text, err := at.Str(); {
		case err != nil:
			return Bound{}, err
		case text == "last":
			last = true
		case text != "first":
			return Bound{}, at.Errorf("keep is %q: want first or last", text)
		}
	}
	explain += map[bool]string{false: " keep first", true: " keep last"}[last]
	if at := n.Get("order_by"); at != nil {
		if order, err = bindOrder(env, at, in); err != nil {
			return Bound{}, err
		}
		explain += " by " + strings.Join(order.says, ", ")
	}
	parts := []*keyPart{group, order}
	return narrowed(everything(in), func(out view) (Bound, error) {
		f, err := newDedupe(env, parts, last, out)
		if err != nil {
			return Bound{}, n.Errorf("dedupe: %w", err)
		}
		return Bound{Fold: f, Explain: explain, Needs: also(columnsOf(parts))}, nil
	})
}

// allColumns makes every column part of the key.
func allColumns(env Env, n *spec.Node, in *arrow.Schema, k *keyPart) error {
	for _, f := range in.Fields() {
		p, err := compileName(env, f.Name, in)
		if err == nil {
			err = k.add(p, false, false)
		}
		if err != nil {
			return n.Errorf("dedupe: %w: say which columns are the key: {keys: [a, b]}", err)
		}
		k.says = append(k.says, f.Name)
	}
	return nil
}

// dedupe finds by the keys which rows stay, and gives them from where all rows wait in the order of the input.
type dedupe struct {
	*repeats
	last bool
}

var _ pipeline.Sieve = (*dedupe)(nil)

func newDedupe(env Env, parts []*keyPart, last bool, out view) (*dedupe, error) {
	r, err := newRepeats(env, "dedupe", parts, out)
	return &dedupe{r, last}, err
}

func (f *dedupe) Schema() *arrow.Schema { return f.out.schema }
func (f *dedupe) Drops() pipeline.Cause { return pipeline.Deduplicated }

func (f *dedupe) Drain(ctx context.Context, mem memory.Allocator, parts []pipeline.Partial) (pipeline.Drain, error) {
	lanes, err := lanesOf("dedupe", parts, func(p *repeatsPartial) *repeatsPartial { return p })
	if err != nil {
		return nil, err
	}
	stay, rows, err := f.stay(ctx, lanes, f.last)
	if err != nil {
		return nil, err
	}
	d, err := f.rows.Drain(ctx, mem, rows, func(_, lane int, number int64) bool { return stay[lane].has(number) })
	if err != nil {
		return nil, err
	}
	return d, nil
}
