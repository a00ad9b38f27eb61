package csv

import (
	"context"
	"io"
	"testing"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/memory"
	"go.uber.org/goleak"

	"github.com/sluice-data/sluice/internal/schema"
	"github.com/sluice-data/sluice/pipeline"
	"github.com/sluice-data/sluice/sources"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type originOf = pipeline.Origin

// fataler is what helpers need of *testing.T, *testing.B and *rapid.T.
type fataler interface {
	Helper()
	Fatalf(string, ...any)
	Errorf(string, ...any)
}

func mustField(name, typ string) arrow.Field {
	f, err := schema.ParseField(name, typ)
	if err != nil {
		panic(err)
	}
	return f
}

// readCells reads req, all of whose columns are binary, and calls f for each row.
func readCells(t fataler, req sources.Request, f func(cells [][]byte)) error {
	t.Helper()
	mem := memory.NewCheckedAllocator(memory.NewGoAllocator())
	defer mem.AssertSize(t, 0)
	src, err := open(context.Background(), req, false)
	if err != nil {
		return err
	}
	defer src.Close()
	dec, err := src.NewDecoder(mem)
	if err != nil {
		return err
	}
	defer dec.Close()
	for {
		c, err := src.Next(context.Background())
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		var rej pipeline.Rejects
		err = dec.Decode(context.Background(), c, &rej, func(b pipeline.Batch) error {
			for i := range int(b.Rec.NumRows()) {
				cells := make([][]byte, b.Rec.NumCols())
				for k := range cells {
					cells[k] = b.Rec.Column(k).(*array.Binary).Value(i)
				}
				f(cells)
			}
			return nil
		})
		c.Release()
		if err != nil {
			return err
		}
	}
}
