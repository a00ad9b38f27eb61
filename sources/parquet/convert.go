package parquet

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math"
	"math/big"
	"strconv"
	"strings"
	"time"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/decimal128"
	"github.com/apache/arrow/go/v17/arrow/decimal256"
	"github.com/apache/arrow/go/v17/arrow/float16"
	"github.com/apache/arrow/go/v17/arrow/memory"
	"github.com/parquet-go/parquet-go/format"

	"github.com/sluice-data/sluice/internal/schema"
	"github.com/sluice-data/sluice/sources/parquet/internal/meta"
)

// newSink makes the sink that turns the leaf's values into the target field. The caller has checked that they widen.
func newSink(mem memory.Allocator, l *leaf, to arrow.Field) (sink, error) {
	k := l.kind
	unfit := fmt.Errorf("no conversion of %s to %s", schema.TypeName(k.field("")), schema.TypeName(to))
	if k.base == nullBase {
		return &nothing{mem: mem, typ: to.Type}, nil
	}
	switch t := to.Type.(type) {
	case *arrow.BooleanType:
		return &booleans{fixed[uint8]{mem: mem, typ: t, read: func(p *pageValues, dst []uint8, _ *conversion) error { return p.bools(dst) }}}, nil
	case *arrow.Int8Type:
		return numbers[int8](mem, l, t), nil
	case *arrow.Int16Type:
		return numbers[int16](mem, l, t), nil
	case *arrow.Int32Type:
		return numbers[int32](mem, l, t), nil
	case *arrow.Int64Type:
		return numbers[int64](mem, l, t), nil
	case *arrow.Uint8Type:
		return numbers[uint8](mem, l, t), nil
	case *arrow.Uint16Type:
		return numbers[uint16](mem, l, t), nil
	case *arrow.Uint32Type:
		return numbers[uint32](mem, l, t), nil
	case *arrow.Uint64Type:
		return numbers[uint64](mem, l, t), nil
	case *arrow.Float32Type:
		return numbers[float32](mem, l, t), nil
	case *arrow.Float64Type:
		return numbers[float64](mem, l, t), nil
	case *arrow.Date32Type:
		return &fixed[uint32]{mem: mem, typ: t, read: words32}, nil
	case *arrow.Time64Type, *arrow.TimestampType:
		read := instants(k)
		if read == nil {
			return nil, unfit
		}
		return &fixed[int64]{mem: mem, typ: to.Type, read: read}, nil
	case *arrow.Decimal128Type:
		scale, prec := k.scale, k.prec
		if k.base == intBase {
			scale, prec = 0, schema.Digits(k.bits, k.signed)
		}
		return &fixed[decimal128.Num]{mem: mem, typ: t, read: decimals128(k, prec, scale, t.Scale)}, nil
	case *arrow.Decimal256Type:
		return &fixed[decimal256.Num]{mem: mem, typ: t, read: decimals256(k, t.Scale)}, nil
	case *arrow.StringType:
		s := &text{mem: mem, typ: t, check: utf8Text, soft: softBytes}
		if schema.IsJSON(to) {
			s.check = jsonText
		}
		if k.base == uuidBase {
			s.render, s.check = renderUUID, anyBytes
		}
		return s, nil
	case *arrow.BinaryType:
		s := &text{mem: mem, typ: t, soft: softBytes}
		if k.base == uuidBase { // as its text, like everywhere
			s.render = renderUUID
		}
		return s, nil
	}
	return nil, unfit
}

func words32(p *pageValues, dst []uint32, _ *conversion) error { return p.words32(dst) }

type number interface {
	int8 | int16 | int32 | int64 | uint8 | uint16 | uint32 | uint64 | float32 | float64
}

