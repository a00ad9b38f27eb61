package transforms

import (
	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
)

// view is some columns of a record, in its order.
type view struct {
	schema *arrow.Schema
	at     []int // of the columns in the record; nil for all
}

func everything(s *arrow.Schema) view { return view{schema: s} }

// narrow is the view of those of v's columns that are in keep.
func (v view) narrow(keep map[string]bool) view {
	out, fields := view{at: []int{}}, []arrow.Field{}
	for i, f := range v.schema.Fields() {
		if !keep[f.Name] {
			continue
		}
		if v.at != nil {
			i = v.at[i]
		}
		out.at, fields = append(out.at, i), append(fields, f)
	}
	if len(fields) == v.schema.NumFields() {
		return v
	}
	md := v.schema.Metadata()
	out.schema = arrow.NewSchema(fields, &md)
	return out
}

// of is the view of rec, owned by the caller.
func (v view) of(rec arrow.Record) arrow.Record {
	if v.at == nil {
		rec.Retain()
		return rec
	}
	cols := make([]arrow.Array, len(v.at))
	for i, at := range v.at {
		cols[i] = rec.Column(at)
	}
	return array.NewRecord(v.schema, cols, rec.NumRows())
}
