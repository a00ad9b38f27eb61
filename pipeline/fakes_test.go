package pipeline

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync/atomic"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/memory"
)

var errInjected = errors.New("injected fault")

// faults counts the calls of every part of a run and makes the n-th one fail.
type faults struct {
	calls  atomic.Int64
	at     int64 // the call to fail, from 0; negative = none
	panics bool
	hook   func(n int64) // called at each call
}

func (f *faults) call() error {
	n := f.calls.Add(1) - 1
	if f.hook != nil {
		f.hook(n)
	}
	if n != f.at {
		return nil
	}
	if f.panics {
		panic(errInjected)
	}
	return errInjected
}

var numbers = arrow.NewSchema([]arrow.Field{{Name: "n", Type: arrow.PrimitiveTypes.Int64, Nullable: true}}, nil)

func numberRecord(mem memory.Allocator, vals []int64) arrow.Record {
	b := array.NewInt64Builder(mem)
	defer b.Release()
	b.AppendValues(vals, nil)
	col := b.NewArray()
	defer col.Release()
	return array.NewRecord(numbers, []arrow.Array{col}, int64(len(vals)))
}

// counting is a source of the numbers 0 … chunks*perChunk-1; numbers divisible by bad are refused by its decoder.
type counting struct {
	f                *faults
	chunks, perChunk int
	bad              int64
	next             int
	outstanding      atomic.Int64
}

func (s *counting) Schema() *arrow.Schema { return numbers }

func (s *counting) Next(context.Context) (*Chunk, error) {
	if err := s.f.call(); err != nil {
		return nil, err
	}
	if s.next == s.chunks {
		return nil, io.EOF
	}
	c := &Chunk{Input: "mem://numbers", Row: int64(s.next * s.perChunk)}
	s.next++
	s.outstanding.Add(1)
	c.OnRelease(func() { s.outstanding.Add(-1) })
	return c, nil
}

func (s *counting) NewDecoder(mem memory.Allocator) (Decoder, error) {
	return &countingDecoder{s, mem}, s.f.call()
}
func (s *counting) Close() error { return s.f.call() }

type countingDecoder struct {
	*counting
	mem memory.Allocator
}

func (d *countingDecoder) Close() {}

type rowNumbers int64

func (r rowNumbers) Origin(i int) Origin {
	return Origin{Input: "mem://numbers", Line: int64(r) + int64(i) + 1, Raw: fmt.Appendf(nil, "%d", int64(r)+int64(i))}
}

func (d *countingDecoder) Decode(_ context.Context, c *Chunk, rej *Rejects, emit func(Batch) error) error {
	if err := d.f.call(); err != nil {
		return err
	}
	var vals []int64
	var sel []int32
	prov := rowNumbers(c.Row)
	for i := range d.perChunk {
		v := c.Row + int64(i)
		if d.bad > 0 && v%d.bad == 0 {
			rej.AddOrigin(prov.Origin(i), "n", fmt.Sprint(v), "unwanted number")
			continue
		}
		vals = append(vals, v)
		sel = append(sel, int32(i))
	}
	half := len(vals) / 2
	for _, part := range [][2]int{{0, half}, {half, len(vals)}} {
		if err := func() error {
			rec := numberRecord(d.mem, vals[part[0]:part[1]])
			defer rec.Release() // also when a stage panics
			return emit(Batch{Rec: rec, Rows: prov, Sel: sel[part[0]:part[1]]})
		}(); err != nil {
			return err
		}
	}
	return nil
}

// keepEven is a filter whose stage refuses multiples of 10 that end in 50.
type keepEven struct{ f *faults }

func (keepEven) Name() string          { return "keep_even" }
func (keepEven) Schema() *arrow.Schema { return numbers }
func (keepEven) Drops() Cause          { return Filtered }
func (s keepEven) NewStage(mem memory.Allocator) (Stage, error) {
	return &keepEvenStage{s.f, mem}, s.f.call()
}

type keepEvenStage struct {
	f   *faults
	mem memory.Allocator
}

func (s *keepEvenStage) Close() {}

func (s *keepEvenStage) Apply(_ context.Context, b Batch, rej *Rejects) (Batch, error) {
	if err := s.f.call(); err != nil {
		return Batch{}, err
	}
	var vals []int64
	var sel []int32
	for i, v := range b.Rec.Column(0).(*array.Int64).Int64Values() {
		switch {
		case v%100 == 50:
			rej.Add(b, i, "n", fmt.Sprint(v), "ends in 50")
		case v%2 == 0:
			vals = append(vals, v)
			if b.Sel != nil {
				sel = append(sel, b.Sel[i])
			} else {
				sel = append(sel, int32(i))
			}
		}
	}
	return Batch{Rec: numberRecord(s.mem, vals), Rows: b.Rows, Sel: sel}, nil
}

