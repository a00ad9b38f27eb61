package pipeline

import "context"

// Expander is a Stage that may give more rows than it takes: a join with several matches, the elements of lists. Since nobody knows
// beforehand how many, its result comes in pieces.
type Expander interface {
	Stage
	// Expand stands in for Apply, which is not called. It borrows b and calls emit for each piece of the result, in row order;
	// a piece is lent for the call and should be of a batch's size. What it says it added is held against what came out: rows
	// taken + added = rows given + rejected + dropped.
	Expand(ctx context.Context, b Batch, rej *Rejects, emit func(Batch) error) (added int64, err error)
}

// expand takes a batch, which it borrows, through stage i, and what comes of it through the stages behind.
func (l *lane) expand(ctx context.Context, i int, e Expander, b Batch) error {
	c := stepDelta{in: b.Rec.NumRows()}
	seen := l.rej.Len()
	own := func() { // the rows that the stage itself rejected since
		n := l.rej.Len() - seen
		c.rejected += int64(n)
		l.inSteps += n
	}
	var err error
	c.added, err = e.Expand(ctx, b, &l.rej, func(piece Batch) error {
		if err := ctx.Err(); err != nil {
			return context.Cause(ctx)
		}
		own()
		c.out += piece.Rec.NumRows()
		err := l.batch(ctx, l.next[i], piece)
		seen = l.rej.Len() // also where a part of the result was sent meanwhile
		return err
	})
	if err != nil {
		return err
	}
	own()
	return l.count(i, c)
}
