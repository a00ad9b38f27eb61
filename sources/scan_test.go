package sources

import (
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/sluice-data/sluice/pipeline"
)

// chunks gives n chunks and then end; out counts those that were not released.
func chunks(n int, end error, out *atomic.Int64) func(context.Context) (*pipeline.Chunk, error) {
	var k int64
	return func(ctx context.Context) (*pipeline.Chunk, error) {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if int(k) == n {
			return nil, end
		}
		c := &pipeline.Chunk{Offset: k}
		k++
		out.Add(1)
		c.OnRelease(func() { out.Add(-1) })
		return c, nil
	}
}

// TestScan: every chunk once, on as many goroutines as asked for; each error ends it, and no chunk is left.
func TestScan(t *testing.T) {
	broken := errors.New("broken")
	for _, lanes := range []int{0, 1, 3} {
		var mu sync.Mutex
		var seen []int64
		var out atomic.Int64
		err := Scan(t.Context(), lanes, chunks(100, io.EOF, &out), func(lane int, c *pipeline.Chunk) error {
			mu.Lock()
			defer mu.Unlock()
			if seen = append(seen, c.Offset); lane < 0 || lane >= max(lanes, 1) {
				t.Errorf("lane %d of %d", lane, lanes)
			}
			return nil
		})
		slices.Sort(seen)
		if err != nil || out.Load() != 0 || len(seen) != 100 || len(slices.Compact(seen)) != 100 {
			t.Errorf("%d lanes: %d chunks, %d left, %v", lanes, len(seen), out.Load(), err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		for what, c := range map[string]struct {
			end  error
			f    func(c *pipeline.Chunk) error
			want string
		}{
			"the input ends in an error": {broken, func(*pipeline.Chunk) error { return nil }, "broken"},
			"a chunk has one": {io.EOF, func(c *pipeline.Chunk) error {
				if c.Offset == 50 {
					return broken
				}
				return nil
			}, "broken"},
			"a panic": {io.EOF, func(c *pipeline.Chunk) error { panic("boom") }, "scan input panicked: boom"},
			"the run is over": {io.EOF, func(*pipeline.Chunk) error {
				cancel()
				return nil
			}, "context canceled"},
		} {
			in := t.Context()
			if what == "the run is over" {
				in = ctx
			}
			err := Scan(in, lanes, chunks(100, c.end, &out), func(_ int, k *pipeline.Chunk) error { return c.f(k) })
			if err == nil || !strings.Contains(err.Error(), c.want) || out.Load() != 0 {
				t.Errorf("%s, %d lanes: %v, want %s; %d chunks are left", what, lanes, err, c.want, out.Load())
			}
		}
		cancel()
	}
}
