package parquet

import (
	"bytes"
	"encoding/binary"
	"math"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/decimal128"
	"github.com/apache/arrow/go/v17/arrow/memory"
	"github.com/parquet-go/parquet-go/format"

	"github.com/sluice-data/sluice/sources"
	"github.com/sluice-data/sluice/sources/parquet/internal/meta"
)

// limits are the bounds of a leaf's values in some rows, as the file has them.
type limits struct {
	min, max []byte
	known    bool  // min and max are
	nulls    int64 // -1 if not known
	rows     int64
}

// chunkLimits are those of a column chunk. Statistics whose order is not defined are taken for absent: min_value and
// max_value without a column order, and the deprecated min and max, which are signed, of types that are not.
// Source: parquet.thrift, Statistics and ColumnOrder.
func chunkLimits(l *leaf, c *meta.Column) limits {
	s := c.Stats
	if s == nil {
		return limits{nulls: meta.None, rows: c.NumValues}
	}
	out := limits{nulls: s.Nulls, rows: c.NumValues}
	switch {
	case l.typeOrder && s.Min != nil && s.Max != nil:
		out.min, out.max, out.known = s.Min, s.Max, true
	case s.OldMin != nil && s.OldMax != nil && signedOrder(l):
		out.min, out.max, out.known = s.OldMin, s.OldMax, true
	}
	return out
}

// signedOrder tells whether the leaf's values compare as signed numbers of their physical type.
func signedOrder(l *leaf) bool {
	switch l.phys {
	case format.Int32, format.Int64:
		return l.kind.base != intBase || l.kind.signed
	case format.Float, format.Double:
		return true
	}
	return false
}

// bounds are what a filter may know of a flat column: the plan's field, from the file's limits. The caller owns Extremes.
// What does not add up is taken for not known.
func (p *plan) bounds(lim limits) sources.Bounds {
	l := p.leaf
	b := sources.Bounds{NoNulls: l.maxDef == 0}
	if l.maxDef > 0 && lim.nulls >= 0 && lim.nulls <= lim.rows {
		b.NoNulls, b.AllNulls = lim.nulls == 0, lim.nulls == lim.rows
	}
	if lim.known && !b.AllNulls {
		b.Extremes = p.extremes(lim)
	}
	return b
}

// extremes makes the values of min and max; nil if they are none that can be told of.
func (p *plan) extremes(lim limits) arrow.Array {
	k := p.leaf.kind
	switch t := p.field.Type.(type) {
	case *arrow.StringType:
		if k.base == stringBase {
			b := array.NewStringBuilder(memory.DefaultAllocator)
			defer b.Release()
			return twoTexts(b, lim, func(v []byte) { b.Append(string(v)) })
		}
		return nil
	case *arrow.BinaryType:
		if k.base == stringBase || k.base == binaryBase {
			b := array.NewBinaryBuilder(memory.DefaultAllocator, t)
			defer b.Release()
			return twoTexts(b, lim, b.Append)
		}
		return nil
	case *arrow.Float32Type, *arrow.Float64Type:
		if k.base != floatBase {
			return nil
		}
		lo, ok1 := floatOf(p.leaf.phys, lim.min)
		hi, ok2 := floatOf(p.leaf.phys, lim.max)
		if !ok1 || !ok2 || !(lo <= hi) { // with a NaN in them they say nothing
			return nil
		}
		if t.ID() == arrow.FLOAT32 { // values that may be NaN are not in the statistics
			return values(array.NewFloat32Builder(memory.DefaultAllocator), float32(lo), float32(hi), float32(math.NaN()))
		}
		return values(array.NewFloat64Builder(memory.DefaultAllocator), lo, hi, math.NaN())
	case *arrow.Decimal128Type:
		if k.base != decimalBase || k.scale != t.Scale {
			return nil
		}
		lo, ok1 := decimalOf(p.leaf.phys, lim.min)
		hi, ok2 := decimalOf(p.leaf.phys, lim.max)
		if !ok1 || !ok2 || lo.Greater(hi) {
			return nil
		}
		return values(array.NewDecimal128Builder(memory.DefaultAllocator, t), lo, hi)
	}
	if k.base == intBase && !k.signed {
		lo, ok1 := unsignedOf(lim.min)
		hi, ok2 := unsignedOf(lim.max)
		if !ok1 || !ok2 || lo > hi {
			return nil
		}
		return unsignedPair(p.field.Type, lo, hi)
	}
	lo, ok1 := signedOf(lim.min)
	hi, ok2 := signedOf(lim.max)
	if !ok1 || !ok2 || lo > hi {
		return nil
	}
	return signedPair(k, p.field.Type, lo, hi)
}

type appender[T any] interface {
	array.Builder
	Append(T)
}

