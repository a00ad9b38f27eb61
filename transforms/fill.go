package transforms

import (
	"context"
	"strings"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/memory"

	"github.com/sluice-data/sluice/internal/expr"
	"github.com/sluice-data/sluice/internal/fail"
	"github.com/sluice-data/sluice/internal/schema"
	"github.com/sluice-data/sluice/internal/spec"
	"github.com/sluice-data/sluice/pipeline"
	"github.com/sluice-data/sluice/transforms/internal/extsort"
	"github.com/sluice-data/sluice/transforms/internal/take"
)

func init() {
	Register(Def{
		Name: "fill",
		Doc: "Puts values in place of nulls. values: {tip: 0, zone: \"'none'\"} computes them by SQL expressions, of the column's type. forward: [fare] takes the last value before the row that is not null: in the order of the input, " +
			"or of by (columns or expressions; a value never goes from one group to the next) and order_by (what sort takes). Rows come out in that order: with by or order_by sorted by them, else as they came, " +
			"whatever the lanes. Nulls with no value before them stay. Rows that do not fit the memory limit go to disk.",
		Example: "- fill: {forward: [tip], by: [zone], order_by: trip_id}",
		Bind:    bindFill,
	})
}

func bindFill(env Env, n *spec.Node, in *arrow.Schema) (Bound, error) {
	if _, err := n.Map("values", "forward", "by", "order_by"); err != nil {
		return Bound{}, err
	}
	values, forward := n.Get("values"), n.Get("forward")
	if (values == nil) == (forward == nil) {
		return Bound{}, n.Errorf("fill needs values or forward, one of them: {values: {tip: 0}}, {forward: [fare], by: [zone], order_by: at}")
	}
	if values != nil {
		for _, key := range []string{"by", "order_by"} {
			if at := n.Get(key); at != nil {
				return Bound{}, at.Errorf("%s goes with forward: values are the same whatever the order", key)
			}
		}
		return fillValues(env, values, in)
	}
	group, order := &keyPart{}, &keyPart{}
	var err error
	items := []*spec.Node{forward}
	if !forward.IsScalar() {
		if items, err = forward.List(); err != nil {
			return Bound{}, forward.Errorf("forward is a list of columns: [a, b]")
		}
	}
	filled := names{}
	var says []string
	for _, it := range items {
		name, err := it.Str()
		if err != nil {
			return Bound{}, err
		}
		if _, err := lookup(it, in, name); err != nil {
			return Bound{}, err
		}
		filled.add(name)
		says = append(says, name)
	}
	if len(filled) == 0 {
		return Bound{}, forward.Errorf("fill needs at least one column: {forward: [fare]}")
	}
	explain := "fill forward " + strings.Join(says, ", ")
	if at := n.Get("by"); at != nil {
		if group, err = bindKeys(env, at, in); err != nil {
			return Bound{}, err
		}
		explain += " of each " + strings.Join(group.says, ", ")
	}
	if at := n.Get("order_by"); at != nil {
		if order, err = bindOrder(env, at, in); err != nil {
			return Bound{}, err
		}
		explain += " by " + strings.Join(order.says, ", ")
	}
	parts := []*keyPart{group, order}
	return narrowed(everything(in), func(out view) (Bound, error) {
		s, err := newSorted(env, "fill", parts, out)
		if err != nil {
			return Bound{}, n.Errorf("fill: %w", err)
		}
		f := &fill{sorted: s, grouped: len(group.progs) > 0}
		for i, field := range out.schema.Fields() {
			if filled[field.Name] {
				f.at = append(f.at, i)
			}
		}
		return Bound{Fold: f, Explain: explain, Needs: also(append(columnsOf(parts), says...))}, nil
	})
}

