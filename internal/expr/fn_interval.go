package expr

import (
	"github.com/apache/arrow/go/v17/arrow/decimal128"
)

func init() {
	register(definition{Function{Name: "make_interval", Signature: "make_interval(years, months, weeks, days, hours, mins int, secs number) → interval",
		Doc:     "An interval of its parts; those left out are 0.",
		Example: "make_interval(0, 1, 0, 3, 2)::string", Result: "1 mon 3 days 02:00:00"}, bindMakeInterval})
	for _, f := range []struct {
		name, doc, example, result string
		compute                    func(interval) (interval, bool)
	}{
		{"justify_days", "Makes months of every 30 days of an interval.", "justify_days(INTERVAL '35 days')::string", "1 mon 5 days", justifyDays},
		{"justify_hours", "Makes days of every 24 hours of an interval.", "justify_hours(INTERVAL '27 hours')::string", "1 day 03:00:00", justifyHours},
		{"justify_interval", "justify_days and justify_hours, and one sign for all parts.", "justify_interval(INTERVAL '1 mon -1 hour')::string", "29 days 23:00:00", justifyInterval},
	} {
		register(definition{Function{Name: f.name, Signature: f.name + "(interval) → interval", Doc: f.doc, Example: f.example, Result: f.result}, func(b *binder, c *call, args []node) (node, *Error) {
			if err := b.arguments(c, args, 0, anInterval); err != nil {
				return nil, err
			}
			return b.call(simple(kInterval), func(fn *function, r *run, sel []byte, args []*vector) *vector {
				return intervals(fn, r, sel, []*vector{args[0], args[0]}, func(v, _ interval) (interval, bool) { return f.compute(v) })
			}, true, c.span, args...), nil
		}})
	}
	register(definition{Function{Name: "age", Signature: "age(timestamp [, timestamp]) → interval",
		Doc:     "The years, months, days and time from the second timestamp (today without one: then from the first) to the first.",
		Example: "age(TIMESTAMP '2026-11-22', TIMESTAMP '2025-09-30 06:00:00')::string", Result: "1 year 1 mon 21 days 18:00:00"}, bindAge})
	for _, unit := range []string{"year", "month", "week", "day", "hour", "minute", "second", "millisecond", "microsecond"} {
		text := string(appendInterval(nil, timesUnit(intervalUnits[unit], 2)))
		register(definition{Function{Name: "to_" + unit + "s", Signature: "to_" + unit + "s(int) → interval", Doc: "So many " + unit + "s as an interval.",
			Example: "to_" + unit + "s(2)::string", Result: text}, func(b *binder, c *call, args []node) (node, *Error) {
			if err := b.arguments(c, args, 0, anInt); err != nil {
				return nil, err
			}
			return b.call(simple(kInterval), timesInt, true, c.span, intervalNode(intervalUnits[unit]), args[0]), nil
		}})
	}
}

func timesUnit(v interval, n int32) interval {
	return interval{v.months * n, v.days * n, v.micros * int64(n)}
}

func bindMakeInterval(b *binder, c *call, args []node) (node, *Error) {
	params := []parameter{anInt, anInt, anInt, anInt, anInt, anInt, aNumber}
	if len(args) > len(params) {
		return nil, b.arguments(c, args, len(params), params...)
	}
	if err := b.fields(c, args, params[:len(args)]...); err != nil {
		return nil, err
	}
	units := []interval{{months: 12}, {months: 1}, {days: 7}, {days: 1}, {micros: microsPerHour}, {micros: microsPerMinute}}
	if len(args) == 0 {
		return intervalNode(interval{}), nil
	}
	return b.call(simple(kInterval), func(f *function, r *run, sel []byte, args []*vector) *vector {
		out := r.fixed(f.t)
		out.valid = r.strictValid(args...)
		valid, dst := out.valid, values[interval](out)
		for i := range dst {
			var sum intervalSum
			ok := true
			for k, a := range args {
				if k == 6 {
					d := values[dec](a)[i&a.mask()]
					us := int64(d.LowBits())
					ok = ok && d == decOf(us) && sum.add(us, 0, interval{micros: 1})
					continue
				}
				ok = sum.add(values[int64](a)[i&a.mask()], 0, units[k]) && ok
			}
			var fits bool
			if dst[i], fits = sum.interval(); !(ok && fits) && active(sel, valid, i) {
				f.fail(r, out, i, string(appender(args[0])(nil, i)), "interval out of range")
			}
		}
		return out
	}, true, c.span, args...), nil
}

func justifyDays(v interval) (interval, bool) {
	months := int64(v.months) + int64(v.days/30)
	days := v.days % 30
	switch {
	case months > 0 && days < 0:
		months, days = months-1, days+30
	case months < 0 && days > 0:
		months, days = months+1, days-30
	}
	out := interval{int32(months), days, v.micros}
	return out, int64(out.months) == months
}

