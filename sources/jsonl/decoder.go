package jsonl

import (
	"bytes"
	"context"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"

	"github.com/sluice-data/sluice/internal/fail"
	"github.com/sluice-data/sluice/pipeline"
	"github.com/sluice-data/sluice/sources"
)

// decoder reads the lines of chunks into record batches, in one pass and without looking for line ends first: a line that
// reads well ends where its object does. Only a line that does not is cut out, taken back and looked at again.
type decoder struct {
	schema  *arrow.Schema
	root    *object
	maxRows int // rows of a batch
	maxSize int // fixed-width bytes of a batch, whatever its rows are like

	s       scanner
	stamp   uint64
	extra   int // fixed-width bytes of list elements in the batch
	scratch []byte
	path    []string // where the failure is, innermost first
	failure failure
}

// failure is why a row whose text is well-formed cannot become a row of this schema.
type failure struct {
	set    bool
	pos    int // of the value
	reason string
	typ    string // the inferred type it does not fit; "" if the row is just refused
}

// bad notes that the value at i cannot be in the row, and returns -1. With c inferred the schema is at fault, not the row.
func (d *decoder) bad(i int, reason string, c *column) int {
	d.failure = failure{set: true, pos: i, reason: reason}
	if c != nil && c.inferred {
		d.failure.typ = c.typeName
	}
	return -1
}

func (d *decoder) misfit(i int, typ string) int {
	d.failure = failure{set: true, pos: i, typ: typ}
	return -1
}

// Decode emits batches of the chunk's lines; a line that is no record of the schema goes to rej. A line that contradicts the
// inferred schema ends it with an error that wraps *sources.Misfit.
func (d *decoder) Decode(ctx context.Context, c *pipeline.Chunk, rej *pipeline.Rejects, emit func(pipeline.Batch) error) error {
	defer d.Close()
	if len(c.Data) > math.MaxInt32 {
		return fail.Newf(fail.Usage, "chunk of %d bytes is over 2 GiB: lower the chunk or record size", len(c.Data)).In(c.Input)
	}
	b := c.Data
	left := bytes.Count(b, []byte{'\n'}) + 1
	rows := &lines{chunk: c, starts: make([]uint32, 0, left), numbers: make([]uint32, 0, left)}
	row, capacity, sent := 0, 0, 0
	flush := func() error {
		if row == 0 {
			return nil
		}
		if err := ctx.Err(); err != nil {
			return fail.Wrap(fail.Temporary, err)
		}
		err := d.emit(row, &lines{chunk: c, starts: rows.starts[sent:], numbers: rows.numbers[sent:]}, emit)
		sent += row
		row, capacity, d.extra = 0, 0, 0
		return err
	}
	line := uint32(0)
	for i := 0; i < len(b); line++ {
		if row == capacity {
			if err := flush(); err != nil {
				return err
			}
			capacity = min(left-int(line), d.maxRows)
			for _, f := range d.root.columns() {
				f.col.reserve(capacity)
			}
		}
		d.s.b = b
		next := d.line(i, row)
		if next < 0 {
			end := i + lineLen(b[i:])
			next = end + 1
			if text := b[i:end]; space(text, 0) < len(text) {
				if err := d.refuse(c, i, end, row, line, rej); err != nil {
					return err
				}
			}
			i = next
			continue
		}
		rows.starts, rows.numbers = append(rows.starts, uint32(i)), append(rows.numbers, line)
		row++
		i = next
		if d.extra > d.maxSize {
			if err := flush(); err != nil {
				return err
			}
		}
	}
	return flush()
}

// lineLen is the length of the first line of b without its line feed.
func lineLen(b []byte) int {
	if n := bytes.IndexByte(b, '\n'); n >= 0 {
		return n
	}
	return len(b)
}

// line reads the line at i into row and returns where the next one begins, or -1 for anything but one object that fits.
func (d *decoder) line(i, row int) int {
	b := d.s.b
	if b[i] != '{' {
		if i = space(b, i); at(b, i) != '{' {
			return -1
		}
	}
	i = d.object(d.root, row, i, 1)
	if i < 0 {
		return -1
	}
	if at(b, i) != '\n' {
		i = space(b, i)
		if i < len(b) && b[i] != '\n' {
			return -1
		}
	}
	return i + 1
}

// refuse takes row back and says what is wrong with its line, b[from:to] of the chunk.
func (d *decoder) refuse(c *pipeline.Chunk, from, to, row int, line uint32, rej *pipeline.Rejects) error {
	for _, f := range d.root.columns() {
		f.col.rollback(row)
	}
	why, path := d.failure, d.path
	d.failure, d.path = failure{}, d.path[:0]
	text := c.Data[from:to]
	o := pipeline.Origin{Input: c.Input, Line: c.Line + int64(line), Offset: c.Offset + int64(from), Raw: bytes.TrimSuffix(text, []byte{'\r'})}
	if !d.s.record(text) {
		rej.AddOrigin(o, "", snippet(text[min(d.s.pos, len(text)):]), fmt.Sprintf("not JSON at byte %d of the line: %s", d.s.pos+1, d.s.why))
		return nil
	}
	if !why.set {
		return fail.Newf(fail.Internal, "decode record: refused without a reason").In(c.Input).At(o.Line, o.Offset)
	}
	slices.Reverse(path)
	column := strings.TrimPrefix(strings.Join(path, ""), ".")
	start := why.pos - from
	value := string(text[start:d.s.skip(start, 0)]) // as JSON: "3" is not 3
	if why.typ != "" {
		return fail.Newf(fail.Data, "%w", &sources.Misfit{Input: c.Input, Line: o.Line, Offset: o.Offset, Column: column, Value: value, Type: why.typ})
	}
	rej.AddOrigin(o, column, value, why.reason)
	return nil
}

// snippet is text shortened for messages.
func snippet(text []byte) string { return fail.Shorten(string(text[:min(len(text), 100)])) }

// emit lends the batch of n rows to the next step.
func (d *decoder) emit(n int, rows *lines, emit func(pipeline.Batch) error) error {
	cols := make([]arrow.Array, 0, d.root.used)
	defer func() {
		for _, a := range cols {
			a.Release()
		}
	}()
	for _, f := range d.root.columns() {
		data := f.col.finish(n)
		cols = append(cols, array.MakeFromData(data))
		data.Release()
	}
	rec := array.NewRecord(d.schema, cols, int64(n))
	defer rec.Release()
	return emit(pipeline.Batch{Rec: rec, Rows: rows})
}

// Close gives up what a chunk that was not finished left behind.
func (d *decoder) Close() {
	for _, f := range d.root.columns() {
		f.col.free()
	}
	d.extra = 0
}

// lines locates the rows of a batch in its chunk.
type lines struct {
	chunk   *pipeline.Chunk
	starts  []uint32 // byte offsets in the chunk
	numbers []uint32 // 0-based lines in the chunk
}

// Origin is the line of row i without its line end.
func (l *lines) Origin(i int) pipeline.Origin {
	from := int(l.starts[i])
	raw := l.chunk.Data[from:]
	return pipeline.Origin{
		Input: l.chunk.Input, Line: l.chunk.Line + int64(l.numbers[i]), Offset: l.chunk.Offset + int64(from),
		Raw: bytes.TrimSuffix(raw[:lineLen(raw)], []byte{'\r'}),
	}
}
