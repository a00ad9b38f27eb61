package transforms

import (
	"slices"
	"strings"

	"github.com/apache/arrow/go/v17/arrow"

	"github.com/sluice-data/sluice/internal/expr"
	"github.com/sluice-data/sluice/internal/schema"
	"github.com/sluice-data/sluice/internal/spec"
	"github.com/sluice-data/sluice/pipeline"
)

func init() {
	Register(Def{
		Name: "lookup",
		Doc: "Joins each row with a reference table, which is read into memory before the first row: files of any format (uri, with format, compression, csv and schema as for the input), " +
			"what a query of PostgreSQL gives (uri: postgres://… or dsn_env, with query, password_env and password_file), or a table named in the lookups: block (table). on maps columns or SQL expressions of the rows to columns of the table, or lists columns that both have; null equals nothing. " +
			"add lists columns of the table to add, or maps new names to them. A row without a match fails the run, unless missing says null (the columns added are null), drop or " +
			"quarantine. join: left is missing: \"null\", join: inner is missing: drop; semi keeps the rows that have a match and anti those that have none, and neither adds columns. Two rows of the " +
			"table with one key are an error, unless duplicates says first (in the order of the table) or all: then a row is given once for each match. " +
			"between: {ts: [valid_from, valid_to]} wants valid_from <= ts < valid_to besides, and as_of: {ts: valid_from} takes the last row that begins by ts; on may then be left out.",
		Example: "- lookup: {uri: s3://ref/zones.csv, on: {zone: name}, add: [borough], missing: \"null\"}",
		Tables:  func(args *spec.Node) []*spec.Node { return []*spec.Node{args} },
		Bind:    bindLookup,
	})
}

var (
	lookupKeys  = append([]string{"table", "on", "add", "join", "missing", "duplicates", "between", "as_of"}, spec.ReferenceKeys...)
	joinKinds   = []string{"left", "inner", "semi", "anti"}
	missingWays = []string{"fail", "null", "drop", "quarantine"}
	doubleWays  = []string{"fail", "first", "all"}
)

func bindLookup(env Env, n *spec.Node, in *arrow.Schema) (Bound, error) {
	if _, err := n.Map(lookupKeys...); err != nil {
		return Bound{}, err
	}
	rel, err := env.Relation(n)
	if err != nil {
		return Bound{}, err
	}
	b := &lookupBinder{env: env, n: n, in: in, l: &lookupStep{rel: rel}}
	for _, read := range []func() error{b.on, b.span, b.kind, b.add} {
		if err := read(); err != nil {
			return Bound{}, err
		}
	}
	b.l.rows = everything(in)
	return b.l.bound(), nil
}

// lookupBinder reads the arguments of a lookup step.
type lookupBinder struct {
	env Env
	n   *spec.Node
	in  *arrow.Schema
	l   *lookupStep
}

// on binds the pairs of keys.
func (b *lookupBinder) on() error {
	n := b.n.Get("on")
	switch {
	case n == nil && (b.n.Get("between") != nil || b.n.Get("as_of") != nil):
		return nil
	case n == nil:
		return b.n.Errorf("lookup needs on: the column of the rows and that of the table which are to be equal, {zone_id: id}")
	case n.IsMap():
		entries, err := n.Map()
		if err != nil {
			return err
		}
		for _, e := range entries {
			column, err := e.Value.Str()
			if err != nil {
				return err
			}
			if err := b.key(e.At, e.Key, e.Value, column); err != nil {
				return err
			}
		}
	default:
		items := []*spec.Node{n}
		if n.IsList() {
			items, _ = n.List()
		}
		for _, it := range items {
			name, err := it.Str()
			if err != nil {
				return err
			}
			if err := b.key(it, expr.QuoteName(name), it, name); err != nil {
				return err
			}
		}
	}
	if len(b.l.keys) == 0 {
		return n.Errorf("on names no column")
	}
	return nil
}

// key binds one pair: the expression src at the node at, and the table's column.
func (b *lookupBinder) key(at *spec.Node, src string, columnAt *spec.Node, column string) error {
	i, err := b.column(columnAt, column)
	if err != nil {
		return err
	}
	b.l.rel.Use(column)
	p, err := expr.Compile(src, b.in, b.env.Expr)
	if err != nil {
		return placed(at, 0, err)
	}
	f := b.l.rel.Schema().Field(i)
	text, _ := at.Str()
	k, err := pair(b.env, b.in, p, f)
	if err != nil {
		return at.Errorf("lookup %s: %s is of type %s and %s of the table of type %s: %w", b.l.rel.Name(), text, schema.TypeName(p.Field()),
			column, schema.TypeName(f), err)
	}
	k.text = text
	b.l.keys = append(b.l.keys, k)
	return nil
}

// column finds a column of the table.
func (b *lookupBinder) column(n *spec.Node, name string) (int, error) {
	return tableColumn(n, b.l.rel, name)
}

func tableColumn(n *spec.Node, rel Relation, name string) (int, error) {
	s := rel.Schema()
	if len(s.FieldIndices(name)) == 0 {
		known := make([]string, s.NumFields())
		for i, f := range s.Fields() {
			known[i] = f.Name
		}
		return 0, n.Errorf("table %s has no column %q%s", rel.Name(), name, hint(name, known))
	}
	return s.FieldIndices(name)[0], nil
}

