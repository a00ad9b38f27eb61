package spec

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"

	"github.com/apache/arrow/go/v17/arrow"

	"github.com/sluice-data/sluice/internal/schema"
)

// Canonical is the pipeline as JSON, for the run id: the same for files that differ only in comments, formatting, quoting, the
// order of settings, and spelled-out defaults; without tests, and without source.uri, for which an event may stand in: the run id has the inputs
// themselves. The order of columns, steps and a step's arguments is kept, because it decides the order of the output's columns.
func (p *Pipeline) Canonical() []byte {
	source := p.Source.identity()
	delete(source, "uri")
	steps := make([]any, len(p.Steps))
	for i, s := range p.Steps {
		steps[i] = []any{s.Name, s.Node.canonical()}
	}
	doc := map[string]any{
		"version": p.Version, "name": p.Name,
		"source": source, "schema": p.Schema.identity(),
		"errors": map[string]any{"given": p.Errors.At != nil, "quarantine": p.Errors.Quarantine, "max_rate": p.Errors.MaxRate, "max_rows": p.Errors.MaxRows},
		"steps":  steps,
		"sink":   p.Sink.identity(),
	}
	if s := p.Schema; s.Lock != "" || s.Drift != (Drift{}) { // absent without: run ids stay
		doc["drift"] = map[string]any{"lock": s.Lock, "drift": s.Drift}
	}
	if p.Sink.Mode != Append { // absent without: run ids stay
		doc["mode"] = p.Sink.Mode
	}
	if len(p.Lookups) > 0 {
		tables := map[string]any{}
		for _, r := range p.Lookups {
			tables[r.Name] = r.Identity()
		}
		doc["lookups"] = tables
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(doc); err != nil {
		panic("spec: canonical form: " + err.Error()) // only strings, numbers, lists and maps: cannot fail
	}
	return bytes.TrimSpace(b.Bytes())
}

// identity is the source as JSON values, for the run id.
func (s *Source) identity() map[string]any {
	csv := s.CSV
	if csv.Quote == `"` {
		csv.Quote = ""
	}
	if slices.Equal(csv.NullValues, []string{""}) {
		csv.NullValues = nil
	}
	return map[string]any{"uri": s.URI, "format": s.Format, "compression": s.Compression, "csv": csv}
}

// identity is the sink as JSON values, for the run id. The two targets that are there without being asked for keep the ids of runs without targets
// as they were.
func (s *Sink) identity() any {
	out := map[string]any{"uri": s.URI, "partition_by": append([]string{}, s.PartitionBy...), "target_file_size": s.TargetFileSize,
		"redshift": nil, "glue": nil}
	if s.Format != "parquet" {
		out["format"] = s.Format
	}
	if s.PartitionAt != nil && slices.ContainsFunc(s.PartitionAt.items, (*Node).IsMap) {
		out["partition_by"] = s.PartitionAt.canonical()
	}
	if s.SortBy != nil {
		out["sort_by"] = s.SortBy.canonical()
	}
	if s.Options != nil {
		maps.Copy(out, s.Options.Identity())
	}
	for _, t := range s.Targets {
		block := map[string]any{}
		for _, e := range t.Value.entries {
			block[e.Key] = e.Value.canonical()
		}
		out[t.Key] = block
	}
	return out
}

// identity is the schema as JSON values, for the run id.
func (s *Schema) identity() any {
	type column struct {
		Name, Type, Format, TZ string
		Checks                 []string
		Drift                  string `json:",omitempty"`
	}
	cols := make([]column, len(s.Columns))
	for i, c := range s.Columns {
		cols[i] = column{Name: c.Field.Name, Type: schema.TypeName(c.Field), Format: c.Format, TZ: c.TZ, Drift: c.Drift}
		if t, ok := c.Field.Type.(*arrow.TimestampType); ok && t.TimeZone != "" && c.TZ == "UTC" { // the default
			cols[i].TZ = ""
		}
		for _, k := range c.Checks {
			if k.NotNull {
				cols[i].Checks = append(cols[i].Checks, "not_null")
			} else {
				cols[i].Checks = append(cols[i].Checks, k.Expr.text)
			}
		}
	}
	return map[string]any{"mode": s.Mode, "columns": cols}
}

// canonical is the node as JSON values; mappings become lists of pairs, which keeps their order.
func (n *Node) canonical() any {
	if n == nil {
		return nil
	}
	switch n.kind {
	case mapping:
		out := make([]any, len(n.entries))
		for i, e := range n.entries {
			out[i] = []any{e.Key, e.Value.canonical()}
		}
		return map[string]any{"map": out}
	case sequence:
		out := make([]any, len(n.items))
		for i, it := range n.items {
			out[i] = it.canonical()
		}
		return out
	case null:
		return nil
	}
	return n.text
}
