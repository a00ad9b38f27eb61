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

// digits8 reads eight ASCII digits, the first in the lowest byte: pairs, then fours, then all are joined by multiplication.
func digits8(w uint64) (v uint64, ok bool) {
	w ^= zeros8
	if (w|(w+over9))&highs != 0 {
		return 0, false
	}
	w = w*10 + w>>8
	return ((w&0x000000FF000000FF)*(100+1_000_000<<32) + (w>>16&0x000000FF000000FF)*(1+10_000<<32)) >> 32 & 0xFFFFFFFF, true
}

// last8 is the n bytes of b that end at e, 1 ≤ n ≤ 8 ≤ e, with zeros '0' before them.
func last8(b []byte, e, n int) uint64 {
	gap := uint(8-n) * 8 & 63 // the mask tells the compiler
	return binary.LittleEndian.Uint64(b[e-8:e])>>gap<<gap | zeros8&(1<<gap-1)
}

// short reads a number of at most eight digits and a point that ends at e, as an integer and the number of digits behind the point.
func short(b []byte, e, n int) (v uint64, frac int, ok bool) {
	w := last8(b, e, n)
	if p := equal(w, ones*'.'); p != 0 {
		if n == 1 {
			return 0, 0, false
		}
		w, frac = closeGap(w, p)
	}
	v, ok = digits8(w)
	return v, frac, ok
}

// closeGap takes the byte out of w that the lowest bit of p marks; frac is how many bytes follow it.
func closeGap(w, p uint64) (_ uint64, frac int) {
	at := uint(bits.TrailingZeros64(p)) & 56
	return (w>>at>>8<<8)<<at | (w&(1<<at-1))<<8 | '0', int(56-at) >> 3
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
		inferred, empty, fast := c.plan.inferred, c.nulls.empty, c.fastFrom()
		minus := T(0)-1 < 0
		none := 0
		var j, k int
		for i := range dst {
			s, e := int(lo[j]+add), int(hi[k])
			j, k = j+step, k+fields
			n := e - s
			if n == 0 && empty {
				dst[i], valid[i] = 0, 0
				none++
				continue
			}
			if uint(n-1) < 8 && e >= fast {
				if u, ok := digits8(last8(b, e, n)); ok && !(inferred && leadingZero(b, s, e)) {
					if t := T(u); uint64(t) == u && t >= 0 {
						dst[i], valid[i] = t, 1
						continue
					}
				}
			}
			if minus && uint(n-2) < 8 && e >= fast && b[s] == '-' && b[s+1] != '0' {
				if u, ok := digits8(last8(b, e, n-1)); ok {
					if t := -T(u); int64(t) == -int64(u) {
						dst[i], valid[i] = t, 1
						continue
					}
				}
			}
			dst[i], valid[i] = cell(c, r, i, b[s:e], parse)
		}
		c.none += none
	}
}

// tenths has places to spare so that an index needs no check.
var tenths = [16]float64{1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8}

// readFloats reads float64: up to eight digits by one division of exact numbers, which is correctly rounded.
func readFloats(c *column, r *run) {
	dst := values[float64](c.vals, r.at, r.n)
	valid := c.valid[r.at:][:len(dst)]
	lo, hi, step, add := r.cells()
	b, fields := r.b, r.fields
	inferred, empty, fast := c.plan.inferred, c.nulls.empty, c.fastFrom()
	none := 0
	var j, k int
	for i := range dst {
		s, e := int(lo[j]+add), int(hi[k])
		j, k = j+step, k+fields
		n := e - s
		if n == 0 && empty {
			dst[i], valid[i] = 0, 0
			none++
			continue
		}
		if uint(n-1) < 8 && e >= fast {
			// short, written out: a call costs as much as its work
			w, frac := last8(b, e, n), 0
			if p := equal(w, ones*'.'); p != 0 && n > 1 {
				w, frac = closeGap(w, p)
			}
			if u, ok := digits8(w); ok && !(inferred && leadingZero(b, s, e)) {
				dst[i], valid[i] = float64(u)/tenths[frac&15], 1
				continue
			}
		}
		if uint(n-2) < 8 && e >= fast && b[s] == '-' && !(inferred && b[s+1] == '0') {
			if u, frac, ok := short(b, e, n-1); ok {
				dst[i], valid[i] = -(float64(u) / tenths[frac]), 1
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
					if u, frac, ok := short(b, e, n); ok {
						if up := int(scale) - frac; uint(up) <= 10 && u*tens[up] < limit {
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
	guessed := p.inferred && zoned // 19 bytes have no offset: not what was inferred
	return func(c *column, r *run) {
		dst := values[int64](c.vals, r.at, r.n)
		valid := c.valid[r.at:][:len(dst)]
		lo, hi, step, add := r.cells()
		b, fields := r.b, r.fields
		empty, slow := c.nulls.empty, c.slow || guessed
		var j, k int
		for i := range dst {
			s, e := int(lo[j]+add), int(hi[k])
			j, k = j+step, k+fields
			if s == e && empty {
				dst[i], valid[i] = 0, 0
				c.none++
				continue
			}
			if e-s == 19 && !slow && b[s] != r.d.quote {
				var v int64
				var ok bool
				if zoned {
					v, ok = p.layout.Instant(b[s:e])
				} else {
					v, ok = p.layout.Micros(b[s:e])
				}
				if ok {
					dst[i], valid[i] = v, 1
					continue
				}
			}
			dst[i], valid[i] = cell(c, r, i, b[s:e], parse)
		}
	}
}
