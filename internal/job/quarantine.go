package job

import (
	"compress/gzip"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"unicode/utf8"

	"github.com/sluice-data/sluice/internal/fail"
	"github.com/sluice-data/sluice/internal/objstore"
	"github.com/sluice-data/sluice/internal/spec"
	"github.com/sluice-data/sluice/pipeline"
)

// quarantinePart is how many bad rows go into one quarantine object.
const quarantinePart = 1_000_000

// quarantine writes bad rows as gzipped JSON Lines through uploads that stay invisible until commit.
type quarantine struct {
	store  objstore.Store
	prefix objstore.Ref // ends in "/<run_id>/"
	runID  string
	limit  spec.Errors

	parts []*quarantinePartFile
	rows  int64
}

type quarantinePartFile struct {
	ref  objstore.Ref
	up   objstore.Upload
	gz   *gzip.Writer
	json *json.Encoder
	rows int64
}

// quarantined is one bad row as it is written. Every key of the contract is there; null is what the format does not have.
type quarantined struct {
	RunID    string `json:"run_id"`
	Input    string `json:"input"`
	Line     *int64 `json:"line"`
	Offset   *int64 `json:"offset"`
	Column   string `json:"column"`
	Reason   string `json:"reason"`
	Value    string `json:"value"`
	Raw      string `json:"raw"`
	Encoding string `json:"raw_encoding,omitempty"`   // "base64" where raw is not UTF-8
	ValueIn  string `json:"value_encoding,omitempty"` // likewise
}

// Write appends the rows and fails when they are more than errors.max_rows allows.
func (q *quarantine) Write(ctx context.Context, rs []pipeline.Reject) error {
	for i := range rs {
		if err := q.add(ctx, &rs[i]); err != nil {
			return err
		}
		q.rows++
		if most := q.limit.MaxRows; most >= 0 && q.rows > most {
			return fail.Newf(fail.Data, "more than errors.max_rows = %d bad rows; the last one: %w", most, rs[i].Err())
		}
	}
	return nil
}

func (q *quarantine) add(ctx context.Context, r *pipeline.Reject) error {
	if n := len(q.parts); n == 0 || q.parts[n-1].rows == quarantinePart {
		if err := q.open(ctx); err != nil {
			return err
		}
	}
	p := q.parts[len(q.parts)-1]
	row := quarantined{RunID: q.runID, Input: r.Input, Column: r.Column, Reason: r.Reason, Value: r.Value, Raw: string(r.Raw)}
	if r.Line > 0 {
		row.Line = &r.Line
	}
	if r.Offset >= 0 {
		row.Offset = &r.Offset
	}
	if !utf8.ValidString(r.Value) { // JSON would replace the bytes that are not
		row.Value, row.ValueIn = base64.StdEncoding.EncodeToString([]byte(r.Value)), "base64"
	}
	if !utf8.Valid(r.Raw) {
		row.Raw, row.Encoding = base64.StdEncoding.EncodeToString(r.Raw), "base64"
	}
	if err := p.json.Encode(row); err != nil {
		return fail.Wrap(fail.Temporary, fmt.Errorf("write quarantine %s: %w", p.ref, err))
	}
	p.rows++
	return nil
}

// quarantineRef is the run's nth quarantine object.
func quarantineRef(prefix objstore.Ref, n int) objstore.Ref {
	prefix.Key += fmt.Sprintf("part-%05d.jsonl.gz", n)
	return prefix
}

func (q *quarantine) open(ctx context.Context) error {
	ref := quarantineRef(q.prefix, len(q.parts))
	up, err := q.store.Upload(ctx, ref, "application/gzip")
	if err != nil {
		return err
	}
	p := &quarantinePartFile{ref: ref, up: up, gz: gzip.NewWriter(up)}
	p.json = json.NewEncoder(p.gz)
	p.json.SetEscapeHTML(false)
	q.parts = append(q.parts, p)
	return nil
}

// check holds the rate limit against all rows read.
func (q *quarantine) check(read int64) error {
	// A rate in decimal is no exact float: what is at the limit must not be over it.
	if most := q.limit.MaxRate; most >= 0 && float64(q.rows) > most*float64(read)*(1+1e-12) {
		return fail.Newf(fail.Data, "%d of %d rows are bad: more than errors.max_rate = %g%%", q.rows, read, most*100)
	}
	return nil
}

// Commit makes the quarantine objects visible and lists them.
func (q *quarantine) Commit(ctx context.Context) ([]FileRef, error) {
	var out []FileRef
	for _, p := range q.parts {
		if err := p.gz.Close(); err != nil {
			return nil, fail.Wrap(fail.Temporary, fmt.Errorf("write quarantine %s: %w", p.ref, err))
		}
		info, err := p.up.Complete(ctx)
		if err != nil {
			return nil, err
		}
		out = append(out, FileRef{URI: info.Ref.String(), Key: info.Ref.Key, Size: info.Size, Rows: p.rows, ETag: info.ETag})
	}
	return out, nil
}

// Abort gives up every open upload and reports the first that could not be.
func (q *quarantine) Abort(ctx context.Context) error {
	var first error
	for _, p := range q.parts {
		if err := p.up.Abort(ctx); err != nil && first == nil {
			first = err
		}
	}
	return first
}
