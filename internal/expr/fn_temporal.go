package expr

import (
	"slices"

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
	register(definition{Function{Name: "now", Aliases: []string{"current_timestamp", "transaction_timestamp", "statement_timestamp"}, Signature: "now() → timestamptz",
		Doc: "The time of the event that started the run, so that a retry computes the same.", Example: "now() = current_timestamp", Result: "true"}, constant(kTimestamptz, now)})
	register(definition{Function{Name: "localtimestamp", Aliases: []string{"getdate"}, Signature: "localtimestamp → timestamp", Doc: "now() without its zone, in UTC.",
		Example: "localtimestamp = now()::timestamp", Result: "true"}, constant(kTimestamp, now)})
	register(definition{Function{Name: "current_date", Aliases: []string{"today"}, Signature: "current_date → date", Doc: "The date of now() in UTC.", Example: "current_date = now()::date", Result: "true"},
		constant(kDate, func(b *binder) int64 { return floorDiv(now(b), microsPerDay) })})
	register(definition{Function{Name: "localtime", Signature: "localtime → time", Doc: "The time of day of now() in UTC.", Example: "localtime = now()::time", Result: "true"},
		constant(kTime, func(b *binder) int64 { return floorMod(now(b), microsPerDay) })})
	register(definition{Function{Name: "date_trunc", Signature: "date_trunc(unit, timestamp [, zone]) → timestamp",
		Doc: "The start of the second, minute, hour, day, week (Monday), month, quarter, year … that the time is in; of a date, a timestamp. " +
			"A timestamptz is in UTC, or in the zone given. What an interval has below the unit is dropped.",
		Example: "date_trunc('month', TIMESTAMP '2026-11-22 13:04:05')", Result: "2026-11-01 00:00:00"}, bindTrunc})
	register(definition{Function{Name: "date_part", Signature: "date_part(unit, x), extract(unit FROM x) → number",
		Doc: "A part of a date, time, timestamp (in UTC) or interval: int64; decimal(8,6) for second, decimal(9,3) for milliseconds, decimal(19,6) for epoch, which have fractions. " +
			"The units are year, quarter, month, week, day, dow, isodow, doy, hour, minute, second, milliseconds, microseconds, epoch, isoyear, decade, century, millennium, timezone.",
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
	const years = 40_000 // within them as civilNear, whose inverse is of the same paper
	if y <= -years || y >= years {
		return dayFar(y, m, d)
	}
	const eras = years / 400
	year, month := uint32(y+400*eras), uint32(m)
	if m <= 2 {
		year, month = year-1, month+12
	}
	century := year / 100
	return int64(1461*year/4-century+century/4+(979*month-2919)/32) + d - 1 - 719468 - 146097*eras
}

func dayFar(y, m, d int64) int64 {
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
	if len(args) != 2 && len(args) != 3 {
		return nil, b.arguments(c, args, 1, aString, anything, aString)
	}
	unit, err := b.unit(c, args[0], truncUnits)
	if err != nil {
		return nil, err
	}
	x, at := args[1], c.args[1].place()
	if x.typ().kind == kInterval && len(args) == 2 {
		if unit == "week" {
			return nil, errAt(at, "an interval has no weeks: its months have no whole number of them")
		}
		return b.call(simple(kInterval), mapFixed(truncInterval(unit)), false, c.span, x), nil
	}
	if isUntyped(x) || x.typ().kind == kDate {
		if x, err = b.cast(x, simple(kTimestamp), at); err != nil {
			return nil, err
		}
	}
	t := x.typ()
	if t.kind != kTimestamp && t.kind != kTimestamptz {
		return nil, errAt(at, "the second argument of date_trunc must be a timestamp or date, not %s", t)
	}
	if len(args) == 2 {
		return b.call(t, truncKernel(unit), false, c.span, x), nil
	}
	if t.kind != kTimestamptz {
		return nil, errAt(at, "date_trunc in a zone works on timestamptz, not %s: a timestamp has no zone", t)
	}
	z, zones, err := b.zone(args[2], c.args[2].place())
	if err != nil {
		return nil, err
	}
	list := []node{x}
	if zones != nil {
		list = append(list, zones)
	}
	return b.call(t, inZone(truncIn(unit), z), true, c.span, list...), nil
}

// truncIn truncates what a zone's clocks show. Hours and less keep the offset, so that each hour of a day that has it twice is one of its own.
func truncIn(unit string) func(z *textval.Zone, us int64) (int64, bool) {
	trunc := truncation(unit)
	short := slices.Index(truncUnits, unit) <= slices.Index(truncUnits, "hour")
	return func(z *textval.Zone, us int64) (int64, bool) {
		if short {
			offset := z.Offset(us) * microsPerSecond
			return trunc(us+offset) - offset, true
		}
		local, ok := z.Local(us)
		if !ok {
			return 0, false
		}
		return z.Instant(trunc(local))
	}
}

// fixedUnits are those of one length, in µs.
var fixedUnits = map[string]int64{"microseconds": 1, "milliseconds": 1000, "second": microsPerSecond, "minute": microsPerMinute, "hour": microsPerHour, "day": microsPerDay}

func truncKernel(unit string) kernel {
	if unit == "day" {
		return truncDay
	}
	if n, ok := fixedUnits[unit]; ok {
		return truncFixed(n)
	}
	return mapFixed(truncation(unit))
}

// truncation gives the start of the unit that a time is in.
func truncation(unit string) func(us int64) int64 {
	if n, ok := fixedUnits[unit]; ok {
		return func(us int64) int64 { return us - floorMod(us, n) }
	}
	if unit == "week" {
		return func(us int64) int64 {
			d := floorDiv(us, microsPerDay)
			return (d - isoDow(d) + 1) * microsPerDay
		}
	}
	return func(us int64) int64 {
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
	}
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

// zoneUnits are parts of a timestamptz only, which is in UTC.
var zoneUnits = []string{"timezone", "timezone_hour", "timezone_minute"}

func bindPart(b *binder, c *call, args []node) (node, *Error) {
	if len(args) != 2 {
		return nil, b.arguments(c, args, 0, aString, anything)
	}
	unit, err := b.unit(c, args[0], append(zoneUnits, partUnits...))
	if err != nil {
		return nil, err
	}
	return b.part(c, unit, args[1], c.args[1].place())
}

// part is extract(unit FROM x).
func (b *binder) part(c *call, unit string, x node, at span) (node, *Error) {
	if isUntyped(x) {
		var err *Error
		if x, err = b.cast(x, simple(kTimestamp), at); err != nil {
			return nil, err
		}
	}
	k := x.typ().kind
	if !k.temporal() && k != kInterval {
		return nil, errAt(at, "extract needs a date, time, timestamp or interval, not %s", x.typ())
	}
	clock := unit == "hour" || unit == "minute" || unit == "second" || unit == "milliseconds" || unit == "microseconds"
	switch {
	case k == kDate && clock:
		return nil, errAt(at, "a date has no %s", unit)
	case k == kTime && !clock && unit != "epoch":
		return nil, errAt(at, "a time of day has no %s", unit)
	case k == kInterval && slices.Contains([]string{"dow", "isodow", "doy", "week", "isoyear"}, unit):
		return nil, errAt(at, "an interval has no %s", unit)
	case k != kTimestamptz && slices.Contains(zoneUnits, unit):
		return nil, errAt(at, "only a timestamptz has a %s", unit)
	}
	t := simple(kInt64)
	switch unit {
	case "second":
		t = decimalOf(8, 6)
	case "milliseconds":
		t = decimalOf(9, 3)
	case "epoch":
		t = decimalOf(19, 6)
		if k == kInterval {
			t = decimalOf(25, 6)
		}
	}
	if k == kDate && t.kind == kDecimal {
		t = simple(kInt64)
	}
	if k == kInterval {
		return b.call(t, intervalPart(unit), false, c.span, x), nil
	}
	return b.call(t, partKernel(unit, k, t), false, c.span, x), nil
}

func partKernel(unit string, k kind, t typ) kernel {
	if k == kDate {
		return partOfDate(datePart(unit))
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
	case "timezone", "timezone_hour", "timezone_minute":
		part = func(int64) int64 { return 0 }
	default:
		return partOfDay(datePart(unit))
	}
	if t.kind == kDecimal {
		return mapFixed(func(us int64) dec { return decOf(part(us)) })
	}
	return mapFixed(part)
}

// partOfDay is the kernel of what times have of their day.
func partOfDay(part func(day int64) int64) kernel {
	return func(f *function, r *run, _ []byte, args []*vector) *vector {
		out := r.fixed(f.t)
		out.valid = r.strictValid(args...)
		dst := values[int64](out)
		var memo dayMemo
		for i, us := range values[int64](args[0]) {
			dst[i] = memo.of(floorDiv(us, microsPerDay), part)
		}
		return out
	}
}

// partOfDate is that of dates.
func partOfDate(part func(day int64) int64) kernel {
	return func(f *function, r *run, _ []byte, args []*vector) *vector {
		out := r.fixed(f.t)
		out.valid = r.strictValid(args...)
		dst := values[int64](out)
		var memo dayMemo
		for i, day := range values[int32](args[0]) {
			dst[i] = memo.of(int64(day), part)
		}
		return out
	}
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