// kind reads join, missing and duplicates.
func (b *lookupBinder) kind() error {
	join, err := b.choice("join", joinKinds)
	if err != nil {
		return err
	}
	missing, err := b.choice("missing", missingWays)
	if err != nil {
		return err
	}
	switch {
	case join == "left" && missing == "":
		missing = "null"
	case join == "inner" && missing == "":
		missing = "drop"
	case join == "semi" && missing == "":
		missing = "drop"
	case join == "left" && missing == "drop", join == "inner" && missing == "null", (join == "semi" || join == "anti") && missing != "":
		return b.n.Errorf("join: %s and missing: %s contradict each other: give one of them", join, missing)
	case join == "" && missing == "":
		missing = "fail"
	}
	doubles, err := b.choice("duplicates", doubleWays)
	if err != nil {
		return err
	}
	if (join == "semi" || join == "anti") && doubles != "" {
		return b.n.Errorf("join: %s gives a row once, whatever duplicates there are: take duplicates: %s out", join, doubles)
	}
	if doubles == "all" && b.l.span != nil {
		return b.n.Errorf("duplicates: all does not go with between or as_of, which find one row: use first")
	}
	b.l.semi, b.l.anti, b.l.missing, b.l.doubles = join == "semi", join == "anti", missing, doubles
	return nil
}

// choice is the value of key, one of known; "" if it is not there. null, which is YAML's nothing, is a word here.
func (b *lookupBinder) choice(key string, known []string) (string, error) {
	entries, err := b.n.Map()
	if err != nil {
		return "", err
	}
	for _, e := range entries {
		if e.Key != key {
			continue
		}
		s, err := e.Value.Str()
		if err != nil {
			return "", err
		}
		if !slices.Contains(known, s) {
			return "", e.Value.Errorf("unknown %s %q%s", key, s, hint(s, known))
		}
		return s, nil
	}
	return "", nil
}

// add binds the columns of the table to add.
func (b *lookupBinder) add() error {
	n := b.n.Get("add")
	once := b.l.semi || b.l.anti
	switch {
	case n != nil && once:
		return n.Errorf("join: semi and join: anti add no columns")
	case n == nil && !once && b.l.missing == "null":
		return b.n.Errorf("lookup needs add, the columns of the table to add: add: [name], or {new_name: name}")
	case n == nil:
		return nil
	case n.IsMap():
		entries, err := n.Map()
		if err != nil {
			return err
		}
		for _, e := range entries {
			from, err := e.Value.Str()
			if err != nil {
				return err
			}
			if err := b.added(e.At, e.Key, e.Value, from); err != nil {
				return err
			}
		}
		return nil
	}
	items, err := n.List()
	if err != nil {
		return n.Errorf("add wants a list of columns or a mapping (new name: column)")
	}
	for _, it := range items {
		name, err := it.Str()
		if err != nil {
			return err
		}
		if err := b.added(it, name, it, name); err != nil {
			return err
		}
	}
	return nil
}

func (b *lookupBinder) added(at *spec.Node, name string, fromAt *spec.Node, from string) error {
	i, err := b.column(fromAt, from)
	if err != nil {
		return err
	}
	b.l.rel.Add(from)
	if len(b.in.FieldIndices(name)) > 0 {
		return at.Errorf("there is a column %q already: give the table's another name, add: {%s_2: %s}", name, name, from)
	}
	for _, a := range b.l.adds {
		if a.field.Name == name {
			return at.Errorf("column %q is added twice", name)
		}
	}
	f := b.l.rel.Schema().Field(i)
	f.Name = name
	f.Nullable = f.Nullable || b.l.missing == "null"
	b.l.adds = append(b.l.adds, addedColumn{f, from})
	return nil
}

// bound is the step as it is bound.
func (l *lookupStep) bound() Bound {
	fields := slices.Clone(l.rows.schema.Fields())
	for _, a := range l.adds {
		fields = append(fields, a.field)
	}
	md := l.rows.schema.Metadata()
	l.schema = arrow.NewSchema(fields, &md)
	var step pipeline.Step = l
	if l.semi || l.anti || l.missing == "drop" {
		step = droppingLookup{l}
	}
	return Bound{Step: step, Explain: l.explain(), Narrow: func(keep map[string]bool) Bound {
		n := *l
		n.rows = l.rows.narrow(keep)
		n.adds = slices.DeleteFunc(slices.Clone(l.adds), func(a addedColumn) bool { return !keep[a.field.Name] })
		return n.bound()
	}, Needs: func(out map[string]bool) map[string]bool {
		if out == nil {
			return nil
		}
		need := names{}
		for c := range out {
			need.add(c)
		}
		for _, a := range l.adds {
			delete(need, a.field.Name)
		}
		for _, p := range l.programs() {
			need.add(p.Columns()...)
		}
		return need
	}}
}

func (l *lookupStep) explain() string {
	var on, add []string
	for _, k := range l.keys {
		on = append(on, k.text+" = "+k.column)
	}
	for _, a := range l.adds {
		if a.field.Name == a.from {
			add = append(add, a.from)
		} else {
			add = append(add, a.field.Name+" = "+a.from)
		}
	}
	if l.span != nil {
		on = append(on, l.span.says())
	}
	s := "lookup " + l.rel.Name() + " on " + strings.Join(on, ", ")
	if len(add) > 0 {
		s += ", adds " + strings.Join(add, ", ")
	}
	switch {
	case l.semi:
		s += ", keeps rows with a match"
	case l.anti:
		s += ", keeps rows without one"
	default:
		s += ", without one: " + l.missing
	}
	if l.doubles != "" {
		s += ", of several: " + l.doubles
	}
	return s
}