// values makes an array and gives up the builder.
func values[T any](b appender[T], vs ...T) arrow.Array {
	defer b.Release()
	for _, v := range vs {
		b.Append(v)
	}
	return b.NewArray()
}

// twoTexts makes the values of text limits. A writer that cuts a maximum short counts its last byte up; where all are 0xFF it
// cannot, and some cut it all the same: values may lie above it then.
func twoTexts(b array.Builder, lim limits, add func([]byte)) arrow.Array {
	if len(lim.max) == 0 || string(lim.min) > string(lim.max) { // some writers leave bounds empty that they do not have
		return nil
	}
	if len(bytes.TrimRight(lim.max, "\xff")) == 0 {
		return nil
	}
	add(lim.min)
	add(lim.max)
	return b.NewArray()
}

// signedPair makes lo and hi, in the kind's unit, values of typ.
func signedPair(k kind, typ arrow.DataType, lo, hi int64) arrow.Array {
	mem := memory.DefaultAllocator
	within := func(bits int) bool { return lo >= -1<<(bits-1) && hi <= 1<<(bits-1)-1 }
	switch t := typ.(type) {
	case *arrow.Int8Type:
		if k.base == intBase && within(8) {
			return values(array.NewInt8Builder(mem), int8(lo), int8(hi))
		}
	case *arrow.Int16Type:
		if k.base == intBase && within(16) {
			return values(array.NewInt16Builder(mem), int16(lo), int16(hi))
		}
	case *arrow.Int32Type:
		if k.base == intBase && within(32) {
			return values(array.NewInt32Builder(mem), int32(lo), int32(hi))
		}
	case *arrow.Int64Type:
		if k.base == intBase {
			return values(array.NewInt64Builder(mem), lo, hi)
		}
	case *arrow.Date32Type:
		if k.base == dateBase && within(32) {
			return values(array.NewDate32Builder(mem), arrow.Date32(lo), arrow.Date32(hi))
		}
	case *arrow.TimestampType:
		if k.base != timestampBase {
			return nil
		}
		switch k.unit {
		case meta.Millis:
			if lo < math.MinInt64/1000 || hi > math.MaxInt64/1000 {
				return nil
			}
			lo, hi = lo*1000, hi*1000
		case meta.Nanos: // outward: the values between are exact or refused
			lo, hi = floorDiv(lo, 1000), -floorDiv(-hi, 1000)
		}
		return values(array.NewTimestampBuilder(mem, t), arrow.Timestamp(lo), arrow.Timestamp(hi))
	}
	return nil
}

func unsignedPair(typ arrow.DataType, lo, hi uint64) arrow.Array {
	mem := memory.DefaultAllocator
	switch typ.(type) {
	case *arrow.Uint8Type:
		if hi <= math.MaxUint8 {
			return values(array.NewUint8Builder(mem), uint8(lo), uint8(hi))
		}
	case *arrow.Uint16Type:
		if hi <= math.MaxUint16 {
			return values(array.NewUint16Builder(mem), uint16(lo), uint16(hi))
		}
	case *arrow.Uint32Type:
		if hi <= math.MaxUint32 {
			return values(array.NewUint32Builder(mem), uint32(lo), uint32(hi))
		}
	case *arrow.Uint64Type:
		return values(array.NewUint64Builder(mem), lo, hi)
	}
	return nil
}

func floorDiv(a, b int64) int64 {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}

// signedOf reads INT32 and INT64.
func signedOf(b []byte) (int64, bool) {
	switch len(b) {
	case 4:
		return int64(int32(binary.LittleEndian.Uint32(b))), true
	case 8:
		return int64(binary.LittleEndian.Uint64(b)), true
	}
	return 0, false
}

func unsignedOf(b []byte) (uint64, bool) {
	switch len(b) {
	case 4:
		return uint64(binary.LittleEndian.Uint32(b)), true
	case 8:
		return binary.LittleEndian.Uint64(b), true
	}
	return 0, false
}

func floatOf(phys format.Type, b []byte) (float64, bool) {
	switch {
	case phys == format.Float && len(b) == 4:
		return float64(math.Float32frombits(binary.LittleEndian.Uint32(b))), true
	case phys == format.Double && len(b) == 8:
		return math.Float64frombits(binary.LittleEndian.Uint64(b)), true
	}
	return 0, false
}

func decimalOf(phys format.Type, b []byte) (decimal128.Num, bool) {
	if phys == format.Int32 || phys == format.Int64 {
		v, ok := signedOf(b)
		return decimal128.FromI64(v), ok
	}
	var w [4]uint64
	if len(b) == 0 || !signExtend(&w, b) || w[2] != w[3] || w[3] != uint64(int64(w[1])>>63) {
		return decimal128.Num{}, false
	}
	return decimal128.New(int64(w[1]), w[0]), true
}
