package parquet

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/memory"
	pq "github.com/parquet-go/parquet-go"
	"go.uber.org/goleak"

	"github.com/sluice-data/sluice/internal/codes"
	"github.com/sluice-data/sluice/internal/fail"
	"github.com/sluice-data/sluice/internal/objstore"
	"github.com/sluice-data/sluice/internal/schema"
	"github.com/sluice-data/sluice/pipeline"
	"github.com/sluice-data/sluice/sources"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// input is an object in memory.
func input(uri string, data []byte) sources.Input {
	return sources.Input{URI: uri, Info: objstore.Info{Size: int64(len(data))},
		ReadRange: func(_ context.Context, off, n int64) (io.ReadCloser, error) {
			if off < 0 || n < 0 || off+n > int64(len(data)) {
				return nil, fail.Newf(fail.Input, "range %d+%d is outside the object", off, n).In(uri)
			}
			return io.NopCloser(bytes.NewReader(data[off : off+n])), nil
		}}
}

// result is what reading some inputs gave.
type result struct {
	schema   *arrow.Schema
	rows     []string // as JSON, in order
	rejects  []pipeline.Reject
	consumed int64
	batches  []int64
	coded    int // columns of batches that carried codes
}

// checkCodes holds the codes of each column of rec that carries them to its values.
func (r *result) checkCodes(rec arrow.Record) error {
	for c, a := range rec.Columns() {
		of, entries := codes.Of(a)
		if entries == nil {
			continue
		}
		r.coded++
		off, data := entries.Text()
		for i, k := range of {
			v := string(data[off[k]:off[k+1]])
			if b, ok := a.(*array.Binary); ok && !a.IsNull(i) && string(b.Value(i)) != v || !ok && !a.IsNull(i) && a.(*array.String).Value(i) != v {
				return fmt.Errorf("column %s, row %d is %s, by its code %q", rec.ColumnName(c), i, a.ValueStr(i), v)
			}
		}
	}
	return nil
}

// read reads everything in one lane, checks that all memory comes back, and that rows and bytes are accounted for.
func read(t testing.TB, req sources.Request) (*result, error) {
	t.Helper()
	mem := memory.NewCheckedAllocator(memory.NewGoAllocator())
	defer mem.AssertSize(t, 0)
	return readWith(mem, req)
}

func readWith(mem memory.Allocator, req sources.Request) (*result, error) {
	ctx := context.Background()
	res := &result{}
	req.Consumed = func(n int64) { res.consumed += n }
	f, _ := sources.Lookup("parquet")
	src, err := f.Open(ctx, req)
	if err != nil {
		return res, err
	}
	defer src.Close()
	res.schema = src.Schema()
	dec, err := src.NewDecoder(mem)
	if err != nil {
		return res, err
	}
	defer dec.Close()
	for {
		c, err := src.Next(ctx)
		if err == io.EOF {
			return res, nil
		}
		if err != nil {
			return res, err
		}
		var rej pipeline.Rejects
		err = dec.Decode(ctx, c, &rej, func(b pipeline.Batch) error {
			res.batches = append(res.batches, b.Rec.NumRows())
			if err := res.checkCodes(b.Rec); err != nil {
				return err
			}
			for i := range int(b.Rec.NumRows()) {
				res.rows = append(res.rows, string(b.Rows.Origin(i).Raw))
			}
			return nil
		})
		c.Release()
		res.rejects = append(res.rejects, rej.Rows()...)
		if err != nil {
			return res, err
		}
	}
}

func request(files ...[]byte) sources.Request {
	req := sources.Request{Schema: sources.SchemaSpec{Mode: sources.Infer}}
	for i, f := range files {
		req.Inputs = append(req.Inputs, input("s3://b/"+string(rune('a'+i))+".parquet", f))
	}
	return req
}

// mustRead reads one file and wants it whole: no error, and every byte of the object consumed.
func mustRead(t testing.TB, files ...[]byte) *result {
	t.Helper()
	return mustReadReq(t, request(files...))
}

func mustReadReq(t testing.TB, req sources.Request) *result {
	t.Helper()
	res, err := read(t, req)
	if err != nil {
		t.Fatal(err)
	}
	var size int64
	for _, in := range req.Inputs {
		size += in.Info.Size
	}
	if res.consumed != size {
		t.Errorf("consumed %d of %d bytes", res.consumed, size)
	}
	return res
}

func (r *result) types() string {
	var out []string
	for _, f := range r.schema.Fields() {
		out = append(out, f.Name+" "+schema.TypeName(f))
	}
	return strings.Join(out, ", ")
}

// columns makes a spec of name, type, name, type …
func columns(t testing.TB, mode sources.Mode, nameType ...string) sources.SchemaSpec {
	t.Helper()
	s := sources.SchemaSpec{Mode: mode}
	for i := 0; i < len(nameType); i += 2 {
		f, err := schema.ParseField(nameType[i], nameType[i+1])
		if err != nil {
			t.Fatal(err)
		}
		s.Columns = append(s.Columns, sources.Column{Field: f})
	}
	return s
}

// write makes a file of Go values.
func write[T any](t testing.TB, rows []T, opts ...pq.WriterOption) []byte {
	t.Helper()
	var buf bytes.Buffer
	w := pq.NewGenericWriter[T](&buf, opts...)
	if _, err := w.Write(rows); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

func load(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func wantRows(t testing.TB, got []string, want ...string) {
	t.Helper()
	for i := range max(len(got), len(want)) {
		g, w := "nothing", "nothing"
		if i < len(got) {
			g = got[i]
		}
		if i < len(want) {
			w = want[i]
		}
		if g != w {
			t.Fatalf("row %d:\n got %s\nwant %s", i, g, w)
		}
	}
}

// wantError wants an error of a kind whose text has all the parts, on one line.
func wantError(t testing.TB, err error, kind fail.Kind, parts ...string) {
	t.Helper()
	var e *fail.Error
	if !errors.As(err, &e) {
		t.Fatalf("got %v, want a %s error", err, kind)
	}
	if e.Kind != kind {
		t.Errorf("kind %s, want %s: %v", e.Kind, kind, err)
	}
	for _, p := range parts {
		if !strings.Contains(err.Error(), p) {
			t.Errorf("error %q does not say %q", err, p)
		}
	}
	if strings.Contains(err.Error(), "\n") {
		t.Errorf("error is not one line: %q", err)
	}
}
