// Package files is the destination that is files in a folder: what they are called, how large they get, the folders of partitions, the
// uploads that stay open until the commit, and the reading back after it. What is in a file is the business of a Format, a folder of its
// own beside this one.
package files

import (
	"context"
	"io"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/memory"

	"github.com/sluice-data/sluice/internal/spec"
	"github.com/sluice-data/sluice/pipeline"
	"github.com/sluice-data/sluice/sinks"
)

// Format is a kind of file, as it registers itself.
type Format struct {
	Name    string // "parquet": of sink.format, and of the block with its options
	Doc     string // one paragraph for the reference
	Example string // a sink: block
	// Extensions are all that its files may have: ".csv", ".csv.gz".
	Extensions []string
	// Options reads the block of that name, nil if there is none. Errors are of kind Usage, at their place in the pipeline file.
	Options func(n *spec.Node) (sinks.Options, error)
	// Constraints is what a file demands of the values of a column: its encoders may rely on it. nil: it holds all values of the types that Open takes.
	Constraints func(f arrow.Field) []sinks.Constraint
	// Open checks the schema and the options. Errors are of kind Usage. Nothing is written yet.
	Open func(req Request) (Writer, error)
}

// Request is what a format gets to write files.
type Request struct {
	Schema    *arrow.Schema // of the files: without the partition columns
	SortedBy  []sinks.Order // columns of Schema that the rows of each file are sorted by; nil if that is not known
	Options   sinks.Options // what the format's own Options made; nil for its defaults
	KeyValue  map[string]string
	CreatedBy string
}

// Writer is a format bound to a schema.
type Writer interface {
	Extension() string // of every file, with its dot
	ContentType() string
	// NewEncoder makes the encoder of one lane.
	NewEncoder(mem memory.Allocator) (Encoder, error)
	// NewFile begins a file.
	NewFile() File
	// Least is the size in bytes of a block below which it is not worth while to make several of it.
	Least() int64
	// Memory is about how many bytes encoders and blocks hold. It may be called at any time.
	Memory() int64
}

// Encoder turns records into blocks. One lane owns it.
type Encoder interface {
	// Encode borrows the records, which have the request's schema. Errors are of kind Data when a value cannot be held exactly.
	Encode(ctx context.Context, recs []arrow.Record) (Block, error)
	Close()
}

// Block is a run of rows as the bytes that a file has of them.
type Block interface {
	pipeline.Block
	Size() int64 // by how many bytes a file grows, with what its end says of the block
}

// File makes a file of blocks, written to w in order. Errors of w are returned as they are. It is used by one goroutine at a time.
type File interface {
	// Room reports whether n blocks more fit what the format allows a file.
	Room(n int) bool
	// Tail is about how many bytes Finish will write.
	Tail() int64
	// Append writes a block, which it borrows.
	Append(w io.Writer, b Block) error
	// Finish writes what a file ends with; one without rows is whole, too.
	Finish(w io.Writer) error
	// Memory is about how many bytes it holds until Finish. It may change in Append and Finish only.
	Memory() int64
	// Verify reads the finished file back and compares it with what was written. It returns the rows found; any difference is an
	// error, and those of the store are returned as they are.
	Verify(ctx context.Context, r Reader) (rows int64, err error)
}

// Reader is a file as the store gives it back. Its methods may be called from several goroutines.
type Reader interface {
	Size() int64
	// ReadRange returns n bytes at off, all of them.
	ReadRange(ctx context.Context, off, n int64) ([]byte, error)
}

// Register adds the format as a destination.
func Register(f Format) {
	sinks.Register(sinks.Destination{
		Name: f.Name, Doc: f.Doc, Example: f.Example, Options: f.Options, Constraints: f.Constraints,
		Open: func(_ context.Context, req sinks.Request) (sinks.Sink, error) {
			s, err := New(f, req)
			if err != nil {
				return nil, err
			}
			return s, nil
		},
		Tidy: f.tidy, Abandon: f.abandon,
	})
}
