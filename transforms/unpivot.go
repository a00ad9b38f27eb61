package transforms

import (
	"context"
	"slices"
	"strings"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/memory"

	"github.com/sluice-data/sluice/internal/schema"
	"github.com/sluice-data/sluice/internal/spec"
	"github.com/sluice-data/sluice/pipeline"
	"github.com/sluice-data/sluice/transforms/internal/col"
	"github.com/sluice-data/sluice/transforms/internal/take"
)

func init() {
	Register(Def{
		Name: "unpivot",
		Doc: "Makes rows of columns: each row is given once for each column of columns, without these, but with the column's name in a column called name and its value in one called value " +
			"(by default name and value). The columns are of one type: cast them before. nulls: drop leaves out rows whose value is null.",
		Example: "- unpivot: {columns: [fare, tip], name: part, value: amount}",
		Bind:    bindUnpivot,
	})
}

func bindUnpivot(_ Env, n *spec.Node, in *arrow.Schema) (Bound, error) {
	if _, err := n.Map("columns", "name", "value", "nulls"); err != nil {
		return Bound{}, err
	}
	list := n.Get("columns")
	if list == nil {
		return Bound{}, n.Errorf("unpivot needs columns: the columns to make rows of")
	}
	items, err := list.List()
	if err != nil {
		return Bound{}, err
	}
	u := &unpivot{}
	value := arrow.Field{}
	for i, it := range items {
		name, err := it.Str()
		if err != nil {
			return Bound{}, err
		}
		at, err := lookup(it, in, name)
		if err != nil {
			return Bound{}, err
		}
		f := in.Field(at)
		switch {
		case slices.Contains(u.names, name):
			return Bound{}, it.Errorf("column %q is named twice", name)
		case i == 0:
			value = f
		case !arrow.TypeEqual(f.Type, value.Type) || schema.IsJSON(f) != schema.IsJSON(value):
			return Bound{}, it.Errorf("unpivot: column %q is of type %s and %q of type %s: cast them to one type before", name, schema.TypeName(f), u.names[0], schema.TypeName(value))
		}
		value.Nullable = value.Nullable || f.Nullable
		u.names, u.at = append(u.names, name), append(u.at, at)
	}
	if len(u.names) == 0 {
		return Bound{}, list.Errorf("unpivot needs at least one column")
	}
	if nulls := n.Get("nulls"); nulls != nil {
		switch s, _ := nulls.Str(); s {
		case "keep":
		case "drop":
			u.dropNulls, value.Nullable = true, false
		default:
			return Bound{}, nulls.Errorf("nulls must be keep or drop")
		}
	}
	for i, f := range in.Fields() {
		if !slices.Contains(u.at, i) {
			u.out = append(u.out, unnested{f, i})
		}
	}
	for _, made := range []struct {
		key   string
		field arrow.Field
		from  int
	}{{"name", arrow.Field{Name: "name", Type: arrow.BinaryTypes.String}, theName}, {"value", value, theValue}} {
		made.field.Name = made.key
		at := n
		if k := n.Get(made.key); k != nil {
			if made.field.Name, err = k.Str(); err != nil {
				return Bound{}, err
			}
			at = k
		}
		for _, o := range u.out {
			if o.field.Name == made.field.Name {
				return Bound{}, at.Errorf("there is a column %q already: give %s another name", o.field.Name, made.key)
			}
		}
		u.out = append(u.out, unnested{made.field, made.from})
	}
	u.explain = "unpivot " + strings.Join(u.names, ", ")
	return u.bound(), nil
}

// unpivot makes rows of columns.
type unpivot struct {
	names     []string
	at        []int // of the columns in the incoming record
	dropNulls bool
	out       []unnested
	schema    *arrow.Schema
	explain   string
}

const (
	theName = -1 - iota
	theValue
)

