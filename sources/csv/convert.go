package csv

import (
	"bytes"
	"encoding/binary"
	"math"
	"math/bits"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/decimal128"

	"github.com/sluice-data/sluice/internal/fail"
	"github.com/sluice-data/sluice/internal/textval"
)

type signed interface {
	~int8 | ~int16 | ~int32 | ~int64
}

type unsigned interface {
	~uint8 | ~uint16 | ~uint32 | ~uint64
}

// newColumn chooses the loop that reads p's cells.
func newColumn(p *plan, nulls *nullTexts) (column, error) {
	c := column{plan: p, nulls: nulls}
	for _, n := range nulls.other {
		c.slow = c.slow || bytes.IndexByte([]byte("+-.0123456789 \t"), n[0]) >= 0
	}
	switch dt := p.field.Type.(type) {
	case *arrow.StringType, *arrow.BinaryType:
		c.read = readStrings
	case *arrow.BooleanType:
		c.width, c.read = 1, each(parseBool)
	case *arrow.Int8Type:
		c.width, c.read = 1, readInts(parseInt[int8])
	case *arrow.Int16Type:
		c.width, c.read = 2, readInts(parseInt[int16])
	case *arrow.Int32Type:
		c.width, c.read = 4, readInts(parseInt[int32])
	case *arrow.Int64Type:
		c.width, c.read = 8, readInts(parseInt[int64])
	case *arrow.Uint8Type:
		c.width, c.read = 1, readInts(parseUint[uint8])
	case *arrow.Uint16Type:
		c.width, c.read = 2, readInts(parseUint[uint16])
	case *arrow.Uint32Type:
		c.width, c.read = 4, readInts(parseUint[uint32])
	case *arrow.Uint64Type:
		c.width, c.read = 8, readInts(parseUint[uint64])
	case *arrow.Float32Type:
		c.width, c.read = 4, each(textval.Float32)
	case *arrow.Float64Type:
		c.width, c.read = 8, readFloats
	case *arrow.Decimal128Type:
		c.width, c.read = arrow.Decimal128SizeBytes, readDecimals(dt.Precision, dt.Scale)
	case *arrow.Date32Type:
		c.width, c.read = 4, each(p.layout.Date)
	case *arrow.Time64Type:
		c.width, c.read = 8, each(p.layout.TimeOfDay)
	case *arrow.TimestampType:
		c.width, c.read = 8, readTimestamps(p, dt.TimeZone != "")
	default:
		return c, fail.Newf(fail.Internal, "csv: no reader for columns of type %s", dt)
	}
	return c, nil
}

func parseBool(b []byte) (byte, bool) {
	v, ok := textval.Bool(b)
	if v {
		return 1, ok
	}
	return 0, ok
}

func parseInt[T signed](b []byte) (T, bool) {
	v, ok := textval.Int(b)
	return T(v), ok && int64(T(v)) == v
}

func parseUint[T unsigned](b []byte) (T, bool) {
	v, ok := textval.Uint(b)
	return T(v), ok && uint64(T(v)) == v
}

// cell reads one cell with care: quotes, null texts, spaces around, inferred types. valid is 0 for null and for a value that was refused.
func cell[T any](c *column, r *run, row int, raw []byte, parse func([]byte) (T, bool)) (v T, valid byte) {
	text, scratch, quoted := r.d.text(raw, c.text)
	c.text = scratch
	if !quoted && c.nulls.has(text) || quoted && len(text) == 0 && c.nulls.empty {
		c.none++
		return v, 0
	}
	p := c.plan
	if !p.inferred || holds(p.field.Type, classify(text)) {
		if v, ok := parse(text); ok {
			return v, 1
		}
		if !p.inferred {
			if trimmed := bytes.Trim(text, " \t"); len(trimmed) < len(text) {
				if v, ok := parse(trimmed); ok {
					return v, 1
				}
			}
		}
	}
	c.none++
	r.refuse(c, row, text, reason(p, text))
	var zero T
	return zero, 0
}

// refuse notes that c cannot hold text; under an inferred type, that this type was a wrong guess.
func (r *run) refuse(c *column, row int, text []byte, why string) {
	if c.plan.inferred {
		r.bad = append(r.bad, badCell{row: row, column: c.plan.name, value: string(text), reason: typeName(c.plan), misfit: true})
		return
	}
	r.bad = append(r.bad, badCell{row: row, column: c.plan.name, value: string(text), reason: why})
}

// each reads cells one by one.
func each[T any](parse func([]byte) (T, bool)) func(c *column, r *run) {
	return func(c *column, r *run) {
		dst := values[T](c.vals, r.at, r.n)
		valid := c.valid[r.at : r.at+r.n]
		lo, hi, step, add := r.cells()
		var j, k int
		for i := range dst {
			s, e := lo[j]+add, hi[k]
			j, k = j+step, k+r.fields
			dst[i], valid[i] = cell(c, r, i, r.b[s:e], parse)
		}
	}
}

