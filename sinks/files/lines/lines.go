// Package lines is what files of a record a line have in common: blocks of whole lines that the lanes compress on their own, each a gzip
// member or zstd frame, so that a file is one valid stream of them; and the counting of the lines when the store gives a file back.
package lines

import (
	"context"
	"math"
	"sync"
	"sync/atomic"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/memory"

	"github.com/sluice-data/sluice/internal/fail"
	"github.com/sluice-data/sluice/sinks/files"
)

// Format is what a kind of line differs in.
type Format struct {
	Extension   string // ".csv": before that of the compression
	ContentType string // of the lines
	Head        []byte // what each file begins with: a line, or nothing
	Quote       byte   // a line end between two of these is none; 0 if there are no such
	// NewAppender makes what one lane prints records with.
	NewAppender func() (Appender, error)
	Compression Compression
}

// Appender prints records.
type Appender interface {
	// Append appends a line for each row. Errors are of kind Data and name the column.
	Append(dst []byte, rec arrow.Record) ([]byte, error)
}

// Extensions are all that files of the format may have.
func Extensions(base string) []string {
	var out []string
	for _, name := range Compressions {
		out = append(out, base+codecs[name].extension)
	}
	return out
}

// Writer is a format with its codec.
type Writer struct {
	format Format
	codec  codec
	head   []byte // compressed

	mu   sync.Mutex
	free [][]byte // of released blocks
	held atomic.Int64
}

var _ files.Writer = (*Writer)(nil)

// New makes the writer. Errors are of kind Usage.
func New(f Format) (*Writer, error) {
	w := &Writer{format: f, codec: codecs[f.Compression.name()]}
	c, err := w.codec.open(f.Compression)
	if err != nil {
		return nil, err
	}
	defer c.close()
	w.head, err = c.compress(nil, f.Head)
	return w, err
}

// Extension is the format's, then the codec's.
func (w *Writer) Extension() string { return w.format.Extension + w.codec.extension }

// ContentType is the codec's, or the format's where there is none.
func (w *Writer) ContentType() string {
	if w.codec.contentType != "" {
		return w.codec.contentType
	}
	return w.format.ContentType
}

// NewEncoder makes the encoder of one lane. It takes its memory from buffers that are reused, not from mem.
func (w *Writer) NewEncoder(memory.Allocator) (files.Encoder, error) {
	a, err := w.format.NewAppender()
	if err != nil {
		return nil, err
	}
	c, err := w.codec.open(w.format.Compression)
	if err != nil {
		return nil, err
	}
	return &encoder{w: w, lines: a, c: c}, nil
}

// NewFile begins a file.
func (w *Writer) NewFile() files.File { return &file{w: w} }

// Least is what compresses about as well as more does.
func (*Writer) Least() int64 { return 32 << 10 }

// Memory is about how many bytes encoders and blocks hold.
func (w *Writer) Memory() int64 { return w.held.Load() }

// buffer is an empty one.
func (w *Writer) buffer() []byte {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := len(w.free)
	if n == 0 {
		return nil
	}
	b := w.free[n-1]
	w.free = w.free[:n-1]
	return b[:0]
}

func (w *Writer) keep(b []byte) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.free = append(w.free, b)
}

type encoder struct {
	w     *Writer
	lines Appender
	c     compressor
	text  []byte
	mine  int64 // bytes of what this one holds
}

func (e *encoder) Encode(ctx context.Context, recs []arrow.Record) (files.Block, error) {
	e.text = e.text[:0]
	b := &block{w: e.w}
	for _, rec := range recs {
		if err := ctx.Err(); err != nil {
			return nil, fail.Newf(fail.Temporary, "print rows: %w", err)
		}
		var err error
		if e.text, err = e.lines.Append(e.text, rec); err != nil {
			return nil, err
		}
		b.rows += rec.NumRows()
	}
	if int64(len(e.text)) > math.MaxInt32 {
		return nil, fail.Newf(fail.Data, "print rows: %d rows have %d bytes as text, more than one block can have", b.rows, len(e.text))
	}
	buf := e.w.buffer()
	before := cap(buf)
	var err error
	if b.rows > 0 {
		if buf, err = e.c.compress(buf, e.text); err != nil {
			return nil, err
		}
	}
	b.data = buf
	now := int64(cap(e.text)) + e.c.memory()
	e.w.held.Add(now - e.mine + int64(cap(buf)-before))
	e.mine = now
	return b, nil
}

func (e *encoder) Close() {
	e.c.close()
	e.w.held.Add(-e.mine)
	e.mine = 0
}

type block struct {
	w    *Writer
	rows int64
	data []byte
	done atomic.Bool
}

func (b *block) Rows() int64 { return b.rows }
func (b *block) Size() int64 { return int64(len(b.data)) }
func (b *block) Release() {
	if b.done.CompareAndSwap(false, true) {
		b.w.keep(b.data)
	}
}
