package gather

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"testing"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/memory"

	"github.com/sluice-data/sluice/pipeline"
	"github.com/sluice-data/sluice/transforms/internal/rowpack"
)

// Eight lanes that each see nearly all of 100,000 partitions stay inside the budget, with all that they know of the partitions and of where
// on disk their rows are.
func TestManyPartitionsInBudget(t *testing.T) {
	const lanes, budget = 8, 192 << 20
	mem := memory.NewCheckedAllocator(memory.NewGoAllocator())
	defer mem.AssertSize(t, 0)
	s := arrow.NewSchema([]arrow.Field{{Name: "part", Type: arrow.PrimitiveTypes.Int32}, {Name: "id", Type: arrow.PrimitiveTypes.Int64}, {Name: "ratio", Type: arrow.PrimitiveTypes.Float64}}, nil)
	f, err := New(Config{Schema: s, By: []int{0}, Budget: budget, TempDir: t.TempDir(), Folder: func(by []arrow.Array, i int) (string, int, string, error) {
		return fmt.Sprintf("part=%d/", by[0].(*array.Int32).Value(i)), 0, "", nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	before := heap()
	parts := make([]pipeline.Partial, lanes)
	for i := range parts {
		if parts[i], err = f.NewPartial(mem); err != nil {
			t.Fatal(err)
		}
		defer parts[i].Close()
	}
	rng := rand.New(rand.NewPCG(1, 2))
	for chunk := range int64(30 * lanes) {
		rec := spread100k(mem, s, rng, 10_000)
		l := parts[chunk%lanes].(*lane)
		l.Begin(chunk)
		err := l.Add(t.Context(), pipeline.Batch{Rec: rec}, nil)
		rec.Release()
		if err != nil {
			t.Fatal(err)
		}
		if n := l.state() + l.held + l.window.size(); n > budget/lanes {
			t.Fatalf("chunk %d: a lane counts %d bytes of %d", chunk, n, budget/lanes)
		}
	}
	if !f.spilled.Load() {
		t.Error("nothing was spilled: the test shows nothing")
	}
	if n := heap() - before; n > budget {
		t.Errorf("the lanes hold %d bytes, the budget is %d", n, budget)
	}
}

func heap() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// spread100k is n rows of 100,000 partitions.
func spread100k(mem memory.Allocator, s *arrow.Schema, rng *rand.Rand, n int) arrow.Record {
	b := array.NewRecordBuilder(mem, s)
	defer b.Release()
	for range n {
		b.Field(0).(*array.Int32Builder).Append(int32(rng.IntN(100_000)))
		b.Field(1).(*array.Int64Builder).Append(rng.Int64())
		b.Field(2).(*array.Float64Builder).Append(rng.Float64())
	}
	return b.NewRecord()
}

// A decoded piece of each lane is in the memory of each lane of the next segment: with many lanes pieces are smaller.
func TestPiecesOfManyLanes(t *testing.T) {
	f := &Fold{pieceRows: rowpack.PieceRows}
	for lanes, want := range map[int64]int{0: rowpack.PieceRows, 2: rowpack.PieceRows, 4: rowpack.PieceRows, 8: rowpack.PieceRows / 2, 16: rowpack.PieceRows / 4, 1000: leastPieceRows} {
		f.lanes.Store(lanes)
		if rows, bytes := f.piece(); rows != want || int64(bytes)*lanes > fewLanes*rowpack.PieceBytes {
			t.Errorf("%d lanes: %d rows, want %d; %d bytes of text", lanes, rows, want, bytes)
		}
	}
}
