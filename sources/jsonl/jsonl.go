// Package jsonl is the JSON Lines source: one JSON object on each line, read strictly by RFC 8259 and straight into Arrow
// buffers.
//
// A value is kept exactly or its row is rejected. The choices that follow from it:
//
//   - A missing key and an explicit null are null. A key that occurs twice in an object that is read (not in json values) rejects
//     the row, and so does a key that is not declared, in strict mode.
//   - Integer and decimal columns take any JSON number of exactly that value (1.0 and 1e3 are integers, 1.7 is not). Float
//     columns take any number in range, rounded to nearest (one that would become zero is out of range). Strings are not converted to numbers or bools.
//   - String columns take strings, unescaped, and numbers and bools as the text they are written in.
//   - Binary columns take base64 (RFC 4648 section 4, padded). Dates, times and timestamps are strings in the column's format.
//   - json columns keep any value as it is written, byte for byte.
//   - Columns that the pipeline does not use are only checked to be well-formed.
//
// Inferred types hold every value they were inferred from: float64 only where it shows the digits that were written, else
// decimal; json where kinds differ, for an object without keys and one with more than 1,000; string where all is null.
package jsonl

import (
	"bytes"
	"context"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/memory"

	"github.com/sluice-data/sluice/internal/fail"
	"github.com/sluice-data/sluice/pipeline"
	"github.com/sluice-data/sluice/sources"
)

func init() {
	sources.Register(sources.Format{
		Name: "jsonl",
		Doc: "JSON Lines: one JSON object on each line, UTF-8, strictly by RFC 8259. Keys come in any order; a missing key is null. " +
			"Objects and arrays become struct and list columns, or stay text in a json column. A value that does not fit its column " +
			"exactly, a key twice in one object and, in strict mode, an undeclared key reject the row.",
		Example:    "source:\n  uri: s3://raw/events/*.jsonl.gz\n  format: jsonl\n",
		Extensions: []string{".jsonl", ".ndjson", ".json"},
		Detect:     detect,
		Open:       open,
		Survey:     survey,
	})
}

// source is a bound JSON Lines source.
type source struct {
	*sources.Chunker
	schema  *arrow.Schema
	fields  []recordKey // every known key of the records
	unknown unknown
	req     sources.Request
}

// recordKey is a known key of the records: declared or inferred, used or not.
type recordKey struct {
	arrow.Field
	format, tz     string
	inferred, used bool
}

func open(ctx context.Context, req sources.Request) (pipeline.Source, error) {
	s := &source{req: req}
	declared := map[string]bool{}
	for _, c := range req.Schema.Columns {
		if declared[c.Field.Name] {
			return nil, fail.Newf(fail.Usage, "declare columns: %q is declared twice", c.Field.Name)
		}
		declared[c.Field.Name] = true
		s.fields = append(s.fields, recordKey{Field: c.Field, format: c.Format, tz: c.TZ})
	}
	infers := req.Schema.Mode == sources.Evolve || req.Schema.Mode == sources.Infer || len(declared) == 0
	if infers {
		s.unknown = unknownMisfit
		if req.Need != nil {
			s.unknown = unknownSkip
		}
		if req.RejectUnknown {
			s.unknown = unknownReject
		}
		found, err := infer(ctx, req)
		if err != nil {
			return nil, err
		}
		for _, f := range found {
			if !declared[f.Name] {
				s.fields = append(s.fields, recordKey{Field: f, inferred: true})
			}
		}
	}
	var used []arrow.Field
	for i := range s.fields {
		f := &s.fields[i]
		if f.used = req.Need == nil || req.Need[f.Name]; f.used {
			used = append(used, f.Field)
		}
	}
	s.schema = arrow.NewSchema(used, nil)
	s.Chunker = sources.NewChunker(req.Inputs, chunkerOptions(req))
	return s, nil
}

// chunkerOptions cut inputs at line feeds.
func chunkerOptions(req sources.Request) sources.ChunkerOptions {
	return sources.ChunkerOptions{
		ChunkBytes: req.ChunkBytes, MaxRecord: req.MaxRecord, Buffers: 2*req.Lanes + 2, Consumed: req.Consumed, Waited: req.Waited,
		Begin: func(_ context.Context, i int, head []byte, eof bool) (int, int64, error) {
			if err := whole(head, eof); err != nil {
				return 0, 0, err.In(req.Inputs[i].URI).At(1, 0)
			}
			return len(head) - len(bytes.TrimPrefix(head, bom)), 0, nil
		},
	}
}

