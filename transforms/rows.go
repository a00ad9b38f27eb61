package transforms

import (
	"slices"
	"sort"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/bitutil"
	"github.com/apache/arrow/go/v17/arrow/memory"

	"github.com/sluice-data/sluice/internal/expr"
	"github.com/sluice-data/sluice/internal/textval"
	"github.com/sluice-data/sluice/pipeline"
	"github.com/sluice-data/sluice/transforms/internal/col"
	"github.com/sluice-data/sluice/transforms/internal/take"
)

// with is b with rec, which is owned by the result, in place of its record: same rows.
func with(b pipeline.Batch, rec arrow.Record) pipeline.Batch {
	b.Rec = rec
	return b
}

// pass is b itself, owned by the caller.
func pass(b pipeline.Batch) pipeline.Batch {
	b.Rec.Retain()
	return b
}

// keep is the rows idx (ascending) of b with rec (lent) in place of its record. Nothing is copied when all rows are kept. The result
// uses idx as long as it lives: until the stage is given the next batch.
func keep(b pipeline.Batch, rec arrow.Record, idx []int32, mem memory.Allocator) (pipeline.Batch, error) {
	b.Rec = rec
	if len(idx) == int(rec.NumRows()) {
		return pass(b), nil
	}
	out, err := take.Record(rec, idx, mem)
	if err != nil {
		return pipeline.Batch{}, err
	}
	b.Rec, b.Sel = out, placesOf(b, idx)
	return b, nil
}

// placesOf are the places in the input of the rows idx of b, which may be there several times. It uses idx as long as it lives.
func placesOf(b pipeline.Batch, idx []int32) []int32 {
	if b.Rows == nil {
		return nil
	}
	if b.Sel == nil {
		return idx
	}
	sel := make([]int32, len(idx))
	for i, x := range idx {
		sel[i] = b.Sel[x]
	}
	return sel
}

// trueRows appends the rows in which the bool array a is true.
func trueRows(dst []int32, a arrow.Array) []int32 {
	n := a.Len()
	v, vo := col.Bits(a)
	valid, no := col.Valid(a)
	if vo%8 != 0 || valid != nil && no%8 != 0 {
		for i := range n {
			if bitutil.BitIsSet(v, vo+i) && (valid == nil || bitutil.BitIsSet(valid, no+i)) {
				dst = append(dst, int32(i))
			}
		}
		return dst
	}
	v = v[vo/8:]
	if valid != nil {
		valid = valid[no/8:]
	}
	k := len(dst)
	dst = slices.Grow(dst, n+8)[:k+n+8]
	for i := 0; i < n; i += 8 {
		b := v[i/8]
		if valid != nil {
			b &= valid[i/8]
		}
		if n-i < 8 {
			b &= 1<<uint(n-i) - 1
		}
		d, at := dst[k:k+8:k+8], int32(i)
		switch b {
		case 0:
			continue
		case 0xff:
			d[0], d[1], d[2], d[3], d[4], d[5], d[6], d[7] = at, at+1, at+2, at+3, at+4, at+5, at+6, at+7
			k += 8
			continue
		}
		for j := range 8 { // each row is written, and stays if it is true: nobody knows beforehand
			dst[k] = at + int32(j)
			k += int(b >> j & 1)
		}
	}
	return dst[:k]
}

// refusal is why a row leaves.
type refusal struct {
	row                   int
	column, value, reason string
}

// refusals gathers the reasons of a batch: the first one of a row counts.
type refusals []refusal

func (r *refusals) add(column string, errs []expr.RowError) {
	for _, e := range errs {
		*r = append(*r, refusal{e.Row, column, e.Value, e.Reason})
	}
}

// reject hands the refused rows over in row order and gives the rows of n that are left, nil if all are.
func (r refusals) reject(b pipeline.Batch, n int, rej *pipeline.Rejects) []int32 {
	if len(r) == 0 {
		return nil
	}
	sort.SliceStable(r, func(i, j int) bool { return r[i].row < r[j].row })
	left := make([]int32, 0, n)
	next := 0
	for row := range n {
		if next == len(r) || r[next].row != row {
			left = append(left, int32(row))
			continue
		}
		rej.Add(b, row, r[next].column, r[next].value, r[next].reason)
		for next < len(r) && r[next].row == row {
			next++
		}
	}
	return left
}

// cell is value i of a as text for the quarantine, the way PostgreSQL prints it; "" for null.
func cell(a arrow.Array, i int) string {
	if a.IsNull(i) || a.DataType().ID() == arrow.NULL {
		return ""
	}
	var b []byte
	switch a := a.(type) {
	case *array.Date32:
		b = textval.AppendDate(b, int32(a.Value(i)))
	case *array.Timestamp:
		t := a.DataType().(*arrow.TimestampType)
		if t.Unit != arrow.Microsecond {
			return a.ValueStr(i)
		}
		if t.TimeZone != "" {
			b = textval.AppendInstant(b, int64(a.Value(i)))
		} else {
			b = textval.AppendTimestamp(b, int64(a.Value(i)))
		}
	case *array.Time64:
		if a.DataType().(*arrow.Time64Type).Unit != arrow.Microsecond {
			return a.ValueStr(i)
		}
		b = textval.AppendTime(b, int64(a.Value(i)))
	case *array.Float32:
		b = textval.AppendFloat32(b, a.Value(i))
	case *array.Float64:
		b = textval.AppendFloat64(b, a.Value(i))
	case *array.Decimal128:
		b = textval.AppendDecimal(b, a.Value(i), a.DataType().(*arrow.Decimal128Type).Scale)
	case *array.Binary:
		return string(a.Value(i))
	default:
		return a.ValueStr(i)
	}
	return string(b)
}

// takeAll puts the rows idx of each column in its place.
func takeAll(cols []arrow.Array, idx []int32, mem memory.Allocator) error {
	for i, c := range cols {
		t, err := take.Array(c, idx, mem)
		if err != nil {
			return err
		}
		c.Release()
		cols[i] = t
	}
	return nil
}

// presence is a bool array that is null where a is; its values mean nothing. It lives no longer than a.
func presence(a arrow.Array) arrow.Array {
	n := a.Len()
	valid, off := col.Valid(a)
	var bufs [2]*memory.Buffer
	nulls := a.NullN()
	if valid != nil {
		bufs[0] = memory.NewBufferBytes(valid)
	}
	bufs[1] = memory.NewBufferBytes(make([]byte, (off+n+7)/8))
	d := array.NewData(arrow.FixedWidthTypes.Boolean, n, bufs[:], nil, nulls, off)
	defer d.Release()
	return array.MakeFromData(d)
}
