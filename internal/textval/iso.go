package textval

import "encoding/binary"

const (
	highs = 0x8080808080808080
	over9 = 0x7676767676767676 // lifts a byte above 9 into its high bit
)

// fastDate reads exactly YYYY-MM-DD from b[:10]: year 0001 to 9999.
func fastDate(b []byte) (days int64, ok bool) {
	_ = b[9]
	a := binary.LittleEndian.Uint64(b) // YYYY-MM-
	dd := uint64(binary.LittleEndian.Uint16(b[8:])) ^ 0x3030
	if a&0xFF0000FF00000000 != 0x2D00002D00000000 {
		return 0, false
	}
	a ^= 0x2D30302D30303030
	if (a|(a+over9)|dd|(dd+over9&0xFFFF))&highs != 0 {
		return 0, false
	}
	g := a*10 + a>>8 // byte 0: century, byte 2: year of it, byte 5: month
	y := int(byte(g))*100 + int(byte(g>>16))
	m := int(byte(g >> 40))
	d := int(byte(dd))*10 + int(byte(dd>>8))
	if y == 0 || uint(m-1) > 11 || d == 0 || d > 28 && d > daysIn(y, m) {
		return 0, false
	}
	return int64(daysAD(uint(y), uint(m), uint(d))) - epochDays, true
}

// Fixed reads the 19 bytes YYYY-MM-DD?HH:MM:SS at the start of b, which has as many, with a space or T in the middle, as µs since
// 1970-01-01 00:00:00; ok is false on anything else. It is what Layout.Fixed layouts mean by such a text.
func Fixed(b []byte) (us int64, ok bool) {
	_ = b[18]
	a := binary.LittleEndian.Uint64(b)                       // YYYY-MM-
	dd := uint64(binary.LittleEndian.Uint16(b[8:])) ^ 0x3030 // DD
	c := binary.LittleEndian.Uint64(b[11:])                  // HH:MM:SS
	// what is left of a separator, or of digits' high halves, is no time
	odd := (a ^ 0x2D00002D00000000) & 0xFF0000FF00000000
	odd |= (c ^ 0x00003A00003A0000) & 0x0000FF0000FF0000
	a ^= 0x2D30302D30303030
	c ^= 0x30303A30303A3030
	odd |= (a | (a + over9) | dd | (dd + over9&0xFFFF) | c | (c + over9)) & highs
	if odd != 0 || b[10] != ' ' && b[10] != 'T' {
		return 0, false
	}
	g, h := a*10+a>>8, c*10+c>>8
	y := uint(byte(g))*100 + uint(byte(g>>16))
	m := uint(byte(g >> 40))
	d := uint(byte(dd))*10 + uint(byte(dd>>8))
	hh, mm, ss := uint(byte(h)), uint(byte(h>>24)), uint(byte(h>>48))
	if y == 0 || m-1 > 11 || d-1 > 27 && (d == 0 || int(d) > daysIn(int(y), int(m))) || hh > 23 || mm > 59 || ss > 59 {
		return 0, false
	}
	return int64(daysAD(y, m, d)*86_400+hh*3600+mm*60+ss)*usPerSecond - epochSeconds*usPerSecond, true
}

// scanISO reads the ISO 8601 / PostgreSQL forms: date, or date, space or T, time, and an optional offset.
func scanISO(b []byte) (c clock, ok bool) {
	c.us = 0
	b, bc := cutBC(b)
	var n int
	if c.year, n = number4to7(b); n == 0 || c.year == 0 {
		return c, false
	}
	if bc {
		c.year = 1 - c.year
	}
	b = b[n:]
	var ok1, ok2 bool
	if len(b) < 6 || b[0] != '-' || b[3] != '-' {
		return c, false
	}
	c.month, ok1 = two(b[1:])
	c.day, ok2 = two(b[4:])
	if !ok1 || !ok2 || !c.valid() {
		return c, false
	}
	c.hasDate = true
	b = b[6:]
	if len(b) == 0 {
		return c, true
	}
	if b[0] != ' ' && b[0]|0x20 != 't' {
		return c, false
	}
	if b, ok = scanTime(b[1:], &c); !ok {
		return c, false
	}
	if len(b) == 0 {
		return c, true
	}
	if b[0] == ' ' {
		b = b[1:]
	}
	n, c.offset = scanOffset(b)
	c.hasOffset = true
	return c, n > 0 && n == len(b)
}

