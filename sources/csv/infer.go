package csv

import (
	"bytes"
	"strconv"

	"github.com/apache/arrow/go/v17/arrow"

	"github.com/sluice-data/sluice/internal/schema"
	"github.com/sluice-data/sluice/internal/textval"
)

// kind is what a text can be read as without losing anything.
type kind uint8

const (
	kindText      kind = iota
	kindBool           // true, false
	kindInt            // -?(0|[1-9][0-9]*) in int64, but not -0
	kindUint           // likewise above int64, in uint64
	kindBigInt         // likewise beyond, up to 38 digits
	kindFloat          // a number whose value the nearest float64 prints again
	kindDecimal        // a number of up to 38 digits of which this does not hold
	kindDate           // YYYY-MM-DD
	kindTimestamp      // date and time
	kindInstant        // date, time and offset
	kindTime           // HH:MM:SS
	kinds
)

// class is a text's kind, and for numbers what a decimal needs.
type class struct {
	kind    kind
	digits  int  // before the point
	scale   int  // after it, trailing zeros too: 1.50 needs decimal(…,2) to come back as it was
	inexact bool // no decimal gives it back: it has an exponent, or is a negative zero
	large   bool // an integer beyond ±2^53
}

var iso = mustISO()

func mustISO() *textval.Layout {
	l, err := textval.NewLayout("", "")
	if err != nil {
		panic(err) // the empty format is always good
	}
	return l
}

// classify says what b can be read as without loss. A leading zero or plus sign, a space, inf and nan make text: they would not
// come back. So does an exponent without sign or point (1e5 may be a name).
func classify(b []byte) class {
	if len(b) == 0 {
		return class{}
	}
	c := b[0]
	if c == 't' || c == 'T' || c == 'f' || c == 'F' {
		if len(b) > 3 {
			if _, ok := textval.Bool(b); ok {
				return class{kind: kindBool}
			}
		}
		return class{}
	}
	if c != '-' && c != '.' && c-'0' > 9 {
		return class{}
	}
	if len(b) >= 8 && (b[2] == ':' || b[4] == '-' && b[3]-'0' <= 9) {
		return classifyTime(b)
	}
	return classifyNumber(b)
}

func classifyTime(b []byte) class {
	if b[2] == ':' {
		if _, ok := iso.TimeOfDay(b); ok {
			return class{kind: kindTime}
		}
		return class{}
	}
	if len(b) == 10 {
		if _, ok := iso.Date(b); ok {
			return class{kind: kindDate}
		}
		return class{}
	}
	if len(b) < 16 || len(b) > 35 {
		return class{}
	}
	if _, ok := iso.Instant(b); !ok {
		return class{}
	}
	if iso.HasOffset(b) {
		return class{kind: kindInstant}
	}
	return class{kind: kindTimestamp}
}

func classifyNumber(b []byte) class {
	var c class
	t := b
	neg := t[0] == '-'
	if neg {
		t = t[1:]
	}
	n := 0
	for n < len(t) && t[n]-'0' <= 9 {
		n++
	}
	if n > 1 && t[0] == '0' {
		return class{} // a leading zero
	}
	c.digits = n
	if n == len(t) {
		return classifyInt(b, t, neg, c)
	}
	point := t[n] == '.'
	rest := t[n:]
	if point {
		rest = rest[1:]
		for c.scale < len(rest) && rest[c.scale]-'0' <= 9 {
			c.scale++
		}
		rest = rest[c.scale:]
	}
	if n+c.scale == 0 {
		return class{}
	}
	if len(rest) > 0 {
		if c.inexact = rest[0]|0x20 == 'e'; !c.inexact || !point && len(rest) > 1 && rest[1]-'0' <= 9 {
			return class{}
		}
	}
	v, ok := textval.Float64(b)
	if !ok && c.inexact {
		return class{}
	}
	if ok && (n+c.scale <= 15 && !c.inexact || sameNumber(b, textval.AppendFloat64(nil, v))) {
		c.kind = kindFloat
		c.inexact = c.inexact || neg && v == 0
		return c
	}
	if c.inexact || n+c.scale > 38 {
		return class{}
	}
	c.kind = kindDecimal
	return c
}

func classifyInt(b, t []byte, neg bool, c class) class {
	if len(t) == 0 || neg && t[0] == '0' {
		return class{}
	}
	if v, ok := textval.Int(b); ok {
		c.kind, c.large = kindInt, v > 1<<53 || v < -1<<53
		return c
	}
	c.large = true
	if _, ok := textval.Uint(t); ok && !neg {
		c.kind = kindUint
		return c
	}
	if len(t) > 38 {
		return class{}
	}
	c.kind = kindBigInt
	return c
}

