package pipeline

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/apache/arrow/go/v17/arrow/memory"

	"github.com/sluice-data/sluice/internal/fail"
)

// knowing is a source that knows something of each chunk, and skips what it says it skips.
type knowing struct {
	*counting
	know func(first int64) Known
}

func (s *knowing) Next(ctx context.Context) (*Chunk, error) {
	c, err := s.counting.Next(ctx)
	if err == nil {
		c.Known = s.know(c.Row)
	}
	return c, err
}

func (s *knowing) NewDecoder(mem memory.Allocator) (Decoder, error) {
	d, err := s.counting.NewDecoder(mem)
	return skipper{d}, err
}

type skipper struct{ Decoder }

func (s skipper) Decode(ctx context.Context, c *Chunk, rej *Rejects, emit func(Batch) error) error {
	if c.Known.Skipped > 0 {
		return nil
	}
	return s.Decoder.Decode(ctx, c, rej, emit)
}

// A chunk that is skipped counts as read and as filtered by the step it is skipped for.
func TestRunSkips(t *testing.T) {
	for _, fold := range []bool{false, true} {
		mem := memory.NewCheckedAllocator(memory.DefaultAllocator)
		r := newRig(mem, &faults{at: -1}, 2, fold)
		r.plan.Source = &knowing{r.src, func(first int64) Known {
			if first == 300 || first == 900 {
				return Known{Records: 100, Skipped: 100}
			}
			return Known{Records: 100}
		}}
		led, err := Run(context.Background(), r.plan)
		if err != nil {
			t.Fatal(err)
		}
		r.check(t)
		if err := led.Check(); err != nil {
			t.Error(err)
		}
		if led.Read != 1200 {
			t.Errorf("read %d, want 1200", led.Read)
		}
		kept := int64(0)
		for v := range int64(1200) {
			if v%33 != 0 && v%100 != 50 && v%2 == 0 && v/100 != 3 && v/100 != 9 {
				kept++
			}
		}
		if got := led.Read - led.Sum(Rejected) - led.Sum(Filtered); got != kept {
			t.Errorf("%d rows are left of the filter, want %d", got, kept)
		}
		mem.AssertSize(t, 0)
	}
}

// A decoder that gives fewer or more records than the source knows of fails the run, and so does a source that skips what
// no filter drops.
func TestRunHoldsDecoderToWhatIsKnown(t *testing.T) {
	for _, tc := range []struct {
		name  string
		known Known
		want  string
	}{
		{"a row lost", Known{Records: 101}, "chunk from record 501 on has 101 records, the decoder gave 100"},
		{"a row too many", Known{Records: 99}, "chunk from record 501 on has 99 records, the decoder gave 100"},
		{"a chunk lost", Known{Records: 100, Skipped: 60}, "chunk from record 501 on has 100 records, the decoder gave 60"},
		{"more skipped than there is", Known{Records: 100, Skipped: 101}, "source skips 101 of 100 records"},
		{"skipped for no step", Known{Records: 100, Skipped: 100, SkippedBy: 1}, "source skips 100 of 100 records for step 1"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			mem := memory.NewCheckedAllocator(memory.DefaultAllocator)
			defer mem.AssertSize(t, 0)
			r := newRig(mem, &faults{at: -1}, 3, false)
			r.plan.Source = &knowing{r.src, func(first int64) Known {
				if first == 500 {
					return tc.known
				}
				return Known{Records: 100}
			}}
			_, err := Run(context.Background(), r.plan)
			r.check(t)
			if r.sink.commits > 0 {
				t.Error("it was committed")
			}
			if err == nil || fail.KindOf(err) != fail.Internal || !strings.Contains(fmt.Sprint(err), tc.want) {
				t.Errorf("got %v, want an internal error: %s", err, tc.want)
			}
		})
	}
}
