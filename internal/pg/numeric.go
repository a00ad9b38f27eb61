package pg

import (
	"encoding/binary"
	"math/bits"
)

// appendNumeric appends hi·2^64 + lo, below 10^38, with scale digits behind the point, as numeric_send does (src/backend/utils/adt/numeric.c): digits to the base of
// 10,000, those behind the point padded at their end; neither leading nor trailing ones are 0.
func appendNumeric(dst []byte, hi, lo uint64, neg bool, scale int32) []byte {
	const ten18 = 1_000_000_000_000_000_000
	var digits [48]byte // decimal, least first; behind the pad
	pad := int(3 - (scale+3)%4)
	n := pad
	for hi != 0 || lo != 0 {
		var rem uint64
		if hi == 0 {
			lo, rem = lo/ten18, lo%ten18
		} else {
			var q uint64
			q, hi = hi/ten18, hi%ten18
			lo, rem = bits.Div64(hi, lo, ten18)
			hi = q
		}
		last := hi == 0 && lo == 0
		for k := 0; k < 18 && (rem != 0 || !last); k++ {
			digits[n] = byte(rem % 10)
			rem /= 10
			n++
		}
	}
	groups := (n + 3) / 4
	behind := (int(scale) + 3) / 4 // of them
	group := func(g int) uint16 {
		d := digits[g*4 : g*4+4]
		return uint16(d[0]) + 10*uint16(d[1]) + 100*uint16(d[2]) + 1000*uint16(d[3])
	}
	first := 0 // of those that are written
	for first < groups && group(first) == 0 {
		first++
	}
	for groups > first && group(groups-1) == 0 {
		groups--
	}
	count := groups - first
	weight, sign := groups-1-behind, uint16(0)
	if count == 0 {
		weight = 0
	} else if neg {
		sign = 0x4000
	}
	dst = size(dst, 8+2*count)
	dst = binary.BigEndian.AppendUint16(dst, uint16(count))
	dst = binary.BigEndian.AppendUint16(dst, uint16(int16(weight)))
	dst = binary.BigEndian.AppendUint16(dst, sign)
	dst = binary.BigEndian.AppendUint16(dst, uint16(scale))
	for g := groups - 1; g >= first; g-- {
		dst = binary.BigEndian.AppendUint16(dst, group(g))
	}
	return dst
}
