package files

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/memory"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// lines is a format for tests: the names of the columns, then a line for each number of the column n, then an end.
var lines = Format{Name: "lines", Extensions: []string{".lines", ".lines.gz"}, Open: func(req Request) (Writer, error) {
	w := &lineWriter{n: req.Schema.FieldIndices("n")}
	for i, f := range req.Schema.Fields() {
		w.head += map[bool]string{true: ","}[i > 0] + f.Name
	}
	return w, nil
}}

type lineWriter struct {
	head string
	n    []int
	made atomic.Int64 // blocks that are not released
}

func (*lineWriter) Extension() string                              { return ".lines" }
func (*lineWriter) ContentType() string                            { return "text/plain" }
func (w *lineWriter) NewEncoder(memory.Allocator) (Encoder, error) { return w, nil }
func (w *lineWriter) NewFile() File                                { return &lineFile{w: w} }
func (*lineWriter) Least() int64                                   { return 1000 }
func (*lineWriter) Memory() int64                                  { return 1 }
func (*lineWriter) Close()                                         {}

func (w *lineWriter) Encode(ctx context.Context, recs []arrow.Record) (Block, error) {
	b := &lineBlock{w: w}
	for _, rec := range recs {
		b.rows += rec.NumRows()
		for i := range int(rec.NumRows()) {
			b.text = fmt.Appendln(b.text, rec.Column(w.n[0]).(*array.Int64).Value(i))
		}
	}
	w.made.Add(1)
	return b, ctx.Err()
}

type lineBlock struct {
	w    *lineWriter
	text []byte
	rows int64
	done atomic.Bool
}

func (b *lineBlock) Rows() int64 { return b.rows }
func (b *lineBlock) Size() int64 { return int64(len(b.text)) }
func (b *lineBlock) Release() {
	if b.w != nil && b.done.CompareAndSwap(false, true) {
		b.w.made.Add(-1)
	}
}

type lineFile struct {
	w    *lineWriter
	want bytes.Buffer
}

func (*lineFile) Room(int) bool   { return true }
func (*lineFile) Tail() int64     { return 3 }
func (*lineFile) Memory() int64   { return 0 }
func (f *lineFile) begin() string { return map[bool]string{true: f.w.head + "\n"}[f.want.Len() == 0] }

func (f *lineFile) write(w io.Writer, text string) error {
	f.want.WriteString(text)
	_, err := io.WriteString(w, text)
	return err
}

func (f *lineFile) Append(w io.Writer, b Block) error {
	return f.write(w, f.begin()+string(b.(*lineBlock).text))
}

func (f *lineFile) Finish(w io.Writer) error { return f.write(w, f.begin()+"end") }

func (f *lineFile) Verify(ctx context.Context, r Reader) (int64, error) {
	got, err := r.ReadRange(ctx, 0, r.Size())
	if err != nil {
		return 0, err
	}
	if string(got) != f.want.String() {
		return 0, fmt.Errorf("it is not what was written")
	}
	return int64(strings.Count(string(got), "\n")) - 1, nil
}
