package transforms

import (
	"context"
	"strings"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/memory"

	"github.com/sluice-data/sluice/internal/expr"
	"github.com/sluice-data/sluice/internal/spec"
	"github.com/sluice-data/sluice/pipeline"
	"github.com/sluice-data/sluice/transforms/internal/extsort"
)

// repeated is the column, hidden from the file, that says of a row that one before it has its key.
const repeated = "_repeated"

// unique makes the steps of an expectation that no two rows have one key: a fold that marks the rows which repeat one before them, and an assert over the mark. A key with
// a null in it equals no other, as in SQL.
func (b *assertBinder) unique(x expectation, n *spec.Node) ([]Bound, error) {
	group, err := bindKeys(b.env, n, b.in)
	if err != nil {
		return nil, err
	}
	mark := repeated
	for len(b.in.FieldIndices(mark)) > 0 {
		mark += "_"
	}
	parts := []*keyPart{group, {}}
	r, err := newRepeats(b.env, "assert", parts, everything(b.in))
	if err != nil {
		return nil, n.Errorf("unique: %w", err)
	}
	x.text = "unique " + strings.Join(group.says, ", ")
	md := b.in.Metadata()
	marked := arrow.NewSchema(append(append([]arrow.Field(nil), b.in.Fields()...), arrow.Field{Name: mark, Type: arrow.FixedWidthTypes.Boolean}), &md)
	if x.cond, err = expr.Compile("NOT "+expr.QuoteName(mark), marked, b.env.Expr); err != nil {
		return nil, n.Errorf("%s: %w", x.text, err)
	}
	if at := b.in.FieldIndices(group.says[0]); len(group.says) == 1 && len(at) > 0 {
		x.column = at[0]
	}
	keep := setOf(b.in)
	a := &assert{in: marked, out: everything(marked).narrow(keep), now: b.env.Expr.Now}
	a.add(x)
	used := columnsOf(parts)
	fold := Bound{Fold: &markRepeats{r, marked}, Explain: "assert " + x.text + ": find rows that repeat one", Needs: func(out map[string]bool) map[string]bool {
		need := also(used)(out)
		delete(need, mark)
		return need
	}}
	return []Bound{fold, a.bound()}, nil
}

// markRepeats gives all rows in the order of the input, with a mark on those whose key one before them has.
type markRepeats struct {
	*repeats
	schema *arrow.Schema
}

var _ pipeline.Rearranger = (*markRepeats)(nil)

func (f *markRepeats) Schema() *arrow.Schema { return f.schema }
func (f *markRepeats) GivesAllRows()         {}

func (f *markRepeats) NewPartial(mem memory.Allocator) (pipeline.Partial, error) {
	return &markPartial{repeatsPartial: repeatsPartial{f: f.repeats, mem: mem, rows: f.rows.NewLane(mem), keys: f.keys.NewLane(mem)}}, nil
}

// markPartial knows besides which of its rows have a null in their key.
type markPartial struct {
	repeatsPartial
	nulls bits
}

func (p *markPartial) Add(ctx context.Context, b pipeline.Batch, rej *pipeline.Rejects) error {
	return p.add(ctx, b, rej, func(k *keyed) {
		from := p.rows.Rows()
		for int64(len(p.nulls))*64 < from+int64(k.n) {
			p.nulls = append(p.nulls, 0)
		}
		for _, c := range k.by[0] {
			if c.NullN() == 0 {
				continue
			}
			for i := range k.n {
				if c.IsNull(i) {
					p.nulls.set(from + int64(i))
				}
			}
		}
	})
}

func (f *markRepeats) Drain(ctx context.Context, mem memory.Allocator, parts []pipeline.Partial) (pipeline.Drain, error) {
	lanes, err := lanesOf(f.name, parts, func(p *markPartial) *repeatsPartial { return &p.repeatsPartial })
	if err != nil {
		return nil, err
	}
	stay, rows, err := f.stay(ctx, lanes, false)
	if err != nil {
		return nil, err
	}
	for i, p := range parts {
		for w, null := range p.(*markPartial).nulls {
			stay[i][w] |= null
		}
	}
	d := &markDrain{f: f, mem: mem}
	d.Drain, err = f.rows.Drain(ctx, mem, rows, func(_, lane int, number int64) bool {
		d.marks = append(d.marks, !stay[lane].has(number))
		return true
	})
	if err != nil {
		return nil, err
	}
	return d, nil
}

// markDrain gives the rows with their marks.
type markDrain struct {
	*extsort.Drain
	f     *markRepeats
	mem   memory.Allocator
	marks []bool // of the rows of the chunk that is being made
	besideRows
}

var _ pipeline.LaneDrain = (*markDrain)(nil)

func (d *markDrain) NextChunk(ctx context.Context) (*pipeline.Chunk, error) {
	d.marks = d.marks[:0]
	rows, err := d.Drain.NextChunk(ctx)
	if err != nil {
		return nil, err
	}
	b := array.NewBooleanBuilder(d.mem)
	defer b.Release()
	b.AppendValues(d.marks, nil)
	return (&besideSlice{rows: rows, cols: []arrow.Array{b.NewArray()}}).chunk(), nil
}

func (d *markDrain) NewDecoder(mem memory.Allocator) (pipeline.Decoder, error) {
	inner, err := d.Drain.NewDecoder(mem)
	if err != nil {
		return nil, err
	}
	return &besideDecoder{inner, d.f.schema}, nil
}

func (d *markDrain) Next(ctx context.Context) (arrow.Record, error) { return d.next(ctx, d, d.mem) }

func (d *markDrain) Close() {
	d.besideRows.close()
	d.Drain.Close()
}
