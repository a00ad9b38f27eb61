package expr

import (
	"encoding/hex"
	"strconv"
	"unicode/utf8"

	"github.com/sluice-data/sluice/internal/textval"
)

// textBuilder makes a vector of computed strings, one row after the other.
type textBuilder struct {
	out *vector
	buf []byte
}

// newText starts r.n strings; size is a guess of their bytes together.
func (r *run) newText(t typ, size int) *textBuilder {
	return &textBuilder{out: r.strings(t, nil), buf: r.bytes(size)[:0]}
}

// end closes row i, whose bytes were appended to b.buf since the row before; rows are closed in order.
func (b *textBuilder) end(i int) {
	from := int32(0)
	if i > 0 {
		from = b.out.end[i-1]
	}
	b.out.beg[i], b.out.end[i] = from, int32(len(b.buf))
}

func (b *textBuilder) finish(r *run, valid []byte) *vector {
	if len(b.buf) > 1<<31-1 {
		r.tooLarge()
		return nullOf(b.out.typ, r.n)
	}
	b.out.data, b.out.valid = b.buf, valid
	return b.out
}

// appender appends the text of row i of v, as PostgreSQL prints the type.
func appender(v *vector) func(dst []byte, i int) []byte {
	m := v.mask()
	switch v.kind {
	case kBool:
		return func(dst []byte, i int) []byte { return strconv.AppendBool(dst, bit(v.data, i&m)) }
	case kInt8:
		return intAppender(values[int8](v), m)
	case kInt16:
		return intAppender(values[int16](v), m)
	case kInt32:
		return intAppender(values[int32](v), m)
	case kInt64:
		return intAppender(values[int64](v), m)
	case kUint8:
		return intAppender(values[uint8](v), m)
	case kUint16:
		return intAppender(values[uint16](v), m)
	case kUint32:
		return intAppender(values[uint32](v), m)
	case kUint64:
		s := values[uint64](v)
		return func(dst []byte, i int) []byte { return strconv.AppendUint(dst, s[i&m], 10) }
	case kFloat32:
		s := values[float32](v)
		return func(dst []byte, i int) []byte { return textval.AppendFloat32(dst, s[i&m]) }
	case kFloat64:
		s := values[float64](v)
		return func(dst []byte, i int) []byte { return textval.AppendFloat64(dst, s[i&m]) }
	case kDecimal:
		s := values[dec](v)
		return func(dst []byte, i int) []byte { return textval.AppendDecimal(dst, s[i&m], v.scale) }
	case kDate:
		s := values[int32](v)
		return func(dst []byte, i int) []byte { return textval.AppendDate(dst, s[i&m]) }
	case kTime:
		s := values[int64](v)
		return func(dst []byte, i int) []byte { return textval.AppendTime(dst, s[i&m]) }
	case kTimestamp:
		s := values[int64](v)
		return func(dst []byte, i int) []byte { return textval.AppendTimestamp(dst, s[i&m]) }
	case kTimestamptz:
		s := values[int64](v)
		return func(dst []byte, i int) []byte { return textval.AppendInstant(dst, s[i&m]) }
	case kInterval:
		s := values[interval](v)
		return func(dst []byte, i int) []byte { return appendInterval(dst, s[i&m]) }
	case kBinary:
		return func(dst []byte, i int) []byte { return hex.AppendEncode(append(dst, `\x`...), v.str(i&m)) }
	}
	return func(dst []byte, i int) []byte { return append(dst, v.str(i&m)...) }
}

func intAppender[T integer](s []T, m int) func(dst []byte, i int) []byte {
	return func(dst []byte, i int) []byte { return strconv.AppendInt(dst, int64(s[i&m]), 10) }
}

func castToText(from typ) kernel {
	return func(f *function, r *run, _ []byte, args []*vector) *vector {
		valid := r.strictValid(args...)
		size := 12
		if from.kind == kTimestamp || from.kind == kTimestamptz {
			size = 24
		}
		b := r.newText(f.t, r.n*size)
		put := appender(args[0])
		for i := range r.n {
			if valid == nil || bit(valid, i) {
				b.buf = put(b.buf, i)
			}
			b.end(i)
		}
		return b.finish(r, valid)
	}
}

// trimSpace drops the white space that PostgreSQL's input functions skip around numbers, dates and booleans.
func trimSpace(b []byte) []byte {
	space := func(c byte) bool { return c == ' ' || c >= '\t' && c <= '\r' }
	for len(b) > 0 && space(b[0]) {
		b = b[1:]
	}
	for len(b) > 0 && space(b[len(b)-1]) {
		b = b[:len(b)-1]
	}
	return b
}

// isoLayout reads ISO 8601 and PostgreSQL's own output.
var isoLayout = func() *textval.Layout {
	l, err := textval.NewLayout("", "")
	if err != nil {
		panic(err) // the empty format is always valid
	}
	return l
}()