// fillValues is the step that computes what nulls become.
func fillValues(env Env, n *spec.Node, in *arrow.Schema) (Bound, error) {
	entries, err := n.Map()
	if err != nil {
		return Bound{}, err
	}
	if len(entries) == 0 {
		return Bound{}, n.Errorf("fill needs at least one column: {values: {tip: 0}}")
	}
	d := &derive{name: "fill"}
	var says []string
	s := in
	for _, e := range entries {
		c, err := lookup(e.At, in, e.Key)
		if err != nil {
			return Bound{}, err
		}
		text, err := e.Value.Str()
		if err != nil {
			return Bound{}, err
		}
		if _, err := expr.Compile(text, s, env.Expr); err != nil {
			return Bound{}, placed(e.Value, 0, err)
		}
		p, err := expr.Compile("coalesce("+expr.QuoteName(e.Key)+", ("+text+"))", s, env.Expr)
		if err != nil {
			return Bound{}, e.Value.Errorf("%s cannot stand in for nulls of %s: %w", text, e.Key, err)
		}
		f := p.Field()
		if want := in.Field(c); !arrow.TypeEqual(f.Type, want.Type) {
			return Bound{}, e.Value.Errorf("%s would make %s of %s, which is %s: cast it", text, schema.TypeName(f), e.Key, schema.TypeName(want))
		}
		f.Name = e.Key
		s = d.add(s, f, p)
		says = append(says, e.Key+" = "+text)
	}
	return d.bound("fill " + strings.Join(says, ", ")), nil
}

// fill is the fold that takes values from the row before. Its drain is one goroutine's work: each row may need the one before.
type fill struct {
	*sorted
	at      []int // columns
	grouped bool
}

var _ pipeline.Rearranger = (*fill)(nil)

func (f *fill) GivesAllRows() {}

func (f *fill) Drain(ctx context.Context, mem memory.Allocator, parts []pipeline.Partial) (pipeline.Drain, error) {
	lanes, err := lanesOf(f.name, parts, func(p *sortedPartial) *extsort.Lane { return p.lane })
	if err != nil {
		return nil, err
	}
	d := &fillDrain{f: f, mem: mem, last: make([]arrow.Array, len(f.at))}
	row := int32(0)
	keep := func(shared, _ int, _ int64) bool {
		if f.grouped && shared == 0 {
			d.starts = append(d.starts, row)
		}
		row++
		return true
	}
	d.next = func() { row, d.starts = 0, d.starts[:0] }
	if d.rows, err = f.s.Drain(ctx, mem, lanes, keep); err != nil {
		return nil, err
	}
	return d, nil
}

type fillDrain struct {
	f      *fill
	mem    memory.Allocator
	rows   *extsort.Drain
	starts []int32 // rows of the record that begin groups
	next   func()  // a new record begins
	last   []arrow.Array
}

func (d *fillDrain) Rows() int64 { return d.rows.Rows() }

func (d *fillDrain) Close() {
	for i, a := range d.last {
		if a != nil {
			a.Release()
			d.last[i] = nil
		}
	}
	d.rows.Close()
}

func (d *fillDrain) Next(ctx context.Context) (arrow.Record, error) {
	d.next()
	rec, err := d.rows.Next(ctx)
	if err != nil {
		return nil, err
	}
	defer rec.Release()
	cols := append([]arrow.Array(nil), rec.Columns()...)
	for i, c := range d.f.at {
		a, err := d.fill(i, cols[c])
		if err != nil {
			return nil, fail.Newf(fail.Data, "fill: %w", err).Of(rec.ColumnName(c), "")
		}
		defer a.Release()
		cols[c] = a
	}
	return array.NewRecord(rec.Schema(), cols, rec.NumRows()), nil
}

// fill gives column a, number i of those that are filled, with values in place of nulls.
func (d *fillDrain) fill(i int, a arrow.Array) (arrow.Array, error) {
	none := array.MakeArrayOfNull(d.mem, a.DataType(), 1)
	defer none.Release()
	if d.last[i] == nil {
		none.Retain()
		d.last[i] = none
	}
	all, err := array.Concatenate([]arrow.Array{none, d.last[i], a}, d.mem)
	if err != nil {
		return nil, err
	}
	defer all.Release()
	idx, now, starts := make([]int32, a.Len()), int32(1), d.starts
	for row := range idx {
		if len(starts) > 0 && int(starts[0]) == row {
			now, starts = 0, starts[1:]
		}
		if a.IsValid(row) {
			now = int32(row + 2)
		}
		idx[row] = now
	}
	out, err := take.Array(all, idx, d.mem)
	if err != nil {
		return nil, err
	}
	d.last[i].Release()
	d.last[i], err = take.Array(all, []int32{now}, d.mem)
	if err != nil {
		out.Release()
		return nil, err
	}
	return out, nil
}
