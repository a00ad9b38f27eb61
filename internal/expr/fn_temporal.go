package expr

import (
	"math"
	"strconv"

	"github.com/sluice-data/sluice/internal/textval"
)

var truncUnits = []string{"microseconds", "milliseconds", "second", "minute", "hour", "day", "week", "month", "quarter", "year", "decade", "century", "millennium"}

var partUnits = []string{"year", "quarter", "month", "week", "day", "dow", "isodow", "doy", "hour", "minute", "second", "milliseconds", "microseconds",
	"epoch", "isoyear", "decade", "century", "millennium"}

func init() {
	now := func(b *binder) int64 { return b.env.Now.UnixMicro() }
	constant := func(k kind, value func(b *binder) int64) func(*binder, *call, []node) (node, *Error) {
		return func(b *binder, c *call, args []node) (node, *Error) {
			if err := b.arguments(c, args, 0); err != nil {
				return nil, err
			}
			return intNode(k, value(b)), nil
		}
	}
	register(definition{Function{Name: "now", Aliases: []string{"current_timestamp"}, Signature: "now() → timestamptz",
		Doc: "The time of the event that started the run, so that a retry computes the same.", Example: "now() = current_timestamp", Result: "true"}, constant(kTimestamptz, now)})
	register(definition{Function{Name: "localtimestamp", Signature: "localtimestamp → timestamp", Doc: "now() without its zone, in UTC.",
		Example: "localtimestamp = now()::timestamp", Result: "true"}, constant(kTimestamp, now)})
	register(definition{Function{Name: "current_date", Signature: "current_date → date", Doc: "The date of now() in UTC.", Example: "current_date = now()::date", Result: "true"},
		constant(kDate, func(b *binder) int64 { return floorDiv(now(b), microsPerDay) })})
	register(definition{Function{Name: "date_trunc", Signature: "date_trunc(unit, timestamp) → timestamp",
		Doc:     "The start of the second, minute, hour, day, week (Monday), month, quarter, year … that the time is in; of a date, a timestamp.",
		Example: "date_trunc('month', TIMESTAMP '2026-11-22 13:04:05')", Result: "2026-11-01 00:00:00"}, bindTrunc})
	register(definition{Function{Name: "date_part", Signature: "date_part(unit, x), extract(unit FROM x) → number",
		Doc:     "A part of a date, time or timestamp (in UTC): int64; decimal(8,6) for second, decimal(9,3) for milliseconds, decimal(18,6) for epoch, which have fractions.",
		Example: "extract(doy FROM DATE '2026-02-01')", Result: "32"}, bindPart})
}

// civil gives the date of a day since 1970-01-01 in the Gregorian calendar (H. Hinnant, "chrono-compatible low-level date
// algorithms").
func civil(days int64) (y, m, d int64) {
	if days > -20000000 && days < 20000000 {
		return civilNear(days)
	}
	z := days + 719468
	era := floorDiv(z, 146097)
	doe := z - era*146097
	yoe := (doe - doe/1460 + doe/36524 - doe/146096) / 365
	doy := doe - (365*yoe + yoe/4 - yoe/100)
	mp := (5*doy + 2) / 153
	d = doy - (153*mp+2)/5 + 1
	m = mp + 3
	if m > 12 {
		m -= 12
	}
	y = yoe + era*400
	if m <= 2 {
		y++
	}
	return y, m, d
}

// civilNear is civil within some 50,000 years of 1970, without divisions that the compiler cannot turn into multiplications
// (C. Neri, L. Schneider, "Euclidean affine functions and their application to calendar algorithms", 2022).
func civilNear(days int64) (y, m, d int64) {
	const eras = 150 // of 400 years, to make all numbers positive
	n := 4*uint32(days+719468+146097*eras) + 3
	century, rest := n/146097, n%146097/4
	p := uint64(2939745) * uint64(4*rest+3)
	year, doy := uint32(p>>32), uint32(p)/2939745/4
	q := 2141*doy + 197913
	y, m, d = int64(100*century+year)-400*eras, int64(q>>16), int64(q&0xffff/2141)+1
	if doy >= 306 {
		y++
		m -= 12
	}
	return y, m, d
}

