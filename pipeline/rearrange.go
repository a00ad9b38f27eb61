package pipeline

import (
	"context"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/memory"
)

// Rearranger is a Fold that gives back every row it takes (a sort, a partitioned sink's gathering): the ledger holds it to
// that, and does not count its rows as folded.
type Rearranger interface {
	Fold
	GivesAllRows()
}

// Sieve is a Fold that gives back rows that it takes, and drops the others under a cause of the ledger (a dedupe, a limit). Its
// drain is a SieveDrain.
type Sieve interface {
	Fold
	Dropper
}

// SieveDrain is the Drain of a Sieve.
type SieveDrain interface {
	Drain
	// Dropped is how many of Rows were not given out, and never will be. It is called when Rows is.
	Dropped() int64
}

// givesRows reports whether a fold gives back the rows that it takes, or accounts for them one by one.
func givesRows(f Fold) bool {
	switch f.(type) {
	case Rearranger, Sieve:
		return true
	}
	return false
}

// Shared is a Fold whose partials cost more the more there are: each holds the same groups. There are no more of them than
// processors, and lanes beyond that take turns at them.
type Shared interface {
	Fold
	TakesTurns()
}

// Sequenced is a Partial that has to know the order of the input, which its lane sees a part of.
type Sequenced interface {
	Partial
	// Begin is called before the rows of each chunk: number is the chunk's in the order of the segment's source, and grows
	// from call to call.
	Begin(number int64)
}

// LaneDrain is a Drain whose records are made in the lanes of the next segment: Next gives the work in pieces that are cheap
// to hand out.
type LaneDrain interface {
	Drain
	// NextChunk returns the next piece of work, owned by the caller, or io.EOF. It stands in for Next, which is not called.
	NextChunk(ctx context.Context) (*Chunk, error)
	// NewDecoder makes a decoder of such pieces for one lane. It is called before the first NextChunk.
	NewDecoder(mem memory.Allocator) (Decoder, error)
}

// Divider is a Sink that takes no block with rows of two kinds: those of a partitioned sink are of one partition each.
type Divider interface {
	Sink
	// Apart reports whether two records, each of one kind, must not be in one block.
	Apart(a, b arrow.Record) bool
}

// laneDrainSource feeds what a LaneDrain gathered to the next segment.
type laneDrainSource struct {
	*drainSource
	drain LaneDrain
}

func (d *laneDrainSource) Next(ctx context.Context) (*Chunk, error) { return d.drain.NextChunk(ctx) }

func (d *laneDrainSource) NewDecoder(mem memory.Allocator) (Decoder, error) {
	return d.drain.NewDecoder(mem)
}
