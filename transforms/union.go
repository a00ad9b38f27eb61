package transforms

import (
	"strings"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/memory"

	"github.com/sluice-data/sluice/internal/expr"
	"github.com/sluice-data/sluice/internal/fail"
	"github.com/sluice-data/sluice/internal/schema"
	"github.com/sluice-data/sluice/internal/spec"
)

func init() {
	Register(Def{
		Name: "union",
		Doc: "Adds the rows of another input behind those that are there (SQL's UNION ALL): files of any format (uri, with format, compression, csv and schema as for the input), or a table named " +
			"in the lookups: block (table), which is streamed and not held in memory. steps are its own steps, before its rows come in: all but those that need all rows. Columns are matched " +
			"by name; one that only one side has is null on the other. With match: position they are matched by their places, as in SQL, and must be as many. Where types differ, the column has " +
			"the type that holds the values of both, as under schema.mode: evolve; an integer that a float64 beside it cannot hold exactly rejects its row. Types without such a one are an error. " +
			"union stands before the steps that need all rows, and may stand there several times.",
		Example: "- union: {uri: s3://raw/app.jsonl, steps: [{rename: {rider_id: rider}}, {derive: {channel: \"'app'\"}}]}",
		Unites:  true,
		Bind:    bindUnion,
	})
}

var unionKeys = append([]string{"table", "steps", "match"}, spec.ReferenceKeys...)

func bindUnion(env Env, n *spec.Node, in *arrow.Schema) (Bound, error) {
	if _, err := n.Map(unionKeys...); err != nil {
		return Bound{}, err
	}
	input, err := env.Input(n)
	if err != nil {
		return Bound{}, err
	}
	u := &unionBinder{env: env, n: n, joined: Joined{Input: input}, left: in, right: input.Schema()}
	if err := u.steps(); err != nil {
		return Bound{}, err
	}
	if u.match, err = optional(n, "match"); err != nil {
		return Bound{}, err
	}
	switch u.match {
	case "", "name":
		err = u.byName()
	case "position":
		err = u.byPosition()
	default:
		err = n.Get("match").Errorf("unknown match %q%s", u.match, hint(u.match, []string{"name", "position"}))
	}
	if err != nil {
		return Bound{}, err
	}
	out, err := u.side(u.left, func(c unionColumn) int { return c.left }, "union")
	if err != nil {
		return Bound{}, err
	}
	theirs, err := u.side(u.right, func(c unionColumn) int { return c.right }, "union "+input.Name())
	if err != nil {
		return Bound{}, err
	}
	u.joined.Steps = append(u.joined.Steps, theirs)
	out.Joined = &u.joined
	return out, nil
}

// unionBinder reads the arguments of a union step.
type unionBinder struct {
	env         Env
	n           *spec.Node
	match       string
	joined      Joined
	left, right *arrow.Schema // of the rows that are there, and of the input's behind its steps
	columns     []unionColumn
}

// unionColumn is a column of the result: where it is on either side, -1 if it is not there.
type unionColumn struct {
	field       arrow.Field
	left, right int
}

// steps binds the input's own steps.
func (u *unionBinder) steps() error {
	at := u.n.Get("steps")
	if at == nil {
		return nil
	}
	list, err := spec.ReadSteps(at)
	if err != nil {
		return err
	}
	for _, s := range list {
		b, err := bindNamed(u.env, s, u.right)
		if err != nil {
			return err
		}
		for _, part := range append([]Bound{b}, b.Then...) {
			if part.Fold != nil {
				return s.At.Errorf("%s needs all rows before it gives the first: it cannot be a step of one input of a union, but may stand behind it", s.Name)
			}
		}
		if b.Joined != nil {
			return s.At.Errorf("a union within a union: put the two behind each other")
		}
		u.joined.Steps = append(u.joined.Steps, b)
		u.right = b.Schema()
	}
	return nil
}