// numbers is the sink of a numeric type: the physical words themselves where they are the same, else converted.
func numbers[T number](mem memory.Allocator, l *leaf, typ arrow.FixedWidthDataType) sink {
	f := &fixed[T]{mem: mem, typ: typ}
	k := l.kind
	float := typ.ID() == arrow.FLOAT32 || typ.ID() == arrow.FLOAT64
	switch {
	case k.base == floatBase && k.bits == 16:
		f.read = func(p *pageValues, dst []T, c *conversion) error {
			c.fix = resize(c.fix, 2*len(dst))
			if err := p.fixed(c.fix, len(dst)); err != nil {
				return err
			}
			for i := range dst {
				dst[i] = T(float16.FromLEBytes(c.fix[2*i:]).Float32())
			}
			return nil
		}
	case l.width*8 == typ.BitWidth() && float == (k.base == floatBase):
		if l.width == 4 {
			f.read = func(p *pageValues, dst []T, _ *conversion) error { return p.words32(sliceOf[uint32](bytesOf(dst))) }
		} else {
			f.read = func(p *pageValues, dst []T, _ *conversion) error { return p.words64(sliceOf[uint64](bytesOf(dst))) }
		}
	case k.base == floatBase: // float32 to float64
		f.read = converted32[float32, T]
	case l.width == 4 && k.signed:
		f.read = converted32[int32, T]
	case l.width == 4:
		f.read = converted32[uint32, T]
	case k.signed:
		f.read = converted64[int64, T]
	default:
		f.read = converted64[uint64, T]
	}
	return f
}

func converted32[P int32 | uint32 | float32, T number](p *pageValues, dst []T, c *conversion) error {
	c.u32 = resize(c.u32, len(dst))
	if err := p.words32(c.u32); err != nil {
		return err
	}
	cast(dst, sliceOf[P](bytesOf(c.u32)), c)
	return nil
}

func converted64[P int64 | uint64, T number](p *pageValues, dst []T, c *conversion) error {
	c.u64 = resize(c.u64, len(dst))
	if err := p.words64(c.u64); err != nil {
		return err
	}
	cast(dst, sliceOf[P](bytesOf(c.u64)), c)
	return nil
}

// cast converts and refuses the values that do not come back as they were (an INT32 that says it holds 8 bits and does not).
func cast[P int32 | uint32 | float32 | int64 | uint64, T number](dst []T, src []P, c *conversion) {
	for i, v := range src {
		t := T(v)
		dst[i] = t
		if P(t) != v && v == v {
			dst[i] = 0
			c.refuse(i, fmt.Sprint(v), "outside the range of the column's type")
		}
	}
}

// instants reads times and timestamps as microseconds.
func instants(k kind) func(*pageValues, []int64, *conversion) error {
	switch k.base {
	case dateBase:
		return func(p *pageValues, dst []int64, c *conversion) error {
			c.u32 = resize(c.u32, len(dst))
			if err := p.words32(c.u32); err != nil {
				return err
			}
			const day = 24 * 3600 * 1_000_000
			for i, v := range c.u32 {
				dst[i] = scaled(int64(int32(v)), day, i, c)
			}
			return nil
		}
	case int96Base:
		return int96
	case timeBase, timestampBase:
	default:
		return nil
	}
	clock := k.base == timeBase
	switch {
	case k.unit == meta.Micros:
		return func(p *pageValues, dst []int64, c *conversion) error {
			err := p.words64(sliceOf[uint64](bytesOf(dst)))
			if clock && err == nil {
				checkClock(dst, c)
			}
			return err
		}
	case k.unit == meta.Millis && clock: // INT32
		return func(p *pageValues, dst []int64, c *conversion) error {
			c.u32 = resize(c.u32, len(dst))
			if err := p.words32(c.u32); err != nil {
				return err
			}
			for i, v := range c.u32 {
				dst[i] = int64(int32(v)) * 1000
			}
			checkClock(dst, c)
			return nil
		}
	case k.unit == meta.Millis:
		return func(p *pageValues, dst []int64, c *conversion) error {
			err := p.words64(sliceOf[uint64](bytesOf(dst)))
			if err != nil {
				return err
			}
			for i, v := range dst {
				dst[i] = scaled(v, 1000, i, c)
			}
			return nil
		}
	}
	return func(p *pageValues, dst []int64, c *conversion) error {
		if err := p.words64(sliceOf[uint64](bytesOf(dst))); err != nil {
			return err
		}
		for i, v := range dst {
			us := v / 1000
			dst[i] = us
			if us*1000 != v {
				dst[i] = 0
				c.refuse(i, nanos(v, clock), "has digits below the microsecond, which would be lost")
			}
		}
		if clock {
			checkClock(dst, c)
		}
		return nil
	}
}

// scaled multiplies and refuses what does not fit 64 bits.
func scaled(v, by int64, i int, c *conversion) int64 {
	if v > math.MaxInt64/by || v < math.MinInt64/by {
		c.refuse(i, strconv.FormatInt(v, 10), "is out of the range of microsecond timestamps")
		return 0
	}
	return v * by
}

