package transforms

import (
	"fmt"
	"strings"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/bitutil"
	"github.com/apache/arrow/go/v17/arrow/memory"

	"github.com/sluice-data/sluice/internal/expr"
	"github.com/sluice-data/sluice/internal/schema"
	"github.com/sluice-data/sluice/internal/spec"
	"github.com/sluice-data/sluice/internal/textval"
	"github.com/sluice-data/sluice/transforms/internal/col"
)

func init() {
	Register(Def{
		Name: "cast",
		Doc: "Changes the types of columns, in their places: column: type, or column: {type, format, tz} to read dates and times from text by a strftime format " +
			"and with a time zone for those without offset. A row whose value the new type cannot hold exactly is rejected; a fraction becomes the nearest float.",
		Example: "- cast: {fare: \"decimal(18,2)\", pickup: {type: timestamp, format: \"%d/%m/%Y %H:%M\"}}",
		Bind:    bindCast,
	})
}

func bindCast(env Env, n *spec.Node, in *arrow.Schema) (Bound, error) {
	entries, err := n.Map()
	if err != nil {
		return Bound{}, err
	}
	if len(entries) == 0 {
		return Bound{}, n.Errorf("cast needs at least one column: {column: type}")
	}
	d := &derive{name: "cast"}
	s := in
	var says []string
	for _, e := range entries {
		i, err := lookup(e.At, in, e.Key)
		if err != nil {
			return Bound{}, err
		}
		f, from, err := castColumn(env, e, in.Field(i), i, s)
		if err != nil {
			return Bound{}, err
		}
		s = d.addFrom(s, f, from, []string{e.Key})
		says = append(says, e.Key+" to "+schema.TypeName(f))
	}
	return d.bound("cast " + strings.Join(says, ", ")), nil
}

// castColumn is how to cast the column that e names.
func castColumn(env Env, e spec.Entry, from arrow.Field, i int, s *arrow.Schema) (arrow.Field, compute, error) {
	typeAt, format, tz := e.Value, "", ""
	var err error
	if e.Value.IsMap() {
		if _, err = e.Value.Map("type", "format", "tz"); err != nil {
			return from, nil, err
		}
		if typeAt = e.Value.Get("type"); typeAt == nil {
			return from, nil, e.Value.Errorf("cast of %q needs a type", e.Key)
		}
		if format, err = optional(e.Value, "format"); err != nil {
			return from, nil, err
		}
		if tz, err = optional(e.Value, "tz"); err != nil {
			return from, nil, err
		}
	}
	typ, err := typeAt.Str()
	if err != nil {
		return from, nil, err
	}
	to, err := schema.ParseField(e.Key, typ)
	if err != nil {
		return from, nil, typeAt.Errorf("%w", err)
	}
	if format != "" || tz != "" {
		return castText(e.Value, from, to, i, format, tz)
	}
	return castTo(env, typeAt, from, i, typ, s)
}

// castTo is how to cast column i of s to a type, each value exactly or as an error of its row.
func castTo(env Env, at *spec.Node, from arrow.Field, i int, typ string, s *arrow.Schema) (arrow.Field, compute, error) {
	src := fmt.Sprintf(`CAST(%s AS %s)`, expr.QuoteName(from.Name), typ)
	p, err := expr.Compile(src, s, env.Expr)
	if err != nil {
		return from, nil, at.Errorf("cast %q: %s", from.Name, err)
	}
	to := p.Field()
	to.Name = from.Name
	if !mayRound(from, to) {
		return to, p.Eval, nil
	}
	back, err := expr.Compile(fmt.Sprintf(`CAST(%s AS %s) = %s`, src, schema.TypeName(from), expr.QuoteName(from.Name)), s, env.Expr)
	if err != nil {
		return from, nil, at.Errorf("cast of %q from %s to %s drops a part of the value: if that is meant, use derive with CAST", from.Name, schema.TypeName(from), typ)
	}
	return to, exactly(p, back, i, schema.TypeName(to)+" cannot hold this value exactly"), nil
}

// mayRound reports whether SQL's CAST between the types gives a near value in place of the exact one. (Integers out of range are errors
// anyhow; a float result is the nearest float by nature, except that it must not merge integers, in whatever type they come.)
func mayRound(from, to arrow.Field) bool {
	f, t := from.Type.ID(), to.Type.ID()
	text := func(id arrow.Type) bool { return id == arrow.STRING || id == arrow.LARGE_STRING || id == arrow.BINARY }
	switch {
	case arrow.TypeEqual(from.Type, to.Type), text(f), text(t), arrow.IsNested(f), arrow.IsNested(t), f == arrow.NULL:
		return false
	case arrow.IsFloating(t):
		d, ok := from.Type.(*arrow.Decimal128Type)
		return ok && d.Scale == 0 || arrow.IsInteger(f) && from.Type.(arrow.FixedWidthDataType).BitWidth() >= 32
	case arrow.IsInteger(f):
		return t == arrow.BOOL
	case f == arrow.BOOL, f == arrow.DATE32:
		return false
	case f == arrow.DECIMAL128 && t == arrow.DECIMAL128:
		return to.Type.(*arrow.Decimal128Type).Scale < from.Type.(*arrow.Decimal128Type).Scale
	case f == arrow.TIMESTAMP && t == arrow.TIMESTAMP:
		return false
	}
	return true
}