// cutBC takes PostgreSQL's " BC" off the end.
func cutBC(b []byte) ([]byte, bool) {
	if n := len(b) - 3; n > 0 && b[n] == ' ' && foldEqual(b[n+1:], "bc") {
		return b[:n], true
	}
	return b, false
}

// number4to7 reads four to seven digits; beyond four a leading zero is refused, it would be some other notation.
func number4to7(b []byte) (v, n int) {
	for n < len(b) && n < 8 && b[n]-'0' <= 9 {
		v = v*10 + int(b[n]-'0')
		n++
	}
	if n < 4 || n > 7 || n > 4 && b[0] == '0' {
		return 0, 0
	}
	return v, n
}

func two(b []byte) (int, bool) {
	if len(b) < 2 || b[0]-'0' > 9 || b[1]-'0' > 9 {
		return 0, false
	}
	return int(b[0]-'0')*10 + int(b[1]-'0'), true
}

// scanTime reads HH:MM[:SS[.fraction]] and returns what follows it.
func scanTime(b []byte, c *clock) (rest []byte, ok bool) {
	h, ok1 := two(b)
	if !ok1 || len(b) < 5 || b[2] != ':' {
		return b, false
	}
	m, ok1 := two(b[3:])
	if !ok1 || h > 23 || m > 59 {
		return b, false
	}
	c.us = int64(h*3600+m*60) * usPerSecond
	c.hasTime = true
	b = b[5:]
	if len(b) == 0 || b[0] != ':' {
		return b, true
	}
	s, ok1 := two(b[1:])
	if !ok1 || s > 59 { // a leap second has no place on the µs line: it would become another time
		return b, false
	}
	c.us += int64(s) * usPerSecond
	b = b[3:]
	if len(b) == 0 || b[0] != '.' && b[0] != ',' { // ISO 8601 has both
		return b, true
	}
	us, n, ok := scanFraction(b[1:])
	c.us += us
	return b[1+n:], ok && n > 0
}

// scanFraction reads a fraction's digits as µs; digits beyond the sixth must be zero.
func scanFraction(b []byte) (us int64, n int, ok bool) {
	scale := int64(usPerSecond)
	ok = true
	for ; n < len(b) && b[n]-'0' <= 9; n++ {
		d := int64(b[n] - '0')
		if scale == 1 {
			ok = ok && d == 0
			continue
		}
		scale /= 10
		us += d * scale
	}
	return us, n, ok
}

// scanOffset reads Z, UTC, GMT, ±HH, ±HHMM or ±HH:MM at the start of b; n is 0 if there is none. Offsets reach 15:59, as in PostgreSQL.
func scanOffset(b []byte) (n, seconds int) {
	if len(b) == 0 {
		return 0, 0
	}
	if b[0] != '+' && b[0] != '-' {
		switch {
		case foldPrefix(b, "utc"), foldPrefix(b, "gmt"):
			return 3, 0
		case b[0]|0x20 == 'z':
			return 1, 0
		}
		return 0, 0
	}
	h, ok := two(b[1:])
	if !ok || h > 15 {
		return 0, 0
	}
	n, seconds = 3, h*3600
	m := b[3:]
	colon := len(m) > 0 && m[0] == ':'
	if colon {
		m = m[1:]
	}
	if len(m) > 0 && m[0]-'0' <= 9 || colon {
		v, ok := two(m)
		if !ok || v > 59 {
			return 0, 0
		}
		seconds += v * 60
		n = len(b) - len(m) + 2
	}
	if b[0] == '-' {
		seconds = -seconds
	}
	return n, seconds
}
