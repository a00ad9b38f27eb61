package expr

import (
	"bytes"
	"encoding/binary"
	"strconv"
	"unicode"
	"unicode/utf8"
)

var stringType = simple(kString)

func init() {
	strict(Function{Name: "lower", Signature: "lower(string) → string", Doc: "Lower case, letter by letter by Unicode's simple mapping.", Example: "lower('ÀB')", Result: "àb"},
		false, stringType, mapCase(unicode.ToLower, 'A', 'Z'), 0, aString)
	strict(Function{Name: "upper", Signature: "upper(string) → string", Doc: "Upper case, letter by letter by Unicode's simple mapping.", Example: "upper('àb')", Result: "ÀB"},
		false, stringType, mapCase(unicode.ToUpper, 'a', 'z'), 0, aString)
	strict(Function{Name: "initcap", Signature: "initcap(string) → string", Doc: "The first letter of each word in upper case, the others in lower case.", Example: "initcap('new YORK')", Result: "New York"},
		false, stringType, mapText(appendInitcap), 0, aString)
	strict(Function{Name: "reverse", Signature: "reverse(string) → string", Doc: "The characters from the last to the first.", Example: "reverse('abc')", Result: "cba"},
		false, stringType, mapText(func(dst, s []byte) []byte {
			for len(s) > 0 {
				_, n := utf8.DecodeLastRune(s)
				dst = append(dst, s[len(s)-n:]...)
				s = s[:len(s)-n]
			}
			return dst
		}), 0, aString)
	register(definition{Function{Name: "length", Aliases: []string{"char_length", "character_length", "len"}, Signature: "length(string) → int32", Doc: "The number of characters; of a binary value, of bytes.",
		Example: "length('héé')", Result: "3"}, bindLength})
	register(definition{Function{Name: "octet_length", Signature: "octet_length(string) → int32", Doc: "The number of bytes.", Example: "octet_length('héé')", Result: "5"}, bindLength})
	register(definition{Function{Name: "bit_length", Signature: "bit_length(string) → int32", Doc: "The number of bits.", Example: "bit_length('héé')", Result: "40"}, bindLength})
	strict(Function{Name: "replace", Signature: "replace(string, from string, to string) → string", Doc: "Every occurrence of from replaced by to.", Example: "replace('a-b-c', '-', '+')", Result: "a+b+c"},
		false, stringType, replaceKernel, 0, aString, aString, aString)
	strict(Function{Name: "strpos", Aliases: []string{"instr"}, Signature: "strpos(string, part string), position(part IN string) → int32", Doc: "The character at which part first occurs, counted from 1; 0 if it does not.",
		Example: "strpos('hello', 'l')", Result: "3"}, false, simple(kInt32), strposKernel, 0, aString, aString)
	strict(Function{Name: "starts_with", Signature: "starts_with(string, prefix string) → bool", Doc: "Whether the string begins with prefix.", Example: "starts_with('alphabet', 'alph')", Result: "true"},
		false, simple(kBool), affixKernel(bytes.HasPrefix), 0, aString, aString)
	strict(Function{Name: "ends_with", Signature: "ends_with(string, suffix string) → bool", Doc: "Whether the string ends with suffix.", Example: "ends_with('alphabet', 'bet')", Result: "true"},
		false, simple(kBool), affixKernel(bytes.HasSuffix), 0, aString, aString)
	strict(Function{Name: "lpad", Signature: "lpad(string, length int [, fill string]) → string", Doc: "Filled up on the left, or cut on the right, to length characters.", Example: "lpad('7', 3, '0')", Result: "007"},
		true, stringType, padKernel(true), 1, aString, anInt, aString)
	strict(Function{Name: "rpad", Signature: "rpad(string, length int [, fill string]) → string", Doc: "Filled up, or cut, on the right to length characters.", Example: "rpad('ab', 4, '.')", Result: "ab.."},
		true, stringType, padKernel(false), 1, aString, anInt, aString)
	register(definition{Function{Name: "concat", Signature: "concat(any, …) → string", Doc: "All arguments as text, end to end; nulls are skipped.", Example: "concat('a', NULL, 1)", Result: "a1"}, bindConcat})
	register(definition{Function{Name: "concat_ws", Signature: "concat_ws(separator string, any, …) → string", Doc: "All arguments but the first as text, joined by the first; nulls are skipped.",
		Example: "concat_ws('-', 2026, NULL, 'x')", Result: "2026-x"}, bindConcat})
}