// checkClock refuses times of day outside one day.
func checkClock(dst []int64, c *conversion) {
	const day = 24 * 3600 * 1_000_000
	for i, v := range dst {
		if v < 0 || v >= day {
			c.refuse(i, strconv.FormatInt(v, 10)+" µs", "is not a time of day")
			dst[i] = 0
		}
	}
}

// nanos renders nanoseconds since the epoch or midnight.
func nanos(v int64, clock bool) string {
	t := time.Unix(0, v).UTC()
	if clock {
		return t.Format("15:04:05.000000000")
	}
	return t.Format("2006-01-02T15:04:05.000000000")
}

// int96 reads the old timestamps of Impala and Spark: nanoseconds of the day (8 bytes) and Julian day number (4 bytes).
func int96(p *pageValues, dst []int64, c *conversion) error {
	const epoch = 2440588 // Julian day number of 1970-01-01
	const day = 24 * 3600 * 1_000_000
	c.fix = resize(c.fix, 12*len(dst))
	if err := p.fixed(c.fix, len(dst)); err != nil {
		return err
	}
	for i := range dst {
		b := c.fix[12*i:]
		ns, jd := int64(binary.LittleEndian.Uint64(b)), int64(int32(binary.LittleEndian.Uint32(b[8:])))
		us := ns / 1000
		date := scaled(jd-epoch, day, i, c)
		sum := date + us
		switch {
		case us*1000 != ns:
			c.refuse(i, fmt.Sprintf("day %d + %d ns", jd-epoch, ns), "has digits below the microsecond, which would be lost")
			sum = 0
		case us > 0 && sum < date || us < 0 && sum > date:
			c.refuse(i, fmt.Sprintf("day %d + %d ns", jd-epoch, ns), "is out of the range of microsecond timestamps")
			sum = 0
		}
		dst[i] = sum
	}
	return nil
}

// decimals128 reads decimals (and integers as decimals) of prec digits and scale from, at scale to.
func decimals128(k kind, prec, from, to int32) func(*pageValues, []decimal128.Num, *conversion) error {
	factor := decimal128.FromI64(1)
	if to > from {
		factor = decimal128.GetScaleMultiplier(int(to - from))
	}
	unsigned := k.base == intBase && !k.signed
	isInt := k.base == intBase
	put := func(dst []decimal128.Num, i int, v decimal128.Num, c *conversion) {
		if !isInt && (!v.FitsInPrecision(prec) || v.Abs().Sign() < 0) { // the lowest number has no absolute value
			c.refuse(i, v.ToString(from), fmt.Sprintf("has more than the %d digits that the column says it has", prec))
			v = decimal128.Num{}
		}
		if to > from {
			v = v.Mul(factor)
		}
		dst[i] = v
	}
	return func(p *pageValues, dst []decimal128.Num, c *conversion) error {
		switch p.phys {
		case format.Int32:
			c.u32 = resize(c.u32, len(dst))
			if err := p.words32(c.u32); err != nil {
				return err
			}
			for i, v := range c.u32 {
				n := int64(int32(v))
				if unsigned {
					n = int64(v)
				}
				put(dst, i, decimal128.FromI64(n), c)
			}
			return nil
		case format.Int64:
			c.u64 = resize(c.u64, len(dst))
			if err := p.words64(c.u64); err != nil {
				return err
			}
			for i, v := range c.u64 {
				n := decimal128.FromI64(int64(v))
				if unsigned {
					n = decimal128.FromU64(v)
				}
				put(dst, i, n, c)
			}
			return nil
		}
		return bigEndian(p, len(dst), c, func(i int, b []byte) {
			var w [4]uint64
			if !signExtend(&w, b) || w[2] != w[3] || w[3] != uint64(int64(w[1])>>63) {
				c.refuse(i, decimalText(b, from), fmt.Sprintf("has more than the %d digits that the column says it has", prec))
				dst[i] = decimal128.Num{}
				return
			}
			put(dst, i, decimal128.New(int64(w[1]), w[0]), c)
		})
	}
}

