// Package csv is the files that are comma separated values by RFC 4180, with a header, and line feeds at the ends of lines.
package csv

import (
	"errors"

	"github.com/apache/arrow/go/v17/arrow"

	"github.com/sluice-data/sluice/internal/fail"
	"github.com/sluice-data/sluice/sinks"
	"github.com/sluice-data/sluice/sinks/files"
	"github.com/sluice-data/sluice/sinks/files/cells"
	"github.com/sluice-data/sluice/sinks/files/lines"
)

func init() { files.Register(Format) }

// Format is CSV as it registers itself.
var Format = files.Format{
	Name: "csv",
	Doc: "CSV files part-<run id>-<nnnnn>.csv.gz by RFC 4180, with a header. Null is null_value, by default the empty field; an empty text is \"\", and a " +
		"text that would be taken for null is in quotes, so both come back. Numbers have all their digits, dates and times are as PostgreSQL prints them, " +
		"lists, structs and json are JSON. A row with a NUL or a text that is no UTF-8, or with NaN or an infinity in a list or struct, is a bad row. Compressed (gzip, zstd or none) in blocks, by all lanes; one file is one stream for every reader. After the " +
		"commit the rows are counted in what the store gives back.",
	Example:     "sink:\n  uri: s3://curated/trips_daily/\n  format: csv\n  csv: {delimiter: \";\", null_value: \"NA\", compression: gzip}\n",
	Extensions:  lines.Extensions(".csv"),
	Options:     readOptions,
	Constraints: constraints,
	Open:        open,
}

func open(req files.Request) (files.Writer, error) {
	o, _ := req.Options.(Options)
	o = o.withDefaults()
	if err := o.check(); err != nil {
		return nil, fail.Newf(fail.Usage, "csv: %w", err)
	}
	names := map[string]bool{}
	for _, f := range req.Schema.Fields() {
		if names[f.Name] {
			return nil, fail.Newf(fail.Usage, "two columns are named %q", f.Name).Of(f.Name, "")
		}
		names[f.Name] = true
		if err := check(f); err != nil {
			return nil, err
		}
	}
	head := []byte(nil)
	if !o.NoHeader {
		q := newQuoting(o)
		for i, f := range req.Schema.Fields() {
			if i > 0 {
				head = append(head, o.Delimiter)
			}
			var err error
			if head, err = q.append(head, []byte(f.Name)); err != nil {
				return nil, fail.Newf(fail.Usage, "the name of the column: %w", err).Of(f.Name, "")
			}
		}
		head = append(head, '\n')
	}
	w, err := lines.New(lines.Format{Extension: ".csv", ContentType: "text/csv; charset=utf-8", Head: head, Quote: '"', Compression: o.Compression,
		NewAppender: func() (lines.Appender, error) { return &appender{schema: req.Schema, q: newQuoting(o)}, nil }})
	if err != nil {
		return nil, err
	}
	return w, nil
}

// check says why a column of that field cannot be in a CSV file.
func check(f arrow.Field) error {
	t := f.Type
	if d, ok := t.(*arrow.DictionaryType); ok {
		t = d.ValueType
	}
	switch t.ID() {
	case arrow.BINARY, arrow.LARGE_BINARY, arrow.FIXED_SIZE_BINARY:
		return fail.Newf(fail.Usage, "a CSV file has no place for bytes that are no text: derive encode(column, 'base64') or encode(column, 'hex')").Of(f.Name, "")
	}
	return cells.CheckJSON(f)
}

// constraints is what values of the field a CSV file cannot hold.
func constraints(f arrow.Field) []sinks.Constraint {
	t := f.Type
	if d, ok := t.(*arrow.DictionaryType); ok {
		t = d.ValueType
	}
	switch {
	case arrow.IsFloating(t.ID()): // NaN and infinities are words
		return nil
	case t.ID() != arrow.STRING && t.ID() != arrow.LARGE_STRING:
		return cells.InJSON(f)
	}
	return []sinks.Constraint{{Column: f.Name, Because: "readers of CSV take UTF-8 without NUL", Check: func(a arrow.Array, refuse func(int, string)) {
		null, text := cells.Null(a), cells.Texts(a)
		for i := range a.Len() {
			if null(i) {
				continue
			}
			if err := checkText(text(i)); err != nil {
				refuse(i, err.Error())
			}
		}
	}}}
}

// appender prints the rows of one lane's records.
type appender struct {
	schema *arrow.Schema
	q      *quoting
	cells  []cell
	text   []byte // scratch for a value that is JSON
}

// cell is a column of the record being printed. One of plain, text and json is there.
type cell struct {
	null  func(i int) bool
	plain cells.Print
	text  cells.Bytes
	json  cells.JSON
}

func (a *appender) Append(dst []byte, rec arrow.Record) ([]byte, error) {
	a.cells = a.cells[:0]
	for i, f := range a.schema.Fields() {
		col := rec.Column(i)
		c := cell{null: cells.Null(col)}
		if c.plain = cells.Plain(col); c.plain == nil {
			if c.text = cells.Texts(col); c.text == nil {
				c.json = cells.Values(f, col)
			}
		}
		a.cells = append(a.cells, c)
	}
	defer clear(a.cells) // they hold the columns
	for row := range int(rec.NumRows()) {
		for i := range a.cells {
			if i > 0 {
				dst = append(dst, a.q.delimiter)
			}
			var err error
			if dst, err = a.cell(dst, &a.cells[i], row); err != nil {
				if e := (*fail.Error)(nil); errors.As(err, &e) {
					return nil, err
				}
				return nil, fail.Newf(fail.Data, "%w", err).Of(a.schema.Field(i).Name, string(a.cells[i].text(row)))
			}
		}
		dst = append(dst, '\n')
	}
	return dst, nil
}

func (a *appender) cell(dst []byte, c *cell, row int) ([]byte, error) {
	switch {
	case c.null(row):
		return append(dst, a.q.null...), nil
	case c.plain != nil:
		at := len(dst)
		dst = c.plain(dst, row)
		if string(dst[at:]) == a.q.null { // a number that is what null is, too
			dst = append(append(dst[:at], '"'), a.q.null...)
			dst = append(dst, '"')
		}
		return dst, nil
	case c.text != nil:
		return a.q.append(dst, c.text(row))
	}
	var err error
	if a.text, err = c.json(a.text[:0], row); err != nil {
		return dst, err
	}
	return a.q.append(dst, a.text)
}