// mapCase maps letters. Text that is ASCII is mapped as a whole.
func mapCase(letter func(rune) rune, from, to byte) kernel {
	each := mapText(func(dst, s []byte) []byte {
		for len(s) > 0 {
			r, n := utf8.DecodeRune(s)
			if r == utf8.RuneError && n == 1 {
				dst = append(dst, s[0])
			} else {
				dst = utf8.AppendRune(dst, letter(r))
			}
			s = s[n:]
		}
		return dst
	})
	return func(f *function, r *run, sel []byte, args []*vector) *vector {
		a := args[0]
		if a.array == nil || r.n == 0 || !a.isASCII() {
			return each(f, r, sel, args)
		}
		lo, hi := int(a.beg[0]), int(a.end[r.n-1])
		data := r.bytes(hi - lo)
		flipCase(data, a.data[lo:hi], from, to)
		out := r.strings(f.t, data)
		out.ascii, out.valid = 1, a.valid
		for i := range out.beg {
			out.beg[i], out.end[i] = a.beg[i]-int32(lo), a.end[i]-int32(lo)
		}
		return out
	}
}

// flipCase copies ASCII src to dst with the letters in [from, to] in the other case, eight at a time.
func flipCase(dst, src []byte, from, to byte) {
	const ones = 0x0101010101010101
	for len(src) >= 8 {
		w := binary.LittleEndian.Uint64(src)
		above := w + ones*uint64(0x80-from) // high bit: from and above
		beyond := w + ones*uint64(0x7f-to)  // high bit: above to
		binary.LittleEndian.PutUint64(dst, w^(above&^beyond&(ones<<7))>>2)
		dst, src = dst[8:], src[8:]
	}
	for i, c := range src {
		if c >= from && c <= to {
			c ^= 0x20
		}
		dst[i] = c
	}
}

// mapText is the kernel of a function that appends its result for one string.
func mapText(put func(dst, s []byte) []byte) kernel {
	return func(f *function, r *run, _ []byte, args []*vector) *vector {
		a, valid := args[0], r.strictValid(args...)
		b := r.newText(f.t, min(len(a.data), 1<<24))
		for i := range r.n {
			if valid == nil || bit(valid, i) {
				b.buf = put(b.buf, a.str(i))
			}
			b.end(i)
		}
		return b.finish(r, valid)
	}
}

func appendInitcap(dst, s []byte) []byte {
	inWord := false
	for len(s) > 0 {
		r, n := utf8.DecodeRune(s)
		letter := unicode.IsLetter(r) || unicode.IsDigit(r)
		switch {
		case r == utf8.RuneError && n == 1:
			dst = append(dst, s[0])
		case letter && inWord:
			dst = utf8.AppendRune(dst, unicode.ToLower(r))
		case letter:
			dst = utf8.AppendRune(dst, unicode.ToUpper(r))
		default:
			dst = append(dst, s[:n]...)
		}
		inWord = letter
		s = s[n:]
	}
	return dst
}

func bindLength(b *binder, c *call, args []node) (node, *Error) {
	if len(args) == 1 && args[0].typ().kind == kList && (c.name == "length" || c.name == "len") {
		return bindListLength(b, c, args)
	}
	k := byteLength(1)
	if c.name == "bit_length" {
		k = byteLength(8)
	}
	if len(args) == 1 && args[0].typ().kind == kBinary {
		return b.call(simple(kInt32), k, false, c.span, args...), nil
	}
	if err := b.arguments(c, args, 0, aString); err != nil {
		return nil, err
	}
	if c.name == "octet_length" || c.name == "bit_length" {
		return b.call(simple(kInt32), k, false, c.span, args...), nil
	}
	return b.call(simple(kInt32), func(f *function, r *run, sel []byte, args []*vector) *vector {
		a := args[0]
		if a.isASCII() {
			return k(f, r, sel, args)
		}
		out := r.fixed(f.t)
		out.valid = r.strictValid(args...)
		dst := values[int32](out)
		for i := range dst {
			dst[i] = int32(utf8.RuneCount(a.str(i)))
		}
		return out
	}, false, c.span, args...), nil
}

func byteLength(bits int32) kernel {
	return func(f *function, r *run, _ []byte, args []*vector) *vector {
		a, out := args[0], r.fixed(f.t)
		out.valid = r.strictValid(args...)
		dst := values[int32](out)
		for i := range dst {
			dst[i] = (a.end[i] - a.beg[i]) * bits
		}
		return out
	}
}

func replaceKernel(f *function, r *run, _ []byte, args []*vector) *vector {
	a, from, to, valid := args[0], args[1], args[2], r.strictValid(args...)
	b := r.newText(f.t, min(len(a.data), 1<<24))
	for i := range r.n {
		if valid == nil || bit(valid, i) {
			s, x, y := a.str(i&a.mask()), from.str(i&from.mask()), to.str(i&to.mask())
			for len(x) > 0 {
				at := bytes.Index(s, x)
				if at < 0 {
					break
				}
				b.buf = append(append(b.buf, s[:at]...), y...)
				s = s[at+len(x):]
			}
			b.buf = append(b.buf, s...)
		}
		b.end(i)
		if len(b.buf) > 1<<31-1 {
			break
		}
	}
	return b.finish(r, valid)
}

