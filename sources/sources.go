// Package sources is the registry of input formats. A format is one folder beside this file that registers itself.
package sources

import (
	"context"
	"fmt"
	"io"
	"sort"
	"time"

	"github.com/apache/arrow/go/v17/arrow"

	"github.com/sluice-data/sluice/internal/objstore"
	"github.com/sluice-data/sluice/pipeline"
)

// Format is an input format as it registers itself.
type Format struct {
	Name       string   // "csv"
	Doc        string   // one paragraph for the reference
	Example    string   // a source: block
	Extensions []string // ".csv"; lower case, without compression suffixes
	// Seekable formats read ranges of the object themselves and take no compression (Parquet).
	Seekable bool
	// Detect scores how much head (the first decompressed bytes, all of them if eof) looks like the format: 0 no, 1 maybe,
	// 2 likely, 3 certainly (a magic number).
	Detect func(head []byte, eof bool) int
	// Open reads what it needs of the inputs' heads, settles the schema and returns the bound source.
	Open func(ctx context.Context, req Request) (pipeline.Source, error)
	// Survey says what the inputs have beside the columns in req.Schema: it reads what Open would read to infer them.
	Survey func(ctx context.Context, req Request) (Survey, error)
}

// Input is one object of a run. It is what Open and the chunk reader work on.
type Input struct {
	URI  string // as the user named it, for messages and the ledger
	Info objstore.Info
	// Stream opens the decompressed bytes from the start. Read's errors are *fail.Error with the object named; a truncated
	// compressed stream is an error, never io.EOF. Close stops the reading ahead.
	Stream func(ctx context.Context) (io.ReadCloser, error)
	// ReadRange reads raw bytes [off, off+n) of the pinned object into a new ReadCloser (for Seekable formats).
	ReadRange func(ctx context.Context, off, n int64) (io.ReadCloser, error)
	// ReadAhead is ReadRange for bytes that nobody waits for yet: the time it takes counts for nothing. It may be nil.
	ReadAhead func(ctx context.Context, off, n int64) (io.ReadCloser, error)
	// Waited is told how long somebody waited for what ReadAhead has begun to read; may be nil.
	Waited func(d time.Duration)
}

// Request is what a format gets to open a source.
type Request struct {
	Inputs  []Input
	Schema  SchemaSpec
	Options Options
	// Need are the columns the pipeline uses; nil means all. Only these are decoded and appear in the source's Schema, in file
	// (or declared) order. Columns named here that do not exist are an error of the step that uses them, not of the source.
	Need map[string]bool
	// ChunkBytes and ChunkRows bound a chunk; a single record may exceed ChunkBytes up to MaxRecord.
	ChunkBytes int
	ChunkRows  int
	MaxRecord  int // bytes of the longest record that is read; longer is a Data error with its place
	// Lanes is how many decoders run at once (buffers in flight are of this order).
	Lanes int
	// FullScan makes inference read every input to its end instead of the head, so that the types hold for every value.
	FullScan bool
	// RejectUnknown makes a record with a column that the heads did not show a bad row, where the mode would infer or pass over it (formats whose records name their
	// columns; others see all columns in the heads).
	RejectUnknown bool
	// Consumed is told the number of object bytes (compressed) consumed; may be nil.
	Consumed func(n int64)
	// Waited is told how long Next stood waiting for a chunk to be released; may be nil.
	Waited func(d time.Duration)
}

// Mode is schema.mode of the pipeline file.
type Mode string

const (
	Strict Mode = "strict" // the inputs have exactly the declared columns (any order)
	Evolve Mode = "evolve" // missing columns are null, new ones are added with inferred types
	Infer  Mode = "infer"  // no columns declared: types stand only if every value round-trips
)

// SchemaSpec is the declared schema.
type SchemaSpec struct {
	Mode    Mode
	Columns []Column
}

// Column is a declared column.
type Column struct {
	Field  arrow.Field // nullable; checks are a step of their own
	Format string      // strftime format of a date, time or timestamp; "" = ISO 8601
	TZ     string      // zone of a timestamp without offset, IANA name; "" = UTC
	Line   int         // place in the pipeline file, for messages
}

// Options are the csv: block and the like: option name to value, already checked against the format's own list.
type Options struct {
	Delimiter  string   // "" = detect
	Quote      string   // default `"`
	Header     *bool    // nil = detect
	NullValues []string // nil = [""]
	Encoding   string   // "" = utf-8 or what a byte order mark says
	Comment    string
	SkipRows   int
}

// Misfit is a value that does not fit the type inferred from the head of the inputs; a source's error wraps it. The job then
// opens the source anew with FullScan.
type Misfit struct {
	Input  string
	Line   int64
	Offset int64
	Column string
	Value  string
	Type   string // the type inferred from the head
}

func (m *Misfit) Error() string {
	return fmt.Sprintf("%s:%d: column %q: %q does not fit %s, as inferred from the head of the input", m.Input, m.Line, m.Column, m.Value, m.Type)
}

var formats = map[string]Format{}

// Register adds a format; a name registered twice panics.
func Register(f Format) {
	if _, dup := formats[f.Name]; dup {
		panic("sources: format registered twice: " + f.Name)
	}
	formats[f.Name] = f
}

// Lookup finds a format by its name.
func Lookup(name string) (Format, bool) {
	f, ok := formats[name]
	return f, ok
}

// All are the registered formats in order of their names.
func All() []Format {
	out := make([]Format, 0, len(formats))
	for _, f := range formats {
		out = append(out, f)
	}
	sort.Slice(out, func(i, j int) bool { return out[i].Name < out[j].Name })
	return out
}
