package pipeline

import (
	"bytes"
	"encoding/json"
	"strings"

	"github.com/apache/arrow/go/v17/arrow"

	"github.com/sluice-data/sluice/internal/fail"
)

// Reject is a row that was refused, with everything needed to find, understand and replay it.
type Reject struct {
	Origin        // Raw is a copy
	Column string // "" when the record as a whole is bad
	Value  string // the offending value as text
	Reason string
}

// Err is the reject as an error, for runs that accept no bad rows.
func (r Reject) Err() *fail.Error {
	return fail.Newf(fail.Data, "%s", r.Reason).In(r.Input).At(r.Line, r.Offset).Of(r.Column, r.Value)
}

// Rejects gathers the refused rows of one chunk in one lane.
type Rejects struct {
	rows []Reject
	size int64
}

// Add refuses row i of b; reason reads like `not an int32`.
func (r *Rejects) Add(b Batch, i int, column, value, reason string) {
	r.AddOrigin(b.Origin(i), column, value, reason)
}

// Origin is where row i of b came from, as far as that is known; its Raw is lent. A row that no longer knows its record is its own: Raw is then its values as
// JSON.
func (b Batch) Origin(i int) Origin {
	if b.Rows == nil {
		return Origin{Offset: -1, Raw: rowJSON(b.Rec, i)}
	}
	if b.Sel != nil {
		i = int(b.Sel[i])
	}
	return b.Rows.Origin(i)
}

// rowJSON is row i of rec as a JSON object, in the order of its columns.
func rowJSON(rec arrow.Record, i int) []byte {
	if rec == nil {
		return nil
	}
	var out []byte
	for c, f := range rec.Schema().Fields() {
		name, err := json.Marshal(f.Name)
		if err != nil {
			return nil // a name is a string: cannot fail
		}
		value, err := json.Marshal(rec.Column(c).GetOneForMarshal(i))
		if err != nil { // infinities and NaN have no JSON
			value, _ = json.Marshal(rec.Column(c).ValueStr(i))
		}
		out = append(append(append(append(out, ','), name...), ':'), value...)
	}
	if len(out) > 0 {
		out[0] = '{'
	}
	return append(out, '}')
}

// AddOrigin refuses the record at o; o.Raw and value are copied.
func (r *Rejects) AddOrigin(o Origin, column, value, reason string) {
	o.Raw = bytes.Clone(o.Raw)
	r.rows = append(r.rows, Reject{Origin: o, Column: column, Value: strings.Clone(value), Reason: reason})
	r.size += int64(len(o.Raw)+len(value)) + 128
}

// Len is the number of rows refused so far.
func (r *Rejects) Len() int { return len(r.rows) }

// Rows are the rows refused so far, in the order they were added.
func (r *Rejects) Rows() []Reject { return r.rows }
