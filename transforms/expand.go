package transforms

import (
	"cmp"
	"context"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/memory"

	"github.com/sluice-data/sluice/internal/fail"
	"github.com/sluice-data/sluice/pipeline"
	"github.com/sluice-data/sluice/transforms/internal/col"
	"github.com/sluice-data/sluice/transforms/internal/take"
)

// expandRows is how many rows of the result an expanding stage makes at once.
const expandRows = 1 << 14

// expandBytes is about what such a piece may take.
const expandBytes = 4 << 20

// pieceRows is how many rows of the result are made at once of n rows of cols, any of which may come again and again: the widest counts.
func pieceRows(n int, cols []arrow.Array) int {
	if n == 0 {
		return expandRows
	}
	width := 0
	for _, a := range cols {
		if w := col.Width(a.DataType()); w > 0 {
			width += w
			continue
		}
		if col.IsVar(a.DataType()) {
			if off, _, ok := col.Var(a); ok {
				widest := int32(0)
				for i := range n {
					widest = max(widest, off[i+1]-off[i])
				}
				width += int(widest) + 4
				continue
			}
		}
		width += int(pipeline.ColumnBytes(a.Data()))/n + 1 // of lists and structs the mean
	}
	return max(1, min(expandRows, expandBytes/max(width, 1)))
}

// expandOnly is for stages that have Expand in place of Apply.
type expandOnly struct{}

func (expandOnly) Apply(context.Context, pipeline.Batch, *pipeline.Rejects) (pipeline.Batch, error) {
	return pipeline.Batch{}, fail.Newf(fail.Internal, "a step that expands rows was asked for one batch")
}

// expansion gathers the next piece of an expanding stage's result: rows of the batch, and beside each a row of something else.
type expansion struct {
	idx    []int32 // rows of the batch
	from   []int32 // rows of what is beside them
	number []int64
	most   int // rows of a piece; 0 is expandRows
}

func (e *expansion) full() bool { return len(e.idx) >= cmp.Or(e.most, expandRows) }

func (e *expansion) add(row int, from int32, number int64) {
	e.idx, e.from, e.number = append(e.idx, int32(row)), append(e.from, from), append(e.number, number)
}

func (e *expansion) reset() { e.idx, e.from, e.number = e.idx[:0], e.from[:0], e.number[:0] }

// emit makes the piece and lends it to out. column gives for each column of the schema the one of b whose rows are taken, or an array, which emit
// releases.
func (e *expansion) emit(b pipeline.Batch, s *arrow.Schema, mem memory.Allocator, column func(i int) (int, arrow.Array, error), out func(pipeline.Batch) error) error {
	cols := make([]arrow.Array, 0, s.NumFields())
	defer func() {
		for _, c := range cols {
			c.Release()
		}
	}()
	for i := range s.NumFields() {
		from, a, err := column(i)
		if err == nil && a == nil {
			a, err = take.Array(b.Rec.Column(from), e.idx, mem)
		}
		if err != nil {
			return err
		}
		cols = append(cols, a)
	}
	rec := array.NewRecord(s, cols, int64(len(e.idx)))
	defer rec.Release()
	return out(pipeline.Batch{Rec: rec, Rows: b.Rows, Sel: placesOf(b, e.idx)})
}
