package jsonl

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"math"

	"github.com/apache/arrow/go/v17/arrow/bitutil"
	"github.com/apache/arrow/go/v17/arrow/decimal128"

	"github.com/sluice-data/sluice/internal/textval"
)

// value reads the value at i into row of c and returns the index behind it. What is usual for the column's kind is read here,
// everything else (null, exponents, long numbers, other kinds of value, errors) in unusual.
func (d *decoder) value(c *column, row, i, depth int) int {
	b := d.s.b
	first := at(b, i)
	switch c.kind {
	case kInt:
		neg := first == '-'
		m, frac, end := plain(b, i+int(b2u(neg)))
		v := int64(m)
		if neg {
			v = -v
		}
		if end < 0 || frac != 0 || m > math.MaxInt64 || v < c.lo || v > c.hi {
			break
		}
		c.putInt(row, v)
		return end
	case kFloat64:
		neg := first == '-'
		m, frac, end := plain(b, i+int(b2u(neg)))
		if end < 0 || m > 1e15 { // 15 digits survive float64 and back; up to 2^53 they are at least exact
			break
		}
		v := float64(m) / pow10f64[frac]
		if neg {
			v = -v
		}
		c.f64[row] = v
		return end
	case kString:
		if first != '"' {
			break
		}
		end, esc := d.s.str(i + 1)
		if end < 0 {
			return -1
		}
		raw := b[i+1 : end]
		off := int(c.i32[row])
		if off+len(raw) > len(c.bytes) {
			c.room(off + len(raw))
		}
		if esc {
			off = len(unescape(c.bytes[:off], raw))
		} else {
			off += copy(c.bytes[off:], raw)
		}
		c.i32[row+1] = int32(off)
		return end + 1
	case kDate, kTime, kTimestamp, kTimestamptz:
		if first == '"' {
			return d.clock(c, row, i)
		}
	case kDecimal:
		neg := first == '-'
		m, frac, end := plain(b, i+int(b2u(neg)))
		up := int(c.scale) - frac
		if end < 0 || up < 0 || up > 18 || m >= pow10[18-up] || c.precision < 19 && m*pow10[up] >= pow10[c.precision] {
			break
		}
		v := int64(m * pow10[up])
		if neg {
			v = -v
		}
		c.dec[row] = decimal128.FromI64(v)
		return end
	case kBool:
		switch {
		case first == 't' && len(b)-i >= 4 && string(b[i:i+4]) == "true":
			bitutil.SetBit(c.bits, row)
			return i + 4
		case first == 'f' && len(b)-i >= 5 && string(b[i:i+5]) == "false":
			bitutil.ClearBit(c.bits, row)
			return i + 5
		}
	case kStruct:
		if first == '{' {
			return d.object(c.obj, row, i, depth+1)
		}
	case kList:
		if first == '[' {
			return d.list(c, row, i, depth+1)
		}
	case kJSON:
		if first == 'n' {
			break
		}
		end := d.s.skip(i, depth)
		if end < 0 {
			return -1
		}
		c.putBytes(row, b[i:end])
		return end
	}
	return d.unusual(c, row, i, depth)
}

func b2u(b bool) uint8 {
	if b {
		return 1
	}
	return 0
}

func (c *column) putBytes(row int, v []byte) {
	off := int(c.i32[row])
	c.room(off + len(v))
	c.i32[row+1] = int32(off + copy(c.bytes[off:], v))
}

// list reads the array at i as the elements of row.
func (d *decoder) list(c *column, row, i, depth int) int {
	b, child := d.s.b, c.child
	from := int(c.i32[row])
	n := from
	i = space(b, i+1)
	if at(b, i) == ']' {
		c.i32[row+1] = int32(n)
		return i + 1
	}
	for {
		if n >= child.cap {
			child.reserve(n + 64)
		}
		if i = d.value(child, n, i, depth); i < 0 {
			d.path = append(d.path, fmt.Sprintf("[%d]", n-from))
			return -1
		}
		n++
		ch := at(b, i)
		if ch <= ' ' {
			i = space(b, i)
			ch = at(b, i)
		}
		switch ch {
		case ',':
			i++
			if at(b, i) <= ' ' {
				i = space(b, i)
			}
		case ']':
			c.i32[row+1] = int32(n)
			d.extra += (n - from) * child.fixed
			return i + 1
		default:
			return d.s.unexpected(i, "',' or ']'")
		}
	}
}

