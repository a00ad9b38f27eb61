package csv

import (
	"github.com/sluice-data/sluice/pipeline"
)

// origins locates the rows of a batch: it keeps where each record starts and works out the rest when asked.
type origins struct {
	chunk  *pipeline.Chunk
	lay    *layout
	starts []uint32

	pos  int // a place whose line was worked out last: questions mostly come in order
	line int64
}

// Origin is the place and the exact bytes of row i, without its line end.
func (o *origins) Origin(i int) pipeline.Origin { return o.at(int(o.starts[i])) }

// at is the origin of the record that starts at start of the chunk.
func (o *origins) at(start int) pipeline.Origin {
	b := o.chunk.Data
	if start < o.pos {
		o.pos, o.line = 0, 0
	}
	o.line += o.lay.countLines(b[o.pos:start])
	o.pos = start
	ends, s := o.lay.record(b, start, nil)
	s = o.lay.reined(b, start, ends, s)
	return pipeline.Origin{Input: o.chunk.Input, Line: o.chunk.Line + o.line, Offset: o.chunk.Offset + int64(start), Raw: b[start:s.end:s.end]}
}
