package sources

import (
	"context"
	"errors"
	"io"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/memory"

	"github.com/sluice-data/sluice/pipeline"
)

// Union reads several sources, of any formats, one after the other: the chunks of source i are of branch i. Each keeps its own schema, which its decoders'
// batches have; Schema is that of the first. Closing it closes all.
func Union(all ...pipeline.Source) pipeline.Source { return &union{all: all} }

type union struct {
	all []pipeline.Source
	at  int
}

func (u *union) Schema() *arrow.Schema { return u.all[0].Schema() }

func (u *union) Next(ctx context.Context) (*pipeline.Chunk, error) {
	for ; u.at < len(u.all); u.at++ {
		c, err := u.all[u.at].Next(ctx)
		if err == io.EOF {
			continue
		}
		if c != nil {
			c.Branch = u.at
		}
		return c, err
	}
	return nil, io.EOF
}

func (u *union) NewDecoder(mem memory.Allocator) (pipeline.Decoder, error) {
	var out unionDecoder
	for _, s := range u.all {
		d, err := s.NewDecoder(mem)
		if err != nil {
			out.Close()
			return nil, err
		}
		out = append(out, d)
	}
	return out, nil
}

func (u *union) Close() error {
	var errs []error
	for _, s := range u.all {
		errs = append(errs, s.Close())
	}
	return errors.Join(errs...)
}

// unionDecoder is a decoder of each source.
type unionDecoder []pipeline.Decoder

func (d unionDecoder) Decode(ctx context.Context, c *pipeline.Chunk, rej *pipeline.Rejects, emit func(pipeline.Batch) error) error {
	return d[c.Branch].Decode(ctx, c, rej, emit)
}

func (d unionDecoder) Close() {
	for _, dec := range d {
		dec.Close()
	}
}
