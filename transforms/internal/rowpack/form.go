package rowpack

import (
	"bytes"
	"encoding/binary"
	"math"
	"math/bits"
	"unsafe"
)

// A column that waits keeps numbers as their differences from the least, in as few whole bytes as the largest needs. That is a
// fraction of the values, and they are ordered, written, read and made whole again a column at a time, at about a nanosecond a value each. Fewer bits than a byte would make it a fifth smaller, at three times the price.

// How the values of a column are kept.
const (
	whole      byte = iota // as they came: in no piece
	rawValues              // as they are
	numbers                // integers
	decimals               // float64 that are integers / 10^arg
	lowWords               // 16-byte integers whose upper words only carry the sign
	bitValues              // bools
	texts                  // texts, and where they end
	digitTexts             // texts of arg digits each
)

// form is how the values of a column are kept, and what makes them whole: numbers are base + unit * what is kept of them in width bytes.
type form struct {
	way   byte
	arg   uint8
	width int // of what is kept of a value: 0, 1, 2, 4 or 8 of numbers
	base  int64
	unit  int64
}

// units are those that 64-bit values (timestamps, mostly) may be whole numbers of.
var units = [...]int64{1, 1000, 1_000_000}

// widthOf is the bytes that numbers up to span take.
func widthOf(span uint64) int {
	switch n := bits.Len64(span); {
	case n == 0:
		return 0
	case n <= 8:
		return 1
	case n <= 16:
		return 2
	case n <= 32:
		return 4
	}
	return 8
}

// former finds the forms of columns.
type former struct {
	ints []int64
	exp  []uint8 // of each column: the power of ten its floats were integers of last
	rest []uint8 // times for which a column's floats are not tried again
}

// order is Encoder.Order.
func (f *former) order(dst, c *Column, i int, order []int32) {
	n := len(order)
	dst.Reset()
	dst.lay, dst.n = c.lay, n
	if c.hasNulls() {
		dst.valid = extend(dst.valid, n)
		pick(dst.valid, c.valid, order)
	}
	if c.lay.IsText() {
		f.texts(dst, c, order)
		return
	}
	w := c.lay.width
	dst.data = extend(dst.data, n*w)
	if c.lay.kind == bools {
		dst.form = form{way: bitValues, width: 1}
		pick(dst.data, c.data, order)
		return
	}
	if c.hasNulls() {
		c.fill()
	}
	if f.shorter(dst, c, i, order) {
		return
	}
	dst.form = form{way: rawValues, width: w}
	pickSized(dst.data, c.data, w, order)
}

// fill puts a value that is there in the place of nulls: zeros would count as the least, or greatest.
func (c *Column) fill() {
	first := bytes.IndexByte(c.valid, 1)
	if first < 0 {
		return
	}
	w := c.lay.width
	v := c.data[first*w : (first+1)*w]
	for i, there := range c.valid {
		if there == 0 {
			copy(c.data[i*w:(i+1)*w], v)
		}
	}
}

// shorter puts values of a fixed width into dst as numbers, if that is shorter.
func (f *former) shorter(dst, c *Column, i int, order []int32) bool {
	switch w := c.lay.width; {
	case w == 2:
		return integers(dst, as[int16](c.data), order, numbers, 0, 1)
	case w == 4 && !c.lay.float:
		return integers(dst, as[int32](c.data), order, numbers, 0, 1)
	case w == 8 && c.lay.float:
		return f.decimals(dst, as[float64](c.data), i, order)
	case w == 8:
		v := as[int64](c.data)
		lo, hi := extremes(v)
		span := uint64(hi) - uint64(lo)
		for k := len(units) - 1; k > 0 && widthOf(span) == 8; k-- {
			if widthOf(span/uint64(units[k])) < 8 && f.inUnits(v, lo, k) {
				ok := integers(dst, f.ints[:len(v)], order, numbers, uint8(k), units[k])
				dst.form.base = lo // the least of the whole units is 0
				return ok
			}
		}
		return integers(dst, v, order, numbers, 0, 1)
	case w == 16:
		low := grown(&f.ints, len(order))
		v := as[int64](c.data)
		for i := range low {
			if low[i] = v[2*i]; v[2*i+1] != low[i]>>63 {
				return false
			}
		}
		return integers(dst, low, order, lowWords, 0, 1)
	}
	return false
}

func extremes[T int16 | int32 | int64](v []T) (lo, hi T) {
	lo, hi = v[0], v[0]
	for _, x := range v {
		lo, hi = min(lo, x), max(hi, x)
	}
	return lo, hi
}

