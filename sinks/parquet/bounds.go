package parquet

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"math"
	"slices"
	"unicode/utf8"

	"github.com/parquet-go/parquet-go/format"
)

// order is how the values of a leaf compare (ColumnOrder of parquet.thrift, TypeDefinedOrder).
type order uint8

const (
	orderBool order = iota
	orderInt32
	orderInt64
	orderUint32
	orderUint64
	orderFloat16
	orderFloat32
	orderFloat64
	orderText    // bytes, unsigned, that are UTF-8
	orderBytes   // bytes, unsigned
	orderFixed   // bytes of fixed length, unsigned
	orderDecimal // big-endian two's complement
)

// bounds are the least and the greatest value of a page or chunk, PLAIN encoded without length; nil where there is none.
// They may alias the column.
type bounds struct{ min, max []byte }

const (
	indexBytes = 64  // a bound in the page index is cut to this length; it stays a bound
	chunkBytes = 256 // longer bounds are left out of the chunk's statistics, where a reader may take them for values
)

// bounds gives the bounds of values [from, to) of the column.
func (c *column) bounds(from, to int) bounds {
	if from == to {
		return bounds{}
	}
	switch c.leaf.order {
	case orderBool:
		lo, hi := extremes(c.bools[from:to])
		return bounds{[]byte{lo}, []byte{hi}}
	case orderInt32:
		lo, hi := extremes(signed32(c.w32[from:to]))
		return bounds32(uint32(lo), uint32(hi))
	case orderUint32:
		return bounds32(extremes(c.w32[from:to]))
	case orderInt64:
		lo, hi := extremes(signed64(c.w64[from:to]))
		return bounds64(uint64(lo), uint64(hi))
	case orderUint64:
		return bounds64(extremes(c.w64[from:to]))
	case orderFloat32:
		lo, hi, ok := floatExtremes(float32s(c.w32[from:to]))
		if !ok {
			return bounds{}
		}
		return bounds32(math.Float32bits(lo), math.Float32bits(hi))
	case orderFloat64:
		lo, hi, ok := floatExtremes(float64s(c.w64[from:to]))
		if !ok {
			return bounds{}
		}
		return bounds64(math.Float64bits(lo), math.Float64bits(hi))
	case orderFloat16:
		return float16Bounds(c.data[c.off[from]:c.off[to]])
	case orderText, orderBytes, orderFixed:
		return c.byteBounds(from, to)
	}
	lo, hi := c.value(from), c.value(from)
	for i := from + 1; i < to; i++ {
		v := c.value(i)
		if compareDecimal(v, lo) < 0 {
			lo = v
		}
		if compareDecimal(v, hi) > 0 {
			hi = v
		}
	}
	return bounds{lo, hi}
}

// value is value i of a kindBytes column.
func (c *column) value(i int) []byte { return c.data[c.off[i]:c.off[i+1]:c.off[i+1]] }

func bounds32(lo, hi uint32) bounds {
	b := make([]byte, 8)
	binary.LittleEndian.PutUint32(b, lo)
	binary.LittleEndian.PutUint32(b[4:], hi)
	return bounds{b[:4:4], b[4:]}
}

func bounds64(lo, hi uint64) bounds {
	b := make([]byte, 16)
	binary.LittleEndian.PutUint64(b, lo)
	binary.LittleEndian.PutUint64(b[8:], hi)
	return bounds{b[:8:8], b[8:]}
}

// extremes keeps four pairs, so that one comparison does not wait for the one before.
func extremes[T uint8 | int32 | uint32 | int64 | uint64](v []T) (lo, hi T) {
	lo, hi = v[0], v[0]
	lo1, lo2, lo3, hi1, hi2, hi3 := lo, lo, lo, hi, hi, hi
	for ; len(v) >= 4; v = v[4:] {
		x := v[:4:4]
		lo, hi = min(lo, x[0]), max(hi, x[0])
		lo1, hi1 = min(lo1, x[1]), max(hi1, x[1])
		lo2, hi2 = min(lo2, x[2]), max(hi2, x[2])
		lo3, hi3 = min(lo3, x[3]), max(hi3, x[3])
	}
	for _, x := range v {
		lo, hi = min(lo, x), max(hi, x)
	}
	return min(lo, lo1, lo2, lo3), max(hi, hi1, hi2, hi3)
}

