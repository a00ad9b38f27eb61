package textval

import (
	"math"
	"math/bits"
	"strconv"

	"github.com/apache/arrow/go/v17/arrow/decimal128"
)

// AppendDate prints days since 1970-01-01 as PostgreSQL does: 2026-11-22, with BC after years before 1.
func AppendDate(dst []byte, days int32) []byte {
	y, m, d := civilFromDays(int64(days))
	return appendBC(appendCivil(dst, y, m, d), y)
}

// AppendTimestamp prints µs since 1970-01-01 00:00:00 of a local clock: 2026-11-22 13:04:05.123456, no trailing zeros in the fraction.
func AppendTimestamp(dst []byte, us int64) []byte {
	dst, y := appendMicros(dst, us)
	return appendBC(dst, y)
}

// AppendInstant prints µs since the epoch with the offset +00.
func AppendInstant(dst []byte, us int64) []byte {
	dst, y := appendMicros(dst, us)
	return appendBC(append(dst, "+00"...), y)
}

// AppendTime prints µs since midnight: 13:04:05.5.
func AppendTime(dst []byte, us int64) []byte {
	s := us / usPerSecond
	h, m := s/3600, s/60%60
	s %= 60
	dst = append(dst, byte('0'+h/10), byte('0'+h%10), ':', byte('0'+m/10), byte('0'+m%10), ':', byte('0'+s/10), byte('0'+s%10))
	f := us % usPerSecond
	if f == 0 {
		return dst
	}
	dst = append(dst, '.')
	for scale := int64(usPerSecond / 10); f > 0; scale /= 10 {
		dst = append(dst, byte('0'+f/scale))
		f %= scale
	}
	return dst
}

func appendMicros(dst []byte, us int64) ([]byte, int64) {
	days, rest := us/usPerDay, us%usPerDay
	if rest < 0 {
		days, rest = days-1, rest+usPerDay
	}
	y, m, d := civilFromDays(days)
	dst = appendCivil(dst, y, m, d)
	return AppendTime(append(dst, ' '), rest), y
}

func appendCivil(dst []byte, y int64, m, d int) []byte {
	if y <= 0 {
		y = 1 - y
	}
	if y > 9999 {
		dst = append(strconv.AppendInt(dst, y, 10), "-00-00"...)
	} else {
		dst = append(dst, byte('0'+y/1000), byte('0'+y/100%10), byte('0'+y/10%10), byte('0'+y%10), '-', '0', '0', '-', '0', '0')
	}
	at := dst[len(dst)-5:]
	at[0], at[1], at[3], at[4] = byte('0'+m/10), byte('0'+m%10), byte('0'+d/10), byte('0'+d%10)
	return dst
}

func appendBC(dst []byte, y int64) []byte {
	if y <= 0 {
		return append(dst, " BC"...)
	}
	return dst
}

// AppendFloat64 prints the shortest text that reads back equal, as PostgreSQL does: Infinity, -Infinity, NaN, an exponent below 1e-4 and
// from 1e15 on.
func AppendFloat64(dst []byte, v float64) []byte { return appendFloat(dst, v, 64, 15) }

// AppendFloat32 likewise, an exponent from 1e6 on.
func AppendFloat32(dst []byte, v float32) []byte { return appendFloat(dst, float64(v), 32, 6) }

func appendFloat(dst []byte, v float64, size, most int) []byte {
	switch {
	case math.IsNaN(v):
		return append(dst, "NaN"...)
	case math.IsInf(v, 1):
		return append(dst, "Infinity"...)
	case math.IsInf(v, -1):
		return append(dst, "-Infinity"...)
	case v == 0:
		return strconv.AppendFloat(dst, v, 'f', -1, size)
	}
	// the exponent of the shortest digits decides: 999999999999999.9 may print as 1e+15
	at := len(dst)
	dst = strconv.AppendFloat(dst, v, 'e', -1, size)
	e := len(dst) - 1
	for dst[e] != 'e' {
		e--
	}
	if x, _ := exponent(dst[e+1:]); x < -4 || x >= most {
		return dst
	}
	return strconv.AppendFloat(dst[:at], v, 'f', -1, size)
}

// AppendDecimal prints v / 10^scale with exactly scale fraction digits (none for a negative scale).
func AppendDecimal(dst []byte, v decimal128.Num, scale int32) []byte {
	hi, lo := uint64(v.HighBits()), v.LowBits()
	if v.HighBits() < 0 {
		dst = append(dst, '-')
		var c uint64
		lo, c = bits.Add64(^lo, 1, 0)
		hi = ^hi + c
	}
	var buf [48]byte // 39 digits of 2^127
	digs := buf[:]
	if scale > 40 {
		digs = make([]byte, scale+4)
	}
	i := len(digs)
	zero := hi == 0 && lo == 0
	for n := int32(0); hi != 0 || lo != 0 || n <= max(scale, 0); n++ {
		if n == scale && n > 0 {
			i--
			digs[i] = '.'
		}
		var r uint64
		hi, r = hi/10, hi%10
		lo, r = bits.Div64(r, lo, 10)
		i--
		digs[i] = byte('0' + r)
	}
	dst = append(dst, digs[i:]...)
	for ; scale < 0 && !zero; scale++ {
		dst = append(dst, '0')
	}
	return dst
}