// sameNumber reports whether two decimal numbers are equal, digit by digit.
func sameNumber(a, b []byte) bool {
	da, ea, na := normal(a)
	db, eb, nb := normal(b)
	return na == nb && bytes.Equal(da, db) && (len(da) == 0 || ea == eb)
}

// normal takes a well-formed number apart: its digits without zeros at either end, the exponent of 0.digits, and its sign.
func normal(b []byte) (digits []byte, exp int, neg bool) {
	point := false
	for i, c := range b {
		switch {
		case c == '-' && i == 0:
			neg = true
		case c == '.':
			point = true
		case c-'0' <= 9:
			if len(digits) == 0 && c == '0' {
				if point {
					exp--
				}
				continue
			}
			digits = append(digits, c)
			if !point {
				exp++
			}
		case c|0x20 == 'e':
			e, err := strconv.Atoi(string(b[i+1:]))
			if err != nil {
				return nil, 0, neg
			}
			return bytes.TrimRight(digits, "0"), exp + e, neg
		}
	}
	return bytes.TrimRight(digits, "0"), exp, neg
}

// guess gathers what the values of a column have in common.
type guess struct {
	seen    [kinds]bool
	neg     bool
	inexact bool
	large   bool
	digits  int // most before the point
	scale   int
	any     bool
}

func (g *guess) add(b []byte) {
	c := classify(b)
	g.any = true
	g.seen[c.kind] = true
	g.neg = g.neg || len(b) > 0 && b[0] == '-'
	g.inexact, g.large = g.inexact || c.inexact, g.large || c.large
	g.digits, g.scale = max(g.digits, c.digits), max(g.scale, c.scale)
}

// merge adds what o gathered.
func (g *guess) merge(o *guess) {
	for k, seen := range o.seen {
		g.seen[k] = g.seen[k] || seen
	}
	g.any, g.neg = g.any || o.any, g.neg || o.neg
	g.inexact, g.large = g.inexact || o.inexact, g.large || o.large
	g.digits, g.scale = max(g.digits, o.digits), max(g.scale, o.scale)
}

// only reports whether no kind but these was seen.
func (g *guess) only(ks ...kind) bool {
	seen := g.seen
	for _, k := range ks {
		seen[k] = false
	}
	return seen == [kinds]bool{}
}

// dataType is the narrowest type that holds every value added without loss; string if there was none.
func (g *guess) dataType() arrow.DataType {
	switch {
	case !g.any || g.seen[kindText]:
		return arrow.BinaryTypes.String
	case g.only(kindBool):
		return arrow.FixedWidthTypes.Boolean
	case g.only(kindInt):
		return arrow.PrimitiveTypes.Int64
	case g.only(kindInt, kindUint) && !g.neg:
		return arrow.PrimitiveTypes.Uint64
	case g.only(kindInt, kindFloat) && !g.large:
		return arrow.PrimitiveTypes.Float64
	case g.only(kindInt, kindUint, kindBigInt, kindFloat, kindDecimal) && !g.inexact && g.digits+g.scale <= 38:
		return &arrow.Decimal128Type{Precision: 38, Scale: int32(g.scale)}
	case g.only(kindDate):
		return schema.Date
	case g.only(kindTimestamp):
		return schema.Timestamp
	case g.only(kindInstant):
		return schema.Timestamptz
	case g.only(kindTime):
		return schema.Time
	}
	return arrow.BinaryTypes.String
}

// holds reports whether a column of the inferred type takes a text of class c and gives it back; whether a decimal's digits fit, the
// reader of decimals says.
func holds(dt arrow.DataType, c class) bool {
	switch dt := dt.(type) {
	case *arrow.BooleanType:
		return c.kind == kindBool
	case *arrow.Int64Type:
		return c.kind == kindInt
	case *arrow.Uint64Type:
		return c.kind == kindInt || c.kind == kindUint
	case *arrow.Float64Type:
		return c.kind == kindFloat || c.kind == kindInt && !c.large
	case *arrow.Decimal128Type:
		return c.kind >= kindInt && c.kind <= kindDecimal && !c.inexact && c.scale <= int(dt.Scale)
	case *arrow.Date32Type:
		return c.kind == kindDate
	case *arrow.TimestampType:
		return c.kind == kindTimestamp && dt.TimeZone == "" || c.kind == kindInstant && dt.TimeZone != ""
	case *arrow.Time64Type:
		return c.kind == kindTime
	}
	return true
}
