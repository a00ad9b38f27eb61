package agg

import (
	"fmt"
	"math"
	"math/bits"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/bitutil"
	"github.com/apache/arrow/go/v17/arrow/decimal128"

	"github.com/sluice-data/sluice/transforms/internal/col"
)

// floatsOf reads columns of type t as float64, nil if its values are no numbers. What stands for a null is arbitrary.
func floatsOf(t arrow.DataType) func(a arrow.Array) []float64 {
	switch t.ID() {
	case arrow.INT8:
		return floats[int8]
	case arrow.INT16:
		return floats[int16]
	case arrow.INT32:
		return floats[int32]
	case arrow.INT64:
		return floats[int64]
	case arrow.UINT8:
		return floats[uint8]
	case arrow.UINT16:
		return floats[uint16]
	case arrow.UINT32:
		return floats[uint32]
	case arrow.UINT64:
		return floats[uint64]
	case arrow.FLOAT32:
		return floats[float32]
	case arrow.FLOAT64:
		return func(a arrow.Array) []float64 { return col.Fixed[float64](a) }
	case arrow.DECIMAL128:
		scale := t.(*arrow.Decimal128Type).Scale
		small := math.Pow10(int(scale))
		return func(a arrow.Array) []float64 {
			w, out := col.Words16(a), make([]float64, a.Len())
			for i := range out {
				lo, hi := int64(w[2*i]), int64(w[2*i+1])
				if hi == lo>>63 && scale <= 22 && lo > -1<<53 && lo < 1<<53 {
					out[i] = float64(lo) / small // both exact: rounded once
				} else {
					out[i] = decimal128.New(hi, uint64(lo)).ToFloat64(scale)
				}
			}
			return out
		}
	}
	return nil
}

func floats[T arrow.IntType | arrow.UintType | float32](a arrow.Array) []float64 {
	v := col.Fixed[T](a)
	out := make([]float64, len(v))
	for i, x := range v {
		out[i] = float64(x)
	}
	return out
}

// validOf is a byte a row, 0 where a is null; nil if none is.
func validOf(a arrow.Array) []uint8 {
	valid, off := col.Valid(a)
	if valid == nil {
		return nil
	}
	out := make([]uint8, a.Len())
	for i := range out {
		if bitutil.BitIsSet(valid, off+i) {
			out[i] = 1
		}
	}
	return out
}

// usage is the error for a function of a column that is called otherwise.
func usage(name string, before int) error {
	if before == 0 {
		return fmt.Errorf("%s takes one column: %s(x), or %s() WITHIN GROUP (ORDER BY x)", name, name, name)
	}
	return fmt.Errorf("%s takes a share and one column: %s(0.5) WITHIN GROUP (ORDER BY x)", name, name)
}

// integersOf reads columns of integers, and of decimals of up to 18 digits, as 64 bits each.
func integersOf(t arrow.DataType) func(a arrow.Array) (v []int64, unsigned bool) {
	switch t.ID() {
	case arrow.INT8:
		return integers[int8]
	case arrow.INT16:
		return integers[int16]
	case arrow.INT32:
		return integers[int32]
	case arrow.UINT8:
		return integers[uint8]
	case arrow.UINT16:
		return integers[uint16]
	case arrow.UINT32:
		return integers[uint32]
	case arrow.UINT64:
		return func(a arrow.Array) ([]int64, bool) { return col.Fixed[int64](a), true }
	case arrow.DECIMAL128:
		return func(a arrow.Array) ([]int64, bool) {
			w, out := col.Words16(a), make([]int64, a.Len())
			for i := range out {
				out[i] = int64(w[2*i])
			}
			return out, false
		}
	}
	return func(a arrow.Array) ([]int64, bool) { return col.Fixed[int64](a), false }
}

func integers[T arrow.IntType | arrow.UintType](a arrow.Array) ([]int64, bool) {
	v := col.Fixed[T](a)
	out := make([]int64, len(v))
	for i, x := range v {
		out[i] = int64(x)
	}
	return out, false
}

// squared is x² in two words.
func squared(x int64, unsigned bool) (hi, lo uint64) {
	u := uint64(x)
	if !unsigned && x < 0 {
		u = -u
	}
	return bits.Mul64(u, u)
}
