package transforms

import (
	"context"
	"slices"

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
		Name: "unnest",
		Doc: "Gives a row for each element of a list, with the element in place of the list: unnest: column, or {column, as, with_ordinality, outer}. as is the element's name, by default the " +
			"list's; with_ordinality adds the element's number in its list, from 1, under the name given (true: ordinality). Rows whose list is null or empty are dropped; with outer: true they " +
			"stay, with null in its place. The elements of a list of structs are structs, whose fields later steps reach as items.price; a null in a list is an element.",
		Example: "- unnest: {column: tags, as: tag, with_ordinality: n}",
		Bind:    bindUnnest,
	})
}

func bindUnnest(_ Env, n *spec.Node, in *arrow.Schema) (Bound, error) {
	u := &unnest{}
	column := n
	if n.IsMap() {
		if _, err := n.Map("column", "as", "with_ordinality", "outer"); err != nil {
			return Bound{}, err
		}
		if column = n.Get("column"); column == nil {
			return Bound{}, n.Errorf("unnest needs column: the list to take apart")
		}
		if o := n.Get("outer"); o != nil {
			var err error
			if u.outer, err = o.Bool(); err != nil {
				return Bound{}, err
			}
		}
	}
	name, err := column.Str()
	if err != nil {
		return Bound{}, err
	}
	if u.at, err = lookup(column, in, name); err != nil {
		return Bound{}, err
	}
	u.column = in.Field(u.at)
	list, ok := u.column.Type.(*arrow.ListType)
	if !ok {
		return Bound{}, column.Errorf("unnest takes lists apart, %q is of type %s", name, schema.TypeName(u.column))
	}
	element := list.ElemField()
	element.Name, element.Nullable = name, element.Nullable || u.outer
	u.explain = "unnest " + name
	as, ordinality := (*spec.Node)(nil), (*spec.Node)(nil)
	if n.IsMap() {
		as, ordinality = n.Get("as"), n.Get("with_ordinality")
	}
	if as != nil {
		if element.Name, err = as.Str(); err != nil {
			return Bound{}, err
		}
		u.explain += " as " + element.Name
	}
	for i, f := range in.Fields() {
		switch {
		case i == u.at:
			u.out = append(u.out, unnested{element, theElement})
		case f.Name == element.Name:
			return Bound{}, as.Errorf("there is a column %q already: give the elements another name", f.Name)
		default:
			u.out = append(u.out, unnested{f, i})
		}
	}
	if ordinality != nil {
		if err := u.number(ordinality); err != nil {
			return Bound{}, err
		}
	}
	if u.outer {
		u.explain += ", keeping rows without elements"
	}
	return u.bound(), nil
}

// unnest gives a row for each element of a list.
type unnest struct {
	column  arrow.Field
	at      int // of the list in the incoming record
	outer   bool
	out     []unnested
	schema  *arrow.Schema
	explain string
}

// unnested is a column of the result: an incoming one by its number, the element, or its number in the list.
type unnested struct {
	field arrow.Field
	from  int
}

const (
	theElement = -1 - iota
	theOrdinality
)

// number adds the column of the elements' numbers.
func (u *unnest) number(n *spec.Node) error {
	name, err := n.Str()
	if err != nil {
		return err
	}
	switch name {
	case "false":
		return nil
	case "true":
		name = "ordinality"
	}
	for _, o := range u.out {
		if o.field.Name == name {
			return n.Errorf("there is a column %q already: with_ordinality: another_name", name)
		}
	}
	u.out = append(u.out, unnested{arrow.Field{Name: name, Type: arrow.PrimitiveTypes.Int64, Nullable: u.outer}, theOrdinality})
	u.explain += " with number " + name
	return nil
}

func (u *unnest) bound() Bound {
	fields := make([]arrow.Field, len(u.out))
	for i, o := range u.out {
		fields[i] = o.field
	}
	u.schema = arrow.NewSchema(fields, nil)
	var step pipeline.Step = u
	if !u.outer {
		step = droppingUnnest{u}
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
		need.add(u.column.Name)
		return need
	}}
}