// Schema is that of the batches: declared columns first, then inferred ones in the order they were seen.
func (s *source) Schema() *arrow.Schema { return s.schema }

// Close ends the reading ahead.
func (s *source) Close() error { return s.Chunker.Close() }

// NewDecoder makes the decoder of one lane.
func (s *source) NewDecoder(mem memory.Allocator) (pipeline.Decoder, error) {
	d := &decoder{schema: s.schema, root: newObject(s.unknown), maxSize: max(4*s.req.ChunkBytes, 1<<20)}
	d.root.need = s.req.Need
	size := 1
	for _, f := range s.fields {
		if !f.used {
			continue
		}
		c, err := newColumn(mem, f.Field, f.format, f.tz, f.inferred, 1)
		if err != nil {
			return nil, fail.Wrap(fail.Usage, err)
		}
		size += c.fixed
		d.root.add(f.Name, c)
	}
	for _, f := range s.fields {
		if !f.used {
			d.root.add(f.Name, nil)
		}
	}
	d.maxRows = max(d.maxSize/size, 1)
	if s.req.ChunkRows > 0 {
		d.maxRows = min(d.maxRows, s.req.ChunkRows)
	}
	return d, nil
}

var bom = []byte("\xef\xbb\xbf")

// whole refuses an input that is JSON but not JSON Lines, where each line would be rejected: a top-level array, or values spread over
// lines. What is merely a bad first line is left to the decoder.
func whole(head []byte, eof bool) *fail.Error {
	for _, mark := range []string{"\xff\xfe", "\xfe\xff", "\x00\x00\xfe\xff"} {
		if bytes.HasPrefix(head, []byte(mark)) {
			return fail.Newf(fail.Data, "the input is UTF-16 or UTF-32: JSON Lines is UTF-8; convert it (iconv -t utf-8)")
		}
	}
	head = bytes.TrimLeft(bytes.TrimPrefix(head, bom), " \t\r\n")
	if len(head) == 0 || head[0] != '{' && head[0] != '[' {
		return nil
	}
	n := lineLen(head)
	s := scanner{b: head[:n]}
	if end := s.skip(0, 0); end >= 0 {
		more := len(bytes.TrimLeft(head[n:], " \t\r\n")) > 0
		if head[0] == '{' || more {
			return nil // a record, or one bad row among others
		}
	} else {
		slack := 16 // a token that the end of head cuts in two fails where it begins
		if eof {
			slack = 0
		}
		if n < len(head) {
			if s.pos < n {
				return nil // bad, but not because the line ends
			}
			s.b = bytes.ReplaceAll(head, []byte{'\n'}, []byte{'\t'}) // a control character inside strings, white space outside
			end = s.skip(0, 0)
		} else if head[0] == '{' {
			return nil // a long record, or one cut short
		}
		if end < 0 && (s.pos < len(head)-slack || eof) {
			return nil // does not go on there, or is cut short
		}
	}
	if head[0] == '[' {
		return fail.Newf(fail.Data, "the input is one JSON array, not JSON Lines: write one object on each line (jq -c '.[]')")
	}
	return fail.Newf(fail.Data, "the input is JSON spread over several lines, not JSON Lines: write one object on each line (jq -c .)")
}

// detect scores how much head looks like JSON Lines, or like other JSON that whole then explains.
func detect(head []byte, eof bool) int {
	head = bytes.TrimLeft(bytes.TrimPrefix(head, bom), " \t\r\n")
	if len(head) == 0 || head[0] != '{' && head[0] != '[' {
		return 0
	}
	line := head[:lineLen(head)]
	var s scanner
	switch {
	case s.record(line):
		return 3
	case len(line) == len(head) && !eof && s.pos >= len(line):
		return 2 // a long record
	case whole(head, eof) != nil:
		return 2
	case head[0] == '{' && len(line) > 1:
		return 1
	}
	return 0
}