// byName pairs columns of one name.
func (u *unionBinder) byName() error {
	for i, f := range u.left.Fields() {
		c := unionColumn{field: f, left: i, right: -1}
		if at := u.right.FieldIndices(f.Name); len(at) > 0 {
			c.right = at[0]
		}
		u.columns = append(u.columns, c)
	}
	for i, f := range u.right.Fields() {
		if len(u.left.FieldIndices(f.Name)) > 0 {
			continue
		}
		for _, o := range u.left.Fields() {
			if strings.EqualFold(o.Name, f.Name) && len(u.right.FieldIndices(o.Name)) == 0 {
				return u.n.Errorf("union: column %q of %s and %q of the rows differ in case only: rename one, steps: [{rename: {%s: %s}}]", f.Name, u.joined.Input.Name(), o.Name, f.Name, o.Name)
			}
		}
		u.columns = append(u.columns, unionColumn{field: f, left: -1, right: i})
	}
	return u.types()
}

// byPosition pairs columns in their order; they have the names of the rows that are there.
func (u *unionBinder) byPosition() error {
	if a, b := u.left.NumFields(), u.right.NumFields(); a != b {
		return u.n.Errorf("union: %s has %d columns (%s), the rows have %d (%s): with match: position they must be as many", u.joined.Input.Name(),
			b, listed(u.right), a, listed(u.left))
	}
	for i, f := range u.left.Fields() {
		u.columns = append(u.columns, unionColumn{f, i, i})
	}
	return u.types()
}

func listed(s *arrow.Schema) string {
	var out []string
	for _, f := range s.Fields() {
		out = append(out, f.Name)
	}
	return strings.Join(out, ", ")
}

// types settles the type of each column.
func (u *unionBinder) types() error {
	for i := range u.columns {
		c := &u.columns[i]
		if c.left < 0 || c.right < 0 {
			c.field.Nullable = true
			continue
		}
		l, r := u.left.Field(c.left), u.right.Field(c.right)
		name := l.Name
		f, err := schema.Union(l, r)
		if err != nil && arrow.IsInteger(l.Type.ID()) != arrow.IsInteger(r.Type.ID()) && (arrow.IsFloating(l.Type.ID()) || arrow.IsFloating(r.Type.ID())) {
			f, err = l, nil // the rows that cannot be so exactly are rejected
			f.Type = arrow.PrimitiveTypes.Float64
		}
		if err != nil {
			return u.n.Errorf("union: column %q is of type %s in the rows and of type %s in %s: cast one of them before, in steps: of the union for %s", name,
				schema.TypeName(l), schema.TypeName(r), u.joined.Input.Name(), u.joined.Input.Name())
		}
		f.Name, f.Nullable = name, l.Nullable || r.Nullable
		c.field = f
	}
	return nil
}

// side is the step that makes the result's columns of one side's.
func (u *unionBinder) side(in *arrow.Schema, at func(unionColumn) int, explain string) (Bound, error) {
	p := &projection{name: "union"}
	var says []string
	for _, c := range u.columns {
		i := at(c)
		switch {
		case i < 0:
			p.cols = append(p.cols, projected{field: c.field, from: nulls(c.field.Type)})
			continue
		case arrow.TypeEqual(in.Field(i).Type, c.field.Type):
			p.cols = append(p.cols, projected{field: c.field, index: i, uses: []string{in.Field(i).Name}})
		default:
			f, from, err := castTo(u.env, u.n, in.Field(i), i, schema.TypeName(c.field), in)
			if err == nil && !arrow.TypeEqual(f.Type, c.field.Type) {
				err = fail.Newf(fail.Internal, "union: column %q became %s, not %s", c.field.Name, f.Type, c.field.Type)
			}
			if err != nil {
				return Bound{}, err
			}
			p.cols = append(p.cols, projected{field: c.field, from: from, uses: []string{in.Field(i).Name}})
			says = append(says, c.field.Name+" as "+schema.TypeName(c.field))
		}
		if u.match == "position" { // all of them, or their places would be others
			p.names = append(p.names, in.Field(i).Name)
		}
	}
	if len(says) > 0 {
		explain += ", " + strings.Join(says, ", ")
	}
	return p.boundAs(arrow.NewSchema(in.Fields(), nil), explain), nil
}

// nulls makes a column of nothing else.
func nulls(t arrow.DataType) compute {
	return func(rec arrow.Record, mem memory.Allocator) (arrow.Array, []expr.RowError, error) {
		return array.MakeArrayOfNull(mem, t, int(rec.NumRows())), nil, nil
	}
}
