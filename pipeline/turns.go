package pipeline

import (
	"context"
	"time"
)

// turns is a lane's way to the partials of its segment. Chunk k is folded into partial k mod n, after chunk k-n was: what is in a
// partial, and the order that it came in, follows from the input and n, not from which lane was faster.
type turns struct {
	parts []Partial
	gives bool          // they give every row back
	mine  chan struct{} // turns of the lane's chunks, in their order
	lanes []*lane       // of the segment

	// Of the current chunk.
	chunk int64
	have  bool // its turn
}

// takeTurns gives each lane its way to the partials, which are no more than the lanes.
func takeTurns(lanes []*lane, parts []Partial, gives bool) {
	for i, l := range lanes {
		// No lane is more turns behind than there are partials: those before it wait for a turn of its own.
		l.turns = &turns{parts: parts, gives: gives, mine: make(chan struct{}, len(parts)+1), lanes: lanes}
		if i < len(parts) {
			l.turns.mine <- struct{}{}
		}
	}
}

// begin is called before the rows of each chunk.
func (t *turns) begin(chunk int64) { t.chunk, t.have = chunk, false }

// take waits for the turn of the current chunk, if it has not come yet, and returns the partial to fold into, and how long it waited.
func (t *turns) take(ctx context.Context) (Partial, time.Duration, error) {
	part := t.parts[t.chunk%int64(len(t.parts))]
	if t.have {
		return part, 0, nil
	}
	start := time.Now()
	select {
	case <-t.mine:
	case <-ctx.Done():
		return nil, 0, context.Cause(ctx)
	}
	t.have = true
	if p, ok := part.(Sequenced); ok {
		p.Begin(t.chunk)
	}
	return part, time.Since(start), nil
}

// pass ends the turn of the current chunk, also when it folded nothing. It is not called after an error: nobody is to fold then, and
// the collector ends the run when it comes to the chunk.
func (t *turns) pass(ctx context.Context) error {
	if _, _, err := t.take(ctx); err != nil {
		return err
	}
	next := t.chunk + int64(len(t.parts))
	select {
	case t.lanes[next%int64(len(t.lanes))].turns.mine <- struct{}{}:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
