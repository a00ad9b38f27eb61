package pipeline

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/memory"
)

// repeat gives each number several times over, in pieces of a few rows; one that ends in 4 not at all, and refuses one that ends in 7.
type repeat struct {
	f            *faults
	times, piece int
	lies         int64 // added to what it says it added
}

func (repeat) Name() string          { return "repeat" }
func (repeat) Schema() *arrow.Schema { return numbers }
func (repeat) Drops() Cause          { return Filtered }
func (s repeat) NewStage(mem memory.Allocator) (Stage, error) {
	return &repeatStage{s, mem}, s.f.call()
}

type repeatStage struct {
	repeat
	mem memory.Allocator
}

func (s *repeatStage) Close() {}
func (s *repeatStage) Apply(context.Context, Batch, *Rejects) (Batch, error) {
	return Batch{}, errors.New("an expander's Apply was called")
}

func (s *repeatStage) Expand(_ context.Context, b Batch, rej *Rejects, emit func(Batch) error) (added int64, err error) {
	var vals []int64
	var sel []int32
	flush := func() error {
		if err := s.f.call(); err != nil {
			return err
		}
		rec := numberRecord(s.mem, vals)
		defer rec.Release()
		err := emit(Batch{Rec: rec, Rows: b.Rows, Sel: sel})
		vals, sel = nil, nil
		return err
	}
	for i, v := range b.Rec.Column(0).(*array.Int64).Int64Values() {
		switch v % 10 {
		case 4:
			continue
		case 7:
			rej.Add(b, i, "n", fmt.Sprint(v), "ends in 7")
			continue
		}
		added += int64(s.times - 1)
		for range s.times {
			vals, sel = append(vals, v), append(sel, b.Sel[i])
			if len(vals) == s.piece {
				if err := flush(); err != nil {
					return added, err
				}
			}
		}
	}
	return added + s.lies, flush()
}

// A step may give more rows than it takes, in pieces: their order, the ledger and the places of rows that a later step refuses
// are kept, also where the pieces of one chunk are more than a result holds.
func TestRunExpands(t *testing.T) {
	for _, c := range []struct{ chunks, times, piece, lanes int }{{12, 3, 7, 1}, {12, 3, 7, 3}, {12, 1, 1000, 2}, {2, 20_000, 10_000, 2}} {
		t.Run(fmt.Sprint(c), func(t *testing.T) {
			mem := memory.NewCheckedAllocator(memory.DefaultAllocator)
			defer mem.AssertSize(t, 0)
			f := &faults{at: -1}
			r := newRig(mem, f, c.lanes, false)
			r.src.chunks = c.chunks
			r.plan.Segments[0].Steps = []Step{repeat{f: f, times: c.times, piece: c.piece}, keepEven{f}}
			r.plan.BlockRows = 1 << 20
			led, err := Run(context.Background(), r.plan)
			if err != nil {
				t.Fatal(err)
			}
			r.check(t)
			var want []int64
			added, refused := int64(0), map[int64]int{}
			for v := int64(0); v < int64(c.chunks*100); v++ {
				switch {
				case v%33 == 0, v%10 == 7:
					refused[v+1] = 1
					continue
				case v%10 == 4:
					continue
				}
				added += int64(c.times - 1)
				if v%100 == 50 {
					refused[v+1] = c.times
				} else if v%2 == 0 {
					for range c.times {
						want = append(want, v)
					}
				}
			}
			if len(r.sink.vals) != len(want) {
				t.Fatalf("%d rows, want %d", len(r.sink.vals), len(want))
			}
			for i, v := range want {
				if r.sink.vals[i] != v {
					t.Fatalf("row %d is %d, want %d", i, r.sink.vals[i], v)
				}
			}
			for _, rj := range r.rej.rows {
				refused[rj.Line]--
			}
			for line, n := range refused {
				if n != 0 {
					t.Errorf("line %d: %d rejects are missing", line, n)
				}
			}
			if err := led.Check(); err != nil || led.Added() != added || led.Read != int64(c.chunks*100) {
				t.Errorf("ledger: %v; read %d, added %d, want %d", err, led.Read, led.Added(), added)
			}
		})
	}
}

// A step that says it added other than it did is a bug, as is a fault at any of its calls an end of the run.
func TestRunExpandsBadly(t *testing.T) {
	for n := int64(0); ; n++ {
		mem := memory.NewCheckedAllocator(memory.DefaultAllocator)
		f := &faults{at: n}
		r := newRig(mem, f, 2, n%2 == 0)
		r.src.chunks = 3
		r.plan.Segments[0].Steps = []Step{repeat{f: f, times: 2, piece: 50}, keepEven{f}}
		_, err := Run(context.Background(), r.plan)
		r.check(t)
		mem.AssertSize(t, 0)
		if f.calls.Load() <= n {
			if err != nil || n < 30 {
				t.Fatalf("after %d calls: %v", n, err)
			}
			break
		}
		if !errors.Is(err, errInjected) {
			t.Fatalf("call %d: %v", n, err)
		}
	}
	f := &faults{at: -1}
	r := newRig(memory.DefaultAllocator, f, 1, false)
	r.plan.Segments[0].Steps = []Step{repeat{f: f, times: 2, piece: 50, lies: -1000}}
	if _, err := Run(context.Background(), r.plan); err == nil || !strings.Contains(err.Error(), "step repeat took") {
		t.Errorf("a step that lies: %v", err)
	}
}
