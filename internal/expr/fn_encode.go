package expr

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"strconv"
	"strings"
	"unicode/utf8"
)

func init() {
	register(definition{Function{Name: "encode", Signature: "encode(binary, format string) → string",
		Doc: "Bytes, or those of a text, as hex, base64 (in lines of 76 characters, as PostgreSQL) or escape.", Example: "encode('abc', 'hex')", Result: "616263"}, bindEncode})
	register(definition{Function{Name: "decode", Signature: "decode(string, format string) → binary, decode(any, search any, result any, … [, default any]) → any",
		Doc:     "With two arguments the bytes of a text in hex, base64 or escape form. With more the result behind the first search value that the first argument equals (null equals null), else the default or null.",
		Example: "decode(2, 1, 'one', 2, 'two', 'many')", Result: "two"}, func(b *binder, c *call, args []node) (node, *Error) {
		if len(args) > 2 {
			return b.decode(c, args)
		}
		return bindDecode(b, c, args)
	}})
	digest(Function{Name: "to_base64", Aliases: []string{"base64"}, Signature: "to_base64(binary) → string", Doc: "Bytes, or those of a text, in base64 on one line.", Example: "to_base64('abc')", Result: "YWJj"}, stringType,
		mapText(func(dst, s []byte) []byte { return base64.StdEncoding.AppendEncode(dst, s) }))
	strict(Function{Name: "from_base64", Signature: "from_base64(string) → binary", Doc: "The bytes of a text in base64.", Example: "convert_from(from_base64('YWJj'), 'UTF8')", Result: "abc"}, true, simple(kBinary),
		parseBytes("not base64", appendBase64), 0, aString)
	digest(Function{Name: "to_hex", Aliases: []string{"hex"}, Signature: "to_hex(integer) → string", Doc: "An integer in hexadecimal, a negative one in two's complement; of a text or binary value its bytes.", Example: "to_hex(255)", Result: "ff"}, stringType,
		mapText(func(dst, s []byte) []byte { return hex.AppendEncode(dst, s) }))
	toHex := functions["to_hex"]
	bytesToHex := toHex.bind
	toHex.bind = func(b *binder, c *call, args []node) (node, *Error) {
		if len(args) != 1 || !args[0].typ().kind.integer() {
			return bytesToHex(b, c, args)
		}
		x := args[0]
		switch k := x.typ().kind; {
		case k == kInt8 || k == kInt16 || k == kInt32: // PostgreSQL has no narrower integer
			x, _ = b.cast(x, simple(kInt32), c.span)
			return b.call(stringType, hexKernel(func(v int32) uint64 { return uint64(uint32(v)) }), false, c.span, x), nil
		case k == kInt64:
			return b.call(stringType, hexKernel(func(v int64) uint64 { return uint64(v) }), false, c.span, x), nil
		}
		x, _ = b.cast(x, simple(kUint64), c.span)
		return b.call(stringType, hexKernel(func(v uint64) uint64 { return v }), false, c.span, x), nil
	}
	strict(Function{Name: "unhex", Aliases: []string{"from_hex"}, Signature: "unhex(string) → binary", Doc: "The bytes of a text of hexadecimal digits.", Example: "convert_from(unhex('616263'), 'UTF8')", Result: "abc"}, true, simple(kBinary),
		parseBytes("not hexadecimal", appendHex), 0, aString)
	strict(Function{Name: "strtol", Signature: "strtol(string, base int) → int64", Doc: "The integer that a text writes in a base from 2 to 36.", Example: "strtol('ff', 16)", Result: "255"}, true, simple(kInt64), strtolKernel, 0, aString, anInt)
	strict(Function{Name: "url_encode", Signature: "url_encode(string) → string", Doc: "Percent-encoded by RFC 3986: all but letters, digits, - . _ and ~.", Example: "url_encode('a b/ü')", Result: "a%20b%2F%C3%BC"}, false, stringType, mapText(appendURL), 0, aString)
	strict(Function{Name: "url_decode", Signature: "url_decode(string) → string", Doc: "Percent-encoding undone. Percent signs without two hexadecimal digits, and +, stay; what is no UTF-8 then, or has a zero byte, rejects the row.",
		Example: "url_decode('a%20b%2F%C3%BC')", Result: "a b/ü"}, true, stringType, parseBytes("not percent-encoded UTF-8", appendUnescapedURL), 0, aString)
	register(definition{Function{Name: "convert_from", Signature: "convert_from(binary, encoding string) → string", Doc: "Bytes as a text; the encoding must be UTF8. What is no UTF-8 rejects the row.",
		Example: "convert_from('\\x616263'::binary, 'UTF8')", Result: "abc"}, func(b *binder, c *call, args []node) (node, *Error) {
		if len(args) == 2 && isUntyped(args[0]) {
			var err *Error
			if args[0], err = b.cast(args[0], simple(kBinary), c.args[0].place()); err != nil {
				return nil, err
			}
		}
		if err := b.utf8Arguments(c, args, kBinary); err != nil {
			return nil, err
		}
		return b.call(stringType, parseBytes("not UTF-8", func(dst, s []byte) ([]byte, bool) {
			return append(dst, s...), utf8.Valid(s) && !strings.Contains(string(s), "\x00")
		}), true, c.span, args[0]), nil
	}})
	register(definition{Function{Name: "convert_to", Signature: "convert_to(string, encoding string) → binary", Doc: "The bytes of a text; the encoding must be UTF8.", Example: "octet_length(convert_to('é', 'UTF8'))", Result: "2"},
		func(b *binder, c *call, args []node) (node, *Error) {
			if err := b.utf8Arguments(c, args, kString); err != nil {
				return nil, err
			}
			return b.call(simple(kBinary), mapText(func(dst, s []byte) []byte { return append(dst, s...) }), false, c.span, args[0]), nil
		}})
}

