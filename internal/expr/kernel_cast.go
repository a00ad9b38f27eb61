package expr

import (
	"math"
	"strconv"

	"github.com/apache/arrow/go/v17/arrow/decimal128"
)

// castKernel converts from one type to another; which pairs exist is castable's to say. Values that the new type cannot
// hold are row errors. Rounding happens only where PostgreSQL's casts are defined by it: float to integer (half to even),
// decimal to integer or to fewer decimal places and float to decimal (half away from zero).
func castKernel(from, to typ) (k kernel, mayFail bool) {
	switch {
	case to.json && !from.json:
		return jsonFromText, true
	case from.kind == kList && to.kind == kList:
		return castList(from, to)
	case from.json && to.kind == kString, from.kind == kTimestamp && to.kind == kTimestamptz, from.kind == kTimestamptz && to.kind == kTimestamp:
		return relabel, false // sessions are in UTC
	case to.kind == kString:
		return castToText(from), false
	case from.kind == kString:
		return castFromText(to), true
	case to.kind == kInterval:
		return timeToInterval, false
	case from.kind == kInterval:
		return intervalToTime, false
	case from.kind == kBool:
		return boolToInt(to.kind), false
	case to.kind == kBool:
		return intToBool(from.kind), false
	case from.kind == kDecimal && to.kind == kDecimal:
		return decToDec, to.scale < from.scale || to.prec-to.scale < from.prec-from.scale
	case from.kind == kDecimal:
		return decToNumber(to.kind), !to.kind.float()
	case to.kind == kDecimal:
		return numberToDec(from.kind), from.kind.float() || integerDigits[from.kind] > to.prec-to.scale
	case from.kind.numeric():
		return castNumber(from.kind, to.kind), !widens(from.kind, to.kind)
	}
	return castTemporal(from.kind, to.kind), from.kind == kDate
}

func relabel(f *function, r *run, _ []byte, args []*vector) *vector {
	out := *args[0]
	out.typ, out.array = f.t, nil
	return &out
}

// widens reports whether every value of numeric kind a is one of b.
func widens(a, b kind) bool {
	switch {
	case b.float():
		return b == kFloat64 || a.integer()
	case a.float():
		return false
	case a.signed() == b.signed():
		return a <= b
	}
	return a.unsigned() && b-kInt8 > a-kUint8
}

func castNumber(from, to kind) kernel {
	switch from {
	case kInt8:
		return castFrom[int8](to)
	case kInt16:
		return castFrom[int16](to)
	case kInt32:
		return castFrom[int32](to)
	case kInt64:
		return castFrom[int64](to)
	case kUint8:
		return castFrom[uint8](to)
	case kUint16:
		return castFrom[uint16](to)
	case kUint32:
		return castFrom[uint32](to)
	case kUint64:
		return castFrom[uint64](to)
	case kFloat32:
		return castFloat[float32](to)
	}
	return castFloat[float64](to)
}

func castFrom[S integer](to kind) kernel {
	switch to {
	case kInt8:
		return intToInt[S, int8]
	case kInt16:
		return intToInt[S, int16]
	case kInt32:
		return intToInt[S, int32]
	case kInt64:
		return intToInt[S, int64]
	case kUint8:
		return intToInt[S, uint8]
	case kUint16:
		return intToInt[S, uint16]
	case kUint32:
		return intToInt[S, uint32]
	case kUint64:
		return intToInt[S, uint64]
	case kFloat32:
		return toFloat[S, float32]
	}
	return toFloat[S, float64]
}

func intToInt[S, D integer](f *function, r *run, sel []byte, args []*vector) *vector {
	out := r.fixed(f.t)
	out.valid = r.strictValid(args...)
	src, dst := values[S](args[0]), values[D](out)
	var bad byte
	for i, x := range src {
		y := D(x)
		dst[i] = y
		bad |= b2u(S(y) != x) | b2u((y < 0) != (x < 0))
	}
	if bad != 0 {
		f.recheck(r, out, sel, func(i int) (string, string) {
			if x := src[i]; S(D(x)) != x || (D(x) < 0) != (x < 0) {
				return formatInt(x), f.outOfRange()
			}
			return "", ""
		})
	}
	return out
}

func (f *function) outOfRange() string { return "value out of range for " + f.t.String() }

