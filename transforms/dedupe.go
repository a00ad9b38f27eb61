package transforms

import (
	"context"
	"strings"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/memory"

	"github.com/sluice-data/sluice/internal/fail"
	"github.com/sluice-data/sluice/internal/spec"
	"github.com/sluice-data/sluice/pipeline"
	"github.com/sluice-data/sluice/transforms/internal/extsort"
	"github.com/sluice-data/sluice/transforms/internal/orderkey"
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
	parts  []*keyPart
	last   bool
	out    view
	rows   *extsort.Sorter // in the order of the input
	keys   *extsort.Sorter // each with its row's number
	budget int64
}

var _ pipeline.Sieve = (*dedupe)(nil)

func newDedupe(env Env, parts []*keyPart, last bool, out view) (*dedupe, error) {
	f := &dedupe{parts: parts, last: last, out: out, budget: env.MemoryBudget}
	var plans []*orderkey.Plan
	for i, k := range parts {
		plan := orderkey.New
		if i == 0 {
			plan = orderkey.NewEqual
		}
		p, err := plan(k.cols)
		if err != nil {
			return nil, err
		}
		plans = append(plans, p)
	}
	var err error
	if f.rows, err = extsort.New(extsort.Config{Step: "dedupe", Schema: out.schema, Budget: env.MemoryBudget / 2, TempDir: env.TempDir}); err != nil {
		return nil, err
	}
	f.keys, err = extsort.New(extsort.Config{Step: "dedupe", Schema: arrow.NewSchema(nil, nil), Keys: plans, Numbered: true, Budget: env.MemoryBudget / 2, TempDir: env.TempDir})
	return f, err
}

func (f *dedupe) Name() string          { return "dedupe" }
func (f *dedupe) Schema() *arrow.Schema { return f.out.schema }
func (f *dedupe) Drops() pipeline.Cause { return pipeline.Deduplicated }

func (f *dedupe) NewPartial(mem memory.Allocator) (pipeline.Partial, error) {
	return &dedupePartial{f: f, mem: mem, rows: f.rows.NewLane(mem), keys: f.keys.NewLane(mem)}, nil
}

// dedupePartial is one lane of a dedupe.
type dedupePartial struct {
	f          *dedupe
	mem        memory.Allocator
	rows, keys *extsort.Lane
}

func (p *dedupePartial) Begin(number int64) {
	p.rows.Begin(number)
	p.keys.Begin(number)
}
func (p *dedupePartial) Rows() int64 { return p.rows.Rows() }
func (p *dedupePartial) Close() {
	p.rows.Close()
	p.keys.Close()
}

func (p *dedupePartial) Add(ctx context.Context, b pipeline.Batch, rej *pipeline.Rejects) error {
	k, err := evalKeys(p.f.parts, p.f.out, b, p.mem, rej)
	if err != nil {
		return err
	}
	defer k.release()
	if err := p.keys.Add(ctx, k.by, nil, k.n); err != nil {
		return err
	}
	return p.rows.Add(ctx, nil, k.rec.Columns(), k.n)
}

func (f *dedupe) Drain(ctx context.Context, mem memory.Allocator, parts []pipeline.Partial) (pipeline.Drain, error) {
	lanes, err := lanesOf("dedupe", parts, func(p *dedupePartial) *dedupePartial { return p })
	if err != nil {
		return nil, err
	}
	closeRows := func() {
		for _, p := range lanes {
			p.Close()
		}
	}
	keys, rows := make([]*extsort.Lane, len(lanes)), make([]*extsort.Lane, len(lanes))
	stay, bytes := make([]bits, len(lanes)), int64(0)
	for i, p := range lanes {
		keys[i], rows[i] = p.keys, p.rows
		bytes += p.rows.Rows() / 8
	}
	if f.budget > 0 && bytes > f.budget/4 {
		closeRows()
		return nil, fail.Newf(fail.Usage, "dedupe: to know which of so many rows stay takes %d bytes, a bit for each: give the run more memory", bytes)
	}
	for i, p := range lanes {
		stay[i] = make(bits, (p.rows.Rows()+63)/64)
	}
	var now struct { // the row that stays, as far as is known
		lane   int
		number int64
		there  bool
	}
	err = f.keys.Each(ctx, keys, func(shared, lane int, number int64) {
		if shared == 0 && now.there {
			stay[now.lane].set(now.number)
		}
		if shared == 0 || f.last {
			now.lane, now.number, now.there = lane, number, true
		}
	})
	if err != nil {
		closeRows()
		return nil, err
	}
	if now.there {
		stay[now.lane].set(now.number)
	}
	d, err := f.rows.Drain(ctx, mem, rows, func(_, lane int, number int64) bool { return stay[lane].has(number) })
	if err != nil {
		return nil, err
	}
	return d, nil
}

// bits is a set of numbers.
type bits []uint64

func (b bits) set(i int64)      { b[i/64] |= 1 << (i % 64) }
func (b bits) has(i int64) bool { return b[i/64]>>(i%64)&1 != 0 }
