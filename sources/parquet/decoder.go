package parquet

import (
	"context"
	"errors"
	"fmt"
	"sort"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/memory"

	"github.com/sluice-data/sluice/internal/fail"
	"github.com/sluice-data/sluice/pipeline"
)

// batchRows is how many rows a batch has at most.
const batchRows = 16 << 10

// decoder turns row groups into batches. It holds at most a batch of decoded rows, and undecoded bytes up to the budget
// of a row group.
type decoder struct {
	src     *source
	mem     memory.Allocator
	open    int // file that cols are made for, -1 for none
	cols    []*column
	readers []*columnReader // of the file's leaves, in the order of the chunks
	d       decompressor
	loads   fetches
	lease   lease
	row     int64 // 1-based number, within the input, of the next row
}

// Decode reads the row group column by column, a batch at a time. A row with a value that cannot be kept exactly is
// rejected; damage is an error.
func (d *decoder) Decode(ctx context.Context, c *pipeline.Chunk, rej *pipeline.Rejects, emit func(pipeline.Batch) error) error {
	p, ok := c.Part.(part)
	if !ok {
		return fail.Newf(fail.Internal, "decode parquet: chunk of another format")
	}
	d.row = c.Row + 1
	f := d.src.files[p.file]
	if p.skip {
		d.src.done(p)
		return nil
	}
	if d.src.ahead != nil {
		defer d.src.ahead.begin(p.ahead, p.blocks)()
	}
	d.lease.begin(p.number)
	defer d.lease.end()
	inputs, err := d.start(p)
	if err != nil {
		return fail.Wrap(fail.Internal, err)
	}
	defer func() {
		for _, col := range d.cols {
			if col != nil {
				col.drop()
			}
		}
		for _, in := range inputs {
			in.close()
		}
		d.trim()
	}()
	for i, col := range d.cols {
		if col == nil {
			continue
		}
		if err := d.guard(ctx, func() error { return col.discard(ctx) }); err != nil {
			return d.damaged(f, p.group, i, err)
		}
	}
	for left := p.to - p.from; left > 0; {
		n := int(min(left, int64(d.src.batchRows)))
		for i, col := range d.cols {
			if col == nil {
				continue
			}
			if col.cur == nil {
				if err := d.guard(ctx, func() error { return col.fill(ctx, n, left) }); err != nil {
					return d.damaged(f, p.group, i, err)
				}
			}
			n = min(n, col.cur.Len()-col.off)
		}
		if err := d.emit(f, n, rej, emit); err != nil {
			return err
		}
		left -= int64(n)
	}
	for _, r := range d.readers {
		if err := r.end(); err != nil {
			return d.damaged(f, p.group, -1, errorAt{r.leaf.path, err})
		}
	}
	d.src.done(p)
	return nil
}

// trim gives up what columns keep of their pages, but for as much as a lane may keep for the next row group.
func (d *decoder) trim() {
	left := d.lease.room.keep
	for _, r := range d.readers {
		n := int64(cap(r.scratch)) + r.heldDict
		r.letGo(n <= left)
		r.sink.forget()
		if n <= left {
			left -= n
		}
	}
}

// start opens the row group's column chunks, with the columns made for its file.
func (d *decoder) start(p part) ([]*chunkInput, error) {
	f := d.src.files[p.file]
	if d.open != p.file {
		d.open, d.readers = -1, nil
		d.cols = make([]*column, len(f.plans))
		texts := d.src.bounds.texts(f)
		for i, pl := range f.plans {
			if pl == nil {
				continue
			}
			col, err := newColumn(d.mem, pl, &d.d, &d.lease, texts)
			if err != nil {
				return nil, err
			}
			d.cols[i] = col
			d.readers = append(d.readers, col.readers...)
		}
		d.open = p.file
	}
	g := &f.groups[p.group]
	type wanted struct {
		span
		to **chunkInput
	}
	var want []wanted // in file order
	for _, r := range d.readers {
		r.open(&g.chunks[r.leaf.index])
		if p.pages == nil {
			want = append(want, wanted{chunkSpan(&g.chunks[r.leaf.index]), &r.in})
			continue
		}
		dict, data := r.only(p.pages[r.leaf.index], p.from, p.to)
		switch {
		case dict.off == dict.end: // there is none
			want = append(want, wanted{data, &r.in})
		case dict.end == data.off:
			want = append(want, wanted{span{dict.off, data.end}, &r.in})
		default:
			want = append(want, wanted{dict, &r.in}, wanted{data, &r.next})
		}
	}
	sort.Slice(want, func(a, b int) bool { return want[a].off < want[b].off })
	spans := make([]span, len(want))
	for i, w := range want {
		spans[i] = w.span
	}
	inputs := d.src.bounds.planInputs(f.in, spans, &d.loads, p.ahead)
	for i, w := range want {
		*w.to = inputs[i]
	}
	return inputs, nil
}