func justifyHours(v interval) (interval, bool) {
	days := int64(v.days) + v.micros/microsPerDay
	micros := v.micros % microsPerDay
	switch {
	case days > 0 && micros < 0:
		days, micros = days-1, micros+microsPerDay
	case days < 0 && micros > 0:
		days, micros = days+1, micros-microsPerDay
	}
	out := interval{v.months, int32(days), micros}
	return out, int64(out.days) == days
}

func justifyInterval(v interval) (interval, bool) {
	days := int64(v.days) + v.micros/microsPerDay
	micros := v.micros % microsPerDay
	months := int64(v.months) + days/30
	days %= 30
	switch {
	case months > 0 && (days < 0 || days == 0 && micros < 0):
		months, days = months-1, days+30
	case months < 0 && (days > 0 || days == 0 && micros > 0):
		months, days = months+1, days-30
	}
	switch {
	case days > 0 && micros < 0:
		days, micros = days-1, micros+microsPerDay
	case days < 0 && micros > 0:
		days, micros = days+1, micros-microsPerDay
	}
	out := interval{int32(months), int32(days), micros}
	return out, int64(out.months) == months
}

func bindAge(b *binder, c *call, args []node) (node, *Error) {
	if len(args) != 1 && len(args) != 2 {
		return nil, b.arguments(c, args, 1, anything, anything)
	}
	wide := kTimestamp
	for i := range args {
		var err *Error
		if args[i], err = b.asTimestamp(args[i], c.args[i].place()); err != nil {
			return nil, err
		}
		wide = max(wide, args[i].typ().kind)
	}
	for i := range args {
		args[i], _ = b.cast(args[i], simple(wide), c.args[i].place())
	}
	if len(args) == 1 {
		today := intNode(kTimestamp, b.env.Now.UnixMicro()-floorMod(b.env.Now.UnixMicro(), microsPerDay))
		today.v.kind = wide
		args = []node{today, args[0]}
	}
	return b.call(simple(kInterval), func(f *function, r *run, sel []byte, args []*vector) *vector {
		return intervals(f, r, sel, args, age)
	}, true, c.span, args...), nil
}

// age subtracts field by field, borrowing from the next, where a month has the days of the earlier time's month.
func age(a, b int64) (interval, bool) {
	sign := int64(1)
	if a < b {
		a, b, sign = b, a, -1
	}
	ya, ma, da := civil(floorDiv(a, microsPerDay))
	yb, mb, db := civil(floorDiv(b, microsPerDay))
	months, days, micros := (ya-yb)*12+ma-mb, da-db, floorMod(a, microsPerDay)-floorMod(b, microsPerDay)
	if micros < 0 {
		micros += microsPerDay
		days--
	}
	if days < 0 {
		days += daysInMonth(yb, mb)
		months--
	}
	return interval{int32(sign * months), int32(sign * days), sign * micros}, true
}

// intervalPart is extract(unit FROM interval): months and µs are split into fields, days stay as they are.
func intervalPart(unit string) kernel {
	switch unit {
	case "second", "milliseconds":
		return mapFixed(func(v interval) dec { return decOf(v.micros % microsPerMinute) })
	case "epoch": // a year has 365.25 days, a month 30
		return mapFixed(func(v interval) dec {
			seconds := int64(v.months/12)*31557600 + (int64(v.months%12)*30+int64(v.days))*86400
			return decimal128.FromI64(seconds).Mul(decimal128.FromI64(microsPerSecond)).Add(decOf(v.micros))
		})
	}
	return mapFixed(func(v interval) int64 {
		years := int64(v.months / 12)
		switch unit {
		case "millennium":
			return years / 1000
		case "century":
			return years / 100
		case "decade":
			return years / 10
		case "year":
			return years
		case "quarter":
			return int64(v.months%12)/3 + 1
		case "month":
			return int64(v.months % 12)
		case "day":
			return int64(v.days)
		case "hour":
			return v.micros / microsPerHour
		case "minute":
			return v.micros % microsPerHour / microsPerMinute
		}
		return v.micros % microsPerMinute // microseconds
	})
}

func truncInterval(unit string) func(interval) interval {
	months := map[string]int32{"millennium": 12000, "century": 1200, "decade": 120, "year": 12, "quarter": 3, "month": 1}[unit]
	return func(v interval) interval {
		switch {
		case months > 0:
			return interval{months: v.months - v.months%months}
		case unit == "day":
			return interval{months: v.months, days: v.days}
		}
		v.micros -= v.micros % fixedUnits[unit]
		return v
	}
}
