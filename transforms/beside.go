package transforms

import (
	"context"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/memory"

	"github.com/sluice-data/sluice/internal/fail"
	"github.com/sluice-data/sluice/pipeline"
)

// besideSlice is a slice of a sort's result and columns, which it owns, that its rows get.
type besideSlice struct {
	rows *pipeline.Chunk
	cols []arrow.Array
}

// chunk is s as a piece of work for a lane; releasing it releases s.
func (s *besideSlice) chunk() *pipeline.Chunk {
	c := &pipeline.Chunk{Part: s, Offset: -1}
	c.OnRelease(func() {
		s.rows.Release()
		for _, a := range s.cols {
			a.Release()
		}
	})
	return c
}

// besideDecoder puts the columns beside the rows that the decoder within makes.
type besideDecoder struct {
	pipeline.Decoder
	schema *arrow.Schema
}

func (d *besideDecoder) Decode(ctx context.Context, c *pipeline.Chunk, rej *pipeline.Rejects, emit func(pipeline.Batch) error) error {
	s, ok := c.Part.(*besideSlice)
	if !ok {
		return fail.Newf(fail.Internal, "the chunk holds a %T", c.Part)
	}
	return d.Decoder.Decode(ctx, s.rows, rej, func(b pipeline.Batch) error {
		rec := array.NewRecord(d.schema, append(append([]arrow.Array(nil), b.Rec.Columns()...), s.cols...), b.Rec.NumRows())
		defer rec.Release()
		return emit(pipeline.Batch{Rec: rec})
	})
}

// besideRows is a LaneDrain's Next for who has no lanes: it decodes on its own.
type besideRows struct {
	own pipeline.Decoder
	out []arrow.Record
}

// next is the next record of d, owned by the caller, or io.EOF.
func (r *besideRows) next(ctx context.Context, d pipeline.LaneDrain, mem memory.Allocator) (arrow.Record, error) {
	if r.own == nil {
		var err error
		if r.own, err = d.NewDecoder(mem); err != nil {
			return nil, err
		}
	}
	for len(r.out) == 0 {
		c, err := d.NextChunk(ctx)
		if err != nil {
			return nil, err
		}
		err = r.own.Decode(ctx, c, nil, func(b pipeline.Batch) error {
			b.Rec.Retain()
			r.out = append(r.out, b.Rec)
			return nil
		})
		c.Release()
		if err != nil {
			return nil, err
		}
	}
	rec := r.out[0]
	r.out = r.out[1:]
	return rec, nil
}

func (r *besideRows) close() {
	for _, rec := range r.out {
		rec.Release()
	}
	r.out = nil
	if r.own != nil {
		r.own.Close()
		r.own = nil
	}
}