// castFromText reads the canonical text of a type; white space around it is skipped except for binary.
func castFromText(to typ) kernel {
	switch to.kind {
	case kBool:
		return boolFromText
	case kInt8:
		return parseText(parseInt[int8])
	case kInt16:
		return parseText(parseInt[int16])
	case kInt32:
		return parseText(parseInt[int32])
	case kInt64:
		return parseText(parseInt[int64])
	case kUint8:
		return parseText(parseUint[uint8])
	case kUint16:
		return parseText(parseUint[uint16])
	case kUint32:
		return parseText(parseUint[uint32])
	case kUint64:
		return parseText(parseUint[uint64])
	case kFloat32:
		return parseText(textval.Float32)
	case kFloat64:
		return parseText(textval.Float64)
	case kDecimal:
		return parseText(func(b []byte) (dec, bool) { return textval.Decimal(b, to.prec, to.scale) })
	case kDate:
		return parseText(isoLayout.Date)
	case kTime:
		return parseText(isoLayout.TimeOfDay)
	case kTimestamp:
		return parseText(isoLayout.Micros)
	case kTimestamptz:
		return parseText(isoLayout.Instant)
	case kInterval:
		return parseText(parseInterval)
	}
	return binaryFromText
}

func parseInt[T signed](b []byte) (T, bool) {
	v, ok := textval.Int(b)
	return T(v), ok && int64(T(v)) == v
}

func parseUint[T unsigned](b []byte) (T, bool) {
	v, ok := textval.Uint(b)
	return T(v), ok && uint64(T(v)) == v
}

func parseText[T any](parse func([]byte) (T, bool)) kernel {
	return func(f *function, r *run, sel []byte, args []*vector) *vector {
		out, a := r.fixed(f.t), args[0]
		out.valid = r.strictValid(args...)
		valid, dst := out.valid, values[T](out)
		for i := range dst {
			if !active(sel, valid, i) {
				clear(dst[i : i+1])
				continue
			}
			var ok bool
			if dst[i], ok = parse(trimSpace(a.str(i))); !ok {
				f.fail(r, out, i, string(a.str(i)), f.notA())
			}
		}
		return out
	}
}

// notA is the reason for text that is not a value of f.t.
func (f *function) notA() string {
	name := f.t.String()
	if f.t.json {
		return "not valid JSON"
	}
	if f.t.kind.signed() || f.t.kind == kInterval {
		return "not an " + name
	}
	return "not a " + name
}

func boolFromText(f *function, r *run, sel []byte, args []*vector) *vector {
	out, a := &vector{typ: f.t, n: r.n, data: r.zeroBitmap()}, args[0]
	out.valid = r.strictValid(args...)
	valid := out.valid
	for i := range r.n {
		if !active(sel, valid, i) {
			continue
		}
		v, ok := textval.Bool(trimSpace(a.str(i)))
		if !ok {
			f.fail(r, out, i, string(a.str(i)), f.notA())
		} else if v {
			setBit(out.data, i)
		}
	}
	return out
}

// binaryFromText reads PostgreSQL's bytea input: \x and hexadecimal digits, or text with \\ and octal \nnn escapes.
func binaryFromText(f *function, r *run, sel []byte, args []*vector) *vector {
	a, valid := args[0], r.strictValid(args...)
	b := r.newText(f.t, len(a.data))
	var bad []int
	for i := range r.n {
		if active(sel, valid, i) {
			n := len(b.buf)
			var ok bool
			if b.buf, ok = appendBytea(b.buf, a.str(i)); !ok {
				b.buf = b.buf[:n]
				bad = append(bad, i)
			}
		}
		b.end(i)
	}
	out := b.finish(r, valid)
	for _, i := range bad {
		f.fail(r, out, i, string(a.str(i)), f.notA())
	}
	return out
}

func appendBytea(dst, s []byte) ([]byte, bool) {
	if len(s) >= 2 && s[0] == '\\' && s[1] == 'x' {
		out, err := hex.AppendDecode(dst, s[2:])
		return out, err == nil
	}
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] != '\\':
			dst = append(dst, s[i])
		case i+1 < len(s) && s[i+1] == '\\':
			dst = append(dst, '\\')
			i++
		case i+3 < len(s):
			v, err := strconv.ParseUint(string(s[i+1:i+4]), 8, 8)
			if err != nil {
				return dst, false
			}
			dst = append(dst, byte(v))
			i += 3
		default:
			return dst, false
		}
	}
	return dst, true
}

// concatKernel is ||: strings, or bytes, end to end; NULL if any is.
func concatKernel(f *function, r *run, _ []byte, args []*vector) *vector {
	valid := r.strictValid(args...)
	size := 0
	for _, a := range args {
		if a.konst {
			size += len(a.data) * r.n
		} else {
			size += min(len(a.data), 64*r.n)
		}
	}
	b := r.newText(f.t, min(size, 1<<24))
	for i := range r.n {
		if valid == nil || bit(valid, i) {
			for _, a := range args {
				b.buf = append(b.buf, a.str(i&a.mask())...)
			}
		}
		b.end(i)
	}
	return b.finish(r, valid)
}

// runeOffset is the byte offset of rune n of s (which may end before it); invalid bytes count as a rune each.
func runeOffset(s []byte, n int) int {
	at := 0
	for ; n > 0 && at < len(s); n-- {
		if s[at] < utf8.RuneSelf {
			at++
			continue
		}
		_, size := utf8.DecodeRune(s[at:])
		at += size
	}
	return at
}