// exactly is p with an error for every row that back finds not to be the value it was.
func exactly(p, back *expr.Program, i int, reason string) compute {
	return func(rec arrow.Record, mem memory.Allocator) (arrow.Array, []expr.RowError, error) {
		a, errs, err := p.Eval(rec, mem)
		if err != nil {
			return nil, nil, err
		}
		same, wrong, err := back.Eval(rec, mem)
		if err != nil {
			a.Release()
			return nil, nil, err
		}
		defer same.Release()
		from := rec.Column(i)
		for _, w := range wrong { // the way back is out of range: so was the way there, or it was not exact
			errs = append(errs, expr.RowError{Row: w.Row, Value: cell(from, w.Row), Reason: reason})
		}
		var no refusals
		no.falses(rule{text: reason}, from, same)
		for _, r := range no {
			errs = append(errs, expr.RowError{Row: r.row, Value: r.value, Reason: reason})
		}
		return a, errs, nil
	}
}

func optional(n *spec.Node, key string) (string, error) {
	v := n.Get(key)
	if v == nil {
		return "", nil
	}
	return v.Str()
}

// castText reads dates and times from text by a format.
func castText(at *spec.Node, from, to arrow.Field, i int, format, tz string) (arrow.Field, compute, error) {
	if from.Type.ID() != arrow.STRING && from.Type.ID() != arrow.LARGE_STRING {
		return to, nil, at.Errorf("format and tz read dates and times from text, column %q is of type %s", from.Name, schema.TypeName(from))
	}
	if tz != "" && schema.TypeName(to) != "timestamptz" {
		return to, nil, at.Errorf("tz is for timestamptz only, the type is %s", schema.TypeName(to))
	}
	l, err := textval.NewLayout(format, tz)
	if err != nil {
		return to, nil, at.Errorf("%w", err)
	}
	reason := "not a " + schema.TypeName(to)
	if format != "" {
		reason += " of format " + format
	}
	switch schema.TypeName(to) {
	case "date":
		return to, readText(i, to.Type, reason, l.Date), nil
	case "timestamp":
		return to, readText(i, to.Type, reason, l.Micros), nil
	case "timestamptz":
		return to, readText(i, to.Type, reason, l.Instant), nil
	case "time":
		return to, readText(i, to.Type, reason, l.TimeOfDay), nil
	}
	return to, nil, at.Errorf("format and tz are for date, time, timestamp and timestamptz, the type is %s", schema.TypeName(to))
}

// readText makes a column of what read makes of the text in column i.
func readText[T int32 | int64](i int, typ arrow.DataType, reason string, read func([]byte) (T, bool)) compute {
	return func(rec arrow.Record, mem memory.Allocator) (arrow.Array, []expr.RowError, error) {
		a := rec.Column(i)
		off, data, ok := col.Var(a)
		if !ok {
			return nil, nil, fmt.Errorf("cast %s: more than 2 GiB of text in one batch", rec.ColumnName(i))
		}
		n := a.Len()
		size := 4
		var zero T
		if _, wide := any(zero).(int64); wide {
			size = 8
		}
		values := memory.NewResizableBuffer(mem)
		defer values.Release()
		values.Resize(n * size)
		valid := memory.NewResizableBuffer(mem)
		defer valid.Release()
		valid.Resize((n + 7) / 8)
		clear(valid.Bytes())
		dst := arrow.GetData[T](values.Bytes())
		has, ho := col.Valid(a)
		nulls := 0
		var errs []expr.RowError
		for r := range n {
			var v T
			if has != nil && bitutil.BitIsNotSet(has, ho+r) {
				nulls++
			} else if v, ok = read(data[off[r]:off[r+1]]); ok {
				bitutil.SetBit(valid.Bytes(), r)
			} else {
				nulls++
				errs = append(errs, expr.RowError{Row: r, Value: string(data[off[r]:off[r+1]]), Reason: reason})
			}
			dst[r] = v
		}
		d := array.NewData(typ, n, []*memory.Buffer{valid, values}, nil, nulls, 0)
		defer d.Release()
		return array.MakeFromData(d), errs, nil
	}
}