// dayOf is civil's inverse; m is 1 to 12.
func dayOf(y, m, d int64) int64 {
	if m <= 2 {
		y--
	}
	era := floorDiv(y, 400)
	yoe := y - era*400
	mp := (m + 9) % 12
	return era*146097 + yoe*365 + yoe/4 - yoe/100 + (153*mp+2)/5 + d - 1 - 719468
}

func daysInMonth(y, m int64) int64 {
	switch {
	case m == 2 && (y%4 == 0 && y%100 != 0 || y%400 == 0):
		return 29
	case m == 2:
		return 28
	case m == 4 || m == 6 || m == 9 || m == 11:
		return 30
	}
	return 31
}

func isoDow(days int64) int64 { return floorMod(days+3, 7) + 1 }

func bindTrunc(b *binder, c *call, args []node) (node, *Error) {
	if err := b.arguments(c, args, 0, aString, anything); err != nil {
		return nil, err
	}
	unit, err := b.unit(c, args[0], truncUnits)
	if err != nil {
		return nil, err
	}
	x, at := args[1], c.args[1].place()
	if isUntyped(x) || x.typ().kind == kDate {
		if x, err = b.cast(x, simple(kTimestamp), at); err != nil {
			return nil, err
		}
	}
	t := x.typ()
	if t.kind != kTimestamp && t.kind != kTimestamptz {
		return nil, errAt(at, "the second argument of date_trunc must be a timestamp or date, not %s", t)
	}
	return b.call(t, truncKernel(unit), false, c.span, x), nil
}

func truncKernel(unit string) kernel {
	switch unit {
	case "microseconds":
		return mapFixed(func(us int64) int64 { return us })
	case "milliseconds":
		return mapFixed(func(us int64) int64 { return us - floorMod(us, 1000) })
	case "second":
		return truncFixed(microsPerSecond)
	case "minute":
		return truncFixed(microsPerMinute)
	case "hour":
		return truncFixed(microsPerHour)
	case "day":
		return truncDay
	case "week":
		return mapFixed(func(us int64) int64 {
			d := floorDiv(us, microsPerDay)
			return (d - isoDow(d) + 1) * microsPerDay
		})
	}
	return mapFixed(func(us int64) int64 {
		y, m, _ := civil(floorDiv(us, microsPerDay))
		switch unit {
		case "quarter":
			m -= (m - 1) % 3
		case "year":
			m = 1
		case "decade":
			y, m = floorDiv(y, 10)*10, 1
		case "century":
			y, m = floorDiv(y-1, 100)*100+1, 1
		case "millennium":
			y, m = floorDiv(y-1, 1000)*1000+1, 1
		}
		return dayOf(y, m, 1) * microsPerDay
	})
}

func truncFixed(unit int64) kernel {
	return func(f *function, r *run, _ []byte, args []*vector) *vector {
		out := r.fixed(f.t)
		out.valid = r.strictValid(args...)
		dst := values[int64](out)
		for i, us := range values[int64](args[0]) {
			dst[i] = us - floorMod(us, unit)
		}
		return out
	}
}

// truncDay is truncFixed with a divisor that the compiler knows.
func truncDay(f *function, r *run, _ []byte, args []*vector) *vector {
	out := r.fixed(f.t)
	out.valid = r.strictValid(args...)
	dst := values[int64](out)
	for i, us := range values[int64](args[0]) {
		m := us % microsPerDay
		dst[i] = us - m - (m>>63)&microsPerDay
	}
	return out
}

func bindPart(b *binder, c *call, args []node) (node, *Error) {
	if err := b.arguments(c, args, 0, aString, anything); err != nil {
		return nil, err
	}
	unit, err := b.unit(c, args[0], partUnits)
	if err != nil {
		return nil, err
	}
	x, at := args[1], c.args[1].place()
	if isUntyped(x) {
		if x, err = b.cast(x, simple(kTimestamp), at); err != nil {
			return nil, err
		}
	}
	k := x.typ().kind
	if !k.temporal() {
		return nil, errAt(at, "extract needs a date, time or timestamp, not %s", x.typ())
	}
	clock := unit == "hour" || unit == "minute" || unit == "second" || unit == "milliseconds" || unit == "microseconds"
	if k == kDate && clock {
		return nil, errAt(at, "a date has no %s", unit)
	}
	if k == kTime && !clock && unit != "epoch" {
		return nil, errAt(at, "a time of day has no %s", unit)
	}
	t := simple(kInt64)
	switch unit {
	case "second":
		t = decimalOf(8, 6)
	case "milliseconds":
		t = decimalOf(9, 3)
	case "epoch":
		t = decimalOf(19, 6)
	}
	if k == kDate && t.kind == kDecimal {
		t = simple(kInt64)
	}
	return b.call(t, partKernel(unit, k, t), false, c.span, x), nil
}