const (
	zeros8 = 0x3030303030303030
	over9  = 0x7676767676767676 // lifts a byte above 9 into its high bit
)

// Tables stand in for shifts by what is only known at run time. By a number's length: which bytes of the eight that end with it are its own, the
// zeros before them, and the mark of a point that is all there is to it. They have places to spare so that an index needs no check.
var (
	own, lead, lone [16]uint64
	// By the place of the point, 8 if there is none: the bytes behind it, those before it, the zero that fills the gap it leaves, and
	// the power of ten to divide by.
	behind, before, gap [16]uint64
	tenths              [16]float64
)

func init() {
	for n := range 9 {
		shift := uint(8-n) * 8
		own[n] = ^uint64(0) << shift
		lead[n] = zeros8 &^ own[n]
	}
	lone[1] = highs & own[1]
	p := 1.0
	for at := 7; at >= 0; at-- {
		behind[at] = ^uint64(0) << (8*at + 8)
		before[at] = 1<<(8*at) - 1
		gap[at] = '0'
		tenths[at] = p
		p *= 10
	}
	behind[8], tenths[8] = ^uint64(0), 1
}

// join makes one number of eight ASCII digits, the first in the lowest byte: pairs, then fours, then all are joined by multiplication.
// odd is not 0 if there is anything else among them.
func join(w uint64) (v, odd uint64) {
	w ^= zeros8
	odd = (w | (w + over9)) & highs
	w = w*10 + w>>8
	return ((w&0x000000FF000000FF)*(100+1_000_000<<32) + (w>>16&0x000000FF000000FF)*(1+10_000<<32)) >> 32 & 0xFFFFFFFF, odd
}

// digits8 reads eight ASCII digits, the first in the lowest byte.
func digits8(w uint64) (v uint64, ok bool) {
	v, odd := join(w)
	return v, odd == 0
}

// last8 is the n bytes of b that end at e, 1 ≤ n ≤ 8 ≤ e, with zeros '0' before them.
func last8(b []byte, e, n int) uint64 {
	return binary.LittleEndian.Uint64(b[e-8:e])&own[n&15] | lead[n&15]
}

// short reads a number of at most eight digits and a point that ends at e, as an integer and the place of its point: the value is
// the integer over tenths[point].
func short(b []byte, e, n int) (v uint64, point int, ok bool) {
	w := last8(b, e, n)
	p := equal(w, ones*'.')
	point = bits.TrailingZeros64(p) >> 3 & 15
	v, odd := join(w&behind[point] | w&before[point]<<8 | gap[point])
	return v, point, odd|p&lone[n&15] == 0
}

// leadingZero reports whether the number at b[s:e], not empty, has a zero that printing it would not give back.
func leadingZero(b []byte, s, e int) bool {
	return b[s] == '0' && e-s > 1 && b[s+1] != '.'
}

// fastFrom is where in the text the loops may take their short cuts: eight bytes must lie before a cell's end. Nowhere, if a null
// text could be taken for a number.
func (c *column) fastFrom() int {
	if c.slow {
		return math.MaxInt
	}
	return 8
}

// readInts reads integers: up to eight digits at once, others by parse.
func readInts[T signed | unsigned](parse func([]byte) (T, bool)) func(c *column, r *run) {
	return func(c *column, r *run) {
		dst := values[T](c.vals, r.at, r.n)
		valid := c.valid[r.at:][:len(dst)]
		lo, hi, step, add := r.cells()
		b, fields := r.b, r.fields
		inferred, empty, slow, fast := c.plan.inferred, c.nulls.empty, c.slow, c.fastFrom()
		minus := T(0)-1 < 0
		none := 0
		var j, k int
		for i := range dst {
			s, e := int(lo[j]+add), int(hi[k])
			j, k = j+step, k+fields
			n := e - s
			if uint(n-1) < 8 && e >= fast {
				// digits8, written out: a call costs as much as its work
				if u, odd := join(last8(b, e, n)); odd == 0 && !(inferred && leadingZero(b, s, e)) {
					if t := T(u); uint64(t) == u && t >= 0 {
						dst[i], valid[i] = t, 1
						continue
					}
				}
			}
			if n == 0 && empty {
				dst[i], valid[i] = 0, 0
				none++
				continue
			}
			if minus && uint(n-2) < 8 && e >= fast && b[s] == '-' && b[s+1] != '0' {
				if u, ok := digits8(last8(b, e, n-1)); ok {
					if t := -T(u); int64(t) == -int64(u) {
						dst[i], valid[i] = t, 1
						continue
					}
				}
			}
			if n > 8 && !inferred && !slow {
				if t, ok := parse(b[s:e]); ok {
					dst[i], valid[i] = t, 1
					continue
				}
			}
			dst[i], valid[i] = cell(c, r, i, b[s:e], parse)
		}
		c.none += none
	}
}

