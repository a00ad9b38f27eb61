package join

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/bitutil"

	"github.com/sluice-data/sluice/transforms/internal/col"
)

// Spans finds the row of a key by a value that lies in its span: from <= value < to, or without an end the last row that begins by
// then. It is immutable: lanes share it.
type Spans struct {
	start []int32 // the spans of key k are start[k] … start[k+1]-1, by where they begin
	rows  []int32
	from  []int64
	to    []int64 // nil: a span ends where the key's next one begins
	most  []int64 // the greatest end of the key's spans so far
	twice [2]int  // rows of one key that a value may be in both of
}

// NewSpans orders the rows of an index by their spans. from and to are of one type that Ordinals takes; to may be nil. A null begins before, or ends after,
// all values. Rows whose span is empty are in none.
func NewSpans(ix *Index, from, to arrow.Array) (*Spans, error) {
	n := from.Len()
	begins, err := Ordinals(from, nil)
	if err != nil {
		return nil, err
	}
	instead(from, begins, math.MinInt64)
	var ends []int64
	if to != nil {
		if ends, err = Ordinals(to, nil); err != nil {
			return nil, err
		}
		instead(to, ends, math.MaxInt64)
	}
	s := &Spans{start: []int32{0}}
	keys := n
	if ix.start != nil {
		keys = len(ix.start) - 1
	}
	var one [1]int32
	for k := range keys {
		at := len(s.rows)
		for _, row := range ix.Rows(int32(k), &one) {
			if ends == nil || begins[row] < ends[row] {
				s.rows = append(s.rows, row)
			}
		}
		// Of spans that begin together the first row comes last: that is the one which is found.
		slices.SortFunc(s.rows[at:], func(a, b int32) int {
			return cmp.Or(cmp.Compare(begins[a], begins[b]), cmp.Compare(b, a))
		})
		s.start = append(s.start, int32(len(s.rows)))
	}
	s.from = pickAll(begins, s.rows)
	if ends != nil {
		s.to = pickAll(ends, s.rows)
		s.most = slices.Clone(s.to)
	}
	for k := range keys {
		longest := s.start[k]
		for i := s.start[k] + 1; i < s.start[k+1]; i++ {
			if s.to == nil && s.from[i] == s.from[i-1] {
				s.overlap(i-1, i)
			}
			if s.to == nil {
				continue
			}
			if s.to[longest] > s.from[i] {
				s.overlap(longest, i)
			}
			if s.to[i] > s.to[longest] {
				longest = i
			}
			s.most[i] = s.to[longest]
		}
	}
	return s, nil
}

func pickAll(v []int64, rows []int32) []int64 {
	out := make([]int64, len(rows))
	for i, r := range rows {
		out[i] = v[r]
	}
	return out
}

func (s *Spans) overlap(i, j int32) {
	if s.twice[1] == 0 {
		a, b := int(s.rows[i]), int(s.rows[j])
		s.twice = [2]int{min(a, b), max(a, b)}
	}
}

// Twice gives two rows of one key that some value is in both of, if there are any.
func (s *Spans) Twice() (a, b int, ok bool) { return s.twice[0], s.twice[1], s.twice[1] > 0 }

// Match replaces key numbers by the row whose span the value is in, the first one of the table if there are several; -1 where there is none or the
// value, of which values are the Ordinals, is null.
func (s *Spans) Match(ids []int32, values []int64, a arrow.Array) {
	noNulls(a, ids)
	for i, k := range ids {
		if k < 0 {
			continue
		}
		lo, hi := s.start[k], s.start[k+1]
		v, first := values[i], lo
		for lo < hi { // the first span that begins after v
			mid := int32(uint32(lo+hi) >> 1)
			if s.from[mid] <= v {
				lo = mid + 1
			} else {
				hi = mid
			}
		}
		ids[i] = s.last(first, lo, v)
	}
}

// last is the row found among spans first … end-1, which begin by v.
func (s *Spans) last(first, end int32, v int64) int32 {
	if end == first {
		return -1
	}
	if s.to == nil {
		return s.rows[end-1]
	}
	row := int32(-1)
	for i := end - 1; i >= first && s.most[i] > v; i-- {
		if s.to[i] > v && (row < 0 || s.rows[i] < row) {
			row = s.rows[i]
		}
	}
	return row
}

func instead(a arrow.Array, v []int64, null int64) {
	valid, off := col.Valid(a)
	if valid == nil {
		return
	}
	for i := range v {
		if bitutil.BitIsNotSet(valid, off+i) {
			v[i] = null
		}
	}
}

// Ordinals are numbers that are ordered as the values of a are, in dst if that is large enough; under a null is anything. The error names a type that has none.
func Ordinals(a arrow.Array, dst []int64) ([]int64, error) {
	if cap(dst) < a.Len() {
		dst = make([]int64, a.Len())
	}
	dst = dst[:a.Len()]
	switch t := a.DataType().(type) {
	case *arrow.Int8Type:
		widen(dst, col.Fixed[int8](a))
	case *arrow.Int16Type:
		widen(dst, col.Fixed[int16](a))
	case *arrow.Int32Type, *arrow.Date32Type:
		widen(dst, col.Fixed[int32](a))
	case *arrow.Int64Type, *arrow.TimestampType, *arrow.Time64Type:
		copy(dst, col.Fixed[int64](a))
	case *arrow.Uint8Type:
		widen(dst, col.Fixed[uint8](a))
	case *arrow.Uint16Type:
		widen(dst, col.Fixed[uint16](a))
	case *arrow.Uint32Type:
		widen(dst, col.Fixed[uint32](a))
	case *arrow.Uint64Type:
		for i, v := range col.Fixed[uint64](a) {
			dst[i] = int64(v ^ 1<<63)
		}
	case *arrow.Float64Type:
		for i, v := range col.Fixed[float64](a) {
			dst[i] = floatOrdinal(v)
		}
	case *arrow.Float32Type:
		for i, v := range col.Fixed[float32](a) {
			dst[i] = floatOrdinal(float64(v))
		}
	case *arrow.Decimal128Type:
		if t.Precision > 18 {
			return nil, fmt.Errorf("a decimal of more than 18 digits has no place in a range: cast it")
		}
		for i, w := 0, col.Words16(a); i < len(dst); i++ {
			dst[i] = int64(w[2*i])
		}
	default:
		return nil, fmt.Errorf("only numbers, dates and times can be in a range")
	}
	return dst, nil
}

func widen[T int8 | int16 | int32 | uint8 | uint16 | uint32](dst []int64, v []T) {
	for i, x := range v {
		dst[i] = int64(x)
	}
}

// floatOrdinal orders floats as PostgreSQL does: -0 is 0, NaN is greater than all.
func floatOrdinal(v float64) int64 {
	switch {
	case v != v:
		return math.MaxInt64 - 1
	case v == 0:
		return 0
	}
	b := int64(math.Float64bits(v))
	if b < 0 {
		return math.MinInt64 - b // the more the bits say the smaller it is
	}
	return b
}