// integers puts v into dst, less the least of them; false if that makes them no shorter.
func integers[T int16 | int32 | int64](dst *Column, v []T, order []int32, way, arg byte, unit int64) bool {
	lo, hi := extremes(v)
	w := widthOf(uint64(int64(hi)) - uint64(int64(lo)))
	if w >= dst.lay.width && way == numbers {
		return false
	}
	dst.form = form{way: way, arg: arg, width: w, base: int64(lo), unit: unit}
	dst.data = dst.data[:len(order)*w]
	switch w {
	case 1:
		less(dst.data, v, order, lo)
	case 2:
		less(as[uint16](dst.data), v, order, lo)
	case 4:
		less(as[uint32](dst.data), v, order, lo)
	case 8:
		less(as[uint64](dst.data), v, order, lo)
	}
	return true
}

func less[D uint8 | uint16 | uint32 | uint64, T int16 | int32 | int64](dst []D, v []T, order []int32, lo T) {
	dst = dst[:len(order)]
	for i, o := range order {
		dst[i] = D(v[o] - lo) // if T is too narrow for the difference the sum wraps back
	}
}

// inUnits sets f.ints to the differences of v from lo in units[k], if they are whole numbers of it.
func (f *former) inUnits(v []int64, lo int64, k int) bool {
	out := grown(&f.ints, len(v))
	if k == 1 {
		for i, x := range v {
			d := uint64(x - lo)
			q := d / 1000
			if q*1000 != d {
				return false
			}
			out[i] = int64(q)
		}
		return true
	}
	for i, x := range v {
		d := uint64(x - lo)
		q := d / 1_000_000
		if q*1_000_000 != d {
			return false
		}
		out[i] = int64(q)
	}
	return true
}

const mostExp = 9

var powers = [mostExp + 1]float64{1, 10, 100, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9}

// decimals tries whether all values are integers over one power of ten, as amounts of money are. The quotient of two exact
// numbers is rounded as their text was, so the bits come back, and each value is tried.
func (f *former) decimals(dst *Column, v []float64, i int, order []int32) bool {
	if f.rest[i] > 0 {
		f.rest[i]--
		return false
	}
	ints := grown(&f.ints, len(v))
	for exp := int(f.exp[i]); exp <= mostExp; exp++ {
		if asDecimals(ints, v, powers[exp]) {
			f.exp[i] = uint8(exp)
			return integers(dst, ints, order, decimals, uint8(exp), 1)
		}
	}
	f.exp[i], f.rest[i] = 0, 15
	return false
}

func asDecimals(out []int64, v []float64, p float64) bool {
	out = out[:len(v)]
	for i, x := range v {
		n := int64(x*p + math.Copysign(0.5, x))
		if math.Float64bits(float64(n)/p) != math.Float64bits(x) {
			return false
		}
		out[i] = n
	}
	return true
}

const mostDigits = 18 // 10^18 < 2^63

// texts puts texts into dst: as numbers, if all are digits and as many.
func (f *former) texts(dst, c *Column, order []int32) {
	if n := f.digits(c); n > 0 {
		dst.data = extend(dst.data, max(len(c.data), 8*len(order)))
		integers(dst, f.ints[:c.n], order, digitTexts, uint8(n), 1)
		return
	}
	dst.form = form{way: texts}
	dst.data = extend(dst.data, len(c.data)+8)
	dst.ends = extend(dst.ends, len(order))
	at := 0
	for i, o := range order {
		from := uint32(0)
		if o > 0 {
			from = c.ends[o-1]
		}
		end := c.ends[o]
		if src := c.data[from:]; end-from <= 8 && len(src) >= 8 { // most are short: what is too much is written over
			binary.LittleEndian.PutUint64(dst.data[at:], binary.LittleEndian.Uint64(src))
		} else {
			copy(dst.data[at:], src[:end-from])
		}
		at += int(end - from)
		dst.ends[i] = uint32(at)
	}
	dst.data = dst.data[:at]
}

// digits sets f.ints to the numbers that the texts are, if each has as many digits and nothing else, and returns how many that is; else 0.
func (f *former) digits(c *Column) int {
	first := 0
	if c.hasNulls() {
		first = bytes.IndexByte(c.valid, 1)
	}
	if first < 0 || c.lay.kind != text {
		return 0
	}
	n := c.TextSize(first, first+1)
	if n == 0 || n > mostDigits {
		return 0
	}
	out := grown(&f.ints, c.n)
	from, some := uint32(0), int64(0)
	for i, end := range c.ends {
		if c.hasNulls() && c.valid[i] == 0 {
			out[i] = some // a null's number only must not be the least or greatest
			continue
		}
		if int(end-from) != n {
			return 0
		}
		v, ok := number(c.data[from:end])
		if !ok {
			return 0
		}
		if i == first {
			some = v
			for k := range i {
				out[k] = v
			}
		}
		out[i], from = v, end
	}
	return n
}

