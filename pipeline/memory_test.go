package pipeline

import (
	"context"
	"io"
	"sync/atomic"
	"testing"

	"github.com/apache/arrow/go/v17/arrow/memory"
)

// peakAllocator remembers the most that was allocated at once.
type peakAllocator struct {
	*memory.CheckedAllocator
	peak atomic.Int64
}

func (p *peakAllocator) Allocate(n int) []byte {
	b := p.CheckedAllocator.Allocate(n)
	p.note()
	return b
}

func (p *peakAllocator) Reallocate(n int, b []byte) []byte {
	b = p.CheckedAllocator.Reallocate(n, b)
	p.note()
	return b
}

func (p *peakAllocator) note() {
	for now := int64(p.CurrentAlloc()); ; {
		if old := p.peak.Load(); now <= old || p.peak.CompareAndSwap(old, now) {
			return
		}
	}
}

// rowGroups is a source whose chunks are far larger than what a lane may hold of them, as row groups are.
type rowGroups struct {
	counting
	batches, rows int // of a chunk, of a batch
}

func (s *rowGroups) Next(context.Context) (*Chunk, error) {
	if s.next == s.chunks {
		return nil, io.EOF
	}
	s.next++
	return &Chunk{Input: "mem://groups", Row: int64((s.next - 1) * s.batches * s.rows)}, nil
}

func (s *rowGroups) NewDecoder(mem memory.Allocator) (Decoder, error) {
	return &rowGroupDecoder{s, mem}, nil
}

type rowGroupDecoder struct {
	*rowGroups
	mem memory.Allocator
}

func (d *rowGroupDecoder) Close() {}

func (d *rowGroupDecoder) Decode(_ context.Context, c *Chunk, rej *Rejects, emit func(Batch) error) error {
	vals := make([]int64, d.rows)
	for i := range d.batches {
		first := c.Row + int64(i*d.rows)
		for j := range vals {
			vals[j] = first + int64(j)
		}
		rej.AddOrigin(Origin{Input: c.Input, Line: first + 1, Raw: []byte("bad")}, "n", "bad", "not a number")
		rec := numberRecord(d.mem, vals)
		err := emit(Batch{Rec: rec})
		rec.Release()
		if err != nil {
			return err
		}
	}
	return nil
}

// A chunk of 64 MiB is handed on in parts: what is in flight stays far below it, and rows, rejects and order are those
// of the chunk in one.
func TestRunHoldsPartsOfAChunk(t *testing.T) {
	const chunks, batches, rows = 3, 64, 1 << 17
	for _, lanes := range []int{1, 2} {
		mem := &peakAllocator{CheckedAllocator: memory.NewCheckedAllocator(memory.DefaultAllocator)}
		r := newRig(mem, &faults{at: -1}, lanes, false)
		r.plan.Source = &rowGroups{counting{f: r.src.f, chunks: chunks}, batches, rows}
		r.plan.Segments = []Segment{{}}
		r.plan.BlockRows = rows
		led, err := Run(t.Context(), r.plan)
		if err != nil {
			t.Fatal(err)
		}
		mem.AssertSize(t, 0)
		if most := int64(lanes)*3*resultBytes + 8<<20; mem.peak.Load() > most {
			t.Errorf("%d lanes held %d MiB of records at once, want %d at most", lanes, mem.peak.Load()>>20, most>>20)
		}
		if err := led.Check(); err != nil || led.Read != chunks*batches*(rows+1) || led.Sum(Rejected) != chunks*batches {
			t.Errorf("read %d, rejected %d: %v", led.Read, led.Sum(Rejected), err)
		}
		for i, v := range r.sink.vals {
			if v != int64(i) {
				t.Fatalf("row %d is %d", i, v)
			}
		}
		for i := range r.rej.rows {
			if r.rej.rows[i].Line != int64(i*rows)+1 {
				t.Fatalf("reject %d is of line %d", i, r.rej.rows[i].Line)
			}
		}
	}
}

// Blocks that are large for the memory there is are encoded one after the other, however many lanes there are.
func TestRunBoundsBlocksInFlight(t *testing.T) {
	mem := memory.NewCheckedAllocator(memory.DefaultAllocator)
	defer mem.AssertSize(t, 0)
	r := newRig(mem, &faults{at: -1}, 4, false)
	r.src.chunks, r.plan.BlockRows = 200, 50
	r.plan.EncodeBytes = 1 // less than any block
	if _, err := Run(t.Context(), r.plan); err != nil {
		t.Fatal(err)
	}
	r.check(t)
	if n := r.sink.peak.Load(); n != 1 || len(r.sink.blocks) < 100 {
		t.Errorf("%d of %d blocks were there at once, want 1", n, len(r.sink.blocks))
	}
}
