package parquet

import (
	"fmt"

	"github.com/apache/arrow/go/v17/arrow"

	"github.com/sluice-data/sluice/internal/fail"
	"github.com/sluice-data/sluice/internal/schema"
	"github.com/sluice-data/sluice/sources"
)

// plan is how a column of the result, or a part of one, is made from a file.
type plan struct {
	node  *node // nil: the file does not have it; null
	field arrow.Field
	elem  *plan
	// children of a struct, in the order of the result
	children []*plan
	leaf     *leaf
	leaves   []*leaf // all that are read for it, leaf included
}

// settleSchema is the schema of the source: what is declared, and what the files have beyond it where the mode lets them.
func settleSchema(spec sources.SchemaSpec, files []*file) ([]arrow.Field, error) {
	declared := map[string]sources.Column{}
	var fields []arrow.Field
	for _, c := range spec.Columns {
		declared[c.Field.Name] = c
		fields = append(fields, c.Field)
	}
	var extra []arrow.Field
	for _, f := range files {
		have := map[string]bool{}
		var fresh []arrow.Field
		for _, n := range f.cols {
			name := n.field.Name
			have[name] = true
			c, ok := declared[name]
			switch {
			case ok && n.err != nil: // it counts only if the column is needed
			case ok:
				if _, err := bind(n, c.Field, spec.Mode != sources.Strict); err != nil {
					return nil, fail.Newf(fail.Data, "%w", err).In(f.in.URI).Of(name, "")
				}
			case len(declared) > 0 && spec.Mode == sources.Strict:
				return nil, fail.Newf(fail.Data, "column is not declared, and the schema is strict").In(f.in.URI).Of(name, "")
			default:
				fresh = append(fresh, n.field)
			}
		}
		if spec.Mode == sources.Strict {
			for _, c := range spec.Columns {
				if !have[c.Field.Name] {
					return nil, fail.Newf(fail.Data, "column is declared, but the file does not have it").In(f.in.URI).Of(c.Field.Name, "")
				}
			}
		}
		var err error
		if extra, err = schema.UnionFields(extra, fresh); err != nil {
			return nil, fail.Newf(fail.Data, "column %w", err).In(f.in.URI)
		}
	}
	for _, f := range extra {
		fields = append(fields, settle(f))
	}
	return fields, nil
}

// bind makes the plan that turns n into field to. With partial, fields of a struct that n lacks are null and those that
// it has beyond are left out; else they must be the same.
func bind(n *node, to arrow.Field, partial bool) (*plan, error) {
	if n.err != nil {
		return nil, n.err
	}
	p := &plan{node: n, field: to}
	drift := func() error {
		return fmt.Errorf("%q is %s in the file, but %s is wanted", n.path, schema.TypeName(n.field), schema.TypeName(to))
	}
	switch n.shape {
	case leafShape:
		if !canRead(n, to) {
			return nil, drift()
		}
		p.leaf = n.leaf
		p.leaves = []*leaf{n.leaf}
	case listShape:
		t, ok := to.Type.(*arrow.ListType)
		if !ok {
			return nil, drift()
		}
		elem, err := bind(n.elem, t.ElemField(), partial)
		if err != nil {
			return nil, err
		}
		p.elem, p.leaves = elem, elem.leaves
	case structShape:
		t, ok := to.Type.(*arrow.StructType)
		if !ok {
			return nil, drift()
		}
		byName := map[string]*node{}
		for _, c := range n.children {
			byName[c.field.Name] = c
		}
		for _, f := range t.Fields() {
			c, ok := byName[f.Name]
			if !ok {
				if !partial {
					return nil, fmt.Errorf("%q lacks the declared %q", n.path, f.Name)
				}
				p.children = append(p.children, &plan{field: f})
				continue
			}
			delete(byName, f.Name)
			child, err := bind(c, f, partial)
			if err != nil {
				return nil, err
			}
			p.children = append(p.children, child)
			p.leaves = append(p.leaves, child.leaves...)
		}
		for name := range byName {
			if !partial {
				return nil, fmt.Errorf("%q has %q, which is not declared", n.path, name)
			}
		}
		if len(p.leaves) == 0 {
			return nil, drift()
		}
	}
	return p, nil
}

// canRead tells whether a leaf's values can become the wanted field, each exactly or refused one by one.
func canRead(n *node, to arrow.Field) bool {
	if schema.Widens(n.field, to) {
		return true
	}
	// the old 96-bit timestamps do not say whether they are instants
	return n.leaf.kind.base == int96Base && arrow.TypeEqual(to.Type, schema.Timestamptz)
}

// project keeps the needed fields; nil needs all.
func project(fields []arrow.Field, need map[string]bool) []arrow.Field {
	if need == nil {
		return fields
	}
	var out []arrow.Field
	for _, f := range fields {
		if need[f.Name] {
			out = append(out, f)
		}
	}
	return out
}

// bindFile makes the plans of one file for the fields of the result; a nil plan is a column the file does not have, or one of
// a type that is not supported, of which refused tells the first.
func bindFile(f *file, fields []arrow.Field, spec sources.SchemaSpec) (plans []*plan, refused, err error) {
	byName := map[string]*node{}
	for _, n := range f.cols {
		byName[n.field.Name] = n
	}
	partial := spec.Mode != sources.Strict || len(spec.Columns) == 0
	plans = make([]*plan, len(fields))
	for i, field := range fields {
		n, ok := byName[field.Name]
		if !ok {
			continue
		}
		if n.err != nil { // names the column itself
			if refused == nil {
				refused = fail.Newf(fail.Input, "%w", n.err).In(f.in.URI)
			}
			continue
		}
		p, err := bind(n, field, partial)
		if err != nil {
			return nil, nil, fail.Newf(fail.Data, "%w", err).In(f.in.URI).Of(field.Name, "")
		}
		plans[i] = p
	}
	return plans, refused, nil
}

// settle replaces the type of columns that hold nothing but null by string.
func settle(f arrow.Field) arrow.Field {
	switch t := f.Type.(type) {
	case *arrow.NullType:
		f.Type = arrow.BinaryTypes.String
	case *arrow.ListType:
		f.Type = arrow.ListOfField(settle(t.ElemField()))
	case *arrow.StructType:
		fields := make([]arrow.Field, t.NumFields())
		for i, c := range t.Fields() {
			fields[i] = settle(c)
		}
		f.Type = arrow.StructOf(fields...)
	}
	return f
}