// floatExtremes gives a zero the sign that covers both zeros, as parquet.thrift demands; !ok if there is a NaN. The format has bounds leave NaN out, but readers
// to which NaN is greater than all numbers (Spark, DuckDB) then pass over pages and row groups that have one.
func floatExtremes[T float32 | float64](v []T) (lo, hi T, ok bool) {
	lo, hi = T(math.Inf(1)), T(math.Inf(-1))
	nan := T(0)
	for _, x := range v {
		// A comparison with NaN is false.
		if x < lo {
			lo = x
		}
		if x > hi {
			hi = x
		}
		nan += x - x // is NaN from the first NaN on, or infinity
	}
	if nan != nan && slices.ContainsFunc(v, func(x T) bool { return x != x }) {
		return 0, 0, false
	}
	if lo == 0 {
		lo = T(math.Copysign(0, -1))
	}
	if hi == 0 {
		hi = 0
	}
	return lo, hi, true
}

func float16Bounds(data []byte) bounds {
	var b bounds
	var lo, hi float32
	for i := 0; i < len(data); i += 2 {
		bits := binary.LittleEndian.Uint16(data[i:])
		if bits&0x7FFF > 0x7C00 { // NaN
			return bounds{}
		}
		x := halfOrder(bits)
		if b.min == nil || x < lo {
			lo, b.min = x, data[i:i+2]
		}
		if b.max == nil || x > hi {
			hi, b.max = x, data[i:i+2]
		}
	}
	if b.min != nil && lo == 0 {
		b.min = []byte{0, 0x80}
	}
	if b.max != nil && hi == 0 {
		b.max = []byte{0, 0}
	}
	return b
}

// halfOrder keeps the order of finite half-precision numbers and infinities, which is all that bounds need.
func halfOrder(bits uint16) float32 {
	x := float32(bits & 0x7FFF)
	if bits&0x8000 != 0 {
		return -x
	}
	return x
}

// byteBounds compares whole values only where their first eight bytes do not decide.
func (c *column) byteBounds(from, to int) bounds {
	lo, hi := c.value(from), c.value(from)
	loHead, hiHead := head(lo), head(hi)
	for i := from + 1; i < to; i++ {
		v := c.data[c.off[i]:c.off[i+1]]
		h := head(v)
		if h <= loHead && (h < loHead || bytes.Compare(v, lo) < 0) {
			lo, loHead = v, h
		}
		if h >= hiHead && (h > hiHead || bytes.Compare(v, hi) > 0) {
			hi, hiHead = v, h
		}
	}
	return bounds{lo, hi}
}

// head is the first eight bytes of v as a number that orders as they do; shorter values are filled up with zeros.
func head(v []byte) uint64 {
	if len(v) >= 8 {
		return binary.BigEndian.Uint64(v)
	}
	var b [8]byte
	copy(b[:], v)
	return binary.BigEndian.Uint64(b[:])
}

// compareDecimal compares big-endian two's complement numbers of the same length.
func compareDecimal(a, b []byte) int {
	if c := cmp.Compare(int8(a[0]), int8(b[0])); c != 0 {
		return c
	}
	return bytes.Compare(a[1:], b[1:])
}

// compare compares two encoded bounds.
func (o order) compare(a, b []byte) int {
	switch o {
	case orderInt32:
		return cmp.Compare(int32(binary.LittleEndian.Uint32(a)), int32(binary.LittleEndian.Uint32(b)))
	case orderUint32:
		return cmp.Compare(binary.LittleEndian.Uint32(a), binary.LittleEndian.Uint32(b))
	case orderInt64:
		return cmp.Compare(int64(binary.LittleEndian.Uint64(a)), int64(binary.LittleEndian.Uint64(b)))
	case orderUint64:
		return cmp.Compare(binary.LittleEndian.Uint64(a), binary.LittleEndian.Uint64(b))
	case orderFloat16:
		return cmp.Compare(halfOrder(binary.LittleEndian.Uint16(a)), halfOrder(binary.LittleEndian.Uint16(b)))
	case orderFloat32:
		return cmp.Compare(math.Float32frombits(binary.LittleEndian.Uint32(a)), math.Float32frombits(binary.LittleEndian.Uint32(b)))
	case orderFloat64:
		return cmp.Compare(math.Float64frombits(binary.LittleEndian.Uint64(a)), math.Float64frombits(binary.LittleEndian.Uint64(b)))
	case orderDecimal:
		return compareDecimal(a, b)
	}
	return bytes.Compare(a, b)
}

