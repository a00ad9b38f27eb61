package win

import (
	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/memory"

	"github.com/sluice-data/sluice/internal/fail"
	"github.com/sluice-data/sluice/transforms/internal/col"
	"github.com/sluice-data/sluice/transforms/internal/take"
)

// spread gives each row the value with the number in idx.
func (a aggregate) spread(p *Part, values arrow.Array, idx []int32, mem memory.Allocator) (arrow.Array, error) {
	if weight := weights(values); weight != nil && p.Most > 0 {
		total := int64(0)
		for _, i := range idx {
			total += weight(i)
		}
		if total > p.Most {
			return nil, a.tooMuch(p, total)
		}
	}
	return take.Array(values, idx, mem)
}

// tooMuch is the error of results that take so many bytes or more.
func (a aggregate) tooMuch(p *Part, bytes int64) error {
	return fail.Newf(fail.Usage, "window: what an aggregate function gives the %d rows of some partitions takes %d bytes or more, and there is room for %d: give it more memory, make the frame narrower, or join with an aggregate in place of the window",
		p.N, bytes, p.Most)
}

// weights is about what each value takes where that differs from one to another; nil where it does not.
func weights(values arrow.Array) func(i int32) int64 {
	switch v := values.(type) {
	case *array.String, *array.Binary:
		off, _, ok := col.Var(values)
		if !ok {
			return nil
		}
		return func(i int32) int64 { return int64(off[i+1]-off[i]) + 4 }
	case *array.List:
		elems := v.ListValues()
		each := int64(1)
		if n := elems.Len(); n > 0 {
			each += int64(elems.Data().SizeInBytes()) / int64(n)
		}
		return func(i int32) int64 {
			from, to := v.ValueOffsets(int(i))
			return (to-from)*each + 4
		}
	}
	return nil
}
