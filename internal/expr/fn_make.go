package expr

import (
	"math"

	"github.com/sluice-data/sluice/internal/textval"
)

func init() {
	register(definition{Function{Name: "make_date", Signature: "make_date(year, month, day int) → date", Doc: "The date of a year (negative: BC), month and day.", Example: "make_date(2026, 11, 22)", Result: "2026-11-22"}, bindMakeDate})
	register(definition{Function{Name: "make_time", Signature: "make_time(hour, minute int, second number) → time", Doc: "The time of day of an hour, minute and second.", Example: "make_time(13, 4, 5.25)", Result: "13:04:05.250000"},
		func(b *binder, c *call, args []node) (node, *Error) {
			if err := b.fields(c, args, anInt, anInt, aNumber); err != nil {
				return nil, err
			}
			return b.call(simple(kTime), makeTime, true, c.span, args...), nil
		}})
	register(definition{Function{Name: "make_timestamp", Signature: "make_timestamp(year, month, day, hour, minute int, second number), make_timestamp(int) → timestamp",
		Doc: "The timestamp of its parts, or of µs since 1970-01-01.", Example: "make_timestamp(2026, 11, 22, 13, 4, 5.25)", Result: "2026-11-22 13:04:05.25"}, bindMakeTimestamp(kTimestamp)})
	register(definition{Function{Name: "make_timestamptz", Signature: "make_timestamptz(year, month, day, hour, minute int, second number [, zone]), make_timestamptz(int) → timestamptz",
		Doc: "The instant at which the clocks of a zone (UTC without one) show a timestamp's parts; or that of µs since 1970-01-01.", Example: "make_timestamptz(2026, 7, 1, 12, 0, 0, 'Europe/Berlin')", Result: "2026-07-01 10:00:00"},
		bindMakeTimestamp(kTimestamptz)})
	register(definition{Function{Name: "make_timestamp_ms", Signature: "make_timestamp_ms(int) → timestamp", Doc: "The timestamp of milliseconds since 1970-01-01.", Example: "make_timestamp_ms(1795352645123)", Result: "2026-11-22 13:04:05.123"},
		func(b *binder, c *call, args []node) (node, *Error) {
			if err := b.arguments(c, args, 0, anInt); err != nil {
				return nil, err
			}
			return b.fromMillis(c, args[0]), nil
		}})
	register(definition{Function{Name: "epoch_ms", Signature: "epoch_ms(date, time, timestamp or interval) → int64, epoch_ms(int) → timestamp", Doc: "The whole milliseconds since 1970-01-01, cut off towards it (of a time or interval: all of them); of milliseconds, the timestamp.",
		Example: "epoch_ms(TIMESTAMP '2026-11-22 13:04:05.123456')", Result: "1795352645123"},
		func(b *binder, c *call, args []node) (node, *Error) {
			if len(args) == 1 && args[0].typ().kind.integer() {
				if err := b.arguments(c, args, 0, anInt); err != nil {
					return nil, err
				}
				return b.fromMillis(c, args[0]), nil
			}
			return b.epochIn(c, args, 1000, 1)
		}})
	register(definition{Function{Name: "epoch_us", Signature: "epoch_us(date, time, timestamp or interval) → int64", Doc: "The µs since 1970-01-01.", Example: "epoch_us(TIMESTAMP '1970-01-01 00:00:01.5')", Result: "1500000"},
		func(b *binder, c *call, args []node) (node, *Error) { return b.epochIn(c, args, 1, 1) }})
	register(definition{Function{Name: "epoch_ns", Signature: "epoch_ns(date, time, timestamp or interval) → int64", Doc: "The nanoseconds since 1970-01-01.", Example: "epoch_ns(TIMESTAMP '1970-01-01 00:00:01.5')", Result: "1500000000"},
		func(b *binder, c *call, args []node) (node, *Error) { return b.epochIn(c, args, 1, 1000) }})
}

// fields checks arguments of whole numbers, of which an aNumber is seconds, cast to µs.
func (b *binder) fields(c *call, args []node, params ...parameter) *Error {
	if err := b.arguments(c, args, 0, params...); err != nil {
		return err
	}
	for i, p := range params {
		if p == aNumber {
			var err *Error
			if args[i], err = b.cast(args[i], decimalOf(24, 6), c.args[i].place()); err != nil {
				return err
			}
		}
	}
	return nil
}

func bindMakeDate(b *binder, c *call, args []node) (node, *Error) {
	if err := b.fields(c, args, anInt, anInt, anInt); err != nil {
		return nil, err
	}
	return b.call(simple(kDate), func(f *function, r *run, sel []byte, args []*vector) *vector {
		out := r.fixed(f.t)
		out.valid = r.strictValid(args...)
		valid, dst := out.valid, values[int32](out)
		at := fieldsAt(args)
		for i := range dst {
			day, ok := dateOf(at(0, i), at(1, i), at(2, i))
			if dst[i] = int32(day); !(ok && int64(dst[i]) == day) && active(sel, valid, i) {
				f.fail(r, out, i, fieldsText(args, i), "no such date")
			}
		}
		return out
	}, true, c.span, args...), nil
}

func fieldsAt(args []*vector) func(arg, i int) int64 {
	ints := make([][]int64, len(args))
	masks := make([]int, len(args))
	for k, a := range args {
		if masks[k] = a.mask(); a.kind == kInt64 {
			ints[k] = values[int64](a)
		}
	}
	return func(arg, i int) int64 { return ints[arg][i&masks[arg]] }
}

func fieldsText(args []*vector, i int) string {
	var text []byte
	for k, a := range args {
		if k > 0 {
			text = append(text, ", "...)
		}
		text = appender(a)(text, i)
	}
	return string(text)
}

