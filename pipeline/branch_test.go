package pipeline

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/memory"

	"github.com/sluice-data/sluice/internal/fail"
)

// plus adds to each number.
type plus struct {
	f *faults
	n int64
}

func (p plus) Name() string        { return fmt.Sprint("plus", p.n) }
func (plus) Schema() *arrow.Schema { return numbers }
func (p plus) NewStage(mem memory.Allocator) (Stage, error) {
	return &plusStage{p, mem}, p.f.call()
}

type plusStage struct {
	plus
	mem memory.Allocator
}

func (s *plusStage) Close() {}
func (s *plusStage) Apply(_ context.Context, b Batch, _ *Rejects) (Batch, error) {
	if err := s.f.call(); err != nil {
		return Batch{}, err
	}
	var vals []int64
	for _, v := range b.Rec.Column(0).(*array.Int64).Int64Values() {
		vals = append(vals, v+s.n)
	}
	return Batch{Rec: numberRecord(s.mem, vals), Rows: b.Rows, Sel: b.Sel}, nil
}

// branching is a source whose chunks are of several branches in turn.
type branching struct {
	*counting
	branches int
}

func (s *branching) Next(ctx context.Context) (*Chunk, error) {
	c, err := s.counting.Next(ctx)
	if err == nil {
		c.Branch = int(c.Row/int64(s.perChunk)) % s.branches
	}
	return c, err
}

func branchedRig(mem memory.Allocator, f *faults, lanes int, fold bool) *rig {
	r := newRig(mem, f, lanes, fold)
	r.plan.Source = &branching{r.src, 4}
	seg := &r.plan.Segments[0]
	seg.Steps = []Step{plus{f, 1000}, plus{f, 0}, plus{f, 20_000}}
	seg.Branches = []Branch{
		{At: 1, Steps: []Step{keepEven{f}, plus{f, 1_000_000}}},
		{At: 3, Steps: []Step{repeat{f: f, times: 2, piece: 30}}},
		{At: 1, Steps: []Step{plus{f, 2_000_000}}},
	}
	return r
}

// The rows of each branch go through its own steps and then through those of the segment from where it comes in; the ledger has them all and balances.
func TestRunBranches(t *testing.T) {
	for _, lanes := range []int{1, 3} {
		mem := memory.NewCheckedAllocator(memory.DefaultAllocator)
		r := branchedRig(mem, &faults{at: -1}, lanes, false)
		led, err := Run(context.Background(), r.plan)
		if err != nil {
			t.Fatal(err)
		}
		r.check(t)
		mem.AssertSize(t, 0)
		var want []int64
		for v := int64(0); v < int64(r.src.chunks*r.src.perChunk); v++ {
			switch branch := v / int64(r.src.perChunk) % 4; {
			case v%33 == 0:
			case branch == 0:
				want = append(want, v+21_000)
			case branch == 1 && v%2 == 0 && v%100 != 50:
				want = append(want, v+1_020_000)
			case branch == 2 && v%10 != 4 && v%10 != 7:
				want = append(want, v, v)
			case branch == 3:
				want = append(want, v+2_020_000)
			}
		}
		if !slices.Equal(r.sink.vals, want) {
			t.Errorf("%d lanes: %d rows, want %d, or others", lanes, len(r.sink.vals), len(want))
		}
		if err := led.Check(); err != nil {
			t.Error(err)
		}
		var steps []string
		for _, s := range led.Steps {
			steps = append(steps, fmt.Sprint(s.Step, "/", s.Branch))
		}
		if got := strings.Join(steps, " "); got != "plus1000/0 keep_even/1 plus1000000/1 plus2000000/3 plus0/0 plus20000/0 repeat/2" {
			t.Errorf("steps of the ledger: %s", got)
		}
		for i := range led.Steps {
			for _, n := range []*int64{&led.Steps[i].In, &led.Steps[i].Out} {
				*n++
				if led.Check() == nil {
					t.Errorf("a row too many at %s is not seen", steps[i])
				}
				*n--
			}
		}
	}
}

// A fault at any call ends the run, and nothing is left.
func TestRunBranchesBadly(t *testing.T) {
	for n := int64(0); ; n++ {
		mem := memory.NewCheckedAllocator(memory.DefaultAllocator)
		f := &faults{at: n, panics: n%3 == 0}
		r := branchedRig(mem, f, 2, n%2 == 0)
		r.src.chunks = 4
		_, err := Run(context.Background(), r.plan)
		r.check(t)
		mem.AssertSize(t, 0)
		if f.calls.Load() <= n {
			if err != nil || n < 30 {
				t.Fatalf("after %d calls: %v", n, err)
			}
			return
		}
		if !errors.Is(err, errInjected) {
			t.Fatalf("call %d: %v", n, err)
		}
	}
}

// What a chunk skips is booked on its branch's way, and a branch that cannot be told from others is a bug.
func TestRunBranchesSkip(t *testing.T) {
	f := &faults{at: -1}
	r := branchedRig(memory.DefaultAllocator, f, 2, false)
	r.plan.Segments[0].Branches[1] = Branch{At: 3, Steps: []Step{plus{f, 7}, keepEven{f}}}
	r.plan.Source = &skipping{&branching{r.src, 4}}
	led, err := Run(context.Background(), r.plan)
	if err != nil {
		t.Fatal(err)
	}
	if err := led.Check(); err != nil || led.Sum(Filtered) == 0 {
		t.Errorf("filtered %d: %v", led.Sum(Filtered), err)
	}
	for _, b := range []Branch{{At: 0, Steps: []Step{keepEven{f}}}, {At: 4, Steps: []Step{keepEven{f}}}, {At: 1}} {
		r := newRig(memory.DefaultAllocator, f, 1, false)
		r.plan.Segments[0].Branches = []Branch{b}
		if _, err := Run(context.Background(), r.plan); fail.KindOf(err) != fail.Internal {
			t.Errorf("branch %+v: %v", b, err)
		}
	}
}

// skipping skips the chunks of branch 2.
type skipping struct{ *branching }

func (s *skipping) Next(ctx context.Context) (*Chunk, error) {
	c, err := s.branching.Next(ctx)
	if err == nil && c.Branch == 2 {
		c.Known = Known{Records: 100, Skipped: 100, SkippedBy: 1}
	}
	return c, err
}

func (s *skipping) NewDecoder(mem memory.Allocator) (Decoder, error) {
	d, err := s.counting.NewDecoder(mem)
	return skipper{d}, err
}