// clock reads the string at i as a date or time.
func (d *decoder) clock(c *column, row, i int) int {
	end, esc := d.s.str(i + 1)
	if end < 0 {
		return -1
	}
	text := d.s.b[i+1 : end]
	if esc {
		d.scratch = unescape(d.scratch[:0], text)
		text = d.scratch
	}
	var ok bool
	switch c.kind {
	case kDate:
		c.i32[row], ok = c.layout.Date(text)
	case kTime:
		c.i64[row], ok = c.layout.TimeOfDay(text)
	case kTimestamp:
		c.i64[row], ok = c.layout.Micros(text)
	default:
		c.i64[row], ok = c.layout.Instant(text)
	}
	if ok {
		return end + 1
	}
	form := "ISO 8601"
	if c.format != "" {
		form = fmt.Sprintf("the format %q", c.format)
	}
	return d.bad(i, fmt.Sprintf("not a %s in %s, or not one that fits exactly", c.typeName, form), c)
}

// unusual is value for everything that value does not read on the spot.
func (d *decoder) unusual(c *column, row, i, depth int) int {
	b := d.s.b
	end := d.s.skip(i, depth)
	if end < 0 {
		return -1
	}
	text := b[i:end]
	switch text[0] {
	case 'n':
		c.setNull(row)
		return end
	case '"':
		if c.kind == kBinary {
			return d.base64(c, row, i, text[1:len(text)-1])
		}
		return d.mismatch(c, i, "a string")
	case 't', 'f':
		if c.kind == kString && !c.inferred {
			c.putBytes(row, text)
			return end
		}
		return d.mismatch(c, i, "a bool")
	case '{':
		return d.mismatch(c, i, "an object")
	case '[':
		return d.mismatch(c, i, "an array")
	}
	why := ""
	switch c.kind {
	case kString:
		if c.inferred {
			return d.mismatch(c, i, "a number")
		}
		c.putBytes(row, text)
	case kInt, kUint64:
		why = c.putNumber(row, text, &d.scratch)
	case kFloat32:
		v, ok := textval.Float32(text)
		c.f32[row] = v
		if !ok {
			why = "out of range of float32"
		}
	case kFloat64:
		v, ok := textval.Float64(text)
		c.f64[row] = v
		if !ok {
			why = "out of range of float64"
		} else if c.exact && !normalize(text, d.scratch).isFloat64(v) {
			why = "float64 would change the number"
		}
	case kDecimal:
		v, ok := textval.Decimal(text, c.precision, c.scale)
		c.dec[row] = v
		if !ok {
			why = "does not fit " + c.typeName + " exactly"
		}
	default:
		return d.mismatch(c, i, "a number")
	}
	if why != "" {
		return d.bad(i, why, c)
	}
	return end
}

// putNumber writes any well-formed number that is an integer of the column's type, or says why it is not.
func (c *column) putNumber(row int, text []byte, scratch *[]byte) string {
	n := normalize(text, *scratch)
	*scratch = n.digits
	u, integral, fits := n.whole()
	switch {
	case !integral:
		return "not " + article(c.typeName) + ": it has a fraction"
	case c.kind == kUint64:
		if !fits || n.neg && u != 0 {
			return "out of range of uint64"
		}
		c.u64[row] = u
		return ""
	}
	v := int64(u)
	if n.neg {
		v = -v
	}
	if !fits || u > 1<<63 || u == 1<<63 && !n.neg || v < c.lo || v > c.hi {
		return "out of range of " + c.typeName
	}
	c.putInt(row, v)
	return ""
}

func article(noun string) string {
	if noun[0] == 'i' {
		return "an " + noun
	}
	return "a " + noun
}

func (d *decoder) mismatch(c *column, i int, have string) int {
	why := fmt.Sprintf("want %s, have %s", c.typeName, have)
	if have == "a string" && (c.kind <= kBool) {
		why += ": strings are not converted"
	}
	if c.kind == kString {
		why += ": declare it as json"
	}
	return d.bad(i, why, c)
}

// base64 reads the string at i, raw between its quotes, into a binary column: RFC 4648 section 4, padded, nothing in between.
func (d *decoder) base64(c *column, row, i int, raw []byte) int {
	d.scratch = unescape(d.scratch[:0], raw)
	text := d.scratch
	off := int(c.i32[row])
	c.room(off + base64.StdEncoding.DecodedLen(len(text)))
	n, err := base64.StdEncoding.Strict().Decode(c.bytes[off:], text)
	if err != nil || bytes.ContainsAny(text, "\r\n") {
		return d.bad(i, "not base64 (RFC 4648, padded)", c)
	}
	c.i32[row+1] = int32(off + n)
	return i + len(raw) + 2
}
