package transforms

import (
	"context"

	"github.com/apache/arrow/go/v17/arrow/memory"

	"github.com/sluice-data/sluice/pipeline"
	"github.com/sluice-data/sluice/transforms/internal/extsort"
)

// sifted is a sorted that drops rows, before they are kept or as they come out.
type sifted struct {
	*sorted
	cause pipeline.Cause
	// early makes what a lane asks which rows of a batch to keep; it may be nil. The row numbers ascend, nil is all.
	early func() func(k *keyed) ([]int32, error)
	// keep makes what decides of the rows in order.
	keep func() extsort.Keep
	// put, where there is one, makes columns to order by beside those of the parts.
	put func(k *keyed, mem memory.Allocator) error
}

var _ pipeline.Sieve = (*sifted)(nil)

func (f *sifted) Drops() pipeline.Cause { return f.cause }

func (f *sifted) NewPartial(mem memory.Allocator) (pipeline.Partial, error) {
	p := &siftedPartial{sortedPartial: f.partial(mem), sift: f}
	if f.early != nil {
		p.early = f.early()
	}
	return p, nil
}

func (f *sifted) Drain(ctx context.Context, mem memory.Allocator, parts []pipeline.Partial) (pipeline.Drain, error) {
	dropped := int64(0)
	lanes, err := lanesOf(f.name, parts, func(p *siftedPartial) *extsort.Lane {
		dropped += p.dropped
		return p.lane
	})
	if err != nil {
		return nil, err
	}
	d, err := f.s.Drain(ctx, mem, lanes, f.keep())
	if err != nil {
		return nil, err
	}
	return &siftedDrain{d, dropped}, nil
}

// siftedPartial is one lane of a sifted.
type siftedPartial struct {
	*sortedPartial
	sift    *sifted
	early   func(k *keyed) ([]int32, error)
	dropped int64
}

func (p *siftedPartial) Rows() int64 { return p.lane.Rows() + p.dropped }

func (p *siftedPartial) Add(ctx context.Context, b pipeline.Batch, rej *pipeline.Rejects) error {
	k, err := evalKeys(p.f.parts, p.f.out, b, p.mem, rej)
	if err != nil {
		return err
	}
	defer k.release()
	if p.sift.put != nil {
		if err := p.sift.put(k, p.mem); err != nil {
			return err
		}
	}
	if p.early != nil {
		idx, err := p.early(k)
		if err != nil {
			return err
		}
		if idx != nil {
			p.dropped += int64(k.n - len(idx))
			if err := k.only(idx, p.mem); err != nil {
				return err
			}
		}
	}
	return p.lane.Add(ctx, k.by, k.rec.Columns(), k.n)
}

// siftedDrain is the rows that are kept, and the number of those that were dropped before.
type siftedDrain struct {
	*extsort.Drain
	early int64
}

var (
	_ pipeline.LaneDrain  = (*siftedDrain)(nil)
	_ pipeline.SieveDrain = (*siftedDrain)(nil)
)

func (d *siftedDrain) Rows() int64    { return d.Drain.Rows() + d.early }
func (d *siftedDrain) Dropped() int64 { return d.Drain.Dropped() + d.early }

// upTo are the rows from lo up to hi.
func upTo(lo, hi int) []int32 {
	out := make([]int32, 0, max(0, hi-lo))
	for i := lo; i < hi; i++ {
		out = append(out, int32(i))
	}
	return out
}

// narrowed is a bound fold whose columns can be fewer: make makes it for the columns of a view.
func narrowed(out view, make func(out view) (Bound, error)) (Bound, error) {
	b, err := make(out)
	if err != nil {
		return b, err
	}
	b.Narrow = func(keep map[string]bool) Bound {
		n, err := narrowed(out.narrow(keep), make)
		if err != nil {
			panic(err) // what can be kept of all columns can of fewer
		}
		return n
	}
	return b, nil
}