func (u *unpivot) bound() Bound {
	fields := make([]arrow.Field, len(u.out))
	for i, o := range u.out {
		fields[i] = o.field
	}
	u.schema = arrow.NewSchema(fields, nil)
	var step pipeline.Step = u
	if u.dropNulls {
		step = droppingUnpivot{u}
	}
	return Bound{Step: step, Explain: u.explain, Narrow: func(keep map[string]bool) Bound {
		n := *u
		n.out = slices.DeleteFunc(slices.Clone(u.out), func(o unnested) bool { return !keep[o.field.Name] })
		return n.bound()
	}, Needs: func(out map[string]bool) map[string]bool {
		if out == nil {
			return nil
		}
		need := names{}
		for _, o := range u.out {
			if out[o.field.Name] && o.from >= 0 {
				need.add(o.field.Name)
			}
		}
		need.add(u.names...) // bound again, they must be there
		return need
	}}
}

func (u *unpivot) Name() string          { return "unpivot" }
func (u *unpivot) Schema() *arrow.Schema { return u.schema }

func (u *unpivot) NewStage(mem memory.Allocator) (pipeline.Stage, error) {
	b := array.NewStringBuilder(mem)
	defer b.Release()
	b.AppendValues(u.names, nil)
	return &unpivotStage{u: u, mem: mem, names: b.NewArray()}, nil
}

// droppingUnpivot drops rows whose value is null.
type droppingUnpivot struct{ *unpivot }

func (droppingUnpivot) Drops() pipeline.Cause { return pipeline.Filtered }

type unpivotStage struct {
	expandOnly
	u     *unpivot
	mem   memory.Allocator
	names arrow.Array
	p     expansion
	which []int32 // of the columns, beside each row of p
}

func (s *unpivotStage) Close() { s.names.Release() }

func (s *unpivotStage) Expand(_ context.Context, b pipeline.Batch, _ *pipeline.Rejects, emit func(pipeline.Batch) error) (added int64, err error) {
	n, k := int(b.Rec.NumRows()), len(s.u.at)
	cols := make([]arrow.Array, k)
	for i, at := range s.u.at {
		cols[i] = b.Rec.Column(at)
	}
	rows := max(1, expandRows/k)
	for lo := 0; lo < n; lo += rows {
		if err := s.piece(b, cols, lo, min(lo+rows, n), emit); err != nil {
			return 0, err
		}
	}
	return int64(n) * int64(k-1), nil
}

// piece gives rows lo … hi-1.
func (s *unpivotStage) piece(b pipeline.Batch, cols []arrow.Array, lo, hi int, emit func(pipeline.Batch) error) error {
	parts := make([]arrow.Array, len(cols))
	defer func() {
		for _, p := range parts {
			p.Release()
		}
	}()
	for i, c := range cols {
		parts[i] = array.NewSlice(c, int64(lo), int64(hi))
	}
	s.p.reset()
	s.which = s.which[:0]
	valid, off := make([][]byte, len(cols)), make([]int, len(cols))
	for i, c := range cols {
		if s.u.dropNulls {
			valid[i], off[i] = col.Valid(c)
		}
	}
	for row := lo; row < hi; row++ {
		for i := range cols {
			if v, at := valid[i], off[i]+row; v != nil && v[at>>3]>>(at&7)&1 == 0 {
				continue
			}
			s.p.add(row, int32(i*(hi-lo)+row-lo), 0)
			s.which = append(s.which, int32(i))
		}
	}
	if len(s.which) == 0 {
		return nil
	}
	return s.p.emit(b, s.u.schema, s.mem, func(i int) (int, arrow.Array, error) {
		switch from := s.u.out[i].from; from {
		case theName:
			a, err := take.Array(s.names, s.which, s.mem)
			return 0, a, err
		case theValue:
			all, err := array.Concatenate(parts, s.mem)
			if err != nil {
				return 0, nil, err
			}
			defer all.Release()
			a, err := take.Array(all, s.p.from, s.mem)
			return 0, a, err
		default:
			return from, nil, nil
		}
	}, emit)
}