// utf8Arguments checks a value of kind k and the literal UTF8.
func (b *binder) utf8Arguments(c *call, args []node, k kind) *Error {
	p := anything
	if k == kString {
		p = aString
	}
	if err := b.arguments(c, args, 0, p, aString); err != nil {
		return err
	}
	if !okOrNull(args[0], k) {
		return errAt(c.args[0].place(), "the first argument of %s must be %s, not %s", c.name, simple(k), args[0].typ())
	}
	if s, ok := constString(args[1]); !ok || !strings.EqualFold(s, "utf8") && !strings.EqualFold(s, "utf-8") {
		return errAt(c.args[1].place(), "the encoding of %s must be 'UTF8': texts are UTF-8", c.name)
	}
	return nil
}

// parseBytes is the kernel of a function that reads a text or bytes; a value that it does not take is an error of its row.
func parseBytes(reason string, put func(dst, s []byte) ([]byte, bool)) kernel {
	return func(f *function, r *run, sel []byte, args []*vector) *vector {
		a, valid := args[0], r.strictValid(args...)
		b := r.newText(f.t, min(len(a.data), 1<<24))
		var bad []int
		for i := range r.n {
			if active(sel, valid, i) {
				n := len(b.buf)
				var ok bool
				if b.buf, ok = put(b.buf, a.str(i&a.mask())); !ok {
					b.buf = b.buf[:n]
					bad = append(bad, i)
				}
			}
			b.end(i)
		}
		out := b.finish(r, valid)
		for _, i := range bad {
			f.fail(r, out, i, strings.ToValidUTF8(string(a.str(i&a.mask())), "\uFFFD"), reason)
		}
		return out
	}
}

func hexKernel[T any](bits func(T) uint64) kernel {
	return func(f *function, r *run, _ []byte, args []*vector) *vector {
		b := r.newText(f.t, r.n*8)
		for i, v := range values[T](args[0]) {
			b.buf = strconv.AppendUint(b.buf, bits(v), 16)
			b.end(i)
		}
		return b.finish(r, r.strictValid(args...))
	}
}

var byteFormats = []string{"hex", "base64", "escape"}

// byteFormat is the constant format of encode and decode.
func (b *binder) byteFormat(c *call, x node) (string, *Error) {
	s, ok := constString(x)
	if ok {
		for _, f := range byteFormats {
			if strings.EqualFold(s, f) {
				return f, nil
			}
		}
	}
	return "", errAt(c.args[1].place(), "the format of %s must be 'hex', 'base64' or 'escape'", c.name)
}

func bindEncode(b *binder, c *call, args []node) (node, *Error) {
	if len(args) == 2 && args[0].typ().kind == kBinary {
		if err := b.arguments(c, args, 0, anything, aString); err != nil {
			return nil, err
		}
	} else if err := b.arguments(c, args, 0, aString, aString); err != nil {
		return nil, err
	}
	format, err := b.byteFormat(c, args[1])
	if err != nil {
		return nil, err
	}
	put := map[string]func(dst, s []byte) []byte{"hex": func(dst, s []byte) []byte { return hex.AppendEncode(dst, s) }, "base64": appendBase64Lines, "escape": appendEscaped}[format]
	return b.call(stringType, mapText(put), false, c.span, args[0]), nil
}

