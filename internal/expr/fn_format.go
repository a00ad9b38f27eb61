package expr

import (
	"math"
	"strconv"
)

func init() {
	register(definition{Function{Name: "to_char", Signature: "to_char(date, timestamp, interval or number, template) → string",
		Doc: "Prints by PostgreSQL's template: YYYY, MM, DD, HH24, MI, SS, MS, US, Month, Mon, Day, Dy, DDD, IYYY, IW, ID, Q, AM, TZ … with FM, TH and \"text\"; for numbers 9, 0, . D , G, S, MI, PL, SG, PR, " +
			"FM, TH, V, RN, EEEE, L. Names are English.",
		Example: "to_char(TIMESTAMP '2026-11-22 13:04:05', 'FMDay, DDth Mon YYYY HH24:MI')", Result: "Sunday, 22nd Nov 2026 13:04"}, bindToChar})
	register(definition{Function{Name: "to_date", Signature: "to_date(string, template) → date",
		Doc:     "Reads a date by PostgreSQL's template. All of the text must be used, and all of the template's fields be there.",
		Example: "to_date('22 Nov 2026', 'DD Mon YYYY')", Result: "2026-11-22"}, bindToTime(kDate)})
	register(definition{Function{Name: "to_timestamp", Signature: "to_timestamp(string, template), to_timestamp(number) → timestamptz",
		Doc:     "Reads an instant by PostgreSQL's template, in UTC unless the text has an offset (TZH, TZM, OF, TZ); of a number of seconds since 1970-01-01, the instant.",
		Example: "to_timestamp('2026-11-22 01:04:05.25 PM', 'YYYY-MM-DD HH12:MI:SS.MS AM')", Result: "2026-11-22 13:04:05.25"}, bindToTime(kTimestamptz)})
	register(definition{Function{Name: "to_number", Signature: "to_number(string, template) → decimal",
		Doc:     "Reads a number by PostgreSQL's template, a literal; the decimal has its digits before and behind the point.",
		Example: "to_number('12,454.8-', '99G999D9S')", Result: "-12454.8"}, bindToNumber})
}

// template binds a template, a string: its text if it is constant.
func (b *binder) template(c *call, args []node, i int) (x node, text string, known bool, err *Error) {
	if x, err = b.argument(c, i, args[i], aString); err != nil {
		return nil, "", false, err
	}
	text, known = constString(x)
	return x, text, known, nil
}

func bindToChar(b *binder, c *call, args []node) (node, *Error) {
	if len(args) != 2 {
		return nil, b.arguments(c, args, 0, anything, aString)
	}
	tmpl, text, known, err := b.template(c, args, 1)
	if err != nil {
		return nil, err
	}
	x, at := args[0], c.args[0].place()
	k := x.typ().kind
	switch {
	case k == kDate || isUntyped(x):
		if x, err = b.cast(x, simple(kTimestamptz), at); err != nil {
			return nil, err
		}
		k = kTimestamptz
	case k == kTime: // as in PostgreSQL
		if x, err = b.cast(x, simple(kInterval), at); err != nil {
			return nil, err
		}
		k = kInterval
	}
	if k.numeric() {
		if known {
			if _, bad := parseNumberTemplate(text); bad != nil {
				return nil, errAt(c.args[1].place(), "%s", bad)
			}
		}
		return b.call(simple(kString), numberToChar, true, c.span, x, tmpl), nil
	}
	if k != kTimestamp && k != kTimestamptz && k != kInterval {
		return nil, errAt(at, "to_char prints dates, times, timestamps, intervals and numbers, not %s", x.typ())
	}
	if known && k == kInterval {
		if bad := checkIntervalTemplate(parseTimeTemplate(text)); bad != nil {
			return nil, errAt(c.args[1].place(), "%s", bad)
		}
	}
	return b.call(simple(kString), timeToChar(func(s string) ([]templatePart, error) { return parseTimeTemplate(s), nil }), !known, c.span, x, tmpl), nil
}

