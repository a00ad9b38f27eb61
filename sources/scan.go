package sources

import (
	"context"
	"io"

	"golang.org/x/sync/errgroup"

	"github.com/sluice-data/sluice/internal/fail"
	"github.com/sluice-data/sluice/pipeline"
)

// Scan calls f for every chunk that next gives until io.EOF, in no certain order, on lanes goroutines (at least one); lane says on which, from
// 0. next is called by one goroutine. The chunk is f's for the call and released after it. The first error of f or next ends the scan and is
// returned when all goroutines have ended.
func Scan(ctx context.Context, lanes int, next func(context.Context) (*pipeline.Chunk, error), f func(lane int, c *pipeline.Chunk) error) error {
	g, gctx := errgroup.WithContext(ctx)
	work := make(chan *pipeline.Chunk)
	g.Go(func() error {
		defer close(work)
		return fail.Guard("scan input", func() error {
			for {
				c, err := next(gctx)
				if err == io.EOF {
					return nil
				}
				if err != nil {
					return err
				}
				select {
				case work <- c:
				case <-gctx.Done():
					c.Release()
					return context.Cause(gctx)
				}
			}
		})
	})
	for lane := range max(lanes, 1) {
		g.Go(func() error {
			for c := range work {
				err := fail.Guard("scan input", func() error {
					defer c.Release()
					return f(lane, c)
				})
				if err != nil {
					return err
				}
			}
			return nil
		})
	}
	return g.Wait()
}