func (u *unnest) Name() string          { return "unnest" }
func (u *unnest) Schema() *arrow.Schema { return u.schema }
func (u *unnest) NewStage(mem memory.Allocator) (pipeline.Stage, error) {
	return &unnestStage{u: u, mem: mem}, nil
}

// droppingUnnest drops rows without elements.
type droppingUnnest struct{ *unnest }

func (droppingUnnest) Drops() pipeline.Cause { return pipeline.Filtered }

type unnestStage struct {
	expandOnly
	u   *unnest
	mem memory.Allocator
	p   expansion
}

func (s *unnestStage) Close() {}

func (s *unnestStage) Expand(_ context.Context, b pipeline.Batch, _ *pipeline.Rejects, emit func(pipeline.Batch) error) (added int64, err error) {
	var beside []arrow.Array
	for _, o := range s.u.out {
		if o.from >= 0 {
			beside = append(beside, b.Rec.Column(o.from))
		}
	}
	s.p.most = pieceRows(int(b.Rec.NumRows()), beside)
	list := b.Rec.Column(s.u.at).(*array.List)
	values := list.ListValues()
	n := list.Len()
	off := []int32{0}
	if n > 0 {
		off = arrow.GetOffsets[int32](list.Data(), 1)
	}
	valid, vo := col.Valid(list)
	none := int32(values.Len()) // stands for the null beside a row without elements
	misses := false
	var longer arrow.Array // values and the null behind them, made once for all pieces
	defer func() {
		if longer != nil {
			longer.Release()
		}
	}()
	flush := func() error {
		from := values
		if misses {
			if longer == nil {
				if longer, err = s.withNull(values); err != nil {
					return err
				}
			}
			from = longer
		}
		err := s.give(b, from, misses, emit)
		misses = false
		return err
	}
	for row := range n {
		from, to := off[row], off[row+1]
		if valid != nil && valid[(vo+row)>>3]>>((vo+row)&7)&1 == 0 {
			to = from // what lies under a null does not count
		}
		if from == to {
			if !s.u.outer {
				continue
			}
			misses = true
			s.p.add(row, none, 0)
		} else {
			added += int64(to - from - 1)
		}
		for first := from; from < to; from++ {
			if s.p.full() {
				if err := flush(); err != nil {
					return added, err
				}
			}
			s.p.add(row, from, int64(from-first+1))
		}
		if s.p.full() {
			if err := flush(); err != nil {
				return added, err
			}
		}
	}
	return added, flush()
}

// give emits the rows gathered, if there are any.
func (s *unnestStage) give(b pipeline.Batch, values arrow.Array, misses bool, emit func(pipeline.Batch) error) error {
	if len(s.p.idx) == 0 {
		return nil
	}
	defer s.p.reset()
	return s.p.emit(b, s.u.schema, s.mem, func(i int) (int, arrow.Array, error) {
		switch from := s.u.out[i].from; from {
		case theElement:
			a, err := take.Array(values, s.p.from, s.mem)
			return 0, a, err
		case theOrdinality:
			return 0, s.ordinality(misses), nil
		default:
			return from, nil, nil
		}
	}, emit)
}

// withNull is values and a null behind them, owned by the caller.
func (s *unnestStage) withNull(values arrow.Array) (arrow.Array, error) {
	null := array.MakeArrayOfNull(s.mem, values.DataType(), 1)
	defer null.Release()
	return array.Concatenate([]arrow.Array{values, null}, s.mem)
}

// ordinality is the numbers of the elements; of a row without any it is null.
func (s *unnestStage) ordinality(misses bool) arrow.Array {
	var valid []uint8
	if misses {
		valid = make([]uint8, len(s.p.number))
		for i, n := range s.p.number {
			if n > 0 {
				valid[i] = 1
			}
		}
	}
	return col.Copy(s.mem, arrow.PrimitiveTypes.Int64, s.p.number, valid)
}
