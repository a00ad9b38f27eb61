// Package jsonl is the files that are JSON Lines: an object for each row, with every column as a key.
package jsonl

import (
	"github.com/apache/arrow/go/v17/arrow"

	"github.com/sluice-data/sluice/internal/fail"
	"github.com/sluice-data/sluice/internal/spec"
	"github.com/sluice-data/sluice/sinks"
	"github.com/sluice-data/sluice/sinks/files"
	"github.com/sluice-data/sluice/sinks/files/cells"
	"github.com/sluice-data/sluice/sinks/files/lines"
)

func init() { files.Register(Format) }

// Format is JSON Lines as it registers itself.
var Format = files.Format{
	Name: "jsonl",
	Doc: "JSON Lines files part-<run id>-<nnnnn>.jsonl.gz: an object for each row, UTF-8, in the order of the columns, null as null. Numbers have all " +
		"their digits, dates and times are strings, binary values base64, lists and structs arrays and objects, json stands as it is (its null cannot be told from " +
		"no value). A row with NaN, an infinity or a text that is no UTF-8 is a bad row. Compressed (gzip, zstd or none) in blocks, by all lanes; one file is one stream for every reader. After the commit the rows are " +
		"counted in what the store gives back.",
	Example:     "sink:\n  uri: s3://curated/events/\n  format: jsonl\n  jsonl: {compression: zstd}\n",
	Extensions:  lines.Extensions(".jsonl"),
	Options:     readOptions,
	Constraints: cells.InJSON,
	Open:        open,
}

// Options is the jsonl: block of a sink.
type Options struct{ lines.Compression }

// Identity has what is not the default.
func (o Options) Identity() map[string]any { return map[string]any{"jsonl": o.String()} }

// QuickSight is what its manifest says of such files.
func (o Options) QuickSight() (map[string]string, error) {
	if err := o.Compression.QuickSight(); err != nil {
		return nil, err
	}
	return map[string]string{"format": "JSON"}, nil
}

func readOptions(n *spec.Node) (sinks.Options, error) {
	o := Options{}
	if n == nil {
		return o, nil
	}
	r := spec.Read(n, "compression", "level")
	o.Read(r)
	return o, r.Err()
}

func open(req files.Request) (files.Writer, error) {
	o, _ := req.Options.(Options)
	names := map[string]bool{}
	for _, f := range req.Schema.Fields() {
		if names[f.Name] {
			return nil, fail.Newf(fail.Usage, "two columns are named %q", f.Name).Of(f.Name, "")
		}
		names[f.Name] = true
		if err := cells.CheckJSON(f); err != nil {
			return nil, err
		}
	}
	w, err := lines.New(lines.Format{Extension: ".jsonl", ContentType: "application/x-ndjson", Compression: o.Compression,
		NewAppender: func() (lines.Appender, error) { return newAppender(req.Schema), nil }})
	if err != nil {
		return nil, err
	}
	return w, nil
}

type appender struct {
	schema *arrow.Schema
	keys   [][]byte
	of     []cells.JSON
}

func newAppender(s *arrow.Schema) *appender {
	a := &appender{schema: s, of: make([]cells.JSON, s.NumFields())}
	for i, f := range s.Fields() {
		a.keys = append(a.keys, cells.Key(f.Name, i == 0))
	}
	return a
}

func (a *appender) Append(dst []byte, rec arrow.Record) ([]byte, error) {
	for i, f := range a.schema.Fields() {
		a.of[i] = cells.Values(f, rec.Column(i))
	}
	defer clear(a.of) // they hold the columns
	for row := range int(rec.NumRows()) {
		dst = append(dst, '{')
		for i, of := range a.of {
			dst = append(dst, a.keys[i]...)
			var err error
			if dst, err = of(dst, row); err != nil {
				return nil, err
			}
		}
		dst = append(dst, '}', '\n')
	}
	return dst, nil
}