func partKernel(unit string, k kind, t typ) kernel {
	if k == kDate {
		part := datePart(unit)
		return mapFixed(func(d int32) int64 { return part(int64(d)) })
	}
	var part func(us int64) int64
	switch unit {
	case "hour":
		part = func(us int64) int64 { return floorMod(us, microsPerDay) / microsPerHour }
	case "minute":
		part = func(us int64) int64 { return floorMod(us, microsPerHour) / microsPerMinute }
	case "second", "milliseconds", "microseconds": // all count µs; the scale places the point
		part = func(us int64) int64 { return floorMod(us, microsPerMinute) }
	case "epoch":
		part = func(us int64) int64 { return us }
	default:
		byDay := datePart(unit)
		part = func(us int64) int64 { return byDay(floorDiv(us, microsPerDay)) }
	}
	if t.kind == kDecimal {
		return mapFixed(func(us int64) dec { return decOf(part(us)) })
	}
	return mapFixed(part)
}

func datePart(unit string) func(days int64) int64 {
	switch unit {
	case "year":
		return func(d int64) int64 { y, _, _ := civil(d); return yearOf(y) }
	case "quarter":
		return func(d int64) int64 { _, m, _ := civil(d); return (m-1)/3 + 1 }
	case "month":
		return func(d int64) int64 { _, m, _ := civil(d); return m }
	case "day":
		return func(d int64) int64 { _, _, day := civil(d); return day }
	case "dow":
		return func(d int64) int64 { return isoDow(d) % 7 }
	case "isodow":
		return isoDow
	case "doy":
		return func(d int64) int64 { y, _, _ := civil(d); return d - dayOf(y, 1, 1) + 1 }
	case "week": // ISO 8601: that of the week's Thursday
		return func(d int64) int64 {
			thursday := d - isoDow(d) + 4
			y, _, _ := civil(thursday)
			return (thursday-dayOf(y, 1, 1))/7 + 1
		}
	case "isoyear":
		return func(d int64) int64 { y, _, _ := civil(d - isoDow(d) + 4); return yearOf(y) }
	case "decade":
		return func(d int64) int64 { y, _, _ := civil(d); return floorDiv(y, 10) }
	case "century":
		return func(d int64) int64 { y, _, _ := civil(d); return period(y, 100) }
	case "millennium":
		return func(d int64) int64 { y, _, _ := civil(d); return period(y, 1000) }
	}
	return func(d int64) int64 { return d * 86400 } // epoch
}

// yearOf is PostgreSQL's number of an astronomical year: there is no year 0, 1 BC is -1.
func yearOf(y int64) int64 {
	if y <= 0 {
		return y - 1
	}
	return y
}

func period(y, n int64) int64 {
	if y > 0 {
		return (y + n - 1) / n
	}
	return -((n - y) / n)
}

