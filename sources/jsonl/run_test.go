package jsonl

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/memory"
	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"github.com/sluice-data/sluice/internal/schema"
	"github.com/sluice-data/sluice/pipeline"
	"github.com/sluice-data/sluice/sources"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// request is a Request over texts, named in-0.jsonl, in-1.jsonl …; types "" means no declared columns.
func request(t rapid.TB, mode sources.Mode, types string, texts ...string) sources.Request {
	t.Helper()
	cols, err := columns(types)
	if err != nil {
		t.Fatal(err)
	}
	req := sources.Request{Schema: sources.SchemaSpec{Mode: mode, Columns: cols}, ChunkBytes: 1 << 16, ChunkRows: 1 << 16, MaxRecord: 1 << 20, Lanes: 1}
	for i, text := range texts {
		req.Inputs = append(req.Inputs, sources.Input{
			URI:    fmt.Sprintf("in-%d.jsonl", i),
			Stream: func(context.Context) (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(text)), nil },
		})
	}
	return req
}

// result is what came of a run, in input order.
type result struct {
	types   string
	rows    []string // "line offset: value | value", checked against the provenance
	rejects []string // `line offset: column: reason [value]`
	records int
}

// describe writes a schema as columns reads it.
func describe(s *arrow.Schema) string {
	var fields []string
	for _, f := range s.Fields() {
		fields = append(fields, f.Name+" "+schema.TypeName(f))
	}
	return strings.Join(fields, ", ")
}

// run reads req to its end, and checks that nothing leaks and that each batch is sound.
func run(t rapid.TB, req sources.Request) (result, error) {
	t.Helper()
	mem := memory.NewCheckedAllocator(memory.NewGoAllocator())
	defer mem.AssertSize(t, 0)
	var res result
	ctx := context.Background()
	src, err := open(ctx, req)
	if err != nil {
		return res, err
	}
	defer src.Close()
	res.types = describe(src.Schema())
	dec, err := src.NewDecoder(mem)
	if err != nil {
		return res, err
	}
	defer dec.Close()
	for {
		c, err := src.Next(ctx)
		if errors.Is(err, io.EOF) {
			return res, nil
		}
		if err != nil {
			return res, err
		}
		var rej pipeline.Rejects
		err = dec.Decode(ctx, c, &rej, func(b pipeline.Batch) error {
			for i := range int(b.Rec.NumRows()) {
				o := b.Rows.Origin(i)
				if from := int(o.Offset - c.Offset); !bytes.HasPrefix(c.Data[from:], o.Raw) || bytes.ContainsAny(o.Raw, "\n") {
					t.Errorf("origin %d: raw %q is not the line at %d", i, o.Raw, o.Offset)
				}
				vals := make([]string, b.Rec.NumCols())
				for j, col := range b.Rec.Columns() {
					vals[j] = col.ValueStr(i)
				}
				res.rows = append(res.rows, fmt.Sprintf("%d %d: %s", o.Line, o.Offset, strings.Join(vals, " | ")))
			}
			res.records += int(b.Rec.NumRows())
			return nil
		})
		for _, r := range rej.Rows() {
			res.rejects = append(res.rejects, fmt.Sprintf("%d %d: %s: %s [%s]", r.Line, r.Offset, r.Column, r.Reason, r.Value))
		}
		res.records += rej.Len()
		c.Release()
		if err != nil {
			return res, err
		}
	}
}

// read is run where nothing may fail.
func read(t rapid.TB, req sources.Request) result {
	t.Helper()
	res, err := run(t, req)
	if err != nil {
		t.Fatalf("run: %v", err)
	}
	return res
}

// values are the rows without their places.
func (r result) values() []string {
	out := make([]string, len(r.rows))
	for i, row := range r.rows {
		_, out[i], _ = strings.Cut(row, ": ")
	}
	return out
}

// reasons are the rejects without their places.
func (r result) reasons() []string {
	out := make([]string, len(r.rejects))
	for i, row := range r.rejects {
		_, out[i], _ = strings.Cut(row, ": ")
	}
	return out
}

func same(t rapid.TB, what string, got, want []string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s:\n got  %s\n want %s", what, strings.Join(got, "\n      "), strings.Join(want, "\n      "))
	}
}