// widen grows b to cover o too.
func (b *bounds) widen(by bounds, o order) {
	if by.min == nil {
		return
	}
	if b.min == nil {
		*b = by
		return
	}
	if o.compare(by.min, b.min) < 0 {
		b.min = by.min
	}
	if o.compare(by.max, b.max) > 0 {
		b.max = by.max
	}
}

// everything bounds a page with a NaN: the index must have an entry. This one rules out no number; a reader that looks for NaN itself, or beyond infinity, may be
// misled by it as by any bounds of floats.
func (o order) everything() bounds {
	switch o {
	case orderFloat16:
		return bounds{[]byte{0x00, 0xFC}, []byte{0x00, 0x7C}}
	case orderFloat32:
		return bounds32(math.Float32bits(float32(math.Inf(-1))), math.Float32bits(float32(math.Inf(1))))
	}
	return bounds64(math.Float64bits(math.Inf(-1)), math.Float64bits(math.Inf(1)))
}

// columnIndex gathers the page index of one chunk.
type columnIndex struct {
	format.ColumnIndex
	order order
}

func (x *columnIndex) reset(o order) {
	x.Reset()
	x.order = o
}

// page adds a page's entry: its bounds, cut short where they are long.
func (x *columnIndex) page(b bounds, nulls int, empty bool) {
	if b.min == nil && !empty {
		b = x.order.everything()
	}
	if x.order == orderText || x.order == orderBytes {
		b = bounds{cutMin(b.min, x.order == orderText), cutMax(b.max, x.order == orderText)}
	}
	x.NullPages = append(x.NullPages, empty)
	x.NullCounts = append(x.NullCounts, int64(nulls))
	x.MinValues = append(x.MinValues, nonNil(b.min))
	x.MaxValues = append(x.MaxValues, nonNil(b.max))
}

func nonNil(b []byte) []byte {
	if b == nil {
		return []byte{}
	}
	return b
}

// finish settles whether the bounds of the pages that have some are sorted.
func (x *columnIndex) finish() {
	up, down := true, true
	last := -1
	for i, empty := range x.NullPages {
		if empty {
			continue
		}
		if last >= 0 {
			lo, hi := x.order.compare(x.MinValues[i], x.MinValues[last]), x.order.compare(x.MaxValues[i], x.MaxValues[last])
			up = up && lo >= 0 && hi >= 0
			down = down && lo <= 0 && hi <= 0
		}
		last = i
	}
	switch {
	case up:
		x.BoundaryOrder = format.Ascending
	case down:
		x.BoundaryOrder = format.Descending
	default:
		x.BoundaryOrder = format.Unordered
	}
}

// cutMin gives a short value that is not greater than v; of text, it is whole characters.
func cutMin(v []byte, text bool) []byte {
	if len(v) <= indexBytes {
		return v
	}
	if n := wholeRunes(v, indexBytes); text && n > 0 {
		return v[:n]
	}
	return v[:indexBytes]
}

// cutMax gives a short value that is not less than v: a prefix with its last character (or byte) made one greater; v
// itself if there is no such prefix.
func cutMax(v []byte, text bool) []byte {
	if len(v) <= indexBytes {
		return v
	}
	if text && utf8.Valid(v) {
		for n := wholeRunes(v, indexBytes); n > 0; {
			r, size := utf8.DecodeLastRune(v[:n])
			n -= size
			if next := nextRune(r); next > 0 {
				return utf8.AppendRune(slices.Clone(v[:n]), next)
			}
		}
		return v
	}
	for n := indexBytes; n > 0; n-- {
		if v[n-1] != 0xFF {
			out := slices.Clone(v[:n])
			out[n-1]++
			return out
		}
	}
	return v
}

// nextRune is the character after r, or 0 after the last one.
func nextRune(r rune) rune {
	switch {
	case r == utf8.MaxRune:
		return 0
	case r+1 >= 0xD800 && r+1 <= 0xDFFF: // surrogates are no characters
		return 0xE000
	}
	return r + 1
}

// wholeRunes is the length of the longest prefix of v of at most n bytes that ends between characters.
func wholeRunes(v []byte, n int) int {
	for n > 0 && !utf8.RuneStart(v[n]) {
		n--
	}
	return n
}