// readFloats reads float64: up to eight digits by one division of exact numbers, which is correctly rounded.
func readFloats(c *column, r *run) {
	dst := values[float64](c.vals, r.at, r.n)
	valid := c.valid[r.at:][:len(dst)]
	lo, hi, step, add := r.cells()
	b, fields := r.b, r.fields
	inferred, empty, slow, fast := c.plan.inferred, c.nulls.empty, c.slow, c.fastFrom()
	none := 0
	var j, k int
	for i := range dst {
		s, e := int(lo[j]+add), int(hi[k])
		j, k = j+step, k+fields
		n := e - s
		if uint(n-1) < 8 && e >= fast {
			// short, written out: a call costs as much as its work
			w := last8(b, e, n)
			p := equal(w, ones*'.')
			point := bits.TrailingZeros64(p) >> 3 & 15
			u, odd := join(w&behind[point] | w&before[point]<<8 | gap[point])
			if odd|p&lone[n&15] == 0 && !(inferred && leadingZero(b, s, e)) {
				dst[i], valid[i] = float64(int64(u))/tenths[point], 1
				continue
			}
		}
		if n == 0 && empty {
			dst[i], valid[i] = 0, 0
			none++
			continue
		}
		if uint(n-2) < 8 && e >= fast && b[s] == '-' && !(inferred && b[s+1] == '0') {
			if u, point, ok := short(b, e, n-1); ok {
				dst[i], valid[i] = -(float64(int64(u)) / tenths[point]), 1
				continue
			}
		}
		if n > 8 && !inferred && !slow {
			if v, ok := textval.Float64(b[s:e]); ok {
				dst[i], valid[i] = v, 1
				continue
			}
		}
		dst[i], valid[i] = cell(c, r, i, b[s:e], textval.Float64)
	}
	c.none += none
}

var tens = [...]uint64{1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18}

// readDecimals reads decimals: up to eight digits, and at most eighteen after scaling, in 64 bits.
func readDecimals(precision, scale int32) func(c *column, r *run) {
	parse := func(b []byte) (decimal128.Num, bool) { return textval.Decimal(b, precision, scale) }
	limit := tens[min(int(precision), len(tens)-1)]
	return func(c *column, r *run) {
		dst := values[decimal128.Num](c.vals, r.at, r.n)
		valid := c.valid[r.at:][:len(dst)]
		lo, hi, step, add := r.cells()
		b, fields := r.b, r.fields
		inferred, empty, fast := c.plan.inferred, c.nulls.empty, c.fastFrom()
		var j, k int
		for i := range dst {
			s, e := int(lo[j]+add), int(hi[k])
			j, k = j+step, k+fields
			if s == e && empty {
				dst[i], valid[i] = decimal128.Num{}, 0
				c.none++
				continue
			}
			if s < e && e >= fast {
				from := s
				if b[s] == '-' {
					from++
				}
				if n := e - from; uint(n-1) < 8 && !(inferred && (leadingZero(b, from, e) || from > s && b[from] == '0')) {
					if u, point, ok := short(b, e, n); ok {
						if up := int(scale) - max(7-point, 0); uint(up) <= 10 && u*tens[up] < limit {
							v := int64(u * tens[up])
							if from > s {
								v = -v
							}
							dst[i], valid[i] = decimal128.FromI64(v), 1
							continue
						}
					}
				}
			}
			dst[i], valid[i] = cell(c, r, i, b[s:e], parse)
		}
	}
}

// readTimestamps reads timestamps, as instants if zoned.
func readTimestamps(p *plan, zoned bool) func(c *column, r *run) {
	parse := p.layout.Micros
	if zoned {
		parse = p.layout.Instant
	}
	fixed, t := p.layout.Fixed(zoned)
	fixed = fixed && !(p.inferred && zoned) // 19 bytes have no offset: not what was inferred
	return func(c *column, r *run) {
		dst := values[int64](c.vals, r.at, r.n)
		valid := c.valid[r.at:][:len(dst)]
		lo, hi, step, add := r.cells()
		b, fields := r.b, r.fields
		empty, fast := c.nulls.empty, fixed && !c.slow
		var j, k int
		for i := range dst {
			s, e := int(lo[j]+add), int(hi[k])
			j, k = j+step, k+fields
			if e-s == 19 && fast && (t || b[s+10] == ' ') {
				if v, ok := textval.Fixed(b[s:e]); ok {
					dst[i], valid[i] = v, 1
					continue
				}
			}
			if s == e && empty {
				dst[i], valid[i] = 0, 0
				c.none++
				continue
			}
			dst[i], valid[i] = cell(c, r, i, b[s:e], parse)
		}
	}
}
