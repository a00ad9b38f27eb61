package pipeline

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/apache/arrow/go/v17/arrow/memory"
	"go.uber.org/goleak"

	"github.com/sluice-data/sluice/internal/fail"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// rig is a whole run on fakes: 12 chunks of 100 numbers, a filter, and with fold a total.
type rig struct {
	src  *counting
	sink *memSink
	rej  *keepRejects
	plan Plan
}

func newRig(mem memory.Allocator, f *faults, lanes int, fold bool) *rig {
	r := &rig{src: &counting{f: f, chunks: 12, perChunk: 100, bad: 33}, sink: &memSink{f: f}, rej: &keepRejects{f: f}}
	segs := []Segment{{Steps: []Step{keepEven{f}}}}
	if fold {
		segs = []Segment{{Steps: []Step{keepEven{f}}, Fold: total{f}}, {}}
	}
	r.plan = Plan{Source: r.src, Segments: segs, Sink: r.sink, Rejects: r.rej, Lanes: lanes, BlockRows: 128, BlockBytes: 1 << 20, Mem: mem}
	return r
}

// check holds after every run, however it ended: one of Commit and Abort, and nothing left in anybody's hand.
func (r *rig) check(t *testing.T) {
	t.Helper()
	if r.sink.commits+r.sink.aborts != 1 {
		t.Fatalf("commits %d, aborts %d: want exactly one call of one of them", r.sink.commits, r.sink.aborts)
	}
	if n := r.sink.open.Load(); n != 0 {
		t.Fatalf("%d blocks not released", n)
	}
	if n := r.src.outstanding.Load(); n != 0 {
		t.Fatalf("%d chunks not released", n)
	}
}

