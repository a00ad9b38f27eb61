package transforms

import (
	"context"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/memory"

	"github.com/sluice-data/sluice/internal/fail"
	"github.com/sluice-data/sluice/pipeline"
	"github.com/sluice-data/sluice/transforms/internal/extsort"
	"github.com/sluice-data/sluice/transforms/internal/orderkey"
)

// repeats is a fold that finds out which of its rows have the key of another: keys and rows wait apart, the keys are brought in their order, and then the rows
// come out in that of the input.
type repeats struct {
	name   string
	parts  []*keyPart // what tells rows apart, and the order of those that are equal
	out    view
	rows   *extsort.Sorter // in the order of the input
	keys   *extsort.Sorter // each with its row's number
	budget int64
}

func newRepeats(env Env, name string, parts []*keyPart, out view) (*repeats, error) {
	f := &repeats{name: name, parts: parts, out: out, budget: env.MemoryBudget}
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
	if f.rows, err = extsort.New(extsort.Config{Step: name, Schema: out.schema, Budget: env.MemoryBudget / 2, TempDir: env.TempDir}); err != nil {
		return nil, err
	}
	f.keys, err = extsort.New(extsort.Config{Step: name, Schema: arrow.NewSchema(nil, nil), Keys: plans, Numbered: true, Budget: env.MemoryBudget / 2, TempDir: env.TempDir})
	return f, err
}

func (f *repeats) Name() string { return f.name }

func (f *repeats) NewPartial(mem memory.Allocator) (pipeline.Partial, error) {
	return &repeatsPartial{f: f, mem: mem, rows: f.rows.NewLane(mem), keys: f.keys.NewLane(mem)}, nil
}

// repeatsPartial is one lane of a repeats.
type repeatsPartial struct {
	f          *repeats
	mem        memory.Allocator
	rows, keys *extsort.Lane
}

func (p *repeatsPartial) Begin(number int64) {
	p.rows.Begin(number)
	p.keys.Begin(number)
}
func (p *repeatsPartial) Rows() int64 { return p.rows.Rows() }
func (p *repeatsPartial) Close() {
	p.rows.Close()
	p.keys.Close()
}

func (p *repeatsPartial) Add(ctx context.Context, b pipeline.Batch, rej *pipeline.Rejects) error {
	return p.add(ctx, b, rej, func(*keyed) {})
}

// add is Add with a look at the rows before they are kept.
func (p *repeatsPartial) add(ctx context.Context, b pipeline.Batch, rej *pipeline.Rejects, look func(*keyed)) error {
	k, err := evalKeys(p.f.parts, p.f.out, b, p.mem, rej)
	if err != nil {
		return err
	}
	defer k.release()
	look(k)
	if err := p.keys.Add(ctx, k.by, nil, k.n); err != nil {
		return err
	}
	return p.rows.Add(ctx, nil, k.rec.Columns(), k.n)
}

// stay says of each lane's rows which are the first, or the last, with their key. It takes the lanes over, of which it gives the rows, and closes them on error.
func (f *repeats) stay(ctx context.Context, lanes []*repeatsPartial, last bool) (stay []bits, rows []*extsort.Lane, err error) {
	closeRows := func() {
		for _, p := range lanes {
			p.Close()
		}
	}
	keys, bytes := make([]*extsort.Lane, len(lanes)), int64(0)
	stay, rows = make([]bits, len(lanes)), make([]*extsort.Lane, len(lanes))
	for i, p := range lanes {
		keys[i], rows[i] = p.keys, p.rows
		bytes += p.rows.Rows() / 8
	}
	if f.budget > 0 && bytes > f.budget/4 {
		closeRows()
		return nil, nil, fail.Newf(fail.Usage, "%s: to know which of so many rows stay takes %d bytes, a bit for each: give the run more memory", f.name, bytes)
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
		if shared == 0 || last {
			now.lane, now.number, now.there = lane, number, true
		}
	})
	if err != nil {
		closeRows()
		return nil, nil, err
	}
	if now.there {
		stay[now.lane].set(now.number)
	}
	return stay, rows, nil
}

// bits is a set of numbers.
type bits []uint64

func (b bits) set(i int64)      { b[i/64] |= 1 << (i % 64) }
func (b bits) has(i int64) bool { return b[i/64]>>(i%64)&1 != 0 }