// byTemplate calls each for the rows that have a value, with what parse made of the row's template: once for a constant, else whenever it
// is another than in the row before. A template that is none makes the row an error.
func byTemplate[T any](f *function, r *run, sel []byte, templates *vector, valid []byte, out func() *vector, parse func(string) (T, error), each func(i int, tmpl T), skip func(i int)) {
	var tmpl T
	var bad error
	last, fresh := "", true
	var failed []int
	for i := range r.n {
		if !active(sel, valid, i) {
			skip(i)
			continue
		}
		if text := templates.str(i & templates.mask()); fresh || string(text) != last {
			last, fresh = string(text), false
			tmpl, bad = parse(last)
		}
		if bad != nil {
			skip(i)
			failed = append(failed, i)
			continue
		}
		each(i, tmpl)
	}
	for _, i := range failed {
		text := string(templates.str(i & templates.mask()))
		_, err := parse(text)
		f.fail(r, out(), i, text, err.Error())
	}
}

// timeToChar prints times by what read makes of templates.
func timeToChar(read func(string) ([]templatePart, error)) kernel {
	return func(f *function, r *run, sel []byte, args []*vector) *vector {
		x, m, k := args[0], args[0].mask(), args[0].kind
		valid := r.strictValid(args...)
		text := r.newText(f.t, r.n*20)
		parse := func(s string) ([]printStep, error) {
			tmpl, err := read(s)
			if err == nil && k == kInterval {
				err = checkIntervalTemplate(tmpl)
			}
			return printed(tmpl), err
		}
		var out *vector
		finish := func() *vector {
			if out == nil {
				out = text.finish(r, valid)
			}
			return out
		}
		byTemplate(f, r, sel, args[1], valid, finish, parse, func(i int, tmpl []printStep) {
			var t templateTime
			if k == kInterval {
				t = timeOfInterval(values[interval](x)[i&m])
			} else {
				t = timeOf(values[int64](x)[i&m], k == kTimestamptz)
			}
			text.buf = appendTemplate(text.buf, tmpl, &t)
			text.end(i)
		}, text.end)
		return finish()
	}
}

func numberToChar(f *function, r *run, sel []byte, args []*vector) *vector {
	x, m := args[0], args[0].mask()
	valid := r.strictValid(args...)
	text := r.newText(f.t, r.n*12)
	var out *vector
	finish := func() *vector {
		if out == nil {
			out = text.finish(r, valid)
		}
		return out
	}
	decimals, floats := numbersOf(x)
	var buf []byte
	var bad []int
	byTemplate(f, r, sel, args[1], valid, finish, parseNumberTemplate, func(i int, t *numberTemplate) {
		var n written
		var ok bool
		if floats != nil {
			n, buf, ok = writeFloat(buf[:0], floats(i&m), x.kind == kFloat32, t)
		} else {
			n, buf, ok = writeDecimal(buf[:0], decimals(i&m), x.scale, t)
		}
		switch {
		case !ok:
			bad = append(bad, i)
		case t.exponent:
			text.buf = append(text.buf, n.whole...)
		case t.roman:
			text.buf = t.appendRoman(text.buf, n)
		default:
			text.buf = t.appendNumber(text.buf, n)
		}
		text.end(i)
	}, text.end)
	for _, i := range bad {
		f.fail(r, finish(), i, string(appender(x)(nil, i)), "number that has no digits for a template")
	}
	return finish()
}

func numbersOf(x *vector) (decimals func(i int) dec, floats func(i int) float64) {
	switch x.kind {
	case kFloat32:
		return nil, func(i int) float64 { return float64(values[float32](x)[i]) }
	case kFloat64:
		return nil, func(i int) float64 { return values[float64](x)[i] }
	case kDecimal:
		return func(i int) dec { return values[dec](x)[i] }, nil
	}
	return intAt(x), nil
}

// writeDecimal writes d's digits as t wants them: rounded half away from zero; of EEEE, the whole text.
func writeDecimal(buf []byte, d dec, scale int32, t *numberTemplate) (written, []byte, bool) {
	mag, negative := magnitude(d)
	digits := u128Digits(buf, mag)
	if t.exponent {
		out := appendScientific(nil, digits, int(scale), negative, t.post)
		return written{whole: out}, digits, true
	}
	places := int(scale) - t.shift // behind the point
	post := t.post
	if t.roman {
		post = 0
	}
	for ; places < post; places++ {
		digits = append(digits, '0')
	}
	drop := places - post
	digits = roundDigits(digits, drop)
	for len(digits) <= post {
		digits = append([]byte{'0'}, digits...)
	}
	n := written{whole: trimZeros(digits[:len(digits)-post]), frac: digits[len(digits)-post:], negative: negative}
	n.negative = negative && !allZeros(digits)
	return n, digits, true
}