func TestRunKeepsOrderAndCounts(t *testing.T) {
	for _, lanes := range []int{1, 2, 3, 8} {
		t.Run(fmt.Sprint(lanes), func(t *testing.T) {
			mem := memory.NewCheckedAllocator(memory.DefaultAllocator)
			defer mem.AssertSize(t, 0)
			r := newRig(mem, &faults{at: -1}, lanes, false)
			led, err := Run(context.Background(), r.plan)
			if err != nil {
				t.Fatal(err)
			}
			r.check(t)
			var want []int64
			for v := int64(0); v < 1200; v++ {
				if v%33 != 0 && v%100 != 50 && v%2 == 0 {
					want = append(want, v)
				}
			}
			if fmt.Sprint(r.sink.vals) != fmt.Sprint(want) {
				t.Fatalf("rows differ:\n got %v\nwant %v", r.sink.vals, want)
			}
			for i, n := range r.sink.blocks[:len(r.sink.blocks)-1] {
				if n != 128 {
					t.Errorf("block %d has %d rows, want 128 whatever the lanes", i, n)
				}
			}
			for i := 1; i < len(r.rej.rows); i++ {
				if (r.rej.rows[i].Line-1)/100 < (r.rej.rows[i-1].Line-1)/100 {
					t.Fatalf("rejects out of order: line %d after %d", r.rej.rows[i].Line, r.rej.rows[i-1].Line)
				}
			}
			if got, want := led.Sum(Rejected), int64(len(r.rej.rows)); got != want || led.Read != 1200 {
				t.Errorf("ledger: read %d, rejected %d, want 1200 and %d", led.Read, got, want)
			}
			if err := led.Check(); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestRunFolds(t *testing.T) {
	for _, lanes := range []int{1, 2, 5} {
		mem := memory.NewCheckedAllocator(memory.DefaultAllocator)
		r := newRig(mem, &faults{at: -1}, lanes, true)
		led, err := Run(context.Background(), r.plan)
		if err != nil {
			t.Fatal(err)
		}
		r.check(t)
		var sum int64
		for v := int64(0); v < 1200; v++ {
			if v%33 != 0 && v%100 != 50 && v%2 == 0 {
				sum += v
			}
		}
		if len(r.sink.vals) != 1 || r.sink.vals[0] != sum {
			t.Errorf("%d lanes: got %v, want [%d]", lanes, r.sink.vals, sum)
		}
		if err := led.Check(); err != nil {
			t.Error(err)
		}
		if led.Sum(Folded) != led.Groups[1] || led.Groups[1] == 0 {
			t.Errorf("folded %d, groups count %d", led.Sum(Folded), led.Groups[1])
		}
		mem.AssertSize(t, 0)
	}
}

// A fold gives its one row also when no row came in, and the ledger still balances.
func TestRunFoldsNothing(t *testing.T) {
	mem := memory.NewCheckedAllocator(memory.DefaultAllocator)
	r := newRig(mem, &faults{at: -1}, 2, true)
	r.src.chunks = 0
	led, err := Run(context.Background(), r.plan)
	if err != nil {
		t.Fatal(err)
	}
	r.check(t)
	if err := led.Check(); err != nil || len(r.sink.vals) != 1 {
		t.Errorf("got %v rows, ledger: %v; want one row and balance", r.sink.vals, err)
	}
	mem.AssertSize(t, 0)
}

// Every call of every part fails once, as an error and as a panic: the run ends with that error, in exactly one of
// Commit and Abort, and holds nothing any more.
func TestRunFaultAtEveryCall(t *testing.T) {
	for _, fold := range []string{"none", "own", "shared"} {
		for _, lanes := range []int{1, 2, 3} {
			for _, panics := range []bool{false, true} {
				t.Run(fmt.Sprintf("fold=%v/lanes=%d/panics=%v", fold, lanes, panics), func(t *testing.T) {
					for n := int64(0); ; n++ {
						mem := memory.NewCheckedAllocator(memory.DefaultAllocator)
						f := &faults{at: n, panics: panics}
						r := newRig(mem, f, lanes, fold != "none")
						if fold == "shared" {
							r.plan.Segments[0].Fold, r.plan.Processors = turnTotal{total{f}}, 2
						}
						_, err := Run(context.Background(), r.plan)
						r.check(t)
						mem.AssertSize(t, 0)
						if f.calls.Load() <= n { // no call was left to fail
							if err != nil {
								t.Fatal(err)
							}
							if n < 30 {
								t.Fatalf("only %d calls: the rig tests nothing", n)
							}
							return
						}
						if err == nil {
							t.Fatalf("call %d failed and the run did not", n)
						}
						if panics {
							if fail.KindOf(err) != fail.Internal || !strings.Contains(err.Error(), "panicked: injected fault") {
								t.Fatalf("call %d: %v", n, err)
							}
						} else if !errors.Is(err, errInjected) {
							t.Fatalf("call %d: %v", n, err)
						}
					}
				})
			}
		}
	}
}

// Lanes that share partials fold the same rows, each chunk in its turn, however many lanes there are for each partial.
func TestRunSharesPartials(t *testing.T) {
	for _, tt := range []struct{ lanes, processors, chunks int }{{1, 1, 12}, {2, 1, 12}, {3, 2, 12}, {8, 2, 12}, {9, 8, 40}, {5, 3, 40}, {4, 9, 12}, {8, 2, 1}, {8, 2, 0}} {
		mem := memory.NewCheckedAllocator(memory.DefaultAllocator)
		r := newRig(mem, &faults{at: -1}, tt.lanes, true)
		made := 0
		r.plan.Segments[0].Fold = counted{turnTotal{total{r.src.f}}, &made}
		r.plan.Processors, r.src.chunks = tt.processors, tt.chunks
		led, err := Run(context.Background(), r.plan)
		if err != nil {
			t.Fatal(tt, err)
		}
		r.check(t)
		mem.AssertSize(t, 0)
		var sum int64
		for v := int64(0); v < int64(100*tt.chunks); v++ {
			if v%33 != 0 && v%100 != 50 && v%2 == 0 {
				sum += v
			}
		}
		if len(r.sink.vals) != 1 || r.sink.vals[0] != sum || made != min(tt.lanes, tt.processors) {
			t.Errorf("%+v: got %v of %d partials, want [%d]", tt, r.sink.vals, made, sum)
		}
		if err := led.Check(); err != nil {
			t.Error(tt, err)
		}
	}
}

// counted counts the partials made.
type counted struct {
	turnTotal
	made *int
}

func (c counted) NewPartial(mem memory.Allocator) (Partial, error) {
	*c.made++
	return c.turnTotal.NewPartial(mem)
}

// A cancel at any moment ends the run with the cause of the cancel and an Abort, unless the commit had begun.
func TestRunCancelAtEveryMoment(t *testing.T) {
	cause := fail.Newf(fail.Temporary, "interrupted by SIGTERM")
	for _, fold := range []bool{false, true} {
		for moment := int64(0); moment < 80; moment++ {
			mem := memory.NewCheckedAllocator(memory.DefaultAllocator)
			ctx, cancel := context.WithCancelCause(context.Background())
			f := &faults{at: -1, hook: func(n int64) {
				if n == moment {
					cancel(cause)
				}
			}}
			r := newRig(mem, f, 2, fold)
			if fold && moment%2 == 1 {
				r.plan.Segments[0].Fold, r.plan.Processors, r.plan.Lanes = turnTotal{total{f}}, 1, 3
			}
			_, err := Run(ctx, r.plan)
			cancel(nil)
			r.check(t)
			mem.AssertSize(t, 0)
			if r.sink.aborts == 1 && !errors.Is(err, cause) {
				t.Fatalf("moment %d: aborted with %v", moment, err)
			}
			if r.sink.commits == 1 && err != nil {
				t.Fatalf("moment %d: committed with %v", moment, err)
			}
		}
	}
}

func TestRunWithoutQuarantineFailsOnFirstReject(t *testing.T) {
	for _, lanes := range []int{1, 4} {
		for range 20 { // the same error each time, whichever lane is faster
			mem := memory.NewCheckedAllocator(memory.DefaultAllocator)
			r := newRig(mem, &faults{at: -1}, lanes, false)
			r.src.bad = 777
			r.src.next = 1 // 0 is divisible by anything
			r.plan.Rejects = nil
			_, err := Run(context.Background(), r.plan)
			r.check(t)
			mem.AssertSize(t, 0)
			var e *fail.Error
			if !errors.As(err, &e) || e.Kind != fail.Data || e.Line != 151 || e.Value != "150" {
				t.Fatalf("got %v, want the first bad row, 150 on line 151", err)
			}
		}
	}
}

// The first error in the order of the input is reported, not the first in time.
func TestRunReportsErrorsInInputOrder(t *testing.T) {
	for range 20 {
		r := newRig(memory.DefaultAllocator, &faults{at: -1}, 3, false)
		r.plan.Rejects = nil
		r.src.bad = 0
		_, err := Run(context.Background(), r.plan)
		if err == nil || !strings.Contains(err.Error(), "mem://numbers:51:") {
			t.Fatalf("got %v, want the one on line 51", err)
		}
	}
}
