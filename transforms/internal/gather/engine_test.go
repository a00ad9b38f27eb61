package gather

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"sync/atomic"
	"testing"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/memory"

	"github.com/sluice-data/sluice/internal/fail"
	"github.com/sluice-data/sluice/pipeline"
)

var errInjected = errors.New("injected fault")

// probe counts the calls of a run's parts, and does something at one of them.
type probe struct {
	calls atomic.Int64
	at    int64 // negative: never
	do    func() error
}

func (p *probe) call() error {
	if p.calls.Add(1)-1 == p.at {
		return p.do()
	}
	return nil
}

// chunked is a source of records made beforehand.
type chunked struct {
	*probe
	recs []arrow.Record
	next int
}

func (s *chunked) Schema() *arrow.Schema { return schema }
func (s *chunked) Close() error          { return nil }
func (s *chunked) Next(context.Context) (*pipeline.Chunk, error) {
	if s.next == len(s.recs) {
		return nil, io.EOF
	}
	s.next++
	return &pipeline.Chunk{Part: s.recs[s.next-1]}, s.call()
}

func (s *chunked) NewDecoder(memory.Allocator) (pipeline.Decoder, error) { return lent{s}, nil }

// lent decodes for a lane.
type lent struct{ *chunked }

func (lent) Close() {}

func (s lent) Decode(_ context.Context, c *pipeline.Chunk, _ *pipeline.Rejects, emit func(pipeline.Batch) error) error {
	if err := s.call(); err != nil {
		return err
	}
	return emit(pipeline.Batch{Rec: c.Part.(arrow.Record)})
}

// keptRows is a sink that keeps what it is given as text, one partition a block.
type keptRows struct {
	*probe
	rows            []string
	blocks          int
	commits, aborts int
}

func (s *keptRows) NewEncoder(memory.Allocator) (pipeline.Encoder, error) { return encodesRows{s}, nil }

func (s *keptRows) Apart(a, b arrow.Record) bool {
	for _, c := range []int{dayColumn, zoneColumn} {
		if a.Column(c).ValueStr(0) != b.Column(c).ValueStr(0) {
			return true
		}
	}
	return false
}

func (s *keptRows) Write(_ context.Context, b pipeline.Block) error {
	s.rows = append(s.rows, b.(rowsBlock)...)
	s.blocks++
	return s.call()
}

func (s *keptRows) Commit(_ context.Context, l *pipeline.Ledger) error {
	s.commits++
	l.Written = int64(len(s.rows))
	return s.call()
}

func (s *keptRows) Abort(context.Context) error { s.aborts++; return nil }

type encodesRows struct{ s *keptRows }

func (e encodesRows) Close() {}
func (e encodesRows) Encode(_ context.Context, recs []arrow.Record) (pipeline.Block, error) {
	var b rowsBlock
	for _, r := range recs {
		b = append(b, printed(r)...)
	}
	return b, e.s.call()
}

type rowsBlock []string

func (b rowsBlock) Rows() int64 { return int64(len(b)) }
func (b rowsBlock) Release()    {}

// engine runs the fold over recs in the engine.
func engine(t *testing.T, ctx context.Context, recs []arrow.Record, lanes int, p *probe) (*keptRows, *pipeline.Ledger, error) {
	t.Helper()
	mem := memory.NewCheckedAllocator(memory.DefaultAllocator)
	defer mem.AssertSize(t, 0)
	f := newFold(t, 1, t.TempDir())
	f.pieceRows, f.recordRows = 12, 16
	sink := &keptRows{probe: p}
	led, err := pipeline.Run(ctx, pipeline.Plan{Source: &chunked{probe: p, recs: recs}, Segments: []pipeline.Segment{{Fold: f}, {}}, Sink: sink,
		Lanes: lanes, BlockRows: 25, BlockBytes: 1 << 20, Mem: mem})
	if sink.commits+sink.aborts != 1 {
		t.Fatalf("commits %d, aborts %d: want one of them", sink.commits, sink.aborts)
	}
	return sink, led, err
}

func engineRecords(t *testing.T) []arrow.Record {
	rng := rand.New(rand.NewPCG(5, 6))
	var recs []arrow.Record
	for i := range 6 {
		recs = append(recs, record(memory.DefaultAllocator, rng, 30*i, 30, 8, true))
		t.Cleanup(recs[i].Release)
	}
	return recs
}

// In the engine: the ledger balances without folded rows, blocks hold one partition each, and any number of lanes gives the same.
func TestEngine(t *testing.T) {
	recs := engineRecords(t)
	var first *keptRows
	for _, lanes := range []int{1, 2, 3, 5} {
		sink, led, err := engine(t, t.Context(), recs, lanes, &probe{at: -1})
		if err != nil {
			t.Fatal(err)
		}
		if err := led.Check(); err != nil || len(led.Steps[0].Dropped) != 0 || led.Steps[0].In != 180 || led.Steps[0].Out != 180 {
			t.Errorf("ledger %+v: %v", led.Steps, err)
		}
		if first == nil {
			first = sink
		}
		if fmt.Sprint(sink.rows) != fmt.Sprint(first.rows) || sink.blocks != first.blocks {
			t.Errorf("%d lanes give other blocks than one", lanes)
		}
	}
}

// Every call of source and sink fails once, as an error and as a panic, and the run is cancelled at each of them: it ends with
// that, in one of Commit and Abort, and holds no memory, goroutine or file.
func TestEngineFaultAtEveryCall(t *testing.T) {
	recs := engineRecords(t)
	for _, lanes := range []int{1, 3} {
		for n := int64(0); ; n++ {
			p := &probe{at: n, do: func() error { return errInjected }}
			_, _, err := engine(t, t.Context(), recs, lanes, p)
			if p.calls.Load() <= n {
				if err != nil || n < 30 {
					t.Fatalf("after %d calls: %v", n, err)
				}
				break
			}
			if !errors.Is(err, errInjected) {
				t.Fatalf("call %d: %v", n, err)
			}
			p = &probe{at: n, do: func() error { panic(errInjected) }}
			if _, _, err = engine(t, t.Context(), recs, lanes, p); fail.KindOf(err) != fail.Internal {
				t.Fatalf("call %d panics: %v", n, err)
			}
			ctx, cancel := context.WithCancelCause(t.Context())
			cause := fail.Newf(fail.Temporary, "interrupted")
			p = &probe{at: n, do: func() error { cancel(cause); return nil }}
			if sink, _, err := engine(t, ctx, recs, lanes, p); sink.aborts == 1 && !errors.Is(err, cause) {
				t.Fatalf("cancelled at call %d: %v", n, err)
			}
			cancel(nil)
		}
	}
}

// A spill file that cannot be made is the run's error.
func TestEngineWithoutDisk(t *testing.T) {
	f := newFold(t, 1, "/nonexistent/sluice")
	sink := &keptRows{probe: &probe{at: -1}}
	rng := rand.New(rand.NewPCG(5, 6))
	var recs []arrow.Record
	for i := range 8 {
		recs = append(recs, record(memory.DefaultAllocator, rng, 1000*i, 1000, 5, false))
		defer recs[i].Release()
	}
	_, err := pipeline.Run(t.Context(), pipeline.Plan{Source: &chunked{probe: sink.probe, recs: recs}, Segments: []pipeline.Segment{{Fold: f}, {}}, Sink: sink,
		Lanes: 2, BlockRows: 100, BlockBytes: 1 << 20, Mem: memory.DefaultAllocator})
	if fail.KindOf(err) != fail.Usage || sink.aborts != 1 {
		t.Fatalf("%v", err)
	}
}
