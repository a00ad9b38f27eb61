// Package csv reads comma and tab separated values: RFC 4180 and what is called by its name. It cuts inputs at record ends with
// the very rules it decodes by, indexes the fields of a piece of them, and converts each column that is wanted in a loop of
// its own straight into Arrow buffers.
package csv

import (
	"context"
	"io"
	"slices"

	"github.com/apache/arrow/go/v17/arrow"

	"github.com/sluice-data/sluice/internal/fail"
	"github.com/sluice-data/sluice/pipeline"
	"github.com/sluice-data/sluice/sources"
)

const doc = `Values separated by commas (or ; tab | : as found or told), one record a line, quoted fields with doubled quotes and line breaks.

Null: an unquoted field equal to one of null_values (by default the empty one). A quoted empty field is the empty text in a string column
and null in any other. Strings are never trimmed; spaces around numbers, dates and truth values are ignored. Blank lines are passed over, but
in a file of one column each is a row with an empty value. Lines end in a line feed, with or without carriage returns before it, or, if most
lines of the head do, in a carriage return. A record with more or fewer fields than the others, with text after a closing quote, a NUL byte, invalid
UTF-8 or a value that does not fit its column's type exactly is rejected with its place and reason. Offsets count in the decompressed text, after it
was turned into UTF-8.`

func init() {
	sources.Register(sources.Format{
		Name: "csv", Doc: doc, Extensions: []string{".csv"},
		Example: "source: {uri: s3://raw/trips/*.csv.gz, format: csv, csv: {delimiter: \";\", null_values: [\"\", \"NA\"], encoding: windows-1252}}",
		Detect:  func(head []byte, _ bool) int { return detect(head, false) },
		Open:    func(ctx context.Context, req sources.Request) (pipeline.Source, error) { return open(ctx, req, false) },
		Survey:  func(ctx context.Context, req sources.Request) (sources.Survey, error) { return survey(ctx, req, false) },
	})
	sources.Register(sources.Format{
		Name: "tsv", Doc: "Values separated by tabs; otherwise as csv.", Extensions: []string{".tsv", ".tab"},
		Example: "source: {uri: s3://raw/trips.tsv, format: tsv}",
		Detect:  func(head []byte, _ bool) int { return detect(head, true) },
		Open:    func(ctx context.Context, req sources.Request) (pipeline.Source, error) { return open(ctx, req, true) },
		Survey:  func(ctx context.Context, req sources.Request) (sources.Survey, error) { return survey(ctx, req, true) },
	})
}

// settings are the options of a request, checked.
type settings struct {
	dialect  dialect // delim 0 = to be detected in each input
	header   *bool
	skipRows int
	encoding string
	nulls    nullTexts
}

func newSettings(o sources.Options, tab bool) (*settings, error) {
	d, err := newDialect(o, tab)
	if err != nil {
		return nil, err
	}
	if err := sources.CheckEncoding(o.Encoding); err != nil {
		return nil, fail.Wrap(fail.Usage, err)
	}
	return &settings{dialect: d, header: o.Header, skipRows: o.SkipRows, encoding: o.Encoding, nulls: newNullTexts(o.NullValues)}, nil
}

// nullTexts are the unquoted texts that mean null.
type nullTexts struct {
	empty bool
	other [][]byte // not empty
}

func newNullTexts(values []string) nullTexts {
	if values == nil {
		return nullTexts{empty: true}
	}
	var n nullTexts
	for _, v := range values {
		if v == "" {
			n.empty = true
		} else {
			n.other = append(n.other, []byte(v))
		}
	}
	return n
}

// has reports whether the unquoted text b means null.
func (n *nullTexts) has(b []byte) bool {
	if len(b) == 0 {
		return n.empty
	}
	for _, v := range n.other {
		if string(v) == string(b) {
			return true
		}
	}
	return false
}

// source is a bound CSV source.
type source struct {
	*settings
	req      sources.Request
	mode     sources.Mode
	declared []string
	known    []string          // names that a header is known by
	wanted   map[string]column // of a survey: declared, but what the inputs have is looked at all the same
	cols     []plan            // of the schema
	schema   *arrow.Schema
	chunker  *sources.Chunker
	layout   *layout // of the input the chunker is in
	bound    *layout // of the last one that was not bound as the one before it
}

