package transforms

import (
	"context"
	"strings"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/memory"

	"github.com/sluice-data/sluice/transforms/agg"
	"github.com/sluice-data/sluice/transforms/internal/group"
	"github.com/sluice-data/sluice/transforms/internal/take"
)

// sessions makes one function of all: the sessions of a group, as a list, with the measures of each.
func (b *aggregateBinder) sessions() {
	w := b.a.window
	time := b.a.progs[w.on].Field().Type
	columns, args := []arrow.DataType{time}, []int{b.arg(argument{prog: w.on}, time)}
	for i, t := range b.cfg.Args {
		columns, args = append(columns, t), append(args, i)
	}
	var parts []agg.Part
	var says []string
	for _, c := range b.calls {
		p := agg.Part{Bound: c.Bound}
		for _, a := range c.Args {
			p.Args = append(p.Args, a+1)
		}
		if c.Filter > 0 {
			p.Where = c.Filter + 1
		}
		parts, says = append(parts, p), append(says, c.Text)
	}
	bound := agg.Sessions(columns, w.gap, parts)
	m := group.Measure{Field: bound.Result, Text: "sessions(" + strings.Join(says, ", ") + ")", Bound: bound, Args: args}
	m.Field.Name = "sessions"
	b.cfg.Measures = []group.Measure{m}
}

// flat is the schema of sessions: a row each.
func (b *aggregateBinder) flat() *arrow.Schema {
	fields := append([]arrow.Field(nil), b.cfg.Keys...)
	time := b.a.progs[b.a.window.on].Field().Type
	fields = append(fields, arrow.Field{Name: windowStart, Type: time}, arrow.Field{Name: windowEnd, Type: time})
	for _, c := range b.calls {
		fields = append(fields, c.Field)
	}
	return arrow.NewSchema(fields, nil)
}

// sessionRows is about the rows of a record of sessions.
const sessionRows = 1 << 16

// sessionDrain makes a row of each session of a group.
type sessionDrain struct {
	*group.Drain
	a     *aggregate
	mem   memory.Allocator
	ready []arrow.Record
}

func (d *sessionDrain) Rows() int64 { return each(d.Drain.Rows(), int64(d.a.copies)) }

func (d *sessionDrain) Next(ctx context.Context) (arrow.Record, error) {
	for len(d.ready) == 0 {
		rec, err := d.Drain.Next(ctx)
		if err != nil {
			return nil, err
		}
		err = d.flatten(rec)
		rec.Release()
		if err != nil {
			return nil, err
		}
	}
	r := d.ready[0]
	d.ready = d.ready[1:]
	return r, nil
}

func (d *sessionDrain) flatten(rec arrow.Record) error {
	last := int(rec.NumCols()) - 1
	list := rec.Column(last).(*array.List)
	var rows []int32
	from := int64(0)
	for i := range list.Len() {
		lo, hi := list.ValueOffsets(i)
		if i == 0 {
			from = lo
		}
		for range hi - lo {
			rows = append(rows, int32(i))
		}
	}
	if len(rows) == 0 {
		return nil
	}
	cols := make([]arrow.Array, 0, d.a.out.NumFields())
	defer func() {
		for _, c := range cols {
			c.Release()
		}
	}()
	for _, c := range rec.Columns()[:last] {
		t, err := take.Array(c, rows, d.mem)
		if err != nil {
			return err
		}
		cols = append(cols, t)
	}
	each := list.ListValues().(*array.Struct)
	for i := range each.NumField() {
		cols = append(cols, array.NewSlice(each.Field(i), from, from+int64(len(rows))))
	}
	out := array.NewRecord(d.a.out, cols, int64(len(rows)))
	defer out.Release()
	for lo := int64(0); lo < out.NumRows(); lo += sessionRows {
		d.ready = append(d.ready, out.NewSlice(lo, min(lo+sessionRows, out.NumRows())))
	}
	return nil
}

func (d *sessionDrain) Close() {
	for _, r := range d.ready {
		r.Release()
	}
	d.ready = nil
	d.Drain.Close()
}