// guard decodes. A panic there is taken for damage that no check foresaw.
func (d *decoder) guard(ctx context.Context, decode func() error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("decoding panicked: %v", r)
		}
	}()
	if err := ctx.Err(); err != nil {
		return fail.Wrap(fail.Temporary, err)
	}
	return decode()
}

// damaged is the error for a row group that does not decode. Errors of reading the object stay what they are.
func (d *decoder) damaged(f *file, group, col int, err error) error {
	var e *fail.Error
	if errors.As(err, &e) {
		return e
	}
	var at errorAt
	name := ""
	if errors.As(err, &at) {
		name = at.path.String()
	} else if col >= 0 {
		name = d.src.schema.Field(col).Name
	}
	off := int64(-1)
	for _, r := range d.readers {
		if r.in != nil && (r.leaf.path == at.path || at.path == nil && r.leaf.path.String() == name) {
			off = r.in.pos
		}
	}
	kind := fail.Data
	var tight errNoRoom
	if errors.As(err, &tight) {
		kind = fail.Usage
		for _, r := range d.readers {
			if n := r.heldPage + r.heldDict; n > 0 {
				tight.all += n
			} else {
				tight.all += min(r.most, int64(tight.page))
			}
		}
		err = tight
	}
	return fail.Newf(kind, "read row group %d: %w", group, err).In(f.in.URI).At(0, off).Of(name, "")
}

// emit hands on the next n rows of all columns, without those that are refused.
func (d *decoder) emit(f *file, n int, rej *pipeline.Rejects, emit func(pipeline.Batch) error) error {
	arrays := make([]arrow.Array, len(d.cols))
	var bad []refusal
	for i, col := range d.cols {
		switch {
		case col == nil:
			arrays[i] = array.MakeArrayOfNull(d.mem, d.src.schema.Field(i).Type, n)
		case col.off == 0 && col.cur.Len() == n:
			arrays[i] = col.cur
			col.cur.Retain()
		default:
			arrays[i] = array.NewSlice(col.cur, int64(col.off), int64(col.off+n))
		}
		if col == nil {
			continue
		}
		for _, b := range col.bad {
			if b.at >= col.off && b.at < col.off+n {
				bad = append(bad, refusal{row: b.at - col.off, col: i, badValue: b})
			}
		}
		if col.off += n; col.off == col.cur.Len() {
			col.cur.Release()
			col.cur, col.off, col.bad = nil, 0, nil
		}
	}
	rec := array.NewRecord(d.src.schema, arrays, int64(n))
	for _, a := range arrays {
		a.Release()
	}
	defer rec.Release()
	first := d.row
	d.row += int64(n)
	if len(bad) == 0 {
		return lend(f.in.URI, first, rec, emit)
	}
	sort.SliceStable(bad, func(a, b int) bool { return bad[a].row < bad[b].row })
	from := 0
	for i := 0; i < len(bad); {
		row := bad[i].row
		if err := lendSlice(f.in.URI, first, rec, from, row, emit); err != nil {
			return err
		}
		same := i + 1
		for same < len(bad) && bad[same].row == row {
			same++
		}
		rej.AddOrigin(pipeline.Origin{Input: f.in.URI, Line: first + int64(row), Offset: -1, Raw: renderRow(rec, row, bad[i:same])},
			d.src.schema.Field(bad[i].col).Name, bad[i].value, bad[i].reason)
		from, i = row+1, same
	}
	return lendSlice(f.in.URI, first, rec, from, n, emit)
}

// refusal is a refused value of a batch.
type refusal struct {
	row int
	col int
	badValue
}

// lendSlice lends rows from to to of rec, whose row 0 is the input's row first.
func lendSlice(uri string, first int64, rec arrow.Record, from, to int, emit func(pipeline.Batch) error) error {
	if from == to {
		return nil
	}
	s := rec.NewSlice(int64(from), int64(to))
	defer s.Release()
	return lend(uri, first+int64(from), s, emit)
}

func lend(uri string, first int64, rec arrow.Record, emit func(pipeline.Batch) error) error {
	rows := &rows{input: uri, first: first, rec: rec}
	defer func() { rows.rec = nil }()
	return emit(pipeline.Batch{Rec: rec, Rows: rows})
}

// Close frees the codecs.
func (d *decoder) Close() {
	for _, col := range d.cols {
		if col != nil {
			col.drop()
		}
	}
	d.d.close()
	d.cols, d.readers, d.loads.free = nil, nil, nil
}
