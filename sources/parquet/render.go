package parquet

import (
	"encoding/base64"
	"encoding/json"
	"math"
	"strconv"
	"time"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"

	"github.com/sluice-data/sluice/internal/schema"
	"github.com/sluice-data/sluice/pipeline"
)

// rows is the way back from a batch to its rows. Parquet has no records as bytes: a row is shown as a JSON object of the
// columns that are read, made when someone asks, while the batch is lent.
type rows struct {
	input string
	first int64 // 1-based number of row 0 within the input: what a line is elsewhere
	rec   arrow.Record
}

// Origin is the place of row i. Raw is its JSON rendering, nil when the batch was given back.
func (r *rows) Origin(i int) pipeline.Origin {
	o := pipeline.Origin{Input: r.input, Line: r.first + int64(i), Offset: -1}
	if r.rec != nil {
		o.Raw = renderRow(r.rec, i, nil)
	}
	return o
}

// renderRow is row i as a JSON object. Refused values of columns that are not nested are shown as they were in the file.
func renderRow(rec arrow.Record, i int, bad []refusal) []byte {
	b := []byte{'{'}
	for c := range int(rec.NumCols()) {
		if c > 0 {
			b = append(b, ',')
		}
		f := rec.Schema().Field(c)
		b = append(renderText(b, f.Name), ':')
		shown := false
		for _, r := range bad {
			if r.col == c && !arrow.IsNested(f.Type.ID()) {
				b, shown = renderText(b, r.value), true
				break
			}
		}
		if !shown {
			b = render(b, f, rec.Column(c), i)
		}
	}
	return append(b, '}')
}

func renderText(b []byte, s string) []byte {
	q, err := json.Marshal(s)
	if err != nil { // a string always marshals
		return append(b, "null"...)
	}
	return append(b, q...)
}

// render appends value i of a as JSON: numbers with all their digits, times as ISO 8601 text, bytes as base64, json as it
// is.
func render(b []byte, f arrow.Field, a arrow.Array, i int) []byte {
	if a.IsNull(i) {
		return append(b, "null"...)
	}
	switch a := a.(type) {
	case *array.Boolean:
		return strconv.AppendBool(b, a.Value(i))
	case *array.Int8:
		return strconv.AppendInt(b, int64(a.Value(i)), 10)
	case *array.Int16:
		return strconv.AppendInt(b, int64(a.Value(i)), 10)
	case *array.Int32:
		return strconv.AppendInt(b, int64(a.Value(i)), 10)
	case *array.Int64:
		return strconv.AppendInt(b, a.Value(i), 10)
	case *array.Uint8:
		return strconv.AppendUint(b, uint64(a.Value(i)), 10)
	case *array.Uint16:
		return strconv.AppendUint(b, uint64(a.Value(i)), 10)
	case *array.Uint32:
		return strconv.AppendUint(b, uint64(a.Value(i)), 10)
	case *array.Uint64:
		return strconv.AppendUint(b, a.Value(i), 10)
	case *array.Float32:
		return renderFloat(b, float64(a.Value(i)), 32)
	case *array.Float64:
		return renderFloat(b, a.Value(i), 64)
	case *array.Decimal128:
		return append(b, a.Value(i).ToString(f.Type.(arrow.DecimalType).GetScale())...)
	case *array.Decimal256:
		return append(b, a.Value(i).ToString(f.Type.(arrow.DecimalType).GetScale())...)
	case *array.String:
		if schema.IsJSON(f) && json.Valid([]byte(a.Value(i))) {
			return append(b, a.Value(i)...)
		}
		return renderText(b, a.Value(i))
	case *array.Binary:
		return renderText(b, base64.StdEncoding.EncodeToString(a.Value(i)))
	case *array.Date32:
		return renderText(b, time.Unix(int64(a.Value(i))*86400, 0).UTC().Format(time.DateOnly))
	case *array.Time64:
		return renderText(b, time.UnixMicro(int64(a.Value(i))).UTC().Format("15:04:05.999999"))
	case *array.Timestamp:
		layout := "2006-01-02T15:04:05.999999"
		if f.Type.(*arrow.TimestampType).TimeZone != "" {
			layout += "Z"
		}
		return renderText(b, time.UnixMicro(int64(a.Value(i))).UTC().Format(layout))
	case *array.List:
		from, to := a.ValueOffsets(i)
		elem := f.Type.(*arrow.ListType).ElemField()
		b = append(b, '[')
		for k := from; k < to; k++ {
			if k > from {
				b = append(b, ',')
			}
			b = render(b, elem, a.ListValues(), int(k))
		}
		return append(b, ']')
	case *array.Struct:
		b = append(b, '{')
		for k, child := range f.Type.(*arrow.StructType).Fields() {
			if k > 0 {
				b = append(b, ',')
			}
			b = append(renderText(b, child.Name), ':')
			b = render(b, child, a.Field(k), i)
		}
		return append(b, '}')
	}
	return renderText(b, a.ValueStr(i))
}

func renderFloat(b []byte, v float64, bits int) []byte {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return renderText(b, strconv.FormatFloat(v, 'g', -1, bits))
	}
	format := byte('f')
	if abs := math.Abs(v); abs != 0 && (abs < 1e-6 || abs >= 1e21) {
		format = 'e'
	}
	return strconv.AppendFloat(b, v, format, -1, bits)
}
