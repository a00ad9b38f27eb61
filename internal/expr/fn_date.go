package expr

import (
	"math"
	"strings"

	"github.com/sluice-data/sluice/internal/textval"
)

func init() {
	register(definition{Function{Name: "date_diff", Aliases: []string{"datediff"}, Signature: "date_diff(unit, from, to) → int64",
		Doc:     "How many starts of a unit lie between two dates, times or timestamps: days by midnights, weeks by Mondays, months by their first. The unit may stand without quotes.",
		Example: "datediff(month, DATE '2026-01-31', DATE '2026-03-01')", Result: "2"}, bindDateDiff})
	register(definition{Function{Name: "date_add", Aliases: []string{"dateadd"}, Signature: "date_add(unit, int, x), date_add(x, interval) → timestamp or time",
		Doc:     "Adds so many units, or an interval: the same as +. The unit may stand without quotes.",
		Example: "dateadd(month, 1, DATE '2026-01-31')", Result: "2026-02-28 00:00:00"}, bindDateAdd})
	register(definition{Function{Name: "add_months", Signature: "add_months(date or timestamp, int) → timestamp",
		Doc:     "Adds months; from the last day of a month to the last day of one, as in Redshift.",
		Example: "add_months(DATE '2026-02-28', 1)", Result: "2026-03-31 00:00:00"}, bindAddMonths})
	register(definition{Function{Name: "months_between", Signature: "months_between(date or timestamp, date or timestamp) → float64",
		Doc:     "The months from the second argument to the first: whole ones between equal or last days of months, else with a fraction of a month of 31 days, as in Redshift.",
		Example: "months_between(DATE '2026-03-31', DATE '2026-02-28')", Result: "1"}, bindMonthsBetween})
	register(definition{Function{Name: "last_day", Signature: "last_day(date or timestamp) → date", Doc: "The last day of the month.", Example: "last_day(DATE '2024-02-10')", Result: "2024-02-29"}, bindLastDay})
	register(definition{Function{Name: "next_day", Signature: "next_day(date or timestamp, weekday) → date",
		Doc:     "The first day behind the date that is the weekday, of whose English name two letters will do.",
		Example: "next_day(DATE '2026-11-22', 'Tue')", Result: "2026-11-24"}, bindNextDay})
	register(definition{Function{Name: "date_bin", Signature: "date_bin(stride interval, timestamp, origin timestamp) → timestamp",
		Doc:     "The start of the stride that the time is in, counted from the origin. A stride has no months.",
		Example: "date_bin(INTERVAL '15 minutes', TIMESTAMP '2026-11-22 13:44:05', TIMESTAMP '2000-01-01')", Result: "2026-11-22 13:30:00"}, bindDateBin})
	register(definition{Function{Name: "date", Signature: "date(x) → date", Doc: "The same as CAST(x AS date).", Example: "date('2026-11-22')", Result: "2026-11-22"},
		func(b *binder, c *call, args []node) (node, *Error) {
			if len(args) != 1 {
				return nil, b.arguments(c, args, 0, anything)
			}
			return b.cast(args[0], simple(kDate), c.span)
		}})
	register(definition{Function{Name: "isfinite", Signature: "isfinite(x) → bool", Doc: "Whether a number is neither infinite nor NaN; true of every date, time, timestamp and interval.",
		Example: "isfinite('inf'::float64)", Result: "false"}, bindIsFinite})
}

// unitIndex numbers the units of time one after the other; a unit's index grows by 1 where it starts.
func unitIndex(unit string) func(us int64) int64 {
	if n, ok := fixedUnits[unit]; ok {
		return func(us int64) int64 { return floorDiv(us, n) }
	}
	if unit == "week" {
		return func(us int64) int64 { return floorDiv(floorDiv(us, microsPerDay)+3, 7) }
	}
	return func(us int64) int64 {
		y, m, _ := civil(floorDiv(us, microsPerDay))
		switch unit {
		case "month":
			return y*12 + m
		case "quarter":
			return y*4 + (m-1)/3
		case "decade":
			return floorDiv(y, 10)
		case "century":
			return floorDiv(y-1, 100)
		case "millennium":
			return floorDiv(y-1, 1000)
		}
		return y
	}
}

