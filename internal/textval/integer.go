package textval

import "math"

// maxFast is the number of decimal digits that fit any 64-bit integer without a check for overflow.
const maxFast = 18

// Int reads an optionally signed decimal integer: [+-]?[0-9]+. ok is false on anything else and on overflow.
func Int(b []byte) (v int64, ok bool) {
	neg := false
	if len(b) > 0 && (b[0] == '-' || b[0] == '+') {
		neg = b[0] == '-'
		b = b[1:]
	}
	u, ok := digits(b)
	switch {
	case !ok:
		return 0, false
	case neg:
		if u > 1<<63 {
			return 0, false
		}
		return int64(-u), true // two's complement: 1<<63 is math.MinInt64
	case u > math.MaxInt64:
		return 0, false
	}
	return int64(u), true
}

// Uint reads [+]?[0-9]+. ok is false on anything else and on overflow.
func Uint(b []byte) (v uint64, ok bool) {
	if len(b) > 0 && b[0] == '+' {
		b = b[1:]
	}
	return digits(b)
}

// digits reads [0-9]+.
func digits(b []byte) (u uint64, ok bool) {
	if len(b) == 0 {
		return 0, false
	}
	if len(b) <= maxFast {
		for _, c := range b {
			d := c - '0'
			if d > 9 {
				return 0, false
			}
			u = u*10 + uint64(d)
		}
		return u, true
	}
	for _, c := range b {
		d := uint64(c - '0')
		if d > 9 || u > math.MaxUint64/10 {
			return 0, false
		}
		u *= 10
		if u > math.MaxUint64-d {
			return 0, false
		}
		u += d
	}
	return u, true
}

// Bool reads true, false, t, f, yes, no, y, n, on, off, 1, 0 in any case (PostgreSQL's words, without their
// abbreviations like "tr").
func Bool(b []byte) (v, ok bool) {
	switch len(b) {
	case 1:
		switch b[0] | 0x20 {
		case 't', 'y':
			return true, true
		case 'f', 'n':
			return false, true
		}
		return b[0] == '1', b[0] == '0' || b[0] == '1'
	case 2:
		return foldEqual(b, "on"), foldEqual(b, "on") || foldEqual(b, "no")
	case 3:
		return foldEqual(b, "yes"), foldEqual(b, "yes") || foldEqual(b, "off")
	case 4:
		return true, foldEqual(b, "true")
	case 5:
		return false, foldEqual(b, "false")
	}
	return false, false
}

// foldEqual reports whether b is the lower-case ASCII word w in any case.
func foldEqual(b []byte, w string) bool {
	return len(b) == len(w) && foldPrefix(b, w)
}

// foldPrefix reports whether b starts with the lower-case ASCII word w in any case.
func foldPrefix(b []byte, w string) bool {
	if len(b) < len(w) {
		return false
	}
	for i := range len(w) {
		c := b[i]
		if c >= 'A' && c <= 'Z' {
			c |= 0x20
		}
		if c != w[i] {
			return false
		}
	}
	return true
}