func toFloat[S integer | float, D float](f *function, r *run, _ []byte, args []*vector) *vector {
	out := r.fixed(f.t)
	out.valid = r.strictValid(args...)
	dst := values[D](out)
	for i, x := range values[S](args[0]) {
		dst[i] = D(x)
	}
	return out
}

func castFloat[S float](to kind) kernel {
	switch to {
	case kInt8:
		return floatToInt[S, int8](math.MinInt8, 1<<7)
	case kInt16:
		return floatToInt[S, int16](math.MinInt16, 1<<15)
	case kInt32:
		return floatToInt[S, int32](math.MinInt32, 1<<31)
	case kInt64:
		return floatToInt[S, int64](math.MinInt64, 1<<63)
	case kUint8:
		return floatToInt[S, uint8](0, 1<<8)
	case kUint16:
		return floatToInt[S, uint16](0, 1<<16)
	case kUint32:
		return floatToInt[S, uint32](0, 1<<32)
	case kUint64:
		return floatToInt[S, uint64](0, 1<<64)
	case kFloat32:
		return func(f *function, r *run, sel []byte, args []*vector) *vector {
			out := toFloat[S, float32](f, r, sel, args)
			src, dst := values[S](args[0]), values[float32](out)
			if anyNotFinite(dst) || anyLost(src, dst) {
				f.recheck(r, out, sel, func(i int) (string, string) {
					if isInf(dst[i]) && !isInf(src[i]) || dst[i] == 0 && src[i] != 0 {
						return formatFloat(src[i]), f.outOfRange()
					}
					return "", ""
				})
			}
			return out
		}
	}
	return toFloat[S, float64]
}

// anyLost reports whether a number that is not 0 has become 0.
func anyLost[S float](src []S, dst []float32) bool {
	for i, y := range dst {
		if y == 0 && src[i] != 0 {
			return true
		}
	}
	return false
}

// floatToInt rounds half to even; what is not in [lo, hi) then is an error.
func floatToInt[S float, D integer](lo, hi float64) kernel {
	return func(f *function, r *run, sel []byte, args []*vector) *vector {
		out := r.fixed(f.t)
		out.valid = r.strictValid(args...)
		src, dst := values[S](args[0]), values[D](out)
		bad := false
		for i, x := range src {
			y := math.RoundToEven(float64(x))
			if y >= lo && y < hi {
				dst[i] = D(y)
			} else {
				bad, dst[i] = true, 0
			}
		}
		if bad {
			f.recheck(r, out, sel, func(i int) (string, string) {
				if y := math.RoundToEven(float64(src[i])); y >= lo && y < hi {
					return "", ""
				}
				return formatFloat(src[i]), f.outOfRange()
			})
		}
		return out
	}
}

// intAt reads an integer vector of any width as decimals, for casts that are rare.
func intAt(v *vector) func(i int) dec {
	switch v.kind {
	case kInt8:
		s := values[int8](v)
		return func(i int) dec { return decimal128.FromI64(int64(s[i])) }
	case kInt16:
		s := values[int16](v)
		return func(i int) dec { return decimal128.FromI64(int64(s[i])) }
	case kInt32:
		s := values[int32](v)
		return func(i int) dec { return decimal128.FromI64(int64(s[i])) }
	case kInt64:
		s := values[int64](v)
		return func(i int) dec { return decimal128.FromI64(s[i]) }
	case kUint8:
		s := values[uint8](v)
		return func(i int) dec { return decimal128.FromU64(uint64(s[i])) }
	case kUint16:
		s := values[uint16](v)
		return func(i int) dec { return decimal128.FromU64(uint64(s[i])) }
	case kUint32:
		s := values[uint32](v)
		return func(i int) dec { return decimal128.FromU64(uint64(s[i])) }
	}
	s := values[uint64](v)
	return func(i int) dec { return decimal128.FromU64(s[i]) }
}

