package spec

import (
	"slices"
	"strings"
)

// Keys of a reference table that is files, and of one that is what a query of PostgreSQL gives. ReferenceKeys are all of them.
var (
	fileKeys      = []string{"format", "compression", "csv", "schema"}
	queryKeys     = []string{"query", "dsn_env", "password_env", "password_file"}
	ReferenceKeys = slices.Concat([]string{"uri"}, fileKeys, queryKeys)
)

// Reference is a reference table: one of the lookups: block, or one written out in a step.
type Reference struct {
	Name string // in lookups:; "" if it is written out in a step
	Source
	Schema Schema
	Query  *Node  // of PostgreSQL; nil where the table is files
	DSNEnv string // the variable that holds the database's URL, in place of Source.URI
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
	f.str("dsn_env", &r.DSNEnv)
	if f.err == nil {
		f.fail(r.readQuery(n))
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

// readQuery reads query: and holds the other keys against its being there or not.
func (r *Reference) readQuery(n *Node) error {
	scheme, _, _ := strings.Cut(r.URI, "://")
	database := r.DSNEnv != "" || scheme == "postgres" || scheme == "postgresql"
	r.Query = n.Get("query")
	switch {
	case r.URIAt == nil && !database:
		return n.Errorf("a reference table needs uri: s3://bucket/key or a path, or postgres://user@host/database with query: SELECT …")
	case !database:
		for _, key := range queryKeys {
			if v := n.Get(key); v != nil {
				return v.Errorf("%s is for a table of PostgreSQL: uri: postgres://user@host/database", key)
			}
		}
		return nil
	case r.Query == nil:
		return n.Errorf("a table of PostgreSQL needs query: SELECT …")
	}
	for _, key := range fileKeys {
		if v := n.Get(key); v != nil {
			return v.Errorf("%s is for files: what a query gives has its types, which casts in it change", key)
		}
	}
	text, err := r.Query.Str()
	if err == nil && strings.TrimSpace(text) == "" {
		err = r.Query.Errorf("query is empty")
	}
	return err
}

// Identity is the same for references that read the same rows the same way. Where a password comes from does not count.
func (r Reference) Identity() any {
	id := map[string]any{"source": r.Source.identity(), "schema": r.Schema.identity()}
	if r.Query != nil { // absent without: run ids stay
		id["query"], id["dsn_env"] = r.Query.canonical(), r.DSNEnv
	}
	return id
}