func u128Digits(dst []byte, m u128) []byte {
	hi, lo := m.divMod(powers[19])
	if hi == (u128{}) {
		return strconv.AppendUint(dst, lo.lo, 10)
	}
	if hi.hi != 0 || hi.lo >= powers[19].lo { // 39 digits
		top, mid := hi.divMod(powers[19])
		dst = strconv.AppendUint(dst, top.lo, 10)
		dst = appendZeroed(dst, mid.lo)
	} else {
		dst = strconv.AppendUint(dst, hi.lo, 10)
	}
	return appendZeroed(dst, lo.lo)
}

// appendZeroed prints 19 digits.
func appendZeroed(dst []byte, v uint64) []byte {
	for p := powers[18].lo; p > 1 && v < p; p /= 10 {
		dst = append(dst, '0')
	}
	return strconv.AppendUint(dst, v, 10)
}

// roundDigits drops the last n digits, rounding half up.
func roundDigits(digits []byte, n int) []byte {
	if n <= 0 {
		return digits
	}
	if n > len(digits) {
		return append(digits[:0], '0')
	}
	up := digits[len(digits)-n] >= '5'
	digits = digits[:len(digits)-n]
	for i := len(digits) - 1; up && i >= 0; i-- {
		if digits[i]++; digits[i] <= '9' {
			return digits
		}
		digits[i] = '0'
	}
	if up {
		digits = append([]byte{'1'}, digits...)
	}
	if len(digits) == 0 {
		digits = append(digits, '0')
	}
	return digits
}

func trimZeros(b []byte) []byte {
	for len(b) > 1 && b[0] == '0' {
		b = b[1:]
	}
	return b
}

func allZeros(b []byte) bool {
	for _, c := range b {
		if c != '0' {
			return false
		}
	}
	return true
}

// appendScientific prints digits / 10^scale as d.dde±xx with places behind the point.
func appendScientific(dst, digits []byte, scale int, negative bool, places int) []byte {
	digits = trimZeros(digits)
	exp := len(digits) - 1 - scale
	if allZeros(digits) {
		exp = 0
	}
	kept := append([]byte(nil), digits...)
	if len(kept) > places+1 {
		before := places + 1
		kept = roundDigits(kept, len(kept)-before)
		if len(kept) > before {
			kept, exp = kept[:before], exp+1
		}
	}
	for len(kept) < places+1 {
		kept = append(kept, '0')
	}
	sign := byte(' ')
	if negative {
		sign = '-'
	}
	dst = append(dst, sign, kept[0])
	if places > 0 {
		dst = append(append(dst, '.'), kept[1:]...)
	}
	dst = append(dst, 'e')
	if exp < 0 {
		dst, exp = append(dst, '-'), -exp
	} else {
		dst = append(dst, '+')
	}
	return appendPadded(dst, int64(exp), 2)
}

// writeFloat writes a float's digits as t wants them, 15 (of a float32 6) at most, as in PostgreSQL.
func writeFloat(buf []byte, v float64, short bool, t *numberTemplate) (written, []byte, bool) {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return written{}, buf, false
	}
	if t.exponent {
		out := []byte{' '}
		if math.Signbit(v) {
			out = out[:0]
		}
		return written{whole: strconv.AppendFloat(out, v, 'e', t.post, 64)}, buf, true
	}
	for range t.shift {
		v *= 10
	}
	most, post := 15, t.post
	if short {
		most = 6
	}
	if t.roman {
		post = 0
	}
	buf = strconv.AppendFloat(buf[:0], math.Abs(v), 'f', 0, 64)
	post = max(0, min(post, most-len(buf)))
	buf = strconv.AppendFloat(buf[:0], math.Abs(v), 'f', post, 64)
	n := written{whole: buf, negative: math.Signbit(v)}
	if post > 0 {
		n.whole, n.frac = buf[:len(buf)-post-1], buf[len(buf)-post:]
	}
	return n, buf, true
}