func bindDateDiff(b *binder, c *call, args []node) (node, *Error) {
	if len(args) != 3 {
		return nil, b.arguments(c, args, 0, aString, anything, anything)
	}
	unit, err := b.unit(c, args[0], truncUnits)
	if err != nil {
		return nil, err
	}
	x, y, atX, atY := args[1], args[2], c.args[1].place(), c.args[2].place()
	wide := max(x.typ().kind, y.typ().kind)
	switch tx, ty := x.typ().kind, y.typ().kind; {
	case (tx == kTime || isUntyped(x)) && (ty == kTime || isUntyped(y)) && (tx == kTime || ty == kTime):
		wide = kTime
	case (tx.dated() || isUntyped(x)) && (ty.dated() || isUntyped(y)):
		if wide = max(kTimestamp, wide); !wide.dated() {
			wide = kTimestamp
		}
	default:
		return nil, errAt(c.span, "%s needs two dates, timestamps or times, not %s and %s", c.name, x.typ(), y.typ())
	}
	if _, clock := fixedUnits[unit]; wide == kTime && (!clock || unit == "day") {
		return nil, errAt(c.args[0].place(), "a time of day has no %s", unit)
	}
	if x, err = b.cast(x, simple(wide), atX); err == nil {
		y, err = b.cast(y, simple(wide), atY)
	}
	if err != nil {
		return nil, err
	}
	index := unitIndex(unit)
	return b.call(simple(kInt64), func(f *function, r *run, sel []byte, args []*vector) *vector {
		from, to, mf, mt := operands[int64](args)
		out := r.fixed(f.t)
		out.valid = r.strictValid(args...)
		valid, dst := out.valid, values[int64](out)
		for i := range dst {
			a, b := index(from[i&mf]), index(to[i&mt])
			dst[i] = b - a
			if (a^b)&(b^dst[i]) < 0 && active(sel, valid, i) {
				f.fail(r, out, i, string(textval.AppendTimestamp(nil, to[i&mt])), "integer overflow")
			}
		}
		return out
	}, unit == "microseconds", c.span, x, y), nil
}

func bindDateAdd(b *binder, c *call, args []node) (node, *Error) {
	switch len(args) {
	case 2:
		iv, err := b.argument(c, 1, args[1], anInterval)
		if err != nil {
			return nil, err
		}
		x := args[0]
		if isUntyped(x) {
			if x, err = b.cast(x, simple(kTimestamp), c.args[0].place()); err != nil {
				return nil, err
			}
		}
		return b.temporal("+", x, iv, c.args[0].place(), c.args[1].place(), c.span)
	case 3:
	default:
		return nil, b.arguments(c, args, 1, aString, anInt, anything)
	}
	unit, err := b.unit(c, args[0], truncUnits)
	if err != nil {
		return nil, err
	}
	n, err := b.argument(c, 1, args[1], anInt)
	if err != nil {
		return nil, err
	}
	x, at := args[2], c.args[2].place()
	if isUntyped(x) {
		if x, err = b.cast(x, simple(kTimestamp), at); err != nil {
			return nil, err
		}
	}
	iv := b.call(simple(kInterval), timesInt, true, c.span, intervalNode(intervalUnits[unit]), n)
	return b.temporal("+", x, iv, at, c.args[1].place(), c.span)
}

// timestamps binds the first n arguments as timestamps.
func (b *binder) timestamps(c *call, args []node, n int) *Error {
	for i := range n {
		x, at := args[i], c.args[i].place()
		if !x.typ().kind.dated() && !isUntyped(x) {
			return errAt(at, "%s needs a date or timestamp, not %s", c.name, x.typ())
		}
		if x.typ().kind == kTimestamptz {
			continue
		}
		var err *Error
		if args[i], err = b.cast(x, simple(kTimestamp), at); err != nil {
			return err
		}
	}
	return nil
}