func bindDecode(b *binder, c *call, args []node) (node, *Error) {
	if err := b.arguments(c, args, 0, aString, aString); err != nil {
		return nil, err
	}
	format, err := b.byteFormat(c, args[1])
	if err != nil {
		return nil, err
	}
	put := map[string]func(dst, s []byte) ([]byte, bool){"hex": appendHex, "base64": appendBase64, "escape": appendUnescaped}[format]
	return b.call(simple(kBinary), parseBytes("not "+map[string]string{"hex": "hexadecimal", "base64": "base64", "escape": "in escape form"}[format], put), true, c.span, args[0]), nil
}

// withoutSpace drops white space, which PostgreSQL skips in hex and base64.
func withoutSpace(s []byte) []byte {
	if !strings.ContainsAny(string(s), " \t\r\n") {
		return s
	}
	return []byte(strings.Map(func(r rune) rune {
		if strings.ContainsRune(" \t\r\n", r) {
			return -1
		}
		return r
	}, string(s)))
}

func appendHex(dst, s []byte) ([]byte, bool) {
	out, err := hex.AppendDecode(dst, withoutSpace(s))
	return out, err == nil
}

func appendBase64(dst, s []byte) ([]byte, bool) {
	out, err := base64.StdEncoding.Strict().AppendDecode(dst, withoutSpace(s))
	return out, err == nil
}

func appendBase64Lines(dst, s []byte) []byte {
	for len(s) > 57 { // 76 characters
		dst = append(base64.StdEncoding.AppendEncode(dst, s[:57]), '\n')
		s = s[57:]
	}
	return base64.StdEncoding.AppendEncode(dst, s)
}

// appendEscaped writes zero bytes and those from 0x80 on as \ooo and doubles backslashes.
func appendEscaped(dst, s []byte) []byte {
	for _, c := range s {
		switch {
		case c == 0 || c >= 0x80:
			dst = append(dst, '\\', '0'+c>>6, '0'+c>>3&7, '0'+c&7)
		case c == '\\':
			dst = append(dst, '\\', '\\')
		default:
			dst = append(dst, c)
		}
	}
	return dst
}

func appendUnescaped(dst, s []byte) ([]byte, bool) {
	if len(s) > 1 && s[0] == '\\' && s[1] == 'x' {
		return dst, false // which ::binary reads as hexadecimal
	}
	return appendBytea(dst, s)
}

func appendURL(dst, s []byte) []byte {
	for _, c := range s {
		if isDigit(c) || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || strings.IndexByte("-._~", c) >= 0 {
			dst = append(dst, c)
			continue
		}
		const digits = "0123456789ABCDEF"
		dst = append(dst, '%', digits[c>>4], digits[c&15])
	}
	return dst
}

func hexDigit(c byte) int { return strings.IndexByte("0123456789abcdef", lowByte(c)) }

func appendUnescapedURL(dst, s []byte) ([]byte, bool) {
	from := len(dst)
	for i := 0; i < len(s); i++ {
		if s[i] == '%' && i+2 < len(s) {
			if hi, lo := hexDigit(s[i+1]), hexDigit(s[i+2]); hi >= 0 && lo >= 0 {
				dst = append(dst, byte(hi<<4|lo))
				i += 2
				continue
			}
		}
		dst = append(dst, s[i])
	}
	return dst, utf8.Valid(dst[from:]) && bytes.IndexByte(dst[from:], 0) < 0
}

// withoutHexPrefix drops 0x at the start, or behind a sign there. Of what has a sign behind it s stays, which is no number.
func withoutHexPrefix(s string) string {
	sign := 0
	if s != "" && (s[0] == '-' || s[0] == '+') {
		sign = 1
	}
	digits, ok := strings.CutPrefix(strings.ToLower(s[sign:]), "0x")
	if !ok || strings.HasPrefix(digits, "-") || strings.HasPrefix(digits, "+") {
		return s
	}
	return s[:sign] + digits
}

func strtolKernel(f *function, r *run, sel []byte, args []*vector) *vector {
	a, out := args[0], r.fixed(f.t)
	base, mb := values[int64](args[1]), args[1].mask()
	out.valid = r.strictValid(args...)
	valid, dst := out.valid, values[int64](out)
	for i := range dst {
		dst[i] = 0
		if !active(sel, valid, i) {
			continue
		}
		s, n := string(a.str(i&a.mask())), base[i&mb]
		if n < 2 || n > 36 {
			f.fail(r, out, i, strconv.FormatInt(n, 10), "base must be from 2 to 36")
			continue
		}
		digits := s
		if n == 16 {
			digits = withoutHexPrefix(s)
		}
		v, err := strconv.ParseInt(digits, int(n), 64)
		if err != nil || strings.Contains(s, "_") {
			f.fail(r, out, i, s, "not an int64 in base "+strconv.FormatInt(n, 10))
		}
		dst[i] = v
	}
	return out
}