// decimals256 reads decimals for decimal256; only those of more than 38 digits or widened to such come here.
func decimals256(k kind, to int32) func(*pageValues, []decimal256.Num, *conversion) error {
	prec, from := k.prec, k.scale
	if k.base == intBase {
		prec, from = schema.Digits(k.bits, k.signed), 0
	}
	factor := decimal256.FromI64(1)
	if to > from {
		factor = decimal256.GetScaleMultiplier(int(to - from))
	}
	put := func(dst []decimal256.Num, i int, v decimal256.Num, c *conversion) {
		if k.base != intBase && (!v.FitsInPrecision(prec) || v.Abs().Sign() < 0) { // the lowest number has no absolute value
			c.refuse(i, v.ToString(from), fmt.Sprintf("has more than the %d digits that the column says it has", prec))
			v = decimal256.Num{}
		}
		if to > from {
			v = v.Mul(factor)
		}
		dst[i] = v
	}
	narrow := decimals128(k, prec, from, from)
	return func(p *pageValues, dst []decimal256.Num, c *conversion) error {
		if p.phys == format.Int32 || p.phys == format.Int64 {
			tmp := make([]decimal128.Num, len(dst))
			if err := narrow(p, tmp, c); err != nil {
				return err
			}
			for i, v := range tmp {
				put(dst, i, decimal256.FromDecimal128(v), c)
			}
			return nil
		}
		return bigEndian(p, len(dst), c, func(i int, b []byte) {
			var w [4]uint64
			if !signExtend(&w, b) {
				c.refuse(i, decimalText(b, from), fmt.Sprintf("has more than the %d digits that the column says it has", prec))
				dst[i] = decimal256.Num{}
				return
			}
			put(dst, i, decimal256.New(w[3], w[2], w[1], w[0]), c)
		})
	}
}

// bigEndian calls f with the bytes of each of the next n values.
func bigEndian(p *pageValues, n int, c *conversion, f func(i int, b []byte)) error {
	if p.phys == format.FixedLenByteArray {
		var err error
		c.fix, err = p.eachFixed(n, c.fix, f)
		return err
	}
	for i := range n {
		var v []byte
		var err error
		switch p.enc {
		case format.Plain:
			v, err = p.next()
		case format.DeltaLengthByteArray:
			v, err = p.sized()
		default:
			v, err = p.prefixed()
		}
		if err != nil {
			return err
		}
		f(i, v)
	}
	return nil
}

// sized decodes one value of DELTA_LENGTH_BYTE_ARRAY.
func (p *pageValues) sized() ([]byte, error) {
	var n [1]uint32
	if err := p.delta.Lengths(n[:]); err != nil {
		return nil, err
	}
	return p.plain(int(n[0]))
}

// signExtend reads a big-endian two's complement number of any length into four little-endian words.
func signExtend(w *[4]uint64, b []byte) bool {
	if len(b) == 0 {
		return true // some writers have no byte for zero
	}
	fill := byte(int8(b[0]) >> 7)
	for len(b) > 32 {
		if b[0] != fill || int8(b[1])>>7 != int8(fill) {
			return false
		}
		b = b[1:]
	}
	var be [32]byte
	for i := range 32 - len(b) {
		be[i] = fill
	}
	copy(be[32-len(b):], b)
	for i := range w {
		w[i] = binary.BigEndian.Uint64(be[24-8*i:])
	}
	return true
}

// decimalText is a big-endian two's complement number as a decimal with so many places; as its bytes where it is longer than any decimal by far:
// its digits would take long.
func decimalText(b []byte, scale int32) string {
	if len(b) == 0 || len(b) > 64 {
		return "0x" + hex.EncodeToString(b)
	}
	v, sign := new(big.Int).SetBytes(b), ""
	if b[0] >= 0x80 {
		v.Sub(new(big.Int).Lsh(big.NewInt(1), uint(8*len(b))), v)
		sign = "-"
	}
	s := v.String()
	if scale <= 0 {
		return sign + s
	}
	if short := int(scale) + 1 - len(s); short > 0 {
		s = strings.Repeat("0", short) + s
	}
	at := len(s) - int(scale)
	return sign + s[:at] + "." + s[at:]
}

// renderUUID appends the canonical text of RFC 9562.
func renderUUID(dst, v []byte) []byte {
	for i, b := range v {
		if i == 4 || i == 6 || i == 8 || i == 10 {
			dst = append(dst, '-')
		}
		dst = hex.AppendEncode(dst, []byte{b})
	}
	return dst
}
