package spec

import (
	"strings"
)

// ReferenceKeys say where a reference table is and how to read it.
var ReferenceKeys = []string{"uri", "format", "compression", "csv", "schema"}

// Reference is a reference table: one of the lookups: block, or one written out in a step.
type Reference struct {
	Name string // in lookups:; "" if it is written out in a step
	Source
	Schema Schema
}

// readLookups reads the lookups: block.
func (p *Pipeline) readLookups(root *Node) error {
	n := root.Get("lookups")
	if n == nil {
		return nil
	}
	entries, err := n.Map()
	if err != nil {
		return err
	}
	for _, e := range entries {
		if strings.TrimSpace(e.Key) == "" {
			return e.At.Errorf("a table of lookups needs a name")
		}
		if _, err := e.Value.Map(ReferenceKeys...); err != nil {
			return err
		}
		ref, err := ReadReference(e.Value)
		if err != nil {
			return err
		}
		ref.Name = e.Key
		p.Lookups = append(p.Lookups, ref)
	}
	return nil
}

// ReadReference reads the ReferenceKeys of a mapping, which may have others.
func ReadReference(n *Node) (Reference, error) {
	r := Reference{Source: Source{At: n}}
	f := fields{n: n}
	r.Source.read(&f)
	if f.err == nil && r.URIAt == nil {
		f.fail(n.Errorf("a reference table needs uri: s3://bucket/key or a path"))
	}
	if f.err == nil {
		f.fail(r.Schema.read(n.Get("schema")))
	}
	if s := n.Get("schema"); f.err == nil && s != nil {
		_, err := s.Map("mode", "columns")
		f.fail(err)
	}
	for _, c := range r.Schema.Columns {
		if f.err == nil && len(c.Checks) > 0 {
			f.fail(c.At.Errorf("column %q: checks are for the input, not for a reference table", c.Field.Name))
		}
	}
	return r, f.err
}

// Identity is the same for references that read the same rows the same way.
func (r Reference) Identity() any {
	return map[string]any{"source": r.Source.identity(), "schema": r.Schema.identity()}
}
