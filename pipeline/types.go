// Package pipeline is the engine: it moves record batches from a Source through the lanes of a chain of segments into a
// Sink, counts every row, and ends in exactly one of Commit and Abort. It names no format and no cloud.
package pipeline

import (
	"context"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/memory"
)

// Chunk is a run of whole records cut from one input: the unit of work of a lane.
type Chunk struct {
	Input  string // URI of the object it was cut from
	Data   []byte // record bytes, decompressed; nil for formats that carry Part instead
	Offset int64  // byte offset of Data[0] in the decompressed object
	Line   int64  // 1-based line number of Data[0]
	Row    int64  // 0-based number of the first record within the input, where the format knows it; else -1
	Part   any    // what the format's own decoder needs instead of Data (a Parquet row group, a record)
	Known  Known  // zero if the source knows nothing
	Branch int    // where its rows enter the first segment: 0 at its Steps, b at those of Branches[b-1]
	free   func()
	number int64 // in the order of the source
}

// OnRelease sets what Release does (give a buffer back to its pool).
func (c *Chunk) OnRelease(f func()) { c.free = f }

// Release gives the chunk's buffer back. The engine calls it once, after the lane is done with every batch of the chunk.
func (c *Chunk) Release() {
	if f := c.free; f != nil {
		c.free = nil
		f()
	}
}

// Source cuts inputs into chunks (sequentially, cheaply) and makes the decoders that lanes own.
type Source interface {
	// Schema is that of the batches every decoder makes.
	Schema() *arrow.Schema
	// Next returns the next chunk, owned by the caller, or io.EOF after the last. It is called by one goroutine.
	Next(ctx context.Context) (*Chunk, error)
	// NewDecoder makes a decoder for one lane. It is called before the first Next.
	NewDecoder(mem memory.Allocator) (Decoder, error)
	// Close frees what the source holds, after all lanes have ended. It reports no data errors: Next does.
	Close() error
}

// Decoder turns chunks into record batches. One lane owns it: no locks needed.
type Decoder interface {
	// Decode calls emit for each batch of the chunk in row order; the batch is lent for the call. A record that cannot be
	// decoded goes to rej and the decoder goes on; rows emitted + rows rejected by it = records of the chunk.
	Decode(ctx context.Context, c *Chunk, rej *Rejects, emit func(Batch) error) error
	// Close frees what the decoder holds.
	Close()
}

// Batch is a record batch with the way back from its rows to the input's records.
type Batch struct {
	Rec arrow.Record
	// Rows locates rows in the input; nil once rows no longer map to input records (after an aggregate).
	Rows Provenance
	// Sel maps row i of Rec to row Sel[i] of Rows; nil is the identity. A step that drops rows narrows it.
	Sel []int32
}

// Release gives up the batch's record.
func (b Batch) Release() {
	if b.Rec != nil {
		b.Rec.Release()
	}
}

// Provenance locates the rows that a decoder emitted in their input.
type Provenance interface {
	// Origin is the place and the exact bytes of row i; Raw may alias the chunk and is valid only until the lane is done
	// with the chunk.
	Origin(i int) Origin
}

// Origin is where a row came from.
type Origin struct {
	Input  string
	Line   int64 // 1-based; the number of the row where the format has no lines; 0 unknown
	Offset int64 // byte offset in the decompressed object, -1 where it has none
	Raw    []byte
}

// Step is a bound step of a pipeline: it knows its output schema and makes one Stage for each lane.
type Step interface {
	// Name is the step's name in the pipeline file ("filter").
	Name() string
	// Schema is that of the batches the stages return.
	Schema() *arrow.Schema
	// NewStage makes the instance that one lane owns.
	NewStage(mem memory.Allocator) (Stage, error)
}

// Stage is one lane's instance of a step: a plain function over a batch, no goroutine, lock or channel.
type Stage interface {
	// Apply borrows b and returns a batch the caller owns (retain b.Rec to pass it through). Rows it refuses go to rej and
	// are not in the result. Rows it drops by intent (filter) are just missing: the engine counts them.
	Apply(ctx context.Context, b Batch, rej *Rejects) (Batch, error)
	Close()
}

// Dropper is a Step that removes rows by intent and says under which cause of the ledger.
type Dropper interface{ Drops() Cause }

// Fold is a step that needs all rows before it can give the first one (aggregate, sort). It ends its segment; its drain
// feeds the next one.
type Fold interface {
	Name() string
	Schema() *arrow.Schema
	// NewPartial makes the state that one lane fills.
	NewPartial(mem memory.Allocator) (Partial, error)
	// Drain merges the lanes' partials, in lane order, and returns the result as a stream of batches. It takes over and
	// closes the partials, also on error.
	Drain(ctx context.Context, mem memory.Allocator, parts []Partial) (Drain, error)
}

// Partial is one lane's share of a Fold, or that of the lanes that take turns at it (Shared).
type Partial interface {
	// Add borrows b and folds its rows, in order.
	Add(ctx context.Context, b Batch, rej *Rejects) error
	// Rows is how many rows were folded so far, as the state itself accounts for them (the sum of its groups' counts).
	Rows() int64
	Close()
}

// Drain yields what a Fold gathered.
type Drain interface {
	// Next returns an owned record, or io.EOF.
	Next(ctx context.Context) (arrow.Record, error)
	// Rows is how many rows the drained state accounts for (the sum of all groups' counts): the ledger compares it with the
	// rows that were folded. It is called when the drain has ended or is about to be closed.
	Rows() int64
	Close()
}

// Sink takes encoded blocks in order and publishes them all at once. Exactly one of Commit and Abort is called, once,
// also when nothing was
// written. A Commit that fails has given up: it aborts what it holds itself.
type Sink interface {
	// NewEncoder makes the encoder of one lane.
	NewEncoder(mem memory.Allocator) (Encoder, error)
	// Write takes a block over (and releases it, also on error), in row order, from one goroutine. ctx lives until the run has
	// committed or failed: what Write opens may hold on to it.
	Write(ctx context.Context, b Block) error
	// Commit makes everything written visible. On error nothing, or only what a later attempt clears, is visible.
	Commit(ctx context.Context, l *Ledger) error
	// Abort gives up; ctx is not the run's context and not cancelled with it.
	Abort(ctx context.Context) error
}

// Encoder turns a row group's worth of records into a block, on its own lane.
type Encoder interface {
	// Encode borrows the records (same schema, together one row group).
	Encode(ctx context.Context, recs []arrow.Record) (Block, error)
	Close()
}

// Block is an encoded run of rows. Its Release is called once when it was written or given up.
type Block interface {
	Rows() int64
	Release()
}

// RejectSink takes rejected rows in order (the quarantine). Same duties as Sink.
type RejectSink interface {
	// Write's ctx lives until the run has committed or failed.
	Write(ctx context.Context, rs []Reject) error
}
