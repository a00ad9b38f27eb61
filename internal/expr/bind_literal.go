package expr

import (
	"encoding/binary"
	"math"
	"strconv"
	"strings"

	"github.com/apache/arrow/go/v17/arrow/decimal128"

	"github.com/sluice-data/sluice/internal/textval"
)

func boolNode(v bool) *constNode {
	c := &constNode{v: &vector{typ: simple(kBool), n: 1, konst: true, data: make([]byte, 8)}}
	c.v.data[0] = b2u(v)
	return c
}

func intNode(k kind, v int64) *constNode {
	c := &constNode{v: &vector{typ: simple(k), n: 1, konst: true}}
	c.v.data = binary.LittleEndian.AppendUint64(nil, uint64(v))[:k.width()]
	return c
}

func floatNode(v float64) *constNode {
	c := &constNode{v: &vector{typ: simple(kFloat64), n: 1, konst: true}}
	c.v.data = binary.LittleEndian.AppendUint64(nil, math.Float64bits(v))
	return c
}

func decNode(d dec, prec, scale int32) *constNode {
	c := &constNode{v: &vector{typ: typ{kind: kDecimal, prec: prec, scale: scale}, n: 1, konst: true}}
	c.v.data = binary.LittleEndian.AppendUint64(nil, d.LowBits())
	c.v.data = binary.LittleEndian.AppendUint64(c.v.data, uint64(d.HighBits()))
	return c
}

func stringNode(s string, untyped bool) *constNode {
	return &constNode{untyped: untyped, v: &vector{typ: simple(kString), n: 1, konst: true, data: []byte(s), beg: []int32{0}, end: []int32{int32(len(s))}}}
}

// constString is the text of a constant string argument.
func constString(x node) (string, bool) {
	c, ok := x.(*constNode)
	if !ok || c.v.null || c.v.kind != kString {
		return "", false
	}
	return string(c.v.str(0)), true
}

func (b *binder) literal(n *literal) (node, *Error) {
	switch n.kind {
	case litTrue, litFalse:
		return boolNode(n.kind == litTrue), nil
	case litNull:
		return nullNode(simple(kNull)), nil
	case litString:
		return stringNode(n.text, true), nil
	case litNumber:
		return b.number(n, false)
	case litInterval:
		return b.interval(n)
	}
	text := trimSpace([]byte(n.text))
	k, v, ok := kDate, int64(0), false
	switch n.kind {
	case litDate:
		var d int32
		d, ok = isoLayout.Date(text)
		v = int64(d)
	case litTime:
		k = kTime
		v, ok = isoLayout.TimeOfDay(text)
	case litTimestamp:
		k = kTimestamp
		v, ok = isoLayout.Micros(text)
	case litTimestamptz:
		k = kTimestamptz
		v, ok = isoLayout.Instant(text)
	}
	if !ok {
		return nil, errAt(n.span, "string %q is not a %s: write it like %s", n.text, simple(k), map[kind]string{
			kDate: "2026-11-22", kTime: "13:04:05", kTimestamp: "2026-11-22 13:04:05.123456", kTimestamptz: "2026-11-22 13:04:05+00"}[k])
	}
	return intNode(k, v), nil
}

// number types a number as PostgreSQL does: the first of int32, int64 and decimal that holds it exactly; beyond 38 digits float64.
func (b *binder) number(n *literal, negative bool) (node, *Error) {
	text := n.text
	if negative {
		text = "-" + text
	}
	if !strings.ContainsAny(text, ".eE") {
		if v, err := strconv.ParseInt(text, 10, 64); err == nil {
			c := intNode(kInt64, v)
			if v == int64(int32(v)) {
				c = intNode(kInt32, v)
			}
			c.number = true
			return c, nil
		}
	}
	mantissa, exp := text, 0
	if i := strings.IndexAny(text, "eE"); i >= 0 {
		mantissa = text[:i]
		var err error
		if exp, err = strconv.Atoi(text[i+1:]); err != nil || exp > 1000 || exp < -1000 {
			return nil, errAt(n.span, "number %s is out of range", text)
		}
	}
	whole, frac, _ := strings.Cut(strings.TrimPrefix(mantissa, "-"), ".")
	scale := max(0, len(frac)-exp)
	digits := max(1, scale, len(strings.TrimLeft(whole+frac, "0"))+max(0, exp-len(frac)))
	if scale <= 38 && digits <= 38 {
		if d, ok := textval.Decimal([]byte(text), int32(digits), int32(scale)); ok {
			c := decNode(d, int32(digits), int32(scale))
			c.number = scale == 0
			return c, nil
		}
	}
	if v, err := strconv.ParseFloat(text, 64); err == nil && exp != 0 {
		return floatNode(v), nil
	}
	if exp != 0 {
		return nil, errAt(n.span, "number %s is out of range", text)
	}
	return nil, errAt(n.span, "number %s has more than 38 digits", text)
}

// fitsUint reports whether an integer literal is one of uint64.
func fitsUint(c *constNode) bool {
	d := constDec(c)
	return d.Sign() >= 0 && d.HighBits() == 0
}

func constDec(c *constNode) dec {
	if c.v.kind == kDecimal {
		return values[dec](c.v)[0]
	}
	if c.v.kind.integer() {
		return intAt(c.v)(0)
	}
	return decimal128.FromI64(-1)
}

func (b *binder) interval(n *literal) (node, *Error) {
	v, ok := parseInterval([]byte(n.text))
	if !ok {
		return nil, errAt(n.span, "string %q is not an interval: write it like '1 day 2 hours'", n.text)
	}
	return intervalNode(v), nil
}