// temporal binds + and - with a date, time, timestamp or interval on either side.
func (b *binder) temporal(op string, x, y node, atX, atY, at span) (node, *Error) {
	tx, ty := x.typ(), y.typ()
	if op == "+" && (tx.kind == kInterval || tx.kind.integer() || tx.kind == kTime && ty.kind == kDate) {
		x, y, tx, ty, atX, atY = y, x, ty, tx, atY, atX
	}
	stamp := tx.kind == kTimestamp || tx.kind == kTimestamptz
	var err *Error
	if c, ok := y.(*constNode); ok && c.untyped && op == "-" && tx.kind == kDate {
		if y, err = b.cast(y, tx, atY); err != nil {
			return nil, err
		}
		ty = tx
	}
	switch {
	case op != "+" && op != "-":
	case tx.kind == kNull || ty.kind == kNull:
		t := tx
		if t.kind == kNull || t.kind == kInterval {
			t = ty
		}
		if t.kind == kInterval {
			t = simple(kTimestamp)
		}
		return nullNode(t), nil
	case tx.kind == kDate && ty.kind.integer():
		if y, err = b.cast(y, simple(kInt64), atY); err != nil {
			return nil, err
		}
		return b.call(tx, addDays(op == "-"), true, at, x, y), nil
	case tx.kind == kDate && ty.kind == kDate && op == "-":
		return b.call(simple(kInt32), subDates, true, at, x, y), nil
	case tx.kind == kDate && ty.kind == kTime && op == "+":
		if x, err = b.cast(x, simple(kTimestamp), atX); err != nil {
			return nil, err
		}
		return b.call(simple(kTimestamp), arithmetic("+", kInt64), true, at, x, y), nil
	case (tx.kind == kDate || stamp) && ty.kind == kInterval:
		if tx.kind == kDate {
			if x, err = b.cast(x, simple(kTimestamp), atX); err != nil {
				return nil, err
			}
		}
		iv := y.(*constNode)
		months, days, micros := int64(iv.months), int64(iv.days), values[int64](iv.v)[0]
		if op == "-" {
			months, days, micros = -months, -days, -micros
		}
		return b.call(x.typ(), addInterval(months, days, micros), true, at, x), nil
	case op == "-" && (stamp || tx.kind == kDate) && (ty.kind == kTimestamp || ty.kind == kTimestamptz || ty.kind == kDate):
		return nil, errAt(at, "the difference of timestamps is an interval, which no column can hold: subtract extract(epoch FROM …) to get seconds, or cast both to date to get days")
	}
	hint := ""
	if stamp && ty.kind.numeric() && (op == "+" || op == "-") {
		hint = ": add an interval, as in ts + INTERVAL '1 day'"
	}
	return nil, errAt(at, "operator %s does not work on %s and %s%s", op, x.typ(), y.typ(), hint)
}

func addDays(minus bool) kernel {
	return func(f *function, r *run, sel []byte, args []*vector) *vector {
		x, mx, y, my := values[int32](args[0]), args[0].mask(), values[int64](args[1]), args[1].mask()
		out := r.fixed(f.t)
		out.valid = r.strictValid(args...)
		valid, dst := out.valid, values[int32](out)
		for i := range dst {
			n := y[i&my]
			if minus {
				n = -n
			}
			d := int64(x[i&mx]) + n
			dst[i] = int32(d)
			if (d != int64(dst[i]) || n > math.MaxUint32 || n < -math.MaxUint32) && active(sel, valid, i) {
				f.fail(r, out, i, strconv.FormatInt(y[i&my], 10), "date out of range")
			}
		}
		return out
	}
}

func subDates(f *function, r *run, sel []byte, args []*vector) *vector {
	return intKernel("-", subSigned[int32])(f, r, sel, args)
}

// addInterval adds months (to the month's last day at most), then days, then µs: PostgreSQL's order.
func addInterval(months, days, micros int64) kernel {
	return func(f *function, r *run, sel []byte, args []*vector) *vector {
		out := r.fixed(f.t)
		out.valid = r.strictValid(args...)
		valid, dst := out.valid, values[int64](out)
		for i, us := range values[int64](args[0]) {
			day, rest := floorDiv(us, microsPerDay), floorMod(us, microsPerDay)
			if months != 0 {
				y, m, d := civil(day)
				m += months - 1
				y, m = y+floorDiv(m, 12), floorMod(m, 12)+1
				day = dayOf(y, m, min(d, daysInMonth(y, m)))
			}
			day += days
			hi := day*microsPerDay + rest
			dst[i] = hi + micros
			const most = math.MaxInt64/microsPerDay - 1
			if (day > most || day < -most || (hi^dst[i])&(micros^dst[i]) < 0) && active(sel, valid, i) {
				f.fail(r, out, i, string(textval.AppendTimestamp(nil, us)), "timestamp out of range")
			}
		}
		return out
	}
}