func bindAddMonths(b *binder, c *call, args []node) (node, *Error) {
	if len(args) != 2 {
		return nil, b.arguments(c, args, 0, anything, anInt)
	}
	err := b.timestamps(c, args, 1)
	if err == nil {
		args[1], err = b.argument(c, 1, args[1], anInt)
	}
	if err != nil {
		return nil, err
	}
	return b.call(args[0].typ(), func(f *function, r *run, sel []byte, args []*vector) *vector {
		x, n, mx, mn := operands[int64](args)
		out := r.fixed(f.t)
		out.valid = r.strictValid(args...)
		valid, dst := out.valid, values[int64](out)
		for i := range dst {
			us, months := x[i&mx], n[i&mn]
			ok := months <= math.MaxInt32 && months >= math.MinInt32
			if ok {
				day := floorDiv(us, microsPerDay)
				moved := addMonths(day, months)
				if isLastDay(day) {
					moved = lastDay(moved)
				}
				const most = math.MaxInt64/microsPerDay - 1
				ok = moved <= most && moved >= -most
				dst[i] = moved*microsPerDay + floorMod(us, microsPerDay)
			}
			if !ok && active(sel, valid, i) {
				f.fail(r, out, i, string(textval.AppendTimestamp(nil, us)), "timestamp out of range")
			}
		}
		return out
	}, true, c.span, args...), nil
}

func lastDay(day int64) int64 {
	y, m, _ := civil(day)
	return dayOf(y, m, daysInMonth(y, m))
}

func isLastDay(day int64) bool { return lastDay(day) == day }

func bindMonthsBetween(b *binder, c *call, args []node) (node, *Error) {
	if len(args) != 2 {
		return nil, b.arguments(c, args, 0, anything, anything)
	}
	if err := b.timestamps(c, args, 2); err != nil {
		return nil, err
	}
	return b.call(simple(kFloat64), func(f *function, r *run, _ []byte, args []*vector) *vector {
		x, y, mx, my := operands[int64](args)
		out := r.fixed(f.t)
		out.valid = r.strictValid(args...)
		dst := values[float64](out)
		for i := range dst {
			dst[i] = monthsBetween(x[i&mx], y[i&my])
		}
		return out
	}, false, c.span, args...), nil
}

func monthsBetween(a, b int64) float64 {
	da, db := floorDiv(a, microsPerDay), floorDiv(b, microsPerDay)
	y1, m1, d1 := civil(da)
	y2, m2, d2 := civil(db)
	months := float64((y1-y2)*12 + m1 - m2)
	if d1 == d2 || isLastDay(da) && isLastDay(db) {
		return months
	}
	us := (d1-d2)*microsPerDay + floorMod(a, microsPerDay) - floorMod(b, microsPerDay)
	return months + float64(us)/(31*microsPerDay)
}

func bindLastDay(b *binder, c *call, args []node) (node, *Error) {
	if len(args) != 1 {
		return nil, b.arguments(c, args, 0, anything)
	}
	d, err := b.day(c, args)
	if err != nil {
		return nil, err
	}
	return b.call(simple(kDate), func(f *function, r *run, sel []byte, args []*vector) *vector {
		return shiftDay(f, r, sel, args, func(day int64) int64 { return lastDay(day) })
	}, true, c.span, d), nil
}

// shiftDay computes a date of each row's date.
func shiftDay(f *function, r *run, sel []byte, args []*vector, compute func(day int64) int64) *vector {
	out := r.fixed(f.t)
	out.valid = r.strictValid(args...)
	valid, dst := out.valid, values[int32](out)
	var memo dayMemo
	for i, d := range values[int32](args[0]) {
		day := memo.of(int64(d), compute)
		if dst[i] = int32(day); int64(dst[i]) != day && active(sel, valid, i) {
			f.fail(r, out, i, formatDay(int64(d)), "date out of range")
		}
	}
	return out
}

func bindNextDay(b *binder, c *call, args []node) (node, *Error) {
	if len(args) != 2 {
		return nil, b.arguments(c, args, 0, anything, aString)
	}
	d, err := b.day(c, args)
	if err != nil {
		return nil, err
	}
	name, err := b.argument(c, 1, args[1], aString)
	if err != nil {
		return nil, err
	}
	if text, ok := constString(name); ok {
		dow, known := weekdayOf([]byte(text))
		if !known {
			return nil, errAt(c.args[1].place(), "unknown weekday %q", text)
		}
		return b.call(simple(kDate), func(f *function, r *run, sel []byte, args []*vector) *vector {
			return shiftDay(f, r, sel, args, func(day int64) int64 { return nextDay(day, dow) })
		}, true, c.span, d), nil
	}
	return b.call(simple(kDate), func(f *function, r *run, sel []byte, args []*vector) *vector {
		src, ms, mn := values[int32](args[0]), args[0].mask(), args[1].mask()
		out := r.fixed(f.t)
		out.valid = r.strictValid(args...)
		valid, dst := out.valid, values[int32](out)
		for i := range dst {
			if dst[i] = 0; !active(sel, valid, i) {
				continue
			}
			dow, ok := weekdayOf(args[1].str(i & mn))
			if !ok {
				f.fail(r, out, i, string(args[1].str(i&mn)), "unknown weekday")
				continue
			}
			day := nextDay(int64(src[i&ms]), dow)
			if dst[i] = int32(day); int64(dst[i]) != day {
				f.fail(r, out, i, formatDay(int64(src[i&ms])), "date out of range")
			}
		}
		return out
	}, true, c.span, d, name), nil
}