func numberToDec(from kind) kernel {
	if from.float() {
		return floatToDec
	}
	return func(f *function, r *run, sel []byte, args []*vector) *vector {
		out := r.fixed(f.t)
		out.valid = r.strictValid(args...)
		valid := out.valid
		at, dst := intAt(args[0]), values[dec](out)
		if f.t.scale == 0 && f.t.prec >= integerDigits[args[0].kind] { // any fits
			for i := range dst {
				dst[i] = at(i)
			}
			return out
		}
		for i := range dst {
			var ok bool
			if dst[i], ok = rescale(at(i), 0, f.t.scale, f.t.prec); !ok && active(sel, valid, i) {
				f.fail(r, out, i, formatDec(at(i), 0), f.outOfRange())
			}
		}
		return out
	}
}

// floatToDec rounds the float's exact value's shortest decimal form, as PostgreSQL's cast does within 15 digits.
func floatToDec(f *function, r *run, sel []byte, args []*vector) *vector {
	return floatsToDec(f, r, sel, args, false)
}

// floatToDecExactly refuses what it would have to round.
func floatToDecExactly(f *function, r *run, sel []byte, args []*vector) *vector {
	return floatsToDec(f, r, sel, args, true)
}

func floatsToDec(f *function, r *run, sel []byte, args []*vector, exactly bool) *vector {
	out := r.fixed(f.t)
	out.valid = r.strictValid(args...)
	t, valid, dst := f.t, out.valid, values[dec](out)
	at := func(i int) float64 { return values[float64](args[0])[i] }
	size := 64
	if args[0].kind == kFloat32 {
		at, size = func(i int) float64 { return float64(values[float32](args[0])[i]) }, 32
	}
	var buf []byte
	// A float that is the one nearest to a decimal of t with up to 15 digits is that decimal: no other one so short is nearest to it.
	power, most := math.Pow10(int(t.scale)), math.Pow10(min(int(t.prec), 15))
	short := size == 64 && t.scale <= 22 // the power is exact
	doubles := values[float64](args[0])  // where it is short
	for i := range dst {
		if short {
			x := doubles[i]
			if m := math.RoundToEven(x * power); math.Abs(m) < most && m/power == x {
				dst[i] = decimal128.FromI64(int64(m))
				continue
			}
		}
		if valid != nil && !bit(valid, i) {
			dst[i] = dec{}
			continue
		}
		buf = strconv.AppendFloat(buf[:0], at(i), 'e', -1, size)
		var ok bool
		if dst[i], ok = roundText(buf, f.t, exactly); !ok && active(sel, valid, i) {
			f.fail(r, out, i, strconv.FormatFloat(at(i), 'g', -1, size), f.outOfRange())
		}
	}
	return out
}

// roundText reads d.ddde±xx and rounds it to t half away from zero, or not at all.
func roundText(b []byte, t typ, exactly bool) (dec, bool) {
	neg := len(b) > 0 && b[0] == '-'
	var m uint64
	exp, places, point := 0, 0, false
	for i, c := range b {
		switch {
		case isDigit(c):
			m = m*10 + uint64(c-'0') // at most 17 digits
			if point {
				places++
			}
		case c == '.':
			point = true
		case c == 'e':
			exp, _ = strconv.Atoi(string(b[i+1:]))
		case c != '-' && c != '+':
			return dec{}, false // NaN, Inf
		}
		if c == 'e' {
			break
		}
	}
	scale := places - exp // value = m / 10^scale
	mag := u128{0, m}
	switch {
	case m == 0:
	case scale > int(t.scale)+38:
		if exactly {
			return dec{}, false
		}
		mag = u128{}
	case scale > int(t.scale):
		drop := powers[scale-int(t.scale)]
		whole := mag.roundDiv(drop)
		if back, ok := whole.mul(drop); exactly && (!ok || back != mag) {
			return dec{}, false
		}
		mag = whole
	case int(t.scale)-scale > 38:
		return dec{}, false
	default:
		var ok bool
		if mag, ok = mag.mul(powers[int(t.scale)-scale]); !ok {
			return dec{}, false
		}
	}
	return signedDec(mag, neg, t.prec)
}

func decToDec(f *function, r *run, sel []byte, args []*vector) *vector {
	out := r.fixed(f.t)
	out.valid = r.strictValid(args...)
	valid, dst, from := out.valid, values[dec](out), args[0].scale
	for i, x := range values[dec](args[0]) {
		var ok bool
		if dst[i], ok = rescale(x, from, f.t.scale, f.t.prec); !ok && active(sel, valid, i) {
			f.fail(r, out, i, formatDec(x, from), f.outOfRange())
		}
	}
	return out
}

