package pipeline

import "github.com/sluice-data/sluice/internal/fail"

// Known is what a source knows of a chunk before it is decoded.
type Known struct {
	// Records is how many records the chunk holds; 0 if the source cannot tell. The engine holds the decoder to it.
	Records int64
	// Skipped of them the decoder passes over: no value of theirs can pass the filter that is step SkippedBy on the chunk's way
	// through the first segment, so they count as read, and as filtered there.
	Skipped   int64
	SkippedBy int
}

// skip books the records of c that are not decoded.
func (l *lane) skip(c *Chunk, res *result) error {
	n, by := c.Known.Skipped, c.Known.SkippedBy
	if n == 0 {
		return nil
	}
	if n < 0 || n > c.Known.Records || by < 0 || by >= len(l.steps) {
		return fail.Newf(fail.Internal, "source skips %d of %d records for step %d", n, c.Known.Records, by).In(c.Input)
	}
	at := l.enter[c.Branch]
	for range by {
		if at = l.next[at]; at >= len(l.steps) {
			return fail.Newf(fail.Internal, "source skips %d of %d records for step %d", n, c.Known.Records, by).In(c.Input)
		}
	}
	if d, ok := l.steps[at].(Dropper); !ok || d.Drops() != Filtered {
		return fail.Newf(fail.Internal, "source skips records for step %s, which is no filter", l.steps[at].Name()).In(c.Input)
	}
	res.decoded += n
	for i := l.enter[c.Branch]; i != at; i = l.next[i] {
		res.steps[i].in += n
		res.steps[i].out += n
	}
	d := &res.steps[at]
	d.in += n
	d.dropped += n
	d.cause = Filtered
	return nil
}

// checkRecords compares what was read of c, skipped records included, with what its source knows of it.
func checkRecords(c *Chunk, read int64) error {
	if want := c.Known.Records; want > 0 && read != want {
		return fail.Newf(fail.Internal, "chunk from record %d on has %d records, the decoder gave %d", c.Row+1, want, read).In(c.Input)
	}
	return nil
}
