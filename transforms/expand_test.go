package transforms

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/memory"

	"github.com/sluice-data/sluice/pipeline"
)

// One row may become very many: they come in pieces of bounded size, and each knows the place of the row it is of.
func TestExpandInPieces(t *testing.T) {
	const n = 2*expandRows + 7
	mem := memory.NewCheckedAllocator(memory.DefaultAllocator)
	defer mem.AssertSize(t, 0)
	numbers := strings.TrimSuffix(strings.Repeat("5,", n), ",")
	table := "| id int64 | l list<int64> | a int8 | b int8 |\n| 1 | [] | 1 | 2 |\n| 5 | [" + numbers + "] | 3 | 4 |\n| 6 | [6] | 5 | 6 |\n"
	rec := parseTable(t, mem, table)
	defer rec.Release()
	for step, want := range map[string]int{
		"- unnest: {column: l, as: e, with_ordinality: n}":                            n + 1,
		"- unpivot: {columns: [a, b]}":                                                6,
		"- lookup: {table: twice, on: [id], add: [tag], duplicates: all, join: left}": 4,
	} {
		b, err := bindStep(Env{Expr: testEnv}, step, rec.Schema())
		if err != nil {
			t.Fatal(err)
		}
		if l, ok := b.Step.(Loader); ok {
			if err := l.Load(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		st, err := b.Step.NewStage(mem)
		if err != nil {
			t.Fatal(err)
		}
		var rej pipeline.Rejects
		// The rows are numbers 30, 10 and 20 of their chunk.
		in := pipeline.Batch{Rec: rec, Rows: lineNumbers{0}, Sel: []int32{30, 10, 20}}
		rows, next := 0, int64(1)
		added, err := st.(pipeline.Expander).Expand(context.Background(), in, &rej, func(piece pipeline.Batch) error {
			if piece.Rec.NumRows() == 0 || piece.Rec.NumRows() > expandRows {
				t.Errorf("%s: a piece of %d rows", step, piece.Rec.NumRows())
			}
			for i, id := range piece.Rec.Column(0).(*array.Int64).Int64Values() {
				if want := map[int64]int64{1: 31, 5: 11, 6: 21}[id]; piece.Origin(i).Line != want {
					t.Fatalf("%s: row %d is of line %d, want %d", step, rows+i, piece.Origin(i).Line, want)
				}
				if at := piece.Rec.Schema().FieldIndices("n"); len(at) > 0 && id == 5 {
					if got := piece.Rec.Column(at[0]).(*array.Int64).Value(i); got != next {
						t.Fatalf("element %d has number %d", next, got)
					}
					next++
				}
			}
			rows += int(piece.Rec.NumRows())
			return nil
		})
		if err != nil || rows != want {
			t.Errorf("%s: %d rows, want %d; %v", step, rows, want, err)
		}
		if dropped := rec.NumRows() + added - int64(rows); dropped < 0 || dropped > 1 {
			t.Errorf("%s: %d rows added", step, added)
		}
		if _, err := st.Apply(context.Background(), in, &rej); err == nil {
			t.Error("Apply of an expander gives something")
		}
		// An error of who takes a piece ends it.
		stop := fmt.Errorf("enough")
		if _, err := st.(pipeline.Expander).Expand(context.Background(), in, &rej, func(pipeline.Batch) error { return stop }); err != stop {
			t.Errorf("%s: %v", step, err)
		}
		st.Close()
	}
}

// A piece is as large as a batch, in rows or in bytes: the widest row may be the one that comes a thousand times.
func TestPiecesOfWideRows(t *testing.T) {
	b := array.NewStringBuilder(memory.DefaultAllocator)
	b.AppendValues([]string{"a", strings.Repeat("x", 1<<20), ""}, nil)
	wide := b.NewArray()
	b.AppendValues([]string{"a", "b", "c"}, nil)
	narrow := b.NewArray()
	for _, c := range []struct {
		a    arrow.Array
		want int
	}{{wide, 3}, {narrow, expandRows}} {
		if got := pieceRows(3, []arrow.Array{c.a}); got != c.want {
			t.Errorf("%d rows a piece, want %d", got, c.want)
		}
	}
}
