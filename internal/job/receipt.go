package job

import (
	"bytes"
	"encoding/json"
	"errors"
	"slices"
	"strings"

	"github.com/sluice-data/sluice/internal/fail"
	"github.com/sluice-data/sluice/internal/hive"
	"github.com/sluice-data/sluice/pipeline"
	"github.com/sluice-data/sluice/sinks"
)

// Status is how a run ended.
type Status string

const (
	Committed        Status = "committed"
	AlreadyCommitted Status = "already_committed"
	Failed           Status = "failed"
)

// Receipt is the result of a run: the last line on stdout (DESIGN section 4).
type Receipt struct {
	RunID  string     `json:"run_id,omitempty"`
	Name   string     `json:"name,omitempty"`
	Status Status     `json:"status"`
	Input  []InputRef `json:"input"`
	Rows   Rows       `json:"rows"`
	Bytes  Bytes      `json:"bytes"`
	Files  []FileRef  `json:"files"`
	// ReplacedBy are the runs that have taken the place of files of this one since, which are not among Files any more.
	ReplacedBy []ReplacedBy  `json:"replaced_by,omitempty"`
	merged     []FileRef     // those of them whose rows a compaction has put into files of its own
	Quarantine []FileRef     `json:"quarantine,omitempty"`
	Manifest   string        `json:"manifest,omitempty"`
	Deliveries []DeliveryRef `json:"deliveries,omitempty"` // as far as it came
	Lanes      int           `json:"lanes,omitempty"`
	Stages     *Stages       `json:"stages,omitempty"`
	CPU        float64       `json:"cpu_seconds,omitempty"`
	Seconds    float64       `json:"seconds"`
	PeakMemory int64         `json:"peak_memory_bytes"`
	Error      *ReceiptError `json:"error,omitempty"`
}

// InputRef is an object that was read, in the version that was read.
type InputRef struct {
	URI       string `json:"uri"`
	Size      int64  `json:"size"`
	ETag      string `json:"etag,omitempty"`
	VersionID string `json:"version_id,omitempty"`
}

// FileRef is an object that was written.
type FileRef struct {
	URI  string `json:"uri"`
	Key  string `json:"key"` // in its bucket
	Size int64  `json:"size"`
	Rows int64  `json:"rows"`
	ETag string `json:"etag,omitempty"`
	// Partition is the partition columns' values as text, null for null.
	Partition map[string]hive.Value `json:"partition,omitempty"`
}

// ReplacedBy is a run that has replaced files of another.
type ReplacedBy = sinks.Replacement

// Rows is the row account: read + added = filtered + rejected + deduplicated + folded + what went on; with no aggregate, what
// went on is what was written.
type Rows struct {
	Read         int64 `json:"read"`
	Added        int64 `json:"added,omitempty"` // rows made of others, by joins and unnest
	Filtered     int64 `json:"filtered"`
	Rejected     int64 `json:"rejected"`
	Deduplicated int64 `json:"deduplicated"`
	Folded       int64 `json:"folded"` // rows that went into groups
	Written      int64 `json:"written"`
}

// Bytes are object bytes read and data bytes written.
type Bytes struct {
	Read    int64 `json:"read"`
	Written int64 `json:"written"`
}

// ReceiptError is why a run failed, and where.
type ReceiptError struct {
	Kind    string `json:"kind"`
	Message string `json:"message"`
	File    string `json:"file,omitempty"`
	Line    int64  `json:"line,omitempty"`
	Column  any    `json:"column,omitempty"` // the data's column by name, or the pipeline file's by number
	Offset  *int64 `json:"offset,omitempty"`
	Value   string `json:"value,omitempty"`
}

// JSON is the receipt as one line with its newline.
func (r *Receipt) JSON() []byte {
	if r.Input == nil {
		r.Input = []InputRef{}
	}
	if r.Files == nil {
		r.Files = []FileRef{}
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(r); err != nil {
		panic(err) // a struct of strings and numbers always encodes
	}
	return b.Bytes()
}

// leaveOut takes the files out that runs have replaced since, by the key of each, and says which runs.
func (r *Receipt) leaveOut(m *Manifest, by map[string]replacement) {
	r.Files, r.ReplacedBy, r.merged = nil, nil, nil
	for _, f := range m.Files {
		id := by[f.Key].By
		if id == "" {
			r.Files = append(r.Files, f)
			continue
		}
		i := slices.IndexFunc(r.ReplacedBy, func(b ReplacedBy) bool { return b.RunID == id })
		if i < 0 {
			i = len(r.ReplacedBy)
			r.ReplacedBy = append(r.ReplacedBy, ReplacedBy{RunID: id, Mode: by[f.Key].Mode})
		}
		if r.ReplacedBy[i].Mode == compactMode {
			r.merged = append(r.merged, f)
		}
		r.ReplacedBy[i].Files++
		r.ReplacedBy[i].Rows += f.Rows
	}
}

// Fail marks the receipt as failed with err.
func (r *Receipt) Fail(err error) {
	r.Status = Failed
	re := &ReceiptError{Kind: fail.KindOf(err).String(), Message: strings.ReplaceAll(err.Error(), "\n", " ")}
	if e := innermost(err); e != nil {
		re.File, re.Line, re.Value = e.File, e.Line, fail.Shorten(e.Value)
		if e.Field != "" {
			re.Column = e.Field
		} else if e.Column > 0 {
			re.Column = e.Column
		}
		if off := e.Offset(); off >= 0 {
			re.Offset = &off
		}
	}
	r.Error = re
}

// innermost is the last error in the chain that has a place, or the first *fail.Error.
func innermost(err error) *fail.Error {
	var best *fail.Error
	for e := (*fail.Error)(nil); errors.As(err, &e); err = e.Err {
		if best == nil || e.File != "" {
			best = e
		}
	}
	return best
}

func rowsOf(l *pipeline.Ledger) Rows {
	return Rows{Read: l.Read, Added: l.Added(), Filtered: l.Sum(pipeline.Filtered), Rejected: l.Sum(pipeline.Rejected),
		Deduplicated: l.Sum(pipeline.Deduplicated), Folded: l.Sum(pipeline.Folded), Written: l.Written}
}
