package pipeline

import (
	"context"
	"testing"

	"github.com/apache/arrow/go/v17/arrow/memory"

	"github.com/sluice-data/sluice/internal/fail"
)

// stoppedSink writes until the run's failure stops it, and is heard before who failed: it is nearer to the end.
type stoppedSink struct{ *memSink }

func (s stoppedSink) Write(ctx context.Context, b Block) error {
	defer b.Release()
	<-ctx.Done()
	return fail.Newf(fail.Temporary, "write block: %w", ctx.Err())
}

// deniedSource fails in the middle of the input.
type deniedSource struct{ *counting }

var errDenied = fail.Newf(fail.Permission, "access denied")

func (s deniedSource) Next(ctx context.Context) (*Chunk, error) {
	if s.next == 6 {
		return nil, errDenied
	}
	return s.counting.Next(ctx)
}

// TestRunReportsTheCause: the error of a run is the failure, not the "context canceled" of those whom it stopped.
func TestRunReportsTheCause(t *testing.T) {
	for range 50 {
		mem := memory.NewCheckedAllocator(memory.DefaultAllocator)
		r := newRig(mem, &faults{at: -1}, 2, false)
		r.plan.Source, r.plan.Sink = deniedSource{r.src}, stoppedSink{r.sink}
		_, err := Run(context.Background(), r.plan)
		r.check(t)
		mem.AssertSize(t, 0)
		if fail.KindOf(err) != fail.Permission {
			t.Fatalf("got %v, want that access was denied", err)
		}
	}
}