// dateOf is the day of a date; there is no year 0, -1 is 1 BC.
func dateOf(y, m, d int64) (int64, bool) {
	if y == 0 || y > math.MaxInt32 || y < math.MinInt32 || m < 1 || m > 12 || d < 1 || d > 31 {
		return 0, false
	}
	if y < 0 {
		y++
	}
	return dayOf(y, m, d), d <= daysInMonth(y, m)
}

// clockOf is the µs of a time of day; seconds are µs. 24:00:00 is none.
func clockOf(h, m int64, s dec) (int64, bool) {
	us := int64(s.LowBits())
	ok := h >= 0 && h < 24 && m >= 0 && m < 60 && s == decOf(us) && us >= 0 && us < microsPerMinute
	return h*microsPerHour + m*microsPerMinute + us, ok
}

func makeTime(f *function, r *run, sel []byte, args []*vector) *vector {
	out := r.fixed(f.t)
	out.valid = r.strictValid(args...)
	valid, dst := out.valid, values[int64](out)
	at, seconds, m := fieldsAt(args), values[dec](args[2]), args[2].mask()
	for i := range dst {
		var ok bool
		if dst[i], ok = clockOf(at(0, i), at(1, i), seconds[i&m]); !ok && active(sel, valid, i) {
			f.fail(r, out, i, fieldsText(args, i), "no such time of day")
		}
	}
	return out
}

func makeTimestamp(f *function, r *run, sel []byte, args []*vector) *vector {
	out := r.fixed(f.t)
	out.valid = r.strictValid(args...)
	valid, dst := out.valid, values[int64](out)
	at, seconds, m := fieldsAt(args), values[dec](args[5]), args[5].mask()
	for i := range dst {
		day, ok := dateOf(at(0, i), at(1, i), at(2, i))
		us, right := clockOf(at(3, i), at(4, i), seconds[i&m])
		const most = math.MaxInt64/microsPerDay - 1
		if dst[i] = day*microsPerDay + us; !(ok && right && day <= most && day >= -most) && active(sel, valid, i) {
			f.fail(r, out, i, fieldsText(args, i), "no such timestamp")
		}
	}
	return out
}

func bindMakeTimestamp(k kind) func(b *binder, c *call, args []node) (node, *Error) {
	return func(b *binder, c *call, args []node) (node, *Error) {
		if len(args) == 1 {
			if err := b.arguments(c, args, 0, anInt); err != nil {
				return nil, err
			}
			return b.call(simple(k), relabel, false, c.span, args...), nil
		}
		if len(args) == 7 && k == kTimestamptz {
			zone, atZone := args[6], c.args[6].place()
			if err := b.fields(c, args[:6], anInt, anInt, anInt, anInt, anInt, aNumber); err != nil {
				return nil, err
			}
			return b.atZone(c, zone, b.call(simple(kTimestamp), makeTimestamp, true, c.span, args[:6]...), atZone, c.span)
		}
		if err := b.fields(c, args, anInt, anInt, anInt, anInt, anInt, aNumber); err != nil {
			return nil, err
		}
		return b.call(simple(k), makeTimestamp, true, c.span, args...), nil
	}
}

// fromMillis is the timestamp of milliseconds.
func (b *binder) fromMillis(c *call, x node) node {
	return b.call(simple(kTimestamp), func(f *function, r *run, sel []byte, args []*vector) *vector {
		out := r.fixed(f.t)
		out.valid = r.strictValid(args...)
		valid, dst := out.valid, values[int64](out)
		for i, ms := range values[int64](args[0]) {
			if dst[i] = ms * 1000; dst[i]/1000 != ms && active(sel, valid, i) {
				f.fail(r, out, i, formatInt(ms), "timestamp out of range")
			}
		}
		return out
	}, true, c.span, x)
}

// epochIn counts x's µs in units of per µs, or µs times by.
func (b *binder) epochIn(c *call, args []node, per, by int64) (node, *Error) {
	if len(args) != 1 {
		return nil, b.arguments(c, args, 0, anything)
	}
	x, at := args[0], c.args[0].place()
	var err *Error
	switch k := x.typ().kind; {
	case k == kInterval:
		if x, err = b.part(c, "epoch", x, at); err != nil {
			return nil, err
		}
		x = b.call(simple(kInt64), microsOf, true, c.span, x)
	case k == kDate || isUntyped(x):
		x, err = b.cast(x, simple(kTimestamp), at)
	case !k.temporal():
		return nil, errAt(at, "%s needs a date, time, timestamp or interval, not %s", c.name, x.typ())
	}
	if err != nil {
		return nil, err
	}
	return b.call(simple(kInt64), func(f *function, r *run, sel []byte, args []*vector) *vector {
		out := r.fixed(f.t)
		out.valid = r.strictValid(args...)
		valid, dst := out.valid, values[int64](out)
		for i, us := range values[int64](args[0]) {
			if dst[i] = us / per * by; dst[i]/by != us/per && active(sel, valid, i) {
				f.fail(r, out, i, string(textval.AppendTimestamp(nil, us)), "integer overflow")
			}
		}
		return out
	}, by > 1, c.span, x), nil
}

// microsOf is the unscaled number of a decimal of seconds.
func microsOf(f *function, r *run, sel []byte, args []*vector) *vector {
	out := r.fixed(f.t)
	out.valid = r.strictValid(args...)
	valid, dst := out.valid, values[int64](out)
	for i, d := range values[dec](args[0]) {
		if dst[i] = int64(d.LowBits()); decOf(dst[i]) != d && active(sel, valid, i) {
			f.fail(r, out, i, formatDec(d, 6), "integer overflow")
		}
	}
	return out
}