// nextDay is the first day behind day of which the weekday is dow (Sunday 0).
func nextDay(day, dow int64) int64 { return day + floorMod(dow-isoDow(day)-1, 7) + 1 }

// weekdayOf takes a weekday's name or at least two letters of it, in any letter case.
func weekdayOf(b []byte) (int64, bool) {
	b = trimSpace(b)
	if len(b) < 2 {
		return 0, false
	}
	for i, n := range dayNames {
		if len(b) <= len(n) && strings.EqualFold(n[:len(b)], string(b)) {
			return int64(i), true
		}
	}
	return 0, false
}

func bindDateBin(b *binder, c *call, args []node) (node, *Error) {
	if len(args) != 3 {
		return nil, b.arguments(c, args, 0, anInterval, anything, anything)
	}
	iv, err := b.argument(c, 0, args[0], anInterval)
	if err != nil {
		return nil, err
	}
	x, err := b.asTimestamp(args[1], c.args[1].place())
	if err != nil {
		return nil, err
	}
	origin, err := b.asTimestamp(args[2], c.args[2].place())
	if err == nil {
		origin, err = b.cast(origin, x.typ(), c.args[2].place())
	}
	if err != nil {
		return nil, err
	}
	return b.call(x.typ(), func(f *function, r *run, sel []byte, args []*vector) *vector {
		stride, x, origin := values[interval](args[0]), values[int64](args[1]), values[int64](args[2])
		ms, mx, mo := args[0].mask(), args[1].mask(), args[2].mask()
		out := r.fixed(f.t)
		out.valid = r.strictValid(args...)
		valid, dst := out.valid, values[int64](out)
		for i := range dst {
			v := stride[i&ms]
			us := int64(v.days)*microsPerDay + v.micros
			a, o := x[i&mx], origin[i&mo]
			d := a - o
			switch {
			case v.months == 0 && us > 0 && (a^o)&(a^d) >= 0:
				dst[i] = a - floorMod(d, us)
				if dst[i] <= a || !active(sel, valid, i) {
					continue
				}
				f.fail(r, out, i, string(textval.AppendTimestamp(nil, a)), "timestamp out of range")
			case !active(sel, valid, i):
			case v.months != 0 || us <= 0:
				f.fail(r, out, i, string(appendInterval(nil, v)), "stride is not a positive number of days and less")
			default:
				f.fail(r, out, i, string(textval.AppendTimestamp(nil, a)), "timestamp out of range")
			}
		}
		return out
	}, true, c.span, iv, x, origin), nil
}

func bindIsFinite(b *binder, c *call, args []node) (node, *Error) {
	if len(args) != 1 {
		return nil, b.arguments(c, args, 0, anything)
	}
	x, t := args[0], args[0].typ()
	if isUntyped(x) {
		var err *Error
		if x, err = b.cast(x, simple(kFloat64), c.args[0].place()); err != nil {
			return nil, err
		}
		t = x.typ()
	}
	if !t.kind.numeric() && !t.kind.temporal() && t.kind != kInterval {
		return nil, errAt(c.args[0].place(), "isfinite needs a number, date, time, timestamp or interval, not %s", t)
	}
	return b.call(simple(kBool), func(f *function, r *run, _ []byte, args []*vector) *vector {
		out := r.fixed(f.t)
		out.valid = r.strictValid(args...)
		copy(out.data, r.oneBitmap())
		switch t.kind {
		case kFloat32:
			finiteBits(out.data, values[float32](args[0]))
		case kFloat64:
			finiteBits(out.data, values[float64](args[0]))
		}
		return out
	}, false, c.span, x), nil
}

func finiteBits[T float](dst []byte, src []T) {
	for i, x := range src {
		if !finite(x) {
			dst[i>>3] &^= 1 << (i & 7)
		}
	}
}