func strposKernel(f *function, r *run, _ []byte, args []*vector) *vector {
	a, part, out := args[0], args[1], r.fixed(f.t)
	out.valid = r.strictValid(args...)
	dst := values[int32](out)
	for i := range dst {
		s := a.str(i & a.mask())
		at := bytes.Index(s, part.str(i&part.mask()))
		dst[i] = 0
		if at >= 0 {
			dst[i] = int32(utf8.RuneCount(s[:at])) + 1
		}
	}
	return out
}

func affixKernel(has func(s, affix []byte) bool) kernel {
	return func(f *function, r *run, _ []byte, args []*vector) *vector {
		a, p := args[0], args[1]
		out := &vector{typ: f.t, n: r.n, valid: r.strictValid(args...), data: r.zeroBitmap()}
		for i := range r.n {
			if has(a.str(i&a.mask()), p.str(i&p.mask())) {
				setBit(out.data, i)
			}
		}
		return out
	}
}

// maxPad keeps a wrong length from filling the memory.
const maxPad = 1 << 20

func padKernel(left bool) kernel {
	return func(f *function, r *run, sel []byte, args []*vector) *vector {
		a, ma, valid := args[0], args[0].mask(), r.strictValid(args...)
		want, mw := values[int64](args[1]), args[1].mask()
		fill := func(int) []byte { return []byte{' '} }
		if len(args) == 3 {
			fill = func(i int) []byte { return args[2].str(i & args[2].mask()) }
		}
		b := r.newText(f.t, r.n*16)
		var bad []int
		for i := range r.n {
			if valid == nil || bit(valid, i) {
				s, n := a.str(i&ma), want[i&mw]
				if n > maxPad {
					bad = append(bad, i)
				} else {
					b.buf = pad(b.buf, s, int(max(n, 0)), fill(i), left)
				}
			}
			b.end(i)
		}
		out := b.finish(r, valid)
		for _, i := range bad {
			if active(sel, valid, i) {
				f.fail(r, out, i, strconv.FormatInt(want[i&mw], 10), "length over "+strconv.Itoa(maxPad))
			}
		}
		return out
	}
}

func pad(dst, s []byte, n int, fill []byte, left bool) []byte {
	have := utf8.RuneCount(s)
	if have >= n || len(fill) == 0 {
		return append(dst, s[:runeOffset(s, n)]...)
	}
	if !left {
		dst = append(dst, s...)
	}
	for f := fill; have < n; have++ {
		if len(f) == 0 {
			f = fill
		}
		size := runeOffset(f, 1)
		dst = append(dst, f[:size]...)
		f = f[size:]
	}
	if left {
		dst = append(dst, s...)
	}
	return dst
}

// bindConcat binds concat and concat_ws, which skip nulls.
func bindConcat(b *binder, c *call, args []node) (node, *Error) {
	separated := c.name == "concat_ws"
	if len(args) == 0 || separated && len(args) == 1 {
		return nil, errAt(c.span, "%s takes more arguments: %s", c.name, signature(c.name))
	}
	for i, x := range args {
		if k := x.typ().kind; !k.printable() {
			return nil, errAt(c.args[i].place(), "%s cannot print %s", c.name, x.typ())
		}
	}
	if separated {
		var err *Error
		if args[0], err = b.argument(c, 0, args[0], aString); err != nil {
			return nil, err
		}
		if k, ok := args[0].(*constNode); ok && k.v.null {
			return nullNode(stringType), nil
		}
	}
	f := &function{t: stringType, args: args, lenient: true, never: !separated, maybe: separated && args[0].nullable(), src: b.text(c.span)}
	f.never = !f.maybe
	f.run = func(f *function, r *run, _ []byte, args []*vector) *vector {
		var sep *vector
		if separated {
			sep, args = args[0], args[1:]
		}
		put := make([]func([]byte, int) []byte, len(args))
		for i, a := range args {
			if !(a.konst && a.null) {
				put[i] = appender(a)
			}
		}
		t := r.newText(f.t, r.n*16)
		for i := range r.n {
			first := true
			if sep == nil || !sep.isNull(i) {
				for k, a := range args {
					if put[k] == nil || a.isNull(i) {
						continue
					}
					if sep != nil && !first {
						t.buf = append(t.buf, sep.str(i&sep.mask())...)
					}
					first = false
					t.buf = put[k](t.buf, i)
				}
			}
			t.end(i)
		}
		if sep == nil || sep.konst && !sep.null {
			return t.finish(r, nil)
		}
		if sep.konst {
			return t.finish(r, r.zeroBitmap())
		}
		return t.finish(r, sep.valid)
	}
	return fold(f), nil
}