func bindToTime(k kind) func(b *binder, c *call, args []node) (node, *Error) {
	return func(b *binder, c *call, args []node) (node, *Error) {
		if len(args) == 1 && k == kTimestamptz {
			return b.fromEpoch(c, args)
		}
		if len(args) != 2 {
			return nil, b.arguments(c, args, 0, aString, aString)
		}
		x, err := b.argument(c, 0, args[0], aString)
		if err != nil {
			return nil, err
		}
		tmpl, text, known, err := b.template(c, args, 1)
		if err != nil {
			return nil, err
		}
		if known {
			if _, bad := newTimeReader(text); bad != nil {
				return nil, errAt(c.args[1].place(), "%s", bad)
			}
		}
		if k == kDate {
			return b.call(simple(k), timeByTemplate(newTimeReader, (*timeReader).date), true, c.span, x, tmpl), nil
		}
		return b.call(simple(k), timeByTemplate(newTimeReader, (*timeReader).instant), true, c.span, x, tmpl), nil
	}
}

func timeByTemplate[T, R any](parse func(string) (R, error), read func(t R, s []byte) (T, bool)) kernel {
	return func(f *function, r *run, sel []byte, args []*vector) *vector {
		out := r.fixed(f.t)
		out.valid = r.strictValid(args...)
		x, m, valid, dst := args[0], args[0].mask(), out.valid, values[T](out)
		byTemplate(f, r, sel, args[1], valid, func() *vector { return out }, parse, func(i int, t R) {
			var ok bool
			if dst[i], ok = read(t, x.str(i&m)); !ok {
				f.fail(r, out, i, string(x.str(i&m)), "text not like "+strconv.Quote(string(args[1].str(i&args[1].mask()))))
			}
		}, func(i int) { clear(dst[i : i+1]) })
		return out
	}
}

// fromEpoch is to_timestamp of seconds.
func (b *binder) fromEpoch(c *call, args []node) (node, *Error) {
	if err := b.arguments(c, args, 0, aNumber); err != nil {
		return nil, err
	}
	x := args[0]
	if x.typ().kind.integer() {
		var err *Error
		if x, err = b.cast(x, simple(kInt64), c.args[0].place()); err != nil {
			return nil, err
		}
		return b.call(simple(kTimestamptz), func(f *function, r *run, sel []byte, args []*vector) *vector {
			out := r.fixed(f.t)
			out.valid = r.strictValid(args...)
			valid, dst := out.valid, values[int64](out)
			for i, s := range values[int64](args[0]) {
				if dst[i] = s * microsPerSecond; dst[i]/microsPerSecond != s && active(sel, valid, i) {
					f.fail(r, out, i, formatInt(s), "timestamp out of range")
				}
			}
			return out
		}, true, c.span, x), nil
	}
	x, err := b.cast(x, decimalOf(25, 6), c.args[0].place())
	if err != nil {
		return nil, err
	}
	return b.call(simple(kTimestamptz), microsOf, true, c.span, x), nil
}

func bindToNumber(b *binder, c *call, args []node) (node, *Error) {
	if err := b.arguments(c, args, 0, aString, aString); err != nil {
		return nil, err
	}
	text, ok := constString(args[1])
	if !ok {
		return nil, errAt(c.args[1].place(), "the template of to_number must be a literal such as '999.99': it says how many digits the decimal has")
	}
	t, bad := parseNumberTemplate(text)
	switch {
	case bad != nil:
		return nil, errAt(c.args[1].place(), "%s", bad)
	case t.roman || t.exponent:
		return nil, errAt(c.args[1].place(), "RN and EEEE are not read")
	case t.pre+t.post+t.shift == 0 || t.pre+t.post+t.shift > 38:
		return nil, errAt(c.args[1].place(), "the template must have 1 to 38 digits, as a decimal")
	}
	return b.call(decimalOf(int32(t.pre+t.post+t.shift), int32(t.post+t.shift)), func(f *function, r *run, sel []byte, args []*vector) *vector {
		out := r.fixed(f.t)
		out.valid = r.strictValid(args...)
		valid, dst := out.valid, values[dec](out)
		var digits []byte
		for i := range dst {
			if dst[i] = (dec{}); !active(sel, valid, i) {
				continue
			}
			var ok bool
			if dst[i], digits, ok = t.read(digits[:0], args[0].str(i)); !ok {
				f.fail(r, out, i, string(args[0].str(i)), "text not like "+strconv.Quote(text))
			}
		}
		return out
	}, true, c.span, args[0]), nil
}