func open(ctx context.Context, req sources.Request, tab bool) (pipeline.Source, error) {
	s, err := newSource(req, tab)
	if err != nil {
		return nil, err
	}
	if err := s.settle(ctx); err != nil {
		return nil, err
	}
	s.chunker = s.newChunker(s.begin)
	return s, nil
}

// newSource is the source that req asks for, of which nothing is read yet.
func newSource(req sources.Request, tab bool) (*source, error) {
	set, err := newSettings(req.Options, tab)
	if err != nil {
		return nil, err
	}
	s := &source{settings: set, req: req, mode: req.Schema.Mode}
	if s.req.ChunkBytes <= 0 {
		s.req.ChunkBytes = 1 << 20
	}
	if s.mode == "" {
		s.mode = sources.Strict
		if len(req.Schema.Columns) == 0 {
			s.mode = sources.Infer
		}
	}
	for _, c := range req.Schema.Columns {
		s.declared = append(s.declared, c.Field.Name)
	}
	s.known = s.declared
	return s, nil
}

// maxChunk keeps offsets in 32 bits, and Arrow's string offsets too.
const maxChunk = 1 << 30

func (s *source) newChunker(begin func(ctx context.Context, i int, head []byte, eof bool) (int, int64, error)) *sources.Chunker {
	return sources.NewChunker(s.req.Inputs, sources.ChunkerOptions{
		ChunkBytes: min(s.req.ChunkBytes, maxChunk), MaxRecord: min(s.req.MaxRecord, maxChunk), Buffers: max(s.req.Lanes, 1) + 2, Waited: s.req.Waited,
		Begin:      begin,
		Wrap:       func(i int, r io.Reader) (io.Reader, error) { return s.transcode(s.req.Inputs[i].URI, r) },
		Cut:        func(b []byte, _ bool) int { return s.layout.cut(b) },
		CountLines: func(b []byte) int64 { return s.layout.countLines(b) },
	})
}

func (s *source) transcode(uri string, r io.Reader) (io.Reader, error) {
	return sources.Transcode(s.encoding, uri, r)
}

// begin binds input i, of which head are the first bytes.
func (s *source) begin(_ context.Context, i int, head []byte, eof bool) (skip int, lines int64, err error) {
	uri := s.req.Inputs[i].URI
	h, more, err := s.readHead(uri, head, eof, s.known)
	if more || err != nil {
		return -1, 0, err
	}
	if !h.empty {
		if err := s.bind(uri, &h); err != nil {
			return 0, 0, err
		}
	}
	s.layout = &h.layout
	return h.begin, h.lines, nil
}

// bind says where in an input of layout h the source's columns are.
func (s *source) bind(uri string, h *headed) error {
	if b := s.bound; b != nil && b.header == h.header && slices.Equal(b.names, h.names) {
		h.field = b.field
		return nil
	}
	if s.mode == sources.Strict {
		if err := h.checkDrift(uri, s.declared); err != nil {
			return err
		}
	}
	at := make(map[string]int, len(h.names))
	for i, name := range s.namesOf(h) {
		at[name] = i
	}
	h.field = make([]int, len(s.cols))
	for c := range s.cols {
		i, ok := at[s.cols[c].name]
		if !ok {
			i = -1
		}
		h.field[c] = i
	}
	s.bound = &h.layout
	return nil
}

// namesOf are the names of h's fields: without a header, those of the declared columns, by position. It does not change h, which
// lanes share.
func (s *source) namesOf(h *headed) []string {
	if h.header {
		return h.names
	}
	names := slices.Clone(h.names)
	copy(names, s.declared)
	return names
}

// Schema is that of the batches every decoder makes.
func (s *source) Schema() *arrow.Schema { return s.schema }

// Next returns the next chunk; its Part is the input's layout.
func (s *source) Next(ctx context.Context) (*pipeline.Chunk, error) {
	c, err := s.chunker.Next(ctx)
	if err != nil {
		return nil, err
	}
	c.Part = s.layout
	return c, nil
}

// Close stops reading.
func (s *source) Close() error { return s.chunker.Close() }

// unsupported is the error for a declared type that text cells have no form for.
func unsupported(c sources.Column, typ string) error {
	return fail.Newf(fail.Usage, "schema line %d: column %q: CSV has no %s values; declare it json to keep the text", c.Line, c.Field.Name, typ)
}