// total is a fold: the sum of all numbers, and how many they were.
type total struct{ f *faults }

func (total) Name() string          { return "total" }
func (total) Schema() *arrow.Schema { return numbers }
func (t total) NewPartial(mem memory.Allocator) (Partial, error) {
	return &totalPartial{f: t.f}, t.f.call()
}

// turnTotal is a total whose partials are shared by the lanes.
type turnTotal struct{ total }

func (turnTotal) TakesTurns() {}

func (t turnTotal) NewPartial(mem memory.Allocator) (Partial, error) {
	p, err := t.total.NewPartial(mem)
	p.(*totalPartial).last = -1
	return &turnPartial{p.(*totalPartial)}, err
}

func (t turnTotal) Drain(ctx context.Context, mem memory.Allocator, parts []Partial) (Drain, error) {
	inner := make([]Partial, len(parts))
	for i, p := range parts {
		inner[i] = p.(*turnPartial).totalPartial
	}
	return t.total.Drain(ctx, mem, inner)
}

// turnPartial is a total that wants its chunks in the order of the input.
type turnPartial struct{ *totalPartial }

func (p *turnPartial) Begin(number int64) {
	p.disorder = p.disorder || number <= p.last
	p.last = number
}

func (p *turnPartial) Add(ctx context.Context, b Batch, rej *Rejects) error {
	if p.disorder || p.adding.Swap(true) {
		return errors.New("two lanes fold at a time, or not in turn")
	}
	defer p.adding.Store(false)
	return p.totalPartial.Add(ctx, b, rej)
}

type totalPartial struct {
	f        *faults
	sum, n   int64
	closed   bool
	last     int64 // chunk, of a turnPartial
	disorder bool
	adding   atomic.Bool
}

func (p *totalPartial) Add(_ context.Context, b Batch, _ *Rejects) error {
	for _, v := range b.Rec.Column(0).(*array.Int64).Int64Values() {
		p.sum += v
		p.n++
	}
	return p.f.call()
}
func (p *totalPartial) Rows() int64 { return p.n }
func (p *totalPartial) Close()      { p.closed = true }

func (t total) Drain(_ context.Context, mem memory.Allocator, parts []Partial) (Drain, error) {
	d := &totalDrain{f: t.f, mem: mem}
	for _, p := range parts {
		d.sum += p.(*totalPartial).sum
		d.n += p.Rows()
		p.Close()
	}
	return d, t.f.call()
}

type totalDrain struct {
	f      *faults
	mem    memory.Allocator
	sum, n int64
	done   bool
}

func (d *totalDrain) Next(context.Context) (arrow.Record, error) {
	if err := d.f.call(); err != nil {
		return nil, err
	}
	if d.done {
		return nil, io.EOF
	}
	d.done = true
	return numberRecord(d.mem, []int64{d.sum}), nil
}
func (d *totalDrain) Rows() int64 { return d.n }
func (d *totalDrain) Close()      {}

// memSink keeps what is written and how it ended.
type memSink struct {
	f               *faults
	vals            []int64
	blocks          []int64
	open, peak      atomic.Int64 // blocks
	commits, aborts int
}

func (s *memSink) NewEncoder(memory.Allocator) (Encoder, error) { return &memEncoder{s}, s.f.call() }

type memEncoder struct{ *memSink }

func (e *memEncoder) Close() {}
func (e *memEncoder) Encode(_ context.Context, recs []arrow.Record) (Block, error) {
	if err := e.f.call(); err != nil {
		return nil, err
	}
	b := &memBlock{sink: e.memSink}
	for _, r := range recs {
		b.vals = append(b.vals, r.Column(0).(*array.Int64).Int64Values()...)
	}
	for now := e.open.Add(1); ; {
		if old := e.peak.Load(); now <= old || e.peak.CompareAndSwap(old, now) {
			break
		}
	}
	return b, nil
}

type memBlock struct {
	sink *memSink
	vals []int64
}

func (b *memBlock) Rows() int64 { return int64(len(b.vals)) }
func (b *memBlock) Release()    { b.sink.open.Add(-1) }

func (s *memSink) Write(_ context.Context, b Block) error {
	defer b.Release()
	if err := s.f.call(); err != nil {
		return err
	}
	s.vals = append(s.vals, b.(*memBlock).vals...)
	s.blocks = append(s.blocks, b.Rows())
	return nil
}

func (s *memSink) Commit(_ context.Context, l *Ledger) error {
	s.commits++
	l.Written = int64(len(s.vals))
	return s.f.call()
}

func (s *memSink) Abort(context.Context) error {
	s.aborts++
	return s.f.call()
}

// keepRejects is a quarantine in memory.
type keepRejects struct {
	f    *faults
	rows []Reject
}

func (k *keepRejects) Write(_ context.Context, rs []Reject) error {
	k.rows = append(k.rows, rs...)
	return k.f.call()
}