// number reads up to mostDigits digits: eight at a time, as pairs, then fours, joined by multiplication.
func number(b []byte) (v int64, ok bool) {
	for ; len(b) >= 8; b = b[8:] {
		w := binary.LittleEndian.Uint64(b) ^ 0x3030303030303030
		if (w|(w+0x7676767676767676))&0x8080808080808080 != 0 {
			return 0, false
		}
		w = w*10 + w>>8
		w = ((w&0x000000FF000000FF)*(100+1_000_000<<32) + (w>>16&0x000000FF000000FF)*(1+10_000<<32)) >> 32
		v = 100_000_000*v + int64(w&0xFFFFFFFF)
	}
	for _, c := range b {
		if c -= '0'; c > 9 {
			return 0, false
		}
		v = 10*v + int64(c)
	}
	return v, true
}

// putNumber writes v into all of out, as digits.
func putNumber(out []byte, v uint64) {
	for len(out) >= 2 {
		q := v / 100
		two := 2 * (v - 100*q)
		out[len(out)-2], out[len(out)-1] = pairs[two], pairs[two+1]
		out, v = out[:len(out)-2], q
	}
	if len(out) > 0 {
		out[0] = '0' + byte(v%10)
	}
}

// pairs are the numbers from 00 to 99.
var pairs = func() (p [200]byte) {
	for i := range 100 {
		p[2*i], p[2*i+1] = '0'+byte(i/10), '0'+byte(i%10)
	}
	return p
}()

// restore sets out to values lo … hi-1 of c, of a fixed width, as they were. Nulls are zero.
func (c *Column) restore(out []byte, lo, hi int) {
	f, w := &c.form, c.lay.width
	if f.way == whole {
		copy(out, c.data[lo*w:hi*w])
		return
	}
	src := c.data[lo*f.width : hi*f.width]
	switch {
	case f.way == decimals:
		quotients(as[float64](out), f, src)
	case f.way == lowWords:
		sums(as[uint64](out)[:hi-lo], f, src)
		v := as[int64](out)
		for i := hi - lo - 1; i >= 0; i-- { // from the end: where a value goes is not read any more
			x := v[i]
			v[2*i], v[2*i+1] = x, x>>63
		}
	case f.way != numbers:
		copy(out, src)
	case w == 2:
		sums(as[uint16](out), f, src)
	case w == 4:
		sums(as[uint32](out), f, src)
	default:
		sums(as[uint64](out), f, src)
	}
	if !c.hasNulls() {
		return
	}
	for i, there := range c.valid[lo:hi] {
		if there == 0 {
			clear(out[i*w : (i+1)*w])
		}
	}
}

func sums[T uint16 | uint32 | uint64](out []T, f *form, src []byte) {
	base, unit := T(f.base), T(f.unit)
	switch f.width {
	case 0:
		for i := range out {
			out[i] = base
		}
	case 1:
		sum(out, src, base, unit)
	case 2:
		sum(out, as[uint16](src), base, unit)
	case 4:
		sum(out, as[uint32](src), base, unit)
	case 8:
		sum(out, as[uint64](src), base, unit)
	}
}

func sum[T uint16 | uint32 | uint64, S uint8 | uint16 | uint32 | uint64](out []T, src []S, base, unit T) {
	out = out[:len(src)]
	if unit == 1 {
		for i, x := range src {
			out[i] = base + T(x)
		}
		return
	}
	for i, x := range src {
		out[i] = base + T(x)*unit
	}
}

func quotients(out []float64, f *form, src []byte) {
	p := powers[f.arg]
	switch f.width {
	case 0:
		for i := range out {
			out[i] = float64(f.base) / p
		}
	case 1:
		quotient(out, src, f.base, p)
	case 2:
		quotient(out, as[uint16](src), f.base, p)
	case 4:
		quotient(out, as[uint32](src), f.base, p)
	case 8:
		quotient(out, as[uint64](src), f.base, p)
	}
}

func quotient[S uint8 | uint16 | uint32 | uint64](out []float64, src []S, base int64, p float64) {
	out = out[:len(src)]
	for i, x := range src {
		out[i] = float64(base+int64(x)) / p
	}
}

type integer interface {
	~int8 | ~int16 | ~int32 | ~int64 | ~uint8 | ~uint16 | ~uint32 | ~uint64
}

// grown is *s with n items whose content does not matter.
func grown[T any](s *[]T, n int) []T {
	if cap(*s) < n {
		*s = make([]T, n+n/4)
	}
	*s = (*s)[:cap(*s)]
	return (*s)[:n]
}

// as is b as values of type T, little-endian as on every machine that Arrow runs on here.
func as[T integer | float64](b []byte) []T {
	var t T
	if len(b) == 0 {
		return nil
	}
	return unsafe.Slice((*T)(unsafe.Pointer(unsafe.SliceData(b))), len(b)/int(unsafe.Sizeof(t)))
}