func decToNumber(to kind) kernel {
	switch to {
	case kFloat32:
		return decToFloats[float32]
	case kFloat64:
		return decToFloats[float64]
	case kInt8:
		return decToInt[int8]
	case kInt16:
		return decToInt[int16]
	case kInt32:
		return decToInt[int32]
	case kInt64:
		return decToInt[int64]
	case kUint8:
		return decToInt[uint8]
	case kUint16:
		return decToInt[uint16]
	case kUint32:
		return decToInt[uint32]
	}
	return decToInt[uint64]
}

func decToFloats[D float](f *function, r *run, _ []byte, args []*vector) *vector {
	out := r.fixed(f.t)
	out.valid = r.strictValid(args...)
	dst, scale := values[D](out), args[0].scale
	for i, x := range values[dec](args[0]) {
		dst[i] = D(decToFloat(x, scale))
	}
	return out
}

func decToInt[D integer](f *function, r *run, sel []byte, args []*vector) *vector {
	out := r.fixed(f.t)
	out.valid = r.strictValid(args...)
	valid, dst, scale := out.valid, values[D](out), args[0].scale
	for i, x := range values[dec](args[0]) {
		m, neg := magnitude(x)
		m = m.roundDiv(powers[scale])
		d := D(m.lo)
		if neg {
			d = -d
		}
		dst[i] = d
		back := decimal128.FromI64(int64(d))
		if d > 0 {
			back = decimal128.FromU64(uint64(d))
		}
		if whole, _ := signedDec(m, neg, 38); whole != back && active(sel, valid, i) {
			f.fail(r, out, i, formatDec(x, scale), f.outOfRange())
		}
	}
	return out
}

func boolToInt(to kind) kernel {
	return func(f *function, r *run, _ []byte, args []*vector) *vector {
		out := r.fixed(f.t)
		out.valid = r.strictValid(args...)
		w := to.width()
		clear(out.data)
		for i := range r.n {
			out.data[i*w] = args[0].data[i>>3] >> (i & 7) & 1 // little endian
		}
		return out
	}
}

func intToBool(from kind) kernel {
	return func(f *function, r *run, _ []byte, args []*vector) *vector {
		out := &vector{typ: f.t, n: r.n, valid: r.strictValid(args...), data: r.zeroBitmap()}
		w := from.width()
		for i := range r.n {
			for _, c := range args[0].data[i*w : (i+1)*w] {
				if c != 0 {
					setBit(out.data, i)
					break
				}
			}
		}
		return out
	}
}

const (
	microsPerSecond = 1000000
	microsPerMinute = 60 * microsPerSecond
	microsPerHour   = 60 * microsPerMinute
	microsPerDay    = 24 * microsPerHour
)

// floorDiv and floorMod round towards minus infinity; b is positive.
func floorDiv(a, b int64) int64 {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}

func floorMod(a, b int64) int64 {
	m := a % b
	if m < 0 {
		m += b
	}
	return m
}

func castTemporal(from, to kind) kernel {
	return func(f *function, r *run, sel []byte, args []*vector) *vector {
		out := r.fixed(f.t)
		out.valid = r.strictValid(args...)
		switch {
		case from == kDate:
			dst, src, bad := values[int64](out), values[int32](args[0]), false
			for i, d := range src {
				dst[i] = int64(d) * microsPerDay
				bad = bad || d > math.MaxInt64/microsPerDay || d < math.MinInt64/microsPerDay
			}
			if bad {
				f.recheck(r, out, sel, func(i int) (string, string) {
					if d := src[i]; d > math.MaxInt64/microsPerDay || d < math.MinInt64/microsPerDay {
						return strconv.Itoa(int(d)) + " days since 1970-01-01", f.outOfRange()
					}
					return "", ""
				})
			}
		case to == kDate:
			dst := values[int32](out)
			for i, us := range values[int64](args[0]) {
				dst[i] = int32(floorDiv(us, microsPerDay))
			}
		default: // time of day
			dst := values[int64](out)
			for i, us := range values[int64](args[0]) {
				dst[i] = floorMod(us, microsPerDay)
			}
		}
		return out
	}
}
