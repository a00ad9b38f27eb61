package jsonl

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/memory"

	"github.com/sluice-data/sluice/internal/fail"
	"github.com/sluice-data/sluice/pipeline"
	"github.com/sluice-data/sluice/sources"
)

// decode runs text through a decoder of its own, in one chunk.
func decode(ctx context.Context, t *testing.T, req sources.Request, text string, emit func(pipeline.Batch) error) error {
	t.Helper()
	mem := memory.NewCheckedAllocator(memory.NewGoAllocator())
	t.Cleanup(func() { mem.AssertSize(t, 0) })
	src, err := open(ctx, req)
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	dec, err := src.NewDecoder(mem)
	if err != nil {
		t.Fatal(err)
	}
	defer dec.Close()
	var rej pipeline.Rejects
	return dec.Decode(ctx, &pipeline.Chunk{Input: "in", Data: []byte(text), Line: 1}, &rej, emit)
}

// Whichever batch the next step fails at, its error comes back as it is and the batches still in the making are given up.
func TestEmitErrors(t *testing.T) {
	req := request(t, sources.Strict, "a int64, s string, l list<struct<x: string>>")
	req.ChunkRows = 2
	text := strings.Repeat(`{"a":1,"s":"x","l":[{"x":"y"}]}`+"\n", 7)
	for at := range 4 {
		stop, calls := errors.New("stop"), 0
		err := decode(context.Background(), t, req, text, func(b pipeline.Batch) error {
			if calls++; calls > at {
				return stop
			}
			return nil
		})
		if err != stop || calls != at+1 {
			t.Errorf("stopped at batch %d: %v after %d", at, err, calls)
		}
	}
}

func TestCancel(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	req := request(t, sources.Strict, "a int64")
	req.ChunkRows = 2
	err := decode(ctx, t, req, strings.Repeat(`{"a":1}`+"\n", 100), func(pipeline.Batch) error { cancel(); return nil })
	if !errors.Is(err, context.Canceled) || fail.KindOf(err) != fail.Temporary {
		t.Errorf("cancelled: %v", err)
	}
}

// A batch may be kept beyond the call that lends it, and beyond the decoder's next chunk: nothing is written to it any more.
func TestBatchesStayAsTheyWere(t *testing.T) {
	var kept []arrow.Record
	req := request(t, sources.Strict, "a int64, s string, b bool, l list<int64>")
	req.ChunkRows = 3
	var text strings.Builder
	for i := range 10 {
		fmt.Fprintf(&text, "{\"a\":%d,\"s\":\"s%d\",\"b\":%t,\"l\":[%d]}\n", i, i, i%2 == 0, i)
	}
	err := decode(context.Background(), t, req, text.String(), func(b pipeline.Batch) error {
		b.Rec.Retain()
		kept = append(kept, b.Rec)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, rec := range kept {
		for i := range int(rec.NumRows()) {
			got := fmt.Sprint(rec.Column(0).ValueStr(i), rec.Column(1).ValueStr(i), rec.Column(2).ValueStr(i), rec.Column(3).ValueStr(i))
			if want := fmt.Sprintf("%ds%d%t[%d]", n, n, n%2 == 0, n); got != want {
				t.Errorf("row %d: %s, want %s", n, got, want)
			}
			n++
		}
		rec.Release()
	}
	if n != 10 {
		t.Errorf("%d rows", n)
	}
}

// Short text can stand for wide rows. A batch is cut by the memory of its rows too, those in lists included.
func TestBatchesAreBoundedInBytes(t *testing.T) {
	var fields strings.Builder
	for i := range 100 {
		fmt.Fprintf(&fields, ", f%d: int64", i)
	}
	for _, c := range []struct {
		rows        int
		types, line string
	}{
		{3000, "s struct<" + fields.String()[2:] + ">", "{}\n"},
		{300, "l list<struct<" + fields.String()[2:] + ">>", `{"l":[{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{}]}` + "\n"},
	} {
		rows, batches, largest := 0, 0, 0
		err := decode(context.Background(), t, request(t, sources.Strict, c.types), strings.Repeat(c.line, c.rows), func(b pipeline.Batch) error {
			rows += int(b.Rec.NumRows())
			batches++
			size := 0
			for _, col := range b.Rec.Columns() {
				size += int(col.Data().SizeInBytes())
			}
			largest = max(largest, size)
			return nil
		})
		if err != nil || rows != c.rows || batches < 3 || largest > 2<<20 { // 1 MiB is aimed at, and validity bitmaps come on top
			t.Errorf("%.20s: %d rows in %d batches, the largest of %d bytes: %v", c.types, rows, batches, largest, err)
		}
	}
}

func TestColumnsThatCannotBe(t *testing.T) {
	req := request(t, sources.Strict, "a int64", "{}")
	req.Schema.Columns[0].Field.Type = arrow.FixedWidthTypes.MonthInterval
	if _, err := run(t, req); fail.KindOf(err) != fail.Usage || !strings.Contains(err.Error(), "cannot be read from JSON") {
		t.Errorf("interval: %v", err)
	}
	req = request(t, sources.Strict, "a "+strings.Repeat("list<", 101)+"int64"+strings.Repeat(">", 101), "{}")
	if _, err := run(t, req); fail.KindOf(err) != fail.Usage || !strings.Contains(err.Error(), "nested deeper than 100") {
		t.Errorf("deep type: %v", err)
	}
}
